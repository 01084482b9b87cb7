"""Whatever the weather does to its messages, a reader's book is the engine's, or says that it is not whole.

Messages are lost, doubled, swapped and delayed; the publisher starts anew; readers are killed, and
others join; answers come late, or never, or of a run that is over. For levels and for orders alike.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.builder import BookBuilder, RestingOrder, State
from feeds.messages import (
    DEPTH,
    INDICATIVE,
    ORDERS,
    STATUS,
    TOPS,
    Depth,
    Heartbeat,
    Indicative,
    Message,
    Orders,
    Picture,
    Quote,
    Status,
)
from feeds.recovery import Chain, Latest
from matching.vocabulary import Side
from tests.feeds.days import KINDS, Stream, restarted, stream
from tests.feeds.naive import SECOND, Truth

TURN_NS = SECOND // 4
DELAY_MAX = 12
LOST = -1
"""The delay of what never comes."""

BOTH = pytest.mark.parametrize("orders", [False, True], ids=["levels", "orders"])


class Reader:
    """A book that is driven as a subscriber drives it, with the law checked after each message.

    The law: the book is the engine's as of the number applied; status, indicative price and top are those of
    the highest number heard. If it says that it is whole, it has all that it was told of in its run.
    """

    def __init__(self, day: Stream, book: BookBuilder) -> None:
        self.day = day
        self.book = book
        self.now = 0
        self.heard: dict[bytes, int] = {}
        self.latest: dict[bytes, tuple[int, object]] = {}

    def take(self, message: Message) -> None:
        run = self.book.run
        self.book.take(message, self.now)
        if self.book.run != run:
            self.heard, self.latest = {}, {}
        names_a_run = isinstance(message, Picture) and run not in (None, message.run)
        if message.run == self.book.run and not names_a_run:
            self._hear(message)
        self.check()

    def _hear(self, message: Message) -> None:
        match message:
            case Heartbeat():
                for (kind, _), number in message.numbers.items():
                    self._has_sent(kind, number)
            case Picture():
                numbers, truth = message.numbers, self._truth(message.number)
                self._has_sent(self.kind, message.number)
                self._holds(STATUS, numbers.status, message.status)
                self._holds(INDICATIVE, numbers.indicative, message.indicative)
                self._holds(TOPS, numbers.top, truth.top)
            case Status():
                self._holds(STATUS, message.number, message.changes[-1])
            case Indicative():
                self._holds(INDICATIVE, message.number, message.indicative)
            case Quote():
                self._holds(TOPS, message.number, message.top)
            case _:
                self._has_sent(KINDS[type(message)], message.number)

    def _has_sent(self, kind: bytes, number: int) -> None:
        self.heard[kind] = max(number, self.heard.get(kind, 0))

    def _holds(self, kind: bytes, number: int, value: object) -> None:
        if number > self.latest.get(kind, (-1, None))[0]:
            self.latest[kind] = number, value

    @property
    def kind(self) -> bytes:
        return ORDERS if self.book.has_orders else DEPTH

    def _truth(self, number: int) -> Truth:
        assert self.book.run is not None
        truth = self.day.truths.get((self.book.run, self.kind, 0, number))
        assert truth is not None, f"the engine never was at {number} of run {self.book.run}"
        return truth

    def check(self) -> None:
        book = self.book
        market = (book.status, book.indicative, book.top)
        assert market == tuple(self.latest.get(kind, (0, None))[1] for kind in (STATUS, INDICATIVE, TOPS))
        if book.state == State.WAITING:
            assert (book.bids, book.asks) == ([], [])
            return
        truth = self._truth(book.number)
        assert seen(book) == (truth if book.has_orders else truth._replace(buys=[], sells=[]))
        if book.state == State.LIVE:
            assert book.number >= self.heard.get(self.kind, 0)
            for kind in (STATUS, INDICATIVE, TOPS):
                assert self.latest[kind][0] >= self.heard.get(kind, 0)

    def asks(self) -> bool:
        wants = self.book.wants_refresh(self.now)
        if wants:
            self.book.asked(self.now)
        return wants

    def end(self) -> None:
        """Let the weather be fair at last: heartbeats and answers come; the book must be the engine's."""
        last = self.day.told[-1]
        for _ in range(3):  # the first answer may do no more than name the run
            self.now += SECOND
            self.take(last.message)
            if self.asks():
                self.take(last.answer(self.book.wanted))
        fresh = BookBuilder(0, orders=self.book.has_orders)
        fresh.take(last.answer(fresh.wanted), now=0)
        assert market(self.book) == market(fresh)
        assert (self.book.state, self.book.sequence) == (State.LIVE, last.message.sequence)


def seen(book: BookBuilder) -> Truth:
    bids, asks = ([(one.price, one.quantity, one.orders) for one in side] for side in (book.bids, book.asks))
    buys, sells = (book.orders(side) if book.has_orders else [] for side in Side)
    return Truth(bids, asks, [tuple_of(one) for one in buys], [tuple_of(one) for one in sells])


