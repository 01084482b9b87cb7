"""A book order by order: who stands where, what is ahead of whom, and what cannot be."""

from __future__ import annotations

import random

import pytest

from feeds.builder import BookBuilder, Books, Level, Place, RestingOrder, State
from feeds.messages import ORDERS_REFRESH
from feeds.queues import Queues
from matching.batch import match_on_tape
from matching.flow import random_flow
from matching.layout import empty_book
from tests.feeds.crafted import (
    BUY,
    FILLED,
    PLACED,
    SELL,
    TAKEN_OFF,
    depth,
    heartbeat,
    order_rows,
    orders,
    orders_refresh,
    placed,
    refresh,
)
from tests.feeds.naive import truth


@pytest.fixture
def book() -> BookBuilder:
    """A reader that joined at number 5: orders 1, 2 and 3 bid 10, order 4 asks 12."""
    book = BookBuilder(0, orders=True)
    book.take(orders_refresh(5, (1, BUY, 10, 3), (2, BUY, 10, 4), (3, BUY, 10, 5), (4, SELL, 12, 6)), now=0)
    return book


def test_a_refresh_has_the_orders_first_come_first(book):
    assert (book.state, book.number, book.wanted) == (State.LIVE, 5, ORDERS_REFRESH)
    assert book.queue(BUY, 10) == [(1, 3), (2, 4), (3, 5)]
    assert book.orders(SELL) == [RestingOrder(4, 12, 6)]
    assert (book.best_bid, book.best_ask) == (Level(10, 12, 3), Level(12, 6, 1))
    assert (book.bids, book.asks, book.depth(SELL, 5)) == ([Level(10, 12, 3)], [book.best_ask], book.asks)
    assert book.top == (10, 12, 12, 6, 3, 1)


def test_who_is_placed_stands_last(book):
    book.take(orders(6, *placed((5, BUY, 10, 1), (6, BUY, 11, 1))), now=0)
    assert book.queue(BUY, 10) == [(1, 3), (2, 4), (3, 5), (5, 1)]
    assert [one.order for one in book.orders(BUY)] == [6, 1, 2, 3, 5]


def test_who_has_fewer_lots_keeps_the_place_and_who_has_none_leaves_it(book):
    book.take(orders(6, (2, BUY, 10, 1, FILLED), (1, BUY, 10, 1, TAKEN_OFF)), now=0)
    assert book.queue(BUY, 10) == [(1, 1), (2, 1), (3, 5)]
    book.take(orders(7, (1, BUY, 10, 0, FILLED), (3, BUY, 10, 0, TAKEN_OFF)), now=0)
    assert book.queue(BUY, 10) == [(2, 1)]
    book.take(orders(8, (2, BUY, 10, 0, TAKEN_OFF), (4, SELL, 12, 0, FILLED)), now=0)
    assert (book.bids, book.asks, book.queue(BUY, 10), book.best_bid) == ([], [], [], None)


@pytest.mark.parametrize(
    ("moved", "bids", "asks"),
    [
        ((1, BUY, 10, 2), [2, 3, 1], [4]),
        ((1, BUY, 11, 2), [1, 2, 3], [4]),
        ((1, SELL, 12, 2), [2, 3], [4, 1]),
        ((4, SELL, 13, 2), [1, 2, 3], [4]),
    ],
)
def test_who_is_placed_anew_leaves_wherever_it_stood(book, moved, bids, asks):
    book.take(orders(6, *placed(moved)), now=0)
    assert [one.order for one in book.orders(BUY)] == bids
    assert [one.order for one in book.orders(SELL)] == asks
    assert all(level.orders > 0 for level in book.bids + book.asks)


