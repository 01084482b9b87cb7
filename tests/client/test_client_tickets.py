"""What a member may write, and what is refused before anything is sent, in plain words."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from exchange.client.answers import Programmes
from exchange.client.errors import BadInput, UnknownName
from exchange.client.money import hao_of, yuan
from exchange.client.tickets import Instruments, OrderTicket, client_id_bytes
from exchange.protocol.messages import ListedInstrument, ListedProgramme
from matching.vocabulary import NOTIONAL_MAX, PRICE_MAX, OrderType, SelfTrade, Side, TimeInForce
from tests.client.fake_venue import listing, terms

VOUCHER = "HZ-VOUCHER-2026"


@pytest.fixture
def instruments():
    programme = ListedProgramme(0, VOUCHER, 2026, 1, 10**9, 10**9, 0, 0, 0, False, terms())
    listed = tuple(
        ListedInstrument(index, "continuous", listing(symbol), 2, 5)
        for index, symbol in enumerate(("QWEN3-MAX", "QWEN3-CODER", "DEEPSEEK-V3"))
    )
    return Instruments(listed, Programmes({VOUCHER: programme}))


@pytest.fixture
def qwen(instruments):
    return instruments["QWEN3-MAX"]


def test_a_buy_becomes_a_ticket(qwen):
    assert qwen.buy(250, limit="12.35") == OrderTicket(
        instrument="QWEN3-MAX",
        side=Side.BUY,
        quantity=250,
        price=123_500,
        programme=None,
        time_in_force=TimeInForce.GTC,
    )


def test_a_sell_becomes_a_ticket(qwen):
    ticket = qwen.sell(1, limit="0.01", time_in_force="ioc")
    assert (ticket.side, ticket.price, ticket.time_in_force) == (Side.SELL, 100, TimeInForce.IOC)


def test_a_subsidised_buy_lasts_for_the_day_unless_told_otherwise(qwen):
    told = {"limit": "1", "programme": VOUCHER}
    assert qwen.buy(1, **told).time_in_force is TimeInForce.DAY
    assert qwen.buy(1, **told, time_in_force=TimeInForce.IOC).time_in_force is TimeInForce.IOC


@pytest.mark.parametrize("limit", ["12.35", "12.3500", Decimal("12.35"), Decimal("1235e-2"), 123_500])
def test_a_price_is_yuan_as_text_or_decimal_and_hao_as_an_int(qwen, limit):
    assert qwen.buy(1, limit=limit).price == 123_500


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (12.35, "limit 12.35 is a float, which cannot hold money exactly: give yuan as text"),
        (True, "limit True is a bool, which cannot hold money exactly: give yuan as text"),
        (
            "12.355",
            "limit '12.355' yuan is off the tick of QWEN3-MAX, 0.01 yuan: give 12.35 or 12.36",
        ),
        ("0.005", "limit '0.005' yuan is off the tick of QWEN3-MAX, 0.01 yuan: give 0.01 yuan"),
        (123_501, "limit 123501 hao is off the tick of QWEN3-MAX, 0.01 yuan: give 12.35 or 12.36"),
        ("12.35001", "limit '12.35001' yuan has more than 4 decimals: give a whole number of hao"),
        (Decimal("1e-99999"), "has more than 4 decimals"),
        ("0", "limit '0' yuan is not between 0 and 100000000000.00 yuan: give a price above 0"),
        (-100, "limit -100 hao is not between 0 and"),
        (PRICE_MAX + 100, "is not between 0 and"),
        ("-1", "limit '-1' is no amount of yuan: write digits and at most one point"),
        ("1e3", "limit '1e3' is no amount of yuan"),
        ("١٢", "is no amount of yuan"),
        ("12,35", "limit '12,35' is no amount of yuan"),
        (Decimal("NaN"), "is no amount of yuan"),
        (Decimal("1e999999999"), "is no amount of yuan"),
    ],
)
def test_a_price_is_never_rounded_or_guessed(qwen, limit, told):
    with pytest.raises(BadInput) as caught:
        qwen.buy(1, limit=limit)
    assert told in str(caught.value)
    assert caught.value.field == "limit"
    assert caught.value.value is limit
    assert caught.value.remedy


@pytest.mark.parametrize("quantity", [0, -1, 1.0, True, "7", None, 2**63])
def test_a_quantity_is_a_whole_number_of_lots(qwen, quantity):
    with pytest.raises(BadInput, match="is no whole number of lots above 0: give an int") as caught:
        qwen.sell(quantity, limit="1")
    assert caught.value.field == "quantity"


def test_an_order_stays_within_what_one_may_amount_to(qwen):
    most = NOTIONAL_MAX // PRICE_MAX
    assert qwen.buy(most, limit=PRICE_MAX).quantity == most
    with pytest.raises(BadInput, match=f"give at most {most} lots at this price"):
        qwen.buy(most + 1, limit=PRICE_MAX)


def test_a_time_in_force_has_a_name(qwen):
    with pytest.raises(BadInput, match="time_in_force 'forever' is unknown: use one of gtc, gtd, day, ioc"):
        qwen.buy(1, limit="1", time_in_force="forever")


def test_what_else_an_order_may_say_stands_on_the_ticket(qwen):
    until = datetime(2026, 3, 1, 12, tzinfo=UTC)
    ticket = qwen.sell(
        100,
        limit="1",
        post_only=True,
        display_quantity=10,
        expires_at=until,
        self_trade="cancel_maker",
    )
    assert ticket.time_in_force is TimeInForce.GTD
    assert ticket.expires_at == 1_772_366_400_000_000_000
    assert (ticket.post_only, ticket.display_quantity) == (True, 10)
    assert ticket.self_trade is SelfTrade.CANCEL_MAKER
    urgent = qwen.buy(100, limit="1", time_in_force="fok", minimum_quantity=100, expires_at=None)
    assert (urgent.time_in_force, urgent.minimum_quantity, urgent.expires_at) == (TimeInForce.FOK, 100, 0)
    assert qwen.buy(1, limit="1", expires_at=7).expires_at == 7


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ({"self_trade": "never"}, "self_trade 'never' is unknown: use one of none, cancel_taker"),
        ({"display_quantity": 4}, "display_quantity 4 is not between .*: give at least 5 lots"),
        ({"display_quantity": -1}, "display_quantity -1"),
        ({"display_quantity": 1.5}, "display_quantity 1.5"),
        ({"minimum_quantity": 5_001}, "minimum_quantity 5001 is not between 0 and the quantity, 5000"),
        ({"minimum_quantity": True}, "minimum_quantity True"),
        ({"expires_at": datetime(2026, 3, 1)}, "expires_at .* is no time: give a datetime with its zone"),  # noqa: DTZ001
        ({"expires_at": -5}, "expires_at -5 is no time"),
        ({"expires_at": 5, "time_in_force": "day"}, "only then: give expires_at with gtd"),
        ({"time_in_force": "gtd"}, "if its time in force is gtd"),
        ({"post_only": True, "time_in_force": "ioc"}, "cannot be post_only and trade at once"),
        ({"post_only": True, "minimum_quantity": 1}, "cannot be post_only and trade at once"),
    ],
)
def test_wishes_that_contradict_or_ask_too_much_are_told_at_once(qwen, wishes, told):
    with pytest.raises(BadInput, match=told):
        qwen.buy(5_000, limit="1", **wishes)


def test_a_wish_that_nobody_knows_is_a_mistake_of_the_caller(qwen):
    with pytest.raises(TypeError, match="post_onyl"):
        qwen.buy(1, limit="1", post_onyl=True)


def test_a_programme_is_known_and_pays_for_buys_only(qwen):
    with pytest.raises(UnknownName, match="did you mean HZ-VOUCHER-2026"):
        qwen.buy(1, limit="1", programme="HZ-VOUCHER")
    with pytest.raises(BadInput, match="cannot pay for a sell: name a programme on a buy only"):
        qwen.sell(1, limit="1", programme=VOUCHER)


def test_a_symbol_that_is_not_listed_brings_up_those_that_look_like_it(instruments):
    with pytest.raises(KeyError) as caught:
        instruments["qwen3-mx"]
    assert isinstance(caught.value, BadInput)
    assert str(caught.value) == (
        "there is no instrument 'qwen3-mx' here: did you mean QWEN3-MAX or QWEN3-CODER?"
    )
    with pytest.raises(UnknownName, match="choose one of the 3 that the venue lists"):
        instruments["XYZ"]
    assert "XYZ" not in instruments
    assert instruments.get("XYZ") is None
    assert sorted(instruments) == ["DEEPSEEK-V3", "QWEN3-CODER", "QWEN3-MAX"]


def test_an_instrument_tells_its_units(qwen):
    assert (qwen.symbol, qwen.tick) == ("QWEN3-MAX", 100)
    assert qwen.units == ("1 lot = 1,000,000 weighted token units; prices in hao (0.0001 yuan) per lot")
    assert repr(qwen) == "Instrument('QWEN3-MAX', tick=100, phase='continuous')"


@pytest.mark.parametrize("hao", [0, 1, 99, 10_000, 123_456, -1, -12_340, 10**15 + 1])
def test_hao_are_told_in_yuan_and_read_back(hao):
    told = yuan(hao)
    assert Decimal(told) * 10_000 == hao
    if hao >= 0:
        assert hao_of(told, "amount") == hao


def test_yuan_are_told_with_two_decimals_or_as_many_as_they_need():
    assert [yuan(hao) for hao in (0, 7, 120, 123_000, 123_450)] == [
        "0.00",
        "0.0007",
        "0.012",
        "12.30",
        "12.345",
    ]


@pytest.mark.parametrize("client_id", ["a", "rebal-0001", "x" * 24, "with space"])
def test_a_client_id_is_padded(client_id):
    assert client_id_bytes(client_id) == client_id.encode().ljust(24, b"\0")


@pytest.mark.parametrize("client_id", ["", "x" * 25, "é", "line\n", "nul\0", b"bytes", 7, None])
def test_a_client_id_is_1_to_24_ascii_characters(client_id):
    with pytest.raises(BadInput, match="is no id: give 1 to 24 printable ASCII characters"):
        client_id_bytes(client_id)


# --- types -------------------------------------------------------------------------------------


def test_a_market_order_may_leave_its_price_to_the_venue(qwen):
    ticket = qwen.buy(5, type="market")
    assert (ticket.type, ticket.price) == (OrderType.MARKET, 0)
    assert qwen.sell(5, type=OrderType.MARKET, limit="12.35").price == 123_500


def test_stops_name_the_price_that_they_wait_for(qwen):
    stop = qwen.sell(5, type="stop", stop_price="12")
    assert (stop.type, stop.price, stop.stop_price) == (OrderType.STOP, 0, 120_000)
    limited = qwen.buy(5, type="stop_limit", stop_price=120_000, limit="12.5", display_quantity=1)
    assert (limited.type, limited.price, limited.display_quantity) == (OrderType.STOP_LIMIT, 125_000, 1)
    trailing = qwen.sell(5, type="trailing_stop", trail="0.5", programme=None)
    assert (trailing.stop_price, trailing.trail) == (0, 5_000)


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ({}, "an order of type limit needs a limit"),
        ({"type": "stop_limit", "stop_price": "1"}, "type stop_limit needs a limit"),
        ({"type": "stop"}, "type stop needs a stop_price"),
        ({"type": "trailing_stop", "stop_price": "1"}, "type trailing_stop needs a trail"),
        ({"limit": "1", "stop_price": "1"}, "type limit has no stop_price"),
        ({"type": "market", "trail": "1"}, "type market has no trail"),
        ({"type": "stop", "stop_price": "1", "trail": "1"}, "type stop has no trail"),
        ({"type": "market", "display_quantity": 1}, "type market has no display_quantity"),
        ({"type": "stop", "stop_price": "1", "post_only": True}, "type stop has no post_only"),
        ({"type": "pegged", "limit": "1"}, "type 'pegged' is unknown: use one of limit, market"),
        ({"type": "stop", "stop_price": "1.00001"}, "stop_price '1.00001' yuan has more than 4 decimals"),
        ({"type": "stop", "stop_price": 101}, "stop_price 101 hao is off the tick"),
        ({"type": "trailing_stop", "trail": "0"}, "trail '0' yuan is not between"),
    ],
)
def test_what_a_type_lacks_or_does_not_know_is_told(qwen, wishes, told):
    with pytest.raises(BadInput, match=re.escape(told)):
        qwen.buy(5, **wishes)
