"""Where two journals part: the first command that is not the same in both, however they were cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from exchange.protocol.acts import decode_acts
from exchange.protocol.arrays import COMMAND
from exchange.server.disk import DISK
from exchange.server.folder import Folder
from exchange.server.follower import Follower
from exchange.server.frames import COMMAND_BYTES, START, Frame, JournalTorn, Position
from exchange.server.order_lives import client_id_of
from exchange.server.reading import read_frames, read_header, segment_name, segment_numbers
from exchange.server.replay import earliest
from exchange.server.rerun import run_on
from matching.vocabulary import CommandKind, OrderType, Side, TimeInForce

_WORDS = {"kind": CommandKind, "side": Side, "type": OrderType, "time_in_force": TimeInForce}
"""The fields of a command that are told in words."""

_FIELDS = tuple(name for name in COMMAND.names or () if name not in ("act", "unused"))
"""The fields that are compared: where an act stands in its frame's list says nothing of it."""


class NoJournal(Exception):
    """A folder is neither a venue's nor a journal's; the message says which."""


class Difference(NamedTuple):
    """One field in which a command differs; an act as plain data."""

    field: str
    a: Any
    b: Any


class Parting(NamedTuple):
    """What two journals have in common, and where they part.

    `first` is the first sequence that both have, `sequence` the first that differs, None if none does;
    `ends` are the last commands of both. `hashes` says how many state hashes that both carry were compared,
    `states` (64 bits) to what both replays lead, None where one was not replayed. `told`: what was not
    looked at.
    """

    first: int
    sequence: int | None
    what: str
    differences: list[Difference]
    ends: tuple[int | None, int | None]
    hashes: int
    states: tuple[int | None, int | None]
    told: list[str]

    @property
    def is_equal(self) -> bool:
        """Whether they do not part."""
        return not self.what


class Reader:
    """A journal read command by command, in the largest stretches that its frames allow.

    `frame` is what comes next, or what is left of it; None at the end. Raises `JournalDamaged`.
    """

    def __init__(self, journal: Path, told: list[str]) -> None:
        self._frames = self._read(journal, told)
        self._done = 0
        self.frame: Frame | None = next(self._frames, None)
        self.last = 0

    def _read(self, journal: Path, told: list[str]) -> Iterator[Frame]:
        try:
            yield from read_frames(journal, _start_of(journal))
        except JournalTorn as torn:
            told.append(f"{journal} ends in a frame that is not whole yet: {torn}")

    @property
    def first(self) -> int:
        """The sequence that comes next."""
        assert self.frame is not None
        return self.frame.first + self._done

    @property
    def left(self) -> int:
        """How many commands are left of the frame."""
        assert self.frame is not None
        return self.frame.count - self._done

    @property
    def state_hash(self) -> int:
        """The hash of the state before the next command, if the journal carries one here."""
        return self.frame.state_hash if self.frame is not None and not self._done else 0

    def rows(self, count: int) -> bytes | memoryview:
        """Return so many of the commands that come next, as they are written."""
        assert self.frame is not None
        start = self._done * COMMAND_BYTES
        return self.frame.commands[start : start + count * COMMAND_BYTES]

    def skip(self, count: int) -> None:
        """Go on behind so many commands of the frame."""
        assert self.frame is not None
        self._done += count
        self.last = self.first - 1
        if self._done == self.frame.count:
            self.frame, self._done = next(self._frames, None), 0

    def drain(self) -> int:
        """Read to the end, and return the last sequence."""
        while self.frame is not None:
            self.skip(self.left)
        return self.last


def journal_in(root: Path) -> Path:
    """Return the journal's folder of a venue's folder, or of one that is a journal itself.

    Raises `NoJournal`.
    """
    for folder in (root / "journal", root):
        if folder.is_dir() and segment_numbers(DISK, folder):
            return folder
    raise NoJournal(f"{root}: no journal lies here; name the folder of a venue, or one of journal segments")


def _start_of(journal: Path) -> Position:
    """Return where what is left of a journal begins."""
    return Position(segment_numbers(DISK, journal)[0], START.offset)