def test_what_is_ahead_of_an_order(book):
    assert [book.place_of(order) for order in (1, 2, 3, 4)] == [
        Place(0, 0),
        Place(3, 1),
        Place(7, 2),
        Place(0, 0),
    ]
    book.take(orders(6, (1, BUY, 10, 1, FILLED), (2, BUY, 10, 0, TAKEN_OFF)), now=0)
    assert (book.place_of(3), book.place_of(2), book.place_of(99)) == (Place(lots=1, orders=1), None, None)


@pytest.mark.parametrize(
    "impossible",
    [
        (99, BUY, 10, 1, FILLED),
        (99, BUY, 10, 0, TAKEN_OFF),
        (9, BUY, 10, 0, PLACED),
        (9, BUY, 10, -1, PLACED),
        (9, 2, 10, 1, PLACED),
        (2, BUY, 10, 4, FILLED),
        (2, BUY, 10, 5, TAKEN_OFF),
        (2, BUY, 10, -1, FILLED),
        (2, BUY, 11, 1, FILLED),
        (2, SELL, 10, 1, FILLED),
    ],
)
def test_what_no_publisher_sends_leaves_no_book_and_is_asked_for(book, impossible):
    book.take(orders(6, *placed((8, BUY, 10, 1)), impossible), now=0)
    assert (book.state, book.bids, book.asks, book.losses) == (State.WAITING, [], [], 1)
    assert book.wants_refresh(now=0)
    book.take(orders(7, *placed((10, BUY, 9, 1))), now=0)
    book.take(orders_refresh(6, (8, BUY, 10, 1)), now=0)
    assert (book.state, book.number) == (State.LIVE, 7)
    assert [one.order for one in book.orders(BUY)] == [8, 10]


@pytest.mark.parametrize(
    "rows",
    [
        placed((1, BUY, 10, 0)),
        placed((1, BUY, 10, 1), (1, SELL, 11, 1)),
        placed((1, 2, 10, 1)),
        ((1, BUY, 10, 1, FILLED),),
    ],
)
def test_a_picture_that_cannot_be_is_not_taken(rows):
    book = BookBuilder(0, orders=True)
    book.take(refresh(5, *rows, kind=ORDERS_REFRESH), now=0)
    assert (book.state, book.bids) == (State.WAITING, [])


def test_numbers_and_gaps_are_those_of_orders_not_of_levels(book):
    book.take(depth(9, (BUY, 1, 1)), now=0)
    assert (book.state, book.number) == (State.LIVE, 5)
    book.take(heartbeat(6), now=0)
    assert (book.state, book.losses) == (State.GAPPED, 1)
    book.take(refresh(6, (BUY, 1, 1)), now=0)
    assert book.state == State.GAPPED
    book.take(orders(6, *placed((9, BUY, 9, 1))), now=0)
    assert book.state == State.LIVE


def test_books_of_orders_want_orders():
    books = Books([3], orders=True)
    books.add(4)
    books.add(5, orders=True)
    assert books.wanting(now=0) == [(ORDERS_REFRESH, 3), (b"R", 4), (ORDERS_REFRESH, 5)]


def test_queues_from_the_tape_are_the_engines_after_any_batch(seed, scale):
    venue, queues, chance = empty_book(1), Queues(), random.Random(seed)
    commands = random_flow(seed, 1_500 * scale, instruments=1)
    start = checked = 0
    while start < len(commands):
        stop = start + chance.randint(1, 12)
        venue, _, tape = match_on_tape(venue, commands[start:stop])
        start = stop
        rows = [
            tuple(int(row[name]) for name in ("order", "side", "price", "quantity", "change")) for row in tape
        ]
        queues.apply(order_rows(tuple(rows)))  # type: ignore[arg-type]
        told = truth(venue, 0)
        for side, engine_has, levels in ((BUY, told.buys, told.bids), (SELL, told.sells, told.asks)):
            assert [tuple(one) for one in queues.orders(side)] == engine_has
            assert [tuple(level) for level in queues.depth(side)] == levels
            assert queues.best(side) == (levels[0] if levels else None)
            checked += len(engine_has)
    assert checked > 1_000
