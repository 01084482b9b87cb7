"""The check of every invariant passes sound books, and names what is wrong with a broken one."""

from __future__ import annotations

import numpy as np
import pytest

from matching.batch import match
from matching.invariants import check, faults_of
from matching.layout import Book, empty_book
from matching.reference import Command
from matching.vocabulary import NO_SLOT, Phase, Side, TimeInForce
from tests.matching.stories import array_of


def book_with_orders() -> Book:
    """Return a book of two instruments: two levels, three orders a side in the first, and gaps."""
    prices = {Side.BUY: (100, 100, 7), Side.SELL: (101, 101, 50_000)}
    commands = [
        Command(order=10 * side + number, price=price, quantity=5 + number, member=1, side=side)
        for side in Side
        for number, price in enumerate(prices[side], start=1)
    ]
    commands += [
        Command(order=99, price=100, quantity=1, member=1, side=Side.BUY),
        Command(order=98, price=3, quantity=1, member=1, side=Side.BUY),
        Command(order=99, kind=1),
        Command(order=98, kind=1),
    ]
    book, _ = match(empty_book(2), array_of(commands))
    return book


BOOK = book_with_orders()
BIDS, ASKS = 0, 1
FIRST_BID = int(BOOK.levels["first"][BOOK.halves["best"][BIDS]])
BEST_BID = int(BOOK.halves["best"][BIDS])
BEST_ASK = int(BOOK.halves["best"][ASKS])
LEAF = int(BOOK.levels["node"][BEST_BID])
ROOT = int(BOOK.halves["root"][ASKS])
PLACE = int(np.flatnonzero(BOOK.places["slot"] != NO_SLOT)[0])

BROKEN = [
    ("orders", "leaves", FIRST_BID, 5, "quantity 13, but its orders sum to 12"),
    ("orders", "leaves", FIRST_BID, 9, "has 9 open of 6"),
    ("orders", "leaves", FIRST_BID, 0, "has 0 open of 6"),
    ("orders", "ahead", FIRST_BID, 3, "says 3 is ahead, but -1 is"),
    ("orders", "behind", FIRST_BID, FIRST_BID, "is reached twice"),
    ("orders", "behind", FIRST_BID, NO_SLOT, "is called the last, but"),
    ("orders", "behind", FIRST_BID, 1_000_000, "slot 1000000 is outside of the pool"),
    ("orders", "level", FIRST_BID, 3, "says it stands at level 3"),
    ("orders", "price", FIRST_BID, 99, "has price 99, which is not this level's"),
    ("orders", "side", FIRST_BID, Side.SELL, "is of side 1 of instrument 0"),
    ("orders", "instrument", FIRST_BID, 1, "is of side 0 of instrument 1"),
    ("orders", "time_in_force", FIRST_BID, TimeInForce.IOC, "must not rest"),
    ("orders", "id", FIRST_BID, 4_000, "order 4000 rests in slot 0, but the table finds -1"),
    ("levels", "quantity", BEST_BID, 12, "quantity 12, but its orders sum to 13"),
    ("levels", "orders", BEST_BID, 3, "counts 3 orders, but slots [0, 1] stand there"),
    ("levels", "first", BEST_BID, NO_SLOT, "stands, and has no first order"),
    ("levels", "last", BEST_BID, FIRST_BID, "slot 0 is called the last, but 1 is"),
    ("levels", "key", BEST_BID, -100, "says its key is -100"),
    ("levels", "node", BEST_BID, 3, "says its leaf is 3"),
    ("nodes", "occupied", LEAF, 0, "is empty, and still stands"),
    ("nodes", "occupied", LEAF, -1, "is 1, but the child there is -1"),
    ("nodes", "parent", LEAF, 9, "says its parent is 9"),
    ("nodes", "digit", LEAF, 60, "says its digit is 60"),
    ("halves", "root", BIDS, NO_SLOT, "counts 3 orders, but 0 stand there"),
    ("halves", "root", BIDS, ROOT, "is reached twice"),
    ("halves", "height", BIDS, 0, "outside of the pool|reached twice|says its key is"),
    ("halves", "prefix", BIDS, 5, "says its key is"),
    ("halves", "best", BIDS, NO_SLOT, "is called the best, but level"),
    ("halves", "best_key", BIDS, -100, "is called the best, but level"),
    ("halves", "best", 2, 0, "level 0 is called the best, but none stands"),
    ("halves", "leaf", ASKS, LEAF, "is no leaf of this tree"),
    ("halves", "leaf_prefix", ASKS, 12, "covers prefix"),
    ("halves", "orders", ASKS, 2, "counts 2 orders, but 3 stand there"),
    ("halves", "levels", ASKS, 3, "counts 3 levels, but 2 stand there"),
    ("markets", "tick", 0, 3, "on a tick of 3"),
    ("places", "slot", PLACE, NO_SLOT, "the table holds 5 slots, 6 rest"),
    ("places", "slot", PLACE, 500, "the table holds 6 slots, 6 rest"),
    ("places", "id", PLACE, 12_345, "but the table finds -1"),
    ("counts", "open_orders", 0, 5, "the book counts 5 open orders, but 6 rest"),
    ("counts", "orders_free", 0, NO_SLOT, "pool of orders: neither in use nor freed: [6, 7]"),
    ("counts", "orders_free", 0, FIRST_BID, "pool of orders: in use and freed: [0"),
    ("counts", "orders_used", 0, 9, "pool of orders: neither in use nor freed: [8]"),
    ("counts", "orders_used", 0, 10**6, "pool of orders: 1000000 of 1024 are called used"),
    ("counts", "levels_free", 0, NO_SLOT, "pool of levels: neither in use nor freed: [4]"),
    ("counts", "levels_used", 0, 6, "pool of levels: neither in use nor freed: [5]"),
    ("counts", "nodes_used", 0, 200, "pool of nodes: neither in use nor freed"),
    ("counts", "nodes_free", 0, ROOT, "pool of nodes: in use and freed"),
]


