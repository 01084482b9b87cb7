"""Quotes: the tops of all books at one moment, as columns for the store."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from matching.layout import HALVES, Book
from matching.vocabulary import NO_SLOT, Side


def quotes_of(book: Book, minute_us: int, sequence: int) -> pa.Table:
    """Return the top of every book that is not empty: a row an instrument, by its number.

    Prices in hao per lot, quantities in lots shown, null where a side is empty. `minute_us` is when the
    minute began that ends with them, in µs since 1970, UTC; `sequence` its last command. Parked stops, and
    market orders that wait for an auction, have no price in the book and are no part of it.
    """
    best = book.halves["best"].reshape(-1, HALVES)[:, [Side.BUY, Side.SELL]]
    instruments = np.flatnonzero((best != NO_SLOT).any(axis=1))
    columns = {
        "instrument": pa.array(instruments, pa.int32()),
        "start": pa.array(np.full(len(instruments), minute_us).view("datetime64[us]")),
    }
    for place, name in enumerate(("bid", "ask")):
        slots = best[instruments, place]
        is_empty = slots == NO_SLOT
        levels = np.where(is_empty, 0, slots)  # what an empty side would point at is masked
        columns[name] = pa.array(book.levels["price"][levels], mask=is_empty)
        columns[f"{name}_quantity"] = pa.array(book.levels["quantity"][levels], mask=is_empty)
    columns["sequence"] = pa.array(np.full(len(instruments), sequence))
    return pa.table(columns)
