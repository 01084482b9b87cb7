"""The bytes of the feed: held as they are, read alike by two, refused when not whole."""

from __future__ import annotations

import random
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from feeds import arrays, messages, records
from feeds.documents import Fixing, fixings_of
from feeds.messages import (
    DEFINITIONS,
    DEPTH,
    FAST_VIEW,
    FIXINGS,
    INDICATIVE,
    LEVELS_REFRESH,
    NUMBERED,
    ORDERS,
    ORDERS_REFRESH,
    STATUS,
    TOPS,
    TRADES,
    Depth,
    Document,
    Heartbeat,
    Indicative,
    Orders,
    Picture,
    Quote,
    Status,
    Trades,
    UnreadableError,
    read,
    read_ask,
    topic,
    write_ask,
)
from feeds.publisher import Publisher
from feeds.records import (
    IndicativePrice,
    LastNumbers,
    LevelUpdate,
    OrderUpdate,
    StatusChange,
    Top,
    Totals,
    TradePrint,
)
from matching.batch import match, match_on_tape
from matching.layout import EVENT, TAPE, empty_book
from matching.vocabulary import EventKind, Phase, QueueChange, RejectReason, Side
from tests.feeds.flow import batch_of, call, order

RUN, TIME = 0x1111_2222_3333_4444, 0x18D7_0A0B_0C0D_0E0F

GOLDEN = {
    "trades": """
        54 02000000 03 0000 4444333322221111 0100000000000000 2c00000000000000 0f0e0d0c0b0ad718
        0200000000000000
        0700000000000000 2900000000000000 3930000000000000 0300000000000000 0000000000000000 00 01
        000000000000
        0800000000000000 2a00000000000000 3a30000000000000 0100000000000000 0903000000000000 02 01
        000000000000
    """,
    "orders": """
        4f 02000000 03 0000 4444333322221111 0100000000000000 2c00000000000000 0f0e0d0c0b0ad718
        0400000000000000
        0100000000000000 2900000000000000 3930000000000000 0000000000000000 01 01 000000000000
        0200000000000000 2a00000000000000 3a30000000000000 0400000000000000 01 01 000000000000
        0500000000000000 2b00000000000000 3830000000000000 0400000000000000 00 00 000000000000
        0600000000000000 2c00000000000000 3830000000000000 0600000000000000 00 00 000000000000
    """,
    "depth": """
        44 02000000 03 0000 4444333322221111 0100000000000000 2c00000000000000 0f0e0d0c0b0ad718
        0300000000000000
        3930000000000000 0000000000000000 00000000 01 000000
        3a30000000000000 0400000000000000 01000000 01 000000
        3830000000000000 0a00000000000000 02000000 00 000000
    """,
    "top": """
        51 02000000 03 0000 4444333322221111 0100000000000000 2c00000000000000 0f0e0d0c0b0ad718
        0100000000000000
        3830000000000000 0a00000000000000 3a30000000000000 0400000000000000 02000000 01000000
    """,
    "status": """
        53 02000000 03 0000 4444333322221111 0100000000000000 2d00000000000000 100e0d0c0b0ad718
        0100000000000000
        3930000000000000 2d00000000000000 100e0d0c0b0ad718 01 59 000000000000
    """,
    "indicative": """
        49 02000000 03 0000 4444333322221111 0100000000000000 2d00000000000000 100e0d0c0b0ad718
        0100000000000000
        3830000000000000 0300000000000000 0700000000000000 01 00000000000000
    """,
    "view": """
        56 02000000 03 0000 4444333322221111 0100000000000000 2d00000000000000 110e0d0c0b0ad718
        0200000000000000
        0100000000000000 0100000000000000 0100000000000000 0100000000000000 0100000000000000
        0100000000000000
        0800000000000000 2a00000000000000 3a30000000000000 0100000000000000 0903000000000000 02 01
        000000000000
        3930000000000000 2d00000000000000 100e0d0c0b0ad718 01 59 000000000000
        3830000000000000 0300000000000000 0700000000000000 01 00000000000000
        0200000000000000 0400000000000000 e5c0000000000000 0903000000000000
        3830000000000000 0a00000000000000 02000000 00 000000
        3a30000000000000 0400000000000000 01000000 01 000000
    """,
    "fixings": """
        46 ffffffff 03 0000 4444333322221111 0100000000000000 2d00000000000000 100e0d0c0b0ad718
        3600000000000000
        9185a5696e64657802a673796d626f6ca141a3646179aa323032362d31312d3232a57072696365cd3039a472
        756e67a671756f746573
    """,
    "heartbeat": """
        48 ffffffff 03 0000 4444333322221111 0100000000000000 2d00000000000000 120e0d0c0b0ad718
        0700000000000000
        54 02000000 000000 0100000000000000
        53 02000000 000000 0100000000000000
        49 02000000 000000 0100000000000000
        4f 02000000 000000 0100000000000000
        44 02000000 000000 0100000000000000
        51 02000000 000000 0100000000000000
        46 ffffffff 000000 0100000000000000
    """,
    "levels refresh": """
        52 02000000 03 0000 4444333322221111 0100000000000000 2d00000000000000 100e0d0c0b0ad718
        0200000000000000
        0100000000000000 0100000000000000 0100000000000000 0100000000000000 0100000000000000
        0100000000000000
        0800000000000000 2a00000000000000 3a30000000000000 0100000000000000 0903000000000000 02 01
        000000000000
        3930000000000000 2d00000000000000 100e0d0c0b0ad718 01 59 000000000000
        3830000000000000 0300000000000000 0700000000000000 01 00000000000000
        0200000000000000 0400000000000000 e5c0000000000000 0903000000000000
        3830000000000000 0a00000000000000 02000000 00 000000
        3a30000000000000 0400000000000000 01000000 01 000000
    """,
    "orders refresh": """
        4c 02000000 03 0000 4444333322221111 0100000000000000 2d00000000000000 100e0d0c0b0ad718
        0300000000000000
        0100000000000000 0100000000000000 0100000000000000 0100000000000000 0100000000000000
        0100000000000000
        0800000000000000 2a00000000000000 3a30000000000000 0100000000000000 0903000000000000 02 01
        000000000000
        3930000000000000 2d00000000000000 100e0d0c0b0ad718 01 59 000000000000
        3830000000000000 0300000000000000 0700000000000000 01 00000000000000
        0200000000000000 0400000000000000 e5c0000000000000 0903000000000000
        0500000000000000 0000000000000000 3830000000000000 0400000000000000 00 00 000000000000
        0600000000000000 0000000000000000 3830000000000000 0600000000000000 00 00 000000000000
        0200000000000000 0000000000000000 3a30000000000000 0400000000000000 01 00 000000000000
    """,
}

