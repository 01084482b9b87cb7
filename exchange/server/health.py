"""How a venue does, as its supervisor sees it: its processes, the disk, the newest snapshot; is it ready."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from exchange.config import HealthSettings
from exchange.server.process import FollowerStats, SequencerStats

LIVE_SECONDS_MAX = 30.0
"""A supervisor that has not looked round for so long hangs: a spare segment on a slow disk takes less."""


class Usage(msgspec.Struct, frozen=True):
    """What a process has taken of the machine: bytes in memory, seconds of CPU."""

    resident_bytes: int = 0
    cpu_seconds: float = 0.0


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the venue."""

    role: str
    state: Literal["starting", "ready", "ended"] = "ended"
    pid: int = 0
    restarts: int = 0
    silent_seconds: float = 0.0
    """Since it last said anything."""

    usage: Usage = Usage()
    stats: SequencerStats | FollowerStats | None = None


class SnapshotState(msgspec.Struct, frozen=True):
    """The newest snapshot: the last command that it holds, and its age."""

    sequence: int
    age_seconds: float


class VenueState(msgspec.Struct, frozen=True, kw_only=True):
    """The whole venue at one moment."""

    version: str
    time: int
    """Of this state, in ns since 1970."""

    processes: tuple[ProcessState, ...]
    supervisor: ProcessState
    disk_free_bytes: int
    disk_bytes: int
    snapshot: SnapshotState | None = None
    faults: tuple[str, ...] = ()
    """Why the venue is not ready; empty if it is."""

    @property
    def is_ready(self) -> bool:
        """Tell whether members are served, and followers keep up."""
        return not self.faults

    @property
    def is_live(self) -> bool:
        """Tell whether the supervisor looks after its processes."""
        return self.supervisor.silent_seconds <= LIVE_SECONDS_MAX

    @property
    def sequencer(self) -> SequencerStats | None:
        """What the sequencer has said of itself, if anything."""
        found = (one.stats for one in self.processes if isinstance(one.stats, SequencerStats))
        return next(found, None)


def faults(
    processes: Sequence[ProcessState], disk_free_bytes: int, settings: HealthSettings
) -> tuple[str, ...]:
    """Return in words why a venue is not ready."""
    found = []
    for one in processes:
        if one.state != "ready":
            found.append(f"{one.role} is {one.state}" if one.state == "starting" else f"{one.role} has ended")
        elif one.silent_seconds > settings.lag_seconds:
            found.append(f"{one.role} has said nothing for {one.silent_seconds:.0f} s")
        elif isinstance(one.stats, FollowerStats) and one.stats.lag_seconds > settings.lag_seconds:
            behind = f"{one.stats.lag_commands:,} commands, {one.stats.lag_seconds:.0f} s"
            found.append(f"{one.role} is behind by {behind}")
    if disk_free_bytes < settings.disk_free_bytes:
        found.append(f"the disk has {disk_free_bytes:,} bytes left, under {settings.disk_free_bytes:,}")
    return tuple(found)


def usage_of(pid: int, proc: Path = Path("/proc")) -> Usage:
    """Return what a process takes; zeros if it is gone, or the system does not tell."""
    try:
        fields = proc.joinpath(str(pid), "stat").read_text("ascii", "replace").rpartition(")")[2].split()
        pages = int(proc.joinpath(str(pid), "statm").read_text("ascii").split()[1])
    except (OSError, IndexError):
        return Usage()
    ticks = int(fields[11]) + int(fields[12])  # user and system: fields 14 and 15 of proc(5)
    return Usage(pages * os.sysconf("SC_PAGE_SIZE"), ticks / os.sysconf("SC_CLK_TCK"))


def own_state(silent_seconds: float) -> ProcessState:
    """Return the state of this very process, the supervisor; it has looked round so many seconds ago."""
    pid = os.getpid()
    return ProcessState(
        role="supervisor", state="ready", pid=pid, silent_seconds=silent_seconds, usage=usage_of(pid)
    )


def disk_room(folder: Path) -> tuple[int, int]:
    """Return the free and all bytes of the disk on which a folder lies; zeros if it does not tell."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return 0, 0
    return usage.free, usage.total


def newest_snapshot(folder: Path, now: float) -> SnapshotState | None:
    """Return the newest snapshot of a folder, which its file's name numbers; `now` in seconds since 1970."""
    newest: SnapshotState | None = None
    try:
        for entry in os.scandir(folder):
            number, _, kind = entry.name.partition(".")
            if not number.isdecimal() or kind != "snapshot":
                continue
            if newest is None or int(number) > newest.sequence:
                newest = SnapshotState(int(number), max(0.0, now - entry.stat().st_mtime))
    except OSError:
        return None
    return newest
