"""The bytes of the feed: held as they are, read alike by two, refused when not whole."""

from __future__ import annotations

import random
import re
import struct
import subprocess
import sys

import numpy as np
import pytest

from feeds import messages, publisher
from feeds.messages import (
    DEPTH,
    INDICATIVE,
    STATUS,
    TRADES,
    Depth,
    Heartbeat,
    Indicative,
    IndicativePrice,
    LevelUpdate,
    Refresh,
    Status,
    StatusChange,
    TradePrint,
    Trades,
    UnreadableError,
    read,
    read_ask,
    topic,
    write_ask,
)
from feeds.publisher import Publisher
from matching.batch import match
from matching.layout import EVENT, empty_book
from matching.vocabulary import EventKind, Phase, RejectReason, Side
from tests.feeds.flow import call, order

RUN, TIME = 0x1111_2222_3333_4444, 0x18D7_0A0B_0C0D_0E0F

GOLDEN = {
    "trades": """
        54 02000000 02 0000  4444333322221111 0100000000000000 2a00000000000000
        0f0e0d0c0b0ad718 0200000000000000
        0700000000000000 2900000000000000 39300000 00000000 0300000000000000 00 00000000000000
        0800000000000000 2a00000000000000 3a300000 00000000 0100000000000000 02 00000000000000
    """,
    "status": """
        53 02000000 02 0000  4444333322221111 0100000000000000 2b00000000000000
        100e0d0c0b0ad718 0100000000000000
        3930000000000000 2b00000000000000 100e0d0c0b0ad718 01 59 000000000000
    """,
    "indicative": """
        49 02000000 02 0000  4444333322221111 0100000000000000 2b00000000000000
        100e0d0c0b0ad718 0100000000000000
        3830000000000000 0300000000000000 0700000000000000 01 00000000000000
    """,
    "depth": """
        44 02000000 02 0000  4444333322221111 0100000000000000 2a00000000000000
        0f0e0d0c0b0ad718 0300000000000000
        3930000000000000 0000000000000000 00000000 01 000000
        3a30000000000000 0400000000000000 01000000 01 000000
        3830000000000000 0a00000000000000 02000000 00 000000
    """,
    "heartbeat": """
        48 ffffffff 02 0000  4444333322221111 0100000000000000 2b00000000000000
        110e0d0c0b0ad718 0400000000000000
        54 02000000 000000 0100000000000000
        53 02000000 000000 0100000000000000
        49 02000000 000000 0100000000000000
        44 02000000 000000 0100000000000000
    """,
    "refresh": """
        52 02000000 02 0000  4444333322221111 0100000000000000 2b00000000000000
        100e0d0c0b0ad718 0200000000000000
        0100000000000000
        0800000000000000 2a00000000000000 3a300000 00000000 0100000000000000 02 00000000000000
        0100000000000000
        3930000000000000 2b00000000000000 100e0d0c0b0ad718 01 59 000000000000
        0100000000000000
        3830000000000000 0300000000000000 0700000000000000 01 00000000000000
        3830000000000000 0a00000000000000 02000000 00 000000
        3a30000000000000 0400000000000000 01000000 01 000000
    """,
}

INTERRUPTED = StatusChange(12345, 43, TIME + 1, Phase.PRE_OPEN, RejectReason.STATIC_COLLAR)
FOUND = IndicativePrice(12344, 3, 7, 1)

MEANINGS = {
    "trades": Trades(2, RUN, 1, 42, TIME, (TradePrint(7, 41, 12345, 3, 0), TradePrint(8, 42, 12346, 1, 2))),
    "status": Status(2, RUN, 1, 43, TIME + 1, (INTERRUPTED,)),
    "indicative": Indicative(2, RUN, 1, 43, TIME + 1, FOUND),
    "depth": Depth(
        2,
        RUN,
        1,
        42,
        TIME,
        (
            LevelUpdate(12345, 0, 0, 1),
            LevelUpdate(12346, 4, 1, 1),
            LevelUpdate(12344, 10, 2, 0),
        ),
    ),
    "heartbeat": Heartbeat(
        RUN, 1, 43, TIME + 2, {(TRADES, 2): 1, (STATUS, 2): 1, (INDICATIVE, 2): 1, (DEPTH, 2): 1}
    ),
    "refresh": Refresh(
        2,
        RUN,
        1,
        43,
        TIME + 1,
        1,
        TradePrint(8, 42, 12346, 1, 2),
        1,
        INTERRUPTED,
        1,
        FOUND,
        (LevelUpdate(12344, 10, 2, 0), LevelUpdate(12346, 4, 1, 1)),
    ),
}


def golden(name: str) -> bytes:
    return bytes.fromhex(GOLDEN[name])


