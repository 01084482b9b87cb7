"""An instrument's book as lines of text: header, ladder and tape, for any width and height.

Sides are told apart by their place, states by words and signs: colours only help.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from exchange.instruments import yuan
from exchange.watching.book_view import BookShown, Queued, TapeRow
from exchange.watching.words import (
    ALARM,
    BUYS,
    CAUTION,
    PHASES,
    PUBLIC,
    SELLS,
    TAKERS,
    basis_text,
    change_style,
    clock_text,
    indicative_words,
    net_price,
    phase_words,
    price_text,
    share_text,
)
from matching.vocabulary import Phase

PRICE_WIDTH = 12
LOTS_WIDTH = 10
ORDERS_WIDTH = 7

TAPE_WIDTH = 50
"""Columns that the tape takes where it stands beside the ladder."""

WIDE = 100
"""From so many columns on, there is room for what is less needed."""

Line = list[tuple[str, str]]
"""Pieces of one line, each with its style."""


def joined(lines: Sequence[Line | Text]) -> Text:
    """Return lines as one text."""
    return Text("\n").join(
        line if isinstance(line, Text) else Text.assemble(*line, no_wrap=True) for line in lines
    )


def spread_out(left: Line, right: Line, width: int) -> Text:
    """Return a line with one part at its left end and one at its right, which is never cut."""
    end = Text.assemble(*right)
    start = Text.assemble(*left)
    start.truncate(max(width - end.cell_len - 1, 0), overflow="ellipsis", pad=True)
    return Text.assemble(start, " ", end, no_wrap=True)


def paint_header(shown: BookShown, width: int, *, is_paused: bool = False) -> Text:
    """Return two lines: what it is and how far to trust it; then prices and totals."""
    phase, style = "", ""
    if shown.phase is not None:
        phase, style = phase_words(shown.phase, shown.cause), PHASES[Phase(shown.phase)][1]
    left: Line = [
        (shown.definition.symbol, "bold"),
        ("  ", ""),
        (phase.upper(), style),
        (f"  {shown.definition.name}", "dim"),
    ]
    right: Line = [
        ("PAUSED  " if is_paused else "", "bold reverse"),
        (shown.health.sign, shown.health.style),
        (f"  resyncs {shown.resyncs}", "dim"),
    ]
    return joined([spread_out(left, right, width), _prices(shown, width)])


def _prices(shown: BookShown, width: int) -> Text:
    parts: Line = [("last ", "dim"), (price_text(shown.last.price) if shown.last else "none", "bold")]
    if shown.reference:
        if shown.change is not None:
            parts += [(f" {basis_text(shown.change)}", change_style(shown.change)), (" of ", "dim")]
        else:
            parts.append(("  reference ", "dim"))
        parts.append((price_text(shown.reference), ""))
    if shown.indicative is not None:
        parts += [("  ", ""), (indicative_words(*shown.indicative), CAUTION)]
    elif shown.spread is not None:
        parts += [("  spread ", "dim"), (price_text(shown.spread), "")]
    totals = shown.totals
    if totals is not None and totals.trades:
        parts += [("  volume ", "dim"), (f"{totals.quantity:,}", "")]
        if width >= WIDE:
            parts.append((f" in {totals.trades:,} trades", "dim"))
        if totals.paid:
            share = share_text(totals.paid, totals.amount)
            parts += [("  programmes paid " if width >= WIDE else "  paid ", "dim"), (share, PUBLIC)]
    if shown.trades_missed:
        parts.append((f"  {shown.trades_missed} MISSED", ALARM))
    line = Text.assemble(*parts, no_wrap=True)
    line.truncate(width, overflow="ellipsis")
    return line


# --- the ladder ----------------------------------------------------------------------------------


def paint_ladder(shown: BookShown, width: int, height: int, scroll: int = 0) -> Text:
    """Return the levels around the spread, asks above, bids below; `scroll` lines further down, or up."""
    room = max((width - PRICE_WIDTH) // 2, LOTS_WIDTH)
    levels = (*shown.bids, *shown.asks)
    most = max((queued.level.quantity for queued in levels), default=1)
    asks = [_ask_line(queued, room, most) for queued in reversed(shown.asks)]
    bids = [_bid_line(queued, room, most) for queued in shown.bids]
    lines = [*asks, _middle(shown, room), *bids]
    rows = max(height - 1, 1)
    first = len(asks) - rows // 2 + scroll
    first = max(min(first, len(lines) - 1), 1 - rows)
    blank: Line = [("", "")]
    window = [lines[at] if 0 <= at < len(lines) else blank for at in range(first, first + rows)]
    return joined([_ladder_head(room), *window])


def scroll_bounds(shown: BookShown, height: int) -> tuple[int, int]:
    """Return how far up (below 0) and down the ladder can be scrolled until its end is seen."""
    half = max(height - 1, 1) // 2
    return min(half - len(shown.asks), 0), max(len(shown.bids) - half + 1, 0)


def _price(price: str) -> str:
    """Return a price, or the word above it, in the middle column; points stand below each other."""
    return f"{price:>{PRICE_WIDTH - 2}}  "


def _counts(lots: str, orders: str, *, is_mirrored: bool = False) -> str:
    """Return lots and orders beside a price, lots next to it."""
    if is_mirrored:
        return f"{orders:>{ORDERS_WIDTH}}{lots:>{LOTS_WIDTH}}"
    return f"{lots:<{LOTS_WIDTH}}{orders:<{ORDERS_WIDTH}}"


def _ladder_head(room: int) -> Line:
    width = _bar_width(room)
    bids = "bids".rjust(width)[:width] + _counts("lots", "orders", is_mirrored=True)
    asks = _counts("lots", "orders") + "asks"[:width]
    return [(bids[-room:].rjust(room), "bold"), (_price("price"), "bold"), (asks, "bold")]


def _bar_width(room: int) -> int:
    return max(room - LOTS_WIDTH - ORDERS_WIDTH, 0)


def _ask_line(queued: Queued, room: int, most: int) -> Line:
    level, width = queued.level, _bar_width(room)
    return [
        ("".rjust(room), ""),
        (_price(price_text(level.price)), f"bold {SELLS}"),
        (_counts(f"{level.quantity:,}", str(level.orders)), ""),
        (_segments(queued.orders, width) or _bar(level.quantity, most, width), SELLS),
    ]


def _bid_line(queued: Queued, room: int, most: int) -> Line:
    level, width = queued.level, _bar_width(room)
    body = _segments(queued.orders, width, is_mirrored=True)
    return [
        ((body or _bar(level.quantity, most, width, is_mirrored=True)).rjust(width), BUYS),
        (_counts(f"{level.quantity:,}", str(level.orders), is_mirrored=True)[-room:], ""),
        (_price(price_text(level.price)), f"bold {BUYS}"),
    ]


def _bar(lots: int, most: int, width: int, *, is_mirrored: bool = False) -> str:
    """Return a bar as long as the lots are many, to half a column; the least of lots is seen.

    >>> _bar(5, 10, 3), _bar(5, 10, 3, is_mirrored=True), _bar(1, 1_000, 3)
    ('█▌', '▐█', '▌')
    """
    halves = max(lots * width * 2 // most, 1) if width else 0
    full, rest = divmod(halves, 2)
    return "▐" * rest + "█" * full if is_mirrored else "█" * full + "▌" * rest


def _segments(orders: tuple[int, ...], width: int, *, is_mirrored: bool = False) -> str:
    """Return a queue as its orders' lots, who comes first nearest to the price; what has no room is counted.

    >>> _segments((50, 20, 1_000), 20), _segments((50, 20, 1_000), 20, is_mirrored=True)
    ('▏50▏20▏1,000', '1,000▕20▕50▕')
    >>> _segments((50, 20, 1_000), 10)
    '▏50▏20▏+1'
    """
    if not orders or width < LOTS_WIDTH // 2:
        return ""
    taken: list[str] = []
    used = 0
    for at, lots in enumerate(orders):
        piece = f"{lots:,}"
        left = len(orders) - at
        reserve = len(f"+{left - 1}") + 1 if left > 1 else 0
        if used + len(piece) + 1 + reserve > width:
            taken.append(f"+{left}")
            break
        taken.append(piece)
        used += len(piece) + 1
    if is_mirrored:
        return "".join(f"{piece}▕" for piece in reversed(taken))
    return "".join(f"▏{piece}" for piece in taken)


def _middle(shown: BookShown, room: int) -> Line:
    """Return the line between the sides: the spread, or that the sides cross in a call."""
    if shown.spread is None:
        what = "no bids" if shown.asks else "no asks" if shown.bids else "empty"
    elif shown.spread < 0:
        what = f"crossed by {yuan(-shown.spread)}"
    else:
        what = f"spread {yuan(shown.spread)}"
    whole = room * 2 + PRICE_WIDTH
    return [(f" {what} ".center(whole, "─"), "dim")]


# --- the tape ------------------------------------------------------------------------------------


def paint_tape(shown: BookShown, width: int, height: int) -> Text:
    """Return the newest trades, newest first."""
    head = Text(
        f"{'time UTC':8} {'price':>10} {'lots':>8} {'taker':7} {'net price':>10}", style="bold", no_wrap=True
    )
    lines: list[Line | Text] = [head, *map(_tape_line, shown.tape[: max(height - 1, 0)])]
    if not shown.tape:
        lines.append([("no trade has been heard yet", "dim")])
    return joined(lines)


def _tape_line(row: TapeRow) -> Line:
    told = row.told
    word, style = TAKERS[told.taker_side]
    net = net_price(told)
    paid = price_text(net) if net is not None else "later" if told.subsidised else ""
    return [
        (f"{clock_text(row.time):8} ", "dim"),
        (f"{price_text(told.price):>10} ", style),
        (f"{told.quantity:>8,} ", ""),
        (f"{word:7} ", style),
        (f"{paid:>10}", PUBLIC),
    ]
