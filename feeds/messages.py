"""The feed's messages, byte by byte: one ZeroMQ frame each, its topic in front, little-endian.

A topic is one kind of message about one instrument: its first five bytes, so that a reader
subscribes to what it wants by prefix. Then comes the rest of the header, then `count` records:

    byte  field       bytes
       0  kind            1   T trades, S status, I indicative, D depth (price levels, L2),
                              H heartbeat, R refresh
       1  instrument      4   the instrument's number; in a heartbeat -1
       5  version         1   `VERSION`; a reader refuses any other
       6  --              2   unused, zero, here and below
       8  run             8   changes when the publisher starts anew, and all numbers with it
      16  number          8   of this topic, from 1, rising by one; in a refresh the last of depth
      24  sequence        8   the journal's sequence that the message is as of
      32  time            8   ns since 1970, UTC: the frame's; a heartbeat's own
      40  count           8   records that follow

    T     48 + 40 n   trade prints: trade 8, sequence 8, price 8, quantity 8, taker side 1, -- 7
    S     48 + 32 n   changes: reference price 8, sequence 8, time 8, phase 1, cause 1, -- 6
    I     48 + 32     what the auction would find now: price 8, volume 8, surplus 8, side 1, -- 7
    D     48 + 24 n   level updates: price 8, quantity 8, orders 4, side 1, -- 3
    H     48 + 16 n   last numbers of topics: kind 1, instrument 4, -- 3, number 8
    R     48          the trades topic's last number 8
          56          the last trade print 40; its trade is 0 where there has been none
          96          the status topic's last number 8
         104          the status now, as a change 32
         136          the indicative topic's last number 8
         144          what the auction would find now 32
         176 + 24 n   the whole book as level updates: bids best first, then asks best first

A level update gives a level's new total, never a difference; quantity 0: the level is gone. A message's
updates belong together, those of levels that are gone first. In a call the best bid may lie above the
best ask. Icebergs show a slice; parked stops and market orders that wait for an auction are no levels.
A trade's taker side is 0 (buy), 1 (sell), or 2 in an auction, where nobody takes.
A change says what holds from then on: the phase (0 closed, 1 pre-open, 2 no-cancel, 3 auction,
4 continuous, 5 halted), the reference price (0: none), and the reject reason of the collar that caused
it, or 0. Of what held when this run began, sequence, time and cause are 0.
An indicative price has its volume, and the surplus with the side that has more, 0 where neither has.
All of it is 0 where the auction would find nothing, and outside of calls.
A heartbeat names every topic that has had a message in this run; of a topic that it does not name,
the last number is 0. Prices are in hao per lot, quantities in lots, side 0 buys and 1 sells.

A reader asks for a refresh with eight bytes: `A` 1, instrument 4, version 1, -- 2.

Each record is one list of fields; `struct` reads it here, NumPy in `feeds.publisher`. Imports
nothing but `struct`, so that any program can read the feed.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

VERSION = 2
"""Version of the layout. A message that cannot be read as before gets another number."""

TRADES = b"T"
STATUS = b"S"
INDICATIVE = b"I"
DEPTH = b"D"
HEARTBEAT = b"H"
REFRESH = b"R"
ASK = b"A"

NO_TAKER = 2
"""The taker's side of a trade in an auction, where both orders have rested."""

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
"""One trade, 40 bytes. `trade` rises over all runs; `sequence` is that of the taker's command. A trade that
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
    """A trade: price in hao per lot, quantity in lots; the taker's side: 0 (buy), 1 (sell) or `NO_TAKER`."""

    trade: int
    sequence: int
    price: int
    quantity: int
    taker_side: int


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


class Trades(NamedTuple):
    """The trades of one instrument in one frame of the journal, in the order they happened."""

    instrument: int
    run: int
    number: int
    sequence: int
    time: int
    prints: tuple[TradePrint, ...]


