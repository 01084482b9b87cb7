"""The settlement store made anew from the journal, as `bourse settle --rebuild` does it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench.journals import journalled
from exchange.server.folder import Folder
from exchange.server.rebuild import settle
from matching.workloads import realistic

COMMANDS = int(os.environ.get("BENCH_COMMANDS", "1000000"))


def bench_rebuild(benchmark, tmp_path: Path):
    """From the first frame to the committed file, engine replica and all."""
    folder = Folder(tmp_path / "venue")
    commands = journalled(folder, *realistic(COMMANDS, 1)).sequence
    cpu = []

    def once():
        began = time.process_time()
        made = settle(folder, lambda _: None, is_anew=True, is_checked=False)
        cpu.append(time.process_time() - began)
        assert made.commands == commands
        assert not made.differences

    benchmark.pedantic(once, rounds=1)
    seconds = benchmark.stats.stats.median
    benchmark.extra_info.update(
        engine="tokenbourse",
        workload="realistic, half of the buys subsidised",
        commands=commands,
        cpu_seconds=round(cpu[-1], 2),
        commands_per_second=round(commands / seconds),
    )
