"""A table of commands played: its events row by row, what rests at the end, and how files are written."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from exchange.matchfile import commands as commandfile
from exchange.matchfile.columns import BadTable
from exchange.matchfile.commands import CommandFile
from exchange.matchfile.events import BOOK_TABLE, EVENT_TABLE, event_rows
from exchange.matchfile.run import match_file
from matching import COMMAND, EVENT, empty_book, match
from matching.vocabulary import CommandKind, EventKind, Phase, RejectReason, Side, TimeInForce
from tests.matchfile.tables import as_parquet, commands_in, rows_of, written

MARKET = """
    kind,  instrument, order, member, side, time_in_force, price, quantity
    new,   GLM,        1,     ann,    sell, ,              101,   3
    ,      GLM,        2,     bob,    sell, gtc,           101,   2
    ,      QWEN,       3,     ann,    buy,  day,           7,     1
    ,      GLM,        4,     cat,    buy,  ioc,           102,   4
    ,      ,           5,     ,       buy,  ,              50,    6
    ,      GLM,        2,     dan,    buy,  ,              99,    1
    cancel,,           3,     bob,    ,     ,              ,
    cancel,,           3,     ,       ,     ,              ,
    ,      GLM,        6,     eve,    buy,  ,              99,    8
    ,      GLM,        7,     fay,    ,     ,              99,    8
    ,      GLM,        8,     eve,    buy,  ,              100,   9
"""
EVENTS = """
sequence,kind,instrument,order,maker_order,side,price,quantity,leaves,reason
1,accepted,GLM,1,,sell,101,3,3,
2,accepted,GLM,2,,sell,101,2,2,
3,accepted,QWEN,3,,buy,7,1,1,
4,accepted,GLM,4,,buy,102,4,4,
4,traded,GLM,4,1,buy,101,3,1,
4,traded,GLM,4,2,buy,101,1,0,
5,accepted,,5,,buy,50,6,6,
6,rejected,GLM,2,,buy,99,1,0,duplicate_order
7,rejected,,3,,,0,0,0,unknown_order
8,cancelled,QWEN,3,,buy,7,1,0,
9,accepted,GLM,6,,buy,99,8,8,
10,rejected,GLM,7,,,99,8,0,unknown_side
11,accepted,GLM,8,,buy,100,9,9,
""".lstrip()
BOOK = """
instrument,side,price,order,quantity
GLM,buy,100,8,9
GLM,buy,99,6,8
GLM,sell,101,2,1
,buy,50,5,6
""".lstrip()


def test_a_small_market_row_for_row(tmp_path):
    events, book = tmp_path / "events.csv", tmp_path / "book.csv"
    totals = match_file(CommandFile(written(tmp_path, MARKET)), events, book)
    assert events.read_text() == EVENTS
    assert book.read_text() == BOOK
    assert totals[:4] == (11, 13, 2, 4)
    assert min(totals[4:]) >= 0


def test_csv_and_parquet_say_the_same(tmp_path):
    path = written(tmp_path, MARKET)
    (tmp_path / "expected.csv").write_text(EVENTS)
    (tmp_path / "resting.csv").write_text(BOOK)
    for source in (path, as_parquet(path)):
        for suffix in (".csv", ".parquet"):
            events, book = tmp_path / f"events{suffix}", tmp_path / f"book{suffix}"
            match_file(CommandFile(source), events, book)
            assert rows_of(events) == rows_of(tmp_path / "expected.csv")
            assert rows_of(book) == rows_of(tmp_path / "resting.csv")


def test_parquet_has_plain_types(tmp_path):
    events, book = tmp_path / "events.parquet", tmp_path / "book.parquet"
    match_file(CommandFile(written(tmp_path, MARKET)), events, book)
    assert pyarrow.parquet.read_schema(events) == EVENT_TABLE
    assert pyarrow.parquet.read_schema(book) == BOOK_TABLE
    assert set(EVENT_TABLE.types) == {pa.int64(), pa.string()}


def test_every_order_type_by_the_manual(tmp_path):
    """Stops, icebergs, FOK and the rest, through the table's own columns."""
    path = written(
        tmp_path,
        """
kind,instrument,order,member,side,type,time_in_force,price,quantity,stop_price,display_quantity,minimum_quantity,trail,post_only,self_trade,phase,time,expires_at
,A,1,ann,sell,,,100,5,,,,,,,,,
,A,2,bob,buy,,,100,2,,,,,,,,,
,A,3,cat,sell,stop,,90,3,99,,,,,,,,
,A,4,bob,buy,,,99,4,,,,,,,,,
,A,5,dan,sell,,ioc,99,1,,,,,,,,,
,A,6,eve,buy,,,98,10,,4,,,,,,,
reduce,,6,,,,,,3,,,,,,,,,
replace,,6,eve,,,,97,5,,,,,,,,,
,A,7,fay,sell,,fok,97,6,,,,,,,,,
,A,8,gus,sell,,,97,1,,,,,true,,,,
,A,9,eve,sell,,,97,2,,,,,,cancel_taker,,,
,A,11,ivy,sell,trailing_stop,,80,1,,,,3,,,,,
,A,12,jay,buy,,,95,4,,,2,,,,,,
,A,13,kim,sell,market,,97,6,,,,,,,,,
,A,14,lee,buy,,gtd,94,1,,,,,,,,100,200
,A,15,mia,buy,,,94,2,,,,,,,,,
phase,,,,,,,,,,,,,,,halted,200,
cancel,A,15,lee,,,,,,,,,,,,,,
mass_cancel,,,,,,,,,,,,,,,,,
        """,
    )
    events = tmp_path / "events.csv"
    match_file(CommandFile(path), events)
    assert (
        events.read_text()
        == """
sequence,kind,instrument,order,maker_order,side,price,quantity,leaves,reason
1,accepted,A,1,,sell,100,5,5,
2,accepted,A,2,,buy,100,2,2,
2,traded,A,2,1,buy,100,2,0,
3,accepted,A,3,,sell,90,3,3,
4,accepted,A,4,,buy,99,4,4,
5,accepted,A,5,,sell,99,1,1,
5,traded,A,5,4,sell,99,1,0,
5,triggered,A,3,,sell,90,3,3,
5,traded,A,3,4,sell,99,3,0,
6,accepted,A,6,,buy,98,10,10,
7,reduced,A,6,,buy,98,7,7,
8,replaced,A,6,,buy,97,5,5,
9,accepted,A,7,,sell,97,6,6,
9,cancelled,A,7,,sell,97,6,0,not_fillable
10,rejected,A,8,,sell,97,1,0,post_only_would_cross
11,accepted,A,9,,sell,97,2,2,
11,cancelled,A,9,,sell,97,2,0,self_trade
12,accepted,A,11,,sell,80,1,1,
13,accepted,A,12,,buy,95,4,4,
13,cancelled,A,12,,buy,95,4,0,not_fillable
14,accepted,A,13,,sell,97,6,6,
14,traded,A,13,6,sell,97,4,2,
14,traded,A,13,6,sell,97,1,1,
14,cancelled,A,13,,sell,97,1,0,
15,accepted,A,14,,buy,94,1,1,
16,accepted,A,15,,buy,94,2,2,
17,expired,A,14,,buy,94,1,0,
17,phase_changed,A,,,,0,0,0,halted
18,rejected,A,15,,,0,0,0,unknown_order
19,cancelled,A,15,,buy,94,2,0,
19,cancelled,A,1,,sell,100,3,0,
19,cancelled,A,11,,sell,80,1,0,
""".lstrip()
    )


