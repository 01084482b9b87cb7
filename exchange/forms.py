"""A member's command in the book's words: the one row in which it is put to the book."""

from __future__ import annotations

from exchange.protocol.records import Instruction
from exchange.state import Core
from matching.kernel import kernel, rare
from matching.layout import Row
from matching.protection import protection_of, stop_price_of
from matching.vocabulary import NO_SLOT, CommandKind, OrderType

POST_ONLY = int(Instruction.POST_ONLY)


@kernel
def fill_form(core: Core, command: Row, order: int) -> Row:
    """Put the command of a member who is known into the book's words, under the order that it acts on."""
    form = core.form[0]
    form.order = order
    form.price = command.price
    form.quantity = command.quantity
    form.time = command.time
    form.display_quantity = command.display_quantity
    form.minimum_quantity = command.minimum_quantity
    form.stop_price = command.stop_price
    form.trail = command.trail
    form.expires_at = command.expires_at
    form.instrument = command.instrument
    form.member = command.member
    form.group = core.ledger.members[command.member].group
    form.kind = command.kind
    form.side = command.side
    form.type = command.type
    form.time_in_force = command.time_in_force
    form.subsidised = 0 if command.programme == NO_SLOT else 1
    form.post_only = command.instructions & POST_ONLY
    form.self_trade = command.self_trade
    return form


@kernel
def fill_refusal(core: Core, command: Row) -> Row:
    """Put into the form what a refusal repeats of a command that may be wrong in every field."""
    form = core.form[0]
    form.order = command.order if aims_at_order(command) else 0
    form.price = command.price
    form.quantity = command.quantity
    form.instrument = command.instrument
    form.side = command.side
    return form


@kernel
def aims_at_order(command: Row) -> bool:
    """Tell whether a command is about an order that is there."""
    kind: int = command.kind
    return CommandKind.CANCEL <= kind <= CommandKind.REPLACE


@kernel
def price_meant(core: Core, command: Row) -> int:
    """Return the price that a sound new order, which is in the form, never trades beyond."""
    if command.type == OrderType.LIMIT:
        price: int = command.price
        return price
    return protection_meant(core, core.form[0])


@rare
def protection_meant(core: Core, form: Row) -> int:
    """Return the price that an order with a protection price will have; it is sound."""
    market = core.book.markets[form.instrument]
    return protection_of(market, form, stop_price_of(market, form))
