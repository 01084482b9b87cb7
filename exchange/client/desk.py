"""What all calls of one client share: its session and line, history, feed, clock and its client ids."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from time import monotonic, time_ns
from typing import TypeVar

from exchange.client.errors import BadInput, RequestRefused
from exchange.client.feed_wire import FeedLine, Feeds
from exchange.client.flows import Flow, Line, QueryLine, Wait, deadline_after, never
from exchange.client.marketreaders import Reader
from exchange.client.queries import Queries, QuerySession
from exchange.client.requests import Asked
from exchange.client.session import Session
from exchange.client.tickets import client_id_bytes
from exchange.protocol.records import CLIENT_ID_BYTES

AnswerT = TypeVar("AnswerT")

THROTTLED_AGAIN_MAX = 3
"""How often a question or an act that was throttled is said again before the caller is told."""


class Desk:
    """One client's place to work at. Flows are handed it; it waits for nothing itself."""

    def __init__(
        self,
        session: Session,
        line: Line,
        open_history: Callable[[QuerySession], QueryLine],
        open_feed: Callable[[Reader], FeedLine],
        clock: Callable[[], int] = time_ns,
    ) -> None:
        self.session = session
        self.line = line
        self.queries = Queries(open_history, lambda: session.blotter.member, lambda: session.instruments)
        self.feeds = Feeds(open_feed)
        self.clock = clock
        self._id_begin = secrets.token_hex(5)
        self._ids_made = 0
        self._sent_until = 0

    def times_to_send(self, count: int) -> int:
        """Return the first of `count` nanoseconds at which orders are sent: each has one of its own."""
        first = max(self.clock(), self._sent_until)
        self._sent_until = first + count
        return first

    def client_ids(self, count: int, given: Sequence[str] | None) -> list[bytes]:
        """Return `count` padded client ids: those given, or new ones. Raises `BadInput`."""
        if given is None:
            first = self._ids_made
            self._ids_made += count
            begin = self._id_begin
            return [
                f"{begin}-{number:x}".encode("ascii").ljust(CLIENT_ID_BYTES, b"\0")
                for number in range(first, first + count)
            ]
        if isinstance(given, str) or len(given) != count:
            raise BadInput(
                f"{count} orders want {count} client ids",
                field="client_ids",
                value=given,
                remedy="give one for each order, in their order, or none at all",
            )
        ids = [client_id_bytes(client_id) for client_id in given]
        if len(set(ids)) < count:
            raise BadInput(
                "a client_id stands twice in one call",
                field="client_ids",
                value=given,
                remedy="give each order its own",
            )
        return ids


def answer(desk: Desk, asked: Asked[AnswerT], what: str, timeout: float) -> Flow[AnswerT]:
    """Wait for the answer to a question, and return it. Raises `Timeout`, `ConnectionLost`, a refusal.

    What is throttled is said again when there is room for it, a few times: a script of many short commands
    need not know of it.
    """
    deadline = deadline_after(timeout)
    try:
        is_done = yield Wait(desk.line, asked.is_done, deadline)
        for _ in range(THROTTLED_AGAIN_MAX):
            refusal = asked.answer
            if not isinstance(refusal, RequestRefused) or not refusal.retry_after:
                break
            room_at = monotonic() + refusal.retry_after
            if room_at >= deadline:
                break
            yield Wait(desk.line, never, room_at)
            desk.session.ask_again(asked)
            is_done = yield Wait(desk.line, asked.is_done, deadline)
    finally:
        desk.session.drop(asked)
    if not is_done or asked.lost:
        raise desk.line.silence(what)
    return asked.result()
