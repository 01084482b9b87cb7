"""What a small venue's feed says, byte by byte: a test decides when, and what of it is lost."""

from __future__ import annotations

from feeds.messages import DEPTH, HEARTBEAT, LEVELS_REFRESH, TRADES, VERSION
from feeds.records import (
    HEADER,
    INDICATIVE_PRICE,
    LAST_NUMBERS,
    LEVEL_UPDATE,
    STATUS_CHANGE,
    TOPIC_NUMBER,
    TOTALS,
    TRADE_PRINT,
)
from matching.vocabulary import Phase, Side

QWEN = 0
"""The number of the one instrument that it tells of."""

MINUTE_NS = 60_000_000_000
START = 1_780_000_020_000_000_000 // MINUTE_NS * MINUTE_NS


class FakeFeed:
    """One instrument's trades and levels. `sequence` and `time` are the next message's."""

    def __init__(self) -> None:
        self.run = 1
        self.sequence = 100
        self.time = START
        self.trades = 0
        self.numbers = {TRADES: 0, DEPTH: 0}
        self.levels: dict[tuple[int, int], tuple[int, int]] = {}
        self._heartbeats = 0

    def restart(self) -> None:
        """Begin another run."""
        self.run += 1
        self.numbers = dict.fromkeys(self.numbers, 0)

    def trade(self, quantity: int, price: int = 1_000) -> bytes:
        """Return the message of one trade, which is one command more."""
        self.sequence += 1
        self.trades += 1
        row = TRADE_PRINT.pack(self.trades, self.sequence, price, quantity, 0, Side.BUY, 0)
        return self._head(TRADES, 1) + row

    def level(self, side: int, price: int, quantity: int, orders: int = 1) -> bytes:
        """Return the message of one level's new total, which is one command more."""
        self.sequence += 1
        self.levels[side, price] = (quantity, orders)
        return self._head(DEPTH, 1) + LEVEL_UPDATE.pack(price, quantity, orders, side)

    def heartbeat(self) -> bytes:
        """Return the message of one second."""
        self._heartbeats += 1
        told = {kind: number for kind, number in self.numbers.items() if number}
        rows = b"".join(TOPIC_NUMBER.pack(kind, QWEN, number) for kind, number in told.items())
        about = (self.run, self._heartbeats, self.sequence, self.time, len(told))
        return HEADER.pack(HEARTBEAT, -1, VERSION, *about) + rows

    def picture(self, wanted: bytes, instrument: int) -> bytes:
        """Answer who asks for all levels."""
        assert (wanted, instrument) == (LEVELS_REFRESH, QWEN)
        standing = [(side, price) for (side, price), (quantity, _) in self.levels.items() if quantity]
        ranked = sorted(standing, key=lambda at: (at[0], at[1] if at[0] == Side.SELL else -at[1]))
        rows = b"".join(LEVEL_UPDATE.pack(price, *self.levels[side, price], side) for side, price in ranked)
        about = (self.run, self.numbers[DEPTH], self.sequence, self.time, len(ranked))
        return b"".join(
            (
                HEADER.pack(wanted, instrument, VERSION, *about),
                LAST_NUMBERS.pack(self.numbers[DEPTH], 0, self.numbers[TRADES], 0, 0, 0),
                TRADE_PRINT.pack(0, 0, 0, 0, 0, 0, 0),
                STATUS_CHANGE.pack(900, 0, 0, Phase.CONTINUOUS, 0),
                INDICATIVE_PRICE.pack(0, 0, 0, 0),
                TOTALS.pack(0, 0, 0, 0),
                rows,
            )
        )

    def _head(self, kind: bytes, count: int) -> bytes:
        self.numbers[kind] += 1
        return HEADER.pack(kind, QWEN, VERSION, self.run, self.numbers[kind], self.sequence, self.time, count)
