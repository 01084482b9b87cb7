"""The few calls on files that durability hangs on: the seam at which tests break a disk."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path


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
