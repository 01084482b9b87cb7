"""Flows of a member's orders: placed, changed and cancelled, each answered or failed in time."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from exchange.client.answers import Order, Outcome
from exchange.client.desk import Desk, answer
from exchange.client.doubts import (
    doubt_cancels,
    doubt_mass_cancel,
    doubt_orders,
    doubt_reduction,
    doubt_replacement,
)
from exchange.client.errors import BadInput, ExchangeError, OrderRejected
from exchange.client.flows import TIMEOUT_SECONDS, Flow, Wait, deadline_after, never
from exchange.client.hearing import Change
from exchange.client.money import Amount
from exchange.client.requests import NewOrders
from exchange.client.tickets import OrderTicket, check_quantity, word_of
from exchange.protocol.acts import GUARD_SECONDS_MAX
from exchange.protocol.messages import COMMANDS_PER_MESSAGE_MAX
from matching.vocabulary import BOTH_SIDES, EVERY, Side

MESSAGES_IN_FLIGHT_MAX = 8
"""How many messages of orders one call has awaiting their answers at once: enough to keep the venue busy,
and few enough that neither side ever waits for room to send while the other does."""


def refresh(desk: Desk, timeout: float = TIMEOUT_SECONDS) -> Flow[None]:
    """Learn anew what is listed, and each instrument's phase."""
    session, deadline = desk.session, deadline_after(timeout)
    before = session.logons
    if session.ready:
        session.log_on()
    if not (yield Wait(desk.line, lambda: session.logons > before, deadline)):
        raise desk.line.silence("the logon")


# --- placed ------------------------------------------------------------------------------------


def place(
    desk: Desk, ticket: OrderTicket, client_id: str | None = None, timeout: float = TIMEOUT_SECONDS
) -> Flow[Order]:
    """Place an order and return it as it stands after it met the book: journalled by then.

    `client_id` is 1 to 24 ASCII characters of the caller's choice; without one a random one is
    made. An id that was used before places nothing: the order of that id comes back, `known`.
    Raises `OrderRejected`; `OutcomeUnknown` where no answer came in `timeout` seconds: place it
    again under the same client id, which is always safe; `ConnectionLost` where nothing was
    sent; `BadInput`.
    """
    ids = None if client_id is None else [client_id]
    (outcome,) = yield from place_all(desk, [ticket], ids, timeout)
    if isinstance(outcome, OrderRejected):
        raise outcome
    return outcome


