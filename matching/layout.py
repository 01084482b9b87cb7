"""The rows of the book: one dtype each, and the tuple of arrays that is its whole state.

Rows touched together lie together: an order is one record of one cache line. Pools are arrays with a
chain of freed slots, last freed first taken; capacity is made before a batch, never inside one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from matching.places import empty_places
from matching.vocabulary import NO_SLOT, Phase

Row = Any
"""One record of a structured array. NumPy's types know no fields, so a row is anything to the checker."""

COMMAND = np.dtype(
    [
        ("order", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("instrument", "<i4"),
        ("member", "<i4"),
        ("group", "<i4"),
        ("kind", "u1"),
        ("side", "u1"),
        ("type", "u1"),
        ("time_in_force", "u1"),
        ("subsidised", "u1"),
        ("unused", "u1", (7,)),
    ]
)
"""What is asked of the book. `order` is the caller's id; price in hao per lot, quantity in lots."""

EVENT = np.dtype(
    [
        ("order", "<i8"),
        ("maker_order", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("leaves", "<i8"),
        ("maker_leaves", "<i8"),
        ("command", "<i4"),
        ("instrument", "<i4"),
        ("slot", "<i4"),
        ("maker_slot", "<i4"),
        ("kind", "u1"),
        ("side", "u1"),
        ("reason", "u1"),
        ("unused", "u1", (5,)),
    ]
)
"""What has happened. `command` is the row of the batch that caused it. `quantity` is the lots traded,
cancelled or expired, else the order's total; `leaves` is what of `order` is open afterwards, and
`maker_leaves` what of `maker_order` is. `slot` and `maker_slot` are where the orders stand or stood."""

ORDER = np.dtype(
    [
        ("id", "<i8"),
        ("price", "<i8"),
        ("leaves", "<i8"),
        ("quantity", "<i8"),
        ("ahead", "<i4"),
        ("behind", "<i4"),
        ("level", "<i4"),
        ("instrument", "<i4"),
        ("member", "<i4"),
        ("group", "<i4"),
        ("side", "u1"),
        ("time_in_force", "u1"),
        ("subsidised", "u1"),
        ("unused", "u1", (5,)),
    ]
)
"""A resting order. `ahead` and `behind` link its level's queue; a freed slot has leaves 0, and
`behind` is the next freed slot."""

LEVEL = np.dtype(
    [
        ("key", "<i8"),
        ("quantity", "<i8"),
        ("first", "<i4"),
        ("last", "<i4"),
        ("orders", "<i4"),
        ("node", "<i4"),
    ]
)
"""All orders at one price of one side; `node` is the leaf of the side's tree that points here."""

NODE = np.dtype([("occupied", "<i8"), ("parent", "<i4"), ("digit", "<i4")])
"""One node of a side's price tree: a bit for each of 64 children, its parent, its place there."""

HALF = np.dtype(
    [
        ("prefix", "<i8"),
        ("leaf_prefix", "<i8"),
        ("best_key", "<i8"),
        ("best", "<i4"),
        ("root", "<i4"),
        ("leaf", "<i4"),
        ("height", "<i4"),
        ("orders", "<i4"),
        ("levels", "<i4"),
    ]
)
"""One half of one book, bids or asks: its price tree, its best level, and the leaf touched last."""

MARKET = np.dtype([("tick", "<i8"), ("phase", "u1"), ("unused", "u1", (7,))])
"""What the book knows of an instrument: the tick size in hao, and what the market is doing."""

COUNTS = np.dtype(
    [
        ("orders_used", "<i4"),
        ("orders_free", "<i4"),
        ("levels_used", "<i4"),
        ("levels_free", "<i4"),
        ("nodes_used", "<i4"),
        ("nodes_free", "<i4"),
        ("open_orders", "<i4"),
        ("unused", "u1", (4,)),
    ]
)
"""How far each pool has been used, and where its chain of freed slots begins."""


class Book(NamedTuple):
    """The resting orders of all instruments. `halves` has two rows an instrument: bids, then asks."""

    orders: np.ndarray
    levels: np.ndarray
    nodes: np.ndarray
    children: np.ndarray
    halves: np.ndarray
    markets: np.ndarray
    places: np.ndarray
    counts: np.ndarray


_ORDERS_AT_FIRST = 1024
_LEVELS_AT_FIRST = 256
_NODES_AT_FIRST = 256


def empty_half(count: int) -> np.ndarray:
    """Return `count` halves with nothing in them."""
    halves = np.zeros(count, HALF)
    for field in ("best", "root", "leaf"):
        halves[field] = NO_SLOT
    return halves


def empty_book(instruments: int = 0, tick: int = 1) -> Book:
    """Return a book without orders: `instruments` of them, all continuous, all on one tick grid."""
    counts = np.zeros(1, COUNTS)
    for field in ("orders_free", "levels_free", "nodes_free"):
        counts[field] = NO_SLOT
    markets = np.zeros(instruments, MARKET)
    markets["tick"] = tick
    markets["phase"] = Phase.CONTINUOUS
    return Book(
        orders=np.zeros(_ORDERS_AT_FIRST, ORDER),
        levels=np.zeros(_LEVELS_AT_FIRST, LEVEL),
        nodes=np.zeros(_NODES_AT_FIRST, NODE),
        children=np.full((_NODES_AT_FIRST, 64), NO_SLOT, np.int32),
        halves=empty_half(2 * instruments),
        markets=markets,
        places=empty_places(2 * _ORDERS_AT_FIRST),
        counts=counts,
    )


def grown(rows: np.ndarray, needed: int, fill: int = 0) -> np.ndarray:
    """Return `rows` with room for at least `needed` of them, doubling, so that growth is rare."""
    if needed <= len(rows):
        return rows
    more = np.zeros((max(needed, 2 * len(rows)), *rows.shape[1:]), rows.dtype)
    if fill:
        more[len(rows) :] = fill
    more[: len(rows)] = rows
    return more
