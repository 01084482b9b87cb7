"""A venue proven, from its journal to every row of its store, as `bourse verify` does it."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from bench.journals import journalled
from exchange.engine import Engine
from exchange.server.audit import verify
from exchange.server.folder import Folder
from exchange.server.rebuild import settle
from matching.workloads import sweep

TRADES = int(os.environ.get("BENCH_TRADES", "1000000"))
"""How many trades the venue has seen, at least."""


def traded(folder: Folder, trades: int) -> Engine:
    """Journal a market and `sweep` until so many trades are done; settle it."""
    engine = journalled(folder, *sweep(2 * trades, 1), lambda engine: trades_of(engine) >= trades)
    settle(folder, lambda _: None, is_anew=True, is_checked=False)
    return engine


def trades_of(engine: Engine) -> int:
    """Return how many trades an engine has seen."""
    return int(engine.core.ledger.totals[0]["trades"])


def bench_verify(benchmark, tmp_path: Path):
    """From a folder on the disk to the verdict."""
    folder = Folder(tmp_path / "venue")
    engine = traded(folder, TRADES)
    state_hash = engine.state_hash()
    trades = trades_of(engine)
    cpu = []

    def once():
        began = time.process_time()
        verdict = verify(folder)
        cpu.append(time.process_time() - began)
        assert verdict.ok, verdict.differences
        assert (verdict.commands, verdict.state_hash) == (engine.sequence, state_hash)

    benchmark.pedantic(once, rounds=3)
    benchmark.extra_info.update(
        engine="tokenbourse",
        workload="sweep, half of the buys subsidised",
        commands=engine.sequence,
        trades=trades,
        cpu_seconds=round(min(cpu), 2),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
