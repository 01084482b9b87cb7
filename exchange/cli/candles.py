"""Candles, volumes and subsidised shares on a terminal, with and without colours; and lines of other tables.

Drawn here and by no library: what there is for terminals draws floats, and brings machine code of its own.
A rising candle has a thin body and a falling one a full one, so that no colour is needed to tell them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from exchange.cli.courses import Course, Words, price_range, spaced, ticks
from exchange.watching.words import BUYS, PUBLIC, SELLS

WIDTH, HEIGHT = 80, 24
"""The size of a picture where there is no terminal to ask."""

_MARGIN = 12
_VOLUMES, _SHARES, _WORDS = 3, 2, 6
_RISING = {"  ": " ", "||": "│", "| ": "╵", " |": "╷", "##": "┃", "# ": "╹", " #": "╻", "|#": "╽", "#|": "╿"}
_FALLING = {**_RISING, "##": "█", "# ": "▀", " #": "▄", "|#": "▄", "#|": "▀"}
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_MARKS = "•o+*"
_STYLES = ("", SELLS, PUBLIC, BUYS)


class Scale(NamedTuple):
    """Where values stand on `rows` lines, from `low` at the bottom to `high` at the top."""

    low: float
    high: float
    rows: int

    def half(self, value: float) -> int:
        """Return which half of a line a value is in, counted from the top."""
        span = self.high - self.low or 1
        return round((self.high - value) * (2 * self.rows - 1) / span)


def print_picture(picture: Text) -> None:
    """Print a picture as it is, in colours only on a terminal that has them."""
    Console(width=None if sys.stdout.isatty() else 1_000).print(picture, soft_wrap=True)


def terminal_size() -> tuple[int, int]:
    """Return how many columns and lines a picture may take."""
    console = Console()
    return (console.width, min(console.height, 40)) if sys.stdout.isatty() else (WIDTH, HEIGHT)


def candle_plot(course: Course, width: int = WIDTH, height: int = HEIGHT) -> Text:
    """Return a course as `height` - 1 lines of at most `width` columns."""
    room = max(width - _MARGIN, 10)
    span = course.span
    course, each = course.fitted(room)
    candles = course.candles
    stride = min(4, room // len(candles))
    scale = Scale(*price_range(candles), max(height - _VOLUMES - _SHARES - _WORDS, 4))
    columns = [(_RISING, BUYS) if candle.is_rising else (_FALLING, SELLS) for candle in candles]
    pictures = [
        _candle(scale, candle.open, candle.high, candle.low, candle.close, signs)
        for candle, (signs, _) in zip(candles, columns, strict=True)
    ]
    styles = [style for _, style in columns]
    told = Text(f"{course.title}, as of sequence {course.sequence}\n{course.closes}\n", no_wrap=True)
    names = {scale.half(price) // 2: course.words(price) for price in ticks(*map(int, scale[:2]))}
    for row in range(scale.rows):
        _line(told, names.get(row, ""), [picture[row] for picture in pictures], styles, stride)
    volumes = [candle.volume for candle in candles]
    _columns(told, f"{max(volumes):,} lots", volumes, max(volumes), (_VOLUMES, stride), "dim")
    shares = [candle.share for candle in candles]
    _columns(told, "subsidised", shares, 1.0, (_SHARES, stride), PUBLIC)
    labels = [(float(at * stride), course.label(candle.start)) for at, candle in enumerate(candles)]
    told.append(_axis(labels, len(candles) * stride) + "\n")
    many = "" if each == 1 else f", {each} bars each"
    return told.append(f"{span}\n┃ rises, █ falls{many}", "dim")


def line_plot(
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Sequence[int | None]],
    words: Words,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Text:
    """Return some courses of whole numbers, each with a mark of its own; None leaves a hole.

    Of more values than there are columns the last of each column is shown.
    """
    room, rows = max(size[0] - _MARGIN, 10), max(size[1] - 5, 4)
    each = -(-len(labels) // room)
    shown = {name: list(values)[each - 1 :: each] or list(values)[-1:] for name, values in series.items()}
    stride = max(1, min(4, room // max(map(len, shown.values()))))
    known = [value for values in shown.values() for value in values if value is not None]
    low, high = min(known), max(known)
    scale = Scale(low, high, rows) if high > low else Scale(low - 1, high + 1, rows)
    lines = [[" "] * room for _ in range(rows)]
    inks = [[""] * room for _ in range(rows)]
    for mark, style, values in zip(_MARKS * len(shown), _STYLES * len(shown), shown.values(), strict=False):
        for at, value in enumerate(values):
            if value is not None:
                row, column = scale.half(value) // 2, at * stride
                lines[row][column], inks[row][column] = mark, style
    told = Text(f"{title}\n", no_wrap=True)
    names = {scale.half(value) // 2: words(value) for value in ticks(int(scale.low), int(scale.high))}
    for row in range(rows):
        _line(told, names.get(row, ""), lines[row], inks[row], 1)
    places = [(float(at // each * stride), label) for at, label in enumerate(labels)]
    told.append(_axis(places[::each], room) + "\n")
    legend = "  ".join(f"{mark} {name}" for mark, name in zip(_MARKS * len(shown), shown, strict=False))
    return told.append(legend, "dim")


def _candle(scale: Scale, opened: int, high: int, low: int, close: int, signs: dict[str, str]) -> list[str]:
    """Return a candle's sign on each line."""
    top, bottom = scale.half(high), scale.half(low)
    first, last = sorted((scale.half(opened), scale.half(close)))
    halves = [
        "#" if first <= half <= last else "|" if top <= half <= bottom else " "
        for half in range(2 * scale.rows)
    ]
    return [signs["".join(halves[at : at + 2])] for at in range(0, len(halves), 2)]


def _line(told: Text, name: str, signs: Sequence[str], styles: Sequence[str], stride: int) -> None:
    told.append(f"{name:>{_MARGIN - 2}} {'┤' if name else '│'}", "dim")
    blanks = ""
    for sign, style in zip(signs, styles, strict=True):
        if sign != " ":
            told.append(blanks + sign, style)
            blanks = ""
        blanks += " " * (stride - (sign != " "))
    told.append("\n")


def _columns(
    told: Text, name: str, values: Sequence[float], most: float, size: tuple[int, int], style: str
) -> None:
    """Append columns of blocks, an eighth of a line exactly."""
    rows, stride = size
    eighths = [max(round(value * rows * 8 / (most or 1)), 1 if value else 0) for value in values]
    for row in range(rows - 1, -1, -1):
        signs = [_EIGHTHS[min(max(eighth - 8 * row, 0), 8)] for eighth in eighths]
        _line(told, name if row == rows - 1 else "", signs, [style] * len(signs), stride)


def _axis(labels: Sequence[tuple[float, str]], room: int) -> str:
    """Return the line of times below a picture, each beginning below its column."""
    line = " " * (_MARGIN - 1)
    for at, text in spaced([(at + len(text) / 2, text) for at, text in labels], 1, 2):
        begin = _MARGIN - 1 + round(at - len(text) / 2)
        if begin + len(text) <= _MARGIN + max(room, len(text)):
            line = line.ljust(begin) + text
    return line
