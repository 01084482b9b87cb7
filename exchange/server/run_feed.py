"""The feed's process: a follower that publishes trades, phases and price levels, and answers refreshes."""

from __future__ import annotations

import time

import zmq

from exchange.config import HEARTBEAT_SECONDS, POLL_MS, Endpoints
from exchange.server.folder import Folder
from exchange.server.follower import Commit, Follower, decode_commit, first_commit
from exchange.server.process import Stop, report_ready
from exchange.server.sockets import Keyring, authenticator, bind, commit_subscriber, guarded
from feeds.publisher import Publisher


def run(folder: Folder, endpoints: Endpoints, stop: Stop) -> None:
    """Catch up with the journal in silence, then publish what comes."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    follower = Follower(folder.journal)
    registry = follower.engine.registry
    guard = authenticator(context, Keyring(lambda key: key in registry.keys))
    secret = folder.venue_key().secret_key.encode("ascii")
    public = guarded(context, zmq.PUB, secret)
    refresh = guarded(context, zmq.ROUTER, secret)
    commits = commit_subscriber(context, endpoints.commits)
    for _ in follower.advance(first_commit(commits, stop)):
        pass
    engine = follower.engine
    publisher = Publisher(time.time_ns(), engine.sequence, engine.time, engine.core.book)
    # Only now are the members' keys known; who is turned away once does not try again.
    bound = Endpoints(feed=bind(public, endpoints.feed), refresh=bind(refresh, endpoints.refresh))
    report_ready(bound, sequence=engine.sequence)
    poller = zmq.Poller()
    poller.register(commits, zmq.POLLIN)
    poller.register(refresh, zmq.POLLIN)
    next_heartbeat = 0.0
    try:
        while not stop.is_set():
            ready = dict(poller.poll(POLL_MS))
            if commits in ready:
                _publish(follower, publisher, public, decode_commit(commits.recv()))
            if refresh in ready:
                _refresh(follower, publisher, refresh)
            if time.monotonic() >= next_heartbeat:
                next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
                public.send(publisher.heartbeat(time.time_ns()))
    finally:
        guard.stop()
        context.destroy(linger=0)


def _publish(follower: Follower, publisher: Publisher, public: zmq.Socket[bytes], commit: Commit) -> None:
    """Publish what every new frame changed."""
    for frame, outcome in follower.advance(commit):
        effects = outcome.effects
        for message in publisher.outgoing(
            outcome.events,
            effects["sequence"],
            effects["trade"],
            follower.engine.core.book,
            frame.last,
            frame.time,
        ):
            public.send(message)


def _refresh(follower: Follower, publisher: Publisher, refresh: zmq.Socket[bytes]) -> None:
    """Answer who asks for a whole book; what cannot be read is not answered."""
    while refresh.poll(0):
        session, *parts = refresh.recv_multipart(copy=False)
        answer = None
        if len(parts) == 1 and parts[0].get("User-Id") in follower.engine.registry.keys:
            answer = publisher.answer(parts[0].bytes, follower.engine.core.book)
        if answer is not None:
            refresh.send_multipart((session.bytes, answer), zmq.NOBLOCK)
