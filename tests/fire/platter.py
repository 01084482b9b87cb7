"""A disk that forgets what was not synced when the power goes, under a sequencer in a process of its own.

`python -m tests.fire.platter DISK PLATTER ROLE FOLDER SETTINGS PARENT` is `python -m exchange.server` with
such a disk below its journal. The journal's files are what the system holds in memory; beside them, in
PLATTER, lies what each file had at its last sync, and which names there were at the folder's. `cut_power`
puts that in the place of the journal.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import msgspec

from exchange.server import supervisor as supervising
from exchange.server.child import errors_path, spawn
from exchange.server.disk import Files
from exchange.server.process import SEQUENCER

SECTOR_BYTES = 512
SEGMENT_BYTES = 256 << 10
"""So small that segments are changed under load."""

NAMES = "names.json"
FAILING = "failing"
"""A file that says: the power goes amid the next sync of a batch, which is written and not on the platter."""

DEATH_SECONDS_MAX = 60.0


class Platter(Files):
    """Writes to a file, and to its place on the platter when it is synced."""

    lies = False
    """Whether it says that it has synced, and has not."""

    def __init__(self, journal: Path, platter: Path) -> None:
        self._journal = journal
        self._platter = platter
        self._unsynced: dict[int, list[tuple[int, bytes]]] = {}
        shutil.rmtree(platter, ignore_errors=True)
        platter.mkdir()
        for path in journal.iterdir():
            shutil.copyfile(path, self._place(path.stat().st_ino))
        self._keep_names()

    def _place(self, number: int) -> Path:
        return self._platter / str(number)

    def _keep_names(self) -> None:
        names = {path.name: path.stat().st_ino for path in self._journal.iterdir()}
        aside = self._platter / f"{NAMES}.part"
        aside.write_text(json.dumps(names))
        aside.rename(self._platter / NAMES)

    def open(self, path: Path, flags: int) -> int:
        handle = super().open(path, flags)
        number = os.fstat(handle).st_ino
        if flags & os.O_TRUNC or not self._place(number).exists():
            self._place(number).write_bytes(b"")
            self._unsynced[number] = []
        return handle

    def write(self, handle: int, data: bytes, offset: int) -> None:
        super().write(handle, data, offset)
        self._unsynced.setdefault(os.fstat(handle).st_ino, []).append((offset, bytes(data)))

    def sync(self, handle: int) -> None:
        number = os.fstat(handle).st_ino
        writes = self._unsynced.pop(number, [])
        if self.lies and self._is_in_use(number):
            return
        if (self._platter / FAILING).exists() and self._is_in_use(number):
            os.kill(os.getpid(), signal.SIGKILL)
        place = os.open(self._place(number), os.O_WRONLY | os.O_CREAT, 0o600)
        for offset, data in writes:
            os.pwrite(place, data, offset)
        os.close(place)

    def _is_in_use(self, number: int) -> bool:
        """Tell whether a file is a named segment: of those that are being made it does not lie."""
        return number in json.loads((self._platter / NAMES).read_text()).values()

    def sync_all(self, handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            self._keep_names()
        else:
            self.sync(handle)


class Liar(Platter):
    """A disk that says yes to every sync of a batch, and keeps none."""

    lies = True


def cut_power(journal: Path, platter: Path, chance, *, is_torn: bool) -> int:
    """Put what a power cut has left of a journal in its place; return how many bytes are lost.

    Of a torn one some of the sectors that were not synced are there, and perhaps names that were not.
    """
    live = {path.name: path.stat().st_ino for path in journal.iterdir()}
    memory = {path.stat().st_ino: path.read_bytes() for path in journal.iterdir()}
    names = json.loads((platter / NAMES).read_text())
    if is_torn and chance.random() < 0.5:
        names = live
    left, lost = {}, 0
    for name, number in names.items():
        kept = bytearray((platter / str(number)).read_bytes())
        held = memory.get(number, bytes(kept))
        kept.extend(bytes(max(0, len(held) - len(kept))) if is_torn else b"")
        for at in range(0, len(held), SECTOR_BYTES):
            sector = held[at : at + SECTOR_BYTES]
            if kept[at : at + SECTOR_BYTES] != sector:
                if is_torn and chance.random() < 0.5:
                    kept[at : at + SECTOR_BYTES] = sector
                else:
                    lost += len(sector)
        left[name] = bytes(kept)
    for path in journal.iterdir():
        path.unlink()
    for name, content in left.items():
        (journal / name).write_bytes(content)
    return lost


@contextmanager
def power(platter: Path, disk: type[Platter] = Platter):
    """Let the sequencer of a world write to such a disk; it makes its own segments, for all to be seen."""

    def begin(folder, role, settings):
        if role != SEQUENCER:
            return spawn(folder, role, settings)
        given = msgspec.json.encode(settings).decode()
        module = [sys.executable, "-m", "tests.fire.platter", disk.__name__, str(platter)]
        with errors_path(folder, role).open("a") as errors:
            return subprocess.Popen(
                [*module, role, str(folder.root), given, str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                process_group=0,
            )

    with (
        mock.patch.object(supervising, "spawn", begin),
        mock.patch.object(supervising, "prepare_spare", return_value=False),
    ):
        yield


def lose_power(world, platter: Path, chance, *, is_torn: bool, amid_sync: bool = False) -> int:
    """Cut the power of a world under load, and start it again from what is on the platter.

    At any moment, which is hardly ever between a write and its sync; or at just that moment. Return how many
    bytes were written and are gone.
    """
    if amid_sync:
        (platter / FAILING).touch()
        world.supervisor.processes[SEQUENCER].wait(DEATH_SECONDS_MAX)
        world.counts["power cuts amid a sync"] += 1
    world.supervisor.kill()
    world.supervisor.stop()
    gone = cut_power(world.folder.journal, platter, chance, is_torn=is_torn)
    world.counts["power cuts"] += 1
    world.counts["unsynced bytes gone with the power"] += gone
    assert world.supervisor.start()
    return gone


def main() -> None:
    """Run the sequencer on a platter."""
    from exchange.server import __main__ as process
    from exchange.server import run_sequencer
    from exchange.server.replay import recover

    disk, platter, role, root, given, parent = sys.argv[1:]
    files = {"Platter": Platter, "Liar": Liar}[disk](Path(root) / "journal", Path(platter))
    on_platter = functools.partial(recover, files=files, segment_bytes=SEGMENT_BYTES)
    mock.patch.object(run_sequencer, "recover", on_platter).start()  # for as long as the process lives
    sys.argv[1:] = [role, root, given, parent]
    process.main()


if __name__ == "__main__":
    main()
