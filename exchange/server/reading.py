"""The journal's files read: frames from any point on, and what lies before a point that is known.

A journal whose first segments were let go begins at the lowest that is left.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from exchange.server import frames
from exchange.server.disk import DISK, Files
from exchange.server.frames import START, Frame, JournalDamaged, Position

CHECKED_AGAIN_BYTES_MAX = 256 << 20
"""A start that begins at a snapshot checks what lies before it too, frame by frame, if it is at most so
much: 0.2 to 0.7 s. Of more it checks the segments' headers, for a start may not take longer as a venue
grows older; `bourse verify` reads all of it."""

SEGMENT_NAME = re.compile(r"\d{6,}\.journal")


class Mark(NamedTuple):
    """A point between two frames, with all that must be known to go on from it.

    `sequence` is the last command before it, `time` (ns) and `digest` are those of that command's frame, the
    next frame begins at `position`, and `frames` lie before.
    """

    sequence: int
    time: int
    position: Position
    digest: bytes
    frames: int


BEGINNING = Mark(0, 0, START, frames.GENESIS, 0)
"""Before the first frame of all."""


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
        path = folder / segment_name(joint.segment)
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


def check_before(folder: Path, mark: Mark, files: Files = DISK) -> Frame | None:
    """Check what lies before a mark, and that the mark is of this journal; return the last frame before it.

    None is returned where no frame stands before it that could be read: at the beginning of a segment.
    Of much more than a start has time for, only the mark's segment is read, and the headers of the others.

    Raises `JournalDamaged`.
    """
    numbers = [number for number in segment_numbers(files, folder) if number <= mark.position.segment]
    first = numbers[0] if numbers else mark.position.segment
    if sum(files.size(folder / segment_name(number)) for number in numbers) > CHECKED_AGAIN_BYTES_MAX:
        _check_headers(folder, numbers, files)
        first = mark.position.segment
    last = None
    for frame in read_frames(folder, Position(first, START.offset), mark.position, files=files):
        last = frame
    if last is not None and (last.last, last.digest) != (mark.sequence, mark.digest):
        path = folder / segment_name(mark.position.segment)
        what = f"sequence {last.last} ends here, and not as the snapshot of sequence {mark.sequence} knows it"
        remedy = (
            "Put journal and snapshots of one venue in place; or take the snapshots away, "
            "to have the journal replayed from its beginning."
        )
        raise JournalDamaged(mark.sequence, path, mark.position.offset, what, remedy)
    return last


def _check_headers(folder: Path, numbers: list[int], files: Files) -> None:
    """Check that segments follow each other without a gap, as far as their headers tell."""
    sequence = 0
    for expected, number in enumerate(numbers, start=numbers[0]):
        path = folder / segment_name(expected)
        header = read_header(path, files) if number == expected else None
        what = ""
        if number != expected:
            what = "the segment is missing"
        elif header is None:
            what = "the segment's header does not match its digest"
        elif header.number != number:
            what = f"this is segment {header.number} under another's name"
        elif header.sequence < sequence:
            what = f"the segment carries on after sequence {header.sequence}"
        if header is None or what:
            raise JournalDamaged(sequence + 1, path, 0, what)
        sequence = header.sequence


def read_header(path: Path, files: Files = DISK) -> frames.SegmentHeader | None:
    """Read the header of a segment; None if it is not what was written."""
    handle = files.open(path, os.O_RDONLY)
    try:
        data = files.read(handle, frames.SEGMENT_HEADER_BYTES, 0)
    finally:
        files.close(handle)
    return frames.decode_segment_header(data) if len(data) == frames.SEGMENT_HEADER_BYTES else None


def _is_last(files: Files, folder: Path, number: int) -> bool:
    """Tell whether no later segment was begun; one without a header was not."""
    later = [other for other in segment_numbers(files, folder) if other > number]
    lengths = [files.size(folder / segment_name(other)) for other in later]
    return all(length < frames.SEGMENT_HEADER_BYTES for length in lengths)


def segment_name(number: int) -> str:
    """Return the name of a segment's file."""
    return f"{number:06d}.journal"


def segment_numbers(files: Files, folder: Path) -> list[int]:
    """Return the numbers of the segments in a folder, lowest first."""
    names = files.names(folder)
    return sorted(int(name.partition(".")[0]) for name in names if SEGMENT_NAME.fullmatch(name))
