"""A venue's state as tests of its health and its metrics want it."""

from __future__ import annotations

import msgspec

from exchange.server.health import ProcessState, SnapshotState, Usage, VenueState
from exchange.server.process import FollowerStats, Pool, SequencerStats

SEQUENCER = SequencerStats(
    sequence=1_200,
    time=1_700_000_000_500_000_000,
    commands=1_150,
    batches=90,
    refused={"throttled": 4, "too_old": 2},
    throttled=4,
    sessions=3,
    reports_sent=2_400,
    journal_bytes=153_600,
    journal_segment=2,
    sync_p50=0.0002,
    sync_p99=0.004,
    sync_max=0.02,
    open_orders=55,
    pools={"orders": Pool(60, 1_024), "levels": Pool(7, 512)},
    busy=0.25,
)
SETTLEMENT = FollowerStats(
    sequence=1_190, lag_commands=10, lag_seconds=0.05, flushes=40, queries=6, rows=9_000
)
FEED = FollowerStats(sequence=1_200, queries=2, rows=700)


def process(role, stats, **changed):
    return ProcessState(
        role=role,
        state="ready",
        pid=100,
        silent_seconds=0.4,
        usage=Usage(50_000_000, 12.5),
        stats=stats,
    ) if not changed else msgspec.structs.replace(process(role, stats), **changed)  # fmt: skip


def venue(**changed):
    made = VenueState(
        version="0.1.0",
        time=1_700_000_001_000_000_000,
        processes=(
            process("sequencer", SEQUENCER),
            process("settlement", SETTLEMENT, restarts=2),
            process("feed", FEED),
        ),
        supervisor=process("supervisor", None),
        disk_free_bytes=10**10,
        disk_bytes=10**11,
        snapshot=SnapshotState(1_000, 42.0),
    )
    return msgspec.structs.replace(made, **changed)
