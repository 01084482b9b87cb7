"""The feed's law: the book that a reader builds is the engine's book, order by order, at each sequence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from copy import deepcopy
from itertools import combinations

import numpy as np
import pytest

from feeds.builder import Books, State
from feeds.messages import (
    FAST_VIEW,
    LEVELS_REFRESH,
    ORDERS_REFRESH,
    SLOW_VIEW,
    VIEW_LEVELS,
    Depth,
    Document,
    Heartbeat,
    Indicative,
    Orders,
    Picture,
    Quote,
    Status,
    Trades,
    read,
)
from feeds.records import ORDER_UPDATE, LastNumbers, TradePrint
from matching.view import parked_of, waiting_of
from matching.vocabulary import EventKind, QueueChange, Side
from tests.feeds.flow import (
    Flow,
    Queues,
    Venue,
    everything,
    market_of,
    market_seen,
    queues_of,
    seen,
    truth,
)
from tests.feeds.reading import Broken, Reading, law_broken


def plain(seed: int, commands: int) -> Iterator[np.ndarray]:
    return Flow(seed).batches(commands)


def one_by_one(batches: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Cut batches into batches of one command: so a law holds at each sequence."""
    for batch in batches:
        yield from (batch[row : row + 1] for row in range(len(batch)))


def whole(batches: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    return batches


@pytest.mark.parametrize("cut", [whole, one_by_one])
@pytest.mark.parametrize("flow", [plain, everything])
def test_what_is_told_is_the_engines_book_order_by_order(seed, scale, flow, cut):
    venue, reading, trades = Venue(), Reading(), 0
    for commands in cut(flow(seed, 1_000 * scale)):
        first = venue.sequence + 1
        frame = venue.play(commands)
        broken = law_broken(reading, map(read, frame.published), frame.events, first, venue.book)
        assert broken == "", f"at sequences {first} to {frame.sequence}"
        trades += len([row for rows in reading.trades.values() for row in rows])
    assert trades > 100


@pytest.mark.parametrize("flow", [plain, everything])
def test_inside_a_batch_the_orders_are_the_engines_at_each_sequence(seed, scale, flow):
    truths, told = at_each_sequence(list(flow(seed + 1, 800 * scale)))
    assert [update.sequence for _, update in told] == sorted(update.sequence for _, update in told)
    assert first_wrong(truths, told) == 0


@pytest.mark.parametrize("nth", range(2))
@pytest.mark.parametrize("flow", [plain, everything])
def test_the_builders_books_are_the_engines_after_every_batch(seed, scale, flow, nth):
    venue, levels, orders = Venue(), Books(range(4)), Books(range(4), orders=True)
    for kind, books in ((LEVELS_REFRESH, levels), (ORDERS_REFRESH, orders)):
        for builder in books:
            builder.take(venue.refresh(builder.instrument, kind), now=0)
    for commands in flow(seed + nth, 1_500 * scale):
        for message in map(read, venue.play(commands).published):
            levels.take(message, now=0)
            orders.take(message, now=0)
        for at in venue.instruments:
            assert (levels[at].state, orders[at].state) == (State.LIVE, State.LIVE)
            assert seen(levels[at]) == seen(orders[at]) == truth(venue.book, at)
            assert market_seen(levels[at]) == market_of(venue.book, at)
            resting = [
                [(one.price, one.order, one.quantity) for one in orders[at].orders(side)] for side in Side
            ]
            assert tuple(resting) == queues_of(venue.book, at)
    assert all(builder.losses == builder.trades_missed == 0 for builder in levels)


def test_pictures_are_the_book_and_what_was_told_of_it(seed):
    venue, numbers = Venue(), {}
    views: dict[bytes, int] = {}
    trades: dict[int, list[TradePrint]] = defaultdict(list)
    for turn, commands in enumerate(everything(seed, 1_200)):
        touched = set()
        for message in map(read, venue.play(commands).published):
            assert not isinstance(message, Heartbeat | Document | Picture)
            touched.add(message.instrument)
            numbers[type(message), message.instrument] = message.number
            if isinstance(message, Trades):
                trades[message.instrument] += message.prints
        for kind in (FAST_VIEW, SLOW_VIEW) if turn % 3 else (FAST_VIEW,):
            told = list(map(read, venue.publisher.views(kind, venue.book, venue.time)))
            views[kind] = views.get(kind, 0) + len(told)
            if kind == FAST_VIEW:
                assert {view[1] for view in told} == touched
            for view in told:
                check_picture(venue, view, numbers, trades)
        for at in (turn % 4,):
            for kind in (LEVELS_REFRESH, ORDERS_REFRESH):
                check_picture(venue, venue.refresh(at, kind), numbers, trades)
    assert views[FAST_VIEW] > views[SLOW_VIEW] > 50


def check_picture(venue, picture, numbers, trades) -> None:
    assert isinstance(picture, Picture)
    at = picture.instrument
    topics = (Depth, Orders, Trades, Status, Indicative, Quote)
    assert picture.numbers == LastNumbers(*(numbers.get((topic, at), 0) for topic in topics))
    assert picture.last_trade == (trades[at][-1] if trades[at] else None)
    assert (picture.status.phase, picture.status.reference, picture.indicative) == market_of(venue.book, at)
    lots = [one.quantity for one in trades[at]]
    amount = sum(one.price * one.quantity for one in trades[at])
    as_int64 = (amount + 2**63) % 2**64 - 2**63  # prices here are as high as they may be
    assert picture.totals == (len(lots), sum(lots), as_int64, 0)
    if picture.kind == ORDERS_REFRESH:
        assert picture.number == picture.numbers.orders
        orders = [
            [(one.price, one.order, one.quantity) for one in picture.orders if one.side == side]
            for side in Side
        ]
        assert tuple(orders) == queues_of(venue.book, at)
        return
    most = None
    if picture.kind == LEVELS_REFRESH:
        assert picture.number == picture.numbers.depth
    else:
        most = VIEW_LEVELS
        numbers[picture.kind, at] = numbers.get((picture.kind, at), 0) + 1
        assert picture.number == numbers[picture.kind, at]
    levels = [[row[:3] for row in picture.levels if row.side == side] for side in Side]
    assert tuple(levels) == tuple(side[:most] for side in truth(venue.book, at))


def test_views_tell_nothing_of_what_has_not_changed(seed):
    venue = Venue()
    for commands in Flow(seed).batches(200):
        venue.play(commands)
    assert len(venue.publisher.views(FAST_VIEW, venue.book, 1)) == 4
    assert venue.publisher.views(FAST_VIEW, venue.book, 2) == []
    assert len(venue.publisher.views(SLOW_VIEW, venue.book, 3)) == 4
    assert venue.publisher.views(SLOW_VIEW, venue.book, 4) == []


# --- the laws can be broken -----------------------------------------------------------------------


def without_its_last_row(message: Orders) -> Orders:
    return message._replace(rows=message.rows[: -ORDER_UPDATE.size])


def with_two_places_swapped(message: Orders) -> Orders | None:
    """Swap two orders that are placed and stand at one price when the message is done, if there are any."""
    updates = list(message.updates)
    final = [
        row for row, one in enumerate(updates) if one.order not in {two.order for two in updates[row + 1 :]}
    ]
    placed = [row for row in final if updates[row].change == QueueChange.PLACED]
    for row, other in combinations(placed, 2):
        if (updates[row].side, updates[row].price) == (updates[other].side, updates[other].price):
            updates[row], updates[other] = updates[other], updates[row]
            return message._replace(rows=memoryview(b"".join(ORDER_UPDATE.pack(*one) for one in updates)))
    return None


def with_a_number_skipped(message: Orders) -> Orders:
    return message._replace(number=message.number + 1)


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (without_its_last_row, "orders"),
        (with_two_places_swapped, "orders"),
        (with_a_number_skipped, "numbers"),
    ],
)
def test_canary_a_publisher_with_a_fault_breaks_the_law_at_that_very_batch(seed, fault, named):
    venue, reading, planted = Venue(instruments=1), Reading(), 0
    for batch in Flow(seed, instruments=1).batches(1_500, largest=25):
        first = venue.sequence + 1
        frame = venue.play(batch)
        messages = list(map(read, frame.published))
        bad = [fault(message) if isinstance(message, Orders) else message for message in messages]
        if None not in bad and bad != messages and planted < 40:
            planted += 1
            assert law_broken(deepcopy(reading), bad, frame.events, first, venue.book) == named
        assert law_broken(reading, messages, frame.events, first, venue.book) == ""
    assert planted > 10


