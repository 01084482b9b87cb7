"""A journal run again, every digest and state hash checked, as `bourse replay` does it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench.journals import journalled
from exchange.server.folder import Folder
from exchange.server.rerun import Wish, rerun
from matching.workloads import realistic

COMMANDS = int(os.environ.get("BENCH_COMMANDS", "2000000"))


def bench_replay(benchmark, tmp_path: Path):
    """From an empty engine to the journal's end and the hash of its state."""
    folder = Folder(tmp_path / "venue")
    engine = journalled(folder, *realistic(COMMANDS, 1))
    state_hash = engine.state_hash()
    cpu = []

    def once():
        began = time.process_time()
        made = rerun(folder, Wish())
        cpu.append(time.process_time() - began)
        assert (made.commands, made.state_hash) == (engine.sequence, state_hash)

    benchmark.pedantic(once, rounds=5, warmup_rounds=1)
    benchmark.extra_info.update(
        engine="tokenbourse",
        workload="realistic, half of the buys subsidised",
        commands=engine.sequence,
        cpu_seconds=round(min(cpu), 3),
        commands_per_second=round(engine.sequence / benchmark.stats.stats.min),
        commands_per_cpu_second=round(engine.sequence / min(cpu)),
    )