def tuple_of(one: RestingOrder) -> tuple[int, int, int]:
    return one.order, one.price, one.quantity


def market(book: BookBuilder) -> tuple[object, ...]:
    return book.run, book.number, seen(book), book.status, book.indicative, book.top


class Weather(NamedTuple):
    """How often, of a hundred messages, something happens to one; and to answers."""

    lost: int = 0
    doubled: int = 0
    delayed: int = 0
    answers_lost: int = 0
    answers_delayed: int = 0
    ghosts: int = 0
    """An answer that nobody asked for comes, from any moment before."""


WEATHERS = {
    "fair": Weather(),
    "lost": Weather(lost=20),
    "doubled": Weather(doubled=40),
    "delayed": Weather(delayed=40),
    "late answers": Weather(lost=10, answers_delayed=90),
    "answers lost": Weather(lost=10, answers_lost=60),
    "ghosts": Weather(lost=10, ghosts=30),
    "everything": Weather(15, 15, 15, 30, 50, 10),
}

SEASONS = 10
"""How often a forgetful reader goes through all weathers before it counts as not caught."""

Delays = Sequence[Sequence[int]]
"""For each message the turns after which it comes: once, more than once, or never."""


def delays_of(weather: Weather, messages: int, chance: random.Random) -> Iterator[list[int]]:
    for _ in range(messages):
        delays = [chance.randint(1, DELAY_MAX) if chance.randrange(100) < weather.delayed else 0]
        if chance.randrange(100) < weather.doubled:
            delays.append(chance.randint(0, DELAY_MAX))
        yield [] if chance.randrange(100) < weather.lost else delays


def answers_of(weather: Weather, chance: random.Random) -> Iterator[int]:
    while True:
        delay = chance.randint(1, DELAY_MAX) if chance.randrange(100) < weather.answers_delayed else 0
        yield LOST if chance.randrange(100) < weather.answers_lost else delay


def expose(
    reader: Reader, delays: Delays, answers: Iterator[int], ghosts: Mapping[int, Picture] | None = None
) -> None:
    """Give a reader a day's messages, each turn those that are due, and the answers to what it asks for."""
    due: defaultdict[int, list[Message]] = defaultdict(list)
    told = reader.day.told
    for turn in range(len(told) + DELAY_MAX):
        reader.now += TURN_NS
        if turn < len(told):
            for delay in delays[turn]:
                due[turn + delay].append(told[turn].message)
        if ghosts and turn in ghosts:
            due[turn].append(ghosts[turn])
        for message in due.pop(turn, []):
            reader.take(message)
        delay = next(answers) if reader.asks() else LOST
        if delay != LOST:
            answer = told[min(turn, len(told) - 1)].answer(reader.book.wanted)
            due[turn + delay + 1].append(answer)
    reader.end()


def weathered(name: str, day: Stream, book: BookBuilder, seed: int) -> Reader:
    weather, chance, reader = WEATHERS[name], random.Random(f"{name} {seed}"), Reader(day, book)
    delays = list(delays_of(weather, len(day.told), chance))
    ghosts = {
        turn: day.told[chance.randint(0, turn)].answer(book.wanted)
        for turn in range(len(day.told))
        if chance.randrange(100) < weather.ghosts
    }
    expose(reader, delays, answers_of(weather, chance), ghosts)
    return reader


@BOTH
@pytest.mark.parametrize("name", WEATHERS)
def test_in_any_weather_the_book_is_the_engines_or_says_that_it_is_not(name, orders, seed, scale):
    for nth in range(scale):
        day = stream(seed + nth, 600, restarts=2)
        reader = weathered(name, day, BookBuilder(0, orders=orders), seed)
        assert reader.book.run == 3
        assert reader.book.losses >= (2 if name in ("fair", "doubled") else 3)


@BOTH
def test_in_fair_weather_nothing_is_lost(orders, seed):
    day = stream(seed, 300)
    reader = weathered("fair", day, BookBuilder(0, orders=orders), seed)
    assert (reader.book.losses, reader.book.trades_missed) == (0, 0)
    assert reader.book.last_trade == day.told[-1].levels.last_trade is not None


@BOTH
@pytest.mark.parametrize("late", [0, 1, 7], ids=["at once", "a message later", "seven messages later"])
def test_a_reader_that_is_killed_and_another_that_joins_at_any_message(orders, late, seed):
    """The one that joins hears every message from then on; its first refresh comes `late` messages later."""
    day = stream(seed, 240)
    messages = [one.message for one in day.told]
    for at in range(len(messages)):
        reader = Reader(day, BookBuilder(0, orders=orders))
        answer = day.told[at].answer(reader.book.wanted)
        assert reader.asks()
        heard = messages[at + 1 :]
        for message in heard[:late]:
            reader.take(message)
            assert reader.book.state == State.WAITING
        reader.take(answer)
        assert reader.book.state == State.LIVE
        for message in heard[late:]:
            reader.take(message)
            assert reader.book.state == State.LIVE
        assert reader.book.losses == 0
        reader.end()


