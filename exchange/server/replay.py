"""The fold over the journal: one frame after another through an engine, checked as it goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exchange.engine import RULES_VERSION, Engine, Outcome
from exchange.protocol.acts import decode_acts
from exchange.protocol.arrays import COMMAND
from exchange.server.journal import Frame, Journal, Position, read_frames
from matching.vocabulary import EventKind
from settlement.layout import client_ids


class ReplayParted(Exception):
    """A replica is not in the state in which the journal says that it should be."""


def apply_frame(engine: Engine, frame: Frame) -> Outcome:
    """Apply one frame to a replica. Raises `ReplayParted` if its state is not the sequencer's."""
    if frame.first != engine.sequence + 1:
        message = f"journal goes on at sequence {frame.first}, the replica stands at {engine.sequence}"
        raise ReplayParted(message)
    if frame.rules_version != RULES_VERSION:
        message = (
            f"sequence {frame.first} was written under rules version {frame.rules_version}, "
            f"this program applies {RULES_VERSION}; replay it with the version that wrote it"
        )
        raise ReplayParted(message)
    if frame.state_hash and frame.state_hash != engine.state_hash():
        message = (
            f"state differs before sequence {frame.first}: the journal says "
            f"{frame.state_hash:016x}, the replica has {engine.state_hash():016x}"
        )
        raise ReplayParted(message)
    commands = np.frombuffer(frame.commands, COMMAND)
    return engine.apply(commands, decode_acts(bytes(frame.acts)))


def replay(folder: Path, until: Position | None = None) -> Engine:
    """Return an engine in the state to which the journal in `folder` leads."""
    engine = Engine()
    for frame in read_frames(folder, until=until):
        apply_frame(engine, frame)
    return engine


def recover(folder: Path, passed: int = 0) -> tuple[Engine, Journal]:
    """Open the journal for writing and bring an engine to its end.

    `passed` is the highest sequence that any follower has seen: a journal that ends before it is
    refused (`JournalDamaged`).
    """
    journal = Journal.open(folder, passed=passed, rules_version=RULES_VERSION)
    return replay(folder), journal


def entered_orders(folder: Path) -> dict[int, str]:
    """Return the client id of every order that has entered by the journal in `folder`, by its number."""
    engine = Engine()
    entered: dict[int, str] = {}
    for frame in read_frames(folder):
        outcome = apply_frame(engine, frame)
        accepted = outcome.events["kind"] == EventKind.ACCEPTED
        ids = client_ids(outcome.effects["client_id"][accepted])
        orders = outcome.events["order"][accepted].tolist()
        entered.update(zip(orders, (text.decode("ascii") for text in ids.tolist()), strict=True))
    return entered
