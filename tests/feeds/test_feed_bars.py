"""Bars equal the plainest fold over all prints, whatever their interval, and go on where history ends."""

from __future__ import annotations

import itertools
import random

import pytest

from feeds.bars import MINUTE_NS, Bar, Bars
from feeds.messages import Trades, read
from feeds.records import TRADE_PRINT, TradePrint
from tests.feeds.flow import SECOND, START, Flow, Venue

NOON = START - START % MINUTE_NS


def message(time: int, *prints: tuple[int, ...], instrument: int = 0) -> Trades:
    """Return prints as (trade, price, lots), and what was paid and whether it is subsidised, if it is."""
    rows = [
        TRADE_PRINT.pack(trade, trade, price, lots, *(paid or (0,))[:1], 0, *(paid or (0, 0))[1:])
        for trade, price, lots, *paid in prints
    ]
    return Trades(instrument, 1, 1, 1, time, memoryview(b"".join(rows)))


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


def test_what_programmes_paid_and_the_lots_of_it():
    bars = Bars()
    bars.take(message(NOON, (1, 50, 2, 30, 1), (2, 51, 4)))
    bars.take(message(NOON, (3, 52, 8, 0, 1), (4, 50, 16, 100, 1)))
    bar = bars.current(0)
    assert bar is not None
    assert (bar.volume, bar.subsidised_volume, bar.paid) == (30, 18, 130)


def test_a_bar_of_history_goes_on_with_what_it_has_not():
    bars = Bars()
    history = Bar(0, NOON, 50, 53, 50, 51, 10, 510, 4, subsidised_volume=3, paid=20)
    bars.seed(history, last_trade=7)
    assert bars.current(0) == history
    assert bars.take(message(NOON + SECOND, (7, 99, 99), (8, 49, 2, 5, 1))) == []
    grown = Bar(0, NOON, 50, 53, 49, 49, 12, 608, 5, subsidised_volume=5, paid=25)
    assert bars.current(0) == grown
    assert bars.take(message(NOON + MINUTE_NS, (9, 60, 1))) == [grown]


def test_a_bar_of_history_in_which_nothing_more_happens_is_told_as_it_was():
    bars = Bars()
    history = Bar(0, NOON, 50, 53, 50, 51, 10, 510, 4)
    bars.seed(history, last_trade=7)
    assert bars.close(NOON + MINUTE_NS) == [history]
    assert bars.take(message(NOON + MINUTE_NS, (7, 51, 1))) == []


def test_a_bar_of_another_interval_is_no_seed():
    with pytest.raises(AssertionError, match="is none of"):
        Bars(3600 * SECOND).seed(Bar(0, 90 * SECOND, 1, 1, 1, 1, 1, 1, 1))


def test_an_interval_of_no_length_is_none():
    with pytest.raises(AssertionError, match="an interval of 0 ns"):
        Bars(0)


@pytest.mark.parametrize("interval_ns", [SECOND, MINUTE_NS, 3600 * SECOND])
def test_bars_equal_a_naive_fold(seed, scale, interval_ns):
    venue, bars, chance = Venue(), Bars(interval_ns), random.Random(seed)
    told: list[Bar] = []
    everything = []
    for commands in Flow(seed).batches(600 * scale, largest=10):
        frame = venue.play(commands, passes_ns=chance.choice([0, SECOND, 7 * SECOND]))
        for trades in map(read, frame.published):
            if isinstance(trades, Trades):
                told += bars.take(trades)
                everything += [(trades.instrument, trades.time, one) for one in trades.prints]
        if chance.random() < 0.05:
            told += bars.close(frame.time)
    told += bars.close(venue.time + interval_ns)
    assert len(everything) > 20
    assert told
    assert sorted({bar[:2]: bar for bar in told}.values()) == naive(everything, interval_ns)


def naive(everything: list[tuple[int, int, TradePrint]], interval_ns: int) -> list[Bar]:
    def interval(row: tuple[int, int, TradePrint]) -> tuple[int, int]:
        return row[0], row[1] // interval_ns * interval_ns

    bars = []
    for (instrument, start), rows in itertools.groupby(sorted(everything, key=interval), interval):
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
