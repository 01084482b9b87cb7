"""The words of the reference: what is asked and told, what an order is, and who goes before whom.

`matching.reference` says what is done with them; start there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sortedcontainers import SortedKeyList

from matching.permissions import Ask
from matching.vocabulary import (
    EVERY,
    PRICE_MAX,
    CommandKind,
    EventKind,
    OrderType,
    Phase,
    RejectReason,
    SelfTrade,
    Side,
    TimeInForce,
)

OWNER = EVERY
"""The member of a command that is asked in the owner's name, whoever that is."""

LIMITED_TYPES = (OrderType.LIMIT, OrderType.STOP_LIMIT)
"""The types that say their price themselves, and may rest at it. All others may end unfilled."""

STOP_TYPES = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
"""The types that are parked, outside of the book, until they are triggered."""

PHASE_REASONS = (RejectReason.INSTRUMENT_NOT_OPEN, RejectReason.NOT_IN_PHASE)
"""The reasons of refusals that bear the phase."""

RESTING_TIMES = (TimeInForce.GTC, TimeInForce.GTD, TimeInForce.DAY)
"""The times in force with which an order may rest in the book."""


class Command(NamedTuple):
    """What is asked of the book: a row of `matching.layout.COMMAND`, field by field."""

    order: int = 0
    price: int = 0
    quantity: int = 0
    time: int = 0
    display_quantity: int = 0
    minimum_quantity: int = 0
    stop_price: int = 0
    trail: int = 0
    expires_at: int = 0
    instrument: int = 0
    member: int = OWNER
    group: int = 0
    kind: int = CommandKind.NEW
    side: int = Side.BUY
    type: int = OrderType.LIMIT
    time_in_force: int = TimeInForce.GTC
    subsidised: int = 0
    post_only: int = 0
    self_trade: int = SelfTrade.NONE
    phase: int = Phase.CLOSED


class Event(NamedTuple):
    """What has happened: a row of `matching.layout.EVENT`, but for the slots, which are no rule."""

    order: int
    maker_order: int
    price: int
    quantity: int
    leaves: int
    maker_leaves: int
    was_price: int
    command: int
    instrument: int
    kind: int
    side: int
    reason: int
    phase: int


class Market(NamedTuple):
    """What the book knows of an instrument; a reference, collar or last price of 0 is none."""

    tick: int = 1
    phase: int = Phase.CONTINUOUS
    reference: int = 0
    """The price, in hao, about which the collar lies."""
    collar: int = 0
    """How far a protection price lies from the reference, in per mille of it."""
    last: int = 0
    """The price, in hao, of the last trade."""
    static_collar: int = 0
    """How far a trade may lie from the reference, in per mille of it."""
    dynamic_collar: int = 0
    """How far a trade may lie from the last price, in per mille of it."""


class Clearing(NamedTuple):
    """What an auction would find; all is 0 where nothing would trade."""

    price: int
    volume: int
    surplus: int
    """Demand less supply at that price."""


NO_CLEARING = Clearing(0, 0, 0)


@dataclass(eq=False)
class Order:
    """A member's intent: what he asked, what of it is still open, and where it stands.

    It rests in the book, or it stands beside it: parked until a price triggers it, or waiting for an
    auction without a limit.
    """

    id: int
    price: int
    """Its limit, or its protection price as it is now."""
    quantity: int
    """Its total: what is filled and what is open."""
    leaves: int
    """What is open, hidden lots included."""
    instrument: int
    member: int
    group: int
    side: int
    type: int
    time_in_force: int
    subsidised: bool
    post_only: bool
    self_trade: int
    display_quantity: int
    minimum_quantity: int
    stop_price: int
    trail: int
    expires_at: int
    accepted: int
    """Counts the accepted orders. An order keeps it, wherever it moves."""
    entry: int = 0
    """Counts whoever takes a place in a queue: at one price, the lower entry goes first."""
    arrival: int = 0
    """Counts whoever enters the book, or waits; unlike its entry it outlasts an iceberg's slices."""
    shown: int = 0
    """What everybody sees of it: the slice of an iceberg, all of another order, nothing beside the book."""
    is_parked: bool = False
    is_waiting: bool = False
    slices: int = 0
    """Into how many slices an iceberg of its total may fall, as it was accepted or last replaced."""

    @property
    def filled(self) -> int:
        """Return the lots that it has traded."""
        return self.quantity - self.leaves

    @property
    def may_rest(self) -> bool:
        """Tell whether what does not trade at once stands in the book."""
        return self.type in LIMITED_TYPES and self.time_in_force in RESTING_TIMES


def slices_of(display_quantity: int, quantity: int) -> int:
    """Return into how many slices an order of this total may fall; 0 for one that shows all."""
    return quantity // display_quantity + 1 if display_quantity else 0


