"""`bourse match` as a person calls it: what it prints, and how it ends."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.cli.matching import HELP
from exchange.matchfile.columns import COLUMNS, WORDS
from exchange.matchfile.events import BOOK_TABLE, EVENT_TABLE
from tests.matchfile.tables import rows_of, written

MARKET = """
    instrument, order, side, price, quantity
    GLM,        1,     sell, 101,   3
    GLM,        2,     buy,  102,   4
    GLM,        3,     buy,  0,     4
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Yield a folder with a table of commands, in which `bourse` is called."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path, MARKET)
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(bourse, ["match", *arguments])


def test_it_tells_what_it_came_to(folder):
    done = call("commands.csv", "--events", "events.parquet", "--book", "book.csv")
    assert (done.exit_code, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first == "3 commands, 4 events, 1 trades, 3 lots traded"
    assert second.startswith("engine ")
    assert [row["kind"] for row in rows_of(folder / "events.parquet")] == [
        "accepted",
        "accepted",
        "traded",
        "rejected",
    ]
    assert rows_of(folder / "book.csv") == [
        {"instrument": "GLM", "side": "buy", "price": 102, "order": 2, "quantity": 1}
    ]


def test_it_tells_it_as_one_object(folder):
    done = call("commands.csv", "--events", "events.csv", "--json")
    assert done.exit_code == 0
    facts = json.loads(done.stdout)
    assert [facts[name] for name in ("commands", "events", "trades", "quantity")] == [3, 4, 1, 3]
    assert {"engine_seconds", "reading_seconds", "writing_seconds"} < set(facts)
    assert not (folder / "book.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("commands.csv",), "--events"),
        (("missing.csv", "--events", "events.csv"), "missing.csv"),
        (("commands.csv", "--events", "events.json"), "events.json: the suffix tells the format"),
        (("commands.csv", "--events", "events.csv", "--book", "book"), "book: the suffix tells the format"),
        (("commands.csv", "--events", "nowhere/events.csv"), "there is no folder nowhere"),
        (("commands.csv", "--events", "commands.csv"), "must be different files"),
        (("commands.csv", "--events", "events.csv", "--book", "./events.csv"), "must be different files"),
        (
            ("wrong.csv", "--events", "events.csv"),
            "bourse: wrong.csv: row 2, column side: 'bid' is not one of",
        ),
    ],
)
def test_wrong_usage_ends_with_2_and_writes_nothing(folder, arguments, told):
    (folder / "wrong.csv").write_text("side\nbuy\nbid\n")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = call(*arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_disk_that_fails_leaves_the_old_file(folder, monkeypatch):
    (folder / "events.csv").write_text("old")

    def fail(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    done = call("commands.csv", "--events", "events.csv")
    assert done.exit_code == 1
    assert done.stderr == (
        "bourse: [Errno 28] No space left on device; what was there before is still there\n"
    )
    assert (folder / "events.csv").read_text() == "old"


def test_the_help_names_every_column_and_every_word():
    for name in (*COLUMNS, *EVENT_TABLE.names, *BOOK_TABLE.names):
        assert name in HELP
    for words in WORDS.values():
        for word in words.codes:
            assert word.lower() in HELP


def test_the_call_in_the_help_ends_as_the_help_says(folder):
    lines = [line.strip() for line in HELP.splitlines()]
    start = lines.index("kind,order,side,price,quantity,phase")
    written(folder, "\n".join(lines[start : lines.index("", start)]))
    assert call("commands.csv", "--events", "events.csv").exit_code == 0
    trades = [row for row in rows_of(folder / "events.csv") if row["kind"] == "traded"]
    assert [(row["order"], row["maker_order"], row["price"], row["quantity"]) for row in trades] == [
        (2, 1, 100, 3)
    ]
