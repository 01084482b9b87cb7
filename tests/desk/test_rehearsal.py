"""Dry runs: what is told beforehand is what then happens, and nothing has happened before."""

from __future__ import annotations

from collections import Counter
from datetime import date
from hashlib import sha256
from typing import Any, get_args

import numpy as np
import pytest

from exchange.calendar import standard_calendar
from exchange.engine import Engine, Outcome
from exchange.protocol.acts import (
    Act,
    Adjust,
    Admit,
    AllowModes,
    Approve,
    BeginFixing,
    BlockMember,
    Bust,
    CancelOrders,
    CloseYear,
    DefineProgramme,
    Deliver,
    Deposit,
    Dispute,
    Enrol,
    ExpireCredits,
    FindIneligible,
    FindRelated,
    GrantAward,
    ListInstruments,
    Propose,
    RecordUsage,
    Redeem,
    RegisterKey,
    Resolve,
    ReviseProgramme,
    RevokeKey,
    Reweight,
    SetCalendar,
    SetCapacity,
    SetCollars,
    SetFees,
    SetLimits,
    SetPhase,
    SetState,
    TwoPersonsAct,
)
from exchange.protocol.rehearsals import AccountChange, Change, DebtChange, Rehearsal, Verdict
from exchange.rehearsal import Trial, rehearse
from exchange.rehearsed_settings import settings_of
from exchange.server.sequencer import kept
from exchange.standstill import copied, engine_from, standstill
from matching.layout import EVENT
from matching.vocabulary import EventKind, Phase, RejectReason, Side
from settlement.layout import ACCOUNT
from tests.engine.flow import Flow, MoneyFlow
from tests.engine.market import NOON, Step, act_step, batch_of, founding
from tests.engine.money_market import DEDUCT, MORE, MoneyVenue

UNTRIED = ("memos", "marks")
"""What of the state a copy leaves out: remembered client ids."""

EACH_KIND = 2
"""How often each kind of act is rehearsed in a world until it is left alone."""

COMMON: dict[type[Flow], set[type]] = {
    Flow: {Admit, Approve, BlockMember, Bust, Deposit, Enrol, ListInstruments, RegisterKey, ReviseProgramme}
    | {SetCollars, SetFees, SetLimits, SetPhase},
    MoneyFlow: {Adjust, CloseYear, DefineProgramme, ExpireCredits, FindIneligible, GrantAward, RecordUsage},
}
"""Acts that are done in each world, and so were compared."""


def tables_of(engine: Engine) -> dict[str, np.ndarray]:
    core = engine.core
    named = {**core.book._asdict(), **core.ledger._asdict(), **core.memory._asdict()}
    return {**named, "form": core.form, "draft": core.draft, "grant": core.grant}


def digests_of(engine: Engine) -> dict[str, str]:
    """Return a digest of every table's rows in use, but for what is untried."""
    core = copied(engine.core)
    named = {**core.book._asdict(), **core.ledger._asdict(), **core.memory._asdict()}
    return {name: sha256(rows.tobytes()).hexdigest() for name, rows in named.items() if name not in UNTRIED}


# --- what has happened, found out in another way -------------------------------------------------


def balances(engine: Engine) -> Counter[tuple[str, str, str]]:
    """Return what everybody has, by member, kind of account and asset."""
    registry, ledger = engine.registry, engine.core.ledger
    found: Counter[tuple[str, str, str]] = Counter()
    for row in ledger.accounts[: ledger.totals[0]["accounts"]].tolist():
        named = dict(zip(ACCOUNT.names or (), row, strict=True))
        asset = "money" if named["asset"] == 0 else registry.instruments[named["asset"] - 1].symbol
        for account in ("available", "held", "restricted", "redeeming", "debt"):
            found[registry.members[named["member"]].member, account, asset] = named[account]
    return found


def changes(before: Counter[Any], after: Counter[Any]) -> dict[Any, int]:
    return {key: after[key] - before[key] for key in before | after if after[key] != before[key]}


def told_changes(rows: tuple[AccountChange, ...]) -> dict[Any, int]:
    return {(row.member, row.account, row.asset): row.amount for row in rows}


def in_all(found: dict[Any, int]) -> dict[Any, int]:
    """Return the changes of all members but the house, added up."""
    sums: Counter[Any] = Counter()
    for (member, account, asset), amount in found.items():
        if member != "HOUSE":
            sums["", account, asset] += amount
    return {key: amount for key, amount in sums.items() if amount}


