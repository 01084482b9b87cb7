"""Stories of redemption: what is asked for, delivered, disputed, burned or given back; usage; and expiry.

DEDUCT pays half at the trade, REPAY half as credits are redeemed, POOL by claims on 1,000 hao at year's end,
AWARD a tenth of what was redeemed of models. TASK, DEEP and DEEP-WINTER list at 100; DEEP-WINTER perishes
with the year, and is used under the name DEEP.
"""

from __future__ import annotations

import pytest

from exchange.protocol.acts import (
    Accept,
    CloseWindows,
    Deliver,
    Dispute,
    ExpireCredits,
    FindIneligible,
    Issue,
    PromptDetails,
    Recall,
    RecordUsage,
    Redeem,
    Resolve,
    TokenUsage,
    UsageRecord,
)
from exchange.registry import CALENDAR
from exchange.standing import WINDOW_NS
from matching.vocabulary import EventKind, RejectReason
from settlement.terms import end_ns
from tests.engine.market import NOON
from tests.engine.money_market import DAY_NS, WINTER, MoneyVenue
from tests.engine.stands import Balance, Budget, Used

MILLION = 10**6


@pytest.fixture
def venue() -> MoneyVenue:
    return MoneyVenue()


def redeemed(venue, member, symbol, lots, reference="r-1"):
    """Let a member redeem lots, and the provider deliver them; return the store's row."""
    number = venue.done(Redeem(member, symbol, lots, reference), member)
    venue.done(Deliver(number), "YUN")
    return venue.brought.redemptions[-1]


# --- asked for ---------------------------------------------------------------------------------


def test_restricted_lots_are_set_aside_first_and_come_back_where_they_were(venue):
    venue.bought("ANN", 4, "DEEP", 100, "DEDUCT")
    venue.bought("ANN", 10, "DEEP", 100)
    number = venue.done(Redeem("ANN", "DEEP", 6, "r-1"), "ANN")
    assert venue.credits("ANN", "DEEP") == Balance(8, redeeming=6)
    (row,) = venue.brought.redemptions
    assert (row.redemption, row.lots, row.restricted, row.state) == (number, 6, 4, "requested")
    assert venue.done(Redeem("ANN", "DEEP", 6, "r-1"), "ANN") == number
    assert venue.refused(Redeem("ANN", "DEEP", 5, "r-1"), "ANN") == RejectReason.REFERENCE_USED
    much = venue.act(Redeem("ANN", "DEEP", 9, "r-2"), "ANN")
    assert (much.reason, much.detail) == (RejectReason.CREDITS_NOT_AVAILABLE, 8)
    assert venue.refused(Recall(number), "BEN") == RejectReason.ROLE_NOT_PERMITTED
    venue.done(Recall(number), "ANN")
    assert venue.credits("ANN", "DEEP") == Balance(10, restricted=4)
    assert venue.engine.registry.aside == venue.engine.registry.redemptions == {}
    assert venue.refused(Recall(number), "ANN") == RejectReason.UNKNOWN_REDEMPTION


def test_delivery_burns_and_each_parcel_vests_oldest_first(venue):
    venue.bought("ANN", 3, "DEEP", 99, "DEDUCT")  # E: half of 297 is 148
    venue.bought("ANN", 5, "DEEP", 100, "DEDUCT")
    assert venue.budget("DEDUCT") == Budget(99_602, 0, 398, 0)
    row = redeemed(venue, "ANN", "DEEP", 4)
    assert (row.state, row.restricted, row.vested, row.reimbursed) == ("confirmed", 4, 148 + 50, 0)
    assert venue.budget("DEDUCT") == Budget(99_602, 0, 200, 198)
    assert venue.credits("ANN", "DEEP") == Balance(restricted=4)
    listing = venue.engine.core.ledger.listings[venue.instrument("DEEP")]
    assert (listing["issued"], listing["redeemed"], listing["expired"]) == (1_000, 4, 0)
    assert venue.refused(Deliver(venue.engine.sequence), "FAR") == RejectReason.UNKNOWN_REDEMPTION


