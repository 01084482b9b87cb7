"""Samples of what the feed tells as documents."""

from __future__ import annotations

from feeds.documents import Budget, Definition, Fixing

FIXING = Fixing(index=1, symbol="S1", day="2026-11-22", price=990, rung="quotes")
BUDGET = Budget(programme="V", fiscal_year=2026, budget=9, uncommitted=5, reserved=2, paid=1, vested=1)


def definition(index: int, state: str = "listed") -> Definition:
    return Definition(
        index=index,
        symbol=f"S{index}",
        name="",
        kind="model",
        provider="P",
        domestic=True,
        filed=True,
        region="",
        tier="standard",
        list_price=1_000,
        tick=1,
        weights=(1_000, 100, 4_000),
        milli_pflops=0,
        expires="",
        state=state,
        mode="continuous",
    )
