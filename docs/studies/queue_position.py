"""Find how long an order of one's own waits in the queue.

    python docs/studies/queue_position.py sandbox --seconds 10

At one price the first order is filled first. So the lots ahead of an order say how long it will wait, and
what its place is worth (C. Moallemi and K. Yuan, "A model for queue position valuation in a limit order
book", Columbia, 2016). Two sources, which complete each other:

- The live book, order by order, tells the lots ahead of an open order exactly, now.
- History tells how it went with earlier orders: when they came, when they were first filled, and how many
  lots traded at their price before that. By price-time priority all of these stood ahead of the order. So
  they are the least that stood ahead when it came; what was cancelled ahead of it history does not tell a
  firm, because orders of others are not its to see.

It needs a firm's or a provider's own profile: the orders are one's own.
"""

from __future__ import annotations

import argparse
import time

import polars as pl

from exchange import connect_sync
from exchange.client.errors import Timeout
from exchange.client.sync import SyncExchange

ORDERS_MAX = 10_000
"""Most orders of the past that are looked at: the newest."""

MICROSECONDS = 1_000_000
"""Of a second."""


# --- 1. How it went: orders that rested --------------------------------------------------------------

# Orders that were replaced are left out: a new price or more lots is a new place in the queue.
RESTED = """
with mine as (
    select "order", sequence, time, instrument, side, price, quantity, filled_quantity, state
    from orders
    where member = ? and type = 'limit' and time_in_force not in ('ioc', 'fok') and not replaced
    order by "order" desc limit ?
),
filled as (
    select "order", min(trade) as trade, min(time) as time, bool_and(maker) as waited
    from executions where member = ? and not busted
    group by "order"
)
select
    m."order", m.instrument, m.side, m.price, m.quantity, m.filled_quantity, m.state,
    epoch_us(f.time) - epoch_us(m.time) as waited_us,
    (
        select coalesce(sum(t.quantity), 0)::bigint
        from trades as t
        where t.instrument = m.instrument and t.price = m.price and t.sequence > m.sequence
            and t.taker_side <> m.side and t.trade < f.trade
    ) as ahead
from mine as m
left join filled as f using ("order")
where f.waited is null or f.waited
order by m."order"
"""


def rested(ex: SyncExchange) -> tuple[pl.DataFrame, int]:
    """Return one's own orders that waited in a queue, those never filled with nulls."""
    table = ex.history.sql(RESTED, [ex.member, ORDERS_MAX, ex.member])
    orders = table.to_polars()
    if orders.is_empty():
        raise SystemExit(f"{ex.member} has had no order in a queue yet: place a limit order that waits")
    return orders, table.sequence


def summary(orders: pl.DataFrame) -> pl.DataFrame:
    """Return, by how much stood ahead, how many were filled and how long that took."""
    filled = pl.col("waited_us").is_not_null()
    return (
        orders.with_columns(
            ahead_at_least=pl.when(~filled)
            .then(pl.lit("not filled"))
            .when(pl.col("ahead") == 0)
            .then(pl.lit("none"))
            .when(pl.col("ahead") <= pl.col("quantity"))
            .then(pl.lit("up to its own lots"))
            .otherwise(pl.lit("more than its own"))
        )
        .group_by("instrument", "ahead_at_least")
        .agg(
            orders=pl.len(),
            lots=pl.col("quantity").sum(),
            ahead_mean=pl.col("ahead").filter(filled).mean(),
            waited_seconds_median=pl.col("waited_us").median() / MICROSECONDS,
        )
        .sort("instrument", "ahead_at_least")
    )


# --- 2. How it stands: the place of open orders, watched ----------------------------------------------


def watched(ex: SyncExchange, seconds: float) -> pl.DataFrame:
    """Return the lots and orders ahead of each open order at each change of its book, for some seconds."""
    rows: list[tuple[int, str, int, int, int]] = []
    mine = [order for order in ex.orders() if order.price]
    for symbol in sorted({order.instrument for order in mine}):
        own = [order for order in mine if order.instrument == symbol]
        until = time.monotonic() + seconds
        try:
            for book in ex.books(symbol, depth=None, orders=True, timeout=seconds):
                places = ((order, book.place_of(order)) for order in own if book.is_live)
                rows += [
                    (book.sequence, symbol, order.id, place.lots, place.orders)
                    for order, place in places
                    if place is not None
                ]
                if time.monotonic() >= until:
                    break
        except Timeout:
            continue  # nothing more happened: what was seen is all there is
    return pl.DataFrame(
        rows, schema=["sequence", "instrument", "order", "lots_ahead", "orders_ahead"], orient="row"
    )


# --- 3. What is found --------------------------------------------------------------------------------


def finding(orders: pl.DataFrame, places: pl.DataFrame, member: str, sequence: int) -> str:
    """Return the finding as a paragraph."""
    filled = orders.filter(pl.col("waited_us").is_not_null())
    told = (
        f"{member} had {len(orders)} orders in a queue, and {len(filled) / len(orders):.0%} of them were "
        "filled at least in part"
    )
    if len(filled):
        waited, ahead = filled.select(pl.col("waited_us", "ahead").median()).row(0)
        told += (
            f": the median one after {waited / MICROSECONDS:.1f} seconds, with at least {ahead:g} lots ahead "
            "of it when it came. Orders that were never filled, or are open still, would have waited "
            "longer: the median speaks of the others"
        )
    told += ". "
    if places.is_empty():
        told += "None of its orders stands in a book now. "
    else:
        last = places.group_by("order").last().select(pl.len(), pl.col("lots_ahead").median()).row(0)
        told += f"Orders that stand in books now: {last[0]}, the median one behind {last[1]:g} lots. "
    return told + f"As of sequence {sequence}."


def study(ex: SyncExchange, seconds: float) -> pl.DataFrame:
    """Print the tables and the finding; return how it went by what stood ahead."""
    orders, sequence = rested(ex)
    assert (orders["waited_us"].drop_nulls() >= 0).all(), "no order is filled before it comes"
    table, places = summary(orders), watched(ex, seconds)
    risen = places.select((pl.col("lots_ahead").diff().over("order") > 0).any()).item()
    assert not risen, "nobody gets ahead of an order that waits and is not replaced"
    print(table)
    print(places)
    print(finding(orders, places, ex.member, sequence))
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How long does an order of mine wait in the queue?")
    parser.add_argument("profile", help="whose orders: a firm's or provider's profile")
    parser.add_argument(
        "--seconds",
        type=float,
        default=10,
        help="how long to watch each book with an open order, one after the other",
    )
    wanted = parser.parse_args()
    with connect_sync(wanted.profile) as opened:
        study(opened, wanted.seconds)
