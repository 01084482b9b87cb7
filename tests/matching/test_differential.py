"""The kernels equal the reference, event by event, on whatever is asked of them."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product, repeat

import numpy as np
import pytest

from matching.batch import match
from matching.flow import random_flow
from matching.layout import empty_book
from matching.reference import Market, events_from
from matching.view import orders_of, parked_of
from matching.vocabulary import OrderType, SelfTrade, Side, TimeInForce
from matching.workloads import deep, hundred, realistic, sweep
from tests.matching.differential import Coverage, Outcomes, Terms, cuts, play, play_seed, table_of

SEEDS_AT_SCALE_1 = 5
COMMANDS_A_SEED = 20_000
CONTINUOUS = Market()

FILLS = {"traded", "triggered", "cancelled: not fillable", "cancelled: post only would cross"}
SELF_TRADES = {"cancelled: self trade", "reduced: self trade", "cancelled: related party"}
"""What comes of an order that enters the book, be it new, replaced or triggered."""

SEEN = {
    "new": FILLS
    | SELF_TRADES
    | {
        "accepted",
        "cancelled",
        "expired",
        "rejected: unknown instrument",
        "rejected: unknown side",
        "rejected: unknown type",
        "rejected: unknown time in force",
        "rejected: unknown self trade",
        "rejected: price not positive",
        "rejected: price too large",
        "rejected: price off tick",
        "rejected: quantity not positive",
        "rejected: quantity too large",
        "rejected: trail invalid",
        "rejected: stop price invalid",
        "rejected: display quantity invalid",
        "rejected: minimum quantity invalid",
        "rejected: expiry invalid",
        "rejected: instructions conflict",
        "rejected: no protection price",
        "rejected: notional too large",
        "rejected: instrument not open",
        "rejected: order not positive",
        "rejected: duplicate order",
        "rejected: post only would cross",
    },
    "replace": FILLS
    | SELF_TRADES
    | {
        "replaced",
        "cancelled",
        "expired",
        "rejected: unknown order",
        "rejected: price not positive",
        "rejected: price too large",
        "rejected: price off tick",
        "rejected: stop price invalid",
        "rejected: quantity not positive",
        "rejected: quantity too large",
        "rejected: instrument not open",
        "rejected: notional too large",
        "rejected: display quantity invalid",
        "rejected: post only would cross",
    },
    "reduce": {
        "reduced",
        "cancelled",
        "expired",
        "rejected: unknown order",
        "rejected: quantity not positive",
    },
    "cancel": {"cancelled", "expired", "rejected: unknown order"},
    "mass_cancel": {"cancelled", "expired", "rejected: unknown instrument", "rejected: unknown side"},
    "phase": {
        "phase_changed",
        "expired",
        "rejected: unknown instrument",
        "rejected: unknown phase",
        "rejected: price not positive",
        "rejected: price too large",
    },
    "clock": {"expired"},
    "end_day": {"expired"},
    "act": {"expired", "rejected: unknown kind"},
    "kind 9": {"expired", "rejected: unknown kind"},
    "kind 255": {"expired", "rejected: unknown kind"},
}
"""All that may come of each sort of command; with any of them a GTD order may expire."""

TYPES = [one.name.lower() for one in OrderType]
STOPS = {"stop", "stop_limit", "trailing_stop"}
INSTRUCTIONS = ["post_only", "minimum", "iceberg", "subsidised"]
PAIRS = [
    *product(TYPES, [one.name.lower() for one in TimeInForce]),
    *product(TYPES, INSTRUCTIONS),
    *combinations(INSTRUCTIONS, 2),
    *(("self_trade", mode.name.lower()) for mode in SelfTrade),
]
CONTRADICTIONS = {
    ("post_only", "minimum"),
    *((one, "post_only") for one in ("market", "stop", "trailing_stop")),
}


@pytest.mark.parametrize(
    "times",
    [1, pytest.param(10, marks=pytest.mark.slow), pytest.param(39, marks=pytest.mark.nightly)],
)
def test_kernels_equal_the_reference_whatever_is_asked(times, seed, scale):
    outcomes: Outcomes = Counter()
    coverage = Coverage()
    for number in range(SEEDS_AT_SCALE_1 * times * scale):
        outcomes += play_seed(seed + number, COMMANDS_A_SEED, coverage=coverage)
    print(f"\n{table_of(outcomes)}\n\n{coverage.table()}")  # noqa: T201  shown by `pytest -s`
    assert set(outcomes) == {(kind, outcome) for kind, seen in SEEN.items() for outcome in seen}
    assert {pair for pair, _ in coverage.counts} == set(PAIRS)
    assert [(pair, fate) for pair in PAIRS for fate in fates_due(pair) - coverage.fates_of(pair)] == []
    assert [pair for pair in CONTRADICTIONS if coverage.fates_of(pair) != {"rejected"}] == []


def fates_due(pair: Terms) -> set[str]:
    """Return what must have become, at least once, of an order that says both."""
    if pair in CONTRADICTIONS:
        return {"rejected"}
    due = {"accepted", "rejected", "cancelled", "made" if "post_only" in pair else "traded"}
    if STOPS & set(pair):
        due.add("triggered")
    if pair[0] != "market" and {"day", "gtd"} & set(pair):
        due.add("expired")
    if pair[0] in ("limit", "stop_limit") and {"gtc", "gtd", "day"} & set(pair):
        due |= {"rested", "made", "reduced", "replaced"}
    return due


def test_every_invariant_holds_after_every_batch(seed, scale):
    for number in range(2 * scale):
        play_seed(seed + 1_000_000 + number, 4_000, inspect=True)


@pytest.mark.parametrize(("make", "instruments"), [(realistic, 1), (hundred, 100), (sweep, 1)])
def test_kernels_equal_the_reference_on_the_benchmarks_tapes(make, instruments, seed):
    warm_up, measured = make(10_000, seed, 200)
    tape = np.concatenate([warm_up, measured])
    outcomes = play(tape, [CONTINUOUS] * instruments, repeat(4_096))
    assert {kind for _, kind in outcomes} <= {"accepted", "traded", "cancelled", "reduced", "replaced"}


def test_kernels_equal_the_reference_in_a_deep_book(seed):
    warm_up, measured = deep(5_000, seed, 30_000)
    play(np.concatenate([warm_up, measured]), [CONTINUOUS], repeat(50_000))


def test_how_commands_are_cut_into_batches_changes_no_event(seed):
    tape = random_flow(seed, 6_000)
    tape["instrument"] %= 3
    book, whole = match(empty_book(3), tape)
    for number in range(3):
        other, start, parts = empty_book(3), 0, []
        for length in cuts(np.random.default_rng([seed, number]), 500):
            other, events = match(other, tape[start : start + length])
            events["command"] += start
            parts += events_from(events)
            start += length
            if start >= len(tape):
                break
        assert parts == events_from(whole)
        for instrument in range(3):
            for side in Side:
                for rows_of in (orders_of, parked_of):
                    mine, theirs = (rows_of(one, instrument, side) for one in (book, other))
                    assert mine["id"].tolist() == theirs["id"].tolist()


def test_a_tape_played_twice_gives_the_same_bytes(seed):
    one, other = (match(empty_book(3), random_flow(seed, 5_000))[1] for _ in range(2))
    assert one.tobytes() == other.tobytes()
