"""What a stream of market data makes of the feed's messages. Nothing in here waits or sends.

A reader hears every message that its line brings, in their order, and is told when the connection broke:
what is missed then was not missed by being slow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from exchange.client.marketviews import Trade
from feeds.messages import (
    DEPTH,
    FAST_VIEW,
    INDICATIVE,
    ORDERS,
    STATUS,
    TOPS,
    TRADES,
    Depth,
    Heartbeat,
    Message,
    Orders,
    Picture,
    Trades,
)
from feeds.records import NO_TAKER
from matching.vocabulary import Side

TRADES_KEPT_MAX = 100_000
"""Most trades that wait for their reader; the oldest are let go then, and read from history."""

_PICTURED = (DEPTH, ORDERS, TRADES, STATUS, INDICATIVE, TOPS)
"""The topics whose last numbers a picture tells, in its order."""


class Reader(Protocol):
    """Who hears the messages of a line."""

    def take(self, message: Message) -> None:
        """Hear one message."""

    def broke(self) -> None:
        """Note that the connection is gone: what follows may come after a gap."""


class BookReader:
    """Notes whether there is news of a book, and how many of its messages a slow reader has missed."""

    def __init__(self, instrument: int, *, orders: bool) -> None:
        self.missed = 0
        """Messages that never came though the connection stood, and the publisher's run was the same."""
        self.is_news = True
        """Whether something came since the book was looked at last."""
        self._instrument = instrument
        self._kind = ORDERS if orders else DEPTH
        self._run: int | None = None
        self._number: int | None = None
        self._heartbeats = 0

    def take(self, message: Message) -> None:
        """Hear one message."""
        if isinstance(message, Heartbeat):
            self._hear(message)
        elif message.instrument == self._instrument:
            self.is_news = True
            if isinstance(message, Orders if self._kind == ORDERS else Depth):
                self._begin(message.run)
                self._count(message.number - 1)
                self._number = max(message.number, self._number or 0)

    def _hear(self, heartbeat: Heartbeat) -> None:
        self._begin(heartbeat.run)
        self._heartbeats += 1
        last = heartbeat.numbers.get((self._kind, self._instrument), 0)
        if self._number is not None:
            self._count(last)
        elif self._heartbeats == 1:
            return  # the book's own topic may not be heard yet
        self._number = max(last, self._number or 0)

    def _begin(self, run: int) -> None:
        if run != self._run:
            self._run = run
            self.broke()

    def _count(self, number: int) -> None:
        """Count what is missing up to a number."""
        if self._number is not None:
            self.missed += max(0, number - self._number)

    def broke(self) -> None:
        """Count from the next message on."""
        self._number = None
        self._heartbeats = 0


class ViewReader:
    """The newest picture of one instrument, for who cannot keep up with every change.

    Pictures have no numbers of their own in the heartbeat, but each tells the last numbers of what it shows:
    one that has not come up to a heartbeat by the next one, a second later, is followed by one that was lost.
    """

    def __init__(self, instrument: int) -> None:
        self.picture: Picture | None = None
        self.is_whole = True
        """Whether the picture shows all that was told up to the heartbeat before the last one."""
        self.wants_refresh = False
        """Whether one should be asked for; whoever has done so says so."""
        self._instrument = instrument
        self._told: Heartbeat | None = None

    def take(self, message: Message) -> None:
        """Hear one message. A refresh counts if it is of the run that is known to live."""
        if isinstance(message, Heartbeat):
            self.is_whole = not self._is_behind(self._told)
            self.wants_refresh = not self.is_whole
            self._told = message
        elif isinstance(message, Picture) and message.instrument == self._instrument:
            self._take(message)

    def _take(self, picture: Picture) -> None:
        known = self.picture
        if known is None or picture.run == known.run:
            is_newer = known is None or picture.sequence >= known.sequence
        else:
            is_newer = picture.kind == FAST_VIEW or (self._told is not None and picture.run == self._told.run)
        if is_newer:
            self.picture = picture
            self.is_whole = self.is_whole or not self._is_behind(self._told)

    def _is_behind(self, told: Heartbeat | None) -> bool:
        """Tell whether the picture lacks anything that a heartbeat names."""
        if told is None:
            return False
        picture = self.picture
        if picture is None or picture.run != told.run:
            return True
        numbers = zip(_PICTURED, picture.numbers, strict=True)
        return any(told.numbers.get((kind, self._instrument), 0) > number for kind, number in numbers)

    def broke(self) -> None:
        """Miss nothing: each picture stands by itself, and the heartbeat tells of one that was lost."""


class TradeGap(NamedTuple):
    """Trades that were not heard: of sequences above `after` and up to `through`.

    `missed` messages are known to be missing though the connection stood: their reader was too slow.
    """

    after: int
    through: int
    missed: int = 0


