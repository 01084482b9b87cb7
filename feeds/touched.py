"""Which levels a batch of events has touched, and what stands there now: one kernel call a batch.

All kernels of the feed stand in this file, and call nothing but those of `matching`: Numba's cache
sees a change of this file by itself, one of `matching` by the digest that names the cache folder.
"""

from __future__ import annotations

import numpy as np

from matching.kernel import kernel
from matching.layout import HALVES, Book, Row
from matching.levels import key_of
from matching.view import find_level
from matching.vocabulary import NO_SLOT, EventKind

_SPREAD = 2_654_435_761
"""An odd number near 2**32 / golden ratio (Knuth, volume 3, 6.4): it scatters the halves."""


def empty_seen(levels: int) -> np.ndarray:
    """Return an empty table for so many levels, at most half full with them."""
    return np.full(1 << (2 * levels + 1).bit_length(), NO_SLOT, np.int32)


@kernel
def note_level(
    half_index: int,
    price: int,
    seen: np.ndarray,
    updates: np.ndarray,
    halves: np.ndarray,
    count: int,
) -> int:
    """Write a level down at row `count`, unless it has been. Returns how many stand written."""
    mask = len(seen) - 1
    at = (price ^ (price >> 12) ^ (np.int64(half_index) * _SPREAD)) & mask
    while seen[at] != NO_SLOT:
        row = seen[at]
        if updates[row].price == price and halves[row] == half_index:
            return count
        at = (at + 1) & mask
    seen[at] = count
    updates[count].price = price
    halves[count] = half_index
    return count + 1


@kernel
def note_levels(
    book: Book, events: np.ndarray, seen: np.ndarray, updates: np.ndarray, halves: np.ndarray
) -> int:
    """Write down every level that the events touched, once each; return how many there are.

    An order arrives when it is accepted, triggered or replaced. One that is gone before the next one
    arrives never stood at its own price, or left no trace there. So that level is not written down:
    the limit of a taker that is filled at a better price stays its member's secret.
    """
    count = 0
    arriving = NO_SLOT
    for row in range(len(events)):
        event = events[row]
        kind = event.kind
        own_half = HALVES * event.instrument + event.side
        its_own = arriving != NO_SLOT and events[arriving].order == event.order
        if kind == EventKind.ACCEPTED or kind == EventKind.TRIGGERED or kind == EventKind.REPLACED:  # noqa: PLR1714  Numba compiles it to less
            if arriving != NO_SLOT:
                count = note_arrived(book, events[arriving], seen, updates, halves, count)
            if kind == EventKind.REPLACED and not is_parked(book, event):
                count = note_level(own_half, event.was_price, seen, updates, halves, count)
            arriving = row
        elif kind == EventKind.TRADED:
            count = note_level(own_half ^ 1, event.price, seen, updates, halves, count)
            if its_own and event.leaves == 0:
                arriving = NO_SLOT
        elif kind == EventKind.CANCELLED or kind == EventKind.EXPIRED:  # noqa: PLR1714  Numba compiles it to less
            if its_own:
                arriving = NO_SLOT
            else:
                count = note_level(own_half, event.price, seen, updates, halves, count)
        elif kind == EventKind.REDUCED and not its_own and not is_parked(book, event):
            count = note_level(own_half, event.price, seen, updates, halves, count)
    if arriving != NO_SLOT:
        count = note_arrived(book, events[arriving], seen, updates, halves, count)
    return count


@kernel
def note_arrived(
    book: Book, event: Row, seen: np.ndarray, updates: np.ndarray, halves: np.ndarray, count: int
) -> int:
    """Write down the level at which an order came to rest; one that is parked rests nowhere."""
    if is_parked(book, event):
        return count
    half_index = HALVES * event.instrument + event.side
    return note_level(half_index, event.price, seen, updates, halves, count)


@kernel
def is_parked(book: Book, event: Row) -> bool:
    """Tell whether the order of an event is parked now, outside of the book that everybody sees."""
    order = book.orders[event.slot]
    if order.id != event.order or order.leaves == 0 or order.extra == NO_SLOT:
        return False
    extra = book.extras[order.extra]
    return bool(extra.is_parked)


@kernel
def gather_levels(
    book: Book, events: np.ndarray, seen: np.ndarray, updates: np.ndarray, halves: np.ndarray
) -> int:
    """Fill `updates` with the levels touched and their totals now, `halves` with where they stand.

    Both have two rows an event; `updates` is of `feeds.publisher.LEVEL_UPDATE`, zeroed, and a level
    that is gone keeps its zeros. Returns how many rows were filled, in the order of first touch.
    """
    count = note_levels(book, events, seen, updates, halves)
    for row in range(count):
        half_index = halves[row]
        side = half_index & 1
        update = updates[row]
        update.side = side
        key = key_of(side, update.price, book.markets[half_index // HALVES].tick)
        level = find_level(book, half_index, key)
        if level != NO_SLOT:
            update.quantity = book.levels[level].quantity
            update.orders = book.levels[level].orders
    return count
