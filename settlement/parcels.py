"""Parcels: the restricted credits that a subsidised order brings, and the trades that they came from.

An order's parcel is opened with the order, joins its account's chain with the first fill, and is given
up if the order ends without one. Legs tell of each trade who sold, for what may be found out later.
"""

from __future__ import annotations

from matching.kernel import kernel
from matching.layout import Row
from matching.vocabulary import NO_SLOT
from settlement.layout import RECENT_TRADES, Ledger

_RECENT_MASK = RECENT_TRADES - 1


@kernel
def open_parcel(ledger: Ledger, draft: Row, order: int, account: int) -> int:
    """Keep what was drafted for an order; return the slot of its parcel."""
    totals = ledger.totals[0]
    slot = int(totals.parcels_free)
    if slot == NO_SLOT:
        slot = int(totals.parcels)
        totals.parcels = slot + 1
    else:
        totals.parcels_free = ledger.parcels[slot].behind
    ledger.parcels[slot] = draft
    parcel = ledger.parcels[slot]
    parcel.order = order
    parcel.account = account
    return slot


@kernel
def add_leg(ledger: Ledger, slot: int, trade: int, gross: int, lots: int, seller: int) -> int:
    """Note one more trade of a parcel's order, its covered part in hao and lots; return the leg's slot."""
    totals = ledger.totals[0]
    parcel = ledger.parcels[slot]
    if parcel.last_leg == NO_SLOT:
        join_account(ledger, slot)
    leg_slot = int(totals.legs)
    totals.legs = leg_slot + 1
    leg = ledger.legs[leg_slot]
    leg.trade = trade
    leg.gross = gross
    leg.lots = lots
    leg.parcel = slot
    leg.seller = seller
    leg.ahead = parcel.last_leg
    parcel.last_leg = leg_slot
    return leg_slot


@kernel
def join_account(ledger: Ledger, slot: int) -> None:
    """Let a parcel stand last among those of its account."""
    account = ledger.accounts[ledger.parcels[slot].account]
    if account.last_parcel == NO_SLOT:
        account.first_parcel = slot
    else:
        ledger.parcels[account.last_parcel].behind = slot
    account.last_parcel = slot


@kernel
def close_parcel(ledger: Ledger, slot: int) -> None:
    """Note that a parcel's order has ended, nothing being reserved; one without lots is given up."""
    parcel = ledger.parcels[slot]
    parcel.is_open = 0
    if parcel.last_leg == NO_SLOT:
        totals = ledger.totals[0]
        parcel.behind = totals.parcels_free
        totals.parcels_free = slot


@kernel
def note_trade(ledger: Ledger, event: Row, buyer: int, seller: int) -> Row:
    """Keep a trade among the latest ones; return its row, to which its fees and its leg are still to come."""
    trade = ledger.totals[0].trades
    recent = ledger.recents[trade & _RECENT_MASK]
    recent.trade = trade
    recent.price = event.price
    recent.quantity = event.quantity
    recent.buyer = buyer
    recent.seller = seller
    recent.instrument = event.instrument
    recent.leg = NO_SLOT
    return recent
