"""What every campaign of `make nightly` shares: its tally, its time, and how it is run by itself.

A campaign is a module `tests.nightly.<name>` with a function `run` of the type `Campaign` and, at its end,

    if __name__ == "__main__":
        campaign.main(run)

It stops by itself when its time is over, and leaves no process and no folder behind.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import msgspec
import pytest

Progress = Callable[[str], None]
"""Takes one line for whoever watches."""

NIGHT = "BOURSE_NIGHT"
"""The variable that tells a campaign the process of the night that it is part of."""

PR_SET_PDEATHSIG = 1
"""Linux's `prctl`: the signal that a process gets when the one that began it is gone."""

TOLD_MAX = 500
"""Characters of an exception's words in a failure: a difference may be told at length."""


class Tally(msgspec.Struct):
    """What a campaign has done. `failures` has a line each, with the command that repeats it."""

    campaign: str
    seconds: float
    counts: dict[str, int | float] = {}
    """How often, by what, in words that a reader understands; what must be nothing is counted too, as 0."""

    failures: list[str] = []
    skipped: str = ""
    """Why it did not run at all, or not to its end: something that is no failure."""

    def add(self, what: str, count: float = 1) -> None:
        """Count `count` more of `what`."""
        self.counts[what] = self.counts.get(what, 0) + count

    @contextmanager
    def caught(self, repeats: str) -> Iterator[None]:
        """Let what escapes from the block be a failure that `repeats`, a command, shows again."""
        try:
            yield
        except (Exception, pytest.fail.Exception) as error:
            self.failures.append(f"{last_line_of(error)}; to repeat it: {repeats}")


Campaign = Callable[[float, int, Progress], Tally]
"""Runs for about so many seconds, by chance from a seed, and tells how it goes."""


def rounds(seconds: float) -> Iterator[int]:
    """Yield 0, 1, 2 and so on until the time is over; 0 in any case."""
    end = time.monotonic() + seconds
    number = 0
    while number == 0 or time.monotonic() < end:
        yield number
        number += 1


def seeds(seconds: float, seed: int) -> Iterator[int]:
    """Yield a seed for each round until the time is over, `seed` itself the first: see `again`.

    They lie so far apart that two nights, whose seeds are near, play no round alike.
    """
    for number in rounds(seconds):
        yield seed + number * 1_000_000_007


def again(name: str, seed: int) -> str:
    """Return the command that repeats one round of a campaign: it is the first one of its own seed."""
    return f"python -m tests.nightly.{name} --seconds 0.001 --seed {seed}"


def last_line_of(error: BaseException) -> str:
    """Return the last line of a traceback, and where it was raised, in one line."""
    told = " ".join("".join(traceback.format_exception_only(error)).split())[:TOLD_MAX]
    places = traceback.extract_tb(error.__traceback__)
    if not places:
        return told
    return f"{told} ({os.path.relpath(places[-1].filename)}:{places[-1].lineno})"


def attempt(run: Campaign, module: str, seconds: float, seed: int, progress: Progress) -> Tally:
    """Run a module's campaign. What escapes from it, an interruption too, is a failure of its tally."""
    repeats = f"python -m {module} --seconds {seconds:g} --seed {seed}"
    began = time.monotonic()
    try:
        tally = run(seconds, seed, progress)
    except BaseException as error:  # whatever it is, the night's page says so
        traceback.print_exc()
        tally = Tally(module.rpartition(".")[2], 0, {}, [f"{last_line_of(error)}; to repeat it: {repeats}"])
    tally.seconds = round(time.monotonic() - began, 3)
    return tally


def main(run: Campaign) -> NoReturn:
    """Run one campaign from a shell: its tally is one JSON object on standard output; exit 1 if it failed.

    SIGTERM ends it as Ctrl-C does, by an exception; within a whole night it ends when that does.
    """
    spec = sys.modules["__main__"].__spec__
    assert spec is not None, "a campaign is run by `python -m`"
    name = spec.name.rpartition(".")[2]
    parser = argparse.ArgumentParser(prog=f"python -m {spec.name}", description=run.__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long it goes on, about")
    parser.add_argument("--seed", type=int, default=1, help="where its chance comes from")
    arguments = parser.parse_args()
    if not arguments.seconds > 0:
        parser.error(f"--seconds is {arguments.seconds:g}: give more than 0, 60 for a minute")
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.default_int_handler)
    end_with_night()

    def progress(line: str) -> None:
        sys.stderr.write(f"{name}: {line}\n")
        sys.stderr.flush()

    tally = attempt(run, spec.name, arguments.seconds, arguments.seed, progress)
    sys.stdout.write(msgspec.json.encode(tally).decode() + "\n")
    sys.stdout.flush()
    sys.exit(1 if tally.failures else 0)


def end_with_night() -> None:
    """If this is a child of a whole night, get SIGTERM when that is gone, where the system can do it."""
    night = os.environ.pop(NIGHT, None)
    if night is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if int(night) != os.getppid():
        sys.exit("the night that began this is gone")
