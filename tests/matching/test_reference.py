"""The reference by itself: each paragraph of the manual, by hand.

Orders are named by their ids. A test plays commands and reads what happened, a line an event; that a
sound order was accepted is left out. `1 x 2: 3 @ 101 (0, 1)` is a trade: maker, taker, lots, price, and
what is left of each; `auction 1 x 2: ...` is one of an auction: sell, buy.
"""

from __future__ import annotations

import copy
from functools import partial

import pytest

from matching.reference import Command, Event, Market, ReferenceBook
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    NOTIONAL_MAX,
    PRICE_MAX,
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

GTD, DAY, IOC, FOK = (TimeInForce[name] for name in ("GTD", "DAY", "IOC", "FOK"))
MARKET, STOP, STOP_LIMIT, TRAILING = (
    OrderType[name] for name in ("MARKET", "STOP", "STOP_LIMIT", "TRAILING_STOP")
)


def order(number, quantity, price=0, *, side, **more) -> Command:
    """Return a new order; its member is its number, and alone in its group, unless it says so."""
    member = more.pop("member", number)
    group = more.pop("group", member)
    return Command(number, price, quantity, side=side, member=member, group=group, **more)


buy = partial(order, side=Side.BUY)
sell = partial(order, side=Side.SELL)


def change(kind, number=0, quantity=0, price=0, **more) -> Command:
    """Return another command; about an order it is asked in its owner's name, unless it says so."""
    return Command(number, price, quantity, kind=kind, **more)


cancel = partial(change, CommandKind.CANCEL)
reduce = partial(change, CommandKind.REDUCE)
replace = partial(change, CommandKind.REPLACE)
clock = partial(change, CommandKind.CLOCK)
END_DAY = change(CommandKind.END_DAY)


def mass_cancel(instrument=EVERY, side=BOTH_SIDES, member=EVERY) -> Command:
    """Return a mass cancel, of all orders unless it says so."""
    return Command(kind=CommandKind.MASS_CANCEL, instrument=instrument, side=side, member=member)


def phase(name, instrument=0, reference=0) -> Command:
    """Return a command that sets a phase."""
    return Command(kind=CommandKind.PHASE, phase=Phase[name], instrument=instrument, price=reference)


def happens(book: ReferenceBook, *commands: Command) -> list[str]:
    """Play commands and return what happened, a line an event."""
    return [line for event in book.apply_all(commands) if (line := line_of(event))]


def line_of(event: Event) -> str:
    """Return what an event says, nothing if that an order was accepted."""
    reason = RejectReason(event.reason).name.lower().replace("_", " ")
    because = "" if event.reason == RejectReason.NONE else f": {reason}"
    match event.kind:
        case EventKind.ACCEPTED:
            return ""
        case EventKind.REJECTED:
            phase = "" if event.phase == Phase.CLOSED else f" ({Phase(event.phase).name.lower()})"
            return f"{event.order} refused{because}{phase}"
        case EventKind.TRADED:
            left = f"({event.maker_leaves}, {event.leaves})"
            auction = "auction " if event.phase == Phase.AUCTION else ""
            return f"{auction}{event.maker_order} x {event.order}: {event.quantity} @ {event.price} {left}"
        case EventKind.CANCELLED | EventKind.EXPIRED:
            return f"{event.order} {EventKind(event.kind).name.lower()} {event.quantity}{because}"
        case EventKind.REDUCED:
            return f"{event.order} reduced to {event.quantity}, open {event.leaves}{because}"
        case EventKind.REPLACED:
            was = f"@ {event.price}, was {event.was_price}"
            return f"{event.order} replaced: {event.quantity} {was}, open {event.leaves}"
        case EventKind.TRIGGERED:
            return f"{event.order} triggered: {event.quantity} @ {event.price}, open {event.leaves}"
        case EventKind.INDICATIVE:
            more = f"{event.leaves} more to {Side(event.side).name.lower()}"
            return f"{event.instrument} indicates {event.quantity} @ {event.price}, {more}"
    assert event.kind == EventKind.PHASE_CHANGED
    return f"{event.instrument} {Phase(event.phase).name.lower()}, reference {event.price}{because}"


def opened(*markets: Market) -> ReferenceBook:
    """Return a book without orders, of one plain market unless others are given."""
    return ReferenceBook(markets or [Market()])


def queue(book: ReferenceBook, side: Side, instrument: int = 0) -> list[tuple[int, int, int, int]]:
    """Return (id, price, open, shown) of the orders that rest."""
    return [(one.id, one.price, one.leaves, one.shown) for one in book.orders_of(instrument, side)]


def parked(book: ReferenceBook, side: Side, instrument: int = 0) -> list[tuple[int, int, int]]:
    """Return (id, stop price, price) of the orders that are parked."""
    return [(one.id, one.stop_price, one.price) for one in book.parked_of(instrument, side)]


# --- priority, and time ------------------------------------------------------------------------


def test_the_better_price_goes_first_then_who_came_first_at_the_makers_price():
    book = opened()
    told = happens(book, sell(1, 3, 102), sell(2, 3, 101), sell(3, 3, 101), buy(4, 7, 102))
    assert told == ["2 x 4: 3 @ 101 (0, 4)", "3 x 4: 3 @ 101 (0, 1)", "1 x 4: 1 @ 102 (2, 0)"]
    assert queue(book, Side.SELL) == [(1, 102, 2, 2)]


