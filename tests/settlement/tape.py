"""A hand-made tape of events and effects, told in a member's words; and stores filled from it.

It keeps each order's totals as the engine would, and reckons neither fees nor subsidies: a story
says what they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matching.layout import EVENT
from matching.vocabulary import EVERY, EventKind, OrderState, Phase, RejectReason, Side, TimeInForce
from settlement.layout import EFFECT, HOUSE, MONEY, NO_PROGRAMME
from settlement.rows import Happened, InstrumentRow, MemberRow, Posting, ProgrammeRow
from settlement.store import Store, Watermark

ANN, BOB, CAT = 1, 2, 3
QWEN, GLM = 0, 1
NAMES = {ANN: "ann", BOB: "bob", CAT: "cat"}
SIZES = {ANN: "small", BOB: "large", CAT: "micro"}
VOUCHER = "HZ-VOUCHER-2026"
BUDGET = 10_000_000_000
DEPOSIT = 1_000_000_000
ISSUED = 1_000_000

NINE = 1_793_869_200_000_000_000
"""2026-11-05 09:00:00 UTC, in ns."""
SECOND = 1_000_000_000


@dataclass
class Standing:
    """One order and its totals so far."""

    member: int
    side: int
    instrument: int
    programme: int
    quantity: int
    filled: int = 0
    gross: int = 0
    paid: int = 0
    state: int = OrderState.OPEN


class Tape:
    """Events and effects as they come, a sequence each unless a story says otherwise."""

    def __init__(self) -> None:
        self.sequence = 1
        self.time = NINE
        self.trades = 0
        self.entries = 0
        self.orders: dict[int, Standing] = {}
        self.paid = 0
        self.reserved = 0
        self._events: list[np.ndarray] = []
        self._effects: list[np.ndarray] = []

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.time += seconds * SECOND

    def buy(self, member: int, quantity: int, price: int, **more: int) -> int:
        """Accept a buy order; return its number."""
        return self._accept(member, Side.BUY, quantity, price, **more)

    def sell(self, member: int, quantity: int, price: int, **more: int) -> int:
        """Accept a sell order; return its number."""
        return self._accept(member, Side.SELL, quantity, price, **more)

    def _accept(
        self,
        member: int,
        side: Side,
        quantity: int,
        price: int,
        instrument: int = QWEN,
        programme: int = NO_PROGRAMME,
        reserved: int = 0,
    ) -> int:
        order = len(self.orders) + 1
        self.orders[order] = Standing(member, side, instrument, programme, quantity)
        self.sequence += 1
        event, effect = self._row(EventKind.ACCEPTED, order)
        event["price"], event["quantity"] = price, quantity
        effect["subsidy"] = reserved
        self.reserved += reserved
        return order

    def trade(
        self,
        taker: int,
        maker: int,
        quantity: int,
        price: int,
        fee: int = 0,
        maker_fee: int = 0,
        subsidy: int = 0,
    ) -> int:
        """Let the taker, who arrived with the last command, trade with the maker."""
        self.trades += 1
        self.entries += 1
        amount = price * quantity
        self.paid += subsidy
        self.reserved -= subsidy
        for order in (taker, maker):
            standing = self.orders[order]
            standing.filled += quantity
            standing.gross += amount
            if standing.side == Side.BUY:
                standing.paid += subsidy
            if standing.filled == standing.quantity:
                standing.state = OrderState.FILLED
        event, effect = self._row(EventKind.TRADED, taker)
        other = self.orders[maker]
        event["maker_order"] = maker
        effect["terms_version"] = 1
        event["price"], event["quantity"] = price, quantity
        event["leaves"], event["maker_leaves"] = self._leaves(taker), self._leaves(maker)
        effect["trade"], effect["entry"] = self.trades, self.entries
        effect["fee"], effect["maker_fee"], effect["subsidy"] = fee, maker_fee, subsidy
        effect["maker_member"], effect["maker_programme"] = other.member, other.programme
        effect["maker_filled"], effect["maker_gross"] = other.filled, other.gross
        effect["maker_paid"], effect["maker_state"] = other.paid, other.state
        return self.trades

    def uncross(
        self, buy: int, sell: int, quantity: int, price: int, fee: int = 0, seller_fee: int = 0
    ) -> int:
        """Let two resting orders trade in an auction, by the last command."""
        trade = self.trade(buy, sell, quantity, price, fee, seller_fee)
        self._events[-1]["phase"] = Phase.AUCTION
        return trade

    def change_phase(self, phase: Phase, instrument: int = QWEN) -> None:
        """Change what an instrument's market is doing."""
        self.sequence += 1
        event, _ = self._row(EventKind.PHASE_CHANGED, 0)
        event["instrument"], event["phase"] = instrument, phase

    def indicate(self, price: int, volume: int, instrument: int = QWEN) -> None:
        """Tell what the auction would find after the last command."""
        event, _ = self._row(EventKind.INDICATIVE, 0)
        event["instrument"], event["price"], event["quantity"] = instrument, price, volume

    def reduce(self, order: int, lots: int) -> None:
        """Take lots off what is open of an order."""
        self.sequence += 1
        self.orders[order].quantity -= lots
        event, _ = self._row(EventKind.REDUCED, order)
        event["quantity"], event["leaves"] = self.orders[order].quantity, self._leaves(order)

    def replace(self, order: int, quantity: int, price: int, reserved: int = 0) -> None:
        """Give an order a new total and a new price."""
        self.sequence += 1
        self._move(EventKind.REPLACED, order, quantity, price)["subsidy"] = reserved

    def trigger(self, order: int, price: int) -> None:
        """Let a stop enter the book, by the last command, at what its protection price is by now."""
        self._move(EventKind.TRIGGERED, order, self.orders[order].quantity, price)

    def _move(self, kind: EventKind, order: int, quantity: int, price: int) -> np.ndarray:
        self.orders[order].quantity = quantity
        event, effect = self._row(kind, order)
        event["price"], event["quantity"], event["leaves"] = price, quantity, self._leaves(order)
        return effect

    def cancel(self, order: int) -> None:
        """Cancel what is open of an order."""
        self._end(order, EventKind.CANCELLED, OrderState.CANCELLED)

    def expire(self, order: int) -> None:
        """End an order with the trading day."""
        self._end(order, EventKind.EXPIRED, OrderState.EXPIRED)

    def _leaves(self, order: int) -> int:
        return self.orders[order].quantity - self.orders[order].filled

    def _end(self, order: int, kind: EventKind, state: OrderState) -> None:
        standing = self.orders[order]
        standing.state = state
        self.sequence += 1
        event, _ = self._row(kind, order)
        event["quantity"] = self._leaves(order)

    def refuse(self, member: int, reason: RejectReason, detail: int = 0) -> None:
        """Refuse a command of a member."""
        self.sequence += 1
        event, effect = self._row(EventKind.REJECTED, 0)
        event["reason"] = reason
        effect["member"], effect["detail"] = member, detail
        effect["state"] = OrderState.REJECTED

    def know(self, order: int) -> None:
        """Tell an order's state again, because its client id came twice."""
        self.sequence += 1
        self._row(EventKind.KNOWN, order)

    def cancel_all(self, member: int, orders: list[int]) -> None:
        """Cancel a member's orders by one command, and tell how many they were."""
        for order in orders:
            self.cancel(order)
            self.sequence -= 1
        self.sequence += 1
        event, effect = self._row(EventKind.MASS_CANCELLED, 0)
        event["quantity"], event["instrument"] = len(orders), EVERY
        effect["member"] = member

    def _row(self, kind: EventKind, order: int) -> tuple[np.ndarray, np.ndarray]:
        event, effect = np.zeros(1, EVENT), np.zeros(1, EFFECT)
        event["kind"], event["order"] = kind, order
        effect["sequence"], effect["time"] = self.sequence, self.time
        effect["programme"] = effect["maker_programme"] = NO_PROGRAMME
        effect["time_in_force"] = TimeInForce.DAY
        effect["client_id"] = np.array([f"id-{self.sequence}".encode()], "S24").view(np.int64)
        if order:
            standing = self.orders[order]
            event["side"], event["instrument"] = standing.side, standing.instrument
            effect["member"], effect["programme"] = standing.member, standing.programme
            effect["filled"], effect["gross"] = standing.filled, standing.gross
            effect["paid"], effect["state"] = standing.paid, standing.state
        self._events.append(event)
        self._effects.append(effect)
        return event, effect

    def events(self) -> np.ndarray:
        """Return all events so far."""
        return np.concatenate(self._events)

    def effects(self) -> np.ndarray:
        """Return all effects so far."""
        return np.concatenate(self._effects)

    def programmes(self) -> list[ProgrammeRow]:
        """Return the voucher's budget as it stands."""
        uncommitted = BUDGET - self.reserved - self.paid
        row = ProgrammeRow(0, VOUCHER, 2026, 1, BUDGET, uncommitted, self.reserved, self.paid, 0)
        return [row]

    def mark(self) -> Watermark:
        """Return the watermark after the last command."""
        return Watermark(self.sequence, self.time, 0, 64 * self.sequence, b"\x0d" * 32, self.sequence)


