"""Measures the peers beside us: `python -m bench.peers [--workload NAME] [--commands N] [--seconds S]`.

Prints one line of JSON for each peer and workload. `make bench-peers` installs them first.
"""

from __future__ import annotations

import argparse
import json

from bench.peers.adapters import ADAPTERS
from bench.peers.runner import PYTHON, SECONDS, Prepared
from exchange.benchmarks import COMMANDS
from matching.workloads import WORKLOADS


def main() -> None:
    """Run every peer over every workload asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS))
    parser.add_argument("--commands", type=int, default=COMMANDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    asked = parser.parse_args()
    if not PYTHON.exists():
        parser.error(f"no {PYTHON}: `make bench-peers` installs the peers")
    for workload in asked.workload or WORKLOADS:
        with Prepared(workload, asked.commands) as prepared:
            for name in ADAPTERS:
                print(json.dumps(prepared.compared(name, asked.seconds)), flush=True)


if __name__ == "__main__":
    main()
