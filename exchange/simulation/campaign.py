"""Many seeds, one after another or side by side, and what they came to."""

from __future__ import annotations

import logging
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from time import monotonic
from typing import NamedTuple

from exchange.simulation.plan import DEEDS, drawn, words_of
from exchange.simulation.shapes import WANTED, WANTED_UNDER_FIRE
from exchange.simulation.shrinking import shrunk
from exchange.simulation.world import Result, World

SEEDS_FOR_ALL_SHAPES = 200
"""A campaign of so many seeds must have seen every shape that is wanted."""


class Failure(NamedTuple):
    """A seed that broke a law, and the command that repeats it."""

    seed: int
    what: str
    repeat: str


class Campaign:
    """What the seeds so far came to."""

    def __init__(self) -> None:
        self.seeds = self.commands = self.frames = self.deeds = 0
        self.simulated_seconds = 0.0
        self.faults: Counter[str] = Counter()
        self.shapes: Counter[str] = Counter()
        self.failures: list[Failure] = []

    def add(self, result: Result) -> None:
        """Take in what a seed came to."""
        self.seeds += 1
        self.commands += result.commands
        self.frames += result.frames
        self.deeds += result.deeds
        self.simulated_seconds += result.simulated_seconds
        self.faults.update(result.faults)
        self.shapes.update(result.shapes)
        if result.failure:
            self.failures.append(
                Failure(result.seed, result.failure, f"bourse simulate --seed {result.seed}")
            )

    @property
    def missing(self) -> list[str]:
        """The shapes that are wanted and did not occur; none are asked for of a short campaign."""
        if self.seeds < SEEDS_FOR_ALL_SHAPES:
            return []
        return [shape for shape in (*WANTED, *WANTED_UNDER_FIRE) if not self.shapes[shape]]

    @property
    def holds(self) -> bool:
        """Whether every seed kept every law, and every shape was seen."""
        return not self.failures and not self.missing


def keep_quiet() -> None:
    """Have this process print nothing of what a simulated venue logs: nobody has asked for its log."""
    logging.getLogger("bourse").addHandler(logging.NullHandler())


def played(seed: int, deeds: int = DEEDS) -> Result:
    """Play one seed."""
    return World(drawn(seed, deeds)).run()


def run(
    first: int,
    seeds: int | None,
    seconds: float | None = None,
    jobs: int = 1,
    tell: Callable[[Result], object] = lambda _: None,
) -> Campaign:
    """Play `seeds` seeds from `first` on, or as many as begin within so many seconds, `jobs` at a time.

    The kernels must be compiled before: two processes must not do so at once.
    """
    keep_quiet()
    campaign, began = Campaign(), monotonic()
    numbers: Iterable[int] = count(first) if seeds is None else range(first, first + seeds)

    def in_time() -> Iterator[int]:
        for number in numbers:
            if seconds is not None and monotonic() - began >= seconds:
                return
            yield number

    for result in _results(in_time(), jobs):
        campaign.add(result)
        tell(result)
    return campaign


def _results(seeds: Iterator[int], jobs: int) -> Iterator[Result]:
    if jobs <= 1:
        yield from map(played, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, keep_quiet) as pool:
        waiting = [pool.apply_async(played, (seed,)) for seed in islice(seeds, 2 * jobs)]
        while waiting:
            yield waiting.pop(0).get()
            following = next(seeds, None)
            if following is not None:
                waiting.append(pool.apply_async(played, (following,)))


def made_small(result: Result, deeds: int = DEEDS) -> Failure:
    """Shrink a seed that has failed, and return how it fails with what is left."""
    small = shrunk(drawn(result.seed, deeds), result)
    kept = words_of(small.numbers) or "''"
    repeat = f"bourse simulate --seed {result.seed} --keep {kept}"
    return Failure(result.seed, small.failure, repeat)