def test_a_sound_book_passes():
    check(BOOK)
    check(empty_book())
    check(empty_book(3, tick=5))


@pytest.mark.parametrize(("table", "field", "row", "value", "told"), BROKEN)
def test_what_is_broken_is_named(table, field, row, value, told):
    book = book_with_orders()
    assert int(getattr(book, table)[field][row]) != value, "nothing would be broken"
    getattr(book, table)[field][row] = value
    with pytest.raises(AssertionError, match="the book is broken") as raised:
        check(book)
    told_by_any = [part in str(raised.value) for part in told.split("|")]
    assert any(told_by_any), str(raised.value)


def test_a_child_that_no_bit_tells_of_is_named():
    book = book_with_orders()
    book.children[LEAF, 0 if book.children[LEAF, 0] == NO_SLOT else 1] = 3
    assert any("is 0, but the child there is 3" in fault for fault in faults_of(book))


def test_children_of_a_node_not_in_use_are_named():
    book = book_with_orders()
    book.children[100, 7] = 0
    assert faults_of(book) == ["node 100 is not in use, and has children"]


def test_a_chain_of_freed_slots_that_runs_in_a_circle_is_named():
    book = book_with_orders()
    book.orders["behind"][book.counts["orders_free"][0]] = book.counts["orders_free"][0]
    assert any("runs in a circle" in fault for fault in faults_of(book))


def test_a_freed_slot_with_something_open_is_named():
    book = book_with_orders()
    book.orders["leaves"][book.counts["orders_free"][0]] = 1
    assert faults_of(book) == ["order slot 7 is freed, and has 1 open"]


def test_a_crossed_book_is_named_while_it_trades():
    crossed = crossing(book_with_orders())
    assert any("instrument 0 is crossed: bid" in fault for fault in faults_of(crossed))
    crossed.markets["phase"][0] = Phase.HALTED
    assert faults_of(crossed) == []


def crossing(book: Book) -> Book:
    """Return the book with a buy above the best sell, as only a phase without trades lets it be."""
    asks = book.halves[ASKS].copy()
    book.halves[ASKS] = empty_book(1).halves[ASKS]
    book, _ = match(book, array_of([Command(order=50, price=105, quantity=1, member=2)]))
    book.halves[ASKS] = asks
    return book


def test_the_twentieth_fault_is_the_last_that_is_told():
    book = book_with_orders()
    book.children[100:150, 7] = 0
    with pytest.raises(AssertionError, match="and 30 more"):
        check(book)
