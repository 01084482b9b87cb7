"""Frames into the settlement store: exactly once, whatever was written before."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TypeVar

import duckdb

from exchange.config import FLUSH_SECONDS, PENDING_ROWS_MAX
from exchange.engine import Outcome
from exchange.server.follower import Commit, Follower
from exchange.server.journal import Frame, Position
from exchange.server.replay import ReplayParted
from feeds.bars import MINUTE_NS
from settlement.quotes import quotes_of
from settlement.reconcile import Reconciler, Unreconciled
from settlement.store import MEMORY_BYTES, Store, StoreDamaged, Watermark

T = TypeVar("T")

DAMAGE = "Corrupt database file"
"""What DuckDB says then."""


def open_store(path: Path, memory_bytes: int = MEMORY_BYTES) -> tuple[Store, str]:
    """Open the store; a file that DuckDB cannot read is set aside, and the store begins anew.

    Returns the store and what is to be told of it, empty if nothing is.
    """
    try:
        return Store.open(path, memory_bytes=memory_bytes), ""
    except StoreDamaged as damage:
        told = begin_anew(path, damage)
        return Store.open(path, memory_bytes=memory_bytes), told


def begin_anew(path: Path, damage: Exception) -> str:
    """Set a damaged store aside, which is closed; return what is to be told of it."""
    aside = set_aside(path, "damaged")
    return f"{damage}; set aside as {aside.name}, the store is rebuilt from the journal"


def is_damage(error: duckdb.Error) -> bool:
    """Tell whether DuckDB has read a block whose checksum is wrong: it reads most of them on need alone."""
    return DAMAGE in str(error)


def set_aside(path: Path, why: str) -> Path:
    """Give a store's file and its log another name, so that a new one may take its place."""
    aside = path.with_name(f"{path.name}.{why}-{time.time_ns()}")
    path.rename(aside)
    log = path.with_name(path.name + ".wal")
    if log.exists():
        log.rename(log.with_name(aside.name + ".wal"))
    return aside


def _other_journal(mark: Watermark) -> ReplayParted:
    return ReplayParted(
        f"the store was made from another journal: at sequence {mark.sequence} their digests differ; "
        "put the right store or journal in place, or take the store away to have it rebuilt"
    )


