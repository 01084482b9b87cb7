"""What of the journal may go: whole segments that nobody will ever begin at again."""

from __future__ import annotations

from pathlib import Path

from exchange.server.disk import DISK, Files
from exchange.server.reading import Mark, segment_name, segment_numbers


def let_go(
    folder: Path, oldest: Mark, passed_by_all: int, keep_segments: int, files: Files = DISK
) -> list[int]:
    """Take away segments behind the oldest snapshot, and return their numbers.

    `oldest` is that snapshot's mark, `passed_by_all` the sequence that every follower has come to. A
    follower begins at a snapshot that it has passed: while one has not passed the oldest, nothing goes. Of
    the segments before it the latest `keep_segments` stay; 0 keeps all. The first goes first, so that
    whatever happens meanwhile leaves no gap.

    Raises `OSError`.
    """
    if not keep_segments or oldest.sequence > passed_by_all:
        return []
    first_kept = oldest.position.segment - keep_segments
    gone = [number for number in segment_numbers(files, folder) if number < first_kept]
    for number in gone:
        files.unlink(folder / segment_name(number))
    if gone:
        handle = files.folder(folder)
        files.sync_all(handle)
        files.close(handle)
    return gone


def begins_late(folder: Path, files: Files = DISK) -> bool:
    """Tell whether the first segments of a journal are no longer there."""
    try:
        numbers = segment_numbers(files, folder)
    except FileNotFoundError:
        return False
    return bool(numbers) and numbers[0] > 1
