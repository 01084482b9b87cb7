"""What an auction must find and do, by trying every price and pairing every lot: the manual, word by word.

It knows orders of strangers only, and no stops: of groups and stops the reference's own tests tell. It
shares nothing with `matching` but the vocabulary, so that reference and kernels may be judged by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from matching.vocabulary import Side


class Interest(NamedTuple):
    """An order in a call; a later one has a higher `time`. One that shows 0 lots waits, unseen."""

    id: int
    time: int
    side: Side
    price: int
    """Its limit, or the protection price of one that waits."""
    lots: int
    shown: int
    display: int
    """What an iceberg shows at most; 0 of all others."""

    @property
    def is_waiting(self) -> bool:
        """Tell whether it is a market order."""
        return self.shown == 0


class Found(NamedTuple):
    """What an auction finds; all is 0 where nothing would trade."""

    price: int = 0
    volume: int = 0
    surplus: int = 0


class Trade(NamedTuple):
    """A pair that trades."""

    buy: int
    sell: int
    lots: int
    price: int


def find(orders: list[Interest], reference: int, tick: int) -> Found:
    """Return what an auction finds, by trying every price."""
    outcomes = [Found(price, *volume_at(orders, price)) for price in prices_of(orders, reference, tick)]
    largest = max((outcome.volume for outcome in outcomes), default=0)
    if largest == 0:
        return Found()
    left = [outcome for outcome in outcomes if outcome.volume == largest]
    smallest = min(abs(outcome.surplus) for outcome in left)
    left = [outcome for outcome in left if abs(outcome.surplus) == smallest]
    if all(outcome.surplus > 0 for outcome in left):
        return left[-1]
    if all(outcome.surplus < 0 for outcome in left):
        return left[0]
    wanted = reference or (left[0].price + left[-1].price) // 2 // tick * tick
    return min(left, key=lambda outcome: (abs(outcome.price - wanted), -outcome.price))


def prices_of(orders: list[Interest], reference: int, tick: int) -> list[int]:
    """Return all prices on the grid from the lowest to the highest limit; without one, the reference."""
    limits = [order.price for order in orders if not order.is_waiting]
    if limits:
        return list(range(min(limits), max(limits) + 1, tick))
    if not reference:
        return []
    below = reference // tick * tick
    nearest = below if reference - below < below + tick - reference else below + tick
    return [max(nearest, tick)]


def volume_at(orders: list[Interest], price: int) -> tuple[int, int]:
    """Return how many lots would trade at a price, and by how many demand is above supply."""
    demand = sum(order.lots for order in orders if order.side == Side.BUY and order.price >= price)
    supply = sum(order.lots for order in orders if order.side == Side.SELL and order.price <= price)
    return min(demand, supply), demand - supply


def uncross(orders: list[Interest], reference: int, tick: int) -> tuple[list[Trade], list[Interest]]:
    """Return the trades of an auction, and what rests: rounds as long as limits cross, at a price each."""
    trades: list[Trade] = []
    while True:
        found = find(orders, reference, tick)
        pairs = paired(orders, found)
        trades += pairs
        orders = after(orders, pairs)
        if not is_crossed(orders):
            return trades, [order for order in orders if not order.is_waiting]


def paired(orders: list[Interest], found: Found) -> list[Trade]:
    """Pair both lines lot by lot from the front, and tell as one what the same two places trade."""
    buys, sells = (line(orders, side, found.price) for side in Side)
    lots = list(zip(buys, sells, strict=False))[: found.volume]
    return [Trade(buy, sell, len(list(same)), found.price) for ((buy, _), (sell, _)), same in groupby(lots)]


def line(orders: list[Interest], side: Side, price: int) -> list[tuple[int, int]]:
    """Return a side's lots that reach a price, in priority: each as an order, and its place in the line.

    First who waits, by time; then price by price what is shown, by time, then the hidden lots, by time.
    """
    here = [order for order in orders if order.side == side and reaches(order, price)]
    waiting = sorted((order for order in here if order.is_waiting), key=lambda order: order.time)
    lots = [(order.id, 0) for order in waiting for _ in range(order.lots)]
    for limit in sorted({order.price for order in here}, reverse=side == Side.BUY):
        level = [order for order in here if order.price == limit and not order.is_waiting]
        level.sort(key=lambda order: order.time)
        lots += [(order.id, 1) for order in level for _ in range(order.shown)]
        lots += [(order.id, 2) for order in level for _ in range(order.lots - order.shown)]
    return lots


def reaches(order: Interest, price: int) -> bool:
    """Tell whether an order would trade at a price."""
    return order.price >= price if order.side == Side.BUY else order.price <= price


def after(orders: list[Interest], trades: list[Trade]) -> list[Interest]:
    """Return what the trades have left; an iceberg without a slice shows the next, behind all others."""
    left = []
    latest = max(order.time for order in orders)
    for order in sorted(orders, key=lambda order: order.time):
        traded = sum(trade.lots for trade in trades if order.id in (trade.buy, trade.sell))
        lots, shown = order.lots - traded, max(order.shown - traded, 0)
        if lots == 0:
            continue
        if order.shown > 0 and shown == 0:
            latest += 1
            left.append(order._replace(lots=lots, shown=min(order.display, lots), time=latest))
        else:
            left.append(order._replace(lots=lots, shown=shown))
    return left


def is_crossed(orders: Iterable[Interest]) -> bool:
    """Tell whether a limit to buy meets a limit to sell."""
    resting = [order for order in orders if not order.is_waiting]
    bids = [order.price for order in resting if order.side == Side.BUY]
    asks = [order.price for order in resting if order.side == Side.SELL]
    return bool(bids and asks) and max(bids) >= min(asks)
