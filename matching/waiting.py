"""How orders enter a call: they stand at their price, or wait beside the book for the auction."""

from __future__ import annotations

from matching.extras import hide, link_last, unlink
from matching.kernel import kernel, rare, wide
from matching.layout import HALVES, WAITING, Book
from matching.levels import key_of
from matching.queues import join, leave, open_up
from matching.rows import extra_at, level_at, market_at, order_at
from matching.vocabulary import NO_SLOT, OrderType, Side

_ENTRIES = 2**32
"""Entries are counted modulo this: who came later is known of any two with less than half of it between."""


@rare
def join_call(book: Book, slot: int, price: int, is_market: bool) -> None:
    """Let an order stand in the book, or wait beside it, without trading: behind all others at its price."""
    order = order_at(book, slot)
    market = market_at(book, order.instrument)
    stamp(book, slot)
    kind = order.side
    if is_market:
        kind += WAITING
        link_last(book, slot, market.waiting_last)
        if market.waiting_first == NO_SLOT:
            market.waiting_first = slot
        market.waiting_last = slot
    note_cut(book, slot, price, order.leaves)
    hide(book, slot)
    join(book, slot, HALVES * order.instrument + kind, key_of(kind, price, market.tick), price)
    open_up(book, slot)


@rare
def note_cut(book: Book, slot: int, price: int, lots: int) -> None:
    """Correct what a call knows of demand and supply: so many lots have come at a price, or gone if fewer."""
    order = order_at(book, slot)
    market = market_at(book, order.instrument)
    if market.cut_price == 0:
        return
    if order.side == Side.BUY and price >= market.cut_price:
        market.cut_demand += lots
    elif order.side == Side.SELL and price <= market.cut_price:
        market.cut_supply += lots


@rare
def note_lots(book: Book, slot: int, lots: int) -> None:
    """Correct what a call knows of an order that stands in it or waits; a parked one has no part in it."""
    order = order_at(book, slot)
    if order.extra == NO_SLOT or extra_at(book, order.extra).is_parked == 0:
        note_cut(book, slot, level_at(book, order.level).price, lots)


@rare
def stamp(book: Book, slot: int) -> None:
    """Note that an order takes its place in a call, later than all that have."""
    counts = book.counts[0]
    counts.entries += 1
    if counts.entries % _ENTRIES == 0:
        counts.entries += 1  # 0 says that an order took its place outside of calls
    order_at(book, slot).entry = counts.entries % _ENTRIES


@rare
def is_later(book: Book, one: int, other: int) -> bool:
    """Tell whether, of two that meet in an auction, the first took its place later.

    At least one of them took it in a call: those that did not have never crossed.
    """
    entry = wide(order_at(book, one).entry)
    before = wide(order_at(book, other).entry)
    if entry == 0 or before == 0:
        return before == 0
    return 0 < (entry - before) % _ENTRIES < _ENTRIES // 2


@kernel
def is_waiting(book: Book, slot: int) -> bool:
    """Tell whether an open order waits beside the book for an auction."""
    extra = order_at(book, slot).extra
    return extra != NO_SLOT and extra_at(book, extra).type == OrderType.MARKET


@rare
def stop_waiting(book: Book, slot: int) -> None:
    """Take a waiting market order out of those that wait; its id is known still."""
    leave(book, slot)
    order = order_at(book, slot)
    extra = extra_at(book, order.extra)
    market = market_at(book, order.instrument)
    if market.waiting_first == slot:
        market.waiting_first = extra.trail_behind
    if market.waiting_last == slot:
        market.waiting_last = extra.trail_ahead
    unlink(book, slot)
