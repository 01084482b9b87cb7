"""How far a trade may lie from the reference and from the last price, and what happens beyond."""

from __future__ import annotations

import numpy as np

from matching.kernel import kernel, rare
from matching.layout import HALVES, Book, Row
from matching.levels import key_of
from matching.protection import width_of
from matching.rows import half_at, level_at, market_at, order_at
from matching.tell import blank
from matching.vocabulary import PRICE_MAX, EventKind, Phase, RejectReason, Side


@kernel
def is_beyond(price: int, base: int, collar: int) -> bool:
    """Tell whether a price lies further from `base` than a collar, per mille; without either, never."""
    return base > 0 and collar > 0 and abs(price - base) > width_of(base, collar)


@rare
def collar_of(market: Row, last: int, price: int) -> int:
    """Return which collar a trade at `price` would break, or NONE; `last` is the last price to go by."""
    if is_beyond(price, market.reference, market.static_collar):
        return RejectReason.STATIC_COLLAR
    if is_beyond(price, last, market.dynamic_collar):
        return RejectReason.DYNAMIC_COLLAR
    return RejectReason.NONE


@rare
def reach_within(book: Book, taker: int, reach: int) -> int:
    """Return the last key, up to `reach`, at which a taker may trade within its market's collars."""
    order = order_at(book, taker)
    market = market_at(book, order.instrument)
    half = half_at(book, HALVES * order.instrument + 1 - order.side)
    if half.best_key > reach:
        return reach
    if collar_of(market, market.last, level_at(book, half.best).price) != RejectReason.NONE:
        return half.best_key - 1
    for base, collar in ((market.reference, market.static_collar), (market.last, market.dynamic_collar)):
        if base > 0 and collar > 0:
            width = width_of(base, collar)
            if order.side == Side.BUY:
                furthest = min(base + width, PRICE_MAX)
                reach = min(reach, key_of(Side.SELL, furthest, market.tick))
            elif width < base:
                # The lowest price that is allowed, in whole ticks, rounded up.
                lowest = base - width + market.tick - 1
                reach = min(reach, key_of(Side.BUY, lowest, market.tick))
    return reach


@rare
def interrupt(book: Book, instrument: int, collar: int, events: np.ndarray, at: int) -> int:
    """Begin a volatility auction: a taker has met a collar. Returns how many events stand written."""
    market = market_at(book, instrument)
    market.phase = Phase.PRE_OPEN
    book.counts[0].calls += 1
    book.counts[0].interruptions += 1
    event = blank(book, events, at)
    event.price = market.reference
    event.instrument = instrument
    event.kind = EventKind.PHASE_CHANGED
    event.reason = collar
    event.phase = Phase.PRE_OPEN
    return at + 1
