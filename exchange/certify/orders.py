"""Cases of an order's life: placed, filled in part, changed, ended, refused; and that one id is one order."""

from __future__ import annotations

from exchange.certify.case import Case
from exchange.certify.failed import Failed, must
from exchange.certify.scene import Scene
from exchange.client.answers import Order
from exchange.client.errors import OrderRejected
from exchange.client.sync import SyncExchange as Client
from matching.vocabulary import OrderState

NO_LOTS_HAVE = 10**6
"""More lots than the firm has."""

REPORTS = "| reports |"
ONCE = "Each order bears a client id"
AGAIN = "Cancels may be said again too"


def resting(scene: Scene, client: Client, lots: int) -> Order:
    """Place a buy that nobody meets."""
    ticket = client.instruments[scene.symbol].buy(lots, limit=scene.low_price(client))
    order = client.place(ticket, scene.client_id())
    must((order.is_open, order.leaves) == (True, lots), f"it does not rest: {order}")
    return order


def place_and_cancel(scene: Scene) -> None:
    """Place an order, see it open, cancel it, see it gone."""
    with scene.client() as client:
        order = resting(scene, client, 10)
        must([one.id for one in client.orders()] == [order.id], "it is not among the open orders")
        ended = client.cancel(order)
        must(ended.state == OrderState.CANCELLED, f"after the cancel it is {ended.state.name.lower()}")
        must(not client.orders(), "after the cancel it is still open")


def partial_fill(scene: Scene) -> None:
    """Buy more than is offered: what is offered trades, the rest stays open."""
    with scene.maker() as maker, scene.client() as client:
        instrument = client.instruments[scene.symbol]
        offered = maker.place(maker.instruments[scene.symbol].sell(4, limit=instrument.listing.list_price))
        order = client.place(instrument.buy(10, limit=instrument.listing.list_price), scene.client_id())
        must(
            (order.filled, order.leaves) == (4, 6), f"filled {order.filled}, open {order.leaves}, not 4 and 6"
        )
        must(client.cancel(order).filled == 4, "the fill is gone after the cancel")  # noqa: PLR2004
        must(not maker.order(offered).is_open, "the offer is still open")


def reduce_and_replace(scene: Scene) -> None:
    """Take lots off an order, then give it another total and price."""
    with scene.client() as client:
        order = resting(scene, client, 10)
        reduced = client.reduce(order, 3)
        must(reduced.leaves == 7, f"10 less 3 leave {reduced.leaves}")  # noqa: PLR2004
        price = 2 * order.price
        replaced = client.replace(order, price=price, quantity=5)
        must((replaced.price, replaced.leaves) == (price, 5), f"it was replaced by {replaced}")
        must(replaced.id == order.id, "a replaced order has another number")
        client.cancel(order)


def refusal(scene: Scene) -> None:
    """Offer what one has not: the refusal names field, value and remedy, and nothing is open."""
    with scene.client() as client:
        instrument = client.instruments[scene.symbol]
        try:
            client.place(
                instrument.sell(NO_LOTS_HAVE, limit=instrument.listing.list_price), scene.client_id()
            )
        except OrderRejected as rejected:
            must(rejected.code == "credits_not_available", f"it was refused for {rejected.code}")
            must(rejected.field and rejected.remedy, "the refusal names no field or no remedy")
        else:
            raise Failed("an offer of lots that the firm has not was taken")
        must(not client.orders(), "something is open that was refused")


def at_once(scene: Scene) -> None:
    """Market, IOC and FOK: what can trade at once does, and nothing of them rests."""
    with scene.maker() as maker, scene.client() as client:
        instrument = client.instruments[scene.symbol]
        price = instrument.listing.list_price
        maker.place(maker.instruments[scene.symbol].sell(8, limit=price))
        for quantity, wishes, filled in (
            (2, {"type": "market"}, 2),
            (9, {"time_in_force": "fok"}, 0),
            (3, {"time_in_force": "fok"}, 3),
            (9, {"time_in_force": "ioc"}, 3),
        ):
            ticket = instrument.buy(quantity, limit=price, **wishes)  # type: ignore[arg-type]
            order = client.place(ticket, scene.client_id())
            must(order.filled == filled, f"{wishes} of {quantity} lots filled {order.filled}, not {filled}")
            must(not order.is_open, f"{wishes} of {quantity} lots rests")
        maker.cancel_all()


def same_id(scene: Scene) -> None:
    """Send a client id again: it is the same order, as it stands now, in this session and in another."""
    with scene.client() as client:
        order = resting(scene, client, 10)
        client.reduce(order, 4)
        ticket = client.instruments[scene.symbol].buy(10, limit=order.price)
        again = client.place(ticket, order.client_id)
        must((again.id, again.known) == (order.id, True), "the same id became another order")
        must(again.leaves == 6, f"it is told with {again.leaves} lots open, not 6")  # noqa: PLR2004
        with scene.client() as other:
            must(
                other.place(ticket, order.client_id).id == order.id, "in another session it is another order"
            )
        client.cancel(order)
        must(not client.place(ticket, order.client_id).is_open, "sent again after its end it is open again")
        must(not client.orders(), "an order too many is open")


CASES = (
    Case(
        "place-and-cancel",
        "orders",
        "An order rests, is listed, and is cancelled.",
        REPORTS,
        place_and_cancel,
    ),
    Case(
        "partial-fill",
        "orders",
        "A fill in part is told, and the rest stays open.",
        REPORTS,
        partial_fill,
        needs_venue=True,
    ),
    Case("reduce-and-replace", "orders", "An order is reduced and replaced.", AGAIN, reduce_and_replace),
    Case("refusal", "orders", "A refusal names its field and remedy; nothing is done.", REPORTS, refusal),
    Case(
        "at-once",
        "orders",
        "Market, IOC and FOK orders trade at once or end.",
        REPORTS,
        at_once,
        needs_venue=True,
    ),
    Case("same-id", "orders", "The same client id is the same order, always.", ONCE, same_id),
)
