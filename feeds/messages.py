"""The feed's messages, byte by byte: one ZeroMQ frame each, its topic in front, little-endian.

A topic is one kind of message about one instrument: its first five bytes, so that a reader
subscribes to what it wants by prefix. Then comes the rest of the header, then `count` records:

    byte  field       bytes
       0  kind            1   T trades, D depth (price levels, L2), H heartbeat, R refresh
       1  instrument      4   the instrument's number; in a heartbeat -1
       5  version         1   `VERSION`; a reader refuses any other
       6  --              2   unused, zero, here and below
       8  run             8   changes when the publisher starts anew, and all numbers with it
      16  number          8   of this topic, from 1, rising by one; in a refresh the last of depth
      24  sequence        8   the journal's sequence that the message is as of
      32  time            8   ns since 1970, UTC: the frame's; a heartbeat's own
      40  count           8   records that follow

    T     48 + 40 n   trade prints: trade 8, sequence 8, price 8, quantity 8, taker side 1, -- 7
    D     48 + 24 n   level updates: price 8, quantity 8, orders 4, side 1, -- 3
    H     48 + 16 n   last numbers of topics: kind 1, instrument 4, -- 3, number 8
    R     48          the trades topic's last number 8
          56          the last trade print 40; its trade is 0 where there has been none
          96 + 24 n   the whole book as level updates: bids best first, then asks best first

A level update gives a level's new total, never a difference; quantity 0: the level is gone.
A heartbeat names every topic that has had a message in this run; of a topic that it does not name,
the last number is 0. Prices are in hao per lot, quantities in lots, side 0 buys and 1 sells.

A reader asks for a refresh with eight bytes: `A` 1, instrument 4, version 1, -- 2.

Each record is one list of fields; `struct` reads it here, NumPy in `feeds.publisher`. Imports
nothing but `struct`, so that any program can read the feed.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

VERSION = 1
"""Version of the layout. A message that cannot be read as before gets another number."""

TRADES = b"T"
DEPTH = b"D"
HEARTBEAT = b"H"
REFRESH = b"R"
ASK = b"A"

EVERY_INSTRUMENT = -1
"""What stands for the instrument in a heartbeat."""

MESSAGE_BYTES_MAX = 1 << 26
"""Largest message, 64 MiB: a book of 2.7 million levels, or heartbeats of 4 million topics."""

Field = tuple[str, str]

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
    ("taker_side", "B"),
    ("unused", "7x"),
)
"""One trade, 40 bytes. `trade` rises over all runs; `sequence` is that of the taker's command."""

LEVEL_UPDATE_FIELDS: tuple[Field, ...] = (
    ("price", "q"),
    ("quantity", "q"),
    ("orders", "i"),
    ("side", "B"),
    ("unused", "3x"),
)
"""One level's new total, 24 bytes."""

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
    ("unused", "2x"),
)
"""What a reader asks with, 8 bytes."""


class TradePrint(NamedTuple):
    """A trade: price in hao per lot, quantity in lots; the taker's side is 0 (buy) or 1 (sell)."""

    trade: int
    sequence: int
    price: int
    quantity: int
    taker_side: int


class LevelUpdate(NamedTuple):
    """A level's new total: price in hao per lot, quantity in lots, 0 where the level is gone."""

    price: int
    quantity: int
    orders: int
    side: int


class Trades(NamedTuple):
    """The trades of one instrument in one frame of the journal, in the order they happened."""

    instrument: int
    run: int
    number: int
    sequence: int
    time: int
    prints: tuple[TradePrint, ...]


class Depth(NamedTuple):
    """The levels of one instrument that one frame of the journal touched."""

    instrument: int
    run: int
    number: int
    sequence: int
    time: int
    levels: tuple[LevelUpdate, ...]


class Heartbeat(NamedTuple):
    """Each topic's last number, by (kind, instrument): what a reader has not, it has lost."""

    run: int
    number: int
    sequence: int
    time: int
    numbers: dict[tuple[bytes, int], int]


class Refresh(NamedTuple):
    """The whole book of one instrument as of message `number` of its depth topic."""

    instrument: int
    run: int
    number: int
    sequence: int
    time: int
    trades_number: int
    last_trade: TradePrint | None
    levels: tuple[LevelUpdate, ...]


Message = Trades | Depth | Heartbeat | Refresh


