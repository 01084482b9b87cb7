"""The overview as a table: which columns there are, how each is sorted, and how they fit a width.

The table is the same on a terminal and in a pipe. Words carry what colours carry too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.text import Text

from exchange.watching.overview import Row
from exchange.watching.paint_book import WIDE, Line, joined, spread_out
from exchange.watching.words import (
    BUYS,
    CAUTION,
    PHASES,
    PUBLIC,
    SELLS,
    Health,
    basis_text,
    change_style,
    phase_words,
    price_text,
    share_text,
    whole_yuan,
)
from feeds.documents import Budget
from matching.vocabulary import Phase

Key = int | str
Cell = tuple[str, str]


class Column(NamedTuple):
    """One column: `rank` says who stays where not all fit (0 always); `sort` what it is sorted by."""

    name: str
    rank: int
    is_number: bool
    cell: Callable[[Row], Cell]
    sort: Callable[[Row], Key]


def _phase(row: Row) -> Cell:
    phase = Phase(row.status.phase)
    return PHASES[phase][0], "dim" if phase == Phase.CONTINUOUS else PHASES[phase][1]


def _last(row: Row) -> Cell:
    if row.indicative is not None and row.indicative.price:
        return f"~{price_text(row.indicative.price)}", CAUTION
    return price_text(row.last), "bold"


def _change(row: Row) -> Cell:
    return basis_text(row.change), change_style(row.change)


COLUMNS = (
    Column(
        "symbol",
        0,
        False,
        lambda row: (f"{row.definition.symbol}{' ?' if row.is_old else ''}", "bold"),
        lambda row: row.definition.symbol,
    ),
    Column("name", 10, False, lambda row: (row.definition.name, "dim"), lambda row: row.definition.name),
    Column("kind", 8, False, lambda row: (row.definition.kind, ""), lambda row: row.definition.kind),
    Column("tier", 9, False, lambda row: (row.definition.tier, ""), lambda row: row.definition.tier),
    Column("region", 11, False, lambda row: (row.definition.region, ""), lambda row: row.definition.region),
    Column(
        "grade",
        12,
        False,
        lambda row: ("domestic" if row.definition.domestic else "foreign", ""),
        lambda row: "domestic" if row.definition.domestic else "foreign",
    ),
    Column("phase", 4, False, _phase, lambda row: row.status.phase),
    Column(
        "bid",
        1,
        True,
        lambda row: (price_text(row.bid.price if row.bid else None), BUYS),
        lambda row: row.bid.price if row.bid else -1,
    ),
    Column(
        "ask",
        1,
        True,
        lambda row: (price_text(row.ask.price if row.ask else None), SELLS),
        lambda row: row.ask.price if row.ask else -1,
    ),
    Column("last", 0, True, _last, lambda row: row.last or -1),
    Column("change", 2, True, _change, lambda row: -(10**9) if row.change is None else row.change),
    Column(
        "volume",
        3,
        True,
        lambda row: (f"{row.totals.quantity:,}" if row.totals.quantity else "", ""),
        lambda row: row.totals.quantity,
    ),
    Column(
        "amount",
        6,
        True,
        lambda row: (whole_yuan(row.totals.amount) if row.totals.amount else "", ""),
        lambda row: row.totals.amount,
    ),
    Column(
        "trades",
        7,
        True,
        lambda row: (f"{row.totals.trades:,}" if row.totals.trades else "", ""),
        lambda row: row.totals.trades,
    ),
    Column(
        "paid",
        5,
        True,
        lambda row: (share_text(row.totals.paid, row.totals.amount), PUBLIC),
        lambda row: row.totals.paid * 1_000_000 // row.totals.amount if row.totals.amount else -1,
    ),
)
"""All columns, from left to right. `paid` is what programmes paid of the amount at once."""

COLUMN_NAMES = tuple(column.name for column in COLUMNS)

NAME_WIDTH_MAX = 26


class Choice(NamedTuple):
    """Which rows are shown, and in which order; blank or None: all."""

    kinds: frozenset[str] = frozenset()
    region: str = ""
    tier: str = ""
    domestic: bool | None = None
    text: str = ""
    sort: str = "volume"
    is_reversed: bool = False

    def chosen(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows to show. Numbers begin with the greatest, words with A; ties by symbol."""
        column = COLUMNS[COLUMN_NAMES.index(self.sort)]
        kept = sorted(filter(self._takes, rows), key=lambda row: row.definition.symbol)
        return sorted(kept, key=column.sort, reverse=column.is_number != self.is_reversed)

    def _takes(self, row: Row) -> bool:
        definition = row.definition
        said = f"{definition.symbol} {definition.name} {definition.provider}".lower()
        return (
            (not self.kinds or definition.kind in self.kinds)
            and (not self.region or definition.region.lower() == self.region.lower())
            and (not self.tier or definition.tier.lower() == self.tier.lower())
            and (self.domestic is None or definition.domestic == self.domestic)
            and all(word in said for word in self.text.lower().split())
        )

    def words(self) -> str:
        """Return what is chosen, for the line above the table; blank for everything."""
        words = [*sorted(self.kinds), self.region, self.tier]
        if self.domestic is not None:
            words.append("domestic" if self.domestic else "foreign")
        if self.text:
            words.append(f"“{self.text}”")
        return " ".join(filter(None, words))


