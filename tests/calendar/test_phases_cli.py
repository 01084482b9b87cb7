"""An operator's commands about trading, on a venue in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from exchange.calendar import standard_calendar
from exchange.cli import bourse, operator
from exchange.client.errors import ExchangeError
from exchange.instruments import standard_catalogue
from exchange.server.folder import Folder
from exchange.server.founding import sandbox_firms, standard_acts
from exchange.testing import Exchange
from matching.vocabulary import Phase

CALENDAR_FILE = Path(operator.__file__).parents[1] / "catalogue" / "calendar.toml"
ONE, TWO, CALLED = (
    replace(one, mode=mode)
    for one, mode in zip(standard_catalogue(), ("continuous", "continuous", "call"), strict=False)
)


@pytest.fixture
def venue(monkeypatch):
    """Return a venue with two instruments of continuous trading and one of calls, which is closed."""
    here = Exchange(standard_acts(sandbox_firms(), [], [], (ONE, TWO, CALLED)))
    monkeypatch.setattr("exchange.cli.base.load_profile", str.upper)
    monkeypatch.setattr("exchange.cli.base.connect_sync", here.connect)
    return here


def call(*arguments):
    """Run `bourse`; return what it prints."""
    done = CliRunner().invoke(bourse, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def phases_of(venue):
    return [Phase(phase).name.lower() for phase in venue.engine.core.book.markets["phase"]]


def test_a_halt_and_what_follows_it(venue):
    assert "halted under sequence" in call("halt", ONE.symbol, "--why", "the provider is down")
    assert phases_of(venue) == ["halted", "continuous", "closed"]
    assert "continuous under sequence" in call("resume", ONE.symbol, "--why", "it is back")
    assert phases_of(venue) == ["continuous", "continuous", "closed"]


def test_all_that_are_not_closed_are_halted_and_resumed(venue):
    call("halt", "all", "--why", "test")
    assert phases_of(venue) == ["halted", "halted", "closed"]
    assert len(call("resume", "all", "--why", "test").splitlines()) == 2
    assert phases_of(venue) == ["continuous", "continuous", "closed"]


def test_what_trades_in_calls_is_resumed_with_one(venue):
    call("halt", CALLED.symbol, "--why", "test")
    call("resume", CALLED.symbol, "--why", "test")
    assert phases_of(venue) == ["continuous", "continuous", "pre_open"]


def test_a_reason_is_never_blank_and_one_reference_is_for_one_instrument(venue):
    for arguments in (
        ["halt", ONE.symbol, "--why", " "],
        ["phase", "all", "pre_open", "--reference", "6", "--why", "test"],
    ):
        assert CliRunner().invoke(bourse, arguments).exit_code == 2
    assert phases_of(venue) == ["continuous", "continuous", "closed"]


def test_what_is_not_halted_is_not_resumed(venue):
    done = CliRunner().invoke(bourse, ["resume", CALLED.symbol, "--why", "test"])
    assert done.exit_code == 2
    assert phases_of(venue) == ["continuous", "continuous", "closed"]


def test_a_phase_with_a_new_reference(venue):
    call("phase", TWO.symbol, "pre_open", "--why", "a call on demand", "--reference", "12.30")
    assert phases_of(venue)[1] == "pre_open"
    assert int(venue.engine.core.book.markets["reference"][1]) == 123_000


def test_a_state(venue):
    call("state", ONE.symbol, "suspended", "--why", "test")
    assert venue.engine.registry.instruments[0].state == "suspended"
    with pytest.raises(ExchangeError, match="phase_not_allowed"):
        call("phase", ONE.symbol, "continuous", "--why", "test")


def test_collars(venue):
    call("collars", ONE.kind, "--market", "50", "--static", "100", "--dynamic", "30", "--why", "test")
    market = venue.engine.core.book.markets[0]
    assert [int(market[name]) for name in ("collar", "static_collar", "dynamic_collar")] == [50, 100, 30]


def test_a_calendar_is_set_and_shown(venue):
    assert "round the clock" in call("calendar")
    assert json.loads(call("calendar", "--json"))["calendar"] is None
    call("calendar", str(CALENDAR_FILE), "--why", "the year's days")
    assert venue.engine.registry.calendar == standard_calendar()
    shown = json.loads(call("calendar", "--json"))
    assert [(step["kind"], step["call"]) for step in shown["steps"]][:3] == [
        ("fixing_begins", "closing"),
        ("opens", "closing"),
        ("ends", "closing"),
    ]
    assert shown["calendar"]["closes"] == "15:30:00"
    assert "the closing call opens" in call("calendar")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["calendar", "FILE", "--why", "test"], "is after closes, 09:00:00"),
        (["calendar", str(CALENDAR_FILE)], "give --why"),
        (["phase", ONE.symbol, "open", "--why", "test"], "'open' is not one of"),
        (["halt", ONE.symbol], "--why"),
        (["state", ONE.symbol, "gone", "--why", "test"], "'gone' is not one of"),
        (["collars", "model", "--market", "5", "--static", "2000", "--dynamic", "0", "--why", "x"], "2000"),
    ],
)
def test_wrong_usage_is_told(venue, tmp_path, arguments, told):
    file = tmp_path / "calendar.toml"
    file.write_text(
        CALENDAR_FILE.read_text("utf-8").replace("closes = 15:30:00", "closes = 09:00:00"), "utf-8"
    )
    done = CliRunner().invoke(bourse, [str(file) if word == "FILE" else word for word in arguments])
    assert done.exit_code == 2
    assert told in done.output


def test_a_venue_that_is_founded_takes_its_calendar_as_an_act(tmp_path):
    Folder(tmp_path).found((), [])
    done = CliRunner().invoke(bourse, ["serve", str(tmp_path), "--calendar", str(CALENDAR_FILE)])
    assert done.exit_code == 2
    assert "founded already" in done.output
