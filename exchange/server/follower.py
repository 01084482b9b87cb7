"""A follower: it reads the journal's files up to what is synced, and folds them over its own replica."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import zmq

from exchange.config import POLL_MS
from exchange.engine import Engine, Outcome
from exchange.server.journal import START, Frame, Position, read_frames
from exchange.server.process import Stop
from exchange.server.replay import apply_frame

_COMMIT = struct.Struct("<qqq")


class Commit(NamedTuple):
    """How far the journal is synced: the last sequence, and where the next frame will begin."""

    sequence: int
    position: Position


def encode_commit(commit: Commit) -> bytes:
    """Return a commit as the sequencer announces it: three little-endian int64."""
    return _COMMIT.pack(commit.sequence, commit.position.segment, commit.position.offset)


def decode_commit(data: bytes) -> Commit:
    """Read an announced commit."""
    sequence, segment, offset = _COMMIT.unpack(data)
    return Commit(sequence, Position(segment, offset))


def first_commit(commits: zmq.Socket[bytes], stop: Stop) -> Commit:
    """Wait until the sequencer says how far the journal is synced."""
    while not stop.is_set():
        if commits.poll(POLL_MS):
            return decode_commit(commits.recv())
    raise SystemExit(0)


class Follower:
    """An engine replica, and how far in the journal it stands."""

    def __init__(self, journal: Path) -> None:
        self.engine = Engine()
        self.position = START
        self.digest: bytes | None = None
        self.frames = 0
        self._journal = journal

    def advance(self, commit: Commit) -> Iterator[tuple[Frame, Outcome]]:
        """Apply every synced frame that is new, and yield it with what it brought about.

        Nothing beyond `commit` is read. An outcome is valid until the next one is asked for.
        """
        if commit.sequence <= self.engine.sequence:
            return
        for frame in read_frames(
            self._journal, start=self.position, until=commit.position, previous=self.digest
        ):
            yield frame, self.take(frame)

    def take(self, frame: Frame) -> Outcome:
        """Apply the frame that comes next, and note how far the replica stands."""
        outcome = apply_frame(self.engine, frame)
        self.position = frame.end
        self.digest = frame.digest
        self.frames += 1
        return outcome
