"""Over real sockets, on one thread: a reader that joins while the market trades ends up whole."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import zmq

from feeds.builder import State
from feeds.messages import DEPTH, Trades, UnreadableError, topic
from feeds.subscriber import CurveKeys, Subscriber
from tests.feeds.flow import Flow, Venue, seen, truth

TURNS_MAX = 2_000
"""A turn waits at most 10 ms, so that a test that cannot pass ends all the same."""


class Edge:
    """The publisher's two sockets, as the feed process will have them, on ports of the system's."""

    def __init__(self, context: zmq.Context, venue: Venue, secret: bytes | None = None) -> None:
        self.venue = venue
        self.published, self.refreshes = context.socket(zmq.PUB), context.socket(zmq.ROUTER)
        self.answered = 0
        for socket in (self.published, self.refreshes):
            socket.setsockopt(zmq.LINGER, 0)
            if secret:
                socket.setsockopt(zmq.CURVE_SERVER, 1)
                socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
            socket.bind("tcp://127.0.0.1:*")

    def reader(
        self, context: zmq.Context, instruments: Iterable[int], keys: CurveKeys | None = None
    ) -> Subscriber:
        published, refreshes = (
            socket.getsockopt_string(zmq.LAST_ENDPOINT) for socket in (self.published, self.refreshes)
        )
        return Subscriber(context, published, refreshes, instruments, keys)

    def send(self, messages: list[bytes]) -> None:
        for message in messages:
            self.published.send(message)

    def answer(self) -> None:
        while self.refreshes.poll(0):
            who, request = self.refreshes.recv_multipart()
            refresh = self.venue.publisher.answer(request, self.venue.book)
            if refresh is not None:
                self.refreshes.send_multipart([who, refresh])
                self.answered += 1

    def close(self) -> None:
        self.published.close()
        self.refreshes.close()


@pytest.fixture
def context():
    with zmq.Context() as context:
        yield context


@pytest.mark.parametrize("curve", [False, True], ids=["plain", "curve"])
def test_a_reader_joins_a_running_market_and_follows_it(context, curve, seed):
    venue, flow = Venue(), Flow(seed)
    venue.play(flow.commands(300))
    server_public, server_secret = zmq.curve_keypair()
    keys = CurveKeys(server_public, *zmq.curve_keypair()) if curve else None
    edge = Edge(context, venue, server_secret if curve else None)
    prints = 0
    with edge.reader(context, range(4), keys) as feed:
        for turn in range(TURNS_MAX):
            if turn < 150:
                edge.send(venue.play(flow.commands(5)).published)
            edge.send([venue.publisher.heartbeat(venue.time)])
            edge.answer()
            received = feed.poll(timeout_ms=10)
            prints += sum(len(one.prints) for one in received if isinstance(one, Trades))
            if turn >= 150 and all(is_level(venue, feed, at) for at in range(4)):
                break
        for book in feed.books:
            assert (book.state, book.instrument) == (State.LIVE, book.instrument)
            assert seen(book) == truth(venue.book, book.instrument)
    edge.close()
    assert edge.answered >= 4
    assert prints > 0


def is_level(venue: Venue, feed: Subscriber, instrument: int) -> bool:
    book = feed.books[instrument]
    return book.state == State.LIVE and book.sequence == venue.sequence


def test_messages_that_never_reach_the_reader_are_asked_for(context, seed):
    venue, flow = Venue(instruments=1), Flow(seed, instruments=1)
    edge = Edge(context, venue)
    with edge.reader(context, [0]) as feed:
        for turn in range(TURNS_MAX):
            published = venue.play(flow.commands(4)).published
            if turn % 5:
                edge.send(published)
            edge.answer()
            feed.poll(timeout_ms=10)
            if feed.books[0].losses >= 3:
                break
        assert feed.books[0].losses >= 3
        for _ in range(TURNS_MAX):
            edge.send([venue.publisher.heartbeat(venue.time)])
            edge.answer()
            feed.poll(timeout_ms=10)
            if is_level(venue, feed, 0):
                break
        assert seen(feed.books[0]) == truth(venue.book, 0)
    edge.close()


def test_what_no_venue_sends_is_told(context):
    edge = Edge(context, Venue(instruments=1))
    with edge.reader(context, [0]) as feed:

        def nonsense() -> None:
            for _ in range(TURNS_MAX):
                edge.send([topic(DEPTH, 0) + b"nonsense"])
                feed.poll(timeout_ms=10)

        with pytest.raises(UnreadableError, match="at least 48 bytes"):
            nonsense()
    edge.close()
