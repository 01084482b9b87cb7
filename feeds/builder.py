"""One instrument's book on the reader's side, kept whole through losses, restarts and late joins.

The steps, as Binance documents them for its depth stream ("How to manage a local order book
correctly"), told with this feed's words. Anyone can follow them in any language:

1. Subscribe to the instrument's topics and to heartbeats. Keep every depth message that comes.
2. Ask for a refresh. It names its run and the number N of the last depth message that is in it.
3. Drop the kept messages up to N. If the first one left is not N + 1, ask again (step 2).
4. Take the refresh as the book. Apply what was kept, then what comes, number after number. Each
   record replaces its level's total; quantity 0 removes the level, whether or not it was known.
5. A number at or below the last one applied has been seen: leave it out.
6. A number that skips, or a heartbeat that names a higher one than the last applied, is a gap: go
   on keeping messages, and ask for a refresh. (What was missing may also come late, and heals it.)
7. A message of another run means that the publisher has started anew: forget everything, step 2.
8. Of the status and indicative topics the highest number holds, whether it came in a message or in a
   refresh; what was between is of no more use. A heartbeat that names a higher one is a gap, as in 6.

Nothing in here waits or sends: messages and the time are arguments, and who drives the builder asks
for a refresh when `wants_refresh` says so (`feeds.subscriber` does).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple, assert_never

from feeds.messages import (
    DEPTH,
    INDICATIVE,
    STATUS,
    TRADES,
    Depth,
    Heartbeat,
    Indicative,
    IndicativePrice,
    LevelUpdate,
    Message,
    Refresh,
    Status,
    StatusChange,
    TradePrint,
    Trades,
)
from matching.vocabulary import Side

NOTHING = -1
"""The number of the last message applied, before there is a book. Topics count from 1; a refresh
taken before a topic's first message is as of number 0."""

KEPT_MAX = 65_536
"""Most depth messages kept while a refresh is under way; the oldest go first. A gap that long takes
a newer refresh, and gets one."""

SILENCE_NS = 3_000_000_000
"""After so long without a message or heartbeat the book is STALE: three heartbeats."""

ASK_AGAIN_NS = 1_000_000_000
"""A refresh that has not come after so long is asked for again."""


class State(Enum):
    """How far a builder's book can be trusted."""

    WAITING = "waiting"
    """There is no book yet: a refresh is needed."""
    LIVE = "live"
    """The book is whole, as of the last message or heartbeat."""
    GAPPED = "gapped"
    """A message is missing: the book is as of an earlier one, and a refresh is needed."""
    STALE = "stale"
    """The book is whole as far as is known, but nothing has been heard for too long."""


class Level(NamedTuple):
    """All orders at one price of one side: price in hao per lot, quantity in lots."""

    price: int
    quantity: int
    orders: int


class Half:
    """The levels of one side. A change costs O(log n) comparisons, and a move of pointers."""

    def __init__(self, best_is_last: bool) -> None:
        self._best_is_last = best_is_last
        self._levels: dict[int, LevelUpdate] = {}
        self._prices: list[int] = []  # ascending

    def put(self, update: LevelUpdate) -> None:
        """Give one level its new total."""
        price = update.price
        if update.quantity:
            if price not in self._levels:
                insort(self._prices, price)
            self._levels[price] = update
        elif self._levels.pop(price, None) is not None:
            del self._prices[bisect_left(self._prices, price)]

    def __iter__(self) -> Iterator[Level]:
        """Go through the levels, best first."""
        prices = reversed(self._prices) if self._best_is_last else iter(self._prices)
        return (self._level(price) for price in prices)

    def best(self) -> Level | None:
        """Return the best level, if any order stands on this side."""
        if not self._prices:
            return None
        return self._level(self._prices[-1 if self._best_is_last else 0])

    def _level(self, price: int) -> Level:
        update = self._levels[price]
        return Level(price, update.quantity, update.orders)


def empty_halves() -> tuple[Half, Half]:
    """Return bids and asks without a level, to be indexed by `Side`."""
    return Half(best_is_last=True), Half(best_is_last=False)


