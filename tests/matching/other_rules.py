"""References whose rules are others, a class each: the differential must find out every one of them."""

from __future__ import annotations

from itertools import takewhile

from matching.permissions import Ask
from matching.reference import ReferenceBook, refusal
from matching.reference_faults import fault_of_market
from matching.reference_orders import are_related, goes_past, may_trade, other_side, reaches
from matching.vocabulary import (
    EVERY,
    CommandKind,
    EventKind,
    OrderType,
    RejectReason,
    SelfTrade,
    Side,
    TimeInForce,
)

# --- orders and trades -------------------------------------------------------------------------


class TakersPrice(ReferenceBook):
    """Trades are made at the taker's price."""

    def trade(self, taker, maker):
        for event in super().trade(taker, maker):
            yield event._replace(price=taker.price)


class LeavesForgotten(ReferenceBook):
    """A trade does not say what is left of the maker."""

    def trade(self, taker, maker):
        for event in super().trade(taker, maker):
            yield event._replace(maker_leaves=0)


class IocRests(ReferenceBook):
    """What is left of an IOC limit order rests."""

    def order_from(self, command):
        order = super().order_from(command)
        if order.type == OrderType.LIMIT and order.time_in_force == TimeInForce.IOC:
            order.time_in_force = TimeInForce.GTC
        return order


class MarketRests(ReferenceBook):
    """What is left of a market order rests at its protection price."""

    def order_from(self, command):
        order = super().order_from(command)
        if order.type == OrderType.MARKET and order.time_in_force != TimeInForce.FOK:
            order.type, order.time_in_force = OrderType.LIMIT, TimeInForce.GTC
        return order


class AnyNumberWillDo(ReferenceBook):
    """An order's id may be 0, or negative."""

    def fault_of(self, command):
        reason = super().fault_of(command)
        return RejectReason.NONE if reason == RejectReason.ORDER_NOT_POSITIVE else reason


class NamesAreUsedUp(ReferenceBook):
    """An id may not be used again after its order has left."""

    def __init__(self, markets):
        super().__init__(markets)
        self.used = set()

    def fault_of(self, command):
        reason = super().fault_of(command)
        if reason == RejectReason.NONE and command.order in self.used:
            return RejectReason.DUPLICATE_ORDER
        self.used.add(command.order)
        return reason


class NamesOfParkedAreFree(ReferenceBook):
    """A new order may have the id of one that is parked, which is cancelled for it."""

    def enter(self, command):
        other = self.open.get(command.order)
        if other is not None and other.is_parked:
            yield from self.end(other, EventKind.CANCELLED)
        yield from super().enter(command)


# --- at once, or not at all --------------------------------------------------------------------


class FokFillsInPart(ReferenceBook):
    """FOK trades what it can."""

    def needed(self, order):
        return 0 if order.time_in_force == TimeInForce.FOK else super().needed(order)


class MinimumIgnored(ReferenceBook):
    """A minimum quantity asks for nothing."""

    def needed(self, order):
        return super().needed(order) if order.time_in_force == TimeInForce.FOK else 0


class HiddenNotCounted(ReferenceBook):
    """What an iceberg hides does not count for FOK and minimum quantity."""

    def fillable(self, taker):
        return sum(min(maker.shown, lots) for maker, lots in counted(self, taker))


class OwnCounted(ReferenceBook):
    """The own group's orders count for FOK and minimum quantity."""

    def fillable(self, taker):
        return sum(maker.leaves for maker in reached(self, taker))


class OwnPassedOver(ReferenceBook):
    """The own group's orders do not count, but all behind them do, whatever the mode."""

    def fillable(self, taker):
        makers = reached(self, taker)
        return sum(maker.leaves for maker in makers if may_trade(taker, maker))


class NextSlicesJumpAhead(ReferenceBook):
    """All lots of an iceberg count that stands ahead of an own order at its price."""

    def fillable(self, taker):
        return sum(lots for _, lots in counted(self, taker))


def reached(book, taker):
    """Return the orders within a taker's reach, in priority."""
    opposite = book.orders_of(taker.instrument, other_side(taker.side))
    return list(takewhile(lambda maker: reaches(taker.side, taker.price, maker), opposite))


