"""The kernels equal the reference, event by event, on whatever is asked of them."""

from __future__ import annotations

from collections import Counter
from itertools import repeat

import numpy as np
import pytest

from matching.batch import match
from matching.flow import deep, hundred, random_flow, realistic, sweep
from matching.layout import empty_book
from matching.reference import Market, events_from
from matching.view import orders_of
from matching.vocabulary import Side
from tests.matching.differential import Outcomes, cuts, play, play_seed, table_of

SEEDS_AT_SCALE_1 = 5
COMMANDS_A_SEED = 20_000
CONTINUOUS = Market()

SEEN = {
    ("new", "accepted"),
    ("new", "traded"),
    ("new", "cancelled"),
    ("new", "cancelled: related party"),
    ("new", "rejected: unknown instrument"),
    ("new", "rejected: unknown side"),
    ("new", "rejected: unknown type"),
    ("new", "rejected: unknown time in force"),
    ("new", "rejected: price not positive"),
    ("new", "rejected: price too large"),
    ("new", "rejected: price off tick"),
    ("new", "rejected: quantity not positive"),
    ("new", "rejected: quantity too large"),
    ("new", "rejected: notional too large"),
    ("new", "rejected: instrument not open"),
    ("new", "rejected: order not positive"),
    ("new", "rejected: duplicate order"),
    ("cancel", "cancelled"),
    ("cancel", "rejected: unknown order"),
    ("end_day", "expired"),
    ("act", "rejected: unknown kind"),
    ("kind 255", "rejected: unknown kind"),
}
"""All that may come of each sort of command."""


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_kernels_equal_the_reference_whatever_is_asked(times, seed, scale):
    outcomes: Outcomes = Counter()
    for number in range(SEEDS_AT_SCALE_1 * times * scale):
        outcomes += play_seed(seed + number, COMMANDS_A_SEED)
    print(f"\n{table_of(outcomes)}")  # noqa: T201  shown by `pytest -s`
    assert set(outcomes) == SEEN


def test_every_invariant_holds_after_every_batch(seed, scale):
    for number in range(2 * scale):
        play_seed(seed + 1_000_000 + number, 4_000, inspect=True)


@pytest.mark.parametrize(("make", "instruments"), [(realistic, 1), (hundred, 100), (sweep, 1)])
def test_kernels_equal_the_reference_on_the_benchmarks_tapes(make, instruments, seed):
    warm_up, measured = make(10_000, seed, 200)
    tape = np.concatenate([warm_up, measured])
    outcomes = play(tape, [CONTINUOUS] * instruments, repeat(4_096))
    assert {kind for _, kind in outcomes} <= {"accepted", "traded", "cancelled"}


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
                mine, theirs = (orders_of(one, instrument, side) for one in (book, other))
                assert mine["id"].tolist() == theirs["id"].tolist()


def test_a_tape_played_twice_gives_the_same_bytes(seed):
    one, other = (match(empty_book(3), random_flow(seed, 5_000))[1] for _ in range(2))
    assert one.tobytes() == other.tobytes()
