"""Why a command is refused: as it is written, by who asks, by what it would have to hold. A ladder each."""

from __future__ import annotations

import numpy as np

from exchange.forms import POST_ONLY, aims_at_order, fill_form, protection_meant
from exchange.memory import is_text, key_of_id, recall
from exchange.state import Core
from matching.ids import find
from matching.kernel import kernel, rare
from matching.layout import Row
from matching.refusing import entry_fault, fault_of
from matching.tell import price_of
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    NO_SLOT,
    NOTIONAL_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    SLICES_MAX,
    CommandKind,
    OrderType,
    RejectReason,
    Role,
    Side,
)
from settlement.balances import account_of, most_it_costs
from settlement.layout import Ledger
from settlement.programmes import barred, pays_at_trade, plan


@kernel
def is_bare(command: Row) -> bool:
    """Tell whether the stop fields that an order's type does not read, and meaningless bits, are empty."""
    return (
        command.instructions | POST_ONLY == POST_ONLY
        and (command.stop_price == 0 or command.type >= OrderType.STOP)
        and (command.trail == 0 or command.type == OrderType.TRAILING_STOP)
    )


@kernel
def static_fault(core: Core, command: Row) -> int:
    """Return why a command cannot be taken as it is written, whatever the balances and the phase, or NONE."""
    reason = written_fault(core, command)
    return RejectReason.NONE if is_of_phase(reason) else reason


@kernel
def is_of_phase(reason: int) -> bool:
    """Tell whether a command is refused for its instrument's phase, which passes."""
    return reason == RejectReason.INSTRUMENT_NOT_OPEN or reason == RejectReason.NOT_IN_PHASE


@kernel
def written_fault(core: Core, command: Row) -> int:
    """Return why a command cannot be taken as it is written, and of a new order in this phase, or NONE."""
    if not 0 < command.member < core.ledger.totals[0].members:
        return RejectReason.UNKNOWN_MEMBER
    if aims_at_order(command) or command.kind == CommandKind.MASS_CANCEL:
        return change_fault(core, command)
    if command.kind != CommandKind.NEW:
        return RejectReason.UNKNOWN_KIND
    if not is_text(command.client_id):
        return RejectReason.CLIENT_ID_INVALID
    if command.type <= OrderType.TRAILING_STOP and not is_bare(command):
        return RejectReason.FIELD_NOT_SUPPORTED
    return fault_of(core.book, fill_form(core, command, 0))


@kernel
def change_fault(core: Core, command: Row) -> int:
    """Return why a change of orders that are there cannot be taken as it is written, or NONE."""
    words = command.client_id
    is_blank = words[0] == 0 and words[1] == 0 and words[2] == 0
    if not is_blank and not is_text(words):
        return RejectReason.CLIENT_ID_INVALID
    if command.kind == CommandKind.REDUCE and command.quantity <= 0:
        return RejectReason.QUANTITY_NOT_POSITIVE
    if command.kind == CommandKind.MASS_CANCEL:
        if command.instrument != EVERY and not 0 <= command.instrument < len(core.book.markets):
            return RejectReason.UNKNOWN_INSTRUMENT
        if command.side > Side.SELL and command.side != BOTH_SIDES:
            return RejectReason.UNKNOWN_SIDE
    return RejectReason.NONE


@kernel
def standing_fault(core: Core, command: Row, price: int) -> int:
    """Return why this member may not place this order, at this price at most, or NONE. One line a rule."""
    member = core.ledger.members[command.member]
    if member.blocked != 0:
        return RejectReason.MEMBER_BLOCKED
    if member.role != Role.FIRM and member.role != Role.PROVIDER:
        return RejectReason.ROLE_NOT_PERMITTED
    domestic = core.ledger.listings[command.instrument].domestic
    if member.domestic_only != 0 and domestic == 0 and command.side == Side.BUY:
        return RejectReason.DOMESTIC_ONLY
    if command.quantity > member.quantity_max:
        return RejectReason.QUANTITY_ABOVE_LIMIT
    if price * command.quantity > member.notional_max:
        return RejectReason.NOTIONAL_ABOVE_LIMIT
    if member.open_orders >= member.open_orders_max:
        return RejectReason.OPEN_ORDERS_AT_LIMIT
    if member.turnover > member.turnover_max - price * command.quantity:
        return RejectReason.TURNOVER_AT_LIMIT
    if command.instructions != 0 or command.display_quantity != 0:
        return entry_fault(core.book, core.form[0])
    return RejectReason.NONE


@kernel
def open_stake(core: Core, command: Row, price: int) -> None:
    """Begin an order's stake in the draft row: whose it is, and what it will be charged."""
    stake = core.draft[0]
    stake.price = price
    stake.filled = 0
    fees = core.ledger.fees[core.ledger.listings[command.instrument].kind]
    stake.held = 0
    stake.fees = 0
    stake.maker_gross = 0
    stake.taker_gross = 0
    for word in range(3):
        stake.client_id[word] = command.client_id[word]
    stake.money = core.ledger.members[command.member].money
    stake.credits = account_of(core.ledger, command.member, command.instrument + 1)
    stake.parcel = NO_SLOT
    stake.maker_fee = fees.maker
    stake.taker_fee = fees.taker
    stake.type = command.type


