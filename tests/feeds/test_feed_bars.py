"""One-minute bars equal the plainest fold over all prints."""

from __future__ import annotations

import itertools
import random

from feeds.bars import MINUTE_NS, Bar, Bars
from feeds.messages import TradePrint, Trades, read
from tests.feeds.flow import SECOND, START, Flow, Venue

NOON = START - START % MINUTE_NS


def message(time: int, *prints: tuple[int, int, int], instrument: int = 0) -> Trades:
    rows = tuple(TradePrint(trade, trade, price, lots, 0) for trade, price, lots in prints)
    return Trades(instrument, 1, 1, 1, time, rows)


def test_a_minute():
    bars = Bars()
    assert bars.take(message(NOON, (1, 50, 2))) == []
    assert bars.take(message(NOON + 59 * SECOND, (2, 70, 1), (3, 40, 1), (4, 60, 3))) == []
    bar = Bar(0, NOON, 50, 70, 40, 60, volume=7, amount=100 + 70 + 40 + 180, trades=4)
    assert bars.current(0) == bar
    assert bars.take(message(NOON + MINUTE_NS, (5, 61, 1))) == [bar]
    assert bars.current(0) == Bar(0, NOON + MINUTE_NS, 61, 61, 61, 61, 1, 61, 1)
    assert bars.current(1) is None


def test_amounts_beyond_64_bits_stay_exact():
    bars = Bars()
    bars.take(message(NOON, (1, 10**15, 2304), (2, 10**15, 2304), (3, 10**15, 4611)))
    bars.take(message(NOON, *((4 + at, 10**15, 2305) for at in range(10))))
    bar = bars.current(0)
    assert bar is not None
    assert bar.amount == 10**15 * (2304 * 2 + 4611 + 23050) > 2**64


def test_a_print_that_comes_twice_counts_once():
    bars = Bars()
    bars.take(message(NOON, (1, 50, 2), (2, 51, 1)))
    assert bars.take(message(NOON, (1, 50, 2), (2, 51, 1))) == []
    bars.take(message(NOON, (2, 51, 1), (3, 52, 1)))
    assert bars.current(0) == Bar(0, NOON, 50, 52, 50, 52, 4, 203, 3)


def test_time_ends_a_minute_once():
    bars = Bars()
    bars.take(message(NOON, (1, 50, 2)))
    bars.take(message(NOON + 2 * MINUTE_NS, (2, 50, 2), instrument=1))
    assert bars.close(NOON + MINUTE_NS - 1) == []
    assert [bar.instrument for bar in bars.close(NOON + MINUTE_NS)] == [0]
    assert bars.close(NOON + MINUTE_NS) == []
    assert bars.take(message(NOON + MINUTE_NS, (3, 51, 1))) == []


def test_a_bar_that_was_told_too_early_is_told_again():
    bars = Bars()
    bars.take(message(NOON, (1, 50, 2)))
    assert [bar.trades for bar in bars.close(NOON + MINUTE_NS)] == [1]
    bars.take(message(NOON + 1, (2, 51, 2)))
    assert [bar.trades for bar in bars.close(NOON + MINUTE_NS)] == [2]


def test_bars_equal_a_naive_fold(seed, scale):
    venue, bars, chance = Venue(), Bars(), random.Random(seed)
    told: list[Bar] = []
    everything = []
    for commands in Flow(seed).batches(2_000 * scale, largest=10):
        frame = venue.play(commands, passes_ns=chance.choice([0, SECOND, 7 * SECOND]))
        for trades in map(read, frame.published):
            if isinstance(trades, Trades):
                told += bars.take(trades)
                everything += [(trades.instrument, trades.time, one) for one in trades.prints]
        if chance.random() < 0.05:
            told += bars.close(frame.time)
    told += bars.close(venue.time + MINUTE_NS)
    assert len(told) > 50
    assert sorted({bar[:2]: bar for bar in told}.values()) == naive(everything)


def naive(everything: list[tuple[int, int, TradePrint]]) -> list[Bar]:
    def minute(row: tuple[int, int, TradePrint]) -> tuple[int, int]:
        return row[0], row[1] // MINUTE_NS * MINUTE_NS

    bars = []
    for (instrument, start), rows in itertools.groupby(sorted(everything, key=minute), minute):
        prints = [row[2] for row in rows]
        prices = [one.price for one in prints]
        bars.append(
            Bar(
                instrument,
                start,
                prices[0],
                max(prices),
                min(prices),
                prices[-1],
                sum(one.quantity for one in prints),
                sum(one.price * one.quantity for one in prints),
                len(prints),
            )
        )
    return bars
