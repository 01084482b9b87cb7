"""One venue's processes under one parent: begun in order, begun again when they die, ended together."""

from __future__ import annotations

import logging
import resource
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import msgspec

from exchange.config import Settings
from exchange.profiles import Endpoints as PublicEndpoints
from exchange.server import health
from exchange.server.child import Child, errors_path, spawn
from exchange.server.folder import Folder, FolderServed, write_aside
from exchange.server.health import ProcessState, VenueState
from exchange.server.journal import prepare_spare
from exchange.server.logs import Log
from exchange.server.metrics import MetricsServer
from exchange.server.process import FEED, FOLLOWERS, SEQUENCER, SETTLEMENT, Pace
from exchange.server.taking import Taking
from exchange.settings_file import differing

__all__ = ["FEED", "FOLLOWERS", "SEQUENCER", "SETTLEMENT", "Supervisor", "VenueFailed", "raise_handles"]

READY_SECONDS_MAX = 900
"""A process that is not ready by then has failed. A first compilation takes two minutes; a replay of hundreds
of millions of commands, where no snapshot can be used, takes many."""

RESTARTS_MAX = 5
"""A process that dies this often within `RESTART_WINDOW_SECONDS` stays down, and the venue ends."""

RESTART_WINDOW_SECONDS = 60.0

STOP_SECONDS_MAX = 10
"""How long the sequencer may take to answer what it took in, and to say farewell."""

FOLD_SECONDS_MAX = 60
"""How long followers may take to fold what the sequencer left them."""

SPARE_SECONDS = 5.0
"""How long after a spare segment could not be made it is tried again."""

_log = logging.getLogger("bourse.supervisor")


class VenueFailed(Exception):
    """A process of the venue cannot be kept running; its log says why."""


