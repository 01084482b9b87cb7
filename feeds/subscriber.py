"""The feed's sockets on the reader's side: a SUB for what is published, a DEALER for refreshes.

>>> import zmq
>>> context = zmq.Context()
>>> feed = Subscriber(context, "tcp://127.0.0.1:9", "tcp://127.0.0.1:9", instruments=[7])
>>> feed.poll(timeout_ms=0), feed.books[7].state
([], <State.WAITING: 'waiting'>)
>>> feed.close()
>>> context.term()

A subscription reaches the publisher some time after it was made, and what is published until then
passes by. That needs no waiting and no handshake: a refresh heals it like any other loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import NamedTuple, Self

import zmq

from feeds.builder import Books
from feeds.messages import (
    DEPTH,
    HEARTBEAT,
    INDICATIVE,
    MESSAGE_BYTES_MAX,
    STATUS,
    TRADES,
    Message,
    read,
    topic,
    write_ask,
)

MESSAGES_PER_POLL_MAX = 1024
"""Most messages taken from each socket in one poll: a bound on how long one poll works."""

UPDATES_KEPT_MAX = 100_000
"""High-water mark of the SUB socket. At the mark libzmq drops what comes; the gap is then seen and
healed by a refresh, which is cheaper than a reader that falls ever further behind."""

ASKS_KEPT_MAX = 256
"""High-water mark of the DEALER socket. At the mark an ask is not sent, and stays due."""

LINGER_MS = 0
"""Nothing that a reader sends is worth waiting for when it closes."""

HANDSHAKE_MS = 5_000
PROBE_MS = 1_000
PROBE_PATIENCE_MS = 5_000
"""A connection that dies without a word is noticed by pings (ZMTP's own), and made anew."""


class CurveKeys(NamedTuple):
    """The venue's public key and one's own pair, each 40 characters of Z85."""

    server: bytes
    public: bytes
    secret: bytes


class Subscriber:
    """Reads the feed and keeps `books` of the instruments followed. Belongs to one thread.

    `published` and `refreshes` are the venue's endpoints; `clock` returns ns that never run back.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        published: str,
        refreshes: str,
        instruments: Iterable[int] = (),
        keys: CurveKeys | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.books = Books()
        self._clock = clock
        self._updates = _opened(context, zmq.SUB, keys)
        self._updates.setsockopt(zmq.RCVHWM, UPDATES_KEPT_MAX)
        self._refreshes = _opened(context, zmq.DEALER, keys)
        self._refreshes.setsockopt(zmq.SNDHWM, ASKS_KEPT_MAX)
        self._refreshes.setsockopt(zmq.RCVHWM, ASKS_KEPT_MAX)
        self._refreshes.setsockopt(zmq.IMMEDIATE, 1)  # no ask waits for a connection to come
        self._updates.subscribe(topic(HEARTBEAT))
        for instrument in instruments:
            self.follow(instrument)
        self._updates.connect(published)
        self._refreshes.connect(refreshes)
        self._poller = zmq.Poller()
        self._poller.register(self._updates, zmq.POLLIN)
        self._poller.register(self._refreshes, zmq.POLLIN)

    def follow(self, instrument: int) -> None:
        """Subscribe to all that is told of one more instrument, and keep its book."""
        self.books.add(instrument)
        for kind in (TRADES, STATUS, INDICATIVE, DEPTH):
            self._updates.subscribe(topic(kind, instrument))

    def poll(self, timeout_ms: int) -> list[Message]:
        """Return what has come, waiting up to `timeout_ms` for it; the books have taken it already.

        At most `MESSAGES_PER_POLL_MAX` of what is published and as many refreshes; nothing, sooner,
        when a connection has come that refreshes can be asked on. They are asked for as the books
        want them: call this at least a few times a second. Raises `UnreadableError` for what no
        venue of this version sends; what came with it is dropped, and seen as a gap.
        """
        self._ask(self._clock())
        self._poller.poll(timeout_ms)
        messages = [read(frame) for socket in (self._updates, self._refreshes) for frame in _waiting(socket)]
        now = self._clock()
        for message in messages:
            self.books.take(message, now)
        self.books.tick(now)
        self._ask(now)
        return messages

    def _ask(self, now: int) -> None:
        """Ask for what the books want. What cannot be sent yet stays due; `poll` wakes for it."""
        wake_for = zmq.POLLIN
        for instrument in self.books.wanting(now):
            try:
                self._refreshes.send(write_ask(instrument), zmq.NOBLOCK)
            except zmq.Again:
                wake_for = zmq.POLLIN | zmq.POLLOUT
                break
            self.books[instrument].asked(now)
        self._poller.modify(self._refreshes, wake_for)

    def close(self) -> None:
        """Close both sockets."""
        self._updates.close()
        self._refreshes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _opened(context: zmq.Context[zmq.Socket[bytes]], kind: int, keys: CurveKeys | None) -> zmq.Socket[bytes]:
    """Return a socket with everything set that both have alike, not connected yet."""
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, LINGER_MS)
    socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.HEARTBEAT_IVL, PROBE_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, PROBE_PATIENCE_MS)
    if keys is not None:
        socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    return socket


def _waiting(socket: zmq.Socket[bytes]) -> list[bytes]:
    """Return the frames that have come, a bounded number of them, without waiting."""
    frames: list[bytes] = []
    while len(frames) < MESSAGES_PER_POLL_MAX:
        try:
            frames.append(socket.recv(zmq.NOBLOCK))
        except zmq.Again:
            break
    return frames
