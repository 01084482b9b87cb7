"""Edges of ids, stops and calls that a mutant of theirs once crossed unseen."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest

from matching.batch import match, roomier
from matching.ids import find, forget, head_of, remember
from matching.layout import empty_book, empty_heads
from matching.reference import Command, Market
from matching.rows import market_at
from matching.stops import waits_at
from matching.vocabulary import NO_SLOT, OrderType, Phase, Side
from matching.waiting import is_later, note_lots, stamp
from tests.matching.differential import book_of
from tests.matching.stories import array_of

_ENTRIES = 2**32


def test_places_in_calls_are_counted_round_and_whoever_came_later_is_later():
    book = roomier(empty_book(), 8)
    book.counts["entries"] = _ENTRIES - 3
    for slot in range(4):
        stamp(book, slot)
    assert book.orders["entry"][:4].tolist() == [_ENTRIES - 2, _ENTRIES - 1, 1, 2]
    assert [is_later(book, later, earlier) for earlier, later in pairwise(range(4))] == [True] * 3
    assert [is_later(book, earlier, later) for earlier, later in pairwise(range(4))] == [False] * 3


def test_only_who_is_parked_waits_for_a_price():
    """Of an iceberg in the book, a parked stop, one that was triggered, and an order with nothing more."""
    book, _ = match(
        book_of([Market(last=100)]),
        array_of(
            [
                Command(order=1, price=90, quantity=9, display_quantity=3),
                Command(order=2, price=130, quantity=1, type=OrderType.STOP_LIMIT, stop_price=120),
                Command(order=3, price=80, quantity=1, type=OrderType.STOP_LIMIT, stop_price=99),
                Command(order=4, price=70, quantity=1),
            ]
        ),
    )
    assert [waits_at(book, find(book, order)) for order in (1, 2, 3, 4)] == [0, 120, 0, 0]


@pytest.mark.parametrize(
    ("order", "demand", "supply"),
    [(1, 7, 0), (2, 0, 0), (3, 7, 0), (4, 0, 7), (5, 0, 0), (6, 0, 0), (7, 0, 7)],
)
def test_a_call_reckons_with_whoever_stands_in_it_within_the_price_and_with_no_parked_stop(
    order, demand, supply
):
    """At 100: a buy, a parked buy, an iceberg, two sells, a buy below, and a sell at the price itself."""
    book, _ = match(
        book_of([Market(last=100, phase=Phase.PRE_OPEN)]),
        array_of(
            [
                Command(order=1, price=100, quantity=9),
                Command(order=2, price=130, quantity=9, type=OrderType.STOP_LIMIT, stop_price=120),
                Command(order=3, price=101, quantity=9, display_quantity=3),
                Command(order=4, price=99, quantity=9, side=Side.SELL),
                Command(order=5, price=101, quantity=9, side=Side.SELL),
                Command(order=6, price=99, quantity=9),
                Command(order=7, price=100, quantity=9, side=Side.SELL),
            ]
        ),
    )
    book.markets["cut_price"], book.markets["cut_demand"], book.markets["cut_supply"] = 100, 20, 30
    note_lots(book, find(book, order), 7)
    market = market_at(book, 0)
    assert (market.cut_demand - 20, market.cut_supply - 30) == (demand, supply)


@pytest.mark.parametrize("slots", [*permutations(range(3))])
@pytest.mark.parametrize("gone", range(3))
def test_whoever_leaves_a_chain_of_ids_the_others_are_found(slots, gone):
    """Three orders whose ids come to one head, in slots of any order."""
    book = roomier(empty_book(), 8)._replace(heads=empty_heads(2))
    ids = [order for order in range(1, 20) if head_of(order, 1) == 0][:3]
    for order, slot in zip(ids, slots, strict=True):
        book.orders["id"][slot] = order
        remember(book, slot)
    forget(book, slots[gone])
    found = [find(book, order) for order in ids]
    assert found == [NO_SLOT if number == gone else slot for number, slot in enumerate(slots)]
