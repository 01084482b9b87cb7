"""Stories of auctions with money: what is held in a call, what is paid at its end, what is given back."""

from __future__ import annotations

import pytest

from exchange.protocol.acts import SetCollars, SetPhase, SetState
from exchange.protocol.reasons import remedy_of
from exchange.reports import Reporter
from matching.vocabulary import NO_SLOT, EventKind, Phase, RejectReason, Side
from tests.engine.market import MONEY_EACH, VOUCHER, Step, Venue, act_step, batch_of, rows_of
from tests.engine.stands import Balance, Budget, Used

LATER = 2**62
"""When the calls of these tests would end."""


@pytest.fixture
def venue() -> Venue:
    venue = Venue()
    venue.set_phase("QWEN", "pre_open", call="opening", until=LATER)
    return venue


# --- money -------------------------------------------------------------------------------------


def test_all_trade_at_one_price_and_both_sides_pay_the_makers_fee(venue):
    venue.sell("YUN", 10, "QWEN", 900)
    venue.buy("ANN", 6, "QWEN", 1_100)
    venue.buy("CAT", 6, "QWEN", 1_000)
    assert venue.money("ANN") == Balance(MONEY_EACH - 6_633, held=6_633)  # nothing trades in a call
    auction = venue.set_phase("QWEN", "auction")
    assert auction.kinds == [EventKind.PHASE_CHANGED, EventKind.TRADED, EventKind.TRADED]
    assert [(one.price, one.quantity, one.phase, one.side) for one in auction.trades] == [
        (1_000, 6, Phase.AUCTION, Side.BUY),
        (1_000, 4, Phase.AUCTION, Side.BUY),
    ]
    assert [(one.fee, one.maker_fee) for one in auction.trades] == [(12, 12), (8, 8)]  # 20 bp each
    assert venue.money("ANN") == Balance(MONEY_EACH - 6_000 - 12)
    assert venue.money("CAT") == Balance(MONEY_EACH - 4_008 - 2_022, held=2_022)
    assert venue.money("YUN") == Balance(MONEY_EACH + 10_000 - 20)
    assert venue.credits("ANN", "QWEN") == Balance(6)
    assert venue.resting("QWEN") == [("CAT", 1_000, 2)]


def test_who_rested_from_a_call_pays_as_a_maker_and_later_takers_as_takers(venue):
    venue.sell("YUN", 10, "QWEN", 900)
    venue.buy("ANN", 4, "QWEN", 900)
    venue.set_phase("QWEN", "auction")
    venue.set_phase("QWEN", "continuous")
    (trade,) = venue.buy("BOB", 6, "QWEN", 900).trades
    assert (trade.phase, trade.fee, trade.maker_fee) == (0, 27, 11)  # 50 bp of 5,400; 20 bp of 9,000 less 7
    assert venue.money("YUN") == Balance(MONEY_EACH + 9_000 - 18)


def test_a_voucher_pays_its_share_of_the_auction_price(venue):
    bid = venue.buy("ANN", 10, "QWEN", 1_000, last="day", programme="VOUCHER")
    assert bid.said[0].subsidy == 3_000
    venue.sell("YUN", 4, "QWEN", 900)
    venue.sell("YUN", 6, "QWEN", 900)
    venue.sell("YUN", 1, "QWEN", 900)
    first, second = venue.set_phase("QWEN", "auction").trades[:2]
    assert {first.price, second.price} == {900}  # more is supplied
    assert (first.subsidy, second.subsidy) == (1_080, 1_620)
    assert venue.money("ANN") == Balance(MONEY_EACH - 9_000 - 18 + 2_700)
    assert venue.credits("ANN", "QWEN") == Balance(restricted=10)
    assert venue.budget("VOUCHER") == Budget(VOUCHER.budget - 2_700, reserved=0, paid=2_700, vested=0)
    assert venue.used("VOUCHER", "ANN") == Used(money=2_700, lots=10)


def test_a_subsidised_buy_never_trades_with_its_own_group_in_an_auction(venue):
    venue.set_phase("QWEN", "halted")
    venue.set_phase("QWEN", "continuous")
    venue.give("BOB", 5, "QWEN", 1_000)
    venue.set_phase("QWEN", "pre_open", call="noon", until=LATER)
    venue.sell("BOB", 5, "QWEN", 1_000)
    venue.buy("BEN", 5, "QWEN", 1_000, last="day", programme="VOUCHER")
    auction = venue.set_phase("QWEN", "auction")
    assert auction.kinds == [EventKind.PHASE_CHANGED, EventKind.CANCELLED]
    assert auction.said[1].reason == RejectReason.RELATED_PARTY
    assert venue.money("BEN") == Balance(MONEY_EACH)
    assert venue.budget("VOUCHER").reserved == 0


# --- what is told ------------------------------------------------------------------------------


