"""The frames of the journal, byte by byte: how a batch is written down, read again and doubted.

A segment is a file of fixed size: a header, frames one behind the other, zeros to the end. Frames
begin at multiples of eight bytes and never span segments. Integers are little-endian; digests are
SHA-256.

The header of a segment, 128 bytes, says what the segment carries on from:

     at  bytes  what
      0      8  magic: 8A 54 42 53 45 47 0A FF
      8      4  format: 1
     12      4  number of the segment, from 1
     16      8  size of the segment in bytes, this header included
     24      8  sequence of the last command before this segment, 0 in the first
     32     32  zeros
     64     32  digest of the last frame before this segment, zeros in the first
     96     32  digest of bytes 0 to 95

A frame, 96 + 128 x count + acts bytes, zeros up to a multiple of eight, + 32:

     at  bytes  what
      0      8  magic: 8A 54 42 46 52 4D 0A FF
      8      4  number of the segment that it was written to
     12      4  rules version
     16      8  byte of the segment at which it was written
     24      8  sequence of its first command
     32      4  count of commands, at least 1
     36      4  bytes of acts
     40      8  time in ns, signed
     48      8  state hash before its first command, 0 if none is carried
     56      8  zeros
     64     32  digest of the frame before, zeros in the first frame of all
     96    128  each command
      …      …  the acts, then zeros up to a multiple of eight
      …     32  digest of all bytes of the frame before this one

A frame says where it stands, so that a copy elsewhere is found, and whom it follows, so that none
can be taken out, put in or changed in the middle. A chain cannot tell that its end is missing: for
that the journal is told how far its followers have come.

This module knows no files, only one segment and a function that reads it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from exchange.protocol.records import COMMAND_STRUCT

FORMAT = 1
SEGMENT_MAGIC = b"\x8aTBSEG\n\xff"
FRAME_MAGIC = b"\x8aTBFRM\n\xff"
"""No text holds these bytes, and as numbers they are negative: no command has them by chance."""

DIGEST_BYTES = 32
GENESIS = bytes(DIGEST_BYTES)
"""What the first frame of all follows."""

COMMAND_BYTES = COMMAND_STRUCT.size
SEGMENT_HEADER = struct.Struct("<8sIIQQ32x32s32s")
SEGMENT_HEADER_BYTES = SEGMENT_HEADER.size
FRAME_HEADER = struct.Struct("<8sIIQQIIqQ8x32s")
FRAME_BYTES_LEAST = FRAME_HEADER.size + COMMAND_BYTES + DIGEST_BYTES
FRAME_BYTES_MAX = 1 << 30
"""Linux writes less than 2 GiB at once, and a frame is one write."""

ALIGNMENT = 8
CHUNK_BYTES = 256 << 10
"""What is read or filled at once. Measured: 64 KiB to 1 MiB read alike, 4 MiB a tenth slower."""

ZEROS = bytes(CHUNK_BYTES)
"""A chunk to fill with, and to compare with."""

_REPAIR = "Put the journal back from a standby or a backup; change nothing in it by hand."

assert (SEGMENT_HEADER_BYTES, FRAME_HEADER.size, COMMAND_BYTES) == (128, 96, 128)
assert FRAME_BYTES_LEAST % ALIGNMENT == SEGMENT_HEADER_BYTES % ALIGNMENT == 0

Read = Callable[[int, int], bytes]
"""Reads (count, offset) bytes of a file; fewer where it ends."""


class Position(NamedTuple):
    """Where the next frame begins. Positions compare as the journal grows."""

    segment: int
    offset: int


START = Position(1, SEGMENT_HEADER_BYTES)


class JournalDamaged(Exception):
    """The journal is not what was written. Nothing has been changed in it.

    `sequence` is the first command that cannot be trusted (0 if the reader was not told where it
    is), `byte` where its frame should begin in `segment`.
    """

    def __init__(self, sequence: int, segment: Path, byte: int, what: str, remedy: str = _REPAIR) -> None:
        self.sequence = sequence
        self.segment = segment
        self.byte = byte
        self.what = what
        self.remedy = remedy
        place = f"at sequence {sequence or 'unknown'}, byte {byte} of {segment}"
        super().__init__(f"The journal is damaged {place}: {what}. {remedy}")


class JournalTorn(JournalDamaged):
    """The journal ends in a frame that a crash tore; what comes before it is whole.

    Read while the venue runs, it may also be a frame on its way: read no further than it has
    synced. `count` is the commands that the frame claims, 0 if its header cannot be believed.
    """

    def __init__(self, sequence: int, segment: Path, byte: int, what: str, count: int) -> None:
        super().__init__(sequence, segment, byte, what, "The venue cuts it at its next start.")
        self.count = count

    @property
    def claim(self) -> str:
        """What is lost with it, in words."""
        if not self.count:
            return f"an unknown number of commands from sequence {self.sequence} on"
        end = self.sequence + self.count - 1
        return f"{self.count} commands (sequence {self.sequence} to {end})"


class Segment(NamedTuple):
    """A segment as it is found: its file, how long that is, and how to read it."""

    path: Path
    length: int
    read: Read


class SegmentHeader(NamedTuple):
    """What a segment says of itself; `sequence` and `previous` are the last frame's before it."""

    format: int
    number: int
    size: int
    sequence: int
    previous: bytes


