"""Stories of money: what an order holds, what a trade costs, what is given back. Amounts in hao.

Fees on models are 20 basis points as maker and 50 as taker, on compute 0 and 30; everybody begins
with 1,000,000 hao, and the provider of each instrument with 1,000 of its credits.
"""

from __future__ import annotations

import pytest

from exchange.protocol.acts import SetFees
from matching.vocabulary import EventKind, OrderState, RejectReason
from tests.engine.market import LOTS_EACH, MONEY_EACH, Venue
from tests.engine.stands import Balance


@pytest.fixture
def venue() -> Venue:
    return Venue()


# --- hold and release --------------------------------------------------------------------------


def test_a_buy_holds_price_and_highest_fee_and_a_cancel_gives_all_back(venue):
    bid = venue.buy("ANN", 10, "QWEN", 1_000)
    assert venue.money("ANN") == Balance(MONEY_EACH - 10_050, held=10_050)
    gone = venue.cancel("ANN", bid.order)
    assert gone.kinds == [EventKind.CANCELLED]
    assert gone.said[0].state == OrderState.CANCELLED
    assert venue.money("ANN") == Balance(MONEY_EACH)


def test_a_sell_holds_its_credits_and_a_cancel_gives_them_back(venue):
    ask = venue.sell("YUN", 7, "QWEN", 1_000)
    assert venue.credits("YUN", "QWEN") == Balance(LOTS_EACH - 7, held=7)
    assert venue.money("YUN") == Balance(MONEY_EACH)
    venue.cancel("YUN", ask.order)
    assert venue.credits("YUN", "QWEN") == Balance(LOTS_EACH)


def test_a_fill_moves_money_and_credits_and_the_rest_stays_held(venue):
    venue.buy("ANN", 10, "QWEN", 1_000)
    (trade,) = venue.sell("YUN", 4, "QWEN", 1_000).trades
    assert (trade.filled, trade.gross, trade.fee, trade.state) == (4, 4_000, 20, OrderState.FILLED)
    assert (trade.maker_filled, trade.maker_gross, trade.maker_fee) == (4, 4_000, 8)
    assert trade.maker_state == OrderState.OPEN
    assert venue.credits("ANN", "QWEN") == Balance(4)
    # 6 x 1,000 are to come; of the highest fee on all 10,000, which is 50, 8 have been charged.
    assert venue.money("ANN") == Balance(MONEY_EACH - 4_008 - 6_042, held=6_042)
    assert venue.money("YUN") == Balance(MONEY_EACH + 4_000 - 20)


def test_price_improvement_comes_back_at_once(venue):
    venue.sell("YUN", 10, "QWEN", 900)
    venue.buy("ANN", 10, "QWEN", 1_000)
    assert venue.money("ANN") == Balance(MONEY_EACH - 9_000 - 45)


def test_price_improvement_comes_back_while_the_rest_stays_open(venue):
    venue.sell("YUN", 10, "QWEN", 900)
    venue.buy("ANN", 15, "QWEN", 1_000)
    # 5 x 1,000 and the highest fee on 14,000, less the 45 that were charged on 9,000.
    assert venue.money("ANN") == Balance(MONEY_EACH - 9_045 - 5_025, held=5_025)


def test_what_an_ioc_does_not_get_is_given_back(venue):
    venue.sell("YUN", 3, "QWEN", 1_000)
    answer = venue.buy("ANN", 10, "QWEN", 1_000, last="ioc")
    assert answer.kinds == [EventKind.ACCEPTED, EventKind.TRADED, EventKind.CANCELLED]
    assert (answer.said[2].quantity, answer.said[2].filled, answer.said[2].gross) == (7, 3, 3_000)
    assert venue.money("ANN") == Balance(MONEY_EACH - 3_015)


def test_the_days_orders_expire_and_give_back_what_they_held(venue):
    venue.buy("ANN", 10, "QWEN", 1_000, last="day")
    venue.sell("FAR", 5, "GPT", 2_500)
    ended = venue.end_day()
    assert ended.kinds == [EventKind.EXPIRED]
    assert ended.said[0].member == venue.member("ANN")
    assert venue.money("ANN") == Balance(MONEY_EACH)
    assert venue.credits("FAR", "GPT") == Balance(LOTS_EACH - 5, held=5)


