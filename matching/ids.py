"""The table from an order's id to its slot: heads of short chains that run through the orders themselves.

A head is four bytes, so the table of a million orders fits into a processor's last cache, and a chain
is nearly always one order long, which has to be read anyway. Open addressing, with the ids in the
table, takes 16 bytes a place, and moves the neighbours about whenever an order leaves.
"""

from __future__ import annotations

import numpy as np

from matching.kernel import kernel, lowest_bit, wide
from matching.layout import Book
from matching.rows import head_at, order_at
from matching.vocabulary import NO_SLOT

_LOW_31 = 2**31 - 1
_GOLDEN = 0x9E3779B1
"""An odd number near 2**32 / golden ratio (Knuth, volume 3, 6.4)."""


@kernel
def head_of(order: int, mask: int) -> int:
    """Return the place of an id: neighbouring ids stand side by side, in windows as wide as the table.

    Each window is shifted by what its number comes to when mixed, so that ids with equal low bits
    spread as well. New ids that count upwards mostly come to places that are empty again; had each id
    its own mixed place, every second would meet another's chain: a branch that nobody can predict.
    No product leaves int64.
    """
    window = order >> lowest_bit(mask + 1)
    product = ((window ^ (window >> 31)) & _LOW_31) * _GOLDEN
    return ((order & mask) + ((product ^ (product >> 31)) & mask)) & mask


@kernel
def find(book: Book, order: int) -> int:
    """Return the slot of the open order with this id, or `NO_SLOT`. O(1) expected."""
    slot = head_at(book, head_of(order, len(book.heads) - 1))
    while slot != NO_SLOT and order_at(book, slot).id != order:
        slot = order_at(book, slot).chain
    return wide(slot)


@kernel
def remember(book: Book, slot: int) -> None:
    """Note the slot of an order whose id is not in the table yet."""
    place = head_of(order_at(book, slot).id, len(book.heads) - 1)
    order_at(book, slot).chain = head_at(book, place)
    book.heads[np.uint64(place)] = slot


@kernel
def forget(book: Book, slot: int) -> None:
    """Take the order in `slot` out of the table."""
    place = head_of(order_at(book, slot).id, len(book.heads) - 1)
    at = head_at(book, place)
    if at == slot:
        book.heads[np.uint64(place)] = order_at(book, slot).chain
        return
    while order_at(book, at).chain != slot:
        at = order_at(book, at).chain
    order_at(book, at).chain = order_at(book, slot).chain


@kernel
def note_ids(book: Book) -> None:
    """Fill an empty table from the orders that are open."""
    for slot in range(book.counts[0].orders_used):
        if order_at(book, slot).leaves > 0:
            remember(book, slot)
