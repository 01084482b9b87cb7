"""Orders reduced, replaced, and cancelled all at once: what is answered, and what is never said twice."""

from __future__ import annotations

import pytest

from exchange.client.errors import BadInput, OrderRejected, OutcomeUnknown
from exchange.client.tickets import client_id_bytes
from exchange.protocol.records import Command
from exchange.testing import Exchange, LocalLine
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    CommandKind,
    OrderState,
    OrderType,
    RejectReason,
    Side,
    TimeInForce,
)
from tests.client.fake_venue import PROTECTION, refusal
from tests.client.test_client_session import LATER, NOW, VOUCHER, Line, buy, state

ALL = client_id_bytes("all")


@pytest.fixture
def line() -> Line:
    return Line()


def outcome_of(said):
    (answer,) = said.answers.values()
    return answer


# --- reduced -----------------------------------------------------------------------------------


def test_a_reduction_is_answered_with_the_order_as_it_is_then(line):
    order = line.place(buy(10), "a")
    line.tell(line.rules.fill(order.id, 900, 3))
    said = line.session.reduce(order.id, 2, NOW)
    line.talk()
    reduced = outcome_of(said)
    assert (reduced.quantity, *state(reduced)) == (8, "OPEN", 3, 5)
    line.tell(line.rules.fill(order.id, 900, 5))
    assert state(line.session.blotter.order(order.id)) == ("FILLED", 8, 0)


def test_to_take_off_all_is_answered_as_a_cancel(line):
    order = line.place(buy(10), "a")
    said = line.session.reduce(order.id, 10, NOW)
    line.talk()
    assert state(outcome_of(said)) == ("CANCELLED", 0, 0)


def test_a_reduction_of_nothing_is_refused(line):
    said = line.session.reduce(4711, 1, NOW)
    line.talk()
    refused = outcome_of(said)
    assert isinstance(refused, OrderRejected)
    assert (refused.code, "the reduction of order 4711 was refused" in str(refused)) == (
        "unknown_order",
        True,
    )


def test_lots_that_are_lost_to_the_own_group_answer_no_reduction(line):
    order = line.place(buy(10), "a")
    said = line.session.reduce(order.id, 2, NOW)
    line.tell(line.rules.reduce(order.id, 1, RejectReason.SELF_TRADE))
    assert not said.is_done()
    assert line.session.blotter.order(order.id).quantity == 9
    line.talk()
    assert outcome_of(said).quantity == 7


def test_a_reduction_placed_elsewhere_is_told(line):
    order = line.place(buy(10), "a")
    line.tell(line.rules.reduce(order.id, 4))
    assert (line.session.blotter.order(order.id).quantity, line.session.blotter.order(order.id).leaves) == (
        6,
        6,
    )


def test_a_reduction_is_never_said_twice(line):
    order = line.place(buy(10), "a")
    said = line.session.reduce(order.id, 2, NOW)
    line.talk(deaf=True)
    line.cut()
    line.link()
    assert (said.lost, said.is_done(), said.answers) == (True, True, {})
    assert line.session.blotter.order(order.id).quantity == 8, "once; the list of orders tells it"


def test_a_reduction_that_was_not_handed_over_waits_for_the_connection(line):
    order = line.place(buy(10), "a")
    line.cut()
    said = line.session.reduce(order.id, 2, NOW)
    line.link()
    assert outcome_of(said).quantity == 8


def test_an_id_sent_again_tells_the_total_as_it_is(line):
    order = line.place(buy(10), "a")
    line.rules.reduce(order.id, 4)
    assert line.place(buy(10), "a", LATER).quantity == 6


# --- replaced ----------------------------------------------------------------------------------


def test_a_replace_is_answered_with_the_order_as_it_is_then(line):
    order = line.place(buy(10, programme=VOUCHER, time_in_force=TimeInForce.DAY), "a")
    line.tell(line.rules.fill(order.id, 900, 3))
    said = line.session.replace(order.id, 800, 7, 0, NOW)
    line.talk()
    replaced = outcome_of(said)
    assert (replaced.price, replaced.quantity, *state(replaced)) == (800, 7, "OPEN", 3, 4)
    assert replaced.reserved == 800 * 4 // 10


