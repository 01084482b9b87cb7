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

from matching.ahead import BLOCK, ORDERS_MIN, fetch_block
from matching.auction import indicate
from matching.changing import cancel, end_day, expire_until_now, mass_cancel, reduce, replace
from matching.entering import enter
from matching.ids import note_ids
from matching.kernel import kernel, wide
from matching.layout import CHILDREN, COMMAND, EVENT, TAPE, Book, Row, copy_of, empty_heads, grown
from matching.levels import NODES_PER_ORDER_MAX
from matching.phases import set_phase
from matching.refusing import entry_fault, fault_of
from matching.tape import blank_tape, taken
from matching.tell import refuse, refuse_in_phase
from matching.vocabulary import DECREMENTS_MAX, SLICES_MAX, CommandKind, RejectReason

EVENTS_AT_FIRST = 16_384
"""Events of many commands that there is room for, beside those of the largest one."""

_EVENTS_PER_COMMAND = 8
"""Beside two events for each order that it ends, a command writes at most this many."""

_EVENTS_PER_PARKED = 6
"""A parked order is triggered, trades to its end or is cancelled, and may rest: two events each."""

_OUTGROWN = -1
"""The row that a book is at when another, with more room, has taken its place."""

_NODES_PER_MOVE_MAX = 9
"""A parked order that moves or enters the book leaves at most this many more nodes in use: a path."""


@kernel
def room_for_open(book: Book) -> int:
    """Return how many events the orders that are open could cause in one command, whatever it asks."""
    counts = book.counts[0]
    return 2 * (counts.open_orders + counts.slices) + _EVENTS_PER_PARKED * counts.parked


@kernel
def room_for_command(book: Book) -> int:
    """Return how many events the largest command could write now, but for a change of phase."""
    return room_for_open(book) + 2 * len(book.markets) + 2 * SLICES_MAX + _EVENTS_PER_COMMAND


@kernel
def room_for_events(book: Book) -> int:
    """Return how many events the largest single command could write now.

    That is an uncross of every book: beside what it tells, it writes down its pairs, and puts those
    that conflict aside.
    """
    return 2 * (room_for_command(book) + DECREMENTS_MAX)


@kernel
def fits_events(book: Book, command: Row, events: np.ndarray, at: int) -> bool:
    """Tell whether all that one more command could cause is sure to fit into `events`."""
    needed = room_for_open(book) + book.counts[0].calls + _EVENTS_PER_COMMAND
    if command.kind > CommandKind.CANCEL or command.display_quantity != 0:
        needed = room_for_events(book) if command.kind == CommandKind.PHASE else room_for_command(book)
    return at + needed <= len(events)


