"""The sequencer gives each command its number and its time, and journals it before anything answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from exchange.config import STATE_HASH_EVERY
from exchange.engine import Engine, Outcome
from exchange.protocol.acts import SignedAct, encode_acts
from exchange.protocol.arrays import COMMAND
from exchange.server.journal import Position
from matching.vocabulary import CommandKind, RejectReason
from settlement.terms import VENUE_OFFSET_NS

Clock = Callable[[], int]
"""Returns the time in ns since 1970. Only the sequencer reads it."""


class SequencedLog(Protocol):
    """What the sequencer needs of a journal; `exchange.server.journal.Journal` is the one on disk."""

    @property
    def sequence(self) -> int:
        """The last command that is durable."""

    @property
    def frames(self) -> int:
        """How many frames stand in it."""

    @property
    def bytes_written(self) -> int:
        """How much was written since it was opened."""

    @property
    def position(self) -> Position:
        """Where the next frame will begin."""

    def append(self, time: int, commands: bytes, acts: bytes, count: int, state_hash: int = 0) -> Position:
        """Make one frame durable before it returns."""


DAY_NS = 86_400 * 10**9


class Sequencer:
    """Journal first, then the engine: a batch that could not be synced is never applied or answered."""

    def __init__(self, engine: Engine, journal: SequencedLog, clock: Clock) -> None:
        assert engine.sequence == journal.sequence, "recover the engine from this journal first"
        self.engine = engine
        self.journal = journal
        self._clock = clock
        self._next_midnight = midnight_after(engine.time) if engine.time else 0

    def submit(self, commands: np.ndarray, acts: tuple[SignedAct, ...] = ()) -> Outcome:
        """Give a batch its numbers and time, journal it, apply it. `commands` is written to (their times).

        The first batch after the venue's midnight begins with the end of the trading day, so that no
        order of yesterday meets one of today, and a journal that has reached a day has ended the last.
        """
        named = commands["act"][commands["kind"] == CommandKind.ACT]
        assert named.tolist() == list(range(len(acts))), "each ACT names its act, in their order"
        now = max(self._clock(), self.engine.time)
        if self._next_midnight and now >= self._next_midnight:
            commands = np.concatenate([ending_day(), commands])
            self._next_midnight = 0
        commands["time"] = now
        self._next_midnight = self._next_midnight or midnight_after(now)
        count = len(commands)
        frame = self.journal.frames
        state_hash = 0 if frame % STATE_HASH_EVERY else self.engine.state_hash()
        self.journal.append(now, commands.tobytes(), encode_acts(acts) if acts else b"", count, state_hash)
        return self.engine.apply(commands, acts)

    def decide(self, *acts: SignedAct) -> Outcome:
        """Sequence acts as a batch of their own."""
        return self.submit(as_batch(acts), acts)

    def found(self, acts: tuple[SignedAct, ...]) -> None:
        """Begin an empty journal with the acts that make the venue.

        Raises `ValueError` if one of them would be refused; then nothing is journalled.
        """
        trial = Engine().apply(as_batch(acts), acts)
        for result in trial.acts:
            if result.reason != RejectReason.NONE:
                message = f"founding act {acts[result.row].act}: refused, {result.reason.name.lower()}"
                raise ValueError(message)
        self.decide(*acts)

    def tell_time_if_due(self) -> Outcome | None:
        """End the trading day at the venue's midnight, and let orders expire when their time has come.

        Both are sequenced commands, like all that counts; in a busy market other commands tell the time.
        """
        now = self._clock()
        if self._next_midnight and now >= self._next_midnight:
            return self.submit(np.zeros(0, COMMAND))
        if now >= self.engine.next_expiry:
            return self.submit(telling_time())
        return None


def as_batch(acts: tuple[SignedAct, ...]) -> np.ndarray:
    """Return the commands that carry acts, one each, in their order."""
    commands = np.zeros(len(acts), COMMAND)
    commands["kind"] = CommandKind.ACT
    commands["act"] = np.arange(len(acts))
    return commands


def ending_day() -> np.ndarray:
    """Return the command that ends the trading day."""
    commands = np.zeros(1, COMMAND)
    commands["kind"] = CommandKind.END_DAY
    return commands


def telling_time() -> np.ndarray:
    """Return the command that tells nothing but the time."""
    commands = np.zeros(1, COMMAND)
    commands["kind"] = CommandKind.CLOCK
    return commands


def midnight_after(time: int) -> int:
    """Return the first midnight of the venue's zone after `time`, both in ns since 1970."""
    return (time + VENUE_OFFSET_NS) // DAY_NS * DAY_NS + DAY_NS - VENUE_OFFSET_NS
