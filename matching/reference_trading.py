"""How orders meet in the reference: they enter the book, trade, trigger stops, rest, and leave.

`matching.reference` tells what may be asked; this file tells what happens in the book, whoever asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count, groupby, takewhile

from sortedcontainers import SortedKeyList

from matching.permissions import CALLS
from matching.reference_orders import (
    LIMITED_TYPES,
    Book,
    Clearing,
    Event,
    Market,
    Order,
    are_related,
    collar_at,
    expiry,
    goes_past,
    is_nearer,
    is_reached,
    may_trade,
    other_side,
    phase_told,
    reaches,
    told,
    within_bounds,
)
from matching.vocabulary import (
    EventKind,
    OrderType,
    Phase,
    RejectReason,
    SelfTrade,
    Side,
    TimeInForce,
)


class Trading:
    """The open orders of all instruments, and what happens when one enters the book.

    `markets` tells what the book knows of each instrument. An order is open while it rests in a half
    of its book, or is parked or waits beside it; while it is elected, it stands nowhere. `indicated`
    tells of each instrument in a call what was last told that its auction would find; `decrements`
    counts the pairs that the command has decremented in auctions.
    """

    def __init__(self, markets: Iterable[Market]) -> None:
        """Open a book without orders for each of `markets`."""
        self.markets = list(markets)
        self.books = [Book.empty() for _ in self.markets]
        self.open: dict[int, Order] = {}
        self.dated = SortedKeyList(key=expiry)
        self.elected: deque[Order] = deque()
        self.indicated: dict[int, Clearing] = {}
        self.decrements = 0
        self.clock = 0
        self.accepted = count(1)
        self.entries = count(1)

    # --- how an order enters the book ----------------------------------------------------------

    def arrive(self, order: Order) -> Iterator[Event]:
        """Let an order enter the book: it trades, the rest stands or ends, its trades elect stops.

        One that could not trade as much at once as it must is cancelled before it trades at all. One
        that a collar stops interrupts the trading: a call begins. In a call nothing trades.
        """
        if self.markets[order.instrument].phase in CALLS:
            yield from self.collect(order)
            return
        if self.fillable(order) < self.needed(order):
            yield from self.end(order, EventKind.CANCELLED, RejectReason.NOT_FILLABLE)
            return
        order.minimum_quantity = 0
        order.arrival = next(self.entries)
        trades = []
        for event in self.cross(order):
            yield event
            if event.kind == EventKind.TRADED:
                trades.append(event)
        collar = self.collar_before(order)
        if order.leaves > 0 and order.may_rest:
            self.rest(order)
        elif order.leaves > 0:
            yield from self.end(order, EventKind.CANCELLED, collar)
        if collar != RejectReason.NONE:
            yield self.set_phase(order.instrument, Phase.PRE_OPEN, collar)
        self.go_through(trades)

    def collect(self, order: Order) -> Iterator[Event]:
        """Let an order enter a call: it stands at its limit or waits for the auction, and trades nothing."""
        order.arrival = next(self.entries)
        if order.may_rest and self.needed(order) == 0:
            self.rest(order)
        elif order.type not in LIMITED_TYPES and self.needed(order) == 0:
            self.wait_for_auction(order)
        else:
            yield from self.end(order, EventKind.CANCELLED, RejectReason.NOT_FILLABLE)

    def needed(self, order: Order) -> int:
        """Return how many lots an order must trade at once: all, its minimum while it has one, or none."""
        if order.time_in_force == TimeInForce.FOK:
            return order.leaves
        return min(order.minimum_quantity, order.leaves)

    def fillable(self, taker: Order) -> int:
        """Return the lots that stand within a taker's reach, hidden ones too, up to whoever bars its way.

        The levels before that one are counted in full. Of its own level only the slices shown ahead of
        it count: the next slices of those icebergs would stand behind it. A collar ends its reach.
        """
        opposite = self.books[taker.instrument].half(other_side(taker.side))
        market = self.markets[taker.instrument]
        reached = takewhile(
            lambda maker: reaches(taker.side, taker.price, maker) and not collar_at(maker.price, market),
            opposite,
        )
        lots = 0
        for _, level in groupby(reached, key=lambda maker: maker.price):
            shown, leaves = 0, 0
            for maker in level:
                if may_trade(taker, maker):
                    shown += maker.shown
                    leaves += maker.leaves
                elif not goes_past(taker, maker):
                    return lots + shown
            lots += leaves
        return lots

    def would_cross(self, instrument: int, side: int, price: int) -> bool:
        """Tell whether an order with this price would meet another at once."""
        opposite = self.books[instrument].half(other_side(side))
        return bool(opposite) and reaches(side, price, opposite[0])

    def set_phase(self, instrument: int, phase: Phase, reason: RejectReason = RejectReason.NONE) -> Event:
        """Set an instrument's phase, and return what tells it. A call begins with nothing told."""
        market = self.markets[instrument]
        if market.phase not in CALLS:
            self.indicated.pop(instrument, None)
        self.markets[instrument] = market._replace(phase=phase)
        return phase_told(instrument, self.markets[instrument], reason)

    # --- how orders meet -----------------------------------------------------------------------

    def cross(self, taker: Order) -> Iterator[Event]:
        """Let the taker meet the other half, best price first, first come first served, up to a collar."""
        while (maker := self.next_maker(taker)) and self.collar_before(taker) == RejectReason.NONE:
            yield from self.meet(taker, maker)

    def next_maker(self, taker: Order) -> Order | None:
        """Return whom a taker would meet next within its limit."""
        opposite = self.books[taker.instrument].half(other_side(taker.side))
        if taker.leaves > 0 and opposite and reaches(taker.side, taker.price, opposite[0]):
            return opposite[0]
        return None

    def collar_before(self, taker: Order) -> RejectReason:
        """Return which collar bars the trade that a taker would make next, or NONE.

        The last price is the one before it entered the book: its own trades are gone through later.
        """
        maker = self.next_maker(taker)
        if maker is None:
            return RejectReason.NONE
        return collar_at(maker.price, self.markets[taker.instrument])

    def meet(self, taker: Order, maker: Order) -> Iterator[Event]:
        """Let two orders trade, or do what stands in the place of a trade that may not be.

        A subsidised buy never trades with a sell of its own group: the buy is cancelled, whoever came
        first. Else the taker's self-trade mode rules over the orders of one group.
        """
        if may_trade(taker, maker):
            yield from self.trade(taker, maker)
        elif are_related(taker, maker):
            yield from self.end_related(taker, maker)
        elif taker.self_trade == SelfTrade.DECREMENT:
            yield from self.decrement(taker, maker)
        else:
            yield from self.end_own(taker, maker, taker.self_trade)

    def end_related(self, taker: Order, maker: Order) -> Iterator[Event]:
        """Cancel the subsidised buy of two orders of one group."""
        buy = taker if taker.side == Side.BUY else maker
        yield from self.end(buy, EventKind.CANCELLED, RejectReason.RELATED_PARTY)

    def end_own(self, taker: Order, maker: Order, mode: int) -> Iterator[Event]:
        """Cancel the maker, the taker or both, as the mode says."""
        if mode in (SelfTrade.CANCEL_MAKER, SelfTrade.CANCEL_BOTH):
            yield from self.end(maker, EventKind.CANCELLED, RejectReason.SELF_TRADE)
        if mode in (SelfTrade.CANCEL_TAKER, SelfTrade.CANCEL_BOTH):
            yield from self.end(taker, EventKind.CANCELLED, RejectReason.SELF_TRADE)

    def trade(self, taker: Order, maker: Order) -> Iterator[Event]:
        """Trade what the taker has and the maker shows, at the maker's price."""
        quantity = min(taker.leaves, maker.shown)
        taker.leaves -= quantity
        self.use_up(maker, quantity)
        yield told(taker, EventKind.TRADED, quantity)._replace(
            maker_order=maker.id, maker_leaves=maker.leaves, price=maker.price
        )

    def decrement(self, taker: Order, maker: Order) -> Iterator[Event]:
        """Take from both what they would have traded, without a trade; the maker's loss is told first."""
        quantity = min(taker.leaves, maker.shown)
        for order in (maker, taker):
            order.quantity -= quantity
        taker.leaves -= quantity
        self.use_up(maker, quantity)
        yield self.loss(maker, quantity)
        yield self.loss(taker, quantity)

    def loss(self, order: Order, quantity: int) -> Event:
        """Return that an order has lost lots to a self-trade: a part of it, or the last that it had."""
        if order.leaves == 0:
            return told(order, EventKind.CANCELLED, quantity, RejectReason.SELF_TRADE)
        return told(order, EventKind.REDUCED, order.quantity, RejectReason.SELF_TRADE)

    def use_up(self, maker: Order, quantity: int) -> None:
        """Take lots off the slice that a maker shows; a slice used up makes room for the next."""
        maker.leaves -= quantity
        maker.shown -= quantity
        if maker.leaves == 0:
            self.leave(maker)
        elif maker.shown == 0:
            self.show_next_slice(maker)

    def show_next_slice(self, iceberg: Order) -> None:
        """Show the next slice of an iceberg, at the back of the queue at its price."""
        self.leave(iceberg)
        self.rest(iceberg)

    # --- stops ---------------------------------------------------------------------------------

    def go_through(self, trades: Iterable[Event]) -> None:
        """Go through an order's trades as they happened."""
        for trade in trades:
            self.note_price(trade.instrument, trade.price)

    def note_price(self, instrument: int, price: int) -> None:
        """Take a price for the last: it elects stops and moves others.

        Buys are elected first, then sells; then the trailing stops that are left move.
        """
        self.markets[instrument] = self.markets[instrument]._replace(last=price)
        for side in (Side.BUY, Side.SELL):
            self.elect(instrument, side, price)
        for order in self.trailing(instrument):
            self.trail(order, price)

    def elect(self, instrument: int, side: int, last: int) -> None:
        """Elect the parked orders of one side that the last price has reached, in their priority."""
        parked = self.books[instrument].parked(side)
        while parked and is_reached(parked[0], last):
            self.elect_order(parked[0])

    def elect_order(self, order: Order) -> None:
        """Let a stop wait to be triggered, behind all that wait already."""
        self.leave(order)
        self.elected.append(order)

    def trailing(self, instrument: int) -> list[Order]:
        """Return the trailing stops that are parked, the first accepted first."""
        parked = (*self.books[instrument].parked_buys, *self.books[instrument].parked_sells)
        return sorted(
            (order for order in parked if order.type == OrderType.TRAILING_STOP),
            key=lambda order: order.accepted,
        )

    def trail(self, order: Order, last: int) -> None:
        """Move a trailing stop and its protection price after the last price, never away from it.

        One that moves stands last at its new stop price.
        """
        stop_price = last - order.trail if order.side == Side.SELL else last + order.trail
        if is_nearer(order, stop_price):
            self.leave(order)
            tick = self.markets[order.instrument].tick
            order.price = within_bounds(order.price + stop_price - order.stop_price, tick)
            order.stop_price = stop_price
            self.park(order)

    def trigger(self) -> Iterator[Event]:
        """Let the elected enter the book, first elected first, until no trade elects another."""
        while self.elected:
            yield from self.trigger_next(self.arrive)

    def trigger_next(self, enter: Callable[[Order], Iterator[Event]]) -> Iterator[Event]:
        """Trigger the first of the elected, and let it `enter`: arrive in the book, or join a call."""
        order = self.elected.popleft()
        order.is_parked = False
        yield told(order, EventKind.TRIGGERED, order.quantity)
        if order.post_only and self.would_cross(order.instrument, order.side, order.price):
            yield from self.end(order, EventKind.CANCELLED, RejectReason.POST_ONLY_WOULD_CROSS)
        else:
            yield from enter(order)

    # --- how orders come and go ----------------------------------------------------------------

    def wait(self, order: Order) -> None:
        """Park a stop until it is triggered, which may be now: the last price may have reached it.

        In a call it stays parked until the auction.
        """
        market = self.markets[order.instrument]
        if market.phase not in CALLS and market.last != 0 and is_reached(order, market.last):
            self.elect_order(order)
        else:
            self.park(order)

    def park(self, order: Order) -> None:
        """Let a stop stand outside of the book, behind those at its stop price. Nothing of it is shown."""
        order.is_parked = True
        self.stand(order)

    def rest(self, order: Order) -> None:
        """Let an order stand in its half, behind those at its price; an iceberg shows one slice."""
        order.shown = min(order.display_quantity or order.leaves, order.leaves)
        self.stand(order)

    def wait_for_auction(self, order: Order) -> None:
        """Let an order without a limit wait for the auction, behind those at its protection price, unseen."""
        order.is_waiting = True
        self.stand(order)

    def stand(self, order: Order) -> None:
        """Let an order be open, with the last place in its queue."""
        order.entry = next(self.entries)
        self.books[order.instrument].queue_of(order).add(order)
        self.open[order.id] = order
        if order.time_in_force == TimeInForce.GTD:
            self.dated.add(order)

    def leave(self, order: Order) -> None:
        """Take an order, open or just arrived, out of wherever it stands."""
        if self.open.get(order.id) is order:
            self.books[order.instrument].queue_of(order).remove(order)
            del self.open[order.id]
            if order.time_in_force == TimeInForce.GTD:
                self.dated.remove(order)

    def resize(self, order: Order, quantity: int) -> None:
        """Give an order a new total. What is filled stays; hidden lots are lost first."""
        order.leaves = quantity - order.filled
        order.quantity = quantity
        order.shown = min(order.shown, order.leaves)

    def end(self, order: Order, kind: EventKind, reason: RejectReason = RejectReason.NONE) -> Iterator[Event]:
        """End an order that is still open, and tell how much of it was: CANCELLED or EXPIRED."""
        quantity = order.leaves
        self.leave(order)
        order.leaves = 0
        yield told(order, kind, quantity, reason)

    def expire(self) -> Iterator[Event]:
        """End every GTD order whose time has come: the earliest first, then the first accepted."""
        while self.dated and self.dated[0].expires_at <= self.clock:
            yield from self.end(self.dated[0], EventKind.EXPIRED)
