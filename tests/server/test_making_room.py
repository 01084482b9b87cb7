"""A commit comes first: readers that leave it no memory are ended, and what they had begun is told."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from exchange.engine import RULES_VERSION
from exchange.protocol.messages import ANSWERS
from exchange.server.follower import Follower
from exchange.server.journal import Journal, read_frames
from exchange.server.run_settlement import _others_stand_still
from exchange.server.settler import Settler
from matching.vocabulary import Side
from settlement.history import HistoryWriter
from settlement.store import Store
from tests.server.query_house import QueryHouse
from tests.server.venue import Venue, commands, new
from tests.settlement.tape import a_day, founded, settle
from tests.waiting import until

SMALL = 40_000_000
MUCH = """
select 0::integer as instrument, make_timestamp(i * 1000003) as start, (hash(i) // 8)::bigint as bid,
    (hash(i + 1) // 8)::bigint as bid_quantity, (hash(i + 2) // 8)::bigint as ask,
    (hash(i + 3) // 8)::bigint as ask_quantity, $1::bigint as sequence
from (select unnest(range(20000)) + $1 * 20000 as i)
"""
"""Quotes that no compression makes small: a megabyte of the store's log."""


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    """The journal of some forty frames."""
    folder = tmp_path_factory.mktemp("journal")
    venue = Venue(Journal.open(folder, rules_version=RULES_VERSION, segment_bytes=1 << 20))
    venue.meet(b"\0ann1", "ANN")
    for number in range(40):
        venue.clock.advance(1000)
        venue.say(b"\0ann1", commands(new(venue, f"n{number}", Side.BUY, 1, 0)))
    venue.journal.close()
    return folder


@pytest.fixture
def store(tmp_path):
    store, tape = founded(tmp_path / "settlement.duckdb")
    settle(store, a_day(tape))
    yield store
    store.close()


@contextmanager
def noting(made: list[bool]):
    """Make room for a commit, and note it."""
    made.append(True)
    yield


def test_a_reader_that_keeps_new_rows_in_memory_is_ended_before_there_is_no_room(journal, tmp_path):
    """Each frame brings a megabyte: with the reader's transaction open they fill the memory by the 37th."""
    store = Store.open(tmp_path / "settlement.duckdb", memory_bytes=SMALL)
    settler, maker = Settler(Follower(journal), store), duckdb.connect()
    reader, ended = store.cursor(), []
    reader.execute("begin transaction read only").execute("from base.watermark").fetchall()

    @contextmanager
    def making_room():
        assert store.is_crowded
        reader.close()
        ended.append(store.watermark.sequence)
        yield

    settler.making_room = making_room
    frames = list(read_frames(journal))
    for number, frame in enumerate(frames):
        store.add_quotes(maker.sql(MUCH, params=[number]).to_arrow_table())
        settler._fold(frame, 1)
        settler.flush()
    assert len(frames) >= 37
    assert len(ended) == 1
    assert not store.is_crowded
    assert store.watermark.sequence == frames[-1].last
    counted = store.cursor().execute("select count(*) from base.quotes where instrument = 0").fetchone()
    assert counted == (len(frames) * 20_000,)
    store.close()


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (duckdb.OutOfMemoryException("could not allocate block"), ["crowded", "with room"]),
        (duckdb.TransactionException("Failed to commit: could not allocate block"), ["crowded"]),
    ],
)
def test_a_flush_that_found_no_memory_is_tried_once_more_unless_it_was_committing(
    journal, monkeypatch, error, tries
):
    store = Store.open()
    settler = Settler(Follower(journal), store)
    tried: list[str] = []
    has_room: list[bool] = []
    flush = store.flush

    def flushed(*args: Any) -> None:
        tried.append("with room" if has_room else "crowded")
        if not has_room:
            raise error
        flush(*args)

    monkeypatch.setattr(store, "flush", flushed)
    settler.making_room = lambda: noting(has_room)
    frame = next(read_frames(journal))
    settler._fold(frame, 1)
    if len(tries) == 1:
        with pytest.raises(duckdb.TransactionException):
            settler.flush()
    else:
        settler.flush()
        assert store.watermark.sequence == frame.last
    assert tried == tries
    store.close()


def test_a_store_that_finds_no_memory_to_be_reconciled_has_others_make_room(journal, monkeypatch):
    empty = Store.open()
    settler = Settler(Follower(journal), empty, reconcile_flushes=1)
    has_room: list[bool] = []
    differences = settler._reconciler.differences

    def compared(*args: Any) -> list[str]:
        if not has_room:
            raise duckdb.OutOfMemoryException("failed to pin block")
        return differences(*args)

    monkeypatch.setattr(settler._reconciler, "differences", compared)
    settler.making_room = lambda: noting(has_room)
    settler.settle_all()
    assert has_room == [True]
    empty.close()


def test_queries_at_work_and_between_two_chunks_are_ended_and_those_that_wait_go_on(store):
    house = QueryHouse(store)
    with house.client() as history, house.client() as other, ThreadPoolExecutor() as pool:
        stream = history.stream("from range(1000000000)", chunk_rows=1000)
        next(stream)
        (read,) = house.works()
        until(lambda: not read.is_waiting and not read.is_running)
        sent: list[list[bytes]] = []
        router: Any = SimpleNamespace(send_multipart=lambda parts, _: sent.append(parts))
        still: Any = SimpleNamespace(standing_still=threading.Lock)
        with _others_stand_still(house.desk, still, router):
            assert house.works() == []
            asked = pool.submit(other.sql, "select 1 as one")
            until(house.works)
            assert sent == []
        ((session, said),) = sent
        assert session == read.session
        refusal = ANSWERS.decode(said[1:])
        assert (refusal.reason, refusal.request) == ("memory", read.query.request)
        assert asked.result(60).rows() == [{"one": 1}]
    house.close()


def test_the_history_gives_up_the_file_that_it_writes_and_writes_it_later(store, tmp_path):
    begun: list[threading.Thread] = []

    def stand_still() -> None:
        with writer.standing_still():
            assert not list(tmp_path.rglob("*.parquet"))

    def is_stopped() -> bool:
        if not begun:
            begun.append(threading.Thread(target=stand_still))
            begun[0].start()
            assert writer._gives_way.wait(60)
        return False

    writer = HistoryWriter(store, tmp_path / "history", is_stopped)
    (partition, *_), _ = writer.behind()
    with pytest.raises(MemoryError, match="a commit needed the memory that reading public/trades took"):
        writer.write(partition)
    begun[0].join(60)
    assert writer.run() > 0
    assert (
        json.loads((tmp_path / "history" / "mark.json").read_text())["sequence"] == store.watermark.sequence
    )
