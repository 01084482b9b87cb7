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

from exchange.server.journal import Files

SECTOR_BYTES = 512

Survives = Callable[[int], bool]
"""Tells which of the unsynced sectors, by number, the platter has after a crash."""


class Crashed(BaseException):
    """The machine is off: nothing runs on, no handler, no clean-up."""


class File:
    """One file: what programs see, what the platter has, which sectors are still to be written."""

    def __init__(self, content: bytes = b"") -> None:
        self.seen = bytearray(content)
        self.platter = bytearray(content)
        self.unsynced: set[int] = set()

    def write(self, data: bytes, offset: int) -> None:
        end = offset + len(data)
        self.seen.extend(bytes(max(0, end - len(self.seen))))
        self.seen[offset:end] = data
        self.unsynced.update(range(offset // SECTOR_BYTES, -(-end // SECTOR_BYTES)))

    def sync(self, survives: Survives = lambda sector: True) -> None:
        """Put the sectors that survive on the platter; the file is then as long as its last one."""
        del self.platter[len(self.seen) :]
        for sector in filter(survives, sorted(self.unsynced)):
            begin = sector * SECTOR_BYTES
            self.platter.extend(bytes(max(0, begin - len(self.platter))))
            self.platter[begin : begin + SECTOR_BYTES] = self.seen[begin : begin + SECTOR_BYTES]
        self.unsynced.clear()


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

    # --- what tests ask of it

    def content(self) -> dict[str, bytes]:
        return {name: bytes(file.seen) for name, file in self.files.items()}

    def after_crash(self, names_too: bool, survives: Survives) -> ModelDisk:
        """Return the disk that the machine finds when it is on again."""
        named = self.files if names_too else self.files_on_platter
        for file in named.values():
            file.sync(survives)
        return ModelDisk({name: bytes(file.platter) for name, file in named.items()})

    def turn(self, call: str) -> None:
        """Count a call, and let it fail or crash if its time has come."""
        number = len(self.calls)
        if self.crash_at is not None and number >= self.crash_at:
            raise Crashed
        self.calls.append(call)
        if number == self.fail_at:
            raise OSError(errno.EIO, f"call {number}, {call}, was told to fail")

    # --- the seam

    def folder(self, path: Path) -> int:
        return self._handle(None)

    def open(self, path: Path, flags: int) -> int:
        if path.name not in self.files:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
            self.files[path.name] = File()
        file = self.files[path.name]
        if flags & os.O_TRUNC:
            file.seen.clear()
        return self._handle(file)

    def close(self, handle: int) -> None:
        del self.handles[handle]
        self.locks.pop(handle, None)

    def lock(self, handle: int) -> bool:
        if any(self.handles[handle] is locked for locked in self.locks.values()):
            return False
        self.locks[handle] = self.handles[handle]
        return True

    def names(self, path: Path) -> list[str]:
        return list(self.files)

    def size(self, path: Path) -> int:
        return len(self.files[path.name].seen)

    def read(self, handle: int, count: int, offset: int) -> bytes:
        self.read_most = max(self.read_most, count)
        return bytes(self._file(handle).seen[offset : offset + count])

    def write(self, handle: int, data: bytes, offset: int) -> None:
        file = self._file(handle)
        try:
            self.turn("write")
        except OSError:
            if self.half:
                file.write(data[: len(data) // 2], offset)
            raise
        file.write(data, offset)

    def sync(self, handle: int) -> None:
        file = self._file(handle)
        try:
            self.turn("sync")
        except OSError:
            file.sync(lambda sector: False)
            raise
        file.sync()

    def sync_all(self, handle: int) -> None:
        file = self.handles[handle]
        if file is not None:
            self.sync(handle)
            return
        self.turn("sync folder")
        self.files_on_platter = dict(self.files)

    def rename(self, old: Path, new: Path) -> None:
        self.turn("rename")
        self.files[new.name] = self.files.pop(old.name)

    def unlink(self, path: Path) -> None:
        self.turn("unlink")
        del self.files[path.name]

    def _handle(self, file: File | None) -> int:
        handle = max(self.handles, default=0) + 1
        self.handles[handle] = file
        return handle

    def _file(self, handle: int) -> File:
        file = self.handles[handle]
        assert file is not None
        return file
