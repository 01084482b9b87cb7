"""What an analyst asks of the past: trades, bars, quotes, the index of a tier, an instrument's events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from exchange.cli.base import bourse, connected, count, with_json, with_profile
from exchange.cli.candles import candle_plot, line_plot, print_picture, terminal_size
from exchange.cli.courses import INTERVALS, Candle, Course, price_words
from exchange.cli.history_tables import (
    VENUE_OFFSET,
    Asked,
    Newest,
    Prices,
    newest,
    say_none,
    shown,
    texts,
    with_prices,
    with_span,
)
from exchange.client.answers import unknown_name

if TYPE_CHECKING:
    from exchange.client.sync import SyncExchange

_TRADES = """
select * from (
    select
        trade, time, price, quantity, amount, taker_side, subsidy, phase, sequence, count(*) over () as found
    from trades
    where instrument = ? and time >= cast(? as timestamp) and time < cast(? as timestamp)
    order by trade desc limit ?
) order by trade
"""
_BARS = """
select * from (
    select
        start, open, high, low, close, vwap, volume, amount, trades, subsidised_volume, subsidised_share,
        subsidy, count(*) over () as found
    from bars_1m
    where instrument = ? and start >= cast(? as timestamp) and start < cast(? as timestamp)
    order by start desc limit ?
) order by start
"""
_QUOTES = """
select * from (
    select start, bid, bid_quantity, ask, ask_quantity, sequence, count(*) over () as found
    from quotes_1m
    where instrument = ? and start >= cast(? as timestamp) and start < cast(? as timestamp)
    order by start desc limit ?
) order by start
"""
_EVENTS = """
select * from (
    select sequence, time, instrument, event, factor, who, why, count(*) over () as found
    from instrument_events
    where (instrument = ? or ? = '') and time >= cast(? as timestamp) and time < cast(? as timestamp)
    order by sequence desc, instrument desc limit ?
) order by sequence, instrument
"""
_INDEX = """
select * from (
    select day, tier, level, change, constituents, count(*) over () as found
    from tier_index
    where (tier = ? or ? = '') and day >= cast(? as timestamp) and day < cast(? as timestamp)
    order by day desc, tier desc limit ?
) order by day, tier
"""
_FIRST_AND_LAST = {
    "trades": "select min(time) as first, max(time) as last from trades where instrument = ?",
    "bars": "select min(time) as first, max(time) as last from trades where instrument = ?",
    "quotes": "select min(start) as first, max(start) as last from quotes_1m where instrument = ?",
    "events": (
        "select min(time) as first, max(time) as last from instrument_events where instrument = ? or ? = ''"
    ),
    "levels": "select min(day) as first, max(day) as last from tier_index where tier = ? or ? = ''",
}
_TIERS = "select distinct tier from instruments order by tier"

Teller = Callable[[], str]


with_plot = click.option("--plot", is_flag=True, help="Draw it here on the terminal, instead of the table.")


class Pictures(NamedTuple):
    """What is drawn: here on the terminal, as a PNG, as a page."""

    plot: bool
    png: Path | None
    html: Path | None

    @property
    def files(self) -> list[Path]:
        """Return the files that are to be written."""
        return [path for path in (self.png, self.html) if path is not None]


def with_pictures(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that ask for pictures; the command gets them as one, `pictures`."""

    @wraps(command)
    def told(*, plot: bool, png: Path | None, html: Path | None, **others: object) -> object:
        return command(pictures=Pictures(plot, png, html), **others)

    file = click.Path(path_type=Path, dir_okay=False, writable=True)
    told = click.option("--html", type=file, help="Write this page: picture and table in one file.")(told)
    told = click.option("--png", type=file, help="Draw it into this picture; needs matplotlib.")(told)
    return with_plot(told)


