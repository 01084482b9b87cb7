"""The fixing: which rung holds, what it rests on, and that it is found from what the engine has seen."""

from __future__ import annotations

from datetime import date, time

import pytest

from exchange.calendar import Calendar, Call
from exchange.fixing import Auctioned, Fixed, Seen, Traded, blank_fixing, fixing_of
from exchange.protocol.acts import BeginFixing, FixPrices, SetCalendar, SetPhase, SetState
from exchange.registry import CALENDAR
from matching.vocabulary import RejectReason, Side
from settlement.rows import FixingRow
from tests.engine.market import Step, Venue, act_step

DAY = date(2026, 11, 23)
LATER = 2**62

CALENDAR_OF_ONE_CALL = Calendar(
    weekdays=("mon", "tue", "wed", "thu", "fri"),
    closes=time(15, 30),
    calls=(
        Call(name="noon", modes=("continuous",), opens=time(12), ends=time(12, 5)),
        Call(name="closing", modes=("continuous",), opens=time(15), ends=time(15, 5), fixes=True),
    ),
)


def fixed(**seen) -> FixingRow:
    return fixing_of(blank_fixing(DAY, 0, 1, 1), Seen(tick=10, list_price=1_000, **seen))


def inputs(row: FixingRow) -> dict[str, object]:
    """Return what a fixing rests on, of that what is there."""
    names = ("auction_quantity", "trades", "quantity", "outliers", "median", "bid", "ask", "carried_from")
    return {name: getattr(row, name) for name in names if getattr(row, name) is not None}


# --- rungs -------------------------------------------------------------------------------------


def test_the_auction_comes_first():
    trades = {1_000: Traded(5, 50)}
    row = fixed(auction=Auctioned(1_200, 7), trades=trades, bid=1_000, ask=1_010)
    assert (row.rung, row.price, row.stale) == ("closing_auction", 1_200, False)
    assert inputs(row) == {"auction_quantity": 7}


@pytest.mark.parametrize(
    ("trades", "price", "outliers", "median"),
    [
        ({1_000: (2, 10), 1_010: (1, 10)}, 1_010, 0, 1_000),  # 1,005: the higher of two
        ({1_000: (2, 11), 1_010: (1, 10)}, 1_000, 0, 1_000),
        ({1_000: (3, 30), 1_100: (1, 30)}, 1_050, 0, 1_000),  # 10 % away is not further
        ({1_000: (3, 30), 1_110: (2, 29), 890: (1, 1)}, 1_000, 3, 1_000),
        ({10: (1, 1), 20: (1, 1), 1_000: (1, 1)}, 20, 2, 20),
    ],
)
def test_the_last_half_hour_is_weighted_without_outliers(trades, price, outliers, median):
    row = fixed(trades={at: Traded(*traded) for at, traded in trades.items()}, bid=10, ask=10)
    assert (row.rung, row.price, row.stale) == ("last_half_hour", price, False)
    assert inputs(row) == {
        "trades": sum(count for count, _ in trades.values()),
        "quantity": sum(lots for _, lots in trades.values()),
        "outliers": outliers,
        "median": median,
    }


@pytest.mark.parametrize(
    ("bid", "ask", "price"), [(1_000, 1_100, 1_050), (990, 1_000, 990), (1_000, 1_000, 1_000)]
)
def test_quotes_that_are_near_each_other_make_a_price(bid, ask, price):
    row = fixed(bid=bid, ask=ask, trades={900: Traded(2, 5)})
    assert (row.rung, row.price, row.stale) == ("quotes", price, False)
    assert inputs(row) == {"trades": 2, "quantity": 5, "bid": bid, "ask": ask}


@pytest.mark.parametrize(("bid", "ask"), [(0, 0), (1_000, 0), (0, 1_000), (1_000, 1_110), (1_010, 1_000)])
def test_without_them_the_fixing_before_is_carried_on(bid, ask):
    quoted = {name: price for name, price in (("bid", bid), ("ask", ask)) if price}
    row = fixed(bid=bid, ask=ask, before=Fixed(date(2026, 11, 20), 777))
    assert (row.rung, row.price, row.stale) == ("carried", 777, True)
    assert inputs(row) == quoted | {"carried_from": date(2026, 11, 20)}
    row = fixed(bid=bid, ask=ask)
    assert (row.rung, row.price, row.stale) == ("carried", 1_000, True)
    assert inputs(row) == quoted


# --- what the engine has seen ------------------------------------------------------------------


@pytest.fixture
def venue() -> Venue:
    """A venue with a calendar, whose fixing is begun."""
    venue = Venue()
    venue.decide(SetCalendar(CALENDAR_OF_ONE_CALL))
    venue.give("ANN", 1, "QWEN", 500)  # too early to count
    venue.sign(BeginFixing(DAY), CALENDAR)
    return venue


def fixings(venue: Venue, day: date = DAY) -> dict[str, FixingRow]:
    """Let the venue fix its prices."""
    outcome = venue.play(act_step(FixPrices(day), venue.time))
    assert [result.reason for result in outcome.acts] == [RejectReason.NONE]
    rows = {venue.engine.registry.instruments[row.instrument].symbol: row for row in outcome.happened.fixings}
    markets = venue.engine.core.book.markets
    assert all(markets[row.instrument]["reference"] == row.price for row in rows.values())
    return rows


