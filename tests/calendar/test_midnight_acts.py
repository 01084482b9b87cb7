"""What midnight brings beside the day's end: windows close, and credits perish, by acts of the calendar."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from exchange.calendar import Calendar, standard_calendar
from exchange.client.errors import RequestRefused
from exchange.instruments import standard_catalogue
from exchange.protocol.acts import Accept, Deliver, Issue, Recall, Redeem, SetCapacity, SignedAct
from exchange.server.founding import sandbox_firms, standard_acts
from exchange.standing import WINDOW_NS
from exchange.testing import OPENING, Exchange
from matching.vocabulary import RejectReason
from settlement.terms import end_ns

TODAY = OPENING.date()
DAY_NS = 86_400 * 10**9
MODEL, AGENT = "QWEN3-MAX", next(one for one in standard_catalogue() if one.kind == "agent").symbol


def listed(expires: date):
    """Return one model, whose credits perish, and one agent."""
    chosen = {one.symbol: one for one in standard_catalogue() if one.symbol in (MODEL, AGENT)}
    return replace(chosen[MODEL], expires=expires), chosen[AGENT]


def venue_of(expires: date = TODAY, calendar: Calendar | None = None) -> Exchange:
    return Exchange(standard_acts(sandbox_firms(), [], [], listed(expires)), calendar=calendar)


def provider_of(venue: Exchange, symbol: str) -> str:
    registry = venue.engine.registry
    return registry.instruments[registry.instrument_numbers[symbol]].provider


def state_of(venue: Exchange, symbol: str) -> str:
    registry = venue.engine.registry
    return registry.instruments[registry.instrument_numbers[symbol]].state


def move_to(venue: Exchange, time: int) -> None:
    venue.clock.now = time
    venue.tell_time()


def decide(venue: Exchange, who: str, act) -> int:
    result = venue.sequencer.decide(SignedAct(who, "test", act)).acts[0]
    assert result.reason == RejectReason.NONE
    return result.sequence


def has_expired(venue: Exchange, symbol: str) -> bool:
    listing = venue.engine.core.ledger.listings[venue.engine.registry.instrument_numbers[symbol]]
    return int(listing["expired"]) == int(listing["issued"]) > 0


@pytest.mark.parametrize("calendar", [None, standard_calendar()], ids=["round the clock", "by the calendar"])
def test_credits_perish_at_the_end_of_their_day(calendar):
    venue = venue_of(calendar=calendar)
    move_to(venue, end_ns(TODAY) - 1)
    assert not has_expired(venue, MODEL)
    move_to(venue, end_ns(TODAY))
    assert has_expired(venue, MODEL)
    assert state_of(venue, MODEL) == "retired"
    assert not has_expired(venue, AGENT)
    frames = venue.journal.frames
    move_to(venue, end_ns(TODAY) + 3 * DAY_NS)
    assert venue.journal.frames > frames
    assert state_of(venue, AGENT) == "listed"


def test_a_venue_that_slept_makes_up_for_it_in_one_frame():
    venue = venue_of(TODAY + timedelta(days=1), standard_calendar())
    before = venue.journal.frames
    venue.clock.now = end_ns(TODAY + timedelta(days=3)) + 10 * 3600 * 10**9
    outcome = venue.sequencer.tell_time_if_due()
    assert outcome is not None
    assert {result.reason for result in outcome.acts} == {RejectReason.NONE}
    assert has_expired(venue, MODEL)
    assert venue.journal.frames == before + 1


def test_windows_close_at_midnight_and_no_sooner():
    venue = venue_of()
    provider = provider_of(venue, AGENT)
    number = decide(venue, provider, Redeem(provider, AGENT, 1, "r-1"))
    decide(venue, provider, Deliver(number))
    until = venue.engine.registry.redemptions[number].until
    assert until == venue.engine.time + WINDOW_NS
    move_to(venue, end_ns(TODAY + timedelta(days=6)))
    move_to(venue, until + 1)
    assert number in venue.engine.registry.redemptions
    move_to(venue, end_ns(TODAY + timedelta(days=7)))
    assert number not in venue.engine.registry.redemptions


def test_a_venue_without_either_is_told_nothing_but_the_days_end():
    venue = venue_of(TODAY + timedelta(days=40))
    before = venue.engine.sequence
    move_to(venue, end_ns(TODAY))
    assert venue.engine.sequence == before + 1


# --- by the gateway ----------------------------------------------------------------------------


def test_members_decide_through_the_gateway_what_is_theirs_and_nothing_else():
    venue = venue_of(TODAY + timedelta(days=40))
    provider = provider_of(venue, AGENT)
    with venue.connect(provider) as ours, venue.connect("SANDBOX") as theirs:
        redemption = ours.act(Redeem(provider, AGENT, 2, "r-1"), "a test")
        assert ours.act(Redeem(provider, AGENT, 2, "r-1"), "again") == redemption
        for act in (Recall(redemption), Accept(redemption), Deliver(redemption), Issue(AGENT, 1)):
            with pytest.raises(RequestRefused, match="role_not_permitted"):
                theirs.act(act, "a test")
        with pytest.raises(RequestRefused, match="credits_not_available") as refused:
            theirs.act(Redeem("SANDBOX", AGENT, 7, "r-1"), "a test")
        assert "within the 0 lots that are available" in str(refused.value)
        before = venue.engine.sequence
        with pytest.raises(RequestRefused, match="role_not_permitted"):
            theirs.act(SetCapacity(AGENT, 1), "a test")
        assert venue.engine.sequence == before


def test_what_has_expired_is_not_listed_when_a_venue_is_founded():
    with pytest.raises(ValueError, match="terms_invalid"):
        venue_of(TODAY - timedelta(days=1))
