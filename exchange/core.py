"""The core's kernels: refuse or hold, match, settle, subsidise; one call for a whole batch.

The order of the steps of a command is the order of the calls in `new_order`. `exchange.engine` calls
`run`, `begin_act` and `end_act`, and nothing else.
"""

from __future__ import annotations

import numpy as np

from exchange.ahead import BLOCK, fetch_block
from exchange.forms import fill_form, fill_refusal, price_meant
from exchange.memory import SENT_AHEAD_NS_MAX, is_text, key_of_id, note, recall
from exchange.refusing import (
    cover_fault,
    detail_of,
    is_of_phase,
    open_stake,
    standing_fault,
    static_fault,
    written_fault,
)
from exchange.replacing import replacing_fault, restake
from exchange.settling import blank_effect, name_nobody, name_order, settle, settle_leavings
from exchange.state import Core, Output
from matching.auction import indicate
from matching.batch import fits_events, spare_commands
from matching.changing import cancel, end_day, expire_until_now, mass_cancel, owned, reduce, replace
from matching.entering import enter
from matching.extras import open_lots
from matching.ids import find
from matching.kernel import kernel, rare, wide
from matching.layout import Row
from matching.phases import set_phase_of
from matching.stops import waits_at
from matching.tell import refuse, withdraw
from matching.vocabulary import NO_SLOT, CommandKind, EventKind, OrderState, RejectReason, Side
from settlement.balances import hold_buy, hold_sell
from settlement.layout import Ledger
from settlement.parcels import open_parcel
from settlement.programmes import reserve

ACCOUNTS_PER_COMMAND = 4
"""A command opens at most two accounts; twice that is kept free."""


