"""What only few orders have: hidden lots, a stop's prices, a time to expire; and the heap of those times."""

from __future__ import annotations

from matching.kernel import kernel, rare
from matching.layout import NEVER, Book, Row
from matching.rows import extra_at, order_at
from matching.vocabulary import NO_SLOT, SLICES_MAX, OrderType, TimeInForce


@kernel
def display_of(command: Row) -> int:
    """Return how many lots an order shows when it rests; 0 if it shows all, or never rests."""
    is_limit = command.type == OrderType.LIMIT or command.type == OrderType.STOP_LIMIT
    return command.display_quantity if is_limit and command.time_in_force < TimeInForce.IOC else 0


@kernel
def is_timed(command: Row) -> bool:
    """Tell whether an order expires at a time of its own. A market order ends at once."""
    return command.time_in_force == TimeInForce.GTD and command.type != OrderType.MARKET


@rare
def give_extra(book: Book, slot: int, command: Row, price: int) -> None:
    """Give the order in `slot` what it has beyond others; `price` is its limit or protection price."""
    counts = book.counts[0]
    number = counts.extras_free
    if number == NO_SLOT:
        number = counts.extras_used
        counts.extras_used = number + 1
    else:
        counts.extras_free = extra_at(book, number).slot
    order_at(book, slot).extra = number
    extra = extra_at(book, number)
    extra.hidden = 0
    extra.display = display_of(command)
    extra.minimum = command.minimum_quantity
    extra.price = price
    extra.trail = command.trail if command.type == OrderType.TRAILING_STOP else 0
    extra.expires_at = 0
    extra.arrival = counts.arrivals
    extra.slot = slot
    extra.due = NO_SLOT
    extra.trail_ahead = NO_SLOT
    extra.trail_behind = NO_SLOT
    extra.type = command.type
    extra.is_parked = 0
    extra.slices = 0
    counts.arrivals += 1
    count_slices(book, slot)
    if is_timed(command):
        await_expiry(book, slot, command.expires_at)


@rare
def count_slices(book: Book, slot: int) -> None:
    """Count into how many slices an iceberg may fall: there must be room for the events of all."""
    extra = extra_at(book, order_at(book, slot).extra)
    counts = book.counts[0]
    counts.slices -= extra.slices
    extra.slices = slices_of(extra.display, order_at(book, slot).quantity)
    counts.slices += extra.slices


@kernel
def slices_of(display: int, quantity: int) -> int:
    """Return into how many slices an order of this total may fall; 0 for one that shows all."""
    return 0 if display == 0 else quantity // display + 1


@rare
def drop_extra(book: Book, slot: int) -> None:
    """Take away what the order had beyond others."""
    number = order_at(book, slot).extra
    counts = book.counts[0]
    extra = extra_at(book, number)
    if extra.due != NO_SLOT:
        forget_expiry(book, extra.due)
    counts.slices -= extra.slices
    extra.slot = counts.extras_free
    counts.extras_free = number
    order_at(book, slot).extra = NO_SLOT


@kernel
def open_lots(book: Book, slot: int) -> int:
    """Return what is open of an order, hidden lots included."""
    order = order_at(book, slot)
    return order.leaves if order.extra == NO_SLOT else order.leaves + extra_at(book, order.extra).hidden


@kernel
def hide(book: Book, slot: int) -> None:
    """Let an iceberg show one slice of all that it has: it is about to rest."""
    order = order_at(book, slot)
    if order.extra == NO_SLOT:
        return
    extra = extra_at(book, order.extra)
    if 0 < extra.display < order.leaves:
        extra.hidden = order.leaves - extra.display
        order.leaves = extra.display


@kernel
def shows_enough(display: int, quantity: int) -> bool:
    """Tell whether an order of this total, if it is an iceberg, has few enough slices."""
    return display == 0 or (quantity - 1) // SLICES_MAX < display


# --- the lists that trailing stops and waiting market orders stand in, first come first ----------


@rare
def link_last(book: Book, slot: int, last: int) -> None:
    """Let an order stand last in its market's list, behind `last`; the market is the caller's to tell."""
    extra = extra_at(book, order_at(book, slot).extra)
    extra.trail_ahead = last
    extra.trail_behind = NO_SLOT
    if last != NO_SLOT:
        extra_at(book, order_at(book, last).extra).trail_behind = slot


@rare
def unlink(book: Book, slot: int) -> None:
    """Let an order's neighbours in its market's list be each other's."""
    extra = extra_at(book, order_at(book, slot).extra)
    if extra.trail_ahead != NO_SLOT:
        extra_at(book, order_at(book, extra.trail_ahead).extra).trail_behind = extra.trail_behind
    if extra.trail_behind != NO_SLOT:
        extra_at(book, order_at(book, extra.trail_behind).extra).trail_ahead = extra.trail_ahead


# --- the heap of expiries, earliest first, at equal times who was accepted first ----------------


@kernel
def is_sooner(book: Book, one: int, other: int) -> bool:
    """Tell whether row `one` of the heap expires before row `other`."""
    a = book.expiries[one]
    b = book.expiries[other]
    return a.expires_at < b.expires_at or (a.expires_at == b.expires_at and a.arrival < b.arrival)


@rare
def swap(book: Book, one: int, other: int) -> None:
    """Swap two rows of the heap, and tell their orders."""
    a = book.expiries[one]
    b = book.expiries[other]
    expires_at, arrival, slot = a.expires_at, a.arrival, a.slot
    a.expires_at = b.expires_at
    a.arrival = b.arrival
    a.slot = b.slot
    b.expires_at = expires_at
    b.arrival = arrival
    b.slot = slot
    extra_at(book, order_at(book, a.slot).extra).due = one
    extra_at(book, order_at(book, b.slot).extra).due = other


@rare
def sift(book: Book, at: int) -> None:
    """Move a row of the heap up or down to where it belongs. O(log n)."""
    while at > 0 and is_sooner(book, at, (at - 1) >> 1):
        swap(book, at, (at - 1) >> 1)
        at = (at - 1) >> 1
    count = book.counts[0].expiries
    while True:
        below = 2 * at + 1
        if below + 1 < count and is_sooner(book, below + 1, below):
            below += 1
        if below >= count or not is_sooner(book, below, at):
            break
        swap(book, at, below)
        at = below
    book.counts[0].next_expiry = book.expiries[0].expires_at if count > 0 else NEVER


@rare
def await_expiry(book: Book, slot: int, expires_at: int) -> None:
    """Note when an order expires."""
    counts = book.counts[0]
    at = counts.expiries
    counts.expiries = at + 1
    extra = extra_at(book, order_at(book, slot).extra)
    extra.expires_at = expires_at
    extra.due = at
    row = book.expiries[at]
    row.expires_at = expires_at
    row.arrival = extra.arrival
    row.slot = slot
    sift(book, at)


@rare
def forget_expiry(book: Book, at: int) -> None:
    """Take row `at` out of the heap."""
    counts = book.counts[0]
    last = counts.expiries - 1
    swap(book, at, last)
    counts.expiries = last
    extra_at(book, order_at(book, book.expiries[last].slot).extra).due = NO_SLOT
    if at < last:
        sift(book, at)
    else:
        counts.next_expiry = book.expiries[0].expires_at if last > 0 else NEVER
