"""Our tapes as every peer can play them: for each command what it did, as our own events tell it.

A peer has no word for some commands; from what a command did, its adapter says the same in other words.
"""

from __future__ import annotations

import numpy as np

from matching.batch import match
from matching.layout import Book
from matching.view import orders_of
from matching.vocabulary import CommandKind, EventKind, Side

STEP = np.dtype(
    [
        ("kind", "u1"),
        ("order", "<i8"),
        ("side", "u1"),
        ("price", "<i8"),
        ("lots", "<i8"),
        ("change", "<i8"),
        ("instrument", "<i4"),
    ]
)
"""One command as it was done. `lots` is what of the order was open when it was done, before its trades;
`change` is what it added to the order's total."""

KINDS = {
    EventKind.ACCEPTED: CommandKind.NEW,
    EventKind.CANCELLED: CommandKind.CANCEL,
    EventKind.REDUCED: CommandKind.REDUCE,
    EventKind.REPLACED: CommandKind.REPLACE,
}


def resting(book: Book) -> np.ndarray:
    """Return the steps that fill an empty book with what rests in this one, in priority order.

    They are fewer than the commands of a warm-up, and they come sorted: both in the peers' favour.
    """
    parts = []
    for instrument in range(len(book.markets)):
        for side in Side:
            orders = orders_of(book, instrument, side)
            steps = np.zeros(len(orders), STEP)
            steps["kind"], steps["side"], steps["instrument"] = CommandKind.NEW, side, instrument
            steps["order"], steps["price"] = orders["id"], orders["price"]
            steps["lots"], steps["change"] = orders["leaves"], orders["quantity"]
            parts.append(steps)
    return np.concatenate(parts)


def done(fill: np.ndarray, book: Book, commands: np.ndarray) -> np.ndarray:
    """Return the steps of sound commands on a book that `fill` has filled; the book is changed."""
    _, events = match(book, commands)
    return told(fill, events, len(commands))


def told(fill: np.ndarray, events: np.ndarray, commands: int) -> np.ndarray:
    """Return the steps that these events tell of: the first event of each command says what it did."""
    _, firsts = np.unique(events["command"], return_index=True)
    first = events[firsts]
    kinds = np.full(256, 255, np.uint8)
    kinds[list(KINDS)] = list(KINDS.values())
    steps = np.zeros(commands, STEP)
    steps["kind"] = kinds[first["kind"]]
    assert steps["kind"].max() < 255, "a workload's commands are sound: none is refused"
    for field in ("order", "side", "price", "instrument"):
        steps[field] = first[field]
    is_entry = steps["kind"] != CommandKind.CANCEL
    steps["lots"] = np.where(is_entry, first["leaves"], 0)
    _set_changes(fill, steps, first["quantity"])
    return steps


def _set_changes(fill: np.ndarray, steps: np.ndarray, totals: np.ndarray) -> None:
    """Set what each step adds to its order's total, a new order's from nothing."""
    known = dict(zip(fill["order"].tolist(), fill["change"].tolist(), strict=True))
    rows = np.flatnonzero(steps["kind"] != CommandKind.CANCEL)
    changes = []
    for order, total in zip(steps["order"][rows].tolist(), totals[rows].tolist(), strict=True):
        changes.append(total - known.get(order, 0))
        known[order] = total
    steps["change"][rows] = changes
