"""Commands in, events out: the book over a whole batch, in one call.

>>> import numpy as np
>>> from matching.batch import match
>>> from matching.layout import COMMAND, empty_book
>>> book, commands = empty_book(instruments=1), np.zeros(2, COMMAND)
>>> commands["order"], commands["member"], commands["side"] = [1, 2], [7, 8], [1, 0]
>>> commands["price"], commands["quantity"] = [101, 102], [3, 4]
>>> book, events = match(book, commands)
>>> [(int(e["kind"]), int(e["price"]), int(e["quantity"]), int(e["leaves"])) for e in events]
[(0, 101, 3, 3), (0, 102, 4, 4), (2, 101, 3, 1)]
"""

from __future__ import annotations

import numpy as np

from matching.cross import cancel, enter, refuse, withdraw
from matching.kernel import kernel
from matching.layout import COMMAND, EVENT, Book, Row, grown
from matching.levels import NODES_PER_ORDER_MAX
from matching.places import empty_places, find, remember
from matching.view import next_level
from matching.vocabulary import (
    NO_SLOT,
    NOTIONAL_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    CommandKind,
    EventKind,
    OrderType,
    Phase,
    RejectReason,
    Side,
    TimeInForce,
)

EVENTS_AT_FIRST = 16_384
_EVENTS_PER_COMMAND = 4
"""Beside an event for each order that it ends, a command writes at most this many."""


@kernel
def fault_of(book: Book, command: Row) -> int:
    """Return why a new order cannot be taken as it is written, or NONE. One line a rule."""
    if not 0 <= command.instrument < len(book.markets):
        return RejectReason.UNKNOWN_INSTRUMENT
    if command.side > Side.SELL:
        return RejectReason.UNKNOWN_SIDE
    if command.type != OrderType.LIMIT:
        return RejectReason.UNKNOWN_TYPE
    if not is_known_time_in_force(command.time_in_force):
        return RejectReason.UNKNOWN_TIME_IN_FORCE
    if command.price <= 0:
        return RejectReason.PRICE_NOT_POSITIVE
    if command.price > PRICE_MAX:
        return RejectReason.PRICE_TOO_LARGE
    tick = book.markets[command.instrument].tick
    if tick != 1 and command.price % tick != 0:
        return RejectReason.PRICE_OFF_TICK
    if command.quantity <= 0:
        return RejectReason.QUANTITY_NOT_POSITIVE
    if command.quantity > QUANTITY_MAX:
        return RejectReason.QUANTITY_TOO_LARGE
    if command.quantity > NOTIONAL_MAX // command.price:
        return RejectReason.NOTIONAL_TOO_LARGE
    if book.markets[command.instrument].phase != Phase.CONTINUOUS:
        return RejectReason.INSTRUMENT_NOT_OPEN
    return RejectReason.NONE


@kernel
def is_known_time_in_force(time_in_force: int) -> bool:
    """Tell whether the book knows how long such an order may rest."""
    return (
        time_in_force == TimeInForce.GTC
        or time_in_force == TimeInForce.IOC
        or time_in_force == TimeInForce.DAY
    )


@kernel
def end_day(book: Book, events: np.ndarray, at: int) -> int:
    """Let every order that lasts for the trading day expire.

    Instrument by instrument, bids before asks, each half in price-time priority: an order that
    follows from the book as everybody sees it, and from nothing else.
    """
    for half_index in range(len(book.halves)):
        level = book.halves[half_index].best
        while level != NO_SLOT:
            worse = next_level(book, level)
            slot = book.levels[level].first
            while slot != NO_SLOT:
                behind = book.orders[slot].behind
                if book.orders[slot].time_in_force == TimeInForce.DAY:
                    at = withdraw(book, slot, EventKind.EXPIRED, RejectReason.NONE, events, at)
                slot = behind
            level = worse
    return at


