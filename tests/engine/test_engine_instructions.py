"""What orders may say beyond price and quantity, and what is done to them: told in hao and lots."""

from __future__ import annotations

import pytest

from exchange.protocol.acts import Deposit
from exchange.protocol.records import Command, Instruction
from matching.vocabulary import (
    SLICES_MAX,
    SLICES_OPEN_MAX,
    CommandKind,
    EventKind,
    OrderState,
    RejectReason,
    SelfTrade,
    Side,
)
from tests.engine.market import MONEY_EACH, NOON, Answer, Step, Venue, act_step, batch_of, rows_of
from tests.engine.stands import Balance, Budget, Used

K = EventKind


@pytest.fixture
def venue() -> Venue:
    return Venue()


# --- how long an order lasts -------------------------------------------------------------------


def test_an_order_expires_before_the_next_command_is_done_and_its_hold_is_free_for_it(venue):
    """ANN's first order holds nearly all that she has; the second is covered only once that is over."""
    until = venue.time + 100
    first = venue.buy("ANN", 900, "QWEN", 1_000, last="gtd", expires_at=until)
    assert venue.buy("ANN", 900, "QWEN", 1_000).reason == RejectReason.MONEY_NOT_AVAILABLE
    venue.time = until - 1
    second = venue.buy("ANN", 900, "QWEN", 1_000)
    assert second.kinds == [K.EXPIRED, K.ACCEPTED]
    expired = second.said[0]
    assert (expired.order, expired.member, expired.state) == (
        first.order,
        venue.member("ANN"),
        OrderState.EXPIRED,
    )
    assert (expired.quantity, expired.leaves, expired.filled) == (900, 0, 0)
    assert venue.money("ANN").held == second.said[1].quantity * 1_000 + 4_500


def test_the_clock_alone_lets_an_order_expire_and_its_own_member_is_told(venue):
    order = venue.sell("YUN", 5, "QWEN", 1_000, last="gtd", expires_at=venue.time + 50).order
    assert venue.pass_time(10).said == []
    (expired,) = venue.pass_time(60).said
    assert (expired.kind, expired.order, expired.member) == (K.EXPIRED, order, venue.member("YUN"))
    assert venue.credits("YUN", "QWEN").held == 0
    assert venue.resting("QWEN") == []


def test_time_passes_for_an_act_too(venue):
    """The order ends before the act, in the same batch, and is told under the act's sequence."""
    order = venue.sell("YUN", 5, "QWEN", 1_000, last="gtd", expires_at=venue.time + 50).order
    outcome = venue.engine.apply(*batch_of([act_step(Deposit("ANN", 7), venue.time + 50)]))
    (expired,) = rows_of(outcome.events, outcome.effects)
    assert (expired.kind, expired.order) == (K.EXPIRED, order)
    assert expired.sequence == venue.engine.sequence == outcome.acts[0].sequence


def test_the_end_of_the_day_is_a_time_too(venue):
    timed = venue.sell("YUN", 5, "QWEN", 1_000, last="gtd", expires_at=venue.time + 3).order
    daily = venue.sell("YUN", 5, "QWEN", 1_000, last="day").order
    venue.time += 5
    assert [(one.kind, one.order) for one in venue.end_day().said] == [(K.EXPIRED, timed), (K.EXPIRED, daily)]


def test_a_programme_pays_for_no_order_with_a_time_of_its_own(venue):
    asked = {"last": "gtd", "expires_at": venue.time + 10**9, "programme": "VOUCHER"}
    assert venue.buy("ANN", 1, "QWEN", 1_000, **asked).reason == RejectReason.PROGRAMME_OUTLASTS_DAY


def test_fill_or_kill_leaves_nothing_at_stake(venue):
    venue.sell("YUN", 5, "QWEN", 1_000)
    before = venue.stand()
    killed = venue.buy("ANN", 6, "QWEN", 1_000, last="fok", programme="VOUCHER")
    assert killed.kinds == [K.ACCEPTED, K.CANCELLED]
    assert killed.said[1].reason == RejectReason.NOT_FILLABLE
    assert venue.stand() == before
    filled = venue.buy("ANN", 5, "QWEN", 1_000, last="fok", programme="VOUCHER")
    assert [one.quantity for one in filled.trades] == [5]


