"""A member's place at the venue: a real session, a clock that may be wrong, a line that comes and goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from exchange.client.session import Session


class Seat:
    """One member's program, as far as the world carries frames for it.

    `key` proves its name, `skew_ns` is by how much its clock is wrong. `connection` is the number of the line
    that it has, 0 for none; a `deaf` seat reads nothing of what comes.
    """

    def __init__(self, name: str, key: str, clock: Callable[[], int], *, cancel_on_disconnect: bool) -> None:
        self.name = name
        self.key = key
        self.session = Session(cancel_on_disconnect=cancel_on_disconnect)
        self.skew_ns = 0
        self.connection = 0
        self.is_deaf = False
        self.unread: deque[bytes] = deque()
        """How many sessions the venue ended for good, so that a new one was begun."""
        self._guards = cancel_on_disconnect
        self._clock = clock

    @property
    def is_up(self) -> bool:
        """Whether it has a line, as far as it knows."""
        return self.connection != 0

    def clock(self) -> int:
        """Return the seat's own time, ns since 1970."""
        return self._clock() + self.skew_ns

    def begin_anew(self) -> None:
        """Begin a new session, as a program that was started again: it knows nothing of before."""
        self.session = Session(cancel_on_disconnect=self._guards)
