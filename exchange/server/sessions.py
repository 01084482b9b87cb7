"""Who is connected: sessions by connection, by key and by member, and what guards their orders.

Pure: no socket here, and time is an argument (ns since 1970).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from matching.vocabulary import RejectReason

NameT = TypeVar("NameT", int, str)

SessionId = bytes
"""A connection's routing id; that of the operators' door has a letter before it."""

ENDED_KEPT_MAX = 10_000
"""Of how many ended sessions it is remembered why they ended, to tell them when they speak."""


class Session:
    """One live session: who speaks on it, and with which key.

    `guarded`: when it is lost, the member's orders go. `told` is the sequence of the last report sent on it.
    `address` is where it comes from, as far as that is known.
    """

    __slots__ = ("address", "guarded", "id", "key", "member", "told")

    def __init__(self, session_id: SessionId, key: str, member: int) -> None:
        self.id = session_id
        self.key = key
        self.member = member
        self.guarded = False
        self.address = ""
        self.told = 0


class Sessions:
    """All live sessions. `live` leads from a connection to its session, for the path of every message."""

    def __init__(self, per_key: int) -> None:
        self.live: dict[SessionId, Session] = {}
        self._per_key = per_key
        self._by_member: dict[int, dict[SessionId, Session]] = {}
        self._by_key: dict[str, dict[SessionId, Session]] = {}
        self._ended: dict[SessionId, RejectReason] = {}

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self.live.values()))

    def of_member(self, member: int) -> tuple[Session, ...]:
        """Return a member's live sessions, oldest first."""
        return tuple(self._by_member.get(member, {}).values())

    def begin(self, session_id: SessionId, key: str, member: int) -> Session:
        """Begin a session on a connection that has none."""
        assert session_id not in self.live
        session = Session(session_id, key, member)
        self.live[session_id] = session
        self._by_member.setdefault(member, {})[session_id] = session
        self._by_key.setdefault(key, {})[session_id] = session
        self._ended.pop(session_id, None)
        return session

    def one_too_many(self, key: str) -> Session | None:
        """Return the oldest session of a key that has more than it may have."""
        sessions = self._by_key.get(key, {})
        return next(iter(sessions.values())) if len(sessions) > self._per_key else None

    def end(self, session: Session, why: RejectReason = RejectReason.NONE) -> bool:
        """End a session, and remember why, if there is a reason. False if it had ended already."""
        if self.live.pop(session.id, None) is None:
            return False
        _let_go(self._by_member, session.member, session.id)
        _let_go(self._by_key, session.key, session.id)
        if why != RejectReason.NONE:
            self._ended[session.id] = why
            if len(self._ended) > ENDED_KEPT_MAX:
                del self._ended[next(iter(self._ended))]
        return True

    def why_ended(self, session_id: SessionId) -> RejectReason:
        """Return why nothing is heard on a connection: how its session ended, or that it has none yet."""
        return self._ended.get(session_id, RejectReason.NOT_LOGGED_ON)

    def has_guarded(self, member: int) -> bool:
        """Tell whether a live session of a member's asked for cancel on disconnect."""
        return any(session.guarded for session in self.of_member(member))


def _let_go(sessions: dict[NameT, dict[SessionId, Session]], name: NameT, session_id: SessionId) -> None:
    del sessions[name][session_id]
    if not sessions[name]:
        del sessions[name]
