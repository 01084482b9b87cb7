"""Bars of a year's trades, asked of the store as analysts do, and of Polars and SQLite on the same bars.

`BOURSE_BENCH_TRADES=100000000` makes the store of the figures in the README: a file of 5 GB, in five minutes.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pytest

from settlement.history import HistoryWriter, Partition
from settlement.queries import Answer, QueryLimits, QueryService
from settlement.store import Store
from settlement.tables_of_history import TABLES

TRADES = int(os.environ.get("BOURSE_BENCH_TRADES", "1000000"))
INSTRUMENTS = 200
DAYS = 250
SECONDS_A_DAY = 8 * 3_600
FIRST_DAY = datetime(2026, 1, 1, 1)  # noqa: DTZ001 - the column is UTC and bears no zone
SYMBOL = "MODEL-077"
FIRM = "FIRM-7"
SQLITE_BARS_MAX = 6_000_000
"""SQLite is filled row by row: with more bars than these it gets those of the last days alone."""

_NAMES = """
insert into base.instrument_names select range, format('MODEL-{:03d}', range) from range($1);
"""

_TRADES = """
insert into base.trades
select
    n + 1, n + 1, n + 1, $3::timestamp + to_microseconds((n - $1) * $4), instrument,
    (1000 + 10 * instrument + hash(n, 2) % 100) * 10, 1 + hash(n, 3) % 50, hash(n, 4) % 2, 4,
    2 * n, 2 * n + 1, 1 + hash(n, 5) % 100, 1 + hash(n, 6) % 100, 5, 2,
    case when hash(n, 7) % 3 = 0 then 1000 else 0 end, case when hash(n, 7) % 3 = 0 then 0 else -1 end, 1
from (select range as n, (hash(range) % 200)::integer as instrument from range($1, $2))
"""

_BARS = """
insert into base.bars
from base.bars_between('minute', $1::timestamp, $2::timestamp)
order by start, instrument
"""


class Market(NamedTuple):
    """A store of so many bars, the same bars as files and in SQLite, and how many of them SQLite has."""

    store: Store
    service: QueryService
    bars: int
    files: str
    sqlite: sqlite3.Connection
    sqlite_bars: int


class Question(NamedTuple):
    """What is asked, in each engine's words, how many rows come, and the goal in seconds."""

    sql: str
    parameters: tuple[object, ...]
    frame: Callable[[pl.LazyFrame], pl.LazyFrame]
    goal: float


LAST_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
_COLUMNS = "start, open, high, low, close, volume, amount, trades"

_DAILY = """
select
    instrument, date(start, '+8 hours') as day, max(high) as high, min(low) as low, sum(volume) as volume,
    sum(amount) as amount, sum(trades) as trades
from bars_1m
group by 1, 2
"""


def _daily(bars: pl.LazyFrame) -> pl.LazyFrame:
    sums = [pl.col(name).sum() for name in ("volume", "amount", "trades")]
    day = pl.col("start").dt.offset_by("8h").dt.truncate("1d").alias("of_day")
    ends = [pl.col("open").sort_by("start").first(), pl.col("close").sort_by("start").last()]
    return bars.group_by("instrument", day).agg(*ends, pl.col("high").max(), pl.col("low").min(), *sums)


QUESTIONS = {
    "one_day": Question(
        f"select {_COLUMNS} from bars_1m where instrument = ? and start >= ? order by start",  # noqa: S608
        (SYMBOL, str(LAST_DAY)),
        lambda bars: bars.filter(pl.col("instrument") == SYMBOL, pl.col("start") >= LAST_DAY).sort("start"),
        0.01,
    ),
    "all_minutes": Question(
        f"select {_COLUMNS} from bars_1m where instrument = ? order by start",  # noqa: S608
        (SYMBOL,),
        lambda bars: bars.filter(pl.col("instrument") == SYMBOL).sort("start"),
        0.5,
    ),
    "all_daily": Question(f"select instrument, {_COLUMNS} from bars_1d", (), _daily, 5.0),  # noqa: S608
}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """Fill a store day by day, as the settlement would have, and write its bars for the others."""
    folder = Path(os.environ.get("BOURSE_BENCH_FOLDER", "") or tmp_path_factory.mktemp("bars"))
    path = folder / "settlement.duckdb"
    is_there = path.exists()
    store = Store.open(path)
    if not is_there:
        _fill(store)
    ((bars,),) = store.cursor().execute("select count(*) from bars_1m").fetchall()
    files = _files(store, folder / "history")
    sqlite, sqlite_bars = _sqlite(files, bars)
    service = QueryService(store, QueryLimits(timeout_ms=60_000))
    yield Market(store, service, bars, files, sqlite, sqlite_bars)
    sqlite.close()
    store.close()


