"""What the reference refuses: ladders of one-line checks. Of several faults the first is told.

A ladder's rungs are joined by `or`, for `RejectReason.NONE` is 0. They stand in the manual's order.
"""

from __future__ import annotations

from collections.abc import Sequence

from matching.permissions import Ask, forbidden, is_taken
from matching.reference_orders import (
    LIMITED_TYPES,
    Command,
    Market,
    Order,
    price_of,
    stop_price_of,
    with_used_fields,
)
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    NOTIONAL_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    SLICES_MAX,
    OrderType,
    Phase,
    RejectReason,
    SelfTrade,
    Side,
    TimeInForce,
)

AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)
"""The times in force that never let an order rest."""


def fault_as_written(command: Command, markets: Sequence[Market], clock: int) -> RejectReason:
    """Return why a new order cannot be taken as it is written: rungs 1 to 9."""
    fault = fault_of_words(command, markets)
    if fault != RejectReason.NONE:
        return fault
    market = markets[command.instrument]
    command = with_used_fields(command)
    price = price_of(command, market)
    return (
        fault_of_own_price(command, market.tick)
        or fault_of_quantity(command.quantity)
        or fault_of_stop(command, market)
        or fault_of_display(command.display_quantity, command.quantity)
        or fault_of_minimum(command)
        or fault_of_expiry(command, clock)
        or fault_of_instructions(command)
        or (RejectReason.NO_PROTECTION_PRICE if price == 0 else RejectReason.NONE)
        or fault_of_notional(price, command.quantity)
    )


def fault_of_words(command: Command, markets: Sequence[Market]) -> RejectReason:
    """Return which word of a new order nobody knows."""
    if not 0 <= command.instrument < len(markets):
        return RejectReason.UNKNOWN_INSTRUMENT
    if command.side not in tuple(Side):
        return RejectReason.UNKNOWN_SIDE
    if command.type not in tuple(OrderType):
        return RejectReason.UNKNOWN_TYPE
    if command.time_in_force not in tuple(TimeInForce):
        return RejectReason.UNKNOWN_TIME_IN_FORCE
    if command.self_trade not in tuple(SelfTrade):
        return RejectReason.UNKNOWN_SELF_TRADE
    return RejectReason.NONE


def fault_of_own_price(command: Command, tick: int) -> RejectReason:
    """Return what is wrong with a new order's price. Types with a protection price may leave it out."""
    if command.price == 0 and command.type not in LIMITED_TYPES:
        return RejectReason.NONE
    return fault_of_price(command.price, tick)


def fault_of_price(price: int, tick: int) -> RejectReason:
    """Return what is wrong with a price."""
    if price <= 0:
        return RejectReason.PRICE_NOT_POSITIVE
    if price > PRICE_MAX:
        return RejectReason.PRICE_TOO_LARGE
    if price % tick != 0:
        return RejectReason.PRICE_OFF_TICK
    return RejectReason.NONE


def fault_of_quantity(quantity: int) -> RejectReason:
    """Return what is wrong with a new order's quantity."""
    if quantity <= 0:
        return RejectReason.QUANTITY_NOT_POSITIVE
    if quantity > QUANTITY_MAX:
        return RejectReason.QUANTITY_TOO_LARGE
    return RejectReason.NONE


def fault_of_stop(command: Command, market: Market) -> RejectReason:
    """Return what is wrong with the trail, then with the stop price, whether given or found."""
    if command.type not in (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP):
        return RejectReason.NONE
    if command.type == OrderType.TRAILING_STOP and fault_of_price(command.trail, market.tick):
        return RejectReason.TRAIL_INVALID
    return fault_of_stop_price(stop_price_of(command, market), market.tick)


def fault_of_stop_price(stop_price: int, tick: int) -> RejectReason:
    """Return what is wrong with a stop price."""
    return RejectReason.STOP_PRICE_INVALID if fault_of_price(stop_price, tick) else RejectReason.NONE


