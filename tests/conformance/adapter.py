"""Our matching behind the face that the public tool `tracebook-conformance` drives.

    .venv/bin/tracebook-conformance qualify --profile fifo-full-v1 --seed 7 --timeout 60 \
        --candidate-cmd '.venv/bin/python tests/conformance/adapter.py' --output-dir build/conformance

plays one of its profiles against its own engine, prints the result, and leaves the whole report in
`build/conformance` (a folder that must not be there yet).

Where its words or its rules are not ours:

- Its prices are decimals, put on the tick grid by rounding. Ours are whole ticks, and what lies off the
  grid is refused; so the rounding is done here.
- Its quantities are halved again and again. A lot is 1/2**20 of its unit, so that halves are whole. The
  tool writes twelve decimals, and so loses count at the thirteenth halving (of 1,500 traces none had more
  than ten); what is no whole number of lots then is refused here, not rounded.
- It numbers orders symbol by symbol. Our ids are one row for all instruments; both numbers go into one.
- Its market order takes any price. Ours has a protection price: here the highest at which any quantity
  may be asked, and the lowest there is.
- Its replace is a cancel and a new order: it tells what shall be open, and always loses its place. Ours
  tells the total, filled lots included, and keeps its place where the price stays and the total does not
  grow. Where ours would keep it, a cancel and a new order are sent; everywhere else our replace.
- It refuses to reduce an order by more than is open, and to replace it by nothing; to us both are cancels.
  No profile asks for either, and nothing here hides it.
- A FOK order that cannot be filled is applied, to it; to us, accepted and then cancelled. That is one.
"""

from __future__ import annotations

import os
import sys
from decimal import Decimal
from importlib.metadata import version

import numpy as np
from tracebook import MarketEvent, OrderSide, OrderType, SelfTradePolicy
from tracebook.conformance import (
    BookSnapshot,
    BookState,
    ConformanceConfig,
    ConformanceError,
    EngineMetadata,
    Observation,
    Outcome,
    RestingOrder,
    TradeFill,
    canonical_decimal,
    serve_stdio,
)

from matching.batch import match
from matching.layout import COMMAND, Row, empty_book
from matching.view import orders_of
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    NOTIONAL_MAX,
    QUANTITY_MAX,
    CommandKind,
    EventKind,
    RejectReason,
    SelfTrade,
    Side,
    TimeInForce,
)
from matching.vocabulary import OrderType as Type

INSTRUMENTS = 16
"""Far more than any of its traces names."""

LOTS_PER_UNIT = 2**20

PRICE_FREE = NOTIONAL_MAX // QUANTITY_MAX
"""The highest price, in ticks, at which every quantity may be asked."""

SIDES = {OrderSide.BUY: Side.BUY, OrderSide.SELL: Side.SELL}

INSTRUCTIONS = {
    OrderType.LIMIT: (Type.LIMIT, TimeInForce.GTC),
    OrderType.MARKET: (Type.MARKET, TimeInForce.GTC),
    OrderType.IOC: (Type.LIMIT, TimeInForce.IOC),
    OrderType.FOK: (Type.LIMIT, TimeInForce.FOK),
}

SELF_TRADES = {
    SelfTradePolicy.NONE: SelfTrade.NONE,
    SelfTradePolicy.CANCEL_RESTING: SelfTrade.CANCEL_MAKER,
    SelfTradePolicy.CANCEL_INCOMING: SelfTrade.CANCEL_TAKER,
}

REASONS = {
    RejectReason.UNKNOWN_ORDER: "ORDER_NOT_ACTIVE",
    RejectReason.DUPLICATE_ORDER: "DUPLICATE_ORDER_ID",
}

OTHER_REASONS = {"replace": "INVALID_REPLACEMENT", "cancel": "INVALID_CANCEL"}


