"""References whose rules of calls, auctions and collars are others: the differential must find out each."""

from __future__ import annotations

from matching.permissions import CALLS
from matching.reference import ReferenceBook
from matching.reference_auction import Pair, Place
from matching.reference_orders import (
    LIMITED_TYPES,
    NO_CLEARING,
    indicative_told,
    is_beyond,
    may_trade,
    rounded_down,
)
from matching.vocabulary import EVERY, EventKind, OrderType, Phase, RejectReason

# --- what a call takes -------------------------------------------------------------------------


class StopsElectedInCalls(ReferenceBook):
    """A stop that the last price has reached already is triggered in a call too."""

    def wait(self, order):
        market = self.markets[order.instrument]
        self.markets[order.instrument] = market._replace(phase=Phase.CONTINUOUS)
        super().wait(order)
        self.markets[order.instrument] = market


class PostOnlyCrossesInCalls(ReferenceBook):
    """In a call a post-only order may cross the other side: nothing trades there."""

    def would_cross(self, instrument, side, price):
        is_call = self.markets[instrument].phase in CALLS
        return not is_call and super().would_cross(instrument, side, price)


class MassCancelForgetsWaiting(ReferenceBook):
    """Neither a mass cancel nor the day's end finds waiting orders."""

    def all_orders_of(self, instrument):
        return [order for order in super().all_orders_of(instrument) if not order.is_waiting]


class MassCancelFindsWaitingFirst(ReferenceBook):
    """Waiting orders are found before all others."""

    def all_orders_of(self, instrument):
        return sorted(super().all_orders_of(instrument), key=lambda order: not order.is_waiting)


class MassCancelPassesNobody(ReferenceBook):
    """A mass cancel of every instrument cancels where nothing may be taken back, too."""

    def mass_cancel(self, command):
        markets = self.markets
        if command.instrument == EVERY:
            self.markets = [market._replace(phase=Phase.PRE_OPEN) for market in markets]
        events = list(super().mass_cancel(command))
        self.markets = markets
        return iter(events)


# --- who lines up where ------------------------------------------------------------------------


class WaitingLast(ReferenceBook):
    """Waiting market orders line up behind all limit orders."""

    def line(self, instrument, side, price):
        return sorted(super().line(instrument, side, price), key=lambda place: place.order.is_waiting)


class WaitingByPrice(ReferenceBook):
    """Waiting market orders line up by their protection prices."""

    def line(self, instrument, side, price):
        places = super().line(instrument, side, price)
        ranks = {order.id: rank for rank, order in enumerate(self.waiting_of(instrument, side))}
        return sorted(places, key=lambda place: ranks.get(place.order.id, len(ranks)))


class HiddenWithShown(ReferenceBook):
    """An iceberg's hidden lots stand where it shows its slice."""

    def line(self, instrument, side, price):
        seen: set[int] = set()
        places = []
        for place in super().line(instrument, side, price):
            if place.order.id not in seen:
                places.append(Place(place.order, place.order.leaves))
            seen.add(place.order.id)
        return places


class HiddenLast(ReferenceBook):
    """Hidden lots line up behind all that is shown, at whatever price."""

    def line(self, instrument, side, price):
        seen: set[int] = set()
        shown: list[Place] = []
        hidden: list[Place] = []
        for place in super().line(instrument, side, price):
            (hidden if place.order.id in seen else shown).append(place)
            seen.add(place.order.id)
        return shown + hidden


# --- pairs that may not trade ------------------------------------------------------------------


class EarlierPair(Pair):
    """A pair in which the earlier order's mode rules."""

    later, earlier = Pair.earlier, Pair.later


class BuyersPair(Pair):
    """A pair in which the buy's mode rules."""

    later = property(lambda pair: pair.buy)
    earlier = property(lambda pair: pair.sell)


