"""The client's line to a query service in the same process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from exchange.client.errors import ExchangeError, Timeout
from exchange.client.queries import QuerySession
from exchange.protocol.messages import QUERIES, QueryAnswer, encode
from exchange.protocol.query_messages import CancelQuery, NextChunk, Query, Rehearse

Answering = Callable[[Query | Rehearse], Iterable[QueryAnswer]]
"""Answers what a member asks; in chunks, if it wants them."""


class LocalQueryLine:
    """No socket, no waiting: what is asked is answered in the same turn."""

    def __init__(self, answering: Answering, conversation: QuerySession) -> None:
        self.endpoint = "this process"
        self.is_up = True
        self._answering = answering
        self._conversation = conversation
        conversation.linked()

    def wait_for(self, done: Callable[[], bool], deadline: float) -> bool | Awaitable[bool]:
        """Answer what is asked."""
        self.turn()
        return done()

    def turn(self) -> None:
        """Answer what is asked. All chunks of an answer come at once: nobody need ask for the next."""
        outbox = self._conversation.outbox
        while outbox:
            asked = QUERIES.decode(memoryview(outbox.popleft().frame)[1:])
            if isinstance(asked, CancelQuery | NextChunk):
                continue
            for answer in self._answering(asked):
                self._conversation.receive(encode(answer))

    def nudge(self) -> None:
        """Say nothing: what there is to say is said in the next turn."""

    def silence(self, what: str) -> ExchangeError:
        """Return the error for an answer that did not come."""
        return Timeout(f"the venue in this process has not answered {what}")

    def close(self) -> None:
        """Let nothing more be asked."""
        self.is_up = False


class AsyncLocalQueryLine(LocalQueryLine):
    """The same for the tasks of an event loop."""

    async def wait_for(self, done: Callable[[], bool], deadline: float) -> bool:
        """Answer what is asked."""
        self.turn()
        return done()
