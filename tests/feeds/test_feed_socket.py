"""Over real sockets, on one thread: a reader that joins while the market trades ends up whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial

import numpy as np
import pytest
import zmq

from feeds import subscriber
from feeds.builder import ASK_AGAIN_NS, SILENCE_NS, State
from feeds.messages import (
    DEFINITIONS,
    DEPTH,
    FAST_VIEW,
    FIXINGS,
    INDICATIVE,
    LEVELS_REFRESH,
    ORDERS,
    ORDERS_REFRESH,
    STATUS,
    TOPS,
    TRADES,
    VERSION,
    Depth,
    Document,
    Heartbeat,
    Message,
    Orders,
    Picture,
    Quote,
    Trades,
    UnreadableError,
    read,
    read_ask,
    topic,
)
from feeds.records import HEADER
from feeds.subscriber import ASKS_MAX, CurveKeys, Subscriber
from matching.flow import random_flow
from matching.vocabulary import Side
from tests.feeds.naive import NaiveVenue, truth

TURNS_MAX = 2_000
"""A turn waits at most 10 ms, so that a test that cannot pass ends all the same."""

LARGE_BYTES = 1 << 18
BUFFERED_BYTES_MAX = 1 << 30
"""Far more than a system keeps for one connection, at both its ends together."""

REFUSALS = 20
"""So many turns without room mean that nothing is on its way any more: what is kept is full."""


class Edge:
    """The publisher's two sockets, as the feed process has them, on ports of the system's."""

    def __init__(
        self,
        context: zmq.Context,
        venue: NaiveVenue,
        secret: bytes | None = None,
        messages_kept: int = 1_000,
    ) -> None:
        self.venue = venue
        self.published, self.refreshes = context.socket(zmq.PUB), context.socket(zmq.ROUTER)
        self.published.setsockopt(zmq.SNDHWM, messages_kept)
        self.asked: list[tuple[bytes, int]] = []
        for socket in (self.published, self.refreshes):
            socket.setsockopt(zmq.LINGER, 0)
            if secret:
                socket.setsockopt(zmq.CURVE_SERVER, 1)
                socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
            socket.bind("tcp://127.0.0.1:*")

    def reader(
        self,
        context: zmq.Context,
        instruments: Iterable[int] = (),
        keys: CurveKeys | None = None,
        *,
        orders: bool = False,
        clock: Callable[[], int] | None = None,
    ) -> Subscriber:
        published, refreshes = (
            socket.getsockopt_string(zmq.LAST_ENDPOINT) for socket in (self.published, self.refreshes)
        )
        more = {} if clock is None else {"clock": clock}
        return Subscriber(context, published, refreshes, instruments, keys, orders=orders, **more)

    def send(self, messages: list[bytes]) -> None:
        for message in messages:
            self.published.send(message)

    def answer(self, *, is_mute: bool = False) -> None:
        while self.refreshes.poll(0):
            who, request = self.refreshes.recv_multipart()
            ask = read_ask(request)
            self.asked.append(ask)
            if is_mute:
                continue
            if ask.wanted == DEFINITIONS:
                self.refreshes.send_multipart([who, document(DEFINITIONS, ask.instrument)])
            else:
                self.refreshes.send_multipart([who, self.venue.refresh(*ask)])

    def turn(self, feed: Subscriber, *, is_mute: bool = False) -> list[Message]:
        """Let a heartbeat be published, asks be answered, and the reader read what has come."""
        self.send([self.venue.heartbeat()])
        self.answer(is_mute=is_mute)
        return feed.poll(timeout_ms=10)

    def close(self) -> None:
        self.published.close()
        self.refreshes.close()


def document(kind: bytes, instrument: int, body: bytes = b"\x90") -> bytes:
    return HEADER.pack(kind, instrument, VERSION, 1, 1, 1, 1, len(body)) + body


def day(seed: int, instruments: int, size: int = 4) -> list[np.ndarray]:
    """Return a day's commands in batches, the last first."""
    commands = random_flow(seed, 160, instruments)
    return [commands[at : at + size] for at in range(0, len(commands), size)][::-1]


@pytest.fixture
def context():
    with zmq.Context() as context:
        yield context


@pytest.fixture
def edge(context):
    edge = Edge(context, NaiveVenue())
    yield edge
    edge.close()


@pytest.mark.parametrize("orders", [False, True], ids=["levels", "orders"])
@pytest.mark.parametrize("curve", [False, True], ids=["plain", "curve"])
def test_a_reader_joins_a_running_market_and_follows_it(context, curve, orders, seed):
    venue, batches = NaiveVenue(2), day(seed, 2)
    server_public, server_secret = zmq.curve_keypair()
    keys = CurveKeys(server_public, *zmq.curve_keypair()) if curve else None
    edge = Edge(context, venue, server_secret if curve else None)
    told: set[type] = set()
    with edge.reader(context, range(2), keys, orders=orders) as feed:
        for turn in range(TURNS_MAX):
            if len(batches) > 25 or (turn % 2 and batches and is_live(feed)):
                edge.send(venue.play(batches.pop()))
            told |= {type(message) for message in edge.turn(feed)}
            if not batches and all(is_level(venue, feed, at) for at in range(2)):
                break
        for book in feed.books:
            now = truth(venue.book, book.instrument)
            assert (book.state, book.bids, book.asks, book.top) == (State.LIVE, now.bids, now.asks, now.top)
            assert not orders or book.orders(Side.BUY) == now.buys
    edge.close()
    assert {Trades, Quote, Orders if orders else Depth, Picture} <= told
    assert (Depth if orders else Orders) not in told


