"""Random tapes of commands, the same for the same seed: for tests, and for benchmarks.

A tape is an array of `matching.layout.COMMAND`. `random_flow` is broad: everything that may be
asked, rightly or wrongly. The workloads are narrow: a warm-up that fills the book, then the tape to
be measured, of sound limit orders and cancels that any order book understands.

This is the one file of the folder that rolls dice, with NumPy's generator and a seed given to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from matching.layout import COMMAND
from matching.vocabulary import (
    NO_SLOT,
    NOTIONAL_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    CommandKind,
    Side,
    TimeInForce,
)

Generator = np.random.Generator

# --- broad -------------------------------------------------------------------------------------

_REGIME_LENGTH = 2_000
_BASE_PRICES = np.array([500 * 1000**power for power in range(5)], np.int64)
_INT32, _INT64 = np.iinfo(np.int32), np.iinfo(np.int64)

_SHARES = {
    CommandKind.NEW: 0.62,
    CommandKind.CANCEL: 0.365,
    CommandKind.ACT: 0.005,
    CommandKind.END_DAY: 0.001,
    255: 0.009,
}


def random_flow(
    seed: int,
    commands: int,
    instruments: int = 3,
    ticks: Sequence[int] = (1,),
    members: int = 6,
    groups: int = 3,
) -> np.ndarray:
    """Return a tape of everything that may be asked, rightly or wrongly.

    All kinds, sides and times in force; prices that jump a thousandfold from stretch to stretch;
    bad prices, quantities, instruments and ids, and the last that are good; ids used twice; cancels
    of what is gone, and of other members' orders; subsidised orders among small groups; ends of the
    day. `ticks` are the instruments' tick sizes, repeated as needed. Made by columns: half a
    microsecond a command.
    """
    rng = np.random.default_rng(seed)
    tape = np.zeros(commands, COMMAND)
    tape["kind"] = rng.choice(list(_SHARES), commands, p=list(_SHARES.values()))
    tape["instrument"] = rng.integers(0, instruments, commands)
    tape["side"] = rng.integers(0, 2, commands)
    tape["time_in_force"] = rng.choice(
        [TimeInForce.GTC, TimeInForce.DAY, TimeInForce.IOC], commands, p=[0.65, 0.2, 0.15]
    )
    tape["member"] = rng.integers(0, members, commands)
    tape["group"] = tape["member"] % groups
    chance = np.where(tape["side"] == Side.BUY, 0.2, 0.02)
    tape["subsidised"] = rng.random(commands) < chance
    grid = np.array(ticks, np.int64)[tape["instrument"] % len(ticks)]
    _set_prices(rng, tape, grid)
    tape["quantity"] = rng.integers(1, 30, commands)
    _set_orders(rng, tape)
    _spoil(rng, tape, grid)
    return tape


def _set_prices(rng: Generator, tape: np.ndarray, grid: np.ndarray) -> None:
    """Set prices on the grid, about a base that holds for a while and then jumps a thousandfold."""
    count = len(tape)
    regimes = rng.integers(0, len(_BASE_PRICES), count // _REGIME_LENGTH + 2)
    stretch = np.cumsum(rng.random(count) < 1 / _REGIME_LENGTH) % len(regimes)
    regime = regimes[stretch]
    astray = rng.random(count) < 0.005
    regime[astray] = rng.integers(0, len(_BASE_PRICES), np.count_nonzero(astray))
    width = rng.choice([4, 60, 5_000, 300_000], count, p=[0.8, 0.15, 0.04, 0.01])
    lean = np.where(tape["side"] == Side.SELL, 0.6, -0.6)
    away = np.rint(width * (rng.uniform(-1, 1, count) + lean)).astype(np.int64)
    ticks_from_zero = np.maximum(1, _BASE_PRICES[regime] // grid + away)
    tape["price"] = np.minimum(ticks_from_zero, PRICE_MAX // grid) * grid


def _set_orders(rng: Generator, tape: np.ndarray) -> None:
    """Set ids: new orders count from 1, a few of them twice; cancels aim at late and old ones."""
    count = len(tape)
    is_new = tape["kind"] == CommandKind.NEW
    rows_new = np.flatnonzero(is_new)
    sent = np.cumsum(is_new)
    tape["order"] = sent
    back = np.where(rng.random(count) < 0.8, rng.exponential(60, count), sent * rng.random(count))
    aimed = np.maximum(1, sent - back.astype(np.int64))
    is_again = is_new & (rng.random(count) < 0.03)
    tape["order"][is_again] = aimed[is_again]
    is_cancel = (tape["kind"] == CommandKind.CANCEL) & (sent > 0)
    rows_aimed = rows_new[aimed[is_cancel] - 1]
    for field in ("order", "member", "instrument"):
        tape[field][is_cancel] = tape[field][rows_aimed]
    asks = rng.random(count)
    tape["member"][is_cancel & (asks < 0.3)] = NO_SLOT
    is_foreign = is_cancel & (asks > 0.92)
    tape["member"][is_foreign] += 1
    tape["order"][is_cancel & (rng.random(count) < 0.03)] = _INT64.max


def _spoil(rng: Generator, tape: np.ndarray, grid: np.ndarray) -> None:
    """Overwrite a few fields with what must be refused, and with the last that must not be."""
    room = NOTIONAL_MAX // tape["price"]
    _overwrite(rng, tape["quantity"], 0.002, np.minimum(room, QUANTITY_MAX))
    _overwrite(rng, tape["quantity"], 0.004, np.minimum(room, QUANTITY_MAX) + 1)
    _overwrite(rng, tape["quantity"], 0.004, [0, -1, QUANTITY_MAX, QUANTITY_MAX + 1, _INT64.min, _INT64.max])
    _overwrite(rng, tape["price"], 0.004, [0, -1, PRICE_MAX, PRICE_MAX + 1, _INT64.min, _INT64.max])
    _overwrite(rng, tape["price"], 0.004, tape["price"] + np.maximum(1, grid // 2))
    _overwrite(rng, tape["order"], 0.004, [0, -1, _INT64.min, _INT64.max])
    _overwrite(rng, tape["instrument"], 0.006, [-1, _INT32.max, _INT32.min, 10_000])
    _overwrite(rng, tape["side"], 0.004, [2, 3, 255])
    _overwrite(rng, tape["type"], 0.004, [250, 255])
    _overwrite(rng, tape["time_in_force"], 0.004, [250, 255])


def _overwrite(rng: Generator, field: np.ndarray, share: float, values: Sequence[int] | np.ndarray) -> None:
    """Overwrite a share of a field: with the row's own of an array of values, else with any."""
    rows = np.flatnonzero(rng.random(len(field)) < share)
    if isinstance(values, np.ndarray):
        field[rows] = values[rows]
    else:
        field[rows] = rng.choice(values, len(rows))


