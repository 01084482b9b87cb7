"""The rules of the market in plain Python: what the kernels must equal, event by event.

Read this file to learn what the book does, and `matching.batch` to learn how it does it fast.
Nothing here is clever: a half of a book is one sorted list of orders, best first; every deed yields
the events that it causes. A new order type, instruction or phase is first told here.

>>> book = ReferenceBook([Market(tick=1)])
>>> ask = Command(order=1, price=101, quantity=3, instrument=0, member=7, group=7, side=Side.SELL)
>>> bid = Command(order=2, price=102, quantity=4, instrument=0, member=8, group=8, side=Side.BUY)
>>> [EventKind(event.kind).name for event in book.apply(ask) + book.apply(bid)]
['ACCEPTED', 'ACCEPTED', 'TRADED']
>>> book.depth_of(0, Side.BUY)
[(102, 1, 1)]
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, groupby
from typing import NamedTuple

import numpy as np
from sortedcontainers import SortedKeyList

from matching.vocabulary import (
    NO_SLOT,
    NOTIONAL_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    CommandKind,
    EventKind,
    OrderType,
    Phase,
    RejectReason,
    Side,
    TimeInForce,
)

TIMES_IN_FORCE = (TimeInForce.GTC, TimeInForce.DAY, TimeInForce.IOC)
"""How long an order may ask to rest."""

OWNER = NO_SLOT
"""The member of a cancel that is asked in the owner's name, whoever that is."""


class Command(NamedTuple):
    """What is asked of the book: a row of `matching.layout.COMMAND`, field by field."""

    order: int = 0
    price: int = 0
    quantity: int = 0
    instrument: int = 0
    member: int = OWNER
    group: int = 0
    kind: int = CommandKind.NEW
    side: int = Side.BUY
    type: int = OrderType.LIMIT
    time_in_force: int = TimeInForce.GTC
    subsidised: int = 0


class Event(NamedTuple):
    """What has happened: a row of `matching.layout.EVENT`, but for the slots, which are no rule."""

    order: int
    maker_order: int
    price: int
    quantity: int
    leaves: int
    maker_leaves: int
    command: int
    instrument: int
    kind: int
    side: int
    reason: int


class Market(NamedTuple):
    """What the book knows of an instrument: the tick size in hao, and what the market is doing."""

    tick: int = 1
    phase: int = Phase.CONTINUOUS


@dataclass(eq=False)
class Order:
    """A member's intent: what he asked, what of it is still open, and when it entered."""

    id: int
    price: int
    quantity: int
    leaves: int
    instrument: int
    member: int
    group: int
    side: int
    time_in_force: int
    subsidised: bool
    entry: int
    """Counts the accepted orders: of two at one price, the lower entry goes first."""


class Book(NamedTuple):
    """One instrument's resting orders: each half sorted, best price first, then first come."""

    bids: SortedKeyList
    asks: SortedKeyList

    def half(self, side: int) -> SortedKeyList:
        """Return the half in which orders of this side rest."""
        return self.asks if side == Side.SELL else self.bids


def priority(order: Order) -> tuple[int, int]:
    """Return an order's rank in its half, lowest first: better price, then earlier entry."""
    return (order.price if order.side == Side.SELL else -order.price, order.entry)


def reaches(taker: Order, maker: Order) -> bool:
    """Tell whether the taker's limit allows the maker's price."""
    return taker.price >= maker.price if taker.side == Side.BUY else taker.price <= maker.price


def are_related(one: Order, other: Order) -> bool:
    """Tell whether a subsidised buy and a sell of its own group would meet."""
    buy = one if one.side == Side.BUY else other
    return buy.subsidised and one.group == other.group


