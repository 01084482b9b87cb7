"""What is published of what happens, told in small stories."""

from __future__ import annotations

import numpy as np
import pytest

from feeds.messages import DEPTH, TRADES, Depth, LevelUpdate, TradePrint, Trades, read, write_ask
from feeds.publisher import Publisher
from matching.batch import match
from matching.layout import EVENT, MARKET, empty_book
from matching.vocabulary import CommandKind, EventKind, OrderType, SelfTrade, Side, TimeInForce
from tests.feeds.flow import START, Venue, cancel, change, end_day, no_events, order, truth

BUY, SELL = Side.BUY, Side.SELL


def told(venue: Venue, *commands: np.ndarray) -> list[str]:
    """Play the commands as one batch; return what is published, a line each."""
    lines = []
    for message in map(read, venue.play(np.concatenate(commands)).published):
        if isinstance(message, Trades):
            lines += [
                f"{message.instrument} #{message.number}: {Side(one.taker_side).name.lower()}s"
                f" {one.quantity} @ {one.price}"
                for one in message.prints
            ]
        elif isinstance(message, Depth):
            lines += [
                f"{message.instrument} #{message.number}: {Side(one.side).name.lower()}"
                f" {one.price}: {one.quantity} of {one.orders}"
                for one in message.levels
            ]
    return lines


@pytest.fixture
def venue() -> Venue:
    return Venue(instruments=3, tick=1)


def test_a_resting_order_is_a_level_and_its_cancel_removes_it(venue):
    assert told(venue, order(1, BUY, 5, 100)) == ["0 #1: buy 100: 5 of 1"]
    assert told(venue, order(2, BUY, 2, 100)) == ["0 #2: buy 100: 7 of 2"]
    assert told(venue, cancel(1)) == ["0 #3: buy 100: 2 of 1"]
    assert told(venue, cancel(2)) == ["0 #4: buy 100: 0 of 0"]


def test_a_trade_prints_the_makers_price_and_touches_the_makers_side(venue):
    told(venue, order(1, SELL, 5, 101), order(2, SELL, 5, 102))
    assert told(venue, order(3, BUY, 7, 103)) == [
        "0 #1: buys 5 @ 101",
        "0 #1: buys 2 @ 102",
        "0 #2: sell 101: 0 of 0",
        "0 #2: sell 102: 3 of 1",
    ]


def test_the_limit_of_a_taker_filled_at_once_stays_its_own(venue):
    told(venue, order(1, SELL, 5, 101))
    assert not any("buy 110" in line for line in told(venue, order(2, BUY, 5, 110)))
    told(venue, order(3, SELL, 5, 101))
    ioc = order(4, BUY, 9, 110, time_in_force=TimeInForce.IOC)
    assert told(venue, ioc) == ["0 #2: buys 5 @ 101", "0 #4: sell 101: 0 of 0"]
    assert told(venue, order(5, BUY, 9, 90, time_in_force=TimeInForce.IOC)) == []


def test_what_a_taker_leaves_in_the_book_is_a_level(venue):
    told(venue, order(1, SELL, 5, 101))
    assert told(venue, order(2, BUY, 9, 101)) == [
        "0 #1: buys 5 @ 101",
        "0 #2: sell 101: 0 of 0",
        "0 #2: buy 101: 4 of 1",
    ]


def test_one_batch_is_one_message_an_instrument_and_each_level_stands_in_it_once(venue):
    batch = [
        order(1, BUY, 5, 100, instrument=2),
        order(2, BUY, 5, 100, instrument=1),
        order(3, BUY, 5, 100, instrument=2),
        order(4, BUY, 5, 99, instrument=2),
        order(5, SELL, 6, 100, instrument=2),
        cancel(4),
    ]
    assert told(venue, *batch) == [
        "2 #1: sells 5 @ 100",
        "2 #1: sells 1 @ 100",
        "1 #1: buy 100: 5 of 1",
        "2 #1: buy 100: 4 of 1",
    ]


def test_an_order_that_comes_and_goes_between_others_leaves_no_message(venue):
    assert told(venue, order(1, BUY, 5, 100), cancel(1)) == []


def test_orders_of_the_day_leave_as_levels(venue):
    day = TimeInForce.DAY
    told(venue, order(1, BUY, 5, 100, time_in_force=day), order(2, SELL, 5, 101, time_in_force=day))
    assert told(venue, end_day()) == ["0 #2: buy 100: 0 of 0", "0 #2: sell 101: 0 of 0"]


def test_a_related_partys_maker_leaves_and_a_related_buy_never_stands(venue):
    told(venue, order(1, BUY, 5, 100, group=9, subsidised=True))
    assert told(venue, order(2, SELL, 5, 100, group=9)) == [
        "0 #2: buy 100: 0 of 0",
        "0 #2: sell 100: 5 of 1",
    ]
    assert told(venue, order(3, BUY, 5, 100, group=9, subsidised=True)) == []