def phases(engine: Engine) -> dict[str, str]:
    return {
        one.symbol: Phase(int(engine.core.book.markets[at]["phase"])).name.lower()
        for at, one in enumerate(engine.registry.instruments)
    }


def budgets(engine: Engine) -> dict[str, tuple[int, ...]]:
    return {
        row.programme: (row.budget, row.uncommitted, row.reserved, row.paid, row.vested)
        for row in engine.programmes()
    }


def check(told: Rehearsal, before: Engine, after: Engine, outcomes: list[Outcome]) -> None:
    """Compare what was told with what has become of an engine and with what it has said."""
    moved = changes(balances(before), balances(after))
    assert told_changes(told.accounts) == in_all(moved)
    concerned = {member for member, _, _ in moved}
    assert told_changes(told.members) == (moved if len(concerned) <= 20 else {})
    was, now = phases(before), phases(after)
    assert {one.subject: (one.before, one.after) for one in told.phases} == {
        symbol: (was.get(symbol, ""), phase) for symbol, phase in now.items() if was.get(symbol) != phase
    }
    had, has = budgets(before), budgets(after)
    assert [one.programme for one in told.programmes] == [code for code in has if had.get(code) != has[code]]
    for one in told.programmes:
        assert tuple(getattr(one.after, name) for name in one.after.__struct_fields__) == has[one.programme]
    said = [row for outcome in outcomes for row in outcome.events.tolist()]
    names = EVENT.names or ()
    events = [dict(zip(names, row, strict=True)) for row in said]
    ended = [event for event in events if event["kind"] == EventKind.CANCELLED]
    assert (told.cancelled.orders, told.cancelled.lots) == (len(ended), sum(one["quantity"] for one in ended))
    traded = [event for event in events if event["kind"] == EventKind.TRADED]
    assert sum(one.trades for one in told.trades) == len(traded)
    assert sum(one.amount for one in told.trades) == sum(one["price"] * one["quantity"] for one in traded)
    assert told.listed == tuple(one.symbol for one in after.registry.instruments[len(was) :])
    if not traded:
        freed = {asset: -amount for (_, account, asset), amount in in_all(moved).items() if account == "held"}
        assert told.released.money == freed.pop("money", 0)
        assert told.released.credits == freed


def settled(engine: Engine) -> Engine:
    """Return a copy of an engine, to be looked at when the engine has gone on."""
    return engine_from(standstill(engine))


# --- worlds --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("world", "seed"), [(Flow, 5), (MoneyFlow, 8)])
def test_each_act_of_a_random_world_does_what_its_rehearsal_told(world, seed):
    tried = Counter[tuple[str, bool]]()
    engine = Engine(40)
    waiting: list[Step] = []
    for step in world(seed).steps(1_500):
        if step.act is None:
            waiting.append(step)
            continue
        if waiting:
            engine.apply(*batch_of(waiting))
            waiting.clear()
        try_and_do(engine, step, tried)
    done = {name for name, is_done in tried if is_done}
    assert {kind.__name__ for kind in COMMON[world]} <= done


def try_and_do(engine: Engine, step: Step, tried: Counter[tuple[str, bool]]) -> None:
    """Rehearse an act, twice; then let it happen, and compare."""
    assert step.act is not None
    acts, time = [(step.act, "a test")], step.command.time
    if tried[type(step.act).__name__, True] >= EACH_KIND or engine.next_expiry <= time:
        engine.apply(*batch_of([step]))
        return
    told = rehearse(engine, acts, step.who, time)
    (verdict,) = told.verdicts
    tried[verdict.act, verdict.is_done] += 1
    before, state = settled(engine), engine.state_hash()
    assert rehearse(engine, acts, step.who, time) == told
    assert engine.state_hash() == state
    alone = Trial(settled(engine), time)
    alone.play(acts, step.who, 0, None)
    if verdict.approver:
        check(told, before, alone.engine, by_two(settled(engine), alone.engine, step, verdict))
        engine.apply(*batch_of([step]))
        return
    outcome = engine.apply(*batch_of([step]))
    if verdict.reason == "two_persons_needed" and outcome.acts[0].reason == RejectReason.NONE:
        return  # a proposal that nobody could approve
    assert verdict.is_done == (outcome.acts[0].reason == RejectReason.NONE)
    assert verdict.reason == ("" if verdict.is_done else outcome.acts[0].reason.name.lower())
    check(told, before, engine, [outcome])
    assert digests_of(alone.engine) == digests_of(engine)
    assert alone.engine.registry == engine.registry


