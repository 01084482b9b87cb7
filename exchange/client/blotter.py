"""A session's own orders, brought up to date by each report that the venue sends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from operator import attrgetter

import msgspec

from exchange.client.answers import Fill, Order
from exchange.client.errors import BadInput, OrderRejected
from exchange.client.fillbook import FillBook, Gap
from exchange.client.refusals import reason_word, rejection_of
from exchange.client.updates import UpdateBook
from exchange.protocol.messages import Orders, Welcome
from exchange.protocol.records import REPORT_STRUCT, Report
from matching.vocabulary import EventKind, OrderState, OrderType, Side, TimeInForce

ENDED_KEPT_MAX = 65_536
"""How many ended orders a session remembers, the latest; open ones are all remembered."""

_STATES = tuple(OrderState)
_SIDES = tuple(Side)
_LASTING = {int(word): word for word in TimeInForce}
_TYPES = {int(word): word for word in OrderType}

_KNOWN = int(EventKind.KNOWN)

_REASONED = (int(EventKind.CANCELLED), int(EventKind.EXPIRED), int(EventKind.REDUCED))
"""The reports that tell why something was taken off an order."""

_STOP_TOLD = (int(EventKind.ACCEPTED), int(EventKind.REPLACED), _KNOWN)
"""The reports whose `detail` is the price at which a stop waits."""


class Blotter:
    """Orders by id as they were last told, open and lately ended, and the fills they had."""

    def __init__(self, ended_kept_max: int = ENDED_KEPT_MAX) -> None:
        self.orders: dict[int, Order] = {}
        self.fills = FillBook()
        self.updates = UpdateBook()
        self.met_late: list[Order] = []
        """Orders first heard of when they had traded: what they were charged by then nothing has told."""
        self.member = ""
        self.instrument_numbers: dict[str, int] = {}
        self.programme_numbers: dict[str, int] = {}
        self._symbols: dict[int, str] = {}
        self._codes: dict[int, str] = {}
        self._ended: deque[int] = deque()
        self._hearers: dict[int, Callable[[Report, Order | None], Order | None]] = {
            int(EventKind.ACCEPTED): self._accept,
            int(EventKind.TRADED): self._trade,
            int(EventKind.CANCELLED): self._end,
            int(EventKind.EXPIRED): self._end,
            int(EventKind.REDUCED): self._reduce,
            int(EventKind.REPLACED): self._replace,
            int(EventKind.TRIGGERED): self._trigger,
            int(EventKind.KNOWN): self._recall,
        }
        self._ended_kept_max = ended_kept_max

    def learn(self, welcome: Welcome) -> None:
        """Learn the numbers under which reports name instruments and programmes."""
        self.member = welcome.member
        self._symbols = {row.index: row.instrument.symbol for row in welcome.instruments}
        self._codes = {row.index: row.code for row in welcome.programmes}
        self.instrument_numbers = {symbol: index for index, symbol in self._symbols.items()}
        self.programme_numbers = {code: index for index, code in self._codes.items()}

    def begin(self, sequence: int) -> None:
        """Listen from behind `sequence` on: what was before is a gap."""
        self.fills.add(Gap(0, sequence))
        self.updates.let_go = sequence

    def open_orders(self) -> Iterator[Order]:
        """Return the orders that are open as far as was heard."""
        return (order for order in self.orders.values() if order.state is OrderState.OPEN)

    def order(self, order_id: int) -> Order:
        """Return an order as it was last told. Raises `BadInput` for one never heard of."""
        found = self.orders.get(order_id)
        if found is None:
            raise BadInput(
                f"order {order_id!r} was not told of in this session, or long ago",
                field="order",
                value=order_id,
                remedy="ask ex.orders() for the open ones, ex.history for all",
            )
        return found

    def latest(self, order: Order) -> Order:
        """Return what was heard last of an order."""
        return self.orders.get(order.id, order)

    # --- what reports tell ---------------------------------------------------------------------

    def hear(self, report: Report) -> Order | None:
        """Take one report in. Returns the order that it tells of, None for one not known here.

        One that is older than what is known of its order changes nothing of it.
        """
        hear = self._hearers.get(report.kind)
        before = self.orders.get(report.order)
        return before if hear is None else hear(report, before)

    def relist(self, answer: Orders) -> tuple[list[Order], list[Order]]:
        """Take in the list of open orders: return it, and those believed open that are not on it."""
        listed = []
        for row in REPORT_STRUCT.iter_unpack(answer.reports):
            report = Report._make(row)._replace(sequence=answer.sequence, reason=0)
            listed.append(self._state(report, report.price, report.fee, report.subsidy))
        ids = {order.id for order in listed}
        ended = [order for order in self.open_orders() if order.id not in ids and order.id <= answer.sequence]
        return listed, ended

    def forget(self, order_id: int) -> None:
        """Know nothing of an order any more."""
        self.orders.pop(order_id, None)

    def rejection(self, report: Report, what: str = "") -> OrderRejected:
        """Return a refusal, of `what`, in words, with what is known of the order that it speaks of."""
        known = self.orders.get(report.order)
        names = {
            "instrument": known.instrument if known else self._symbol(report),
            "programme": self._codes.get(report.programme, str(report.programme)),
            "member": self.member,
        }
        error = rejection_of(report, _text(report.client_id), names, what)
        error.order = known
        return error

    def _symbol(self, report: Report) -> str:
        """Return an instrument's symbol; one listed since the logon goes by its number, none by nothing."""
        if report.instrument < 0:
            return ""
        return self._symbols.get(report.instrument) or f"#{report.instrument}"

    def _accept(self, report: Report, before: Order | None) -> Order:
        return before or self._state(report, report.price, 0, report.subsidy)

    def _state(self, report: Report, price: int, fees: int, reserved: int) -> Order:
        """Make the order that a report tells in full, and keep it."""
        before = self.orders.get(report.order)
        order = Order(
            report.order,
            _text(report.client_id),
            self._symbols.get(report.instrument) or self._symbol(report),
            _SIDES[report.side],
            _STATES[report.state],
            price,
            report.quantity,
            report.filled,
            report.leaves,
            report.gross,
            fees,
            report.paid,
            reserved,
            self._codes.get(report.programme),
            _LASTING.get(report.time_in_force, TimeInForce.GTC),
            report.sequence,
            report.time,
            report.kind == _KNOWN,
            _TYPES.get(report.type, OrderType.LIMIT),
            report.detail if report.kind in _STOP_TOLD else 0,
            reason_word(report.reason) if report.reason else before.reason if before else "",
        )
        return self._keep(order, before)

    def _trade(self, report: Report, before: Order | None) -> Order | None:
        self.fills.add(
            Fill(
                report.order,
                _text(report.client_id),
                self._symbol(report),
                _SIDES[report.side],
                report.trade,
                report.price,
                report.quantity,
                report.subsidy,
                report.fee,
                report.maker != 0,
                report.sequence,
                report.time,
            )
        )
        if before is None or report.filled <= before.filled or report.sequence < before.sequence:
            return before  # placed elsewhere; or told already, in a list or in an answer to its id
        # What the order has earned grows, whether it is paid at the trade or later, out of what is reserved.
        reserved = before.reserved - (report.paid - before.subsidy) if report.leaves else 0
        total = report.filled + report.leaves
        return self._update(before, report, total, before.fees + report.fee, max(0, reserved))

    def _end(self, report: Report, before: Order | None) -> Order | None:
        total = report.filled + report.quantity  # what it had and what was taken back
        if before is None:
            return self._met(report._replace(quantity=total), 0)
        if report.sequence < before.sequence or before.state is not OrderState.OPEN:
            return before
        return self._update(before, report, total, before.fees + report.fee, 0)

    def _reduce(self, report: Report, before: Order | None) -> Order:
        if before is None:
            return self._met(report, 0)
        if report.sequence < before.sequence:
            return before
        return self._update(before, report, report.quantity, before.fees, before.reserved)

    def _replace(self, report: Report, before: Order | None) -> Order:
        if before is None:
            return self._met(report, report.subsidy)
        if report.sequence < before.sequence:
            return before
        prices = report.price, report.detail
        return self._update(before, report, report.quantity, before.fees, report.subsidy, prices)

    def _trigger(self, report: Report, before: Order | None) -> Order:
        if before is None:
            return self._met(report, report.subsidy)
        if report.sequence < before.sequence:
            return before
        prices = report.price, 0
        return self._update(before, report, before.quantity, before.fees, before.reserved, prices)

    def _met(self, report: Report, reserved: int) -> Order:
        """Make an order that another program placed, of which a change is the first that is heard."""
        order = self._state(report, report.price, report.fee, reserved)
        if order.filled:
            self.met_late.append(order)
        return order

    def _recall(self, report: Report, before: Order | None) -> Order | None:
        """Take in the state of an order whose client id was sent again."""
        if before is None:
            return self._state(report, report.price, report.fee, report.subsidy) if report.order else None
        if report.sequence < before.sequence:
            return before
        prices = report.price, report.detail if report.leaves else before.stop_price
        fees = max(before.fees, report.fee)
        known = msgspec.structs.replace(before, known=True)
        return self._update(known, report, report.quantity, fees, report.subsidy, prices)

    def _update(
        self,
        before: Order,
        report: Report,
        quantity: int,
        fees: int,
        reserved: int,
        prices: tuple[int, int] | None = None,
    ) -> Order:
        """Make the order's next state: its totals, and what they leave, are the report's.

        `prices`, if they change, are its price and its stop price.
        """
        price, stop_price = prices or (before.price, before.stop_price)
        order = Order(
            before.id,
            before.client_id,
            before.instrument,
            before.side,
            _STATES[report.state],
            price,
            quantity,
            report.filled,
            report.leaves,
            report.gross,
            fees,
            report.paid,
            reserved,
            before.programme,
            before.time_in_force,
            report.sequence,
            report.time,
            before.known,
            before.type,
            stop_price,
            reason_word(report.reason) if report.kind in _REASONED else before.reason,
        )
        return self._keep(order, before)

    def _keep(self, order: Order, before: Order | None) -> Order:
        """Know an order by its new state; where that is news, it is an update."""
        self.orders[order.id] = order
        if before is None or _what_changes(order) != _what_changes(before):
            self.updates.add(order)
        if order.state is not OrderState.OPEN and (before is None or before.state is OrderState.OPEN):
            self._ended.append(order.id)
            if len(self._ended) > self._ended_kept_max:
                self.orders.pop(self._ended.popleft(), None)
        return order


_what_changes = attrgetter(
    "state", "price", "quantity", "filled", "leaves", "fees", "subsidy", "reserved", "stop_price", "reason"
)


def _text(client_id: bytes) -> str:
    """Return a client id as text; one that another program wrote may hold any bytes."""
    return client_id.rstrip(b"\0").decode("ascii", "backslashreplace")
