"""The log run again: to its end, to a sequence or to a state hash, flat out or in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import NamedTuple

import numpy as np

from exchange.engine import Outcome
from exchange.server.folder import Folder
from exchange.server.follower import Follower, joined, together
from exchange.server.frames import COMMAND_BYTES, Frame, JournalDamaged, JournalTorn
from exchange.server.read_ahead import read_ahead
from exchange.server.replay import apply_frame, beginning, earliest
from exchange.server.snapshots import Begun
from matching.vocabulary import EventKind

WAIT_SECONDS_MAX = 5.0
"""Longest wait between two frames of a replay in the journal's own time: a quiet night is not sat through."""

_NAP_SECONDS = 0.2
"""How long a wait sleeps before it looks whether it should end."""

Cut = Callable[[Frame], Iterable[int]]
"""Tells behind which sequences inside a frame that is to be applied in parts, in rising order."""


def whole(_frame: Frame) -> Iterable[int]:
    """Cut a frame nowhere."""
    return ()


def at(*sequences: int) -> Cut:
    """Return what cuts frames behind these sequences."""
    return lambda frame: [one for one in sorted(sequences) if frame.first <= one < frame.last]


def each_from(first: int) -> Cut:
    """Return what cuts frames behind each command from `first` - 1 on."""
    return lambda frame: range(max(frame.first, first - 1), frame.last)


def parted(frame: Frame, sequence: int) -> tuple[Frame, Frame]:
    """Return a frame as two, the first up to `sequence`. Where a batch is cut changes no event.

    The digest and the end of both are the whole frame's: only who has applied both stands there.
    """
    count = sequence - frame.first + 1
    bytes_before = count * COMMAND_BYTES
    head = frame._replace(count=count, commands=frame.commands[:bytes_before])
    tail = frame._replace(
        first=sequence + 1,
        count=frame.count - count,
        commands=frame.commands[bytes_before:],
        state_hash=0,
    )
    return head, tail


def run_on(
    follower: Follower, last: int | None = None, cut: Cut = whole, *, singly: bool = False
) -> Iterator[tuple[Frame, Outcome]]:
    """Apply what comes next, up to and with the command `last`, and yield each piece with what it brought.

    Small frames are applied together, unless `singly`. An outcome is valid until the next is asked for.
    What is whole is applied before `JournalTorn` or another `JournalDamaged` is raised; also raises
    `ReplayParted`.
    """
    damage: list[JournalDamaged] = []

    def readable() -> Iterator[Frame]:
        try:
            for frame in follower.ahead():
                yield frame
                if last is not None and frame.last >= last:
                    return
        except JournalDamaged as found:
            damage.append(found)

    if last is not None and last <= follower.engine.sequence:
        return
    one_by_one = ((frame, 1) for frame in readable())
    lots = ((joined(lot), len(lot)) for lot in together(readable()))
    with closing(one_by_one if singly else read_ahead(lots)) as pieces:
        for lot, frames in pieces:
            frame = lot
            ends = sorted({*cut(frame), *(at(last)(frame) if last is not None else ())})
            for end in ends:
                head, frame = parted(frame, end)
                yield head, apply_frame(follower.engine, head)
                if end == last:
                    return
            yield frame, follower.take(frame, frames)
    if damage:
        raise damage[0]


