"""Stories of what is put right: busted trades, members found related or ineligible, debts settled."""

from __future__ import annotations

import pytest

from exchange.protocol.acts import (
    Bust,
    Deliver,
    FindIneligible,
    FindRelated,
    Redeem,
    SettleDebt,
    Withdraw,
)
from matching.vocabulary import EventKind, RejectReason, Side
from settlement.layout import RECENT_TRADES
from tests.engine.money_market import MoneyVenue
from tests.engine.stands import Balance, Budget, Used


@pytest.fixture
def venue() -> MoneyVenue:
    return MoneyVenue()


def redeem(venue, member, lots, symbol="DEEP", reference="r-1"):
    venue.done(Deliver(venue.done(Redeem(member, symbol, lots, reference), member)))


# --- busts -------------------------------------------------------------------------------------


def test_a_busted_trade_leaves_nobody_richer_or_poorer(venue):
    before = venue.stand()
    trade = venue.bought("ANN", 10, "DEEP", 1_000)
    assert venue.refused(Bust(trade)) == RejectReason.TWO_PERSONS_NEEDED
    assert venue.two(Bust(trade)) == RejectReason.NONE
    assert venue.entries() == [
        ("bust", "free", 10_050),
        ("bust", "free", -9_980),
        ("bust", "fees", -70),
    ]
    (row,) = venue.brought.busts
    assert (row.trade, row.who, row.why) == (trade, "OPERATOR, SECOND", "a test")
    assert venue.stand().balances == before.balances
    assert venue.two(Bust(trade)) == RejectReason.UNKNOWN_TRADE
    assert venue.two(Bust(trade + 1)) == RejectReason.UNKNOWN_TRADE
    assert venue.two(Bust(trade + RECENT_TRADES)) == RejectReason.UNKNOWN_TRADE
    assert venue.two(Bust(0)) == RejectReason.UNKNOWN_TRADE


def test_a_bust_needs_the_lots_and_the_money(venue):
    trade = venue.bought("ANN", 10, "DEEP", 1_000)
    ask = venue.sell("ANN", 1, "DEEP", 2_000)
    assert venue.two(Bust(trade)) == RejectReason.CREDITS_NOT_AVAILABLE
    venue.cancel("ANN", ask.order)
    free = venue.money("YUN").available
    venue.done(Withdraw("YUN", free - 9_979, "out-1"), "YUN")
    assert venue.two(Bust(trade)) == RejectReason.MONEY_NOT_AVAILABLE


def test_what_a_programme_paid_goes_straight_back(venue):
    before = venue.stand()
    first = venue.bought("ANN", 10, "DEEP", 99, "DEDUCT")  # 495
    second = venue.bought("ANN", 3, "DEEP", 99, "DEDUCT")  # 148
    assert venue.two(Bust(first)) == RejectReason.NONE
    assert venue.paid_to("ANN", "bust") == [-495]
    assert venue.credits("ANN", "DEEP") == Balance(restricted=3)
    assert venue.budget("DEDUCT") == Budget(99_852, 0, 148, 0)
    assert venue.used("DEDUCT", "ANN") == Used(148, 3)
    assert venue.two(Bust(second)) == RejectReason.NONE
    stand = venue.stand()
    assert (stand.balances, stand.budgets, stand.usages) == (before.balances, before.budgets, before.usages)


def test_the_subsidy_is_reckoned_anew_from_what_is_left_of_the_order(venue):
    for price in (99, 97):
        venue.sell("YUN", 1, "DEEP", price)
    bid = venue.buy("ANN", 2, "DEEP", 99, last="day", programme="DEDUCT")
    assert [trade.subsidy for trade in bid.trades] == [48, 50]  # half of 97; half of 196 in all
    assert venue.two(Bust(bid.trades[0].trade)) == RejectReason.NONE
    assert venue.paid_to("ANN", "bust") == [-49]  # half of 99 is 49
    assert venue.budget("DEDUCT").paid == 49
    assert venue.credits("ANN", "DEEP") == Balance(restricted=1)


def test_a_bust_of_an_open_order_leaves_it_what_it_can_still_need(venue):
    venue.sell("YUN", 1, "DEEP", 98)
    bid = venue.buy("ANN", 4, "DEEP", 99, last="day", programme="DEDUCT")
    assert (bid.said[0].subsidy, bid.trades[0].subsidy) == (198, 49)
    assert venue.budget("DEDUCT") == Budget(99_803, 148, 49, 0)
    assert venue.two(Bust(bid.trades[0].trade)) == RejectReason.NONE
    assert venue.budget("DEDUCT") == Budget(99_852, 148, 0, 0)  # half of 297 is 148
    (trade,) = venue.sell("YUN", 3, "DEEP", 99).trades
    assert trade.subsidy == 148
    assert venue.used("DEDUCT", "ANN") == Used(148, 3)


