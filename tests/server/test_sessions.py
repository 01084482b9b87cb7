"""The rules of sessions, as the manual tells them: logon, resume, guards, limits; no socket, no real time."""

from __future__ import annotations

from random import Random

import pytest

from exchange.config import SessionSettings, Settings, ThrottleSettings
from exchange.protocol.acts import RevokeKey, SetPhase
from exchange.protocol.messages import (
    Armed,
    AskOrders,
    AskStatus,
    CancelAllAfter,
    Decide,
    Farewell,
    Heartbeat,
    Logon,
    Logout,
    Refused,
    Status,
    Welcome,
    encode,
)
from exchange.protocol.records import Command
from exchange.server.enquiries import Enquiries
from exchange.server.gateway import Gateway
from exchange.server.sessions import ENDED_KEPT_MAX, Sessions
from exchange.testing import local_key
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    CommandKind,
    EventKind,
    OrderState,
    RejectReason,
    Side,
    TimeInForce,
)
from settlement.layout import MONEY
from tests.server.venue import Venue, commands, is_heartbeat, new, read_answer, read_reports

SECOND = 10**9
ANN, AN2, BOB, ALI, OPE = b"\0ann1", b"\0ann2", b"\0bob1", b"\0ali1", b"\0ope1"


@pytest.fixture
def venue():
    return Venue()


def buy(venue, name, lots=3, ticks=-1, **fields):
    return commands(new(venue, name, Side.BUY, lots, ticks, **fields))


def answers(bodies):
    return [read_answer(body) for body in bodies if body[:1] == b"M"]


def reports_of(bodies):
    return [report for body in bodies if body[:1] == b"R" for report in read_reports(body)]


def open_orders(venue, member="ANN"):
    number = venue.engine.registry.member_numbers[member]
    return int(venue.engine.core.ledger.members[number]["open_orders"])


def held(venue, member="ANN"):
    number = venue.engine.registry.member_numbers[member]
    accounts = venue.engine.core.ledger.accounts
    (row,) = accounts[(accounts["member"] == number) & (accounts["asset"] == MONEY)]
    return int(row["held"])


def later(venue, seconds):
    """Let time pass, and the gateway notice it."""
    venue.clock.advance(int(seconds * SECOND))
    venue.gateway.watch()


def restarted(venue, **sessions):
    """Give the venue a new gateway, as after a restart: no session, all that is journalled."""
    venue.gateway = Gateway(
        venue.sequencer,
        Enquiries(venue.sequencer, 0),
        venue.deliver,
        Settings(sessions=SessionSettings(**sessions)),
    )


# --- logon and logout --------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", ["order", "question", "logout", "noise"])
def test_before_the_logon_nothing_is_done(venue, frame):
    said = {
        "order": buy(venue, "a1"),
        "question": encode(AskOrders(1)),
        "logout": encode(Logout(1)),
        "noise": b"C",
    }
    venue.connect(ANN, "ANN")
    before = venue.engine.state_hash()
    (answer,) = answers(venue.say(ANN, said[frame]))
    assert answer.reason == "not_logged_on"
    assert venue.engine.state_hash() == before
    assert not venue.gateway.sessions.live


def test_a_logon_is_welcomed_and_a_second_one_only_tells_anew(venue):
    (welcome,) = answers(venue.meet(ANN, "ANN"))
    assert (welcome.member, welcome.sequence, welcome.heartbeat_ms) == ("ANN", venue.engine.sequence, 1000)
    assert welcome.resumed == welcome.sequence
    venue.reports(ANN, buy(venue, "a1"))
    again = venue.say(ANN, encode(Logon(2, since=0, cancel_on_disconnect=True)))
    assert [type(answer) for answer in answers(again)] == [Welcome]
    assert len(again) == 1
    assert not venue.engine.registry.guards


