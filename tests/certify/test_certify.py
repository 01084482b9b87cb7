"""`bourse certify`: each case is kept by our client and venue, and each can fail."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from exchange.certify import flood, peer, playing, program
from exchange.certify.case import RULES, Case, Result
from exchange.certify.failed import Failed
from exchange.certify.peer import Peer
from exchange.certify.playing import CASES, certify_on, chosen, outcome_of
from exchange.certify.relay import Relay
from exchange.certify.scene import Scene
from exchange.certify.venue import FIRM, SETTINGS, SYMBOL, ThrowAwayVenue
from exchange.cli import bourse
from exchange.client.sync import SyncExchange
from exchange.config import SessionSettings, ThrottleSettings
from exchange.protocol.messages import CancelAllAfter, Logout
from exchange.server.warm import warm_up

MANUAL = Path(__file__).parents[2] / RULES
PROGRAM = Path(__file__).with_name("firm_program.py")


@pytest.fixture(scope="module")
def venue():
    """Yield a venue to certify on."""
    warm_up()
    with ThrowAwayVenue() as running:
        yield running


def named(name: str) -> Case:
    (case,) = (case for case in CASES if case.name == name)
    return case


def outcome(name: str, venue: ThrowAwayVenue):
    """Play one case on a venue; return how it ended, and why."""
    result = outcome_of(named(name), Scene(name, venue.profile(FIRM), SYMBOL, venue))
    return result.outcome, result.why


# --- the table ---------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_rests_on_a_line_of_the_manual(case):
    lines = MANUAL.read_text("utf-8").splitlines()
    assert any(line.startswith(case.rule) for line in lines)
    assert case.required.endswith(".")


def test_cases_have_names_of_their_own_and_every_group_has_some():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    groups = {"logon", "orders", "disconnect", "throttle", "recovery"}
    assert {case.group for case in CASES} == groups
    assert groups.isdisjoint(names)


def test_cases_are_chosen_by_name_and_by_group():
    assert chosen(()) == CASES
    assert [case.name for case in chosen(("resume", "throttle"))] == ["resume", "flood"]
    with pytest.raises(KeyError, match="resum"):
        chosen(("resum",))


def test_client_ids_are_a_cases_own_and_short_enough(venue):
    scene = Scene("one-session-too-many", venue.profile(FIRM), SYMBOL, venue)
    ids = [scene.client_id() for _ in range(1_000)]
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) <= 24


# --- what is kept ------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_client_and_venue_keep_the_rule(case, venue):
    assert outcome(case.name, venue) == ("passed", "")


def test_on_a_test_venue_that_runs_already_all_is_played_that_needs_no_power_over_it(venue):
    told: list[Result] = []
    results = certify_on(venue.profile(FIRM), chosen(("orders", "recovery")), SYMBOL, told.append)
    assert told == results
    outcomes = {result.case.name: result.outcome for result in results}
    assert outcomes == {
        case.name: "not played" if case.needs_venue else "passed" for case in chosen(("orders", "recovery"))
    }


# --- each gate can fail ------------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch):
    """Let what does not come be given up soon."""
    monkeypatch.setattr(peer, "PATIENCE_SECONDS", 1.5)


@pytest.mark.slow
def test_a_venue_that_throttles_nobody_is_found():
    settings = replace(
        SETTINGS,
        throttle=ThrottleSettings(orders_per_second=10**6, orders_burst=10**6),
        sessions=SessionSettings(per_key=100),
    )
    with ThrowAwayVenue(settings=settings) as lavish:
        assert outcome("flood", lavish) == ("failed", f"{flood.FLOOD} orders at once were all taken")
        played, why = outcome("one-session-too-many", lavish)
        assert played == "failed"
        assert why.startswith("no Refused came")


def test_a_client_that_forgets_its_ids_is_found(venue, monkeypatch):
    place = SyncExchange.place
    monkeypatch.setattr(
        SyncExchange, "place", lambda self, ticket, client_id=None, **more: place(self, ticket, **more)
    )
    assert outcome("same-id", venue) == ("failed", "the same id became another order")
    assert outcome("killed", venue)[0] == "failed"


def test_a_client_that_never_heard_of_since_is_found(venue, monkeypatch):
    log_on = Peer.log_on
    monkeypatch.setattr(Peer, "log_on", lambda self, since=None, **more: log_on(self, **more))
    played, why = outcome("resume", venue)
    assert played == "failed"
    assert why.startswith("reports follow from")


def test_a_session_whose_guard_is_not_taken_is_found(venue, monkeypatch):
    cut = Peer.cut

    def cut_and_hurry(self):
        cut(self)
        monkeypatch.setattr(peer, "PATIENCE_SECONDS", 1.5)  # nothing comes from here on

    monkeypatch.setattr(Peer, "cut", cut_and_hurry)
    log_on = Peer.log_on
    monkeypatch.setattr(Peer, "log_on", lambda self, since=None, **_: log_on(self, since))
    played, why = outcome("cancel-on-disconnect", venue)
    assert played == "failed"
    assert why.startswith("no report came")


@pytest.mark.parametrize(("name", "unsaid"), [("logout", Logout), ("dead-man", CancelAllAfter)])
def test_what_is_never_answered_is_found(venue, monkeypatch, hasty, name, unsaid):
    say = Peer.say
    monkeypatch.setattr(
        Peer, "say", lambda self, request: None if isinstance(request, unsaid) else say(self, request)
    )
    played, why = outcome(name, venue)
    assert played == "failed"
    assert why.startswith("no ")


def test_a_line_that_was_not_cut_proves_nothing(venue, monkeypatch):
    monkeypatch.setattr(Relay, "cut_behind_next_order", lambda _: None)
    assert outcome("cut-in-flight", venue) == ("failed", "the line was cut 0 times, not once")


# --- a program of the firm's own ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("mistake", "why"),
    [
        ("", ""),
        ("gives-up", "the program ended with code 1"),
        ("says-it-under-another-id", "open are CERT-8-again (1 lots) too much, none missing"),
        pytest.param(
            "forgets-a-reduce",
            "open are CERT-2 (10 lots) too much, CERT-2 (6 lots) missing",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "forgets-a-cancel", "open are CERT-1 (10 lots) too much, none missing", marks=pytest.mark.slow
        ),
    ],
)
def test_a_program_is_judged_by_what_it_leaves_behind(mistake, why):
    warm_up()
    command = shlex.join([sys.executable, str(PROGRAM), *filter(None, [mistake])])
    (result,) = program.certify(command, lambda _: None)
    assert (result.outcome, result.why) == ("failed" if why else "passed", why)


# --- the command -------------------------------------------------------------------------------


def call(*arguments, code=0):
    done = CliRunner().invoke(bourse, ["certify", *arguments], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def test_cases_and_tasks_are_listed():
    listed = json.loads(call("--list", "--json"))["cases"]
    assert [one["case"] for one in listed] == [case.name for case in CASES]
    assert all(one["rule"].startswith(RULES) for one in listed)
    assert "dead-man" in call("--list")
    assert "CERT-22" in call("--tasks")
    assert "is no case" in call("--case", "nothing", code=2)


def test_the_exit_code_tells_whether_all_passed(venue, monkeypatch):
    profile = str(venue.folder.profile(FIRM))
    told = json.loads(call("--as", profile, "--case", "right-key", "--json"))
    assert (told["passed"], told["failed"]) == (1, 0)
    assert "1 of 1 cases passed, 0 failed" in call("--as", profile, "--case", "right-key")
    failing = named("right-key")._replace(play=fails)
    monkeypatch.setattr(playing, "CASES", (failing,))
    assert "FAIL" in call("--as", profile, "--case", "right-key", code=1)
    monkeypatch.setattr(playing, "CASES", (failing._replace(needs_venue=True),))
    assert "0 of 1 cases passed" in call("--as", profile, "--case", "right-key", code=1)


def fails(_: Scene) -> None:
    raise Failed("as planned")
