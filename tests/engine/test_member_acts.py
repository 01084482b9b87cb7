"""Acts about members: whose key is whose, who makes an operator, who takes all of a member's orders back."""

from __future__ import annotations

from typing import get_args

import pytest

from exchange.engine import Engine
from exchange.member_decisions import IDS_MOST
from exchange.protocol.acts import (
    GUARD_SECONDS_MAX,
    Admit,
    Approve,
    BlockMember,
    CancelCause,
    CancelOrders,
    Deposit,
    Guard,
    KeepIds,
    Propose,
    RegisterKey,
    RevokeKey,
)
from exchange.protocol.reasons import MEANINGS, remedy_of
from exchange.registry import SESSIONS
from exchange.reports import Reporter
from matching.vocabulary import EventKind, RejectReason, Side
from tests.engine.market import MEMBERS, Answer, Venue, act_step, batch_of, founding, rows_of
from tests.engine.money_market import MoneyVenue


def key(number: int) -> str:
    return f"{number:040}"


@pytest.fixture
def venue() -> MoneyVenue:
    """A venue with one operator that has a key, and another that has none yet."""
    second = Admit(member="SECOND", role="operator")
    return MoneyVenue((*founding(), second, RegisterKey("OPERATOR", key(0))))


@pytest.fixture
def two(venue: MoneyVenue) -> MoneyVenue:
    """A venue whose two operators have keys."""
    venue.done(RegisterKey("SECOND", key(1)))
    return venue


def holders(venue: MoneyVenue) -> dict[str, str]:
    registry = venue.engine.registry
    return {public: registry.members[number].member for public, number in registry.keys.items()}


# --- keys --------------------------------------------------------------------------------------


def test_a_member_has_two_live_keys_at_most_and_is_told_what_to_do_about_a_third(venue):
    for number in (10, 11):
        venue.done(RegisterKey("ANN", key(number)), "ANN")
    told = venue.act(RegisterKey("ANN", key(12)), "ANN")
    assert (told.reason, told.value, told.detail) == (RejectReason.KEYS_AT_LIMIT, "ANN", 2)
    assert remedy_of(told.reason, told.detail) == "revoke one of the member's 2 live keys first"
    assert MEANINGS[told.reason].field == "public_key"
    venue.done(RevokeKey(key(10)), "ANN")
    venue.done(RegisterKey("ANN", key(12)), "ANN")
    assert {public for public, name in holders(venue).items() if name == "ANN"} == {key(11), key(12)}


def test_the_limit_binds_operators_and_what_they_do_for_others(venue):
    for number in (10, 11):
        venue.done(RegisterKey("ANN", key(number)))
    assert venue.refused(RegisterKey("ANN", key(12))) == RejectReason.KEYS_AT_LIMIT
    venue.done(RegisterKey("OPERATOR", key(2)))
    assert venue.refused(RegisterKey("OPERATOR", key(3))) == RejectReason.KEYS_AT_LIMIT


def test_a_member_changes_its_own_keys_and_nobody_elses(venue):
    venue.done(RegisterKey("ANN", key(10)), "ANN")
    for other in ("BEN", "YUN", "OFFICE", "ANN-2", SESSIONS, "NOBODY", ""):
        assert venue.refused(RegisterKey("ANN", key(11)), other) == RejectReason.ROLE_NOT_PERMITTED
        assert venue.refused(RevokeKey(key(10)), other) == RejectReason.ROLE_NOT_PERMITTED
    assert venue.refused(RegisterKey("BEN", key(10)), "BEN") == RejectReason.KEY_INVALID
    assert holders(venue)[key(10)] == "ANN"
    venue.done(RevokeKey(key(10)), "ANN")
    assert venue.refused(RevokeKey(key(10)), "ANN") == RejectReason.ROLE_NOT_PERMITTED
    assert venue.refused(RevokeKey(key(10))) == RejectReason.KEY_INVALID


def test_nobody_speaks_for_the_house(venue):
    assert venue.refused(RegisterKey("HOUSE", key(10))) == RejectReason.UNKNOWN_MEMBER
    assert venue.refused(RegisterKey("HOUSE", key(10)), "HOUSE") == RejectReason.UNKNOWN_MEMBER
    assert venue.refused(CancelOrders("HOUSE")) == RejectReason.UNKNOWN_MEMBER
    assert venue.refused(Guard("HOUSE", seconds=1), SESSIONS) == RejectReason.UNKNOWN_MEMBER


@pytest.mark.parametrize("bad", ["", "k" * 39, "k" * 41, "k" * 39 + "~", "k" * 39 + "é", "k" * 39 + "\n"])
def test_a_key_is_forty_characters_of_z85(venue, bad):
    assert venue.refused(RegisterKey("ANN", bad)) == RejectReason.KEY_INVALID


