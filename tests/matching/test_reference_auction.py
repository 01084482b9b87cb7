"""The reference by itself, in calls and auctions and at collars: each paragraph of the manual, by hand.

It is written as `tests.matching.test_reference` is, and in its words.
"""

from __future__ import annotations

from functools import partial

import pytest

from matching import reference_auction
from matching.reference import Command, Market, ReferenceBook
from matching.vocabulary import (
    EVERY,
    PRICE_MAX,
    EventKind,
    Phase,
    RejectReason,
    SelfTrade,
    Side,
)
from tests.matching.test_reference import (
    DAY,
    END_DAY,
    FOK,
    GTD,
    IOC,
    MARKET,
    STOP,
    STOP_LIMIT,
    TRAILING,
    buy,
    cancel,
    change,
    happens,
    mass_cancel,
    opened,
    parked,
    phase,
    queue,
    reduce,
    replace,
    sell,
)

IN_CALL = Market(phase=Phase.PRE_OPEN)
buy_market = partial(buy, type=MARKET)
sell_market = partial(sell, type=MARKET)
AUCTION, CONTINUOUS = phase("AUCTION"), phase("CONTINUOUS")


def called(*commands: Command, market: Market = IN_CALL) -> ReferenceBook:
    """Return a book in a call that has taken these orders."""
    book = opened(market)
    told = happens(book, *commands)
    assert [line for line in told if "indicates" not in line] == []
    return book


def waiting(book: ReferenceBook, side: Side) -> list[tuple[int, int, int]]:
    """Return (id, protection price, open) of the orders that wait for the auction."""
    assert all(one.shown == 0 for one in book.waiting_of(0, side))
    return [(one.id, one.price, one.leaves) for one in book.waiting_of(0, side)]


def told_of(kind: EventKind, book: ReferenceBook, *commands: Command) -> list[tuple[int, int, int, int]]:
    """Play commands and return (order, maker, quantity, price) of the events of one kind."""
    events = book.apply_all(commands)
    return [(one.order, one.maker_order, one.quantity, one.price) for one in events if one.kind == kind]


traded = partial(told_of, EventKind.TRADED)


# --- what each phase takes ---------------------------------------------------------------------

NOT_OPEN, NOT_NOW = "instrument not open", "not in phase"


@pytest.mark.parametrize(
    ("name", "new", "at_once", "changes", "cancels"),
    [
        ("CLOSED", NOT_OPEN, NOT_OPEN, NOT_OPEN, ""),
        ("PRE_OPEN", "", NOT_NOW, "", ""),
        ("NO_CANCEL", "", NOT_NOW, NOT_NOW, NOT_NOW),
        ("AUCTION", NOT_OPEN, NOT_OPEN, NOT_OPEN, ""),
        ("CONTINUOUS", "", "", "", ""),
        ("HALTED", NOT_OPEN, NOT_OPEN, NOT_OPEN, ""),
    ],
)
def test_what_a_phase_does_not_take_is_refused_and_the_phase_told(name, new, at_once, changes, cancels):
    asked = [
        (new, buy(9, 1, 90)),
        (new, buy_market(9, 1, 90, time_in_force=DAY)),
        (new, sell(9, 1, 90, type=STOP, stop_price=80, time_in_force=FOK)),
        (new, sell(9, 1, 90, type=STOP_LIMIT, stop_price=80, minimum_quantity=1)),
        (at_once, buy(9, 1, 90, time_in_force=IOC)),
        (at_once, buy(9, 1, 90, time_in_force=FOK)),
        (at_once, buy(9, 1, 90, minimum_quantity=1)),
        (at_once, buy_market(9, 1, 90, time_in_force=FOK)),
        (at_once, buy_market(9, 1, 90, minimum_quantity=1)),
        (changes, replace(1, 4)),
        (cancels, reduce(1, 1)),
        (cancels, reduce(1, 9)),
        (cancels, cancel(1)),
        (cancels, mass_cancel(0)),
    ]
    for reason, command in asked:
        book = opened()
        happens(book, buy(1, 5, 90), phase(name))
        refused = [event for event in book.apply(command) if event.kind == EventKind.REJECTED]
        expected = [(Phase[name], RejectReason[reason.upper().replace(" ", "_")])] if reason else []
        assert [(event.phase, event.reason) for event in refused] == expected


