"""The history's files: what the store has, a day of the venue each, whenever they were written."""

from __future__ import annotations

import contextlib
import stat
import threading
from datetime import date
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from exchange.fixing import blank_fixing
from matching.layout import EVENT
from settlement.history import HistoryThread, HistoryWriter, Partition, differences
from settlement.layout import EFFECT
from settlement.rows import BustRow, Happened
from settlement.store import Store
from settlement.tables_of_history import TABLES
from tests.settlement.tape import ANN, BOB, GLM, QWEN, a_day, founded, rows, settle

NOTHING = (np.zeros(0, EVENT), np.zeros(0, EFFECT))
DAY_SECONDS = 86_400
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "history.sql"


@pytest.fixture
def venue(tmp_path):
    """A store that was filled on two days of the venue, its tape, and where its history lies."""
    store, tape = founded(tmp_path / "settlement.duckdb")
    a_day(tape)
    tape.wait(DAY_SECONDS)
    for instrument, price in ((QWEN, 120_000), (GLM, 81_000), (QWEN, 121_000)):
        offer = tape.sell(BOB, 3, price, instrument=instrument)
        tape.trade(tape.buy(ANN, 3, price, instrument=instrument), offer, 3, price, fee=5, maker_fee=2)
    settle(store, tape)
    fix(store, tape)
    yield store, tape, tmp_path / "history"
    with contextlib.suppress(duckdb.Error):
        store.close()


def fix(store, tape):
    tape.sequence += 1
    row = replace(blank_fixing(date(2026, 11, 6), QWEN, tape.sequence, tape.time), price=121_000)
    store.add(*NOTHING, Happened(fixings=(row,)))
    store.flush(tape.mark(), tape.programmes())


def bust(store, tape, trade):
    tape.sequence += 1
    store.add(*NOTHING, Happened(busts=(BustRow(tape.sequence, tape.time, trade, "OPS", "a slip"),)))
    store.flush(tape.mark(), tape.programmes())


def files(folder):
    return sorted(str(path.relative_to(folder).parent) for path in folder.rglob("*.parquet"))


def moments(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}


def test_each_table_and_day_is_one_file_that_says_what_the_store_says(venue):
    store, _, folder = venue
    HistoryWriter(store, folder).run()
    assert files(folder) == [
        "full/postings/day=2026-11-05",
        "full/postings/day=2026-11-06",
        "full/subsidy_legs/day=2026-11-05",
        "full/trades/day=2026-11-05",
        "full/trades/day=2026-11-06",
        "public/bars_1m/day=2026-11-05",
        "public/bars_1m/day=2026-11-06",
        "public/fixings/day=2026-11-05",
        "public/fixings/day=2026-11-06",
        "public/instrument_events/day=2026-11-05",
        "public/quotes_1m/day=2026-11-05",
        "public/trades/day=2026-11-05",
        "public/trades/day=2026-11-06",
    ]
    assert differences(store, folder) == []
    assert not list(folder.rglob("*.part"))


def test_a_stranger_reads_all_days_with_one_glob_while_the_store_is_open(venue):
    store, tape, folder = venue
    HistoryWriter(store, folder).run()
    trades = folder / "public/trades/*/*.parquet"
    expected = rows(store, "select trade, instrument, price, quantity from trades order by trade")
    query = f"select trade, instrument, price, quantity from read_parquet('{trades}', hive_partitioning=true)"  # noqa: S608
    with duckdb.connect() as stranger:
        assert stranger.sql(f"{query} order by trade").fetchall() == expected
        assert (
            stranger.sql(f"{query} where day = date '2026-11-06' order by trade").fetchall() == expected[5:]
        )
    frame = pl.read_parquet(folder / "public/bars_1m/*/*.parquet", hive_partitioning=True)
    assert frame["volume"].sum() == sum(int(str(row[3])) for row in expected)
    assert sorted(set(frame["day"].to_list())) == [date(2026, 11, 5), date(2026, 11, 6)]
    tape.trade(tape.buy(ANN, 1, 100), tape.sell(BOB, 1, 100), 1, 100)  # and the store takes more
    settle(store, tape)


def test_what_is_public_names_no_member_and_no_order(venue):
    store, _, folder = venue
    HistoryWriter(store, folder).run()
    public = [name for path in (folder / "public").rglob("*.parquet") for name in pq.read_schema(path).names]
    hidden = {
        "member",
        "buyer",
        "seller",
        "order",
        "buy_order",
        "sell_order",
        "entry",
        "who",
        "why",
        "account",
    }
    assert not hidden & set(public)
    said_in_all = 0
    for path in (folder / "public").rglob("*.parquet"):
        said = pq.read_table(path).to_pylist()
        said_in_all += len(said)
        assert not {"ann", "bob", "cat"} & {value for row in said for value in row.values()}
    assert said_in_all


