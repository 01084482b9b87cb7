"""The feed's messages, byte by byte: one ZeroMQ frame each, its topic in front, little-endian.

A topic is one kind of message about one instrument: its first five bytes, so that a reader
subscribes to what it wants by prefix. Then comes the rest of the header, then `count` records:

    byte  field       bytes
       0  kind            1   see below
       1  instrument      4   the instrument's number; -1 where a message is of no single one
       5  version         1   `VERSION`; a reader refuses any other
       6  --              2   unused, zero, here and below
       8  run             8   changes when the publisher starts anew, and all numbers with it
      16  number          8   of this topic, from 1, rising by one; see R, L and N for theirs
      24  sequence        8   the journal's sequence that the message is as of
      32  time            8   ns since 1970, UTC: the frame's; a heartbeat's own
      40  count           8   records that follow; of a document, its bytes

Told at once, for all that a frame of the journal changed; what is left out is lost:

    T     48 + 48 n   trade prints: trade 8, sequence 8, price 8, quantity 8, paid 8, taker side 1,
                      subsidised 1, -- 6
    S     48 + 32 n   status changes: reference price 8, sequence 8, time 8, phase 1, cause 1, -- 6
    I     48 + 32     what the auction would find now: price 8, volume 8, surplus 8, side 1, -- 7
    O     48 + 40 n   order updates (L3): order 8, sequence 8, price 8, quantity 8, side 1, change 1, -- 6
    D     48 + 24 n   level updates (L2): price 8, quantity 8, orders 4, side 1, -- 3
    Q     48 + 40     the top (L1): bid price 8, bid quantity 8, ask price 8, ask quantity 8,
                      bid orders 4, ask orders 4

Told now and then, each message by itself: who misses one has missed nothing that the next does not tell:

    V     picture     what has changed within 100 ms, ten levels of each side at most
    W     picture     the same, each second
    P     document    all programmes' budgets, each second
    H     48 + 16 n   each second: last numbers of topics: kind 1, instrument 4, -- 3, number 8

Told when it happens, as documents of `feeds.documents`, in MessagePack:

    F     document    fixings
    N     document    definitions of instruments, those that are new or have changed

Told to who asks (`A` 1, instrument 4, version 1, wanted 1, -- 1), where `wanted` is the kind of the answer:

    R     picture     with all levels; `number` is that of the last D in it
    L     picture     with all orders, first come first at each price; `number` is that of the last O in it
    N     document    the definition of one instrument, of all for -1; `number` is that of the last N

A picture is what holds now. Behind the header:

    48   last numbers of the topics D, O, T, S, I, Q: 8 each
    96   the last trade print 48; its trade is 0 where there has been none in this run
   144   the status 32
   176   what the auction would find 32
   208   the trades of this run: their count 8, lots 8, amount 8, what programmes paid of it at once 8
   240   + 24 n level updates (R, V, W), or + 40 n order updates (L): bids best first, then asks best first

A level update gives a level's new total, never a difference; quantity 0: the level is gone, if it was there.
A message's updates belong together, those of levels that are gone first. In a call the best bid may lie
above the best ask. Icebergs show a slice; parked stops and market orders that wait for an auction are no
levels, and no orders.
An order update's change is 0 (placed: it stands last at its price, wherever it stood before), 1 (filled) or
2 (taken off): then it keeps its place with fewer lots, or leaves with none. An order's number is its own as
long as it lives, and its owner's; nothing tells who that is.
A trade's taker side is 0 (buy), 1 (sell), or 2 in an auction, where nobody takes. `paid` is what a programme
paid of price x quantity at once, in hao; subsidised is 1 where one stands behind the buy, be it that it
pays when the credits are redeemed.
A change of status says what holds from then on: the phase (0 closed, 1 pre-open, 2 no-cancel, 3 auction,
4 continuous, 5 halted), the reference price (0: none), and the reject reason of the collar that caused
it, or 0. Of what held when this run began, sequence, time and cause are 0.
An indicative price has its volume, and the surplus with the side that has more, 0 where neither has.
All of it is 0 where the auction would find nothing, and outside of calls.
A heartbeat names every topic that has had a message in this run, but for V, W and P; of one that it does not
name the last number is 0. Prices are in hao per lot, quantities in lots, side 0 buys and 1 sells.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from feeds.records import (
    ASK,
    HEADER,
    INDICATIVE_PRICE,
    LAST_NUMBERS,
    LEVEL_UPDATE,
    NO_TAKER,
    ORDER_UPDATE,
    STATUS_CHANGE,
    TOP,
    TOPIC_NUMBER,
    TOTALS,
    TRADE_PRINT,
    IndicativePrice,
    LastNumbers,
    LevelUpdate,
    OrderUpdate,
    StatusChange,
    Top,
    Totals,
    TradePrint,
)
from matching.vocabulary import Phase, Side

VERSION = 3
"""Version of the layout. A message that cannot be read as before gets another number."""

TRADES = b"T"
STATUS = b"S"
INDICATIVE = b"I"
ORDERS = b"O"
DEPTH = b"D"
TOPS = b"Q"
FAST_VIEW = b"V"
SLOW_VIEW = b"W"
PROGRAMMES = b"P"
HEARTBEAT = b"H"
FIXINGS = b"F"
DEFINITIONS = b"N"
LEVELS_REFRESH = b"R"
ORDERS_REFRESH = b"L"
REQUEST = b"A"

NUMBERED = (TRADES, STATUS, INDICATIVE, ORDERS, DEPTH, TOPS, FIXINGS, DEFINITIONS)
"""The topics that a heartbeat tells the last numbers of: of these nothing is lost unseen."""

DOCUMENTS = (PROGRAMMES, FIXINGS, DEFINITIONS)

EVERY_INSTRUMENT = -1
"""What stands for the instrument where a message is of no single one."""

VIEW_LEVELS = 10
"""Most levels of each side in a view."""

MESSAGE_BYTES_MAX = 1 << 26
"""Largest message, 64 MiB: a book of 1.6 million orders or 2.7 million levels."""


class Trades(NamedTuple):
    """The trades of one instrument in one frame of the journal, in the order they happened."""

    instrument: int
    run: int
    number: int
    sequence: int
    time: int
    rows: memoryview

    @property
    def prints(self) -> tuple[TradePrint, ...]:
        """The trades."""
        return tuple(map(TradePrint._make, TRADE_PRINT.iter_unpack(self.rows)))


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


class Orders(NamedTuple):
    """What one frame of the journal did to the resting orders of one instrument, in its order."""

    instrument: int
    run: int
    number: int
    sequence: int
    time: int
    rows: memoryview

    @property
    def updates(self) -> tuple[OrderUpdate, ...]:
        """What was done to orders."""
        return tuple(map(OrderUpdate._make, ORDER_UPDATE.iter_unpack(self.rows)))


class Depth(NamedTuple):
    """The levels of one instrument that one frame of the journal touched."""

    instrument: int
    run: int
    number: int
    sequence: int
    time: int
    rows: memoryview

    @property
    def levels(self) -> tuple[LevelUpdate, ...]:
        """The levels' new totals."""
        return tuple(map(LevelUpdate._make, LEVEL_UPDATE.iter_unpack(self.rows)))


