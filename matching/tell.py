"""Writing events, and ending orders: what every deed of the book comes down to."""

from __future__ import annotations

import numpy as np

from matching.extras import drop_extra, open_lots
from matching.kernel import kernel, rare
from matching.layout import Book, Row
from matching.queues import close, free_slot, leave
from matching.rows import event_at, extra_at, level_at, market_at, order_at
from matching.stops import unpark
from matching.vocabulary import NO_SLOT, EventKind, RejectReason
from matching.waiting import is_waiting, note_lots, stop_waiting


@kernel
def tell(
    book: Book, slot: int, kind: int, price: int, quantity: int, leaves: int, events: np.ndarray, at: int
) -> None:
    """Write at `at` an event of the order in `slot`, with no maker and no reason."""
    order = order_at(book, slot)
    event = event_at(events, at)
    event.order = order.id
    event.maker_order = 0
    event.price = price
    event.quantity = quantity
    event.leaves = leaves
    event.maker_leaves = 0
    event.was_price = 0
    event.command = book.counts[0].row
    event.instrument = order.instrument
    event.slot = slot
    event.maker_slot = NO_SLOT
    event.kind = kind
    event.side = order.side
    event.reason = RejectReason.NONE
    event.phase = 0
    event.unused = 0


@kernel
def blank(book: Book, events: np.ndarray, at: int) -> Row:
    """Return the event at `at`, telling of no order yet, for the command that is being done."""
    event = event_at(events, at)
    event.order = 0
    event.maker_order = 0
    event.price = 0
    event.quantity = 0
    event.leaves = 0
    event.maker_leaves = 0
    event.was_price = 0
    event.command = book.counts[0].row
    event.slot = NO_SLOT
    event.maker_slot = NO_SLOT
    event.side = 0
    event.reason = RejectReason.NONE
    event.phase = 0
    event.unused = 0
    return event


@kernel
def refuse(book: Book, command: Row, reason: int, events: np.ndarray, at: int) -> int:
    """Write that `command` is refused. Returns how many events stand written."""
    event = blank(book, events, at)
    event.order = command.order
    event.price = command.price
    event.quantity = command.quantity
    event.instrument = command.instrument
    event.kind = EventKind.REJECTED
    event.side = command.side
    event.reason = reason
    return at + 1


@rare
def refuse_in_phase(
    book: Book, command: Row, reason: int, instrument: int, events: np.ndarray, at: int
) -> int:
    """Write that an instrument's phase does not take `command`. Returns how many events stand written."""
    at = refuse(book, command, reason, events, at)
    event_at(events, at - 1).phase = market_at(book, instrument).phase
    return at


@kernel
def price_of(book: Book, slot: int) -> int:
    """Return the price of an open order: its level's, or a parked one's limit or protection price."""
    order = order_at(book, slot)
    if order.extra != NO_SLOT and extra_at(book, order.extra).is_parked != 0:
        return extra_at(book, order.extra).price
    return level_at(book, order.level).price


@kernel
def depart(book: Book, slot: int) -> None:
    """Take an open order out of its queue, resting or parked, and know it no longer."""
    extra = order_at(book, slot).extra
    if book.counts[0].calls != 0:
        note_lots(book, slot, -open_lots(book, slot))
    if extra == NO_SLOT:
        leave(book, slot)
    elif extra_at(book, extra).is_parked != 0:
        unpark(book, slot)
    elif is_waiting(book, slot):
        stop_waiting(book, slot)
    else:
        leave(book, slot)
    close(book, slot)


@kernel
def end(book: Book, slot: int) -> None:
    """End an order that is in no queue: its slot is free for another."""
    if order_at(book, slot).extra != NO_SLOT:
        drop_extra(book, slot)
    free_slot(book, slot)


@kernel
def withdraw(book: Book, slot: int, kind: int, reason: int, events: np.ndarray, at: int) -> int:
    """Take an open order out of the book and say so, as `kind`: CANCELLED or EXPIRED."""
    tell(book, slot, kind, price_of(book, slot), open_lots(book, slot), 0, events, at)
    event_at(events, at).reason = reason
    depart(book, slot)
    end(book, slot)
    return at + 1


@rare
def take_out(book: Book, slot: int, kind: int, reason: int, events: np.ndarray, at: int) -> int:
    """Withdraw an open order where that is not the common path: the same, compiled apart."""
    return withdraw(book, slot, kind, reason, events, at)
