"""The gateway: frames of members become commands, what the engine says becomes reports.

Take in a bounded batch, then work, then send. What is wrong as it is written is refused at once, with
nothing journalled; the rest goes through the sequencer, and no report leaves before its batch is synced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import msgspec
import numpy as np

from exchange.config import DROPPED_SESSIONS_MAX
from exchange.engine import Outcome
from exchange.permissions import may_decide
from exchange.protocol.acts import SignedAct
from exchange.protocol.arrays import COMMAND
from exchange.protocol.messages import (
    COMMANDS,
    COMMANDS_PER_MESSAGE_MAX,
    MESSAGE,
    REPORTS,
    REQUESTS,
    AskAccount,
    AskOrders,
    AskProposals,
    AskRedemptions,
    AskStatus,
    Decide,
    Decided,
    Logon,
    Request,
    encode,
)
from exchange.protocol.reasons import refused
from exchange.reports import by_member, refusals
from exchange.server.enquiries import Enquiries
from exchange.server.sequencer import Sequencer
from matching.vocabulary import RejectReason

Session = bytes
"""A connection's routing id."""

Send = Callable[[Session, bytes], bool]
"""Sends one message to one session; False if the session is gone or does not read."""


class Gateway:
    """Everything between the members' connections and the sequencer; it owns no socket.

    Call `meet` when a connection has proven its key, `take` for each message, then `work` once.
    """

    def __init__(self, sequencer: Sequencer, enquiries: Enquiries, send: Send) -> None:
        self._sequencer = sequencer
        self._enquiries = enquiries
        self._send_to = send
        self._keys: dict[Session, str] = {}
        self._members: dict[Session, int] = {}
        self._sessions: dict[int, dict[Session, None]] = {}
        self._dropped: dict[Session, None] = {}
        self._requests: list[tuple[Session, int, Request]] = []
        self._commands: list[bytes] = []
        self._owners: list[tuple[Session, int, int]] = []

    def knows(self, session: Session) -> bool:
        """Tell whether a connection's key has been noted."""
        return session in self._keys

    def meet(self, session: Session, key: str) -> None:
        """Note the key that a connection has proven."""
        self._keys[session] = key

    def work(self) -> bool:
        """Journal and apply what was taken in, and answer it. Returns whether there was anything."""
        busy = bool(self._commands or self._requests)
        if self._commands:
            self._trade()
        for session, member, request in self._requests:
            if self._speaks_for(session) == member:  # a batch may revoke a key and ask with it
                self._reply(session, member, request)
        self._requests.clear()
        return busy

    def tell(self, outcome: Outcome) -> None:
        """Send every member its reports of an outcome, on each of its live sessions."""
        for member, reports in by_member(outcome.events, outcome.effects):
            body = REPORTS + reports.tobytes()
            for session in tuple(self._sessions.get(member, ())):
                if self._speaks_for(session) == member:
                    self._send(session, body)
                else:
                    self._forget(session)

    def _speaks_for(self, session: Session) -> int | None:
        """Return the member whose key the connection has proven, if the venue still knows the key."""
        return self._sequencer.engine.registry.keys.get(self._keys.get(session, ""))

    def take(self, session: Session, body: bytes) -> int:
        """Sort one message into commands or requests; return how many commands it brought."""
        if session in self._dropped:
            self.refuse(session, RejectReason.REPORTS_DROPPED, "")
            return 0
        member = self._speaks_for(session)
        if member is None:
            self.refuse(session, RejectReason.NOT_AUTHENTICATED, "")
            self._forget(session)
            return 0
        if self._members.get(session) != member:
            self._members[session] = member
            self._sessions.setdefault(member, {})[session] = None
        kind = body[:1]
        if kind == COMMANDS:
            count, rest = divmod(len(body) - 1, COMMAND.itemsize)
            if rest == 0 and 0 < count <= COMMANDS_PER_MESSAGE_MAX:
                self._commands.append(body[1:])
                self._owners.append((session, member, count))
                return count
            self.refuse(session, RejectReason.MALFORMED, f"{len(body)} bytes")
        elif kind == MESSAGE:
            self._take_request(session, member, body)
        else:
            self.refuse(session, RejectReason.MALFORMED, repr(kind))
        return 0

    def _take_request(self, session: Session, member: int, body: bytes) -> None:
        try:
            self._requests.append((session, member, REQUESTS.decode(memoryview(body)[1:])))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self.refuse(session, RejectReason.MALFORMED, str(error))

    def _trade(self) -> None:
        """Refuse what is wrong as written, sequence the rest, and tell everybody concerned."""
        commands = np.frombuffer(bytearray().join(self._commands), COMMAND)
        counts = [count for _, _, count in self._owners]
        commands["member"] = np.repeat([member for _, member, _ in self._owners], counts)
        faults, details = self._sequencer.engine.faults(commands)
        faulty = faults != RejectReason.NONE
        if faulty.any():
            self._tell_refused(commands, faults, details, counts)
            commands = commands[~faulty]
        self._commands.clear()
        self._owners.clear()
        if len(commands):
            self.tell(self._sequencer.submit(commands))

    def _tell_refused(
        self, commands: np.ndarray, faults: np.ndarray, details: np.ndarray, counts: list[int]
    ) -> None:
        """Answer each session whose commands were refused before they were given a sequence."""
        start = 0
        for (session, _, _), count in zip(self._owners, counts, strict=True):
            rows = slice(start, start + count)
            bad = faults[rows] != RejectReason.NONE
            if bad.any():
                reports = refusals(commands[rows][bad], faults[rows][bad], details[rows][bad])
                self._send(session, REPORTS + reports.tobytes())
            start += count

    def _reply(self, session: Session, member: int, request: Request) -> None:
        """Answer one request; the reading ones from the engine as it stands after the batch."""
        match request:
            case Logon():
                self._send(session, encode(self._enquiries.welcome(member, request)))
            case AskAccount():
                self._send(session, encode(self._enquiries.account(member, request)))
            case AskOrders():
                self._send(session, encode(self._enquiries.orders(member, request)))
            case AskRedemptions():
                self._send(session, encode(self._enquiries.redemptions(member, request)))
            case AskProposals():
                self._send(session, encode(self._enquiries.proposals(member, request)))
            case AskStatus():
                self._send(session, encode(self._enquiries.status(request)))
            case Decide():
                self._decide(session, member, request)
            case _:
                assert_never(request)

    def _decide(self, session: Session, member: int, request: Decide) -> None:
        """Sequence an act, if its member may decide it."""
        registry = self._sequencer.engine.registry
        who = registry.members[member].member
        if not may_decide(registry, who, request.act):
            self.refuse(session, RejectReason.ROLE_NOT_PERMITTED, who, request.request)
            return
        outcome = self._sequencer.decide(SignedAct(who, request.why, request.act))
        self.tell(outcome)
        result = outcome.acts[0]
        if result.reason == RejectReason.NONE:
            self._send(session, encode(Decided(request.request, result.answered)))
        else:
            self.refuse(session, result.reason, result.value, request.request, result.detail)

    def refuse(
        self, session: Session, reason: RejectReason, value: str, request: int = 0, detail: int = 0
    ) -> None:
        """Answer what cannot be read, or may not be asked; `detail` is the number of the remedy."""
        self._send(session, encode(refused(reason, value, request, detail)))

    def _send(self, session: Session, body: bytes) -> None:
        """Send to one session. One that is gone, or does not read, is told nothing more but that.

        What it missed cannot be made good on the same connection: going on as if nothing had happened
        would leave its member with a hole that it cannot see.
        """
        if not self._send_to(session, body):
            self._forget(session)
            self._dropped[session] = None
            if len(self._dropped) > DROPPED_SESSIONS_MAX:
                del self._dropped[next(iter(self._dropped))]

    def _forget(self, session: Session) -> None:
        self._keys.pop(session, None)
        member = self._members.pop(session, None)
        if member is not None:
            self._sessions[member].pop(session, None)
