"""Reports for people: a trading day, a programme, a provider; tables that SQL over the public views gives.

They are asked for as an analyst would ask, so that a report works beside a trading venue, and shows a
firm or a provider no more than its own SQL does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from settlement.store import statement

KindName = Literal["daily", "programme", "provider"]


class Chart(msgspec.Struct, frozen=True):
    """How a section is drawn: a bar for each `label`, a line through them, or prices over `volume`."""

    shape: Literal["bars", "line", "course"]
    label: str
    value: str
    volume: str = ""


class Section(msgspec.Struct, frozen=True):
    """One table of a report, from the statement `<kind>_<name>`; the columns `money` are in hao."""

    name: str
    title: str
    money: tuple[str, ...] = ()
    chart: Chart | None = None


class Part(NamedTuple):
    """A section and its rows, an Arrow table, as they were at one sequence."""

    section: Section
    rows: Any
    sequence: int


class Report(NamedTuple):
    """A report and what it is about: a day, a programme or a provider."""

    kind: KindName
    subject: str
    parts: tuple[Part, ...]


Ask = Callable[[str, tuple[str]], tuple[Any, int]]
"""Answers a statement with one parameter: an Arrow table, and the sequence at which it is true."""

_PRICES = ("open", "high", "low", "close", "fixing", "spread", "average_price")

SECTIONS: dict[KindName, tuple[Section, ...]] = {
    "daily": (
        Section(
            "instruments",
            "Instruments",
            ("amount", "subsidy", "fees", *_PRICES),
            Chart("bars", "instrument", "amount"),
        ),
        Section(
            "course",
            "Price and volume of the most traded instrument",
            _PRICES,
            Chart("course", "quarter", "close", "volume"),
        ),
    ),
    "programme": (
        Section("budget", "Budget", ("budget", "uncommitted", "reserved", "paid", "vested", "owed")),
        Section(
            "days",
            "Budget burn-down",
            ("paid", "paid_so_far", "budget_left"),
            Chart("line", "day", "budget_left"),
        ),
        Section("sizes", "Subsidy by size of firm", ("subsidy",), Chart("bars", "size", "subsidy")),
        Section("firms", "Subsidy by firm and provider", ("subsidy",)),
        Section("reasons", "Why it was paid", ("amount",)),
        Section("terms", "Versions of its terms"),
    ),
    "provider": (
        Section("obligations", "Obligations", chart=Chart("bars", "instrument", "open")),
        Section(
            "sales",
            "Sales",
            ("amount", "average_price", "fees", "subsidy"),
            Chart("bars", "instrument", "amount"),
        ),
        Section("redemptions", "Redemptions"),
    ),
}
"""What each kind of report tells, in its order."""


def make_report(kind: KindName, subject: str, ask: Ask) -> Report:
    """Return a report about a day (as `2026-11-05`), a programme or a provider, section by section."""
    parts = []
    for section in SECTIONS[kind]:
        rows, sequence = ask(statement(f"{kind}_{section.name}"), (subject,))
        parts.append(Part(section, rows, sequence))
    return Report(kind, subject, tuple(parts))
