"""The uncross: orders are lined up, paired, kept apart where they are of one group, and traded at one price.

The pairs of a round are written down as events before anything is changed. If none conflicts they become
the trades; else the conflicting ones are put aside at the far end of the events, where there is room for
all, the self-trade modes are applied to them, and the round begins again.
"""

from __future__ import annotations

import numpy as np

from matching.auction import clearing
from matching.changing import clear_half, take_off
from matching.cross import is_related, show_next
from matching.entering import trigger_first
from matching.extras import open_lots
from matching.ids import head_of
from matching.kernel import fetch, kernel, rare, wide
from matching.layout import HALVES, PARKED, WAITING, Book
from matching.levels import key_of
from matching.rows import event_at, extra_at, half_at, level_at, market_at, order_at
from matching.stops import note_price
from matching.tape import record
from matching.tell import depart, end, price_of, take_out, tell
from matching.view import next_level
from matching.vocabulary import (
    DECREMENTS_MAX,
    EVERY,
    NO_SLOT,
    ROUNDS_MAX,
    EventKind,
    Phase,
    QueueChange,
    RejectReason,
    SelfTrade,
    Side,
)
from matching.waiting import is_later

_WAITS = 0
_SHOWN = 1
_HIDDEN = 2
"""What of an order stands in line: market orders first, then at each price what is shown, then the rest."""

_AHEAD = 8
"""Pairs that are looked ahead, so that the rows of their orders come from memory together."""


@rare
def uncross(book: Book, instrument: int, events: np.ndarray, at: int) -> int:
    """Trade all that crosses, round by round, until no stop is triggered; then let nobody wait.

    Where market orders have traded before limit orders, these may still cross: that is a round more.
    """
    market = market_at(book, instrument)
    half_index = HALVES * instrument
    while True:
        at = hold_round(book, instrument, events, at)
        stops = half_at(book, half_index + PARKED).levels + half_at(book, half_index + PARKED + 1).levels
        if stops > 0 and market.last != 0:
            note_price(book, instrument, market.last)
        if book.counts[0].elected_first == NO_SLOT and not is_crossed(book, instrument):
            break
        while book.counts[0].elected_first != NO_SLOT:
            at = trigger_first(book, True, events, at)
    for side in range(2):
        at = clear_half(book, half_index + WAITING + side, EVERY, False, EventKind.CANCELLED, events, at)
    return at


@kernel
def is_crossed(book: Book, instrument: int) -> bool:
    """Tell whether the best bid meets the best ask."""
    bid = half_at(book, HALVES * instrument).best
    ask = half_at(book, HALVES * instrument + Side.SELL).best
    return bid != NO_SLOT and ask != NO_SLOT and level_at(book, bid).price >= level_at(book, ask).price


@rare
def hold_round(book: Book, instrument: int, events: np.ndarray, at: int) -> int:
    """Find the price and the pairs, apart from own groups, and let them trade."""
    searches = 0
    while True:
        price, volume, _ = clearing(book, instrument)
        if volume == 0:
            return at
        stop, conflicts = pair_up(book, instrument, price, volume, events, at)
        if conflicts == 0:
            trade_pairs(book, price, events, at, stop)
            market_at(book, instrument).last = price
            return stop
        searches += 1
        if searches <= ROUNDS_MAX:
            at = separate(book, events, at, stop, conflicts)
        else:
            at = clear_group(book, instrument, price, events, at)


# --- the lines ---------------------------------------------------------------------------------


