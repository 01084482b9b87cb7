"""The same for a pipe: a line for each change of an instrument's top, or the market as a table once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from exchange.client.errors import ConnectionLost
from exchange.watching.book_view import BookShown, BookView, Queued
from exchange.watching.overview import Overview, Row
from exchange.watching.paint_market import Choice, fit, paint_heading, paint_row
from exchange.watching.readers import POLL_MS, Clock, Opener, Reader
from exchange.watching.words import (
    NS_PER_SECOND,
    Trust,
    clock_text,
    indicative_words,
    phase_words,
    price_text,
)
from feeds.builder import State
from feeds.documents import Definition
from feeds.messages import DEFINITIONS, EVERY_INSTRUMENT, FAST_VIEW, PROGRAMMES, SLOW_VIEW
from matching.vocabulary import Phase

WHOLE_WITHIN_NS = 5 * NS_PER_SECOND
"""How long a table is waited for, where nobody says how long."""


BUDGETS_WITHIN_NS = 3 * NS_PER_SECOND // 2
"""How long budgets, which are told each second, are waited for: a recording may have none."""

PIPE_COLUMNS = 1_000
"""How wide the table may be where no terminal bounds it."""


def read_tops(reader: Reader, clock: Clock, definition: Definition, end: int | None) -> Iterator[BookShown]:
    """Yield a book whenever its top, its phase, its last trade or its state has changed, until `end`.

    What changes faster than it is read is told as it is at the end. A stale feed is told, not hidden.
    """
    view = BookView(definition)
    book = reader.follow(definition.index)
    before: tuple[object, ...] | None = None
    while end is None or clock() < end:
        view.take(reader.poll(POLL_MS), clock())
        shown = view.shown(book, clock(), 1)
        facts = (shown.health.trust, shown.phase, shown.indicative, shown.bids, shown.asks, shown.last)
        if facts != before:
            before = facts
            yield shown


def read_whole(opened: Opener, clock: Clock, definition: Definition, depth: int) -> BookShown:
    """Return a book once it is whole. Raises `ConnectionLost` if it is not in five seconds."""
    view = BookView(definition)
    reader = opened()
    try:
        book = reader.follow(definition.index)
        end = clock() + WHOLE_WITHIN_NS
        while book.state is not State.LIVE or book.status is None:
            if clock() >= end:
                raise ConnectionLost(
                    f"the feed tells no whole book of {definition.symbol}: it is {book.state.value}",
                    remedy="look whether the venue's feed is running (`bourse status`), and ask again",
                )
            reader.poll(POLL_MS)
        return view.shown(book, clock(), depth)
    finally:
        reader.close()


def top_line(shown: BookShown) -> str:
    """Return a book's top as one line: lots x price, and how many orders stand there."""
    bid, ask = (queued[0].level if queued else None for queued in (shown.bids, shown.asks))
    bid_text = f"{bid.quantity:,} x {price_text(bid.price)} ({bid.orders})" if bid else "none"
    ask_text = f"{ask.quantity:,} x {price_text(ask.price)} ({ask.orders})" if ask else "none"
    last = f"{shown.last.quantity:,} x {price_text(shown.last.price)}" if shown.last else "none"
    parts = [
        clock_text(shown.time) if shown.time else "--:--:--",
        shown.definition.symbol,
        phase_words(shown.phase, shown.cause) if shown.phase is not None else "unknown",
        f"bid {bid_text}",
        f"ask {ask_text}",
        f"last {last}",
    ]
    if shown.indicative is not None:
        parts.append(indicative_words(*shown.indicative))
    return "  ".join([*parts, shown.health.text])


