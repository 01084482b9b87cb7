"""What a process says of itself: a line that is never waited for, and never half of one."""

from __future__ import annotations

import os

import pytest

from exchange.config import Endpoints
from exchange.server.process import (
    LINE,
    STATS_BYTES_MAX,
    FollowerStats,
    Pace,
    Pool,
    Ready,
    SequencerStats,
    report_ready,
    report_stats,
)
from matching.vocabulary import RejectReason


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_a_line_of_statistics_is_read_as_it_was_meant(pipe):
    reader, writer = pipe
    stats = SequencerStats(sequence=7, refused={"too_old": 1}, pools={"orders": Pool(1, 64)}, busy=0.5)
    assert report_stats(stats, writer)
    assert report_stats(FollowerStats(sequence=6, lag_seconds=0.25), writer)
    first, second = os.read(reader, 65_536).splitlines()
    assert LINE.decode(first) == stats
    assert LINE.decode(second) == FollowerStats(sequence=6, lag_seconds=0.25)


def test_where_nobody_reads_lines_are_dropped_whole_and_nothing_waits(pipe):
    reader, writer = pipe
    stats = SequencerStats(refused={f"reason {at}": at for at in range(30)})
    written = 0
    while report_stats(stats, writer):
        written += 1
    assert written > 10
    assert not report_stats(stats, writer)
    os.set_blocking(reader, False)
    lines = b"".join(iter(lambda: os.read(reader, 4_096) if readable(reader) else b"", b"")).splitlines()
    assert [LINE.decode(line) for line in lines] == [stats] * written


def readable(handle):
    import select

    return bool(select.select((handle,), (), (), 0)[0])


def test_the_longest_line_there_can_be_fits():
    biggest = 2**63 - 1
    names = ("orders", "levels", "accounts", "memos", "parcels", "legs", "stakes")
    stats = SequencerStats(
        **{
            name: biggest
            for name in SequencerStats.__struct_fields__
            if name not in ("refused", "pools", "busy", "sync_p50", "sync_p99", "sync_max")
        },
        refused={reason.name.lower(): 10**12 for reason in RejectReason},
        pools={name: Pool(2**40, 2**40) for name in names},
        busy=0.123456789012345,
        sync_p50=0.000123456789012345,
        sync_p99=0.00123456789012345,
        sync_max=0.0123456789012345,
    )
    import msgspec

    assert len(msgspec.json.encode(stats)) < STATS_BYTES_MAX


def test_a_line_that_is_too_long_is_not_written(pipe):
    _, writer = pipe
    assert not report_stats(SequencerStats(refused={"x" * STATS_BYTES_MAX: 1}), writer)


def test_a_supervisor_that_is_gone_ends_nothing():
    reader, writer = os.pipe()
    os.close(reader)
    assert not report_stats(FollowerStats(), writer)
    os.close(writer)


def test_the_first_line_says_where_a_process_listens(capsys):
    report_ready(Endpoints(orders="tcp://127.0.0.1:7000"), sequence=5, snapshot=3, told="cut a frame")
    told = LINE.decode(capsys.readouterr().out)
    assert isinstance(told, Ready)
    assert (told.endpoints.orders, told.sequence, told.snapshot, told.told) == (
        "tcp://127.0.0.1:7000",
        5,
        3,
        "cut a frame",
    )


def test_a_pace_is_due_once_a_stretch():
    pace = Pace(1.0)
    assert [pace.is_due(now) for now in (100.0, 100.5, 101.0, 101.9, 105.0, 105.9, 106.0)] == [
        True, False, True, False, True, False, True,
    ]  # fmt: skip
