"""Calls as flows: a call is written once, as a generator that yields what it waits for.

A shell drives it: the synchronous one takes turns at its socket until the wait is over, the asynchronous
one lets its event loop do so. What a flow raises, returns and takes back is the same in both.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Generator
from time import monotonic
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

from exchange.client.errors import BadInput, ConnectionLost, ExchangeError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

TIMEOUT_SECONDS = 5.0
"""How long a call waits for its answer, unless it is told otherwise."""


class Line(Protocol):
    """One connection and the conversation on it, as flows see it."""

    endpoint: str
    is_up: bool

    def wait_for(self, done: Callable[[], bool], deadline: float) -> bool | Awaitable[bool]:
        """Say and hear until `done`, or until `deadline` by `time.monotonic`; tell whether it was done.

        At least one turn is taken, unless it is done already.
        """

    def silence(self, what: str) -> ExchangeError:
        """Return the error for an answer that did not come."""

    def close(self) -> None:
        """Close the connection."""


class QueryLine(Line, Protocol):
    """A line on which something may be said that nobody waits for an answer to."""

    def nudge(self) -> None:
        """Hand over what is to be said, as far as that goes without waiting."""


class Wait(NamedTuple):
    """What a flow waits for; it is told whether that came about before the deadline."""

    line: Line
    done: Callable[[], bool]
    deadline: float


Flow: TypeAlias = Generator[Wait, bool, T]
"""A call under way. It takes back what it still awaits when it ends, in whatever way."""


class Stream(Protocol[T_co]):
    """What comes one by one: each `next` is a flow, and None is the end."""

    def next(self) -> Flow[T_co | None]:
        """Wait for the next one."""

    def close(self) -> None:
        """Let go of what it is read from; there is no next one any more."""


def never() -> bool:
    """Say that a wait is not over: it lasts until its deadline."""
    return False


def deadline_after(timeout: float) -> float:
    """Return the moment that is `timeout` seconds ahead, by `time.monotonic`. Raises `BadInput`."""
    if not 0 <= timeout < math.inf:
        raise BadInput(
            f"timeout {timeout!r} is no time to wait",
            field="timeout",
            value=timeout,
            remedy="give seconds, 0 or more",
        )
    return monotonic() + timeout


def closed(endpoint: str) -> ConnectionLost:
    """Return the error for who speaks after the end."""
    return ConnectionLost(f"this session with {endpoint} was closed", remedy="open a new one")