# --- how an order enters -----------------------------------------------------------------------


def test_an_order_that_must_not_take_is_refused_where_it_would(venue):
    venue.sell("YUN", 5, "QWEN", 1_000)
    before = venue.stand()
    refused = venue.buy("ANN", 1, "QWEN", 1_000, instructions=Instruction.POST_ONLY)
    assert refused.reason == RejectReason.POST_ONLY_WOULD_CROSS
    assert venue.stand() == before
    assert venue.buy("ANN", 1, "QWEN", 990, instructions=Instruction.POST_ONLY).kinds == [K.ACCEPTED]


def test_the_minimum_trades_at_once_or_nothing_does(venue):
    venue.sell("YUN", 5, "QWEN", 1_000)
    short = venue.buy("ANN", 9, "QWEN", 1_000, minimum_quantity=6)
    assert (short.kinds, venue.money("ANN")) == ([K.ACCEPTED, K.CANCELLED], Balance(MONEY_EACH))
    enough = venue.buy("ANN", 9, "QWEN", 1_000, minimum_quantity=5)
    assert enough.kinds == [K.ACCEPTED, K.TRADED]
    assert venue.resting("QWEN") == [("ANN", 1_000, 4)]


def test_an_iceberg_holds_all_and_shows_a_slice(venue):
    order = venue.sell("YUN", 10, "QWEN", 1_000, display_quantity=3).order
    other = venue.sell("YUN", 1, "QWEN", 1_000).order
    assert venue.credits("YUN", "QWEN").held == 11
    trades = venue.buy("ANN", 6, "QWEN", 1_000).trades
    assert [(one.maker_order, one.quantity, one.maker_leaves) for one in trades] == [
        (order, 3, 7),
        (other, 1, 0),
        (order, 2, 5),
    ]
    assert venue.credits("YUN", "QWEN").held == 5


def test_a_book_takes_only_so_many_icebergs(venue):
    """A thousand slices each; the order that is one too many is refused, and holds nothing."""
    most = SLICES_OPEN_MAX // (SLICES_MAX + 1) + 1
    names = ("ANN", "BEN", "BOB", "CAT", "DAN")
    steps = [
        Step(venue.new(names[number % len(names)], Side.BUY, SLICES_MAX, "GPT", 1, display_quantity=1))
        for number in range(most)
    ]
    assert venue.play(*steps).events["kind"].tolist() == [K.ACCEPTED] * most
    before = venue.stand()
    refused = venue.buy("DOM", SLICES_MAX, "QWEN", 10, display_quantity=1)
    assert (refused.reason, venue.stand()) == (RejectReason.BOOK_FULL, before)
    assert venue.buy("DOM", 1, "QWEN", 10).kinds == [K.ACCEPTED]


# --- who is not traded with --------------------------------------------------------------------


def met(venue: Venue, mode: SelfTrade) -> tuple[int, Answer]:
    """Let BEN, who buys 5, meet BOB of his group, who sells 3; behind him YUN sells. BOB's order first."""
    venue.give("BOB", 3, "QWEN", 1_000)
    own = venue.sell("BOB", 3, "QWEN", 990).order
    venue.sell("YUN", 9, "QWEN", 1_000)
    return own, venue.buy("BEN", 5, "QWEN", 1_000, self_trade=mode)


def test_each_mode_of_self_trade_prevention(venue):
    told = {}
    for mode in SelfTrade:
        own, answer = met(Venue(), mode)
        told[mode] = [(one.kind, one.order == own, one.quantity, one.reason) for one in answer.said[1:]]
    self_trade = RejectReason.SELF_TRADE
    assert told == {
        SelfTrade.NONE: [(K.TRADED, False, 3, 0), (K.TRADED, False, 2, 0)],
        SelfTrade.CANCEL_TAKER: [(K.CANCELLED, False, 5, self_trade)],
        SelfTrade.CANCEL_MAKER: [(K.CANCELLED, True, 3, self_trade), (K.TRADED, False, 5, 0)],
        SelfTrade.CANCEL_BOTH: [(K.CANCELLED, True, 3, self_trade), (K.CANCELLED, False, 5, self_trade)],
        SelfTrade.DECREMENT: [
            (K.CANCELLED, True, 3, self_trade),
            (K.REDUCED, False, 2, self_trade),
            (K.TRADED, False, 2, 0),
        ],
    }


