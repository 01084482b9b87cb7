"""Streams of market data, each with a line of its own to the public feed, let go at its end."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Generic, TypeVar

from exchange.client.desk import Desk
from exchange.client.errors import (
    ConnectionLost,
    ExchangeError,
    MissingLibrary,
    ProfileError,
    ReaderTooSlow,
    TradesMissed,
)
from exchange.client.feed_wire import FeedLine
from exchange.client.flows import TIMEOUT_SECONDS, Flow, Wait, deadline_after
from exchange.client.marketreaders import BookReader, Reader, TradeGap, TradeReader, ViewReader
from exchange.client.marketviews import (
    Bar,
    Book,
    Trade,
    bar_with,
    book_in,
    book_of,
    minute_of,
)
from exchange.client.queries import ROWS_A_QUERY_MAX, Span, bars_before, trades_within
from exchange.client.statements import Moment
from feeds.bars import MINUTE_NS
from feeds.builder import SILENCE_NS
from feeds.messages import FAST_VIEW, HEARTBEAT, LEVELS_REFRESH, TRADES

T = TypeVar("T")

FEED_LAG_NS = 1_000_000_000
"""A minute without a later trade is taken to be over when a heartbeat comes that is so much later."""


def end_after(timeout: float | None) -> float:
    """Return the moment that is `timeout` seconds ahead, or none ever. Raises `BadInput`."""
    return math.inf if timeout is None else deadline_after(timeout)


def too_slow(missed: int, what: str, healing: str) -> ReaderTooSlow:
    """Return the error for a reader that has fallen behind."""
    error = ReaderTooSlow(
        f"{missed} messages about {what} were dropped, for they came faster than they were read",
        field="on_slow",
        value="raise",
        remedy=f"read on, {healing}; with on_slow='resync' that is done without an error",
    )
    error.missed = missed
    return error


class MarketStream(Generic[T]):
    """What comes of an instrument, one by one; it ends after `timeout` seconds without, or after `limit`.

    The line is closed at the end, by `close`, and when nobody holds the stream any more.
    """

    _line: FeedLine | None = None

    def __init__(self, desk: Desk, symbol: str, timeout: float | None, limit: int | None) -> None:
        end_after(timeout)
        self._desk = desk
        self._symbol = symbol
        self._instrument = desk.session.instruments[symbol].index
        self._timeout = timeout
        self._left = limit

    def next(self) -> Flow[T | None]:
        """Wait for one more."""
        if self._left == 0:
            self.close()
            return None
        found = yield from self._one(end_after(self._timeout))
        if found is None:
            self.close()
        elif self._left is not None:
            self._left -= 1
        return found

    def _one(self, deadline: float) -> Flow[T | None]:
        raise NotImplementedError
        yield  # a flow

    def close(self) -> None:
        """Let the line go; there is no next one any more."""
        self._left = 0
        if self._line is not None:
            self._line.close()

    def __del__(self) -> None:
        if self._line is not None:
            self._line.close()

    @property
    def line(self) -> FeedLine:
        """The line that it is read from."""
        assert self._line is not None, "opened when the stream was made"
        return self._line

    def _open(self, reader: Reader) -> FeedLine:
        if self._line is not None:
            self._line.close()
        self._line = self._desk.feeds.open(reader)
        return self._line


class BookStream(MarketStream[Book]):
    """The newest state of a book, whenever it is another than the one told last."""

    def __init__(
        self,
        desk: Desk,
        symbol: str,
        timeout: float | None,
        limit: int | None,
        depth: int | None,
        *,
        orders: bool,
        on_slow: str,
    ) -> None:
        super().__init__(desk, symbol, timeout, limit)
        self._depth = depth
        self._on_slow = on_slow
        self._missed = 0
        self._resyncs = 0
        self._told: Book | None = None
        self._latest: Book | None = None
        self._found: Book | None = None
        self._views: ViewReader | None = None
        self._reader = BookReader(self._instrument, orders=orders)
        self._patience = monotonic() + SILENCE_NS / 1e9
        self._open(self._reader).follow(self._instrument, orders=orders)

    def _one(self, deadline: float) -> Flow[Book | None]:
        while True:
            yield Wait(self.line, self._has_more, deadline)
            if self._is_behind:
                self._fall_behind()
                continue
            found, self._found = self._found, None
            self._told = found or self._told
            return found

    @property
    def _is_behind(self) -> bool:
        return self._reader.missed > self._missed and self._on_slow != "resync"

    def _fall_behind(self) -> None:
        """Do as was wished for a reader that is too slow. Raises `ReaderTooSlow`."""
        missed = self._reader.missed - self._missed
        self._missed = self._reader.missed
        if self._on_slow == "raise":
            raise too_slow(missed, f"the book of {self._symbol}", "it is made whole again")
        self._resyncs = self._builder_losses()
        self._views = ViewReader(self._instrument)
        line = self._open(self._views)
        line.listen(FAST_VIEW, self._instrument)
        line.ask(LEVELS_REFRESH, self._instrument)

    def _builder_losses(self) -> int:
        return self.line.books[self._instrument].losses

    def _has_more(self) -> bool:
        """Look whether there is another book to tell of, or something to be raised."""
        if self._is_behind and self._views is None:
            return True
        book = self._seen()
        if book is None or (self._told is not None and book.says_the_same(self._told)):
            self._found = None
        else:
            self._found = book
        return self._found is not None

    def _seen(self) -> Book | None:
        """Return the book as it is known now; None before there is one, for as long as that is no wonder."""
        if self._views is not None:
            if self._views.wants_refresh:
                self._views.wants_refresh = False
                self.line.ask(LEVELS_REFRESH, self._instrument)
            picture = self._views.picture
            if picture is None:
                return None
            state = "stale" if self.line.is_silent else "live" if self._views.is_whole else "gapped"
            return book_in(self._symbol, picture, state, self._depth, self._resyncs)
        builder = self.line.books[self._instrument]
        latest = self._latest
        if not self._reader.is_news and latest is not None and latest.state == builder.state.value:
            return latest
        self._reader.is_news = False
        book = book_of(self._symbol, builder, self._depth, builder.losses)
        is_early = not self.line.is_silent and monotonic() < self._patience
        if self._told is None and is_early and book.state == "waiting":
            return None
        self._latest = book
        return book


class TradeStream(MarketStream[Trade]):
    """Trades, each once: those that the line has missed are read from history."""

    _heard_before_silence = -1
    """How much had been heard when a silence was told last."""

    def __init__(
        self,
        desk: Desk,
        symbol: str,
        timeout: float | None,
        limit: int | None,
        since: int | None,
        *,
        on_slow: str,
    ) -> None:
        super().__init__(desk, symbol, timeout, limit)
        self._on_slow = on_slow
        self.what = "trades"
        self.reader = (
            TradeReader(symbol, self._instrument)
            if since is None
            else TradeReader(symbol, self._instrument, after=0, last=since - 1)
        )
        line = self._open(self.reader)
        line.listen(TRADES, self._instrument)
        line.listen(HEARTBEAT, -1)

    def _one(self, deadline: float) -> Flow[Trade | None]:
        reader = self.reader
        while True:
            found = yield from self.ready()
            if found is not None or not (yield from self.heard(lambda: reader.is_news, deadline)):
                return found

    def ready(self) -> Flow[Trade | None]:
        """Return the next trade that was heard, or that history has; None where there is none yet."""
        while (gap := self.reader.gap) is not None:
            yield from self._fill(gap)
        return self.reader.next()

    def heard(self, done: Callable[[], bool], deadline: float) -> Flow[bool]:
        """Wait until `done`; tell whether it was. Raises `ConnectionLost`, once for each silence."""
        line = self.line
        yield Wait(line, lambda: done() or self._falls_silent(), deadline)
        if done():
            return True
        if not self._falls_silent():
            return False
        self._heard_before_silence = self.reader.heard
        if not line.is_up:
            raise line.silence(f"the call for {self.what} of {self._symbol}")
        raise ConnectionLost(
            f"nothing was heard of the feed at {line.endpoint} for three seconds, not even a heartbeat; "
            f"there may be {self.what} of {self._symbol} that are not told yet",
            remedy="read on: the same stream goes on when the feed does, and nothing is left out",
        )

    def _falls_silent(self) -> bool:
        """Tell whether there is a silence that was not told yet."""
        return self.line.is_silent and self.reader.heard != self._heard_before_silence

    def _fill(self, gap: TradeGap) -> Flow[None]:
        """Put what history has in a gap's place. Raises `ReaderTooSlow`, `TradesMissed`."""
        reader = self.reader
        if gap.missed and self._on_slow == "raise":
            reader.bridge(gap, left=gap._replace(missed=0))
            raise too_slow(gap.missed, f"trades of {self._symbol}", "history tells of them")
        try:
            found = yield from self.history(Span(reader.last, gap.after, gap.through))
        except ExchangeError as error:
            if not reader.bridge(gap):
                return
            missed = TradesMissed(
                f"what was traded of {self._symbol} with sequences above {gap.after} and up to {gap.through} "
                "was not heard, and history does not tell",
                remedy="read on without them, or read them later with since",
            )
            missed.after, missed.through = gap.after, gap.through
            raise missed from error
        left = gap._replace(missed=0) if len(found) == ROWS_A_QUERY_MAX else None
        reader.bridge(gap, found, left)

    def history(self, span: Span, from_on: int = 0) -> Flow[list[Trade]]:
        """Ask history for the first trades of a span."""
        patience = max(self._timeout or 0.0, TIMEOUT_SECONDS)
        return (yield from trades_within(self._desk.queries, self._symbol, span, patience, from_on))


