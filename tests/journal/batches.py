"""Batches to journal, known by their sequence, and what a journal says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from exchange.protocol.records import COMMAND_STRUCT, Command
from exchange.server.frames import frame_size
from exchange.server.journal import DISK, Files, Frame, Journal, read_frames

FOLDER = Path("journal")
"""Where the model disk's journal lies; nothing of that name is made."""


class Batch(NamedTuple):
    """One batch, as it goes in and comes out."""

    first: int
    count: int  # type: ignore[assignment]  # as in a frame
    commands: bytes
    acts: bytes
    time: int
    state_hash: int

    @property
    def last(self) -> int:
        return self.first + self.count - 1

    @property
    def size(self) -> int:
        return frame_size(self.count, len(self.acts))


def batches(counts: Iterable[int], first: int = 1) -> list[Batch]:
    """Return batches of so many commands each. Every third has acts, every fourth a state hash."""
    return list(_batches(counts, first))


def _batches(counts: Iterable[int], first: int) -> Iterator[Batch]:
    for number, count in enumerate(counts):
        commands = b"".join(
            COMMAND_STRUCT.pack(*Command(kind=1, order=sequence, price=sequence * 7919))
            for sequence in range(first, first + count)
        )
        acts = b"" if number % 3 else b"an act at %d" % first
        state_hash = 0 if number % 4 else 2**64 - first
        yield Batch(first, count, commands, acts, 10**18 + first, state_hash)
        first += count


def append(journal: Journal, batch: Batch) -> None:
    journal.append(batch.time, batch.commands, batch.acts, batch.count, batch.state_hash)


def write(files: Files, todo: Iterable[Batch], segment_bytes: int, folder: Path = FOLDER) -> None:
    """Open a journal, append batches, close it."""
    journal = Journal.open(folder, segment_bytes=segment_bytes, files=files)
    for batch in todo:
        append(journal, batch)
    journal.close()


def batch_of(frame: Frame) -> Batch:
    commands = bytes(frame.commands)
    return Batch(frame.first, frame.count, commands, frame.acts, frame.time, frame.state_hash)


def read(files: Files = DISK, folder: Path = FOLDER) -> list[Batch]:
    """Return all that a journal holds."""
    return [batch_of(frame) for frame in read_frames(folder, files=files)]
