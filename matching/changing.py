"""What is done to orders that are open: cancel, reduce, replace, and their expiry."""

from __future__ import annotations

import numpy as np

from matching.entering import IS_LIMIT, arrive, cascade
from matching.extras import count_slices, open_lots, shows_enough, slices_of
from matching.ids import find
from matching.kernel import kernel, rare, wide
from matching.layout import HALVES, POST_ONLY, WAITING, Book, Row
from matching.permissions import CALLS, TAKEN, Ask
from matching.queues import leave
from matching.refusing import is_notional_too_large, phase_refusal, price_fault, would_trade
from matching.rows import event_at, extra_at, half_at, level_at, market_at, order_at
from matching.stops import await_price, elect, is_reached
from matching.tape import record
from matching.tell import depart, price_of, refuse, refuse_in_phase, take_out, tell, withdraw
from matching.view import next_level
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    NO_SLOT,
    QUANTITY_MAX,
    SLICES_OPEN_MAX,
    EventKind,
    Phase,
    QueueChange,
    RejectReason,
    Side,
    TimeInForce,
)
from matching.waiting import is_waiting, join_call, note_lots

assert all(Ask.CANCEL in TAKEN[phase] for phase in Phase if phase not in CALLS), "see `cancel`"


@kernel
def owned(book: Book, command: Row) -> int:
    """Return the slot of the open order that `command` may change, or `NO_SLOT`."""
    slot = find(book, command.order)
    if slot != NO_SLOT and command.member != EVERY and command.member != order_at(book, slot).member:
        return NO_SLOT
    return slot


@kernel
def cancel(book: Book, command: Row, events: np.ndarray, at: int) -> int:
    """Take an order back. One that is not there, or is somebody else's, is refused as unknown."""
    slot = owned(book, command)
    if slot == NO_SLOT:
        return refuse(book, command, RejectReason.UNKNOWN_ORDER, events, at)
    if book.counts[0].calls != 0:  # no other phase forbids it, and a cancel need not look at the market
        instrument = order_at(book, slot).instrument
        reason = phase_refusal(market_at(book, instrument).phase, Ask.CANCEL)
        if reason != RejectReason.NONE:
            return refuse_in_phase(book, command, reason, instrument, events, at)
    return withdraw(book, slot, EventKind.CANCELLED, RejectReason.NONE, events, at)


@kernel
def reduce(book: Book, command: Row, events: np.ndarray, at: int) -> int:
    """Take lots off what is open of an order, which keeps its place."""
    slot = owned(book, command)
    if slot == NO_SLOT:
        return refuse(book, command, RejectReason.UNKNOWN_ORDER, events, at)
    if command.quantity <= 0:
        return refuse(book, command, RejectReason.QUANTITY_NOT_POSITIVE, events, at)
    instrument = order_at(book, slot).instrument
    reason = phase_refusal(market_at(book, instrument).phase, Ask.REDUCE)
    if reason != RejectReason.NONE:
        return refuse_in_phase(book, command, reason, instrument, events, at)
    leaves = open_lots(book, slot) - command.quantity
    if leaves <= 0:
        return take_out(book, slot, EventKind.CANCELLED, RejectReason.NONE, events, at)
    take_off(book, slot, command.quantity)
    price = price_of(book, slot)
    tell(book, slot, EventKind.REDUCED, price, order_at(book, slot).quantity, leaves, events, at)
    return at + 1


@kernel
def take_off(book: Book, slot: int, lots: int) -> None:
    """Take lots off an order where it stands, hidden ones first; fewer than none are added to it."""
    order = order_at(book, slot)
    order.quantity -= lots
    if book.counts[0].calls != 0:
        note_lots(book, slot, -lots)
    if order.extra != NO_SLOT:
        extra = extra_at(book, order.extra)
        unseen = min(extra.hidden, max(lots, 0))
        extra.hidden -= unseen
        lots -= unseen
    order.leaves -= lots
    level_at(book, order.level).quantity -= lots
    if len(book.tape) != 0 and lots != 0:
        record(book, slot, order.leaves, QueueChange.TAKEN_OFF)