@kernel
def has_room(book: Book, kind: int, instrument: int, events: np.ndarray, at: int) -> bool:
    """Tell whether one more command is sure to fit into every pool and into `events`."""
    counts = book.counts[0]
    ended = 0
    if kind == CommandKind.END_DAY:
        ended = counts.open_orders
    elif kind == CommandKind.NEW and 0 <= instrument < len(book.markets):
        halves = book.halves
        ended = max(halves[2 * instrument].orders, halves[2 * instrument + 1].orders)
    return (
        at + ended + _EVENTS_PER_COMMAND <= len(events)
        and counts.orders_used < len(book.orders)
        and counts.levels_used < len(book.levels)
        and counts.nodes_used + NODES_PER_ORDER_MAX <= len(book.nodes)
        and 2 * counts.open_orders + 2 <= len(book.places)
    )


@kernel
def run(book: Book, commands: np.ndarray, start: int, events: np.ndarray) -> tuple[int, int]:
    """Apply commands from row `start` until the end, or until room runs short.

    Returns the first row that was not applied, and how many events were written.
    """
    at = 0
    for row in range(start, len(commands)):
        command = commands[row]
        if not has_room(book, command.kind, command.instrument, events, at):
            return row, at
        before = at
        if command.kind == CommandKind.NEW:
            reason = fault_of(book, command)
            if reason == RejectReason.NONE and command.order <= 0:
                reason = RejectReason.ORDER_NOT_POSITIVE
            if reason == RejectReason.NONE and find(book.places, command.order) != NO_SLOT:
                reason = RejectReason.DUPLICATE_ORDER
            if reason == RejectReason.NONE:
                at = enter(book, command, events, at)
            else:
                at = refuse(command, reason, events, at)
        elif command.kind == CommandKind.CANCEL:
            at = cancel(book, command, events, at)
        elif command.kind == CommandKind.END_DAY:
            at = end_day(book, events, at)
        else:
            at = refuse(command, RejectReason.UNKNOWN_KIND, events, at)
        for written in range(before, at):
            events[written].command = row
    return len(commands), at


def with_room(book: Book) -> Book:
    """Return the book with every pool that is nearly full doubled. Costs a copy, and is rare."""
    counts = book.counts[0]
    places = book.places
    if 2 * int(counts["open_orders"]) + 2 > len(places):
        places = empty_places(2 * len(places))
    roomier = book._replace(
        orders=grown(book.orders, int(counts["orders_used"]) + 1),
        levels=grown(book.levels, int(counts["levels_used"]) + 1),
        nodes=grown(book.nodes, int(counts["nodes_used"]) + NODES_PER_ORDER_MAX),
        children=grown(book.children, int(counts["nodes_used"]) + NODES_PER_ORDER_MAX, NO_SLOT),
        places=places,
    )
    if places is not book.places:
        note_places(roomier)
    return roomier


@kernel
def note_places(book: Book) -> None:
    """Fill the table from order id to slot anew, from the orders that rest."""
    for slot in range(book.counts[0].orders_used):
        if book.orders[slot].leaves > 0:
            remember(book.places, book.orders[slot].id, slot)


def room_for_events(book: Book) -> int:
    """Return how many events the largest single command could write now."""
    return int(book.counts[0]["open_orders"]) + _EVENTS_PER_COMMAND


def match(book: Book, commands: np.ndarray) -> tuple[Book, np.ndarray]:
    """Apply `commands` (dtype `COMMAND`) to `book`; return the book and all events (dtype `EVENT`).

    The book's arrays are changed in place; pools that grow are new arrays, so use the book returned.
    """
    if commands.dtype != COMMAND:
        message = f"commands: dtype {commands.dtype} is not matching.layout.COMMAND; build the array with it"
        raise TypeError(message)
    parts = []
    start = 0
    events = np.zeros(max(EVENTS_AT_FIRST, room_for_events(book)), EVENT)
    while start < len(commands):
        start, written = run(book, commands, start, events)
        parts.append(events[:written].copy())
        if start < len(commands):
            book = with_room(book)
            if room_for_events(book) > len(events):
                events = np.zeros(2 * room_for_events(book), EVENT)
    return book, np.concatenate(parts) if parts else np.zeros(0, EVENT)
