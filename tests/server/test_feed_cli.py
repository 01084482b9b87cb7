"""`bourse feed` and `bourse match --feed` as a person calls them: a table recorded, played, recorded anew."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.cli.base import EXIT_DAMAGED, EXIT_UNREACHABLE
from feeds.builder import Books, State
from feeds.messages import Orders, read
from feeds.recording import Recording
from tests.matchfile.tables import rows_of

BOURSE = [sys.executable, "-c", "from exchange.cli import main; main()"]
NOWHERE = ("--feed", "tcp://127.0.0.1:9", "--refresh", "tcp://127.0.0.1:9")
SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
COMMANDS = f"""\
kind,instrument,order,side,price,quantity,time
new,GLM,1,sell,101,3,{START}
new,GLM,2,sell,101,5,{START}
new,QWEN,3,buy,50,7,{START + SECOND // 2}
new,GLM,4,buy,102,4,{START + 2 * SECOND}
cancel,QWEN,3,,,,{START + 5 * SECOND}
new,QWEN,5,sell,55,2,{START + 5 * SECOND}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Yield a folder with a table and the recording of its market data, in which `bourse` is called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "commands.csv").write_text(COMMANDS)
    done = call("match", "commands.csv", "--events", "events.csv", "--book", "book.csv", "--feed", "day.feed")
    assert done.exit_code == 0, done.output
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(bourse, arguments)