def founding(tape: Tape) -> Happened:
    """Return what the venue begins with: three members, two models, a funded voucher, credits."""
    members = tuple(
        MemberRow(1, number, name, f"{name}-group", SIZES[number], "330100", "firm", "")
        for number, name in NAMES.items()
    )
    instruments = tuple(
        InstrumentRow(
            sequence=1,
            index=number,
            instrument=name,
            name=f"{name} of the tests",
            kind="model",
            provider="bob",
            domestic=True,
            filed=True,
            region="CN",
            tier="flagship",
            tick=100,
            list_price=120_000,
            expires=None,
            redeemed_as="",
            weight_input=1000,
            weight_cached=200,
            weight_output=4000,
            milli_pflops=0,
            state="listed",
            mode="continuous",
            source="tests",
            source_version="1",
            source_date="2026-11-05",
            time=tape.time,
            who="operator",
            why="listed for the tests",
        )
        for number, name in ((QWEN, "QWEN3-MAX"), (GLM, "GLM-5"))
    )
    postings: list[Posting] = []
    gifts = [(HOUSE, f"programme:{VOUCHER}", MONEY, BUDGET, "fund")]
    gifts += [(member, "free", MONEY, DEPOSIT, "deposit") for member in NAMES]
    gifts += [(BOB, "free", instrument + 1, ISSUED, "issue") for instrument in (QWEN, GLM)]
    for member, account, asset, amount, reason in gifts:
        tape.entries += 1
        for owner, place, signed in ((member, account, amount), (HOUSE, "outside", -amount)):
            postings.append(Posting(tape.entries, 1, NINE, owner, place, asset, signed, reason))
    return Happened(members, instruments, tuple(postings))


