"""The conversation without a socket: what is said and heard, frame by frame, and after what loss."""

from __future__ import annotations

import pytest

from exchange.client.answers import Fill
from exchange.client.errors import (
    BadInput,
    FillsMissed,
    OrderRejected,
    ProtocolBroken,
    RequestRefused,
    UnknownName,
)
from exchange.client.fillbook import FillBook, FillReader, Gap
from exchange.client.refusals import refusal_of
from exchange.client.session import Session
from exchange.client.tickets import OrderTicket, client_id_bytes
from exchange.protocol.acts import Deposit
from exchange.protocol.messages import MESSAGE, REPORTS, REQUESTS, Logon, Refused, Welcome, encode
from exchange.protocol.records import COMMAND_STRUCT, REPORT_STRUCT, Command
from matching.vocabulary import (
    CommandKind,
    EventKind,
    OrderState,
    OrderType,
    RejectReason,
    Side,
    TimeInForce,
)
from tests.client.fake_venue import Rules, blank

NOW = 1_700_000_000_000_000_000
LATER = NOW + 1_000_000_000
VOUCHER = "HZ-VOUCHER-2026"


class Line:
    """A session and the venue's rules, joined by a line that a test may cut and mend."""

    def __init__(self) -> None:
        self.rules = Rules()
        self.session = Session()
        self.links = 0
        self.link()

    def link(self) -> None:
        self.links += 1
        self.session.linked()
        self.talk()

    def cut(self) -> None:
        self.rules.sessions.clear()
        self.session.cut()

    def talk(self, *, deaf: bool = False) -> list[bytes]:
        """Carry what is said to the venue, and its answers back, unless `deaf`; return what was said."""
        said = []
        while self.session.outbox:
            each = self.session.outbox.popleft()
            each.handed = True
            said.append(each.frame)
            for _, frame in self.rules.take(self.links, each.frame):
                if not deaf:
                    self.session.receive(frame)
        return said

    def tell(self, *reports) -> None:
        """Have the venue tell what nobody asked for."""
        self.session.receive(REPORTS + b"".join(REPORT_STRUCT.pack(*report) for report in reports))

    def place(self, ticket, client_id, now=NOW, *, deaf=False):
        """Place an order and give up on it if there is no answer: what the shell does."""
        said = self.session.write_orders([ticket], [client_id_bytes(client_id)], now)
        self.session.place(said)
        self.talk(deaf=deaf)
        (outcome,) = self.session.outcomes(said)
        self.session.drop(said)
        return outcome

    def cancel(self, order_id, *, deaf=False):
        said = self.session.cancel([order_id], NOW)
        self.talk(deaf=deaf)
        (outcome,) = self.session.outcomes(said)
        self.session.drop(said)
        return outcome

    def fills(self, since=None):
        reader = FillReader(self.session.blotter.fills, since)
        return list(iter(reader.next, None))


@pytest.fixture
def line():
    return Line()


def buy(quantity=10, price=1_000, **fields):
    return OrderTicket("QWEN3-MAX", Side.BUY, quantity, price, **fields)


def state(order):
    return (order.state.name, order.filled, order.leaves)


# --- logon -------------------------------------------------------------------------------------


def test_the_first_word_is_a_logon_and_nothing_is_said_before_the_welcome():
    session = Session()
    asked = session.account()
    assert not session.outbox, "there is no connection yet"
    session.linked()
    (logon,) = session.outbox
    assert logon.frame[:1] == MESSAGE
    assert isinstance(REQUESTS.decode(logon.frame[1:]), Logon)
    session.outbox.clear()
    session.receive(encode(Rules().welcome(REQUESTS.decode(logon.frame[1:]).request)))
    assert session.ready
    assert list(session.outbox) == [asked]