def test_a_replaced_order_may_trade_at_once(line):
    line.rules.liquidity = [[900, 2]]
    order = line.place(buy(10, price=800), "a")
    line.session.replace(order.id, 900, 10, 0, NOW)
    line.talk()
    assert state(line.session.blotter.order(order.id)) == ("OPEN", 2, 8)
    assert [fill.price for fill in line.fills()] == [900]


def test_a_total_that_is_filled_already_cancels_the_rest(line):
    order = line.place(buy(10), "a")
    line.tell(line.rules.fill(order.id, 900, 3))
    said = line.session.replace(order.id, 0, 3, 0, NOW)
    line.talk()
    assert state(outcome_of(said)) == ("CANCELLED", 3, 0)


def test_a_refused_replace_leaves_the_order_as_it_was(line):
    order = line.place(buy(10), "a")
    said = line.session.replace(order.id, 2_000_000, 10, 0, NOW)
    line.talk()
    refused = outcome_of(said)
    assert (refused.code, refused.order) == ("money_not_available", order)
    assert f"the replacement of order {order.id} was refused" in str(refused)


def test_a_replace_may_be_said_twice(line):
    order = line.place(buy(10), "a")
    said = line.session.replace(order.id, 900, 6, 0, NOW)
    line.talk(deaf=True)
    line.cut()
    line.link()
    assert (outcome_of(said).price, outcome_of(said).quantity) == (900, 6)


def test_a_replace_by_another_session_is_told(line):
    order = line.place(buy(10), "a")
    line.tell(*line.rules.replace(Command(CommandKind.REPLACE, order=order.id, quantity=12, price=700)))
    heard = line.session.blotter.order(order.id)
    assert (heard.price, heard.quantity, heard.leaves) == (700, 12, 12)


# --- stops -------------------------------------------------------------------------------------


def test_a_parked_stop_tells_where_it_waits_until_it_is_triggered(line):
    order = line.place(buy(10, price=0, type=OrderType.STOP, stop_price=1_100), "a")
    assert (order.type, order.stop_price, order.price) == (OrderType.STOP, 1_100, PROTECTION)
    said = line.session.replace(order.id, 0, 10, 1_200, NOW)
    line.talk()
    assert outcome_of(said).stop_price == 1_200
    line.tell(line.rules.trigger(order.id)._replace(price=900_000))
    heard = line.session.blotter.order(order.id)
    assert (heard.stop_price, heard.price, heard.type) == (0, 900_000, OrderType.STOP)


def test_a_list_tells_of_stops_placed_elsewhere(line):
    order = line.place(buy(10, type=OrderType.STOP_LIMIT, stop_price=1_100), "a")
    line.session.blotter.forget(order.id)
    asked = line.session.open_orders()
    line.talk()
    (listed,) = asked.result()
    assert (listed.type, listed.stop_price, listed.price) == (OrderType.STOP_LIMIT, 1_100, 1_000)


# --- all at once -------------------------------------------------------------------------------


def test_a_mass_cancel_is_answered_with_what_it_cancelled(line):
    orders = [line.place(buy(), name) for name in "abc"]
    line.cancel(orders[0].id)
    said = line.session.cancel_every(ALL, EVERY, BOTH_SIDES, NOW)
    line.talk()
    assert [(one.id, state(one)) for one in said.answer] == [
        (order.id, ("CANCELLED", 0, 0)) for order in orders[1:]
    ]


def test_a_mass_cancel_that_finds_nothing_is_answered_with_nothing(line):
    line.place(buy(), "a")
    said = line.session.cancel_every(ALL, EVERY, Side.SELL, NOW)
    line.talk()
    assert said.answer == []


def test_a_mass_cancel_that_makes_no_sense_is_refused(line):
    said = line.session.cancel_every(ALL, 99, BOTH_SIDES, NOW)
    line.talk()
    assert said.answer.code == "unknown_instrument"


