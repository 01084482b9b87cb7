"""The rows of the ledger in memory: one dtype each, and the tuple of arrays that is its whole state.

Money is int64 in hao, credits are int64 in lots. Asset 0 is money; asset `i + 1` is the credits of
instrument `i`. Member 0 is the house: its accounts take the other side of deposits, issues and fees.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from matching.layout import zeros
from matching.places import empty_places
from matching.vocabulary import NO_SLOT
from settlement.classes import RATES

MONEY = 0
"""The asset that is money."""

HOUSE = 0
"""The member that is the venue itself."""

ACCOUNT = np.dtype(
    [
        ("available", "<i8"),
        ("held", "<i8"),
        ("restricted", "<i8"),
        ("redeeming", "<i8"),
        ("debt", "<i8"),
        ("member", "<i4"),
        ("asset", "<i4"),
        ("first_parcel", "<i4"),
        ("last_parcel", "<i4"),
        ("unused", "<i8"),
    ]
)
"""What one member has of one asset, a cache line: free, held by open orders, bought with a subsidy, set aside
by open redemptions; of money, what it owes to programmes. Restricted credits stand in parcels, oldest
first."""

MEMBER = np.dtype(
    [
        ("open_orders", "<i4"),
        ("open_orders_max", "<i4"),
        ("quantity_max", "<i8"),
        ("notional_max", "<i8"),
        ("turnover", "<i8"),
        ("turnover_max", "<i8"),
        ("regions", "<i8"),
        ("group", "<i4"),
        ("money", "<i4"),
        ("role", "u1"),
        ("firm_size", "u1"),
        ("domestic_only", "u1"),
        ("blocked", "u1"),
        ("is_barred", "u1"),
        ("unused", "u1", (3,)),
    ]
)
"""What the engine knows of a member, a cache line. `money` is the slot of its money account; turnover is the
day's; `regions` has a bit for the region of its seat and for each of its districts."""

GROUP = np.dtype([("debt", "<i8")])
"""What the members of one group owe to programmes, in hao."""

LISTING = np.dtype(
    [
        ("list_price", "<i8"),
        ("capacity", "<i8"),
        ("issued", "<i8"),
        ("redeemed", "<i8"),
        ("expired", "<i8"),
        ("provider", "<i4"),
        ("kind", "u1"),
        ("domestic", "u1"),
        ("filed", "u1"),
        ("is_shared", "u1"),
    ]
)
"""What the ledger knows of an instrument: its provider, how much credit may be issued of it, and how much
was issued, redeemed and expired: issued - redeemed - expired is what all members hold."""

ISSUER = np.dtype([("instrument", "<i4"), ("member", "<i4")])
"""A member that may issue an instrument beside its provider; the instrument's `is_shared` is then set."""

FEES = np.dtype([("maker", "<i8"), ("taker", "<i8")])
"""Basis points of an order's amount as maker and as taker; one row a kind of instrument."""

PROGRAMME = np.dtype(
    [
        ("budget", "<i8"),
        ("uncommitted", "<i8"),
        ("reserved", "<i8"),
        ("paid", "<i8"),
        ("vested", "<i8"),
        ("ceiling", "<i8"),
        ("order_cap", "<i8"),
        ("group_cap", "<i8"),
        ("order_lots", "<i8"),
        ("group_lots", "<i8"),
        ("valid_from", "<i8"),
        ("valid_until", "<i8"),
        ("regions", "<i8"),
        ("fiscal_year", "<i4"),
        ("terms_version", "<i4"),
        ("payout", "u1"),
        ("exhaustion", "u1"),
        ("unredeemed", "u1"),
        ("names_instruments", "u1"),
        ("excludes", "u1"),
        ("closed", "u1"),
        ("enrols", "u1"),
        ("unused", "u1"),
    ]
)
"""One programme in one fiscal year: its budget's four states, and what its terms limit. Money in hao,
caps in hao and lots, `ceiling` in basis points of the list price, `regions` a bit a region, times in ns.
`payout`, `exhaustion` and `unredeemed` are codes of their own; the rest are flags."""


class Payout(IntEnum):
    """When a programme pays: at the trade, as credits are redeemed, or by an award."""

    DEDUCT = 0
    REIMBURSE = 1
    AWARD = 2


class Exhaustion(IntEnum):
    """What happens as a budget ends: first come, first served; or all claims share it at year's end."""

    FIRST_COME = 0
    PRO_RATA = 1


