"""Runs a peer in a process of its own, and lays its figures beside ours on the same commands."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.peers.tape import done, resting
from exchange.benchmarks import by_batch, set_up

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
"""The peers' interpreter; `make bench-peers` makes its environment."""

SECONDS = 20.0
"""A slow peer's tape ends after so much CPU time; ours is then measured on as many commands."""


class Prepared:
    """A workload set up for us and, in a file, for the peers."""

    def __init__(self, workload, commands):
        self.stage = set_up(workload, commands)
        self.folder = TemporaryDirectory(prefix="bourse-bench-")
        self.path = Path(self.folder.name) / "steps.npz"
        fill = resting(self.stage.book)
        book, _ = self.stage.start()
        np.savez(self.path, fill=fill, tape=done(fill, book, self.stage.tape))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def compared(self, name, seconds=SECONDS, python=PYTHON):
        """Drive one peer; return its figures and ours on the commands that it came to."""
        theirs = {"workload": self.stage.workload} | driven(name, self.path, seconds, python)
        if "missing" in theirs:
            return theirs
        ours = by_batch(self.stage.first(theirs["commands"]))
        return theirs | {
            "ours": ours,
            "trades_equal": theirs["trades"] in {None, ours["trades"]}
            and theirs["quantity"] == ours["quantity"],
            "times_slower": round(theirs["cpu_ns_per_command"] / ours["cpu_ns_per_command"], 1),
        }


def driven(name, path, seconds, python=PYTHON):
    """Drive one peer over the steps in a file, in a process of its own; return the line that it prints."""
    command = [str(python), "-m", "bench.peers.drive", name, str(path), str(seconds)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no word"])[-1]
        return {"engine": name, "missing": f"ended with code {ended.returncode}: {last}"}
    return json.loads(ended.stdout.splitlines()[-1])
