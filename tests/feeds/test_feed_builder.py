"""How one reader's book comes to be trusted, and stops being trusted."""

from __future__ import annotations

import pytest

from feeds import recovery
from feeds.builder import ASK_AGAIN_NS, SILENCE_NS, BookBuilder, Books, Level, State
from feeds.messages import (
    DEPTH,
    FIXINGS,
    INDICATIVE,
    LEVELS_REFRESH,
    ORDERS_REFRESH,
    STATUS,
    TOPS,
    Document,
    Heartbeat,
)
from feeds.records import Top, Totals
from tests.feeds.crafted import (
    A_PRICE,
    A_TOP,
    BUY,
    CALL,
    NO_PRICE,
    OPEN,
    SELL,
    depth,
    heartbeat,
    indicative,
    orders,
    orders_refresh,
    placed,
    quote,
    refresh,
    status,
    trade_print,
    trades,
    view,
)


@pytest.fixture
def book() -> BookBuilder:
    """A reader that joined at number 5: bids 10, asks 12."""
    book = BookBuilder(0)
    book.take(refresh(5, (BUY, 10, 3), (SELL, 12, 4)), now=0)
    return book


def test_waiting_until_a_refresh_has_come():
    book = BookBuilder(0)
    assert (book.state, book.best_bid, book.best_ask) == (State.WAITING, None, None)
    book.take(depth(1, (BUY, 10, 3)), now=0)
    assert (book.state, book.bids) == (State.WAITING, [])
    book.take(refresh(1, (BUY, 10, 3)), now=0)
    assert (book.state, book.bids) == (State.LIVE, [Level(10, 3, 1)])


def test_levels_stand_best_first(book):
    book.take(depth(6, (BUY, 9, 1), (BUY, 11, 1), (SELL, 15, 1), (SELL, 13, 1)), now=0)
    assert [level.price for level in book.bids] == [11, 10, 9]
    assert [level.price for level in book.asks] == [12, 13, 15]
    assert (book.best_bid, book.best_ask) == (Level(11, 1, 1), Level(12, 4, 1))


def test_a_total_replaces_and_nothing_removes_even_what_was_not_there(book):
    book.take(depth(6, (BUY, 10, 7), (SELL, 12, 0), (SELL, 99, 0)), now=0)
    assert (book.bids, book.asks) == ([Level(10, 7, 1)], [])


def test_what_was_kept_is_applied_behind_the_refresh_and_what_is_in_it_is_dropped():
    book = BookBuilder(0)
    for number in (4, 5, 6, 7):
        book.take(depth(number, (BUY, number, number)), now=0)
    book.take(refresh(5, (BUY, 1, 1)), now=0)
    assert (book.state, book.number, book.sequence) == (State.LIVE, 7, 107)
    assert [level.price for level in book.bids] == [7, 6, 1]


def test_a_refresh_too_old_is_taken_and_asked_for_again():
    book = BookBuilder(0)
    book.take(depth(8, (BUY, 8, 8)), now=0)
    assert book.wants_refresh(now=0)
    book.asked(now=0)
    book.take(refresh(5, (BUY, 1, 1)), now=1)
    assert (book.state, book.number) == (State.GAPPED, 5)
    assert book.wants_refresh(now=1)
    book.take(refresh(7, (BUY, 7, 7)), now=1)
    assert (book.state, book.number) == (State.LIVE, 8)


def test_a_gap_is_seen_by_the_next_message(book):
    book.take(depth(7, (BUY, 11, 1)), now=0)
    assert (book.state, book.losses, book.best_bid) == (State.GAPPED, 1, Level(10, 3, 1))
    book.take(depth(8, (BUY, 11, 2)), now=0)
    assert book.losses == 1
    book.take(refresh(6, (BUY, 10, 9)), now=0)
    assert (book.state, book.number, book.bids) == (
        State.LIVE,
        8,
        [Level(11, 2, 1), Level(10, 9, 1)],
    )


def test_a_gap_is_seen_by_the_next_heartbeat(book):
    book.take(heartbeat(5), now=0)
    assert book.state == State.LIVE
    book.take(heartbeat(6), now=0)
    assert (book.state, book.losses) == (State.GAPPED, 1)


def test_what_comes_late_heals_by_itself(book):
    book.take(depth(8, (BUY, 8, 1)), now=0)
    book.take(depth(7, (BUY, 7, 1)), now=0)
    assert book.state == State.GAPPED
    book.take(depth(6, (BUY, 6, 1)), now=0)
    assert (book.state, book.number) == (State.LIVE, 8)
    assert not book.wants_refresh(now=10**18)


