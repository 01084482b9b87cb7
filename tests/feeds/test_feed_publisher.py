"""What is published of what happens, told in small stories."""

from __future__ import annotations

import numpy as np
import pytest

from feeds.messages import (
    DEFINITIONS,
    DEPTH,
    FAST_VIEW,
    FIXINGS,
    LEVELS_REFRESH,
    ORDERS,
    ORDERS_REFRESH,
    SLOW_VIEW,
    TOPS,
    TRADES,
    Depth,
    Heartbeat,
    Orders,
    Picture,
    Quote,
    Trades,
    read,
    write_ask,
)
from feeds.publisher import Publisher
from feeds.records import LevelUpdate, OrderUpdate, Top, Totals, TradePrint
from matching.batch import match_on_tape
from matching.layout import MARKET, TAPE, empty_book
from matching.vocabulary import CommandKind, OrderType, QueueChange, SelfTrade, Side, TimeInForce
from tests.feeds.documented import FIXING, definition
from tests.feeds.flow import START, Venue, batch_of, cancel, change, end_day, order, quiet, truth

BUY, SELL = Side.BUY, Side.SELL
PLACED, FILLED, TAKEN_OFF = QueueChange


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
        "2 #1: buy 99: 0 of 0",
        "2 #1: buy 100: 4 of 1",
    ]


def test_an_order_that_comes_and_goes_within_a_batch_leaves_a_level_that_is_gone(venue):
    assert told(venue, order(1, BUY, 5, 100), cancel(1)) == ["0 #1: buy 100: 0 of 0"]


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
        "0 #1: sell 102: 0 of 0",
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


def orders_told(venue: Venue, *commands: np.ndarray) -> list[str]:
    """Play the commands as one batch; return what is told of orders, a line each."""
    published = map(read, venue.play(np.concatenate(commands)).published)
    return [
        f"{QueueChange(one.change).name.lower()} {one.order} {side(one)} {one.quantity} @ {one.price}"
        for message in published
        if isinstance(message, Orders)
        for one in message.updates
    ]


def side(update: OrderUpdate) -> str:
    return Side(update.side).name.lower()


def test_an_order_is_placed_filled_and_taken_off(venue):
    assert orders_told(venue, order(1, BUY, 5, 100)) == ["placed 1 buy 5 @ 100"]
    assert orders_told(venue, order(2, SELL, 2, 100)) == ["filled 1 buy 3 @ 100"]
    assert orders_told(venue, change(CommandKind.REDUCE, 1, quantity=1)) == ["taken_off 1 buy 2 @ 100"]
    assert orders_told(venue, change(CommandKind.REPLACE, 1, quantity=9, price=99)) == [
        "taken_off 1 buy 0 @ 100",
        "placed 1 buy 7 @ 99",
    ]
    assert orders_told(venue, cancel(1)) == ["taken_off 1 buy 0 @ 99"]


def test_an_order_that_never_rests_leaves_no_trace(venue):
    told(venue, order(1, SELL, 5, 101))
    ioc = order(2, BUY, 2, 110, time_in_force=TimeInForce.IOC)
    frame = venue.play(ioc)
    assert [type(message) for message in map(read, frame.published)] == [Trades, Orders, Depth, Quote]
    assert orders_told(venue, order(3, BUY, 3, 101)) == ["filled 1 sell 0 @ 101"]
    assert venue.play(order(4, BUY, 9, 90, time_in_force=TimeInForce.IOC)).published == []
    assert venue.play(order(5, BUY, 9, 90, type=OrderType.STOP_LIMIT, stop_price=120)).published == []


def test_a_message_names_run_sequence_and_time(venue):
    venue.play(np.concatenate([order(1, SELL, 5, 101), order(2, SELL, 1, 109)]))
    frame = venue.play(np.concatenate([cancel(77), order(3, BUY, 4, 101)]))
    trades, orders, depth, top = map(read, frame.published)
    about = (0, 1, 2, 4, frame.time)
    assert isinstance(trades, Trades)
    assert (trades[:5], trades.prints) == ((0, 1, 1, 4, frame.time), (TradePrint(1, 4, 101, 4, 0, BUY, 0),))
    assert isinstance(orders, Orders)
    assert (orders[:5], orders.updates) == (about, (OrderUpdate(1, 4, 101, 1, SELL, FILLED),))
    assert isinstance(depth, Depth)
    assert (depth[:5], depth.levels) == (about, (LevelUpdate(101, 1, 1, SELL),))
    assert top == Quote(*about, Top(0, 0, 101, 1, 0, 1))


