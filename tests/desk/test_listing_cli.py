"""`bourse list`, `suspend`, `retire`, `reweight`, `limits`, `enrol`: on a venue in this process."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from exchange.cli import bourse
from exchange.client.errors import RequestRefused
from exchange.server.founding import SECOND_OPERATOR as SECOND
from exchange.server.founding import voucher
from exchange.testing import OPENING, Exchange
from settlement.terms_file import terms_text

PRICE = "6.11"
ROLL = "ROLL-VOUCHER"

NEWCOMERS = """
[[instruments]]
symbol = "QWEN4"
name = "Qwen 4"
kind = "model"
provider = "ALIBABA"
domestic = true
filed = true
region = "HANGZHOU"
tier = "frontier"
list_price = 70_000
tick = 100
weight_input = 1000
weight_cached = 200
weight_output = 4000
expires = 2031-12-31
source = "its provider's tariff"
source_version = "1"
source_date = "2026-11-20"

[[instruments]]
symbol = "QWEN4-CALL"
name = "Qwen 4, in calls"
kind = "model"
provider = "ALIBABA"
domestic = true
filed = true
region = "HANGZHOU"
tier = "frontier"
list_price = 70_000
tick = 100
mode = "call"
source = "its provider's tariff"
source_version = "1"
source_date = "2026-11-20"
"""


@pytest.fixture
def venue(monkeypatch):
    """Return a standard venue; `bourse` connects to it."""
    venue = Exchange()
    monkeypatch.setattr("exchange.cli.base.load_profile", str.upper)
    monkeypatch.setattr("exchange.cli.base.connect_sync", venue.connect)
    return venue


def call(*arguments, code=0):
    """Run `bourse`; return what it prints. What it raises for `main` to tell is raised."""
    done = CliRunner().invoke(bourse, arguments, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def facts(*arguments):
    """Run `bourse ... --json`; return the one object that it prints."""
    return json.loads(call(*arguments, "--json"))


def instrument(venue, symbol):
    """Return an instrument as it stands in the engine."""
    registry = venue.sequencer.engine.registry
    return registry.instruments[registry.instrument_numbers[symbol]]


def offer(lots="10"):
    return facts("place", "sell", "QWEN3-MAX", lots, PRICE, "--as", "alibaba")


# --- listing -----------------------------------------------------------------------------------


def test_instruments_are_listed_and_told_by_number_and_phase(venue, tmp_path):
    file = tmp_path / "new.toml"
    file.write_text(NEWCOMERS)
    count = len(venue.sequencer.engine.registry.instruments)
    told = facts("list", str(file), "--why", "new models")
    assert told["instruments"] == [
        {"instrument": "QWEN4", "number": count, "phase": "continuous"},
        {"instrument": "QWEN4-CALL", "number": count + 1, "phase": "closed"},
    ]
    assert instrument(venue, "QWEN4").weight_output == 4_000
    with pytest.raises(RequestRefused, match="QWEN4"):
        call("list", str(file), "--why", "again")


def test_one_instrument_needs_no_heading(venue, tmp_path):
    file = tmp_path / "one.toml"
    file.write_text(NEWCOMERS.split("[[instruments]]")[1])
    assert "QWEN4: listed as number" in call("list", str(file), "--why", "a new model")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            'tick = 100\nmode = "call"',
            'tick = "small"',
            ("instrument 2 (QWEN4-CALL)", "tick", "Expected `int`"),
        ),
        ('kind = "model"', 'kind = "robot"', ("instrument 1 (QWEN4)", "kind", "robot")),
        ("weight_input", "wieght_input", ("instrument 1 (QWEN4)", "wieght_input")),
        ("[[instruments]]", "[[instrument]]", ("unknown field `instrument`",)),
        ("list_price", "list_price =", ("write `field = value`",)),
    ],
)
def test_a_file_with_a_fault_is_wrong_usage_that_names_instrument_and_field(
    venue, tmp_path, before, after, told
):
    file = tmp_path / "new.toml"
    file.write_text(NEWCOMERS.replace(before, after))
    said = call("list", str(file), "--why", "new models", code=2)
    assert all(part in said for part in told), said
    assert "QWEN4" not in venue.sequencer.engine.registry.instrument_numbers


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('tick = 100\nmode = "call"', 'tick = 300\nmode = "call"', "QWEN4-CALL, tick: 300"),
        ('"ALIBABA"', '"NOBODY"', "QWEN4, provider: NOBODY"),
        ("2031-12-31", "2001-12-31", "QWEN4, expires: 2001-12-31"),
        ("QWEN4-CALL", "QWEN4", "QWEN4"),
    ],
)
def test_what_the_venue_refuses_names_instrument_and_field_and_lists_none(
    venue, tmp_path, before, after, told
):
    file = tmp_path / "new.toml"
    file.write_text(NEWCOMERS.replace(before, after))
    with pytest.raises(RequestRefused) as refused:
        call("list", str(file), "--why", "new models")
    assert told in str(refused.value)
    assert "QWEN4" not in venue.sequencer.engine.registry.instrument_numbers


def test_a_suspended_instrument_keeps_its_orders_and_a_retired_one_does_not(venue):
    order = offer()
    told = call("suspend", "QWEN3-MAX", "--why", "under review")
    assert "(its market is halted; its orders stay, and may be cancelled) under sequence" in told
    assert instrument(venue, "QWEN3-MAX").state == "suspended"
    assert [one["order"] for one in facts("orders", "--as", "alibaba")["orders"]] == [order["order"]]
    assert facts("retire", "QWEN3-MAX", "--why", "withdrawn")["state"] == "retired"
    assert instrument(venue, "QWEN3-MAX").state == "retired"
    assert facts("orders", "--as", "alibaba")["orders"] == []
    assert "retired already" in call("retire", "QWEN3-MAX", "--why", "once more", code=2)


# --- weights -----------------------------------------------------------------------------------


def test_weights_change_when_another_operator_approves(venue):
    call("suspend", "QWEN3-MAX", "--why", "a new tariff")
    before = instrument(venue, "QWEN3-MAX")
    asked = ("reweight", "QWEN3-MAX", "--cached", "333", "--output", "3500", "--why", "a new tariff")
    number = facts(*asked)["proposal"]
    assert instrument(venue, "QWEN3-MAX") == before
    assert f"weigh QWEN3-MAX {before.weight_input}, 333, 3500 per mille" in call("proposals")
    call("approve", str(number), "--why", "seen", "--as", SECOND)
    assert instrument(venue, "QWEN3-MAX") == replace(before, weight_cached=333, weight_output=3_500)
    assert "--cached" in call("reweight", "QWEN3-MAX", "--why", "nothing", code=2)


def test_weights_of_what_trades_are_refused(venue):
    number = facts("reweight", "QWEN3-MAX", "--input", "999", "--why", "a slip")["proposal"]
    with pytest.raises(RequestRefused, match="state"):
        call("approve", str(number), "--why", "not seen", "--as", SECOND)


# --- limits ------------------------------------------------------------------------------------


def test_limits_are_set_in_yuan_and_shown_with_what_is_used(venue):
    offer()
    before = facts("limits", "ALIBABA")
    assert before["open_orders"] == 1
    call("limits", "ALIBABA", "--notional", "50.5", "--open-orders", "1", "--why", "a smaller line")
    after = facts("limits", "ALIBABA")
    assert after == before | {"notional_max": 505_000, "open_orders_max": 1}
    with pytest.raises(Exception, match="open orders"):
        offer("1")
    shown = call("limits", "ALIBABA")
    assert "50.50" in shown
    (member,) = [one for one in facts("members")["members"] if one["member"] == "ALIBABA"]
    assert member["notional_max"] == 505_000


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--notional", "5"), "--why"),
        (("--why", "for nothing"), "--open-orders"),
        (("--turnover", "much", "--why", "a slip"), "much"),
        (("--quantity", "-1", "--why", "a slip"), "-1"),
        (("--notional", "5", "--why", " "), "blank"),
    ],
)
def test_limits_that_are_wrong_usage(venue, options, told):
    assert told in call("limits", "ALIBABA", *options, code=2)


def test_limits_of_nobody_are_refused(venue):
    with pytest.raises(RequestRefused, match="NOBODY"):
        call("limits", "NOBODY", "--quantity", "1", "--why", "a slip")
    with pytest.raises(RequestRefused, match="NOBODY"):
        call("limits", "NOBODY")


# --- enrolment ---------------------------------------------------------------------------------


def test_a_programme_that_enrols_pays_for_the_enrolled_until_they_are_withdrawn(venue, tmp_path):
    file = tmp_path / "roll.toml"
    terms = replace(voucher(OPENING.year), code=ROLL, enrolment="listed", excludes=())
    file.write_text(terms_text(terms))
    call("fund", str(file), "--why", "the city has paid in")
    offer("100")
    bid = ("place", "buy", "QWEN3-MAX", "1", PRICE, "--programme", ROLL)
    (left,) = facts("subsidy", "--programme", ROLL)["programmes"]
    assert left["barred"] == "programme_not_eligible"
    with pytest.raises(Exception, match="eligible"):
        call(*bid)
    told = call("enrol", ROLL, "SANDBOX", "--why", "its application of May")
    assert f"SANDBOX: enrolled in {ROLL}" in told
    assert facts(*bid)["subsidy"] > 0
    assert facts("enrol", ROLL) == {"programme": ROLL, "members": ["SANDBOX"]}
    assert "SANDBOX" in call("enrol", ROLL)
    call("enrol", ROLL, "SANDBOX", "--withdraw", "--why", "it has grown")
    with pytest.raises(Exception, match="eligible"):
        call(*bid)


def test_an_enrolment_of_nobody_or_without_a_reason_is_wrong_usage(venue):
    assert "say who" in call("enrol", f"HZ-VOUCHER-{OPENING.year}", "--why", "a slip", code=2)
    assert "--why" in call("enrol", f"HZ-VOUCHER-{OPENING.year}", "SANDBOX", code=2)


def test_who_is_unknown_is_enrolled_nowhere_and_nobody_with_it(venue):
    code = f"HZ-VOUCHER-{OPENING.year}"
    with pytest.raises(RequestRefused, match="NOBODY"):
        call("enrol", code, "SANDBOX", "NOBODY", "--why", "a slip")
    assert not any(venue.sequencer.engine.registry.enrolled.values())