# --- two persons -------------------------------------------------------------------------------

THIRD = Admit(member="THIRD", role="operator")


def test_one_operator_makes_the_second_alone(venue):
    assert not venue.engine.registry.two_persons
    venue.done(RegisterKey("SECOND", key(1)))
    assert venue.engine.registry.two_persons


def test_with_two_operators_one_alone_makes_no_third(two):
    told = two.act(THIRD)
    assert (told.reason, told.value) == (RejectReason.TWO_PERSONS_NEEDED, "admit operator THIRD")
    proposal = two.done(Propose(THIRD))
    assert two.refused(Approve(proposal)) == RejectReason.TWO_PERSONS_NEEDED
    two.done(Approve(proposal), "SECOND")
    assert two.engine.registry.members[two.member("THIRD")].role == "operator"
    for who in ("OPERATOR", "SECOND"):
        told = two.act(RegisterKey("THIRD", key(3)), who)
        assert (told.reason, told.value) == (RejectReason.TWO_PERSONS_NEEDED, "key of operator THIRD")
    two.done(Approve(two.done(Propose(RegisterKey("THIRD", key(3))), "SECOND")), "OPERATOR")
    assert holders(two)[key(3)] == "THIRD"


def test_one_operator_gives_the_other_no_key_either(two):
    assert two.refused(RegisterKey("SECOND", key(2))) == RejectReason.TWO_PERSONS_NEEDED
    two.done(RegisterKey("SECOND", key(2)), "SECOND")
    two.done(RegisterKey("ANN", key(3)))
    two.done(Admit(member="EVA", role="firm"))


def test_whoever_is_no_operator_neither_proposes_nor_approves(two):
    proposal = two.done(Propose(THIRD))
    for who in ("ANN", "OFFICE", "YUN", "HOUSE", SESSIONS, "NOBODY"):
        assert two.refused(Propose(THIRD), who) == RejectReason.ROLE_NOT_PERMITTED
        assert two.refused(Approve(proposal), who) == RejectReason.ROLE_NOT_PERMITTED


def test_a_second_account_of_the_proposer_is_no_second_person(venue):
    venue.done(Admit(member="SELF", role="operator", owner="OPERATOR"))
    venue.done(RegisterKey("SELF", key(5)))
    assert not venue.engine.registry.two_persons  # one person, two accounts
    venue.done(RegisterKey("SECOND", key(1)))
    proposal = venue.done(Propose(THIRD))
    assert venue.refused(Approve(proposal), "SELF") == RejectReason.TWO_PERSONS_NEEDED
    assert venue.refused(RegisterKey("SELF", key(6))) == RejectReason.TWO_PERSONS_NEEDED
    venue.done(Approve(proposal), "SECOND")


def test_an_operator_that_is_a_firms_second_account_is_a_person_too(venue):
    venue.done(Admit(member="SIDE", role="operator", owner="ANN"))
    venue.done(RegisterKey("SIDE", key(5)))
    assert venue.refused(THIRD) == RejectReason.TWO_PERSONS_NEEDED


@pytest.mark.parametrize("revoked", [0, 1])
def test_the_rule_stays_when_an_operators_keys_are_revoked(two, revoked):
    two.done(RevokeKey(key(revoked)))
    for who in ("OPERATOR", "SECOND"):
        other = "SECOND" if who == "OPERATOR" else "OPERATOR"
        assert two.refused(THIRD, who) == RejectReason.TWO_PERSONS_NEEDED
        assert two.refused(RegisterKey(other, key(7)), who) == RejectReason.TWO_PERSONS_NEEDED


def test_what_was_proposed_falls_with_its_proposers_last_key(two):
    two.done(RegisterKey("SECOND", key(2)), "SECOND")
    kept = two.done(Propose(RegisterKey("OPERATOR", key(9))), "OPERATOR")
    gone = two.done(Propose(RegisterKey("SECOND", key(8))), "SECOND")
    two.done(RevokeKey(key(1)))
    assert sorted(two.engine.registry.proposals) == [kept, gone]  # it still has a key
    two.done(RevokeKey(key(2)))
    assert two.refused(Approve(gone)) == RejectReason.UNKNOWN_PROPOSAL
    two.done(Approve(kept), "SECOND")


def test_what_two_have_decided_is_judged_when_it_is_approved(two):
    proposal = two.done(Propose(RegisterKey("ANN", key(9))))
    two.done(RegisterKey("BEN", key(9)))
    assert two.refused(Approve(proposal), "SECOND") == RejectReason.KEY_INVALID
    assert holders(two)[key(9)] == "BEN"


# --- who takes orders back ---------------------------------------------------------------------


def cancelled(answer: Answer) -> list[tuple[int, RejectReason]]:
    """Return (order, reason) of what was cancelled."""
    return [(one.order, RejectReason(one.reason)) for one in answer.said if one.kind == EventKind.CANCELLED]