def test_gtd_orders_expire_before_the_command_that_tells_their_time():
    book = opened()
    happens(
        book,
        sell(1, 1, 103, time_in_force=GTD, expires_at=20),
        sell(2, 1, 102, time_in_force=GTD, expires_at=10),
        sell(3, 1, 101, time_in_force=GTD, expires_at=20, time=5),
        sell(4, 1, 105, type=STOP_LIMIT, stop_price=90, time_in_force=GTD, expires_at=20),
        sell(5, 1, 104, time_in_force=GTD, expires_at=21),
    )
    assert happens(book, clock(time=9)) == []
    told = happens(book, buy(6, 1, 101, time=20))
    assert told == ["2 expired 1", "1 expired 1", "3 expired 1", "4 expired 1"]
    assert queue(book, Side.BUY) == [(6, 101, 1, 1)]
    assert queue(book, Side.SELL) == [(5, 104, 1, 1)]


def test_a_replaced_order_expires_in_the_order_in_which_it_was_accepted():
    book = opened()
    two = [buy(number, 1, 99, time_in_force=GTD, expires_at=9) for number in (1, 2)]
    happens(book, *two, replace(1, 1, 98))
    assert happens(book, clock(time=9)) == ["1 expired 1", "2 expired 1"]


def test_the_clock_never_runs_back_and_is_told_by_refused_commands_too():
    book = opened()
    happens(book, buy(1, 1, 99, time_in_force=GTD, expires_at=10))
    told = happens(book, cancel(77, time=10), clock(time=3))
    assert told == ["1 expired 1", "77 refused: unknown order"]
    assert book.clock == 10
    late = buy(2, 1, 99, time_in_force=GTD, expires_at=10, time=2)
    assert happens(book, late) == ["2 refused: expiry invalid"]


# --- what is refused ---------------------------------------------------------------------------

FAULTY: list[tuple[RejectReason, dict[str, int]]] = [
    (RejectReason.UNKNOWN_INSTRUMENT, {"instrument": 1}),
    (RejectReason.UNKNOWN_SIDE, {"side": 2}),
    (RejectReason.UNKNOWN_TYPE, {"type": 5}),
    (RejectReason.UNKNOWN_TIME_IN_FORCE, {"time_in_force": 5}),
    (RejectReason.UNKNOWN_SELF_TRADE, {"self_trade": 5}),
    (RejectReason.PRICE_NOT_POSITIVE, {"price": -10}),
    (RejectReason.QUANTITY_NOT_POSITIVE, {"quantity": 0}),
    (RejectReason.TRAIL_INVALID, {"trail": 0}),
    (RejectReason.STOP_PRICE_INVALID, {"stop_price": 95}),
    (RejectReason.MINIMUM_QUANTITY_INVALID, {"minimum_quantity": -1}),
    (RejectReason.EXPIRY_INVALID, {"time_in_force": GTD, "expires_at": 0}),
    (RejectReason.INSTRUCTIONS_CONFLICT, {"post_only": 1}),
    (RejectReason.NO_PROTECTION_PRICE, {"price": 0}),
]
"""Faults of a trailing stop, in the order in which they are found."""


@pytest.mark.parametrize("first", range(len(FAULTY)))
def test_of_several_faults_the_first_is_told(first):
    sound = sell(1, 5, 100, type=TRAILING, trail=10, stop_price=90)
    book = opened(Market(10))
    assert happens(book, sound) == []
    faulty = sound
    for _, fields in reversed(FAULTY[first:]):
        faulty = faulty._replace(**fields)
    (event,) = book.apply(faulty)
    assert (event.kind, RejectReason(event.reason)) == (EventKind.REJECTED, FAULTY[first][0])
    echoed = (event.order, event.price, event.quantity, event.instrument, event.side, event.leaves)
    assert echoed == (1, faulty.price, faulty.quantity, faulty.instrument, faulty.side, 0)


def test_where_the_book_stands_in_the_way_it_is_told_last():
    book = opened(Market(), Market(phase=Phase.HALTED))
    happens(book, sell(1, 1, 100))
    told = happens(
        book,
        buy(0, NOTIONAL_MAX // 2**30, 2**31, instrument=1),
        buy(0, 1, 100, instrument=1),
        buy(0, 1, 100),
        buy(1, 1, 100, post_only=1),
        buy(2, 1, 100, post_only=1),
        buy(3, 1, 99, post_only=1),
    )
    assert told == [
        "0 refused: notional too large",
        "0 refused: instrument not open (halted)",
        "0 refused: order not positive",
        "1 refused: duplicate order",
        "2 refused: post only would cross",
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"price": PRICE_MAX}, "none"),
        ({"price": PRICE_MAX + 1}, "price too large"),
        ({"price": 0}, "price not positive"),
        ({"quantity": QUANTITY_MAX, "price": 2**20}, "none"),
        ({"quantity": QUANTITY_MAX, "price": 2**20 + 1}, "notional too large"),
        ({"quantity": QUANTITY_MAX + 1}, "quantity too large"),
        ({"quantity": 2_000, "display_quantity": 2}, "none"),
        ({"quantity": 2_000, "display_quantity": 1}, "display quantity invalid"),
        ({"quantity": 2_000, "display_quantity": -1}, "display quantity invalid"),
        ({"quantity": 5, "display_quantity": 9}, "none"),
        ({"quantity": 5, "minimum_quantity": 6}, "minimum quantity invalid"),
        ({"time_in_force": GTD, "expires_at": 1}, "none"),
        ({"type": STOP_LIMIT, "stop_price": 0}, "stop price invalid"),
        ({"type": STOP_LIMIT, "stop_price": PRICE_MAX + 1}, "stop price invalid"),
        ({"type": STOP, "stop_price": 7, "price": PRICE_MAX + 1}, "price too large"),
        ({"type": TRAILING, "stop_price": 7, "trail": PRICE_MAX + 1}, "trail invalid"),
        ({"type": MARKET, "price": -1}, "price not positive"),
        ({"type": MARKET, "price": 0}, "no protection price"),
    ],
)
def test_the_edges_of_what_may_be_written(fields, reason):
    told = happens(opened(), buy(1, 5, 100)._replace(**fields))
    refused = [line.split(": ")[1] for line in told if "refused" in line]
    assert refused == ([] if reason == "none" else [reason])


