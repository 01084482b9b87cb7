"""Auctions in the reference: the price that clears a call, who trades with whom there, and what follows.

`matching.reference` tells what may be asked, and when a book is uncrossed; `matching.reference_trading`
how orders enter a call. Here a book may be crossed, and market orders wait beside it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from matching.permissions import CALLS
from matching.reference_orders import (
    NO_CLEARING,
    Clearing,
    Event,
    Order,
    are_related,
    indicative_told,
    may_trade,
    rounded_down,
    told,
    within_bounds,
)
from matching.reference_trading import Trading
from matching.vocabulary import (
    DECREMENTS_MAX,
    ROUNDS_MAX,
    EventKind,
    Phase,
    RejectReason,
    SelfTrade,
    Side,
)


class Segment(NamedTuple):
    """Prices next to each other, the first and the last of them, that all find the same."""

    first: int
    last: int
    demand: int
    supply: int

    @property
    def volume(self) -> int:
        """Return the lots that would trade."""
        return min(self.demand, self.supply)

    @property
    def surplus(self) -> int:
        """Return the lots by which demand is above supply."""
        return self.demand - self.supply


class Place(NamedTuple):
    """A place in a side's line: an order, and those of its lots that stand there."""

    order: Order
    lots: int


class Pair(NamedTuple):
    """A buy and a sell that an auction brings together, and for how many lots."""

    buy: Order
    sell: Order
    lots: int

    @property
    def later(self) -> Order:
        """Return who came later: his mode rules, as a taker's."""
        return max(self.buy, self.sell, key=lambda order: order.arrival)

    @property
    def earlier(self) -> Order:
        """Return who came earlier."""
        return min(self.buy, self.sell, key=lambda order: order.arrival)


class Auctions(Trading):
    """The open orders of all instruments, and what happens when their books are uncrossed."""

    # --- the price -----------------------------------------------------------------------------

    def clearing(self, instrument: int) -> Clearing:
        """Return the price that an auction would find now, its volume and its surplus."""
        market, book = self.markets[instrument], self.books[instrument]
        limits = [order.price for order in (*book.bids, *book.asks)]
        reference = nearest_on_grid(market.reference, market.tick) if market.reference else 0
        if not limits and not reference:
            return NO_CLEARING
        buys, sells = (*book.bids, *book.waiting_buys), (*book.asks, *book.waiting_sells)
        lowest, highest = (min(limits), max(limits)) if limits else (reference, reference)
        left = best_of(segments_of(buys, sells, lowest, highest, market.tick))
        if not left:
            return NO_CLEARING
        price = price_among(left, reference, market.tick)
        found = next(segment for segment in left if price <= segment.last)
        return Clearing(price, found.volume, found.surplus)

    def indicate(self, touched: Iterable[int]) -> Iterator[Event]:
        """Tell what the auctions of these instruments, if they are in a call, would find now that is news."""
        for instrument in touched:
            if self.markets[instrument].phase in CALLS:
                found = self.clearing(instrument)
                if found != self.indicated.get(instrument, NO_CLEARING):
                    self.indicated[instrument] = found
                    yield indicative_told(instrument, found)

    # --- rounds --------------------------------------------------------------------------------

    def uncross(self, instrument: int) -> Iterator[Event]:
        """Match what a call has collected, in rounds: each at one price, then the stops that it triggers.

        Who still waits when a round has triggered nothing is cancelled. Where market orders with
        protection prices have traded before limit orders, these may still cross; then another round
        follows too.
        """
        is_over = False
        while not is_over:
            yield from self.trade_at_one_price(instrument)
            last = self.markets[instrument].last
            if last != 0:
                self.note_price(instrument, last)
            is_over = not self.elected and not self.is_crossed(instrument)
            while self.elected:
                yield from self.trigger_next(self.collect)
        book = self.books[instrument]
        for order in (*book.waiting_buys, *book.waiting_sells):
            yield from self.end(order, EventKind.CANCELLED)

    def is_crossed(self, instrument: int) -> bool:
        """Tell whether the best bid meets the best ask."""
        book = self.books[instrument]
        return bool(book.bids and book.asks) and book.bids[0].price >= book.asks[0].price

    def trade_at_one_price(self, instrument: int) -> Iterator[Event]:
        """Find the price and who meets whom; when all of them may trade, they do, at that price.

        As long as some may not, these are kept apart, and the price is found again.
        """
        searches = 0
        price, pairs = self.price_and_pairs(instrument)
        while barred := [pair for pair in pairs if not may_trade(pair.later, pair.earlier)]:
            searches += 1
            if searches > ROUNDS_MAX:
                yield from self.end_group(instrument, barred[0].buy.group, price)
                barred = []
            for pair in barred:
                if pair.buy.leaves > 0 and pair.sell.leaves > 0:
                    yield from self.keep_apart(pair)
            price, pairs = self.price_and_pairs(instrument)
        for pair in pairs:
            yield self.trade_pair(pair, price)
        if pairs:
            self.markets[instrument] = self.markets[instrument]._replace(last=price)
        book = self.books[instrument]
        for order in [order for order in (*book.bids, *book.asks) if order.shown == 0]:
            self.show_next_slice(order)

    # --- pairs ---------------------------------------------------------------------------------

    def price_and_pairs(self, instrument: int) -> tuple[int, list[Pair]]:
        """Return the auction price, and who would trade at it with whom."""
        price, volume, _ = self.clearing(instrument)
        if volume == 0:
            return 0, []
        return price, paired(self.line(instrument, Side.BUY, price), self.line(instrument, Side.SELL, price))

    def line(self, instrument: int, side: int, price: int) -> list[Place]:
        """Return how one side lines up, without whoever does not reach the price.

        Who waits stands first, by time. Then come the prices, the best first; at each what is shown
        by time, then the hidden lots by time.
        """
        book = self.books[instrument]
        waiting = sorted(book.waiting(side), key=lambda order: order.entry)
        places = [Place(order, order.leaves) for order in waiting]
        for _, queue in groupby(book.half(side), key=lambda order: order.price):
            level = list(queue)
            places += [Place(order, order.shown) for order in level]
            places += [Place(order, order.leaves - order.shown) for order in level]
        return [place for place in places if place.lots > 0 and is_willing(place.order, price)]

    def keep_apart(self, pair: Pair) -> Iterator[Event]:
        """Do with a pair that may not trade what stands in the place of a trade."""
        mode = pair.later.self_trade
        if are_related(pair.buy, pair.sell):
            yield from self.end_related(pair.later, pair.earlier)
        elif mode == SelfTrade.DECREMENT and self.decrements < DECREMENTS_MAX:
            self.decrements += 1
            yield from self.decrement_pair(pair)
        else:
            if mode == SelfTrade.DECREMENT:
                mode = SelfTrade.CANCEL_BOTH
            yield from self.end_own(pair.later, pair.earlier, mode)

    def end_group(self, instrument: int, group: int, price: int) -> Iterator[Event]:
        """Cancel all orders of a group that reach the price, in the order of a mass cancel."""
        book = self.books[instrument]
        for order in (*book.bids, *book.asks, *book.waiting_buys, *book.waiting_sells):
            if order.group == group and is_willing(order, price):
                yield from self.end(order, EventKind.CANCELLED, RejectReason.SELF_TRADE)

    def decrement_pair(self, pair: Pair) -> Iterator[Event]:
        """Take the pair's lots from both, hidden ones first, as far as both have them still."""
        lots = min(pair.lots, pair.buy.leaves, pair.sell.leaves)
        for order in (pair.earlier, pair.later):
            self.resize(order, order.quantity - lots)
            if order.leaves == 0:
                self.leave(order)
            yield self.loss(order, lots)

    def trade_pair(self, pair: Pair, price: int) -> Event:
        """Trade a pair's lots at the auction price. A slice used up is not followed by the next yet."""
        for order in (pair.buy, pair.sell):
            order.leaves -= pair.lots
            order.shown = max(order.shown - pair.lots, 0)
            if order.leaves == 0:
                self.leave(order)
        return told(pair.buy, EventKind.TRADED, pair.lots)._replace(
            maker_order=pair.sell.id, maker_leaves=pair.sell.leaves, price=price, phase=Phase.AUCTION
        )


