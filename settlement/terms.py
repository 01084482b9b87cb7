"""What a programme promises: its terms, as the file that an office writes and the type that we read."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Literal

import msgspec

from matching.vocabulary import Size
from settlement.classes import KINDS, RATES, rate_index

VENUE_OFFSET_NS = 8 * 3600 * 10**9
"""How far the venue's clock is ahead of UTC, in ns: China's time, which knows no summer."""

VENUE_ZONE = timezone(timedelta(hours=8), "Asia/Shanghai")
"""Days and fiscal years begin at midnight of this zone."""


AMOUNT_MAX = 2**60
"""Largest amount of one act, in hao or lots: sums of several still stay within int64."""

CEILING_MAX = 1_000_000
"""Largest ceiling, in basis points: a hundred times the list price, far within int64."""

YEARS = (1971, 2200)
"""Years whose nanoseconds since 1970 stay within int64."""


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A share in basis points, for all that it names; an empty tuple or None names everything."""

    rate: int
    sizes: tuple[Literal["micro", "small", "medium", "large"], ...] = ()
    kinds: tuple[Literal["model", "agent", "compute"], ...] = ()
    domestic: bool | None = None
    filed: bool | None = None


class ProgrammeTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A programme in one fiscal year. Money in hao, caps in hao and lots, 0 lots meaning no such cap.

    The first of `rates` that fits a firm and an instrument rules; where none fits, the firm is not
    eligible. `ceiling` is how far above the list price, in basis points, the programme still pays.
    `regions` are those of a firm, by its seat or one of its districts, and `instruments` symbols; empty
    means all. `excludes` names programmes that a firm's group may not use in the same fiscal year.

    `payout` deduct: paid at the trade; reimburse: as the credits are redeemed; award: no order draws on
    it, two operators award it by measured use. `exhaustion` pro_rata, of a reimbursing programme: claims
    share the budget at year's end. `unredeemed`: what was paid for credits that expire is the firm's debt,
    or stays paid. `enrolment` listed: only members that were enrolled are eligible.
    """

    code: str
    version: int
    fiscal_year: int
    budget: int
    rates: tuple[Rate, ...]
    ceiling: int
    order_cap: int
    group_cap: int
    order_lots: int = 0
    group_lots: int = 0
    regions: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    valid_from: date
    valid_through: date
    payout: Literal["deduct", "reimburse", "award"] = "deduct"
    exhaustion: Literal["first_come", "pro_rata"] = "first_come"
    unredeemed: Literal["paid", "debt"] = "debt"
    enrolment: Literal["open", "listed"] = "open"
    source: str = ""

    def fault(self) -> str:
        """Return what is wrong with the terms, naming field, value and remedy; empty if nothing is."""
        if not self.code:
            return "code: it is blank; give the programme a name"
        bounds = {
            "version": (0, 10**6),
            "fiscal_year": YEARS,
            "budget": (1, AMOUNT_MAX),
            "ceiling": (0, CEILING_MAX),
            "order_cap": (1, AMOUNT_MAX),
            "group_cap": (1, AMOUNT_MAX),
            "order_lots": (0, AMOUNT_MAX),
            "group_lots": (0, AMOUNT_MAX),
        }
        for name, (least, most) in bounds.items():
            if not least <= getattr(self, name) <= most:
                return f"{name}: {getattr(self, name)}; give {least} to {most}"
        for rate in self.rates:
            if not 0 <= rate.rate <= 10_000:
                return f"rates: {rate.rate} basis points; give 0 to 10000"
        for day in (self.valid_from, self.valid_through):
            if not YEARS[0] <= day.year <= YEARS[1]:
                return f"valid_from, valid_through: {day}; give a year from {YEARS[0]} to {YEARS[1]}"
        if self.exhaustion == "pro_rata" and self.payout != "reimburse":
            return f"exhaustion: pro_rata with payout {self.payout}; choose reimburse, or first_come"
        if self.code in self.excludes:
            return f"excludes: {self.code} is the programme itself; leave it out"
        if self.valid_through < self.valid_from:
            return f"valid_through: {self.valid_through} is before {self.valid_from}; give a later day"
        return ""

    def rate_table(self) -> list[int]:
        """Return the rate of every class, at the place that `rate_index` names; 0 is not eligible."""
        table = [0] * RATES
        for size in Size:
            for kind, kind_name in enumerate(KINDS):
                for domestic in (False, True):
                    for filed in (False, True):
                        table[rate_index(size, kind, domestic, filed)] = next(
                            (
                                rate.rate
                                for rate in self.rates
                                if (not rate.sizes or size.name.lower() in rate.sizes)
                                and (not rate.kinds or kind_name in rate.kinds)
                                and rate.domestic in (None, domestic)
                                and rate.filed in (None, filed)
                            ),
                            0,
                        )
        return table

    def valid_ns(self) -> tuple[int, int]:
        """Return the first nanosecond at which the terms hold, and the first at which they no longer do."""
        return midnight_ns(self.valid_from), end_ns(self.valid_through)


def midnight_ns(day: date) -> int:
    """Return when `day` begins at the venue, in ns since 1970."""
    begin = datetime(day.year, day.month, day.day, tzinfo=VENUE_ZONE)
    return int(begin.timestamp()) * 1_000_000_000


def end_ns(day: date) -> int:
    """Return when `day` is over at the venue, in ns since 1970."""
    return midnight_ns(day + timedelta(days=1))