class BarStream(MarketStream[Bar]):
    """Minutes that are over: history's, then those that end while one listens."""

    def __init__(
        self,
        desk: Desk,
        symbol: str,
        timeout: float | None,
        limit: int | None,
        since: Moment | None,
        *,
        live: bool,
    ) -> None:
        super().__init__(desk, symbol, timeout, limit)
        self._since = since
        self._is_live = live
        self._has_begun = False
        self._ended: deque[Bar] = deque()
        self._bar: Bar | None = None
        self._is_told = False
        self._from = 0
        self._trades: TradeStream | None = None
        if live:
            self._trades = TradeStream(desk, symbol, timeout, None, None, on_slow="resync")
            self._trades.what = "bars"

    def close(self) -> None:
        """Let the line go; there is no next one any more."""
        super().close()
        if self._trades is not None:
            self._trades.close()

    def _one(self, deadline: float) -> Flow[Bar | None]:
        while not self._ended:
            if not self._has_begun:
                if not (yield from self._begin(deadline)):
                    return None
            elif self._trades is None or not (yield from self._go_on(self._trades, deadline)):
                return None
        return self._ended.popleft()

    def _begin(self, deadline: float) -> Flow[bool]:
        """Read what has been, up to where the feed goes on. Returns whether that was heard in time."""
        patience = max(self._timeout or 0.0, TIMEOUT_SECONDS)
        queries, symbol = self._desk.queries, self._symbol
        trades = self._trades
        if trades is None:
            self._ended.extend(
                (yield from bars_before(queries, symbol, self._since, self._desk.clock(), 0, patience))
            )
            self._has_begun = True
            return True
        reader = trades.reader
        yield from trades.heard(lambda: reader.began is not None, deadline)
        if reader.began is None:
            return False
        sequence, time = reader.began
        minute = minute_of(
            time - FEED_LAG_NS
        )  # a trade of the last minute may be told after a heartbeat of this
        try:
            if self._since is not None:
                past = yield from bars_before(queries, symbol, self._since, minute, sequence, patience)
                self._ended.extend(past)
            yield from self._seed(trades, minute, sequence)
        except (ProfileError, MissingLibrary):
            if self._since is not None:
                raise
            minute = minute_of(time) + MINUTE_NS  # nobody tells what has been of the minute under way
        self._from = minute
        self._has_begun = True
        return True

    def _seed(self, trades: TradeStream, minute: int, through: int) -> Flow[None]:
        """Count the trades of the minute under way that were before the feed was heard."""
        last = 0
        while True:
            found = yield from trades.history(Span(last, 0, through), minute)
            for trade in found:
                self._count(trade)
            if len(found) < ROWS_A_QUERY_MAX:
                break
            last = found[-1].trade

    def _go_on(self, trades: TradeStream, deadline: float) -> Flow[bool]:
        """Count what comes, until a minute is over. Returns whether one was in time."""
        reader = trades.reader
        while True:
            trade = yield from trades.ready()
            if trade is not None:
                if self._count(trade):
                    return True
                continue
            if self._bar is not None and self._bar.end + FEED_LAG_NS <= reader.time and self._end(self._bar):
                return True
            known = reader.time
            if not (yield from trades.heard(partial(self._is_later, reader, known), deadline)):
                return False

    @staticmethod
    def _is_later(reader: TradeReader, time: int) -> bool:
        return reader.is_news or reader.time != time

    def _count(self, trade: Trade) -> bool:
        """Count one trade. Returns whether it has ended a minute."""
        if trade.time < self._from:
            return False
        bar = self._bar
        is_same = bar is not None and trade.time < bar.end
        self._bar = bar_with(bar if is_same else None, trade)
        has_ended = bar is not None and not is_same and self._end(bar)
        self._is_told = False
        return has_ended

    def _end(self, bar: Bar) -> bool:
        """Note that a bar is to be told, unless it was. Returns whether it is."""
        if self._is_told:
            return False
        self._ended.append(bar)
        self._is_told = True
        return True