def test_what_is_set_aside_is_not_set_aside_again(venue):
    for programme in ("DEDUCT", "KEPT"):
        venue.bought("ANN", 2, "DEEP", 100, programme)
    venue.done(Redeem("ANN", "DEEP", 2, "r-1"), "ANN")
    row = redeemed(venue, "ANN", "DEEP", 2, "r-2")
    assert row.vested == 100
    assert venue.budget("DEDUCT").vested == 0
    assert venue.budget("KEPT").vested == 100


def test_an_agents_task_waits_for_its_firm(venue):
    venue.bought("ANN", 10, "TASK", 100)
    numbers = [venue.done(Redeem("ANN", "TASK", 2, f"r-{n}"), "ANN") for n in range(4)]
    assert venue.refused(Accept(numbers[0]), "ANN") == RejectReason.REDEMPTION_STATE
    assert venue.refused(Deliver(numbers[0]), "FAR") == RejectReason.ROLE_NOT_PERMITTED
    for number in numbers:
        venue.done(Deliver(number), "YUN")
    assert venue.credits("ANN", "TASK") == Balance(2, redeeming=8)
    assert venue.refused(Recall(numbers[0]), "ANN") == RejectReason.REDEMPTION_STATE
    venue.done(Accept(numbers[0]), "ANN")
    venue.done(Dispute(numbers[1]), "ANN")
    venue.done(Dispute(numbers[2]), "ANN")
    assert venue.refused(Resolve(numbers[1], is_accepted=True), "ANN") == RejectReason.ROLE_NOT_PERMITTED
    venue.done(Resolve(numbers[1], is_accepted=True))
    venue.done(Resolve(numbers[2], is_accepted=False))
    assert venue.credits("ANN", "TASK") == Balance(4, redeeming=2)
    venue.done(CloseWindows(), CALENDAR)
    assert venue.brought.redemptions == ()
    venue.time += WINDOW_NS
    assert venue.refused(Dispute(numbers[3]), "ANN") == RejectReason.REDEMPTION_STATE
    venue.done(CloseWindows(), CALENDAR)
    assert [(row.redemption, row.state) for row in venue.brought.redemptions] == [(numbers[3], "confirmed")]
    assert venue.credits("ANN", "TASK") == Balance(4)


# --- what programmes pay as it is redeemed -----------------------------------------------------


def test_a_reimbursing_programme_pays_as_credits_are_redeemed(venue):
    venue.bought("ANN", 4, "DEEP", 99, "REPAY")  # E: half of 396
    paid = 396 + 1  # and the taker's fee, 50 basis points
    assert venue.gained("ANN") == -paid
    assert venue.budget("REPAY") == Budget(99_802, 198, 0, 0)
    row = redeemed(venue, "ANN", "DEEP", 1)
    assert (row.vested, row.reimbursed) == (49, 49)
    assert venue.paid_to("ANN", "reimbursed") == [49]
    assert venue.entries() == [("reimburse", "programme:REPAY", -49), ("reimburse", "free", 49)]
    assert venue.budget("REPAY") == Budget(99_802, 149, 0, 49)
    redeemed(venue, "ANN", "DEEP", 3, "r-2")
    assert venue.gained("ANN") == 198 - paid
    assert venue.budget("REPAY") == Budget(99_802, 0, 0, 198)
    assert venue.used("REPAY", "ANN") == Used(198, 4)


def test_what_is_paid_out_settles_debts_first(venue):
    venue.bought("ANN", 4, "TASK", 100, "DEDUCT")
    venue.bought("ANN", 10, "DEEP", 100, "REPAY")
    venue.done(FindIneligible("ANN", "DEDUCT"))
    assert venue.debt("ANN") == 200
    before = venue.gained("ANN")
    redeemed(venue, "ANN", "DEEP", 3)
    assert (venue.debt("ANN"), venue.gained("ANN")) == (50, before)
    assert venue.paid_to("ANN", "settled") == [-150]
    redeemed(venue, "ANN", "DEEP", 2, "r-2")
    assert (venue.debt("ANN"), venue.gained("ANN")) == (0, before + 50)
    assert venue.budget("DEDUCT") == Budget(100_000, 0, 0, 0)


