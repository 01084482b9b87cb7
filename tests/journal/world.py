"""A venue's whole way on a disk: real commands journalled frame by frame, and the state behind each."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from exchange.engine import RULES_VERSION, Engine, Outcome
from exchange.protocol.acts import SignedAct, encode_acts
from exchange.server.disk import DISK, Files
from exchange.server.journal import Journal
from exchange.server.reading import BEGINNING, Mark
from tests.engine.flow import Flow, MoneyFlow
from tests.engine.market import batch_of

SEGMENT_BYTES = 12_288
"""Small, so that a few frames fill one."""

FOUNDING = 80
"""More steps than found a flow's market."""


class Batch(NamedTuple):
    """One frame's commands and acts."""

    commands: np.ndarray
    acts: tuple[SignedAct, ...]


class State(NamedTuple):
    """Where an engine stands."""

    sequence: int
    state_hash: int


def tape(seed: int, steps: int, per_frame: int = 20, flow: type[Flow] = MoneyFlow) -> list[Batch]:
    """Return a random market, the founding acts in the first frame."""
    played = [*flow(seed).steps(FOUNDING + steps)]
    cuts = [0, *range(FOUNDING, len(played), per_frame), len(played)]
    return [Batch(*batch_of(played[begin:end])) for begin, end in pairwise(cuts) if end > begin]


def state_of(engine: Engine) -> State:
    return State(engine.sequence, engine.state_hash())


def append(journal: Journal, engine: Engine, batch: Batch, *, is_hashed: bool = True) -> Outcome:
    """Journal a batch, then apply it."""
    commands, acts = batch
    journal.append(
        int(commands[-1]["time"]),
        commands.tobytes(),
        encode_acts(acts) if acts else b"",
        len(commands),
        engine.state_hash() if is_hashed else 0,
    )
    return engine.apply(commands, acts)


class Written(NamedTuple):
    """What writing a journal came to: the state behind each frame, and its mark; the empty ones first."""

    states: list[State]
    marks: list[Mark]

    def at(self, sequence: int) -> State:
        """Return the state behind the frame that ends with a sequence."""
        return next(state for state in self.states if state.sequence == sequence)


def write(
    folder: Path, batches: Iterable[Batch], files: Files = DISK, segment_bytes: int = SEGMENT_BYTES
) -> Written:
    """Write a new journal."""
    engine = Engine()
    journal = Journal.open(folder, 0, segment_bytes, files, RULES_VERSION)
    states, marks = [state_of(engine)], [BEGINNING]
    for batch in batches:
        append(journal, engine, batch)
        states.append(state_of(engine))
        marks.append(journal.mark)
    journal.close()
    return Written(states, marks)


def engine_after(batches: Iterable[Batch]) -> Engine:
    """Return an engine to which batches were applied."""
    engine = Engine()
    for commands, acts in batches:
        engine.apply(commands, acts)
    return engine