def test_the_phase_is_asked_after_what_is_wrong_as_written():
    book = opened()
    happens(book, buy(1, 5, 90), phase("NO_CANCEL"))
    told = happens(book, cancel(2), reduce(2, 0), reduce(1, 0), replace(1, -1), replace(1, 0))
    assert told == [
        "2 refused: unknown order",
        "2 refused: unknown order",
        "1 refused: quantity not positive",
        "1 refused: quantity not positive",
        "1 refused: not in phase (no_cancel)",
    ]
    assert happens(book, buy(0, 1, 90, time_in_force=IOC)) == ["0 refused: not in phase (no_cancel)"]


def test_a_mass_cancel_of_all_passes_over_instruments_that_forbid_it():
    book = opened(Market(), Market(), Market())
    happens(book, *(buy(1 + number, 1, 90, instrument=number) for number in range(3)))
    happens(book, phase("NO_CANCEL", 1))
    assert happens(book, mass_cancel()) == ["1 cancelled 1", "3 cancelled 1"]
    assert happens(book, mass_cancel(1, side=7)) == ["0 refused: unknown side"]
    assert happens(book, mass_cancel(1)) == ["0 refused: not in phase (no_cancel)"]


@pytest.mark.parametrize("name", [one.name for one in Phase])
def test_orders_expire_in_every_phase(name):
    book = opened()
    happens(book, buy(1, 1, 90, time_in_force=GTD, expires_at=5), phase(name))
    assert happens(book, cancel(77, time=5))[0] == "1 expired 1"


# --- what a call takes -------------------------------------------------------------------------


def test_in_a_call_limit_orders_stand_though_they_cross_and_icebergs_show_a_slice():
    book = called(sell(1, 5, 95), buy(2, 9, 100, display_quantity=4), buy(3, 1, 101))
    assert queue(book, Side.BUY) == [(3, 101, 1, 1), (2, 100, 9, 4)]
    assert queue(book, Side.SELL) == [(1, 95, 5, 5)]
    assert book.depth_of(0, Side.BUY) == [(101, 1, 1), (100, 4, 1)]


def test_in_a_call_market_orders_wait_unseen_with_a_protection_price_whatever_their_time_in_force():
    market = IN_CALL._replace(reference=100, collar=50)
    book = called(
        buy_market(1, 5, time_in_force=DAY),
        buy_market(2, 5, 107, time_in_force=GTD, expires_at=1),
        sell_market(3, 5, time_in_force=IOC),
        market=market,
    )
    assert waiting(book, Side.BUY) == [(2, 107, 5), (1, 105, 5)]
    assert waiting(book, Side.SELL) == [(3, 95, 5)]
    assert book.depth_of(0, Side.BUY) == book.depth_of(0, Side.SELL) == []
    happens(book, change(END_DAY.kind, time=9))
    assert waiting(book, Side.BUY) == []


def test_in_a_call_stops_are_parked_though_the_last_price_has_reached_them():
    book = called(
        sell(1, 1, 90, type=STOP, stop_price=105),
        buy(2, 1, 99, type=STOP_LIMIT, stop_price=95),
        sell(3, 1, 90, type=STOP, stop_price=80),
        market=IN_CALL._replace(last=100),
    )
    assert parked(book, Side.SELL) == [(1, 105, 90), (3, 80, 90)]
    assert happens(book, replace(3, 1, stop_price=101)) == ["3 replaced: 1 @ 90, was 90, open 1"]
    assert parked(book, Side.SELL) == [(1, 105, 90), (3, 101, 90)]
    assert parked(book, Side.BUY) == [(2, 95, 99)]


def test_in_a_call_post_only_is_refused_where_it_meets_a_limit_and_waiting_orders_are_no_limits():
    book = called(sell(1, 5, 95), sell_market(2, 5, 80))
    happens(book, buy(3, 1, 94, post_only=1))
    told = happens(book, buy(4, 1, 95, post_only=1), replace(3, 1, 95))
    assert told == ["4 refused: post only would cross", "3 refused: post only would cross"]


def test_a_post_only_order_that_another_has_met_in_a_call_may_be_replaced_at_its_price():
    book = called(buy(1, 5, 94, post_only=1), sell(2, 1, 90))
    assert happens(book, replace(1, 4))[0] == "1 replaced: 4 @ 94, was 94, open 4"
    assert happens(book, replace(1, 9, 94))[0] == "1 replaced: 9 @ 94, was 94, open 9"
    assert happens(book, replace(1, 9, 93)) == ["1 refused: post only would cross"]


