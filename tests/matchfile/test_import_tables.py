"""`bourse import csv` and `parquet`: anybody's order flow as commands, and what cannot be taken."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.generic_map import read_map
from exchange.generic_tables import Table, import_table
from exchange.matchfile.columns import BadTable
from tests.matchfile.tables import rows_of

MAP = """
[columns]
order = "id"
action = "type"
side = "bs"
price = "px"
quantity = "qty"
time = "ts"
[constants]
instrument = "QWEN"
[words.action]
new = ["A"]
cancel = ["D"]
reduce = ["X"]
replace = ["U"]
execute = ["E", "P"]
[words.side]
buy = ["B", 1]
sell = ["S"]
[time]
unit = "us"
"""

ASKED = """
id,type,bs,px,qty,ts,junk
a-1,A,B,6.11,10,1000,x
a-2,A,S,6.12,4,1001,
a-3,A,1,6.12,6,1002,
a-1,X,,,3,1003,
a-1,U,,6.10,8,1004,
zz,D,,,,1005,
a-1,D,,,,1006,
"""

HAPPENED = """
id,type,bs,px,qty,ts
a,A,B,6.11,10,1000
b,A,B,6.11,5,1001
c,A,S,6.15,4,1002
a,E,,,4,1003
a,X,,,6,1004
b,U,,6.12,7,1005
b,E,,,7,1006
b,D,,,,1007
old,E,S,6.14,2,1008
old,D,S,6.14,3,1009
gone,D,,,,1010
c,E,,,9,1011
"""

TOLD = ("kind", "member", "order", "side", "time_in_force", "price", "quantity")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Yield a folder with a map, in which `bourse` is called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "map.toml").write_text(MAP)
    return tmp_path


def call(form, name, *more, code=0):
    words = ["import", form, name, "--map", "map.toml", "--out", "commands.csv", *more]
    done = CliRunner().invoke(bourse, words)
    assert done.exit_code == code, done.output
    return done


def imported(folder, text, name="day.csv"):
    """Import a CSV; return its commands in words, and the facts."""
    (folder / name).write_text(text.lstrip())
    facts = json.loads(call("csv", name, "--json").stdout)
    rows = rows_of(folder / "commands.csv")
    return [tuple(row[field] for field in TOLD) for row in rows], facts


# --- what is asked -----------------------------------------------------------------------------


def test_without_executions_each_row_is_the_command_that_it_is(folder):
    told, facts = imported(folder, ASKED)
    assert told == [
        ("new", None, 1, "buy", "gtc", 61_100, 10),
        ("new", None, 2, "sell", "gtc", 61_200, 4),
        ("new", None, 3, "buy", "gtc", 61_200, 6),
        ("reduce", None, 1, None, None, None, 3),
        ("replace", None, 1, None, None, 61_000, 8),
        ("cancel", None, 1, None, None, None, None),
    ]
    rows = rows_of(folder / "commands.csv")
    assert [row["time"] for row in rows] == [1_000_000 + 1_000 * n for n in (0, 1, 2, 3, 4, 6)]
    assert {row["instrument"] for row in rows} == {"QWEN"}
    assert (facts["rows"], facts["commands"]) == (7, 6)
    assert facts["notes"] == {"cancel of orders that were not entered before, left out": 1}


def test_what_was_imported_is_played_and_told_by_kind(folder):
    (folder / "day.csv").write_text(ASKED.lstrip())
    facts = json.loads(call("csv", "day.csv", "--play", "--json").stdout)
    kinds = {"accepted": 3, "traded": 1, "reduced": 1, "replaced": 1, "cancelled": 1}
    assert facts["events_by_kind"] == kinds
    said = call("csv", "day.csv", "--play").output
    assert "7 rows, 6 commands, instruments: 1" in said
    assert "1  traded" in said


def test_parquet_says_the_same_as_csv_whatever_its_types(folder):
    told, _ = imported(folder, ASKED)
    columns = {
        "id": ["a-1", "a-2", "a-3", "a-1", "a-1", "zz", "a-1"],
        "type": pa.array(["A", "A", "A", "X", "U", "D", "D"]).dictionary_encode(),
        "bs": ["B", "S", "B", None, None, "", None],
        "px": [6.11, 6.12, 6.12, None, 6.10, None, None],
        "qty": pa.array([10, 4, 6, 3, 8, None, None], pa.int32()),
        "ts": pa.array(range(1_000, 1_007), pa.int64()),
    }
    pyarrow.parquet.write_table(pa.table(columns), folder / "day.parquet")
    call("parquet", "day.parquet")
    assert [tuple(row[field] for field in TOLD) for row in rows_of(folder / "commands.csv")] == told


def test_instruments_and_members_have_columns_and_ids_count_in_each_instrument(folder):
    columns = MAP.replace('[constants]\ninstrument = "QWEN"', 'instrument = "sym"\nmember = "who"')
    (folder / "map.toml").write_text(columns)
    told, facts = imported(
        folder,
        """