PRINTS = (TradePrint(7, 41, 12345, 3, 0, 0, 1), TradePrint(8, 42, 12346, 1, 777, 2, 1))
INTERRUPTED = StatusChange(12345, 45, TIME + 1, Phase.PRE_OPEN, RejectReason.STATIC_COLLAR)
FOUND = IndicativePrice(12344, 3, 7, 1)
TOTALS = Totals(trades=2, quantity=4, amount=49381, paid=777)
LEVELS = (LevelUpdate(12344, 10, 2, 0), LevelUpdate(12346, 4, 1, 1))
CHANGES = (
    OrderUpdate(1, 41, 12345, 0, 1, QueueChange.FILLED),
    OrderUpdate(2, 42, 12346, 4, 1, QueueChange.FILLED),
    OrderUpdate(5, 43, 12344, 4, 0, QueueChange.PLACED),
    OrderUpdate(6, 44, 12344, 6, 0, QueueChange.PLACED),
)
RESTING = (
    OrderUpdate(5, 0, 12344, 4, 0, QueueChange.PLACED),
    OrderUpdate(6, 0, 12344, 6, 0, QueueChange.PLACED),
    OrderUpdate(2, 0, 12346, 4, 1, QueueChange.PLACED),
)
ABOUT = (2, RUN, 1, 44, TIME)
ABOUT_LATER = (2, RUN, 1, 45, TIME + 1)
SHOWN = (LastNumbers(1, 1, 1, 1, 1, 1), PRINTS[1], INTERRUPTED, FOUND, TOTALS)


def rows(name: str, start: int = records.HEADER.size) -> memoryview:
    return memoryview(golden(name))[start:]


def golden(name: str) -> bytes:
    return bytes.fromhex(GOLDEN[name])


def told(frame: bytes) -> Any:
    return read(frame)


MEANINGS: dict[str, Any] = {
    "trades": Trades(*ABOUT, rows("trades")),
    "orders": Orders(*ABOUT, rows("orders")),
    "depth": Depth(*ABOUT, rows("depth")),
    "top": Quote(*ABOUT, Top(12344, 10, 12346, 4, 2, 1)),
    "status": Status(*ABOUT_LATER, (INTERRUPTED,)),
    "indicative": Indicative(*ABOUT_LATER, FOUND),
    "view": Picture(FAST_VIEW, 2, RUN, 1, 45, TIME + 2, *SHOWN, rows("view", messages.PICTURE_BYTES)),
    "fixings": Document(FIXINGS, -1, RUN, 1, 45, TIME + 1, bytes(rows("fixings"))),
    "heartbeat": Heartbeat(
        RUN,
        1,
        45,
        TIME + 3,
        {(kind, 2): 1 for kind in (TRADES, STATUS, INDICATIVE, ORDERS, DEPTH, TOPS)} | {(FIXINGS, -1): 1},
    ),
    "levels refresh": Picture(
        LEVELS_REFRESH, *ABOUT_LATER, *SHOWN, rows("levels refresh", messages.PICTURE_BYTES)
    ),
    "orders refresh": Picture(
        ORDERS_REFRESH, *ABOUT_LATER, *SHOWN, rows("orders refresh", messages.PICTURE_BYTES)
    ),
}