class Settler:
    """Folds frames over a replica, and gives the store those that it does not have yet.

    Once in `reconcile_flushes` flushes, if that is not 0, the store is compared with the replica's ledger.
    """

    def __init__(
        self,
        follower: Follower,
        store: Store,
        note: Callable[[int], None] = lambda _: None,
        reconcile_flushes: int = 0,
    ) -> None:
        self.follower = follower
        self.store = store
        self.flush_due = 0.0
        self.is_ahead = False
        self.making_room: Callable[[], AbstractContextManager[object]] = nullcontext
        """Has others let go of the store's memory, which a flush needs."""
        self._note = note
        self._reconciler = Reconciler(store)
        self._reconcile_flushes = reconcile_flushes
        self.flushes = self.rows = 0
        self._check_beginning()

    def _check_beginning(self) -> None:
        """Raise `ReplayParted` if the replica began at a snapshot that does not fit the store."""
        mark, begun = self.store.watermark, self.follower.mark
        if begun.sequence > mark.sequence:
            message = (
                f"the store has settled sequence {mark.sequence}, the replica begins at {begun.sequence}, "
                "and what lies between would be left out"
            )
            raise ReplayParted(message)
        if begun.sequence and begun.sequence == mark.sequence and begun.digest != mark.digest:
            raise _other_journal(mark)

    def settle(self, commit: Commit, seconds_max: float | None = None) -> None:
        """Fold what is new up to `commit`, or as much of it as the time allows.

        Raises `ReplayParted` if the journal ends before what the store holds.
        """
        if commit.sequence and commit.sequence < self.store.watermark.sequence:
            raise self._ends_early(commit.sequence)
        began = time.monotonic()
        for frame, frames in self.follower.lots(commit, apart=self.store.watermark.sequence):
            self._fold(frame, frames)
            if seconds_max is not None and time.monotonic() - began >= seconds_max:
                return

    def settle_all(self, progress: Callable[[Frame], None] = lambda _: None) -> None:
        """Fold all that is left of a journal that nobody writes, and flush.

        `progress` is told each frame behind it. Raises `JournalTorn` when all whole frames are written,
        `JournalDamaged`, and `ReplayParted` as `settle` does.
        """
        try:
            for frame in self.follower.ahead():
                self._fold(frame, 1)
                progress(frame)
            if self.follower.engine.sequence < self.store.watermark.sequence:
                raise self._ends_early(self.follower.engine.sequence)
        finally:
            self.flush()

    def _fold(self, frame: Frame, frames: int) -> None:
        """Apply a frame made of so many; before the first of a minute, note the quotes of the one before."""
        engine = self.follower.engine
        is_new = frame.last > self.store.watermark.sequence
        if is_new and engine.sequence and frame.time // MINUTE_NS != engine.time // MINUTE_NS:
            minute_us = engine.time // MINUTE_NS * MINUTE_NS // 1_000
            self.store.add_quotes(quotes_of(engine.core.book, minute_us, engine.sequence))
        self._keep(frame, self.follower.take(frame, frames))

    def _keep(self, frame: Frame, outcome: Outcome) -> None:
        """Add what a frame brought, if the store does not have it yet; flush when that is much."""
        mark = self.store.watermark
        if frame.last == mark.sequence and frame.digest != mark.digest:
            raise _other_journal(mark)
        if frame.last > mark.sequence:
            if not self.is_ahead:
                self.is_ahead = True
                self.flush_due = time.monotonic() + FLUSH_SECONDS
            self.store.add(outcome.events, outcome.effects, outcome.happened)
            if self.store.pending >= PENDING_ROWS_MAX:
                self.flush()

    def _ends_early(self, sequence: int) -> ReplayParted:
        return ReplayParted(
            f"the store has settled sequence {self.store.watermark.sequence}, "
            f"the journal ends at {sequence}; put the journal back from a backup"
        )

    def flush(self) -> None:
        """Commit what is pending, with the watermark, and note how far the store has come.

        It comes first: readers that leave it little memory have to make room. Raises `Unreconciled` where it
        looks, and store and ledger part.
        """
        engine = self.follower.engine
        if engine.sequence <= self.store.watermark.sequence:
            return
        position: Position = self.follower.position
        rows = self.store.pending
        mark = Watermark(
            sequence=engine.sequence,
            time=engine.time,
            segment=position.segment,
            offset=position.offset,
            digest=self.follower.digest,
            frames=self.follower.frames,
        )
        programmes = engine.programmes()
        self._having_room(lambda: self.store.flush(mark, programmes))
        self.is_ahead = False
        self._note(engine.sequence)
        self.flushes += 1
        self.rows += rows
        if self._reconcile_flushes and self.flushes % self._reconcile_flushes == 0:
            self.reconcile()

    def reconcile(self) -> None:
        """Raise `Unreconciled` if the store and the ledger in memory part."""
        differences = self.unreconciled()
        if differences:
            raise Unreconciled(self.store.watermark.sequence, differences)

    def unreconciled(self) -> list[str]:
        """Return in words where the store and the ledger in memory part; both at the store's watermark."""
        engine = self.follower.engine
        return self._having_room(
            lambda: self._reconciler.differences(engine.core.ledger, engine.programmes())
        )

    def _having_room(self, work: Callable[[], T]) -> T:
        """Do what takes the store's memory; without others, where they leave it little or have left none."""
        if not self.store.is_crowded:
            with suppress(duckdb.OutOfMemoryException):
                return work()
        with self.making_room():
            return work()