@pytest.mark.parametrize(
    "message",
    [
        depth(5, (BUY, 1, 1)),
        depth(2),
        depth(0, (BUY, 1, 1)),
        depth(-1, (BUY, 1, 1)),
        heartbeat(3),
        refresh(5),
        refresh(4, (BUY, 1, 1)),
        orders(6, *placed((1, BUY, 1, 1))),
        orders_refresh(9, (1, BUY, 1, 1)),
        view(sequence=110, totals=Totals(1, 1, 50, 0)),
        Document(FIXINGS, 0, 1, 1, 110, 0, b""),
    ],
)
def test_what_comes_again_or_too_late_changes_nothing(book, message):
    book.take(message, now=0)
    assert (book.state, book.number, book.bids) == (State.LIVE, 5, [Level(10, 3, 1)])


def test_a_heartbeat_that_agrees_moves_the_sequence_and_never_back(book):
    book.take(heartbeat(5, sequence=140), now=0)
    assert book.sequence == 140
    book.take(heartbeat(5, sequence=130), now=0)
    assert book.sequence == 140
    book.take(heartbeat(6, sequence=150), now=0)
    assert book.sequence == 140


@pytest.mark.parametrize(
    "message", [depth(1, run=2), heartbeat(0, run=2), trades(1, 9, run=2), status(1, CALL, run=2)]
)
def test_a_new_run_of_the_publisher_begins_anew(book, message):
    book.take(message, now=0)
    assert (book.state, book.run, book.bids, book.losses) == (State.WAITING, 2, [], 1)
    assert book.wants_refresh(now=0)
    book.take(refresh(1, (BUY, 2, 2), run=2), now=0)
    assert (book.state, book.bids) == (State.LIVE, [Level(2, 2, 1)])


def test_a_refresh_of_another_run_is_never_mixed_with_messages_of_this_one():
    book = BookBuilder(0)
    book.take(depth(3, (BUY, 3, 3), run=2), now=0)
    book.take(refresh(2, (BUY, 1, 1), run=1), now=0)
    assert (book.state, book.bids) == (State.WAITING, [])
    book.take(heartbeat(3, run=2), now=0)
    book.take(refresh(3, (BUY, 3, 3), run=2), now=0)
    assert (book.state, book.bids) == (State.LIVE, [Level(3, 3, 1)])


def test_a_whole_book_does_not_heed_another_runs_refresh(book):
    book.take(refresh(9, (BUY, 1, 1), run=2), now=0)
    assert (book.state, book.run, book.number) == (State.LIVE, 1, 5)


def test_a_refresh_is_asked_for_once_in_a_while(book):
    book.take(depth(7), now=0)
    assert book.wants_refresh(now=3)
    book.asked(now=3)
    assert not book.wants_refresh(now=2 + ASK_AGAIN_NS)
    assert book.wants_refresh(now=3 + ASK_AGAIN_NS)
    book.take(refresh(7), now=4)
    assert not book.wants_refresh(now=10**18)


def test_a_second_loss_is_asked_for_at_once(book):
    book.take(depth(7), now=0)
    book.asked(now=3)
    book.take(depth(6), now=3)
    assert book.state == State.LIVE
    book.take(depth(9), now=4)
    assert book.wants_refresh(now=4)


def test_what_is_no_longer_needed_is_not_kept(book):
    book.take(depth(5), now=0)
    book.take(depth(8), now=0)
    book.take(depth(8), now=0)
    assert list(book._chain.kept) == [8]
    book.take(refresh(9), now=0)
    assert list(book._chain.kept) == []


def test_silence_makes_a_book_stale_and_a_heartbeat_revives_it(book):
    book.tick(now=0)
    book.tick(now=SILENCE_NS)
    assert book.state == State.LIVE
    book.tick(now=SILENCE_NS + 1)
    assert book.state == State.STALE
    book.take(refresh(5), now=SILENCE_NS + 2)  # the other socket: no sign of the published stream
    assert book.state == State.STALE
    book.take(heartbeat(5), now=SILENCE_NS + 3)
    assert book.state == State.LIVE


def test_the_last_trade_and_the_trades_that_never_came(book):
    for number, trade in ((1, 11), (2, 12), (2, 12), (1, 11)):
        book.take(trades(number, trade), now=0)
    assert (book.last_trade.trade, book.trades_missed) == (12, 0)
    book.take(trades(5, 15), now=0)
    assert (book.last_trade.trade, book.trades_missed) == (15, 2)
    book.take(heartbeat(5, trades_number=6), now=0)
    assert (book.trades_missed, book.state) == (3, State.LIVE)


