"""Events in, messages out: the feed's pure half. It owns no socket, reads no clock, and numbers.

    for each frame of the journal:  replica applies it -> outgoing(...) -> send each on PUB
    once a second:                  heartbeat(now)     -> send on PUB
    on each request at ROUTER:      answer(request, book) -> send to who asked

All of it happens on one thread, between two frames: a refresh shows the book as of the last message
that `outgoing` returned, which is what makes the reader's steps (`feeds.builder`) right.
"""

from __future__ import annotations

import numpy as np

from feeds.messages import (
    DEPTH,
    EVERY_INSTRUMENT,
    HEADER,
    HEARTBEAT,
    LEVEL_UPDATE_FIELDS,
    MESSAGE_BYTES_MAX,
    REFRESH,
    TOPIC_NUMBER_FIELDS,
    TRADE_PRINT_FIELDS,
    TRADES,
    TRADES_NUMBER,
    VERSION,
    Field,
    UnreadableError,
    read_ask,
)
from feeds.touched import empty_seen, gather_levels
from matching.layout import EVENT, HALVES, Book, grown
from matching.view import depth_of
from matching.vocabulary import EventKind, Side

_CODES: dict[str, tuple[str] | tuple[str, tuple[int]]] = {
    "B": ("u1",),
    "c": ("S1",),
    "i": ("<i4",),
    "q": ("<i8",),
    "3x": ("u1", (3,)),
    "7x": ("u1", (7,)),
}


def dtype_of(fields: tuple[Field, ...]) -> np.dtype:
    """Return the NumPy reading of a record: packed, little-endian, the same bytes as `struct`'s."""
    return np.dtype([(name, *_CODES[code]) for name, code in fields])


TRADE_PRINT = dtype_of(TRADE_PRINT_FIELDS)
LEVEL_UPDATE = dtype_of(LEVEL_UPDATE_FIELDS)
TOPIC_NUMBER = dtype_of(TOPIC_NUMBER_FIELDS)


