"""What was true at each sequence: kept beside the venue, through its crashes, and all is held against it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from exchange.engine import Engine, Outcome
from exchange.protocol.acts import SignedAct, decode_acts
from exchange.protocol.arrays import COMMAND
from exchange.server.audit import laws_broken
from exchange.server.frames import Frame
from exchange.simulation.laws import LawBroken, crossed, must
from exchange.simulation.laws_of_money import Money
from exchange.simulation.laws_of_orders import Lives
from exchange.simulation.laws_of_queues import PRIORITY, Queue, Queues, faults_of_queues, levels_of, queues_of
from feeds.builder import BookBuilder, Books, State
from matching.invariants import faults_of
from matching.vocabulary import RejectReason, Side
from settlement.compare import differences
from settlement.store import Store

ORDER = "sequences and times go on"
STATE = "the same journal, the same state"
DURABLE = "what was synced is never lost"
SYNCED_FIRST = "nothing is told that is not synced"
OWN_STATE = "each row is as it must be"
CROSSED = "no book is crossed"
STRUCTURE = "the book is whole"
SHOWN = "readers see the book"
SETTLED = "the store follows the journal"

THOROUGH_EVERY = 64
"""Every so many batches all that must be true of the book is looked at, row by row, in some milliseconds."""

ALL_QUEUES_EVERY = 8
"""Every so many batches the queues of all books are read; otherwise of those that the events speak of."""

_EMPTY: tuple[Queue, Queue] = ([], [])


class Witnessed(NamedTuple):
    """One batch as it was applied, kept so that all can be told again."""

    commands: np.ndarray
    outcome: Outcome
    ids_max: int
    last: int


class Shown(NamedTuple):
    """One instrument's book from a sequence on: what rests on the buying and on the selling side."""

    sequence: int
    sides: tuple[Queue, Queue]


