"""A journal that forgets when the process ends: for tests and notebooks."""

from __future__ import annotations

from exchange.server.journal import START, Position


class MemoryJournal:
    """Keeps count as the journal on disk does, and nothing else."""

    def __init__(self) -> None:
        self.sequence = 0
        self.frames = 0
        self.bytes_written = 0
        self.position = START

    def append(self, time: int, commands: bytes, acts: bytes, count: int, state_hash: int = 0) -> Position:
        """Take one frame in; it is as durable as the process."""
        del time, state_hash
        self.sequence += count
        self.frames += 1
        self.bytes_written += len(commands) + len(acts)
        return self.position

    def close(self) -> None:
        """Nothing is held."""
