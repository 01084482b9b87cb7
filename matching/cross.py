"""A taker meets the book: price by price, first come first served; its own group is kept apart from it."""

from __future__ import annotations

import numpy as np

from matching.extras import hide, open_lots
from matching.kernel import kernel, rare, wide
from matching.layout import HALVES, PARKED, SUBSIDISED, Book
from matching.queues import join, leave
from matching.rows import event_at, extra_at, half_at, level_at, market_at, order_at
from matching.stops import note_price
from matching.tape import record
from matching.tell import depart, end, take_out, tell
from matching.view import next_level
from matching.vocabulary import NO_SLOT, EventKind, QueueChange, RejectReason, SelfTrade, Side

_TRADE = int(SelfTrade.NONE)
_CANCEL_TAKER = int(SelfTrade.CANCEL_TAKER)
_CANCEL_MAKER = int(SelfTrade.CANCEL_MAKER)
_DECREMENT = int(SelfTrade.DECREMENT)
_NONE = int(RejectReason.NONE)
_RELATED_PARTY = int(RejectReason.RELATED_PARTY)
_SELF_TRADE = int(RejectReason.SELF_TRADE)


@kernel
def bar_of(book: Book, taker: int, maker: int) -> int:
    """Return what is done with two orders that meet, a `SelfTrade`: they trade, unless of one group.

    No programme pays for what a group sells to itself: the subsidised buy is cancelled, whatever the
    taker's mode, and whoever came first.
    """
    one = order_at(book, taker)
    if one.group != order_at(book, maker).group:
        return _TRADE
    if is_related(book, taker, maker):
        return _CANCEL_TAKER if one.side == Side.BUY else _CANCEL_MAKER
    return int(np.int64(one.self_trade))


@kernel
def is_related(book: Book, taker: int, maker: int) -> bool:
    """Tell whether, of two orders of one group, the buy is subsidised."""
    buy = taker if order_at(book, taker).side == Side.BUY else maker
    return order_at(book, buy).marks & SUBSIDISED != 0


@kernel
def trade(book: Book, taker: int, level: int, events: np.ndarray, at: int) -> int:
    """Trade with the first order of a level, at its price. Returns how many events stand written."""
    one = order_at(book, taker)
    here = level_at(book, level)
    maker = wide(here.first)
    other = order_at(book, maker)
    quantity = min(one.leaves, other.leaves)
    one.leaves -= quantity
    tell(book, taker, EventKind.TRADED, here.price, quantity, one.leaves, events, at)
    event = event_at(events, at)
    event.maker_order = other.id
    event.maker_slot = maker
    event.maker_leaves = open_lots(book, maker) - quantity
    take_shown(book, maker, quantity, QueueChange.FILLED)
    return at + 1


@kernel
def take_shown(book: Book, slot: int, lots: int, change: int) -> None:
    """Take lots off what an order shows; the next slice stands last, and an order without one ends."""
    order = order_at(book, slot)
    if len(book.tape) != 0:
        record(book, slot, order.leaves - lots, change)
    if lots < order.leaves:
        order.leaves -= lots
        level_at(book, order.level).quantity -= lots
    elif open_lots(book, slot) == lots:
        depart(book, slot)
        end(book, slot)
    else:
        show_next(book, slot)


@rare
def show_next(book: Book, slot: int) -> None:
    """Show an iceberg's next slice, at the back of the queue at its price."""
    order = order_at(book, slot)
    extra = extra_at(book, order.extra)
    here = level_at(book, order.level)
    half_index = here.half
    key = here.key
    price = here.price
    leave(book, slot)
    order.leaves = min(extra.display, extra.hidden)
    extra.hidden -= order.leaves
    join(book, slot, half_index, key, price)


@rare
def decrement(book: Book, slot: int, price: int, lots: int, leaves: int, events: np.ndarray, at: int) -> None:
    """Tell that an order lost lots to its own group: it is reduced, or cancelled if none are left."""
    order = order_at(book, slot)
    if leaves == 0:
        tell(book, slot, EventKind.CANCELLED, price, lots, 0, events, at)
    else:
        order.quantity -= lots
        tell(book, slot, EventKind.REDUCED, price, order.quantity, leaves, events, at)
    event_at(events, at).reason = RejectReason.SELF_TRADE


