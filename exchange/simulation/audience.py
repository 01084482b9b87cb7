"""Who follows the feed, and holds the books that it makes of it against what was."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from exchange.simulation.chronicle import Chronicle
from exchange.simulation.network import Mailbox, Network
from exchange.simulation.parts import FeedPart
from feeds.builder import Books
from feeds.messages import Heartbeat, read, write_ask

if TYPE_CHECKING:
    from exchange.simulation.world import World

READERS = 3
"""The first keeps its books order by order, the others by levels."""


class Reader:
    """Who follows the feed: books by levels, or order by order. A slow one reads when it gets round to it."""

    def __init__(self, name: str, instruments: int, *, orders: bool) -> None:
        self.name = name
        self.books = Books(range(instruments), orders=orders)
        self.is_slow = False
        self.heard = 0

    def take(self, frame: bytes, now: int) -> list[int]:
        """Take a message in; return whose books it may have changed."""
        self.heard += 1
        message = read(frame)
        self.books.take(message, now)
        if isinstance(message, Heartbeat):
            return [book.instrument for book in self.books]
        return [message.instrument] if message.instrument in self.books else []

    def asks(self, now: int) -> list[bytes]:
        """Return the questions that it asks now."""
        asks = []
        for kind, instrument in self.books.wanting(now):
            self.books[instrument].asked(now)
            asks.append(write_ask(kind, instrument))
        return asks


class Audience:
    """All readers of one feed."""

    def __init__(self, world: World, feed: FeedPart, network: Network, chronicle: Chronicle) -> None:
        self.readers: list[Reader] = []
        self._mailboxes: dict[str, Mailbox] = {}
        self._world, self._feed, self._network, self._history = world, feed, network, chronicle

    def gather(self, instruments: int) -> None:
        """Let readers begin that follow so many instruments."""
        self.readers = [Reader(f"reader {n}", instruments, orders=n == 0) for n in range(READERS)]
        self._mailboxes = {reader.name: Mailbox() for reader in self.readers}

    def publish(self, frame: bytes) -> None:
        """Carry what the feed says to each reader."""
        for reader in self.readers:
            self._network.scatter(reader.name, partial(self._arrive, reader, frame))

    def ask(self) -> None:
        """Have the readers read what waits for them, and ask for the books that they lack."""
        world = self._world
        for reader in self.readers:
            if not reader.is_slow:
                self.read_on(reader)
            reader.books.tick(world.now)
            for request in reader.asks(world.now):
                if self._feed.is_up and world.now >= self._feed.paused_until:
                    answer = self._feed.answer(request)
                    if answer is not None:
                        self._network.scatter(reader.name, partial(self._arrive, reader, answer))

    def read_on(self, reader: Reader) -> None:
        """Have a reader read all that waits for it."""
        mailbox = self._mailboxes[reader.name]
        while mailbox:
            self._take(reader, mailbox.popleft())

    def _arrive(self, reader: Reader, frame: bytes) -> None:
        if not reader.is_slow:
            self._take(reader, frame)
        elif not self._mailboxes[reader.name].put(frame):
            self._world.shapes.note("a slow reader's message dropped")

    def _take(self, reader: Reader, frame: bytes) -> None:
        for instrument in reader.take(frame, self._world.now):
            self._history.shown(reader.books, instrument, reader.name)
