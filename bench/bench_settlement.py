"""The settlement store catching up: rows a second over all tables, from events to the committed file."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from exchange.config import PENDING_ROWS_MAX
from matching.layout import EVENT
from matching.vocabulary import EventKind, OrderState, Side, TimeInForce
from settlement.arrow import columns_table
from settlement.layout import EFFECT, HOUSE, MONEY, NO_PROGRAMME
from settlement.postings import leg_columns, order_columns, postings_of, trade_columns
from settlement.rows import Happened, Posting, ProgrammeRow
from settlement.store import Store, Watermark

TRADES = 150_000
BUYS_A_SELL = 4
MEMBERS = 200
INSTRUMENTS = 177
START_NS = 1_793_869_200_000_000_000
ROUNDS = 3
BUDGET = ProgrammeRow(0, "BENCH", 2026, 1, 10**15, 10**15, 0, 0, 0)


def tape() -> tuple[np.ndarray, np.ndarray]:
    """Return a day's events and effects: sells that rest, and buys that take a quarter of one each.

    One buy of three is paid for by a programme. A command every 2 ms, as of 500 a second.
    """
    chance = np.random.default_rng(7)
    sells = TRADES // BUYS_A_SELL
    a_sell = 1 + 2 * BUYS_A_SELL  # its acceptance; then of each buy the acceptance and the trade
    events, effects = np.zeros(sells * a_sell, EVENT), np.zeros(sells * a_sell, EFFECT)
    place = np.arange(len(events)) % a_sell
    sell = np.arange(len(events)) // a_sell
    is_trade = (place > 0) & (place % 2 == 0)
    is_sell = place == 0
    number = np.cumsum(~is_trade)  # every command but those of trades enters an order
    sell_order = number[is_sell][sell]
    paid_for = chance.random(len(events)) < 1 / 3
    price = chance.integers(1_000, 3_000_000, sells)[sell] * 10
    events["kind"] = np.where(is_trade, EventKind.TRADED, EventKind.ACCEPTED)
    events["order"] = number
    events["maker_order"] = np.where(is_trade, sell_order, 0)
    events["instrument"] = chance.integers(0, INSTRUMENTS, sells)[sell]
    events["side"] = np.where(is_sell, Side.SELL, Side.BUY)
    events["price"] = price
    events["quantity"] = np.where(is_sell, BUYS_A_SELL * 5, 5)
    events["leaves"] = np.where(is_sell, BUYS_A_SELL * 5, np.where(is_trade, 0, 5))
    events["maker_leaves"] = np.where(is_trade, (BUYS_A_SELL - place // 2) * 5, 0)
    programme = np.where(
        paid_for[np.where(is_trade, np.arange(len(events)) - 1, np.arange(len(events)))], 0, -1
    )
    effects["sequence"] = number + 1
    effects["time"] = START_NS + 2_000_000 * number
    effects["client_id"] = np.char.mod("order-%d", number).astype("S24").view(np.int64).reshape(-1, 3)
    effects["member"] = np.where(is_sell, 1, 2 + number % MEMBERS)
    effects["programme"] = np.where(is_sell, NO_PROGRAMME, programme)
    effects["time_in_force"] = TimeInForce.DAY
    effects["state"] = np.where(is_trade, OrderState.FILLED, OrderState.OPEN)
    effects["filled"] = np.where(is_trade, 5, 0)
    effects["gross"] = np.where(is_trade, 5 * price, 0)
    trades = np.flatnonzero(is_trade)
    rows = effects[trades]
    rows["trade"] = np.arange(1, TRADES + 1)
    rows["entry"] = rows["trade"] + 1
    rows["maker_member"], rows["maker_programme"] = 1, NO_PROGRAMME
    rows["maker_filled"] = place[trades] // 2 * 5
    rows["maker_gross"] = rows["maker_filled"] * price[trades]
    rows["maker_state"] = np.where(events["maker_leaves"][trades] == 0, OrderState.FILLED, OrderState.OPEN)
    rows["fee"], rows["maker_fee"] = rows["gross"] // 2000, rows["gross"] // 5000
    rows["subsidy"] = np.where(rows["programme"] == 0, rows["gross"] * 3 // 10, 0)
    rows["paid"], rows["terms_version"] = rows["subsidy"], 1
    effects[trades] = rows
    return events, effects


def opened(path: Path) -> Store:
    """Return a new store in which a programme is funded."""
    store = Store.open(path)
    fund = ((f"programme:{BUDGET.programme}", BUDGET.budget), ("outside", -BUDGET.budget))
    lines = tuple(Posting(1, 1, START_NS, HOUSE, account, MONEY, amount, "fund") for account, amount in fund)
    store.add(np.zeros(0, EVENT), np.zeros(0, EFFECT), Happened(postings=lines))
    store.flush(Watermark(sequence=1), [BUDGET])
    return store


def settle(store: Store, events: np.ndarray, effects: np.ndarray) -> None:
    """Write all of it, in commits as large as a store that catches up makes, and close the file."""
    start = 0
    while start < len(events):
        last = effects["sequence"][min(start + PENDING_ROWS_MAX, len(events)) - 1]
        end = int(np.searchsorted(effects["sequence"], last, "right"))  # a command's events stay together
        store.add(events[start:end], effects[start:end], Happened())
        mark = Watermark(sequence=int(last), time=int(effects["time"][end - 1]))
        store.flush(mark, [BUDGET])
        start = end
    store.close()


def rows_of(path: Path) -> int:
    """Return how many rows a store has in all its own tables."""
    store = Store.open(path)
    query = "select sum(estimated_size) from duckdb_tables() where schema_name = 'base'"
    ((count,),) = store.cursor().execute(query).fetchall()
    store.close()
    return int(count)


def stages(events: np.ndarray, effects: np.ndarray) -> dict[str, float]:
    """Return how many seconds each step takes that makes columns of events; the rest is DuckDB's."""
    took = {}
    began = time.perf_counter()
    trades = trade_columns(events, effects)
    took["trades"] = time.perf_counter() - began
    for name, make in (
        ("postings", lambda: columns_table(postings_of(trades))),
        ("legs", lambda: columns_table(leg_columns(trades))),
        ("orders", lambda: [columns_table(columns) for columns in order_columns(events, effects)]),
    ):
        began = time.perf_counter()
        make()
        took[name] = time.perf_counter() - began
    return {name: round(seconds, 3) for name, seconds in took.items()}


def bench_settlement(benchmark, tmp_path: Path):
    """About 150,000 trades with their orders, postings and legs, from events to a file on the disk."""
    events, effects = tape()
    paths = [tmp_path / f"{number}.duckdb" for number in range(ROUNDS)]
    waiting = iter(paths)
    benchmark.pedantic(settle, setup=lambda: ((opened(next(waiting)), events, effects), {}), rounds=ROUNDS)
    counted = rows_of(paths[-1])
    benchmark.extra_info.update(
        workload=f"{TRADES} trades, {BUYS_A_SELL} buys a sell, a third of them subsidised",
        engine="tokenbourse",
        rows=counted,
        rows_per_second=round(counted / benchmark.stats.stats.median),
        column_seconds=stages(events, effects),
    )
