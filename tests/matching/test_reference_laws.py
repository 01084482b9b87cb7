"""Laws that the reference keeps whatever is asked of it: checked after every command of random tapes."""

from __future__ import annotations

import copy
from collections import Counter
from itertools import pairwise

import pytest

from matching.flow import random_flow
from matching.permissions import CALLS
from matching.reference import Book, Command, Event, Market, Order, ReferenceBook, commands_from
from matching.reference_orders import parked_priority, priority
from matching.vocabulary import (
    PRICE_MAX,
    CommandKind,
    EventKind,
    OrderType,
    Phase,
    RejectReason,
    SelfTrade,
    Side,
    TimeInForce,
)

COMMANDS = 2_000
MARKETS = [
    Market(collar=20),
    Market(5, reference=500, collar=100, static_collar=500),
    Market(2_500, collar=1_000, dynamic_collar=50),
]
TICKS = [market.tick for market in MARKETS]
SEEDS = range(3)


def tape_of(seed: int, commands: int = COMMANDS) -> list[Command]:
    """Return a random tape for `MARKETS`."""
    return commands_from(random_flow(seed, commands, len(MARKETS), TICKS))


class Ledger:
    """What events say of each order: its total, what is open, its price; and all lots that there were."""

    def __init__(self) -> None:
        self.totals: Counter[int] = Counter()
        self.leaves: Counter[int] = Counter()
        self.prices: dict[int, int] = {}
        self.asked: dict[int, Command] = {}

    def note(self, event: Event, command: Command) -> None:
        """Add one event, and check it against all that was said before."""
        kind, number = event.kind, event.order
        if kind in (EventKind.REJECTED, EventKind.PHASE_CHANGED):
            assert event.leaves == event.maker_leaves == event.maker_order == 0
            return
        if kind == EventKind.INDICATIVE:
            assert number == event.maker_leaves == event.maker_order == 0
            return
        if kind == EventKind.ACCEPTED:
            assert self.leaves[number] == 0
            assert event.leaves == event.quantity == command.quantity
            self.asked[number], self.prices[number] = command, event.price
            self.totals[number] = self.leaves[number] = event.quantity
            return
        assert self.leaves[number] > 0
        if kind == EventKind.TRADED:
            self.note_trade(event)
            return
        filled = self.totals[number] - self.leaves[number]
        if kind == EventKind.REPLACED:
            trails = self.asked[number].type == OrderType.TRAILING_STOP
            assert event.was_price == self.prices[number] or trails
            assert event.leaves == event.quantity - filled
            self.totals[number], self.leaves[number] = event.quantity, event.leaves
            self.prices[number] = event.price
        elif kind == EventKind.REDUCED:
            assert 0 < event.leaves == event.quantity - filled < self.leaves[number]
            self.totals[number], self.leaves[number] = event.quantity, event.leaves
        elif kind == EventKind.TRIGGERED:
            assert (event.quantity, event.leaves) == (self.totals[number], self.leaves[number])
            self.prices[number] = event.price
        else:
            assert kind in (EventKind.CANCELLED, EventKind.EXPIRED)
            assert (event.quantity, event.leaves) == (self.leaves[number], 0)
            self.leaves[number] = 0

    def note_trade(self, event: Event) -> None:
        """Add one trade: both lose its lots, at a price that both reach, the maker's but in auctions."""
        for number, leaves in ((event.order, event.leaves), (event.maker_order, event.maker_leaves)):
            self.leaves[number] -= event.quantity
            assert 0 <= self.leaves[number] == leaves
        assert event.quantity > 0
        taker, maker = self.asked[event.order], self.asked[event.maker_order]
        assert (taker.side, taker.instrument) == (1 - maker.side, maker.instrument)
        buy, sell = (event.order, event.maker_order)[:: 1 if event.side == Side.BUY else -1]
        assert self.prices[sell] <= event.price <= self.prices[buy]
        is_auction = event.phase == Phase.AUCTION
        if is_auction:
            assert event.side == Side.BUY
        else:
            assert event.price == self.prices[event.maker_order]
            assert not taker.post_only
        if taker.group == maker.group:
            assert not self.asked[buy].subsidised
            # In an auction the mode of the later rules, which their commands do not tell.
            modes = (taker.self_trade, maker.self_trade) if is_auction else (taker.self_trade,)
            assert SelfTrade.NONE in modes