# --- narrow: the workloads ---------------------------------------------------------------------


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

_NEW, _CANCEL, _TAKE = 0, 1, 2
_NEW_ORDER, _CANCEL_ORDER = int(CommandKind.NEW), int(CommandKind.CANCEL)

REALISTIC = {_NEW: 0.505, _CANCEL: 0.445, _TAKE: 0.05}
"""48 % new, 42 % cancel, 5 % marketable; the 5 % that will reduce or replace are half new and half
cancel until the book knows those."""


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
    """Who rests in one instrument: just enough to aim cancels and takers at what is there."""

    def __init__(self, target: int) -> None:
        slack = max(4, round(target * _DRIFT_ALLOWED))
        self.least, self.most = target - slack, target + slack
        self.lots: dict[int, int] = {}
        self.orders: list[int] = []
        self.places: dict[int, int] = {}
        self.halves: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])

    def add(self, order: int, side: int, price: int, lots: int) -> None:
        self.lots[order] = lots
        self.places[order] = len(self.orders)
        self.orders.append(order)
        heappush(self.halves[side], (price if side else -price, order))

    def remove(self, order: int) -> None:
        del self.lots[order]
        place, last = self.places.pop(order), self.orders.pop()
        if last != order:
            self.orders[place] = last
            self.places[last] = place

    def best(self, side: int) -> int:
        """Return the best price of a side; on an empty side, one next to the middle."""
        half = self.halves[side]
        while half and half[0][1] not in self.lots:
            heappop(half)
        if not half:
            return _MIDDLE + 1 if side else _MIDDLE - 1
        return half[0][0] if side else -half[0][0]

    def take(self, side: int, makers: int, is_part: bool) -> tuple[int, int]:
        """Take the best orders of a side, half of the last if `is_part`; return price and lots."""
        lots = price = 0
        for met in range(makers):
            best = self.best(side)
            if not self.halves[side]:
                break
            price, order = best, self.halves[side][0][1]
            left = self.lots[order]
            if is_part and met == makers - 1 and left > 1:
                self.lots[order] = left - left // 2
                return price, lots + left // 2
            lots += left
            self.remove(order)
        return price, lots


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
        resting = len(book.orders)
        if kind == _NEW and resting > book.most:
            kind = _CANCEL
        elif kind != _NEW and resting < book.least:
            kind = _NEW
        if kind == _CANCEL:
            order = book.orders[int(chance * resting)]
            book.remove(order)
            return order, 0, 0, _CANCEL_ORDER, 0
        self.last_order += 1
        opposite = 1 - side
        if kind == _TAKE:
            price, taken = book.take(opposite, makers, chance < _PART)
            if taken:
                return self.last_order, price, taken, _NEW_ORDER, side
        price = book.best(opposite) + (1 + reach if side else -1 - reach)
        book.add(self.last_order, side, price, lots)
        return self.last_order, price, lots, _NEW_ORDER, side


def _signed(tape: np.ndarray) -> np.ndarray:
    """Say whose each command is: an order's member follows from its id, and is his own group."""
    tape["member"] = tape["order"] * 7 % _MEMBERS
    tape["group"] = tape["member"]
    return tape
