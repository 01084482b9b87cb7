"""What the settlement store knows of one trade or one order, asked by SQL over its public tables.

A firm's SQL finds its own rows: the other side's order, fees and postings are then missing, and None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

Row = dict[str, Any]
Ask = Callable[[str, Sequence[int | str]], list[Row]]
"""Answers one statement, a `?` for each parameter."""

ROWS_MAX = 1_000
"""Most rows of one sort that are read: of the trades of a large auction, say, the first."""

_TRADE = "select * from trades where trade = ?"
_TRADES_OF = """
select trade, price, quantity, buy_order, sell_order, phase from trades
where sequence = ? and instrument = ? order by trade limit ?
"""
_UNCROSS = """
select count(*) as trades, sum(quantity)::bigint as volume from trades
where sequence = ? and instrument = ? and price = ? and phase = 'auction'
"""
_REFERENCE = """
select phase, reference, cause, who, why from phases
where instrument = ? and sequence <= ? order by sequence desc limit 2
"""
_ORDER = 'select * from orders where "order" = ?'
_FILLS = """
select x.*, t.phase, t.programme, t.terms_version, t.entry from executions as x
left join trades as t on t.trade = x.trade
where x."order" = ? order by x.execution
"""
_INSTRUMENT = "select * from instruments where instrument = ?"
_MEMBER = "select * from members where member = ?"
_TERMS = "select * from terms where programme = ? and terms_version = ?"
_POSTINGS = "select * from postings where entry = ?"
_LEGS = 'select * from subsidy_legs where "order" = ? order by sequence'
_BUSTS = 'select b.* from busts as b inner join executions as x on x.trade = b.trade where x."order" = ?'
_BUST = "select * from busts where trade = ?"
_BEFORE = """
select "order", member, price, sequence, type, replaced, state, last_sequence from orders
where instrument = ? and side = ? and "order" <> ? and sequence < ? and last_sequence >= ?
  and type in ('limit', 'stop_limit')
  and (case when side = 'buy' then price > ? else price < ? end or (price = ? and sequence < ?))
order by sequence limit ?
"""
_REFUSALS = """
select * from refusals
where sequence = ? or (client_id = ? and client_id <> '' and member = ?) order by sequence limit ?
"""


class OrderRows(msgspec.Struct, frozen=True):
    """An order, its fills, the legs that programmes paid for it, and which of its trades were busted."""

    order: Row
    fills: list[Row]
    legs: list[Row]
    busts: list[Row]
    instrument: Row
    member: Row | None
    terms: Row | None


class TradeRows(msgspec.Struct, frozen=True):
    """A trade and its two orders, None where the asker may not see one, and what the command brought else.

    `before` are orders that stood before the one that rested, as they were last told.
    """

    trade: Row
    buy: OrderRows | None
    sell: OrderRows | None
    beside: list[Row]
    uncross: Row
    phases: list[Row]
    postings: list[Row]
    bust: Row | None
    before: list[Row]


class Missing(Exception):
    """There is no such trade or order among what the asker may see."""


def trade_rows(ask: Ask, number: int) -> TradeRows:
    """Return what is known of a trade. Raises `Missing`."""
    trade = _one(ask(_TRADE, (number,)))
    if trade is None:
        raise Missing(f"trade {number}: there is none yet; `bourse trades INSTRUMENT` lists them")
    buy, sell = (_order(ask, trade[f"{side}_order"]) for side in ("buy", "sell"))
    command = (trade["sequence"], trade["instrument"])
    rested = {"buy": sell, "sell": buy}.get(trade["taker_side"] or "")
    return TradeRows(
        trade=trade,
        buy=buy,
        sell=sell,
        beside=ask(_TRADES_OF, (*command, ROWS_MAX)),
        uncross=ask(_UNCROSS, (*command, trade["price"]))[0],
        phases=ask(_REFERENCE, (trade["instrument"], trade["sequence"])),
        postings=[] if trade["entry"] is None else ask(_POSTINGS, (trade["entry"],)),
        bust=_one(ask(_BUST, (number,))),
        before=[] if rested is None else _before(ask, rested.order, trade["sequence"]),
    )


def order_rows(ask: Ask, number: int) -> OrderRows | None:
    """Return what is known of an order, None if the asker sees none of that number."""
    return _order(ask, number)


def refusal_rows(ask: Ask, number: int, order: Row | None) -> list[Row]:
    """Return what was refused under this sequence, or under an order's client id."""
    client_id, member = ("", "") if order is None else (order["client_id"], order["member"])
    return ask(_REFUSALS, (number, client_id, member, ROWS_MAX))


def _order(ask: Ask, number: int | None) -> OrderRows | None:
    """Return an order with what hangs on it."""
    order = None if number is None else _one(ask(_ORDER, (number,)))
    if order is None:
        return None
    fills = ask(_FILLS, (order["order"],))
    legs = ask(_LEGS, (order["order"],)) if order["programme"] else []
    versions = [row["terms_version"] for row in (*fills, *legs) if row["terms_version"] is not None]
    terms = _one(ask(_TERMS, (order["programme"], versions[0]))) if versions else None
    return OrderRows(
        order=order,
        fills=fills,
        legs=legs,
        busts=ask(_BUSTS, (order["order"],)),
        instrument=ask(_INSTRUMENT, (order["instrument"],))[0],
        member=_one(ask(_MEMBER, (order["member"],))),
        terms=terms,
    )


def _before(ask: Ask, order: Row, sequence: int) -> list[Row]:
    """Return the orders that stood before one when it traded: at a better price, or earlier at its own."""
    price, entered = order["price"], order["sequence"]
    side = (order["instrument"], order["side"], order["order"], sequence, sequence)
    return ask(_BEFORE, (*side, price, price, price, entered, ROWS_MAX))


def _one(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None
