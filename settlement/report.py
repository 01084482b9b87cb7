"""The settlement report: what was traded, what programmes paid, and whether everything balances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import msgspec

from settlement.store import Store, statement


class BudgetLine(msgspec.Struct, frozen=True):
    """A programme's budget at the watermark, in hao, and what its legs and its postings say."""

    programme: str
    fiscal_year: int
    terms_version: int
    budget: int
    uncommitted: int
    reserved: int
    paid: int
    vested: int
    subsidised_trades: int
    legs: int
    funded: int
    posted: int


class SizeLine(msgspec.Struct, frozen=True):
    """What firms of one size were subsidised with, in hao."""

    size: str
    members: int
    trades: int
    subsidy: int


class AssetLine(msgspec.Struct, frozen=True):
    """One asset's trial balance: `total` is zero; `owned` is what members have of it."""

    asset: str
    postings: int
    total: int
    owned: int


class Report(msgspec.Struct, frozen=True):
    """All that the store says at one sequence; money in hao, credits in lots.

    `differences` says in words what does not balance; `balanced` is that there is nothing to say.
    """

    sequence: int
    trades: int
    turnover: int
    fees: int
    subsidy: int
    subsidised_trades: int
    orders: int
    refusals: int
    postings: int
    budgets: tuple[BudgetLine, ...]
    sizes: tuple[SizeLine, ...]
    assets: tuple[AssetLine, ...]
    balanced: bool
    differences: tuple[str, ...]


_TOTALS = Report.__struct_fields__[: Report.__struct_fields__.index("budgets")]
"""The fields that `report_totals.sql` gives, in its order."""


def settlement_report(store: Store) -> Report:
    """Return the report of a store, all of it at one sequence."""
    cursor = store.cursor()
    cursor.execute("begin transaction read only")
    try:
        totals = dict(zip(_TOTALS, _rows(cursor, "report_totals")[0], strict=True))
        budgets = tuple(BudgetLine(*row) for row in _rows(cursor, "report_programmes"))
        sizes = tuple(SizeLine(*row) for row in _rows(cursor, "report_sizes"))
        assets = tuple(AssetLine(*row) for row in _rows(cursor, "report_assets"))
        differences = (
            *_asset_differences(cursor, assets),
            *_impossible_balances(cursor),
            *(text for budget in budgets for text in _budget_differences(budget)),
        )
    finally:
        cursor.close()
    return Report(
        **totals,
        budgets=budgets,
        sizes=sizes,
        assets=assets,
        balanced=not differences,
        differences=differences,
    )


def _rows(cursor: duckdb.DuckDBPyConnection, name: str) -> list[tuple[Any, ...]]:
    return cursor.execute(statement(name)).fetchall()


def _asset_differences(cursor: duckdb.DuckDBPyConnection, assets: tuple[AssetLine, ...]) -> Iterator[str]:
    wrong = [line for line in assets if line.total]
    for line in wrong:
        yield f"{line.asset}: the postings sum to {line.total}, not to 0"
    if wrong:  # Only then are entries looked at one by one: it takes as much memory as the ledger.
        for entry, asset, total in _rows(cursor, "report_unbalanced"):
            yield f"entry {entry}: its postings of {asset} sum to {total}, not to 0"


def _impossible_balances(cursor: duckdb.DuckDBPyConnection) -> Iterator[str]:
    for member, account, asset, balance in _rows(cursor, "report_negative"):
        side = "above" if balance > 0 else "below"
        yield f"{member}: its {account} account of {asset} stands at {balance}, {side} 0"


def _budget_differences(line: BudgetLine) -> Iterator[str]:
    states = {
        "uncommitted": line.uncommitted,
        "reserved": line.reserved,
        "paid": line.paid,
        "vested": line.vested,
    }
    who = f"programme {line.programme}"
    for name, amount in states.items():
        if amount < 0:
            yield f"{who}: {name} is {amount} hao, below 0"
    total = sum(states.values())
    if total != line.budget:
        yield f"{who}: its four states sum to {total} hao, its budget is {line.budget}"
    if line.legs != line.paid + line.vested:
        spent = line.paid + line.vested
        yield f"{who}: paid and vested are {spent} hao, its subsidy legs sum to {line.legs}"
    if line.funded != line.budget:
        yield f"{who}: postings fund it with {line.funded} hao, its budget is {line.budget}"
    if line.posted != line.legs:
        yield f"{who}: its postings sum to {line.posted} hao, its subsidy legs to {line.legs}"
