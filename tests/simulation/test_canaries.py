"""Bugs planted in a whole simulated venue: each is caught, by its law, within so many seeds."""

from __future__ import annotations

import pytest

from exchange.simulation.world import World
from tests.simulation.canaries import CANARIES, Canary

NAMES = [canary.name for canary in CANARIES]

AT_ONCE = "a release is forgotten"


def first_failure(canary: Canary) -> str:
    """Play seed after seed with the bug planted; return the first failure, blank if there is none."""
    for seed in range(canary.seeds):
        with pytest.MonkeyPatch.context() as patch:
            canary.plant(patch)
            failure = World(canary.plan(seed)).run().failure
        if failure:
            return failure
    return ""


def check_caught(canary: Canary) -> None:
    """Assert that a bug is caught, and for what it is."""
    failure = first_failure(canary)
    assert failure, f"{canary.name}: {canary.seeds} seeds noticed nothing"
    assert any(words in failure for words in canary.caught_by), f"{canary.name}: caught as {failure}"


def test_one_bug_is_caught_at_once() -> None:
    check_caught(CANARIES[NAMES.index(AT_ONCE)])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != AT_ONCE])
def test_each_bug_is_caught(name: str) -> None:
    check_caught(CANARIES[NAMES.index(name)])


@pytest.mark.slow
@pytest.mark.parametrize("faults", sorted({canary.faults for canary in CANARIES if canary.faults}))
def test_without_a_bug_the_same_plans_hold(faults: tuple[str, ...]) -> None:
    canary = next(canary for canary in CANARIES if canary.faults == faults)
    assert World(canary.plan(0)).run().failure == ""


@pytest.mark.slow
def test_a_line_that_was_stalled_beyond_the_end_comes_back() -> None:
    stalling = CANARIES[0]._replace(faults=("stall", "slow seat"))
    assert World(stalling.plan(9)).run().failure == ""
