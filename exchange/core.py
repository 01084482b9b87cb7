"""The core's kernels: refuse or hold, match, settle, subsidise; one call for a whole batch.

The order of the steps of a command is the order of the calls in `new_order`. `exchange.engine` calls
`run` and `find_faults`, and nothing else.
"""

from __future__ import annotations

import numpy as np

from exchange.memory import SENT_AHEAD_NS_MAX, is_text, key_of_id, note, recall
from exchange.refusing import cover_fault, detail_of, open_stake, standing_fault, static_fault
from exchange.settling import blank_effect, settle
from exchange.state import Core, Output
from matching.batch import end_day, has_room
from matching.cross import cancel, enter, refuse
from matching.kernel import kernel
from matching.layout import Row
from matching.vocabulary import NO_SLOT, CommandKind, EventKind, OrderState, RejectReason, Side
from settlement.balances import hold_buy, hold_sell
from settlement.programmes import reserve

ACCOUNTS_PER_COMMAND = 4
"""A command opens at most two accounts; twice that is kept free."""


@kernel
def fits(core: Core, kind: int, instrument: int, output: Output, at: int) -> bool:
    """Tell whether one more command is sure to fit into every pool and into the output."""
    totals = core.ledger.totals[0]
    memory = core.memory
    accounts = totals.accounts + ACCOUNTS_PER_COMMAND
    return (
        has_room(core.book, kind, instrument, output.events, at)
        and core.book.counts[0].orders_used < len(core.ledger.stakes)
        and accounts <= len(core.ledger.accounts)
        and 2 * accounts <= len(core.ledger.account_places)
        and totals.usages < len(core.ledger.usages)
        and 2 * totals.usages + 2 <= len(core.ledger.usage_places)
        and memory.used[0].memos < len(memory.memos)
        and 2 * memory.used[0].memos + 2 <= len(memory.places)
    )


@kernel
def fill_form(core: Core, command: Row, order: int) -> Row:
    """Put a command into the book's words, under the order id that it acts on."""
    form = core.form[0]
    form.order = order
    form.price = command.price
    form.quantity = command.quantity
    form.instrument = command.instrument
    form.member = command.member
    form.group = core.ledger.members[command.member].group
    form.kind = command.kind
    form.side = command.side
    form.type = command.type
    form.time_in_force = command.time_in_force
    form.subsidised = 0 if command.programme == NO_SLOT else 1
    return form


@kernel
def refuse_order(core: Core, command: Row, memo: int, reason: int, output: Output, at: int) -> int:
    """Say that a command is refused, and remember it with its client id, if it has a memo."""
    detail = detail_of(core, command, reason)
    refuse(fill_refusal(core, command), reason, output.events, at)
    blank_effect(output.effects[at], command)
    output.effects[at].detail = detail
    output.effects[at].state = OrderState.REJECTED
    if not is_text(command.client_id):
        for word in range(3):
            output.effects[at].client_id[word] = 0  # it is no text, and whoever reads wants text
    if memo != NO_SLOT:
        note_order(core, command, memo, 0)
        here = core.memory.memos[memo]
        here.state = OrderState.REJECTED
        here.reason = reason
        here.detail = detail
    return at + 1


@kernel
def fill_refusal(core: Core, command: Row) -> Row:
    """Put into the form what a refusal repeats of a command that may be wrong in every field."""
    form = core.form[0]
    form.order = command.order if command.kind == CommandKind.CANCEL else 0
    form.price = command.price
    form.quantity = command.quantity
    form.instrument = command.instrument
    form.side = command.side
    return form


@kernel
def note_order(core: Core, command: Row, memo: int, order: int) -> None:
    """Write beside a client id what it named."""
    here = core.memory.memos[memo]
    here.order = order
    here.price = command.price
    here.quantity = command.quantity
    here.leaves = 0
    here.filled = 0
    here.gross = 0
    here.paid = 0
    here.fees = 0
    here.detail = 0
    here.slot = NO_SLOT
    here.instrument = command.instrument
    here.state = OrderState.OPEN
    here.reason = RejectReason.NONE
    here.side = command.side
    here.programme = command.programme
    here.time_in_force = command.time_in_force


@kernel
def tell_known(core: Core, command: Row, memo: int, output: Output, at: int) -> int:
    """Answer a client id that is known: nothing is done, and its order's state now is told again."""
    here = core.memory.memos[memo]
    refuse(fill_refusal(core, command), here.reason, output.events, at)
    event = output.events[at]
    event.kind = EventKind.KNOWN
    event.order = here.order
    event.price = here.price
    event.quantity = here.quantity
    event.instrument = here.instrument
    event.side = here.side
    effect = output.effects[at]
    blank_effect(effect, command)
    effect.detail = here.detail
    effect.state = here.state
    effect.filled = here.filled
    effect.gross = here.gross
    effect.paid = here.paid
    effect.fee = here.fees
    effect.programme = here.programme
    effect.time_in_force = here.time_in_force
    if here.state == OrderState.OPEN:
        stake = core.ledger.stakes[here.slot]
        effect.fee = stake.fees
        effect.subsidy = stake.reserved
        event.leaves = core.book.orders[here.slot].leaves
        effect.filled = here.quantity - event.leaves
        effect.gross = stake.maker_gross + stake.taker_gross
        effect.paid = stake.paid
    return at + 1