class Supervisor:
    """Begins the sequencer, then its followers; all of them end with it."""

    restarts_max = RESTARTS_MAX

    def __init__(self, folder: Folder, settings: Settings, told: Callable[[str], None]) -> None:
        self.folder = folder
        self.settings = settings
        self.endpoints = settings.listen
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.children: dict[str, Child] = {}
        self._told = told
        self._deaths: list[float] = []
        self._spare_fault = ""
        self._spare_pace = Pace(SPARE_SECONDS)
        self._taking = Taking(folder, told)
        self._disk_is_short = False
        self._disk_pace = Pace()
        self._looked = time.monotonic()
        self._asked_to_stop = threading.Event()
        self._lock: int | None = None
        self._file: Log | None = None
        self._metrics: MetricsServer | None = None

    # --- beginning -------------------------------------------------------------------------------

    def start(self) -> bool:
        """Begin every process and wait until each is ready; False if it was asked to stop meanwhile.

        Raises `VenueFailed`, also if somebody else runs the venue of this folder.
        """
        try:
            self._lock = self.folder.lock()
        except FolderServed as served:
            raise VenueFailed(str(served)) from served
        self._asked_to_stop.clear()
        self.children.clear()
        self.folder.complete()
        self._file = Log(self.folder.logs / "supervisor.log", "supervisor", self.settings.logs)
        raise_handles()
        self._looked = time.monotonic()
        changed = differing(self.settings)
        _log.info("start", extra={"version": version("tokenbourse"), "settings": changed})
        self._serve_metrics()
        for roles in ((SEQUENCER,), FOLLOWERS):
            for role in roles:
                self._spawn(role)
            for role in roles:
                if not self._await_ready(self.children[role]):
                    return False
        self._publish_endpoints()
        _log.info("ready", extra={"endpoints": msgspec.to_builtins(self.endpoints)})
        return True

    def _serve_metrics(self) -> None:
        """Open the door for Prometheus, if there is to be one."""
        if self.endpoints.metrics and self._metrics is None:
            try:
                self._metrics = MetricsServer(self.endpoints.metrics, self.state)
            except OSError as error:
                told = f"metrics cannot be served at {self.endpoints.metrics}: {error}; choose another port"
                raise VenueFailed(told) from error
            self.endpoints = msgspec.structs.replace(self.endpoints, metrics=self._metrics.endpoint)

    def _spawn(self, role: str) -> None:
        """Start one process; what it says of its work goes to its log."""
        before = self.children.get(role)
        settings = msgspec.structs.replace(self.settings, listen=self.endpoints)
        self.processes[role] = process = spawn(self.folder, role, settings)
        restarts = before.restarts + 1 if before is not None and before.has_ended() else 0
        self.children[role] = Child(role, process, restarts, time.monotonic())

    def _await_ready(self, child: Child) -> bool:
        """Wait until a process is ready; False if the venue was asked to stop meanwhile."""
        until = child.began + READY_SECONDS_MAX
        while not child.has_begun.wait(0.1):
            self._looked = now = time.monotonic()
            if self._asked_to_stop.is_set():
                return False
            if now >= until:
                child.process.kill()
        if child.ready is None:
            child.process.kill()
            child.close()
            message = f"{child.role} did not become ready{_because(child)}; see {self._logs(child.role)}"
            raise VenueFailed(message)
        self._note_ready(child)
        return True

    def _note_ready(self, child: Child) -> None:
        """Keep the ports that a process was given: it shall find them again."""
        assert child.ready is not None
        child.is_noted = True
        ends = msgspec.to_builtins(child.ready.endpoints)
        chosen = {name: end for name, end in ends.items() if end and not end.endswith(":0")}
        self.endpoints = msgspec.structs.replace(self.endpoints, **chosen)
        if child.ready.told:
            self._told(child.ready.told)

    def _publish_endpoints(self) -> None:
        """Write where the venue listens into its folder and into its members' profiles."""
        write_aside(self.folder.root / "venue.json", msgspec.json.encode(self.endpoints))
        names = PublicEndpoints.__struct_fields__
        public = PublicEndpoints(**{name: getattr(self.endpoints, name) for name in names})
        self.folder.write_profiles(public, self.endpoints.operators)

    # --- looking after them ----------------------------------------------------------------------

    def look_after(self) -> None:
        """Begin again what has died, and keep a spare segment ready for the journal. It waits for nothing.

        Raises `VenueFailed` when a process dies too often.
        """
        self._looked = now = time.monotonic()
        self._prepare_spare(now)
        self._taking.look_after(msgspec.structs.replace(self.settings, listen=self.endpoints))
        if self._disk_pace.is_due(now):
            self._watch_disk()
        for role, child in list(self.children.items()):
            if child.has_ended():
                self._revive(child, now)
            elif child.ready is None and now - child.began > READY_SECONDS_MAX:
                _log.error("not ready in time", extra={"role": role})
                child.process.kill()
            elif child.ready is not None and not child.is_noted:
                self._note_ready(child)
                _log.info("ready again", extra={"role": role, "sequence": child.ready.sequence})

    def _revive(self, child: Child, now: float) -> None:
        """Begin a process again that has died, unless that happens too often."""
        child.close()
        self._deaths = [then for then in self._deaths if now - then < RESTART_WINDOW_SECONDS]
        self._deaths.append(now)
        code = child.process.returncode
        told = {"role": child.role, "code": code, "deaths": len(self._deaths)}
        if len(self._deaths) > self.restarts_max:
            _log.critical("gave up", extra=told)
            count = len(self._deaths)
            often = f"{child.role} died {count} times in a minute{_because(child)}"
            message = f"{often}; see {self._logs(child.role)}"
            raise VenueFailed(message)
        _log.error("restart", extra={**told, "why": child.why})
        self._told(f"{child.role} ended with code {code}{_because(child)}; it is begun again")
        self._spawn(child.role)

    def _prepare_spare(self, now: float) -> None:
        """Make the journal's next segment; without it a rotation is slow, and nothing else.

        A disk that had no room for it is not filled again and again: it is asked a while later.
        """
        if self._spare_fault and not self._spare_pace.is_due(now):
            return
        try:
            prepare_spare(self.folder.journal)
            self._spare_fault = ""
        except OSError as error:
            self._spare_pace.is_due(now)
            if str(error) != self._spare_fault:
                self._spare_fault = str(error)
                _log.error("no spare segment", extra={"why": str(error)})
                self._told(f"no spare segment for the journal: {error}; see to the disk")

    def _watch_disk(self) -> None:
        """Say once that the disk gets full, and once that there is room again."""
        free, size = health.disk_room(self.folder.root)
        is_short = free < self.settings.health.disk_free_bytes
        if is_short != self._disk_is_short:
            self._disk_is_short = is_short
            told = {"free_bytes": free, "disk_bytes": size}
            if is_short:
                _log.error("disk nearly full", extra=told)
                self._told(f"the disk has {free:,} bytes left; make room before the journal needs it")
            else:
                _log.warning("disk has room again", extra=told)

    def state(self) -> VenueState:
        """Return how the venue does now. Any thread may ask."""
        now = time.monotonic()
        begun = dict(self.children)
        roles = (SEQUENCER, *FOLLOWERS)
        states = tuple(
            begun[role].state(now) if role in begun else ProcessState(role=role, state="starting")
            for role in roles
        )
        free, size = health.disk_room(self.folder.root)
        return VenueState(
            version=version("tokenbourse"),
            time=time.time_ns(),
            processes=states,
            supervisor=health.own_state(now - self._looked),
            disk_free_bytes=free,
            disk_bytes=size,
            snapshot=health.newest_snapshot(self.folder.snapshots, time.time()),
            faults=health.faults(states, free, self.settings.health),
        )

    # --- ending ----------------------------------------------------------------------------------

    def ask_to_stop(self) -> None:
        """Have `start` give up waiting. For a signal's handler, which may do no more."""
        self._asked_to_stop.set()

    def kill(self) -> None:
        """End every process at once; what was answered is on the disk. For a signal's handler, likewise."""
        for process in (*self.processes.values(), self._taking.process):
            if process is not None:
                with suppress(ProcessLookupError):
                    process.kill()

    def stop(self) -> None:
        """End the sequencer, then the followers, which fold what it has left; kill what does not end.

        Each by its own id. Stopping twice is no harm.
        """
        if self._lock is None:
            return
        self._taking.stop()
        for roles, seconds in (((SEQUENCER,), STOP_SECONDS_MAX), (FOLLOWERS, FOLD_SECONDS_MAX)):
            ending = [self.children[role] for role in roles if role in self.children]
            for child in ending:
                child.process.terminate()
            until = time.monotonic() + seconds
            for child in ending:
                self._end(child, until)
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None
        if self._file is not None:
            _log.info("stop")
            self._file.close()
            self._file = None
        self.folder.unlock(self._lock)
        self._lock = None

    def _end(self, child: Child, until: float) -> None:
        """Wait for a process to end, and kill it if it takes too long."""
        try:
            child.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            _log.error("killed", extra={"role": child.role})
            self._told(f"{child.role} did not end in time, and was killed")
            child.process.kill()
        child.close()

    def _logs(self, role: str) -> str:
        """Return where to read why a process failed."""
        log: Path = self.folder.logs / f"{role}.log"
        return f"{log} and {errors_path(self.folder, role).name} beside it"


def _because(child: Child) -> str:
    """Return why a process failed, as the rest of a sentence; nothing if it has said nothing."""
    return f": {child.why}" if child.why else ""


def raise_handles() -> None:
    """Let this process and those that it begins open as many files as the system allows.

    Ten thousand connections must not leave the journal without a handle.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # where the system has another idea of the most
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
