"""The feed's law: the book that a reader builds is the engine's book, whatever befalls messages."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from feeds.builder import BookBuilder, Books, State
from feeds.messages import Depth, Heartbeat, Message, Trades, read
from matching.view import parked_of, waiting_of
from matching.vocabulary import EventKind, Side
from tests.feeds.flow import SECOND, Flow, Venue, everything, heal, market_of, market_seen, seen, truth


def plain(seed: int, commands: int) -> Iterator[np.ndarray]:
    return Flow(seed).batches(commands)


@pytest.mark.parametrize("nth", range(3))
@pytest.mark.parametrize("flow", [plain, everything])
def test_book_from_feed_is_the_book_in_the_engine_after_every_batch(seed, scale, flow, nth):
    venue, books = Venue(), Books(range(4))
    for builder in books:
        builder.take(venue.refresh(builder.instrument), now=0)
    told, happened = [], []
    for commands in flow(seed + nth, 4_000 * scale):
        frame = venue.play(commands)
        for message in map(read, frame.published):
            books.take(message, now=0)
            if isinstance(message, Trades):
                told += [(message.instrument, one.price, one.quantity) for one in message.prints]
        happened += sorted(
            (
                (int(event["instrument"]), int(event["price"]), int(event["quantity"]))
                for event in frame.events[frame.events["kind"] == EventKind.TRADED]
            ),
            key=lambda trade: trade[0],
        )
        for builder in books:
            assert builder.state == State.LIVE
            assert seen(builder) == truth(venue.book, builder.instrument)
            assert market_seen(builder) == market_of(venue.book, builder.instrument)
    assert told == happened
    assert len(happened) > 600
    assert all(builder.losses == builder.trades_missed == 0 for builder in books)


def test_canary_the_flow_holds_every_kind_of_event(seed):
    """The law is worth what its flow covers: each kind of event, deep books, crossed ones that uncross."""
    venue, kinds, auctions, waiting = Venue(), set(), 0, 0
    for commands in everything(seed, 4_000):
        events = venue.play(commands).events
        kinds |= set(events["kind"].tolist())
        auctions += int(np.count_nonzero(events["phase"][events["kind"] == EventKind.TRADED]))
        waiting += sum(len(waiting_of(venue.book, at, side)) for at in venue.instruments for side in Side)
    assert kinds == set(EventKind) - {EventKind.KNOWN, EventKind.MASS_CANCELLED}
    assert (auctions > 10, waiting > 100) == (True, True)
    assert parked_stops_told(seed) == {
        EventKind.REPLACED,
        EventKind.REDUCED,
        EventKind.CANCELLED,
        EventKind.EXPIRED,
        EventKind.TRIGGERED,
    }
    venue, deepest, crossed = Venue(), 0, 0
    for commands in Flow(seed).batches(4_000):
        venue.play(commands)
        for at in venue.instruments:
            bids, asks = truth(venue.book, at)
            deepest = max(deepest, min(len(bids), len(asks)))
            crossed += bool(bids) and bool(asks) and bids[0][0] >= asks[0][0]
    assert (deepest >= 8, crossed > 100) == (True, True)


def parked_stops_told(seed: int) -> set[EventKind]:
    """Return what befell stops while they were parked: the first that each batch brought to one of them."""
    venue, told = Venue(), set()
    for commands in everything(seed, 4_000):
        ids = (parked_of(venue.book, at, side)["id"] for at in venue.instruments for side in Side)
        parked = {int(number) for half in ids for number in half}
        for event in venue.play(commands).events:
            if int(event["order"]) in parked and event["kind"] != EventKind.REJECTED:
                parked.discard(int(event["order"]))
                told.add(EventKind(int(event["kind"])))
    return told


class Line:
    """A line that loses, doubles, swaps and delays what is sent, by chance; at last all arrives."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._under_way: list[tuple[int, Message]] = []
        self._clock = 0
        self.lost = 0

    def send(self, message: Message) -> None:
        draw = self._chance.random()
        if draw < 0.03:
            self.lost += 1
            return
        copies = 2 if draw < 0.06 else 1
        for _ in range(copies):
            late = 0 if self._chance.random() < 0.9 else self._chance.choice([1, 1, 2, 25])
            self._under_way.append((self._clock + late, message))

    def arrived(self) -> list[Message]:
        """Return what has come by now; what was delayed comes behind what was sent after it."""
        due = [message for at, message in self._under_way if at <= self._clock]
        self._under_way = [(at, message) for at, message in self._under_way if at > self._clock]
        self._clock += 1
        return due


