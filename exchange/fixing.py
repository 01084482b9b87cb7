"""The fixing: the price that the venue declares for an instrument and a day, by the first rung that holds.

Pure: the engine notes here what trades while a fixing is begun, and asks here for the prices. The rungs are
those of the manual's page on the trading day.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

from exchange.registry import Registry
from matching.vocabulary import EventKind, Phase
from settlement.rows import FixingRow

TRADES_MIN = 3
"""The last half hour makes a price from so many trades on."""

OUTLIER_PERCENT = 10
"""A trade further than this from the median of the last half hour is left out."""

SPREAD_PERCENT_MAX = 10
"""Quotes make a price if the ask is at most so much above the bid."""


class Traded(NamedTuple):
    """What was traded at one price: how many trades, and how many lots."""

    trades: int = 0
    quantity: int = 0


class Auctioned(NamedTuple):
    """What an auction came to: the price of its last round, and the lots of all."""

    price: int
    quantity: int


class Fixed(NamedTuple):
    """An instrument's last fixing."""

    day: date
    price: int


class Seen(NamedTuple):
    """All that the fixing of one instrument may rest on; 0 or None: there is none. Prices in hao a lot."""

    tick: int
    list_price: int
    auction: Auctioned | None = None
    trades: dict[int, Traded] = {}  # noqa: RUF012  By price, and never written to.
    bid: int = 0
    ask: int = 0
    before: Fixed | None = None


class Notes(msgspec.Struct):
    """What the engine has seen since a fixing was begun, by the number of the instrument.

    `in_call` are the instruments whose fixing call has opened: what they trade no longer belongs to the half
    hour before. `fixed` outlasts the day.
    """

    trades: dict[int, dict[int, Traded]] = msgspec.field(default_factory=dict)
    auctions: dict[int, Auctioned] = msgspec.field(default_factory=dict)
    in_call: set[int] = msgspec.field(default_factory=set)
    fixed: dict[int, Fixed] = msgspec.field(default_factory=dict)

    def begin(self, in_call: set[int]) -> None:
        """Forget what an earlier fixing rested on; `in_call` are in the fixing call already."""
        self.trades.clear()
        self.auctions.clear()
        self.in_call = in_call

    def note(self, events: np.ndarray, registry: Registry) -> None:
        """Note the trades among `events`: those of one act, or of commands that uncross nothing."""
        traded = events[events["kind"] == EventKind.TRADED]
        auctions: dict[int, Auctioned] = {}
        columns = (traded[name].tolist() for name in ("instrument", "price", "quantity", "phase"))
        for instrument, price, quantity, phase in zip(*columns, strict=True):
            if phase == Phase.AUCTION and registry.auction_fixes(instrument):
                before = auctions.get(instrument)
                auctions[instrument] = Auctioned(price, quantity + (before.quantity if before else 0))
            elif instrument not in self.in_call:
                at_prices = self.trades.setdefault(instrument, {})
                here = at_prices.get(price, Traded())
                at_prices[price] = Traded(here.trades + 1, here.quantity + quantity)
        self.auctions.update(auctions)

    def seen(self, instrument: int, tick: int, list_price: int, bid: int, ask: int) -> Seen:
        """Return what the fixing of an instrument may rest on, with the quotes that rest now."""
        return Seen(
            tick,
            list_price,
            self.auctions.get(instrument),
            self.trades.get(instrument, {}),
            bid,
            ask,
            self.fixed.get(instrument),
        )

    def numbers(self) -> np.ndarray:
        """Return all that is noted as whole numbers, the same on every replica."""
        rows: list[int] = []
        for instrument, at_prices in sorted(self.trades.items()):
            for price, traded in sorted(at_prices.items()):
                rows += (instrument, price, *traded)
        for instrument, auction in sorted(self.auctions.items()):
            rows += (instrument, *auction)
        rows += sorted(self.in_call)
        for instrument, fixed in sorted(self.fixed.items()):
            rows += (instrument, fixed.day.toordinal(), fixed.price)
        return np.array(rows, np.int64)


Rung = Callable[[FixingRow, Seen], FixingRow]
"""Adds its inputs to a fixing, and its price if it holds; then the price is no longer 0."""


def fixing_of(blank: FixingRow, seen: Seen) -> FixingRow:
    """Return the fixing that `seen` comes to; `blank` says which, and has price 0."""
    for rung in RUNGS:
        row = rung(blank, seen)
        if row.price:
            return row
        blank = row
    raise AssertionError("the last rung always holds: every instrument has a list price")


def blank_fixing(day: date, instrument: int, sequence: int, time: int) -> FixingRow:
    """Return a fixing that rests on nothing yet."""
    return FixingRow(
        day=day,
        instrument=instrument,
        sequence=sequence,
        time=time,
        price=0,
        rung="carried",
        stale=False,
        auction_quantity=None,
        trades=None,
        quantity=None,
        outliers=None,
        median=None,
        bid=None,
        ask=None,
        carried_from=None,
    )


def closing_auction(row: FixingRow, seen: Seen) -> FixingRow:
    """Take the price of the fixing call's auction, if it traded."""
    if seen.auction is None:
        return row
    return replace(
        row, rung="closing_auction", price=seen.auction.price, auction_quantity=seen.auction.quantity
    )


def last_half_hour(row: FixingRow, seen: Seen) -> FixingRow:
    """Take the volume-weighted price of the trades before the fixing call, without outliers."""
    if not seen.trades:
        return row
    count = sum(traded.trades for traded in seen.trades.values())
    row = replace(row, trades=count, quantity=sum(traded.quantity for traded in seen.trades.values()))
    if count < TRADES_MIN:
        return row
    median = median_of(seen.trades)
    far = {price for price in seen.trades if 100 * abs(price - median) > OUTLIER_PERCENT * median}
    near = {price: traded.quantity for price, traded in seen.trades.items() if price not in far}
    lots = sum(near.values())
    amount = sum(price * quantity for price, quantity in near.items())
    return replace(
        row,
        rung="last_half_hour",
        price=(2 * amount + seen.tick * lots) // (2 * seen.tick * lots) * seen.tick,
        outliers=sum(seen.trades[price].trades for price in far),
        median=median,
    )


def median_of(trades: dict[int, Traded]) -> int:
    """Return the lowest price at which at least half of the lots traded at it or below."""
    lots = sum(traded.quantity for traded in trades.values())
    below = 0
    for price, traded in sorted(trades.items()):
        below += traded.quantity
        if 2 * below >= lots:
            return price
    raise AssertionError("a median of no trades")


def quotes(row: FixingRow, seen: Seen) -> FixingRow:
    """Take the middle of the best bid and the best ask, if they are near each other and not crossed."""
    row = replace(row, bid=seen.bid or None, ask=seen.ask or None)
    if not 0 < seen.bid <= seen.ask or 100 * seen.ask > (100 + SPREAD_PERCENT_MAX) * seen.bid:
        return row
    middle = (seen.bid + seen.ask) // 2
    return replace(row, rung="quotes", price=middle // seen.tick * seen.tick)


def carried(row: FixingRow, seen: Seen) -> FixingRow:
    """Take the fixing before, else the list price; it is stale."""
    if seen.before is None:
        return replace(row, rung="carried", price=seen.list_price, stale=True)
    return replace(row, rung="carried", price=seen.before.price, stale=True, carried_from=seen.before.day)


RUNGS: tuple[Rung, ...] = (closing_auction, last_half_hour, quotes, carried)
"""In the order in which they are tried."""
