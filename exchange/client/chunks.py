"""A question whose answer comes in chunks, and what of it waits to be read."""

from __future__ import annotations

from collections import deque

from exchange.client.errors import ConnectionLost, ExchangeError, ProtocolBroken, RequestRefused
from exchange.client.requests import Asked
from exchange.protocol.query_messages import QueryChunk


class Chunked(Asked[QueryChunk]):
    """A question whose answer comes in chunks: those that wait to be read."""

    __slots__ = ("chunks", "expected", "fault")

    def __init__(self, request: int, frame: bytes) -> None:
        super().__init__(request, frame)
        self.chunks: deque[QueryChunk] = deque()
        self.expected = 0
        """The number of the next chunk to come."""
        self.fault: ExchangeError | None = None

    def hear(self, heard: QueryChunk | RequestRefused) -> bool:
        """Take in a chunk, or why there is no more. Returns whether that is all."""
        if isinstance(heard, RequestRefused):
            self.fault = heard
            return True
        if heard.number != self.expected:
            self.fault = ProtocolBroken(
                f"chunk {self.expected} of an answer did not arrive", remedy="ask again"
            )
            return True
        self.expected += 1
        self.chunks.append(heard)
        return heard.is_last

    def cut(self) -> bool:
        """Note that the connection is gone. Returns whether that is the end: asked anew, all may differ."""
        if self.expected and self.fault is None:
            self.fault = ConnectionLost(
                "the connection was lost amid an answer in chunks", remedy="ask again"
            )
        return self.fault is not None

    def is_done(self) -> bool:
        """Tell whether there is something to read."""
        return bool(self.chunks) or self.fault is not None
