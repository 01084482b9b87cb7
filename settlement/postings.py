"""What events mean as rows: trades, orders, refusals and signed postings, column by column.

Arrays in, arrays out; money in hao, credits in lots, times in ns, all of them int64. Nothing here
knows a database, a clock or a member's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from matching.vocabulary import EventKind, Phase, Side
from settlement.layout import HOUSE, MONEY, NO_PROGRAMME, client_ids
from settlement.rows import Posting

Columns = dict[str, np.ndarray]
"""One table's new rows: an array a column, all of one length."""

NO_TAKER = 2
"""The taker's side of a trade in an auction, where both orders have rested."""

_STANDING = {"state": "state", "filled_quantity": "filled", "gross": "gross", "subsidy": "paid"}
"""An order's columns that change, and the fields of effects, also with maker_, that tell them. Its
quantity changes too, and is told by its events."""


def _marked(*kinds: EventKind) -> np.ndarray:
    """Return whether a kind of event, at the place of its number, is one of these."""
    marks = np.zeros(256, bool)
    marks[list(kinds)] = True
    return marks


_TELLS_PRICE = _marked(EventKind.ACCEPTED, EventKind.REPLACED, EventKind.TRIGGERED)
"""The events whose price is the order's limit or protection price from then on."""

_TELLS_TOTAL = _TELLS_PRICE | _marked(EventKind.REDUCED)
"""The events whose quantity is the order's total; in others of an order it is what was traded or ended."""

_TOUCHES = _TELLS_TOTAL | _marked(EventKind.TRADED, EventKind.CANCELLED, EventKind.EXPIRED)
"""The events that change their order."""


class PostingAccount(IntEnum):
    """The accounts of the ledger, in the order of the store's words for them."""

    FREE = 0
    RESTRICTED = 1
    DEBT = 2
    FEES = 3
    OUTSIDE = 4
    PROGRAMME = 5
    REDEEMING = 6
    CLAIMS = 7


class _Line(IntEnum):
    """The lines of a trade's entry: money first, then credits, so that assets stand together."""

    BUYER_PAYS = 0
    PROGRAMME_PAYS = 1
    SELLER_EARNS = 2
    HOUSE_EARNS = 3
    BUYER_RECEIVES = 4
    SELLER_GIVES = 5


class OrderColumns(NamedTuple):
    """The orders that entered, and those of earlier flushes that changed."""

    entries: Columns
    changes: Columns


def trade_columns(events: np.ndarray, effects: np.ndarray) -> Columns:
    """Return the trades among the events, told by buyer and seller instead of taker and maker.

    An auction's trades tell the buy in the taker's place.
    """
    rows = np.flatnonzero(events["kind"] == EventKind.TRADED)
    side = events["side"][rows]
    bought = side == Side.BUY
    in_auction = events["phase"][rows] == Phase.AUCTION
    order, maker_order = events["order"][rows], events["maker_order"][rows]
    member, maker_member = effects["member"][rows], effects["maker_member"][rows]
    fee, maker_fee = effects["fee"][rows], effects["maker_fee"][rows]
    return {
        "trade": effects["trade"][rows],
        "entry": effects["entry"][rows],
        "sequence": effects["sequence"][rows],
        "time": effects["time"][rows],
        "instrument": events["instrument"][rows],
        "price": events["price"][rows],
        "quantity": events["quantity"][rows],
        "taker_side": np.where(in_auction, np.uint8(NO_TAKER), side),
        "phase": np.where(in_auction, np.uint8(Phase.AUCTION), np.uint8(Phase.CONTINUOUS)),
        "buy_order": np.where(bought, order, maker_order),
        "sell_order": np.where(bought, maker_order, order),
        "buyer": np.where(bought, member, maker_member),
        "seller": np.where(bought, maker_member, member),
        "buyer_fee": np.where(bought, fee, maker_fee),
        "seller_fee": np.where(bought, maker_fee, fee),
        "subsidy": effects["subsidy"][rows],
        "programme": np.where(bought, effects["programme"][rows], effects["maker_programme"][rows]),
        "terms_version": effects["terms_version"][rows],
    }


def trade_postings(events: np.ndarray, effects: np.ndarray) -> Columns:
    """Return the balanced postings of the trades among the events."""
    return postings_of(trade_columns(events, effects))


