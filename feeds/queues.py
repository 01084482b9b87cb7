"""One instrument's book order by order (L3), from order updates as they stand in a message.

The orders at a price are a dictionary of order to lots: it keeps the order in which they came, so it is the
queue. Any update costs a few dictionary operations, however long the queue; a price that comes or goes
costs O(log n) comparisons and a move of pointers besides.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import islice
from typing import NamedTuple

from feeds.ladder import ImpossibleUpdateError, Level, best_first
from feeds.records import ORDER_UPDATE
from matching.vocabulary import QueueChange, Side


class RestingOrder(NamedTuple):
    """An order that stands in the book: price in hao per lot, `quantity` is the lots that it shows."""

    order: int
    price: int
    quantity: int


class Place(NamedTuple):
    """What stands ahead of an order at its price: lots shown, and orders."""

    lots: int
    orders: int


class Queue(dict[int, int]):
    """The orders at one price, first come first, and the lots that each shows."""

    __slots__ = ("price", "side")

    def __init__(self, side: int, price: int) -> None:
        super().__init__()
        self.side = side
        self.price = price


class Queues:
    """The orders of both sides, each in its queue."""

    def __init__(self) -> None:
        self._queues: tuple[dict[int, Queue], ...] = ({}, {})
        self._prices: tuple[list[int], list[int]] = ([], [])  # ascending
        self._standing: dict[int, Queue] = {}

    @classmethod
    def load(cls, rows: memoryview) -> Queues:
        """Return the queues that a picture shows. Raises `ImpossibleUpdateError`."""
        book = cls()
        for order, _, price, quantity, side, change in ORDER_UPDATE.iter_unpack(rows):
            is_new = order not in book._standing and change == QueueChange.PLACED
            if quantity <= 0 or side not in tuple(Side) or not is_new:
                message = f"a picture with {quantity} lots of order {order} at {price} on side {side}"
                raise ImpossibleUpdateError(message)
            queue = book._queues[side].setdefault(price, Queue(side, price))
            queue[order] = quantity
            book._standing[order] = queue
        for prices, queues in zip(book._prices, book._queues, strict=True):
            prices.extend(sorted(queues))
        return book

    def apply(self, rows: memoryview) -> None:
        """Do to the orders what was done to them. Raises `ImpossibleUpdateError`: part of it is then done."""
        standing, queues = self._standing, self._queues
        try:
            for order, _, price, quantity, side, change in ORDER_UPDATE.iter_unpack(rows):
                if change:
                    queue = standing[order]
                    if queue.price != price or queue.side != side or not 0 <= quantity < queue[order]:
                        _refuse(order)
                    if quantity:
                        queue[order] = quantity
                        continue
                    del standing[order], queue[order]
                    if not queue:
                        self._drop(queue)
                    continue
                if quantity <= 0:
                    _refuse(order)
                if order in standing:
                    self._leave(order)
                place = queues[side].get(price)
                if place is None:
                    place = queues[side][price] = Queue(side, price)
                    insort(self._prices[side], price)
                place[order] = quantity
                standing[order] = place
        except LookupError as error:
            message = "an order that does not stand in the book is changed, or one is placed on neither side"
            raise ImpossibleUpdateError(message) from error

    def _leave(self, order: int) -> None:
        queue = self._standing.pop(order)
        del queue[order]
        if not queue:
            self._drop(queue)

    def _drop(self, queue: Queue) -> None:
        """Forget a price where no order stands any more."""
        del self._queues[queue.side][queue.price]
        prices = self._prices[queue.side]
        del prices[bisect_left(prices, queue.price)]

    def depth(self, side: int, levels: int | None = None) -> list[Level]:
        """Return a side's levels, or as many of them, best first. O(orders) at those levels."""
        return [self._level(side, price) for price in islice(best_first(side, self._prices[side]), levels)]

    def best(self, side: int) -> Level | None:
        """Return a side's best level, if any order stands there. O(orders) at that level."""
        prices = self._prices[side]
        return self._level(side, prices[-1 if side == Side.BUY else 0]) if prices else None

    def queue(self, side: int, price: int) -> list[tuple[int, int]]:
        """Return the orders at a price and the lots that each shows, first come first."""
        return list(self._queues[side].get(price, {}).items())

    def orders(self, side: int) -> list[RestingOrder]:
        """Return a side's orders, best price first, first come first at each."""
        return [
            RestingOrder(order, price, quantity)
            for price in best_first(side, self._prices[side])
            for order, quantity in self._queues[side][price].items()
        ]

    def place_of(self, order: int) -> Place | None:
        """Return what stands ahead of an order; None where it does not stand. O(orders) ahead of it."""
        if order not in self._standing:
            return None
        lots = orders = 0
        for other, quantity in self._standing[order].items():
            if other == order:
                break
            lots += quantity
            orders += 1
        return Place(lots, orders)

    def _level(self, side: int, price: int) -> Level:
        queue = self._queues[side][price]
        return Level(price, sum(queue.values()), len(queue))


def _refuse(order: int) -> None:
    message = f"order {order} is told of with lots, a price or a side that it cannot have"
    raise ImpossibleUpdateError(message)
