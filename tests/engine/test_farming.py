"""Attacks on a programme at the trade, by firms and providers who collude: and what they get by them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from exchange.protocol.acts import Admit, DefineProgramme, Deposit, FindRelated, SetPhase, Transfer
from matching.vocabulary import CommandKind, EventKind, OrderType, RejectReason, SelfTrade, Side
from settlement.terms import midnight_ns
from tests.engine.market import MONEY_EACH, Answer
from tests.engine.money_market import DEDUCT, MoneyVenue, terms
from tests.engine.stands import Balance, Budget, Used

UNTOUCHED = Budget(DEDUCT.budget, 0, 0, 0)


@pytest.fixture
def venue() -> MoneyVenue:
    return MoneyVenue()


def bid(venue: MoneyVenue, member: str, lots: int, price: int, code: str = "DEDUCT", **more: Any) -> Answer:
    """Bid for credits that a programme is to pay for."""
    return venue.buy(member, lots, "DEEP", price, **{"last": "day", "programme": code, **more})


def change(venue: MoneyVenue, member: str, order: int, lots: int, price: int = 0) -> Answer:
    """Replace an order by another total and price."""
    venue.time += 1
    command = venue.new(member, Side.BUY, lots, "DEEP", price)
    return venue.ask(command._replace(kind=CommandKind.REPLACE, order=order, client_id=b""))


# --- whose instrument it is --------------------------------------------------------------------


@pytest.mark.parametrize("group", ["YUN", "FAR"])
def test_a_providers_group_is_not_paid_for_its_own_instrument_whoever_sells(venue, group):
    venue.done(Admit(member="KIN", role="firm", size="micro", region="HANGZHOU", group=group))
    venue.done(Deposit("KIN", MONEY_EACH))
    venue.give("ANN", 10, "DEEP", 100)
    venue.sell("ANN", 10, "DEEP", 100)  # a stranger sells, and FAR may issue DEEP as YUN does
    assert bid(venue, "KIN", 10, 100).reason == RejectReason.PROGRAMME_OWN_PROVIDER
    assert venue.budget("DEDUCT") == UNTOUCHED


def test_a_second_account_of_a_provider_is_its_group(venue):
    venue.done(Admit(member="YUN-2", role="firm", size="micro", region="HANGZHOU", owner="YUN"))
    venue.done(Transfer("YUN", "YUN-2", "", 10_000, "seed"), "YUN")
    assert bid(venue, "YUN-2", 10, 100).reason == RejectReason.PROGRAMME_OWN_PROVIDER


# --- caps --------------------------------------------------------------------------------------


def test_a_group_gets_its_cap_once_however_many_firms_and_accounts_it_has(venue):
    venue.done(Admit(member="BEN-2", role="firm", size="micro", owner="BEN"))
    venue.done(Transfer("BEN", "BEN-2", "", 100_000, "seed"), "BEN")
    got = [bid(venue, name, 2_000, 100) for name in ("BEN", "BOB", "BEN-2")]
    assert [one.said[0].subsidy for one in got] == [50_000, 10_000, 0]
    assert got[2].reason == RejectReason.PROGRAMME_EXHAUSTED
    assert venue.used("DEDUCT", "BROTHERS").money == 60_000


def test_splitting_an_order_gains_nothing_and_loses_what_is_rounded(venue):
    whole = venue.bought("ANN", 9, "DEEP", 99, "DEDUCT")
    for _ in range(9):
        venue.bought("BEN", 1, "DEEP", 99, "DEDUCT")
    assert venue.used("DEDUCT", "ANN").money == 445  # half of 891
    assert venue.used("DEDUCT", "BROTHERS").money == 9 * 49
    assert whole > 0


def test_caps_in_lots_count_over_the_group_and_are_not_won_back_by_replacing(venue):
    venue.done(DefineProgramme(terms("LOTS", order_lots=10, group_lots=15)))
    first = bid(venue, "BEN", 40, 100, "LOTS")
    second = bid(venue, "BOB", 40, 100, "LOTS")
    assert venue.used("LOTS", "BROTHERS") == Used(750, 15)
    for lots in (4, 40, 7, 40):
        change(venue, "BEN", first.order, lots)
        change(venue, "BOB", second.order, 40)
        used = venue.used("LOTS", "BROTHERS")
        assert used.lots <= 15
        assert used.money == 50 * used.lots
    trades = venue.sell("YUN", 80, "DEEP", 100).trades
    assert sum(trade.subsidy for trade in trades) == 750
    assert venue.credits("BOB", "DEEP").restricted == 40  # those beyond the cap are restricted, too


# --- parked budgets ----------------------------------------------------------------------------


@pytest.mark.parametrize("last", ["gtc", "gtd"])
def test_no_order_that_outlasts_the_day_draws_on_a_budget(venue, last):
    more = {"expires_at": venue.time + 10**12} if last == "gtd" else {}
    said = bid(venue, "ANN", 10, 100, last=last, **more)
    assert said.reason == RejectReason.PROGRAMME_OUTLASTS_DAY


def test_a_budget_parked_on_a_deep_bid_or_a_far_stop_is_free_at_the_days_end(venue):
    deep = bid(venue, "ANN", 5_000, 1)  # half of 5,000
    parked = bid(venue, "ANN", 900, 100, type=OrderType.STOP_LIMIT, stop_price=100)
    assert (deep.said[0].subsidy, parked.said[0].subsidy) == (2_500, 45_000)
    assert venue.budget("DEDUCT") == Budget(52_500, 47_500, 0, 0)  # money is held for it: 45,225 + 2,525
    assert venue.money("ANN").held == 2_525 + 45_450
    assert venue.end_day().kinds == [EventKind.EXPIRED] * 2
    assert venue.budget("DEDUCT") == UNTOUCHED
    assert venue.used("DEDUCT", "ANN") == Used()
    assert venue.money("ANN") == Balance(MONEY_EACH)


def test_nothing_is_carried_over_the_new_year(venue):
    venue.time = midnight_ns(date(2027, 1, 1)) - 10
    order = bid(venue, "ANN", 10, 100)
    venue.time = midnight_ns(date(2027, 1, 1))
    up = change(venue, "ANN", order.order, 20)  # before the day is ended: it grows, and its subsidy does not
    assert (up.said[0].kind, up.said[0].subsidy) == (EventKind.REPLACED, 500)
    venue.end_day()
    assert venue.budget("DEDUCT") == UNTOUCHED
    assert bid(venue, "ANN", 10, 100).reason == RejectReason.PROGRAMME_NOT_VALID_NOW


# --- ratchets ----------------------------------------------------------------------------------


def test_trades_at_ratcheted_prices_raise_no_ceiling(venue):
    for price in (200, 400, 800, 1_600):
        venue.give("CAT", 1, "DEEP", price)
    venue.bought("ANN", 10, "DEEP", 1_600, "DEDUCT")
    assert venue.used("DEDUCT", "ANN") == Used(500, 10)  # half of the list price, not of 1,600
    assert venue.gained("ANN") == 500 - 16_000 - 80


def test_replacing_up_and_down_reserves_what_the_last_price_needs_and_no_more(venue):
    order = bid(venue, "ANN", 100, 40).order
    for price in (100, 1, 100, 2, 300, 60, 100):
        change(venue, "ANN", order, 100, price)
        assert venue.budget("DEDUCT").reserved == 50 * min(price, 100)
        assert venue.used("DEDUCT", "ANN") == Used(50 * min(price, 100), 100)
    assert venue.money("ANN").held == 10_000 + 50 - 5_000
    venue.cancel("ANN", order)
    assert venue.budget("DEDUCT") == UNTOUCHED
    assert venue.money("ANN") == Balance(MONEY_EACH)


def test_raising_the_price_after_cheap_fills_earns_nothing_for_these(venue):
    venue.sell("YUN", 50, "DEEP", 20)
    order = bid(venue, "ANN", 100, 20).order
    change(venue, "ANN", order, 100, 100)
    venue.sell("YUN", 50, "DEEP", 100)
    assert venue.budget("DEDUCT").paid == 500 + 2_500
    assert venue.used("DEDUCT", "ANN") == Used(3_000, 100)


def test_what_a_replace_gives_up_is_there_for_others_and_does_not_come_back(venue):
    mine = bid(venue, "BEN", 1_000, 100)
    assert mine.said[0].subsidy == 50_000
    change(venue, "BEN", mine.order, 1_000, 10)
    assert bid(venue, "BOB", 1_000, 100).said[0].subsidy == 50_000
    assert change(venue, "BEN", mine.order, 1_000, 100).said[0].subsidy == 10_000  # the group's 60,000
    assert venue.used("DEDUCT", "BROTHERS").money == 60_000
    assert venue.budget("DEDUCT").reserved == 60_000


@pytest.mark.parametrize("price", [1, 99, 100, 0])
@pytest.mark.parametrize("payout", ["deduct", "reimburse"])
def test_what_a_cap_has_cut_off_is_neither_paid_nor_kept_when_the_cap_is_free_again(venue, payout, price):
    venue.done(DefineProgramme(terms("CUT", payout=payout, group_cap=5_000, order_cap=5_000)))
    brother = bid(venue, "BOB", 90, 50, "CUT")  # 2,250
    order = bid(venue, "BEN", 101, 100, "CUT").order
    venue.sell("YUN", 100, "DEEP", 100)
    assert venue.used("CUT", "BROTHERS").money == 5_000  # half of 10,000, cut to 2,750
    venue.cancel("BOB", brother.order)
    change(venue, "BEN", order, 101, price)
    assert venue.money("BEN").held >= 0
    venue.cancel("BEN", order)
    assert venue.used("CUT", "BROTHERS") == Used(2_750, 100)
    assert venue.budget("CUT").uncommitted == 100_000 - 2_750
    assert venue.money("BEN").held == 0


def test_a_replace_that_is_refused_changes_nothing(venue):
    order = bid(venue, "ANN", 10, 100).order
    before = venue.stand()
    assert change(venue, "ANN", order, 10, 10**6).reason == RejectReason.MONEY_NOT_AVAILABLE
    assert venue.stand() == before


def test_in_a_call_an_iceberg_ratchets_no_further_and_is_paid_for_what_it_shows(venue):
    venue.set_phase("DEEP", "pre_open", call="opening", until=2**62)
    order = bid(venue, "ANN", 10, 90, display_quantity=2).order
    for price in (100, 0, 50, 0, 500, 0):
        assert change(venue, "ANN", order, 10, price).said[0].kind == EventKind.REPLACED
    assert venue.budget("DEDUCT").reserved == 500
    venue.sell("YUN", 10, "DEEP", 300)
    venue.buy("CAT", 10, "DEEP", 500)
    venue.set_phase("DEEP", "no_cancel", call="opening", until=2**62)
    trades = venue.told(SetPhase("DEEP", "auction")).trades
    assert [(trade.price, trade.quantity, trade.subsidy) for trade in trades] == [(500, 2, 100), (500, 8, 0)]
    assert venue.budget("DEDUCT") == Budget(99_500, 400, 100, 0)  # of the list price, whatever is found
    venue.end_day()
    assert venue.budget("DEDUCT") == Budget(99_900, 0, 100, 0)


# --- trading with oneself ----------------------------------------------------------------------


@pytest.mark.parametrize("mode", SelfTrade)
@pytest.mark.parametrize("seller", ["BEN", "BOB", "BEN-2"])
def test_a_group_sells_to_itself_for_no_subsidy_in_any_mode(venue, mode, seller):
    venue.done(Admit(member="BEN-2", role="firm", size="micro", owner="BEN"))
    venue.done(Transfer("BEN", "BEN-2", "", 100_000, "seed"), "BEN")
    venue.give(seller, 10, "DEEP", 100)
    venue.sell(seller, 10, "DEEP", 100)
    taken = bid(venue, "BEN", 10, 100, self_trade=mode)
    assert taken.kinds[:2] == [EventKind.ACCEPTED, EventKind.CANCELLED]
    assert venue.budget("DEDUCT") == UNTOUCHED
    assert venue.resting("DEEP") == [(seller, 100, 10)]
    venue.cancel_all(seller)
    rested = bid(venue, "BEN", 10, 100)
    coming = venue.sell(seller, 10, "DEEP", 100, self_trade=mode)
    assert coming.trades == []
    assert rested.order in [one.order for one in coming.said if one.kind == EventKind.CANCELLED]
    assert venue.budget("DEDUCT") == UNTOUCHED


@pytest.mark.parametrize("mode", SelfTrade)
def test_an_auction_lets_no_group_sell_to_itself_for_a_subsidy(venue, mode):
    venue.give("BOB", 10, "DEEP", 100)
    venue.set_phase("DEEP", "pre_open", call="opening", until=2**62)
    venue.sell("BOB", 10, "DEEP", 90, self_trade=mode)
    bid(venue, "BEN", 10, 100, self_trade=mode)
    assert venue.set_phase("DEEP", "auction").trades == []
    assert venue.budget("DEDUCT") == UNTOUCHED
    assert venue.credits("BEN", "DEEP") == Balance()


def test_an_auction_pays_its_share_of_its_own_price_up_to_the_list_price(venue):
    venue.set_phase("DEEP", "pre_open", call="opening", until=2**62)
    bid(venue, "ANN", 10, 900)
    venue.sell("YUN", 10, "DEEP", 900)
    (trade,) = venue.told(SetPhase("DEEP", "auction")).trades
    assert (trade.price, trade.subsidy) == (900, 500)


# --- two programmes, two places ----------------------------------------------------------------


def test_a_group_uses_no_two_programmes_that_exclude_each_other(venue):
    venue.done(DefineProgramme(terms("EITHER")))
    venue.done(DefineProgramme(terms("OR", excludes=("EITHER",))))
    mine = bid(venue, "BEN", 10, 100, "EITHER")
    assert bid(venue, "BOB", 10, 100, "OR").reason == RejectReason.PROGRAMME_EXCLUDED
    venue.cancel("BEN", mine.order)  # nothing was used
    other = bid(venue, "BOB", 10, 100, "OR")
    assert bid(venue, "BEN", 10, 100, "EITHER").reason == RejectReason.PROGRAMME_EXCLUDED
    venue.sell("YUN", 1, "DEEP", 100)
    venue.cancel("BOB", other.order)  # one lot was
    assert bid(venue, "BEN", 10, 100, "EITHER").reason == RejectReason.PROGRAMME_EXCLUDED


def test_two_groups_found_to_be_one_keep_what_they_reserved_and_grow_neither(venue):
    venue.done(DefineProgramme(terms("EITHER")))
    venue.done(DefineProgramme(terms("OR", excludes=("EITHER",))))
    one, other = bid(venue, "ANN", 10, 60, "EITHER"), bid(venue, "BEN", 10, 60, "OR")
    venue.done(FindRelated("ANN", "BEN"))
    for member, order in (("ANN", one.order), ("BEN", other.order)):
        assert change(venue, member, order, 10, 100).said[0].subsidy == 300
        assert change(venue, member, order, 10, 40).said[0].subsidy == 200
        assert change(venue, member, order, 10, 100).said[0].subsidy == 200  # what went back is gone


def test_more_districts_or_accounts_are_no_more_caps(venue):
    venue.done(DefineProgramme(terms("TWO-PLACES", regions=("HANGZHOU", "NINGBO"), group_cap=700)))
    districts = ("HANGZHOU", "NINGBO")
    venue.done(Admit(member="KIN", role="firm", size="micro", region="FAR-OFF", districts=districts))
    venue.done(Admit(member="KIN-2", role="firm", size="micro", region="NINGBO", owner="KIN"))
    for name in ("KIN", "KIN-2"):
        venue.done(Deposit(name, MONEY_EACH))
    assert bid(venue, "KIN", 10, 100, "TWO-PLACES").said[0].subsidy == 500
    assert bid(venue, "KIN-2", 10, 100, "TWO-PLACES").said[0].subsidy == 200


# --- two strangers -----------------------------------------------------------------------------


def test_two_strangers_who_collude_get_the_subsidy_of_real_lots_and_stand_in_the_report(venue):
    before = venue.gained("YUN") + venue.gained("ANN")
    venue.bought("ANN", 100, "DEEP", 100, "DEDUCT")
    after = venue.gained("YUN") + venue.gained("ANN")
    assert after - before == 5_000 - 50 - 20
    assert venue.credits("ANN", "DEEP") == Balance(restricted=100)
    assert venue.sell("ANN", 1, "DEEP", 100).reason == RejectReason.CREDITS_NOT_AVAILABLE
    leg = venue.engine.core.ledger.legs[0]
    assert (leg["seller"], leg["gross"], leg["lots"]) == (venue.member("YUN"), 10_000, 100)


def test_of_a_reimbursing_programme_they_get_nothing_before_redemption(venue):
    venue.bought("ANN", 100, "DEEP", 100, "REPAY")
    assert venue.gained("YUN") + venue.gained("ANN") == -50 - 20
    assert venue.budget("REPAY") == Budget(95_000, 5_000, 0, 0)
