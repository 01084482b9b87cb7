"""A course of bars as inline SVG: candles, below them volumes, below these the subsidised shares."""

from __future__ import annotations

from collections.abc import Sequence

from exchange.cli.charts import BLUE, GREY, INK, Scale, picture, text_mark
from exchange.cli.courses import Candle, Course, Words, days_apart, price_range, spaced, ticks

FALLING, PUBLIC = "#b3402a", "#8a63c8"
"""Falls, and public money; what rises is hollow and blue, so that a print in grey tells them apart too."""

CANDLES_MAX = 180
"""Most candles of one picture: of more bars, neighbours are drawn as one."""

_WIDTH, _LEFT, _RIGHT = 960, 84, 16
_PRICES, _VOLUMES, _SHARES, _GAP, _BELOW = 280, 70, 50, 26, 24
_STEP_MAX = 40
_LETTER = 6.5


def candle_chart(course: Course) -> str:
    """Return a course as one picture in three panels."""
    drawn, each = course.fitted(CANDLES_MAX)
    candles = drawn.candles
    prices = Scale(16, _PRICES, *price_range(candles))
    volumes = Scale(prices.top + _PRICES + _GAP, _VOLUMES, 0, max(1, *(candle.volume for candle in candles)))
    shares = Scale(volumes.top + _VOLUMES + _GAP, _SHARES, 0, 100)
    bottom = shares.top + _SHARES
    step = min(_STEP_MAX, (_WIDTH - _LEFT - _RIGHT) / len(candles))
    places = [_LEFT + step * (at + 0.5) for at in range(len(candles))]
    marks = [
        *_days(candles, places, step, bottom),
        *_grid(prices, ticks(prices.low, prices.high), course.words),
        *_grid(volumes, ticks(0, volumes.high, most=3), lambda value: f"{value:,}"),
        *_grid(shares, (0, 50, 100), lambda value: f"{value} %"),
        text_mark(_LEFT, 10, f"{course.prices} a lot", "start"),
        text_mark(_LEFT, volumes.top - 8, "lots traded", "start"),
        text_mark(_LEFT, shares.top - 8, "share of the lots that a programme helped to pay for", "start"),
    ]
    for at, candle in zip(places, candles, strict=True):
        marks += _candle(prices, candle, at, step * 0.7)
        marks.append(_column(volumes, candle.volume, at, step * 0.7, "#8b929b"))
        marks.append(_column(shares, round(candle.share * 100, 1), at, step * 0.7, PUBLIC))
    labels = [(at, course.label(candle.start)) for at, candle in zip(places, candles, strict=True)]
    labels = [(max(at, _LEFT + _LETTER * len(text) / 2), text) for at, text in labels]
    last = _WIDTH - _RIGHT
    marks += [
        text_mark(at, bottom + 18, text, "middle")
        for at, text in spaced(labels, _LETTER, 24)
        if at + _LETTER * len(text) / 2 <= last
    ]
    many = "" if each == 1 else f"; {each} bars a candle"
    return picture(course.title, f"{course.span}{many}; {course.closes}", (_WIDTH, bottom + _BELOW), marks)


def _candle(scale: Scale, candle: Candle, at: float, width: float) -> list[str]:
    """Return a candle: wicks from the lowest to the highest price, a body from open to close."""
    ink, fill = (BLUE, "#fff") if candle.is_rising else (FALLING, FALLING)
    top = scale.y(max(candle.open, candle.close))
    tall = max(scale.y(min(candle.open, candle.close)) - top, 0)
    wicks = (
        f"M{at:.1f} {scale.y(candle.high):.1f}V{top:.1f}M{at:.1f} {top + tall:.1f}V{scale.y(candle.low):.1f}"
    )
    if tall < 1:  # it ended where it began: a line is seen, a body of no height is not
        body = f"M{at - width / 2:.1f} {top:.1f}h{width:.1f}"
        return [f'<path d="{wicks}{body}" stroke="{ink}" stroke-width="1.5"/>']
    return [
        f'<path d="{wicks}" stroke="{ink}"/>',
        f'<rect x="{at - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{tall:.1f}" '
        f'fill="{fill}" stroke="{ink}"/>',
    ]


def _column(scale: Scale, value: float, at: float, width: float, ink: str) -> str:
    return (
        f'<rect x="{at - width / 2:.1f}" y="{scale.y(value):.1f}" width="{width:.1f}" '
        f'height="{scale.y(0) - scale.y(value):.1f}" fill="{ink}"/>'
    )


def _grid(scale: Scale, values: Sequence[int], words: Words) -> list[str]:
    marks = []
    for value in values:
        y = scale.y(value)
        marks += [
            f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{GREY}"/>',
            text_mark(_LEFT - 8, y + 4, words(value), "end"),
        ]
    return marks


def _days(candles: Sequence[Candle], places: Sequence[float], step: float, bottom: float) -> list[str]:
    """Return a dotted line before the first candle of each day, if days are few."""
    firsts = days_apart(candles)
    if len(firsts) > len(candles) // 4:
        return []
    return [
        f'<path d="M{places[at] - step / 2:.1f} 16V{bottom:.1f}" stroke="{INK}" stroke-dasharray="1 4"/>'
        for at in firsts
    ]
