"""What each instrument may do and is doing: modes, states, phases, who set them, what the store is told."""

from __future__ import annotations

from datetime import time

import pytest
from msgspec.structs import replace

from exchange.calendar import Calendar, Call
from exchange.instruments import Instrument
from exchange.protocol.acts import (
    Act,
    AllowModes,
    Issue,
    ListInstruments,
    SetCalendar,
    SetCapacity,
    SetPhase,
    SetState,
)
from exchange.registry import CALENDAR, Plan
from matching.vocabulary import EventKind, Phase, RejectReason
from tests.engine.market import INSTRUMENTS, MEMBERS, Venue, act_step, instrument

LATER = 2**62

ONE_CALL = Calendar(
    weekdays=("mon",),
    closes=time(15, 30),
    calls=(Call(name="closing", modes=("continuous", "call"), opens=time(15), ends=time(15, 5), fixes=True),),
)


@pytest.fixture
def venue() -> Venue:
    return Venue()


def new_one(**changed) -> Instrument:
    return replace(instrument("NEW-ONE", "agent", "YUN", 5_000, 50, domestic=True), **changed)


def phase(venue: Venue, symbol: str) -> str:
    return Phase(venue.engine.core.book.markets[venue.instrument(symbol)]["phase"]).name.lower()


# --- modes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "acts", "expected"),
    [
        ({}, (), "continuous"),
        ({"mode": "call"}, (), "closed"),
        ({"mode": "listing"}, (), "closed"),
        ({"state": "proposed"}, (), "closed"),
        ({"state": "suspended"}, (), "closed"),
        ({}, (SetCalendar(ONE_CALL),), "closed"),
    ],
)
def test_what_is_listed_trades_at_once_if_nothing_says_otherwise(venue, changed, acts, expected):
    for act in acts:
        assert venue.decide(act) == RejectReason.NONE
    outcome = venue.play(act_step(ListInstruments((new_one(**changed),)), venue.time))
    (row,) = outcome.happened.phases
    assert (row.instrument, row.phase, row.reference) == (4, expected, 5_000)
    assert (row.sequence, row.time, row.cause) == (venue.engine.sequence, venue.time, "")
    assert (row.who, row.why) == ("OPERATOR", "a test")
    assert phase(venue, "NEW-ONE") == expected
    assert len(outcome.events) == 0


def test_a_venue_that_runs_calls_only_never_trades_continuously():
    called = tuple(replace(one, mode="call") for one in INSTRUMENTS)
    venue = Venue(acts=(*MEMBERS, AllowModes(("call",)), ListInstruments(called)))
    assert venue.decide(ListInstruments((new_one(),))) == RejectReason.PHASE_NOT_ALLOWED
    venue.set_phase("", "pre_open")
    venue.set_phase("", "auction")
    for symbol in ("", "QWEN"):
        assert venue.decide(SetPhase(symbol, "continuous")) == RejectReason.PHASE_NOT_ALLOWED
    venue.set_phase("", "halted")
    assert venue.decide(SetPhase("QWEN", "continuous")) == RejectReason.PHASE_NOT_ALLOWED


def test_a_mode_in_use_is_not_taken_away(venue):
    assert venue.decide(AllowModes(("call",))) == RejectReason.PHASE_NOT_ALLOWED
    assert venue.decide(AllowModes(("continuous",))) == RejectReason.NONE
    assert venue.decide(ListInstruments((new_one(mode="call"),))) == RejectReason.PHASE_NOT_ALLOWED


def test_a_price_on_a_list_stays_closed(venue):
    venue.decide(ListInstruments((new_one(mode="listing"),)))
    for name in ("pre_open", "continuous", "halted"):
        assert venue.decide(SetPhase("NEW-ONE", name)) == RejectReason.PHASE_NOT_ALLOWED
    assert venue.decide(SetState("NEW-ONE", "suspended")) == RejectReason.NONE
    assert phase(venue, "NEW-ONE") == "closed"


# --- states ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "then", "phases"),
    [
        (("suspended",), ("listed", "cancel_only"), ("halted", "closed")),
        (("cancel_only",), ("retired", "listed"), ("halted", "closed")),
        (("cancel_only", "retired"), (), ("closed",)),
        (("suspended", "listed"), ("suspended", "cancel_only"), None),
    ],
)
def test_each_state_allows_its_phases_and_its_successors(states, then, phases):
    for state in ("proposed", "listed", "suspended", "cancel_only", "retired"):
        venue = Venue()
        for before in states:
            assert venue.decide(SetState("QWEN", before)) == RejectReason.NONE
        expected = RejectReason.NONE if state in then else RejectReason.STATE_NOT_ALLOWED
        assert venue.decide(SetState("QWEN", state)) == expected
    for name in ("closed", "pre_open", "continuous", "halted"):
        venue = Venue()
        for before in states:
            venue.decide(SetState("QWEN", before))
        is_taken = phases is None or name in phases
        if name != phase(venue, "QWEN"):
            expected = RejectReason.NONE if is_taken else RejectReason.PHASE_NOT_ALLOWED
            assert venue.decide(SetPhase("QWEN", name)) == expected


