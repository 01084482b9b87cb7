"""A journal that forgets when the process ends: for tests and notebooks."""

from __future__ import annotations

from exchange.engine import RULES_VERSION
from exchange.server.journal import START, Frame, Position


class MemoryJournal:
    """Keeps what the journal on disk does, but for digests and places: nobody reads it from a file."""

    def __init__(self) -> None:
        self.kept: list[Frame] = []
        self.sequence = 0
        self.frames = 0
        self.bytes_written = 0
        self.position = START

    def append(self, time: int, commands: bytes, acts: bytes, count: int, state_hash: int = 0) -> Position:
        """Take one frame in; it is as durable as the process."""
        first = self.sequence + 1
        self.kept.append(
            Frame(first, count, time, RULES_VERSION, state_hash, bytes(commands), acts, b"", b"", START)
        )
        self.sequence += count
        self.frames += 1
        self.bytes_written += len(commands) + len(acts)
        return self.position

    def close(self) -> None:
        """Nothing is held."""
