"""What is published of phases and auctions, told in small stories."""

from __future__ import annotations

import numpy as np
import pytest

from feeds.builder import BookBuilder
from feeds.messages import (
    INDICATIVE,
    STATUS,
    Depth,
    Heartbeat,
    Indicative,
    Orders,
    Quote,
    Status,
    Trades,
    read,
)
from feeds.publisher import Publisher
from feeds.records import NO_TAKER, IndicativePrice, StatusChange, Totals, TradePrint
from matching.vocabulary import CommandKind, OrderType, Phase, RejectReason, Side
from tests.feeds.flow import START, Venue, call, cancel, change, order, phase, quiet, seen, truth

BUY, SELL = Side.BUY, Side.SELL
TAKERS = {BUY: "buys", SELL: "sells", NO_TAKER: "auction"}


def lines_of(message: object) -> list[str]:
    """Return a message as a reader understands it, a line each."""
    match message:
        case Trades():
            return [f"{TAKERS[one.taker_side]} {one.quantity} @ {one.price}" for one in message.prints]
        case Status():
            return [status_line(one) for one in message.changes]
        case Indicative():
            return [indicative_line(message.indicative)]
        case Depth():
            return [
                f"{Side(one.side).name.lower()} {one.price}: {one.quantity} of {one.orders}"
                for one in message.levels
            ]
        case Orders() | Quote():
            return []  # `tests.feeds.test_feed_law` compares them with the book
    raise AssertionError(message)


def status_line(one: StatusChange) -> str:
    cause = f": {RejectReason(one.cause).name.lower()}" if one.cause else ""
    return f"{Phase(one.phase).name.lower()} about {one.reference}{cause}"


def indicative_line(one: IndicativePrice) -> str:
    more = f", {one.surplus} more to {Side(one.side).name.lower()}" if one.surplus else ""
    return f"would trade {one.volume} @ {one.price}{more}"


def told(venue: Venue, *commands: np.ndarray) -> list[str]:
    """Play the commands as one batch; return what is published, a line each."""
    published = venue.play(np.concatenate(commands)).published
    return [line for message in map(read, published) for line in lines_of(message)]


@pytest.fixture
def venue() -> Venue:
    """A venue of two instruments; the first is in a call about 100."""
    venue = Venue(instruments=2, tick=1)
    venue.play(phase(Phase.PRE_OPEN, reference=100))
    return venue


def test_each_change_of_phase_is_told_with_the_reference_price():
    venue = Venue(instruments=2, tick=1)
    assert told(venue, phase(Phase.PRE_OPEN, reference=100)) == ["pre_open about 100"]
    assert told(venue, phase(Phase.NO_CANCEL), phase(Phase.AUCTION)) == [
        "no_cancel about 100",
        "auction about 100",
    ]
    assert told(venue, phase(Phase.HALTED, instrument=1)) == ["halted about 0"]


def test_in_a_call_the_book_is_crossed_and_what_the_auction_would_find_is_told(venue):
    assert told(venue, order(1, SELL, 5, 100)) == ["sell 100: 5 of 1"]
    assert told(venue, order(2, BUY, 3, 102)) == ["would trade 3 @ 100, 2 more to sell", "buy 102: 3 of 1"]
    assert told(venue, cancel(2)) == ["would trade 0 @ 0", "buy 102: 0 of 0"]


def test_of_one_frame_only_the_last_indicative_is_told(venue):
    batch = [order(1, SELL, 5, 100), order(2, BUY, 3, 102), order(3, BUY, 2, 102)]
    assert told(venue, *batch) == ["would trade 5 @ 100", "sell 100: 5 of 1", "buy 102: 5 of 2"]
    assert told(venue, order(4, BUY, 1, 102), cancel(4)) == ["buy 102: 5 of 2"]


def test_an_auctions_trades_have_no_taker_and_touch_levels_that_no_event_names(venue):
    told(venue, order(1, SELL, 5, 100), order(2, BUY, 3, 102), order(3, BUY, 4, 101), order(4, SELL, 9, 103))
    assert told(venue, phase(Phase.CONTINUOUS)) == [
        "auction 3 @ 101",
        "auction 2 @ 101",
        "continuous about 100",
        "would trade 0 @ 0",
        "buy 102: 0 of 0",
        "sell 100: 0 of 0",
        "buy 101: 2 of 1",
    ]
    assert told(venue, order(5, SELL, 1, 101)) == ["sells 1 @ 101", "buy 101: 1 of 1"]


def test_an_iceberg_shows_its_next_slice_after_the_auction(venue):
    told(venue, order(1, SELL, 20, 100, display_quantity=4), order(2, BUY, 6, 100))
    assert told(venue, phase(Phase.AUCTION)) == [
        "auction 4 @ 100",
        "auction 2 @ 100",
        "auction about 100",
        "would trade 0 @ 0",
        "buy 100: 0 of 0",
        "sell 100: 4 of 1",
    ]
    assert truth(venue.book, 0) == ([], [(100, 4, 1)])


