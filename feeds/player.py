"""A recording played: its messages published again as they were, and questions answered as of that moment.

    while (wait := player.step(clock())) is not None:   sends what is due
        wait for `wait` ns, or until somebody asks -> player.answer(request)

Messages go out byte for byte, with the run and the numbers that they had; refreshes, which were said to one
reader alone, are made from the books as they stand in the playing. A book of which the recording itself has
lost something is not shown: who asks hears nothing until it is whole again, as the recorder did.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import zmq

from feeds.builder import BookBuilder, Books, State
from feeds.documents import Definition, definitions_of, write_body
from feeds.messages import (
    DEFINITIONS,
    DEPTH,
    EVERY_INSTRUMENT,
    INDICATIVE,
    LEVELS_REFRESH,
    ORDERS,
    ORDERS_REFRESH,
    STATUS,
    TOPS,
    TRADES,
    VERSION,
    Ask,
    Depth,
    Document,
    Heartbeat,
    Indicative,
    Message,
    Orders,
    Picture,
    Quote,
    Status,
    Trades,
    UnreadableError,
    read,
    read_ask,
)
from feeds.recording import Heard
from feeds.records import (
    HEADER,
    INDICATIVE_PRICE,
    LAST_NUMBERS,
    LEVEL_UPDATE,
    ORDER_UPDATE,
    STATUS_CHANGE,
    TOTALS,
    TRADE_PRINT,
    IndicativePrice,
    LastNumbers,
    StatusChange,
    Totals,
    TradePrint,
)
from matching.vocabulary import QueueChange, Side

STEP_MAX = 256
"""Most messages published in one step, so that who asks is answered between."""

POLL_MS_MAX = 100
"""How long a wait may be before it is looked at whether to stop."""

ASKS_PER_POLL_MAX = 256

NOTHING_YET = (TradePrint(0, 0, 0, 0, 0, 0, 0), StatusChange(0, 0, 0, 0, 0), IndicativePrice(0, 0, 0, 0))

_REFRESHES = (LEVELS_REFRESH, ORDERS_REFRESH)
_FIELDS = {
    DEPTH: "depth",
    ORDERS: "orders",
    TRADES: "trades",
    STATUS: "status",
    INDICATIVE: "indicative",
    TOPS: "top",
}
_NONE = LastNumbers(0, 0, 0, 0, 0, 0)
_NO_TRADES = Totals(0, 0, 0, 0)
_RUN_AT = 8
_RUN_END = 16


InstrumentMessage = Trades | Status | Indicative | Orders | Depth | Quote | Picture


class Shown(NamedTuple):
    """What a picture tells beside the book."""

    numbers: LastNumbers
    last_trade: TradePrint | None
    status: StatusChange | None
    indicative: IndicativePrice | None
    totals: Totals


class Player:
    """Plays a recording once. `publish` is given each message when it is due.

    `speed` is how many times as fast as it was heard, 0 without waiting. `run_added` is added to the run of
    each message, so that a second playing is another run: its numbers begin anew, and readers must know.
    `published` counts messages. Raises what going through the recording raises.
    """

    def __init__(
        self,
        recording: Iterable[Heard],
        publish: Callable[[bytes], object],
        speed: float = 1.0,
        run_added: int = 0,
    ) -> None:
        self.published = 0
        self._publish = publish
        self._speed = speed
        self._run_added = run_added
        self._heard = iter(recording)
        self._next = next(self._heard, None)
        self._first = self._next.at if self._next else 0
        self._began: int | None = None
        self._run: int | None = None
        self._forget(0)

    def _forget(self, run: int) -> None:
        """Begin with a run of the venue's publisher: the recording may have several."""
        self._run = run
        self._sequence = self._time = 0
        self._books = {LEVELS_REFRESH: Books(), ORDERS_REFRESH: Books(orders=True)}
        self._numbers: dict[int, LastNumbers] = {}
        self._totals: dict[int, Totals] = {}
        self._definitions: dict[int, Definition] = {}
        self._definitions_number = 0

    def step(self, now: int) -> int | None:
        """Publish what is due; return after how many ns there is more, or None where the recording ends.

        `now` is of any clock in ns; the recording begins with the first call.
        """
        if self._began is None:
            self._began = now
        for _ in range(STEP_MAX):
            if self._next is None:
                return None
            wait = self._due_at(self._next.at) - now
            if wait > 0:
                return wait
            self._play(self._next.message)
            self._next = next(self._heard, None)
        return 0 if self._next is not None else None

    def _due_at(self, heard: int) -> int:
        assert self._began is not None, "nothing has been played yet"
        return self._began + (round((heard - self._first) / self._speed) if self._speed else 0)

    def _play(self, frame: bytes) -> None:
        if self._run_added:
            run = int.from_bytes(frame[_RUN_AT:_RUN_END], "little") + self._run_added
            frame = frame[:_RUN_AT] + (run % 2**64).to_bytes(8, "little") + frame[_RUN_END:]
        message = read(frame)
        if frame[:1] not in _REFRESHES:
            self._publish(frame)
            self.published += 1
        self._take(frame[:1], message)

    # --- as of the moment played ---------------------------------------------------------------

    def _take(self, kind: bytes, message: Message) -> None:
        if message.run != self._run:
            self._forget(message.run)
        self._sequence = max(self._sequence, message.sequence)
        self._time = message.time
        if isinstance(message, Document):
            self._take_document(message)
            return
        if not isinstance(message, Heartbeat):
            for books in self._books.values():
                books.add(message.instrument, orders=books is self._books[ORDERS_REFRESH])
            self._count(kind, message)
        for books in self._books.values():
            books.take(message, 0)

    def _take_document(self, message: Document) -> None:
        if message.kind == DEFINITIONS:
            self._definitions.update((one.index, one) for one in definitions_of(message))
            self._definitions_number = max(self._definitions_number, message.number)

    def _count(self, kind: bytes, message: InstrumentMessage) -> None:
        """Keep an instrument's last numbers, and what its trades amount to."""
        instrument = message.instrument
        numbers = self._numbers.get(instrument, _NONE)
        if isinstance(message, Picture):
            if message.numbers.trades >= numbers.trades:
                self._totals[instrument] = message.totals
            highest = map(max, numbers, message.numbers)
            self._numbers[instrument] = LastNumbers._make(highest)
            return
        if message.number <= getattr(numbers, _FIELDS[kind]):
            return
        self._numbers[instrument] = numbers._replace(**{_FIELDS[kind]: message.number})
        if isinstance(message, Trades):
            trades = message.prints
            known = self._totals.get(instrument, _NO_TRADES)
            sums = (
                known.trades + len(trades),
                known.quantity + sum(trade.quantity for trade in trades),
                known.amount + sum(trade.price * trade.quantity for trade in trades),
                known.paid + sum(trade.paid for trade in trades),
            )
            self._totals[instrument] = Totals._make(map(_int64, sums))

    def answer(self, request: bytes) -> bytes | None:
        """Return what a reader asked for as of now; None for what is no request, and what is not known."""
        try:
            ask = read_ask(request)
        except UnreadableError:
            return None
        return self._define(ask.instrument) if ask.wanted == DEFINITIONS else self._refresh(ask)

    def _define(self, instrument: int) -> bytes | None:
        wanted = sorted(self._definitions) if instrument == EVERY_INSTRUMENT else [instrument]
        if self._run is None or not self._definitions.keys() >= set(wanted):
            return None
        body = write_body(tuple(self._definitions[index] for index in wanted))
        return (
            HEADER.pack(
                DEFINITIONS,
                instrument,
                VERSION,
                self._run,
                self._definitions_number,
                self._sequence,
                self._time,
                len(body),
            )
            + body
        )

    def _refresh(self, ask: Ask) -> bytes | None:
        books = self._books[ask.wanted]
        if ask.instrument not in books or books[ask.instrument].state is not State.LIVE:
            return None
        book = books[ask.instrument]
        numbers = self._numbers.get(ask.instrument, _NONE)
        numbers = numbers._replace(**{"orders" if book.has_orders else "depth": book.number})
        totals = self._totals.get(ask.instrument, _NO_TRADES)
        return write_refresh(
            ask.wanted, book, Shown(numbers, book.last_trade, book.status, book.indicative, totals)
        )


