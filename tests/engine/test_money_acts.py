"""Stories of money that comes, goes and changes hands without a trade; and of acts that need two persons."""

from __future__ import annotations

import pytest

from exchange.protocol.acts import (
    Adjust,
    AdjustmentLine,
    Admit,
    Approve,
    Deliver,
    Deposit,
    FindIneligible,
    Issue,
    Propose,
    Redeem,
    SetCapacity,
    Transfer,
    Withdraw,
)
from exchange.standing import Obligation
from matching.vocabulary import RejectReason
from tests.engine.market import MONEY_EACH
from tests.engine.money_market import MoneyVenue
from tests.engine.stands import Balance


@pytest.fixture
def venue() -> MoneyVenue:
    return MoneyVenue()


# --- deposits and withdrawals ------------------------------------------------------------------


def test_a_deposit_that_is_sent_again_is_done_once_and_answered_as_before(venue):
    first = venue.done(Deposit("ANN", 500, "bank-1"))
    assert venue.done(Deposit("ANN", 500, "bank-1")) == first
    assert venue.brought.postings == ()
    assert venue.money("ANN") == Balance(MONEY_EACH + 500)
    assert venue.refused(Deposit("ANN", 501, "bank-1")) == RejectReason.REFERENCE_USED
    assert venue.refused(Withdraw("ANN", 500, "bank-1"), "ANN") == RejectReason.REFERENCE_USED
    venue.done(Deposit("BEN", 500, "bank-1"))  # a reference is its member's
    venue.done(Deposit("ANN", 500))  # a deposit may do without
    venue.done(Deposit("ANN", 500))
    assert venue.money("ANN") == Balance(MONEY_EACH + 1_500)


def test_only_available_money_is_withdrawn(venue):
    venue.buy("ANN", 100, "TASK", 100)
    held = venue.money("ANN").held
    out = Withdraw("ANN", MONEY_EACH - held + 1, "out-1")
    result = venue.act(out, "ANN")
    assert (result.reason, result.detail) == (RejectReason.MONEY_NOT_AVAILABLE, MONEY_EACH - held)
    first = venue.done(Withdraw("ANN", MONEY_EACH - held, "out-1"), "ANN")
    assert venue.entries() == [
        ("withdrawal", "free", held - MONEY_EACH),
        ("withdrawal", "outside", MONEY_EACH - held),
    ]
    assert venue.done(Withdraw("ANN", MONEY_EACH - held, "out-1"), "ANN") == first
    assert venue.money("ANN") == Balance(0, held=held)
    assert venue.refused(Withdraw("BEN", 1, "out-1"), "ANN") == RejectReason.ROLE_NOT_PERMITTED
    assert venue.refused(Withdraw("BEN", 1, ""), "BEN") == RejectReason.CLIENT_ID_INVALID


def test_a_debtor_withdraws_nothing(venue):
    venue.bought("ANN", 10, "TASK", 100, "DEDUCT")
    venue.done(FindIneligible("ANN", "DEDUCT"))
    result = venue.act(Withdraw("ANN", 1, "out-1"), "ANN")
    assert (result.reason, result.detail) == (RejectReason.PROGRAMME_DEBT, 500)


def test_what_was_withdrawn_makes_room_for_deposits(venue):
    before = int(venue.engine.core.ledger.totals[0]["brought_in"])
    venue.done(Withdraw("ANN", 500, "out-1"), "ANN")
    assert int(venue.engine.core.ledger.totals[0]["brought_in"]) == before - 500


# --- accounts of one owner ---------------------------------------------------------------------


def test_a_second_account_is_of_its_owners_group(venue):
    owner, second = venue.member("ANN"), venue.member("ANN-2")
    groups = venue.engine.core.ledger.members["group"]
    assert groups[owner] == groups[second]
    venue.done(Admit(member="BOB-2", role="firm", owner="BOB"))
    (row,) = venue.brought.members
    assert (row.owner, row.group_name) == ("BOB", "BROTHERS")
    third = Admit(member="ANN-3", role="firm", owner="ANN-2")
    assert venue.refused(third) == RejectReason.TERMS_INVALID
    assert venue.refused(Admit(member="X", role="firm", owner="NOBODY")) == RejectReason.UNKNOWN_MEMBER
    other = Admit(member="X", role="firm", owner="ANN", group="BROTHERS")
    assert venue.refused(other) == RejectReason.TERMS_INVALID


