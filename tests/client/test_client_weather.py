"""One client id, one order: a session in bad weather ends up knowing what the venue knows.

A seed decides when frames are lost, connections break and callers give up. Whatever happens, the venue
takes no order twice, what the session says is true, and after a calm logon nothing is left unknown.
"""

from __future__ import annotations

from collections import deque
from random import Random

import pytest

from exchange.client.answers import Fill, Order
from exchange.client.errors import FillsMissed
from exchange.client.fillbook import FillReader
from exchange.client.requests import Cancels, NewOrders, Replacement
from exchange.client.session import Session
from exchange.client.tickets import OrderTicket, client_id_bytes
from exchange.protocol.messages import REPORTS
from exchange.protocol.records import REPORT_STRUCT
from matching.vocabulary import EventKind, OrderState, Side
from tests.client.fake_venue import Rules

STEPS = 400
WORLDS = 20
NOW = 1_700_000_000_000_000_000


class Weather:
    """A session, the venue's rules, and a network between them that loses things."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.rules = Rules()
        self.session = Session()
        self.link_number = 0
        self.is_up = False
        self.out: deque[bytes] = deque()
        self.back: deque[bytes] = deque()
        self.waiting: NewOrders | Cancels | Replacement | None = None
        self.had: set[tuple[int, int, int]] = set()
        """Every price and total that an order has had at the venue, with its number."""
        self.wanted: list[tuple[bytes, OrderTicket]] = []

    # --- the network -----------------------------------------------------------------------

    def link(self) -> None:
        self.link_number += 1
        self.is_up = True
        self.session.linked()

    def cut(self) -> None:
        """Lose all that is on its way, but for what the venue hears of it first."""
        for _ in range(self.chance.randrange(len(self.out) + 1)):
            self.carry_out()
        self.is_up = False
        self.out.clear()
        self.back.clear()
        self.rules.sessions.clear()
        self.session.cut()

    def hand_over(self) -> None:
        if self.is_up and self.session.outbox:
            said = self.session.outbox.popleft()
            said.handed = True
            self.out.append(said.frame)

    def carry_out(self) -> None:
        if self.out:
            self.back += [frame for _, frame in self.rules.take(self.link_number, self.out.popleft())]
            for each in self.rules.orders.values():
                self.had.add((each.order, each.command.price, each.command.quantity))

    def carry_back(self) -> None:
        if self.back:
            self.session.receive(self.back.popleft())

    # --- the market ------------------------------------------------------------------------

    def trade(self) -> None:
        """Have something befall a resting order, whether or not the session listens."""
        resting = [each for each in self.rules.orders.values() if each.leaves]
        if resting:
            each = self.chance.choice(resting)
            self.rules.sequence += 1
            if self.chance.random() < 0.2:
                report = self.rules.end(each.order, EventKind.EXPIRED)
            else:
                lots = self.chance.randint(1, each.leaves)
                report = self.rules.fill(each.order, each.command.price, lots, maker=1)
            if self.chance.random() < 0.2:
                self.rules.forget()
            if self.rules.sessions:
                self.back.append(REPORTS + REPORT_STRUCT.pack(*report))

    # --- the caller ------------------------------------------------------------------------

    def call(self) -> None:
        """Place, cancel or replace something, or give up, or read what came of it."""
        if self.waiting is not None:
            if self.waiting.is_done() or self.chance.random() < 0.1:
                self.end_call(self.waiting)
            return
        orders = list(self.session.blotter.open_orders())
        if orders and self.chance.random() < 0.3:
            self.waiting = self.session.cancel([self.chance.choice(orders).id], NOW)
            return
        if orders and self.chance.random() < 0.3:
            price = 100 * self.chance.randint(0, 9)
            order_id, total = self.chance.choice(orders).id, self.chance.randint(1, 12)
            self.waiting = self.session.replace(order_id, price, total, 0, NOW)
            return
        if not self.session.instruments:
            return
        if self.wanted and self.chance.random() < 0.3:
            client_id, ticket = self.chance.choice(self.wanted)  # once more, in doubt or not
        else:
            client_id = client_id_bytes(f"id-{len(self.wanted)}")
            price = 100 * self.chance.randint(1, 9)
            ticket = OrderTicket("QWEN3-MAX", Side.BUY, self.chance.randint(1, 9), price)
            self.wanted.append((client_id, ticket))
        said = self.session.write_orders([ticket], [client_id], NOW + len(self.wanted))
        self.session.place(said)
        self.waiting = said

    def end_call(self, said: NewOrders | Cancels | Replacement) -> None:
        """What the session answers is true of the venue, now or a while ago."""
        for outcome in self.session.outcomes(said):
            if isinstance(outcome, Order):
                venue = self.rules.orders[outcome.id]
                assert outcome.client_id.encode() == venue.command.client_id.rstrip(b"\0")
                assert (outcome.id, outcome.price, outcome.quantity) in self.had
                assert outcome.filled <= venue.filled
                if outcome.state is not OrderState.OPEN:
                    assert (outcome.state, outcome.filled) == (venue.state, venue.filled)
        self.session.drop(said)
        self.waiting = None

    def step(self) -> None:
        deeds = (
            (self.hand_over, 8),
            (self.carry_out, 8),
            (self.carry_back, 8),
            (self.call, 6),
            (self.trade, 2),
            (self.cut if self.is_up else self.link, 1),
        )
        (deed,) = self.chance.choices([each for each, _ in deeds], [weight for _, weight in deeds])
        deed()

    def calm_down(self) -> None:
        """Link anew if need be, and let everything arrive."""
        if not self.is_up:
            self.link()
        while self.session.outbox or self.out or self.back:
            self.hand_over()
            self.carry_out()
            self.carry_back()


@pytest.mark.parametrize("world", range(WORLDS))
def test_one_id_is_one_order_in_any_weather(world, seed, scale):
    for turn in range(scale):
        weather = Weather(hash((seed, world, turn)))
        for _ in range(STEPS):
            weather.step()
        weather.calm_down()
        if weather.waiting is not None:
            weather.end_call(weather.waiting)

        placed = [each.command.client_id for each in weather.rules.orders.values()]
        assert len(placed) == len(set(placed))
        for order in weather.session.blotter.orders.values():
            venue = weather.rules.orders[order.id]
            assert (order.state, order.filled, order.gross, order.leaves, order.price) == (
                venue.state,
                venue.filled,
                venue.gross,
                venue.leaves,
                venue.command.price,
            )
            assert order.quantity == venue.total


@pytest.mark.parametrize("world", range(WORLDS))
def test_fills_are_whole_or_said_to_be_missing(world, seed, scale):
    """Whoever goes on behind each gap has, behind the last one, every fill of the venue's, once."""
    for turn in range(scale):
        weather = Weather(hash((seed, world, turn)))
        for _ in range(STEPS):
            weather.step()
        weather.calm_down()
        since, heard = read_across_gaps(weather.session)
        trades = [fill.trade for fill in heard]
        behind = [trade for sequence, trade in weather.rules.fills if sequence >= max(since, 101)]
        assert len(set(trades)) == len(trades)
        assert trades[len(trades) - len(behind) :] == behind
        assert all(fill.sequence >= since for fill in heard)


def read_across_gaps(session: Session) -> tuple[int, list[Fill]]:
    """Return from where one may read the fills without a gap, and those fills."""
    since = 0
    while True:
        reader = FillReader(session.blotter.fills, since)
        try:
            return since, list(iter(reader.next, None))
        except FillsMissed as gap:
            since = gap.through + 1
