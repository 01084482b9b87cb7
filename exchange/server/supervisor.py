"""One venue's processes under one parent: begun in order, begun again when they die, ended together."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from exchange.config import Endpoints
from exchange.profiles import Endpoints as PublicEndpoints
from exchange.server.folder import Folder, write_aside
from exchange.server.journal import prepare_spare

SEQUENCER, SETTLEMENT, FEED = "sequencer", "settlement", "feed"
FOLLOWERS = (SETTLEMENT, FEED)
"""They need the sequencer's endpoint, and nothing of each other: they begin side by side."""

READY_SECONDS_MAX = 120
"""A process that is not ready by then has failed: even a first compilation is done in half of it."""

RESTARTS_MAX = 5
"""A process that dies this often within `RESTART_WINDOW_SECONDS` stays down, and the venue ends."""

RESTART_WINDOW_SECONDS = 60.0

STOP_SECONDS_MAX = 10


class VenueFailed(Exception):
    """A process of the venue cannot be kept running; its log says why."""


class Supervisor:
    """Begins the sequencer, then its followers; all of them end with it."""

    restarts_max = RESTARTS_MAX

    def __init__(self, folder: Folder, endpoints: Endpoints, told: Callable[[str], None]) -> None:
        self.folder = folder
        self.endpoints = endpoints
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self._told = told
        self._deaths: list[float] = []
        self._spare_fault = ""

    def start(self) -> None:
        """Begin every process and wait until each is ready. Raises `VenueFailed`."""
        self._begin(SEQUENCER)
        for role in FOLLOWERS:
            self._spawn(role)
        for role in FOLLOWERS:
            self._await_ready(role)
        self._publish_endpoints()

    def look_after(self) -> None:
        """Begin again what has died, and keep a spare segment ready for the journal.

        Raises `VenueFailed` when a process dies too often.
        """
        self._prepare_spare()
        for role, process in list(self.processes.items()):
            if process.poll() is None:
                continue
            _close(process)
            now = time.monotonic()
            self._deaths = [then for then in self._deaths if now - then < RESTART_WINDOW_SECONDS]
            self._deaths.append(now)
            if len(self._deaths) > self.restarts_max:
                message = f"{role} died {len(self._deaths)} times in a minute; see {self._log(role)}"
                raise VenueFailed(message)
            self._told(f"{role} ended with code {process.returncode}; it is begun again")
            self._begin(role)

    def _prepare_spare(self) -> None:
        """Make the journal's next segment; without it a rotation is slow, and nothing else."""
        try:
            prepare_spare(self.folder.journal)
            self._spare_fault = ""
        except OSError as error:
            if str(error) != self._spare_fault:
                self._spare_fault = str(error)
                self._told(f"no spare segment for the journal: {error}; see to the disk")

    def stop(self) -> None:
        """End the followers, then the sequencer, each by its own id; kill what does not end."""
        for role in (*FOLLOWERS, SEQUENCER):
            process = self.processes.get(role)
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _close(process)

    def _log(self, role: str) -> Path:
        return self.folder.logs / f"{role}.log"

    def _begin(self, role: str) -> None:
        """Begin one process, and wait until it is ready."""
        self._spawn(role)
        self._await_ready(role)

    def _spawn(self, role: str) -> None:
        """Start one process; what it says of its work goes to its log."""
        with self._log(role).open("a") as log:
            self.processes[role] = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [
                    sys.executable,
                    "-m",
                    "exchange.server",
                    role,
                    str(self.folder.root),
                    msgspec.json.encode(self.endpoints).decode(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def _await_ready(self, role: str) -> None:
        """Hear that a process is ready, and keep the ports that it was given: it shall find them again."""
        process = self.processes[role]
        told = _first_line(process)
        if not told:
            _close(process)
            message = f"{role} did not become ready; see {self._log(role)}"
            raise VenueFailed(message)
        facts = json.loads(told)
        chosen = {
            name: endpoint for name, endpoint in facts["endpoints"].items() if not endpoint.endswith(":0")
        }
        self.endpoints = msgspec.structs.replace(self.endpoints, **chosen)
        if facts.get("told"):
            self._told(str(facts["told"]))

    def _publish_endpoints(self) -> None:
        """Write where the venue listens into its folder and into its members' profiles."""
        write_aside(self.folder.root / "venue.json", msgspec.json.encode(self.endpoints))
        names = PublicEndpoints.__struct_fields__
        self.folder.write_profiles(PublicEndpoints(**{name: getattr(self.endpoints, name) for name in names}))


def _close(process: subprocess.Popen[str]) -> None:
    """Let go of a process that has ended."""
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _first_line(process: subprocess.Popen[str]) -> str:
    """Return what a process says first, or nothing if it ends or takes too long."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(READY_SECONDS_MAX):
            process.kill()
            return ""
        return process.stdout.readline()
