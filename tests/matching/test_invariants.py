"""The check of every invariant passes sound books, and names what is wrong with a broken one."""

from __future__ import annotations

import numpy as np
import pytest

from matching.batch import match
from matching.ids import find, head_of
from matching.invariants import check, faults_of
from matching.layout import CHILDREN, HALVES, KEY_NONE, NEVER, Book, copy_of, empty_book
from matching.reference import Command
from matching.vocabulary import NO_SLOT, CommandKind, OrderType, Phase, SelfTrade, Side, TimeInForce
from tests.matching.stories import array_of

BUY, SELL = Side.BUY, Side.SELL
BIDS, ASKS, PARKED_BUYS, PARKED_SELLS, _, _ = range(HALVES)
IN_CALL = 2
"""The instrument whose book is crossed, for it is in a call."""
NOW = 100


def book_of_everything() -> Book:
    """Return a book of three instruments: all that can stand in a book, none, and a call; and gaps."""
    book = empty_book(3)
    book.markets["collar"][0] = 100
    book, _ = match(book, array_of([*limit_orders(), *special_orders(), *call_orders(), *gaps()]))
    return book


def limit_orders() -> list[Command]:
    """Return two levels a side, two orders at the best; a trade at 100 leaves order 1 with 5 of 6 lots."""
    prices = {BUY: (100, 100, 7), SELL: (101, 101, 2_000_000)}
    orders = [
        Command(order=10 * side + number, price=price, quantity=5 + number, side=side)
        for side in Side
        for number, price in enumerate(prices[side], start=1)
    ]
    return [*orders, Command(order=90, price=100, quantity=1, side=SELL, time_in_force=TimeInForce.IOC)]


def special_orders() -> list[Command]:
    """Return an iceberg, GTD orders, and parked stops of every type."""
    iceberg = Command(order=21, price=90, quantity=10, display_quantity=4)
    timed = [
        Command(
            order=number,
            price=80,
            quantity=1,
            time_in_force=TimeInForce.GTD,
            expires_at=expires_at,
            time=NOW,
        )
        for number, expires_at in ((31, 300), (32, 200), (33, 400), (34, 200))
    ]
    stops = [
        Command(order=41, type=OrderType.STOP, stop_price=110, quantity=1),
        Command(
            order=42, type=OrderType.STOP_LIMIT, stop_price=120, price=125, quantity=9, display_quantity=3
        ),
        Command(order=43, type=OrderType.STOP, stop_price=90, quantity=1, side=SELL),
        Command(order=51, type=OrderType.TRAILING_STOP, trail=5, quantity=1, side=SELL),
        Command(order=52, type=OrderType.TRAILING_STOP, trail=8, quantity=1, side=SELL),
        Command(order=53, type=OrderType.TRAILING_STOP, trail=30, quantity=1),
    ]
    return [iceberg, *timed, *stops]


def call_orders() -> list[Command]:
    """Return a call, two limit orders that cross, and market orders that wait, two of them at one price."""
    begins = Command(kind=CommandKind.PHASE, instrument=IN_CALL, phase=Phase.PRE_OPEN)
    limits = [
        Command(order=61, price=105, quantity=5, instrument=IN_CALL),
        Command(order=62, price=100, quantity=3, instrument=IN_CALL, side=SELL),
    ]
    waiting = [
        Command(order=number, type=OrderType.MARKET, price=price, quantity=1, instrument=IN_CALL, side=side)
        for number, side, price in ((63, BUY, 110), (64, SELL, 90), (65, BUY, 110), (66, BUY, 120))
    ]
    return [begins, *limits, *waiting]


def gaps() -> list[Command]:
    """Return orders that come and go, so that each pool has slots that are free again."""
    numbers = range(91, 95)
    come = [
        Command(order=number, price=10_000 * number, quantity=5, display_quantity=2, side=SELL)
        for number in numbers
    ]
    return [*come, *(Command(order=number, kind=CommandKind.CANCEL) for number in numbers)]


BOOK = book_of_everything()


def slot_of(order: int) -> int:
    """Return where an order of the book stands."""
    return int(find(BOOK, order))


def extra_of(order: int) -> int:
    """Return which extra an order of the book has."""
    return int(BOOK.orders["extra"][slot_of(order)])


