"""The settlement's process: a follower that owns the store, and answers SQL while it writes."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from typing import NamedTuple

import msgspec
import zmq

from exchange.config import (
    FLUSH_SECONDS,
    POLL_MS,
    QUERIES_PER_MEMBER_MAX,
    QUERIES_WAITING_MAX,
    QUERY_ANSWERS_MAX,
    RECONCILE_FLUSHES,
    Endpoints,
    Settings,
)
from exchange.protocol.messages import MESSAGE, QUERIES, Query, QueryResult, Refused, encode
from exchange.protocol.reasons import refused
from exchange.server.ending import last_commit
from exchange.server.folder import Folder
from exchange.server.follower import Commit, Follower, decode_commit, first_commit
from exchange.server.process import FollowerStats, Pace, Stop, lag_seconds, report_ready, report_stats
from exchange.server.replay import beginning
from exchange.server.settler import Settler, open_store
from exchange.server.sockets import Keyring, authenticator, bind, commit_subscriber, guarded
from matching.vocabulary import RejectReason, Role
from settlement.queries import QueryRefused, QueryService


def run(folder: Folder, settings: Settings, stop: Stop) -> None:
    """Catch up with the journal, then settle what comes; queries are worked on beside it."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    store, told = open_store(folder.settlement)
    # A store that begins anew is behind what was noted: nothing that it needs may be let go.
    folder.write_watermark("settlement", store.watermark.sequence)
    begun = beginning(folder.journal, folder.snapshots, store.watermark.sequence)
    follower = Follower(folder.journal, begun)
    settler = Settler(
        follower,
        store,
        note=lambda sequence: folder.write_watermark("settlement", sequence),
        reconcile_flushes=RECONCILE_FLUSHES,
    )
    registry = follower.engine.registry
    guard = authenticator(context, Keyring(lambda key: key in registry.keys))
    router = guarded(context, zmq.ROUTER, folder.venue_key().secret_key.encode("ascii"))
    router.setsockopt(zmq.SNDHWM, QUERY_ANSWERS_MAX)
    commits = commit_subscriber(context, settings.listen.commits)
    settler.settle(first_commit(commits, stop))
    settler.flush()
    settler.reconcile()
    # Only now are the members' keys known; who is turned away once does not try again.
    bound = Endpoints(query=bind(router, settings.listen.query))
    desk = QueryDesk(context, QueryService(store))
    told = " ".join(filter(None, (told, follower.told)))
    report_ready(bound, sequence=follower.engine.sequence, snapshot=follower.snapshot, told=told)
    try:
        _work(settler, desk, router, commits, stop)
        settler.settle(last_commit(folder.journal, follower))
        settler.flush()
    finally:
        desk.close()
        guard.stop()
        context.destroy(linger=0)
        store.close()


def _work(
    settler: Settler,
    desk: QueryDesk,
    router: zmq.Socket[bytes],
    commits: zmq.Socket[bytes],
    stop: Stop,
) -> None:
    """Settle and flush in time; hand queries to the desk and its answers back."""
    poller = zmq.Poller()
    for socket in (router, commits, desk.answers):
        poller.register(socket, zmq.POLLIN)
    commit = Commit(0, settler.follower.position)
    pace = Pace()
    while not stop.is_set():
        behind = commit.sequence > settler.follower.engine.sequence
        ready = dict(poller.poll(0 if behind else _wait_ms(settler)))
        if commits in ready:
            commit = decode_commit(commits.recv())
        settler.settle(commit, seconds_max=FLUSH_SECONDS)
        if settler.store.pending and time.monotonic() >= settler.flush_due:
            settler.flush()
        while router.poll(0):
            _take_query(router, desk, settler)
        if desk.failure is not None:
            raise desk.failure
        while desk.answers.poll(0):
            router.send_multipart(desk.done(), zmq.NOBLOCK)
        if pace.is_due(time.monotonic()):
            report_stats(statistics(settler, commit.sequence, desk.answered, time.time_ns()))


