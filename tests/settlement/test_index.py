"""What happened to instruments, and the index of a tier: the manual's example, and what it leaves open."""

from __future__ import annotations

import math
import re
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from exchange.fixing import blank_fixing
from matching.layout import EVENT
from settlement.layout import EFFECT
from settlement.rows import Happened, InstrumentRow
from settlement.store import Store, Watermark
from tests.settlement.tape import NINE, Tape, founding, rows

PAGE = Path(__file__).resolve().parents[2] / "docs" / "manual" / "prices.md"
NOTHING = (np.zeros(0, EVENT), np.zeros(0, EFFECT))
DAY_NS = 86_400_000_000_000
DAYS = [date(2026, 11, 4) + timedelta(days=number) for number in range(4)]
MODEL = founding(Tape()).instruments[0]
EVENTS = "select instrument, event, factor from instrument_events order by sequence, instrument, event"
INDEX = "select day, tier, level, change, constituents, stale from tier_index order by tier, day"


class Market:
    """Instruments as acts tell of them, and their fixings, a command each."""

    def __init__(self) -> None:
        self.store = Store.open()
        self.sequence = 0
        self.known: dict[str, InstrumentRow] = {}

    def tell(self, name: str, day: int = 0, **news: object) -> None:
        """List an instrument, or change something of it."""
        self.sequence += 1
        known = self.known.get(name) or replace(MODEL, instrument=name, index=len(self.known))
        row = replace(
            known, sequence=self.sequence, time=NINE + day * DAY_NS, who="OPS", why="a test", **news
        )
        self.known[name] = row
        self._keep(Happened(instruments=(row,)))

    def fix(self, day: int, *, stale: tuple[str, ...] = (), **prices: int) -> None:
        """Fix prices of a day, in hao."""
        self.sequence += 1
        fixings = []
        for name, price in prices.items():
            index = self.known[name].index
            row = blank_fixing(DAYS[day], index, self.sequence, NINE)
            row = replace(row, price=price, stale=name in stale)
            fixings.append(row)
        self._keep(Happened(fixings=tuple(fixings)))

    def _keep(self, happened: Happened) -> None:
        self.store.add(*NOTHING, happened)
        self.store.flush(Watermark(sequence=self.sequence), [])

    def levels(self) -> list[tuple[object, ...]]:
        """Return the days' levels, rounded, and how many models count."""
        return [(round(float(str(row[2])), 4), row[4], row[5]) for row in rows(self.store, INDEX)]


def tables_of_the_page() -> list[list[list[str]]]:
    """Return the tables of the section on the index, as their cells."""
    text = PAGE.read_text("utf-8").split("## The index of a tier")[1].split("\n## ")[0]
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()] for table in found
    ]


def test_the_example_of_the_manual_is_what_the_store_says():
    (days, _, *models), (_, _, *told) = tables_of_the_page()
    text = " ".join(PAGE.read_text("utf-8").split())
    weights = re.search(
        r"from (\d+) \(input\), (\d+) \(cached\) and (\d+) \(output\) .*? to (\d+), (\d+) and (\d+)", text
    )
    assert weights is not None
    before, after = (
        dict(zip(WEIGHTS, map(int, part), strict=True))
        for part in (weights.groups()[:3], weights.groups()[3:])
    )
    market = Market()
    for number, day in enumerate(days[1:]):
        prices, stale = {}, []
        for name, *cells in models:
            if cells[number] == "retired":
                market.tell(name, number, state="cancel_only")
                market.tell(name, number, state="retired")
            elif cells[number] != "not listed":
                price, *carried = cells[number].split()
                prices[name] = int(price.replace(".", ""))
                stale += [name] * len(carried)
                if name not in market.known:
                    market.tell(name, number, **before)
        if number == 2:
            market.tell("ALPHA", number, state="suspended")
            market.tell("ALPHA", number, **after)
            market.tell("ALPHA", number, state="listed")
        assert date.fromisoformat(day) == DAYS[number]
        market.fix(number, stale=tuple(stale), **prices)
    shown = [(date.fromisoformat(row[0]), *row[1:5]) for row in told]
    assert shown == [
        (day, f"{level:.4f}", "" if change is None else f"{change:.6f}", str(count), str(stale))
        for day, _, level, change, count, stale in rows(market.store, INDEX)
    ]
    factor = re.search(r"the factor is \d+ / \d+ = ([\d.]+)\.\s", text)
    assert factor is not None
    assert ("ALPHA", "reweighted", factor[1]) in [
        (name, event, f"{factor:.6f}") for name, event, factor in rows(market.store, EVENTS)
    ]


