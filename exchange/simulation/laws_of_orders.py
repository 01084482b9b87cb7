"""What became of each order, told again from the events alone, and held against the book after each batch."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from exchange.engine import Engine, Outcome
from exchange.simulation.laws import must, open_lots
from matching.layout import Row
from matching.vocabulary import CommandKind, EventKind, OrderState, Phase, RejectReason, Side
from settlement.layout import client_ids

ONE_ID = "one id is one order"
LIVES = "an order's events add up"
LIMITS = "no price beyond a limit"

_NOT_NOTED = (
    RejectReason.UNKNOWN_MEMBER,
    RejectReason.CLIENT_ID_INVALID,
    RejectReason.TOO_OLD,
    RejectReason.CLOCK_AHEAD,
)
"""The refusals of new orders whose ids are not remembered."""

_ACCEPTED, _KNOWN, _REJECTED = int(EventKind.ACCEPTED), int(EventKind.KNOWN), int(EventKind.REJECTED)
_TRADED, _TRIGGERED = int(EventKind.TRADED), int(EventKind.TRIGGERED)
_ANSWERS = (_ACCEPTED, _KNOWN, _REJECTED)
_CHANGES = (int(EventKind.REDUCED), int(EventKind.REPLACED), _TRIGGERED)
_OPEN, _FILLED = int(OrderState.OPEN), int(OrderState.FILLED)
_ENDS = {EventKind.CANCELLED: OrderState.CANCELLED, EventKind.EXPIRED: OrderState.EXPIRED}


class Life(msgspec.Struct):
    """One order as its events have told it. Money in hao, quantities in lots.

    `price` is its limit or the worst price that it may trade at, 0 where none was told.
    """

    order: int
    member: int
    client_id: bytes
    side: int
    price: int
    quantity: int
    leaves: int
    filled: int = 0
    gross: int = 0
    fees: int = 0
    state: int = OrderState.OPEN


class Told(msgspec.Struct, frozen=True):
    """One fill of one order. Money in hao, quantities in lots; `fee` is what the order was charged for it."""

    sequence: int
    order: int
    trade: int
    price: int
    quantity: int
    fee: int


class Named(msgspec.Struct, frozen=True):
    """What a client id named: the order, 0 for a refused one; when it was sent; which of its member's ids."""

    order: int
    sent_at: int
    number: int