def test_money_and_credits_move_between_accounts_of_one_owner(venue):
    venue.give("ANN", 10, "TASK", 100)
    there = venue.done(Transfer("ANN", "ANN-2", "TASK", 4, "t-1"), "ANN")
    assert venue.done(Transfer("ANN", "ANN-2", "TASK", 4, "t-1"), "ANN") == there
    assert venue.credits("ANN", "TASK") == Balance(6)
    assert venue.credits("ANN-2", "TASK") == Balance(4)
    venue.done(Transfer("ANN", "ANN-2", "", 300, "t-2"), "ANN")
    venue.done(Transfer("ANN-2", "ANN", "", 100, "t-1"), "ANN")  # the owner's, of its second account
    assert venue.money("ANN-2") == Balance(200)
    theirs = Transfer("ANN", "ANN-2", "", 1, "t-9")
    assert venue.refused(theirs, "ANN-2") == RejectReason.ROLE_NOT_PERMITTED
    assert venue.refused(Transfer("ANN", "BEN", "", 1, "t-9"), "ANN") == RejectReason.ROLE_NOT_PERMITTED
    assert venue.refused(Transfer("ANN", "ANN", "", 1, "t-9"), "ANN") == RejectReason.ROLE_NOT_PERMITTED
    much = Transfer("ANN", "ANN-2", "TASK", 7, "t-9")
    assert venue.refused(much, "ANN") == RejectReason.CREDITS_NOT_AVAILABLE


def test_restricted_credits_do_not_move(venue):
    venue.bought("ANN", 10, "TASK", 100, "DEDUCT")
    move = Transfer("ANN", "ANN-2", "TASK", 1, "t-1")
    assert venue.refused(move, "ANN") == RejectReason.CREDITS_NOT_AVAILABLE


def test_districts_count_beside_the_seat(venue):
    venue.done(Admit(member="EVE", role="firm", size="small", region="NINGBO", districts=("HANGZHOU", "X")))
    venue.done(Deposit("EVE", 10_000))
    assert venue.buy("EVE", 1, "QWEN", 1_000, last="day", programme="VOUCHER").said[0].subsidy == 300


# --- credits that providers make ---------------------------------------------------------------


def test_several_providers_meet_their_obligations_in_the_order_of_issue(venue):
    venue.done(SetCapacity("DEEP", 1_300))
    venue.done(Issue("DEEP", 200, "FAR"), "FAR")
    venue.done(Issue("DEEP", 100, "YUN"), "YUN")
    assert venue.refused(Issue("DEEP", 1, "YUN"), "FAR") == RejectReason.ROLE_NOT_PERMITTED
    assert venue.refused(Issue("DEEP", 1), "FAR") == RejectReason.ROLE_NOT_PERMITTED
    assert venue.refused(Issue("DEEP", 1, "ANN")) == RejectReason.ROLE_NOT_PERMITTED
    assert venue.refused(Issue("DEEP", 1)) == RejectReason.CAPACITY_EXCEEDED
    yun, far = venue.member("YUN"), venue.member("FAR")
    venue.done(Deliver(venue.done(Redeem("YUN", "DEEP", 1_050, "mine"), "YUN")), "YUN")
    rows = [(row.provider, row.redeemed) for row in venue.brought.obligations]
    assert rows == [(yun, 1_000), (far, 50)]
    deep = venue.instrument("DEEP")
    assert venue.engine.registry.obligations[deep] == {
        yun: Obligation(1_100, 1_000),
        far: Obligation(200, 50),
    }
    assert [(one.provider, one.lots) for one in venue.engine.registry.issues[deep]] == [
        (far, 150),
        (yun, 100),
    ]


