"""What an event of the book means in money: trades settle, lots that leave the book release their hold."""

from __future__ import annotations

from exchange.state import Core, Output
from matching.kernel import kernel
from matching.layout import Row
from matching.vocabulary import NO_SLOT, EventKind, OrderState, Phase, Side
from settlement.balances import fee_of, keep_held, most_it_costs, settle_buy, settle_sell
from settlement.layout import Ledger
from settlement.parcels import add_leg, close_parcel, note_trade
from settlement.programmes import narrow, pay, pays_at_trade


@kernel
def blank_effect(effect: Row, command: Row) -> None:
    """Write what every effect of a command bears, and zeros in the rest."""
    effect.entry = 0
    effect.trade = 0
    effect.filled = 0
    effect.gross = 0
    effect.paid = 0
    effect.fee = 0
    effect.maker_filled = 0
    effect.maker_gross = 0
    effect.maker_paid = 0
    effect.maker_fee = 0
    effect.subsidy = 0
    effect.detail = 0
    effect.terms_version = 0
    effect.member = command.member
    effect.maker_member = NO_SLOT
    effect.programme = command.programme
    effect.maker_programme = NO_SLOT
    effect.type = command.type
    effect.time_in_force = command.time_in_force
    effect.state = OrderState.OPEN
    effect.maker_state = OrderState.OPEN
    for word in range(3):
        effect.client_id[word] = command.client_id[word]
        effect.maker_client_id[word] = 0


@kernel
def name_nobody(effect: Row) -> None:
    """Let an effect speak of no member: what it tells of concerns the whole market."""
    effect.member = NO_SLOT
    effect.programme = NO_SLOT
    effect.type = 0
    effect.time_in_force = 0
    for word in range(3):
        effect.client_id[word] = 0


@kernel
def name_order(core: Core, slot: int, effect: Row) -> None:
    """Write whose order an effect speaks of, and its totals so far."""
    order = core.book.orders[slot]
    stake = core.ledger.stakes[slot]
    effect.member = order.member
    effect.programme = NO_SLOT
    effect.paid = 0
    if stake.parcel != NO_SLOT:
        parcel = core.ledger.parcels[stake.parcel]
        effect.programme = parcel.programme
        effect.paid = parcel.earned
        effect.terms_version = parcel.terms_version
    effect.type = stake.type
    effect.time_in_force = order.time_in_force
    effect.filled = stake.filled
    effect.gross = stake.maker_gross + stake.taker_gross
    for word in range(3):
        effect.client_id[word] = stake.client_id[word]


@kernel
def settle(core: Core, command: Row, output: Output, start: int, end: int) -> int:
    """Settle the events from `start` to `end`, that the book wrote for one command."""
    for at in range(start, end):
        if output.events[at].kind == EventKind.TRADED:
            blank_effect(output.effects[at], command)
            settle_trade(core, output.events[at], output.effects[at])
        else:
            settle_leaving(core, command, output, at)
    return end


@kernel
def settle_leavings(core: Core, command: Row, output: Output, start: int, end: int) -> int:
    """Settle events as `settle` does, of a command that causes no trades: the same, and less to compile."""
    for at in range(start, end):
        settle_leaving(core, command, output, at)
    return end


@kernel
def settle_leaving(core: Core, command: Row, output: Output, at: int) -> None:
    """Settle an event that is no trade: mostly lots leave the book by it."""
    event = output.events[at]
    effect = output.effects[at]
    blank_effect(effect, command)
    if event.kind == EventKind.REDUCED:
        settle_reduction(core, event, effect)
    elif event.kind == EventKind.CANCELLED:
        settle_end(core, OrderState.CANCELLED, event, effect)
    elif event.kind == EventKind.EXPIRED:
        settle_end(core, OrderState.EXPIRED, event, effect)
    elif event.kind == EventKind.TRIGGERED:
        settle_triggered(core, event, effect)
    elif event.kind == EventKind.PHASE_CHANGED:
        name_nobody(effect)


@kernel
def settle_trade(core: Core, event: Row, effect: Row) -> None:
    """Move money and credits between the two orders of a trade; let the programme pay its part.

    In an auction both orders have rested, and both pay the maker's fee; the event's order is the buy.
    """
    ledger = core.ledger
    totals = ledger.totals[0]
    totals.trades += 1
    totals.entries += 1
    amount = event.price * event.quantity
    stake = ledger.stakes[event.slot]
    maker_stake = ledger.stakes[event.maker_slot]
    member = core.book.orders[event.slot].member
    maker_member = core.book.orders[event.maker_slot].member
    fee = fee_of(stake, amount, event.phase == Phase.AUCTION)
    maker_fee = fee_of(maker_stake, amount, True)
    stake.filled += event.quantity
    maker_stake.filled += event.quantity
    if event.side == Side.BUY:
        recent = note_trade(ledger, event, member, maker_member)
        recent.buyer_fee = fee
        recent.seller_fee = maker_fee
        paid = fill_buy(core, event.slot, event, event.leaves, recent)
        settle_sell(ledger, event.maker_slot, amount - maker_fee, event.quantity)
    else:
        recent = note_trade(ledger, event, maker_member, member)
        recent.buyer_fee = maker_fee
        recent.seller_fee = fee
        paid = fill_buy(core, event.maker_slot, event, event.maker_leaves, recent)
        settle_sell(ledger, event.slot, amount - fee, event.quantity)
    name_order(core, event.slot, effect)
    name_maker(core, event.maker_slot, effect)
    effect.entry = totals.entries
    effect.trade = totals.trades
    effect.fee = fee
    effect.maker_fee = maker_fee
    effect.subsidy = paid
    ledger.members[member].turnover += amount
    ledger.members[maker_member].turnover += amount
    if event.leaves == 0:
        effect.state = OrderState.FILLED
        close(core, event.slot, OrderState.FILLED)
    if event.maker_leaves == 0:
        effect.maker_state = OrderState.FILLED
        close(core, event.maker_slot, OrderState.FILLED)