class Chronicle:
    """The witness of one venue. Its methods raise `LawBroken` where what they are shown cannot be.

    `sequence` is the last that was noted; `synced`, which the world sets, the last that is on the platter.
    """

    def __init__(self, thorough_every: int = THOROUGH_EVERY) -> None:
        self.sequence = 0
        self.synced = 0
        self.lives = Lives()
        self.money = Money()
        self.acts: dict[int, SignedAct] = {}
        """What was done on somebody's word, by sequence."""
        self.time = 0
        self._thorough_every = thorough_every
        self._hashes = {0: Engine().state_hash()}
        self._past: list[Witnessed] = []
        self._queues: Queues = {}
        self._shown: dict[int, list[Shown]] = {}
        self._engine: Engine | None = None
        self._ids_max = 0

    # --- the live venue ------------------------------------------------------------------------

    def batch(
        self,
        engine: Engine,
        commands: np.ndarray,
        acts: Sequence[SignedAct],
        outcome: Outcome,
        frame_last: int,
    ) -> None:
        """Take in one sequenced batch, just applied: hold every law against it. About a millisecond.

        A batch that was noted before, as a restart replays it, must have led to the same state.
        """
        if frame_last <= self.sequence:
            self.replica(engine, "a replay")
            return
        named = sum(1 for _ in acts)
        self._check_order(engine, commands, outcome, frame_last)
        if len(outcome.acts) != named:
            raise LawBroken(ORDER, f"sequence {frame_last}: {named} acts, {len(outcome.acts)} answers")
        self._ids_max = self._ids_max or int(engine.core.memory.used[0]["ids_max"])
        kept = outcome._replace(
            events=outcome.events.copy(), effects=outcome.effects.copy(), tape=outcome.tape[:0]
        )
        seen = Witnessed(commands.copy(), kept, self._ids_max, frame_last)
        self._fold(engine, seen)
        self._past.append(seen)
        for signed, result in zip(acts, outcome.acts, strict=True):
            if result.reason == RejectReason.NONE:
                self.acts[result.sequence] = signed
        self._hold(engine, kept.events)
        self._engine = engine
        self._ids_max = int(engine.core.memory.used[0]["ids_max"])
        self.sequence, self.time = frame_last, engine.time
        self._hashes[frame_last] = engine.state_hash()

    def _check_order(self, engine: Engine, commands: np.ndarray, outcome: Outcome, last: int) -> None:
        times = commands["time"]
        if engine.sequence != last or last - self.sequence != len(commands):
            what = f"{len(commands)} commands behind {self.sequence}, the engine stands at {engine.sequence}"
            raise LawBroken(ORDER, f"{what}, the journal at {last}")
        if len(times) and (int(times[0]) < self.time or bool(np.any(np.diff(times) < 0))):
            raise LawBroken(ORDER, f"sequence {last}: time {times[0]} behind {self.time}")
        told = outcome.effects["sequence"]
        if len(told) and not (self.sequence < int(told.min()) and int(told.max()) <= last):
            raise LawBroken(ORDER, f"events of {told.min()} to {told.max()} in {self.sequence + 1} to {last}")

    def _fold(self, engine: Engine, seen: Witnessed) -> None:
        self.lives.take(seen.commands, seen.outcome, seen.ids_max)
        self.money.take(engine, seen.outcome)

    def _hold(self, engine: Engine, events: np.ndarray) -> None:
        """Hold the engine's state against what was told, and against the laws of its own."""
        book = engine.core.book
        self.lives.hold_against(engine)
        self.money.hold_against(engine)
        must(OWN_STATE, laws_broken(engine))
        must(CROSSED, crossed(book))
        before = self._queues if len(self._past) % ALL_QUEUES_EVERY else None
        queues = queues_of(book, before, set(events["instrument"].tolist()))
        must(PRIORITY, [*faults_of_queues(self._queues, queues, events)])
        self._note_shown(queues, engine.sequence)
        if self._thorough_every and len(self._past) % self._thorough_every == 0:
            must(STRUCTURE, faults_of(book))

    def _note_shown(self, queues: Queues, sequence: int) -> None:
        """Note each book that shows something else than before."""
        for instrument in sorted({key[0] for key in (*queues, *self._queues)}):
            sides = queues.get((instrument, 0), []), queues.get((instrument, 1), [])
            noted = self._shown.setdefault(instrument, [Shown(0, _EMPTY)])
            if noted[-1].sides != sides:
                noted.append(Shown(sequence, sides))
        self._queues = queues

    def told(self, name: str, sequence: int) -> None:
        """Hear that a member was sent something that names a sequence: that must be synced by now."""
        if sequence > self.synced:
            raise LawBroken(SYNCED_FIRST, f"{name} is told of {sequence}, synced is {self.synced}")

    # --- restarts and replicas -----------------------------------------------------------------

    def recovered(self, engine: Engine, frames: Iterable[Frame] = ()) -> None:
        """Hold a venue that has just started again against what was.

        It has lost nothing that was synced; what it has lost never was. `frames` are those of the journal
        behind the last batch that was noted: the venue died before it could apply them.
        """
        if engine.sequence < self.synced:
            raise LawBroken(DURABLE, f"synced up to {self.synced}, recovered up to {engine.sequence}")
        for frame in frames:
            self._catch_up(frame)
        if engine.sequence not in self._hashes:
            raise LawBroken(STATE, f"recovered at sequence {engine.sequence}, where no frame ends")
        if engine.sequence < self.sequence:
            self._forget_behind(engine)
        self.replica(engine, "the recovered venue")
        must(OWN_STATE, laws_broken(engine))
        must(STRUCTURE, faults_of(engine.core.book))
        self._engine = engine

    def _catch_up(self, frame: Frame) -> None:
        """Apply a frame that was never noted to the engine that died before it."""
        if frame.last <= self.sequence:
            return
        commands = np.frombuffer(frame.commands, COMMAND).copy()
        acts = decode_acts(bytes(frame.acts))
        engine = self._engine or Engine()
        self.batch(engine, commands, acts, engine.apply(commands, acts), frame.last)

    def _forget_behind(self, engine: Engine) -> None:
        """Tell all again up to where an engine stands; what came behind it never was."""
        last = engine.sequence
        past = [seen for seen in self._past if seen.last <= last]
        self._past, self.lives, self.money = past, Lives(), Money()
        for seen in past:
            self._fold(engine, seen)
        self.lives.hold_against(engine)
        self.money.hold_against(engine)
        self.acts = {at: signed for at, signed in self.acts.items() if at <= last}
        self._hashes = {at: known for at, known in self._hashes.items() if at <= last}
        for noted in self._shown.values():
            while noted[-1].sequence > last:
                noted.pop()
        self._queues = queues_of(engine.core.book)
        self._ids_max = int(engine.core.memory.used[0]["ids_max"])
        self.sequence, self.time = last, engine.time

    def replica(self, engine: Engine, name: str) -> None:
        """Hold a replica's state, at whatever sequence it stands, against what it was."""
        known = self._hashes.get(engine.sequence)
        if known is None:
            raise LawBroken(STATE, f"{name} stands at {engine.sequence}, where no frame ends")
        if engine.state_hash() != known:
            state = f"{engine.state_hash():016x}"
            raise LawBroken(STATE, f"{name} at sequence {engine.sequence}: {state}, it was {known:016x}")

    # --- the store -----------------------------------------------------------------------------

    def settled(self, store: Store, engine: Engine) -> None:
        """Hold a store that was just flushed against the replica that it was flushed from."""
        mark = store.watermark.sequence
        if mark != engine.sequence or mark not in self._hashes:
            raise LawBroken(SETTLED, f"the store has settled {mark}, its replica stands at {engine.sequence}")
        must(SETTLED, [*_sums_broken(store)])

    def rebuilt(self, store: Store, again: Store) -> None:
        """Hold a store against one that was made anew from the journal, both at the same sequence."""
        must(SETTLED, [*_sums_broken(store), *differences(store, again)])

    # --- readers -------------------------------------------------------------------------------

    def shown(self, books: Books, instrument: int, reader: str = "a reader") -> None:
        """Hold a reader's book, where that calls itself live, against what it was at its sequence."""
        if instrument not in books:
            return
        builder = books[instrument]
        if builder.state is not State.LIVE:
            return
        if builder.sequence > self.sequence:
            what = f"{reader} has instrument {instrument} as of {builder.sequence}, noted is {self.sequence}"
            raise LawBroken(SYNCED_FIRST, what)
        noted = self._noted(instrument)
        at = bisect_right(noted, builder.sequence, key=lambda one: one.sequence) - 1
        must(SHOWN, [*_unlike(builder, noted[at].sides, reader)])

    def unseen(self, books: Books, reader: str) -> list[str]:
        """Return where the books of a reader that thinks them whole are not what stands there now."""
        whole = [book for book in books if book.state in {State.LIVE, State.STALE}]
        return [
            fault for book in whole for fault in _unlike(book, self._noted(book.instrument)[-1].sides, reader)
        ]

    def _noted(self, instrument: int) -> list[Shown]:
        """Return what an instrument's book has shown, the latest last."""
        return self._shown.get(instrument, [Shown(0, _EMPTY)])


