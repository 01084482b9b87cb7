"""How a kernel is compiled, and where its machine code is kept.

Numba's cache on disk notices a change of the file that a kernel stands in, not of the files that it
calls into: it would silently run the old code. So the cache folder is named after a digest of every
file that holds kernels, and after the interpreter and the Numba that compiled them.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

P = ParamSpec("P")
R = TypeVar("R")

COMPILED = not numba.config.DISABLE_JIT  # type: ignore[attr-defined]
"""False under `NUMBA_DISABLE_JIT=1`: every kernel then runs as plain Python, for coverage and bounds."""

_OPTIONS: dict[str, Any] = {
    "cache": True,
    "error_model": "numpy",
    "_nrt": False,
    "forceinline": True,
    "no_cfunc_wrapper": True,
    "nogil": True,
}

_ROOT = Path(__file__).resolve().parent.parent
_DIGESTS_KEPT = 3


def kernel_sources() -> list[Path]:
    """Return every file that holds kernels, in a fixed order."""
    folders = (_ROOT / "matching", _ROOT / "feeds", _ROOT / "settlement", _ROOT / "exchange")
    return [
        path
        for folder in folders
        for path in sorted(folder.glob("*.py"))
        if "@kernel" in (text := path.read_text("utf-8")) or "@rare" in text
    ]


def _digest() -> str:
    whole = hashlib.sha256(f"{sys.version} {numba.__version__}".encode())
    for path in [*kernel_sources(), _ROOT / "matching" / "vocabulary.py"]:
        whole.update(path.read_bytes())
    return whole.hexdigest()[:16]


def _cache_home() -> Path:
    named = os.environ.get("BOURSE_KERNEL_CACHE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "tokenbourse" / "kernels"


CACHE = _cache_home() / _digest()
"""Where this version's machine code is kept."""


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with Numba. Every kernel of the house wears this, or `rare`.

    Kernels allocate nothing and own nothing, so they are compiled without reference counts
    (`_nrt=False`), and into their callers: on a stream of new orders and cancels, 507 ns a command
    became 70 without the counts, and 39 when inlined as well. They let go of the interpreter
    (`nogil`): whoever replays reads ahead meanwhile.
    """
    return _compiled(function, _OPTIONS)


def rare(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel that is seldom called: apart, so that the common path round it stays short."""
    return _compiled(function, {**_OPTIONS, "forceinline": False})


def _compiled(function: Callable[P, R], options: dict[str, Any]) -> Callable[P, R]:
    if not COMPILED:
        return _plain(function)
    entry = _dispatcher(function, options, CACHE)
    # What only kernels call needs no door from Python, into which all of it would be inlined once more: with
    # the doors for C left out, too, all kernels compile in 180 s of a core, which took 263 beside it.
    # It is made when a caller is compiled: made at once, all of them cost each process 80 ms.

    @functools.cache
    def inner() -> Any:  # noqa: ANN401  Numba's own
        return _dispatcher(function, {**options, "no_cpython_wrapper": True}, CACHE / "inner")

    entry.get_call_template = lambda args, kws: inner().get_call_template(args, kws)
    entry.get_overload = lambda signature: inner().get_overload(signature)
    return cast(Callable[P, R], entry)


def _dispatcher(function: Callable[P, R], options: dict[str, Any], cache: Path) -> Any:  # noqa: ANN401  Numba's own
    """Return Numba's dispatcher of a function, which keeps its machine code in a folder."""
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(cache)  # type: ignore[attr-defined]
    try:
        return numba.njit(**options)(function)
    finally:
        numba.config.CACHE_DIR = before  # type: ignore[attr-defined]


def _plain(function: Callable[P, R]) -> Callable[P, R]:
    """Let `function` run as it is written: rows of plain arrays know no attributes, records do."""

    @functools.wraps(function)
    def run(*arguments: P.args, **named: P.kwargs) -> R:
        assert not named, "kernels take their arguments by place"
        return function(*(_with_records(argument) for argument in arguments))  # type: ignore[call-arg]

    return run


def _with_records(argument: Any) -> Any:  # noqa: ANN401  whatever a kernel takes
    if hasattr(argument, "_fields"):
        return type(argument)(*(_with_records(part) for part in argument))
    if isinstance(argument, np.ndarray) and argument.dtype.names and not isinstance(argument, np.recarray):
        return argument.view(np.recarray)
    return argument


