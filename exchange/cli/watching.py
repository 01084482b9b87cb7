"""`bourse watch` and `bourse book --watch`: the market and a book, live; lines where nobody watches."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from exchange.cli.base import Command, bourse, with_profile
from exchange.client.errors import ConnectionLost

if TYPE_CHECKING:
    from exchange.watching.overview import Row
    from exchange.watching.paint_market import Choice
    from exchange.watching.readers import Opener
    from exchange.watching.words import Trust

NS_PER_SECOND = 1_000_000_000

SORTS = (
    *("symbol", "name", "kind", "tier", "region", "grade", "phase", "bid", "ask"),
    *("last", "change", "volume", "amount", "trades", "paid"),
)
"""What the overview can be sorted by: the names of its columns, which are loaded when they are needed."""


class Chosen(TypedDict):
    """The options that say which rows are shown, and in which order."""

    kind: str | None
    region: str
    tier: str
    domestic: bool | None
    sort: str
    reverse: bool


def with_feed(command: Command) -> Command:
    """Add the options that name a feed to read without a profile, such as a recording that is played."""
    for name, what in (("--refresh", "answers refreshes"), ("--feed", "publishes")):
        command = click.option(
            name,
            metavar="tcp://HOST:PORT",
            help=f"Read, without keys, what {what} here, such as `feed play`.",
        )(command)
    return command


def with_seconds(command: Command) -> Command:
    """Add the option that ends the watching."""
    return click.option("--seconds", type=click.FloatRange(min=0.1), help="End after so long.", metavar="N")(
        command
    )


def is_watched() -> bool:
    """Tell whether a person sits at both ends of a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def end_of(seconds: float | None) -> int | None:
    """Return when to end, ns of `time.monotonic_ns`; None for never."""
    return None if seconds is None else time.monotonic_ns() + int(seconds * NS_PER_SECOND)


def watch_book(opened: Opener, symbol: str, depth: int, seconds: float | None, *, as_json: bool) -> None:
    """Show a book live: full-screen on a terminal, else a line for each change of its top."""
    from exchange.watching.readers import find_definition

    definition = find_definition(opened, symbol)
    if is_watched() and not as_json:
        from exchange.watching.screens import BookScreen, WatchApp

        WatchApp(lambda: BookScreen(opened, time.monotonic_ns, definition, depth), seconds).run()
        return
    from exchange.watching.lines import json_line, read_tops, top_fields, top_line

    reader = opened()
    try:
        for shown in read_tops(reader, time.monotonic_ns, definition, end_of(seconds)):
            click.echo(json_line(top_fields(shown)) if as_json else top_line(shown))
            sys.stdout.flush()
    except KeyboardInterrupt:
        pass
    finally:
        reader.close()


@bourse.command(epilog="Example: bourse watch --kind model --domestic --sort change")
@click.option("--kind", type=click.Choice(("model", "agent", "compute")), help="Only these.")
@click.option("--region", default="", help="Only those of this region.")
@click.option("--tier", default="", help="Only those of this tier: frontier, standard or economy.")
@click.option("--domestic/--foreign", default=None, help="Only those of domestic grade, or only the others.")
@click.option(
    "--sort", type=click.Choice(SORTS), default="volume", show_default=True, help="By which column."
)
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option("--depth", default=15, show_default=True, help="Levels of each side, when a book is opened.")
@click.option("--fast", is_flag=True, help="Ten times a second in place of once.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line and instrument.")
@with_seconds
@with_feed
@with_profile("sandbox")
def watch(
    *,
    depth: int,
    fast: bool,
    as_json: bool,
    seconds: float | None,
    feed: str | None,
    refresh: str | None,
    profile: str,
    **chosen: Unpack[Chosen],
) -> None:
    """Watch all instruments: prices, volume, what programmes pay of it, and their budgets.

    In a pipe it prints one table and ends; with --json a line an instrument. With --json and --seconds it
    prints a line for each change until then, and a line {"feed": ...} whenever the feed is another than
    it was: waiting, live, gapped or stale.
    """
    from exchange.watching.readers import find_place, opener

    choice = _choice(chosen)
    with opener(find_place(profile, feed, refresh)) as opened:
        if is_watched() and not as_json:
            from exchange.watching.market_screen import MarketScreen
            from exchange.watching.screens import WatchApp

            def first() -> MarketScreen:
                return MarketScreen(opened, time.monotonic_ns, choice, is_fast=fast, depth=depth)

            WatchApp(first, seconds).run()
        else:
            _print_market(opened, choice, seconds, is_fast=fast, as_json=as_json)


def _choice(chosen: Chosen) -> Choice:
    from exchange.watching.paint_market import Choice

    return Choice(
        kinds=frozenset({chosen["kind"]} if chosen["kind"] else ()),
        region=chosen["region"],
        tier=chosen["tier"],
        domestic=chosen["domestic"],
        sort=chosen["sort"],
        is_reversed=chosen["reverse"],
    )


def _print_market(
    opened: Opener, choice: Choice, seconds: float | None, *, is_fast: bool, as_json: bool
) -> None:
    from exchange.watching.lines import PIPE_COLUMNS, json_line, read_market, row_fields, table_lines
    from exchange.watching.paint_market import paint_budgets

    def changed(row: Row) -> None:
        click.echo(json_line(row_fields(row)))

    def turned(trust: Trust, resyncs: int) -> None:
        click.echo(json_line({"feed": trust.name.lower(), "resyncs": resyncs}))

    tells_changes = as_json and seconds is not None
    reader = opened()
    try:
        seen = read_market(
            reader,
            time.monotonic_ns,
            choice,
            end_of(seconds),
            is_fast=is_fast,
            changed=changed if tells_changes else None,
            turned=turned if tells_changes else None,
        )
    except KeyboardInterrupt:
        return
    finally:
        reader.close()
    if not seen.overview.definitions:
        raise ConnectionLost(
            "the feed does not tell what is traded",
            remedy="look whether the venue's feed, or the recording, is running, and at the endpoints",
        )
    if as_json:
        for row in () if tells_changes else seen.rows:
            changed(row)
        return
    health = seen.overview.health(time.monotonic_ns())
    title = (
        f"{len(seen.rows)} of {len(seen.overview.definitions)} instruments, feed {health.text} (yuan, lots)"
    )
    click.echo(title)
    for line in table_lines(seen.rows, choice):
        click.echo(line)
    click.echo(paint_budgets(seen.overview.budgets, PIPE_COLUMNS).plain)
