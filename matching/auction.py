"""The auction price: where the most would trade now, and what is told of it while a call lasts.

Demand falls with the price, supply rises: the most trades about where they meet. An auction looks for
that from the highest price down, O(levels that cross), and orders there if icebergs are open. A call
remembers a price, the cut, with demand and supply there; each order that comes or goes corrects them
(`matching.waiting.note_cut`), and the next search begins there and goes a few levels.
"""

from __future__ import annotations

import numpy as np

from matching.kernel import kernel, rare, wide
from matching.layout import HALVES, WAITING, Book, Row
from matching.levels import key_of
from matching.permissions import CALLS
from matching.protection import whole_ticks, within_bounds
from matching.rows import event_at, extra_at, half_at, level_at, market_at, order_at
from matching.tell import blank
from matching.view import last_level, last_within, next_level, previous_level
from matching.vocabulary import NO_SLOT, EventKind, Phase, Side

_IS_CALL = tuple(phase in CALLS for phase in Phase)


@kernel
def is_call(phase: int) -> bool:
    """Tell whether orders are collected for an auction: `matching.permissions.CALLS`, for kernels."""
    return _IS_CALL[wide(phase)]


@rare
def lots_at(book: Book, level: int) -> int:
    """Return all lots at a level, hidden ones too."""
    lots = level_at(book, level).quantity
    if book.counts[0].slices == 0:
        return lots
    slot = level_at(book, level).first
    while slot != NO_SLOT:
        order = order_at(book, slot)
        if order.extra != NO_SLOT:
            lots += extra_at(book, order.extra).hidden
        slot = order.behind
    return lots


@rare
def extended(book: Book, half_index: int, last: int, key: int) -> tuple[int, int]:
    """Let the levels that count, the best ones of a half up to `last`, be those up to `key`.

    Returns how many lots more that are, and the last level that counts now.
    """
    lots = 0
    while last != NO_SLOT and level_at(book, last).key > key:
        lots -= lots_at(book, last)
        last = previous_level(book, last)
    behind = level_behind(book, half_index, last)
    while behind != NO_SLOT and level_at(book, behind).key <= key:
        lots += lots_at(book, behind)
        last = behind
        behind = next_level(book, behind)
    return lots, last


@rare
def level_behind(book: Book, half_index: int, last: int) -> int:
    """Return the first level of a half that does not count, or `NO_SLOT`."""
    return half_at(book, half_index).best if last == NO_SLOT else next_level(book, last)


@rare
def best_of(book: Book, half_index: int, otherwise: int) -> int:
    """Return the best price of a half, or what stands for none."""
    level = half_at(book, half_index).best
    return otherwise if level == NO_SLOT else level_at(book, level).price


@rare
def worst_of(book: Book, half_index: int, otherwise: int) -> int:
    """Return the worst price of a half, or what stands for none."""
    if half_at(book, half_index).best == NO_SLOT:
        return otherwise
    return level_at(book, last_level(book, half_index)).price


_NONE_ABOVE = 0
_NONE_BELOW = 2**62


@rare
def prices_of(book: Book, instrument: int) -> tuple[int, int]:
    """Return the lowest and the highest price at which anything could trade; the first is higher if none.

    With no limit in the book it is the reference, on the grid.
    """
    bids = HALVES * instrument
    asks = bids + Side.SELL
    highest_bid = best_of(book, bids, _NONE_ABOVE)
    lowest_ask = best_of(book, asks, _NONE_BELOW)
    highest = max(highest_bid, best_of(book, bids + WAITING, _NONE_ABOVE))
    lowest = min(lowest_ask, best_of(book, asks + WAITING, _NONE_BELOW))
    if highest < lowest or (lowest == lowest_ask and highest == highest_bid):
        return lowest, highest
    if highest_bid == _NONE_ABOVE and lowest_ask == _NONE_BELOW:
        market = market_at(book, instrument)
        if market.reference == 0:
            return _NONE_BELOW, _NONE_ABOVE
        price = within_bounds(nearest_tick(market.reference, market.tick), market.tick)
        return max(lowest, price), min(highest, price)
    # Where somebody waits with a protection price beyond all limits, the limits are the bounds.
    lowest = max(lowest, min(lowest_ask, worst_of(book, bids, _NONE_BELOW)))
    highest = min(highest, max(highest_bid, worst_of(book, asks, _NONE_ABOVE)))
    return lowest, highest