class Lives:
    """All orders that ever were, all fills, and all client ids, folded from commands and events."""

    def __init__(self) -> None:
        self.orders: dict[int, Life] = {}
        self.fills: dict[int, list[Told]] = {}
        """The fills of each member, in their order."""
        self.names: dict[tuple[int, bytes], Named] = {}
        self.trades = 0
        self._noted: dict[int, int] = {}
        self._open: dict[int, int] = {}

    def take(self, commands: np.ndarray, outcome: Outcome, ids_max: int) -> None:
        """Take in one batch. `ids_max` is how many ids of a member were remembered before it.

        Raises `LawBroken` for events that no order may have.
        """
        asked = commands["kind"] == CommandKind.NEW
        names = client_ids(commands["client_id"]).tolist()
        for event, effect in zip(outcome.events, outcome.effects, strict=True):
            kind = int(event["kind"])
            row = int(event["command"])
            if kind in _ANSWERS and asked[row]:
                self._name(commands[row], names[row], event, ids_max)
            if kind == _ACCEPTED:
                self._begin(event, effect, names[row])
            elif kind == _TRADED:
                self._trade(event, effect)
            elif kind in _ENDS:
                self._end(event, effect, _ENDS[EventKind(kind)])
            elif kind in _CHANGES:
                self._change(event, effect)

    def hold_against(self, engine: Engine) -> None:
        """Raise `LawBroken` unless the open orders are those of the book, lot by lot."""
        there = open_lots(engine.core.book)
        if there != self._open:
            must(LIVES, [*self._parted(there)])

    def _parted(self, there: dict[int, int]) -> Iterator[str]:
        for order in sorted(there.keys() | self._open.keys()):
            here, stands = self._open.get(order, 0), there.get(order, 0)
            if here != stands:
                yield f"order {order}: {stands} lots stand in the book, its events leave {here}"

    # --- client ids ----------------------------------------------------------------------------

    def _name(self, command: Row, name: bytes, event: Row, ids_max: int) -> None:
        """Note what an id named; while it is remembered it names nothing else, and a copy never does."""
        member, order, kind = int(command["member"]), int(event["order"]), int(event["kind"])
        before = self.names.get((member, name))
        where = f"member {member}, id {name!r}"
        if kind == _KNOWN:
            if before is None:
                must(ONE_ID, [f"{where}: it is called known, and was never used"])
            elif before.order != order:
                must(ONE_ID, [f"{where}: it names order {before.order}, and order {order} is told"])
            return
        if kind == _REJECTED and event["reason"] in _NOT_NOTED:
            return
        number = self._noted.get(member, 0)
        sent_at = int(command["sent_at"])
        if before is not None:
            if number - before.number <= ids_max:
                must(ONE_ID, [f"{where}: remembered for order {before.order}, and taken again as {order}"])
            if sent_at <= before.sent_at:
                must(ONE_ID, [f"{where}: a copy of order {before.order} was taken as order {order}"])
        self._noted[member] = number + 1
        is_order = kind == _ACCEPTED
        self.names[member, name] = Named(order if is_order else 0, sent_at, number)

    # --- orders --------------------------------------------------------------------------------

    def _begin(self, event: Row, effect: Row, name: bytes) -> None:
        order, quantity = int(event["order"]), int(event["quantity"])
        if order in self.orders or order != effect["sequence"] or quantity <= 0:
            must(LIVES, [f"order {order}: accepted at sequence {effect['sequence']} with {quantity} lots"])
        self.orders[order] = Life(
            order,
            int(effect["member"]),
            name,
            int(event["side"]),
            int(event["price"]),
            quantity,
            quantity,
        )
        self._open[order] = quantity

    def _of(self, order: int, sequence: int) -> Life:
        """Return an open order's life."""
        life = self.orders.get(order)
        if life is None or life.state != _OPEN:
            must(LIVES, [f"order {order}: it is not open, and is told of at sequence {sequence}"])
        assert life is not None
        return life

    def _trade(self, event: Row, effect: Row) -> None:
        sequence, self.trades = int(effect["sequence"]), self.trades + 1
        if effect["trade"] != self.trades:
            must(LIVES, [f"trade {effect['trade']} follows trade {self.trades - 1}"])
        for prefix in ("", "maker_"):
            life = self._of(int(event[prefix + "order"]), sequence)
            self._fill(life, event, effect, prefix)
        if self.orders[int(event["order"])].side == self.orders[int(event["maker_order"])].side:
            must(LIVES, [f"trade {self.trades}: both orders are of one side"])

    def _fill(self, life: Life, event: Row, effect: Row, prefix: str) -> None:
        """Take one fill into an order's totals; they must be those that are told."""
        price, quantity = int(event["price"]), int(event["quantity"])
        life.filled += quantity
        life.gross += price * quantity
        life.leaves -= quantity
        fee = int(effect[prefix + "fee"])
        life.fees += fee
        life.state = _OPEN if life.leaves else _FILLED
        reckoned = (life.filled, life.gross, life.leaves, life.state)
        told = (
            int(effect[prefix + "filled"]),
            int(effect[prefix + "gross"]),
            int(event[prefix + "leaves"]),
            int(effect[prefix + "state"]),
        )
        if reckoned != told or quantity <= 0 or life.leaves < 0 or fee < 0:
            must(
                LIVES,
                [f"order {life.order}: (filled, gross, leaves, state) {told} told, {reckoned} reckoned"],
            )
        beyond = price > life.price if life.side == Side.BUY else price < life.price
        if beyond and life.price:
            must(LIMITS, [f"order {life.order}: limit {life.price}, traded at {price}"])
        told_fill = Told(int(effect["sequence"]), life.order, int(effect["trade"]), price, quantity, fee)
        self.fills.setdefault(life.member, []).append(told_fill)
        self._keep(life)

    def _end(self, event: Row, effect: Row, state: OrderState) -> None:
        life = self._of(int(event["order"]), int(effect["sequence"]))
        if event["quantity"] != life.leaves or effect["state"] != state or effect["filled"] != life.filled:
            must(
                LIVES,
                [
                    f"order {life.order}: {life.leaves} of it were open, and {event['quantity']} end as "
                    f"{OrderState(state).name.lower()}"
                ],
            )
        life.leaves, life.state = 0, state
        self._keep(life)

    def _change(self, event: Row, effect: Row) -> None:
        """Take in what a reduce, a replace or a trigger makes of an order."""
        life = self._of(int(event["order"]), int(effect["sequence"]))
        leaves, kind = int(event["leaves"]), int(event["kind"])
        if kind == _TRIGGERED:
            is_right = leaves == life.leaves
        else:
            life.quantity = int(event["quantity"])
            is_less = kind == EventKind.REPLACED or leaves < life.leaves
            is_right = is_less and leaves > 0 and life.quantity >= life.filled + leaves
        if not is_right or effect["filled"] != life.filled:
            must(
                LIVES, [f"order {life.order}: {EventKind(kind).name.lower()} from {life.leaves} to {leaves}"]
            )
        if kind != EventKind.REDUCED:
            life.price = int(event["price"])
        life.leaves = leaves
        self._keep(life)

    def _keep(self, life: Life) -> None:
        if life.state == _OPEN:
            self._open[life.order] = life.leaves
        else:
            self._open.pop(life.order, None)


def continuous_trades(events: np.ndarray) -> np.ndarray:
    """Return the trades outside of auctions, in which time and price decide who is met."""
    is_met = (events["kind"] == EventKind.TRADED) & (events["phase"] != Phase.AUCTION)
    rows: np.ndarray = events[is_met]
    return rows