@kernel
def spare(core: Core) -> int:
    """Return how many commands are sure to fit into every pool, whatever they ask; 0 or more."""
    ledger = core.ledger
    totals = ledger.totals[0]
    memory = core.memory
    memos = memory.used[0].memos
    room = spare_commands(core.book)
    room = min(room, len(ledger.stakes) - core.book.counts[0].orders_used)
    room = min(room, (len(ledger.accounts) - totals.accounts) // ACCOUNTS_PER_COMMAND)
    room = min(room, ((len(ledger.account_places) >> 1) - totals.accounts) // ACCOUNTS_PER_COMMAND)
    room = min(room, len(ledger.usages) - totals.usages, (len(ledger.usage_places) >> 1) - totals.usages)
    room = min(room, len(ledger.parcels) - totals.parcels)
    return max(0, min(room, len(memory.memos) - memos, (len(memory.marks) >> 1) - memos))


@kernel
def fits_legs(ledger: Ledger, output: Output) -> bool:
    """Tell whether there is room if every event that fits is a trade that a programme pays for."""
    totals = ledger.totals[0]
    return len(ledger.legs) - totals.legs >= len(output.events)


@kernel
def refuse_order(core: Core, command: Row, memo: int, reason: int, output: Output, at: int) -> int:
    """Say that a command is refused, and remember it with its client id, if it has a memo."""
    detail = detail_of(core, command, reason)
    refuse(core.book, fill_refusal(core, command), reason, output.events, at)
    if is_of_phase(reason):
        output.events[at].phase = detail
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
def note_order(core: Core, command: Row, memo: int, order: int) -> None:
    """Write beside a client id what it named."""
    here = core.memory.memos[memo]
    here.order = order
    here.price = core.draft[0].price if order != 0 else command.price
    here.quantity = command.quantity
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


@rare
def tell_known(core: Core, command: Row, memo: int, output: Output, at: int) -> int:
    """Answer a client id that is known: nothing is done, and its order's state now is told again."""
    here = core.memory.memos[memo]
    refuse(core.book, fill_refusal(core, command), here.reason, output.events, at)
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
        effect.detail = waits_at(core.book, here.slot)
        event.price = stake.price
        event.leaves = open_lots(core.book, here.slot)
        effect.filled = stake.filled
        effect.gross = stake.maker_gross + stake.taker_gross
        if stake.parcel != NO_SLOT:
            effect.paid = core.ledger.parcels[stake.parcel].earned
            effect.subsidy = core.ledger.parcels[stake.parcel].reserved
    return at + 1


@kernel
def time_fault(core: Core, command: Row) -> int:
    """Return why a new order comes too late, or from a clock that runs too far ahead, or NONE."""
    if command.sent_at <= core.memory.recalls[command.member].horizon:
        return RejectReason.TOO_OLD
    if command.sent_at > command.time + SENT_AHEAD_NS_MAX:
        return RejectReason.CLOCK_AHEAD
    return RejectReason.NONE


@kernel
def new_order(core: Core, command: Row, order: int, output: Output, at: int) -> int:
    """Take a new order through every step: known, sound, allowed, covered; held, crossed, settled."""
    memo = NO_SLOT
    reason = written_fault(core, command)
    if reason != RejectReason.UNKNOWN_MEMBER and reason != RejectReason.CLIENT_ID_INVALID:
        key = key_of_id(command.member, command.client_id)
        memo = recall(core.memory, command.member, command.client_id, key)
        if memo != NO_SLOT:
            return tell_known(core, command, memo, output, at)
        late = time_fault(core, command)
        if late != RejectReason.NONE:
            reason = late
        else:
            memo = note(core.memory, command.member, command.client_id, key, command.sent_at)
            core.form[0].order = order  # the rest was filled when the command was looked at
            if reason == RejectReason.NONE:
                reason = placing_fault(core, command)
    if reason != RejectReason.NONE:
        return refuse_order(core, command, memo, reason, output, at)
    end = enter(core.book, core.form[0], output.events, at)
    note_order(core, command, memo, order)
    stake_order(core, command, memo, output, at)
    return settle(core, command, output, at + 1, end)


@kernel
def placing_fault(core: Core, command: Row) -> int:
    """Return why an order that is sound may not be placed, or what it lacks, or NONE; draft its stake."""
    price = price_meant(core, command)
    reason = standing_fault(core, command, price)
    if reason != RejectReason.NONE:
        return reason
    open_stake(core, command, price)
    return cover_fault(core, command, command.time)


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
    ledger.members[command.member].open_orders += 1
    blank_effect(output.effects[at], command)
    output.effects[at].detail = waits_at(core.book, slot)
    if command.programme != NO_SLOT:
        stake.parcel = open_parcel(ledger, core.grant[0], output.events[at].order, stake.credits)
        parcel = ledger.parcels[stake.parcel]
        reserve(ledger, parcel, parcel.reserved, parcel.cover)
        output.effects[at].subsidy = parcel.reserved
        output.effects[at].terms_version = parcel.terms_version


@kernel
def cancel_order(core: Core, command: Row, output: Output, at: int) -> int:
    """Cancel a member's own order; release what it had at stake."""
    reason = static_fault(core, command)
    end = at
    if reason == RejectReason.NONE:
        end = cancel(core.book, fill_form(core, command, command.order), output.events, at)
        if output.events[at].kind == EventKind.REJECTED:
            reason = output.events[at].reason
    if reason != RejectReason.NONE:
        return refuse_order(core, command, NO_SLOT, reason, output, at)
    return settle_leavings(core, command, output, at, end)


@rare
def reduce_order(core: Core, command: Row, output: Output, at: int) -> int:
    """Take lots off a member's own order; release what it had at stake for them."""
    reason = static_fault(core, command)
    end = at
    if reason == RejectReason.NONE:
        end = reduce(core.book, fill_form(core, command, command.order), output.events, at)
        if output.events[at].kind == EventKind.REJECTED:
            reason = output.events[at].reason
    if reason != RejectReason.NONE:
        return refuse_order(core, command, NO_SLOT, reason, output, at)
    return settle_leavings(core, command, output, at, end)


@rare
def replace_order(core: Core, command: Row, output: Output, at: int) -> int:
    """Replace a member's own order in one act: hold for what it becomes, then let the book change it."""
    reason = static_fault(core, command)
    slot = NO_SLOT
    if reason == RejectReason.NONE:
        slot = owned(core.book, fill_form(core, command, command.order))
        reason = RejectReason.UNKNOWN_ORDER if slot == NO_SLOT else replacing_fault(core, command, slot)
    if reason != RejectReason.NONE:
        return refuse_order(core, command, NO_SLOT, reason, output, at)
    end = replace(core.book, core.form[0], output.events, at)
    if output.events[at].kind != EventKind.REPLACED:
        return settle_leavings(core, command, output, at, end)
    restake(core, slot)
    tell_replaced(core, command, output, at)
    return settle(core, command, output, at + 1, end)


@kernel
def tell_replaced(core: Core, command: Row, output: Output, at: int) -> None:
    """Write what an order has at stake after it was replaced, and remember what it now is."""
    event = output.events[at]
    effect = output.effects[at]
    blank_effect(effect, command)
    name_order(core, event.slot, effect)
    effect.detail = waits_at(core.book, event.slot)
    stake = core.ledger.stakes[event.slot]
    if stake.parcel != NO_SLOT:
        effect.subsidy = core.ledger.parcels[stake.parcel].reserved
    memo = core.memory.memos[stake.memo]
    if memo.order == event.order:
        memo.quantity = event.quantity
        memo.price = event.price


@rare
def cancel_many(core: Core, command: Row, output: Output, at: int) -> int:
    """Cancel a member's own orders, of an instrument, of a side, or all; then tell how many they were."""
    reason = static_fault(core, command)
    if reason != RejectReason.NONE:
        return refuse_order(core, command, NO_SLOT, reason, output, at)
    end = mass_cancel(core.book, fill_form(core, command, 0), output.events, at)
    if end > at and output.events[at].kind == EventKind.REJECTED:
        return refuse_order(core, command, NO_SLOT, output.events[at].reason, output, at)
    settle_leavings(core, command, output, at, end)
    refuse(core.book, fill_refusal(core, command), RejectReason.NONE, output.events, end)
    event = output.events[end]
    event.kind = EventKind.MASS_CANCELLED
    event.price = 0
    event.quantity = end - at
    blank_effect(output.effects[end], command)
    return end + 1


@rare
def end_trading_day(core: Core, command: Row, output: Output, at: int) -> int:
    """End the orders that last for the day, and begin every member's turnover anew."""
    end = end_day(core.book, output.events, at)
    for member in range(core.ledger.totals[0].members):
        core.ledger.members[member].turnover = 0
    return settle_leavings(core, command, output, at, end)


@rare
def expire(core: Core, command: Row, output: Output, at: int) -> int:
    """Let every order expire whose time has come by the book's clock."""
    return settle_leavings(core, command, output, at, expire_until_now(core.book, output.events, at))


@kernel
def pass_time(core: Core, command: Row, output: Output, at: int) -> int:
    """Let the book's clock come to a command's time; what expires is settled before the command is done."""
    counts = core.book.counts[0]
    if command.time <= counts.clock:
        return at
    counts.clock = command.time
    return at if counts.next_expiry > command.time else expire(core, command, output, at)


@kernel
def apply(core: Core, command: Row, sequence: int, output: Output, at: int) -> int:
    """Do one command that is no ACT, and for which there is room. Returns how many events stand written."""
    kind = command.kind
    if kind == CommandKind.NEW:
        return new_order(core, command, sequence, output, at)
    if kind == CommandKind.CANCEL:
        return cancel_order(core, command, output, at)
    if kind == CommandKind.REDUCE:
        return reduce_order(core, command, output, at)
    if kind == CommandKind.REPLACE:
        return replace_order(core, command, output, at)
    if kind == CommandKind.MASS_CANCEL:
        return cancel_many(core, command, output, at)
    if kind == CommandKind.END_DAY:
        return end_trading_day(core, command, output, at)
    if kind == CommandKind.CLOCK:
        return at
    return refuse_order(core, command, NO_SLOT, RejectReason.UNKNOWN_KIND, output, at)


@rare
def tell_indicated(core: Core, command: Row, output: Output, start: int, at: int) -> int:
    """Tell what the auctions would find now, of the calls that the events from `start` on have touched."""
    end = indicate(core.book, output.events, start, at)
    for told in range(at, end):
        blank_effect(output.effects[told], command)
        name_nobody(output.effects[told])
    return end


@kernel
def sign(command: Row, sequence: int, output: Output, start: int, end: int) -> None:
    """Write on the effects of all that a command has caused which it was, and when."""
    for at in range(start, end):
        output.effects[at].sequence = sequence
        output.effects[at].time = command.time


@kernel
def run(core: Core, commands: np.ndarray, start: int, first: int, output: Output) -> tuple[int, int]:
    """Apply commands from row `start`, until the end, an ACT, or until room runs short.

    `first` is the sequence of row 0. Returns the first row that was not applied, and how many events
    stand written.
    """
    counts = core.book.counts[0]
    row = start
    at = wide(0)
    if not fits_legs(core.ledger, output):
        return row, at
    while row < len(commands):
        stop = min(row + min(spare(core), BLOCK), len(commands))
        if stop == row:
            break
        fetch_block(core, commands, row, stop)
        while row < stop:
            command = commands[row]
            if command.kind == CommandKind.ACT or not fits_events(core.book, command, output.events, at):
                counts.row = 0
                return row, at
            counts.row = row
            before = at
            at = pass_time(core, command, output, at)
            at = apply(core, command, first + row, output, at)
            if counts.calls > 0:
                at = tell_indicated(core, command, output, before, at)
            sign(command, first + row, output, before, at)
            row += 1
    counts.row = 0
    return row, at


@kernel
def begin_act(core: Core, commands: np.ndarray, row: int, output: Output) -> int:
    """Let time pass for the ACT in `row`, for which there is room. Returns how many events stand written."""
    core.book.counts[0].row = row
    at = pass_time(core, commands[row], output, wide(0))
    core.book.counts[0].row = 0
    return at


@rare
def end_act(
    core: Core,
    commands: np.ndarray,
    row: int,
    first: int,
    forms: np.ndarray,
    cause: int,
    output: Output,
    at: int,
) -> int:
    """Put to the book what the ACT in `row` asks of it: phases, cancels, mass cancels; behind what was told.

    `cause` is told with the orders that it cancels. Returns how many events stand written.
    """
    command = commands[row]
    counts = core.book.counts[0]
    counts.row = row
    counts.decrements = 0  # one command has one bound of them, however many books it uncrosses
    for number in range(len(forms)):
        form = forms[number]
        if form.kind == CommandKind.PHASE:
            end = set_phase_of(core.book, form.instrument, form.phase, form.price, output.events, at)
        elif form.kind == CommandKind.CANCEL:
            slot = find(core.book, form.order)
            end = withdraw(core.book, slot, EventKind.CANCELLED, cause, output.events, at)
        else:
            end = mass_cancel(core.book, form, output.events, at)
            for told in range(at, end):
                output.events[told].reason = cause
        at = settle(core, command, output, at, end)
    counts.decrements = 0
    if counts.calls > 0:
        at = tell_indicated(core, command, output, wide(0), at)
    sign(command, first + row, output, 0, at)
    counts.row = 0
    return at
