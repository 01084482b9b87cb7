"""Commands made of LOBSTER's files, played through our book and compared with what the files tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from exchange.lobster import Command, Kind, Row, Touch, Why
from exchange.matchfile.commands import CommandFile
from feeds.arrays import ORDER_UPDATE
from feeds.queues import Queues
from matching.batch import match_on_tape
from matching.layout import empty_book
from matching.vocabulary import EventKind, Side

SHOWN = (Why.BEYOND, Why.BELOW)
"""Commands that put right what the file of the book shows; they come behind those of the row itself."""


class Compared(NamedTuple):
    """How far our book is that of the files: rows and executions, and of how many we have the same.

    `executions_equal` are those that traded with the order that the file names, and all the lots, without
    any other having been in the way; `executions_right` those that did so in the end. `touch_equal` counts
    rows after whose message both sides of the touch were the same, `touch_right` those where they were once
    what the file of the book shows had been put right. `differences` tells why they were not, of the
    former: a row may count once for each side.
    """

    rows: int
    executions: int
    executions_equal: int
    executions_right: int
    touch_equal: int
    touch_right: int
    differences: Counter[str]


class _Step(NamedTuple):
    """What one command did: the touch after it, and the trades as (order that rested, lots)."""

    touch: Touch
    trades: list[tuple[int, int]]


def compare(
    path: Path,
    commands: Sequence[Command],
    rows: Sequence[Row],
    touches: Sequence[Touch],
    told: Callable[[int, int], None] | None = None,
) -> Compared:
    """Play the table at `path`, made of `commands`, and compare it row by row.

    `told` hears how many commands are done, of how many.
    """
    equal = right = executions_equal = executions_right = at = 0
    differences: Counter[str] = Counter()
    touch = Touch(0, 0, 0, 0)
    steps = _steps(path)
    for number, (row, theirs) in enumerate(zip(rows, touches, strict=True)):
        before_shown = None
        was_in_the_way = False
        while at < len(commands) and commands[at].row == number:
            command = commands[at]
            if command.why in SHOWN and before_shown is None:
                before_shown = touch
            step = next(steps)
            touch = step.touch
            was_in_the_way |= command.why is Why.IN_THE_WAY
            if row.kind == Kind.EXECUTED and command.why is Why.TOLD:
                is_right = step.trades == [(row.order, row.lots)]
                executions_right += is_right
                executions_equal += is_right and not was_in_the_way
            at += 1
            if told is not None and at % 4096 == 0:
                told(at, len(commands))
        ours = before_shown or touch
        equal += ours == theirs
        right += touch == theirs
        differences.update(_differences(ours, theirs))
    executions = sum(row.kind == Kind.EXECUTED for row in rows)
    return Compared(len(rows), executions, executions_equal, executions_right, equal, right, differences)


def _steps(path: Path) -> Iterator[_Step]:
    """Play a table of commands of one instrument; yield what each of them did."""
    table = CommandFile(path)
    table.survey()
    book, queues = empty_book(len(table.instruments)), Queues()
    touch = Touch(0, 0, 0, 0)
    for batch in table.batches():
        book, events, tape = match_on_tape(book, batch)
        updates = np.zeros(len(tape), ORDER_UPDATE)
        for field in ("order", "price", "quantity", "side", "change"):
            updates[field] = tape[field]
        ends = np.searchsorted(tape["command"], np.arange(len(batch)), side="right").tolist()
        traded = events[events["kind"] == EventKind.TRADED]
        trade_ends = np.searchsorted(traded["command"], np.arange(len(batch)), side="right").tolist()
        pairs = list(zip(traded["maker_order"].tolist(), traded["quantity"].tolist(), strict=True))
        start = trade_start = 0
        for end, trade_end in zip(ends, trade_ends, strict=True):
            if end > start:
                queues.apply(memoryview(updates[start:end].tobytes()))
                touch = _touch(queues)
            yield _Step(touch, pairs[trade_start:trade_end])
            start, trade_start = end, trade_end


def _touch(queues: Queues) -> Touch:
    bid, ask = queues.best(Side.BUY), queues.best(Side.SELL)
    return Touch(*(bid[:2] if bid else (0, 0)), *(ask[:2] if ask else (0, 0)))


def _differences(ours: Touch, theirs: Touch) -> Iterator[str]:
    """Tell, of each side that differs, what is different."""
    sides = (
        ("bid", ours.bid_price, ours.bid_lots, theirs.bid_price, theirs.bid_lots, 1),
        ("ask", ours.ask_price, ours.ask_lots, theirs.ask_price, theirs.ask_lots, -1),
    )
    for name, price, lots, their_price, their_lots, sign in sides:
        if (price, lots) == (their_price, their_lots):
            continue
        if price == their_price:
            yield f"{name}: the same price, {'more' if lots > their_lots else 'fewer'} lots here"
        elif not lots or (their_lots and sign * price < sign * their_price):
            yield f"{name}: orders that the messages never told of"
        else:
            yield f"{name}: orders here that have left, which the messages do not tell"
