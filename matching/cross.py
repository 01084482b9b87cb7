"""A taker meets the book: price by price, first come first served."""

from __future__ import annotations

import numpy as np

from matching.kernel import kernel
from matching.layout import Book, Row
from matching.levels import key_of
from matching.places import find
from matching.queues import free_slot, join, leave, take_slot
from matching.vocabulary import NO_SLOT, EventKind, RejectReason, Side, TimeInForce


@kernel
def tell(book: Book, slot: int, kind: int, quantity: int, events: np.ndarray, at: int) -> None:
    """Write at `at` an event of the order in `slot`, with nothing open afterwards."""
    order = book.orders[slot]
    event = events[at]
    event.order = order.id
    event.maker_order = 0
    event.price = order.price
    event.quantity = quantity
    event.leaves = 0
    event.maker_leaves = 0
    event.instrument = order.instrument
    event.slot = slot
    event.maker_slot = NO_SLOT
    event.kind = kind
    event.side = order.side
    event.reason = RejectReason.NONE


@kernel
def refuse(command: Row, reason: int, events: np.ndarray, at: int) -> int:
    """Write that `command` is refused. Returns how many events stand written."""
    event = events[at]
    event.order = command.order
    event.maker_order = 0
    event.price = command.price
    event.quantity = command.quantity
    event.leaves = 0
    event.maker_leaves = 0
    event.instrument = command.instrument
    event.slot = NO_SLOT
    event.maker_slot = NO_SLOT
    event.kind = EventKind.REJECTED
    event.side = command.side
    event.reason = reason
    return at + 1


@kernel
def withdraw(book: Book, slot: int, kind: int, reason: int, events: np.ndarray, at: int) -> int:
    """Take a resting order out of the book and say so, as `kind`: CANCELLED or EXPIRED."""
    tell(book, slot, kind, book.orders[slot].leaves, events, at)
    events[at].reason = reason
    leave(book, slot)
    return at + 1


@kernel
def related(book: Book, taker: int, maker: int) -> bool:
    """Tell whether a subsidised buy would meet a sell of its own group (no programme pays for that)."""
    one = book.orders[taker]
    other = book.orders[maker]
    subsidised = one.subsidised if one.side == Side.BUY else other.subsidised
    return subsidised != 0 and one.group == other.group


@kernel
def trade(book: Book, taker: int, maker: int, events: np.ndarray, at: int) -> None:
    """Trade what both have open, at the maker's price; a maker with nothing left leaves the book."""
    one = book.orders[taker]
    other = book.orders[maker]
    quantity = min(one.leaves, other.leaves)
    one.leaves -= quantity
    tell(book, taker, EventKind.TRADED, quantity, events, at)
    event = events[at]
    event.maker_order = other.id
    event.maker_slot = maker
    event.price = other.price
    event.leaves = one.leaves
    event.maker_leaves = other.leaves - quantity
    if other.leaves == quantity:
        leave(book, maker)
    else:
        other.leaves -= quantity
        book.levels[other.level].quantity -= quantity


@kernel
def cross(book: Book, taker: int, events: np.ndarray, at: int) -> tuple[int, bool]:
    """Trade the order in slot `taker` as far as its price reaches.

    Returns how many events stand written, and whether it was stopped by a related party. A
    subsidised buy never trades with a sell of its own group: the buy is cancelled, whoever came first.
    """
    order = book.orders[taker]
    opposite = 1 - order.side
    half_index = 2 * order.instrument + opposite
    half = book.halves[half_index]
    reach = key_of(opposite, order.price, book.markets[order.instrument].tick)
    while order.leaves > 0 and half.best != NO_SLOT and half.best_key <= reach:
        maker = book.levels[half.best].first
        if related(book, taker, maker):
            if order.side == Side.BUY:
                return at, True
            at = withdraw(book, maker, EventKind.CANCELLED, RejectReason.RELATED_PARTY, events, at)
        else:
            trade(book, taker, maker, events, at)
            at += 1
    return at, False


@kernel
def enter(book: Book, command: Row, events: np.ndarray, at: int) -> int:
    """Take a new order, already found sound: accept it, cross it, let the rest stand or end it."""
    slot = take_slot(book)
    order = book.orders[slot]
    order.id = command.order
    order.price = command.price
    order.leaves = command.quantity
    order.quantity = command.quantity
    order.instrument = command.instrument
    order.member = command.member
    order.group = command.group
    order.side = command.side
    order.time_in_force = command.time_in_force
    order.subsidised = command.subsidised
    tell(book, slot, EventKind.ACCEPTED, command.quantity, events, at)
    events[at].leaves = command.quantity
    at, barred = cross(book, slot, events, at + 1)
    if order.leaves == 0:
        free_slot(book, slot)
    elif barred or order.time_in_force == TimeInForce.IOC:
        tell(book, slot, EventKind.CANCELLED, order.leaves, events, at)
        if barred:
            events[at].reason = RejectReason.RELATED_PARTY
        free_slot(book, slot)
        at += 1
    else:
        join(book, slot)
    return at


@kernel
def cancel(book: Book, command: Row, events: np.ndarray, at: int) -> int:
    """Take an order back. One that is not there, or is somebody else's, is refused as unknown."""
    slot = find(book.places, command.order)
    if slot == NO_SLOT or not owns(book, command, slot):
        return refuse(command, RejectReason.UNKNOWN_ORDER, events, at)
    return withdraw(book, slot, EventKind.CANCELLED, RejectReason.NONE, events, at)


@kernel
def owns(book: Book, command: Row, slot: int) -> bool:
    """Tell whether `command` speaks for the order's member; a member of `NO_SLOT` means the owner."""
    return command.member == NO_SLOT or book.orders[slot].member == command.member
