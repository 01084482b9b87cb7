"""The corpus: small inputs that our own encoders wrote, and each one that ever found a bug.

    python -m tests.fuzz.corpus

writes those of the encoders anew, as `corpus/<target>/seed-NNN`. What found a bug lies beside them under a
name that says which; it is never taken away.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fuzz.target import Target

FOLDER = Path(__file__).with_name("corpus")
SEED_PREFIX = "seed-"
SEEDS_MAX = 256
"""Most inputs of our encoders that are kept of one target; the first ones."""


def kept_inputs(target: Target) -> list[bytes]:
    """Return the inputs of a target that are kept, by name; its encoders' own, if there are none."""
    return [path.read_bytes() for path in paths(target.name)] or list(target.seeds())


def paths(name: str) -> list[Path]:
    """Return the files of a target's corpus."""
    return sorted(path for path in FOLDER.joinpath(name).glob("*") if path.is_file())


def write(target: Target) -> int:
    """Write anew what a target's encoders write; return how many inputs that is."""
    folder = FOLDER / target.name
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(f"{SEED_PREFIX}*"):
        path.unlink()
    seeds = dict.fromkeys(data for data in target.seeds() if len(data) <= target.longest)
    for number, data in enumerate([*seeds][:SEEDS_MAX]):
        folder.joinpath(f"{SEED_PREFIX}{number:03d}").write_bytes(data)
    return min(len(seeds), SEEDS_MAX)


def main() -> None:
    """Write the seeds of every target."""
    from tests.fuzz.registry import TARGETS

    for target in TARGETS.values():
        sys.stdout.write(f"{target.name}: {write(target)} seeds\n")


if __name__ == "__main__":
    main()
