"""What a session hears of its orders: each report brings the blotter up to date, and answers its command."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from exchange.client import encoding
from exchange.client.answers import Order, Outcome
from exchange.client.blotter import Blotter
from exchange.client.errors import BadInput, OrderRejected
from exchange.client.requests import Asked, Cancels, MassCancel, NewOrders, Reduction, Replacement, Said
from exchange.client.tickets import client_id_bytes
from exchange.protocol.records import REPORT_STRUCT, Report
from matching.vocabulary import EventKind, OrderState, RejectReason

DOUBTS_KEPT_MAX = 65_536
"""How many unanswered client ids a session remembers, as many as the venue does of a member. Sent
again they bear the time of their first sending, so that a venue that forgot them says `too_old`."""

Change: TypeAlias = Cancels | Reduction | Replacement
"""What is said of orders that are there."""

_NAMES: dict[type[Said], str] = {Reduction: "reduction", Replacement: "replacement"}
"""What a refusal calls a change; cancels are what it calls them anyway."""

_make = Report._make


class Hearing:
    """What was said and awaits its answer, and how reports answer it."""

    def __init__(self) -> None:
        self.outbox: deque[Said] = deque()
        self.blotter = Blotter()
        self.sequence = 0
        """The sequence up to which all was heard that concerns this member."""
        self._asked: dict[int, Asked[Any]] = {}
        self._orders: dict[bytes, NewOrders] = {}
        self._changes: dict[int, Change] = {}
        self._mass_cancels: dict[bytes, MassCancel] = {}
        self._cancelled: tuple[int, list[Order]] = (0, [])
        """The orders that the last command heard of has cancelled, and its sequence."""
        self._recalls: dict[bytes, tuple[int, OrderRejected | None]] = {}
        """The orders whose end was missed, and the refused changes that wait to hear of it."""
        self._met_late: set[bytes] = set()
        """Those among them that were only first heard of late: what is known of them is not wrong."""
        self._doubts: dict[bytes, int] = {}
        self._reported = 0
        """The highest sequence that a report has borne."""
        self._answers: dict[int, Callable[[Report, Order | None], None]] = {
            int(EventKind.ACCEPTED): self._answer_order,
            int(EventKind.KNOWN): self._hear_known,
            int(EventKind.CANCELLED): self._hear_cancelled,
            int(EventKind.REDUCED): self._hear_reduced,
            int(EventKind.REPLACED): self._hear_replaced,
            int(EventKind.MASS_CANCELLED): self._answer_mass_cancel,
            int(EventKind.REJECTED): self._hear_refusal,
        }

    def _hear_reports(self, records: memoryview) -> None:
        """Take in one message of reports: all that one batch has caused, so that it is heard whole."""
        hear, answers, reported = self.blotter.hear, self._answers, self._reported
        for row in REPORT_STRUCT.iter_unpack(records):
            report = _make(row)
            order = hear(report)
            reported = max(reported, report.sequence)
            answer = answers.get(report.kind)
            if answer is not None:
                answer(report, order)
        self._reported = reported
        self.sequence = max(self.sequence, reported)
        if self.blotter.met_late:
            met, self.blotter.met_late = self.blotter.met_late, []
            self._met_late.update(self._recall(met))

    # --- answers to commands -------------------------------------------------------------------

    def _answer_order(self, report: Report, order: Order | None) -> None:
        """Answer the new order that a report speaks of, if it awaits an answer here."""
        if self._doubts and report.sequence:  # what was refused unsequenced tells nothing of the id
            self._doubts.pop(report.client_id, None)
        said = self._orders.pop(report.client_id, None)
        if said is not None:
            said.answers[report.client_id] = order or self.blotter.rejection(report)

    def _hear_known(self, report: Report, order: Order | None) -> None:
        self._answer_order(report, order)
        if report.client_id in self._recalls:
            self._settle_recall(report, order)

    def _hear_cancelled(self, report: Report, order: Order | None) -> None:
        """Note an order among those that one command has cancelled: it may be a mass cancel."""
        if self._cancelled[0] != report.sequence:
            self._cancelled = (report.sequence, [])
        if order is not None:
            self._cancelled[1].append(order)
        self._answer_change(report.order, order)

    def _hear_reduced(self, report: Report, order: Order | None) -> None:
        is_asked_for = report.reason == RejectReason.NONE
        if is_asked_for and isinstance(self._changes.get(report.order), Reduction):
            self._answer_change(report.order, order)

    def _hear_replaced(self, report: Report, order: Order | None) -> None:
        if isinstance(self._changes.get(report.order), Replacement):
            self._answer_change(report.order, order)

    def _answer_mass_cancel(self, report: Report, _order: Order | None) -> None:
        """Answer a mass cancel, which comes last of what its command has caused."""
        said = self._mass_cancels.pop(report.client_id, None)
        if said is not None:
            sequence, orders = self._cancelled
            said.answer = orders if sequence == report.sequence else []

    def _answer_change(self, order_id: int, outcome: Outcome | None) -> None:
        said = self._changes.pop(order_id, None)
        if said is not None and outcome is not None:
            said.answers[order_id] = outcome

    def _hear_refusal(self, report: Report, order: Order | None) -> None:
        """Answer what was refused: a change of an order, a mass cancel, or a new order."""
        if report.order:
            self._hear_change_refused(report, order)
            return
        said = self._mass_cancels.pop(report.client_id, None)
        if said is not None:
            said.answer = self._refused_mass_cancel(report)
            return
        self._answer_order(report, None)
        if report.client_id in self._recalls:
            self._hear_recall_refused(report)

    def _refused_mass_cancel(self, report: Report) -> list[Order] | OrderRejected:
        """Return the answer to a refused mass cancel: it is throttled only where nothing is open."""
        if report.reason == RejectReason.THROTTLED:
            return []
        return self.blotter.rejection(report, "the cancel of all orders")

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

    # --- orders whose end was missed -----------------------------------------------------------

    def _recall(self, orders: Sequence[Order], refused: OrderRejected | None = None) -> list[bytes]:
        """Ask what became of orders whose end was missed; return their ids."""
        asked = []
        for order in orders:
            try:
                client_id = client_id_bytes(order.client_id)
            except BadInput:  # another program of the member's wrote it, and it is no text
                self.blotter.forget(order.id)
                continue
            self._recalls[client_id] = (order.id, refused)
            self._say_recall(order, client_id)
            asked.append(client_id)
        return asked

    def _say_recall(self, order: Order, client_id: bytes) -> None:
        frame = encoding.recall(order, client_id, self.blotter.instrument_numbers)
        self.outbox.append(Said(frame))

    def _recall_again(self) -> None:
        """Ask anew, on a new connection, what the last one did not answer: nothing else would tell it."""
        for client_id, (order_id, _) in tuple(self._recalls.items()):
            order = self.blotter.orders.get(order_id)
            if order is None or not (order.is_open or client_id in self._met_late):
                del self._recalls[client_id]
            else:
                self._say_recall(order, client_id)

    def _settle_recall(self, report: Report, order: Order | None) -> None:
        """Learn how an order ended; None where the venue no longer knows its client id."""
        order_id, refused = self._recalls.pop(report.client_id)
        is_right = report.client_id in self._met_late
        self._met_late.discard(report.client_id)
        if order is None and is_right:
            pass  # the id is forgotten, and all but its fees is known
        elif order is None:
            self.blotter.forget(order_id)
        elif order.state is OrderState.CANCELLED and isinstance(self._changes.get(order_id), Cancels):
            self._answer_change(order_id, order)
        if refused is not None:
            refused.order = order
            self._answer_change(order_id, refused)

    def _hear_recall_refused(self, report: Report) -> None:
        """Forget an order whose id the venue does not know; one that it only throttled is asked for later.

        That is on the next connection, or with the next list. The change that waits for it has its answer.
        """
        if report.reason != RejectReason.THROTTLED:
            self._settle_recall(report, None)
            return
        order_id, refused = self._recalls[report.client_id]
        self._recalls[report.client_id] = (order_id, None)
        if refused is not None:
            self._answer_change(order_id, refused)

    # --- what is not awaited any more ----------------------------------------------------------

    def drop(self, said: Said) -> None:
        """Wait no longer for an answer. What was never handed over will not be said either."""
        match said:
            case Asked():
                self._asked.pop(said.request, None)
            case NewOrders():
                for sent_at, client_id in enumerate(said.names, start=said.sent_at):
                    if self._orders.pop(client_id, None) is not None and said.handed:
                        self._doubt(client_id, sent_at)
            case Cancels() | Reduction() | Replacement():
                for order_id in said.names:
                    if self._changes.get(order_id) is said:
                        del self._changes[order_id]
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
