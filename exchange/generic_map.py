"""What the columns of anybody's table of order flow mean: a TOML file, read and checked."""

from __future__ import annotations

import tomllib
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from exchange.matchfile.columns import BadTable

Field = Literal["order", "action", "side", "price", "quantity", "time", "instrument", "member"]
Action = Literal["new", "cancel", "reduce", "replace", "execute"]
SideName = Literal["buy", "sell"]
Unit = Literal["ns", "us", "ms", "s"]

NS_OF: dict[Unit, int] = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
"""Nanoseconds of each unit of time."""

Word = str | int


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file's own words for actions and sides; without them the file says ours."""

    action: dict[Action, tuple[Word, ...]] = msgspec.field(
        default_factory=lambda: {action: (action,) for action in get_args(Action)}
    )
    side: dict[SideName, tuple[Word, ...]] = msgspec.field(
        default_factory=lambda: {side: (side,) for side in get_args(SideName)}
    )


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many hao the file's price of 1 is: 10,000 where the file has yuan. A number, or a text of one."""

    scale: int | str = 10_000


class Time(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the file tells the time: whole units since 1970 or, with a `day`, since its midnight; or a format.

    `format` is one of Python's `strptime`; one of the time of day alone needs the `day`. What tells no zone
    is in `zone`.
    """

    unit: Unit = "ns"
    format: str = ""
    day: date | None = None
    zone: str = "UTC"


class Map(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which column is what, and what stands for fields without a column.

    `delimiter` parts the cells of a CSV.
    """

    columns: dict[Field, str]
    constants: dict[Field, Word] = msgspec.field(default_factory=dict)
    words: Words = Words()
    price: Price = Price()
    time: Time = Time()
    delimiter: str = ","

    def fault(self) -> str:
        """Return what is wrong with the map, naming field, value and remedy; empty if nothing is."""
        if "order" not in self.columns:
            return "columns: none is the order; name the column of the orders' ids"
        for field in ("order", "time"):
            if field in self.constants:
                return f"constants.{field}: {self.constants[field]!r}; name its column, it differs row by row"
        for field, column in self.columns.items():
            if field in self.constants:
                return f"constants.{field}: column {column!r} has it already; leave one of them out"
        columns = [*self.columns.values()]
        for column in columns:
            if columns.count(column) > 1:
                return f"columns: {column!r} is named twice; one column is one thing"
        for name, table in (("action", self.words.action), ("side", self.words.side)):
            words = [str(word) for some in table.values() for word in some]
            for word in words:
                if words.count(word) > 1:
                    return f"words.{name}: {word!r} stands there twice; a word means one thing"
        if len(self.delimiter) != 1:
            return f"delimiter: {self.delimiter!r}; give one character"
        return self._scale_fault() or self._zone_fault()

    def _scale_fault(self) -> str:
        try:
            is_sound = Decimal(self.price.scale) > 0
        except ArithmeticError:
            is_sound = False
        return "" if is_sound else f"price.scale: {self.price.scale!r}; give a number above 0"

    def _zone_fault(self) -> str:
        try:
            ZoneInfo(self.time.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder, or too long to be a file
            return f"time.zone: {self.time.zone!r} is unknown; give one such as Asia/Shanghai"
        return ""


def read_map(path: Path) -> Map:
    """Read a map. Raises `BadTable` that names file, field, value and remedy."""
    try:
        found = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Map)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        message = f"{path.name}: {error}; see `bourse import csv --help`"
        raise BadTable(message) from error
    if fault := found.fault():
        message = f"{path.name}: {fault}"
        raise BadTable(message)
    return found
