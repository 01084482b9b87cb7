"""What is read ahead comes in its order, ends where it ends, and raises where it raised."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from exchange.server.read_ahead import read_ahead


def threads() -> int:
    return sum(thread.name == "read ahead" for thread in threading.enumerate())


@pytest.mark.parametrize("ahead", [1, 3, 100])
def test_items_come_in_their_order_and_the_thread_ends(ahead):
    assert list(read_ahead(range(50), ahead)) == list(range(50))
    assert threads() == 0


def test_an_error_comes_behind_what_came_before_it():
    def broken() -> Iterator[int]:
        yield 1
        yield 2
        raise LookupError("the third")

    pieces = read_ahead(broken())
    assert [next(pieces), next(pieces)] == [1, 2]
    with pytest.raises(LookupError, match="the third"):
        next(pieces)
    assert threads() == 0


def test_who_stops_early_stops_the_reading():
    made: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            made.append(len(made))
            yield made[-1]

    pieces = read_ahead(endless(), ahead=4)
    assert next(pieces) == 0
    pieces.close()
    assert threads() == 0
    assert len(made) <= 8