def postings_of(trades: Columns) -> Columns:
    """Return the postings of `trade_columns`, entry by entry; lines of nothing are left out.

    The buyer pays the amount and his fee less what the programme pays; the seller gets the amount
    less his fee; the house gets both fees. Credits bought by an order that names a programme are
    restricted. Raises AssertionError, naming the entry, if an entry does not sum to zero.
    """
    amount = trades["price"] * trades["quantity"]
    lines = np.empty((len(amount), len(_Line)), np.int64)
    lines[:, _Line.BUYER_PAYS] = trades["subsidy"] - amount - trades["buyer_fee"]
    lines[:, _Line.PROGRAMME_PAYS] = -trades["subsidy"]
    lines[:, _Line.SELLER_EARNS] = amount - trades["seller_fee"]
    lines[:, _Line.HOUSE_EARNS] = trades["buyer_fee"] + trades["seller_fee"]
    lines[:, _Line.BUYER_RECEIVES] = trades["quantity"]
    lines[:, _Line.SELLER_GIVES] = -trades["quantity"]
    return balanced(_spread(trades, lines))


def _spread(trades: Columns, lines: np.ndarray) -> Columns:
    """Lay the lines of each trade out as rows, one below the other."""
    member = np.full(lines.shape, HOUSE, np.int32)
    member[:, [_Line.BUYER_PAYS, _Line.BUYER_RECEIVES]] = trades["buyer"][:, None]
    member[:, [_Line.SELLER_EARNS, _Line.SELLER_GIVES]] = trades["seller"][:, None]
    account = np.full(lines.shape, PostingAccount.FREE, np.uint8)
    account[:, _Line.PROGRAMME_PAYS] = PostingAccount.PROGRAMME
    account[:, _Line.HOUSE_EARNS] = PostingAccount.FEES
    account[trades["programme"] != NO_PROGRAMME, _Line.BUYER_RECEIVES] = PostingAccount.RESTRICTED
    programme = np.full(lines.shape, NO_PROGRAMME, np.int32)
    programme[:, _Line.PROGRAMME_PAYS] = trades["programme"]
    asset = np.full(lines.shape, MONEY, np.int32)
    asset[:, _Line.BUYER_RECEIVES :] = trades["instrument"][:, None] + 1
    kept = lines != 0
    trade_row = np.flatnonzero(kept) // len(_Line)
    return {
        "entry": trades["entry"][trade_row],
        "sequence": trades["sequence"][trade_row],
        "time": trades["time"][trade_row],
        "trade": trades["trade"][trade_row],
        "member": member[kept],
        "account": account[kept],
        "programme": programme[kept],
        "asset": asset[kept],
        "amount": lines[kept],
    }


def balanced(postings: Columns) -> Columns:
    """Return the postings as they are, if each entry sums to zero, asset by asset.

    Rows of one entry and asset must stand together. Raises AssertionError naming the first entry
    that does not balance: it is never written.
    """
    entry, asset, amount = postings["entry"], postings["asset"], postings["amount"]
    if not len(entry):
        return postings
    begins = np.empty(len(entry), bool)
    begins[0] = True
    begins[1:] = (entry[1:] != entry[:-1]) | (asset[1:] != asset[:-1])
    starts = np.flatnonzero(begins)
    wrong = np.flatnonzero(np.add.reduceat(amount, starts))
    if len(wrong):
        first = starts[wrong[0]]
        end = starts[wrong[0] + 1] if wrong[0] + 1 < len(starts) else len(entry)
        rest = amount[first:end].sum()
        raise AssertionError(
            f"entry {entry[first]}: the postings of asset {asset[first]} sum to {rest}, not to 0"
        )
    return postings


def act_postings(rows: Sequence[Posting], programmes: Mapping[str, int]) -> Columns:
    """Return the balanced postings of acts, sorted by entry and asset.

    `programmes` gives each programme's number: the account "programme:X" is that of programme X,
    "claims:X" what members owe it.
    """
    rows = sorted(rows, key=lambda row: (row.entry, row.asset))
    accounts = [row.account.partition(":") for row in rows]
    numbers = [programmes[code] if code else NO_PROGRAMME for _, _, code in accounts]
    columns: Columns = {
        "entry": np.array([row.entry for row in rows], np.int64),
        "sequence": np.array([row.sequence for row in rows], np.int64),
        "time": np.array([row.time for row in rows], np.int64),
        "member": np.array([row.member for row in rows], np.int32),
        "account": np.array([PostingAccount[word.upper()] for word, _, _ in accounts], np.uint8),
        "programme": np.array(numbers, np.int32),
        "asset": np.array([row.asset for row in rows], np.int32),
        "amount": np.array([row.amount for row in rows], np.int64),
        "reason": np.array([row.reason for row in rows], np.str_),
    }
    return balanced(columns)