@pytest.mark.parametrize(
    ("cause", "who", "reason"),
    [
        ("session_lost", SESSIONS, RejectReason.SESSION_LOST),
        ("dead_man", SESSIONS, RejectReason.DEAD_MAN),
        ("operator", "OPERATOR", RejectReason.CANCELLED_BY_OPERATOR),
    ],
)
def test_all_of_a_members_orders_are_cancelled_and_tell_why(venue, cause, who, reason):
    before = venue.stand().balances
    bid = venue.buy("ANN", 3, "QWEN", 1_000, last="day", programme="VOUCHER").order
    stop = venue.buy("ANN", 1, "GPT", 2_600, type=2, stop_price=2_550).order
    other = venue.buy("BEN", 2, "QWEN", 990).order
    assert venue.stand().balances != before
    told = venue.told(CancelOrders("ANN", cause), who)
    assert cancelled(told) == [(bid, reason), (stop, reason)]
    assert [order for order in (bid, stop, other) if order in open_orders(venue)] == [other]
    venue.cancel("BEN", other)
    assert venue.stand().balances == before
    assert venue.budget("VOUCHER").reserved == 0
    assert venue.used("VOUCHER", "ANN").money == 0


def open_orders(venue: MoneyVenue) -> set[int]:
    book = venue.engine.core.book
    used = book.orders[: int(book.counts[0]["orders_used"])]
    return set(used["id"][used["leaves"] > 0].tolist())


def test_the_cause_stands_in_the_members_reports(venue):
    order = venue.buy("ANN", 3, "QWEN", 1_000).order
    venue.time += 1
    step = act_step(CancelOrders("ANN", "dead_man"), venue.time, SESSIONS)
    outcome = venue.play(step)
    ((member, reports),) = Reporter().reports(outcome.events, outcome.effects).by_member()
    assert member == venue.member("ANN")
    (report,) = reports
    assert (report["order"], report["kind"], report["reason"]) == (
        order,
        EventKind.CANCELLED,
        RejectReason.DEAD_MAN,
    )


def test_credits_that_were_offered_are_free_again(venue):
    free = venue.credits("YUN", "QWEN")
    venue.sell("YUN", 40, "QWEN", 1_200)
    venue.told(CancelOrders("YUN"))
    assert venue.credits("YUN", "QWEN") == free


def test_nobody_cancels_anothers_orders_or_tells_a_false_cause(venue):
    venue.buy("ANN", 3, "QWEN", 1_000)
    for who in ("ANN", "BEN", "OFFICE", "CALENDAR", "NOBODY"):
        for cause in get_args(CancelCause):
            assert venue.refused(CancelOrders("ANN", cause), who) == RejectReason.ROLE_NOT_PERMITTED
    for false in (CancelOrders("ANN", "dead_man"), CancelOrders("ANN", "session_lost")):
        assert venue.refused(false) == RejectReason.ROLE_NOT_PERMITTED
    assert venue.refused(CancelOrders("ANN"), SESSIONS) == RejectReason.ROLE_NOT_PERMITTED
    assert venue.refused(CancelOrders("NOBODY")) == RejectReason.UNKNOWN_MEMBER
    assert venue.refused(Deposit("ANN", 1), SESSIONS) == RejectReason.ROLE_NOT_PERMITTED


def test_nobody_is_called_what_the_venue_signs_by(venue):
    for name in (SESSIONS, "CALENDAR", "HOUSE"):
        assert venue.refused(Admit(member=name, role="firm")) == RejectReason.ALREADY_EXISTS


@pytest.mark.parametrize("phase", ["no_cancel", "closed"])
def test_orders_in_a_phase_without_cancels_stay(venue, phase):
    stays = venue.buy("ANN", 3, "QWEN", 1_000).order
    goes = venue.buy("ANN", 1, "GPT", 2_000).order
    if phase == "no_cancel":
        venue.set_phase("QWEN", "pre_open")
    venue.set_phase("QWEN", phase)
    can_stay = {"no_cancel": [(goes, RejectReason.DEAD_MAN)]}
    told = cancelled(venue.told(CancelOrders("ANN", "dead_man"), SESSIONS))
    expected = can_stay.get(phase, [(stays, RejectReason.DEAD_MAN), (goes, RejectReason.DEAD_MAN)])
    assert told == expected
    assert (stays in open_orders(venue)) == (phase in can_stay)


def test_a_member_without_orders_is_told_nothing(venue):
    assert venue.told(CancelOrders("ANN")).said == []


