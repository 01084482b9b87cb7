"""A busy market of one instrument, and what is published of it, for readers to be tried on."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from feeds.messages import Heartbeat, read
from feeds.publisher import Batch, Publisher
from matching.batch import match_on_tape
from matching.flow import random_flow
from matching.layout import empty_book
from matching.view import depth_of, orders_of
from matching.vocabulary import EventKind, Side

START = 1_790_000_000_000_000_000
"""When it begins, ns since 1970."""


class Market:
    """One busy instrument: random commands, its book, and what is published of it."""

    def __init__(self, seed: int, commands: int = 800) -> None:
        self.book = empty_book(1)
        self.book.markets["tick"] = 1
        self.flow = random_flow(seed, commands, instruments=1, ticks=(1,))
        self.sequence = 0
        self.publisher = Publisher(1, time=START, book=self.book)

    def restart(self, run: int) -> None:
        self.publisher = Publisher(run, self.sequence, START + self.sequence, self.book)

    def play(self, count: int) -> list[bytes]:
        """Let so many commands happen; return the messages that tell of it."""
        commands = self.flow[self.sequence : self.sequence + count]
        assert len(commands) == count, "the flow has run dry"
        self.book, events, tape = match_on_tape(self.book, commands)
        first = self.sequence + 1
        self.sequence += count
        traded = events["kind"] == EventKind.TRADED
        trades = first * 1000 + np.cumsum(traded)
        paid = np.where(trades % 2, trades, 0)
        batch = Batch(
            events,
            tape,
            first,
            self.sequence,
            START + self.sequence,
            trades,
            paid,
            (paid > 0).astype(np.uint8),
        )
        return self.publisher.outgoing(batch, self.book)

    def play_until(self, topic: bytes) -> bytes:
        """Let commands happen until one changes this topic; return its message."""
        while True:
            for message in self.play(1):
                if message[:1] == topic:
                    return message

    def heartbeat(self) -> bytes:
        return self.publisher.heartbeat(START + self.sequence)

    def number(self, topic: bytes) -> int:
        """Return the number of a topic's last message."""
        heartbeat = read(self.heartbeat())
        assert isinstance(heartbeat, Heartbeat)
        return heartbeat.numbers.get((topic, 0), 0)

    def answer(self, request: bytes) -> bytes:
        answer = self.publisher.answer(request, self.book)
        assert answer is not None
        return answer

    def shown(self, kind: str) -> list[dict[int, object]]:
        """Return of each side which lots, or which orders in which queue, stand at which price."""
        if kind == "Levels":
            sides = (depth_of(self.book, 0, side, 10_000).tolist() for side in Side)
            return [{price: lots for price, lots, _ in levels} for levels in sides]
        queues: list[dict[int, object]] = []
        for orders in (orders_of(self.book, 0, side) for side in Side):
            rows = orders[["price", "id", "shown"]].tolist()
            at_price = groupby(rows, key=lambda row: row[0])
            queues.append({price: [row[1:] for row in queue] for price, queue in at_price})
        return queues

    def top(self) -> str:
        """Return the best prices and their lots as the plain reader prints them."""
        bests = [depth_of(self.book, 0, side, 1).tolist() for side in Side]
        return " ".join(f"{best[0][0]} {best[0][1]}" if best else "- -" for best in bests)