def test_in_a_call_a_replaced_order_stands_or_waits_anew_without_trading_by_the_same_rule_as_always():
    book = called(sell(1, 5, 95), buy(2, 5, 90), buy(3, 5, 96), buy_market(4, 5, 97), buy_market(5, 5, 97))
    happens(book, replace(2, 6, 96), replace(3, 4), replace(4, 6), replace(5, 4, 97))
    assert queue(book, Side.BUY) == [(3, 96, 4, 4), (2, 96, 6, 6)]
    assert waiting(book, Side.BUY) == [(5, 97, 4), (4, 97, 6)]
    happens(book, replace(4, 6, 98), reduce(5, 1), cancel(3))
    assert waiting(book, Side.BUY) == [(4, 98, 6), (5, 97, 3)]


def test_a_mass_cancel_finds_waiting_orders_after_the_parked_ones_the_better_price_first():
    book = called(
        sell_market(1, 1, 80),
        sell_market(2, 1, 70),
        buy_market(3, 1, 70),
        buy_market(4, 1, 80),
        buy_market(5, 1, 80),
        sell(6, 1, 90, type=STOP, stop_price=90),
        buy(7, 1, 60),
    )
    told = told_of(EventKind.CANCELLED, book, mass_cancel())
    assert [number for number, *_ in told] == [7, 6, 4, 5, 3, 2, 1]


@pytest.mark.parametrize("ending", [phase("CLOSED"), END_DAY])
def test_waiting_orders_end_like_day_orders(ending):
    book = called(buy_market(1, 5, 80), buy(2, 5, 70), buy(3, 5, 70, time_in_force=DAY))
    told = told_of(EventKind.EXPIRED, book, phase("HALTED"), ending)
    assert [number for number, *_ in told] == [3, 1]
    assert list(book.open) == [2]