def published() -> dict[str, bytes]:
    """Play the golden story: two trades of one frame, the second as of an auction, a level gone, one
    reduced, one new; then a collar begins a call, in which the auction would find a price.
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
    book, events = match(book, np.concatenate(commands[2:]))
    sequences = np.minimum(41 + events["command"].astype(np.int64), 42)
    traded = events["kind"] == EventKind.TRADED
    events["phase"][np.flatnonzero(traded)[1]] = Phase.AUCTION
    trades_message, depth = feed.outgoing(events, sequences, 6 + np.cumsum(traded), book, 42, TIME)
    change = np.zeros(1, EVENT)
    change["kind"], change["instrument"], change["phase"] = EventKind.PHASE_CHANGED, 2, Phase.PRE_OPEN
    change["price"], change["reason"] = 12345, RejectReason.STATIC_COLLAR
    call(book, 2, reference=12345, price=12344, volume=3, surplus=-7)
    status, indicative = feed.outgoing(change, np.array([43]), np.array([0]), book, 43, TIME + 1)
    return {
        "trades": trades_message,
        "status": status,
        "indicative": indicative,
        "depth": depth,
        "heartbeat": feed.heartbeat(TIME + 2),
        "refresh": feed.refresh(2, book),
    }


@pytest.mark.parametrize("name", GOLDEN)
def test_bytes_are_as_they_always_were(name):
    assert published()[name].hex(" ") == golden(name).hex(" ")


@pytest.mark.parametrize("name", GOLDEN)
def test_bytes_mean_what_they_say(name):
    assert read(golden(name)) == MEANINGS[name]


def test_asking_takes_eight_bytes():
    assert write_ask(0x01020304) == bytes.fromhex("41 04030201 02 0000")
    assert read_ask(write_ask(0x01020304)) == 0x01020304


def test_a_topic_is_how_its_messages_begin():
    assert golden("trades").startswith(topic(TRADES, 2))
    assert golden("depth").startswith(topic(DEPTH, 2))
    assert golden("heartbeat").startswith(topic(messages.HEARTBEAT))
    assert not golden("depth").startswith(topic(DEPTH, 3))


def test_the_header_stands_where_the_page_says():
    offsets, at = {}, 0
    for name, code in messages.HEADER_FIELDS:
        offsets[name] = at
        at += struct.calcsize("<" + code)
    del offsets["unused"]
    rows = re.findall(r"^ +(\d+)  (\w+) +\d+ ", messages.__doc__ or "", re.MULTILINE)
    assert {name: int(at) for at, name in rows} == offsets
    assert at == 48


@pytest.mark.parametrize(
    ("fields", "packer", "dtype", "size"),
    [
        (
            messages.TRADE_PRINT_FIELDS,
            messages.TRADE_PRINT,
            publisher.TRADE_PRINT,
            40,
        ),
        (messages.STATUS_CHANGE_FIELDS, messages.STATUS_CHANGE, publisher.STATUS_CHANGE, 32),
        (messages.INDICATIVE_PRICE_FIELDS, messages.INDICATIVE_PRICE, publisher.INDICATIVE_PRICE, 32),
        (messages.LEVEL_UPDATE_FIELDS, messages.LEVEL_UPDATE, publisher.LEVEL_UPDATE, 24),
        (messages.TOPIC_NUMBER_FIELDS, messages.TOPIC_NUMBER, publisher.TOPIC_NUMBER, 16),
    ],
)
def test_struct_and_numpy_read_a_record_alike(fields, packer, dtype, size):
    values = [b"T" if code == "c" else 3 + at for at, (_, code) in enumerate(fields) if code[-1] != "x"]
    row = np.zeros(1, dtype)
    names = [name for name, code in fields if code[-1] != "x"]
    for name, value in zip(names, values, strict=True):
        row[name] = value
    assert row.tobytes() == packer.pack(*values)
    assert packer.size == dtype.itemsize == size


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
    with pytest.raises(UnreadableError, match=r"version 1 of the feed.*knows 2.*install"):
        read(whole[:5] + b"\x01" + whole[6:])
    with pytest.raises(UnreadableError, match="kind b'Z'"):
        read(b"Z" + whole[1:])
    for count in (-1, -2, 2**62, -(2**63)):
        with pytest.raises(UnreadableError, match="cannot hold"):
            read(whole[:40] + struct.pack("<q", count) + whole[48:])
    with pytest.raises(UnreadableError, match="at least one change"):
        read(golden("status")[:40] + bytes(8))
    with pytest.raises(UnreadableError, match="cannot hold"):
        read(b"R" + golden("depth")[1:40] + struct.pack("<q", -2))


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