def test_the_full_history_is_for_its_owner_alone(venue):
    store, _, folder = venue
    HistoryWriter(store, folder).run()
    for path in [folder / "full", *(folder / "full").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_columns_have_units_and_rows_their_order(venue):
    store, _, folder = venue
    HistoryWriter(store, folder).run()
    path = folder / "public/trades/day=2026-11-05/data.parquet"
    schema = pq.read_schema(path)
    assert schema.field("price").metadata[b"unit"] == b"hao per lot"
    assert schema.field("quantity").metadata == {b"unit": b"lots", b"comment": b"Lots."}
    read = pq.read_table(path, partitioning=None).to_pylist()
    assert [(row["instrument"], row["trade"]) for row in read] == [
        ("GLM-5", 5),
        *[("QWEN3-MAX", trade) for trade in (1, 2, 3, 4)],
    ]
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"


def test_the_running_day_alone_is_written_again(venue):
    store, tape, folder = venue
    writer = HistoryWriter(store, folder)
    writer.run()
    before = moments(folder)
    assert writer.run() == 0
    tape.trade(tape.buy(ANN, 1, 100), tape.sell(BOB, 1, 100), 1, 100)
    settle(store, tape)
    assert writer.run() == 4
    changed = [path for path, moment in moments(folder).items() if before.get(path) != moment]
    assert {path.parent.name for path in changed} == {"day=2026-11-06"}
    assert differences(store, folder) == []


def test_a_bust_mends_the_day_that_it_falls_on(venue):
    store, tape, folder = venue
    writer = HistoryWriter(store, folder)
    writer.run()
    bust(store, tape, 5)
    assert writer.run() == 3
    bars = pq.read_table(folder / "public/bars_1m/day=2026-11-05/data.parquet", partitioning=None)
    assert "GLM-5" not in bars["instrument"].to_pylist()
    assert differences(store, folder) == []


def test_a_day_that_is_left_without_a_bar_has_an_empty_file(venue):
    store, tape, folder = venue
    HistoryWriter(store, folder).run()
    for trade in (6, 7, 8):
        bust(store, tape, trade)
    HistoryWriter(store, folder).run()
    path = folder / "public/bars_1m/day=2026-11-06/data.parquet"
    assert pq.read_metadata(path).num_rows == 0
    assert pq.read_schema(path).names[0] == "instrument"
    assert differences(store, folder) == []


@pytest.mark.parametrize("place", ["public/trades/day=2026-11-05", "full/postings/day=2026-11-06"])
@pytest.mark.parametrize("harm", ["missing", "torn", "another"])
def test_a_writer_that_begins_anew_writes_what_is_missing(venue, place, harm):
    store, _, folder = venue
    HistoryWriter(store, folder).run()
    path = folder / place / "data.parquet"
    if harm == "missing":
        path.unlink()
    elif harm == "torn":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        pq.write_table(pq.read_table(path, partitioning=None).replace_schema_metadata(None), path)
    assert [line.split(":")[0] for line in differences(store, folder)] == [f"{place}/data.parquet"]
    path.with_name("data.parquet.part").write_bytes(b"half")
    assert HistoryWriter(store, folder).run() == 1
    assert differences(store, folder) == []


def test_a_store_that_was_made_anew_writes_all_of_it_again(venue, tmp_path):
    store, tape, folder = venue
    count = HistoryWriter(store, folder).run()
    store.close()
    again, tape = founded(tmp_path / "again.duckdb")
    settle(again, a_day(tape))
    assert HistoryWriter(again, folder).run() == 8 < count
    assert [line.split(": ")[1] for line in differences(again, folder)] == [
        "the store has nothing of this day"
    ] * (count - 8)
    again.close()


def test_one_row_that_differs_is_told(venue):
    store, _, folder = venue
    HistoryWriter(store, folder).run()
    store._connection.execute("update base.trades set price = price + 1 where trade = 7")
    told = differences(store, folder)
    assert [line.split(":")[0] for line in told] == [
        "public/trades/day=2026-11-06/data.parquet",
        "public/bars_1m/day=2026-11-06/data.parquet",
        "full/trades/day=2026-11-06/data.parquet",
    ]
    assert "3 rows, 3 in the store; their contents differ" in told[0]


def changed(path, column, values, sequence=None):
    """Put other values into a column of a file, and perhaps another sequence into its stamp."""
    table = pq.read_table(path, partitioning=None)
    place = table.schema.get_field_index(column)
    table = table.set_column(place, table.schema.field(place), pa.array(values(table[column].to_pylist())))
    stamp = msgspec.json.decode(table.schema.metadata[b"stamp"])
    stamp["sequence"] = stamp["sequence"] if sequence is None else sequence
    pq.write_table(table.replace_schema_metadata({"stamp": msgspec.json.encode(stamp)}), path)


@pytest.mark.parametrize(
    ("values", "sequence", "what"),
    [
        (lambda prices: prices[::-1], None, "their contents differ"),
        (lambda prices: [1] * len(prices), 0, "it goes up to sequence 0, and lacks"),
        (lambda prices: [1] * len(prices), 10**15, "it goes up to sequence 1000000000000000, the store to"),
    ],
    ids=["values of a column in other rows", "as if it were an old file", "as if it were ahead"],
)
def test_a_file_that_was_changed_is_told(venue, values, sequence, what):
    store, _, folder = venue
    HistoryWriter(store, folder).run()
    changed(folder / "public/trades/day=2026-11-05/data.parquet", "price", values, sequence)
    (line,) = differences(store, folder)
    assert line.startswith("public/trades/day=2026-11-05/data.parquet: ")
    assert what in line


def test_columns_of_the_full_history_in_a_public_file_are_told(venue):
    store, _, folder = venue
    HistoryWriter(store, folder).run()
    full = next(iter(sorted((folder / "full" / "trades").rglob("*.parquet"))))
    (folder / "public" / full.relative_to(folder / "full")).write_bytes(full.read_bytes())
    (line,) = differences(store, folder)
    assert line.startswith("public/trades/")
    assert "columns that do not belong here: buy_order, buyer, " in line


@pytest.mark.parametrize("rows", [0, 3])
def test_a_file_that_lacks_a_column_is_told(venue, rows):
    store, _, folder = venue
    HistoryWriter(store, folder).run()
    path = folder / "public/trades/day=2026-11-05/data.parquet"
    pq.write_table(pq.read_table(path, partitioning=None).slice(0, rows).drop_columns("price"), path)
    assert differences(store, folder) == [
        "public/trades/day=2026-11-05/data.parquet: it lacks columns: price"
    ]


def test_a_file_that_was_added_is_told(venue):
    store, _, folder = venue
    HistoryWriter(store, folder).run()
    path = folder / "public/trades/day=2026-11-05/data.parquet"
    path.with_name("more.parquet").write_bytes(path.read_bytes())
    (folder / "public/trades/day=soon").mkdir()
    (folder / "public/trades/day=soon/data.parquet").write_bytes(path.read_bytes())
    assert differences(store, folder) == [
        "public/trades/day=2026-11-05/more.parquet: it is no file of the history",
        "public/trades/day=soon/data.parquet: the store has nothing of this day",
    ]


def test_files_are_compared_without_a_mark_too(venue):
    store, _, folder = venue
    HistoryWriter(store, folder).run()
    (folder / "mark.json").unlink()
    changed(folder / "full/trades/day=2026-11-06/data.parquet", "price", lambda prices: [1] * len(prices))
    told: list[str] = []
    assert len(differences(store, folder, told)) == 1
    assert told == ["mark.json: none lies here, so nothing says which files there must be"]


def test_a_venue_that_writes_on_is_no_difference(venue, tmp_path):
    store, _, folder = venue
    HistoryWriter(store, folder).run()
    behind, tape = founded(tmp_path / "behind.duckdb")
    settle(behind, a_day(tape))
    told: list[str] = []
    assert differences(behind, folder, told, is_running=True) == []
    assert "public/trades/day=2026-11-05/data.parquet: it goes up to sequence" in told[0]
    assert "public/trades/day=2026-11-06/data.parquet: the store has nothing of this day" in told
    behind.close()


def test_what_is_not_written_yet_is_no_difference(venue):
    store, tape, folder = venue
    assert differences(store, folder) == []
    HistoryWriter(store, folder).run()
    tape.wait(DAY_SECONDS)
    tape.trade(tape.buy(ANN, 1, 100), tape.sell(BOB, 1, 100), 1, 100)
    settle(store, tape)
    assert differences(store, folder) == []


def test_slices_make_the_same_file(venue, monkeypatch):
    store, _, folder = venue
    HistoryWriter(store, folder).run()
    whole = {path: pq.read_table(path, partitioning=None) for path in folder.rglob("*.parquet")}
    for path in whole:
        path.unlink()
    monkeypatch.setattr("settlement.history.SLICE_ROWS", 1)
    HistoryWriter(store, folder).run()
    assert {path: pq.read_table(path, partitioning=None) for path in whole} == whole
    path = folder / "public/trades/day=2026-11-05/data.parquet"
    seconds = {(row["instrument"], row["time"].replace(microsecond=0)) for row in whole[path].to_pylist()}
    assert pq.read_metadata(path).num_row_groups == len(seconds) > 2


def test_a_day_of_one_asset_larger_than_the_memory_is_written(tmp_path, monkeypatch):
    """Sorted as one slice these lines of money take more than the limit, and none of them is written."""
    monkeypatch.setattr("settlement.history.SLICE_ROWS", 20_000)
    folder = tmp_path / "history"
    with contextlib.closing(Store.open(tmp_path / "settlement.duckdb", memory_bytes=64_000_000)) as store:
        store.cursor().execute(
            """
            insert into base.postings (entry, sequence, time, member, account, asset, amount, trade)
            select i // 2, i // 2, timestamp '2026-11-05 02:00:00' + interval (i // 9) milliseconds,
                0, 0, 0, i % 1000, i // 2
            from range(400_000) as r(i)
            """
        )
        store.cursor().execute("update base.watermark set sequence = 200_000")
        HistoryWriter(store, folder).run()
        assert differences(store, folder) == []
    times = pq.read_table(folder / "full/postings/day=2026-11-05", columns=["time"], partitioning=None)[
        "time"
    ]
    assert len(times) == 400_000
    assert times.to_pylist() == sorted(times.to_pylist())


def test_a_writer_that_is_stopped_leaves_the_rest_and_no_mark(venue):
    store, _, folder = venue
    assert HistoryWriter(store, folder, lambda: len(files(folder)) == 2).run() == 2
    assert len(files(folder)) == 2
    assert not (folder / "mark.json").exists()
    assert HistoryWriter(store, folder).run() == 11


def test_a_writer_that_is_stopped_amid_a_file_leaves_what_was_there(venue, monkeypatch):
    store, _, folder = venue
    monkeypatch.setattr("settlement.history.SLICE_ROWS", 1)
    trades = next(table for table in TABLES if table.view == "trades")
    turns = iter([False, True])
    assert not HistoryWriter(store, folder, lambda: next(turns)).write(Partition(trades, date(2026, 11, 5)))
    assert next(turns, None) is None
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_a_thread_writes_the_last_files_as_it_is_closed(venue):
    store, tape, folder = venue
    thread = HistoryThread(store, folder, pytest.fail)
    tape.trade(tape.buy(ANN, 1, 100), tape.sell(BOB, 1, 100), 1, 100)
    settle(store, tape)
    thread.close(60)
    assert thread.failure is None
    assert differences(store, folder) == []
    assert pq.read_table(folder / "full/trades/day=2026-11-06", partitioning=None).num_rows == 4
    assert "history" not in [one.name for one in threading.enumerate()]


def test_a_disk_that_takes_nothing_is_told_of_and_stops_nothing(venue):
    store, _, folder = venue
    folder.write_bytes(b"a file where the folder should be")
    told: list[str] = []
    thread = HistoryThread(store, folder, told.append)
    thread.close(60)
    assert thread.failure is None
    assert "history" in told[0]


def test_every_public_column_of_the_history_is_one_of_the_views_that_firms_see():
    store = Store.open()
    for table in TABLES:
        schema = "main" if table.is_full else "firm"
        query = f"select {', '.join(table.columns)} from {schema}.{table.view} limit 0"  # noqa: S608
        store.cursor().execute(query)


def test_the_views_of_the_example_read_the_folder_of_a_venue(venue, monkeypatch):
    store, _, folder = venue
    HistoryWriter(store, folder).run()
    monkeypatch.chdir(folder.parent)
    with duckdb.connect() as stranger:
        stranger.execute(EXAMPLE.read_text("utf-8"))
        days = "select instrument, open, high, low, close, volume, trades, vwap from bars_1d order by all"
        assert stranger.sql(days).fetchall() == rows(store, days)
        for view in (
            "trades",
            "bars_1m",
            "quotes_1m",
            "fixings",
            "instrument_events",
            "postings",
            "subsidy_legs",
        ):
            count = f"select count(*) from {view}"  # noqa: S608
            assert stranger.sql(count).fetchall() == rows(store, count), view
