"""The price levels of one half of a book: a tree of 64-way nodes with a bit for each occupied child.

Levels are ranked by a *key*: the price in ticks for asks and for parked buys, its complement for bids
and for parked sells, so that the best level of any half (or the one that triggers first) has the lowest
key, and no code below asks for the side. A node's word of 64 bits tells its occupied children, and one
instruction finds the lowest. The root is only as tall as the prices of this half have lain apart since
it was last empty: one node for 64 neighbouring ticks, nine for any two prices that are allowed. Every
order walks from the root: to remember the leaf touched last gained nothing that could be measured.
"""

from __future__ import annotations

import numpy as np

from matching.kernel import kernel, lowest_bit
from matching.layout import CHILDREN, KEY_NONE, Book
from matching.rows import child_at, half_at, level_at, node_at
from matching.vocabulary import NO_SLOT

_BITS = 6
_DIGIT = 63
NODES_PER_ORDER_MAX = 20
"""Prices below 2**50 make a tree of at most 9 nodes' height; one order may raise it and walk down."""

_ONE = np.int64(1)


@kernel
def key_of(kind: int, price: int, tick: int) -> int:
    """Return where `price` ranks in a half of this kind (0 to 3): the lower the key, the sooner."""
    ticks = price if tick == 1 else price // tick
    return ticks if ((kind ^ (kind >> 1)) & 1) == 1 else ~ticks


@kernel
def take_node(book: Book, parent: int, digit: int, height: int) -> int:
    """Take a node from the pool, and hang it under `parent` at `digit`."""
    counts = book.counts[0]
    node = counts.nodes_free
    if node == NO_SLOT:
        node = counts.nodes_used
        counts.nodes_used = node + 1
    else:
        counts.nodes_free = node_at(book, node).parent
    here = node_at(book, node)
    here.occupied = 0
    here.parent = parent
    here.digit = digit
    here.height = height
    if parent != NO_SLOT:
        hang(book, parent, digit, node)
    return node


@kernel
def hang(book: Book, node: int, digit: int, child: int) -> None:
    """Make `child` the child of `node` at `digit`."""
    book.children[np.uint64(CHILDREN * node + digit)] = child
    node_at(book, node).occupied |= _ONE << digit


@kernel
def has_child(book: Book, node: int, digit: int) -> bool:
    """Tell whether `node` has a child at `digit`."""
    return (node_at(book, node).occupied >> digit) & _ONE != 0


@kernel
def first_child(book: Book, node: int) -> int:
    """Return the child of a node that ranks first."""
    return child_at(book, node, lowest_bit(node_at(book, node).occupied))


@kernel
def free_node(book: Book, node: int) -> None:
    """Give an empty node back to the pool."""
    counts = book.counts[0]
    node_at(book, node).parent = counts.nodes_free
    counts.nodes_free = node


@kernel
def leaf_for(book: Book, half_index: int, key: int) -> int:
    """Return the leaf that covers `key`, growing the tree upward and downward as needed."""
    half = half_at(book, half_index)
    if half.root == NO_SLOT:
        half.root = take_node(book, NO_SLOT, 0, 0)
        half.height = 0
        half.prefix = key >> _BITS
    while key >> (_BITS * (half.height + 1)) != half.prefix:
        root = take_node(book, NO_SLOT, 0, half.height + 1)
        digit = half.prefix & _DIGIT
        below = node_at(book, half.root)
        below.parent = root
        below.digit = digit
        hang(book, root, digit, half.root)
        half.root = root
        half.height += 1
        half.prefix >>= _BITS
    node = half.root
    for height in range(half.height, 0, -1):
        digit = (key >> (_BITS * height)) & _DIGIT
        node = (
            child_at(book, node, digit)
            if has_child(book, node, digit)
            else take_node(book, node, digit, height - 1)
        )
    return node


@kernel
def level_for(book: Book, half_index: int, key: int, price: int) -> int:
    """Return the level at `key`, making it if no order stands there."""
    leaf = leaf_for(book, half_index, key)
    digit = key & _DIGIT
    if has_child(book, leaf, digit):
        return child_at(book, leaf, digit)
    return make_level(book, half_index, leaf, key, price)


@kernel
def make_level(book: Book, half_index: int, leaf: int, key: int, price: int) -> int:
    """Take a level from the pool and hang it under `leaf`; it may become the best one."""
    counts = book.counts[0]
    level = counts.levels_free
    if level == NO_SLOT:
        level = counts.levels_used
        counts.levels_used = level + 1
    else:
        counts.levels_free = level_at(book, level).first
    here = level_at(book, level)
    here.key = key
    here.price = price
    here.quantity = 0
    here.first = NO_SLOT
    here.last = NO_SLOT
    here.orders = 0
    here.node = leaf
    here.half = half_index
    hang(book, leaf, key & _DIGIT, level)
    half = half_at(book, half_index)
    half.levels += 1
    if key < half.best_key:
        half.best = level
        half.best_key = key
    return level


@kernel
def drop_level(book: Book, half_index: int, level: int) -> None:
    """Take an empty level out of its half, and find the next best if it was the best."""
    half = half_at(book, half_index)
    here = level_at(book, level)
    node = here.node
    digit = here.key & _DIGIT
    while True:
        inner = node_at(book, node)
        inner.occupied &= ~(_ONE << digit)
        if inner.occupied != 0:
            break
        digit = inner.digit
        parent = inner.parent
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
    half = half_at(book, half_index)
    if node == NO_SLOT:
        half.best = NO_SLOT
        half.best_key = KEY_NONE
        return
    for _ in range(node_at(book, node).height + 1):
        node = first_child(book, node)
    half.best = node
    half.best_key = level_at(book, node).key
