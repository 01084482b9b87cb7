"""The tape's law: queues rebuilt from it are the book's, order by order, after each command."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from matching.batch import match, match_on_tape
from matching.flow import random_flow
from matching.layout import Book, empty_book
from matching.view import orders_of
from matching.vocabulary import EventKind, QueueChange, Side

INSTRUMENTS = 2


class Queues:
    """What a reader of the tape knows: of each side its orders, and at each price who stands where."""

    def __init__(self) -> None:
        self._places: dict[int, tuple[int, int, int]] = {}
        self._queues: defaultdict[tuple[int, int, int], dict[int, int]] = defaultdict(dict)

    def take(self, row: np.void) -> None:
        number, shown = int(row["order"]), int(row["quantity"])
        place = int(row["instrument"]), int(row["side"]), int(row["price"])
        if row["change"] == QueueChange.PLACED:
            assert shown > 0
            if number in self._places:
                del self._queues[self._places[number]][number]
            self._places[number] = place
            self._queues[place][number] = shown
            return
        assert self._places[number] == place
        assert shown < self._queues[place][number]
        if shown:
            self._queues[place][number] = shown
        else:
            del self._queues[place][number], self._places[number]

    def side(self, instrument: int, side: Side) -> list[tuple[int, int, int]]:
        """Return (price, order, lots shown) of all orders of a side, first come first at the best price."""
        prices = sorted(
            (at for own, half, at in self._queues if (own, half) == (instrument, side)),
            reverse=side == Side.BUY,
        )
        return [
            (price, number, shown)
            for price in prices
            for number, shown in self._queues[instrument, side, price].items()
        ]


def truth(book: Book, instrument: int, side: Side) -> list[tuple[int, int, int]]:
    rows = orders_of(book, instrument, side)
    return list(zip(rows["price"].tolist(), rows["id"].tolist(), rows["shown"].tolist(), strict=True))


def playable(seed: int, commands: int) -> tuple[Book, np.ndarray]:
    book = empty_book(INSTRUMENTS)
    book.markets["collar"] = 100
    return book, random_flow(seed, commands, INSTRUMENTS)


@pytest.mark.parametrize("nth", range(3))
def test_queues_from_the_tape_are_the_books_after_each_command(seed, scale, nth):
    book, commands = playable(seed + nth, 3_000 * scale)
    queues, told = Queues(), set()
    for row in range(len(commands)):
        book, _, tape = match_on_tape(book, commands[row : row + 1])
        for change in tape:
            queues.take(change)
        told |= set(tape["change"].tolist())
        touched = {(int(one["instrument"]), Side(int(one["side"]))) for one in tape}
        for instrument, side in touched if row % 100 else queues_of_all():
            assert queues.side(instrument, side) == truth(book, instrument, side)
    assert told == set(QueueChange)


def queues_of_all() -> set[tuple[int, Side]]:
    return {(instrument, side) for instrument in range(INSTRUMENTS) for side in Side}


def test_a_tape_is_the_same_however_commands_are_cut_and_changes_no_event(seed, scale):
    book, commands = playable(seed, 20_000 * scale)
    _, whole, tape = match_on_tape(book, commands)
    book, _ = playable(seed, 1)
    _, without = match(book, commands)
    assert np.array_equal(whole, without)
    book, _ = playable(seed, 1)
    pieces = []
    for start in range(0, len(commands), 77):
        book, _, piece = match_on_tape(book, commands[start : start + 77])
        piece["command"] += start
        pieces.append(piece)
    assert np.array_equal(tape, np.concatenate(pieces))
    assert len(book.tape) == 0


def test_what_the_tape_says_was_filled_is_what_was_traded(seed, scale):
    """Auctions apart: there both orders rest, some of them beside the book, and some lots are hidden."""
    book, commands = playable(seed, 10_000 * scale)
    book, events, tape = match_on_tape(book, commands)
    trades = events[(events["kind"] == EventKind.TRADED) & (events["phase"] == 0)]
    calls = set(events["command"][(events["kind"] == EventKind.TRADED) & (events["phase"] != 0)].tolist())
    assert len(trades) > 100
    assert calls
    filled = tape[tape["change"] == QueueChange.FILLED]
    alone = filled[~np.isin(filled["command"], list(calls))]
    assert np.array_equal(alone["order"], trades["maker_order"][~np.isin(trades["command"], list(calls))])
    assert np.array_equal(alone["price"], trades["price"][~np.isin(trades["command"], list(calls))])