def test_a_kill_is_a_cancel_of_all_and_a_block(venue):
    venue.buy("ANN", 3, "QWEN", 1_000)
    venue.done(CancelOrders("ANN"))
    venue.done(BlockMember("ANN", True))
    assert venue.buy("ANN", 3, "QWEN", 1_000).reason == RejectReason.MEMBER_BLOCKED
    venue.done(BlockMember("ANN", False))
    assert venue.buy("ANN", 3, "QWEN", 1_000).reason == RejectReason.NONE


# --- guards ------------------------------------------------------------------------------------


def test_a_guard_is_the_gateways_to_say_and_the_last_one_counts(venue):
    guards = venue.engine.registry.guards
    ann = venue.member("ANN")
    venue.done(Guard("ANN", on_disconnect=True), SESSIONS)
    venue.done(Guard("ANN", seconds=30), SESSIONS)
    assert guards == {ann: Guard("ANN", seconds=30)}
    for who in ("ANN", "BEN", "OPERATOR", "CALENDAR", "NOBODY"):  # its clocks run in the gateway alone
        assert venue.refused(Guard("ANN"), who) == RejectReason.ROLE_NOT_PERMITTED
    venue.done(Guard("ANN"), SESSIONS)
    assert guards == {}


def test_a_guard_stays_when_the_orders_are_cancelled(venue):
    guard = Guard("ANN", on_disconnect=True, seconds=30)
    venue.done(guard, SESSIONS)
    venue.done(CancelOrders("ANN", "dead_man"), SESSIONS)
    assert venue.engine.registry.guards == {venue.member("ANN"): guard}


@pytest.mark.parametrize("seconds", [-1, GUARD_SECONDS_MAX + 1, 2**63])
def test_a_guard_waits_a_day_at_most(venue, seconds):
    told = venue.act(Guard("ANN", seconds=seconds), SESSIONS)
    assert (told.reason, told.value) == (RejectReason.AMOUNT_OUT_OF_RANGE, str(seconds))
    venue.done(Guard("ANN", seconds=GUARD_SECONDS_MAX), SESSIONS)


# --- how many ids are remembered ---------------------------------------------------------------


def test_more_ids_are_remembered_and_never_fewer():
    venue = Venue(ids_per_member=2)
    orders = [venue.new("ANN", Side.BUY, 1, "QWEN", 1_000 - 10 * number) for number in range(6)]
    for number in range(3):
        venue.ask(orders[number])
    assert venue.ask(orders[0]).reason == RejectReason.TOO_OLD
    assert venue.decide(KeepIds(4)) == RejectReason.NONE
    for number in (3, 4):
        venue.ask(orders[number])
    assert [venue.ask(orders[number]).kinds for number in (1, 2, 3, 4)] == [[EventKind.KNOWN]] * 4
    venue.ask(orders[5])
    assert venue.ask(orders[1]).reason == RejectReason.TOO_OLD
    assert venue.ask(orders[2]).kinds == [EventKind.KNOWN]
    for bad in (3, 0, -1, IDS_MOST + 1):
        assert venue.decide(KeepIds(bad)) == RejectReason.AMOUNT_OUT_OF_RANGE
    assert venue.decide(KeepIds(4)) == RejectReason.NONE


def test_nobody_but_an_operator_says_how_many_ids_are_remembered(venue):
    for who in ("ANN", "YUN", SESSIONS, "CALENDAR"):
        assert venue.refused(KeepIds(70_000), who) == RejectReason.ROLE_NOT_PERMITTED


# --- again -------------------------------------------------------------------------------------


def test_the_same_acts_come_to_the_same_state_however_they_are_cut():
    guard = Guard("ANN", on_disconnect=True, seconds=30)
    acts = [
        *((act, "OPERATOR") for act in founding()),
        (Admit(member="SECOND", role="operator"), "OPERATOR"),
        (RegisterKey("OPERATOR", key(0)), "OPERATOR"),
        (RegisterKey("SECOND", key(1)), "OPERATOR"),
        (RegisterKey("ANN", key(2)), "ANN"),
        (guard, SESSIONS),
        (Propose(THIRD), "OPERATOR"),
        (Approve(len(founding()) + 6), "SECOND"),
        (CancelOrders("ANN", "session_lost"), SESSIONS),
        (KeepIds(70_000), "OPERATOR"),
        (RevokeKey(key(2)), "OPERATOR"),
    ]
    steps = [act_step(act, who=who) for act, who in acts]
    engines = []
    for size in (1, 3, len(steps)):
        engine = Engine()
        said = []
        for start in range(0, len(steps), size):
            outcome = engine.apply(*batch_of(steps[start : start + size]))
            said += rows_of(outcome.events, outcome.effects)
            assert {result.reason for result in outcome.acts} == {RejectReason.NONE}
        engines.append((engine.state_hash(), engine.registry, said))
    assert engines[0] == engines[1] == engines[2]
    assert engines[0][1].members[-1].member == "THIRD"
    assert len(engines[0][1].members) == 1 + len(MEMBERS) + 2
