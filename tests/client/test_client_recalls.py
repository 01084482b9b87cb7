"""What was missed of orders is asked until it is answered, over breaks and throttles: their ends and fees."""

from __future__ import annotations

import pytest

from exchange.client.session import Session
from exchange.client.tickets import OrderTicket, client_id_bytes
from exchange.protocol.messages import REPORTS
from exchange.protocol.records import REPORT_STRUCT
from matching.vocabulary import OrderState, RejectReason, Side
from tests.client.fake_venue import Rules, refusal

NOW = 1_700_000_000_000_000_000


class Line:
    """A session that has placed an order, and did not hear how it ended: it has asked what became of it."""

    def __init__(self) -> None:
        self.rules = Rules()
        self.session = Session()
        self.links = 0
        self.link()
        self.talk()
        ticket = OrderTicket("QWEN3-MAX", Side.BUY, 10, 1_000)
        said = self.session.write_orders([ticket], [client_id_bytes("a")], NOW)
        self.session.place(said)
        self.talk()
        (self.order,) = self.session.blotter.orders.values()
        self.cut()
        self.rules.sequence += 1
        self.rules.cancel(self.order.id)
        self.rules.forget()
        self.link()
        self.talk(2)  # the logon, and the list of open orders
        assert len(self.session.outbox) == 1

    def link(self) -> None:
        self.links += 1
        self.session.linked()

    def cut(self) -> None:
        self.rules.sessions.clear()
        self.session.cut()

    def talk(self, most: int = 100, *, deaf: bool = False) -> None:
        """Carry what is said to the venue, and its answers back, unless `deaf`."""
        while self.session.outbox and most:
            most -= 1
            each = self.session.outbox.popleft()
            each.handed = True
            for _, frame in self.rules.take(self.links, each.frame):
                if not deaf:
                    self.session.receive(frame)

    def state(self) -> OrderState:
        return self.session.blotter.latest(self.order).state


def test_what_was_not_said_before_the_next_break_is_asked_on_the_next_connection():
    line = Line()
    line.cut()
    assert line.state() is OrderState.OPEN
    line.link()
    line.talk()
    assert line.state() is OrderState.CANCELLED


def test_what_was_not_answered_before_the_next_break_is_asked_on_the_next_connection():
    line = Line()
    line.talk(deaf=True)
    line.cut()
    line.link()
    line.talk()
    assert line.state() is OrderState.CANCELLED
    line.cut()
    line.link()
    assert len(line.session.outbox) == 1, "a logon, and no question more"


def test_what_was_throttled_is_not_forgotten():
    line = Line()
    line.session.outbox.clear()
    report = refusal(0, RejectReason.THROTTLED, client_id=client_id_bytes("a"))
    line.session.receive(REPORTS + REPORT_STRUCT.pack(*report))
    assert line.session.blotter.order(line.order.id) == line.order
    asked = line.session.open_orders()
    line.talk()
    assert asked.is_done()
    assert line.state() is OrderState.CANCELLED


# --- orders met late -------------------------------------------------------------------------------


def met_late(deed):
    """Return a session that begins when an order has traded, and that first hears of it by a deed."""
    line = Line()
    said = line.session.write_orders([OrderTicket("QWEN3-MAX", Side.BUY, 10, 1_000)], [ID], NOW + 1)
    line.session.place(said)
    line.talk()
    order = line.rules.ids[ID]
    line.rules.fill(order, 1_000, 4)
    line.rules.sessions.clear()
    line.session = Session()
    line.link()
    line.talk()
    line.rules.sequence += 1
    line.session.receive(REPORTS + REPORT_STRUCT.pack(*deed(line.rules, order)))
    return line, order


ID = client_id_bytes("b")
DEEDS = {
    "reduced": lambda rules, order: rules.reduce(order, 1),
    "cancelled": lambda rules, order: rules.cancel(order),
}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_an_order_met_late_has_the_fees_of_before(deed):
    line, order = met_late(deed)
    assert line.session.blotter.orders[order].filled == 4
    line.talk()
    assert line.session.blotter.orders[order].fees == 4
    assert not line.session.outbox


def test_its_fees_are_asked_for_again_behind_a_break():
    line, order = met_late(DEEDS["cancelled"])
    line.cut()
    line.link()
    line.talk()
    assert line.session.blotter.orders[order].fees == 4


def test_an_order_met_late_of_which_the_venue_forgot_the_id_is_known_all_the_same():
    line, order = met_late(DEEDS["reduced"])
    line.session.outbox.clear()
    report = refusal(0, RejectReason.TOO_OLD, client_id=ID)
    line.session.receive(REPORTS + REPORT_STRUCT.pack(*report))
    assert line.session.blotter.orders[order].filled == 4
