"""Limits that change, enrolments, and weights: what an operator sets right while the venue runs."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from exchange.image import engine_of, image_of
from exchange.protocol.acts import (
    BlockMember,
    CloseYear,
    DefineProgramme,
    Deliver,
    Enrol,
    GrantAward,
    PromptDetails,
    Propose,
    RecordUsage,
    Redeem,
    ReviseProgramme,
    Reweight,
    SetLimits,
    SetState,
    TokenUsage,
    UsageRecord,
)
from matching.vocabulary import CommandKind, RejectReason, Side
from settlement.terms import Rate, end_ns
from settlement.terms_file import read_terms, terms_text
from tests.engine.market import YEARS_END
from tests.engine.money_market import AWARD, DEDUCT, MoneyVenue, terms

ROLL = terms("ROLL", enrolment="listed")


@pytest.fixture
def venue() -> MoneyVenue:
    venue = MoneyVenue()
    venue.done(DefineProgramme(ROLL))
    return venue


def subsidised(venue: MoneyVenue, member: str) -> RejectReason:
    """Return why a programme that enrols refuses a member's bid, or NONE."""
    return venue.buy(member, 1, "DEEP", 50, last="day", programme="ROLL").reason


# --- limits ------------------------------------------------------------------------------------


def test_a_lower_limit_leaves_what_rests_and_refuses_what_is_new(venue):
    first = venue.buy("ANN", 5, "DEEP", 50)
    second = venue.buy("ANN", 5, "DEEP", 51)
    venue.done(SetLimits(member="ANN", open_orders_max=1, quantity_max=3))
    assert venue.stand().counters[venue.member("ANN")][0] == 2
    assert venue.buy("ANN", 4, "DEEP", 50).reason == RejectReason.QUANTITY_ABOVE_LIMIT
    assert venue.buy("ANN", 3, "DEEP", 50).reason == RejectReason.OPEN_ORDERS_AT_LIMIT
    venue.sell("YUN", 10, "DEEP", 50)
    assert venue.stand().counters[venue.member("ANN")][0] == 0
    assert venue.buy("ANN", 3, "DEEP", 50).reason == RejectReason.NONE
    assert first.reason == second.reason == RejectReason.NONE


def test_limits_that_are_not_named_stay_and_the_registry_tells_those_in_force(venue):
    number = venue.member("ANN")
    before = venue.engine.registry.members[number]
    venue.done(SetLimits(member="ANN", notional_max=499))
    assert venue.engine.registry.members[number] == replace(before, notional_max=499)
    assert venue.buy("ANN", 5, "DEEP", 100).reason == RejectReason.NOTIONAL_ABOVE_LIMIT
    venue.done(SetLimits(member="ANN", notional_max=500))
    assert venue.buy("ANN", 5, "DEEP", 100).reason == RejectReason.NONE


def test_a_turnover_below_the_day_s_leaves_nothing_and_a_higher_one_the_rest(venue):
    venue.bought("ANN", 2, "DEEP", 100)
    venue.done(SetLimits(member="ANN", turnover_max=150))
    assert venue.buy("ANN", 1, "DEEP", 100).reason == RejectReason.TURNOVER_AT_LIMIT
    venue.done(SetLimits(member="ANN", turnover_max=300))
    assert venue.buy("ANN", 1, "DEEP", 100).reason == RejectReason.NONE


def test_limits_leave_a_block_as_it_is(venue):
    venue.done(BlockMember("ANN", True))
    venue.done(SetLimits(member="ANN", quantity_max=7))
    assert venue.buy("ANN", 1, "DEEP", 50).reason == RejectReason.MEMBER_BLOCKED


# --- enrolment ---------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["OFFICE", "OPERATOR"])
def test_who_is_enrolled_is_subsidised_and_nobody_else(venue, who):
    assert subsidised(venue, "ANN") == RejectReason.PROGRAMME_NOT_ELIGIBLE
    venue.done(Enrol("ROLL", ("ANN", "BEN")), who)
    assert subsidised(venue, "ANN") == subsidised(venue, "BEN") == RejectReason.NONE
    assert subsidised(venue, "ANN-2") == RejectReason.PROGRAMME_NOT_ELIGIBLE