@pytest.mark.parametrize(
    "fields",
    [
        {"type": MARKET},
        {"type": STOP, "stop_price": 120},
        {"type": TRAILING, "stop_price": 120, "trail": 5},
        {"time_in_force": IOC},
        {"time_in_force": FOK},
        {"minimum_quantity": 1},
    ],
)
def test_post_only_contradicts_whatever_trades_at_once(fields):
    command = buy(1, 5, 100, **fields)
    assert "1 refused: instructions conflict" not in happens(opened(), command)
    assert happens(opened(), command._replace(post_only=1)) == ["1 refused: instructions conflict"]


def test_what_a_type_cannot_use_is_ignored():
    told = happens(
        opened(),
        buy(1, 5, 100, stop_price=-7, trail=-7, expires_at=-7),
        buy(2, 5, 99, time_in_force=IOC, display_quantity=-7),
        buy(3, 5, 99, type=MARKET, time_in_force=GTD, expires_at=-7, display_quantity=-7),
        buy(4, 5, 120, type=STOP, stop_price=110, trail=-7, display_quantity=-7),
    )
    assert told == ["2 cancelled 5", "3 cancelled 5"]


# --- types, and times in force -----------------------------------------------------------------


def test_the_rest_of_a_limit_order_stands_and_that_of_an_ioc_is_cancelled():
    book = opened()
    told = happens(book, sell(1, 2, 100), buy(2, 3, 100, time_in_force=IOC), buy(3, 3, 100))
    assert told == ["1 x 2: 2 @ 100 (0, 1)", "2 cancelled 1"]
    assert queue(book, Side.BUY) == [(3, 100, 3, 3)]


def test_a_market_order_trades_up_to_its_protection_price_and_never_rests():
    book = opened(Market(reference=100, collar=20))
    happens(book, sell(1, 2, 101), sell(2, 2, 102), sell(3, 2, 103))
    accepted, *_ = book.apply(buy(4, 9, type=MARKET))
    assert (accepted.price, accepted.quantity, accepted.leaves) == (102, 9, 9)
    assert queue(book, Side.SELL) == [(3, 103, 2, 2)]
    assert queue(book, Side.BUY) == []
    assert happens(book, buy(5, 9, 103, type=MARKET)) == ["3 x 5: 2 @ 103 (0, 7)", "5 cancelled 7"]


def test_fok_trades_wholly_at_once_or_is_cancelled_without_a_trade():
    book = opened()
    happens(book, sell(1, 3, 100), sell(2, 3, 101), sell(3, 3, 102))
    assert happens(book, buy(4, 7, 101, time_in_force=FOK)) == ["4 cancelled 7: not fillable"]
    told = happens(book, buy(4, 6, 101, time_in_force=FOK))
    assert told == ["1 x 4: 3 @ 100 (0, 3)", "2 x 4: 3 @ 101 (0, 0)"]
    assert happens(book, buy(5, 4, 105, type=MARKET, time_in_force=FOK)) == ["5 cancelled 4: not fillable"]


def test_a_minimum_quantity_holds_at_entry_and_never_again():
    book = opened()
    happens(book, sell(1, 3, 100))
    assert happens(book, buy(2, 9, 100, minimum_quantity=4)) == ["2 cancelled 9: not fillable"]
    assert happens(book, buy(2, 9, 100, minimum_quantity=3)) == ["1 x 2: 3 @ 100 (0, 6)"]
    assert happens(book, sell(3, 1, 100)) == ["2 x 3: 1 @ 100 (5, 0)"]
    assert happens(book, replace(2, 9, 101)) == ["2 replaced: 9 @ 101, was 100, open 5"]
    assert queue(book, Side.BUY) == [(2, 101, 5, 5)]


def test_hidden_lots_count_for_fok():
    book = opened()
    happens(book, sell(1, 9, 100, display_quantity=2))
    told = happens(book, buy(2, 5, 100, time_in_force=FOK))
    assert told == ["1 x 2: 2 @ 100 (7, 3)", "1 x 2: 2 @ 100 (5, 1)", "1 x 2: 1 @ 100 (4, 0)"]