class Frame(NamedTuple):
    """One batch as it stands in the journal. `time` is in ns; `end` is where the next frame begins.

    `state_hash` is the state's before the first command, 0 if none is carried. `commands` looks
    into the chunk that was read: whoever keeps a few frames for long keeps their chunks, and had
    better copy. `digest` is what the next frame carries as `previous`.
    """

    first: int
    count: int  # type: ignore[assignment]  # a tuple has a method of that name, not needed here
    time: int
    rules_version: int
    state_hash: int
    commands: bytes | memoryview
    acts: bytes
    previous: bytes
    digest: bytes
    end: Position

    @property
    def last(self) -> int:
        """Sequence of the last command."""
        return self.first + self.count - 1

    @property
    def size(self) -> int:
        """Bytes of the whole frame, so that `end` minus these is where it begins."""
        return frame_size(self.count, len(self.acts))


class Joint(NamedTuple):
    """Where a frame must begin and what it must follow; None where the reader was not told."""

    segment: int
    offset: int
    first: int | None
    previous: bytes | None

    @property
    def position(self) -> Position:
        """The place alone."""
        return Position(self.segment, self.offset)


# --- writing -------------------------------------------------------------------------------------


def frame_size(count: int, acts_bytes: int) -> int:
    """Return the bytes of a frame that holds so many commands and so many bytes of acts."""
    payload = COMMAND_BYTES * count + acts_bytes
    return FRAME_HEADER.size + payload + -payload % ALIGNMENT + DIGEST_BYTES


def encode_segment_header(number: int, size: int, sequence: int, previous: bytes) -> bytes:
    """Return the header of a segment of `size` bytes that carries on after `sequence`."""
    head = SEGMENT_HEADER.pack(SEGMENT_MAGIC, FORMAT, number, size, sequence, previous, GENESIS)
    return head[:-DIGEST_BYTES] + sha256(head[:-DIGEST_BYTES]).digest()


def encode_frame(
    joint: Joint,
    count: int,
    time: int,
    rules_version: int,
    state_hash: int,
    commands: bytes | bytearray | memoryview,
    acts: bytes,
) -> tuple[bytes, bytes]:
    """Return a frame's bytes and its digest."""
    head = FRAME_HEADER.pack(
        FRAME_MAGIC,
        joint.segment,
        rules_version,
        joint.offset,
        joint.first,
        count,
        len(acts),
        time,
        state_hash,
        joint.previous,
    )
    tail = acts + ZEROS[: -len(acts) % ALIGNMENT]
    digested = sha256(head)
    digested.update(commands)
    digested.update(tail)
    digest = digested.digest()
    return b"".join((head, commands, tail, digest)), digest


# --- reading -------------------------------------------------------------------------------------


def decode_segment_header(data: bytes) -> SegmentHeader | None:
    """Read the header of a segment; None if it is not what was written."""
    magic, form, number, size, sequence, previous, digest = SEGMENT_HEADER.unpack(data)
    if magic != SEGMENT_MAGIC or digest != sha256(data[:-DIGEST_BYTES]).digest():
        return None
    return SegmentHeader(form, number, size, sequence, previous)