@kernel
def replace(book: Book, command: Row, events: np.ndarray, at: int) -> int:
    """Give an order a new price and a new total. It keeps its place only if it asks for no more."""
    slot = owned(book, command)
    if slot == NO_SLOT:
        return refuse(book, command, RejectReason.UNKNOWN_ORDER, events, at)
    reason = replace_refusal(book, slot, command)
    order = order_at(book, slot)
    phase = market_at(book, order.instrument).phase
    if reason == phase_refusal(phase, Ask.REPLACE) and reason != RejectReason.NONE:
        return refuse_in_phase(book, command, reason, order.instrument, events, at)
    if reason != RejectReason.NONE:
        return refuse(book, command, reason, events, at)
    leaves = leaves_after(book, slot, command)
    if leaves <= 0:
        return take_out(book, slot, EventKind.CANCELLED, RejectReason.NONE, events, at)
    is_parked = order.extra != NO_SLOT and extra_at(book, order.extra).is_parked != 0
    was_price = price_of(book, slot)
    price = command.price if command.price != 0 else was_price
    keeps = price == was_price and command.quantity <= order.quantity
    if keeps or is_parked:
        take_off(book, slot, order.quantity - command.quantity)
    else:
        depart(book, slot)
        order.quantity = command.quantity
        order.leaves = leaves
        if order.extra != NO_SLOT:
            extra_at(book, order.extra).hidden = 0
    if order.extra != NO_SLOT:
        extra_at(book, order.extra).price = price
        count_slices(book, slot)
    tell(book, slot, EventKind.REPLACED, price, command.quantity, leaves, events, at)
    event_at(events, at).was_price = was_price
    at += 1
    if is_parked:
        move_stop(book, slot, command.stop_price)
    elif phase != Phase.CONTINUOUS and not keeps:
        join_call(book, slot, price, is_waiting(book, slot))
    elif not keeps:
        order.entry = 0
        at = arrive(book, slot, price, IS_LIMIT, events, at)
    return at if book.counts[0].elected_first == NO_SLOT else cascade(book, events, at)


@kernel
def leaves_after(book: Book, slot: int, command: Row) -> int:
    """Return what would be open of an order whose total a replace makes `command.quantity`."""
    return open_lots(book, slot) + command.quantity - order_at(book, slot).quantity


@kernel
def replace_refusal(book: Book, slot: int, command: Row) -> int:
    """Return why the order in `slot` cannot be replaced as `command` asks, or NONE; nothing is changed."""
    order = order_at(book, slot)
    is_parked = order.extra != NO_SLOT and extra_at(book, order.extra).is_parked != 0
    reason = replace_fault(book, slot, is_parked, command)
    if reason == RejectReason.NONE:
        reason = phase_refusal(market_at(book, order.instrument).phase, Ask.REPLACE)
    if reason != RejectReason.NONE or leaves_after(book, slot, command) <= 0:
        return reason
    was_price = price_of(book, slot)
    price = command.price if command.price != 0 else was_price
    return replacement_fault(book, slot, is_parked, price, was_price, command.quantity)


@rare
def move_stop(book: Book, slot: int, stop_price: int) -> None:
    """Let a parked stop wait for another price, unless it is 0 or the one it waits for."""
    order = order_at(book, slot)
    if stop_price == 0 or stop_price == level_at(book, order.level).price:
        return
    leave(book, slot)
    await_price(book, slot, stop_price)
    is_continuous = market_at(book, order.instrument).phase == Phase.CONTINUOUS
    if is_continuous and is_reached(book, order.instrument, order.side, stop_price):
        elect(book, slot)


@rare
def replace_fault(book: Book, slot: int, is_parked: bool, command: Row) -> int:
    """Return why a replace cannot be done as it is written, or NONE."""
    market = market_at(book, order_at(book, slot).instrument)
    if command.price != 0:
        reason = price_fault(command.price, market.tick)
        if reason != RejectReason.NONE:
            return reason
    moves_stop = is_parked and command.stop_price != 0
    if moves_stop and price_fault(command.stop_price, market.tick) != RejectReason.NONE:
        return RejectReason.STOP_PRICE_INVALID
    if command.quantity < 0:
        return RejectReason.QUANTITY_NOT_POSITIVE
    if command.quantity > QUANTITY_MAX:
        return RejectReason.QUANTITY_TOO_LARGE
    return RejectReason.NONE


