"""Programmes pay part of what firms buy: reserve at entry, pay at the trade or later, release the rest.

At every moment `uncommitted + reserved + paid + vested = budget`, none negative. What an order earns is a
share of its cumulative amount, so that how it is split into fills never changes it. What a programme does
for one order stands in a parcel, which outlives the order with the restricted credits that it brought.
"""

from __future__ import annotations

import numpy as np

from matching.kernel import kernel
from matching.layout import Row
from matching.places import empty_places, find, remember
from matching.vocabulary import NO_SLOT, RejectReason, Side, TimeInForce
from settlement.balances import share
from settlement.classes import RATES, rate_index
from settlement.layout import Exhaustion, Ledger, Payout

_PROGRAMMES_MAX = 1 << 24

place_of_rate = kernel(rate_index)
"""`rate_index`, for kernels."""


@kernel
def inclusion_key(instrument: int, programme: int) -> int:
    """Return the id under which it is noted that a programme names an instrument, or enrols a member."""
    return int(instrument) * _PROGRAMMES_MAX + int(programme)  # those of rows are 32 bits wide


@kernel
def rate_for(ledger: Ledger, programme: int, member: int, instrument: int) -> int:
    """Return a programme's rate, in basis points, for this firm and this instrument; 0: not eligible."""
    firm = ledger.members[member]
    listing = ledger.listings[instrument]
    terms = ledger.programmes[programme]
    if terms.regions != 0 and terms.regions & firm.regions == 0:
        return 0
    key = inclusion_key(instrument, programme)
    if terms.names_instruments != 0 and find(ledger.included, key) == NO_SLOT:
        return 0
    place = place_of_rate(firm.firm_size, listing.kind, listing.domestic, listing.filed)
    return ledger.rates[RATES * programme + int(place)]


@kernel
def is_own(ledger: Ledger, instrument: int, group: int) -> bool:
    """Tell whether a group holds the instrument's provider, or another that may issue it."""
    listing = ledger.listings[instrument]
    if ledger.members[listing.provider].group == group:
        return True
    if listing.is_shared != 0:
        for row in range(ledger.totals[0].issuers):
            issuer = ledger.issuers[row]
            if issuer.instrument == instrument and ledger.members[issuer.member].group == group:
                return True
    return False


@kernel
def is_excluded(ledger: Ledger, programme: int, group: int) -> bool:
    """Tell whether a group has used a programme that rules this one out."""
    for row in range(ledger.totals[0].exclusions):
        pair = ledger.exclusions[row]
        if pair.programme == programme:
            usage = find(ledger.usage_places, usage_key(group, pair.other))
            if usage != NO_SLOT and (ledger.usages[usage].money != 0 or ledger.usages[usage].lots != 0):
                return True
    return False


@kernel
def is_barred(ledger: Ledger, programme: int, member: int) -> bool:
    """Tell whether a member was found ineligible for a programme."""
    if ledger.members[member].is_barred == 0:
        return False
    for row in range(ledger.totals[0].barred):
        pair = ledger.barred[row]
        if pair.member == member and pair.programme == programme:
            return True
    return False


@kernel
def is_enrolled(ledger: Ledger, programme: int, member: int) -> bool:
    """Tell whether a programme takes a member: anybody, or those that were enrolled in it."""
    if ledger.programmes[programme].enrols == 0:
        return True
    return bool(find(ledger.enrolled, inclusion_key(member, programme)) != NO_SLOT)


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
    group = ledger.members[order.member].group
    if programme.payout == Payout.AWARD or programme.closed != 0:
        return RejectReason.PROGRAMME_CLOSED
    if now < programme.valid_from or now >= programme.valid_until:
        return RejectReason.PROGRAMME_NOT_VALID_NOW
    if rate_for(ledger, order.programme, order.member, order.instrument) == 0:
        return RejectReason.PROGRAMME_NOT_ELIGIBLE
    if is_barred(ledger, order.programme, order.member):
        return RejectReason.PROGRAMME_NOT_ELIGIBLE
    if not is_enrolled(ledger, order.programme, order.member):
        return RejectReason.PROGRAMME_NOT_ELIGIBLE
    if is_own(ledger, order.instrument, group):
        return RejectReason.PROGRAMME_OWN_PROVIDER
    if ledger.groups[group].debt > 0:
        return RejectReason.PROGRAMME_DEBT
    if programme.excludes != 0 and is_excluded(ledger, order.programme, group):
        return RejectReason.PROGRAMME_EXCLUDED
    return RejectReason.NONE


@kernel
def still_grows(ledger: Ledger, parcel: Row, group: int, now: int) -> bool:
    """Tell whether a programme may reserve more for an open order that it pays for already.

    An order that was cut off, by a cap or as the budget ran out, grows no more: what its filled lots have
    not earned then would be earned now. Nor does one that lives by terms of before.
    """
    programme = ledger.programmes[parcel.programme]
    return (
        programme.closed == 0
        and programme.valid_from <= now < programme.valid_until
        and programme.terms_version == parcel.terms_version
        and share(parcel.gross, parcel.rate) <= parcel.earned
        and ledger.groups[group].debt <= 0
        and (programme.excludes == 0 or not is_excluded(ledger, parcel.programme, group))
    )