@kernel
def cover_fault(core: Core, command: Row, now: int) -> int:
    """Work out in the draft what the order must hold; return why it cannot, or NONE."""
    stake = core.draft[0]
    ledger = core.ledger
    discount = 0
    if command.programme != NO_SLOT:
        reason = barred(ledger, command, now)
        if reason != RejectReason.NONE:
            return reason
        if plan(ledger, core.grant[0], command, stake.price) <= 0:
            return RejectReason.PROGRAMME_EXHAUSTED
        if pays_at_trade(ledger, core.grant[0]):
            discount = core.grant[0].reserved
    if command.side == Side.SELL:
        if ledger.accounts[stake.credits].available < command.quantity:
            return RejectReason.CREDITS_NOT_AVAILABLE
        stake.held = command.quantity
        return RejectReason.NONE
    stake.held = most_it_costs(stake, stake.price, command.quantity, discount)
    if ledger.accounts[stake.money].available < stake.held:
        return RejectReason.MONEY_NOT_AVAILABLE
    return RejectReason.NONE


@kernel
def detail_of(core: Core, command: Row, reason: int) -> int:
    """Return the number that a refusal speaks of, so that its remedy can name it."""
    ledger = core.ledger
    if reason == RejectReason.PRICE_TOO_LARGE:
        return PRICE_MAX
    if reason == RejectReason.PRICE_OFF_TICK:
        return core.book.markets[instrument_meant(core, command)].tick
    if reason == RejectReason.QUANTITY_TOO_LARGE:
        return QUANTITY_MAX
    if reason == RejectReason.NOTIONAL_TOO_LARGE:
        return NOTIONAL_MAX // price_at_fault(core, command)
    if reason == RejectReason.DISPLAY_QUANTITY_INVALID:
        return (command.quantity - 1) // SLICES_MAX + 1
    if reason == RejectReason.CREDITS_NOT_AVAILABLE:
        return ledger.accounts[core.draft[0].credits].available
    if reason == RejectReason.MONEY_NOT_AVAILABLE:
        return ledger.accounts[core.draft[0].money].available
    if reason == RejectReason.PROGRAMME_EXHAUSTED:
        return core.grant[0].subsidy_max
    if reason == RejectReason.PROGRAMME_DEBT:
        return ledger.groups[ledger.members[command.member].group].debt
    if reason == RejectReason.CLOCK_AHEAD:
        return command.sent_at - command.time
    if is_of_phase(reason):
        return phase_meant(core, command)
    return limit_of(ledger, command, reason)


@kernel
def phase_meant(core: Core, command: Row) -> int:
    """Return the phase of the instrument that a command is about."""
    return core.book.markets[instrument_meant(core, command)].phase


@kernel
def instrument_meant(core: Core, command: Row) -> int:
    """Return the instrument that a command is about, its own or its order's; it is there."""
    if aims_at_order(command):
        return core.book.orders[find(core.book, command.order)].instrument
    return command.instrument


@rare
def price_at_fault(core: Core, command: Row) -> int:
    """Return the price at which a command, which is in the form, comes to too much."""
    if command.price != 0:
        return command.price
    if aims_at_order(command):
        return price_of(core.book, find(core.book, command.order))
    return protection_meant(core, core.form[0])


@kernel
def limit_of(ledger: Ledger, command: Row, reason: int) -> int:
    """Return the member's limit that a refusal speaks of, or 0 where it speaks of none."""
    if not 0 < command.member < ledger.totals[0].members:
        return 0
    member = ledger.members[command.member]
    if reason == RejectReason.QUANTITY_ABOVE_LIMIT:
        return member.quantity_max
    if reason == RejectReason.NOTIONAL_ABOVE_LIMIT:
        return member.notional_max
    if reason == RejectReason.OPEN_ORDERS_AT_LIMIT:
        return member.open_orders_max
    if reason == RejectReason.TURNOVER_AT_LIMIT:
        return max(member.turnover_max - member.turnover, 0)
    return 0


@kernel
def find_faults(core: Core, commands: np.ndarray, faults: np.ndarray, details: np.ndarray) -> int:
    """Write for each command why it cannot be taken as it is written, or NONE; return how many cannot.

    A new order whose id is known is never at fault: it will be answered with its order.
    """
    count = 0
    for row in range(len(commands)):
        command = commands[row]
        reason = static_fault(core, command)
        is_new = command.kind == CommandKind.NEW and 0 < command.member < core.ledger.totals[0].members
        if reason != RejectReason.NONE and is_new:
            key = key_of_id(command.member, command.client_id)
            if recall(core.memory, command.member, command.client_id, key) != NO_SLOT:
                reason = RejectReason.NONE
        faults[row] = reason
        if reason != RejectReason.NONE:
            details[row] = detail_of(core, command, reason)
            count += 1
    return count
