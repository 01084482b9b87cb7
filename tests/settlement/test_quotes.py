"""Quotes of minutes: the tops that the book had, whatever was joined, and whenever the settler began anew."""

from __future__ import annotations

from random import Random

import pyarrow.parquet as pq
import pytest

from exchange.engine import RULES_VERSION, Engine
from exchange.server.follower import Commit, Follower
from exchange.server.journal import Journal, read_frames
from exchange.server.replay import apply_frame
from exchange.server.settler import Settler
from feeds.bars import MINUTE_NS
from matching.view import depth_of
from matching.vocabulary import Side
from settlement.compare import differences
from settlement.history import HistoryWriter
from settlement.history import differences as differences_of_history
from settlement.store import Store
from tests.server.venue import Venue, commands, new
from tests.settlement.tape import founded, rows

QUOTES = """
select epoch_us(start), instrument, bid, bid_quantity, ask, ask_quantity, sequence
from quotes_1m
order by all
"""


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    """The journal of an hour or two, with several frames in some minutes and none in others."""
    folder = tmp_path_factory.mktemp("journal")
    venue = Venue(Journal.open(folder, rules_version=RULES_VERSION, segment_bytes=1 << 20))
    for session, name in ((b"\0ann1", "ANN"), (b"\0ali1", "ALIBABA")):
        venue.meet(session, name)
    chance = Random(3)
    for number in range(40):
        venue.clock.advance(chance.choice((0, 10**6, 10**9, 25 * 10**9, 61 * 10**9, 200 * 10**9)))
        session, side = chance.choice(((b"\0ann1", Side.BUY), (b"\0ali1", Side.SELL)))
        row = new(venue, f"n{number}", side, chance.randint(1, 4), chance.randint(-2, 2))
        venue.say(session, commands(row))
    venue.journal.close()
    return folder, Commit(venue.engine.sequence, venue.journal.position)


@pytest.fixture(scope="module")
def whole(journal):
    """A store of the whole journal, settled in one go."""
    return settled(*journal)


def settled(folder, commit, stops=(), path=None):
    """Return a store of the journal; the settler stops at each of these sequences, and begins anew."""
    store = Store.open(path)
    for frame in (*(frame for frame in read_frames(folder) if frame.last in stops), None):
        until = commit if frame is None else Commit(frame.last, frame.end)
        settler = Settler(Follower(folder), store)
        settler.settle(until)
        settler.flush()
        if path is not None:
            store.close()
            store = Store.open(path)
    return store


def tops_by_the_book(folder):
    """Return the rows that the books come to, frame by frame, level by level."""
    engine, found, minutes = Engine(), [], set()
    for frame in read_frames(folder):
        if engine.sequence and frame.time // MINUTE_NS != engine.time // MINUTE_NS:
            minute = engine.time // MINUTE_NS
            minutes.add(minute)
            for index, instrument in enumerate(engine.registry.instruments):
                sides: list[int | None] = []
                for side in (Side.BUY, Side.SELL):
                    depth = depth_of(engine.core.book, index, side, 1)
                    sides += depth[0, :2].tolist() if len(depth) else [None, None]
                if sides != [None] * 4:
                    found.append((minute * 60_000_000, instrument.symbol, *sides, engine.sequence))
        apply_frame(engine, frame)
    assert len(minutes) > 8
    return sorted(found, key=lambda row: row[:2])


def test_a_minutes_quotes_are_the_tops_at_its_end(journal, whole):
    told = rows(whole, QUOTES)
    assert told == tops_by_the_book(journal[0])
    assert any(row[2] is None for row in told)
    assert any(row[4] is None for row in told)


def test_frames_joined_and_a_settler_that_begins_anew_change_no_quote(journal, whole, tmp_path):
    folder, commit = journal
    ends = [frame.last for frame in read_frames(folder)]
    stopped = settled(folder, commit, ends[5::30], tmp_path / "settlement.duckdb")
    one_by_one = Store.open()
    Settler(Follower(folder), one_by_one).settle_all()
    assert differences(stopped, whole) == []
    assert differences(one_by_one, whole) == []
    assert rows(stopped, QUOTES)
    stopped.close()


def test_the_history_has_every_quote_whenever_it_was_written(journal, tmp_path):
    folder, commit = journal
    store, history = Store.open(), tmp_path / "history"
    settler, writer = Settler(Follower(folder), store), HistoryWriter(store, history)
    for frame in list(read_frames(folder))[2::9]:
        settler.settle(Commit(frame.last, frame.end))
        settler.flush()
        writer.run()
        assert differences_of_history(store, history) == []
    settler.settle(commit)
    settler.flush()
    writer.run()
    ((count,),) = rows(store, "select count(*) from quotes_1m")
    paths = (history / "public" / "quotes_1m").glob("*/*.parquet")
    assert count == sum(pq.read_metadata(path).num_rows for path in paths) > 0


def test_one_lot_of_a_quote_is_a_difference(journal, whole):
    other = settled(*journal)
    last = "rowid = (select max(rowid) from base.quotes where bid is not null)"
    other._connection.execute(f"update base.quotes set bid_quantity = bid_quantity + 1 where {last}")  # noqa: S608
    assert [line.split(":")[0] for line in differences(whole, other)] == ["quotes_1m"]


def test_the_minute_under_way_has_no_quote(journal, whole):
    ends = [frame.time // MINUTE_NS for frame in read_frames(journal[0])]
    told = {start for (start,) in rows(whole, "select epoch_us(start) // 60000000 from quotes_1m")}
    assert ends[-1] not in told
    assert max(minute for minute in ends if minute != ends[-1]) in told


def test_no_minute_no_quotes():
    store, _ = founded()
    assert rows(store, "from quotes_1m") == []


def test_the_watermark_is_behind_until_a_flush_rows_or_not(journal, monkeypatch):
    """A proposal brings no row; the store must come to its sequence all the same."""
    folder, commit = journal
    settler = Settler(Follower(folder), Store.open(None))
    assert not settler.is_ahead
    first = next(iter(read_frames(folder)))
    settler.settle(Commit(first.last, first.end))
    assert settler.is_ahead
    settler.flush()
    assert not settler.is_ahead
    for name in ("add", "add_quotes"):
        monkeypatch.setattr(settler.store, name, lambda *_: None)
    settler.settle(commit)
    assert not settler.store.pending
    assert settler.is_ahead
    assert settler.store.watermark.sequence == first.last
    settler.flush()
    assert settler.store.watermark.sequence == commit.sequence
