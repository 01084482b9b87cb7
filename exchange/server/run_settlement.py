"""The settlement's process: a follower that owns the store, and answers SQL while it writes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

import duckdb
import zmq

from exchange.config import (
    FLUSH_SECONDS,
    LISTEN_SECONDS,
    POLL_MS,
    QUERY_ANSWERS_MAX,
    RECONCILE_FLUSHES,
    Endpoints,
    Settings,
)
from exchange.protocol.messages import MESSAGE, QUERIES, UNREADABLE, encode
from exchange.protocol.query_messages import Rehearse
from exchange.protocol.reasons import refused
from exchange.server.ending import last_commit
from exchange.server.folder import Folder
from exchange.server.follower import Commit, Follower, decode_commit, first_commit
from exchange.server.process import FollowerStats, Pace, Stop, lag_seconds, report_ready, report_stats
from exchange.server.query_desk import QueryDesk
from exchange.server.rehearsing import RehearsalDesk
from exchange.server.replay import beginning
from exchange.server.settler import Settler, begin_anew, is_damage, open_store, set_aside
from exchange.server.sockets import Keyring, authenticator, bind, commit_subscriber, guarded
from matching.vocabulary import RejectReason
from settlement.history import HistoryThread
from settlement.queries import QueryService
from settlement.store import Store

HISTORY_SECONDS_MAX = 20.0
"""How long a stop waits for the history's last files; what is left is written after the next start."""

_log = logging.getLogger("bourse.settlement")