class ReferenceBook:
    """The resting orders of all instruments, and everything that may be done to them.

    `markets` tells each instrument's tick and phase. A deed costs O(log n) of the orders at rest.
    """

    def __init__(self, markets: Iterable[Market]) -> None:
        """Open a book without orders for each of `markets`."""
        self.markets = list(markets)
        self.books = [Book(SortedKeyList(key=priority), SortedKeyList(key=priority)) for _ in self.markets]
        self.resting: dict[int, Order] = {}
        self.entries = count(1)

    # --- what may be asked ---------------------------------------------------------------------

    def apply(self, command: Command, row: int = 0) -> list[Event]:
        """Do what `command` asks and return what happened, in order; each event tells `row`."""
        return [event._replace(command=row) for event in self.obey(command)]

    def apply_all(self, commands: Iterable[Command]) -> list[Event]:
        """Do what a batch of commands asks, one after the other, and return what happened."""
        return [event for row, command in enumerate(commands) for event in self.apply(command, row)]

    def obey(self, command: Command) -> Iterator[Event]:
        """Do one command. Each sort of command has its method."""
        if command.kind == CommandKind.NEW:
            yield from self.enter(command)
        elif command.kind == CommandKind.CANCEL:
            yield from self.cancel(command)
        elif command.kind == CommandKind.END_DAY:
            yield from self.end_day()
        else:
            yield refusal(command, RejectReason.UNKNOWN_KIND)

    def enter(self, command: Command) -> Iterator[Event]:
        """Take a new order: refuse it, or accept it, let it trade, let the rest stand or end."""
        reason = self.fault_of(command)
        if reason != RejectReason.NONE:
            yield refusal(command, reason)
            return
        order = self.order_from(command)
        yield told(order, EventKind.ACCEPTED, order.quantity, leaves=order.leaves)
        barred = yield from self.cross(order)
        if order.leaves == 0:
            return
        if barred:
            yield from self.end(order, EventKind.CANCELLED, RejectReason.RELATED_PARTY)
        elif order.time_in_force == TimeInForce.IOC:
            yield from self.end(order, EventKind.CANCELLED)
        else:
            self.rest(order)

    def cancel(self, command: Command) -> Iterator[Event]:
        """Take an order back. Nobody learns of another member's orders: they are unknown to him."""
        order = self.resting.get(command.order)
        if order is None or command.member not in (OWNER, order.member):
            yield refusal(command, RejectReason.UNKNOWN_ORDER)
            return
        yield from self.end(order, EventKind.CANCELLED)

    def end_day(self) -> Iterator[Event]:
        """End the trading day: every DAY order that rests expires.

        Instrument by instrument, bids before asks, each half in its priority.
        """
        for book in self.books:
            for order in (*book.bids, *book.asks):
                if order.time_in_force == TimeInForce.DAY:
                    yield from self.end(order, EventKind.EXPIRED)

    # --- what is refused -----------------------------------------------------------------------

    def fault_of(self, command: Command) -> RejectReason:
        """Return why a new order is refused, or NONE. Of several reasons the first is told."""
        if not 0 <= command.instrument < len(self.markets):
            return RejectReason.UNKNOWN_INSTRUMENT
        market = self.markets[command.instrument]
        ladder = (
            (RejectReason.UNKNOWN_SIDE, command.side not in (Side.BUY, Side.SELL)),
            (RejectReason.UNKNOWN_TYPE, command.type != OrderType.LIMIT),
            (RejectReason.UNKNOWN_TIME_IN_FORCE, command.time_in_force not in TIMES_IN_FORCE),
            (RejectReason.PRICE_NOT_POSITIVE, command.price <= 0),
            (RejectReason.PRICE_TOO_LARGE, command.price > PRICE_MAX),
            (RejectReason.PRICE_OFF_TICK, command.price % market.tick != 0),
            (RejectReason.QUANTITY_NOT_POSITIVE, command.quantity <= 0),
            (RejectReason.QUANTITY_TOO_LARGE, command.quantity > QUANTITY_MAX),
            (RejectReason.NOTIONAL_TOO_LARGE, command.price * command.quantity > NOTIONAL_MAX),
            (RejectReason.INSTRUMENT_NOT_OPEN, market.phase != Phase.CONTINUOUS),
            (RejectReason.ORDER_NOT_POSITIVE, command.order <= 0),
            (RejectReason.DUPLICATE_ORDER, command.order in self.resting),
        )
        return next((reason for reason, is_so in ladder if is_so), RejectReason.NONE)

    # --- how orders meet -----------------------------------------------------------------------

    def cross(self, taker: Order) -> Generator[Event, None, bool]:
        """Let the taker meet the other half, best price first, first come first served.

        Returns whether it was barred. A subsidised buy never trades with a sell of its own group:
        the buy is cancelled, whoever came first. A taking buy is stopped; a resting buy goes, and
        the taking sell meets the next.
        """
        opposite = self.books[taker.instrument].half(other_side(taker.side))
        while taker.leaves > 0 and opposite and reaches(taker, opposite[0]):
            maker = opposite[0]
            if not are_related(taker, maker):
                yield from self.trade(taker, maker)
            elif taker.side == Side.BUY:
                return True
            else:
                yield from self.end(maker, EventKind.CANCELLED, RejectReason.RELATED_PARTY)
        return False

    def trade(self, taker: Order, maker: Order) -> Iterator[Event]:
        """Trade what both have open, at the maker's price."""
        quantity = min(taker.leaves, maker.leaves)
        taker.leaves -= quantity
        maker.leaves -= quantity
        yield told(taker, EventKind.TRADED, quantity, leaves=taker.leaves)._replace(
            maker_order=maker.id, maker_leaves=maker.leaves, price=maker.price
        )
        if maker.leaves == 0:
            self.leave(maker)

    # --- how orders come and go ----------------------------------------------------------------

    def order_from(self, command: Command) -> Order:
        """Return the order that a sound command asks for, with an entry of its own."""
        return Order(
            id=command.order,
            price=command.price,
            quantity=command.quantity,
            leaves=command.quantity,
            instrument=command.instrument,
            member=command.member,
            group=command.group,
            side=command.side,
            time_in_force=command.time_in_force,
            subsidised=command.subsidised != 0,
            entry=next(self.entries),
        )

    def rest(self, order: Order) -> None:
        """Let an order stand in its half, behind those at its price that entered before it."""
        self.books[order.instrument].half(order.side).add(order)
        self.resting[order.id] = order

    def leave(self, order: Order) -> None:
        """Take an order, resting or just arrived, out of the book."""
        if self.resting.get(order.id) is order:
            self.books[order.instrument].half(order.side).remove(order)
            del self.resting[order.id]

    def end(self, order: Order, kind: EventKind, reason: RejectReason = RejectReason.NONE) -> Iterator[Event]:
        """End an order that is still open, and tell how much of it was: CANCELLED or EXPIRED."""
        quantity = order.leaves
        self.leave(order)
        order.leaves = 0
        yield told(order, kind, quantity, leaves=0)._replace(reason=reason)

    # --- what can be seen ----------------------------------------------------------------------

    def orders_of(self, instrument: int, side: int) -> list[Order]:
        """Return the resting orders of one side, in priority order."""
        return list(self.books[instrument].half(side))

    def depth_of(self, instrument: int, side: int) -> list[tuple[int, int, int]]:
        """Return (price in hao, lots, orders) of each level of one side, best price first."""
        levels = groupby(self.orders_of(instrument, side), key=lambda order: order.price)
        leaves = [(price, [order.leaves for order in queue]) for price, queue in levels]
        return [(price, sum(open_lots), len(open_lots)) for price, open_lots in leaves]