class Quote(NamedTuple):
    """The best level of each side of one instrument, after a frame of the journal that changed it."""

    instrument: int
    run: int
    number: int
    sequence: int
    time: int
    top: Top


class Heartbeat(NamedTuple):
    """Each topic's last number, by (kind, instrument): what a reader has not, it has lost."""

    run: int
    number: int
    sequence: int
    time: int
    numbers: dict[tuple[bytes, int], int]


class Picture(NamedTuple):
    """What holds now of one instrument: as much of the book as the kind of the message says, and the rest.

    `kind` is FAST_VIEW, SLOW_VIEW, LEVELS_REFRESH or ORDERS_REFRESH.
    """

    kind: bytes
    instrument: int
    run: int
    number: int
    sequence: int
    time: int
    numbers: LastNumbers
    last_trade: TradePrint | None
    status: StatusChange
    indicative: IndicativePrice
    totals: Totals
    rows: memoryview

    @property
    def levels(self) -> tuple[LevelUpdate, ...]:
        """The levels, bids best first, then asks best first; of all kinds but ORDERS_REFRESH."""
        assert self.kind != ORDERS_REFRESH, "this picture shows orders"
        return tuple(map(LevelUpdate._make, LEVEL_UPDATE.iter_unpack(self.rows)))

    @property
    def orders(self) -> tuple[OrderUpdate, ...]:
        """The orders, bids best first, then asks best first; of an ORDERS_REFRESH."""
        assert self.kind == ORDERS_REFRESH, "this picture shows levels"
        return tuple(map(OrderUpdate._make, ORDER_UPDATE.iter_unpack(self.rows)))


