"""Simulated venues, seed after seed, for a time: `bourse simulate` in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import msgspec

from exchange.cli import bourse
from tests.nightly import campaign
from tests.nightly.campaign import Progress, Tally

COMMAND = "simulate"
SEEDS_A_NIGHT = 1_000_000
"""More than a night plays: two nights, whose seeds follow upon each other, play none alike."""


class Failure(msgspec.Struct):
    """A seed that broke a law, and the command that repeats it."""

    seed: int
    what: str
    repeat: str


class Simulated(msgspec.Struct):
    """What `bourse simulate --json` tells, as far as it is counted here."""

    seeds: int
    commands: int
    simulated_hours: float
    seconds: float
    failures: list[Failure]
    missing: list[str] = []
    """Shapes that so many seeds must have had, and had not."""

    frames: int = 0
    faults: dict[str, int] = {}
    shapes: dict[str, int] = {}


def run(seconds: float, seed: int, progress: Progress) -> Tally:
    """Simulate seeds in a row until the time is over; none if the checkout has no such command."""
    if COMMAND not in bourse.commands:
        return Tally("simulation", 0, skipped="not run: this checkout has no `bourse simulate`")
    words = [COMMAND, "--seconds", f"{seconds:g}", "--seed", str(seed * SEEDS_A_NIGHT), "--json"]
    progress(f"bourse {' '.join(words)}")
    process = subprocess.Popen(
        [sys.executable, "-c", "from exchange.cli import main; main()", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        told, _ = process.communicate()
    finally:
        process.kill()
        process.wait()
    return tally_of(told, process.returncode, f"bourse {' '.join(words)}")


def tally_of(told: bytes, code: int, repeats: str) -> Tally:
    """Return as a tally what the command told; what it did not tell well is a failure."""
    try:
        simulated = msgspec.json.decode(told, type=Simulated)
    except msgspec.MsgspecError as error:
        told_why = f"ended with code {code} and told no tally ({error}), see its log; to repeat it: {repeats}"
        return Tally("simulation", 0, {}, [told_why])
    counts: dict[str, int | float] = {
        "seeds": simulated.seeds,
        "commands": simulated.commands,
        "simulated hours": round(simulated.simulated_hours, 1),
        "faults": sum(simulated.faults.values()),
        "shapes covered": sum(count > 0 for count in simulated.shapes.values()),
        "shapes wanted, and never seen": len(simulated.missing),
        "frames sent": simulated.frames,
        **named("fault", simulated.faults),
        **named("shape", simulated.shapes),
    }
    failures = [f"seed {one.seed}: {one.what}; to repeat it: {one.repeat}" for one in simulated.failures]
    failures += [f"never seen: {shape}; to repeat it: {repeats}" for shape in simulated.missing]
    if code != 0 and not failures:
        failures.append(f"ended with code {code}; to repeat it: {repeats}")
    return Tally("simulation", simulated.seconds, counts, failures)


def named(sort: str, counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts with the sort of thing before each name."""
    return {f"{sort}: {name}": count for name, count in sorted(counts.items())}


if __name__ == "__main__":
    campaign.main(run)
