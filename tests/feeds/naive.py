"""A venue told by the plainest publisher: the engine's book before and after, compared, and packed by hand.

It shares nothing with `feeds.publisher` but the layout, so that readers are tested against the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from feeds.messages import (
    DEPTH,
    HEARTBEAT,
    INDICATIVE,
    LEVELS_REFRESH,
    ORDERS,
    STATUS,
    TOPS,
    TRADES,
    VERSION,
    Picture,
    read,
)
from feeds.records import (
    HEADER,
    INDICATIVE_PRICE,
    LAST_NUMBERS,
    LEVEL_UPDATE,
    ORDER_UPDATE,
    STATUS_CHANGE,
    TOP,
    TOPIC_NUMBER,
    TOTALS,
    TRADE_PRINT,
)
from matching.batch import match_on_tape
from matching.layout import Book, empty_book
from matching.view import depth_of, orders_of
from matching.vocabulary import EventKind, Side

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND

Levels = list[tuple[int, int, int]]
OrderRows = list[tuple[int, int, int]]


class Truth(NamedTuple):
    """What the engine has of one instrument: levels, and (order, price, lots shown); best first."""

    bids: Levels
    asks: Levels
    buys: OrderRows
    sells: OrderRows

    @property
    def top(self) -> tuple[int, ...]:
        bid, ask = ((side or [(0, 0, 0)])[0] for side in (self.bids, self.asks))
        return bid[0], bid[1], ask[0], ask[1], bid[2], ask[2]


def message(
    kind: bytes, instrument: int, about: Sequence[int], rows: Sequence[bytes], middle: bytes = b""
) -> bytes:
    """Return one message: `about` is run, number, sequence, time."""
    return HEADER.pack(kind, instrument, VERSION, *about, len(rows)) + middle + b"".join(rows)


class NaiveVenue:
    """An engine and its naive publisher. `truths` has the book at each number of each run and topic."""

    def __init__(self, instruments: int = 1, run: int = 1) -> None:
        self.book = empty_book(instruments)
        self.instruments = range(instruments)
        self.sequence = 0
        self.time = START
        self.trades = 0
        self.truths: dict[tuple[int, bytes, int, int], Truth] = {}
        self.restart(run)

    def restart(self, run: int) -> None:
        """Let a publisher begin anew where the engine stands."""
        self.run = run
        self.numbers: dict[tuple[bytes, int], int] = {}
        self.last_prints = dict.fromkeys(self.instruments, (0,) * 7)
        self.totals = dict.fromkeys(self.instruments, (0,) * 4)
        self.beats = 0
        for instrument in self.instruments:
            now = truth(self.book, instrument)
            for kind in (DEPTH, ORDERS):
                self.truths[run, kind, instrument, 0] = now

    def play(self, commands: np.ndarray, passes_ns: int = SECOND // 10) -> list[bytes]:
        """Do a batch of commands; return what is told of it: T, S, I, O, D, Q."""
        before = {at: (truth(self.book, at), self._market(at)) for at in self.instruments}
        first = self.sequence + 1
        self.book, events, tape = match_on_tape(self.book, commands)
        self.sequence += len(commands)
        self.time += passes_ns
        told = []
        for at in self.instruments:
            was, market = before[at]
            told += self._trades(at, events, first)
            told += self._market_told(at, market)
            told += self._book_told(at, was, tape, first)
        return told

    def heartbeat(self) -> bytes:
        self.beats += 1
        rows = [TOPIC_NUMBER.pack(kind, at, last) for (kind, at), last in self.numbers.items()]
        return message(HEARTBEAT, -1, (self.run, self.beats, self.sequence, self.time), rows)

    def refresh(self, kind: bytes, instrument: int = 0) -> bytes:
        now = truth(self.book, instrument)
        if kind == LEVELS_REFRESH:
            sides = enumerate((now.bids, now.asks))
            rows = [LEVEL_UPDATE.pack(*level, side) for side, levels in sides for level in levels]
        else:
            both = enumerate((now.buys, now.sells))
            rows = [
                ORDER_UPDATE.pack(order, self.sequence, price, lots, side, 0)
                for side, orders in both
                for order, price, lots in orders
            ]
        topics = (DEPTH, ORDERS, TRADES, STATUS, INDICATIVE, TOPS)
        numbers = [self.numbers.get((topic, instrument), 0) for topic in topics]
        status, indicative = self._market(instrument)
        middle = LAST_NUMBERS.pack(*numbers) + TRADE_PRINT.pack(*self.last_prints[instrument])
        middle += status + indicative + TOTALS.pack(*self.totals[instrument])
        number = numbers[0 if kind == LEVELS_REFRESH else 1]
        return message(kind, instrument, (self.run, number, self.sequence, self.time), rows, middle)

    def picture(self, kind: bytes, instrument: int = 0) -> Picture:
        told = read(self.refresh(kind, instrument))
        assert isinstance(told, Picture)
        return told

    def _tell(self, kind: bytes, instrument: int, rows: list[bytes]) -> bytes:
        number = self.numbers[kind, instrument] = self.numbers.get((kind, instrument), 0) + 1
        return message(kind, instrument, (self.run, number, self.sequence, self.time), rows)

    def _trades(self, at: int, events: np.ndarray, first: int) -> list[bytes]:
        rows = []
        for event in events[(events["kind"] == EventKind.TRADED) & (events["instrument"] == at)]:
            self.trades += 1
            price, lots = int(event["price"]), int(event["quantity"])
            row = (self.trades, first + int(event["command"]), price, lots, 0, int(event["side"]), 0)
            self.last_prints[at] = row
            count, total, amount, paid = self.totals[at]
            self.totals[at] = (count + 1, total + lots, amount + price * lots, paid)
            rows.append(TRADE_PRINT.pack(*row))
        return [self._tell(TRADES, at, rows)] if rows else []

    def _market(self, at: int) -> tuple[bytes, bytes]:
        market = self.book.markets[at]
        status = STATUS_CHANGE.pack(int(market["reference"]), 0, 0, int(market["phase"]), 0)
        names = ("indicative_price", "indicative_volume", "indicative_surplus")
        price, volume, surplus = (int(market[name]) for name in names)
        return status, INDICATIVE_PRICE.pack(price, volume, abs(surplus), surplus < 0)

    def _market_told(self, at: int, before: tuple[bytes, bytes]) -> list[bytes]:
        pairs = zip((STATUS, INDICATIVE), before, self._market(at), strict=True)
        return [self._tell(kind, at, [now]) for kind, was, now in pairs if now != was]

    def _book_told(self, at: int, was: Truth, tape: np.ndarray, first: int) -> list[bytes]:
        told = []
        now = truth(self.book, at)
        changes = [
            ORDER_UPDATE.pack(
                int(row["order"]),
                first + int(row["command"]),
                *(int(row[name]) for name in ("price", "quantity", "side", "change")),
            )
            for row in tape[tape["instrument"] == at]
        ]
        if changes:
            told.append(self._tell(ORDERS, at, changes))
        levels = levels_changed(was.bids, now.bids, Side.BUY) + levels_changed(was.asks, now.asks, Side.SELL)
        if levels:
            told.append(self._tell(DEPTH, at, levels))
        if now.top != was.top:
            told.append(self._tell(TOPS, at, [TOP.pack(*now.top)]))
        for kind in (ORDERS, DEPTH):
            self.truths[self.run, kind, at, self.numbers.get((kind, at), 0)] = now
        return told


def levels_changed(was: Levels, now: Levels, side: Side) -> list[bytes]:
    """Return the updates that lead from one side to the other, those of levels that are gone first."""
    gone = {price for price, _, _ in was} - {price for price, _, _ in now}
    rows = [LEVEL_UPDATE.pack(price, 0, 0, side) for price in sorted(gone)]
    return rows + [LEVEL_UPDATE.pack(*level, side) for level in now if level not in was]


def truth(book: Book, instrument: int) -> Truth:
    """Return what the engine has, best first."""
    levels = [[tuple(row) for row in depth_of(book, instrument, side, 10_000).tolist()] for side in Side]
    orders = [
        [(int(row["id"]), int(row["price"]), int(row["shown"])) for row in orders_of(book, instrument, side)]
        for side in Side
    ]
    return Truth(levels[0], levels[1], orders[0], orders[1])
