"""What an analyst asks of the market as it stands: the book; and of the store: anything, in SQL."""

from __future__ import annotations

import time
from decimal import Decimal
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import click

from exchange.cli.base import bourse, connected, count, print_json, print_table, with_json, with_profile
from exchange.cli.candles import line_plot, print_picture, terminal_size
from exchange.cli.watching import watch_book, with_feed, with_seconds
from exchange.client.money import yuan
from exchange.watching.words import indicative_words
from feeds.records import IndicativePrice
from matching.vocabulary import Phase, Side

if TYPE_CHECKING:
    from rich.text import Text

BOOK_DEPTH = 10
WATCH_DEPTH = 15


@bourse.command(epilog="Example: bourse book QWEN3-MAX --depth 5, or bourse book QWEN3-MAX --watch")
@click.argument("instrument")
@click.option("--depth", type=click.IntRange(1), help="Levels of each side; 10, or 15 with --watch.")
@click.option("--watch", "is_live", is_flag=True, help="Stay, and show what changes; ? tells the keys.")
@with_seconds
@with_feed
@with_profile("sandbox")
@with_json
def book(
    instrument: str,
    *,
    depth: int | None,
    is_live: bool,
    seconds: float | None,
    feed: str | None,
    refresh: str | None,
    profile: str,
    as_json: bool,
) -> None:
    """Show the price levels of an instrument and its phase, from the public feed.

    In a call, also the price that the auction would find now, with its volume and who has more. With
    --watch full-screen, with the trades; in a pipe a line, or with --json an object, for each change of the
    top until Ctrl-C.
    """
    from exchange.watching.lines import read_whole
    from exchange.watching.readers import find_definition, find_place, opener

    if seconds is not None and not is_live:
        raise click.UsageError("--seconds belongs to --watch")
    with opener(find_place(profile, feed, refresh)) as opened:
        if is_live:
            watch_book(opened, instrument, depth or WATCH_DEPTH, seconds, as_json=as_json)
            return
        seen = read_whole(opened, time.monotonic_ns, find_definition(opened, instrument), depth or BOOK_DEPTH)
    phase = Phase(seen.phase or 0).name.lower()
    bids, asks = ([queued.level for queued in side] for side in (seen.bids, seen.asks))
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
    rows = [
        (
            *((bid.orders, bid.quantity, yuan(bid.price)) if bid else ("", "", "")),
            *((yuan(ask.price), ask.quantity, ask.orders) if ask else ("", "", "")),
        )
        for bid, ask in zip_longest(bids, asks)
    ]
    print_table(
        f"{instrument}, {phase} (yuan a lot, lots)",
        ("orders", "lots", "bid", "ask", "lots ", "orders "),
        rows,
    )
    if seen.indicative is not None:
        click.echo(indicative_words(*seen.indicative))


def _indicative_fields(indicative: IndicativePrice | None) -> dict[str, object] | None:
    """Return an indicative price, its side in a word; None outside of calls, and without a price."""
    if indicative is None or not indicative.price:
        return None
    side = Side(indicative.side).name.lower() if indicative.surplus else None
    return {**indicative._asdict(), "side": side}


@bourse.command(
    epilog='Example: bourse sql "select start, close from bars_5m where instrument = ?" '
    "--param GLM-5.2 --plot start close"
)
@click.argument("statement")
@click.option(
    "--param",
    "parameters",
    multiple=True,
    help="Value of the next ? in the statement: a number if it is written as one, else text.",
)
@click.option("--plot", nargs=2, metavar="X Y", help="Draw column Y over column X instead of the table.")
@with_profile("auditor")
@with_json
def sql(
    statement: str,
    *,
    parameters: tuple[str, ...],
    plot: tuple[str, str] | None,
    profile: str,
    as_json: bool,
) -> None:
    """Ask the settlement store in SQL; it is read only, and answers while the market trades.

    Money is in hao, times are UTC. `show tables` and `describe trades` work too.
    """
    if plot and as_json:
        raise click.UsageError("--plot draws; leave one of --plot and --json out")
    with connected(profile) as exchange:
        table = exchange.history.sql(statement, tuple(map(read_parameter, parameters)))
        rows, columns = table.rows(), tuple(table.to_arrow().schema.names)
    if as_json:
        print_json({"rows": rows, "sequence": table.sequence})
    elif plot and rows:
        print_picture(plot_columns(rows, columns, *plot))
    else:
        print_table(count(rows, "row"), columns, [tuple(row.values()) for row in rows])


def read_parameter(text: str) -> str | int | float:
    """Return the value that `--param` means.

    >>> [read_parameter(text) for text in ("7", "-0.5", "GLM-5.2", "2026-11-01")]
    [7, -0.5, 'GLM-5.2', '2026-11-01']
    """
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def plot_columns(rows: list[dict[str, Any]], columns: tuple[str, ...], x: str, y: str) -> Text:
    """Return one column over another as a picture. Raises `click.UsageError` for what cannot be drawn."""
    for name in (x, y):
        if name not in columns:
            raise click.UsageError(
                f"--plot {name}: there is no such column; choose from {', '.join(columns)}"
            )
    values = [row[y] for row in rows]
    numbers = [value for value in values if value is not None]
    if not numbers or not all(isinstance(value, int | float | Decimal) for value in numbers):
        raise click.UsageError(f"--plot {y}: it holds no numbers; choose a column of numbers for Y")
    scale = 1 if all(isinstance(value, int) for value in numbers) else 10_000
    drawn = [None if value is None else round(value * scale) for value in values]

    def words(value: int) -> str:
        return f"{value:,}" if scale == 1 else f"{value / scale:,.4f}"

    labels = [str(row[x]) for row in rows]
    return line_plot(f"{y} over {x}, {count(rows, 'row')}", labels, {y: drawn}, words, terminal_size())