def test_the_welcome_tells_who_one_is_and_what_is_listed(line):
    assert line.session.blotter.member == "ACME"
    assert line.session.role == "firm"
    assert line.session.sequence == 100
    assert list(line.session.instruments) == ["QWEN3-MAX", "DEEPSEEK-V3", "AGENT-CUSTOMS"]
    assert line.session.programmes[VOUCHER].budget == 10**9
    with pytest.raises(UnknownName):
        line.session.programmes["FJ-AWARD-2026"]


def test_a_welcome_to_an_older_logon_is_not_heard(line):
    line.session.linked()
    line.session.receive(encode(line.rules.welcome(1)))
    assert not line.session.ready


def test_another_version_is_not_understood(line):
    welcome = line.rules.welcome(2)
    newer = Welcome(**{name: getattr(welcome, name) for name in welcome.__struct_fields__} | {"version": 9})
    line.session.linked()
    with pytest.raises(ProtocolBroken, match="the venue speaks version 9, this client 2"):
        line.session.receive(encode(newer))


# --- orders ------------------------------------------------------------------------------------


def test_a_new_order_is_written_field_by_field(line):
    said = line.session.write_orders(
        [buy(programme=VOUCHER, time_in_force=TimeInForce.DAY)], [client_id_bytes("rebal-1")], NOW
    )
    assert said.frame[:1] == b"C"
    assert Command._make(COMMAND_STRUCT.unpack(said.frame[1:])) == Command(
        kind=CommandKind.NEW,
        side=Side.BUY,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.DAY,
        instrument=0,
        client_id=b"rebal-1".ljust(24, b"\0"),
        price=1_000,
        quantity=10,
        programme=0,
        sent_at=NOW,
    )


def test_an_order_that_rests(line):
    order = line.place(buy(), "a")
    assert order.id == order.sequence == 101
    assert (order.client_id, order.instrument, order.side) == ("a", "QWEN3-MAX", Side.BUY)
    assert (order.price, order.quantity, order.programme) == (1_000, 10, None)
    assert state(order) == ("OPEN", 0, 10)
    assert order.is_open
    assert not order.known
    assert line.session.sequence == 101


def test_an_order_is_told_after_all_that_it_caused(line):
    line.rules.liquidity = [[900, 4], [1_000, 3]]
    order = line.place(buy(programme=VOUCHER, time_in_force=TimeInForce.DAY), "a")
    assert state(order) == ("OPEN", 7, 3)
    assert (order.gross, order.fees) == (900 * 4 + 1_000 * 3, 7)
    assert (order.subsidy, order.reserved) == (360 + 300, 1_000 - 660)
    assert line.fills() == [
        Fill(101, "a", "QWEN3-MAX", Side.BUY, 1, 900, 4, 360, 4, False, 101, order.time),
        Fill(101, "a", "QWEN3-MAX", Side.BUY, 2, 1_000, 3, 300, 3, False, 101, order.time),
    ]


def test_what_an_ioc_order_leaves_is_cancelled_in_the_same_breath(line):
    line.rules.liquidity = [[900, 4]]
    order = line.place(buy(time_in_force=TimeInForce.IOC), "a")
    assert state(order) == ("CANCELLED", 4, 0)
    assert order.time_in_force is TimeInForce.IOC


def test_a_filled_order_reserves_nothing(line):
    line.rules.liquidity = [[900, 10]]
    order = line.place(buy(programme=VOUCHER, time_in_force=TimeInForce.DAY), "a")
    assert (state(order), order.reserved) == (("FILLED", 10, 0), 0)


def test_a_resting_order_follows_what_is_told_of_it(line):
    order = line.place(buy(), "a")
    line.rules.sequence += 1
    line.tell(line.rules.fill(order.id, 1_000, 6, maker=1))
    line.tell(line.rules.end(order.id, EventKind.EXPIRED))
    assert state(line.session.blotter.latest(order)) == ("EXPIRED", 6, 0)
    assert order.filled == 0, "what one holds does not change"
    (fill,) = line.fills()
    assert (fill.maker, fill.price, fill.quantity) == (True, 1_000, 6)