class UnreadableError(ValueError):
    """These bytes are no message of this version: another version's, or another program's."""


def packer(fields: tuple[Field, ...]) -> struct.Struct:
    """Return the `struct` reading of a record."""
    return struct.Struct("<" + "".join(code for _, code in fields))


HEADER = packer(HEADER_FIELDS)
TRADE_PRINT = packer(TRADE_PRINT_FIELDS)
LEVEL_UPDATE = packer(LEVEL_UPDATE_FIELDS)
TOPIC_NUMBER = packer(TOPIC_NUMBER_FIELDS)
_ASK = packer(ASK_FIELDS)
_TOPIC = struct.Struct("<ci")
TRADES_NUMBER = struct.Struct("<q")
_LEVELS_AT = HEADER.size + TRADES_NUMBER.size + TRADE_PRINT.size
"""Where the levels of a refresh begin."""


def topic(kind: bytes, instrument: int = EVERY_INSTRUMENT) -> bytes:
    """Return the five bytes that a topic's messages begin with, for a subscription.

    >>> topic(TRADES, 7).hex()
    '5407000000'
    """
    return _TOPIC.pack(kind, instrument)


def write_ask(instrument: int) -> bytes:
    """Return the bytes that ask for a refresh of one instrument."""
    return _ASK.pack(ASK, instrument, VERSION)


def read_ask(frame: bytes) -> int:
    """Return the instrument that is asked for, any int32. Raises `UnreadableError`."""
    if len(frame) != _ASK.size:
        message = f"asking for a refresh takes {_ASK.size} bytes, not {len(frame)}"
        raise UnreadableError(message)
    kind, instrument, version = _ASK.unpack(frame)
    if kind != ASK:
        message = f"a request of kind {kind!r}: the only one is {ASK!r}, for a refresh"
        raise UnreadableError(message)
    _check_version(version)
    return int(instrument)


def read(frame: bytes) -> Message:
    """Return the message that stands in one ZeroMQ frame. Raises `UnreadableError`."""
    if len(frame) < HEADER.size:
        message = f"a message has at least {HEADER.size} bytes, not {len(frame)}"
        raise UnreadableError(message)
    kind, instrument, version, run, number, sequence, time, count = HEADER.unpack_from(frame)
    _check_version(version)
    if kind == DEPTH:
        levels = _levels(_records(frame, HEADER.size, count, LEVEL_UPDATE))
        return Depth(instrument, run, number, sequence, time, levels)
    if kind == TRADES:
        rows = _records(frame, HEADER.size, count, TRADE_PRINT)
        prints = tuple(map(TradePrint._make, TRADE_PRINT.iter_unpack(rows)))
        return Trades(instrument, run, number, sequence, time, prints)
    if kind == HEARTBEAT:
        rows = _records(frame, HEADER.size, count, TOPIC_NUMBER)
        numbers = {(sort, at): last for sort, at, last in TOPIC_NUMBER.iter_unpack(rows)}
        return Heartbeat(run, number, sequence, time, numbers)
    if kind == REFRESH:
        levels = _levels(_records(frame, _LEVELS_AT, count, LEVEL_UPDATE))
        (trades_number,) = TRADES_NUMBER.unpack_from(frame, HEADER.size)
        last = TradePrint._make(TRADE_PRINT.unpack_from(frame, HEADER.size + TRADES_NUMBER.size))
        last_trade = last if last.trade else None
        return Refresh(instrument, run, number, sequence, time, trades_number, last_trade, levels)
    message = f"a message of kind {kind!r}, which version {VERSION} of the feed does not have"
    raise UnreadableError(message)


def _check_version(version: int) -> None:
    if version != VERSION:
        message = f"version {version} of the feed; this reader knows {VERSION}: install one release"
        raise UnreadableError(message)


def _records(frame: bytes, start: int, count: int, record: struct.Struct) -> memoryview:
    """Return the bytes of the records, having seen that there are `count` of them, and no more."""
    if count < 0 or len(frame) != start + count * record.size:
        message = f"{len(frame)} bytes cannot hold {count} records of {record.size} from {start} on"
        raise UnreadableError(message)
    return memoryview(frame)[start:]


def _levels(rows: memoryview) -> tuple[LevelUpdate, ...]:
    return tuple(map(LevelUpdate._make, LEVEL_UPDATE.iter_unpack(rows)))
