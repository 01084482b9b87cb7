"""What the gateway tells of sessions, and of what is decided on them: to its log, and to the security log."""

from __future__ import annotations

import logging
from typing import NamedTuple

from exchange.engine import ActResult
from exchange.protocol.messages import Decide, Keys, Proposals, Refused, encode
from exchange.registry import Registry
from exchange.server.logs import note_act
from exchange.server.security import Watchful, facts_of
from exchange.server.sessions import Session
from matching.vocabulary import RejectReason

FORBIDDEN = (RejectReason.ROLE_NOT_PERMITTED, RejectReason.TWO_PERSONS_NEEDED)
"""Refusals of what a member may not do, or not alone."""


_log = logging.getLogger("bourse.sessions")


class Peer(NamedTuple):
    """Who speaks on a connection that has no session: the key that it has proven, and where it comes from."""

    key: str
    address: str


class Notes:
    """Knows members by their names; what it hears it hands on to the log."""

    def __init__(self, log: Watchful, registry: Registry) -> None:
        self._log = log
        self._registry = registry

    def turned_away(self, peer: Peer, reason: RejectReason, member: str = "") -> None:
        """Note a logon that was refused."""
        self._log.count("logon_refused", member, *peer, reason.name.lower())

    def begun(self, session: Session) -> None:
        """Note that a session has begun."""
        _log.info("logged on", extra={"member": self._who(session)[0]})
        self._log.note("session_begun", *self._who(session))

    def ended(self, session: Session) -> None:
        """Note that a session has logged out."""
        self._log.note("session_ended", *self._who(session))

    def lost(self, session: Session, why: RejectReason) -> None:
        """Note that a session has ended otherwise."""
        _log.info("session ended", extra={"member": self._who(session)[0], "why": why.name.lower()})
        self._log.note("session_lost", *self._who(session), facts={"reason": why.name.lower()})

    def refused(self, session: Session, reason: RejectReason) -> None:
        """Note an attempt to do, or to see, what is not this member's; other refusals are no matter of it."""
        if reason in FORBIDDEN:
            self._log.count("not_permitted", *self._who(session), reason.name.lower())

    def told(self, session: Session, answer: Keys | Proposals | Refused) -> bytes:
        """Return an answer as it is sent; one that is refused for who asks is counted."""
        if isinstance(answer, Refused) and answer.reason == RejectReason.ROLE_NOT_PERMITTED.name.lower():
            self.refused(session, RejectReason.ROLE_NOT_PERMITTED)
        return encode(answer)

    def decided(self, session: Session, request: Decide, result: ActResult) -> None:
        """Note an act of an operator, or about a key, and what became of it."""
        act, is_done = request.act, result.reason == RejectReason.NONE
        if is_done:
            note_act(self._who(session)[0], act, result.answered)
        role = self._registry.members[session.member].role
        if role != "operator" and "public_key" not in act.__struct_fields__:
            return
        facts = facts_of(act) | {"why": request.why}
        if not is_done:
            facts["reason"] = RejectReason(result.reason).name.lower()
        sequence = result.answered or result.sequence
        event = "act_done" if is_done else "act_refused"
        self._log.note(event, *self._who(session), sequence=sequence, facts=facts)

    def _who(self, session: Session) -> tuple[str, str, str]:
        """Return a session's member, its key and its address."""
        return self._registry.members[session.member].member, session.key, session.address