# --- the auction price -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("market", "orders", "found"),
    [
        # The largest volume, hidden lots too; parked orders do not count.
        (Market(), [buy(1, 5, 100), sell(2, 9, 100, display_quantity=1)], (100, 5, -4)),
        (Market(), [buy(1, 5, 100), buy(2, 3, 99), sell(3, 8, 99), sell(4, 9, 101)], (99, 8, 0)),
        (Market(), [buy(1, 5, 100), sell(2, 5, 101), sell(3, 5, 90, type=STOP, stop_price=9)], (0, 0, 0)),
        (Market(), [buy(1, 5, 100)], (0, 0, 0)),
        (Market(), [], (0, 0, 0)),
        # Of these the smallest surplus: at 98 and 99 it is 4, at 100 it is 1.
        (Market(), [buy(1, 6, 101), buy(2, 3, 99), sell(3, 5, 98)], (101, 5, 1)),
        (Market(), [buy(1, 5, 100), sell(2, 5, 98), sell(3, 3, 99)], (98, 5, 0)),
        # More demand everywhere: the highest; more supply everywhere: the lowest.
        (Market(reference=1), [buy(1, 6, 101), sell(2, 5, 98)], (101, 5, 1)),
        (Market(reference=999), [buy(1, 5, 101), sell(2, 6, 98)], (98, 5, -1)),
        # Else the nearest to the reference, the higher of two.
        (Market(reference=100), [buy(1, 5, 101), sell(2, 5, 98)], (100, 5, 0)),
        (Market(reference=1), [buy(1, 5, 101), sell(2, 5, 98)], (98, 5, 0)),
        (Market(reference=PRICE_MAX), [buy(1, 5, 101), sell(2, 5, 98)], (101, 5, 0)),
        (Market(2, reference=99), [buy(1, 5, 102), sell(2, 5, 98)], (100, 5, 0)),
        (Market(5, reference=102), [buy(1, 5, 110), sell(2, 5, 95)], (100, 5, 0)),
        (Market(5, reference=103), [buy(1, 5, 110), sell(2, 5, 95)], (105, 5, 0)),
        # Without a reference the middle, rounded down to the grid.
        (Market(), [buy(1, 5, 101), sell(2, 5, 98)], (99, 5, 0)),
        (Market(5), [buy(1, 5, 110), sell(2, 5, 95)], (100, 5, 0)),
        # Some prices have more demand and some more supply: 99 and 100.
        (
            Market(reference=100),
            [buy(1, 4, 100), buy(2, 2, 99), sell(3, 4, 99), sell(4, 2, 100)],
            (100, 4, -2),
        ),
        (Market(), [buy(1, 4, 100), buy(2, 2, 99), sell(3, 4, 99), sell(4, 2, 100)], (99, 4, 2)),
        # Market orders count up to their protection prices, which are no limits.
        (Market(), [buy_market(1, 5, 120), sell(2, 5, 98)], (98, 5, 0)),
        (Market(), [buy_market(1, 5, 97), sell(2, 5, 98)], (0, 0, 0)),
        (Market(), [buy(1, 5, 101), buy_market(2, 3, 99), sell(3, 8, 90)], (94, 8, 0)),
        # With no limit the only price is the reference, on the grid, at least one tick.
        (Market(5, reference=103), [buy_market(1, 5, 105), sell_market(2, 7, 100)], (105, 5, -2)),
        (Market(5, reference=103), [buy_market(1, 5, 100), sell_market(2, 7, 100)], (0, 0, 0)),
        (Market(5, reference=1), [buy_market(1, 5, 100), sell_market(2, 5, 5)], (5, 5, 0)),
        (Market(), [buy_market(1, 5, 100), sell_market(2, 7, 100)], (0, 0, 0)),
        # Prices as far apart as can be are not gone through one by one.
        (Market(), [buy(1, 5, PRICE_MAX), sell(2, 5, 1)], (PRICE_MAX // 2, 5, 0)),
    ],
)
def test_the_auction_price_is_found_by_volume_then_surplus_then_side_then_reference(market, orders, found):
    book = called(*orders, market=market._replace(phase=Phase.PRE_OPEN))
    assert book.clearing(0) == found


def test_what_an_auction_would_find_is_told_after_each_command_that_changes_it():
    book = opened(IN_CALL, IN_CALL)
    told = happens(book, buy(1, 5, 100), sell(2, 7, 100), sell(3, 1, 101), sell(9, 1, 99, time_in_force=IOC))
    assert told == ["0 indicates 5 @ 100, 2 more to sell", "9 refused: not in phase (pre_open)"]
    happens(book, buy(4, 1, 100, instrument=1), sell(5, 1, 100, instrument=1))
    assert happens(book, phase("NO_CANCEL")) == ["0 no_cancel, reference 0"]
    assert happens(book, phase("PRE_OPEN", EVERY)) == ["0 pre_open, reference 0", "1 pre_open, reference 0"]
    told = happens(book, mass_cancel(side=Side.BUY))
    assert told == [
        "1 cancelled 5",
        "4 cancelled 1",
        "0 indicates 0 @ 0, 0 more to buy",
        "1 indicates 0 @ 0, 0 more to buy",
    ]
    assert happens(book, buy(6, 7, 100), phase("HALTED"), phase("PRE_OPEN")) == [
        "0 indicates 7 @ 100, 0 more to buy",
        "0 halted, reference 0",
        "0 pre_open, reference 0",
        "0 indicates 7 @ 100, 0 more to buy",
    ]


def test_instruments_are_told_in_the_order_in_which_the_command_touched_them():
    book = opened(IN_CALL, IN_CALL)
    for number, expires_at in ((0, 5), (1, 4)):
        happens(book, buy(number + 1, 1, 100, instrument=number, time_in_force=GTD, expires_at=expires_at))
        happens(book, sell(number + 3, 1, 100, instrument=number))
    assert happens(book, buy(5, 1, 90, time=5)) == [
        "2 expired 1",
        "1 expired 1",
        "1 indicates 0 @ 0, 0 more to buy",
        "0 indicates 0 @ 0, 0 more to buy",
    ]


# --- pairs and trades --------------------------------------------------------------------------


def test_an_auction_trades_at_one_price_and_tells_the_buy_as_order_and_the_sell_as_maker():
    book = called(buy(1, 5, 102), sell(2, 3, 98), sell(3, 3, 99), market=IN_CALL._replace(reference=100))
    (changed, *trades) = book.apply(AUCTION)
    assert (changed.kind, changed.phase) == (EventKind.PHASE_CHANGED, Phase.AUCTION)
    assert [(one.side, one.phase, one.price, one.reason) for one in trades] == [
        (Side.BUY, Phase.AUCTION, 99, RejectReason.NONE)
    ] * 2
    assert [(one.order, one.leaves, one.maker_order, one.maker_leaves, one.quantity) for one in trades] == [
        (1, 2, 2, 0, 3),
        (1, 0, 3, 1, 2),
    ]
    assert book.markets[0].last == 99
    assert queue(book, Side.SELL) == [(3, 99, 1, 1)]


def test_waiting_orders_go_first_by_time_then_price_then_time_and_who_does_not_reach_it_is_left_out():
    book = called(
        buy(1, 1, 100),
        buy(2, 1, 101),
        buy_market(3, 1, 100),
        buy_market(4, 1, 110),
        buy(5, 1, 101),
        buy_market(6, 1, 99),
        buy(7, 1, 100),
        sell(8, 5, 100),
    )
    assert book.clearing(0) == (100, 5, 1)
    assert [number for number, *_ in traded(book, AUCTION)] == [3, 4, 2, 5, 1]
    assert queue(book, Side.BUY) == [(7, 100, 1, 1)]


def test_what_is_shown_at_a_price_goes_before_what_is_hidden_there():
    book = called(
        buy(1, 9, 100, display_quantity=3),
        buy(2, 6, 100, display_quantity=2),
        buy(3, 1, 100),
        sell(4, 3, 100),
        sell(5, 6, 99),
    )
    assert book.clearing(0) == (100, 9, 7)
    assert traded(book, CONTINUOUS) == [
        (1, 5, 3, 100),
        (2, 5, 2, 100),
        (3, 5, 1, 100),
        (1, 4, 3, 100),
    ]
    assert queue(book, Side.BUY) == [(1, 100, 3, 3), (2, 100, 4, 2)]


def test_a_slice_used_up_is_followed_by_the_next_at_the_back_when_all_pairs_have_traded():
    book = called(buy(1, 9, 100, display_quantity=3), buy(2, 4, 100), sell(3, 4, 100))
    assert traded(book, AUCTION) == [(1, 3, 3, 100), (2, 3, 1, 100)]
    assert queue(book, Side.BUY) == [(2, 100, 3, 3), (1, 100, 6, 3)]


def test_waiting_orders_that_are_left_are_cancelled_in_the_order_of_a_mass_cancel():
    book = called(buy_market(1, 1, 90), buy_market(2, 2, 100), buy_market(3, 1, 95), sell(4, 1, 100))
    assert happens(book, AUCTION) == [
        "0 auction, reference 0",
        "auction 4 x 2: 1 @ 100 (0, 1)",
        "2 cancelled 1",
        "3 cancelled 1",
        "1 cancelled 1",
    ]


def test_a_book_that_would_stay_crossed_goes_into_another_round():
    """Market orders that go first up to their protection price may leave limit orders that cross."""
    book = called(buy(1, 5, 105), buy_market(2, 10, 102), sell(3, 10, 102), sell(4, 5, 103))
    assert book.clearing(0) == (102, 10, 5)
    assert traded(book, AUCTION) == [(2, 3, 10, 102), (1, 4, 5, 104)]
    assert not book.open


def test_entering_continuous_uncrosses_and_then_whatever_meets_trades():
    book = called(buy(1, 5, 102), sell(2, 3, 98))
    assert traded(book, CONTINUOUS, sell(3, 1, 90)) == [(1, 2, 3, 102), (3, 1, 1, 102)]


def test_a_call_that_was_halted_is_uncrossed_when_trading_goes_on():
    book = called(buy(1, 5, 102), sell_market(2, 3, 98))
    assert happens(book, phase("HALTED")) == ["0 halted, reference 0"]
    assert traded(book, CONTINUOUS) == [(1, 2, 3, 102)]


# --- self-trade prevention ---------------------------------------------------------------------

OWN = {"member": 7, "group": 7}


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (SelfTrade.NONE, ["auction 2 x 1: 3 @ 100 (0, 2)", "auction 3 x 1: 2 @ 100 (1, 0)"]),
        (SelfTrade.CANCEL_TAKER, ["2 cancelled 3: self trade", "auction 3 x 1: 3 @ 100 (0, 2)"]),
        (SelfTrade.CANCEL_MAKER, ["1 cancelled 5: self trade"]),
        (SelfTrade.CANCEL_BOTH, ["1 cancelled 5: self trade", "2 cancelled 3: self trade"]),
        (
            SelfTrade.DECREMENT,
            [
                "1 reduced to 2, open 2: self trade",
                "2 cancelled 3: self trade",
                "auction 3 x 1: 2 @ 100 (1, 0)",
            ],
        ),
    ],
)
def test_where_a_pair_is_of_one_group_the_mode_of_the_later_rules(mode, told):
    book = called(buy(1, 5, 100, **OWN), sell(2, 3, 100, **OWN, self_trade=mode), sell(3, 3, 100))
    assert happens(book, AUCTION)[1:] == told


