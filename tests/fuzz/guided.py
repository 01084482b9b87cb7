"""The coverage-guided driver: Atheris, libFuzzer for Python, over the same targets and the same corpus.

    python -m tests.fuzz.guided session --seconds 60

It is in no list of ours, for its wheels are few: `pip install atheris` where one fits. Without it the plain
driver runs instead, and says so. What it finds, it writes below `build/fuzz`, and ends.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

from tests.fuzz.corpus import FOLDER, kept_inputs

INSTRUMENTED = ("exchange", "feeds", "settlement")
"""Whose branches are followed."""


def main() -> int:
    """Fuzz one target, guided by what of our code its inputs reach."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided", description=main.__doc__)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--found", type=Path, default=Path("build/fuzz"), help="where findings are written")
    arguments = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write("atheris is not installed: the plain driver runs, which knows of no coverage\n")
        from tests.fuzz import drive

        sys.argv = [
            "drive",
            arguments.target,
            "--seconds",
            str(arguments.seconds),
            "--found",
            str(arguments.found),
        ]
        return drive.main()
    return guided(arguments.target, arguments.seconds, arguments.found)


def guided(name: str, seconds: int, found: Path) -> int:
    """Fuzz a target by Atheris, which ends the process, with another code than 0 if it found anything."""
    import atheris

    with atheris.instrument_imports(include=list(INSTRUMENTED), enable_loader_override=False):
        from tests.fuzz.registry import TARGETS
    target = TARGETS[name]
    found = found / name
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as grown:
        if not FOLDER.joinpath(name).is_dir():
            for number, data in enumerate(kept_inputs(target)):
                Path(grown, f"seed-{number}").write_bytes(data)
        take = target.make(Path(folder))
        words = [f"-max_total_time={seconds}", f"-max_len={target.longest}", f"-artifact_prefix={found}/"]
        places = [grown, *(str(FOLDER / name) for _ in range(FOLDER.joinpath(name).is_dir()))]
        atheris.Setup([sys.argv[0], *words, "-timeout=30", "-rss_limit_mb=4096", *places], take_any(take))
        atheris.Fuzz()
    return 0


def take_any(take):
    """Return a target as Atheris calls it: what it returns has a meaning there."""

    def one(data: bytes) -> None:
        take(data)

    return one


if __name__ == "__main__":
    sys.exit(main())
