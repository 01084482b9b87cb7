"""Snapshots taken: a process of its own that replays beside a venue, writes one, and tidies up behind it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count
from typing import NamedTuple

import zmq

from exchange.config import Settings
from exchange.engine import Engine
from exchange.server.folder import Folder
from exchange.server.follower import Follower, first_commit
from exchange.server.journal import Mark
from exchange.server.process import Stop
from exchange.server.replay import beginning, recover
from exchange.server.retention import let_go
from exchange.server.snapshots import SnapshotDamaged, load, prune, save
from exchange.server.sockets import commit_subscriber

Progress = Callable[[int], object]
"""Told how many frames were replayed."""

_log = logging.getLogger("bourse.process")


class Taken(NamedTuple):
    """A snapshot, and what went with it: older snapshots, and the numbers of segments of the journal."""

    sequence: int
    state_hash: int
    bytes_written: int
    snapshots_taken_away: int
    segments_let_go: list[int]
    told: list[str]


def run(folder: Folder, settings: Settings, stop: Stop) -> None:
    """Take one snapshot of the venue that runs in `folder`, or of one that is stopped, and end."""
    is_running = settings.listen.commits and not settings.listen.commits.endswith(":0")
    taken = take_beside(folder, settings, stop) if is_running else take_of_stopped(folder, settings)
    if taken is not None:
        for line in taken.told:
            _log.warning("snapshot told", extra={"told": line})
        gone = {"snapshots": taken.snapshots_taken_away, "segments": taken.segments_let_go}
        _log.info(
            "snapshot taken", extra={"sequence": taken.sequence, "bytes": taken.bytes_written, "gone": gone}
        )


def take_beside(folder: Folder, settings: Settings, stop: Stop) -> Taken | None:
    """Replay what the running venue has synced, and take a snapshot there; None if it was told to stop."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        follower = Follower(folder.journal, beginning(folder.journal, folder.snapshots))
        with commit_subscriber(context, settings.listen.commits) as commits:
            commit = first_commit(commits, stop)
    finally:
        context.destroy(linger=0)
    for _ in follower.advance(commit):
        if stop.is_set():
            return None
    return _taken(folder, settings, follower.engine, follower.mark, [follower.told])


def take_of_stopped(folder: Folder, settings: Settings, progress: Progress = lambda _: None) -> Taken:
    """Recover a venue that is stopped, as its next start would, and take a snapshot of its journal's end.

    Raises `JournalLocked` if it runs, and what else `recover` does.
    """
    frames = count(1)
    engine, journal, told = recover(
        folder.journal, folder.snapshots, folder.passed(), lambda _: progress(next(frames))
    )
    try:
        return _taken(folder, settings, engine, journal.mark, [told])
    finally:
        journal.close()


def _taken(folder: Folder, settings: Settings, engine: Engine, mark: Mark, told: list[str]) -> Taken:
    """Save a snapshot, read it back, and let go of what it makes needless.

    Raises `SnapshotDamaged` if what was read back is not what was written: then nothing is let go.
    """
    path = save(folder.snapshots, engine, mark)
    if load(path).engine.state_hash() != engine.state_hash():
        raise SnapshotDamaged(path, "it was read back as another state than was written")
    # A store that was taken away is made anew from the journal: then nothing of that may go.
    passed_by_all = folder.passed_by_all() if folder.settlement.exists() else 0
    kept = prune(folder.snapshots, settings.snapshots.keep, passed_by_all)
    assert kept.oldest is not None, "the one that was just written can be used"
    gone = let_go(folder.journal, kept.oldest, passed_by_all, settings.journal.keep_segments)
    return Taken(
        mark.sequence,
        engine.state_hash(),
        path.stat().st_size,
        kept.taken_away,
        gone,
        [line for line in (*told, *kept.told) if line],
    )
