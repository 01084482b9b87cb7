"""Frames into the settlement store: exactly once, whatever was written before."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from exchange.config import FLUSH_SECONDS, PENDING_ROWS_MAX
from exchange.server.follower import Commit, Follower
from exchange.server.journal import Position
from exchange.server.replay import ReplayParted
from settlement.store import Store, StoreDamaged, Watermark


def open_store(path: Path) -> tuple[Store, str]:
    """Open the store; a file that DuckDB cannot read is set aside, and the store begins anew.

    Returns the store and what is to be told of it, empty if nothing is.
    """
    try:
        return Store.open(path), ""
    except StoreDamaged as damage:
        aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
        path.rename(aside)
        log = path.with_name(path.name + ".wal")
        if log.exists():
            log.rename(log.with_name(aside.name + ".wal"))
        told = f"{damage}; set aside as {aside.name}, the store is rebuilt from the journal"
        return Store.open(path), told


class Settler:
    """Folds frames over a replica, and gives the store those that it does not have yet."""

    def __init__(self, follower: Follower, store: Store, note: Callable[[int], None]) -> None:
        self.follower = follower
        self.store = store
        self.flush_due = 0.0
        self._note = note

    def settle(self, commit: Commit, seconds_max: float | None = None) -> None:
        """Fold what is new up to `commit`, or as much of it as the time allows.

        Raises `ReplayParted` if the journal ends before what the store holds.
        """
        if commit.sequence and commit.sequence < self.store.watermark.sequence:
            message = (
                f"the store has settled sequence {self.store.watermark.sequence}, "
                f"the journal ends at {commit.sequence}; put the journal back from a backup"
            )
            raise ReplayParted(message)
        began = time.monotonic()
        stored = self.store.watermark.sequence
        for frame, outcome in self.follower.advance(commit):
            if frame.last == stored and frame.digest != self.store.watermark.digest:
                message = (
                    f"the store was made from another journal: at sequence {stored} their digests differ; "
                    "put the right store or journal in place, or take the store away to have it rebuilt"
                )
                raise ReplayParted(message)
            if frame.last > stored:
                if not self.store.pending:
                    self.flush_due = time.monotonic() + FLUSH_SECONDS
                self.store.add(outcome.events, outcome.effects, outcome.happened)
                if self.store.pending >= PENDING_ROWS_MAX:
                    self.flush()
            if seconds_max is not None and time.monotonic() - began >= seconds_max:
                return

    def flush(self) -> None:
        """Commit what is pending, with the watermark, and note how far the store has come."""
        engine = self.follower.engine
        if engine.sequence <= self.store.watermark.sequence:
            return
        position: Position = self.follower.position
        self.store.flush(
            Watermark(
                sequence=engine.sequence,
                time=engine.time,
                segment=position.segment,
                offset=position.offset,
                digest=self.follower.digest or b"",
                frames=self.follower.frames,
            ),
            engine.programmes(),
        )
        self._note(engine.sequence)