def founded(path: object = None) -> tuple[Store, Tape]:
    """Return a store that holds the beginning, flushed, and its tape."""
    tape = Tape()
    store = Store.open(path)  # type: ignore[arg-type]
    store.add(np.zeros(0, EVENT), np.zeros(0, EFFECT), founding(tape))
    store.flush(tape.mark(), tape.programmes())
    return store, tape


def settle(store: Store, tape: Tape) -> None:
    """Give the store what it does not have yet, in one flush."""
    effects = tape.effects()
    new = effects["sequence"] > store.watermark.sequence
    store.add(tape.events()[new], effects[new], Happened())
    store.flush(tape.mark(), tape.programmes())


def rows(store: Store, query: str) -> list[tuple[object, ...]]:
    """Return the rows of a query, in its order."""
    return store.cursor().execute(query).fetchall()


def a_day(tape: Tape) -> Tape:
    """Play a small day: plain and subsidised trades over three minutes, refusals, an open order."""
    offer = tape.sell(BOB, 100, 110_000)
    deal = tape.buy(ANN, 40, 111_000, programme=0, reserved=1_332_000)
    tape.trade(deal, offer, 30, 110_000, fee=1650, maker_fee=660, subsidy=990_000)
    tape.trade(deal, offer, 10, 110_000, fee=550, maker_fee=220, subsidy=330_000)
    tape.reserved -= 12_000
    tape.wait(50)
    plain = tape.buy(CAT, 20, 110_000)
    tape.trade(plain, offer, 20, 110_000, fee=1100, maker_fee=440)
    tape.refuse(CAT, RejectReason.MONEY_NOT_AVAILABLE, 99)
    tape.wait(45)
    bid = tape.buy(CAT, 70, 109_000)
    hit = tape.sell(BOB, 5, 109_000)
    tape.trade(hit, bid, 5, 109_000, fee=272, maker_fee=109)
    tape.know(bid)
    tape.wait(70)
    other = tape.sell(BOB, 8, 80_000, instrument=GLM)
    take = tape.buy(ANN, 8, 80_000, instrument=GLM, programme=0)
    tape.trade(take, other, 8, 80_000, fee=320, maker_fee=128)
    tape.cancel(bid)
    tape.expire(offer)
    tape.sell(BOB, 9, 130_000)
    tape.refuse(ANN, RejectReason.PRICE_OFF_TICK, 12_345)
    return tape
