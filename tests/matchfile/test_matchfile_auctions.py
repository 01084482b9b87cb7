"""Calls and auctions through files: a trading day row for row, and how an indicative price is written."""

from __future__ import annotations

import numpy as np
import pytest

from exchange.matchfile.commands import CommandFile
from exchange.matchfile.events import event_rows
from exchange.matchfile.run import match_file
from matching import EVENT
from matching.vocabulary import EventKind, Side
from tests.matchfile.tables import as_parquet, rows_of, written

DAY = """
    kind,   instrument, order, member, side, type,   time_in_force, price, quantity, phase
    phase,  GLM,        ,      ,       ,     ,       ,              100,   ,         pre_open
    new,    GLM,        1,     ann,    sell, ,       ,              100,   5,
    new,    GLM,        2,     bob,    buy,  ,       ,              102,   3,
    new,    GLM,        3,     cat,    buy,  market, ,              105,   4,
    new,    GLM,        4,     dan,    sell, ,       ,              101,   2,
    new,    GLM,        5,     eve,    buy,  ,       ioc,           101,   1,
    phase,  GLM,        ,      ,       ,     ,       ,              ,      ,         no_cancel
    cancel, GLM,        2,     bob,    ,     ,       ,              ,      ,
    new,    GLM,        6,     fay,    sell, ,       ,              103,   1,
    phase,  GLM,        ,      ,       ,     ,       ,              ,      ,         auction
    new,    GLM,        7,     gus,    buy,  ,       ,              100,   1,
    phase,  GLM,        ,      ,       ,     ,       ,              ,      ,         continuous
    new,    GLM,        8,     hal,    buy,  ,       ,              103,   1,
    new,    GLM,        9,     ida,    buy,  ,       day,           99,    2,
    phase,  GLM,        ,      ,       ,     ,       ,              101,   ,         halted
    new,    GLM,        10,    jay,    sell, ,       ,              99,    2,
    phase,  GLM,        ,      ,       ,     ,       ,              ,      ,         closed
    phase,  ,           ,      ,       ,     ,       ,              ,      ,         pre_open
    new,    GLM,        11,    ann,    sell, ,       ,              90,    5,
    new,    GLM,        12,    bob,    buy,  ,       ,              95,    2,
    cancel, GLM,        11,    ann,    ,     ,       ,              ,      ,
    new,    GLM,        11,    ann,    sell, ,       ,              90,    5,
    new,    GLM,        13,    kim,    buy,  market, ,              99,    4,
"""
"""Two mornings: what a call takes, its auction, the day, its end; then a call whose book stays crossed."""

EVENTS = """
sequence,kind,instrument,order,maker_order,side,price,quantity,leaves,reason
1,phase_changed,GLM,,,,100,0,0,pre_open
2,accepted,GLM,1,,sell,100,5,5,
3,accepted,GLM,2,,buy,102,3,3,
3,indicative,GLM,,,sell,100,3,2,
4,accepted,GLM,3,,buy,105,4,4,
4,indicative,GLM,,,buy,102,5,2,
5,accepted,GLM,4,,sell,101,2,2,
5,indicative,GLM,,,,101,7,0,
6,rejected,GLM,5,,buy,101,1,0,not_in_phase
7,phase_changed,GLM,,,,100,0,0,no_cancel
8,rejected,GLM,2,,,0,0,0,not_in_phase
9,accepted,GLM,6,,sell,103,1,1,
10,phase_changed,GLM,,,,100,0,0,auction
10,traded,GLM,3,1,buy,101,4,0,
10,traded,GLM,2,1,buy,101,1,2,
10,traded,GLM,2,4,buy,101,2,0,
11,rejected,GLM,7,,buy,100,1,0,instrument_not_open
12,phase_changed,GLM,,,,100,0,0,continuous
13,accepted,GLM,8,,buy,103,1,1,
13,traded,GLM,8,6,buy,103,1,0,
14,accepted,GLM,9,,buy,99,2,2,
15,phase_changed,GLM,,,,101,0,0,halted
16,rejected,GLM,10,,sell,99,2,0,instrument_not_open
17,phase_changed,GLM,,,,101,0,0,closed
17,expired,GLM,9,,buy,99,2,0,
18,phase_changed,GLM,,,,101,0,0,pre_open
19,accepted,GLM,11,,sell,90,5,5,
20,accepted,GLM,12,,buy,95,2,2,
20,indicative,GLM,,,sell,90,2,3,
21,cancelled,GLM,11,,sell,90,5,0,
21,indicative,GLM,,,,,0,0,
22,accepted,GLM,11,,sell,90,5,5,
22,indicative,GLM,,,sell,90,2,3,
23,accepted,GLM,13,,buy,99,4,4,
23,indicative,GLM,,,buy,95,5,1,
""".lstrip()

