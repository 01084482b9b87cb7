"""What readers know of each instrument beside its book, and the messages that show it with the book."""

from __future__ import annotations

import numpy as np

from feeds.arrays import (
    INDICATIVE_PRICE,
    LEVEL_UPDATE,
    ORDER_UPDATE,
    PICTURE,
    STATUS_CHANGE,
    TOP,
    TOTALS,
    TRADE_PRINT,
)
from feeds.messages import (
    DEPTH,
    FAST_VIEW,
    INDICATIVE,
    LEVELS_REFRESH,
    MESSAGE_BYTES_MAX,
    ORDERS,
    ORDERS_REFRESH,
    SLOW_VIEW,
    STATUS,
    TOPS,
    TRADES,
    VERSION,
    VIEW_LEVELS,
)
from feeds.touched import show_levels, show_orders
from matching.layout import HALVES, Book, grown

NUMBERS = {
    "depth": DEPTH,
    "orders": ORDERS,
    "trades": TRADES,
    "status": STATUS,
    "indicative": INDICATIVE,
    "top": TOPS,
}
"""Which topic's last number stands in which field of a picture."""

_NUMBER_OF = {LEVELS_REFRESH: DEPTH, ORDERS_REFRESH: ORDERS, FAST_VIEW: FAST_VIEW, SLOW_VIEW: SLOW_VIEW}
"""Whose last number a picture bears as its own."""

_EVERY_LEVEL = 2**31 - 1


class Known:
    """What has been told of each instrument in this run: last numbers, last trade, status, totals, top."""

    def __init__(self) -> None:
        kinds = (*NUMBERS.values(), FAST_VIEW, SLOW_VIEW)
        self.numbers = {kind: np.zeros(0, np.int64) for kind in kinds}
        self.last_trades = np.zeros(0, TRADE_PRINT)
        self.statuses = np.zeros(0, STATUS_CHANGE)
        self.indicatives = np.zeros(0, INDICATIVE_PRICE)
        self.tops = np.zeros(0, TOP)
        self.totals = np.zeros(0, TOTALS)

    def make_room(self, instruments: int) -> None:
        """Make room for so many instruments."""
        if instruments <= len(self.tops):
            return
        for kind, numbers in self.numbers.items():
            self.numbers[kind] = grown(numbers, instruments)
        self.last_trades = grown(self.last_trades, instruments)
        self.statuses = grown(self.statuses, instruments)
        self.indicatives = grown(self.indicatives, instruments)
        self.tops = grown(self.tops, instruments)
        self.totals = grown(self.totals, instruments)


def pictures(
    kind: bytes, instruments: np.ndarray, known: Known, book: Book, run: int, sequence: int, time: int
) -> list[bytes]:
    """Return a picture of each of `instruments` as it stands in `book`, with what else is known of it."""
    is_view = kind in (FAST_VIEW, SLOW_VIEW)
    if kind == ORDERS_REFRESH:
        rows, ends = _orders(instruments, book)
    else:
        rows, ends = _levels(instruments, book, VIEW_LEVELS if is_view else _EVERY_LEVEL)
    if is_view:
        known.numbers[kind][instruments] += 1
    heads = np.zeros(len(instruments), PICTURE)
    header = heads["header"]
    header["kind"], header["version"] = kind, VERSION
    header["run"], header["sequence"], header["time"] = run, sequence, time
    header["instrument"] = instruments
    header["number"] = known.numbers[_NUMBER_OF[kind]][instruments]
    header["count"] = np.diff(ends, prepend=0)
    for field, topic in NUMBERS.items():
        heads["numbers"][field] = known.numbers[topic][instruments]
    heads["last_trade"] = known.last_trades[instruments]
    heads["status"] = known.statuses[instruments]
    heads["indicative"] = known.indicatives[instruments]
    heads["totals"] = known.totals[instruments]
    head, beginnings = heads.itemsize, heads.tobytes()
    size, body = rows.itemsize, rows.tobytes()
    starts = [0, *ends[:-1].tolist()]
    return [
        within_limit(beginnings[nth * head : nth * head + head] + body[start * size : end * size])
        for nth, (start, end) in enumerate(zip(starts, ends.tolist(), strict=True))
    ]


def within_limit(message: bytes) -> bytes:
    """Return `message`; one that no reader would take is a bug of ours."""
    assert len(message) <= MESSAGE_BYTES_MAX, f"a message of {len(message)} bytes"
    return message


def _levels(instruments: np.ndarray, book: Book, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best levels of each of `instruments`, and where those of each end."""
    standing = book.halves["levels"].reshape(-1, HALVES)[instruments, :2]
    levels = np.zeros(int(np.minimum(standing, most).sum()), LEVEL_UPDATE)
    ends = np.zeros(len(instruments), np.int64)
    show_levels(book, instruments, most, levels, ends)
    return levels, ends


def _orders(instruments: np.ndarray, book: Book) -> tuple[np.ndarray, np.ndarray]:
    """Return the resting orders of each of `instruments`, and where those of each end."""
    standing = book.halves["orders"].reshape(-1, HALVES)[instruments, :2].sum(axis=1)
    ends = np.cumsum(standing)
    orders = np.zeros(int(standing.sum()), ORDER_UPDATE)
    for instrument, start, end in zip(instruments.tolist(), ends - standing, ends, strict=True):
        count = show_orders(book, instrument, orders[start:end])
        assert count == end - start, f"{count} orders rest in instrument {instrument}, not {end - start}"
    return orders, ends