def test_lots_lost_to_the_own_group_are_held_no_longer_and_never_filled(venue):
    """BEN bids for 5 at 980 and loses 3 of them to BOB's sell: 2 x 980 and the fee stay held."""
    bid = venue.buy("BEN", 5, "QWEN", 980).order
    venue.give("BOB", 3, "QWEN", 1_000)
    answer = venue.sell("BOB", 3, "QWEN", 980, self_trade=SelfTrade.DECREMENT)
    assert answer.kinds == [K.ACCEPTED, K.REDUCED, K.CANCELLED]
    reduced = answer.said[1]
    assert (reduced.order, reduced.quantity, reduced.leaves, reduced.filled) == (bid, 2, 2, 0)
    assert venue.money("BEN") == Balance(MONEY_EACH - 1_969, held=1_969)
    assert venue.credits("BOB", "QWEN") == Balance(3)


def test_what_was_filled_before_lots_are_lost_stays_filled(venue):
    venue.give("BOB", 3, "QWEN", 1_000)
    venue.sell("YUN", 1, "QWEN", 970)
    venue.sell("BOB", 3, "QWEN", 980)
    answer = venue.buy("BEN", 5, "QWEN", 980, self_trade=SelfTrade.DECREMENT)
    own = [one for one in answer.said if one.order == answer.order]
    assert [(one.kind, one.quantity, one.filled, one.leaves) for one in own] == [
        (K.ACCEPTED, 5, 0, 5),
        (K.TRADED, 1, 1, 4),
        (K.REDUCED, 2, 1, 1),
    ]
    assert venue.resting("QWEN") == [("BEN", 980, 1)]


# --- lots taken off ----------------------------------------------------------------------------


def test_a_reduced_buy_releases_money_and_subsidy_to_the_hao(venue):
    """10 x 1000 at 30 %: 3000 reserved, 50 fee, 7050 held. 4 lots off: 1800 and 4230."""
    order = venue.buy("ANN", 10, "QWEN", 1_000, last="day", programme="VOUCHER").order
    assert (venue.money("ANN").held, venue.budget("VOUCHER").reserved) == (7_050, 3_000)
    (reduced,) = venue.reduce("ANN", order, 4).said
    assert (reduced.kind, reduced.quantity, reduced.leaves, reduced.price) == (K.REDUCED, 6, 6, 1_000)
    assert venue.money("ANN") == Balance(MONEY_EACH - 4_230, held=4_230)
    assert venue.budget("VOUCHER") == Budget(18_200, 1_800, 0, 0)
    assert venue.used("VOUCHER", "ANN") == Used(1_800, 6)
    venue.sell("YUN", 6, "QWEN", 1_000)
    assert venue.money("ANN").held == 0
    assert venue.budget("VOUCHER") == Budget(18_200, 0, 1_800, 0)


def test_lots_beyond_the_cover_are_taken_off_first(venue):
    """A grant covers 10 of 14 lots: to take 3 off leaves it all covered, 3 more leave 8 covered."""
    order = venue.buy("ANN", 14, "QWEN", 1_000, last="day", programme="GRANT").order
    venue.reduce("ANN", order, 3)
    assert venue.used("GRANT", "ANN") == Used(10_000, 10)
    venue.reduce("ANN", order, 3)
    assert venue.used("GRANT", "ANN") == Used(8_000, 8)


def test_a_reduced_sell_gives_its_lots_back_and_keeps_its_place(venue):
    first = venue.sell("YUN", 10, "QWEN", 1_000).order
    venue.sell("YUN", 1, "QWEN", 1_000)
    venue.reduce("YUN", first, 8)
    assert venue.credits("YUN", "QWEN").held == 3
    assert [one.maker_order for one in venue.buy("ANN", 1, "QWEN", 1_000).trades] == [first]