# --- two persons -------------------------------------------------------------------------------

SHIFT = Adjust((AdjustmentLine("ANN", "", -70), AdjustmentLine("BEN", "", 50), AdjustmentLine("YUN", "", 20)))


def test_an_adjustment_is_proposed_by_one_operator_and_approved_by_another(venue):
    assert venue.refused(SHIFT) == RejectReason.TWO_PERSONS_NEEDED
    assert venue.refused(Propose(SHIFT), "ANN") == RejectReason.ROLE_NOT_PERMITTED
    proposal = venue.done(Propose(SHIFT))
    assert venue.brought.postings == ()
    assert venue.refused(Approve(proposal)) == RejectReason.TWO_PERSONS_NEEDED
    assert venue.refused(Approve(proposal + 99), "SECOND") == RejectReason.UNKNOWN_PROPOSAL
    venue.done(Approve(proposal), "SECOND")
    assert [(reason, amount) for reason, _, amount in venue.entries()] == [
        ("adjustment", -70),
        ("adjustment", 50),
        ("adjustment", 20),
    ]
    assert (venue.gained("ANN"), venue.gained("BEN"), venue.gained("YUN")) == (-70, 50, 20)
    assert venue.refused(Approve(proposal), "SECOND") == RejectReason.UNKNOWN_PROPOSAL


def test_a_second_account_is_no_second_person(venue):
    venue.done(Admit(member="SELF", role="operator", owner="OPERATOR"))
    assert venue.refused(Approve(venue.done(Propose(SHIFT))), "SELF") == RejectReason.TWO_PERSONS_NEEDED


def test_a_proposal_that_is_refused_still_stands(venue):
    take = Adjust((AdjustmentLine("ANN-2", "", -5), AdjustmentLine("ANN", "", 5)))
    proposal = venue.done(Propose(take))
    assert venue.refused(Approve(proposal), "SECOND") == RejectReason.MONEY_NOT_AVAILABLE
    venue.done(Deposit("ANN-2", 5))
    venue.done(Approve(proposal), "SECOND")
    assert venue.gained("ANN") == 5


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], RejectReason.AMOUNT_OUT_OF_RANGE),
        ([("ANN", "", 5)], RejectReason.AMOUNT_OUT_OF_RANGE),
        ([("ANN", "", 5), ("BEN", "TASK", -5)], RejectReason.AMOUNT_OUT_OF_RANGE),
        ([("ANN", "", 0)], RejectReason.AMOUNT_OUT_OF_RANGE),
        ([("NOBODY", "", 5), ("ANN", "", -5)], RejectReason.UNKNOWN_MEMBER),
        ([("BEN", "NOTHING", 5), ("ANN", "", -5)], RejectReason.UNKNOWN_INSTRUMENT),
        ([("BEN", "TASK", 5), ("ANN", "TASK", -5)], RejectReason.CREDITS_NOT_AVAILABLE),
        ([("BEN", "", 2), ("ANN", "", -MONEY_EACH - 2), ("ANN", "", MONEY_EACH)], RejectReason.NONE),
    ],
)
def test_adjustments_sum_to_zero_and_leave_nobody_below_it(venue, lines, reason):
    assert venue.two(Adjust(tuple(AdjustmentLine(*line) for line in lines))) == reason


def test_proposals_do_not_pile_up_without_end(venue, monkeypatch):
    monkeypatch.setattr("exchange.decisions.PROPOSALS_MAX", 2)
    first, second, _ = (venue.done(Propose(SHIFT)) for _ in range(3))
    assert venue.refused(Approve(first), "SECOND") == RejectReason.UNKNOWN_PROPOSAL
    venue.done(Approve(second), "SECOND")


def test_references_do_not_pile_up_without_end(venue, monkeypatch):
    monkeypatch.setattr("exchange.money_decisions.REFERENCES_PER_MEMBER", 2)
    for number in range(3):
        venue.done(Deposit("ANN", 500, f"bank-{number}"))
    assert [*venue.engine.registry.references[venue.member("ANN")]] == ["bank-1", "bank-2"]
