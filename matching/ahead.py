"""Looking ahead: the rows that the next commands will need are asked for before any of them is done.

In a book larger than the processor's caches a command waits for memory again and again: for the head of
its id's chain, the order, its neighbours in the queue, its level. The commands of a block do not depend
on each other for that, so their rows are fetched together, step by step. What an earlier command of the
block changes meanwhile makes a fetch useless, never wrong.
"""

from __future__ import annotations

import numpy as np

from matching.ids import head_of
from matching.kernel import fetch, kernel
from matching.layout import HALVES, Book, Row
from matching.levels import key_of
from matching.rows import head_at, level_at, market_at, order_at
from matching.view import find_level
from matching.vocabulary import NO_SLOT, CommandKind, Side

BLOCK = 16
"""Commands that are looked at together: a processor keeps about so many rows in flight."""

ORDERS_MIN = 16_384
"""Room for so many orders is a mebibyte: a smaller book is in the cache, and nothing need be fetched."""


@kernel
def fetch_block(book: Book, commands: np.ndarray, start: int, stop: int) -> None:
    """Fetch what the commands from row `start` to `stop` will need."""
    mask = len(book.heads) - 1
    for row in range(start, stop):
        fetch(book.heads, head_of(commands[row].order, mask))
    for row in range(start, stop):
        if commands[row].kind == CommandKind.NEW:
            level = level_of_new(book, commands[row])
            if level != NO_SLOT:
                fetch(book.levels, level)
        else:
            slot = head_at(book, head_of(commands[row].order, mask))
            if slot != NO_SLOT:
                fetch(book.orders, slot)
    for row in range(start, stop):
        if commands[row].kind == CommandKind.NEW:
            level = level_of_new(book, commands[row])
            if level != NO_SLOT:
                fetch(book.orders, level_at(book, level).last)
        else:
            fetch_round(book, head_at(book, head_of(commands[row].order, mask)))


@kernel
def fetch_round(book: Book, slot: int) -> None:
    """Fetch what stands round an order: its level, and who is ahead of it and behind."""
    if slot == NO_SLOT:
        return
    order = order_at(book, slot)
    fetch(book.levels, order.level)
    if order.ahead != NO_SLOT:
        fetch(book.orders, order.ahead)
    if order.behind != NO_SLOT:
        fetch(book.orders, order.behind)


@kernel
def level_of_new(book: Book, command: Row) -> int:
    """Return the level at which a new order would rest, as the book is now, or `NO_SLOT`."""
    if not 0 <= command.instrument < len(book.markets) or command.side > Side.SELL:
        return NO_SLOT
    key = key_of(command.side, command.price, market_at(book, command.instrument).tick)
    return find_level(book, HALVES * command.instrument + command.side, key)