def leg_columns(trades: Columns) -> Columns:
    """Return what programmes paid: a subsidy leg for each trade with a subsidy."""
    rows = np.flatnonzero(trades["subsidy"])
    return {
        "sequence": trades["sequence"][rows],
        "time": trades["time"][rows],
        "trade": trades["trade"][rows],
        "order": trades["buy_order"][rows],
        "programme": trades["programme"][rows],
        "terms_version": trades["terms_version"][rows],
        "member": trades["buyer"][rows],
        "amount": trades["subsidy"][rows],
    }


def order_columns(events: np.ndarray, effects: np.ndarray) -> OrderColumns:
    """Return each order that the events touch, once, as its last event leaves it.

    Orders that the events accept come as whole entries, the others as changes. A price of 0 was not told.
    """
    order, last = _last_touch(events)
    kind = events["kind"]
    told = np.flatnonzero(_TELLS_PRICE[kind])
    place = np.searchsorted(order, events["order"][told])
    price = np.zeros(len(order), np.int64)
    price[place] = events["price"][told]  # Where several are told of one order, the last one stays.
    replaced = np.zeros(len(order), bool)
    replaced[place[kind[told] == EventKind.REPLACED]] = True
    standing = {"price": price, "replaced": replaced, **_standing(events, effects, last)}
    accepted, new = told[kind[told] == EventKind.ACCEPTED], place[kind[told] == EventKind.ACCEPTED]
    earlier = np.ones(len(order), bool)
    earlier[new] = False
    entries: Columns = {
        "order": events["order"][accepted],
        "client_id": client_ids(effects["client_id"][accepted]),
        "sequence": effects["sequence"][accepted],
        "time": effects["time"][accepted],
        "member": effects["member"][accepted],
        "instrument": events["instrument"][accepted],
        "side": events["side"][accepted],
        "type": effects["type"][accepted],
        "time_in_force": effects["time_in_force"][accepted],
        "programme": effects["programme"][accepted],
        "subsidy_reserved": effects["subsidy"][accepted],
        **{name: column[new] for name, column in standing.items()},
    }
    changes = {name: column[earlier] for name, column in standing.items()}
    return OrderColumns(entries, {"order": order[earlier], **changes})


def _last_touch(events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each touched order, rising, and its last event: twice the row, plus 1 if as maker."""
    kind = events["kind"]
    own = np.flatnonzero(_TOUCHES[kind])
    made = np.flatnonzero(kind == EventKind.TRADED)
    order = np.concatenate((events["order"][own], events["maker_order"][made]))
    touch = np.concatenate((own << 1, made << 1 | 1))
    if not len(order):
        return order, touch
    ranked = np.argsort(order, kind="stable")  # It finds the runs that are sorted already.
    order, touch = order[ranked], touch[ranked]
    starts = np.flatnonzero(np.concatenate(([True], order[1:] != order[:-1])))
    return order[starts], np.maximum.reduceat(touch, starts)


def _standing(events: np.ndarray, effects: np.ndarray, last: np.ndarray) -> Columns:
    """Return how orders stand after their last events, given as `_last_touch` does."""
    row = last >> 1
    made = np.flatnonzero(last & 1)
    made_row = row[made]
    columns: Columns = {"last_sequence": effects["sequence"][row], "quantity": _totals(events, effects, last)}
    for column, field in _STANDING.items():
        columns[column] = effects[field][row]
        columns[column][made] = effects["maker_" + field][made_row]
    return columns


def _totals(events: np.ndarray, effects: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return the total quantity of orders after their last events: what is filled, open, and ended."""
    row = last >> 1
    kind, quantity = events["kind"][row], events["quantity"][row]
    traded = kind == EventKind.TRADED
    unfilled = np.where(traded, events["leaves"][row], quantity)
    totals: np.ndarray = np.where(_TELLS_TOTAL[kind], quantity, effects["filled"][row] + unfilled)
    made = np.flatnonzero(last & 1)
    totals[made] = effects["maker_filled"][row[made]] + events["maker_leaves"][row[made]]
    return totals


def refusal_columns(events: np.ndarray, effects: np.ndarray) -> Columns:
    """Return the refused commands among the events; `reason` is still the reject reason's code."""
    rows = np.flatnonzero(events["kind"] == EventKind.REJECTED)
    return {
        "sequence": effects["sequence"][rows],
        "time": effects["time"][rows],
        "member": effects["member"][rows],
        "client_id": client_ids(effects["client_id"][rows]),
        "instrument": events["instrument"][rows],
        "reason": events["reason"][rows],
        "detail": effects["detail"][rows],
    }
