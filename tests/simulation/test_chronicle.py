"""The witness of a simulation: it is silent where all is well, and each of its laws is seen to fail once."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import pytest

from exchange.engine import Engine, Outcome
from exchange.protocol.acts import encode_acts
from exchange.server.feeding import Teller
from exchange.server.frames import Frame
from exchange.server.journal import Position
from exchange.simulation import chronicle as laws
from exchange.simulation.chronicle import Chronicle
from exchange.simulation.laws import LawBroken
from exchange.simulation.laws_of_money import BALANCES, BUDGETS, CAPS, SUBSIDY, ZERO
from exchange.simulation.laws_of_orders import LIMITS, LIVES, ONE_ID
from exchange.simulation.laws_of_queues import faults_of_queues, levels_of
from feeds.builder import Books
from feeds.messages import LEVELS_REFRESH, ORDERS_REFRESH, read, write_ask
from matching.layout import EVENT, HALVES
from matching.vocabulary import NO_SLOT, CommandKind, EventKind, Side
from settlement.rows import Happened, Posting
from settlement.store import Store, Watermark
from tests.journal.world import Batch, tape

SEED = 7
BATCHES = 40


class Played(NamedTuple):
    """A market played so far, and what comes next."""

    engine: Engine
    chronicle: Chronicle
    next: Batch

    def go_on(self, spoil: Callable[[Engine, Outcome], Outcome] = lambda _, outcome: outcome) -> None:
        """Apply the next batch, spoil what comes of it, and show that to the chronicle."""
        commands, acts = self.next
        outcome = spoil(self.engine, self.engine.apply(commands, acts))
        self.chronicle.batch(self.engine, commands, acts, outcome, self.engine.sequence)


def play(batches: list[Batch], engine: Engine, chronicle: Chronicle) -> None:
    for commands, acts in batches:
        outcome = engine.apply(commands, acts)
        chronicle.batch(engine, commands, acts, outcome, engine.sequence)


@pytest.fixture(scope="module")
def batches() -> list[Batch]:
    return tape(SEED, 10 * BATCHES, per_frame=10)


@pytest.fixture(scope="module")
def once(batches: list[Batch]) -> Played:
    """A market after many batches, of which the next one trades with a programme's money."""
    engine, chronicle = Engine(), Chronicle(thorough_every=8)
    for at, (commands, acts) in enumerate(batches):
        if at > BATCHES // 2:
            trial = deepcopy(engine).apply(commands, acts)
            kinds = trial.events["kind"]
            if np.any((kinds == EventKind.TRADED) & (trial.effects["subsidy"] > 0)):
                return Played(engine, chronicle, Batch(commands, acts))
        outcome = engine.apply(commands, acts)
        chronicle.batch(engine, commands, acts, outcome, engine.sequence)
    raise AssertionError("this seed has no subsidised trade late enough; choose another")


@pytest.fixture
def played(once: Played) -> Played:
    return deepcopy(once)


def row_of(outcome: Outcome, kind: EventKind, *, is_subsidised: bool = False) -> int:
    found = outcome.events["kind"] == kind
    if is_subsidised:
        found &= outcome.effects["subsidy"] > 0
    return int(np.flatnonzero(found)[0])


def own(outcome: Outcome) -> Outcome:
    """Return an outcome that may be written to."""
    return outcome._replace(events=outcome.events.copy(), effects=outcome.effects.copy())


# --- all is well ---------------------------------------------------------------------------------


def test_a_market_without_a_bug_keeps_every_law(played: Played) -> None:
    played.go_on()
    assert played.chronicle.sequence == played.engine.sequence
    assert played.chronicle.lives.trades > 0
    assert any(one.is_exact for one in played.chronicle.money._deals.values())


def test_a_replay_of_what_was_noted_is_held_against_it(played: Played, batches: list[Batch]) -> None:
    again = Engine()
    play(batches[:2], again, played.chronicle)
    commands, acts = batches[2]
    outcome = again.apply(commands, acts)
    played.chronicle.batch(again, commands, acts, outcome, again.sequence)
    again.core.ledger.accounts["available"][1] += 1
    with pytest.raises(LawBroken, match="a replay at sequence"):
        played.chronicle.batch(again, commands, acts, outcome, again.sequence)


