"""The settlement store made anew from the journal, as `bourse settle --rebuild` does it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench.bench_core import NOON, as_commands, founding, sales
from exchange.engine import RULES_VERSION, Engine
from exchange.server.folder import Folder
from exchange.server.journal import Journal
from exchange.server.rebuild import settle
from exchange.server.sequencer import Sequencer
from matching.workloads import realistic

COMMANDS = int(os.environ.get("BENCH_COMMANDS", "1000000"))
FIRMS = 1_000
BATCH = 4_096
PIECE = 1_000_000


def journalled(folder: Folder) -> int:
    """Journal a market and `realistic` with half of the buys subsidised; return how many commands it was."""
    folder.found((), [])
    journal = Journal.open(folder.journal, rules_version=RULES_VERSION)
    engine = Engine()
    sequencer = Sequencer(engine, journal, lambda: NOON)
    sequencer.found(founding(FIRMS))
    sequencer.submit(sales(FIRMS))
    warm_up, tape = realistic(COMMANDS, 1)
    ids: dict[int, int] = {}
    start = 0
    for part in (warm_up, *(tape[at : at + PIECE] for at in range(0, len(tape), PIECE))):
        commands = as_commands(part, engine.sequence + 1, ids, start, FIRMS)
        for at in range(0, len(commands), BATCH):
            sequencer.submit(commands[at : at + BATCH])
        start += len(part)
    journal.close()
    return engine.sequence


def bench_rebuild(benchmark, tmp_path: Path):
    """From the first frame to the committed file, engine replica and all."""
    folder = Folder(tmp_path / "venue")
    commands = journalled(folder)
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