class Pace:
    """Waits until a frame is due in the journal's own time, `speed` times as fast."""

    def __init__(
        self,
        speed: float,
        is_told: Callable[[], bool],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.shortened = 0
        self._speed = speed
        self._is_told = is_told
        self._sleep = sleep
        self._clock = clock
        self._due: float | None = None
        self._time = 0

    def wait_for(self, time_ns: int) -> None:
        """Sleep until what the journal has at `time_ns` is due, at most `WAIT_SECONDS_MAX`."""
        now = self._clock()
        gap = (time_ns - self._time) / 1e9 / self._speed if self._due is not None else 0.0
        if gap > WAIT_SECONDS_MAX:
            gap = WAIT_SECONDS_MAX
            self.shortened += 1
        self._due = (now if self._due is None else self._due) + gap
        self._time = time_ns
        while (left := self._due - self._clock()) > 0 and not self._is_told():
            self._sleep(min(left, _NAP_SECONDS))


class Wish(NamedTuple):
    """What is asked of a replay.

    `first` and `last` are sequences, the latter the last that is applied; `until_hash` is where it stops,
    `speed` how many times as fast as the journal's own time, None: flat out.
    """

    first: int | None = None
    last: int | None = None
    until_hash: int | None = None
    speed: float | None = None


class Rerun(NamedTuple):
    """How a replay went. `since` is the sequence behind which it began, `commands` where it stands now.

    `events` counts what happened from `Wish.first` on, by kind. `found`: the state hash that was asked for
    was met; None if none was asked for. `interrupted`: it was told to end before.
    """

    since: int
    commands: int
    time: int
    state_hash: int
    events: dict[str, int]
    found: bool | None
    interrupted: bool
    told: list[str]


Progress = Callable[[int, int], None]
"""Told the sequence that a replay has come to, and the journal's time there (ns)."""


def begin(place: Folder, first: int | None) -> Begun:
    """Return where a replay begins that is to tell from the command `first` on, or of all that is left.

    Raises `JournalDamaged` if the journal's beginning is gone and no snapshot stands in for it.
    """
    if first is None:
        return earliest(place.journal, place.snapshots)
    begun = beginning(place.journal, place.snapshots, max(first - 1, 0))
    if begun.mark.sequence:
        begun = begun._replace(
            told=(*begun.told, f"Begun at the snapshot of sequence {begun.mark.sequence}.")
        )
    return begun


def rerun(
    place: Folder,
    wish: Wish,
    progress: Progress = lambda _sequence, _time: None,
    is_told: Callable[[], bool] = lambda: False,
    pace: Pace | None = None,
) -> Rerun:
    """Run a venue's log again as it is wished. It ends early when `is_told` says so.

    Raises `JournalDamaged` and `ReplayParted`; a frame that is not whole yet is told, and is the end.
    """
    begun = begin(place, wish.first)
    since = begun.mark.sequence
    told = list(begun.told)
    follower = Follower(place.journal, begun)
    seeker = None if wish.until_hash is None else _Seeker(wish.until_hash, follower, wish)
    if pace is None and wish.speed is not None:
        pace = Pace(wish.speed, is_told)
    first = wish.first or since + 1
    counted = np.zeros(len(EventKind), np.int64)
    is_over = False
    try:
        is_here = seeker is not None and seeker.is_here()
        pieces = () if is_here else _pieces(follower, wish, seeker, first, singly=pace is not None)
        for frame, outcome in pieces:
            if frame.last >= first:
                counted += np.bincount(outcome.events["kind"], minlength=len(EventKind))
                if pace is not None:
                    pace.wait_for(frame.time)
            progress(frame.last, frame.time)
            is_over = is_told()
            if is_over or (seeker is not None and seeker.is_here()):
                break
    except JournalTorn as torn:
        told.append(f"the journal ends in a frame that is not whole yet: {torn}")
    engine = follower.engine
    state_hash = engine.state_hash()
    if seeker is not None:
        told.append(seeker.compared)
    if pace is not None and pace.shortened:
        told.append(f"{pace.shortened} waits were shortened to {WAIT_SECONDS_MAX:g} s")
    return Rerun(
        since=since,
        commands=engine.sequence,
        time=engine.time,
        state_hash=state_hash,
        events={kind.name.lower(): int(counted[kind]) for kind in EventKind if counted[kind]},
        found=None if seeker is None else state_hash == wish.until_hash,
        interrupted=is_over,
        told=told,
    )


def _pieces(
    follower: Follower, wish: Wish, seeker: _Seeker | None, first: int, *, singly: bool
) -> Iterator[tuple[Frame, Outcome]]:
    """Yield what is applied, in the pieces behind which there is something to do."""
    if seeker is None:
        return run_on(follower, wish.last, at(first - 1), singly=singly)
    return run_on(follower, seeker.last, seeker.cut, singly=singly or seeker.looks)


class _Seeker:
    """Looks for the first point at which the state has a hash.

    The hashes that the journal carries are looked at first, for that costs no replay: `last` is then where
    it is. Otherwise the state is compared behind each frame, and behind each command from `Wish.first` on.
    """

    def __init__(self, wanted: int, follower: Follower, wish: Wish) -> None:
        self._wanted = wanted
        self._engine = follower.engine
        self.last = wish.last
        self._carried = self._states = 0
        self.looks = True
        self.cut = whole if wish.first is None else each_from(wish.first)
        try:
            for frame in follower.ahead():
                if wish.last is not None and frame.first > wish.last + 1:
                    break
                self._carried += frame.state_hash != 0
                if frame.state_hash == wanted:
                    self.last, self.looks, self.cut = frame.first - 1, False, whole
                    break
        except JournalTorn:
            return

    @property
    def compared(self) -> str:
        """What the hash was compared with, in words."""
        where = f"compared with {self._carried} hashes that the journal carries"
        return f"{where}, and with the state at {self._states} points" if self.looks else where

    def is_here(self) -> bool:
        """Tell whether the state, as it is now, has the hash."""
        if not self.looks:
            return False
        self._states += 1
        return self._engine.state_hash() == self._wanted
