"""The end of a venue in good order: the sequencer goes first, and its followers fold what it leaves."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from exchange.server.follower import Commit, Follower
from exchange.server.journal import JournalTorn


def last_commit(journal: Path, follower: Follower) -> Commit:
    """Return how far the journal goes, once nobody writes it any more.

    While somebody does, it is where the follower stands: what is not known to be synced is not read.
    A frame that a crash has torn was never answered, and is none.
    """
    commit = Commit(follower.engine.sequence, follower.position)
    if _is_written(journal):
        return commit
    try:
        for frame in follower.ahead():
            commit = Commit(frame.last, frame.end)
    except JournalTorn:
        return commit
    return commit


def _is_written(journal: Path) -> bool:
    """Tell whether a writer has the journal's lock."""
    handle = os.open(journal, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
