"""Attacks on a programme after the trade: by redemption, records, transfers, busts, awards and delay."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec.structs import replace

from exchange.protocol.acts import (
    Accept,
    Adjust,
    AdjustmentLine,
    Admit,
    Approve,
    Bust,
    CloseWindows,
    CloseYear,
    DefineProgramme,
    Deliver,
    Deposit,
    Dispute,
    ExpireCredits,
    FindIneligible,
    FindRelated,
    GrantAward,
    Propose,
    Recall,
    RecordUsage,
    Redeem,
    Resolve,
    ReviseProgramme,
    SetPhase,
    SettleDebt,
    TokenUsage,
    Transfer,
    UsageRecord,
    Withdraw,
)
from exchange.standing import USAGE_NS_MAX, WINDOW_NS
from matching.vocabulary import EventKind, RejectReason
from settlement.terms import Rate, end_ns
from tests.engine.market import MONEY_EACH, YEARS_END
from tests.engine.money_market import AWARD, DEDUCT, WINTER, MoneyVenue, terms
from tests.engine.stands import Balance, Budget, Used
from tests.engine.test_farming import bid, change

SECOND_NS = 10**9


@pytest.fixture
def venue() -> MoneyVenue:
    return MoneyVenue()


def redeem(venue, member, lots, symbol="DEEP", reference="r-1"):
    """Redeem lots that the provider confirms; return the redemption."""
    number = venue.done(Redeem(member, symbol, lots, reference), member)
    venue.done(Deliver(number), "YUN")
    return number


def record(venue, name, tokens=1_000_000, member="ANN", age_ns=0):
    """A record of use that began so long ago."""
    created = (venue.time + 1 - age_ns) // SECOND_NS
    return UsageRecord(name, member, "DEEP", created, TokenUsage(tokens, 0))


# --- restricted credits ------------------------------------------------------------------------


def test_restricted_credits_do_not_leave_their_account_unused(venue):
    venue.bought("ANN", 10, "DEEP", 100, "DEDUCT")
    assert venue.sell("ANN", 1, "DEEP", 1).reason == RejectReason.CREDITS_NOT_AVAILABLE
    move = Transfer("ANN", "ANN-2", "DEEP", 1, "t-1")
    assert venue.refused(move, "ANN") == RejectReason.CREDITS_NOT_AVAILABLE
    number = venue.done(Redeem("ANN", "DEEP", 10, "r-1"), "ANN")
    assert venue.refused(move, "ANN") == RejectReason.CREDITS_NOT_AVAILABLE
    venue.done(Recall(number), "ANN")
    assert venue.credits("ANN", "DEEP") == Balance(restricted=10)  # not free, as before
    assert venue.sell("ANN", 1, "DEEP", 1).reason == RejectReason.CREDITS_NOT_AVAILABLE
    assert venue.budget("DEDUCT").vested == 0


def test_asking_and_recalling_again_and_again_vests_nothing_and_holds_no_lots(venue):
    venue.bought("ANN", 10, "DEEP", 100, "REPAY")
    for turn in range(5):
        venue.done(Recall(venue.done(Redeem("ANN", "DEEP", 7, f"r-{turn}"), "ANN")), "ANN")
    assert venue.budget("REPAY") == Budget(99_500, 500, 0, 0)
    redeem(venue, "ANN", 10, reference="all")
    assert venue.budget("REPAY") == Budget(99_500, 0, 0, 500)


def test_swapping_pays_for_real_use_and_once(venue):
    venue.give("ANN", 10, "DEEP", 100)
    venue.bought("ANN", 10, "DEEP", 100, "DEDUCT")
    redeem(venue, "ANN", 10)  # the restricted ones go first, and the free ones are sold
    assert venue.credits("ANN", "DEEP") == Balance(10)
    venue.buy("CAT", 10, "DEEP", 100)
    assert len(venue.sell("ANN", 10, "DEEP", 100).trades) == 1
    assert venue.budget("DEDUCT") == Budget(99_500, 0, 0, 500)  # 10 lots were used, and 10 are paid for
    assert venue.gained("ANN") == -1_000 - 1_000 + 500 + 1_000 - 5 - 5 - 5


def test_a_firm_confirms_nothing_by_itself(venue):
    venue.bought("ANN", 10, "DEEP", 100, "REPAY")
    number = venue.done(Redeem("ANN", "DEEP", 10, "r-1"), "ANN")
    for act in (Deliver(number), Resolve(number, True), RecordUsage((record(venue, "u-1"),)), CloseWindows()):
        assert venue.refused(act, "ANN") == RejectReason.ROLE_NOT_PERMITTED
    for stranger in ("CAT", "ANN-2", "OFFICE"):
        assert venue.refused(Deliver(number), stranger) == RejectReason.ROLE_NOT_PERMITTED
    assert venue.refused(Accept(number), "ANN") == RejectReason.REDEMPTION_STATE
    assert venue.budget("REPAY").vested == 0
    venue.done(Deliver(number), "FAR")  # who may issue it may deliver it
    assert venue.gained("ANN") == 500 - 1_000 - 5


def test_a_provider_alone_vests_a_task_only_when_its_firm_had_its_week(venue):
    venue.bought("ANN", 4, "TASK", 100, "REPAY")
    number = venue.done(Redeem("ANN", "TASK", 4, "r-1"), "ANN")
    venue.done(Deliver(number), "YUN")
    for act in (Accept(number), Resolve(number, True), CloseWindows()):
        assert venue.refused(act, "YUN") == RejectReason.ROLE_NOT_PERMITTED
    venue.done(CloseWindows())
    assert venue.budget("REPAY").vested == 0
    venue.done(Dispute(number), "ANN")
    venue.pass_time(2 * WINDOW_NS)
    venue.done(CloseWindows())
    assert venue.budget("REPAY").vested == 0  # a dispute has no end but an operator's word
    venue.done(Resolve(number, False))
    assert venue.credits("ANN", "TASK") == Balance(restricted=4)


# --- records of use ----------------------------------------------------------------------------


def test_a_record_counts_once_whatever_it_says_the_second_time(venue):
    venue.bought("ANN", 10, "DEEP", 100, "DEDUCT")
    venue.done(RecordUsage((record(venue, "u-1"), record(venue, "u-1", 9_000_000))), "YUN")
    venue.done(RecordUsage((record(venue, "u-1", 9_000_000),)), "FAR")  # the meter's provider is YUN
    venue.done(RecordUsage((record(venue, "u-1", member="BEN"),)))
    assert venue.credits("ANN", "DEEP") == Balance(restricted=9)
    assert venue.budget("DEDUCT").vested == 50


def test_a_late_record_is_taken_on_its_last_moment_and_its_id_holds_as_long(venue):
    venue.bought("ANN", 10, "DEEP", 100, "DEDUCT")
    venue.time += USAGE_NS_MAX
    late = record(venue, "u-1", age_ns=USAGE_NS_MAX - SECOND_NS)
    venue.done(RecordUsage((late,)), "YUN")
    venue.done(RecordUsage((late,)), "YUN")
    assert venue.credits("ANN", "DEEP").restricted == 9
    venue.time += 2 * SECOND_NS
    assert venue.refused(RecordUsage((late,)), "YUN") == RejectReason.TOO_OLD
    assert venue.credits("ANN", "DEEP").restricted == 9


def test_many_small_records_burn_no_more_than_one_large(venue):
    venue.bought("ANN", 10, "DEEP", 100, "DEDUCT")
    for turn in range(100):
        venue.done(RecordUsage((record(venue, f"u-{turn}", 10_000),)), "YUN")
    assert venue.credits("ANN", "DEEP").restricted == 9
    assert venue.budget("DEDUCT").vested == 50


def test_lots_that_are_asked_for_hide_from_the_meter_only_until_their_provider_delivers(venue):
    venue.bought("ANN", 10, "DEEP", 100, "DEDUCT")
    number = venue.done(Redeem("ANN", "DEEP", 10, "r-1"), "ANN")
    late = RecordUsage((record(venue, "u-1"),))
    assert venue.refused(late, "YUN") == RejectReason.CREDITS_NOT_AVAILABLE
    venue.done(Deliver(number), "YUN")
    assert venue.refused(Recall(number), "ANN") == RejectReason.UNKNOWN_REDEMPTION
    assert venue.credits("ANN", "DEEP") == Balance()


# --- awards ------------------------------------------------------------------------------------


def test_an_award_counts_list_prices_and_a_cheap_seller_gains_a_tenth_of_these(venue):
    venue.bought("ANN", 100, "DEEP", 1)  # the provider gives them away, and confirms
    redeem(venue, "ANN", 100)
    assert venue.used("AWARD", "ANN") == Used(0, 0, 10_000)
    assert venue.refused(GrantAward("AWARD", "ANN", 1)) == RejectReason.TWO_PERSONS_NEEDED
    assert venue.two(GrantAward("AWARD", "ANN", 601)) == RejectReason.PROGRAMME_EXHAUSTED  # the group's cap
    assert venue.two(GrantAward("AWARD", "ANN-2", 600)) == RejectReason.NONE
    assert venue.two(GrantAward("AWARD", "ANN", 1)) == RejectReason.PROGRAMME_EXHAUSTED
    assert venue.gained("ANN") + venue.gained("ANN-2") + MONEY_EACH == 600 - 100


def test_credits_that_change_hands_are_measured_where_they_are_burned_and_once(venue):
    venue.give("ANN", 10, "DEEP", 100)
    venue.done(Transfer("ANN", "ANN-2", "DEEP", 10, "t-1"), "ANN")
    number = venue.done(Redeem("ANN-2", "DEEP", 10, "r-1"), "ANN-2")
    assert venue.used("AWARD", "ANN").measured == 0
    venue.done(Recall(number), "ANN-2")
    venue.done(Transfer("ANN-2", "ANN", "DEEP", 10, "t-2"), "ANN-2")
    redeem(venue, "ANN", 10)
    assert venue.used("AWARD", "ANN").measured == 1_000


def test_a_providers_group_is_measured_for_nothing_of_its_own(venue):
    redeem(venue, "YUN", 100)  # of its own issue, delivered by itself
    assert venue.used("AWARD", "YUN").measured == 0
    assert venue.two(GrantAward("AWARD", "YUN", 600)) == RejectReason.PROGRAMME_EXHAUSTED


def test_an_award_is_not_granted_beside_a_programme_that_it_excludes(venue):
    venue.done(DefineProgramme(replace(AWARD, code="ALONE", excludes=("DEDUCT",))))
    venue.bought("ANN", 10, "DEEP", 100, "DEDUCT")
    redeem(venue, "ANN", 10)
    assert venue.two(GrantAward("ALONE", "ANN", 100)) == RejectReason.PROGRAMME_EXCLUDED


# --- putting right -----------------------------------------------------------------------------


def test_a_bust_gives_cap_and_budget_back_and_the_firm_no_hao(venue):
    before = venue.stand()
    for _ in range(3):
        trade = venue.bought("ANN", 1_000, "DEEP", 100, "DEDUCT")
        assert venue.two(Bust(trade)) == RejectReason.NONE
    after = venue.stand()
    assert (after.balances, after.budgets, after.usages) == (before.balances, before.budgets, before.usages)


def test_what_is_set_aside_or_used_is_not_busted(venue):
    trade = venue.bought("ANN", 10, "DEEP", 100, "DEDUCT")
    number = venue.done(Redeem("ANN", "DEEP", 1, "r-1"), "ANN")
    assert venue.two(Bust(trade)) == RejectReason.CREDITS_NOT_AVAILABLE
    venue.done(Deliver(number), "YUN")
    assert venue.two(Bust(trade)) == RejectReason.CREDITS_NOT_AVAILABLE


def test_a_trade_of_an_auction_is_busted_like_another_and_once(venue):
    before = venue.stand().balances
    venue.set_phase("DEEP", "pre_open", call="opening", until=2**62)
    bid(venue, "ANN", 10, 120)
    venue.sell("YUN", 4, "DEEP", 120)
    (trade,) = venue.told(SetPhase("DEEP", "auction")).trades
    assert venue.budget("DEDUCT") == Budget(99_500, 300, 200, 0)
    assert venue.two(Bust(trade.trade)) == RejectReason.NONE  # the order is still open
    assert venue.budget("DEDUCT") == Budget(99_700, 300, 0, 0)
    assert venue.two(Bust(trade.trade)) == RejectReason.UNKNOWN_TRADE
    venue.cancel_all("ANN")
    assert venue.stand().balances == before
    assert venue.used("DEDUCT", "ANN") == Used()


def test_members_found_related_in_a_call_owe_what_they_got_of_each_other(venue):
    venue.give("CAT", 15, "DEEP", 100)
    venue.sell("CAT", 10, "DEEP", 100)
    bid(venue, "ANN", 10, 100)
    bid(venue, "ANN", 10, 100)
    venue.sell("CAT", 5, "DEEP", 100)
    venue.set_phase("DEEP", "pre_open", call="closing", until=2**62)
    venue.set_phase("DEEP", "no_cancel", call="closing", until=2**62)
    assert venue.told(FindRelated("ANN", "CAT")).kinds == [EventKind.CANCELLED]  # whatever the phase
    assert venue.debt("ANN") == 500 + 250
    assert venue.budget("DEDUCT") == Budget(99_250, 0, 750, 0)
    assert bid(venue, "ANN", 1, 100).reason == RejectReason.PROGRAMME_DEBT
    assert venue.refused(Withdraw("ANN", 1, "out"), "ANN") == RejectReason.PROGRAMME_DEBT


def test_a_group_that_comes_to_hold_the_provider_is_paid_no_more(venue):
    venue.give("CAT", 100, "DEEP", 100)
    bid(venue, "ANN", 10, 100)
    assert venue.told(FindRelated("ANN", "YUN")).kinds == [EventKind.CANCELLED]
    assert bid(venue, "ANN", 10, 100).reason == RejectReason.PROGRAMME_OWN_PROVIDER
    venue.sell("CAT", 100, "DEEP", 100)
    assert venue.budget("DEDUCT").paid == 0


def test_a_debtor_draws_on_nothing_by_another_account_or_programme(venue):
    venue.bought("ANN", 10, "DEEP", 100, "DEDUCT")
    venue.done(Transfer("ANN", "ANN-2", "", 10_000, "t-1"), "ANN")
    venue.done(FindIneligible("ANN", "DEDUCT"))
    assert venue.debt("ANN") == 500
    for member in ("ANN", "ANN-2"):
        assert bid(venue, member, 1, 100, "DEDUCT").reason == RejectReason.PROGRAMME_NOT_ELIGIBLE
        for code in ("KEPT", "REPAY", "POOL"):
            assert bid(venue, member, 1, 100, code).reason == RejectReason.PROGRAMME_DEBT
    out = Transfer("ANN", "ANN-2", "", 1, "t-2")
    assert venue.refused(out, "ANN") == RejectReason.PROGRAMME_DEBT
    venue.done(SettleDebt("ANN", "DEDUCT", 500), "ANN")
    assert venue.budget("DEDUCT") == Budget(DEDUCT.budget, 0, 0, 0)
    venue.done(replace(out, reference="t-3"), "ANN")


def test_an_ineligible_firm_gets_nothing_for_what_it_has_asked_to_redeem(venue):
    venue.bought("ANN", 10, "DEEP", 100, "REPAY")
    redeem(venue, "ANN", 4)
    open_order = bid(venue, "ANN", 10, 100, "REPAY").order
    number = venue.done(Redeem("ANN", "DEEP", 6, "r-2"), "ANN")
    said = venue.told(FindIneligible("ANN", "REPAY"))
    assert [(one.kind, one.order) for one in said.said] == [(EventKind.CANCELLED, open_order)]
    assert (venue.debt("ANN"), venue.budget("REPAY")) == (200, Budget(99_800, 0, 0, 200))
    venue.done(Deliver(number), "YUN")
    assert venue.brought.legs == ()
    assert venue.budget("REPAY") == Budget(99_800, 0, 0, 200)
    assert venue.used("REPAY", "ANN") == Used()


def test_an_ineligible_firm_is_barred_with_all_its_accounts_though_it_has_settled(venue):
    venue.done(Transfer("ANN", "ANN-2", "", 10_000, "t-1"), "ANN")
    for member in ("ANN", "ANN-2"):
        venue.bought(member, 10, "DEEP", 100, "DEDUCT")
    venue.done(FindIneligible("ANN", "DEDUCT"))
    assert (venue.debt("ANN"), venue.debt("ANN-2")) == (500, 500)
    for member in ("ANN", "ANN-2"):
        venue.done(SettleDebt(member, "DEDUCT", 500), member)
    for member in ("ANN", "ANN-2"):
        assert bid(venue, member, 10, 100).reason == RejectReason.PROGRAMME_NOT_ELIGIBLE
        assert bid(venue, member, 10, 100, "KEPT").said[0].subsidy > 0


@pytest.mark.parametrize("available", [0, 1, 2])
def test_a_firm_loses_the_open_orders_that_traded_with_who_is_found_related(venue, available):
    for symbol in ("DEEP", "TASK"):
        venue.give("CAT", 1, symbol, 99)
        venue.sell("CAT", 1, symbol, 99)
        venue.buy("ANN", 2, symbol, 99, last="day", programme="DEDUCT")
    venue.done(Withdraw("ANN", venue.money("ANN").available - available, "all"), "ANN")
    assert venue.told(FindRelated("ANN", "CAT")).kinds == [EventKind.CANCELLED] * 2
    assert venue.debt("ANN") == 98


def test_a_reimbursed_order_is_cancelled_too_when_its_seller_is_found_related(venue):
    venue.give("CAT", 1, "DEEP", 99)
    venue.sell("CAT", 1, "DEEP", 99)
    bid(venue, "ANN", 2, 99, "REPAY")
    venue.done(Withdraw("ANN", venue.money("ANN").available, "all"), "ANN")
    assert venue.told(FindRelated("ANN", "CAT")).kinds == [EventKind.CANCELLED]
    assert venue.budget("REPAY") == Budget(100_000, 0, 0, 0)


def test_nobody_is_a_second_person_by_a_second_account(venue):
    venue.done(Admit(member="SHADOW", role="operator", owner="OPERATOR"))
    number = venue.done(Propose(Adjust((AdjustmentLine("ANN", "", -1), AdjustmentLine("BEN", "", 1)))))
    assert venue.refused(Approve(number), "SHADOW") == RejectReason.TWO_PERSONS_NEEDED
    assert venue.refused(Approve(number), "OPERATOR") == RejectReason.TWO_PERSONS_NEEDED
    for member in ("ANN", "YUN", "OFFICE"):
        assert venue.refused(Approve(number), member) == RejectReason.ROLE_NOT_PERMITTED


# --- delay -------------------------------------------------------------------------------------


def test_credits_that_perish_unused_take_what_was_paid_with_them(venue):
    venue.bought("ANN", 10, "DEEP-WINTER", 100, "DEDUCT")
    venue.bought("ANN", 10, "DEEP-WINTER", 100, "KEPT")
    venue.bought("ANN", 10, "DEEP-WINTER", 100, "REPAY")
    venue.sell("YUN", 1, "DEEP-WINTER", 900)
    asked = venue.done(Redeem("ANN", "DEEP-WINTER", 5, "r-1"), "ANN")
    venue.time = end_ns(WINTER)
    venue.buy("ANN", 1, "DEEP-WINTER", 100)
    venue.done(ExpireCredits("DEEP-WINTER"))
    assert venue.refused(Deliver(asked), "YUN") == RejectReason.UNKNOWN_REDEMPTION
    assert venue.debt("ANN") == 500
    assert venue.budget("DEDUCT") == Budget(99_500, 0, 500, 0)
    assert venue.budget("KEPT") == Budget(99_500, 0, 500, 0)  # its terms let it stay paid
    assert venue.budget("REPAY") == Budget(100_000, 0, 0, 0)
    assert venue.credits("ANN", "DEEP-WINTER") == Balance()
    assert venue.resting("DEEP-WINTER") == []


def test_new_terms_with_less_are_not_outlived_by_replacing(venue):
    order = bid(venue, "ANN", 100, 100).order
    venue.sell("YUN", 20, "DEEP", 100)
    less = replace(DEDUCT, version=2, budget=5_000, order_cap=2_000, group_cap=1_500, order_lots=30)
    assert venue.two(ReviseProgramme(less)) == RejectReason.NONE
    assert venue.budget("DEDUCT") == Budget(0, 4_000, 1_000, 0)
    assert change(venue, "ANN", order, 90).said[0].subsidy == 500  # 10 of the 30 lots are left
    assert venue.used("DEDUCT", "ANN") == Used(1_500, 30)
    assert change(venue, "ANN", order, 200, 99).said[0].subsidy == 495
    assert change(venue, "ANN", order, 200, 100).said[0].subsidy == 495  # by terms of before it grows no more
    assert change(venue, "ANN", order, 30, 100).said[0].subsidy == 495
    venue.sell("YUN", 180, "DEEP", 100)
    assert venue.budget("DEDUCT") == Budget(3_505, 0, 1_495, 0)


def test_an_open_order_keeps_its_rate_when_terms_change_and_draws_no_more_by_it(venue):
    order = bid(venue, "ANN", 1, 100).order
    less = replace(DEDUCT, version=2, rates=(Rate(rate=1_000),))
    assert venue.two(ReviseProgramme(less)) == RejectReason.NONE
    assert change(venue, "ANN", order, 1_000).said[0].subsidy == 50  # half of the one lot
    assert bid(venue, "BEN", 1_000, 100).said[0].subsidy == 10_000
    venue.end_day()
    assert bid(venue, "ANN", 1_000, 100).said[0].subsidy == 10_000


def test_a_closed_pool_pays_nothing_for_what_is_confirmed_too_late(venue):
    venue.bought("ANN", 10, "DEEP", 100, "POOL")
    venue.bought("BEN", 10, "DEEP", 100, "POOL")
    redeem(venue, "ANN", 5)
    number = venue.done(Redeem("BEN", "DEEP", 10, "r-2"), "BEN")
    venue.time = end_ns(YEARS_END)
    venue.done(CloseYear("POOL"))
    assert venue.paid_to("ANN", "share") == [250]
    venue.done(Deliver(number), "YUN")
    redeem(venue, "ANN", 5, reference="r-3")
    assert venue.brought.legs == ()
    assert venue.budget("POOL") == Budget(750, 0, 0, 250)
    assert venue.refused(CloseYear("POOL")) == RejectReason.PROGRAMME_CLOSED


def test_a_second_account_draws_by_its_owners_size_whatever_it_says_of_itself(venue):
    sized = terms("SIZED", rates=(Rate(rate=5_000, sizes=("micro",)),), group_cap=400)
    venue.done(DefineProgramme(sized))
    venue.done(Admit(member="CAT-2", role="firm", size="micro", owner="CAT"))
    venue.done(Deposit("CAT-2", 10_000))
    for member in ("CAT", "CAT-2"):
        assert bid(venue, member, 10, 100, "SIZED").reason == RejectReason.PROGRAMME_NOT_ELIGIBLE


def test_nothing_moves_out_of_an_account_with_a_debt(venue):
    venue.bought("ANN", 10, "DEEP", 100, "DEDUCT")
    venue.done(FindIneligible("ANN", "DEDUCT"))
    venue.give("ANN", 10, "DEEP", 100)
    for instrument in ("", "DEEP"):
        move = Transfer("ANN", "ANN-2", instrument, 10, "t-1")
        assert venue.refused(move, "ANN") == RejectReason.PROGRAMME_DEBT


def test_on_the_years_last_night_and_first_morning(venue):
    assert date(2026, 12, 31) == WINTER
    venue.bought("ANN", 10, "DEEP", 100, "POOL")
    venue.time = end_ns(YEARS_END) - 20
    assert venue.refused(CloseYear("POOL")) == RejectReason.NOT_DUE
    order = bid(venue, "BEN", 10, 100, "POOL").order
    venue.time = end_ns(YEARS_END)
    assert venue.refused(CloseYear("POOL")) == RejectReason.NOT_DUE  # an open order still draws on it
    venue.cancel("BEN", order)
    venue.done(CloseYear("POOL"))