class TokenbourseAdapter:
    """One empty book of ours: its market events in, its observations out."""

    def __init__(self, config: ConformanceConfig) -> None:
        if config.matching_algorithm != "fifo":
            message = f"at one price we serve first come, first served, not {config.matching_algorithm}"
            raise ConformanceError(message)
        self.metadata = EngineMetadata("tokenbourse", version("tokenbourse"), "Python, Numba")
        self.config = config
        self.book = empty_book(INSTRUMENTS)
        self.instruments: dict[str, int] = {}

    def apply(self, event: MarketEvent, index: int) -> Observation:
        """Do what one event asks, and tell what came of it and what stands in the book now."""
        if event.op in ("new", "clear"):
            self.instruments.setdefault(event.symbol, len(self.instruments))
        self.book, events = match(self.book, self.commands_for(event))
        trades = tuple(
            self.fill_from(event.symbol, row) for row in events[events["kind"] == EventKind.TRADED]
        )
        state = self.snapshot()
        return Observation(index, outcome_of(event, events), trades, state.digest(), state.order_count)

    def snapshot(self) -> BookState:
        """Return what rests, symbol by symbol, each side in its priority."""
        return BookState(
            tuple(
                BookSnapshot(symbol, self.half_of(instrument, Side.BUY), self.half_of(instrument, Side.SELL))
                for symbol, instrument in sorted(self.instruments.items())
            )
        )

    def close(self) -> None:
        """There is nothing to close."""

    # --- its words into ours -------------------------------------------------------------------

    def commands_for(self, event: MarketEvent) -> np.ndarray:
        """Return the commands (dtype `COMMAND`) that one event of its asks for."""
        instrument = self.instrument_of(event.symbol)
        if event.op == "clear":
            return command(CommandKind.MASS_CANCEL, instrument=instrument, member=EVERY, side=BOTH_SIDES)
        assert event.order_id is not None
        order = event.order_id * INSTRUMENTS + instrument
        if event.op == "new":
            return self.new_order(event, order, instrument)
        if event.op == "replace":
            return self.replacement(event, order, instrument)
        if event.op == "reduce":
            assert event.quantity is not None
            return command(CommandKind.REDUCE, order=order, member=EVERY, quantity=lots_in(event.quantity))
        return command(CommandKind.CANCEL, order=order, member=EVERY)

    def instrument_of(self, symbol: str) -> int:
        """Return the number of a symbol; for one that has no book, a number that no order has."""
        instrument = self.instruments.get(symbol, len(self.instruments))
        assert instrument < INSTRUMENTS, f"{symbol} is one symbol too many"
        return instrument

    def new_order(self, event: MarketEvent, order: int, instrument: int) -> np.ndarray:
        """Return the command that enters an order."""
        assert event.side is not None
        assert event.price is not None
        assert event.quantity is not None
        kind, time_in_force = INSTRUCTIONS[event.order_type]
        price = self.ticks_in(event.price)
        if event.order_type == OrderType.MARKET:
            price = PRICE_FREE if event.side == OrderSide.BUY else 1
        return command(
            CommandKind.NEW,
            order=order,
            instrument=instrument,
            member=event.owner,
            group=event.owner,
            side=SIDES[event.side],
            type=kind,
            time_in_force=time_in_force,
            price=price,
            quantity=lots_in(event.quantity),
            self_trade=SELF_TRADES[self.config.self_trade_policy],
        )

    def replacement(self, event: MarketEvent, order: int, instrument: int) -> np.ndarray:
        """Return the command that replaces an order, or the two that do so where ours keeps its place."""
        found = self.find(order, instrument)
        if found is None:
            return command(CommandKind.REPLACE, order=order, member=EVERY)
        side, standing = found
        price = standing["price"] if event.price is None else self.ticks_in(event.price)
        leaves = standing["leaves"] if event.quantity is None else lots_in(event.quantity)
        if price == standing["price"] and 0 < leaves <= standing["leaves"]:
            return self.entered_again(standing, instrument, side, leaves)
        filled = standing["quantity"] - standing["leaves"]
        return command(CommandKind.REPLACE, order=order, member=EVERY, price=price, quantity=filled + leaves)

    def entered_again(self, standing: Row, instrument: int, side: int, leaves: int) -> np.ndarray:
        """Return the two commands that put an order behind all others at its price."""
        cancel = command(CommandKind.CANCEL, order=standing["id"], member=EVERY)
        again = command(
            CommandKind.NEW,
            order=standing["id"],
            instrument=instrument,
            member=standing["member"],
            group=standing["group"],
            side=side,
            price=standing["price"],
            quantity=leaves,
            self_trade=SELF_TRADES[self.config.self_trade_policy],
        )
        return np.concatenate([cancel, again])

    def find(self, order: int, instrument: int) -> tuple[Side, Row] | None:
        """Return the side and the row of the order that rests under this id, if one does."""
        resting = ((side, row) for side in Side for row in orders_of(self.book, instrument, side))
        return next((found for found in resting if found[1]["id"] == order), None)

    def ticks_in(self, price: float) -> int:
        """Return the price in whole ticks, rounded as the tool's contract has it: halves to even."""
        return round(price / self.config.tick_size)

    # --- our words into its --------------------------------------------------------------------

    def half_of(self, instrument: int, side: Side) -> tuple[RestingOrder, ...]:
        """Return the resting orders of one side, in priority order."""
        return tuple(
            RestingOrder(
                order_id=int(row["id"]) // INSTRUMENTS,
                price=self.price_text(row["price"]),
                remaining_quantity=self.quantity_text(row["leaves"]),
                owner=int(row["member"]),
            )
            for row in orders_of(self.book, instrument, side)
        )

    def fill_from(self, symbol: str, row: Row) -> TradeFill:
        """Return the trade that an event of ours tells."""
        taker, maker = int(row["order"]) // INSTRUMENTS, int(row["maker_order"]) // INSTRUMENTS
        buy, sell = (taker, maker) if row["side"] == Side.BUY else (maker, taker)
        price, quantity = self.price_text(row["price"]), self.quantity_text(row["quantity"])
        return TradeFill(symbol, buy, sell, price, quantity)

    def price_text(self, ticks: int) -> str:
        """Return a price in its canonical writing."""
        return canonical_decimal(int(ticks) * Decimal(str(self.config.tick_size)))

    def quantity_text(self, lots: int) -> str:
        """Return a quantity in its canonical writing."""
        return canonical_decimal(Decimal(int(lots)) / LOTS_PER_UNIT, self.config.quantity_decimal_places)


