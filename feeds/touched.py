"""From what was done to the queues to what is told of it: two kernel calls a batch, and one for pictures.

All kernels of the feed stand in this file, and call nothing but those of `matching`: Numba's cache
sees a change of this file by itself, one of `matching` by the digest that names the cache folder.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from feeds.arrays import LEVEL_UPDATE, ORDER_UPDATE
from feeds.records import NO_TAKER
from matching.kernel import kernel, wide
from matching.layout import HALVES, Book, Row
from matching.levels import key_of
from matching.rows import half_at, level_at, market_at, order_at
from matching.view import find_level, next_level
from matching.vocabulary import NO_SLOT, Phase, QueueChange, Side

_SPREAD = 2_654_435_761
"""An odd number near 2**32 / golden ratio (Knuth, volume 3, 6.4): it scatters the halves."""


class Folded(NamedTuple):
    """What `fold` makes of a batch, and room to work in: `seen`, which finds levels, and `noted`.

    Of instrument i the order updates are `orders[starts[i] : starts[i + 1]]`, the level updates
    `levels[ends[i] : ends[i + 1]]`; `news` is set where the top is another than before.
    """

    orders: np.ndarray
    starts: np.ndarray
    levels: np.ndarray
    ends: np.ndarray
    news: np.ndarray
    noted: np.ndarray
    seen: np.ndarray


def room_for(rows: int, instruments: int) -> Folded:
    """Return room to fold so many rows of a tape."""
    return Folded(
        orders=np.empty(rows, ORDER_UPDATE),
        starts=np.zeros(instruments + 2, np.int64),
        levels=np.empty(rows, LEVEL_UPDATE),
        ends=np.zeros(instruments + 1, np.int64),
        news=np.zeros(instruments, np.bool_),
        noted=np.empty(rows, LEVEL_UPDATE),
        seen=np.full(1 << (2 * rows + 1).bit_length(), NO_SLOT, np.int32),
    )


@kernel
def fold(book: Book, tape: np.ndarray, first: int, folded: Folded, tops: np.ndarray) -> None:
    """Turn a batch's tape (dtype `TAPE`) into order updates, level updates and tops, by instrument.

    `first` is the sequence of the batch's first command, `book` is as it stands after the batch. `folded` is
    fresh from `room_for`; `tops` are those told last, and are brought up to date. O(tape + instruments).
    """
    starts = folded.starts
    ends = folded.ends
    sort_tape(tape, first, folded.orders, starts)
    at = 0
    for instrument in range(len(ends) - 1):
        begin = starts[instrument]
        end = starts[instrument + 1]
        if begin < end:
            noted_end = note_levels(instrument, begin, end, folded)
            at = tell_levels(book, instrument, begin, noted_end, folded, at)
            folded.news[instrument] = show_top(book, instrument, tops)
        ends[instrument + 1] = at


@kernel
def sort_tape(tape: np.ndarray, first: int, orders: np.ndarray, starts: np.ndarray) -> None:
    """Write the tape as order updates, those of each instrument together, in the order of the tape."""
    for row in range(len(tape)):
        starts[tape[row].instrument + 2] += 1
    for instrument in range(2, len(starts)):
        starts[instrument] += starts[instrument - 1]
    for row in range(len(tape)):
        done = tape[row]
        at = starts[done.instrument + 1]
        starts[done.instrument + 1] = at + 1
        update = orders[at]
        update.order = done.order
        update.sequence = first + done.command
        update.price = done.price
        update.quantity = done.quantity
        update.side = done.side
        update.change = done.change
        for unused in range(6):
            update.unused[unused] = 0


@kernel
def note_levels(instrument: int, begin: int, end: int, folded: Folded) -> int:
    """Write the levels of one instrument's order updates into `noted` from `begin` on, each once.

    Returns where they end. `seen` finds a level's row by its instrument, side and price.
    """
    orders = folded.orders
    seen = folded.seen
    noted = folded.noted
    mask = len(seen) - 1
    count = begin
    for row in range(begin, end):
        price = orders[row].price
        side = wide(orders[row].side)
        at = (price ^ (price >> 12) ^ ((HALVES * instrument + side) * _SPREAD)) & mask
        is_new = True
        while seen[at] != NO_SLOT:
            known = noted[seen[at]]
            if seen[at] >= begin and known.price == price and known.side == side:
                is_new = False
                break
            at = (at + 1) & mask
        if is_new:
            seen[at] = count
            noted[count].price = price
            noted[count].side = side
            count += 1
    return count


@kernel
def tell_levels(book: Book, instrument: int, begin: int, end: int, folded: Folded, at: int) -> int:
    """Write the totals of the levels noted, those that are gone first; return how many stand written.

    So a book that is not crossed is never crossed between two updates of one message either.
    """
    noted = folded.noted
    levels = folded.levels
    for row in range(begin, end):
        here = noted[row]
        fill_level(book, HALVES * instrument + wide(here.side), here)
        if here.quantity == 0:
            copy_level(here, levels[at])
            at += 1
    for row in range(begin, end):
        here = noted[row]
        if here.quantity != 0:
            copy_level(here, levels[at])
            at += 1
    return at


@kernel
def fill_level(book: Book, half_index: int, update: Row) -> None:
    """Give a level update the total at its price as it is now; zeros where nothing stands."""
    key = key_of(half_index & 1, update.price, market_at(book, half_index // HALVES).tick)
    level = find_level(book, half_index, key)
    update.quantity = 0 if level == NO_SLOT else level_at(book, level).quantity
    update.orders = 0 if level == NO_SLOT else level_at(book, level).orders


@kernel
def copy_level(level: Row, update: Row) -> None:
    """Write a level update once more."""
    update.price = level.price
    update.quantity = level.quantity
    update.orders = level.orders
    update.side = level.side
    for unused in range(3):
        update.unused[unused] = 0


@kernel
def show_top(book: Book, instrument: int, tops: np.ndarray) -> bool:
    """Bring an instrument's top up to date; return whether it was another."""
    top = tops[instrument]
    bid = half_at(book, HALVES * instrument + Side.BUY).best
    ask = half_at(book, HALVES * instrument + Side.SELL).best
    bid_price = 0 if bid == NO_SLOT else level_at(book, bid).price
    bid_quantity = 0 if bid == NO_SLOT else level_at(book, bid).quantity
    bid_orders = 0 if bid == NO_SLOT else level_at(book, bid).orders
    ask_price = 0 if ask == NO_SLOT else level_at(book, ask).price
    ask_quantity = 0 if ask == NO_SLOT else level_at(book, ask).quantity
    ask_orders = 0 if ask == NO_SLOT else level_at(book, ask).orders
    is_same = (
        top.bid_price == bid_price
        and top.bid_quantity == bid_quantity
        and top.bid_orders == bid_orders
        and top.ask_price == ask_price
        and top.ask_quantity == ask_quantity
        and top.ask_orders == ask_orders
    )
    top.bid_price = bid_price
    top.bid_quantity = bid_quantity
    top.bid_orders = bid_orders
    top.ask_price = ask_price
    top.ask_quantity = ask_quantity
    top.ask_orders = ask_orders
    return not is_same


