"""Records the feed: all that a subscriber hears, beginning with a refresh of each book.

    recorder = Recorder(Subscriber(...), RecordingWriter(file), clock)
    while ...: recorder.poll(50)

It follows every instrument that is defined, or those that it is told to. What is lost on the way is asked for
again, and the refresh is recorded too: so whoever plays the recording has the book again where the recorder
had it.
"""

from __future__ import annotations

import difflib
import time
from collections import Counter
from collections.abc import Callable, Iterable

from feeds.builder import Books, State
from feeds.documents import Definition, definitions_of
from feeds.messages import (
    DEFINITIONS,
    DEPTH,
    FAST_VIEW,
    FIXINGS,
    PROGRAMMES,
    SLOW_VIEW,
    Document,
)
from feeds.recording import RecordingWriter
from feeds.subscriber import Subscriber


class UnknownSymbolError(LookupError):
    """The venue lists no instrument of this name; the message names the nearest that it does."""


class Recorder:
    """Writes what a subscriber hears, and keeps what it needs to know that nothing is lost.

    `symbols` are the instruments to record, none for all; `orders` is whether to record order by order
    (topic `O`) too. `clock` tells when a message is heard, in ns since 1970, UTC.
    """

    def __init__(
        self,
        feed: Subscriber,
        writer: RecordingWriter,
        clock: Callable[[], int] = time.time_ns,
        *,
        symbols: Iterable[str] = (),
        orders: bool = True,
    ) -> None:
        self.writer = writer
        self.kinds: Counter[str] = Counter()
        self.definitions: dict[int, Definition] = {}
        self._feed = feed
        self._clock = clock
        self._symbols = frozenset(symbols)
        self._has_orders = orders
        self._levels = Books()
        self._is_checked = not self._symbols
        feed.heard = self._write
        feed.listen(DEFINITIONS)
        feed.listen(FIXINGS)
        feed.listen(PROGRAMMES)
        feed.ask(DEFINITIONS)

    @property
    def gaps(self) -> int:
        """How often a book that was whole has been found not to be; each was asked for again."""
        return sum(book.losses for books in self._followed() for book in books)

    @property
    def trades_missed(self) -> int:
        """Messages of trades that never came: no refresh brings them back."""
        return sum(book.trades_missed for book in self._levels)

    @property
    def is_whole(self) -> bool:
        """Tell whether every book that is followed is in the recording, as of its last message."""
        return bool(self.definitions) and all(
            book.state in (State.LIVE, State.STALE) for books in self._followed() for book in books
        )

    def poll(self, timeout_ms: int) -> int:
        """Write what has come, waiting up to `timeout_ms` for it; return how many messages.

        Raises what `Subscriber.poll` raises, `UnknownSymbolError`, and `OSError` where the disk fails.
        """
        messages = self._feed.poll(timeout_ms)
        now = self._clock()
        for message in messages:
            if isinstance(message, Document) and message.kind == DEFINITIONS:
                self._define(message)
            self._levels.take(message, now)
        if not self._is_checked:
            self._check_symbols()
        self._levels.tick(now)
        if self._has_orders:  # the subscriber's own books are by orders then, and ask for themselves
            for kind, instrument in self._levels.wanting(now):
                self._feed.ask(kind, instrument)
                self._levels[instrument].asked(now)
        return len(messages)

    def _followed(self) -> tuple[Books, ...]:
        return (self._feed.books, self._levels) if self._has_orders else (self._levels,)

    def _write(self, frame: bytes) -> None:
        self.writer.write(self._clock(), frame)
        self.kinds[frame[:1].decode("ascii", "replace")] += 1

    def _define(self, message: Document) -> None:
        for one in definitions_of(message):
            if not self._symbols or one.symbol in self._symbols:
                self._follow(one.index)
            self.definitions[one.index] = one

    def _check_symbols(self) -> None:
        """Raise `UnknownSymbolError`, once the venue has told of all that it lists, for what it does not.

        What it tells by itself names only what is new or has changed.
        """
        if self._feed.awaits(DEFINITIONS):
            return
        self._is_checked = True
        known = {one.symbol for one in self.definitions.values()}
        if missing := min(self._symbols - known, default=None):
            nearest = difflib.get_close_matches(missing, known, n=1, cutoff=0.0)
            hint = f"the nearest is {nearest[0]}" if nearest else "the venue lists none yet"
            text = f"{missing}: no such instrument; {hint}, and `bourse instruments` lists all"
            raise UnknownSymbolError(text)

    def _follow(self, instrument: int) -> None:
        if instrument in self._levels:
            return
        self._levels.add(instrument)
        self._feed.follow(instrument, orders=self._has_orders)
        kinds = (DEPTH, FAST_VIEW, SLOW_VIEW) if self._has_orders else (FAST_VIEW, SLOW_VIEW)
        for kind in kinds:
            self._feed.listen(kind, instrument)