# --- who goes before whom ----------------------------------------------------------------------


def priority(order: Order) -> tuple[int, int]:
    """Return an order's rank in its half, lowest first: better price, then earlier entry."""
    return (order.price if order.side == Side.SELL else -order.price, order.entry)


def parked_priority(order: Order) -> tuple[int, int]:
    """Return a parked order's rank, lowest first: buys from the lowest stop price up, sells down."""
    return (order.stop_price if order.side == Side.BUY else -order.stop_price, order.entry)


def expiry(order: Order) -> tuple[int, int]:
    """Return a GTD order's rank among all, lowest first: earlier time, then earlier acceptance."""
    return (order.expires_at, order.accepted)


class Book(NamedTuple):
    """One instrument's open orders, in the order in which a mass cancel goes through them."""

    bids: SortedKeyList
    asks: SortedKeyList
    parked_buys: SortedKeyList
    parked_sells: SortedKeyList
    waiting_buys: SortedKeyList
    waiting_sells: SortedKeyList

    @classmethod
    def empty(cls) -> Book:
        """Return a book without orders: parked ones rank by stop price, all others by price."""
        ranks = (priority, priority, parked_priority, parked_priority, priority, priority)
        return cls(*(SortedKeyList(key=rank) for rank in ranks))

    def half(self, side: int) -> SortedKeyList:
        """Return the half in which orders of this side rest."""
        return self.asks if side == Side.SELL else self.bids

    def parked(self, side: int) -> SortedKeyList:
        """Return the parked orders of this side, the next to be triggered first."""
        return self.parked_sells if side == Side.SELL else self.parked_buys

    def waiting(self, side: int) -> SortedKeyList:
        """Return the orders of this side that wait for an auction, as a mass cancel goes through them."""
        return self.waiting_sells if side == Side.SELL else self.waiting_buys

    def queue_of(self, order: Order) -> SortedKeyList:
        """Return where an order stands."""
        if order.is_waiting:
            return self.waiting(order.side)
        return self.parked(order.side) if order.is_parked else self.half(order.side)


def other_side(side: int) -> Side:
    """Return whom a side trades with."""
    return Side.BUY if side == Side.SELL else Side.SELL


def reaches(side: int, price: int, maker: Order) -> bool:
    """Tell whether a taker of this side, with this price, may trade at the maker's price."""
    return price >= maker.price if side == Side.BUY else price <= maker.price


def is_reached(order: Order, last: int) -> bool:
    """Tell whether a trade at the price `last` triggers a stop: buys wait below it, sells above."""
    return order.stop_price <= last if order.side == Side.BUY else order.stop_price >= last


def is_nearer(order: Order, stop_price: int) -> bool:
    """Tell whether a trailing stop may move to this stop price: sells only rise, buys only fall."""
    return stop_price < order.stop_price if order.side == Side.BUY else stop_price > order.stop_price


def are_related(one: Order, other: Order) -> bool:
    """Tell whether a subsidised buy and a sell of its own group would meet."""
    buy = one if one.side == Side.BUY else other
    return buy.subsidised and one.group == other.group


def may_trade(taker: Order, maker: Order) -> bool:
    """Tell whether two that meet may trade: strangers always, one group if the taker's mode is none."""
    is_own = taker.group == maker.group
    return not are_related(taker, maker) and not (is_own and taker.self_trade != SelfTrade.NONE)


def goes_past(taker: Order, maker: Order) -> bool:
    """Tell whether of two that may not trade the maker goes, and the taker meets the next."""
    if are_related(taker, maker):
        return taker.side == Side.SELL
    return taker.self_trade == SelfTrade.CANCEL_MAKER


# --- what a phase and a collar say --------------------------------------------------------------


def ask_of(command: Command) -> Ask:
    """Return what a new order asks of a phase: to trade at once, or to stand, wait or be parked."""
    command = with_used_fields(command)
    if command.type in STOP_TYPES:
        return Ask.ORDER
    is_at_once = command.type == OrderType.LIMIT and command.time_in_force == TimeInForce.IOC
    is_bound = command.time_in_force == TimeInForce.FOK or command.minimum_quantity > 0
    return Ask.AT_ONCE if is_at_once or is_bound else Ask.ORDER


def collar_at(price: int, market: Market) -> RejectReason:
    """Return which collar bars a trade at this price, or NONE; the static one, if both do."""
    if is_beyond(price, market.reference, market.static_collar):
        return RejectReason.STATIC_COLLAR
    if is_beyond(price, market.last, market.dynamic_collar):
        return RejectReason.DYNAMIC_COLLAR
    return RejectReason.NONE


def is_beyond(price: int, base: int, collar: int) -> bool:
    """Tell whether a price lies further than the collar from its base; without either there is no bound."""
    return base > 0 and collar > 0 and abs(price - base) > base * collar // 1000


