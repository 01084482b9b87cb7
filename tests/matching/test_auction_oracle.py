"""Reference and kernels find and do in an auction what trying every price and pairing every lot says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from typing import NamedTuple

import pytest

from matching import reference_auction
from matching.auction import clearing
from matching.batch import match
from matching.layout import empty_book
from matching.reference import Command, Event, Market, ReferenceBook, events_from
from matching.reference_orders import rounded_down
from matching.view import orders_of
from matching.vocabulary import CommandKind, EventKind, OrderType, Phase, Side
from tests.matching.oracle import Found, Interest, Trade, find, is_crossed, uncross
from tests.matching.stories import array_of

BOOKS = 20_000
BOOKS_SLOW = 100_000
BOOKS_OF_A_CANARY = 1_000
BOOKS_A_BATCH = 2_000
"""The kernels run over so many at once: an instrument a book."""


class Case(NamedTuple):
    """One small book, as it stands when its call ends, and how it ends."""

    tick: int
    reference: int
    orders: list[Interest]
    ending: Phase


class Outcome(NamedTuple):
    """What was told last of a call, what its auction traded, and what rests: bids, then asks."""

    indicative: Found
    trades: list[Trade]
    bids: list[tuple[int, int, int]]
    asks: list[tuple[int, int, int]]


Engine = Callable[[list[Case]], Iterator[Outcome]]

PAIRED = reference_auction.paired
"""As it is before a canary changes it."""


def random_cases(seed: int) -> Iterator[Case]:
    """Yield small books without end: few prices and few lots, so that all that can be equal often is."""
    chance = Random(seed)
    while True:
        tick = chance.choice([1, 2, 5])
        middle, width = tick * chance.choice([20, 1_000]), chance.choice([1, 3, 8])
        near = middle + tick * chance.randint(-width, width)
        reference = chance.choice([0, 0, near, near, near + chance.randrange(tick), 1, 100 * middle])
        share = chance.choice([0.0, 0.2, 0.2, 0.5, 0.5, 1.0])
        count = chance.randint(1, 10)
        orders = []
        for number in range(1, count + 1):
            price = middle + tick * chance.randint(-width, width)
            lots = chance.choice([1, 2, 3, 5, 10, 30])
            is_iceberg = chance.random() < 0.3
            display = chance.randint(1, lots) % lots if is_iceberg else 0
            shown = 0 if chance.random() < share else display or lots
            orders.append(
                Interest(
                    number, number, Side(chance.randrange(2)), price, lots, shown, display if shown else 0
                )
            )
        yield Case(tick, reference, orders, chance.choice([Phase.AUCTION, Phase.CONTINUOUS]))


def expected(case: Case) -> Outcome:
    """Return what the oracle says."""
    trades, resting = uncross(case.orders, case.reference, case.tick)
    assert not is_crossed(resting)
    bids, asks = (
        [
            (order.id, order.lots, order.shown)
            for order in sorted(resting, key=lambda order: (toward * order.price, order.time))
            if order.side == side
        ]
        for side, toward in ((Side.BUY, -1), (Side.SELL, 1))
    )
    return Outcome(find(case.orders, case.reference, case.tick), trades, bids, asks)


def call_of(case: Case, instrument: int = 0) -> list[Command]:
    """Return the commands that open a call and fill the book."""
    opening = Command(
        kind=CommandKind.PHASE, phase=Phase.PRE_OPEN, instrument=instrument, price=case.reference
    )
    orders = [
        Command(
            100 * instrument + order.id,
            order.price,
            order.lots,
            instrument=instrument,
            side=order.side,
            member=order.id,
            group=order.id,
            type=OrderType.MARKET if order.is_waiting else OrderType.LIMIT,
            display_quantity=order.display,
        )
        for order in case.orders
    ]
    return [opening, *orders]


def end_of(case: Case, instrument: int = 0) -> Command:
    """Return the command that uncrosses the book."""
    return Command(kind=CommandKind.PHASE, phase=case.ending, instrument=instrument)


# --- the two engines ---------------------------------------------------------------------------


def reference(cases: list[Case]) -> Iterator[Outcome]:
    """Play on the reference, a book at a time."""
    for case in cases:
        book = ReferenceBook([Market(case.tick)])
        events = book.apply_all(call_of(case))
        assert indicative_of(events) == Found(*book.clearing(0))
        events += book.apply(end_of(case))
        bids, asks = (
            [(order.id, order.leaves, order.shown) for order in book.orders_of(0, side)] for side in Side
        )
        assert not book.waiting_of(0, Side.BUY)
        assert not book.waiting_of(0, Side.SELL)
        yield Outcome(indicative_of(events), trades_of(events), bids, asks)


def kernels(cases: list[Case]) -> Iterator[Outcome]:
    """Play on the kernels, many books at once."""
    for start in range(0, len(cases), BOOKS_A_BATCH):
        batch = cases[start : start + BOOKS_A_BATCH]
        book = empty_book(len(batch))
        book.markets["tick"] = [case.tick for case in batch]
        numbered = list(enumerate(batch))
        calls = [command for number, case in numbered for command in call_of(case, number)]
        book, opened = match(book, array_of(calls))
        found = [Found(*clearing(book, number)) for number in range(len(batch))]
        book, closed = match(book, array_of([end_of(case, number) for number, case in numbered]))
        told: list[list[Event]] = [[] for _ in batch]
        for event in (*events_from(opened), *events_from(closed)):
            told[event.instrument].append(event)
        assert [indicative_of(events) for events in told] == found
        for number, events in enumerate(told):
            bids, asks = (
                [
                    (number_in_book(order), leaves, shown)
                    for order, leaves, shown in orders_of(book, number, side)[
                        ["id", "leaves", "shown"]
                    ].tolist()
                ]
                for side in Side
            )
            yield Outcome(indicative_of(events), trades_of(events), bids, asks)


def indicative_of(events: list[Event]) -> Found:
    """Return what was told last that the auction would find."""
    told = [event for event in events if event.kind == EventKind.INDICATIVE]
    if not told:
        return Found()
    last = told[-1]
    return Found(last.price, last.quantity, last.leaves if last.side == Side.BUY else -last.leaves)


def trades_of(events: list[Event]) -> list[Trade]:
    """Return the trades, every one of them an auction's."""
    trades = [event for event in events if event.kind == EventKind.TRADED]
    assert all((event.phase, event.side) == (Phase.AUCTION, Side.BUY) for event in trades)
    return [
        Trade(number_in_book(event.order), number_in_book(event.maker_order), event.quantity, event.price)
        for event in trades
    ]


