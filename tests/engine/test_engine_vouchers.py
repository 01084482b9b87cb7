"""Stories of programmes: what they pay, for whom, up to where; and what keeps people from farming them.

VOUCHER: 20,000 hao of budget; for micro, small and medium firms of HANGZHOU 30 % of what is filed or
domestic compute, 20 % of the rest; up to the list price and 10 %; 5,000 an order and 8,000 a group.
GRANT: 100 % of models for micro and small firms, up to the list price; 10 lots an order, 25 a group.
QWEN is filed and lists at 1,000; GPT is foreign and lists at 2,500. Fees of models: 20 and 50 bp.
"""

from __future__ import annotations

import pytest

from matching.vocabulary import EventKind, OrderState, RejectReason, Side
from tests.engine.market import MONEY_EACH, VOUCHER, Venue
from tests.engine.stands import Balance, Budget, Used


@pytest.fixture
def venue() -> Venue:
    return Venue()


# --- what is paid ------------------------------------------------------------------------------


def test_deduct_reckoned_by_hand(venue):
    bid = venue.buy("ANN", 10, "QWEN", 1_000, last="day", programme="VOUCHER")
    assert bid.said[0].subsidy == 3_000  # S: 30 % of 10,000
    assert venue.money("ANN") == Balance(MONEY_EACH - 7_050, held=7_050)  # 10,000 + 50 - 3,000
    assert venue.budget("VOUCHER") == Budget(17_000, reserved=3_000, paid=0, vested=0)

    venue.cancel("ANN", bid.order)
    venue.sell("YUN", 4, "QWEN", 900)
    bid = venue.buy("ANN", 10, "QWEN", 1_000, last="day", programme="VOUCHER")
    (trade,) = bid.trades
    assert (trade.gross, trade.subsidy, trade.paid, trade.fee) == (3_600, 1_080, 1_080, 18)
    # To come: 30 % of (3,600 + 6,000) is 2,880, less 1,080; and 6,000 + (48 - 18) less that.
    assert venue.budget("VOUCHER") == Budget(17_120, reserved=1_800, paid=1_080, vested=0)
    assert venue.used("VOUCHER", "ANN") == Used(money=2_880, lots=10)
    paid = 3_600 + 18 - 1_080
    assert venue.money("ANN") == Balance(MONEY_EACH - paid - 4_230, held=4_230)
    assert venue.credits("ANN", "QWEN") == Balance(restricted=4)

    (trade,) = venue.sell("YUN", 2, "QWEN", 1_000).trades
    assert (trade.subsidy, trade.maker_paid, trade.maker_fee) == (600, 1_680, 4)
    gone = venue.cancel("ANN", bid.order).said[0]
    assert (gone.filled, gone.gross, gone.paid, gone.state) == (6, 5_600, 1_680, OrderState.CANCELLED)
    assert venue.budget("VOUCHER") == Budget(18_320, reserved=0, paid=1_680, vested=0)
    assert venue.used("VOUCHER", "ANN") == Used(money=1_680, lots=6)
    assert venue.money("ANN") == Balance(MONEY_EACH - 5_600 - 18 - 4 + 1_680)
    assert venue.credits("ANN", "QWEN") == Balance(restricted=6)


@pytest.mark.parametrize(
    ("symbol", "price", "rate"),
    [("QWEN", 1_000, 3_000), ("A910B", 7_000, 3_000), ("GPT", 2_500, 2_000), ("H100", 9_000, 2_000)],
)
def test_the_rate_is_that_of_the_class(venue, symbol, price, rate):
    bid = venue.buy("ANN", 1, symbol, price, last="day", programme="VOUCHER")
    assert bid.said[0].subsidy == price * rate // 10_000


def test_above_the_ceiling_the_programme_pays_only_up_to_it(venue):
    venue.sell("YUN", 1, "QWEN", 1_500)
    bid = venue.buy("ANN", 1, "QWEN", 1_600, last="day", programme="VOUCHER")
    assert bid.said[0].subsidy == bid.trades[0].subsidy == 330  # 30 % of 1,100
    assert venue.money("ANN") == Balance(MONEY_EACH - 1_500 - 7 + 330)


def test_below_the_ceiling_it_pays_its_share_of_the_price(venue):
    venue.sell("YUN", 1, "QWEN", 1_000)
    bid = venue.buy("ANN", 1, "QWEN", 1_600, last="day", programme="VOUCHER")
    assert (bid.said[0].subsidy, bid.trades[0].subsidy) == (330, 300)
    assert venue.budget("VOUCHER") == Budget(19_700, reserved=0, paid=300, vested=0)


