"""One process that the supervisor has begun: what it says, and how it does."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Literal

import msgspec

from exchange.config import Settings
from exchange.server.folder import Folder
from exchange.server.health import ProcessState, usage_of
from exchange.server.process import LINE, Failed, FollowerStats, Ready, SequencerStats

ERRORS_BYTES_MAX = 1 << 20
"""What the interpreter itself has written is set aside beyond this, when its process begins the next time."""

_log = logging.getLogger("bourse.supervisor")


def errors_path(folder: Folder, role: str) -> Path:
    """Return where a process's standard error goes: the last words of an interpreter, mostly nothing."""
    return folder.logs / f"{role}.err"


def spawn(folder: Folder, role: str, settings: Settings) -> subprocess.Popen[str]:
    """Begin a process of the venue. It is in a group of its own: the terminal's Ctrl-C is not for it."""
    errors = errors_path(folder, role)
    if errors.exists() and errors.stat().st_size > ERRORS_BYTES_MAX:
        errors.replace(errors.with_name(errors.name + ".1"))
    given = msgspec.json.encode(settings).decode()
    with errors.open("a") as file:
        return subprocess.Popen(  # noqa: S603  our own interpreter and module
            [sys.executable, "-m", "exchange.server", role, str(folder.root), given, str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=file,
            encoding="utf-8",
            errors="replace",
            process_group=0,
        )


class Child:
    """A running process, and a thread that reads what it says, so that neither waits for the other."""

    def __init__(self, role: str, process: subprocess.Popen[str], restarts: int, now: float) -> None:
        self.role = role
        self.process = process
        self.restarts = restarts
        self.began = self.heard_at = now
        self.ready: Ready | None = None
        self.why = ""
        """Why it failed, in its own words; empty if it has said none."""

        self.is_noted = False
        """Whether the supervisor has taken note that it is ready."""

        self.stats: SequencerStats | FollowerStats | None = None
        self.has_begun = threading.Event()
        """Set when it is ready, and when it has ended without."""

        self._reader = threading.Thread(target=self._listen, name=f"hears {role}", daemon=True)
        self._reader.start()

    def has_ended(self) -> bool:
        """Tell whether the process is gone."""
        return self.process.poll() is not None

    def close(self) -> None:
        """Let go of a process that has ended."""
        self.process.wait()
        self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def state(self, now: float) -> ProcessState:
        """Return how the process does; `now` is the clock of its making."""
        state: Literal["starting", "ready", "ended"] = "ready" if self.ready else "starting"
        return ProcessState(
            role=self.role,
            state="ended" if self.has_ended() else state,
            pid=self.process.pid,
            restarts=self.restarts,
            silent_seconds=max(0.0, now - self.heard_at),
            usage=usage_of(self.process.pid),
            stats=self.stats,
        )

    def _listen(self) -> None:
        """Take in each line until the process ends; what is no line of ours is told, and left."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.heard_at = time.monotonic()
            try:
                told = LINE.decode(line)
            except msgspec.MsgspecError as error:
                said = {"role": self.role, "line": line[:200], "why": str(error)}
                _log.warning("not understood", extra=said)
                continue
            if isinstance(told, Ready):
                self.ready = told
                self.has_begun.set()
            elif isinstance(told, Failed):
                self.why = told.why
            else:
                self.stats = told
        self.has_begun.set()