@kernel
def print_trades(
    traded: np.ndarray,
    figures: np.ndarray,
    first: int,
    prints: np.ndarray,
    starts: np.ndarray,
    last_trades: np.ndarray,
    totals: np.ndarray,
) -> None:
    """Write trades as prints, those of each instrument together, in their order; note the last, and add up.

    `traded` are events, `figures` has a row of each: the trade's number, what was paid of it, and whether a
    programme stands behind it. `prints` and `starts` are like `orders` and `starts` of `Folded`.
    """
    for row in range(len(traded)):
        starts[traded[row].instrument + 2] += 1
    for instrument in range(2, len(starts)):
        starts[instrument] += starts[instrument - 1]
    for row in range(len(traded)):
        event = traded[row]
        instrument = event.instrument
        at = starts[instrument + 1]
        starts[instrument + 1] = at + 1
        fill_print(prints[at], event, figures, row, first)
        fill_print(last_trades[instrument], event, figures, row, first)
        total = totals[instrument]
        total.trades += 1
        total.quantity += event.quantity
        total.amount += event.price * event.quantity
        total.paid += figures[row, 1]


@kernel
def fill_print(told: Row, event: Row, figures: np.ndarray, row: int, first: int) -> None:
    """Write one trade as it is printed."""
    told.trade = figures[row, 0]
    told.sequence = first + event.command
    told.price = event.price
    told.quantity = event.quantity
    told.paid = figures[row, 1]
    told.taker_side = NO_TAKER if event.phase == Phase.AUCTION else event.side
    told.subsidised = figures[row, 2]


@kernel
def show_levels(book: Book, instruments: np.ndarray, most: int, levels: np.ndarray, ends: np.ndarray) -> None:
    """Write up to `most` levels of each side of each of `instruments`: bids best first, then asks.

    Those of the nth instrument end before `ends[nth]`. `levels` (zeros before the call) has room for all.
    """
    at = 0
    for nth in range(len(instruments)):
        for side in range(2):
            level = half_at(book, HALVES * instruments[nth] + side).best
            left = most
            while level != NO_SLOT and left > 0:
                here = level_at(book, level)
                update = levels[at]
                update.price = here.price
                update.quantity = here.quantity
                update.orders = here.orders
                update.side = side
                at += 1
                left -= 1
                level = next_level(book, level)
        ends[nth] = at


@kernel
def show_orders(book: Book, instrument: int, orders: np.ndarray) -> int:
    """Write all resting orders of an instrument: bids best first, then asks, at each price first come first.

    `orders` (zeros before the call) has room for all; returns how many there are. Their sequence stays 0:
    the book does not know which command has placed them.
    """
    at = 0
    for side in range(2):
        level = half_at(book, HALVES * instrument + side).best
        while level != NO_SLOT:
            price = level_at(book, level).price
            slot = level_at(book, level).first
            while slot != NO_SLOT:
                here = order_at(book, slot)
                update = orders[at]
                update.order = here.id
                update.price = price
                update.quantity = here.leaves
                update.side = side
                update.change = QueueChange.PLACED
                at += 1
                slot = here.behind
            level = next_level(book, level)
    return at
