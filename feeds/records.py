"""The feed's records, field by field: what stands behind a message's header.

Each record is one list of fields; `struct` reads it here, NumPy in `feeds.arrays`, a C compiler in
`docs/reference/feed.h`. Imports nothing but `struct`, so that any program can read the feed.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

Field = tuple[str, str]
"""A field's name, and how `struct` reads it; one whose code ends in x is room that is not used, zero."""

NO_TAKER = 2
"""The taker's side of a trade in an auction, where both orders have rested."""

HEADER_FIELDS: tuple[Field, ...] = (
    ("kind", "c"),
    ("instrument", "i"),
    ("version", "B"),
    ("unused", "2x"),
    ("run", "q"),
    ("number", "q"),
    ("sequence", "q"),
    ("time", "q"),
    ("count", "q"),
)
"""What every message begins with, 48 bytes, so that the records behind it lie aligned."""

TRADE_PRINT_FIELDS: tuple[Field, ...] = (
    ("trade", "q"),
    ("sequence", "q"),
    ("price", "q"),
    ("quantity", "q"),
    ("paid", "q"),
    ("taker_side", "B"),
    ("subsidised", "B"),
    ("unused", "6x"),
)
"""One trade, 48 bytes. `trade` rises over all runs; `sequence` is that of the taker's command. A trade that
is busted later is not told of again: the feed tells what happened when it did, history what holds."""

STATUS_CHANGE_FIELDS: tuple[Field, ...] = (
    ("reference", "q"),
    ("sequence", "q"),
    ("time", "q"),
    ("phase", "B"),
    ("cause", "B"),
    ("unused", "6x"),
)
"""One change of what a market is doing, 32 bytes."""

INDICATIVE_PRICE_FIELDS: tuple[Field, ...] = (
    ("price", "q"),
    ("volume", "q"),
    ("surplus", "q"),
    ("side", "B"),
    ("unused", "7x"),
)
"""What an auction would find, 32 bytes."""

LEVEL_UPDATE_FIELDS: tuple[Field, ...] = (
    ("price", "q"),
    ("quantity", "q"),
    ("orders", "i"),
    ("side", "B"),
    ("unused", "3x"),
)
"""One level's new total, 24 bytes."""

ORDER_UPDATE_FIELDS: tuple[Field, ...] = (
    ("order", "q"),
    ("sequence", "q"),
    ("price", "q"),
    ("quantity", "q"),
    ("side", "B"),
    ("change", "B"),
    ("unused", "6x"),
)
"""What was done to one resting order, 40 bytes."""

TOP_FIELDS: tuple[Field, ...] = (
    ("bid_price", "q"),
    ("bid_quantity", "q"),
    ("ask_price", "q"),
    ("ask_quantity", "q"),
    ("bid_orders", "i"),
    ("ask_orders", "i"),
)
"""The best level of each side, 40 bytes."""

TOTALS_FIELDS: tuple[Field, ...] = (
    ("trades", "q"),
    ("quantity", "q"),
    ("amount", "q"),
    ("paid", "q"),
)
"""What an instrument's trades of this run of the publisher amount to, 32 bytes."""

LAST_NUMBERS_FIELDS: tuple[Field, ...] = (
    ("depth", "q"),
    ("orders", "q"),
    ("trades", "q"),
    ("status", "q"),
    ("indicative", "q"),
    ("top", "q"),
)
"""The last numbers of an instrument's topics, 48 bytes."""

TOPIC_NUMBER_FIELDS: tuple[Field, ...] = (
    ("kind", "c"),
    ("instrument", "i"),
    ("unused", "3x"),
    ("number", "q"),
)
"""The number of a topic's last message, 16 bytes."""

ASK_FIELDS: tuple[Field, ...] = (
    ("kind", "c"),
    ("instrument", "i"),
    ("version", "B"),
    ("wanted", "c"),
    ("unused", "1x"),
)
"""What a reader asks with, 8 bytes."""


class TradePrint(NamedTuple):
    """A trade: price in hao per lot, quantity in lots; the taker's side: 0 (buy), 1 (sell) or `NO_TAKER`.

    `paid` is what a programme paid of it at once, in hao, and `subsidised` 1 where a programme stands behind
    the buy, be it that it pays later. What the buyer paid himself is price x quantity - paid.
    """

    trade: int
    sequence: int
    price: int
    quantity: int
    paid: int
    taker_side: int
    subsidised: int


class StatusChange(NamedTuple):
    """What a market is doing from now on: its phase, and its reference price in hao, 0 for none.

    `cause` is a `RejectReason`: of the collar that interrupted trading, else 0.
    """

    reference: int
    sequence: int
    time: int
    phase: int
    cause: int


class IndicativePrice(NamedTuple):
    """What the auction would find now: price in hao per lot, volume and surplus in lots, whose surplus.

    All 0 where it would find nothing, and outside of calls.
    """

    price: int
    volume: int
    surplus: int
    side: int


class LevelUpdate(NamedTuple):
    """A level's new total: price in hao per lot, quantity in lots, 0 where the level is gone."""

    price: int
    quantity: int
    orders: int
    side: int


class OrderUpdate(NamedTuple):
    """What was done to a resting order: `change` is a `matching.vocabulary.QueueChange`.

    `quantity` is what the order shows from then on, in lots, 0 when it has left; `sequence` is that of the
    command that did it.
    """

    order: int
    sequence: int
    price: int
    quantity: int
    side: int
    change: int


class Top(NamedTuple):
    """The best level of each side: prices in hao per lot, quantities in lots; zeros where a side is empty."""

    bid_price: int
    bid_quantity: int
    ask_price: int
    ask_quantity: int
    bid_orders: int
    ask_orders: int


class Totals(NamedTuple):
    """The trades of a publisher's run: how many, their lots, their amount and what was paid of it, in hao."""

    trades: int
    quantity: int
    amount: int
    paid: int


class LastNumbers(NamedTuple):
    """The last number of each of an instrument's topics, 0 where it has had no message in this run."""

    depth: int
    orders: int
    trades: int
    status: int
    indicative: int
    top: int


def packer(fields: tuple[Field, ...]) -> struct.Struct:
    """Return the `struct` reading of a record."""
    return struct.Struct("<" + "".join(code for _, code in fields))


HEADER = packer(HEADER_FIELDS)
TRADE_PRINT = packer(TRADE_PRINT_FIELDS)
STATUS_CHANGE = packer(STATUS_CHANGE_FIELDS)
INDICATIVE_PRICE = packer(INDICATIVE_PRICE_FIELDS)
LEVEL_UPDATE = packer(LEVEL_UPDATE_FIELDS)
ORDER_UPDATE = packer(ORDER_UPDATE_FIELDS)
TOP = packer(TOP_FIELDS)
TOTALS = packer(TOTALS_FIELDS)
LAST_NUMBERS = packer(LAST_NUMBERS_FIELDS)
TOPIC_NUMBER = packer(TOPIC_NUMBER_FIELDS)
ASK = packer(ASK_FIELDS)
