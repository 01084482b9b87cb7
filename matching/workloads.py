"""The tapes of the benchmarks, the same for the same seed: a warm-up, then what is measured.

A tape is an array of `matching.layout.COMMAND`. It holds nothing but sound commands that any order
book understands: limit orders that are good till cancelled (the takers are marketable ones), cancels,
reduces, and replaces at a new price or at a smaller total.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from matching.layout import COMMAND
from matching.vocabulary import CommandKind, Side


class Workload(NamedTuple):
    """What a benchmark runs: a warm-up tape that fills the book, then the tape to be measured."""

    warm_up: np.ndarray
    measured: np.ndarray


_MIDDLE = 1_000_000
"""Where every workload's market begins, in ticks of 1 hao: too far from zero to get there."""

_MEMBERS = 1_000
_LOTS_MAX = 100
_LEAST_RESTING = 8
_DRIFT_ALLOWED = 0.02
"""How far the count of resting orders may wander from its target before the mix is bent to it."""

_NEW, _CANCEL, _TAKE, _REDUCE, _SHRINK, _MOVE = range(6)
_ENTRIES = (_NEW, _TAKE)
_NEW_ORDER, _CANCEL_ORDER = int(CommandKind.NEW), int(CommandKind.CANCEL)
_REDUCE_ORDER, _REPLACE_ORDER = int(CommandKind.REDUCE), int(CommandKind.REPLACE)

REALISTIC = {_NEW: 0.48, _CANCEL: 0.42, _TAKE: 0.05, _REDUCE: 0.025, _SHRINK: 0.0125, _MOVE: 0.0125}
"""48 % new, 42 % cancel, 5 % marketable, 5 % reduce or replace: half take lots off, a quarter are
replaced at the same price with a smaller total, a quarter at another price that does not cross."""


def realistic(commands: int = 1_000_000, seed: int = 1, resting: int = 3_000) -> Workload:
    """Return one instrument's tape: about 3,000 orders rest, 5 % of the commands take the best."""
    floor = _Floor(seed, resting, reach_ticks=40)
    return Workload(floor.warm_up(REALISTIC, 20 * resting), floor.tape(REALISTIC, commands))


def hundred(commands: int = 1_000_000, seed: int = 1, resting: int = 3_000) -> Workload:
    """Return the same over 100 instruments, of which the n-th has 1/n of the first's orders.

    `resting` counts them all. With 300,000, as many an instrument as `realistic` has, most orders
    lie beyond the processor's caches: that measures its memory.
    """
    floor = _Floor(seed, resting, reach_ticks=40, instruments=100)
    return Workload(floor.warm_up(REALISTIC, 20 * resting), floor.tape(REALISTIC, commands))


def deep(commands: int = 1_000_000, seed: int = 1, resting: int = 1_000_000) -> Workload:
    """Return the mix of `realistic` in a book where a million orders rest over 20,000 levels.

    Half of the orders stand within 1,700 ticks of the best, all of them within 10,000.
    """
    floor = _Floor(seed, resting, reach_ticks=2_500, reach_ticks_max=10_000)
    return Workload(floor.warm_up(REALISTIC, 0), floor.tape(REALISTIC, commands))


def sweep(commands: int = 1_000_000, seed: int = 1, resting: int = 3_000) -> Workload:
    """Return a tape where each taker takes 1 to 10 resting orders, and as many new ones follow."""
    floor = _Floor(seed, resting, reach_ticks=40, makers=np.full(10, 0.1))
    mix = {_NEW: 5.3 / 6.3, _TAKE: 1 / 6.3}
    return Workload(floor.warm_up(mix, 20 * resting), floor.tape(mix, commands))


WORKLOADS: dict[str, Callable[[int, int], Workload]] = {
    "realistic": realistic,
    "hundred": hundred,
    "deep": deep,
    "sweep": sweep,
}
"""Each workload by its name: a function of how many commands are measured, and of the seed."""

_PART = 0.2
"""How often a taker leaves half of the last order that it meets."""

_FEW_MAKERS = np.array([0.75, 0.15, 0.06, 0.04])
"""How often a taker meets one order, two, three, four. With `_PART`, 1.2 of them go: as many as the
mix of `realistic` brings beyond its cancels."""