def test_the_indicative_price_is_told_to_the_market_and_to_no_member(venue):
    venue.sell("YUN", 10, "QWEN", 900)
    outcome = venue.play(Step(venue.new("ANN", Side.BUY, 6, "QWEN", 1_000)))
    accepted, indicative = rows_of(outcome.events, outcome.effects)
    assert (accepted.kind, indicative.kind) == (EventKind.ACCEPTED, EventKind.INDICATIVE)
    told = (indicative.price, indicative.quantity, indicative.leaves, indicative.side)
    assert told == (900, 6, 4, Side.SELL)
    assert (indicative.member, indicative.client_id, indicative.order) == (NO_SLOT, b"", 0)
    assert indicative.sequence == accepted.sequence == venue.engine.sequence
    ((member, reports),) = Reporter().reports(outcome.events, outcome.effects).by_member()
    assert (member, len(reports)) == (venue.member("ANN"), 1)


def test_both_sides_of_an_auction_are_told_that_they_rested(venue):
    venue.sell("YUN", 5, "QWEN", 1_000)
    venue.buy("ANN", 5, "QWEN", 1_000)
    act = SetPhase("QWEN", "auction")
    outcome = venue.play(act_step(act, venue.time))
    reports = dict(Reporter().reports(outcome.events, outcome.effects).by_member())
    assert {member: one["maker"].tolist() for member, one in reports.items()} == {
        venue.member("ANN"): [1],
        venue.member("YUN"): [1],
    }
    assert reports[venue.member("ANN")]["order"][0] == outcome.events[1]["order"]


def test_an_id_that_was_refused_for_the_phase_stays_refused(venue):
    asked = venue.new("ANN", Side.BUY, 1, "QWEN", 1_000, last="ioc")
    assert venue.ask(asked).reason == RejectReason.NOT_IN_PHASE
    venue.set_phase("QWEN", "halted")
    (known,) = venue.ask(asked).said
    assert (known.kind, known.reason, known.detail) == (
        EventKind.KNOWN,
        RejectReason.NOT_IN_PHASE,
        Phase.PRE_OPEN,
    )
    assert known.phase == 0


# --- what a phase forbids ----------------------------------------------------------------------


def test_in_no_cancel_nobody_takes_back(venue):
    order = venue.buy("ANN", 5, "QWEN", 1_000).order
    other = venue.buy("ANN", 1, "GPT", 2_500).order
    venue.set_phase("QWEN", "no_cancel", call="opening", until=LATER)
    before = venue.stand()
    refusals = [
        venue.cancel("ANN", order),
        venue.reduce("ANN", order, 1),
        venue.cancel_all("ANN", "QWEN"),
        venue.buy("ANN", 1, "QWEN", 1_000, last="ioc"),
    ]
    for refused in refusals:
        assert (refused.kinds, refused.reason) == ([EventKind.REJECTED], RejectReason.NOT_IN_PHASE)
        assert refused.detail == refused.said[0].phase == Phase.NO_CANCEL
    assert venue.stand() == before
    gone, done = venue.cancel_all("ANN").said  # of every instrument: it passes over those
    assert (gone.order, done.kind, done.quantity) == (other, EventKind.MASS_CANCELLED, 1)
    assert venue.money("ANN") == Balance(MONEY_EACH - 5_025, held=5_025)
    assert venue.buy("ANN", 1, "QWEN", 1_000).reason == RejectReason.NONE


@pytest.mark.parametrize(
    ("phase", "reason"),
    [
        ("pre_open", RejectReason.NOT_IN_PHASE),
        ("auction", RejectReason.INSTRUMENT_NOT_OPEN),
        ("halted", RejectReason.INSTRUMENT_NOT_OPEN),
        ("closed", RejectReason.INSTRUMENT_NOT_OPEN),
    ],
)
def test_a_refusal_tells_the_phase_and_what_it_takes(venue, phase, reason):
    if phase != "pre_open":
        venue.set_phase("QWEN", phase)
    refused = venue.buy("ANN", 1, "QWEN", 1_000, last="fok")
    assert (refused.reason, refused.detail) == (reason, Phase[phase.upper()])
    assert phase in remedy_of(reason, refused.detail)
    faults, _ = venue.engine.faults(batch_of([Step(venue.new("ANN", Side.BUY, 1, "QWEN", 1_000))])[0])
    assert faults.tolist() == [RejectReason.NONE]  # a phase passes: nothing is refused for it beforehand


# --- what is released --------------------------------------------------------------------------


def test_a_halt_keeps_what_is_held_and_lets_it_be_taken_back(venue):
    order = venue.buy("ANN", 5, "QWEN", 1_000).order
    venue.set_phase("QWEN", "halted")
    assert venue.money("ANN").held == 5_025
    assert venue.cancel("ANN", order).kinds == [EventKind.CANCELLED]
    assert venue.money("ANN") == Balance(MONEY_EACH)