WEIGHTS = ("weight_input", "weight_cached", "weight_output")


def test_events_follow_the_states_in_their_order():
    market = Market()
    market.tell("A")
    market.tell("B", state="proposed")
    for state in ("suspended", "listed", "cancel_only", "listed", "cancel_only", "retired"):
        market.tell("A", state=state)
    market.tell("B", state="listed")
    market.tell("B", list_price=99)
    market.tell("B", weight_cached=100)
    market.tell("B", weight_input=2000, weight_output=8000)
    assert rows(market.store, EVENTS) == [
        ("A", "listed", 1),
        ("B", "proposed", 1),
        ("A", "suspended", 1),
        ("A", "resumed", 1),
        ("A", "cancel_only", 1),
        ("A", "resumed", 1),
        ("A", "cancel_only", 1),
        ("A", "retired", 1),
        ("B", "listed", 1),
        ("B", "reweighted", 1),
        ("B", "reweighted", 2),
    ]
    assert rows(market.store, "select distinct who, why from instrument_events") == [("OPS", "a test")]


def test_what_is_no_model_is_in_no_index():
    market = Market()
    market.tell("CARD", kind="compute", weight_input=0, weight_cached=0, weight_output=0)
    market.fix(0, CARD=100)
    assert rows(market.store, INDEX) == []


def test_a_model_that_missed_a_day_does_not_count_on_the_next():
    market = Market()
    for name in "ABC":
        market.tell(name)
    market.fix(0, A=100, B=100, C=100)
    market.fix(1, A=110, B=100)
    market.fix(2, A=110, B=110, C=500)
    market.fix(3, A=110, B=110, C=1000)
    step = 1000 * math.sqrt(1.1)
    assert market.levels() == [
        (1000, 3, 0),
        (round(step, 4), 2, 0),
        (round(step * math.sqrt(1.1), 4), 2, 0),
        (round(step * math.sqrt(1.1) * 2 ** (1 / 3), 4), 3, 0),
    ]


def test_a_day_on_which_no_model_counts_leaves_the_level():
    market = Market()
    market.tell("A")
    market.tell("B")
    market.fix(0, A=100)
    market.fix(1, B=300)
    market.fix(2, B=330)
    assert market.levels() == [(1000, 1, 0), (1000, 0, 0), (1100, 1, 0)]


def test_two_reweightings_between_fixings_count_both():
    market = Market()
    market.tell("A", weight_input=1000, weight_output=1000)
    market.fix(0, A=100)
    market.tell("A", weight_input=2000, weight_output=2000)
    market.tell("A", weight_input=2000, weight_output=6000)
    market.fix(1, A=40)
    market.fix(2, A=44)
    assert market.levels() == [(1000, 1, 0), (1200, 1, 0), (1320, 1, 0)]


@pytest.mark.parametrize("tier", ["flagship", "light"])
def test_each_tier_begins_on_its_own_first_day(tier):
    market = Market()
    market.tell("A", tier="flagship")
    market.fix(0, A=100)
    market.tell("B", tier="light")
    market.fix(1, A=200, B=50)
    market.fix(2, A=200, B=40)
    expected = {"flagship": [1000, 2000, 2000], "light": [1000, 800]}
    found = rows(market.store, f"select level from tier_index where tier = '{tier}' order by day")  # noqa: S608
    assert [round(float(str(level)), 6) for (level,) in found] == expected[tier]
