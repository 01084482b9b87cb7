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

What is told now and then, or to everybody, is listened to without a book: `listen(FAST_VIEW, 7)`,
`listen(FIXINGS)`. An event loop waits on `sockets` for reading, and calls `poll(0)` until nothing comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

import zmq

from feeds.builder import ASK_AGAIN_NS, SILENCE_NS, BookBuilder, Books
from feeds.messages import (
    DEPTH,
    EVERY_INSTRUMENT,
    HEARTBEAT,
    MESSAGE_BYTES_MAX,
    ORDERS,
    Document,
    Message,
    Picture,
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

ASKS_MAX = 10
"""Most times that one `ask` is sent before it is given up: the venue does not answer for what it has not."""

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


@dataclass
class _Ask:
    """Something asked for without a book: how often so far, and when last."""

    times: int = 0
    asked_at: int = 0


class Subscriber:
    """Reads the feed and keeps `books` of the instruments followed. Belongs to one thread.

    `published` and `refreshes` are the venue's endpoints; `clock` returns ns that never run back. With
    `orders` the books of `instruments` are made order by order, without from price levels.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        published: str,
        refreshes: str,
        instruments: Iterable[int] = (),
        keys: CurveKeys | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        *,
        orders: bool = False,
    ) -> None:
        self.books = Books()
        self.heard: Callable[[bytes], object] | None = None
        """Is given the bytes of every message that can be read, before the books take it."""
        self._clock = clock
        self._heard_at = clock()
        self._asks: dict[tuple[bytes, int], _Ask] = {}
        self._updates = _opened(context, zmq.SUB, keys)
        self._updates.setsockopt(zmq.RCVHWM, UPDATES_KEPT_MAX)
        self._updates.setsockopt(zmq.SNDHWM, 0)  # at a mark libzmq drops subscriptions, and says nothing
        self._refreshes = _opened(context, zmq.DEALER, keys)
        self._refreshes.setsockopt(zmq.SNDHWM, ASKS_KEPT_MAX)
        self._refreshes.setsockopt(zmq.RCVHWM, ASKS_KEPT_MAX)
        self._refreshes.setsockopt(zmq.IMMEDIATE, 1)  # no ask waits for a connection to come
        self.listen(HEARTBEAT)
        for instrument in instruments:
            self.follow(instrument, orders=orders)
        self._updates.connect(published)
        self._refreshes.connect(refreshes)
        self._poller = zmq.Poller()
        self._poller.register(self._updates, zmq.POLLIN)
        self._poller.register(self._refreshes, zmq.POLLIN)

    def follow(self, instrument: int, *, orders: bool = False) -> BookBuilder:
        """Subscribe to all that is told of one more instrument, and keep its book, which is returned.

        One that is followed by levels already goes over to orders if asked; its book has the levels too.
        """
        is_new = instrument not in self.books
        had_orders = not is_new and self.books[instrument].has_orders
        book = self.books.add(instrument, orders=orders)
        if is_new:
            for kind in book.topics:
                self.listen(kind, instrument)
        elif book.has_orders and not had_orders:
            self._updates.unsubscribe(topic(DEPTH, instrument))
            self.listen(ORDERS, instrument)
        return book

    def listen(self, kind: bytes, instrument: int = EVERY_INSTRUMENT) -> None:
        """Subscribe to one kind of message of an instrument, or of every one: `poll` returns them."""
        self._updates.subscribe(kind if instrument == EVERY_INSTRUMENT else topic(kind, instrument))

    def ask(self, kind: bytes, instrument: int = EVERY_INSTRUMENT) -> None:
        """Ask for DEFINITIONS, or for a picture; `poll` returns the answer.

        It is asked for as soon as a connection has come, and again each second until an answer has, up to
        `ASKS_MAX` times. Books ask by themselves.
        """
        self._asks[kind, instrument] = _Ask()

    def awaits(self, kind: bytes, instrument: int = EVERY_INSTRUMENT) -> bool:
        """Tell whether what was asked for with `ask` has not come yet, and is not given up."""
        return (kind, instrument) in self._asks

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
        """The two sockets, for an event loop to wait on; nobody else reads them."""
        return self._updates, self._refreshes

    def is_stale(self, now: int | None = None) -> bool:
        """Tell whether nothing was published for three seconds, not even a heartbeat: for readers of views.

        `now` is as the clock tells it. A book's own state says it of the book.
        """
        return (self._clock() if now is None else now) - self._heard_at > SILENCE_NS

    def poll(self, timeout_ms: int) -> list[Message]:
        """Return what has come, waiting up to `timeout_ms` for it; the books have taken it already.

        At most `MESSAGES_PER_POLL_MAX` of what is published and as many refreshes; nothing, sooner,
        when a connection has come that refreshes can be asked on. They are asked for as the books
        want them: call this at least a few times a second. Raises `UnreadableError` for what no
        venue of this version sends; what came with it is dropped, and seen as a gap.
        """
        self._ask_for_all(self._clock())
        self._poller.poll(timeout_ms)
        frames, answered = _waiting(self._updates), _waiting(self._refreshes)
        published, answers = list(map(read, frames)), list(map(read, answered))
        if self.heard is not None:
            for frame in frames + answered:
                self.heard(frame)
        now = self._clock()
        if published:
            self._heard_at = now
        for answer in answers:
            if isinstance(answer, Picture | Document):
                self._asks.pop((answer.kind, answer.instrument), None)
        messages = published + answers
        for message in messages:
            self.books.take(message, now)
        self.books.tick(now)
        self._ask_for_all(now)
        return messages

    def _ask_for_all(self, now: int) -> None:
        """Ask for what is wanted. What cannot be sent yet stays due; `poll` wakes for it."""
        wake_for = zmq.POLLIN
        try:
            for kind, instrument in self.books.wanting(now):
                self._refreshes.send(write_ask(kind, instrument), zmq.NOBLOCK)
                self.books[instrument].asked(now)
            for (kind, instrument), ask in list(self._asks.items()):
                if ask.times == 0 or now - ask.asked_at >= ASK_AGAIN_NS:
                    self._refreshes.send(write_ask(kind, instrument), zmq.NOBLOCK)
                    ask.times, ask.asked_at = ask.times + 1, now
                    if ask.times == ASKS_MAX:
                        del self._asks[kind, instrument]
        except zmq.Again:
            wake_for = zmq.POLLIN | zmq.POLLOUT
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