def test_closing_ends_day_orders_and_gives_back_what_they_hold(venue):
    venue.buy("ANN", 5, "QWEN", 1_000, last="day", programme="VOUCHER")
    venue.buy("BOB", 5, "QWEN", 900)
    assert venue.set_phase("QWEN", "closed").kinds == [EventKind.PHASE_CHANGED, EventKind.EXPIRED]
    assert venue.money("ANN") == Balance(MONEY_EACH)
    assert venue.budget("VOUCHER").reserved == 0
    assert venue.money("BOB").held == 4_522


def test_a_retired_instrument_leaves_no_hold_and_no_reservation_behind(venue):
    before = venue.stand().balances
    venue.buy("ANN", 5, "QWEN", 1_000, last="day", programme="VOUCHER")
    venue.buy("BOB", 5, "QWEN", 900)
    venue.sell("YUN", 7, "QWEN", 1_200)
    venue.set_phase("QWEN", "halted")
    assert venue.decide(SetState("QWEN", "cancel_only")) == RejectReason.NONE
    retired = venue.sign(SetState("QWEN", "retired"), "OPERATOR")
    assert [(one.kind, one.member) for one in retired.said] == [
        (EventKind.PHASE_CHANGED, NO_SLOT),
        (EventKind.EXPIRED, venue.member("ANN")),
        (EventKind.CANCELLED, venue.member("BOB")),
        (EventKind.CANCELLED, venue.member("YUN")),
    ]
    assert {one.sequence for one in retired.said} == {venue.engine.sequence}
    assert venue.stand().balances == before
    assert venue.budget("VOUCHER").reserved == 0
    assert venue.resting("QWEN") == []


# --- collars -----------------------------------------------------------------------------------


@pytest.fixture
def bounded() -> Venue:
    venue = Venue()
    assert venue.decide(SetCollars("model", market=0, static=100, dynamic=50)) == RejectReason.NONE
    return venue


def test_a_taker_that_meets_a_collar_begins_a_call(bounded):
    venue = bounded
    venue.sell("YUN", 2, "QWEN", 1_050)
    venue.sell("YUN", 3, "QWEN", 1_110)
    asked = venue.new("ANN", Side.BUY, 5, "QWEN", 1_200)
    outcome = venue.play(Step(asked))
    said = rows_of(outcome.events, outcome.effects)
    assert [one.kind for one in said] == [
        EventKind.ACCEPTED,
        EventKind.TRADED,
        EventKind.PHASE_CHANGED,
        EventKind.INDICATIVE,
    ]
    changed = said[2]
    assert (changed.phase, changed.reason) == (Phase.PRE_OPEN, RejectReason.STATIC_COLLAR)
    assert (changed.member, changed.client_id) == (NO_SLOT, b"")
    (row,) = outcome.happened.phases
    assert (row.phase, row.reference, row.cause) == ("pre_open", 1_000, "static_collar")
    assert (row.who, row.why, row.sequence) == ("", "", venue.engine.sequence)
    assert venue.resting("QWEN") == [("ANN", 1_200, 3), ("YUN", 1_110, 3)]
    (trade,) = venue.set_phase("QWEN", "auction").trades
    assert (trade.price, trade.quantity) == (1_110, 3)  # the nearest to the reference


def test_the_dynamic_collar_follows_the_last_price(bounded):
    venue = bounded
    venue.give("ANN", 2, "QWEN", 1_060)
    venue.sell("YUN", 2, "QWEN", 1_000)
    refused = venue.buy("BOB", 2, "QWEN", 1_000, last="ioc")
    assert refused.kinds[:3] == [EventKind.ACCEPTED, EventKind.CANCELLED, EventKind.PHASE_CHANGED]
    assert {one.reason for one in refused.said[1:3]} == {RejectReason.DYNAMIC_COLLAR}
    assert venue.money("BOB") == Balance(MONEY_EACH)


def test_a_call_that_a_collar_began_is_nobodys_yet(bounded):
    venue = bounded
    index = venue.instrument("QWEN")
    venue.decide(SetPhase("QWEN", "halted"))
    venue.decide(SetPhase("QWEN", "continuous"))
    assert index in venue.engine.registry.overridden
    venue.sell("YUN", 3, "QWEN", 1_110)
    venue.buy("ANN", 3, "QWEN", 1_110)
    assert index not in venue.engine.registry.overridden
    assert index not in venue.engine.registry.plans
    venue.set_phase("QWEN", "pre_open", call="volatility", until=LATER)
    assert venue.engine.registry.plans[index] == ("volatility", LATER, False)


def test_collars_hold_for_instruments_listed_later_too(bounded):
    markets = bounded.engine.core.book.markets
    assert markets["static_collar"].tolist() == [100, 100, 0, 0]
    assert markets["dynamic_collar"].tolist() == [50, 50, 0, 0]
    assert markets["collar"].tolist() == [0, 0, 0, 0]
