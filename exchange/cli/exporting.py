"""What history has, as a file: a table of the market's, or the answer to a statement."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from exchange.cli.base import bourse, connected, print_json, with_json, with_profile
from exchange.client.answers import unknown_name
from exchange.client.errors import BadInput
from exchange.client.statements import (
    Statement,
    all_trades_of,
    bars_of,
    events_of,
    fixings_of,
    index_of,
    orders_of,
    postings_of,
    quotes_of,
)

if TYPE_CHECKING:
    from exchange.client.sync import SyncExchange

CHUNK_ROWS = 1 << 17
"""How many rows come at a time: 8 MB of trades on the way."""

TIMEOUT_SECONDS = 30.0
"""How long to wait for each of them."""

SUFFIXES = (".parquet", ".csv", ".arrow")

_TABLES = {
    "trades": all_trades_of,
    "quotes": quotes_of,
    "fixings": fixings_of,
    "postings": postings_of,
    "orders": orders_of,
}
_SUBJECTS = (*_TABLES, "bars", "index", "events")


@bourse.command(
    epilog="""
\b
Examples:
  bourse export trades --out trades.parquet --start 2026-11-01 --end 2026-12-01
  bourse export bars --interval 5m --instrument QWEN3-MAX --prices yuan --out bars.csv
  bourse export "select instrument, sum(amount) from trades group by 1" --out turnover.arrow
"""
)
@click.argument("what")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file.")
@click.option("--instrument", help="Of one alone; by default of all.")
@click.option("--start", help="From this day or time on; UTC where it names no zone.")
@click.option("--end", help="Before this day or time.")
@click.option("--interval", help="How long a bar lasts: 1s, 1m (the default), 5m, 1h or 1d.")
@click.option(
    "--prices", type=click.Choice(["hao", "yuan"]), default="hao", show_default=True, help="Unit of money."
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
@with_profile("auditor")
@with_json
def export(
    what: str,
    *,
    out: Path,
    prices: str,
    force: bool,
    profile: str,
    as_json: bool,
    **narrowed: str | None,
) -> None:
    """Write history to a file: a table of it, or what a statement says.

    WHAT is trades, bars, quotes, fixings, index, events, postings, orders, or a statement in SQL. The suffix
    tells the format: .parquet, .csv or .arrow. It may be of any length: it is read in chunks, all as of one
    sequence. A firm's file has the public history, and its own rows.
    """
    if out.suffix not in SUFFIXES:
        raise click.UsageError(f"--out {out}: its suffix tells the format; take {', '.join(SUFFIXES)}")
    if out.exists() and not force:
        raise click.UsageError(f"--out {out} is there already; add --force to overwrite it")
    if not out.absolute().parent.is_dir():
        raise click.UsageError(f"--out {out}: there is no folder {out.parent}; make it first")
    try:
        statement = statement_of(what, **narrowed)
    except BadInput as error:
        raise click.UsageError(str(error)) from error
    began = time.perf_counter()
    instrument = narrowed["instrument"]
    with connected(profile) as exchange:
        if instrument is not None and instrument not in exchange.instruments:
            raise unknown_name("instrument", instrument, exchange.instruments)
        rows, sequence = written(exchange, statement, out, is_in_yuan=prices == "yuan")
    seconds = time.perf_counter() - began
    size = out.stat().st_size
    if as_json:
        print_json({"rows": rows, "bytes": size, "sequence": sequence, "seconds": round(seconds, 3)})
    else:
        click.echo(f"{rows:,} rows as of sequence {sequence} written to {out}, {size:,} bytes")


def statement_of(
    what: str,
    *,
    instrument: str | None = None,
    start: str | None = None,
    end: str | None = None,
    interval: str | None = None,
) -> Statement:
    """Return the statement for what is to be exported. Raises `click.UsageError`, `BadInput`."""
    if interval is not None and what != "bars":
        raise click.UsageError("--interval belongs to bars")
    if what == "bars":
        return bars_of(instrument, interval or "1m", start, end)
    if what in _TABLES:
        return _TABLES[what](instrument, start, end)
    if what == "index":
        if instrument is not None:
            raise click.UsageError("an index is of a tier, and has no --instrument; leave it out")
        return index_of(None, start, end)
    if what == "events":
        if start or end:
            raise click.UsageError("events are exported whole; leave --start and --end out")
        return events_of(instrument)
    if " " not in what.strip():
        raise click.UsageError(f"{what!r} is no table; take one of {', '.join(_SUBJECTS)}, or a statement")
    if instrument or start or end:
        raise click.UsageError(
            "--instrument, --start and --end belong to a table; write them into the statement"
        )
    return Statement(what, ())


def written(exchange: SyncExchange, statement: Statement, out: Path, *, is_in_yuan: bool) -> tuple[int, int]:
    """Write the answer to a statement; return its rows, and the sequence that it is as of."""
    from exchange.cli.table_files import TableFile

    rows = sequence = 0
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn())
    stream = exchange.history.stream(
        statement.sql, statement.parameters, TIMEOUT_SECONDS, chunk_rows=CHUNK_ROWS
    )
    with (
        Progress(*columns, transient=True, disable=not sys.stderr.isatty()) as progress,
        TableFile(out, is_in_yuan=is_in_yuan) as file,
    ):
        task = progress.add_task("", total=None)
        try:
            for table in stream:
                file.write(table)
                rows += len(table)
                sequence = table.sequence
                progress.update(task, completed=rows)
        finally:
            stream.close()
    return rows, sequence