def run(folder: Folder, settings: Settings, stop: Stop) -> None:
    """Catch up with the journal, then settle what comes; queries are worked on beside it."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    commits = commit_subscriber(context, settings.listen.commits)
    settler, told = caught_up(folder, commits, stop, settings.settlement.memory_bytes)
    store, follower = settler.store, settler.follower
    registry = follower.engine.registry
    guard = authenticator(context, Keyring(lambda key: key in registry.keys))
    router = guarded(context, zmq.ROUTER, folder.venue_key().secret_key.encode("ascii"))
    router.setsockopt(zmq.SNDHWM, QUERY_ANSWERS_MAX)
    # Only now are the members' keys known; who is turned away once does not try again.
    bound = Endpoints(query=bind(router, settings.listen.query, "listen.query"))
    desk = QueryDesk(context, QueryService(store))
    history = HistoryThread(store, folder.history, _tell_of_history)
    rehearsals = RehearsalDesk(context)
    settler.making_room = lambda: _others_stand_still(desk, history, router)
    told = " ".join(filter(None, (told, follower.told)))
    report_ready(bound, sequence=follower.engine.sequence, snapshot=follower.snapshot, told=told)
    is_damaged = False
    try:
        _work(settler, desk, rehearsals, history, router, commits, stop)
        settler.settle(last_commit(folder.journal, follower))
        settler.flush()
    except duckdb.Error as error:
        is_damaged = is_damage(error)
        raise
    finally:
        history.close(HISTORY_SECONDS_MAX)
        desk.close()
        rehearsals.close()
        guard.stop()
        context.destroy(linger=0)
        store.close()
        if is_damaged:  # whoever begins this process again finds none, and makes one
            set_aside(folder.settlement, "damaged")


def caught_up(
    folder: Folder, commits: zmq.Socket[bytes], stop: Stop, memory_bytes: int
) -> tuple[Settler, str]:
    """Return a settler that has folded all that is synced, and what is to be told of its store.

    A store in which damage is found on the way is set aside, and one begun anew.
    """
    store, told = open_store(folder.settlement, memory_bytes)
    try:
        return _caught_up(folder, store, commits, stop), told
    except duckdb.Error as error:
        store.close()
        if not is_damage(error):
            raise
        told = begin_anew(folder.settlement, error)
    anew = Store.open(folder.settlement, memory_bytes=memory_bytes)
    return _caught_up(folder, anew, commits, stop), told


def _caught_up(folder: Folder, store: Store, commits: zmq.Socket[bytes], stop: Stop) -> Settler:
    # A store that begins anew is behind what was noted: nothing that it needs may be let go.
    folder.write_watermark("settlement", store.watermark.sequence)
    begun = beginning(folder.journal, folder.snapshots, store.watermark.sequence)
    settler = Settler(
        Follower(folder.journal, begun),
        store,
        note=lambda sequence: folder.write_watermark("settlement", sequence),
        reconcile_flushes=RECONCILE_FLUSHES,
    )
    settler.settle(first_commit(commits, stop))
    settler.flush()
    settler.reconcile()
    return settler


def _work(
    settler: Settler,
    desk: QueryDesk,
    rehearsals: RehearsalDesk,
    history: HistoryThread,
    router: zmq.Socket[bytes],
    commits: zmq.Socket[bytes],
    stop: Stop,
) -> None:
    """Settle and flush in time; hand queries to the desk and its answers back."""
    queries, all_that_comes = zmq.Poller(), zmq.Poller()
    for socket in (router, desk.answers, rehearsals.answers):
        queries.register(socket, zmq.POLLIN)
        all_that_comes.register(socket, zmq.POLLIN)
    all_that_comes.register(commits, zmq.POLLIN)
    commit = Commit(0, settler.follower.position)
    listening, pace = Pace(LISTEN_SECONDS), Pace()
    while not stop.is_set():
        behind = commit.sequence > settler.follower.engine.sequence
        deaf_ms = ceil(1_000 * listening.left(time.monotonic()))
        if not behind and deaf_ms:
            queries.poll(min(deaf_ms, _wait_ms(settler)))
        elif commits in dict(all_that_comes.poll(0 if behind else _wait_ms(settler))):
            commit = decode_commit(commits.recv())
            listening.is_due(time.monotonic())
        settler.settle(commit, seconds_max=FLUSH_SECONDS)
        if settler.is_ahead and time.monotonic() >= settler.flush_due:
            settler.flush()
        while router.poll(0):
            _take_query(router, desk, rehearsals, settler)
        _hand_back(router, desk, rehearsals)
        if history.failure is not None:
            raise history.failure
        if pace.is_due(time.monotonic()):
            for said in desk.expired():
                router.send_multipart(said, zmq.NOBLOCK)
            report_stats(statistics(settler, commit.sequence, desk.answered, time.time_ns()))


def _hand_back(router: zmq.Socket[bytes], desk: QueryDesk, rehearsals: RehearsalDesk) -> None:
    """Send the answers that are made. Raises what a desk has failed of."""
    for worker in (desk, rehearsals):
        if worker.failure is not None:
            raise worker.failure
        while worker.answers.poll(0):
            router.send_multipart(worker.done(), zmq.NOBLOCK, copy=False)


@contextmanager
def _others_stand_still(desk: QueryDesk, history: HistoryThread, router: zmq.Socket[bytes]) -> Iterator[None]:
    """End all that reads the store, so that a commit finds memory, and let nothing begin meanwhile."""
    _log.warning("readers ended", extra={"why": "they left a commit little memory"})
    with desk.standing_still() as ended, history.standing_still():
        yield
    for said in ended:
        router.send_multipart(said, zmq.NOBLOCK)


def statistics(settler: Settler, known: int, queries: int, now: int) -> FollowerStats:
    """Return how the settlement does; `known` is the last command that it has heard of, `now` in ns."""
    engine = settler.follower.engine
    sequence = settler.store.watermark.sequence if settler.is_ahead else engine.sequence
    behind = max(0, known - sequence)
    return FollowerStats(
        sequence=sequence,
        lag_commands=behind,
        lag_seconds=lag_seconds(behind, engine.time, now),
        flushes=settler.flushes,
        queries=queries,
        rows=settler.rows,
    )


def _tell_of_history(why: str) -> None:
    _log.warning("history not written", extra={"why": why})


def _wait_ms(settler: Settler) -> int:
    """Return how long there is nothing to do but listen."""
    if not settler.is_ahead:
        return POLL_MS
    return max(0, int((settler.flush_due - time.monotonic()) * 1000))


def _take_query(
    router: zmq.Socket[bytes], desk: QueryDesk, rehearsals: RehearsalDesk, settler: Settler
) -> None:
    """Give one query to the desk, with what its sender may see; refuse what cannot be read."""
    session, body, *rest = router.recv_multipart(copy=False)
    back = bytes(session.bytes)
    key = body.get("User-Id")
    registry = settler.follower.engine.registry
    member = registry.keys.get(key) if isinstance(key, str) else None
    data = bytes(body.bytes)
    if rest or data[:1] != MESSAGE:
        _refuse(router, back, 0, RejectReason.MALFORMED, "not one message")
        return
    if member is None:
        _refuse(router, back, 0, RejectReason.NOT_AUTHENTICATED, "")
        return
    try:
        query = QUERIES.decode(memoryview(data)[1:])
    except UNREADABLE as error:
        _refuse(router, back, 0, RejectReason.MALFORMED, str(error))
        return
    if isinstance(query, Rehearse):
        refusal = rehearsals.take(back, member, query, settler.follower.engine, time.time_ns())
        if refusal is not None:
            router.send_multipart((back, encode(refusal)), zmq.NOBLOCK)
        return
    if said := desk.hear(back, member, query, registry.viewer(member)):
        router.send_multipart(said, zmq.NOBLOCK)


def _refuse(
    router: zmq.Socket[bytes], session: bytes, request: int, reason: RejectReason, value: str
) -> None:
    router.send_multipart((session, encode(refused(reason, value, request))), zmq.NOBLOCK)
