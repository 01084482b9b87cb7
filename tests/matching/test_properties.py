"""What must hold whatever is asked: nothing is made, nothing is lost, no book is crossed that trades."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from matching.batch import match
from matching.invariants import check
from matching.layout import Book, empty_book
from matching.reference import Command, Event, Market, ReferenceBook, events_from
from matching.view import depth_of, orders_of, waiting_of
from matching.vocabulary import (
    EVERY,
    QUANTITY_MAX,
    CommandKind,
    EventKind,
    OrderType,
    Phase,
    RejectReason,
    SelfTrade,
    Side,
    TimeInForce,
)
from tests.matching.differential import assert_same_books
from tests.matching.stories import array_of

INSTRUMENTS = 2
FEW_LOTS = st.integers(1, 9)
QUANTITIES = st.one_of(FEW_LOTS, FEW_LOTS, FEW_LOTS, st.sampled_from([QUANTITY_MAX, QUANTITY_MAX + 1]))
PRICES = st.one_of(st.integers(95, 105), st.sampled_from([1, 64, 4_095, 100_000, 10**8, 10**15]))

TYPES = [OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT, OrderType.MARKET]
TIMES_IN_FORCE = [TimeInForce.GTC, TimeInForce.GTC, TimeInForce.DAY, TimeInForce.IOC]


@st.composite
def new_orders(draw) -> Command:
    """Draw an order of one of four members in two groups, near the others' or far away."""
    member = draw(st.integers(0, 3))
    return Command(
        order=draw(st.integers(0, 40)),
        price=draw(PRICES),
        type=draw(st.sampled_from(TYPES)),
        self_trade=draw(st.sampled_from(SelfTrade)),
        quantity=draw(QUANTITIES),
        instrument=draw(st.integers(0, INSTRUMENTS - 1)),
        member=member,
        group=member // 2,
        side=draw(st.sampled_from(Side)),
        time_in_force=draw(st.sampled_from(TIMES_IN_FORCE)),
        subsidised=draw(st.sampled_from([0, 0, 1])),
    )


@st.composite
def cancels(draw) -> Command:
    """Draw a cancel of an order that may be there, by its owner, by another, or in his name."""
    order, member = draw(st.integers(0, 40)), draw(st.integers(-1, 3))
    return Command(order=order, kind=CommandKind.CANCEL, member=member)


@st.composite
def phases(draw) -> Command:
    """Draw a change of phase, of one instrument or of both, more often than not into a call or out of one."""
    return Command(
        kind=CommandKind.PHASE,
        instrument=draw(st.integers(EVERY, INSTRUMENTS - 1)),
        phase=draw(st.sampled_from([*Phase, Phase.PRE_OPEN, Phase.CONTINUOUS])),
        price=draw(st.sampled_from([0, 0, 98, 101])),
    )


ENDS = st.just(Command(kind=CommandKind.END_DAY))
COMMANDS = st.lists(
    st.one_of(new_orders(), new_orders(), new_orders(), new_orders(), cancels(), phases(), ENDS), max_size=80
)

OF_NO_ORDER = {EventKind.REJECTED, EventKind.PHASE_CHANGED, EventKind.INDICATIVE}
"""The events that change no order."""


def batched(commands: list[Command], length: int) -> list[list[Command]]:
    """Cut commands into batches."""
    return [commands[at : at + length] for at in range(0, len(commands), length)]


def played(commands: list[Command]) -> tuple[Book, list[Event]]:
    """Return the book and the events after these commands, in a market of a tick of 1."""
    book, events = match(empty_book(INSTRUMENTS), array_of(commands))
    return book, events_from(events)


