"""Programmes pay part of what firms buy: reserve at entry, pay at the trade, release the rest.

At every moment `uncommitted + reserved + paid + vested = budget`, none negative. What is paid is a
share of the order's cumulative amount, so that how an order is split into fills never changes it.
"""

from __future__ import annotations

import numpy as np

from matching.kernel import kernel
from matching.layout import Row
from matching.places import empty_places, find, remember
from matching.vocabulary import NO_SLOT, RejectReason, Side, TimeInForce
from settlement.balances import share
from settlement.classes import RATES, rate_index
from settlement.layout import Ledger

_PROGRAMMES_MAX = 1 << 24

place_of_rate = kernel(rate_index)
"""`rate_index`, for kernels."""


@kernel
def rate_for(ledger: Ledger, programme: int, member: int, instrument: int) -> int:
    """Return a programme's rate, in basis points, for this firm and this instrument; 0: not eligible."""
    firm = ledger.members[member]
    listing = ledger.listings[instrument]
    regions = ledger.programmes[programme].regions
    if regions != 0 and (regions >> firm.region) & 1 == 0:
        return 0
    place = place_of_rate(firm.firm_size, listing.kind, listing.domestic, listing.filed)
    return ledger.rates[RATES * programme + place]


@kernel
def barred(ledger: Ledger, order: Row, now: int) -> int:
    """Return why no programme may pay for this order, or NONE. One line a rule."""
    if not 0 <= order.programme < ledger.totals[0].programmes:
        return RejectReason.UNKNOWN_PROGRAMME
    if order.side != Side.BUY:
        return RejectReason.PROGRAMME_SELL
    if order.time_in_force == TimeInForce.GTC or order.time_in_force == TimeInForce.GTD:
        return RejectReason.PROGRAMME_OUTLASTS_DAY
    programme = ledger.programmes[order.programme]
    if now < programme.valid_from or now >= programme.valid_until:
        return RejectReason.PROGRAMME_NOT_VALID_NOW
    if rate_for(ledger, order.programme, order.member, order.instrument) == 0:
        return RejectReason.PROGRAMME_NOT_ELIGIBLE
    provider = ledger.listings[order.instrument].provider
    if ledger.members[provider].group == ledger.members[order.member].group:
        return RejectReason.PROGRAMME_OWN_PROVIDER
    return RejectReason.NONE


@kernel
def usage_key(group: int, programme: int) -> int:
    """Return the id under which what a group has used of a programme is noted."""
    return int(group) * _PROGRAMMES_MAX + int(programme)  # those of rows are 32 bits wide


@kernel
def usage_of(ledger: Ledger, programme: int, group: int) -> int:
    """Return the slot of what a group has used of a programme, opening it if there is none."""
    key = usage_key(group, programme)
    slot = find(ledger.usage_places, key)
    if slot == NO_SLOT:
        totals = ledger.totals[0]
        slot = totals.usages
        totals.usages = slot + 1
        usage = ledger.usages[slot]
        usage.programme = programme
        usage.group = group
        remember(ledger.usage_places, key, slot)
    return slot


@kernel
def cover_for(ledger: Ledger, programme_index: int, usage_index: int, quantity: int) -> int:
    """Return how many of `quantity` lots the caps in lots leave."""
    programme = ledger.programmes[programme_index]
    cover = quantity
    if programme.order_lots > 0:
        cover = min(cover, programme.order_lots)
    if programme.group_lots > 0:
        cover = min(cover, programme.group_lots - ledger.usages[usage_index].lots)
    return max(cover, 0)


@kernel
def plan(ledger: Ledger, stake: Row, order: Row) -> int:
    """Note in `stake` what a programme will pay for a buy at most; return that, in hao.

    S = min(share(min(L, C) x cover, rate), order cap, what the group's cap leaves, uncommitted),
    where C is the list price and the programme's ceiling on it.
    """
    programme = ledger.programmes[order.programme]
    member = ledger.members[order.member]
    stake.programme = order.programme
    stake.usage = usage_of(ledger, order.programme, member.group)
    stake.rate = rate_for(ledger, order.programme, order.member, order.instrument)
    stake.cover = cover_for(ledger, order.programme, stake.usage, order.quantity)
    list_price = ledger.listings[order.instrument].list_price
    stake.covered_price = min(order.price, list_price + share(list_price, programme.ceiling))
    used = ledger.usages[stake.usage].money
    full = share(stake.covered_price * stake.cover, stake.rate)
    most = min(full, programme.order_cap)
    most = min(most, programme.group_cap - used, programme.uncommitted)
    stake.subsidy_max = most
    stake.reserved = most
    return most


@kernel
def reserve(ledger: Ledger, stake: Row) -> None:
    """Take what was planned out of the budget, and count it and its lots against the group's caps."""
    programme = ledger.programmes[stake.programme]
    programme.uncommitted -= stake.reserved
    programme.reserved += stake.reserved
    usage = ledger.usages[stake.usage]
    usage.money += stake.reserved
    usage.lots += stake.cover


@kernel
def give_back(ledger: Ledger, stake: Row, amount: int) -> None:
    """Release `amount` of what is reserved for an order."""
    programme = ledger.programmes[stake.programme]
    programme.reserved -= amount
    programme.uncommitted += amount
    ledger.usages[stake.usage].money -= amount
    stake.reserved -= amount


@kernel
def pay(ledger: Ledger, stake: Row, price: int, quantity: int) -> int:
    """Pay the programme's part of a fill, release what the rest no longer needs; return what was paid."""
    part = min(quantity, stake.cover)
    stake.cover -= part
    stake.covered_gross += min(price, stake.covered_price) * part
    earned = min(share(stake.covered_gross, stake.rate), stake.subsidy_max)
    paid = earned - stake.paid
    programme = ledger.programmes[stake.programme]
    programme.reserved -= paid
    programme.paid += paid
    stake.paid = earned
    stake.reserved -= paid
    keep_reserved(ledger, stake)
    return paid


@kernel
def keep_reserved(ledger: Ledger, stake: Row) -> None:
    """Release what is reserved for an order beyond what its covered lots can still earn."""
    to_come = stake.covered_gross + stake.covered_price * stake.cover
    keep = min(share(to_come, stake.rate), stake.subsidy_max) - stake.paid
    give_back(ledger, stake, stake.reserved - keep)


@kernel
def narrow(ledger: Ledger, stake: Row, leaves: int) -> None:
    """Release, in money and in lots, what is reserved for lots beyond those that an order leaves."""
    if stake.cover > leaves:
        ledger.usages[stake.usage].lots -= stake.cover - leaves
        stake.cover = leaves
    keep_reserved(ledger, stake)


@kernel
def note_all_usages(ledger: Ledger, places: np.ndarray) -> None:
    """Fill `places` with what every group has used of every programme."""
    for slot in range(ledger.totals[0].usages):
        usage = ledger.usages[slot]
        remember(places, usage_key(usage.group, usage.programme), slot)


def note_usages(ledger: Ledger) -> Ledger:
    """Return the ledger with a table twice as large from group and programme to usage."""
    places = empty_places(2 * len(ledger.usage_places))
    note_all_usages(ledger, places)
    return ledger._replace(usage_places=places)
