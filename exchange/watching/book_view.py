"""One instrument as its screen shows it: the ladder, the trades heard, and how far they can be trusted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from exchange.watching.words import NS_PER_SECOND, Health, Trust, change_basis
from feeds.builder import BookBuilder, Level, State
from feeds.documents import Definition
from feeds.messages import Message, Picture, Trades
from feeds.records import IndicativePrice, Totals, TradePrint
from matching.permissions import CALLS
from matching.vocabulary import Phase, Side

TRADES_KEPT = 500
"""How many trades the tape remembers."""

_TRUST = {
    State.WAITING: Trust.WAITING,
    State.LIVE: Trust.LIVE,
    State.GAPPED: Trust.GAPPED,
    State.STALE: Trust.STALE,
}


class TapeRow(NamedTuple):
    """A trade, and when the feed told it, ns since 1970, UTC."""

    time: int
    told: TradePrint


class Queued(NamedTuple):
    """A level, and the lots of its orders, first come first; none where only levels are followed."""

    level: Level
    orders: tuple[int, ...]


class BookShown(NamedTuple):
    """What there is to be seen of a book at one moment: prices in hao per lot, quantities in lots.

    `totals` are of all trades since the venue's feed began, as of its last picture. `trades_missed` are
    messages of trades that never came: the tape has a hole then.
    """

    definition: Definition
    health: Health
    sequence: int
    time: int
    phase: int | None
    cause: int
    reference: int
    indicative: IndicativePrice | None
    bids: tuple[Queued, ...]
    asks: tuple[Queued, ...]
    last: TradePrint | None
    totals: Totals | None
    resyncs: int
    trades_missed: int
    tape: tuple[TapeRow, ...]

    @property
    def change(self) -> int | None:
        """How far the last price is from the reference price, in basis points."""
        return change_basis(self.last.price if self.last else None, self.reference)

    @property
    def spread(self) -> int | None:
        """How far the best ask lies above the best bid, in hao; below 0 in a call; None without both."""
        if not (self.bids and self.asks):
            return None
        return self.asks[0].level.price - self.bids[0].level.price


class BookView:
    """Follows what a book's builder does not keep: the tape, and how long nothing has been heard."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.tape: deque[TapeRow] = deque(maxlen=TRADES_KEPT)
        self._newest = 0
        self._heard_at: int | None = None

    def take(self, messages: Iterable[Message], now: int) -> None:
        """Note the trades; each once, however often it is told."""
        for message in messages:
            if not isinstance(message, Picture):
                self._heard_at = now
            if isinstance(message, Trades) and message.instrument == self.definition.index:
                for told in message.prints:
                    self._note(TapeRow(message.time, told))

    def _note(self, row: TapeRow) -> None:
        if row.told.trade > self._newest:
            self._newest = row.told.trade
            self.tape.appendleft(row)

    def health(self, book: BookBuilder, now: int) -> Health:
        """Return how far the book can be trusted."""
        trust = _TRUST[book.state]
        match trust:
            case Trust.STALE:
                silence = now - (self._heard_at or now)
                return Health(trust, f" for {silence // NS_PER_SECOND} s")
            case Trust.GAPPED:
                return Health(trust, ": asking")
            case Trust.WAITING:
                return Health(trust, " for the book")
            case _:
                return Health(trust)

    def shown(self, book: BookBuilder, now: int, depth: int, *, orders: bool = False) -> BookShown:
        """Return what there is to be seen, so many levels of each side deep, and of the tape."""
        status = book.status
        phase = status.phase if status else None
        return BookShown(
            definition=self.definition,
            health=self.health(book, now),
            sequence=book.sequence,
            time=book.time,
            phase=phase,
            cause=status.cause if status else 0,
            reference=status.reference if status else 0,
            indicative=book.indicative if phase is not None and Phase(phase) in CALLS else None,
            bids=_queued(book, Side.BUY, depth, orders and book.has_orders),
            asks=_queued(book, Side.SELL, depth, orders and book.has_orders),
            last=book.last_trade,
            totals=book.totals,
            resyncs=book.losses,
            trades_missed=book.trades_missed,
            tape=tuple(self.tape),
        )


def _queued(book: BookBuilder, side: Side, depth: int, orders: bool) -> tuple[Queued, ...]:
    return tuple(
        Queued(level, tuple(lots for _, lots in book.queue(side, level.price)) if orders else ())
        for level in book.depth(side, depth)
    )
