"""The gateway: who may say what, what is refused early, and who is told."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from exchange.protocol.acts import Deposit, Issue, SetPhase
from exchange.protocol.messages import (
    COMMANDS_PER_MESSAGE_MAX,
    AskAccount,
    AskOrders,
    AskStatus,
    Decide,
    Decided,
    Logon,
    Refused,
    encode,
)
from exchange.protocol.records import COMMAND_STRUCT
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    CommandKind,
    EventKind,
    OrderState,
    OrderType,
    RejectReason,
    Side,
    TimeInForce,
)
from tests.server.venue import Venue, commands, new, read_answer, read_reports

ANN, BOB, OPERATOR, ALIBABA = b"\0ann", b"\0bob", b"\0ope", b"\0ali"


@pytest.fixture
def venue():
    place = Venue()
    for session, member in ((ANN, "ANN"), (BOB, "BOB"), (OPERATOR, "OPERATOR"), (ALIBABA, "ALIBABA")):
        place.meet(session, member)
    return place


def test_an_order_is_answered_and_its_counterparty_is_told(venue):
    venue.say(ALIBABA, encode(AskStatus(1)))
    (accepted,) = venue.reports(ALIBABA, commands(new(venue, "a1", Side.SELL, 5, 0)))
    assert (accepted.kind, accepted.state, accepted.leaves) == (EventKind.ACCEPTED, OrderState.OPEN, 5)
    bought = venue.reports(ANN, commands(new(venue, "b1", Side.BUY, 3, 0)))
    assert [report.kind for report in bought] == [EventKind.ACCEPTED, EventKind.TRADED]
    assert bought[1].state == OrderState.FILLED
    (sold,) = [report for body in venue.heard(ALIBABA) for report in read_reports(body)]
    assert (sold.kind, sold.maker, sold.order, sold.leaves) == (EventKind.TRADED, 1, accepted.order, 2)


def test_nobody_hears_of_what_is_not_his(venue):
    venue.say(BOB, encode(AskStatus(1)))
    venue.reports(ANN, commands(new(venue, "a1", Side.BUY, 3, -1)))
    assert venue.heard(BOB) == []


def test_the_member_field_of_a_command_is_not_believed(venue):
    bob = venue.engine.registry.member_numbers["BOB"]
    (report,) = venue.reports(ANN, commands(new(venue, "a1", Side.BUY, 3, -1, member=bob)))
    (mine,) = read_reports(b"R" + read_answer(venue.say(ANN, encode(AskOrders(1)))[0]).reports)
    assert mine.order == report.order
    assert read_answer(venue.say(BOB, encode(AskOrders(1)))[0]).reports == b""


@pytest.mark.parametrize(
    ("wrong", "reason", "detail"),
    [
        ({"instrument": 9_999}, RejectReason.UNKNOWN_INSTRUMENT, 0),
        ({"price": 61_150}, RejectReason.PRICE_OFF_TICK, 100),
        ({"price": 0}, RejectReason.PRICE_NOT_POSITIVE, 0),
        ({"price": -100}, RejectReason.PRICE_NOT_POSITIVE, 0),
        ({"price": 2 * 10**15}, RejectReason.PRICE_TOO_LARGE, 10**15),
        ({"quantity": 0}, RejectReason.QUANTITY_NOT_POSITIVE, 0),
        ({"quantity": -1}, RejectReason.QUANTITY_NOT_POSITIVE, 0),
        ({"quantity": 2**62}, RejectReason.QUANTITY_TOO_LARGE, 2**41),
        ({"quantity": 2**40, "price": 10**10}, RejectReason.NOTIONAL_TOO_LARGE, 2**61 // 10**10),
        ({"client_id": b"caf\xc3\xa9".ljust(24, b"\0")}, RejectReason.CLIENT_ID_INVALID, 0),
        ({"side": 7}, RejectReason.UNKNOWN_SIDE, 0),
        ({"type": 5}, RejectReason.UNKNOWN_TYPE, 0),
        ({"type": OrderType.STOP_LIMIT}, RejectReason.STOP_PRICE_INVALID, 0),
        ({"type": OrderType.TRAILING_STOP}, RejectReason.TRAIL_INVALID, 0),
        ({"time_in_force": 9}, RejectReason.UNKNOWN_TIME_IN_FORCE, 0),
        ({"kind": 5}, RejectReason.UNKNOWN_KIND, 0),
        ({"kind": CommandKind.ACT}, RejectReason.UNKNOWN_KIND, 0),
        ({"kind": CommandKind.END_DAY}, RejectReason.UNKNOWN_KIND, 0),
        ({"kind": CommandKind.CLOCK}, RejectReason.UNKNOWN_KIND, 0),
        ({"kind": CommandKind.REDUCE, "quantity": 0}, RejectReason.QUANTITY_NOT_POSITIVE, 0),
        ({"kind": CommandKind.MASS_CANCEL, "instrument": -2}, RejectReason.UNKNOWN_INSTRUMENT, 0),
        ({"kind": CommandKind.MASS_CANCEL, "side": 2}, RejectReason.UNKNOWN_SIDE, 0),
        ({"self_trade": 9}, RejectReason.UNKNOWN_SELF_TRADE, 0),
        ({"time_in_force": TimeInForce.GTD}, RejectReason.EXPIRY_INVALID, 0),
        ({"instructions": 2}, RejectReason.FIELD_NOT_SUPPORTED, 0),
        ({"client_id": bytes(24)}, RejectReason.CLIENT_ID_INVALID, 0),
    ],
)
def test_what_is_wrong_as_written_is_refused_and_not_journalled(venue, wrong, reason, detail):
    before, frames = venue.engine.state_hash(), venue.journal.frames
    (report,) = venue.reports(ANN, commands(new(venue, "a1", wrong.pop("side", Side.BUY), 3, 0, **wrong)))
    assert (report.kind, report.reason, report.sequence) == (EventKind.REJECTED, reason, 0)
    assert report.detail == detail
    assert (venue.engine.state_hash(), venue.journal.frames) == (before, frames)


@pytest.mark.parametrize("kind", [CommandKind.ACT, CommandKind.END_DAY, CommandKind.CLOCK, 5])
def test_a_known_id_opens_no_door_for_what_members_may_not_ask(venue, kind):
    """An id that is known once let everything pass: an act without an act stopped the venue for good."""
    order = new(venue, "a1", Side.BUY, 3, -1, time_in_force=TimeInForce.DAY)
    venue.reports(ANN, commands(order))
    before, frames = venue.engine.state_hash(), venue.journal.frames
    (report,) = venue.reports(ANN, commands(order._replace(kind=kind)))
    assert (report.kind, report.reason) == (EventKind.REJECTED, RejectReason.UNKNOWN_KIND)
    assert (venue.engine.state_hash(), venue.journal.frames) == (before, frames)


@pytest.mark.parametrize("client_id", [b"\0" * 8 + b"\xff" * 16, b"\0a", b"a\0b", b"\xff"])
def test_a_cancel_whose_id_is_no_text_is_not_journalled(venue, client_id):
    """The store keeps ids as text: one that is none stopped the settlement at every start."""
    frames = venue.journal.frames
    cancel = new(venue, "", Side.BUY, 0, 0, kind=CommandKind.CANCEL, order=1, client_id=client_id)
    (report,) = venue.reports(ANN, commands(cancel))
    assert report.reason == RejectReason.CLIENT_ID_INVALID
    assert venue.journal.frames == frames


def test_what_depends_on_the_phase_is_journalled_and_remembered_with_its_id(venue):
    """Else a copy of a refused order, sent before the answer came, could become a live one."""
    venue.say(OPERATOR, encode(Decide(1, SetPhase("QWEN3-MAX", "halted"), "test")))
    order = new(venue, "a1", Side.BUY, 3, -1)
    (refused,) = venue.reports(ANN, commands(order))
    assert refused.reason == RejectReason.INSTRUMENT_NOT_OPEN
    assert refused.sequence > 0
    venue.say(OPERATOR, encode(Decide(2, SetPhase("QWEN3-MAX", "continuous"), "test")))
    (again,) = venue.reports(ANN, commands(order))
    assert (again.kind, again.state) == (EventKind.KNOWN, OrderState.REJECTED)


def test_a_session_that_missed_reports_is_told_so_and_nothing_else(venue):
    venue.say(ALIBABA, encode(AskStatus(1)))
    venue.reports(ALIBABA, commands(new(venue, "s1", Side.SELL, 5, 0)))
    venue.gone.add(ALIBABA)
    venue.reports(ANN, commands(new(venue, "b1", Side.BUY, 2, 0)))
    venue.gone.clear()
    answer = read_answer(venue.say(ALIBABA, encode(AskStatus(2)))[0])
    assert answer.reason == "reports_dropped"
    venue.meet(b"\0new", "ALIBABA")
    assert read_answer(venue.say(b"\0new", encode(AskStatus(3)))[0]).request == 3


def test_a_key_revoked_in_a_batch_asks_nothing_more_in_it(venue):
    from exchange.protocol.acts import RevokeKey
    from exchange.testing import local_key

    revoke = encode(Decide(1, RevokeKey(local_key("OPERATOR")), "test"))
    venue.say(OPERATOR, revoke, encode(Decide(2, Deposit("ANN", 5), "too late")))
    assert read_answer(venue.say(ANN, encode(AskAccount(3)))[0]).money.available == 10**10


def test_the_good_commands_of_a_message_are_taken_beside_the_bad(venue):
    rows = [new(venue, f"a{at}", Side.BUY, 1, -at, quantity=at % 2) for at in range(6)]
    reports = venue.reports(ANN, commands(*rows))
    assert sorted(report.kind for report in reports) == [EventKind.ACCEPTED] * 3 + [EventKind.REJECTED] * 3


def test_beyond_the_cash_or_the_credits_held_is_refused_with_what_there_is(venue):
    (broke,) = venue.reports(ANN, commands(new(venue, "a1", Side.BUY, 10**6, 0)))
    assert broke.reason == RejectReason.MONEY_NOT_AVAILABLE
    assert broke.detail == 10**10
    (bare,) = venue.reports(ANN, commands(new(venue, "a2", Side.SELL, 1, 0)))
    assert (bare.reason, bare.detail) == (RejectReason.CREDITS_NOT_AVAILABLE, 0)


def test_an_id_sent_twice_is_one_order_even_when_it_could_not_be_taken_now(venue):
    order = new(venue, "a1", Side.BUY, 3, -1)
    (first,) = venue.reports(ANN, commands(order))
    halt = encode(Decide(1, SetPhase("QWEN3-MAX", "halted"), "test"))
    assert isinstance(read_answer(venue.say(OPERATOR, halt)[0]), Decided)
    (again,) = venue.reports(ANN, commands(order))
    assert (again.kind, again.order, again.leaves) == (EventKind.KNOWN, first.order, 3)
    (refused,) = venue.reports(ANN, commands(new(venue, "a2", Side.BUY, 3, -1)))
    assert refused.reason == RejectReason.INSTRUMENT_NOT_OPEN


def test_cancels_reach_only_ones_own_orders(venue):
    (placed,) = venue.reports(ANN, commands(new(venue, "a1", Side.BUY, 3, -1)))
    cancel = new(venue, "", Side.BUY, 0, 0, kind=CommandKind.CANCEL, order=placed.order)
    (foreign,) = venue.reports(BOB, commands(cancel))
    assert foreign.reason == RejectReason.UNKNOWN_ORDER
    (ended,) = venue.reports(ANN, commands(cancel))
    assert (ended.kind, ended.order, ended.leaves) == (EventKind.CANCELLED, placed.order, 0)


def test_reductions_and_mass_cancels_reach_only_ones_own_orders(venue):
    (placed,) = venue.reports(ANN, commands(new(venue, "a1", Side.BUY, 5, -1)))
    fields = {"kind": CommandKind.REDUCE, "order": placed.order}
    reduction = new(venue, "", Side.BUY, 2, 0, **fields)
    (foreign,) = venue.reports(BOB, commands(reduction))
    assert (foreign.reason, foreign.order) == (RejectReason.UNKNOWN_ORDER, placed.order)
    (reduced,) = venue.reports(ANN, commands(reduction))
    assert (reduced.kind, reduced.quantity, reduced.leaves) == (EventKind.REDUCED, 3, 3)
    every = new(venue, "all", BOTH_SIDES, 0, 0, kind=CommandKind.MASS_CANCEL, instrument=EVERY)
    (nothing,) = venue.reports(BOB, commands(every))
    assert (nothing.kind, nothing.quantity) == (EventKind.MASS_CANCELLED, 0)
    ended, done = venue.reports(ANN, commands(every))
    assert (ended.kind, ended.order) == (EventKind.CANCELLED, placed.order)
    assert (done.kind, done.quantity, done.client_id) == (EventKind.MASS_CANCELLED, 1, every.client_id)


def test_a_replace_reaches_only_ones_own_order_and_a_refused_one_names_it(venue):
    (placed,) = venue.reports(ANN, commands(new(venue, "a1", Side.BUY, 5, -1)))
    fields = {"kind": CommandKind.REPLACE, "order": placed.order}
    replace = new(venue, "", Side.BUY, 8, -2, **fields)
    (foreign,) = venue.reports(BOB, commands(replace))
    assert (foreign.reason, foreign.order) == (RejectReason.UNKNOWN_ORDER, placed.order)
    (replaced,) = venue.reports(ANN, commands(replace))
    assert (replaced.kind, replaced.price, replaced.quantity, replaced.leaves) == (
        EventKind.REPLACED,
        placed.price - 100,
        8,
        8,
    )
    (refused,) = venue.reports(ANN, commands(replace._replace(price=61_150)))
    assert (refused.kind, refused.reason, refused.order, refused.detail) == (
        EventKind.REJECTED,
        RejectReason.PRICE_OFF_TICK,
        placed.order,
        100,
    )


def test_an_order_that_expires_by_anothers_command_is_told_to_its_own_member(venue):
    timed = {"time_in_force": TimeInForce.GTD, "expires_at": venue.clock() + 10**9}
    (placed,) = venue.reports(ANN, commands(new(venue, "a1", Side.BUY, 5, -1, **timed)))
    venue.clock.advance(10**9)
    (accepted,) = venue.reports(BOB, commands(new(venue, "b1", Side.BUY, 5, -1)))
    (expired,) = (report for body in venue.heard(ANN) for report in read_reports(body))
    assert (expired.kind, expired.order, expired.quantity) == (EventKind.EXPIRED, placed.order, 5)
    assert expired.sequence == accepted.sequence


def test_acts_are_for_operators_and_a_providers_own_credits(venue):
    deposit = encode(Decide(7, Deposit("ANN", 5), "test"))
    for session in (ANN, ALIBABA):
        answer = read_answer(venue.say(session, deposit)[0])
        assert isinstance(answer, Refused)
        assert (answer.request, answer.reason) == (7, "role_not_permitted")
    assert isinstance(read_answer(venue.say(OPERATOR, deposit)[0]), Decided)
    own = read_answer(venue.say(ALIBABA, encode(Decide(8, Issue("QWEN3-MAX", 10), "more")))[0])
    assert isinstance(own, Decided)
    foreign = next(i.symbol for i in venue.engine.registry.instruments if i.provider == "DEEPSEEK")
    answer = read_answer(venue.say(ALIBABA, encode(Decide(9, Issue(foreign, 10), "more")))[0])
    assert isinstance(answer, Refused)


def test_a_welcome_names_all_that_records_number(venue):
    welcome = read_answer(venue.say(ANN, encode(Logon(1)))[0])
    assert welcome.member == "ANN"
    assert [one.index for one in welcome.instruments] == list(range(len(welcome.instruments)))
    assert welcome.programmes[0].code == "HZ-VOUCHER-2026"


def test_balances_are_ones_own(venue):
    venue.reports(ANN, commands(new(venue, "a1", Side.BUY, 3, -1)))
    mine = read_answer(venue.say(ANN, encode(AskAccount(1)))[0])
    assert mine.money.held > 3 * (61_100 - 100)
    assert read_answer(venue.say(BOB, encode(AskAccount(1)))[0]).money.held == 0


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"C",
        b"X" * 50,
        b"C" + bytes(127),
        b"C" + bytes(129),
        b"C" + bytes(COMMAND_STRUCT.size * (COMMANDS_PER_MESSAGE_MAX + 1)),
        b"M",
        b"M\xc1",
        b"M" + msgspec.msgpack.encode({"type": "Nonsense"}),
        b"M" + msgspec.msgpack.encode({"type": "Logon", "request": "one"}),
        b"M" + msgspec.msgpack.encode({"type": "Logon", "request": 1, "more": 1}),
        b"M\x82\xa1x" + b"\x91" * 1_000 + b"\xc0\xa4type\xa5Logon",  # nested before its tag
        b"R" + bytes(144),
    ],
)
def test_what_cannot_be_read_is_refused_and_changes_nothing(venue, frame):
    before = venue.engine.state_hash()
    answer = read_answer(venue.say(ANN, frame)[0])
    assert isinstance(answer, Refused)
    assert (answer.request, answer.reason) == (0, "malformed")
    assert answer.remedy
    assert venue.engine.state_hash() == before


def test_random_frames_raise_nothing(venue, seed, scale):
    chance = Random(seed)
    good = commands(new(venue, "a1", Side.BUY, 3, -1))
    for _ in range(3_000 * scale):
        frame = bytearray(chance.choice([good, encode(Logon(1)), encode(AskAccount(2)), b"C" + bytes(256)]))
        for _ in range(chance.randint(1, 12)):
            frame[chance.randrange(len(frame))] = chance.randrange(256)
        venue.say(ANN, bytes(frame[: chance.randint(0, len(frame))] if chance.random() < 0.3 else frame))
    from exchange.server.audit import laws_broken

    assert laws_broken(venue.engine) == []


def test_a_key_that_nobody_registered_is_not_heard(venue):
    venue.lines[b"\0who"] = ("0" * 40, False)
    answer = read_answer(venue.say(b"\0who", commands(new(venue, "a1", Side.BUY, 3, -1)))[0])
    assert isinstance(answer, Refused)
    assert answer.reason == "not_authenticated"


def test_a_revoked_key_is_cut_off_in_the_middle_of_its_session(venue):
    from exchange.protocol.acts import RevokeKey
    from exchange.testing import local_key

    venue.reports(ANN, commands(new(venue, "a1", Side.BUY, 3, -1)))
    venue.say(OPERATOR, encode(Decide(1, RevokeKey(local_key("ANN")), "test")))
    answer = read_answer(venue.say(ANN, commands(new(venue, "a2", Side.BUY, 3, -1)))[0])
    assert answer.reason == "not_authenticated"


def test_a_session_that_is_gone_is_forgotten_and_nobody_else_is_disturbed(venue):
    venue.say(ANN, encode(AskStatus(1)))
    venue.reports(ALIBABA, commands(new(venue, "s1", Side.SELL, 5, 0)))
    venue.gone.add(ALIBABA)
    bought = venue.reports(ANN, commands(new(venue, "b1", Side.BUY, 2, 0)))
    assert [report.kind for report in bought] == [EventKind.ACCEPTED, EventKind.TRADED]


def test_all_sessions_of_a_member_are_told(venue):
    venue.meet(b"\0an2", "ANN")
    venue.say(b"\0an2", encode(AskStatus(1)))
    venue.reports(ANN, commands(new(venue, "a1", Side.BUY, 3, -1, time_in_force=TimeInForce.IOC)))
    kinds = [report.kind for body in venue.heard(b"\0an2") for report in read_reports(body)]
    assert kinds == [EventKind.ACCEPTED, EventKind.CANCELLED]
