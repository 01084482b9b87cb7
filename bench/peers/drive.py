"""Drives one peer over one tape: `PYTHON -m bench.peers.drive NAME TAPE SECONDS`, with the peers' Python.

Prints one line of JSON: how many commands it came to in so many seconds of CPU time, how long they took,
its trades and lots; or, in `missing`, why there is no figure.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from importlib.metadata import version

import numpy as np

from bench.peers.adapters import ADAPTERS

STEPS_A_TURN = 256
"""How many commands are prepared, then timed, at a time: few, so that a slow peer can be stopped."""

SECONDS_TO_FILL = 60.0
"""A peer that cannot fill the book in this time is not measured on it."""


def driven(peer, fill, tape, seconds, seconds_to_fill=SECONDS_TO_FILL):
    """Fill the peer's books, then time it over the tape until it ends or the time is up."""
    filled, _ = played(peer, fill, seconds_to_fill)
    if filled < len(fill):
        return {"missing": f"{filled} of {len(fill)} resting orders entered in {seconds_to_fill:.0f} s"}
    commands, spent = played(peer, tape, seconds)
    trades, lots = peer.recount(fill.tolist(), tape[:commands].tolist())
    return {
        "commands": commands,
        "cpu_ns_per_command": round(spent / commands * 1e9, 1),
        "commands_per_second": round(commands / spent),
        "trades": trades,
        "quantity": lots,
        "note": peer.note,
    }


def played(peer, steps, seconds):
    """Play steps until they end or the time is up; return how many, and the CPU time of the calls alone."""
    spent = 0.0
    for start in range(0, len(steps), STEPS_A_TURN):
        if spent > seconds:
            return start, spent
        calls = peer.prepared(steps[start : start + STEPS_A_TURN].tolist())
        began = time.process_time()
        answers = peer.play(calls)
        spent += time.process_time() - began
        if answers is not None:
            peer.count(answers)
    return len(steps), spent


def main():
    """Drive the peer that is named, and print what came of it."""
    name, path, seconds = sys.argv[1:]
    kind = ADAPTERS[name]
    result = {"engine": name, "python": platform.python_version()}
    with np.load(path) as steps:
        fill, tape = steps["fill"], steps["tape"]
    instruments = int(max(fill["instrument"].max(), tape["instrument"].max())) + 1
    try:
        peer = kind(instruments)
        result["version"] = version(kind.package)
        result |= driven(peer, fill, tape, float(seconds))
    except ImportError as error:
        result["missing"] = f"not installed: {error}"
    print(json.dumps(result))


if __name__ == "__main__":
    main()
