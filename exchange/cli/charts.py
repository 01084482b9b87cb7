"""Plots as inline SVG: bars, a line, prices over volumes. Nothing is loaded to show them.

Each has a title and a description for those who listen to the page, and prints black on white.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

Words = Callable[[int], str]
"""How a value is written at an axis."""

_WIDTH = 720
_LEFT, _RIGHT = 150, 110
_BAR, _PLOT, _VOLUMES = 22, 200, 60
_LABEL_HEIGHT = 22
_LABELS_MAX = 6
_TICKS_MAX = 4
_BLUE, _GREY, _INK = "#1f5fa8", "#c8ccd2", "#22272e"


class _Scale(NamedTuple):
    """Where values stand on the page: `low` at the bottom, `high` at the top, `height` between them."""

    top: float
    height: float
    low: int
    high: int

    def y(self, value: int) -> float:
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
            _text(_LEFT - 8, y + 15, label, "end"),
            f'<rect x="{_LEFT}" y="{y + 4}" width="{room * max(value, 0) / most:.1f}" height="{_BAR - 8}" '
            f'fill="{_BLUE}"/>',
            _text(_LEFT + room * max(value, 0) / most + 6, y + 15, words(value), "start"),
        ]
    told = "; ".join(f"{label}: {words(value)}" for label, value in zip(labels, values, strict=True))
    return _picture(title, told, len(values) * _BAR + 4, marks)


def line_chart(title: str, labels: Sequence[str], values: Sequence[int], words: Words) -> str:
    """Return a line from 0 upwards through the values."""
    scale = _Scale(10, _PLOT, min(0, *values), max(1, *values))
    marks = [*_grid(scale, words), _line(scale, values), *_labels(labels, _PLOT + 10)]
    told = f"from {words(values[0])} ({labels[0]}) to {words(values[-1])} ({labels[-1]})"
    return _picture(title, told, _PLOT + 10 + _LABEL_HEIGHT, marks)


def course_chart(
    title: str, labels: Sequence[str], prices: Sequence[int], volumes: Sequence[int], words: Words
) -> str:
    """Return a line of prices between the lowest and the highest, and a bar of volume below each."""
    margin = max(1, (max(prices) - min(prices)) // 10, max(prices) // 100)
    scale = _Scale(10, _PLOT, max(0, min(prices) - margin), max(prices) + margin)
    below = _Scale(_PLOT + 20, _VOLUMES, 0, max(1, *volumes))
    width = (_WIDTH - _LEFT - _RIGHT) / len(volumes) * 0.7
    marks = [*_grid(scale, words), _line(scale, prices), _text(_LEFT - 8, below.top + 10, "lots", "end")]
    marks += [
        f'<rect x="{_x(at, len(volumes)) - width / 2:.1f}" y="{below.y(volume):.1f}" width="{width:.1f}" '
        f'height="{below.y(0) - below.y(volume):.1f}" fill="{_GREY}"/>'
        for at, volume in enumerate(volumes)
    ]
    bottom = below.top + below.height
    told = f"prices from {words(min(prices))} to {words(max(prices))}, {sum(volumes):,} lots in all"
    return _picture(title, told, bottom + _LABEL_HEIGHT, [*marks, *_labels(labels, bottom)])


def tick_step(span: int) -> int:
    """Return the least of 1, 2, 5, 10, 20, 50 ... that parts `span` into few steps.

    >>> tick_step(3), tick_step(7), tick_step(1_900)
    (1, 2, 500)
    """
    step = 1
    while span > _TICKS_MAX * step:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return step


def _grid(scale: _Scale, words: Words) -> list[str]:
    step = tick_step(scale.high - scale.low)
    first = -(-scale.low // step) * step
    marks = []
    for value in range(first, scale.high + 1, step):
        y = scale.y(value)
        marks += [
            f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{_GREY}"/>',
            _text(_LEFT - 8, y + 4, words(value), "end"),
        ]
    return marks


def _x(at: int, count: int) -> float:
    """Return where the `at`-th of `count` values stands, each in the middle of its room."""
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (at + 0.5) / count


def _line(scale: _Scale, values: Sequence[int]) -> str:
    points = " ".join(f"{_x(at, len(values)):.1f},{scale.y(value):.1f}" for at, value in enumerate(values))
    first, last = points.split(" ")[0], points.split(" ")[-1]
    dots = "".join(
        f'<circle cx="{x}" cy="{y}" r="3" fill="{_BLUE}"/>' for x, y in (first.split(","), last.split(","))
    )
    return f'<polyline points="{points}" fill="none" stroke="{_BLUE}" stroke-width="2"/>{dots}'


def _labels(labels: Sequence[str], top: float) -> list[str]:
    every = -(-len(labels) // _LABELS_MAX)
    return [
        _text(_x(at, len(labels)), top + 16, label, "middle")
        for at, label in enumerate(labels)
        if at % every == 0
    ]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _picture(title: str, told: str, height: float, marks: Sequence[str]) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {_WIDTH} {height:.0f}" font-size="12" fill="{_INK}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title><desc>{escape(told)}</desc>'
        f"{''.join(marks)}</svg>"
    )