@rare
def keep_apart(
    book: Book, taker: int, price: int, level: int, events: np.ndarray, at: int
) -> tuple[int, int]:
    """Do with a taker and the first order of a level, one group, what the taker's mode says.

    Returns how many events stand written, and why what is left of the taker is to be cancelled, or NONE.
    """
    maker = wide(level_at(book, level).first)
    mode = bar_of(book, taker, maker)
    reason = _RELATED_PARTY if is_related(book, taker, maker) else _SELF_TRADE
    if mode == _DECREMENT:
        one = order_at(book, taker)
        lots = min(one.leaves, order_at(book, maker).leaves)
        maker_leaves = open_lots(book, maker) - lots
        decrement(book, maker, level_at(book, level).price, lots, maker_leaves, events, at)
        take_shown(book, maker, lots, QueueChange.TAKEN_OFF)
        one.leaves -= lots
        decrement(book, taker, price, lots, one.leaves, events, at + 1)
        return at + 2, _NONE
    if mode != _CANCEL_TAKER:
        at = take_out(book, maker, EventKind.CANCELLED, reason, events, at)
    return at, _NONE if mode == _CANCEL_MAKER else reason


@kernel
def cross(book: Book, taker: int, price: int, reach: int, events: np.ndarray, at: int) -> tuple[int, int]:
    """Trade the order in slot `taker` with all that ranks up to `reach` in the other half.

    Returns how many events stand written, and why what is left is to be cancelled, or NONE. A taker's
    prices run one way, so what stops see is its first price and its last.
    """
    order = order_at(book, taker)
    instrument = order.instrument
    half = half_at(book, HALVES * instrument + 1 - order.side)
    first = 0
    last = 0
    reason = _NONE
    while order.leaves > 0 and half.best_key <= reach:
        level = half.best
        if bar_of(book, taker, level_at(book, level).first) != _TRADE:
            at, reason = keep_apart(book, taker, price, level, events, at)
            if reason != _NONE:
                break
        else:
            last = level_at(book, level).price
            if first == 0:
                first = last
            at = trade(book, taker, level, events, at)
    if last != 0:
        note_trades(book, instrument, first, last)
    return at, reason


@kernel
def note_trades(book: Book, instrument: int, first: int, last: int) -> None:
    """Let the stops of an instrument see the first and the last price of a taker's trades."""
    market = market_at(book, instrument)
    parked = HALVES * instrument + PARKED
    if half_at(book, parked).levels + half_at(book, parked + 1).levels == 0:
        market.last = last
        return
    note_price(book, instrument, first)
    if last != first:
        note_price(book, instrument, last)


@rare
def fillable(book: Book, taker: int, reach: int, wanted: int) -> int:
    """Return how many lots the taker would trade now, hidden ones too, or `wanted` if it is that many.

    Orders that it would cancel are passed over. Where its own group would end or shorten it, nothing
    behind counts: of that level only the slices shown before. O(orders in reach).
    """
    order = order_at(book, taker)
    level = half_at(book, HALVES * order.instrument + 1 - order.side).best
    total = 0
    while level != NO_SLOT and level_at(book, level).key <= reach and total < wanted:
        shown = 0
        whole = 0
        slot = level_at(book, level).first
        while slot != NO_SLOT:
            mode = bar_of(book, taker, slot)
            if mode == _TRADE:
                shown += order_at(book, slot).leaves
                whole += open_lots(book, slot)
                if total + shown >= wanted:
                    return wanted
            elif mode != _CANCEL_MAKER:
                return min(total + shown, wanted)
            slot = order_at(book, slot).behind
        total += whole
        level = next_level(book, level)
    return min(total, wanted)


@kernel
def rest(book: Book, slot: int, half_index: int, key: int, price: int) -> None:
    """Let what is left of an order stand in the book."""
    hide(book, slot)
    join(book, slot, half_index, key, price)
