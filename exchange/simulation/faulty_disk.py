"""A disk in memory that forgets what was not synced, and fails or dies at the call that it is told.

What a file holds is kept twice: as programs see it, and as the platter has it, sector by sector. A
sync brings the second up to the first. A sync that fails does as Linux does: the sectors stay as
they are in the page cache, count as written, and are on no platter.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from exchange.server.disk import Files

SECTOR_BYTES = 512

Survives = Callable[[int], bool]
"""Tells which of the unsynced sectors, by number, the platter has after a crash."""


class Crashed(BaseException):
    """The machine is off: nothing runs on, no handler, no clean-up."""


class Flip(NamedTuple):
    """Bits that rot: where, and which."""

    name: str
    offset: int
    mask: int


class File:
    """One file: what programs see, what the platter has, which sectors are still to be written."""

    def __init__(self, content: bytes = b"") -> None:
        self.seen = bytearray(content)
        self.platter = bytearray(content)
        self.unsynced: set[int] = set()

    def write(self, data: bytes, offset: int) -> None:
        """Let programs see what was written; the platter has none of it yet."""
        end = offset + len(data)
        self.seen.extend(bytes(max(0, end - len(self.seen))))
        self.seen[offset:end] = data
        self.unsynced.update(range(offset // SECTOR_BYTES, -(-end // SECTOR_BYTES)))

    def sync(self, survives: Survives = lambda _sector: True) -> None:
        """Put the sectors that survive on the platter; the file is then as long as its last one."""
        del self.platter[len(self.seen) :]
        for sector in filter(survives, sorted(self.unsynced)):
            begin = sector * SECTOR_BYTES
            self.platter.extend(bytes(max(0, begin - len(self.platter))))
            self.platter[begin : begin + SECTOR_BYTES] = self.seen[begin : begin + SECTOR_BYTES]
        self.unsynced.clear()

    def flip(self, offset: int, mask: int) -> None:
        """Let bits rot, on the platter and for whoever reads."""
        for content in (self.seen, self.platter):
            if offset < len(content):
                content[offset] ^= mask


class ModelDisk(Files):
    """One folder of files. `calls` counts those that change something: writes, syncs and names.

    `fail_at` is the number of the call that raises `OSError`; `half` makes a failing write leave
    half of its bytes. `crash_at` is the call before which the machine goes off.
    """

    def __init__(self, content: Mapping[str, bytes] | None = None) -> None:
        self.files = {name: File(data) for name, data in (content or {}).items()}
        self.files_on_platter = dict(self.files)
        self.handles: dict[int, File | None] = {}
        self.locks: dict[int, object] = {}
        self.calls: list[str] = []
        self.fail_at: int | None = None
        self.crash_at: int | None = None
        self.half = False
        self.read_most = 0

    # --- what whoever breaks it asks of it

    def content(self) -> dict[str, bytes]:
        """Return what programs see, by name."""
        return {name: bytes(file.seen) for name, file in self.files.items()}

    def after_crash(self, names_too: bool, survives: Survives) -> ModelDisk:
        """Return the disk that the machine finds when it is on again."""
        named = self.files if names_too else self.files_on_platter
        for file in named.values():
            file.sync(survives)
        return ModelDisk({name: bytes(file.platter) for name, file in named.items()})

    def turn(self, call: str, growth: int = 0) -> None:
        """Count a call that makes a file `growth` bytes longer; fail or crash if its time has come."""
        number = len(self.calls)
        if self.crash_at is not None and number >= self.crash_at:
            raise Crashed
        self.calls.append(call)
        if number == self.fail_at:
            raise OSError(errno.EIO, f"call {number}, {call}, was told to fail")

    # --- the seam

    def folder(self, path: Path) -> int:
        """Open the folder: there is one, whatever it is called."""
        return self._handle(None)

    def open(self, path: Path, flags: int) -> int:
        """Open a file and return its handle."""
        if path.name not in self.files:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
            self.files[path.name] = File()
        file = self.files[path.name]
        if flags & os.O_TRUNC:
            file.seen.clear()
        return self._handle(file)

    def close(self, handle: int) -> None:
        """Close a handle, and with it give up its lock."""
        del self.handles[handle]
        self.locks.pop(handle, None)

    def lock(self, handle: int) -> bool:
        """Lock a file or the folder against all other handles; tell whether it was free."""
        if any(self.handles[handle] is locked for locked in self.locks.values()):
            return False
        self.locks[handle] = self.handles[handle]
        return True

    def names(self, path: Path) -> list[str]:
        """Return the names in the folder."""
        return list(self.files)

    def size(self, path: Path) -> int:
        """Return a file's length in bytes."""
        return len(self.files[path.name].seen)

    def read(self, handle: int, count: int, offset: int) -> bytes:
        """Read a stretch of a file; less where the file ends."""
        self.read_most = max(self.read_most, count)
        return bytes(self._file(handle).seen[offset : offset + count])

    def write(self, handle: int, data: bytes, offset: int) -> None:
        """Write a stretch of a file, all of it or fail."""
        file = self._file(handle)
        try:
            self.turn("write", max(0, offset + len(data) - len(file.seen)))
        except OSError:
            if self.half:
                file.write(data[: len(data) // 2], offset)
            raise
        file.write(data, offset)

    def sync(self, handle: int) -> None:
        """Put a file's bytes on the platter."""
        file = self._file(handle)
        try:
            self.turn("sync")
        except OSError:
            file.sync(lambda _sector: False)
            raise
        file.sync()

    def sync_all(self, handle: int) -> None:
        """Put a file, or the folder's names, on the platter."""
        file = self.handles[handle]
        if file is not None:
            self.sync(handle)
            return
        self.turn("sync folder")
        self.files_on_platter = dict(self.files)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name, in the place of whatever had it."""
        self.turn("rename")
        self.files[new.name] = self.files.pop(old.name)

    def unlink(self, path: Path) -> None:
        """Take a name away."""
        self.turn("unlink")
        del self.files[path.name]

    def _handle(self, file: File | None) -> int:
        handle = max(self.handles, default=0) + 1
        self.handles[handle] = file
        return handle

    def _file(self, handle: int) -> File:
        file = self.handles[handle]
        assert file is not None, "a folder is not read or written"
        return file


class FaultyDisk(ModelDisk):
    """A disk whose faults come and go while it is used.

    `is_full`: nothing grows. `fails`: which call fails next, `write` or `sync`, blank for none. `dies_in`: so
    many calls are done before whoever calls dies; None: nobody does. `slow_ns`: how long a call takes.
    """

    def __init__(self, slept: Callable[[int], object]) -> None:
        super().__init__()
        self.is_full = False
        self.fails = ""
        self.dies_in: int | None = None
        self.slow_ns = 0
        self.let_go: dict[str, File] = {}
        """Segments of the journal that were taken away: a backup has them."""
        self.flips: list[Flip] = []
        self._slept = slept

    def turn(self, call: str, growth: int = 0) -> None:
        """Let a call take its time, and fail or die if it is to."""
        if self.slow_ns:
            self._slept(self.slow_ns)
        if self.dies_in is not None:
            if self.dies_in <= 0:
                self.dies_in = None
                raise Crashed
            self.dies_in -= 1
        if self.is_full and growth:
            raise OSError(errno.ENOSPC, "no space left on device")
        if self.fails == call:
            self.fails = ""
            raise OSError(errno.EIO, f"input/output error in a {call}")

    def unlink(self, path: Path) -> None:
        """Take a name away; of a segment, a backup keeps what it was."""
        file = self.files.get(path.name)
        super().unlink(path)
        if file is not None and path.name.endswith(".journal"):
            self.let_go[path.name] = file

    def flip(self, name: str, offset: int, mask: int) -> None:
        """Let bits of a file rot."""
        self.files[name].flip(offset, mask)
        self.flips.append(Flip(name, offset, mask))

    def unflip(self) -> None:
        """Put all bits back that have rotted, as from a backup; those of files that were let go, too."""
        for flip in self.flips:
            file = self.files.get(flip.name) or self.let_go.get(flip.name)
            if file is not None:
                file.flip(flip.offset, flip.mask)
        self.flips.clear()

    def drop_handles(self, handles: set[int]) -> None:
        """Close what a process had open when it died."""
        for handle in handles & self.handles.keys():
            self.close(handle)

    def lose_power(self, *, names_too: bool, survives: Survives) -> None:
        """Forget what was not synced, but for the sectors that survive, and perhaps the names."""
        left = self.after_crash(names_too, survives)
        self.files, self.files_on_platter = left.files, left.files_on_platter
        self.handles.clear()
        self.locks.clear()