def counted(book, taker):
    """Yield the orders that a taker may trade with before one bars its way, with all that is open of each."""
    for maker in reached(book, taker):
        if may_trade(taker, maker):
            yield maker, maker.leaves
        elif not goes_past(taker, maker):
            return


class PostOnlyTrades(ReferenceBook):
    """A post-only order trades like others."""

    def would_cross(self, instrument, side, price):
        return False


class PostOnlyTouches(ReferenceBook):
    """A post-only order may stand at the best price of the other half, and trades there."""

    def would_cross(self, instrument, side, price):
        return super().would_cross(instrument, side, price + (1 if side == Side.SELL else -1))


# --- icebergs ----------------------------------------------------------------------------------


class SliceKeepsItsPlace(ReferenceBook):
    """The next slice of an iceberg stands where the last one stood."""

    def show_next_slice(self, iceberg):
        iceberg.shown = min(iceberg.display_quantity, iceberg.leaves)


class SliceToppedUp(ReferenceBook):
    """A slice that has traded in part is topped up."""

    def use_up(self, maker, quantity):
        super().use_up(maker, quantity)
        maker.shown = min(maker.display_quantity or maker.leaves, maker.leaves)


class HiddenLotsShown(ReferenceBook):
    """An iceberg shows all that it has."""

    def rest(self, order):
        order.display_quantity = 0
        super().rest(order)


# --- stops -------------------------------------------------------------------------------------


class NeverAtOnce(ReferenceBook):
    """A stop that the last price has reached already waits for the next trade."""

    def wait(self, order):
        self.park(order)


class LastElectedFirst(ReferenceBook):
    """Who is elected last is triggered first."""

    def elect_order(self, order):
        super().elect_order(order)
        self.elected.rotate(1)


class NewlyElectedFirst(ReferenceBook):
    """Those that a triggered order's trades elect go before those that wait already."""

    def go_through(self, trades):
        waiting = list(self.elected)
        self.elected.clear()
        super().go_through(trades)
        self.elected.extend(waiting)


class SellsElectedFirst(ReferenceBook):
    """Of one trade sell stops are elected before buy stops."""

    def elect(self, instrument, side, last):
        super().elect(instrument, other_side(side), last)


class LastTradeElects(ReferenceBook):
    """Of an order's trades only the last one elects."""

    def go_through(self, trades):
        super().go_through(trades[-1:])


class EachElectsBeforeAnyTrails(ReferenceBook):
    """Trailing stops move when all of an order's trades have elected."""

    moves: list | None = None

    def go_through(self, trades):
        moves: list = []
        self.moves = moves
        super().go_through(trades)
        self.moves = None
        for order, last in moves:
            if order.id in self.open:
                self.trail(order, last)

    def trail(self, order, last):
        if self.moves is None:
            super().trail(order, last)
        else:
            self.moves.append((order, last))


class TriggeredTrades(ReferenceBook):
    """A stop-limit that is post-only trades when it is triggered."""

    def elect_order(self, order):
        super().elect_order(order)
        order.post_only = False


class TriggeredIsNotTold(ReferenceBook):
    """Nothing tells that an order is triggered."""

    def trigger(self):
        return (event for event in super().trigger() if event.kind != EventKind.TRIGGERED)


class ProtectionStays(ReferenceBook):
    """The protection price of a trailing stop does not move."""

    def trail(self, order, last):
        price = order.price
        super().trail(order, last)
        order.price = price


class MovedFirst(ReferenceBook):
    """Trailing stops move the last accepted first."""

    def trailing(self, instrument):
        return super().trailing(instrument)[::-1]


class NoneTrails(ReferenceBook):
    """Trailing stops stay where they are."""

    def trail(self, order, last):
        pass


class CollarIgnored(ReferenceBook):
    """There is no collar: who gives no protection price is refused."""

    def __init__(self, markets):
        super().__init__(market._replace(collar=0) for market in markets)


# --- self-trades -------------------------------------------------------------------------------


class BarredStays(ReferenceBook):
    """Who is cancelled is not told why."""

    def end(self, order, kind, reason=RejectReason.NONE):
        del reason
        return super().end(order, kind)


class MakersModeRules(ReferenceBook):
    """Where two of one group meet, the maker's mode rules."""

    def meet(self, taker, maker):
        takers = taker.self_trade
        taker.self_trade = maker.self_trade
        yield from super().meet(taker, maker)
        taker.self_trade = takers


