"""Acts: one that is refused leaves nothing behind, one that is accepted shows; entries sum to zero."""

from __future__ import annotations

from collections import Counter
from datetime import date, time

import msgspec
import pytest
from msgspec.structs import replace

from exchange.calendar import Calendar
from exchange.engine import Engine
from exchange.protocol.acts import (
    Act,
    Admit,
    AllowModes,
    BeginFixing,
    BlockMember,
    DefineProgramme,
    Deposit,
    FixPrices,
    Issue,
    ListInstruments,
    RegisterKey,
    RevokeKey,
    SetCalendar,
    SetCapacity,
    SetCollars,
    SetFees,
    SetPhase,
    SetState,
)
from exchange.registry import REGIONS_MAX
from matching.vocabulary import NO_SLOT, PRICE_MAX, Phase, RejectReason, Side
from settlement.layout import HOUSE, MONEY
from settlement.postings import act_postings
from settlement.rows import Happened, Posting
from settlement.terms import AMOUNT_MAX, Rate
from tests.engine.market import (
    LOTS_EACH,
    MONEY_EACH,
    VOUCHER,
    Step,
    Venue,
    act_step,
    batch_of,
    founding,
    instrument,
)
from tests.engine.stands import Balance, Budget

KEY = "k" * 40
NEW_ONE = instrument("NEW-ONE", "agent", "YUN", 5_000, 50, domestic=True)
NO_CALENDAR = Calendar(weekdays=("mon",), closes=time(15), calls=())
NEW_TERMS = replace(VOUCHER, code="NEW-TERMS")


@pytest.fixture
def venue() -> Venue:
    return Venue(acts=(*founding(), RegisterKey("ANN", KEY), BeginFixing(date(2026, 11, 21))))


def all_of(engine: Engine) -> dict[str, bytes]:
    """Return all that an act may change: every table's rows in use, and every name."""
    ledger, book, memory = engine.core.ledger, engine.core.book, engine.core.memory
    totals, counts = ledger.totals[0], book.counts[0]
    tables = {name: getattr(ledger, name)[: totals[name]] for name in ("accounts", "members", "listings")}
    tables |= {"programmes": ledger.programmes[: totals["programmes"]], "rates": ledger.rates}
    tables |= {"fees": ledger.fees, "totals": ledger.totals, "usages": ledger.usages[: totals["usages"]]}
    counts_but_time = book.counts.copy()
    counts_but_time["clock"] = 0
    tables |= {"markets": book.markets, "halves": book.halves, "counts": counts_but_time}
    tables |= {"orders": book.orders[: counts["orders_used"]], "recalls": memory.recalls[: totals["members"]]}
    rows = {name: table.tobytes() for name, table in tables.items()}
    return rows | {"names": msgspec.json.encode(engine.registry), "notes": msgspec.json.encode(engine.notes)}


# --- refused -----------------------------------------------------------------------------------


def terms(**changed) -> DefineProgramme:
    return DefineProgramme(replace(NEW_TERMS, **changed))


def listing(**changed) -> ListInstruments:
    """Two instruments, of which the second is spoilt."""
    return ListInstruments((replace(NEW_ONE, symbol="SOUND"), replace(NEW_ONE, **changed)))


def admission(**changed) -> Admit:
    return Admit(**{"member": "EVE", "role": "firm", **changed})