def test_the_top_is_told_when_it_is_another(venue):
    def tops(*commands):
        published = map(read, venue.play(np.concatenate(commands)).published)
        return [message.top for message in published if isinstance(message, Quote)]

    assert tops(order(1, BUY, 5, 100), order(2, SELL, 3, 104)) == [Top(100, 5, 104, 3, 1, 1)]
    assert tops(order(3, BUY, 5, 99)) == []
    assert tops(order(4, BUY, 2, 100)) == [Top(100, 7, 104, 3, 2, 1)]
    assert tops(order(5, BUY, 2, 102), cancel(5)) == []
    assert tops(cancel(2), cancel(1), cancel(4)) == [Top(99, 5, 0, 0, 1, 0)]


def test_what_a_programme_paid_is_printed_and_added_up(venue):
    venue.play(np.concatenate([order(1, SELL, 9, 100, instrument=1), order(2, SELL, 9, 100)]))
    buys = [order(3, BUY, 2, 100), order(4, BUY, 3, 100, instrument=1), order(5, BUY, 4, 100)]
    book, events, tape = match_on_tape(venue.book, np.concatenate(buys))
    trades = np.cumsum(events["kind"] == 2)
    batch = batch_of(events, tape, 3, 5, START, trades)
    batch = batch._replace(paid=7 * events["quantity"], subsidised=(events["order"] != 5).astype(np.uint8))
    published = [
        message for message in map(read, venue.publisher.outgoing(batch, book)) if isinstance(message, Trades)
    ]
    assert [message.prints for message in published] == [
        (TradePrint(1, 3, 100, 2, 14, BUY, 1), TradePrint(3, 5, 100, 4, 28, BUY, 0)),
        (TradePrint(2, 4, 100, 3, 21, BUY, 1),),
    ]
    venue.book = book
    assert venue.refresh(0).totals == Totals(trades=2, quantity=6, amount=600, paid=42)
    assert venue.refresh(1).totals == Totals(trades=1, quantity=3, amount=300, paid=21)
    venue.restart(run=2)
    assert (venue.refresh(0).totals, venue.refresh(0).last_trade) == (Totals(0, 0, 0, 0), None)


def test_a_refresh_is_the_book_best_first_with_the_last_numbers_and_the_last_trade(venue):
    venue.play(np.concatenate([order(1, SELL, 5, 101), order(2, SELL, 1, 109)]))
    venue.play(np.concatenate([order(3, BUY, 4, 101), order(4, BUY, 8, 99), order(5, BUY, 8, 98)]))
    refresh = venue.refresh(0)
    assert (refresh.number, refresh.numbers.trades, refresh.sequence) == (2, 1, 5)
    assert refresh.last_trade == TradePrint(1, 3, 101, 4, 0, BUY, 0)
    assert refresh.levels == (
        LevelUpdate(99, 8, 1, BUY),
        LevelUpdate(98, 8, 1, BUY),
        LevelUpdate(101, 1, 1, SELL),
        LevelUpdate(109, 1, 1, SELL),
    )
    untouched = venue.refresh(2)
    assert (untouched.number, untouched.last_trade, untouched.levels) == (0, None, ())


def test_a_refresh_by_orders_has_them_first_come_first(venue):
    venue.play(np.concatenate([order(1, SELL, 5, 101), order(2, SELL, 1, 109), order(3, SELL, 2, 101)]))
    venue.play(np.concatenate([order(4, BUY, 4, 101), order(5, BUY, 8, 99)]))
    refresh = venue.refresh(0, ORDERS_REFRESH)
    assert (refresh.kind, refresh.number) == (ORDERS_REFRESH, 2)
    assert refresh.orders == (
        OrderUpdate(5, 0, 99, 8, BUY, PLACED),
        OrderUpdate(1, 0, 101, 1, SELL, PLACED),
        OrderUpdate(3, 0, 101, 2, SELL, PLACED),
        OrderUpdate(2, 0, 109, 1, SELL, PLACED),
    )


def picture(frame: bytes) -> Picture:
    message = read(frame)
    assert isinstance(message, Picture)
    return message


def test_a_view_has_ten_levels_and_its_own_numbers(venue):
    venue.play(np.concatenate([order(1 + n, BUY, 1 + n, 100 - n) for n in range(12)]))
    venue.play(order(99, SELL, 1, 200, instrument=2))
    views = list(map(picture, venue.publisher.views(FAST_VIEW, venue.book, 77)))
    assert [(view[:5], view.time) for view in views] == [
        ((FAST_VIEW, 0, 1, 1, 13), 77),
        ((FAST_VIEW, 2, 1, 1, 13), 77),
    ]
    assert views[0].levels == tuple(LevelUpdate(100 - n, 1 + n, 1, BUY) for n in range(10))
    venue.play(cancel(99))
    (view,) = map(picture, venue.publisher.views(FAST_VIEW, venue.book, 78))
    assert (view.instrument, view.number, view.levels) == (2, 2, ())
    assert len(venue.publisher.views(SLOW_VIEW, venue.book, 79)) == 2


