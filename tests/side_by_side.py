"""Runs the tests in parts, two at a time, so that two cores are busy to the end.

    .venv/bin/python -m tests.side_by_side -m "not slow and not nightly"

All that is said behind it goes to each part's pytest. Lines of progress are printed as they come; the rest of
what a part says follows when it has ended. The exit code is 1 if a part failed.

Numba's cache is not made for two processes that compile into it. So the order book's part has machine code of
its own; of the others, whichever runs beside another works on a copy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from matching.kernel import CACHE

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("exchange", "feeds", "matching", "settlement")
"""Their doctests are tests, too."""

AT_ONCE = 2
"""More gain nothing on two cores: together they are busy nine tenths of the time."""

NO_TESTS = 5
"""What pytest returns where the marks select none."""


class Part(NamedTuple):
    """Folders whose tests run in one process."""

    name: str
    folders: tuple[str, ...]


BOOK = Part(
    "book",
    ("tests/matching", "tests/matchfile", "tests/conformance", "tests/bench", "tests/tidy", "matching"),
)
SERVER = Part("server", ("tests/server", "tests/fire"))
SHORTER = (
    Part("worlds", ("tests/simulation",)),
    Part("engine", ("tests/engine", "tests/settlement", "settlement")),
    Part("noise", ("tests/nightly", "tests/fuzz", "tests/mutation")),
    Part("members", ("tests/certify", "tests/client", "tests/desk")),
)
DOCS = Part("docs", ("tests/docs",))


def parts() -> list[Part]:
    """Return all parts, in the order in which they begin: the longest, which compile; last what is short."""
    named = {folder for part in (SERVER, BOOK, *SHORTER, DOCS) for folder in part.folders}
    folders = [f"tests/{path.parent.name}" for path in ROOT.glob("tests/*/test_*.py")]
    rest = {*folders, *PACKAGES} - named
    return [SERVER, BOOK, *SHORTER, Part("rest", tuple(sorted(rest))), DOCS]


class Kernels:
    """Hands each process a cache that no other one compiles into."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.lock = threading.Lock()

    @contextmanager
    def of(self, part: Part) -> Iterator[Path]:
        """Lend a cache's home: the book's, the venue's, or a copy of the venue's while that is in use."""
        if part == BOOK:
            yield self.home.with_name(f"{self.home.name}-of-the-book")
        elif self.lock.acquire(blocking=False):
            try:
                yield self.home
            finally:
                self.lock.release()
        else:
            with tempfile.TemporaryDirectory(prefix="kernels-") as folder:
                copy = Path(folder) / "kernels"
                if (self.home / CACHE.name).is_dir():
                    shutil.copytree(self.home / CACHE.name, copy / CACHE.name, ignore=is_half_written)
                yield copy


def is_half_written(folder: str, names: list[str]) -> list[str]:
    """Return which of a cache's files are being written: Numba gives them their names at last."""
    return [
        name for name in names if not (Path(folder) / name).is_dir() and not name.endswith((".nbi", ".nbc"))
    ]


def run(part: Part, arguments: Sequence[str], kernels: Path, tell: Callable[[str], None]) -> int:
    """Run a part's tests; return pytest's exit code, or 0 where none are selected."""
    began, kept = time.monotonic(), []
    folders = [folder for folder in part.folders if (ROOT / folder).is_dir()]
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments, *folders],
        cwd=ROOT,
        env={**os.environ, "BOURSE_KERNEL_CACHE": str(kernels)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.rstrip().endswith("%]"):
                tell(f"{part.name:>7} {line}")
            else:
                kept.append(line)
    code = process.returncode
    took = f"{time.monotonic() - began:.0f} s"
    tell(f"\n=== {part.name}: {took}, exit code {code}\n{''.join(kept)}\n")
    return 0 if code == NO_TESTS else code


def main(arguments: Sequence[str]) -> int:
    """Run all parts; return 1 if one failed."""
    kernels, says = Kernels(CACHE.parent), threading.Lock()

    def tell(text: str) -> None:
        with says:
            sys.stdout.write(text)
            sys.stdout.flush()

    def whole(part: Part) -> int:
        with kernels.of(part) as home:
            return run(part, arguments, home, tell)

    with ThreadPoolExecutor(AT_ONCE) as workers:
        codes = dict(zip(every := parts(), workers.map(whole, every), strict=True))
    failed = [part.name for part, code in codes.items() if code]
    tell(f"failed: {', '.join(failed)}\n" if failed else "all parts passed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