def fault_of_display(display_quantity: int, quantity: int) -> RejectReason:
    """Return what is wrong with a display quantity: too many slices would show it."""
    if display_quantity < 0 or 0 < display_quantity * SLICES_MAX < quantity:
        return RejectReason.DISPLAY_QUANTITY_INVALID
    return RejectReason.NONE


def fault_of_minimum(command: Command) -> RejectReason:
    """Return what is wrong with a minimum quantity."""
    if not 0 <= command.minimum_quantity <= command.quantity:
        return RejectReason.MINIMUM_QUANTITY_INVALID
    return RejectReason.NONE


def fault_of_expiry(command: Command, clock: int) -> RejectReason:
    """Return what is wrong with the time at which an order shall expire."""
    if command.time_in_force == TimeInForce.GTD and command.expires_at <= clock:
        return RejectReason.EXPIRY_INVALID
    return RejectReason.NONE


def fault_of_instructions(command: Command) -> RejectReason:
    """Return whether instructions contradict each other: who posts only never trades at once."""
    trades_at_once = (
        command.type not in LIMITED_TYPES or command.time_in_force in AT_ONCE or command.minimum_quantity > 0
    )
    if command.post_only and trades_at_once:
        return RejectReason.INSTRUCTIONS_CONFLICT
    return RejectReason.NONE


def fault_of_notional(price: int, quantity: int) -> RejectReason:
    """Return whether an order is worth too much."""
    return RejectReason.NOTIONAL_TOO_LARGE if price * quantity > NOTIONAL_MAX else RejectReason.NONE


def fault_of_market(market: Market, ask: Ask) -> RejectReason:
    """Return why an instrument's phase does not take what is asked, or NONE."""
    return RejectReason.NONE if is_taken(market.phase, ask) else forbidden(market.phase, ask)


# --- commands about what is there ---------------------------------------------------------------


def fault_of_reduction(command: Command, market: Market) -> RejectReason:
    """Return why an order cannot be reduced."""
    if command.quantity <= 0:
        return RejectReason.QUANTITY_NOT_POSITIVE
    return fault_of_market(market, Ask.REDUCE)


def fault_of_replacement(command: Command, order: Order, market: Market) -> RejectReason:
    """Return why an order cannot be replaced as it is written. A price or stop price of 0 is kept."""
    return (
        fault_of_price(command.price or order.price, market.tick)
        or (
            fault_of_stop_price(command.stop_price or order.stop_price, market.tick)
            if order.is_parked
            else RejectReason.NONE
        )
        or (RejectReason.QUANTITY_NOT_POSITIVE if command.quantity < 0 else RejectReason.NONE)
        or (RejectReason.QUANTITY_TOO_LARGE if command.quantity > QUANTITY_MAX else RejectReason.NONE)
        or fault_of_market(market, Ask.REPLACE)
    )


def fault_of_mass_cancel(command: Command, markets: Sequence[Market]) -> RejectReason:
    """Return why a mass cancel cannot be done. One of every instrument passes over those that forbid it."""
    if command.instrument != EVERY and not 0 <= command.instrument < len(markets):
        return RejectReason.UNKNOWN_INSTRUMENT
    if command.side not in (*Side, BOTH_SIDES):
        return RejectReason.UNKNOWN_SIDE
    if command.instrument == EVERY:
        return RejectReason.NONE
    return fault_of_market(markets[command.instrument], Ask.CANCEL)


def fault_of_phase(command: Command, markets: Sequence[Market]) -> RejectReason:
    """Return why a phase cannot be set. A reference price is no order's: it needs no grid."""
    if command.instrument != EVERY and not 0 <= command.instrument < len(markets):
        return RejectReason.UNKNOWN_INSTRUMENT
    if command.phase not in tuple(Phase):
        return RejectReason.UNKNOWN_PHASE
    if command.price < 0:
        return RejectReason.PRICE_NOT_POSITIVE
    if command.price > PRICE_MAX:
        return RejectReason.PRICE_TOO_LARGE
    return RejectReason.NONE
