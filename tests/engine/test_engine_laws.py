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
from matching.vocabulary import CommandKind, EventKind, Side, TimeInForce
from settlement.layout import HOUSE, MONEY
from tests.engine.differential import cut, play, postings_of
from tests.engine.flow import Flow, MoneyFlow
from tests.engine.flow_world import IDS_PER_MEMBER
from tests.engine.market import GRANT, NOON, Said, Step, act_step, batch_of, instrument, rows_of
from tests.engine.stands import Balance, balances_of, book_of, stand_of
from tests.engine.twin import Twin

COMMANDS = 6_000


# --- conservation ------------------------------------------------------------------------------


class Sums:
    """What the postings, the legs and the trades of all batches come to."""

    def __init__(self) -> None:
        self.posted: Counter[tuple[int, str, int]] = Counter()
        self.paid: Counter[int] = Counter()
        self.turnover: Counter[int] = Counter()

    def add(self, engine: Engine, batch: Sequence[Step]) -> None:
        first = engine.sequence + 1
        outcome = engine.apply(*batch_of(batch))
        for _, _, _, member, account, asset, amount, _ in postings_of(outcome, engine):
            self.posted[member, account, asset] += amount
        for leg in outcome.happened.legs:
            self.paid[leg.programme] += leg.amount
        said = iter(rows_of(outcome.events, outcome.effects))
        one = next(said, None)
        for sequence, (command, _, _) in enumerate(batch, start=first):
            if command.kind == CommandKind.END_DAY:
                self.turnover.clear()
            while one is not None and one.sequence == sequence:
                self.note(one)
                one = next(said, None)

    def note(self, one: Said) -> None:
        if one.kind == EventKind.TRADED:
            self.paid[one.programme if one.side == Side.BUY else one.maker_programme] += one.subsidy
            self.turnover[one.member] += one.price * one.quantity
            self.turnover[one.maker_member] += one.price * one.quantity


@pytest.mark.parametrize("nth", range(2))
def test_money_and_credits_are_conserved_after_every_batch(seed, scale, nth):
    for flow in range(nth, 2 * scale, 2):
        assert_all_is_conserved(seed + flow, MoneyFlow if nth else Flow)


def assert_all_is_conserved(seed: int, flow: type[Flow]) -> None:
    engine, sums = Engine(IDS_PER_MEMBER), Sums()
    for batch in cut([*flow(seed).steps(COMMANDS)], random.Random(seed)):
        sums.add(engine, batch)
        assert laws_broken(engine) == []
        balances = balances_of(engine)
        assert min(map(min, balances.values()), default=0) >= 0
        assert_balances_are_posted(balances, sums)
        assert_programmes_are_posted(engine, sums)
        turnover = {number: one[1] for number, one in enumerate(stand_of(engine).counters) if one[1]}
        assert turnover == {number: amount for number, amount in sums.turnover.items() if amount}
    assert sums.posted[HOUSE, "fees", MONEY] > 0
    assert sum(sums.paid.values()) > 0


def assert_balances_are_posted(balances: dict[tuple[int, int], Balance], sums: Sums) -> None:
    """Assert that what everybody has is what was posted, and that each asset sums to zero."""
    posted = Counter[tuple[int, str, int]]()
    for (member, asset), one in balances.items():
        posted[member, "free", asset] = one.available + one.held
        posted[member, "restricted", asset] = one.restricted
        posted[member, "redeeming", asset] = one.redeeming
        posted[member, "debt", asset] = -one.debt
    members = {key: amount for key, amount in sums.posted.items() if key[0] != HOUSE and amount}
    assert members == {key: amount for key, amount in posted.items() if amount}
    assets = Counter[int]()
    for (_, _, asset), amount in sums.posted.items():
        assets[asset] += amount
    assert not any(assets.values())


def assert_programmes_are_posted(engine: Engine, sums: Sums) -> None:
    """Assert that a programme has left to pay what is posted, and has paid what its legs come to."""
    for number, row in enumerate(engine.programmes()):
        assert sums.posted[HOUSE, f"programme:{row.programme}", MONEY] == row.uncommitted + row.reserved
        assert sums.paid[number] == row.paid + row.vested


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


NEVER_GROW = {"Book.counts", "Book.tape", "Ledger.fees", "Ledger.recents", "Ledger.totals", "Memory.used"}
GROWN_BY_ACTS = {
    "Ledger.barred",
    "Ledger.enrolled",
    "Ledger.exclusions",
    "Ledger.included",
    "Ledger.issuers",
}
"""What `test_money_programmes` lets grow."""


@pytest.mark.slow
def test_every_pool_grows_and_nothing_is_lost_on_the_way(seed):
    steps = [*crowd(random.Random(seed))]
    at_first = sizes_of(Engine())
    whole = play([steps], Twin())
    assert whole.outcomes["accepted, subsidised"] > 1_000
    assert whole.outcomes["expired"] > EVENTS_AT_FIRST
    at_last = sizes_of(whole.engine)
    assert {name for name, size in at_last.items() if size <= at_first[name]} == NEVER_GROW | GROWN_BY_ACTS
    assert book_of(whole.engine) == []
    in_pieces = Engine()
    for batch in cut(steps, random.Random(seed)):
        in_pieces.apply(*batch_of(batch))
    assert in_pieces.state_hash() == whole.engine.state_hash()