def command(kind: CommandKind, **fields: int) -> np.ndarray:
    """Return one command as an array of one row; fields that are not named are 0."""
    row = np.zeros(1, COMMAND)
    row["kind"] = kind
    for name, value in fields.items():
        row[name] = value
    return row


def lots_in(quantity: float) -> int:
    """Return the quantity in whole lots. Nothing is rounded: what is no whole number of them is a fault."""
    lots = quantity * LOTS_PER_UNIT
    if not lots.is_integer():
        message = f"{quantity} is not a whole number of lots"
        raise ConformanceError(message)
    return int(lots)


def outcome_of(event: MarketEvent, events: np.ndarray) -> Outcome:
    """Return what came of an event: applied, unless we refused it."""
    refusals = events[events["kind"] == EventKind.REJECTED]
    if len(refusals) == 0:
        return Outcome("applied")
    reason = RejectReason(int(refusals[0]["reason"]))
    other = OTHER_REASONS.get(event.op, "INVALID_ORDER")
    return Outcome("rejected", REASONS.get(reason, other), reason.name.lower())


if __name__ == "__main__":
    code = serve_stdio(TokenbourseAdapter)
    sys.stdout.flush()
    # The tool waits half a second for the end; on a busy machine, taking compiled code down takes longer.
    os._exit(code)
