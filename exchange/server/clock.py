"""The venue's clock: the time of day, as it passes and not as it is set."""

from __future__ import annotations

import time
from collections.abc import Callable

JUMP_NS = 10**9
"""A wall clock that is off by less is followed; one that is further off has been set. Time servers slew
by half a millisecond a second, and step only what is off by more than 128 ms."""


class SteadyClock:
    """The time in ns since 1970, which never runs back and never jumps.

    It moves on with a clock that nobody sets. The wall clock is followed while the two are less than
    `JUMP_NS` apart: ahead at once, back by standing still until it has caught up. If they are further apart
    this clock keeps its own pace, and tells so once, until they agree again.

    >>> steps = iter([0, 100, 200]), iter([5_000, 5_100, 5_250])
    >>> clock = SteadyClock(print, wall=lambda: next(steps[1]), steady=lambda: next(steps[0]))
    >>> clock(), clock()
    (5100, 5250)
    """

    def __init__(
        self,
        told: Callable[[str], object] = lambda _: None,
        wall: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._told = told
        self._wall = wall
        self._steady = steady
        self._steady_then = steady()
        self._now = wall()
        self._is_parted = False

    def __call__(self) -> int:
        """Return the time. It costs a third of a microsecond more than asking the wall clock."""
        steady, wall = self._steady(), self._wall()
        own = self._now + steady - self._steady_then
        self._steady_then = steady
        ahead = wall - own
        if -JUMP_NS < ahead < JUMP_NS:
            self._now = max(self._now, wall)
            self._is_parted = False
            return self._now
        self._now = own
        if not self._is_parted:
            self._is_parted = True
            where = "ahead of" if ahead > 0 else "behind"
            self._told(
                f"The wall clock was set: it is {abs(ahead) // JUMP_NS} s {where} the venue's, which keeps "
                "its own pace. If the wall clock is right, start the venue anew when it is quiet."
            )
        return own