class Unredeemed(IntEnum):
    """What becomes of what was paid for credits that expire: it stays paid, or is the firm's debt."""

    PAID = 0
    DEBT = 1


BARRED = np.dtype([("member", "<i4"), ("programme", "<i4")])
"""A member that was found ineligible for a programme; the member's `is_barred` is then set."""

EXCLUSION = np.dtype([("programme", "<i4"), ("other", "<i4")])
"""Two programmes of one year that one group may not both use; each such pair stands here both ways."""

USAGE = np.dtype(
    [("money", "<i8"), ("lots", "<i8"), ("measured", "<i8"), ("programme", "<i4"), ("group", "<i4")]
)
"""What one group has used of one programme: reserved, claimed and paid together. Of an award, `measured`
is the list price, in hao, of what the group has redeemed in the programme's year."""

PARCEL = np.dtype(
    [
        ("order", "<i8"),
        ("subsidy_max", "<i8"),
        ("reserved", "<i8"),
        ("gross", "<i8"),
        ("earned", "<i8"),
        ("cover", "<i8"),
        ("covered_filled", "<i8"),
        ("covered_price", "<i8"),
        ("ceiling_price", "<i8"),
        ("lots", "<i8"),
        ("redeemed", "<i8"),
        ("vested", "<i8"),
        ("claimed", "<i8"),
        ("programme", "<i4"),
        ("usage", "<i4"),
        ("account", "<i4"),
        ("behind", "<i4"),
        ("last_leg", "<i4"),
        ("terms_version", "<i4"),
        ("rate", "<i4"),
        ("is_open", "u1"),
        ("unused", "u1", (3,)),
    ]
)
"""What a programme does for one order, and the restricted lots that the order brought.

While the order is open, `subsidy_max` is S of the programme's rule, `reserved` what of it may still come
by trades, `cover` the subsidised lots still to come, `covered_price` min(limit, C), and `ceiling_price` C.
`gross` and `covered_filled` are of its covered fills, `earned` is E: paid at the trade (deduct), owed as
lots are redeemed and held in `reserved` of the programme (reimburse), or a claim to come (pro rata).
`lots` are all lots of the order, `redeemed` those of them that are; `vested` is what that has vested,
`claimed` what it has claimed of a pro-rata programme. `behind` is the account's next parcel, or the next
freed one."""

LEG = np.dtype(
    [
        ("trade", "<i8"),
        ("gross", "<i8"),
        ("lots", "<i8"),
        ("parcel", "<i4"),
        ("seller", "<i4"),
        ("ahead", "<i4"),
        ("unused", "<i4"),
    ]
)
"""One trade of a parcel's order: what of it was covered, in hao and lots, and who sold. `ahead` is the
parcel's leg before."""

