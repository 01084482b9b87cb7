"""Every act of money that is refused names why, and leaves nothing behind: no row, no name, no number."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest
from msgspec.structs import replace

from exchange.protocol.acts import (
    Accept,
    Act,
    Adjust,
    AdjustmentLine,
    Admit,
    AllowModes,
    Approve,
    BlockMember,
    Bust,
    CancelOrders,
    CloseWindows,
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
    Guard,
    Issue,
    KeepIds,
    ListInstruments,
    Propose,
    Recall,
    RecordUsage,
    Redeem,
    Resolve,
    ReviseProgramme,
    Reweight,
    SetFees,
    SetLimits,
    SettleDebt,
    TokenUsage,
    Transfer,
    UsageRecord,
    Withdraw,
)
from exchange.registry import CALENDAR
from matching.vocabulary import RejectReason
from settlement.rows import Happened
from tests.engine.market import act_step
from tests.engine.money_market import DEDUCT, DEEP, MoneyVenue, terms
from tests.engine.test_engine_acts import REFUSED as REFUSED_OTHERS

BUST = Bust(1)
RECORD = UsageRecord("a", "ANN", "DEEP", 1, TokenUsage(1, 1))


@pytest.fixture(scope="module")
def venue() -> MoneyVenue:
    """Return a venue where everything is there: parcels, debts, redemptions, proposals, references.

    One for all: what is refused changes nothing.
    """
    venue = MoneyVenue()
    venue.bought("ANN", 4, "DEEP", 100, "DEDUCT")
    venue.bought("BEN", 4, "TASK", 100, "REPAY")
    venue.done(FindIneligible("ANN", "DEDUCT"))
    venue.done(Redeem("BEN", "TASK", 1, "r-1"), "BEN")
    venue.done(Deposit("ANN", 5, "known"))
    venue.done(Propose(BUST))
    return venue


def all_of(venue: MoneyVenue) -> dict[str, bytes]:
    """Return every table of the ledger, what the book counts but for time, and all names."""
    engine = venue.engine
    rows = {name: rows.tobytes() for name, rows in engine.core.ledger._asdict().items()}
    counts = engine.core.book.counts.copy()
    counts["clock"] = 0
    rows |= {"counts": counts.tobytes(), "markets": engine.core.book.markets.tobytes()}
    return rows | {"names": msgspec.json.encode(engine.registry)}


def listing(**changed) -> ListInstruments:
    return ListInstruments((replace(DEEP, symbol="SOUND"), replace(DEEP, symbol="SPOILT", **changed)))


REFUSED: list[tuple[Act, RejectReason]] = [
    (Deposit("ANN", 6, "known"), RejectReason.REFERENCE_USED),
    (Deposit("ANN", 6, "x" * 129), RejectReason.CLIENT_ID_INVALID),
    (Deposit("ANN", 6, "new\nline"), RejectReason.CLIENT_ID_INVALID),
    (Withdraw("NOBODY", 1, "x"), RejectReason.UNKNOWN_MEMBER),
    (Withdraw("BEN", 0, "x"), RejectReason.AMOUNT_OUT_OF_RANGE),
    (Withdraw("BEN", 2**62, "x"), RejectReason.AMOUNT_OUT_OF_RANGE),
    (Withdraw("BEN", 10**7, "x"), RejectReason.MONEY_NOT_AVAILABLE),
    (Withdraw("ANN", 1, "x"), RejectReason.PROGRAMME_DEBT),
    (Transfer("NOBODY", "ANN", "", 1, "x"), RejectReason.UNKNOWN_MEMBER),
    (Transfer("ANN", "NOBODY", "", 1, "x"), RejectReason.UNKNOWN_MEMBER),
    (Transfer("ANN", "ANN-2", "NOTHING", 1, "x"), RejectReason.UNKNOWN_INSTRUMENT),
    (Transfer("ANN", "ANN-2", "", 0, "x"), RejectReason.AMOUNT_OUT_OF_RANGE),
    (Transfer("ANN", "ANN-2", "", 1, ""), RejectReason.CLIENT_ID_INVALID),
    (Transfer("ANN", "ANN-2", "", 1, "known"), RejectReason.REFERENCE_USED),
    (Issue("DEEP", 1, "BEN"), RejectReason.ROLE_NOT_PERMITTED),
    (Redeem("NOBODY", "DEEP", 1, "x"), RejectReason.UNKNOWN_MEMBER),
    (Redeem("ANN", "NOTHING", 1, "x"), RejectReason.UNKNOWN_INSTRUMENT),
    (Redeem("ANN", "DEEP", 0, "x"), RejectReason.AMOUNT_OUT_OF_RANGE),
    (Redeem("ANN", "DEEP", 5, "x"), RejectReason.CREDITS_NOT_AVAILABLE),
    (Redeem("CAT", "DEEP", 1, "x"), RejectReason.CREDITS_NOT_AVAILABLE),
    (Redeem("ANN", "DEEP", 1, ""), RejectReason.CLIENT_ID_INVALID),
    (Recall(1), RejectReason.UNKNOWN_REDEMPTION),
    (Deliver(1), RejectReason.UNKNOWN_REDEMPTION),
    (Accept(1), RejectReason.UNKNOWN_REDEMPTION),
    (Dispute(1), RejectReason.UNKNOWN_REDEMPTION),
    (Resolve(1, is_accepted=True), RejectReason.UNKNOWN_REDEMPTION),
    (RecordUsage((RECORD,)), RejectReason.TOO_OLD),
    (ExpireCredits("NOTHING"), RejectReason.UNKNOWN_INSTRUMENT),
    (ExpireCredits("DEEP"), RejectReason.NOT_DUE),
    (ExpireCredits("DEEP-WINTER"), RejectReason.NOT_DUE),
    (ReviseProgramme(DEDUCT), RejectReason.TWO_PERSONS_NEEDED),
    (GrantAward("AWARD", "ANN", 1), RejectReason.TWO_PERSONS_NEEDED),
    (CloseYear("NOTHING"), RejectReason.UNKNOWN_PROGRAMME),
    (CloseYear("DEDUCT"), RejectReason.NOT_DUE),
    (BUST, RejectReason.TWO_PERSONS_NEEDED),
    (Adjust((AdjustmentLine("ANN", "", 1),)), RejectReason.TWO_PERSONS_NEEDED),
    (FindRelated("ANN", "NOBODY"), RejectReason.UNKNOWN_MEMBER),
    (FindRelated("NOBODY", "ANN"), RejectReason.UNKNOWN_MEMBER),
    (FindRelated("BEN", "BOB"), RejectReason.ALREADY_EXISTS),
    (FindIneligible("NOBODY", "DEDUCT"), RejectReason.UNKNOWN_MEMBER),
    (FindIneligible("ANN", "NOTHING"), RejectReason.UNKNOWN_PROGRAMME),
    (SettleDebt("NOBODY", "DEDUCT", 1), RejectReason.UNKNOWN_MEMBER),
    (SettleDebt("ANN", "NOTHING", 1), RejectReason.UNKNOWN_PROGRAMME),
    (SettleDebt("ANN", "DEDUCT", 0), RejectReason.AMOUNT_OUT_OF_RANGE),
    (SettleDebt("ANN", "DEDUCT", 201), RejectReason.AMOUNT_OUT_OF_RANGE),
    (Approve(1), RejectReason.UNKNOWN_PROPOSAL),
    (DefineProgramme(terms("NEW", payout="award", exhaustion="pro_rata")), RejectReason.TERMS_INVALID),
    (DefineProgramme(terms("NEW", excludes=("NEW",))), RejectReason.TERMS_INVALID),
    (listing(also_provided_by="FAR NOBODY"), RejectReason.UNKNOWN_MEMBER),
    (listing(redeemed_as="GPT"), RejectReason.TERMS_INVALID),
    (listing(expires=date(2026, 11, 20)), RejectReason.TERMS_INVALID),
    (listing(expires=date(9999, 12, 31)), RejectReason.TERMS_INVALID),
    (
        Admit(member="EVE", role="firm", districts=tuple(f"R-{n}" for n in range(64))),
        RejectReason.CAPACITY_EXCEEDED,
    ),
    (SetLimits(member="NOBODY", quantity_max=1), RejectReason.UNKNOWN_MEMBER),
    (SetLimits(member="HOUSE", quantity_max=1), RejectReason.UNKNOWN_MEMBER),
    (SetLimits(member="ANN"), RejectReason.TERMS_INVALID),
    (SetLimits(member="ANN", quantity_max=1, turnover_max=-1), RejectReason.TERMS_INVALID),
    (SetLimits(member="ANN", open_orders_max=2**31), RejectReason.TERMS_INVALID),
    (Enrol("NOTHING", ("ANN",)), RejectReason.UNKNOWN_PROGRAMME),
    (Enrol("DEDUCT", ()), RejectReason.TERMS_INVALID),
    (Enrol("DEDUCT", ("ANN", "NOBODY")), RejectReason.UNKNOWN_MEMBER),
    (Enrol("DEDUCT", ("HOUSE",)), RejectReason.UNKNOWN_MEMBER),
    (Reweight("DEEP", 1_000, 100, 4_000), RejectReason.TWO_PERSONS_NEEDED),
    (CancelOrders("NOBODY"), RejectReason.UNKNOWN_MEMBER),
    (KeepIds(0), RejectReason.AMOUNT_OUT_OF_RANGE),
]


@pytest.mark.parametrize(("act", "reason"), REFUSED, ids=lambda part: type(part).__name__)
def test_an_act_that_is_refused_leaves_nothing_behind(venue, act, reason):
    before = all_of(venue)
    outcome = venue.play(act_step(act, venue.time))
    assert [result.reason for result in outcome.acts] == [reason]
    assert outcome.acts[0].value != ""
    assert outcome.happened == Happened()
    assert len(outcome.events) == 0
    assert all_of(venue) == before


ROLE_ALONE = {CloseWindows, Guard, Propose}
"""What is refused to nobody who may decide it; a guard the gateway alone decides."""


def test_every_act_that_can_be_refused_is_tried():
    tried = {type(act) for act, _ in (*REFUSED, *REFUSED_OTHERS)}
    assert tried | ROLE_ALONE == set(Act.__args__)


# --- who may decide ----------------------------------------------------------------------------

ANYBODYS: list[tuple[str, Act]] = [
    ("ANN", SetFees("model", 0, 0)),
    ("ANN", BlockMember("BEN", True)),
    ("ANN", Deposit("ANN", 5)),
    ("ANN", Withdraw("BEN", 5, "x")),
    ("ANN", Redeem("BEN", "TASK", 1, "x")),
    ("ANN", SettleDebt("BEN", "DEDUCT", 1)),
    ("ANN", SetLimits(member="ANN", quantity_max=10**9)),
    ("ANN", Enrol("DEDUCT", ("ANN",))),
    ("OFFICE", SetLimits(member="ANN", quantity_max=1)),
    ("SECOND-NOBODY", Reweight("DEEP", 1, 1, 1)),
    ("ANN", CloseWindows()),
    ("ANN", Guard("ANN", seconds=30)),
    ("OPERATOR", Guard("ANN", seconds=30)),
    ("ANN", ExpireCredits("DEEP-WINTER")),
    ("ANN", Propose(BUST)),
    ("ANN", BUST),
    ("ANN-2", Transfer("ANN", "ANN-2", "", 1, "x")),
    ("YUN", Issue("GPT", 1)),
    ("YUN", RecordUsage((replace(RECORD, model="GPT"),))),
    ("OFFICE", DefineProgramme(terms("NEW"))),
    ("NOBODY", Redeem("NOBODY", "TASK", 1, "x")),
    ("HOUSE", Deposit("HOUSE", 1)),
    (CALENDAR, Deposit("ANN", 1)),
    (CALENDAR, AllowModes(())),
    (CALENDAR, Approve(1)),
]


@pytest.mark.parametrize(
    ("who", "act"), ANYBODYS, ids=lambda part: part if isinstance(part, str) else type(part).__name__
)
def test_who_may_not_decide(venue, who, act):
    before = all_of(venue)
    assert venue.refused(act, who) == RejectReason.ROLE_NOT_PERMITTED
    assert all_of(venue) == before


def test_others_do_not_decide_about_a_redemption(venue):
    (number,) = venue.engine.registry.redemptions
    for act in (Recall(number), Accept(number), Dispute(number)):
        assert venue.refused(act, "ANN") == RejectReason.ROLE_NOT_PERMITTED
    assert venue.refused(Deliver(number), "BEN") == RejectReason.ROLE_NOT_PERMITTED
    assert venue.refused(Resolve(number, is_accepted=True), "BEN") == RejectReason.ROLE_NOT_PERMITTED
