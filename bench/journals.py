"""Journals to measure on: a market, and a flow of orders sequenced batch by batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.bench_core import NOON, as_commands, founding, sales
from exchange.engine import RULES_VERSION, Engine
from exchange.server.folder import Folder
from exchange.server.journal import Journal
from exchange.server.sequencer import Sequencer

FIRMS = 1_000
BATCH = 4_096
PIECE = 24 * BATCH
"""How many commands are made at a time: Python's objects of them are large."""


def journalled(
    folder: Folder,
    warm_up: np.ndarray,
    tape: np.ndarray,
    is_enough: Callable[[Engine], bool] = lambda _: False,
) -> Engine:
    """Journal a market and a tape of the book, half of the buys subsidised; return the engine that did it.

    It ends before the tape does behind a piece of which it `is_enough`.
    """
    folder.found((), [])
    journal = Journal.open(folder.journal, rules_version=RULES_VERSION)
    engine = Engine()
    sequencer = Sequencer(engine, journal, lambda: NOON)
    sequencer.found(founding(FIRMS))
    sequencer.submit(sales(FIRMS))
    ids: dict[int, int] = {}
    start = 0
    for part in (warm_up, *(tape[at : at + PIECE] for at in range(0, len(tape), PIECE))):
        commands = as_commands(part, engine.sequence + 1, ids, start, FIRMS)
        for at in range(0, len(commands), BATCH):
            sequencer.submit(commands[at : at + BATCH])
        start += len(part)
        if is_enough(engine):
            break
    journal.close()
    return engine