def test_the_welcome_comes_before_any_report(venue):
    venue.meet(ALI, "ALIBABA")
    venue.meet(ANN, "ANN")
    venue.reports(ANN, buy(venue, "a1", ticks=0))
    key, is_operators = venue.lines[ANN]
    venue.gateway.take(
        venue.gateway.sessions.live[ALI], commands(new(venue, "s1", Side.SELL, 1, 0))
    )  # in the same batch as the logon
    venue.gateway.hear(AN2, key, encode(Logon(1)), is_operators=is_operators)
    venue.gateway.work()
    first, *rest = venue.heard(AN2)
    assert isinstance(read_answer(first), Welcome)
    assert [report.kind for report in reports_of(rest)] == [EventKind.TRADED]


def test_after_a_logout_orders_stay_and_nothing_more_is_heard(venue):
    venue.meet(ANN, "ANN", cancel_on_disconnect=True)
    venue.reports(ANN, buy(venue, "a1"))
    sequence = venue.engine.sequence
    assert answers(venue.say(ANN, encode(Logout(9)))) == [Farewell(9, sequence)]
    later(venue, 100)
    assert venue.mail.pop(ANN, []) == []
    assert open_orders(venue) == 1
    assert not venue.engine.registry.guards
    (refused,) = answers(venue.say(ANN, encode(AskStatus(1))))
    assert refused.reason == "not_logged_on"


@pytest.mark.parametrize(("member", "is_operators"), [("ANN", True), ("OPERATOR", False)])
def test_a_key_opens_its_own_door_only(venue, member, is_operators):
    venue.gateway.hear(ANN, local_key(member), encode(Logon(1)), is_operators=is_operators)
    (refused,) = answers(venue.heard(ANN))
    assert refused.reason == "wrong_door"
    assert not venue.gateway.sessions.live


def test_one_session_too_many_ends_the_oldest_of_the_key(venue):
    restarted(venue, per_key=2)
    for session in (ANN, AN2, BOB):
        venue.meet(session, "ANN")
    assert list(venue.gateway.sessions.live) == [AN2, BOB]
    (told,) = answers(venue.heard(ANN))
    assert (told.request, told.reason) == (0, "session_replaced")
    (refused,) = answers(venue.say(ANN, buy(venue, "a1")))
    assert refused.reason == "session_replaced"
    assert open_orders(venue) == 0
    assert isinstance(answers(venue.say(ANN, encode(Logon(1))))[0], Welcome)


def test_a_member_may_have_sessions_by_more_keys_than_one(venue):
    restarted(venue, per_key=1)
    venue.meet(ANN, "ANN")
    venue.meet(BOB, "BOB")
    assert list(venue.gateway.sessions.live) == [ANN, BOB]


def test_why_a_session_ended_is_remembered_of_a_bounded_number():
    sessions = Sessions(per_key=1)
    every = [sessions.begin(number.to_bytes(5, "big"), "key", 1) for number in range(ENDED_KEPT_MAX + 1)]
    for session in every:
        assert sessions.end(session, RejectReason.REPORTS_DROPPED)
    assert sessions.why_ended((0).to_bytes(5, "big")) == RejectReason.NOT_LOGGED_ON
    assert sessions.why_ended((1).to_bytes(5, "big")) == RejectReason.REPORTS_DROPPED
    assert not sessions.end(every[0])


# --- heartbeats --------------------------------------------------------------------------------------


def test_each_second_a_session_hears_how_far_the_venue_is_and_what_it_was_told_last(venue):
    venue.meet(ANN, "ANN")
    venue.meet(BOB, "BOB")
    (report,) = venue.reports(ANN, buy(venue, "a1"))
    for session in (ANN, BOB):
        venue.mail.pop(session, None)
    later(venue, 0.5)
    assert not venue.mail
    later(venue, 0.6)
    beats = {session: read_answer(bodies[0]) for session, bodies in venue.mail.items()}
    time = venue.engine.time
    assert beats == {
        ANN: Heartbeat(venue.engine.sequence, report.sequence, time),
        BOB: Heartbeat(venue.engine.sequence, 0, time),
    }