class Fitted(NamedTuple):
    """A column that is shown, where it begins and how wide it is."""

    column: Column
    start: int
    width: int


def fit(rows: Sequence[Row], width: int) -> list[Fitted]:
    """Return the columns that fit a width, those that matter least left out first."""
    widths: dict[str, int] = {}
    for column in COLUMNS:
        longest = max((len(column.cell(row)[0]) for row in rows), default=0)
        widths[column.name] = max(min(longest, NAME_WIDTH_MAX), len(column.name) + 1)
    shown: set[str] = set()
    used = 0
    for column in sorted(COLUMNS, key=lambda column: column.rank):
        needed = widths[column.name] + 1
        if not shown or used + needed <= width + 1:
            shown.add(column.name)
            used += needed
    fitted = []
    start = 0
    for column in COLUMNS:
        if column.name in shown:
            fitted.append(Fitted(column, start, widths[column.name]))
            start += widths[column.name] + 1
    return fitted


def paint_heading(fitted: Sequence[Fitted], choice: Choice) -> Text:
    """Return the columns' names; the one that rows are sorted by bears an arrow, up where it rises."""
    parts: Line = []
    for column, _, width in fitted:
        is_sorted = column.name == choice.sort
        rises = column.is_number == choice.is_reversed
        name = f"{column.name}{('▲' if rises else '▼') if is_sorted else ''}"
        text = name.rjust(width) if column.is_number else name.ljust(width)
        parts.append((text, "bold reverse" if is_sorted else "bold"))
        parts.append((" ", ""))
    return Text.assemble(*parts[:-1], no_wrap=True)


def paint_row(row: Row, fitted: Sequence[Fitted]) -> Line:
    """Return one row's cells."""
    parts: Line = []
    for column, _, width in fitted:
        text, style = column.cell(row)
        cut = text if len(text) <= width else f"{text[: width - 1]}…"
        parts.append((cut.rjust(width) if column.is_number else cut.ljust(width), style))
        parts.append((" ", ""))
    return parts[:-1]


def column_at(fitted: Sequence[Fitted], x: int) -> str | None:
    """Return which column stands at a place from the left, if any."""
    return next((one.column.name for one in fitted if one.start <= x <= one.start + one.width), None)


def paint_title(health: Health, rows: Sequence[Row], shown: int, choice: Choice, width: int) -> Text:
    """Return the line on top: what is shown, phases counted, and how far to trust it."""
    counted = " ".join(
        f"{sum(row.status.phase == phase for row in rows)} {PHASES[phase][0]}"
        for phase in sorted({Phase(row.status.phase) for row in rows}, reverse=True)
    )
    chosen = choice.words()
    left: Line = [
        ("Tokenbourse", "bold"),
        (f"  {shown} of {len(rows)} instruments", ""),
        (f"  only {chosen}" if chosen else "", CAUTION),
        (f"  {counted}", "dim"),
    ]
    return spread_out(left, [(health.sign, health.style)], width)


def paint_budgets(budgets: Sequence[Budget], width: int) -> Text:
    """Return a line a programme: how much of its budget is left, as a bar and in yuan."""
    lines: list[Line] = []
    for budget in budgets:
        bar_width = 24 if width >= WIDE else 8
        full = budget.uncommitted * bar_width // budget.budget if budget.budget else 0
        reserved = f" · reserved {whole_yuan(budget.reserved)}" if width >= WIDE else ""
        spent = f" · paid {whole_yuan(budget.paid + budget.vested)}"
        lines.append(
            [
                (f"{budget.programme} {budget.fiscal_year} ", "bold"),
                ("█" * full + "░" * (bar_width - full), PUBLIC),
                (f" {share_text(budget.uncommitted, budget.budget)} left", ""),
                (f"{spent}{reserved} of {whole_yuan(budget.budget)} yuan", "dim"),
            ]
        )
    if not lines:
        lines.append([("no programme's budget has been told yet", "dim")])
    text = [Text.assemble(*line, no_wrap=True) for line in lines]
    for line_text in text:
        line_text.truncate(width, overflow="ellipsis")
    return joined(text)


def detail(row: Row) -> str:
    """Return what an instrument's market is doing beside its name, for a line below the table."""
    definition = row.definition
    state = "" if definition.state == "listed" else f", {definition.state}"
    phase = phase_words(row.status.phase, row.status.cause)
    grade = "domestic" if definition.domestic else "foreign"
    return (
        f"{definition.name} · {phase}{state} · {definition.provider} · {definition.kind} · "
        f"{definition.tier} · {definition.region} · {grade}"
    )
