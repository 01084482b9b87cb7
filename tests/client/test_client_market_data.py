"""Market data in a venue of one's own process: the same stories with both clients, whole and with losses."""

from __future__ import annotations

import gc

import pytest

from exchange import BadInput, ConnectionLost, ProfileError, ReaderTooSlow, Side, TradesMissed, UnknownName
from exchange.local_history import LocalHistory
from exchange.testing import SECOND_NS, Exchange
from feeds.queues import Place
from tests.client.both import shell_of

QWEN = "QWEN3-MAX"
MINUTE = 60 * SECOND_NS


@pytest.fixture
def venue():
    return Exchange(seed=7)


@pytest.fixture
def without_history(monkeypatch):
    """Let nobody tell what the feed has not."""

    def answers(*_: object) -> object:
        raise ProfileError("the profile names no query service")

    monkeypatch.setattr(LocalHistory, "answers", answers)


@pytest.fixture(params=["sync", "async"])
def shell(request):
    with shell_of(request.param) as shell:
        yield shell


@pytest.fixture
def ex(venue, shell):
    ex = shell.enter(venue, "SANDBOX")
    yield ex
    ex.close()


@pytest.fixture
def provider(venue):
    with venue.connect("ALIBABA") as provider:
        yield provider


def price(ex, ticks=0):
    qwen = ex.instruments[QWEN]
    return qwen.listing.list_price + ticks * qwen.tick


def offer(provider, lots, ticks=0):
    return provider.place(provider.instruments[QWEN].sell(lots, limit=price(provider, ticks)))


def buy(ex, lots, ticks=0):
    return ex.place(ex.instruments[QWEN].buy(lots, limit=price(ex, ticks)))


def pass_seconds(venue, seconds):
    venue.clock.advance(int(seconds * SECOND_NS))
    venue.tell_time()


def shown(levels):
    return [(level.price, level.quantity, level.orders) for level in levels]


# --- the book, once ----------------------------------------------------------------------------


def test_a_book_is_told_once_and_whole(venue, ex, provider):
    assert ex.book(QWEN).last is None
    offer(provider, 10)
    offer(provider, 5)
    last = offer(provider, 3, ticks=2)
    buy(ex, 7, ticks=-2)
    traded = buy(ex, 1)
    book = ex.book(QWEN)
    assert (book.symbol, book.state, book.phase, book.is_live) == (QWEN, "live", "continuous", True)
    assert shown(book.asks) == [(price(ex), 14, 2), (price(ex, 2), 3, 1)]
    assert shown(book.bids) == [(price(ex, -2), 7, 1)]
    assert book.best_ask == book.asks[0]
    assert book.best_bid == book.bids[0]
    assert book.spread == price(ex, 2) - price(ex)
    assert book.sequence == traded.sequence > last.sequence
    assert book.time == venue.engine.time
    assert book.last is not None
    assert (book.last.price, book.last.quantity) == (price(ex), 1)
    assert book.indicative is None
    assert repr(book).startswith(f"<Book of {QWEN}, live at {book.sequence}: bid 7 @ ")


def test_a_book_shows_as_many_levels_as_are_wanted(ex, provider):
    for ticks in range(12):
        offer(provider, 1, ticks)
    assert len(ex.book(QWEN).asks) == 10
    assert len(ex.book(QWEN, 2).asks) == 2
    assert len(ex.book(QWEN, None).asks) == 12
    assert ex.book(QWEN).spread is None


def test_a_firm_sees_where_its_orders_stand(ex, provider):
    first = offer(provider, 10)
    second = offer(provider, 5)
    deep = offer(provider, 1, ticks=1)
    buy(ex, 4)
    book = ex.book(QWEN, 1, orders=True)
    assert book.asks[0].queue == ((first.id, 6), (second.id, 5))
    assert book.place_of(first) == Place(lots=0, orders=0)
    assert book.place_of(second.id) == Place(lots=6, orders=1)
    assert book.place_of(deep) is None
    assert ex.book(QWEN, None, orders=True).place_of(deep) == Place(lots=0, orders=0)
    assert ex.book(QWEN).place_of(first) is None


def test_a_book_that_does_not_come_is_an_error(venue, ex):
    venue.drop_feed(0, refreshes=1)
    with pytest.raises(TimeoutError, match="the book of QWEN3-MAX"):
        ex.book(QWEN)


def test_a_question_for_a_book_leaves_no_line_behind(venue, ex):
    ex.book(QWEN)
    assert not venue.feed._lines


