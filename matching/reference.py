"""The rules of the market in plain Python: what the kernels must equal, event by event.

Read this file to learn what may be asked of the book and what comes of it; then
`matching.reference_trading` (how orders meet, and what triggers stops), `matching.reference_auction`
(how a call is uncrossed), `matching.reference_faults` (what is refused) and `matching.reference_orders`
(what an order is, and who goes first). How it is done fast stands in `matching.batch`. Nothing here is
clever: a half of a book is one sorted list of orders, best first; every deed yields the events that it
causes. A new order type, instruction or phase is first told here.

>>> from matching.vocabulary import EventKind, Side
>>> book = ReferenceBook([Market(tick=1)])
>>> ask = Command(order=1, price=101, quantity=3, instrument=0, member=7, group=7, side=Side.SELL)
>>> bid = Command(order=2, price=102, quantity=4, instrument=0, member=8, group=8, side=Side.BUY)
>>> [EventKind(event.kind).name for event in book.apply(ask) + book.apply(bid)]
['ACCEPTED', 'ACCEPTED', 'TRADED']
>>> book.depth_of(0, Side.BUY)
[(102, 1, 1)]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby

from matching.permissions import Ask
from matching.reference_auction import Auctions
from matching.reference_faults import (
    fault_as_written,
    fault_of_display,
    fault_of_market,
    fault_of_mass_cancel,
    fault_of_notional,
    fault_of_phase,
    fault_of_reduction,
    fault_of_replacement,
)
from matching.reference_orders import (
    OWNER,
    PHASE_REASONS,
    STOP_TYPES,
    Book,
    Command,
    Event,
    Market,
    Order,
    ask_of,
    commands_from,
    events_from,
    price_of,
    refusal,
    slices_of,
    stop_price_of,
    told,
    with_used_fields,
)
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    SLICES_OPEN_MAX,
    CommandKind,
    EventKind,
    OrderType,
    Phase,
    RejectReason,
    TimeInForce,
)

__all__ = [
    "OWNER",
    "Book",
    "Command",
    "Event",
    "Market",
    "Order",
    "ReferenceBook",
    "commands_from",
    "events_from",
    "refusal",
]


class ReferenceBook(Auctions):
    """The open orders of all instruments, and everything that may be asked about them."""

    # --- what may be asked ---------------------------------------------------------------------

    def apply(self, command: Command, row: int = 0) -> list[Event]:
        """Do what `command` asks and return what happened, in order; each event tells `row`."""
        return [event._replace(command=row) for event in self.obey(command)]

    def apply_all(self, commands: Iterable[Command]) -> list[Event]:
        """Do what a batch of commands asks, one after the other, and return what happened."""
        return [event for row, command in enumerate(commands) for event in self.apply(command, row)]

    def obey(self, command: Command) -> Iterator[Event]:
        """Do one command: first what its time brings, then what it asks, then what that triggers.

        At last it is told what the auctions would find now of the instruments that it has touched.
        """
        self.clock = max(self.clock, command.time)
        self.decrements = 0
        touched: list[int] = []
        for event in chain(self.expire(), self.do(command), self.trigger()):
            yield event
            if event.kind != EventKind.REJECTED and event.instrument not in touched:
                touched.append(event.instrument)
        yield from self.indicate(touched)

    def do(self, command: Command) -> Iterator[Event]:
        """Do what a command asks. Each sort of command has its method."""
        match command.kind:
            case CommandKind.NEW:
                return self.enter(command)
            case CommandKind.CANCEL:
                return self.cancel(command)
            case CommandKind.REDUCE:
                return self.reduce(command)
            case CommandKind.REPLACE:
                return self.replace(command)
            case CommandKind.MASS_CANCEL:
                return self.mass_cancel(command)
            case CommandKind.PHASE:
                return self.change_phase(command)
            case CommandKind.CLOCK:
                return iter(())
            case CommandKind.END_DAY:
                return self.end_day()
            case _:
                return iter((refusal(command, RejectReason.UNKNOWN_KIND),))

    def enter(self, command: Command) -> Iterator[Event]:
        """Take a new order: refuse it, or accept it, and park it or let it enter the book."""
        reason = self.fault_of(command)
        if reason != RejectReason.NONE:
            yield self.refused(command, reason, command.instrument)
            return
        order = self.order_from(command)
        yield told(order, EventKind.ACCEPTED, order.quantity)
        if order.type in STOP_TYPES:
            self.wait(order)
        else:
            yield from self.arrive(order)

    def cancel(self, command: Command) -> Iterator[Event]:
        """Take an order back: what is open of it is cancelled."""
        order = self.order_meant(command)
        if order is None:
            yield refusal(command, RejectReason.UNKNOWN_ORDER)
            return
        reason = fault_of_market(self.markets[order.instrument], Ask.CANCEL)
        if reason != RejectReason.NONE:
            yield self.refused(command, reason, order.instrument)
        else:
            yield from self.end(order, EventKind.CANCELLED)

    def reduce(self, command: Command) -> Iterator[Event]:
        """Take lots off what is open of an order, which keeps its place. All or more is a cancel."""
        order = self.order_meant(command)
        if order is None:
            yield refusal(command, RejectReason.UNKNOWN_ORDER)
            return
        reason = fault_of_reduction(command, self.markets[order.instrument])
        if reason != RejectReason.NONE:
            yield self.refused(command, reason, order.instrument)
        elif command.quantity >= order.leaves:
            yield from self.end(order, EventKind.CANCELLED)
        else:
            self.resize(order, order.quantity - command.quantity)
            yield told(order, EventKind.REDUCED, order.quantity)

    def replace(self, command: Command) -> Iterator[Event]:
        """Give an order a new price, total or stop price. It keeps its place, or enters the book again."""
        order = self.order_meant(command)
        if order is None:
            yield refusal(command, RejectReason.UNKNOWN_ORDER)
            return
        reason = fault_of_replacement(command, order, self.markets[order.instrument])
        if reason == RejectReason.NONE and command.quantity <= order.filled:
            yield from self.end(order, EventKind.CANCELLED)
            return
        reason = reason or self.fault_of_replaced(command, order)
        if reason != RejectReason.NONE:
            yield self.refused(command, reason, order.instrument)
            return
        was_price = order.price
        keeps_place = self.keeps_place(command, order)
        if not keeps_place:
            self.leave(order)
        order.price = command.price or order.price
        if order.is_parked:
            order.stop_price = command.stop_price or order.stop_price
        self.resize(order, command.quantity)
        order.slices = slices_of(order.display_quantity, order.quantity)
        yield told(order, EventKind.REPLACED, order.quantity)._replace(was_price=was_price)
        if keeps_place:
            return
        if order.is_parked:
            self.wait(order)
        else:
            yield from self.arrive(order)

    def keeps_place(self, command: Command, order: Order) -> bool:
        """Tell whether an order keeps its place when it is replaced as `command` says.

        A parked one does at the same stop price; another at the same price, if it does not grow.
        """
        if order.is_parked:
            return command.stop_price in (0, order.stop_price)
        return command.price in (0, order.price) and command.quantity <= order.quantity

    def mass_cancel(self, command: Command) -> Iterator[Event]:
        """Cancel the open orders of a member, of an instrument, of a side; or of all of them."""
        reason = fault_of_mass_cancel(command, self.markets)
        if reason != RejectReason.NONE:
            yield self.refused(command, reason, command.instrument)
            return
        for instrument in self.instruments_meant(command):
            if fault_of_market(self.markets[instrument], Ask.CANCEL) != RejectReason.NONE:
                continue
            for order in self.all_orders_of(instrument):
                is_members = command.member in (EVERY, order.member)
                if is_members and command.side in (BOTH_SIDES, order.side):
                    yield from self.end(order, EventKind.CANCELLED)

    def end_day(self) -> Iterator[Event]:
        """End the trading day: whoever lasts no longer expires, in the order of a mass cancel."""
        for instrument in range(len(self.markets)):
            yield from self.end_day_of(instrument)

    def end_day_of(self, instrument: int) -> Iterator[Event]:
        """Let one instrument's DAY orders expire, and those that wait for an auction."""
        for order in self.all_orders_of(instrument):
            if order.time_in_force == TimeInForce.DAY or order.is_waiting:
                yield from self.end(order, EventKind.EXPIRED)

    def change_phase(self, command: Command) -> Iterator[Event]:
        """Set the phase of an instrument or of all, and the reference price if one is given.

        Entering `closed` ends the day for it; entering `auction` or `continuous` uncrosses its book.
        """
        reason = fault_of_phase(command, self.markets)
        if reason != RejectReason.NONE:
            yield refusal(command, reason)
            return
        for instrument in self.instruments_meant(command):
            market = self.markets[instrument]
            self.markets[instrument] = market._replace(reference=command.price or market.reference)
            yield self.set_phase(instrument, Phase(command.phase))
            if command.phase == Phase.CLOSED:
                yield from self.end_day_of(instrument)
            elif command.phase in (Phase.AUCTION, Phase.CONTINUOUS):
                yield from self.uncross(instrument)

    # --- whom a command means ------------------------------------------------------------------

    def order_meant(self, command: Command) -> Order | None:
        """Return the open order. Nobody learns of another member's orders: they are unknown to him."""
        order = self.open.get(command.order)
        if order is None or command.member not in (OWNER, order.member):
            return None
        return order

    def instruments_meant(self, command: Command) -> list[int]:
        """Return the instrument, or all of them."""
        return list(range(len(self.markets))) if command.instrument == EVERY else [command.instrument]

    def all_orders_of(self, instrument: int) -> list[Order]:
        """Return an instrument's open orders in the order of a mass cancel, each half in its priority.

        Bids, asks, parked buys, parked sells, waiting buys, waiting sells.
        """
        return [order for queue in self.books[instrument] for order in queue]

    # --- what is refused -----------------------------------------------------------------------

    def refused(self, command: Command, reason: RejectReason, instrument: int) -> Event:
        """Return that a command is refused; where the instrument's phase forbids it, the phase is told."""
        phase = self.markets[instrument].phase if reason in PHASE_REASONS else 0
        return refusal(command, reason, phase)

    def fault_of(self, command: Command) -> RejectReason:
        """Return why a new order is refused, or NONE. Of several reasons the first is told."""
        reason = fault_as_written(command, self.markets, self.clock)
        if reason != RejectReason.NONE:
            return reason
        reason = fault_of_market(self.markets[command.instrument], ask_of(command))
        if reason != RejectReason.NONE:
            return reason
        if command.order <= 0:
            return RejectReason.ORDER_NOT_POSITIVE
        if command.order in self.open:
            return RejectReason.DUPLICATE_ORDER
        is_posted = command.post_only and command.type == OrderType.LIMIT
        if is_posted and self.would_cross(command.instrument, command.side, command.price):
            return RejectReason.POST_ONLY_WOULD_CROSS
        if with_used_fields(command).display_quantity and self.slices_open() > SLICES_OPEN_MAX:
            return RejectReason.BOOK_FULL
        return RejectReason.NONE

    def slices_open(self) -> int:
        """Return into how many slices all open icebergs may fall."""
        return sum(order.slices for order in self.open.values())

    def fault_of_replaced(self, command: Command, order: Order) -> RejectReason:
        """Return why the order that `command` would make of `order` is refused, or NONE."""
        price = command.price or order.price
        reason = fault_of_notional(price, command.quantity) or fault_of_display(
            order.display_quantity, command.quantity
        )
        if reason != RejectReason.NONE:
            return reason
        is_posted_anew = order.post_only and not order.is_parked and price != order.price
        if is_posted_anew and self.would_cross(order.instrument, order.side, price):
            return RejectReason.POST_ONLY_WOULD_CROSS
        grows = slices_of(order.display_quantity, command.quantity) > order.slices
        if grows and self.slices_open() > SLICES_OPEN_MAX:
            return RejectReason.BOOK_FULL
        return RejectReason.NONE

    # --- what is taken -------------------------------------------------------------------------

    def order_from(self, command: Command) -> Order:
        """Return the order that a sound command asks for, accepted behind all others."""
        command = with_used_fields(command)
        market = self.markets[command.instrument]
        return Order(
            id=command.order,
            price=price_of(command, market),
            quantity=command.quantity,
            leaves=command.quantity,
            instrument=command.instrument,
            member=command.member,
            group=command.group,
            side=command.side,
            type=command.type,
            time_in_force=command.time_in_force,
            subsidised=command.subsidised != 0,
            post_only=command.post_only != 0,
            self_trade=command.self_trade,
            display_quantity=command.display_quantity,
            minimum_quantity=command.minimum_quantity,
            slices=slices_of(command.display_quantity, command.quantity),
            stop_price=stop_price_of(command, market),
            trail=command.trail,
            expires_at=command.expires_at,
            accepted=next(self.accepted),
        )

    # --- what can be seen ----------------------------------------------------------------------

    def orders_of(self, instrument: int, side: int) -> list[Order]:
        """Return the resting orders of one side, in priority order."""
        return list(self.books[instrument].half(side))

    def parked_of(self, instrument: int, side: int) -> list[Order]:
        """Return the parked orders of one side, in the order in which they would be triggered."""
        return list(self.books[instrument].parked(side))

    def waiting_of(self, instrument: int, side: int) -> list[Order]:
        """Return the orders of one side that wait for an auction, in the order of a mass cancel."""
        return list(self.books[instrument].waiting(side))

    def depth_of(self, instrument: int, side: int) -> list[tuple[int, int, int]]:
        """Return (price in hao, lots shown, orders) of each level of one side, best price first."""
        levels = groupby(self.orders_of(instrument, side), key=lambda order: order.price)
        shown = [(price, [order.shown for order in queue]) for price, queue in levels]
        return [(price, sum(lots), len(lots)) for price, lots in shown]
