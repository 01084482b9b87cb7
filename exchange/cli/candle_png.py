"""A course of bars as a PNG, drawn by matplotlib without a display."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from exchange.cli.candle_chart import CANDLES_MAX, FALLING, PUBLIC
from exchange.cli.charts import BLUE, GREY, INK
from exchange.cli.courses import Candle, Course, days_apart, price_range, spaced, ticks
from exchange.client.errors import MissingLibrary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES, _DOTS_AN_INCH = (9.6, 6.0), 150
_COLUMNS_MIN = 20
"""As if there were at least so many candles: few ones are not drawn fat."""


def write_png(course: Course, path: Path) -> None:
    """Write a course as one picture in three panels. Raises `MissingLibrary` without matplotlib."""
    try:
        figures, backend = map(import_module, ("matplotlib.figure", "matplotlib.backends.backend_agg"))
    except ImportError as error:
        raise MissingLibrary(
            "matplotlib is not installed here",
            field="library",
            value="matplotlib",
            remedy="pip install 'tokenbourse[analyst]', or take --html, which needs no library",
        ) from error
    drawn, each = course.fitted(CANDLES_MAX)
    figure = figures.Figure(figsize=_INCHES, dpi=_DOTS_AN_INCH, layout="constrained")
    backend.FigureCanvasAgg(figure)
    panels = figure.subplots(3, 1, sharex=True, height_ratios=(5, 1.4, 1))
    prices, volumes, shares = panels
    _draw_candles(prices, drawn.candles)
    places = range(len(drawn.candles))
    volumes.bar(places, [candle.volume for candle in drawn.candles], 0.7, color="#8b929b")
    shares.bar(places, [100 * candle.share for candle in drawn.candles], 0.7, color=PUBLIC)
    many = "" if each == 1 else f", {each} bars a candle"
    figure.suptitle(f"{course.title}, as of sequence {course.sequence}", x=0.01, ha="left", fontsize=12)
    prices.set_title(f"{course.closes}\n{course.span}{many}", loc="left", fontsize=8, color=INK)
    _label(drawn, prices, volumes, shares)
    figure.savefig(path, format="png")


def _draw_candles(prices: Axes, candles: Sequence[Candle]) -> None:
    """Draw wicks and bodies; a body of no height is a line."""
    for at, candle in enumerate(candles):
        ink, fill = (BLUE, "white") if candle.is_rising else (FALLING, FALLING)
        bottom, top = sorted((candle.open, candle.close))
        prices.vlines([at, at], [candle.low, top], [bottom, candle.high], color=ink, linewidth=0.9)
        prices.bar(at, top - bottom, 0.7, bottom=bottom, color=fill, edgecolor=ink, linewidth=0.9, zorder=3)


def _label(course: Course, prices: Axes, volumes: Axes, shares: Axes) -> None:
    """Mark the axes: prices in words, whole lots, per cent, times below."""
    candles = course.candles
    low, high = price_range(candles)
    prices.set_ylim(low, high)
    marked = ticks(low, high)
    prices.set_yticks(marked, [course.words(price) for price in marked])
    most = max(1, *(candle.volume for candle in candles))
    marked = ticks(0, most, most=3)
    volumes.set_yticks(marked, [f"{lots:,}" for lots in marked])
    shares.set_ylim(0, 100)
    shares.set_yticks((0, 50, 100), ("0 %", "50 %", "100 %"))
    for panel, name in ((prices, f"{course.prices} a lot"), (volumes, "lots"), (shares, "subsidised")):
        panel.set_ylabel(name, fontsize=8)
        panel.tick_params(labelsize=8)
        panel.grid(axis="y", color=GREY, linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    columns = max(len(candles), _COLUMNS_MIN)
    shares.set_xlim(-0.8, columns - 0.2)
    labels = [(float(at), course.label(candle.start)) for at, candle in enumerate(candles)]
    kept = spaced(labels, columns / 130, columns / 40)
    shares.set_xticks([at for at, _ in kept], [text for _, text in kept])
    firsts = days_apart(candles)
    if len(firsts) <= len(candles) // 4:
        for panel in (prices, volumes, shares):
            panel.vlines(
                [at - 0.5 for at in firsts], *panel.get_ylim(), color=INK, linewidth=0.6, linestyle=":"
            )
