"""Reading the book without changing it: the total at a price, the depth of a half, what rests."""

from __future__ import annotations

import numpy as np

from matching.kernel import highest_bit, kernel, lowest_bit, rare
from matching.layout import HALVES, PARKED, WAITING, Book
from matching.levels import first_child, has_child, key_of
from matching.rows import child_at, half_at, level_at, market_at, node_at, order_at
from matching.vocabulary import NO_SLOT, Side

_BITS = 6
_DIGIT = 63


@kernel
def find_level(book: Book, half_index: int, key: int) -> int:
    """Return the level at `key`, or `NO_SLOT` where no order stands."""
    half = half_at(book, half_index)
    if half.root == NO_SLOT or key >> (_BITS * (half.height + 1)) != half.prefix:
        return NO_SLOT
    node = half.root
    for height in range(half.height, -1, -1):
        digit = (key >> (_BITS * height)) & _DIGIT
        if not has_child(book, node, digit):
            return NO_SLOT
        node = child_at(book, node, digit)
    return node


@kernel
def level_quantity(book: Book, instrument: int, side: int, price: int) -> int:
    """Return the lots shown at one price of one side; 0 where no order stands."""
    tick = market_at(book, instrument).tick
    level = find_level(book, HALVES * instrument + side, key_of(side, price, tick))
    return 0 if level == NO_SLOT else level_at(book, level).quantity


@kernel
def next_level(book: Book, level: int) -> int:
    """Return the level behind `level` in its half, the next worse price, or `NO_SLOT`."""
    node = level_at(book, level).node
    digit = level_at(book, level).key & _DIGIT
    climbed = 0
    while True:
        later = node_at(book, node).occupied & (np.int64(-1) << digit) & ~(np.int64(1) << digit)
        if later != 0:
            break
        digit = node_at(book, node).digit
        node = node_at(book, node).parent
        climbed += 1
        if node == NO_SLOT:
            return NO_SLOT
    child = child_at(book, node, lowest_bit(later))
    for _ in range(climbed):
        child = first_child(book, child)
    return child


@kernel
def previous_level(book: Book, level: int) -> int:
    """Return the level before `level` in its half, the next better price, or `NO_SLOT`."""
    node = level_at(book, level).node
    digit = level_at(book, level).key & _DIGIT
    climbed = 0
    while True:
        earlier = node_at(book, node).occupied & ~(np.int64(-1) << digit)
        if earlier != 0:
            break
        digit = node_at(book, node).digit
        node = node_at(book, node).parent
        climbed += 1
        if node == NO_SLOT:
            return NO_SLOT
    return last_level_below(book, child_at(book, node, highest_bit(earlier)), climbed)


@rare
def last_within(book: Book, half_index: int, key: int) -> int:
    """Return the worst level of a half that ranks no lower than `key`, or `NO_SLOT`. O(height)."""
    half = half_at(book, half_index)
    if half.best_key > key:
        return NO_SLOT
    if key >> (_BITS * (half.height + 1)) != half.prefix:
        return last_level(book, half_index)
    node = half.root
    turn = NO_SLOT
    turn_digit = 0
    turn_height = 0
    for height in range(half.height, -1, -1):
        digit = (key >> (_BITS * height)) & _DIGIT
        earlier = node_at(book, node).occupied & ~(np.int64(-1) << digit)
        if earlier != 0:
            turn = node
            turn_digit = highest_bit(earlier)
            turn_height = height
        if not has_child(book, node, digit):
            return last_level_below(book, child_at(book, turn, turn_digit), turn_height)
        node = child_at(book, node, digit)
    return node


@kernel
def last_level(book: Book, half_index: int) -> int:
    """Return the worst level of a half that has one."""
    half = half_at(book, half_index)
    return last_level_below(book, half.root, half.height + 1)


@kernel
def last_level_below(book: Book, child: int, steps: int) -> int:
    """Return the worst level under a node so many steps above the levels; a level is under itself."""
    for _ in range(steps):
        child = child_at(book, child, highest_bit(node_at(book, child).occupied))
    return child