def test_a_refusal_names_field_value_and_remedy(line):
    line.rules.refuse = RejectReason.PRICE_OFF_TICK
    refused = line.place(buy(price=1_050), "a")
    assert isinstance(refused, OrderRejected)
    assert (refused.code, refused.field, refused.value) == ("price_off_tick", "price", 1_050)
    assert (refused.client_id, refused.known, refused.order) == ("a", False, None)
    assert str(refused) == (
        "order 'a' was refused for its price of 0.105 yuan (price_off_tick): "
        "give a multiple of the tick, 0.01 yuan"
    )
    assert line.place(buy(), "a").known, "the id is used, and the refusal is told again"


@pytest.mark.parametrize(
    ("reason", "field", "value"),
    [
        (RejectReason.PROGRAMME_EXHAUSTED, "programme", VOUCHER),
        (RejectReason.INSTRUMENT_NOT_OPEN, "instrument", "QWEN3-MAX"),
        (RejectReason.NOT_IN_PHASE, "instrument", "QWEN3-MAX"),
        (RejectReason.MONEY_NOT_AVAILABLE, "quantity", 10),
        (RejectReason.MEMBER_BLOCKED, "member", "ACME"),
        (RejectReason.PROGRAMME_OUTLASTS_DAY, "time_in_force", "gtc"),
        (RejectReason.UNKNOWN_SIDE, "side", "buy"),
        (RejectReason.TOO_OLD, "client_id", "a"),
        (RejectReason.MALFORMED, "message", ""),
    ],
)
def test_a_refusal_speaks_of_the_value_at_fault(line, reason, field, value):
    line.rules.refuse = reason
    refused = line.place(buy(programme=VOUCHER), "a")
    assert (refused.code, refused.field, refused.value) == (reason.name.lower(), field, value)


def test_a_reason_of_a_newer_venue_is_told_by_its_number(line):
    said = line.session.write_orders([buy()], [client_id_bytes("a")], NOW)
    line.session.place(said)
    line.tell(blank()._replace(kind=EventKind.REJECTED, reason=250, client_id=client_id_bytes("a")))
    (refused,) = line.session.outcomes(said)
    assert refused.code == "reason_250"
    assert "bring this client up to date" in str(refused)


def test_a_batch_has_an_outcome_for_each_order_in_their_order(line):
    ids = [client_id_bytes(name) for name in "abc"]
    line.rules.ids[ids[1]] = -int(RejectReason.MONEY_NOT_AVAILABLE)
    said = line.session.write_orders([buy(1), buy(2), buy(3)], ids, NOW)
    line.session.place(said)
    assert not said.is_done()
    line.talk()
    assert said.is_done()
    first, second, third = line.session.outcomes(said)
    assert (first.client_id, first.quantity, third.client_id, third.quantity) == ("a", 1, "c", 3)
    assert (second.code, second.known) == ("money_not_available", True)


def test_no_two_orders_of_a_message_are_sent_at_once_and_doubts_keep_their_times(line):
    ids = [client_id_bytes(name) for name in "abc"]
    said = line.session.write_orders([buy()] * 3, ids, NOW)
    line.session.place(said)
    line.talk(deaf=True)
    line.session.drop(said)
    line.session.place(line.session.write_orders([buy()] * 3, ids, LATER))
    line.talk()
    assert line.rules.sent_ats == [NOW, NOW + 1, NOW + 2] * 2