RECENT = np.dtype(
    [
        ("trade", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("buyer_fee", "<i8"),
        ("seller_fee", "<i8"),
        ("buyer", "<i4"),
        ("seller", "<i4"),
        ("instrument", "<i4"),
        ("leg", "<i4"),
        ("unused", "<i8"),
    ]
)
"""One of the latest trades, which may still be busted; then its quantity is 0. `leg` is its subsidy's."""

RECENT_TRADES = 2**16
"""How many of the latest trades are kept: each at the row of its number modulo this."""

STAKE = np.dtype(
    [
        ("price", "<i8"),
        ("held", "<i8"),
        ("filled", "<i8"),
        ("fees", "<i8"),
        ("maker_gross", "<i8"),
        ("taker_gross", "<i8"),
        ("money", "<i4"),
        ("credits", "<i4"),
        ("parcel", "<i4"),
        ("maker_fee", "<i2"),
        ("taker_fee", "<i2"),
        ("client_id", "<i8", (3,)),
        ("memo", "<i4"),
        ("type", "u1"),
        ("unused", "u1", (3,)),
        ("spare", "<i8", (4,)),
    ]
)
"""What an order has at stake, two cache lines; one row beside each row of the book's orders.

`price` is its limit or protection price, and `filled` the lots that it has traded. `held` is of money (a
buy) or credits (a sell); gross amounts stand apart as maker and as taker. `maker_fee` and `taker_fee` are
basis points, fixed at entry. An order that a programme pays for has a parcel."""

EFFECT = np.dtype(
    [
        ("sequence", "<i8"),
        ("time", "<i8"),
        ("entry", "<i8"),
        ("trade", "<i8"),
        ("filled", "<i8"),
        ("gross", "<i8"),
        ("paid", "<i8"),
        ("fee", "<i8"),
        ("maker_filled", "<i8"),
        ("maker_gross", "<i8"),
        ("maker_paid", "<i8"),
        ("maker_fee", "<i8"),
        ("subsidy", "<i8"),
        ("detail", "<i8"),
        ("client_id", "<i8", (3,)),
        ("maker_client_id", "<i8", (3,)),
        ("member", "<i4"),
        ("maker_member", "<i4"),
        ("programme", "<i4"),
        ("maker_programme", "<i4"),
        ("type", "u1"),
        ("time_in_force", "u1"),
        ("state", "u1"),
        ("maker_state", "u1"),
        ("terms_version", "<i4"),
    ]
)
"""What an event means in money; one row beside each row of the book's events, at the same index.

`filled`, `gross` (price x quantity over its fills) and `paid` (E: by its programme, at the trade or later)
are the order's totals after the event, `fee` what this event charged it; the same of the maker. `subsidy`
is what a programme paid at this trade, or reserves after an acceptance or a replacement; `terms_version`
is of the terms by which it does. `trade` numbers trades from 1, `entry` ledger
entries; both are 0 where there is none. `detail` is the number that a refusal speaks of. Client ids are
24 bytes, here three words, for kernels know no text; `client_ids` reads them."""


def client_ids(words: np.ndarray) -> np.ndarray:
    """Return the client ids (dtype S24, ASCII) of rows of three words each."""
    return np.ascontiguousarray(words).view("S24").reshape(len(words))


TOTALS = np.dtype(
    [
        ("entries", "<i8"),
        ("trades", "<i8"),
        ("brought_in", "<i8"),
        ("accounts", "<i4"),
        ("usages", "<i4"),
        ("members", "<i4"),
        ("listings", "<i4"),
        ("programmes", "<i4"),
        ("groups", "<i4"),
        ("exclusions", "<i4"),
        ("parcels", "<i4"),
        ("parcels_free", "<i4"),
        ("legs", "<i4"),
        ("issuers", "<i4"),
        ("barred", "<i4"),
    ]
)
"""How many rows of each table are in use, the last numbers given to entries and trades, and the money, in
hao, that deposits and programmes have brought in: all balances together never exceed it."""


class Ledger(NamedTuple):
    """Balances, programmes and what orders have at stake, of all members. `rates` has `RATES` a programme.

    `included` finds the instruments that a programme names, `enrolled` the members that are enrolled in one.
    """

    accounts: np.ndarray
    account_places: np.ndarray
    members: np.ndarray
    listings: np.ndarray
    issuers: np.ndarray
    fees: np.ndarray
    programmes: np.ndarray
    rates: np.ndarray
    included: np.ndarray
    enrolled: np.ndarray
    exclusions: np.ndarray
    barred: np.ndarray
    groups: np.ndarray
    usages: np.ndarray
    usage_places: np.ndarray
    parcels: np.ndarray
    legs: np.ndarray
    recents: np.ndarray
    stakes: np.ndarray
    totals: np.ndarray


def empty_ledger(orders: int) -> Ledger:
    """Return a ledger with nothing in it, and `orders` rows for what orders have at stake."""
    totals = np.zeros(1, TOTALS)
    totals["parcels_free"] = NO_SLOT
    return Ledger(
        accounts=zeros(256, ACCOUNT),
        account_places=empty_places(512),
        members=zeros(16, MEMBER),
        listings=np.zeros(16, LISTING),
        issuers=np.zeros(4, ISSUER),
        fees=np.zeros(3, FEES),
        programmes=np.zeros(4, PROGRAMME),
        rates=np.zeros(4 * RATES, np.int32),
        included=empty_places(64),
        enrolled=empty_places(64),
        exclusions=np.zeros(4, EXCLUSION),
        barred=np.zeros(4, BARRED),
        groups=np.zeros(16, GROUP),
        usages=np.zeros(64, USAGE),
        usage_places=empty_places(128),
        parcels=np.zeros(64, PARCEL),
        legs=np.zeros(64, LEG),
        recents=np.zeros(RECENT_TRADES, RECENT),
        stakes=zeros(orders, STAKE),
        totals=totals,
    )


NO_PROGRAMME = NO_SLOT
"""An order that names no programme."""
