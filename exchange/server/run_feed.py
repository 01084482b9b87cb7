"""The feed's process: a follower that publishes trades, phases and price levels, and answers refreshes."""

from __future__ import annotations

import time

import zmq

from exchange.config import HEARTBEAT_SECONDS, POLL_MS, Endpoints, Settings
from exchange.server.ending import last_commit
from exchange.server.folder import Folder
from exchange.server.follower import Commit, Follower, decode_commit, first_commit
from exchange.server.process import FollowerStats, Pace, Stop, lag_seconds, report_ready, report_stats
from exchange.server.replay import beginning
from exchange.server.sockets import Keyring, authenticator, bind, commit_subscriber, guarded
from feeds.publisher import Publisher

REOPENING_SECONDS = 0.01
REOPENINGS_MAX = 500
"""How often, and how many times, a socket that was closed is asked for its place: five seconds in all."""

FAREWELL_MS = 500
"""How long the last messages may take on their way out when the venue stops."""


def run(folder: Folder, settings: Settings, stop: Stop) -> None:
    """Catch up with the journal in silence, then publish what comes."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    follower = Follower(folder.journal, beginning(folder.journal, folder.snapshots))
    registry = follower.engine.registry
    guard = authenticator(context, Keyring(lambda key: key in registry.keys))
    secret = folder.venue_key().secret_key.encode("ascii")
    public = guarded(context, zmq.PUB, secret)
    refresh = guarded(context, zmq.ROUTER, secret)
    commits = commit_subscriber(context, settings.listen.commits)
    for _ in follower.advance(first_commit(commits, stop)):
        pass
    engine = follower.engine
    publisher = Publisher(time.time_ns(), engine.sequence, engine.time, engine.core.book)
    # Only now are the members' keys known; who is turned away once does not try again.
    bound = Endpoints(feed=bind(public, settings.listen.feed), refresh=bind(refresh, settings.listen.refresh))
    report_ready(bound, sequence=engine.sequence, snapshot=follower.snapshot, told=follower.told)
    poller = zmq.Poller()
    poller.register(commits, zmq.POLLIN)
    poller.register(refresh, zmq.POLLIN)
    heartbeats, reports = Pace(HEARTBEAT_SECONDS), Pace()
    keys = set(registry.keys)
    known = messages = queries = 0
    try:
        while not stop.is_set():
            ready = dict(poller.poll(POLL_MS))
            if commits in ready:
                commit = decode_commit(commits.recv())
                known = commit.sequence
                messages += _publish(follower, publisher, public, commit)
            if refresh in ready:
                queries += _refresh(follower, publisher, refresh)
            now = time.monotonic()
            if heartbeats.is_due(now):
                if keys - registry.keys.keys():  # nothing asks an open subscription for its key
                    public = opened_anew(context, public, secret)
                keys = set(registry.keys)
                public.send(publisher.heartbeat(time.time_ns()))
            if reports.is_due(now):
                report_stats(statistics(follower, known, messages, queries, time.time_ns()))
        _publish(follower, publisher, public, last_commit(folder.journal, follower))
    finally:
        guard.stop()
        context.destroy(linger=FAREWELL_MS)


def opened_anew(
    context: zmq.Context[zmq.Socket[bytes]], public: zmq.Socket[bytes], secret: bytes
) -> zmq.Socket[bytes]:
    """Cut off all readers, and return a socket at the same place, where those with a live key come in again.

    What they miss meanwhile they see by its number, and ask for a refresh.
    """
    endpoint = public.getsockopt_string(zmq.LAST_ENDPOINT)
    public.unbind(endpoint)
    public.close(linger=0)
    fresh = guarded(context, zmq.PUB, secret)
    for _ in range(REOPENINGS_MAX):
        try:
            fresh.bind(endpoint)
        except zmq.ZMQError as error:
            if error.errno != zmq.EADDRINUSE:
                raise
            time.sleep(REOPENING_SECONDS)  # libzmq closes what was there on a thread of its own
        else:
            return fresh
    message = f"{endpoint} is not let go of by the socket that was there"
    raise RuntimeError(message)


def statistics(follower: Follower, known: int, messages: int, queries: int, now: int) -> FollowerStats:
    """Return how the feed does; `known` is the last command that it has heard of, `now` in ns."""
    behind = max(0, known - follower.engine.sequence)
    return FollowerStats(
        sequence=follower.engine.sequence,
        lag_commands=behind,
        lag_seconds=lag_seconds(behind, follower.engine.time, now),
        queries=queries,
        rows=messages,
    )


def _publish(follower: Follower, publisher: Publisher, public: zmq.Socket[bytes], commit: Commit) -> int:
    """Publish what every new frame changed; return in how many messages."""
    messages = 0
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
            messages += 1
    return messages


def _refresh(follower: Follower, publisher: Publisher, refresh: zmq.Socket[bytes]) -> int:
    """Answer who asks for a whole book, and return how many did; what cannot be read is not answered."""
    answered = 0
    while refresh.poll(0):
        session, *parts = refresh.recv_multipart(copy=False)
        answer = None
        if len(parts) == 1 and parts[0].get("User-Id") in follower.engine.registry.keys:
            answer = publisher.answer(parts[0].bytes, follower.engine.core.book)
        if answer is not None:
            refresh.send_multipart((session.bytes, answer), zmq.NOBLOCK)
            answered += 1
    return answered
