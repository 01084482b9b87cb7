"""Bugs to be planted in a simulated venue, each like a mistake that somebody could make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import pytest

from exchange.engine import Engine, Outcome
from exchange.memory import key_of_id, unmark
from exchange.protocol.acts import SignedAct, encode_acts
from exchange.protocol.messages import Decided
from exchange.server import gateway, snapshots
from exchange.server import journal as journal_module
from exchange.server.feeding import Teller
from exchange.server.journal import Frame, Journal
from exchange.server.reportlog import ReportLog
from exchange.server.sequencer import Sequencer
from exchange.server.settler import Settler
from exchange.simulation import parts
from exchange.simulation.laws_of_money import BALANCES, CAPS
from exchange.simulation.laws_of_orders import ONE_ID
from exchange.simulation.laws_of_queues import PRIORITY
from exchange.simulation.plan import DEED, Item, Plan, drawn
from matching.vocabulary import NO_SLOT, EventKind, Side
from settlement.layout import Ledger

Spoil = Callable[[Engine, Outcome], None]


DEEDS = 150
"""How much members do in a seed: half of the usual."""


class Canary(NamedTuple):
    """A bug, what it is caught by (words of the failure), and within how many seeds at the latest.

    With `faults` all faults of its plans are of these kinds, in turn: what only a power cut brings to light
    would take many seeds of all sorts.
    """

    name: str
    plant: Callable[[pytest.MonkeyPatch], None]
    caught_by: tuple[str, ...]
    seeds: int
    faults: tuple[str, ...] = ()

    def plan(self, seed: int) -> Plan:
        """Return what a seed has in store for this bug."""
        plan = drawn(seed, DEEDS)
        if not self.faults:
            return plan
        items, faults = list[Item](), cycle(self.faults)
        for item in plan.items:
            items.append(item if item.kind == DEED else item._replace(kind=next(faults)))
        return plan._replace(items=tuple(items))


def each_apply(patch: pytest.MonkeyPatch, spoil: Spoil) -> None:
    """Have every engine, live or replica, spoil its state in the same way behind each batch."""
    real = Engine.apply

    def apply(engine: Engine, commands: np.ndarray, acts: Any = ()) -> Outcome:
        outcome = real(engine, commands, acts)
        spoil(engine, outcome)
        return outcome

    patch.setattr(Engine, "apply", apply)


# --- the journal ---------------------------------------------------------------------------------


def sync_skipped(patch: pytest.MonkeyPatch) -> None:
    """Every other frame is written, and not synced."""
    real = Journal.append

    def append(journal: Journal, *about: Any) -> Any:
        files: Any = journal._files
        if journal.frames % 2:
            files.sync = lambda _handle: None
        try:
            return real(journal, *about)
        finally:
            vars(files).pop("sync", None)

    patch.setattr(Journal, "append", append)


def report_before_sync(patch: pytest.MonkeyPatch) -> None:
    """A batch is applied and answered at once; it is journalled with the next."""

    def sequence(sequencer: Any, commands: np.ndarray, acts: tuple[SignedAct, ...], now: int) -> Outcome:
        late = vars(sequencer).pop("late", None)
        if late is not None:
            sequencer.journal.append(*late)
        commands["time"] = now
        sequencer.late = now, commands.tobytes(), encode_acts(acts) if acts else b"", len(commands)
        outcome = sequencer.engine.apply(commands, acts)
        sequencer._timekeeper.hear(outcome)
        return outcome

    patch.setattr(Sequencer, "_sequence", sequence)


def last_frame_cut(patch: pytest.MonkeyPatch) -> None:
    """At a start the journal's last frame is taken for torn, though it is whole."""
    real = journal_module.read_frames

    def frames(*about: Any, **more: Any) -> Iterator[Frame]:
        held: Frame | None = None
        for frame in real(*about, **more):
            if held is not None:
                yield held
            held = frame

    patch.setattr(journal_module, "read_frames", frames)


def snapshot_lacks_rows(patch: pytest.MonkeyPatch) -> None:
    """A snapshot leaves out the redemptions that are open, which no hash of the state covers."""

    def save(folder: Any, engine: Engine, *about: Any) -> Any:
        kept, engine.registry.redemptions = engine.registry.redemptions, {}
        try:
            return snapshots.save(folder, engine, *about)
        finally:
            engine.registry.redemptions = kept

    patch.setattr(parts, "save", save)


