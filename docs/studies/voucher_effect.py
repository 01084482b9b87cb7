"""Find what a voucher bought, and who got the benefit.

    python docs/studies/voucher_effect.py auditor --programme HZ-VOUCHER-2026

A voucher pays a part of the price at each trade. A firm's net price is lower by it, unless the market asks
more of whoever has one. Which part of the benefit went into the price is the *incidence* of the subsidy
(D. Fullerton and G. Metcalf, "Tax incidence", Handbook of Public Economics 4, 2002). Method: matched
comparison. Each subsidised trade is set beside the trades without a subsidy of the same instrument, in the
same minute, with a taker on the same side; what it paid gross above their average, divided by what the
voucher paid, is the part that went into the price. It needs an auditor's or operator's profile: others do
not see who bought.

What it cannot tell: what prices would be without any voucher. Demand that a voucher creates moves the
price of everybody's trades, and so of those that are compared with.
"""

from __future__ import annotations

import argparse
import tomllib
from typing import Any

import polars as pl

from exchange import connect_sync
from exchange.client.sync import SyncExchange

BASIS = 10_000
"""Basis points of the whole; hao of a yuan too."""

FIRST_DAY = "2000-01-01"


# --- 1. Trades, each with its buyer's size, its list price, and its neighbours ------------------------

TRADES = """
select
    t.trade, date_trunc('minute', t.time) as minute, t.instrument, t.price, t.quantity, t.amount, t.subsidy,
    t.taker_side, t.programme, m.size, t.seller as provider, i.list_price,
    (
        select sum(l.amount)::bigint from subsidy_legs as l
        where l.trade = t.trade and l.reason = 'trade'
    ) as leg
from trades as t
join members as m on m.member = t.buyer
join instruments as i on i.instrument = t.instrument
where not t.busted and t.time >= cast(? as timestamp)
"""


def trades_of(ex: SyncExchange, programme: str, since: str) -> tuple[pl.DataFrame, int]:
    """Return the subsidised trades, each with the average of the others' prices in its minute, if any."""
    table = ex.history.sql(TRADES, [since])
    trades = table.to_polars()
    subsidised = trades.filter(pl.col("programme") == programme, pl.col("subsidy") > 0)
    if subsidised.is_empty():
        raise SystemExit(f"{programme} has paid at no trade since {since}: take another one, or --since")
    alike = ["instrument", "minute", "taker_side"]
    plain = (
        trades.filter(pl.col("subsidy") == 0)
        .group_by(alike)
        .agg(beside=pl.col("amount").sum() / pl.col("quantity").sum())
    )
    return subsidised.join(plain, on=alike, how="left", nulls_equal=True), table.sequence


# --- 2. What it bought, and what was paid ---------------------------------------------------------------


def by(trades: pl.DataFrame, key: str) -> pl.DataFrame:
    """Return lots, prices and the part of the benefit that went into the price, by size or provider.

    Prices are in per cent of the list price, averages over lots. `into_price` is null where no trade has one
    without a subsidy beside it; `matched` is the share of lots that have.
    """
    listed = pl.col("list_price") * pl.col("quantity")
    has_one = pl.col("beside").is_not_null()
    above = (pl.col("amount") - pl.col("beside") * pl.col("quantity")).filter(has_one).sum()
    return (
        trades.group_by(key)
        .agg(
            lots=pl.col("quantity").sum(),
            paid_yuan=pl.col("subsidy").sum() / BASIS,
            gross=100 * pl.col("amount").sum() / listed.sum(),
            net=100 * (pl.col("amount").sum() - pl.col("subsidy").sum()) / listed.sum(),
            rate=100 * pl.col("subsidy").sum() / pl.col("amount").sum(),
            matched=pl.col("quantity").filter(has_one).sum() / pl.col("quantity").sum(),
            into_price=pl.when(has_one.any()).then(above / pl.col("subsidy").filter(has_one).sum()),
        )
        .sort("lots", key, descending=[True, False])
    )


def ceiling_of(ex: SyncExchange, programme: str) -> int:
    """Return how far above the list price a programme still pays, in basis points, by its newest terms."""
    rows = ex.history.sql(
        "select terms from terms where programme = ? order by terms_version desc limit 1", [programme]
    ).rows()
    return int(tomllib.loads(rows[0]["terms"])["ceiling"])


def above_ceiling(trades: pl.DataFrame, ceiling: int) -> float:
    """Return the share of the lots that were bought for more than the voucher counts."""
    dearer = pl.col("price") * BASIS > pl.col("list_price") * (BASIS + ceiling)
    return float(trades.select(pl.col("quantity").filter(dearer).sum() / pl.col("quantity").sum()).item())


# --- 3. What is found --------------------------------------------------------------------------------


def finding(whole: dict[str, Any], programme: str, ceiling: int, dearer: float, sequence: int) -> str:
    """Return the finding as a paragraph."""
    told = (
        f"{programme} paid {whole['paid_yuan']:,.4f} yuan for {whole['lots']:,} lots, {whole['rate']:.1f} % "
        f"of their price. They cost {whole['gross']:.1f} % of the list price gross, and "
        f"{whole['net']:.1f} % net. {dearer:.1%} of the lots cost more than the ceiling up to which it pays, "
        f"{ceiling / 100:g} % above the list price. "
    )
    if whole["into_price"] is None:
        told += (
            "No trade without a subsidy stands beside them, so that nothing is said of who got the benefit. "
        )
    else:
        part = whole["into_price"]
        told += (
            f"Beside trades without a subsidy in the same minute, which {whole['matched']:.0%} of the lots "
            f"have, {part:.1%} of the benefit went into the price, and {1 - part:.1%} stayed with the firms. "
        )
    return told + f"As of sequence {sequence}."


def study(ex: SyncExchange, programme: str, since: str = FIRST_DAY) -> pl.DataFrame:
    """Print the tables and the finding; return the table by size."""
    trades, sequence = trades_of(ex, programme, since)
    legs = trades.drop_nulls("leg")  # what a programme reimburses later has no leg at its trade
    assert (legs["leg"] == legs["subsidy"]).all(), "the ledger paid what the trades say"
    assert (trades["subsidy"] <= trades["amount"]).all(), "no programme pays more than the price"
    ceiling = ceiling_of(ex, programme)
    sizes, providers = by(trades, "size"), by(trades, "provider")
    assert sizes["lots"].sum() == providers["lots"].sum() == trades["quantity"].sum()
    whole = by(trades.with_columns(all=pl.lit("all")), "all").row(0, named=True)
    assert whole["net"] < whole["gross"]
    print(sizes)
    print(providers)
    print(finding(whole, programme, ceiling, above_ceiling(trades, ceiling), sequence))
    return sizes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What did a voucher buy, and who got the benefit?")
    parser.add_argument("profile", help="whom to ask as: an auditor's or operator's profile")
    parser.add_argument("--programme", default="HZ-VOUCHER-2026")
    parser.add_argument("--since", default=FIRST_DAY, help="first day, UTC; a long history needs one")
    wanted = parser.parse_args()
    with connect_sync(wanted.profile) as opened:
        study(opened, wanted.programme, wanted.since)