class _Resting:
    """Who rests in one instrument: just enough to aim at what is there.

    Orders are known by their arrival, a number that counts up; one that moves arrives anew. What is
    known of them are columns, a row an arrival: a million small objects would be slow to make.
    """

    def __init__(self, target: int) -> None:
        slack = max(4, round(target * _DRIFT_ALLOWED))
        self.least, self.most = target - slack, target + slack
        self.orders: list[int] = []
        self.sides: list[int] = []
        self.prices: list[int] = []
        self.lots: list[int] = []
        self.filled: list[int] = []
        self.places: list[int] = []
        self.standing: list[int] = []
        self.halves: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])

    def add(self, order: int, side: int, price: int, lots: int, filled: int = 0) -> None:
        """Let an order rest, behind who stands at its price."""
        arrival = len(self.orders)
        self.orders.append(order)
        self.sides.append(side)
        self.prices.append(price)
        self.lots.append(lots)
        self.filled.append(filled)
        self.places.append(len(self.standing))
        self.standing.append(arrival)
        heappush(self.halves[side], (price if side else -price, arrival))

    def remove(self, arrival: int) -> None:
        """Take an order out: it has no lots, and in the list of who stands the last takes its place."""
        self.lots[arrival] = 0
        place, last = self.places[arrival], self.standing.pop()
        if last != arrival:
            self.standing[place] = last
            self.places[last] = place

    def best(self, side: int) -> int:
        """Return the best price of a side; on an empty side, one next to the middle."""
        half = self.halves[side]
        while half and not self.lots[half[0][1]]:
            heappop(half)
        if not half:
            return _MIDDLE + 1 if side else _MIDDLE - 1
        return half[0][0] if side else -half[0][0]

    def price_behind(self, side: int, reach: int) -> int:
        """Return a price that does not cross: so many ticks behind the best that a side could have."""
        return self.best(1 - side) + (1 + reach if side else -1 - reach)

    def take(self, side: int, makers: int, is_part: bool) -> tuple[int, int]:
        """Take the best orders of a side, half of the last if `is_part`; return price and lots."""
        lots = price = 0
        for met in range(makers):
            best = self.best(side)
            if not self.halves[side]:
                break
            price, arrival = best, self.halves[side][0][1]
            left = self.lots[arrival]
            part = left // 2
            if is_part and met == makers - 1 and part:
                self.lots[arrival] -= part
                self.filled[arrival] += part
                return price, lots + part
            lots += left
            self.remove(arrival)
        return price, lots

    def reduce(self, arrival: int, lots: int) -> int:
        """Take some lots off an order that has more than one; return how many."""
        less = 1 + lots % (self.lots[arrival] - 1)
        self.lots[arrival] -= less
        return less

    def move(self, arrival: int, reach: int) -> int:
        """Let an order go to another price that does not cross; return that price."""
        side, lots = self.sides[arrival], self.lots[arrival]
        price = self.price_behind(side, reach)
        if price == self.prices[arrival]:
            price += 1 if side else -1
        self.remove(arrival)
        self.add(self.orders[arrival], side, price, lots, self.filled[arrival])
        return price


