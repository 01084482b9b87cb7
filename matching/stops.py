"""Parked stops: who waits, whom a trade elects, and how trailing stops follow the market.

Parked stops stand in price trees of their own, ranked so that the best one triggers first: a trade
costs two comparisons while nobody is near. Trailing stops move with the market one by one, first come
first: a trade at a new price costs a step for each of its instrument's trailing stops.
"""

from __future__ import annotations

from matching.extras import link_last, unlink
from matching.kernel import kernel, rare
from matching.layout import HALVES, PARKED, WAITING, Book
from matching.levels import key_of
from matching.queues import join, leave, open_up
from matching.rows import extra_at, half_at, level_at, market_at, order_at
from matching.vocabulary import NO_SLOT, PRICE_MAX, Side


@rare
def park(book: Book, slot: int, stop_price: int) -> None:
    """Let a stop wait, outside of the book."""
    order = order_at(book, slot)
    extra = extra_at(book, order.extra)
    extra.is_parked = 1
    await_price(book, slot, stop_price)
    book.counts[0].parked += 1
    open_up(book, slot)
    if extra.trail != 0:
        market = market_at(book, order.instrument)
        link_last(book, slot, market.trail_last)
        if market.trail_first == NO_SLOT:
            market.trail_first = slot
        market.trail_last = slot


@rare
def await_price(book: Book, slot: int, stop_price: int) -> None:
    """Let a stop stand last at its stop price."""
    order = order_at(book, slot)
    kind = PARKED + order.side
    key = key_of(kind, stop_price, market_at(book, order.instrument).tick)
    join(book, slot, HALVES * order.instrument + kind, key, stop_price)


@rare
def unpark(book: Book, slot: int) -> None:
    """Take a stop out of those that wait; its id is known still."""
    leave(book, slot)
    order = order_at(book, slot)
    extra = extra_at(book, order.extra)
    extra.is_parked = 0
    book.counts[0].parked -= 1
    if extra.trail != 0:
        market = market_at(book, order.instrument)
        if market.trail_first == slot:
            market.trail_first = extra.trail_behind
        if market.trail_last == slot:
            market.trail_last = extra.trail_ahead
        unlink(book, slot)


@rare
def elect(book: Book, slot: int) -> None:
    """Let a parked stop wait, behind those elected before it, to enter the book."""
    unpark(book, slot)
    counts = book.counts[0]
    order_at(book, slot).behind = NO_SLOT
    if counts.elected_first == NO_SLOT:
        counts.elected_first = slot
    else:
        order_at(book, counts.elected_last).behind = slot
    counts.elected_last = slot


@kernel
def waits_at(book: Book, slot: int) -> int:
    """Return the price that a parked stop waits for, in hao; 0 for every other order."""
    order = order_at(book, slot)
    if order.extra == NO_SLOT or extra_at(book, order.extra).is_parked == 0:
        return 0
    return int(level_at(book, order.level).price)


@kernel
def is_reached(book: Book, instrument: int, side: int, stop_price: int) -> bool:
    """Tell whether the last price reaches a stop price."""
    last = market_at(book, instrument).last
    if last == 0:
        return False
    return last >= stop_price if side == Side.BUY else last <= stop_price


@rare
def note_price(book: Book, instrument: int, price: int) -> None:
    """Take `price` for the last; elect the stops that it reaches, buys first; let the others follow it."""
    market = market_at(book, instrument)
    market.last = price
    for kind in range(PARKED, WAITING):
        half = half_at(book, HALVES * instrument + kind)
        if half.levels > 0:
            reach = key_of(kind, price, market.tick)
            while half.best_key <= reach:
                elect(book, level_at(book, half.best).first)
    slot = market.trail_first
    while slot != NO_SLOT:
        behind = extra_at(book, order_at(book, slot).extra).trail_behind
        follow(book, slot, price)
        slot = behind


@rare
def follow(book: Book, slot: int, price: int) -> None:
    """Move a trailing stop towards a price that leaves it more than its trail behind."""
    order = order_at(book, slot)
    extra = extra_at(book, order.extra)
    was = level_at(book, order.level).price
    if order.side == Side.SELL:
        stop_price = price - extra.trail
        if stop_price > was:
            leave(book, slot)
            highest = PRICE_MAX - PRICE_MAX % market_at(book, order.instrument).tick
            extra.price = min(extra.price + (stop_price - was), highest)
            await_price(book, slot, stop_price)
    else:
        stop_price = price + extra.trail
        if stop_price < was:
            leave(book, slot)
            extra.price = max(extra.price - (was - stop_price), market_at(book, order.instrument).tick)
            await_price(book, slot, stop_price)