def part(root_a: Path, root_b: Path, progress: Callable[[int], object] = lambda _sequence: None) -> Parting:
    """Compare two journals, and if they are equal the states that they lead to.

    Memory is constant: a frame of each. Raises `NoJournal`, `JournalDamaged` and `ReplayParted`.
    """
    told: list[str] = []
    journals = journal_in(root_a), journal_in(root_b)
    a, b = (Reader(journal, told) for journal in journals)
    first = _align(a, b, told)
    hashes = 0
    while a.frame is not None and b.frame is not None:
        if a.state_hash and b.state_hash:
            hashes += 1
            if a.state_hash != b.state_hash:
                both = Difference("state_hash", f"{a.state_hash:016x}", f"{b.state_hash:016x}")
                what = f"the journals carry different state hashes before sequence {a.first}"
                return _parted(first, a, b, what, [both], hashes, told)
        count = min(a.left, b.left)
        at = _first_difference(a, b, count)
        if at is not None:
            a.skip(at)
            b.skip(at)
            found = _differing(a, b)
            return _parted(first, a, b, f"the journals part at sequence {a.first}", found, hashes, told)
        a.skip(count)
        b.skip(count)
        progress(a.last)
    ends = a.last, b.last
    if (a.frame is None) != (b.frame is None):
        shorter, longer = (root_a, b) if a.frame is None else (root_b, a)
        end = longer.last
        rest = longer.drain() - end
        what = f"{shorter} is a beginning of the other: it ends at sequence {end}, the other has {rest} more"
        return Parting(first, end + 1, what, [], (a.last, b.last), hashes, (None, None), told)
    states = _state_of(root_a, journals[0], told), _state_of(root_b, journals[1], told)
    what = ""
    if None not in states and states[0] != states[1]:
        what = f"all commands are equal, and the replays lead to different states after sequence {ends[0]}"
    return Parting(first, None, what, [], ends, hashes, states, told)


def _align(a: Reader, b: Reader, told: list[str]) -> int:
    """Go on to the first sequence that both have, and return it."""
    if a.frame is None or b.frame is None:
        return 1
    first = max(a.first, b.first)
    for reader in (a, b):
        while reader.frame is not None and reader.first < first:
            reader.skip(min(reader.left, first - reader.first))
    if first > 1:
        told.append(f"compared from sequence {first} on: what lies before it is no longer in both")
    return first


def _parted(
    first: int, a: Reader, b: Reader, what: str, found: list[Difference], hashes: int, told: list[str]
) -> Parting:
    return Parting(first, a.first, what, found, (None, None), hashes, (None, None), told)


def _first_difference(a: Reader, b: Reader, count: int) -> int | None:
    """Return how many of the next commands are equal, if not all of them are."""
    assert a.frame is not None
    assert b.frame is not None
    if a.frame.rules_version != b.frame.rules_version:
        return 0
    if a.frame.digest == b.frame.digest:
        return None
    raw_a, raw_b = a.rows(count), b.rows(count)
    if raw_a == raw_b and a.frame.acts == b.frame.acts:
        return None
    rows_a, rows_b = np.frombuffer(raw_a, COMMAND), np.frombuffer(raw_b, COMMAND)
    differs = np.zeros(count, bool)
    for name in _FIELDS:
        unequal = rows_a[name] != rows_b[name]
        differs |= unequal if unequal.ndim == 1 else unequal.any(axis=1)
    acts = np.flatnonzero((rows_a["kind"] == CommandKind.ACT) & (rows_b["kind"] == CommandKind.ACT))
    if len(acts):
        acts_a, acts_b = decode_acts(bytes(a.frame.acts)), decode_acts(bytes(b.frame.acts))
        for at in acts:
            differs[at] |= acts_a[rows_a["act"][at]] != acts_b[rows_b["act"][at]]
    return int(np.argmax(differs)) if differs.any() else None


def _differing(a: Reader, b: Reader) -> list[Difference]:
    """Return in which fields the next commands differ."""
    assert a.frame is not None
    assert b.frame is not None
    found = []
    if a.frame.rules_version != b.frame.rules_version:
        found.append(Difference("rules_version", a.frame.rules_version, b.frame.rules_version))
    row_a, row_b = (np.frombuffer(reader.rows(1), COMMAND)[0] for reader in (a, b))
    for name in _FIELDS:
        said_a, said_b = _said(name, row_a), _said(name, row_b)
        if said_a != said_b:
            found.append(Difference(name, said_a, said_b))
    act_a, act_b = _act(a.frame, row_a), _act(b.frame, row_b)
    if act_a != act_b:
        found.append(Difference("act", act_a, act_b))
    return found


def _said(name: str, row: np.void) -> object:
    """Return one field of a command as people read it."""
    if name == "client_id":
        return client_id_of(row)
    number = int(row[name])
    words = _WORDS.get(name)
    if words is None or number not in set(words):
        return number
    return words(number).name.lower()


def _act(frame: Frame, row: np.void) -> object:
    """Return the signed act of a command as plain data; None for any other command."""
    if row["kind"] != CommandKind.ACT:
        return None
    return msgspec.to_builtins(decode_acts(bytes(frame.acts))[row["act"]])


def _state_of(root: Path, journal: Path, told: list[str]) -> int | None:
    """Return the hash of the state that a journal leads to; None if what is left cannot be replayed."""
    header = read_header(journal / segment_name(_start_of(journal).segment))
    snapshots = Folder(root).snapshots
    if header is not None and header.sequence and not snapshots.is_dir():
        told.append(f"{journal} was not replayed: its first segments were let go, and no snapshots lie here")
        return None
    follower = Follower(journal, earliest(journal, snapshots))
    try:
        for _ in run_on(follower):
            pass
    except JournalTorn:
        pass
    return follower.engine.state_hash()