REFUSED: list[tuple[Act, RejectReason]] = [
    (listing(symbol="QWEN"), RejectReason.ALREADY_EXISTS),
    (listing(symbol="SOUND"), RejectReason.ALREADY_EXISTS),
    (listing(provider="NOBODY"), RejectReason.UNKNOWN_MEMBER),
    (listing(tick=0), RejectReason.PRICE_OFF_TICK),
    (listing(tick=-50), RejectReason.PRICE_OFF_TICK),
    (listing(tick=30), RejectReason.PRICE_OFF_TICK),
    (listing(list_price=0), RejectReason.PRICE_NOT_POSITIVE),
    (listing(list_price=-5_000), RejectReason.PRICE_NOT_POSITIVE),
    (listing(list_price=PRICE_MAX + 50), RejectReason.PRICE_NOT_POSITIVE),
    (SetFees("model", -1, 0), RejectReason.TERMS_INVALID),
    (SetFees("model", 0, 10_001), RejectReason.TERMS_INVALID),
    (admission(member=""), RejectReason.ALREADY_EXISTS),
    (admission(member="ANN"), RejectReason.ALREADY_EXISTS),
    (admission(member="HOUSE"), RejectReason.ALREADY_EXISTS),
    (admission(member="CALENDAR"), RejectReason.ALREADY_EXISTS),
    (admission(turnover_max=2**63), RejectReason.TERMS_INVALID),
    (admission(open_orders_max=-1), RejectReason.TERMS_INVALID),
    (RegisterKey("NOBODY", "n" * 40), RejectReason.UNKNOWN_MEMBER),
    (RegisterKey("ANN", KEY), RejectReason.KEY_INVALID),
    (RegisterKey("ANN", "short"), RejectReason.KEY_INVALID),
    (RevokeKey("n" * 40), RejectReason.KEY_INVALID),
    (terms(code="VOUCHER"), RejectReason.ALREADY_EXISTS),
    (terms(budget=0), RejectReason.TERMS_INVALID),
    (terms(budget=AMOUNT_MAX + 1), RejectReason.TERMS_INVALID),
    (terms(order_cap=0), RejectReason.TERMS_INVALID),
    (terms(group_cap=2**63), RejectReason.TERMS_INVALID),
    (terms(ceiling=-1), RejectReason.TERMS_INVALID),
    (terms(ceiling=2**62), RejectReason.TERMS_INVALID),
    (terms(order_lots=-1), RejectReason.TERMS_INVALID),
    (terms(version=2**31), RejectReason.TERMS_INVALID),
    (terms(rates=(Rate(rate=10_001),)), RejectReason.TERMS_INVALID),
    (terms(valid_through=date(2025, 12, 31)), RejectReason.TERMS_INVALID),
    (terms(valid_through=date(9999, 12, 31)), RejectReason.TERMS_INVALID),
    (terms(regions=tuple(f"R-{n}" for n in range(REGIONS_MAX))), RejectReason.CAPACITY_EXCEEDED),
    (Deposit("NOBODY", 1), RejectReason.UNKNOWN_MEMBER),
    (Deposit("ANN", 0), RejectReason.AMOUNT_OUT_OF_RANGE),
    (Deposit("ANN", -1), RejectReason.AMOUNT_OUT_OF_RANGE),
    (Deposit("ANN", AMOUNT_MAX + 1), RejectReason.AMOUNT_OUT_OF_RANGE),
    (Deposit("ANN", 2**64 - 1), RejectReason.AMOUNT_OUT_OF_RANGE),
    (SetCapacity("NOTHING", 1), RejectReason.UNKNOWN_INSTRUMENT),
    (SetCapacity("QWEN", LOTS_EACH - 1), RejectReason.CAPACITY_EXCEEDED),
    (SetCapacity("QWEN", AMOUNT_MAX + 1), RejectReason.CAPACITY_EXCEEDED),
    (Issue("NOTHING", 1), RejectReason.UNKNOWN_INSTRUMENT),
    (Issue("QWEN", 0), RejectReason.AMOUNT_OUT_OF_RANGE),
    (Issue("QWEN", -1), RejectReason.AMOUNT_OUT_OF_RANGE),
    (Issue("QWEN", 10**9 - LOTS_EACH + 1), RejectReason.CAPACITY_EXCEEDED),
    (SetPhase("NOTHING", "halted"), RejectReason.UNKNOWN_INSTRUMENT),
    (SetPhase("QWEN", "halted", reference=-1), RejectReason.PRICE_NOT_POSITIVE),
    (SetPhase("QWEN", "halted", reference=PRICE_MAX + 1), RejectReason.PRICE_TOO_LARGE),
    (SetPhase("QWEN", "continuous"), RejectReason.PHASE_NOT_ALLOWED),
    (SetPhase("QWEN", "auction"), RejectReason.PHASE_NOT_ALLOWED),
    (SetPhase("", "no_cancel"), RejectReason.PHASE_NOT_ALLOWED),
    (SetState("NOTHING", "listed"), RejectReason.UNKNOWN_INSTRUMENT),
    (SetState("QWEN", "listed"), RejectReason.STATE_NOT_ALLOWED),
    (SetState("QWEN", "retired"), RejectReason.STATE_NOT_ALLOWED),
    (AllowModes(("call", "listing")), RejectReason.PHASE_NOT_ALLOWED),
    (SetCollars("model", -1, 0, 0), RejectReason.TERMS_INVALID),
    (SetCollars("model", 0, 1_001, 0), RejectReason.TERMS_INVALID),
    (SetCollars("model", 0, 0, 1_001), RejectReason.TERMS_INVALID),
    (SetCalendar(NO_CALENDAR), RejectReason.CALENDAR_INVALID),
    (BeginFixing(date(2026, 11, 20)), RejectReason.ALREADY_EXISTS),
    (FixPrices(date(2026, 11, 20)), RejectReason.CALENDAR_INVALID),
    (BlockMember("NOBODY", True), RejectReason.UNKNOWN_MEMBER),
]