def by_two(real: Engine, alone: Engine, step: Step, verdict: Verdict) -> list[Outcome]:
    """Let two operators do what was rehearsed so; return what was said of it."""
    time, act = step.command.time, step.act
    if isinstance(act, Propose):
        act = act.act
    assert isinstance(act, get_args(TwoPersonsAct))
    said = []
    if not isinstance(step.act, Propose):
        said.append(kept(real.apply(*batch_of([step]))))
        assert said[0].acts[0].reason == RejectReason.TWO_PERSONS_NEEDED
    said.append(kept(real.apply(*batch_of([act_step(Propose(act), time, step.who)]))))
    approve = act_step(Approve(real.sequence), time, verdict.approver)
    said.append(kept(real.apply(*batch_of([approve]))))
    assert verdict.is_done == (said[-1].acts[0].reason == RejectReason.NONE)
    assert digests_of(real) == digests_of(alone)
    assert real.registry == alone.registry
    return said


# --- one by one ----------------------------------------------------------------------------------


@pytest.fixture
def venue() -> MoneyVenue:
    return MoneyVenue()


def really(venue: MoneyVenue, *steps: tuple[Act, str]) -> tuple[Engine, list[Outcome]]:
    """Let acts happen; return the engine as it was before, and what was said of each."""
    before, said = settled(venue.engine), []
    for act, who in steps:
        outcome = venue.play(act_step(act, venue.time, who))
        assert outcome.acts[0].reason == RejectReason.NONE
        said.append(kept(outcome))
    return before, said


def test_a_bust_is_rehearsed_as_approved(venue):
    venue.sell("YUN", 20, "QWEN", 1_000)
    trade = venue.buy("ANN", 20, "QWEN", 1_000, programme="DEDUCT", last="day").trades[0]
    number = int(venue.engine.core.ledger.totals[0]["trades"])
    assert trade.quantity == 20
    told = rehearse(venue.engine, [(Bust(number), "as both say")], "OPERATOR", venue.time)
    (verdict,) = told.verdicts
    assert (verdict.act, verdict.is_done, verdict.approver) == ("Bust", True, "SECOND")
    (budget,) = told.programmes
    assert budget.programme == DEDUCT.code
    assert budget.before is not None
    assert budget.before.paid - budget.after.paid == 10_000
    proposal = venue.engine.sequence + 1
    before, said = really(venue, (Propose(Bust(number)), "OPERATOR"), (Approve(proposal), "SECOND"))
    check(told, before, venue.engine, said)


def test_a_proposal_is_rehearsed_as_what_it_proposes(venue):
    act = Propose(Admit(member="NEW", role="firm"))
    told = rehearse(venue.engine, [(act, "x")], "OPERATOR", venue.time)
    assert (told.verdicts[0].act, told.admitted) == ("Admit", ("NEW",))


def test_without_a_second_operator_what_takes_two_is_told_to_be_impossible():
    only = [one for one in MORE if getattr(one, "member", "") != "SECOND"]
    venue = MoneyVenue((*founding(), *only))
    told = rehearse(venue.engine, [(Bust(1), "x")], "OPERATOR", venue.time)
    (verdict,) = told.verdicts
    assert (verdict.is_done, verdict.reason, verdict.value) == (False, "two_persons_needed", "OPERATOR")
    assert "no second operator" in verdict.remedy
    assert told.accounts == ()


def test_a_kill_is_told_with_its_orders_and_what_they_held(venue):
    venue.buy("ANN", 10, "QWEN", 900)
    venue.buy("ANN", 5, "GPT", 2_000)
    venue.buy("BEN", 5, "GPT", 2_000)
    told = rehearse(
        venue.engine, [(BlockMember("ANN", True), "x"), (CancelOrders("ANN"), "x")], "OPERATOR", venue.time
    )
    assert (told.cancelled.orders, told.cancelled.lots) == (2, 15)
    assert (told.cancelled.instruments, told.cancelled.members) == (("QWEN", "GPT"), ("ANN",))
    fees = (10 * 900 + 5 * 2_000) * 50 // 10_000
    assert told.released.money == 10 * 900 + 5 * 2_000 + fees
    assert told.settings == (Change("ANN", "blocked", "no", "yes"),)
    before, said = really(venue, (BlockMember("ANN", True), "OPERATOR"), (CancelOrders("ANN"), "OPERATOR"))
    check(told, before, venue.engine, said)


