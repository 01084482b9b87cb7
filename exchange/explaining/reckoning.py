"""Why a trade has its price, its quantity, its fees and its subsidy: each reckoned anew and held against
what was stored, with the functions of `settlement.reference_orders`. Pure: rows in, an explanation out.
"""  # noqa: D205

from __future__ import annotations

from typing import Literal

import msgspec

from exchange.explaining.fees import Fee, fee_of
from exchange.explaining.rows import OrderRows, Row, TradeRows
from exchange.explaining.subsidies import Subsidy, reckon_subsidy
from settlement.reference_orders import share

Moment = dict[str, object]


FILLS_MAX = 500
"""Of how many of an order's fills each is reckoned by itself; a life of more is seldom read."""


class Check(msgspec.Struct, frozen=True):
    """One number: what it is, as it was reckoned, as it is stored."""

    what: str
    reckoned: int
    stored: int

    @property
    def holds(self) -> bool:
        """Tell whether the two are one."""
        return self.reckoned == self.stored


class Price(msgspec.Struct, frozen=True):
    """Why this price, in hao a lot. `maker` and `taker` are orders; in an auction there are none.

    Of an auction: how many trades and lots its price brought, and the reference price, if there was one.
    """

    rule: Literal["maker", "auction"]
    price: int
    maker: int | None = None
    taker: int | None = None
    maker_side: str = ""
    trades: int = 0
    volume: int = 0
    reference: int | None = None
    buy_limit: int | None = None
    sell_limit: int | None = None


class Quantity(msgspec.Struct, frozen=True):
    """Why so many lots: what each order had open just before, None where it is not shown or not kept."""

    quantity: int
    buy_open: int | None
    sell_open: int | None


class Turn(msgspec.Struct, frozen=True):
    """Whose turn it was. `earlier` are the command's trades before this one.

    `before` are orders that, as they were last told, stood before the one that rested, and did not trade.
    """

    entered: int | None
    earlier: tuple[Row, ...]
    before: tuple[Row, ...]


class Posted(msgspec.Struct, frozen=True):
    """The ledger's lines, and what each asset sums to; a firm sees its own lines alone."""

    entry: int
    sequence: int
    lines: tuple[Row, ...]
    sums: dict[str, int]
    is_whole: bool


class TradeExplanation(msgspec.Struct, frozen=True):
    """All that there is to say of one trade. `unknown` says what the store does not tell."""

    trade: Row
    price: Price
    quantity: Quantity
    turn: Turn
    fees: tuple[Fee, ...]
    subsidy: Subsidy | None
    posted: Posted | None
    later: tuple[Row, ...]
    bust: Row | None
    checks: tuple[Check, ...]
    unknown: tuple[str, ...]

    @property
    def differences(self) -> list[str]:
        """Return what does not agree, in words."""
        return differing(self.checks)


class OrderExplanation(msgspec.Struct, frozen=True):
    """The life of one order, by sequence."""

    order: Row
    held: int | None
    rate: int
    life: tuple[Moment, ...]
    fees: tuple[Fee, ...]
    subsidies: tuple[Subsidy, ...]
    refusals: tuple[Row, ...]
    checks: tuple[Check, ...]
    unknown: tuple[str, ...]

    @property
    def differences(self) -> list[str]:
        """Return what does not agree, in words."""
        return differing(self.checks)


def differing(checks: tuple[Check, ...]) -> list[str]:
    """Return the checks that do not hold, in words."""
    return [f"{one.what}: reckoned {one.reckoned}, stored {one.stored}" for one in checks if not one.holds]


# --- trades --------------------------------------------------------------------------------------


def explain_trade(rows: TradeRows, rates: dict[str, int]) -> TradeExplanation:
    """Explain a trade. `rates` are the fees in force now, in basis points, by role; they settle a tie."""
    trade, sides = rows.trade, {"buy": rows.buy, "sell": rows.sell}
    checks: list[Check] = [Check("amount", trade["price"] * trade["quantity"], trade["amount"])]
    unknown: list[str] = [
        f"the {side}er's order is another member's, and is not shown to you"
        for side, order in (("buy", rows.buy), ("sell", rows.sell))
        if order is None
    ]
    fees = []
    for side, order in sides.items():
        if order is not None:
            fee, stored = fee_of(order, trade["trade"], rates), trade[f"{side}er_fee"]
            fees.append(fee)
            checks.append(Check(f"fee of the {side}er", fee.due_after - fee.due_before, stored))
    subsidy = None
    if rows.buy is not None and trade["programme"]:
        subsidy = reckon_subsidy(rows.buy, trade["trade"])
        unknown += subsidy.unknown
        if subsidy.is_reckoned:
            checks.append(Check("subsidy at the trade", subsidy.paid, trade["subsidy"]))
    price, quantity = _price(rows, checks), _quantity(rows, checks)
    return TradeExplanation(
        trade=trade,
        price=price,
        quantity=quantity,
        turn=_turn(rows, price),
        fees=tuple(fees),
        subsidy=subsidy,
        posted=_posted(rows, checks),
        later=tuple(_later(rows)),
        bust=rows.bust,
        checks=tuple(checks),
        unknown=tuple(unknown),
    )


