"""A course of bars as pictures need it: candles that fit a width, times and prices in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from exchange.instruments import yuan

Words = Callable[[int], str]
"""How a value is written at an axis."""

INTERVALS = {
    "1s": timedelta(seconds=1),
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
"""The bars that the venue keeps, and how long each is; a day is the venue's, UTC+8."""

_TICKS_MAX = 4


class Candle(NamedTuple):
    """One bar: prices in hao a lot, volumes in lots. `start` is UTC, or the venue's day."""

    start: datetime
    open: int
    high: int
    low: int
    close: int
    volume: int
    subsidised_volume: int

    @property
    def is_rising(self) -> bool:
        """Return whether it ended no lower than it began."""
        return self.close >= self.open

    @property
    def share(self) -> float:
        """Return the share of its lots of whose trades a programme paid a part, 0 to 1."""
        return self.subsidised_volume / self.volume if self.volume else 0.0


class Course(NamedTuple):
    """An instrument's bars, at least one, oldest first, as of a sequence of the journal."""

    symbol: str
    interval: str
    candles: Sequence[Candle]
    sequence: int
    prices: str = "yuan"

    @property
    def title(self) -> str:
        """Return what it is, in which units."""
        return f"{self.symbol}, {self.interval} bars, {self.prices} a lot"

    @property
    def span(self) -> str:
        """Return when its first and last bar begin, and how many between had no trade."""
        first, last = self.candles[0].start, self.candles[-1].start
        empty = (last - first) // INTERVALS[self.interval] + 1 - len(self.candles)
        day, clock = "%Y-%m-%d", "%H:%M:%S" if self.interval == "1s" else "%H:%M"
        if self.interval == "1d":
            told = f"{first:{day}}" + (f" to {last:{day}}" if last > first else "") + ", the venue's day"
        elif first == last:
            told = f"{first:{day} {clock}} UTC"
        elif first.date() == last.date():
            told = f"{first:{day}} {first:{clock}} to {last:{clock}} UTC"
        else:
            told = f"{first:{day} {clock}} to {last:{day} {clock}} UTC"
        return told + (f", {empty:,} without trades left out" if empty > 0 else "")

    @property
    def closes(self) -> str:
        """Return the last price, its change over the course, the lots, and the share subsidised."""
        first, last = self.candles[0], self.candles[-1]
        volume = sum(candle.volume for candle in self.candles)
        subsidised = sum(candle.subsidised_volume for candle in self.candles)
        return (
            f"last {self.words(last.close)}, "
            f"{last.close / first.open - 1:+.2%} since {self.words(first.open)}; "
            f"{volume:,} lots, {subsidised / max(volume, 1):.1%} of them subsidised"
        )

    def words(self, price: int) -> str:
        """Return a price as this course writes it, in yuan with four decimals or in hao."""
        return price_words(price, self.prices)

    def label(self, at: datetime) -> str:
        """Return a time as short as the course allows."""
        if self.interval == "1d":
            return f"{at:%m-%d}"
        clock = f"{at:%H:%M:%S}" if self.interval == "1s" else f"{at:%H:%M}"
        is_one_day = self.candles[0].start.date() == self.candles[-1].start.date()
        return clock if is_one_day else f"{at:%m-%d} {clock}"

    def fitted(self, most: int) -> tuple[Course, int]:
        """Return it with at most so many candles, each of so many bars beside each other."""
        each = -(-len(self.candles) // most)
        parts = (self.candles[at : at + each] for at in range(0, len(self.candles), each))
        return self._replace(candles=tuple(merged(part) for part in parts)), each


def price_words(price: int, prices: str) -> str:
    """Return a price in hao in words: yuan with four decimals, or hao.

    >>> price_words(12_500, "yuan"), price_words(12_500, "hao"), price_words(-1, "yuan")
    ('1.2500', '12,500', '-0.0001')
    """
    if prices == "hao":
        return f"{price:,}"
    whole, _, decimals = yuan(price).partition(".")
    return f"{whole}.{decimals:0<4}"


def merged(candles: Sequence[Candle]) -> Candle:
    """Return the one candle of several neighbours."""
    return Candle(
        candles[0].start,
        candles[0].open,
        max(candle.high for candle in candles),
        min(candle.low for candle in candles),
        candles[-1].close,
        sum(candle.volume for candle in candles),
        sum(candle.subsidised_volume for candle in candles),
    )


def price_range(candles: Sequence[Candle]) -> tuple[int, int]:
    """Return the lowest and highest price that a picture shows: a little room on both sides.

    >>> price_range([Candle(datetime(2026, 1, 1), 100, 100, 100, 100, 1, 0)])
    (98, 102)
    """
    low, high = min(candle.low for candle in candles), max(candle.high for candle in candles)
    room = max(1, (high - low) // 20) if high > low else max(1, high // 50)
    return max(0, low - room), high + room


def ticks(low: int, high: int, most: int = _TICKS_MAX) -> list[int]:
    """Return the round values from `low` to `high` at which an axis is marked.

    >>> ticks(98, 102), ticks(0, 1_900), ticks(0, 3, most=2)
    ([98, 99, 100, 101, 102], [0, 500, 1000, 1500], [0, 2])
    """
    step = tick_step(high - low, most)
    return list(range(-(-low // step) * step, high + 1, step))


def tick_step(span: int, most: int = _TICKS_MAX) -> int:
    """Return the least of 1, 2, 5, 10, 20, 50 ... that parts `span` into at most so many steps.

    >>> tick_step(3), tick_step(7), tick_step(1_900)
    (1, 2, 500)
    """
    step = 1
    while span > most * step:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return step


def spaced(labels: Sequence[tuple[float, str]], letter: float, gap: float) -> list[tuple[float, str]]:
    """Return the labels that can stand on one line: places of their middles, as wide as their letters.

    >>> spaced([(2, "10:00"), (5, "10:01"), (9, "10:02")], 1, 1)
    [(2, '10:00'), (9, '10:02')]
    """
    kept: list[tuple[float, str]] = []
    for at, text in labels:
        room = letter * (len(text) + (len(kept[-1][1]) if kept else 0)) / 2 + gap
        if not kept or at - kept[-1][0] >= room:
            kept.append((at, text))
    return kept


def days_apart(candles: Sequence[Candle]) -> list[int]:
    """Return the places of the candles with which a new day begins, UTC."""
    neighbours = enumerate(pairwise(candles), start=1)
    return [at for at, (before, after) in neighbours if before.start.date() != after.start.date()]