# --- money ---------------------------------------------------------------------------------------


def _subsidised(ledger: Ledger, outcome: Outcome) -> Iterator[tuple[int, int, int]]:
    """Yield of each trade that a programme paid for: programme, row of the group's usage, amount."""
    events, effects = outcome.events, outcome.effects
    for at in np.flatnonzero((events["kind"] == EventKind.TRADED) & (effects["subsidy"] > 0)):
        prefix = "" if events["side"][at] == Side.BUY else "maker_"
        order = events[prefix + "order"][at]
        rows = ledger.parcels[: int(ledger.totals[0]["parcels"])]
        for parcel in rows[rows["order"] == order]:
            yield int(parcel["programme"]), int(parcel["usage"]), int(effects["subsidy"][at])


def paid_twice(patch: pytest.MonkeyPatch) -> None:
    """What a programme pays at a trade is booked twice."""

    def spoil(engine: Engine, outcome: Outcome) -> None:
        ledger = engine.core.ledger
        events, effects = outcome.events, outcome.effects
        for at in np.flatnonzero((events["kind"] == EventKind.TRADED) & (effects["subsidy"] > 0)):
            is_taker = events["side"][at] == Side.BUY
            member = int(effects["member" if is_taker else "maker_member"][at])
            programme = int(effects["programme" if is_taker else "maker_programme"][at])
            subsidy = int(effects["subsidy"][at])
            ledger.accounts["available"][ledger.members[member]["money"]] += subsidy
            ledger.programmes["paid"][programme] += subsidy
            ledger.programmes["uncommitted"][programme] -= subsidy

    each_apply(patch, spoil)


def cap_not_counted(patch: pytest.MonkeyPatch) -> None:
    """What is paid at a trade is no longer counted against the group's cap."""

    def spoil(engine: Engine, outcome: Outcome) -> None:
        ledger = engine.core.ledger
        for _, usage, amount in _subsidised(ledger, outcome):
            ledger.usages["money"][usage] -= amount

    each_apply(patch, spoil)


def release_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A cancelled buy leaves a hao of its hold behind."""

    def spoil(engine: Engine, outcome: Outcome) -> None:
        ledger, events = engine.core.ledger, outcome.events
        gone = (events["kind"] == EventKind.CANCELLED) & (events["side"] == Side.BUY)
        for member in outcome.effects["member"][gone].tolist():
            account = ledger.accounts[int(ledger.members[member]["money"])]
            if account["available"] > 0:
                account["available"] -= 1
                account["held"] += 1

    each_apply(patch, spoil)


def refund_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The money of a bust is taken from the seller, and never comes to the buyer."""

    def spoil(engine: Engine, outcome: Outcome) -> None:
        ledger = engine.core.ledger
        for line in outcome.happened.postings:
            if line.reason == "bust" and line.account == "free" and line.asset == 0 and line.amount > 0:
                account = ledger.accounts[int(ledger.members[line.member]["money"])]
                account["available"] -= min(line.amount, int(account["available"]))

    each_apply(patch, spoil)


# --- orders --------------------------------------------------------------------------------------


def orders_swapped(patch: pytest.MonkeyPatch) -> None:
    """Who comes to a price where others wait is put before the last of them."""

    def spoil(engine: Engine, outcome: Outcome) -> None:
        book = engine.core.book
        came = outcome.events["order"][outcome.events["kind"] == EventKind.ACCEPTED].tolist()
        for slot in np.flatnonzero(np.isin(book.orders["id"], came) & (book.orders["leaves"] > 0)).tolist():
            last = book.orders[slot]
            level = book.levels[int(last["level"])]
            if level["last"] != slot or last["ahead"] == NO_SLOT:
                continue
            other = int(last["ahead"])
            before = int(book.orders[other]["ahead"])
            if before == NO_SLOT:
                level["first"] = slot
            else:
                book.orders[before]["behind"] = slot
            level["last"] = other
            last["ahead"], last["behind"] = before, other
            book.orders[other]["ahead"], book.orders[other]["behind"] = slot, NO_SLOT

    each_apply(patch, spoil)


