"""A venue restarted: the newest snapshot and a tail of a million commands, against the whole journal."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench.bench_core import NOON, as_commands, founding, sales
from exchange.engine import RULES_VERSION, Engine
from exchange.server.folder import Folder
from exchange.server.journal import Journal
from exchange.server.replay import recover
from exchange.server.sequencer import Sequencer
from exchange.server.snapshots import save
from matching.workloads import realistic

TAIL = int(os.environ.get("BENCH_COMMANDS", "1000000"))
"""Commands behind the snapshot."""

BEFORE = TAIL
"""Commands that the snapshot has."""

FIRMS = 1_000
BATCH = 4_096


def journalled(folder: Folder) -> tuple[int, int, float]:
    """Journal `realistic`, a snapshot in the middle; return its sequence, the last one, and its seconds."""
    folder.found((), [])
    journal = Journal.open(folder.journal, rules_version=RULES_VERSION)
    engine = Engine()
    sequencer = Sequencer(engine, journal, lambda: NOON)
    sequencer.found(founding(FIRMS))
    sequencer.submit(sales(FIRMS))
    warm_up, tape = realistic(BEFORE + TAIL, 1)
    ids: dict[int, int] = {}
    start = 0
    taken_at, seconds = 0, 0.0
    for part in (warm_up, tape[:BEFORE], tape[BEFORE:]):
        commands = as_commands(part, engine.sequence + 1, ids, start, FIRMS)
        for at in range(0, len(commands), BATCH):
            sequencer.submit(commands[at : at + BATCH])
        start += len(part)
        if start == len(warm_up) + BEFORE:
            began = time.perf_counter()
            save(folder.snapshots, engine, journal.mark)
            taken_at, seconds = engine.sequence, time.perf_counter() - began
    journal.close()
    return taken_at, engine.sequence, seconds


def bench_restart(benchmark, tmp_path: Path):
    """From nothing to an engine at the journal's end and a journal that takes the next batch."""
    folder = Folder(tmp_path / "venue")
    taken_at, last, seconds_to_save = journalled(folder)
    hashes = set()

    def restart() -> None:
        engine, journal, told = recover(folder.journal, folder.snapshots, last)
        journal.close()
        assert (engine.sequence, told) == (last, "")
        hashes.add(engine.state_hash())

    benchmark.pedantic(restart, rounds=3)
    began = time.perf_counter()
    engine, journal, _ = recover(folder.journal)
    journal.close()
    whole = time.perf_counter() - began
    hashes.add(engine.state_hash())
    assert len(hashes) == 1, "both ways lead to one state"
    (snapshot,) = folder.snapshots.iterdir()
    benchmark.extra_info.update(
        engine="tokenbourse",
        workload="realistic, half of the buys subsidised",
        tail_commands=last - taken_at,
        whole_commands=last,
        whole_seconds=round(whole, 3),
        snapshot_bytes=snapshot.stat().st_size,
        snapshot_seconds=round(seconds_to_save, 3),
    )
