"""What traders do: orders of every type and duration, and what becomes of them by their own will."""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec.structs import replace as changed

from exchange.client.answers import Fill, Order
from exchange.client.tickets import Instrument, OrderTicket
from exchange.simulation.callers import Caller
from exchange.simulation.marketplace import happens
from exchange.simulation.plan import SECOND_NS
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    OrderType,
    SelfTrade,
    Side,
    TimeInForce,
)

LIFETIMES_SECONDS = (30, 600, 7_200)
"""How long an order with a time of its own lives."""

LATEST = 20
"""Of how many of the latest fills a member remembers that it bought something."""

SHUT_NS = 1_200 * SECOND_NS
"""How long a member mostly leaves alone what was not open."""

BURST = 70
"""More orders at once than a member's allowance holds."""


def tradable(member: Caller) -> list[Instrument]:
    """Return the instruments that are listed, as far as the member knows."""
    return [one for one in member.session.instruments.values() if one.listing.state == "listed"]


def chosen(member: Caller, chance: Random) -> Instrument:
    """Return an instrument that one may trade, seldom one that was not open a while ago."""
    known = tradable(member) or [*member.session.instruments.values()]
    return chance.choice(open_ones(member, chance, known))


def open_ones(member: Caller, chance: Random, known: list[Instrument]) -> list[Instrument]:
    """Return those that trade all day and were not found shut lately; seldom, or where none is left, all."""
    since = member.seat.clock() - SHUT_NS
    left = [one for one in known if member.shut.get(one.symbol, 0) <= since and one.listing.mode != "call"]
    return known if not left or happens(chance, 10) else left


def held(member: Caller, chance: Random) -> Instrument | None:
    """Return an instrument of which the member may have free credits, as it was told or has heard."""
    instruments = member.session.instruments
    issued = [one for one in tradable(member) if member.name in one.listing.providers]
    account = member.memory.get("account")
    told = [] if account is None else [name for name, row in account.credits.items() if row.available > 0]
    heard = member.session.blotter.fills.entries[-LATEST:]
    told += [one.instrument for one in heard if isinstance(one, Fill) and one.side is Side.BUY]
    owned = issued + [instruments[name] for name in told if name in instruments]
    return chance.choice(open_ones(member, chance, owned)) if owned else None


def near(chance: Random, one: Instrument, side: Side, steps: int = 3) -> int:
    """Return a price about the list price, in hao: a buyer's seldom above it, a seller's seldom below."""
    list_price = one.listing.list_price
    away = step_of(one) * chance.randint(-1, steps)
    return max(list_price - away if side is Side.BUY else list_price + away, one.tick)