def test_small_fills_are_not_each_rounded_down(venue):
    for _ in range(9):
        venue.sell("YUN", 1, "QWEN", 10)
    bid = venue.buy("ANN", 9, "QWEN", 10, last="day", programme="VOUCHER")
    assert sum(trade.subsidy for trade in bid.trades) == 27
    venue.sell("FAR", 1, "GPT", 1)
    venue.sell("FAR", 1, "GPT", 2)
    venue.sell("FAR", 1, "GPT", 2)
    bid = venue.buy("ANN", 3, "GPT", 2, last="day", programme="VOUCHER")
    assert [trade.subsidy for trade in bid.trades] == [0, 0, 1]  # 20 % of 1, of 3, of 5
    assert [trade.paid for trade in bid.trades] == [0, 0, 1]


# --- caps and budgets --------------------------------------------------------------------------


def test_the_cap_of_an_order_binds_and_is_told(venue):
    venue.sell("YUN", 20, "QWEN", 1_000)
    bid = venue.buy("ANN", 20, "QWEN", 1_000, last="day", programme="VOUCHER")
    assert bid.kinds == [EventKind.ACCEPTED, EventKind.TRADED]
    assert bid.said[0].subsidy == bid.trades[0].subsidy == 5_000  # not 6,000
    assert venue.money("ANN") == Balance(MONEY_EACH - 20_000 - 100 + 5_000)


def test_a_capped_order_is_paid_its_share_until_the_cap(venue):
    for price in (800, 900, 1_000):
        venue.sell("YUN", 7, "QWEN", price)
    bid = venue.buy("ANN", 21, "QWEN", 1_000, last="day", programme="VOUCHER")
    assert [trade.subsidy for trade in bid.trades] == [1_680, 1_890, 1_430]  # the last not 2,100
    assert venue.budget("VOUCHER") == Budget(15_000, reserved=0, paid=5_000, vested=0)


def test_the_cap_of_a_group_counts_what_its_firms_have_reserved_and_paid(venue):
    bid = venue.buy("BEN", 20, "QWEN", 1_000, last="day", programme="VOUCHER")
    assert bid.said[0].subsidy == 5_000
    assert venue.buy("BOB", 20, "QWEN", 1_000, last="day", programme="VOUCHER").said[0].subsidy == 3_000
    refused = venue.buy("BOB", 1, "QWEN", 1_000, last="day", programme="VOUCHER")
    assert refused.reason == RejectReason.PROGRAMME_EXHAUSTED
    assert venue.used("VOUCHER", "BROTHERS") == Used(money=8_000, lots=40)
    assert venue.buy("ANN", 1, "QWEN", 1_000, last="day", programme="VOUCHER").said[0].subsidy == 300
    venue.cancel("BEN", bid.order)
    assert venue.used("VOUCHER", "BROTHERS") == Used(money=3_000, lots=20)
    assert venue.buy("BOB", 10, "QWEN", 1_000, last="day", programme="VOUCHER").said[0].subsidy == 3_000


def test_caps_in_lots_cover_the_first_lots_filled(venue):
    for price in (500, 900):
        venue.sell("YUN", 6, "QWEN", price)
    bid = venue.buy("ANN", 12, "QWEN", 900, last="day", programme="GRANT")
    assert bid.said[0].subsidy == 9_000  # 10 of 12 lots, all of 900
    assert [trade.subsidy for trade in bid.trades] == [3_000, 3_600]  # 6 at 500, then 4 at 900
    assert venue.money("ANN") == Balance(MONEY_EACH - 3_000 - 5_400 - 42 + 6_600)
    assert venue.credits("ANN", "QWEN") == Balance(restricted=12)
    assert venue.used("GRANT", "ANN") == Used(money=6_600, lots=10)


def test_a_groups_lots_run_out(venue):
    bids = [venue.buy("BEN", 10, "QWEN", 100, last="day", programme="GRANT") for _ in range(3)]
    assert [bid.said[0].subsidy for bid in bids] == [1_000, 1_000, 500]
    refused = venue.buy("BEN", 10, "QWEN", 100, last="day", programme="GRANT")
    assert refused.reason == RejectReason.PROGRAMME_EXHAUSTED
    assert venue.used("GRANT", "BROTHERS") == Used(money=2_500, lots=25)
    venue.cancel("BEN", bids[2].order)
    assert venue.used("GRANT", "BROTHERS") == Used(money=2_000, lots=20)


