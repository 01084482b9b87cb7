"""The market data of a file of commands, as a recording: what the venue's feed would have told of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np

from feeds.documents import Definition
from feeds.messages import FAST_VIEW, LEVELS_REFRESH, ORDERS_REFRESH, SLOW_VIEW
from feeds.publisher import Batch, Publisher
from feeds.recording import RecordingWriter
from matching.batch import match_on_tape
from matching.layout import Book
from matching.vocabulary import EventKind

SECOND_NS = 1_000_000_000
FAST_VIEW_NS = 100_000_000

SILENT_SECONDS_MAX = 86_400
"""Most heartbeats between two rows: a table may leap years, and nobody reads one for each second of them."""


class MarketData:
    """Matches commands in batches of one time each, and writes what a feed tells of each.

    Rows of the same `time` are one batch, as if they had come together; rows without a time are each their
    own. A message's time is its row's, never running back. The recording begins with definitions and
    refreshes of all instruments; heartbeats and views come with the seconds of the table's own time.
    """

    def __init__(
        self, writer: RecordingWriter, instruments: Sequence[str], book: Book, run: int | None = None
    ) -> None:
        """Begin with an empty book; `run` is the recording's, else the time now in ns."""
        self._writer = writer
        self._publisher = Publisher(time.time_ns() if run is None else run, book=book)
        self._instruments = instruments
        self._time: int | None = None
        self._trades = 0
        self._next_beat = self._next_view = 0

    @property
    def messages(self) -> int:
        """How many messages have been written."""
        return self._writer.frames

    def match(
        self, book: Book, commands: np.ndarray, before: int, engine: AbstractContextManager[object]
    ) -> tuple[Book, np.ndarray]:
        """Do what `matching.batch.match` does, and write what is told; `before` is how many rows came before.

        `engine` is entered while the book is at work.
        """
        events = []
        for start, end in _batches(commands["time"]):
            now = self._pass_time(int(commands["time"][start]), book)
            with engine:
                book, caused, tape = match_on_tape(book, commands[start:end])
            is_trade = caused["kind"] == EventKind.TRADED
            numbers = self._trades + np.cumsum(is_trade)
            self._trades += int(np.count_nonzero(is_trade))
            nothing = np.zeros(len(caused), np.int64)
            batch = Batch(
                caused,
                tape,
                before + start + 1,
                before + end,
                now,
                numbers,
                nothing,
                nothing.astype(np.uint8),
            )
            self._write(self._publisher.outgoing(batch, book))
            caused["command"] += start
            events.append(caused)
        return book, np.concatenate(events)

    def end(self, book: Book) -> None:
        """Write the last views and the last heartbeat: all has been told."""
        self._begin(0, book)
        assert self._time is not None, "it has just begun"
        for kind in (FAST_VIEW, SLOW_VIEW):
            self._write(self._publisher.views(kind, book, self._time))
        self._write([self._publisher.heartbeat(self._time)])

    def _begin(self, now: int, book: Book) -> None:
        """Write how things stand at first, unless that is done."""
        if self._time is not None:
            return
        self._time = now
        self._next_beat, self._next_view = now + SECOND_NS, now + FAST_VIEW_NS
        self._publisher.time = now
        self._write(self._publisher.define([_definition(*each) for each in enumerate(self._instruments)]))
        for instrument in range(len(self._instruments)):
            for kind in (LEVELS_REFRESH, ORDERS_REFRESH):
                self._write([self._publisher.refresh(kind, instrument, book)])
        self._write([self._publisher.heartbeat(now)])

    def _pass_time(self, now: int, book: Book) -> int:
        """Write what is due before a row of this time; return the time of its messages."""
        self._begin(now, book)
        assert self._time is not None, "it has just begun"
        now = max(now, self._time)
        if now - self._next_beat > SILENT_SECONDS_MAX * SECOND_NS:
            self._next_beat = now - SILENT_SECONDS_MAX * SECOND_NS
        while self._next_beat <= now:
            self._time = self._next_beat
            self._write(self._publisher.views(SLOW_VIEW, book, self._time))
            self._write([self._publisher.heartbeat(self._time)])
            self._next_beat += SECOND_NS
        self._time = now
        if self._next_view <= now:
            self._write(self._publisher.views(FAST_VIEW, book, now))
            self._next_view = now + FAST_VIEW_NS
        return now

    def _write(self, messages: Sequence[bytes]) -> None:
        assert self._time is not None, "it has not begun"
        for message in messages:
            self._writer.write(self._time, message)


def _batches(times: np.ndarray) -> list[tuple[int, int]]:
    """Return where each batch starts and ends: rows of one time, and each row that has none."""
    is_start = np.ones(len(times), np.bool_)
    is_start[1:] = (times[1:] != times[:-1]) | (times[1:] == 0)
    starts = np.flatnonzero(is_start).tolist()
    return list(zip(starts, [*starts[1:], len(times)], strict=True))


def _definition(index: int, name: str) -> Definition:
    """Return the definition of an instrument of which a table tells nothing but the name."""
    return Definition(
        index=index,
        symbol=name,
        name=name,
        kind="",
        provider="",
        domestic=False,
        filed=False,
        region="",
        tier="",
        list_price=0,
        tick=1,
        weights=(0, 0, 0),
        milli_pflops=0,
        expires="",
        state="listed",
        mode="continuous",
    )
