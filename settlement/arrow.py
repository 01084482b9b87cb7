"""New rows of a table as Arrow: columns of arrays as they come, and rows of acts turned into columns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from matching.vocabulary import RejectReason
from settlement.postings import Columns

_REASON_NAMES = {reason.value: reason.name.lower() for reason in RejectReason}
_REASONS = pa.array([_REASON_NAMES.get(code, str(code)) for code in range(256)])
"""The words for reject reasons, each at the place of its code."""

_NS_PER_US = 1000

_TYPES = {"int": pa.int64(), "bool": pa.bool_(), "date": pa.date32()}
"""The Arrow types of a row's fields, by their annotation; all others are text."""


def columns_table(columns: Columns) -> pa.Table:
    """Return columns as a table: times as timestamps, ids as text; plain numbers are not copied."""
    return pa.table({name: _arrow_column(name, rows) for name, rows in columns.items()})


def rows_table(rows: Sequence[Any], kind: type[msgspec.Struct]) -> pa.Table:
    """Return rows of one kind as a table; what they call index is a number there, and time a timestamp."""
    columns = [
        _timestamps(np.array([row.time for row in rows], np.int64))
        if name == "time"
        else [getattr(row, name) for row in rows]
        for name in kind.__struct_fields__
    ]
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, _schema(kind), strict=True)],
        schema=_schema(kind),
    )


@cache
def _schema(kind: type[msgspec.Struct]) -> pa.Schema:
    """Return the types of a kind of row: of a column that holds nothing yet, Arrow could not tell."""
    types = kind.__annotations__  # They are text still: what they name is imported for checkers only.
    return pa.schema(
        {
            "number" if name == "index" else name: pa.timestamp("us")
            if name == "time"
            else _TYPES.get(types[name].removesuffix(" | None"), pa.string())
            for name in kind.__struct_fields__
        }
    )


def _timestamps(times: np.ndarray) -> pa.Array:
    return pa.array((times // _NS_PER_US).view("datetime64[us]"))


def _arrow_column(name: str, rows: np.ndarray) -> pa.Array:
    if name == "time":
        return _timestamps(rows)
    if rows.dtype.kind == "S":
        return _text(rows)
    if name == "reason" and rows.dtype == np.uint8:
        return pa.DictionaryArray.from_arrays(pa.array(rows), _REASONS)
    return pa.array(rows)


def _text(ids: np.ndarray) -> pa.Array:
    """Return client ids (S24, padded with zeros) as text, all at once."""
    letters = np.ascontiguousarray(ids).view(np.uint8).reshape(len(ids), ids.dtype.itemsize)
    used = letters != 0
    ends = np.zeros(len(ids) + 1, np.int32)
    np.cumsum(used.sum(axis=1), out=ends[1:])
    return pa.StringArray.from_buffers(len(ids), pa.py_buffer(ends), pa.py_buffer(letters[used]))
