"""What must be true of what only few orders have: hidden lots, a time to expire, a stop's prices.

    extras    each belongs to one open order, and that order to it; it says what its order is; an iceberg
              shows at most its slice, and nobody else hides a lot; what is parked or waits hides nothing
    events    each extra allows as many events as its order may cause, and the book counts their sum
    expiries  a heap, soonest first, of exactly the GTD orders that are open; each knows its row;
              nothing is due before the clock
    trailing  each market's list is linked both ways, and is its parked trailing stops, first come first

Where the open orders stand is told by `matching.invariants`, which has walked all halves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from matching.layout import HALVES, NEVER, PARKED, WAITING, Book
from matching.vocabulary import NO_SLOT, PRICE_MAX, SLICES_MAX, OrderType, TimeInForce

_MAY_REST = (OrderType.LIMIT, OrderType.STOP_LIMIT)
_MAY_PARK = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
_MAY_WAIT = (OrderType.MARKET,)


class Standing(NamedTuple):
    """Where an open order has been met."""

    half: int
    level: int


class InspectionOfExtras:
    """One look over the extras, the heap of expiries and the trailing stops of a whole book."""

    def __init__(self, book: Book, stands: dict[int, Standing]) -> None:
        """Read the book's rows; nothing is changed. `stands` tells of each slot with an open order."""
        self.orders = rows_of(book.orders)
        self.extras = rows_of(book.extras)
        self.expiries = rows_of(book.expiries)
        self.markets = rows_of(book.markets)
        self.counts = rows_of(book.counts)[0]
        self.stands = stands
        used = min(self.counts.extras_used, len(self.extras))
        self.extra_of = {
            slot: self.extras[self.orders[slot].extra]
            for slot in stands
            if 0 <= self.orders[slot].extra < used
        }

    def faults(self) -> Iterator[str]:
        """Yield all faults, those of single orders first."""
        for slot in self.stands:
            for fault in self.faults_of_order(slot):
                yield f"order {self.orders[slot].id} in slot {slot} {fault}"
        yield from self.faults_of_sums()
        yield from self.faults_of_expiries()
        for instrument in range(len(self.markets)):
            for fault in self.faults_of_trailing(instrument):
                yield f"trailing stops of instrument {instrument}: {fault}"

    # --- extras --------------------------------------------------------------------------------

    def faults_of_order(self, slot: int) -> Iterator[str]:
        """Yield what is wrong with what one open order has beyond others, or lacks."""
        order = self.orders[slot]
        if order.extra == NO_SLOT:
            if self.is_beside(slot):
                yield f"{self.where(slot)}, and has no extra"
            if self.is_timed(slot):
                yield "is GTD, and has no extra"
        elif slot not in self.extra_of:
            yield f"has extra {order.extra}, which is outside of the pool"
        elif self.extra_of[slot].slot != slot:
            yield f"has extra {order.extra}, which says that it belongs to slot {self.extra_of[slot].slot}"
        else:
            yield from self.faults_of_extra(slot)
            yield from self.faults_of_lots(slot)

    def faults_of_extra(self, slot: int) -> Iterator[str]:
        """Yield where an extra says something else than its order, or than any order may."""
        order, extra, is_parked = self.orders[slot], self.extra_of[slot], self.is_parked(slot)
        tick = self.markets[self.stands[slot].half // HALVES].tick
        if extra.is_parked != is_parked:
            yield f"{self.where(slot)}, and says is_parked {extra.is_parked}"
        may_stand = _MAY_PARK if is_parked else _MAY_WAIT if self.is_waiting(slot) else _MAY_REST
        if extra.type not in may_stand:
            yield f"{self.where(slot)}, and is of type {extra.type}, which may not"
        if (extra.trail > 0) != (extra.type == OrderType.TRAILING_STOP) or extra.trail < 0:
            yield f"is of type {extra.type}, and trails by {extra.trail}"
        if self.is_beside(slot) and (not 0 < extra.price <= PRICE_MAX or extra.price % tick != 0):
            yield f"would enter the book at {extra.price}, which is no price on a tick of {tick}"
        if not 0 <= extra.arrival < self.counts.arrivals:
            yield f"has arrival {extra.arrival} of {self.counts.arrivals}"
        if not self.is_timed(slot) and (extra.due, extra.expires_at) != (NO_SLOT, 0):
            yield f"is not GTD, and expires at {extra.expires_at} from row {extra.due} of the heap"
        slices = slices_due(order.quantity, extra)
        if extra.slices < slices:
            yield f"may fall into {slices} slices, but only {extra.slices} are counted"

    def faults_of_lots(self, slot: int) -> Iterator[str]:
        """Yield what is wrong with the lots that an order shows and hides."""
        order, extra = self.orders[slot], self.extra_of[slot]
        if extra.hidden < 0 or order.leaves + extra.hidden > order.quantity:
            yield f"hides {extra.hidden} lots and shows {order.leaves} of {order.quantity}"
        if extra.hidden > 0 and self.is_beside(slot):
            yield f"{self.where(slot)}, and hides {extra.hidden} lots"
        if extra.display == 0:
            if extra.hidden > 0:
                yield f"is no iceberg, and hides {extra.hidden} lots"
            return
        if order.leaves > extra.display and not self.is_beside(slot):
            yield f"shows {order.leaves} lots, more than its slice of {extra.display}"
        if order.quantity > SLICES_MAX * extra.display:
            yield f"has {order.quantity} lots in slices of {extra.display}, more than {SLICES_MAX} slices"

    def faults_of_sums(self) -> Iterator[str]:
        """Yield what is wrong with all extras together."""
        slices = sum(extra.slices for extra in self.extra_of.values())
        if self.counts.slices != slices:
            yield f"the book counts {self.counts.slices} slices, but its icebergs' sum to {slices}"
        for arrival, times in Counter(extra.arrival for extra in self.extra_of.values()).items():
            if times > 1:
                yield f"{times} extras have arrival {arrival}"

    # --- expiries ------------------------------------------------------------------------------

    def faults_of_expiries(self) -> Iterator[str]:
        """Yield what is wrong with the heap of expiries, and who is missing in it."""
        if not 0 <= self.counts.expiries <= len(self.expiries):
            yield f"the heap of {len(self.expiries)} expiries is called {self.counts.expiries} long"
            return
        heap = self.expiries[: self.counts.expiries]
        timed = {slot for slot in self.stands if self.is_timed(slot)}
        for at, row in enumerate(heap):
            for fault in self.faults_of_expiry(at, timed):
                yield f"row {at} of the heap of expiries (slot {row.slot}) {fault}"
        for slot in sorted(timed - {row.slot for row in heap}):
            yield f"order {self.orders[slot].id} in slot {slot} is GTD, and not in the heap of expiries"
        soonest = heap[0].expires_at if heap else NEVER
        if self.counts.next_expiry != soonest:
            yield f"the next expiry is called {self.counts.next_expiry}, but it is {soonest}"

    def faults_of_expiry(self, at: int, timed: set[int]) -> Iterator[str]:
        """Yield what is wrong with one row of the heap; `timed` are the slots that may stand there."""
        row = self.expiries[at]
        above = self.expiries[(at - 1) // 2] if at > 0 else row
        if (above.expires_at, above.arrival) > (row.expires_at, row.arrival):
            yield f"expires sooner than row {(at - 1) // 2} above it"
        if row.expires_at <= self.counts.clock:
            yield f"was due at {row.expires_at}, and the clock is at {self.counts.clock}"
        if row.slot not in timed or row.slot not in self.extra_of:
            yield "is of no open GTD order"
            return
        extra = self.extra_of[row.slot]
        if extra.due != at:
            yield f"is of an order that says row {extra.due}"
        if (row.expires_at, row.arrival) != (extra.expires_at, extra.arrival):
            yield (
                f"says {row.expires_at} and arrival {row.arrival}, "
                f"its order {extra.expires_at} and {extra.arrival}"
            )

    # --- trailing stops ------------------------------------------------------------------------

    def faults_of_trailing(self, instrument: int) -> Iterator[str]:
        """Yield what is wrong with the list of one market's trailing stops."""
        due = [slot for slot in self.extra_of if self.is_trailing(slot, instrument)]
        market = self.markets[instrument]
        ends = (market.trail_first, market.trail_last)
        met = yield from faults_of_list(self.extra_of, due, *ends, "and is none")
        if met != sorted(met, key=lambda slot: self.extra_of[slot].arrival):
            yield f"slots {brief(met)} do not stand in the order in which they came"

    def is_trailing(self, slot: int, instrument: int) -> bool:
        """Tell whether in `slot` a trailing stop of this instrument is parked."""
        is_here = self.stands[slot].half // HALVES == instrument and self.is_parked(slot)
        return is_here and self.extra_of[slot].type == OrderType.TRAILING_STOP

    def is_timed(self, slot: int) -> bool:
        """Tell whether an open order expires at a time of its own.

        A market order has no use for its time in force; a stop that was triggered and waits, has.
        """
        if self.orders[slot].time_in_force != TimeInForce.GTD:
            return False
        is_market = self.is_waiting(slot) and slot in self.extra_of and self.extra_of[slot].expires_at == 0
        return not is_market

    def is_parked(self, slot: int) -> bool:
        """Tell whether an open order stands in a half of parked stops."""
        return PARKED <= self.stands[slot].half % HALVES < WAITING

    def is_waiting(self, slot: int) -> bool:
        """Tell whether an open order stands in a half of market orders that wait for an auction."""
        return self.stands[slot].half % HALVES >= WAITING

    def is_beside(self, slot: int) -> bool:
        """Tell whether an open order stands beside the book, parked or waiting."""
        return self.is_parked(slot) or self.is_waiting(slot)

    def where(self, slot: int) -> str:
        """Return in a word where an open order stands."""
        return "is parked" if self.is_parked(slot) else "waits" if self.is_waiting(slot) else "rests"


def slices_due(quantity: int, extra: SimpleNamespace) -> int:
    """Return into how many slices an order of so many lots may fall."""
    return quantity // extra.display + 1 if extra.display > 0 else 0


def rows_of(rows: np.ndarray) -> list[SimpleNamespace]:
    """Return structured rows as plain objects of Python's own integers."""
    names = rows.dtype.names or ()
    return [SimpleNamespace(**dict(zip(names, values, strict=True))) for values in rows.tolist()]


def brief(slots: list[int], told: int = 10) -> str:
    """Return the first few of a list."""
    more = f", and {len(slots) - told} more" if len(slots) > told else ""
    return f"[{', '.join(map(str, slots[:told]))}{more}]"


def faults_of_list(
    extra_of: dict[int, SimpleNamespace], due: list[int], first: int, last: int, otherwise: str
) -> Generator[str, None, list[int]]:
    """Yield what is wrong with a market's list of the `due` slots; return those that were met."""
    met: list[int] = []
    ahead, slot = NO_SLOT, first
    while slot != NO_SLOT:
        if slot not in due:
            yield f"slot {slot} is in their list, {otherwise}"
            return []
        if slot in met:
            yield f"slot {slot} is reached twice"
            return []
        met.append(slot)
        extra = extra_of[slot]
        if extra.trail_ahead != ahead:
            yield f"slot {slot} says {extra.trail_ahead} is ahead, but {ahead} is"
        ahead, slot = slot, extra.trail_behind
    if last != ahead:
        yield f"slot {last} is called the last, but {ahead} is"
    lost = sorted(set(due) - set(met))
    if lost:
        yield f"slots {brief(lost)} are not in their list"
    return met