def test_who_is_enrolled_may_still_be_of_the_wrong_size(venue):
    venue.done(DefineProgramme(replace(ROLL, code="SMALL", rates=(Rate(rate=5_000, sizes=("small",)),))))
    venue.done(Enrol("SMALL", ("ANN-2",)))
    bid = venue.buy("ANN-2", 1, "DEEP", 50, last="day", programme="SMALL")
    assert bid.reason == RejectReason.PROGRAMME_NOT_ELIGIBLE


def test_withdrawing_stops_new_orders_and_growth_but_not_what_is_reserved(venue):
    venue.done(Enrol("ROLL", ("ANN",)))
    bid = venue.buy("ANN", 10, "DEEP", 50, last="day", programme="ROLL")
    assert venue.budget("ROLL").reserved == 250
    venue.done(Enrol("ROLL", ("ANN",), enrolled=False))
    assert subsidised(venue, "ANN") == RejectReason.PROGRAMME_NOT_ELIGIBLE
    assert venue.budget("ROLL").reserved == 250
    more = venue.new("ANN", Side.BUY, 20, "DEEP", 50)
    venue.ask(more._replace(kind=CommandKind.REPLACE, order=bid.order, client_id=b""))
    assert venue.budget("ROLL").reserved == 250
    venue.sell("YUN", 10, "DEEP", 50)
    assert venue.budget("ROLL").paid == 250


def test_what_was_bought_is_redeemed_after_the_enrolment_has_ended(venue):
    venue.done(Enrol("ROLL", ("ANN",)))
    venue.bought("ANN", 2, "DEEP", 100, "ROLL")
    venue.done(Enrol("ROLL", ("ANN",), enrolled=False))
    venue.done(Deliver(venue.done(Redeem("ANN", "DEEP", 2, "r-1"), "ANN")))
    assert venue.budget("ROLL").vested == 100


def test_enrolling_twice_is_once_and_one_may_enrol_before_terms_ask_for_it(venue):
    venue.done(Enrol("DEDUCT", ("ANN", "ANN")))
    venue.done(Enrol("DEDUCT", ("ANN",)))
    assert venue.two(ReviseProgramme(replace(DEDUCT, version=2, enrolment="listed"))) == RejectReason.NONE
    bids = [venue.buy(name, 1, "DEEP", 50, last="day", programme="DEDUCT").reason for name in ("ANN", "BEN")]
    assert bids == [RejectReason.NONE, RejectReason.PROGRAMME_NOT_ELIGIBLE]
    assert venue.two(ReviseProgramme(replace(DEDUCT, version=3))) == RejectReason.NONE
    bid = venue.buy("BEN", 1, "DEEP", 50, last="day", programme="DEDUCT")
    assert bid.reason == RejectReason.NONE


def test_a_closed_programme_enrols_nobody(venue):
    venue.time = end_ns(YEARS_END)
    venue.done(CloseYear("ROLL"))
    assert venue.refused(Enrol("ROLL", ("ANN",))) == RejectReason.PROGRAMME_CLOSED


def test_an_award_goes_to_the_enrolled_alone(venue):
    venue.done(DefineProgramme(replace(AWARD, code="MERIT", enrolment="listed")))
    venue.bought("ANN", 20, "DEEP", 100)
    venue.done(Deliver(venue.done(Redeem("ANN", "DEEP", 20, "r-1"), "ANN")))
    assert venue.two(GrantAward("MERIT", "ANN", 100)) == RejectReason.PROGRAMME_NOT_ELIGIBLE
    venue.done(Enrol("MERIT", ("ANN",)))
    assert venue.two(GrantAward("MERIT", "ANN", 100)) == RejectReason.NONE


