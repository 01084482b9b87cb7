"""Why an order cannot be taken as it is written: ladders of one line a rule."""

from __future__ import annotations

import numpy as np

from matching.extras import display_of, is_timed, shows_enough
from matching.ids import find
from matching.kernel import kernel, rare
from matching.layout import HALVES, Book, Row
from matching.levels import key_of
from matching.permissions import TAKEN, Ask, forbidden
from matching.protection import protection_of, stop_price_of
from matching.rows import half_at, market_at
from matching.vocabulary import (
    NO_SLOT,
    NOTIONAL_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    SLICES_OPEN_MAX,
    OrderType,
    Phase,
    RejectReason,
    SelfTrade,
    Side,
    TimeInForce,
)

_ASKS = len(Ask)
_REFUSALS = tuple(
    int(RejectReason.NONE if ask in TAKEN[phase] else forbidden(phase, ask)) for phase in Phase for ask in Ask
)
"""Why a phase does not take a sort of command, or NONE: the table of `matching.permissions`, in a row."""

_SMALL_PRICE = 2**31
_SMALL_QUANTITY = 2**30
"""Below both of these no product is too large, and a division is spared."""


@kernel
def price_fault(price: int, tick: int) -> int:
    """Return what is wrong with a price that must be there, or NONE."""
    if price <= 0:
        return RejectReason.PRICE_NOT_POSITIVE
    if price > PRICE_MAX:
        return RejectReason.PRICE_TOO_LARGE
    if tick != 1 and price % tick != 0:
        return RejectReason.PRICE_OFF_TICK
    return RejectReason.NONE


@kernel
def is_notional_too_large(price: int, quantity: int) -> bool:
    """Tell whether price x quantity, both within their bounds, is more than an order may come to."""
    if price < _SMALL_PRICE and quantity < _SMALL_QUANTITY:
        return False
    return quantity > NOTIONAL_MAX // price


@kernel
def fault_of(book: Book, command: Row) -> int:
    """Return why a new order cannot be taken as it is written, or NONE: whatever else is open."""
    if not 0 <= command.instrument < len(book.markets):
        return RejectReason.UNKNOWN_INSTRUMENT
    if command.side > Side.SELL:
        return RejectReason.UNKNOWN_SIDE
    if command.type > OrderType.TRAILING_STOP:
        return RejectReason.UNKNOWN_TYPE
    if command.time_in_force > TimeInForce.FOK:
        return RejectReason.UNKNOWN_TIME_IN_FORCE
    if command.self_trade > SelfTrade.DECREMENT:
        return RejectReason.UNKNOWN_SELF_TRADE
    market = market_at(book, command.instrument)
    is_bounded = command.type == OrderType.LIMIT or command.type == OrderType.STOP_LIMIT
    reason = price_fault(command.price, market.tick)
    if reason != RejectReason.NONE and (is_bounded or command.price != 0):
        return reason
    if command.quantity <= 0:
        return RejectReason.QUANTITY_NOT_POSITIVE
    if command.quantity > QUANTITY_MAX:
        return RejectReason.QUANTITY_TOO_LARGE
    if is_plain(command):
        if is_notional_too_large(command.price, command.quantity):
            return RejectReason.NOTIONAL_TOO_LARGE
    else:
        reason = special_fault(book, command)
        if reason != RejectReason.NONE:
            return reason
    return RejectReason.NONE if market.phase == Phase.CONTINUOUS else order_refusal(market, command)


@kernel
def phase_refusal(phase: int, ask: int) -> int:
    """Return why a phase does not take a sort of command, or NONE."""
    return _REFUSALS[_ASKS * np.int64(phase) + ask]


@rare
def order_refusal(market: Row, command: Row) -> int:
    """Return why a market's phase does not take a new order, or NONE."""
    return phase_refusal(market.phase, Ask.AT_ONCE if must_trade_at_once(command) else Ask.ORDER)


@kernel
def must_trade_at_once(command: Row) -> bool:
    """Tell whether a new order asks for what only trading on arrival can give it."""
    if command.type >= OrderType.STOP:
        return False
    return (
        command.minimum_quantity != 0
        or command.time_in_force == TimeInForce.FOK
        or (command.time_in_force == TimeInForce.IOC and command.type == OrderType.LIMIT)
    )


@kernel
def is_plain(command: Row) -> bool:
    """Tell whether an order is a limit order and no more: nearly all of them are."""
    return (
        command.type == OrderType.LIMIT
        and command.time_in_force != TimeInForce.GTD
        and command.time_in_force != TimeInForce.FOK
        and command.post_only == 0
        and command.minimum_quantity == 0
        and command.display_quantity == 0
    )


@rare
def special_fault(book: Book, command: Row) -> int:
    """Return what is wrong with an order's stop, quantities, expiry and instructions, or NONE."""
    market = market_at(book, command.instrument)
    kind = command.type
    if kind == OrderType.TRAILING_STOP and price_fault(command.trail, market.tick) != RejectReason.NONE:
        return RejectReason.TRAIL_INVALID
    if kind >= OrderType.STOP:
        is_said = kind != OrderType.TRAILING_STOP or command.stop_price != 0
        if is_said and price_fault(command.stop_price, market.tick) != RejectReason.NONE:
            return RejectReason.STOP_PRICE_INVALID
        if stop_price_of(market, command) == 0:
            return RejectReason.STOP_PRICE_INVALID
    display = display_of(command)
    if display < 0 or not shows_enough(display, command.quantity):
        return RejectReason.DISPLAY_QUANTITY_INVALID
    if not 0 <= command.minimum_quantity <= command.quantity:
        return RejectReason.MINIMUM_QUANTITY_INVALID
    if is_timed(command) and command.expires_at <= book.counts[0].clock:
        return RejectReason.EXPIRY_INVALID
    if command.post_only != 0 and is_contradicted(command):
        return RejectReason.INSTRUCTIONS_CONFLICT
    price = protection_of(market, command, stop_price_of(market, command))
    if price == 0:
        return RejectReason.NO_PROTECTION_PRICE
    if is_notional_too_large(price, command.quantity):
        return RejectReason.NOTIONAL_TOO_LARGE
    return RejectReason.NONE


@kernel
def is_contradicted(command: Row) -> bool:
    """Tell whether an order that must not take asks for what only a taker gets."""
    return (
        (command.type != OrderType.LIMIT and command.type != OrderType.STOP_LIMIT)
        or command.time_in_force == TimeInForce.IOC
        or command.time_in_force == TimeInForce.FOK
        or command.minimum_quantity != 0
    )


@kernel
def would_trade(book: Book, instrument: int, side: int, price: int) -> bool:
    """Tell whether an order at this price meets the other half."""
    reach = key_of(1 - side, price, market_at(book, instrument).tick)
    return half_at(book, HALVES * instrument + 1 - side).best_key <= reach


@kernel
def entry_fault(book: Book, command: Row) -> int:
    """Return why a new order that is sound by itself cannot enter now, or NONE."""
    if command.order <= 0:
        return RejectReason.ORDER_NOT_POSITIVE
    if find(book, command.order) != NO_SLOT:
        return RejectReason.DUPLICATE_ORDER
    if (
        command.post_only != 0
        and command.type == OrderType.LIMIT
        and would_trade(book, command.instrument, command.side, command.price)
    ):
        return RejectReason.POST_ONLY_WOULD_CROSS
    if display_of(command) != 0 and book.counts[0].slices > SLICES_OPEN_MAX:
        return RejectReason.BOOK_FULL
    return RejectReason.NONE
