"""One-minute bars from trade prints, as they come.

History, with what programmes paid, is the settlement side's; this is the same minute seen from the
public feed. A minute without a trade has no bar.
"""

from __future__ import annotations

from typing import NamedTuple

from feeds.messages import TradePrint, Trades

MINUTE_NS = 60_000_000_000


class Bar(NamedTuple):
    """One instrument's minute from `start` on, in ns since 1970, UTC.

    Prices in hao per lot, `volume` in lots, `amount` in hao (price x quantity, summed), `trades`
    their count.
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


class Bars:
    """The minute under way of each instrument.

    A bar is told when it ends: by a trade of a later minute, or by `close`. Trades are told from
    their numbers, so that one that comes twice counts once. If a print comes for a minute that was
    told already, its bar grows and is told again: of two with the same start the later one holds.
    """

    def __init__(self) -> None:
        self._bars: dict[int, Bar] = {}
        self._last_trades: dict[int, int] = {}
        self._untold: set[int] = set()

    def take(self, trades: Trades) -> list[Bar]:
        """Add a message's prints to their minute; return the bar that they ended, if any."""
        instrument = trades.instrument
        last = self._last_trades.get(instrument, 0)
        prints = [one for one in trades.prints if one.trade > last]
        if not prints:
            return []
        self._last_trades[instrument] = prints[-1].trade
        bar = self._bars.get(instrument)
        start = trades.time - trades.time % MINUTE_NS
        ended = []
        if bar is None or start > bar.start:
            if instrument in self._untold and bar is not None:
                ended.append(bar)
            bar = _begun(instrument, start, prints[0].price)
        self._bars[instrument] = _grown(bar, prints)
        self._untold.add(instrument)
        return ended

    def close(self, time: int) -> list[Bar]:
        """Return the bars of minutes that have ended by `time`, in ns since 1970, UTC.

        For instruments that trade seldom: give it a heartbeat's time, less what the feed may lag.
        """
        ended = [
            self._bars[instrument]
            for instrument in sorted(self._untold)
            if self._bars[instrument].start + MINUTE_NS <= time
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
    )