class BothSparesTheMaker(ReferenceBook):
    """`cancel_both` cancels the taker alone."""

    def meet(self, taker, maker):
        if taker.self_trade == SelfTrade.CANCEL_BOTH:
            taker.self_trade = SelfTrade.CANCEL_TAKER
        return super().meet(taker, maker)


class BothEndsTheTakerFirst(ReferenceBook):
    """`cancel_both` cancels the taker, then the maker."""

    def meet(self, taker, maker):
        events = list(super().meet(taker, maker))
        return reversed(events) if taker.self_trade == SelfTrade.CANCEL_BOTH else iter(events)


class DecrementForgetsTheMaker(ReferenceBook):
    """`decrement` does not tell what the maker has lost."""

    def decrement(self, taker, maker):
        return (event for event in super().decrement(taker, maker) if event.order == taker.id)


class DecrementTellsTheTakerFirst(ReferenceBook):
    """`decrement` tells the taker's loss before the maker's."""

    def decrement(self, taker, maker):
        return reversed(list(super().decrement(taker, maker)))


class DecrementTakesHiddenLots(ReferenceBook):
    """`decrement` takes from an iceberg what it hides, too."""

    def decrement(self, taker, maker):
        maker.shown = maker.leaves
        return super().decrement(taker, maker)


class DecrementKeepsTheTotal(ReferenceBook):
    """`decrement` tells the total that an order had before."""

    def loss(self, order, quantity):
        event = super().loss(order, quantity)
        return event._replace(quantity=event.quantity + quantity) if order.leaves else event


class ModeOverSubsidy(ReferenceBook):
    """A subsidised buy is treated as its taker's mode says, if that bars the trade."""

    def meet(self, taker, maker):
        if not are_related(taker, maker) or taker.self_trade == SelfTrade.NONE:
            yield from super().meet(taker, maker)
            return
        flags = taker.subsidised, maker.subsidised
        taker.subsidised = maker.subsidised = False
        yield from super().meet(taker, maker)
        taker.subsidised, maker.subsidised = flags


# --- changing an order -------------------------------------------------------------------------


class AnyoneCancels(ReferenceBook):
    """Everybody may cancel everybody's orders."""

    def cancel(self, command):
        return super().cancel(command._replace(member=EVERY))


class AnyoneReplaces(ReferenceBook):
    """Everybody may replace everybody's orders."""

    def replace(self, command):
        return super().replace(command._replace(member=EVERY))


class ReducedStandsLast(ReferenceBook):
    """An order that is reduced loses its place."""

    def reduce(self, command):
        yield from super().reduce(command)
        order = self.order_meant(command)
        if order is not None:
            self.leave(order)
            self.stand(order)


class ReducedBelowNothing(ReferenceBook):
    """To reduce by more than is open is refused."""

    def reduce(self, command):
        order = self.order_meant(command)
        if order is not None and command.quantity > order.leaves:
            return iter((refusal(command, RejectReason.QUANTITY_TOO_LARGE),))
        return super().reduce(command)


class ShownLotsLostFirst(ReferenceBook):
    """Who is reduced loses the lots that it shows before those that it hides."""

    def resize(self, order, quantity):
        lost = order.quantity - quantity
        shown = order.shown
        super().resize(order, quantity)
        if 0 < lost < shown:
            order.shown = shown - lost


class NeverKeepsPlace(ReferenceBook):
    """An order that is replaced always loses its place."""

    def keeps_place(self, command, order):
        return False


class KeepsPlaceIfItGrows(ReferenceBook):
    """An order that is replaced at its price keeps its place, even if it grows."""

    def keeps_place(self, command, order):
        return super().keeps_place(command._replace(quantity=0), order)

    def resize(self, order, quantity):
        grown = max(0, quantity - order.quantity)
        super().resize(order, quantity)
        if not order.display_quantity and not order.is_parked:
            order.shown += grown


class KeepsTimeAtItsNewPrice(ReferenceBook):
    """An order that is replaced keeps its time, and takes it to its new price."""

    def replace(self, command):
        order = self.order_meant(command)
        entry = order.entry if order else 0
        yield from super().replace(command)
        if order and self.open.get(order.id) is order:
            queue = self.books[order.instrument].queue_of(order)
            queue.remove(order)
            order.entry = entry
            queue.add(order)


