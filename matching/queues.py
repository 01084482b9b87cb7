"""The orders of a level, first come first, and the pool that their slots come from."""

from __future__ import annotations

from matching.kernel import kernel
from matching.layout import Book
from matching.levels import drop_level, key_of, level_at
from matching.places import forget, remember
from matching.vocabulary import NO_SLOT


@kernel
def take_slot(book: Book) -> int:
    """Take a slot for an order from the pool, the one freed last first."""
    counts = book.counts[0]
    slot = counts.orders_free
    if slot == NO_SLOT:
        slot = counts.orders_used
        counts.orders_used = slot + 1
    else:
        counts.orders_free = book.orders[slot].behind
    return slot


@kernel
def free_slot(book: Book, slot: int) -> None:
    """Give a slot back. What stood there stays readable until the slot is taken again."""
    counts = book.counts[0]
    book.orders[slot].leaves = 0
    book.orders[slot].behind = counts.orders_free
    counts.orders_free = slot


@kernel
def join(book: Book, slot: int) -> None:
    """Let the order in `slot` rest: last in the queue at its price, known by its id."""
    order = book.orders[slot]
    half_index = 2 * order.instrument + order.side
    key = key_of(order.side, order.price, book.markets[order.instrument].tick)
    level = level_at(book, half_index, key)
    here = book.levels[level]
    order.level = level
    order.ahead = here.last
    order.behind = NO_SLOT
    if here.last == NO_SLOT:
        here.first = slot
    else:
        book.orders[here.last].behind = slot
    here.last = slot
    here.orders += 1
    here.quantity += order.leaves
    book.halves[half_index].orders += 1
    book.counts[0].open_orders += 1
    remember(book.places, order.id, slot)


@kernel
def leave(book: Book, slot: int) -> None:
    """Take a resting order out of its queue, wherever in it the order stands, and free its slot."""
    order = book.orders[slot]
    half_index = 2 * order.instrument + order.side
    level = order.level
    here = book.levels[level]
    if order.ahead == NO_SLOT:
        here.first = order.behind
    else:
        book.orders[order.ahead].behind = order.behind
    if order.behind == NO_SLOT:
        here.last = order.ahead
    else:
        book.orders[order.behind].ahead = order.ahead
    here.orders -= 1
    here.quantity -= order.leaves
    book.halves[half_index].orders -= 1
    book.counts[0].open_orders -= 1
    forget(book.places, order.id, slot)
    if here.orders == 0:
        drop_level(book, half_index, level)
    free_slot(book, slot)