@given(COMMANDS)
def test_every_lot_is_open_or_accounted_for(commands):
    book, events = played(commands)
    open_lots: Counter[int] = Counter()
    for event in events:
        if event.kind == EventKind.ACCEPTED:
            assert open_lots[event.order] == 0
            open_lots[event.order] = event.quantity
        elif event.kind == EventKind.TRADED:
            open_lots[event.order] -= event.quantity
            open_lots[event.maker_order] -= event.quantity
            assert open_lots[event.maker_order] == event.maker_leaves
        elif event.kind == EventKind.REDUCED:
            open_lots[event.order] = event.leaves
        elif event.kind not in OF_NO_ORDER:
            open_lots[event.order] -= event.quantity
        if event.kind not in OF_NO_ORDER:
            assert open_lots[event.order] == event.leaves >= 0
    standing = {
        int(row["id"]): int(row["leaves"])
        for instrument in range(INSTRUMENTS)
        for side in Side
        for rows_of in (orders_of, waiting_of)
        for row in rows_of(book, instrument, side)
    }
    assert standing == +open_lots


@given(COMMANDS)
def test_no_order_trades_beyond_its_limit_or_with_its_own_side(commands):
    _, events = played(commands)
    orders: dict[int, Event] = {}
    for event in events:
        if event.kind == EventKind.ACCEPTED:
            orders[event.order] = event
        elif event.kind == EventKind.TRADED:
            taker, maker = orders[event.order], orders[event.maker_order]
            assert (taker.instrument, taker.side) == (maker.instrument, 1 - maker.side)
            if event.phase == Phase.AUCTION:
                assert taker.price >= event.price >= maker.price
                continue
            assert event.price == maker.price
            if taker.side == Side.BUY:
                assert taker.price >= maker.price
            else:
                assert taker.price <= maker.price


@given(COMMANDS)
def test_all_trades_of_an_auction_are_at_one_price(commands):
    """No stops are drawn, and so every auction has one round."""
    _, events = played(commands)
    prices: dict[tuple[int, int], set[int]] = {}
    for event in events:
        if event.kind == EventKind.TRADED and event.phase == Phase.AUCTION:
            prices.setdefault((event.command, event.instrument), set()).add(event.price)
    assert all(len(of_one) == 1 for of_one in prices.values())


@given(COMMANDS)
def test_a_subsidised_buy_never_trades_with_its_own_group(commands):
    _, events = played(commands)
    asked: dict[int, Command] = {}
    for event in events:
        if event.kind == EventKind.ACCEPTED:
            asked[event.order] = commands[event.command]
        elif event.kind == EventKind.TRADED:
            pair = (asked[event.order], asked[event.maker_order])
            buy, sell = sorted(pair, key=lambda command: command.side)
            assert not (buy.subsidised and buy.group == sell.group)


@given(COMMANDS)
def test_only_a_subsidised_buy_goes_for_a_related_party(commands):
    _, events = played(commands)
    asked: dict[int, Command] = {}
    for event in events:
        if event.kind == EventKind.ACCEPTED:
            asked[event.order] = commands[event.command]
        elif event.reason == RejectReason.RELATED_PARTY:
            assert (asked[event.order].side, asked[event.order].subsidised) == (Side.BUY, 1)


@given(COMMANDS)
def test_no_book_that_trades_is_crossed_and_none_is_broken(commands):
    book = empty_book(INSTRUMENTS)
    for few in batched(commands, 8):
        book, _ = match(book, array_of(few))
        check(book)


@given(COMMANDS)
def test_the_same_orders_rest_in_the_same_order_as_in_the_reference(commands):
    book, events = played(commands)
    twin = ReferenceBook([Market()] * INSTRUMENTS)
    assert events == twin.apply_all(commands)
    assert_same_books(book, twin)


@given(COMMANDS)
def test_depth_is_the_sum_of_the_orders_and_the_best_price_comes_first(commands):
    book, _ = played(commands)
    for instrument in range(INSTRUMENTS):
        for side in Side:
            rows = orders_of(book, instrument, side)
            depth = depth_of(book, instrument, side, 1_000)
            prices = depth[:, 0].tolist()
            assert prices == sorted(set(prices), reverse=side == Side.BUY)
            lots: Counter[int] = Counter()
            for row in rows:
                lots[int(row["price"])] += int(row["leaves"])
            assert dict(zip(prices, depth[:, 1].tolist(), strict=True)) == dict(lots)
            ranks = [int(row["price"]) for row in rows]
            assert ranks == sorted(ranks, reverse=side == Side.BUY)
