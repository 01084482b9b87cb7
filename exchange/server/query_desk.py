"""The settlement's desk for queries: a few threads, so that a slow query delays neither commits nor others.

DuckDB lets go of the interpreter while it works; each query reads beside the writer by a cursor of its own.
Members take turns. The last free thread takes only who has nothing at work, so that a short query is not
behind a member's many long ones. An answer in chunks is at work only while a chunk is made: between two it
waits for its reader.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Final, TypeAlias, assert_never

import zmq

from exchange.config import QUERIES_PER_MEMBER_MAX, QUERIES_WAITING_MAX
from exchange.protocol.messages import QueryAnswer, Refused, encode
from exchange.protocol.query_messages import (
    CHUNKS_AHEAD_MAX,
    CancelQuery,
    NextChunk,
    Query,
    QueryChunk,
    QueryResult,
)
from exchange.protocol.reasons import refused
from matching.vocabulary import RejectReason
from settlement.queries import QueryRefused, QueryService, Question

THREADS = 3
"""Queries at work at once; the last free thread is kept for a member with nothing at work."""

STREAMS_PER_MEMBER_MAX = 2
STREAMS_MAX = 8
"""Most answers in chunks that are open at once: each keeps a transaction open."""

STREAM_IDLE_SECONDS = 30.0
"""How long an answer in chunks waits for its reader."""

NICENESS = 5
"""By how much the threads stand behind the one that settles, where the system knows of threads."""


STILL_SECONDS = 10.0
"""How long a commit that found no memory waits for the queries that were stopped."""

Answered: TypeAlias = tuple[bytes, bytes]
"""A connection, and what is said on it."""


class Work:
    """A member's query: the connection that it came by, and how far it is."""

    def __init__(self, session: bytes, member: int, query: Query, viewer: str | None) -> None:
        self.session: Final = session
        self.member: Final = member
        self.query: Final = query
        self.viewer: Final = viewer
        self.credit = CHUNKS_AHEAD_MAX
        """How many chunks its reader would take."""
        self.is_waiting = False
        self.is_running = False
        self.question: Question | None = None
        self.stopped = ""
        """Why it is to end at once; blank: it is not."""
        self.touched = monotonic()
        """When its reader asked last, or was sent something."""


