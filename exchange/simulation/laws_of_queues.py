"""Price before time before all else: the queues of the book, as they stood before a batch and behind it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import pairwise

import numpy as np

from exchange.simulation.laws_of_orders import continuous_trades
from matching.layout import HALVES, Book
from matching.view import orders_of
from matching.vocabulary import EventKind, Side

PRIORITY = "price and time priority"

Place = tuple[int, int, int]
"""A resting order: its id, its price in hao, and the lots that it shows."""

Queue = list[Place]
"""One side of one book, best price first, first come first."""

Queues = dict[tuple[int, int], Queue]
"""The sides that are not empty, by (instrument, side)."""


def queues_of(book: Book, before: Queues | None = None, touched: Collection[int] = ()) -> Queues:
    """Return all that rests in the books, in priority order.

    Of the instruments that were not `touched` it is what it was `before`, if that is given.
    """
    found: Queues = {}
    for half in np.flatnonzero(book.halves["orders"]).tolist():
        instrument, side = divmod(half, HALVES)
        if side > Side.SELL:
            continue
        if before is None or instrument in touched:
            rows = orders_of(book, instrument, side)
            fields = (rows[field].tolist() for field in ("id", "price", "shown"))
            found[instrument, side] = list(zip(*fields, strict=True))
        elif (instrument, side) in before:
            found[instrument, side] = before[instrument, side]
    return found


def levels_of(queue: Queue) -> list[tuple[int, int, int]]:
    """Return the levels of one side: price, lots shown, orders; best first."""
    levels: list[tuple[int, int, int]] = []
    for _, price, shown in queue:
        if levels and levels[-1][0] == price:
            levels[-1] = price, levels[-1][1] + shown, levels[-1][2] + 1
        else:
            levels.append((price, shown, 1))
    return levels


def faults_of_queues(before: Queues, after: Queues, events: np.ndarray) -> Iterator[str]:
    """Yield who has lost or won a place by no event of his own, or was passed over by a trade."""
    touched = {*events["order"].tolist(), *events["maker_order"].tolist()}
    for key in sorted(before.keys() | after.keys()):
        was, now = before.get(key, []), after.get(key, [])
        if was == now:
            continue
        yield from _misplaced(key, was, now, touched)
    trades = continuous_trades(events)
    if len(trades):
        moved = events["order"][np.isin(events["kind"], (EventKind.REPLACED, EventKind.TRIGGERED))].tolist()
        yield from _passed_over(before, after, trades, touched, set(moved))


def _misplaced(key: tuple[int, int], was: Queue, now: Queue, touched: set[int]) -> Iterator[str]:
    """Yield where those that nothing has happened to do not stand as they stood, or newcomers before them."""
    where = f"instrument {key[0]}, {Side(key[1]).name.lower()} side"
    stayed_before = [place for place in was if place[0] not in touched]
    stayed = [place for place in now if place[0] not in touched]
    if stayed_before != stayed:
        at = next((one for one in zip(stayed_before, stayed, strict=False) if one[0] != one[1]), None)
        if at is None:
            yield f"{where}: {len(stayed_before)} untouched orders were there, {len(stayed)} are"
        else:
            yield f"{where}: (order, price, lots) {at[0]} stood where {at[1]} stands, and neither was told of"
    old = {place[:2] for place in was}
    for place, behind in pairwise(now):
        is_worse = behind[1] > place[1] if key[1] == Side.BUY else behind[1] < place[1]
        if is_worse:
            yield f"{where}: order {place[0]} at {place[1]} stands before order {behind[0]} at {behind[1]}"
        is_new = place[:2] not in old
        if is_new and behind[1] == place[1] and behind[:2] in old and behind[0] not in touched:
            yield f"{where}: order {place[0]} has come, and stands before order {behind[0]}, which was there"


def _passed_over(
    before: Queues, after: Queues, trades: np.ndarray, touched: set[int], moved: set[int]
) -> Iterator[str]:
    """Yield who stood before a maker, was not met, and still stands there."""
    for instrument, side, price, maker in zip(
        trades["instrument"].tolist(),
        trades["side"].tolist(),
        trades["price"].tolist(),
        trades["maker_order"].tolist(),
        strict=True,
    ):
        key = instrument, int(not side)
        waiting = {place[0] for place in after.get(key, []) if place[0] not in touched}
        for order, limit, _ in before.get(key, []):
            if order == maker and maker not in moved:
                break
            is_better = limit >= price if key[1] == Side.BUY else limit <= price
            if order in waiting and is_better:
                yield f"order {maker} was met at {price}, and not order {order} at {limit}, which came first"
                break
