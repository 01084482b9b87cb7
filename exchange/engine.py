"""The pure core: a batch of commands in, a batch of events out; the same journal, the same state.

Imports no socket, file, clock or chance. Time comes with the commands; names come with the acts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from exchange.core import ACCOUNTS_PER_COMMAND, begin_act, end_act, run
from exchange.decisions import Decision
from exchange.fixing import Notes
from exchange.memory import IDS_PER_MEMBER, empty_memory, note_memos
from exchange.protocol.acts import Admit, SignedAct, encode_acts
from exchange.protocol.arrays import COMMAND
from exchange.refusing import find_faults
from exchange.registry import Registry
from exchange.state import Core, Output
from matching.batch import EVENTS_AT_FIRST, room_for_events, with_room
from matching.digest import digest_rows
from matching.layout import CHILDREN, EVENT, TAPE, Row, empty_book, grown
from matching.layout import COMMAND as FORM
from matching.tape import blank_tape, taken
from matching.vocabulary import CommandKind, EventKind, Phase, RejectReason
from settlement.balances import note_accounts
from settlement.classes import RATES
from settlement.layout import EFFECT, PARCEL, RECENT_TRADES, STAKE, empty_ledger
from settlement.programmes import note_usages
from settlement.rows import Cause, Happened, PhaseRow, ProgrammeRow

RULES_VERSION = 5
"""The version of the rules that this code applies; each frame of the journal names it."""

_HOUSE = SignedAct("HOUSE", "the venue itself", Admit(member="HOUSE", role="operator", group="HOUSE"))

_CAUSES: dict[int, Cause] = {
    RejectReason.NONE: "",
    RejectReason.STATIC_COLLAR: "static_collar",
    RejectReason.DYNAMIC_COLLAR: "dynamic_collar",
}


class ActResult(NamedTuple):
    """What became of the act at `row` of a batch; `value` is what was at fault, where that is not plain.

    `detail` is the number that the remedy speaks of; `answered` is the sequence with which it is answered:
    its own, but for what was done before and is sent again.
    """

    row: int
    sequence: int
    reason: RejectReason
    value: str = ""
    detail: int = 0
    answered: int = 0


class Outcome(NamedTuple):
    """What a batch brought about: events and, row by row beside them, effects; then the acts' part.

    Acts cause events, too, which bear the act's row. Phases and indicative prices are nobody's: their
    effects name no member. `tape` is what was done to the books' queues (dtype `matching.layout.TAPE`), if
    the engine records it. The arrays are read before the next batch is applied: they are views of buffers
    used again.
    """

    events: np.ndarray
    effects: np.ndarray
    acts: tuple[ActResult, ...]
    happened: Happened
    tape: np.ndarray


class Whole(NamedTuple):
    """All that an engine knows; whatever else it has can be made again.

    `interruptions` is how many of the book's were told as phases, `acts_digest` the chain of all acts.
    """

    core: Core
    registry: Registry
    notes: Notes
    sequence: int
    time: int
    interruptions: int
    acts_digest: bytes


class Engine:
    """The state of the whole venue, and the only way to change it: `apply`."""

    def __init__(self, ids_per_member: int = IDS_PER_MEMBER) -> None:
        book = empty_book()
        self.core = Core(
            book=book,
            ledger=empty_ledger(len(book.orders)),
            memory=empty_memory(ids_per_member),
            form=np.zeros(1, FORM),
            draft=np.zeros(1, STAKE),
            grant=np.zeros(1, PARCEL),
        )
        self.registry = Registry()
        self.notes = Notes()
        self.sequence = 0
        self.time = 0
        self._interruptions = 0
        self._acts_digest = bytes(32)
        self._output = Output(np.zeros(EVENTS_AT_FIRST, EVENT), np.zeros(EVENTS_AT_FIRST, EFFECT))
        house = Decision(self.core, self.registry, self.notes, _HOUSE, 1, 0)  # told with the first command
        house.apply()
        self.core = house.core
        self._house = house.happened()

    @classmethod
    def restored(cls, whole: Whole) -> Self:
        """Return an engine that goes on from `whole`, and makes it its own."""
        engine = cls()
        engine.core, engine.registry, engine.notes = whole.core, whole.registry, whole.notes
        engine.sequence, engine.time = whole.sequence, whole.time
        engine._interruptions = whole.interruptions
        engine._acts_digest = whole.acts_digest
        return engine

    def whole(self) -> Whole:
        """Return all that the engine knows, as it stands: views, valid until the next batch."""
        return Whole(
            self.core,
            self.registry,
            self.notes,
            self.sequence,
            self.time,
            self._interruptions,
            self._acts_digest,
        )

    def apply(self, commands: np.ndarray, acts: Sequence[SignedAct] = ()) -> Outcome:
        """Apply a batch (dtype `COMMAND`, times filled in) and the acts that its ACT rows name.

        The batch gets the sequences that follow the last one. How commands are cut into batches
        changes no event and no state.
        """
        assert commands.dtype == COMMAND, "a batch is an array of exchange.protocol.arrays.COMMAND"
        commands = np.require(commands, requirements=("C", "W"))  # one layout, one compiled kernel
        first = self.sequence + 1
        results: list[ActResult] = []
        parts: list[Happened] = []
        if first == 1:
            parts.append(self._house)
        pieces: list[tuple[np.ndarray, np.ndarray]] = []
        tapes: list[np.ndarray] = []
        row = 0
        while row < len(commands):
            row, written = run(self.core, commands, row, first, self._output)
            is_last = row == len(commands)
            tapes.append(taken(self.core.book.tape, copy=not is_last))
            if written or is_last:
                pieces.append(self._written(written, copy=not is_last))
                parts.append(self._note(*pieces[-1]))
            if is_last:
                break
            self.make_room()
            if commands[row]["kind"] == CommandKind.ACT:
                signed = acts[commands[row]["act"]]
                decision, written = self._decide(signed, commands, row, first)
                pieces.append(self._written(written, copy=True))
                tapes.append(taken(self.core.book.tape))
                parts += decision.happened(), self._note(*pieces[-1], signed)
                about = (decision.reason, decision.value, decision.detail, decision.answered)
                results.append(ActResult(row, first + row, *about))
                row += 1
        self.sequence += len(commands)
        if len(commands):
            self.time = int(commands[-1]["time"])
        events = _one_of([one for one, _ in pieces], EVENT)
        effects = _one_of([two for _, two in pieces], EFFECT)
        tape = _one_of(tapes, TAPE)
        return Outcome(events, effects, tuple(results), _all_that_happened(parts), tape)

    def record(self) -> None:
        """Record from now on what is done to the books' queues: each outcome then has a `tape`.

        For the feed. Recording changes no event and no state.
        """
        tape = blank_tape(len(self._output.events))
        self.core = self.core._replace(book=self.core.book._replace(tape=tape))

    def faults(self, commands: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return why each command cannot be taken as written (a `RejectReason` or 0), and its detail."""
        faults = np.zeros(len(commands), np.uint8)
        details = np.zeros(len(commands), np.int64)
        find_faults(self.core, commands, faults, details)
        return faults, details

    def programmes(self) -> list[ProgrammeRow]:
        """Return every programme with its budget as it stands now."""
        return [
            ProgrammeRow(
                index=index,
                programme=terms.code,
                fiscal_year=terms.fiscal_year,
                terms_version=terms.version,
                budget=int(row["budget"]),
                uncommitted=int(row["uncommitted"]),
                reserved=int(row["reserved"]),
                paid=int(row["paid"]),
                vested=int(row["vested"]),
            )
            for index, terms in enumerate(self.registry.programmes)
            for row in [self.core.ledger.programmes[index]]
        ]

    @property
    def next_expiry(self) -> int:
        """Return when the next order expires by its own time, in ns since 1970; far ahead if none does."""
        return int(self.core.book.counts[0]["next_expiry"])

    def state_hash(self) -> int:
        """Return a hash of the whole state, 64 bits: equal on every replica at the same sequence.

        It covers every row in use of every table, the acts so far and what is noted for the fixing. Of the
        tables that only find rows it covers the book's, whose chains run through the orders; not how much
        room the pools have.
        """
        book, ledger, memory = self.core.book, self.core.ledger, self.core.memory
        counts, totals = book.counts[0], ledger.totals[0]
        tables = (
            (book.orders, counts["orders_used"]),
            (book.extras, counts["extras_used"]),
            (book.levels, counts["levels_used"]),
            (book.nodes, counts["nodes_used"]),
            (book.children, CHILDREN * int(counts["nodes_used"])),
            (book.halves, len(book.halves)),
            (book.markets, len(book.markets)),
            (book.expiries, counts["expiries"]),
            (book.heads, len(book.heads)),
            (book.counts, 1),
            (ledger.accounts, totals["accounts"]),
            (ledger.members, totals["members"]),
            (ledger.listings, totals["listings"]),
            (ledger.issuers, totals["issuers"]),
            (ledger.fees, len(ledger.fees)),
            (ledger.programmes, totals["programmes"]),
            (ledger.rates, RATES * int(totals["programmes"])),
            (ledger.exclusions, totals["exclusions"]),
            (ledger.barred, totals["barred"]),
            (ledger.groups, totals["groups"]),
            (ledger.usages, totals["usages"]),
            (ledger.parcels, totals["parcels"]),
            (ledger.legs, totals["legs"]),
            (ledger.recents, min(int(totals["trades"]) + 1, RECENT_TRADES)),
            (ledger.stakes, counts["orders_used"]),
            (ledger.totals, 1),
            (memory.memos, memory.used[0]["memos"]),
            (memory.recalls, totals["members"]),
            (memory.used, 1),
        )
        acts = int.from_bytes(self._acts_digest[:8], "little", signed=True)
        whole = digest_rows(np.array([acts, self.sequence, self.time]), 0)
        whole = digest_rows(self.notes.numbers(), whole)
        for rows, used in tables:
            whole = digest_rows(np.ascontiguousarray(rows[: int(used)]).view(np.int64).ravel(), whole)
        return int(whole) & (2**64 - 1)

    def _written(self, count: int, *, copy: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return what the kernel has written; a copy if it will write again before it is read."""
        events, effects = self._output.events[:count], self._output.effects[:count]
        return (events.copy(), effects.copy()) if copy else (events, effects)

    def _decide(self, signed: SignedAct, commands: np.ndarray, row: int, first: int) -> tuple[Decision, int]:
        """Apply the act in `row` at its place, in the room that is there; return how many events it wrote."""
        expired = begin_act(self.core, commands, row, self._output)
        time = int(commands[row]["time"])
        decision = Decision(self.core, self.registry, self.notes, signed, first + row, time)
        decision.apply()
        self.core = decision.core
        self._acts_digest = hashlib.sha256(self._acts_digest + encode_acts((signed,))).digest()
        forms = np.array(decision.forms, FORM)
        cause = int(decision.cause)
        written = end_act(self.core, commands, row, first, forms, cause, self._output, expired)
        decision.finish()
        self.core = decision.core
        return decision, written

    def _note(self, events: np.ndarray, effects: np.ndarray, signed: SignedAct | None = None) -> Happened:
        """Note what events mean beside book and ledger: trades for the fixing, phases for the store.

        Without an act only a collar changes a phase, and the book counts how often one has.
        """
        if self.registry.fixing_day is not None:
            self.notes.note(events[self._trades_of_strangers(events, effects)], self.registry)
        interruptions = int(self.core.book.counts[0]["interruptions"])
        if signed is None and interruptions == self._interruptions:
            return Happened()
        self._interruptions = interruptions
        changed = np.flatnonzero(events["kind"] == EventKind.PHASE_CHANGED)
        return Happened(phases=tuple(self._phase_row(events[at], effects[at], signed) for at in changed))

    def _trades_of_strangers(self, events: np.ndarray, effects: np.ndarray) -> np.ndarray:
        """Return the rows of trades but for those within one group: nobody makes a price with himself."""
        rows = np.flatnonzero(events["kind"] == EventKind.TRADED)
        groups = self.core.ledger.members["group"]
        return rows[groups[effects["member"][rows]] != groups[effects["maker_member"][rows]]]

    def _phase_row(self, event: Row, effect: Row, signed: SignedAct | None) -> PhaseRow:
        """Return a change of phase as the store takes it; a call that a collar began is nobody's yet."""
        instrument = int(event["instrument"])
        if signed is None:
            self.registry.plans.pop(instrument, None)
            self.registry.overridden.discard(instrument)
        return PhaseRow(
            sequence=int(effect["sequence"]),
            time=int(effect["time"]),
            instrument=instrument,
            phase=Phase(event["phase"]).name.lower(),
            reference=int(event["price"]),
            cause=_CAUSES[event["reason"]],
            who=signed.who if signed else "",
            why=signed.why if signed else "",
        )

    def make_room(self) -> None:
        """Double every pool that is nearly full, and the output if one command could overrun it."""
        ledger, memory = self.core.ledger, self.core.memory
        book = with_room(self.core.book)
        totals = ledger.totals[0]
        accounts = int(totals["accounts"]) + ACCOUNTS_PER_COMMAND
        usages = int(totals["usages"]) + 1
        ledger = ledger._replace(
            accounts=grown(ledger.accounts, accounts),
            usages=grown(ledger.usages, usages),
            parcels=grown(ledger.parcels, int(totals["parcels"]) + 1),
            stakes=grown(ledger.stakes, len(book.orders)),
        )
        if 2 * accounts > len(ledger.account_places):
            ledger = note_accounts(ledger)
        if 2 * usages + 2 > len(ledger.usage_places):
            ledger = note_usages(ledger)
        memos = int(memory.used[0]["memos"]) + 1
        memory = memory._replace(memos=grown(memory.memos, memos))
        if 2 * memos > len(memory.marks):
            memory = note_memos(memory)
        self.core = self.core._replace(book=book, ledger=ledger, memory=memory)
        if room_for_events(book) > len(self._output.events):
            size = 2 * room_for_events(book)
            self._output = Output(np.zeros(size, EVENT), np.zeros(size, EFFECT))
            if len(book.tape):
                book = book._replace(tape=blank_tape(size))
                self.core = self.core._replace(book=book)
        legs_used = int(totals["legs"])
        legs = grown(ledger.legs, legs_used + len(self._output.events), legs_used)
        self.core = self.core._replace(ledger=ledger._replace(legs=legs))


def _one_of(pieces: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Return the pieces of one batch as one array."""
    pieces = [piece for piece in pieces if len(piece)]
    if not pieces:
        return np.zeros(0, dtype)
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _all_that_happened(parts: list[Happened]) -> Happened:
    """Return all that a batch brings to the store beside its events."""
    names = Happened.__struct_fields__
    return Happened(*(tuple(row for part in parts for row in getattr(part, name)) for name in names))
