"""Plots as inline SVG: bars, a line, prices over volumes. Nothing is loaded to show them.

Each has a title and a description for those who listen to the page, and prints black on white.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from exchange.cli.courses import Words, ticks

_WIDTH = 720
_LEFT, _RIGHT = 150, 110
_BAR, _PLOT, _VOLUMES = 22, 200, 60
_LABEL_HEIGHT = 22
_LABELS_MAX = 6
BLUE, GREY, INK = "#1f5fa8", "#c8ccd2", "#22272e"
_DASHED = 'stroke="#6e7781" stroke-dasharray="6 4"'
_NAME_HEIGHT = 14


class Scale(NamedTuple):
    """Where values stand on the page: `low` at the bottom, `high` at the top, `height` between them."""

    top: float
    height: float
    low: int
    high: int

    def y(self, value: float) -> float:
        """Return how far from the top a value stands."""
        span = max(self.high - self.low, 1)
        return self.top + self.height * (self.high - value) / span


def bar_chart(title: str, labels: Sequence[str], values: Sequence[int], words: Words) -> str:
    """Return a bar for each label, the value behind it."""
    most = max(1, *values)
    room = _WIDTH - _LEFT - _RIGHT
    marks = []
    for at, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = at * _BAR
        marks += [
            text_mark(_LEFT - 8, y + 15, label, "end"),
            f'<rect x="{_LEFT}" y="{y + 4}" width="{room * max(value, 0) / most:.1f}" height="{_BAR - 8}" '
            f'fill="{BLUE}"/>',
            text_mark(_LEFT + room * max(value, 0) / most + 6, y + 15, words(value), "start"),
        ]
    told = "; ".join(f"{label}: {words(value)}" for label, value in zip(labels, values, strict=True))
    return picture(title, told, (_WIDTH, len(values) * _BAR + 4), marks)


def line_chart(title: str, labels: Sequence[str], values: Sequence[int], words: Words) -> str:
    """Return a line from 0 upwards through the values."""
    scale = Scale(10, _PLOT, min(0, *values), max(1, *values))
    marks = [*_grid(scale, words), _line(scale, values), *_labels(labels, _PLOT + 10)]
    told = f"from {words(values[0])} ({labels[0]}) to {words(values[-1])} ({labels[-1]})"
    return picture(title, told, (_WIDTH, _PLOT + 10 + _LABEL_HEIGHT), marks)


def paired_lines_chart(
    title: str,
    labels: Sequence[str],
    named: Sequence[tuple[str, Sequence[int]]],
    words: Words,
) -> str:
    """Return two lines from 0 upwards, the first one dashed and grey, each with its name at its end."""
    values = [value for _, line in named for value in line]
    scale = Scale(10, _PLOT, min(0, *values), max(1, *values))
    ends = [scale.y(line[-1]) + 4 for _, line in named]
    if abs(ends[0] - ends[1]) < _NAME_HEIGHT:
        upper = 0 if named[0][1][-1] > named[1][1][-1] else 1
        ends[upper] -= _NAME_HEIGHT / 2
        ends[1 - upper] += _NAME_HEIGHT / 2
    marks = _grid(scale, words)
    for (name, line), end, drawn in zip(named, ends, (_DASHED, f'stroke="{BLUE}"'), strict=True):
        points = " ".join(f"{_x(at, len(line)):.1f},{scale.y(value):.1f}" for at, value in enumerate(line))
        marks += [
            f'<polyline points="{points}" fill="none" {drawn} stroke-width="2"/>',
            text_mark(_WIDTH - _RIGHT + 8, end, name, "start"),
        ]
    told = "; ".join(f"{name}: from {words(line[0])} to {words(line[-1])}" for name, line in named)
    marks += _labels(labels, _PLOT + 10)
    return picture(title, told, (_WIDTH, _PLOT + 10 + _LABEL_HEIGHT), marks)


def course_chart(
    title: str, labels: Sequence[str], prices: Sequence[int], volumes: Sequence[int], words: Words
) -> str:
    """Return a line of prices between the lowest and the highest, and a bar of volume below each."""
    margin = max(1, (max(prices) - min(prices)) // 10, max(prices) // 100)
    scale = Scale(10, _PLOT, max(0, min(prices) - margin), max(prices) + margin)
    below = Scale(_PLOT + 20, _VOLUMES, 0, max(1, *volumes))
    width = (_WIDTH - _LEFT - _RIGHT) / len(volumes) * 0.7
    marks = [*_grid(scale, words), _line(scale, prices), text_mark(_LEFT - 8, below.top + 10, "lots", "end")]
    marks += [
        f'<rect x="{_x(at, len(volumes)) - width / 2:.1f}" y="{below.y(volume):.1f}" width="{width:.1f}" '
        f'height="{below.y(0) - below.y(volume):.1f}" fill="{GREY}"/>'
        for at, volume in enumerate(volumes)
    ]
    bottom = below.top + below.height
    told = f"prices from {words(min(prices))} to {words(max(prices))}, {sum(volumes):,} lots in all"
    return picture(title, told, (_WIDTH, bottom + _LABEL_HEIGHT), [*marks, *_labels(labels, bottom)])


def _grid(scale: Scale, words: Words) -> list[str]:
    marks = []
    for value in ticks(scale.low, scale.high):
        y = scale.y(value)
        marks += [
            f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{GREY}"/>',
            text_mark(_LEFT - 8, y + 4, words(value), "end"),
        ]
    return marks


def _x(at: int, count: int) -> float:
    """Return where the `at`-th of `count` values stands, each in the middle of its room."""
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (at + 0.5) / count


def _line(scale: Scale, values: Sequence[int]) -> str:
    points = " ".join(f"{_x(at, len(values)):.1f},{scale.y(value):.1f}" for at, value in enumerate(values))
    first, last = points.split(" ")[0], points.split(" ")[-1]
    dots = "".join(
        f'<circle cx="{x}" cy="{y}" r="3" fill="{BLUE}"/>' for x, y in (first.split(","), last.split(","))
    )
    return f'<polyline points="{points}" fill="none" stroke="{BLUE}" stroke-width="2"/>{dots}'


def _labels(labels: Sequence[str], top: float) -> list[str]:
    every = -(-len(labels) // _LABELS_MAX)
    return [
        text_mark(_x(at, len(labels)), top + 16, label, "middle")
        for at, label in enumerate(labels)
        if at % every == 0
    ]


def text_mark(x: float, y: float, text: str, anchor: str) -> str:
    """Return text whose start, middle or end stands at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def picture(title: str, told: str, size: tuple[float, float], marks: Sequence[str]) -> str:
    """Return marks as a picture of a width and height, with its title and what it tells."""
    return (
        f'<svg role="img" viewBox="0 0 {size[0]:.0f} {size[1]:.0f}" font-size="12" fill="{INK}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title><desc>{escape(told)}</desc>'
        f"{''.join(marks)}</svg>"
    )