def facts(*arguments):
    done = call(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def processes():
    """Yield a list of processes; those in it are ended."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(processes, *arguments):
    process = subprocess.Popen(
        [*BOURSE, *arguments],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    processes.append(process)
    return process


def orders_of(path):
    """Return the messages of topic O."""
    return [
        message for message in (read(frame) for _, frame in Recording(path)) if isinstance(message, Orders)
    ]


def books_of(path, orders):
    """Return the books of a reader of a recording."""
    books = Books((0, 1), orders=orders)
    for _, message in Recording(path):
        books.take(read(message), 0)
    return books


@pytest.mark.parametrize("orders", [False, True], ids=["levels", "orders"])
def test_the_market_data_of_a_table_ends_with_its_book(folder, orders):
    told = [
        (row["instrument"], row["side"], row["price"], row["quantity"])
        for row in rows_of(folder / "book.csv")
    ]
    books = books_of(folder / "day.feed", orders)
    assert [book.state for book in books] == [State.LIVE] * 2
    seen = [
        (name, side, level.price, level.quantity)
        for name, book in zip(("GLM", "QWEN"), books, strict=True)
        for side, levels in (("buy", book.bids), ("sell", book.asks))
        for level in levels
    ]
    assert seen == told == [("GLM", "sell", 101, 4), ("QWEN", "sell", 55, 2)]


def test_orders_keep_their_queue_and_their_numbers(folder):
    books = books_of(folder / "day.feed", orders=True)
    assert books[0].queue(1, 101) == [(2, 4)]
    assert [one.order for one in books[1].orders(1)] == [5]


def test_it_has_the_tables_own_time_and_its_seconds(folder):
    messages = [(at, read(message), message[:1]) for at, message in Recording(folder / "day.feed")]
    assert all(at == message.time for at, message, _ in messages)
    beats = [(at - START) / SECOND for at, _, kind in messages if kind == b"H"]
    assert beats == [0, 1, 2, 3, 4, 5, 5]
    assert [(at - START) / SECOND for at, _, kind in messages if kind == b"O"] == [0, 0.5, 2, 5]


def test_rows_of_one_time_come_together_and_name_their_own_sequences(folder):
    orders = orders_of(folder / "day.feed")
    assert [[one.sequence for one in message.updates] for message in orders] == [[1, 2], [3], [4, 4], [5, 6]]


def test_a_table_without_times_is_told_row_by_row(folder):
    (folder / "commands.csv").write_text(
        "order,side,price,quantity\n1,sell,101,3\n2,sell,101,5\n3,buy,102,4\n"
    )
    assert (
        facts("match", "commands.csv", "--events", "events.csv", "--feed", "plain.feed")["feed_messages"] > 0
    )
    orders = orders_of(folder / "plain.feed")
    assert [message.sequence for message in orders] == [1, 2, 3]


def test_events_are_the_same_with_and_without_market_data(folder):
    events = (folder / "events.csv").read_text()
    assert call("match", "commands.csv", "--events", "events.csv").exit_code == 0
    assert (folder / "events.csv").read_text() == events


def test_an_empty_table_is_a_recording_that_says_so(folder):
    (folder / "commands.csv").write_text("order,side,price,quantity\n")
    assert call("match", "commands.csv", "--events", "events.csv", "--feed", "empty.feed").exit_code == 0
    assert facts("feed", "info", "empty.feed")["messages_by_kind"] == {"H": 2}


def test_info_tells_what_is_in_it(folder):
    told = facts("feed", "info", "day.feed")
    assert told["instruments"] == [
        {"index": 0, "symbol": "GLM", "messages": told["instruments"][0]["messages"], "trades": 2},
        {"index": 1, "symbol": "QWEN", "messages": told["instruments"][1]["messages"], "trades": 0},
    ]
    assert (told["began"], told["seconds"], told["runs"]) == (START, 5, 1)
    assert (told["missing_by_kind"], told["torn_bytes"]) == ({}, 0)
    assert {kind: told["messages_by_kind"][kind] for kind in "NRLHOT"} == {
        "N": 1,
        "R": 2,
        "L": 2,
        "H": 7,
        "O": 4,
        "T": 1,
    }
    words = call("feed", "info", "day.feed")
    assert words.exit_code == 0
    assert "in 5.0 s, 2026-09-21 14:13:20 to 2026-09-21 14:13:25 UTC" in words.stdout


def test_what_is_played_can_be_recorded_again(folder, processes):
    player = start(processes, "feed", "play", "day.feed", "--speed", "0", "--wait", "--loop", "--json")
    places = json.loads(player.stdout.readline())
    recorder = start(
        processes,
        *("feed", "record", "again.feed", "--feed", places["feed"], "--refresh", places["refresh"]),
        *("--seconds", "3", "--json"),
    )
    out, errors = recorder.communicate(timeout=60)
    assert recorder.returncode == 0, errors
    player.send_signal(signal.SIGINT)
    out_played, errors = player.communicate(timeout=60)
    assert player.returncode == 0, errors
    assert json.loads(out_played)["messages"] > 0
    recorded = json.loads(out)
    told = facts("feed", "info", "again.feed")
    assert recorded["messages"] == told["messages"] > 0
    assert [one["symbol"] for one in told["instruments"]] == ["GLM", "QWEN"]


def test_ctrl_c_ends_a_recording_in_order(folder, processes):
    player = start(processes, "feed", "play", "day.feed", "--speed", "1", "--loop", "--json")
    places = json.loads(player.stdout.readline())
    recorder = start(
        processes,
        *("feed", "record", "again.feed", "--feed", places["feed"], "--refresh", places["refresh"]),
        *("--seconds", "60", "--json"),
    )
    path = folder / "again.feed"
    while not path.exists() or path.stat().st_size < 1_000:
        with pytest.raises(subprocess.TimeoutExpired):  # it goes on, until its own end at the latest
            recorder.wait(timeout=0.05)
    recorder.send_signal(signal.SIGTERM)
    out, errors = recorder.communicate(timeout=60)
    assert recorder.returncode == 0, errors
    told = json.loads(out)
    assert told["bytes"] == path.stat().st_size
    assert Recording(path).torn == 0
    assert sum(1 for _ in Recording(path)) == told["messages"]


def test_nothing_heard_is_told_and_leaves_no_file(folder):
    done = call(
        *("feed", "record", "x.feed", *NOWHERE, "--seconds", "0.3"),
    )
    assert done.exit_code == EXIT_UNREACHABLE
    assert "nothing heard from tcp://127.0.0.1:9; is the venue running?" in done.stderr
    assert not (folder / "x.feed").exists()


@pytest.mark.parametrize("command", ["play", "info"])
def test_damage_is_told_with_its_byte(folder, command):
    whole = (folder / "day.feed").read_bytes()
    (folder / "bad.feed").write_bytes(whole[:20] + b"\xff\xff" + whole[22:])
    speed = ["--speed", "0"] if command == "play" else []
    done = call("feed", command, "bad.feed", *speed)
    assert done.exit_code == EXIT_DAMAGED
    assert "bad.feed: damaged at byte 24:" in done.stderr
    assert "the 12 bytes before its frame are whole" in done.stderr


def test_a_torn_end_is_told(folder):
    whole = (folder / "day.feed").read_bytes()
    (folder / "torn.feed").write_bytes(whole[:-5])
    assert facts("feed", "info", "torn.feed")["torn_bytes"] > 0
    assert "are no whole message, and were left out" in call("feed", "info", "torn.feed").stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["feed", "info", "commands.csv"], "no recording of the feed; `bourse feed record` makes one"),
        (["feed", "record", "day.feed", *NOWHERE], "is there already"),
        (["feed", "record", "x.feed", "--feed", "tcp://127.0.0.1:9"], "--feed and --refresh go together"),
        (
            ["feed", "play", "day.feed", "--speed", "-1"],
            "-1: write 0, for without waiting, or 0.001 to 1e+06",
        ),
        (["feed", "play", "day.feed", "--speed", "nan"], "nan: write 0"),
        (["feed", "record", "x.feed", "--feed", "here", "--refresh", "there"], "write tcp://host:port"),
        (["match", "commands.csv", "--events", "e.csv", "--feed", "e.csv"], "must be different files"),
        (["match", "commands.csv", "--events", "e.csv", "--feed", "no/e.feed"], "there is no folder no"),
    ],
)
def test_wrong_usage_is_told_with_the_remedy_and_leaves_no_file(folder, arguments, told):
    before = sorted(folder.iterdir())
    done = call(*arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert sorted(folder.iterdir()) == before


def test_a_disk_that_fails_is_told(folder, processes):
    """A limit on the size of files stands for a disk that is full."""
    player = start(processes, "feed", "play", "day.feed", "--speed", "0", "--loop", "--json")
    places = json.loads(player.stdout.readline())
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000)); from exchange.cli import main; main()"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", limited, "feed", "record", "again.feed", "--seconds", "60"),
            *("--feed", places["feed"], "--refresh", places["refresh"]),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 1
    assert (
        done.stderr
        == "bourse: again.feed: File too large; what was written before is there, and can be played\n"
    )
    assert sum(1 for _ in Recording(folder / "again.feed")) > 0