@kernel
def name_maker(core: Core, slot: int, effect: Row) -> None:
    """Write whose order was the maker, and its totals so far."""
    stake = core.ledger.stakes[slot]
    effect.maker_member = core.book.orders[slot].member
    effect.maker_filled = stake.filled
    effect.maker_gross = stake.maker_gross + stake.taker_gross
    if stake.parcel != NO_SLOT:
        parcel = core.ledger.parcels[stake.parcel]
        effect.maker_programme = parcel.programme
        effect.maker_paid = parcel.earned
        effect.terms_version = parcel.terms_version
    for word in range(3):
        effect.maker_client_id[word] = stake.client_id[word]


@kernel
def fill_buy(core: Core, slot: int, event: Row, leaves: int, recent: Row) -> int:
    """Settle a buy's side of a trade; return what its programme paid."""
    ledger = core.ledger
    stake = ledger.stakes[slot]
    paid = 0
    if stake.parcel != NO_SLOT:
        paid = earn(ledger, stake.parcel, event, recent)
    held = most_it_costs(stake, stake.price, leaves, discount_of(ledger, stake))
    cost = event.price * event.quantity + recent.buyer_fee - paid
    settle_buy(ledger, slot, cost, event.quantity, held)
    return paid


@kernel
def earn(ledger: Ledger, slot: int, event: Row, recent: Row) -> int:
    """Let a parcel earn its programme's part of a trade, and note the leg; return what is paid."""
    parcel = ledger.parcels[slot]
    gross = parcel.gross
    cover = parcel.cover
    paid = pay(ledger, parcel, event.price, event.quantity)
    covered = cover - parcel.cover
    recent.leg = add_leg(ledger, slot, recent.trade, parcel.gross - gross, covered, recent.seller)
    return paid


@kernel
def settle_triggered(core: Core, event: Row, effect: Row) -> None:
    """Keep at stake what a stop's protection price, as it has moved, still needs; it enters the book now."""
    stake = core.ledger.stakes[event.slot]
    stake.price = event.price
    memo = core.memory.memos[stake.memo]
    if memo.order == event.order:
        memo.price = event.price
    if stake.parcel != NO_SLOT:
        parcel = core.ledger.parcels[stake.parcel]
        parcel.covered_price = min(parcel.covered_price, event.price)
    release(core, event.slot, event.leaves)
    name_order(core, event.slot, effect)


@kernel
def settle_end(core: Core, state: int, event: Row, effect: Row) -> None:
    """Release what an order had at stake that ended with lots still open."""
    name_order(core, event.slot, effect)
    effect.state = state
    close(core, event.slot, state)


@kernel
def settle_reduction(core: Core, event: Row, effect: Row) -> None:
    """Release what an order had at stake for lots that were taken off it; it is still open."""
    name_order(core, event.slot, effect)
    release(core, event.slot, event.leaves)
    memo = core.memory.memos[core.ledger.stakes[event.slot].memo]
    if memo.order == event.order:
        memo.quantity = event.quantity


@kernel
def discount_of(ledger: Ledger, stake: Row) -> int:
    """Return what a programme has reserved for an order and will pay at its trades."""
    if stake.parcel == NO_SLOT:
        return 0
    parcel = ledger.parcels[stake.parcel]
    return parcel.reserved if pays_at_trade(ledger, parcel) else 0


@kernel
def release(core: Core, slot: int, leaves: int) -> None:
    """Keep held and reserved what an order still needs for the lots that it leaves, and no more."""
    ledger = core.ledger
    stake = ledger.stakes[slot]
    if stake.parcel != NO_SLOT:
        narrow(ledger, ledger.parcels[stake.parcel], leaves)
    if core.book.orders[slot].side == Side.BUY:
        held = most_it_costs(stake, stake.price, leaves, discount_of(ledger, stake)) if leaves > 0 else 0
        keep_held(ledger.accounts[stake.money], stake, held)
    else:
        keep_held(ledger.accounts[stake.credits], stake, leaves)


@kernel
def close(core: Core, slot: int, state: int) -> None:
    """Release an ended order's hold and reservation, and remember how it ended."""
    release(core, slot, 0)
    order = core.book.orders[slot]
    stake = core.ledger.stakes[slot]
    core.ledger.members[order.member].open_orders -= 1
    earned = 0
    if stake.parcel != NO_SLOT:
        earned = core.ledger.parcels[stake.parcel].earned
        close_parcel(core.ledger, stake.parcel)
    memo = core.memory.memos[stake.memo]
    if memo.order == order.id and memo.slot == slot:
        memo.slot = NO_SLOT
        memo.state = state
        memo.filled = stake.filled
        memo.gross = stake.maker_gross + stake.taker_gross
        memo.paid = earned
        memo.fees = stake.fees