# --- how the price is found --------------------------------------------------------------------


def segments_of(
    buys: Iterable[Order], sells: Iterable[Order], lowest: int, highest: int, tick: int
) -> list[Segment]:
    """Cut the prices from the lowest to the highest into segments of the same demand and supply.

    Just above a buyer's price his demand ends; at a seller's price his supply begins.
    """
    ending: Counter[int] = Counter()
    beginning: Counter[int] = Counter()
    for buy in buys:
        ending[buy.price + tick] += buy.leaves
    for sell in sells:
        beginning[sell.price] += sell.leaves
    demand, supply = ending.total(), 0
    segments = []
    for first, next_first in pairwise(sorted({lowest, highest + tick, *ending, *beginning})):
        demand -= ending[first]
        supply += beginning[first]
        if lowest <= first <= highest:
            segments.append(Segment(first, next_first - tick, demand, supply))
    return segments


def best_of(segments: Sequence[Segment]) -> list[Segment]:
    """Return the segments with the largest volume, of these those with the smallest surplus; or none.

    Demand only falls with the price and supply only rises: what is left lies side by side.
    """
    volume = max(segment.volume for segment in segments)
    if volume == 0:
        return []
    largest = [segment for segment in segments if segment.volume == volume]
    surplus = min(abs(segment.surplus) for segment in largest)
    return [segment for segment in largest if abs(segment.surplus) == surplus]


def price_among(left: Sequence[Segment], reference: int, tick: int) -> int:
    """Return which of the prices left the surplus asks for, else the reference, else the middle."""
    lowest, highest = left[0].first, left[-1].last
    if all(segment.surplus > 0 for segment in left):
        return highest
    if all(segment.surplus < 0 for segment in left):
        return lowest
    wanted = reference or rounded_down((lowest + highest) // 2, tick)
    return max(lowest, min(wanted, highest))


def nearest_on_grid(price: int, tick: int) -> int:
    """Return the price on the grid that is nearest to `price`, the higher of two."""
    return within_bounds(rounded_down(price + tick // 2, tick), tick)


def is_willing(order: Order, price: int) -> bool:
    """Tell whether an order trades at this price."""
    return order.price >= price if order.side == Side.BUY else order.price <= price


def paired(buys: Iterable[Place], sells: Iterable[Place]) -> list[Pair]:
    """Pair two lines from the front, each pair as many lots as both have there, until one is used up."""
    buying, selling = deque(buys), deque(sells)
    pairs = []
    while buying and selling:
        buy, sell = buying.popleft(), selling.popleft()
        lots = min(buy.lots, sell.lots)
        pairs.append(Pair(buy.order, sell.order, lots))
        if buy.lots > lots:
            buying.appendleft(Place(buy.order, buy.lots - lots))
        if sell.lots > lots:
            selling.appendleft(Place(sell.order, sell.lots - lots))
    return pairs
