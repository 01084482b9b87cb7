"""A member's side of the conversation with the venue: what is said, what is heard, and no socket.

A shell owns the socket: it calls `linked` and `cut` as connections come and go and `receive` for each
frame, and sends what stands in `outbox`. A new connection begins with a logon. What was missed is told
then, or read anew where the venue has not kept it; after that, what still awaits an answer is said again:
the venue takes nothing twice.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, TypeVar, assert_never

from exchange.client import encoding
from exchange.client.answers import Order, Programmes
from exchange.client.errors import BadInput, ExchangeError, ProtocolBroken
from exchange.client.fillbook import Gap
from exchange.client.hearing import Hearing
from exchange.client.refusals import ending_of, refusal_of
from exchange.client.requests import Asked, Cancels, MassCancel, NewOrders, Reduction, Replacement, Said
from exchange.client.subsidy import Standing
from exchange.client.tickets import Instruments, OrderTicket
from exchange.protocol.acts import Act
from exchange.protocol.messages import (
    ANSWERS,
    COMMANDS_PER_MESSAGE_MAX,
    MESSAGE,
    PROTOCOL_VERSION,
    REPORTS,
    UNREADABLE,
    Account,
    Answer,
    Armed,
    AskAccount,
    AskKeys,
    AskOrders,
    AskProposals,
    AskRedemptions,
    AskStatus,
    CancelAllAfter,
    Decide,
    Decided,
    Farewell,
    Heartbeat,
    Keys,
    Logon,
    Logout,
    Orders,
    Proposals,
    Redemptions,
    Refused,
    Request,
    Status,
    Welcome,
    encode,
)

_UPDATE = "bring client and venue to the same version"

PASSING = frozenset({"venue_stopping", "reports_dropped", "session_lost", "not_logged_on"})
"""Reasons for which the venue hears a session no more that is to be resumed on a new connection."""

FINAL = frozenset({"not_authenticated", "session_replaced", "wrong_door"})
"""Reasons for which it ends one that must not come back by itself: another one would only be ended."""

SaidT = TypeVar("SaidT", bound=Said)


class Session(Hearing):
    """One member's conversation. Single-threaded; time is an argument.

    `fault` is what went wrong with the conversation as a whole, for the shell to raise and clear; `ended`
    is why the venue hears it no more. With `wants_new_link` the shell is to break the connection.
    """

    def __init__(self, *, cancel_on_disconnect: bool = False) -> None:
        super().__init__()
        self.programmes = Programmes()
        self.instruments = Instruments((), self.programmes)
        self.role = ""
        self.standing = Standing("", ())
        """By what programmes judge the member."""
        self.ready = False
        self.logons = 0
        """How many logons the venue has welcomed."""
        self.heartbeat: Heartbeat | None = None
        """The last that was heard."""
        self.fault: ExchangeError | None = None
        self.ended: ExchangeError | None = None
        self.wants_new_link = False
        self._cancel_on_disconnect = cancel_on_disconnect
        self._request = 0
        self._logon = 0
        self._is_new_link = False
        self._catching_up: Asked[Any] | None = None
        """What is asked behind a logon that resumes: with its answer, all that was missed has been told."""
        self._relists = False
        """Whether the open orders are to be listed, for their reports were missed."""
        self._welcomed_at = 0

    # --- the connection ------------------------------------------------------------------------

    def linked(self) -> None:
        """Begin anew on a connection that has just come up."""
        self.outbox.clear()
        self.ready = False
        self._is_new_link = True
        self.log_on()

    def cut(self) -> None:
        """Note that the connection is gone, and with it what was on its way."""
        self.outbox.clear()
        self.ready = False
        if self._catching_up is not None:
            self.drop(self._catching_up)
            self._catching_up = None
        for asked in tuple(self._asked.values()):
            if asked.changes and asked.handed:
                asked.lost = True
                self.drop(asked)
        for said in tuple(self._changes.values()):
            if isinstance(said, Reduction) and said.handed:
                said.lost = True
                self.drop(said)

    def log_on(self) -> None:
        """Ask to be welcomed: on a new connection, or to learn what is listed by now."""
        self._logon = self._next_request()
        since = self.sequence if self.logons else None
        logon = Logon(self._logon, since=since, cancel_on_disconnect=self._cancel_on_disconnect)
        self.outbox.append(Said(encode(logon)))

    def log_out(self) -> Asked[Farewell]:
        """End the session in good order."""
        return self._ask(Logout(self._next_request()), changes=True)

    # --- what is said --------------------------------------------------------------------------

    def account(self) -> Asked[Account]:
        """Ask for one's balances."""
        return self._ask(AskAccount(self._next_request()))

    def open_orders(self) -> Asked[list[Order]]:
        """Ask for one's open orders."""
        return self._ask(AskOrders(self._next_request()))

    def redemptions(self) -> Asked[Redemptions]:
        """Ask for open redemptions."""
        return self._ask(AskRedemptions(self._next_request()))

    def proposals(self) -> Asked[Proposals]:
        """Ask for what is proposed and not approved."""
        return self._ask(AskProposals(self._next_request()))

    def keys(self, member: str = "") -> Asked[Keys]:
        """Ask which keys speak for a member, or for all that one may know of."""
        return self._ask(AskKeys(self._next_request(), member))

    def status(self) -> Asked[Status]:
        """Ask how the venue is."""
        return self._ask(AskStatus(self._next_request()))

    def decide(self, act: Act, why: str) -> Asked[Decided]:
        """Have an act sequenced."""
        return self._ask(Decide(self._next_request(), act, why), changes=True)

    def cancel_all_after(self, seconds: int) -> Asked[Armed]:
        """Set the dead-man's switch anew; said twice, it comes to the same."""
        return self._ask(CancelAllAfter(self._next_request(), seconds))

    def write_orders(
        self, tickets: Sequence[OrderTicket], client_ids: Sequence[bytes], now: int
    ) -> NewOrders:
        """Write at most `COMMANDS_PER_MESSAGE_MAX` orders, each under its padded client id.

        They are sent at `now` and the nanoseconds behind it, one each: the venue, which remembers so many
        ids, takes no order that was sent when one that it forgot was. Raises `BadInput` for what cannot be
        said. They are said by `place`.
        """
        assert 0 < len(tickets) == len(client_ids) <= COMMANDS_PER_MESSAGE_MAX
        if len(set(client_ids)) < len(client_ids) or not self._orders.keys().isdisjoint(client_ids):
            raise BadInput(
                "a client_id stands twice among orders that await their answers",
                field="client_id",
                remedy="give each order its own",
            )
        sent_ats: Sequence[int] = range(now, now + len(client_ids))
        if self._doubts:
            pairs = zip(client_ids, sent_ats, strict=True)
            sent_ats = [self._doubts.get(client_id, sent_at) for client_id, sent_at in pairs]
        numbers = self.blotter.instrument_numbers, self.blotter.programme_numbers
        return NewOrders(client_ids, encoding.new_orders(tickets, client_ids, sent_ats, *numbers), now)

    def place(self, said: NewOrders) -> None:
        """Say new orders, now or as soon as there is a connection."""
        self._orders.update(dict.fromkeys(said.names, said))
        self._say(said)

    def cancel(self, order_ids: Sequence[int], now: int) -> Cancels:
        """Cancel at most `COMMANDS_PER_MESSAGE_MAX` orders. Raises `BadInput` as `place` does."""
        assert 0 < len(order_ids) <= COMMANDS_PER_MESSAGE_MAX
        if len(set(order_ids)) < len(order_ids):
            raise BadInput(
                "an order stands twice in one call",
                field="order",
                remedy="cancel each order once",
            )
        self._check_free(order_ids)
        return self._change(Cancels(order_ids, encoding.cancels(order_ids, now), now))

    def reduce(self, order_id: int, quantity: int, now: int) -> Reduction:
        """Take lots off an order. Raises `BadInput` as `place` does."""
        self._check_free([order_id])
        return self._change(Reduction([order_id], encoding.reduction(order_id, quantity, now), now))

    def replace(self, order_id: int, price: int, quantity: int, stop_price: int, now: int) -> Replacement:
        """Give an order a new total, price and stop price (0 keeps it). Raises `BadInput` as `place` does."""
        self._check_free([order_id])
        frame = encoding.replacement(order_id, price, quantity, stop_price, now)
        return self._change(Replacement([order_id], frame, now))

    def cancel_every(self, client_id: bytes, instrument: int, side: int, now: int) -> MassCancel:
        """Cancel all open orders of an instrument (or `EVERY`), of a side (or `BOTH_SIDES`)."""
        said = MassCancel(client_id, encoding.mass_cancel(client_id, instrument, side, now))
        self._mass_cancels[client_id] = said
        return self._say(said)

    def _check_free(self, order_ids: Sequence[int]) -> None:
        """Raise `BadInput` where one of these orders is being changed: answers name the order only."""
        if not self._changes.keys().isdisjoint(order_ids):
            busy = next(order_id for order_id in order_ids if order_id in self._changes)
            raise BadInput(
                f"a change of order {busy} still awaits its answer",
                field="order",
                value=busy,
                remedy="wait for that call, then change the order",
            )

    def _change(self, said: SaidT) -> SaidT:
        assert isinstance(said, Cancels | Reduction | Replacement)
        self._changes.update(dict.fromkeys(said.names, said))
        return self._say(said)

    def _next_request(self) -> int:
        self._request += 1
        return self._request

    def _ask(self, question: Request, *, changes: bool = False) -> Asked[Any]:
        asked: Asked[Any] = Asked(question.request, encode(question), changes=changes)
        self._asked[asked.request] = asked
        return self._say(asked)

    def ask_again(self, asked: Asked[Any]) -> None:
        """Say once more what was throttled, of which nothing was done."""
        asked.answer = None
        self._asked[asked.request] = asked
        self._say(asked)

    def _say(self, said: SaidT) -> SaidT:
        if self.ready:
            self.outbox.append(said)
        return said

    # --- what is heard -------------------------------------------------------------------------

    def receive(self, frame: bytes) -> None:
        """Take in one frame. Raises `ProtocolBroken` for what this version cannot read."""
        kind, body = frame[:1], memoryview(frame)[1:]
        try:
            if kind == REPORTS:
                self._hear_reports(body)
            elif kind == MESSAGE:
                self._hear_answer(ANSWERS.decode(body))
            else:
                raise ProtocolBroken(f"a message of the kind {kind!r} came", remedy=_UPDATE)
        except (struct.error, IndexError, BadInput, *UNREADABLE) as error:  # what cannot be said again, too
            raise ProtocolBroken(f"a message cannot be read ({error})", remedy=_UPDATE) from error

    def _hear_answer(self, answer: Answer) -> None:
        match answer:
            case Welcome():
                if answer.request == self._logon:
                    self._begin(answer)
            case Heartbeat():
                self._hear_heartbeat(answer)
            case Refused():
                self._hear_refused(answer)
            case Orders():
                self._answer(answer.request, self._relist(answer))
            case (
                Account() | Redemptions() | Proposals() | Keys() | Status() | Decided() | Armed() | Farewell()
            ):
                self._answer(answer.request, answer)
            case _:
                assert_never(answer)

    def _hear_refused(self, refused: Refused) -> None:
        """Answer a refused question; or note what was refused as a whole, or that the session is over."""
        if refused.reason in PASSING:
            self.wants_new_link = True
        elif refused.reason in FINAL:
            self.ended = ending_of(refused)
        elif self._is_new_link and refused.request == self._logon and refused.reason == "throttled":
            self.wants_new_link = True
        elif refused.request in (0, self._logon):
            self.fault = refusal_of(refused)
        else:
            self._answer(refused.request, refusal_of(refused))

    def _hear_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Note how fresh the line is; where a report was told and not heard, ask for a new connection."""
        self.heartbeat = heartbeat
        if not self.ready:
            return
        if heartbeat.told > max(self._reported, self._welcomed_at):
            self.wants_new_link = True
        else:
            self.sequence = max(self.sequence, heartbeat.sequence)

    def _relist(self, answer: Orders) -> list[Order]:
        listed, ended = self.blotter.relist(answer)
        self._recall(ended)
        self._relists = False
        return listed

    def _answer(self, request: int, answer: object) -> None:
        asked = self._asked.pop(request, None)
        if asked is None:
            return
        asked.answer = answer
        if asked is self._catching_up:
            self._catching_up = None
            self.sequence = max(self.sequence, self._welcomed_at)
            if self._relists:  # the list was refused
                self.wants_new_link = True
            else:
                self._go_on()

    def _begin(self, welcome: Welcome) -> None:
        """Learn what is listed; on a new connection, catch up and say again what awaits an answer."""
        if welcome.version != PROTOCOL_VERSION:
            raise ProtocolBroken(
                f"the venue speaks version {welcome.version}, this client {PROTOCOL_VERSION}",
                remedy=_UPDATE,
            )
        self.blotter.learn(welcome)
        self.programmes = Programmes((row.code, row) for row in welcome.programmes)
        self.instruments = Instruments(welcome.instruments, self.programmes)
        self.role = welcome.role
        self.standing = Standing(welcome.size, welcome.regions)
        self.logons += 1
        if not self._is_new_link:
            return
        self._is_new_link = False
        self._welcomed_at = welcome.sequence
        if self.logons == 1:
            self.blotter.begin(welcome.sequence)
            self.sequence = max(self.sequence, welcome.sequence)
            self._go_on()
        else:
            self._catch_up(welcome.resumed)

    def _catch_up(self, resumed: int) -> None:
        """Hear what was missed: reports above `resumed` follow the welcome, in order.

        A question behind the logon tells where they end. What lies below `resumed` is not kept any more:
        then the question is for the open orders, so that they are right again.
        """
        if resumed > self.sequence:
            self.blotter.fills.add(Gap(self.sequence, resumed))
            self.sequence = resumed
            self._relists = True  # of orders that other sessions placed, too
        number = self._next_request()
        question = AskOrders(number) if self._relists else AskStatus(number)
        self._catching_up = self._asked[number] = Asked(number, encode(question))
        self.outbox.append(self._catching_up)
        if not self._relists:  # the list would have them asked for
            self._recall_again()

    def _go_on(self) -> None:
        """Say, from now on at once, and first of all, in its order, what awaits its answer."""
        self.ready = True
        awaiting: dict[Said, None] = dict.fromkeys(
            chain(
                self._asked.values(),
                self._orders.values(),
                self._changes.values(),
                self._mass_cancels.values(),
            )
        )
        self.outbox.extend(sorted(awaiting, key=attrgetter("number")))