class BookBuilder:
    """One instrument's book, status, last trade and losses, from messages in whatever order they come.

    `now`, wherever it is asked for, is the reader's own clock in ns, from any origin, never running
    back. `number` is that of the last depth message in the book, `sequence` the journal's sequence
    and `time` (ns since 1970, UTC) that it is as of.
    """

    def __init__(
        self, instrument: int, silence_ns: int = SILENCE_NS, ask_again_ns: int = ASK_AGAIN_NS
    ) -> None:
        self.instrument = instrument
        self.losses = 0
        """How often a book that was whole has been found not to be."""
        self.trades_missed = 0
        """Messages of the trades topic that never came; the venue's history has what they said."""
        self.last_trade: TradePrint | None = None
        self._silence_ns = silence_ns
        self._ask_again_ns = ask_again_ns
        self._heard_at: int | None = None
        self._silent = False
        self._forget(None)

    def _forget(self, run: int | None) -> None:
        """Begin anew with this run of the publisher."""
        self.run = run
        self.sequence = 0
        self.time = 0
        self.status: StatusChange | None = None
        self.indicative: IndicativePrice | None = None
        self._halves = empty_halves()
        self._numbers = dict.fromkeys((DEPTH, STATUS, INDICATIVE), NOTHING)
        self._last_known = dict.fromkeys(self._numbers, 0)
        self._kept: dict[int, Depth] = {}
        self._trades_number: int | None = None
        self._asked_at: int | None = None

    # --- what there is to see ------------------------------------------------------------------

    @property
    def number(self) -> int:
        """The number of the last depth message in the book; `NOTHING` while there is no book."""
        return self._numbers[DEPTH]

    @property
    def state(self) -> State:
        """How far the book can be trusted, after all that was taken and the last `tick`."""
        if self.number == NOTHING:
            return State.WAITING
        if not self._is_whole():
            return State.GAPPED
        return State.STALE if self._silent else State.LIVE

    @property
    def bids(self) -> list[Level]:
        """The buying side, highest price first."""
        return list(self._halves[Side.BUY])

    @property
    def asks(self) -> list[Level]:
        """The selling side, lowest price first."""
        return list(self._halves[Side.SELL])

    @property
    def best_bid(self) -> Level | None:
        """The highest bid. O(1)."""
        return self._halves[Side.BUY].best()

    @property
    def best_ask(self) -> Level | None:
        """The lowest ask. O(1)."""
        return self._halves[Side.SELL].best()

    # --- what comes in -------------------------------------------------------------------------

    def take(self, message: Message, now: int) -> None:
        """Take a message about this instrument, or a heartbeat. Any order, any number of times."""
        was_whole = self._is_whole()
        match message:
            case Depth():
                self._hear(message.run, now)
                self._take_depth(message)
            case Trades():
                self._hear(message.run, now)
                self._take_trades(message)
            case Status():
                self._hear(message.run, now)
                self._take_status(message.number, message.changes[-1])
            case Indicative():
                self._hear(message.run, now)
                self._take_indicative(message.number, message.indicative)
            case Heartbeat():
                self._hear(message.run, now)
                self._take_heartbeat(message)
            case Refresh():
                self._take_refresh(message)
            case _:
                assert_never(message)
        if was_whole and not self._is_whole():
            self.losses += 1
            self._asked_at = None

    def tick(self, now: int) -> None:
        """Let time pass: a reader that hears nothing for too long has a stale book."""
        if self._heard_at is None:
            self._heard_at = now
        self._silent = now - self._heard_at > self._silence_ns

    def wants_refresh(self, now: int) -> bool:
        """Tell whether a refresh should be asked for now."""
        if self._is_whole():
            return False
        return self._asked_at is None or now - self._asked_at >= self._ask_again_ns

    def asked(self, now: int) -> None:
        """Note that a refresh has been asked for."""
        self._asked_at = now

    # --- the steps -----------------------------------------------------------------------------

    def _is_whole(self) -> bool:
        return all(self._numbers[kind] >= last for kind, last in self._last_known.items())

    def _hear(self, run: int, now: int) -> None:
        """Note a sign of life from the publisher; of a new one, forget what the old one said."""
        self._heard_at = now
        self._silent = False
        if run != self.run:
            self._forget(run)

    def _take_depth(self, depth: Depth) -> None:
        if depth.number <= self.number:
            return
        self._note_known(DEPTH, depth.number)
        if depth.number == self.number + 1 and not self._kept:
            self._apply(depth)
            return
        self._kept[depth.number] = depth
        if len(self._kept) > KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._catch_up()

    def _note_known(self, kind: bytes, number: int) -> None:
        """Note that a topic has come at least so far."""
        self._last_known[kind] = max(self._last_known[kind], number)

    def _take_status(self, number: int, status: StatusChange) -> None:
        """Take what the market is doing, unless something newer is known."""
        if number > self._numbers[STATUS]:
            self._numbers[STATUS] = number
            self.status = status

    def _take_indicative(self, number: int, indicative: IndicativePrice) -> None:
        """Take what the auction would find, unless something newer is known."""
        if number > self._numbers[INDICATIVE]:
            self._numbers[INDICATIVE] = number
            self.indicative = indicative

    def _take_trades(self, trades: Trades) -> None:
        """Note the last trade. What comes twice or late changes nothing: numbers only rise."""
        if self._trades_number is not None:
            if trades.number <= self._trades_number:
                return
            self.trades_missed += trades.number - self._trades_number - 1
        self._trades_number = trades.number
        self._note_trade(trades.prints[-1] if trades.prints else None)

    def _take_heartbeat(self, heartbeat: Heartbeat) -> None:
        for kind in self._last_known:
            self._note_known(kind, heartbeat.numbers.get((kind, self.instrument), 0))
        if self._is_whole() and heartbeat.sequence > self.sequence:
            self.sequence = heartbeat.sequence
            self.time = heartbeat.time
        last_trades = heartbeat.numbers.get((TRADES, self.instrument), 0)
        if self._trades_number is None:
            self._trades_number = last_trades
        elif last_trades > self._trades_number:
            self.trades_missed += last_trades - self._trades_number
            self._trades_number = last_trades

    def _take_refresh(self, refresh: Refresh) -> None:
        """Take the whole book, if it is newer than what there is.

        One of another run is not taken, since nothing tells which run is the later: asking again
        brings the living publisher's. A book that is whole waits for that one's own messages.
        """
        if self.run is None:
            self.run = refresh.run
        if refresh.run != self.run:
            if not self._is_whole():
                self._forget(refresh.run)
            return
        self._asked_at = None
        self._take_status(refresh.status_number, refresh.status)
        self._take_indicative(refresh.indicative_number, refresh.indicative)
        if refresh.number <= self.number:
            return
        self._halves = empty_halves()
        for level in refresh.levels:
            self._halves[level.side].put(level)
        self._numbers[DEPTH] = refresh.number
        self.sequence = refresh.sequence
        self.time = refresh.time
        self._note_known(DEPTH, refresh.number)
        self._kept = {at: depth for at, depth in self._kept.items() if at > refresh.number}
        self._catch_up()
        if self._trades_number is None:
            self._trades_number = refresh.trades_number
        self._note_trade(refresh.last_trade)

    def _catch_up(self) -> None:
        """Apply what was kept, as far as the numbers follow one another."""
        while (depth := self._kept.pop(self.number + 1, None)) is not None:
            self._apply(depth)

    def _apply(self, depth: Depth) -> None:
        for update in depth.levels:
            self._halves[update.side].put(update)
        self._numbers[DEPTH] = depth.number
        self.sequence = depth.sequence
        self.time = depth.time

    def _note_trade(self, trade: TradePrint | None) -> None:
        last = self.last_trade
        if trade is not None and (last is None or trade.trade > last.trade):
            self.last_trade = trade


class Books:
    """The builders of several instruments, each given what concerns it."""

    def __init__(self, instruments: Iterable[int] = ()) -> None:
        self._builders = {instrument: BookBuilder(instrument) for instrument in instruments}

    def __getitem__(self, instrument: int) -> BookBuilder:
        return self._builders[instrument]

    def __iter__(self) -> Iterator[BookBuilder]:
        return iter(self._builders.values())

    def add(self, instrument: int) -> BookBuilder:
        """Follow one more instrument, if it is not followed yet."""
        return self._builders.setdefault(instrument, BookBuilder(instrument))

    def take(self, message: Message, now: int) -> None:
        """Give a message to whom it concerns, if anyone: the instrument may not be followed."""
        if isinstance(message, Heartbeat):
            for builder in self:
                builder.take(message, now)
        elif message.instrument in self._builders:
            self._builders[message.instrument].take(message, now)

    def tick(self, now: int) -> None:
        """Let time pass for every builder."""
        for builder in self:
            builder.tick(now)

    def wanting(self, now: int) -> list[int]:
        """Return the instruments of which a refresh should be asked for now."""
        return [builder.instrument for builder in self if builder.wants_refresh(now)]
