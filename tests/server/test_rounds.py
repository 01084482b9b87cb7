"""Processes killed and stopped under load, with a ledger of what was answered kept outside of the venue."""

from __future__ import annotations

from random import Random

import pytest

from exchange.server.warm import warm_up
from tests.fire.rounds import LINES_A_ROUND, SIDES, World


@pytest.fixture
def world(tmp_path):
    warm_up()
    place = World(tmp_path)
    try:
        place.start()
        yield place
    finally:
        place.end()


def play(world, rounds, seed):
    """Kill or stop a process a round, in the midst of trading; then compare the ledgers with the venue."""
    chance = Random(seed)
    for _ in range(rounds):
        world.round(chance)
    world.more("order", LINES_A_ROUND)
    world.finish()
    assert world.differences() == []
    befell = sum(count for what, count in world.counts.items() if what.startswith(("kills", "stops")))
    assert befell == rounds
    assert world.counts["orders answered"] >= len(SIDES) * rounds * LINES_A_ROUND
    assert world.counts["fills heard"] > 0


def test_ten_rounds_of_kill_and_stop_lose_and_double_nothing(world):
    play(world, 10, 1)


@pytest.mark.slow
def test_a_hundred_rounds_of_kill_and_stop_lose_and_double_nothing(world, scale):
    play(world, 100 * scale, 2)
