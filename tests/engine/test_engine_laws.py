"""What always holds: nothing is lost, nothing is made, and how commands are cut changes nothing."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pytest
from msgspec.structs import replace

from exchange.engine import Engine
from exchange.protocol.acts import Admit, DefineProgramme, Deposit, Issue, ListInstruments, SetCapacity
from exchange.protocol.records import Command
from exchange.server.audit import laws_broken
from matching.batch import EVENTS_AT_FIRST
from matching.vocabulary import CommandKind, EventKind, RejectReason, Side, TimeInForce
from settlement.layout import MONEY
from tests.engine.differential import cut, play
from tests.engine.flow import IDS_PER_MEMBER, Flow
from tests.engine.market import (
    GRANT,
    NOON,
    Said,
    Step,
    act_step,
    balances_of,
    batch_of,
    book_of,
    instrument,
    rows_of,
    stand_of,
    usages_of,
)
from tests.engine.twin import Twin

COMMANDS = 6_000


# --- conservation ------------------------------------------------------------------------------


class Sums:
    """What came in and went out, reckoned from acts and events alone."""

    def __init__(self) -> None:
        self.deposited = 0
        self.fees = 0
        self.subsidies = 0
        self.issued: Counter[int] = Counter()
        self.turnover: Counter[int] = Counter()

    def add(self, engine: Engine, batch: Sequence[Step]) -> None:
        first = engine.sequence + 1
        outcome = engine.apply(*batch_of(batch))
        for result in outcome.acts:
            act = batch[result.row].act
            if result.reason == RejectReason.NONE and isinstance(act, Deposit):
                self.deposited += act.amount
            elif result.reason == RejectReason.NONE and isinstance(act, Issue):
                self.issued[engine.registry.instrument_numbers[act.instrument]] += act.lots
        said = iter(rows_of(outcome.events, outcome.effects))
        one = next(said, None)
        for sequence, (command, _) in enumerate(batch, start=first):
            if command.kind == CommandKind.END_DAY:
                self.turnover.clear()
            while one is not None and one.sequence == sequence:
                self.note(one)
                one = next(said, None)

    def note(self, one: Said) -> None:
        if one.kind == EventKind.TRADED:
            self.fees += one.fee + one.maker_fee
            self.subsidies += one.subsidy
            self.turnover[one.member] += one.price * one.quantity
            self.turnover[one.maker_member] += one.price * one.quantity


@pytest.mark.parametrize("nth", range(2))
def test_money_and_credits_are_conserved_after_every_batch(seed, scale, nth):
    for flow in range(nth, 2 * scale, 2):
        assert_all_is_conserved(seed + flow)


def assert_all_is_conserved(seed: int) -> None:
    engine, sums = Engine(IDS_PER_MEMBER), Sums()
    for batch in cut([*Flow(seed).steps(COMMANDS)], random.Random(seed)):
        sums.add(engine, batch)
        assert laws_broken(engine) == []
        balances = balances_of(engine)
        assert min(map(min, balances.values()), default=0) >= 0
        money = sum(sum(one) for (_, asset), one in balances.items() if asset == MONEY)
        assert money == sums.deposited - sums.fees + sums.subsidies
        for index in range(len(engine.registry.instruments)):
            lots = sum(sum(one) for (_, asset), one in balances.items() if asset == index + 1)
            assert lots == sums.issued[index] == engine.core.ledger.listings[index]["issued"]
        turnover = {number: one[1] for number, one in enumerate(stand_of(engine).counters) if one[1]}
        assert turnover == {number: amount for number, amount in sums.turnover.items() if amount}
        assert sums.subsidies == sum(row.paid for row in engine.programmes())
        assert_caps_are_kept(engine)
    assert sums.subsidies > 0
    assert sums.fees > 0


def assert_caps_are_kept(engine: Engine) -> None:
    """Assert that what groups have used of a programme is its reserved and paid, and within the caps."""
    rows, money = engine.programmes(), Counter[int]()
    for (programme, _), used in usages_of(engine).items():
        terms = engine.registry.programmes[programme]
        assert 0 <= used.money <= terms.group_cap
        assert 0 <= used.lots <= (terms.group_lots or used.lots)
        money[programme] += used.money
    assert [money[number] for number in range(len(rows))] == [row.reserved + row.paid for row in rows]


# --- one journal, one state --------------------------------------------------------------------


def one_by_one(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    return (steps[at : at + 1] for at in range(len(steps)))


def played(batches: Iterable[Sequence[Step]]) -> tuple[bytes, bytes, int, int]:
    """Play batches; return all events and effects, and the state's hash and time."""
    engine, events, effects = Engine(IDS_PER_MEMBER), bytearray(), bytearray()
    for batch in batches:
        outcome = engine.apply(*batch_of(batch))
        rows = outcome.events.copy()
        rows["command"] = 0  # a place in the batch, and no more
        events += rows.tobytes()
        effects += outcome.effects.tobytes()
    return bytes(events), bytes(effects), engine.state_hash(), engine.time