def test_who_joins_late_has_missed_no_trade_but_counts_from_the_refresh():
    book = BookBuilder(0)
    book.take(refresh(5, trades=7), now=0)
    book.take(trades(8, 30), now=0)
    assert book.trades_missed == 0
    late = BookBuilder(0)
    late.take(refresh(5, trades=7), now=0)
    late.take(trades(9, 31), now=0)
    assert late.trades_missed == 1


def test_which_trades_never_came_and_one_that_comes_late_has_come(book):
    for number in (1, 5, 9):
        book.take(trades(number, number), now=0)
    assert (book.trades_missed, book.trades_missing) == (6, [range(2, 5), range(6, 9)])
    book.take(trades(3, 3), now=0)
    assert (book.trades_missed, book.trades_missing) == (5, [range(2, 3), range(4, 5), range(6, 9)])
    for number in (3, 2, 4, 7, 6, 8, 8):
        book.take(trades(number, number), now=0)
    assert (book.trades_missed, book.trades_missing, book.last_trade) == (0, [], trade_print(9))
    book.take(heartbeat(5, trades_number=11), now=0)
    assert book.trades_missing == [range(10, 12)]
    book.take(trades(11, 11), now=0)
    assert (book.trades_missed, book.trades_missing) == (1, [range(10, 11)])
    book.take(heartbeat(0, run=2), now=0)
    assert (book.trades_missed, book.trades_missing) == (1, [])


def test_of_the_stretches_missed_the_oldest_are_forgotten_but_counted(book, monkeypatch):
    monkeypatch.setattr(recovery, "MISSING_MAX", 2)
    book.take(heartbeat(0, run=2), now=0)
    for number in (1, 3, 5, 7):
        book.take(trades(number, number, run=2), now=0)
    assert (book.trades_missed, book.trades_missing) == (3, [range(4, 5), range(6, 7)])


def test_totals_and_the_last_trade_are_those_of_the_newest_picture(book):
    assert book.totals == Totals(0, 0, 0, 0)
    book.take(view(sequence=120, totals=Totals(2, 3, 150, 7), last_trade=trade_print(8)), now=0)
    book.take(view(sequence=110, totals=Totals(1, 1, 50, 0), last_trade=trade_print(7)), now=0)
    assert (book.totals, book.last_trade) == (Totals(2, 3, 150, 7), trade_print(8))
    book.take(heartbeat(0, run=2), now=0)
    assert book.totals is None


def test_a_refresh_tells_the_status_and_what_the_auction_would_find():
    book = BookBuilder(0)
    assert (book.status, book.indicative) == (None, None)
    book.take(refresh(5, status=(3, CALL), indicative=(8, A_PRICE)), now=0)
    assert (book.state, book.status, book.indicative) == (State.LIVE, CALL, A_PRICE)


def test_of_the_status_and_the_indicative_the_highest_number_holds(book):
    book.take(status(2, OPEN, CALL), now=0)
    book.take(indicative(2, A_PRICE), now=0)
    assert (book.status, book.indicative) == (CALL, A_PRICE)
    book.take(status(1, OPEN), now=0)
    book.take(indicative(1, NO_PRICE), now=0)
    book.take(refresh(4, status=(1, OPEN), indicative=(1, NO_PRICE)), now=0)
    assert (book.state, book.losses, book.status, book.indicative) == (State.LIVE, 0, CALL, A_PRICE)


def test_of_the_top_the_highest_number_holds():
    book = BookBuilder(0)
    assert book.top is None
    book.take(refresh(5, (BUY, 10, 3), (SELL, 12, 4), (SELL, 13, 1), top=2), now=0)
    assert book.top == A_TOP
    book.take(quote(3, Top(10, 3, 0, 0, 1, 0)), now=0)
    book.take(quote(2, Top(9, 9, 9, 9, 9, 9)), now=0)
    book.take(refresh(5, (BUY, 1, 1), top=3), now=0)
    assert book.top == Top(10, 3, 0, 0, 1, 0)
    book.take(refresh(5, (BUY, 10, 2), top=4), now=0)
    assert (book.top, book.best_ask) == (Top(10, 2, 0, 0, 1, 0), Level(12, 4, 1))


@pytest.mark.parametrize("kind", [STATUS, INDICATIVE, TOPS])
def test_a_status_indicative_or_top_that_was_lost_is_seen_by_a_heartbeat_and_healed(book, kind):
    book.take(Heartbeat(1, 1, 140, 0, {(DEPTH, 0): 5, (kind, 0): 1}), now=0)
    assert (book.state, book.losses, book.sequence) == (State.GAPPED, 1, 105)
    assert book.wants_refresh(now=0)
    book.take(refresh(5, status=(1, CALL), indicative=(1, A_PRICE), top=1), now=0)
    assert (book.state, book.status, book.indicative) == (State.LIVE, CALL, A_PRICE)