@kernel
def usage_key(group: int, programme: int) -> int:
    """Return the id under which what a group has used of a programme is noted."""
    return int(group) * _PROGRAMMES_MAX + int(programme)


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
def lots_left(ledger: Ledger, parcel: Row, quantity: int, may_grow: bool) -> int:
    """Return how many of `quantity` open lots the caps in lots leave; what is covered already counts."""
    programme = ledger.programmes[parcel.programme]
    cover = quantity
    if programme.order_lots > 0:
        cover = min(cover, programme.order_lots - parcel.covered_filled)
    if not may_grow:
        cover = min(cover, parcel.cover)
    elif programme.group_lots > 0:
        left = programme.group_lots - ledger.usages[parcel.usage].lots
        cover = min(cover, parcel.cover + max(left, 0))
    return max(cover, 0)


@kernel
def most_it_pays(ledger: Ledger, parcel: Row, may_grow: bool) -> int:
    """Return S of an order with this price and cover: the most that its programme will pay for all of it."""
    programme = ledger.programmes[parcel.programme]
    left = 0
    if may_grow:
        left = programme.group_cap - ledger.usages[parcel.usage].money
        if programme.exhaustion == Exhaustion.FIRST_COME:
            left = min(left, programme.uncommitted)
        left = max(left, 0)
    full = share(parcel.gross + parcel.covered_price * parcel.cover, parcel.rate)
    most = min(full, programme.order_cap, parcel.earned + parcel.reserved + left)
    return max(most, parcel.earned)


@kernel
def plan(ledger: Ledger, parcel: Row, order: Row, price: int) -> int:
    """Draft in `parcel` what a programme will do for a buy at `price`; return S, the most it pays, in hao.

    S = min(share(min(L, C) x cover, rate), order cap, what the group's cap leaves, uncommitted),
    where C is the list price and the programme's ceiling on it.
    """
    programme = ledger.programmes[order.programme]
    list_price = ledger.listings[order.instrument].list_price
    parcel.programme = order.programme
    parcel.usage = usage_of(ledger, order.programme, ledger.members[order.member].group)
    parcel.terms_version = programme.terms_version
    parcel.rate = rate_for(ledger, order.programme, order.member, order.instrument)
    parcel.gross = 0
    parcel.earned = 0
    parcel.cover = 0
    parcel.reserved = 0
    parcel.covered_filled = 0
    parcel.lots = 0
    parcel.redeemed = 0
    parcel.vested = 0
    parcel.claimed = 0
    parcel.last_leg = NO_SLOT
    parcel.behind = NO_SLOT
    parcel.is_open = 1
    parcel.ceiling_price = list_price + share(list_price, programme.ceiling)
    parcel.covered_price = min(price, parcel.ceiling_price)
    parcel.cover = lots_left(ledger, parcel, order.quantity, True)
    parcel.subsidy_max = most_it_pays(ledger, parcel, True)
    parcel.reserved = parcel.subsidy_max
    return parcel.subsidy_max


@kernel
def reserve(ledger: Ledger, parcel: Row, amount: int, lots: int) -> None:
    """Take so much more out of the budget for an order; count it and its lots against the group's caps."""
    programme = ledger.programmes[parcel.programme]
    if programme.exhaustion == Exhaustion.FIRST_COME:
        programme.uncommitted -= amount
        programme.reserved += amount
    usage = ledger.usages[parcel.usage]
    usage.money += amount
    usage.lots += lots


@kernel
def pays_at_trade(ledger: Ledger, parcel: Row) -> bool:
    """Tell whether a parcel's programme pays at the trade, so that its buyer holds so much less."""
    return ledger.programmes[parcel.programme].payout == Payout.DEDUCT


@kernel
def pay(ledger: Ledger, parcel: Row, price: int, quantity: int) -> int:
    """Let an order earn its subsidy for a fill, release what is needless now; return what is paid."""
    part = min(quantity, parcel.cover)
    parcel.cover -= part
    parcel.covered_filled += part
    parcel.gross += min(price, parcel.ceiling_price) * part
    parcel.lots += quantity
    earned = min(share(parcel.gross, parcel.rate), parcel.subsidy_max)
    grown = earned - parcel.earned
    parcel.earned = earned
    parcel.reserved -= grown
    paid = 0
    if pays_at_trade(ledger, parcel):
        paid = grown
        programme = ledger.programmes[parcel.programme]
        programme.reserved -= paid
        programme.paid += paid
    keep_reserved(ledger, parcel)
    return paid


@kernel
def keep_reserved(ledger: Ledger, parcel: Row) -> None:
    """Release what is reserved for an order beyond what its covered lots can still earn."""
    to_come = parcel.gross + parcel.covered_price * parcel.cover
    keep = min(share(to_come, parcel.rate), parcel.subsidy_max) - parcel.earned
    surplus = parcel.reserved - keep
    parcel.reserved = keep
    reserve(ledger, parcel, -surplus, 0)


@kernel
def narrow(ledger: Ledger, parcel: Row, leaves: int) -> None:
    """Release, in money and in lots, what is reserved for lots beyond those that an order leaves."""
    if parcel.cover > leaves:
        reserve(ledger, parcel, 0, leaves - parcel.cover)
        parcel.cover = leaves
    keep_reserved(ledger, parcel)


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
