"""What a firm does in the market: place, replace and cancel orders, see them and their fills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import click

from exchange.cli.base import bourse, connected, count, print_json, print_table, with_json, with_profile
from exchange.client.answers import Order
from exchange.client.money import yuan
from exchange.client.tickets import Wishes
from matching.vocabulary import OrderType, SelfTrade, TimeInForce

ORDER_COLUMNS = (
    "order",
    "client id",
    "instrument",
    "side",
    "type",
    "price",
    "stop price",
    "quantity",
    "filled",
    "leaves",
    "state",
    "subsidy",
)


def order_row(order: Order) -> tuple[object, ...]:
    """Return an order as a line of a table: prices and amounts in yuan, quantities in lots."""
    return (
        order.id,
        order.client_id,
        order.instrument,
        order.side.name.lower(),
        order.type.name.lower(),
        yuan(order.price),
        yuan(order.stop_price) if order.stop_price else "",
        order.quantity,
        order.filled,
        order.leaves,
        order.state.name.lower(),
        yuan(order.subsidy),
    )


def order_facts(order: Order) -> dict[str, object]:
    """Return an order as JSON: amounts in hao, quantities in lots."""
    return {
        "order": order.id,
        "client_id": order.client_id,
        "instrument": order.instrument,
        "side": order.side.name.lower(),
        "type": order.type.name.lower(),
        "price": order.price,
        "stop_price": order.stop_price,
        "quantity": order.quantity,
        "filled": order.filled,
        "leaves": order.leaves,
        "state": order.state.name.lower(),
        "gross": order.gross,
        "fees": order.fees,
        "subsidy": order.subsidy,
        "reserved": order.reserved,
        "programme": order.programme,
        "time_in_force": order.time_in_force.name.lower(),
        "reason": order.reason,
        "known": order.known,
        "sequence": order.sequence,
    }


def show_order(order: Order, *, as_json: bool) -> None:
    """Print one order."""
    if as_json:
        print_json(order_facts(order))
    else:
        facts = zip(ORDER_COLUMNS, order_row(order), strict=True)
        print_table(f"order {order.id}", ("what", "now"), [fact for fact in facts if fact[1] != ""])


def show_orders(state: str, orders: Sequence[Order], *, as_json: bool) -> None:
    """Print orders that are all in one state."""
    if as_json:
        print_json({"orders": [order_facts(order) for order in orders]})
    else:
        print_table(count(orders, f"{state} order"), ORDER_COLUMNS, map(order_row, orders))


@bourse.command(epilog="Example: bourse instruments --kind model --match qwen")
@with_profile("sandbox")
@click.option("--kind", type=click.Choice(["model", "agent", "compute"]), help="Only this kind.")
@click.option("--match", "text", default="", help="Only symbols or names with this text.")
@with_json
def instruments(profile: str, kind: str | None, text: str, *, as_json: bool) -> None:
    """List what is traded: symbol, kind, provider, tick and list price."""
    with connected(profile) as exchange:
        listed = [
            instrument
            for instrument in exchange.instruments.values()
            if (kind is None or instrument.listing.kind == kind)
            and text.lower() in f"{instrument.symbol} {instrument.listing.name}".lower()
        ]
    if as_json:
        print_json(
            {
                "instruments": [
                    {
                        "symbol": one.symbol,
                        "kind": one.listing.kind,
                        "provider": one.listing.provider,
                        "tick": one.tick,
                        "list_price": one.listing.list_price,
                        "domestic": one.listing.domestic,
                    }
                    for one in listed
                ]
            }
        )
        return
    print_table(
        f"{count(listed, 'instrument')} (yuan a lot)",
        ("symbol", "kind", "provider", "tick", "list price", "domestic"),
        [
            (
                one.symbol,
                one.listing.kind,
                one.listing.provider,
                yuan(one.tick),
                yuan(one.listing.list_price),
                "yes" if one.listing.domestic else "no",
            )
            for one in listed
        ],
    )


@bourse.command(
    epilog="Example: bourse place buy QWEN3-MAX 250 12.35 --programme HZ-VOUCHER-2026 --id rebal-0001"
)
@click.argument("side", type=click.Choice(["buy", "sell"]))
@click.argument("instrument")
@click.argument("quantity", type=int)
@click.argument("price", required=False)
@click.option(
    "--type",
    type=click.Choice([word.name.lower() for word in OrderType]),
    default="limit",
    show_default=True,
    help="How it finds its price.",
)
@click.option("--stop-price", metavar="YUAN", help="Of a stop: the price at which it begins to trade.")
@click.option("--trail", metavar="YUAN", help="Of a trailing stop: how far it follows behind the last price.")
@click.option("--programme", help="Programme that is to pay its part of a buy.")
@click.option(
    "--time-in-force",
    "--tif",
    type=click.Choice([word.name.lower() for word in TimeInForce]),
    help="How long it may rest.",
)
@click.option(
    "--expires-at",
    type=click.DateTime(),
    callback=lambda _context, _option, time: time and time.astimezone(),
    help="When it expires, in this machine's time.",
)
@click.option("--post-only", is_flag=True, help="Refuse it if it would trade at once.")
@click.option("--display-quantity", type=int, help="Lots that it shows at a time.")
@click.option("--minimum-quantity", type=int, help="Lots that must trade at once, else it is cancelled.")
@click.option(
    "--self-trade",
    type=click.Choice([word.name.lower() for word in SelfTrade]),
    default="none",
    help="What is done where it would meet an order of your own group.",
)
@click.option("--id", "client_id", help="Your own id, 1 to 24 characters; sent twice, it is one order.")
@with_profile("sandbox")
@with_json
def place(
    side: str,
    instrument: str,
    quantity: int,
    price: str | None,
    programme: str | None,
    client_id: str | None,
    profile: str,
    *,
    as_json: bool,
    **wishes: Unpack[Wishes],
) -> None:
    """Place an order: QUANTITY in lots, PRICE in yuan a lot.

    PRICE is a limit. Of a market, a stop or a trailing stop order it is the worst price that it may trade
    at; without one the venue finds it from the collar.
    """
    with connected(profile) as exchange:
        traded = exchange.instruments[instrument]
        make = traded.buy if side == "buy" else traded.sell
        ticket = make(quantity, limit=price, programme=programme, **wishes)
        show_order(exchange.place(ticket, client_id=client_id), as_json=as_json)


@bourse.command(epilog="Example: bourse cancel 20417")
@click.argument("order", type=int, required=False)
@click.option("--all", "is_all", is_flag=True, help="Cancel all of your open orders.")
@click.option("--instrument", help="With --all: only those of this instrument.")
@click.option("--side", type=click.Choice(["buy", "sell"]), help="With --all: only those of this side.")
@with_profile("sandbox")
@with_json
def cancel(
    order: int | None, instrument: str | None, side: str | None, profile: str, *, is_all: bool, as_json: bool
) -> None:
    """Cancel one of your open orders by the venue's number, or all of them."""
    if is_all == (order is not None):
        raise click.UsageError("give the number of an order, or --all")
    if (instrument or side) and not is_all:
        raise click.UsageError("--instrument and --side go with --all")
    with connected(profile) as exchange:
        if order is not None:
            show_order(exchange.cancel(order), as_json=as_json)
        else:
            ended = exchange.cancel_all(instrument=instrument, side=side)
            show_orders("cancelled", [one for one in ended if isinstance(one, Order)], as_json=as_json)