def test_canary_any_row_that_is_lost_inside_a_batch_is_seen_at_its_sequence(seed):
    truths, told = at_each_sequence(list(Flow(seed, instruments=1).batches(300, largest=40)))
    seen = 0
    for row in range(0, len(told), 7):
        lost = told[row][1]
        wrong = first_wrong(truths, told[:row] + told[row + 1 :])
        same = [
            update for _, update in told if update.sequence == lost.sequence and update.order == lost.order
        ]
        assert wrong == lost.sequence or len(same) > 1
        seen += wrong == lost.sequence
    assert seen > 10


def at_each_sequence(batches):
    """Return the engine's queues after each command, and the order updates that batches were told with."""
    single, together = Venue(), Venue()
    truths: dict[int, tuple[Queues, ...]] = {}
    told = []
    for batch in batches:
        for row in range(len(batch)):
            single.play(batch[row : row + 1])
            truths[single.sequence] = tuple(queues_of(single.book, at) for at in single.instruments)
        rows = []
        for message in map(read, together.play(batch).published):
            if isinstance(message, Orders):
                rows += [(message.instrument, update) for update in message.updates]
        told += sorted(rows, key=lambda row: row[1].sequence)
    return truths, told


def first_wrong(truths, told):
    """Return the first sequence at which the orders told are not the engine's; 0 for none."""
    reading, at = Reading(), 0
    for sequence, truth_then in truths.items():
        while at < len(told) and told[at][1].sequence <= sequence:
            try:
                reading.change(*told[at])
            except Broken:
                return sequence
            at += 1
        if tuple(reading.orders(instrument) for instrument in range(4)) != truth_then:
            return sequence
    return 0


