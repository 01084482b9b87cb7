"""The trading calendar: what a file may say, which days are traded, and what comes when."""

from __future__ import annotations

from datetime import date, datetime, time
from itertools import islice

import msgspec
import pytest

from exchange.calendar import (
    ROUND_THE_CLOCK,
    Calendar,
    Call,
    day_of,
    nanosecond,
    read_calendar,
    standard_calendar,
)
from settlement.terms import VENUE_ZONE

FILE = """
weekdays = ["mon", "tue", "wed", "thu", "fri"]
holidays = [2026-10-01, 2026-10-02]
working_days = [2026-10-10]
random_end_seconds = 30
extension_seconds = 120
volatility_seconds = 60
closes = 15:30:00

[[calls]]
name = "opening"
modes = ["continuous", "call"]
opens = 09:15:00
no_cancel = 09:25:00
ends = 09:30:00

[[calls]]
name = "closing"
modes = ["continuous"]
opens = 15:00:00
ends = 15:05:00
fixes = true
"""

OPENING = Call(
    name="opening",
    modes=("continuous", "call"),
    opens=time(9, 15),
    no_cancel=time(9, 25),
    ends=time(9, 30),
)
CLOSING = Call(name="closing", modes=("continuous",), opens=time(15), ends=time(15, 5), fixes=True)
CALENDAR = Calendar(
    weekdays=("mon", "tue", "wed", "thu", "fri"),
    holidays=(date(2026, 10, 1), date(2026, 10, 2)),
    working_days=(date(2026, 10, 10),),
    volatility_seconds=60,
    closes=time(15, 30),
    calls=(OPENING, CLOSING),
)


def at(year, month, day, hour=0, minute=0):
    """Return a moment of the venue's zone, in ns since 1970."""
    return int(datetime(year, month, day, hour, minute, tzinfo=VENUE_ZONE).timestamp()) * 10**9


def as_told(steps):
    """Return steps as a reader would note them."""
    return [
        (
            datetime.fromtimestamp(step.time / 10**9, VENUE_ZONE).strftime("%m-%d %H:%M"),
            step.kind,
            step.call.name,
        )
        for step in steps
    ]


def test_a_file_is_read_as_it_is_written():
    assert read_calendar(FILE) == CALENDAR


def test_what_is_left_out_is_as_usual():
    calendar = read_calendar(FILE.replace("random_end_seconds = 30\nextension_seconds = 120\n", ""))
    assert calendar == CALENDAR


def test_the_standard_calendar_holds():
    assert standard_calendar().fault() == ""
    assert standard_calendar().is_trading_day(date(2026, 1, 5))


def test_a_calendar_travels_in_the_journal():
    packed = msgspec.msgpack.encode(CALENDAR)
    assert msgspec.msgpack.decode(packed, type=Calendar) == CALENDAR


@pytest.mark.parametrize(
    ("written", "instead", "told"),
    [
        ('"mon", ', '"monday", ', "'monday'"),
        ("closes = 15:30:00", "", "closes"),
        ("closes = 15:30:00", 'closes = "late"', "closes"),
        ("closes = 15:30:00", "closes = 15:30", "line 8"),
        ("closes = 15:30:00", "closes = 15:30:00\nlunch = 12:00:00", "lunch"),
        ('weekdays = ["mon", "tue", "wed", "thu", "fri"]', "weekdays = []\nopen = true", "open"),
        ("working_days = [2026-10-10]", "working_days = [2026-10-01]", "2026-10-01 is a holiday, too"),
        ("random_end_seconds = 30", "random_end_seconds = -1", "give 0 to 3600"),
        ("extension_seconds = 120", "extension_seconds = 3601", "give 0 to 3600"),
        ("volatility_seconds = 60", "volatility_seconds = 0", "give 1 to 3600"),
        ('name = "opening"', 'name = ""', "names no call"),
        ('name = "opening"', 'name = "volatility"', "names no call"),
        ('name = "opening"', 'name = "closing"', "the name is used twice"),
        ('modes = ["continuous", "call"]', "modes = []", "give continuous, call, or both"),
        ('modes = ["continuous", "call"]', 'modes = ["listing"]', "listing; give continuous"),
        ("opens = 09:15:00", "opens = 09:30:00", "no_cancel: 09:25:00 is not after opens, 09:30:00"),
        ("no_cancel = 09:25:00", "no_cancel = 09:30:00", "ends: 09:30:00 is not after no_cancel, 09:30:00"),
        ("no_cancel = 09:25:00", "no_cancel = 09:10:00", "no_cancel: 09:10:00 is not after opens, 09:15:00"),
        ("fixes = true", "fixes = false", "fixes: no call; set it for exactly one"),
        ("ends = 09:30:00", "ends = 09:30:00\nfixes = true", "fixes: opening, closing; set it for"),
        ("ends = 09:30:00", "ends = 14:57:31", "opening.ends: 14:57:31, or 150 seconds later"),
        ("opens = 15:00:00", "opens = 09:20:00", "opening.ends: 09:30:00"),
        ("ends = 15:05:00", "ends = 15:27:31", "is after closes, 15:30:00"),
        ("closes = 15:30:00", "closes = 12:00:00", "is after closes, 12:00:00"),
    ],
)
def test_a_fault_is_told_with_its_remedy(written, instead, told):
    assert written in FILE
    with pytest.raises(ValueError, match=r"(mend|give|take|leave|set|end) ") as raised:
        read_calendar(FILE.replace(written, instead, 1))
    assert told in str(raised.value)


