"""Journals of random flows on disk, and what they led to, for tests that play them again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from exchange.engine import RULES_VERSION, Engine
from exchange.protocol.acts import encode_acts
from exchange.server.folder import Folder
from exchange.server.journal import Journal
from tests.engine.differential import cut
from tests.engine.market import Step, batch_of

HASH_EVERY = 7
"""How often a frame of such a journal carries the state's hash."""


def journalled(root: Path, steps: Sequence[Step], seed: int) -> tuple[Folder, Engine]:
    """Write steps as a journal, in batches of one time each; return its folder, and the engine at its end."""
    folder = Folder(root)
    folder.journal.mkdir(parents=True)
    folder.complete()
    engine = Engine()
    journal = Journal.open(folder.journal, rules_version=RULES_VERSION)
    for nth, batch in enumerate(at_one_time(cut(steps, random.Random(seed)))):
        commands, acts = batch_of(batch)
        state = 0 if nth % HASH_EVERY else engine.state_hash()
        time = batch[0].command.time
        journal.append(time, commands.tobytes(), encode_acts(acts) if acts else b"", len(batch), state)
        engine.apply(commands, acts)
    journal.close()
    return folder, engine


def at_one_time(batches):
    """Yield batches cut where the time moves: a frame has one."""
    for batch in batches:
        start = 0
        for at in range(1, len(batch) + 1):
            if at == len(batch) or batch[at].command.time != batch[start].command.time:
                yield batch[start:at]
                start = at