class OthersTradeMeanwhile(ReferenceBook):
    """Pairs that may trade do so before the others are kept apart."""

    def trade_at_one_price(self, instrument):
        price, pairs = self.price_and_pairs(instrument)
        for pair in pairs:
            if may_trade(pair.later, pair.earlier):
                yield self.trade_pair(pair, price)
        yield from super().trade_at_one_price(instrument)


class KeptApartOneByOne(ReferenceBook):
    """The price is found again after each pair that is kept apart."""

    is_first = True

    def keep_apart(self, pair):
        if self.is_first:
            self.is_first = False
            yield from super().keep_apart(pair)

    def price_and_pairs(self, instrument):
        self.is_first = True
        return super().price_and_pairs(instrument)


class PairsDecrementWhatTheyShow(ReferenceBook):
    """In auctions `decrement` takes the lots that are shown before the hidden ones."""

    def decrement_pair(self, pair):
        shown = {order.id: order.shown for order in (pair.buy, pair.sell)}
        lots = min(pair.lots, pair.buy.leaves, pair.sell.leaves)
        yield from super().decrement_pair(pair)
        for order in (pair.buy, pair.sell):
            order.shown = min(order.leaves, max(1, shown[order.id] - lots)) if shown[order.id] else 0


class LaterLosesFirst(ReferenceBook):
    """In auctions the later order's loss is told first."""

    def decrement_pair(self, pair):
        return reversed(list(super().decrement_pair(pair)))


# --- trades and rounds -------------------------------------------------------------------------


class SellsTrade(ReferenceBook):
    """An auction's trades tell the sell as the order."""

    def trade_pair(self, pair, price):
        event = super().trade_pair(pair, price)
        return event._replace(order=event.maker_order, maker_order=event.order)


class PhaseOfTradesUntold(ReferenceBook):
    """An auction's trades do not say that they are."""

    def trade_pair(self, pair, price):
        return super().trade_pair(pair, price)._replace(phase=0)


class SlicesStandAtOnce(ReferenceBook):
    """The next slice is shown as soon as the one before has traded."""

    def trade_pair(self, pair, price):
        event = super().trade_pair(pair, price)
        for order in (pair.buy, pair.sell):
            if not order.is_waiting and order.leaves > 0 and order.shown == 0:
                self.show_next_slice(order)
        return event


class AuctionsElectNothing(ReferenceBook):
    """An auction price triggers no stops."""

    def note_price(self, instrument, price):
        if self.elects:
            super().note_price(instrument, price)

    def uncross(self, instrument):
        self.elects = False
        yield from super().uncross(instrument)
        self.elects = True

    elects = True


class OnlyTradesElect(ReferenceBook):
    """An auction that trades nothing triggers no stops, even those that the last price has reached."""

    def trade_at_one_price(self, instrument):
        self.trades = False
        for event in super().trade_at_one_price(instrument):
            self.trades |= event.kind == EventKind.TRADED
            yield event

    def uncross(self, instrument):
        self.uncrosses = True
        yield from super().uncross(instrument)
        self.uncrosses = False

    def note_price(self, instrument, price):
        if self.trades or not self.uncrosses:
            super().note_price(instrument, price)

    trades = uncrosses = False


class TriggeredMeetTheBook(ReferenceBook):
    """Stops that an auction triggers trade one by one, as in continuous trading."""

    def uncross(self, instrument):
        self.uncrosses = True
        yield from super().uncross(instrument)
        self.uncrosses = False

    def collect(self, order):
        is_call = self.markets[order.instrument].phase in CALLS
        return self.arrive(order) if self.uncrosses and not is_call else super().collect(order)

    uncrosses = False


class TriggeredStandThough(ReferenceBook):
    """A stop-limit that must trade at once stands, when an auction triggers it."""

    def collect(self, order):
        if order.type in LIMITED_TYPES:
            order.minimum_quantity, order.time_in_force = 0, min(order.time_in_force, 0)
        return super().collect(order)


class LeftExpire(ReferenceBook):
    """Who still waits after an auction expires."""

    def uncross(self, instrument):
        for event in super().uncross(instrument):
            is_left = event.kind == EventKind.CANCELLED and not event.reason
            yield event._replace(kind=EventKind.EXPIRED) if is_left else event