@bourse.command(epilog="Example: bourse reduce 20417 50")
@click.argument("order", type=int)
@click.argument("quantity", type=int)
@with_profile("sandbox")
@with_json
def reduce(order: int, quantity: int, profile: str, *, as_json: bool) -> None:
    """Take QUANTITY lots off one of your open orders, which keeps its place."""
    with connected(profile) as exchange:
        show_order(exchange.reduce(order, quantity), as_json=as_json)


@bourse.command(epilog="Example: bourse replace 20417 --price 12.40 --quantity 300")
@click.argument("order", type=int)
@click.option("--price", metavar="YUAN", help="The new limit, or worst price; without it, as it is.")
@click.option("--quantity", type=int, help="The new total in lots, what is filled among it.")
@click.option("--stop-price", metavar="YUAN", help="Of a parked stop: where it waits from now on.")
@with_profile("sandbox")
@with_json
def replace(
    order: int,
    price: str | None,
    quantity: int | None,
    stop_price: str | None,
    profile: str,
    *,
    as_json: bool,
) -> None:
    """Give one of your open orders another price or total, in one act.

    It keeps its place if its price stays and its total does not grow.
    """
    if price is None and quantity is None and stop_price is None:
        raise click.UsageError("give --price, --quantity or --stop-price")
    with connected(profile) as exchange:
        replaced = exchange.replace(order, price=price, quantity=quantity, stop_price=stop_price)
        show_order(replaced, as_json=as_json)


@bourse.command(epilog="Example: bourse orders --as sandbox")
@with_profile("sandbox")
@with_json
def orders(profile: str, *, as_json: bool) -> None:
    """List your open orders."""
    with connected(profile) as exchange:
        resting = exchange.orders()
    show_orders("open", resting, as_json=as_json)


@bourse.command(epilog="Example: bourse fills --since 20417")
@click.option("--since", default=0, help="Only fills after this sequence.")
@click.option("--limit", default=50, show_default=True, help="At most so many, the newest.")
@with_profile("sandbox")
@with_json
def fills(since: int, limit: int, profile: str, *, as_json: bool) -> None:
    """List your fills: price, quantity, fee, and what a programme paid."""
    with connected(profile) as exchange:
        rows = exchange.history.fills(since=since, limit=limit).rows()
    if as_json:
        print_json({"fills": rows})
        return
    print_table(
        f"{count(rows, 'fill')} (yuan)",
        ("sequence", "trade", "order", "instrument", "side", "price", "quantity", "fee", "subsidy"),
        [
            (
                row["sequence"],
                row["trade"],
                row["order"],
                row["instrument"],
                row["side"],
                yuan(row["price"]),
                row["quantity"],
                yuan(row["fee"]),
                yuan(row["subsidy"]),
            )
            for row in rows
        ],
    )
