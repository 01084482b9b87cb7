"""What an order was charged at one of its fills, reckoned anew from all of its fills."""

from __future__ import annotations

from typing import Literal

import msgspec

from exchange.explaining.rows import OrderRows
from settlement.reference_orders import share


class Fee(msgspec.Struct, frozen=True):
    """One side's fee: a share of all that its order has traded in this role, in basis points and hao.

    `rate` is what all of the order's fees agree with, up to `rate_most`; -1 where no rate does. `in_force` is
    the rate now, if somebody could tell it: the one in force at an order's entry is the order's for good.
    """

    side: str
    order: int
    role: Literal["maker", "taker"]
    rate: int
    rate_most: int
    in_force: int | None
    amount_before: int
    amount_after: int
    due_before: int
    due_after: int
    fee: int


def fee_of(order: OrderRows, trade: int, rates: dict[str, int]) -> Fee:
    """Reckon an order's fee at one of its trades.

    The store does not keep the rates of an order's entry. Each of its fees, summed up, allows some rates
    only; what all of them allow is the rate, and those in force now decide where several are allowed.
    """
    fill = next(one for one in order.fills if one["trade"] == trade)
    own = [one for one in order.fills if one["maker"] == fill["maker"]]
    role: Literal["maker", "taker"] = "maker" if fill["maker"] else "taker"
    least, most = rates_allowed([(one["price"] * one["quantity"], one["fee"]) for one in own])
    in_force = rates.get(role)
    rate = in_force if in_force is not None and least <= in_force <= most else least
    before = sum(one["price"] * one["quantity"] for one in own if one["trade"] < trade)
    after = before + fill["price"] * fill["quantity"]
    is_found = least <= most
    return Fee(
        side=fill["side"],
        order=order.order["order"],
        role=role,
        rate=rate if is_found else -1,
        rate_most=most if is_found else -1,
        in_force=in_force,
        amount_before=before,
        amount_after=after,
        due_before=share(before, rate) if is_found else 0,
        due_after=share(after, rate) if is_found else -1,
        fee=fill["fee"],
    )


def rates_allowed(fills: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the lowest and the highest rate, in basis points, at which fills (amount, fee) were so charged.

    Where there is none, the first is above the second.

    >>> rates_allowed([(50_000, 10), (30_000, 6)]), rates_allowed([(50_000, 10), (50_000, 11)])
    ((2, 2), (3, 2))
    """
    least, most, amount, due = 0, 10_000, 0, 0
    for of, fee in fills:
        amount, due = amount + of, due + fee
        least = max(least, -(-due * 10_000 // amount))
        most = min(most, ((due + 1) * 10_000 - 1) // amount)
    return least, most