def read_segment(
    segment: Segment, joint: Joint, until: Position | None, is_last: Callable[[], bool]
) -> Generator[Frame, None, Joint]:
    """Yield the frames of a segment from `joint` on, each checked; return where they ended.

    `until` is what the writer has synced, where it is known: what is wrong before it is damage.
    `is_last` tells whether no later segment was begun.

    Raises `JournalDamaged`, or `JournalTorn` where the journal ends in a torn frame.
    """
    made = 0
    if segment.length < SEGMENT_HEADER_BYTES:
        joint, what = joint._replace(offset=0), "the segment is shorter than its header"
    else:
        header = _checked_header(segment, joint)
        if joint.offset == SEGMENT_HEADER_BYTES:
            joint = joint._replace(first=header.sequence + 1, previous=header.previous)
        stop, made = segment.length, header.size
        if until is not None and until.segment == joint.segment:
            stop = min(stop, until.offset)
        joint, what = yield from _frames_before(stop, segment, joint)
    while True:  # a venue that runs may have written the frame that was not whole, while it was judged
        wrong = _wrong_end(what, segment, joint, made, until, is_last) if what else None
        before = joint
        if until is None and _is_next_frame(segment, joint):
            joint, what = yield from _frames_before(segment.length, segment, joint)
        if joint == before:
            if wrong is not None:
                raise wrong
            return joint


def _wrong_end(
    what: str, segment: Segment, joint: Joint, made: int, until: Position | None, is_last: Callable[[], bool]
) -> JournalDamaged:
    """Judge what stands where the frames end; void if a running venue has written that frame by now."""
    count, size = _torn_size(segment, made, joint)
    whole = _whole_frame_after(segment, joint.offset)
    if until is not None:
        what += ", and the venue has synced it"
    elif whole is not None:
        what += f", and a whole frame stands at byte {whole}"
    elif size and not _is_zero(segment.read, joint.offset + size, segment.length):
        what += ", and more was written behind it"
    elif not is_last():
        what += ", and a later segment was written"
    else:
        return JournalTorn(joint.first or 0, segment.path, joint.offset, what, count)
    return JournalDamaged(joint.first or 0, segment.path, joint.offset, what)


def _checked_header(segment: Segment, joint: Joint) -> SegmentHeader:
    """Read a segment's header and check that the segment follows what was read so far."""
    header = decode_segment_header(segment.read(SEGMENT_HEADER_BYTES, 0))
    what, remedy = "", _REPAIR
    if header is None:
        what = "the segment's header does not match its digest"
    elif header.format != FORMAT:
        what = f"its format is {header.format}, and this program reads {FORMAT}"
        remedy = "Use the program that wrote it."
    elif header.number != joint.segment:
        what = f"this is segment {header.number} under another's name"
    elif joint.offset == SEGMENT_HEADER_BYTES:
        if joint.first not in {None, header.sequence + 1}:
            what = f"the segment carries on after sequence {header.sequence}"
        elif joint.previous not in {None, header.previous}:
            what = "the segment does not follow the frame before it"
    if header is None or what:
        raise JournalDamaged(joint.first or 0, segment.path, 0, what, remedy)
    return header


def _frames_before(stop: int, segment: Segment, joint: Joint) -> Generator[Frame, None, tuple[Joint, str]]:
    """Yield the frames from `joint` on, each checked, none beyond byte `stop`.

    Returns where the frames ended, and in words what stands there instead of a frame: nothing, if
    there are only zeros. A small frame costs about 2.5 us, a large one its SHA-256.
    """
    read = segment.read
    number, offset, first, previous = joint
    chunk, view, base = b"", memoryview(b""), offset
    what = ""
    while offset + FRAME_BYTES_LEAST <= stop:
        at = offset - base
        if at + FRAME_HEADER.size > len(chunk):
            chunk, base, at = read(min(CHUNK_BYTES, stop - offset), offset), offset, 0
            view = memoryview(chunk)
        head = FRAME_HEADER.unpack_from(chunk, at)
        magic, home, rules_version, place, begins, count, acts_bytes, time, state, before = head
        if magic != FRAME_MAGIC:
            break
        size = frame_size(count, acts_bytes)
        if offset + size > stop:
            what = "the frame is longer than what is there"
            break
        if at + size > len(chunk):
            chunk, base, at = read(min(max(CHUNK_BYTES, size), stop - offset), offset), offset, 0
            view = memoryview(chunk)
        sealed = at + size - DIGEST_BYTES
        digest = chunk[sealed : sealed + DIGEST_BYTES]
        if sha256(view[at:sealed]).digest() != digest:
            what = "the frame does not match its digest"
            break
        found = (home, place, begins, before)
        if found != (number, offset, first, previous):
            what = _misfit(Joint(*found), Joint(number, offset, first, previous))
            if what:
                break
        acts_at = at + FRAME_HEADER.size + COMMAND_BYTES * count
        offset, first, previous = offset + size, begins + count, digest
        yield Frame(
            begins,
            count,
            time,
            rules_version,
            state,
            view[at + FRAME_HEADER.size : acts_at],
            chunk[acts_at : acts_at + acts_bytes],
            before,
            digest,
            Position(number, offset),
        )
    if not what and not _is_zero(read, offset, stop):
        what = "there are bytes that are no frame"
    return Joint(number, offset, first, previous), what