def test_an_uncross_is_told_with_its_trades(venue):
    venue.done(SetPhase("QWEN", "pre_open"))
    venue.sell("YUN", 30, "QWEN", 980)
    venue.buy("ANN", 10, "QWEN", 1_010)
    venue.buy("BEN", 25, "QWEN", 1_000)
    told = rehearse(venue.engine, [(SetPhase("QWEN", "auction"), "x")], "OPERATOR", venue.time)
    (trades,) = told.trades
    assert (trades.instrument, trades.trades, trades.lots) == ("QWEN", 2, 30)
    assert trades.lowest == trades.highest == trades.amount // 30
    before, said = really(venue, (SetPhase("QWEN", "auction"), "OPERATOR"))
    assert {row["price"] for row in said[0].events if row["kind"] == EventKind.TRADED} == {trades.lowest}
    check(told, before, venue.engine, said)
    had, has = balances(before), balances(venue.engine)
    freed = sum(
        has[buyer, "available", "money"] - had[buyer, "available", "money"] for buyer in ("ANN", "BEN")
    )
    assert told.released.money == freed, "buyers pay out of what was held, and get the rest of it back"
    assert told.released.credits == {}


def prepared(venue: MoneyVenue) -> dict[str, Act]:
    """Let there be something for each act to change; return acts by what they are about to do."""
    venue.bought("ANN", 20, "TASK", 100, "DEDUCT")
    venue.bought("BEN", 30, "DEEP", 90)
    venue.sell("BEN", 30, "DEEP", 95)
    venue.buy("ANN", 10, "DEEP", 95, last="day", programme="DEDUCT")
    venue.buy("DAN", 8, "DEEP", 70, last="day", programme="REPAY")
    venue.buy("ANN", 6, "TASK", 60)
    number = venue.done(Redeem("ANN", "TASK", 2, "r-1"), "ANN")
    venue.done(Deliver(number), "YUN")
    venue.done(Dispute(number), "ANN")
    venue.done(SetState("GPT", "suspended"))
    venue.done(RegisterKey("BEN", "k" * 40))
    return {
        "retire": SetState("DEEP", "cancel_only"),
        "suspend": SetState("DEEP", "suspended"),
        "relate": FindRelated("ANN", "BEN"),
        "resolve": Resolve(number, is_accepted=True),
        "return": Resolve(number, is_accepted=False),
        "revoke": RevokeKey("k" * 40),
        "calendar": SetCalendar(standard_calendar()),
        "reweight": Reweight("GPT", 1_000, 200, 2_000),
        "award": GrantAward("AWARD", "ANN", 1),
        "capacity": SetCapacity("DEEP", 2_000_000),
        "modes": AllowModes(("continuous", "call", "listing")),
        "cancel": CancelOrders("ANN"),
        "ineligible": FindIneligible("ANN", "DEDUCT"),
        "fix": BeginFixing(date(2026, 11, 21)),
    }


