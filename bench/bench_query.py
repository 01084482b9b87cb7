"""The query service beside the settlement: how late commits are, how fast ten million trades leave."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from bench.bench_settlement import BUDGET, opened, tape
from exchange.cli.exporting import CHUNK_ROWS, TIMEOUT_SECONDS
from exchange.cli.table_files import TableFile
from exchange.config import FLUSH_SECONDS
from settlement.rows import Happened
from settlement.store import Store, Watermark
from tests.server.query_house import QueryHouse

TRADES_EXPORTED = 10_000_000
COMMITS = 200
TRADES_A_COMMIT = 25
WARM_TRADES = 100_000

HEAVY = (
    "select member, asset, account, sum(amount), count(*) from postings group by all order by 4 desc limit 5",
    "select instrument, member, avg(price), quantile_cont(price, 0.9) from executions group by all limit 5",
)
"""What analysts ask all the time: group-bys over every posting and every execution."""


def bench_ten_million_trades_to_parquet(benchmark, tmp_path: Path):
    """All columns of all trades, through the service over loopback with CURVE, as `bourse export` does."""
    store = store_of_trades(tmp_path / "trades.duckdb")
    house = QueryHouse(store)
    out = tmp_path / "trades.parquet"
    cpu = []

    def export() -> None:
        began = time.process_time()
        with house.client() as history, TableFile(out) as file:
            for table in history.stream("select * from trades", (), TIMEOUT_SECONDS, chunk_rows=CHUNK_ROWS):
                file.write(table)
        cpu.append(time.process_time() - began)

    benchmark.pedantic(export, rounds=3)
    house.close()
    store.close()
    meta = pq.read_metadata(out)
    assert meta.num_rows == TRADES_EXPORTED
    benchmark.extra_info.update(
        workload=f"{TRADES_EXPORTED} trades of {meta.num_columns} columns to one Parquet file",
        engine="tokenbourse",
        bytes=out.stat().st_size,
        rows_per_second=round(TRADES_EXPORTED / benchmark.stats.stats.median),
        cpu_seconds_both_sides=round(min(cpu), 2),
    )


def bench_commits_beside_analysts(benchmark, tmp_path: Path):
    """Twenty commits a second while two analysts ask heavy questions all the time, and without them."""
    lateness = {}
    for analysts in (0, 2):
        lateness[analysts] = commits(tmp_path / f"{analysts}.duckdb", analysts)
    benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info.update(
        workload=f"{COMMITS} commits, one each {FLUSH_SECONDS} s, of {TRADES_A_COMMIT} trades",
        engine="tokenbourse",
        alone=lateness[0],
        beside_two_analysts=lateness[2],
    )


def store_of_trades(path: Path) -> Store:
    """Return a store of ten million trades of 193 instruments, 200 members and one programme."""
    store = Store.open(path)
    cursor = store.cursor()
    cursor.execute("insert into base.instrument_names select i, 'MODEL-' || i from range(193) as t(i)")
    cursor.execute("insert into base.member_names select i + 1, 'FIRM-' || i from range(200) as t(i)")
    cursor.execute(
        "insert into base.programmes by name select 0 as number, 'HZ-VOUCHER-2026' as programme, "
        "2026 as fiscal_year, 1 as terms_version, 0 as budget, 0 as uncommitted, 0 as reserved, "
        "0 as paid, 0 as vested"
    )
    cursor.execute(
        """
        insert into base.trades by name
        select
            i + 1 as trade, i + 1 as entry, i + 2 as sequence,
            timestamp '2026-11-02 01:30:00' + to_microseconds(i * 3000) as time,
            (hash(i) % 193)::integer as instrument, 100000 + (hash(i + 1) % 20000)::bigint as price,
            1 + (hash(i + 2) % 100)::bigint as quantity, (hash(i + 3) % 2)::utinyint as taker_side,
            4::utinyint as phase, 2 * i + 1 as buy_order, 2 * i + 2 as sell_order,
            1 + (hash(i + 4) % 200)::integer as buyer, 1 + (hash(i + 5) % 200)::integer as seller,
            (hash(i + 6) % 1000)::bigint as buyer_fee, (hash(i + 7) % 1000)::bigint as seller_fee,
            0 as subsidy, case when i % 3 = 0 then 0 else -1 end as programme, 1 as terms_version
        from range($1) as t(i)
        """,
        [TRADES_EXPORTED],
    )
    return store


def commits(path: Path, analysts: int) -> dict[str, float]:
    """Settle a live-like flow beside so many analysts; return how late commits were done, in milliseconds."""
    events, effects = tape()
    parts = cut(effects)
    store = opened(path)
    put(store, events, effects, next(parts))
    house = QueryHouse(store)
    stop, answered = threading.Event(), queue.SimpleQueue[float]()
    with ExitStack() as clients:
        askers = []
        for number in range(analysts):
            history = clients.enter_context(house.client())
            asker = threading.Thread(target=ask, args=(history, HEAVY[number % 2], stop, answered))
            asker.start()
            askers.append(asker)
        began = time.perf_counter()
        late = []
        for number in range(1, COMMITS + 1):
            due = began + number * FLUSH_SECONDS
            time.sleep(max(0.0, due - time.perf_counter()))
            put(store, events, effects, next(parts))
            late.append(1000 * (time.perf_counter() - due))
        stop.set()
        for asker in askers:
            asker.join()
    house.close()
    store.close()
    return {
        "median_ms": round(float(np.median(late)), 1),
        "p99_ms": round(float(np.percentile(late, 99)), 1),
        "latest_ms": round(max(late), 1),
        "queries_answered": answered.qsize(),
    }


def cut(effects: np.ndarray) -> Iterator[slice]:
    """Yield where a first large commit ends, then small ones; a command's events stay together."""
    sequences = effects["sequence"]
    start, end = 0, WARM_TRADES * 2
    while start < len(effects):
        last = sequences[min(end, len(effects)) - 1]
        end = int(np.searchsorted(sequences, last, "right"))
        yield slice(start, end)
        start, end = end, end + 2 * TRADES_A_COMMIT


def put(store: Store, events: np.ndarray, effects: np.ndarray, part: slice) -> None:
    """Commit one part."""
    store.add(events[part], effects[part], Happened())
    last = effects[part][-1]
    store.flush(Watermark(sequence=int(last["sequence"]), time=int(last["time"])), [BUDGET])


def ask(history, sql: str, stop: threading.Event, answered: queue.SimpleQueue[float]) -> None:
    """Ask one question over and over."""
    while not stop.is_set():
        answered.put(history.sql(sql, timeout=30).seconds)