# --- books as they change ----------------------------------------------------------------------


def test_who_looks_seldom_gets_what_holds_now(ex, provider):
    books = ex.books(QWEN, timeout=0)
    assert next(books).asks == ()
    for lots in (1, 2, 3, 4):
        offer(provider, lots)
    assert shown(next(books).asks) == [(price(ex), 10, 4)]
    assert list(books) == []


def test_a_change_below_the_levels_shown_is_no_news(ex, provider):
    offer(provider, 1)
    books = ex.books(QWEN, 1, timeout=0)
    next(books)
    offer(provider, 1, ticks=5)
    assert list(books) == []


def test_the_queue_is_told_of_too(ex, provider):
    mine = buy(ex, 2, ticks=-3)
    books = ex.books(QWEN, orders=True, timeout=0)
    assert next(books).place_of(mine) == Place(0, 0)
    other = buy(ex, 3, ticks=-3)
    assert next(books).place_of(other) == Place(2, 1)
    ex.cancel(mine)
    assert next(books).place_of(other) == Place(0, 0)


def test_a_stream_ends_after_so_many(ex, provider):
    books = ex.books(QWEN, limit=1, timeout=0)
    offer(provider, 1)
    assert [len(book.asks) for book in books] == [1]


def test_silence_is_told_and_so_is_its_end(venue, ex):
    books = ex.books(QWEN, timeout=0)
    assert next(books).state == "live"
    venue.clock.advance(4 * SECOND_NS)
    assert next(books).state == "stale"
    venue.tell_time()
    assert next(books).state == "live"


def test_a_loss_is_told_and_healed(venue, ex, provider):
    books = ex.books(QWEN, timeout=0)
    assert next(books).resyncs == 0
    venue.drop_feed(1, refreshes=1)
    offer(provider, 1)
    offer(provider, 2)
    gapped = next(books)
    assert (gapped.state, gapped.asks) == ("gapped", ())
    venue.clock.advance(2 * SECOND_NS)
    healed = next(books)
    assert (healed.state, healed.resyncs, shown(healed.asks)) == ("live", 1, [(price(ex), 3, 2)])


def test_a_loss_that_nothing_follows_is_seen_by_the_heartbeat(venue, ex, provider):
    books = ex.books(QWEN, orders=True, timeout=0)
    next(books)
    venue.drop_feed(1)
    offer(provider, 4)
    pass_seconds(venue, 1)
    assert shown(next(books).asks) == [(price(ex), 4, 1)]


def test_a_publisher_that_starts_anew_is_followed(venue, ex, provider):
    offer(provider, 1)
    books = ex.books(QWEN, timeout=0, on_slow="raise")
    next(books)
    venue.restart_feed()
    offer(provider, 2)
    assert shown(next(books).asks) == [(price(ex), 3, 2)]


def test_a_book_that_does_not_come_is_told_of_as_waited_for(venue, ex):
    venue.drop_feed(0, refreshes=1)
    books = ex.books(QWEN, timeout=0)
    venue.clock.advance(4 * SECOND_NS)
    hear_nothing(venue)
    waiting = next(books)
    assert (waiting.state, waiting.sequence, waiting.phase, waiting.asks) == ("waiting", 0, "", ())
    assert repr(waiting) == f"<Book of {QWEN}, waiting at 0: bid nothing, ask nothing>"
    pass_seconds(venue, 1)
    assert next(books).state == "live"


# --- slow readers ------------------------------------------------------------------------------


def fall_behind(venue, provider, orders=6):
    """Have more happen than waits for a reader who does not read."""
    venue.feed.kept = 2
    for _ in range(orders):
        offer(provider, 1)
    venue.feed.kept = 100


def test_a_slow_reader_is_brought_up_to_date(venue, ex, provider):
    books = ex.books(QWEN, timeout=0)
    next(books)
    fall_behind(venue, provider)
    next(books)
    offer(provider, 1)
    book = next(books)
    assert (book.resyncs, book.state, shown(book.asks)) == (1, "live", [(price(ex), 7, 7)])


def test_a_slow_reader_may_be_told_so(venue, ex, provider):
    books = ex.books(QWEN, timeout=0, on_slow="raise")
    next(books)
    fall_behind(venue, provider)
    next(books)
    offer(provider, 1)
    with pytest.raises(ReaderTooSlow, match=r"were dropped.*: read on") as caught:
        next(books)
    assert caught.value.missed > 0
    assert shown(next(books).asks) == [(price(ex), 7, 7)]