@pytest.mark.parametrize("number", SEEDS)
def test_lots_add_up_and_the_book_stands_in_order(number, seed):
    book, ledger = ReferenceBook(MARKETS), Ledger()
    clock = 0
    for command in tape_of(seed + number):
        for event in book.apply(command):
            ledger.note(event, command)
        clock = max(clock, command.time)
        assert book.clock == clock
        assert not book.elected
        assert_in_order(book)
        assert {one.id: one.leaves for one in book.open.values()} == +ledger.leaves
        assert all(one.quantity == ledger.totals[one.id] for one in book.open.values())


def assert_in_order(book: ReferenceBook) -> None:
    """Assert that every queue is sorted, no book crossed while it trades, and all stand where they belong."""
    standing: list[Order] = []
    for market, halves in zip(book.markets, book.books, strict=True):
        ranks_of = (priority, priority, parked_priority, parked_priority, priority, priority)
        for orders, rank in zip(halves, ranks_of, strict=True):
            ranks = [rank(one) for one in orders]
            assert all(one < other for one, other in pairwise(ranks))
            standing += orders
        for side in Side:
            assert all(one.side == side for one in halves.half(side))
            assert all(one.side == side and one.is_parked for one in halves.parked(side))
            assert all(one.side == side and one.is_waiting for one in halves.waiting(side))
            assert not any(one.is_parked or one.is_waiting for one in halves.half(side))
        if market.phase in (Phase.AUCTION, Phase.CONTINUOUS):
            assert_uncrossed(halves, market)
        for one in (one for orders in halves for one in orders):
            assert_sound(one, market)
    assert {one.id: one for one in standing} == book.open
    assert len(standing) == len(book.open)
    dated = [one for one in standing if one.time_in_force == TimeInForce.GTD]
    assert sorted(dated, key=id) == sorted(book.dated, key=id)
    assert all(one.expires_at > book.clock for one in dated)


def assert_uncrossed(halves: Book, market: Market) -> None:
    """Assert that nothing is left to trade: no bid meets an ask, nobody waits, no stop has been reached."""
    if halves.bids and halves.asks:
        assert halves.bids[0].price < halves.asks[0].price
    assert not halves.waiting_buys
    assert not halves.waiting_sells
    if market.last and halves.parked_buys:
        assert halves.parked_buys[0].stop_price > market.last
    if market.last and halves.parked_sells:
        assert halves.parked_sells[0].stop_price < market.last


