"""When a snapshot is taken: the supervisor's part, which begins a process for it and hears how that ended."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable

from exchange.config import Settings
from exchange.server.child import errors_path, spawn
from exchange.server.folder import Folder
from exchange.server.health import newest_snapshot

SNAPSHOT = "snapshot"
"""The role of the process that takes one."""

Begin = Callable[[Folder, str, Settings], "subprocess.Popen[str]"]

_log = logging.getLogger("bourse.supervisor")


class Taking:
    """Begins a snapshot's process when the journal has grown enough; at most one runs.

    A process that fails is told and never fatal: the venue goes on, its next restart replays more. It is
    tried again when the journal has grown as much once more.
    """

    def __init__(self, folder: Folder, told: Callable[[str], object], begin: Begin = spawn) -> None:
        self.process: subprocess.Popen[str] | None = None
        self._folder = folder
        self._told = told
        self._begin = begin
        self._tried = 0

    def look_after(self, settings: Settings) -> subprocess.Popen[str] | None:
        """Hear of the process that has ended, begin one if it is time; return the one that was begun.

        `settings` say where the venue listens now. It waits for nothing.
        """
        self._hear()
        every = settings.snapshots.every_commands
        come_to = self._folder.passed_by_all()
        if not every or self.process is not None or come_to - self._tried < every:
            return None
        newest = newest_snapshot(self._folder.snapshots, 0.0)
        if newest is not None and come_to - newest.sequence < every:
            return None
        self._tried = come_to
        try:
            self.process = self._begin(self._folder, SNAPSHOT, settings)
        except OSError as error:
            self._tell(f"no snapshot could be begun: {error}")
        return self.process

    def stop(self) -> None:
        """End the process, if one runs: what it has written so far is no snapshot."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._close(self.process)

    def _hear(self) -> None:
        """Take note of a process that has ended, and tell if it failed."""
        process = self.process
        if process is None or process.poll() is None:
            return
        self._close(process)
        if process.returncode:
            errors = errors_path(self._folder, SNAPSHOT)
            self._tell(
                f"no snapshot was taken: its process ended with code {process.returncode}; see {errors}"
            )

    def _close(self, process: subprocess.Popen[str]) -> None:
        self.process = None
        if process.stdout is not None:
            process.stdout.close()

    def _tell(self, what: str) -> None:
        _log.error("snapshot failed", extra={"why": what})
        self._told(what)