@kernel
def new_order(core: Core, command: Row, order: int, output: Output, at: int) -> int:
    """Take a new order through every step: known, sound, allowed, covered; held, crossed, settled."""
    reason = static_fault(core, command)
    if reason == RejectReason.UNKNOWN_MEMBER or reason == RejectReason.CLIENT_ID_INVALID:
        return refuse_order(core, command, NO_SLOT, reason, output, at)
    key = key_of_id(command.member, command.client_id)
    memo = recall(core.memory, command.member, command.client_id, key)
    if memo != NO_SLOT:
        return tell_known(core, command, memo, output, at)
    if command.sent_at <= core.memory.recalls[command.member].horizon:
        return refuse_order(core, command, NO_SLOT, RejectReason.TOO_OLD, output, at)
    if command.sent_at > command.time + SENT_AHEAD_NS_MAX:
        return refuse_order(core, command, NO_SLOT, RejectReason.CLOCK_AHEAD, output, at)
    memo = note(core.memory, command.member, command.client_id, key, command.sent_at)
    if reason == RejectReason.NONE:
        reason = standing_fault(core, command)
    if reason == RejectReason.NONE:
        open_stake(core, command)
        reason = cover_fault(core, command, command.time)
    if reason != RejectReason.NONE:
        return refuse_order(core, command, memo, reason, output, at)
    end = enter(core.book, fill_form(core, command, order), output.events, at)
    note_order(core, command, memo, order)
    stake_order(core, command, memo, output, at)
    return settle(core, command, output, at + 1, end)


@kernel
def stake_order(core: Core, command: Row, memo: int, output: Output, at: int) -> None:
    """Hold and reserve what the order has at stake, now that the book has accepted it."""
    ledger = core.ledger
    slot = output.events[at].slot
    core.draft[0].memo = memo
    ledger.stakes[slot] = core.draft[0]
    stake = ledger.stakes[slot]
    core.memory.memos[memo].slot = slot
    if command.side == Side.BUY:
        hold_buy(ledger, slot, stake.held)
    else:
        hold_sell(ledger, slot, stake.held)
    if stake.programme != NO_SLOT:
        reserve(ledger, stake)
    ledger.members[command.member].open_orders += 1
    blank_effect(output.effects[at], command)
    output.effects[at].subsidy = stake.reserved


@kernel
def cancel_order(core: Core, command: Row, output: Output, at: int) -> int:
    """Cancel a member's own order; release what it had at stake."""
    reason = static_fault(core, command)
    if reason != RejectReason.NONE:
        return refuse_order(core, command, NO_SLOT, reason, output, at)
    end = cancel(core.book, fill_form(core, command, command.order), output.events, at)
    if output.events[at].kind == EventKind.REJECTED:
        reason = output.events[at].reason
        return refuse_order(core, command, NO_SLOT, reason, output, at)
    return settle(core, command, output, at, end)


@kernel
def end_trading_day(core: Core, command: Row, output: Output, at: int) -> int:
    """End the orders that last for the day, and begin every member's turnover anew."""
    end = end_day(core.book, output.events, at)
    for member in range(core.ledger.totals[0].members):
        core.ledger.members[member].turnover = 0
    return settle(core, command, output, at, end)


@kernel
def run(core: Core, commands: np.ndarray, start: int, first: int, output: Output) -> tuple[int, int]:
    """Apply commands from row `start`, until the end, an ACT, or until room runs short.

    `first` is the sequence of row 0. Returns the first row that was not applied, and how many events
    stand written.
    """
    at = 0
    for row in range(start, len(commands)):
        command = commands[row]
        kind = command.kind
        if kind == CommandKind.ACT or not fits(core, kind, command.instrument, output, at):
            return row, at
        before = at
        if kind == CommandKind.NEW:
            at = new_order(core, command, first + row, output, at)
        elif kind == CommandKind.CANCEL:
            at = cancel_order(core, command, output, at)
        elif kind == CommandKind.END_DAY:
            at = end_trading_day(core, command, output, at)
        else:
            at = refuse_order(core, command, NO_SLOT, RejectReason.UNKNOWN_KIND, output, at)
        for written in range(before, at):
            output.events[written].command = row
            output.effects[written].sequence = first + row
            output.effects[written].time = command.time
    return len(commands), at


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