def test_to_take_off_all_or_more_is_a_cancel(venue):
    for lots in (10, 11, 2**63 - 1):
        order = venue.buy("ANN", 10, "QWEN", 1_000).order
        (ended,) = venue.reduce("ANN", order, lots).said
        assert (ended.kind, ended.quantity, ended.state) == (K.CANCELLED, 10, OrderState.CANCELLED)
    assert venue.money("ANN") == Balance(MONEY_EACH)


def test_what_cannot_be_reduced_is_refused(venue):
    order = venue.buy("ANN", 10, "QWEN", 1_000).order
    before = venue.stand()
    assert venue.reduce("BEN", order, 1).reason == RejectReason.UNKNOWN_ORDER
    assert venue.reduce("ANN", 10**6, 1).reason == RejectReason.UNKNOWN_ORDER
    for lots in (0, -1, -(2**63)):
        refused = venue.reduce("ANN", order, lots)
        assert (refused.reason, refused.said[0].order) == (RejectReason.QUANTITY_NOT_POSITIVE, order)
    assert venue.stand() == before


def test_a_known_id_tells_the_total_as_it_is_now(venue):
    asked = venue.new("ANN", Side.BUY, 10, "QWEN", 1_000)
    order = venue.ask(asked).order
    venue.reduce("ANN", order, 4)
    for state, leaves in ((OrderState.OPEN, 6), (OrderState.CANCELLED, 0)):
        (known,) = venue.ask(asked._replace(time=venue.time)).said
        assert (known.kind, known.state, known.quantity, known.leaves) == (K.KNOWN, state, 6, leaves)
        venue.cancel("ANN", order)


# --- all of a member's orders ------------------------------------------------------------------


def test_a_member_cancels_its_own_orders_and_is_told_how_many(venue):
    mine = [venue.buy("ANN", 1, "QWEN", 900).order, venue.buy("ANN", 1, "GPT", 900).order]
    others = venue.buy("BEN", 1, "QWEN", 900).order
    answer = venue.cancel_all("ANN")
    assert [(one.kind, one.order) for one in answer.said[:-1]] == [(K.CANCELLED, order) for order in mine]
    done = answer.said[-1]
    assert (done.kind, done.order, done.quantity, done.client_id) == (K.MASS_CANCELLED, 0, 2, b"all")
    assert venue.money("ANN") == Balance(MONEY_EACH)
    assert venue.resting("QWEN") == [("BEN", 900, 1)]
    assert venue.cancel("BEN", others).kinds == [K.CANCELLED]


def test_a_mass_cancel_may_mean_one_side_of_one_instrument(venue):
    for side in Side:
        venue.ask(venue.new("YUN", side, 1, "QWEN", 1_000 + 100 * side))
        venue.ask(venue.new("YUN", side, 1, "A910B", 7_000 + 1_000 * side))
    answer = venue.cancel_all("YUN", "QWEN", Side.SELL)
    assert [(one.kind, one.side, one.price) for one in answer.said[:-1]] == [(K.CANCELLED, Side.SELL, 1_100)]


def test_a_mass_cancel_that_finds_nothing_says_so(venue):
    (done,) = venue.cancel_all("ANN").said
    assert (done.kind, done.quantity, done.reason) == (K.MASS_CANCELLED, 0, RejectReason.NONE)


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ({"instrument": 99}, RejectReason.UNKNOWN_INSTRUMENT),
        ({"instrument": -2}, RejectReason.UNKNOWN_INSTRUMENT),
        ({"side": 2}, RejectReason.UNKNOWN_SIDE),
        ({"member": 0}, RejectReason.UNKNOWN_MEMBER),
        ({"client_id": b"\xff"}, RejectReason.CLIENT_ID_INVALID),
    ],
)
def test_a_mass_cancel_that_makes_no_sense_is_refused_beforehand(venue, spoilt, reason):
    venue.buy("ANN", 1, "QWEN", 900)
    asked = Command(CommandKind.MASS_CANCEL, side=255, member=venue.member("ANN"), time=NOON)._replace(
        **spoilt
    )
    faults, _ = venue.engine.faults(batch_of([Step(asked)])[0])
    assert faults.tolist() == [reason]
    assert venue.ask(asked).reason == reason
    assert venue.resting("QWEN") == [("ANN", 900, 1)]
