"""`bourse import lobster`: LOBSTER's files as commands, and how near our book comes to theirs."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.lobster_files import NS, midnight, named, read_messages
from exchange.matchfile.columns import BadTable
from tests.matchfile.tables import rows_of

DAY = """
    34200.000000001, 1, 11, 100, 1000000,  1
    34200.1,         1, 12,  50, 1000100, -1
    34200.2,         1, 13,  30, 1000000,  1
    34200.25,        2, 11,  40, 1000000,  1
    34200.3,         4, 11,  60, 1000000,  1
    34200.3,         4, 13,  10, 1000000,  1
    34200.4,         5,  0,   7, 1000050, -1
    34201,           3, 13,  20, 1000000,  1
"""
BOOK = """
    9999999999,  0, 1000000,     100
    1000100,    50, 1000000,     100
    1000100,    50, 1000000,     130
    1000100,    50, 1000000,      90
    1000100,    50, 1000000,      30
    1000100,    50, 1000000,      20
    1000100,    50, 1000000,      20
    1000100,    50, -9999999999,   0
"""
TOLD = ("kind", "member", "order", "side", "time_in_force", "price", "quantity")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Yield a folder with a day's files, in which `bourse` is called."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "messages.csv", DAY)
    write(tmp_path / "book.csv", BOOK)
    return tmp_path


def write(path, text):
    path.write_text("".join(line.replace(" ", "") + "\n" for line in text.strip().splitlines()))
    return path


def call(*arguments):
    return CliRunner().invoke(bourse, ["import", "lobster", *arguments])


def imported(folder, messages, book=None):
    """Import files; return the commands in words, and what was said of it."""
    write(folder / "messages.csv", messages)
    options = []
    if book is not None:
        options = ["--book", str(write(folder / "book.csv", book))]
    done = call("messages.csv", "--out", "commands.csv", "--json", *options)
    assert done.exit_code == 0, done.output
    rows = rows_of(folder / "commands.csv")
    return [" ".join(str(row[name]) for name in TOLD if row[name] is not None) for row in rows], json.loads(
        done.stdout
    )


def test_each_kind_of_row_becomes_its_command(folder):
    commands, facts = imported(folder, DAY)
    assert commands == [
        "new resting 11 buy gtc 1000000 100",
        "new resting 12 sell gtc 1000100 50",
        "new resting 13 buy gtc 1000000 30",
        "reduce resting 11 40",
        "new taking 14 sell ioc 1000000 60",
        "new taking 15 sell ioc 1000000 10",
        "cancel resting 13",
    ]
    assert facts["notes"] == {"rows of kind hidden, left out": 1}
    assert facts["commands_by_cause"] == {"told": 7}


def test_times_are_new_yorks_to_the_nanosecond(folder):
    assert call("messages.csv", "--out", "commands.csv", "--date", "2012-06-21").exit_code == 0
    times = [row["time"] for row in rows_of(folder / "commands.csv")]
    opening = 1_340_285_400 * NS  # 9:30 in summer is 13:30 UTC
    assert times[:2] == [opening + 1, opening + NS // 10]
    assert times[-1] == opening + NS


def test_without_a_day_times_count_from_midnight(folder):
    assert [row.time for row in read_messages(folder / "messages.csv")][:2] == [
        34_200 * NS + 1,
        34_200 * NS + NS // 10,
    ]


def test_a_day_in_winter_begins_an_hour_later(folder):
    from datetime import date

    assert midnight(date(2012, 1, 20)) % (86_400 * NS) == 5 * 3_600 * NS
    assert midnight(date(2012, 6, 21)) % (86_400 * NS) == 4 * 3_600 * NS


def test_the_files_own_name_says_which_share_and_day(folder):
    name = "ABC_2012-06-21_34200000_57600000_message_1.csv"
    (folder / "messages.csv").rename(folder / name)
    assert call(name, "--out", "commands.csv").exit_code == 0
    row = rows_of(folder / "commands.csv")[0]
    assert (row["instrument"], row["time"]) == ("ABC", 1_340_285_400 * NS + 1)
    assert named(folder / "messages.csv") == ("", "")


def test_a_halt_becomes_a_phase(folder):
    write(folder / "messages.csv", "1,7,0,0,-1,-1\n2,7,0,0,0,-1\n3,7,0,0,1,-1")
    assert call("messages.csv", "--out", "commands.csv").exit_code == 0
    rows = rows_of(folder / "commands.csv")
    assert [(row["kind"], row["phase"]) for row in rows] == [
        ("phase", "halted"),
        ("phase", "pre_open"),
        ("phase", "continuous"),
    ]


def test_an_order_from_before_is_entered_where_its_number_belongs_with_all_its_lots(folder):
    commands, facts = imported(
        folder,
        """
        1, 1, 20, 5, 100, 1
        2, 1, 30, 5, 100, 1
        3, 4, 25, 2, 100, 1
        4, 3, 25, 4, 100, 1
        5, 2, 40, 1, 90, 1
        """,
    )
    assert commands == [
        "new resting 20 buy gtc 100 5",
        "new resting 25 buy gtc 100 6",
        "new resting 30 buy gtc 100 5",
        "cancel resting 20",
        "new taking 41 sell ioc 100 2",
        "cancel resting 25",
        "new resting 40 buy gtc 90 1",
        "reduce resting 40 1",
    ]
    assert facts["notes"] == {"orders from before": 2}
    assert facts["commands_by_cause"] == {"told": 5, "from before": 2, "left unseen, as a message shows": 1}


def test_what_stands_in_the_way_has_left(folder):
    """A better bid, one ahead at the same price, and an offer that a new bid would have met."""
    commands, _ = imported(
        folder,
        """
        1, 1, 1, 5, 101, 1
        1, 1, 2, 5, 100, 1
        1, 1, 3, 5, 100, 1
        2, 4, 3, 5, 100, 1
        3, 1, 4, 5, 103, -1
        4, 1, 5, 5, 103, 1
        """,
    )
    assert commands[3:] == [
        "cancel resting 1",
        "cancel resting 2",
        "new taking 6 sell ioc 100 5",
        "new resting 4 sell gtc 103 5",
        "cancel resting 4",
        "new resting 5 buy gtc 103 5",
    ]


def test_an_order_cancelled_as_unseen_that_is_told_of_again_comes_back(folder):
    commands, facts = imported(folder, "1,1,1,5,101,1\n2,1,2,5,101,-1\n3,3,1,4,101,1")
    assert commands[1:] == [
        "cancel resting 1",
        "new resting 2 sell gtc 101 5",
        "cancel resting 2",
        "new resting 1 buy gtc 101 4",
        "cancel resting 1",
    ]
    assert facts["notes"] == {"orders cancelled as unseen, and told of again": 1}


def test_a_book_that_is_told_of_whole_agrees_after_each_row(folder):
    _, facts = imported(folder, DAY, BOOK)
    figures = ("rows", "executions", "executions_equal", "executions_right", "touch_equal", "touch_right")
    assert [facts[name] for name in figures] == [8, 2, 2, 2, 8, 8]
    assert facts["differences"] == {}


def test_what_the_book_shows_and_no_message_told_is_put_right(folder):
    """A lower offer of nobody's, lots too many and too few, and a bid that has left."""
    commands, facts = imported(
        folder,
        """
        1, 1, 1, 5, 100, 1
        2, 1, 2, 5, 110, -1
        3, 1, 3, 5, 101, 1
        4, 1, 4, 5, 120, -1
        5, 1, 5, 5, 121, -1
        """,
        """
        9999999999, 0, 100, 5
        109, 3, 100, 5
        109, 3, 101, 5
        109, 4, 100, 2
        109, 4, 100, 2
        """,
    )
    assert commands == [
        "new resting 1 buy gtc 100 5",
        "new resting 2 sell gtc 110 5",
        "new resting 4611686018427387905 sell gtc 109 3",
        "new resting 3 buy gtc 101 5",
        "new resting 4 sell gtc 120 5",
        "cancel resting 3",
        "new resting 4611686018427387906 sell gtc 109 1",
        "new resting 5 sell gtc 121 5",
    ]
    assert (facts["touch_equal"], facts["touch_right"]) == (2, 3)
    assert facts["differences"] == {
        "ask: orders that the messages never told of": 1,
        "bid: orders here that have left, which the messages do not tell": 1,
        "ask: the same price, fewer lots here": 1,
        "bid: the same price, more lots here": 1,
    }


