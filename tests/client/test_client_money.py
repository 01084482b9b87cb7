"""Over real sockets: what a firm does with its money and credits, and that sending it again is safe."""

from __future__ import annotations

import pytest

from exchange import BadInput, Options, OutcomeUnknown, RequestRefused, UnknownName, connect_sync
from exchange.client.answers import Order
from matching.vocabulary import OrderType
from tests.client.fake_venue import NOW, PROTECTION, fake_venue

SHORT = 0.05
"""Seconds that a test waits for what cannot come."""


@pytest.fixture
def venue():
    with fake_venue() as venue:
        yield venue


@pytest.fixture
def ex(venue):
    with connect_sync(venue.profile(), options=Options(reconnect_ms=10, reconnect_ms_max=20)) as ex:
        yield ex


def test_an_account_tells_what_is_set_aside_and_what_is_owed(ex):
    account = ex.account()
    assert account.credits["QWEN3-MAX"].redeeming == 4
    assert account.credits["DEEPSEEK-V3"].redeeming == 0
    assert (account.debt, account.programmes[0].used) == (120, 2_000)
    (obligation,) = account.obligations
    assert (obligation.instrument, obligation.left) == ("QWEN3-MAX", 70)


def test_a_redemption_sent_again_under_its_reference_is_the_same(ex):
    number = ex.redeem("QWEN3-MAX", 3, "REQ-1")
    assert ex.redeem("QWEN3-MAX", 3, "REQ-1") == number
    with pytest.raises(RequestRefused, match="reference_used"):
        ex.redeem("QWEN3-MAX", 4, "REQ-1")
    (one,) = ex.redemptions()
    assert (one.number, one.lots, one.state, one.reference, one.time) == (
        number,
        3,
        "requested",
        "REQ-1",
        NOW,
    )


def test_what_cannot_be_meant_is_refused_here(ex):
    with pytest.raises(UnknownName, match="QWEN3-MAX"):
        ex.redeem("QWEN3-MIX", 3, "REQ-1")
    with pytest.raises(BadInput, match="no whole number of lots"):
        ex.redeem("QWEN3-MAX", 0, "REQ-1")
    with pytest.raises(BadInput, match="no whole number of lots"):
        ex.transfer("ACME-2", "1.5", "T-1", instrument="QWEN3-MAX")
    with pytest.raises(BadInput, match=r"amount 1\.5 is a float"):
        ex.withdraw(1.5, "W-1")
    with pytest.raises(UnknownName):
        ex.settle_debt("HZ-VOUCHER-2025", "1")


def test_an_unanswered_withdrawal_may_be_sent_again(ex, venue):
    with venue.busy(), pytest.raises(OutcomeUnknown, match="send it again as it is: it is done once"):
        ex.withdraw("12.50", "W-1", timeout=SHORT)
    done = ex.withdraw("12.50", "W-1")
    assert [act.amount for act, _ in venue.rules.references.values()] == [125_000]
    assert venue.rules.references["W-1"][1] == done


def test_orders_of_every_type_are_placed_and_replaced(ex, venue):
    qwen = ex.instruments["QWEN3-MAX"]
    venue.rules.liquidity = [[900, 4]]
    bought = ex.place(qwen.buy(6, type="market"))
    assert (bought.type, bought.filled, bought.price) == (OrderType.MARKET, 4, PROTECTION)
    stop = ex.place(qwen.buy(6, type="stop_limit", stop_price="0.2", limit="0.3"))
    assert (stop.type, stop.stop_price, stop.price) == (OrderType.STOP_LIMIT, 2_000, 3_000)
    moved = ex.replace(stop, stop_price="0.25", quantity=8)
    assert (moved.stop_price, moved.price, moved.quantity) == (2_500, 3_000, 8)
    (listed,) = ex.orders()
    assert (listed.id, listed.stop_price, listed.quantity) == (stop.id, 2_500, 8)


def test_an_order_of_another_session_is_replaced_by_its_number(ex, venue):
    placed = ex.place(ex.instruments["QWEN3-MAX"].buy(6, limit="0.1"))
    with connect_sync(venue.profile()) as other:
        replaced = other.replace(placed.id, price="0.2")
        assert isinstance(replaced, Order)
        assert (replaced.price, replaced.quantity) == (2_000, 6)
        with pytest.raises(BadInput, match="order 4711 was not told of"):
            other.replace(4_711, price="0.2")
    assert ex.order(placed).price == 2_000


def test_an_unanswered_replace_may_be_sent_again(ex, venue):
    placed = ex.place(ex.instruments["QWEN3-MAX"].buy(6, limit="0.1"))
    with venue.busy(), pytest.raises(OutcomeUnknown, match="replace it again by the same price and quantity"):
        ex.replace(placed, quantity=9, timeout=SHORT)
    assert ex.replace(placed, quantity=9).quantity == 9
