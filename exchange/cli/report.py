"""`bourse report`: a day, a programme or a provider, as tables, files or one page to read and print."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from exchange.cli.base import bourse, connected, fail, print_json, print_table, with_json, with_profile

if TYPE_CHECKING:
    from exchange.client.sync import SyncExchange
    from settlement.reports import KindName, Report

Format = Literal["table", "csv", "parquet", "html"]

_FORMS: dict[str, Format] = {".csv": "csv", ".parquet": "parquet", ".html": "html"}
"""The formats that the end of a file's name asks for."""

_AS_OF = "select time from watermark"
_PROGRAMMES = "select programme as name from programmes order by name"
_PROVIDERS = "select distinct provider as name from instruments order by name"


@bourse.command(epilog="Example: bourse report programme --programme HZ-VOUCHER-2026 --out voucher.html")
@click.argument("kind", type=click.Choice(["daily", "programme", "provider"]))
@click.option("--date", type=click.DateTime(["%Y-%m-%d"]), help="Day of a daily report; else the last one.")
@click.option("--programme", help="Programme of a programme's report; else the only one.")
@click.option("--provider", help="Provider of a provider's report; else oneself.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "parquet", "html"]),
    help="Else as the name of --out ends, or a table. CSV and Parquet have money in hao.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; CSV and Parquet write one a table, each with the table's name in its own.",
)
@with_profile("auditor")
@with_json
def report(
    kind: KindName,
    date: datetime | None,
    programme: str | None,
    provider: str | None,
    form: Format | None,
    out: Path | None,
    profile: str,
    *,
    as_json: bool,
) -> None:
    """Report on a trading day, a programme or a provider, while the market trades."""
    from exchange.cli.statement import venue_time
    from settlement.reports import make_report

    form = form or _form_of(out)
    if form == "parquet" and out is None:
        fail("--format parquet: it is not for a terminal; name a file with --out", 2)
    with connected(profile) as exchange:

        def ask(sql: str, parameters: tuple[str]) -> tuple[Any, int]:
            table = exchange.history.sql(sql, parameters)
            return table.to_arrow(), table.sequence

        as_of = venue_time(exchange.history.sql(_AS_OF).rows()[0]["time"])
        subject = {
            "daily": lambda: date.date().isoformat() if date else as_of[:10],
            "programme": lambda: _one_of(exchange, _PROGRAMMES, "programme", programme),
            "provider": lambda: _one_of(exchange, _PROVIDERS, "provider", provider or exchange.member),
        }[kind]()
        made = make_report(kind, subject, ask)
    if as_json:
        print_json(
            {
                "report": kind,
                "subject": subject,
                **{part.section.name: part.rows.to_pylist() for part in made.parts},
            }
        )
    elif form == "table":
        _print(made)
    elif form == "html":
        from exchange.cli.report_page import page

        _write(out, page(made, as_of))
    else:
        _write_tables(made, form, out)


def _form_of(out: Path | None) -> Format:
    """Return the format that a file's name asks for."""
    if out is None:
        return "table"
    form = _FORMS.get(out.suffix)
    if form is None:
        fail(f"--out {out}: it ends in none of {', '.join(_FORMS)}; rename it, or give --format", 2)
    return form


def _one_of(exchange: SyncExchange, sql: str, option: str, wished: str | None) -> str:
    """Return the name that is wished, in any case of its letters, or else the only one that there is."""
    names = [str(row["name"]) for row in exchange.history.sql(sql).rows()]
    fitting = [name for name in names if wished is None or name.upper() == wished.upper()]
    if len(fitting) != 1:
        known = f"name one of {', '.join(names)}" if names else "there is none"
        fail(f"--{option}{f' {wished}' if wished else ''}: {known}", 2)
    return fitting[0]


def _print(made: Report) -> None:
    from exchange.cli.report_page import column_texts, heading

    for section, rows, sequence in made.parts:
        columns = rows.schema.names
        title = f"{section.title}: {made.subject}, as of sequence {sequence}"
        if not rows.num_rows:
            click.echo(f"{title}: nothing")
            continue
        unit = "; days and hours UTC+8" + ("; money in yuan" if section.money else "")
        cells = [column_texts(section, column, rows[column].to_pylist()) for column in columns]
        print_table(f"{title}{unit}", [heading(column) for column in columns], zip(*cells, strict=True))


def _write(out: Path | None, text: str) -> None:
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")
        click.echo(f"written {out}", err=True)


def _write_tables(made: Report, form: Format, out: Path | None) -> None:
    """Write each table to a file of its own, or all of them as CSV one below the other."""
    import pyarrow.csv
    import pyarrow.parquet

    for section, rows, _ in made.parts:
        if out is None:
            sink = pyarrow.BufferOutputStream()
            pyarrow.csv.write_csv(rows, sink)
            click.echo(f"# {section.name}\n{sink.getvalue().to_pybytes().decode()}")
            continue
        path = out.with_name(f"{out.stem}-{section.name}{out.suffix}")
        if form == "csv":
            pyarrow.csv.write_csv(rows, path)
        else:
            pyarrow.parquet.write_table(rows, path)
        click.echo(f"written {path}", err=True)
