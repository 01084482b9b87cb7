"""The rows of the ledger in memory: one dtype each, and the tuple of arrays that is its whole state.

Money is int64 in hao, credits are int64 in lots. Asset 0 is money; asset `i + 1` is the credits of
instrument `i`. Member 0 is the house: its accounts take the other side of deposits, issues and fees.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

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
        ("debt", "<i8"),
        ("member", "<i4"),
        ("asset", "<i4"),
    ]
)
"""What one member has of one asset: free, reserved by open orders, and bought with a subsidy."""

MEMBER = np.dtype(
    [
        ("open_orders", "<i8"),
        ("open_orders_max", "<i8"),
        ("quantity_max", "<i8"),
        ("notional_max", "<i8"),
        ("turnover", "<i8"),
        ("turnover_max", "<i8"),
        ("group", "<i4"),
        ("region", "<i4"),
        ("role", "u1"),
        ("firm_size", "u1"),
        ("domestic_only", "u1"),
        ("blocked", "u1"),
        ("money", "<i4"),
    ]
)
"""What the engine knows of a member. `money` is the slot of its money account; turnover is the day's."""

LISTING = np.dtype(
    [
        ("list_price", "<i8"),
        ("capacity", "<i8"),
        ("issued", "<i8"),
        ("provider", "<i4"),
        ("kind", "u1"),
        ("domestic", "u1"),
        ("filed", "u1"),
        ("unused", "u1"),
    ]
)
"""What the ledger knows of an instrument: its provider, and how much credit it may and did issue."""

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
    ]
)
"""One programme in one fiscal year: its budget's four states, and what its terms limit. Money in hao,
caps in hao and lots, `ceiling` in basis points of the list price, `regions` a bit a region, times in ns."""

USAGE = np.dtype([("money", "<i8"), ("lots", "<i8"), ("programme", "<i4"), ("group", "<i4")])
"""What one group has used of one programme: reserved and paid together."""

STAKE = np.dtype(
    [
        ("price", "<i8"),
        ("filled", "<i8"),
        ("held", "<i8"),
        ("fees", "<i8"),
        ("maker_gross", "<i8"),
        ("taker_gross", "<i8"),
        ("subsidy_max", "<i8"),
        ("covered_gross", "<i8"),
        ("paid", "<i8"),
        ("reserved", "<i8"),
        ("cover", "<i8"),
        ("covered_price", "<i8"),
        ("client_id", "<i8", (3,)),
        ("money", "<i4"),
        ("credits", "<i4"),
        ("programme", "<i4"),
        ("usage", "<i4"),
        ("rate", "<i4"),
        ("memo", "<i4"),
        ("maker_fee", "<i4"),
        ("taker_fee", "<i4"),
        ("type", "u1"),
        ("unused", "u1", (7,)),
    ]
)
"""What an order has at stake; one row beside each row of the book's orders, at the same slot.

`price` is its limit, and `filled` the lots that it has traded. `held` is of money (a buy) or credits (a
sell); gross amounts stand apart as maker and as taker; `subsidy_max` is S of the programme's rule, `cover`
the subsidised lots still to come, `covered_price` min(limit, C), and C the list price and its ceiling.
`maker_fee`, `taker_fee` and `rate` are basis points, fixed at entry."""

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
        ("unused", "u1", (4,)),
    ]
)
"""What an event means in money; one row beside each row of the book's events, at the same index.

`filled`, `gross` (price x quantity over its fills) and `paid` (by its programme) are the order's totals
after the event, `fee` what this event charged it; the same of the maker. `subsidy` is what a programme
paid at this trade, or reserved at this acceptance. `trade` numbers trades from 1, `entry` ledger
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
        ("unused", "<i4"),
    ]
)
"""How many rows of each table are in use, the last numbers given to entries and trades, and the money, in
hao, that deposits and programmes have brought in: all balances together never exceed it."""


class Ledger(NamedTuple):
    """Balances, programmes and what orders have at stake, of all members. `rates` has `RATES` a programme."""

    accounts: np.ndarray
    account_places: np.ndarray
    members: np.ndarray
    listings: np.ndarray
    fees: np.ndarray
    programmes: np.ndarray
    rates: np.ndarray
    usages: np.ndarray
    usage_places: np.ndarray
    stakes: np.ndarray
    totals: np.ndarray


def empty_ledger(orders: int) -> Ledger:
    """Return a ledger with nothing in it, and `orders` rows for what orders have at stake."""
    return Ledger(
        accounts=np.zeros(256, ACCOUNT),
        account_places=empty_places(512),
        members=np.zeros(16, MEMBER),
        listings=np.zeros(16, LISTING),
        fees=np.zeros(3, FEES),
        programmes=np.zeros(4, PROGRAMME),
        rates=np.zeros(4 * RATES, np.int32),
        usages=np.zeros(64, USAGE),
        usage_places=empty_places(128),
        stakes=np.zeros(orders, STAKE),
        totals=np.zeros(1, TOTALS),
    )


NO_PROGRAMME = NO_SLOT
"""An order that names no programme."""
