"""A disk that is full, or takes no more of a file: the venue stops answering, says so, and loses nothing."""

from __future__ import annotations

import errno
import resource
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from exchange.config import HealthSettings, Settings
from exchange.server import supervisor as supervising
from exchange.server.folder import Folder
from exchange.server.journal import SPARE, SPARE_UNFINISHED, Files, prepare_spare
from exchange.server.supervisor import SEQUENCER, VenueFailed
from exchange.server.warm import warm_up
from tests.fire.platter import power
from tests.fire.rounds import LINES_A_ROUND, World

DISK_BYTES = 64 << 20
ROOM_BYTES = 1 << 20


@pytest.fixture
def small_disk(tmp_path):
    """Yield a folder on a disk of its own that is soon full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits a process that runs")
def test_a_write_that_the_system_cuts_short_is_never_answered(world):
    world.start()
    world.more("order", LINES_A_ROUND)
    process = world.supervisor.processes[SEQUENCER]
    segment = max(world.folder.journal.glob("*.journal"))
    with segment.open("rb") as file:
        written = len(file.read().rstrip(b"\0"))
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (written + 5_000, hard))
    world.until(lambda: world.supervisor.processes[SEQUENCER] is not process)
    (told,) = (line for line in world.told if line.startswith("sequencer ended with code 1: The journal in"))
    assert "failed after sequence" in told
    assert "Mend the disk and start the venue again." in told
    world.more("order", LINES_A_ROUND)
    world.finish()
    assert world.differences() == []


@pytest.mark.slow
def test_a_full_disk_ends_the_venue_in_words_and_with_room_it_goes_on(small_disk, tmp_path):
    warm_up()
    settings = Settings(health=HealthSettings(disk_free_bytes=ROOM_BYTES))
    world = World(tmp_path, small_disk, settings)
    try:
        with power(tmp_path / "platter"):
            fill_and_make_room(world, small_disk)
    finally:
        world.end()


class FullDisk(Files):
    """Has no room left after so many writes."""

    def __init__(self, writes: int) -> None:
        self.writes_left = writes

    def write(self, handle: int, data: bytes, offset: int) -> None:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(handle, data, offset)


def test_a_spare_segment_for_which_there_is_no_room_leaves_the_room_to_others(tmp_path):
    with pytest.raises(OSError, match="No space left"):
        prepare_spare(tmp_path, 4 << 20, FullDisk(2))
    assert SPARE_UNFINISHED not in {path.name for path in tmp_path.iterdir()}
    assert prepare_spare(tmp_path, 4 << 20)
    assert (tmp_path / SPARE).stat().st_size == 4 << 20


def test_a_full_disk_is_not_filled_again_at_every_look(tmp_path, monkeypatch):
    tried = []

    def full(_folder):
        tried.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(supervising, "prepare_spare", full)
    told: list[str] = []
    venue = supervising.Supervisor(Folder(tmp_path), Settings(), told.append)
    for tenth in range(100):
        venue._prepare_spare(1_000 + tenth / 10)
    assert len(tried) == 10 / supervising.SPARE_SECONDS
    (line,) = told
    assert line.startswith("no spare segment for the journal: [Errno 28]")


def fill_and_make_room(world: World, disk: Path) -> None:
    """Fill a disk under load until the venue gives up; then make room, and start it again."""
    world.supervisor.restarts_max = 3
    world.start()
    world.more("order", LINES_A_ROUND)
    assert not any("bytes left" in line for line in world.told)
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass
    with pytest.raises(VenueFailed, match=r"times in a minute: .*No space left on device.*; see .*\.log"):
        world.until(lambda: False)
    assert any("bytes left; make room before the journal needs it" in line for line in world.told)
    assert any("bytes left, under" in fault for fault in world.supervisor.state().faults)
    world.supervisor.stop()
    ballast.unlink()
    assert world.supervisor.start()
    world.more("order", LINES_A_ROUND)
    world.finish()
    assert world.differences() == []