# --- the prices that an order finds for itself --------------------------------------------------


def with_used_fields(command: Command) -> Command:
    """Return a new order as its type reads it: what the type cannot use is left out."""
    if command.type == OrderType.MARKET and command.time_in_force != TimeInForce.FOK:
        command = command._replace(time_in_force=TimeInForce.IOC)
    if command.type not in STOP_TYPES:
        command = command._replace(stop_price=0)
    if command.type not in LIMITED_TYPES or command.time_in_force not in RESTING_TIMES:
        command = command._replace(display_quantity=0)
    return command


def stop_price_of(command: Command, market: Market) -> int:
    """Return the stop price that a new order starts with; 0 where it has none. Its ladder checks it.

    A trailing stop that gives none starts one trail from the last trade's price, else from the
    reference: below it to sell, above it to buy, rounded away from it to the grid.
    """
    if command.stop_price != 0 or command.type != OrderType.TRAILING_STOP:
        return command.stop_price
    base = market.last or market.reference
    if base == 0:
        return 0
    if command.side == Side.SELL:
        return rounded_down(base - command.trail, market.tick)
    return rounded_up(base + command.trail, market.tick)


def price_of(command: Command, market: Market) -> int:
    """Return a new order's price; 0 where it has none.

    It is the price given: else the protection price, one collar from the stop price, or of a market
    order from the reference, rounded towards it to the grid.
    """
    base = stop_price_of(command, market) or market.reference
    if command.price != 0 or command.type in LIMITED_TYPES or base == 0 or market.collar <= 0:
        return command.price
    away = base * market.collar // 1000
    if command.side == Side.BUY:
        return within_bounds(rounded_down(base + away, market.tick), market.tick)
    return within_bounds(rounded_up(base - away, market.tick), market.tick)


def within_bounds(price: int, tick: int) -> int:
    """Return the nearest price to `price`, itself on the grid, that an order may have."""
    return max(tick, min(price, rounded_down(PRICE_MAX, tick)))


def rounded_down(price: int, tick: int) -> int:
    """Return the highest price on the grid that is not above `price`."""
    return price // tick * tick


def rounded_up(price: int, tick: int) -> int:
    """Return the lowest price on the grid that is not below `price`."""
    return -(-price // tick) * tick


# --- what is told ------------------------------------------------------------------------------


def told(order: Order, kind: EventKind, quantity: int, reason: RejectReason = RejectReason.NONE) -> Event:
    """Return what has just happened to an order; what is open of it now is its leaves."""
    return Event(
        order=order.id,
        maker_order=0,
        price=order.price,
        quantity=quantity,
        leaves=order.leaves,
        maker_leaves=0,
        was_price=0,
        command=0,
        instrument=order.instrument,
        kind=kind,
        side=order.side,
        reason=reason,
        phase=0,
    )


def blank(kind: EventKind, instrument: int) -> Event:
    """Return an event that tells of no order, with nothing else said yet."""
    return Event(
        order=0,
        maker_order=0,
        price=0,
        quantity=0,
        leaves=0,
        maker_leaves=0,
        was_price=0,
        command=0,
        instrument=instrument,
        kind=kind,
        side=0,
        reason=RejectReason.NONE,
        phase=0,
    )


def refusal(command: Command, reason: RejectReason, phase: int = 0) -> Event:
    """Return that a command is refused: what it said comes back with the reason.

    Where an instrument's phase is the reason, it is told too.
    """
    return blank(EventKind.REJECTED, command.instrument)._replace(
        order=command.order,
        price=command.price,
        quantity=command.quantity,
        side=command.side,
        reason=reason,
        phase=phase,
    )


def phase_told(instrument: int, market: Market, reason: RejectReason) -> Event:
    """Return that an instrument's phase was set; the price is the reference now, a reason the collar."""
    return blank(EventKind.PHASE_CHANGED, instrument)._replace(
        price=market.reference, reason=reason, phase=market.phase
    )


def indicative_told(instrument: int, found: Clearing) -> Event:
    """Return what an instrument's auction would find now; of the surplus its size, and who has it."""
    return blank(EventKind.INDICATIVE, instrument)._replace(
        price=found.price,
        quantity=found.volume,
        leaves=abs(found.surplus),
        side=Side.SELL if found.surplus < 0 else Side.BUY,
    )


def commands_from(rows: np.ndarray) -> list[Command]:
    """Return rows of `matching.layout.COMMAND` as plain commands."""
    columns = (rows[name].tolist() for name in Command._fields)
    return [Command(*row) for row in zip(*columns, strict=True)]


def events_from(rows: np.ndarray) -> list[Event]:
    """Return rows of `matching.layout.EVENT` as plain events."""
    columns = (rows[name].tolist() for name in Event._fields)
    return [Event(*row) for row in zip(*columns, strict=True)]
