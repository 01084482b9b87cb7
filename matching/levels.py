"""The price levels of one half of a book: a tree of 64-way nodes with a bit for each occupied child.

Levels are ranked by a *key*: the price in ticks for asks, its complement for bids, so that the best
level of either half has the lowest key and no code below asks for the side. A node's word of 64 bits
tells its occupied children, and one instruction finds the lowest. The root is only as tall as the
prices of this half have lain apart since it was last empty: one node for 64 neighbouring ticks, nine
for any two prices that are allowed. The leaf touched last is remembered, so that most orders near the
best price never walk the tree.
"""

from __future__ import annotations

import numpy as np

from matching.kernel import kernel, lowest_bit
from matching.layout import Book
from matching.vocabulary import NO_SLOT, Side

_BITS = 6
_DIGIT = 63
NODES_PER_ORDER_MAX = 20
"""Prices below 2**50 make a tree of at most 9 nodes' height; one order may raise it and walk down."""

_ONE = np.int64(1)


@kernel
def key_of(side: int, price: int, tick: int) -> int:
    """Return where `price` ranks in its half: the lower the key, the better the price."""
    ticks = price if tick == 1 else price // tick
    return ticks if side == Side.SELL else ~ticks


@kernel
def take_node(book: Book, parent: int, digit: int) -> int:
    """Take a node from the pool, and hang it under `parent` at `digit`."""
    counts = book.counts[0]
    node = counts.nodes_free
    if node == NO_SLOT:
        node = counts.nodes_used
        counts.nodes_used = node + 1
    else:
        counts.nodes_free = book.nodes[node].parent
    here = book.nodes[node]
    here.occupied = 0
    here.parent = parent
    here.digit = digit
    if parent != NO_SLOT:
        hang(book, parent, digit, node)
    return node


@kernel
def hang(book: Book, node: int, digit: int, child: int) -> None:
    """Make `child` the child of `node` at `digit`."""
    book.children[node, digit] = child
    book.nodes[node].occupied |= _ONE << digit


@kernel
def free_node(book: Book, node: int) -> None:
    """Give an empty node back to the pool."""
    counts = book.counts[0]
    book.nodes[node].parent = counts.nodes_free
    counts.nodes_free = node


@kernel
def leaf_for(book: Book, half_index: int, key: int) -> int:
    """Return the leaf that covers `key`, growing the tree upward and downward as needed."""
    half = book.halves[half_index]
    if half.root == NO_SLOT:
        half.root = take_node(book, NO_SLOT, 0)
        half.height = 0
        half.prefix = key >> _BITS
    while key >> (_BITS * (half.height + 1)) != half.prefix:
        root = take_node(book, NO_SLOT, 0)
        digit = half.prefix & _DIGIT
        below = book.nodes[half.root]
        below.parent = root
        below.digit = digit
        hang(book, root, digit, half.root)
        half.root = root
        half.height += 1
        half.prefix >>= _BITS
    node = half.root
    for height in range(half.height, 0, -1):
        digit = (key >> (_BITS * height)) & _DIGIT
        child = book.children[node, digit]
        node = take_node(book, node, digit) if child == NO_SLOT else child
    half.leaf = node
    half.leaf_prefix = key >> _BITS
    return node


@kernel
def level_at(book: Book, half_index: int, key: int) -> int:
    """Return the level at `key`, making it if no order stands there. O(1) near the leaf touched last."""
    half = book.halves[half_index]
    leaf = half.leaf
    if leaf == NO_SLOT or half.leaf_prefix != key >> _BITS:
        leaf = leaf_for(book, half_index, key)
    level = book.children[leaf, key & _DIGIT]
    return make_level(book, half_index, leaf, key) if level == NO_SLOT else level


@kernel
def make_level(book: Book, half_index: int, leaf: int, key: int) -> int:
    """Take a level from the pool and hang it under `leaf`; it may become the best one."""
    counts = book.counts[0]
    level = counts.levels_free
    if level == NO_SLOT:
        level = counts.levels_used
        counts.levels_used = level + 1
    else:
        counts.levels_free = book.levels[level].first
    here = book.levels[level]
    here.key = key
    here.quantity = 0
    here.first = NO_SLOT
    here.last = NO_SLOT
    here.orders = 0
    here.node = leaf
    hang(book, leaf, key & _DIGIT, level)
    half = book.halves[half_index]
    half.levels += 1
    if half.best == NO_SLOT or key < half.best_key:
        half.best = level
        half.best_key = key
    return level


@kernel
def drop_level(book: Book, half_index: int, level: int) -> None:
    """Take an empty level out of its half, and find the next best if it was the best."""
    half = book.halves[half_index]
    here = book.levels[level]
    node = here.node
    digit = here.key & _DIGIT
    while True:
        book.children[node, digit] = NO_SLOT
        inner = book.nodes[node]
        inner.occupied &= ~(_ONE << digit)
        if inner.occupied != 0:
            break
        digit = inner.digit
        parent = inner.parent
        if node == half.leaf:
            half.leaf = NO_SLOT
        free_node(book, node)
        node = parent
        if node == NO_SLOT:
            half.root = NO_SLOT
            break
    if level == half.best:
        find_best(book, half_index, node)
    half.levels -= 1
    counts = book.counts[0]
    here.first = counts.levels_free
    counts.levels_free = level


@kernel
def find_best(book: Book, half_index: int, node: int) -> None:
    """Set the best level. `node` is the lowest that still stands where the best one was taken out.

    Everything left of the old best is empty, so the lowest bit of `node` leads to the new best.
    """
    half = book.halves[half_index]
    if node == NO_SLOT:
        half.best = NO_SLOT
        return
    height = half.height
    above = book.nodes[node].parent
    while above != NO_SLOT:
        above = book.nodes[above].parent
        height -= 1
    for _ in range(height + 1):
        node = book.children[node, lowest_bit(book.nodes[node].occupied)]
    half.best = node
    half.best_key = book.levels[node].key