class _Floor:
    """A crowd of traders who see the book, over all tapes of one workload."""

    def __init__(
        self,
        seed: int,
        resting: int,
        reach_ticks: int,
        reach_ticks_max: int = _MIDDLE // 2,
        instruments: int = 1,
        makers: np.ndarray = _FEW_MAKERS,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.reach_ticks = reach_ticks
        self.reach_ticks_max = reach_ticks_max
        self.makers = makers
        shares = 1 / np.arange(1, instruments + 1)
        self.shares = shares / shares.sum()
        self.targets = np.maximum(_LEAST_RESTING, np.rint(resting * self.shares).astype(np.int64))
        self.books = [_Resting(target) for target in self.targets.tolist()]
        self.last_order = 0

    def warm_up(self, mix: dict[int, float], commands: int) -> np.ndarray:
        """Return a tape that fills every book to its target, then trades for so many commands."""
        rng, count = self.rng, int(self.targets.sum())
        fill = np.zeros(count, COMMAND)
        fill["order"] = np.arange(1, count + 1)
        fill["instrument"] = rng.permutation(np.repeat(np.arange(len(self.books)), self.targets))
        fill["side"] = np.arange(count) % 2
        fill["quantity"] = rng.integers(1, _LOTS_MAX + 1, count)
        away = 1 + self.reaches(count)
        each = 2 * self.reach_ticks_max
        if count >= each:
            # One order at each price first, so that no level is missing.
            away[:each] = 1 + np.arange(each) // 2
        fill["price"] = _MIDDLE + np.where(fill["side"] == Side.SELL, away, -away)
        names = ("order", "side", "price", "quantity", "instrument")
        for order, side, price, lots, instrument in zip(
            *(fill[name].tolist() for name in names), strict=True
        ):
            self.books[instrument].add(order, side, price, lots)
        self.last_order = count
        return np.concatenate([_signed(fill), self.tape(mix, commands)])

    def reaches(self, count: int) -> np.ndarray:
        """Return how many ticks behind the best each of `count` orders is placed."""
        away = self.rng.exponential(self.reach_ticks, count).astype(np.int64)
        return away % self.reach_ticks_max

    def tape(self, mix: dict[int, float], commands: int) -> np.ndarray:
        """Return a tape of `commands` in this mix, and leave the books as it leaves them."""
        rng = self.rng
        kinds = rng.choice(list(mix), commands, p=list(mix.values())).tolist()
        instruments = rng.choice(len(self.books), commands, p=self.shares)
        sides = rng.integers(0, 2, commands).tolist()
        reaches = self.reaches(commands).tolist()
        lots = rng.integers(1, _LOTS_MAX + 1, commands).tolist()
        makers = rng.choice(np.arange(1, len(self.makers) + 1), commands, p=self.makers).tolist()
        chances = rng.random(commands).tolist()
        step = self.step
        rows = [
            step(*choice)
            for choice in zip(kinds, instruments.tolist(), sides, reaches, lots, makers, chances, strict=True)
        ]
        tape = np.zeros(commands, COMMAND)
        columns = zip(*rows, strict=True)
        for name in ("order", "price", "quantity", "kind", "side"):
            tape[name] = next(columns, ())
        tape["instrument"] = instruments
        return _signed(tape)

    def step(
        self,
        kind: int,
        instrument: int,
        side: int,
        reach: int,
        lots: int,
        makers: int,
        chance: float,
    ) -> tuple[int, int, int, int, int]:
        """Return one command (order, price, quantity, kind, side), and do what it will do."""
        book = self.books[instrument]
        resting = len(book.standing)
        if kind == _NEW and resting > book.most:
            kind = _CANCEL
        elif kind != _NEW and resting < book.least:
            kind = _NEW
        if kind not in _ENTRIES:
            return change(book, kind, book.standing[int(chance * resting)], reach, lots)
        self.last_order += 1
        if kind == _TAKE:
            price, taken = book.take(1 - side, makers, chance < _PART)
            if taken:
                return self.last_order, price, taken, _NEW_ORDER, side
        price = book.price_behind(side, reach)
        book.add(self.last_order, side, price, lots)
        return self.last_order, price, lots, _NEW_ORDER, side


def change(book: _Resting, kind: int, arrival: int, reach: int, lots: int) -> tuple[int, int, int, int, int]:
    """Cancel, reduce or replace a resting order, and return the command. A single lot is not divided."""
    order, side, price = book.orders[arrival], book.sides[arrival], book.prices[arrival]
    if kind == _CANCEL:
        book.remove(arrival)
        return order, 0, 0, _CANCEL_ORDER, side
    if kind == _MOVE or book.lots[arrival] == 1:
        total = book.filled[arrival] + book.lots[arrival]
        return order, book.move(arrival, reach), total, _REPLACE_ORDER, side
    less = book.reduce(arrival, lots)
    if kind == _REDUCE:
        return order, 0, less, _REDUCE_ORDER, side
    return order, price, book.filled[arrival] + book.lots[arrival], _REPLACE_ORDER, side


def _signed(tape: np.ndarray) -> np.ndarray:
    """Say whose each command is: an order's member follows from its id, and is his own group."""
    tape["member"] = tape["order"] * 7 % _MEMBERS
    tape["group"] = tape["member"]
    return tape
