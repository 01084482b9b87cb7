"""What a market is doing, and what happens to its orders when that changes."""

from __future__ import annotations

import numpy as np

from matching.changing import end_day_of
from matching.kernel import rare
from matching.layout import Book, Row
from matching.rows import market_at
from matching.tell import blank, refuse
from matching.vocabulary import EVERY, PRICE_MAX, EventKind, Phase, RejectReason


@rare
def phase_fault(book: Book, command: Row) -> int:
    """Return why a change of phase is refused, or NONE."""
    if command.instrument != EVERY and not 0 <= command.instrument < len(book.markets):
        return RejectReason.UNKNOWN_INSTRUMENT
    phase = command.phase
    if phase != Phase.CLOSED and phase != Phase.CONTINUOUS and phase != Phase.HALTED:
        return RejectReason.UNKNOWN_PHASE
    if command.price < 0:
        return RejectReason.PRICE_NOT_POSITIVE
    if command.price > PRICE_MAX:
        return RejectReason.PRICE_TOO_LARGE
    return RejectReason.NONE


@rare
def set_phase(book: Book, command: Row, events: np.ndarray, at: int) -> int:
    """Set the phase of an instrument, or of every one, and its reference price if one is told."""
    reason = phase_fault(book, command)
    if reason != RejectReason.NONE:
        return refuse(book, command, reason, events, at)
    first = 0 if command.instrument == EVERY else command.instrument
    last = len(book.markets) - 1 if command.instrument == EVERY else command.instrument
    for instrument in range(first, last + 1):
        market = market_at(book, instrument)
        market.phase = command.phase
        if command.price != 0:
            market.reference = command.price
        event = blank(book, events, at)
        event.price = market.reference
        event.instrument = instrument
        event.kind = EventKind.PHASE_CHANGED
        event.phase = command.phase
        at += 1
        if command.phase == Phase.CLOSED:
            at = end_day_of(book, instrument, events, at)
    return at
