"""What must be true of calls and auctions: who waits, in which order, and what the auction would find.

    waiting   only where nothing trades and orders may stand; at the level of their protection price; each
              instrument's list of both sides is linked both ways, and is its waiting orders, first come
              first
    entries   who took his place in a call has a number of his own, that the book has given; in each queue
              these numbers rise, but for icebergs, whose next slices stand last
    told      the indicative price, volume and surplus are what the auction would find, and nothing where
              there is no call; demand and supply are as they are remembered at the price of the cut; nothing
              is touched between two commands; calls are counted

Where the open orders stand is told by `matching.invariants`, which has walked all halves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from matching.auction import clearing
from matching.invariants_of_extras import Standing, brief, faults_of_list, rows_of
from matching.layout import HALVES, PARKED, WAITING, Book
from matching.permissions import CALLS
from matching.vocabulary import Phase, Side

_MAY_WAIT = (*CALLS, Phase.HALTED)
"""The phases in which market orders may wait: all others trade with them, or end them."""


class InspectionOfAuctions:
    """One look over the waiting orders, the places taken in calls, and what is told of auctions."""

    def __init__(self, book: Book, stands: dict[int, Standing]) -> None:
        """Read the book's rows; nothing is changed. `stands` tells of each slot with an open order."""
        self.book = book
        self.orders = rows_of(book.orders)
        extras = rows_of(book.extras)
        self.levels = rows_of(book.levels)
        self.markets = rows_of(book.markets)
        self.counts = rows_of(book.counts)[0]
        self.stands = stands
        self.extra_of = {
            slot: extras[self.orders[slot].extra]
            for slot in stands
            if 0 <= self.orders[slot].extra < len(extras)
        }

    def faults(self) -> Iterator[str]:
        """Yield all faults, those of the waiting orders first."""
        for instrument in range(len(self.markets)):
            for fault in self.faults_of_waiting(instrument):
                yield f"waiting orders of instrument {instrument}: {fault}"
        yield from self.faults_of_entries()
        for instrument in range(len(self.markets)):
            for fault in self.faults_of_told(instrument):
                yield f"instrument {instrument} {fault}"
        calls = sum(market.phase in CALLS for market in self.markets)
        if self.counts.calls != calls:
            yield f"the book counts {self.counts.calls} instruments in a call, but {calls} are"

    # --- who waits -----------------------------------------------------------------------------

    def faults_of_waiting(self, instrument: int) -> Iterator[str]:
        """Yield what is wrong with the list of one instrument's waiting orders, and with each of them."""
        market = self.markets[instrument]
        due = [slot for slot in self.stands if self.is_waiting(slot, instrument)]
        if due and market.phase not in _MAY_WAIT:
            yield f"slots {brief(due)} wait in phase {market.phase}"
        for slot in due:
            price = self.levels[self.stands[slot].level].price
            said = self.extra_of[slot].price
            if said != price:
                yield f"slot {slot} waits at {price}, and its protection price is {said}"
        ends = (market.waiting_first, market.waiting_last)
        met = yield from faults_of_list(self.extra_of, due, *ends, "and does not wait")
        if met != sorted(met, key=lambda slot: self.orders[slot].entry):
            yield f"slots {brief(met)} do not stand in the order in which they began to wait"

    def is_waiting(self, slot: int, instrument: int) -> bool:
        """Tell whether in `slot` an order of this instrument waits, and has what all that wait have."""
        here, kind = divmod(self.stands[slot].half, HALVES)
        return here == instrument and kind >= WAITING and slot in self.extra_of

    # --- places taken in calls -----------------------------------------------------------------

    def faults_of_entries(self) -> Iterator[str]:
        """Yield whose number, taken with a place in a call, is not his own, or not in turn."""
        given: list[int] = []
        placed: dict[int, list[int]] = {}
        for slot, (half, level) in self.stands.items():
            order, kind = self.orders[slot], half % HALVES
            if PARKED <= kind < WAITING:
                continue
            if order.entry > self.counts.entries or (order.entry == 0 and kind >= WAITING):
                yield f"order {order.id} in slot {slot} has entry {order.entry} of {self.counts.entries}"
            if order.entry != 0:
                given.append(order.entry)
            is_iceberg = slot in self.extra_of and self.extra_of[slot].display != 0
            if order.entry != 0 and not is_iceberg:
                placed.setdefault(level, []).append(order.entry)
        for level, entries in placed.items():
            if entries != sorted(entries):
                yield f"at level {level} entries {brief(entries)} do not rise"
        for entry, times in Counter(given).items():
            if times > 1:
                yield f"{times} orders have entry {entry}"

    # --- what is told --------------------------------------------------------------------------

    def faults_of_told(self, instrument: int) -> Iterator[str]:
        """Yield what was told of an instrument's auction, if it is not what the auction would find now."""
        market = self.markets[instrument]
        told = (market.indicative_price, market.indicative_volume, market.indicative_surplus)
        found = (0, 0, 0)
        if market.phase in CALLS:
            price, volume, surplus = clearing(self.book, instrument)
            found = (int(price), int(volume), int(surplus))
        if told != found:
            yield f"was told to clear at (price, volume, surplus) {told}, but would at {found}"
        cut = (market.cut_demand, market.cut_supply)
        is_cut = market.phase in CALLS and market.cut_price != 0
        true = tuple(self.lots_at(instrument, side, market.cut_price) for side in Side) if is_cut else (0, 0)
        if cut != true:
            yield f"remembers (demand, supply) {cut} at {market.cut_price}, but they are {true}"
        if market.touched != 0:
            yield "is still touched, after the command that touched it"

    def lots_at(self, instrument: int, side: int, price: int) -> int:
        """Return how many lots of a side, hidden ones too, would trade at a price."""
        lots = 0
        for slot, (half, level) in self.stands.items():
            order, limit = self.orders[slot], self.levels[level].price
            if half not in (HALVES * instrument + side, HALVES * instrument + WAITING + side):
                continue
            if limit >= price if side == Side.BUY else limit <= price:
                lots += order.leaves + (self.extra_of[slot].hidden if slot in self.extra_of else 0)
        return lots