def test_who_was_replaced_is_the_later():
    keeper, leaver = SelfTrade.NONE, SelfTrade.CANCEL_TAKER
    book = called(buy(1, 5, 100, **OWN, self_trade=leaver), sell(2, 5, 100, **OWN, self_trade=keeper))
    happens(book, replace(1, 6))
    assert happens(book, AUCTION)[1:] == ["1 cancelled 6: self trade"]


def test_an_iceberg_does_not_come_later_by_showing_its_next_slice():
    book = called(
        buy(1, 5, 105, **OWN, display_quantity=2),
        buy_market(2, 8, 102),
        sell(3, 10, 102),
        sell(4, 5, 103, **OWN, self_trade=SelfTrade.CANCEL_TAKER),
    )
    assert happens(book, AUCTION)[1:] == [
        "auction 3 x 2: 8 @ 102 (2, 0)",
        "auction 3 x 1: 2 @ 102 (0, 3)",
        "4 cancelled 5: self trade",
    ]


@pytest.mark.parametrize("mode", SelfTrade)
def test_a_subsidised_buy_of_the_group_is_cancelled_in_every_mode(mode):
    book = called(
        sell(1, 3, 100, **OWN, self_trade=mode),
        buy(2, 3, 101, **OWN, self_trade=mode, subsidised=1),
        buy(3, 3, 100),
    )
    assert happens(book, AUCTION)[1:] == ["2 cancelled 3: related party", "auction 1 x 3: 3 @ 100 (0, 0)"]