def test_a_mass_cancel_that_is_throttled_had_nothing_to_cancel(line):
    said = line.session.cancel_every(ALL, EVERY, BOTH_SIDES, NOW)
    line.tell(refusal(0, RejectReason.THROTTLED, client_id=ALL, detail=250))
    assert said.answer == []


def test_a_mass_cancel_is_said_again_on_a_new_connection(line):
    order = line.place(buy(), "a")
    said = line.session.cancel_every(ALL, EVERY, BOTH_SIDES, NOW)
    line.talk(deaf=True)
    line.cut()
    line.rules.forget()
    line.link()
    assert said.answer == []
    assert line.session.blotter.order(order.id).state is OrderState.CANCELLED


def test_a_mass_cancel_whose_answer_was_kept_is_not_said_again(line):
    order = line.place(buy(), "a")
    said = line.session.cancel_every(ALL, EVERY, BOTH_SIDES, NOW)
    line.talk(deaf=True)
    line.cut()
    done = line.rules.sequence
    line.link()
    assert [each.id for each in said.answer] == [order.id]
    assert line.rules.sequence == done


# --- a whole venue -----------------------------------------------------------------------------


@pytest.fixture
def venue() -> Exchange:
    return Exchange()


@pytest.fixture
def firm(venue):
    with venue.connect("SANDBOX") as ex:
        yield ex


@pytest.fixture
def qwen(firm):
    return firm.instruments["QWEN3-MAX"]


def low(instrument, ticks=0):
    """Return a price at which nobody sells."""
    return instrument.tick * (10 + ticks)


def test_a_firm_reduces_its_order_and_gets_its_money_back(firm, qwen):
    before = firm.account().money
    order = firm.place(qwen.buy(10, limit=low(qwen)))
    reduced = firm.reduce(order, 4)
    assert (reduced.quantity, reduced.leaves, firm.orders()[0].quantity) == (6, 6, 6)
    assert firm.cancel(order).quantity == 6
    assert firm.account().money == before


def test_a_reduction_of_what_has_ended_is_raised(firm, qwen):
    order = firm.place(qwen.buy(10, limit=low(qwen)))
    firm.cancel(order)
    with pytest.raises(OrderRejected) as caught:
        firm.reduce(order, 4)
    assert caught.value.order is not None
    assert caught.value.order.state is OrderState.CANCELLED
    with pytest.raises(BadInput, match="no whole number of lots above 0"):
        firm.reduce(order, 0)


def test_a_firm_replaces_its_order_and_holds_what_it_then_needs(firm, qwen):
    before = firm.account().money
    order = firm.place(qwen.buy(10, limit=low(qwen)))
    replaced = firm.replace(order, quantity=20)
    assert (replaced.price, replaced.quantity, replaced.leaves) == (order.price, 20, 20)
    replaced = firm.replace(order.id, price=low(qwen, 5))
    assert (replaced.price, replaced.quantity) == (low(qwen, 5), 20)
    assert firm.account().money.held >= 20 * low(qwen, 5)
    with pytest.raises(OrderRejected, match="money_not_available"):
        firm.replace(order, quantity=10**8)
    assert firm.orders()[0].quantity == 20
    with pytest.raises(BadInput, match="price 1 hao is off the tick"):
        firm.replace(order, price=1)
    firm.cancel(order)
    assert firm.account().money == before
    with pytest.raises(OrderRejected) as caught:
        firm.replace(order, quantity=5)
    assert caught.value.order is not None
    assert (caught.value.code, caught.value.order.state) == ("unknown_order", OrderState.CANCELLED)


def test_a_stop_waits_outside_of_the_book_until_a_trade_reaches_it(venue, firm, qwen):
    price = qwen.listing.list_price
    with venue.connect(qwen.listing.provider) as provider:
        provider.place(qwen.sell(5, limit=price))
        stop = firm.place(qwen.buy(2, type="stop", stop_price=price, limit=price + 10 * qwen.tick))
        assert (stop.state, stop.stop_price, stop.leaves) == (OrderState.OPEN, price, 2)
        (listed,) = firm.orders()
        assert (listed.type, listed.stop_price) == (OrderType.STOP, price)
        moved = firm.replace(stop, stop_price=price + qwen.tick)
        assert moved.stop_price == price + qwen.tick
        firm.replace(stop, stop_price=price)
        firm.place(qwen.buy(1, type="market", limit=price))
        ended = firm.order(stop)
        assert (ended.state, ended.filled, ended.stop_price) == (OrderState.FILLED, 2, 0)


