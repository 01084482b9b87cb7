"""Merkle roots over the commands of a venue's day, as in RFC 6962: a proof of one shows none of the others.

A leaf is one command as the journal has it, integers little-endian:

     at  bytes  what
      0      8  its sequence
      8      8  time of its frame in ns since 1970, signed
     16    128  the command, byte for byte
    144      …  its act's bytes if it has one: the element of the frame's acts that it names

A leaf's digest is SHA-256 of 00 and the leaf, a node's SHA-256 of 01, its left and its right child. Of n
leaves, the left subtree has the largest power of two below n. A day is one of the venue's, by frames' times.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from enum import IntEnum
from hashlib import sha256
from pathlib import Path

import msgspec

from exchange.protocol.messages import UNREADABLE
from exchange.protocol.records import COMMAND_FIELDS, COMMAND_STRUCT
from exchange.server.disk import DISK
from exchange.server.frames import GENESIS, START, Frame, JournalTorn, Position
from exchange.server.reading import read_frames, segment_numbers
from matching.vocabulary import CommandKind, OrderType, Side, TimeInForce
from settlement.terms import VENUE_OFFSET_NS

FORMAT = "tokenbourse-proof-1"
DIGEST_BYTES = len(GENESIS)
DAY_NS = 86_400 * 10**9
HEAD = struct.Struct("<qq")
"""What stands in a leaf before the command: sequence, and the frame's time."""

LEAF_BYTES_LEAST = HEAD.size + COMMAND_STRUCT.size

BLOCK = 1 << 16
"""Leaves that are kept before they are folded into one node: 2 MiB of digests, however long the day."""

_ACT_AT = struct.calcsize(
    "<" + "".join(code for _, code in COMMAND_FIELDS[: [name for name, _ in COMMAND_FIELDS].index("act")])
)
_ACT = struct.Struct("<i")
_RAW_ACTS = msgspec.msgpack.Decoder(tuple[msgspec.Raw, ...])


class NotInJournal(Exception):
    """No such command stands in what there is of the journal; the message says what does."""


class DayRoot(msgspec.Struct, frozen=True):
    """One day of the venue: its commands, the chain's head, and the Merkle root of its leaves.

    `head` is the digest of the day's last frame, in hex. A day `is_final` when the journal has a command of a
    later one. It `is_whole` unless the journal's first segments were let go, and with them perhaps some of
    the day's commands.
    """

    day: date
    first: int
    last: int
    frames: int
    head: str
    root: str
    is_final: bool
    is_whole: bool


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """That one command is a leaf of a day's tree. Bytes in hex; `path` from the leaf's neighbour up.

    `index` is the leaf's place among `leaves`, from 0. `frame` is the digest of the frame that holds the
    command, `entry` the leaf in words: whoever checks reads them again from the leaf.
    """

    format: str = FORMAT
    day: date
    sequence: int
    index: int
    leaves: int
    leaf: str
    path: tuple[str, ...]
    root: str
    is_final: bool
    frame: str
    entry: dict[str, object]


class Tree:
    """A Merkle tree of a day: leaves' digests in, the root out, and the path of one leaf if it is `wanted`.

    Pairing neighbours level by level, the odd one going up as it is, gives the tree of RFC 6962; so do full
    blocks, each folded by itself. No object is kept a node: digests lie one behind the other.
    """

    def __init__(self, wanted: int | None = None) -> None:
        self.leaves = 0
        self.path: list[bytes] = []
        self._wanted = wanted
        self._tail = bytearray()
        self._blocks = bytearray()

    def add(self, digests: bytes) -> None:
        """Add leaves' digests, one behind the other."""
        self._tail += digests
        self.leaves += len(digests) // DIGEST_BYTES
        size = BLOCK * DIGEST_BYTES
        while len(self._tail) >= size:
            self._fold(size)

    def root(self) -> bytes:
        """Return the root, and complete `path`; call it once, in the end."""
        assert self.leaves, "a day has a command"
        if self._tail:
            self._fold(len(self._tail))
        place = None if self._wanted is None else self._wanted // BLOCK
        return self._climb(bytes(self._blocks), place)

    def _fold(self, size: int) -> None:
        """Fold what stands first in the tail into one node."""
        begin = len(self._blocks) // DIGEST_BYTES * BLOCK
        is_wanted = self._wanted is not None and 0 <= self._wanted - begin < BLOCK
        place = self._wanted - begin if is_wanted and self._wanted is not None else None
        self._blocks += self._climb(bytes(self._tail[:size]), place)
        del self._tail[:size]

    def _climb(self, level: bytes, place: int | None) -> bytes:
        """Return the node above a level; note the neighbours of what stands at `place` on the way."""
        while len(level) > DIGEST_BYTES:
            if place is not None:
                beside = (place ^ 1) * DIGEST_BYTES
                if beside < len(level):
                    self.path.append(level[beside : beside + DIGEST_BYTES])
                place //= 2
            level = _level_above(level)
        return level


