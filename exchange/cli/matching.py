"""The matching engine alone: a table of commands in, a table of events out, no venue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress

from exchange.cli.base import bourse, fail, print_json, with_json

if TYPE_CHECKING:
    from exchange.matchfile.run import Totals

HELP = """
Run a table of COMMANDS through the matching engine alone, offline.

Files are CSV or Parquet, by their suffix. Ticks are 1, nothing bounds prices, and every instrument is
continuous at first. A table that cannot be taken is told with row and column, and nothing is written;
a command that the book refuses is an event, `rejected`, with its reason.

A `phase` row of pre_open begins a call: orders stand in the book without trading, and each change tells, as
`indicative`, what the auction would find now. A `phase` row of auction, or of continuous, trades it at one
price. Here order 2 buys 3 lots of order 1, at 100:

\b
  kind,order,side,price,quantity,phase
  phase,,,,,pre_open
  new,1,sell,100,5,
  new,2,buy,102,3,
  phase,,,,,auction

\b
Columns of COMMANDS; any may be left out, any cell may be blank:
  kind             new (default), cancel, reduce, replace, mass_cancel, phase
  instrument       text. Blank: of mass_cancel and phase all of them, of new
                   orders one without a name
  member, group    text or numbers, one set of names. Blank: the group is the
                   member; the member is the owner (cancel, reduce, replace),
                   all (mass_cancel), one without a name (new orders)
  order            your number of the order, above 0; free again once it left
  side             buy, sell. Blank: of mass_cancel both
  type             limit (default), market, stop, stop_limit, trailing_stop
  time_in_force    gtc (default), gtd, day, ioc, fok
  price            hao per lot; of phase the reference price
  quantity         lots; of reduce what is taken off; of replace the new
                   total, the one cell that may not be blank
  display_quantity, minimum_quantity, stop_price, trail
  post_only        true, false (default); or 1, 0
  self_trade       none (default), cancel_taker, cancel_maker, cancel_both,
                   decrement
  phase            closed, pre_open, no_cancel, auction, continuous, halted;
                   any may follow any
  time, expires_at nanoseconds

\b
Columns of EVENTS; blank where there is nothing to tell:
  sequence         the command's row, from 1
  kind             accepted, rejected, traded, cancelled, reduced, replaced,
                   triggered, expired, phase_changed, indicative
  instrument
  order            of a trade the taker, in an auction the buy; maker_order
                   is the other
  side             of the order; of indicative who has more, blank if nobody
  price            of phase_changed the reference; of indicative the auction's
                   price now, blank if it would trade nothing
  quantity         lots traded, cancelled or expired, else the order's total;
                   of indicative what would trade
  leaves           what is open afterwards; of indicative how much more one
                   side has than the other
  reason           of phase_changed the phase

\b
Columns of BOOK, what rests at the end, bids before asks, each in priority;
in a call it may be crossed. Parked stops, and market orders that wait for
an auction, are not in it:
  instrument, side, price, order
  quantity         all that is open, hidden lots too

FEED is what the venue's feed would have told of it, in the table's own time (ns since 1970, UTC): `bourse
feed play` publishes it, `bourse feed info` tells what is in it. Rows of the same `time` come together.
"""


@bourse.command(
    "match", help=HELP, epilog="Example: bourse match commands.csv --events events.parquet --book book.csv"
)
@click.argument("commands", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--events",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write what happened.",
)
@click.option("--book", type=click.Path(dir_okay=False, path_type=Path), help="Where to write what rests.")
@click.option("--feed", type=click.Path(dir_okay=False, path_type=Path), help="Where to record market data.")
@with_json
def match_table(commands: Path, events: Path, book: Path | None, feed: Path | None, *, as_json: bool) -> None:
    """Run a table of commands through the matching engine alone, and tell how long it took."""
    from exchange.matchfile.columns import BadTable

    paths = [path for path in (commands, events, book, feed) if path is not None]
    if len({path.resolve() for path in paths}) < len(paths):
        fail("COMMANDS, --events, --book and --feed must be different files; name another", 2)
    for path in paths:
        if not path.parent.is_dir():
            fail(f"{path}: there is no folder {path.parent}; make it, or name another", 2)
    try:
        totals = match_with_progress(commands, events, book, feed)
    except BadTable as error:
        fail(str(error), 2)
    except OSError as error:
        fail(f"{error}; what was there before is still there", 1)
    else:
        print_totals(totals, as_json=as_json)


def match_with_progress(commands: Path, events: Path, book: Path | None, feed: Path | None = None) -> Totals:
    """Match a file, and show on a terminal how far it is; kernels are compiled before the clock runs."""
    from exchange.matchfile.commands import CommandFile, format_of
    from exchange.matchfile.run import match_file
    from exchange.terminal import warm_with_progress

    format_of(events)
    if book is not None:
        format_of(book)
    table = CommandFile(commands)
    warm_with_progress(book_alone=True)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("matching", total=None)
        return match_file(
            table, events, book, lambda done, count: progress.update(task, completed=done, total=count), feed
        )


def print_totals(totals: Totals, *, as_json: bool) -> None:
    """Print what a file came to."""
    rate = totals.commands / totals.engine_seconds if totals.engine_seconds else 0.0
    if as_json:
        print_json({**totals._asdict(), "commands_per_second": round(rate)})
        return
    click.echo(
        f"{totals.commands:,} commands, {totals.events:,} events, {totals.trades:,} trades, "
        f"{totals.quantity:,} lots traded"
        + (f", {totals.feed_messages:,} messages of market data" if totals.feed_messages else "")
    )
    click.echo(
        f"engine {totals.engine_seconds:.3f} s ({rate:,.0f} commands a second), "
        f"reading {totals.reading_seconds:.3f} s, writing {totals.writing_seconds:.3f} s"
    )