def test_what_cannot_be_said_is_not_said_in_part(line):
    a, b = client_id_bytes("a"), client_id_bytes("b")
    for tickets, ids, told in (
        ([buy(), buy()], [a, a], "stands twice"),
        ([buy(), OrderTicket("QWEN", Side.BUY, 1, 100)], [a, b], "did you mean QWEN3-MAX"),
        ([buy(), buy(programme="GRANT")], [a, b], "there is no programme 'GRANT' here"),
        ([buy(), buy(quantity="9")], [a, b], "is no whole number that fits its record"),
        ([buy(), buy(price=2**63)], [a, b], "is no whole number that fits its record"),
    ):
        with pytest.raises(BadInput, match=told):
            line.session.write_orders(tickets, ids, NOW)
    assert not line.session.outbox
    assert line.place(buy(), "a").is_open


def test_an_id_that_awaits_its_answer_is_not_used_again(line):
    line.session.place(line.session.write_orders([buy()], [client_id_bytes("a")], NOW))
    with pytest.raises(BadInput, match="stands twice among orders that await their answers"):
        line.session.write_orders([buy()], [client_id_bytes("a")], NOW)


def test_reports_of_other_sessions_keep_the_state_and_answer_nothing(line):
    other = line.rules.command(
        Command(kind=0, instrument=1, client_id=b"theirs", price=5, quantity=2, sent_at=1)
    )
    line.tell(*other)
    order = line.session.blotter.order(101)
    assert (order.client_id, order.instrument) == ("theirs", "DEEPSEEK-V3")


def test_fills_of_an_order_that_was_never_told_of_are_told(line):
    line.tell(
        blank()._replace(
            kind=EventKind.TRADED,
            order=7,
            sequence=101,
            client_id=b"\xff\x80",
            instrument=9,
            price=5,
            quantity=2,
        )
    )
    (fill,) = line.fills()
    assert (fill.order, fill.client_id, fill.instrument) == (7, "\\xff\\x80", "#9")
    with pytest.raises(BadInput, match="order 7 was not told of in this session"):
        line.session.blotter.order(7)


# --- cancels -----------------------------------------------------------------------------------


def test_a_cancel_is_answered_with_the_order_as_it_ended(line):
    order = line.place(buy(), "a")
    line.tell(line.rules.fill(order.id, 1_000, 4))
    assert state(line.cancel(order.id)) == ("CANCELLED", 4, 0)


def test_a_cancel_of_an_order_placed_elsewhere_tells_what_it_was(line):
    (accepted,) = line.rules.new(Command(kind=0, client_id=b"theirs", price=5, quantity=9, sent_at=1))
    line.rules.fill(accepted.order, 5, 2)
    order = line.cancel(accepted.order)
    assert (order.client_id, order.price, order.quantity, order.filled) == ("theirs", 5, 9, 2)
    assert order.state is OrderState.CANCELLED


def test_a_cancel_that_comes_too_late_tells_how_the_order_ended(line):
    line.rules.liquidity = [[900, 10]]
    order = line.place(buy(), "a")
    refused = line.cancel(order.id)
    assert (refused.code, refused.field, refused.value) == ("unknown_order", "order", order.id)
    assert state(refused.order) == ("FILLED", 10, 0)
    assert str(refused).startswith(f"the cancel of order {order.id} was refused (unknown_order): ")


def test_a_cancel_of_nothing_is_refused(line):
    refused = line.cancel(999)
    assert (refused.code, refused.order) == ("unknown_order", None)
    for wrong in ([1, 1], [2**63], ["7"]):
        with pytest.raises(BadInput):
            line.session.cancel(wrong, NOW)


# --- questions ---------------------------------------------------------------------------------


def test_an_answer_goes_to_its_question(line):
    first, second = line.session.account(), line.session.status()
    line.talk()
    assert first.result().money.available == 5_000_000
    assert second.result().members == 2


def test_a_refusal_goes_to_its_question(line):
    asked = line.session.decide(Deposit("ACME", 0), "a test")
    line.talk()
    with pytest.raises(RequestRefused) as caught:
        asked.result()
    assert str(caught.value) == ("the venue refused amount '0' (amount_out_of_range): give an amount above 0")


