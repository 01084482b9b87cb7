"""How an order enters the book: as it comes, when its stop is triggered, or when it is replaced."""

from __future__ import annotations

import numpy as np

from matching.cross import cross, fillable, rest
from matching.extras import display_of, give_extra, is_timed, open_lots
from matching.kernel import kernel, rare
from matching.layout import HALVES, Book, Row
from matching.levels import key_of
from matching.protection import protection_of, stop_price_of
from matching.queues import close, open_up, take_slot
from matching.refusing import is_plain, would_trade
from matching.rows import event_at, extra_at, market_at, order_at
from matching.stops import elect, is_reached, park
from matching.tell import end, tell
from matching.vocabulary import NO_SLOT, EventKind, OrderType, RejectReason, TimeInForce


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
    order.subsidised = command.subsidised
    order.post_only = command.post_only
    order.self_trade = command.self_trade
    if not is_plain(command):
        return enter_special(book, slot, command, events, at)
    tell(book, slot, EventKind.ACCEPTED, command.price, command.quantity, command.quantity, events, at)
    at = arrive(book, slot, command.price, False, events, at + 1)
    return at if book.counts[0].elected_first == NO_SLOT else cascade(book, events, at)


@rare
def enter_special(book: Book, slot: int, command: Row, events: np.ndarray, at: int) -> int:
    """Take a new order that is more than a limit order."""
    market = market_at(book, command.instrument)
    stop_price = stop_price_of(market, command)
    price = protection_of(market, command, stop_price)
    is_market = command.type == OrderType.MARKET
    tell(book, slot, EventKind.ACCEPTED, price, command.quantity, command.quantity, events, at)
    at += 1
    if stop_price != 0 or display_of(command) != 0 or is_timed(command):
        give_extra(book, slot, command, price)
    if stop_price != 0:
        park(book, slot, stop_price)
        if is_reached(book, command.instrument, command.side, stop_price):
            elect(book, slot)
    else:
        at = arrive_in_full(book, slot, price, command.minimum_quantity, is_market, events, at)
    return at if book.counts[0].elected_first == NO_SLOT else cascade(book, events, at)


@kernel
def arrive(book: Book, slot: int, price: int, is_market: bool, events: np.ndarray, at: int) -> int:
    """Let an order trade as far as its price reaches; what is left stands, or is cancelled."""
    order = order_at(book, slot)
    key = key_of(order.side, price, market_at(book, order.instrument).tick)
    at, reason = cross(book, slot, price, ~key, events, at)
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
def arrive_in_full(
    book: Book, slot: int, price: int, minimum: int, is_market: bool, events: np.ndarray, at: int
) -> int:
    """Let an order arrive if as much as it demands trades at once; else cancel it."""
    order = order_at(book, slot)
    wanted = order.leaves if order.time_in_force == TimeInForce.FOK else min(minimum, order.leaves)
    if wanted > 0:
        reach = ~key_of(order.side, price, market_at(book, order.instrument).tick)
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
    """Let the elected stops enter the book one by one; their trades may elect others behind them."""
    counts = book.counts[0]
    while counts.elected_first != NO_SLOT:
        slot = counts.elected_first
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
        if order.post_only != 0 and would_trade(book, order.instrument, order.side, price):
            at = cancel_arriving(book, slot, price, RejectReason.POST_ONLY_WOULD_CROSS, events, at)
        else:
            at = arrive_in_full(book, slot, price, minimum, is_market, events, at)
    return at