@kernel
def front_of(book: Book, half_index: int, reach: int) -> tuple[int, int]:
    """Return who stands first in line for an auction, and what of him; `reach` is the last key to trade."""
    slot = who_waits(book, market_at(book, half_index // HALVES).waiting_first, half_index & 1, reach)
    if slot != NO_SLOT:
        return _WAITS, slot
    return front_at(book, half_at(book, half_index).best, reach)


@rare
def who_waits(book: Book, slot: int, side: int, reach: int) -> int:
    """Return the first, from `slot` on, of a side's waiting orders whose protection reaches the price."""
    while slot != NO_SLOT:
        order = order_at(book, slot)
        if order.side == side and level_at(book, order.level).key <= reach:
            break
        slot = extra_at(book, order.extra).trail_behind
    return slot


@kernel
def front_at(book: Book, level: int, reach: int) -> tuple[int, int]:
    """Return who stands first in line at a level, and what of him."""
    if level == NO_SLOT or level_at(book, level).key > reach:
        return _SHOWN, NO_SLOT
    return _SHOWN, level_at(book, level).first


@kernel
def next_in_line(book: Book, half_index: int, reach: int, part: int, slot: int) -> tuple[int, int]:
    """Return who stands behind in line, and what of him."""
    if part == _WAITS:
        slot = who_waits(book, extra_at(book, order_at(book, slot).extra).trail_behind, half_index & 1, reach)
        if slot != NO_SLOT:
            return _WAITS, slot
        return front_at(book, half_at(book, half_index).best, reach)
    behind = order_at(book, slot).behind
    if part == _SHOWN and behind != NO_SLOT:
        if order_at(book, behind).behind != NO_SLOT:
            fetch(book.orders, order_at(book, behind).behind)
        return _SHOWN, behind
    level = order_at(book, slot).level
    if book.counts[0].slices != 0:
        behind = who_hides(book, level_at(book, level).first if part == _SHOWN else behind)
        if behind != NO_SLOT:
            return _HIDDEN, behind
    return front_at(book, next_level(book, level), reach)


@rare
def who_hides(book: Book, slot: int) -> int:
    """Return the first, from `slot` on, who has hidden lots."""
    while slot != NO_SLOT and open_lots(book, slot) == order_at(book, slot).leaves:
        slot = order_at(book, slot).behind
    return slot


@kernel
def lots_in_line(book: Book, part: int, slot: int) -> int:
    """Return how many lots that part of an order has."""
    order = order_at(book, slot)
    return extra_at(book, order.extra).hidden if part == _HIDDEN else order.leaves


@rare
def pair_up(
    book: Book, instrument: int, price: int, volume: int, events: np.ndarray, at: int
) -> tuple[int, int]:
    """Pair both lines from the front until the volume is used up, and write the pairs down.

    Returns where the pairs end, and how many of them conflict: they have a reason.
    """
    bids = HALVES * instrument
    asks = bids + Side.SELL
    tick = market_at(book, instrument).tick
    bid_reach = key_of(Side.BUY, price, tick)
    ask_reach = key_of(Side.SELL, price, tick)
    bid_part, bid = front_of(book, bids, bid_reach)
    ask_part, ask = front_of(book, asks, ask_reach)
    bid_lots = lots_in_line(book, bid_part, bid)
    ask_lots = lots_in_line(book, ask_part, ask)
    conflicts = 0
    while True:
        lots = min(bid_lots, ask_lots, volume)
        event = event_at(events, at)
        event.slot = bid
        event.maker_slot = ask
        event.quantity = lots
        event.reason = conflict_of(book, bid, ask)
        conflicts += event.reason != RejectReason.NONE
        at += 1
        volume -= lots
        if volume == 0:
            return at, conflicts
        bid_lots -= lots
        ask_lots -= lots
        if bid_lots == 0:
            bid_part, bid = next_in_line(book, bids, bid_reach, bid_part, bid)
            bid_lots = lots_in_line(book, bid_part, bid)
        if ask_lots == 0:
            ask_part, ask = next_in_line(book, asks, ask_reach, ask_part, ask)
            ask_lots = lots_in_line(book, ask_part, ask)


# --- own groups --------------------------------------------------------------------------------


@kernel
def conflict_of(book: Book, buy: int, sell: int) -> int:
    """Return why two orders may not trade in an auction, or NONE."""
    if order_at(book, buy).group != order_at(book, sell).group:
        return RejectReason.NONE
    return conflict_of_group(book, buy, sell)


@rare
def conflict_of_group(book: Book, buy: int, sell: int) -> int:
    """Return why two orders of one group may not trade in an auction, or NONE. The later is the taker."""
    if is_related(book, buy, sell):
        return RejectReason.RELATED_PARTY
    taker = buy if is_later(book, buy, sell) else sell
    return (
        RejectReason.NONE if order_at(book, taker).self_trade == SelfTrade.NONE else RejectReason.SELF_TRADE
    )


@rare
def separate(book: Book, events: np.ndarray, at: int, stop: int, conflicts: int) -> int:
    """Apply the self-trade modes to the conflicting pairs among the rows from `at` up to `stop`."""
    aside = len(events) - conflicts
    to = aside
    for row in range(at, stop):
        pair = event_at(events, row)
        if pair.reason != RejectReason.NONE:
            event_at(events, to).slot = pair.slot
            event_at(events, to).maker_slot = pair.maker_slot
            event_at(events, to).quantity = pair.quantity
            event_at(events, to).reason = pair.reason
            to += 1
    for row in range(aside, to):
        pair = event_at(events, row)
        # Nobody takes a slot that is freed here before all is done.
        if order_at(book, pair.slot).leaves != 0 and order_at(book, pair.maker_slot).leaves != 0:
            buy = wide(pair.slot)
            sell = wide(pair.maker_slot)
            at = separate_pair(book, buy, sell, pair.quantity, pair.reason, events, at)
    return at


@rare
def clear_group(book: Book, instrument: int, price: int, events: np.ndarray, at: int) -> int:
    """Cancel the orders that reach the price of the first group whose pair, from row `at` on, conflicts."""
    row = at
    while event_at(events, row).reason == RejectReason.NONE:
        row += 1
    group = order_at(book, event_at(events, row).slot).group
    tick = market_at(book, instrument).tick
    bids = HALVES * instrument
    for half_index in (bids, bids + Side.SELL, bids + WAITING, bids + WAITING + Side.SELL):
        reach = key_of(half_index - bids, price, tick)
        level = half_at(book, half_index).best
        while level != NO_SLOT and level_at(book, level).key <= reach:
            worse = next_level(book, level)
            slot = wide(level_at(book, level).first)
            while slot != NO_SLOT:
                behind = wide(order_at(book, slot).behind)
                if order_at(book, slot).group == group:
                    at = take_out(book, slot, EventKind.CANCELLED, RejectReason.SELF_TRADE, events, at)
                slot = behind
            level = worse
    return at


@rare
def separate_pair(
    book: Book, buy: int, sell: int, lots: int, reason: int, events: np.ndarray, at: int
) -> int:
    """Do with a pair of one group what the later order's mode says; a related buy is cancelled."""
    if reason == RejectReason.RELATED_PARTY:
        return take_out(book, buy, EventKind.CANCELLED, reason, events, at)
    is_buy_later = is_later(book, buy, sell)
    taker = buy if is_buy_later else sell
    maker = sell if is_buy_later else buy
    mode = order_at(book, taker).self_trade
    counts = book.counts[0]
    if mode == SelfTrade.DECREMENT and counts.decrements < DECREMENTS_MAX:
        counts.decrements += 1
        lots = min(lots, open_lots(book, buy), open_lots(book, sell))
        at = lessen(book, maker, lots, events, at)
        return lessen(book, taker, lots, events, at)
    if mode != SelfTrade.CANCEL_TAKER:
        at = take_out(book, maker, EventKind.CANCELLED, reason, events, at)
    if mode != SelfTrade.CANCEL_MAKER:
        at = take_out(book, taker, EventKind.CANCELLED, reason, events, at)
    return at


@rare
def lessen(book: Book, slot: int, lots: int, events: np.ndarray, at: int) -> int:
    """Take lots off an order for a self-trade, hidden ones first, and say so; one without any ends."""
    leaves = open_lots(book, slot) - lots
    if leaves == 0:
        return take_out(book, slot, EventKind.CANCELLED, RejectReason.SELF_TRADE, events, at)
    take_off(book, slot, lots)
    tell(
        book, slot, EventKind.REDUCED, price_of(book, slot), order_at(book, slot).quantity, leaves, events, at
    )
    event_at(events, at).reason = RejectReason.SELF_TRADE
    return at + 1


# --- the trades --------------------------------------------------------------------------------


@rare
def trade_pairs(book: Book, price: int, events: np.ndarray, at: int, stop: int) -> None:
    """Let the pairs in the rows from `at` up to `stop` trade at one price; then show next slices."""
    for row in range(at, stop):
        fetch_pair(book, events, row + _AHEAD, stop)
        event = event_at(events, row)
        buy = wide(event.slot)
        sell = wide(event.maker_slot)
        lots = event.quantity
        leaves = open_lots(book, buy) - lots
        maker_leaves = open_lots(book, sell) - lots
        tell(book, buy, EventKind.TRADED, price, lots, leaves, events, row)
        event.maker_order = order_at(book, sell).id
        event.maker_slot = sell
        event.maker_leaves = maker_leaves
        event.phase = Phase.AUCTION
        for slot, left in ((buy, leaves), (sell, maker_leaves)):
            give(book, slot, lots, left)
    if book.counts[0].slices != 0:
        for row in range(at, stop):
            show_next_if_used_up(book, event_at(events, row).slot)
            show_next_if_used_up(book, event_at(events, row).maker_slot)


@kernel
def fetch_pair(book: Book, events: np.ndarray, row: int, stop: int) -> None:
    """Fetch what pairs will need that come soon: first their orders, later the heads of their ids."""
    if row + _AHEAD < stop:
        fetch(book.orders, event_at(events, row + _AHEAD).slot)
        fetch(book.orders, event_at(events, row + _AHEAD).maker_slot)
    if row < stop:
        mask = len(book.heads) - 1
        fetch(book.heads, head_of(order_at(book, event_at(events, row).slot).id, mask))
        fetch(book.heads, head_of(order_at(book, event_at(events, row).maker_slot).id, mask))


@kernel
def give(book: Book, slot: int, lots: int, leaves: int) -> None:
    """Take traded lots off an order where it stands, those shown first; one without any ends."""
    order = order_at(book, slot)
    shown = min(lots, order.leaves)
    order.leaves -= shown
    level_at(book, order.level).quantity -= shown
    if len(book.tape) != 0 and shown != 0:
        record(book, slot, order.leaves, QueueChange.FILLED)
    if leaves == 0:
        depart(book, slot)
        end(book, slot)
    elif shown < lots:
        extra_at(book, order.extra).hidden -= lots - shown


@rare
def show_next_if_used_up(book: Book, slot: int) -> None:
    """Show the next slice of an iceberg that is open and has used up the one it showed."""
    order = order_at(book, slot)
    if order.leaves == 0 and order.extra != NO_SLOT:
        show_next(book, slot)