def test_a_hao_that_rounding_takes_from_an_open_order_is_held_instead(venue):
    venue.sell("YUN", 1, "DEEP", 99)
    bid = venue.buy("ANN", 2, "DEEP", 99, last="day", programme="DEDUCT")
    assert venue.budget("DEDUCT") == Budget(99_901, 50, 49, 0)  # half of 198 is 99, of 99 is 49
    venue.done(Withdraw("ANN", venue.money("ANN").available, "all"), "ANN")
    held = venue.money("ANN").held
    assert venue.two(Bust(bid.trades[0].trade)) == RejectReason.NONE
    assert venue.budget("DEDUCT").reserved == 49
    assert venue.money("ANN") == Balance(49, held=held + 1)  # of 99 that were paid 49 were not his


@pytest.mark.parametrize("free", [0, 1])
def test_an_open_order_is_cancelled_when_who_sold_to_it_is_found_related(venue, free):
    venue.give("DAN", 1, "DEEP", 99)
    venue.sell("DAN", 1, "DEEP", 99)
    venue.buy("ANN", 2, "DEEP", 99, last="day", programme="DEDUCT")
    venue.done(Withdraw("ANN", venue.money("ANN").available - free, "all"), "ANN")
    held = venue.money("ANN").held
    assert venue.told(FindRelated("ANN", "DAN")).kinds == [EventKind.CANCELLED]
    assert venue.money("ANN") == Balance(held + free, debt=49)
    assert venue.budget("DEDUCT") == Budget(99_951, 0, 49, 0)


def test_more_has_vested_than_would_be_earned(venue):
    for price in (100, 10):
        venue.sell("YUN", 1, "DEEP", price)
    bid = venue.buy("ANN", 2, "DEEP", 100, last="day", programme="DEDUCT")
    assert venue.budget("DEDUCT").paid == 55
    redeem(venue, "ANN", 1)
    assert venue.budget("DEDUCT").vested == 27
    cheap, dear = (trade.trade for trade in bid.trades)
    assert venue.two(Bust(dear)) == RejectReason.MONEY_NOT_AVAILABLE  # 5 would be left
    assert venue.two(Bust(cheap)) == RejectReason.NONE
    assert venue.budget("DEDUCT") == Budget(99_950, 0, 0, 50)  # all that is left is redeemed, and vests
    assert venue.two(Bust(dear)) == RejectReason.CREDITS_NOT_AVAILABLE


def test_a_bust_of_what_is_reimbursed_gives_the_reservation_back(venue):
    for price in (100, 10):
        venue.sell("YUN", 1, "DEEP", price)
    bid = venue.buy("ANN", 2, "DEEP", 100, last="day", programme="REPAY")
    redeem(venue, "ANN", 1)
    assert venue.budget("REPAY") == Budget(99_945, 28, 0, 27)
    assert venue.two(Bust(bid.trades[0].trade)) == RejectReason.NONE  # that of 10
    assert venue.budget("REPAY") == Budget(99_950, 0, 0, 50)
    assert venue.paid_to("ANN", "reimbursed") == [23]
    assert venue.paid_to("ANN", "bust") == []


# --- related -----------------------------------------------------------------------------------


def resold(venue, seller, buyer, lots, price, programme):
    """Let one member sell to another what it bought itself; return the buy."""
    venue.give(seller, lots, "DEEP", price)
    venue.sell(seller, lots, "DEEP", price)
    return venue.buy(buyer, lots, "DEEP", price, last="day", programme=programme)


def test_related_members_are_one_group_and_are_not_paid_for_their_trades(venue):
    resold(venue, "DAN", "ANN", 4, 100, "DEDUCT")
    venue.bought("ANN", 3, "DEEP", 100, "DEDUCT")
    venue.bought("DAN", 2, "DEEP", 100, "DEDUCT")
    rest = venue.buy("DAN", 5, "DEEP", 50, last="day", programme="KEPT")
    venue.done(FindRelated("ANN", "DAN"))
    assert venue.debt("ANN") == 200
    assert venue.entries() == [("debt", "debt", -200), ("debt", "claims:DEDUCT", 200)]
    assert [(row.member, row.group_name) for row in venue.brought.members] == [("DAN", "ANN")]
    assert venue.used("DEDUCT", "ANN") == Used(250, 5)
    assert venue.used("KEPT", "ANN") == Used(125, 5)
    assert venue.budget("DEDUCT") == Budget(99_550, 0, 450, 0)
    for member in ("ANN", "DAN"):
        bid = venue.buy(member, 1, "DEEP", 50, last="day", programme="DEDUCT")
        assert bid.reason == RejectReason.PROGRAMME_DEBT
    assert venue.refused(FindRelated("DAN", "ANN")) == RejectReason.ALREADY_EXISTS
    met = venue.buy("ANN", 1, "DEEP", 60)
    assert met.kinds == [EventKind.ACCEPTED]
    crossed = venue.ask(venue.new("ANN", Side.SELL, 1, "DEEP", 40))
    assert not any(trade.maker_order == rest.order for trade in crossed.trades)


