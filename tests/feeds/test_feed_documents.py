"""Definitions, fixings and budgets, told as documents."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from feeds.documents import budgets_of, definitions_of, fixings_of
from feeds.messages import DEFINITIONS, FIXINGS, Document, read, write_ask
from tests.feeds.documented import BUDGET, FIXING, definition
from tests.feeds.flow import Venue


@pytest.fixture
def venue() -> Venue:
    return Venue(instruments=3, tick=1)


def document(frame: bytes) -> Document:
    message = read(frame)
    assert isinstance(message, Document)
    return message


def test_definitions_are_told_when_they_are_new_or_have_changed(venue):
    first = [definition(0), definition(1)]
    (frame,) = venue.publisher.define(first)
    message = document(frame)
    assert (message.kind, message.instrument, message.number) == (DEFINITIONS, -1, 1)
    assert definitions_of(message) == tuple(first)
    assert venue.publisher.define(first) == []
    (frame,) = venue.publisher.define([definition(0), definition(1, "halted"), definition(2)])
    assert document(frame).number == 2
    assert definitions_of(document(frame)) == (definition(1, "halted"), definition(2))


def test_who_asks_for_definitions_gets_those_that_hold(venue):
    publisher, book = venue.publisher, venue.book
    nothing = publisher.answer(write_ask(DEFINITIONS), book)
    assert nothing is not None
    assert definitions_of(document(nothing)) == ()
    publisher.define([definition(0), definition(1)])
    publisher.define([definition(0), definition(1, "halted")])
    every, one = (publisher.answer(write_ask(DEFINITIONS, at), book) for at in (-1, 1))
    assert every is not None
    assert one is not None
    assert definitions_of(document(every)) == (definition(0), definition(1, "halted"))
    assert definitions_of(document(one)) == (definition(1, "halted"),)
    assert [(document(answer).instrument, document(answer).number) for answer in (every, one)] == [
        (-1, 2),
        (1, 2),
    ]
    assert publisher.answer(write_ask(DEFINITIONS, 5), book) is None


def test_fixings_and_budgets_are_numbered_documents(venue):
    assert venue.publisher.fix([]) == []
    frames = [*venue.publisher.fix([FIXING]), *venue.publisher.fix([FIXING, FIXING])]
    assert [(document(frame).kind, document(frame).number) for frame in frames] == [
        (FIXINGS, 1),
        (FIXINGS, 2),
    ]
    assert fixings_of(document(frames[1])) == (FIXING, FIXING)
    told_twice = [document(venue.publisher.budgets([BUDGET], time)) for time in (5, 6)]
    assert [(message.number, message.time) for message in told_twice] == [(1, 5), (2, 6)]
    assert budgets_of(told_twice[1]) == (BUDGET,)


def test_no_text_commands_a_terminal(venue):
    odd = replace(definition(0), symbol="A\x1b]0;B\x07", name="通义\u3000千问\x9b")
    (frame,) = venue.publisher.define([odd])
    (heard,) = definitions_of(document(frame))
    assert (heard.symbol, heard.name) == ("A\ufffd]0;B\ufffd", "通义\u3000千问\ufffd")
