"""What a person types: SQL to the query service as a firm, and `bourse` with arguments of all sorts."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import click
import pyarrow as pa

from exchange.cli import base, bourse, main
from settlement.queries import Answer, QueryLimits, QueryService
from settlement.store import Store, describe
from tests.fuzz.file_targets import (
    A_CALENDAR,
    A_MAP,
    A_PROFILE,
    AN_INSTRUMENT,
    COMMANDS,
    FLOW,
    MESSAGES,
    USAGE,
)
from tests.fuzz.target import StateChanged, Take, Target, put
from tests.fuzz.wire_targets import a_venue
from tests.settlement.tape import ANN, a_day, founded, rows, settle

MARKER = b"7f3a-not-for-anybody"
"""What stands in a file beside the store, and in what another firm has written: no answer may have it."""

VIEWER = "ann"


# --- SQL -----------------------------------------------------------------------------------------


def counts(store: Store, tables: list[object]) -> list[object]:
    """Return how many rows each table has."""
    return [rows(store, f'select count(*) from base."{name}"') for name in tables]  # noqa: S608


def sql(folder: Path) -> Take:
    """A statement of a firm's: rows, or a refusal; none of another's, no file read, written or looked for."""
    put(folder / "beside.csv", b"a,b\n" + MARKER + b",2\n")
    store, tape = founded()
    settle(store, a_day(tape))
    for table in ("order_entries", "refusals"):
        store.cursor().execute(
            f"update base.{table} set client_id = $1 where member <> {ANN}",  # noqa: S608
            [MARKER.decode()],
        )
    service = QueryService(store, QueryLimits(timeout_ms=300, memory_growth=1 << 28, rows=10_000))
    tables = [
        name for (name,) in rows(store, "select table_name from duckdb_tables() where schema_name = 'base'")
    ]
    before, heard = counts(store, tables), 0
    assert tables, "the store has tables"

    def take(data: bytes) -> str:
        nonlocal heard
        heard += 1
        with contextlib.chdir(folder):
            answer = service.answer(
                data.decode("utf-8", "surrogateescape" if heard % 8 == 0 else "replace"), (), VIEWER
            )
        if heard % 32 == 0 and counts(store, tables) != before:
            raise StateChanged("a question has changed the store")
        if os.listdir(folder) != ["beside.csv"]:
            raise StateChanged(f"a question has written {os.listdir(folder)}")
        if not isinstance(answer, Answer):
            if MARKER.decode() in str(answer):
                raise StateChanged("a refusal tells what is another's")
            return f"{answer.code} {answer.field}"
        if MARKER in repr(pa.ipc.open_stream(answer.arrow_ipc_stream).read_all().to_pylist()).encode():
            raise StateChanged("an answer tells what is another's")
        return f"rows: {min(answer.rows, 9)}"

    return take


def statements() -> Iterator[bytes]:
    """Yield statements that are answered, and some that must not be."""
    store, tape = founded()
    settle(store, a_day(tape))
    yield from (f'from "{name}"'.encode() for name in sorted({column.table for column in describe(store)}))
    yield b"select instrument, sum(quantity) from trades where time > '2026-01-01' group by all"
    yield b'with x as (select * from orders) select count(*) from x join trades on x."order" = buy_order'
    yield b"select time_bucket(interval 1 minute, time), max(price) over (order by time) from trades"
    yield b"select list_transform([1,2], x -> x + 1), {'a': 1}, map{'k': 2}, unnest(range(3)) from orders"
    yield b"summarize trades"
    yield b"describe orders"
    yield b"explain select 1"
    yield b"copy orders to 'out.csv'"
    yield b"select * from read_csv('beside.csv')"
    yield b"from 'beside.csv'"
    yield b"select content from read_text('*.csv')"
    yield b"with x as (copy orders to 'out.csv') select 1"
    yield b"attach 'other.db'; create table t as select 1; drop table orders; checkpoint; set threads = 1"
    yield b"select * from base.orders; select * from duckdb_settings(); pragma database_list"
    yield b"select getvariable('viewer'), current_setting('threads'), query('select 1'), getenv('HOME')"
    yield b"pivot trades on instrument using sum(quantity)"
    yield b"values (1, '\xe5\x90\x8d'), (2, null)"


SQL_WORDS = (
    b" from orders ", b" base.", b" copy ", b" union all ", b" set variable viewer = 'bob' ", b"; ",
    b"::blob",
    b" read_blob('*') ", b" query_table('base.orders') ", b" use base ", b" member ", b" where true or ",
    b"/*",
    b"--", b" $1 ", b" firm.", b" in (select client_id from base.orders) ", b" positional join ",
    b" lateral ",
    b" recursive ", b" with a as (", b" * ",
)  # fmt: skip
"""What a statement may want to be that must not be."""


# --- the command line ----------------------------------------------------------------------------

ENDLESS = ("serve", "demo", "watch", "bench", "certify", "simulate", "feed", "status")
"""Commands that would run on, or that ask for a terminal or a network: their arguments alone are read."""

EXIT_CODES = frozenset(range(6))

VALUES = (
    "", " ", "0", "-1", "1", "7", "9223372036854775807", "9223372036854775808", "-9223372036854775809",
    "1" * 400,
    "1e400", "nan", "inf", "0.00001", "12.30", "12.305", "1_000", "٣", "名", "\u202e", "\x1b[2J", "\udcff",
    "a\nb",
    "%s", "{}", "[bold]", "'", '"', ";", "--", "-", "*", "QWEN3-MAX", "GLM-5", "qwen3-max", "SANDBOX",
    "ALIBABA",
    "OPERATOR", "OPERATOR-2", "sandbox", "operator", "nobody", "HZ-VOUCHER-2026", "buy", "sell", "limit",
    "market",
    "all", "2026-01-05", "2026-02-30", "9999-12-31", "0001-01-01", "2026-01-05T09:30:00", "1m", "1s", "1d",
    "day",
    "continuous", "halted", "pre_open", "listed", "retired", "json", "csv", "parquet", "table", "trades",
    "orders",
    "select 1", "select * from trades", "from nothing", "out.csv", "out.parquet", "out.json", "out.png",
    "folder",
    "missing/out.csv", "missing.toml", "a.toml", "i.toml", "c.toml", "map.toml", "c.csv", "f.csv", "m.csv",
    "u.jsonl",
    "torn.parquet", "binary", "x" * 5_000, "0" * 40, "tcp://127.0.0.1:1", "127.0.0.1:0", "a b", "NEW-1",
    "NEWFIRM",
)  # fmt: skip
"""What stands behind options and in the place of arguments. Files are those of the folder it runs in."""

FOLDER_FILES = {
    "a.toml": A_PROFILE, "i.toml": AN_INSTRUMENT, "c.toml": A_CALENDAR, "map.toml": A_MAP, "c.csv": COMMANDS,
    "f.csv": FLOW, "m.csv": MESSAGES, "u.jsonl": USAGE, "torn.parquet": b"PAR1\x00",
    "binary": b"\xff\x00\x80" * 50,
}  # fmt: skip


def paths_of_commands() -> list[tuple[tuple[str, ...], click.Command]]:
    """Return every command of `bourse` with the words that call it, groups too."""
    found: list[tuple[tuple[str, ...], click.Command]] = []

    def walk(words: tuple[str, ...], command: click.Command) -> None:
        found.append((words, command))
        if isinstance(command, click.Group):
            for name in sorted(command.commands):
                walk((*words, name), command.commands[name])

    walk((), bourse)
    return found


class Choices:
    """Choices that the bytes of an input make, one a byte."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def below(self, count: int) -> int:
        """Return a number below `count`; 0 once the bytes are used up."""
        return (next(self._data, 0) * 256 + next(self._data, 0)) % count if count > 1 else 0

    @property
    def is_over(self) -> bool:
        """Tell whether the bytes are used up."""
        return self._data.__length_hint__() == 0  # type: ignore[attr-defined]


