"""Stories of programmes beside trading: terms and their versions, awards, the end of a year, large grants."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec.structs import replace

from exchange.programme_decisions import shared
from exchange.protocol.acts import (
    Admit,
    CloseYear,
    DefineProgramme,
    Deliver,
    Deposit,
    FindIneligible,
    GrantAward,
    Issue,
    ListInstruments,
    Redeem,
    ReviseProgramme,
    SetCapacity,
)
from exchange.server.founding import SAMPLES, TOKEN_GRANT, sample_terms
from matching.vocabulary import RejectReason
from settlement.terms import Rate, end_ns
from settlement.terms_file import read_terms, terms_text
from tests.engine.market import YEARS_END, instrument
from tests.engine.money_market import AWARD, DEDUCT, POOL, REPAY, MoneyVenue, terms
from tests.engine.stands import Budget, Used


@pytest.fixture
def venue() -> MoneyVenue:
    return MoneyVenue()


# --- terms -------------------------------------------------------------------------------------


def revised(before, **changed):
    return ReviseProgramme(replace(before, version=before.version + 1, **changed))


def test_new_terms_hold_for_orders_from_then_on(venue):
    old = venue.buy("ANN", 10, "TASK", 100, last="day", programme="DEDUCT")
    assert venue.refused(revised(DEDUCT)) == RejectReason.TWO_PERSONS_NEEDED
    assert venue.two(revised(DEDUCT, rates=(Rate(rate=2_000),), budget=99_600)) == RejectReason.NONE
    assert venue.entries() == [("fund", "programme:DEDUCT", -400), ("fund", "outside", 400)]
    (row,) = venue.brought.terms
    assert (row.programme, row.terms_version) == (venue.programme("DEDUCT"), 2)
    assert read_terms(row.terms) == replace(DEDUCT, version=2, rates=(Rate(rate=2_000),), budget=99_600)
    new = venue.buy("BEN", 10, "TASK", 100, last="day", programme="DEDUCT")
    assert [(one.said[0].subsidy, one.said[0].terms_version) for one in (old, new)] == [(500, 1), (200, 2)]
    trades = venue.sell("YUN", 20, "TASK", 100).trades
    assert [(one.subsidy, one.terms_version) for one in trades] == [(500, 1), (200, 2)]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"version": 3}, RejectReason.TERMS_INVALID),
        ({"version": 1}, RejectReason.TERMS_INVALID),
        ({"fiscal_year": 2027}, RejectReason.TERMS_INVALID),
        ({"payout": "reimburse"}, RejectReason.TERMS_INVALID),
        ({"unredeemed": "paid"}, RejectReason.TERMS_INVALID),
        ({"order_cap": 0}, RejectReason.TERMS_INVALID),
        ({"code": "NOBODY'S"}, RejectReason.UNKNOWN_PROGRAMME),
        ({"budget": 499}, RejectReason.AMOUNT_OUT_OF_RANGE),
        ({"budget": 500}, RejectReason.NONE),
        ({"budget": 10**9}, RejectReason.NONE),
    ],
)
def test_new_terms_keep_what_the_programme_is(venue, changed, reason):
    venue.buy("ANN", 10, "TASK", 100, last="day", programme="DEDUCT")  # reserves 500
    assert venue.two(ReviseProgramme(replace(DEDUCT, **{"version": 2, **changed}))) == reason


def test_programmes_that_exclude_each_other_do_so_both_ways(venue):
    venue.done(DefineProgramme(terms("ONE", excludes=("OTHER",))))
    venue.done(DefineProgramme(terms("OTHER")))  # defined later
    venue.done(DefineProgramme(terms("NEXT-YEAR", excludes=("OTHER",), fiscal_year=2027)))
    venue.buy("BEN", 1, "TASK", 100, last="day", programme="OTHER")
    venue.buy("ANN", 1, "TASK", 100, last="day", programme="ONE")
    for firm, programme in (("BOB", "ONE"), ("ANN", "OTHER")):
        bid = venue.buy(firm, 1, "TASK", 100, last="day", programme=programme)
        assert bid.reason == RejectReason.PROGRAMME_EXCLUDED
    assert not venue.buy("BOB", 1, "TASK", 100, last="day", programme="NEXT-YEAR").reason
    assert venue.two(revised(terms("ONE", excludes=("OTHER",)), excludes=())) == RejectReason.NONE
    assert not venue.buy("BOB", 1, "TASK", 100, last="day", programme="ONE").reason


def test_a_programme_pays_for_the_instruments_that_it_names_those_listed_later_too(venue):
    venue.done(DefineProgramme(terms("NAMED", instruments=("DEEP", "LATER"))))
    later = instrument("LATER", "agent", "YUN", 100, 1, domestic=True)
    venue.done(ListInstruments((later,)))
    reasons = {
        symbol: venue.buy("ANN", 1, symbol, 100, last="day", programme="NAMED").reason
        for symbol in ("DEEP", "LATER", "TASK")
    }
    assert reasons == {"DEEP": 0, "LATER": 0, "TASK": RejectReason.PROGRAMME_NOT_ELIGIBLE}


def test_many_named_instruments_find_room(venue):
    symbols = [f"MANY-{number}" for number in range(100)]
    venue.done(
        ListInstruments(tuple(instrument(one, "agent", "YUN", 100, 1, domestic=True) for one in symbols))
    )
    venue.done(DefineProgramme(terms("NAMED", instruments=tuple(symbols))))
    for symbol in (symbols[0], symbols[-1]):
        assert not venue.buy("ANN", 1, symbol, 100, last="day", programme="NAMED").reason


# --- awards ------------------------------------------------------------------------------------


def redeem(venue, member, lots, reference):
    venue.bought(member, lots, "DEEP", 100)
    venue.done(Deliver(venue.done(Redeem(member, "DEEP", lots, reference), member)))


def test_an_award_is_granted_up_to_the_share_of_what_was_redeemed(venue):
    redeem(venue, "BEN", 20, "r-1")
    redeem(venue, "BOB", 10, "r-2")
    assert venue.used("AWARD", "BROTHERS") == Used(measured=3_000)
    assert venue.refused(GrantAward("AWARD", "BEN", 1)) == RejectReason.TWO_PERSONS_NEEDED
    assert venue.two(GrantAward("AWARD", "BEN", 301)) == RejectReason.PROGRAMME_EXHAUSTED
    assert venue.two(GrantAward("AWARD", "BEN", 200)) == RejectReason.NONE
    assert venue.entries() == [("award", "programme:AWARD", -200), ("award", "free", 200)]
    assert venue.paid_to("BEN", "award") == [200]
    assert venue.two(GrantAward("AWARD", "BOB", 101)) == RejectReason.PROGRAMME_EXHAUSTED
    assert venue.two(GrantAward("AWARD", "BOB", 100)) == RejectReason.NONE
    assert venue.budget("AWARD") == Budget(99_700, 0, 0, 300)
    redeem(venue, "BEN", 50, "r-3")
    assert (
        venue.two(GrantAward("AWARD", "BEN", 301)) == RejectReason.PROGRAMME_EXHAUSTED
    )  # the group's cap: 600
    assert venue.two(GrantAward("AWARD", "BEN", 300)) == RejectReason.NONE


@pytest.mark.parametrize(
    ("award", "reason"),
    [
        (GrantAward("NOTHING", "ANN", 1), RejectReason.UNKNOWN_PROGRAMME),
        (GrantAward("AWARD", "NOBODY", 1), RejectReason.UNKNOWN_MEMBER),
        (GrantAward("DEDUCT", "ANN", 1), RejectReason.PROGRAMME_NOT_ELIGIBLE),
        (GrantAward("VIP", "ANN", 1), RejectReason.PROGRAMME_NOT_ELIGIBLE),
        (GrantAward("ABROAD", "ANN", 1), RejectReason.PROGRAMME_NOT_ELIGIBLE),
        (GrantAward("AWARD", "ANN", 0), RejectReason.AMOUNT_OUT_OF_RANGE),
    ],
)
def test_who_gets_no_award(venue, award, reason):
    venue.done(DefineProgramme(replace(AWARD, code="VIP", rates=(Rate(rate=1_000, sizes=("large",)),))))
    venue.done(DefineProgramme(replace(AWARD, code="ABROAD", regions=("ABROAD",))))
    assert venue.two(award) == reason


def test_an_award_to_somebody_who_was_not_eligible_is_his_debt(venue):
    redeem(venue, "ANN", 20, "r-1")
    assert venue.two(GrantAward("AWARD", "ANN", 150)) == RejectReason.NONE
    venue.done(FindIneligible("ANN", "AWARD"))
    assert venue.debt("ANN") == 150
    assert venue.budget("AWARD") == Budget(99_850, 0, 0, 150)


# --- the end of the year -----------------------------------------------------------------------


def test_claims_share_a_pro_rata_budget_by_largest_remainder(venue):
    for member, lots in (("ANN", 20), ("BEN", 20), ("DAN", 20)):
        venue.bought(member, lots, "DEEP", 100, "POOL")
        venue.done(Deliver(venue.done(Redeem(member, "DEEP", lots, "r-1"), member)))
    before = venue.gained("ANN")
    assert venue.refused(CloseYear("POOL")) == RejectReason.NOT_DUE
    venue.time = end_ns(YEARS_END)
    venue.end_day()
    venue.done(CloseYear("POOL"))
    assert [venue.paid_to(member, "share") for member in ("ANN", "BEN", "DAN")] == [[334], [333], [333]]
    assert venue.gained("ANN") == before + 334
    assert venue.budget("POOL") == Budget(0, 0, 0, 1_000)
    assert venue.refused(CloseYear("POOL")) == RejectReason.PROGRAMME_CLOSED
    assert venue.two(revised(POOL)) == RejectReason.PROGRAMME_CLOSED


def test_a_programme_is_not_closed_while_orders_draw_on_it(venue):
    venue.buy("ANN", 1, "DEEP", 50, last="day", programme="REPAY")
    venue.time = end_ns(YEARS_END)
    assert venue.refused(CloseYear("REPAY")) == RejectReason.NOT_DUE
    venue.end_day()
    venue.done(CloseYear("REPAY"))


def test_a_closed_reimbursing_programme_still_pays_for_its_parcels(venue):
    venue.bought("ANN", 2, "DEEP", 100, "REPAY")
    venue.bought("BEN", 2, "DEEP", 100, "POOL")
    venue.time = end_ns(YEARS_END)
    venue.end_day()
    venue.done(CloseYear("REPAY"))
    venue.done(CloseYear("POOL"))
    for member in ("ANN", "BEN"):
        venue.done(Deliver(venue.done(Redeem(member, "DEEP", 2, "r-1"), member)))
    assert venue.budget("REPAY") == Budget(REPAY.budget - 100, 0, 0, 100)
    assert venue.budget("POOL") == Budget(POOL.budget, 0, 0, 0)


@pytest.mark.parametrize(
    ("budget", "claims", "parts"),
    [
        (10, [1, 2, 3], [1, 2, 3]),
        (5, [1, 1, 1], [1, 1, 1]),
        (5, [2, 2, 2], [2, 2, 1]),
        (7, [10, 10, 10, 70], [1, 1, 0, 5]),
        (10**18, [10**18 - 1, 10**18 - 1], [5 * 10**17, 5 * 10**17]),
        (3, [], []),
    ],
)
def test_shares_are_exact(budget, claims, parts):
    assert shared(budget, claims) == parts


# --- samples -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_read_and_written_as_they_are(name):
    moved = sample_terms(name, 2031)
    assert (moved.code, moved.fiscal_year) == (f"{name.upper()}-2031", 2031)
    assert (moved.valid_from, moved.valid_through) == (date(2031, 1, 1), date(2031, 12, 31))
    assert read_terms(terms_text(moved)) == moved


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("budget", "terms: "),
        (terms_text(DEDUCT).replace("budget = 100000", "budget = 'much'"), "budget: 'much'; Expected `int`"),
        (terms_text(DEDUCT).replace("rate = 5000", "rate = 'half'"), "rates[0].rate: 'half'; Expected `int`"),
        (terms_text(DEDUCT).replace("ceiling", "celing"), "unknown field `celing`"),
        (
            terms_text(DEDUCT).replace("rate = 5000", "rate = 10001"),
            "rates: 10001 basis points; give 0 to 10000",
        ),
    ],
)
def test_terms_that_are_wrong_are_told_by_field_value_and_remedy(text, told):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  what it says is compared
        read_terms(text)
    assert told in str(caught.value)


@pytest.mark.parametrize("lots", [10**8, 10**12])
def test_a_grant_of_tokens_is_exact_however_large(venue, lots):
    grant = replace(
        sample_terms(TOKEN_GRANT, 2026), order_lots=10**12, order_cap=2 * 10**17, code="ALL-OF-IT"
    )
    venue.done(DefineProgramme(grant))
    big = {"quantity_max": 2**41, "notional_max": 2**60, "turnover_max": 2**60}
    venue.done(replace(Admit(member="BIG", role="firm", size="small"), **big))
    venue.done(replace(Admit(member="MAKER", role="provider"), **big))
    wide = instrument("WIDE", "model", "MAKER", 123_457, 1, domestic=True)
    venue.done(ListInstruments((wide,)))
    venue.done(SetCapacity("WIDE", lots))
    venue.done(Issue("WIDE", lots))
    venue.sell("MAKER", lots, "WIDE", 123_457)
    fee = lots * 123_457 * 50 // 10_000
    venue.done(Deposit("BIG", fee))
    (trade,) = venue.buy("BIG", lots, "WIDE", 123_457, last="day", programme="ALL-OF-IT").trades
    assert (trade.subsidy, trade.fee) == (lots * 123_457, fee)
    assert venue.used("ALL-OF-IT", "BIG") == Used(lots * 123_457, lots)
    venue.done(Deliver(venue.done(Redeem("BIG", "WIDE", lots // 3, "r-1"), "BIG")))
    assert venue.budget("ALL-OF-IT").vested == lots * 123_457 * (lots // 3) // lots
    venue.done(Deliver(venue.done(Redeem("BIG", "WIDE", lots - lots // 3, "r-2"), "BIG")))
    assert venue.budget("ALL-OF-IT") == Budget(grant.budget - lots * 123_457, 0, 0, lots * 123_457)


# --- the tables by which kernels find what terms say -------------------------------------------


def test_tables_of_what_terms_name_and_rule_out_grow(venue):
    venue.done(
        ListInstruments(tuple(instrument(f"M{n}", "model", "YUN", 100, 1, domestic=True) for n in range(40)))
    )
    venue.done(DefineProgramme(terms("NAMES", instruments=tuple(f"M{n}" for n in range(40)))))
    codes = [f"APART-{n}" for n in range(6)]
    for code in codes:
        venue.done(DefineProgramme(terms(code, excludes=tuple(one for one in codes if one != code))))
    venue.bought("ANN", 1, "DEEP", 100, codes[0])
    for code in codes[1:]:
        bid = venue.buy("ANN", 1, "DEEP", 100, last="day", programme=code)
        assert bid.reason == RejectReason.PROGRAMME_EXCLUDED
    named = venue.buy("BEN", 1, "M39", 100, last="day", programme="NAMES")
    other = venue.buy("BEN", 1, "DEEP", 100, last="day", programme="NAMES")
    assert (named.reason, other.reason) == (RejectReason.NONE, RejectReason.PROGRAMME_NOT_ELIGIBLE)


def test_as_many_members_are_barred_and_share_an_instrument_as_are_found(venue):
    others = [f"CLOUD-{n}" for n in range(6)]
    for name in others:
        venue.done(Admit(member=name, role="firm", group=name))
        venue.done(Deposit(name, 1_000))
    shared_out = replace(
        instrument("ALL", "model", "YUN", 100, 1, domestic=True), also_provided_by=" ".join(others)
    )
    venue.done(ListInstruments((shared_out,)))
    for name in others:
        bid = venue.buy(name, 1, "ALL", 100, last="day", programme="DEDUCT")
        assert bid.reason == RejectReason.PROGRAMME_OWN_PROVIDER
        venue.done(FindIneligible(name, "DEDUCT"))
    for name in others:
        bid = venue.buy(name, 1, "DEEP", 100, last="day", programme="DEDUCT")
        assert bid.reason == RejectReason.PROGRAMME_NOT_ELIGIBLE