def other_side(side: int) -> Side:
    """Return whom a side trades with."""
    return Side.BUY if side == Side.SELL else Side.SELL


def told(order: Order, kind: EventKind, quantity: int, leaves: int) -> Event:
    """Return what happened to one order, with no maker and no reason."""
    return Event(
        order=order.id,
        maker_order=0,
        price=order.price,
        quantity=quantity,
        leaves=leaves,
        maker_leaves=0,
        command=0,
        instrument=order.instrument,
        kind=kind,
        side=order.side,
        reason=RejectReason.NONE,
    )


def refusal(command: Command, reason: RejectReason) -> Event:
    """Return that a command is refused: what it said comes back with the reason."""
    return Event(
        order=command.order,
        maker_order=0,
        price=command.price,
        quantity=command.quantity,
        leaves=0,
        maker_leaves=0,
        command=0,
        instrument=command.instrument,
        kind=EventKind.REJECTED,
        side=command.side,
        reason=reason,
    )


def commands_from(rows: np.ndarray) -> list[Command]:
    """Return rows of `matching.layout.COMMAND` as plain commands."""
    columns = (rows[name].tolist() for name in Command._fields)
    return [Command(*row) for row in zip(*columns, strict=True)]


def events_from(rows: np.ndarray) -> list[Event]:
    """Return rows of `matching.layout.EVENT` as plain events."""
    columns = (rows[name].tolist() for name in Event._fields)
    return [Event(*row) for row in zip(*columns, strict=True)]
