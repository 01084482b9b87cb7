"""Snapshots: the engine's whole state at one point of the journal, so that a restart replays only the rest.

A snapshot is never the truth, only a shorter way to it: the journal leads to the same state, and the state's
hash proves it. One file a snapshot, named by its sequence (`000000000500000.snapshot`). It is written aside,
synced, and then gets its name: a file of that name was whole once, and the journal has its sequence.

Integers are little-endian; digests are SHA-256:

     at  bytes  what
      0      8  magic: 8A 54 42 53 4E 50 0A FF
      8      4  format: 1
     12      4  rules version
     16      8  sequence of the last command in it
     24      8  time of that command in ns, signed
     32      8  frames of the journal up to it
     40      4  segment of the journal in which the next frame begins
     44      4  zeros
     48      8  byte of that segment
     56      8  state hash
     64     32  digest of the last frame in it
     96      8  bytes of the form
    104      8  bytes of the tables
    112     16  zeros
    128      …  the form, then the tables (`exchange.image`)
      …     32  digest of all bytes before

What is damaged is not used, and not taken away: whoever asks is told of it.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from exchange.engine import RULES_VERSION, Engine
from exchange.image import Image, ImageUnfit, engine_of, form_of, image_of, sizes_of
from exchange.server.disk import DISK, Files
from exchange.server.frames import Position
from exchange.server.reading import BEGINNING, Mark

FORMAT = 1
MAGIC = b"\x8aTBSNP\n\xff"
HEADER = struct.Struct("<8sIIQqQI4xQQ32sQQ16x")
DIGEST_BYTES = 32
CHUNK_BYTES = 256 << 10
"""What is written between two syncs, so that no batch's sync queues behind a whole snapshot."""

UNFINISHED = "snapshot.part"
_NAME = re.compile(r"\d{15}\.snapshot")

assert HEADER.size % DIGEST_BYTES == 0


class SnapshotDamaged(Exception):
    """A snapshot is not what was written, or does not lead to the state that it names."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"The snapshot {path} is damaged: {what}. It is not used.")


class SnapshotUnfit(Exception):
    """A snapshot is whole, and this program cannot use it."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"The snapshot {path} cannot be used: {what}.")


class Header(NamedTuple):
    """What a snapshot says of itself: where in the journal it was taken, and of which state."""

    format: int
    rules_version: int
    mark: Mark
    state_hash: int
    form_bytes: int
    tables_bytes: int

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return HEADER.size + self.form_bytes + self.tables_bytes + DIGEST_BYTES


class Begun(NamedTuple):
    """Where a replay begins: an engine, the mark at which it stands, and what is to be told of it."""

    engine: Engine
    mark: Mark
    told: tuple[str, ...] = ()


# --- writing -------------------------------------------------------------------------------------


