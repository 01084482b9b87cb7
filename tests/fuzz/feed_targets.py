"""What followers and readers of market data hear: the feed, refreshes, commits."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exchange.client.marketreaders import BookReader, TradeReader, ViewReader
from exchange.server.feeding import Teller
from exchange.server.follower import Commit, decode_commit, encode_commit
from exchange.server.frames import Position
from feeds.builder import Books
from feeds.contents import Contents
from feeds.documents import budgets_of, definitions_of, fixings_of
from feeds.messages import (
    DEFINITIONS,
    FIXINGS,
    LEVELS_REFRESH,
    ORDERS_REFRESH,
    Document,
    Message,
    Picture,
    Trades,
    UnreadableError,
    read,
    write_ask,
)
from feeds.messages import Depth as DepthTold
from feeds.messages import Orders as OrdersTold
from matching.vocabulary import Side
from tests.feeds.taped import taped
from tests.fuzz.target import StateChanged, Take, Target, outcome_of
from tests.fuzz.wire_targets import HASH_EVERY, a_venue


def feed(_folder: Path) -> Take:
    """Any message of the feed, to builders of books, to a client's readers, and to what counts them."""
    heard = 0

    def begun() -> tuple[Books, Books, Contents, list[Any]]:
        readers = [BookReader(0, orders=True), ViewReader(0), TradeReader("X", 0)]
        return Books(range(3)), Books(range(3), orders=True), Contents(), readers

    levels, orders, contents, readers = begun()

    def take(data: bytes) -> str:
        nonlocal heard, levels, orders, contents, readers
        heard += 1
        if heard % 256 == 0:
            levels, orders, contents, readers = begun()
        try:
            message = read(data)
            look_through(message)
            for reader in (levels, orders):
                reader.take(message, heard)
            contents.take(heard, data)
            for one in readers:
                one.take(message)
        except UnreadableError as error:
            return outcome_of(error)
        builder = orders[heard % 3]
        builder.depth(Side.BUY, 5), builder.orders(Side.SELL), levels.wanting(heard), contents.missing()
        return f"{type(message).__name__} {builder.state.name}"

    return take


def look_through(message: Message) -> None:
    """Read every row of a message. Raises `UnreadableError` for a document that is none."""
    match message:
        case Trades():
            assert message.prints is not None
        case OrdersTold():
            assert message.updates is not None
        case DepthTold():
            assert message.levels is not None
        case Picture():
            assert (message.orders if message.kind == ORDERS_REFRESH else message.levels) is not None
        case Document():
            named = {DEFINITIONS: definitions_of, FIXINGS: fixings_of}.get(message.kind, budgets_of)
            named(message)


def feed_says() -> Iterator[bytes]:
    """Yield what a small venue's feed has said, a few messages of each kind."""
    kinds: dict[bytes, int] = {}
    for heard in taped(7, 120).messages:
        kind = heard.message[:1]
        kinds[kind] = kinds.get(kind, 0) + 1
        if kinds[kind] <= 6 and len(heard.message) < 4_096:
            yield heard.message
    venue = a_venue()
    teller = Teller(venue.engine, 1)
    yield from teller.each_second(venue.clock())


def refreshes(_folder: Path) -> Take:
    """Anything asked of the feed's refreshes: an answer, or none, and the book is as it was."""
    venue = a_venue()
    teller = Teller(venue.engine, 1)
    before, heard = venue.engine.state_hash(), 0

    def take(data: bytes) -> str:
        nonlocal heard
        heard += 1
        told = teller.answer(data)
        if heard % HASH_EVERY == 0 and venue.engine.state_hash() != before:
            raise StateChanged("asking for a refresh has changed the engine")
        return "nothing" if told is None else type(read(told)).__name__

    return take


def asks() -> Iterator[bytes]:
    """Yield each request for a refresh."""
    for wanted in (LEVELS_REFRESH, ORDERS_REFRESH, DEFINITIONS):
        yield write_ask(wanted)
        yield write_ask(wanted, 3)


def commits(_folder: Path) -> Take:
    """Anything in the place of an announced commit."""

    def take(data: bytes) -> str:
        try:
            decode_commit(data)
        except struct.error as error:
            return outcome_of(error)
        return "commit"

    return take


TARGETS = (
    Target("feed", feed, feed_says),
    Target("refreshes", refreshes, asks),
    Target("commits", commits, lambda: [encode_commit(Commit(7, Position(1, 128)))]),
)
