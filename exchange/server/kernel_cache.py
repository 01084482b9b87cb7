"""Compiled kernels as they come from the disk: each with a digest, looked at before a byte of it runs.

Numba believes what lies in its cache. A file that ends early, or an index that cannot be read, would end
every process that loads it, again at each start; machine code with one byte changed would run. Here such a
file is told, left out, and written anew when its kernel has been compiled.

The digest stands behind what Numba has written, where its reader does not look: whoever reads without this
guard reads the same, and a file that was written without it is taken as it is.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import IndexDataCacheFile

MAGIC = b"bourse-kernel-1\n"
DIGEST_BYTES = 16

_log = logging.getLogger("bourse.kernels")


def sealed(data: bytes) -> bytes:
    """Return a file's content with its digest behind it."""
    return data + MAGIC + _digest(data)


def is_whole(content: bytes) -> bool:
    """Tell whether a file's content has the digest that stands behind it, or none.

    >>> is_whole(sealed(b"code")), is_whole(b"code"), is_whole(sealed(b"code").replace(b"d", b"D"))
    (True, True, False)
    """
    begin = len(content) - DIGEST_BYTES - len(MAGIC)
    if begin < 0 or content[begin:-DIGEST_BYTES] != MAGIC:
        return True
    return _digest(content[:begin]) == content[-DIGEST_BYTES:]


def guard_cache() -> None:
    """Have this process look at each file of the cache before it is used. Twice is no harm."""
    methods: Any = IndexDataCacheFile
    if hasattr(methods, "is_guarded"):
        return
    methods.is_guarded = True
    methods._load_data = _whole_data(methods._load_data)
    methods._load_index = _readable_index(methods._load_index)
    methods._save_data = _save_sealed


def _whole_data(load: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    @functools.wraps(load)
    def checked(self: Any, name: str) -> Any:  # noqa: ANN401  Numba's own
        path = Path(self._data_path(name))
        try:
            if is_whole(path.read_bytes()):
                return load(self, name)
            why = "its digest is wrong"
        except OSError:
            raise
        except Exception as error:  # whatever a pickle that was cut does
            why = f"it cannot be read: {type(error).__name__}"
        _tell(path, why)
        message = f"{path} is damaged"
        raise OSError(message)  # to Numba: there is none, compile

    return checked


def _readable_index(load: Callable[[Any], dict[Any, str]]) -> Callable[[Any], dict[Any, str]]:
    @functools.wraps(load)
    def checked(self: Any) -> dict[Any, str]:  # noqa: ANN401
        path = Path(self._index_path)
        try:
            return load(self)
        except OSError:
            raise
        except Exception as error:
            _tell(path, f"it cannot be read: {type(error).__name__}")
        path.unlink(missing_ok=True)
        return {}

    return checked


def _save_sealed(self: Any, name: str, data: Any) -> None:  # noqa: ANN401
    with self._open_for_write(self._data_path(name)) as file:
        file.write(sealed(self._dump(data)))


def _tell(path: Path, why: str) -> None:
    _log.warning("damaged kernel, compiled anew", extra={"file": str(path), "why": why})


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