def test_a_pro_rata_programme_only_counts_claims(venue):
    venue.bought("ANN", 10, "DEEP", 100, "POOL")
    row = redeemed(venue, "ANN", "DEEP", 4)
    assert (row.vested, row.reimbursed) == (200, 0)
    assert venue.budget("POOL") == Budget(1_000, 0, 0, 0)
    assert venue.used("POOL", "ANN") == Used(500, 10)


def test_an_award_measures_what_is_redeemed_of_what_it_has_a_rate_for(venue):
    venue.bought("ANN", 4, "TASK", 100)
    venue.bought("ANN", 4, "DEEP", 90)
    redeemed(venue, "ANN", "DEEP", 3)
    number = venue.done(Redeem("ANN", "TASK", 3, "r-2"), "ANN")
    venue.done(Deliver(number), "YUN")
    venue.done(Accept(number), "ANN")
    assert venue.used("AWARD", "ANN") == Used(measured=300)


# --- usage -------------------------------------------------------------------------------------


def call(name, prompt, completion=0, cached=0, created=NOON, member="ANN", model="DEEP"):
    usage = TokenUsage(prompt, completion, PromptDetails(cached))
    return UsageRecord(name, member, model, created // 10**9, usage)


def used(venue):
    """Return (id, instrument, lots, units) of the redemptions that the last step has brought."""
    rows = venue.brought.redemptions
    return [(row.reference, row.instrument, row.lots, row.units) for row in rows]


def test_a_lot_once_begun_is_used_up_before_the_next(venue):
    venue.bought("ANN", 5, "DEEP", 100)
    deep = venue.instrument("DEEP")
    calls = (call("a", 300_000, 100_000, cached=100_000), call("b", 390_000), call("c", 1))
    venue.done(RecordUsage(calls), "YUN")
    # 200,000 x 1,000 + 100,000 x 100 + 100,000 x 4,000 = 610,000 units; then the begun lot is used up
    assert used(venue) == [
        ("a", deep, 1, 610 * MILLION),
        ("b", deep, 0, 390 * MILLION),
        ("c", deep, 1, 1_000),
    ]
    assert venue.credits("ANN", "DEEP") == Balance(3)
    assert [row.number for row in venue.brought.redemptions] == [1, 2, 3]


def test_the_earliest_expiry_is_burned_first_by_its_weights(venue):
    venue.bought("ANN", 2, "DEEP", 100)
    venue.bought("ANN", 1, "DEEP-WINTER", 100, "DEDUCT")
    deep, winter = venue.instrument("DEEP"), venue.instrument("DEEP-WINTER")
    venue.done(RecordUsage((call("a", 2_500_000),)))
    assert used(venue) == [("a", winter, 1, 2_500 * MILLION), ("a", deep, 2, 0)]
    assert [(row.reason, row.account, row.amount) for row in venue.brought.postings] == [
        ("burn", "restricted", -1),
        ("burn", "outside", 1),
        ("burn", "free", -2),
        ("burn", "outside", 2),
    ]
    assert venue.budget("DEDUCT").vested == 50


def test_records_are_taken_all_or_none_and_once(venue):
    venue.bought("ANN", 2, "DEEP", 100)
    first, second = call("a", MILLION), call("b", MILLION)
    assert venue.refused(RecordUsage((first, second, call("c", 1)))) == RejectReason.CREDITS_NOT_AVAILABLE
    assert venue.act(RecordUsage((first, second, call("c", 1)))).value == "c"
    venue.done(RecordUsage((first, first)))
    assert len(venue.brought.redemptions) == 1
    venue.done(RecordUsage((first, second)))
    assert [row.reference for row in venue.brought.redemptions] == ["b"]
    assert venue.credits("ANN", "DEEP") == Balance()


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (call("a", -1), RejectReason.USAGE_INVALID),
        (call("a", 1, -1), RejectReason.USAGE_INVALID),
        (call("a", 1, cached=2), RejectReason.USAGE_INVALID),
        (call("a", 2**63 - 1), RejectReason.USAGE_INVALID),
        (call("", 1), RejectReason.USAGE_INVALID),
        (call("a", 1, created=NOON + DAY_NS), RejectReason.USAGE_INVALID),
        (call("a", 1, created=NOON - 35 * DAY_NS), RejectReason.TOO_OLD),
        (call("a", 1, member="NOBODY"), RejectReason.UNKNOWN_MEMBER),
        (call("a", 1, model="DEEP-WINTER"), RejectReason.UNKNOWN_INSTRUMENT),
        (call("a", 1, model="TASK"), RejectReason.UNKNOWN_INSTRUMENT),
        (call("a", 10**15), RejectReason.CREDITS_NOT_AVAILABLE),
    ],
)
def test_a_record_that_is_not_sound_is_refused(venue, record, reason):
    venue.bought("ANN", 2, "DEEP", 100)
    names = repr(venue.engine.registry)
    assert venue.refused(RecordUsage((call("sound", 1), record))) == reason
    assert repr(venue.engine.registry) == names