RECORDS: list[tuple[str, Callable[[Any], object], object]] = [
    ("trades", lambda told: told.prints, PRINTS),
    ("orders", lambda told: told.updates, CHANGES),
    (
        "depth",
        lambda told: told.levels,
        (LevelUpdate(12345, 0, 0, 1), LevelUpdate(12346, 4, 1, 1), LevelUpdate(12344, 10, 2, 0)),
    ),
    ("view", lambda told: told.levels, LEVELS),
    ("levels refresh", lambda told: told.levels, LEVELS),
    ("orders refresh", lambda told: told.orders, RESTING),
    ("fixings", fixings_of, (Fixing(index=2, symbol="A", day="2026-11-22", price=12345, rung="quotes"),)),
]


def published() -> dict[str, bytes]:
    """Play the golden story: two trades of one batch, the second as of an auction and paid for in part, a
    level gone, one reduced, one new; then a collar begins a call, in which the auction would find a price.
    """
    sell, buy = Side.SELL, Side.BUY
    commands = [
        order(1, sell, 3, 12345, instrument=2),
        order(2, sell, 5, 12346, instrument=2),
        order(3, buy, 3, 12345, instrument=2),
        order(4, buy, 1, 12346, instrument=2),
        order(5, buy, 4, 12344, instrument=2),
        order(6, buy, 6, 12344, instrument=2),
    ]
    book, _ = match(empty_book(3), np.concatenate(commands[:2]))
    feed = Publisher(RUN, book=book)
    book, events, tape = match_on_tape(book, np.concatenate(commands[2:]))
    traded = events["kind"] == EventKind.TRADED
    events["phase"][np.flatnonzero(traded)[1]] = Phase.AUCTION
    batch = batch_of(events, tape, 41, 44, TIME, 6 + np.cumsum(traded))
    batch.paid[traded] = 0, 777
    batch.subsidised[traded] = 1
    trades, orders, depth, top = feed.outgoing(batch, book)
    change = np.zeros(1, EVENT)
    change["kind"], change["instrument"], change["phase"] = EventKind.PHASE_CHANGED, 2, Phase.PRE_OPEN
    change["price"], change["reason"] = 12345, RejectReason.STATIC_COLLAR
    call(book, 2, reference=12345, price=12344, volume=3, surplus=-7)
    interruption = batch_of(change, np.zeros(0, TAPE), 45, 45, TIME + 1, np.zeros(1, np.int64))
    status, indicative = feed.outgoing(interruption, book)
    (view,) = feed.views(FAST_VIEW, book, TIME + 2)
    (fixings,) = feed.fix([Fixing(index=2, symbol="A", day="2026-11-22", price=12345, rung="quotes")])
    return {
        "trades": trades,
        "orders": orders,
        "depth": depth,
        "top": top,
        "status": status,
        "indicative": indicative,
        "view": view,
        "fixings": fixings,
        "heartbeat": feed.heartbeat(TIME + 3),
        "levels refresh": feed.refresh(LEVELS_REFRESH, 2, book),
        "orders refresh": feed.refresh(ORDERS_REFRESH, 2, book),
    }


@pytest.mark.parametrize("name", GOLDEN)
def test_bytes_are_as_they_always_were(name):
    assert published()[name].hex(" ") == golden(name).hex(" ")


@pytest.mark.parametrize("name", GOLDEN)
def test_bytes_mean_what_they_say(name):
    assert read(golden(name)) == MEANINGS[name]


@pytest.mark.parametrize(("name", "part", "expected"), RECORDS, ids=[row[0] for row in RECORDS])
def test_records_mean_what_they_say(name, part, expected):
    assert part(told(golden(name))) == expected


def test_a_picture_is_asked_only_for_what_it_shows():
    with pytest.raises(AssertionError, match="shows orders"):
        told(golden("orders refresh")).levels  # noqa: B018
    with pytest.raises(AssertionError, match="shows levels"):
        told(golden("levels refresh")).orders  # noqa: B018


def test_before_the_first_trade_a_picture_has_none():
    whole = golden("levels refresh")
    at = records.HEADER.size + records.LAST_NUMBERS.size
    assert told(whole[:at] + bytes(8) + whole[at + 8 :]).last_trade is None