def head_with(order: int) -> int:
    """Return the head of the chain of an order's id."""
    return int(head_of(order, len(BOOK.heads) - 1))


def best_of(half: int) -> int:
    """Return the best level of a half."""
    return int(BOOK.halves["best"][half])


FIRST, SECOND, ASK = slot_of(1), slot_of(2), slot_of(11)
BEST_BID, BEST_ASK = best_of(BIDS), best_of(ASKS)
LEAF = int(BOOK.levels["node"][BEST_BID])
ROOT = int(BOOK.halves["root"][ASKS])
ICEBERG, TIMED, STOP_LIMIT = slot_of(21), slot_of(31), slot_of(42)
TRAILING = slot_of(51)
WAITING = slot_of(63)
COUNTS = {name: int(BOOK.counts[name][0]) for name in BOOK.counts.dtype.names or ()}
FREE_ORDER, FREE_EXTRA = COUNTS["orders_free"], COUNTS["extras_free"]
OPEN = COUNTS["open_orders"]
ROOM = len(BOOK.orders) - 1
SOONEST = int(BOOK.expiries["slot"][0])

BROKEN_TREES = [
    ("nodes", "occupied", LEAF, 0, "is empty, and still stands"),
    ("nodes", "occupied", LEAF, -1, "is reached twice"),
    ("nodes", "parent", LEAF, 9, "says its parent is 9"),
    ("nodes", "digit", LEAF, 60, "says its digit is 60"),
    ("nodes", "height", LEAF, 2, "says its height is 2, but it stands 0 above the leaves"),
    ("halves", "root", BIDS, NO_SLOT, "bids of instrument 0: counts 8 orders, but 0 stand there"),
    ("halves", "root", BIDS, ROOT, f"asks of instrument 0: node {ROOT} is reached twice"),
    ("halves", "root", BIDS, 10**6, "node 1000000 is outside of the pool"),
    ("halves", "height", BIDS, 0, "says its height is 1, but it stands 0 above the leaves"),
    ("halves", "prefix", BIDS, 5, "says its key is"),
    ("halves", "best", BIDS, NO_SLOT, "is called the best, but level"),
    ("halves", "best_key", BIDS, -100, "is called the best, but level"),
    ("halves", "best", HALVES, 0, f"level 0 (key {KEY_NONE}) is called the best, but none stands"),
    ("halves", "best_key", HALVES, -100, "bids of instrument 1: level -1 (key -100) is called the best"),
    ("halves", "orders", ASKS, 2, "asks of instrument 0: counts 2 orders, but 3 stand there"),
    ("halves", "levels", PARKED_SELLS, 2, "parked sells of instrument 0: counts 2 levels, but 3 stand there"),
    ("levels", "key", BEST_BID, -100, "says its key is -100, but it is -101"),
    ("levels", "node", BEST_BID, 3, "says its leaf is 3"),
    ("levels", "half", BEST_BID, ASKS, "says its half is 1, but it is 0"),
    ("levels", "price", BEST_BID, 99, "price 99, but its key says 100 ticks of 1"),
    ("levels", "price", best_of(PARKED_BUYS), 1, "price 1, but its key says 110 ticks of 1"),
    ("markets", "tick", 0, 3, "price 100, but its key says 100 ticks of 3"),
    ("levels", "price", BEST_ASK, 0, "price 0, which no order may have"),
    ("levels", "price", BEST_ASK, 10**15 + 1, "price 1000000000000001, which no order may have"),
    ("levels", "quantity", BEST_BID, 13, "quantity 13, but its orders sum to 12"),
    ("levels", "orders", BEST_BID, 3, "counts 3 orders, but slots [0, 1] stand there"),
    ("markets", "last", 0, 110, "stops wait for 110, which the last price, 110, has reached"),
    ("markets", "last", 0, 95, "stops wait for 95, which the last price, 95, has reached"),
]