@pytest.mark.parametrize("nth", range(4))
def test_lost_doubled_swapped_and_late_messages_are_seen_and_healed(seed, scale, nth):
    """At every moment the book is exactly that of the last number applied, and at last the newest.

    The publisher dies and starts anew twice; messages and refreshes of its former runs come late.
    """
    chance = random.Random(seed + nth)
    venue, builders = Venue(), [BookBuilder(at) for at in range(4)]
    published, refreshes = Line(chance), Line(chance)
    live = gapped = 0
    for turn, commands in enumerate(Flow(seed + nth).batches(3_000 * scale, largest=12)):
        now = turn * SECOND // 10
        if turn in {200, 500}:
            venue.restart(run=venue.publisher.run + 1)
        for frame in venue.play(commands).published:
            published.send(read(frame))
        if turn % 10 == 0:
            published.send(venue.heartbeat())
        for message in published.arrived() + refreshes.arrived():
            for builder in builders:
                if isinstance(message, Heartbeat) or message.instrument == builder.instrument:
                    builder.take(message, now)
                    check(venue, builder, message)
        for builder in builders:
            live += builder.state == State.LIVE
            gapped += builder.state == State.GAPPED
            if builder.wants_refresh(now):
                builder.asked(now)
                refreshes.send(venue.refresh(builder.instrument))
    losses = sum(builder.losses for builder in builders)
    assert (published.lost > 10, losses > 10, gapped > 10, live > 300) == (True,) * 4
    heal(venue, builders, now=10**6 * SECOND)
    for builder in builders:
        assert seen(builder) == truth(venue.book, builder.instrument)
        assert market_seen(builder) == market_of(venue.book, builder.instrument)


def check(venue: Venue, builder: BookBuilder, message: Message) -> None:
    if builder.state == State.WAITING:
        assert seen(builder) == ([], [])
        return
    assert seen(builder) == venue.truth_of(builder)
    if isinstance(message, Depth) and message.run == builder.run:
        assert builder.number >= message.number or builder.state == State.GAPPED


def test_a_reader_may_join_at_every_point_with_a_refresh_from_before_or_after(seed):
    flow, venue = Flow(seed, instruments=1), Venue(instruments=1)
    frames, refreshes = [], []
    for commands in flow.batches(400, largest=6):
        frames.append([read(frame) for frame in venue.play(commands).published])
        refreshes.append(venue.refresh(0))
    assert len(frames) > 100
    asked_again = 0
    for joined in range(len(frames)):
        for lag in (-4, -1, 0, 1, 5):  # the refresh is as of so many batches after the joining one
            builder = BookBuilder(0)
            as_of = min(max(joined + lag, 0), len(frames) - 1)
            for turn in range(joined, len(frames)):
                for message in frames[turn]:
                    builder.take(message, now=turn)
                if turn == max(joined, as_of):
                    builder.take(refreshes[as_of], now=turn)
                elif turn > as_of and builder.wants_refresh(turn):
                    asked_again += 1
                    builder.take(refreshes[turn], now=turn)
            builder.take(venue.heartbeat(), now=len(frames))
            if builder.wants_refresh(now=len(frames)):
                builder.take(refreshes[-1], now=len(frames))
            assert builder.state == State.LIVE, (joined, lag)
            assert seen(builder) == truth(venue.book, 0), (joined, lag)
    assert asked_again > 50


def test_canary_a_loss_that_the_numbers_hide_breaks_the_law(seed):
    """Drop one message and close the gap in the numbers: the law must fail, at that very message.

    With its number left as it was, the same loss is seen at the next message, and healed.
    """
    venue, depths = Venue(instruments=1), []
    for commands in Flow(seed, instruments=1).batches(300, largest=5):
        depths += [m for m in map(read, venue.play(commands).published) if isinstance(m, Depth)]
    assert len(depths) > 60
    broken = 0
    for dropped in range(len(depths) - 1):
        fooled, honest = BookBuilder(0), BookBuilder(0)
        for builder in (fooled, honest):
            builder.take(Venue(instruments=1).refresh(0), now=0)
            for depth in depths[:dropped]:
                builder.take(depth, now=0)
        follower = depths[dropped + 1]
        fooled.take(follower._replace(number=follower.number - 1), now=0)
        honest.take(follower, now=0)
        broken += seen(fooled) != venue.truths[1, 0, follower.number]
        assert (fooled.state, honest.state, honest.losses) == (State.LIVE, State.GAPPED, 1)
        honest.take(venue.refresh(0), now=0)
        assert (honest.state, seen(honest)) == (State.LIVE, truth(venue.book, 0))
    assert broken > 0.8 * len(depths)