def _price(rows: TradeRows, checks: list[Check]) -> Price:
    """Say which rule gave the price, and hold it against the orders' limits where they are as at entry."""
    trade = rows.trade
    limits: dict[str, int | None] = {}
    for side, order in (("buy", rows.buy), ("sell", rows.sell)):
        limits[side] = order.order["price"] if order is not None and _is_as_entered(order) else None
    if limits["buy"] is not None:
        checks.append(Check("price within the buyer's limit", int(trade["price"] <= limits["buy"]), 1))
    if limits["sell"] is not None:
        checks.append(Check("price within the seller's limit", int(trade["price"] >= limits["sell"]), 1))
    if trade["taker_side"] is None:
        uncross, references = rows.uncross, [row["reference"] for row in rows.phases if row["reference"]]
        return Price(
            "auction",
            trade["price"],
            trades=uncross["trades"],
            volume=uncross["volume"],
            reference=next(iter(references), None),
            buy_limit=limits["buy"],
            sell_limit=limits["sell"],
        )
    rested = "sell" if trade["taker_side"] == "buy" else "buy"
    own = limits[rested]
    if own is not None:
        checks.append(Check("price of the order that rested", own, trade["price"]))
    return Price(
        "maker",
        trade["price"],
        maker=trade[f"{rested}_order"],
        taker=trade[f"{trade['taker_side']}_order"],
        maker_side=rested,
        buy_limit=limits["buy"],
        sell_limit=limits["sell"],
    )


def _is_as_entered(order: OrderRows) -> bool:
    """Tell whether an order's price is surely that of its entry."""
    return order.order["type"] == "limit" and not order.order["replaced"]


def _quantity(rows: TradeRows, checks: list[Check]) -> Quantity:
    """Say what each order had open, by its total and its fills before; a replaced one's total is not kept."""
    trade = rows.trade
    left: dict[str, int | None] = {"buy": None, "sell": None}
    for side, order in (("buy", rows.buy), ("sell", rows.sell)):
        if order is not None and not order.order["replaced"]:
            before = sum(fill["quantity"] for fill in order.fills if fill["trade"] < trade["trade"])
            left[side] = lots = order.order["quantity"] - before
            enough = int(trade["quantity"] <= lots)
            checks.append(Check(f"the {side}er's order had that many lots open", enough, 1))
    return Quantity(trade["quantity"], left["buy"], left["sell"])


def _turn(rows: TradeRows, price: Price) -> Turn:
    """Say whom the order that arrived met first, and who stood before the one that rested."""
    trade = rows.trade
    rested = {"buy": rows.buy, "sell": rows.sell}.get(price.maker_side)
    earlier = [row for row in rows.beside if row["trade"] < trade["trade"]]
    met = {row[f"{price.maker_side}_order"] for row in rows.beside} if price.maker_side else set()
    before = [row for row in rows.before if row["order"] not in met]
    return Turn(
        None if rested is None else rested.order["sequence"],
        tuple(earlier) if price.maker_side else (),
        tuple(before),
    )


def _posted(rows: TradeRows, checks: list[Check]) -> Posted | None:
    """Sum the entry's lines; both sides' part of it is known from price, fees and subsidy."""
    trade = rows.trade
    if not rows.postings:
        return None
    sums: dict[str, int] = {}
    for line in rows.postings:
        sums[line["asset"]] = sums.get(line["asset"], 0) + line["amount"]
    is_whole = trade["buyer"] is not None and trade["seller"] is not None
    if is_whole:
        checks += [Check(f"the entry's sum in {asset}", 0, total) for asset, total in sums.items()]
    expected = {}
    if trade["buyer"] is not None:
        expected["buyer"] = trade["subsidy"] - trade["amount"] - trade["buyer_fee"]
    if trade["seller"] is not None:
        expected["seller"] = trade["amount"] - trade["seller_fee"]
    if len(expected) == 1 or trade["buyer"] != trade["seller"]:
        for side, amount in expected.items():
            own = [
                line["amount"]
                for line in rows.postings
                if line["member"] == trade[side] and line["asset"] == "money"
            ]
            checks.append(Check(f"money of the {side}", amount, sum(own)))
    first = rows.postings[0]
    return Posted(trade["entry"], first["sequence"], tuple(rows.postings), sums, is_whole)


