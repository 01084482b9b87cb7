"""Edges of balances, parcels and programmes that a mutant of theirs once crossed unseen."""

from __future__ import annotations

from itertools import product

import pytest

from matching.vocabulary import NO_SLOT
from settlement.balances import account_key, share
from settlement.layout import RECENT_TRADES, Exhaustion, Payout, empty_ledger
from settlement.parcels import _RECENT_MASK
from settlement.redeeming import pass_over_spent
from settlement.reversing import Lost, reckon

MEMBERS = (0, 1, 2, 24, 25, 1_000, 2**31 - 1)
ASSETS = (0, 1, 24, 25, 26, 1_000, 2**23, 2**24 - 1)


def test_no_two_members_share_the_account_of_any_asset():
    """Two members' accounts of two assets would be one if their keys were."""
    keys = {account_key(member, asset) for member, asset in product(MEMBERS, ASSETS)}
    assert len(keys) == len(MEMBERS) * len(ASSETS)


def test_each_of_the_latest_trades_has_a_row_of_its_own():
    """A bust looks a trade up there: two trades in one row would be one trade."""
    rows = {trade & _RECENT_MASK for trade in range(RECENT_TRADES)}
    assert (len(rows), min(rows), max(rows)) == (RECENT_TRADES, 0, RECENT_TRADES - 1)


@pytest.mark.parametrize(
    ("amount", "rate", "share_of_it"),
    [
        (0, 10_000, 0),
        (1, 9_999, 0),
        (1, 10_000, 1),
        (9_999, 1, 0),
        (10_000, 1, 1),
        (19_999, 1, 1),
        (20_000, 1, 2),
        (12_345, 250, 308),
        (9_223_372_036_854_775_807, 10_000, 9_223_372_036_854_775_807),
        (9_223_372_036_854_775_807, 9_999, 9_222_449_699_651_090_329),
    ],
)
def test_a_share_is_whole_hao_rounded_down_without_leaving_int64(amount, rate, share_of_it):
    assert amount * rate // 10_000 == share_of_it
    assert share(amount, rate) == share_of_it


@pytest.mark.parametrize(
    ("parcels", "first", "last"),
    [
        ([(5, 5, 0), (3, 1, 0)], 1, 1),  # the spent one is passed over
        ([(5, 5, 1), (3, 1, 0)], 0, 1),  # more lots may still come into it: it stays
        ([(5, 4, 0), (3, 3, 0)], 0, 1),
        ([(5, 5, 0), (3, 3, 1)], 1, 1),
        ([(5, 5, 0), (3, 3, 0)], NO_SLOT, NO_SLOT),
    ],
)
def test_a_chain_begins_with_the_first_parcel_that_has_lots_or_may_still_get_some(parcels, first, last):
    """Of each parcel: its lots, those redeemed, and whether its order is open."""
    ledger = empty_ledger(1)
    for slot, (lots, redeemed, is_open) in enumerate(parcels):
        row = ledger.parcels[slot]
        row["lots"], row["redeemed"], row["is_open"] = lots, redeemed, is_open
        row["behind"] = slot + 1 if slot + 1 < len(parcels) else NO_SLOT
    ledger.accounts[1]["first_parcel"], ledger.accounts[1]["last_parcel"] = 0, len(parcels) - 1
    pass_over_spent(ledger, 1)
    assert (ledger.accounts[1]["first_parcel"], ledger.accounts[1]["last_parcel"]) == (first, last)


@pytest.mark.parametrize(
    ("cover", "payout", "kept", "lost", "given_back"),
    [
        (10, Payout.DEDUCT, 300, Lost(paid=120, vested=0, released=0), 0),
        (9, Payout.DEDUCT, 270, Lost(paid=120, vested=0, released=30), 30),
        (0, Payout.DEDUCT, 0, Lost(paid=120, vested=0, released=300), 300),
        (9, Payout.REIMBURSE, 270, Lost(paid=0, vested=0, released=30), 150),
    ],
)
def test_an_open_order_that_loses_a_trade_keeps_reserved_what_it_can_still_need(
    cover, payout, kept, lost, given_back
):
    """30 % of 100 hao a lot: of ten lots that traded four are busted, and `cover` more may still come."""
    ledger = empty_ledger(1)
    parcel, programme = ledger.parcels[0], ledger.programmes[0]
    parcel["rate"], parcel["covered_price"], parcel["cover"] = 3_000, 100, cover
    parcel["earned"], parcel["reserved"], parcel["subsidy_max"], parcel["gross"] = 300, 300, 600, 600
    programme["payout"], programme["exhaustion"] = payout, Exhaustion.FIRST_COME
    programme["reserved"], programme["uncommitted"] = 1_000, 5_000
    ledger.usages[0]["money"] = 600
    assert reckon(ledger, 0) == lost
    assert (parcel["earned"], parcel["reserved"], parcel["subsidy_max"]) == (180, kept, 480)
    assert (programme["reserved"], programme["uncommitted"]) == (1_000 - given_back, 5_000 + given_back)
    assert ledger.usages[0]["money"] == 180 + kept