def save(folder: Path, engine: Engine, mark: Mark, files: Files = DISK) -> Path:
    """Write a snapshot of an engine that stands at `mark`, and return its path.

    The engine must not be changed meanwhile. Raises `OSError`; what is then left is no snapshot.
    """
    assert engine.sequence == mark.sequence, "the mark is where the engine stands"
    image = image_of(engine)
    tables = [memoryview(table) for table in image.tables]
    header = HEADER.pack(
        MAGIC,
        FORMAT,
        RULES_VERSION,
        mark.sequence,
        mark.time,
        mark.frames,
        *mark.position,
        engine.state_hash(),
        mark.digest,
        len(image.form),
        sum(len(table) for table in tables),
    )
    path, aside = folder / snapshot_name(mark.sequence), folder / UNFINISHED
    handles = [files.folder(folder)]
    try:
        handle = files.open(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        handles.append(handle)
        offset = 0
        for chunk in _chunks(_sealed((header, image.form, *tables))):
            files.write(handle, chunk, offset)
            files.sync(handle)
            offset += len(chunk)
        files.sync_all(handle)
        files.rename(aside, path)
        files.sync_all(handles[0])
    finally:
        for handle in handles:
            files.close(handle)
    return path


def _sealed(parts: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Yield parts, and behind them the digest of all."""
    digest = sha256()
    for part in parts:
        digest.update(part)
        yield part
    yield digest.digest()


def _chunks(parts: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Cut what parts are together into pieces of `CHUNK_BYTES`; the last may be shorter."""
    chunk = bytearray()
    for part in parts:
        start = 0
        while start < len(part):
            more = part[start : start + CHUNK_BYTES - len(chunk)]
            chunk += more
            start += len(more)
            if len(chunk) == CHUNK_BYTES:
                yield bytes(chunk)
                chunk.clear()
    if chunk:
        yield bytes(chunk)


# --- reading -------------------------------------------------------------------------------------


def load(path: Path, files: Files = DISK) -> Begun:
    """Return the engine of a snapshot, checked: its bytes against their digest, its state against its hash.

    Raises `SnapshotDamaged`, or `SnapshotUnfit` if another version of the program made it.
    """
    handle = files.open(path, os.O_RDONLY)
    try:
        header = _checked(path, handle, files)
        if header.rules_version != RULES_VERSION:
            what = f"it is of rules version {header.rules_version}, and this program applies {RULES_VERSION}"
            raise SnapshotUnfit(path, what)
        try:
            engine = _engine_of(path, handle, header, files)
        except ImageUnfit as unfit:
            raise SnapshotUnfit(path, str(unfit)) from unfit
    finally:
        files.close(handle)
    if (engine.sequence, engine.time, engine.state_hash()) != (*header.mark[:2], header.state_hash):
        raise SnapshotDamaged(path, "it leads to another state than it names")
    return Begun(engine, header.mark)


def _engine_of(path: Path, handle: int, header: Header, files: Files) -> Engine:
    """Read the state behind a header that was checked."""
    data = files.read(handle, header.form_bytes, HEADER.size)
    sizes = sizes_of(form_of(data))
    if sum(sizes) != header.tables_bytes:
        raise SnapshotDamaged(path, "its tables are not as long as it says")

    def tables() -> Iterator[bytes]:
        offset = HEADER.size + header.form_bytes
        for size in sizes:
            yield _read_all(files, handle, size, offset)
            offset += size

    return engine_of(Image(data, tables()))


def _read_all(files: Files, handle: int, count: int, offset: int) -> bytes:
    """Read a stretch of a file that is there, however long: one call of the system reads less than 2 GiB."""
    pieces = range(offset, offset + count, 1 << 30)
    return b"".join(files.read(handle, min(1 << 30, offset + count - at), at) for at in pieces)


def _checked(path: Path, handle: int, files: Files) -> Header:
    """Read the header of a snapshot, and all bytes against their digest."""
    length = files.size(path)
    data = files.read(handle, HEADER.size, 0)
    if length < HEADER.size + DIGEST_BYTES or data[: len(MAGIC)] != MAGIC:
        raise SnapshotDamaged(path, "it does not begin as a snapshot does")
    header = _header_of(data)
    if header.size != length:
        raise SnapshotDamaged(path, f"it has {length} bytes, and should have {header.size}")
    digest = sha256()
    for offset in range(0, length - DIGEST_BYTES, CHUNK_BYTES):
        digest.update(files.read(handle, min(CHUNK_BYTES, length - DIGEST_BYTES - offset), offset))
    if digest.digest() != files.read(handle, DIGEST_BYTES, length - DIGEST_BYTES):
        raise SnapshotDamaged(path, "it does not match its digest")
    if header.format != FORMAT:
        raise SnapshotUnfit(path, f"its format is {header.format}, and this program reads {FORMAT}")
    if path.name != snapshot_name(header.mark.sequence):
        raise SnapshotDamaged(path, f"it is of sequence {header.mark.sequence}, under another's name")
    return header


def _header_of(data: bytes) -> Header:
    _, form, rules, sequence, time, frames, segment, offset, state_hash, digest, *sizes = HEADER.unpack(data)
    return Header(
        form, rules, Mark(sequence, time, Position(segment, offset), digest, frames), state_hash, *sizes
    )


def newest(folder: Path, not_after: int | None = None, files: Files = DISK) -> Begun:
    """Return the newest snapshot that can be used, none of a sequence above `not_after`.

    Without one the replay begins at the journal's beginning. `told` says which could not be used, and why.
    """
    return _first_usable(folder, reversed(sequences(folder, files)), not_after, files)


def oldest(folder: Path, files: Files = DISK) -> Begun:
    """Return the oldest snapshot that can be used, likewise."""
    return _first_usable(folder, sequences(folder, files), None, files)


def _first_usable(folder: Path, wanted: Iterable[int], not_after: int | None, files: Files) -> Begun:
    told: list[str] = []
    for sequence in wanted:
        if not_after is None or sequence <= not_after:
            try:
                begun = load(folder / snapshot_name(sequence), files)
            except FileNotFoundError:
                continue  # taken away since its name was read
            except (SnapshotDamaged, SnapshotUnfit) as error:
                told.append(str(error))
            else:
                return begun._replace(told=tuple(told))
    return Begun(Engine(), BEGINNING, tuple(told))


def sequences(folder: Path, files: Files = DISK) -> list[int]:
    """Return the sequences of all snapshots by their names, damaged ones too, oldest first."""
    try:
        names = files.names(folder)
    except FileNotFoundError:
        return []
    return sorted(int(name.partition(".")[0]) for name in names if _NAME.fullmatch(name))


def snapshot_name(sequence: int) -> str:
    """Return the name of the snapshot of a sequence."""
    return f"{sequence:015d}.snapshot"


# --- keeping -------------------------------------------------------------------------------------


class Kept(NamedTuple):
    """What was kept, and what not.

    `oldest` is the mark of the oldest snapshot that can be used, None without one, `taken_away` counts those
    that are gone, and `told` says which cannot be used.
    """

    oldest: Mark | None
    taken_away: int
    told: tuple[str, ...]


def prune(folder: Path, keep: int, passed_by_all: int, files: Files = DISK) -> Kept:
    """Take away all snapshots but the newest `keep`, and the newest that every follower has passed.

    A follower whose store stands at `passed_by_all` begins there. What is damaged stays, and is told; what
    another version made goes when it is older than all that are kept.
    """
    told: list[str] = []
    kept: list[Mark] = []
    taken_away = 0
    for sequence in reversed(sequences(folder, files)):
        path = folder / snapshot_name(sequence)
        try:
            mark = _usable(path, files)
        except SnapshotDamaged as damage:
            told.append(str(damage))
            continue
        is_begin = bool(kept) and kept[-1].sequence > passed_by_all >= sequence
        if mark is not None and (len(kept) < max(keep, 1) or is_begin):
            kept.append(mark)
        elif kept:
            files.unlink(path)
            taken_away += 1
        else:
            told.append(f"The snapshot {path} was made by another version of the program.")
    return Kept(kept[-1] if kept else None, taken_away, tuple(told))


def _usable(path: Path, files: Files) -> Mark | None:
    """Return the mark of a snapshot whose bytes are right, None if another version of the program made it."""
    handle = files.open(path, os.O_RDONLY)
    try:
        header = _checked(path, handle, files)
        form_of(files.read(handle, header.form_bytes, HEADER.size))
    except (SnapshotUnfit, ImageUnfit):
        return None
    finally:
        files.close(handle)
    return header.mark if header.rules_version == RULES_VERSION else None
