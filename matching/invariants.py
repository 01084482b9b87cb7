"""Everything that must be true of any book, checked slowly, in plain Python.

    half      the tree's bits and children agree; parents, digits and prefixes too; no empty node;
              each level where its key says; keys in order; the best level is the lowest; the leaf
              remembered is a leaf and covers what it says; counts of orders and levels are right
    queue     linked both ways, first to last; quantity and orders are sums; each order at its
              price, open, and of a sort that may rest
    market    bids below asks while the market is continuous
    pools     each slot of each pool is either in use, once, or in the chain of freed ones, once
    places    the table finds each resting order by its id, and holds nothing else

Two halves never share a node, nor two levels an order: what is visited is ticked off. Cost O(pool).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from matching.layout import Book
from matching.places import home_of
from matching.vocabulary import NO_SLOT, PRICE_MAX, Phase, Side, TimeInForce

_FAULTS_TOLD = 20
_BITS = 6
_MAY_REST = (TimeInForce.GTC, TimeInForce.DAY)

Columns = dict[str, list[Any]]


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
    """One look over a whole book: what has been visited so far, and the arrays as plain lists."""

    def __init__(self, book: Book) -> None:
        """Read the book's arrays into lists; nothing is changed."""
        self.orders = columns_of(book.orders)
        self.levels = columns_of(book.levels)
        self.nodes = columns_of(book.nodes)
        self.halves = columns_of(book.halves)
        self.markets = columns_of(book.markets)
        self.places = columns_of(book.places)
        self.counts = {name: column[0] for name, column in columns_of(book.counts).items()}
        self.children = book.children.tolist()
        self.capacities = {
            "orders": len(book.orders),
            "levels": len(book.levels),
            "nodes": len(book.nodes),
        }
        self.orders_met: set[int] = set()
        self.levels_met: set[int] = set()
        self.nodes_met: set[int] = set()
        self.leaves_met: dict[int, int] = {}
        self.levels_here: list[int] = []

    def faults(self) -> Iterator[str]:
        """Yield all faults, those of the halves first, for they explain those of the pools."""
        if len(self.halves["root"]) != 2 * len(self.markets["tick"]):
            yield "there are not two halves a market"
            return
        for half in range(len(self.halves["root"])):
            for fault in self.faults_of_half(half):
                yield f"{name_of(half)}: {fault}"
        yield from self.faults_of_markets()
        yield from self.faults_of_order_pool()
        yield from self.faults_of_level_pool()
        yield from self.faults_of_node_pool()
        yield from self.faults_of_places()

    # --- halves --------------------------------------------------------------------------------

    def faults_of_half(self, half: int) -> Iterator[str]:
        """Yield what is wrong with one price tree and with all that hangs on it."""
        root, height, prefix, leaf = (
            self.halves[name][half] for name in ("root", "height", "prefix", "leaf")
        )
        orders_before, levels_before = len(self.orders_met), len(self.levels_met)
        self.leaves_met, self.levels_here = {}, []
        if root != NO_SLOT:
            yield from self.faults_of_node(root, NO_SLOT, 0, height, prefix, half)
        yield from self.faults_of_best(half)
        if leaf != NO_SLOT and leaf not in self.leaves_met:
            yield f"the leaf remembered, node {leaf}, is no leaf of this tree"
        elif leaf != NO_SLOT and self.leaves_met[leaf] != self.halves["leaf_prefix"][half]:
            yield (
                f"the leaf remembered, node {leaf}, covers prefix {self.leaves_met[leaf]}, "
                f"not {self.halves['leaf_prefix'][half]}"
            )
        for name, seen in (
            ("orders", len(self.orders_met) - orders_before),
            ("levels", len(self.levels_met) - levels_before),
        ):
            if self.halves[name][half] != seen:
                yield f"counts {self.halves[name][half]} {name}, but {seen} stand there"

    def faults_of_node(
        self, node: int, parent: int, digit: int, height: int, prefix: int, half: int
    ) -> Iterator[str]:
        """Yield what is wrong with a node and all below it, where keys begin with `prefix`."""
        if not 0 <= node < self.counts["nodes_used"]:
            yield f"node {node} is outside of the pool"
            return
        if node in self.nodes_met:
            yield f"node {node} is reached twice"
            return
        self.nodes_met.add(node)
        here = {name: column[node] for name, column in self.nodes.items()}
        if here["parent"] != parent:
            yield f"node {node} says its parent is {here['parent']}, but it hangs under {parent}"
        if parent != NO_SLOT and here["digit"] != digit:
            yield f"node {node} says its digit is {here['digit']}, but it hangs at {digit}"
        if here["occupied"] == 0:
            yield f"node {node} is empty, and still stands"
        if height == 0:
            self.leaves_met[node] = prefix
        for below, child in enumerate(self.children[node]):
            bit = (here["occupied"] >> below) & 1
            if bit != (child != NO_SLOT):
                yield f"node {node}: bit {below} is {bit}, but the child there is {child}"
            if child == NO_SLOT:
                continue
            key = (prefix << _BITS) | below
            if height == 0:
                yield from self.faults_of_level(child, node, key, half)
            else:
                yield from self.faults_of_node(child, node, below, height - 1, key, half)

    def faults_of_best(self, half: int) -> Iterator[str]:
        """Yield what is wrong with the best level, and with the sequence of keys."""
        best, best_key = self.halves["best"][half], self.halves["best_key"][half]
        if not self.levels_here:
            if best != NO_SLOT:
                yield f"level {best} is called the best, but none stands"
            return
        keys = [self.levels["key"][level] for level in self.levels_here]
        if any(later <= earlier for earlier, later in pairwise(keys)):
            yield f"keys do not rise from level to level: {brief(keys)}"
        if (best, best_key) != (self.levels_here[0], keys[0]):
            yield (
                f"level {best} (key {best_key}) is called the best, "
                f"but level {self.levels_here[0]} (key {keys[0]}) is"
            )

    # --- levels and queues ---------------------------------------------------------------------

    def faults_of_level(self, level: int, node: int, key: int, half: int) -> Iterator[str]:
        """Yield what is wrong with one level and its queue."""
        if not 0 <= level < self.counts["levels_used"]:
            yield f"level {level} is outside of the pool"
            return
        if level in self.levels_met:
            yield f"level {level} is reached twice"
            return
        self.levels_met.add(level)
        self.levels_here.append(level)
        here = {name: column[level] for name, column in self.levels.items()}
        where = f"level {level} (key {key})"
        if here["key"] != key:
            yield f"{where} says its key is {here['key']}"
        if here["node"] != node:
            yield f"{where} says its leaf is {here['node']}, but it hangs under {node}"
        queue: list[int] = []
        for fault in self.faults_of_queue(level, queue):
            yield f"{where}: {fault}"
        for slot in queue:
            for fault in self.faults_of_order(slot, level, half):
                yield f"{where}: order {self.orders['id'][slot]} in slot {slot} {fault}"
        leaves = [self.orders["leaves"][slot] for slot in queue]
        if here["quantity"] != sum(leaves):
            yield f"{where}: quantity {here['quantity']}, but its orders sum to {sum(leaves)}"
        if here["orders"] != len(queue):
            yield f"{where}: counts {here['orders']} orders, but slots {brief(queue)} stand there"

    def faults_of_queue(self, level: int, queue: list[int]) -> Iterator[str]:
        """Walk the queue from first to last into `queue`; yield where its links disagree."""
        ahead = NO_SLOT
        slot = self.levels["first"][level]
        if slot == NO_SLOT:
            yield "stands, and has no first order"
        while slot != NO_SLOT:
            if not 0 <= slot < self.counts["orders_used"]:
                yield f"slot {slot} is outside of the pool"
                return
            if slot in self.orders_met:
                yield f"slot {slot} is reached twice"
                return
            self.orders_met.add(slot)
            queue.append(slot)
            if self.orders["ahead"][slot] != ahead:
                yield f"slot {slot} says {self.orders['ahead'][slot]} is ahead, but {ahead} is"
            ahead = slot
            slot = self.orders["behind"][slot]
        if self.levels["last"][level] != ahead:
            yield f"slot {self.levels['last'][level]} is called the last, but {ahead} is"

    def faults_of_order(self, slot: int, level: int, half: int) -> Iterator[str]:
        """Yield what is wrong with one resting order."""
        order = {name: column[slot] for name, column in self.orders.items()}
        instrument, side = divmod(half, 2)
        tick = self.markets["tick"][instrument]
        if order["level"] != level:
            yield f"says it stands at level {order['level']}"
        if (order["instrument"], order["side"]) != (instrument, side):
            yield f"is of side {order['side']} of instrument {order['instrument']}"
        if not 0 < order["leaves"] <= order["quantity"]:
            yield f"has {order['leaves']} open of {order['quantity']}"
        if order["time_in_force"] not in _MAY_REST:
            yield f"has time in force {order['time_in_force']}, and must not rest"
        ticks = self.levels["key"][level]
        if order["price"] != (ticks if side == Side.SELL else ~ticks) * tick:
            yield f"has price {order['price']}, which is not this level's on a tick of {tick}"
        if not 0 < order["price"] <= PRICE_MAX:
            yield f"has price {order['price']}, which no order may have"

    def faults_of_markets(self) -> Iterator[str]:
        """Yield which books are crossed, or at one price on both sides, while they trade."""
        for instrument, phase in enumerate(self.markets["phase"]):
            bids, asks = 2 * instrument + Side.BUY, 2 * instrument + Side.SELL
            if phase != Phase.CONTINUOUS or NO_SLOT in (
                self.halves["best"][bids],
                self.halves["best"][asks],
            ):
                continue
            bid, ask = ~self.halves["best_key"][bids], self.halves["best_key"][asks]
            if bid >= ask:
                yield f"instrument {instrument} is crossed: bid {bid} ticks, ask {ask} ticks"

    # --- pools ---------------------------------------------------------------------------------

    def faults_of_order_pool(self) -> Iterator[str]:
        """Yield which slots of orders are lost or in two places; freed ones have nothing open."""
        freed = self.chain(self.orders["behind"], "orders")
        yield from self.faults_of_pool("orders", freed, self.orders_met)
        for slot in freed:
            if self.orders["leaves"][slot] != 0:
                yield f"order slot {slot} is freed, and has {self.orders['leaves'][slot]} open"
        counted, resting = self.counts["open_orders"], len(self.orders_met)
        if counted != resting:
            yield f"the book counts {counted} open orders, but {resting} rest"

    def faults_of_level_pool(self) -> Iterator[str]:
        """Yield which levels are lost or in two places."""
        freed = self.chain(self.levels["first"], "levels")
        yield from self.faults_of_pool("levels", freed, self.levels_met)

    def faults_of_node_pool(self) -> Iterator[str]:
        """Yield which nodes are lost or in two places; those not in use have no child."""
        freed = self.chain(self.nodes["parent"], "nodes")
        yield from self.faults_of_pool("nodes", freed, self.nodes_met)
        if len(self.children) != len(self.nodes["parent"]):
            yield f"{len(self.nodes['parent'])} nodes, but {len(self.children)} rows of children"
        never_used = range(self.counts["nodes_used"], len(self.children))
        for node in (*freed, *never_used):
            if any(child != NO_SLOT for child in self.children[node]):
                yield f"node {node} is not in use, and has children"

    def chain(self, links: list[int], pool: str) -> list[int]:
        """Return a pool's chain of freed slots, up to where it leaves the pool or repeats."""
        freed: list[int] = []
        met: set[int] = set()
        slot = self.counts[f"{pool}_free"]
        while slot != NO_SLOT and slot not in met and 0 <= slot < len(links):
            freed.append(slot)
            met.add(slot)
            slot = links[slot]
        if slot != NO_SLOT:
            freed.append(slot)
        return freed

    def faults_of_pool(self, pool: str, freed: list[int], in_use: set[int]) -> Iterator[str]:
        """Yield which slots up to `used` are neither in use nor freed, or both, or freed twice."""
        used, capacity = self.counts[f"{pool}_used"], self.capacities[pool]
        if not 0 <= used <= capacity:
            yield f"pool of {pool}: {used} of {capacity} are called used"
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

    # --- places --------------------------------------------------------------------------------

    def faults_of_places(self) -> Iterator[str]:
        """Yield which orders the table does not find, and what it holds beside them."""
        size = len(self.places["slot"])
        if size & (size - 1) != 0:
            yield f"the table has {size} places, which is no power of two"
            return
        held = [slot for slot in self.places["slot"] if slot != NO_SLOT]
        if 2 * len(held) > size:
            yield f"the table of {size} places is more than half full: {len(held)}"
        if sorted(held) != sorted(self.orders_met):
            astray = brief(sorted(set(held) ^ self.orders_met))
            yield f"the table holds {len(held)} slots, {len(self.orders_met)} rest: {astray}"
        for slot in sorted(self.orders_met):
            order = self.orders["id"][slot]
            found = self.find(order)
            if found != slot:
                yield f"order {order} rests in slot {slot}, but the table finds {found}"

    def find(self, key: int) -> int:
        """Look an id up as the table's kernels do, but stop after one round."""
        size = len(self.places["slot"])
        home = int(home_of(key, size - 1))
        for step in range(size):
            at = (home + step) % size
            if self.places["slot"][at] == NO_SLOT:
                return NO_SLOT
            if self.places["id"][at] == key:
                return int(self.places["slot"][at])
        return NO_SLOT


def columns_of(rows: np.ndarray) -> Columns:
    """Return the fields of structured rows as lists of plain integers."""
    return {name: rows[name].tolist() for name in rows.dtype.names or ()}


def name_of(half: int) -> str:
    """Return what a trader calls this half of a book."""
    return f"{'asks' if half % 2 == Side.SELL else 'bids'} of instrument {half // 2}"


def brief(slots: list[int], told: int = 10) -> str:
    """Return the first few of a list."""
    more = f", and {len(slots) - told} more" if len(slots) > told else ""
    return f"[{', '.join(map(str, slots[:told]))}{more}]"