def _int64(number: int) -> int:
    """Return a number as 64 bits hold it: a recording may tell of more than there is in the world."""
    return (number + 2**63) % 2**64 - 2**63


def write_refresh(kind: bytes, book: BookBuilder, shown: Shown) -> bytes:
    """Return the refresh that shows a reader's book, with plain `struct`, as the publisher would."""
    no_trade, no_status, no_indicative = NOTHING_YET
    if kind == ORDERS_REFRESH:
        rows = list(_order_rows(book))
    else:
        rows = [
            LEVEL_UPDATE.pack(*level, side)
            for side, levels in ((Side.BUY, book.bids), (Side.SELL, book.asks))
            for level in levels
        ]
    head = HEADER.pack(
        kind, book.instrument, VERSION, book.run, book.number, book.sequence, book.time, len(rows)
    )
    parts = (
        LAST_NUMBERS.pack(*shown.numbers),
        TRADE_PRINT.pack(*(shown.last_trade or no_trade)),
        STATUS_CHANGE.pack(*(shown.status or no_status)),
        INDICATIVE_PRICE.pack(*(shown.indicative or no_indicative)),
        TOTALS.pack(*shown.totals),
    )
    return b"".join((head, *parts, *rows))


def _order_rows(book: BookBuilder) -> Iterator[bytes]:
    for side in Side:
        for order in book.orders(side):
            yield ORDER_UPDATE.pack(order.order, 0, order.price, order.quantity, side, QueueChange.PLACED)


def serve(
    player: Player,
    published: zmq.Socket[bytes],
    refreshes: zmq.Socket[bytes],
    clock: Callable[[], int] = time.monotonic_ns,
    *,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Play to the end, and answer at a ROUTER meanwhile; `published` is the XPUB that the player fills.

    `is_over` is asked after each step whether to stop before the end.
    """
    poller = zmq.Poller()
    poller.register(refreshes, zmq.POLLIN)
    poller.register(published, zmq.POLLIN)
    while (wait := player.step(clock())) is not None and not is_over():
        poller.poll(min(-(-wait // 1_000_000), POLL_MS_MAX))
        while published.poll(0):
            published.recv()  # a subscription; libzmq has noted it
        answer_all(player, refreshes)


def wait_for_reader(published: zmq.Socket[bytes], is_over: Callable[[], bool] = lambda: False) -> None:
    """Wait until somebody has subscribed to what an XPUB publishes, and subscribes to no more."""
    while not published.poll(POLL_MS_MAX):
        if is_over():
            return
    while published.poll(POLL_MS_MAX):
        published.recv()


def answer_all(player: Player, refreshes: zmq.Socket[bytes]) -> None:
    """Answer who asks, a bounded number of them; who is gone meanwhile hears nothing."""
    for _ in range(ASKS_PER_POLL_MAX):
        if not refreshes.poll(0):
            return
        session, *parts = refreshes.recv_multipart()
        answer = player.answer(parts[0]) if len(parts) == 1 else None
        if answer is not None:
            refreshes.send_multipart((session, answer), zmq.NOBLOCK)
