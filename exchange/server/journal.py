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

The last frame is then written again as it is: a sync that failed may have left it in the page cache
alone, marked as written.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Self

from exchange.server import frames
from exchange.server.frames import START, Frame, JournalDamaged, JournalTorn, Position

__all__ = ["START", "Frame", "JournalDamaged", "JournalTorn", "Position"]
__all__ += ["DISK", "Files", "Journal", "JournalFailed", "JournalLocked"]
__all__ += ["prepare_spare", "read_frames"]

SEGMENT_BYTES = 64 << 20
"""Small enough to be zero-filled in a tenth of a second, large enough for 250,000 lone commands."""

SPARE = "spare"
SPARE_LOCK = "spare.lock"
SPARE_UNFINISHED = "spare.part"
SEGMENT_UNFINISHED = "segment.part"
_SEGMENT_NAME = re.compile(r"\d{6,}\.journal")
_INTERRUPTED = "The journal was interrupted while it wrote a batch. Start the venue again."


class JournalFailed(Exception):
    """The disk failed under the journal, or it is closed: no further batch may be answered."""


class JournalLocked(Exception):
    """Another writer has the journal."""


# --- files ---------------------------------------------------------------------------------------


class Files:
    """The few calls that durability hangs on. A test hands in its own, and breaks each of them."""

    def folder(self, path: Path) -> int:
        """Open a folder, made first if it is not there, and return its handle."""
        if not path.is_dir():
            path.mkdir(parents=True)
            parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(parent)
            os.close(parent)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def open(self, path: Path, flags: int) -> int:
        """Open a file and return its handle."""
        return os.open(path, flags, 0o600)

    def close(self, handle: int) -> None:
        """Close a handle, and with it give up its lock."""
        os.close(handle)

    def lock(self, handle: int) -> bool:
        """Lock a file or folder against all other handles; tell whether it was free."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def names(self, path: Path) -> list[str]:
        """Return the names in a folder."""
        return os.listdir(path)

    def size(self, path: Path) -> int:
        """Return a file's length in bytes."""
        return path.stat().st_size

    def read(self, handle: int, count: int, offset: int) -> bytes:
        """Read a stretch of a file; less where the file ends."""
        return os.pread(handle, count, offset)

    def write(self, handle: int, data: bytes, offset: int) -> None:
        """Write a stretch of a file with one call, all of it or fail."""
        written = os.pwrite(handle, data, offset)
        if written != len(data):
            raise OSError(errno.EIO, f"only {written} of {len(data)} bytes were written")

    def sync(self, handle: int) -> None:
        """Put a file's bytes on the disk."""
        os.fdatasync(handle)

    def sync_all(self, handle: int) -> None:
        """Put a file with its length and times, or a folder's names, on the disk."""
        os.fsync(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name, in the place of whatever had it."""
        os.rename(old, new)

    def unlink(self, path: Path) -> None:
        """Take a name away."""
        os.unlink(path)


DISK = Files()


# --- writing -------------------------------------------------------------------------------------


class Journal:
    """The writer: one frame a batch, one write and one sync a frame, one writer a folder.

    `sequence` is the last synced command's, 0 in an empty journal, and `time` is its frame's.
    `position` and `digest` are where the next frame begins and what it follows: with `sequence`, a
    follower's watermark. `frames` counts all frames, `bytes_written` the bytes of those appended
    since opening. `cut` is how many commands a torn frame took with it at opening, as far as its
    header tells; `told` says in words what was mended, and is empty if nothing was.
    """

    def __init__(
        self, folder: Path, handle: int, segment_bytes: int, files: Files, rules_version: int
    ) -> None:
        self.sequence = self.time = self.frames = 0
        self.position, self.digest = START, frames.GENESIS
        self.cut = self.bytes_written = 0
        self.told = ""
        self._folder = folder
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
    ) -> Self:
        """Open the journal of a folder: check every frame, cut a torn one, be ready to append.

        `passed` is the highest sequence that any follower or snapshot has seen. Segments made from
        now on, the first of all here, take `segment_bytes`; those that are there keep their size.

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
            journal._recover(passed)
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
                f"The journal in {self._folder} failed after sequence {self.sequence}: {error}. "
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

    def close(self) -> None:
        """Close the files and let another writer in. Closing twice is no harm."""
        handles = (self._handle, self._folder_handle)
        self._handle = self._folder_handle = None
        self._unusable = self._unusable or f"The journal in {self._folder} is closed."
        for handle in handles:
            if handle is not None:
                self._files.close(handle)

    def _next_segment(self, number: int, frame_bytes: int) -> None:
        """Make segment `number`, with room for a frame of `frame_bytes`, and go on in it.

        It gets its name when its zeros and its header are on the disk, so a named segment is whole.
        """
        files, folder = self._files, self._folder
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
        files.rename(unnamed, folder / _segment_name(number))
        assert self._folder_handle is not None
        files.sync_all(self._folder_handle)
        self.position = Position(number, frames.SEGMENT_HEADER_BYTES)

    def _recover(self, passed: int) -> None:
        last: Frame | None = None
        torn: JournalTorn | None = None
        try:
            for frame in read_frames(self._folder, files=self._files):
                last = frame
                self.frames += 1
        except JournalTorn as error:
            torn = error
        if last is not None:
            self.sequence, self.time = last.last, last.time
            self.position, self.digest = last.end, last.digest
        if self.sequence < passed:
            segment = self._folder / _segment_name(self.position.segment)
            what = f"it ends at sequence {self.sequence}, and {passed} has been passed"
            raise JournalDamaged(self.sequence + 1, segment, self.position.offset, what) from torn
        if torn is not None:
            self.cut = torn.count
            self.told = f"Cut {torn.claim} from the end of {torn.segment.name}, torn by a crash."
        self._clean(torn)
        numbers = _segment_numbers(self._files, self._folder)
        if numbers:
            self._go_on(numbers[-1], last)
        else:
            self._next_segment(1, 0)

    def _clean(self, torn: JournalTorn | None) -> None:
        """Take away what a crash left unfinished, and segments that never began."""
        files, folder = self._files, self._folder
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
            for number in _segment_numbers(files, folder):
                if number > kept:
                    files.unlink(folder / _segment_name(number))

    def _go_on(self, number: int, last: Frame | None) -> None:
        """Make the last segment what a crash kept it from being: whole, and on the disk."""
        files, path = self._files, self._folder / _segment_name(number)
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
        _fill(files, handle, segment_bytes)
        files.rename(folder / SPARE_UNFINISHED, folder / SPARE)
        files.sync_all(folder_handle)
        return True
    finally:
        for handle in handles:
            files.close(handle)


def _is_spare(files: Files, folder: Path, size: int) -> bool:
    return SPARE in files.names(folder) and files.size(folder / SPARE) == size


def _fill(files: Files, handle: int, size: int) -> None:
    """Fill a file with zeros, synced chunk by chunk, lest a batch's sync queue behind them all.

    While a spare of 64 MiB was filled, the slowest append took 12 to 17 ms, with one sync at the
    end up to 140; one in a hundred took over 0.4 ms, with chunks of 1 MiB over 2 to 5.
    """
    for offset in range(0, size, frames.CHUNK_BYTES):
        files.write(handle, frames.ZEROS[: size - offset], offset)
        files.sync(handle)
    files.sync_all(handle)


# --- reading -------------------------------------------------------------------------------------


def read_frames(
    folder: Path | str,
    start: Position = START,
    until: Position | None = None,
    previous: bytes | None = None,
    sequence: int | None = None,
    files: Files = DISK,
) -> Iterator[Frame]:
    """Yield the frames of a journal from `start` on, each checked, none beyond `until`.

    `previous` and `sequence` are the digest and the last command before `start`, as in a watermark;
    without them the first frame's own are believed. `until` is what the writer has synced: whatever
    is wrong before it is damage. Without it the reading ends where the frames do.

    Raises `JournalDamaged`; or, behind the last whole frame, `JournalTorn` if the journal ends in a
    torn one.
    """
    folder = Path(folder)
    if start == START:
        previous, sequence = previous or frames.GENESIS, sequence or 0
    joint = frames.Joint(*start, None if sequence is None else sequence + 1, previous)
    while until is None or joint.position < until:
        path = folder / _segment_name(joint.segment)
        try:
            handle = files.open(path, os.O_RDONLY)
        except FileNotFoundError:
            is_end = until is None and (start == START or joint.segment > start.segment)
            if is_end and _is_last(files, folder, joint.segment):
                return
            what = "the segment is missing"
            raise JournalDamaged(joint.first or 0, path, joint.offset, what) from None
        try:
            segment = frames.Segment(path, files.size(path), partial(files.read, handle))
            is_last = partial(_is_last, files, folder, joint.segment)
            joint = yield from frames.read_segment(segment, joint, until, is_last)
        finally:
            files.close(handle)
        if until is not None and joint.segment == until.segment and joint.position < until:
            what = f"the frames end here, and the venue has synced up to byte {until.offset}"
            raise JournalDamaged(joint.first or 0, path, joint.offset, what)
        if until is None or joint.position < until:
            joint = joint._replace(segment=joint.segment + 1, offset=START.offset)


def _is_last(files: Files, folder: Path, number: int) -> bool:
    """Tell whether no later segment was begun; one without a header was not."""
    later = [other for other in _segment_numbers(files, folder) if other > number]
    lengths = [files.size(folder / _segment_name(other)) for other in later]
    return all(length < frames.SEGMENT_HEADER_BYTES for length in lengths)


def _segment_name(number: int) -> str:
    return f"{number:06d}.journal"


def _segment_numbers(files: Files, folder: Path) -> list[int]:
    names = files.names(folder)
    return sorted(int(name.partition(".")[0]) for name in names if _SEGMENT_NAME.fullmatch(name))
