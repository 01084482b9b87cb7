"""The feed's process, in a thread: a journal that grows, what is heard of it, and what who asks is told."""

from __future__ import annotations

import queue
import threading
from time import monotonic

import pytest
import zmq

from exchange.config import Endpoints, FeedSettings, Settings
from exchange.engine import RULES_VERSION
from exchange.protocol.acts import RegisterKey, SignedAct
from exchange.server import run_feed
from exchange.server.folder import Folder, new_key_pair
from exchange.server.follower import Commit, encode_commit
from exchange.server.journal import Journal
from exchange.server.sockets import bind, commit_publisher
from feeds.documents import budgets_of, definitions_of
from feeds.messages import (
    DEFINITIONS,
    FAST_VIEW,
    ORDERS_REFRESH,
    SLOW_VIEW,
    Document,
    Heartbeat,
    Orders,
    Picture,
    Quote,
    Trades,
    read,
    write_ask,
)
from matching.vocabulary import Side
from tests.feeds.flow import queues_of
from tests.server import venue as server_venue
from tests.server.venue import Venue, commands, new

PATIENCE_MS = 60_000
SYMBOL = "QWEN3-MAX"


class Line:
    """A feed that runs in a thread, what grows its journal, and a reader's sockets."""

    def __init__(self, folder: Folder, venue: Venue, pair) -> None:
        self.venue = venue
        self.stop = threading.Event()
        self.context = zmq.Context()
        self.commits = commit_publisher(self.context)
        listen = Endpoints(commits=bind(self.commits, "tcp://127.0.0.1:0"))
        settings = Settings(listen=listen, feed=FeedSettings(messages_kept=64))
        self.thread = threading.Thread(target=run_feed.run, args=(folder, settings, self.stop))
        self.server_key = folder.venue_key().public_key
        self.pair = pair

    def begin(self, ready: queue.Queue[Endpoints]) -> None:
        self.thread.start()
        bound = None
        while bound is None:
            self.announce()
            try:
                bound = ready.get(timeout=0.1)
            except queue.Empty:
                assert self.thread.is_alive()
        self.published = self.connected(zmq.SUB, bound.feed)
        self.published.setsockopt(zmq.SUBSCRIBE, b"")
        self.refreshes = self.connected(zmq.DEALER, bound.refresh)
        self.heard(Heartbeat)

    def connected(self, kind: int, endpoint: str):
        socket = self.context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.CURVE_SERVERKEY, self.server_key.encode())
        socket.setsockopt(zmq.CURVE_PUBLICKEY, self.pair.public_key.encode())
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.pair.secret_key.encode())
        socket.connect(endpoint)
        return socket

    def announce(self) -> None:
        commit = Commit(self.venue.engine.sequence, self.venue.journal.position)
        self.commits.send(encode_commit(commit))

    def heard(self, kind: type, topic: bytes = b""):
        """Return the next message of a kind; what comes before it is left out."""
        until = monotonic() + PATIENCE_MS / 1_000
        while monotonic() < until:
            assert self.published.poll(PATIENCE_MS), f"no {kind.__name__}"
            frame = self.published.recv()
            message = read(frame)
            if isinstance(message, kind) and frame.startswith(topic):
                return message
        pytest.fail(f"no {kind.__name__}")

    def asked(self, wanted: bytes, instrument: int = -1):
        self.refreshes.send(write_ask(wanted, instrument))
        assert self.refreshes.poll(PATIENCE_MS), "no answer"
        return read(self.refreshes.recv())

    def end(self) -> None:
        self.stop.set()
        self.thread.join(PATIENCE_MS / 1_000)
        self.context.destroy(linger=0)


@pytest.fixture
def line(tmp_path, monkeypatch):
    folder, pair = Folder(tmp_path), new_key_pair("ANN")
    ready: queue.Queue[Endpoints] = queue.Queue()
    key = SignedAct("OPERATOR", "test", RegisterKey("ANN", pair.public_key))
    acts = (*server_venue.founding(), key)
    monkeypatch.setattr(server_venue, "founding", lambda: acts)
    monkeypatch.setattr(run_feed, "report_ready", lambda bound, **_: ready.put(bound))
    monkeypatch.setattr(run_feed, "report_stats", lambda _: True)
    folder.found(acts, [pair])
    venue = Venue(Journal.open(folder.journal, rules_version=RULES_VERSION))
    line = Line(folder, venue, pair)
    try:
        line.begin(ready)
        yield line
    finally:
        line.end()
        venue.journal.close()
    assert not line.thread.is_alive()


def test_what_the_journal_says_is_heard_and_answered(line):
    venue, at = line.venue, line.venue.index(SYMBOL)
    venue.meet(b"\0ann1", "ANN")
    venue.meet(b"\0ali1", "ALIBABA")
    venue.say(b"\0ali1", commands(new(venue, "a", Side.SELL, 5, 0), new(venue, "b", Side.SELL, 3, 1)))
    venue.say(b"\0ann1", commands(new(venue, "c", Side.BUY, 2, 0), new(venue, "d", Side.BUY, 4, -2)))
    line.announce()
    (one,) = line.heard(Trades).prints
    assert (one.quantity, one.paid, one.taker_side, one.subsidised) == (2, 0, Side.BUY, 0)
    assert [update.quantity for update in line.heard(Orders).updates] == [5, 3, 3, 4]
    assert line.heard(Quote).top[1::2] == (4, 3, 1)
    views = {one.kind: one for one in (line.heard(Picture), line.heard(Picture))}
    fast, slow = views[FAST_VIEW], views[SLOW_VIEW]  # which is due first is the clock's business
    assert fast.levels == slow.levels
    assert (fast.totals.trades, fast.last_trade) == (1, one)
    assert line.heard(Heartbeat).sequence == venue.engine.sequence
    (budget,) = budgets_of(line.heard(Document))
    assert budget.uncommitted == budget.budget > 0
    picture = line.asked(ORDERS_REFRESH, at)
    resting = [(one.price, one.order, one.quantity) for one in picture.orders]
    assert resting == [row for side in queues_of(venue.engine.core.book, at) for row in side]
    assert len(resting) == 3
    assert definitions_of(line.asked(DEFINITIONS, at))[0].symbol == SYMBOL
    assert len(definitions_of(line.asked(DEFINITIONS))) == len(venue.engine.registry.instruments)
