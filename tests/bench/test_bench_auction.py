"""`bourse bench auction`: what it measures is a call that uncrosses, and updates of which each one counts."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner

from exchange import benchmarks
from exchange.cli import bourse
from matching import match
from matching.vocabulary import EventKind, Phase

ORDERS = 2_000
RESTING = 200
UPDATES = 400


@pytest.fixture(scope="module")
def uncrossing():
    """Return a small call that is to be uncrossed."""
    return benchmarks.set_up_uncrossing(ORDERS)


@pytest.fixture(scope="module")
def updates():
    """Return a small call that is to be updated."""
    return benchmarks.set_up_updates(RESTING, UPDATES)


@pytest.fixture
def small_updates(monkeypatch):
    """Let the command measure few updates."""
    monkeypatch.setattr(
        benchmarks, "set_up_updates", partial(benchmarks.set_up_updates, resting=RESTING, updates=UPDATES)
    )


def test_about_half_of_the_orders_trade(uncrossing):
    assert uncrossing.book.markets["phase"][0] == Phase.PRE_OPEN
    assert uncrossing.book.counts["open_orders"][0] == ORDERS
    book, events = match(uncrossing.start()[0], uncrossing.tape)
    traded = events[events["kind"] == EventKind.TRADED]
    assert 0.4 < len(np.union1d(traded["order"], traded["maker_order"])) / ORDERS < 0.6
    assert len(np.unique(traded["price"])) == 1
    assert book.markets["phase"][0] == Phase.AUCTION


def test_every_round_uncrosses_the_same_call(uncrossing):
    played = [benchmarks.play(uncrossing) for _ in range(2)]
    assert played[0][:3] == played[1][:3]
    assert played[0].trades > 0


def test_each_update_enters_or_cancels_an_order(updates):
    book, events = match(updates.start()[0], updates.tape)
    told = events[events["kind"] != EventKind.INDICATIVE]
    assert set(told["kind"][::2]) == {EventKind.ACCEPTED}
    assert set(told["kind"][1::2]) == {EventKind.CANCELLED}
    assert len(told) == UPDATES
    assert book.counts["open_orders"][0] == RESTING


def test_updates_are_the_same_by_batch_and_one_command_a_call(updates):
    assert benchmarks.play(updates, 1)[:3] == benchmarks.play(updates, UPDATES)[:3]


def call(*arguments):
    """Run `bourse bench auction` on a small call."""
    return CliRunner().invoke(bourse, ["bench", "auction", "--orders", str(ORDERS), *arguments])


@pytest.mark.usefixtures("small_updates")
def test_the_json_has_its_keys():
    done = call("--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert set(told) == {"uncross", "updates", "clock_ns", "machine"}
    assert told["uncross"].keys() == {
        "orders", "cpu_ms", "cpu_ms_best", "cpu_ns_per_order", "trades", "quantity",
    }  # fmt: skip
    assert told["uncross"]["orders"] == ORDERS
    assert told["updates"]["resting"] == RESTING
    assert told["updates"]["updates"] == UPDATES
    assert 0 < told["updates"]["indicatives"] <= UPDATES
    assert list(told["updates"]["one_a_call_us"]) == ["p50", "p99", "p99.9", "max"]


@pytest.mark.usefixtures("small_updates")
def test_a_person_reads_it_in_words():
    done = call()
    assert done.exit_code == 0, done.output
    for word in ("uncrossing 2,000 orders", "ns an order", "a call of 200 orders", "p99 "):
        assert word in done.stdout