def test_while_any_pair_conflicts_none_trades_and_the_price_is_found_anew():
    book = called(
        buy(1, 5, 105, **OWN),
        buy(2, 5, 101),
        sell(3, 5, 99, **OWN, self_trade=SelfTrade.CANCEL_MAKER),
        sell(4, 5, 100),
    )
    assert book.clearing(0) == (100, 10, 0)
    assert happens(book, AUCTION)[1:] == ["1 cancelled 5: self trade", "auction 3 x 2: 5 @ 99 (0, 0)"]


def test_a_pair_of_which_an_order_is_gone_already_is_passed_over():
    book = called(
        buy(1, 3, 100, **OWN),
        buy(2, 3, 100, **OWN),
        sell(3, 6, 100, **OWN, self_trade=SelfTrade.CANCEL_TAKER),
    )
    assert happens(book, AUCTION)[1:] == ["3 cancelled 6: self trade"]


def test_decrement_takes_the_pairs_lots_hidden_ones_first():
    book = called(
        buy(1, 9, 100, **OWN, display_quantity=4),
        sell(2, 3, 100, **OWN, self_trade=SelfTrade.DECREMENT),
    )
    assert happens(book, AUCTION)[1:] == ["1 reduced to 6, open 6: self trade", "2 cancelled 3: self trade"]
    assert queue(book, Side.BUY) == [(1, 100, 6, 4)]


def test_decrement_takes_off_each_pair_of_an_order_what_it_has_still():
    """The sell is paired twice with the iceberg, shown and hidden lots, each pair is taken off once."""
    book = called(
        buy(1, 5, 100, **OWN, display_quantity=2),
        sell(2, 9, 100, **OWN, self_trade=SelfTrade.DECREMENT),
    )
    assert happens(book, AUCTION)[1:] == [
        "1 reduced to 3, open 3: self trade",
        "2 reduced to 7, open 7: self trade",
        "1 cancelled 3: self trade",
        "2 reduced to 4, open 4: self trade",
    ]


def test_from_the_bound_on_decrement_does_as_cancel_both(monkeypatch):
    monkeypatch.setattr(reference_auction, "DECREMENTS_MAX", 1)
    book = opened(IN_CALL, IN_CALL)
    for instrument in (0, 1):
        own = {**OWN, "instrument": instrument}
        happens(book, buy(10 * instrument + 1, 5, 100, **own), buy(10 * instrument + 2, 5, 100, **own))
        happens(book, sell(10 * instrument + 3, 7, 100, **own, self_trade=SelfTrade.DECREMENT))
    told = [line for line in happens(book, phase("AUCTION", EVERY)) if "self trade" in line]
    assert told == [
        "1 cancelled 5: self trade",
        "3 reduced to 2, open 2: self trade",
        "2 cancelled 5: self trade",
        "3 cancelled 2: self trade",
        "11 cancelled 5: self trade",
        "13 cancelled 7: self trade",
    ]
    assert [one.id for one in book.orders_of(1, Side.BUY)] == [12]