@kernel
def nearest_tick(price: int, tick: int) -> int:
    """Return the nearest price on the grid, the higher of two."""
    return whole_ticks(price + tick // 2, tick, False)


@rare
def nearest_to_reference(market: Row, lowest: int, highest: int) -> int:
    """Return which price of a stretch on the grid is nearest the reference, the higher of two.

    Without a reference it is the middle, rounded down.
    """
    if market.reference == 0:
        return whole_ticks((lowest + highest) // 2, market.tick, False)
    return min(max(nearest_tick(market.reference, market.tick), lowest), highest)


@rare
def clearing(book: Book, instrument: int) -> tuple[int, int, int]:
    """Return the auction's price, its volume, and the surplus: demand less supply. All 0 without a price."""
    price, volume, surplus, _, _, _ = clearing_from(book, instrument, 0, 0, 0)
    return price, volume, surplus


@rare
def clearing_from(
    book: Book, instrument: int, cut: int, demand: int, supply: int
) -> tuple[int, int, int, int, int, int]:
    """Return what `clearing` does, and a price near by with demand and supply there, to begin from next.

    `cut` is such a price, or 0. A stretch is all prices between two at which demand or supply change. We
    go up to where demand is less, then down: the answer lies in the first stretch with no less demand than
    supply, or in the one above it, the `upper` one.
    """
    lowest, highest = prices_of(book, instrument)
    if lowest > highest:
        return 0, 0, 0, cut, demand, supply
    market = market_at(book, instrument)
    lasts = lasts_at(book, instrument, cut)
    price = highest if cut == 0 else min(max(cut, lowest), highest)
    lasts, more_demand, more_supply = all_extended(book, instrument, lasts, price)
    demand += more_demand
    supply += more_supply
    high = top_of(book, instrument, lasts, highest)
    while demand >= supply and high < highest:
        lasts, more_demand, more_supply = all_extended(book, instrument, lasts, high + market.tick)
        demand += more_demand
        supply += more_supply
        high = top_of(book, instrument, lasts, highest)
    low = bottom_of(book, instrument, lasts, lowest)
    upper_low, upper_high, upper_demand, upper_supply = 0, 0, 0, 0
    while demand < supply:
        upper_low, upper_high, upper_demand, upper_supply = low, high, demand, supply
        if low == lowest:
            return low, demand, demand - supply, low, demand, supply
        high = low - market.tick
        lasts, more_demand, more_supply = all_extended(book, instrument, lasts, high)
        demand += more_demand
        supply += more_supply
        low = bottom_of(book, instrument, lasts, lowest)
    surplus = demand - supply
    upper_surplus = upper_supply - upper_demand
    if upper_demand > supply or (upper_demand == supply and upper_surplus < surplus):
        return upper_low, upper_demand, -upper_surplus, high, demand, supply
    if upper_demand == supply and upper_surplus == surplus:
        price = nearest_to_reference(market, low, upper_high)
        return price, supply, surplus if price <= high else -surplus, high, demand, supply
    price = high if surplus > 0 else nearest_to_reference(market, low, high)
    return price, supply, surplus, high, demand, supply


Lasts = tuple[int, int, int, int]
"""Of bids, asks, waiting buys and waiting sells the last level that would trade at some price."""


@rare
def lasts_at(book: Book, instrument: int, price: int) -> Lasts:
    """Return the last levels that would trade at a price; none at price 0."""
    if price == 0:
        return NO_SLOT, NO_SLOT, NO_SLOT, NO_SLOT
    tick = market_at(book, instrument).tick
    bids = HALVES * instrument
    bid_key = key_of(Side.BUY, price, tick)
    ask_key = key_of(Side.SELL, price, tick)
    return (
        last_within(book, bids, bid_key),
        last_within(book, bids + Side.SELL, ask_key),
        last_within(book, bids + WAITING, bid_key),
        last_within(book, bids + WAITING + Side.SELL, ask_key),
    )


@rare
def all_extended(book: Book, instrument: int, lasts: Lasts, price: int) -> tuple[Lasts, int, int]:
    """Move to a price: return the last levels that would trade there, and how demand and supply change."""
    tick = market_at(book, instrument).tick
    bids = HALVES * instrument
    bid_key = key_of(Side.BUY, price, tick)
    ask_key = key_of(Side.SELL, price, tick)
    demand, bid = extended(book, bids, lasts[0], bid_key)
    supply, ask = extended(book, bids + Side.SELL, lasts[1], ask_key)
    waiting_demand, waiting_bid = extended(book, bids + WAITING, lasts[2], bid_key)
    waiting_supply, waiting_ask = extended(book, bids + WAITING + Side.SELL, lasts[3], ask_key)
    lasts = (bid, ask, waiting_bid, waiting_ask)
    return lasts, demand + waiting_demand, supply + waiting_supply


@rare
def top_of(book: Book, instrument: int, lasts: Lasts, highest: int) -> int:
    """Return the highest price, up to `highest`, with the same demand and supply: of one stretch."""
    bids = HALVES * instrument
    tick = market_at(book, instrument).tick
    for last in (lasts[0], lasts[2]):
        if last != NO_SLOT:
            highest = min(highest, level_at(book, last).price)
    behind = level_behind(book, bids + Side.SELL, lasts[1])
    waiting_behind = level_behind(book, bids + WAITING + Side.SELL, lasts[3])
    for level in (behind, waiting_behind):
        if level != NO_SLOT:
            highest = min(highest, level_at(book, level).price - tick)
    return highest


@rare
def bottom_of(book: Book, instrument: int, lasts: Lasts, lowest: int) -> int:
    """Return the lowest price, down to `lowest`, with the same demand and supply: of one stretch."""
    bids = HALVES * instrument
    tick = market_at(book, instrument).tick
    for last in (lasts[1], lasts[3]):
        if last != NO_SLOT:
            lowest = max(lowest, level_at(book, last).price)
    behind = level_behind(book, bids, lasts[0])
    waiting_behind = level_behind(book, bids + WAITING, lasts[2])
    for level in (behind, waiting_behind):
        if level != NO_SLOT:
            lowest = max(lowest, level_at(book, level).price + tick)
    return lowest


@rare
def indicate(book: Book, events: np.ndarray, start: int, at: int) -> int:
    """Tell what has become of the auctions of all instruments in a call that a command has touched.

    Its events stand from `start` up to `at`. Returns how many events stand written.
    """
    for row in range(start, at):
        if is_touching(event_at(events, row).kind):
            market_at(book, event_at(events, row).instrument).touched = 1
    end = at
    for row in range(start, at):
        if is_touching(event_at(events, row).kind):
            instrument = wide(event_at(events, row).instrument)
            market = market_at(book, instrument)
            if market.touched != 0:
                market.touched = 0
                if is_call(market.phase):
                    end = tell_indicative(book, instrument, events, end)
    return end


@kernel
def is_touching(kind: int) -> bool:
    """Tell whether an event of this kind is about an instrument, and may have changed its book."""
    return kind <= EventKind.PHASE_CHANGED and kind != EventKind.REJECTED


@rare
def tell_indicative(book: Book, instrument: int, events: np.ndarray, at: int) -> int:
    """Tell what an auction would find now, if it is not what was told last."""
    market = market_at(book, instrument)
    price, volume, surplus, cut, demand, supply = clearing_from(
        book, instrument, market.cut_price, market.cut_demand, market.cut_supply
    )
    market.cut_price = cut
    market.cut_demand = demand
    market.cut_supply = supply
    if (
        price == market.indicative_price
        and volume == market.indicative_volume
        and surplus == market.indicative_surplus
    ):
        return at
    market.indicative_price = price
    market.indicative_volume = volume
    market.indicative_surplus = surplus
    event = blank(book, events, at)
    event.price = price
    event.quantity = volume
    event.leaves = abs(surplus)
    event.instrument = instrument
    event.kind = EventKind.INDICATIVE
    event.side = Side.BUY if surplus >= 0 else Side.SELL
    return at + 1