id,type,bs,px,qty,ts,sym,who
1,A,B,6,1,1,QWEN,ANN
1,A,S,7,1,2,GLM,BEN
1,D,,,,3,GLM,
""",
    )
    assert [one[:3] for one in told] == [("new", "ANN", 1), ("new", "BEN", 2), ("cancel", None, 2)]
    assert [row["instrument"] for row in rows_of(folder / "commands.csv")] == ["QWEN", "GLM", "GLM"]
    assert facts["instruments"] == 2


# --- what happened -----------------------------------------------------------------------------


def test_executions_become_orders_that_take_and_the_book_agrees(folder):
    told, facts = imported(folder, HAPPENED)
    assert told == [
        ("new", "resting", 1, "buy", "gtc", 61_100, 10),
        ("new", "resting", 2, "buy", "gtc", 61_100, 5),
        ("new", "resting", 3, "sell", "gtc", 61_500, 4),
        ("new", "taking", 7, "sell", "ioc", 61_100, 4),
        ("reduce", "resting", 1, None, None, None, 6),
        ("cancel", "resting", 2, None, None, None, None),
        ("new", "resting", 4, "buy", "gtc", 61_200, 7),
        ("new", "taking", 8, "sell", "ioc", 61_200, 7),
        ("new", "resting", 5, "sell", "gtc", 61_400, 5),
        ("new", "taking", 9, "buy", "ioc", 61_400, 2),
        ("cancel", "resting", 5, None, None, None, None),
        ("new", "taking", 10, "buy", "ioc", 61_500, 4),
    ]
    assert facts["notes"] == {
        "cancel of orders that had left, left out": 1,
        "cancel of orders that were not entered before, left out": 1,
        "execute of more lots than were open, cut": 1,
        "orders from before": 1,
    }
    facts = json.loads(call("csv", "day.csv", "--play", "--json").stdout)
    assert facts["events_by_kind"]["traded"] == 4
    assert "rejected" not in facts["events_by_kind"]


def test_what_stands_in_the_way_of_an_execution_has_left(folder):
    told, facts = imported(folder, "id,type,bs,px,qty,ts\na,A,B,6.11,1,1\nb,A,B,6.10,1,2\nb,E,,,1,3\n")
    assert [one[0] for one in told] == ["new", "new", "cancel", "new"]
    assert facts["commands_by_cause"] == {"told": 3, "left unseen, as a message shows": 1}


def test_takers_of_two_instruments_have_numbers_of_their_own_and_members_stay(folder):
    columns = MAP.replace('[constants]\ninstrument = "QWEN"', 'instrument = "sym"\nmember = "who"')
    (folder / "map.toml").write_text(columns)
    told, _ = imported(
        folder,
        """
