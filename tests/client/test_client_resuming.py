"""How a session goes on: what it asks to hear again, when it gives a connection up, and when it is over."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from exchange import OrderRejected, RequestRefused, SessionEnded
from exchange.client.errors import UpdatesMissed
from exchange.client.tickets import client_id_bytes
from exchange.client.updates import UpdateBook, UpdateReader
from exchange.protocol.messages import (
    ANSWERS,
    MESSAGE,
    REQUESTS,
    Account,
    AskOrders,
    AskStatus,
    Logon,
    Refused,
    encode,
)
from exchange.protocol.records import Command
from exchange.testing import Exchange
from matching.vocabulary import EventKind, OrderState, RejectReason
from tests.client.test_client_session import LATER, NOW, Line, buy


@pytest.fixture
def line() -> Line:
    return Line()


def words(frames):
    """Return the names of what was said."""
    return [
        type(REQUESTS.decode(frame[1:])).__name__ if frame[:1] == MESSAGE else "commands" for frame in frames
    ]


# --- what was missed ---------------------------------------------------------------------------


def test_a_session_resumes_behind_what_it_has_heard_and_lists_nothing_anew(line):
    order = line.place(buy(), "a")
    line.cut()
    line.rules.sequence += 1
    line.rules.fill(order.id, 900, 4, maker=1)
    line.session.linked()
    assert words(line.talk()) == ["Logon", "AskStatus"]
    assert line.session.blotter.order(order.id).filled == 4
    assert line.rules.logons[-1].since == 101
    assert (line.session.ready, line.session.sequence) == (True, line.rules.sequence)


def test_what_the_venue_no_longer_keeps_is_listed_anew(line):
    order = line.place(buy(), "a")
    line.cut()
    line.rules.sequence += 1
    line.rules.fill(order.id, 900, 4, maker=1)
    line.rules.forget()
    line.session.linked()
    assert words(line.talk()) == ["Logon", "AskOrders"]
    assert line.session.blotter.order(order.id).filled == 4


def test_a_list_that_was_cut_off_is_asked_for_again(line):
    order = line.place(buy(), "a")
    line.cut()
    line.rules.sequence += 1
    line.rules.fill(order.id, 900, 4, maker=1)
    line.rules.forget()
    line.session.linked()
    logon = line.session.outbox.popleft()
    for _, frame in line.rules.take(9, logon.frame):
        line.session.receive(frame)
    line.cut()
    line.session.linked()
    assert words(line.talk()) == ["Logon", "AskOrders"]
    assert line.session.blotter.order(order.id).filled == 4


def test_a_list_that_is_refused_is_asked_for_on_another_connection(line):
    line.place(buy(), "a")
    line.cut()
    line.rules.sequence += 1
    line.rules.forget()
    line.session.linked()
    for _, frame in line.rules.take(9, line.session.outbox.popleft().frame):
        line.session.receive(frame)
    question = REQUESTS.decode(line.session.outbox.popleft().frame[1:])
    assert isinstance(question, AskOrders)
    line.session.receive(encode(Refused(question.request, "throttled", "rate", "", "wait")))
    assert (line.session.wants_new_link, line.session.ready) == (True, False)


@pytest.mark.parametrize("refusals", [1, 3, 4])
def test_a_question_that_is_throttled_is_asked_again_a_few_times(refusals, monkeypatch):
    venue = Exchange()
    told = [Refused(0, "throttled", "rate", "", "wait 1 ms", 1)] * refusals
    with venue.connect("SANDBOX") as ex:
        session = ex._desk.session
        heard = session.receive

        def receive(frame):
            """Hear a refusal in the place of the next answers."""
            if told and frame[:1] == MESSAGE and isinstance(answer := ANSWERS.decode(frame[1:]), Account):
                frame = encode(replace(told.pop(), request=answer.request))
            heard(frame)

        monkeypatch.setattr(session, "receive", receive)
        if refusals <= 3:
            assert ex.account().money.available > 0
        else:
            with pytest.raises(RequestRefused, match="throttled") as refused:
                ex.account()
            assert refused.value.retry_after == 0.001
    assert told == []


def test_what_awaits_an_answer_is_said_when_all_that_was_missed_is_heard(line):
    said = line.session.write_orders([buy()], [client_id_bytes("a")], NOW)
    line.session.place(said)
    line.talk(deaf=True)
    line.cut()
    line.session.linked()
    other = line.session.write_orders([buy()], [client_id_bytes("b")], LATER)
    line.session.place(other)
    assert words(line.talk()) == ["Logon", "AskStatus", "commands"]
    assert [said.is_done(), other.is_done()] == [True, True]
    assert len(line.rules.sent_ats) == 2, "the first was not said again: it had been heard of"


def test_cancel_on_disconnect_is_asked_for_at_each_logon():
    from exchange.client.session import Session

    session = Session(cancel_on_disconnect=True)
    session.linked()
    logon = REQUESTS.decode(session.outbox[0].frame[1:])
    assert logon == Logon(1, since=None, cancel_on_disconnect=True)


# --- heartbeats --------------------------------------------------------------------------------


def test_a_heartbeat_tells_how_fresh_the_line_is_and_how_far_one_has_heard(line):
    line.rules.sequence = 500
    line.session.receive(line.rules.heartbeat())
    assert line.session.heartbeat.sequence == line.session.sequence == 500
    assert not line.session.wants_new_link


def test_a_report_that_was_told_and_not_heard_asks_for_a_new_connection(line):
    order = line.place(buy(), "a")
    line.session.receive(line.rules.heartbeat(told=order.sequence))
    assert not line.session.wants_new_link
    line.rules.sequence = 500
    line.session.receive(line.rules.heartbeat(told=order.sequence + 1))
    assert line.session.wants_new_link
    assert line.session.sequence == order.sequence, "what was missed is asked for again"


# --- the end -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["session_replaced", "not_authenticated", "wrong_door"])
def test_a_session_that_the_venue_has_ended_is_over(line, reason):
    line.session.receive(encode(Refused(0, reason, "session", "", "whatever")))
    assert isinstance(line.session.ended, SessionEnded)
    assert (line.session.ended.code, line.session.wants_new_link) == (reason, False)


@pytest.mark.parametrize("reason", ["venue_stopping", "reports_dropped", "session_lost", "not_logged_on"])
def test_a_session_that_may_go_on_asks_for_a_new_connection(line, reason):
    line.session.receive(encode(Refused(0, reason, "session", "", "whatever")))
    assert (line.session.ended, line.session.fault, line.session.wants_new_link) == (None, None, True)


def test_a_logon_that_is_throttled_is_said_on_another_connection(line):
    line.cut()
    line.session.linked()
    logon = REQUESTS.decode(line.session.outbox.popleft().frame[1:])
    line.session.receive(encode(Refused(logon.request, "throttled", "rate", "", "wait 5 ms")))
    assert (line.session.fault, line.session.wants_new_link) == (None, True)


def test_a_logout_is_the_last_word(line):
    asked = line.session.log_out()
    assert words(line.talk()) == ["Logout"]
    assert asked.result().sequence == 100
    assert line.rules.sessions == []


# --- the switch --------------------------------------------------------------------------------


def test_the_switch_tells_when_it_fires(line):
    armed, disarmed = line.session.cancel_all_after(5), line.session.cancel_all_after(0)
    line.talk()
    assert (armed.result().until > 0, disarmed.result().until) == (True, 0)


# --- too much ----------------------------------------------------------------------------------


def throttled(client_id):
    from tests.client.fake_venue import refusal

    return refusal(0, RejectReason.THROTTLED, client_id=client_id_bytes(client_id), detail=250)


def test_a_throttled_order_tells_when_to_try_again(line):
    said = line.session.write_orders([buy()], [client_id_bytes("a")], NOW)
    line.session.place(said)
    line.tell(throttled("a"))
    (refused,) = line.session.outcomes(said)
    assert isinstance(refused, OrderRejected)
    assert (refused.code, refused.retry_after) == ("throttled", 0.25)
    assert str(refused).startswith("order 'a' was refused (throttled): wait 250 ms")


def test_an_order_in_doubt_stays_so_when_it_is_throttled(line):
    assert line.place(buy(), "a", deaf=True) is None
    said = line.session.write_orders([buy()], [client_id_bytes("a")], LATER)
    line.session.place(said)
    line.tell(throttled("a"))
    line.session.drop(said)
    line.session.outbox.clear()
    assert line.place(buy(), "a", now=LATER).known
    assert line.rules.sent_ats == [NOW, NOW], "it bears the time of its first sending"


def test_an_order_without_a_price_was_not_refused_for_a_price_of_nothing(line):
    line.rules.refuse = RejectReason.NO_PROTECTION_PRICE
    refused = line.place(buy(price=0), "a")
    assert "0.00 yuan" not in str(refused)
    assert refused.code == "no_protection_price"


# --- updates -----------------------------------------------------------------------------------


def updates(line, since=None):
    return list(iter(UpdateReader(line.session.blotter.updates, since).next, None))


def test_each_change_of_an_order_is_one_update_in_order(line):
    line.rules.liquidity = [[900, 4]]
    order = line.place(buy(), "a")
    line.rules.sequence += 1
    line.tell(line.rules.reduce(order.id, 1, RejectReason.SELF_TRADE))
    line.session.open_orders()
    line.talk()
    line.cancel(order.id)
    told = [(each.state.name, each.filled, each.leaves, each.reason) for each in updates(line)]
    assert told == [
        ("OPEN", 0, 10, ""),
        ("OPEN", 4, 6, ""),
        ("OPEN", 4, 5, "self_trade"),
        ("CANCELLED", 4, 0, ""),
    ], "to list an order is no change of it"
    assert [each.leaves for each in updates(line, since=102)] == [5, 0]


def test_an_order_says_in_a_word_why_it_was_cancelled(line):
    order = line.place(buy(), "a")
    assert order.reason == ""
    line.rules.sequence += 1
    line.tell(line.rules.end(order.id, EventKind.CANCELLED)._replace(reason=RejectReason.SESSION_LOST))
    ended = line.session.blotter.order(order.id)
    assert (ended.state, ended.reason) == (OrderState.CANCELLED, "session_lost")


def test_old_news_changes_nothing_of_an_order(line):
    order = line.place(buy(), "a")
    line.rules.sequence += 1
    replaced = line.rules.replace(Command(kind=3, order=order.id, price=800, quantity=7))
    line.rules.sequence += 1
    again = line.rules.replace(Command(kind=3, order=order.id, price=700, quantity=6))
    line.tell(*again)
    line.tell(*replaced)
    assert line.session.blotter.order(order.id).price == 700


def test_nobody_misses_updates_unaware():
    line = Line()
    with pytest.raises(UpdatesMissed, match="up to sequence 100 were not heard"):
        updates(line, since=100)
    book = UpdateBook(kept_max=8)
    order = line.place(buy(), "a")
    slow, quick = UpdateReader(book, None), UpdateReader(book, None)
    for number in range(30):
        state = msgspec.structs.replace(order, sequence=200 + number)
        book.add(state)
        assert quick.next() is state
    with pytest.raises(UpdatesMissed):
        slow.next()


def test_a_refused_question_is_only_refused(line):
    asked = line.session.status()
    (said,) = line.session.outbox
    question = REQUESTS.decode(said.frame[1:])
    assert isinstance(question, AskStatus)
    line.session.receive(encode(Refused(question.request, "throttled", "rate", "", "wait 5 ms")))
    with pytest.raises(RequestRefused, match="wait 5 ms"):
        asked.result()
    assert not line.session.wants_new_link
