"""The rows of the book: one dtype each, and the tuple of arrays that is its whole state.

Rows touched together lie together: an order is one record of one cache line, and what only few
orders have stands apart. Pools are arrays with a chain of freed slots, last freed first taken; room is
made before a command, never inside one. The last row of `orders` is nobody's: links that lead nowhere
(`NO_SLOT`, the row before the first) may be written through, which spares the kernels a branch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from matching.vocabulary import NO_SLOT, PRICE_MAX, Phase

Row = Any
"""One record of a structured array. NumPy's types know no fields, so a row is anything to the checker."""

COMMAND = np.dtype(
    [
        ("order", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("time", "<i8"),
        ("display_quantity", "<i8"),
        ("minimum_quantity", "<i8"),
        ("stop_price", "<i8"),
        ("trail", "<i8"),
        ("expires_at", "<i8"),
        ("instrument", "<i4"),
        ("member", "<i4"),
        ("group", "<i4"),
        ("kind", "u1"),
        ("side", "u1"),
        ("type", "u1"),
        ("time_in_force", "u1"),
        ("subsidised", "u1"),
        ("post_only", "u1"),
        ("self_trade", "u1"),
        ("phase", "u1"),
        ("unused", "u1", (4,)),
    ]
)
"""What is asked of the book. `order` is the caller's id; prices and `trail` in hao per lot, quantities
in lots, times in ns. A field that a kind or a type does not read is ignored."""

EVENT = np.dtype(
    [
        ("order", "<i8"),
        ("maker_order", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("leaves", "<i8"),
        ("maker_leaves", "<i8"),
        ("was_price", "<i8"),
        ("command", "<i4"),
        ("instrument", "<i4"),
        ("slot", "<i4"),
        ("maker_slot", "<i4"),
        ("kind", "u1"),
        ("side", "u1"),
        ("reason", "u1"),
        ("phase", "u1"),
        ("unused", "<i4"),
    ]
)
"""What has happened. `command` is the row of the batch that caused it. `quantity` is the lots traded,
cancelled or expired, else the order's total; `leaves` is what of `order` is open afterwards, and
`maker_leaves` what of `maker_order` is. `slot` and `maker_slot` are where the orders stand or stood.
`was_price` is the price that a replaced order had before, else 0. `phase` is what a market has changed
to, AUCTION in an auction's trades (`order` is then the buy), the phase that forbids a refused command,
and 0 in all other events. Of an indicative price, `quantity` is the volume, `leaves` the surplus and
`side` who has it."""

ORDER = np.dtype(
    [
        ("id", "<i8"),
        ("leaves", "<i8"),
        ("quantity", "<i8"),
        ("ahead", "<i4"),
        ("behind", "<i4"),
        ("level", "<i4"),
        ("chain", "<i4"),
        ("instrument", "<i4"),
        ("member", "<i4"),
        ("group", "<i4"),
        ("extra", "<i4"),
        ("entry", "<u4"),
        ("side", "u1"),
        ("time_in_force", "u1"),
        ("marks", "u1"),
        ("self_trade", "u1"),
    ]
)
"""An open order, 64 bytes. `leaves` are the lots that can be traded with now, an iceberg's slice or a
whole order; its price is its level's. `ahead` and `behind` link its level's queue, `chain` the orders
of one place in the table of ids. `entry` is 0 unless it took its place in a call: then it counts such
orders, so that it is known who came later. A freed slot has leaves 0, and `behind` is the next freed
slot."""

SUBSIDISED = 1
"""The bit of an order's `marks` that says that a programme pays part of it."""

POST_ONLY = 2
"""The bit of an order's `marks` that says that it must not take."""

EXTRA = np.dtype(
    [
        ("hidden", "<i8"),
        ("display", "<i8"),
        ("minimum", "<i8"),
        ("price", "<i8"),
        ("trail", "<i8"),
        ("expires_at", "<i8"),
        ("arrival", "<i8"),
        ("slot", "<i4"),
        ("due", "<i4"),
        ("trail_ahead", "<i4"),
        ("trail_behind", "<i4"),
        ("slices", "<i4"),
        ("type", "u1"),
        ("is_parked", "u1"),
        ("unused", "u1", (2,)),
    ]
)
"""What only few orders have: an iceberg's hidden lots, a stop's limit or protection price while it is
parked, a time to expire. `due` is the row in the heap of expiries; `slot` the order's, or the next
freed extra; `trail_ahead` and `trail_behind` link an instrument's trailing stops, or its market orders
that wait for an auction, first come first. Whoever waits is of type MARKET."""

EXPIRY = np.dtype([("expires_at", "<i8"), ("arrival", "<i8"), ("slot", "<i4"), ("unused", "<i4")])
"""One GTD order in the heap of expiries: earliest first, at equal times who was accepted first."""

LEVEL = np.dtype(
    [
        ("key", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("first", "<i4"),
        ("last", "<i4"),
        ("orders", "<i4"),
        ("node", "<i4"),
        ("half", "<i4"),
        ("unused", "<i4"),
    ]
)
"""All orders at one price of one half; `node` is the leaf of the half's tree that points here, and
`quantity` the lots shown. A freed level links the next by `first`."""

NODE = np.dtype(
    [("occupied", "<i8"), ("parent", "<i4"), ("digit", "u1"), ("height", "u1"), ("unused", "u1", (2,))]
)
"""One node of a half's price tree: a bit for each of 64 children, its parent and its place there, its
height above the leaves. The children of node n are the 64 entries of `children` from 64 n on; what
stands there where the bit is clear means nothing."""

CHILDREN = 64
"""Children of a node."""

HALF = np.dtype(
    [
        ("prefix", "<i8"),
        ("best_key", "<i8"),
        ("best", "<i4"),
        ("root", "<i4"),
        ("height", "<i4"),
        ("orders", "<i4"),
        ("levels", "<i4"),
        ("unused", "<i4", (7,)),
    ]
)
"""One half of one book: its price tree and its best level."""

HALVES = 6
"""Halves of an instrument: bids, asks, parked buy stops, parked sell stops, market buys and market sells
that wait for an auction; the last bit is the side."""

PARKED = 2
"""What a side's half of the book is away from its half of parked stops."""

WAITING = 4
"""What a side's half of the book is away from its half of waiting market orders."""

KEY_NONE = 2**62
"""The best key of an empty half: worse than any price's."""

MARKET = np.dtype(
    [
        ("tick", "<i8"),
        ("reference", "<i8"),
        ("last", "<i8"),
        ("collar", "<i4"),
        ("trail_first", "<i4"),
        ("trail_last", "<i4"),
        ("phase", "u1"),
        ("touched", "u1"),
        ("unused", "u1", (2,)),
        ("static_collar", "<i4"),
        ("dynamic_collar", "<i4"),
        ("waiting_first", "<i4"),
        ("waiting_last", "<i4"),
        ("indicative_price", "<i8"),
        ("indicative_volume", "<i8"),
        ("indicative_surplus", "<i8"),
        ("cut_price", "<i8"),
        ("cut_demand", "<i8"),
        ("cut_supply", "<i8"),
        ("spare", "<i8", (3,)),
    ]
)
"""What the book knows of an instrument: tick size, reference and last price in hao (0: none), what the
market is doing; its trailing stops and its waiting market orders, first come first. Three collars, per
mille, 0: none: `collar` is that of protection prices, `static_collar` bounds trades about the reference,
`dynamic_collar` about the last price. The indicative price, volume and surplus (demand less supply) are
those told last. In a call `cut_price` is a price at which demand and supply are known, or 0; `touched` is
set inside a command only. A row is two cache lines; what continuous trading reads stands on the first."""

COUNTS = np.dtype(
    [
        ("clock", "<i8"),
        ("next_expiry", "<i8"),
        ("arrivals", "<i8"),
        ("slices", "<i8"),
        ("entries", "<i8"),
        ("interruptions", "<i8"),
        ("orders_used", "<i4"),
        ("orders_free", "<i4"),
        ("levels_used", "<i4"),
        ("levels_free", "<i4"),
        ("nodes_used", "<i4"),
        ("nodes_free", "<i4"),
        ("extras_used", "<i4"),
        ("extras_free", "<i4"),
        ("open_orders", "<i4"),
        ("parked", "<i4"),
        ("expiries", "<i4"),
        ("elected_first", "<i4"),
        ("elected_last", "<i4"),
        ("calls", "<i4"),
        ("decrements", "<i4"),
        ("row", "<i4"),
    ]
)
"""How far each pool has been used, and where its chain of freed slots begins; the book's clock, and
when the next order expires; how many slices the open icebergs have; how many orders have entered calls,
how often a collar has interrupted trading, and how many instruments are in a call; the
queue of the stops that are elected and have not entered the book yet; and, inside a batch, the row that
is being done, for its events to tell, and the pairs that it has decremented."""

TAPE = np.dtype(
    [
        ("order", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("instrument", "<i4"),
        ("command", "<i4"),
        ("side", "u1"),
        ("change", "u1"),
        ("unused", "u1", (6,)),
    ]
)
"""What was done to a queue, for market data: `change` is a `QueueChange`, `quantity` the lots that the order
shows from then on, 0 when it has left; `command` is the row of the batch. The first row of a tape is its
own: its `order` counts the rows behind it. A tape without a row records nothing."""

NEVER = 2**63 - 1
"""The time of the next expiry where no order expires."""


class Book(NamedTuple):
    """The open orders of all instruments. `halves` has `HALVES` rows an instrument.

    `tape` is no part of its state: it has no row, unless somebody asks for what is done to the queues.
    """

    orders: np.ndarray
    extras: np.ndarray
    levels: np.ndarray
    nodes: np.ndarray
    children: np.ndarray
    halves: np.ndarray
    markets: np.ndarray
    expiries: np.ndarray
    heads: np.ndarray
    counts: np.ndarray
    tape: np.ndarray


_LINE = 64
"""Bytes of a cache line."""

_ORDERS_AT_FIRST = 64
_LEVELS_AT_FIRST = 32
_NODES_AT_FIRST = 64
_EXTRAS_AT_FIRST = 8


def zeros(rows: int, dtype: np.dtype) -> np.ndarray:
    """Return zeroed rows that begin on a cache line, so that a row of 64 bytes never lies on two.

    NumPy begins a large array 16 bytes behind a line: each order of a deep book then cost two misses.
    """
    wanted = rows * dtype.itemsize
    memory = np.zeros(wanted + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + wanted].view(dtype)


def empty_halves(instruments: int) -> np.ndarray:
    """Return the halves of so many instruments, with nothing in them."""
    halves = zeros(HALVES * instruments, HALF)
    for field in ("best", "root"):
        halves[field] = NO_SLOT
    halves["best_key"] = KEY_NONE
    return halves


def empty_markets(instruments: int, tick: int = 1, phase: int = Phase.CONTINUOUS) -> np.ndarray:
    """Return so many markets without reference, collar or trade."""
    markets = zeros(instruments, MARKET)
    markets["tick"] = tick
    markets["phase"] = phase
    for field in ("trail_first", "trail_last", "waiting_first", "waiting_last"):
        markets[field] = NO_SLOT
    return markets


def empty_heads(size: int) -> np.ndarray:
    """Return an empty table of ids; `size` is a power of two, and twice the orders that it finds."""
    return np.full(size, NO_SLOT, np.int32)


def empty_book(instruments: int = 0, tick: int = 1) -> Book:
    """Return a book without orders: `instruments` of them, all continuous, all on one tick grid.

    Raises ValueError for a tick that is no price.
    """
    if not 0 < tick <= PRICE_MAX:
        message = f"tick: {tick} is no price; give hao per lot from 1 to {PRICE_MAX}"
        raise ValueError(message)
    counts = np.zeros(1, COUNTS)
    for field in ("orders_free", "levels_free", "nodes_free", "extras_free", "elected_first", "elected_last"):
        counts[field] = NO_SLOT
    counts["next_expiry"] = NEVER
    return Book(
        orders=zeros(_ORDERS_AT_FIRST, ORDER),
        extras=zeros(_EXTRAS_AT_FIRST, EXTRA),
        levels=zeros(_LEVELS_AT_FIRST, LEVEL),
        nodes=zeros(_NODES_AT_FIRST, NODE),
        children=zeros(CHILDREN * _NODES_AT_FIRST, np.dtype(np.int32)),
        halves=empty_halves(instruments),
        markets=empty_markets(instruments, tick),
        expiries=zeros(_EXTRAS_AT_FIRST, EXPIRY),
        heads=empty_heads(2 * _ORDERS_AT_FIRST),
        counts=counts,
        tape=zeros(0, TAPE),
    )


def grown(rows: np.ndarray, needed: int, used: int | None = None) -> np.ndarray:
    """Return `rows` with room for at least `needed` of them, doubling, so that growth is rare.

    Where only the first `used` rows hold anything, no more is copied: the rest stays memory never touched.
    """
    if needed <= len(rows):
        return rows
    more = zeros(max(needed, 2 * len(rows)), rows.dtype)
    kept = len(rows) if used is None else used
    bytes_kept = kept * rows.dtype.itemsize
    more.view(np.uint8)[:bytes_kept] = np.ascontiguousarray(rows).view(np.uint8)[:bytes_kept]
    return more


def copy_of(book: Book) -> Book:
    """Return a book of its own with the same orders and the same room."""
    copy = Book(*(zeros(len(rows), rows.dtype) for rows in book))
    for rows, original in zip(copy, book, strict=True):
        rows[...] = original
    return copy