def test_a_phase_of_all_is_one_of_books_to_come_too(tmp_path, monkeypatch):
    monkeypatch.setattr(commandfile, "BATCH_ROWS", 1)
    path = as_parquet(
        written(
            tmp_path,
            """
            kind, instrument, order, side, price, quantity, phase
            new,  GLM,        1,     buy,  5,     1,
            phase,,           ,      ,     ,      ,         halted
            new,  QWEN,       2,     buy,  5,     1,
            """,
        )
    )
    events = tmp_path / "events.csv"
    match_file(CommandFile(path), events)
    assert [(row["sequence"], row["kind"], row["instrument"], row["reason"]) for row in rows_of(events)] == [
        (1, "accepted", "GLM", None),
        (2, "phase_changed", "GLM", "halted"),
        (2, "phase_changed", "QWEN", "halted"),
        (3, "rejected", "QWEN", "instrument_not_open"),
    ]


def test_each_event_kind_and_reason_has_its_word():
    events = np.zeros(len(EventKind) + len(RejectReason), EVENT)
    events["order"] = 7
    events["kind"][: len(EventKind)] = list(EventKind)
    events["phase"] = Phase.HALTED
    events["kind"][len(EventKind) :] = EventKind.REJECTED
    events["reason"][len(EventKind) :] = list(RejectReason)
    rows = event_rows(events, 100, ["GLM"]).to_pylist()
    assert [row["kind"] for row in rows[: len(EventKind)]] == [kind.name.lower() for kind in EventKind]
    told = [row["reason"] for row in rows[len(EventKind) :]]
    assert told == [None, *(reason.name.lower() for reason in RejectReason if reason)]
    changed = rows[list(EventKind).index(EventKind.PHASE_CHANGED)]
    assert (changed["sequence"], changed["reason"], changed["side"]) == (101, "halted", None)


# --- batches -----------------------------------------------------------------------------------


