"""How an order enters the book: as it comes, when its stop is triggered, or when it is replaced."""

from __future__ import annotations

from typing import cast

import numpy as np

from matching.collars import collar_of, interrupt, reach_within
from matching.cross import cross, fillable, rest
from matching.extras import display_of, give_extra, is_timed, open_lots
from matching.kernel import kernel, rare, wide
from matching.layout import HALVES, POST_ONLY, SUBSIDISED, Book, Row
from matching.levels import key_of
from matching.protection import protection_of, stop_price_of
from matching.queues import close, open_up, take_slot
from matching.refusing import is_plain, would_trade
from matching.rows import event_at, extra_at, half_at, level_at, market_at, order_at
from matching.stops import elect, is_reached, park
from matching.tell import end, tell
from matching.vocabulary import NO_SLOT, EventKind, OrderType, Phase, RejectReason, TimeInForce
from matching.waiting import join_call

IS_LIMIT = cast(bool, np.bool_(False))
"""What `arrive` is told of an order that may rest. A plain False is a type of its own to Numba."""


@kernel
def enter(book: Book, command: Row, events: np.ndarray, at: int) -> int:
    """Take a new order, already found sound: accept it, cross it, let the rest stand or end it."""
    slot = take_slot(book)
    order = order_at(book, slot)
    order.id = command.order
    order.leaves = command.quantity
    order.quantity = command.quantity
    order.instrument = command.instrument
    order.member = command.member
    order.group = command.group
    order.extra = NO_SLOT
    order.side = command.side
    order.time_in_force = command.time_in_force
    order.entry = 0
    order.marks = marks_of(command)
    order.self_trade = command.self_trade
    if not is_plain(command):
        return enter_special(book, slot, command, events, at)
    tell(book, slot, EventKind.ACCEPTED, command.price, command.quantity, command.quantity, events, at)
    if market_at(book, command.instrument).phase != Phase.CONTINUOUS:
        join_call(book, slot, command.price, False)
        return at + 1
    at = arrive(book, slot, command.price, IS_LIMIT, events, at + 1)
    return at if book.counts[0].elected_first == NO_SLOT else cascade(book, events, at)


@kernel
def marks_of(command: Row) -> int:
    """Return what a new order's `marks` are."""
    return (SUBSIDISED if command.subsidised != 0 else 0) | (POST_ONLY if command.post_only != 0 else 0)


@rare
def enter_special(book: Book, slot: int, command: Row, events: np.ndarray, at: int) -> int:
    """Take a new order that is more than a limit order."""
    market = market_at(book, command.instrument)
    stop_price = stop_price_of(market, command)
    price = protection_of(market, command, stop_price)
    is_market = command.type == OrderType.MARKET
    tell(book, slot, EventKind.ACCEPTED, price, command.quantity, command.quantity, events, at)
    at += 1
    is_call = market.phase != Phase.CONTINUOUS
    if stop_price != 0 or display_of(command) != 0 or is_timed(command) or (is_call and is_market):
        give_extra(book, slot, command, price)
    if stop_price != 0:
        park(book, slot, stop_price)
        if not is_call and is_reached(book, command.instrument, command.side, stop_price):
            elect(book, slot)
    elif is_call:
        join_call(book, slot, price, is_market)
    else:
        at = arrive_in_full(book, slot, price, command.minimum_quantity, is_market, events, at)
    return at if book.counts[0].elected_first == NO_SLOT else cascade(book, events, at)


@kernel
def arrive(book: Book, slot: int, price: int, is_market: bool, events: np.ndarray, at: int) -> int:
    """Let an order trade as far as its price reaches; what is left stands, or is cancelled."""
    order = order_at(book, slot)
    market = market_at(book, order.instrument)
    key = key_of(order.side, price, market.tick)
    if market.static_collar | market.dynamic_collar != 0:
        return arrive_within_collars(book, slot, price, is_market, events, at)
    at, reason = cross(book, slot, price, ~key, events, at)
    return stand_or_end(book, slot, price, key, is_market, reason, events, at)


