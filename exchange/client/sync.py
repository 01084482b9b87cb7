"""The client as a firm's engineer calls it: one thread, every call answered or failed in time."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import monotonic, time_ns
from types import TracebackType
from typing import Self

from exchange.client.acting import Acting
from exchange.client.answers import Fill, Order, Outcome, Programmes
from exchange.client.doubts import (
    doubt_cancels,
    doubt_mass_cancel,
    doubt_orders,
    doubt_reduction,
    doubt_replacement,
)
from exchange.client.errors import (
    BadInput,
    ExchangeError,
    OrderRejected,
    ProfileError,
)
from exchange.client.fillbook import FillReader
from exchange.client.history import History
from exchange.client.link import TIMEOUT_SECONDS, Link, Options, deadline_after
from exchange.client.money import Amount
from exchange.client.requests import NewOrders
from exchange.client.session import Change, Session
from exchange.client.tickets import Instruments, OrderTicket, check_quantity, client_id_bytes, word_of
from exchange.profiles import Profile, load_profile
from exchange.protocol.messages import COMMANDS_PER_MESSAGE_MAX
from matching.vocabulary import BOTH_SIDES, EVERY, Side

MESSAGES_IN_FLIGHT_MAX = 8
"""How many messages of orders await their answers at once: enough to keep the venue busy, and few
enough that neither side ever waits for room to send while the other does."""

HISTORY_BYTES_MAX = 2**30
"""The longest result of a query: it is taken whole, in memory."""


def connect_sync(
    profile: str | os.PathLike[str] | Profile,
    *,
    timeout: float = TIMEOUT_SECONDS,
    options: Options | None = None,
) -> SyncExchange:
    """Open a session with the venue that a profile names, within `timeout` seconds.

    `profile` is a name (`$BOURSE_VENUE/keys/<name>.toml`), a file, or a `Profile`. Raises
    `ProfileError`, `ConnectionLost` or `AccessDenied`, each with what to do.

        with connect_sync("sandbox") as ex:
            order = ex.place(ex.instruments["QWEN3-MAX"].buy(250, limit="12.35"))
    """
    chosen = profile if isinstance(profile, Profile) else load_profile(profile)
    if fault := chosen.fault():
        raise ProfileError(f"the profile's {fault}")
    set_to = options or Options()
    link = Link(chosen.endpoints.orders, chosen, set_to)
    exchange = SyncExchange(link, partial(_history_link, chosen, set_to))
    try:
        exchange.refresh(timeout)
    except BaseException:
        exchange.close()
        raise
    return exchange


def _history_link(profile: Profile, options: Options) -> Link:
    """Open the link to the query service. Raises `ProfileError` if the profile names none."""
    endpoint = profile.endpoints.query
    if not endpoint:
        raise ProfileError(
            "the profile names no query service",
            field="endpoints.query",
            remedy="write the venue's query endpoint into it",
        )
    return Link(endpoint, profile, options._replace(message_bytes_max=HISTORY_BYTES_MAX))


class SyncExchange(Acting):
    """A member's session with the venue; belongs to one thread. `connect_sync` opens one.

    Reports of fills and cancels are taken in by whatever call comes next. A connection that breaks
    is made anew by itself: a call that waits meanwhile is asked again where that is safe, and fails
    within its timeout where it is not.
    """

    def __init__(
        self, link: Link, open_history: Callable[[], Link], clock: Callable[[], int] = time_ns
    ) -> None:
        self._session = Session()
        self._clock = clock
        self._link = link
        self._id_begin = secrets.token_hex(5)
        self._ids_made = 0
        self.history = History(open_history, lambda: self.member, lambda: self.instruments)
        """SQL, bars, trades and fills, of all that was settled."""

    # --- who and what --------------------------------------------------------------------------

    @property
    def member(self) -> str:
        """Who one is to the venue."""
        return self._session.blotter.member

    @property
    def role(self) -> str:
        """What one is to the venue: firm, provider, programme_office, operator, auditor."""
        return self._session.role

    @property
    def sequence(self) -> int:
        """The highest sequence of the journal that was heard of."""
        return self._session.sequence

    @property
    def instruments(self) -> Instruments:
        """What the venue lists, by symbol, as of the logon or the last `refresh`."""
        return self._session.instruments

    @property
    def programmes(self) -> Programmes:
        """The programmes, by code, with their budgets as of the logon or the last `refresh`."""
        return self._session.programmes

    def refresh(self, timeout: float = TIMEOUT_SECONDS) -> None:
        """Learn anew what is listed, and each instrument's phase."""
        session, deadline = self._session, deadline_after(timeout)
        before = session.logons
        if session.ready:
            session.log_on()
        if not self._link.wait_for(session, lambda: session.logons > before, deadline):
            raise self._link.silence("the logon")

    # --- orders --------------------------------------------------------------------------------

    def place(
        self,
        ticket: OrderTicket,
        client_id: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Order:
        """Place an order and return it as it stands after it met the book: journalled by then.

        `client_id` is 1 to 24 ASCII characters of the caller's choice; without one a random one is
        made. An id that was used before places nothing: the order of that id comes back, `known`.
        Raises `OrderRejected`; `OutcomeUnknown` where no answer came in `timeout` seconds: place it
        again under the same client id, which is always safe; `ConnectionLost` where nothing was
        sent; `BadInput`.
        """
        ids = None if client_id is None else [client_id]
        (outcome,) = self.place_all([ticket], ids, timeout)
        if isinstance(outcome, OrderRejected):
            raise outcome
        return outcome

    def place_all(
        self,
        tickets: Sequence[OrderTicket],
        client_ids: Sequence[str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> list[Outcome]:
        """Place many orders at once and return, in their order, each one or its refusal.

        They go out in messages of up to 1024, several at a time; `timeout` is the longest wait for
        the next answer. Raises as `place` does, but for `OrderRejected`, which is a value here.
        """
        deadline_after(timeout)
        parts = self._written(tickets, self._client_ids(len(tickets), client_ids))
        try:
            for at, part in enumerate(parts):
                if at >= MESSAGES_IN_FLIGHT_MAX:
                    self._wait_for(parts[at - MESSAGES_IN_FLIGHT_MAX], timeout)
                self._session.place(part)
                if part is not parts[-1]:
                    self._link.turn(self._session, monotonic())
            for part in parts:
                self._wait_for(part, timeout)
            return [
                outcome for part in parts for outcome in self._session.outcomes(part) if outcome is not None
            ]
        except ExchangeError as error:
            answers = [outcome for part in parts for outcome in self._session.outcomes(part)]
            if (doubt := doubt_orders(parts, answers, error)) is not None:
                raise doubt from error
            raise
        finally:
            for part in parts:
                self._session.drop(part)

    def cancel(self, order: Order | int, timeout: float = TIMEOUT_SECONDS) -> Order:
        """Cancel what is open of an order, given as itself or by id, and return it as it ended.

        Raises `OrderRejected` (`unknown_order`) if it has ended already, with the order as it ended;
        `OutcomeUnknown` where no answer came: cancelling again is harmless; `ConnectionLost`.
        """
        (outcome,) = self.cancel_all([order], timeout)
        if isinstance(outcome, OrderRejected):
            raise outcome
        return outcome

    def reduce(self, order: Order | int, quantity: int, timeout: float = TIMEOUT_SECONDS) -> Order:
        """Take `quantity` lots off what is open of an order, and return it as it is then.

        It keeps its place. All that is open, or more, is a cancel. Raises `OrderRejected` as `cancel`
        does; `OutcomeUnknown` where no answer came: look at its quantity before doing it again.
        """
        deadline_after(timeout)
        check_quantity(quantity)
        order_id = order.id if isinstance(order, Order) else order
        said = self._session.reduce(order_id, quantity, self._clock())
        try:
            self._wait_for(said, timeout)
            if said.lost:
                raise self._link.silence("the reduction")
        except ExchangeError as error:
            raise doubt_reduction(said, error) or error from error
        finally:
            self._session.drop(said)
        outcome = said.answers[order_id]
        if isinstance(outcome, OrderRejected):
            raise outcome
        return self._session.blotter.latest(outcome)

    def replace(
        self,
        order: Order | int,
        *,
        price: Amount | None = None,
        quantity: int | None = None,
        stop_price: Amount | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Order:
        """Give an order another price, total quantity or stop price, in one act; return it as it is then.

        What is filled counts against the new total: one that is filled already cancels the rest. It keeps
        its place if its price stays and its total does not grow. Raises `OrderRejected`, and then it is as
        it was; `OutcomeUnknown` where no answer came: replacing again by the same comes to the same.
        """
        deadline_after(timeout)
        known = self._known(order, timeout)
        total = known.quantity if quantity is None else quantity
        check_quantity(total)
        instrument = self.instruments[known.instrument]
        prices = instrument.price(price, "price"), instrument.price(stop_price, "stop_price")
        said = self._session.replace(known.id, prices[0], total, prices[1], self._clock())
        try:
            self._wait_for(said, timeout)
        except ExchangeError as error:
            raise doubt_replacement(said, error) or error from error
        finally:
            self._session.drop(said)
        outcome = said.answers[known.id]
        if isinstance(outcome, OrderRejected):
            raise outcome
        return self._session.blotter.latest(outcome)

    def _known(self, order: Order | int, timeout: float) -> Order:
        """Return what was heard last of an order; of one that was never heard of, the venue is asked."""
        blotter = self._session.blotter
        order_id = order.id if isinstance(order, Order) else order
        if order_id not in blotter.orders:
            self.orders(timeout)
        return blotter.order(order_id)

    def cancel_all(
        self,
        orders: Sequence[Order | int] | None = None,
        timeout: float = TIMEOUT_SECONDS,
        *,
        instrument: str | None = None,
        side: Side | str | None = None,
    ) -> list[Outcome]:
        """Cancel many orders at once: those given, as `place_all` places; or, if none are, all open ones.

        All of one's own, that is, from whichever session; of one `instrument` or of one `side` if they
        are named. Returns those that it cancelled.
        """
        deadline_after(timeout)
        if orders is None:
            return self._cancel_every(instrument, side, timeout)
        if instrument is not None or side is not None:
            raise BadInput(
                "orders are given, and an instrument or a side as well",
                field="orders",
                remedy="give the orders, or what they have in common",
            )
        ids = [order.id if isinstance(order, Order) else order for order in orders]
        outcomes: list[Outcome] = []
        for at in range(0, len(ids), COMMANDS_PER_MESSAGE_MAX):
            said = self._session.cancel(ids[at : at + COMMANDS_PER_MESSAGE_MAX], self._clock())
            try:
                self._wait_for(said, timeout)
            except ExchangeError as error:
                doubt = doubt_cancels(said, self._session.outcomes(said), error)
                if doubt is not None:
                    raise doubt from error
                raise
            finally:
                self._session.drop(said)
            outcomes += [outcome for outcome in self._session.outcomes(said) if outcome is not None]
        return outcomes

    def _cancel_every(self, instrument: str | None, side: Side | str | None, timeout: float) -> list[Outcome]:
        number = EVERY if instrument is None else self.instruments[instrument].index
        sides = BOTH_SIDES if side is None else word_of(Side, "side", side)
        (client_id,) = self._client_ids(1, None)
        said = self._session.cancel_every(client_id, number, sides, self._clock())
        try:
            if not self._link.wait_for(self._session, said.is_done, deadline_after(timeout)):
                raise self._link.silence("the cancel of all orders")
        except ExchangeError as error:
            raise doubt_mass_cancel(said, error) or error from error
        finally:
            self._session.drop(said)
        if isinstance(said.answer, OrderRejected):
            raise said.answer
        return [*(said.answer or ())]

    def order(self, order: Order | int) -> Order:
        """Return what was heard last of an order, without asking the venue.

        Raises `BadInput` for an order that this session was never told of, or long ago.
        """
        self._link.turn(self._session, monotonic())
        return self._session.blotter.order(order.id if isinstance(order, Order) else order)

    def orders(self, timeout: float = TIMEOUT_SECONDS) -> list[Order]:
        """Ask for one's open orders, from whichever session. Raises `Timeout`, `ConnectionLost`."""
        return self._answer(self._session.open_orders(), "the question for orders", timeout)

    def fills(
        self,
        since: int | None = None,
        timeout: float = TIMEOUT_SECONDS,
        limit: int | None = None,
    ) -> Iterator[Fill]:
        """Iterate over fills of sequence `since` and later, those heard already and those to come.

        It ends after `timeout` seconds without a fill, or after `limit` fills. Without `since` it
        begins with the first that this session heard. Raises `FillsMissed` where some may be missing:
        those before the session, or while its connection was broken; `ConnectionLost` if there is
        none when the time is up.
        """
        deadline_after(timeout)
        reader = FillReader(self._session.blotter.fills, since)
        return self._fills(reader, timeout, limit)

    def _fills(self, reader: FillReader, timeout: float, limit: int | None) -> Iterator[Fill]:
        count = 0
        while limit is None or count < limit:
            deadline = monotonic() + timeout
            while (fill := reader.next()) is None:
                if monotonic() >= deadline:
                    if not self._session.ready:
                        raise self._link.silence("the call for fills")
                    return
                self._link.turn(self._session, deadline)
            count += 1
            yield fill

    # --- the end -------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the session. Open orders stay in the book; what waits to be sent is dropped."""
        self.history.close()
        self._link.close()
        self._session.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SyncExchange of {self.member} at {self._link.endpoint}>"

    # --- within --------------------------------------------------------------------------------

    def _client_ids(self, count: int, given: Sequence[str] | None) -> list[bytes]:
        """Return `count` padded client ids: those given, or new ones."""
        if given is None:
            first = self._ids_made
            self._ids_made += count
            return [client_id_bytes(f"{self._id_begin}-{number:x}") for number in range(first, first + count)]
        if isinstance(given, str) or len(given) != count:
            raise BadInput(
                f"{count} orders want {count} client ids",
                field="client_ids",
                value=given,
                remedy="give one for each order, in their order, or none at all",
            )
        ids = [client_id_bytes(client_id) for client_id in given]
        if len(set(ids)) < count:
            raise BadInput(
                "a client_id stands twice in one call",
                field="client_ids",
                value=given,
                remedy="give each order its own",
            )
        return ids

    def _written(self, tickets: Sequence[OrderTicket], ids: list[bytes]) -> list[NewOrders]:
        """Return the messages that place `tickets`, all of them checked before the first is said."""
        now, size = self._clock(), COMMANDS_PER_MESSAGE_MAX
        return [
            self._session.write_orders(tickets[at : at + size], ids[at : at + size], now)
            for at in range(0, len(tickets), size)
        ]

    def _wait_for(self, said: NewOrders | Change, timeout: float) -> None:
        """Wait until all of a message was answered; `timeout` is the longest wait for one answer."""
        while not said.is_done():
            if not self._has_more_answers(said, len(said.answers), timeout):
                raise self._link.silence("in full what was sent")

    def _has_more_answers(self, said: NewOrders | Change, count: int, timeout: float) -> bool:
        """Wait until more than `count` of a message's commands were answered, or all that ever will be."""
        return self._link.wait_for(
            self._session, lambda: len(said.answers) > count or said.is_done(), monotonic() + timeout
        )