def test_a_message_that_the_venue_cannot_read_is_a_fault_of_the_conversation(line):
    line.rules.refuse_messages = True
    line.session.account()
    line.talk()
    assert isinstance(line.session.fault, RequestRefused)


def test_open_orders_are_listed_in_full(line):
    mine = line.place(buy(programme=VOUCHER, time_in_force=TimeInForce.DAY), "a")
    (theirs,) = line.rules.command(Command(kind=0, client_id=b"b", price=5, quantity=9, sent_at=1))
    line.tell(line.rules.fill(mine.id, 900, 4))
    asked = line.session.open_orders()
    line.talk()
    first, second = asked.result()
    assert (first.id, first.filled, first.fees, first.price) == (mine.id, 4, 4, 1_000)
    assert (first.sequence, second.id, second.client_id) == (102, theirs.order, "b")
    assert line.session.blotter.order(theirs.order) == second


def test_a_trade_that_a_list_told_of_already_is_not_counted_twice(line):
    order = line.place(buy(), "a")
    late = line.rules.fill(order.id, 900, 4)
    line.session.open_orders()
    line.talk()
    line.tell(late)
    latest = line.session.blotter.latest(order)
    assert (latest.filled, latest.fees) == (4, 4)
    assert len(line.fills()) == 1


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"X",
        b"C" + bytes(128),
        b"R" + bytes(143),
        b"R" + REPORT_STRUCT.pack(*blank()._replace(state=99, order=5)),
        b"M",
        b"M\xc1",
        b"M" + b"\x80",
        encode(Logon(1)),
    ],
)
def test_what_cannot_be_read_is_said_aloud(line, frame):
    with pytest.raises(ProtocolBroken, match=r"a message (cannot be read|of the kind)"):
        line.session.receive(frame)


# --- loss and return ---------------------------------------------------------------------------


def test_an_order_whose_answer_was_lost_is_told_when_it_is_placed_again(line):
    line.rules.liquidity = [[900, 4]]
    assert line.place(buy(), "a", deaf=True) is None
    order = line.place(buy(), "a", now=LATER)
    assert order.known
    assert (state(order), order.id) == (("OPEN", 4, 6), 101)
    assert line.rules.sent_ats == [NOW, NOW], "it bears the time of its first sending"
    assert len(line.rules.orders) == 1


@pytest.mark.parametrize("is_kept", [True, False])
def test_an_order_that_awaits_its_answer_is_told_or_said_again_on_a_new_connection(line, is_kept):
    said = line.session.write_orders([buy()], [client_id_bytes("a")], NOW)
    line.session.place(said)
    line.talk(deaf=True)
    line.cut()
    assert not line.session.outbox
    if not is_kept:
        line.rules.forget()
    line.link()
    (order,) = line.session.outcomes(said)
    assert order.known is not is_kept, "the report was kept, or the id was asked again"
    assert len(line.rules.orders) == len(line.rules.sent_ats[is_kept - 1 :]) == 1


def test_an_order_that_was_given_up_is_not_said_again(line):
    line.cut()
    said = line.session.write_orders([buy()], [client_id_bytes("a")], NOW)
    line.session.place(said)
    line.session.drop(said)
    line.link()
    assert not line.rules.orders
    assert line.place(buy(), "a", now=LATER).is_open
    assert line.rules.sent_ats == [LATER], "it was never sent, so this is its first sending"


def test_what_was_never_handed_over_is_taken_back(line):
    said = line.session.write_orders([buy()], [client_id_bytes("a")], NOW)
    line.session.place(said)
    line.session.drop(said)
    line.talk()
    assert not line.rules.orders


def test_a_question_is_asked_again_and_an_act_is_not(line):
    question, act = line.session.account(), line.session.decide(Deposit("ACME", 5), "a test")
    line.talk(deaf=True)
    line.cut()
    line.link()
    assert question.result().sequence == 101
    assert act.is_done()
    assert act.lost
    assert line.rules.acts == ["a test"], "once, and the session cannot know it"