@pytest.mark.parametrize(
    ("mode", "lots"),
    [
        (SelfTrade.NONE, 22),
        (SelfTrade.CANCEL_MAKER, 18),
        (SelfTrade.CANCEL_TAKER, 8),
        (SelfTrade.CANCEL_BOTH, 8),
        (SelfTrade.DECREMENT, 8),
    ],
)
def test_fok_counts_up_to_whoever_bars_its_way_but_passes_over_who_would_be_cancelled(mode, lots):
    book = opened()
    happens(
        book,
        sell(1, 6, 99, display_quantity=1),
        sell(2, 9, 100, display_quantity=2),
        sell(3, 4, 100, group=9),
        sell(4, 2, 100),
        sell(5, 1, 101),
    )
    more = buy(6, lots + 1, 101, time_in_force=FOK, self_trade=mode, group=9)
    assert happens(copy.deepcopy(book), more) == [f"6 cancelled {lots + 1}: not fillable"]
    told = happens(book, more._replace(quantity=lots))
    assert sum(int(line.split()[3]) for line in told if " x " in line) == lots
    assert [line for line in told if "6 cancelled" in line] == []


def test_fok_of_a_subsidised_buy_counts_up_to_the_first_related_sell():
    book = opened()
    happens(book, sell(1, 2, 100), sell(2, 2, 100, group=9), sell(3, 2, 100))
    fok = buy(4, 3, 100, time_in_force=FOK, subsidised=1, self_trade=SelfTrade.CANCEL_MAKER, group=9)
    assert happens(book, fok) == ["4 cancelled 3: not fillable"]
    assert happens(book, fok._replace(quantity=2)) == ["1 x 4: 2 @ 100 (0, 0)"]


def test_fok_of_a_sell_passes_over_related_buys_which_go():
    book = opened()
    happens(book, buy(1, 2, 100), buy(2, 2, 100, group=9, subsidised=1), buy(3, 2, 100))
    fok = sell(4, 5, 100, time_in_force=FOK, self_trade=SelfTrade.CANCEL_BOTH, group=9)
    assert happens(book, fok) == ["4 cancelled 5: not fillable"]
    told = happens(book, fok._replace(quantity=4))
    assert told == ["1 x 4: 2 @ 100 (0, 2)", "2 cancelled 2: related party", "3 x 4: 2 @ 100 (0, 0)"]


# --- icebergs ----------------------------------------------------------------------------------


def test_an_iceberg_trades_with_all_that_it_has_and_then_shows_a_slice():
    book = opened()
    told = happens(book, sell(1, 5, 100), buy(2, 12, 100, display_quantity=3))
    assert told == ["1 x 2: 5 @ 100 (0, 7)"]
    assert queue(book, Side.BUY) == [(2, 100, 7, 3)]
    assert book.depth_of(0, Side.BUY) == [(100, 3, 1)]


def test_the_next_slice_stands_at_the_back_and_a_part_is_never_topped_up():
    book = opened()
    happens(book, sell(1, 7, 100, display_quantity=3), sell(2, 4, 100))
    assert happens(book, buy(3, 1, 100)) == ["1 x 3: 1 @ 100 (6, 0)"]
    assert queue(book, Side.SELL) == [(1, 100, 6, 2), (2, 100, 4, 4)]
    told = happens(book, buy(4, 9, 100))
    assert told == [
        "1 x 4: 2 @ 100 (4, 7)",
        "2 x 4: 4 @ 100 (0, 3)",
        "1 x 4: 3 @ 100 (1, 0)",
    ]
    assert queue(book, Side.SELL) == [(1, 100, 1, 1)]


# --- protection prices -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("market", "command", "price"),
    [
        (Market(10, reference=1_000, collar=25), buy(1, 1, type=MARKET), 1_020),
        (Market(10, reference=1_000, collar=25), sell(1, 1, type=MARKET), 980),
        (Market(10, reference=1_000, collar=25), sell(1, 1, 500, type=MARKET), 500),
        (Market(10, reference=1_000, collar=1_000), sell(1, 1, type=MARKET), 10),
        (Market(10, reference=1_000, collar=2_000), sell(1, 1, type=MARKET), 10),
        (Market(7, reference=PRICE_MAX, collar=1), buy(1, 1, type=MARKET), PRICE_MAX // 7 * 7),
        (Market(10, collar=100), buy(1, 1, type=STOP, stop_price=550), 600),
        (Market(10, collar=100), sell(1, 1, type=STOP, stop_price=550), 500),
        (Market(10, reference=1_000, collar=100), sell(1, 1, type=STOP, stop_price=550), 500),
        (Market(10, collar=100, last=500), sell(1, 1, type=TRAILING, trail=50), 410),
    ],
)
def test_a_protection_price_lies_one_collar_away_rounded_towards_the_reference(market, command, price):
    accepted, *_ = opened(market).apply(command)
    assert (accepted.kind, accepted.price) == (EventKind.ACCEPTED, price)


def test_without_collar_and_price_or_without_anything_to_lie_about_there_is_no_protection():
    no_collar = happens(opened(Market(reference=100)), buy(1, 1, type=STOP, stop_price=110))
    no_reference = happens(opened(Market(collar=100)), buy(1, 1, type=MARKET))
    assert no_collar == no_reference == ["1 refused: no protection price"]


def test_the_notional_of_a_market_order_is_reckoned_at_its_protection_price():
    market = Market(reference=2**20, collar=1)
    told = happens(opened(market), sell(1, QUANTITY_MAX, type=MARKET), buy(2, QUANTITY_MAX, type=MARKET))
    assert told == [f"1 cancelled {QUANTITY_MAX}", "2 refused: notional too large"]