def is_live(feed: Subscriber) -> bool:
    return all(book.state == State.LIVE for book in feed.books)


def is_level(venue: NaiveVenue, feed: Subscriber, instrument: int) -> bool:
    return is_live(feed) and feed.books[instrument].sequence == venue.sequence


def turns_until(edge: Edge, feed: Subscriber, holds: Callable[[], bool], **how: bool) -> None:
    for _ in range(TURNS_MAX):
        edge.turn(feed, **how)
        if holds():
            return
    pytest.fail("it never came about")


def hear_beat(feed: Subscriber, number: int) -> None:
    for _ in range(TURNS_MAX):
        for message in feed.poll(timeout_ms=10):
            if isinstance(message, Heartbeat) and message.number == number:
                return
    pytest.fail(f"heartbeat {number} never came")


def test_messages_that_never_reach_the_reader_are_asked_for(context, edge, seed):
    batches = day(seed, 1)
    with edge.reader(context, [0]) as feed:
        turns_until(edge, feed, lambda: is_live(feed))
        while batches:
            published = edge.venue.play(batches.pop())
            if len(batches) % 5:
                edge.send(published)
            edge.turn(feed)
        turns_until(edge, feed, lambda: is_level(edge.venue, feed, 0))
        now = truth(edge.venue.book, 0)
        assert (feed.books[0].bids, feed.books[0].asks) == (now.bids, now.asks)
        assert feed.books[0].losses >= 2


def fill(edge: Edge, reading: Subscriber) -> None:
    """Publish until there is no room for a reader that does not read, however much the system keeps.

    A publisher that drops nothing refuses what one reader has no room for. It is refused for
    the idle one's sake once the other has heard all that was sent.
    """
    large = document(FIXINGS, -1, bytes(LARGE_BYTES))
    edge.published.setsockopt(zmq.XPUB_NODROP, 1)
    sent = heard = refusals = 0
    while refusals < REFUSALS:
        assert sent * LARGE_BYTES < BUFFERED_BYTES_MAX, "it is never full"
        try:
            edge.published.send(large, zmq.NOBLOCK)
            sent, refusals = sent + 1, 0
        except zmq.Again:
            refusals += heard == sent
        heard += sum(isinstance(message, Document) for message in reading.poll(timeout_ms=10))
    edge.published.setsockopt(zmq.XPUB_NODROP, 0)


def test_who_does_not_read_loses_and_finds_back_and_who_reads_loses_nothing(context, seed, monkeypatch):
    kept = 60
    with (
        closing(Edge(context, NaiveVenue(), messages_kept=kept)) as edge,
        edge.reader(context, [0]) as reading,
    ):
        monkeypatch.setattr(subscriber, "UPDATES_KEPT_MAX", kept)
        with edge.reader(context, [0]) as idle:
            reading.listen(FIXINGS)
            idle.listen(FIXINGS)
            turns_until(edge, reading, lambda: is_live(reading))
            turns_until(edge, idle, lambda: is_live(idle))
            fill(edge, reading)
            for batch in reversed(day(seed, 1)):
                edge.send([*edge.venue.play(batch), edge.venue.heartbeat()])
                hear_beat(reading, edge.venue.beats)
            turns_until(edge, idle, lambda: is_level(edge.venue, idle, 0))
            assert reading.books[0].losses == 0 < idle.books[0].losses
            assert (idle.books[0].bids, idle.books[0].asks) == (reading.books[0].bids, reading.books[0].asks)
            assert truth(edge.venue.book, 0).bids == idle.books[0].bids


def test_a_book_goes_over_to_orders_and_hears_no_levels_any_more(context, edge, seed):
    batches = day(seed, 1)
    with edge.reader(context, [0]) as feed:
        turns_until(edge, feed, lambda: is_live(feed))
        assert feed.follow(0) is feed.follow(0, orders=True) is feed.follow(0) is feed.books[0]
        assert feed.books[0].state == State.WAITING
        turns_until(edge, feed, lambda: is_live(feed))
        edge.send(edge.venue.play(np.concatenate(batches)))
        turns_until(edge, feed, lambda: is_level(edge.venue, feed, 0))
        assert feed.books[0].orders(Side.SELL) == truth(edge.venue.book, 0).sells
        assert {(LEVELS_REFRESH, 0), (ORDERS_REFRESH, 0)} <= set(edge.asked)
        edge.send([cut_off(DEPTH), cut_off(ORDERS)])
        with pytest.raises(UnreadableError, match="of 40 from"):
            turns_until(edge, feed, lambda: False)