def is_cached(kernel: str = "") -> bool:
    """Tell whether this version's kernels, or one (`batch.run`), have been compiled here before."""
    return CACHE.is_dir() and any(CACHE.rglob(f"{kernel}*.nbi"))


def wipe_cache() -> None:
    """Throw this version's machine code away; the next call compiles it anew."""
    shutil.rmtree(CACHE, ignore_errors=True)


def prune_cache() -> None:
    """Throw away machine code of versions long gone, keeping the newest few."""
    home = CACHE.parent
    if home.is_dir():
        folders = sorted(home.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for folder in folders[_DIGESTS_KEPT:]:
            if folder != CACHE:
                shutil.rmtree(folder, ignore_errors=True)


_LOW_31 = 2**31 - 1
_TO_WRITE, _TO_KEEP, _DATA = 1, 3, 1
"""What LLVM's prefetch is told: the row will be written, it is to stay in every cache, it is no code."""

_MIX_1 = 0xFF51AFD7ED558CCD - 2**64
_MIX_2 = 0xC4CEB9FE1A85EC53 - 2**64

if COMPILED:

    @intrinsic
    def _count_trailing_zeros(typing_context, word):  # type: ignore[no-untyped-def]
        def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.cttz(arguments[0], cgutils.false_bit)

        return types.int64(types.int64), build

    @intrinsic
    def _count_leading_zeros(typing_context, word):  # type: ignore[no-untyped-def]
        def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.ctlz(arguments[0], cgutils.false_bit)

        return types.int64(types.int64), build

    @intrinsic
    def _prefetch(typing_context, rows, at):  # type: ignore[no-untyped-def]
        def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            rows_type = signature.args[0]
            array = context.make_array(rows_type)(context, builder, arguments[0])
            place = [arguments[1]]
            row = cgutils.get_item_pointer(context, builder, rows_type, array, place)  # type: ignore[no-untyped-call]
            address = builder.bitcast(row, ir.IntType(8).as_pointer())
            word = ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [address.type, word, word, word])
            fetch = builder.module.declare_intrinsic("llvm.prefetch", [address.type], kind)
            builder.call(fetch, [address, word(_TO_WRITE), word(_TO_KEEP), word(_DATA)])
            return context.get_dummy_value()

        return types.void(rows, types.intp), build

    @kernel
    def fetch(rows: np.ndarray, at: int) -> None:
        """Ask the processor for a row that will be needed soon; nothing waits for it, nothing changes."""
        _prefetch(rows, at)  # type: ignore[call-arg]

    @kernel
    def lowest_bit(word: int) -> int:
        """Return the index of the lowest set bit of a word that has one. One machine instruction."""
        return _count_trailing_zeros(word)  # type: ignore[call-arg]

    @kernel
    def highest_bit(word: int) -> int:
        """Return the index of the highest set bit of a word that has one."""
        return 63 - _count_leading_zeros(word)  # type: ignore[call-arg]

    @kernel
    def scrambled(word: int) -> int:
        """Return `word` with its bits well mixed (the finaliser of MurmurHash3), modulo 2**64."""
        word = (word ^ ((word >> 33) & _LOW_31)) * _MIX_1
        word = (word ^ ((word >> 33) & _LOW_31)) * _MIX_2
        return word ^ ((word >> 33) & _LOW_31)

else:

    def fetch(rows: np.ndarray, at: int) -> None:
        """Ask the processor for a row that will be needed soon; nothing waits for it, nothing changes."""
        rows[at]

    def lowest_bit(word: int) -> int:
        """Return the index of the lowest set bit of a word that has one."""
        return (int(word) & -int(word)).bit_length() - 1

    def highest_bit(word: int) -> int:
        """Return the index of the highest set bit of a word that has one."""
        return (int(word) & (2**64 - 1)).bit_length() - 1

    def _as_int64(word: int) -> int:
        word &= 2**64 - 1
        return word - 2**64 if word >= 2**63 else word

    def scrambled(word: int) -> int:
        """Return `word` with its bits well mixed (the finaliser of MurmurHash3), modulo 2**64."""
        word = int(word)
        word = _as_int64((word ^ ((word >> 33) & _LOW_31)) * _MIX_1)
        word = _as_int64((word ^ ((word >> 33) & _LOW_31)) * _MIX_2)
        return word ^ ((word >> 33) & _LOW_31)


@kernel
def wide(number: int) -> int:
    """Return a number as int64: to Numba an int32, or a plain 0, makes every kernel below it another one.

    With the slots and the places in the events all of one type, a cold start compiles a quarter less.
    """
    return int(np.int64(number))