def test_as_many_are_enrolled_as_there_are_and_an_image_keeps_them(venue):
    programmes = [f"ROLL-{number}" for number in range(16)]
    for code in programmes:
        venue.done(DefineProgramme(replace(ROLL, code=code)))
        venue.done(Enrol(code, ("ANN", "BEN", "BOB", "ANN-2")))
    assert len(venue.engine.core.ledger.enrolled) > 64
    image = image_of(venue.engine)
    restored = engine_of(image._replace(tables=[bytes(table) for table in image.tables]))
    assert restored.state_hash() == venue.engine.state_hash()
    assert restored.registry.enrolled == venue.engine.registry.enrolled
    for code in programmes:
        bid = venue.buy("BEN", 1, "DEEP", 10, last="day", programme=code)
        assert bid.reason == RejectReason.NONE


def test_terms_tell_their_enrolment_and_those_without_it_are_open():
    assert read_terms(terms_text(ROLL)) == ROLL
    assert "enrolment" not in terms_text(DEDUCT)
    assert read_terms(terms_text(DEDUCT)).enrolment == "open"


# --- weights -----------------------------------------------------------------------------------


def used(venue: MoneyVenue, name: str, output: int) -> None:
    """Record that a member has used so many output tokens of a model, half as many of its input cached."""
    usage = TokenUsage(output, output, PromptDetails(output // 2))
    venue.done(RecordUsage((UsageRecord(name, "ANN", "DEEP", venue.time // 10**9, usage),)), "YUN")


def test_a_suspended_model_burns_by_its_new_weights_from_then_on(venue):
    venue.bought("ANN", 100, "DEEP", 100)
    bid = venue.buy("BEN", 3, "DEEP", 50)
    used(venue, "before", 1_000_000)
    before = venue.brought.redemptions[0].units
    venue.done(SetState("DEEP", "suspended"))
    assert venue.two(Reweight("DEEP", 1_000, 200, 2_000)) == RejectReason.NONE
    (row,) = venue.brought.instruments
    assert (row.weight_input, row.weight_cached, row.weight_output) == (1_000, 200, 2_000)
    assert (row.who, row.state, row.time) == ("OPERATOR, SECOND", "suspended", venue.time)
    venue.done(SetState("DEEP", "listed"))
    used(venue, "after", 1_000_000)
    assert before == 500_000 * 1_000 + 500_000 * 100 + 1_000_000 * 4_000
    assert venue.brought.redemptions[0].units == 500_000 * 1_000 + 500_000 * 200 + 1_000_000 * 2_000
    (trade,) = venue.sell("YUN", 3, "DEEP", 50).trades
    assert (trade.maker_order, trade.quantity) == (bid.order, 3)


@pytest.mark.parametrize(
    ("state", "act", "reason"),
    [
        ("listed", Reweight("DEEP", 1, 1, 1), RejectReason.STATE_NOT_ALLOWED),
        ("cancel_only", Reweight("DEEP", 1, 1, 1), RejectReason.STATE_NOT_ALLOWED),
        ("suspended", Reweight("TASK", 1, 1, 1), RejectReason.TERMS_INVALID),
        ("suspended", Reweight("DEEP", -1, 1, 1), RejectReason.TERMS_INVALID),
        ("suspended", Reweight("DEEP", 1, 1, 2**60 + 1), RejectReason.TERMS_INVALID),
        ("suspended", Reweight("NOTHING", 1, 1, 1), RejectReason.UNKNOWN_INSTRUMENT),
    ],
)
def test_what_is_not_reweighted(venue, state, act, reason):
    if state != "listed":
        venue.done(SetState("DEEP", state))
    assert venue.two(act) == reason


def test_one_operator_alone_reweights_nothing(venue):
    venue.done(SetState("DEEP", "suspended"))
    assert venue.refused(Reweight("DEEP", 1, 1, 1)) == RejectReason.TWO_PERSONS_NEEDED
    assert venue.refused(Propose(Reweight("DEEP", 1, 1, 1)), "ANN") == RejectReason.ROLE_NOT_PERMITTED


def test_every_change_of_an_instrument_tells_who_and_why(venue):
    venue.done(SetState("DEEP", "suspended"))
    (row,) = venue.brought.instruments
    assert (row.instrument, row.state, row.who, row.time) == ("DEEP", "suspended", "OPERATOR", venue.time)
    assert row.why