BROKEN_QUEUES = [
    ("levels", "first", BEST_BID, NO_SLOT, "stands, and has no first order"),
    ("levels", "last", BEST_BID, FIRST, "slot 0 is called the last, but 1 is"),
    ("orders", "ahead", FIRST, 3, "says 3 is ahead, but -1 is"),
    ("orders", "behind", FIRST, FIRST, "is reached twice"),
    ("orders", "behind", FIRST, ASK, f"slot {ASK} is reached twice"),
    ("orders", "behind", FIRST, NO_SLOT, "is called the last, but"),
    ("orders", "behind", FIRST, 10**6, "slot 1000000 is outside of the pool"),
    ("orders", "leaves", FIRST, 4, "quantity 12, but its orders sum to 11"),
    ("orders", "leaves", FIRST, 9, "has 9 open of 6"),
    ("orders", "leaves", FIRST, 0, "has 0 open of 6"),
    ("orders", "quantity", FIRST, 2**41 + 1, "has 5 open of 2199023255553"),
    (
        "orders",
        "quantity",
        slot_of(13),
        2**41,
        "comes to 2199023255552 lots at 2000000, too much for one order",
    ),
    ("orders", "level", FIRST, 3, "says it stands at level 3"),
    ("orders", "side", FIRST, SELL, "is of side 1 of instrument 0"),
    ("orders", "instrument", FIRST, 1, "is of side 0 of instrument 1"),
    ("orders", "id", FIRST, 0, "order 0 in slot 0 has no positive id"),
    ("orders", "time_in_force", FIRST, TimeInForce.IOC, "has time in force 3, and must not stand here"),
    ("orders", "time_in_force", STOP_LIMIT, 5, "has time in force 5, and must not stand here"),
    ("orders", "self_trade", FIRST, SelfTrade.DECREMENT + 1, "has self-trade mode 5, which nobody knows"),
]

BROKEN_POOLS = [
    ("counts", "orders_free", 0, NO_SLOT, "pool of orders: neither in use nor freed"),
    ("counts", "orders_free", 0, FIRST, "pool of orders: in use and freed: [0"),
    (
        "counts",
        "orders_free",
        0,
        COUNTS["orders_used"] + 1,
        f"the chain of freed slots leaves the {COUNTS['orders_used']} used",
    ),
    ("counts", "orders_used", 0, COUNTS["orders_used"] + 1, "pool of orders: neither in use nor freed"),
    ("counts", "orders_used", 0, ROOM + 1, f"pool of orders: {ROOM + 1} of {ROOM} are called used"),
    ("orders", "behind", FREE_ORDER, FREE_ORDER, "pool of orders: the chain of freed slots runs in a circle"),
    ("orders", "leaves", FREE_ORDER, 1, f"order slot {FREE_ORDER} is freed, and has 1 open"),
    ("counts", "levels_free", 0, NO_SLOT, "pool of levels: neither in use nor freed"),
    ("counts", "levels_free", 0, BEST_BID, "pool of levels: in use and freed"),
    ("counts", "levels_used", 0, COUNTS["levels_used"] + 1, "pool of levels: neither in use nor freed"),
    ("counts", "levels_used", 0, 1, "level 4 is outside of the pool"),
    ("counts", "nodes_free", 0, ROOT, "pool of nodes: in use and freed"),
    ("counts", "nodes_used", 0, COUNTS["nodes_used"] + 1, "pool of nodes: neither in use nor freed"),
    ("counts", "extras_free", 0, NO_SLOT, "pool of extras: neither in use nor freed"),
    ("counts", "extras_free", 0, extra_of(21), "pool of extras: in use and freed"),
    ("counts", "extras_used", 0, COUNTS["extras_used"] + 1, "pool of extras: neither in use nor freed"),
    ("extras", "slot", FREE_EXTRA, FREE_EXTRA, "pool of extras: the chain of freed slots runs in a circle"),
]

BROKEN_IDS_AND_COUNTS = [
    ("orders", "id", FIRST, 4_000, f"order 4000 in slot 0 is in the chain of head {head_with(1)}, not of"),
    ("orders", "id", FIRST, 2, "2 open orders have the id 2"),
    ("orders", "chain", FIRST, FIRST, "comes to slot 0, where a chain has been before"),
    ("orders", "chain", FIRST, SECOND, "comes to slot 1, where a chain has been before"),
    ("orders", "chain", FIRST, FREE_ORDER, f"holds slot {FREE_ORDER}, where no open order stands"),
    ("counts", "open_orders", 0, OPEN - 1, f"the book counts {OPEN - 1} open orders, but {OPEN} stand there"),
    ("counts", "parked", 0, 5, "the book counts 5 parked orders, but 6 stand there"),
    ("counts", "elected_first", 0, 3, "slot 3 is still elected_first"),
    ("counts", "elected_last", 0, 3, "slot 3 is still elected_last"),
    ("counts", "row", 0, 7, "row 7 of a batch is still being done"),
]

