"""The tapes: the same for the same seed, and what their names promise."""

from __future__ import annotations

import numpy as np
import pytest

from matching.batch import match
from matching.flow import WORKLOADS, deep, hundred, random_flow, realistic, sweep
from matching.layout import COMMAND, empty_book
from matching.vocabulary import CommandKind, EventKind


def shares_of(tape: np.ndarray) -> dict[str, float]:
    """Return what share of a tape is new, and what share cancels."""
    return {
        kind.name.lower(): float((tape["kind"] == kind).mean())
        for kind in (CommandKind.NEW, CommandKind.CANCEL)
    }


def takers_in(tape: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Return how many orders each command of a tape that traded has traded with."""
    trades = events["command"][events["kind"] == EventKind.TRADED]
    return np.bincount(trades, minlength=len(tape))[np.unique(trades)]


def test_one_seed_one_tape():
    assert random_flow(5, 1_000).tobytes() == random_flow(5, 1_000).tobytes()
    assert random_flow(5, 1_000).tobytes() != random_flow(6, 1_000).tobytes()
    for make in (realistic, hundred, sweep):
        one, other, another = make(1_000, 5, 50), make(1_000, 5, 50), make(1_000, 6, 50)
        assert [part.tobytes() for part in one] == [part.tobytes() for part in other]
        assert one.measured.tobytes() != another.measured.tobytes()


def test_a_random_tape_may_be_short():
    assert [len(random_flow(1, commands)) for commands in (0, 1, 2)] == [0, 1, 2]


def test_a_random_tape_has_the_columns_of_a_command():
    tape = random_flow(1, 10)
    assert tape.dtype == COMMAND


def test_the_workloads_are_the_four():
    assert list(WORKLOADS) == ["realistic", "hundred", "deep", "sweep"]


@pytest.mark.parametrize(("make", "instruments"), [(realistic, 1), (hundred, 100), (sweep, 1)])
def test_a_workload_is_sound_and_its_book_stays_as_full(make, instruments, seed):
    warm_up, measured = make(20_000, seed)
    book, _ = match(empty_book(instruments), warm_up)
    before = int(book.counts[0]["open_orders"])
    book, events = match(book, measured)
    after = int(book.counts[0]["open_orders"])
    assert not (events["kind"] == EventKind.REJECTED).any()
    assert 2_700 < before < 3_300
    assert 2_700 < after < 3_300


def test_realistic_is_mostly_new_and_cancel_and_takes_a_twentieth(seed):
    warm_up, measured = realistic(20_000, seed)
    book, _ = match(empty_book(1), warm_up)
    _, events = match(book, measured)
    shares = shares_of(measured)
    assert 0.53 < shares["new"] < 0.58
    assert 0.42 < shares["cancel"] < 0.47
    takers = takers_in(measured, events)
    assert 0.045 < len(takers) / len(measured) < 0.055
    assert takers.max() <= 4


def test_hundred_is_busiest_in_the_first(seed):
    _, measured = hundred(20_000, seed)
    busy = np.bincount(measured["instrument"], minlength=100)
    assert (busy > 0).all()
    assert 1.7 < busy[0] / busy[1] < 2.3
    assert 0.17 < busy[0] / busy.sum() < 0.22


def test_deep_stands_on_twenty_thousand_levels(seed):
    warm_up, measured = deep(5_000, seed, 60_000)
    book, _ = match(empty_book(1), warm_up)
    assert int(book.halves["levels"].sum()) == 20_000
    assert int(book.counts[0]["open_orders"]) == 60_000
    _, events = match(book, measured)
    assert not (events["kind"] == EventKind.REJECTED).any()


def test_sweep_takes_one_to_ten(seed):
    warm_up, measured = sweep(20_000, seed)
    book, _ = match(empty_book(1), warm_up)
    _, events = match(book, measured)
    takers = takers_in(measured, events)
    assert set(takers.tolist()) == set(range(1, 11))
    assert 0.14 < len(takers) / len(measured) < 0.18