class TradeReader:
    """Trades as they come, each once, with a gap wherever some were not heard.

    `after` is the sequence up to which all trades are known, None where the reader begins with what comes
    first; of trades numbered up to `last` nothing is told. `sequence` and `time` are those up to which all
    has been heard, or is told to be missing; `began` are those of the first message. `heard` counts messages.
    """

    def __init__(self, symbol: str, instrument: int, after: int | None = None, last: int = 0) -> None:
        self.sequence = after
        self.time = 0
        self.heard = 0
        self.began: tuple[int, int] | None = None
        self.last = last
        self._symbol = symbol
        self._instrument = instrument
        self._found: deque[Trade | TradeGap] = deque()
        self._run: int | None = None
        self._number = 0
        self._is_broken = False

    def take(self, message: Message) -> None:
        """Hear one message."""
        self.heard += 1
        if isinstance(message, Heartbeat):
            self._hear(message)
        elif isinstance(message, Trades) and message.instrument == self._instrument and message.rows:
            self._take(message)

    def _hear(self, heartbeat: Heartbeat) -> None:
        number = heartbeat.numbers.get((TRADES, self._instrument), 0)
        if self.began is None:
            self.began = heartbeat.sequence, heartbeat.time
        if heartbeat.run != self._run or number > self._number:
            self._miss(heartbeat.run, number, heartbeat.sequence)
        self._number = max(number, self._number)
        self._come_to(heartbeat.sequence, heartbeat.time)

    def _take(self, message: Trades) -> None:
        prints = message.prints
        if message.run == self._run and message.number <= self._number:
            return
        if self.began is None:
            self.began = prints[0].sequence - 1, message.time
        if message.run != self._run or message.number > self._number + 1:
            self._miss(message.run, message.number - 1, prints[0].sequence - 1)
        self._number = message.number
        self._found.extend(
            Trade(
                self._symbol,
                each.trade,
                each.price,
                each.quantity,
                each.paid,
                bool(each.subsidised),
                None if each.taker_side == NO_TAKER else Side(each.taker_side),
                each.sequence,
                message.time,
            )
            for each in prints
        )
        if len(self._found) > TRADES_KEPT_MAX:
            self._let_go()
        self._come_to(prints[-1].sequence, message.time)

    def _come_to(self, sequence: int, time: int) -> None:
        self.sequence = max(sequence, self.sequence or 0)
        self.time = max(time, self.time)
        self._is_broken = False

    def _miss(self, run: int, number: int, through: int) -> None:
        """Note that nothing was heard up to a number and a sequence; what begins here misses nothing."""
        is_same = run == self._run
        missed = number - self._number if is_same and not self._is_broken else 0
        if self.sequence is not None and through > self.sequence:
            self._found.append(TradeGap(self.sequence, through, missed))
        elif self.sequence is None:
            self.sequence = through
        self._run = run
        self._number = number

    def _let_go(self) -> None:
        """Put one gap in the place of all trades that wait."""
        first, final = self._found[0], self._found[-1]
        after = first.after if isinstance(first, TradeGap) else first.sequence - 1
        through = final.through if isinstance(final, TradeGap) else final.sequence
        missed = sum(each.missed if isinstance(each, TradeGap) else 1 for each in self._found)
        self._found.clear()
        self._found.append(TradeGap(after, through, missed))

    def broke(self) -> None:
        """Note that what is missed now is no fault of the reader's."""
        self._is_broken = True

    @property
    def is_news(self) -> bool:
        """Whether there is anything to be read: a trade, or a gap."""
        while self._found and isinstance(self._found[0], Trade) and self._found[0].trade <= self.last:
            self._found.popleft()
        return bool(self._found)

    @property
    def gap(self) -> TradeGap | None:
        """The gap that comes next, if one does; whoever has bridged it says so."""
        return self._found[0] if self.is_news and isinstance(self._found[0], TradeGap) else None

    def next(self) -> Trade | None:
        """Return what comes next, and take it off; None where nothing has come, or a gap."""
        if not self.is_news or isinstance(found := self._found[0], TradeGap):
            return None
        self._found.popleft()
        self.last = found.trade
        return found

    def bridge(self, gap: TradeGap, trades: Sequence[Trade] = (), left: TradeGap | None = None) -> bool:
        """Put what history tells in the place of a gap, and behind it what is left of the gap.

        Returns False, having done nothing, where the gap is gone: while history was asked so much came that
        it has become part of a wider one.
        """
        if self.gap is not gap:
            return False
        self._found.popleft()
        if left is not None:
            self._found.appendleft(left)
        self._found.extendleft(reversed(trades))
        return True