class Publisher:
    """Turns what happened into numbered messages, frame by frame.

    `run` must differ from that of every start before, the last start's time in ns for instance.
    `sequence` and `time` (ns since 1970, UTC) are those of the frame that the replica starts from.
    """

    def __init__(self, run: int, sequence: int = 0, time: int = 0) -> None:
        self.run = run
        self.sequence = sequence
        self.time = time
        self._heartbeats = 0
        self._numbers = {kind: np.zeros(0, np.int64) for kind in (TRADES, DEPTH)}
        self._last_prints = np.zeros(0, TRADE_PRINT)

    def outgoing(
        self,
        events: np.ndarray,
        sequences: np.ndarray,
        trades: np.ndarray,
        book: Book,
        sequence: int,
        time: int,
    ) -> list[bytes]:
        """Return the messages of one frame: trades by instrument, then depth by instrument.

        `events` (dtype `matching.layout.EVENT`) are all events of the frame; `sequences` and
        `trades` (int64) are the command's sequence and the trade's number of each row, the latter
        of any value where the row is no trade. `book` is the replica after the frame, whose last
        command is `sequence`; `time` is the frame's, in ns since 1970, UTC. O(events), beside a
        sort of the touched levels by instrument.
        """
        assert events.dtype == EVENT, f"events: dtype {events.dtype} is not matching.layout.EVENT"
        assert len(events) == len(sequences) == len(trades), "a column is not as long as events"
        assert sequence >= self.sequence, f"frame {sequence} after {self.sequence}: it ran back"
        self.sequence = sequence
        self.time = time
        self._make_room(len(book.markets))
        if len(events) == 0:
            return []
        return self._trades(events, sequences, trades) + self._depth(events, book)

    def heartbeat(self, time: int) -> bytes:
        """Return this second's message: each topic's last number. `time` in ns since 1970, UTC."""
        parts = []
        for kind, numbers in self._numbers.items():
            instruments = np.flatnonzero(numbers)
            rows = np.zeros(len(instruments), TOPIC_NUMBER)
            rows["kind"] = kind
            rows["instrument"] = instruments
            rows["number"] = numbers[instruments]
            parts.append(rows)
        rows = np.concatenate(parts)
        self._heartbeats += 1
        header = HEADER.pack(
            HEARTBEAT,
            EVERY_INSTRUMENT,
            VERSION,
            self.run,
            self._heartbeats,
            self.sequence,
            time,
            len(rows),
        )
        return header + rows.tobytes()

    def refresh(self, instrument: int, book: Book) -> bytes:
        """Return the whole book of one instrument, as of the last message of its depth topic.

        `book` must be the one that `outgoing` saw last. O(levels).
        """
        self._make_room(len(book.markets))
        halves = [depth_of(book, instrument, side, len(book.levels)) for side in Side]
        levels = np.zeros(sum(map(len, halves)), LEVEL_UPDATE)
        rows = np.concatenate(halves)
        for column, field in enumerate(("price", "quantity", "orders")):
            levels[field] = rows[:, column]
        levels["side"][len(halves[Side.BUY]) :] = Side.SELL
        header = self._header(REFRESH, instrument, int(self._numbers[DEPTH][instrument]), len(levels))
        trades_number = TRADES_NUMBER.pack(int(self._numbers[TRADES][instrument]))
        last_trade = self._last_prints[instrument].tobytes()
        return within_limit(header + trades_number + last_trade + levels.tobytes())

    def answer(self, request: bytes, book: Book) -> bytes | None:
        """Return the refresh that a reader asked for; None for what is no request or not listed."""
        try:
            instrument = read_ask(request)
        except UnreadableError:
            return None
        if not 0 <= instrument < len(book.markets):
            return None
        return self.refresh(instrument, book)

    def _trades(self, events: np.ndarray, sequences: np.ndarray, trades: np.ndarray) -> list[bytes]:
        rows = np.flatnonzero(events["kind"] == EventKind.TRADED)
        if len(rows) == 0:
            return []
        rows = rows[np.argsort(events["instrument"][rows], kind="stable")]
        traded = events[rows]
        prints = np.zeros(len(rows), TRADE_PRINT)
        prints["trade"] = trades[rows]
        prints["sequence"] = sequences[rows]
        prints["price"] = traded["price"]
        prints["quantity"] = traded["quantity"]
        prints["taker_side"] = traded["side"]
        # Of an instrument that stands here several times NumPy keeps the last, as documented.
        self._last_prints[traded["instrument"]] = prints
        return self._numbered(TRADES, traded["instrument"], prints)

    def _depth(self, events: np.ndarray, book: Book) -> list[bytes]:
        most = 2 * len(events)
        updates = np.zeros(most, LEVEL_UPDATE)
        halves = np.zeros(most, np.int32)
        count = int(gather_levels(book, events, empty_seen(most), updates, halves))
        instruments = halves[:count] // HALVES
        rows = np.argsort(instruments, kind="stable")
        return self._numbered(DEPTH, instruments[rows], updates[rows])

    def _numbered(self, kind: bytes, instruments: np.ndarray, records: np.ndarray) -> list[bytes]:
        """Return one message an instrument, `records` being sorted by `instruments`."""
        starts = np.flatnonzero(np.diff(instruments, prepend=EVERY_INSTRUMENT))
        owners = instruments[starts]
        numbers = self._numbers[kind]
        numbers[owners] += 1
        body = records.tobytes()
        size = records.itemsize
        bounds = [*starts.tolist(), len(records)]
        return [
            within_limit(
                self._header(kind, instrument, number, end - start) + body[start * size : end * size]
            )
            for instrument, number, start, end in zip(
                owners.tolist(), numbers[owners].tolist(), bounds, bounds[1:], strict=False
            )
        ]

    def _header(self, kind: bytes, instrument: int, number: int, count: int) -> bytes:
        return HEADER.pack(kind, instrument, VERSION, self.run, number, self.sequence, self.time, count)

    def _make_room(self, instruments: int) -> None:
        """Make room for the instruments that have been listed since."""
        for kind, numbers in self._numbers.items():
            self._numbers[kind] = grown(numbers, instruments)
        self._last_prints = grown(self._last_prints, instruments)


def within_limit(message: bytes) -> bytes:
    """Return `message`; one that no reader would take is a bug of ours."""
    assert len(message) <= MESSAGE_BYTES_MAX, f"a message of {len(message)} bytes"
    return message