class Status(NamedTuple):
    """What one frame of the journal changed about an instrument's market; the last change holds."""

    instrument: int
    run: int
    number: int
    sequence: int
    time: int
    changes: tuple[StatusChange, ...]


class Indicative(NamedTuple):
    """What an instrument's auction would find after one frame of the journal."""

    instrument: int
    run: int
    number: int
    sequence: int
    time: int
    indicative: IndicativePrice


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
    """The whole book of one instrument as of message `number` of its depth topic, and what else holds now."""

    instrument: int
    run: int
    number: int
    sequence: int
    time: int
    trades_number: int
    last_trade: TradePrint | None
    status_number: int
    status: StatusChange
    indicative_number: int
    indicative: IndicativePrice
    levels: tuple[LevelUpdate, ...]


Message = Trades | Status | Indicative | Depth | Heartbeat | Refresh


class UnreadableError(ValueError):
    """These bytes are no message of this version: another version's, or another program's."""


def packer(fields: tuple[Field, ...]) -> struct.Struct:
    """Return the `struct` reading of a record."""
    return struct.Struct("<" + "".join(code for _, code in fields))


HEADER = packer(HEADER_FIELDS)
TRADE_PRINT = packer(TRADE_PRINT_FIELDS)
STATUS_CHANGE = packer(STATUS_CHANGE_FIELDS)
INDICATIVE_PRICE = packer(INDICATIVE_PRICE_FIELDS)
LEVEL_UPDATE = packer(LEVEL_UPDATE_FIELDS)
TOPIC_NUMBER = packer(TOPIC_NUMBER_FIELDS)
_ASK = packer(ASK_FIELDS)
_TOPIC = struct.Struct("<ci")
LAST_NUMBER = struct.Struct("<q")
_LAST_TRADE_AT = HEADER.size + LAST_NUMBER.size
_STATUS_AT = _LAST_TRADE_AT + TRADE_PRINT.size + LAST_NUMBER.size
_INDICATIVE_AT = _STATUS_AT + STATUS_CHANGE.size + LAST_NUMBER.size
_LEVELS_AT = _INDICATIVE_AT + INDICATIVE_PRICE.size
"""Where the parts of a refresh begin; in front of each but the levels its topic's last number."""


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
    if kind == STATUS:
        rows = _records(frame, HEADER.size, count, STATUS_CHANGE)
        changes = tuple(map(StatusChange._make, STATUS_CHANGE.iter_unpack(rows)))
        if not changes:
            message = "a status message tells at least one change"
            raise UnreadableError(message)
        return Status(instrument, run, number, sequence, time, changes)
    if kind == INDICATIVE:
        row = _records(frame, HEADER.size, 1, INDICATIVE_PRICE)
        found = IndicativePrice._make(INDICATIVE_PRICE.unpack(row))
        return Indicative(instrument, run, number, sequence, time, found)
    if kind == HEARTBEAT:
        rows = _records(frame, HEADER.size, count, TOPIC_NUMBER)
        numbers = {(sort, at): last for sort, at, last in TOPIC_NUMBER.iter_unpack(rows)}
        return Heartbeat(run, number, sequence, time, numbers)
    if kind == REFRESH:
        levels = _levels(_records(frame, _LEVELS_AT, count, LEVEL_UPDATE))
        trades_number, status_number, indicative_number = (
            LAST_NUMBER.unpack_from(frame, at - LAST_NUMBER.size)[0]
            for at in (_LAST_TRADE_AT, _STATUS_AT, _INDICATIVE_AT)
        )
        last = TradePrint._make(TRADE_PRINT.unpack_from(frame, _LAST_TRADE_AT))
        return Refresh(
            instrument,
            run,
            number,
            sequence,
            time,
            trades_number,
            last if last.trade else None,
            status_number,
            StatusChange._make(STATUS_CHANGE.unpack_from(frame, _STATUS_AT)),
            indicative_number,
            IndicativePrice._make(INDICATIVE_PRICE.unpack_from(frame, _INDICATIVE_AT)),
            levels,
        )
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