def test_what_was_only_reserved_for_related_trades_goes_back(venue):
    resold(venue, "DAN", "ANN", 4, 100, "REPAY")
    redeem(venue, "ANN", 1)
    venue.done(FindRelated("DAN", "ANN"))
    assert venue.debt("ANN") == 50  # what it was paid; of the rest nothing will come
    assert venue.budget("REPAY") == Budget(99_950, 0, 0, 50)
    assert (
        venue.engine.registry.group_names[venue.engine.core.ledger.members["group"][venue.member("ANN")]]
        == "DAN"
    )


def test_a_later_bust_of_a_related_trade_takes_nothing_twice(venue):
    bid = resold(venue, "DAN", "ANN", 4, 100, "DEDUCT")
    venue.done(FindRelated("ANN", "DAN"))
    assert venue.two(Bust(bid.trades[0].trade)) == RejectReason.NONE
    assert venue.budget("DEDUCT") == Budget(99_800, 0, 200, 0)
    assert venue.debt("ANN") == 200


# --- ineligible --------------------------------------------------------------------------------


def test_all_that_an_ineligible_firm_was_paid_is_its_debt(venue):
    venue.bought("ANN", 4, "DEEP", 100, "DEDUCT")
    redeem(venue, "ANN", 1)
    open_ = venue.buy("ANN", 6, "DEEP", 80, last="day", programme="DEDUCT")
    other = venue.buy("ANN", 6, "DEEP", 80, last="day", programme="KEPT")
    said = venue.told(FindIneligible("ANN", "DEDUCT")).said
    assert [(one.kind, one.order) for one in said] == [(EventKind.CANCELLED, open_.order)]
    assert venue.debt("ANN") == 200
    assert venue.budget("DEDUCT") == Budget(99_800, 0, 150, 50)
    assert venue.used("DEDUCT", "ANN") == Used()
    assert venue.cancel("ANN", other.order).kinds == [EventKind.CANCELLED]
    redeem(venue, "ANN", 3, reference="r-2")
    assert venue.budget("DEDUCT") == Budget(99_800, 0, 150, 50)  # it earns nothing more


def test_an_ineligible_firm_is_reimbursed_no_more(venue):
    venue.bought("ANN", 4, "DEEP", 100, "REPAY")
    redeem(venue, "ANN", 1)
    venue.done(FindIneligible("ANN", "REPAY"))
    assert venue.debt("ANN") == 50
    assert venue.budget("REPAY") == Budget(99_950, 0, 0, 50)
    redeem(venue, "ANN", 3, reference="r-2")
    assert venue.brought.legs == ()


def test_a_debt_is_settled_to_what_is_uncommitted(venue):
    venue.bought("ANN", 4, "DEEP", 100, "DEDUCT")
    redeem(venue, "ANN", 1)
    venue.done(FindIneligible("ANN", "DEDUCT"))
    assert venue.refused(SettleDebt("ANN", "DEDUCT", 201), "ANN") == RejectReason.AMOUNT_OUT_OF_RANGE
    assert venue.refused(SettleDebt("ANN", "KEPT", 1), "ANN") == RejectReason.AMOUNT_OUT_OF_RANGE
    assert venue.refused(SettleDebt("ANN", "DEDUCT", 200), "BEN") == RejectReason.ROLE_NOT_PERMITTED
    venue.done(SettleDebt("ANN", "DEDUCT", 170), "ANN")
    assert venue.entries() == [
        ("settle", "free", -170),
        ("settle", "debt", 170),
        ("settle", "claims:DEDUCT", -170),
        ("settle", "programme:DEDUCT", 170),
    ]
    assert venue.budget("DEDUCT") == Budget(99_970, 0, 0, 30)
    assert venue.paid_to("ANN", "settled") == [-170]
    venue.done(SettleDebt("ANN", "DEDUCT", 30), "ANN")
    assert venue.budget("DEDUCT") == Budget(100_000, 0, 0, 0)
    assert venue.engine.registry.debts == {venue.member("ANN"): []}
    assert not venue.buy("ANN", 1, "DEEP", 50, last="day", programme="KEPT").reason
