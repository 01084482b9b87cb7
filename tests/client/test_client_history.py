"""History by both clients, over a socket: methods, chunks, what is given up, and files of it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from exchange.cli.exporting import statement_of
from exchange.cli.table_files import TableFile
from exchange.client.async_link import AsyncLink
from exchange.client.asynchronous import AsyncHistory
from exchange.client.errors import BadInput, ConnectionLost, ProtocolBroken, RequestRefused, Timeout
from exchange.client.queries import Queries, QuerySession
from exchange.client.statements import Statement
from exchange.client.wire import Options
from exchange.protocol.messages import encode
from exchange.protocol.query_messages import QueryChunk
from tests.server.query_house import QueryHouse
from tests.settlement.tape import a_day, founded, settle

ENDLESS = "select sum(i % 7) from range(1000000000000) as t(i)"
"""It takes the same little memory throughout: nothing but a limit or an alarm ends it."""


@pytest.fixture(scope="module")
def house():
    store, tape = founded()
    settle(store, a_day(tape))
    house = QueryHouse(store)
    yield house
    house.close()
    store.close()


@contextmanager
def async_client(house):
    """Yield the history of a new member's asynchronous client, inside its event loop."""
    profile = house.profile()

    def opened(session):
        return AsyncLink(house.endpoint, profile, Options(message_bytes_max=2**30), session)

    queries = Queries(opened, lambda: profile.member, lambda: {"QWEN3-MAX": None, "GLM-5": None})
    try:
        yield AsyncHistory(queries)
    finally:
        queries.close()


def test_every_method_asks_what_it_says(house):
    with house.client() as history:
        day = {"start": "2026-11-04T16:00", "end": "2026-11-05T16:00"}  # the fifth, at the venue
        assert len(history.trades("QWEN3-MAX", **day)) == 4
        assert len(history.trades("QWEN3-MAX", start="2026-11-06")) == 0
        for interval, bars in (("1s", 3), ("1m", 2), ("5m", 1), ("1h", 1), ("1d", 1)):
            assert len(history.bars("QWEN3-MAX", interval, **day)) == bars, interval
        assert history.bars("GLM-5", "1d", prices="yuan").units["close"] == "yuan per lot"
        assert [row["instrument"] for row in history.events("GLM-5").rows()] == ["GLM-5"]
        assert len(history.events()) == 2
        for empty in (history.quotes("GLM-5"), history.fixings(**day), history.fixings("GLM-5")):
            assert len(empty) == 0
        assert len(history.index(start="2026-11-06")) == len(history.index("flagship")) == 0


def test_an_asynchronous_client_reads_chunks_and_gives_up(house):
    async def story():
        with async_client(house) as history:
            lengths = [len(table) async for table in history.stream("from range(2500)", chunk_rows=1000)]
            assert lengths == [1000, 1000, 500]
            stream = history.stream("from range(100000000)", chunk_rows=10)
            assert len(await anext(stream)) == 10
            await stream.aclose()
            with pytest.raises(Timeout):
                await history.sql(ENDLESS, timeout=0.2)
            task = asyncio.create_task(history.sql(ENDLESS))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            while house.desk._work:
                await asyncio.sleep(0.005)
            one, two = await asyncio.gather(history.sql("select 1 as n"), history.sql("select 2 as n"))
            return one.rows() + two.rows()

    assert asyncio.run(asyncio.wait_for(story(), 30)) == [{"n": 1}, {"n": 2}]


def chunk(number: int, *, is_last: bool = False) -> bytes:
    return encode(QueryChunk(1, number, 0, b"", 7, is_last))


def asked_in_chunks():
    session = QuerySession()
    session.linked()
    return session, session.ask_in_chunks(Statement("from trades", ()), 10)


def test_a_chunk_that_did_not_arrive_is_noticed():
    session, asked = asked_in_chunks()
    session.receive(chunk(0))
    session.receive(chunk(2))
    assert isinstance(asked.fault, ProtocolBroken)


def test_a_connection_lost_amid_chunks_ends_them_and_before_the_first_asks_anew():
    session, asked = asked_in_chunks()
    session.cut()
    session.linked()
    assert list(session.outbox) == [asked]
    session.receive(chunk(0))
    session.cut()
    session.linked()
    assert isinstance(asked.fault, ConnectionLost)
    assert not session.outbox


def test_a_firm_sees_its_own_in_chunks_too(house):
    with house.client("cat") as history:
        (table,) = history.stream("select distinct member from orders")
        assert table.rows() == [{"member": "cat"}]
        with pytest.raises(RequestRefused, match=r"base\.orders"):
            next(history.stream("from base.orders"))


def test_a_table_without_money_is_not_turned_into_yuan(house):
    with house.client() as history, pytest.raises(BadInput, match="no column of this table"):
        history.sql("select 1 as price").in_yuan()


# --- files -----------------------------------------------------------------------------------


def written(house, path, sql, **options):
    with house.client() as history, TableFile(path, **options) as file:
        for table in history.stream(sql, chunk_rows=1000):
            file.write(table)


READERS = {".parquet": pq.read_table, ".arrow": pa.feather.read_table, ".csv": pa.csv.read_csv}


@pytest.mark.parametrize("suffix", READERS)
def test_a_file_has_every_row_in_its_order_and_plain_words(house, tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    written(house, path, "select i, 'word ' || i % 7 as word, i / 2 as half from range(5500) t(i)")
    table = READERS[suffix](path)
    assert table["i"].to_pylist() == list(range(5500))
    assert table.schema.field("word").type == pa.string()
    assert table["word"][8].as_py() == "word 1"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_parquet_file_tells_units_and_may_be_in_yuan(house, tmp_path):
    path = tmp_path / "trades.parquet"
    written(house, path, "from trades", is_in_yuan=True)
    table = pq.read_table(path)
    assert table.schema.field("price").metadata[b"unit"] == b"yuan per lot"
    assert [str(price) for price in table["price"].to_pylist()[:1]] == ["11.0000"]
    assert table.schema.field("buyer").type == pa.string()


def test_what_breaks_off_leaves_the_file_that_was_there(house, tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"before")
    with pytest.raises(RequestRefused):
        written(
            house, path, "select (i || case when i = 4000 then 'x' else '' end)::int from range(5000) t(i)"
        )
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [(path.name, b"before")]


def test_a_file_that_cannot_be_written_says_so(house, tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        written(house, tmp_path / "nowhere" / "rows.csv", "from range(10000)")
    assert threading.active_count() < 50


def test_what_is_exported_is_one_statement():
    assert statement_of("trades", instrument="GLM-5", end="2026-11-06") == Statement(
        "select * from trades where instrument = ? and time < cast(? as timestamp)",
        ("GLM-5", "2026-11-06 00:00:00"),
    )
    assert statement_of("bars", interval="1h").sql == "select * from bars_1h order by start"
    assert statement_of("select 1", interval=None) == Statement("select 1", ())
