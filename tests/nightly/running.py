"""One campaign as a child process: begun, heard, ended in any case, and all that it has begun with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.nightly.campaign import NIGHT, Tally

ROOT = Path(__file__).resolve().parents[2]
SECONDS_LATE_MAX = 600.0
"""A campaign compiles, finishes what it has begun, and verifies, and may be so late; then it is ended."""

SECONDS_TO_END = 30.0
"""What a campaign that is told to end has for its own clean-up."""


class Planned(NamedTuple):
    """A campaign of the night, and its part of its lane's time, as a ratio to the other parts."""

    name: str
    share: float = 1.0
    package: str = "tests.nightly"

    @property
    def module(self) -> str:
        return f"{self.package}.{self.name}"


class Running:
    """A campaign that runs: its process is the first of a session of its own."""

    def __init__(self, planned: Planned, seconds: float, seed: int, logs: Path) -> None:
        self.planned = planned
        self.seconds = seconds
        self.command = [
            *(sys.executable, "-m", planned.module),
            *("--seconds", f"{seconds:.3f}", "--seed", str(seed)),
        ]
        self.log = logs / f"{planned.name}.log"
        self.told = logs / f"{planned.name}.json"
        self.began = time.monotonic()
        with self.log.open("wb") as log, self.told.open("wb") as told:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env={**os.environ, NIGHT: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=log,
                start_new_session=True,
            )

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def is_late(self, seconds_late_max: float = SECONDS_LATE_MAX) -> bool:
        """Tell whether it should long have stopped by itself."""
        return time.monotonic() - self.began > self.seconds + seconds_late_max

    def end(self, seconds_to_end: float = SECONDS_TO_END) -> list[str]:
        """End it if it still runs, and whatever it has left; return the names of what it left."""
        if not self.has_ended():
            self.process.terminate()
            try:
                self.process.wait(seconds_to_end)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        left = session_of(self.process.pid)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return list(left.values())

    def last_words(self) -> str:
        """Return the last line that it has logged."""
        lines = self.log.read_text("utf-8", errors="replace").splitlines()
        return lines[-1][:200] if lines else "it logged nothing"

    def tally(self, left: list[str], *, was_late: bool) -> Tally:
        """Return what it told at its end, and as failures all that is wrong with how it ended."""
        repeats = f"to repeat it: {' '.join(['python', *self.command[1:]])}"
        seconds = round(time.monotonic() - self.began, 3)
        try:
            tally = msgspec.json.decode(self.told.read_bytes(), type=Tally)
        except msgspec.MsgspecError:
            code = self.process.returncode
            told = f"ended with code {code} and told no tally: {self.last_words()}; {repeats}"
            tally = Tally(self.planned.name, seconds, {}, [told])
        if self.process.returncode != 0 and not tally.failures:
            tally.failures.append(f"ended with code {self.process.returncode}; {repeats}")
        if was_late:
            tally.failures.append(f"did not stop within {self.seconds:.0f} s; {repeats}")
        if left:
            tally.failures.append(f"left processes behind: {', '.join(left)}; {repeats}")
        return tally


def is_there(planned: Planned) -> bool:
    """Tell whether a campaign's module can be found."""
    try:
        return find_spec(planned.module) is not None
    except ModuleNotFoundError:
        return False


def session_of(leader: int) -> dict[int, str]:
    """Return the processes that live in a session, by their id, with the command of each."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        try:
            if os.getsid(pid) != leader or " Z " in (folder / "stat").read_text().rpartition(")")[2]:
                continue
            found[pid] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
        except OSError:
            continue
    return found