class NewTotalIsOpen(ReferenceBook):
    """A replace tells what shall be open, not the total."""

    def replace(self, command):
        order = self.order_meant(command)
        filled = order.filled if order and command.quantity > 0 else 0
        return super().replace(command._replace(quantity=command.quantity + filled))


class OldPriceForgotten(ReferenceBook):
    """`replaced` does not tell the price before."""

    def replace(self, command):
        return (event._replace(was_price=0) for event in super().replace(command))


class MassCancelTakesAll(ReferenceBook):
    """A mass cancel takes everybody's orders."""

    def mass_cancel(self, command):
        return super().mass_cancel(command._replace(member=EVERY))


class ParkedOutlast(ReferenceBook):
    """Parked orders outlast the trading day, and every mass cancel."""

    def all_orders_of(self, instrument):
        return [order for order in super().all_orders_of(instrument) if not order.is_parked]


# --- time, days and phases ---------------------------------------------------------------------


class NeverExpires(ReferenceBook):
    """GTD orders outlast their time."""

    def expire(self):
        return iter(())


class ExpiresAfterwards(ReferenceBook):
    """GTD orders expire after the command that tells the time."""

    def obey(self, command):
        self.clock = max(self.clock, command.time)
        yield from self.do(command)
        yield from self.trigger()
        yield from self.expire()


class ExpiresAMomentLater(ReferenceBook):
    """A GTD order may still trade at the time at which it ends."""

    def expire(self):
        self.clock -= 1
        yield from super().expire()
        self.clock += 1


class ClockRunsBack(ReferenceBook):
    """The book's clock is what the last command told."""

    def obey(self, command):
        self.clock = command.time
        return super().obey(command)


class NothingEnds(ReferenceBook):
    """DAY orders outlast the day."""

    def end_day(self):
        return iter(())


class ClosingEndsNothing(ReferenceBook):
    """DAY orders outlast the phase `closed`."""

    def end_day(self):
        for instrument in range(len(self.markets)):
            yield from super().end_day_of(instrument)

    def end_day_of(self, instrument):
        return iter(())


class EndsFirstComeFirst(ReferenceBook):
    """DAY orders expire in the order in which they were accepted, whatever their book and price."""

    def end_day(self):
        for order in sorted(self.open.values(), key=lambda order: order.accepted):
            if order.time_in_force == TimeInForce.DAY:
                yield from self.end(order, EventKind.EXPIRED)


class EndsAsksFirst(ReferenceBook):
    """Orders of an instrument end asks before bids."""

    def all_orders_of(self, instrument):
        return sorted(super().all_orders_of(instrument), key=lambda order: (order.is_parked, -order.side))


class EndsParkedFirst(ReferenceBook):
    """Orders of an instrument end parked ones before resting ones."""

    def all_orders_of(self, instrument):
        return sorted(super().all_orders_of(instrument), key=lambda order: not order.is_parked)


class ExpiredIsCancelled(ReferenceBook):
    """The day's end is told as a cancel."""

    def end(self, order, kind, reason=RejectReason.NONE):
        del kind
        return super().end(order, EventKind.CANCELLED, reason)


class ReferenceStays(ReferenceBook):
    """A phase command leaves the reference price as it is."""

    def change_phase(self, command):
        return super().change_phase(command._replace(price=min(0, command.price)))


class HaltRefusesCancels(ReferenceBook):
    """While an instrument does not trade, its orders may not be cancelled."""

    def cancel(self, command):
        order = self.order_meant(command)
        if order is not None and fault_of_market(self.markets[order.instrument], Ask.REPLACE):
            return iter((refusal(command, RejectReason.INSTRUMENT_NOT_OPEN),))
        return super().cancel(command)


class ClockIsNoCommand(ReferenceBook):
    """A command that only tells the time is refused."""

    def do(self, command):
        unknown = command.kind == CommandKind.CLOCK
        return super().do(command._replace(kind=CommandKind.ACT) if unknown else command)


OTHER_RULES = [
    one for one in dict(globals()).values() if isinstance(one, type) and ReferenceBook in one.__bases__
]
"""All classes of this file."""