def test_a_firm_cancels_all_its_orders_or_some_of_a_kind(firm, qwen):
    other = firm.instruments["DEEPSEEK-V4-PRO"]
    mine = [firm.place(qwen.buy(1, limit=low(qwen, ticks))) for ticks in (2, 1, 0)]
    theirs = firm.place(other.buy(1, limit=low(other)))
    assert firm.cancel_all(instrument="QWEN3-MAX", side="sell") == []
    cancelled = firm.cancel_all(instrument="QWEN3-MAX")
    assert [one.id for one in cancelled] == [one.id for one in mine]
    assert {one.state for one in cancelled} == {OrderState.CANCELLED}
    assert [one.id for one in firm.cancel_all()] == [theirs.id]
    assert firm.orders() == []
    with pytest.raises(KeyError):
        firm.cancel_all(instrument="QWEN3-MX")
    with pytest.raises(BadInput, match="side 'both' is unknown"):
        firm.cancel_all(side="both")
    with pytest.raises(BadInput, match="orders are given"):
        firm.cancel_all(mine, side="buy")


def test_an_order_expires_when_its_time_has_come_and_its_firm_is_told(venue, firm, qwen):
    before = firm.account().money
    order = firm.place(qwen.buy(10, limit=low(qwen), expires_at=venue.clock.now + 10**9))
    assert firm.order(order).is_open
    venue.clock.advance(10**9)
    venue.tell_time()
    assert firm.order(order).state is OrderState.EXPIRED
    assert firm.account().money == before


def test_what_fill_or_kill_cannot_fill_is_cancelled(firm, qwen):
    order = firm.place(qwen.buy(10, limit=low(qwen), time_in_force="fok"))
    assert (order.state, order.filled) == (OrderState.CANCELLED, 0)


def test_a_post_only_order_that_would_trade_says_what_to_do(venue, firm, qwen):
    price = qwen.listing.list_price
    with venue.connect(qwen.listing.provider) as provider:
        provider.place(qwen.sell(5, limit=price, display_quantity=2))
    with pytest.raises(OrderRejected, match=r"post_only_would_cross.*: give a price that nobody would trade"):
        firm.place(qwen.buy(1, limit=price, post_only=True))
    taken = firm.place(qwen.buy(5, limit=price, minimum_quantity=5))
    assert taken.state is OrderState.FILLED


def test_an_own_order_in_the_way_is_cancelled_if_one_says_so(venue, firm, qwen):
    price = qwen.listing.list_price
    with venue.connect(qwen.listing.provider) as provider:
        resting = provider.place(qwen.sell(5, limit=price))
        taker = provider.place(qwen.buy(5, limit=price, self_trade="cancel_maker"))
        assert provider.order(resting).state is OrderState.CANCELLED
        assert (taker.is_open, taker.filled) == (True, 0)


def test_a_reduction_without_an_answer_is_an_outcome_unknown(venue, firm, qwen, monkeypatch):
    order = firm.place(qwen.buy(10, limit=low(qwen)))
    monkeypatch.setattr(LocalLine, "bring", lambda _line, _frame: None)
    with pytest.raises(OutcomeUnknown, match=r"not known whether the order was reduced.*never said twice"):
        firm.reduce(order, 4, timeout=0.01)
    with pytest.raises(OutcomeUnknown, match=r"not known whether the order was replaced.*comes to the same"):
        firm.replace(order, quantity=4, timeout=0.01)
    with pytest.raises(OutcomeUnknown, match=r"not known whether the orders were cancelled.*harmless"):
        firm.cancel_all(timeout=0.01)