def place_all(
    desk: Desk,
    tickets: Sequence[OrderTicket],
    client_ids: Sequence[str] | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> Flow[list[Outcome]]:
    """Place many orders at once and return, in their order, each one or its refusal.

    They go out in messages of up to 1024, several at a time; `timeout` is the longest wait for
    the next answer. Raises as `place` does, but for `OrderRejected`, which is a value here.
    """
    deadline_after(timeout)
    session = desk.session
    parts = written(desk, tickets, desk.client_ids(len(tickets), client_ids))
    try:
        for at, part in enumerate(parts):
            if at >= MESSAGES_IN_FLIGHT_MAX:
                yield from answered(desk, parts[at - MESSAGES_IN_FLIGHT_MAX], timeout)
            session.place(part)
            if part is not parts[-1]:
                yield Wait(desk.line, never, 0.0)
        for part in parts:
            yield from answered(desk, part, timeout)
        return [outcome for part in parts for outcome in session.outcomes(part) if outcome is not None]
    except ExchangeError as error:
        answers = [outcome for part in parts for outcome in session.outcomes(part)]
        if (doubt := doubt_orders(parts, answers, error)) is not None:
            raise doubt from error
        raise
    finally:
        for part in parts:
            session.drop(part)


def written(desk: Desk, tickets: Sequence[OrderTicket], ids: list[bytes]) -> list[NewOrders]:
    """Return the messages that place `tickets`, all of them checked before the first is said."""
    now, size = desk.times_to_send(len(tickets)), COMMANDS_PER_MESSAGE_MAX
    return [
        desk.session.write_orders(tickets[at : at + size], ids[at : at + size], now + at)
        for at in range(0, len(tickets), size)
    ]


def answered(desk: Desk, said: NewOrders | Change, timeout: float) -> Flow[None]:
    """Wait until all of a message was answered; `timeout` is the longest wait for one answer."""
    while not said.is_done():
        count = len(said.answers)
        is_more = yield Wait(
            desk.line,
            lambda count=count: len(said.answers) > count or said.is_done(),  # type: ignore[misc]
            monotonic() + timeout,
        )
        if not is_more:
            raise desk.line.silence("in full what was sent")


# --- changed -----------------------------------------------------------------------------------


def cancel(desk: Desk, order: Order | int, timeout: float = TIMEOUT_SECONDS) -> Flow[Order]:
    """Cancel what is open of an order, given as itself or by id, and return it as it ended.

    Raises `OrderRejected` (`unknown_order`) if it has ended already, with the order as it ended;
    `OutcomeUnknown` where no answer came: cancelling again is harmless; `ConnectionLost`.
    """
    (outcome,) = yield from cancel_all(desk, [order], timeout)
    if isinstance(outcome, OrderRejected):
        raise outcome
    return outcome


def reduce(desk: Desk, order: Order | int, quantity: int, timeout: float = TIMEOUT_SECONDS) -> Flow[Order]:
    """Take `quantity` lots off what is open of an order, and return it as it is then.

    It keeps its place. All that is open, or more, is a cancel. Raises `OrderRejected` as `cancel`
    does; `OutcomeUnknown` where no answer came: look at its quantity before doing it again.
    """
    deadline_after(timeout)
    check_quantity(quantity)
    order_id = id_of(order)
    said = desk.session.reduce(order_id, quantity, desk.clock())
    try:
        yield from answered(desk, said, timeout)
        if said.lost:
            raise desk.line.silence("the reduction")
    except ExchangeError as error:
        raise doubt_reduction(said, error) or error from error
    finally:
        desk.session.drop(said)
    return as_it_is(desk, said.answers[order_id])


def replace(
    desk: Desk,
    order: Order | int,
    *,
    price: Amount | None = None,
    quantity: int | None = None,
    stop_price: Amount | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> Flow[Order]:
    """Give an order another price, total quantity or stop price, in one act; return it as it is then.

    What is filled counts against the new total: one that is filled already cancels the rest. It keeps
    its place if its price stays and its total does not grow. Raises `OrderRejected`, and then it is as
    it was; `OutcomeUnknown` where no answer came: replacing again by the same comes to the same.
    """
    deadline_after(timeout)
    blotter, order_id = desk.session.blotter, id_of(order)
    if order_id not in blotter.orders:
        yield from orders(desk, timeout)
    known = blotter.order(order_id)
    total = known.quantity if quantity is None else quantity
    check_quantity(total)
    instrument = desk.session.instruments[known.instrument]
    prices = instrument.price(price, "price"), instrument.price(stop_price, "stop_price")
    said = desk.session.replace(known.id, prices[0], total, prices[1], desk.clock())
    try:
        yield from answered(desk, said, timeout)
    except ExchangeError as error:
        raise doubt_replacement(said, error) or error from error
    finally:
        desk.session.drop(said)
    return as_it_is(desk, said.answers[known.id])


def cancel_all(
    desk: Desk,
    orders: Sequence[Order | int] | None = None,
    timeout: float = TIMEOUT_SECONDS,
    *,
    instrument: str | None = None,
    side: Side | str | None = None,
) -> Flow[list[Outcome]]:
    """Cancel many orders at once: those given, as `place_all` places; or, if none are, all open ones.

    All of one's own, that is, from whichever session; of one `instrument` or of one `side` if they
    are named. Returns those that it cancelled.
    """
    deadline_after(timeout)
    if orders is None:
        return (yield from cancel_every(desk, instrument, side, timeout))
    if instrument is not None or side is not None:
        raise BadInput(
            "orders are given, and an instrument or a side as well",
            field="orders",
            remedy="give the orders, or what they have in common",
        )
    ids = [id_of(order) for order in orders]
    outcomes: list[Outcome] = []
    for at in range(0, len(ids), COMMANDS_PER_MESSAGE_MAX):
        said = desk.session.cancel(ids[at : at + COMMANDS_PER_MESSAGE_MAX], desk.clock())
        try:
            yield from answered(desk, said, timeout)
        except ExchangeError as error:
            doubt = doubt_cancels(said, desk.session.outcomes(said), error)
            if doubt is not None:
                raise doubt from error
            raise
        finally:
            desk.session.drop(said)
        outcomes += [outcome for outcome in desk.session.outcomes(said) if outcome is not None]
    return outcomes


def cancel_every(
    desk: Desk, instrument: str | None, side: Side | str | None, timeout: float
) -> Flow[list[Outcome]]:
    """Cancel all open orders, of an instrument or a side if they are named."""
    number = EVERY if instrument is None else desk.session.instruments[instrument].index
    sides = BOTH_SIDES if side is None else word_of(Side, "side", side)
    (client_id,) = desk.client_ids(1, None)
    said = desk.session.cancel_every(client_id, number, sides, desk.clock())
    try:
        if not (yield Wait(desk.line, said.is_done, deadline_after(timeout))):
            raise desk.line.silence("the cancel of all orders")
    except ExchangeError as error:
        raise doubt_mass_cancel(said, error) or error from error
    finally:
        desk.session.drop(said)
    if isinstance(said.answer, OrderRejected):
        raise said.answer
    return [*(said.answer or ())]


def cancel_all_after(desk: Desk, seconds: int, timeout: float = TIMEOUT_SECONDS) -> Flow[int | None]:
    """Have all one's open orders cancelled in so many seconds, unless this is said again; 0: never mind.

    A dead-man's switch: say it every second with 5, and a program that hangs leaves no orders behind. It is
    the member's, not the session's. Returns when it will fire, in ns since 1970, None if it is disarmed.
    Raises `BadInput`, `RequestRefused`, `Timeout`, `ConnectionLost`; saying it again is always safe.
    """
    if type(seconds) is not int or not 0 <= seconds <= GUARD_SECONDS_MAX:
        raise BadInput(
            f"seconds {seconds!r} is no whole number of seconds between 0 and a day",
            field="seconds",
            value=seconds,
            remedy="give an int; 0 disarms the switch",
        )
    armed = yield from answer(
        desk, desk.session.cancel_all_after(seconds), "the dead-man's switch being set", timeout
    )
    return armed.until or None


def orders(desk: Desk, timeout: float = TIMEOUT_SECONDS) -> Flow[list[Order]]:
    """Ask for one's open orders, from whichever session. Raises `Timeout`, `ConnectionLost`."""
    return (yield from answer(desk, desk.session.open_orders(), "the question for orders", timeout))


def id_of(order: Order | int) -> int:
    """Return the id of an order that is given as itself or by it."""
    return order.id if isinstance(order, Order) else order


def as_it_is(desk: Desk, outcome: Outcome) -> Order:
    """Return what was heard last of an order that was changed. Raises its refusal."""
    if isinstance(outcome, OrderRejected):
        raise outcome
    return desk.session.blotter.latest(outcome)


# --- the end -----------------------------------------------------------------------------------

LOGOUT_SECONDS_MAX = 1.0
"""How long the end of a session waits for the venue's farewell."""


def close(desk: Desk) -> Flow[None]:
    """End the session in good order and close it. Open orders stay in the book.

    Where the venue does not say farewell within a second it is closed anyway, and what waits to be sent is
    dropped: with cancel on disconnect the venue takes the session as lost then.
    """
    try:
        if desk.line.is_up and desk.session.ready:
            asked = desk.session.log_out()
            try:
                yield Wait(
                    desk.line,
                    lambda: asked.is_done() or not desk.line.is_up,
                    deadline_after(LOGOUT_SECONDS_MAX),
                )
            except ExchangeError:
                return  # it is over already
            finally:
                desk.session.drop(asked)
    finally:
        desk.feeds.close()
        desk.queries.close()
        desk.line.close()
        desk.session.cut()
