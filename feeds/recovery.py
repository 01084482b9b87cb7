"""Which messages of a topic a reader has, and which have not come: the numbers of one run of the publisher.

Of a `Chain` each message builds on the one before; of a `Latest` the highest number holds; of `Seen` each
stands for itself, and what has not come is missed.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

NOTHING = -1
"""The number of the last message applied, before there is one. Topics count from 1; a refresh taken
before a topic's first message is as of number 0."""

KEPT_MAX = 65_536
"""Most messages of a chain kept while a refresh is under way; the oldest go first. A gap that long takes a
newer refresh, and gets one."""

MISSING_MAX = 1_024
"""Most stretches of missing numbers remembered; the oldest go first, and stay counted."""

T = TypeVar("T")


class Chain(Generic[T]):
    """The topic that a book is made from: its messages are applied number after number, from a refresh on."""

    def __init__(self) -> None:
        self.number = NOTHING
        """The last message applied."""
        self.known = 0
        """The highest number that the publisher is known to have sent."""
        self.kept: dict[int, T] = {}

    @property
    def is_whole(self) -> bool:
        """Tell whether all that is known to have been sent has been applied."""
        return self.number >= self.known

    def note(self, number: int) -> None:
        """Learn that a message of this number has been sent."""
        self.known = max(self.known, number)

    def take(self, number: int, message: T) -> list[T]:
        """Keep a message; return those to be applied now, in their order, which count as applied."""
        if number <= self.number:
            return []
        self.note(number)
        self.kept[number] = message
        if len(self.kept) > KEPT_MAX:
            del self.kept[next(iter(self.kept))]
        return self._next()

    def begin(self, number: int) -> list[T]:
        """Go on from a refresh as of `number`; return what was kept and is to be applied to it."""
        self.number = number
        self.note(number)
        self.kept = {at: message for at, message in self.kept.items() if at > number}
        return self._next()

    def _next(self) -> list[T]:
        ready: list[T] = []
        if self.number == NOTHING:
            return ready
        while (message := self.kept.pop(self.number + 1, None)) is not None:
            self.number += 1
            ready.append(message)
        return ready


class Latest(Generic[T]):
    """A topic of which the highest number holds: what was between is of no more use."""

    def __init__(self) -> None:
        self.number = NOTHING
        self.known = 0
        self.value: T | None = None

    @property
    def is_whole(self) -> bool:
        """Tell whether what holds is the last that is known to have been sent."""
        return self.number >= self.known

    def note(self, number: int) -> None:
        """Learn that a message of this number has been sent."""
        self.known = max(self.known, number)

    def take(self, number: int, value: T) -> None:
        """Take what a message or a refresh says, unless something newer is known."""
        if number > self.number:
            self.number = number
            self.value = value


class Seen:
    """A topic whose messages each stand for themselves: which of its numbers never came."""

    def __init__(self) -> None:
        self.missed = 0
        """How many have not come, over all runs of the publisher."""
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the numbers of a run that is over; what was missed of it stays counted."""
        self._last: int | None = None
        self._missing: deque[range] = deque(maxlen=MISSING_MAX)

    @property
    def missing(self) -> list[range]:
        """The numbers of this run that have not come, in stretches, lowest first."""
        return list(self._missing)

    def begin(self, number: int) -> None:
        """Learn what the last number was when the reader joined; nothing before it counts as missed."""
        if self._last is None:
            self._last = number

    def note(self, number: int) -> None:
        """Learn that all up to this number has been sent: what has not come is missed."""
        self.begin(number)
        self._miss_until(number + 1)

    def take(self, number: int) -> None:
        """Learn that a message has come. One that comes twice changes nothing, one that comes late heals."""
        self.begin(number - 1)
        self._miss_until(number)
        if self._last is not None and number > self._last:
            self._last = number
            return
        for at, stretch in enumerate(self._missing):
            if number in stretch:
                rest = (range(stretch.start, number), range(number + 1, stretch.stop))
                halves = [part for part in rest if part]
                kept = [*list(self._missing)[:at], *halves, *list(self._missing)[at + 1 :]]
                self._missing = deque(kept, MISSING_MAX)
                self.missed -= 1
                return

    def _miss_until(self, number: int) -> None:
        """Count what lies between the last number and this one as missed."""
        if self._last is not None and number > self._last + 1:
            self.missed += number - self._last - 1
            self._missing.append(range(self._last + 1, number))
            self._last = number - 1
