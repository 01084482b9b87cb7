"""What a market is doing, and what happens to its orders when that changes."""

from __future__ import annotations

import numpy as np

from matching.auction import is_call
from matching.changing import end_day_of
from matching.kernel import rare
from matching.layout import Book, Row
from matching.rows import market_at
from matching.tell import blank, refuse
from matching.uncross import uncross
from matching.vocabulary import EVERY, PRICE_MAX, EventKind, Phase, RejectReason


@rare
def phase_fault(book: Book, command: Row) -> int:
    """Return why a change of phase is refused, or NONE."""
    if command.instrument != EVERY and not 0 <= command.instrument < len(book.markets):
        return RejectReason.UNKNOWN_INSTRUMENT
    if command.phase > Phase.HALTED:
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
    book.counts[0].decrements = 0
    first = 0 if command.instrument == EVERY else command.instrument
    last = len(book.markets) - 1 if command.instrument == EVERY else command.instrument
    for instrument in range(first, last + 1):
        at = set_phase_of(book, instrument, command.phase, command.price, events, at)
    book.counts[0].decrements = 0
    return at


@rare
def set_phase_of(book: Book, instrument: int, phase: int, reference: int, events: np.ndarray, at: int) -> int:
    """Set one instrument's phase, say so, and do what entering it does."""
    market = market_at(book, instrument)
    book.counts[0].calls += int(is_call(phase)) - int(is_call(market.phase))
    if not (is_call(phase) and is_call(market.phase)):
        market.indicative_price = 0
        market.indicative_volume = 0
        market.indicative_surplus = 0
        market.cut_price = 0
        market.cut_demand = 0
        market.cut_supply = 0
    market.phase = phase
    if reference != 0:
        market.reference = reference
    event = blank(book, events, at)
    event.price = market.reference
    event.instrument = instrument
    event.kind = EventKind.PHASE_CHANGED
    event.phase = phase
    at += 1
    if phase == Phase.CLOSED:
        return end_day_of(book, instrument, events, at)
    if phase == Phase.AUCTION or phase == Phase.CONTINUOUS:
        return uncross(book, instrument, events, at)
    return at