@bourse.command(epilog="Example: bourse trades QWEN3-MAX --start 2026-11-01 --limit 20")
@click.argument("instrument")
@with_span(20)
@with_prices
@with_profile("auditor")
@with_json
def trades(
    instrument: str,
    *,
    wanted: Asked,
    prices: Prices | None,
    profile: str,
    as_json: bool,
) -> None:
    """List the newest trades of an instrument, with what a programme paid of each."""
    with connected(profile) as exchange:
        symbol = exchange.instruments[instrument].symbol
        told = newest(exchange, _TRADES, [symbol], wanted)
        why_none = _teller(exchange, "trades", [symbol], symbol, told, wanted)
    shown(f"{symbol}: {count(told.rows, 'trade')}", told, prices, as_json=as_json, why_none=why_none)


@bourse.command(
    epilog="""
\b
Examples:
  bourse bars QWEN3-MAX --interval 5m --start 2026-11-01 --plot
  bourse bars QWEN3-MAX --interval 1d --png days.png --html days.html
"""
)
@click.argument("instrument")
@click.option(
    "--interval", type=click.Choice(list(INTERVALS)), default="1m", show_default=True, help="Length of a bar."
)
@with_span(60)
@with_prices
@with_pictures
@with_profile("auditor")
@with_json
def bars(
    instrument: str,
    *,
    interval: str,
    wanted: Asked,
    prices: Prices | None,
    pictures: Pictures,
    profile: str,
    as_json: bool,
) -> None:
    """List or draw the bars of an instrument: prices, volume, and what programmes paid of it.

    A bar without trades is left out. A day is the venue's, UTC+8, and is named by its date; in JSON by
    when it begins, UTC.
    """
    _check(plot=pictures.plot, as_json=as_json)
    with connected(profile) as exchange:
        symbol = exchange.instruments[instrument].symbol
        told = newest(exchange, _BARS.replace("bars_1m", f"bars_{interval}"), [symbol], wanted)
        why_none = _teller(exchange, "bars", [symbol], symbol, told, wanted)
    what = f"{symbol}: {count(told.rows, 'bar')} of {interval}"
    if told.rows and any(pictures):
        course = _course(symbol, interval, told, prices or "yuan")
        _draw(course, told, pictures)
        if not as_json:
            if pictures.files:
                click.echo(f"{what}, in {' and '.join(map(str, pictures.files))}", err=pictures.plot)
            return
    days = told if as_json or interval != "1d" else told._replace(rows=_by_day(told.rows))
    shown(what, days, prices, as_json=as_json, why_none=why_none)


@bourse.command(epilog="Example: bourse quotes QWEN3-MAX --limit 60 --plot")
@click.argument("instrument")
@with_span(20)
@with_prices
@with_plot
@with_profile("auditor")
@with_json
def quotes(
    instrument: str,
    *,
    wanted: Asked,
    prices: Prices | None,
    plot: bool,
    profile: str,
    as_json: bool,
) -> None:
    """List the best bid and ask of an instrument as they stood at the end of each minute."""
    _check(plot=plot, as_json=as_json)
    unit = prices or "yuan"
    with connected(profile) as exchange:
        symbol = exchange.instruments[instrument].symbol
        told = newest(exchange, _QUOTES, [symbol], wanted)
        why_none = _teller(exchange, "quotes", [symbol], symbol, told, wanted)
    if plot and told.rows:
        sides = {side: [row[side] for row in told.rows] for side in ("bid", "ask")}
        labels = [f"{row['start']:%m-%d %H:%M}" for row in told.rows]
        title = f"{symbol}, quotes by the minute, {unit} a lot, times UTC, as of sequence {told.sequence}"
        print_picture(
            line_plot(title, labels, sides, lambda price: price_words(price, unit), terminal_size())
        )
        return
    shown(f"{symbol}: {count(told.rows, 'quote')}", told, prices, as_json=as_json, why_none=why_none)


@bourse.command(epilog="Example: bourse index standard --plot")
@click.argument("tier", default="")
@with_span(60)
@with_plot
@with_profile("auditor")
@with_json
def index(tier: str, *, wanted: Asked, plot: bool, profile: str, as_json: bool) -> None:
    """List the price index of a tier of models, or of all, day by day: 1,000 on its first day."""
    _check(plot=plot, as_json=as_json)
    with connected(profile) as exchange:
        tiers = {row["tier"]: None for row in exchange.history.sql(_TIERS).rows()}
        if tier and tier not in tiers:
            raise unknown_name("tier", tier, tiers)
        told = newest(exchange, _INDEX, [tier, tier], wanted)
        why_none = _teller(exchange, "levels", [tier, tier], tier or "any tier", told, wanted)
    if plot and told.rows:
        _plot_index(told)
        return
    shown(
        f"Index: {count(told.rows, 'level')}",
        told,
        None,
        as_json=as_json,
        why_none=why_none,
        has_prices=False,
    )


