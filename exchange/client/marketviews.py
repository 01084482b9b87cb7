"""What the public feed shows, as values that do not change: books, trades and bars.

Prices and amounts in hao, quantities in lots, times in ns since 1970 (UTC), as in `exchange.client.answers`.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from exchange.client.answers import Order
from exchange.client.money import yuan
from feeds.bars import MINUTE_NS
from feeds.builder import BookBuilder
from feeds.messages import Picture
from feeds.queues import Place
from feeds.records import IndicativePrice, TradePrint
from matching.permissions import CALLS
from matching.vocabulary import Phase, Side


class QueuedOrder(NamedTuple):
    """An order that stands in a queue, and the lots that it shows."""

    order: int
    quantity: int


class BookLevel(NamedTuple):
    """All orders at one price of one side: lots, how many orders; its `queue` where orders were asked for."""

    price: int
    quantity: int
    orders: int
    queue: tuple[QueuedOrder, ...] = ()


class Book(msgspec.Struct, frozen=True, gc=False):
    """An instrument's book as of the journal's `sequence`, and of `time`; best levels first.

    `state` tells how far it can be trusted: `live` (whole), `gapped` (a message is missing: it is as of an
    earlier sequence, and is being healed), `stale` (nothing was heard for three seconds) or `waiting` (there
    is no book yet). `phase` is what its market is doing, blank before it is known, and `reference` its
    reference price, 0 for none. In a call `indicative` is what the auction would find, else None; the best
    bid may then lie above the best ask. `last` is the last trade since the venue's feed began. `resyncs`
    counts how often the stream's book was found not to be whole and was healed. A `conflated` book is one of
    the pictures that are told each 100 ms, with ten levels at most.
    """

    symbol: str
    state: str
    sequence: int
    time: int
    phase: str
    reference: int
    indicative: IndicativePrice | None
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]
    last: TradePrint | None
    resyncs: int = 0
    conflated: bool = False

    @property
    def is_live(self) -> bool:
        """Whether it is whole, as of its sequence and as far as the venue has told."""
        return self.state == "live"

    @property
    def best_bid(self) -> BookLevel | None:
        """The highest bid, if there is any."""
        return self.bids[0] if self.bids else None

    @property
    def best_ask(self) -> BookLevel | None:
        """The lowest ask, if there is any."""
        return self.asks[0] if self.asks else None

    @property
    def spread(self) -> int | None:
        """The best ask less the best bid, in hao; None where a side is empty. In a call it may be below 0."""
        return self.asks[0].price - self.bids[0].price if self.bids and self.asks else None

    def place_of(self, order: Order | int) -> Place | None:
        """Return the lots and the orders that stand ahead of an order at its price.

        None where it stands at none of the levels shown: `depth=None` shows all. Needs `orders=True`; an
        order of one's own has the same number here as everywhere.
        """
        number = order.id if isinstance(order, Order) else order
        for level in (*self.bids, *self.asks):
            lots = 0
            for ahead, queued in enumerate(level.queue):
                if queued.order == number:
                    return Place(lots, ahead)
                lots += queued.quantity
        return None

    def says_the_same(self, other: Book) -> bool:
        """Tell whether nothing but the sequence and the time is another."""
        return msgspec.structs.replace(self, sequence=other.sequence, time=other.time) == other

    def __repr__(self) -> str:
        bid, ask = (
            f"{best.quantity} @ {yuan(best.price)}" if best else "nothing"
            for best in (self.best_bid, self.best_ask)
        )
        return f"<Book of {self.symbol}, {self.state} at {self.sequence}: bid {bid}, ask {ask}>"


class Trade(msgspec.Struct, frozen=True, gc=False):
    """A trade as everybody is told of it. `trade` is its number, which rises over all instruments.

    `sequence` is that of the command that caused it, `taker_side` the side of the order that arrived, None
    in an auction. `paid` is what a programme paid of `amount` at once, and `subsidised` tells that one
    stands behind the buy, be it that it pays later.
    """

    symbol: str
    trade: int
    price: int
    quantity: int
    paid: int
    subsidised: bool
    taker_side: Side | None
    sequence: int
    time: int

    @property
    def amount(self) -> int:
        """Price x quantity, in hao, before fees and subsidy."""
        return self.price * self.quantity


class Bar(msgspec.Struct, frozen=True, gc=False):
    """One instrument's minute from `start` on. `subsidised_volume`: lots of which a programme paid a part."""

    symbol: str
    start: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    amount: int
    trades: int
    subsidised_volume: int

    @property
    def end(self) -> int:
        """When it was over."""
        return self.start + MINUTE_NS


def minute_of(time: int) -> int:
    """Return the begin of the minute in which a time lies, in ns."""
    return time - time % MINUTE_NS


def bar_with(bar: Bar | None, trade: Trade) -> Bar:
    """Return the bar of a trade's minute: `bar` with one trade more, or a new one without it."""
    if bar is None:
        price = trade.price
        bar = Bar(trade.symbol, minute_of(trade.time), price, price, price, price, 0, 0, 0, 0)
    return msgspec.structs.replace(
        bar,
        high=max(bar.high, trade.price),
        low=min(bar.low, trade.price),
        close=trade.price,
        volume=bar.volume + trade.quantity,
        amount=bar.amount + trade.amount,
        trades=bar.trades + 1,
        subsidised_volume=bar.subsidised_volume + (trade.quantity if trade.paid else 0),
    )


def book_of(symbol: str, builder: BookBuilder, depth: int | None, resyncs: int) -> Book:
    """Return what a builder knows; `depth` levels of each side, or all."""
    status = builder.status
    phase = None if status is None else Phase(status.phase)
    return Book(
        symbol,
        builder.state.value,
        builder.sequence,
        builder.time,
        "" if phase is None else phase.name.lower(),
        0 if status is None else status.reference,
        builder.indicative if phase in CALLS else None,
        _side_of(builder, Side.BUY, depth),
        _side_of(builder, Side.SELL, depth),
        builder.last_trade,
        resyncs,
    )


def _side_of(builder: BookBuilder, side: Side, depth: int | None) -> tuple[BookLevel, ...]:
    if depth is None:
        levels = builder.bids if side == Side.BUY else builder.asks
    else:
        levels = builder.depth(side, depth)
    if not builder.has_orders:
        return tuple(BookLevel(*level) for level in levels)
    return tuple(
        BookLevel(*level, tuple(QueuedOrder(*each) for each in builder.queue(side, level.price)))
        for level in levels
    )


def book_in(symbol: str, picture: Picture, state: str, depth: int | None, resyncs: int) -> Book:
    """Return the book that a picture shows; `depth` levels of each side, or all that it has."""
    phase = Phase(picture.status.phase)
    sides: tuple[list[BookLevel], list[BookLevel]] = ([], [])
    for price, quantity, orders, side in picture.levels:
        sides[side].append(BookLevel(price, quantity, orders))
    return Book(
        symbol,
        state,
        picture.sequence,
        picture.time,
        phase.name.lower(),
        picture.status.reference,
        picture.indicative if phase in CALLS else None,
        tuple(sides[Side.BUY][:depth]),
        tuple(sides[Side.SELL][:depth]),
        picture.last_trade,
        resyncs,
        conflated=True,
    )
