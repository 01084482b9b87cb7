"""The supervisor with processes that only play their parts: begun, begun again, ended in order."""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import sys
from urllib.request import urlopen

import msgspec
import pytest

from exchange.config import Endpoints, HealthSettings, Settings
from exchange.server import health
from exchange.server import supervisor as supervising
from exchange.server.folder import Folder, FolderServed, new_key_pair
from exchange.server.founding import standard_acts
from exchange.server.health import VenueState
from exchange.server.logs import LogLine
from exchange.server.process import FollowerStats, SequencerStats
from exchange.server.supervisor import FEED, SEQUENCER, SETTLEMENT, Supervisor, VenueFailed, raise_handles
from tests.waiting import PATIENCE_SECONDS, until

PLAYER = """
import signal, sys
from pathlib import Path
from exchange.config import Endpoints
from exchange.server.process import FollowerStats, SequencerStats, report_ready, report_stats

role, part, folder = sys.argv[1:]
def end(*_):
    with Path(folder, "ended").open("a") as file:
        file.write(role + "\\n")
    if part != "stubborn":
        sys.exit(0)
signal.signal(signal.SIGTERM, end)
if part == "dies":
    sys.exit(3)
if part == "mute":
    signal.pause()
print("this is no line of ours", flush=True)
ends = {"sequencer": "orders", "settlement": "query", "feed": "feed"}
told = role if part == "tells" else ""
report_ready(Endpoints(**{ends[role]: "tcp://127.0.0.1:7000"}), sequence=5, told=told)
follower = FollowerStats(sequence=8, lag_commands=1)
report_stats(SequencerStats(sequence=9, sessions=2) if role == "sequencer" else follower)
while True:
    signal.pause()
"""


@pytest.fixture
def parts():
    """What each role plays, if not its usual part."""
    return {}


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "venue")
    keys = [new_key_pair(name) for name in ("AUDITOR", "OPERATOR")]
    made.found(standard_acts([], keys, []), keys)
    return made