def assert_sound(one: Order, market: Market) -> None:
    """Assert that an open order has a price, lots, and as much to show as its type says."""
    assert 0 < one.price <= PRICE_MAX
    assert one.price % market.tick == one.stop_price % market.tick == 0
    assert 0 < one.leaves <= one.quantity
    if one.is_parked:
        assert one.shown == 0 < one.stop_price <= PRICE_MAX
        assert one.type in (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
        return
    if one.is_waiting:
        assert one.shown == 0
        assert one.type not in (OrderType.LIMIT, OrderType.STOP_LIMIT)
        return
    assert one.may_rest
    assert 0 < one.shown <= one.leaves
    assert one.shown <= (one.display_quantity or one.leaves)
    assert one.minimum_quantity == 0


@pytest.mark.parametrize("number", SEEDS)
def test_who_must_trade_so_much_at_once_is_cancelled_just_if_it_could_not(number, seed):
    """It could if the same order does without that instruction. One that may shrink counts less."""
    book = ReferenceBook(MARKETS)
    seen: Counter[bool] = Counter()
    for command in tape_of(seed + number):
        is_fok = command.time_in_force == TimeInForce.FOK
        is_bound = is_fok or command.minimum_quantity > 0
        enters = command.type in (OrderType.LIMIT, OrderType.MARKET)
        if command.kind == CommandKind.NEW and is_bound and enters and not book.fault_of(command):
            free = command._replace(minimum_quantity=0, time_in_force=TimeInForce.IOC)
            could = traded_at_once(copy.deepcopy(book).apply(free), command.order)
            needed = command.quantity if is_fok else command.minimum_quantity
            events = book.apply(command)
            is_cancelled = any(
                event.order == command.order and event.reason == RejectReason.NOT_FILLABLE for event in events
            )
            might_shrink = command.self_trade == SelfTrade.DECREMENT and not is_fok
            assert is_cancelled == (could < needed) or (is_cancelled and might_shrink)
            assert traded_at_once(events, command.order) == (0 if is_cancelled else could)
            seen[is_cancelled] += 1
        else:
            book.apply(command)
    assert min(seen[True], seen[False]) > 5


def traded_at_once(events: list[Event], number: int) -> int:
    """Return the lots that an order took when it entered."""
    taken = (event for event in events if event.kind == EventKind.TRADED and event.order == number)
    return sum(event.quantity for event in taken)


@pytest.mark.parametrize("number", SEEDS)
def test_a_refused_command_changes_nothing_but_the_clock(number, seed):
    book = ReferenceBook(MARKETS)
    for command in tape_of(seed + number, 500):
        before = copy.deepcopy(book)
        events = book.apply(command)
        if any(event.kind == EventKind.REJECTED for event in events):
            before.apply(Command(kind=CommandKind.CLOCK, time=command.time))
            assert picture(before) == picture(book)


def picture(book: ReferenceBook) -> list[list[tuple[int, ...]]]:
    """Return all that stands, in its place."""
    return [
        [(one.id, one.price, one.stop_price, one.quantity, one.leaves, one.shown) for one in orders]
        for halves in book.books
        for orders in halves
    ]


@pytest.mark.parametrize("number", SEEDS)
def test_what_was_told_last_of_a_call_is_what_its_auction_would_find(number, seed):
    book = ReferenceBook(MARKETS)
    told: dict[int, tuple[int, int, int]] = {}
    news = 0
    for command in tape_of(seed + number):
        phases = [market.phase for market in book.markets]
        for event in book.apply(command):
            if event.kind == EventKind.PHASE_CHANGED and phases[event.instrument] not in CALLS:
                told.pop(event.instrument, None)
            if event.kind == EventKind.INDICATIVE:
                surplus = event.leaves if event.side == Side.BUY else -event.leaves
                assert told.get(event.instrument, (0, 0, 0)) != (event.price, event.quantity, surplus)
                told[event.instrument] = (event.price, event.quantity, surplus)
                news += 1
        for instrument, market in enumerate(book.markets):
            if market.phase in CALLS:
                assert told.get(instrument, (0, 0, 0)) == book.clearing(instrument)
    assert news > 20


@pytest.mark.parametrize("number", SEEDS)
def test_in_a_call_nothing_trades_and_in_continuous_trading_nothing_beyond_a_collar(number, seed):
    markets = [market._replace(static_collar=50, dynamic_collar=5) for market in MARKETS]
    book = ReferenceBook(markets)
    interruptions = 0
    for command in tape_of(seed + number):
        phases = [market.phase for market in book.markets]
        references = [market.reference for market in book.markets]
        lasts = [market.last for market in book.markets]
        bases = list(lasts)  # the last prices when an order entered the book
        for event in book.apply(command):
            instrument = event.instrument
            if event.kind == EventKind.PHASE_CHANGED:
                phases[instrument], references[instrument] = event.phase, event.price
                interruptions += event.reason != RejectReason.NONE
            elif event.kind == EventKind.TRIGGERED:
                bases = list(lasts)
            elif event.kind == EventKind.TRADED:
                lasts[instrument] = event.price
                assert phases[instrument] in (Phase.AUCTION, Phase.CONTINUOUS)
                if event.phase != Phase.AUCTION:
                    assert_within(event.price, references[instrument], 50)
                    assert_within(event.price, bases[instrument], 5)
    assert interruptions > 5


def assert_within(price: int, base: int, collar: int) -> None:
    """Assert that a price lies at most so many per mille from its base, if there are both."""
    assert not base or not collar or 1000 * abs(price - base) <= collar * base


def test_the_same_tape_makes_the_same_events(seed):
    tape = tape_of(seed)
    assert ReferenceBook(MARKETS).apply_all(tape) == ReferenceBook(MARKETS).apply_all(tape)
