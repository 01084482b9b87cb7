"""A member's side of the conversation with the venue: what is said, what is heard, and no socket.

A shell owns the socket: it calls `linked` and `cut` as connections come and go and `receive` for each
frame, and sends what stands in `outbox`. A new connection begins with a logon. Then the orders are
brought up to date, and what still awaits an answer is said again: the venue takes nothing twice.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from itertools import chain
from typing import Any, TypeAlias, TypeVar, assert_never

import msgspec

from exchange.client import encoding
from exchange.client.answers import Order, Outcome, Programmes
from exchange.client.blotter import Blotter
from exchange.client.errors import (
    BadInput,
    ExchangeError,
    OrderRejected,
    ProtocolBroken,
)
from exchange.client.fillbook import Gap
from exchange.client.refusals import refusal_of
from exchange.client.requests import Asked, Cancels, MassCancel, NewOrders, Reduction, Replacement, Said
from exchange.client.subsidy import Standing
from exchange.client.tickets import Instruments, OrderTicket, client_id_bytes
from exchange.protocol.acts import Act
from exchange.protocol.messages import (
    ANSWERS,
    COMMANDS_PER_MESSAGE_MAX,
    MESSAGE,
    PROTOCOL_VERSION,
    REPORTS,
    Account,
    Answer,
    AskAccount,
    AskOrders,
    AskProposals,
    AskRedemptions,
    AskStatus,
    Decide,
    Decided,
    Logon,
    Orders,
    Proposals,
    Redemptions,
    Refused,
    Request,
    Status,
    Welcome,
    encode,
)
from exchange.protocol.records import REPORT_STRUCT, Report
from matching.vocabulary import EventKind, OrderState, RejectReason

DOUBTS_KEPT_MAX = 65_536
"""How many unanswered client ids a session remembers, as many as the venue does of a member. Sent
again they bear the time of their first sending, so that a venue that forgot them says `too_old`."""

_UPDATE = "bring client and venue to the same version"

SaidT = TypeVar("SaidT", bound=Said)

Change: TypeAlias = Cancels | Reduction | Replacement
"""What is said of orders that are there."""

_NAMES: dict[type[Said], str] = {Reduction: "reduction", Replacement: "replacement"}
"""What a refusal calls a change; cancels are what it calls them anyway."""


class Session:
    """One member's conversation. Single-threaded; time is an argument.

    `fault` is what went wrong with the conversation as a whole, for the shell to raise and clear.
    """

    def __init__(self) -> None:
        self.outbox: deque[Said] = deque()
        self.blotter = Blotter()
        self.programmes = Programmes()
        self.instruments = Instruments((), self.programmes)
        self.role = ""
        self.standing = Standing("", ())
        """By what programmes judge the member."""
        self.sequence = 0
        """The highest sequence that was heard of."""
        self.ready = False
        self.logons = 0
        """How many logons the venue has welcomed."""
        self.fault: ExchangeError | None = None
        self._request = 0
        self._logon = 0
        self._is_new_link = False
        self._asked: dict[int, Asked[Any]] = {}
        self._orders: dict[bytes, NewOrders] = {}
        self._changes: dict[int, Change] = {}
        self._mass_cancels: dict[bytes, MassCancel] = {}
        self._cancelled: tuple[int, list[Order]] = (0, [])
        """The orders that the last command heard of has cancelled, and its sequence."""
        self._recalls: dict[bytes, tuple[int, OrderRejected | None]] = {}
        """The orders whose end was missed, and the refused changes that wait to hear of it."""
        self._relisting: Asked[list[Order]] | None = None
        self._doubts: dict[bytes, int] = {}

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
        for asked in tuple(self._asked.values()):
            if asked is self._relisting:
                self.drop(asked)
            elif asked.changes and asked.handed:
                asked.lost = True
                self.drop(asked)
        for said in tuple(self._changes.values()):
            if isinstance(said, Reduction) and said.handed:
                said.lost = True
                self.drop(said)

    def log_on(self) -> None:
        """Ask to be welcomed: on a new connection, or to learn what is listed by now."""
        self._logon = self._next_request()
        self.outbox.append(Said(encode(Logon(self._logon))))

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

    def status(self) -> Asked[Status]:
        """Ask how the venue is."""
        return self._ask(AskStatus(self._next_request()))

    def decide(self, act: Act, why: str) -> Asked[Decided]:
        """Have an act sequenced."""
        return self._ask(Decide(self._next_request(), act, why), changes=True)

    def write_orders(
        self, tickets: Sequence[OrderTicket], client_ids: Sequence[bytes], now: int
    ) -> NewOrders:
        """Write at most `COMMANDS_PER_MESSAGE_MAX` orders, each under its padded client id.

        Raises `BadInput` for what cannot be said. They are said by `place`.
        """
        assert 0 < len(tickets) == len(client_ids) <= COMMANDS_PER_MESSAGE_MAX
        if len(set(client_ids)) < len(client_ids) or not self._orders.keys().isdisjoint(client_ids):
            raise BadInput(
                "a client_id stands twice among orders that await their answers",
                field="client_id",
                remedy="give each order its own",
            )
        frame = encoding.new_orders(
            tickets,
            client_ids,
            [self._doubts.get(client_id, now) for client_id in client_ids],
            self.blotter.instrument_numbers,
            self.blotter.programme_numbers,
        )
        return NewOrders(client_ids, frame, now)

    def place(self, said: NewOrders) -> None:
        """Say new orders, now or as soon as there is a connection."""
        self._orders.update(dict.fromkeys(said.names, said))
        self._say(said)

    def cancel(self, order_ids: Sequence[int], now: int) -> Cancels:
        """Cancel at most `COMMANDS_PER_MESSAGE_MAX` orders. Raises `BadInput` as `place` does."""
        assert 0 < len(order_ids) <= COMMANDS_PER_MESSAGE_MAX
        if len(set(order_ids)) < len(order_ids) or not self._changes.keys().isdisjoint(order_ids):
            raise BadInput(
                "an order stands twice in one call",
                field="order",
                remedy="cancel each order once",
            )
        said = Cancels(order_ids, encoding.cancels(order_ids, now), now)
        self._changes.update(dict.fromkeys(order_ids, said))
        return self._say(said)

    def reduce(self, order_id: int, quantity: int, now: int) -> Reduction:
        """Take lots off an order. Raises `BadInput` as `place` does."""
        assert order_id not in self._changes, "one change of an order at a time"
        said = Reduction([order_id], encoding.reduction(order_id, quantity, now), now)
        self._changes[order_id] = said
        return self._say(said)

    def replace(self, order_id: int, price: int, quantity: int, stop_price: int, now: int) -> Replacement:
        """Give an order a new total, price and stop price (0 keeps it). Raises `BadInput` as `place` does."""
        assert order_id not in self._changes, "one change of an order at a time"
        frame = encoding.replacement(order_id, price, quantity, stop_price, now)
        said = Replacement([order_id], frame, now)
        self._changes[order_id] = said
        return self._say(said)

    def cancel_every(self, client_id: bytes, instrument: int, side: int, now: int) -> MassCancel:
        """Cancel all open orders of an instrument (or `EVERY`), of a side (or `BOTH_SIDES`)."""
        said = MassCancel(client_id, encoding.mass_cancel(client_id, instrument, side, now))
        self._mass_cancels[client_id] = said
        return self._say(said)

    def drop(self, said: Said) -> None:
        """Wait no longer for an answer. What was never handed over will not be said either."""
        match said:
            case Asked():
                self._asked.pop(said.request, None)
            case NewOrders():
                for client_id in said.names:
                    if self._orders.pop(client_id, None) is not None and said.handed:
                        self._doubt(client_id, said.sent_at)
            case Cancels() | Reduction() | Replacement():
                for order_id in said.names:
                    self._changes.pop(order_id, None)
            case MassCancel():
                self._mass_cancels.pop(said.client_id, None)
        if not said.handed and said in self.outbox:
            self.outbox.remove(said)

    def _doubt(self, client_id: bytes, sent_at: int) -> None:
        self._doubts.setdefault(client_id, sent_at)
        if len(self._doubts) > DOUBTS_KEPT_MAX:
            del self._doubts[next(iter(self._doubts))]

    def outcomes(self, said: NewOrders | Change) -> list[Outcome | None]:
        """Return the orders as they stand by now, or their refusals; None where no answer came."""
        answers: dict[Any, Outcome] = said.answers  # by client id or by order id
        found = (answers.get(name) for name in said.names)
        return [self.blotter.latest(outcome) if isinstance(outcome, Order) else outcome for outcome in found]

    def _next_request(self) -> int:
        self._request += 1
        return self._request

    def _ask(self, question: Request, *, changes: bool = False) -> Asked[Any]:
        asked: Asked[Any] = Asked(question.request, encode(question), changes=changes)
        self._asked[asked.request] = asked
        return self._say(asked)

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
        except (struct.error, IndexError, msgspec.DecodeError) as error:
            raise ProtocolBroken(f"a message cannot be read ({error})", remedy=_UPDATE) from error

    def _hear_reports(self, records: memoryview) -> None:
        for row in REPORT_STRUCT.iter_unpack(records):
            report = Report._make(row)
            order = self.blotter.hear(report)
            self.sequence = max(self.sequence, report.sequence)
            match report.kind:
                case EventKind.ACCEPTED:
                    self._answer_order(report, order)
                case EventKind.KNOWN:
                    self._answer_order(report, order)
                    if report.client_id in self._recalls:
                        self._settle_recall(report, order)
                case EventKind.CANCELLED:
                    self._note_cancelled(report, order)
                    self._answer_change(report.order, order)
                case EventKind.REDUCED if report.reason == RejectReason.NONE:
                    if isinstance(self._changes.get(report.order), Reduction):
                        self._answer_change(report.order, order)
                case EventKind.REPLACED:
                    if isinstance(self._changes.get(report.order), Replacement):
                        self._answer_change(report.order, order)
                case EventKind.MASS_CANCELLED:
                    self._answer_mass_cancel(report)
                case EventKind.REJECTED:
                    self._hear_refusal(report, order)

    def _hear_refusal(self, report: Report, order: Order | None) -> None:
        """Answer what was refused: a change of an order, a mass cancel, or a new order."""
        if report.order:
            self._hear_change_refused(report, order)
            return
        said = self._mass_cancels.pop(report.client_id, None)
        if said is not None:
            said.answer = self.blotter.rejection(report, "the cancel of all orders")
            return
        self._answer_order(report, None)
        if report.client_id in self._recalls:
            self._settle_recall(report, None)

    def _answer_order(self, report: Report, order: Order | None) -> None:
        """Answer the new order that a report speaks of, if it awaits an answer here."""
        if self._doubts:
            self._doubts.pop(report.client_id, None)
        said = self._orders.pop(report.client_id, None)
        if said is not None:
            said.answers[report.client_id] = order or self.blotter.rejection(report)

    def _answer_change(self, order_id: int, outcome: Outcome | None) -> None:
        said = self._changes.pop(order_id, None)
        if said is not None and outcome is not None:
            said.answers[order_id] = outcome

    def _note_cancelled(self, report: Report, order: Order | None) -> None:
        """Note an order among those that one command has cancelled: it may be a mass cancel."""
        if self._cancelled[0] != report.sequence:
            self._cancelled = (report.sequence, [])
        if order is not None:
            self._cancelled[1].append(order)

    def _answer_mass_cancel(self, report: Report) -> None:
        """Answer a mass cancel, which comes last of what its command has caused."""
        said = self._mass_cancels.pop(report.client_id, None)
        if said is not None:
            sequence, orders = self._cancelled
            said.answer = orders if sequence == report.sequence else []

    def _hear_change_refused(self, report: Report, order: Order | None) -> None:
        """Answer a refused change; but where the order's end was missed, ask for it first.

        A cancel may have been said twice, before and after a reconnect, and taken the first time.
        """
        said = self._changes.get(report.order)
        name = "" if said is None else _NAMES.get(type(said), "")
        what = name and f"the {name} of order {report.order}"
        rejection = self.blotter.rejection(report, what)
        if order is None or not order.is_open or report.reason != RejectReason.UNKNOWN_ORDER:
            self._answer_change(report.order, rejection)
        elif said is not None:
            self._recall([order], rejection)

    def _recall(self, orders: Sequence[Order], refused: OrderRejected | None = None) -> None:
        """Ask what became of orders whose end was missed."""
        for order in orders:
            try:
                client_id = client_id_bytes(order.client_id)
            except BadInput:  # another program of the member's wrote it, and it is no text
                self.blotter.forget(order.id)
                continue
            self._recalls[client_id] = (order.id, refused)
            frame = encoding.recall(order, client_id, self.blotter.instrument_numbers)
            self.outbox.append(Said(frame))

    def _settle_recall(self, report: Report, order: Order | None) -> None:
        """Learn how an order ended; None where the venue no longer knows its client id."""
        order_id, refused = self._recalls.pop(report.client_id)
        if order is None:
            self.blotter.forget(order_id)
        elif order.state is OrderState.CANCELLED and isinstance(self._changes.get(order_id), Cancels):
            self._answer_change(order_id, order)
        if refused is not None:
            refused.order = order
            self._answer_change(order_id, refused)

    def _hear_answer(self, answer: Answer) -> None:
        match answer:
            case Welcome():
                if answer.request == self._logon:
                    self._begin(answer)
            case Refused(request=request) if request in (0, self._logon):
                self.fault = refusal_of(answer)
            case Refused():
                self._answer(answer.request, refusal_of(answer))
            case Orders():
                self._answer(answer.request, self._relist(answer))
            case Account() | Redemptions() | Proposals() | Status() | Decided():
                self._answer(answer.request, answer)
            case _:
                assert_never(answer)

    def _relist(self, answer: Orders) -> list[Order]:
        listed, ended = self.blotter.relist(answer)
        self._recall(ended)
        return listed

    def _answer(self, request: int, answer: object) -> None:
        asked = self._asked.pop(request, None)
        if asked is not None:
            asked.answer = answer

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
        self.ready = True
        if not self._is_new_link:
            return
        self._is_new_link = False
        if self.logons == 1 or welcome.sequence > self.sequence:
            self.blotter.fills.add(Gap(self.sequence, welcome.sequence))
        self.sequence = max(self.sequence, welcome.sequence)
        awaiting: dict[Said, None] = dict.fromkeys(
            chain(
                self._asked.values(),
                self._orders.values(),
                self._changes.values(),
                self._mass_cancels.values(),
            )
        )
        if any(self.blotter.open_orders()):
            self._relisting = self.open_orders()
        self.outbox.extend(awaiting)