def _level_above(level: bytes) -> bytes:
    """Return a level's parents; the last node goes up as it is if it has no neighbour."""
    pair = 2 * DIGEST_BYTES
    whole = len(level) - len(level) % pair
    parents = [sha256(b"\x01" + level[at : at + pair]).digest() for at in range(0, whole, pair)]
    return b"".join((*parents, level[whole:]))


def leaves_of(frame: Frame) -> list[bytes]:
    """Return a frame's leaves, one a command."""
    size, commands = COMMAND_STRUCT.size, bytes(frame.commands)
    acts = _RAW_ACTS.decode(frame.acts) if frame.acts else ()
    pack, time, first = HEAD.pack, frame.time, frame.first
    leaves = [pack(first + row, time) + commands[row * size : (row + 1) * size] for row in range(frame.count)]
    if acts:
        for row in range(frame.count):
            if commands[row * size] == CommandKind.ACT:
                (act,) = _ACT.unpack_from(commands, row * size + _ACT_AT)
                leaves[row] += bytes(acts[act])
    return leaves


def digest_of(leaf: bytes) -> bytes:
    """Return a leaf's digest."""
    return sha256(b"\x00" + leaf).digest()


def day_of(time: int) -> date:
    """Return the venue's day of a time in ns since 1970."""
    return datetime.fromtimestamp((time + VENUE_OFFSET_NS) // 10**9, UTC).date()


def frames_there(journal: Path, told: list[str]) -> Iterator[Frame]:
    """Yield the frames of what there is of a journal, each checked; say in `told` what is not whole.

    The venue may run: it ends at the last whole frame. Raises `JournalDamaged`.
    """
    numbers = segment_numbers(DISK, journal)
    first = numbers[0] if numbers else START.segment
    if first != START.segment:
        told.append(f"the journal begins at segment {first}: its first day may lack commands")
    try:
        yield from read_frames(journal, Position(first, START.offset))
    except JournalTorn as torn:
        told.append(f"the journal ends in a frame that is not whole yet: {torn}")


class _Day:
    """What is known of a day while its frames are read; `tree` is None if nobody asks for its root."""

    def __init__(self, number: int, first: int, tree: Tree | None, *, is_whole: bool) -> None:
        self.number = number
        self.first = first
        self.last = first - 1
        self.frames = 0
        self.head = GENESIS
        self.tree = tree
        self.is_whole = is_whole

    def add(self, frame: Frame) -> None:
        """Take in a frame of this day."""
        self.frames += 1
        self.last, self.head = frame.last, frame.digest
        if self.tree is not None:
            self.tree.add(b"".join([sha256(b"\x00" + leaf).digest() for leaf in leaves_of(frame)]))

    def told(self, *, is_final: bool) -> DayRoot:
        """Return what there is to say of the day."""
        root = "" if self.tree is None else self.tree.root().hex()
        day = day_of(self.number * DAY_NS - VENUE_OFFSET_NS)
        return DayRoot(
            day, self.first, self.last, self.frames, self.head.hex(), root, is_final, self.is_whole
        )


def _days(
    frames: Iterator[Frame],
    tree_for: Callable[[int, int], Tree | None],
    progress: Callable[[int], object],
) -> Iterator[tuple[_Day, bool]]:
    """Yield each day when its last frame was read, and whether a later one follows.

    `tree_for` is given the number of a day that begins (days since 1970) and its first sequence.
    """
    day: _Day | None = None
    for frame in frames:
        number = (frame.time + VENUE_OFFSET_NS) // DAY_NS
        if day is None or number != day.number:
            if day is not None:
                yield day, True
            is_whole = day is not None or frame.first == 1
            day = _Day(number, frame.first, tree_for(number, frame.first), is_whole=is_whole)
        day.add(frame)
        progress(frame.last)
    if day is not None:
        yield day, False


def roots(
    journal: Path,
    told: list[str],
    day: date | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> list[DayRoot]:
    """Return each day of a journal with its root, or one day. Raises `JournalDamaged`, `NotInJournal`."""
    wanted = None if day is None else (day - date(1970, 1, 1)).days

    def tree_for(number: int, _first: int) -> Tree | None:
        return Tree() if wanted in (None, number) else None

    found = []
    for one, is_final in _days(frames_there(journal, told), tree_for, progress):
        if one.tree is not None:
            found.append(one.told(is_final=is_final))
    if not found:
        raise NotInJournal(f"day {day}: the journal has no command of it" if day else "the journal is empty")
    return found


def prove(
    journal: Path, sequence: int, told: list[str], progress: Callable[[int], object] = lambda _: None
) -> Proof:
    """Return the proof that a command stands in its day. Raises `JournalDamaged`, `NotInJournal`."""
    home, seen = _home_of(journal, sequence)
    if home is None:
        raise NotInJournal(f"sequence {sequence}: the journal has {seen or 'no command'}")
    number = (home.time + VENUE_OFFSET_NS) // DAY_NS

    def tree_for(begun: int, first: int) -> Tree | None:
        return Tree(sequence - first) if begun == number else None

    for one, is_final in _days(frames_there(journal, told), tree_for, progress):
        if one.tree is not None:
            leaf = leaves_of(home)[sequence - home.first]
            root = one.tree.root()
            return Proof(
                day=day_of(home.time),
                sequence=sequence,
                index=sequence - one.first,
                leaves=one.tree.leaves,
                leaf=leaf.hex(),
                path=tuple(node.hex() for node in one.tree.path),
                root=root.hex(),
                is_final=is_final,
                frame=home.digest.hex(),
                entry=entry_of(leaf),
            )
    raise NotInJournal(f"sequence {sequence}: the journal ends before it")


def _home_of(journal: Path, sequence: int) -> tuple[Frame | None, str]:
    """Return the frame of a command, or None and in words which sequences there are."""
    first = last = 0
    for frame in frames_there(journal, []):
        first, last = first or frame.first, frame.last
        if frame.first <= sequence <= frame.last:
            return frame, ""
        if frame.first > sequence:
            break
    return None, f"{first} to {last}" if last else ""


# --- checking ------------------------------------------------------------------------------------


def faults_of(proof: Proof, root: str) -> list[str]:
    """Return what is wrong with a proof, held against a root that was had otherwise; empty: it holds.

    What is proven is the leaf: its sequence, its time, its command and act. The root does not hold how many
    leaves there are: `index`, `leaves`, `frame` and `is_final` are what whoever wrote the proof says.
    """
    try:
        leaf = bytes.fromhex(proof.leaf)
        path = [bytes.fromhex(node) for node in proof.path]
        trusted = bytes.fromhex(root)
    except ValueError as error:
        return [f"leaf, path, root: {error}; they are hexadecimal digits"]
    if len(leaf) < LEAF_BYTES_LEAST:
        return [f"leaf: {len(leaf)} bytes, and a command alone has {LEAF_BYTES_LEAST}"]
    wrong = []
    if proof.format != FORMAT:
        wrong.append(f"format: {proof.format!r}, and this program checks {FORMAT!r}")
    sequence, time = HEAD.unpack_from(leaf)
    if sequence != proof.sequence:
        wrong.append(f"sequence: {proof.sequence}, and the leaf is that of {sequence}")
    if day_of(time) != proof.day:
        wrong.append(f"day: {proof.day}, and the leaf is of {day_of(time)}")
    if not 0 <= proof.index < proof.leaves:
        wrong.append(f"index: {proof.index} of {proof.leaves} leaves")
    elif root_from(digest_of(leaf), proof.index, proof.leaves, path) != trusted:
        wrong.append(f"path: it does not lead from the leaf to the root {root}")
    elif proof.root.lower() != trusted.hex():
        wrong.append("root: the proof names another")
    return wrong or _entry_faults(proof, leaf)


def _entry_faults(proof: Proof, leaf: bytes) -> list[str]:
    """Return whether the leaf in words is what the leaf says."""
    try:
        entry = entry_of(leaf)
    except UNREADABLE as error:
        return [f"leaf: its act cannot be read: {error}"]
    if msgspec.json.encode(proof.entry) != msgspec.json.encode(entry):
        return ["entry: what it says in words is not what the leaf says"]
    return []


def root_from(digest: bytes, index: int, leaves: int, path: list[bytes]) -> bytes | None:
    """Return the root that a path leads to from a leaf, None if it is too short or too long."""
    at, last, rest = index, leaves - 1, list(path)
    while last:
        if at % 2 or at < last:
            if not rest:
                return None
            beside = rest.pop(0)
            digest = sha256(b"\x01" + (beside + digest if at % 2 else digest + beside)).digest()
        at, last = at // 2, last // 2
    return None if rest else digest


def _word(words: type[IntEnum], code: object) -> object:
    """Return a code in words, or as it is where there is none for it."""
    return next((one.name.lower() for one in words if one.value == code), code)


def entry_of(leaf: bytes) -> dict[str, object]:
    """Return a leaf in words: sequence, time, the command's fields that are set, and its act.

    Members and instruments are numbers here, as in the journal; `bourse inspect` names them.
    """
    sequence, time = HEAD.unpack_from(leaf)
    values = COMMAND_STRUCT.unpack_from(leaf, HEAD.size)
    fields = dict(zip((name for name, _ in COMMAND_FIELDS), values, strict=True))
    kind = fields.pop("kind")
    entry: dict[str, object] = {"sequence": sequence, "time_ns": time, "kind": _word(CommandKind, kind)}
    for name, value in fields.items():
        if isinstance(value, bytes):
            if value.strip(b"\0"):
                entry[name] = value.rstrip(b"\0").decode("ascii", "backslashreplace")
        elif value not in (0, -1) or name in ("instrument", "member"):
            entry[name] = value
    if kind == CommandKind.NEW:
        words = {"side": Side, "type": OrderType, "time_in_force": TimeInForce}
        entry |= {name: _word(word, fields[name]) for name, word in words.items()}
    act = leaf[LEAF_BYTES_LEAST:]
    if act:
        entry["act"] = msgspec.msgpack.decode(act)
    return entry