def arguments_of(data: bytes, commands: list[tuple[tuple[str, ...], click.Command]]) -> list[str]:
    """Return the arguments that an input stands for: a command, its arguments, and options of any command."""
    choices = Choices(data)
    words, command = commands[choices.below(len(commands))]
    arguments = list(words)
    for parameter in command.params:
        if isinstance(parameter, click.Argument) and choices.below(8):
            arguments.append(value_for(parameter, choices))
        elif isinstance(parameter, click.Option) and (parameter.required or choices.below(4) == 0):
            arguments.append(parameter.opts[choices.below(len(parameter.opts))])
            if not parameter.is_flag:
                arguments.append(value_for(parameter, choices))
    while not choices.is_over and len(arguments) < 24:
        parameters = (
            commands[choices.below(len(commands))][1].params if choices.below(4) == 0 else command.params
        )
        options = [name for one in parameters if isinstance(one, click.Option) for name in one.opts] or [
            "--json"
        ]
        arguments.append(
            options[choices.below(len(options))] if choices.below(3) else VALUES[choices.below(len(VALUES))]
        )
    return arguments


def value_for(parameter: click.Parameter, choices: Choices) -> str:
    """Return a value: often one that the parameter's type names, else any."""
    if isinstance(parameter.type, click.Choice) and choices.below(4):
        words = [str(word) for word in parameter.type.choices]
        return words[choices.below(len(words))]
    return VALUES[choices.below(len(VALUES))]