def random_commands(seed, count):
    """Return orders and cancels over three books that trade now and then."""
    chance = np.random.default_rng(seed)
    commands = np.zeros(count, COMMAND)
    commands["kind"] = np.where(chance.random(count) < 0.4, CommandKind.CANCEL, CommandKind.NEW)
    ids = np.arange(1, count + 1)
    is_cancel = commands["kind"] == CommandKind.CANCEL
    commands["order"] = np.where(is_cancel, np.maximum(1, ids - chance.integers(1, 50, count)), ids)
    commands["instrument"] = chance.integers(0, 3, count)
    commands["instrument"][:3] = [0, 1, 2]
    commands["member"] = commands["group"] = np.where(is_cancel, -1, chance.integers(0, 9, count))
    commands["side"] = chance.integers(0, 2, count)
    commands["time_in_force"] = chance.choice([TimeInForce.GTC, TimeInForce.IOC], count)
    commands["price"] = chance.integers(-1, 20, count)
    commands["quantity"] = chance.integers(0, 10, count)
    return commands


def test_a_long_file_in_batches_is_one_batch(tmp_path, monkeypatch, seed):
    """The file's numbers for members and instruments are its own; what happens is the same."""
    monkeypatch.setattr(commandfile, "BATCH_ROWS", 1_000)
    monkeypatch.setattr(commandfile, "BLOCK_BYTES", 2**14)
    commands = random_commands(seed, 20_000)
    columns = {name: pa.array(commands[name]) for name in ("order", "price", "quantity")}
    columns["kind"] = [CommandKind(kind).name.lower() for kind in commands["kind"]]
    columns["instrument"] = [f"book-{number}" for number in commands["instrument"]]
    columns["member"] = [str(number) if number >= 0 else None for number in commands["member"]]
    columns["side"] = [Side(side).name.lower() for side in commands["side"]]
    columns["time_in_force"] = [TimeInForce(code).name.lower() for code in commands["time_in_force"]]
    pyarrow.csv.write_csv(pa.table(columns), tmp_path / "commands.csv")
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "commands.parquet")
    names = [f"book-{number}" for number in (0, 1, 2)]
    _, whole = match(empty_book(3), commands)
    expected = event_rows(whole, 0, names).to_pylist()
    for suffix in (".csv", ".parquet"):
        source, events = tmp_path / f"commands{suffix}", tmp_path / f"events{suffix}"
        told: list[tuple[int, int]] = []

        def tell(done, count, told=told):
            told.append((done, count))

        totals = match_file(CommandFile(source), events, told=tell)
        assert rows_of(events) == expected
        assert len(told) > 10
        assert told[-1] == (20_000, 20_000)
        traded = whole[whole["kind"] == EventKind.TRADED]
        assert totals[:4] == (20_000, len(whole), len(traded), traded["quantity"].sum())
        assert commands_in(source)["order"].tolist() == commands["order"].tolist()


def test_a_table_without_rows_has_no_events(tmp_path):
    events, book = tmp_path / "events.csv", tmp_path / "book.csv"
    totals = match_file(CommandFile(written(tmp_path, "kind,order")), events, book)
    assert totals[:4] == (0, 0, 0, 0)
    assert events.read_text() == EVENTS.splitlines()[0] + "\n"
    assert book.read_text() == BOOK.splitlines()[0] + "\n"


def test_a_name_that_needs_quotes_has_them(tmp_path):
    path = tmp_path / "commands.csv"
    path.write_text('instrument,order,side,price,quantity\n"GLM ""4"", big",1,buy,5,1\n')
    events, book = tmp_path / "events.csv", tmp_path / "book.csv"
    match_file(CommandFile(path), events, book)
    for table in (events, book):
        assert [row["instrument"] for row in rows_of(table)] == ['GLM "4", big']


# --- files are whole, or as they were ----------------------------------------------------------


def test_what_goes_wrong_leaves_the_old_files(tmp_path, monkeypatch):
    monkeypatch.setattr(commandfile, "BLOCK_BYTES", 64)
    rows = ["instrument,order,side,price,quantity", *(f"GLM,{order},buy,1,1" for order in range(1, 500))]
    path = written(tmp_path, "\n".join([*rows, "GLM,500,buy,x,1"]))
    events, book = tmp_path / "events.csv", tmp_path / "book.parquet"
    events.write_text("old events")
    book.write_text("old book")
    with pytest.raises(BadTable, match="row 500, column price"):
        match_file(CommandFile(path), events, book)
    written(tmp_path, "\n".join(rows))

    def fail(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        match_file(CommandFile(path), events, book)
    monkeypatch.undo()

    def interrupt(done, count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        match_file(CommandFile(path), events, book, told=interrupt)
    assert (events.read_text(), book.read_text()) == ("old events", "old book")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["book.parquet", "commands.csv", "events.csv"]
    match_file(CommandFile(path), events, book)
    assert len(rows_of(events)) == len(rows_of(book)) == 499