def test_a_slow_reader_may_go_over_to_pictures(venue, ex, provider):
    books = ex.books(QWEN, timeout=0, on_slow="conflate")
    assert not next(books).conflated
    fall_behind(venue, provider, orders=12)
    next(books)
    offer(provider, 1)
    book = next(books)
    assert (book.conflated, book.state, shown(book.asks)) == (True, "live", [(price(ex), 13, 13)])
    offer(provider, 1)
    pass_seconds(venue, 0.1)
    assert shown(next(books).asks) == [(price(ex), 14, 14)]
    venue.clock.advance(4 * SECOND_NS)
    assert next(books).state == "stale"
    pass_seconds(venue, 0.1)
    venue.restart_feed()
    offer(provider, 1)
    pass_seconds(venue, 1)
    assert shown(next(books).asks) == [(price(ex), 15, 15)]


# --- trades ------------------------------------------------------------------------------------


def test_trades_come_each_once_in_their_order(venue, ex, provider):
    trades = ex.trades(QWEN, timeout=0)
    offer(provider, 3)
    offer(provider, 3)
    order = buy(ex, 5)
    first, second = trades
    assert (first.symbol, first.trade, first.quantity, first.price) == (QWEN, 1, 3, price(ex))
    assert (second.trade, second.quantity, second.taker_side) == (2, 2, Side.BUY)
    assert first.amount == 3 * price(ex)
    assert (first.paid, first.subsidised) == (0, False)
    assert first.sequence == second.sequence == order.sequence
    assert first.time == order.time


def test_what_was_traded_before_is_not_told_unless_it_is_asked_for(venue, ex, provider):
    offer(provider, 3)
    buy(ex, 1)
    trades = ex.trades(QWEN, limit=1, timeout=0)
    buy(ex, 2)
    assert [trade.trade for trade in trades] == [2]


def test_a_trade_that_a_programme_pays_a_part_of_says_so(venue, ex, provider):
    offer(provider, 3)
    trades = ex.trades(QWEN, limit=1, timeout=0)
    code = next(iter(ex.programmes))
    ex.place(ex.instruments[QWEN].buy(2, limit=price(ex), programme=code))
    (trade,) = trades
    (fill,) = ex.fills(since=trade.sequence, timeout=0)
    assert trade.subsidised
    assert trade.paid == fill.subsidy


@pytest.mark.usefixtures("without_history")
def test_trades_that_nobody_can_tell_are_never_skipped_in_silence(venue, ex, provider):
    offer(provider, 9)
    trades = ex.trades(QWEN, timeout=0)
    before = buy(ex, 1)
    venue.drop_feed(1)
    lost = buy(ex, 1)
    buy(ex, 2)
    assert next(trades).trade == 1
    with pytest.raises(TradesMissed, match="was not heard") as caught:
        next(trades)
    assert caught.value.after == before.sequence < lost.sequence == caught.value.through
    assert caught.value.__cause__ is not None
    assert next(trades).trade == 3


@pytest.mark.usefixtures("without_history")
def test_trades_lost_before_a_publisher_started_anew_are_missed(venue, ex, provider):
    offer(provider, 9)
    trades = ex.trades(QWEN, timeout=0)
    buy(ex, 1)
    venue.drop_feed(1)
    lost = buy(ex, 1)
    venue.restart_feed()
    pass_seconds(venue, 1)
    assert next(trades).trade == 1
    with pytest.raises(TradesMissed) as caught:
        next(trades)
    assert caught.value.through >= lost.sequence


@pytest.mark.usefixtures("without_history")
def test_a_slow_reader_of_trades_may_be_told_so(venue, ex, provider):
    offer(provider, 9)
    trades = ex.trades(QWEN, timeout=0, on_slow="raise")
    venue.feed.kept = 2  # the greeting is the first
    for _ in range(4):
        buy(ex, 1)
    venue.feed.kept = 100
    assert next(trades).trade == 1
    buy(ex, 1)
    with pytest.raises(ReaderTooSlow) as caught:
        next(trades)
    assert caught.value.missed == 3
    with pytest.raises(TradesMissed):
        next(trades)
    assert next(trades).trade == 5


