"""A file of commands through the book, batch by batch: events out, and what rests at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from exchange.matchfile.broadcast import MarketData
from exchange.matchfile.commands import CommandFile
from exchange.matchfile.events import (
    BOOK_TABLE,
    EVENT_TABLE,
    book_table,
    event_rows,
    table_writer,
    written_whole,
)
from feeds.recording import RecordingWriter
from matching.batch import match
from matching.layout import empty_book
from matching.vocabulary import EventKind


class Totals(NamedTuple):
    """What a file came to: counts, lots traded, and seconds of the book apart from those of files.

    `feed_messages` are those of market data, where that is written.
    """

    commands: int
    events: int
    trades: int
    quantity: int
    engine_seconds: float
    reading_seconds: float
    writing_seconds: float
    feed_messages: int = 0


class _Stopwatch:
    """Adds up the seconds of what is done on it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._began


def match_file(
    commands: CommandFile,
    events_path: Path,
    book_path: Path | None = None,
    told: Callable[[int, int], None] | None = None,
    feed_path: Path | None = None,
) -> Totals:
    """Play a file of commands on an empty book; write its events, what rests and market data if wanted.

    Prices are on a tick of 1, nothing bounds them, and every instrument is continuous at first. `told`
    hears how many rows are done, of how many. Raises `BadTable` for a table that cannot be taken, and
    `OSError` where the disk fails; what was there before then stays.
    """
    reading, engine = _Stopwatch(), _Stopwatch()
    began = time.perf_counter()
    with reading:
        commands.survey()
    instruments = commands.instruments
    book = empty_book(len(instruments))
    done = written = trades = quantity = feed_messages = 0
    with ExitStack() as files:
        events_out = files.enter_context(table_writer(events_path, EVENT_TABLE, instruments))
        book_out = (
            files.enter_context(table_writer(book_path, BOOK_TABLE, instruments)) if book_path else None
        )
        feed = None
        if feed_path is not None:
            writer = files.enter_context(_recording(feed_path))
            feed = MarketData(writer, instruments, book)
        batches = commands.batches()
        while True:
            with reading:
                batch = next(batches, None)
            if batch is None:
                break
            if feed is not None:
                book, events = feed.match(book, batch, done, engine)
            else:
                with engine:
                    book, events = match(book, batch)
            events_out.write_batch(event_rows(events, done, instruments))
            traded = events["quantity"][events["kind"] == EventKind.TRADED]
            done, written = done + len(batch), written + len(events)
            trades, quantity = trades + len(traded), quantity + int(traded.sum())
            if told is not None:
                told(done, commands.count)
        if book_out is not None:
            book_out.write_table(book_table(book, instruments))
        if feed is not None:
            feed.end(book)
            feed_messages = feed.messages
    spent = time.perf_counter() - began
    return Totals(
        commands=done,
        events=written,
        trades=trades,
        quantity=quantity,
        engine_seconds=engine.seconds,
        reading_seconds=reading.seconds,
        writing_seconds=spent - engine.seconds - reading.seconds,
        feed_messages=feed_messages,
    )


@contextmanager
def _recording(path: Path) -> Iterator[RecordingWriter]:
    """Yield a writer of market data. The file is there when all went well, else as it was."""
    with written_whole(path) as file:
        yield RecordingWriter(file)
