"""Recordings of the feed: every message as it came, and when it was heard.

    byte  field      bytes
       0  BOURSEFEED    10
      10  version        2   that of the messages, `feeds.messages.VERSION`; a reader refuses any other
      12  frames             heard 8 (ns since 1970, UTC; never running back), length 4, the message

All of it is little-endian. A recording grows as it is written. What a power cut leaves of the last frame is
left out, and told; damage anywhere else is told with its byte. Only structure is looked at: a flipped price
is found by nobody.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

from feeds.messages import (
    DEFINITIONS,
    DEPTH,
    FAST_VIEW,
    FIXINGS,
    HEARTBEAT,
    INDICATIVE,
    LEVELS_REFRESH,
    MESSAGE_BYTES_MAX,
    ORDERS,
    ORDERS_REFRESH,
    PICTURE_BYTES,
    PROGRAMMES,
    SLOW_VIEW,
    STATUS,
    TOPS,
    TRADES,
    VERSION,
)
from feeds.records import (
    HEADER,
    INDICATIVE_PRICE,
    LEVEL_UPDATE,
    ORDER_UPDATE,
    STATUS_CHANGE,
    TOP,
    TOPIC_NUMBER,
    TRADE_PRINT,
)

MAGIC = b"BOURSEFEED"
"""What a recording begins with."""

FLUSH_NS = 1_000_000_000
"""A writer hands what it has to the system at least so often, as long as something comes."""

_OPENING = struct.Struct("<10sH")
_FRAME = struct.Struct("<qI")

_SIZES = {
    TRADES: (HEADER.size, TRADE_PRINT.size),
    STATUS: (HEADER.size, STATUS_CHANGE.size),
    INDICATIVE: (HEADER.size, INDICATIVE_PRICE.size),
    ORDERS: (HEADER.size, ORDER_UPDATE.size),
    DEPTH: (HEADER.size, LEVEL_UPDATE.size),
    TOPS: (HEADER.size, TOP.size),
    FAST_VIEW: (PICTURE_BYTES, LEVEL_UPDATE.size),
    SLOW_VIEW: (PICTURE_BYTES, LEVEL_UPDATE.size),
    LEVELS_REFRESH: (PICTURE_BYTES, LEVEL_UPDATE.size),
    ORDERS_REFRESH: (PICTURE_BYTES, ORDER_UPDATE.size),
    HEARTBEAT: (HEADER.size, TOPIC_NUMBER.size),
    PROGRAMMES: (HEADER.size, 1),
    FIXINGS: (HEADER.size, 1),
    DEFINITIONS: (HEADER.size, 1),
}
"""Of each kind of message, the bytes in front of its records, and those of a record."""


class RecordingError(ValueError):
    """This file is no recording of this version, or it is damaged; the message says where, and the remedy."""


class DamagedError(RecordingError):
    """A recording holds only up to the byte that the message names."""


class Heard(NamedTuple):
    """One message of a recording: when it was heard, ns since 1970, UTC, and its bytes."""

    at: int
    message: bytes


class RecordingWriter:
    """Writes messages into a file as they come. Closing it closes the file.

    `frames` and `bytes` count what has been written. Raises `OSError` where the disk fails.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.frames = 0
        self.bytes = _OPENING.size
        self._file = file
        self._last = 0
        self._flushed_at = 0
        file.write(_OPENING.pack(MAGIC, VERSION))
        file.flush()

    def write(self, heard: int, message: bytes) -> None:
        """Write one message, heard at that time, ns since 1970, UTC.

        A clock that has been set back stands still here until it is where it was.
        """
        self._last = max(heard, self._last)
        self._file.write(_FRAME.pack(self._last, len(message)) + message)
        self.frames += 1
        self.bytes += _FRAME.size + len(message)
        if self._last - self._flushed_at >= FLUSH_NS:
            self._flushed_at = self._last
            self._file.flush()

    def close(self) -> None:
        """Write what is left, and close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Recording:
    """A recording on disk: goes through its messages, as often as one likes, without keeping them.

    Raises `RecordingError` for a file that is none, or of another version, and while going through it
    `DamagedError`; `OSError` where the file cannot be read. `torn` is how many bytes at the end were left
    out the last time, since they are no whole frame: what a power cut leaves, or a writer still at work.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn = 0
        with path.open("rb") as file:
            _check_opening(path, file.read(_OPENING.size))

    def __iter__(self) -> Iterator[Heard]:
        self.torn = 0
        last = 0
        at = _OPENING.size
        with self.path.open("rb") as file:
            file.seek(at)
            while frame := file.read(_FRAME.size):
                if len(frame) < _FRAME.size:
                    self.torn = len(frame)
                    return
                heard, length = _FRAME.unpack(frame)
                if fault := _fault_of_frame(heard, length, last):
                    raise self._damage(at, at, fault)
                message = file.read(length)
                if fault := _fault_of_message(message, length):
                    raise self._damage(at + _FRAME.size, at, fault)
                if len(message) < length:
                    self.torn = _FRAME.size + len(message)
                    return
                yield Heard(heard, message)
                last = heard
                at += _FRAME.size + length

    def _damage(self, at: int, frame: int, fault: str) -> DamagedError:
        kept = f"the {frame:,} bytes before its frame are whole: `head -c {frame} FILE > ANOTHER`"
        return DamagedError(f"{self.path}: damaged at byte {at:,}: {fault}; {kept}")


def _check_opening(path: Path, opening: bytes) -> None:
    if not opening.startswith(MAGIC):
        message = f"{path}: no recording of the feed; `bourse feed record` makes one"
        raise RecordingError(message)
    if len(opening) < _OPENING.size:
        message = f"{path}: ends within its first {_OPENING.size} bytes; nothing was recorded, record again"
        raise RecordingError(message)
    version = _OPENING.unpack(opening)[1]
    if version != VERSION:
        message = (
            f"{path}: a recording of version {version} of the feed, and this release reads {VERSION}; "
            "use the release that made it, or record again"
        )
        raise RecordingError(message)


def _fault_of_frame(heard: int, length: int, last: int) -> str:
    """Return what is wrong with the head of a frame, or nothing."""
    if heard < last:
        return f"the frame was heard at {heard}, before the one in front of it"
    if not HEADER.size <= length <= MESSAGE_BYTES_MAX:
        return f"the frame is said to have {length:,} bytes, which no message has"
    return ""


def _fault_of_message(message: bytes, length: int) -> str:
    """Return what is wrong with a message of `length` bytes, of which these are the first; or nothing.

    Of fewer bytes than a header nothing can be told.
    """
    if len(message) < HEADER.size:
        return ""
    kind, _, version, *_, count = HEADER.unpack_from(message)
    if kind not in _SIZES:
        return f"a message of kind {kind!r}, which version {VERSION} of the feed does not have"
    if version != VERSION:
        return f"a message of version {version}, in a recording of version {VERSION}"
    front, record = _SIZES[kind]
    if count < 0 or front + count * record != length:
        return f"{length:,} bytes cannot hold a message {kind.decode()} of {count:,} records"
    return ""