# --- trailing stops ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("market", "side", "stop_price"),
    [
        (Market(10, last=500), Side.SELL, 470),
        (Market(10, last=500), Side.BUY, 530),
        (Market(10, last=500, reference=900), Side.SELL, 470),
        (Market(10, reference=505), Side.SELL, 470),
        (Market(10, reference=505), Side.BUY, 540),
        (Market(10), Side.SELL, None),
        (Market(10, last=30), Side.SELL, None),
        (Market(10, last=PRICE_MAX), Side.BUY, None),
    ],
)
def test_a_trailing_stop_starts_one_trail_from_the_last_price_else_from_the_reference(
    market, side, stop_price
):
    book = opened(market)
    told = happens(book, order(1, 1, 400, side=side, type=TRAILING, trail=30))
    assert told == ([] if stop_price else ["1 refused: stop price invalid"])
    assert parked(book, side) == ([(1, stop_price, 400)] if stop_price else [])


def trade_at(price: int, numbers=(901, 902)) -> list[Command]:
    """Return two orders that trade one lot at this price, if nothing better rests."""
    return [sell(numbers[0], 1, price), buy(numbers[1], 1, price)]


def test_a_trailing_stop_follows_each_trade_one_way_and_takes_its_protection_along():
    book = opened(Market(last=100))
    happens(book, sell(1, 1, 80, type=TRAILING, trail=10), buy(2, 1, 120, type=TRAILING, trail=10))
    happens(book, *trade_at(105))
    assert parked(book, Side.SELL) == [(1, 95, 85)]
    assert parked(book, Side.BUY) == [(2, 110, 120)]
    happens(book, *trade_at(96))
    assert parked(book, Side.SELL) == [(1, 95, 85)]
    assert parked(book, Side.BUY) == [(2, 106, 116)]


def test_a_protection_price_moves_within_the_bounds_of_a_price():
    book = opened(Market(5, last=1_000))
    buy_from = {"type": TRAILING, "trail": 10, "stop_price": 2_000}
    happens(book, buy(1, 1, 20, **buy_from), sell(2, 1, PRICE_MAX, type=TRAILING, trail=10, stop_price=5))
    happens(book, *trade_at(1_000))
    assert parked(book, Side.BUY) == [(1, 1_010, 5)]
    assert parked(book, Side.SELL) == [(2, 990, PRICE_MAX)]


def test_one_that_moves_stands_last_at_its_new_stop_price_the_first_accepted_moving_first():
    book = opened(Market(last=100))
    happens(
        book,
        sell(1, 1, 50, type=TRAILING, trail=10, stop_price=80),
        sell(2, 1, 50, type=TRAILING, trail=10, stop_price=85),
        sell(3, 1, 50, type=STOP, stop_price=91),
        *trade_at(101),
    )
    assert [number for number, *_ in parked(book, Side.SELL)] == [3, 1, 2]
    assert {stop_price for _, stop_price, _ in parked(book, Side.SELL)} == {91}


# --- stops: which first ------------------------------------------------------------------------


def test_a_stop_is_parked_outside_of_the_book_until_a_trade_reaches_its_price():
    book = opened()
    happens(book, buy(1, 5, 98), sell(2, 3, 90, type=STOP, stop_price=99, time_in_force=DAY))
    assert book.depth_of(0, Side.SELL) == []
    assert book.parked_of(0, Side.SELL)[0].shown == 0
    assert happens(book, *trade_at(100)) == ["901 x 902: 1 @ 100 (0, 0)"]
    told = happens(book, *trade_at(99))
    assert told == [
        "901 x 902: 1 @ 99 (0, 0)",
        "2 triggered: 3 @ 90, open 3",
        "1 x 2: 3 @ 98 (2, 0)",
    ]


def test_a_stop_that_the_last_price_has_reached_is_triggered_at_once():
    book = opened(Market(last=100))
    happens(book, sell(1, 2, 101))
    told = happens(book, buy(2, 3, 101, type=STOP, stop_price=100))
    assert told == ["2 triggered: 3 @ 101, open 3", "1 x 2: 2 @ 101 (0, 1)", "2 cancelled 1"]
    assert happens(book, buy(3, 3, 101, type=STOP, stop_price=102)) == []
    assert happens(book, sell(4, 3, 90, type=STOP, stop_price=101)) == [
        "4 triggered: 3 @ 90, open 3",
        "4 cancelled 3",
    ]


def test_a_stop_limit_becomes_a_limit_order_behind_all_others_at_its_price():
    book = opened()
    happens(book, buy(1, 2, 99, type=STOP_LIMIT, stop_price=100), buy(2, 2, 99))
    happens(book, *trade_at(100))
    assert queue(book, Side.BUY) == [(2, 99, 2, 2), (1, 99, 2, 2)]


def test_the_nearest_stop_is_elected_first_then_who_stood_there_longest():
    book = opened(Market(last=100))
    happens(
        book,
        *(sell(number, 1, 1, type=STOP, stop_price=at) for number, at in ((1, 97), (2, 98), (3, 97))),
        *(buy(number, 1, 200, type=STOP, stop_price=at) for number, at in ((4, 106), (5, 105), (6, 101))),
    )
    assert triggered(happens(book, *trade_at(107))) == [6, 5, 4]
    assert triggered(happens(book, *trade_at(97))) == [2, 1, 3]


def test_buys_are_elected_before_sells():
    book = opened()
    happens(book, sell(1, 1, 1, type=STOP, stop_price=105), buy(2, 1, 200, type=STOP, stop_price=95))
    assert triggered(happens(book, *trade_at(100))) == [2, 1]


def triggered(told: list[str]) -> list[int]:
    """Return which orders were triggered, as it happened."""
    return [int(line.split()[0]) for line in told if " triggered" in line]


