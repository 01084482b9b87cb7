"""A what-if as one HTML file: what each budget did under both terms, who gains, who loses, what changed."""

from __future__ import annotations

from html import escape

from exchange.cli.base import grouped
from exchange.cli.charts import bar_chart, paired_lines_chart
from exchange.cli.report_page import STYLE
from exchange.cli.what_if import (
    AFTER,
    BEFORE,
    Sheet,
    headline,
    moment_text,
    remarks,
    sheets,
    shown_programmes,
)
from exchange.server.what_if_report import Curve, FiguresPair, ProgrammePair, WhatIf

_LABELS = {"second": "%H:%M:%S", "minute": "%H:%M", "hour": "%m-%d %H:%M", "day": "%m-%d"}
_TEXT_COLUMNS = ("", "firm", "size", "reason", "instrument", "act", "why")


def page(report: WhatIf, venue: str) -> str:
    """Return the whole file; `venue` is what to call the venue."""
    replaced = ", ".join(one.programme for one in report.programmes if one.is_replaced)
    title = f"What if: {replaced} under other terms"
    curves = {one.programme: _curves(one, report.span) for one in shown_programmes(report)}
    plots = {
        **curves,
        "By size of firm": _bars("Subsidy by size of firm, in yuan", report.sizes),
        "By kind of instrument": _bars("Subsidy by kind of instrument, in yuan", report.kinds),
    }
    told = "".join(f"<p>{escape(line)}</p>" for line in report.told)
    lines = remarks(report)
    at = lines.index("Taken as unchanged:")
    left_out = "".join(f"<p>{escape(line)}</p>" for line in lines[:at])
    taken = "".join(f"<li>{escape(line)}</li>" for line in report.assumed)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f'<body><main><h1>{escape(title)}</h1><p class="told">Tokenbourse, venue {escape(venue)}: '
        f"{escape(headline(report))}. Money in yuan, days and hours by the venue's clock, UTC+8.</p>\n"
        f"{told}<section><h2>Taken as unchanged</h2><ul>{taken}</ul>{left_out}</section>\n"
        f"{''.join(_section(sheet, plots.get(sheet.title, '')) for sheet in sheets(report))}"
        "</main></body></html>\n"
    )


def _section(sheet: Sheet, plots: str) -> str:
    body = _table(sheet) if sheet.rows else "<p>Nothing.</p>"
    return f"<section><h2>{escape(sheet.title)}</h2>{plots}{body}</section>\n"


def _table(sheet: Sheet) -> str:
    marks = ["" if column in _TEXT_COLUMNS else ' class="number"' for column in sheet.columns]
    head = "".join(
        f'<th scope="col"{mark}>{escape(column)}</th>'
        for mark, column in zip(marks, sheet.columns, strict=True)
    )
    lines = (zip(marks, row, strict=True) for row in sheet.rows)
    cells = ("".join(f"<td{mark}>{escape(cell)}</td>" for mark, cell in line) for line in lines)
    body = "".join(f"<tr>{line}</tr>\n" for line in cells)
    return f'<div class="rows"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _curves(pair: ProgrammePair, span: str) -> str:
    """Return how a budget was committed and paid in both worlds, drawn; nothing for one span alone."""
    curve = pair.curve
    if curve is None or len(curve.starts) < 2:  # noqa: PLR2004  a line has two ends
        return ""
    lines = (
        ("Committed: reserved, paid and vested", curve.history_committed, curve.other_committed),
        ("Paid and vested", curve.history_paid, curve.other_paid),
    )
    return "".join(
        _figure(f"{name}, in yuan, at the end of each {span}", pair.programme, curve, span, before, after)
        for name, before, after in lines
    )


def _figure(
    caption: str, programme: str, curve: Curve, span: str, before: tuple[int, ...], after: tuple[int, ...]
) -> str:
    labels = [moment_text(start, _LABELS[span]) for start in curve.starts]
    named = ((BEFORE, before), (AFTER, after))
    picture = paired_lines_chart(f"{programme}: {caption}", labels, named, grouped)
    return f"<figure><figcaption>{escape(caption)}</figcaption>{picture}</figure>"


def _bars(caption: str, pairs: tuple[FiguresPair, ...]) -> str:
    shown = [pair for pair in pairs if pair.history.subsidy or pair.other.subsidy]
    if not shown:
        return ""
    labels = [f"{pair.name}, {word}" for pair in shown for word in (BEFORE, AFTER)]
    values = [figures.subsidy for pair in shown for figures in (pair.history, pair.other)]
    picture = bar_chart(caption, labels, values, grouped)
    return f"<figure><figcaption>{escape(caption)}</figcaption>{picture}</figure>"