def top_fields(shown: BookShown) -> dict[str, object]:
    """Return a book's top as one JSON object's fields: prices in hao, quantities in lots."""
    return {
        "instrument": shown.definition.symbol,
        "state": shown.health.trust.name.lower(),
        "sequence": shown.sequence,
        "time": shown.time,
        "phase": None if shown.phase is None else Phase(shown.phase).name.lower(),
        "reference": shown.reference or None,
        "bid": _level_fields(shown.bids),
        "ask": _level_fields(shown.asks),
        "last": shown.last._asdict() if shown.last else None,
        "indicative": shown.indicative._asdict() if shown.indicative else None,
        "resyncs": shown.resyncs,
    }


def _level_fields(side: tuple[Queued, ...]) -> dict[str, int] | None:
    return side[0].level._asdict() if side else None


class MarketRead(NamedTuple):
    """What was read of the market, and whether all of it came in time."""

    overview: Overview
    rows: list[Row]


def read_market(
    reader: Reader,
    clock: Clock,
    choice: Choice,
    end: int | None,
    *,
    is_fast: bool = False,
    changed: Callable[[Row], None] | None = None,
    turned: Callable[[Trust, int], None] | None = None,
) -> MarketRead:
    """Read until `end`, or, without one, until every row is whole.

    `changed` is told each row that is new, `turned` how far all of them can be trusted from then on, and how
    many losses have been healed. Without an end it gives up after five seconds, and returns what there is.
    """
    overview = Overview()
    for kind in (FAST_VIEW if is_fast else SLOW_VIEW, PROGRAMMES, DEFINITIONS):
        reader.listen(kind, EVERY_INSTRUMENT)
    last_moment = clock() + WHOLE_WITHIN_NS if end is None else end
    budgets_until = clock() + BUDGETS_WITHIN_NS
    told: dict[int, Row] = {}
    trust: Trust | None = None
    while (now := clock()) < last_moment:
        for kind, instrument in overview.asks(now):
            reader.ask(kind, instrument)
        overview.take(reader.poll(POLL_MS), clock())
        if turned is not None and (trusted := overview.health(clock()).trust) is not trust:
            trust = trusted
            turned(trust, overview.resyncs)
        if changed is not None:
            _tell(overview, choice, told, changed)
        if end is None and overview.is_whole and (overview.budgets or clock() >= budgets_until):
            break
    return MarketRead(overview, choice.chosen(overview.rows()))


def _tell(overview: Overview, choice: Choice, told: dict[int, Row], changed: Callable[[Row], None]) -> None:
    """Tell the rows that are whole and not as they were told last."""
    for row in choice.chosen(overview.rows()):
        if not row.is_old and told.get(row.definition.index) != row:
            told[row.definition.index] = row
            changed(row)


def row_fields(row: Row) -> dict[str, object]:
    """Return an instrument as one JSON object's fields: prices and amounts in hao, quantities in lots."""
    definition = row.definition
    return {
        "instrument": definition.symbol,
        "name": definition.name,
        "kind": definition.kind,
        "tier": definition.tier,
        "region": definition.region,
        "domestic": definition.domestic,
        "phase": Phase(row.status.phase).name.lower(),
        "reference": row.status.reference or None,
        "bid": row.bid.price if row.bid else None,
        "bid_lots": row.bid.quantity if row.bid else None,
        "ask": row.ask.price if row.ask else None,
        "ask_lots": row.ask.quantity if row.ask else None,
        "last": row.last,
        "change_basis_points": row.change,
        "indicative": row.indicative._asdict() if row.indicative else None,
        "trades": row.totals.trades,
        "volume": row.totals.quantity,
        "amount": row.totals.amount,
        "paid": row.totals.paid,
        "is_old": row.is_old,
    }


def json_line(fields: dict[str, object]) -> str:
    """Return one JSON object as a line."""
    return json.dumps(fields, ensure_ascii=False)


def table_lines(rows: Sequence[Row], choice: Choice) -> Iterator[str]:
    """Yield the market as a table: its heading, then one line an instrument, with all columns."""
    fitted = fit(rows, PIPE_COLUMNS)
    yield paint_heading(fitted, choice).plain
    for row in rows:
        yield "".join(text for text, _ in paint_row(row, fitted)).rstrip()
