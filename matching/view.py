"""Reading the book without changing it: the total at a price, the depth of a half, what rests."""

from __future__ import annotations

import numpy as np

from matching.kernel import kernel, lowest_bit
from matching.layout import Book
from matching.levels import key_of
from matching.vocabulary import NO_SLOT, Side

_BITS = 6
_DIGIT = 63


@kernel
def find_level(book: Book, half_index: int, key: int) -> int:
    """Return the level at `key`, or `NO_SLOT` where no order stands."""
    half = book.halves[half_index]
    if half.root == NO_SLOT or key >> (_BITS * (half.height + 1)) != half.prefix:
        return NO_SLOT
    node = half.root
    for height in range(half.height, -1, -1):
        node = book.children[node, (key >> (_BITS * height)) & _DIGIT]
        if node == NO_SLOT:
            break
    return node


@kernel
def level_quantity(book: Book, instrument: int, side: int, price: int) -> int:
    """Return the lots open at one price of one side; 0 where no order stands."""
    tick = book.markets[instrument].tick
    level = find_level(book, 2 * instrument + side, key_of(side, price, tick))
    return 0 if level == NO_SLOT else book.levels[level].quantity


@kernel
def price_of(book: Book, instrument: int, side: int, key: int) -> int:
    """Return the price, in hao, that ranks at `key` in its half."""
    ticks = key if side == Side.SELL else ~key
    return ticks * book.markets[instrument].tick


@kernel
def next_level(book: Book, level: int) -> int:
    """Return the level behind `level` in its half, the next worse price, or `NO_SLOT`."""
    node = book.levels[level].node
    digit = book.levels[level].key & _DIGIT
    climbed = 0
    while True:
        later = book.nodes[node].occupied & (np.int64(-1) << digit) & ~(np.int64(1) << digit)
        if later != 0:
            break
        digit = book.nodes[node].digit
        node = book.nodes[node].parent
        climbed += 1
        if node == NO_SLOT:
            return NO_SLOT
    child = book.children[node, lowest_bit(later)]
    for _ in range(climbed):
        child = book.children[child, lowest_bit(book.nodes[child].occupied)]
    return child


@kernel
def walk_depth(book: Book, instrument: int, side: int, depth: np.ndarray) -> int:
    """Fill `depth` rows of (price, quantity, orders) from the best price on; return how many."""
    level = book.halves[2 * instrument + side].best
    count = 0
    while level != NO_SLOT and count < len(depth):
        here = book.levels[level]
        depth[count, 0] = price_of(book, instrument, side, here.key)
        depth[count, 1] = here.quantity
        depth[count, 2] = here.orders
        count += 1
        level = next_level(book, level)
    return count


@kernel
def walk_orders(book: Book, instrument: int, side: int, slots: np.ndarray) -> int:
    """Fill `slots` with the resting orders of one side in priority order; return how many."""
    level = book.halves[2 * instrument + side].best
    count = 0
    while level != NO_SLOT:
        slot = book.levels[level].first
        while slot != NO_SLOT:
            slots[count] = slot
            count += 1
            slot = book.orders[slot].behind
        level = next_level(book, level)
    return count


def depth_of(book: Book, instrument: int, side: int, levels: int) -> np.ndarray:
    """Return up to `levels` rows of (price in hao, lots, orders), best price first."""
    depth = np.zeros((min(levels, int(book.halves[2 * instrument + side]["levels"])), 3), np.int64)
    count = walk_depth(book, instrument, side, depth)
    return depth[:count]


def orders_of(book: Book, instrument: int, side: int) -> np.ndarray:
    """Return the resting orders of one side (dtype `ORDER`), in priority order."""
    slots = np.zeros(int(book.halves[2 * instrument + side]["orders"]), np.int32)
    walk_orders(book, instrument, side, slots)
    return book.orders[slots]
