"""The tests marked `nightly`, as many as the time is enough for: no test is begun after it."""

from __future__ import annotations

import os
import sys
import time
from contextlib import redirect_stdout
from random import Random

import pytest

from tests.nightly import campaign
from tests.nightly.campaign import Progress, Tally
from tests.nightly.running import ROOT

SECONDS_LEAST = 300.0
"""The longest of them alone take minutes: with less time none is begun."""

SELECTED = ["-m", "nightly", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}"]


def run(seconds: float, seed: int, progress: Progress) -> Tally:
    """Run tests by the seed, and count how they ended; the seed says with which of them it begins."""
    if seconds < SECONDS_LEAST:
        told = f"not run: they take minutes, and {seconds:.0f} s were left; `make nightly-tests` runs them"
        return Tally("long_tests", 0, skipped=told)
    os.environ["BOURSE_SEED"] = str(seed)
    watcher = Watcher(time.monotonic() + seconds, seed, progress)
    with redirect_stdout(sys.stderr):  # a campaign's standard output is its tally
        code = pytest.main([*SELECTED, *marked_files()], plugins=[watcher])
    return watcher.tally(int(code), seed)


def marked_files() -> list[str]:
    """Return the test files in which a test is marked so: to collect all others takes a minute or two."""
    files = sorted(ROOT.joinpath("tests").rglob("test_*.py"))
    return [str(path) for path in files if "pytest.mark.nightly" in path.read_text("utf-8")]


class Watcher:
    """A pytest plugin that counts tests, and begins none when the time is over."""

    def __init__(self, end: float, seed: int, progress: Progress) -> None:
        self.end = end
        self.seed = seed
        self.progress = progress
        self.collected = self.passed = self.skipped = 0
        self.failed: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Begin at another test each night: one night's share is not enough for all."""
        first = Random(self.seed).randrange(len(items) or 1)
        items[:] = items[first:] + items[:first]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.collected = len(session.items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if time.monotonic() > self.end:
            item.session.shouldstop = "the time is over"
            pytest.skip("the time is over")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)
        elif report.passed and report.when == "call":
            self.passed += 1
            self.progress(f"{report.nodeid}: {report.duration:.0f} s")

    def tally(self, code: int, seed: int) -> Tally:
        """Return what was counted; `code` is how pytest ended."""
        done = self.passed + len(self.failed)
        counts: dict[str, int | float] = {
            "tests passed": self.passed,
            "tests failed": len(self.failed),
            "tests not run: skipped, or no time left": max(0, self.collected - done),
        }
        failures = [
            f"{test} failed; to repeat it: BOURSE_SEED={seed} pytest -m nightly '{test}'"
            for test in self.failed
        ]
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.INTERRUPTED) and not failures:
            failures.append(f"pytest ended with code {code}; to repeat it: pytest -m nightly")
        return Tally("long_tests", 0, counts, failures)


if __name__ == "__main__":
    campaign.main(run)