@pytest.mark.parametrize(("act", "reason"), REFUSED, ids=lambda part: type(part).__name__)
def test_an_act_that_is_refused_leaves_nothing_behind(venue, act, reason):
    before = all_of(venue.engine)
    outcome = venue.play(act_step(act, venue.time))
    assert [result.reason for result in outcome.acts] == [reason]
    assert outcome.happened == Happened()
    assert len(outcome.events) == 0
    assert all_of(venue.engine) == before


def test_regions_run_out_for_members_too(venue):
    count = len(venue.engine.registry.regions)
    for number in range(REGIONS_MAX - count):
        assert venue.decide(admission(member=f"M-{number}", region=f"R-{number}")) == RejectReason.NONE
    before = all_of(venue.engine)
    assert venue.decide(admission(region="ONE-MORE")) == RejectReason.CAPACITY_EXCEEDED
    assert all_of(venue.engine) == before
    assert venue.decide(admission(region="R-0")) == RejectReason.NONE


# --- accepted ----------------------------------------------------------------------------------


def test_a_listed_instrument_trades_at_once(venue):
    outcome = venue.play(act_step(ListInstruments((NEW_ONE,)), venue.time))
    (row,) = outcome.happened.instruments
    assert (row.index, row.instrument, row.kind, row.list_price) == (4, "NEW-ONE", "agent", 5_000)
    assert row.sequence == venue.engine.sequence
    assert venue.buy("ANN", 1, "NEW-ONE", 5_050).reason == RejectReason.NONE
    assert venue.buy("ANN", 1, "NEW-ONE", 5_001).reason == RejectReason.PRICE_OFF_TICK


def test_fees_apply_from_now_on(venue):
    assert venue.decide(SetFees("model", 0, 100)) == RejectReason.NONE
    venue.sell("YUN", 1, "QWEN", 1_000)
    (trade,) = venue.buy("ANN", 1, "QWEN", 1_000).trades
    assert (trade.fee, trade.maker_fee) == (10, 0)


def test_an_admitted_member_may_trade_when_he_has_money(venue):
    outcome = venue.play(act_step(admission(size="micro", region="HANGZHOU"), venue.time))
    (row,) = outcome.happened.members
    assert (row.member, row.group_name, row.role, row.size) == ("EVE", "EVE", "firm", "micro")
    assert venue.buy("EVE", 1, "QWEN", 1_000).reason == RejectReason.MONEY_NOT_AVAILABLE
    assert venue.decide(Deposit("EVE", 5_000)) == RejectReason.NONE
    assert venue.buy("EVE", 1, "QWEN", 1_000, last="day", programme="VOUCHER").said[0].subsidy == 300


def test_the_first_member_is_the_house():
    engine = Engine()
    outcome = engine.apply(*batch_of([act_step(admission())]))
    house, eve = outcome.happened.members
    assert (house.index, house.member, house.role) == (HOUSE, "HOUSE", "house")
    assert (eve.index, eve.member) == (1, "EVE")
    assert engine.apply(*batch_of([act_step(admission())])).happened.members == ()


def test_keys_speak_for_a_member_until_they_are_revoked(venue):
    keys = venue.engine.registry.keys
    assert venue.decide(RegisterKey("ANN", "a" * 40)) == RejectReason.NONE
    assert keys == {KEY: venue.member("ANN"), "a" * 40: venue.member("ANN")}
    assert venue.decide(RevokeKey(KEY)) == RejectReason.NONE
    assert keys == {"a" * 40: venue.member("ANN")}


def test_a_programme_begins_with_its_budget_uncommitted(venue):
    assert venue.decide(DefineProgramme(NEW_TERMS)) == RejectReason.NONE
    assert venue.budget("NEW-TERMS") == Budget(NEW_TERMS.budget, 0, 0, 0)
    row = venue.engine.programmes()[-1]
    assert (row.programme, row.fiscal_year, row.terms_version, row.budget) == ("NEW-TERMS", 2026, 1, 20_000)


