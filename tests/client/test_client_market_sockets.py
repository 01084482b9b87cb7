"""Market data over sockets: joined with history, across losses and breaks, with both clients."""

from __future__ import annotations

import pytest

from exchange import BadInput, ConnectionLost, ProfileError, ProtocolBroken, RequestRefused, TradesMissed
from exchange.profiles import Endpoints
from feeds.messages import DEPTH, TRADES, topic
from matching.vocabulary import Side
from tests.client.both import PATIENCE, shell_of
from tests.client.fake_feed import MINUTE_NS, QWEN, START
from tests.client.fake_venue import fake_venue

SYMBOL = "QWEN3-MAX"
SHORT = 0.05
PRINTS, LEVELS = topic(TRADES, QWEN), topic(DEPTH, QWEN)


@pytest.fixture
def venue():
    with fake_venue() as venue:
        yield venue


@pytest.fixture(params=["sync", "async"])
def shell(request):
    with shell_of(request.param) as shell:
        yield shell


@pytest.fixture
def ex(venue, shell):
    with shell.connected(venue.profile()) as ex:
        yield ex


def settle(venue, quantity, price=1_000):
    """Let a trade happen that history has, and return what the feed tells of it."""
    feed = venue.feed
    told = feed.trade(quantity, price)
    venue.rules.trades_told.append(
        {
            "trade": feed.trades,
            "sequence": feed.sequence,
            "time_us": feed.time // 1_000,
            "price": price,
            "quantity": quantity,
            "subsidy": 0,
            "taker_side": "buy",
            "subsidised": False,
        }
    )
    venue.rules.sequence = feed.sequence
    return told


def numbers(trades):
    return [trade.trade for trade in trades]


def test_trades_of_old_are_joined_with_those_to_come(venue, ex):
    for lots in (1, 2, 3):
        settle(venue, lots)
    trades = ex.trades(SYMBOL, since=2, limit=3, timeout=PATIENCE)
    venue.until_subscribed(PRINTS)
    venue.publish(settle(venue, 4))
    told = list(trades)
    assert [(trade.trade, trade.quantity, trade.taker_side) for trade in told] == [
        (2, 2, Side.BUY),
        (3, 3, Side.BUY),
        (4, 4, Side.BUY),
    ]
    assert told[0].time == told[2].time == START


def test_trades_of_old_come_though_nobody_trades(venue, ex):
    settle(venue, 1)
    trades = ex.trades(SYMBOL, since=1, limit=1, timeout=PATIENCE)
    venue.until_subscribed(PRINTS)
    venue.publish(venue.feed.heartbeat())
    assert numbers(trades) == [1]


def test_lost_trades_are_read_as_soon_as_history_has_them(venue, ex):
    trades = ex.trades(SYMBOL, limit=4, timeout=PATIENCE)
    venue.until_subscribed(PRINTS)
    venue.publish(settle(venue, 1))
    settle(venue, 2)
    settle(venue, 3)
    venue.lag = 2
    venue.publish(venue.feed.trade(4))
    assert numbers(trades) == [1, 2, 3, 4]
    assert venue.lag == 0


def test_a_loss_that_nothing_follows_is_seen_by_the_heartbeat(venue, ex):
    trades = ex.trades(SYMBOL, limit=2, timeout=PATIENCE)
    venue.until_subscribed(PRINTS)
    venue.publish(settle(venue, 1))
    settle(venue, 2)
    venue.publish(venue.feed.heartbeat())
    assert numbers(trades) == [1, 2]


def test_trades_go_on_across_a_restart_of_the_publisher(venue, ex):
    trades = ex.trades(SYMBOL, limit=3, timeout=PATIENCE)
    venue.until_subscribed(PRINTS)
    venue.publish(settle(venue, 1))
    settle(venue, 2)
    venue.feed.restart()
    venue.publish(settle(venue, 3))
    assert numbers(trades) == [1, 2, 3]


def test_trades_go_on_across_a_break(venue, ex, shell):
    trades = ex.trades(SYMBOL, limit=3, timeout=PATIENCE, on_slow="raise")
    venue.until_subscribed(PRINTS)
    venue.publish(settle(venue, 1))
    assert next(trades).trade == 1
    venue.restart_feed()
    settle(venue, 2)
    shell.listen_until(trades, lambda: PRINTS in venue.subscribed)
    venue.publish(settle(venue, 3))
    assert numbers(trades) == [2, 3]


def test_what_history_refuses_to_tell_is_missed(venue, ex, monkeypatch):
    monkeypatch.setattr("exchange.client.statements._TRADES_TOLD", "drop ? ? ? ? ? ?")
    trades = ex.trades(SYMBOL, timeout=PATIENCE)
    venue.until_subscribed(PRINTS)
    venue.publish(settle(venue, 1))
    settle(venue, 2)
    venue.publish(settle(venue, 3))
    assert next(trades).trade == 1
    with pytest.raises(TradesMissed) as caught:
        next(trades)
    assert isinstance(caught.value.__cause__, RequestRefused)
    assert (caught.value.after, caught.value.through) == (101, 102)
    assert next(trades).trade == 3