def test_the_last_trade_of_a_batch_is_the_last_trade(venue):
    venue.play(np.concatenate([order(1, SELL, 5, 101), order(2, SELL, 5, 102)]))
    venue.play(np.concatenate([order(3, BUY, 7, 103), order(4, BUY, 1, 103)]))
    assert venue.refresh(0).last_trade == TradePrint(3, 4, 102, 1, 0, BUY, 0)


def test_a_heartbeat_names_each_topics_last_number(venue):
    assert venue.heartbeat() == Heartbeat(1, 1, 0, START, {})
    venue.play(np.concatenate([order(1, SELL, 5, 101), order(2, BUY, 5, 101)]))
    venue.play(order(3, SELL, 5, 101, instrument=2))
    venue.publisher.define([definition(0)])
    venue.publisher.fix([FIXING])
    venue.publisher.budgets([], START)
    venue.publisher.views(FAST_VIEW, venue.book, START)
    frame = venue.play(cancel(3))
    every = {(TRADES, 0): 1, (ORDERS, 0): 1, (DEPTH, 0): 1, (FIXINGS, -1): 1, (DEFINITIONS, -1): 1}
    numbers = {**every, (ORDERS, 2): 2, (DEPTH, 2): 2, (TOPS, 2): 2}
    assert venue.heartbeat() == Heartbeat(1, 2, 4, frame.time, numbers)


def test_a_request_is_answered_if_it_is_one(venue):
    venue.play(order(1, BUY, 5, 100, instrument=2))
    publisher, book = venue.publisher, venue.book
    for wanted in (LEVELS_REFRESH, ORDERS_REFRESH):
        ask = write_ask(wanted, 2)
        answer = publisher.answer(ask, book)
        assert answer == publisher.refresh(wanted, 2, book)
        garbage = [b"", b"A", ask[:-1], ask + b"x", b"B" + ask[1:], ask[:6] + b"Z" + ask[7:]]
        other_version = ask[:5] + b"\x07" + ask[6:]
        unlisted = [write_ask(wanted, 3), write_ask(wanted, -1), write_ask(wanted, 2**31 - 1)]
        for request in [*garbage, other_version, *unlisted, write_ask(DEFINITIONS, 2)]:
            assert publisher.answer(request, book) is None, request


# --- what a publisher goes through ----------------------------------------------------------------


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


def test_a_batch_without_events_moves_the_sequence_alone():
    book = empty_book(1)
    publisher = Publisher(run=1, book=book)
    assert publisher.outgoing(quiet(8), book) == []
    assert publisher.sequence == 8
    with pytest.raises(AssertionError, match="ran back"):
        publisher.outgoing(quiet(7), book)


def test_columns_of_another_length_or_layout_are_refused():
    book = empty_book(1)
    publisher = Publisher(run=1, book=book)
    with pytest.raises(AssertionError, match="not as long"):
        publisher.outgoing(quiet(1)._replace(paid=np.zeros(1, np.int64)), book)
    with pytest.raises(AssertionError, match="tape: dtype"):
        publisher.outgoing(quiet(1)._replace(tape=np.zeros(1, np.int64)), book)


def test_every_change_of_a_queue_tells_its_level_and_its_top():
    book, _, _ = match_on_tape(empty_book(1), order(1, BUY, 5, 100))
    for kind in QueueChange:
        row = np.zeros(1, TAPE)
        row["order"], row["price"], row["quantity"], row["change"] = 1, 100, 5, kind
        publisher = Publisher(run=1)  # it begins before anything was listed
        published = publisher.outgoing(quiet(1)._replace(tape=row), book)
        kinds = [type(message).__name__ for message in map(read, published)]
        assert kinds == ["Status", "Orders", "Depth", "Quote"], kind


def test_levels_far_apart_and_many_are_told_apart(venue):
    """Prices that a weak table would heap on one place, and more of them than fit in one probe."""
    prices = [1 << bits for bits in range(40)] + [1000 * k for k in range(1, 150)]
    prices = sorted(set(prices))
    batch = [
        order(1 + at, SELL, 1, price, instrument=instrument)
        for instrument in range(3)
        for at, price in enumerate(prices, start=instrument * 1000)
    ]
    published = map(read, venue.play(np.concatenate(batch)).published)
    levels = [message.levels for message in published if isinstance(message, Depth)]
    assert [sorted(one.price for one in updates) for updates in levels] == [prices] * 3
