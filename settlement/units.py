"""What a column of an answer is counted in, as the comments of the public columns say it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pyarrow as pa

from settlement.store import Description

HAO = "hao"
HAO_PER_LOT = "hao per lot"
LOTS = "lots"
UTC = "UTC"

_HAO_PER_LOT = re.compile(r"\bhao per lot\b", re.IGNORECASE)
_HAO = re.compile(r"\bhao\b", re.IGNORECASE)
_LOTS = re.compile(r"^lots\b|, in lots\b", re.IGNORECASE)
_UTC = re.compile(r"\bUTC\b")


class Meaning(NamedTuple):
    """What a column is counted in (empty: a plain number or a word), and what it means (empty: several)."""

    unit: str
    comment: str


Meanings = Mapping[str, Mapping[str, Description]]
"""Every public column, by its name, then by its table."""


def by_column(columns: Iterable[Description]) -> Meanings:
    """Return the public columns by name and table."""
    found: dict[str, dict[str, Description]] = {}
    for column in columns:
        found.setdefault(column.column, {})[column.table] = column
    return found


def unit_of(column: Description) -> str:
    """Return what a public column is counted in, read from its comment; empty where it is one or the other.

    >>> unit_of(Description("trades", "price", "BIGINT", "Hao per lot (1 hao = 0.0001 yuan)."))
    'hao per lot'
    """
    comment = column.comment or ""
    if column.type.startswith("TIMESTAMP"):
        return UTC if _UTC.search(comment) else ""
    if column.type not in ("BIGINT", "DOUBLE"):
        return ""
    if _HAO_PER_LOT.search(comment):
        return HAO_PER_LOT
    found = [unit for unit, pattern in ((HAO, _HAO), (LOTS, _LOTS)) if pattern.search(comment)]
    if "or lots of" in comment:
        return ""
    return found[0] if found else ""


def meaning_of(name: str, tables: frozenset[str], meanings: Meanings) -> Meaning | None:
    """Return what a column of an answer means, if it bears the name of one public column alone.

    Of several of one name, in the `tables` that the statement names, what they have in common.
    """
    found = [column for table, column in meanings.get(name, {}).items() if table in tables]
    if not found:
        return None
    units, comments = {unit_of(column) for column in found}, {column.comment for column in found}
    if len(units) > 1:
        return None
    return Meaning(units.pop(), comments.pop() or "" if len(comments) == 1 else "")


def described(schema: pa.Schema, tables: frozenset[str], meanings: Meanings) -> pa.Schema:
    """Return a schema whose fields say their unit and meaning, `unit` and `comment`, where one is known.

    What bears a public column's name and is of another type is something else: it says nothing.
    """
    return pa.schema([_described(field, meaning_of(field.name, tables, meanings)) for field in schema])


def _described(field: pa.Field, meaning: Meaning | None) -> pa.Field:
    if meaning is None or not _fits(field.type, meaning.unit):
        return field
    return field.with_metadata({key: text for key, text in meaning._asdict().items() if text} or None)


def _fits(kind: pa.DataType, unit: str) -> bool:
    """Tell whether values of an Arrow type may be of a unit."""
    if unit in (HAO, HAO_PER_LOT, LOTS):
        return any((pa.types.is_int64(kind), pa.types.is_float64(kind), pa.types.is_decimal(kind)))
    return unit != UTC or bool(pa.types.is_timestamp(kind))
