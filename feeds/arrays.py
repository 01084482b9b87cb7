"""The feed's records as NumPy reads them: the same bytes as `feeds.records`, many at a time."""

from __future__ import annotations

import numpy as np

from feeds.records import (
    HEADER_FIELDS,
    INDICATIVE_PRICE_FIELDS,
    LAST_NUMBERS_FIELDS,
    LEVEL_UPDATE_FIELDS,
    ORDER_UPDATE_FIELDS,
    STATUS_CHANGE_FIELDS,
    TOP_FIELDS,
    TOPIC_NUMBER_FIELDS,
    TOTALS_FIELDS,
    TRADE_PRINT_FIELDS,
    Field,
)

_CODES = {"B": "u1", "c": "S1", "i": "<i4", "q": "<i8"}


def dtype_of(fields: tuple[Field, ...]) -> np.dtype:
    """Return the NumPy reading of a record: packed, little-endian, the same bytes as `struct`'s."""
    return np.dtype([_column(name, code) for name, code in fields])


def _column(name: str, code: str) -> tuple[str, str] | tuple[str, str, tuple[int]]:
    return (name, "u1", (int(code[:-1]),)) if code.endswith("x") else (name, _CODES[code])


HEADER = dtype_of(HEADER_FIELDS)
TRADE_PRINT = dtype_of(TRADE_PRINT_FIELDS)
STATUS_CHANGE = dtype_of(STATUS_CHANGE_FIELDS)
INDICATIVE_PRICE = dtype_of(INDICATIVE_PRICE_FIELDS)
LEVEL_UPDATE = dtype_of(LEVEL_UPDATE_FIELDS)
ORDER_UPDATE = dtype_of(ORDER_UPDATE_FIELDS)
TOP = dtype_of(TOP_FIELDS)
TOTALS = dtype_of(TOTALS_FIELDS)
LAST_NUMBERS = dtype_of(LAST_NUMBERS_FIELDS)
TOPIC_NUMBER = dtype_of(TOPIC_NUMBER_FIELDS)

PICTURE = np.dtype(
    [
        ("header", HEADER),
        ("numbers", LAST_NUMBERS),
        ("last_trade", TRADE_PRINT),
        ("status", STATUS_CHANGE),
        ("indicative", INDICATIVE_PRICE),
        ("totals", TOTALS),
    ]
)
"""What a picture begins with, before its levels or orders."""