def test_each_trade_of_an_order_elects_in_its_turn():
    book = opened(Market(last=100))
    happens(
        book,
        buy(1, 1, 98),
        buy(2, 1, 96),
        buy(3, 1, 200, type=TRAILING, trail=3, stop_price=110),
        sell(4, 1, 1, type=STOP, stop_price=96),
        sell(5, 1, 1, type=STOP, stop_price=98),
    )
    told = happens(book, sell(6, 2, 96))
    assert told == [
        "1 x 6: 1 @ 98 (0, 1)",
        "2 x 6: 1 @ 96 (0, 0)",
        "5 triggered: 1 @ 1, open 1",
        "5 cancelled 1",
        "4 triggered: 1 @ 1, open 1",
        "4 cancelled 1",
    ]
    assert parked(book, Side.BUY) == [(3, 99, 189)]


def test_a_trailing_stop_moved_by_one_trade_may_be_elected_by_the_next():
    book = opened(Market(last=100))
    happens(book, sell(1, 1, 1, type=TRAILING, trail=2, stop_price=90), sell(2, 1, 110), sell(3, 1, 113))
    happens(book, buy(4, 2, 113))
    assert parked(book, Side.SELL) == [(1, 111, 22)]
    happens(book, buy(5, 1, 112), buy(6, 1, 111))
    told = happens(book, sell(7, 2, 111))
    assert told[2:] == ["1 triggered: 1 @ 22, open 1", "1 cancelled 1"]


def test_what_a_triggered_orders_trades_elect_waits_behind_those_elected_before():
    book = opened(Market(last=100))
    happens(
        book,
        *(buy(number, 1, price) for number, price in ((1, 98), (2, 95), (3, 94), (4, 93))),
        sell(5, 1, 95, type=STOP_LIMIT, stop_price=98),
        sell(6, 1, 94, type=STOP_LIMIT, stop_price=98),
        sell(7, 1, 93, type=STOP_LIMIT, stop_price=95),
    )
    told = happens(book, sell(8, 1, 98))
    assert told == [
        "1 x 8: 1 @ 98 (0, 0)",
        "5 triggered: 1 @ 95, open 1",
        "2 x 5: 1 @ 95 (0, 0)",
        "6 triggered: 1 @ 94, open 1",
        "3 x 6: 1 @ 94 (0, 0)",
        "7 triggered: 1 @ 93, open 1",
        "4 x 7: 1 @ 93 (0, 0)",
    ]


def test_the_rest_stands_before_the_stops_that_it_elects_enter():
    book = opened(Market(last=90))
    happens(book, sell(1, 1, 100), buy(2, 1, 100, type=STOP_LIMIT, stop_price=100))
    happens(book, buy(3, 4, 100))
    assert queue(book, Side.BUY) == [(3, 100, 3, 3), (2, 100, 1, 1)]


def test_a_triggered_post_only_order_that_would_trade_is_cancelled():
    book = opened()
    happens(book, sell(1, 5, 101), buy(2, 1, 101, type=STOP_LIMIT, stop_price=100, post_only=1))
    told = happens(book, *trade_at(100))
    assert told[1:] == ["2 triggered: 1 @ 101, open 1", "2 cancelled 1: post only would cross"]


def test_a_triggered_order_does_all_that_a_new_order_does():
    book = opened()
    happens(
        book,
        sell(1, 5, 102, display_quantity=2),
        buy(2, 9, 102, type=STOP_LIMIT, stop_price=100, time_in_force=FOK),
        buy(3, 9, 102, type=STOP, stop_price=100, minimum_quantity=6),
        buy(4, 9, 102, type=STOP_LIMIT, stop_price=100, minimum_quantity=5, display_quantity=3),
    )
    told = happens(book, *trade_at(100))
    assert told[1:] == [
        "2 triggered: 9 @ 102, open 9",
        "2 cancelled 9: not fillable",
        "3 triggered: 9 @ 102, open 9",
        "3 cancelled 9: not fillable",
        "4 triggered: 9 @ 102, open 9",
        "1 x 4: 2 @ 102 (3, 7)",
        "1 x 4: 2 @ 102 (1, 5)",
        "1 x 4: 1 @ 102 (0, 4)",
    ]
    assert queue(book, Side.BUY) == [(4, 102, 4, 3)]


def test_a_parked_order_that_was_reduced_below_its_minimum_must_trade_wholly():
    book = opened()
    happens(book, sell(1, 3, 101), buy(2, 9, 101, type=STOP_LIMIT, stop_price=100, minimum_quantity=8))
    happens(book, reduce(2, 6))
    assert happens(book, *trade_at(100))[-1] == "1 x 2: 3 @ 101 (0, 0)"


# --- self-trade prevention ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (SelfTrade.NONE, ["1 x 3: 4 @ 100 (0, 2)", "2 x 3: 2 @ 100 (3, 0)"]),
        (SelfTrade.CANCEL_TAKER, ["3 cancelled 6: self trade"]),
        (SelfTrade.CANCEL_MAKER, ["1 cancelled 4: self trade", "2 x 3: 5 @ 100 (0, 1)"]),
        (SelfTrade.CANCEL_BOTH, ["1 cancelled 4: self trade", "3 cancelled 6: self trade"]),
        (
            SelfTrade.DECREMENT,
            ["1 cancelled 4: self trade", "3 reduced to 2, open 2: self trade", "2 x 3: 2 @ 100 (3, 0)"],
        ),
    ],
)
def test_the_takers_mode_rules(mode, told):
    book = opened()
    happens(book, sell(1, 4, 100, group=9, self_trade=SelfTrade.CANCEL_BOTH), sell(2, 5, 100))
    assert happens(book, buy(3, 6, 100, group=9, self_trade=mode)) == told