def _unlike(builder: BookBuilder, sides: tuple[Queue, Queue], reader: str) -> Iterator[str]:
    """Yield where a reader's book differs from what stood there."""
    for side, queue in zip(Side, sides, strict=True):
        there: list[tuple[int, int, int]]
        if builder.has_orders:
            there, here = list(map(tuple, builder.orders(side))), queue  # type: ignore[arg-type]
        else:
            there, here = list(map(tuple, builder.depth(side, len(queue) + 1))), levels_of(queue)  # type: ignore[arg-type]
        if there != here:
            at = next(
                (n for n, pair in enumerate(zip(there, here, strict=False)) if pair[0] != pair[1]), None
            )
            at = min(len(there), len(here)) if at is None else at
            yield (
                f"{reader}, instrument {builder.instrument} at sequence {builder.sequence}, "
                f"{side.name.lower()} side, place {at}: {there[at : at + 1]} seen, {here[at : at + 1]} there"
            )


def _sums_broken(store: Store) -> Iterator[str]:
    """Yield which assets' postings do not sum to zero."""
    query = "select asset, sum(amount) from postings group by asset having sum(amount) <> 0 order by asset"
    for asset, rest in store.cursor().execute(query).fetchall():
        yield f"the postings of {asset} sum to {rest}"