@pytest.fixture
def venue(folder, parts, monkeypatch):
    """Yield a supervisor of players, not yet started, and what it has told."""
    settings = Settings(
        listen=Endpoints(metrics="http://127.0.0.1:0"),
        health=HealthSettings(lag_seconds=3_600, disk_free_bytes=0),  # players speak once
    )

    def spawn(place, role, _settings):
        return subprocess.Popen(
            [sys.executable, "-c", PLAYER, role, parts.get(role, "usual"), str(place.root)],
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    monkeypatch.setattr(supervising, "spawn", spawn)
    told: list[str] = []
    made = Supervisor(folder, settings, told.append)
    yield made, told
    made.kill()
    made.stop()


def events(folder):
    text = folder.logs.joinpath("supervisor.log").read_bytes()
    return [msgspec.json.decode(line, type=LogLine).event for line in text.splitlines()]


def stats_of(supervisor, role):
    return next(one.stats for one in supervisor.state().processes if one.role == role)


def test_processes_begin_are_heard_and_end_the_sequencer_first(venue, folder):
    supervisor, told = venue
    assert supervisor.state().faults[0] == "sequencer is starting"
    assert supervisor.start()
    until(lambda: all(one.stats for one in supervisor.state().processes), supervisor.look_after)
    assert stats_of(supervisor, SEQUENCER) == SequencerStats(sequence=9, sessions=2)
    assert stats_of(supervisor, FEED) == FollowerStats(sequence=8, lag_commands=1)
    state = supervisor.state()
    assert state.is_ready
    assert state.is_live
    assert msgspec.json.decode(folder.root.joinpath("venue.json").read_bytes(), type=Endpoints).orders == (
        "tcp://127.0.0.1:7000"
    )
    supervisor.stop()
    ended = folder.root.joinpath("ended").read_text().split()
    assert ended[0] == SEQUENCER
    assert sorted(ended[1:]) == [FEED, SETTLEMENT]
    assert told == []
    assert events(folder) == ["start", *["not understood"] * 3, "ready", "stop"] or (
        sorted(events(folder)) == sorted(["start", *["not understood"] * 3, "ready", "stop"])
    )


def test_a_folder_that_came_back_from_a_backup_is_made_whole(venue, folder):
    supervisor, _ = venue
    for lost in (folder.logs, folder.snapshots, folder.watermarks):
        lost.rmdir()
    assert supervisor.start()
    assert folder.logs.joinpath("supervisor.log").exists()
    assert folder.snapshots.is_dir()
    assert folder.watermarks.is_dir()


def test_what_a_process_has_mended_is_told(venue, parts):
    supervisor, told = venue
    parts[SETTLEMENT] = "tells"
    supervisor.start()
    assert told == [SETTLEMENT]


def test_the_state_is_served_while_processes_begin(venue, parts):
    supervisor, _ = venue
    parts[SETTLEMENT] = "mute"
    seen = []

    def ask():
        endpoint = supervisor.endpoints.metrics
        with urlopen(f"{endpoint}/state", timeout=PATIENCE_SECONDS) as answer:  # noqa: S310  our own server's
            seen.append(msgspec.json.decode(answer.read(), type=VenueState))
        supervisor.ask_to_stop()

    noted = supervisor._note_ready
    supervisor._note_ready = lambda child: (noted(child), ask())
    assert not supervisor.start()
    assert "settlement is starting" in seen[0].faults


def test_who_is_told_to_stop_before_it_is_ready_stops(venue, parts, folder):
    supervisor, _ = venue
    parts[SEQUENCER] = "mute"
    spawn = supervisor._spawn
    supervisor._spawn = lambda role: (spawn(role), supervisor.ask_to_stop())
    assert not supervisor.start()
    supervisor.stop()
    assert SETTLEMENT not in supervisor.processes
    assert "ready" not in events(folder)


def test_a_process_that_ends_before_it_is_ready_fails_the_venue(venue, parts):
    supervisor, _ = venue
    parts[SETTLEMENT] = "dies"
    with pytest.raises(VenueFailed, match=r"settlement did not become ready; see .*settlement\.log"):
        supervisor.start()


def test_what_dies_is_begun_again_without_waiting_and_counted(venue, folder):
    supervisor, told = venue
    supervisor.start()
    process = supervisor.processes[FEED]
    process.kill()
    process.wait()
    supervisor.look_after()
    assert supervisor.processes[FEED] is not process
    assert told == ["feed ended with code -9; it is begun again"]
    until(lambda: supervisor.children[FEED].is_noted, supervisor.look_after)
    feed = supervisor.state().processes[2]
    assert (feed.role, feed.state, feed.restarts) == (FEED, "ready", 1)
    assert [event for event in events(folder) if "re" in event and event != "ready"] == [
        "restart",
        "ready again",
    ]


def test_what_dies_too_often_ends_the_venue(venue, parts):
    supervisor, told = venue
    supervisor.start()
    parts[FEED] = "dies"
    supervisor.processes[FEED].kill()
    with pytest.raises(VenueFailed, match="feed died 6 times in a minute"):
        until(lambda: False, supervisor.look_after)
    assert len(told) == 5


def test_a_folder_that_is_served_is_told_with_the_process_that_has_it(venue, folder):
    supervisor, _ = venue
    supervisor.start()
    second = Supervisor(folder, supervisor.settings, print)
    with pytest.raises(
        VenueFailed, match=f"is served already, by process {os.getpid()}; stop that one first"
    ):
        second.start()
    second.stop()
    assert supervisor.state().is_ready
    supervisor.stop()
    folder.unlock(folder.lock())


def test_a_lock_ends_with_its_process(folder):
    program = (
        "import sys; from pathlib import Path; from exchange.server.folder import Folder\n"
        "Folder(Path(sys.argv[1])).lock(); print('has it', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, folder.root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(FolderServed, match=f"process {other.pid};"):
            folder.lock()
        other.kill()
    folder.unlock(folder.lock())


def test_what_does_not_end_is_killed_and_told(venue, parts, monkeypatch):
    supervisor, told = venue
    monkeypatch.setattr(supervising, "STOP_SECONDS_MAX", 0)
    parts[SEQUENCER] = "stubborn"
    supervisor.start()
    supervisor.stop()
    assert supervisor.processes[SEQUENCER].returncode == -signal.SIGKILL
    assert supervisor.processes[FEED].returncode == 0
    assert told == ["sequencer did not end in time, and was killed"]


def test_all_can_be_ended_at_once(venue):
    supervisor, _ = venue
    supervisor.start()
    supervisor.kill()
    supervisor.stop()
    assert {process.returncode for process in supervisor.processes.values()} == {-signal.SIGKILL}
    supervisor.kill()


def test_a_disk_that_gets_full_is_told_once_and_makes_the_venue_unready(venue, folder, monkeypatch):
    supervisor, told = venue
    supervisor.settings = msgspec.structs.replace(
        supervisor.settings, health=HealthSettings(lag_seconds=3_600, disk_free_bytes=1_000)
    )
    room = [5_000, 10_000]
    monkeypatch.setattr(health, "disk_room", lambda _: tuple(room))
    monkeypatch.setattr(supervisor._disk_pace, "is_due", lambda _: True)
    supervisor.start()
    supervisor.look_after()
    assert told == []
    room[0] = 999
    supervisor.look_after()
    supervisor.look_after()
    assert told == ["the disk has 999 bytes left; make room before the journal needs it"]
    assert supervisor.state().faults == ("the disk has 999 bytes left, under 1,000",)
    room[0] = 5_000
    supervisor.look_after()
    assert supervisor.state().is_ready
    assert events(folder)[-2:] == ["disk nearly full", "disk has room again"]


def test_metrics_that_cannot_listen_are_told_with_the_remedy(venue, folder):
    supervisor, _ = venue
    supervisor.start()
    taken = supervisor.endpoints.metrics
    supervisor._metrics, kept = None, supervisor._metrics
    with pytest.raises(VenueFailed, match=r"metrics cannot be served at .*choose another port"):
        supervisor._serve_metrics()
    assert supervisor.endpoints.metrics == taken
    supervisor._metrics = kept


def test_handles_are_raised_to_what_the_system_allows():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        raise_handles()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_stopped_supervisor_logs_no_more(venue, folder):
    supervisor, _ = venue
    supervisor.start()
    supervisor.stop()
    before = events(folder)
    logging.getLogger("bourse.supervisor").error("late")
    assert events(folder) == before
