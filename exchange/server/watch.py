"""Who guards its orders against its own silence: cancel on disconnect, and the dead-man's switch.

Both stand in the journal as `Guard`, so that they outlive the venue; only their clocks run here.
"""

from __future__ import annotations

from collections.abc import Callable

from exchange.engine import Outcome
from exchange.protocol.acts import GUARD_SECONDS_MAX, CancelCause, CancelOrders, Guard, SignedAct
from exchange.protocol.messages import Armed, CancelAllAfter, Refused
from exchange.protocol.reasons import refused
from exchange.registry import SESSIONS
from exchange.server.sequencer import Sequencer
from exchange.server.sessions import Sessions
from matching.layout import NEVER
from matching.vocabulary import RejectReason

_SECOND_NS = 10**9
_AT_ONCE = 0

_WHY: dict[CancelCause, str] = {
    "session_lost": "a session with cancel on disconnect was lost",
    "dead_man": "cancel_all_after was not put off in time",
}


class Watch:
    """When whose orders are to be cancelled. `tell` sends what that brings about to whom it concerns."""

    def __init__(
        self,
        sequencer: Sequencer,
        sessions: Sessions,
        tell: Callable[[Outcome], None],
        reconnect_ns: int,
    ) -> None:
        self._sequencer = sequencer
        self._registry = sequencer.engine.registry
        self._sessions = sessions
        self._tell = tell
        self._due: dict[tuple[int, CancelCause], int] = {}
        self._next = NEVER
        now = sequencer.pace()
        for member, guard in self._registry.guards.items():  # as they stood when the venue went down
            if guard.on_disconnect:
                self._set(member, "session_lost", now + reconnect_ns)
            if guard.seconds:
                self._set(member, "dead_man", now + guard.seconds * _SECOND_NS)

    def meet(self, member: int) -> None:
        """Note that a session with cancel on disconnect has logged on.

        That is what a member is waited for after a restart. A session that was lost since then is another's
        matter: its orders go all the same.
        """
        if self._due.get((member, "session_lost")) != _AT_ONCE:
            self._clear(member, "session_lost")
        self._note(member, on_disconnect=True)

    def leave(self, member: int) -> None:
        """Note that a session with cancel on disconnect has logged out."""
        if not self._sessions.has_guarded(member):
            self._note(member, on_disconnect=False)

    def lose(self, member: int) -> None:
        """Note that a session with cancel on disconnect was lost: orders go when time is looked at next."""
        self._set(member, "session_lost", _AT_ONCE)

    def arm(self, member: int, request: CancelAllAfter, now: int) -> Armed | Refused:
        """Arm a member's switch, put it off, or disarm it."""
        if not 0 <= request.seconds <= GUARD_SECONDS_MAX:
            value = f"seconds: {request.seconds}, of at most {GUARD_SECONDS_MAX}"
            return refused(RejectReason.AMOUNT_OUT_OF_RANGE, value, request.request)
        self._note(member, seconds=request.seconds)
        if not request.seconds:
            self._clear(member, "dead_man")
            return Armed(request.request, 0)
        until = now + request.seconds * _SECOND_NS
        self._set(member, "dead_man", until)
        return Armed(request.request, until)

    def is_armed(self, member: int, seconds: int) -> bool:
        """Tell whether a member's switch is set to so many seconds already: then nothing is journalled."""
        guard = self._registry.guards.get(member)
        return seconds == (0 if guard is None else guard.seconds)

    def look(self, now: int) -> None:
        """Cancel the orders of all who have been silent for too long."""
        while now >= self._next:
            late = [one for one, due in self._due.items() if now >= due]
            for member, cause in late:
                self._cancel(member, cause)
            self._next = min(self._due.values(), default=NEVER)

    def _cancel(self, member: int, cause: CancelCause) -> None:
        """Sequence the cancel of a member's orders, and what guards it from now on."""
        self._clear(member, cause)
        name = self._registry.members[member].member
        before = self._registry.guards.get(member)
        seconds = before.seconds if before is not None and cause != "dead_man" else 0
        guard = Guard(name, self._sessions.has_guarded(member), seconds)
        acts = (CancelOrders(name, cause), guard)
        self._tell(self._sequencer.decide(*(SignedAct(SESSIONS, _WHY[cause], act) for act in acts)))

    def _note(self, member: int, on_disconnect: bool | None = None, seconds: int | None = None) -> None:
        """Journal what guards a member, if that has changed."""
        name = self._registry.members[member].member
        before = self._registry.guards.get(member, Guard(name))
        guard = Guard(
            name,
            before.on_disconnect if on_disconnect is None else on_disconnect,
            before.seconds if seconds is None else seconds,
        )
        if guard != before:
            self._tell(self._sequencer.decide(SignedAct(SESSIONS, "asked by its session", guard)))

    def _set(self, member: int, cause: CancelCause, due: int) -> None:
        self._due[member, cause] = due
        self._next = min(self._next, due)

    def _clear(self, member: int, cause: CancelCause) -> None:
        self._due.pop((member, cause), None)
