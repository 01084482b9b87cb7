"""What is shipped: the wheel holds the code, the data that it reads, and the mark of its types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("exchange", "feeds", "matching", "settlement")


@pytest.mark.slow
def test_the_wheel_holds_all_that_the_packages_need(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    built = subprocess.run(build, cwd=ROOT, check=False, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        shipped = set(archive.namelist())
    needed = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for suffix in (".py", ".csv", ".sql", "py.typed")
        for path in (ROOT / package).rglob("*" + suffix)
    }
    assert needed - shipped == set()
    assert {f"{package}/py.typed" for package in PACKAGES} <= shipped
    assert {name.split("/")[0] for name in shipped if ".dist-info/" not in name} == set(PACKAGES)