@kernel
def stand_or_end(
    book: Book, slot: int, price: int, key: int, is_market: bool, reason: int, events: np.ndarray, at: int
) -> int:
    """Let what is left of an order that has done trading stand, or cancel it."""
    order = order_at(book, slot)
    if order.leaves == 0:
        end(book, slot)
    elif reason != RejectReason.NONE or is_market or order.time_in_force >= TimeInForce.IOC:
        tell(book, slot, EventKind.CANCELLED, price, order.leaves, 0, events, at)
        event_at(events, at).reason = reason
        end(book, slot)
        at += 1
    else:
        rest(book, slot, HALVES * order.instrument + order.side, key, price)
        open_up(book, slot)
    return at


@rare
def arrive_within_collars(
    book: Book, slot: int, price: int, is_market: bool, events: np.ndarray, at: int
) -> int:
    """Let an order trade no further than its market's collars; at one of them trading is interrupted."""
    order = order_at(book, slot)
    instrument = order.instrument
    market = market_at(book, instrument)
    key = key_of(order.side, price, market.tick)
    last = market.last
    at, reason = cross(book, slot, price, reach_within(book, slot, ~key), events, at)
    half = half_at(book, HALVES * instrument + 1 - order.side)
    if order.leaves == 0 or reason != RejectReason.NONE or half.best_key > ~key:
        return stand_or_end(book, slot, price, key, is_market, reason, events, at)
    collar = collar_of(market, last, level_at(book, half.best).price)
    if is_market or order.time_in_force >= TimeInForce.IOC:
        at = cancel_arriving(book, slot, price, collar, events, at)
    else:
        join_call(book, slot, price, False)
    return interrupt(book, instrument, collar, events, at)


@rare
def arrive_in_full(
    book: Book, slot: int, price: int, minimum: int, is_market: bool, events: np.ndarray, at: int
) -> int:
    """Let an order arrive if as much as it demands trades at once; else cancel it."""
    order = order_at(book, slot)
    wanted = order.leaves if order.time_in_force == TimeInForce.FOK else min(minimum, order.leaves)
    if wanted > 0:
        reach = reach_within(book, slot, ~key_of(order.side, price, market_at(book, order.instrument).tick))
        if fillable(book, slot, reach, wanted) < wanted:
            return cancel_arriving(book, slot, price, RejectReason.NOT_FILLABLE, events, at)
    return arrive(book, slot, price, is_market, events, at)


@rare
def cancel_arriving(book: Book, slot: int, price: int, reason: int, events: np.ndarray, at: int) -> int:
    """Cancel an order that is about to enter the book."""
    tell(book, slot, EventKind.CANCELLED, price, order_at(book, slot).leaves, 0, events, at)
    event_at(events, at).reason = reason
    end(book, slot)
    return at + 1


@rare
def cascade(book: Book, events: np.ndarray, at: int) -> int:
    """Let the elected stops enter the book one by one; their trades may elect others behind them.

    Where a collar has interrupted trading, they enter the call.
    """
    while book.counts[0].elected_first != NO_SLOT:
        instrument = order_at(book, book.counts[0].elected_first).instrument
        is_call = market_at(book, instrument).phase != Phase.CONTINUOUS
        at = trigger_first(book, is_call, events, at)
    return at


@rare
def trigger_first(book: Book, is_call: bool, events: np.ndarray, at: int) -> int:
    """Let the stop that was elected first enter the book; into a call without trading."""
    counts = book.counts[0]
    slot = wide(counts.elected_first)
    order = order_at(book, slot)
    counts.elected_first = order.behind
    if order.behind == NO_SLOT:
        counts.elected_last = NO_SLOT
    close(book, slot)
    extra = extra_at(book, order.extra)
    price = extra.price
    minimum = extra.minimum
    is_market = extra.type != OrderType.STOP_LIMIT
    tell(book, slot, EventKind.TRIGGERED, price, order.quantity, open_lots(book, slot), events, at)
    at += 1
    if order.marks & POST_ONLY != 0 and would_trade(book, order.instrument, order.side, price):
        return cancel_arriving(book, slot, price, RejectReason.POST_ONLY_WOULD_CROSS, events, at)
    if not is_call:
        return arrive_in_full(book, slot, price, minimum, is_market, events, at)
    is_impatient = order.time_in_force == TimeInForce.IOC and not is_market
    if is_impatient or order.time_in_force == TimeInForce.FOK or minimum > 0:
        return cancel_arriving(book, slot, price, RejectReason.NOT_FILLABLE, events, at)
    if is_market:
        extra.type = OrderType.MARKET
        extra.trail = 0
    join_call(book, slot, price, is_market)
    return at
