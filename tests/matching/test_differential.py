"""The kernels equal the reference, event by event, on whatever is asked of them."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product, repeat

import numpy as np
import pytest

from matching.batch import match
from matching.flow import random_flow
from matching.layout import empty_book
from matching.reference import Command, Market, events_from
from matching.view import orders_of, parked_of, waiting_of
from matching.vocabulary import (
    DECREMENTS_MAX,
    EVERY,
    CommandKind,
    OrderType,
    Phase,
    SelfTrade,
    Side,
    TimeInForce,
)
from matching.workloads import deep, hundred, realistic, sweep
from tests.matching.crowd import crowded
from tests.matching.differential import Coverage, Outcomes, Terms, cuts, play, play_seed, table_of
from tests.matching.stories import array_of

SEEDS_AT_SCALE_1 = 5
COMMANDS_A_SEED = 20_000
CONTINUOUS = Market()

FILLS = {"traded", "triggered", "cancelled: not fillable", "cancelled: post only would cross"}
SELF_TRADES = {"cancelled: self trade", "reduced: self trade", "cancelled: related party"}
"""What comes of an order that enters the book, be it new, replaced or triggered."""

INTERRUPTED = {"phase_changed: static collar", "phase_changed: dynamic collar"}
STOPPED = {"cancelled: static collar", "cancelled: dynamic collar"}
"""What comes of an order that would trade too far off: a call, and the end of what cannot stand in it."""

TIME = {"expired", "indicative"}
"""What any command may cause: it tells the time, and an expired order may have stood in a call."""

SEEN = {
    "new": FILLS
    | SELF_TRADES
    | INTERRUPTED
    | STOPPED
    | TIME
    | {
        "accepted",
        "cancelled",
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
        "rejected: not in phase",
        "rejected: order not positive",
        "rejected: duplicate order",
        "rejected: post only would cross",
    },
    "replace": FILLS
    | SELF_TRADES
    | INTERRUPTED
    | TIME
    | {
        "replaced",
        "cancelled",
        "rejected: unknown order",
        "rejected: price not positive",
        "rejected: price too large",
        "rejected: price off tick",
        "rejected: stop price invalid",
        "rejected: quantity not positive",
        "rejected: quantity too large",
        "rejected: instrument not open",
        "rejected: not in phase",
        "rejected: notional too large",
        "rejected: display quantity invalid",
        "rejected: post only would cross",
    },
    "reduce": TIME
    | {
        "reduced",
        "cancelled",
        "rejected: unknown order",
        "rejected: quantity not positive",
        "rejected: not in phase",
    },
    "cancel": TIME | {"cancelled", "rejected: unknown order", "rejected: not in phase"},
    "mass_cancel": {
        "cancelled",
        "rejected: unknown instrument",
        "rejected: unknown side",
        "rejected: not in phase",
    },
    "phase": FILLS
    | SELF_TRADES
    | TIME
    | {
        "phase_changed",
        "cancelled",
        "rejected: unknown instrument",
        "rejected: unknown phase",
        "rejected: price not positive",
        "rejected: price too large",
    },
    "clock": TIME,
    "end_day": TIME,
    "act": {"rejected: unknown kind"},
    "kind 9": {"rejected: unknown kind"},
    "kind 255": {"rejected: unknown kind"},
}
"""What must come of each sort of command."""

RARE = {
    *product(("mass_cancel", "act", "kind 9", "kind 255"), TIME),
    *product(["replace"], INTERRUPTED | STOPPED),
    ("replace", "cancelled: post only would cross"),
}
"""What may come as well, but not in every few tapes."""

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
AT_ONCE = {
    *(("limit", one) for one in ("ioc", "fok", "minimum")),
    *(("market", one) for one in ("fok", "minimum")),
}
"""What no call takes: it must trade at once."""


@pytest.mark.parametrize(
    ("first", "times"),
    [
        (0, 1),
        pytest.param(1, 10, marks=pytest.mark.slow),
        *(pytest.param(first, 13, marks=pytest.mark.nightly) for first in (11, 24, 37)),
    ],
)
def test_kernels_equal_the_reference_whatever_is_asked(first, times, seed, scale):
    outcomes: Outcomes = Counter()
    coverage = Coverage()
    seeds = SEEDS_AT_SCALE_1 * scale
    for number in range(first * seeds, (first + times) * seeds):
        outcomes += play_seed(seed + number, COMMANDS_A_SEED, coverage=coverage)
    print(f"\n{table_of(outcomes)}\n\n{coverage.table()}")  # noqa: T201  shown by `pytest -s`
    due = {(kind, outcome) for kind, seen in SEEN.items() for outcome in seen}
    assert due - RARE <= set(outcomes) <= due | RARE
    assert {pair for pair, _ in coverage.counts} == set(PAIRS)
    assert [(pair, fate) for pair in PAIRS for fate in fates_due(pair) - coverage.fates_of(pair)] == []
    assert [pair for pair in CONTRADICTIONS if coverage.fates_of(pair) != {"rejected"}] == []


def fates_due(pair: Terms) -> set[str]:
    """Return what must have become, at least once, of an order that says both."""
    if pair in CONTRADICTIONS:
        return {"rejected"}
    due = {"accepted", "rejected", "cancelled", "made" if "post_only" in pair else "traded"}
    if pair not in AT_ONCE:
        due.add("gathered")
        if not {"fok", "minimum"} & set(pair) and pair != ("stop_limit", "ioc"):
            due.add("cleared")
    if STOPS & set(pair):
        due.add("triggered")
    if pair[0] != "market" and {"day", "gtd"} & set(pair):
        due.add("expired")
    if pair[0] in ("limit", "stop_limit") and {"gtc", "gtd", "day"} & set(pair):
        due |= {"rested", "made", "reduced", "replaced"}
    if pair[0] == "market" and {"gtc", "gtd", "day", "ioc"} & set(pair):
        due |= {"waited", "reduced", "replaced"}
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


def test_kernels_equal_the_reference_in_crowded_calls(seed, scale):
    traded = 0
    for number in range(40 * scale):
        tape, markets = crowded(seed + number, 400)
        outcomes = play(tape, markets, repeat(50), inspect=True)
        traded += outcomes["phase", "traded"]
    assert traded > 400 * scale


def test_who_decrements_too_often_in_auctions_is_cancelled():
    """A large buy meets more of its own group's sells than one command decrements, in two instruments."""
    sells = DECREMENTS_MAX // 2 + 10
    own = Command(group=1, self_trade=SelfTrade.DECREMENT, price=100)
    tape = [Command(kind=CommandKind.PHASE, instrument=EVERY, phase=Phase.PRE_OPEN)]
    for instrument in range(2):
        first = 1 + instrument * (sells + 1)
        tape.append(own._replace(order=first, quantity=2 * sells, instrument=instrument))
        tape += [
            own._replace(order=first + number, quantity=1, instrument=instrument, side=Side.SELL)
            for number in range(1, sells + 1)
        ]
    tape.append(tape[0]._replace(phase=Phase.CONTINUOUS))
    outcomes = play(array_of(tape), [CONTINUOUS] * 2, repeat(4_096))
    assert outcomes["phase", "reduced: self trade"] == DECREMENTS_MAX
    assert outcomes["phase", "cancelled: self trade"] == DECREMENTS_MAX + 2


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
                for rows_of in (orders_of, parked_of, waiting_of):
                    mine, theirs = (rows_of(one, instrument, side) for one in (book, other))
                    assert mine["id"].tolist() == theirs["id"].tolist()


def test_a_tape_played_twice_gives_the_same_bytes(seed):
    one, other = (match(empty_book(3), random_flow(seed, 5_000))[1] for _ in range(2))
    assert one.tobytes() == other.tobytes()
