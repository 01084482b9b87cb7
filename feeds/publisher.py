"""What happened in, messages out: the feed's pure half. It owns no socket, reads no clock, and numbers.

    for each batch of the journal:  replica applies it -> outgoing(batch, book) -> send each on PUB
    ten times, and once a second:   views(kind, book, now)                      -> send each on PUB
    once a second:                  heartbeat(now), budgets(...)                -> send on PUB
    on each request at ROUTER:      answer(request, book)                       -> send to who asked

All of it happens on one thread, between two batches: a refresh shows the book as of the last message
that `outgoing` returned, which is what makes the reader's steps (`feeds.builder`) right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from feeds.arrays import (
    INDICATIVE_PRICE,
    STATUS_CHANGE,
    TOPIC_NUMBER,
    TRADE_PRINT,
)
from feeds.documents import Budget, Definition, Fixing, write_body
from feeds.messages import (
    DEFINITIONS,
    DEPTH,
    EVERY_INSTRUMENT,
    FAST_VIEW,
    FIXINGS,
    HEARTBEAT,
    INDICATIVE,
    NUMBERED,
    ORDERS,
    PROGRAMMES,
    SLOW_VIEW,
    STATUS,
    TOPS,
    TRADES,
    VERSION,
    UnreadableError,
    read_ask,
)
from feeds.pictures import Known, pictures, within_limit
from feeds.records import HEADER
from feeds.touched import fold, print_trades, room_for, show_top
from matching.layout import EVENT, TAPE, Book, grown
from matching.permissions import CALLS
from matching.vocabulary import EventKind, Side

_PLAIN = np.dtype((np.void, INDICATIVE_PRICE.itemsize))
"""A record as its bytes: compared so, records take a fifth of the time that they take field by field."""


VIEWS = {FAST_VIEW: 1, SLOW_VIEW: 2}
"""The bit that says of an instrument that it has changed since its last picture of that kind."""

EVERY_VIEW = sum(VIEWS.values())


class Batch(NamedTuple):
    """What a batch of commands did: events (dtype `EVENT`), and what was done to the queues (dtype `TAPE`).

    `first` and `last` are the sequences of its commands, so that of an event is `first + event["command"]`;
    `time` is the batch's, in ns since 1970, UTC. Beside each event stand the trade's number (int64), what a
    programme paid of it at once in hao (int64), and whether one stands behind the buy (uint8): of any value
    where the event is no trade.
    """

    events: np.ndarray
    tape: np.ndarray
    first: int
    last: int
    time: int
    trades: np.ndarray
    paid: np.ndarray
    subsidised: np.ndarray


class Publisher:
    """Turns what happened into numbered messages, batch by batch.

    `run` must differ from that of every start before, the last start's time in ns for instance.
    `sequence` and `time` (ns since 1970, UTC) are those of the batch that the replica starts from, and
    `book` is its book, unless nothing has been listed yet.
    """

    def __init__(self, run: int, sequence: int = 0, time: int = 0, book: Book | None = None) -> None:
        self.run = run
        self.sequence = sequence
        self.time = time
        self._known = Known()
        self._changed = np.zeros(0, np.uint8)
        self._numbers = dict.fromkeys((HEARTBEAT, PROGRAMMES, FIXINGS, DEFINITIONS), 0)
        self._definitions: dict[int, Definition] = {}
        self._tells_of_calls = book is not None and bool(book.counts["calls"][0])
        if book is not None:
            self._begin_with(book)

    def _begin_with(self, book: Book) -> None:
        """Note what every refresh of this run will tell: how things stand before its first message."""
        instruments = len(book.markets)
        self._make_room(instruments)
        known = self._known
        for field in ("phase", "reference"):
            known.statuses[field][:instruments] = book.markets[field]
        known.indicatives[:instruments] = indicatives_of(book)
        for instrument in range(instruments):
            show_top(book, instrument, known.tops)

    def outgoing(self, batch: Batch, book: Book) -> list[bytes]:
        """Return what a batch is told with: trades, status, indicative, orders, depth, tops.

        `book` is the replica's after the batch. Of each topic there is at most one message.
        O(events + tape + instruments).
        """
        events, tape = batch.events, batch.tape
        assert events.dtype == EVENT, f"events: dtype {events.dtype} is not matching.layout.EVENT"
        assert tape.dtype == TAPE, f"tape: dtype {tape.dtype} is not matching.layout.TAPE"
        columns = (batch.trades, batch.paid, batch.subsidised)
        assert all(len(column) == len(events) for column in columns), "a column is not as long as events"
        assert batch.last >= self.sequence, f"batch {batch.last} after {self.sequence}: it ran back"
        self.sequence = batch.last
        self.time = batch.time
        self._make_room(len(book.markets))
        messages = self._trades(batch, book) if len(events) else []
        messages += self._status(batch, book)
        messages += self._indicative(book)
        if len(tape):
            messages += self._queues(batch, book)
        return messages

    def define(self, definitions: Sequence[Definition]) -> list[bytes]:
        """Return the message of those definitions that are new or have changed, or none.

        `definitions` are all as they stand now, those told before among them.
        """
        news = tuple(one for one in definitions if self._definitions.get(one.index) != one)
        self._definitions.update((one.index, one) for one in news)
        return [self._document(DEFINITIONS, news, self.time)] if news else []

    def fix(self, fixings: Sequence[Fixing]) -> list[bytes]:
        """Return the message of new fixings, or none."""
        return [self._document(FIXINGS, tuple(fixings), self.time)] if fixings else []

    def budgets(self, budgets: Sequence[Budget], time: int) -> bytes:
        """Return this second's message of what programmes have left. `time` in ns since 1970, UTC."""
        return self._document(PROGRAMMES, tuple(budgets), time)

    def views(self, kind: bytes, book: Book, time: int) -> list[bytes]:
        """Return a picture of each instrument that has changed since the last call for this kind of view.

        `kind` is FAST_VIEW or SLOW_VIEW, `time` in ns since 1970, UTC, `book` that of the last `outgoing`.
        """
        instruments = np.flatnonzero(self._changed & VIEWS[kind])
        if len(instruments) == 0:
            return []
        self._changed[instruments] -= VIEWS[kind]
        return pictures(kind, instruments, self._known, book, self.run, self.sequence, time)

    def heartbeat(self, time: int) -> bytes:
        """Return this second's message: each topic's last number. `time` in ns since 1970, UTC."""
        parts = []
        for kind in NUMBERED:
            if kind in self._numbers:
                instruments, numbers = np.array([EVERY_INSTRUMENT]), np.array([self._numbers[kind]])
            else:
                numbers = self._known.numbers[kind]
                instruments = np.arange(len(numbers))
            told = numbers > 0
            rows = np.zeros(np.count_nonzero(told), TOPIC_NUMBER)
            rows["kind"] = kind
            rows["instrument"] = instruments[told]
            rows["number"] = numbers[told]
            parts.append(rows)
        rows = np.concatenate(parts)
        self._numbers[HEARTBEAT] += 1
        return self._head(HEARTBEAT, self._numbers[HEARTBEAT], time, len(rows)) + rows.tobytes()

    def refresh(self, kind: bytes, instrument: int, book: Book) -> bytes:
        """Return the whole book of one instrument, and what else holds, as of the last `outgoing`.

        `kind` is LEVELS_REFRESH or ORDERS_REFRESH; `book` must be the one that `outgoing` saw last.
        O(levels), or O(orders).
        """
        self._make_room(len(book.markets))
        only = np.array([instrument])
        return pictures(kind, only, self._known, book, self.run, self.sequence, self.time)[0]

    def answer(self, request: bytes, book: Book) -> bytes | None:
        """Return what a reader asked for; None for what is no request, or for what is not listed."""
        try:
            ask = read_ask(request)
        except UnreadableError:
            return None
        if ask.wanted == DEFINITIONS:
            return self._definitions_of(ask.instrument)
        if not 0 <= ask.instrument < len(book.markets):
            return None
        return self.refresh(ask.wanted, ask.instrument, book)

    def _definitions_of(self, instrument: int) -> bytes | None:
        """Return the definition of one instrument, or of all, by number; None for one that has none."""
        asked = sorted(self._definitions) if instrument == EVERY_INSTRUMENT else [instrument]
        if not self._definitions.keys() >= set(asked):
            return None
        body = write_body(tuple(self._definitions[index] for index in asked))
        number = self._numbers[DEFINITIONS]
        return within_limit(self._head(DEFINITIONS, number, self.time, len(body), instrument) + body)

    def _trades(self, batch: Batch, book: Book) -> list[bytes]:
        rows = np.flatnonzero(batch.events["kind"] == EventKind.TRADED)
        if len(rows) == 0:
            return []
        figures = np.empty((len(rows), 3), np.int64)
        for column, values in enumerate((batch.trades, batch.paid, batch.subsidised)):
            figures[:, column] = values[rows]
        prints = np.zeros(len(rows), TRADE_PRINT)
        starts = np.zeros(len(book.markets) + 2, np.int64)
        known = self._known
        print_trades(
            batch.events[rows], figures, batch.first, prints, starts, known.last_trades, known.totals
        )
        owners = np.flatnonzero(starts[1:-1] > starts[:-2])
        return self._numbered(TRADES, owners, starts[owners], starts[owners + 1], prints)

    def _status(self, batch: Batch, book: Book) -> list[bytes]:
        """Tell every change of phase, and new reference prices that came without one, and new instruments."""
        rows = np.flatnonzero(batch.events["kind"] == EventKind.PHASE_CHANGED)
        if len(rows) == 0 and not self._behind(book).any():
            return []
        changed = batch.events[rows]
        changes = np.zeros(len(rows), STATUS_CHANGE)
        for field, told in (("reference", "price"), ("phase", "phase"), ("cause", "reason")):
            changes[field] = changed[told]
        changes["sequence"] = batch.first + changed["command"].astype(np.int64)
        statuses = self._known.statuses
        statuses[changed["instrument"]] = changes  # of one that stands here twice NumPy keeps the last
        owners = np.flatnonzero(self._behind(book))
        others = np.zeros(len(owners), STATUS_CHANGE)
        for field in ("reference", "phase"):
            others[field] = book.markets[field][owners]
        others["sequence"] = self.sequence
        statuses[owners] = others
        instruments = np.concatenate((changed["instrument"], owners))
        changes = np.concatenate((changes, others))
        changes["time"] = self.time
        statuses["time"][instruments] = self.time
        rows = np.argsort(instruments, kind="stable")
        return self._numbered(STATUS, *_runs(instruments[rows]), changes[rows])

    def _behind(self, book: Book) -> np.ndarray:
        """Return of each instrument whether it has another phase or reference price than readers know."""
        known, markets = self._known.statuses[: len(book.markets)], book.markets
        behind: np.ndarray = (known["phase"] != markets["phase"]) | (
            known["reference"] != markets["reference"]
        )
        return behind

    def _indicative(self, book: Book) -> list[bytes]:
        """Tell what the auctions would find now, where it is not what was told last."""
        if book.counts["calls"][0] == 0 and not self._tells_of_calls:
            return []
        self._tells_of_calls = bool(book.counts["calls"][0])
        now = indicatives_of(book)
        known = self._known.indicatives[: len(now)]
        owners = np.flatnonzero(now.view(_PLAIN) != known.view(_PLAIN))
        if len(owners) == 0:
            return []
        known[owners] = now[owners]
        starts = np.arange(len(owners))
        return self._numbered(INDICATIVE, owners, starts, starts + 1, now[owners])

    def _queues(self, batch: Batch, book: Book) -> list[bytes]:
        """Tell what was done to orders, the levels that it changed, and the tops."""
        folded = room_for(len(batch.tape), len(book.markets))
        tops = self._known.tops
        fold(book, batch.tape, batch.first, folded, tops)
        starts, ends = folded.starts, folded.ends
        owners = np.flatnonzero(starts[1:-1] > starts[:-2])
        changed = np.flatnonzero(folded.news)
        nth = np.arange(len(changed))
        levels = folded.levels[: ends[-1]]
        return [
            *self._numbered(ORDERS, owners, starts[owners], starts[owners + 1], folded.orders),
            *self._numbered(DEPTH, owners, ends[owners], ends[owners + 1], levels),
            *self._numbered(TOPS, changed, nth, nth + 1, tops[changed]),
        ]

    def _numbered(
        self, kind: bytes, owners: np.ndarray, starts: np.ndarray, ends: np.ndarray, records: np.ndarray
    ) -> list[bytes]:
        """Return one message for each of the instruments `owners`: its records from start to end."""
        self._changed[owners] = EVERY_VIEW
        numbers = self._known.numbers[kind]
        numbers[owners] += 1
        size, body = records.itemsize, records.tobytes()
        about = zip(owners.tolist(), numbers[owners].tolist(), starts.tolist(), ends.tolist(), strict=True)
        run, sequence, time, pack = self.run, self.sequence, self.time, HEADER.pack
        return [
            within_limit(
                pack(kind, owner, VERSION, run, number, sequence, time, end - start)
                + body[start * size : end * size]
            )
            for owner, number, start, end in about
        ]

    def _document(
        self,
        kind: bytes,
        documents: tuple[Definition, ...] | tuple[Fixing, ...] | tuple[Budget, ...],
        time: int,
    ) -> bytes:
        body = write_body(documents)
        self._numbers[kind] += 1
        return within_limit(self._head(kind, self._numbers[kind], time, len(body)) + body)

    def _head(
        self, kind: bytes, number: int, time: int, count: int, instrument: int = EVERY_INSTRUMENT
    ) -> bytes:
        return HEADER.pack(kind, instrument, VERSION, self.run, number, self.sequence, time, count)

    def _make_room(self, instruments: int) -> None:
        """Make room for the instruments that have been listed since."""
        self._known.make_room(instruments)
        self._changed = grown(self._changed, instruments)


def _runs(instruments: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which instruments stand in a sorted column, and where the rows of each begin and end."""
    starts = np.flatnonzero(np.diff(instruments, prepend=EVERY_INSTRUMENT))
    return instruments[starts], starts, np.append(starts[1:], len(instruments))


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