def test_an_act_that_was_not_handed_over_waits_for_the_connection(line):
    line.cut()
    act = line.session.decide(Deposit("ACME", 5), "a test")
    line.link()
    assert act.result().sequence == line.rules.sequence


@pytest.mark.parametrize("is_kept", [True, False])
def test_orders_are_brought_up_to_date_on_a_new_connection(line, is_kept):
    names = ("filled", "cancelled", "partly", "same")
    filled, cancelled, partly, same = (line.place(buy(), name) for name in names)
    line.cut()
    line.rules.sequence += 1
    line.rules.fill(filled.id, 900, 10)
    line.rules.sequence += 1
    line.rules.cancel(cancelled.id)
    line.rules.sequence += 1
    line.rules.fill(partly.id, 900, 1)
    if not is_kept:
        line.rules.forget()
    line.link()
    latest = line.session.blotter.latest
    assert [state(latest(order)) for order in (filled, cancelled, partly, same)] == [
        ("FILLED", 10, 0),
        ("CANCELLED", 0, 0),
        ("OPEN", 1, 9),
        ("OPEN", 0, 10),
    ]
    assert latest(filled).price == 1_000
    assert len(line.rules.orders) == 4, "to ask what became of an order places none"


def test_an_order_whose_end_nobody_knows_any_more_is_forgotten(line):
    order = line.place(buy(), "a")
    line.cut()
    line.rules.sequence += 1
    line.rules.cancel(order.id)
    line.rules.forget()
    line.rules.ids.clear()
    line.link()
    with pytest.raises(BadInput, match="was not told of in this session"):
        line.session.blotter.order(order.id)
    assert len(line.rules.orders) == 1


def test_a_cancel_that_was_taken_before_the_connection_broke_is_told_as_done(line):
    order = line.place(buy(), "a")
    said = line.session.cancel([order.id], NOW)
    line.talk(deaf=True)
    line.cut()
    line.link()
    (outcome,) = line.session.outcomes(said)
    assert state(outcome) == ("CANCELLED", 0, 0)


def test_a_cancel_of_what_was_filled_while_the_connection_was_broken_is_refused(line):
    order = line.place(buy(), "a")
    said = line.session.cancel([order.id], NOW)
    line.cut()
    line.rules.sequence += 1
    line.rules.fill(order.id, 900, 10)
    line.link()
    (outcome,) = line.session.outcomes(said)
    assert outcome.code == "unknown_order"
    assert state(outcome.order) == ("FILLED", 10, 0)


def test_a_new_logon_on_the_same_connection_only_lists_anew(line):
    line.place(buy(), "a")
    line.rules.symbols.append("GLM-5")
    line.session.log_on()
    said = line.talk()
    assert len(said) == 1
    assert "GLM-5" in line.session.instruments
    assert line.fills(since=101) == []


# --- fills -------------------------------------------------------------------------------------


def test_fills_are_read_from_a_sequence_on(line):
    line.rules.liquidity = [[900, 1], [900, 1], [900, 1]]
    first, second = line.place(buy(2), "a"), line.place(buy(1), "b")
    assert [fill.client_id for fill in line.fills(since=first.sequence)] == ["a", "a", "b"]
    assert [fill.client_id for fill in line.fills(since=second.sequence)] == ["b"]
    assert [fill.client_id for fill in line.fills()] == ["a", "a", "b"]


def test_nobody_reads_unaware_from_before_the_session(line):
    with pytest.raises(FillsMissed) as caught:
        line.fills(since=99)
    assert (caught.value.after, caught.value.through) == (98, 100)
    assert str(caught.value) == (
        "fills after sequence 98 and up to 100 were not heard or are not kept: "
        "read ex.history.fills(since=99), then go on with fills(since=101)"
    )
    assert line.fills(since=caught.value.through + 1) == []