@rare
def replacement_fault(
    book: Book, slot: int, is_parked: bool, price: int, was_price: int, quantity: int
) -> int:
    """Return why an order cannot be what a replace would make of it, or NONE."""
    order = order_at(book, slot)
    if is_notional_too_large(price, quantity):
        return RejectReason.NOTIONAL_TOO_LARGE
    if order.extra != NO_SLOT and not shows_enough(extra_at(book, order.extra).display, quantity):
        return RejectReason.DISPLAY_QUANTITY_INVALID
    if (
        order.marks & POST_ONLY != 0
        and not is_parked
        and price != was_price
        and would_trade(book, order.instrument, order.side, price)
    ):
        return RejectReason.POST_ONLY_WOULD_CROSS
    if order.extra != NO_SLOT:
        extra = extra_at(book, order.extra)
        if slices_of(extra.display, quantity) > extra.slices and book.counts[0].slices > SLICES_OPEN_MAX:
            return RejectReason.BOOK_FULL
    return RejectReason.NONE


@rare
def expire_until_now(book: Book, events: np.ndarray, at: int) -> int:
    """Let every order expire whose time has come by the book's clock."""
    counts = book.counts[0]
    while counts.expiries > 0 and counts.next_expiry <= counts.clock:
        at = take_out(book, wide(book.expiries[0].slot), EventKind.EXPIRED, RejectReason.NONE, events, at)
    return at


@rare
def clear_half(
    book: Book, half_index: int, member: int, only_day: bool, kind: int, events: np.ndarray, at: int
) -> int:
    """Withdraw a member's orders (`EVERY`: all) from one half in its priority, or its DAY orders only."""
    level = half_at(book, half_index).best
    while level != NO_SLOT:
        worse = next_level(book, level)
        slot = wide(level_at(book, level).first)
        while slot != NO_SLOT:
            order = order_at(book, slot)
            behind = wide(order.behind)
            if (member == EVERY or order.member == member) and (
                not only_day or order.time_in_force == TimeInForce.DAY
            ):
                at = take_out(book, slot, kind, RejectReason.NONE, events, at)
            slot = behind
        level = worse
    return at


@rare
def end_day_of(book: Book, instrument: int, events: np.ndarray, at: int) -> int:
    """Let an instrument's DAY orders expire, half by half, and all market orders that wait."""
    for kind in range(HALVES):
        half_index = HALVES * instrument + kind
        at = clear_half(book, half_index, EVERY, kind < WAITING, EventKind.EXPIRED, events, at)
    return at


@rare
def end_day(book: Book, events: np.ndarray, at: int) -> int:
    """Let every order that lasts for the trading day expire, instrument by instrument.

    The order follows from the book as everybody sees it, and from nothing else.
    """
    for instrument in range(len(book.markets)):
        at = end_day_of(book, instrument, events, at)
    return at


@rare
def mass_cancel(book: Book, command: Row, events: np.ndarray, at: int) -> int:
    """Cancel the open orders of a member, of an instrument, of a side; `EVERY`, `BOTH_SIDES`: of all."""
    if command.instrument != EVERY and not 0 <= command.instrument < len(book.markets):
        return refuse(book, command, RejectReason.UNKNOWN_INSTRUMENT, events, at)
    if command.side > Side.SELL and command.side != BOTH_SIDES:
        return refuse(book, command, RejectReason.UNKNOWN_SIDE, events, at)
    if command.instrument == EVERY:
        for instrument in range(len(book.markets)):
            if phase_refusal(market_at(book, instrument).phase, Ask.CANCEL) == RejectReason.NONE:
                at = mass_cancel_of(book, instrument, command, events, at)
        return at
    reason = phase_refusal(market_at(book, command.instrument).phase, Ask.CANCEL)
    if reason != RejectReason.NONE:
        return refuse_in_phase(book, command, reason, command.instrument, events, at)
    return mass_cancel_of(book, command.instrument, command, events, at)


@rare
def mass_cancel_of(book: Book, instrument: int, command: Row, events: np.ndarray, at: int) -> int:
    """Cancel the orders of one instrument that a mass cancel means."""
    for half_index in range(HALVES * instrument, HALVES * (instrument + 1)):
        if command.side == BOTH_SIDES or command.side == half_index & 1:
            at = clear_half(book, half_index, command.member, False, EventKind.CANCELLED, events, at)
    return at
