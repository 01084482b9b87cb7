"""A follower: it reads the journal's files up to what is synced, and folds them over its own replica."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import zmq

from exchange.config import POLL_MS
from exchange.engine import Outcome
from exchange.server.disk import DISK, Files
from exchange.server.journal import Frame, Mark, Position, read_frames
from exchange.server.process import Stop
from exchange.server.replay import apply_frame, beginning
from exchange.server.snapshots import Begun
from feeds.bars import MINUTE_NS

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


TOGETHER_COMMANDS_MAX = 4_096
"""Most commands of small frames that a follower applies as one. A frame of ten commands costs it a tenth of a
millisecond beside them, and a busy sequencer writes two thousand such a second."""


class Follower:
    """An engine replica, and how far in the journal it stands.

    It begins where `begun` says, else at the journal's beginning. `snapshot` is the sequence of the snapshot
    that it began at, 0 for none; `told` what is to be told of those that could not be used.

    Raises `JournalDamaged` if the journal's beginning is gone and nothing else was given.
    """

    def __init__(self, journal: Path, begun: Begun | None = None, files: Files = DISK) -> None:
        begun = begun or beginning(journal, None, files=files)
        self.engine = begun.engine
        _, _, self.position, self.digest, self.frames = begun.mark
        self.snapshot = begun.mark.sequence
        self.told = " ".join(begun.told)
        self._journal = journal
        self._files = files

    @property
    def mark(self) -> Mark:
        """Where the replica stands."""
        engine = self.engine
        return Mark(engine.sequence, engine.time, self.position, self.digest, self.frames)

    def advance(self, commit: Commit, apart: int = 0) -> Iterator[tuple[Frame, Outcome]]:
        """Apply every synced frame that is new, and yield it with what it brought about.

        Small frames are taken together, as one, but for one that ends at the sequence `apart`. Nothing beyond
        `commit` is read. An outcome is valid until the next one is asked for.
        """
        for frame, frames in self.lots(commit, apart):
            yield frame, self.take(frame, frames)

    def lots(self, commit: Commit, apart: int = 0) -> Iterator[tuple[Frame, int]]:
        """Yield what `advance` would apply, and of how many frames it is made; `take` it before the next."""
        if commit.sequence <= self.engine.sequence:
            return
        for lot in together(self.ahead(commit.position), apart):
            yield joined(lot), len(lot)

    def ahead(self, until: Position | None = None) -> Iterator[Frame]:
        """Yield the frames that come next, as `read_frames` does; none of them is applied."""
        standing = self.digest, self.engine.sequence
        return read_frames(self._journal, self.position, until, *standing, files=self._files)

    def take(self, frame: Frame, frames: int = 1) -> Outcome:
        """Apply the frame that comes next, made of so many, and note how far the replica stands."""
        outcome = apply_frame(self.engine, frame)
        self.position = frame.end
        self.digest = frame.digest
        self.frames += frames
        return outcome


def together(frames: Iterator[Frame], apart: int = 0) -> Iterator[list[Frame]]:
    """Yield frames that can be applied as one, in their order: how commands are cut changes no event.

    A frame with acts or a state hash begins anew, as does the first of a minute: who is told only of a lot's
    time counts trades in the same minute as the store. One that ends at the sequence `apart` ends its lot.
    """
    lot: list[Frame] = []
    count = 0
    for frame in frames:
        if lot and (
            frame.acts
            or frame.state_hash
            or frame.rules_version != lot[0].rules_version
            or frame.time // MINUTE_NS != lot[0].time // MINUTE_NS
            or lot[-1].last == apart
            or count + frame.count > TOGETHER_COMMANDS_MAX
        ):
            yield lot
            lot, count = [], 0
        lot.append(frame)
        count += frame.count
    if lot:
        yield lot


def joined(frames: list[Frame]) -> Frame:
    """Return frames that follow each other as one: what the first says, up to the last."""
    if len(frames) == 1:
        return frames[0]
    return frames[0]._replace(
        count=sum(frame.count for frame in frames),
        time=frames[-1].time,
        commands=b"".join(frame.commands for frame in frames),
        digest=frames[-1].digest,
        end=frames[-1].end,
    )
