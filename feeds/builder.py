"""One instrument's book on the reader's side, kept whole through losses, restarts and late joins.

The steps, as exchanges document them for their depth streams, told with this feed's words. They hold for
`D` (levels) and for `O` (orders) alike, and anyone can follow them in any language:

1. Subscribe to the instrument's topic (its first five bytes) and to heartbeats (`H`, -1). Keep every
   message of the topic that comes.
2. Ask for a refresh (`R` for levels, `L` for orders). It names its run and the number N of the last
   message that is in it.
3. Drop the kept messages up to N. If the first one left is not N + 1, ask again (step 2).
4. Take the refresh as the book. Apply what was kept, then what comes, number after number. A level
   update replaces its level's total; quantity 0 removes the level, whether or not it was known. An order
   update that says *placed* puts the order last at its price, out of wherever it stood; any other leaves
   it in its place with the quantity told, or removes it if that is 0.
5. A number at or below the last one applied has been seen: leave it out.
6. A number that skips, or a heartbeat that names a higher one than the last applied, is a gap: the book is
   as of the last number applied. Go on keeping messages, and ask for a refresh. (What was missing may
   also come late, and heals it.)
7. A message of another run means that the publisher has started anew: forget everything, step 2.
8. Of status, indicative price and top the highest number holds, whether it came in a message or in a
   refresh; what was between is of no more use. A heartbeat that names a higher one is a gap, as in 6.
9. Nothing heard for three seconds, not even a heartbeat: the book is stale. It may be right; nobody knows.

What no publisher sends (an order changed that does not stand, a level with fewer than no lots) is never
guessed at: the book is thrown away, and a refresh asked for.

Nothing in here waits or sends: messages and the time are arguments, and who drives the builder asks
for a refresh when `wants_refresh` says so (`feeds.subscriber` does).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

from feeds.ladder import ImpossibleUpdateError, Ladder, Level
from feeds.messages import (
    DEPTH,
    INDICATIVE,
    LEVELS_REFRESH,
    ORDERS,
    ORDERS_REFRESH,
    STATUS,
    TOPS,
    TRADES,
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
)
from feeds.queues import Place, Queues, RestingOrder
from feeds.records import IndicativePrice, StatusChange, Top, Totals, TradePrint
from feeds.recovery import NOTHING, Chain, Latest, Seen
from matching.vocabulary import Side

__all__ = ["BookBuilder", "Books", "Level", "Place", "RestingOrder", "State"]

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


class BookBuilder:
    """One instrument's book, market and losses, from messages in whatever order they come.

    With `orders` the book is made order by order (L3), without from price levels (L2). `now`, wherever it
    is asked for, is the reader's own clock in ns, from any origin, never running back. `sequence` is the
    journal's sequence, and `time` (ns since 1970, UTC) the time, that the book is as of.
    """

    def __init__(
        self,
        instrument: int,
        *,
        orders: bool = False,
        silence_ns: int = SILENCE_NS,
        ask_again_ns: int = ASK_AGAIN_NS,
    ) -> None:
        self.instrument = instrument
        self.has_orders = orders
        self.losses = 0
        """How often a book that was whole has been found not to be."""
        self.last_trade: TradePrint | None = None
        self._trades = Seen()
        self._silence_ns = silence_ns
        self._ask_again_ns = ask_again_ns
        self._heard_at: int | None = None
        self._silent = False
        self._forget(None)

    def _forget(self, run: int | None) -> None:
        """Begin anew with this run of the publisher."""
        self.run = run
        self.totals: Totals | None = None
        """This run's trades as of the last picture that has come; None before the first."""
        self._totals_as_of = NOTHING
        self._status: Latest[StatusChange] = Latest()
        self._indicative: Latest[IndicativePrice] = Latest()
        self._top: Latest[Top] = Latest()
        self._trades.begin_anew()
        self._asked_at: int | None = None
        self._forget_book()

    def _forget_book(self) -> None:
        self.sequence = 0
        self.time = 0
        self._book: Ladder | Queues = Queues() if self.has_orders else Ladder()
        self._chain: Chain[Depth | Orders] = Chain()
        self._whole = False

    def follow_orders(self) -> None:
        """Make the book order by order from now on; of its levels it shows the same as before."""
        if not self.has_orders:
            self.has_orders = True
            self._asked_at = None
            self._forget_book()

    # --- what there is to see ------------------------------------------------------------------

    @property
    def number(self) -> int:
        """The number of the last message in the book; `NOTHING` while there is no book."""
        return self._chain.number

    @property
    def state(self) -> State:
        """How far the book can be trusted, after all that was taken and the last `tick`."""
        if self.number == NOTHING:
            return State.WAITING
        if not self._whole:
            return State.GAPPED
        return State.STALE if self._silent else State.LIVE

    @property
    def status(self) -> StatusChange | None:
        """What the market is doing: its phase and reference price; None before it is known."""
        return self._status.value

    @property
    def indicative(self) -> IndicativePrice | None:
        """What the auction would find; None before it is known."""
        return self._indicative.value

    @property
    def top(self) -> Top | None:
        """The best level of each side as the publisher told it last; None before it is known."""
        return self._top.value

    @property
    def trades_missed(self) -> int:
        """Messages of the trades topic that never came; the venue's history has what they said."""
        return self._trades.missed

    @property
    def trades_missing(self) -> list[range]:
        """The numbers of those, of this run of the publisher, lowest first; only the last 1,024 stretches."""
        return self._trades.missing

    @property
    def bids(self) -> list[Level]:
        """The buying side, highest price first."""
        return self._book.depth(Side.BUY)

    @property
    def asks(self) -> list[Level]:
        """The selling side, lowest price first."""
        return self._book.depth(Side.SELL)

    @property
    def best_bid(self) -> Level | None:
        """The highest bid. O(1); with orders, O(orders) at that price."""
        return self._book.best(Side.BUY)

    @property
    def best_ask(self) -> Level | None:
        """The lowest ask. O(1); with orders, O(orders) at that price."""
        return self._book.best(Side.SELL)

    def depth(self, side: int, levels: int) -> list[Level]:
        """Return at most so many levels of a side, best first."""
        return self._book.depth(side, levels)

    def queue(self, side: int, price: int) -> list[tuple[int, int]]:
        """Return the orders at a price and the lots that each shows, first come first; needs orders."""
        return self._queues().queue(side, price)

    def orders(self, side: int) -> list[RestingOrder]:
        """Return a side's orders, best price first, first come first at each; needs orders."""
        return self._queues().orders(side)

    def place_of(self, order: int) -> Place | None:
        """Return what stands ahead of an order at its price; None where it does not stand; needs orders."""
        return self._queues().place_of(order)

    def _queues(self) -> Queues:
        assert isinstance(self._book, Queues), "this book is made from levels: make it with orders=True"
        return self._book

    # --- what comes in -------------------------------------------------------------------------

    def take(self, message: Message, now: int) -> None:
        """Take a message about this instrument, or a heartbeat. Any order, any number of times."""
        was_whole = self._whole
        if (
            was_whole
            and isinstance(message, Orders if self.has_orders else Depth)
            and message.number == self._chain.number + 1
            and message.run == self.run
        ):  # the common case, which needs no bookkeeping
            self._heard_at, self._silent = now, False
            self._chain.number += 1
            self._apply([message])
        else:
            if isinstance(message, Picture) and message.kind in (LEVELS_REFRESH, ORDERS_REFRESH):
                self._take_refresh(message)
            else:
                self._hear(message.run, now)
                self._take_told(message)
            self._whole = self._is_whole()
        if was_whole and not self._whole:
            self.losses += 1
            self._asked_at = None

    def tick(self, now: int) -> None:
        """Let time pass: a reader that hears nothing for too long has a stale book."""
        if self._heard_at is None:
            self._heard_at = now
        self._silent = now - self._heard_at > self._silence_ns

    @property
    def topics(self) -> tuple[bytes, ...]:
        """The kinds of message that it is made from, heartbeats apart."""
        return (TRADES, STATUS, INDICATIVE, TOPS, ORDERS if self.has_orders else DEPTH)

    @property
    def wanted(self) -> bytes:
        """The kind of refresh to ask for."""
        return ORDERS_REFRESH if self.has_orders else LEVELS_REFRESH

    def wants_refresh(self, now: int) -> bool:
        """Tell whether a refresh should be asked for now."""
        if self._whole:
            return False
        return self._asked_at is None or now - self._asked_at >= self._ask_again_ns

    def asked(self, now: int) -> None:
        """Note that a refresh has been asked for."""
        self._asked_at = now

    # --- the steps -----------------------------------------------------------------------------

    def _is_whole(self) -> bool:
        """Tell whether all that is known to have been sent has come; `_whole` remembers it."""
        return all(topic.is_whole for topic in (self._chain, self._status, self._indicative, self._top))

    def _hear(self, run: int, now: int) -> None:
        """Note a sign of life from the publisher; of a new one, forget what the old one said."""
        self._heard_at, self._silent = now, False
        if run != self.run:
            self._forget(run)

    def _take_told(self, message: Message) -> None:
        match message:
            case Depth() | Orders():
                if isinstance(message, Orders) == self.has_orders:
                    self._apply(self._chain.take(message.number, message))
            case Trades():
                self._trades.take(message.number)
                if message.rows:
                    self._note_trade(message.prints[-1])
            case Quote():
                self._top.take(message.number, message.top)
            case Status():
                self._status.take(message.number, message.changes[-1])
            case Indicative():
                self._indicative.take(message.number, message.indicative)
            case Heartbeat():
                self._take_heartbeat(message)
            case Picture():
                self._note_totals(message)
            case Document():
                pass  # it is of no book

    def _take_heartbeat(self, heartbeat: Heartbeat) -> None:
        def last(kind: bytes) -> int:
            return heartbeat.numbers.get((kind, self.instrument), 0)

        self._chain.note(last(ORDERS if self.has_orders else DEPTH))
        self._status.note(last(STATUS))
        self._indicative.note(last(INDICATIVE))
        self._top.note(last(TOPS))
        self._trades.note(last(TRADES))
        if heartbeat.sequence > self.sequence and self._is_whole():
            self.sequence = heartbeat.sequence
            self.time = heartbeat.time

    def _take_refresh(self, picture: Picture) -> None:
        """Take the whole book, if it is newer than what there is.

        One of another run is not taken, since nothing tells which run is the later: asking again
        brings the living publisher's. A book that is whole waits for that one's own messages.
        """
        if self.run is None:
            self.run = picture.run
        if picture.run != self.run:
            if not self._whole:
                self._forget(picture.run)
            return
        self._note_totals(picture)
        if picture.kind != self.wanted:
            return
        try:
            book = (Queues if self.has_orders else Ladder).load(picture.rows)
        except ImpossibleUpdateError:
            return  # asked for again in a while
        self._asked_at = None
        self._status.take(picture.numbers.status, picture.status)
        self._indicative.take(picture.numbers.indicative, picture.indicative)
        self._top.take(picture.numbers.top, _top_of(book))
        self._trades.begin(picture.numbers.trades)
        if picture.number > self.number:
            self._book = book
            self.sequence = picture.sequence
            self.time = picture.time
            self._apply(self._chain.begin(picture.number))

    def _apply(self, messages: list[Depth | Orders] | list[Depth] | list[Orders]) -> None:
        """Apply messages whose numbers follow one another; what cannot be leaves no book."""
        try:
            for message in messages:
                self._book.apply(message.rows)
                self.sequence = message.sequence
                self.time = message.time
        except ImpossibleUpdateError:
            known = max(self._chain.known, self._chain.number)
            self._forget_book()
            self._chain.note(known)

    def _note_totals(self, picture: Picture) -> None:
        if picture.sequence > self._totals_as_of:
            self._totals_as_of = picture.sequence
            self.totals = picture.totals
        if picture.last_trade is not None:
            self._note_trade(picture.last_trade)

    def _note_trade(self, trade: TradePrint) -> None:
        if self.last_trade is None or trade.trade > self.last_trade.trade:
            self.last_trade = trade


