"""How the sequencer does: what its supervisor is told once a second."""

from __future__ import annotations

from collections.abc import Callable

from exchange.engine import Engine
from exchange.server.gateway import Gateway
from exchange.server.journal import Position
from exchange.server.process import Pool, SequencerStats
from exchange.server.security import SecurityLog
from exchange.server.sequencer import SequencedLog, Sequencer
from matching.vocabulary import RejectReason

TIMES_KEPT_MAX = 100_000
"""Most syncs of one interval that are noted."""


class TimedLog:
    """A journal, and how long its writes have taken. `timer` returns seconds."""

    def __init__(self, journal: SequencedLog, timer: Callable[[], float]) -> None:
        self._journal = journal
        self._timer = timer
        self._seconds: list[float] = []

    @property
    def sequence(self) -> int:
        """The last command that is durable."""
        return self._journal.sequence

    @property
    def frames(self) -> int:
        """How many frames stand in it."""
        return self._journal.frames

    @property
    def bytes_written(self) -> int:
        """How much was written since it was opened."""
        return self._journal.bytes_written

    @property
    def position(self) -> Position:
        """Where the next frame will begin."""
        return self._journal.position

    def append(self, time: int, commands: bytes, acts: bytes, count: int, state_hash: int = 0) -> Position:
        """Make one frame durable before it returns."""
        began = self._timer()
        position = self._journal.append(time, commands, acts, count, state_hash)
        if len(self._seconds) < TIMES_KEPT_MAX:
            self._seconds.append(self._timer() - began)
        return position

    def times(self) -> tuple[float, float, float]:
        """Return the median, the 99th percentile and the longest since this was asked last, in seconds."""
        seconds, self._seconds = sorted(self._seconds), []
        if not seconds:
            return 0.0, 0.0, 0.0
        return seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100], seconds[-1]


def pools_of(engine: Engine) -> dict[str, Pool]:
    """Return what of each of the engine's tables is in use, and for how much there is memory now."""
    book, ledger, memory = engine.core.book, engine.core.ledger, engine.core.memory
    counts, totals = book.counts[0], ledger.totals[0]
    tables = {
        "orders": (counts["orders_used"], book.orders),
        "levels": (counts["levels_used"], book.levels),
        "accounts": (totals["accounts"], ledger.accounts),
        "memos": (memory.used[0]["memos"], memory.memos),
        "parcels": (totals["parcels"], ledger.parcels),
        "legs": (totals["legs"], ledger.legs),
        "stakes": (counts["orders_used"], ledger.stakes),
    }
    return {name: Pool(int(used), len(rows)) for name, (used, rows) in tables.items()}


def statistics(
    sequencer: Sequencer,
    gateway: Gateway,
    log: TimedLog,
    busy: float,
    security: SecurityLog | None = None,
) -> SequencerStats:
    """Return how the sequencer does now; `busy` is the share of time in which it worked."""
    engine = sequencer.engine
    p50, p99, longest = log.times()
    throttled = gateway.refused[RejectReason.THROTTLED]
    return SequencerStats(
        sequence=engine.sequence,
        time=engine.time,
        commands=gateway.commands,
        batches=log.frames,
        refused={RejectReason(reason).name.lower(): count for reason, count in gateway.refused.items()},
        throttled=throttled,
        sessions=len(gateway.sessions.live),
        reports_sent=gateway.reports,
        journal_bytes=log.bytes_written,
        journal_segment=log.position.segment,
        sync_p50=p50,
        sync_p99=p99,
        sync_max=longest,
        open_orders=int(engine.core.book.counts[0]["open_orders"]),
        pools=pools_of(engine),
        busy=busy,
        security_waiting=0 if security is None else security.waiting + security.lost,
    )