BOOK = """
instrument,side,price,order,quantity
GLM,buy,95,12,2
GLM,sell,90,11,5
""".lstrip()
"""Crossed, as a call leaves it; the market order that waits is not among what rests."""


def test_a_trading_day_row_for_row(tmp_path):
    events, book = tmp_path / "events.csv", tmp_path / "book.csv"
    totals = match_file(CommandFile(written(tmp_path, DAY)), events, book)
    assert events.read_text() == EVENTS
    assert book.read_text() == BOOK
    assert totals[:4] == (23, 35, 4, 8)


def test_a_trading_day_is_the_same_in_parquet(tmp_path):
    path = written(tmp_path, DAY)
    (tmp_path / "expected.csv").write_text(EVENTS)
    (tmp_path / "resting.csv").write_text(BOOK)
    events, book = tmp_path / "events.parquet", tmp_path / "book.parquet"
    match_file(CommandFile(as_parquet(path)), events, book)
    assert rows_of(events) == rows_of(tmp_path / "expected.csv")
    assert rows_of(book) == rows_of(tmp_path / "resting.csv")


def test_continuous_trading_begins_with_the_auction(tmp_path):
    """Entering continuous uncrosses too, and cancels what is left of the market order."""
    path = written(
        tmp_path,
        """
        kind,  order, side, type,   price, quantity, phase
        phase, ,      ,     ,       ,      ,         pre_open
        new,   1,     sell, ,       100,   1,
        new,   2,     buy,  market, 101,   3,
        phase, ,      ,     ,       ,      ,         continuous
        """,
    )
    events = tmp_path / "events.csv"
    match_file(CommandFile(path), events)
    assert [(row["kind"], row["order"], row["quantity"], row["reason"]) for row in rows_of(events)] == [
        ("phase_changed", None, 0, "pre_open"),
        ("accepted", 1, 1, None),
        ("accepted", 2, 3, None),
        ("indicative", None, 1, None),
        ("phase_changed", None, 0, "continuous"),
        ("traded", 2, 1, None),
        ("cancelled", 2, 2, None),
    ]


@pytest.mark.parametrize(
    ("price", "volume", "surplus", "side", "told"),
    [
        (101, 7, 2, Side.BUY, ("buy", 101, 7, 2)),
        (101, 7, 3, Side.SELL, ("sell", 101, 7, 3)),
        (101, 7, 0, Side.BUY, (None, 101, 7, 0)),
        (0, 0, 0, Side.BUY, (None, None, 0, 0)),
    ],
)
def test_an_indicative_price_tells_only_what_there_is(price, volume, surplus, side, told):
    events = np.zeros(1, EVENT)
    events["kind"] = EventKind.INDICATIVE
    events["price"], events["quantity"], events["leaves"], events["side"] = price, volume, surplus, side
    row = event_rows(events, 0, ["GLM"]).to_pylist()[0]
    assert (row["side"], row["price"], row["quantity"], row["leaves"]) == told
    assert (row["kind"], row["instrument"], row["order"], row["maker_order"]) == (
        "indicative",
        "GLM",
        None,
        None,
    )
