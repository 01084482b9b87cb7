"""A small venue for the feed's tests: random commands, the engine's book, what was published."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from feeds.builder import BookBuilder, State
from feeds.messages import LEVELS_REFRESH, Depth, Message, Orders, Picture, read
from feeds.publisher import Batch, Publisher
from feeds.records import IndicativePrice
from matching.batch import match_on_tape
from matching.flow import random_flow
from matching.layout import COMMAND, EVENT, TAPE, Book, empty_book
from matching.permissions import CALLS
from matching.view import depth_of, orders_of
from matching.vocabulary import EVERY, CommandKind, EventKind, OrderType, Phase, Side, TimeInForce

TICKS = (1, 1, 10, 500)
SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND

Levels = Sequence[tuple[int, int, int]]
Truth = tuple[Levels, Levels]
Queues = tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]
"""Bids and asks order by order as (price, order, lots shown), best price first, first come first."""


def order(
    number: int,
    side: Side,
    quantity: int,
    price: int,
    *,
    instrument: int = 0,
    time_in_force: TimeInForce = TimeInForce.GTC,
    group: int = 0,
    subsidised: bool = False,
    **more: int,
) -> np.ndarray:
    """Return one new order, as an array of one command; `more` are any other fields."""
    command = np.zeros(1, COMMAND)
    command["kind"] = CommandKind.NEW
    command["order"] = number
    command["side"] = side
    command["quantity"] = quantity
    command["price"] = price
    command["instrument"] = instrument
    command["time_in_force"] = time_in_force
    command["group"] = group or number
    command["subsidised"] = subsidised
    for name, value in more.items():
        command[name] = value
    return command


def change(kind: CommandKind, number: int, **more: int) -> np.ndarray:
    """Return what is asked of an order that is there, in its owner's name."""
    command = np.zeros(1, COMMAND)
    command["kind"] = kind
    command["order"] = number
    command["member"] = EVERY
    for name, value in more.items():
        command[name] = value
    return command


def cancel(number: int) -> np.ndarray:
    return change(CommandKind.CANCEL, number)


def end_day() -> np.ndarray:
    command = np.zeros(1, COMMAND)
    command["kind"] = CommandKind.END_DAY
    return command


def phase(becomes: Phase, instrument: int = 0, reference: int = 0) -> np.ndarray:
    command = np.zeros(1, COMMAND)
    command["kind"] = CommandKind.PHASE
    command["phase"] = becomes
    command["instrument"] = instrument
    command["price"] = reference
    return command


def call(book: Book, instrument: int, *, reference: int = 0, price: int, volume: int, surplus: int) -> None:
    """Let an instrument be in a call, and its book have told what the auction would find."""
    market = book.markets[instrument]
    market["phase"], market["reference"] = Phase.PRE_OPEN, reference
    market["indicative_price"] = price
    market["indicative_volume"], market["indicative_surplus"] = volume, surplus
    book.counts["calls"] = 1