# --- stops -------------------------------------------------------------------------------------


def test_the_auction_price_elects_stops_which_enter_as_in_a_call_and_call_for_another_round():
    book = called(
        buy(1, 5, 100),
        sell(2, 5, 100),
        buy(3, 2, 110, type=STOP, stop_price=100),
        buy(4, 2, 103, type=STOP_LIMIT, stop_price=99),
        sell(5, 3, 102),
    )
    assert happens(book, AUCTION) == [
        "0 auction, reference 0",
        "auction 2 x 1: 5 @ 100 (0, 0)",
        "4 triggered: 2 @ 103, open 2",
        "3 triggered: 2 @ 110, open 2",
        "auction 5 x 3: 2 @ 103 (1, 0)",
        "auction 5 x 4: 1 @ 103 (0, 1)",
    ]
    assert book.markets[0].last == 103
    assert queue(book, Side.BUY) == [(4, 103, 1, 1)]


def test_stops_entered_in_a_call_are_elected_though_nothing_trades():
    book = called(
        sell(1, 2, 90, type=STOP, stop_price=100),
        sell(2, 2, 90, type=STOP, stop_price=99),
        buy(3, 1, 95),
        market=IN_CALL._replace(last=100),
    )
    assert happens(book, CONTINUOUS) == [
        "0 continuous, reference 0",
        "1 triggered: 2 @ 90, open 2",
        "auction 1 x 3: 1 @ 95 (1, 0)",
        "2 triggered: 2 @ 90, open 2",
        "1 cancelled 1",
        "2 cancelled 2",
    ]


def test_a_trailing_stop_follows_the_auction_price():
    book = called(buy(1, 5, 100), sell(2, 5, 100), sell(3, 1, 80, type=TRAILING, trail=5, stop_price=90))
    happens(book, AUCTION)
    assert parked(book, Side.SELL) == [(3, 95, 85)]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"type": STOP_LIMIT, "time_in_force": IOC}, "not fillable"),
        ({"type": STOP_LIMIT, "time_in_force": FOK}, "not fillable"),
        ({"type": STOP, "time_in_force": FOK}, "not fillable"),
        ({"type": STOP_LIMIT, "minimum_quantity": 1}, "not fillable"),
        ({"type": STOP, "minimum_quantity": 1}, "not fillable"),
        ({"type": STOP_LIMIT, "post_only": 1}, "post only would cross"),
    ],
)
def test_a_triggered_order_that_must_trade_at_once_or_never_is_cancelled_in_an_auction(fields, told):
    book = called(buy(1, 5, 100), sell(2, 5, 100), sell(3, 5, 105), buy(4, 1, 105, stop_price=100, **fields))
    assert happens(book, AUCTION)[2:] == ["4 triggered: 1 @ 105, open 1", f"4 cancelled 1: {told}"]


def test_an_ioc_stop_waits_as_a_market_order_in_an_auction():
    book = called(
        buy(1, 5, 100),
        sell(2, 5, 100),
        sell(3, 5, 105),
        buy(4, 1, 105, stop_price=100, type=STOP, time_in_force=IOC),
    )
    assert traded(book, AUCTION) == [(1, 2, 5, 100), (4, 3, 1, 105)]


# --- collars -----------------------------------------------------------------------------------

STATIC = Market(reference=1_000, static_collar=50)
DYNAMIC = Market(last=1_000, dynamic_collar=50)


@pytest.mark.parametrize(
    ("market", "reason"),
    [
        (STATIC, "static collar"),
        (DYNAMIC, "dynamic collar"),
        (Market(reference=1_000, static_collar=50, last=1_000, dynamic_collar=50), "static collar"),
        (Market(reference=1_000, static_collar=60, last=1_000, dynamic_collar=50), "dynamic collar"),
    ],
)
def test_a_taker_that_would_trade_beyond_a_collar_stops_and_a_call_begins(market, reason):
    book = opened(market)
    happens(book, sell(1, 2, 1_050), sell(2, 2, 1_051))
    assert happens(book, buy(3, 5, 1_100)) == [
        "1 x 3: 2 @ 1050 (0, 3)",
        f"0 pre_open, reference {market.reference}: {reason}",
        "0 indicates 2 @ 1100, 1 more to buy",
    ]
    assert queue(book, Side.BUY) == [(3, 1_100, 3, 3)]
    assert book.markets[0].last == 1_050


