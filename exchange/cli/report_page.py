"""A report as one HTML file: plots and tables, readable, printable, loading nothing from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from exchange.cli.base import grouped
from exchange.cli.charts import bar_chart, course_chart, line_chart
from exchange.cli.statement import venue_time
from settlement.reports import Part, Report, Section

BARS_MAX = 12
"""Most bars of a plot: those of the largest values."""

_PLAIN_NUMBERS = ("sequence", "fiscal_year", "terms_version")
"""Columns of whole numbers that count nothing: a year is no 2,026."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22272e; background: #fff; max-width: 72rem;
  margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; break-after: avoid; }
h1 { margin-bottom: .25rem; border-bottom: 3px solid #1f5fa8; padding-bottom: .5rem; }
h2 { margin-top: 2.5rem; }
.told { color: #57606a; }
figure { margin: 1rem 0; break-inside: avoid; }
figcaption { font-weight: 600; font-size: 13px; margin-bottom: .5rem; }
svg { display: block; width: 100%; max-width: 720px; height: auto; font-family: inherit; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; min-width: 50%; }
th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid #c8ccd2; text-align: left;
  vertical-align: top; white-space: pre; }
th { border-bottom: 2px solid #22272e; vertical-align: bottom; white-space: normal; }
th.number, td.number { text-align: right; padding-left: .75rem; }
tr { break-inside: avoid; }
.rows { overflow-x: auto; }
@page { size: A4 landscape; margin: 14mm; }
@media print { body { margin: 0; padding: 0; max-width: none; font-size: 11px; } table { font-size: 10px; }
  h2 { margin-top: 1.5rem; } svg { max-width: 150mm; } .rows { overflow: visible; }
  td { white-space: pre-wrap; } td.number { white-space: nowrap; } }
"""


def cell_text(section: Section, column: str, value: object) -> str:
    """Return a cell as people read it: money in yuan, basis points in per cent, blank for nothing.

    >>> budget = Section("budget", "Budget", ("paid",))
    >>> cell_text(budget, "paid", 12_500), cell_text(budget, "basis_points", 1234)
    ('1.25', '12.34 %')
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        return venue_time(value) if column == "time" else f"{value:%Y-%m-%d %H:%M}"
    if column in _PLAIN_NUMBERS:
        return str(value)
    if isinstance(value, int) and column in section.money:
        return grouped(value)
    if isinstance(value, int) and column.endswith("basis_points"):
        return f"{value / 100:.2f} %"
    return f"{value:,}" if isinstance(value, int) else str(value)


def column_texts(section: Section, column: str, values: Sequence[object]) -> list[str]:
    """Return the cells of a column; amounts of money with equally many decimals.

    >>> column_texts(Section("budget", "Budget", ("paid",)), "paid", [12_500, None, 10_000_001])
    ['1.2500', '', '1,000.0001']
    """
    texts = [cell_text(section, column, value) for value in values]
    if column not in section.money:
        return texts
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    return [text and text + "0" * (decimals - len(text.partition(".")[2])) for text in texts]


def heading(column: str) -> str:
    """Return what stands above a column.

    >>> heading("paid_so_far"), heading("basis_points"), heading("subsidised_basis_points")
    ('paid so far', 'share', 'subsidised')
    """
    words = column.removesuffix("_basis_points").replace("_", " ")
    return {"basis points": "share", "terms": "terms, money in hao"}.get(words, words)


def page(report: Report, as_of: str) -> str:
    """Return the whole file; `as_of` is the venue's time of what it tells."""
    title = f"{report.kind.capitalize()} report: {report.subject}"
    sequences = sorted({part.sequence for part in report.parts})
    span = " to ".join(str(sequence) for sequence in sequences[:: max(len(sequences) - 1, 1)])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main><h1>{escape(title)}</h1>"
        f'<p class="told">Tokenbourse, as of {escape(as_of)} (sequence {span} of the journal). Money in '
        "yuan, volumes in lots, days and hours by the venue's clock, UTC+8. Busted trades are left out of "
        "volumes and prices.</p>\n"
        f"{''.join(_section(part) for part in report.parts)}</main></body></html>\n"
    )


def _section(part: Part) -> str:
    section, rows = part.section, part.rows.to_pylist()
    body = (
        f"{_plot(section, rows)}{_table(section, part.rows.schema.names, rows)}"
        if rows
        else "<p>Nothing.</p>"
    )
    return f"<section><h2>{escape(section.title)}</h2>{body}</section>\n"


def _plot(section: Section, rows: Sequence[dict[str, object]]) -> str:
    chart = section.chart
    if chart is None:
        return ""
    few = ""
    if chart.shape == "bars" and len(rows) > BARS_MAX:
        rows = sorted(rows, key=lambda row: _number(row[chart.value]), reverse=True)[:BARS_MAX]
        few = f", the {BARS_MAX} largest"
    labels = [str(row[chart.label] or "") for row in rows]
    values = [_number(row[chart.value]) for row in rows]
    unit = "yuan" if chart.value in section.money else "lots"
    told = f"{chart.value.replace('_', ' ')} in {unit}{few}"
    title, caption = f"{section.title}: {told}", told.capitalize()

    def words(value: int) -> str:
        return cell_text(section, chart.value, value)

    match chart.shape:
        case "bars":
            return _figure(caption, bar_chart(title, labels, values, words))
        case "line":
            return _figure(caption, line_chart(title, labels, values, words))
        case "course":
            volumes = [_number(row[chart.volume]) for row in rows]
            times = [label[11:16] for label in labels]
            title = f"{rows[0]['instrument']}: {chart.value} in yuan, {chart.volume} in lots"
            return _figure(title, course_chart(title, times, values, volumes, words))


def _figure(caption: str, picture: str) -> str:
    return f"<figure><figcaption>{escape(caption)}</figcaption>{picture}</figure>"


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _table(section: Section, columns: Sequence[str], rows: Sequence[dict[str, object]]) -> str:
    columns = [column for column in columns if any(row[column] is not None for row in rows)]
    numbers = {column for column in columns if all(isinstance(row[column], int | None) for row in rows)}
    marks = {column: ' class="number"' if column in numbers else "" for column in columns}
    head = "".join(f'<th scope="col"{marks[column]}>{escape(heading(column))}</th>' for column in columns)
    texts = [column_texts(section, column, [row[column] for row in rows]) for column in columns]
    body = "".join(
        f"<tr>{''.join(f'<td{marks[column]}>{escape(text)}</td>' for column, text in line)}</tr>\n"
        for line in (zip(columns, cells, strict=True) for cells in zip(*texts, strict=True))
    )
    return f'<div class="rows"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