def test_decrement_takes_what_would_have_traded_of_an_iceberg_the_slice_shown():
    book = opened()
    happens(book, sell(1, 7, 100, group=9, display_quantity=3), sell(2, 5, 100))
    told = happens(book, buy(3, 4, 100), buy(4, 6, 100, group=9, self_trade=SelfTrade.DECREMENT))
    assert told == [
        "1 x 3: 3 @ 100 (4, 1)",
        "2 x 3: 1 @ 100 (4, 0)",
        "2 x 4: 4 @ 100 (0, 2)",
        "1 reduced to 5, open 2: self trade",
        "4 cancelled 2: self trade",
    ]
    assert queue(book, Side.SELL) == [(1, 100, 2, 1)]
    assert book.orders_of(0, Side.SELL)[0].filled == 3


@pytest.mark.parametrize("mode", SelfTrade)
def test_over_all_modes_a_subsidised_buy_goes_whoever_came_first(mode):
    book = opened()
    happens(book, sell(1, 4, 100, group=9))
    taking = buy(2, 3, 100, group=9, subsidised=1, self_trade=mode)
    assert happens(book, taking) == ["2 cancelled 3: related party"]
    book = opened()
    happens(book, taking, buy(3, 1, 100))
    told = happens(book, sell(4, 1, 100, group=9, self_trade=mode))
    assert told == ["2 cancelled 3: related party", "3 x 4: 1 @ 100 (0, 0)"]


# --- changing an order -------------------------------------------------------------------------


def test_an_order_is_changed_by_its_owner_or_in_his_name_and_unknown_to_others():
    book = opened()
    happens(book, buy(1, 5, 100), buy(2, 5, 100, type=STOP, stop_price=100))
    others = [make(number, 1, member=7) for make in (cancel, reduce, replace) for number in (1, 2, 3)]
    assert {line.split(": ")[1] for line in happens(book, *others)} == {"unknown order"}
    told = happens(book, cancel(1, member=1), cancel(2), cancel(2))
    assert told == ["1 cancelled 5", "2 cancelled 5", "2 refused: unknown order"]


def test_reduce_takes_hidden_lots_first_and_keeps_the_place():
    book = opened()
    happens(book, sell(1, 9, 100, display_quantity=4), sell(2, 1, 100), buy(3, 1, 100))
    assert happens(book, reduce(1, 4)) == ["1 reduced to 5, open 4"]
    assert queue(book, Side.SELL) == [(1, 100, 4, 3), (2, 100, 1, 1)]
    assert happens(book, reduce(1, 2), reduce(1, 0)) == [
        "1 reduced to 3, open 2",
        "1 refused: quantity not positive",
    ]
    assert queue(book, Side.SELL)[0] == (1, 100, 2, 2)
    assert happens(book, reduce(1, 2)) == ["1 cancelled 2"]
    assert happens(book, reduce(2, 99)) == ["2 cancelled 1"]


def test_cancelling_and_reducing_is_possible_while_an_instrument_does_not_trade_but_not_replacing():
    book = opened()
    happens(book, buy(1, 5, 100), buy(2, 5, 100), phase("HALTED"))
    told = happens(book, reduce(1, 1), replace(1, 2), replace(1, 0), cancel(1), mass_cancel())
    assert told == [
        "1 reduced to 4, open 4",
        "1 refused: instrument not open (halted)",
        "1 refused: instrument not open (halted)",
        "1 cancelled 4",
        "2 cancelled 5",
    ]


def test_a_replaced_order_keeps_its_place_at_its_price_if_it_does_not_grow():
    book = opened()
    happens(book, buy(1, 5, 100, display_quantity=3), buy(2, 5, 100), sell(3, 1, 100))
    told = happens(book, replace(1, 4, 100), replace(2, 5))
    assert told == ["1 replaced: 4 @ 100, was 100, open 3", "2 replaced: 5 @ 100, was 100, open 5"]
    assert queue(book, Side.BUY) == [(1, 100, 3, 2), (2, 100, 5, 5)]
    assert happens(book, replace(1, 9)) == ["1 replaced: 9 @ 100, was 100, open 8"]
    assert queue(book, Side.BUY) == [(2, 100, 5, 5), (1, 100, 8, 3)]


def test_a_replaced_order_enters_the_book_again_trades_and_triggers():
    book = opened()
    happens(book, buy(1, 5, 99), sell(2, 2, 101), sell(3, 2, 90, type=STOP, stop_price=101))
    told = happens(book, replace(1, 6, 102))
    assert told == [
        "1 replaced: 6 @ 102, was 99, open 6",
        "2 x 1: 2 @ 101 (0, 4)",
        "3 triggered: 2 @ 90, open 2",
        "1 x 3: 2 @ 102 (2, 0)",
    ]
    assert happens(book, replace(1, 5)) == ["1 replaced: 5 @ 102, was 102, open 1"]
    assert happens(book, replace(1, 4)) == ["1 cancelled 1"]


