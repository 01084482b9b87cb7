"""One instrument's book by price levels (L2), from level updates as they stand in a message.

A level is kept as the tuple that `struct` reads, and its price in a sorted list: a changed total costs a
dictionary's store, a level that comes or goes O(log n) comparisons and a move of pointers.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from feeds.records import LEVEL_UPDATE
from matching.vocabulary import Side


class Level(NamedTuple):
    """All orders at one price of one side: price in hao per lot, quantity in lots."""

    price: int
    quantity: int
    orders: int


class ImpossibleUpdateError(ValueError):
    """No publisher tells this of a book: what was made of it so far is not to be trusted."""


class Ladder:
    """The levels of both sides."""

    def __init__(self) -> None:
        self._levels: tuple[dict[int, tuple[int, int, int, int]], ...] = ({}, {})
        self._prices: tuple[list[int], list[int]] = ([], [])  # ascending

    @classmethod
    def load(cls, rows: memoryview) -> Ladder:
        """Return the ladder that a picture shows. Raises `ImpossibleUpdateError`."""
        ladder = cls()
        for update in LEVEL_UPDATE.iter_unpack(rows):
            price, quantity, _, side = update
            if quantity <= 0 or side not in tuple(Side) or price in ladder._levels[side]:
                message = f"a picture with {quantity} lots at {price} on side {side}"
                raise ImpossibleUpdateError(message)
            ladder._levels[side][price] = update
        for prices, levels in zip(ladder._prices, ladder._levels, strict=True):
            prices.extend(sorted(levels))
        return ladder

    def apply(self, rows: memoryview) -> None:
        """Give levels their new totals. Raises `ImpossibleUpdateError`: part of them then have theirs."""
        levels = self._levels
        try:
            for update in LEVEL_UPDATE.iter_unpack(rows):
                price, quantity, _, side = update
                if quantity > 0:
                    if price not in levels[side]:
                        insort(self._prices[side], price)
                    levels[side][price] = update
                elif quantity < 0:
                    message = f"{quantity} lots at {price}"
                    raise ImpossibleUpdateError(message)
                elif levels[side].pop(price, None) is not None:
                    del self._prices[side][bisect_left(self._prices[side], price)]
        except IndexError as error:
            message = "a level that is on neither side"
            raise ImpossibleUpdateError(message) from error

    def depth(self, side: int, levels: int | None = None) -> list[Level]:
        """Return a side's levels, or as many of them, best first."""
        return [self._level(side, price) for price in islice(best_first(side, self._prices[side]), levels)]

    def best(self, side: int) -> Level | None:
        """Return a side's best level, if any order stands there. O(1)."""
        prices = self._prices[side]
        return self._level(side, prices[-1 if side == Side.BUY else 0]) if prices else None

    def _level(self, side: int, price: int) -> Level:
        return Level._make(self._levels[side][price][:3])


def best_first(side: int, prices: list[int]) -> Iterable[int]:
    """Return prices, which are ascending, the best of that side first."""
    return reversed(prices) if side == Side.BUY else prices
