"""What one member might do to the others, or a clock to all: bounds that hold whatever is said."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from exchange.config import SessionSettings, Settings, ThrottleSettings
from exchange.protocol.arrays import REPORT
from exchange.protocol.messages import (
    CancelAllAfter,
    Heartbeat,
    Logon,
    Logout,
    Refused,
    encode,
)
from exchange.server.enquiries import Enquiries
from exchange.server.gateway import Gateway
from exchange.server.reportlog import ReportLog, in_messages
from matching.vocabulary import EventKind, RejectReason, Side
from tests.server.venue import Venue, commands, new, read_answer, read_reports

SECOND = 10**9
ANN, AN2, AN3 = b"\0ann1", b"\0ann2", b"\0ann3"


def buy(venue, name):
    return commands(new(venue, name, Side.BUY, 3, -1))


def open_orders(venue):
    number = venue.engine.registry.member_numbers["ANN"]
    return int(venue.engine.core.ledger.members[number]["open_orders"])


def settled(**throttle):
    return Venue(settings=Settings(throttle=ThrottleSettings(**throttle)))


def test_a_switch_that_is_set_to_and_fro_is_throttled_for_each_time_is_journalled():
    venue = settled(requests_per_second=1, requests_burst=3)
    venue.meet(ANN, "ANN")
    frames = venue.journal.frames
    told = [
        read_answer(body)
        for number in range(40)
        for body in venue.say(ANN, encode(CancelAllAfter(number, 30 + number % 2)))
    ]
    refused = [answer for answer in told if isinstance(answer, Refused)]
    assert venue.journal.frames - frames == 3
    assert {answer.reason for answer in refused} == {"throttled"}
    assert len(told) == 40


def test_a_switch_that_is_put_off_is_free_however_often():
    venue = settled(requests_per_second=1, requests_burst=2)
    venue.meet(ANN, "ANN")
    told = [venue.say(ANN, encode(CancelAllAfter(number, 30))) for number in range(20)]
    assert not [body for bodies in told for body in bodies if isinstance(read_answer(body), Refused)]


def test_a_venue_that_keeps_no_reports_trades_and_resumes_from_where_it_is():
    venue = Venue()
    venue.gateway = Gateway(
        venue.sequencer,
        Enquiries(venue.sequencer, 0),
        venue.deliver,
        Settings(sessions=SessionSettings(reports_kept=0)),
        ReportLog(0, venue.engine.sequence),
    )
    venue.meet(ANN, "ANN")
    (report,) = venue.reports(ANN, buy(venue, "a1"))
    assert report.kind == EventKind.ACCEPTED
    (welcome,) = venue.meet(AN2, "ANN", since=report.sequence - 1)
    assert read_answer(welcome).resumed == report.sequence


@pytest.fixture
def put_back():
    """A venue that begins again with a clock that is an hour behind its journal; ANN has an order."""
    venue = settled(orders_per_second=10, orders_burst=5, requests_per_second=10, requests_burst=20)
    venue.meet(ANN, "ANN", cancel_on_disconnect=True)
    venue.reports(ANN, buy(venue, "a0"))
    venue.clock.advance(-3_600 * SECOND)
    venue.gateway = Gateway(
        venue.sequencer,
        Enquiries(venue.sequencer, 0),
        venue.deliver,
        Settings(throttle=ThrottleSettings(orders_per_second=10, orders_burst=5)),
    )
    return venue


def test_allowances_fill_again_where_the_clock_is_behind_the_journal(put_back):
    venue = put_back
    venue.meet(ANN, "ANN", cancel_on_disconnect=True)
    kinds = set()
    for number in range(1, 30):
        venue.clock.advance(SECOND)
        kinds |= {report.kind for report in venue.reports(ANN, buy(venue, f"a{number}"))}
    assert kinds == {EventKind.ACCEPTED}


def test_heartbeats_go_on_where_the_clock_is_behind_the_journal(put_back):
    venue = put_back
    venue.meet(ANN, "ANN")
    for _ in range(5):
        venue.clock.advance(SECOND)
        venue.gateway.watch()
    beats = [body for body in venue.mail.pop(ANN) if isinstance(read_answer(body), Heartbeat)]
    assert len(beats) >= 5


def test_guards_do_their_work_where_the_clock_is_behind_the_journal(put_back):
    venue = put_back
    venue.clock.advance(9 * SECOND)
    venue.gateway.watch()
    assert open_orders(venue) == 1
    venue.clock.advance(2 * SECOND)
    venue.gateway.watch()
    assert open_orders(venue) == 0


def test_no_logon_saves_the_orders_of_a_guarded_session_that_was_lost_in_the_same_turn():
    venue = Venue()
    venue.meet(ANN, "ANN", cancel_on_disconnect=True)
    venue.reports(ANN, buy(venue, "a1"))
    venue.connect(AN2, "ANN")
    gateway, (key, _) = venue.gateway, venue.lines[ANN]
    gateway.end(venue.gateway.sessions.live[ANN], RejectReason.REPORTS_DROPPED)
    gateway.hear(AN2, key, encode(Logon(1, cancel_on_disconnect=True)))
    gateway.work()
    gateway.watch()
    assert open_orders(venue) == 0
    assert venue.engine.registry.guards, "the new session guards what comes"


def test_what_was_missed_comes_in_messages_that_a_client_takes(monkeypatch):
    monkeypatch.setattr("exchange.server.reportlog.in_messages.__defaults__", (4,))
    venue = Venue()
    venue.meet(ANN, "ANN")
    sent = [report for number in range(11) for report in venue.reports(ANN, buy(venue, f"a{number}"))]
    venue.say(ANN, encode(Logout(9)))
    _, *missed = venue.meet(AN3, "ANN", since=sent[0].sequence)
    assert [len(read_reports(body)) for body in missed] == [4, 4, 2]
    assert [report for body in missed for report in read_reports(body)] == sent[1:]


@pytest.mark.parametrize("seed", range(20))
def test_reports_of_one_command_are_never_parted(seed):
    chance = Random(seed)
    sequences = sorted(chance.choices(range(20), k=chance.randint(0, 60)))
    reports = np.zeros(len(sequences), REPORT)
    reports["sequence"] = sequences
    most = chance.randint(1, 9)
    parts = [part["sequence"].tolist() for part in in_messages(reports, most)]
    assert [sequence for part in parts for sequence in part] == sequences
    assert all(len(part) <= most or len(set(part)) == 1 for part in parts)
    assert sum(len(set(part)) for part in parts) == len(set(sequences))