@kernel
def spare_commands(book: Book) -> int:
    """Return how many commands are sure to fit into every pool, whatever they ask; 0 or more."""
    counts = book.counts[0]
    moves = counts.parked
    orders = len(book.orders) - 1 - counts.orders_used
    levels = len(book.levels) - counts.levels_used - moves
    nodes = len(book.nodes) - counts.nodes_used - _NODES_PER_MOVE_MAX * moves
    extras = min(len(book.extras) - counts.extras_used, len(book.expiries) - counts.expiries)
    ids = (len(book.heads) >> 1) - counts.open_orders
    # A command may park one order more, which then may move as well.
    return max(0, min(orders, levels // 2, nodes // (2 * NODES_PER_ORDER_MAX), extras, ids))


@kernel
def apply(book: Book, command: Row, events: np.ndarray, at: int) -> int:
    """Do one command, for which there is room. Returns how many events stand written.

    What auctions would find afterwards is the caller's to tell.
    """
    counts = book.counts[0]
    if command.time > counts.clock:
        counts.clock = command.time
        if counts.next_expiry <= command.time:
            at = expire_until_now(book, events, at)
    kind = command.kind
    if kind == CommandKind.NEW:
        reason = fault_of(book, command)
        if reason == RejectReason.NONE:
            reason = entry_fault(book, command)
        if reason == RejectReason.NONE:
            return enter(book, command, events, at)
        if reason == RejectReason.INSTRUMENT_NOT_OPEN or reason == RejectReason.NOT_IN_PHASE:
            return refuse_in_phase(book, command, reason, command.instrument, events, at)
        return refuse(book, command, reason, events, at)
    if kind == CommandKind.CANCEL:
        return cancel(book, command, events, at)
    return apply_other(book, command, events, at)


@kernel
def apply_other(book: Book, command: Row, events: np.ndarray, at: int) -> int:
    """Do a command that is neither a new order nor a cancel."""
    kind = command.kind
    if kind == CommandKind.REDUCE:
        return reduce(book, command, events, at)
    if kind == CommandKind.REPLACE:
        return replace(book, command, events, at)
    if kind == CommandKind.MASS_CANCEL:
        return mass_cancel(book, command, events, at)
    if kind == CommandKind.PHASE:
        return set_phase(book, command, events, at)
    if kind == CommandKind.END_DAY:
        return end_day(book, events, at)
    if kind == CommandKind.CLOCK:
        return at
    return refuse(book, command, RejectReason.UNKNOWN_KIND, events, at)


@kernel
def run(book: Book, commands: np.ndarray, start: int, events: np.ndarray) -> tuple[int, int]:
    """Apply commands from row `start` until the end, or until room runs short.

    Returns the first row that was not applied, and how many events were written.
    """
    counts = book.counts[0]
    row = start
    at = wide(0)
    while row < len(commands):
        stop = min(row + min(spare_commands(book), BLOCK), len(commands))
        if stop == row:
            break
        if len(book.orders) > ORDERS_MIN:
            fetch_block(book, commands, row, stop)
        while row < stop:
            command = commands[row]
            if not fits_events(book, command, events, at):
                counts.row = 0
                return row, at
            counts.row = row
            end = apply(book, command, events, at)
            at = end if counts.calls == 0 else indicate(book, events, at, end)
            row += 1
    counts.row = 0
    return row, at


def with_room(book: Book, commands: int = 1) -> Book:
    """Return the book with room for so many more commands, whatever they ask.

    A pool that is too small is doubled: that costs a copy, and is rare. The book that was given is
    then history, and `match` refuses it. What is made here is what `spare_commands` asks for.
    """
    counts = {name: int(book.counts[0][name]) for name in book.counts.dtype.names or ()}
    nodes = counts["nodes_used"] + _NODES_PER_MOVE_MAX * counts["parked"] + 2 * NODES_PER_ORDER_MAX * commands
    roomy = book._replace(
        orders=grown(book.orders, counts["orders_used"] + commands + 1),
        extras=grown(book.extras, counts["extras_used"] + commands),
        levels=grown(book.levels, counts["levels_used"] + counts["parked"] + 2 * commands),
        nodes=grown(book.nodes, nodes),
        children=grown(book.children, CHILDREN * nodes),
        expiries=grown(book.expiries, counts["expiries"] + commands),
        counts=book.counts.copy(),
    )
    if roomy.orders is not book.orders:
        roomy.orders[len(book.orders) - 1] = 0  # it was nobody's, and has been written through
    heads = len(book.heads)
    while heads < 2 * (counts["open_orders"] + commands):
        heads *= 2
    if heads > len(book.heads):
        roomy = roomy._replace(heads=empty_heads(heads))
        note_ids(roomy)
    book.counts["row"] = _OUTGROWN
    return roomy


def roomier(book: Book, commands: int) -> Book:
    """Return a copy of the book with room for so many more commands, whatever they ask."""
    return with_room(copy_of(book), commands)


def match(book: Book, commands: np.ndarray) -> tuple[Book, np.ndarray]:
    """Apply `commands` (dtype `COMMAND`) to `book`; return the book and all events (dtype `EVENT`).

    The book's arrays are changed in place; pools that grow are new arrays, so use the book returned.
    """
    book, events, _ = _match(book, commands, is_taped=False)
    return book, events


def match_on_tape(book: Book, commands: np.ndarray) -> tuple[Book, np.ndarray, np.ndarray]:
    """Do what `match` does; return also what was done to the queues (dtype `TAPE`), in its order."""
    return _match(book, commands, is_taped=True)


def _match(book: Book, commands: np.ndarray, *, is_taped: bool) -> tuple[Book, np.ndarray, np.ndarray]:
    is_array = isinstance(commands, np.ndarray)
    if not is_array or commands.dtype != COMMAND or commands.ndim != 1:
        told = f"dtype {commands.dtype}, {commands.ndim} dimensions" if is_array else type(commands).__name__
        message = f"commands: {told} is not an array of matching.layout.COMMAND in a row; build it with that"
        raise TypeError(message)
    if book.counts["row"][0] == _OUTGROWN:
        message = "book: it has grown since; go on with the book that match returned with its last events"
        raise ValueError(message)
    commands = np.require(commands, requirements=("C", "A", "W"))  # one layout, one compiled kernel
    parts = [np.zeros(0, EVENT)]
    changes = [np.zeros(0, TAPE)]
    start = 0
    is_stuck = False
    while start < len(commands):
        # The kernels write every field of an event: nothing is gained by zeros.
        room = room_for_events(book) if is_stuck else room_for_command(book)
        events = np.empty(room + 2 * min(len(commands) - start, EVENTS_AT_FIRST), EVENT)
        if is_taped:
            book = book._replace(tape=blank_tape(len(events)))
        stop, written = run(book, commands, start, events)
        parts.append(events[:written])
        changes.append(taken(book.tape))
        is_stuck = stop == start
        start = stop
        if start < len(commands):
            book = with_room(book)
    return book._replace(tape=blank_tape(0)), np.concatenate(parts), np.concatenate(changes)
