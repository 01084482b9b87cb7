"""Yuan as people write it, hao as the house counts it: exact both ways, no float anywhere."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TypeAlias

from exchange.client.errors import BadInput
from exchange.instruments import HAO_DIGITS, yuan

__all__ = ["Amount", "hao_of", "yuan"]

Amount: TypeAlias = str | Decimal | int
"""Money as a caller may give it: a str or Decimal in yuan, an int in hao."""

DIGITS_MAX = 24
"""Most digits of yuan before the point, and after it: more than any amount of the venue's."""

_YUAN = re.compile(rf"\d{{1,{DIGITS_MAX}}}(\.\d{{1,{DIGITS_MAX}}})?", re.ASCII)


def hao_of(amount: Amount, field: str) -> int:
    """Return an amount in hao: a str or Decimal is yuan, an int is hao already. Nothing is rounded.

    Raises `BadInput` that names `field` for a float, for what is no number or below zero, and for
    an amount that is no whole number of hao.

    >>> hao_of("12.35", "limit"), hao_of(Decimal("0.5"), "limit"), hao_of(7, "limit")
    (123500, 5000, 7)
    """
    match amount:
        case bool() | float():
            kind = type(amount).__name__
            raise BadInput(
                f"{field} {amount!r} is a {kind}, which cannot hold money exactly",
                field=field,
                value=amount,
                remedy="give yuan as text or Decimal ('12.35'), or hao as an int (123500)",
            )
        case int():
            return amount
        case Decimal():
            return _hao_of_decimal(amount, amount, field)
        case str() if _YUAN.fullmatch(amount):
            return _hao_of_decimal(Decimal(amount), amount, field)
        case _:
            raise BadInput(
                f"{field} {amount!r} is no amount of yuan",
                field=field,
                value=amount,
                remedy="write digits and at most one point, as in '12.35'",
            )


def _hao_of_decimal(number: Decimal, given: Amount, field: str) -> int:
    """Return `number` yuan in hao, by whole-number arithmetic on its digits."""
    sign, digits, exponent = number.as_tuple()
    if isinstance(exponent, str) or sign or number.adjusted() > DIGITS_MAX:
        raise BadInput(
            f"{field} {given!r} is no amount of yuan",
            field=field,
            value=given,
            remedy="give a number of yuan above 0 and within the venue's bounds",
        )
    units = int("".join(map(str, digits)))
    shift = exponent + HAO_DIGITS
    if units == 0 or shift >= 0:
        return units * 10 ** max(shift, 0) if units else 0
    # More places than digits cannot leave a whole number; and 10 ** shift stays small.
    hao, lost = divmod(units, 10**-shift) if -shift <= len(digits) else (0, units)
    if lost:
        raise BadInput(
            f"{field} {given!r} yuan has more than {HAO_DIGITS} decimals",
            field=field,
            value=given,
            remedy="give a whole number of hao (0.0001 yuan)",
        )
    return hao
