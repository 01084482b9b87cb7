"""Edges of the book's small rules, each with the values on both sides of it: what a mutant crosses unseen."""

from __future__ import annotations

import pytest

from matching.auction import nearest_tick
from matching.collars import collar_of, is_beyond
from matching.protection import whole_ticks, width_of, within_bounds
from matching.reference import Market
from matching.rows import market_at
from matching.vocabulary import PRICE_MAX, RejectReason
from tests.matching.differential import book_of


@pytest.mark.parametrize(
    ("price", "tick", "down", "up", "nearest"),
    [
        (100, 1, 100, 100, 100),
        (100, 5, 100, 100, 100),
        (101, 5, 100, 105, 100),
        (102, 5, 100, 105, 100),
        (103, 5, 100, 105, 105),
        (104, 5, 100, 105, 105),
        (102, 4, 100, 104, 104),  # as near to both: the higher
        (2_499, 2_500, 0, 2_500, 2_500),
    ],
)
def test_a_price_on_the_grid(price, tick, down, up, nearest):
    assert whole_ticks(price, tick, False) == down
    assert whole_ticks(price, tick, True) == up
    assert nearest_tick(price, tick) == nearest


@pytest.mark.parametrize(
    ("price", "tick", "bounded"),
    [
        (1, 1, 1),
        (0, 1, 1),
        (-7, 1, 1),
        (0, 5, 5),
        (3, 5, 5),
        (PRICE_MAX + 1, 1, PRICE_MAX),
        (PRICE_MAX, 1, PRICE_MAX),
    ],
)
def test_a_price_within_its_bounds(price, tick, bounded):
    assert within_bounds(price, tick) == bounded


@pytest.mark.parametrize(
    ("price", "base", "collar", "beyond"),
    [
        (1_100, 1_000, 100, False),
        (1_101, 1_000, 100, True),
        (900, 1_000, 100, False),
        (899, 1_000, 100, True),
        (1_001, 1_000, 1, False),
        (1_002, 1_000, 1, True),
        (1_000, 1_000, 1, False),
        (1, 1_000, 0, False),  # no collar
        (1_101, 0, 100, False),  # nothing to lie about
        (1_019, 1_009, 10, False),  # 10.09 is 10 whole hao
        (1_020, 1_009, 10, True),
    ],
)
def test_a_collar_is_met_one_hao_beyond_it(price, base, collar, beyond):
    assert is_beyond(price, base, collar) == beyond


@pytest.mark.parametrize(
    ("base", "collar", "width"),
    [
        (1_000, 100, 100),
        (1_009, 10, 10),
        (999, 1, 0),
        (1, 2**31 - 1, 2_147_483),
        (PRICE_MAX, 1, PRICE_MAX // 1_000),
    ],
)
def test_a_collar_reaches_so_many_whole_hao(base, collar, width):
    assert width_of(base, collar) == width


@pytest.mark.parametrize(
    ("static", "dynamic", "told"),
    [
        (10, 10, RejectReason.STATIC_COLLAR),
        (0, 10, RejectReason.DYNAMIC_COLLAR),
        (200, 10, RejectReason.DYNAMIC_COLLAR),
        (10, 200, RejectReason.STATIC_COLLAR),
        (200, 200, RejectReason.NONE),
        (0, 0, RejectReason.NONE),
    ],
)
def test_of_two_collars_the_static_one_is_told_first(static, dynamic, told):
    book = book_of([Market(reference=1_000, static_collar=static, dynamic_collar=dynamic)])
    assert collar_of(market_at(book, 0), 1_000, 1_100) == told