def test_a_replace_is_looked_at_in_this_order():
    book = opened(Market(10))
    happens(
        book,
        sell(1, 1, 900),
        buy(2, 2_000, 100, post_only=1, display_quantity=100),
        buy(3, 5, 100, type=STOP, stop_price=200),
    )
    told = happens(
        book,
        replace(3, -1, -1, stop_price=-1),
        replace(3, -1, PRICE_MAX + 10, stop_price=-1),
        replace(3, -1, 7, stop_price=-1),
        replace(3, -1, 10, stop_price=7),
        replace(2, -1, 10, stop_price=7),
        replace(2, QUANTITY_MAX + 1),
        replace(2, QUANTITY_MAX, 2**30 * 10),
        replace(2, 100_001, 900),
        replace(2, 5, 900),
        replace(2, 5, 890),
        replace(2, 0),
    )
    assert told == [
        "3 refused: price not positive",
        "3 refused: price too large",
        "3 refused: price off tick",
        "3 refused: stop price invalid",
        "2 refused: quantity not positive",
        "2 refused: quantity too large",
        "2 refused: notional too large",
        "2 refused: display quantity invalid",
        "2 refused: post only would cross",
        "2 replaced: 5 @ 890, was 100, open 5",
        "2 cancelled 5",
    ]


def test_a_parked_order_keeps_its_place_unless_its_stop_price_changes():
    book = opened(Market(last=100))
    happens(book, *(buy(number, 5, 120, type=STOP, stop_price=110) for number in (1, 2, 3)))
    told = happens(book, replace(1, 9, 130), replace(2, 5, stop_price=111), replace(2, 5, stop_price=110))
    assert told[0] == "1 replaced: 9 @ 130, was 120, open 9"
    assert parked(book, Side.BUY) == [(1, 110, 130), (3, 110, 120), (2, 110, 120)]
    told = happens(book, sell(4, 9, 105), replace(3, 5, 120, stop_price=100))
    assert told == [
        "3 replaced: 5 @ 120, was 120, open 5",
        "3 triggered: 5 @ 120, open 5",
        "4 x 3: 5 @ 105 (4, 0)",
    ]


def test_a_mass_cancel_goes_instrument_by_instrument_resting_orders_before_parked_ones():
    book = opened(Market(), Market())
    stop = {"type": STOP_LIMIT, "member": 7}
    rows = [
        buy(1, 1, 90, instrument=1, member=7),
        sell(2, 1, 120, stop_price=80, **stop),
        buy(3, 1, 120, stop_price=121, **stop),
        sell(4, 1, 110, member=8),
        sell(5, 1, 105, member=7),
        buy(6, 1, 99, member=7),
        buy(7, 1, 100, member=7),
    ]

    happens(book, *rows)

    def ended(command):
        told = happens(copy.deepcopy(book), command)
        assert all("cancelled 1" in line for line in told)
        return [int(line.split()[0]) for line in told]

    assert ended(mass_cancel()) == [7, 6, 5, 4, 3, 2, 1]
    assert ended(mass_cancel(member=7)) == [7, 6, 5, 3, 2, 1]
    assert ended(mass_cancel(instrument=0, side=Side.SELL)) == [5, 4, 2]
    assert ended(mass_cancel(side=Side.BUY)) == [7, 6, 3, 1]
    assert ended(mass_cancel(member=99)) == []
    told = happens(book, mass_cancel(instrument=2), mass_cancel(instrument=-2), mass_cancel(side=2))
    assert told == ["0 refused: unknown instrument"] * 2 + ["0 refused: unknown side"]


# --- the trading day and the phase -------------------------------------------------------------


def test_the_end_of_the_day_ends_day_orders_parked_ones_too():
    book = opened(Market(), Market())
    happens(
        book,
        buy(1, 1, 90, instrument=1, time_in_force=DAY),
        sell(2, 1, 80, type=STOP, stop_price=80, time_in_force=DAY),
        sell(3, 1, 105, time_in_force=DAY),
        buy(4, 1, 99),
        buy(5, 1, 98, time_in_force=DAY),
    )
    assert happens(book, END_DAY) == ["5 expired 1", "3 expired 1", "2 expired 1", "1 expired 1"]
    assert list(book.open) == [4]


def test_a_phase_command_sets_the_phase_and_a_reference_if_it_gives_one():
    book = opened(Market(reference=50), Market())
    happens(book, buy(1, 1, 90, time_in_force=DAY), buy(2, 1, 90, instrument=1, time_in_force=DAY))
    told = happens(book, phase("HALTED", 0, 100), phase("CLOSED", EVERY), phase("CONTINUOUS", 1, 7))
    assert told == [
        "0 halted, reference 100",
        "0 closed, reference 100",
        "1 expired 1",
        "1 closed, reference 0",
        "2 expired 1",
        "1 continuous, reference 7",
    ]
    assert happens(book, buy(3, 1, 90), buy(4, 1, 90, instrument=1)) == ["3 refused: instrument not open"]


def test_a_phase_command_is_refused_for_its_instrument_its_phase_then_its_price():
    faults = [{"instrument": 1}, {"phase": 6}, {"price": -1}, {"price": PRICE_MAX + 1}]
    told = happens(opened(), *(phase("CLOSED")._replace(**fields) for fields in faults))
    assert [line.split(": ")[1] for line in told] == [
        "unknown instrument",
        "unknown phase",
        "price not positive",
        "price too large",
    ]


def test_what_is_no_command_is_refused():
    told = happens(opened(), Command(3, kind=CommandKind.ACT), Command(4, kind=255))
    assert told == ["3 refused: unknown kind", "4 refused: unknown kind"]