def test_an_iceberg_is_seen_slice_by_slice(venue):
    assert told(venue, order(1, SELL, 100, 101, display_quantity=7)) == ["0 #1: sell 101: 7 of 1"]
    assert told(venue, order(2, BUY, 10, 101)) == [
        "0 #1: buys 7 @ 101",
        "0 #1: buys 3 @ 101",
        "0 #2: sell 101: 4 of 1",
    ]
    assert told(venue, change(CommandKind.REDUCE, 1, quantity=80)) == []  # hidden lots, which nobody saw
    assert told(venue, change(CommandKind.REDUCE, 1, quantity=8)) == ["0 #3: sell 101: 2 of 1"]


def test_lots_lost_to_the_own_group_leave_the_level(venue):
    told(venue, order(1, SELL, 5, 101, group=9))
    assert told(venue, order(2, BUY, 3, 105, group=9, self_trade=SelfTrade.DECREMENT)) == [
        "0 #2: sell 101: 2 of 1"
    ]


def test_a_replaced_order_leaves_one_level_for_another(venue):
    told(venue, order(1, BUY, 5, 100), order(2, SELL, 1, 105))
    assert told(venue, change(CommandKind.REPLACE, 1, quantity=4, price=99)) == [
        "0 #2: buy 100: 0 of 0",
        "0 #2: buy 99: 4 of 1",
    ]
    assert told(venue, change(CommandKind.REPLACE, 1, quantity=1, price=110)) == [
        "0 #1: buys 1 @ 105",
        "0 #3: buy 99: 0 of 0",
        "0 #3: sell 105: 0 of 0",
    ]


def test_a_parked_stop_is_its_members_secret_until_it_rests(venue):
    stop = order(1, BUY, 5, 104, type=OrderType.STOP_LIMIT, stop_price=102)
    assert told(venue, stop) == []
    assert told(venue, change(CommandKind.REPLACE, 1, quantity=6, price=103)) == []
    assert told(venue, change(CommandKind.REDUCE, 1, quantity=2)) == []
    assert told(venue, order(2, SELL, 2, 102), order(3, BUY, 1, 102)) == [
        "0 #1: buys 1 @ 102",
        "0 #1: buys 1 @ 102",
        "0 #1: buy 103: 3 of 1",
    ]


def test_a_parked_stop_that_is_cancelled_stays_a_secret_wherever_it_would_have_stood(venue):
    told(venue, order(1, BUY, 5, 104), order(2, BUY, 5, 104, type=OrderType.STOP_LIMIT, stop_price=110))
    told(venue, order(3, BUY, 5, 103, type=OrderType.STOP_LIMIT, stop_price=110))
    assert told(venue, cancel(2), cancel(3)) == []


def test_a_parked_stop_that_moves_or_ends_with_the_day_stays_a_secret(venue):
    told(venue, order(1, BUY, 5, 104))
    day = TimeInForce.DAY
    stop = order(2, BUY, 5, 104, type=OrderType.STOP, stop_price=110, time_in_force=day)
    assert told(venue, stop) == []
    assert told(venue, change(CommandKind.REPLACE, 2, quantity=7, stop_price=112)) == []
    assert told(venue, end_day()) == []


def test_a_triggered_order_that_ends_at_once_keeps_its_price_to_itself(venue):
    told(venue, order(1, BUY, 1, 110, type=OrderType.STOP, stop_price=102), order(2, SELL, 3, 102))
    assert told(venue, order(3, BUY, 1, 102)) == [
        "0 #1: buys 1 @ 102",
        "0 #1: buys 1 @ 102",
        "0 #2: sell 102: 1 of 1",
    ]


def test_refusals_are_nobodys_business(venue):
    told(venue, order(1, BUY, 5, 100))
    bad = [order(1, BUY, 5, 99), order(2, BUY, 5, 100, instrument=77), cancel(44)]
    assert told(venue, *bad) == []


def test_a_message_names_run_sequence_and_time(venue):
    venue.play(np.concatenate([order(1, SELL, 5, 101), order(2, SELL, 1, 109)]))
    frame = venue.play(np.concatenate([cancel(77), order(3, BUY, 4, 101)]))
    trades, depth = map(read, frame.published)
    assert trades == Trades(0, 1, 1, 4, frame.time, (TradePrint(1, 4, 101, 4, BUY),))
    assert depth == Depth(0, 1, 2, 4, frame.time, (LevelUpdate(101, 1, 1, SELL),))


def test_a_refresh_is_the_book_best_first_with_the_last_numbers_and_the_last_trade(venue):
    venue.play(np.concatenate([order(1, SELL, 5, 101), order(2, SELL, 1, 109)]))
    venue.play(np.concatenate([order(3, BUY, 4, 101), order(4, BUY, 8, 99), order(5, BUY, 8, 98)]))
    refresh = venue.refresh(0)
    assert (refresh.number, refresh.trades_number, refresh.sequence) == (2, 1, 5)
    assert refresh.last_trade == TradePrint(1, 3, 101, 4, BUY)
    assert refresh.levels == (
        LevelUpdate(99, 8, 1, BUY),
        LevelUpdate(98, 8, 1, BUY),
        LevelUpdate(101, 1, 1, SELL),
        LevelUpdate(109, 1, 1, SELL),
    )
    untouched = venue.refresh(2)
    assert (untouched.number, untouched.last_trade, untouched.levels) == (0, None, ())


