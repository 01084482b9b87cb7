"""The prices that an order does not say itself: protection from the collar, a trailing stop's beginning."""

from __future__ import annotations

from matching.kernel import kernel
from matching.layout import Row
from matching.vocabulary import PRICE_MAX, OrderType, Side

_PRODUCT_MAX = 2**62


@kernel
def whole_ticks(price: int, tick: int, upwards: bool) -> int:
    """Return `price` on the tick grid, rounded up or down."""
    below = price - price % tick
    return below + tick if upwards and below != price else below


@kernel
def within_bounds(price: int, tick: int) -> int:
    """Return the nearest price to `price`, itself on the grid, that an order may have."""
    return max(min(price, PRICE_MAX - PRICE_MAX % tick), tick)


@kernel
def width_of(base: int, collar: int) -> int:
    """Return how far a collar, per mille, reaches from a price, in hao."""
    # A collar that is wider than any price reaches the bound; else the product fits into int64.
    return base * collar // 1000 if collar <= _PRODUCT_MAX // base else PRICE_MAX


@kernel
def start_of_trail(market: Row, command: Row) -> int:
    """Return a trailing stop's first stop price, in hao; 0 if there is none, or no possible one."""
    if command.stop_price != 0:
        return command.stop_price
    base = market.last if market.last != 0 else market.reference
    if base == 0:
        return 0
    if command.side == Side.BUY:
        price = whole_ticks(base, market.tick, True) + command.trail
        return price if price <= PRICE_MAX else 0
    return max(whole_ticks(base, market.tick, False) - command.trail, 0)


@kernel
def protection_of(market: Row, command: Row, stop_price: int) -> int:
    """Return the price that an order never trades beyond, in hao; 0 if there is none.

    A limit, or a price that is given, is its own. Else the collar decides, about a stop's stop price
    or about the reference: about a reference far off, a stop could never trade when it is triggered.
    """
    if command.price != 0:
        return command.price
    base = stop_price if stop_price != 0 else market.reference
    if base == 0 or market.collar <= 0:
        return 0
    width = width_of(base, market.collar)
    if command.side == Side.BUY:
        return within_bounds(whole_ticks(base + width, market.tick, False), market.tick)
    return within_bounds(whole_ticks(base - width, market.tick, True), market.tick)


@kernel
def stop_price_of(market: Row, command: Row) -> int:
    """Return the price at which a stop begins to wait, in hao; 0 for an order that is no stop."""
    if command.type < OrderType.STOP:
        return 0
    return start_of_trail(market, command) if command.type == OrderType.TRAILING_STOP else command.stop_price
