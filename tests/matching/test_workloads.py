"""The benchmarks' tapes: the same for the same seed, sound, and in the mix that their names promise."""

from __future__ import annotations

import numpy as np
import pytest

from matching.batch import match
from matching.layout import COMMAND, empty_book
from matching.vocabulary import CommandKind, EventKind
from matching.workloads import WORKLOADS, deep, hundred, realistic, sweep

USED = {"order", "price", "quantity", "instrument", "member", "group", "kind", "side"}
"""All that a tape says; in every other field stands 0: limit orders, good till cancelled."""

TOLD = [EventKind.ACCEPTED, EventKind.TRADED, EventKind.CANCELLED, EventKind.REDUCED, EventKind.REPLACED]
"""All that may come of a sound tape."""


def share_of(tape: np.ndarray, kind: CommandKind) -> float:
    """Return what share of a tape's commands is of this kind."""
    return float((tape["kind"] == kind).mean())


def takers_in(tape: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Return how many orders each command of a tape that traded has traded with."""
    trades = events["command"][events["kind"] == EventKind.TRADED]
    return np.bincount(trades, minlength=len(tape))[np.unique(trades)]


def test_the_workloads_are_the_four():
    assert list(WORKLOADS) == ["realistic", "hundred", "deep", "sweep"]


@pytest.mark.parametrize("make", [realistic, hundred, sweep])
def test_one_seed_one_tape(make):
    one, other, another = make(1_000, 5, 50), make(1_000, 5, 50), make(1_000, 6, 50)
    assert [part.tobytes() for part in one] == [part.tobytes() for part in other]
    assert one.measured.tobytes() != another.measured.tobytes()


@pytest.mark.parametrize("make", [realistic, hundred, sweep])
def test_a_tape_says_what_any_book_understands(make, seed):
    for tape in make(2_000, seed, 200):
        assert all(not tape[name].any() for name in COMMAND.names or () if name not in USED)
        assert set(tape["kind"]) <= {
            CommandKind.NEW,
            CommandKind.CANCEL,
            CommandKind.REDUCE,
            CommandKind.REPLACE,
        }
        assert (tape["price"][np.isin(tape["kind"], [CommandKind.NEW, CommandKind.REPLACE])] > 0).all()
        assert (tape["quantity"][tape["kind"] != CommandKind.CANCEL] > 0).all()


@pytest.mark.parametrize(("make", "instruments"), [(realistic, 1), (hundred, 100), (sweep, 1)])
def test_a_workload_is_sound_and_its_book_stays_as_full(make, instruments, seed):
    warm_up, measured = make(20_000, seed)
    book, _ = match(empty_book(instruments), warm_up)
    before = int(book.counts[0]["open_orders"])
    book, events = match(book, measured)
    after = int(book.counts[0]["open_orders"])
    assert np.isin(events["kind"], TOLD).all()
    assert 2_700 < before < 3_300
    assert 2_700 < after < 3_300


@pytest.mark.parametrize(("make", "instruments"), [(realistic, 1), (hundred, 100)])
def test_every_change_does_what_it_says(make, instruments, seed):
    """One event a cancel, a reduce and a replace: no reduce takes all, no replace trades or ends."""
    tape = np.concatenate(make(20_000, seed))
    _, events = match(empty_book(instruments), tape)
    kinds = tape["kind"][events["command"]]
    for asked, told in (
        (CommandKind.CANCEL, {EventKind.CANCELLED}),
        (CommandKind.REDUCE, {EventKind.REDUCED}),
        (CommandKind.REPLACE, {EventKind.REPLACED}),
    ):
        its = events[kinds == asked]
        assert len(its) == np.count_nonzero(tape["kind"] == asked)
        assert set(its["kind"]) <= told


@pytest.mark.parametrize(("make", "instruments"), [(realistic, 1), (hundred, 100)])
def test_the_mix_is_as_promised(make, instruments, seed):
    warm_up, measured = make(40_000, seed)
    book, _ = match(empty_book(instruments), warm_up)
    _, events = match(book, measured)
    takers = takers_in(measured, events)
    taking = len(takers) / len(measured)
    new, cancel, reduce, replace = (
        share_of(measured, kind)
        for kind in (CommandKind.NEW, CommandKind.CANCEL, CommandKind.REDUCE, CommandKind.REPLACE)
    )
    assert 0.465 < new - taking < 0.495
    assert 0.405 < cancel < 0.435
    assert 0.02 < reduce < 0.03
    assert 0.02 < replace < 0.03
    assert 0.045 < taking < 0.055
    assert 1.1 < takers.mean() < 1.5
    assert takers.max() <= 4


def test_half_of_the_replaces_keep_their_price(seed):
    warm_up, measured = realistic(40_000, seed)
    book, _ = match(empty_book(1), warm_up)
    _, events = match(book, measured)
    replaced = events[measured["kind"][events["command"]] == CommandKind.REPLACE]
    assert 0.4 < (replaced["was_price"] == replaced["price"]).mean() < 0.6


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
    assert np.isin(events["kind"], TOLD).all()


def test_sweep_takes_one_to_ten(seed):
    warm_up, measured = sweep(20_000, seed)
    book, _ = match(empty_book(1), warm_up)
    _, events = match(book, measured)
    takers = takers_in(measured, events)
    assert set(takers.tolist()) == set(range(1, 11))
    assert 0.14 < len(takers) / len(measured) < 0.18
    assert set(measured["kind"]) <= {CommandKind.NEW, CommandKind.CANCEL}
