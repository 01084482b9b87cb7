"""The kernels as plain Python: the same events, every index in bounds, no integer overflows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


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
            env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (played.returncode, played.stderr) == (0, "")
        assert "traded" in played.stdout


def test_an_overflow_would_be_an_error():
    overflow = "import numpy; numpy.int64(2**62) * numpy.int64(4)"
    run = [sys.executable, "-W", "error::RuntimeWarning", "-c", overflow]
    assert b"overflow" in subprocess.run(run, capture_output=True, check=False).stderr