def generous(chance: Random, one: Instrument, side: Side) -> int:
    """Return a price, in hao, at which somebody will surely be found, if anybody is there."""
    far = max(one.listing.list_price // 20 // one.tick, 1) * one.tick
    return one.listing.list_price + (far if side is Side.BUY else -far) + one.tick * chance.randint(0, 1)


def step_of(one: Instrument) -> int:
    """Return a hundredth of the list price, on the tick grid, in hao."""
    return max(one.listing.list_price // 100 // one.tick, 1) * one.tick


def lots(chance: Random) -> int:
    """Return a quantity: mostly small."""
    return chance.choice((1, 2, 3, 5, 8, 13, 20, chance.randint(1, 40)))


def side_and_instrument(member: Caller, chance: Random) -> tuple[Side, Instrument]:
    """Return what to trade: sells of what one may have, buys of anything."""
    if happens(chance, 50):
        owned = held(member, chance)
        if owned is not None:
            return Side.SELL, owned
    return Side.BUY, chosen(member, chance)


def ticket(
    member: Caller,
    chance: Random,
    side: Side,
    one: Instrument,
    price: int,
    last: TimeInForce | None = None,
    quantity: int = 0,
) -> OrderTicket:
    """Write a limit order of some lots; its duration and quantity are drawn unless they are told."""
    if last is None:
        last = chance.choice((TimeInForce.GTC, TimeInForce.GTC, TimeInForce.DAY))
    expires_at = 0
    if last is TimeInForce.GTD:
        expires_at = member.seat.clock() + chance.choice(LIFETIMES_SECONDS) * SECOND_NS
    own = chance.choice((*SelfTrade,)) if happens(chance, 50) else SelfTrade.NONE
    order = OrderTicket(one.symbol, side, quantity or lots(chance), price, time_in_force=last)
    return changed(order, expires_at=expires_at, self_trade=own)


def named(one: OrderTicket) -> str:
    """Return the name of an order's shape."""
    return f"place {one.type.name.lower()} {one.time_in_force.name.lower()}"


# --- orders ------------------------------------------------------------------------------------


def quote(member: Caller, chance: Random) -> str:
    """Quote both sides of one or two instruments."""
    quotes = []
    for _ in range(chance.choice((1, 2))):
        one = held(member, chance) or chosen(member, chance)
        step = step_of(one)
        away = step * chance.randint(1, 3)
        middle = one.listing.list_price + step * chance.randint(-1, 1)
        quotes.append(ticket(member, chance, Side.BUY, one, max(middle - away, one.tick)))
        quotes.append(ticket(member, chance, Side.SELL, one, middle + away))
    member.place(*quotes)
    return "quote"


def limit(member: Caller, chance: Random) -> str:
    """Place limit orders that rest, or trade."""
    last = chance.choice((TimeInForce.GTC, TimeInForce.GTD, TimeInForce.DAY))
    sides = [side_and_instrument(member, chance) for _ in range(chance.choice((1, 2, 3)))]
    orders = [ticket(member, chance, side, one, near(chance, one, side), last) for side, one in sides]
    member.place(*orders)
    return named(orders[0])


def iceberg(member: Caller, chance: Random) -> str:
    """Place an order that shows a part of itself."""
    side, one = side_and_instrument(member, chance)
    quantity = chance.randint(6, 40)
    order = ticket(member, chance, side, one, near(chance, one, side), quantity=quantity)
    member.place(changed(order, display_quantity=chance.randint(1, quantity // 2)))
    return "place iceberg"


def post_only(member: Caller, chance: Random) -> str:
    """Place an order that never trades at once."""
    side, one = side_and_instrument(member, chance)
    order = ticket(member, chance, side, one, near(chance, one, side))
    member.place(changed(order, post_only=True))
    return "place post-only"


def at_once(member: Caller, chance: Random) -> str:
    """Place a limit order that trades at once or never: IOC or FOK."""
    side, one = side_and_instrument(member, chance)
    last = chance.choice((TimeInForce.IOC, TimeInForce.FOK))
    price = near(chance, one, side, 2) if happens(chance, 50) else generous(chance, one, side)
    order = ticket(member, chance, side, one, price, last)
    member.place(order)
    return named(order)


def cross(member: Caller, chance: Random) -> str:
    """Buy or sell at prices at which somebody will surely be found."""
    sides = [side_and_instrument(member, chance) for _ in range(chance.choice((1, 2, 3)))]
    member.place(*(ticket(member, chance, side, one, generous(chance, one, side)) for side, one in sides))
    return "cross"


def meet_own(member: Caller, chance: Random) -> str:
    """Sell and buy the same at one price, under one of the modes against that."""
    one = held(member, chance)
    if one is None:
        return ""
    price = generous(chance, one, Side.SELL)
    mode = chance.choice((*SelfTrade,))
    member.place(
        changed(ticket(member, chance, Side.SELL, one, price), self_trade=chance.choice((*SelfTrade,))),
        changed(ticket(member, chance, Side.BUY, one, price), self_trade=mode),
    )
    return f"meet own {mode.name.lower()}"


def minimum(member: Caller, chance: Random) -> str:
    """Place an order of which so many lots must trade at once."""
    side, one = side_and_instrument(member, chance)
    order = ticket(member, chance, side, one, generous(chance, one, side))
    member.place(changed(order, minimum_quantity=chance.randint(1, order.quantity)))
    return "place minimum quantity"


def market(member: Caller, chance: Random) -> str:
    """Place a market order, of any duration: what is left at once is cancelled, or waits for a call."""
    side, one = side_and_instrument(member, chance)
    worst = chance.choice((0, near(chance, one, side, 0)))
    order = ticket(member, chance, side, one, worst, chance.choice((*TimeInForce,)))
    order = changed(order, type=OrderType.MARKET)
    member.place(order)
    return named(order)


def stop(member: Caller, chance: Random) -> str:
    """Place a stop, a stop-limit or a trailing stop, near enough that it may trigger."""
    side, one = side_and_instrument(member, chance)
    sort = chance.choice((OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP))
    step, towards = step_of(one), 1 if side is Side.BUY else -1
    waits_at = one.listing.list_price + step * chance.randint(-1, 2) * towards
    worst = max(waits_at + step * 3 * towards, one.tick)
    order = ticket(member, chance, side, one, worst, chance.choice((*TimeInForce,)))
    if sort is OrderType.TRAILING_STOP:
        waits_at = chance.choice((0, waits_at))
        order = changed(order, trail=step * chance.randint(1, 2))
    order = changed(order, type=sort, stop_price=waits_at)
    member.place(order)
    return named(order)


def burst(member: Caller, chance: Random) -> str:
    """Place more orders at once than the allowance holds."""
    one = chosen(member, chance)
    price = max(one.listing.list_price - 3 * one.tick, one.tick)
    count = chance.randint(20, BURST)
    member.place(*(ticket(member, chance, Side.BUY, one, price, quantity=1) for _ in range(count)))
    return "burst"


def flood_of_questions(member: Caller, chance: Random) -> str:
    """Ask more at once than the allowance holds."""
    for _ in range(chance.randint(10, 60)):
        member.ask(member.session.status())
    return "flood of questions"


def ahead(member: Caller, chance: Random) -> str:
    """Place an order that bears the time of a clock that is an hour ahead."""
    side, one = side_and_instrument(member, chance)
    member.place(ticket(member, chance, side, one, near(chance, one, side)), ahead_ns=3_600 * SECOND_NS)
    return "place from a clock ahead"


def mistake(member: Caller, chance: Random) -> str:
    """Place an order that is refused, as it is written or as things stand."""
    side, one = side_and_instrument(member, chance)
    price = near(chance, one, side)
    order = ticket(member, chance, side, one, price, TimeInForce.GTC, quantity=4)
    mistakes: tuple[dict[str, Any], ...] = (
        {"price": price + 1},
        {"price": 0},
        {"quantity": 10**6},
        {"expires_at": 1},
        {"post_only": True, "time_in_force": TimeInForce.IOC},
        {"minimum_quantity": 5},
        {"display_quantity": 5},
        {"side": Side.SELL, "quantity": 5_000},
        {"side": Side.BUY, "quantity": 9_000},
        {"type": OrderType.MARKET, "price": 0},
        {"post_only": True, "price": generous(chance, one, side)},
    )
    member.place(changed(order, **chance.choice(mistakes)))
    return "mistake"


# --- what becomes of them ----------------------------------------------------------------------


def open_order(member: Caller, chance: Random, *, any_state: bool = False) -> Order | None:
    """Return one of the member's orders that is open, as far as it was heard, and is not being changed."""
    orders = member.session.blotter.orders
    latest = [*orders.values()][-60:]
    found = [one for one in latest if (any_state or one.is_open) and not member.is_changing(one.id)]
    return chance.choice(found) if found else None


def cancel(member: Caller, chance: Random) -> str:
    """Cancel an order; sometimes one that has ended."""
    order = open_order(member, chance, any_state=happens(chance, 15))
    if order is None:
        return ""
    member.wait(member.session.cancel([order.id], member.seat.clock()))
    return "cancel"


def reduce(member: Caller, chance: Random) -> str:
    """Take lots off an order."""
    order = open_order(member, chance)
    if order is None:
        return ""
    member.wait(member.session.reduce(order.id, chance.randint(1, max(order.leaves, 1)), member.seat.clock()))
    return "reduce"


def replace(member: Caller, chance: Random) -> str:
    """Give an order another price, another total, or both."""
    order = open_order(member, chance)
    if order is None or order.instrument not in member.session.instruments:
        return ""
    one = member.session.instruments[order.instrument]
    moved = order.price + one.tick * chance.choice((-4, -1, 0, 1, 4))
    price = moved if order.price and moved > 0 else 0
    total = max(order.quantity + chance.choice((-3, 0, 1, 5)), 1)
    said = member.session.replace(order.id, price, total, 0, member.seat.clock())
    member.wait(said)
    return "replace"


def mass_cancel(member: Caller, chance: Random) -> str:
    """Cancel all orders of an instrument, of a side, or all."""
    number = chance.choice((EVERY, EVERY, chosen(member, chance).index))
    side = chance.choice((BOTH_SIDES, BOTH_SIDES, int(Side.BUY), int(Side.SELL)))
    said = member.session.cancel_every(member.new_id(), number, side, member.seat.clock())
    member.wait(said)
    return "mass cancel"


def cancel_all_after(member: Caller, chance: Random) -> str:
    """Set the dead-man's switch, or take it off."""
    member.ask(member.session.cancel_all_after(chance.choice((0, 5, 60, 600))))
    return "cancel all after"


def same_again(member: Caller, chance: Random) -> str:
    """Send an order again as it was, under its id: lately sent, or long ago."""
    ids = [*member.tickets]
    if not ids:
        return ""
    client_id = chance.choice(ids[-10:] if happens(chance, 60) else ids)
    placed = member.tickets[client_id]
    return "same id again" if member.place_again(client_id, placed.ticket, placed.sent_at) else ""


def other_again(member: Caller, chance: Random) -> str:
    """Send another order under an id that was used: the first one is told again."""
    ids = [*member.tickets]
    if not ids:
        return ""
    client_id = chance.choice(ids)
    side, one = side_and_instrument(member, chance)
    other = ticket(member, chance, side, one, near(chance, one, side))
    return (
        "other content under a used id" if member.place_again(client_id, other, member.seat.clock()) else ""
    )