class QueryDesk:
    """Queries that wait, are at work, or are read chunk by chunk. One thread talks to it: the router's."""

    _addresses = iter(range(1 << 30))

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], service: QueryService) -> None:
        self.failure: BaseException | None = None
        self.answered = 0
        self._service = service
        self._changed = threading.Condition()
        self._work: dict[tuple[bytes, int], Work] = {}
        self._waiting: OrderedDict[int, deque[Work]] = OrderedDict()
        self._running: Counter[int] = Counter()
        self._is_closed = self._is_still = False
        address = f"inproc://answers-{next(self._addresses)}"
        self.answers = context.socket(zmq.PULL)
        self.answers.bind(address)
        self._outs = [context.socket(zmq.PUSH) for _ in range(THREADS)]
        self._threads = []
        for number, out in enumerate(self._outs):
            out.connect(address)
            thread = threading.Thread(target=self._run, args=(out,), name=f"queries {number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    # --- for the router's thread ---------------------------------------------------------------

    def hear(
        self, session: bytes, member: int, said: Query | NextChunk | CancelQuery, viewer: str | None
    ) -> Answered | None:
        """Do what a member asks on a connection; return what is to be said of it at once, if anything.

        `viewer` is whose rows it sees; None: everybody's.
        """
        match said:
            case Query():
                refusal = self.take(session, member, said, viewer)
                return None if refusal is None else (session, encode(refusal))
            case NextChunk(request):
                self.more(session, request)
                return None
            case CancelQuery(request):
                return self.cancel(session, request)
            case _:
                assert_never(said)

    def take(self, session: bytes, member: int, query: Query, viewer: str | None) -> Refused | None:
        """Queue a member's query; or return why not: too many are open, of all or of this one."""
        work = Work(session, member, query, viewer)
        with self._changed:
            if fault := self._fault(work):
                return fault
            self._work[session, query.request] = work
            self._queue(work)
        return None

    def more(self, session: bytes, request: int) -> None:
        """Let one more chunk be made of an answer; nothing is said of what is not open."""
        with self._changed:
            work = self._work.get((session, request))
            if work is None or not work.query.chunk_rows:
                return
            work.credit = min(work.credit + 1, CHUNKS_AHEAD_MAX)
            work.touched = monotonic()
            if not work.is_waiting and not work.is_running:
                self._queue(work)

    def cancel(self, session: bytes, request: int) -> Answered | None:
        """Take a query back; return what is to be said at once, if it was not at work."""
        with self._changed:
            work = self._work.get((session, request))
            return None if work is None else self._stop(work, "cancelled")

    def expired(self) -> list[Answered]:
        """End the answers in chunks whose readers are silent, and return what is to be said of it."""
        before = monotonic() - STREAM_IDLE_SECONDS
        with self._changed:
            silent = [
                work
                for work in self._work.values()
                if not work.is_waiting and not work.is_running and work.touched < before
            ]
            return [said for work in silent if (said := self._stop(work, "idle"))]

    @contextmanager
    def standing_still(self) -> Iterator[list[Answered]]:
        """End whatever has begun, for it keeps memory that a commit needs, and begin nothing meanwhile.

        An answer in chunks keeps it between two chunks, too. Gives what is to be said of those.
        """
        with self._changed:
            self._is_still = True
            begun = [work for work in self._work.values() if work.is_running or work.question is not None]
            ended = [said for work in begun if (said := self._stop(work, "memory"))]
            self._changed.wait_for(lambda: not self._running.total(), STILL_SECONDS)
        try:
            yield ended
        finally:
            with self._changed:
                self._is_still = False
                self._changed.notify_all()

    def done(self) -> list[zmq.Frame]:
        """Return the next answer behind its connection; `answers` tells when there is one."""
        frames: list[zmq.Frame] = self.answers.recv_multipart(copy=False)
        return frames

    def close(self) -> None:
        """Stop what is at work, and end."""
        with self._changed:
            self._is_closed = True
            for work in tuple(self._work.values()):
                self._stop(work, "cancelled")
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for out in self._outs:
            out.close()
        self.answers.close()

    # --- what waits, by turns; under the lock ----------------------------------------------------

    def _fault(self, work: Work) -> Refused | None:
        """Return why a query is not taken."""
        request = work.query.request
        if (work.session, request) in self._work:
            return refused(RejectReason.MALFORMED, f"request {request} is open already", request)
        own = [each for each in self._work.values() if each.member == work.member]
        waiting = sum(each.is_waiting for each in self._work.values())
        if len(own) >= QUERIES_PER_MEMBER_MAX or waiting >= QUERIES_WAITING_MAX:
            return refused(RejectReason.BUSY, "", request)
        if work.query.chunk_rows:
            streams = [each for each in self._work.values() if each.query.chunk_rows]
            mine = sum(each.member == work.member for each in streams)
            if mine >= STREAMS_PER_MEMBER_MAX or len(streams) >= STREAMS_MAX:
                return refused(RejectReason.BUSY, f"{mine} of your answers in chunks are open", request)
        return None

    def _queue(self, work: Work) -> None:
        work.is_waiting = True
        self._waiting.setdefault(work.member, deque()).append(work)
        self._changed.notify_all()

    def _picked(self) -> Work | None:
        """Take the next query out of those that wait: of who has nothing at work, else in turns."""
        free = [member for member in self._waiting if not self._running[member]]
        is_last = self._running.total() == THREADS - 1
        members = free if is_last else free or list(self._waiting)
        if not members or self._is_still:
            return None
        member = members[0]
        work = self._waiting[member].popleft()
        self._waiting.move_to_end(member)
        if not self._waiting[member]:
            del self._waiting[member]
        work.is_waiting, work.is_running = False, True
        self._running[member] += 1
        return work

    def _stop(self, work: Work, why: str) -> Answered | None:
        """Have a query end; return what is to be said of it, if no thread has it in hand."""
        work.stopped = work.stopped or why
        if work.is_running:
            if work.question is not None:
                work.question.stop(why)
            return None
        if work.is_waiting:
            self._waiting[work.member].remove(work)
            if not self._waiting[work.member]:
                del self._waiting[work.member]
        self._end(work)
        return work.session, encode(_ended(work))

    def _end(self, work: Work) -> None:
        self._work.pop((work.session, work.query.request), None)
        if work.question is not None:
            work.question.close()

    # --- the threads -----------------------------------------------------------------------------

    def _run(self, out: zmq.Socket[bytes]) -> None:
        _stand_behind()
        try:
            while (work := self._next()) is not None:
                answer = self._answer(work)
                out.send_multipart((work.session, encode(answer)), copy=False)
                self._put_back(work, answer)
        except BaseException as error:
            self.failure = error  # the process's own thread raises it: a desk that is silent is a bug
            raise

    def _next(self) -> Work | None:
        """Wait for a query to work on; None once the desk is closed."""
        with self._changed:
            while not self._is_closed:
                if work := self._picked():
                    return work
                self._changed.wait()
        return None

    def _answer(self, work: Work) -> QueryAnswer:
        """Answer a query, or make the next chunk of its answer."""
        query = work.query
        question = work.question or self._service.question(query.sql, query.parameters, work.viewer)
        with self._changed:
            work.question = question
            if work.stopped:
                return _ended(work)
        return step(query, question)

    def _put_back(self, work: Work, answer: QueryAnswer) -> None:
        """Note that a step was made: the query is over, waits for its turn, or for its reader."""
        with self._changed:
            self._running[work.member] -= 1
            work.is_running = False
            work.touched = monotonic()
            is_open = isinstance(answer, QueryChunk) and not answer.is_last and not work.stopped
            if is_open:
                work.credit -= 1
                if work.credit > 0:
                    self._queue(work)
            else:
                self.answered += 1
                self._end(work)
            self._changed.notify_all()


def step(query: Query, question: Question) -> QueryAnswer:
    """Answer a query, or make the next chunk of its answer, and put it into words of the protocol."""
    if query.chunk_rows:
        chunk = question.next_chunk(query.chunk_rows)
        if isinstance(chunk, QueryRefused):
            return _refusal(query, chunk)
        return QueryChunk(
            query.request, chunk.number, chunk.rows, chunk.arrow_ipc_stream, chunk.sequence, chunk.is_last
        )
    answer = question.answer()
    if isinstance(answer, QueryRefused):
        return _refusal(query, answer)
    return QueryResult(query.request, answer.sequence, answer.rows, answer.seconds, answer.arrow_ipc_stream)


def _refusal(query: Query, why: QueryRefused) -> Refused:
    return Refused(query.request, why.code, why.field, why.value, why.remedy)


def _ended(work: Work) -> Refused:
    """Return what is said of a query that was stopped while nothing of it was at work."""
    if work.stopped == "idle":
        value, remedy = f"{STREAM_IDLE_SECONDS:.0f} s", "ask again, and read on without long pauses"
        return Refused(work.query.request, "idle", "chunks", value, remedy)
    if work.stopped == "memory":
        value = "a commit needed the memory that it took"
        return Refused(work.query.request, "memory", "sql", value, "ask for less at once, or ask again")
    return Refused(work.query.request, work.stopped, "sql", "was not wanted any more", "ask again")


def _stand_behind() -> None:
    """Let this thread have what the others leave: on Linux each has a niceness of its own."""
    if sys.platform == "linux":
        with suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)