def test_how_commands_are_cut_into_batches_changes_nothing(seed, scale):
    steps = [*Flow(seed).steps(COMMANDS)]
    whole = played([steps])
    assert len(whole[0]) > 0
    assert played(one_by_one(steps)) == whole
    for nth in range(3 * scale):
        assert played(cut(steps, random.Random(seed + nth))) == whole


def test_replay_comes_to_the_same_state_and_another_journal_to_another(seed):
    steps = [*Flow(seed).steps(2_000)]
    again = played(cut(steps, random.Random(seed)))
    assert played([steps]) == again
    assert played([steps[:-1]])[2] != again[2]


def test_the_state_hash_sees_each_change(seed):
    steps = [*Flow(seed).steps(1_000)]
    engine, hashes = Engine(IDS_PER_MEMBER), set()
    for batch in one_by_one(steps):
        engine.apply(*batch_of(batch))
        hashes.add(engine.state_hash())
    assert len(hashes) == len(steps)


def test_an_empty_batch_changes_nothing():
    engine = Engine()
    before = engine.state_hash()
    outcome = engine.apply(*batch_of([]))
    assert (len(outcome.events), outcome.acts, engine.sequence) == (0, (), 0)
    assert engine.state_hash() == before


def test_a_batch_of_another_layout_is_our_own_mistake():
    with pytest.raises(AssertionError, match="COMMAND"):
        Engine().apply(np.zeros(1, np.int64))


# --- growth ------------------------------------------------------------------------------------

FIRMS = 40
SYMBOLS = 20
PROGRAMMES = 6
RESTING = 18_000
"""More open orders than the output has rows at first: the end of their day overruns it."""


def crowd(chance: random.Random) -> Iterator[Step]:
    """Yield steps of a venue that outgrows every pool: many firms, instruments, prices and orders."""
    firms = [f"FIRM-{number}" for number in range(FIRMS)]
    yield act_step(Admit(member="YUN", role="provider"))
    listed = [instrument(f"I-{n}", "model", "YUN", 10**9, 1, domestic=True) for n in range(SYMBOLS)]
    yield act_step(ListInstruments(tuple(listed)))
    for firm in firms:
        yield act_step(Admit(member=firm, role="firm", size="micro"))
        yield act_step(Deposit(firm, 10**15))
    for one in listed:
        yield act_step(SetCapacity(one.symbol, 10**6))
        yield act_step(Issue(one.symbol, 10**6))
    for number in range(PROGRAMMES):
        wide = {"budget": 10**15, "order_cap": 10**15, "group_cap": 10**15, "order_lots": 0, "group_lots": 0}
        yield act_step(DefineProgramme(replace(GRANT, code=f"GRANT-{number}", **wide)))
    for number in range(RESTING):
        side = Side.SELL if number % 3 == 0 else Side.BUY
        price = chance.randrange(1, 10**9) if side == Side.BUY else 10**9 + chance.randrange(10**9)
        member = 1 if side == Side.SELL and chance.random() < 0.9 else 2 + chance.randrange(FIRMS)
        programme = number % PROGRAMMES if side == Side.BUY and chance.random() < 0.2 else -1
        is_timed = programme == -1 and number % 5 == 1
        yield Step(
            Command(
                kind=CommandKind.NEW,
                side=side,
                time_in_force=TimeInForce.GTD if is_timed else TimeInForce.DAY,
                instrument=number % SYMBOLS if number % 5 else 0,
                member=member,
                client_id=b"%d" % number,
                price=price,
                quantity=1 + number % 3,
                display_quantity=number % 2,
                expires_at=NOON + 1,
                programme=programme,
                sent_at=NOON,
                time=NOON,
            )
        )
    yield Step(Command(CommandKind.END_DAY, time=NOON + 1))


def sizes_of(engine: Engine) -> dict[str, int]:
    """Return how many rows every table has room for."""
    core = engine.core
    tables = {
        f"{type(part).__name__}.{name}": len(rows)
        for part in (core.book, core.ledger, core.memory)
        for name, rows in part._asdict().items()
    }
    return tables | {
        "Output.events": len(engine._output.events),
        "Output.effects": len(engine._output.effects),
    }


NEVER_GROW = {"Book.counts", "Ledger.fees", "Ledger.totals", "Memory.used"}


def test_every_pool_grows_and_nothing_is_lost_on_the_way(seed):
    steps = [*crowd(random.Random(seed))]
    at_first = sizes_of(Engine())
    whole = play([steps], Twin())
    assert whole.outcomes["accepted, subsidised"] > 1_000
    assert whole.outcomes["expired"] > EVENTS_AT_FIRST
    at_last = sizes_of(whole.engine)
    assert {name for name, size in at_last.items() if size <= at_first[name]} == NEVER_GROW
    assert book_of(whole.engine) == []
    in_pieces = Engine()
    for batch in cut(steps, random.Random(seed)):
        in_pieces.apply(*batch_of(batch))
    assert in_pieces.state_hash() == whole.engine.state_hash()
