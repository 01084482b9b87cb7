"""The orders of a level, first come first, and the pool that their slots come from."""

from __future__ import annotations

from matching.ids import forget, remember
from matching.kernel import kernel, wide
from matching.layout import Book
from matching.levels import drop_level, level_for
from matching.rows import half_at, level_at, order_at
from matching.tape import record
from matching.vocabulary import NO_SLOT, QueueChange


@kernel
def take_slot(book: Book) -> int:
    """Take a slot for an order from the pool, the one freed last first."""
    counts = book.counts[0]
    slot = counts.orders_free
    if slot == NO_SLOT:
        slot = counts.orders_used
        counts.orders_used = slot + 1
    else:
        counts.orders_free = order_at(book, slot).behind
    return wide(slot)


@kernel
def free_slot(book: Book, slot: int) -> None:
    """Give a slot back. What stood there stays readable until the slot is taken again."""
    counts = book.counts[0]
    order_at(book, slot).leaves = 0
    order_at(book, slot).behind = counts.orders_free
    counts.orders_free = slot


@kernel
def join(book: Book, slot: int, half_index: int, key: int, price: int) -> None:
    """Let the order in `slot` stand in a half: last in the queue at this price."""
    level = level_for(book, half_index, key, price)
    here = level_at(book, level)
    order = order_at(book, slot)
    order.level = level
    order.ahead = here.last
    order.behind = NO_SLOT
    book.orders[here.last].behind = slot
    first = here.first
    here.first = slot if first == NO_SLOT else first
    here.last = slot
    here.orders += 1
    here.quantity += order.leaves
    half_at(book, half_index).orders += 1
    if len(book.tape) != 0:
        record(book, slot, order.leaves, QueueChange.PLACED)


@kernel
def leave(book: Book, slot: int) -> None:
    """Take an order out of its queue, wherever in it the order stands; it is still open, and known."""
    order = order_at(book, slot)
    level = order.level
    here = level_at(book, level)
    if len(book.tape) != 0 and order.leaves > 0:
        record(book, slot, 0, QueueChange.TAKEN_OFF)
    ahead = order.ahead
    behind = order.behind
    book.orders[ahead].behind = behind
    book.orders[behind].ahead = ahead
    first = here.first
    last = here.last
    here.first = behind if ahead == NO_SLOT else first
    here.last = ahead if behind == NO_SLOT else last
    here.orders -= 1
    here.quantity -= order.leaves
    half_index = here.half
    half_at(book, half_index).orders -= 1
    if here.orders == 0:
        drop_level(book, half_index, level)


@kernel
def open_up(book: Book, slot: int) -> None:
    """Count an order among the open ones, and know it by its id."""
    book.counts[0].open_orders += 1
    remember(book, slot)


@kernel
def close(book: Book, slot: int) -> None:
    """Know an order no longer: it has left its queue for good, or enters the book anew."""
    book.counts[0].open_orders -= 1
    forget(book, slot)
