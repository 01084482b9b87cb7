"""LOBSTER's files, row by row, and the table of commands that is made of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa

from exchange.lobster import ABOUT_ORDERS, PHASES, Command, Kind, Row, Touch
from exchange.matchfile.columns import BadTable
from exchange.matchfile.events import table_writer
from matching.vocabulary import Side

SIDES = {"1": Side.BUY, "-1": Side.SELL}
MESSAGE_COLUMNS = ("time", "type", "order", "size", "price", "direction")
TOUCH_COLUMNS = ("ask price", "ask size", "bid price", "bid size")
EMPTY = (9_999_999_999, -9_999_999_999)
"""What stands for the price of a level that does not exist."""

NS = 1_000_000_000
ORDER_MAX = 1 << 61

COMMAND_TABLE = pa.schema(
    [
        ("kind", pa.string()),
        ("instrument", pa.string()),
        ("member", pa.string()),
        ("order", pa.int64()),
        ("side", pa.string()),
        ("time_in_force", pa.string()),
        ("price", pa.int64()),
        ("quantity", pa.int64()),
        ("phase", pa.string()),
        ("time", pa.int64()),
    ]
)
"""The columns of the table of commands."""

_NAME = re.compile(r"(?P<symbol>[A-Z.]+)_(?P<day>\d{4}-\d\d-\d\d)_\d+_\d+_(message|orderbook)_\d+")
_SECONDS = re.compile(r"(\d{1,5})(?:\.(\d{1,9}))?", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)


class Named(NamedTuple):
    """What LOBSTER's own name of a file says; blank where it has another name."""

    symbol: str
    day: str


def named(path: Path) -> Named:
    """Return what the name of a file says.

    >>> named(Path("GOOG_2012-06-21_34200000_57600000_message_1.csv"))
    Named(symbol='GOOG', day='2012-06-21')
    """
    match = _NAME.match(path.name)
    return Named(match["symbol"], match["day"]) if match else Named("", "")


def midnight(day: date) -> int:
    """Return when a day begins in New York, in ns since 1970, UTC. Raises `BadTable` without time zones.

    >>> midnight(date(2012, 6, 21)) // NS
    1340251200
    """
    try:
        zone = ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError as error:
        message = "this machine knows no time zones; install the package tzdata, or leave the date out"
        raise BadTable(message) from error
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * NS


def read_messages(path: Path, begin: int = 0) -> list[Row]:
    """Return the rows of a message file; `begin` is when its day begins, in ns. Raises `BadTable`."""
    rows: list[Row] = []
    open_orders: set[int] = set()
    last = begin
    for number, cells in _lines(path, MESSAGE_COLUMNS):
        row = _message(path, number, cells, begin)
        if row.time < last:
            raise _fault(path, number, "time", f"{cells[0]} is before the row in front of it; sort the rows")
        if row.kind == Kind.NEW:
            if row.order in open_orders:
                raise _fault(path, number, "order", f"{row.order} has been entered before; join no two days")
            open_orders.add(row.order)
        last = row.time
        rows.append(row)
    if not rows:
        message = f"{path.name}: there is no row in it; give LOBSTER's message file"
        raise BadTable(message)
    return rows


def read_touches(path: Path, count: int) -> list[Touch]:
    """Return the best level of each side after each of `count` messages. Raises `BadTable`."""
    touches = []
    for number, cells in _lines(path, TOUCH_COLUMNS):
        ask, asked, bid, wanted = (
            _whole(path, number, column, cell) for column, cell in zip(TOUCH_COLUMNS, cells, strict=False)
        )
        bids = (0, 0) if bid in EMPTY else (bid, wanted)
        asks = (0, 0) if ask in EMPTY else (ask, asked)
        touches.append(Touch(*bids, *asks))
    if len(touches) != count:
        message = (
            f"{path.name}: {len(touches):,} rows beside {count:,} messages; "
            "give the two files of one day, which have a row for each other's"
        )
        raise BadTable(message)
    return touches


def write_commands(path: Path, commands: list[Command], instruments: str | Sequence[str]) -> None:
    """Write a table of commands, of one instrument or each of its own, whole or not at all.

    Raises `OSError` where the disk fails.
    """
    names = [instruments] * len(commands) if isinstance(instruments, str) else instruments
    columns = [
        pa.array(names, field.type)
        if field.name == "instrument"
        else pa.array([getattr(command, field.name) for command in commands], field.type)
        for field in COMMAND_TABLE
    ]
    with table_writer(path, COMMAND_TABLE, list(dict.fromkeys(names))) as writer:
        writer.write_table(pa.Table.from_arrays(columns, schema=COMMAND_TABLE))


def _lines(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Yield each row's number, from 1, and its cells, of which there are at least as many as `columns`."""
    try:
        with path.open(encoding="ascii") as file:
            for number, line in enumerate(file, 1):
                cells = line.strip().split(",")
                if len(cells) < len(columns):
                    message = (
                        f"{path.name}: row {number}: {len(cells)} cells; "
                        f"LOBSTER's file has {', '.join(columns)}, and no line of headings"
                    )
                    raise BadTable(message)
                yield number, cells
    except UnicodeDecodeError as error:
        message = f"{path.name}: no text of digits; give LOBSTER's file, unpacked"
        raise BadTable(message) from error


def _message(path: Path, number: int, cells: list[str], begin: int) -> Row:
    time = _SECONDS.fullmatch(cells[0])
    if time is None:
        raise _fault(path, number, "time", f"{cells[0]!r} is no time; LOBSTER writes seconds since midnight")
    at = begin + int(time[1]) * NS + int((time[2] or "").ljust(9, "0"))
    kind, order, lots, price = (
        _whole(path, number, column, cell)
        for column, cell in zip(MESSAGE_COLUMNS[1:5], cells[1:5], strict=True)
    )
    if kind not in Kind._value2member_map_:
        raise _fault(path, number, "type", f"{kind} is none of LOBSTER's, which are 1 to {max(Kind)}")
    if kind == Kind.HALTED:
        if price not in PHASES:
            raise _fault(
                path, number, "price", f"{price} says nothing of a halt: -1 stops, 0 quotes, 1 trades"
            )
        return Row(at, Kind.HALTED, order, lots, price, Side.BUY)
    if cells[5] not in SIDES:
        raise _fault(path, number, "direction", f"{cells[5]!r} is neither 1, a buy, nor -1, a sell")
    if kind in ABOUT_ORDERS:
        for column, value in (("order", order), ("size", lots), ("price", price)):
            if not 0 < value < ORDER_MAX:
                raise _fault(path, number, column, f"{value} must be above 0, and below {ORDER_MAX}")
    return Row(at, Kind(kind), order, lots, price, SIDES[cells[5]])


def _whole(path: Path, number: int, column: str, cell: str) -> int:
    if not _WHOLE.fullmatch(cell):
        raise _fault(path, number, column, f"{cell!r} is no whole number; give LOBSTER's file as it came")
    return int(cell)


def _fault(path: Path, number: int, column: str, told: str) -> BadTable:
    return BadTable(f"{path.name}: row {number}, column {column}: {told}")
