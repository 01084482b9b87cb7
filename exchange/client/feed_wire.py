"""The client's line to the public feed: one stream's own sockets, and what is known of their connection.

Each stream has a line of its own, so that what waits for a slow reader holds up nobody else, and the end of
a stream ends its subscriptions. How to wait is the business of `feed_link.py` (one thread) and
`async_feed_link.py` (an event loop).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import ceil
from typing import Protocol
from weakref import WeakSet

import zmq

from exchange.client.errors import AccessDenied, ExchangeError, ProfileError, ProtocolBroken
from exchange.client.flows import Line, closed
from exchange.client.marketreaders import Reader
from exchange.client.wire import silence_of
from exchange.profiles import Profile
from feeds.builder import Books
from feeds.messages import UnreadableError
from feeds.subscriber import MESSAGES_PER_POLL_MAX, CurveKeys, Subscriber

POLLS_PER_TURN_MAX = 16
"""How often a line is read before who waits is asked whether it was enough: a bound on one turn's work."""

TURN_SECONDS = 0.1
"""A line is looked at so often at least: a feed that falls silent is noticed, and refreshes are asked for."""

_EVENT = struct.Struct("=HI")
_EVENTS = (
    zmq.EVENT_CONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_DISCONNECTED
)


class FeedLine(Line, Protocol):
    """A line to the feed. Its `wait_for` hears all that has come before it asks whether that was enough."""

    @property
    def books(self) -> Books:
        """The books that are followed."""

    @property
    def is_silent(self) -> bool:
        """Whether nothing was heard for three seconds, not even a heartbeat."""

    def follow(self, instrument: int, *, orders: bool = False) -> None:
        """Keep an instrument's book."""

    def listen(self, kind: bytes, instrument: int) -> None:
        """Hear one topic."""

    def ask(self, kind: bytes, instrument: int) -> None:
        """Ask for a refresh; it may not come."""


class Feeds:
    """Where a client's lines to the feed are opened, each when it is needed, and closed at its end."""

    def __init__(self, opened: Callable[[Reader], FeedLine]) -> None:
        self._opened = opened
        self._lines: WeakSet[FeedLine] = WeakSet()
        self._is_closed = False

    def open(self, reader: Reader) -> FeedLine:
        """Return a new line that `reader` hears. Raises `ProfileError` where the profile names no feed."""
        if self._is_closed:
            raise closed("the feed")
        line = self._opened(reader)
        self._lines.add(line)
        return line

    def close(self) -> None:
        """Close every line, and open none any more."""
        self._is_closed = True
        for line in tuple(self._lines):
            line.close()


class FeedWire:
    """The sockets of one stream. It never waits."""

    def __init__(self, profile: Profile, reader: Reader) -> None:
        endpoints = profile.endpoints
        if not endpoints.feed or not endpoints.refresh:
            raise ProfileError(
                "the profile names no feed",
                field="endpoints.feed",
                remedy="write the venue's feed and refresh endpoints into it",
            )
        self.endpoint = endpoints.feed
        self.is_up = False
        self._was_up = self._is_reached = self._is_denied = self._is_closed = False
        self._reader = reader
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._subscriber = Subscriber(
            self._context, endpoints.feed, endpoints.refresh, (), curve_keys(profile)
        )
        self._sockets = self._subscriber.sockets
        self._monitor = self._sockets[0].get_monitor_socket(_EVENTS)
        self._monitor.setsockopt(zmq.LINGER, 0)

    @property
    def books(self) -> Books:
        """The books that are followed."""
        return self._subscriber.books

    @property
    def is_silent(self) -> bool:
        """Whether nothing was heard for three seconds, not even a heartbeat."""
        return self._subscriber.is_stale()

    def follow(self, instrument: int, *, orders: bool = False) -> None:
        """Keep an instrument's book."""
        self._subscriber.follow(instrument, orders=orders)

    def listen(self, kind: bytes, instrument: int) -> None:
        """Hear one topic."""
        self._subscriber.listen(kind, instrument)

    def ask(self, kind: bytes, instrument: int) -> None:
        """Ask for a refresh; it may not come."""
        self._subscriber.ask(kind, instrument)

    def hear(self, timeout: float) -> bool:
        """Take in what has come, waiting for that up to `timeout` seconds. Returns whether there may be more.

        Raises `ConnectionLost` if the line was closed, `AccessDenied`, `ProtocolBroken`.
        """
        if self._is_closed:
            raise closed(self.endpoint)
        self._watch()
        try:
            messages = self._subscriber.poll(ceil(timeout * 1_000))
        except UnreadableError as error:
            raise ProtocolBroken(
                f"the feed at {self.endpoint} cannot be read ({error})",
                remedy="install the release that the venue runs",
            ) from error
        if messages:
            self.is_up = self._was_up = True
        for message in messages:
            self._reader.take(message)
        return len(messages) >= MESSAGES_PER_POLL_MAX

    def hear_all(self) -> None:
        """Take in all that has come, or a bounded part of it."""
        for _ in range(POLLS_PER_TURN_MAX):
            if not self.hear(0.0):
                break

    def _watch(self) -> None:
        """Note connections that came and went. Raises `AccessDenied`."""
        while int(self._monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            event, _ = _EVENT.unpack(self._monitor.recv_multipart(zmq.NOBLOCK)[0])
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.is_up = self._was_up = True
            elif event == zmq.EVENT_CONNECTED:
                self._is_reached = True
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self._is_denied = True
            elif event == zmq.EVENT_DISCONNECTED:
                self.is_up = False
                self._reader.broke()
        if self._is_denied:  # and libzmq tries no more
            raise AccessDenied(
                f"{self.endpoint} does not let this key in",
                field="public_key",
                remedy="have the operator register it, then open a new session",
            )

    def silence(self, what: str) -> ExchangeError:
        """Return the error for what was not heard: what is known of the reason."""
        return silence_of(
            self.endpoint, what, is_up=self.is_up, was_up=self._was_up, is_reached=self._is_reached
        )

    def close(self) -> None:
        """Close the sockets for good."""
        if not self._is_closed:
            self._is_closed = True
            self.is_up = False
            self._sockets[0].disable_monitor()
            self._monitor.close()
            self._subscriber.close()
            self._context.term()


def curve_keys(profile: Profile) -> CurveKeys:
    """Return the keys that the feed's sockets are set to."""
    return CurveKeys(
        profile.server_key.encode("ascii"),
        profile.public_key.encode("ascii"),
        profile.secret_key.encode("ascii"),
    )