def test_an_execution_behind_what_had_left_is_right_and_not_equal(folder):
    _, facts = imported(
        folder,
        "1,1,1,5,100,1\n1,1,2,5,100,1\n2,4,2,5,100,1",
        "120,1,100,5\n120,1,100,10\n120,1,-9999999999,0",
    )
    assert (facts["executions"], facts["executions_equal"], facts["executions_right"]) == (1, 0, 1)


def test_it_is_told_in_words(folder):
    done = call("messages.csv", "--book", "book.csv", "--out", "commands.parquet", "--instrument", "ABC")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "ABC: 8 messages, 7 commands",
        "          7  told",
        "          1  rows of kind hidden, left out",
        "executions equal: 2 of 2, 2 once what was in the way had left",
        "touch equal: after 8 of 8 messages, 8 once put right",
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("34200.5,1,9,5,100", "row 2: 5 cells; LOBSTER's file has time, type, order, size, price, direction"),
        ("9:30,1,9,5,100,1", "row 2, column time: '9:30' is no time; LOBSTER writes seconds since midnight"),
        ("34199,1,9,5,100,1", "row 2, column time: 34199 is before the row in front of it; sort the rows"),
        ("34201,8,9,5,100,1", "row 2, column type: 8 is none of LOBSTER's, which are 1 to 7"),
        ("34201,1,x,5,100,1", "row 2, column order: 'x' is no whole number"),
        ("34201,1,0,5,100,1", "row 2, column order: 0 must be above 0"),
        ("34201,1,1,5,100,1", "row 2, column order: 1 has been entered before; join no two days"),
        ("34201,1,9,0,100,1", "row 2, column size: 0 must be above 0"),
        ("34201,1,9,5,-100,1", "row 2, column price: -100 must be above 0"),
        ("34201,1,9,5,100,2", "row 2, column direction: '2' is neither 1, a buy, nor -1, a sell"),
        ("34201,7,0,0,5,-1", "row 2, column price: 5 says nothing of a halt"),
        ("34201,1,9,5,100,\N{FULLWIDTH DIGIT ONE}", "no text of digits; give LOBSTER's file, unpacked"),
    ],
)
def test_a_row_that_cannot_be_taken_is_told_with_its_place(tmp_path, row, told):
    path = tmp_path / "messages.csv"
    path.write_text(f"34200,1,1,5,100,1\n{row}\n")
    with pytest.raises(BadTable) as error:
        read_messages(path)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["messages.csv", "--out", "messages.csv"], "must be different files"),
        (["messages.csv", "--out", "nowhere/x.csv"], "there is no folder nowhere; make it, or name another"),
        (["messages.csv", "--out", "x.xls"], "the suffix tells the format; name the file .csv or .parquet"),
        (["empty.csv", "--out", "x.csv"], "there is no row in it; give LOBSTER's message file"),
        (
            ["messages.csv", "--book", "one.csv", "--out", "x.csv"],
            "1 rows beside 8 messages; give the two files",
        ),
    ],
)
def test_wrong_usage_is_told_and_nothing_is_written(folder, arguments, told):
    (folder / "empty.csv").write_text("")
    (folder / "one.csv").write_text("1,2,3,4\n")
    before = sorted(folder.iterdir())
    done = call(*arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert sorted(folder.iterdir()) == before
