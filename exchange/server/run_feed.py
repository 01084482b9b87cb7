"""The feed's process: a follower that publishes market data, and answers refreshes."""

from __future__ import annotations

import math
import time
from collections.abc import Container, Sequence

import zmq

from exchange.config import (
    FAST_VIEW_SECONDS,
    HEARTBEAT_SECONDS,
    POLL_MS,
    REFRESH_BYTES_BURST,
    REFRESH_BYTES_PER_SECOND,
    REFRESHES_AT_ONCE_MAX,
    SLOW_VIEW_SECONDS,
    Endpoints,
    Settings,
)
from exchange.server.allowance import Allowance
from exchange.server.ending import last_commit
from exchange.server.feeding import Teller
from exchange.server.folder import Folder
from exchange.server.follower import Commit, Follower, decode_commit, first_commit
from exchange.server.process import FollowerStats, Pace, Stop, lag_seconds, report_ready, report_stats
from exchange.server.replay import beginning
from exchange.server.sockets import (
    Keyring,
    authenticator,
    bind,
    commit_subscriber,
    feed_publisher,
    refresh_router,
)

REOPENING_SECONDS = 0.01
REOPENINGS_MAX = 500
"""How often, and how many times, a socket that was closed is asked for its place: five seconds in all."""

REFRESH_BYTES_AT_ONCE_MAX = 1 << 20
"""After so many bytes of whole books the feed looks first whether there is anything to publish: a book of
100,000 orders has four million, and is 10 ms of work."""

PUBLISHING_SECONDS_MAX = 0.05
"""After so long in a backlog the feed looks first whether a heartbeat is due, or anybody asks."""

FAREWELL_MS = 500
"""How long the last messages may take on their way out when the venue stops."""


def run(folder: Folder, settings: Settings, stop: Stop) -> None:
    """Catch up with the journal in silence, then publish what comes."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    follower = Follower(folder.journal, beginning(folder.journal, folder.snapshots))
    registry = follower.engine.registry
    guard = authenticator(context, Keyring(lambda key: key in registry.keys))
    secret = folder.venue_key().secret_key.encode("ascii")
    public = feed_publisher(context, secret, settings.feed.messages_kept)
    refresh = refresh_router(context, secret)
    commits = commit_subscriber(context, settings.listen.commits)
    for _ in follower.advance(first_commit(commits, stop)):
        pass
    engine = follower.engine
    engine.record()
    teller = Teller(engine, run=time.time_ns())
    # Only now are the members' keys known; who is turned away once does not try again.
    bound = Endpoints(
        feed=bind(public, settings.listen.feed, "listen.feed"),
        refresh=bind(refresh, settings.listen.refresh, "listen.refresh"),
    )
    report_ready(bound, sequence=engine.sequence, snapshot=follower.snapshot, told=follower.told)
    poller = zmq.Poller()
    poller.register(commits, zmq.POLLIN)
    poller.register(refresh, zmq.POLLIN)
    fast, slow = Pace(FAST_VIEW_SECONDS), Pace(SLOW_VIEW_SECONDS)
    heartbeats, reports, keys = Pace(HEARTBEAT_SECONDS), Pace(), set(registry.keys)
    allowance = Allowance(REFRESH_BYTES_PER_SECOND, REFRESH_BYTES_BURST)
    commit = Commit(engine.sequence, follower.position)
    messages = queries = 0
    try:
        while not stop.is_set():
            is_behind = commit.sequence > engine.sequence
            patience = 0 if is_behind else wait_ms((fast, slow, heartbeats, reports), time.monotonic())
            ready = dict(poller.poll(patience))
            if commits in ready:
                commit = decode_commit(commits.recv())
            messages += _publish(follower, teller, public, commit, PUBLISHING_SECONDS_MAX)
            now = time.monotonic()
            if refresh in ready:
                queries += answer_some(registry.keys, teller, refresh, allowance, now)
            if fast.is_due(now):  # one of them a turn: trades that come meanwhile go between
                messages += _send(public, teller.fast_views(time.time_ns()))
            elif slow.is_due(now):
                messages += _send(public, teller.slow_views(time.time_ns()))
            elif heartbeats.is_due(now):
                if keys - registry.keys.keys():  # nothing asks an open subscription for its key
                    public = opened_anew(context, public, secret)
                keys = set(registry.keys)
                messages += _send(public, teller.each_second(time.time_ns()))
            if reports.is_due(now):
                report_stats(statistics(follower, commit.sequence, messages, queries, time.time_ns()))
        _publish(follower, teller, public, last_commit(folder.journal, follower), math.inf)
    finally:
        guard.stop()
        context.destroy(linger=FAREWELL_MS)


def wait_ms(paces: Sequence[Pace], now: float) -> int:
    """Return how long the process may wait: until the first of `paces` is due, `POLL_MS` at most.

    >>> wait_ms((Pace(), Pace()), now=5.0)
    0
    """
    left = min(pace.left(now) for pace in paces)
    return min(POLL_MS, math.ceil(1_000 * left))


def opened_anew(
    context: zmq.Context[zmq.Socket[bytes]], public: zmq.Socket[bytes], secret: bytes
) -> zmq.Socket[bytes]:
    """Cut off all readers, and return a socket at the same place, where those with a live key come in again.

    What they miss meanwhile they see by its number, and ask for a refresh.
    """
    endpoint = public.getsockopt_string(zmq.LAST_ENDPOINT)
    messages_kept = int(public.getsockopt(zmq.SNDHWM))
    public.unbind(endpoint)
    public.close(linger=0)
    fresh = feed_publisher(context, secret, messages_kept)
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


def _publish(
    follower: Follower, teller: Teller, public: zmq.Socket[bytes], commit: Commit, seconds_max: float
) -> int:
    """Publish what every new frame changed, or as many as the time allows; return in how many messages."""
    began = time.monotonic()
    messages = 0
    for frame, outcome in follower.advance(commit):
        messages += _send(public, teller.told(outcome, frame.first, frame.last, frame.time))
        if time.monotonic() - began >= seconds_max:
            break
    return messages


def _send(public: zmq.Socket[bytes], messages: list[bytes]) -> int:
    """Publish messages; return how many there are."""
    for message in messages:
        public.send(message)
    return len(messages)


def answer_some(
    keys: Container[str], teller: Teller, refresh: zmq.Socket[bytes], allowance: Allowance, now: float
) -> int:
    """Answer some of who asks for a whole book; return how many were answered.

    What cannot be read is not answered, nor who has no key any more, nor whose allowance is used up. `now` is
    of `time.monotonic`.
    """
    answered = given = 0
    for _ in range(REFRESHES_AT_ONCE_MAX):
        if given >= REFRESH_BYTES_AT_ONCE_MAX or not refresh.poll(0):
            break
        session, *parts = refresh.recv_multipart(copy=False)
        key = str(parts[0].get("User-Id")) if len(parts) == 1 else ""
        answer = None
        if key in keys and allowance.has_left(key, now):
            answer = teller.answer(parts[0].bytes)
        if answer is not None:
            refresh.send_multipart((session.bytes, answer), zmq.NOBLOCK)
            allowance.take(key, len(answer), now)
            answered += 1
            given += len(answer)
    return answered
