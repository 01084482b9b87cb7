"""What an analyst asks: the book, trades, bars, SQL, and the settlement report."""

from __future__ import annotations

import time

import click

from exchange.cli.base import bourse, connected, count, print_json, print_table, with_json, with_profile
from exchange.client.money import yuan
from exchange.profiles import load_profile
from feeds.messages import IndicativePrice
from matching.vocabulary import Side

MONEY_COLUMNS = {"open", "high", "low", "close", "price", "amount", "subsidy"}

_NEWEST_TRADES = """
select trade, time, price, quantity, amount, taker_side, subsidy from (
    select * from trades where instrument = ? order by trade desc limit ?
) order by trade
"""
_NEWEST_BARS = """
select * exclude (instrument) from (
    select * from bars_1m where instrument = ? order by start desc limit ?
) order by start
"""


@bourse.command(epilog="Example: bourse book QWEN3-MAX --depth 5")
@click.argument("instrument")
@click.option("--depth", default=10, show_default=True, help="Levels of each side.")
@with_profile("sandbox")
@with_json
def book(instrument: str, depth: int, profile: str, *, as_json: bool) -> None:
    """Show the price levels of an instrument and its phase, from the public feed.

    In a call, also the price that the auction would find now, with its volume and who has more.
    """
    from exchange.marketdata import read_book

    with connected(profile) as exchange:
        index = exchange.instruments[instrument].index
    seen = read_book(load_profile(profile), index, time.monotonic() + 5.0)
    bids, asks = seen.bids[:depth], seen.asks[:depth]
    phase = seen.phase.name.lower()
    if as_json:
        print_json(
            {
                "instrument": instrument,
                "sequence": seen.sequence,
                "phase": phase,
                "reference": seen.reference or None,
                "indicative": _indicative_fields(seen.indicative),
                "bids": bids,
                "asks": asks,
            }
        )
        return
    rows = []
    for at in range(max(len(bids), len(asks))):
        bid = bids[at] if at < len(bids) else None
        ask = asks[at] if at < len(asks) else None
        rows.append(
            (
                bid[1] if bid else "",
                yuan(bid[0]) if bid else "",
                yuan(ask[0]) if ask else "",
                ask[1] if ask else "",
            )
        )
    print_table(f"{instrument}, {phase} (yuan a lot, lots)", ("lots", "bid", "ask", "lots "), rows)
    if seen.indicative is not None:
        click.echo(indicative_text(seen.indicative))


def _indicative_fields(indicative: IndicativePrice | None) -> dict[str, object] | None:
    """Return an indicative price, its side in a word; None outside of calls, and without a price."""
    if indicative is None or not indicative.price:
        return None
    side = Side(indicative.side).name.lower() if indicative.surplus else None
    return {**indicative._asdict(), "side": side}


def indicative_text(indicative: IndicativePrice) -> str:
    """Return what an auction would find now, in words.

    >>> from feeds.messages import IndicativePrice
    >>> indicative_text(IndicativePrice(price=123_500, volume=40, surplus=5, side=0))
    'auction now: 40 lots at 12.35, 5 more to buy'
    >>> indicative_text(IndicativePrice(0, 0, 0, 0))
    'auction now: no price'
    """
    if not indicative.price:
        return "auction now: no price"
    more = (
        f", {indicative.surplus} more to {Side(indicative.side).name.lower()}" if indicative.surplus else ""
    )
    return f"auction now: {indicative.volume} lots at {yuan(indicative.price)}{more}"


@bourse.command(epilog="Example: bourse trades QWEN3-MAX --limit 20")
@click.argument("instrument")
@click.option("--limit", default=20, show_default=True, help="At most so many, the newest.")
@with_profile("sandbox")
@with_json
def trades(instrument: str, limit: int, profile: str, *, as_json: bool) -> None:
    """List the newest trades of an instrument."""
    with connected(profile) as exchange:
        symbol = exchange.instruments[instrument].symbol
        rows = exchange.history.sql(_NEWEST_TRADES, (symbol, limit)).rows()
    _show_history(f"{instrument}: {count(rows, 'trade')}, times UTC", rows, as_json=as_json)


@bourse.command(epilog="Example: bourse bars QWEN3-MAX --limit 60")
@click.argument("instrument")
@click.option("--limit", default=60, show_default=True, help="At most so many, the newest.")
@with_profile("sandbox")
@with_json
def bars(instrument: str, limit: int, profile: str, *, as_json: bool) -> None:
    """List one-minute bars of an instrument: open, high, low, close, volume."""
    with connected(profile) as exchange:
        symbol = exchange.instruments[instrument].symbol
        rows = exchange.history.sql(_NEWEST_BARS, (symbol, limit)).rows()
    _show_history(f"{instrument}: {count(rows, 'bar')}, times UTC", rows, as_json=as_json)


@bourse.command(
    epilog='Example: bourse sql "select instrument, sum(quantity) from trades group by 1 order by 2 desc"'
)
@click.argument("statement")
@with_profile("auditor")
@with_json
def sql(statement: str, profile: str, *, as_json: bool) -> None:
    """Ask the settlement store in SQL; it is read only, and answers while the market trades."""
    with connected(profile) as exchange:
        rows = exchange.history.sql(statement).rows()
    if as_json:
        print_json({"rows": rows})
    else:
        print_table(count(rows, "row"), tuple(rows[0]) if rows else (), [tuple(row.values()) for row in rows])


def _show_history(title: str, rows: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        print_json({"rows": rows})
        return
    columns = tuple(rows[0]) if rows else ()
    print_table(
        title,
        columns,
        [
            [yuan(int(str(cell))) if name in MONEY_COLUMNS else cell for name, cell in row.items()]
            for row in rows
        ],
    )