def test_a_fixing_call_leaves_half_an_hour_of_its_day_before_it():
    early = msgspec.structs.replace(CLOSING, opens=time(0, 29), ends=time(0, 40))
    calendar = msgspec.structs.replace(CALENDAR, calls=(early,))
    assert "00:30" in calendar.fault()


def test_a_venue_that_never_trades_is_no_venue():
    idle = msgspec.structs.replace(CALENDAR, weekdays=(), working_days=())
    assert idle.fault().startswith("weekdays: none")


def test_times_are_the_venues_own():
    packed = msgspec.json.encode(CALENDAR).replace(b'"15:30:00"', b'"15:30:00+02:00"')
    calendar = msgspec.json.decode(packed, type=Calendar)
    assert calendar.fault().startswith("closes: 15:30:00+02:00; leave the offset out")
    packed = msgspec.json.encode(CALENDAR).replace(b'"09:15:00"', b'"09:15:00Z"')
    assert "leave the offset out" in msgspec.json.decode(packed, type=Calendar).fault()


@pytest.mark.parametrize(
    ("day", "trades"),
    [
        (date(2026, 9, 30), True),
        (date(2026, 10, 1), False),
        (date(2026, 10, 3), False),
        (date(2026, 10, 5), True),
        (date(2026, 10, 10), True),
        (date(2026, 10, 11), False),
    ],
)
def test_which_days_are_traded(day, trades):
    assert CALENDAR.is_trading_day(day) is trades
    assert bool(CALENDAR.steps(day)) is trades


def test_the_steps_of_a_day():
    assert as_told(CALENDAR.steps(date(2026, 9, 30))) == [
        ("09-30 09:15", "opens", "opening"),
        ("09-30 09:25", "no_cancel", "opening"),
        ("09-30 09:30", "ends", "opening"),
        ("09-30 14:30", "fixing_begins", "closing"),
        ("09-30 15:00", "opens", "closing"),
        ("09-30 15:05", "ends", "closing"),
        ("09-30 15:30", "closes", "closing"),
    ]


def test_the_next_steps_pass_over_days_without_trading():
    steps = islice(CALENDAR.steps_after(at(2026, 9, 30, 15, 5)), 2)
    assert as_told(steps) == [("09-30 15:30", "closes", "closing"), ("10-05 09:15", "opens", "opening")]


def test_a_step_is_never_after_itself():
    for step in CALENDAR.steps(date(2026, 9, 30)):
        assert next(CALENDAR.steps_after(step.time)).time > step.time
        assert next(CALENDAR.steps_after(step.time - 1)) == step


def test_round_the_clock_nothing_comes():
    assert list(ROUND_THE_CLOCK.steps_after(at(2026, 1, 1))) == []


def test_days_are_the_venues():
    midnight = nanosecond(date(2026, 3, 1), time())
    assert midnight == at(2026, 3, 1)
    assert (day_of(midnight - 1), day_of(midnight)) == (date(2026, 2, 28), date(2026, 3, 1))
    assert nanosecond(date(2026, 3, 1), time(9, 30, 0, 250_000)) == at(2026, 3, 1, 9, 30) + 250_000_000


@pytest.mark.parametrize(
    ("hour", "minute", "phase"),
    [
        (9, 0, "closed"),
        (9, 20, "pre_open"),
        (10, 0, "continuous"),
        (15, 2, "pre_open"),
        (15, 6, "halted"),
        (15, 30, "closed"),
    ],
)
def test_a_calendar_tells_what_an_instrument_is_to_do(hour, minute, phase):
    moment = nanosecond(date(2026, 1, 5), time(hour, minute))
    assert standard_calendar().phase_at(moment, "continuous") == phase
    assert standard_calendar().phase_at(moment, "listing") == "closed"
