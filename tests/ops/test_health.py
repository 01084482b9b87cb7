"""When a venue calls itself ready, and what is read of its processes from the system."""

from __future__ import annotations

import os

import msgspec
import pytest

from exchange.config import HealthSettings
from exchange.server import health
from exchange.server.health import SnapshotState, Usage
from tests.ops.states import SETTLEMENT, process, venue

SETTINGS = HealthSettings(lag_seconds=10.0, disk_free_bytes=1_000)


def faults_with(role, **changed):
    processes = [
        msgspec.structs.replace(one, **changed) if one.role == role else one for one in venue().processes
    ]
    return health.faults(processes, 10**9, SETTINGS)


def test_a_venue_whose_processes_keep_up_is_ready():
    assert health.faults(venue().processes, 10**9, SETTINGS) == ()
    assert venue().is_ready


@pytest.mark.parametrize(
    ("role", "changed", "told"),
    [
        ("feed", {"state": "starting"}, "feed is starting"),
        ("sequencer", {"state": "ended"}, "sequencer has ended"),
        ("sequencer", {"silent_seconds": 10.6}, "sequencer has said nothing for 11 s"),
        (
            "settlement",
            {"stats": msgspec.structs.replace(SETTLEMENT, lag_seconds=12.0, lag_commands=4_000)},
            "settlement is behind by 4,000 commands, 12 s",
        ),
    ],
)
def test_it_is_not_ready_and_says_why(role, changed, told):
    assert faults_with(role, **changed) == (told,)


def test_what_is_just_within_the_allowance_is_ready():
    level = msgspec.structs.replace(SETTLEMENT, lag_seconds=10.0)
    assert faults_with("settlement", stats=level, silent_seconds=10.0) == ()


def test_a_full_disk_is_a_reason_of_its_own():
    (told,) = health.faults(venue().processes, 999, SETTINGS)
    assert told == "the disk has 999 bytes left, under 1,000"


def test_a_supervisor_that_hangs_is_not_live():
    assert venue().is_live
    assert not venue(supervisor=process("supervisor", None, silent_seconds=30.1)).is_live


def test_memory_and_cpu_of_a_process_are_read_from_proc(tmp_path):
    folder = tmp_path / "42"
    folder.mkdir()
    ticks = os.sysconf("SC_CLK_TCK")
    fields = ["S", *["0"] * 10, str(3 * ticks), str(2 * ticks), "0"]
    folder.joinpath("stat").write_text(f"42 (a (tricky) name) {' '.join(fields)}\n")
    folder.joinpath("statm").write_text("1000 300 20 1 0 50 0\n")
    assert health.usage_of(42, tmp_path) == Usage(300 * os.sysconf("SC_PAGE_SIZE"), 5.0)


def test_of_a_process_that_is_gone_nothing_is_read(tmp_path):
    assert health.usage_of(42, tmp_path) == Usage()


def test_this_very_process_takes_something():
    usage = health.own_state(0.0).usage
    assert usage.resident_bytes > 1 << 20


def test_the_newest_snapshot_is_the_one_with_the_highest_number(tmp_path):
    assert health.newest_snapshot(tmp_path, 0.0) is None
    for name in (
        "000000000000100.snapshot",
        "000000000000900.snapshot",
        "000000000001000.snapshot.part",
        "x",
    ):
        path = tmp_path / name
        path.touch()
        os.utime(path, (1_000, 1_000))
    assert health.newest_snapshot(tmp_path, 1_060.0) == SnapshotState(900, 60.0)
    assert health.newest_snapshot(tmp_path / "none", 0.0) is None


def test_a_disk_that_does_not_tell_has_no_room(tmp_path):
    assert health.disk_room(tmp_path / "none") == (0, 0)
    free, size = health.disk_room(tmp_path)
    assert 0 < free <= size