def test_a_budget_that_runs_out_pays_what_is_left_and_then_refuses(venue):
    for firm in ("ANN", "BEN"):
        assert venue.buy(firm, 20, "QWEN", 1_000, last="day", programme="VOUCHER").said[0].subsidy == 5_000
        assert venue.buy(firm, 10, "QWEN", 1_000, last="day", programme="VOUCHER").said[0].subsidy == 3_000
    bid = venue.buy("DOM", 20, "QWEN", 1_000, last="day", programme="VOUCHER")
    assert bid.said[0].subsidy == 4_000  # S: what is left of 20,000
    assert venue.budget("VOUCHER") == Budget(0, reserved=20_000, paid=0, vested=0)
    before = venue.stand()
    refused = venue.buy("LIM", 1, "QWEN", 1_000, last="day", programme="VOUCHER")
    assert (refused.reason, refused.detail) == (RejectReason.PROGRAMME_EXHAUSTED, 0)
    assert venue.stand() == before
    assert venue.buy("LIM", 1, "QWEN", 1_000, last="day").reason == RejectReason.NONE


def test_what_a_better_price_frees_is_there_for_the_next(venue):
    venue.sell("YUN", 20, "QWEN", 500)
    bid = venue.buy("BEN", 20, "QWEN", 1_000, last="day", programme="VOUCHER")
    assert (bid.said[0].subsidy, bid.trades[0].subsidy) == (5_000, 3_000)
    assert venue.budget("VOUCHER") == Budget(17_000, reserved=0, paid=3_000, vested=0)
    assert venue.buy("BOB", 20, "QWEN", 1_000, last="day", programme="VOUCHER").said[0].subsidy == 5_000


def test_a_share_that_rounds_to_nothing_is_refused_as_exhausted(venue):
    refused = venue.buy("ANN", 1, "GPT", 4, last="day", programme="VOUCHER")  # 20 % of 4
    assert refused.reason == RejectReason.PROGRAMME_EXHAUSTED


def test_a_hold_that_is_not_covered_reserves_nothing(venue):
    before = venue.stand()
    refused = venue.buy("ANN", 1_200, "QWEN", 1_000, last="day", programme="VOUCHER")
    assert (refused.reason, refused.detail) == (RejectReason.MONEY_NOT_AVAILABLE, MONEY_EACH)
    assert venue.stand() == before


def test_a_subsidy_lets_one_buy_what_one_could_not_pay_alone(venue):
    # 1,000 x 1,000 + 5,000 of fees - 5,000 of subsidy
    assert venue.buy("ANN", 1_000, "QWEN", 1_000, last="day").reason == RejectReason.MONEY_NOT_AVAILABLE
    venue.buy("ANN", 1_000, "QWEN", 1_000, last="day", programme="VOUCHER")
    assert venue.money("ANN") == Balance(0, held=MONEY_EACH)


def test_at_the_end_of_the_day_nothing_stays_reserved(venue):
    venue.buy("ANN", 10, "QWEN", 1_000, last="day", programme="VOUCHER")
    (expired,) = venue.end_day().said
    assert (expired.kind, expired.programme) == (EventKind.EXPIRED, venue.programme("VOUCHER"))
    assert venue.budget("VOUCHER") == Budget(20_000, 0, 0, 0)
    assert venue.used("VOUCHER", "ANN") == Used()


# --- who may, and what for ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "symbol", "programme", "last", "reason"),
    [
        ("SUB", "QWEN", "VOUCHER", "day", RejectReason.PROGRAMME_OWN_PROVIDER),
        ("ANN", "QWEN", "VOUCHER", "gtc", RejectReason.PROGRAMME_OUTLASTS_DAY),
        ("CAT", "QWEN", "VOUCHER", "day", RejectReason.PROGRAMME_NOT_ELIGIBLE),
        ("DAN", "QWEN", "VOUCHER", "day", RejectReason.PROGRAMME_NOT_ELIGIBLE),
        ("BOB", "QWEN", "GRANT", "day", RejectReason.PROGRAMME_NOT_ELIGIBLE),
        ("ANN", "A910B", "GRANT", "day", RejectReason.PROGRAMME_NOT_ELIGIBLE),
        ("ANN", "QWEN", "LAST-YEAR", "ioc", RejectReason.PROGRAMME_NOT_VALID_NOW),
    ],
)
def test_who_is_barred_learns_why_and_nothing_changes(venue, member, symbol, programme, last, reason):
    before = venue.stand()
    price = 7_000 if symbol == "A910B" else 1_000
    assert venue.buy(member, 1, symbol, price, last=last, programme=programme).reason == reason
    assert venue.stand() == before