def number_in_book(order: int) -> int:
    """Return an order's number among those of its book."""
    return order % 100


# --- the judgement -----------------------------------------------------------------------------


@pytest.mark.parametrize("engine", [reference, kernels])
@pytest.mark.parametrize("books", [BOOKS, pytest.param(BOOKS_SLOW, marks=pytest.mark.slow)])
def test_an_auction_finds_and_does_what_the_oracle_says(books, engine, seed, scale):
    cases = list(islice(random_cases(seed), books * scale))
    for case, outcome in zip(cases, engine(cases), strict=True):
        assert outcome == expected(case), case


def test_random_books_show_every_rule(seed):
    """Surplus on either side and none, auctions without limits, and books that need a second price."""
    cases = list(islice(random_cases(seed), BOOKS_OF_A_CANARY))
    outcomes = [expected(case) for case in cases]
    surpluses = Counter(
        (one.indicative.surplus > 0) - (one.indicative.surplus < 0) for one in outcomes if one.trades
    )
    prices = Counter(len({trade.price for trade in one.trades}) for one in outcomes)
    limitless = [
        one
        for case, one in zip(cases, outcomes, strict=True)
        if one.trades and all(order.is_waiting for order in case.orders)
    ]
    assert min(surpluses[-1], surpluses[0], surpluses[1]) > 50
    assert prices[0] > 50
    assert prices[2] > 5
    assert len(limitless) > 5


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("best_of", lambda segments: [one for one in segments if one.volume > 0][:1]),
        ("price_among", lambda left, reference, tick: left[0].first),
        ("price_among", lambda left, reference, tick: max(left[0].first, min(reference, left[-1].last))),
        ("nearest_on_grid", rounded_down),
        ("is_willing", lambda order, price: True),
        ("paired", lambda buys, sells: PAIRED(reversed(buys), sells)),
    ],
)
def test_a_reference_with_another_rule_is_found_out(name, changed, seed, monkeypatch):
    monkeypatch.setattr(reference_auction, name, changed)
    cases = list(islice(random_cases(seed), BOOKS_OF_A_CANARY))
    assert list(reference(cases)) != [expected(case) for case in cases]