@pytest.mark.parametrize("stands", [False, True])
def test_a_market_order_that_waits_shows_no_level_wherever_its_protection_price_lies(venue, stands):
    told(venue, order(1, SELL, 9, 100))
    if stands:
        told(venue, order(2, BUY, 1, 99))
    waiting = order(3, BUY, 5, 99, type=OrderType.MARKET)
    for command in (
        waiting,
        change(CommandKind.REDUCE, 3, quantity=1),
        change(CommandKind.REPLACE, 3, quantity=7, price=98),
        cancel(3),
    ):
        assert told(venue, command) == []


def test_waiting_orders_trade_and_what_is_left_of_them_ends_in_silence(venue):
    told(venue, order(1, SELL, 2, 100))
    waiting = order(2, BUY, 5, 105, type=OrderType.MARKET)
    assert told(venue, waiting) == ["would trade 2 @ 100, 3 more to buy"]
    assert told(venue, phase(Phase.CONTINUOUS)) == [
        "auction 2 @ 100",
        "continuous about 100",
        "would trade 0 @ 0",
        "sell 100: 0 of 0",
    ]


def test_a_collar_begins_a_call_and_says_so():
    venue = Venue(instruments=1, tick=1)
    venue.book.markets["reference"], venue.book.markets["static_collar"] = 100, 100
    told(venue, order(1, SELL, 5, 105), order(2, SELL, 5, 120))
    assert told(venue, order(3, BUY, 8, 125)) == [
        "buys 5 @ 105",
        "pre_open about 100: static_collar",
        "would trade 3 @ 120, 2 more to sell",
        "sell 105: 0 of 0",
        "buy 125: 3 of 1",
    ]


def test_a_call_that_ends_and_begins_anew_in_one_frame_shows_nothing_of_the_old_one(venue):
    told(venue, order(1, SELL, 5, 100), order(2, BUY, 5, 100))
    assert told(venue, phase(Phase.CONTINUOUS), phase(Phase.PRE_OPEN)) == [
        "auction 5 @ 100",
        "continuous about 100",
        "pre_open about 100",
        "would trade 0 @ 0",
        "buy 100: 0 of 0",
        "sell 100: 0 of 0",
    ]


def test_a_refresh_tells_the_call_and_the_trade_without_a_taker(venue):
    told(venue, order(1, SELL, 5, 100), order(2, BUY, 2, 100), phase(Phase.AUCTION))
    told(venue, phase(Phase.PRE_OPEN), order(3, BUY, 1, 101))
    refresh = venue.refresh(0)
    assert refresh.last_trade == TradePrint(1, 4, 100, 2, 0, NO_TAKER, 0)
    assert refresh.totals == Totals(trades=1, quantity=2, amount=200, paid=0)
    assert (refresh.numbers.status, refresh.numbers.indicative) == (3, 1)
    assert refresh.status == StatusChange(100, 5, venue.time, Phase.PRE_OPEN, 0)
    assert refresh.indicative == IndicativePrice(100, 1, 2, SELL)
    builder = BookBuilder(0)
    builder.take(refresh, now=0)
    assert seen(builder) == ([(101, 1, 1)], [(100, 3, 1)])


def test_a_publisher_that_starts_in_a_call_tells_it_with_every_refresh(venue):
    told(venue, order(1, SELL, 5, 100), order(2, BUY, 7, 100))
    venue.restart(run=2)
    refresh = venue.refresh(0)
    assert (refresh.numbers.status, refresh.status) == (0, StatusChange(100, 0, 0, Phase.PRE_OPEN, 0))
    assert (refresh.numbers.indicative, refresh.indicative) == (0, IndicativePrice(100, 5, 2, BUY))
    assert told(venue, cancel(1)) == ["would trade 0 @ 0", "sell 100: 0 of 0"]


def test_heartbeats_name_the_status_and_indicative_topics(venue):
    told(venue, order(1, SELL, 5, 100), order(2, BUY, 7, 100))
    heartbeat = venue.heartbeat()
    assert isinstance(heartbeat, Heartbeat)
    assert (heartbeat.numbers[STATUS, 0], heartbeat.numbers[INDICATIVE, 0]) == (1, 1)
    assert (STATUS, 1) not in heartbeat.numbers


def test_a_reference_price_that_comes_without_a_phase_is_told_too():
    venue = Venue(instruments=2, tick=1)
    venue.book.markets["reference"][1] = 70
    (published,) = venue.publisher.outgoing(quiet(8), venue.book)
    assert read(published) == Status(
        1, 1, 1, 8, START, (StatusChange(70, 8, START, Phase.CONTINUOUS, RejectReason.NONE),)
    )
    assert venue.publisher.outgoing(quiet(9), venue.book) == []


def test_an_instrument_that_is_listed_while_it_runs_tells_its_first_phase():
    venue = Venue(instruments=2, tick=1)
    published = Publisher(run=1).outgoing(quiet(1), venue.book)
    assert [line for message in map(read, published) for line in lines_of(message)] == [
        "continuous about 0",
        "continuous about 0",
    ]


def test_outside_of_calls_what_an_auction_found_last_is_not_told():
    venue = Venue(instruments=2, tick=1)
    call(venue.book, 0, price=100, volume=3, surplus=0)
    venue.book.markets["indicative_price"][1] = 55
    published = venue.publisher.outgoing(quiet(1), venue.book)
    assert [line for message in map(read, published) for line in lines_of(message)] == [
        "pre_open about 0",
        "would trade 3 @ 100",
    ]
