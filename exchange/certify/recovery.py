"""Cases of the venue's crash: what was answered is there, what was not is settled by sending it again."""

from __future__ import annotations

from exchange.certify.case import Case
from exchange.certify.failed import must
from exchange.certify.peer import buy
from exchange.certify.scene import Scene
from exchange.client.errors import OutcomeUnknown
from exchange.client.sync import SyncExchange as Client
from matching.vocabulary import EventKind

BACK_SECONDS = 120.0
"""How long the venue may take to be back: a first compilation among it."""

ANSWERED = 5


def killed(scene: Scene) -> None:
    """Kill the venue's trading process with answered orders and one in flight; each is there, once."""
    assert scene.venue is not None
    with scene.client() as client:
        instrument = client.instruments[scene.symbol]
        ticket = instrument.buy(1, limit=scene.low_price(client))
        ids = {client.place(ticket, scene.client_id()).id for _ in range(ANSWERED)}
        scene.venue.kill_sequencer()
        in_doubt = scene.client_id()
        try:
            order = client.place(ticket, in_doubt, timeout=BACK_SECONDS)
        except OutcomeUnknown:
            order = client.place(ticket, in_doubt, timeout=BACK_SECONDS)
        ids.add(order.id)
        check_open(client, ids, "after the crash")
        must(client.place(ticket, in_doubt).id == order.id, "sent again it became another order")
        check_open(client, ids, "after it was sent again")
        client.cancel_all()


def check_open(client: Client, ids: set[int], when: str) -> None:
    """See that exactly these orders are open."""
    found = sorted(one.id for one in client.orders())
    must(found == sorted(ids), f"{when} the orders {found} are open, not {sorted(ids)}")


def resumed(scene: Scene) -> None:
    """Resume across the restart: the welcome tells from where on, and what comes then comes once."""
    assert scene.venue is not None
    before, after = scene.client_id().encode(), scene.client_id().encode()
    with scene.peer() as peer:
        index, price = scene.number_and_price(peer.log_on())
        peer.command(buy(before, index, price))
        since = peer.report(before).sequence
    scene.venue.kill_sequencer()
    scene.client(BACK_SECONDS).close()  # it waits for the venue
    with scene.peer() as peer:
        welcome = peer.log_on(since=since)
        must(since <= welcome.resumed <= welcome.sequence, f"reports follow from {welcome.resumed}")
        peer.command(buy(after, index, price))
        report = peer.report(after)
        must(report.kind == EventKind.ACCEPTED, f"after the restart an order was refused: {report.reason}")
        peer.hear_for(0.5)
        late = [
            one for one in peer.reports if one.sequence <= welcome.resumed or one.sequence == report.sequence
        ]
        must(not late, f"reports came twice: {[one.sequence for one in late]}")
    with scene.client() as client:
        must(len(client.orders()) == 2, "not both orders are open, of before and after the crash")  # noqa: PLR2004


CRASH = "| the venue stops or crashes |"

CASES = (
    Case(
        "killed",
        "recovery",
        "Answered orders outlive a crash; an unanswered one is settled by sending it again.",
        CRASH,
        killed,
        needs_venue=True,
    ),
    Case(
        "resumed-after-crash",
        "recovery",
        "A session resumes across the venue's restart.",
        "| `Logon` with `since` |",
        resumed,
        needs_venue=True,
    ),
)