@pytest.mark.parametrize("fields", [{"time_in_force": IOC}, {"type": MARKET}])
def test_what_cannot_stand_is_cancelled_for_the_collar(fields):
    book = opened(STATIC)
    happens(book, buy(1, 2, 950), buy(2, 2, 949))
    assert happens(book, sell(3, 5, 900, **fields)) == [
        "1 x 3: 2 @ 950 (0, 3)",
        "3 cancelled 3: static collar",
        "0 pre_open, reference 1000: static collar",
    ]


def test_a_collar_bars_prices_that_are_too_good_as_well_whoever_stands_there():
    book = opened()
    happens(book, sell(1, 2, 900, **OWN))
    book.markets[0] = STATIC
    own_taker = buy(2, 2, 1_000, **OWN, self_trade=SelfTrade.CANCEL_MAKER)
    assert happens(book, own_taker)[0] == "0 pre_open, reference 1000: static collar"


def test_a_collar_is_rounded_down_to_whole_hao_and_needs_a_price_to_lie_about():
    book = opened(Market(reference=19, static_collar=100))
    assert traded(book, sell(1, 1, 20), buy(2, 1, 20)) == [(2, 1, 1, 20)]
    assert happens(book, sell(3, 1, 21), buy(4, 1, 21))[0] == "0 pre_open, reference 19: static collar"
    book = opened(Market(static_collar=1, dynamic_collar=1))
    assert traded(book, sell(1, 1, 500), buy(2, 1, 500)) == [(2, 1, 1, 500)]


def test_the_dynamic_collar_lies_about_the_last_price_before_the_order_entered():
    book = opened(DYNAMIC)
    happens(book, sell(1, 1, 1_040), sell(2, 1, 1_060), sell(3, 1, 1_080))
    told = happens(book, buy(4, 1, 1_100), buy(5, 3, 1_100))
    assert told[:2] == ["1 x 4: 1 @ 1040 (0, 0)", "2 x 5: 1 @ 1060 (0, 2)"]
    assert "3 x 5: 1 @ 1080 (0, 1)" in told


def test_all_or_nothing_counts_what_lies_within_the_collars_and_begins_no_auction():
    book = opened(STATIC)
    happens(book, sell(1, 2, 1_050), sell(2, 2, 1_051))
    told = happens(
        book,
        buy(3, 3, 1_100, time_in_force=FOK),
        buy(4, 3, 1_100, minimum_quantity=3),
        buy(5, 3, 1_100, minimum_quantity=2),
    )
    assert told[:4] == [
        "3 cancelled 3: not fillable",
        "4 cancelled 3: not fillable",
        "1 x 5: 2 @ 1050 (0, 1)",
        "0 pre_open, reference 1000: static collar",
    ]


def test_stops_that_the_trades_had_elected_enter_the_call():
    book = opened(STATIC)
    happens(
        book,
        sell(1, 2, 1_050),
        sell(2, 2, 1_060),
        buy(3, 1, 1_100, type=STOP, stop_price=1_050, time_in_force=GTD, expires_at=9),
        buy(4, 1, 1_070, type=STOP_LIMIT, stop_price=1_049),
    )
    assert happens(book, buy(5, 3, 1_080)) == [
        "1 x 5: 2 @ 1050 (0, 1)",
        "0 pre_open, reference 1000: static collar",
        "4 triggered: 1 @ 1070, open 1",
        "3 triggered: 1 @ 1100, open 1",
        "0 indicates 2 @ 1071, 0 more to buy",
    ]
    assert waiting(book, Side.BUY) == [(3, 1_100, 1)]
    assert happens(book, cancel(77, time=9))[0] == "3 expired 1"


def test_an_auction_knows_no_collar():
    book = called(buy(1, 5, 2_000), sell(2, 5, 2_000), market=STATIC._replace(phase=Phase.PRE_OPEN))
    assert traded(book, CONTINUOUS) == [(1, 2, 5, 2_000)]
