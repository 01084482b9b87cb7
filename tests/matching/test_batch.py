"""A whole batch: what is refused as it is written, how pools grow, how many events there may be."""

from __future__ import annotations

import numpy as np
import pytest

from matching.batch import EVENTS_AT_FIRST, match
from matching.invariants import check
from matching.layout import COMMAND, ORDER, empty_book
from matching.reference import Command, Market, ReferenceBook, events_from
from matching.view import depth_of, level_quantity, orders_of
from matching.vocabulary import (
    NO_SLOT,
    NOTIONAL_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    SLICES_MAX,
    SLICES_OPEN_MAX,
    CommandKind,
    EventKind,
    Phase,
    RejectReason,
    Side,
    TimeInForce,
)
from tests.matching.stories import array_of

Change = dict[str, int]
INT64 = np.iinfo(np.int64)

SOUND = Command(order=7, price=2_000_000, quantity=1, member=1, group=1)
"""At this price the quantity alone may make the notional too large: below 2**20 hao it cannot."""

FAULTS: list[tuple[Change, RejectReason]] = [
    ({"instrument": 3}, RejectReason.UNKNOWN_INSTRUMENT),
    ({"instrument": -1}, RejectReason.UNKNOWN_INSTRUMENT),
    ({"side": 2}, RejectReason.UNKNOWN_SIDE),
    ({"type": 250}, RejectReason.UNKNOWN_TYPE),
    ({"time_in_force": 250}, RejectReason.UNKNOWN_TIME_IN_FORCE),
    ({"price": 0}, RejectReason.PRICE_NOT_POSITIVE),
    ({"price": -100}, RejectReason.PRICE_NOT_POSITIVE),
    ({"price": PRICE_MAX + 1}, RejectReason.PRICE_TOO_LARGE),
    ({"price": 101, "instrument": 1}, RejectReason.PRICE_OFF_TICK),
    ({"price": SOUND.price + 1, "instrument": 1}, RejectReason.PRICE_OFF_TICK),
    ({"quantity": 0}, RejectReason.QUANTITY_NOT_POSITIVE),
    ({"quantity": -1}, RejectReason.QUANTITY_NOT_POSITIVE),
    ({"quantity": INT64.min}, RejectReason.QUANTITY_NOT_POSITIVE),
    ({"price": 1, "quantity": QUANTITY_MAX + 1}, RejectReason.QUANTITY_TOO_LARGE),
    ({"quantity": QUANTITY_MAX + 1}, RejectReason.QUANTITY_TOO_LARGE),
    ({"quantity": INT64.max}, RejectReason.QUANTITY_TOO_LARGE),
    ({"quantity": NOTIONAL_MAX // SOUND.price + 1}, RejectReason.NOTIONAL_TOO_LARGE),
    ({"quantity": QUANTITY_MAX}, RejectReason.NOTIONAL_TOO_LARGE),
    (
        {"price": NOTIONAL_MAX // QUANTITY_MAX + 1, "quantity": QUANTITY_MAX},
        RejectReason.NOTIONAL_TOO_LARGE,
    ),
    (
        {"price": PRICE_MAX, "quantity": NOTIONAL_MAX // PRICE_MAX + 1},
        RejectReason.NOTIONAL_TOO_LARGE,
    ),
    ({"instrument": 2}, RejectReason.INSTRUMENT_NOT_OPEN),
    ({"order": 0}, RejectReason.ORDER_NOT_POSITIVE),
    ({"order": -1}, RejectReason.ORDER_NOT_POSITIVE),
    ({"order": INT64.min}, RejectReason.ORDER_NOT_POSITIVE),
    ({"order": 5}, RejectReason.DUPLICATE_ORDER),
    ({"kind": CommandKind.ACT}, RejectReason.UNKNOWN_KIND),
    ({"kind": 250}, RejectReason.UNKNOWN_KIND),
]
"""What is wrong with a command, and the reason that is told, from the top of the ladder to its foot."""

MARKETS = [Market(), Market(tick=5), Market(phase=Phase.HALTED)]


def answer_to(command: Command) -> tuple[int, int]:
    """Return the kind and reason of what the kernels, and the reference, say first to a command."""
    book = empty_book(3)
    book.markets["tick"] = [market.tick for market in MARKETS]
    book.markets["phase"] = [market.phase for market in MARKETS]
    resting = SOUND._replace(order=5, price=1)
    _, events = match(book, array_of([resting, command]))
    twin = ReferenceBook(MARKETS)
    assert events_from(events) == twin.apply_all([resting, command])
    return int(events[1]["kind"]), int(events[1]["reason"])


@pytest.mark.parametrize(("change", "reason"), FAULTS)
def test_a_command_with_one_fault_is_refused_with_its_reason(change, reason):
    assert answer_to(SOUND._replace(**change)) == (EventKind.REJECTED, reason)


@pytest.mark.parametrize("rung", range(len(FAULTS)))
def test_of_two_faults_the_one_higher_on_the_ladder_is_told(rung):
    above, reason = FAULTS[rung]
    if reason in {RejectReason.UNKNOWN_KIND}:
        return
    for below, _ in FAULTS[rung + 1 : -2]:
        if not set(below) & set(above):
            assert answer_to(SOUND._replace(**below, **above)) == (EventKind.REJECTED, reason)


def test_a_sound_command_is_accepted():
    assert answer_to(SOUND) == (EventKind.ACCEPTED, RejectReason.NONE)


@pytest.mark.parametrize(
    "change",
    [
        {"price": PRICE_MAX},
        {"price": PRICE_MAX, "quantity": NOTIONAL_MAX // PRICE_MAX},
        {"quantity": NOTIONAL_MAX // SOUND.price},
        {"price": NOTIONAL_MAX // QUANTITY_MAX, "quantity": QUANTITY_MAX},
        {"price": 1, "quantity": QUANTITY_MAX},
        {"price": 1, "quantity": QUANTITY_MAX, "side": Side.SELL},
        {"order": INT64.max},
        {"order": 1},
    ],
)
def test_the_last_that_is_allowed_is_accepted(change):
    assert answer_to(SOUND._replace(**change)) == (EventKind.ACCEPTED, RejectReason.NONE)


def test_a_refusal_repeats_what_was_said():
    said = Command(order=7, price=-3, quantity=9, instrument=1, member=4, side=1)
    _, events = match(empty_book(2), array_of([said]))
    [event] = events
    fields = ("order", "price", "quantity", "instrument", "side", "leaves", "maker_order", "slot")
    assert [int(event[name]) for name in fields] == [7, -3, 9, 1, 1, 0, 0, NO_SLOT]


def test_another_dtype_is_refused_with_the_one_that_is_wanted():
    with pytest.raises(TypeError, match=r"matching\.layout\.COMMAND"):
        match(empty_book(1), np.zeros(3, ORDER))


def test_no_commands_no_events():
    book, events = match(empty_book(1), np.zeros(0, COMMAND))
    assert len(events) == 0
    check(book)


def test_a_book_without_instruments_refuses_and_stands():
    book, events = match(empty_book(), array_of([SOUND, SOUND._replace(kind=CommandKind.END_DAY)]))
    assert events["reason"].tolist() == [RejectReason.UNKNOWN_INSTRUMENT]
    check(book)


def test_pools_grow_when_they_are_full_and_nothing_is_lost():
    count = 5_000
    tape = np.zeros(count, COMMAND)
    tape["order"] = np.arange(count) + 1
    tape["price"] = 1 + np.arange(count) * 1_009
    tape["quantity"] = 1
    book, _ = match(empty_book(1), tape)
    assert min(len(book.orders), len(book.levels), len(book.nodes), len(book.heads)) >= count
    check(book)
    assert orders_of(book, 0, Side.BUY)["id"].tolist() == list(range(count, 0, -1))


def test_one_command_may_cause_more_events_than_there_was_room_for():
    count = EVENTS_AT_FIRST + 1_000
    tape = np.zeros(count + 2, COMMAND)
    tape["order"] = np.arange(count + 2) + 1
    tape["price"], tape["quantity"], tape["side"] = 100, 1, Side.SELL
    tape["time_in_force"][: count // 2] = TimeInForce.DAY
    tape["kind"][-2] = CommandKind.END_DAY
    tape["side"][-1], tape["quantity"][-1] = Side.BUY, count
    book, events = match(empty_book(1), tape)
    kinds = np.bincount(events["kind"], minlength=8)
    assert kinds[EventKind.EXPIRED] == count // 2
    assert kinds[EventKind.TRADED] == count - count // 2
    assert events["command"][-1] == count + 1
    check(book)


def test_slots_left_are_taken_again():
    book = empty_book(1)
    for number in range(1, 21):
        rest = SOUND._replace(order=number, price=100 + number)
        book, _ = match(book, array_of([rest, rest._replace(kind=CommandKind.CANCEL)]))
    assert [int(book.counts[0][name]) for name in ("orders_used", "levels_used")] == [1, 1]
    check(book)


def test_a_level_sums_whatever_is_accepted():
    count = 4_000
    huge = SOUND._replace(price=1, quantity=QUANTITY_MAX)
    book, events = match(empty_book(1), array_of([huge._replace(order=n + 1) for n in range(count)]))
    check(book)
    assert (events["kind"] == EventKind.ACCEPTED).all()
    assert depth_of(book, 0, Side.BUY, 1).tolist() == [[1, count * QUANTITY_MAX, count]]
    assert 1_000 * count * QUANTITY_MAX <= INT64.max, "vocabulary.QUANTITY_MAX speaks of four million"


def test_depth_counts_lots_and_orders_from_the_best_price_on():
    rest = [(100, 3), (102, 1), (100, 4), (99, 5)]
    commands = [
        SOUND._replace(order=number, price=price, quantity=quantity)
        for number, (price, quantity) in enumerate(rest, start=1)
    ]
    book, _ = match(empty_book(1), array_of(commands))
    assert depth_of(book, 0, Side.BUY, 10).tolist() == [[102, 1, 1], [100, 7, 2], [99, 5, 1]]
    assert depth_of(book, 0, Side.BUY, 2).tolist() == [[102, 1, 1], [100, 7, 2]]
    assert depth_of(book, 0, Side.SELL, 10).tolist() == []
    assert [level_quantity(book, 0, Side.BUY, price) for price in (102, 101, 100)] == [1, 0, 7]
    assert level_quantity(book, 0, Side.BUY, 10**15) == 0
    assert level_quantity(book, 0, Side.SELL, 100) == 0


def test_a_book_that_has_grown_is_history():
    first = empty_book(1)
    orders = [SOUND._replace(order=number, price=number) for number in range(1, 500)]
    second, _ = match(first, array_of(orders))
    with pytest.raises(ValueError, match="go on with the book that match returned"):
        match(first, array_of([SOUND]))
    check(second)


@pytest.mark.parametrize("tick", [0, -1, PRICE_MAX + 1])
def test_a_tick_is_a_price(tick):
    with pytest.raises(ValueError, match="is no price"):
        empty_book(1, tick)


def test_open_icebergs_have_only_so_many_slices():
    iceberg = SOUND._replace(price=1, quantity=SLICES_MAX, display_quantity=1)
    fit = SLICES_OPEN_MAX // (SLICES_MAX + 1) + 1
    tape = [iceberg._replace(order=number) for number in range(1, fit + 2)]
    tape += [SOUND._replace(order=fit + 2, price=1)]
    tape += [SOUND._replace(order=1, kind=CommandKind.CANCEL), iceberg._replace(order=fit + 3)]
    book, rows = match(empty_book(1), array_of(tape))
    events = events_from(rows)
    assert events == ReferenceBook([Market()]).apply_all(tape)
    assert [event.order for event in events if event.reason == RejectReason.BOOK_FULL] == [fit + 1]
    assert events[-1].kind == EventKind.ACCEPTED
    check(book)