def test_a_state_brings_its_phase_and_is_told_to_the_store(venue):
    outcome = venue.play(act_step(SetState("QWEN", "suspended"), venue.time))
    (row,) = outcome.happened.instruments
    assert (row.instrument, row.index, row.state) == ("QWEN", 0, "suspended")
    (changed,) = outcome.happened.phases
    assert (changed.phase, changed.who, changed.why) == ("halted", "OPERATOR", "a test")
    assert outcome.events["kind"].tolist() == [EventKind.PHASE_CHANGED]
    assert venue.engine.registry.instruments[0].state == "suspended"
    outcome = venue.play(act_step(SetState("QWEN", "cancel_only"), venue.time))
    assert outcome.happened.phases == ()  # it is halted already
    venue.decide(SetState("QWEN", "listed"))
    assert phase(venue, "QWEN") == "continuous"  # without a calendar


def test_with_a_calendar_what_is_listed_again_waits_for_it(venue):
    venue.decide(SetCalendar(ONE_CALL))
    venue.decide(SetState("QWEN", "suspended"))
    venue.decide(SetState("QWEN", "listed"))
    assert phase(venue, "QWEN") == "halted"


def test_nothing_is_issued_of_what_is_only_proposed_or_can_be_bought_no_more(venue):
    venue.decide(ListInstruments((new_one(state="proposed"),)))
    venue.decide(SetCapacity("NEW-ONE", 10))
    assert venue.decide(Issue("NEW-ONE", 1)) == RejectReason.STATE_NOT_ALLOWED
    venue.decide(SetState("NEW-ONE", "listed"))
    assert venue.decide(Issue("NEW-ONE", 1)) == RejectReason.NONE
    venue.decide(SetState("NEW-ONE", "cancel_only"))
    assert venue.decide(Issue("NEW-ONE", 1)) == RejectReason.STATE_NOT_ALLOWED


# --- phases ------------------------------------------------------------------------------------


def test_a_blank_instrument_means_all_that_may_take_the_phase(venue):
    venue.decide(SetState("GPT", "suspended"))
    venue.decide(SetPhase("H100", "closed"))
    told = venue.sign(SetPhase("", "pre_open"), "OPERATOR")
    assert [(one.kind, one.instrument) for one in told.said] == [
        (EventKind.PHASE_CHANGED, venue.instrument(symbol)) for symbol in ("QWEN", "A910B", "H100")
    ]
    assert venue.decide(SetPhase("", "pre_open")) == RejectReason.PHASE_NOT_ALLOWED  # none is left


def test_a_reference_comes_with_a_phase(venue):
    venue.set_phase("QWEN", "halted", reference=1_234)
    assert venue.engine.core.book.markets[0]["reference"] == 1_234
    outcome = venue.play(act_step(SetPhase("QWEN", "continuous"), venue.time))
    assert outcome.happened.phases[0].reference == 1_234


def test_a_call_goes_on_only_with_a_new_end(venue):
    plans = venue.engine.registry.plans
    venue.set_phase("QWEN", "pre_open", call="opening", until=100)
    assert plans == {0: Plan("opening", 100, False)}
    assert venue.decide(SetPhase("QWEN", "pre_open")) == RejectReason.PHASE_NOT_ALLOWED
    venue.set_phase("QWEN", "pre_open", call="opening", until=200, extended=True)
    assert plans == {0: Plan("opening", 200, True)}
    venue.set_phase("QWEN", "no_cancel", call="opening", until=200, extended=True)
    assert venue.decide(SetPhase("QWEN", "no_cancel")) == RejectReason.PHASE_NOT_ALLOWED
    venue.set_phase("QWEN", "no_cancel", call="opening", until=300, extended=True)
    venue.set_phase("QWEN", "auction")
    assert plans == {0: Plan("opening", 300, True)}  # whose auction it is
    venue.set_phase("QWEN", "continuous")
    assert plans == {}


@pytest.mark.parametrize(
    "act", [SetPhase("QWEN", "halted"), SetState("QWEN", "suspended"), SetPhase("QWEN", "closed")]
)
def test_no_call_goes_on_after_a_halt(venue, act: Act):
    venue.set_phase("QWEN", "pre_open", call="opening", until=100)
    assert venue.decide(act) == RejectReason.NONE
    assert venue.engine.registry.plans == {}


def test_an_operators_act_overrides_the_calendar_until_its_next_step(venue):
    overridden = venue.engine.registry.overridden
    assert overridden == set()
    assert venue.decide(SetPhase("QWEN", "pre_open")) == RejectReason.NONE
    assert overridden == {0}
    venue.sign(SetPhase("QWEN", "pre_open", call="opening", until=LATER), CALENDAR)
    assert overridden == set()
