"""A day of one instrument as readers are told it: each message, each answer, the book at each number."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

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
    Heartbeat,
    Indicative,
    Message,
    Orders,
    Picture,
    Quote,
    Status,
    Trades,
    read,
)
from feeds.records import LastNumbers
from matching.flow import random_flow
from matching.layout import COMMAND
from matching.vocabulary import CommandKind, Phase
from tests.feeds.naive import NaiveVenue, Truth

KINDS: Mapping[type, bytes] = {
    Trades: TRADES,
    Status: STATUS,
    Indicative: INDICATIVE,
    Orders: ORDERS,
    Depth: DEPTH,
    Quote: TOPS,
}


class Told(NamedTuple):
    """A message of the stream, and what a refresh asked for just after it says."""

    message: Message
    levels: Picture
    orders: Picture

    def answer(self, kind: bytes) -> Picture:
        return self.orders if kind == ORDERS_REFRESH else self.levels


class Stream(NamedTuple):
    """All that is published in a venue's day, in its order; and the book at each number of each run."""

    told: Sequence[Told]
    truths: Mapping[tuple[int, bytes, int, int], Truth]


@cache
def stream(seed: int, commands: int, restarts: int = 0) -> Stream:
    """Play one instrument's day in small batches, with heartbeats between them; the last says how it ends."""
    venue, chance = NaiveVenue(), random.Random(seed)
    flow = random_flow(seed, commands, instruments=1)
    for row in range(chance.randint(10, 20), commands, 25):
        flow[row] = np.zeros(1, COMMAND)[0]
        flow[row]["kind"] = CommandKind.PHASE
        flow[row]["phase"] = Phase.CONTINUOUS if row % 2 else chance.choice([Phase.PRE_OPEN, Phase.AUCTION])
    told: list[Told] = []
    start = 0
    while start < commands:
        stop = min(start + chance.randint(1, 6), commands)
        published = venue.play(flow[start:stop])
        start = stop
        if start * (restarts + 1) // commands > venue.run - 1 and start < commands:
            venue.restart(venue.run + 1)  # what it would have told of the last batch is never heard
            published = [venue.heartbeat()]
        elif chance.random() < 0.15 or start == commands:
            published.append(venue.heartbeat())
        answers = venue.picture(LEVELS_REFRESH), venue.picture(ORDERS_REFRESH)
        told += [Told(message, *answers) for message in map(read, published)]
    return Stream(told, venue.truths)


def restarted(whole: Stream, at: int) -> Stream:
    """Return the same day with a publisher that starts anew just before message `at`: all numbers from 1."""
    base: defaultdict[bytes, int] = defaultdict(int)
    for one, _, _ in whole.told[:at]:
        if type(one) in KINDS:
            base[KINDS[type(one)]] = one.number
    later = [
        Told(renumbered(one.message, base), anew(one.levels, base), anew(one.orders, base))
        for one in whole.told[at:]
    ]
    truths = dict(whole.truths)
    for (_, kind, instrument, number), truth in whole.truths.items():
        truths[2, kind, instrument, number - base[kind]] = truth
    return Stream([*whole.told[:at], *later], truths)


def renumbered(message: Message, base: Mapping[bytes, int]) -> Message:
    if isinstance(message, Heartbeat):
        numbers = {(kind, at): last - base[kind] for (kind, at), last in message.numbers.items()}
        return message._replace(run=2, numbers=numbers)
    return message._replace(run=2, number=message.number - base[KINDS[type(message)]])


def anew(picture: Picture, base: Mapping[bytes, int]) -> Picture:
    topics = (DEPTH, ORDERS, TRADES, STATUS, INDICATIVE, TOPS)
    numbers = [last - base[kind] for kind, last in zip(topics, picture.numbers, strict=True)]
    own = numbers[0 if picture.kind == LEVELS_REFRESH else 1]
    return picture._replace(run=2, number=own, numbers=LastNumbers(*numbers))
