"""Bars of one minute: what the trades say, whatever flushes they came in."""

from __future__ import annotations

import random
from datetime import datetime

import numpy as np
import pytest

from matching.layout import EVENT
from settlement.layout import EFFECT
from settlement.rows import BustRow, Happened
from settlement.store import Store
from tests.settlement.tape import ANN, BOB, CAT, GLM, Tape, a_day, founded, rows, settle

NOTHING = (np.zeros(0, EVENT), np.zeros(0, EFFECT))

FROM_TRADES = """
select
    instrument, date_trunc('minute', time) as start, first(price order by trade),
    max(price), min(price), last(price order by trade), sum(quantity)::bigint,
    sum(amount)::bigint, count(*), coalesce(sum(quantity) filter (where subsidy > 0), 0)::bigint,
    sum(subsidy)::bigint, sum(amount) / sum(quantity),
    coalesce(sum(quantity) filter (where subsidy > 0), 0) / sum(quantity)
from trades
where not busted
group by instrument, start
order by all
"""

STARTS = {
    "bars_1s": "date_trunc('second', time)",
    "bars_1m": "date_trunc('minute', time)",
    "bars_5m": "make_timestamp(epoch_us(time) // 300000000 * 300000000)",
    "bars_1h": "date_trunc('hour', time)",
    "bars_1d": "(time + interval 8 hours)::date::timestamp - interval 8 hours",
}
"""When the bar of a trade begins, by its view."""


def from_trades(view: str) -> str:
    """Return a query for the bars of a view, made of the trades alone."""
    return FROM_TRADES.replace("date_trunc('minute', time)", STARTS[view])


def at(minute: int) -> datetime:
    return datetime(2026, 11, 5, 9, minute)  # noqa: DTZ001 - the column is UTC and bears no zone


def test_a_bar_is_what_was_traded_in_its_minute():
    store, tape = founded()
    settle(store, a_day(tape))
    assert rows(store, "from bars_1m order by start, instrument") == [
        (
            "QWEN3-MAX",
            at(0),
            110_000,
            110_000,
            110_000,
            110_000,
            60,
            6_600_000,
            3,
            40,
            1_320_000,
            110_000,
            2 / 3,
        ),
        ("QWEN3-MAX", at(1), 109_000, 109_000, 109_000, 109_000, 5, 545_000, 1, 0, 0, 109_000, 0),
        ("GLM-5", at(2), 80_000, 80_000, 80_000, 80_000, 8, 640_000, 1, 0, 0, 80_000, 0),
    ]
    assert rows(
        store, "select instrument, start, open, close, volume, trades, vwap from bars_1d order by 1"
    ) == [
        ("GLM-5", datetime(2026, 11, 4, 16), 80_000, 80_000, 8, 1, 80_000),  # noqa: DTZ001
        ("QWEN3-MAX", datetime(2026, 11, 4, 16), 110_000, 109_000, 65, 4, 7_145_000 / 65),  # noqa: DTZ001
    ]


def test_the_last_minute_is_open_and_its_bar_is_there():
    store, tape = founded()
    for price in (100, 300, 200):
        tape.trade(tape.buy(ANN, 1, price), tape.sell(BOB, 1, price), 1, price)
        settle(store, tape)
        tape.wait(1)
    assert rows(store, "select open, high, low, close, trades from bars_1m") == [(100, 300, 100, 200, 3)]
    assert rows(store, "select count(*) from base.bars") == [(0,)]
    tape.wait(60)
    tape.trade(tape.buy(ANN, 1, 50), tape.sell(BOB, 1, 50), 1, 50)
    settle(store, tape)
    assert rows(store, "select open, high, low, close, trades from bars_1m order by start") == [
        (100, 300, 100, 200, 3),
        (50, 50, 50, 50, 1),
    ]
    assert rows(store, "select count(*) from base.bars") == [(1,)]


def test_many_trades_at_one_moment_open_and_close_by_their_number():
    store, tape = founded()
    for price in (200, 100, 300):
        tape.trade(tape.buy(ANN, 1, price), tape.sell(BOB, 1, price), 1, price)
    settle(store, tape)
    assert rows(store, "select open, close from bars_1m") == [(200, 300)]


@pytest.mark.parametrize("flushed_every", [1, 7, 1000])
def test_bars_agree_with_the_trades_however_they_were_flushed(seed, flushed_every, tmp_path):
    chance = random.Random(seed)
    path = tmp_path / "settlement.duckdb"
    store, tape = founded(path)
    for number in range(120):
        tape.wait(chance.choice([0, 0, 1, 20, 61, 1500]))
        price, quantity, instrument = (
            chance.randrange(100, 200),
            chance.randrange(1, 9),
            chance.choice([0, GLM]),
        )
        programme = chance.choice([-1, 0])
        bid = tape.buy(chance.choice([ANN, CAT]), quantity, price, instrument=instrument, programme=programme)
        offer = tape.sell(BOB, quantity, price, instrument=instrument)
        tape.trade(offer, bid, quantity, price, subsidy=0 if programme < 0 else chance.choice([0, 5]))
        if number % flushed_every == 0:
            settle(store, tape)
        if number == 60:
            store.close()
            store = Store.open(path)
    settle(store, tape)
    bust = tuple(BustRow(tape.sequence + 1, tape.time, trade, "OPS", "a slip") for trade in (1, 50, 120))
    tape.sequence += 1
    store.add(*NOTHING, Happened(busts=bust))
    store.flush(tape.mark(), tape.programmes())
    for view in STARTS:
        bars = rows(store, f"from {view} order by all")
        assert bars == rows(store, from_trades(view)), view
        assert len(bars) >= 4
    store.close()


def test_a_venues_day_begins_at_midnight_of_its_zone():
    store, tape = founded()
    tape.wait(7 * 3_600 - 1)  # 15:59:59 UTC, a second before midnight
    for price, wait in ((100, 1), (200, 86_399), (300, 1), (400, 0)):
        tape.trade(tape.buy(ANN, 1, price), tape.sell(BOB, 1, price), 1, price)
        tape.wait(wait)
    settle(store, tape)
    days = "select strftime(start, '%d %H:%M'), open, close, trades from bars_1d order by start"
    assert rows(store, days) == [
        ("04 16:00", 100, 100, 1),
        ("05 16:00", 200, 300, 2),
        ("06 16:00", 400, 400, 1),
    ]


def test_no_trades_no_bars():
    store, tape = founded()
    tape.buy(ANN, 1, 100)
    settle(store, tape)
    assert rows(store, "from bars_1m") == []
    assert Tape().trades == 0
