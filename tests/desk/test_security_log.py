"""The security log tells who came, who was kept out and what was decided; what is done to it is found."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime

import msgspec
import pytest
import zmq
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.config import Settings
from exchange.protocol.acts import BlockMember, Bust, Propose, RegisterKey, RevokeKey
from exchange.protocol.messages import AskKeys, Decide, Logon, Logout, encode
from exchange.server import security
from exchange.server.door import MEMBERS
from exchange.server.enquiries import Enquiries
from exchange.server.folder import new_key_pair
from exchange.server.gateway import Gateway
from exchange.server.noting import Notes
from exchange.server.security import ChainBroken, SecurityLog, facts_of, fingerprint, read
from exchange.server.sockets import bind, order_router
from exchange.server.zap import Doorkeeper
from exchange.testing import local_key
from matching.vocabulary import Side
from tests.server.house import PATIENCE_MS, House
from tests.server.venue import Venue, commands, new

SECOND = 10**9
NOON = int(datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()) * SECOND
ANN, OPERATOR = b"ann", b"operator"


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "venue" / "security"


@pytest.fixture
def log(folder, clock):
    folder.parent.mkdir()
    (folder.parent / "journal").mkdir()
    made = opened(folder, clock)
    yield made
    made.close()


def opened(folder, clock):
    return SecurityLog(folder, clock, lambda: (5, 17))


def told(folder):
    return [(line.event, line.member, line.facts) for line in read(folder, [])]


def three(log):
    for name in ("ANN", "BOB", "CAT"):
        log.note("session_begun", name, "key of " + name, "10.0.0.7")
        log.write()


# --- clocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_clock_that_is_set_back_over_the_months_end_breaks_no_chain(log, folder, clock, is_restarted):
    clock.now = NOON + 14 * 3600 * SECOND
    log.note("one")
    clock.now = NOON
    if is_restarted:
        log.close()
        log = opened(folder, clock)
    log.note("two")
    clock.now = NOON + 14 * 3600 * SECOND
    log.note("three")
    log.close()
    assert [event for event, _, _ in told(folder)] == ["one", "two", "three"]


# --- what is written -----------------------------------------------------------------------------


def test_a_line_says_who_what_when_from_where_and_under_which_rules(log, folder):
    log.note("act_done", "OPERATOR", "a public key", "10.0.0.7", 99, {"act": "BlockMember", "why": "wild"})
    log.write()
    (line,) = read(folder, [])
    assert msgspec.to_builtins(line) == {
        "number": 1,
        "time": "2026-11-30T12:00:00.000000Z",
        "event": "act_done",
        "member": "OPERATOR",
        "key": fingerprint("a public key"),
        "address": "10.0.0.7",
        "rules_version": 5,
        "sequence": 99,
        "facts": {"act": "BlockMember", "why": "wild"},
        "previous": "0" * 64,
    }


def test_nobody_else_may_read_it(log, folder):
    three(log)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "2026-11.jsonl").stat().st_mode) == 0o600


def test_the_chain_goes_on_after_a_restart_and_into_the_next_month(log, folder, clock):
    three(log)
    log.close()
    again = opened(folder, clock)
    again.note("venue_started")
    again.write()
    clock.now += 86_400 * SECOND
    again.note("session_begun", "DAN")
    again.close()
    assert [path.name for path in security.files_of(folder)] == ["2026-11.jsonl", "2026-12.jsonl"]
    assert [line.number for line in read(folder, [])] == [1, 2, 3, 4, 5]


def test_nothing_is_written_and_nothing_synced_where_nothing_has_happened(log, folder, monkeypatch):
    monkeypatch.setattr(os, "fdatasync", lambda _: pytest.fail("synced for nothing"))
    log.write()
    assert not folder.exists()


def test_many_events_of_a_turn_are_synced_once(log, monkeypatch):
    syncs: list[int] = []
    monkeypatch.setattr(os, "fdatasync", syncs.append)
    for _ in range(50):
        log.note("session_begun", "ANN")
    log.write()
    log.write()
    assert len(syncs) == 1


# --- what is done to it --------------------------------------------------------------------------


def lines_of(folder):
    return (folder / "2026-11.jsonl").read_bytes().splitlines(keepends=True)


DAMAGE = {
    "removed": (lambda one: [one[0], *one[2:]], 2),
    "changed": (lambda one: [one[0], one[1].replace(b"BOB", b"DAN"), *one[2:]], 3),
    "swapped": (lambda one: [one[1], one[0], *one[2:]], 1),
    "doubled": (lambda one: [one[0], one[0], *one[1:]], 2),
    "first gone": (lambda one: one[1:], 1),
    "garbled": (lambda one: [one[0], b"}" + one[1], *one[2:]], 2),
    "with more": (lambda one: [one[0], one[1].replace(b'"facts"', b'"note":"","facts"'), *one[2:]], 2),
}


@pytest.mark.parametrize(("damage", "number"), DAMAGE.values(), ids=DAMAGE)
def test_a_line_that_was_tampered_with_is_found(damage, number, log, folder):
    three(log)
    log.note("session_ended", "ANN")
    log.write()
    path = folder / "2026-11.jsonl"
    path.write_bytes(b"".join(damage(lines_of(folder))))
    with pytest.raises(ChainBroken) as broken:
        told(folder)
    assert broken.value.number == number
    done = CliRunner().invoke(bourse, ["audit", "security", str(folder.parent)])
    assert (done.exit_code, f"at line {number} " in done.output) == (4, True)


def test_a_line_that_a_crash_has_torn_is_told_and_closed(log, folder, clock):
    three(log)
    log.close()
    path = folder / "2026-11.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    notes: list[str] = []
    assert len(list(read(folder, notes))) == 2
    assert "not whole" in notes[0]
    again = opened(folder, clock)
    again.note("venue_started")
    again.close()
    assert [event for event, _, _ in told(folder)] == [
        "session_begun",
        "session_begun",
        "torn_line_closed",
        "venue_started",
    ]


def test_a_crash_amid_closing_a_torn_line_is_told_too(log, folder, clock):
    three(log)
    log.close()
    path = folder / "2026-11.jsonl"
    path.write_bytes(path.read_bytes()[:-30] + b"\n")
    opened(folder, clock).close()
    assert [event for event, _, _ in told(folder)][2:] == ["torn_line_closed"]


def test_a_line_may_not_be_garbled_and_passed_off_as_torn(log, folder, clock):
    three(log)
    log.close()
    lines = lines_of(folder)
    (folder / "2026-11.jsonl").write_bytes(b"".join([lines[0], lines[1][:-9] + b"\n", lines[2]]))
    with pytest.raises(ChainBroken, match="line 2 "):
        told(folder)


# --- a flood, a full disk ------------------------------------------------------------------------


def test_a_flood_of_refused_handshakes_is_a_line_a_second_for_each_address(log, folder, clock):
    for second in range(3):
        for at in range(5_000):
            log.count("handshake_refused", "", "some key", f"10.0.0.{at % 2}", "members")
            log.write()
        clock.now += SECOND
        log.write()
        assert len(told(folder)) == 2 * (second + 1)
    assert {facts["count"] for _, _, facts in told(folder)} == {2_500}


def test_a_flood_from_everywhere_has_an_end_too(log, folder, clock):
    for at in range(30_000):
        log.count("handshake_refused", "", "", f"10.{at // 256}.0.{at % 256}", "members")
    clock.now += SECOND
    log.write()
    lines = told(folder)
    assert len(lines) == security.COUNTED_LINES_MAX + 1
    assert sum(facts["count"] for _, _, facts in lines) == 30_000


def test_the_longer_a_flood_from_everywhere_goes_on_the_less_is_told(log, folder, clock):
    for _ in range(600):
        for at in range(30):
            log.count("handshake_refused", "", "", f"10.0.0.{at}", "members")
        clock.now += SECOND
        log.write()
    lines = told(folder)
    assert len(lines) <= 16 * (security.COUNTED_LINES_MAX + 1)
    clock.now += 60 * SECOND
    log.write()
    assert sum(facts["count"] for _, _, facts in told(folder)) == 600 * 30


def test_the_venue_goes_on_where_it_cannot_be_written_and_says_so(log, folder, clock, monkeypatch, caplog):
    three(log)
    write, full = os.write, [True]

    def fails(handle, data):
        if full[0]:
            raise OSError(28, "No space left on device")
        return write(handle, data)

    monkeypatch.setattr(os, "write", fails)
    monkeypatch.setattr(security, "WAITING_MAX", 5)
    for _ in range(12):
        log.note("session_begun", "DAN")
        log.write()
    assert (log.waiting, log.lost) == (5, 7)
    assert [record.getMessage() for record in caplog.records] == ["security log cannot be written"]
    full[0] = False
    log.write()
    assert log.waiting == 5, "it is tried again after a second, not at each turn"
    clock.now += SECOND
    log.write()
    log.note("session_begun", "EVE")
    log.write()
    events = told(folder)
    assert events[-2:] == [("lines_lost", "", {"count": 7}), ("session_begun", "EVE", {})]
    assert (len(events), log.failed) == (3 + 5 + 2, "")


def test_a_line_that_was_cut_by_a_full_disk_is_finished(log, folder, clock, monkeypatch):
    write, room = os.write, [300]

    def cuts(handle, data):
        part = data[: room[0]]
        room[0] = 10**6
        return write(handle, part)

    monkeypatch.setattr(os, "write", cuts)
    for name in ("ANN", "BOB", "CAT"):
        log.note("session_begun", name)
    log.write()
    assert log.failed
    clock.now += SECOND
    log.write()
    assert [member for _, member, _ in told(folder)] == ["ANN", "BOB", "CAT"]


# --- what the gateway has it note ----------------------------------------------------------------


@pytest.fixture
def venue(log):
    made = Venue()
    made.gateway = Gateway(
        made.sequencer, Enquiries(made.sequencer, 0), made.deliver, Settings(), security=log
    )
    return made


def after(venue, log, folder, clock):
    clock.now += SECOND
    log.write()
    return told(folder)


def test_sessions_come_and_go_and_orders_leave_no_trace(venue, log, folder, clock):
    venue.meet(ANN, "ANN")
    venue.say(ANN, commands(new(venue, "a1", Side.BUY, lots=1, ticks=-1)))
    venue.say(ANN, encode(Logout(2)))
    venue.meet(b"two", "BOB")
    venue.gone.add(b"two")
    venue.say(b"two", encode(AskKeys(3, "")))
    assert after(venue, log, folder, clock) == [
        ("session_begun", "ANN", {}),
        ("session_ended", "ANN", {}),
        ("session_begun", "BOB", {}),
        ("session_lost", "BOB", {"reason": "reports_dropped"}),
    ]


def test_every_act_of_an_operator_is_told_done_or_refused(venue, log, folder, clock):
    venue.meet(OPERATOR, "OPERATOR")
    venue.say(OPERATOR, encode(Decide(2, BlockMember("ANN", blocked=True), "runs wild")))
    sequence = venue.engine.sequence
    venue.say(OPERATOR, encode(Decide(3, BlockMember("NOBODY", blocked=True), "who?")))
    lines = list(read(folder, [])) if log.write() is None else []
    assert [(line.event, line.sequence) for line in lines[1:]] == [
        ("act_done", sequence),
        ("act_refused", sequence + 1),
    ]
    assert lines[1].facts == {"act": "BlockMember", "member": "ANN", "blocked": "yes", "why": "runs wild"}
    assert lines[2].facts["reason"] == "unknown_member"


def test_keys_are_told_by_their_fingerprint_whoever_changes_them(venue, log, folder, clock):
    pair = new_key_pair("ANN")
    venue.meet(ANN, "ANN")
    venue.say(ANN, encode(Decide(2, RegisterKey("ANN", pair.public_key), "rotation")))
    venue.say(ANN, encode(Decide(3, RevokeKey(local_key("ANN")), "rotation")))
    lines = after(venue, log, folder, clock)
    assert [event for event, _, _ in lines] == ["session_begun", "act_done", "act_done", "session_lost"]
    assert lines[1][2]["fingerprint"] == fingerprint(pair.public_key)
    text = (folder / "2026-11.jsonl").read_text()
    assert pair.public_key not in text
    assert pair.secret_key not in text


def test_what_a_member_may_not_do_or_see_is_counted(venue, log, folder, clock):
    venue.meet(ANN, "ANN")
    for at in range(5):
        venue.say(ANN, encode(Decide(2 + at, BlockMember("BOB", blocked=True), "I try")))
    venue.say(ANN, encode(AskKeys(9, "BOB")))
    lines = after(venue, log, folder, clock)
    assert lines[1:] == [("not_permitted", "ANN", {"count": 6, "reason": "role_not_permitted"})]


def test_a_logon_by_the_wrong_door_or_with_no_key_is_counted(venue, log, folder, clock):
    venue.gateway.hear(b"x", local_key("ANN"), encode(Logon(1)), is_operators=True)
    venue.gateway.hear(b"y", "no key of ours", encode(Logon(1)))
    assert sorted(facts["reason"] for _, _, facts in after(venue, log, folder, clock)) == [
        "not_authenticated",
        "wrong_door",
    ]


def test_a_proposal_tells_what_is_proposed():
    facts = facts_of(Propose(Bust(8841)))
    assert facts == {"act": "Propose", "proposed": "Bust", "trade": 8841}


# --- on the wire ---------------------------------------------------------------------------------


def test_a_session_is_told_with_the_address_that_it_comes_from(log, folder):
    house = House()
    try:
        house.gateway._notes = Notes(log, house.engine.registry)
        with house.member("ANN"):
            pass
    finally:
        house.close()
    log.write()
    first = next(iter(read(folder, [])))
    about = (first.event, first.member, first.address, first.key)
    assert about == ("session_begun", "ANN", "127.0.0.1", fingerprint(house.keys["ANN"].public_key))


def test_a_refused_handshake_is_told_with_door_address_and_key():
    stranger, own, refused = new_key_pair("X"), new_key_pair("VENUE"), []
    with zmq.Context() as context, zmq.Context() as outside:
        keeper = Doorkeeper(context, lambda *_: False, lambda *who: refused.append(who))
        router = order_router(context, own.secret_key.encode(), MEMBERS)
        dealer = outside.socket(zmq.DEALER)
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.CURVE_SERVERKEY, own.public_key.encode())
        dealer.setsockopt(zmq.CURVE_PUBLICKEY, stranger.public_key.encode())
        dealer.setsockopt(zmq.CURVE_SECRETKEY, stranger.secret_key.encode())
        dealer.connect(bind(router, "tcp://127.0.0.1:0"))
        assert keeper.socket.poll(PATIENCE_MS)
        keeper.work()
        for socket in (dealer, router, keeper.socket):
            socket.close(0)
    assert refused == [(MEMBERS, "127.0.0.1", stranger.public_key)]


# --- read ----------------------------------------------------------------------------------------


def test_it_is_read_by_member_event_and_time(log, folder, clock):
    three(log)
    clock.now += 3_600 * SECOND
    log.note("session_ended", "ANN")
    log.write()

    def numbers(*words):
        done = CliRunner().invoke(bourse, ["audit", "security", str(folder.parent), "--json", *words])
        found = json.loads(done.output)
        assert (done.exit_code, found["ok"], found["last"]) == (0, True, 4)
        return [line["number"] for line in found["lines"]]

    assert numbers() == [1, 2, 3, 4]
    assert numbers("--member", "ANN") == [1, 4]
    assert numbers("--event", "session_begun", "--member", "CAT") == [3]
    assert numbers("--since", "2026-11-30T12:30:00") == [4]
