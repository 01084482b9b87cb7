"""A course of bars as one HTML file: a picture and its table, loading nothing from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from exchange.cli.candle_chart import CANDLES_MAX, candle_chart
from exchange.cli.courses import Course
from exchange.cli.report_page import STYLE

_STYLE = """
svg { max-width: 960px; }
@media print { svg { max-width: 240mm; } }
"""


def history_page(course: Course, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return the whole file: a course, and a table of its bars as texts, newest last."""
    _, each = course.fitted(CANDLES_MAX)
    many = "" if each == 1 else f" Each candle is {each} bars beside each other; the table has them all."
    figure = (
        f"<figure><figcaption>A rising candle is hollow and blue, a falling one full and red.{many}"
        f"</figcaption>{candle_chart(course)}</figure>"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(course.title)}</title><style>{STYLE}{_STYLE}</style></head>\n"
        f"<body><main><h1>{escape(course.title)}</h1>"
        f'<p class="told">Tokenbourse, as of sequence {course.sequence} of the journal. '
        f"{escape(course.span)}. L{escape(course.closes)[1:]}. Busted trades are left out.</p>\n"
        f"{figure}<h2>The bars</h2>{_table(columns, rows)}</main></body></html>\n"
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; all but its first column are numbers."""
    marks = [' class="number"' if at else "" for at in range(len(columns))]
    head = "".join(
        f'<th scope="col"{mark}>{escape(column.replace("_", " "))}</th>'
        for mark, column in zip(marks, columns, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{mark}>{escape(str(cell))}</td>" for mark, cell in zip(marks, row, strict=True))
        + "</tr>\n"
        for row in rows
    )
    return f'<div class="rows"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
