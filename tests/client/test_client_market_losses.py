"""What a reader of market data loses last, or while it is busy healing: it is missed all the same."""

from __future__ import annotations

import pytest

from exchange.client import marketreaders
from exchange.client.marketreaders import TradeReader
from exchange.testing import SECOND_NS, Exchange
from feeds.messages import read
from tests.client.both import shell_of
from tests.client.fake_feed import FakeFeed

QWEN = "QWEN3-MAX"


@pytest.fixture
def venue():
    return Exchange(seed=7)


@pytest.fixture(params=["sync", "async"])
def ex(request, venue):
    with shell_of(request.param) as shell:
        ex = shell.enter(venue, "SANDBOX")
        yield ex
        ex.close()


@pytest.fixture
def provider(venue):
    with venue.connect("ALIBABA") as provider:
        yield provider


def offer(provider, lots):
    qwen = provider.instruments[QWEN]
    provider.place(qwen.sell(lots, limit=qwen.listing.list_price))


def pass_seconds(venue, seconds):
    venue.clock.advance(int(seconds * SECOND_NS))
    venue.tell_time()


def shown(levels):
    return [(level.quantity, level.orders) for level in levels]


def fall_behind(venue, provider):
    """Have more happen than waits for a reader who does not read."""
    venue.feed.kept = 2
    for _ in range(6):
        offer(provider, 1)
    venue.feed.kept = 100


def hear_nothing(venue):
    """Lose what is on its way to every reader."""
    for line in venue.feed._lines:
        line._mail.clear()


def conflated(venue, ex, provider):
    """Return a stream of a book that has gone over to pictures."""
    books = ex.books(QWEN, timeout=0, on_slow="conflate")
    next(books)
    fall_behind(venue, provider)
    next(books)
    offer(provider, 1)
    assert next(books).conflated
    return books


def lose_the_last_picture(venue, provider):
    offer(provider, 1)
    pass_seconds(venue, 0.1)
    hear_nothing(venue)


def start_anew_in_silence(venue, provider):
    """Have the feed come back with what it has missed in its books, and nothing to tell of it."""
    venue.drop_feed(1)
    offer(provider, 1)
    venue.restart_feed()
    hear_nothing(venue)


@pytest.mark.parametrize("lose", [lose_the_last_picture, start_anew_in_silence])
def test_a_picture_that_nothing_follows_is_missed_and_asked_for(venue, ex, provider, lose):
    books = conflated(venue, ex, provider)
    lose(venue, provider)
    pass_seconds(venue, 1)
    assert next(ex.books(QWEN, timeout=0, limit=1)).asks[0].quantity == 8
    pass_seconds(venue, 1)
    assert (next(books).state, next(books).state) == ("gapped", "live")
    offer(provider, 1)
    pass_seconds(venue, 0.1)
    assert shown(next(books).asks) == [(9, 9)]


def test_what_comes_while_a_gap_is_filled_is_not_filled_with_it(monkeypatch):
    monkeypatch.setattr(marketreaders, "TRADES_KEPT_MAX", 3)
    feed, reader = FakeFeed(), TradeReader(QWEN, 0, after=0)
    reader.take(read(feed.heartbeat()))
    gap = reader.gap
    assert gap is not None
    for lots in range(1, 6):  # and history is being asked of the gap
        reader.take(read(feed.trade(lots)))
    assert not reader.bridge(gap)
    wider = reader.gap
    assert wider is not None
    assert (wider.after, wider.through) == (0, feed.sequence - 2)
    assert reader.bridge(wider)
    fourth = reader.next()
    assert fourth is not None
    assert fourth.quantity == 4
