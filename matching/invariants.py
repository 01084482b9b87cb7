"""Everything that must be true of any book between two commands, checked slowly, in plain Python.

    half      the tree's bits and what hangs there agree; parents, digits, heights too; no empty node;
              each level where its key says, at its price; the best level is the first; an empty half says
              so; counts of orders and levels are right; outside of calls no stop waits for a price that
              has been reached
    queue     linked both ways, first to last; quantity and orders are sums; each order open, of this side
              and instrument, within its bounds, and of a sort that may rest
    market    bids below asks in continuous trading and after an auction
    pools     each slot of each pool is either in use, once, or in the chain of freed ones, once
    ids       each open order stands, once, in the chain of its id's head; the chains hold nothing else;
              the table is a power of two, and twice the open orders or more
    counts    open and parked orders are as many as stand there; nothing is left of a command

What only few orders have is looked at in `matching.invariants_of_extras`, what calls and auctions need
in `matching.invariants_of_auctions`. Two halves never share a node,
nor two levels an order: what is visited is ticked off. Cost O(pool).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from matching.ids import head_of
from matching.invariants_of_auctions import InspectionOfAuctions
from matching.invariants_of_extras import InspectionOfExtras, Standing, brief, rows_of
from matching.layout import CHILDREN, HALVES, KEY_NONE, PARKED, WAITING, Book
from matching.vocabulary import (
    NO_SLOT,
    NOTIONAL_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    Phase,
    SelfTrade,
    Side,
    TimeInForce,
)

_FAULTS_TOLD = 20
_BITS = 6
_MAY_REST = (TimeInForce.GTC, TimeInForce.GTD, TimeInForce.DAY)
_NAMES = ("bids", "asks", "parked buys", "parked sells", "waiting buys", "waiting sells")
_LOWEST_FIRST = (Side.SELL, PARKED + Side.BUY, WAITING + Side.SELL)
_NEVER_CROSSED = (Phase.CONTINUOUS, Phase.AUCTION)
"""The phases that uncross the book when they are entered."""


def check(book: Book) -> None:
    """Assert that nothing is wrong with `book`. Raises AssertionError with a line a fault."""
    faults = faults_of(book)
    if faults:
        told = "\n".join(f"  {fault}" for fault in faults[:_FAULTS_TOLD])
        more = f"\n  and {len(faults) - _FAULTS_TOLD} more" if len(faults) > _FAULTS_TOLD else ""
        raise AssertionError(f"the book is broken:\n{told}{more}")


def faults_of(book: Book) -> list[str]:
    """Return what is wrong with `book`, a sentence a fault; an empty list if nothing is."""
    return list(Inspection(book).faults())


class Inspection:
    """One look over a whole book: its rows as plain objects, and what has been visited so far."""

    def __init__(self, book: Book) -> None:
        """Read the book's rows; nothing is changed."""
        self.book = book
        self.orders = rows_of(book.orders)
        self.extras = rows_of(book.extras)
        self.levels = rows_of(book.levels)
        self.nodes = rows_of(book.nodes)
        self.halves = rows_of(book.halves)
        self.markets = rows_of(book.markets)
        self.counts = rows_of(book.counts)[0]
        self.children: list[int] = book.children.tolist()
        self.heads: list[int] = book.heads.tolist()
        self.stands: dict[int, Standing] = {}
        self.levels_met: set[int] = set()
        self.nodes_met: set[int] = set()
        self.levels_here: list[int] = []

    def faults(self) -> Iterator[str]:
        """Yield all faults, those of the halves first, for they explain the others."""
        if len(self.halves) != HALVES * len(self.markets):
            yield f"there are {len(self.halves)} halves for {len(self.markets)} instruments"
            return
        if len(self.children) != CHILDREN * len(self.nodes):
            yield f"there are {len(self.children)} children for {len(self.nodes)} nodes"
            return
        for half in range(len(self.halves)):
            for fault in self.faults_of_half(half):
                yield f"{name_of(half)}: {fault}"
        yield from self.faults_of_markets()
        yield from self.faults_of_pools()
        yield from self.faults_of_ids()
        yield from self.faults_of_counts()
        yield from InspectionOfExtras(self.book, self.stands).faults()
        yield from InspectionOfAuctions(self.book, self.stands).faults()

    # --- halves --------------------------------------------------------------------------------

    def faults_of_half(self, half: int) -> Iterator[str]:
        """Yield what is wrong with one price tree and with all that hangs on it."""
        here = self.halves[half]
        orders_before, levels_before = len(self.stands), len(self.levels_met)
        self.levels_here = []
        if here.root != NO_SLOT:
            yield from self.faults_of_node(here.root, NO_SLOT, 0, here.height, here.prefix, half)
        yield from self.faults_of_best(half)
        for name, counted, seen in (
            ("orders", here.orders, len(self.stands) - orders_before),
            ("levels", here.levels, len(self.levels_met) - levels_before),
        ):
            if counted != seen:
                yield f"counts {counted} {name}, but {seen} stand there"

    def faults_of_node(
        self, node: int, parent: int, digit: int, height: int, prefix: int, half: int
    ) -> Iterator[str]:
        """Yield what is wrong with a node and all below it, where keys begin with `prefix`."""
        if not 0 <= node < min(self.counts.nodes_used, len(self.nodes)):
            yield f"node {node} is outside of the pool"
            return
        if node in self.nodes_met:
            yield f"node {node} is reached twice"
            return
        self.nodes_met.add(node)
        here = self.nodes[node]
        if here.parent != parent:
            yield f"node {node} says its parent is {here.parent}, but it hangs under {parent}"
        if parent != NO_SLOT and here.digit != digit:
            yield f"node {node} says its digit is {here.digit}, but it hangs at {digit}"
        if here.occupied == 0:
            yield f"node {node} is empty, and still stands"
        if here.height != height:
            yield f"node {node} says its height is {here.height}, but it stands {height} above the leaves"
        for below in range(CHILDREN):
            if (here.occupied >> below) & 1 == 0:
                continue
            child = self.children[CHILDREN * node + below]
            key = (prefix << _BITS) | below
            if height == 0:
                yield from self.faults_of_level(child, node, key, half)
            else:
                yield from self.faults_of_node(child, node, below, height - 1, key, half)

    def faults_of_best(self, half: int) -> Iterator[str]:
        """Yield what is wrong with the best level, where the tree has just been walked."""
        here = self.halves[half]
        if not self.levels_here:
            if (here.best, here.best_key) != (NO_SLOT, KEY_NONE):
                yield f"level {here.best} (key {here.best_key}) is called the best, but none stands"
            return
        best = self.levels_here[0]
        best_key = self.levels[best].key
        if (here.best, here.best_key) != (best, best_key):
            yield (
                f"level {here.best} (key {here.best_key}) is called the best, "
                f"but level {best} (key {best_key}) is"
            )

    # --- levels and queues ---------------------------------------------------------------------

    def faults_of_level(self, level: int, node: int, key: int, half: int) -> Iterator[str]:
        """Yield what is wrong with one level and its queue."""
        if not 0 <= level < min(self.counts.levels_used, len(self.levels)):
            yield f"level {level} is outside of the pool"
            return
        if level in self.levels_met:
            yield f"level {level} is reached twice"
            return
        self.levels_met.add(level)
        self.levels_here.append(level)
        here = self.levels[level]
        where = f"level {level} (key {key})"
        for name, said, true in (
            ("key", here.key, key),
            ("leaf", here.node, node),
            ("half", here.half, half),
        ):
            if said != true:
                yield f"{where} says its {name} is {said}, but it is {true}"
        for fault in self.faults_of_price(here.price, key, half):
            yield f"{where}: {fault}"
        queue: list[int] = []
        for fault in self.faults_of_queue(level, half, queue):
            yield f"{where}: {fault}"
        for slot in queue:
            for fault in self.faults_of_order(slot):
                yield f"{where}: order {self.orders[slot].id} in slot {slot} {fault}"
        lots = sum(self.orders[slot].leaves for slot in queue)
        if here.quantity != lots:
            yield f"{where}: quantity {here.quantity}, but its orders sum to {lots}"
        if here.orders != len(queue):
            yield f"{where}: counts {here.orders} orders, but slots {brief(queue)} stand there"

    def faults_of_price(self, price: int, key: int, half: int) -> Iterator[str]:
        """Yield what is wrong with a level's price; in three halves of six the lowest price ranks first."""
        instrument, kind = divmod(half, HALVES)
        market = self.markets[instrument]
        ticks = key if kind in _LOWEST_FIRST else ~key
        if price != ticks * market.tick:
            yield f"price {price}, but its key says {ticks} ticks of {market.tick}"
        if not 0 < price <= PRICE_MAX:
            yield f"price {price}, which no order may have"
        if not PARKED <= kind < WAITING or market.last == 0 or market.phase not in _NEVER_CROSSED:
            return
        if price <= market.last if kind == PARKED + Side.BUY else price >= market.last:
            yield f"stops wait for {price}, which the last price, {market.last}, has reached"

    def faults_of_queue(self, level: int, half: int, queue: list[int]) -> Iterator[str]:
        """Walk the queue from first to last into `queue`; yield where its links disagree."""
        ahead = NO_SLOT
        slot = self.levels[level].first
        if slot == NO_SLOT:
            yield "stands, and has no first order"
        while slot != NO_SLOT:
            if not 0 <= slot < min(self.counts.orders_used, len(self.orders)):
                yield f"slot {slot} is outside of the pool"
                return
            if slot in self.stands:
                yield f"slot {slot} is reached twice"
                return
            self.stands[slot] = Standing(half, level)
            queue.append(slot)
            if self.orders[slot].ahead != ahead:
                yield f"slot {slot} says {self.orders[slot].ahead} is ahead, but {ahead} is"
            ahead = slot
            slot = self.orders[slot].behind
        if self.levels[level].last != ahead:
            yield f"slot {self.levels[level].last} is called the last, but {ahead} is"

    def faults_of_order(self, slot: int) -> Iterator[str]:
        """Yield what is wrong with one open order, by itself and where it stands."""
        order = self.orders[slot]
        half, level = self.stands[slot]
        instrument, kind = divmod(half, HALVES)
        price = self.levels[level].price
        if order.level != level:
            yield f"says it stands at level {order.level}"
        if (order.instrument, order.side) != (instrument, kind % PARKED):
            yield f"is of side {order.side} of instrument {order.instrument}"
        if order.id <= 0:
            yield "has no positive id"
        if not 0 < order.leaves <= order.quantity <= QUANTITY_MAX:
            yield f"has {order.leaves} open of {order.quantity}"
        if order.time_in_force not in (_MAY_REST if kind < PARKED else tuple(TimeInForce)):
            yield f"has time in force {order.time_in_force}, and must not stand here"
        if order.self_trade not in tuple(SelfTrade):
            yield f"has self-trade mode {order.self_trade}, which nobody knows"
        if kind < PARKED and price * order.quantity > NOTIONAL_MAX:
            yield f"comes to {order.quantity} lots at {price}, too much for one order"

    def faults_of_markets(self) -> Iterator[str]:
        """Yield which books are crossed, or at one price on both sides, where what meets has traded."""
        for instrument, market in enumerate(self.markets):
            bids, asks = (self.halves[HALVES * instrument + side] for side in (Side.BUY, Side.SELL))
            if market.phase not in _NEVER_CROSSED or NO_SLOT in {bids.best, asks.best}:
                continue
            if ~bids.best_key >= asks.best_key:
                yield (
                    f"instrument {instrument} is crossed: "
                    f"bid {~bids.best_key} ticks, ask {asks.best_key} ticks"
                )

    # --- pools ---------------------------------------------------------------------------------

    def faults_of_pools(self) -> Iterator[str]:
        """Yield which slots of the four pools are lost or in two places; the last order's is nobody's."""
        orders_freed = [order.behind for order in self.orders[:-1]]
        levels_freed = [level.first for level in self.levels]
        nodes_freed = [node.parent for node in self.nodes]
        extras_freed = [extra.slot for extra in self.extras]
        extras_met = {self.orders[slot].extra for slot in self.stands} - {NO_SLOT}
        yield from self.faults_of_pool("orders", set(self.stands), orders_freed)
        yield from self.faults_of_pool("levels", self.levels_met, levels_freed)
        yield from self.faults_of_pool("nodes", self.nodes_met, nodes_freed)
        yield from self.faults_of_pool("extras", extras_met, extras_freed)
        for slot in set(self.chain("orders", orders_freed)) & set(range(len(orders_freed))):
            if self.orders[slot].leaves != 0:
                yield f"order slot {slot} is freed, and has {self.orders[slot].leaves} open"

    def faults_of_pool(self, pool: str, in_use: set[int], links: list[int]) -> Iterator[str]:
        """Yield which slots up to `used` are neither in use nor freed, or both, or freed twice."""
        used = getattr(self.counts, f"{pool}_used")
        freed = self.chain(pool, links)
        if not 0 <= used <= len(links):
            yield f"pool of {pool}: {used} of {len(links)} are called used"
            return
        if len(set(freed)) != len(freed):
            yield f"pool of {pool}: the chain of freed slots runs in a circle at {freed[-1]}"
        if any(not 0 <= slot < used for slot in freed):
            yield f"pool of {pool}: the chain of freed slots leaves the {used} used at {freed[-1]}"
        both = in_use.intersection(freed)
        if both:
            yield f"pool of {pool}: in use and freed: {brief(sorted(both))}"
        lost = set(range(used)) - in_use - set(freed)
        if lost:
            yield f"pool of {pool}: neither in use nor freed: {brief(sorted(lost))}"

    def chain(self, pool: str, links: list[int]) -> list[int]:
        """Return a pool's chain of freed slots, up to where it leaves the pool or repeats."""
        freed: list[int] = []
        met: set[int] = set()
        slot = getattr(self.counts, f"{pool}_free")
        while slot != NO_SLOT and slot not in met and 0 <= slot < len(links):
            freed.append(slot)
            met.add(slot)
            slot = links[slot]
        if slot != NO_SLOT:
            freed.append(slot)
        return freed

    # --- ids and counts ------------------------------------------------------------------------

    def faults_of_ids(self) -> Iterator[str]:
        """Yield which open orders the table does not find, and what it holds beside them."""
        size = len(self.heads)
        if size == 0 or size & (size - 1) != 0:
            yield f"the table of ids has {size} heads, which is no power of two"
            return
        if size < 2 * len(self.stands):
            yield f"the table of ids has {size} heads for {len(self.stands)} open orders"
        met: set[int] = set()
        for head in range(size):
            yield from self.faults_of_chain(head, met)
        for slot in sorted(set(self.stands) - met):
            yield f"order {self.orders[slot].id} in slot {slot} is open, and in no chain of the table of ids"
        for order, times in Counter(self.orders[slot].id for slot in self.stands).items():
            if times > 1:
                yield f"{times} open orders have the id {order}"

    def faults_of_chain(self, head: int, met: set[int]) -> Iterator[str]:
        """Yield what is wrong with the chain that begins at one head; tick its slots off in `met`."""
        slot = self.heads[head]
        while slot != NO_SLOT:
            if slot not in self.stands:
                yield f"the chain of head {head} holds slot {slot}, where no open order stands"
                return
            if slot in met:
                yield f"the chain of head {head} comes to slot {slot}, where a chain has been before"
                return
            met.add(slot)
            order = self.orders[slot]
            home = int(head_of(order.id, len(self.heads) - 1))
            if home != head:
                yield f"order {order.id} in slot {slot} is in the chain of head {head}, not of {home}"
            slot = order.chain

    def faults_of_counts(self) -> Iterator[str]:
        """Yield which counts are wrong, and what a command has left lying about."""
        parked = [slot for slot, (half, _) in self.stands.items() if PARKED <= half % HALVES < WAITING]
        for counted, true, what in (
            (self.counts.open_orders, len(self.stands), "open"),
            (self.counts.parked, len(parked), "parked"),
        ):
            if counted != true:
                yield f"the book counts {counted} {what} orders, but {true} stand there"
        for name in ("elected_first", "elected_last"):
            slot = getattr(self.counts, name)
            if slot != NO_SLOT:
                yield f"slot {slot} is still {name}, after the command that elected it"
        if self.counts.row != 0:
            yield f"row {self.counts.row} of a batch is still being done, after the batch"


def name_of(half: int) -> str:
    """Return what a trader calls this half of a book."""
    instrument, kind = divmod(half, HALVES)
    return f"{_NAMES[kind]} of instrument {instrument}"