class Document(NamedTuple):
    """Programmes, fixings or definitions, as `kind` says; `feeds.documents` reads the body, MessagePack."""

    kind: bytes
    instrument: int
    run: int
    number: int
    sequence: int
    time: int
    body: bytes


Message = Trades | Status | Indicative | Orders | Depth | Quote | Heartbeat | Picture | Document


class UnreadableError(ValueError):
    """These bytes are no message of this version: another version's, or another program's."""


_TOPIC = struct.Struct("<ci")
_BYTE = struct.Struct("<B")
_TAKER_AT = 40
_PHASE_AT = 24
"""Where in a trade print and in a status change these codes stand."""
_TAKERS = frozenset((*map(int, Side), NO_TAKER))
_PHASES = frozenset(map(int, Phase))
_PRINT_AT = HEADER.size + LAST_NUMBERS.size
_STATUS_AT = _PRINT_AT + TRADE_PRINT.size
_INDICATIVE_AT = _STATUS_AT + STATUS_CHANGE.size
_TOTALS_AT = _INDICATIVE_AT + INDICATIVE_PRICE.size
PICTURE_BYTES = _TOTALS_AT + TOTALS.size
"""Where the levels or orders of a picture begin."""


def topic(kind: bytes, instrument: int = EVERY_INSTRUMENT) -> bytes:
    """Return the five bytes that a topic's messages begin with, for a subscription.

    >>> topic(TRADES, 7).hex()
    '5407000000'
    """
    return _TOPIC.pack(kind, instrument)


def write_ask(wanted: bytes, instrument: int = EVERY_INSTRUMENT) -> bytes:
    """Return the bytes that ask for a LEVELS_REFRESH, an ORDERS_REFRESH or DEFINITIONS."""
    return ASK.pack(REQUEST, instrument, VERSION, wanted)


class Ask(NamedTuple):
    """What a reader asks for."""

    wanted: bytes
    instrument: int


def read_ask(frame: bytes) -> Ask:
    """Return what is asked for; the instrument is any int32. Raises `UnreadableError`."""
    if len(frame) != ASK.size:
        message = f"asking for a refresh takes {ASK.size} bytes, not {len(frame)}"
        raise UnreadableError(message)
    kind, instrument, version, wanted = ASK.unpack(frame)
    if kind != REQUEST:
        message = f"a request of kind {kind!r}: the only one is {REQUEST!r}, for a refresh"
        raise UnreadableError(message)
    _check_version(version)
    if wanted not in (LEVELS_REFRESH, ORDERS_REFRESH, DEFINITIONS):
        message = f"{wanted!r} is asked for: it is {LEVELS_REFRESH!r}, {ORDERS_REFRESH!r} or {DEFINITIONS!r}"
        raise UnreadableError(message)
    return Ask(wanted, int(instrument))


