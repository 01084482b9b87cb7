"""The table from id to slot, against a dict."""

from __future__ import annotations

import numpy as np
import pytest

from matching.places import empty_places, find, forget, home_of, remember
from matching.vocabulary import NO_SLOT

SIZE = 256
INT64 = np.iinfo(np.int64)


def ids_at(home: int, count: int) -> list[int]:
    """Return ids that are all looked for first at one place."""
    candidates = range(1, 10**9)
    return [key for key, _ in zip(keys_at(candidates, home), range(count), strict=False)]


def keys_at(candidates, home):
    return (key for key in candidates if home_of(key, SIZE - 1) == home)


POPULATIONS = {
    "one after the other": list(range(1, 301)),
    "far apart": [number * 2**40 + 3 for number in range(300)],
    "of either sign": [number for number in range(-150, 151) if number],
    "at the ends of int64": [INT64.min + n for n in range(150)] + [INT64.max - n for n in range(150)],
    "all at one place": ids_at(77, 60),
    "all at the last place": ids_at(SIZE - 1, 60),
    "at two places that meet": ids_at(10, 40) + ids_at(12, 40),
    "about the seam": ids_at(SIZE - 2, 30) + ids_at(SIZE - 1, 30) + ids_at(0, 30),
}


@pytest.mark.parametrize("population", POPULATIONS)
def test_the_table_finds_what_a_dict_finds(population, seed, scale):
    rng = np.random.default_rng(seed)
    ids = POPULATIONS[population]
    places = empty_places(SIZE)
    noted: dict[int, int] = {}
    for step in range(2_000 * scale):
        key = ids[int(rng.integers(len(ids)))]
        if key in noted:
            forget(places, key, noted.pop(key))
        elif 2 * len(noted) < SIZE:
            noted[key] = int(rng.integers(2**31))
            remember(places, key, noted[key])
        assert find(places, key) == noted.get(key, NO_SLOT)
        if step % 50 == 0:
            assert [find(places, other) for other in ids] == [noted.get(other, NO_SLOT) for other in ids]
            held = places[places["slot"] != NO_SLOT]
            assert dict(zip(held["id"].tolist(), held["slot"].tolist(), strict=True)) == noted


def test_orders_of_long_ago_do_not_crowd_out_those_of_today():
    places = empty_places(4_096)
    ids = [*range(1, 1_001), *range(4_097, 5_097)]
    for slot, key in enumerate(ids):
        remember(places, key, slot)
    at = {int(places["id"][place]): place for place in np.flatnonzero(places["slot"] != NO_SLOT)}
    steps = [(at[key] - home_of(key, 4_095)) % 4_096 for key in ids]
    assert sum(steps) < 5 * len(ids)


@pytest.mark.parametrize("mask", [3, SIZE - 1, 2**20 - 1])
def test_four_neighbouring_ids_share_a_line(mask, seed):
    lines = np.random.default_rng(seed).integers(INT64.min >> 2, INT64.max >> 2, 1_000).tolist()
    for line in (0, 1, -1, INT64.min >> 2, INT64.max >> 2, *lines):
        homes = [home_of((line << 2) + number, mask) for number in range(4)]
        assert homes[0] % 4 == 0
        assert homes == list(range(homes[0], homes[0] + 4))
        assert 0 <= homes[0] <= mask


@pytest.mark.parametrize("stride", [4, 2**10, 2**21, 2**31, 2**40, 2**50])
def test_lines_are_scattered_however_far_apart_they_lie(stride):
    homes = {home_of(number * stride, 4_095) for number in range(1_024)}
    assert len(homes) > 400, "of 1,024 lines; chance alone would meet some 650"


def test_an_empty_table_holds_nothing():
    places = empty_places(8)
    assert [find(places, key) for key in (0, 1, -1, INT64.min, INT64.max)] == [NO_SLOT] * 5


def test_what_was_forgotten_leaves_no_trace():
    places = empty_places(8)
    for round_number in range(100):
        remember(places, 5, round_number)
        forget(places, 5, round_number)
    assert (places["slot"] == NO_SLOT).all()