def test_each_act_of_an_operator_does_what_its_rehearsal_told(venue):
    acts = prepared(venue)
    told_of = {}
    for name, act in acts.items():
        real, time = settled(venue.engine), venue.time
        told = told_of[name] = rehearse(venue.engine, [(act, "a test")], "OPERATOR", time)
        alone = Trial(settled(venue.engine), time)
        alone.play([(act, "a test")], "OPERATOR", 0, None)
        step = act_step(act, time)
        (verdict,) = told.verdicts
        if verdict.approver:
            said = by_two(real, alone.engine, step, verdict)
        else:
            said = [kept(real.apply(*batch_of([step])))]
            assert verdict.is_done == (said[0].acts[0].reason == RejectReason.NONE), name
            assert digests_of(real) == digests_of(alone.engine), name
        check(told, venue.engine, real, said)
    refused = {name for name, told in told_of.items() if not told.is_done}
    assert refused == {"award"}
    assert told_of["relate"].debts == (DebtChange("ANN", "DEDUCT", 10 * 95 // 2),)
    assert told_of["ineligible"].debts[0].programme == "DEDUCT"
    assert told_of["cancel"].cancelled.orders == 1
    assert Change("BEN", "keys", 1, 0) in told_of["revoke"].settings
    assert [one.field for one in told_of["reweight"].settings] == [
        "weight_input",
        "weight_cached",
        "weight_output",
    ]
    assert told_of["resolve"].members == (AccountChange("ANN", "redeeming", "TASK", -2),)


def test_of_several_acts_a_refused_one_changes_nothing(venue):
    acts: list[tuple[Act, str]] = [
        (Deposit("NOBODY", 5), "x"),
        (Deposit("ANN", 70_000), "x"),
        (SetState("QWEN", "suspended"), "x"),
        (SetCollars("model", 30, 40, 50), "x"),
    ]
    told = rehearse(venue.engine, acts, "OPERATOR", venue.time)
    refused, *done = told.verdicts
    assert (refused.reason, refused.field, refused.value) == ("unknown_member", "member", "NOBODY")
    assert refused.remedy
    assert all(verdict.is_done for verdict in done)
    assert not told.is_done
    assert told_changes(told.accounts) == {("", "available", "money"): 70_000}
    assert told.states == (Change("QWEN", "state", "listed", "suspended"),)
    assert Change("model", "static_collar", 0, 40) in told.settings


def test_who_may_not_decide_is_told_so(venue):
    told = rehearse(venue.engine, [(Deposit("ANN", 5), "x")], "ANN", venue.time)
    assert told.verdicts[0].reason == "role_not_permitted"


def test_what_expires_by_the_clock_is_not_told_as_the_acts_doing(venue):
    venue.buy("ANN", 10, "QWEN", 900, last="gtd", expires_at=NOON + 10**9)
    told = rehearse(venue.engine, [(Deposit("BEN", 1), "x")], "OPERATOR", NOON + 2 * 10**9)
    assert (told.expired.orders, told.cancelled.orders) == (0, 0)
    assert told_changes(told.accounts) == {("", "available", "money"): 1}
    told = rehearse(venue.engine, [(Deposit("BEN", 1), "x")], "OPERATOR", NOON)
    assert told.time == venue.engine.time, "time does not run backwards"


# --- the copy ------------------------------------------------------------------------------------


def test_a_copy_shares_no_memory_and_goes_its_own_way(venue):
    venue.buy("ANN", 10, "QWEN", 900, programme="DEDUCT", last="day")
    venue.done(Deposit("ANN", 5, "R-0"))
    venue.engine.record()
    state, own = venue.engine.state_hash(), tables_of(venue.engine)
    copy = engine_from(standstill(venue.engine))
    assert not any(np.shares_memory(rows, own[name]) for name, rows in tables_of(copy).items())
    assert copy.registry is not venue.engine.registry
    assert copy.registry == venue.engine.registry
    assert settings_of(copy) == settings_of(venue.engine)
    assert digests_of(copy) == digests_of(venue.engine)
    acts: tuple[Act, ...] = (CancelOrders("ANN"), Deposit("ANN", 7, "R-1"), SetPhase("", "halted"))
    for nth, act in enumerate(acts):
        copy.apply(*batch_of([act_step(act, venue.time + nth)]))
    assert copy.sequence == venue.engine.sequence + 3
    ann = venue.member("ANN")
    assert set(copy.registry.references[ann]) == {"R-0", "R-1"}
    assert set(venue.engine.registry.references[ann]) == {"R-0"}
    assert venue.engine.state_hash() == state
    assert venue.cancel("ANN", venue.engine.core.book.orders["id"].max()).kinds == [EventKind.CANCELLED]


def test_a_copy_of_pools_in_which_rows_were_freed(venue):
    orders = [venue.buy("ANN", 3, "QWEN", 800 + 10 * step).order for step in range(8)]
    for order in orders[1::2]:
        venue.cancel("ANN", order)
    copy = engine_from(standstill(venue.engine))
    order = venue.new("BEN", Side.BUY, 2, "QWEN", 850)
    for engine in (copy, venue.engine):
        engine.apply(*batch_of([Step(order)]))
    assert digests_of(copy) == digests_of(venue.engine)
