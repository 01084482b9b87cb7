"""What every process of the venue does alike: begin, say that it is ready and how it does, end when told."""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import sys
import threading
from contextlib import suppress

import msgspec

from exchange.config import Endpoints

SEQUENCER, SETTLEMENT, FEED = "sequencer", "settlement", "feed"
FOLLOWERS = (SETTLEMENT, FEED)
"""They need the sequencer's endpoint, and nothing of each other: they begin side by side."""

STATS_SECONDS = 1.0
"""How often a process tells its supervisor how it does."""

STATS_BYTES_MAX = select.PIPE_BUF
"""A line of statistics no longer than this is written whole or not at all, and never waits."""

WHY_CHARACTERS_MAX = 800
"""The whole of what a process fails of, with its traceback, stands in its log."""

_log = logging.getLogger("bourse.process")


class Stop:
    """Set by SIGTERM or SIGINT, or when the supervisor that began the process is gone."""

    def __init__(self, parent: int) -> None:
        """`parent` is the supervisor's process id: one that went before this was made is gone, too."""
        self._event = threading.Event()
        self._parent = parent
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._event.set())

    def is_set(self) -> bool:
        """Tell whether the process should end."""
        return self._event.is_set() or os.getppid() != self._parent


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The first line of a process: where it listens, how far it is, and what it has mended."""

    endpoints: Endpoints
    sequence: int = 0
    snapshot: int = 0
    """The sequence of the snapshot that it began from; 0 for none."""

    told: str = ""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The last line of a process that fails: why, in words."""

    why: str


class Pool(msgspec.Struct, frozen=True):
    """One table of the engine: rows in use, and rows for which there is memory before it grows or refuses."""

    used: int
    room: int


class SequencerStats(msgspec.Struct, frozen=True, kw_only=True, tag="sequencer"):
    """How the sequencer does. Counts are since its start; times are in seconds."""

    sequence: int = 0
    """The last command that is on the disk."""

    time: int = 0
    """That command's time, in ns since 1970."""

    commands: int = 0
    """Commands that were taken in, those among them that were refused before they got a sequence."""

    batches: int = 0
    """Frames that were written."""

    refused: dict[str, int] = {}
    """Refusals by reason, in the words of the reject reasons."""

    throttled: int = 0
    """Orders, questions and acts above a member's allowance."""

    sessions: int = 0
    """Sessions that are logged on now."""

    reports_sent: int = 0
    journal_bytes: int = 0
    """Bytes appended to the journal."""

    journal_segment: int = 0
    """The number of the segment that is written now."""

    sync_p50: float = 0.0
    """Median seconds of a frame's write and sync, in the last interval; 0 without any."""

    sync_p99: float = 0.0
    sync_max: float = 0.0
    open_orders: int = 0
    pools: dict[str, Pool] = {}
    """Rows in use and room: `orders`, `levels`, `accounts`, `memos`, `parcels`, `legs`, `stakes`."""

    busy: float = 0.0
    """Share of the last interval in which the loop worked, 0 to 1."""

    security_waiting: int = 0
    """Events of which the security log could not be written yet."""


class FollowerStats(msgspec.Struct, frozen=True, kw_only=True, tag="follower"):
    """How a follower does. Counts are since its start."""

    sequence: int = 0
    """The last command that it has folded, and put where it belongs."""

    lag_commands: int = 0
    """How many commands it knows of and has not folded."""

    lag_seconds: float = 0.0
    """How old the last command is that it has folded, if there are later ones; else 0."""

    flushes: int = 0
    """Commits of the settlement store."""

    queries: int = 0
    """Questions that were answered: SQL, or refreshes of the feed."""

    rows: int = 0
    """Rows written to the settlement store, or messages that the feed has published."""


Stats = SequencerStats | FollowerStats
Line = Ready | Failed | SequencerStats | FollowerStats
"""What a process may write to its standard output."""

LINE = msgspec.json.Decoder(Line)


def lag_seconds(behind: int, folded_ns: int, now_ns: int) -> float:
    """Return how far a follower is behind, in seconds: 0 if it has folded all that it knows of.

    >>> lag_seconds(behind=0, folded_ns=1_000_000_000, now_ns=9_000_000_000)
    0.0
    >>> lag_seconds(behind=3, folded_ns=1_000_000_000, now_ns=1_500_000_000)
    0.5
    """
    return max(0.0, (now_ns - folded_ns) / 1e9) if behind > 0 else 0.0


class Pace:
    """Tells when a second is over; `now` is any clock that only rises, in seconds."""

    def __init__(self, seconds: float = STATS_SECONDS) -> None:
        self._seconds = seconds
        self._next = 0.0

    def is_due(self, now: float) -> bool:
        """Tell whether it is time again, and if so begin the next stretch."""
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True

    def left(self, now: float) -> float:
        """Return how many seconds it is until then, 0 if it is time."""
        return max(0.0, self._next - now)


def report_ready(endpoints: Endpoints, *, sequence: int = 0, snapshot: int = 0, told: str = "") -> None:
    """Tell the supervisor, in one line of JSON, where the process listens; the last thing before its work.

    What stands in memory by now stays: the compiler's leavings are not looked through again amid the work.
    """
    gc.collect()
    gc.freeze()
    line = Ready(endpoints=endpoints, sequence=sequence, snapshot=snapshot, told=told)
    _log.info("ready", extra={"sequence": sequence, "snapshot": snapshot, "told": told})
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()


def report_failed(error: BaseException) -> None:
    """Tell the supervisor, in one line of JSON, why the process ends."""
    words = " ".join(str(error).split()) or type(error).__name__
    line = msgspec.json.encode(Failed(words[:WHY_CHARACTERS_MAX])).decode()
    with suppress(OSError):  # the supervisor is gone
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def report_stats(stats: Stats, handle: int = 1) -> bool:
    """Tell the supervisor, in one line of JSON, how the process does; tell whether it was written.

    A line that nobody has room for is dropped: no process waits for its supervisor.
    """
    line = msgspec.json.encode(stats) + b"\n"
    if len(line) > STATS_BYTES_MAX:
        return False
    try:
        _, writable, _ = select.select((), (handle,), (), 0)
        return bool(writable) and os.write(handle, line) == len(line)
    except OSError:
        return False  # the supervisor is gone, and `Stop` is about to say so