class Flow:
    """Random commands that keep several books busy: all that a member can do, calls, and some mistakes."""

    def __init__(self, seed: int, instruments: int = len(TICKS)) -> None:
        self._chance = random.Random(seed)
        self._middles = [self._chance.randrange(50, 5000) for _ in range(instruments)]
        self._known: deque[int] = deque(maxlen=150)
        self._next = 1

    def commands(self, count: int) -> np.ndarray:
        return np.concatenate([self._command() for _ in range(count)])

    def batches(self, commands: int, largest: int = 60) -> Iterator[np.ndarray]:
        """Cut so many commands into batches of random size."""
        while commands > 0:
            size = min(commands, int(self._chance.paretovariate(0.7)), largest)
            yield self.commands(size)
            commands -= size

    def _command(self) -> np.ndarray:
        chance = self._chance
        draw = chance.random()
        if draw < 0.004:
            return end_day()
        if draw < 0.024:
            becomes = chance.choice([Phase.PRE_OPEN] * 3 + [Phase.CONTINUOUS] * 6 + [Phase.AUCTION])
            return phase(becomes, chance.randrange(len(self._middles)), chance.choice([0, 2000]))
        if draw < 0.40 and self._known:
            return cancel(chance.choice(self._known))
        if draw < 0.42:
            return order(self._next, Side.BUY, 1, 100, instrument=chance.choice([-1, 99]))
        instrument = chance.randrange(len(self._middles))
        self._middles[instrument] = max(20, self._middles[instrument] + chance.randint(-1, 1))
        side = chance.choice([Side.BUY, Side.SELL])
        away = chance.randint(-3, 9) * (1 if side == Side.SELL else -1)
        number = self._next
        if chance.random() < 0.01 and self._known:
            number = self._known[-1]  # refused while that order rests
        self._next += 1
        self._known.append(number)
        return order(
            number,
            side,
            chance.randint(1, 9),
            max(1, self._middles[instrument] + away) * TICKS[instrument % len(TICKS)],
            instrument=instrument,
            time_in_force=chance.choice([TimeInForce.GTC] * 5 + [TimeInForce.DAY, TimeInForce.IOC]),
            group=chance.randint(1, 5),
            subsidised=chance.random() < 0.3,
            type=chance.choice([OrderType.LIMIT] * 9 + [OrderType.MARKET]),
        )


def everything(seed: int, commands: int) -> Iterator[np.ndarray]:
    """Yield all that may be asked of a book, stops and icebergs and all, in batches of random size."""
    tape = random_flow(seed, commands, instruments=len(TICKS), ticks=TICKS)
    chance = random.Random(seed)
    start = 0
    while start < len(tape):
        size = min(int(chance.paretovariate(0.7)), 60)
        yield tape[start : start + size]
        start += size


class Frame(NamedTuple):
    """What one batch has led to."""

    events: np.ndarray
    sequence: int
    time: int
    published: list[bytes]
    tape: np.ndarray


