"""What is in a recording: its span, messages by kind, trades by instrument, and what is missing."""

from __future__ import annotations

from collections import Counter, defaultdict

from feeds.documents import Definition, definitions_of
from feeds.messages import (
    DEFINITIONS,
    DEPTH,
    INDICATIVE,
    LEVELS_REFRESH,
    NUMBERED,
    ORDERS,
    ORDERS_REFRESH,
    STATUS,
    TOPS,
    TRADES,
    Document,
    Heartbeat,
    Message,
    Picture,
    Trades,
    read,
)
from feeds.recovery import Seen

_BEGINNINGS = {
    LEVELS_REFRESH: (DEPTH, TRADES, STATUS, INDICATIVE, TOPS),
    ORDERS_REFRESH: (ORDERS, TRADES, STATUS, INDICATIVE, TOPS),
}
"""Which topics a refresh says the last number of that are recorded from then on."""

_FIELDS = {
    DEPTH: "depth",
    ORDERS: "orders",
    TRADES: "trades",
    STATUS: "status",
    INDICATIVE: "indicative",
    TOPS: "top",
}


class Contents:
    """Counts what a recording holds, message by message.

    `began` and `ended` are when the first and the last message was heard, in ns since 1970, UTC; `runs`
    counts the publisher's. `messages` counts by kind, `by_instrument` and `trades` by instrument's number.
    """

    def __init__(self) -> None:
        self.began = 0
        self.ended = 0
        self.runs = 0
        self.messages: Counter[str] = Counter()
        self.by_instrument: Counter[int] = Counter()
        self.trades: Counter[int] = Counter()
        self.definitions: dict[int, Definition] = {}
        self._run: int | None = None
        self._topics: defaultdict[tuple[bytes, int], Seen] = defaultdict(Seen)

    def take(self, heard: int, frame: bytes) -> None:
        """Count one message. Raises `UnreadableError`."""
        message = read(frame)
        kind = frame[:1]
        if not self.messages:
            self.began = heard
        self.ended = heard
        self.messages[kind.decode()] += 1
        if message.run != self._run:
            self._run = message.run
            self.runs += 1
            for topic in self._topics.values():
                topic.begin_anew()
        self._follow(kind, message)

    def missing(self) -> dict[str, int]:
        """Return how many messages of each kind were told of, or skipped, and never came."""
        missed: Counter[str] = Counter()
        for (kind, _), topic in self._topics.items():
            missed[kind.decode()] += topic.missed
        return dict(+missed)

    def _follow(self, kind: bytes, message: Message) -> None:
        if isinstance(message, Heartbeat):
            for topic, last in message.numbers.items():
                if topic in self._topics:
                    self._topics[topic].note(last)
            return
        self.by_instrument[message.instrument] += message.instrument >= 0
        if isinstance(message, Picture):
            for topic_kind in _BEGINNINGS.get(kind, ()):
                number = getattr(message.numbers, _FIELDS[topic_kind])
                self._topics[topic_kind, message.instrument].begin(number)
        elif kind == DEFINITIONS and isinstance(message, Document):
            self.definitions.update((one.index, one) for one in definitions_of(message))
        elif kind in NUMBERED:
            self._topics[kind, message.instrument].take(message.number)
        if isinstance(message, Trades):
            self.trades[message.instrument] += len(message.prints)
