"""Find which model of a tier leads the others.

    python docs/studies/price_discovery.py auditor --tier frontier

Models of one tier are near substitutes, so news about one moves them all. The one whose price moves first
is where prices are found. Method: lagged cross-correlations of minute returns (A. Lo and C. MacKinlay,
"When are contrarian profits due to stock market overreaction?", Review of Financial Studies 3, 1990). For
two models A and B it compares how well A's return of one minute goes with B's of the next, and the other
way round. Returns are of the midpoints between best bid and best ask, not of trades: trades jump between
the two sides, and that alone makes returns reverse (R. Roll, Journal of Finance 39, 1984).

What it cannot tell: a model that is quoted less often seems to lag behind, whoever finds the price. So the
table says in how many minutes each midpoint moved.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from math import sqrt

import polars as pl

from exchange import connect_sync
from exchange.client.sync import SyncExchange

MODELS_MAX = 12
"""Most models that are compared with each other: those whose midpoints moved most often."""

ROUNDING = 1e-6
"""What sums of doubles may be off by."""

MINUTES_MIN = 20
"""Fewest minutes that a pair must share: below, chance is all there is to see."""


# --- 1. The midpoints of a tier ----------------------------------------------------------------------

MIDPOINTS = """
select q.instrument, q.start, (q.bid + q.ask) / 2 as midpoint
from quotes_1m as q
join instruments as i using (instrument)
where i.tier = ? and i.kind = 'model' and q.bid is not null and q.ask is not null
order by q.start
"""


def returns_of(ex: SyncExchange, tier: str) -> tuple[pl.DataFrame, int]:
    """Return each model's returns, a column a model and a row a minute, and the sequence they are of.

    The venue keeps quotes of the minutes in which it had something to do. A model that has no quote of one
    of these keeps its last midpoint: nobody changed it.
    """
    table = ex.history.sql(MIDPOINTS, [tier])
    quotes = table.to_polars()
    if quotes.is_empty():
        raise SystemExit(f"no quotes of a model of the tier {tier!r}: name another with --tier")
    wide = quotes.pivot("instrument", index="start", values="midpoint").sort("start")
    models = [name for name in wide.columns if name != "start"]
    minutes = wide.select("start").upsample("start", every="1m")
    filled = minutes.join(wide, on="start", how="left").with_columns(pl.col(models).forward_fill())
    returns = filled.select("start", pl.col(models).log().diff())
    liveliest = sorted(models, key=lambda name: -returns[name].ne(0).sum())
    return returns.select("start", *liveliest[:MODELS_MAX]), table.sequence


# --- 2. Who goes before whom -------------------------------------------------------------------------


def led_by(returns: pl.DataFrame, leader: str, follower: str) -> tuple[float, int] | None:
    """Return how a model's return goes with another's a minute later, and over how many minutes.

    None where too few minutes are shared, or one of the two never moved.
    """
    pairs = returns.select(leader=pl.col(leader), follower=pl.col(follower).shift(-1)).drop_nulls()
    if len(pairs) < MINUTES_MIN or pairs["leader"].std() == 0 or pairs["follower"].std() == 0:
        return None
    return float(pairs.select(pl.corr("leader", "follower")).item()), len(pairs)


def leads(returns: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs of models: how well the first leads the second, and the second the first."""
    rows = []
    for one, other in combinations(returns.columns[1:], 2):
        ahead, behind = led_by(returns, one, other), led_by(returns, other, one)
        if ahead is not None and behind is not None:
            rows += [(one, other, *ahead, behind[0]), (other, one, *behind, ahead[0])]
    return pl.DataFrame(
        rows, schema=["model", "other", "leads", "minutes", "follows"], orient="row"
    ).with_columns(lead=pl.col("leads") - pl.col("follows"))


def ranked(returns: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return each model's mean over its pairs, the leader first."""
    changed = returns.select(pl.exclude("start").fill_null(0).ne(0).mean())
    moved = dict(zip(changed.columns, changed.row(0), strict=True))
    return (
        pairs.group_by("model")
        .agg(pl.col("leads", "follows", "lead").mean(), pl.col("minutes").min(), pl.len().alias("others"))
        .with_columns(moved=pl.col("model").replace_strict(moved, return_dtype=pl.Float64))
        .sort("lead", "model", descending=[True, False])
    )


# --- 3. What is found --------------------------------------------------------------------------------


def finding(ranking: pl.DataFrame, tier: str, sequence: int) -> str:
    """Return the finding as a paragraph."""
    first = ranking.row(0, named=True)
    band = 2 / sqrt(first["minutes"])
    told = (
        f"Of the {len(ranking)} models of the tier {tier} that can be compared, {first['model']} is ahead: "
        f"its return goes with the others' a minute later with a correlation of {first['leads']:+.2f} on "
        f"average, and theirs with its own with {first['follows']:+.2f}. "
    )
    if first["leads"] > band and first["lead"] > band:
        told += f"Chance alone stays within {band:.2f} in 95 of 100 cases, so that it leads. "
    else:
        told += f"Chance alone reaches {band:.2f} in 5 of 100 cases, so that no model can be said to lead. "
    slow = ranking.filter(pl.col("moved") < pl.col("moved").first() / 2)["model"].to_list()
    if slow:
        told += f"{', '.join(slow)} moved less than half as often, and may lag for that alone. "
    return told + f"As of sequence {sequence}."


def study(ex: SyncExchange, tier: str) -> pl.DataFrame:
    """Print the table and the finding; return the table."""
    returns, sequence = returns_of(ex, tier)
    pairs = leads(returns)
    if pairs.is_empty():
        raise SystemExit(
            f"the tier {tier!r} has no two models with {MINUTES_MIN} minutes of quotes that move: "
            "wait, or take another"
        )
    ranking = ranked(returns, pairs)
    assert pairs["leads"].is_between(-1, 1).all(), "a correlation lies between -1 and 1"
    assert abs(pairs["lead"].sum()) < ROUNDING, "what one leads by the other lags behind"
    print(ranking)
    print(finding(ranking, tier, sequence))
    return ranking


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Which model of a tier leads the others?")
    parser.add_argument("profile", help="whom to ask as: a profile's name or file")
    parser.add_argument("--tier", default="frontier")
    wanted = parser.parse_args()
    with connect_sync(wanted.profile) as opened:
        study(opened, wanted.tier)
