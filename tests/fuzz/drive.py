"""The plain driver: inputs from the mutator, one after the other; it needs no tool.

python -m tests.fuzz.drive gateway --seconds 60 --seed 7
python -m tests.fuzz.drive gateway --input tests/fuzz/corpus/gateway/logon
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.fuzz.corpus import kept_inputs
from tests.fuzz.mutator import Mutator
from tests.fuzz.registry import TARGETS
from tests.fuzz.target import Target

FINDINGS_MAX = 50
"""After so many different bugs of one target there is no point in looking for more."""


class Finding(NamedTuple):
    """An input of which something escaped, and what."""

    data: bytes
    told: str
    trace: str


class Driven(NamedTuple):
    """What a run of a target came to: inputs tried, those kept for their outcome, and what was found."""

    tried: int
    kept: int
    findings: list[Finding]


def drive(
    target: Target, seed: int, is_over: Callable[[int], bool], seeds: list[bytes] | None = None
) -> Driven:
    """Try inputs until it is over, which is asked with how many were tried; the same seed, the same inputs.

    Each place from which something escapes is one finding, with the first input that led there.
    """
    chance = Random(f"{target.name} {seed}")
    mutator = Mutator(kept_inputs(target) if seeds is None else seeds, chance, target.words, target.longest)
    outcomes: set[str] = set()
    findings: dict[tuple[str, int], Finding] = {}
    tried = kept = 0
    with tempfile.TemporaryDirectory() as folder:
        take = target.make(Path(folder))
        while not is_over(tried) and len(findings) < FINDINGS_MAX:
            data = mutator.next()
            tried += 1
            try:
                outcome = take(data)
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                told = " ".join("".join(traceback.format_exception_only(error)).split())[:300]
                where = (f"{place.filename} {type(error).__name__}", place.lineno or 0)
                findings.setdefault(where, Finding(data, told, traceback.format_exc()))
                continue
            if outcome not in outcomes:
                outcomes.add(outcome)
                mutator.keep(data)
                kept += 1
    return Driven(tried, kept, list(findings.values()))


def drive_for(target: Target, seed: int, seconds: float) -> Driven:
    """Try inputs for so many seconds."""
    end: list[float] = []  # the clock runs once the target is made

    def is_over(_tried: int) -> bool:
        if not end:
            end.append(time.monotonic() + seconds)
        return time.monotonic() >= end[0]

    return drive(target, seed, is_over)


def main() -> int:
    """Drive one target, and say what was found; each input that found something is written aside."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.drive", description=main.__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--input", type=Path, help="try this one file alone")
    parser.add_argument("--found", type=Path, default=Path("build/fuzz"), help="where findings are written")
    arguments = parser.parse_args()
    target = TARGETS[arguments.target]
    if arguments.input is not None:
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.write(target.make(Path(folder))(arguments.input.read_bytes()) + "\n")
        return 0
    began = time.monotonic()
    driven = drive_for(target, arguments.seed, arguments.seconds)
    rate = driven.tried / (time.monotonic() - began)
    sys.stdout.write(f"{target.name}: {driven.tried:,} inputs, {rate:,.0f} a second, {driven.kept} kept\n")
    for finding in driven.findings:
        path = arguments.found / target.name / sha256(finding.data).hexdigest()[:16]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(finding.data)
        sys.stdout.write(f"\n{path}\n{finding.trace}")
    return 1 if driven.findings else 0


if __name__ == "__main__":
    sys.exit(main())
