"""The market at one glance, folded from views: a row an instrument, whole or known not to be.

A view is told each second of what has changed. One that is missed is not told again, so each heartbeat is
held against the rows: a row that is behind what the heartbeat before told has missed a view, and a refresh
is asked for. So a row is as of the last second, or it is marked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from exchange.watching.words import NS_PER_SECOND, Health, Trust, change_basis
from feeds.documents import Budget, Definition, budgets_of, definitions_of
from feeds.messages import (
    DEFINITIONS,
    DEPTH,
    EVERY_INSTRUMENT,
    INDICATIVE,
    LEVELS_REFRESH,
    ORDERS_REFRESH,
    PROGRAMMES,
    STATUS,
    TRADES,
    Document,
    Heartbeat,
    Message,
    Picture,
)
from feeds.records import IndicativePrice, LastNumbers, LevelUpdate, StatusChange, Totals
from matching.permissions import CALLS
from matching.vocabulary import Side

SILENCE_NS = 3 * NS_PER_SECOND
"""After so long without a message the market is stale: three heartbeats."""

ASK_AGAIN_NS = NS_PER_SECOND

ASKS_MAX = 32
"""Most refreshes under way at once."""

_NEVER = StatusChange(0, 0, 0, 0, 0)


class Row(NamedTuple):
    """One instrument as the overview shows it: prices and amounts in hao, quantities in lots.

    Totals are of the trades since the venue's feed began. `is_old`: a refresh is under way.
    """

    definition: Definition
    status: StatusChange
    bid: LevelUpdate | None
    ask: LevelUpdate | None
    last: int | None
    indicative: IndicativePrice | None
    totals: Totals
    is_old: bool

    @property
    def change(self) -> int | None:
        """How far the last price is from the reference price, in basis points."""
        return change_basis(self.last, self.status.reference)


class Overview:
    """All instruments of the market. `now` is the reader's clock in ns; it never runs back."""

    def __init__(self) -> None:
        self.definitions: dict[int, Definition] = {}
        self.budgets: tuple[Budget, ...] = ()
        self.time = 0
        """The newest time that the feed told, ns since 1970, UTC."""
        self.resyncs = 0
        """How often a row has been found to have missed a view."""
        self._run: int | None = None
        self._heard_at: int | None = None
        self._pictures: dict[int, Picture] = {}
        self._tops: dict[int, tuple[LevelUpdate | None, LevelUpdate | None]] = {}
        self._known: dict[int, LastNumbers] = {}  # as the last heartbeat told
        self._wanted: dict[int, int | None] = {}  # when it was asked for
        self._defined = -1
        self._definitions_asked_at: int | None = None

    def take(self, messages: Iterable[Message], now: int) -> None:
        """Take what the feed brought, in any order, any number of times."""
        for message in messages:
            is_answer = isinstance(message, Picture) and message.kind in (LEVELS_REFRESH, ORDERS_REFRESH)
            if not is_answer:
                self._heard_at = now
                if message.run != self._run:
                    self._begin(message.run)
            elif message.run != self._run:
                continue
            self.time = max(self.time, message.time)
            match message:
                case Picture():
                    self._take_picture(message)
                case Heartbeat():
                    self._take_heartbeat(message)
                case Document(kind=kind) if kind == DEFINITIONS:
                    self._take_definitions(message)
                case Document(kind=kind) if kind == PROGRAMMES:
                    self.budgets = budgets_of(message)
                case _:
                    pass

    def asks(self, now: int) -> list[tuple[bytes, int]]:
        """Return what should be asked for now; it counts as asked."""
        asks: list[tuple[bytes, int]] = []
        if self._defined < 0 and _is_due(self._definitions_asked_at, now):
            self._definitions_asked_at = now
            asks.append((DEFINITIONS, EVERY_INSTRUMENT))
        under_way = sum(not _is_due(asked_at, now) for asked_at in self._wanted.values())
        for instrument, asked_at in self._wanted.items():
            if under_way >= ASKS_MAX:
                break
            if _is_due(asked_at, now):
                self._wanted[instrument] = now
                under_way += 1
                asks.append((LEVELS_REFRESH, instrument))
        return asks

    def health(self, now: int) -> Health:
        """Return how far all rows together can be trusted."""
        if self._heard_at is None or not self.definitions:
            return Health(Trust.WAITING, " for the feed")
        silence = now - self._heard_at
        if silence > SILENCE_NS:
            return Health(Trust.STALE, f" for {silence // NS_PER_SECOND} s")
        missing = len(self.definitions) - len(self._pictures)
        if missing > 0:
            return Health(Trust.WAITING, f" for {_books(missing)}")
        if self._wanted or self._defined < 0:
            return Health(Trust.GAPPED, f": asking for {_books(len(self._wanted))}")
        return Health(Trust.LIVE)

    @property
    def is_whole(self) -> bool:
        """Whether every instrument is known, and its row is not behind."""
        return self._defined >= 0 and not self._wanted

    def rows(self) -> list[Row]:
        """Return a row of every instrument, by its number."""
        return [self._row(definition) for _, definition in sorted(self.definitions.items())]

    # --- the steps -----------------------------------------------------------------------------

    def _begin(self, run: int) -> None:
        """Ask for everything anew: this run's publisher counts anew, and so do its totals."""
        if self._run is not None:
            self.resyncs += 1
        self._run = run
        self._known = {}
        self._wanted = dict.fromkeys(self.definitions)
        self._defined = -1
        self._definitions_asked_at = None

    def _take_definitions(self, message: Document) -> None:
        """Note what instruments are; a message after one that was missed makes us ask for all."""
        if message.number < self._defined:
            return
        told = definitions_of(message)
        for definition in told:
            if definition.index not in self.definitions:
                self._wanted.setdefault(definition.index, None)
            self.definitions[definition.index] = definition
        answers = self._definitions_asked_at is not None and len(told) == len(self.definitions)
        if answers or message.number <= self._defined + 1:
            self._defined = message.number

    def _take_picture(self, picture: Picture) -> None:
        """Note what holds of one instrument, unless something newer is known."""
        at = picture.instrument
        before = self._pictures.get(at)
        if before is not None and before.run == picture.run and before.sequence > picture.sequence:
            return
        self._pictures[at] = picture
        self._tops[at] = _top_of(picture)
        if not _is_behind(picture, self._known.get(at)):
            self._wanted.pop(at, None)

    def _take_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Hold the rows against what the heartbeat before told: a second was time enough for a view."""
        numbers = heartbeat.numbers
        for at in self.definitions:
            if self._is_owed(at) and at not in self._wanted:
                self._wanted[at] = None
                self.resyncs += 1
            self._known[at] = LastNumbers(
                depth=numbers.get((DEPTH, at), 0),
                orders=0,
                trades=numbers.get((TRADES, at), 0),
                status=numbers.get((STATUS, at), 0),
                indicative=numbers.get((INDICATIVE, at), 0),
                top=0,
            )
        last = numbers.get((DEFINITIONS, EVERY_INSTRUMENT), 0)
        if self._defined >= 0 and last > self._defined:
            self._defined = -1
            self._definitions_asked_at = None

    def _is_owed(self, at: int) -> bool:
        """Tell whether a row is behind what the last heartbeat told."""
        picture = self._pictures.get(at)
        return picture is None or picture.run != self._run or _is_behind(picture, self._known.get(at))

    def _row(self, definition: Definition) -> Row:
        at = definition.index
        picture = self._pictures.get(at)
        if picture is None:
            return Row(definition, _NEVER, None, None, None, None, Totals(0, 0, 0, 0), is_old=True)
        return Row(
            definition,
            picture.status,
            *self._tops[at],
            picture.last_trade.price if picture.last_trade else None,
            picture.indicative if picture.status.phase in CALLS else None,
            picture.totals,
            is_old=at in self._wanted,
        )


def _books(number: int) -> str:
    return f"{number} book{'' if number == 1 else 's'}"


def _top_of(picture: Picture) -> tuple[LevelUpdate | None, LevelUpdate | None]:
    """Return the best bid and the best ask of a picture by levels."""
    bid: LevelUpdate | None = None
    for level in picture.levels:
        if level.side == Side.SELL:
            return bid, level
        bid = bid or level
    return bid, None


def _is_due(asked_at: int | None, now: int) -> bool:
    return asked_at is None or now - asked_at >= ASK_AGAIN_NS


def _is_behind(picture: Picture, known: LastNumbers | None) -> bool:
    """Tell whether a picture shows less than is known to have been told."""
    if known is None:
        return False
    has = picture.numbers
    return (
        has.depth < known.depth
        or has.trades < known.trades
        or has.status < known.status
        or has.indicative < known.indicative
    )