# --- each law fails once -------------------------------------------------------------------------


def free_money(engine: Engine, outcome: Outcome) -> Outcome:
    accounts = engine.core.ledger.accounts
    accounts["available"][np.flatnonzero(accounts["available"])[-1]] += 1
    return outcome


def hold_forgotten(engine: Engine, outcome: Outcome) -> Outcome:
    account = engine.core.ledger.accounts[np.flatnonzero(engine.core.ledger.accounts["held"])[0]]
    account["held"] -= 1
    account["available"] += 1
    return outcome


def usage_forgotten(engine: Engine, outcome: Outcome) -> Outcome:
    engine.core.ledger.usages["money"][0] += 1
    return outcome


def budget_eaten(engine: Engine, outcome: Outcome) -> Outcome:
    row = engine.core.ledger.programmes[0]
    row["uncommitted"] -= 1
    row["paid"] += 1
    return outcome


def subsidy_doubled(_: Engine, outcome: Outcome) -> Outcome:
    outcome = own(outcome)
    outcome.effects["subsidy"][row_of(outcome, EventKind.TRADED, is_subsidised=True)] *= 2
    return outcome


def entry_unbalanced(_: Engine, outcome: Outcome) -> Outcome:
    line = Posting(1, 1, 1, 1, "free", 0, 5, "deposit")
    return outcome._replace(happened=Happened(postings=(line,)))


def fill_miscounted(_: Engine, outcome: Outcome) -> Outcome:
    outcome = own(outcome)
    outcome.effects["filled"][row_of(outcome, EventKind.TRADED)] += 1
    return outcome


def lots_added(engine: Engine, outcome: Outcome) -> Outcome:
    orders = engine.core.book.orders
    orders["leaves"][np.flatnonzero(orders["leaves"])[0]] += 1
    return outcome


def limit_passed(_: Engine, outcome: Outcome) -> Outcome:
    outcome = own(outcome)
    at = row_of(outcome, EventKind.TRADED)
    price = 10**9 if outcome.events["side"][at] == Side.BUY else 1
    traded = int(outcome.events["price"][at]), int(outcome.events["quantity"][at])
    outcome.events["price"][at] = price
    for prefix in ("", "maker_"):
        outcome.effects[prefix + "gross"][at] += (price - traded[0]) * traded[1]
    return outcome


def sequence_skipped(engine: Engine, outcome: Outcome) -> Outcome:
    engine.sequence += 1
    return outcome