def statistics(settler: Settler, known: int, queries: int, now: int) -> FollowerStats:
    """Return how the settlement does; `known` is the last command that it has heard of, `now` in ns."""
    engine = settler.follower.engine
    sequence = settler.store.watermark.sequence if settler.store.pending else engine.sequence
    behind = max(0, known - sequence)
    return FollowerStats(
        sequence=sequence,
        lag_commands=behind,
        lag_seconds=lag_seconds(behind, engine.time, now),
        flushes=settler.flushes,
        queries=queries,
        rows=settler.rows,
    )


def _wait_ms(settler: Settler) -> int:
    """Return how long there is nothing to do but listen."""
    if not settler.store.pending:
        return POLL_MS
    return max(0, int((settler.flush_due - time.monotonic()) * 1000))


def _take_query(router: zmq.Socket[bytes], desk: QueryDesk, settler: Settler) -> None:
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
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        _refuse(router, back, 0, RejectReason.MALFORMED, str(error))
        return
    role = settler.follower.engine.core.ledger.members[member]["role"]
    sees_all = role in (Role.OPERATOR, Role.AUDITOR)
    viewer = None if sees_all else registry.members[member].member
    if not desk.take(back, member, query, viewer):
        _refuse(router, back, query.request, RejectReason.BUSY, "")


def _refuse(
    router: zmq.Socket[bytes], session: bytes, request: int, reason: RejectReason, value: str
) -> None:
    router.send_multipart((session, encode(refused(reason, value, request))), zmq.NOBLOCK)


class Task(NamedTuple):
    """A member's query, the connection that it came by, and as whom it is answered (None: who sees all)."""

    session: bytes
    member: int
    query: Query
    viewer: str | None


class QueryDesk:
    """One thread that works on queries, so that a slow one never delays a commit.

    DuckDB lets go of the interpreter while it works; the thread's cursor reads beside the writer.
    """

    _addresses = iter(range(1 << 30))

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], service: QueryService) -> None:
        self.failure: BaseException | None = None
        self.answered = 0
        self._service = service
        self._waiting: queue.Queue[Task | None] = queue.Queue(QUERIES_WAITING_MAX)
        self._held: Counter[int] = Counter()
        address = f"inproc://answers-{next(self._addresses)}"
        self.answers = context.socket(zmq.PULL)
        self.answers.bind(address)
        self._out = context.socket(zmq.PUSH)
        self._out.connect(address)
        self._thread = threading.Thread(target=self._work, name="queries", daemon=True)
        self._thread.start()

    def take(self, session: bytes, member: int, query: Query, viewer: str | None) -> bool:
        """Queue a member's query; False if too many wait already, of all or of this one."""
        if self._held[member] >= QUERIES_PER_MEMBER_MAX:
            return False
        try:
            self._waiting.put_nowait(Task(session, member, query, viewer))
        except queue.Full:
            return False
        self._held[member] += 1
        return True

    def done(self) -> tuple[bytes, bytes]:
        """Return the next answer, and the connection that it is for; `answers` tells when there is one."""
        session, member, answer = self.answers.recv_multipart()
        self._held[int(member)] -= 1
        return session, answer

    def close(self) -> None:
        """Let the thread finish what it works on, and end."""
        self._waiting.put(None)
        self._thread.join()
        self._out.close()
        self.answers.close()

    def _work(self) -> None:
        try:
            while (task := self._waiting.get()) is not None:
                answer = encode(self._answer(task.query, task.viewer))
                self._out.send_multipart((task.session, b"%d" % task.member, answer))
                self.answered += 1
        except BaseException as error:
            self.failure = error  # the process's own thread raises it: a desk that is silent is a bug
            raise

    def _answer(self, query: Query, viewer: str | None) -> QueryResult | Refused:
        answer = self._service.answer(query.sql, query.parameters, viewer)
        if isinstance(answer, QueryRefused):
            return Refused(query.request, answer.code, answer.field, answer.value, answer.remedy)
        return QueryResult(
            query.request, answer.sequence, answer.rows, answer.seconds, answer.arrow_ipc_stream
        )
