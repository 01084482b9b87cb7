"""The venue's clock passes as time does: it follows small corrections, and no jump of the wall clock."""

from __future__ import annotations

import random

from exchange.server.clock import JUMP_NS, SteadyClock

SECOND_NS = 10**9
BEGAN = 1_795_000_000 * SECOND_NS


class Clocks:
    """A wall clock that may be set, and one that nobody sets."""

    def __init__(self) -> None:
        self.wall, self.steady = BEGAN, 77
        self.told: list[str] = []
        self.clock = SteadyClock(self.told.append, lambda: self.wall, lambda: self.steady)

    def pass_by(self, ns: int) -> int:
        self.wall += ns
        self.steady += ns
        return self.clock()


def test_it_begins_with_the_wall_clock_and_passes_with_it():
    clocks = Clocks()
    assert clocks.clock() == BEGAN
    assert [clocks.pass_by(step) - BEGAN for step in (1, 0, SECOND_NS, 10**15)] == [
        1,
        1,
        SECOND_NS + 1,
        10**15 + SECOND_NS + 1,
    ]
    assert clocks.told == []


def test_a_small_step_ahead_is_followed_at_once():
    clocks = Clocks()
    clocks.wall += JUMP_NS - 1
    assert clocks.clock() == BEGAN + JUMP_NS - 1
    assert clocks.pass_by(5) == BEGAN + JUMP_NS + 4


def test_after_a_small_step_back_it_stands_until_the_wall_clock_has_caught_up():
    clocks = Clocks()
    clocks.pass_by(SECOND_NS)
    clocks.wall -= 300
    stood = BEGAN + SECOND_NS
    assert [clocks.pass_by(100) - stood for _ in range(5)] == [0, 0, 0, 100, 200]
    assert clocks.told == []


def test_a_jump_ahead_is_not_followed_and_told_once():
    clocks = Clocks()
    clocks.wall += 3_600 * SECOND_NS
    assert [clocks.pass_by(10) - BEGAN for _ in range(3)] == [10, 20, 30]
    assert len(clocks.told) == 1
    assert "3600 s ahead of the venue's, which keeps its own pace" in clocks.told[0]


def test_a_jump_back_is_not_followed_and_told_once():
    clocks = Clocks()
    clocks.wall -= 90 * SECOND_NS
    assert [clocks.pass_by(10) - BEGAN for _ in range(3)] == [10, 20, 30]
    assert ["90 s behind" in line for line in clocks.told] == [True]


def test_a_step_of_exactly_a_jump_is_one():
    clocks = Clocks()
    clocks.wall += JUMP_NS
    assert clocks.clock() == BEGAN
    assert len(clocks.told) == 1


def test_when_the_clocks_agree_again_the_wall_clock_is_followed_and_the_next_jump_told():
    clocks = Clocks()
    clocks.wall += 60 * SECOND_NS
    clocks.pass_by(10)
    clocks.wall -= 60 * SECOND_NS - 500
    assert clocks.pass_by(10) == BEGAN + 520
    assert clocks.pass_by(10) == clocks.wall
    clocks.wall -= 60 * SECOND_NS
    clocks.pass_by(10)
    assert len(clocks.told) == 2


def test_a_machine_that_slept_wakes_to_a_jump():
    """Its wall clock went on, the other did not."""
    clocks = Clocks()
    clocks.wall += 8 * 3_600 * SECOND_NS
    assert clocks.pass_by(1) == BEGAN + 1
    assert len(clocks.told) == 1


def test_whatever_the_wall_clock_does_time_never_runs_back_nor_jumps(seed, scale):
    chance = random.Random(seed)
    clocks = Clocks()
    before = clocks.clock()
    for _ in range(20_000 * scale):
        step = chance.choice((0, 1, 1_000, SECOND_NS // 10))
        if chance.random() < 0.1:
            clocks.wall += chance.choice((-1, 1)) * chance.choice((1, 10**6, JUMP_NS - 1, JUMP_NS, 10**13))
        now = clocks.pass_by(step)
        assert before <= now < before + step + JUMP_NS
        before = now