class LeftGoByTime(ReferenceBook):
    """Who still waits after an auction is cancelled first come first."""

    def uncross(self, instrument):
        entries = {order.id: order.entry for order in self.open.values()}
        events = list(super().uncross(instrument))
        left = [event for event in events if event.kind == EventKind.CANCELLED and not event.reason]
        yield from events[: len(events) - len(left)]
        yield from sorted(left, key=lambda event: entries.get(event.order, 10**9))


class AuctionWaits(ReferenceBook):
    """The phase `auction` alone does not uncross."""

    def uncross(self, instrument):
        if self.markets[instrument].phase == Phase.AUCTION:
            return iter(())
        return super().uncross(instrument)


# --- collars -----------------------------------------------------------------------------------


class OwnTradesMoveTheCollar(ReferenceBook):
    """The dynamic collar moves with each trade of the order that arrives."""

    def trade(self, taker, maker):
        market = self.markets[taker.instrument]
        yield from super().trade(taker, maker)
        self.markets[taker.instrument] = market._replace(last=maker.price)


class InterruptionHalts(ReferenceBook):
    """A collar halts trading."""

    def set_phase(self, instrument, phase, reason=RejectReason.NONE):
        return super().set_phase(instrument, Phase.HALTED if reason else phase, reason)


class InterruptionIsToldFirst(ReferenceBook):
    """That a collar has interrupted trading is told before the end of who met it."""

    def arrive(self, order):
        events = list(super().arrive(order))
        collars = (RejectReason.STATIC_COLLAR, RejectReason.DYNAMIC_COLLAR)
        yield from sorted(
            events, key=lambda event: -(event.kind == EventKind.PHASE_CHANGED and event.reason in collars)
        )


class StoppedIsNotToldWhy(ReferenceBook):
    """Who is cancelled at a collar is not told why."""

    def end(self, order, kind, reason=RejectReason.NONE):
        is_collar = reason in (RejectReason.STATIC_COLLAR, RejectReason.DYNAMIC_COLLAR)
        return super().end(order, kind, RejectReason.NONE if is_collar else reason)


class StoppedNeverStands(ReferenceBook):
    """What is left of any order that meets a collar is cancelled."""

    def arrive(self, order):
        rests = order.time_in_force
        if self.markets[order.instrument].phase not in CALLS and self.collar_before(order):
            order.time_in_force = 3
        yield from super().arrive(order)
        order.time_in_force = rests


class FillsBeyondCollars(ReferenceBook):
    """FOK and minimum quantities count what lies beyond the collars."""

    def fillable(self, taker):
        market = self.markets[taker.instrument]
        self.markets[taker.instrument] = market._replace(static_collar=0, dynamic_collar=0)
        lots = super().fillable(taker)
        self.markets[taker.instrument] = market
        return lots


# --- what is told ------------------------------------------------------------------------------


class IndicatesAlways(ReferenceBook):
    """An indicative price is told after each command that touched a call, news or not."""

    def indicate(self, touched):
        self.indicated = {}
        return super().indicate(touched)


class IndicatesInTurn(ReferenceBook):
    """Indicative prices are told instrument by instrument."""

    def indicate(self, touched):
        return super().indicate(sorted(touched))


class IndicatesAgain(ReferenceBook):
    """Entering a call from a call begins with nothing told."""

    def set_phase(self, instrument, phase, reason=RejectReason.NONE):
        self.indicated.pop(instrument, None)
        return super().set_phase(instrument, phase, reason)


class RemembersLastCall(ReferenceBook):
    """Entering a call begins with what was told in the last one."""

    def set_phase(self, instrument, phase, reason=RejectReason.NONE):
        told = self.indicated.get(instrument, NO_CLEARING)
        event = super().set_phase(instrument, phase, reason)
        self.indicated[instrument] = told
        return event