def test_no_programme_pays_for_a_sell_and_an_unknown_one_for_nothing(venue):
    selling = venue.sell("YUN", 1, "QWEN", 1_000, last="day", programme="VOUCHER")
    assert selling.reason == RejectReason.PROGRAMME_SELL
    for number in (-2, 3, 2**31 - 1):
        asked = venue.new("ANN", Side.BUY, 1, "QWEN", 1_000, last="day")
        assert venue.ask(asked._replace(programme=number)).reason == RejectReason.UNKNOWN_PROGRAMME


def test_the_terms_hold_from_the_first_days_midnight_to_the_last_days(venue):
    begin, end = VOUCHER.valid_ns()
    for time, reason in (
        (begin - 1, RejectReason.PROGRAMME_NOT_VALID_NOW),
        (begin, RejectReason.NONE),
        (end - 1, RejectReason.NONE),
        (end, RejectReason.PROGRAMME_NOT_VALID_NOW),
    ):
        answer = Venue().buy(
            "ANN", 1, "QWEN", 1_000, last="day", programme="VOUCHER", time=time, sent_at=time
        )
        assert answer.reason == reason


def test_a_group_that_provides_one_instrument_may_use_programmes_for_others(venue):
    bid = venue.buy("SUB", 1, "GPT", 2_500, last="day", programme="VOUCHER")
    assert bid.said[0].subsidy == 500


def test_a_subsidised_buy_that_meets_its_own_group_is_cancelled(venue):
    venue.give("BOB", 5, "QWEN", 1_000)
    ask = venue.sell("BOB", 5, "QWEN", 1_000)
    answer = venue.buy("BEN", 3, "QWEN", 1_000, last="day", programme="VOUCHER")
    assert answer.kinds == [EventKind.ACCEPTED, EventKind.CANCELLED]
    assert answer.said[1].reason == RejectReason.RELATED_PARTY
    assert venue.money("BEN") == Balance(MONEY_EACH)
    assert venue.used("VOUCHER", "BROTHERS") == Used()
    assert venue.resting("QWEN") == [("BOB", 1_000, 5)]
    (trade,) = venue.buy("BEN", 3, "QWEN", 1_000).trades  # without a programme they may
    assert trade.maker_order == ask.order


def test_a_subsidised_buy_is_cancelled_where_its_own_group_comes_to_sell(venue):
    venue.give("BOB", 5, "QWEN", 1_000)
    bid = venue.buy("BEN", 3, "QWEN", 1_000, last="day", programme="VOUCHER")
    venue.buy("ANN", 1, "QWEN", 1_000, last="day", programme="VOUCHER")
    answer = venue.sell("BOB", 5, "QWEN", 1_000)
    assert answer.kinds == [EventKind.ACCEPTED, EventKind.CANCELLED, EventKind.TRADED]
    gone = answer.said[1]
    assert (gone.order, gone.reason, gone.member) == (
        bid.order,
        RejectReason.RELATED_PARTY,
        venue.member("BEN"),
    )
    assert answer.trades[0].maker_member == venue.member("ANN")
    assert venue.money("BEN") == Balance(MONEY_EACH)
    assert venue.resting("QWEN") == [("BOB", 1_000, 4)]


def test_a_part_of_a_related_buy_is_filled_by_strangers_before_it_is_cancelled(venue):
    venue.give("BOB", 5, "QWEN", 1_000)
    venue.sell("YUN", 2, "QWEN", 990)
    venue.sell("BOB", 5, "QWEN", 1_000)
    answer = venue.buy("BEN", 3, "QWEN", 1_000, last="day", programme="VOUCHER")
    assert answer.kinds == [EventKind.ACCEPTED, EventKind.TRADED, EventKind.CANCELLED]
    assert venue.budget("VOUCHER").paid == answer.said[2].paid == 594  # 30 % of 1,980
    assert venue.used("VOUCHER", "BROTHERS") == Used(money=594, lots=2)
    assert venue.credits("BEN", "QWEN") == Balance(restricted=2)


def test_restricted_credits_are_never_resold(venue):
    venue.sell("YUN", 5, "QWEN", 1_000)
    venue.buy("ANN", 5, "QWEN", 1_000, last="day", programme="VOUCHER")
    refused = venue.sell("ANN", 1, "QWEN", 1_000)
    assert (refused.reason, refused.detail) == (RejectReason.CREDITS_NOT_AVAILABLE, 0)
    venue.give("ANN", 2, "QWEN", 1_000)
    refused = venue.sell("ANN", 3, "QWEN", 1_000)
    assert (refused.reason, refused.detail) == (RejectReason.CREDITS_NOT_AVAILABLE, 2)
    venue.sell("ANN", 2, "QWEN", 1_000)
    assert venue.credits("ANN", "QWEN") == Balance(0, held=2, restricted=5)