def _misfit(found: Joint, wanted: Joint) -> str:
    if found.position != wanted.position:
        return f"the frame was written for byte {found.offset} of segment {found.segment}"
    if wanted.previous is not None and found.previous != wanted.previous:
        return f"the frame (sequence {found.first}) does not follow the one before it"
    if wanted.first is not None and found.first != wanted.first:
        return f"the frame begins at sequence {found.first}"
    return ""


def _is_zero(read: Read, start: int, stop: int) -> bool:
    for offset in range(start, stop, CHUNK_BYTES):
        chunk = read(min(CHUNK_BYTES, stop - offset), offset)
        if chunk != ZEROS[: len(chunk)]:  # at the speed of memory, unlike any count of bytes
            return False
    return True


def _whole_frame_after(segment: Segment, offset: int) -> int | None:
    """Return the byte of the first whole frame from `offset` on, wherever it was written for.

    A batch is written when the one before it is on the disk: behind a torn frame nothing is whole.
    """
    while offset < segment.length:
        chunk = segment.read(min(CHUNK_BYTES, segment.length - offset), offset)
        at = chunk.find(FRAME_MAGIC)
        while at >= 0:
            if _is_whole_frame(segment, offset + at):
                return offset + at
            at = chunk.find(FRAME_MAGIC, at + 1)
        offset += max(1, len(chunk) - len(FRAME_MAGIC) + 1)
    return None


def _is_whole_frame(segment: Segment, offset: int) -> bool:
    head = segment.read(FRAME_HEADER.size, offset)
    if len(head) < FRAME_HEADER.size:
        return False
    _, _, _, _, _, count, acts_bytes, _, _, _ = FRAME_HEADER.unpack(head)
    size = frame_size(count, acts_bytes)
    if offset + size > segment.length:
        return False
    data = segment.read(size, offset)
    return sha256(data[:-DIGEST_BYTES]).digest() == data[-DIGEST_BYTES:]


def _is_next_frame(segment: Segment, joint: Joint) -> bool:
    """Tell whether a whole frame stands at `joint` by now, and follows what was read."""
    head = segment.read(FRAME_HEADER.size, joint.offset)
    if not head.startswith(FRAME_MAGIC) or not _is_whole_frame(segment, joint.offset):
        return False
    _, home, _, place, begins, _, _, _, _, before = FRAME_HEADER.unpack(head)
    return not _misfit(Joint(home, place, begins, before), joint)


def _torn_size(segment: Segment, made: int, joint: Joint) -> tuple[int, int]:
    """Return the count of commands and the bytes that a torn frame claims; zeros if not believable.

    Its header is believed if it names its place, its sequence and the frame before it, and fits
    into the segment as it was `made`, for a torn file may be shorter.
    """
    head = segment.read(FRAME_HEADER.size, joint.offset)
    if len(head) < FRAME_HEADER.size:
        return 0, 0
    magic, home, _, place, begins, count, acts_bytes, _, _, before = FRAME_HEADER.unpack(head)
    size = frame_size(count, acts_bytes)
    believable = magic == FRAME_MAGIC and joint == (home, place, begins, before)
    return (count, size) if believable and joint.offset + size <= made else (0, 0)
