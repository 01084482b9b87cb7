"""The heap of expiries, against sorted(); and the lots that an iceberg shows and hides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.batch import match, roomier
from matching.extras import await_expiry, forget_expiry, hide, open_lots, shows_enough
from matching.invariants import check
from matching.layout import NEVER, Book, empty_book
from matching.reference import Command
from matching.vocabulary import NO_SLOT, SLICES_MAX, CommandKind, EventKind, TimeInForce
from tests.matching.stories import array_of

TIMES = st.integers(1, 9)
ROOM = 64


def book_of_extras() -> Book:
    """Return a book where the order in each slot has the extra of the same number, and nothing is due."""
    book = roomier(empty_book(), ROOM)
    slots = range(ROOM)
    book.orders["extra"][:ROOM] = book.extras["slot"][:ROOM] = book.extras["arrival"][:ROOM] = slots
    book.extras["due"][:ROOM] = NO_SLOT
    return book


def assert_heap_holds(book: Book, waiting: dict[int, int]) -> None:
    """Assert that the heap holds exactly these slots and times, each knowing its row, the soonest first."""
    heap = book.expiries[: book.counts["expiries"][0]]
    assert dict(heap[["slot", "expires_at"]].tolist()) == waiting
    assert len(heap) == len(waiting)
    assert book.extras["due"][heap["slot"]].tolist() == [*range(len(heap))]
    assert [slot for slot in range(ROOM) if book.extras["due"][slot] != NO_SLOT] == sorted(waiting)
    soonest = sorted((expires_at, slot) for slot, expires_at in waiting.items())
    assert book.counts["next_expiry"][0] == (soonest[0][0] if soonest else NEVER)
    assert [int(heap["slot"][0])] == [soonest[0][1]] if soonest else not len(heap)


@given(st.lists(TIMES, max_size=ROOM))
def test_orders_expire_soonest_first_and_at_equal_times_in_order_of_arrival(times):
    book = book_of_extras()
    for slot, expires_at in enumerate(times):
        await_expiry(book, slot, expires_at)
    expired = []
    while book.counts["expiries"][0] > 0:
        expired.append(int(book.expiries["slot"][0]))
        forget_expiry(book, 0)
    assert expired == sorted(range(len(times)), key=lambda slot: (times[slot], slot))
    assert_heap_holds(book, {})


@given(st.lists(st.tuples(st.integers(0, 15), TIMES), max_size=80))
def test_the_heap_holds_what_a_dict_holds_whoever_leaves_it(changes):
    book = book_of_extras()
    waiting: dict[int, int] = {}
    for slot, expires_at in changes:
        if slot in waiting:
            forget_expiry(book, int(book.extras["due"][slot]))
            waiting.pop(slot)
        else:
            await_expiry(book, slot, expires_at)
            waiting[slot] = expires_at
        assert_heap_holds(book, waiting)


@given(st.lists(TIMES, min_size=1, max_size=40), st.data())
def test_the_clock_ends_who_is_due_and_nobody_else(times, data):
    gone = data.draw(st.sets(st.integers(1, len(times))))
    now = data.draw(TIMES)
    book, _ = match(
        empty_book(1),
        array_of(
            [
                *(timed(number, expires_at) for number, expires_at in enumerate(times, start=1)),
                *(Command(order=number, kind=CommandKind.CANCEL) for number in sorted(gone)),
            ]
        ),
    )
    check(book)
    book, events = match(book, array_of([Command(kind=CommandKind.CLOCK, time=now)]))
    check(book)
    due = sorted(
        (expires_at, number) for number, expires_at in enumerate(times, start=1) if expires_at <= now
    )
    assert set(events["kind"].tolist()) <= {EventKind.EXPIRED}
    assert events["order"].tolist() == [number for _, number in due if number not in gone]


def timed(number: int, expires_at: int) -> Command:
    """Return an order that expires at a time of its own."""
    return Command(order=number, price=100, quantity=1, time_in_force=TimeInForce.GTD, expires_at=expires_at)


@pytest.mark.parametrize(
    ("display", "leaves", "shown"),
    [(0, 10, 10), (3, 10, 3), (9, 10, 9), (10, 10, 10), (11, 10, 10), (1, 1, 1)],
)
def test_an_iceberg_shows_at_most_its_slice_and_loses_no_lot(display, leaves, shown):
    book = book_of_extras()
    book.orders["leaves"][5] = leaves
    book.extras["display"][5] = display
    hide(book, 5)
    assert book.orders["leaves"][5] == shown
    assert open_lots(book, 5) == leaves


@given(st.integers(0, 2**41), st.integers(1, 2**41))
def test_an_iceberg_has_so_many_slices_at_most(display, quantity):
    slices = -(-quantity // display) if display else 1
    assert shows_enough(display, quantity) == (slices <= SLICES_MAX)
