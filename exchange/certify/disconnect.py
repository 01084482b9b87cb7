"""Cases of the lost connection: sent again it is one order; guards do their work; nothing is missed."""

from __future__ import annotations

from time import monotonic

from exchange.certify.case import Case
from exchange.certify.failed import must
from exchange.certify.peer import PATIENCE_SECONDS, Peer, buy
from exchange.certify.relay import Relay
from exchange.certify.scene import Scene
from exchange.protocol.messages import Armed, AskOrders, CancelAllAfter, Orders
from exchange.protocol.records import Report
from matching.vocabulary import EventKind, RejectReason

IN_FLIGHT_SECONDS = 20.0
"""How long a client may take to connect anew and to say an order again."""


def cut_in_flight(scene: Scene) -> None:
    """Cut the line behind an order, before its answer: the client sends it again, and it is one order."""
    relay = Relay(scene.firm.endpoints.orders)
    try:
        with scene.client_through(relay) as client:
            ticket = client.instruments[scene.symbol].buy(5, limit=scene.low_price(client))
            relay.cut_behind_next_order()
            order = client.place(ticket, scene.client_id(), timeout=IN_FLIGHT_SECONDS)
            must(relay.cuts == 1, f"the line was cut {relay.cuts} times, not once")
            found = [(one.id, one.leaves) for one in client.orders()]
            must(found == [(order.id, 5)], f"after the cut there are {found}")
            client.cancel(order)
    finally:
        relay.close()


def placed(scene: Scene, peer: Peer, *, guarded: bool = False) -> tuple[int, int]:
    """Log on and place an order; return its number, and the sequence of its report."""
    client_id = scene.client_id().encode()
    index, price = scene.number_and_price(peer.log_on(cancel_on_disconnect=guarded))
    peer.command(buy(client_id, index, price))
    report = peer.report(client_id)
    must(report.kind == EventKind.ACCEPTED, f"the order was answered {reason_of(report)}")
    return report.order, report.sequence


def reason_of(report: Report) -> str:
    """Return the kind and the reason of a report, in words."""
    return f"{EventKind(report.kind).name.lower()} {RejectReason(report.reason).name.lower()}"


def cancelled(peer: Peer, order: int, reason: RejectReason) -> Report:
    """Wait for the report that an order was cancelled, for this reason."""
    report = peer.report(kind=EventKind.CANCELLED)
    must((report.order, report.reason) == (order, reason), f"it was {reason_of(report)}")
    return report


def is_open(peer: Peer, order: int) -> bool:
    """Ask whether an order is open."""
    number = peer.next_request()
    peer.say(AskOrders(number))
    return order.to_bytes(8, "little") in peer.hear(Orders, number).reports


def cancel_on_disconnect(scene: Scene) -> None:
    """Lose a session that asked for cancel on disconnect: all orders go, and another session hears why."""
    with scene.peer() as watching:
        watching.log_on()
        lost = scene.peer()
        try:
            order, _ = placed(scene, lost, guarded=True)
        finally:
            lost.cut()
        cancelled(watching, order, RejectReason.SESSION_LOST)


def disconnect_without(scene: Scene) -> None:
    """Lose a session that asked for nothing: the order stays."""
    with scene.peer() as lost:
        order, _ = placed(scene, lost)
    with scene.peer() as peer:
        peer.log_on()
        peer.hear_for(2.0)
        must(is_open(peer, order), "the order went with its session, unasked")


def arm(peer: Peer, seconds: int) -> int:
    """Arm the dead-man's switch; return when it goes off, in ns since 1970."""
    number = peer.next_request()
    peer.say(CancelAllAfter(number, seconds))
    return peer.hear(Armed, number).until


def dead_man(scene: Scene) -> None:
    """Arm the switch and fall silent: when the time is over the orders go, and not before."""
    with scene.peer() as peer:
        order, _ = placed(scene, peer)
        until = arm(peer, 1)
        report = cancelled(peer, order, RejectReason.DEAD_MAN)
        must(report.time >= until, "the orders went before the time was over")


def dead_man_put_off(scene: Scene) -> None:
    """Put the switch off: it counts from then on. Disarmed, it does not go off at all."""
    with scene.peer() as peer:
        order, _ = placed(scene, peer)
        first = arm(peer, 4)
        peer.hear_for(1.0)
        second = arm(peer, 4)
        must(second > first, "saying it again put nothing off")
        report = cancelled(peer, order, RejectReason.DEAD_MAN)
        must(report.time >= second, "the orders went when the first time was over")
        order, _ = placed(scene, peer)
        arm(peer, 3)
        must(arm(peer, 0) == 0, "0 did not disarm it")
        peer.hear_for(4.0)
        must(is_open(peer, order), "the orders went though the switch was disarmed")


def resume(scene: Scene) -> None:
    """Be away while things happen, and come back with `since`: exactly what was missed, in order, once."""
    with scene.peer() as witness:
        index, price = scene.number_and_price(witness.log_on())
        with scene.peer() as away:
            _, since = placed(scene, away)
        ids = [scene.client_id().encode() for _ in range(3)]
        for client_id in ids:
            witness.command(buy(client_id, index, price))
            witness.report(client_id)
        seen = missed_by(witness, ids)
        with scene.peer() as back:
            welcome = back.log_on(since=since)
            must(welcome.resumed == since, f"reports follow from {welcome.resumed}, not from {since}")
            end = monotonic() + PATIENCE_SECONDS
            while len(back.reports) < len(ids) and monotonic() < end:
                back.take(0.1)
            back.hear_for(0.5)
            told = [one.sequence for one in back.reports]
            must(told == seen, f"the reports of {told} came, not those of {seen}")


def missed_by(witness: Peer, ids: list[bytes]) -> list[int]:
    """Return the sequences of orders by asking for them: each is named by its own."""
    number = witness.next_request()
    witness.say(AskOrders(number))
    reports = witness.hear(Orders, number).reports
    names = {client_id.ljust(24, b"\0") for client_id in ids}
    from exchange.protocol.records import REPORT_STRUCT

    rows = (Report._make(row) for row in REPORT_STRUCT.iter_unpack(reports))
    return sorted(row.order for row in rows if row.client_id in names)


LOST = "| the connection is lost"
GUARDED = "| `Logon` with `cancel_on_disconnect` |"
SWITCH = "| `CancelAllAfter(seconds)` |"

CASES = (
    Case(
        "cut-in-flight",
        "disconnect",
        "An order whose answer was lost is sent again, and is one order.",
        "Each order bears a client id",
        cut_in_flight,
    ),
    Case(
        "unguarded",
        "disconnect",
        "Without a guard, orders stay when the session is lost.",
        LOST,
        disconnect_without,
    ),
    Case(
        "cancel-on-disconnect",
        "disconnect",
        "With cancel on disconnect they go, and say so.",
        GUARDED,
        cancel_on_disconnect,
    ),
    Case("dead-man", "disconnect", "The dead-man's switch goes off in time.", SWITCH, dead_man),
    Case("dead-man-put-off", "disconnect", "It can be put off, and disarmed.", SWITCH, dead_man_put_off),
    Case("resume", "disconnect", "What was missed comes once, in order.", "| `Logon` with `since` |", resume),
)
