"""Anybody's table of order flow as commands for `bourse match`: `bourse import csv` and `parquet`."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress

from exchange.cli.base import fail, print_json, with_json
from exchange.cli.importing import import_

if TYPE_CHECKING:
    from exchange.generic_tables import Imported

TABLE_HELP = """
Make a table of commands, for `bourse match`, of {form} file of anybody's order flow.

MAP.toml says which column is what: order, action, side, price, quantity, time, instrument, member. Only
`order` must have a column; what has none is a constant, or blank.

\b
  [columns]                     # ours = the file's
  order = "id"
  action = "type"
  side = "bs"
  price = "px"
  quantity = "qty"
  time = "ts"
  [constants]
  instrument = "QWEN3-MAX"
  [words.action]                # else: new, cancel, reduce, replace, execute
  new = ["A"]
  cancel = ["D"]
  execute = ["E"]
  [words.side]                  # else: buy, sell
  buy = ["B"]
  sell = ["S"]
  [price]
  scale = 10_000                # hao in a price of 1; must come out whole
  [time]
  unit = "us"                   # ns, us, ms, s; since 1970 or, with a day,
  day = 2026-11-20              # since its midnight
  zone = "Asia/Shanghai"        # else UTC
  # format = "%Y-%m-%d %H:%M:%S.%f"

Of reduce, quantity is what is taken off, of replace the new total. A `delimiter` of a CSV stands on top.

Without executions each row is the command that it is. With executions the table tells what happened: each
becomes an order of another member, `taking`, that trades at once, and what stands in its way is cancelled,
as `bourse import lobster` does; a replace then is a cancel and a new order, behind those of its price.
What is about an order that was never entered, and does not say enough, is left out and counted.
"""


def add_command(form: str, article: str) -> None:
    """Add the command that imports a table of one format."""

    @import_.command(
        form,
        help=TABLE_HELP.format(form=article),
        epilog=f"Example: bourse import {form} day.{form} --map map.toml --out commands.parquet --play",
    )
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option(
        "--map",
        "map_path",
        required=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="What the columns mean, as TOML.",
    )
    @click.option(
        "--out",
        required=True,
        type=click.Path(dir_okay=False, path_type=Path),
        help="Where to write commands.",
    )
    @click.option("--play", is_flag=True, help="Then play the commands, and tell what became of them.")
    @with_json
    def import_table(file: Path, map_path: Path, out: Path, *, play: bool, as_json: bool) -> None:
        """Make a table of commands of a table of order flow."""
        from exchange.matchfile.columns import BadTable

        paths = (file, map_path, out)
        if len({path.resolve() for path in paths}) < len(paths):
            fail("FILE, --map and --out must be different files; name another", 2)
        if not out.parent.is_dir():
            fail(f"{out}: there is no folder {out.parent}; make it, or name another", 2)
        began = time.perf_counter()
        try:
            facts = written(file, form, map_path, out)
            if play:
                facts["events_by_kind"] = dict(played(out).most_common())
        except BadTable as error:
            fail(str(error), 2)
        except OSError as error:
            fail(f"{error}; what was there before is still there", 1)
        facts["seconds"] = round(time.perf_counter() - began, 3)
        if as_json:
            print_json(facts)
        else:
            print_facts(facts)


add_command("csv", "a CSV")
add_command("parquet", "a Parquet")


def written(file: Path, form: str, map_path: Path, out: Path) -> dict[str, object]:
    """Write the commands of a table, whole or not at all; return what there was and what became of it."""
    from exchange.generic_map import read_map
    from exchange.generic_tables import Table, import_table
    from exchange.lobster_files import write_commands
    from exchange.matchfile.commands import format_of

    format_of(out)
    table = Table(file, form, read_map(map_path))
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading", total=None)
        made: Imported = import_table(
            table, lambda done, count: progress.update(task, completed=done, total=count)
        )
    write_commands(out, made.commands, made.instruments)
    return {
        "rows": len(table),
        "instruments": len(set(made.instruments)),
        "commands": len(made.commands),
        "commands_by_kind": dict(Counter(command.kind for command in made.commands).most_common()),
        "commands_by_cause": dict(Counter(command.why.value for command in made.commands).most_common()),
        "notes": dict(made.notes.most_common()),
    }


def played(out: Path) -> Counter[str]:
    """Play a table of commands; return how many events of each kind there were."""
    from exchange.matchfile.commands import CommandFile
    from exchange.terminal import warm_with_progress
    from matching.batch import match
    from matching.layout import empty_book
    from matching.vocabulary import EventKind

    warm_with_progress(book_alone=True)
    table = CommandFile(out)
    table.survey()
    book = empty_book(len(table.instruments))
    kinds: Counter[int] = Counter()
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("playing", total=table.count)
        for batch in table.batches():
            book, events = match(book, batch)
            kinds.update(events["kind"].tolist())
            progress.advance(task, len(batch))
    return Counter({EventKind(kind).name.lower(): count for kind, count in kinds.items()})


def print_facts(facts: dict[str, object]) -> None:
    """Print what a table came to: totals, and below each title how many of what."""
    click.echo(
        f"{facts['rows']:,} rows, {facts['commands']:,} commands, instruments: {facts['instruments']:,}"
    )
    for title in ("commands_by_kind", "commands_by_cause", "notes", "events_by_kind"):
        counts = facts.get(title, {})
        assert isinstance(counts, dict)
        if counts:
            click.echo(title.replace("_", " "))
        for told, times in counts.items():
            click.echo(f"  {times:>9,}  {told}")