@pytest.mark.parametrize("call", ["trades", "bars"])
def test_silence_is_an_error_where_nothing_else_would_tell_of_it(venue, ex, provider, call):
    offer(provider, 9)
    stream = getattr(ex, call)(QWEN, limit=1, timeout=0)
    hear_nothing(venue)
    venue.clock.advance(4 * SECOND_NS)
    with pytest.raises(ConnectionLost, match=f"not even a heartbeat; there may be {call} of"):
        next(stream)
    venue.tell_time()
    for _ in range(3):
        pass_seconds(venue, 60)
        buy(ex, 1)
    assert next(stream)


def test_a_silence_is_an_error_once(venue, ex, provider):
    offer(provider, 9)
    trades = ex.trades(QWEN, timeout=0)
    for trade in (1, 2):
        venue.tell_time()
        buy(ex, 1)
        assert next(trades).trade == trade
        venue.clock.advance(4 * SECOND_NS)
        with pytest.raises(ConnectionLost):
            next(trades)
    assert list(trades) == [], "it waits as long as it may, and then ends"


def hear_nothing(venue):
    """Lose what is on its way to every reader."""
    for line in venue.feed._lines:
        line._mail.clear()


# --- bars --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_history")
def test_a_minute_is_told_when_it_is_over(venue, ex, provider):
    offer(provider, 3)
    offer(provider, 20, ticks=1)
    buy(ex, 1)
    bars = ex.bars(QWEN, timeout=0)
    buy(ex, 1)  # of the minute under way, whose begin nobody tells
    pass_seconds(venue, 60)
    start = venue.clock.now - venue.clock.now % MINUTE
    buy(ex, 1)
    buy(ex, 4, ticks=1)
    assert list(ex.bars(QWEN, timeout=0)) == []
    pass_seconds(venue, 62)
    (bar,) = bars
    low, high = price(ex), price(ex, 1)
    assert (bar.symbol, bar.start, bar.end) == (QWEN, start, start + MINUTE)
    assert (bar.open, bar.high, bar.low, bar.close) == (low, high, low, high)
    assert (bar.volume, bar.amount, bar.trades) == (5, low + 4 * high, 2)
    assert bar.subsidised_volume == 0


def test_a_minute_is_over_when_one_trades_in_the_next(venue, ex, provider):
    offer(provider, 9)
    bars = ex.bars(QWEN, limit=2, timeout=0)
    for lots in (1, 2, 3):
        pass_seconds(venue, 60)
        buy(ex, lots)
    assert [bar.volume for bar in bars] == [1, 2]


# --- what cannot be asked, and the end ---------------------------------------------------------


SENSELESS = [
    (lambda ex: ex.book(QWEN, 0), "depth"),
    (lambda ex: ex.book(QWEN, True), "depth"),
    (lambda ex: ex.books(QWEN, 1.5), "depth"),
    (lambda ex: ex.books(QWEN, on_slow="wait"), "on_slow"),
    (lambda ex: ex.books(QWEN, orders=True, on_slow="conflate"), "on_slow"),
    (lambda ex: ex.books(QWEN, timeout=-1), "timeout"),
    (lambda ex: ex.trades(QWEN, on_slow="conflate"), "on_slow"),
    (lambda ex: ex.bars(QWEN, "5m"), "interval"),
]


def test_what_makes_no_sense_is_refused_at_once(venue, ex):
    for call, field in SENSELESS:
        with pytest.raises(BadInput) as caught:
            call(ex)
        assert caught.value.field == field
    for call in (ex.book, ex.books, ex.trades, ex.bars):
        with pytest.raises(UnknownName, match=QWEN):
            call("QWEN3-MAXX")
    assert not venue.feed._lines


STREAMS = ("books", "trades", "bars")


def test_a_stream_lets_its_line_go_at_its_end(venue, ex):
    for call in STREAMS:
        assert list(getattr(ex, call)(QWEN, timeout=0, limit=0)) == []
        stream = getattr(ex, call)(QWEN)
        assert len(venue.feed._lines) == 1
        stream.close()
        assert list(stream) == []
        assert not venue.feed._lines
        dropped = getattr(ex, call)(QWEN)
        del dropped
        gc.collect()
        assert not venue.feed._lines


def test_a_stream_ends_with_its_client(venue, shell):
    ex = shell.enter(venue, "SANDBOX")
    streams = [getattr(ex, call)(QWEN, timeout=0) for call in STREAMS]
    ex.close()
    for call, stream in zip(STREAMS, streams, strict=True):
        with pytest.raises(ConnectionLost, match="was closed"):
            next(stream)
        with pytest.raises(ConnectionLost, match="was closed"):
            getattr(ex, call)(QWEN)
