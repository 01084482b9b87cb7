"""A failing seed made small: items are left out of its plan for as long as it fails in the same way."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from exchange.simulation.plan import Plan
from exchange.simulation.world import Result, World

RUNS_MAX = 250
"""After so many runs what is left is told, small or not."""


class Shrunk(NamedTuple):
    """The numbers of the items that are left, and how the seed fails with them alone."""

    numbers: tuple[int, ...]
    failure: str
    runs: int


def sort_of(failure: str) -> str:
    """Return what makes two failures alike: their words up to the first number.

    >>> sort_of("LawBroken: caps: ANN was paid 12 of 10")
    'LawBroken: caps'
    """
    words = re.split(r"\d", failure, maxsplit=1)[0]
    return ":".join(words.split(":")[:2]).strip()


def shrunk(
    plan: Plan, first: Result, runs_max: int = RUNS_MAX, play: Callable[[Plan], Result] | None = None
) -> Shrunk:
    """Leave items out of a plan, many at a time, then fewer, while it fails as it did first."""
    run = play or (lambda tried: World(tried).run())
    wanted = sort_of(first.failure)
    kept = [item.number for item in plan.items if item.time <= first.at]
    failure, runs = first.failure, 0
    size = max(1, len(kept) // 2)
    while runs < runs_max:
        is_smaller = False
        begin = 0
        while begin < len(kept) and runs < runs_max:
            tried = kept[:begin] + kept[begin + size :]
            result = run(plan.keeping(set(tried)))
            runs += 1
            if sort_of(result.failure) == wanted:
                kept, failure, is_smaller = tried, result.failure, True
            else:
                begin += size
        if size == 1 and not is_smaller:
            break
        size = max(1, size // 2) if not is_smaller or size > len(kept) else size
    return Shrunk(tuple(kept), failure, runs)