BROKEN_EXTRAS = [
    ("orders", "extra", STOP_LIMIT, NO_SLOT, "is parked, and has no extra"),
    ("orders", "extra", TIMED, NO_SLOT, "is GTD, and has no extra"),
    ("orders", "extra", FIRST, 10**6, "has extra 1000000, which is outside of the pool"),
    ("orders", "extra", FIRST, extra_of(21), f"which says that it belongs to slot {ICEBERG}"),
    ("extras", "slot", extra_of(21), FIRST, "which says that it belongs to slot 0"),
    ("extras", "is_parked", extra_of(21), 1, "rests, and says is_parked 1"),
    ("extras", "is_parked", extra_of(42), 0, "is parked, and says is_parked 0"),
    ("extras", "type", extra_of(21), OrderType.STOP, "rests, and is of type 2, which may not"),
    ("extras", "type", extra_of(42), OrderType.LIMIT, "is parked, and is of type 0, which may not"),
    ("extras", "trail", extra_of(42), 3, "is of type 3, and trails by 3"),
    ("extras", "trail", extra_of(51), 0, "is of type 4, and trails by 0"),
    ("extras", "trail", extra_of(42), -3, "is of type 3, and trails by -3"),
    ("extras", "price", extra_of(51), 0, "would enter the book at 0, which is no price on a tick of 1"),
    ("extras", "price", extra_of(51), 10**15 + 1, "would enter the book at 1000000000000001"),
    ("extras", "arrival", extra_of(21), COUNTS["arrivals"], f"of {COUNTS['arrivals']}"),
    ("extras", "arrival", extra_of(21), -1, "has arrival -1 of"),
    ("extras", "arrival", extra_of(21), 1, "2 extras have arrival 1"),
    ("extras", "due", extra_of(21), 2, "is not GTD, and expires at 0 from row 2 of the heap"),
    ("extras", "expires_at", extra_of(21), 900, "is not GTD, and expires at 900 from row -1 of the heap"),
    ("extras", "slices", extra_of(21), 2, "may fall into 3 slices, but only 2 are counted"),
    ("extras", "slices", extra_of(42), 3, "may fall into 4 slices, but only 3 are counted"),
    ("counts", "slices", 0, 1, "the book counts 1 slices, but its icebergs' sum to"),
    ("extras", "hidden", extra_of(21), 7, "hides 7 lots and shows 4 of 10"),
    ("extras", "hidden", extra_of(21), -1, "hides -1 lots and shows 4 of 10"),
    ("extras", "hidden", extra_of(42), 1, "is parked, and hides 1 lots"),
    ("extras", "display", extra_of(21), 0, "is no iceberg, and hides 6 lots"),
    ("extras", "display", extra_of(21), -1, "shows 4 lots, more than its slice of -1"),
    ("orders", "leaves", ICEBERG, 5, "shows 5 lots, more than its slice of 4"),
    ("orders", "quantity", ICEBERG, 4_001, "has 4001 lots in slices of 4, more than 1000 slices"),
]

BROKEN_EXPIRIES = [
    ("counts", "expiries", 0, 10**6, "expiries is called 1000000 long"),
    ("counts", "expiries", 0, 3, "is GTD, and not in the heap of expiries"),
    ("counts", "expiries", 0, 5, "is of no open GTD order"),
    ("counts", "next_expiry", 0, NEVER, f"the next expiry is called {NEVER}, but it is 200"),
    ("counts", "clock", 0, 200, "was due at 200, and the clock is at 200"),
    ("expiries", "expires_at", 0, 900, "expires sooner than row 0 above it"),
    ("expiries", "arrival", 0, 900, "expires sooner than row 0 above it"),
    ("expiries", "expires_at", 3, 299, "says 299 and arrival 1, its order 300 and 1"),
    ("expiries", "slot", 0, FIRST, "row 0 of the heap of expiries (slot 0) is of no open GTD order"),
    ("expiries", "slot", 1, SOONEST, "is of an order that says row 0"),
    ("extras", "due", int(BOOK.orders["extra"][SOONEST]), 2, "is of an order that says row 2"),
    ("orders", "time_in_force", SOONEST, TimeInForce.GTC, "is of no open GTD order"),
    ("orders", "time_in_force", FIRST, TimeInForce.GTD, "order 1 in slot 0 is GTD, and not in the heap"),
]