# --- the flow covers what there is ----------------------------------------------------------------


def test_canary_the_flow_holds_every_kind_of_event(seed):
    """The law is worth what its flow covers: each kind of event, deep books, crossed ones that uncross."""
    venue, kinds, auctions, waiting = Venue(), set(), 0, 0
    for commands in everything(seed, 4_000):
        events = venue.play(commands).events
        kinds |= set(events["kind"].tolist())
        auctions += int(np.count_nonzero(events["phase"][events["kind"] == EventKind.TRADED]))
        waiting += sum(len(waiting_of(venue.book, at, side)) for at in venue.instruments for side in Side)
    assert kinds == set(EventKind) - {EventKind.KNOWN, EventKind.MASS_CANCELLED}
    assert (auctions > 10, waiting > 100) == (True, True)
    assert parked_stops_told(seed) == {
        EventKind.REPLACED,
        EventKind.REDUCED,
        EventKind.CANCELLED,
        EventKind.EXPIRED,
        EventKind.TRIGGERED,
    }
    venue, deepest, crossed = Venue(), 0, 0
    for commands in Flow(seed).batches(4_000):
        venue.play(commands)
        for at in venue.instruments:
            bids, asks = truth(venue.book, at)
            deepest = max(deepest, min(len(bids), len(asks)))
            crossed += bool(bids) and bool(asks) and bids[0][0] >= asks[0][0]
    assert (deepest >= 8, crossed > 100) == (True, True)


def parked_stops_told(seed: int) -> set[EventKind]:
    """Return what befell stops while they were parked: the first that each batch brought to one of them."""
    venue, told = Venue(), set()
    for commands in everything(seed, 4_000):
        ids = (parked_of(venue.book, at, side)["id"] for at in venue.instruments for side in Side)
        parked = {int(number) for half in ids for number in half}
        for event in venue.play(commands).events:
            if int(event["order"]) in parked and event["kind"] != EventKind.REJECTED:
                parked.discard(int(event["order"]))
                told.add(EventKind(int(event["kind"])))
    return told