def test_nobody_else_may_cancel_an_order(venue):
    bid = venue.buy("ANN", 10, "QWEN", 1_000)
    before = venue.stand()
    assert venue.cancel("BEN", bid.order).reason == RejectReason.UNKNOWN_ORDER
    assert venue.cancel("ANN", bid.order + 100).reason == RejectReason.UNKNOWN_ORDER
    assert venue.stand() == before


def test_the_highest_of_the_two_fees_is_held(venue):
    venue.decide(SetFees("model", maker=80, taker=10))
    venue.buy("ANN", 10, "QWEN", 1_000)
    assert venue.money("ANN") == Balance(MONEY_EACH - 10_080, held=10_080)
    venue.sell("YUN", 10, "QWEN", 1_000)
    assert venue.money("ANN") == Balance(MONEY_EACH - 10_080)
    venue.sell("YUN", 10, "QWEN", 1_000)
    venue.buy("BEN", 10, "QWEN", 1_000)
    assert venue.money("BEN") == Balance(MONEY_EACH - 10_010)


# --- fees --------------------------------------------------------------------------------------


def test_a_fee_is_a_share_of_all_that_the_order_traded(venue):
    for _ in range(10):
        venue.sell("YUN", 1, "QWEN", 90)
    split = venue.buy("ANN", 10, "QWEN", 90)
    assert [trade.fee for trade in split.trades] == [0, 0, 1, 0, 1, 0, 1, 0, 1, 0]  # 50 bp of 90 are 0.45
    assert [trade.maker_fee for trade in split.trades] == [0] * 10
    venue.sell("YUN", 10, "QWEN", 90)
    (whole,) = venue.buy("BEN", 10, "QWEN", 90).trades
    assert whole.fee == sum(trade.fee for trade in split.trades) == 4
    assert whole.maker_fee == 1  # 20 bp of 900 are 1.8; of ten orders of 90, ten times 0
    assert venue.money("ANN") == venue.money("BEN") == Balance(MONEY_EACH - 904)


def test_maker_and_taker_are_counted_apart(venue):
    venue.sell("YUN", 5, "QWEN", 90)
    (taken,) = venue.buy("ANN", 10, "QWEN", 90).trades
    (made,) = venue.sell("YUN", 5, "QWEN", 90).trades
    assert taken.fee == 2  # 50 bp of 450
    assert made.maker_fee == 0  # 20 bp of 450, not of 900
    assert venue.money("ANN") == Balance(MONEY_EACH - 902)


def test_a_sellers_fee_comes_out_of_the_proceeds(venue):
    venue.buy("ANN", 2, "A910B", 7_000)
    (trade,) = venue.sell("YUN", 2, "A910B", 7_000).trades
    assert (trade.fee, trade.maker_fee) == (42, 0)
    assert venue.money("YUN") == Balance(MONEY_EACH + 14_000 - 42)


def test_fees_are_those_of_the_orders_entry(venue):
    ask = venue.sell("YUN", 2, "QWEN", 1_000)
    venue.decide(SetFees("model", maker=0, taker=10_000))
    (trade,) = venue.buy("ANN", 2, "QWEN", 1_000).trades
    assert trade.maker_order == ask.order
    assert (trade.fee, trade.maker_fee) == (2_000, 4)
    assert venue.money("ANN") == Balance(MONEY_EACH - 4_000)


def test_a_member_may_trade_with_himself_and_pays_both_fees(venue):
    venue.give("CAT", 5, "QWEN", 1_000)
    before = venue.money("CAT").available
    venue.sell("CAT", 5, "QWEN", 1_000)
    (trade,) = venue.buy("CAT", 5, "QWEN", 1_000).trades
    assert (trade.member, trade.maker_member) == (venue.member("CAT"),) * 2
    assert venue.money("CAT") == Balance(before - 25 - 10)
    assert venue.credits("CAT", "QWEN") == Balance(5)
