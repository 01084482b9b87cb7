"""What every test shares: a seed for its chance, a scale for its length, and how to repeat it."""

from __future__ import annotations

import os
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


@pytest.fixture(scope="session")
def seed() -> int:
    """Where a test's chance comes from: `BOURSE_SEED`, or always the same number."""
    return SEED


@pytest.fixture(scope="session")
def scale() -> int:
    """How many times its usual number of random commands a test plays: `BOURSE_TEST_SCALE`."""
    return SCALE


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
