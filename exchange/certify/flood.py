"""Cases of the throttle: too much is refused with the time to wait, and cancels always go through."""

from __future__ import annotations

from exchange.certify.case import Case
from exchange.certify.failed import must
from exchange.certify.peer import buy
from exchange.certify.scene import Scene
from exchange.certify.venue import ORDERS_BURST, ORDERS_PER_SECOND
from exchange.protocol.records import Command, Report
from matching.vocabulary import BOTH_SIDES, CommandKind, EventKind, RejectReason

FLOOD = 2 * ORDERS_BURST

REST_SECONDS = 1.0
"""How long the case rests at its end, so that the next one finds room for its orders."""
LONGEST_WAIT_MS = 60_000


def flood(scene: Scene) -> None:
    """Send twice what the venue takes at once, again with a cancel of all behind it; wait, and go on."""
    with scene.peer() as peer:
        index, price = scene.number_and_price(peer.log_on())
        all_of_them = Command(CommandKind.MASS_CANCEL, side=BOTH_SIDES, client_id=b"cert-all")
        answers: list[Report] = []
        for behind in ((), (all_of_them,)):
            ids = [scene.client_id().encode() for _ in range(FLOOD)]
            peer.command(*(buy(client_id, index, price) for client_id in ids), *behind)
            answers += [peer.report(client_id) for client_id in ids]
        throttled = [one for one in answers if one.reason == RejectReason.THROTTLED]
        taken = [one for one in answers if one.kind == EventKind.ACCEPTED]
        must(len(taken) + len(throttled) == 2 * FLOOD, "an order was neither taken nor throttled")
        must(throttled, f"{FLOOD} orders at once were all taken")
        must(len(taken) <= FLOOD + ORDERS_PER_SECOND, f"{len(taken)} orders at once were taken")
        must(all(0 < one.detail < LONGEST_WAIT_MS for one in throttled), "no time to wait was told")
        done = peer.report(b"cert-all")
        must(done.kind == EventKind.MASS_CANCELLED, "the cancel of all was refused in the midst of the flood")
        must(done.quantity == len(taken), f"{done.quantity} of {len(taken)} orders were cancelled")
        go_on(scene, throttled[-1], index, price)


def go_on(scene: Scene, throttled: Report, index: int, price: int) -> None:
    """Wait as long as was told, and send a throttled order again: its id was free."""
    with scene.peer() as peer:
        peer.log_on()
        peer.hear_for(throttled.detail / 1_000)
        client_id = throttled.client_id.rstrip(b"\0")
        peer.command(buy(client_id, index, price))
        report = peer.report(client_id)
        must(report.kind == EventKind.ACCEPTED, f"after the wait it was refused, by reason {report.reason}")
        peer.hear_for(REST_SECONDS)


CASES = (
    Case(
        "flood",
        "throttle",
        "A flood is throttled with the time to wait; cancels go through; then it goes on.",
        "| more orders than the venue allows a second",
        flood,
        needs_venue=True,
    ),
)
