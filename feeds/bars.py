"""Bars of any interval from trade prints, as they come.

History is the settlement side's (`bars_1m`); these are the same bars seen from the public feed, and with
`seed` they go on where history ends. An interval without a trade has no bar.
"""

from __future__ import annotations

from typing import NamedTuple

from feeds.messages import Trades
from feeds.records import TradePrint

MINUTE_NS = 60_000_000_000


class Bar(NamedTuple):
    """One instrument's interval from `start` on, in ns since 1970, UTC.

    Prices in hao per lot, `volume` in lots, `amount` in hao (price x quantity, summed), `trades`
    their count; `subsidised_volume` is the lots of the trades of which a programme paid a part at once,
    and `paid` what it paid of them, in hao.
    """

    instrument: int
    start: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    amount: int
    trades: int
    subsidised_volume: int = 0
    paid: int = 0


class Bars:
    """The interval under way of each instrument; intervals of `interval_ns` count from 1970, UTC.

    A bar is told when it ends: by a trade of a later interval, or by `close`. Trades are told from
    their numbers, so that one that comes twice counts once. If a print comes for an interval that was
    told already, its bar grows and is told again: of two with the same start the later one holds.
    """

    def __init__(self, interval_ns: int = MINUTE_NS) -> None:
        assert interval_ns > 0, f"an interval of {interval_ns} ns"
        self.interval_ns = interval_ns
        self._bars: dict[int, Bar] = {}
        self._last_trades: dict[int, int] = {}
        self._untold: set[int] = set()

    def seed(self, bar: Bar, last_trade: int = 0) -> None:
        """Go on from a bar that history gave, in which the trades up to `last_trade` are counted already.

        It takes the place of what was known of its instrument; prints that history has are left out then.
        """
        assert bar.start % self.interval_ns == 0, f"a bar from {bar.start} is none of {self.interval_ns} ns"
        self._bars[bar.instrument] = bar
        self._last_trades[bar.instrument] = last_trade
        self._untold.add(bar.instrument)

    def take(self, trades: Trades) -> list[Bar]:
        """Add a message's prints to their interval; return the bar that they ended, if any."""
        instrument = trades.instrument
        last = self._last_trades.get(instrument, 0)
        prints = [one for one in trades.prints if one.trade > last]
        if not prints:
            return []
        self._last_trades[instrument] = prints[-1].trade
        bar = self._bars.get(instrument)
        start = trades.time - trades.time % self.interval_ns
        ended = []
        if bar is None or start > bar.start:
            if instrument in self._untold and bar is not None:
                ended.append(bar)
            bar = _begun(instrument, start, prints[0].price)
        self._bars[instrument] = _grown(bar, prints)
        self._untold.add(instrument)
        return ended

    def close(self, time: int) -> list[Bar]:
        """Return the bars of intervals that have ended by `time`, in ns since 1970, UTC.

        For instruments that trade seldom: give it a heartbeat's time, less what the feed may lag.
        """
        ended = [
            self._bars[instrument]
            for instrument in sorted(self._untold)
            if self._bars[instrument].start + self.interval_ns <= time
        ]
        self._untold -= {bar.instrument for bar in ended}
        return ended

    def current(self, instrument: int) -> Bar | None:
        """Return the instrument's last bar, ended or not; None where there was no trade."""
        return self._bars.get(instrument)


def _begun(instrument: int, start: int, price: int) -> Bar:
    return Bar(instrument, start, price, price, price, price, volume=0, amount=0, trades=0)


def _grown(bar: Bar, prints: list[TradePrint]) -> Bar:
    prices = [one.price for one in prints]
    return bar._replace(
        high=max(bar.high, *prices),
        low=min(bar.low, *prices),
        close=prices[-1],
        volume=bar.volume + sum(one.quantity for one in prints),
        amount=bar.amount + sum(one.price * one.quantity for one in prints),
        trades=bar.trades + len(prints),
        subsidised_volume=bar.subsidised_volume + sum(one.quantity for one in prints if one.paid > 0),
        paid=bar.paid + sum(one.paid for one in prints),
    )
