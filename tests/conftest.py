"""What every test shares: a seed for its chance, a scale for its length, and how to repeat it."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator

import hypothesis
import pytest

SEED_DEFAULT = 20261121
SEED = int(os.environ.get("BOURSE_SEED", SEED_DEFAULT))
SCALE = int(os.environ.get("BOURSE_TEST_SCALE", "1"))
EXAMPLES = 100
"""Hypothesis's examples a test, at scale 1."""

hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None, max_examples=EXAMPLES * SCALE
)
hypothesis.settings.load_profile("repeatable")


# A shell without job control has what it runs in the background ignore Ctrl-C, and a child inherits that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def seed() -> int:
    """Where a test's chance comes from: `BOURSE_SEED`, or always the same number."""
    return SEED


@pytest.fixture(scope="session")
def scale() -> int:
    """How many times its usual number of random commands a test plays: `BOURSE_TEST_SCALE`."""
    return SCALE


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, bool, bool]:
    """Let a module's venues go when its tests are over, and look through what stays no more.

    A venue is a cycle of few objects with arrays of many megabytes. Python looks for cycles when a quarter
    more objects have come than stand, and Numba's stand by the million: a hundred venues lay about by then.
    """
    is_done = yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()
        gc.collect()  # from here on a quarter is a quarter of little
    return is_done


def pytest_unconfigure() -> None:
    """Let Python end as it would: libraries tell of what is kept to the last."""
    gc.unfreeze()


def pytest_report_header() -> str:
    """Say at the top of a run what its chance comes from."""
    return f"seed: {SEED}, scale: {SCALE}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Print, beside the failure of a test that took the seed, the command that repeats it."""
    report = yield
    if report.failed and {"seed", "scale"} & set(getattr(item, "fixturenames", ())):
        again = f"BOURSE_SEED={SEED} BOURSE_TEST_SCALE={SCALE} .venv/bin/pytest '{item.nodeid}'"
        report.sections.append(("to repeat it", again))
    return report
