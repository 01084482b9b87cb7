"""The kernels as plain Python: the same events, indexes in bounds, no overflow, nearly every line run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from matching.kernel import kernel_sources

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LINES_PERCENT_MIN = 95
NOT_THE_BOOK = {"kernel.py", "digest.py", "places.py"}
"""How kernels are compiled, and two kernels of use to the rest of the house."""

PLAIN = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}


def test_kernels_run_as_plain_python_equal_the_reference(seed, scale):
    for number in range(scale):
        played = subprocess.run(
            [
                sys.executable,
                "-W",
                "error::RuntimeWarning",
                str(HERE / "differential.py"),
                f"--seed={seed + number}",
                "--commands=4000",
                "--inspect",
            ],
            env=PLAIN,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (played.returncode, played.stderr) == (0, "")
        assert "traded" in played.stdout


def test_random_flow_runs_nearly_every_line_of_the_kernels(seed, tmp_path):
    data = f"--data-file={tmp_path / 'lines'}"
    measure = [sys.executable, "-m", "coverage"]
    # A roomy book too: only there the kernels look ahead.
    for what in (["--commands=4000"], ["--commands=1000", "--room=20000"]):
        command = [*measure, "run", "--append", "--branch", "--include=matching/*", data]
        played = subprocess.run(
            [*command, str(HERE / "differential.py"), f"--seed={seed}", *what],
            env=PLAIN,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (played.returncode, played.stderr) == (0, "")
    report = tmp_path / "lines.json"
    told = subprocess.run(
        [*measure, "json", data, f"-o{report}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    files = json.loads(report.read_text())["files"]
    lines = covered = 0
    for path in kernel_sources():
        if path.parent.name != "matching" or path.name in NOT_THE_BOOK:
            continue
        name = str(path.relative_to(ROOT))
        summary = files[name]["summary"]
        print(f"{name:28} {summary['percent_covered']:6.1f} %")  # noqa: T201  shown by `pytest -s`
        lines += summary["num_statements"] + summary["num_branches"]
        covered += summary["covered_lines"] + summary["covered_branches"]
    percent = 100 * covered / lines
    print(f"{'all kernels':28} {percent:6.1f} %, lines and branches")  # noqa: T201
    assert percent > LINES_PERCENT_MIN


def test_an_overflow_would_be_an_error():
    overflow = "import numpy; numpy.int64(2**62) * numpy.int64(4)"
    run = [sys.executable, "-W", "error::RuntimeWarning", "-c", overflow]
    assert b"overflow" in subprocess.run(run, capture_output=True, check=False).stderr
