"""`bourse` as firms, providers and operators use it for money: on a venue in this process."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from exchange.cli import bourse
from exchange.client.errors import RequestRefused
from exchange.protocol.acts import Admit, SignedAct
from exchange.server.founding import OPERATOR, voucher
from exchange.server.founding import SECOND_OPERATOR as SECOND
from exchange.testing import OPENING, Exchange
from settlement.terms_file import terms_text

VOUCHER = f"HZ-VOUCHER-{OPENING.year}"
PRICE = "6.11"
PRICE_HAO = 61_100


@pytest.fixture
def venue(monkeypatch):
    """Return a standard venue, whose firm has a second account; `bourse` connects to it."""
    venue = Exchange()
    second = Admit(member="SANDBOX-2", role="firm", owner="SANDBOX")
    venue.sequencer.decide(SignedAct(OPERATOR, "test", second))
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


def bought(lots, programme=None):
    """Let the sandbox firm buy from the provider at the list price; return the order."""
    facts("place", "sell", "QWEN3-MAX", str(lots), PRICE, "--as", "alibaba")
    subsidised = ("--programme", programme) if programme else ()
    order = facts("place", "buy", "QWEN3-MAX", str(lots), PRICE, *subsidised)
    assert (order["state"], order["filled"]) == ("filled", lots)
    return order


def credits_of():
    return facts("account")["credits"]["QWEN3-MAX"]


def test_a_firm_sees_what_a_programme_would_pay_and_then_it_does(venue):
    before = facts("subsidy")["programmes"][0]
    told = facts("subsidy", "QWEN3-MAX", PRICE, "100", "--programme", VOUCHER)
    assert told["programme_pays"] == 100 * PRICE_HAO * 3 // 10
    assert told["you_pay"] == 100 * PRICE_HAO * 7 // 10 + told["fee"]
    assert "the programme pays at most" in call("subsidy", "QWEN3-MAX", PRICE, "100")
    assert bought(100, VOUCHER)["subsidy"] == told["programme_pays"]
    after = facts("subsidy", "--programme", VOUCHER)["programmes"][0]
    assert (after["cap_left"], after["uncommitted"]) == (told["cap_left"], told["uncommitted"])
    assert after["used"] - before["used"] == told["programme_pays"]
    assert credits_of() == {"available": 0, "held": 0, "restricted": 100, "redeeming": 0}
    assert "give INSTRUMENT, LIMIT and QUANTITY" in call("subsidy", "QWEN3-MAX", code=2)


def test_a_firm_redeems_and_the_provider_delivers(venue):
    bought(100, VOUCHER)
    redeem = ("redeem", "QWEN3-MAX", "20", "--reference", "REQ-1")
    number = facts(*redeem)["redemption"]
    assert facts(*redeem)["redemption"] == number
    assert credits_of() == {"available": 0, "held": 0, "restricted": 80, "redeeming": 20}
    (asked,) = facts("redemptions", "--as", "alibaba")["redemptions"]
    assert (asked["number"], asked["member"], asked["state"]) == (number, "SANDBOX", "requested")
    assert "REQ-1" in call("redemptions")
    assert facts("redemptions", "--as", "deepseek")["redemptions"] == []
    facts("deliver", str(number), "--as", "alibaba")
    assert facts("redemptions")["redemptions"] == []
    assert credits_of()["redeeming"] == 0
    duty = next(
        one for one in facts("account", "--as", "alibaba")["obligations"] if one["instrument"] == "QWEN3-MAX"
    )
    assert (duty["redeemed"], duty["left"]) == (20, duty["issued"] - 20)
    assert "obligations" in call("account", "--as", "alibaba")


def test_what_is_not_delivered_may_be_recalled(venue):
    bought(10)
    number = str(facts("redeem", "QWEN3-MAX", "4", "--reference", "R")["redemption"])
    facts("recall", number)
    assert credits_of() == {"available": 10, "held": 0, "restricted": 0, "redeeming": 0}
    with pytest.raises(RequestRefused, match="unknown_redemption"):
        call("deliver", number, "--as", "alibaba")


def test_an_agents_task_waits_for_the_firm_and_a_dispute_for_an_operator(venue):
    agent = next(one for one in venue.engine.registry.instruments if one.kind == "agent")
    provider, price = agent.provider.lower(), str(agent.list_price / 10_000)
    facts("place", "sell", agent.symbol, "2", price, "--as", provider)
    facts("place", "buy", agent.symbol, "2", price)
    number = ""
    for reference, word in (("T-1", "accept"), ("T-2", "dispute")):
        number = str(facts("redeem", agent.symbol, "1", "--reference", reference)["redemption"])
        facts("deliver", number, "--as", provider)
        (open_one,) = facts("redemptions")["redemptions"]
        assert (open_one["state"], open_one["until"] > open_one["time"]) == ("delivered", True)
        facts(word, number, "--why", "as seen")
    (disputed,) = facts("redemptions", "--as", "operator")["redemptions"]
    assert (str(disputed["number"]), disputed["state"]) == (number, "disputed")
    assert "say --accept or --return" in call("resolve", number, "--why", "x", code=2)
    facts("resolve", number, "--return", "--why", "the task was not done")
    assert facts("account")["credits"][agent.symbol]["available"] == 1


def test_usage_of_a_model_is_told_by_its_provider(venue, tmp_path):
    bought(10, VOUCHER)
    created = venue.clock() // 10**9
    lines = [
        {
            "id": f"call-{number}",
            "member": "SANDBOX",
            "model": "QWEN3-MAX",
            "created": created,
            "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0},
        }
        for number in range(3)
    ]
    file = tmp_path / "usage.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    assert facts("usage", str(file), "--as", "alibaba")["records"] == 3
    assert credits_of()["restricted"] == 7
    assert "3 records told; those" in call("usage", str(file), "--as", "alibaba")
    assert credits_of()["restricted"] == 7, "known ids are passed over"
    lines[1] |= {"id": "call-9", "created": created - 36 * 86_400}
    file.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(RequestRefused, match=r"^line 2: .*too_old.*from line 1 on nothing was taken"):
        call("usage", str(file), "--as", "alibaba")


def test_money_comes_moves_and_goes(venue):
    before = facts("account")["money"]["available"]
    deposit = ("deposit", "SANDBOX", "100.50", "--reference", "BANK-1", "--why", "paid in")
    assert facts(*deposit) == facts(*deposit)
    facts("transfer", "SANDBOX-2", "40", "--reference", "T-1")
    facts("withdraw", "0.5", "--reference", "W-1")
    assert facts("account")["money"]["available"] == before + 600_000
    bought(10)
    facts("transfer", "SANDBOX-2", "4", "--instrument", "QWEN3-MAX", "--reference", "T-2")
    assert credits_of()["available"] == 6
    assert "whole number of lots" in call(
        "transfer", "SANDBOX-2", "0.5", "--instrument", "QWEN3-MAX", "--reference", "T-3", code=2
    )
    with pytest.raises(RequestRefused, match="reference_used"):
        call("withdraw", "0.6", "--reference", "W-1")


def test_a_bust_takes_two_operators(venue):
    before = facts("account")
    bought(10)
    assert "bourse approve" in call("bust", "1", "--why", "mistyped")
    (proposal,) = facts("proposals")["proposals"]
    assert (proposal["who"], proposal["act"]) == (OPERATOR, {"type": "Bust", "trade": 1})
    number = str(proposal["number"])
    assert number in call("proposals", "--as", SECOND)
    with pytest.raises(RequestRefused, match="two_persons_needed"):
        call("approve", number, "--why", "my own")
    call("approve", number, "--why", "seen", "--as", SECOND)
    after = facts("account")
    assert (after["money"], after["credits"]) == (before["money"], before["credits"])
    assert facts("proposals")["proposals"] == []
    with pytest.raises(RequestRefused, match="role_not_permitted"):
        call("proposals", "--as", "sandbox")


def test_an_adjustment_names_what_is_given_and_taken(venue):
    before = facts("account")["money"]["available"]
    adjust = ("adjust", "--take", "ALIBABA", "money", "12.50", "--give", "SANDBOX", "money", "12.50")
    number = str(facts(*adjust, "--why", "trade 91")["proposal"])
    call("approve", number, "--why", "agreed", "--as", SECOND)
    assert facts("account")["money"]["available"] == before + 125_000
    lots = ("adjust", "--take", "ALIBABA", "QWEN3-MAX", "2.5", "--give", "SANDBOX", "QWEN3-MAX", "2.5")
    assert "give a whole number of lots" in call(*lots, "--why", "x", code=2)
    lost = ("adjust", "--take", "ALIBABA", "money", "12.50", "--give", "SANDBOX", "money", "12")
    assert "0.50 yuan taken too much" in call(*lost, "--why", "x", code=2)
    assert "say what is given" in call("adjust", "--why", "x", code=2)


def test_proposals_are_told_in_words_whatever_their_reasons_hold(venue):
    call("bust", "7", "--why", "[/b] as [red]both[/red] say")
    adjust = ("adjust", "--take", "ALIBABA", "money", "1234.5", "--give", "SANDBOX", "money", "1234.5")
    call(*adjust, "--why", "trade 91")
    call("programme", "award", VOUCHER, "SANDBOX", "12000", "--why", "measured")
    told = call("proposals")
    assert "[/b] as [red]both[/red] say" in told
    for words in ("undo trade 7", "take ALIBABA 1,234.50 yuan", f"{VOUCHER} awards SANDBOX 12,000.00 yuan"):
        assert words in told


def test_a_reference_that_names_nothing_is_wrong_usage(venue):
    assert "as you name it in your own books" in call("withdraw", "1", "--reference", " ", code=2)


def test_a_debt_is_told_and_settled(venue):
    bought(100, VOUCHER)
    paid = 100 * PRICE_HAO * 3 // 10
    call("ineligible", VOUCHER, "SANDBOX", "--why", "its size was misstated")
    assert facts("account")["debt"] == paid
    assert "owed to programmes" in call("account")
    assert facts("subsidy")["programmes"][0]["barred"] == "programme_debt"
    told = call("subsidy", "QWEN3-MAX", PRICE, "1", "--programme", VOUCHER)
    assert "the venue would refuse it: programme_debt" in told
    call("settle-debt", VOUCHER, str(paid / 10_000), "--why", "as agreed")
    assert facts("account")["debt"] == 0


def test_programmes_are_defined_revised_awarded_and_closed(venue, tmp_path):
    file, terms = tmp_path / "terms.toml", replace(voucher(OPENING.year), code="FJ-AWARD", payout="award")
    file.write_text(terms_text(terms))
    assert facts("fund", str(file), "--why", "paid in")["programme"] == "FJ-AWARD"
    bought(10)
    number = str(facts("redeem", "QWEN3-MAX", "10", "--reference", "R")["redemption"])
    facts("deliver", number, "--as", "alibaba")
    award = next(one for one in facts("subsidy")["programmes"] if one["programme"] == "FJ-AWARD")
    assert award["measured"] == 10 * PRICE_HAO
    before = facts("account")["money"]["available"]
    proposal = facts("programme", "award", "FJ-AWARD", "SANDBOX", "1.5", "--why", "measured")["proposal"]
    call("approve", str(proposal), "--why", "agreed", "--as", SECOND)
    assert facts("account")["money"]["available"] == before + 15_000
    file.write_text(terms_text(replace(terms, version=2, order_cap=7)))
    proposal = facts("programme", "revise", str(file), "--why", "raised")["proposal"]
    call("approve", str(proposal), "--why", "agreed", "--as", SECOND)
    with venue.connect("SANDBOX") as ex:
        assert ex.programmes["FJ-AWARD"].terms.version == 2
    with pytest.raises(RequestRefused, match="not_due"):
        call("programme", "close", "FJ-AWARD", "--why", "too early")
    file.write_text(file.read_text().replace("budget = ", "budget = -"))
    assert "budget: -2500000000000; give 1 to" in call("fund", str(file), "--why", "x", code=2)


def test_two_members_are_found_related(venue):
    assert "are one group" in call("related", "SANDBOX", "ALIBABA", "--why", "one owner")
    told = facts("subsidy")
    assert told["programmes"][0]["used"] == 0


def test_credits_do_not_expire_before_their_day(venue):
    with pytest.raises(RequestRefused, match="not_due"):
        call("expire", "QWEN3-MAX", "--why", "x")
