"""Events in, messages out: the feed's pure half. It owns no socket, reads no clock, and numbers.

    for each frame of the journal:  replica applies it -> outgoing(...) -> send each on PUB
    once a second:                  heartbeat(now)     -> send on PUB
    on each request at ROUTER:      answer(request, book) -> send to who asked

All of it happens on one thread, between two frames: a refresh shows the book as of the last message
that `outgoing` returned, which is what makes the reader's steps (`feeds.builder`) right.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from feeds.messages import (
    DEPTH,
    EVERY_INSTRUMENT,
    HEADER,
    HEARTBEAT,
    INDICATIVE,
    INDICATIVE_PRICE_FIELDS,
    LAST_NUMBER,
    LEVEL_UPDATE_FIELDS,
    MESSAGE_BYTES_MAX,
    NO_TAKER,
    REFRESH,
    STATUS,
    STATUS_CHANGE_FIELDS,
    TOPIC_NUMBER_FIELDS,
    TRADE_PRINT_FIELDS,
    TRADES,
    VERSION,
    Field,
    UnreadableError,
    read_ask,
)
from feeds.touched import empty_seen, fill_levels, note_levels
from matching.layout import EVENT, HALVES, Book, grown
from matching.permissions import CALLS
from matching.view import depth_of
from matching.vocabulary import EventKind, Phase, Side

_CODES: dict[str, tuple[str] | tuple[str, tuple[int]]] = {
    "B": ("u1",),
    "c": ("S1",),
    "i": ("<i4",),
    "q": ("<i8",),
    "3x": ("u1", (3,)),
    "6x": ("u1", (6,)),
    "7x": ("u1", (7,)),
}


def dtype_of(fields: tuple[Field, ...]) -> np.dtype:
    """Return the NumPy reading of a record: packed, little-endian, the same bytes as `struct`'s."""
    return np.dtype([(name, *_CODES[code]) for name, code in fields])


TRADE_PRINT = dtype_of(TRADE_PRINT_FIELDS)
STATUS_CHANGE = dtype_of(STATUS_CHANGE_FIELDS)
INDICATIVE_PRICE = dtype_of(INDICATIVE_PRICE_FIELDS)
LEVEL_UPDATE = dtype_of(LEVEL_UPDATE_FIELDS)
TOPIC_NUMBER = dtype_of(TOPIC_NUMBER_FIELDS)

_PLAIN = np.dtype((np.void, INDICATIVE_PRICE.itemsize))
"""A record as its bytes: compared so, records take a fifth of the time that they take field by field."""

_GONE = (0, 0)
"""The lots and orders of a level where nothing stands."""


