"""The query service over a socket: chunks pulled, queries taken back, turns, and no commit waits."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.parquet
import pytest

from exchange.client.errors import RequestRefused, Timeout
from exchange.client.statements import Statement
from settlement.queries import QueryLimits
from settlement.store import Store
from tests.server.query_house import QueryHouse
from tests.settlement.tape import a_day, founded, settle
from tests.waiting import PATIENCE_SECONDS, until

ENDLESS = "select sum(i % 7) from range(1000000000000) as t(i)"
"""It takes the same little memory throughout: nothing but a limit or an alarm ends it."""


@pytest.fixture(scope="module")
def store():
    store, tape = founded()
    settle(store, a_day(tape))
    yield store
    store.close()


@pytest.fixture
def house(store: Store):
    house = QueryHouse(store)
    yield house
    house.close()


def test_an_answer_of_any_length_comes_in_chunks_of_one_sequence(house, store):
    with house.client() as history:
        tables = list(history.stream("select i, i % 3 as word from range(100000) t(i)", chunk_rows=30_000))
    assert [len(table) for table in tables] == [30_000, 30_000, 30_000, 10_000]
    assert {table.sequence for table in tables} == {store.watermark.sequence}
    assert pa.concat_tables([table.to_arrow() for table in tables])["i"].to_pylist() == list(range(100_000))
    until(lambda: not house.works())


def test_an_answer_without_rows_is_one_table_with_its_columns(house):
    with house.client() as history:
        (table,) = history.stream("select trade, buyer from trades where false")
    assert (len(table), table.to_arrow().schema.names) == (0, ["trade", "buyer"])


def test_words_that_recur_are_sent_short_and_read_plain(house):
    with house.client() as history:
        (table,) = history.stream("select 'word ' || i % 4 as word, i::varchar as own from range(1000) t(i)")
    assert [pa.types.is_dictionary(field.type) for field in table.as_sent().schema] == [True, False]
    assert table.to_arrow().schema.types == [pa.string(), pa.string()]
    assert table.rows()[5] == {"word": "word 1", "own": "5"}
    assert table.to_polars()["word"][5] == "word 1"


def test_no_more_is_made_than_a_few_chunks_ahead(house):
    with house.client() as history:
        stream = history.stream("from range(1000000000)", chunk_rows=1000)
        next(stream)
        (work,) = house.works()
        until(lambda: not work.is_waiting and not work.is_running)
        assert work.credit == 0
        assert work.question._chunks <= 4
        stream.close()
        until(lambda: not house.works())


def test_a_member_has_two_answers_in_chunks_and_gets_another_when_one_is_closed(house):
    with house.client() as history:
        streams = [history.stream("from range(10000000)", chunk_rows=10) for _ in range(3)]
        for stream in streams[:2]:
            next(stream)
        with pytest.raises(RequestRefused, match="2 of your answers in chunks are open"):
            next(streams[2])
        streams[0].close()
        until(lambda: len(house.works()) == 1)
        assert len(next(history.stream("from range(10)"))) == 10


def test_a_refusal_ends_a_stream(house):
    with house.client() as history:
        with pytest.raises(RequestRefused, match="hidden"):
            next(history.stream("from hidden"))
        broken = history.stream("select 10 // (40000 - i) + 'x'::int from range(50000) t(i)")
        with pytest.raises(RequestRefused, match="Could not convert"):
            list(broken)
        assert list(broken) == []
    until(lambda: not house.works())


def test_a_stream_has_a_limit_of_rows(store):
    house = QueryHouse(store, QueryLimits(stream_rows=25_000))
    with house.client() as history, pytest.raises(RequestRefused, match="more than 25000"):
        list(history.stream("from range(30000)", chunk_rows=10_000))
    house.close()


def test_a_reader_that_falls_silent_loses_its_answer(store, monkeypatch):
    monkeypatch.setattr("exchange.server.query_desk.STREAM_IDLE_SECONDS", 0.0)
    house = QueryHouse(store)
    with house.client() as history:
        stream = history.stream("from range(10000000)", chunk_rows=10)
        with pytest.raises(RequestRefused, match="idle"):
            list(stream)
    house.close()


def test_a_whole_life_has_an_end(store):
    house = QueryHouse(store, QueryLimits(stream_ms=1))
    with house.client() as history, pytest.raises(RequestRefused, match="timeout"):
        list(history.stream("from range(100000000)", chunk_rows=1000))
    house.close()


def test_a_call_that_gives_up_takes_its_query_back(house):
    with house.client() as history:
        with pytest.raises(Timeout):
            history.sql(ENDLESS, timeout=0.3)
        until(lambda: not house.works())
        assert history.sql("select 1 as one").rows() == [{"one": 1}]


def test_a_client_that_is_closed_takes_its_queries_back(house):
    with house.client() as history:
        asked = history._desk.session.ask(("select 1" + " " * 10, ()))
        history._desk.drop(asked)
        history.sql("select 1")
        history._desk.session.ask((ENDLESS, ()))
        with pytest.raises(Timeout):
            history.sql(ENDLESS, timeout=0.2)
    until(lambda: not house.works())


def test_a_short_query_is_not_behind_long_ones(store):
    house = QueryHouse(store, QueryLimits(timeout_ms=3_000))
    with house.client() as heavy, house.client() as other, house.client() as light:
        for history in (heavy, other):
            for _ in range(3):
                history._desk.session.ask(Statement(ENDLESS, ()))
            with pytest.raises(Timeout):
                history.sql("select 1", timeout=0.2)
        assert light.sql("select 7 as seven", timeout=PATIENCE_SECONDS).rows() == [{"seven": 7}]
        until(lambda: [*Counter(work.member for work in house.works() if work.is_running).values()] == [1, 1])
    house.close()


def test_who_has_too_many_is_told_so(house):
    with house.client() as history:
        for _ in range(8):
            history._desk.session.ask((ENDLESS, ()))
        with pytest.raises(RequestRefused, match="busy"):
            history.sql("select 1")


def test_a_commit_that_finds_no_memory_stops_what_is_at_work(house):
    with house.client() as history:
        asked = history._desk.session.ask((ENDLESS, ()))
        with pytest.raises(Timeout):
            history.sql(ENDLESS, timeout=0.2)
        until(lambda: any(work.is_running for work in house.works()))
        with house.desk.standing_still():
            assert not house.desk._running.total()
        history.sql("select 1")
        assert asked.answer.code == "memory"


def test_units_and_yuan_come_with_public_columns(house, tmp_path):
    with house.client() as history:
        table = history.trades("GLM-5")
        assert {name: table.units[name] for name in ("price", "amount", "quantity", "time")} == {
            "price": "hao per lot",
            "amount": "hao",
            "quantity": "lots",
            "time": "UTC",
        }
        in_yuan = history.trades("GLM-5", prices="yuan")
        named = history.sql(
            "select price, amount, 1 as quantity, amount as fee from trades where buyer = $who",
            {"who": "cat"},
        )
        mixed = history.sql("select t.amount, p.amount as other from trades t, postings p limit 1")
    assert in_yuan.units["price"] == "yuan per lot"
    assert [str(row["price"]) for row in in_yuan.rows()] == ["8.0000"]
    assert [row["price"] for row in table.rows()] == [80_000]
    assert named.units == {"price": "hao per lot", "amount": "hao"}
    assert mixed.units == {}
    in_yuan.to_parquet(tmp_path / "trades.parquet")
    assert pa.parquet.read_table(tmp_path / "trades.parquet")["price"].type == pa.decimal128(38, 4)
    assert "<small>hao per lot</small>" in table._repr_html_()
