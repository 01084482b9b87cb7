"""The power fails under load: what was not synced is gone, or torn, and nothing answered is lost."""

from __future__ import annotations

from random import Random

import pytest

from exchange.server.supervisor import VenueFailed
from tests.fire.platter import Liar, lose_power, power
from tests.fire.rounds import LINES_A_ROUND

pytestmark = pytest.mark.slow


def test_four_power_cuts_lose_nothing_that_was_answered(world, tmp_path, seed, scale):
    """Whole and torn ones, at any moment and amid a sync; what was written and not synced is gone."""
    chance = Random(seed)
    platter = tmp_path / "platter"
    gone = []
    with power(platter):
        world.start()
        for number in range(4 * scale):
            world.more("order", chance.randint(1, 2 * LINES_A_ROUND))
            torn, amid_sync = bool(number & 1), bool(number & 2)
            gone.append(lose_power(world, platter, chance, is_torn=torn, amid_sync=amid_sync))
        world.more("order", LINES_A_ROUND)
        world.finish()
    assert world.differences() == []
    assert all(gone[2::4])
    assert world.counts["orders answered"] > 4 * LINES_A_ROUND


def test_a_disk_that_says_it_has_synced_and_has_not_is_found(world, tmp_path, seed):
    """By the reader who has been further; by a snapshot of later; by the gap before a segment of later."""
    platter = tmp_path / "platter"
    with power(platter, Liar):
        world.start()
        world.more("order", LINES_A_ROUND)
        world.until(lambda: world.folder.passed() > LINES_A_ROUND)
        told = r"has been passed|the venue has synced up to byte|the segment carries on after"
        with pytest.raises(VenueFailed, match=told):
            lose_power(world, platter, Random(seed), is_torn=False)
