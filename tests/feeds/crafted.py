"""Messages made by hand, for one instrument: what a reader is told, without anybody who trades."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from feeds.messages import (
    DEPTH,
    FAST_VIEW,
    LEVELS_REFRESH,
    ORDERS,
    ORDERS_REFRESH,
    TRADES,
    Depth,
    Heartbeat,
    Indicative,
    Orders,
    Picture,
    Quote,
    Status,
    Trades,
)
from feeds.records import (
    LEVEL_UPDATE,
    ORDER_UPDATE,
    TRADE_PRINT,
    IndicativePrice,
    LastNumbers,
    StatusChange,
    Top,
    Totals,
    TradePrint,
)
from matching.vocabulary import Phase, QueueChange, Side

BUY, SELL = int(Side.BUY), int(Side.SELL)
PLACED, FILLED, TAKEN_OFF = (int(change) for change in QueueChange)
OPEN = StatusChange(reference=50, sequence=0, time=0, phase=Phase.CONTINUOUS, cause=0)
CALL = StatusChange(reference=50, sequence=100, time=9, phase=Phase.PRE_OPEN, cause=0)
NO_PRICE = IndicativePrice(0, 0, 0, 0)
A_PRICE = IndicativePrice(price=51, volume=4, surplus=1, side=SELL)
A_TOP = Top(10, 3, 12, 4, 1, 1)
NO_TOTALS = Totals(0, 0, 0, 0)

LevelTold = tuple[int, int, int]
"""Side, price, lots; one order."""

OrderTold = tuple[int, int, int, int, int]
"""Order, side, price, lots, change."""


def packed(record: struct.Struct, rows: Sequence[tuple[int, ...]]) -> memoryview:
    return memoryview(b"".join(record.pack(*row) for row in rows))


def level_rows(levels: tuple[LevelTold, ...]) -> memoryview:
    return packed(LEVEL_UPDATE, [(price, lots, min(lots, 1), side) for side, price, lots in levels])


def order_rows(orders: tuple[OrderTold, ...]) -> memoryview:
    rows = [(order, 100, price, lots, side, change) for order, side, price, lots, change in orders]
    return packed(ORDER_UPDATE, rows)


def depth(number: int, *levels: LevelTold, run: int = 1) -> Depth:
    return Depth(0, run, number, 100 + number, 0, level_rows(levels))


def orders(number: int, *changes: OrderTold, run: int = 1) -> Orders:
    return Orders(0, run, number, 100 + number, 0, order_rows(changes))


def refresh(
    number: int,
    *rows: LevelTold | OrderTold,
    kind: bytes = LEVELS_REFRESH,
    run: int = 1,
    trades: int = 0,
    last_trade: TradePrint | None = None,
    status: tuple[int, StatusChange] = (0, OPEN),
    indicative: tuple[int, IndicativePrice] = (0, NO_PRICE),
    top: int = 0,
    totals: Totals = NO_TOTALS,
    sequence: int | None = None,
) -> Picture:
    has_orders = kind == ORDERS_REFRESH
    made = order_rows(rows) if has_orders else level_rows(rows)  # type: ignore[arg-type]
    own = (0, number) if has_orders else (number, 0)
    numbers = LastNumbers(*own, trades, status[0], indicative[0], top)
    told = (numbers, last_trade, status[1], indicative[1], totals, made)
    return Picture(kind, 0, run, number, 100 + number if sequence is None else sequence, 0, *told)


def placed(*orders_told: tuple[int, int, int, int]) -> tuple[OrderTold, ...]:
    """Return orders placed, each as (order, side, price, lots)."""
    return tuple((*told, PLACED) for told in orders_told)


def orders_refresh(number: int, *told: tuple[int, int, int, int], run: int = 1) -> Picture:
    return refresh(number, *placed(*told), kind=ORDERS_REFRESH, run=run)


def view(sequence: int, totals: Totals, last_trade: TradePrint | None = None) -> Picture:
    return refresh(3, (BUY, 99, 1), kind=FAST_VIEW, sequence=sequence, totals=totals, last_trade=last_trade)


def status(number: int, *changes: StatusChange, run: int = 1) -> Status:
    return Status(0, run, number, 100, 0, changes)


def indicative(number: int, told: IndicativePrice) -> Indicative:
    return Indicative(0, 1, number, 100, 0, told)


def quote(number: int, top: Top) -> Quote:
    return Quote(0, 1, number, 100, 0, top)


def trade_print(trade: int) -> TradePrint:
    return TradePrint(trade, 100, 50, 1, 0, BUY, 0)


def trades(number: int, trade: int, run: int = 1) -> Trades:
    return Trades(0, run, number, 100, 0, packed(TRADE_PRINT, [trade_print(trade)]))


def heartbeat(number: int, trades_number: int = 0, run: int = 1, sequence: int = 0) -> Heartbeat:
    """Return a heartbeat that names the same number for levels and for orders."""
    numbers = {(DEPTH, 0): number, (ORDERS, 0): number, (TRADES, 0): trades_number, (DEPTH, 7): 99}
    return Heartbeat(run, 1, sequence, 0, numbers)