def cut_off(kind: bytes) -> bytes:
    """Return a message whose records are cut off: who subscribed to it will say so."""
    return HEADER.pack(kind, 0, VERSION, 1, 1, 1, 1, 1)


def test_what_is_listened_to_comes_and_needs_no_book(context, edge):
    view = edge.venue.refresh(LEVELS_REFRESH)
    other = HEADER.pack(FAST_VIEW, 3, *HEADER.unpack_from(view)[2:]) + view[HEADER.size :]
    with edge.reader(context) as feed:
        feed.listen(FAST_VIEW, 0)
        feed.listen(FIXINGS)
        came: list[Message] = []
        for _ in range(TURNS_MAX):
            edge.send([other, FAST_VIEW + view[1:], document(FIXINGS, -1), document(DEFINITIONS, -1)])
            came += feed.poll(timeout_ms=10)
            if {type(message) for message in came} >= {Picture, Document}:
                break
        told = [message for message in came if isinstance(message, Picture | Document)]
        assert {(one.kind, one.instrument) for one in told} == {(FAST_VIEW, 0), (FIXINGS, -1)}


def test_what_is_asked_for_without_a_book_is_asked_again_until_it_comes(context, edge):
    now = [0]
    with edge.reader(context, clock=lambda: now[0]) as feed:
        feed.ask(DEFINITIONS)
        turns_until(edge, feed, lambda: len(edge.asked) == 1, is_mute=True)
        for _ in range(5):
            edge.turn(feed, is_mute=True)
        assert edge.asked == [(DEFINITIONS, -1)]
        now[0] += ASK_AGAIN_NS
        came: list[Document] = []
        for _ in range(TURNS_MAX):
            came += [message for message in edge.turn(feed) if isinstance(message, Document)]
            if came:
                break
        assert [message.body for message in came] == [b"\x90"]
        now[0] += ASK_AGAIN_NS
        for _ in range(5):
            edge.turn(feed)
        assert edge.asked == [(DEFINITIONS, -1)] * 2


def has_asked(edge: Edge, times: int) -> bool:
    return len(edge.asked) == times


def test_what_is_never_answered_is_given_up(context, edge):
    now = [0]
    with edge.reader(context, clock=lambda: now[0]) as feed:
        feed.ask(DEFINITIONS, 99)
        for count in range(1, ASKS_MAX + 1):
            turns_until(edge, feed, partial(has_asked, edge, count), is_mute=True)
            now[0] += ASK_AGAIN_NS
        for _ in range(5):
            edge.turn(feed, is_mute=True)
        assert len(edge.asked) == ASKS_MAX


def test_a_reader_of_views_alone_knows_when_nothing_comes_any_more(context, edge):
    now = [0]
    with edge.reader(context, clock=lambda: now[0]) as feed:
        assert not feed.is_stale()
        now[0] += SILENCE_NS + 1
        assert feed.is_stale()
        assert not feed.is_stale(SILENCE_NS)
        turns_until(edge, feed, lambda: not feed.is_stale())


def test_an_event_loop_can_wait_for_its_sockets(context, edge):
    with edge.reader(context, [0]) as feed:
        published, refreshes = feed.sockets
        feed.poll(timeout_ms=0)
        for _ in range(TURNS_MAX):
            edge.send([edge.venue.heartbeat()])
            if published.poll(10):
                break
        assert isinstance(feed.poll(timeout_ms=0)[0], Heartbeat)
        assert refreshes.getsockopt(zmq.TYPE) == zmq.DEALER


def test_who_wants_the_bytes_is_given_those_of_every_message(context, edge):
    frames: list[bytes] = []
    with edge.reader(context, [0]) as feed:
        feed.heard = frames.append
        told: list[Message] = []
        for _ in range(TURNS_MAX):
            told += edge.turn(feed)
            if is_live(feed):
                break
        assert [read(frame) for frame in frames] == told
        assert {type(message) for message in told} >= {Picture}


def test_what_no_venue_sends_is_told(context, edge):
    with edge.reader(context, [0]) as feed:

        def nonsense() -> None:
            for _ in range(TURNS_MAX):
                edge.send([topic(DEPTH, 0) + b"nonsense"])
                feed.poll(timeout_ms=10)

        with pytest.raises(UnreadableError, match="at least 48 bytes"):
            nonsense()


def test_a_reader_of_many_instruments_has_subscribed_to_all_of_them(context):
    wanted = {
        topic(kind, instrument)
        for instrument in range(400)
        for kind in (TRADES, STATUS, INDICATIVE, TOPS, DEPTH)
    }
    with context.socket(zmq.XPUB) as published:
        place = f"tcp://127.0.0.1:{published.bind_to_random_port('tcp://127.0.0.1')}"
        with Subscriber(context, place, place, range(400)):
            while wanted and published.poll(5_000):
                wanted.discard(published.recv()[1:])
    assert wanted == set()