def _later(rows: TradeRows) -> list[Row]:
    """Return what programmes paid or took back for the buyer's order after this trade."""
    if rows.buy is None:
        return []
    number = rows.trade["trade"]
    return [
        leg
        for leg in rows.buy.legs
        if leg["reason"] != "trade"
        and leg["trade"] in (None, number)
        and leg["sequence"] >= rows.trade["sequence"]
    ]


# --- orders --------------------------------------------------------------------------------------


def explain_order(rows: OrderRows, refusals: list[Row], rates: dict[str, int]) -> OrderExplanation:
    """Tell the life of an order, each fee and each payment reckoned anew."""
    order = rows.order
    last = rows.fills[-FILLS_MAX:]
    fees = tuple(fee_of(rows, fill["trade"], rates) for fill in last)
    checks = [
        Check(f"fee at trade {fill['trade']}", fee.due_after - fee.due_before, fill["fee"])
        for fee, fill in zip(fees, last, strict=True)
    ]
    standing = [fill for fill in rows.fills if not fill["busted"]]
    checks.append(
        Check("lots filled", sum(fill["quantity"] for fill in rows.fills), order["filled_quantity"])
    )
    gross = sum(fill["price"] * fill["quantity"] for fill in rows.fills)
    checks.append(Check("gross", gross, order["gross"]))
    subsidies, unknown = _subsidies(rows, checks)
    if len(last) < len(rows.fills):
        unknown.append(f"fills before the last {FILLS_MAX} are summed up, and not reckoned one by one")
    if len(standing) == len(rows.fills) and subsidies and subsidies[-1].is_reckoned:
        checks.append(Check("earned of the programme", subsidies[-1].earned_after, order["subsidy"]))
    rate = max((fee.rate for fee in fees), default=max(rates.values(), default=0))
    is_known = bool(rates) or order["side"] == "sell"
    held = _held(rows, max((rate, *rates.values())), subsidies) if is_known else None
    return OrderExplanation(
        order=order,
        held=held,
        rate=rate,
        life=tuple(_life(rows)),
        fees=fees,
        subsidies=subsidies,
        refusals=tuple(refusals),
        checks=tuple(checks),
        unknown=tuple(dict.fromkeys(unknown)),
    )


def _subsidies(rows: OrderRows, checks: list[Check]) -> tuple[tuple[Subsidy, ...], list[str]]:
    """Reckon each fill's payment of a programme."""
    if not rows.order["programme"]:
        return (), []
    last = rows.fills[-FILLS_MAX:]
    found = tuple(reckon_subsidy(rows, fill["trade"]) for fill in last)
    for one, fill in zip(found, last, strict=True):
        if one.is_reckoned:
            checks.append(Check(f"subsidy at trade {fill['trade']}", one.paid, fill["subsidy"]))
    return found, [line for one in found for line in one.unknown]


def _held(rows: OrderRows, rate: int, subsidies: tuple[Subsidy, ...]) -> int | None:
    """Return what an order held at its entry, in hao or lots; None where its price or total was changed.

    A total may have been reduced since: then it is what the rest would have held.
    """
    order = rows.order
    if order["side"] == "sell":
        return None if order["replaced"] else int(order["quantity"])
    is_promised = bool(order["programme"])
    if order["replaced"] or order["type"] != "limit" or (is_promised and not subsidies):
        return None
    amount = order["price"] * order["quantity"]
    discount = order["subsidy_reserved"] if subsidies and subsidies[0].payout == "deduct" else 0
    return int(amount + share(amount, rate) - discount)


def _life(rows: OrderRows) -> list[Moment]:
    """Return what happened to an order, by sequence."""
    order = rows.order
    life: list[Moment] = [
        {"sequence": order["sequence"], "time": order["time"], "what": "entered"},
        *(
            {
                "sequence": fill["sequence"],
                "time": fill["time"],
                "what": "fill",
                "trade": fill["trade"],
                "quantity": fill["quantity"],
                "price": fill["price"],
                "fee": fill["fee"],
                "subsidy": fill["subsidy"],
                "maker": fill["maker"],
            }
            for fill in rows.fills
        ),
        *(
            {"sequence": bust["sequence"], "time": bust["time"], "what": "busted", "trade": bust["trade"]}
            for bust in rows.busts
        ),
        *(
            {
                "sequence": leg["sequence"],
                "time": leg["time"],
                "what": leg["reason"],
                "amount": leg["amount"],
                "programme": leg["programme"],
            }
            for leg in rows.legs
            if leg["reason"] != "trade"
        ),
    ]
    if order["state"] != "open":
        life.append({"sequence": order["last_sequence"], "what": order["state"]})
    elif order["last_sequence"] > max(int(str(one["sequence"])) for one in life):
        life.append({"sequence": order["last_sequence"], "what": "changed"})
    return sorted(life, key=lambda one: int(str(one["sequence"])))