def _fill(store: Store) -> None:
    connection = store._connection
    connection.execute(_NAMES, [INSTRUMENTS])
    connection.execute(
        "insert into base.member_names select range, format('FIRM-{}', range) from range(1, 101)"
    )
    a_day = TRADES // DAYS
    step_us = SECONDS_A_DAY * 1_000_000 // a_day
    for day in range(DAYS):
        begin = FIRST_DAY + timedelta(days=day)
        connection.execute(_TRADES, [day * a_day, (day + 1) * a_day, str(begin), step_us])
        whole = SECONDS_A_DAY - (60 if day == DAYS - 1 else 0)
        connection.execute(_BARS, [str(begin), str(begin + timedelta(seconds=whole))])
    end = LAST_DAY + timedelta(seconds=SECONDS_A_DAY - 60)  # so that the last minute is open
    mark = "update base.watermark set sequence = $1, bars_before = $2::timestamp"
    connection.execute(mark, [TRADES, str(end)])
    connection.execute("checkpoint")


def _files(store: Store, folder: Path) -> str:
    """Write the bars as the history's files; return the glob that reads them."""
    writer = HistoryWriter(store, folder)
    (table,) = (one for one in TABLES if one.place == "public/bars_1m")
    for day in range(DAYS):
        partition = Partition(table, (FIRST_DAY + timedelta(days=day)).date())
        if not (folder / table.place / f"day={partition.day}").exists():
            writer.write(partition)
    return f"{folder / table.place}/*/*.parquet"


def _sqlite(files: str, bars: int) -> tuple[sqlite3.Connection, int]:
    """Load the bars, or those of the last days, into memory, with an index by instrument and time."""
    sqlite = sqlite3.connect(":memory:")
    columns = "instrument text, start text, open, high, low, close, volume, amount, trades"
    sqlite.execute(f"create table bars_1m ({columns})")
    frame = pl.scan_parquet(files).select("instrument", *_COLUMNS.split(", "))
    if bars > SQLITE_BARS_MAX:
        frame = frame.filter(pl.col("start") >= LAST_DAY - timedelta(days=DAYS * SQLITE_BARS_MAX // bars - 1))
    frame = frame.with_columns(pl.col("start").dt.strftime("%Y-%m-%d %H:%M:%S"))
    rows = frame.collect().sort("start")
    sqlite.executemany("insert into bars_1m values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows.iter_rows())
    sqlite.execute("create index of_instrument on bars_1m (instrument, start)")
    return sqlite, len(rows)


def _ask_store(market: Market, question: Question, viewer: str | None) -> int:
    answer = market.service.answer(question.sql, question.parameters, viewer)
    assert isinstance(answer, Answer), answer
    return pa.ipc.open_stream(answer.arrow_ipc_stream).read_all().num_rows


def _ask_sqlite(market: Market, name: str) -> int:
    question = QUESTIONS[name]
    sql = _DAILY if name == "all_daily" else question.sql
    return len(market.sqlite.execute(sql, question.parameters).fetchall())


def _ask_polars(market: Market, question: Question) -> int:
    return question.frame(pl.scan_parquet(market.files)).collect().height


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("engine", ["auditor", "firm", "polars", "sqlite"])
def bench_bars(benchmark, market: Market, name: str, engine: str):
    """One instrument's last day and whole history by the minute, and all instruments by the day."""
    question = QUESTIONS[name]
    asked: dict[str, Callable[[], int]] = {
        "auditor": lambda: _ask_store(market, question, None),
        "firm": lambda: _ask_store(market, question, FIRM),
        "polars": lambda: _ask_polars(market, question),
        "sqlite": lambda: _ask_sqlite(market, name),
    }
    rows = benchmark.pedantic(asked[engine], rounds=9 if question.goal < 1 else 3, warmup_rounds=1)
    assert rows
    benchmark.extra_info.update(
        workload=f"{TRADES} trades of {INSTRUMENTS} instruments on {DAYS} days: {name}",
        engine={"auditor": "tokenbourse", "firm": "tokenbourse, as a firm"}.get(engine, engine),
        bars=market.sqlite_bars if engine == "sqlite" else market.bars,
        rows=rows,
        goal_seconds=question.goal,
    )