id,type,bs,px,qty,ts,sym,who
1,A,B,6,2,1,QWEN,ANN
1,A,S,7,2,2,GLM,BEN
1,E,,,2,3,QWEN,
1,U,,8,2,4,GLM,
1,E,,,1,5,GLM,
""",
    )
    assert [one[1:3] for one in told] == [
        ("ANN", 1),
        ("BEN", 2),
        ("taking", 4),
        ("BEN", 2),
        ("BEN", 3),
        ("taking", 5),
    ]


# --- times -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("means", "text", "moment"),
    [
        ('unit = "ns"', "17", 17),
        ('unit = "s"', "1.5", 1_500_000_000),
        ('unit = "ms"\nday = 1970-01-02\nzone = "Asia/Shanghai"', "1", 16 * 3600 * 10**9 + 10**6),
        ('format = "%Y-%m-%d %H:%M:%S.%f"', "1970-01-01 00:00:01.000002", 1_000_002_000),
        ('format = "%H:%M:%S.%f"\nday = 1970-01-02', "00:00:01.5", 86_401_500_000_000),
        ('format = "%Y-%m-%dT%H:%M:%S%z"', "1970-01-01T08:00:01+0800", 10**9),
    ],
)
def test_times_are_read_as_the_map_says(folder, means, text, moment):
    (folder / "map.toml").write_text(MAP.replace('unit = "us"', means))
    imported(folder, f"id,type,bs,px,qty,ts\na,A,B,6.11,1,{text}\n")
    assert rows_of(folder / "commands.csv")[0]["time"] == moment


def test_moments_of_a_parquet_file_need_no_unit(folder):
    (folder / "map.toml").write_text(MAP.replace('[time]\nunit = "us"', ""))
    moment = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)
    columns = {"id": [1], "type": ["A"], "bs": ["B"], "px": [6.11], "qty": [1], "ts": [moment]}
    pyarrow.parquet.write_table(pa.table(columns), folder / "day.parquet")
    call("parquet", "day.parquet")
    (row,) = rows_of(folder / "commands.csv")
    assert row["time"] == int(moment.timestamp()) * 10**9


# --- what cannot be taken ----------------------------------------------------------------------

LINE = "a,A,B,6.11,10,1000\n"
HEAD = "id,type,bs,px,qty,ts\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD.replace("px", "price") + LINE, "column 'px', which columns.price names, is missing"),
        (HEAD.replace("px", "id") + LINE, "column 'id', which columns.order names, stands there twice"),
        (HEAD + LINE + "b,Q,B,6,1,1001\n", "row 2, column type: 'Q' is not one of A, D, X, U, E, P"),
        (HEAD + LINE + "b,A,b,6,1,1001\n", "row 2, column bs: 'b' is not one of B, 1, S"),
        (HEAD + LINE + "b,A,,6,1,1001\n", "row 2, column bs: it is blank; new needs it"),
        (HEAD + LINE + "b,A,B,,1,1001\n", "row 2, column px: it is blank; new needs it"),
        (HEAD + LINE + ",A,B,6,1,1001\n", "row 2, column id: it is blank"),
        (
            HEAD + LINE + "b,A,B,6.00001,1,1001\n",
            "row 2, column px: 6.00001 x 10000 = 60000.1 hao is not whole",
        ),
        (HEAD + LINE + "b,A,B,six,1,1001\n", "row 2, column px: 'six' is no number"),
        (HEAD + LINE + "b,A,B,NaN,1,1001\n", "row 2, column px: 'NaN' is no number"),
        (HEAD + LINE + "b,A,B,-6,1,1001\n", "row 2, column px: -6 must be above 0"),
        (HEAD + LINE + "b,A,B,6,1.5,1001\n", "row 2, column qty: 1.5 must be a whole number"),
        (HEAD + LINE + "b,A,B,6,0,1001\n", "row 2, column qty: 0 must be a whole number from 1"),
        (HEAD + LINE + "b,A,B,6,inf,1001\n", "row 2, column qty: 'inf' is no whole number"),
        (
            HEAD + LINE + "b,A,B,6,1,999\n",
            "row 2, column ts: '999' is before the row in front; sort the rows",
        ),
        (HEAD + LINE + "b,A,B,6,1,noon\n", "row 2, column ts: 'noon' is no time; write a number of us"),
        (HEAD + LINE + "b,A,B,6,1,\n", "row 2, column ts: '' is no time"),
        (HEAD + LINE + "b,A,B,6,1,1001.0001\n", "row 2, column ts: 1001.0001 us is no whole number of nano"),
        (HEAD + LINE + LINE, "row 2, column id: 'a' was entered in row 1 before"),
        (HEAD + LINE + "b,A,B\n", "row 2: 3 cells under 6 columns"),
        (HEAD, "there is no row in it"),
    ],
)
def test_a_table_that_cannot_be_taken_is_told_by_row_and_column_and_nothing_is_written(folder, text, told):
    (folder / "day.csv").write_text(text)
    (folder / "commands.csv").write_text("what was there")
    done = call("csv", "day.csv", code=2)
    assert f"day.csv: {told}" in done.output
    assert done.output.count("\n") == 1
    assert (folder / "commands.csv").read_text() == "what was there"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('order = "id"\n', "", "columns: none is the order"),
        ('order = "id"', 'order = "type"', "columns: 'type' is named twice"),
        ('price = "px"', 'prize = "px"', "prize"),
        ('instrument = "QWEN"', 'price = "6"', "constants.price: column 'px' has it already"),
        ('instrument = "QWEN"', 'order = "6"', "constants.order: 'order' "[:17]),
        ('new = ["A"]', 'new = ["D"]', "words.action: 'D' stands there twice"),
        ('new = ["A"]', 'newly = ["A"]', "newly"),
        ('unit = "us"', 'unit = "weeks"', "weeks"),
        ('unit = "us"', 'zone = "Moon/Crater"', "time.zone: 'Moon/Crater' is unknown"),
        ("[time]", "[price]\nscale = 0\n[time]", "price.scale: 0; give a number above 0"),
        ("[time]", "[price]\nscale = 'ten'\n[time]", "price.scale: 'ten'; give a number above 0"),
        ("[columns]", "delimiter = ';;'\n[columns]", "delimiter: ';;'; give one character"),
        ("[columns]", "[columns", "map.toml: "),
    ],
)
def test_a_map_that_is_wrong_is_told_by_field(folder, before, after, told):
    assert before in MAP
    (folder / "map.toml").write_text(MAP.replace(before, after))
    (folder / "day.csv").write_text(HEAD + LINE)
    assert told in call("csv", "day.csv", code=2).output
    assert not (folder / "commands.csv").exists()


def test_paths_that_are_one_file_or_nowhere_are_wrong_usage(folder):
    (folder / "day.csv").write_text(HEAD + LINE)
    call("csv", "day.csv", "--out", "day.csv", code=2)
    call("csv", "day.csv", "--out", "nowhere/commands.csv", code=2)
    call("csv", "day.csv", "--out", "commands.txt", code=2)
    (folder / "day.parquet").write_text("no such thing")
    assert "cannot be read as Parquet" in call("parquet", "day.parquet", code=2).output


def test_a_scale_may_be_a_text_of_decimals_and_a_delimiter_another(folder):
    (folder / "map.toml").write_text(f'delimiter = ";"\n{MAP}[price]\nscale = "0.5"\n')
    told, _ = imported(folder, (HEAD + "a,A,B,12200,10,1000\n").replace(",", ";"))
    assert told[0][5] == 6_100


def test_how_far_the_reading_is_gets_told(folder):
    (folder / "day.csv").write_text(HEAD + LINE)
    heard = []
    table = Table(folder / "day.csv", "csv", read_map(folder / "map.toml"))
    assert len(import_table(table, lambda done, count: heard.append((done, count))).commands) == 1
    assert heard == [(0, 1)]
    (folder / "none.csv").write_text(HEAD)
    with pytest.raises(BadTable, match="no row"):
        Table(folder / "none.csv", "csv", read_map(folder / "map.toml"))
