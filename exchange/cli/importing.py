"""Other people's data as ours: a day of LOBSTER's as a table of commands."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress

from exchange.cli.base import bourse, fail, print_json, with_json

if TYPE_CHECKING:
    from exchange.lobster import Command, Row, Touch
    from exchange.lobster_check import Compared

LOBSTER_HELP = """
Make a table of commands, for `bourse match`, of a LOBSTER message file: a real day at NASDAQ.

An execution becomes an order of another member that trades at once; prices are hao, where LOBSTER has a
ten-thousandth of a dollar, and lots are shares. Orders that were there before the file began are entered
where their numbers belong. An order that stands in the way of what the file tells has left unseen, and is
cancelled.

With LOBSTER's file of the book, what it shows is put right after each message; then the table is played
through our book, and it is told how often both are the same, and what is different where they are not.

The name and the day are read from LOBSTER's own file names; without a day times count from midnight.
"""


@bourse.group("import", epilog="Example: bourse import lobster messages.csv --out commands.parquet")
def import_() -> None:
    """Make tables of commands of other people's data."""


@import_.command(
    "lobster",
    help=LOBSTER_HELP,
    epilog="Example: bourse import lobster messages.csv --book orderbook.csv --out commands.parquet",
)
@click.argument("messages", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--book",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="LOBSTER's file of the book, beside the messages.",
)
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Where to write commands."
)
@click.option("--instrument", help="Its name; else that in the file's name, else LOBSTER.")
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="The day, New York's: 2012-06-21.")
@with_json
def import_lobster(
    messages: Path,
    book: Path | None,
    out: Path,
    instrument: str | None,
    day: datetime | None,
    *,
    as_json: bool,
) -> None:
    """Make a table of commands of a LOBSTER message file."""
    from exchange.lobster_files import named
    from exchange.matchfile.columns import BadTable

    paths = [path for path in (messages, book, out) if path is not None]
    if len({path.resolve() for path in paths}) < len(paths):
        fail("MESSAGES, --book and --out must be different files; name another", 2)
    if not out.parent.is_dir():
        fail(f"{out}: there is no folder {out.parent}; make it, or name another", 2)
    name = named(messages)
    if day is None and name.day:
        day = datetime.strptime(name.day, "%Y-%m-%d")  # noqa: DTZ007  a day, of no zone
    began = time.perf_counter()
    try:
        facts = _import(messages, book, out, instrument or name.symbol or "LOBSTER", day)
    except BadTable as error:
        fail(str(error), 2)
    except OSError as error:
        fail(f"{error}; what was there before is still there", 1)
    facts["seconds"] = round(time.perf_counter() - began, 3)
    if as_json:
        print_json(facts)
    else:
        _print(facts)


def _import(
    messages: Path, book: Path | None, out: Path, instrument: str, day: datetime | None
) -> dict[str, object]:
    from exchange.lobster import Importer
    from exchange.lobster_files import midnight, read_messages, read_touches, write_commands
    from exchange.matchfile.commands import format_of

    format_of(out)
    rows = read_messages(messages, midnight(day.date()) if day else 0)
    touches = read_touches(book, len(rows)) if book else None
    importer = Importer(rows)
    commands = list(importer.commands(touches))
    write_commands(out, commands, instrument)
    causes = Counter(command.why.value for command in commands)
    facts: dict[str, object] = {
        "instrument": instrument,
        "messages": len(rows),
        "commands": len(commands),
        "commands_by_cause": dict(causes),
        "notes": dict(importer.counts),
    }
    if touches is not None:
        compared = _compared(out, commands, rows, touches)
        facts |= {**compared._asdict(), "differences": dict(compared.differences.most_common())}
    return facts


def _compared(out: Path, commands: list[Command], rows: list[Row], touches: list[Touch]) -> Compared:
    """Play the table, and show on a terminal how far it is."""
    from exchange.lobster_check import compare
    from exchange.terminal import warm_with_progress

    warm_with_progress(book_alone=True)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("comparing", total=None)
        return compare(
            out,
            commands,
            rows,
            touches,
            lambda done, count: progress.update(task, completed=done, total=count),
        )


def _print(facts: dict[str, object]) -> None:
    click.echo(f"{facts['instrument']}: {facts['messages']:,} messages, {facts['commands']:,} commands")
    for title in ("commands_by_cause", "notes"):
        counts = facts[title]
        assert isinstance(counts, dict)
        for told, times in counts.items():
            click.echo(f"  {times:>9,}  {told}")
    if "rows" not in facts:
        return
    shares = {name: facts[name] for name in ("rows", "executions", "executions_equal", "executions_right")}
    shares |= {name: facts[name] for name in ("touch_equal", "touch_right")}
    click.echo(
        "executions equal: {executions_equal:,} of {executions:,}, "
        "{executions_right:,} once what was in the way had left".format_map(shares)
    )
    click.echo(
        "touch equal: after {touch_equal:,} of {rows:,} messages, {touch_right:,} once put right".format_map(
            shares
        )
    )
    differences = facts["differences"]
    assert isinstance(differences, dict)
    for told, times in differences.items():
        click.echo(f"  {times:>9,}  {told}")
