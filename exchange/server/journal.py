"""The journal: the venue's truth, one frame a batch, on the disk before any answer leaves.

A folder holds segments named by number (`000001.journal`, …), really zero-filled and synced before
their first use, because a sync that writes bytes and nothing else is several times as fast as one
that also moves a file's end. `exchange.server.frames` says what stands in them.

What is done at start, by what is found where the whole frames end:

- zeros to the end: the journal goes on there;
- anything else, and nothing whole behind it: a frame torn by a crash. It was never answered, for no
  sync of it came back. If no follower has passed it, it is cut: zeroed, synced and told;
- anything else, and a whole frame, a further segment, or bytes beyond its own end behind it: damage
  in the middle. Refused, with sequence and byte;
- a segment whose header is wrong: damage, for it gets its name only when its header is on the disk.
  Only a last segment that is shorter than a header is nothing yet, and is taken away;
- a journal that ends before what a follower or a snapshot has passed: refused.

A start may begin at a *mark*, the point of a snapshot: from there on every frame is checked as above, and
handed on as it is read, so that nothing is read twice. What lies before is checked by
`exchange.server.reading.check_before`: it is no part of what is recovered, but a venue shall know that
its journal is damaged.

The last frame is then written again as it is: a sync that failed may have left it in the page cache
alone, marked as written.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from exchange.server import frames
from exchange.server.disk import DISK, Files
from exchange.server.frames import START, Frame, JournalDamaged, JournalTorn, Position
from exchange.server.reading import (
    BEGINNING,
    Mark,
    check_before,
    read_frames,
    segment_name,
    segment_numbers,
)

__all__ = ["BEGINNING", "START", "Frame", "JournalDamaged", "JournalTorn", "Mark", "Position"]
__all__ += ["DISK", "Files", "Journal", "JournalFailed", "JournalLocked"]
__all__ += ["prepare_spare", "read_frames"]

SEGMENT_BYTES = 64 << 20
"""Small enough to be zero-filled in a tenth of a second, large enough for 250,000 lone commands."""

SPARE = "spare"
SPARE_LOCK = "spare.lock"
SPARE_UNFINISHED = "spare.part"
SEGMENT_UNFINISHED = "segment.part"
_INTERRUPTED = "The journal was interrupted while it wrote a batch. Start the venue again."


class JournalFailed(Exception):
    """The disk failed under the journal, or it is closed: no further batch may be answered."""


class JournalLocked(Exception):
    """Another writer has the journal."""


# --- writing -------------------------------------------------------------------------------------


class Journal:
    """The writer: one frame a batch, one write and one sync a frame, one writer a folder.

    `sequence` is the last synced command's, 0 in an empty journal, and `time` is its frame's.
    `position` and `digest` are where the next frame begins and what it follows: with `sequence`, a
    follower's watermark. `frames` counts all frames, `bytes_written` the bytes of those appended
    since opening. `cut` is how many commands a torn frame took with it at opening, as far as its
    header tells; `told` says in words what was mended, and is empty if nothing was. `since` is the
    sequence at which opening began to hand on frames: the snapshot's, 0 without one.
    """

    def __init__(
        self, folder: Path, handle: int, segment_bytes: int, files: Files, rules_version: int
    ) -> None:
        self.sequence = self.time = self.frames = 0
        self.position, self.digest = START, frames.GENESIS
        self.cut = self.bytes_written = self.since = 0
        self.told = ""
        self.folder = folder
        self._folder_handle: int | None = handle
        self._files = files
        self._segment_bytes = segment_bytes
        self._rules_version = rules_version
        self._handle: int | None = None
        self._size = 0
        self._unusable = ""

    @classmethod
    def open(
        cls,
        folder: Path | str,
        passed: int = 0,
        segment_bytes: int = SEGMENT_BYTES,
        files: Files = DISK,
        rules_version: int = 1,
        since: Mark = BEGINNING,
        visit: Callable[[Frame], object] = lambda _: None,
    ) -> Self:
        """Open the journal of a folder: check every frame, cut a torn one, be ready to append.

        `passed` is the highest sequence that any follower or snapshot has seen. Segments made from
        now on, the first of all here, take `segment_bytes`; those that are there keep their size.
        `visit` is handed every frame behind `since` as it is read; it may see some, and then the
        journal is refused.

        Raises `JournalLocked`, `JournalDamaged`, or `JournalFailed` for what the disk would not do.
        """
        assert segment_bytes > frames.SEGMENT_HEADER_BYTES
        folder = Path(folder)
        journal = None
        try:
            handle = files.folder(folder)
            journal = cls(folder, handle, segment_bytes, files, rules_version)
            if not files.lock(handle):
                message = f"Another process writes the journal in {folder}."
                raise JournalLocked(f"{message} Stop that venue first, or name another folder.")
            journal._recover(passed, since, visit)
        except BaseException as error:
            if journal is not None:
                journal.close()
            if not isinstance(error, OSError):
                raise
            message = f"The journal in {folder} cannot be opened: {error}."
            raise JournalFailed(f"{message} Mend the disk and start the venue again.") from error
        return journal

    def append(
        self,
        time: int,
        commands: bytes | bytearray | memoryview,
        acts: bytes,
        count: int,
        state_hash: int = 0,
    ) -> Position:
        """Put one batch on the disk; once this returns it may be answered. Returns `position`.

        `commands` are `count` records of 128 bytes, numbered from `sequence` + 1 on. `state_hash`
        is that of the state before them, 0 for none.

        Raises `JournalFailed` if the disk does, and from then on always: nobody knows what such a
        disk holds, and only opening anew finds out.
        """
        assert count > 0
        assert memoryview(commands).nbytes == count * frames.COMMAND_BYTES
        size = frames.frame_size(count, len(acts))
        assert size <= frames.FRAME_BYTES_MAX
        if self._unusable:
            raise JournalFailed(self._unusable)
        self._unusable = _INTERRUPTED
        try:
            if self.position.offset + size > self._size:
                self._next_segment(self.position.segment + 1, size)
            joint = frames.Joint(*self.position, self.sequence + 1, self.digest)
            data, digest = frames.encode_frame(
                joint, count, time, self._rules_version, state_hash, commands, acts
            )
            assert self._handle is not None
            self._files.write(self._handle, data, joint.offset)
            self._files.sync(self._handle)
        except OSError as error:
            self._unusable = (
                f"The journal in {self.folder} failed after sequence {self.sequence}: {error}. "
                "Nothing after that may be answered. Mend the disk and start the venue again."
            )
            raise JournalFailed(self._unusable) from error
        self.sequence += count
        self.time = time
        self.position = Position(joint.segment, joint.offset + size)
        self.digest = digest
        self.frames += 1
        self.bytes_written += size
        self._unusable = ""
        return self.position

    @property
    def mark(self) -> Mark:
        """Where the journal ends."""
        return Mark(self.sequence, self.time, self.position, self.digest, self.frames)

    def close(self) -> None:
        """Close the files and let another writer in. Closing twice is no harm."""
        handles = (self._handle, self._folder_handle)
        self._handle = self._folder_handle = None
        self._unusable = self._unusable or f"The journal in {self.folder} is closed."
        for handle in handles:
            if handle is not None:
                self._files.close(handle)

    def _next_segment(self, number: int, frame_bytes: int) -> None:
        """Make segment `number`, with room for a frame of `frame_bytes`, and go on in it.

        It gets its name when its zeros and its header are on the disk, so a named segment is whole.
        """
        files, folder = self._files, self.folder
        self._size = max(self._segment_bytes, frames.SEGMENT_HEADER_BYTES + frame_bytes)
        full, self._handle = self._handle, None
        if full is not None:
            files.close(full)
        unnamed = folder / SPARE
        if _is_spare(files, folder, self._size):
            self._handle = files.open(unnamed, os.O_RDWR)
        else:
            unnamed = folder / SEGMENT_UNFINISHED
            self._handle = files.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            _fill(files, self._handle, self._size)
        header = frames.encode_segment_header(number, self._size, self.sequence, self.digest)
        files.write(self._handle, header, 0)
        files.sync_all(self._handle)
        files.rename(unnamed, folder / segment_name(number))
        assert self._folder_handle is not None
        files.sync_all(self._folder_handle)
        self.position = Position(number, frames.SEGMENT_HEADER_BYTES)

    def _recover(self, passed: int, since: Mark, visit: Callable[[Frame], object]) -> None:
        last: Frame | None = None
        torn: JournalTorn | None = None
        self.sequence, self.time, self.position, self.digest, self.frames = since
        self.since = since.sequence
        if since != BEGINNING:
            last = check_before(self.folder, since, self._files)
        tail = read_frames(self.folder, since.position, None, since.digest, since.sequence, files=self._files)
        try:
            for frame in tail:
                last = frame
                self.frames += 1
                visit(frame)
        except JournalTorn as error:
            torn = error
        if last is not None:
            self.sequence, self.time = last.last, last.time
            self.position, self.digest = last.end, last.digest
        if self.sequence < passed:
            segment = self.folder / segment_name(self.position.segment)
            what = f"it ends at sequence {self.sequence}, and {passed} has been passed"
            raise JournalDamaged(self.sequence + 1, segment, self.position.offset, what) from torn
        if torn is not None:
            self.cut = torn.count
            self.told = f"Cut {torn.claim} from the end of {torn.segment.name}, torn by a crash."
        self._clean(torn)
        numbers = segment_numbers(self._files, self.folder)
        if numbers:
            self._go_on(numbers[-1], last)
        else:
            self._next_segment(1, 0)

    def _clean(self, torn: JournalTorn | None) -> None:
        """Take away what a crash left unfinished, and segments that never began."""
        files, folder = self._files, self.folder
        names = files.names(folder)
        if SEGMENT_UNFINISHED in names:
            files.unlink(folder / SEGMENT_UNFINISHED)
        if SPARE_UNFINISHED in names:
            handle = files.open(folder / SPARE_LOCK, os.O_RDWR | os.O_CREAT)
            if files.lock(handle):  # otherwise it is being made right now
                files.unlink(folder / SPARE_UNFINISHED)
            files.close(handle)
        if torn is not None:
            kept = int(torn.segment.stem) - (torn.byte == 0)
            for number in segment_numbers(files, folder):
                if number > kept:
                    files.unlink(folder / segment_name(number))

    def _go_on(self, number: int, last: Frame | None) -> None:
        """Make the last segment what a crash kept it from being: whole, and on the disk."""
        files, path = self._files, self.folder / segment_name(number)
        self._handle = handle = files.open(path, os.O_RDWR)
        header = frames.decode_segment_header(files.read(handle, frames.SEGMENT_HEADER_BYTES, 0))
        assert header is not None
        length = files.size(path)
        self._size = header.size
        if length < self._size:
            told = f"{path.name} was shorter than its {self._size} bytes and is filled up again."
            self.told = f"{self.told} {told}".lstrip()
        if last is not None and last.end.segment == number:
            begin = last.end.offset - last.size
            files.write(handle, files.read(handle, last.size, begin), begin)
        else:
            self.position = Position(number, frames.SEGMENT_HEADER_BYTES)
        for offset in range(self.position.offset, max(length, self._size), frames.CHUNK_BYTES):
            zeros = frames.ZEROS[: max(length, self._size) - offset]
            if files.read(handle, len(zeros), offset) != zeros:
                files.write(handle, zeros, offset)
        files.sync_all(handle)
        assert self._folder_handle is not None
        files.sync_all(self._folder_handle)


def prepare_spare(
    folder: Path | str,
    segment_bytes: int = SEGMENT_BYTES,
    files: Files = DISK,
) -> bool:
    """Make the segment that the journal will take next, so that no batch waits for its zeros.

    For another process than the writer's. Tells whether one was made: not if there is one already,
    or if it is being made. Call it again after each rotation; a crash in it leaves no spare.

    Raises `OSError` if the disk does. What room it has left is then free again, for those who need less.
    """
    folder = Path(folder)
    folder_handle = files.folder(folder)
    lock = files.open(folder / SPARE_LOCK, os.O_RDWR | os.O_CREAT)
    handles = [lock, folder_handle]
    try:
        if not files.lock(lock) or _is_spare(files, folder, segment_bytes):
            return False
        handle = files.open(folder / SPARE_UNFINISHED, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        handles.append(handle)
        try:
            _fill(files, handle, segment_bytes)
        except OSError:
            with suppress(OSError):
                files.unlink(folder / SPARE_UNFINISHED)
            raise
        files.rename(folder / SPARE_UNFINISHED, folder / SPARE)
        files.sync_all(folder_handle)
        return True
    finally:
        for handle in handles:
            files.close(handle)


def _is_spare(files: Files, folder: Path, size: int) -> bool:
    try:
        return SPARE in files.names(folder) and files.size(folder / SPARE) == size
    except FileNotFoundError:  # the writer has taken it since the folder was read
        return False


def _fill(files: Files, handle: int, size: int) -> None:
    """Fill a file with zeros, synced chunk by chunk, lest a batch's sync queue behind them all.

    While a spare of 64 MiB was filled, the slowest append took 12 to 17 ms, with one sync at the
    end up to 140; one in a hundred took over 0.4 ms, with chunks of 1 MiB over 2 to 5.
    """
    for offset in range(0, size, frames.CHUNK_BYTES):
        files.write(handle, frames.ZEROS[: size - offset], offset)
        files.sync(handle)
    files.sync_all(handle)