def id_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A client id is forgotten as soon as its order has ended."""

    def spoil(engine: Engine, outcome: Outcome) -> None:
        memory = engine.core.memory
        ended = np.isin(outcome.events["kind"], (EventKind.CANCELLED, EventKind.EXPIRED))
        for order in outcome.events["order"][ended].tolist():
            for slot in np.flatnonzero(
                memory.memos["order"][: int(memory.used[0]["memos"])] == order
            ).tolist():
                memo = memory.memos[slot]
                tag = int(key_of_id(memo["member"], memo["client_id"])) & (2**32 - 1)
                if slot in memory.marks["slot"][memory.marks["tag"] == tag]:
                    unmark(memory.marks, tag, slot)

    each_apply(patch, spoil)


def fill_untold(patch: pytest.MonkeyPatch) -> None:
    """Who was away is told again what became of its orders, but for their fills."""
    real = ReportLog.since

    def since(kept: ReportLog, member: int, sequence: int) -> np.ndarray:
        missed = real(kept, member, sequence)
        rows: np.ndarray = missed[missed["kind"] != EventKind.TRADED]
        return rows

    patch.setattr(ReportLog, "since", since)


def answered_for_another(patch: pytest.MonkeyPatch) -> None:
    """Who has an act done is answered with the sequence of what was done before it."""
    last = [0]

    def decided(request: int, sequence: int, orders_cancelled: int = 0) -> Decided:
        before, last[0] = last[0], sequence
        return Decided(request, before or sequence, orders_cancelled)

    patch.setattr(gateway, "Decided", decided)


# --- followers -----------------------------------------------------------------------------------


def feed_drops(patch: pytest.MonkeyPatch) -> None:
    """The publisher passes over the last change of every tenth batch, and gives it no number."""
    real = Teller.told
    told = [0]

    def outgoing(teller: Teller, outcome: Outcome, *about: int) -> list[bytes]:
        told[0] += len(outcome.tape) > 0
        if len(outcome.tape) and told[0] % 10 == 0:
            outcome = outcome._replace(tape=outcome.tape[:-1])
        return real(teller, outcome, *about)

    patch.setattr(Teller, "told", outgoing)


def settled_twice(patch: pytest.MonkeyPatch) -> None:
    """A settlement that starts again takes the frame at its watermark once more."""
    real = Settler._keep

    def keep(settler: Settler, frame: Frame, outcome: Outcome) -> None:
        if frame.last == settler.store.watermark.sequence:
            settler.store.add(outcome.events, outcome.effects, outcome.happened)
        real(settler, frame, outcome)

    patch.setattr(Settler, "_keep", keep)


_DAMAGED = "JournalDamaged"
_LOST = "what was synced is never lost"

CANARIES = (
    Canary("a sync is skipped", sync_skipped, (_LOST, _DAMAGED), 8, ("power cut",)),
    Canary("a report before the sync", report_before_sync, ("nothing is told that is not synced",), 1),
    Canary("a whole frame taken for torn", last_frame_cut, (_LOST, _DAMAGED), 3, ("kill",)),
    Canary("a snapshot lacks rows", snapshot_lacks_rows, ("the same state",), 10, ("snapshot", "kill")),
    Canary("a subsidy is paid twice", paid_twice, (BALANCES,), 3),
    Canary("a cap is not counted", cap_not_counted, (CAPS,), 3),
    Canary("a release is forgotten", release_forgotten, ("each row is as it must be",), 3),
    Canary("a refund is forgotten", refund_forgotten, (BALANCES,), 5),
    Canary("two orders are swapped", orders_swapped, (PRIORITY,), 3),
    Canary("an id is forgotten too early", id_forgotten, (ONE_ID,), 5),
    Canary("a fill is not told again", fill_untold, ("believes otherwise",), 8),
    Canary("an answer to another's act", answered_for_another, ("it was told that this is done",), 1),
    Canary("the feed drops a change", feed_drops, ("readers see the book",), 3),
    Canary("a frame is settled twice", settled_twice, ("was added before",), 3, ("kill",)),
)
