"""The plainest reader: it folds what is published as the manual says, and knows when a law is broken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from feeds.messages import Depth, Indicative, Message, Orders, Quote, Status, Trades
from feeds.records import OrderUpdate, Top, TradePrint
from matching.layout import Book
from matching.vocabulary import EventKind, QueueChange, Side
from tests.feeds.flow import Queues, Truth, queues_of

NO_TOP = Top(0, 0, 0, 0, 0, 0)

Rows = dict[int, dict[int, int]]
"""Of a side the lots of each order, by price; in a queue who came first stands first."""


class Broken(Exception):
    """What was told cannot be: its name says which law it breaks."""


class Reading:
    """Orders from O, levels from D, tops from Q, trades from T, each by themselves."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[type, int], int] = defaultdict(int)
        self.trades: dict[int, list[TradePrint]] = defaultdict(list)
        self.tops: dict[int, Top] = defaultdict(lambda: NO_TOP)
        self._queues: dict[tuple[int, int], Rows] = defaultdict(lambda: defaultdict(dict))
        self._stands: dict[int, tuple[int, int, int]] = {}
        self._levels: dict[tuple[int, int], dict[int, tuple[int, int]]] = defaultdict(dict)

    def take(self, message: Message) -> None:
        assert isinstance(message, Trades | Status | Indicative | Orders | Depth | Quote)
        topic = type(message), message.instrument
        self.numbers[topic] += 1
        if message.number != self.numbers[topic]:
            raise Broken("numbers")
        if isinstance(message, Trades):
            self.trades[message.instrument] += message.prints
        elif isinstance(message, Quote):
            self.tops[message.instrument] = message.top
        elif isinstance(message, Depth):
            for level in message.levels:
                self._levels[message.instrument, level.side][level.price] = level.quantity, level.orders
        elif isinstance(message, Orders):
            for update in message.updates:
                self.change(message.instrument, update)

    def change(self, instrument: int, update: OrderUpdate) -> None:
        if update.change == QueueChange.PLACED:
            self._leave(update.order)
            self._stands[update.order] = instrument, update.side, update.price
            self._queues[instrument, update.side][update.price][update.order] = update.quantity
        elif self._stands.get(update.order) != (instrument, update.side, update.price):
            raise Broken("orders")
        elif update.quantity == 0:
            self._leave(update.order)
        else:
            self._queues[instrument, update.side][update.price][update.order] = update.quantity

    def _leave(self, order: int) -> None:
        if order in self._stands:
            instrument, side, price = self._stands.pop(order)
            del self._queues[instrument, side][price][order]

    def orders(self, instrument: int) -> Queues:
        bids, asks = (
            [
                (price, order, lots)
                for price in sorted(self._queues[instrument, side], reverse=side == Side.BUY)
                for order, lots in self._queues[instrument, side][price].items()
            ]
            for side in Side
        )
        return bids, asks

    def levels(self, instrument: int) -> Truth:
        bids, asks = (
            [
                (price, *self._levels[instrument, side][price])
                for price in sorted(self._levels[instrument, side], reverse=side == Side.BUY)
                if self._levels[instrument, side][price][0]
            ]
            for side in Side
        )
        return bids, asks


def summed(queues: Queues) -> Truth:
    """Return the levels that orders add up to."""
    sides = []
    for queue in queues:
        lots: dict[int, list[int]] = defaultdict(list)
        for price, _, quantity in queue:
            lots[price].append(quantity)
        sides.append([(price, sum(each), len(each)) for price, each in lots.items()])
    return sides[0], sides[1]


def top_of(levels: Truth) -> Top:
    """Return the top that levels have."""
    (bid, bid_lots, bids), (ask, ask_lots, asks) = (side[0] if side else (0, 0, 0) for side in levels)
    return Top(bid, bid_lots, ask, ask_lots, bids, asks)


def traded(events: np.ndarray, first: int) -> dict[int, list[tuple[int, int, int]]]:
    """Return the trades of a batch by instrument: sequence, price, lots."""
    trades: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for event in events[events["kind"] == EventKind.TRADED]:
        row = first + int(event["command"]), int(event["price"]), int(event["quantity"])
        trades[int(event["instrument"])].append(row)
    return trades


def law_broken(
    reading: Reading, messages: Iterable[Message], events: np.ndarray, first: int, book: Book
) -> str:
    """Take what a batch was told with; return the first law that is broken then, "" for none.

    The book from O is the engine's order by order, the book from D is what its orders add up to, Q is its
    top, T is what was traded.
    """
    reading.trades.clear()
    try:
        for message in messages:
            reading.take(message)
    except Broken as broken:
        return str(broken)
    for instrument in range(len(book.markets)):
        orders, levels = reading.orders(instrument), reading.levels(instrument)
        if orders != queues_of(book, instrument):
            return "orders"
        if levels != summed(orders):
            return "levels"
        if reading.tops[instrument] != top_of(levels):
            return "tops"
    told = {
        at: [(one.sequence, one.price, one.quantity) for one in rows] for at, rows in reading.trades.items()
    }
    return "" if told == traded(events, first) else "trades"
