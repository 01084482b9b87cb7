"""What the gateway has logged: who comes and goes, whose keys change, who is throttled; never an order."""

from __future__ import annotations

import logging

import pytest

from exchange.config import Settings, ThrottleSettings
from exchange.protocol.acts import RegisterKey, RevokeKey
from exchange.protocol.messages import AskStatus, Decide, Logout, Refused, encode
from exchange.server.folder import new_key_pair
from exchange.server.logs import QUIET_SECONDS
from matching.vocabulary import Side
from tests.server.venue import Venue, commands, new, read_answer

ANN, OPERATOR = b"ann", b"operator"
SECOND_NS = 10**9


@pytest.fixture
def venue():
    few = ThrottleSettings(orders_per_second=1, orders_burst=2, requests_per_second=1, requests_burst=20)
    return Venue(settings=Settings(throttle=few))


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, "bourse")
    return caplog


def events(told):
    return [record.getMessage() for record in told.records]


def fields(told, event, *names):
    (record,) = [record for record in told.records if record.getMessage() == event]
    return tuple(getattr(record, name) for name in names)


def orders(venue, count):
    return [commands(new(venue, f"a{at}", Side.BUY, lots=1, ticks=-1)) for at in range(count)]


def test_orders_leave_no_trace_in_the_log(venue, told):
    venue.meet(ANN, "ANN")
    venue.say(ANN, *orders(venue, 2))
    venue.say(ANN, encode(Logout(2)))
    assert events(told) == ["logged on"]


def test_a_flood_is_told_once_and_its_end_once(venue, told):
    venue.meet(ANN, "ANN")
    venue.say(ANN, *orders(venue, 30))
    said = venue.say(ANN, *[encode(AskStatus(at)) for at in range(40)])
    turned_away = sum(isinstance(read_answer(body), Refused) for body in said)
    assert turned_away
    assert events(told) == ["logged on", "throttling begun"]
    venue.clock.advance(int((QUIET_SECONDS + 2) * SECOND_NS))
    venue.gateway.watch()
    assert events(told) == ["logged on", "throttling begun", "throttling ended"]
    assert fields(told, "throttling ended", "member", "refused") == ("ANN", 30 - 2 + turned_away)


def test_a_changed_key_is_told_with_who_changed_it_and_no_secret(venue, told):
    pair = new_key_pair("ANN")
    venue.meet(OPERATOR, "OPERATOR")
    venue.say(OPERATOR, encode(Decide(2, RegisterKey("ANN", pair.public_key), "test")))
    assert fields(told, "key changed", "who", "act", "key") == ("OPERATOR", "RegisterKey", pair.public_key)
    told.clear()
    venue.say(OPERATOR, encode(Decide(3, RevokeKey(pair.public_key), "test")))
    assert fields(told, "key changed", "act", "key") == ("RevokeKey", pair.public_key)


def test_an_act_that_was_refused_is_not_told(venue, told):
    venue.meet(OPERATOR, "OPERATOR")
    venue.say(OPERATOR, encode(Decide(2, RevokeKey("x" * 40), "test")))
    assert events(told) == ["logged on"]