def book_crossed(engine: Engine, outcome: Outcome) -> Outcome:
    halves = engine.core.book.halves
    for market in range(len(halves) // HALVES):
        bid, ask = halves[HALVES * market : HALVES * market + 2]
        if bid["orders"] and ask["orders"]:
            bid["best_key"] = ~int(ask["best_key"])
            return outcome
    raise AssertionError("no book has two sides")


@pytest.mark.parametrize(
    ("spoil", "law"),
    [
        (free_money, BALANCES),
        (hold_forgotten, laws.OWN_STATE),
        (usage_forgotten, CAPS),
        (budget_eaten, BUDGETS),
        (subsidy_doubled, SUBSIDY),
        (entry_unbalanced, ZERO),
        (fill_miscounted, LIVES),
        (lots_added, LIVES),
        (limit_passed, LIMITS),
        (sequence_skipped, laws.ORDER),
        (book_crossed, laws.CROSSED),
    ],
)
def test_each_law_is_seen_to_fail(
    played: Played, spoil: Callable[[Engine, Outcome], Outcome], law: str
) -> None:
    with pytest.raises(LawBroken) as broken:
        played.go_on(spoil)
    assert broken.value.law == law
    assert broken.value.what


def test_a_time_before_the_one_before_is_seen(played: Played) -> None:
    commands, acts = played.next
    outcome = played.engine.apply(commands, acts)
    turned_back = commands.copy()
    turned_back["time"][0] -= 10**12
    with pytest.raises(LawBroken, match="behind") as broken:
        played.chronicle.batch(played.engine, turned_back, acts, outcome, played.engine.sequence)
    assert broken.value.law == laws.ORDER


def test_one_id_is_one_order(played: Played) -> None:
    commands = played.next.commands
    copied = next(
        row
        for seen in reversed(played.chronicle._past)
        for row in seen.commands[seen.commands["kind"] == CommandKind.NEW]
        if int(row["sent_at"]) and row["client_id"][0]
    )
    batch = Batch(np.array([copied], commands.dtype), ())
    batch.commands["time"] = played.engine.time
    played.engine.core.memory.marks["slot"][:] = NO_SLOT  # all ids are forgotten
    forgetful = played._replace(next=batch)
    with pytest.raises(LawBroken) as broken:
        forgetful.go_on()
    assert broken.value.law == ONE_ID


# --- queues --------------------------------------------------------------------------------------


def events(*told: tuple[int, int, int, int, int]) -> np.ndarray:
    """Return events of instrument 0, told by kind, side, order, maker's order and price."""
    rows = np.zeros(len(told), EVENT)
    for at, (kind, side, order, maker, price) in enumerate(told):
        rows[at]["kind"], rows[at]["side"], rows[at]["order"] = kind, side, order
        rows[at]["maker_order"], rows[at]["price"] = maker, price
    return rows


ASKS = [(1, 100, 5), (2, 100, 5), (3, 101, 5)]
TRADED, ACCEPTED, REPLACED = EventKind.TRADED, EventKind.ACCEPTED, EventKind.REPLACED


def test_the_first_of_a_queue_is_met_first() -> None:
    met = events((TRADED, Side.BUY, 9, 1, 100))
    assert not [*faults_of_queues({(0, 1): ASKS}, {(0, 1): ASKS[1:]}, met)]
    passed = events((TRADED, Side.BUY, 9, 2, 100))
    after = [ASKS[0], ASKS[2]]
    assert [*faults_of_queues({(0, 1): ASKS}, {(0, 1): after}, passed)] == [
        "order 2 was met at 100, and not order 1 at 100, which came first"
    ]


def test_who_comes_stands_last() -> None:
    came = events((ACCEPTED, Side.SELL, 4, 0, 100))
    assert not [*faults_of_queues({(0, 1): ASKS}, {(0, 1): [*ASKS[:2], (4, 100, 1), ASKS[2]]}, came)]
    (fault,) = faults_of_queues({(0, 1): ASKS}, {(0, 1): [ASKS[0], (4, 100, 1), *ASKS[1:]]}, came)
    assert fault == "instrument 0, sell side: order 4 has come, and stands before order 2, which was there"


def test_nobody_moves_by_himself() -> None:
    (fault,) = faults_of_queues({(0, 1): ASKS}, {(0, 1): [ASKS[1], ASKS[0], ASKS[2]]}, events())
    assert "(1, 100, 5) stood where (2, 100, 5) stands" in fault
    replaced = events((REPLACED, Side.SELL, 1, 0, 100))
    assert not [*faults_of_queues({(0, 1): ASKS}, {(0, 1): [ASKS[1], (1, 100, 9), ASKS[2]]}, replaced)]


def test_levels_are_sums() -> None:
    assert levels_of(ASKS) == [(100, 10, 2), (101, 5, 1)]


# --- restarts ------------------------------------------------------------------------------------


def frame_of(engine: Engine, batch: Batch) -> Frame:
    """Return a batch as the frame that a journal holds behind an engine's state."""
    commands, acts = batch
    return Frame(
        first=engine.sequence + 1,
        count=len(commands),
        time=int(commands[-1]["time"]),
        rules_version=1,
        state_hash=0,
        commands=commands.tobytes(),
        acts=encode_acts(acts) if acts else b"",
        previous=bytes(32),
        digest=bytes(32),
        end=Position(1, 0),
    )


def test_what_was_synced_is_never_lost(played: Played, batches: list[Batch]) -> None:
    played.chronicle.synced = played.engine.sequence
    again = Engine()
    again.apply(*batches[0])
    with pytest.raises(LawBroken) as broken:
        played.chronicle.recovered(again)
    assert broken.value.law == laws.DURABLE


def test_what_was_not_synced_never_was(batches: list[Batch]) -> None:
    engine, chronicle = Engine(), Chronicle()
    play(batches[:6], engine, chronicle)
    again, other = Engine(), Chronicle()
    play(batches[:4], again, other)
    chronicle.recovered(again)
    assert chronicle.sequence == again.sequence
    assert chronicle.lives.orders == other.lives.orders
    play(batches[4:6], again, chronicle)
    assert chronicle.sequence == engine.sequence


def test_what_was_journalled_and_not_applied_is_caught_up_with(batches: list[Batch]) -> None:
    engine, chronicle = Engine(), Chronicle()
    play(batches[:5], engine, chronicle)
    frame = frame_of(engine, batches[5])
    again = Engine()
    for batch in batches[:6]:
        again.apply(*batch)
    with pytest.raises(LawBroken, match="where no frame ends"):
        chronicle.recovered(again)
    chronicle.recovered(again, [frame])
    assert chronicle.sequence == again.sequence


def test_a_replica_that_parts_is_named(played: Played) -> None:
    played.chronicle.replica(played.engine, "the feed")
    played.engine.core.ledger.accounts["available"][1] += 1
    with pytest.raises(LawBroken, match="the feed at sequence"):
        played.chronicle.replica(played.engine, "the feed")


def test_nothing_is_told_that_is_not_synced(played: Played) -> None:
    played.chronicle.synced = 10
    played.chronicle.told("ANN", 10)
    with pytest.raises(LawBroken, match="ANN is told of 11, synced is 10"):
        played.chronicle.told("ANN", 11)


# --- readers and the store -----------------------------------------------------------------------


@pytest.mark.parametrize("orders", [True, False])
def test_a_reader_s_book_is_held_against_the_one_that_was(played: Played, *, orders: bool) -> None:
    instrument = next(key[0] for key in played.chronicle._queues)
    teller = Teller(played.engine, run=1)
    books = Books([instrument], orders=orders)
    books.take(read(teller.each_second(played.engine.time)[0]), 1)
    answer = teller.answer(write_ask(ORDERS_REFRESH if orders else LEVELS_REFRESH, instrument))
    assert answer is not None
    books.take(read(answer), 1)
    played.chronicle.shown(books, instrument)
    played.chronicle.shown(books, instrument + 1)  # it is not followed
    assert played.chronicle.unseen(books, "a reader") == []
    sides = played.chronicle._shown[instrument][-1].sides
    side = sides[0] or sides[1]
    side[0] = (*side[0][:2], side[0][2] + 1)
    with pytest.raises(LawBroken, match="a reader, instrument"):
        played.chronicle.shown(books, instrument)
    (fault,) = played.chronicle.unseen(books, "Ann's reader")
    assert fault.startswith(f"Ann's reader, instrument {instrument} at sequence")


def test_a_store_is_held_against_its_replica_and_against_another(batches: list[Batch]) -> None:
    engine, chronicle = Engine(), Chronicle()
    stores = [Store.open(), Store.open()]
    for commands, acts in batches[:4]:
        outcome = engine.apply(commands, acts)
        chronicle.batch(engine, commands, acts, outcome, engine.sequence)
        for store in stores:
            store.add(outcome.events, outcome.effects, outcome.happened)
    mark = Watermark(engine.sequence, engine.time, 1, 0, bytes(32), 4)
    for store in stores:
        store.flush(mark, engine.programmes())
    chronicle.settled(stores[0], engine)
    chronicle.rebuilt(*stores)
    stores[1].cursor().execute("delete from base.postings where amount > 0")
    with pytest.raises(LawBroken, match="the store follows the journal"):
        chronicle.settled(stores[1], engine)
    with pytest.raises(LawBroken, match="the store follows the journal"):
        chronicle.rebuilt(*stores)
    for store in stores:
        store.close()