def read(frame: bytes) -> Message:
    """Return the message that stands in one ZeroMQ frame. Raises `UnreadableError`."""
    if len(frame) < HEADER.size:
        message = f"a message has at least {HEADER.size} bytes, not {len(frame)}"
        raise UnreadableError(message)
    kind, instrument, version, run, number, sequence, time, count = HEADER.unpack_from(frame)
    _check_version(version)
    about = (instrument, run, number, sequence, time)
    if kind == DEPTH:
        return Depth(*about, _records(frame, HEADER.size, count, LEVEL_UPDATE))
    if kind == ORDERS:
        return Orders(*about, _records(frame, HEADER.size, count, ORDER_UPDATE))
    if kind == TRADES:
        rows = _records(frame, HEADER.size, count, TRADE_PRINT)
        _check_codes("taker side", rows[_TAKER_AT :: TRADE_PRINT.size], _TAKERS)
        return Trades(*about, rows)
    if kind == TOPS:
        row = _records(frame, HEADER.size, 1, TOP)
        return Quote(*about, Top._make(TOP.unpack(row)))
    if kind == STATUS:
        rows = _records(frame, HEADER.size, max(count, 1), STATUS_CHANGE)
        _check_codes("phase", rows[_PHASE_AT :: STATUS_CHANGE.size], _PHASES)
        return Status(*about, tuple(map(StatusChange._make, STATUS_CHANGE.iter_unpack(rows))))
    if kind == INDICATIVE:
        row = _records(frame, HEADER.size, 1, INDICATIVE_PRICE)
        return Indicative(*about, IndicativePrice._make(INDICATIVE_PRICE.unpack(row)))
    if kind == HEARTBEAT:
        rows = _records(frame, HEADER.size, count, TOPIC_NUMBER)
        numbers = {(sort, at): last for sort, at, last in TOPIC_NUMBER.iter_unpack(rows)}
        return Heartbeat(run, number, sequence, time, numbers)
    if kind in DOCUMENTS:
        return Document(kind, *about, bytes(_records(frame, HEADER.size, count, _BYTE)))
    if kind in (FAST_VIEW, SLOW_VIEW, LEVELS_REFRESH, ORDERS_REFRESH):
        return _picture(kind, about, frame, count)
    message = f"a message of kind {kind!r}, which version {VERSION} of the feed does not have"
    raise UnreadableError(message)


def _picture(kind: bytes, about: tuple[int, int, int, int, int], frame: bytes, count: int) -> Picture:
    record = ORDER_UPDATE if kind == ORDERS_REFRESH else LEVEL_UPDATE
    rows = _records(frame, PICTURE_BYTES, count, record)
    _check_codes("phase", frame[_STATUS_AT + _PHASE_AT :][:1], _PHASES)
    last = TradePrint._make(TRADE_PRINT.unpack_from(frame, _PRINT_AT))
    _check_codes("taker side", bytes((last.taker_side,)), _TAKERS)
    return Picture(
        kind,
        *about,
        LastNumbers._make(LAST_NUMBERS.unpack_from(frame, HEADER.size)),
        last if last.trade else None,
        StatusChange._make(STATUS_CHANGE.unpack_from(frame, _STATUS_AT)),
        IndicativePrice._make(INDICATIVE_PRICE.unpack_from(frame, _INDICATIVE_AT)),
        Totals._make(TOTALS.unpack_from(frame, _TOTALS_AT)),
        rows,
    )


def _check_version(version: int) -> None:
    if version != VERSION:
        message = f"version {version} of the feed; this reader knows {VERSION}: install one release"
        raise UnreadableError(message)


def _check_codes(what: str, codes: bytes | memoryview, known: frozenset[int]) -> None:
    """Refuse a message with a code that has no meaning, before whoever reads it looks for one."""
    if not known.issuperset(codes):
        code = next(code for code in codes if code not in known)
        message = f"{what} {code}, which version {VERSION} of the feed does not have"
        raise UnreadableError(message)


def _records(frame: bytes, start: int, count: int, record: struct.Struct) -> memoryview:
    """Return the bytes of the records, having seen that there are `count` of them, and no more."""
    if count < 0 or len(frame) != start + count * record.size:
        message = f"{len(frame)} bytes cannot hold {count} records of {record.size} from {start} on"
        raise UnreadableError(message)
    return memoryview(frame)[start:]
