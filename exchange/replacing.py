"""An order replaced in one act: what its new price and total need is drafted, checked, and then held."""

from __future__ import annotations

from exchange.state import Core
from matching.changing import leaves_after, replace_refusal
from matching.extras import open_lots
from matching.kernel import kernel, rare
from matching.layout import Row
from matching.tell import price_of
from matching.vocabulary import NO_SLOT, NOTIONAL_MAX, RejectReason, Side
from settlement.balances import most_it_costs
from settlement.programmes import (
    is_enrolled,
    lots_left,
    most_it_pays,
    pays_at_trade,
    reserve,
    still_grows,
)


@rare
def replacing_fault(core: Core, command: Row, slot: int) -> int:
    """Return why the order in `slot` may not be replaced so, or NONE; draft what it then has at stake.

    The command is in the form. One that leaves nothing open needs nothing: it is a cancel.
    """
    book = core.book
    form = core.form[0]
    reason = replace_refusal(book, slot, form)
    leaves = leaves_after(book, slot, form)
    if reason != RejectReason.NONE or leaves <= 0:
        return reason
    price = command.price if command.price != 0 else price_of(book, slot)
    reason = member_fault(core, command, slot, price, leaves)
    if reason != RejectReason.NONE:
        return reason
    core.draft[0] = core.ledger.stakes[slot]
    stake = core.draft[0]
    stake.price = price
    if book.orders[slot].side == Side.SELL:
        stake.held = leaves
        account = core.ledger.accounts[stake.credits]
        lacks = account.available < stake.held - core.ledger.stakes[slot].held
        return RejectReason.CREDITS_NOT_AVAILABLE if lacks else RejectReason.NONE
    discount = 0
    if stake.parcel != NO_SLOT:
        if plan_anew(core, command, price, leaves) <= 0:
            return RejectReason.PROGRAMME_EXHAUSTED
        if pays_at_trade(core.ledger, core.grant[0]):
            discount = core.grant[0].reserved
    stake.held = most_it_costs(stake, price, leaves, discount)
    account = core.ledger.accounts[stake.money]
    lacks = account.available < stake.held - core.ledger.stakes[slot].held
    return RejectReason.MONEY_NOT_AVAILABLE if lacks else RejectReason.NONE


@kernel
def member_fault(core: Core, command: Row, slot: int, price: int, leaves: int) -> int:
    """Return why this member may not make the order in `slot` such, or NONE. Limits bind only what grows."""
    order = core.book.orders[slot]
    member = core.ledger.members[command.member]
    if member.blocked != 0:
        return RejectReason.MEMBER_BLOCKED
    if command.quantity > order.quantity and command.quantity > member.quantity_max:
        return RejectReason.QUANTITY_ABOVE_LIMIT
    stake = core.ledger.stakes[slot]
    if stake.maker_gross + stake.taker_gross > NOTIONAL_MAX - price * leaves:
        return RejectReason.NOTIONAL_TOO_LARGE
    if price * leaves > stake.price * open_lots(core.book, slot):
        if price * command.quantity > member.notional_max:
            return RejectReason.NOTIONAL_ABOVE_LIMIT
        if member.turnover > member.turnover_max - price * leaves:
            return RejectReason.TURNOVER_AT_LIMIT
    return RejectReason.NONE


@kernel
def plan_anew(core: Core, command: Row, price: int, leaves: int) -> int:
    """Draft what a programme will do for an order at its new price and total; return S.

    S = min(share(gross + min(L, C) x cover, rate), order cap, earned + reserved + what is left).
    """
    ledger = core.ledger
    core.grant[0] = ledger.parcels[core.draft[0].parcel]
    parcel = core.grant[0]
    group = ledger.members[command.member].group
    may_grow = still_grows(ledger, parcel, group, command.time)
    may_grow = may_grow and is_enrolled(ledger, parcel.programme, command.member)
    parcel.covered_price = min(price, parcel.ceiling_price)
    parcel.cover = lots_left(ledger, parcel, leaves, may_grow)
    most = most_it_pays(ledger, parcel, may_grow)
    parcel.subsidy_max = most
    parcel.reserved = most - parcel.earned
    return most


@kernel
def restake(core: Core, slot: int) -> None:
    """Hold and reserve what was drafted for a replaced order, instead of what it had."""
    ledger = core.ledger
    stake = core.draft[0]
    if stake.parcel != NO_SLOT:
        parcel = ledger.parcels[stake.parcel]
        reserve(ledger, parcel, core.grant[0].reserved - parcel.reserved, core.grant[0].cover - parcel.cover)
        ledger.parcels[stake.parcel] = core.grant[0]
    is_sell = core.book.orders[slot].side == Side.SELL
    account = ledger.accounts[stake.credits if is_sell else stake.money]
    more = stake.held - ledger.stakes[slot].held
    account.available -= more
    account.held += more
    ledger.stakes[slot] = stake