def test_bars_go_on_where_history_ends(venue, ex):
    venue.rules.bars = [bar(0, 900), bar(1, 950)]
    venue.feed.time = START + MINUTE_NS + 2 * 10**9
    settle(venue, 5, 1_010)
    bars = ex.bars(SYMBOL, since="2026-01-01", limit=3, timeout=PATIENCE)
    venue.until_subscribed(PRINTS)
    venue.publish(settle(venue, 1, 1_000), settle(venue, 2, 1_030))
    venue.feed.time = START + 2 * MINUTE_NS
    venue.publish(settle(venue, 7, 1_020))
    venue.feed.time = START + 3 * MINUTE_NS + 2 * 10**9
    venue.publish(venue.feed.heartbeat())
    first, second, third = bars
    assert (first.symbol, first.start, first.close) == (SYMBOL, START, 900)
    assert (second.start, second.open, second.high, second.low, second.close) == (
        START + MINUTE_NS,
        1_010,
        1_030,
        1_000,
        1_030,
    )
    assert (second.volume, second.trades, second.amount) == (8, 3, 5 * 1_010 + 1_000 + 2 * 1_030)
    assert (third.start, third.volume) == (START + 2 * MINUTE_NS, 7)


def test_a_trade_told_behind_a_heartbeat_of_the_next_minute_is_counted_in_its_own(venue, ex):
    late = START + MINUTE_NS - 10**6
    venue.feed.time = late
    settle(venue, 5, 1_010)
    venue.feed.time = START + MINUTE_NS
    bars = ex.bars(SYMBOL, limit=2, timeout=PATIENCE)
    venue.until_subscribed(PRINTS)
    venue.feed.time = late
    venue.publish(settle(venue, 1, 1_000))
    for minutes in (1, 2):
        venue.feed.time = START + minutes * MINUTE_NS + 5 * 10**9
        venue.publish(settle(venue, 7, 1_020))
    assert [(each.start, each.volume) for each in bars] == [(START, 6), (START + MINUTE_NS, 7)]


def bar(minute, close):
    row = dict.fromkeys(("open", "high", "low", "volume", "amount", "trades", "subsidised_volume"), 1)
    return {"start_us": (START + minute * MINUTE_NS) // 1_000, **row, "close": close}


def test_history_alone_tells_its_bars(venue, ex):
    venue.rules.bars = [bar(0, 900), bar(1, 950)]
    assert [each.close for each in ex.bars(SYMBOL, live=False)] == [900, 950]
    assert PRINTS not in venue.subscribed


# --- books -------------------------------------------------------------------------------------


def test_a_book_is_whole_and_comes_over_the_wire(venue, ex):
    venue.feed.level(Side.BUY, 990, 4)
    venue.feed.level(Side.SELL, 1_010, 6, orders=2)
    book = ex.book(SYMBOL, timeout=PATIENCE)
    assert (book.state, book.phase, book.reference, book.sequence) == ("live", "continuous", 900, 102)
    assert book.best_bid == (990, 4, 1, ())
    assert book.best_ask == (1_010, 6, 2, ())


def test_a_book_is_followed_across_losses_and_breaks(venue, ex, shell):
    books = ex.books(SYMBOL, timeout=PATIENCE, on_slow="raise")
    assert next(books).bids == ()
    venue.until_subscribed(LEVELS)
    venue.publish(venue.feed.level(Side.BUY, 990, 4))
    assert next(books).best_bid == (990, 4, 1, ())
    venue.restart_feed()
    venue.feed.level(Side.BUY, 991, 1)
    shell.listen_until(books, lambda: LEVELS in venue.subscribed)
    venue.publish(venue.feed.level(Side.BUY, 992, 2))
    healed = next(book for book in books if book.resyncs and book.is_live)
    assert [level.price for level in healed.bids] == [992, 991, 990]


def test_the_end_of_a_stream_ends_its_subscriptions(venue, ex):
    books = ex.books(SYMBOL, timeout=PATIENCE)
    venue.until_subscribed(LEVELS)
    assert PRINTS in venue.subscribed
    books.close()
    venue.until_unsubscribed(LEVELS)
    venue.until_unsubscribed(PRINTS)
    trades = ex.trades(SYMBOL, timeout=PATIENCE)
    venue.until_subscribed(PRINTS)
    venue.publish(settle(venue, 1))
    assert next(trades).trade == 1


# --- what cannot be ----------------------------------------------------------------------------


def test_a_profile_without_a_feed_says_so(venue, shell):
    with shell.connected(venue.profile(endpoints=Endpoints(venue.endpoint))) as ex:
        for call in (ex.book, ex.books, ex.trades, ex.bars):
            with pytest.raises(ProfileError, match="names no feed"):
                call(SYMBOL)
        assert ex.account()


def test_a_feed_that_is_not_there_is_an_error(venue, shell):
    endpoints = Endpoints(venue.endpoint, "", "tcp://127.0.0.1:9", "tcp://127.0.0.1:9")
    with (
        shell.connected(venue.profile(endpoints=endpoints)) as ex,
        pytest.raises(ConnectionLost, match="nothing answers"),
    ):
        ex.book(SYMBOL, timeout=SHORT)


def test_what_is_no_message_of_this_version_is_told(venue, ex):
    trades = ex.trades(SYMBOL, timeout=PATIENCE)
    venue.until_subscribed(PRINTS)
    venue.publish(PRINTS + bytes([2]) + bytes(43))
    with pytest.raises(ProtocolBroken, match="install the release that the venue runs"):
        next(trades)


def test_no_time_to_wait_is_refused(ex):
    with pytest.raises(BadInput):
        ex.book(SYMBOL, timeout=-1)