@bourse.command(epilog="Example: bourse events QWEN3-MAX")
@click.argument("instrument", default="")
@with_span(20)
@with_profile("auditor")
@with_json
def events(instrument: str, *, wanted: Asked, profile: str, as_json: bool) -> None:
    """List what happened to an instrument, or to all: listed, suspended, resumed, retired, re-weighted."""
    with connected(profile) as exchange:
        symbol = exchange.instruments[instrument].symbol if instrument else ""
        told = newest(exchange, _EVENTS, [symbol, symbol], wanted)
        why_none = _teller(exchange, "events", [symbol, symbol], symbol or "any instrument", told, wanted)
    title = f"{symbol or 'All instruments'}: {count(told.rows, 'event')}"
    shown(title, told, None, as_json=as_json, why_none=why_none, has_prices=False)


def _check(*, plot: bool, as_json: bool) -> None:
    """Raise `click.UsageError` where a picture and JSON are wanted on one standard output."""
    if plot and as_json:
        raise click.UsageError("--plot draws; leave one of --plot and --json out")


def _teller(
    exchange: SyncExchange, what: str, names: Sequence[str], of: str, told: Newest, wanted: Asked
) -> Teller:
    """Return what says why there are no rows; it has asked already, if there are none."""
    if told.rows:
        return str
    times = exchange.history.sql(_FIRST_AND_LAST[what], tuple(names)).rows()[0]
    return lambda: say_none(f"{what} of {of}", told, wanted, times)


def _by_day(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return bars of days, each named by the venue's date instead of by when it begins, UTC."""
    return [{"day": (row["start"] + VENUE_OFFSET).date(), **_without_start(row)} for row in rows]


def _without_start(row: dict[str, Any]) -> dict[str, Any]:
    return {name: cell for name, cell in row.items() if name != "start"}


def _course(symbol: str, interval: str, told: Newest, prices: Prices) -> Course:
    """Return bars as a course; a day begins at its midnight there."""
    ahead = VENUE_OFFSET if interval == "1d" else VENUE_OFFSET * 0
    names = ("open", "high", "low", "close", "volume", "subsidised_volume")
    candles = tuple(Candle(row["start"] + ahead, *(row[name] for name in names)) for row in told.rows)
    return Course(symbol, interval, candles, told.sequence, prices)


def _draw(course: Course, told: Newest, pictures: Pictures) -> None:
    """Draw a course wherever it is wanted."""
    from exchange.cli.candle_png import write_png
    from exchange.cli.history_page import history_page

    if pictures.png is not None:
        write_png(course, pictures.png)
    if pictures.html is not None:
        rows = _by_day(told.rows) if course.interval == "1d" else told.rows
        page = history_page(course, *texts(rows, _unit(course)))
        pictures.html.write_text(page, "utf-8")
    if pictures.plot:
        print_picture(candle_plot(course, *terminal_size()))


def _unit(course: Course) -> Prices:
    return "hao" if course.prices == "hao" else "yuan"


def _plot_index(told: Newest) -> None:
    """Draw the levels of each tier, in hundredths."""
    days = sorted({row["day"] for row in told.rows})
    levels = {(row["tier"], row["day"]): round(100 * row["level"]) for row in told.rows}
    tiers = sorted({row["tier"] for row in told.rows})
    series = {tier: [levels.get((tier, day)) for day in days] for tier in tiers}
    title = f"Index of {', '.join(tiers)}; 1,000 on its first day; as of sequence {told.sequence}"
    labels = [f"{day:%m-%d}" for day in days]
    print_picture(line_plot(title, labels, series, lambda level: f"{level / 100:,.2f}", terminal_size()))
