"""The tape: what is done to the queues of resting orders, for market data told order by order.

A book records only while its tape has rows; the venue's sequencer never does. Parked stops and market orders
that wait for an auction are no part of what is shown.
"""

from __future__ import annotations

import numpy as np

from matching.kernel import rare
from matching.layout import HALVES, PARKED, TAPE, Book, zeros
from matching.rows import level_at, order_at
from matching.vocabulary import QueueChange

ROWS_PER_EVENT_MAX = 6
"""A trade in an auction may use up a slice on both sides: each is filled, leaves its place, takes another."""


@rare
def record(book: Book, slot: int, shown: int, change: int) -> None:
    """Write down what is done to the queue in which the order in `slot` stands, if the queue is shown."""
    order = order_at(book, slot)
    level = level_at(book, order.level)
    if level.half % HALVES >= PARKED:
        return
    used = book.tape[0].order
    last = book.tape[used]
    if used > 0 and change == QueueChange.TAKEN_OFF and last.order == order.id and last.quantity == 0:
        return  # filled to its end, it leaves
    book.tape[0].order = used + 1
    row = book.tape[used + 1]
    row.order = order.id
    row.price = level.price
    row.quantity = shown
    row.instrument = order.instrument
    row.command = book.counts[0].row
    row.side = order.side
    row.change = change


def blank_tape(events: int) -> np.ndarray:
    """Return a tape with room for what so many events may do to queues; for none, one switched off."""
    return zeros(1 + ROWS_PER_EVENT_MAX * events if events else 0, TAPE)


def taken(tape: np.ndarray, *, copy: bool = True) -> np.ndarray:
    """Return what is written on a tape, which may then be written anew; without `copy`, a view of it."""
    if len(tape) == 0:
        return tape
    written = tape[1 : 1 + int(tape[0]["order"])]
    tape[0]["order"] = 0
    return written.copy() if copy else written