@BOTH
def test_each_single_message_lost_is_seen_and_healed(orders, seed):
    day = stream(seed, 240)
    for lost in range(len(day.told)):
        delays = [[] if at == lost else [0] for at in range(len(day.told))]
        reader = Reader(day, BookBuilder(0, orders=orders))
        expose(reader, delays, cycle([0]))


@BOTH
def test_each_single_message_late_heals_by_itself_or_is_no_longer_needed(orders, seed):
    day = stream(seed, 240)
    for late in range(len(day.told)):
        delays = [[2] if at == late else [0] for at in range(len(day.told))]
        reader = Reader(day, BookBuilder(0, orders=orders))
        reader.take(day.told[0].answer(reader.book.wanted))
        expose(reader, delays, cycle([LOST]))


@BOTH
@pytest.mark.parametrize("delay", [0, 5])
def test_the_publisher_starts_anew_at_any_message(orders, delay, seed):
    """With a delay, answers of the run that is over come when the next has begun."""
    whole = stream(seed, 240)
    for at in range(1, len(whole.told)):
        day = restarted(whole, at)
        reader = Reader(day, BookBuilder(0, orders=orders))
        expose(reader, [[0]] * len(day.told), cycle([delay]))
        assert reader.book.run == 2


DELAY = st.integers(0, DELAY_MAX)


@BOTH
@given(
    faults=st.dictionaries(st.integers(0, 250), st.lists(DELAY, max_size=3), max_size=25),
    answers=st.lists(st.just(LOST) | DELAY, min_size=1, max_size=8),
)
def test_no_schedule_of_what_comes_when_deceives_a_reader(orders, faults, answers):
    day = stream(20261122, 150, restarts=1)
    delays = [faults.get(at, [0]) for at in range(len(day.told))]
    always = [delay for delay in answers if delay != LOST] or [0]
    expose(Reader(day, BookBuilder(0, orders=orders)), delays, cycle([*answers, *always]))


# --- the canary: a reader that forgets one rule is caught ------------------------------------------


class AppliesWhatItHasSeen(Chain[Depth | Orders]):
    def take(self, number: int, message: Depth | Orders) -> list[Depth | Orders]:
        return [message] if 0 < number <= self.number else super().take(number, message)


class AppliesWhatSkips(Chain[Depth | Orders]):
    def take(self, number: int, message: Depth | Orders) -> list[Depth | Orders]:
        if self.number < 0 or number <= self.number:
            return super().take(number, message)
        self.number = number
        return [message]


class AppliesAllItKept(Chain[Depth | Orders]):
    def begin(self, number: int) -> list[Depth | Orders]:
        earlier = [message for at, message in sorted(self.kept.items()) if at <= number]
        return earlier + super().begin(number)


class ForgetsWhatItKept(Chain[Depth | Orders]):
    def begin(self, number: int) -> list[Depth | Orders]:
        self.number = max(number, *self.kept, 0)
        self.kept = {}
        return []


class HeedsNoHeartbeat(Chain[Depth | Orders]):
    def note(self, number: int) -> None:
        pass


class TakesTheLatestToCome(Latest[object]):
    def take(self, number: int, value: object) -> None:
        self.number, self.value = max(number, self.number), value


@BOTH
@pytest.mark.parametrize(
    "forgetful",
    [
        AppliesWhatItHasSeen,
        AppliesWhatSkips,
        AppliesAllItKept,
        ForgetsWhatItKept,
        HeedsNoHeartbeat,
        TakesTheLatestToCome,
    ],
)
def test_a_reader_that_forgets_one_rule_is_caught(monkeypatch, forgetful, orders, seed):
    monkeypatch.setattr("feeds.builder." + forgetful.__mro__[1].__name__, forgetful)
    with pytest.raises(AssertionError):
        play_all_weathers(BookBuilder, orders, seed)


class HeedsNoRun(BookBuilder):
    def take(self, message: Message, now: int) -> None:
        super().take(message._replace(run=1), now)


class HealsOnAnyAnswer(BookBuilder):
    def take(self, message: Message, now: int) -> None:
        if isinstance(message, Picture) and self.run is not None:
            message = message._replace(run=self.run)
        super().take(message, now)


@BOTH
@pytest.mark.parametrize("forgetful", [HeedsNoRun, HealsOnAnyAnswer])
def test_a_reader_that_does_not_heed_the_run_is_caught(forgetful, orders, seed):
    with pytest.raises(AssertionError):
        play_all_weathers(forgetful, orders, seed)


def play_all_weathers(kind: type[BookBuilder], orders: bool, seed: int) -> None:
    day = stream(seed, 600, restarts=2)
    for nth in range(SEASONS):
        for name in WEATHERS:
            weathered(name, day, kind(0, orders=orders), seed + nth)
