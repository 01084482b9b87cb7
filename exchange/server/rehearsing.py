"""Rehearsals beside the settlement's work: a copy between two frames, and a thread that plays acts on it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from typing import NamedTuple

import zmq

from exchange.engine import Engine
from exchange.protocol.acts import SignedAct
from exchange.protocol.messages import Refused, encode
from exchange.protocol.query_messages import Rehearse, Rehearsed
from exchange.protocol.reasons import refused
from exchange.rehearsal import rehearse_on
from exchange.server.timekeeper import Timekeeper
from exchange.standstill import Standstill, standstill
from matching.vocabulary import RejectReason
from settlement.layout import HOUSE

_log = logging.getLogger("bourse.rehearsals")

ROUNDS_MAX = 16
"""How often the calendar is asked what follows: a new one has at most a day to make up for."""


class Trying(NamedTuple):
    """A rehearsal to be played: the connection that asked, what it asked, as whom, when, and on what."""

    session: bytes
    asked: Rehearse
    who: str
    time: int
    still: Standstill


class RehearsalDesk:
    """One thread that plays rehearsals, one at a time, so that no commit is late for one.

    The engine is copied by whoever calls `take`: in the process's own thread, between two batches.
    """

    _addresses = iter(range(1 << 30))

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.failure: BaseException | None = None
        self._is_busy = False
        self._waiting: queue.Queue[Trying | None] = queue.Queue(1)
        address = f"inproc://rehearsals-{next(self._addresses)}"
        self.answers = context.socket(zmq.PULL)
        self.answers.bind(address)
        self._out = context.socket(zmq.PUSH)
        self._out.connect(address)
        self._thread = threading.Thread(target=self._work, name="rehearsals", daemon=True)
        self._thread.start()

    def take(self, session: bytes, member: int, asked: Rehearse, engine: Engine, now: int) -> Refused | None:
        """Begin a rehearsal that a member asks for, at the time `now` (ns); or return why not."""
        if self._is_busy:
            return refused(RejectReason.BUSY, "", asked.request)
        trying = tried(session, member, asked, engine, now)
        if isinstance(trying, Refused):
            return trying
        self._is_busy = True
        self._waiting.put(trying)
        return None

    def done(self) -> tuple[bytes, bytes]:
        """Return the next answer, and the connection that it is for; `answers` tells when there is one."""
        session, answer = self.answers.recv_multipart()
        self._is_busy = False
        return session, answer

    def close(self) -> None:
        """Let the thread finish what it works on, and end."""
        self._waiting.put(None)
        self._thread.join()
        self._out.close()
        self.answers.close()

    def _work(self) -> None:
        try:
            while (trying := self._waiting.get()) is not None:
                self._out.send_multipart((trying.session, encode(played(trying))))
                del trying  # the copy is not to live until the next one
        except BaseException as error:
            self.failure = error  # the process's own thread raises it: a desk that is silent is a bug
            raise


def tried(session: bytes, member: int, asked: Rehearse, engine: Engine, now: int) -> Trying | Refused:
    """Copy the engine for a member's rehearsal, if it may have one."""
    who = rehearsed_as(engine, member)
    if not who:
        name = engine.registry.members[member].member
        return refused(RejectReason.ROLE_NOT_PERMITTED, name, asked.request)
    return Trying(session, asked, who, now, standstill(engine))


def rehearsed_now(member: int, asked: Rehearse, engine: Engine, now: int) -> Rehearsed | Refused:
    """Answer a member's rehearsal at once, in this thread."""
    trying = tried(b"", member, asked, engine, now)
    return trying if isinstance(trying, Refused) else played(trying)


def played(trying: Trying) -> Rehearsed | Refused:
    """Play a rehearsal, the calendar's part included; what breaks the copy is told, and breaks nothing."""
    asked = trying.asked
    acts = [(act, asked.why) for act in asked.acts]
    try:
        told = rehearse_on(trying.still, acts, trying.who, trying.time, by_calendar)
    except Exception as error:
        _log.exception("a rehearsal broke off", extra={"acts": [type(act).__name__ for act in asked.acts]})
        remedy = "do not send these acts: the venue itself would break off; tell whoever maintains it"
        return Refused(asked.request, "rehearsal_failed", "acts", repr(error), remedy)
    return Rehearsed(asked.request, told)


def rehearsed_as(engine: Engine, member: int) -> str:
    """Return as whom a member may rehearse: an operator as itself, an auditor as the first operator."""
    registry = engine.registry
    admitted = registry.members[member]
    if admitted.role == "operator":
        return admitted.member
    if admitted.role != "auditor":
        return ""
    operators = (
        one.member
        for number, one in enumerate(registry.members)
        if number != HOUSE and one.role == "operator"
    )
    return next(operators, "")


def by_calendar(engine: Engine, now: int) -> Iterator[SignedAct]:
    """Yield what the calendar does at `now` (ns); each act is to be applied before the next is asked for.

    Random ends of calls are drawn as none: when one ends is nothing that a rehearsal tells.
    """
    for _ in range(ROUNDS_MAX):
        keeper = Timekeeper(engine, lambda _bound: 0)
        acts = keeper.due(now) if keeper.next_due <= now else ()
        if not acts:
            return
        yield from acts
