"""Edges of what is decided that a mutant of it once crossed unseen."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from exchange.core import ACCOUNTS_PER_COMMAND
from exchange.programme_decisions import shared
from exchange.protocol.acts import (
    Accept,
    Act,
    Adjust,
    AdjustmentLine,
    Bust,
    Deliver,
    Deposit,
    FindRelated,
    Issue,
    ListInstruments,
    Recall,
    Redeem,
    SetFees,
    SetLimits,
    SetPhase,
)
from matching.vocabulary import NO_SLOT, NOTIONAL_MAX, QUANTITY_MAX, CommandKind, RejectReason, Side
from settlement.rows import RedemptionRow
from tests.engine.money_market import DEEP_WINTER, MoneyVenue
from tests.engine.stands import Balance, Budget


def test_one_act_may_open_more_accounts_than_there_is_room_for():
    """A command makes room for a few accounts; an adjustment opens as many as it has lines."""
    venue = MoneyVenue()
    receivers = ("FAR", "ANN", "BEN", "BOB", "CAT", "DAN", "SUB", "DOM", "LIM", "ANN-2")
    ledger = venue.engine.core.ledger
    room = int(ledger.totals[0]["accounts"]) + ACCOUNTS_PER_COMMAND
    assert len(receivers) > ACCOUNTS_PER_COMMAND
    ledger = ledger._replace(accounts=ledger.accounts[:room].copy())
    venue.engine.core = venue.engine.core._replace(ledger=ledger)
    gifts = (AdjustmentLine(one, "TASK", 1) for one in receivers)
    lines = (AdjustmentLine("YUN", "TASK", -len(receivers)), *gifts)
    assert venue.two(Adjust(lines)) == RejectReason.NONE
    assert {venue.credits(one, "TASK") for one in receivers} == {Balance(1)}


@pytest.mark.parametrize(
    ("act", "reason", "value", "detail"),
    [
        (Deposit("ANN", 5), RejectReason.NONE, "", 0),
        (SetFees("model", maker=-1, taker=0), RejectReason.TERMS_INVALID, "", 0),  # it says why, no more
        (Deposit("ANN", 0), RejectReason.AMOUNT_OUT_OF_RANGE, "0", 0),
        (Issue("TASK", 10**9), RejectReason.CAPACITY_EXCEEDED, "1000000000", 10**9 - 1_000),
    ],
)
def test_an_act_is_answered_with_a_number_only_where_its_remedy_speaks_of_one(
    act: Act, reason: RejectReason, value: str, detail: int
):
    told = MoneyVenue().act(act)
    assert (told.reason, told.value, told.detail) == (reason, value, detail)


@pytest.mark.parametrize(
    ("budget", "claims", "parts"),
    [
        (10, [7, 5, 3], [5, 3, 2]),  # cut by 10, 5 and 0 of 15
        (10, [1, 2, 3, 5], [1, 2, 3, 4]),  # by 10, 9, 8 and 6 of 11
        (5, [6, 3, 1], [3, 2, 0]),  # by 0, 5 and 5 of 10
        (7, [5, 4, 3], [3, 2, 2]),  # by 11, 4 and 9 of 12
    ],
)
def test_what_is_left_of_a_shared_budget_goes_to_those_that_were_cut_most(budget, claims, parts):
    assert shared(budget, claims) == parts


def test_what_vests_is_told_with_the_state_in_which_it_vests_and_with_no_other():
    venue = MoneyVenue()
    venue.bought("ANN", 4, "TASK", 100, "REPAY")
    told: list[RedemptionRow] = []
    first = venue.done(Redeem("ANN", "TASK", 3, "r-1"), "ANN")
    for act, who in ((Deliver(first), "YUN"), (Accept(first), "ANN")):
        told += venue.brought.redemptions
        venue.done(act, who)
    told += venue.brought.redemptions
    second = venue.done(Redeem("ANN", "TASK", 1, "r-2"), "ANN")
    told += venue.brought.redemptions
    venue.done(Recall(second), "ANN")
    told += venue.brought.redemptions
    assert [(row.state, row.vested, row.reimbursed) for row in told] == [
        ("requested", 0, 0),
        ("delivered", 0, 0),
        ("confirmed", 150, 150),
        ("requested", 0, 0),
        ("returned", 0, 0),
    ]


def test_a_parcel_that_is_burned_whole_leaves_its_own_accounts_chain_and_opens_no_account():
    venue = MoneyVenue()
    venue.bought("ANN", 2, "DEEP", 100, "DEDUCT")
    ledger = venue.engine.core.ledger
    used = int(ledger.totals[0]["accounts"])
    (account,) = [slot for slot in range(used) if ledger.accounts[slot]["first_parcel"] != NO_SLOT]
    venue.done(Deliver(venue.done(Redeem("ANN", "DEEP", 2, "r-1"), "ANN")))
    ledger = venue.engine.core.ledger
    assert ledger.accounts[account]["first_parcel"] == NO_SLOT
    assert int(ledger.totals[0]["accounts"]) == used


def test_a_busted_trade_with_a_related_group_cancels_no_open_order():
    venue = MoneyVenue()
    venue.give("DAN", 1, "DEEP", 99)
    venue.sell("DAN", 1, "DEEP", 99)
    bid = venue.buy("ANN", 2, "DEEP", 99, last="day", programme="DEDUCT")
    assert venue.two(Bust(bid.trades[0].trade)) == RejectReason.NONE
    assert venue.told(FindRelated("ANN", "DAN")).said == []
    assert venue.budget("DEDUCT") == Budget(99_951, 49, 0, 0)
    assert venue.debt("ANN") == 0


@pytest.mark.parametrize(("provider", "meter"), [("FAR", "DEEP"), ("YUN", "GPT")])
def test_a_meter_has_one_provider_whichever_name_comes_first(provider, meter):
    other = replace(DEEP_WINTER, symbol="OTHER", provider=provider, redeemed_as=meter)
    told = MoneyVenue().act(ListInstruments((other,)))
    assert (told.reason, told.value) == (RejectReason.TERMS_INVALID, f"OTHER, meter: {meter}")


@pytest.mark.parametrize("reference", [-1, 1])
def test_one_reference_price_is_not_every_markets(reference):
    halt = SetPhase("", "halted", reference=reference)
    assert MoneyVenue().refused(halt) == RejectReason.UNKNOWN_INSTRUMENT


def changed(venue: MoneyVenue, member: str, side: Side, order: int, lots: int, price: int) -> RejectReason:
    """Replace an order for TASK by another total and price; return why it is refused, or NONE."""
    command = venue.new(member, side, lots, "TASK", price)
    return venue.ask(command._replace(kind=CommandKind.REPLACE, order=order, client_id=b"")).reason


def test_limits_bind_of_a_replaced_order_only_what_grows():
    venue = MoneyVenue()
    order = venue.buy("ANN", 10, "TASK", 1_000).order
    venue.done(SetLimits(member="ANN", notional_max=5_000, turnover_max=5_000))
    assert changed(venue, "ANN", Side.BUY, order, 10, 1_001) == RejectReason.NOTIONAL_ABOVE_LIMIT
    assert changed(venue, "ANN", Side.BUY, order, 11, 1_000) == RejectReason.NOTIONAL_ABOVE_LIMIT
    assert changed(venue, "ANN", Side.BUY, order, 20, 500) == RejectReason.NONE  # as much as before
    assert changed(venue, "ANN", Side.BUY, order, 19, 500) == RejectReason.NONE
    assert changed(venue, "ANN", Side.BUY, order, 9, 1_000) == RejectReason.NONE


@pytest.mark.parametrize(("lots", "reason"), [(20, RejectReason.NONE), (21, RejectReason.TURNOVER_AT_LIMIT)])
def test_a_replaced_order_may_bring_a_day_to_its_turnover_and_not_beyond(lots, reason):
    venue = MoneyVenue()
    venue.bought("ANN", 10, "TASK", 1_000)
    order = venue.buy("ANN", 10, "TASK", 1_000).order
    venue.done(SetLimits(member="ANN", turnover_max=30_000))
    assert changed(venue, "ANN", Side.BUY, order, lots, 1_000) == reason


@pytest.mark.parametrize(
    ("above", "reason"), [(0, RejectReason.NOTIONAL_ABOVE_LIMIT), (1, RejectReason.NOTIONAL_TOO_LARGE)]
)
def test_what_a_replaced_order_has_traded_counts_for_the_largest_amount_that_there_is(above, reason):
    """What it has sold and what it would still sell come to the most that there is, or to a hao more."""
    venue = MoneyVenue()
    price = NOTIONAL_MAX // QUANTITY_MAX
    venue.done(Deposit("ANN", 100_000))
    venue.done(SetLimits(member="YUN", quantity_max=QUANTITY_MAX))
    order = venue.sell("YUN", 2, "TASK", price + above).order
    assert venue.buy("ANN", 1, "TASK", price + above).trades
    assert changed(venue, "YUN", Side.SELL, order, QUANTITY_MAX, price) == reason