def test_ids_are_forgotten_when_their_records_are_too_old(venue):
    venue.bought("ANN", 2, "DEEP", 100)
    venue.done(RecordUsage((call("a", 1),)))
    venue.time += 35 * DAY_NS
    assert venue.refused(RecordUsage((call("a", 1),))) == RejectReason.TOO_OLD
    venue.time += DAY_NS
    venue.done(RecordUsage((call("b", 1, created=venue.time),)))
    known = [name for ids in venue.engine.registry.usage_ids.values() for _, name in ids]
    assert known == ["b"]


def test_only_a_models_provider_or_the_venue_records_its_usage(venue):
    venue.bought("ANN", 2, "DEEP", 100)
    venue.done(RecordUsage((call("a", 1),)), "FAR")  # it issues DEEP, too
    assert venue.refused(RecordUsage((call("b", 1),)), "ANN") == RejectReason.ROLE_NOT_PERMITTED


# --- expiry ------------------------------------------------------------------------------------


def test_credits_perish_with_their_day(venue):
    venue.done(Issue("DEEP-WINTER", 10))
    for programme in ("DEDUCT", "KEPT", "REPAY"):
        venue.bought("ANN", 4, "DEEP-WINTER", 100, programme)
    venue.bought("BEN", 7, "DEEP-WINTER", 100)
    waiting = venue.done(Redeem("BEN", "DEEP-WINTER", 3, "r-1"), "BEN")
    redeemed(venue, "ANN", "DEEP-WINTER", 1)
    bid = venue.buy("BEN", 5, "DEEP-WINTER", 90)
    assert venue.refused(ExpireCredits("DEEP-WINTER")) == RejectReason.NOT_DUE
    venue.time = end_ns(WINTER)
    said = venue.told(ExpireCredits("DEEP-WINTER"), CALENDAR).said
    assert [one.order for one in said if one.kind == EventKind.CANCELLED] == [bid.order]
    states = [(row.redemption, row.state) for row in venue.brought.redemptions]
    assert states == [(waiting, "returned")]
    assert venue.credits("ANN", "DEEP-WINTER") == venue.credits("BEN", "DEEP-WINTER") == Balance()
    assert venue.debt("ANN") == 150  # of DEDUCT, what had not vested
    assert venue.budget("DEDUCT") == Budget(99_800, 0, 150, 50)
    assert venue.budget("KEPT") == Budget(99_800, 0, 200, 0)
    assert venue.budget("REPAY") == Budget(100_000, 0, 0, 0)
    assert venue.used("REPAY", "ANN") == Used(0, 4)
    listing = venue.engine.core.ledger.listings[venue.instrument("DEEP-WINTER")]
    assert (listing["issued"], listing["redeemed"], listing["expired"]) == (1_010, 1, 1_009)
    assert venue.refused(Issue("DEEP-WINTER", 1)) == RejectReason.STATE_NOT_ALLOWED
    assert venue.refused(Redeem("BEN", "DEEP-WINTER", 1, "r-9"), "BEN") == RejectReason.STATE_NOT_ALLOWED
    venue.done(ExpireCredits("DEEP-WINTER"), CALENDAR)  # nothing is left to burn
    assert venue.brought.postings == ()
