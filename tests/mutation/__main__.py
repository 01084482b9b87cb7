"""Mutation testing: change the rules of money and matching in one place, and see what no test notices.

    .venv/bin/pip install cosmic-ray==8.7.0
    .venv/bin/python -m tests.mutation --module matching/cross.py --sample 50 --seed 1

draws mutants of a module as cosmic-ray makes them, and runs on each the tests that `tests/mutation/scope.py`
names, kernels as plain Python, in a copy of the checkout. It prints one JSON object. It exits 1 if a survivor
is not explained in `tests/mutation/explained.toml`, or if more than a tenth of a module's mutants survive.
Without `--module` it takes every module of the scope.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import msgspec

from tests.mutation.mutants import Mutant, sample_of
from tests.mutation.scope import SCOPE
from tests.mutation.worker import Answer, Job

ROOT = Path(__file__).resolve().parents[2]
EXPLAINED = Path(__file__).with_name("explained.toml")
COPIED = ("bench", "docs", "exchange", "feeds", "matching", "settlement", "tests", "pyproject.toml")
KILLED_MIN = 0.9


class Tally(msgspec.Struct):
    """What became of a module's mutants."""

    module: str
    mutants: int
    killed: int = 0
    timed_out: int = 0
    """Of the killed: those that never ended."""
    explained: list[str] = []
    """Survivors that change nothing that a rule speaks of, each with its reason in `explained.toml`."""
    survivors: list[str] = []
    seconds: float = 0.0

    @property
    def share(self) -> float:
        """How many of the mutants that change a rule are killed, of 1."""
        rules = self.mutants - len(self.explained)
        return self.killed / rules if rules else 1.0


class Worker:
    """A copy of the checkout, and a process in it that tests changed modules."""

    def __init__(self, folder: Path) -> None:
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder / name)
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutation.worker"],
            cwd=folder,
            env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(folder), "PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def answer(self, module: str, source: str, *, is_changed: bool = True) -> Answer:
        """Run the tests of `module` on it with this source."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = Job(str(self.folder / module), source, *SCOPE[module], is_changed)
        self._process.stdin.write(msgspec.json.encode(job) + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Answer)

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def main() -> int:
    """Take the sample, print what became of it, and return 1 if too much survived."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument(
        "--module", action="append", choices=[*SCOPE], metavar="FILE", help="one of the scope"
    )
    parser.add_argument("--sample", type=int, default=40, help="mutants a module (40)")
    parser.add_argument("--seed", type=int, default=1, help="which mutants are drawn (1)")
    parser.add_argument("--workers", type=int, default=2, help="modules at a time (2)")
    arguments = parser.parse_args()
    if importlib.util.find_spec("cosmic_ray") is None:
        parser.error(f"cosmic-ray is not installed; run: {sys.executable} -m pip install cosmic-ray==8.7.0")
    modules = arguments.module or [*SCOPE]
    tallies = []
    for tally in tallies_of(modules, arguments.sample, arguments.seed, arguments.workers):
        tallies.append(tally)
        sys.stderr.write(f"{tally.module}: {tally.killed} of {tally.mutants} killed, {tally.seconds:.0f} s\n")
        sys.stderr.writelines(f"  {survivor}\n" for survivor in tally.survivors)
    sys.stdout.buffer.write(msgspec.json.encode({"seed": arguments.seed, "modules": tallies}) + b"\n")
    return int(any(tally.share < KILLED_MIN or tally.survivors for tally in tallies))


def tallies_of(modules: Iterable[str], size: int, seed: int, workers: int) -> Iterator[Tally]:
    """Test a sample of each module's mutants, several modules at a time."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(workers) as pool:
        idle: SimpleQueue[Worker] = SimpleQueue()
        started = [Worker(Path(folder) / str(number)) for number in range(workers)]
        for worker in started:
            idle.put(worker)

        def test(module: str) -> Tally:
            worker = idle.get()
            try:
                return tally_of(module, size, seed, worker)
            finally:
                idle.put(worker)

        try:
            yield from pool.map(test, modules)
        finally:
            for worker in started:
                worker.close()


def tally_of(module: str, size: int, seed: int, worker: Worker) -> Tally:
    """Test a sample of one module's mutants, one after the other."""
    start = time.monotonic()
    drawn = sample_of(ROOT / module, size, seed)
    unchanged = worker.answer(module, (ROOT / module).read_text("utf-8"), is_changed=False)
    if unchanged.outcome != "survived":
        raise RuntimeError(
            f"{module}: its tests fail without a mutant; run: pytest {' '.join(SCOPE[module].tests)}"
        )
    tally = Tally(module, len(drawn))
    for mutant in drawn:
        outcome = worker.answer(module, mutant.source).outcome
        if outcome.startswith("not tested"):
            raise RuntimeError(f"{module}: {outcome}")
        if outcome != "survived":
            tally.killed += 1
            tally.timed_out += outcome == "timed out"
        elif is_explained(module, mutant):
            tally.explained.append(str(mutant))
        else:
            tally.survivors.append(str(mutant))
    tally.seconds = round(time.monotonic() - start, 1)
    return tally


def is_explained(module: str, mutant: Mutant) -> bool:
    """Tell whether somebody has written down why this mutant changes no rule."""
    known = tomllib.loads(EXPLAINED.read_text("utf-8")).get("mutant", []) if EXPLAINED.exists() else []
    return any(
        (one["module"], one["where"], one["before"], one["after"])
        == (module, mutant.where, mutant.before, mutant.after)
        for one in known
    )


if __name__ == "__main__":
    sys.exit(main())
