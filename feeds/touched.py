"""Which levels a batch of events names, and what stands there now: two kernel calls a batch.

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
def note_levels(events: np.ndarray, seen: np.ndarray, updates: np.ndarray, halves: np.ndarray) -> int:
    """Write down every level that the events name, once each; return how many there are.

    They name more than they change: the limit of a taker that found all it wanted, of a stop that is
    parked, the protection price of an order that waits for an auction. And they name too little: the
    trades of an auction tell its price, not their orders'. The publisher knows what to do about both.
    """
    count = 0
    for row in range(len(events)):
        event = events[row]
        kind = event.kind
        if kind == EventKind.TRADED:
            count = note_level(half_of(event) ^ 1, event.price, seen, updates, halves, count)
        elif kind == EventKind.REPLACED:
            count = note_level(half_of(event), event.was_price, seen, updates, halves, count)
            count = note_level(half_of(event), event.price, seen, updates, halves, count)
        elif (
            kind == EventKind.ACCEPTED  # noqa: PLR1714  Numba compiles it to less
            or kind == EventKind.TRIGGERED
            or kind == EventKind.REDUCED
            or kind == EventKind.CANCELLED
            or kind == EventKind.EXPIRED
        ):
            count = note_level(half_of(event), event.price, seen, updates, halves, count)
    return count


@kernel
def half_of(event: Row) -> int:
    """Return the half of the book in which an event's order would stand."""
    return int(HALVES * event.instrument + event.side)


@kernel
def fill_levels(book: Book, updates: np.ndarray, halves: np.ndarray) -> None:
    """Give each of `updates` (of `feeds.publisher.LEVEL_UPDATE`) its side, and its total as it is now.

    `halves` says where they stand. A level that is gone gets zeros.
    """
    for row in range(len(updates)):
        half_index = halves[row]
        side = half_index & 1
        update = updates[row]
        update.side = side
        key = key_of(side, update.price, book.markets[half_index // HALVES].tick)
        level = find_level(book, half_index, key)
        update.quantity = 0 if level == NO_SLOT else book.levels[level].quantity
        update.orders = 0 if level == NO_SLOT else book.levels[level].orders
