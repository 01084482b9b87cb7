"""What the commands about the past share: a table's newest rows, in yuan or hao, or why there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, cast

import click

from exchange.cli.base import print_json, print_table
from exchange.cli.courses import price_words
from exchange.client.errors import BadInput
from exchange.client.statements import FIRST_TIME, moment_text

if TYPE_CHECKING:
    from exchange.client.sync import SyncExchange

Prices = Literal["hao", "yuan"]
Command = TypeVar("Command", bound=Callable[..., Any])

LAST_TIME = "9999-12-31 00:00:00"
"""A time after all others, as the store's SQL reads it."""

VENUE_OFFSET = timedelta(hours=8)
"""How far the venue's clock is ahead of UTC: its day begins at 16:00 UTC."""

_MONEY = frozenset(["open", "high", "low", "close", "price", "amount", "subsidy", "vwap", "bid", "ask"])
"""Columns of hao."""

_FOR_PROGRAMS = frozenset(["subsidised_volume"])
"""Columns that people are spared: another tells them the same."""


class Newest(NamedTuple):
    """The newest rows of a table, oldest first: of how many, and as of which sequence."""

    rows: list[dict[str, Any]]
    found: int
    sequence: int


class Asked(NamedTuple):
    """Which rows are asked for: from `start` on, before `end`, at most `limit`, the newest."""

    start: str
    end: str
    limit: int

    @property
    def span(self) -> str:
        """Return the span in words, blank for all times."""
        told = "" if self.start == FIRST_TIME else f" from {self.start}"
        return told + ("" if self.end == LAST_TIME else f" before {self.end}")


def _read_moment(_context: click.Context, parameter: click.Parameter, moment: str | None) -> str | None:
    """Return a moment as the store reads it; what is none is wrong usage."""
    if moment is None:
        return None
    try:
        return moment_text(moment, parameter.name or "")
    except BadInput as error:
        raise click.BadParameter(str(error)) from error


def with_span(limit: int) -> Callable[[Command], Command]:
    """Add the options that say which rows are wanted; the command gets them as one, `wanted`."""

    def add(command: Command) -> Command:
        @wraps(command)
        def told(*, start: str | None, end: str | None, limit: int, **others: object) -> object:
            return command(wanted=asked(start, end, limit), **others)

        named: Any = told
        for option in (
            click.option(
                "--limit",
                type=click.IntRange(1, 1_000_000),
                default=limit,
                show_default=True,
                help="At most so many, the newest.",
            ),
            click.option("--end", callback=_read_moment, help="Only what is before; as --start."),
            click.option(
                "--start",
                callback=_read_moment,
                help="Only from then on: 2026-11-01, or 2026-11-01T09:30+08:00; without a zone UTC.",
            ),
        ):
            named = option(named)
        return cast("Command", named)

    return add


def with_prices(command: Command) -> Command:
    """Add the option for the unit of money."""
    return click.option(
        "--prices",
        type=click.Choice(["hao", "yuan"]),
        help="Unit of money: 1 yuan is 10,000 hao. Else yuan in tables and pictures, hao with --json.",
    )(command)


def asked(start: str | None, end: str | None, limit: int) -> Asked:
    """Return what is asked for; a span that holds nothing is wrong usage."""
    wanted = Asked(start or FIRST_TIME, end or LAST_TIME, limit)
    if wanted.start >= wanted.end:
        raise click.UsageError(f"--end {wanted.end} is not after --start {wanted.start} (UTC)")
    return wanted


def newest(exchange: SyncExchange, statement: str, names: Sequence[str], wanted: Asked) -> Newest:
    """Ask for the newest rows of a statement, which takes `names`, the span and the limit.

    Its column `found` counts all rows of the span.
    """
    table = exchange.history.sql(statement, (*names, wanted.start, wanted.end, wanted.limit))
    rows = table.rows()
    found = rows[0]["found"] if rows else 0
    return Newest(
        [{name: cell for name, cell in row.items() if name != "found"} for row in rows],
        found,
        table.sequence,
    )


def say_none(what: str, told: Newest, wanted: Asked, first_and_last: Mapping[str, Any]) -> str:
    """Return why there are no rows: none at all yet, or none of the span.

    >>> say_none("trades of GLM-5", Newest([], 0, 7), asked(None, None, 1), {"first": None})
    'there are no trades of GLM-5 yet, as of sequence 7'
    """
    first, last = first_and_last["first"], first_and_last.get("last")
    if first is None:
        return f"there are no {what} yet, as of sequence {told.sequence}"
    return f"there are no {what}{wanted.span}; there are some from {first} to {last}, UTC"


def shown(
    title: str,
    told: Newest,
    prices: Prices | None,
    *,
    as_json: bool,
    why_none: Callable[[], str],
    has_prices: bool = True,
) -> None:
    """Print rows as a table in yuan or as one JSON object in hao, or as `prices` says."""
    if as_json:
        rows = told.rows if prices != "yuan" else [in_yuan(row) for row in told.rows]
        facts = {"prices": prices or "hao"} if has_prices else {}
        print_json({"rows": rows, "found": told.found, "sequence": told.sequence, **facts})
        return
    if not told.rows:
        click.echo(why_none())
        return
    of = "" if told.found == len(told.rows) else f", the newest of {told.found:,}"
    unit = prices or "yuan"
    units = f"{unit}, times UTC" if has_prices else "times UTC"
    columns, lines = texts(told.rows, unit)
    print_table(f"{title}{of}; {units}, as of sequence {told.sequence}", columns, lines)


def in_yuan(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its money as text in yuan; an average to six decimals.

    >>> in_yuan({"close": 12_500, "vwap": 12_500.5, "bid": None, "volume": 3})
    {'close': '1.2500', 'vwap': '1.250050', 'bid': None, 'volume': 3}
    """
    return {name: _yuan(cell) if name in _MONEY else cell for name, cell in row.items()}


def _yuan(cell: float | None) -> str | None:
    match cell:
        case None:
            return None
        case float():
            return f"{cell / 10_000:.6f}"
        case _:
            return price_words(cell, "yuan")


def texts(rows: Sequence[Mapping[str, Any]], prices: Prices) -> tuple[tuple[str, ...], list[list[str]]]:
    """Return the columns that people are shown, and rows as texts: money in a unit, shares in per cent."""
    columns = tuple(name for name in rows[0] if name not in _FOR_PROGRAMS)
    return columns, [[_text(name, row[name], prices) for name in columns] for row in rows]


def _text(name: str, cell: object, prices: Prices) -> str:
    match cell:
        case None:
            return ""
        case float() if name in {"subsidised_share", "change"}:
            return f"{100 * cell:.2f} %"
        case float() if name in _MONEY:
            return f"{cell:,.2f}" if prices == "hao" else f"{cell / 10_000:.6f}"
        case float():
            return f"{cell:,.4f}"
        case int() if name in _MONEY:
            return price_words(cell, prices)
        case datetime():
            return f"{cell:%Y-%m-%d %H:%M:%S}" + (f".{cell:%f}" if cell.microsecond else "")
        case _:
            return str(cell)