BROKEN_TRAILING_STOPS = [
    ("markets", "trail_first", 0, NO_SLOT, "are not in their list"),
    ("markets", "trail_first", 0, FIRST, "slot 0 is in their list, and is none"),
    ("markets", "trail_first", 0, slot_of(52), f"says {TRAILING} is ahead, but -1 is"),
    ("markets", "trail_first", 1, TRAILING, f"instrument 1: slot {TRAILING} is in their list, and is none"),
    ("markets", "trail_last", 0, TRAILING, f"slot {TRAILING} is called the last, but {slot_of(53)} is"),
    ("extras", "trail_ahead", extra_of(52), NO_SLOT, f"says -1 is ahead, but {TRAILING} is"),
    ("extras", "trail_behind", extra_of(52), TRAILING, f"slot {TRAILING} is reached twice"),
    ("extras", "trail_behind", extra_of(52), NO_SLOT, f"slots [{slot_of(53)}] are not in their list"),
    ("extras", "arrival", extra_of(51), 14, "do not stand in the order in which they came"),
]

BROKEN_WAITING_ORDERS = [
    ("orders", "extra", WAITING, NO_SLOT, "waits, and has no extra"),
    ("extras", "is_parked", extra_of(63), 1, "waits, and says is_parked 1"),
    ("extras", "type", extra_of(63), OrderType.LIMIT, "waits, and is of type 0, which may not"),
    ("extras", "hidden", extra_of(63), 1, "waits, and hides 1 lots"),
    ("extras", "price", extra_of(63), 109, f"slot {WAITING} waits at 110, and its protection price is 109"),
    ("markets", "phase", IN_CALL, Phase.CONTINUOUS, "wait in phase 4"),
    ("markets", "phase", IN_CALL, Phase.AUCTION, "wait in phase 3"),
    ("markets", "phase", IN_CALL, Phase.CLOSED, "wait in phase 0"),
    ("markets", "waiting_first", IN_CALL, NO_SLOT, "are not in their list"),
    ("markets", "waiting_first", IN_CALL, FIRST, "slot 0 is in their list, and does not wait"),
    ("markets", "waiting_first", 0, WAITING, f"instrument 0: slot {WAITING} is in their list, and does not"),
    ("markets", "waiting_last", IN_CALL, WAITING, f"slot {WAITING} is called the last, but {slot_of(66)} is"),
    ("extras", "trail_ahead", extra_of(65), NO_SLOT, f"says -1 is ahead, but {slot_of(64)} is"),
    ("extras", "trail_behind", extra_of(65), WAITING, f"slot {WAITING} is reached twice"),
    ("extras", "trail_behind", extra_of(65), NO_SLOT, f"slots [{slot_of(66)}] are not in their list"),
    ("orders", "entry", slot_of(64), 7, "do not stand in the order in which they began to wait"),
]

BROKEN_CALLS = [
    ("orders", "entry", FIRST, 7, "order 1 in slot 0 has entry 7 of 6"),
    ("orders", "entry", WAITING, 0, f"order 63 in slot {WAITING} has entry 0 of 6"),
    ("orders", "entry", WAITING, 1, "2 orders have entry 1"),
    ("orders", "entry", WAITING, 6, "entries [6, 5] do not rise"),
    ("counts", "calls", 0, 0, "the book counts 0 instruments in a call, but 1 are"),
    ("markets", "phase", 1, Phase.NO_CANCEL, "the book counts 1 instruments in a call, but 2 are"),
    ("markets", "touched", 1, 1, "instrument 1 is still touched"),
    (
        "markets",
        "indicative_price",
        IN_CALL,
        99,
        "instrument 2 was told to clear at (price, volume, surplus) (99",
    ),
    ("markets", "indicative_volume", IN_CALL, 3, "but would at (105, 4, 4)"),
    ("markets", "indicative_surplus", IN_CALL, -4, "(105, 4, -4), but would at (105, 4, 4)"),
    ("markets", "indicative_price", 0, 5, "(5, 0, 0), but would at (0, 0, 0)"),
]

BROKEN = [
    *BROKEN_TREES,
    *BROKEN_QUEUES,
    *BROKEN_POOLS,
    *BROKEN_IDS_AND_COUNTS,
    *BROKEN_EXTRAS,
    *BROKEN_EXPIRIES,
    *BROKEN_TRAILING_STOPS,
    *BROKEN_WAITING_ORDERS,
    *BROKEN_CALLS,
]


def test_a_sound_book_passes():
    assert faults_of(BOOK) == []
    check(empty_book())
    check(empty_book(3, tick=5))


@pytest.mark.parametrize(("table", "field", "row", "value", "told"), BROKEN)
def test_what_is_broken_is_named(table, field, row, value, told):
    book = copy_of(BOOK)
    assert int(getattr(book, table)[field][row]) != value, "nothing would be broken"
    getattr(book, table)[field][row] = value
    with pytest.raises(AssertionError, match="the book is broken") as raised:
        check(book)
    assert told in str(raised.value)


def test_children_without_a_bit_mean_nothing():
    book = copy_of(BOOK)
    standing = np.zeros(len(book.children), bool)
    for node, occupied in enumerate(book.nodes["occupied"].tolist()):
        standing[CHILDREN * node : CHILDREN * (node + 1)] = [
            occupied >> below & 1 for below in range(CHILDREN)
        ]
    book.children[~standing] = 10**6
    check(book)


def test_arrays_that_do_not_belong_together_are_named():
    assert faults_of(BOOK._replace(markets=BOOK.markets[:1])) == [
        f"there are {3 * HALVES} halves for 1 instruments"
    ]
    assert faults_of(BOOK._replace(children=BOOK.children[1:])) == [
        f"there are {len(BOOK.children) - 1} children for {len(BOOK.nodes)} nodes"
    ]


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (0, "the table of ids has 0 heads, which is no power of two"),
        (127, "the table of ids has 127 heads, which is no power of two"),
        (32, f"the table of ids has 32 heads for {OPEN} open orders"),
    ],
)
def test_a_table_of_ids_of_the_wrong_size_is_named(size, told):
    assert told in faults_of(BOOK._replace(heads=BOOK.heads[:size].copy()))


def test_an_open_order_that_no_chain_holds_is_named():
    book = copy_of(BOOK)
    book.heads[head_with(52)] = NO_SLOT
    assert faults_of(book) == [f"order 52 in slot {slot_of(52)} is open, and in no chain of the table of ids"]


def test_an_order_in_the_chain_of_another_head_is_named():
    book = copy_of(BOOK)
    book.heads[[0, head_with(52)]] = book.heads[[head_with(52), 0]]
    assert faults_of(book) == [
        f"order 52 in slot {slot_of(52)} is in the chain of head 0, not of {head_with(52)}"
    ]


def test_a_crossed_book_is_named_where_what_meets_has_traded():
    book = crossing(copy_of(BOOK))
    for phase in (Phase.CONTINUOUS, Phase.AUCTION):
        book.markets["phase"][0] = phase
        assert faults_of(book) == ["instrument 0 is crossed: bid 105 ticks, ask 101 ticks"]
    book.markets["phase"][0] = Phase.HALTED
    check(book)


def test_a_stop_may_be_parked_at_a_price_that_was_reached_where_nothing_trades():
    book = copy_of(BOOK)
    book.markets["last"][0] = 110
    book.markets["phase"][0] = Phase.HALTED
    check(book)


def crossing(book: Book) -> Book:
    """Return the book with a buy above the best sell, as only a phase without trades lets it be."""
    asks = book.halves[ASKS].copy()
    book.halves[ASKS] = empty_book(1).halves[ASKS]
    book, _ = match(book, array_of([Command(order=50, price=105, quantity=1)]))
    book.halves[ASKS] = asks
    return book


def test_the_twentieth_fault_is_the_last_that_is_told():
    book = copy_of(BOOK)
    book.counts["orders_used"] = ROOM
    book.orders["behind"][: COUNTS["orders_used"]] = NO_SLOT
    faults = faults_of(book)
    with pytest.raises(AssertionError, match=f"and {len(faults) - 20} more"):
        check(book)
