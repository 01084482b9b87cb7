"""The studies run on a small market and find what was put into it; and each can find that it is wrong."""

from __future__ import annotations

import math
import random
import runpy
import sys
from datetime import date, timedelta
from types import SimpleNamespace

import polars as pl
import pytest

import exchange
from tests.docs.pages import ROOT
from tests.docs.study_market import FOLLOWERS, LEADER, MAKER, VOUCHER, StudyMarket

STUDIES = ROOT / "docs" / "studies"


@pytest.fixture(scope="module")
def market() -> StudyMarket:
    return StudyMarket()


@pytest.fixture
def run(market, monkeypatch, capsys):
    """Return how a study is run as its reader runs it, as a member, and what it printed."""

    def run_study(name, member, *arguments):
        monkeypatch.setattr(exchange, "connect_sync", market.client)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", member, *arguments])
        runpy.run_path(str(STUDIES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run_study


def loaded(name):
    return SimpleNamespace(**runpy.run_path(str(STUDIES / f"{name}.py")))


def test_the_model_that_was_made_to_lead_is_found(run):
    told = run("price_discovery", "AUDITOR")
    assert f"{LEADER} is ahead" in told
    assert "so that it leads" in told
    assert all(follower in told for follower in FOLLOWERS)


def test_of_models_that_move_by_themselves_none_leads():
    study, chance = loaded("price_discovery"), random.Random(3)
    times = [date(2026, 1, 5) + timedelta(days=at) for at in range(400)]
    returns = pl.DataFrame({"start": times, **{name: [chance.gauss(0, 1) for _ in times] for name in "ABC"}})
    ranking = study.ranked(returns, study.leads(returns))
    assert "no model can be said to lead" in study.finding(ranking, "some", 1)


def test_a_lead_is_the_correlation_with_the_next_minute():
    study, chance = loaded("price_discovery"), random.Random(4)
    first = [chance.gauss(0, 1) for _ in range(100)]
    returns = pl.DataFrame({"start": range(100), "A": first, "B": [0.0, *first[:-1]]})
    ahead, minutes = study.led_by(returns, "A", "B")
    assert minutes == 99
    assert math.isclose(ahead, 1)
    assert abs(study.led_by(returns, "B", "A")[0]) < 0.3
    assert study.led_by(returns.with_columns(B=pl.lit(0.0)), "A", "B") is None


def test_a_tier_without_quotes_is_said(run):
    with pytest.raises(SystemExit, match="no quotes of a model of the tier 'none'"):
        run("price_discovery", "AUDITOR", "--tier", "none")


def test_what_the_voucher_bought_is_told_by_size_and_provider(run, market):
    told = run("voucher_effect", "AUDITOR", "--programme", VOUCHER)
    totals = (
        "select sum(quantity)::bigint as lots, sum(subsidy)::bigint as paid from trades where subsidy > 0"
    )
    with market.client("AUDITOR") as ex:
        lots, paid = ex.history.sql(totals).rows()[0].values()
    assert f"paid {paid / 10_000:,.4f} yuan for {lots:,} lots, 30.0 % of their price" in told
    assert all(word in told for word in ("micro", "small", "CLOUD", "0.0% of the lots cost more"))


def test_the_part_that_went_into_the_price_by_hand():
    study = loaded("voucher_effect")
    trade = {"quantity": 10, "list_price": 100, "subsidy": 200, "size": "small"}
    trades = pl.DataFrame(
        [
            {**trade, "amount": 1_100, "beside": 100.0},  # paid 100 more than without, of 200
            {**trade, "amount": 1_000, "beside": 100.0},  # paid no more
            {**trade, "amount": 5_000, "beside": None},  # nothing to compare with
        ]
    )
    row = study.by(trades, "size").row(0, named=True)
    assert row["into_price"] == 100 / 400
    assert row["matched"] == pytest.approx(2 / 3)
    assert row["net"] == pytest.approx(100 * (7_100 - 600) / 3_000)
    nothing = study.by(trades.with_columns(beside=pl.lit(None, pl.Float64)), "size").row(0, named=True)
    assert nothing["into_price"] is None


def test_lots_above_the_ceiling_are_counted():
    study = loaded("voucher_effect")
    trades = pl.DataFrame({"price": [110, 111], "list_price": [100, 100], "quantity": [30, 10]})
    assert study.above_ceiling(trades, 1_000) == 0.25


def test_who_waits_behind_sixty_lots_is_told_so(run, market):
    told = run("queue_position", MAKER, "--seconds", "1")
    assert f"{MAKER} had " in told
    assert "the median one behind " in told
    with market.client(MAKER) as ex:
        orders, _ = loaded("queue_position").rested(ex)
    filled = orders.filter(pl.col("waited_us").is_not_null())
    assert len(filled)
    assert filled["ahead"].min() >= 60  # CLOUD's bid of 60 lots came first, each minute


def test_an_order_that_was_overtaken_is_found():
    study = loaded("queue_position")
    order = SimpleNamespace(id=7, instrument="A", price=1)
    books = [
        SimpleNamespace(
            sequence=at, is_live=True, place_of=lambda order, lots=lots: SimpleNamespace(lots=lots, orders=1)
        )
        for at, lots in enumerate((60, 20, 30))
    ]
    orders = pl.DataFrame({"waited_us": [1], "ahead": [1], "quantity": [1], "instrument": ["A"]})
    ex = SimpleNamespace(member="ME", orders=lambda: [order], books=lambda *given, **named: iter(books))
    study.study.__globals__["rested"] = lambda ex: (orders, 1)
    with pytest.raises(AssertionError, match="nobody gets ahead"):
        study.study(ex, 1.0)


def test_who_never_waited_is_told_so(run):
    with pytest.raises(SystemExit, match="LARGE-1 has had no order in a queue"):
        run("queue_position", "LARGE-1")