def _top_of(book: Ladder | Queues) -> Top:
    bid, ask = (book.best(side) or Level(0, 0, 0) for side in (Side.BUY, Side.SELL))
    return Top(bid.price, bid.quantity, ask.price, ask.quantity, bid.orders, ask.orders)


class Books:
    """The builders of several instruments, each given what concerns it; with `orders`, order by order."""

    def __init__(self, instruments: Iterable[int] = (), *, orders: bool = False) -> None:
        self._builders = {instrument: BookBuilder(instrument, orders=orders) for instrument in instruments}

    def __getitem__(self, instrument: int) -> BookBuilder:
        return self._builders[instrument]

    def __contains__(self, instrument: object) -> bool:
        return instrument in self._builders

    def __iter__(self) -> Iterator[BookBuilder]:
        return iter(self._builders.values())

    def add(self, instrument: int, *, orders: bool = False) -> BookBuilder:
        """Follow one more instrument; one that is followed by levels goes over to orders if asked."""
        builder = self._builders.get(instrument)
        if builder is None:
            builder = self._builders[instrument] = BookBuilder(instrument, orders=orders)
        elif orders:
            builder.follow_orders()
        return builder

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

    def wanting(self, now: int) -> list[tuple[bytes, int]]:
        """Return which refreshes should be asked for now, each with its instrument."""
        return [(builder.wanted, builder.instrument) for builder in self if builder.wants_refresh(now)]