def test_a_deposit_is_there_to_spend(venue):
    assert venue.decide(Deposit("ANN", 7)) == RejectReason.NONE
    assert venue.money("ANN") == Balance(MONEY_EACH + 7)


def test_a_provider_issues_up_to_its_capacity(venue):
    assert venue.decide(SetCapacity("QWEN", LOTS_EACH + 5)) == RejectReason.NONE
    assert venue.decide(Issue("QWEN", 5)) == RejectReason.NONE
    assert venue.decide(Issue("QWEN", 1)) == RejectReason.CAPACITY_EXCEEDED
    assert venue.credits("YUN", "QWEN") == Balance(LOTS_EACH + 5)


def test_phases_are_set_for_one_market_or_for_all(venue):
    phases = venue.engine.core.book.markets["phase"]
    assert venue.decide(SetPhase("GPT", "halted")) == RejectReason.NONE
    assert phases.tolist() == [Phase.CONTINUOUS, Phase.HALTED, Phase.CONTINUOUS, Phase.CONTINUOUS]
    assert venue.decide(SetPhase("", "closed")) == RejectReason.NONE
    assert phases.tolist() == [Phase.CLOSED] * 4


def test_acts_take_their_place_among_the_commands(venue):
    """What is asked before an act in a batch knows nothing of it; what is asked after it does."""
    early, late = (venue.new("ANN", Side.BUY, 1, "QWEN", 1_000) for _ in range(2))
    steps = [
        Step(early),
        act_step(BlockMember("ANN", True), venue.time),
        act_step(BlockMember("NOBODY", True), venue.time),
        Step(late),
    ]
    outcome = venue.play(*steps)
    assert outcome.events["command"].tolist() == [0, 3]
    assert outcome.events["reason"].tolist() == [RejectReason.NONE, RejectReason.MEMBER_BLOCKED]
    assert [(result.row, result.reason) for result in outcome.acts] == [
        (1, RejectReason.NONE),
        (2, RejectReason.UNKNOWN_MEMBER),
    ]
    assert outcome.acts[0].sequence == outcome.effects["sequence"][0] + 1


# --- entries -----------------------------------------------------------------------------------


def test_the_entries_of_acts_sum_to_zero_and_tell_the_balances():
    engine = Engine()
    steps = [act_step(act) for act in founding()]
    postings = engine.apply(*batch_of(steps)).happened.postings
    sums: Counter[tuple[int, int]] = Counter()
    free: Counter[tuple[int, int]] = Counter()
    for posting in postings:
        sums[posting.entry, posting.asset] += posting.amount
        if posting.account == "free":
            free[posting.member, posting.asset] += posting.amount
    assert {*sums.values()} == {0}
    venue = Venue()
    assert {
        (member, asset): Balance(lots) for (member, asset), lots in free.items()
    } == venue.stand().balances
    assert [*dict.fromkeys(posting.entry for posting in postings)] == [*range(1, len(sums) + 1)]
    codes = {terms.code: number for number, terms in enumerate(engine.registry.programmes)}
    assert act_postings(postings, codes)["amount"].sum() == 0


def test_each_entry_says_whose_it_is_and_why(venue):
    first = int(venue.engine.core.ledger.totals[0]["entries"])
    steps = [act_step(act, 99) for act in (Deposit("ANN", 5), Issue("GPT", 3), DefineProgramme(NEW_TERMS))]
    postings = venue.play(*steps).happened.postings
    sequence, ann, far = venue.engine.sequence, venue.member("ANN"), venue.member("FAR")
    gpt = venue.instrument("GPT") + 1
    budget = NEW_TERMS.budget
    assert list(postings) == [
        Posting(first + 1, sequence - 2, 99, ann, "free", MONEY, 5, "deposit"),
        Posting(first + 1, sequence - 2, 99, HOUSE, "outside", MONEY, -5, "deposit"),
        Posting(first + 2, sequence - 1, 99, far, "free", gpt, 3, "issue"),
        Posting(first + 2, sequence - 1, 99, HOUSE, "outside", gpt, -3, "issue"),
        Posting(first + 3, sequence, 99, HOUSE, "programme:NEW-TERMS", MONEY, budget, "fund"),
        Posting(first + 3, sequence, 99, HOUSE, "outside", MONEY, -budget, "fund"),
    ]
    assert NO_SLOT not in {posting.member for posting in postings}