class Venue:
    """An engine's replica and its publisher.

    `truths` are the levels after every message of topic D, by run, instrument and number; `queues` are the
    orders after every message of topic O.
    """

    def __init__(self, instruments: int = len(TICKS), run: int = 1, tick: int | None = None) -> None:
        self.book = empty_book(instruments)
        for instrument in range(instruments):
            self.book.markets["tick"][instrument] = tick or TICKS[instrument % len(TICKS)]
            self.book.markets["collar"][instrument] = 100
        self.instruments = range(instruments)
        self.publisher = Publisher(run, sequence=0, time=START, book=self.book)
        self.sequence = 0
        self.trades = 0
        self.time = START
        self.truths: dict[tuple[int, int, int], Truth] = {}
        self.queues: dict[tuple[int, int, int], Queues] = {}
        self._note_start()

    def _note_start(self) -> None:
        for instrument in self.instruments:
            self.truths[self.publisher.run, instrument, 0] = truth(self.book, instrument)
            self.queues[self.publisher.run, instrument, 0] = queues_of(self.book, instrument)

    def restart(self, run: int) -> None:
        """Let a new publisher go on from here, as after a crash of its process."""
        self.publisher = Publisher(run, self.sequence, self.time, self.book)
        self._note_start()

    def play(self, commands: np.ndarray, passes_ns: int = SECOND // 10) -> Frame:
        self.book, events, tape = match_on_tape(self.book, commands)
        traded = events["kind"] == EventKind.TRADED
        trades = self.trades + np.cumsum(traded)
        first = self.sequence + 1
        self.sequence += len(commands)
        self.trades += int(traded.sum())
        self.time += passes_ns
        batch = batch_of(events, tape, first, self.sequence, self.time, trades)
        published = self.publisher.outgoing(batch, self.book)
        for message in map(read, published):
            if isinstance(message, Depth):
                key = (message.run, message.instrument, message.number)
                self.truths[key] = truth(self.book, message.instrument)
            elif isinstance(message, Orders):
                key = (message.run, message.instrument, message.number)
                self.queues[key] = queues_of(self.book, message.instrument)
        return Frame(events, self.sequence, self.time, published, tape)

    def heartbeat(self) -> Message:
        return read(self.publisher.heartbeat(self.time))

    def refresh(self, instrument: int, kind: bytes = LEVELS_REFRESH) -> Picture:
        message = read(self.publisher.refresh(kind, instrument, self.book))
        assert isinstance(message, Picture)
        return message

    def truth_of(self, builder: BookBuilder) -> Truth:
        """Return the engine's levels as of the last message of topic D that the builder has applied."""
        assert builder.run is not None
        return self.truths[builder.run, builder.instrument, builder.number]

    def queues_of(self, builder: BookBuilder) -> Queues:
        """Return the engine's orders as of the last message of topic O that the builder has applied."""
        assert builder.run is not None
        return self.queues[builder.run, builder.instrument, builder.number]


def batch_of(
    events: np.ndarray, tape: np.ndarray, first: int, last: int, time: int, trades: np.ndarray
) -> Batch:
    """Return a batch in which no programme pays for anything."""
    paid, subsidised = np.zeros(len(events), np.int64), np.zeros(len(events), np.uint8)
    return Batch(events, tape, first, last, time, trades, paid, subsidised)


def quiet(last: int = 0, time: int = START) -> Batch:
    """Return a batch up to a sequence in which nothing happened."""
    column = np.zeros(0, np.int64)
    return batch_of(np.zeros(0, EVENT), np.zeros(0, TAPE), last, last, time, column)


def truth(book: Book, instrument: int) -> Truth:
    """Return bids and asks as the engine has them, best first."""
    bids, asks = (depth_of(book, instrument, side, 10_000).tolist() for side in Side)
    return [tuple(row) for row in bids], [tuple(row) for row in asks]


def queues_of(book: Book, instrument: int) -> Queues:
    """Return the resting orders as the engine has them."""
    bids, asks = (
        list(zip(rows["price"].tolist(), rows["id"].tolist(), rows["shown"].tolist(), strict=True))
        for rows in (orders_of(book, instrument, side) for side in Side)
    )
    return bids, asks


def market_of(book: Book, instrument: int) -> tuple[object, ...]:
    """Return an instrument's phase, reference and indicative price as the engine has them."""
    market = book.markets[instrument]
    facts = [int(market[name]) for name in ("phase", "reference")]
    if market["phase"] not in CALLS:
        return *facts, IndicativePrice(0, 0, 0, 0)
    surplus = int(market["indicative_surplus"])
    price, volume = int(market["indicative_price"]), int(market["indicative_volume"])
    return *facts, IndicativePrice(price, volume, abs(surplus), Side.SELL if surplus < 0 else Side.BUY)


def market_seen(builder: BookBuilder) -> tuple[object, ...]:
    """Return an instrument's phase, reference and indicative price as the reader has them."""
    assert builder.status is not None
    return builder.status.phase, builder.status.reference, builder.indicative


def seen(builder: BookBuilder) -> Truth:
    """Return bids and asks as the reader has them, best first."""
    bids, asks = ([(one[0], one[1], one[2]) for one in side] for side in (builder.bids, builder.asks))
    return bids, asks


def heal(venue: Venue, builders: Iterable[BookBuilder], now: int) -> None:
    """Say what a second brings: a heartbeat, and the refreshes that it makes readers ask for."""
    for builder in builders:
        builder.take(venue.heartbeat(), now)
        if builder.wants_refresh(now):
            builder.asked(now)
            builder.take(venue.refresh(builder.instrument, builder.wanted), now)
        if builder.wants_refresh(now):  # the first refresh only named the publisher's new run
            builder.asked(now)
            builder.take(venue.refresh(builder.instrument, builder.wanted), now)
        assert builder.state == State.LIVE
