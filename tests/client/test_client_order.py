"""What waits for a connection is said in the order in which it was called for."""

from __future__ import annotations

from exchange.client.answers import Order
from exchange.client.requests import MassCancel
from exchange.client.tickets import client_id_bytes
from exchange.config import SessionSettings, Settings
from exchange.protocol.records import COMMAND_STRUCT, Command
from exchange.testing import Exchange
from matching.vocabulary import BOTH_SIDES, EVERY, CommandKind, OrderState
from tests.client.test_client_session import LATER, NOW, Line, buy


def test_an_order_that_is_placed_behind_a_mass_cancel_is_not_taken_by_it():
    line = Line()
    first = line.place(buy(), "a")
    line.cut()
    every = line.session.cancel_every(client_id_bytes("all"), EVERY, BOTH_SIDES, NOW)
    assert isinstance(every, MassCancel)
    behind = line.session.write_orders([buy()], [client_id_bytes("b")], LATER)
    line.session.place(behind)
    line.session.linked()
    said = [frame for frame in line.talk() if frame[:1] == b"C"]
    kinds = [Command._make(COMMAND_STRUCT.unpack(frame[1:])).kind for frame in said]
    assert kinds == [CommandKind.MASS_CANCEL, CommandKind.NEW]
    assert isinstance(every.answer, list)
    assert [order.id for order in every.answer] == [first.id]
    (outcome,) = line.session.outcomes(behind)
    assert isinstance(outcome, Order)
    assert outcome.state is OrderState.OPEN


def test_orders_that_other_sessions_placed_in_a_gap_are_learned_though_none_was_open_here():
    venue = Exchange(settings=Settings(sessions=SessionSettings(reports_kept=4)))
    here, there = venue.connect("SANDBOX"), venue.connect("SANDBOX")
    venue.cut(here)
    ticket = there.instruments["QWEN3-MAX"].buy(1, limit="6.11")
    placed = [there.place(ticket).id for _ in range(10)]
    assert here.is_connected
    assert sorted(order.id for order in here.updates(timeout=0)) == placed
