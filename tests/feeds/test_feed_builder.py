"""How one reader's book comes to be trusted, and stops being trusted."""

from __future__ import annotations

import pytest

from feeds import builder as builder_module
from feeds.builder import ASK_AGAIN_NS, SILENCE_NS, BookBuilder, Books, Level, State
from feeds.messages import (
    DEPTH,
    INDICATIVE,
    STATUS,
    TRADES,
    Depth,
    Heartbeat,
    Indicative,
    IndicativePrice,
    LevelUpdate,
    Refresh,
    Status,
    StatusChange,
    TradePrint,
    Trades,
)
from matching.vocabulary import Phase

BUY, SELL = 0, 1
OPEN = StatusChange(reference=50, sequence=0, time=0, phase=Phase.CONTINUOUS, cause=0)
CALL = StatusChange(reference=50, sequence=100, time=9, phase=Phase.PRE_OPEN, cause=0)
NO_PRICE = IndicativePrice(0, 0, 0, 0)
A_PRICE = IndicativePrice(price=51, volume=4, surplus=1, side=SELL)


def depth(number: int, *levels: tuple[int, int, int], run: int = 1) -> Depth:
    updates = tuple(LevelUpdate(price, quantity, 1, side) for side, price, quantity in levels)
    return Depth(0, run, number, 100 + number, 0, updates)


def refresh(
    number: int,
    *levels: tuple[int, int, int],
    run: int = 1,
    trades: int = 0,
    status: tuple[int, StatusChange] = (0, OPEN),
    indicative: tuple[int, IndicativePrice] = (0, NO_PRICE),
) -> Refresh:
    updates = tuple(LevelUpdate(price, quantity, 1, side) for side, price, quantity in levels)
    return Refresh(0, run, number, 100 + number, 0, trades, None, *status, *indicative, updates)


def status(number: int, *changes: StatusChange, run: int = 1) -> Status:
    return Status(0, run, number, 100, 0, changes)


def indicative(number: int, told: IndicativePrice) -> Indicative:
    return Indicative(0, 1, number, 100, 0, told)


def trades(number: int, trade: int, run: int = 1) -> Trades:
    return Trades(0, run, number, 100, 0, (TradePrint(trade, 100, 50, 1, BUY),))


def heartbeat(depth_number: int, trades_number: int = 0, run: int = 1, sequence: int = 0) -> Heartbeat:
    numbers = {(DEPTH, 0): depth_number, (TRADES, 0): trades_number, (DEPTH, 7): 99}
    return Heartbeat(run, 1, sequence, 0, numbers)


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
    "message", [depth(5, (BUY, 1, 1)), depth(2), heartbeat(3), refresh(5), refresh(4, (BUY, 1, 1))]
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
    assert list(book._kept) == [8]
    book.take(refresh(9), now=0)
    assert list(book._kept) == []


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


@pytest.mark.parametrize("kind", [STATUS, INDICATIVE])
def test_a_status_or_indicative_that_was_lost_is_seen_by_a_heartbeat_and_healed(book, kind):
    book.take(Heartbeat(1, 1, 140, 0, {(DEPTH, 0): 5, (kind, 0): 1}), now=0)
    assert (book.state, book.losses, book.sequence) == (State.GAPPED, 1, 105)
    assert book.wants_refresh(now=0)
    book.take(refresh(5, status=(1, CALL), indicative=(1, A_PRICE)), now=0)
    assert (book.state, book.status, book.indicative) == (State.LIVE, CALL, A_PRICE)


def test_in_a_call_a_book_may_be_crossed(book):
    book.take(depth(6, (BUY, 15, 2), (SELL, 9, 1)), now=0)
    assert (book.best_bid, book.best_ask) == (Level(15, 2, 1), Level(9, 1, 1))
    assert [level.price for level in book.bids] == [15, 10]
    assert [level.price for level in book.asks] == [9, 12]


def test_what_is_kept_has_a_limit_and_a_later_refresh_heals_it(monkeypatch):
    monkeypatch.setattr(builder_module, "KEPT_MAX", 10)
    book = BookBuilder(0)
    for number in range(1, 31):
        book.take(depth(number, (BUY, number, 1)), now=0)
    book.take(refresh(15), now=0)
    assert book.state == State.GAPPED
    book.take(refresh(20), now=0)
    assert (book.state, book.number, len(book.bids)) == (State.LIVE, 30, 10)


def test_several_books_each_hear_what_concerns_them():
    books = Books([0, 7])
    books.take(refresh(5), now=0)
    books.take(refresh(1)._replace(instrument=3), now=0)
    assert [book.state for book in books] == [State.LIVE, State.WAITING]
    assert books.wanting(now=0) == [7]
    books.take(heartbeat(6), now=0)
    assert books.wanting(now=0) == [0, 7]
    books.take(refresh(6), now=0)
    books.add(8)
    assert books.add(0) is books[0]
    books.tick(now=SILENCE_NS + 1)
    assert [book.state for book in books] == [State.STALE, State.WAITING, State.WAITING]