def command_line(folder: Path) -> Take:
    """Arguments of `bourse`, on a venue in this process: a fixed exit code, never a traceback."""
    commands = paths_of_commands()
    endless = [command for words, command in commands if words and words[0] in ENDLESS]
    venue, heard = a_venue(), 0

    def connect(name: str) -> object:
        return venue.connect(name)

    def take(data: bytes) -> str:
        nonlocal venue, heard
        heard += 1
        if heard % 500 == 0:
            venue = a_venue()
        for name, content in FOLDER_FILES.items():
            if not (folder / name).is_file() or (folder / name).stat().st_size != len(content):
                put(folder / name, content)
        arguments = arguments_of(data, commands)
        with contextlib.ExitStack() as until_called:
            for command in endless:
                until_called.enter_context(
                    mock.patch.object(command, "callback", mock.Mock(return_value=None))
                )
            code, told = called(arguments, folder, connect)
        if code not in EXIT_CODES:
            raise StateChanged(f"exit code {code}: bourse {arguments!r}")
        if "Traceback (most" in told:
            raise StateChanged(f"a traceback was printed: bourse {arguments!r}")
        return f"{' '.join(arguments[:2])} {code}"

    return take


def called(arguments: list[str], folder: Path, connect: object) -> tuple[object, str]:
    """Run `bourse` with arguments, in a folder; return its exit code, and what it said on standard error."""
    raw = io.BytesIO()
    errors = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")
    out = io.TextIOWrapper(raw, "utf-8", "surrogateescape")
    code: object = 0
    environment = {
        "BOURSE_VENUE": str(folder / "venue"),
        "TERM": "dumb",
        "BOURSE_PROFILE": "",
        "COLUMNS": "80",
    }
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, environment),
        mock.patch.object(base, "load_profile", str.upper),
        mock.patch.object(base, "connect_sync", connect),
        mock.patch.object(sys, "stdin", io.StringIO()),
        mock.patch.object(sys, "argv", ["bourse", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as left:
            code = 0 if left.code is None else left.code
        errors.flush()
    said = errors.buffer.getvalue().decode()
    return code, said


def command_choices() -> Iterator[bytes]:
    """Yield choices that call each command, once with what it needs and once with more."""
    for number, _ in enumerate(paths_of_commands()):
        yield number.to_bytes(2, "big") + bytes(range(1, 40))
        yield number.to_bytes(2, "big") + bytes(range(60, 160, 3))


TARGETS = (
    Target("sql", sql, statements, SQL_WORDS),
    Target("command_line", command_line, command_choices, longest=96),
)
