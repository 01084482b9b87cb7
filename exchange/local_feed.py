"""The public feed of a venue in one's own process: the same messages and readers, without sockets.

It begins when it is first listened to, and costs nothing before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from weakref import WeakSet

from exchange.client.async_link import Waiters
from exchange.client.errors import ExchangeError, Timeout
from exchange.client.flows import closed
from exchange.client.marketreaders import Reader
from exchange.engine import Engine, Outcome
from exchange.server.feeding import Teller
from feeds.builder import SILENCE_NS, Books
from feeds.messages import (
    HEARTBEAT,
    read,
    topic,
    write_ask,
)

FAST_NS = 100_000_000
"""How often what has changed is told as pictures."""

SECOND_NS = 1_000_000_000

MESSAGES_KEPT = 100_000
"""How many messages wait for each reader; those that come then are dropped, as at a socket."""


class LocalFeed:
    """Tells what an engine does, frame by frame, to all lines that listen."""

    def __init__(self, engine: Engine, clock: Callable[[], int]) -> None:
        self.kept = MESSAGES_KEPT
        self.clock = clock
        self._engine = engine
        self._lines: WeakSet[LocalFeedLine] = WeakSet()
        self._teller: Teller | None = None
        self._run = 0
        self._drops = self._refreshes_dropped = 0
        self._second = self._fast = 0

    def begin(self, engine: Engine) -> None:
        """Begin anew, as a publisher that starts again with this engine."""
        self._engine = engine
        if self._teller is not None:
            self._begin()
            for line in tuple(self._lines):
                line.broke()

    def _begin(self) -> Teller:
        self._engine.record()
        self._run += 1
        self._teller = Teller(self._engine, self._run)
        return self._teller

    def connect(self, line: LocalFeedLine) -> None:
        """Let a line hear what is told from now on; it is greeted with how far each topic has come."""
        teller = self._teller or self._begin()
        self._lines.add(line)
        line.bring(teller.each_second(self.clock())[0])

    def leave(self, line: LocalFeedLine) -> None:
        """Tell a line nothing more."""
        self._lines.discard(line)

    def tell(self, outcome: Outcome, first: int, last: int, time: int) -> None:
        """Tell what a batch did that the engine has just applied."""
        if self._teller is None:
            return
        messages = self._teller.told(outcome, first, last, time)
        if self._drops:
            self._drops -= 1
        else:
            self._publish(messages)

    def tell_time(self) -> None:
        """Tell what is told every so often, as far as the clock has come to it."""
        if self._teller is None:
            return
        now = self.clock()
        if now - self._fast >= FAST_NS:
            self._fast = now
            self._publish(self._teller.fast_views(now))
        if now - self._second >= SECOND_NS:
            self._second = now
            self._publish([*self._teller.slow_views(now), *self._teller.each_second(now)])
        for line in tuple(self._lines):
            line.wake()

    def _publish(self, messages: list[bytes]) -> None:
        for message in messages:
            for line in tuple(self._lines):
                line.bring(message)

    def drop(self, batches: int, refreshes: int) -> None:
        """Lose what is told of the next batches, and the next refreshes."""
        self._drops += batches
        self._refreshes_dropped += refreshes

    def answer(self, request: bytes) -> bytes | None:
        """Answer who asks for a refresh."""
        if self._refreshes_dropped:
            self._refreshes_dropped -= 1
            return None
        return None if self._teller is None else self._teller.answer(request)


class LocalFeedLine:
    """A client's line to the feed of a venue in the same process: no socket, no waiting."""

    def __init__(self, feed: LocalFeed, reader: Reader) -> None:
        self.endpoint = "this process"
        self.is_up = True
        self.books = Books()
        self._feed = feed
        self._reader = reader
        self._mail: deque[bytes] = deque()
        self._topics: list[bytes] = [topic(HEARTBEAT)]
        self._asks: list[bytes] = []
        self._heard_at = feed.clock()
        feed.connect(self)

    @property
    def is_silent(self) -> bool:
        """Whether nothing was heard for three seconds of the venue's clock."""
        return self._feed.clock() - self._heard_at > SILENCE_NS

    def follow(self, instrument: int, *, orders: bool = False) -> None:
        """Keep an instrument's book."""
        for kind in self.books.add(instrument, orders=orders).topics:
            self.listen(kind, instrument)

    def listen(self, kind: bytes, instrument: int) -> None:
        """Hear one topic."""
        self._topics.append(topic(kind, instrument))

    def ask(self, kind: bytes, instrument: int) -> None:
        """Ask for a refresh."""
        self._asks.append(write_ask(kind, instrument))

    def bring(self, frame: bytes) -> None:
        """Take what the feed says, if it is listened to and there is room; it is heard in the next turn."""
        if frame[:5] in self._topics and len(self._mail) < self._feed.kept:
            self._mail.append(frame)

    def wake(self) -> None:
        """Look at what there is; a line that is read when it is asked need not."""

    def broke(self) -> None:
        """Note that what follows may come after a gap."""
        self._reader.broke()

    def wait_for(self, done: Callable[[], bool], deadline: float) -> bool | Awaitable[bool]:
        """Hear all that has come, and go on at once."""
        self.hear()
        return done()

    def hear(self) -> None:
        """Hear all that has come, and what is then asked for. Raises `ConnectionLost` if it was closed."""
        if not self.is_up:
            raise closed(self.endpoint)
        now = self._feed.clock()
        while self._mail:
            self._heard_at = now
            self._take(self._mail.popleft(), now)
        self.books.tick(now)
        asks, self._asks = self._asks, []
        for kind, instrument in self.books.wanting(now):
            asks.append(write_ask(kind, instrument))
            self.books[instrument].asked(now)
        for request in asks:
            answer = self._feed.answer(request)
            if answer is not None:
                self._take(answer, now)

    def _take(self, frame: bytes, now: int) -> None:
        message = read(frame)
        self.books.take(message, now)
        self._reader.take(message)

    def silence(self, what: str) -> ExchangeError:
        """Return the error for what was not heard."""
        problem = f"the feed in this process has not answered {what}"
        return Timeout(problem, remedy="have the venue tell the time")

    def close(self) -> None:
        """Hear nothing more."""
        self.is_up = False
        self._feed.leave(self)


class AsyncLocalFeedLine(LocalFeedLine):
    """The same for the tasks of an event loop, which may wait for what others bring about."""

    def __init__(self, feed: LocalFeed, reader: Reader) -> None:
        self._waiters = Waiters(asyncio.get_running_loop())
        super().__init__(feed, reader)

    async def wait_for(self, done: Callable[[], bool], deadline: float) -> bool:
        """Hear all that has come until `done`; then wait, until `deadline`, for what another task does."""
        self._waiters.check_loop()
        self.hear()
        return done() or await self._waiters.wait(done, deadline)

    def bring(self, frame: bytes) -> None:
        """Take what the feed says, and have the loop hear it."""
        super().bring(frame)
        self.wake()

    def wake(self) -> None:
        """Have the loop look at what there is."""
        if self._waiters.has_any:
            self._waiters.loop.call_soon(self._hear)

    def _hear(self) -> None:
        if self.is_up:
            self.hear()
            self._waiters.look()

    def close(self) -> None:
        """Hear nothing more; whoever waits is told so."""
        super().close()
        if not self._waiters.loop.is_closed():
            self._waiters.fail(closed(self.endpoint))
