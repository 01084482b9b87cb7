"""The fixed-width records of the order path, little-endian: one list of fields, two readings of it.

The client packs and unpacks single records with `struct`; the server reads whole arrays of them with
NumPy (`exchange.protocol.arrays`). Both layouts are made from the lists below, so they cannot part.
"""

from __future__ import annotations

import struct
from enum import IntFlag
from typing import NamedTuple

CLIENT_ID_BYTES = 24
"""Longest client order id: ASCII bytes, padded with zeros in records."""

Field = tuple[str, str]

COMMAND_FIELDS: tuple[Field, ...] = (
    ("kind", "B"),
    ("side", "B"),
    ("type", "B"),
    ("time_in_force", "B"),
    ("instructions", "B"),
    ("self_trade", "B"),
    ("unused", "H"),
    ("instrument", "i"),
    ("member", "i"),
    ("order", "q"),
    ("client_id", "24s"),
    ("price", "q"),
    ("quantity", "q"),
    ("display_quantity", "q"),
    ("minimum_quantity", "q"),
    ("stop_price", "q"),
    ("trail", "q"),
    ("expires_at", "q"),
    ("programme", "i"),
    ("act", "i"),
    ("sent_at", "q"),
    ("time", "q"),
)
"""A command, 128 bytes. `member` and `time` are the gateway's and the sequencer's to fill; `order` is
what a cancel, a reduce or a replace aims at; `act` is the place of an ACT in the list that travels beside
the batch. `instructions` are bits of `Instruction`; `self_trade` is a `SelfTrade`. A mass cancel means the
member's own orders: of every instrument where `instrument` is -1, of both sides where `side` is 255.

A new order's `price` is its limit; of a market, a stop or a trailing stop order it is the worst price that
it may trade at, and 0 lets the venue find one. `stop_price` is a stop's, `trail` a trailing stop's distance,
whose `stop_price` may be 0: then it follows from the last price. A replace gives the order `quantity` as
its new total, filled lots among it, and a new `price` and `stop_price`; 0 keeps either of the two."""


class Instruction(IntFlag):
    """The bits of a command's `instructions`."""

    POST_ONLY = 1
    """It never trades at once: an order that would is refused."""


REPORT_FIELDS: tuple[Field, ...] = (
    ("kind", "B"),
    ("side", "B"),
    ("reason", "B"),
    ("state", "B"),
    ("maker", "B"),
    ("type", "B"),
    ("time_in_force", "B"),
    ("unused", "B"),
    ("instrument", "i"),
    ("programme", "i"),
    ("sequence", "q"),
    ("time", "q"),
    ("order", "q"),
    ("client_id", "24s"),
    ("price", "q"),
    ("quantity", "q"),
    ("leaves", "q"),
    ("filled", "q"),
    ("gross", "q"),
    ("paid", "q"),
    ("fee", "q"),
    ("subsidy", "q"),
    ("trade", "q"),
    ("detail", "q"),
)
"""An execution report, 144 bytes: one event as the order's member is told it. `detail` is the number
that a refusal speaks of (the tick, the money there is, the limit); of a parked stop, in ACCEPTED, REPLACED
and KNOWN and in the list of open orders, its stop price. The `price` of TRIGGERED is the order's from then
on. `paid` is what the programme's part of the order comes to so far, paid at its trades or as its credits
are redeemed; `subsidy` is what was paid at a trade, and what is reserved after ACCEPTED and REPLACED. A
mass cancel is answered, after the reports of the orders that it cancelled, by one that bears its own client
id and no order; its `quantity` is how many orders it was."""


class Command(NamedTuple):
    """A command as the client writes it, field by field of `COMMAND_FIELDS`."""

    kind: int
    side: int = 0
    type: int = 0
    time_in_force: int = 0
    instructions: int = 0
    self_trade: int = 0
    unused: int = 0
    instrument: int = -1
    member: int = -1
    order: int = 0
    client_id: bytes = b""
    price: int = 0
    quantity: int = 0
    display_quantity: int = 0
    minimum_quantity: int = 0
    stop_price: int = 0
    trail: int = 0
    expires_at: int = 0
    programme: int = -1
    act: int = -1
    sent_at: int = 0
    time: int = 0


class Report(NamedTuple):
    """An execution report as the client reads it, field by field of `REPORT_FIELDS`."""

    kind: int
    side: int
    reason: int
    state: int
    maker: int
    type: int
    time_in_force: int
    unused: int
    instrument: int
    programme: int
    sequence: int
    time: int
    order: int
    client_id: bytes
    price: int
    quantity: int
    leaves: int
    filled: int
    gross: int
    paid: int
    fee: int
    subsidy: int
    trade: int
    detail: int


def packer(fields: tuple[Field, ...]) -> struct.Struct:
    """Return the `struct` reading of a record."""
    return struct.Struct("<" + "".join(code for _, code in fields))


COMMAND_STRUCT = packer(COMMAND_FIELDS)
REPORT_STRUCT = packer(REPORT_FIELDS)