def test_trades_count_from_the_beginning_until_the_fixing_call_opens(venue):
    for price in (1_010, 1_020, 1_030):
        venue.give("ANN", 1, "QWEN", price)
    venue.set_phase("QWEN", "pre_open", call="noon", until=LATER)
    venue.sell("YUN", 2, "QWEN", 1_060)
    venue.buy("ANN", 2, "QWEN", 1_060)
    venue.set_phase("QWEN", "auction")  # not the one that fixes: its trades are trades
    venue.set_phase("QWEN", "pre_open", call="closing", until=LATER)
    venue.set_phase("QWEN", "auction")
    venue.decide(SetPhase("QWEN", "continuous"))
    venue.give("ANN", 9, "QWEN", 1_000)  # too late
    row = fixings(venue)["QWEN"]
    assert (row.rung, row.price) == ("last_half_hour", 1_040)  # 5,180 : 5 = 1,036
    assert inputs(row) == {"trades": 4, "quantity": 5, "outliers": 0, "median": 1_030}
    assert (row.sequence, row.time) == (venue.engine.sequence, venue.time)


def test_nobody_makes_a_price_with_himself(venue):
    for _ in range(3):
        venue.sell("YUN", 1, "QWEN", 9_990)
        assert venue.buy("YUN", 1, "QWEN", 9_990).trades
    row = fixings(venue)["QWEN"]
    assert (row.rung, row.price) == ("carried", 1_000)


def test_the_fixing_calls_auction_makes_the_price(venue):
    venue.set_phase("QWEN", "pre_open", call="closing", until=LATER)
    venue.sell("YUN", 3, "QWEN", 1_070)
    venue.sell("YUN", 3, "QWEN", 1_070)
    venue.buy("ANN", 5, "QWEN", 1_070)
    venue.set_phase("QWEN", "no_cancel", call="closing", until=LATER)
    venue.set_phase("QWEN", "auction")
    row = fixings(venue)["QWEN"]
    assert (row.rung, row.price, row.auction_quantity) == ("closing_auction", 1_070, 5)


def test_quotes_rest_at_the_fixing_and_the_list_price_stands_in(venue):
    venue.buy("ANN", 1, "QWEN", 1_000)
    venue.sell("YUN", 1, "QWEN", 1_050)
    venue.buy("ANN", 1, "GPT", 2_000)
    rows = fixings(venue)
    assert (rows["QWEN"].rung, rows["QWEN"].price) == ("quotes", 1_020)
    assert (rows["GPT"].rung, rows["GPT"].price, rows["GPT"].carried_from) == ("carried", 2_500, None)
    venue.sign(BeginFixing(date(2026, 11, 24)), CALENDAR)
    venue.cancel_all("ANN")
    rows = fixings(venue, date(2026, 11, 24))
    assert (rows["QWEN"].rung, rows["QWEN"].price, rows["QWEN"].carried_from) == ("carried", 1_020, DAY)


def test_only_what_is_listed_is_fixed(venue):
    venue.decide(SetState("GPT", "suspended"))
    assert set(fixings(venue)) == {"QWEN", "A910B", "H100"}


def test_without_a_calendar_the_last_auction_makes_the_price():
    venue = Venue()
    venue.decide(BeginFixing(DAY))
    for price in (1_000, 1_100):
        venue.set_phase("QWEN", "pre_open")
        venue.sell("YUN", 1, "QWEN", price)
        venue.buy("ANN", 1, "QWEN", price)
        venue.set_phase("QWEN", "auction")
    row = fixings(venue)["QWEN"]
    assert (row.rung, row.price, row.auction_quantity) == ("closing_auction", 1_100, 1)


def test_a_day_is_fixed_once_and_days_follow_each_other(venue):
    registry = venue.engine.registry
    assert (registry.fixing_day, registry.fixed_day) == (DAY, None)
    assert venue.decide(BeginFixing(DAY)) == RejectReason.ALREADY_EXISTS
    assert venue.decide(FixPrices(date(2026, 11, 24))) == RejectReason.CALENDAR_INVALID
    fixings(venue)
    assert (registry.fixing_day, registry.fixed_day) == (None, DAY)
    assert venue.decide(FixPrices(DAY)) == RejectReason.CALENDAR_INVALID
    assert venue.decide(BeginFixing(DAY)) == RejectReason.ALREADY_EXISTS
    assert venue.decide(BeginFixing(date(2026, 11, 25))) == RejectReason.NONE
    assert venue.decide(BeginFixing(date(2026, 11, 26))) == RejectReason.NONE  # one that was never ended
    assert registry.fixing_day == date(2026, 11, 26)


def test_what_is_noted_is_part_of_the_state(venue):
    for noted in (venue.engine.notes.trades, venue.engine.notes.auctions, venue.engine.notes.fixed):
        venue.give("ANN", 1, "QWEN", 1_000)
        venue.engine.notes.auctions[0] = Auctioned(1_000, 1)
        venue.engine.notes.fixed[0] = Fixed(DAY, 1_000)
        before = venue.engine.state_hash()
        noted.clear()
        assert venue.engine.state_hash() != before


def test_how_a_batch_is_cut_changes_no_fixing():
    rows = []
    for size in (1, 100):
        venue = Venue()
        venue.decide(BeginFixing(DAY))
        steps = [Step(venue.new("YUN", Side.SELL, 1, "QWEN", 1_000 + 10 * nth)) for nth in range(4)]
        steps += [Step(venue.new("ANN", Side.BUY, 1, "QWEN", 1_030)) for _ in range(4)]
        steps.append(act_step(FixPrices(DAY), venue.time))
        cut = [steps[start : start + size] for start in range(0, len(steps), size)]
        rows.append([venue.play(*batch).happened.fixings for batch in cut][-1])
    assert rows[0] == rows[1]
    assert rows[0][0].trades == 4
