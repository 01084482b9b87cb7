"""Runs every benchmark and prints one line of JSON each: `python -m bench [NAME ...]`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from exchange.benchmarks import machine

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "results.jsonl"


def main() -> int:
    """Run the benchmarks through pytest-benchmark; append their lines to the results."""
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        files = [str(path) for path in sorted(HERE.glob("bench_*.py"))]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
        command += ["-o", "python_files=bench_*.py", "-o", "python_functions=bench_*"]
        command += ["-o", "addopts=--import-mode=importlib", f"--benchmark-json={report}"]
        if wanted:
            command += ["-k", " or ".join(wanted)]
        code = subprocess.run(command, check=False).returncode
        if not report.exists():
            return code
        measured = json.loads(report.read_text())["benchmarks"]
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as results:
        for one in measured:
            line = {
                "name": one["name"],
                "date": time.strftime("%Y-%m-%d", time.gmtime()),
                "machine": machine(),
                "seconds_median": one["stats"]["median"],
                **one["extra_info"],
            }
            text = json.dumps(line)
            results.write(text + "\n")
            print(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