class TakesBackWhatWasTold(ReferenceBook):
    """Leaving a call tells that there is no indicative price any more."""

    def indicate(self, touched):
        for instrument in touched:
            is_call = self.markets[instrument].phase in CALLS
            if not is_call and self.indicated.pop(instrument, NO_CLEARING) != NO_CLEARING:
                yield indicative_told(instrument, NO_CLEARING)
        yield from super().indicate(touched)


class SurplusWithItsSign(ReferenceBook):
    """Of a surplus not the size is told, but demand less supply."""

    def indicate(self, touched):
        for event in super().indicate(touched):
            yield event._replace(leaves=-event.leaves if event.side else event.leaves)


# --- other words -------------------------------------------------------------------------------


def least_volume(segments):
    """Find the smallest volume that is any."""
    volumes = [segment.volume for segment in segments if segment.volume > 0]
    return [segment for segment in segments if segment.volume == min(volumes, default=-1)]


def any_surplus(segments):
    """Pass over the rule of the smallest surplus."""
    volume = max(segment.volume for segment in segments)
    return [segment for segment in segments if segment.volume == volume > 0]


def signed_surplus(segments):
    """Take the least demand less supply for the smallest surplus."""
    left = any_surplus(segments)
    surplus = min((segment.surplus for segment in left), default=0)
    return [segment for segment in left if segment.surplus == surplus]


def always_highest(left, reference, tick):
    """Take the highest price that is left."""
    return left[-1].last


def always_lowest(left, reference, tick):
    """Take the lowest price that is left."""
    return left[0].first


def reference_at_once(left, reference, tick):
    """Ask the reference before it is asked who has a surplus."""
    wanted = reference or rounded_down((left[0].first + left[-1].last) // 2, tick)
    return max(left[0].first, min(wanted, left[-1].last))


def middle_at_once(left, reference, tick):
    """Take the middle of what is left, whatever the reference."""
    return reference_at_once(left, 0, tick)


def surplus_of_first(left, reference, tick):
    """Take the lowest price where there is no reference."""
    if any(segment.surplus for segment in left):
        return left[-1].last if left[0].surplus > 0 else left[0].first
    return max(left[0].first, min(reference, left[-1].last))


def never_at_it(price, base, collar):
    """Bar a trade at the collar itself."""
    return base > 0 and collar > 0 and abs(price - base) >= base * collar // 1000


def dynamic_first(price, market):
    """Tell the dynamic collar where both bar a trade."""
    if is_beyond(price, market.last, market.dynamic_collar):
        return RejectReason.DYNAMIC_COLLAR
    is_static = is_beyond(price, market.reference, market.static_collar)
    return RejectReason.STATIC_COLLAR if is_static else RejectReason.NONE


OTHER_AUCTION_RULES = [
    one for one in dict(globals()).values() if isinstance(one, type) and ReferenceBook in one.__bases__
]
"""All changed references of this file."""

OTHER_AUCTION_WORDS = [
    ("best_of", least_volume),
    ("best_of", any_surplus),
    ("best_of", signed_surplus),
    ("price_among", always_highest),
    ("price_among", always_lowest),
    ("price_among", reference_at_once),
    ("price_among", middle_at_once),
    ("price_among", surplus_of_first),
    ("nearest_on_grid", rounded_down),
    ("is_willing", lambda order, price: True),
    ("Pair", EarlierPair),
    ("Pair", BuyersPair),
    ("collar_at", lambda price, market: RejectReason.NONE),
    ("collar_at", dynamic_first),
    (
        "is_beyond",
        lambda price, base, collar: base > 0 < collar and abs(price - base) >= base * collar // 1000,
    ),
    ("forbidden", lambda phase, ask: RejectReason.NOT_IN_PHASE),
    ("forbidden", lambda phase, ask: RejectReason.INSTRUMENT_NOT_OPEN),
    ("ask_of", lambda command: command.type == OrderType.MARKET),
    ("LIMITED_TYPES", (OrderType.LIMIT,)),
]
"""Words of the reference, and what stands there instead."""