def test_a_session_that_cannot_be_reached_is_ended_by_its_heartbeat(venue):
    venue.meet(ANN, "ANN")
    venue.gone.add(ANN)
    later(venue, 1.1)
    assert not venue.gateway.sessions.live


def test_a_session_whose_reports_were_dropped_is_told_so_and_resumes(venue):
    venue.meet(ANN, "ANN")
    (first,) = venue.reports(ANN, buy(venue, "a1"))
    venue.gone.add(ANN)
    venue.say(ANN, buy(venue, "a2"))
    venue.gone.clear()
    (refused,) = answers(venue.say(ANN, encode(AskStatus(1))))
    assert refused.reason == "reports_dropped"
    welcome, *missed = venue.say(ANN, encode(Logon(2, since=first.sequence)))
    assert read_answer(welcome).resumed == first.sequence
    assert [report.client_id.rstrip(b"\0") for report in reports_of(missed)] == [b"a2"]


# --- resume ------------------------------------------------------------------------------------------


def test_who_was_away_gets_exactly_what_it_missed(venue):
    """One session hears all; another comes and goes, says how far it heard, and hears the same."""
    chance = Random(20261122)
    venue.meet(ANN, "ANN")
    venue.meet(ALI, "ALIBABA")
    venue.connect(AN2, "ANN")
    all_heard, heard, since = [], [], venue.engine.sequence
    for number in range(300):
        if chance.random() < 0.2:
            session = venue.gateway.sessions.live.get(AN2)
            if session is None:
                heard += reports_of(venue.say(AN2, encode(Logon(number, since=since))))
            else:
                heard += reports_of(venue.heard(AN2))
                since = max([since, *(report.sequence for report in heard)])
                venue.gone.add(AN2)
                later(venue, 1.1)
                venue.gone.clear()
        side = chance.choice((Side.BUY, Side.SELL))
        lots, ticks = chance.randint(1, 5), chance.randint(-2, 2)
        member = ANN if side == Side.BUY else ALI
        order = commands(new(venue, f"n{number}", side, lots, ticks, time_in_force=TimeInForce.DAY))
        said = venue.say(member, order)
        all_heard += reports_of(said if member == ANN else venue.heard(ANN))
        venue.clock.advance(SECOND // 10)
    if AN2 not in venue.gateway.sessions.live:
        heard += reports_of(venue.say(AN2, encode(Logon(1, since=since))))
    heard += reports_of(venue.heard(AN2))
    assert len(all_heard) > 300
    assert heard == all_heard


def test_where_the_venue_has_forgotten_some_the_welcome_says_from_where_on_it_tells(venue):
    restarted(venue, reports_kept=4)
    venue.meet(ANN, "ANN")
    sequences = [venue.reports(ANN, buy(venue, f"a{number}"))[0].sequence for number in range(6)]
    welcome, *missed = venue.meet(AN2, "ANN", since=sequences[0])
    assert read_answer(welcome).resumed == sequences[1]
    assert [report.sequence for report in reports_of(missed)] == sequences[2:]


def test_what_was_before_the_gateway_is_not_resumed(venue):
    venue.meet(ANN, "ANN")
    venue.reports(ANN, buy(venue, "a1"))
    restarted(venue)
    (welcome,) = answers(venue.meet(ANN, "ANN", since=1))
    assert welcome.resumed == welcome.sequence == venue.engine.sequence


def test_a_session_that_is_ahead_of_the_venue_hears_nothing_old(venue):
    (welcome,) = answers(venue.meet(ANN, "ANN", since=2**60))
    assert welcome.resumed == welcome.sequence


def test_reports_of_others_are_never_resumed(venue):
    venue.meet(ANN, "ANN")
    venue.reports(ANN, buy(venue, "a1"))
    assert reports_of(venue.meet(BOB, "BOB", since=0)) == []


# --- cancel on disconnect ----------------------------------------------------------------------------


def test_the_loss_of_a_guarded_session_cancels_all_orders_of_its_member(venue):
    venue.meet(ANN, "ANN", cancel_on_disconnect=True)
    venue.meet(AN2, "ANN")
    venue.meet(BOB, "BOB")
    venue.reports(AN2, buy(venue, "a1"), buy(venue, "a2", time_in_force=TimeInForce.GTC))
    venue.reports(BOB, buy(venue, "b1"))
    venue.heard(AN2)
    venue.gone.add(ANN)
    later(venue, 1.1)
    told = reports_of(venue.heard(AN2))
    assert [(one.kind, one.state, one.reason) for one in told] == [
        (EventKind.CANCELLED, OrderState.CANCELLED, RejectReason.SESSION_LOST)
    ] * 2
    assert (open_orders(venue), open_orders(venue, "BOB")) == (0, 1)
    assert held(venue) == 0
    assert not venue.engine.registry.guards


@pytest.mark.parametrize("end", ["replaced", "revoked"])
def test_however_a_guarded_session_is_ended_its_orders_go(venue, end):
    restarted(venue, per_key=1)
    venue.meet(OPE, "OPERATOR")
    venue.meet(ANN, "ANN", cancel_on_disconnect=True)
    venue.reports(ANN, buy(venue, "a1"))
    if end == "replaced":
        venue.meet(AN2, "ANN")
    else:
        venue.say(OPE, encode(Decide(1, RevokeKey(local_key("ANN")), "test")))
    later(venue, 1.1)
    venue.gateway.watch()
    assert open_orders(venue) == 0


def test_an_unguarded_session_that_is_lost_leaves_its_orders(venue):
    venue.meet(ANN, "ANN")
    venue.reports(ANN, buy(venue, "a1"))
    venue.gone.add(ANN)
    later(venue, 60)
    assert open_orders(venue) == 1


def test_another_guarded_session_goes_on_guarding(venue):
    venue.meet(ANN, "ANN", cancel_on_disconnect=True)
    venue.meet(AN2, "ANN", cancel_on_disconnect=True)
    venue.gone.add(ANN)
    later(venue, 1.1)
    assert venue.engine.registry.guards
    venue.reports(AN2, buy(venue, "a1"))
    venue.gone.add(AN2)
    later(venue, 1.1)
    assert open_orders(venue) == 0
    assert not venue.engine.registry.guards


def test_after_a_restart_a_guarded_member_has_some_time_to_come_back(venue):
    venue.meet(ANN, "ANN", cancel_on_disconnect=True)
    venue.reports(ANN, buy(venue, "a1"))
    restarted(venue, reconnect_seconds=10)
    later(venue, 9)
    assert open_orders(venue) == 1
    venue.meet(AN2, "ANN")  # without the guard it is not the one that is waited for
    later(venue, 2)
    assert open_orders(venue) == 0


def test_who_comes_back_in_time_keeps_its_orders(venue):
    venue.meet(ANN, "ANN", cancel_on_disconnect=True)
    venue.reports(ANN, buy(venue, "a1"))
    restarted(venue, reconnect_seconds=10)
    later(venue, 9)
    venue.meet(AN2, "ANN", cancel_on_disconnect=True)
    later(venue, 60)
    assert open_orders(venue) == 1


def test_orders_that_their_phase_holds_fast_stay(venue):
    venue.meet(OPE, "OPERATOR")
    venue.meet(ANN, "ANN", cancel_on_disconnect=True)
    venue.reports(ANN, buy(venue, "a1"), buy(venue, "a2", symbol="QWEN-TURBO"))
    for phase in ("pre_open", "no_cancel"):
        venue.say(OPE, encode(Decide(1, SetPhase("QWEN3-MAX", phase), "test")))
    venue.gone.add(ANN)
    later(venue, 1.1)
    assert open_orders(venue) == 1


# --- the dead-man's switch ---------------------------------------------------------------------------


def test_the_switch_fires_once_when_it_is_not_put_off(venue):
    venue.meet(ANN, "ANN")
    venue.reports(ANN, buy(venue, "a1"))
    (armed,) = answers(venue.say(ANN, encode(CancelAllAfter(1, 30))))
    assert armed == Armed(1, venue.clock() + 30 * SECOND)
    later(venue, 29)
    (again,) = answers(venue.say(ANN, encode(CancelAllAfter(2, 30))))
    assert again.until == venue.clock() + 30 * SECOND
    later(venue, 29)
    assert open_orders(venue) == 1
    later(venue, 1)
    (told,) = reports_of(venue.heard(ANN))
    assert (told.kind, told.reason) == (EventKind.CANCELLED, RejectReason.DEAD_MAN)
    venue.reports(ANN, buy(venue, "a2"))
    later(venue, 1_000)
    assert open_orders(venue) == 1


def test_the_switch_is_journalled_when_it_changes_and_not_when_it_is_put_off(venue):
    venue.meet(ANN, "ANN")
    venue.say(ANN, encode(CancelAllAfter(1, 30)))
    before = venue.engine.sequence
    venue.say(ANN, encode(CancelAllAfter(2, 30)))
    assert venue.engine.sequence == before
    (off,) = answers(venue.say(ANN, encode(CancelAllAfter(3, 0))))
    assert off == Armed(3, 0)
    assert venue.engine.sequence == before + 1
    assert not venue.engine.registry.guards


def test_the_switch_outlives_its_session_and_the_venue(venue):
    venue.meet(ANN, "ANN")
    venue.reports(ANN, buy(venue, "a1"))
    venue.say(ANN, encode(CancelAllAfter(1, 30)))
    venue.say(ANN, encode(Logout(2)))
    restarted(venue)
    later(venue, 29)
    assert open_orders(venue) == 1
    later(venue, 1)
    assert open_orders(venue) == 0


@pytest.mark.parametrize("seconds", [-1, 86_401, 2**62])
def test_a_switch_beyond_bounds_is_refused(venue, seconds):
    venue.meet(ANN, "ANN")
    (refused,) = answers(venue.say(ANN, encode(CancelAllAfter(1, seconds))))
    assert isinstance(refused, Refused)
    assert refused.reason == "amount_out_of_range"
    assert not venue.engine.registry.guards


def test_the_loss_of_a_session_leaves_the_switch_as_it_is(venue):
    venue.meet(ANN, "ANN", cancel_on_disconnect=True)
    venue.say(ANN, encode(CancelAllAfter(1, 30)))
    venue.meet(AN2, "ANN")
    venue.gone.add(ANN)
    later(venue, 1.1)
    venue.reports(AN2, buy(venue, "a1"))
    later(venue, 29)
    assert open_orders(venue) == 0


# --- throttle ----------------------------------------------------------------------------------------


@pytest.fixture
def throttled():
    """A venue that takes ten orders a second of each member, five at once; and thirty questions."""
    settings = ThrottleSettings(
        orders_per_second=10, orders_burst=5, requests_per_second=1, requests_burst=30
    )
    venue = Venue(settings=Settings(throttle=settings))
    venue.meet(ANN, "ANN")
    venue.meet(BOB, "BOB")
    return venue


def test_one_order_too_many_is_refused_with_the_time_to_wait(throttled):
    venue = throttled
    reports = venue.reports(ANN, *(buy(venue, f"a{number}") for number in range(7)))
    refused = [report for report in reports if report.kind == EventKind.REJECTED]
    assert [(one.reason, one.detail, one.sequence) for one in refused] == [
        (RejectReason.THROTTLED, 100, 0),
    ] * 2
    assert open_orders(venue) == 5
    venue.clock.advance(SECOND // 10)
    (accepted,) = venue.reports(ANN, buy(venue, "a5"))  # the same id, which the venue never took
    assert accepted.kind == EventKind.ACCEPTED


def test_taking_back_is_free_and_one_members_flood_leaves_others_their_share(throttled):
    venue = throttled
    told = venue.reports(ANN, *(buy(venue, f"a{number}") for number in range(9)))
    orders = [one.order for one in told if one.kind == EventKind.ACCEPTED]
    cancels = [commands(Command(kind=CommandKind.CANCEL, order=order)) for order in orders[1:]]
    every = Command(kind=CommandKind.MASS_CANCEL, instrument=EVERY, side=BOTH_SIDES)
    kinds = [report.kind for report in venue.reports(ANN, *cancels, commands(every))]
    assert kinds == [*[EventKind.CANCELLED] * 5, EventKind.MASS_CANCELLED]
    told = venue.reports(BOB, *(buy(venue, f"b{number}") for number in range(5)))
    assert {report.kind for report in told} == {EventKind.ACCEPTED}


def test_cancels_of_nothing_count(throttled):
    """They are journalled: free of charge they would let one member fill the disk."""
    venue = throttled
    (bobs,) = venue.reports(BOB, buy(venue, "b0"))
    every = Command(kind=CommandKind.MASS_CANCEL, instrument=EVERY, side=BOTH_SIDES)
    said = [Command(kind=CommandKind.CANCEL, order=order) for order in (0, 1, 2**62, bobs.order)]
    reasons = [report.reason for report in venue.reports(ANN, *map(commands, [*said, every, said[0], every]))]
    assert sorted(reasons) == sorted(
        [*[RejectReason.UNKNOWN_ORDER] * 4, RejectReason.NONE, *[RejectReason.THROTTLED] * 2]
    )


def test_an_order_is_cancelled_for_nothing_once_a_batch(throttled):
    venue = throttled
    (placed,) = venue.reports(ANN, buy(venue, "a0"))
    cancel = commands(Command(kind=CommandKind.CANCEL, order=placed.order))
    reasons = [report.reason for report in venue.reports(ANN, *[cancel] * 7)]
    assert sorted(reasons) == sorted(
        [RejectReason.NONE, *[RejectReason.UNKNOWN_ORDER] * 4, *[RejectReason.THROTTLED] * 2]
    )


def test_cancels_that_the_phase_does_not_take_count(throttled):
    venue = throttled
    venue.meet(OPE, "OPERATOR")
    orders = [one.order for one in venue.reports(ANN, *(buy(venue, f"a{number}") for number in range(2)))]
    for phase in ("pre_open", "no_cancel"):
        venue.say(OPE, encode(Decide(1, SetPhase("QWEN3-MAX", phase), "test")))
    said = [commands(Command(kind=CommandKind.CANCEL, order=order)) for order in orders * 2]
    reasons = [report.reason for report in venue.reports(ANN, *said)]
    assert sorted(reasons) == sorted([*[RejectReason.NOT_IN_PHASE] * 3, RejectReason.THROTTLED])
    assert open_orders(venue) == 2


def test_mass_cancels_are_free_ten_times_a_second(throttled):
    venue = throttled
    every = commands(Command(kind=CommandKind.MASS_CANCEL, instrument=EVERY, side=BOTH_SIDES))
    venue.meet(OPE, "OPERATOR")
    venue.reports(ANN, *(buy(venue, f"a{number}") for number in range(5)))
    for phase in ("pre_open", "no_cancel"):
        venue.say(OPE, encode(Decide(1, SetPhase("QWEN3-MAX", phase), "test")))
    assert [one.reason for one in venue.reports(ANN, every, every)].count(RejectReason.THROTTLED) == 1
    venue.clock.advance(SECOND // 10)
    (free,) = venue.reports(ANN, every)
    assert free.kind == EventKind.MASS_CANCELLED


def test_a_long_reason_is_refused_and_a_long_act_counts_by_its_length(throttled):
    venue = throttled
    (refused,) = answers(venue.say(ANN, encode(Decide(1, RevokeKey(local_key("ANN")), "x" * 1_001))))
    assert (refused.request, refused.reason) == (1, "malformed")
    assert "1,001" in refused.value
    assert local_key("ANN") in venue.engine.registry.keys
    venue.say(ANN, encode(Decide(2, RevokeKey("k" * 100_000), "")), encode(AskStatus(2)))
    (waits,) = answers(venue.say(ANN, encode(AskStatus(3))))
    assert waits.reason == "throttled"


def test_answers_are_charged_by_their_length():
    settings = ThrottleSettings(requests_per_second=1, requests_burst=100)
    venue = Venue(settings=Settings(throttle=settings))
    venue.meet(ANN, "ANN")
    venue.reports(ANN, *(buy(venue, f"a{number}", lots=1) for number in range(3_000)))
    told = answers(venue.say(ANN, *(encode(AskOrders(number)) for number in range(1, 9))))
    assert len(told) == 8
    (waits,) = answers(venue.say(ANN, encode(AskStatus(9))))
    assert waits.reason == "throttled"


def test_a_mass_cancel_right_behind_a_flood_is_free_once(throttled):
    venue = throttled
    every = commands(Command(kind=CommandKind.MASS_CANCEL, instrument=EVERY, side=BOTH_SIDES))
    orders = [buy(venue, f"a{number}") for number in range(6)]
    reports = venue.reports(ANN, *orders, every, every)
    assert [one.reason for one in reports if one.sequence == 0] == [RejectReason.THROTTLED] * 2
    assert [one.kind for one in reports].count(EventKind.CANCELLED) == 5
    assert open_orders(venue) == 0


def test_replaces_count_and_nothing_throttled_is_journalled(throttled):
    venue = throttled
    (accepted,) = venue.reports(ANN, buy(venue, "a0"))
    replace = Command(kind=CommandKind.REPLACE, order=accepted.order, quantity=4)
    reports = venue.reports(ANN, *(commands(replace) for _ in range(4)))
    assert [report.kind for report in reports] == [EventKind.REPLACED] * 4
    before, frames = venue.engine.state_hash(), venue.journal.frames
    (refused,) = venue.reports(ANN, commands(replace))
    assert (refused.reason, refused.order) == (RejectReason.THROTTLED, accepted.order)
    assert (venue.engine.state_hash(), venue.journal.frames) == (before, frames)


def test_questions_are_throttled_but_for_those_that_make_safe(throttled):
    venue = throttled
    told = answers(venue.say(ANN, *(encode(AskStatus(number)) for number in range(1, 41))))
    refused = [answer for answer in told if isinstance(answer, Refused)]
    given = [answer for answer in told if isinstance(answer, Status)]
    assert (len(refused) + len(given), len(given) > 1) == (40, True)
    assert {answer.reason for answer in refused} == {"throttled"}
    assert refused[-1].request == 40
    assert "ms, then send it again" in refused[-1].remedy
    (armed,) = answers(venue.say(ANN, encode(CancelAllAfter(9, 30))))
    assert isinstance(armed, Armed)
    (status,) = answers(venue.say(BOB, encode(AskStatus(1))))
    assert isinstance(status, Status)


def test_logons_are_throttled_too(throttled):
    venue = throttled
    venue.connect(AN2, "ANN")
    told = []
    for number in range(1, 20):
        told += answers(venue.say(AN2, encode(Logon(number)), encode(Logout(number))))
    welcomed = sum(isinstance(one, Welcome) for one in told)
    assert 0 < welcomed < 19
    assert {one.reason for one in told if isinstance(one, Refused)} == {"throttled"}


# --- the end -----------------------------------------------------------------------------------------


def test_every_session_is_told_that_the_venue_stops(venue):
    for session, member in ((ANN, "ANN"), (BOB, "BOB")):
        venue.meet(session, member)
    venue.gateway.stop()
    assert [answers(venue.heard(one))[0].reason for one in (ANN, BOB)] == ["venue_stopping"] * 2


def test_a_restart_is_the_only_thing_that_silences_heartbeats(venue):
    venue.meet(ANN, "ANN")
    for _ in range(3):
        later(venue, 1)
    assert [is_heartbeat(body) for body in venue.mail.pop(ANN)] == [True] * 3
    restarted(venue)
    later(venue, 1)
    assert not venue.mail
