"""`--dry-run` of every operator's command: it tells, in words and as JSON, and nothing is done."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click
import pytest
import zmq
from click.testing import CliRunner
from msgspec.structs import replace

from exchange.calendar import standard_calendar
from exchange.catalogue import __file__ as catalogue
from exchange.cli import bourse
from exchange.cli.consequences import lines_of
from exchange.client.errors import RequestRefused
from exchange.protocol.acts import CancelOrders, Deposit, SetCalendar, SetPhase
from exchange.protocol.messages import QUERY_ANSWERS, Refused
from exchange.protocol.query_messages import Rehearse, Rehearsed
from exchange.server.founding import OPERATOR, voucher
from exchange.server.rehearsing import RehearsalDesk, played, rehearsed_now, tried
from exchange.testing import OPENING, SECOND_NS, Exchange
from matching.vocabulary import Phase
from settlement.terms_file import terms_text

VOUCHER = f"HZ-VOUCHER-{OPENING.year}"
CALENDAR_FILE = str(Path(catalogue).parent / "calendar.toml")
KEY = "0" * 40

COMMANDS = (
    "halt QWEN3-MAX",
    "halt all",
    "phase QWEN3-MAX pre_open",
    "phase QWEN3-MAX pre_open --reference 6.20",
    "state QWEN3-MAX suspended",
    "collars model --market 100 --static 100 --dynamic 50",
    f"calendar {CALENDAR_FILE}",
    "deposit SANDBOX 1000 --reference B-1",
    "block SANDBOX",
    "unblock SANDBOX",
    "kill SANDBOX",
    "admit --member NEW --role firm",
    "bust 1",
    "adjust --take ALIBABA money 12.50 --give SANDBOX money 12.50",
    "related SANDBOX SANDBOX-2",
    f"ineligible {VOUCHER} SANDBOX",
)
"""Commands that a new venue would do, or refuse; none of them does anything here."""

WOULD_BE_REFUSED = {
    f"programme close {VOUCHER}": "not_due",
    "expire QWEN3-MAX": "not_due",
    "resolve 7 --accept": "unknown_redemption",
    "approve 7": "unknown_proposal",
    "bust 8": "unknown_trade",
    "deposit NOBODY 5": "unknown_member",
    f"key revoke {KEY}": "key_invalid",
    f"programme award {VOUCHER} SANDBOX 12": "programme_not_eligible",
    "related SANDBOX NOBODY": "unknown_member",
}


@pytest.fixture
def venue(monkeypatch):
    """Return a standard venue with a trade and two open orders; `bourse` connects to it."""
    venue = Exchange()
    monkeypatch.setattr("exchange.cli.base.load_profile", str.upper)
    monkeypatch.setattr("exchange.cli.base.connect_sync", venue.connect)
    call("admit", "--member", "SANDBOX-2", "--role", "firm", "--why", "x")
    with venue.connect("ALIBABA") as provider, venue.connect("SANDBOX") as firm:
        listed = firm.instruments["QWEN3-MAX"]
        provider.place(listed.sell(100, limit="6.11"))
        firm.place(listed.buy(60, limit="6.11", programme=VOUCHER, time_in_force="day"))
        firm.place(listed.buy(100, limit="6.00"))
    return venue


def call(*arguments, code=0):
    """Run `bourse`; return what it prints."""
    done = CliRunner().invoke(bourse, arguments, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def dry(command, code=0, why=True):
    told = call(*command.split(), "--dry-run", *(("--why", "a test") if why else ()), code=code)
    facts = json.loads(call(*command.split(), "--dry-run", "--why", "a test", "--json", code=code))
    return told, facts


@pytest.mark.parametrize("command", COMMANDS)
def test_a_dry_run_tells_and_does_nothing(venue, command):
    before = venue.engine.sequence, venue.engine.state_hash()
    told, facts = dry(command)
    assert (venue.engine.sequence, venue.engine.state_hash()) == before
    assert told.startswith(f"a dry run as of sequence {before[0]}: nothing is done\n")
    assert "would be done" in told
    assert (facts["is_done"], facts["sequence"]) == (True, before[0])


@pytest.mark.parametrize("command", WOULD_BE_REFUSED)
def test_what_would_be_refused_ends_with_3_and_says_why(venue, command):
    before = venue.engine.state_hash()
    told, facts = dry(command, code=3)
    (verdict,) = facts["verdicts"]
    assert WOULD_BE_REFUSED[command] in verdict["reason"]
    assert verdict["remedy"] in told
    assert f"({verdict['reason']})" in told
    assert venue.engine.state_hash() == before


def test_programmes_are_tried_from_their_files(venue, tmp_path):
    file = tmp_path / "voucher.toml"
    file.write_text(terms_text(voucher(OPENING.year + 1)))
    told, facts = dry(f"programme define {file}")
    code = f"HZ-VOUCHER-{OPENING.year + 1}"
    assert f"programme {code}: new, with a budget of " in told
    assert [one["programme"] for one in facts["programmes"]] == [code]
    assert dry(f"fund {file}")[1]["programmes"] == facts["programmes"]
    _, refused = dry(f"programme revise {file}", code=3)
    assert refused["verdicts"][0]["reason"] == "unknown_programme"


def test_every_command_that_performs_an_act_of_an_operator_has_a_dry_run():
    market = "list suspend retire reweight halt resume phase state collars calendar"
    members = "admit limits deposit block unblock kill related fund enrol ineligible expire resolve"
    two = "approve bust adjust"
    for name in f"{market} {members} {two}".split():
        assert "dry_run" in {option.name for option in bourse.commands[name].params}, name
    for group, names in (("programme", "define revise close award"), ("key", "revoke")):
        inner = bourse.commands[group]
        assert isinstance(inner, click.Group)
        for name in names.split():
            assert "dry_run" in {option.name for option in inner.commands[name].params}, name


def test_a_kill_is_tried_then_done_and_both_tell_the_same(venue):
    told, facts = dry("kill SANDBOX")
    assert "orders cancelled: 1 with 100 lots, in QWEN3-MAX, of SANDBOX\n" in told
    assert "SANDBOX: blocked no -> yes\n" in told
    money = call("account", "--json")
    done = json.loads(call("kill", "SANDBOX", "--why", "wild", "--json"))
    assert done["orders_cancelled"] == facts["cancelled"]["orders"] == 1
    after = json.loads(call("account", "--json"))["money"]["available"]
    assert after - json.loads(money)["money"]["available"] == facts["released"]["money"]
    assert "and 0 open orders cancelled, under sequence" in call("kill", "SANDBOX", "--why", "again")


def test_a_bust_is_told_as_two_operators_would_do_it(venue):
    told, facts = dry("bust 1")
    assert "Bust: would be done, once OPERATOR-2 or another operator approves it\n" in told
    assert f"programme {VOUCHER}: uncommitted " in told
    assert "SANDBOX: -60 lots of QWEN3-MAX restricted\n" in told
    assert (
        facts["programmes"][0]["before"]["paid"] - facts["programmes"][0]["after"]["paid"]
        == 60 * 61_100 * 3 // 10
    )


def test_what_is_halted_is_resumed_in_a_rehearsal(venue):
    call("halt", "all", "--why", "x")
    told, facts = dry("resume all")
    assert len(facts["verdicts"]) == len(facts["phases"]) > 100
    assert "phase halted -> continuous: " in told
    assert " more\n" in told


def test_a_new_calendar_is_told_with_what_it_does_at_once(venue):
    venue.clock.advance(7 * 3_600 * SECOND_NS)  # half past four: by the calendar the day is over
    with venue.connect(OPERATOR) as ex:
        act = SetCalendar(standard_calendar())
        told = ex.rehearse(act, "trading days")
        assert {(one.before, one.after) for one in told.phases} == {("continuous", "closed")}
        ex.act(act, "trading days")
    venue.clock.advance(SECOND_NS)
    venue.tell_time()
    book = venue.engine.core.book
    now = {
        one.symbol: Phase(int(phase)).name.lower()
        for one, phase in zip(venue.engine.registry.instruments, book.markets["phase"], strict=False)
    }
    assert {one.subject: one.after for one in told.phases}.items() <= now.items()


def test_the_collars_are_shown_and_set(venue):
    assert "collars, per mille" in call("collars")
    call("collars", "model", "--market", "90", "--static", "80", "--dynamic", "70", "--why", "first day")
    (model,) = json.loads(call("collars", "model", "--json"))["collars"]
    assert model == {"kind": "model", "market": 90, "static": 80, "dynamic": 70}
    assert len(json.loads(call("collars", "--json"))["collars"]) == 3
    for arguments in (["--market", "90"], ["model", "--market", "90", "--why", "x"], ["model", "--dry-run"]):
        told = CliRunner().invoke(bourse, ["collars", *arguments])
        assert (told.exit_code, "give" in told.output) == (2, True)


def test_a_reason_is_asked_for_in_a_dry_run_too(venue):
    for command in ("halt QWEN3-MAX", "kill SANDBOX", f"calendar {CALENDAR_FILE}"):
        assert CliRunner().invoke(bourse, [*command.split(), "--dry-run"]).exit_code == 2
    assert "give the FILE" in CliRunner().invoke(bourse, ["calendar", "--dry-run"]).output


# --- who may, and how it is answered -------------------------------------------------------------


def test_an_auditor_rehearses_as_an_operator_and_a_firm_not_at_all(venue):
    act = Deposit("SANDBOX", 10_000)
    with venue.connect("AUDITOR") as auditor:
        told = auditor.rehearse([act], "what if")
        assert (told.who, told.is_done) == (OPERATOR, True)
        assert "SANDBOX: +1.00 yuan available" in list(lines_of(told))
        assert auditor.history.sql("select 1 as one").rows() == [{"one": 1}]
    with venue.connect("SANDBOX") as firm, pytest.raises(RequestRefused, match="role_not_permitted"):
        firm.rehearse(act, "what if")


def test_the_asynchronous_client_rehearses_too(venue):
    async def ask():
        async with venue.connect_async(OPERATOR) as ex:
            return await ex.rehearse(SetPhase("QWEN3-MAX", "halted"), "x")

    told = asyncio.run(ask())
    assert [(one.before, one.after) for one in told.phases] == [("continuous", "halted")]


def test_a_rehearsal_is_not_of_before_what_its_client_has_heard(venue, monkeypatch):
    """A settlement that is behind is asked again: the trade that was just made is to be busted."""
    behind = iter((1, 2))
    asked = []

    def lagging(*arguments):
        told = rehearsed_now(*arguments)
        assert isinstance(told, Rehearsed)
        asked.append(told.rehearsal.sequence)
        sequence = next(behind, told.rehearsal.sequence)
        return replace(told, rehearsal=replace(told.rehearsal, sequence=sequence))

    monkeypatch.setattr("exchange.testing.rehearsed_now", lagging)
    with venue.connect(OPERATOR) as ex:
        told = ex.rehearse(Deposit("SANDBOX", 10_000))
        assert (told.sequence, len(asked)) == (venue.engine.sequence, 3)


def test_a_desk_works_on_one_rehearsal_at_a_time(venue):
    context = zmq.Context()
    desk = RehearsalDesk(context)
    operator = venue.engine.registry.member_numbers[OPERATOR]
    asked = Rehearse(7, (CancelOrders("SANDBOX"),), "x")
    now = venue.clock()
    try:
        assert desk.take(b"one", operator, asked, venue.engine, now) is None
        busy = desk.take(b"two", operator, asked, venue.engine, now)
        assert isinstance(busy, Refused)
        assert busy.reason == "busy"
        session, frame = desk.done()
        answer = QUERY_ANSWERS.decode(frame[1:])
        assert isinstance(answer, Rehearsed)
        assert (session, answer.request, answer.rehearsal.cancelled.orders) == (b"one", 7, 1)
        assert desk.take(b"two", operator, asked, venue.engine, now) is None
        assert desk.done()[0] == b"two"
        firm = desk.take(b"x", venue.engine.registry.member_numbers["SANDBOX"], asked, venue.engine, now)
        assert isinstance(firm, Refused)
        assert desk.failure is None
    finally:
        desk.close()
        context.destroy(linger=0)


def test_what_breaks_a_copy_is_told_and_breaks_nothing(venue, monkeypatch):
    number = venue.engine.registry.member_numbers[OPERATOR]
    trying = tried(b"", number, Rehearse(3, (Deposit("SANDBOX", 1),)), venue.engine, venue.clock())

    assert not isinstance(trying, Refused)

    def broken(*_arguments):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("exchange.server.rehearsing.rehearse_on", broken)
    answer = played(trying)
    assert isinstance(answer, Refused)
    assert (answer.reason, "a fault" in answer.value) == ("rehearsal_failed", True)