def test_nobody_reads_unaware_across_a_broken_connection(line):
    line.rules.liquidity = [[900, 1], [900, 1], [900, 1]]
    order = line.place(buy(1), "a")
    reader = FillReader(line.session.blotter.fills, order.sequence)
    assert [fill.client_id for fill in iter(reader.next, None)] == ["a"]
    line.cut()
    line.rules.command(Command(kind=0, client_id=b"b", price=900, quantity=1, sent_at=1))
    line.rules.forget()
    line.link()
    later = line.place(buy(1), "c")
    with pytest.raises(FillsMissed) as caught:
        reader.next()
    assert (caught.value.after, caught.value.through) == (101, 102)
    assert [fill.client_id for fill in line.fills(since=caught.value.through + 1)] == ["c"]
    assert [fill.client_id for fill in line.fills(since=later.sequence)] == ["c"]
    missed = Fill(102, "b", "QWEN3-MAX", Side.BUY, 2, 900, 1, 0, 1, False, 102, 0)
    reader.bridge([missed], 102)
    assert [fill.client_id for fill in iter(reader.next, None)] == ["b", "c"]


def test_what_was_missed_is_heard_on_the_next_connection(line):
    line.rules.liquidity = [[900, 1], [900, 1], [900, 1]]
    order = line.place(buy(1), "a")
    line.cut()
    line.rules.command(Command(kind=0, client_id=b"b", price=900, quantity=1, sent_at=1))
    line.link()
    line.place(buy(1), "c")
    assert [fill.client_id for fill in line.fills(since=order.sequence)] == ["a", "b", "c"]
    assert [logon.since for logon in line.rules.logons] == [None, 101]


def test_a_fill_is_told_once_however_often_it_is_heard(line):
    line.rules.liquidity = [[900, 1], [900, 1]]
    line.place(buy(2), "a")
    (again,) = line.rules.missed(100)
    line.session.receive(again)
    assert [fill.trade for fill in line.fills()] == [1, 2]
    line.rules.liquidity = [[900, 1]]
    line.place(buy(1), "b")
    line.session.receive(again)
    assert [fill.trade for fill in line.fills()] == [1, 2, 3]


def test_a_break_in_which_nothing_happened_is_no_gap(line):
    line.rules.liquidity = [[900, 1], [900, 1]]
    order = line.place(buy(1), "a")
    line.cut()
    line.link()
    line.place(buy(1), "b")
    assert [fill.client_id for fill in line.fills(since=order.sequence)] == ["a", "b"]


def test_what_is_let_go_is_a_gap_too():
    book = FillBook(kept_max=8)
    book.add(Gap(0, 10))
    fills = [Fill(1, "a", "X", Side.BUY, n, 1, 1, 0, 0, False, 10 + n, 0) for n in range(1, 30)]
    slow = FillReader(book, None)
    quick = FillReader(book, None)
    for fill in fills:
        book.add(fill)
        assert quick.next() is fill
        assert quick.next() is None
        assert len(book.entries) <= 8
    with pytest.raises(FillsMissed) as caught:
        slow.next()
    assert caught.value.after == 10
    kept = FillReader(book, caught.value.through + 1)
    heard = list(iter(kept.next, None))
    assert heard == fills[-len(heard) :]
    slow.bridge(fills[: -len(heard)], caught.value.through)
    assert list(iter(slow.next, None)) == fills


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("from", "trade", "the venue refused from 'trade' (why): do it so"),
        ("state", "", "the venue refused state (why): do it so"),
        ("rate", "", "the venue refused what was asked (why): do it so"),
        ("sql", "one\ntwo", "the venue refused sql:\none\ntwo\n (why): do it so"),
    ],
)
def test_a_refusal_says_what_it_has_to_say_and_no_more(field, value, told):
    assert str(refusal_of(Refused(1, "why", field, value, "do it so"))) == told
