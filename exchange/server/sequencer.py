"""The sequencer gives each command its number and its time, and journals it before anything answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Protocol

import numpy as np

from exchange.config import STATE_HASH_EVERY
from exchange.engine import Engine, Outcome
from exchange.protocol.acts import SignedAct, encode_acts
from exchange.protocol.arrays import COMMAND
from exchange.server.journal import Position
from exchange.server.timekeeper import Draw, Timekeeper
from matching.layout import NEVER
from matching.vocabulary import CommandKind, EventKind, RejectReason
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
    """Journal first, then the engine: a batch that could not be synced is never applied or answered.

    Whatever the clock has come to goes before what members ask: no command passes the end of a trading day
    or a step of the calendar. `draw` is where the random end of calls comes from.
    """

    def __init__(
        self, engine: Engine, journal: SequencedLog, clock: Clock, draw: Draw = secrets.randbelow
    ) -> None:
        assert engine.sequence == journal.sequence, "recover the engine from this journal first"
        self.engine = engine
        self.journal = journal
        self._clock = clock
        self._next_midnight = midnight_after(engine.time) if engine.time else NEVER
        self._timekeeper = Timekeeper(engine, draw)

    def now(self) -> int:
        """Return the time, in ns since 1970: the clock's, but never before what was sequenced."""
        return max(self._clock(), self.engine.time)

    def pace(self) -> int:
        """Return the clock's own time, in ns since 1970, for what counts how time passes.

        Of a clock that was put back before the start, `now` stands still until it has caught up.
        """
        return self._clock()

    def submit(self, commands: np.ndarray, acts: tuple[SignedAct, ...] = ()) -> Outcome:
        """Give a batch its numbers and time, journal it, apply it. `commands` is written to (their times).

        What the clock had come to was done first, in batches of its own: its events stand in the outcome
        before those of `commands`.
        """
        named = commands["act"][commands["kind"] == CommandKind.ACT]
        assert named.tolist() == list(range(len(acts))), "each ACT names its act, in their order"
        now = self.now()
        done = self._keep_time(now)
        return told_together([*done, self._sequence(commands, acts, now)])

    def decide(self, *acts: SignedAct) -> Outcome:
        """Sequence acts as a batch of their own."""
        return self.submit(as_batch(acts), acts)

    def found(self, acts: tuple[SignedAct, ...]) -> None:
        """Begin an empty journal with the acts that make the venue.

        Raises `ValueError` if one of them would be refused; then nothing is journalled.
        """
        batch = as_batch(acts)
        batch["time"] = self.now()
        trial = Engine().apply(batch, acts)
        for result in trial.acts:
            if result.reason != RejectReason.NONE:
                message = f"founding act {acts[result.row].act}: refused, {result.reason.name.lower()}"
                raise ValueError(message)
        self.decide(*acts)

    def tell_time_if_due(self) -> Outcome | None:
        """Do what the clock has come to: the end of the trading day, steps of the calendar, orders' expiry.

        All are sequenced commands, like all that counts; in a busy market other commands tell the time.
        """
        now = self.now()
        done = self._keep_time(now)
        if now >= self.engine.next_expiry:
            done.append(self._sequence(telling_time(), (), now))
        return told_together(done) if done else None

    def _keep_time(self, now: int) -> list[Outcome]:
        """Do all that the clock has come to; return what came of it, to be kept while others follow.

        The trading day ends first, so that no order of yesterday meets one of today. It is one frame with
        what the calendar has missed: the journal's time passes none of it that is not done.
        """
        done = []
        while now >= min(self._next_midnight, self._timekeeper.next_due):
            acts = self._timekeeper.due(now, day_begins=now >= self._next_midnight)
            batch = as_batch(acts)
            if now >= self._next_midnight:
                self._next_midnight = midnight_after(now)
                batch = np.concatenate([ending_day(), batch])
            if len(batch):
                done.append(kept(self._sequence(batch, acts, now)))
        return done

    def _sequence(self, commands: np.ndarray, acts: tuple[SignedAct, ...], now: int) -> Outcome:
        """Journal one batch, then apply it."""
        commands["time"] = now
        if self._next_midnight == NEVER:
            self._next_midnight = midnight_after(now)
        frame = self.journal.frames
        state_hash = 0 if frame % STATE_HASH_EVERY else self.engine.state_hash()
        encoded = encode_acts(acts) if acts else b""
        self.journal.append(now, commands.tobytes(), encoded, len(commands), state_hash)
        outcome = self.engine.apply(commands, acts)
        self._timekeeper.hear(outcome)
        return outcome


def kept(outcome: Outcome) -> Outcome:
    """Return an outcome that stays as it is when the engine goes on."""
    return outcome._replace(events=outcome.events.copy(), effects=outcome.effects.copy())


def told_together(outcomes: list[Outcome]) -> Outcome:
    """Return the last outcome, and before its events those of the others, for members to be told of all."""
    last = outcomes[-1]
    if len(outcomes) == 1:
        return last
    return last._replace(
        events=np.concatenate([outcome.events for outcome in outcomes]),
        effects=np.concatenate([outcome.effects for outcome in outcomes]),
    )


def orders_cancelled(outcome: Outcome, sequence: int) -> int:
    """Return how many orders the command `sequence` of an outcome has cancelled."""
    is_cancel = outcome.events["kind"] == EventKind.CANCELLED
    return int(np.count_nonzero(is_cancel & (outcome.effects["sequence"] == sequence)))


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