@kernel
def walk_depth(book: Book, half_index: int, depth: np.ndarray) -> int:
    """Fill `depth` rows of (price, lots shown, orders) from the best price on; return how many."""
    level = half_at(book, half_index).best
    count = 0
    while level != NO_SLOT and count < len(depth):
        here = level_at(book, level)
        depth[count, 0] = here.price
        depth[count, 1] = here.quantity
        depth[count, 2] = here.orders
        count += 1
        level = next_level(book, level)
    return count


@kernel
def walk_orders(book: Book, half_index: int, slots: np.ndarray) -> int:
    """Fill `slots` with the orders of one half in priority order; return how many."""
    level = half_at(book, half_index).best
    count = 0
    while level != NO_SLOT:
        slot = level_at(book, level).first
        while slot != NO_SLOT:
            slots[count] = slot
            count += 1
            slot = order_at(book, slot).behind
        level = next_level(book, level)
    return count


OPEN_ORDER = np.dtype(
    [
        ("id", "<i8"),
        ("price", "<i8"),
        ("stop_price", "<i8"),
        ("quantity", "<i8"),
        ("leaves", "<i8"),
        ("shown", "<i8"),
        ("member", "<i4"),
        ("group", "<i4"),
        ("slot", "<i4"),
        ("time_in_force", "u1"),
        ("unused", "u1", (3,)),
    ]
)
"""An open order as one looks at it: `leaves` counts an iceberg's hidden lots, `shown` does not; a
parked order shows nothing, and has a stop price beside its limit or protection price."""


def depth_of(book: Book, instrument: int, side: int, levels: int) -> np.ndarray:
    """Return up to `levels` rows of (price in hao, lots shown, orders), best price first."""
    half_index = _half_of(book, instrument, side)
    depth = np.zeros((min(levels, int(half_at(book, half_index)["levels"])), 3), np.int64)
    count = walk_depth(book, half_index, depth)
    return depth[:count]


def orders_of(book: Book, instrument: int, side: int) -> np.ndarray:
    """Return the resting orders of one side (dtype `OPEN_ORDER`), in priority order."""
    slots = _slots_of(book, _half_of(book, instrument, side))
    rows, orders = _described(book, slots)
    rows["price"] = book.levels["price"][orders["level"]]
    rows["shown"] = orders["leaves"]
    return rows


def parked_of(book: Book, instrument: int, side: int) -> np.ndarray:
    """Return the parked stops of one side (dtype `OPEN_ORDER`), in the order in which they trigger."""
    slots = _slots_of(book, _half_of(book, instrument, side) + PARKED)
    rows, orders = _described(book, slots)
    rows["stop_price"] = book.levels["price"][orders["level"]]
    rows["price"] = book.extras["price"][orders["extra"]]
    return rows


def waiting_of(book: Book, instrument: int, side: int) -> np.ndarray:
    """Return the market orders of one side that wait for an auction (dtype `OPEN_ORDER`).

    They come in the order of a mass cancel: by their protection price, then by time.
    """
    slots = _slots_of(book, _half_of(book, instrument, side) + WAITING)
    rows, orders = _described(book, slots)
    rows["price"] = book.levels["price"][orders["level"]]
    return rows


def _half_of(book: Book, instrument: int, side: int) -> int:
    assert 0 <= instrument < len(book.markets), f"instrument: the book has none numbered {instrument}"
    assert side in (Side.BUY, Side.SELL), f"side: {side} is neither BUY nor SELL"
    return HALVES * instrument + side


def _slots_of(book: Book, half_index: int) -> np.ndarray:
    slots = np.zeros(int(half_at(book, half_index)["orders"]), np.int32)
    walk_orders(book, half_index, slots)
    return slots


def _described(book: Book, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is told of any open order, and the orders' own rows."""
    orders = book.orders[slots]
    rows = np.zeros(len(slots), OPEN_ORDER)
    for name in ("id", "quantity", "member", "group", "time_in_force"):
        rows[name] = orders[name]
    hidden = np.where(orders["extra"] == NO_SLOT, 0, book.extras["hidden"][orders["extra"]])
    rows["leaves"] = orders["leaves"] + hidden
    rows["slot"] = slots
    return rows, orders
