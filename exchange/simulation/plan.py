"""What a seed has in store: who does something when, and what goes wrong when, item by item."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from settlement.terms import VENUE_ZONE

SECOND_NS = 10**9

DEED = "deed"
"""The kind of an item in which a member does something; all other kinds are faults."""

FAULTS = (
    "cut",
    "stall",
    "delay",
    "slow seat",
    "seat clock",
    "lose",
    "double",
    "swap",
    "slow reader",
    "lose commits",
    "kill",
    "kill midway",
    "pause",
    "power cut",
    "fail write",
    "fail sync",
    "slow disk",
    "full disk",
    "flip journal",
    "flip snapshot",
    "snapshot",
    "snapshot midway",
    "clock ahead",
    "clock back",
)
"""Everything that goes wrong, by its name; a snapshot is no fault, but it comes when it comes."""

DEEDS = 300
FAULTS_MAX = 24

GOES_THROUGH_MIDNIGHT = 0.25
HAS_A_KIND = 0.6
"""How likely a seed knows a kind of fault: one that knows few meets each of them often."""

IN_A_FLURRY = 0.4

DAYS = (
    datetime(2026, 1, 5, tzinfo=VENUE_ZONE),
    datetime(2026, 1, 9, tzinfo=VENUE_ZONE),
    datetime(2026, 12, 31, tzinfo=VENUE_ZONE),
)
"""A Monday, a Friday, and a year's last day."""


class Item(NamedTuple):
    """One thing that a seed has in store. Whatever chance it needs comes from its own `seed`.

    `time` is in ns since 1970; `target` is a large number, which whoever is meant is found by; a fault lasts
    for `seconds`, if it lasts.
    """

    number: int
    time: int
    kind: str
    target: int
    seconds: float
    seed: int


class Plan(NamedTuple):
    """All that a seed has in store, between two times in ns since 1970, in the order of time."""

    seed: int
    start: int
    end: int
    items: tuple[Item, ...]

    def keeping(self, numbers: Collection[int]) -> Plan:
        """Return the plan without the items of other numbers; those that stay are as they were."""
        return self._replace(items=tuple(item for item in self.items if item.number in numbers))


def drawn(seed: int, deeds: int = DEEDS) -> Plan:
    """Return what a seed has in store: a day of deeds, in some of which a few kinds of fault come often."""
    chance = Random(f"plan {seed}")
    through_midnight = chance.random() < GOES_THROUGH_MIDNIGHT
    opening = chance.choice(DAYS) + timedelta(hours=14 if through_midnight else 8, minutes=50)
    length = timedelta(hours=20 if through_midnight else 8)
    start = int(opening.timestamp()) * SECOND_NS
    end = start + int(length.total_seconds()) * SECOND_NS
    kinds = [kind for kind in FAULTS if chance.random() < HAS_A_KIND]
    moments = [(time, DEED) for time in _moments(chance, start, end, deeds)]
    if kinds:
        faults = chance.randrange(FAULTS_MAX + 1)
        moments += [(chance.randrange(start, end), chance.choice(kinds)) for _ in range(faults)]
    items = (
        Item(
            number,
            time,
            kind,
            chance.randrange(1 << 30),
            _duration(chance),
            Random(f"{seed}/{number}").randrange(1 << 60),
        )
        for number, (time, kind) in enumerate(sorted(moments))
    )
    return Plan(seed, start, end, tuple(items))


def _moments(chance: Random, start: int, end: int, count: int) -> Iterable[int]:
    """Yield moments, most of them near others: orders come in flurries."""
    moment = start
    for _ in range(count):
        if chance.random() < IN_A_FLURRY:
            moment = min(end - 1, moment + chance.randrange(5_000_000))
        else:
            moment = chance.randrange(start, end)
        yield moment


def _duration(chance: Random) -> float:
    """Return for how many seconds a fault lasts: mostly for some, now and then for an hour."""
    return chance.choice((0.05, 1.0, 5.0, 20.0, 60.0, 300.0, 3_600.0)) * (0.5 + chance.random())


def words_of(numbers: Iterable[int]) -> str:
    """Return numbers as the command line takes them.

    >>> words_of([7, 1, 2, 3, 9, 10])
    '1-3,7,9-10'
    """
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def numbers_of(words: str) -> set[int]:
    """Return the numbers that words name. Raises `ValueError` for what names none.

    >>> sorted(numbers_of("1-3,7"))
    [1, 2, 3, 7]
    """
    numbers: set[int] = set()
    for part in filter(None, words.split(",")):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers
