"""The trading calendar: which days the venue trades, and when its calls open and end. Data, and pure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec

from exchange.instruments import Mode
from settlement.terms import VENUE_ZONE, midnight_ns

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

VOLATILITY = "volatility"
"""The name of the calls that a breach of a collar begins."""

SECOND_NS = 10**9
"""A second, in ns."""

FIXING_BEGINS_BEFORE = timedelta(minutes=30)
"""How long before the fixing call opens trades are noted that a fixing may rest on."""

SECONDS_MAX = 3_600
"""Longest random end, extension or volatility auction: members wait for it."""

DAYS_AHEAD_MAX = 400
"""How far ahead the next step is looked for: over any holidays, and no further."""


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One call auction of a trading day; times are of the venue's zone."""

    name: str
    modes: tuple[Mode, ...]
    opens: time
    ends: time
    no_cancel: time | None = None
    fixes: bool = False

    def fault(self) -> str:
        """Return what is wrong with the call by itself, naming field, value and remedy, or nothing."""
        if not self.name or not self.name.isprintable() or self.name == VOLATILITY:
            return f"name: {self.name!r} names no call; give one of printable characters, not {VOLATILITY!r}"
        if not self.modes or "listing" in self.modes:
            modes = ", ".join(self.modes) or "none"
            return f"calls.{self.name}.modes: {modes}; give continuous, call, or both"
        moments = {"opens": self.opens, "no_cancel": self.no_cancel, "ends": self.ends}
        given = {name: moment for name, moment in moments.items() if moment is not None}
        for name, moment in given.items():
            if moment.tzinfo is not None:
                return f"calls.{self.name}.{name}: {moment}; leave the offset out, times are the venue's own"
        for (earlier, before), (later, after) in pairwise(given.items()):
            if before >= after:
                return (
                    f"calls.{self.name}.{later}: {after} is not after {earlier}, {before}; give a later time"
                )
        return ""


class Step(NamedTuple):
    """Something that the calendar comes to: at `time` (ns since 1970), on the trading day `day`.

    `call` is the call that it belongs to; of the close, the last before it.
    """

    time: int
    kind: Literal["fixing_begins", "opens", "no_cancel", "ends", "closes"]
    day: date
    call: Call


class Calendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A venue's trading days and calls, the same every day. Times are of the venue's zone."""

    weekdays: tuple[Weekday, ...]
    closes: time
    calls: tuple[Call, ...]
    holidays: tuple[date, ...] = ()
    working_days: tuple[date, ...] = ()
    random_end_seconds: int = 30
    extension_seconds: int = 120
    volatility_seconds: int = 120

    def fault(self) -> str:
        """Return what is wrong with the calendar, naming field, value and remedy; empty if nothing is."""
        if not self.weekdays and not self.working_days:
            return "weekdays: none; give at least one day on which the venue trades"
        if both := sorted({*self.holidays} & {*self.working_days}):
            return f"working_days: {both[0]} is a holiday, too; take it out of one of them"
        least = {"random_end_seconds": 0, "extension_seconds": 0, "volatility_seconds": 1}
        for name, seconds_min in least.items():
            if not seconds_min <= getattr(self, name) <= SECONDS_MAX:
                return f"{name}: {getattr(self, name)}; give {seconds_min} to {SECONDS_MAX}"
        if self.closes.tzinfo is not None:
            return f"closes: {self.closes}; leave the offset out, times are the venue's own"
        for call in self.calls:
            if fault := call.fault():
                return fault
        return self._fault_of_calls()

    def _fault_of_calls(self) -> str:
        """Return what is wrong with the calls together, or nothing."""
        names = [call.name for call in self.calls]
        for name in names:
            if names.count(name) > 1:
                return f"calls.{name}: the name is used twice; give each call its own"
        fixing = [call.name for call in self.calls if call.fixes]
        if len(fixing) != 1:
            return f"fixes: {', '.join(fixing) or 'no call'}; set it for exactly one call"
        if since_midnight(self.fixing_call.opens) < FIXING_BEGINS_BEFORE:
            return f"calls.{fixing[0]}.opens: {self.fixing_call.opens}; a call that fixes opens from 00:30 on"
        longest = timedelta(seconds=self.random_end_seconds + self.extension_seconds)
        nexts = [*((f"{call.name} opens", call.opens) for call in self.calls[1:]), ("closes", self.closes)]
        for call, (name, moment) in zip(self.calls, nexts, strict=True):
            if since_midnight(call.ends) + longest > since_midnight(moment):
                later = f"{longest.seconds} seconds later if it is put off"
                field = f"calls.{call.name}.ends: {call.ends}"
                return f"{field}, or {later}, is after {name}, {moment}; end it earlier"
        return ""

    @property
    def fixing_call(self) -> Call:
        """The call whose price is the day's fixing."""
        return next(call for call in self.calls if call.fixes)

    def is_trading_day(self, day: date) -> bool:
        """Tell whether the venue trades on `day`."""
        if day in self.working_days:
            return True
        return WEEKDAYS[day.weekday()] in self.weekdays and day not in self.holidays

    def steps(self, day: date) -> tuple[Step, ...]:
        """Return the steps of a trading day, first to last; of any other day none."""
        if not self.is_trading_day(day):
            return ()
        found = [Step(nanosecond(day, self.closes), "closes", day, self.calls[-1])]
        for call in self.calls:
            opens = nanosecond(day, call.opens)
            if call.fixes:
                begins = opens - FIXING_BEGINS_BEFORE // timedelta(microseconds=1) * 1_000
                found.append(Step(begins, "fixing_begins", day, call))
            found.append(Step(opens, "opens", day, call))
            if call.no_cancel is not None:
                found.append(Step(nanosecond(day, call.no_cancel), "no_cancel", day, call))
            found.append(Step(nanosecond(day, call.ends), "ends", day, call))
        return tuple(sorted(found, key=lambda step: step.time))

    def phase_at(self, moment: int, mode: Mode) -> Literal["closed", "pre_open", "continuous", "halted"]:
        """Return what an instrument of a mode is to do at a moment, in ns; `pre_open` stands for a call."""
        phase: Literal["closed", "pre_open", "continuous", "halted"] = "closed"
        for step in self.steps(day_of(moment)):
            if step.time > moment:
                break
            if step.kind == "closes":
                phase = "closed"
            elif mode in step.call.modes and step.kind == "opens":
                phase = "pre_open"
            elif mode in step.call.modes and step.kind == "ends":
                phase = "continuous" if mode == "continuous" and not step.call.fixes else "halted"
        return phase

    def steps_after(self, moment: int) -> Iterator[Step]:
        """Yield the steps later than `moment` (ns since 1970), for as many days as are looked ahead."""
        first = day_of(moment)
        for ahead in range(DAYS_AHEAD_MAX):
            for step in self.steps(first + timedelta(days=ahead)):
                if step.time > moment:
                    yield step


ROUND_THE_CLOCK = Calendar(weekdays=(), closes=time(), calls=())
"""What rules a venue without a calendar: no trading day ever begins or ends, and a volatility auction is
as long as usual."""


def read_calendar(text: str) -> Calendar:
    """Parse a calendar (TOML). Raises `ValueError` that names the field, the value and the remedy."""
    try:
        calendar = msgspec.convert(tomllib.loads(text), Calendar)
    except msgspec.ValidationError as error:
        message = f"{error}; mend the field"
        raise ValueError(message) from error
    except (ValueError, RecursionError) as error:  # a number too long to be one is a plain ValueError
        message = f"it is not well written: {error}; mend the line"
        raise ValueError(message) from error
    if fault := calendar.fault():
        raise ValueError(fault)
    return calendar


@cache
def standard_calendar() -> Calendar:
    """Return the calendar that ships with the exchange (`exchange/catalogue/calendar.toml`)."""
    return read_calendar(files("exchange.catalogue").joinpath("calendar.toml").read_text("utf-8"))


def day_of(moment: int) -> date:
    """Return the day of the venue's zone at `moment`, in ns since 1970."""
    return datetime.fromtimestamp(moment // SECOND_NS, VENUE_ZONE).date()


def since_midnight(moment: time) -> timedelta:
    """Return how long after midnight a time of the day is."""
    return timedelta(
        hours=moment.hour,
        minutes=moment.minute,
        seconds=moment.second,
        microseconds=moment.microsecond,
    )


def nanosecond(day: date, moment: time) -> int:
    """Return a time of a day at the venue, in ns since 1970."""
    return midnight_ns(day) + since_midnight(moment) // timedelta(microseconds=1) * 1_000