@pytest.mark.parametrize("wanted", [LEVELS_REFRESH, ORDERS_REFRESH, DEFINITIONS])
def test_asking_takes_eight_bytes(wanted):
    assert write_ask(wanted, 0x01020304) == bytes.fromhex("41 04030201 03") + wanted + b"\0"
    assert read_ask(write_ask(wanted, 0x01020304)) == (wanted, 0x01020304)
    assert read_ask(write_ask(wanted)) == (wanted, -1)


@pytest.mark.parametrize(
    ("request_bytes", "told"),
    [
        (b"", "takes 8 bytes, not 0"),
        (write_ask(LEVELS_REFRESH, 1) + b"\0", "takes 8 bytes, not 9"),
        (b"B" + write_ask(LEVELS_REFRESH, 1)[1:], "kind b'B'"),
        (bytes.fromhex("41 01000000 02 52 00"), "version 2 of the feed"),
        (write_ask(b"D", 1), "b'D' is asked for"),
    ],
)
def test_what_asks_for_nothing_is_refused(request_bytes, told):
    with pytest.raises(UnreadableError, match=told):
        read_ask(request_bytes)


def test_a_topic_is_how_its_messages_begin():
    assert golden("trades").startswith(topic(TRADES, 2))
    assert golden("orders").startswith(topic(ORDERS, 2))
    assert golden("fixings").startswith(topic(FIXINGS))
    assert golden("heartbeat").startswith(topic(messages.HEARTBEAT))
    assert not golden("depth").startswith(topic(DEPTH, 3))


def test_a_heartbeat_names_topics_that_a_reader_can_lose():
    assert {kind for kind, _ in MEANINGS["heartbeat"].numbers} <= set(NUMBERED)


def test_the_header_stands_where_the_page_says():
    offsets, at = {}, 0
    for name, code in records.HEADER_FIELDS:
        offsets[name] = at
        at += struct.calcsize("<" + code)
    del offsets["unused"]
    stands = re.findall(r"^ +(\d+)  (\w+) +\d+ ", messages.__doc__ or "", re.MULTILINE)
    assert {name: int(at) for at, name in stands} == offsets
    assert at == 48


SIZES = {
    "HEADER": 48,
    "TRADE_PRINT": 48,
    "STATUS_CHANGE": 32,
    "INDICATIVE_PRICE": 32,
    "LEVEL_UPDATE": 24,
    "ORDER_UPDATE": 40,
    "TOP": 40,
    "TOTALS": 32,
    "LAST_NUMBERS": 48,
    "TOPIC_NUMBER": 16,
}


@pytest.mark.parametrize("record", SIZES)
def test_struct_and_numpy_read_a_record_alike(record):
    fields, packer = getattr(records, record + "_FIELDS"), getattr(records, record)
    used = [(name, code) for name, code in fields if code[-1] != "x"]
    values = [b"T" if code == "c" else 3 + at for at, (_, code) in enumerate(used)]
    row = np.zeros(1, getattr(arrays, record))
    for (name, _), value in zip(used, values, strict=True):
        row[name] = value
    assert row.tobytes() == packer.pack(*values)
    assert packer.size == row.dtype.itemsize == SIZES[record]


@pytest.mark.parametrize("name", GOLDEN)
def test_a_message_that_is_not_whole_is_refused(name):
    whole = golden(name)
    for length in range(len(whole)):
        with pytest.raises(UnreadableError):
            read(whole[:length])
    with pytest.raises(UnreadableError):
        read(whole + b"\0")


def test_another_version_or_kind_is_refused_and_says_what_to_do():
    whole = golden("depth")
    with pytest.raises(UnreadableError, match=r"version 2 of the feed.*knows 3.*install"):
        read(whole[:5] + b"\x02" + whole[6:])
    with pytest.raises(UnreadableError, match="kind b'Z'"):
        read(b"Z" + whole[1:])
    for count in (-1, -2, 2**62, -(2**63)):
        with pytest.raises(UnreadableError, match="cannot hold"):
            read(whole[:40] + struct.pack("<q", count) + whole[48:])
    for name in ("status", "top", "indicative"):
        with pytest.raises(UnreadableError, match="cannot hold"):
            read(golden(name)[:40] + bytes(8))


def test_garbage_is_refused_and_nothing_else_escapes(seed, scale):
    chance = random.Random(seed)
    refused = 0
    for _ in range(5_000 * scale):
        spoilt = bytearray(golden(chance.choice(list(GOLDEN))))
        for _ in range(chance.randint(1, 4)):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        try:
            read(bytes(spoilt))
        except UnreadableError:
            refused += 1
    assert refused > 500


def test_a_reader_loads_no_arrays_and_no_kernels():
    program = (
        "import sys, feeds.subscriber, feeds.bars\n"
        "heavy = {'numpy', 'numba', 'duckdb', 'msgspec'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