def test_in_a_call_a_book_may_be_crossed(book):
    book.take(depth(6, (BUY, 15, 2), (SELL, 9, 1)), now=0)
    assert (book.best_bid, book.best_ask) == (Level(15, 2, 1), Level(9, 1, 1))
    assert [level.price for level in book.bids] == [15, 10]
    assert [level.price for level in book.asks] == [9, 12]


def test_what_is_kept_has_a_limit_and_a_later_refresh_heals_it(monkeypatch):
    monkeypatch.setattr(recovery, "KEPT_MAX", 10)
    book = BookBuilder(0)
    for number in range(1, 31):
        book.take(depth(number, (BUY, number, 1)), now=0)
    book.take(refresh(15), now=0)
    assert book.state == State.GAPPED
    book.take(refresh(20), now=0)
    assert (book.state, book.number, len(book.bids)) == (State.LIVE, 30, 10)


def test_as_many_levels_as_are_asked_for(book):
    book.take(depth(6, (BUY, 9, 1), (BUY, 11, 1)), now=0)
    assert [level.price for level in book.depth(BUY, 2)] == [11, 10]
    assert [level.price for level in book.depth(SELL, 2)] == [12]
    assert book.depth(BUY, 0) == []


@pytest.mark.parametrize("level", [(BUY, 10, -1), (2, 10, 1), (255, 10, 0)])
def test_what_no_publisher_sends_leaves_no_book_and_is_asked_for(book, level):
    book.take(depth(6, (BUY, 11, 1), level), now=0)
    assert (book.state, book.bids, book.asks, book.losses) == (State.WAITING, [], [], 1)
    assert book.wants_refresh(now=0)
    book.asked(now=0)
    book.take(refresh(5, (BUY, 10, 3)), now=1)
    assert (book.state, book.number) == (State.GAPPED, 5)
    book.take(refresh(6, (BUY, 11, 1)), now=1)
    assert (book.state, book.bids) == (State.LIVE, [Level(11, 1, 1)])


@pytest.mark.parametrize(
    "rows", [[(BUY, 10, 0)], [(BUY, 10, -2)], [(3, 10, 1)], [(BUY, 10, 1), (SELL, 11, 1), (BUY, 10, 1)]]
)
def test_a_picture_that_cannot_be_is_not_taken_and_asked_for_in_a_while(rows):
    book = BookBuilder(0)
    book.asked(now=0)
    book.take(refresh(5, *rows), now=1)
    assert (book.state, book.bids) == (State.WAITING, [])
    assert not book.wants_refresh(now=1)
    assert book.wants_refresh(now=ASK_AGAIN_NS)


def test_a_book_of_levels_that_is_asked_for_with_orders_becomes_one(book):
    books = Books([0])
    books.take(refresh(5, (BUY, 10, 3)), now=0)
    assert books.add(0, orders=True) is books[0]
    assert (books[0].state, books.wanting(now=0)) == (State.WAITING, [(ORDERS_REFRESH, 0)])
    books.take(orders_refresh(2, (7, BUY, 10, 3)), now=0)
    books.take(depth(6, (BUY, 10, 9)), now=0)
    assert (books[0].state, books[0].bids) == (State.LIVE, [Level(10, 3, 1)])
    assert books.add(0) is books[0]
    assert books[0].state == State.LIVE


def test_the_orders_of_a_book_of_levels_are_nobodys_to_ask(book):
    with pytest.raises(AssertionError, match="orders=True"):
        book.queue(BUY, 10)


def test_several_books_each_hear_what_concerns_them():
    books = Books([0, 7])
    books.take(refresh(5), now=0)
    books.take(refresh(1)._replace(instrument=3), now=0)
    assert [book.state for book in books] == [State.LIVE, State.WAITING]
    assert books.wanting(now=0) == [(LEVELS_REFRESH, 7)]
    books.take(heartbeat(6), now=0)
    assert books.wanting(now=0) == [(LEVELS_REFRESH, 0), (LEVELS_REFRESH, 7)]
    books.take(refresh(6), now=0)
    books.add(8)
    assert books.add(0) is books[0]
    books.tick(now=SILENCE_NS + 1)
    assert [book.state for book in books] == [State.STALE, State.WAITING, State.WAITING]
