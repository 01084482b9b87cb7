"""Run tests on one changed module after the other, each in a fork of a process that has the project loaded.

`python -m tests.mutation.worker`, in a copy of the checkout: it reads jobs as JSON, one a line, and answers
each with a line. A new interpreter a mutant would load for a second what most mutants do not change.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
import time
from pathlib import Path

import msgspec
import pytest

from tests.mutation.planting import plant

GATES = "tests.mutation.gates"
MEMORY_MAX = 6 * 2**30
"""What a test of a mutant may address, in bytes: some mutants grow a pool for ever."""
QUICK_CPU_S, CPU_S = 6, 300
"""Seconds of the processor for the quick gate, which takes about one, and in all: who needs more hangs.

On a busy machine a gate that finds nothing has taken more than 90: its survivors would be told as killed.
"""
FOUND_QUICKLY = 70
"""The exit code of a fork whose quick gate, or whose import, has raised. Pytest's own are smaller."""
NOT_TESTED = (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED)


class Job(msgspec.Struct, frozen=True):
    """A module to change, and what must find it out."""

    path: str
    source: str
    quick: str
    """A function of `tests.mutation.gates` that comes first, without pytest: it kills most. Or empty."""
    arguments: list[str]
    """What pytest is told."""
    is_changed: bool = True
    """Whether the source is a mutant: its bytecode must not outlive it, that of all else saves time."""


class Answer(msgspec.Struct, frozen=True):
    """What became of one job: `survived`, `killed`, `timed out`, or why it was `not tested`."""

    outcome: str
    seconds: float


def main() -> int:
    """Answer jobs until there are no more."""
    importlib.import_module(GATES)
    for line in sys.stdin:
        sys.stdout.write(msgspec.json.encode(answer_to(msgspec.json.decode(line, type=Job))).decode() + "\n")
        sys.stdout.flush()
    return 0


def answer_to(job: Job) -> Answer:
    """Write the changed module, run the tests in a fork, and put the module back."""
    path = Path(job.path)
    original = path.read_bytes()
    for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        stale.unlink()
    path.write_text(job.source, "utf-8")
    start = time.monotonic()
    try:
        return Answer(_outcome_of(job, original.decode()), round(time.monotonic() - start, 2))
    finally:
        path.write_bytes(original)


def _outcome_of(job: Job, original: str) -> str:
    child = os.fork()
    if child == 0:
        _test(job, original)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "timed out" if os.WTERMSIG(status) == signal.SIGXCPU else "killed"
    code = os.WEXITSTATUS(status)
    if code in NOT_TESTED:
        return f"not tested: pytest ends with {code}"
    return "killed" if code else "survived"


def _test(job: Job, original: str) -> None:
    """Run pytest and end this process with its exit code, silently."""
    sys.dont_write_bytecode = job.is_changed
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (QUICK_CPU_S if job.quick else CPU_S, CPU_S + 5))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    code = FOUND_QUICKLY
    try:
        if job.is_changed:
            plant(job.path, original, job.source, GATES)
        if job.quick:
            getattr(importlib.import_module(GATES), job.quick)()
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 5))
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--tb=no", *job.arguments]))
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