class Publisher:
    """Turns what happened into numbered messages, frame by frame.

    It remembers what readers know, and tells only what is new to them. So nothing is told of what they
    cannot see: the limit of a taker that found all it wanted, a stop, an order that waits for an auction.

    `run` must differ from that of every start before, the last start's time in ns for instance.
    `sequence` and `time` (ns since 1970, UTC) are those of the frame that the replica starts from, and
    `book` is its book, unless nothing has been listed yet.
    """

    def __init__(self, run: int, sequence: int = 0, time: int = 0, book: Book | None = None) -> None:
        self.run = run
        self.sequence = sequence
        self.time = time
        self._heartbeats = 0
        self._numbers = {kind: np.zeros(0, np.int64) for kind in (TRADES, STATUS, INDICATIVE, DEPTH)}
        self._last_prints = np.zeros(0, TRADE_PRINT)
        self._statuses = np.zeros(0, STATUS_CHANGE)
        self._indicatives = np.zeros(0, INDICATIVE_PRICE)
        self._levels: defaultdict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
        if book is not None:
            self._begin_with(book)

    def _begin_with(self, book: Book) -> None:
        """Note what every refresh of this run will tell: how things stand before its first message."""
        self._make_room(len(book.markets))
        instruments = len(book.markets)
        for field in ("phase", "reference"):
            self._statuses[field][:instruments] = book.markets[field]
        self._indicatives[:instruments] = indicatives_of(book)
        for instrument in range(instruments):
            for side in Side:
                levels = depth_of(book, instrument, side, len(book.levels)).tolist()
                known = {price: (quantity, orders) for price, quantity, orders in levels}
                self._levels[HALVES * instrument + side] = known

    def outgoing(
        self,
        events: np.ndarray,
        sequences: np.ndarray,
        trades: np.ndarray,
        book: Book,
        sequence: int,
        time: int,
    ) -> list[bytes]:
        """Return the messages of one frame: trades, status, indicative, depth; each by instrument.

        `events` (dtype `matching.layout.EVENT`) are all events of the frame; `sequences` and
        `trades` (int64) are the command's sequence and the trade's number of each row, the latter
        of any value where the row is no trade. `book` is the replica after the frame, whose last
        command is `sequence`; `time` is the frame's, in ns since 1970, UTC. O(events + instruments),
        beside a sort of the changed levels by instrument, and all levels of those that have uncrossed.
        """
        assert events.dtype == EVENT, f"events: dtype {events.dtype} is not matching.layout.EVENT"
        assert len(events) == len(sequences) == len(trades), "a column is not as long as events"
        assert sequence >= self.sequence, f"frame {sequence} after {self.sequence}: it ran back"
        self.sequence = sequence
        self.time = time
        self._make_room(len(book.markets))
        messages = self._status(events, sequences, book) + self._indicative(book)
        if len(events):
            messages = self._trades(events, sequences, trades) + messages + self._depth(events, book)
        return messages

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
        """Return the whole book of one instrument, as of the last message of its depth topic, and the rest.

        `book` must be the one that `outgoing` saw last. O(levels).
        """
        self._make_room(len(book.markets))
        halves = [depth_of(book, instrument, side, len(book.levels)) for side in Side]
        levels = np.zeros(sum(map(len, halves)), LEVEL_UPDATE)
        rows = np.concatenate(halves)
        for column, field in enumerate(("price", "quantity", "orders")):
            levels[field] = rows[:, column]
        levels["side"][len(halves[Side.BUY]) :] = Side.SELL
        parts = [self._header(REFRESH, instrument, int(self._numbers[DEPTH][instrument]), len(levels))]
        for kind, known in (
            (TRADES, self._last_prints),
            (STATUS, self._statuses),
            (INDICATIVE, self._indicatives),
        ):
            parts += [LAST_NUMBER.pack(int(self._numbers[kind][instrument])), known[instrument].tobytes()]
        return within_limit(b"".join([*parts, levels.tobytes()]))

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
        in_auction = traded["phase"] == Phase.AUCTION
        prints["taker_side"] = np.where(in_auction, NO_TAKER, traded["side"])
        # Of an instrument that stands here several times NumPy keeps the last, as documented.
        self._last_prints[traded["instrument"]] = prints
        return self._numbered(TRADES, traded["instrument"], prints)

    def _status(self, events: np.ndarray, sequences: np.ndarray, book: Book) -> list[bytes]:
        """Tell every change of phase, and new reference prices that came without one, and new instruments."""
        rows = np.flatnonzero(events["kind"] == EventKind.PHASE_CHANGED)
        if len(rows) == 0 and not self._behind(book).any():
            return []
        changed = events[rows]
        changes = np.zeros(len(rows), STATUS_CHANGE)
        for field, told in (("reference", "price"), ("phase", "phase"), ("cause", "reason")):
            changes[field] = changed[told]
        changes["sequence"] = sequences[rows]
        self._statuses[changed["instrument"]] = changes
        owners = np.flatnonzero(self._behind(book))
        others = np.zeros(len(owners), STATUS_CHANGE)
        for field in ("reference", "phase"):
            others[field] = book.markets[field][owners]
        others["sequence"] = self.sequence
        self._statuses[owners] = others
        instruments = np.concatenate((changed["instrument"], owners))
        changes = np.concatenate((changes, others))
        changes["time"] = self.time
        self._statuses["time"][instruments] = self.time
        rows = np.argsort(instruments, kind="stable")
        return self._numbered(STATUS, instruments[rows], changes[rows])

    def _behind(self, book: Book) -> np.ndarray:
        """Return of each instrument whether it has another phase or reference price than readers know."""
        known, markets = self._statuses[: len(book.markets)], book.markets
        behind: np.ndarray = (known["phase"] != markets["phase"]) | (
            known["reference"] != markets["reference"]
        )
        return behind

    def _indicative(self, book: Book) -> list[bytes]:
        """Tell what the auctions would find now, where it is not what was told last."""
        now = indicatives_of(book)
        known = self._indicatives[: len(now)]
        instruments = np.flatnonzero(now.view(_PLAIN) != known.view(_PLAIN))
        if len(instruments) == 0:
            return []
        known[instruments] = now[instruments]
        return self._numbered(INDICATIVE, instruments, now[instruments])

    def _depth(self, events: np.ndarray, book: Book) -> list[bytes]:
        """Tell the levels that have another total than readers know; of an instrument, those gone first.

        So a book that is not crossed is never crossed between two updates of one message either.
        """
        updates, halves = self._touched(events)
        fill_levels(book, updates, halves)
        rows = np.array(self._news(updates, halves), np.int64)
        if len(rows) == 0:
            return []
        instruments = halves[rows] // HALVES
        ranked = np.lexsort((updates["quantity"][rows] > 0, instruments))
        return self._numbered(DEPTH, instruments[ranked], updates[rows[ranked]])

    def _touched(self, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the levels that may have changed, and their halves: more than have, some of them twice.

        Of an instrument that has uncrossed they are all that readers know, for its trades do not name
        those that they took from; what stands there anew, events name.
        """
        most = 2 * len(events)
        updates, halves = np.zeros(most, LEVEL_UPDATE), np.zeros(most, np.int32)
        count = int(note_levels(events, empty_seen(most), updates, halves))
        in_auction = (events["phase"] == Phase.AUCTION) & (events["kind"] == EventKind.TRADED)
        if not in_auction.any():
            return updates[:count], halves[:count]
        known = [
            (half_index, price)
            for instrument in np.unique(events["instrument"][in_auction]).tolist()
            for half_index in (HALVES * instrument + side for side in Side)
            for price in self._levels[half_index]
        ]
        more = np.zeros(len(known), LEVEL_UPDATE)
        more["price"] = [price for _, price in known]
        more_halves = np.array([half_index for half_index, _ in known], np.int32)
        return np.concatenate((updates[:count], more)), np.concatenate((halves[:count], more_halves))

    def _news(self, updates: np.ndarray, halves: np.ndarray) -> list[int]:
        """Return the rows that tell readers something new, and note that they know it now."""
        rows = []
        columns = (halves, updates["price"], updates["quantity"], updates["orders"])
        for row, (half_index, price, quantity, orders) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        ):
            known = self._levels[half_index]
            if known.get(price, _GONE) != (quantity, orders):
                rows.append(row)
                if quantity:
                    known[price] = (quantity, orders)
                else:
                    del known[price]
        return rows

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
        self._statuses = grown(self._statuses, instruments)
        self._indicatives = grown(self._indicatives, instruments)


def indicatives_of(book: Book) -> np.ndarray:
    """Return what each instrument's auction would find now, as the book told it last; 0 outside of calls."""
    now = np.zeros(len(book.markets), INDICATIVE_PRICE)
    if book.counts["calls"][0] == 0:
        return now
    in_call = np.flatnonzero(np.isin(book.markets["phase"], CALLS))
    markets = book.markets[in_call]
    surplus = markets["indicative_surplus"]
    now["price"][in_call] = markets["indicative_price"]
    now["volume"][in_call] = markets["indicative_volume"]
    now["surplus"][in_call] = np.abs(surplus)
    now["side"][in_call] = np.where(surplus < 0, Side.SELL, Side.BUY)
    return now


def within_limit(message: bytes) -> bytes:
    """Return `message`; one that no reader would take is a bug of ours."""
    assert len(message) <= MESSAGE_BYTES_MAX, f"a message of {len(message)} bytes"
    return message