def test_the_last_trade_of_a_batch_is_the_last_trade(venue):
    venue.play(np.concatenate([order(1, SELL, 5, 101), order(2, SELL, 5, 102)]))
    venue.play(np.concatenate([order(3, BUY, 7, 103), order(4, BUY, 1, 103)]))
    assert venue.refresh(0).last_trade == TradePrint(3, 4, 102, 1, BUY)


def test_a_heartbeat_names_each_topics_last_number(venue):
    assert venue.heartbeat() == (1, 1, 0, START, {})
    frame = venue.play(np.concatenate([order(1, SELL, 5, 101), order(2, BUY, 5, 101)]))
    venue.play(order(3, SELL, 5, 101, instrument=2))
    frame = venue.play(cancel(3))
    numbers = {(TRADES, 0): 1, (DEPTH, 2): 2}
    assert venue.heartbeat() == (1, 2, 4, frame.time, numbers)


def test_a_request_is_answered_if_it_is_one(venue):
    venue.play(order(1, BUY, 5, 100, instrument=2))
    publisher, book = venue.publisher, venue.book
    assert publisher.answer(write_ask(2), book) == publisher.refresh(2, book)
    garbage = [b"", b"A", write_ask(2)[:-1], write_ask(2) + b"x", b"B" + write_ask(2)[1:]]
    other_version = write_ask(2)[:5] + b"\x07" + write_ask(2)[6:]
    unlisted = [write_ask(3), write_ask(-1), write_ask(2**31 - 1)]
    for request in [*garbage, other_version, *unlisted]:
        assert publisher.answer(request, book) is None, request


def test_instruments_may_be_listed_while_it_runs(venue):
    venue.play(order(1, BUY, 5, 100))
    more = np.zeros(4, MARKET)
    more[:3], more["tick"], more["phase"] = venue.book.markets, 1, venue.book.markets["phase"][0]
    halves = np.concatenate([venue.book.halves, empty_book(1).halves])
    venue.book = venue.book._replace(markets=more, halves=halves)
    assert told(venue, order(2, BUY, 5, 100), order(3, SELL, 5, 7, instrument=3)) == [
        "0 #2: buy 100: 10 of 2",
        "3 #1: sell 7: 5 of 1",
    ]
    assert [len(side) for side in truth(venue.book, 3)] == [0, 1]


def test_a_frame_without_events_moves_the_sequence_alone():
    nothing, book = np.zeros(0, np.int64), empty_book(1)
    publisher = Publisher(run=1, book=book)
    assert publisher.outgoing(no_events(), nothing, nothing, book, 8, START) == []
    assert publisher.sequence == 8
    with pytest.raises(AssertionError, match="ran back"):
        publisher.outgoing(no_events(), nothing, nothing, empty_book(1), 7, START)


def test_every_kind_of_event_has_its_place():
    """A new kind of event may move a level: who adds one says here what the feed does with it."""
    moves_a_level = {
        EventKind.ACCEPTED,
        EventKind.TRADED,
        EventKind.CANCELLED,
        EventKind.EXPIRED,
        EventKind.REDUCED,
        EventKind.REPLACED,
        EventKind.TRIGGERED,
    }
    moves_none = {
        EventKind.REJECTED,
        EventKind.PHASE_CHANGED,
        EventKind.INDICATIVE,
        EventKind.KNOWN,
        EventKind.MASS_CANCELLED,
    }
    assert moves_a_level | moves_none == set(EventKind)
    book, _ = match(empty_book(1), np.concatenate([order(1, BUY, 5, 100), order(2, SELL, 5, 101)]))
    for kind in EventKind:
        event = np.zeros(1, EVENT)
        event["kind"], event["price"] = kind, 101 if kind == EventKind.TRADED else 100
        column = np.zeros(1, np.int64)
        published = Publisher(run=1).outgoing(event, column, column, book, 1, START)
        depths = [message for message in map(read, published) if isinstance(message, Depth)]
        assert bool(depths) == (kind in moves_a_level), kind


def test_levels_far_apart_and_many_are_told_apart(venue):
    """Prices that a weak table would heap on one place, and more of them than fit in one probe."""
    prices = [1 << bits for bits in range(40)] + [1000 * k for k in range(1, 500)]
    prices = sorted(set(prices))
    batch = [
        order(1 + at, SELL, 1, price, instrument=instrument)
        for instrument in range(3)
        for at, price in enumerate(prices, start=instrument * 1000)
    ]
    published = map(read, venue.play(np.concatenate(batch)).published)
    levels = [message.levels for message in published if isinstance(message, Depth)]
    assert [sorted(one.price for one in updates) for updates in levels] == [prices] * 3
