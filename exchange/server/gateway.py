"""The gateway: frames of members become commands, what the engine says becomes reports.

Take in a bounded batch, then work, then send. What is wrong as it is written, or too much, is refused at
once, with nothing journalled; the rest goes through the sequencer, and no report leaves before its batch is
synced. The rules of sessions stand in the manual.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import assert_never

import numpy as np

from exchange.config import Settings
from exchange.engine import Outcome
from exchange.permissions import may_decide
from exchange.protocol.acts import RevokeKey, SignedAct
from exchange.protocol.arrays import COMMAND
from exchange.protocol.messages import (
    COMMANDS,
    COMMANDS_PER_MESSAGE_MAX,
    MESSAGE,
    REPORTS,
    REQUESTS,
    UNREADABLE,
    AskAccount,
    AskKeys,
    AskOrders,
    AskProposals,
    AskRedemptions,
    AskStatus,
    CancelAllAfter,
    Decide,
    Decided,
    Farewell,
    Heartbeat,
    Logon,
    Logout,
    Request,
    encode,
)
from exchange.protocol.reasons import refused
from exchange.reports import Reporter, refusals
from exchange.server.enquiries import Enquiries
from exchange.server.logs import ThrottleLog
from exchange.server.noting import Notes, Peer
from exchange.server.reportlog import ReportLog, in_messages
from exchange.server.security import NOBODY, Watchful
from exchange.server.sequencer import Sequencer, orders_cancelled
from exchange.server.sessions import Session, SessionId, Sessions
from exchange.server.watch import Watch
from exchange.throttle import Throttle
from matching.vocabulary import RejectReason

Send = Callable[[SessionId, bytes], RejectReason]
"""Sends one message to one session; SESSION_LOST if that is gone, REPORTS_DROPPED if it does not read."""

SECOND_NS = 10**9
REQUEST_BYTES_A_TOKEN = 4_096
ANSWER_BYTES_A_TOKEN = 16_384
"""A question or act counts once, and once more for each so many bytes of it; its answer for each so many."""

WHY_CHARACTERS_MAX = 1_000
"""Longest reason of an act: it is journalled, and told to whoever asks."""

COMMAND_BYTES = COMMAND.itemsize
ONE_COMMAND_BYTES = len(COMMANDS) + COMMAND_BYTES
"""A message of one command; all others are longer, or none."""


class Gateway:
    """Everything between the members' connections and the sequencer; it owns no socket.

    Call `take` for each message of a session in `sessions.live`, `greet` for each of another connection, then
    `work` once, and `watch` as time passes.
    """

    def __init__(
        self,
        sequencer: Sequencer,
        enquiries: Enquiries,
        send: Send,
        settings: Settings | None = None,
        kept: ReportLog | None = None,
        security: Watchful = NOBODY,
    ) -> None:
        chosen = settings or Settings()
        self._notes = Notes(security, sequencer.engine.registry)
        self._sequencer = sequencer
        self._enquiries = enquiries
        self._send_to = send
        self._keys = sequencer.engine.registry.keys
        self.sessions = Sessions(chosen.sessions.per_key)
        self._kept = kept or ReportLog(chosen.sessions.reports_kept, sequencer.engine.sequence)
        self._reporter = Reporter()
        self._orders = Throttle(chosen.throttle.orders_per_second, chosen.throttle.orders_burst)
        self._questions = Throttle(chosen.throttle.requests_per_second, chosen.throttle.requests_burst)
        self._switches = Throttle(chosen.throttle.requests_per_second, chosen.throttle.requests_burst)
        self._throttled = ThrottleLog()
        self._heartbeat_ns = int(chosen.sessions.heartbeat_seconds * SECOND_NS)
        self._next_heartbeat = 0
        self._watch = Watch(
            sequencer, self.sessions, self.tell, int(chosen.sessions.reconnect_seconds * SECOND_NS)
        )
        self._requests: list[tuple[Session, Request]] = []
        self.bodies: list[bytes] = []
        """Messages that hold commands, as they came, for the next batch; `owners` beside them."""
        self.owners: list[Session] = []
        self.commands = 0
        """Commands taken in so far, refused ones among them."""
        self.reports = 0
        """Reports sent so far, each session's counted."""
        self.refused: Counter[int] = Counter()
        """What was refused as written, by reject reason."""

    # --- in ------------------------------------------------------------------------------------

    def hear(self, session_id: SessionId, key: str, body: bytes, *, is_operators: bool = False) -> None:
        """Take in one message of any connection, by `take` or by `greet`."""
        session = self.sessions.live.get(session_id)
        if session is None:
            self.greet(session_id, key, body, is_operators=is_operators)
        else:
            self.take(session, body)

    def take(self, session: Session, body: bytes) -> int:
        """Sort one message of a live session into commands or requests; return how many commands it has.

        A door may put a message of one command into `bodies` by itself: this is the longer way.
        """
        kind = body[:1]
        if kind == COMMANDS:
            count = len(body) // COMMAND_BYTES
            if len(body) == 1 + count * COMMAND_BYTES and 0 < count <= COMMANDS_PER_MESSAGE_MAX:
                self.bodies.append(body)
                self.owners.append(session)
                return count
            self.refuse(session.id, RejectReason.MALFORMED, f"{len(body)} bytes")
        elif kind == MESSAGE:
            self._take_request(session, body)
        else:
            self.refuse(session.id, RejectReason.MALFORMED, repr(kind))
        return 0

    def greet(
        self, session_id: SessionId, key: str, body: bytes, address: str = "", *, is_operators: bool
    ) -> None:
        """Hear a connection that has no session: its logon, and nothing else.

        `key` is what it has proven, `is_operators` whether it came by the operators' door.
        """
        registry, peer = self._sequencer.engine.registry, Peer(key, address)
        member = self._keys.get(key)
        if member is None:
            self._notes.turned_away(peer, RejectReason.NOT_AUTHENTICATED)
            self.refuse(session_id, RejectReason.NOT_AUTHENTICATED, "")
            return
        if (registry.members[member].role == "operator") != is_operators:
            self._notes.turned_away(peer, RejectReason.WRONG_DOOR, registry.members[member].member)
            self.refuse(session_id, RejectReason.WRONG_DOOR, registry.members[member].member)
            return
        wait = self._questions.wait_ms(member, self._sequencer.pace(), cost_of(body))
        if wait:
            self.refuse(session_id, RejectReason.THROTTLED, "", 0, wait)
            return
        try:
            request = REQUESTS.decode(memoryview(body)[1:]) if body[:1] == MESSAGE else None
        except UNREADABLE:
            request = None
        if not isinstance(request, Logon):
            self.refuse(session_id, self.sessions.why_ended(session_id), "")
            return
        self._log_on(session_id, peer, member, request)

    def _take_request(self, session: Session, body: bytes) -> None:
        request = self._read(session.id, body)
        if request is None:
            return
        wait = self._wait_ms(session.member, request, cost_of(body))
        if wait:
            self._note_throttled(np.array([session.member]))
            self.refuse(session.id, RejectReason.THROTTLED, "", request.request, wait)
            return
        self._requests.append((session, request))

    def _wait_ms(self, member: int, request: Request, tokens: int) -> int:
        """Charge a request to its member; return 0, or in how many ms there will be room for it.

        The end of a session is free, and so is a switch that is only put off. One that is set to another time
        is journalled, each time: that has an allowance of its own, which no flood of questions uses up.
        """
        if isinstance(request, Logout):
            return 0
        if not isinstance(request, CancelAllAfter):
            return self._questions.wait_ms(member, self._sequencer.pace(), tokens)
        if self._watch.is_armed(member, request.seconds):
            return 0
        return self._switches.wait_ms(member, self._sequencer.pace())

    def _read(self, session_id: SessionId, body: bytes) -> Request | None:
        try:
            request: Request = REQUESTS.decode(memoryview(body)[1:])
            return request
        except UNREADABLE as error:
            self.refuse(session_id, RejectReason.MALFORMED, str(error))
            return None

    # --- work ----------------------------------------------------------------------------------

    def work(self) -> bool:
        """Journal and apply what was taken in, and answer it. Returns whether there was anything."""
        busy = bool(self.bodies or self._requests)
        if self.bodies:
            self._trade()
        if self._requests:
            requests, self._requests = self._requests, []
            for session, request in requests:
                if self._is_live(session):  # a batch may revoke a key and ask with it
                    self._reply(session, request)
        return busy

    def watch(self) -> None:
        """Do what time has brought: heartbeats, and the end of the orders of who fell silent."""
        now = self._sequencer.pace()
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + self._heartbeat_ns
            self._throttled.look(now / SECOND_NS)
            engine = self._sequencer.engine
            for session in self.sessions:
                if self._is_live(session):
                    self._send(session, encode(Heartbeat(engine.sequence, session.told, engine.time)))
        self._watch.look(now)

    def tell(self, outcome: Outcome) -> None:
        """Send every member its reports of an outcome, on each of its live sessions."""
        told = self._reporter.reports(outcome.events, outcome.effects)
        self._kept.keep(told.members, told.reports)
        for member, reports in told.by_member():
            sessions = self.sessions.of_member(member)
            if not sessions:
                continue
            body = b"".join((REPORTS, reports.data))
            last = int(reports["sequence"][-1])
            for session in sessions:
                if self._is_live(session):
                    session.told = last
                    self.reports += len(reports)
                    self._send(session, body)

    def stop(self) -> None:
        """Tell every session that the venue stops."""
        for session in self.sessions:
            self.refuse(session.id, RejectReason.VENUE_STOPPING, "")

    def _is_live(self, session: Session) -> bool:
        """Tell whether a session goes on; one whose key speaks for its member no more is ended."""
        if session.id not in self.sessions.live:
            return False
        if self._keys.get(session.key) == session.member:
            return True
        self.end(session, RejectReason.NOT_AUTHENTICATED)
        return False

    def _end_revoked(self) -> None:
        """End every session whose key was revoked: nothing asks a session's next message for it."""
        for session in self.sessions:
            self._is_live(session)

    def _trade(self) -> None:
        """Refuse what is wrong as written, or too much; sequence the rest, and tell whom it concerns."""
        commands = commands_of(self.bodies)
        members = [session.member for session in self.owners]
        commands["member"] = members if len(members) == len(commands) else np.repeat(members, self._counts())
        engine = self._sequencer.engine
        faults, details = engine.faults(commands)
        now = self._sequencer.pace()
        self._orders.charge(engine.core, commands, now, faults, details)
        self.commands += len(commands)
        if faults.any():
            self._note_throttled(commands["member"][faults == RejectReason.THROTTLED])
            self._tell_refused(commands, faults, details)
            commands = commands[faults == RejectReason.NONE]
        self.bodies.clear()
        self.owners.clear()
        if len(commands):
            self.tell(self._sequencer.submit(commands))

    def _counts(self) -> list[int]:
        """Return how many commands each message has."""
        return [len(body) // COMMAND_BYTES for body in self.bodies]

    def _tell_refused(self, commands: np.ndarray, faults: np.ndarray, details: np.ndarray) -> None:
        """Answer each session whose commands were refused before they were given a sequence."""
        bad = np.flatnonzero(faults)
        self.refused.update(faults[bad].tolist())
        reports = refusals(commands[bad], faults[bad], details[bad])
        ends = np.searchsorted(bad, np.cumsum(self._counts())).tolist()
        bodies: dict[SessionId, list[memoryview]] = {}
        begin = 0
        for session, end in zip(self.owners, ends, strict=True):
            if end > begin:
                bodies.setdefault(session.id, [memoryview(REPORTS)]).append(reports[begin:end].data)
                begin = end
        for session_id, parts in bodies.items():
            if session_id in self.sessions.live:
                self._send(self.sessions.live[session_id], b"".join(parts))

    def _note_throttled(self, members: np.ndarray) -> None:
        """Have the log say whose messages were above its allowance: a member each."""
        registry, now = self._sequencer.engine.registry, self._sequencer.pace() / SECOND_NS
        for member, count in zip(*np.unique(members, return_counts=True), strict=True):
            self._throttled.hear(registry.members[member].member, int(count), now)

    def _reply(self, session: Session, request: Request) -> None:
        """Answer one request; the reading ones from the engine as it stands after the batch."""
        member = session.member
        match request:
            case Logon():  # a second one: what is listed by now
                self._welcome(session, request, self._sequencer.engine.sequence)
            case Logout():
                self._log_out(session, request)
            case CancelAllAfter():
                self._send(session, encode(self._watch.arm(member, request, self._sequencer.pace())))
            case AskAccount():
                self._answer(session, encode(self._enquiries.account(member, request)))
            case AskOrders():
                self._answer(session, encode(self._enquiries.orders(member, request)))
            case AskRedemptions():
                self._answer(session, encode(self._enquiries.redemptions(member, request)))
            case AskProposals():
                self._answer(session, self._notes.told(session, self._enquiries.proposals(member, request)))
            case AskKeys():
                self._answer(session, self._notes.told(session, self._enquiries.keys(member, request)))
            case AskStatus():
                self._answer(session, encode(self._enquiries.status(request)))
            case Decide():
                self._decide(session, request)
            case _:
                assert_never(request)

    def _log_on(self, session_id: SessionId, peer: Peer, member: int, request: Logon) -> None:
        """Welcome a new session, and tell it what its member has missed; it hears the rest as it arises."""
        if request.cancel_on_disconnect:
            self._watch.meet(member)  # what that brings about is told to nobody who was not welcomed yet
        session = self.sessions.begin(session_id, peer.key, member)
        session.guarded, session.address = request.cancel_on_disconnect, peer.address
        self._notes.begun(session)
        extra = self.sessions.one_too_many(session.key)
        if extra is not None:
            self.end(extra, RejectReason.SESSION_REPLACED)
        sequence = self._sequencer.engine.sequence
        resumed = sequence if request.since is None else max(request.since, self._kept.floor)
        self._welcome(session, request, min(resumed, sequence))
        for missed in in_messages(self._kept.since(session.member, resumed)):
            self._answer(session, b"".join((REPORTS, missed.data)))

    def _welcome(self, session: Session, request: Logon, resumed: int) -> None:
        heartbeat_ms = self._heartbeat_ns // 10**6
        self._answer(session, encode(self._enquiries.welcome(session.member, request, resumed, heartbeat_ms)))

    def _log_out(self, session: Session, request: Logout) -> None:
        """End a session in good order."""
        self._send(session, encode(Farewell(request.request, self._sequencer.engine.sequence)))
        self._notes.ended(session)
        if self.sessions.end(session) and session.guarded:
            self._watch.leave(session.member)

    def _decide(self, session: Session, request: Decide) -> None:
        """Sequence an act, if its member may decide it."""
        registry = self._sequencer.engine.registry
        who = registry.members[session.member].member
        if not may_decide(registry, who, request.act):
            self.refuse(session.id, RejectReason.ROLE_NOT_PERMITTED, who, request.request)
            return
        if len(request.why) > WHY_CHARACTERS_MAX:
            value = f"why: {len(request.why):,} characters, of at most {WHY_CHARACTERS_MAX:,}"
            self.refuse(session.id, RejectReason.MALFORMED, value, request.request)
            return
        outcome = self._sequencer.decide(SignedAct(who, request.why, request.act))
        self.tell(outcome)
        result = outcome.acts[-1]
        self._notes.decided(session, request, result)
        if isinstance(request.act, RevokeKey):
            self._end_revoked()
        if result.reason == RejectReason.NONE:
            cancelled = orders_cancelled(outcome, result.sequence)
            self._send(session, encode(Decided(request.request, result.answered, cancelled)))
        else:
            self.refuse(session.id, result.reason, result.value, request.request, result.detail)

    # --- out -----------------------------------------------------------------------------------

    def refuse(
        self, session_id: SessionId, reason: RejectReason, value: str, request: int = 0, detail: int = 0
    ) -> None:
        """Answer what cannot be read, or may not be asked; `detail` is the number of the remedy."""
        self.refused[reason] += 1
        body = encode(refused(reason, value, request, int(detail)))
        session = self.sessions.live.get(session_id)
        if session is not None:
            self._notes.refused(session, reason)
            self._send(session, body)
        else:
            self._send_to(session_id, body)

    def _answer(self, session: Session, body: bytes) -> None:
        """Send what was asked for, and charge its length, so that nobody asks for more than it reads."""
        self._questions.owe(session.member, len(body) // ANSWER_BYTES_A_TOKEN)
        self._send(session, body)

    def end(self, session: Session, why: RejectReason) -> None:
        """End a session that did not log out, and say why; cancel on disconnect does its work."""
        if not self.sessions.end(session, why):
            return
        self._notes.lost(session, why)
        if why != RejectReason.SESSION_LOST:
            self._send_to(session.id, encode(refused(why, "")))
        if session.guarded:
            self._watch.lose(session.member)

    def _send(self, session: Session, body: bytes) -> None:
        """Send to one session. One that is gone, or does not read, is ended.

        What it missed cannot be made good behind its back: it logs on again, and says how far it has heard.
        """
        why = self._send_to(session.id, body)
        if why != RejectReason.NONE:
            self.end(session, why)


def cost_of(body: bytes) -> int:
    """Return how many tokens a question or act counts for by its own length."""
    return 1 + len(body) // REQUEST_BYTES_A_TOKEN


def commands_of(bodies: list[bytes]) -> np.ndarray:
    """Return the commands of messages, in their order, in memory of their own.

    Where each message has one, as is common, they are taken out at once, not one by one.
    """
    if max(map(len, bodies)) > ONE_COMMAND_BYTES:
        return np.frombuffer(bytearray().join([body[1:] for body in bodies]), COMMAND)
    rows = np.frombuffer(b"".join(bodies), np.uint8).reshape(-1, ONE_COMMAND_BYTES)
    commands = np.empty(len(bodies), COMMAND)
    commands.view(np.uint8).reshape(-1, COMMAND_BYTES)[:] = rows[:, 1:]
    return commands
