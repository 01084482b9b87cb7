"""What is done to a table of Arrow, where pyarrow is installed: plain words, yuan, a stream of it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute

from exchange.client.errors import BadInput

HAO_PER_YUAN = 10_000

_IN_YUAN = {b"hao": b"yuan", b"hao per lot": b"yuan per lot"}
_YUAN = pa.decimal128(38, 4)
"""Yuan of four places: the same digits as whole hao."""


def plain(table: Any) -> Any:  # noqa: ANN401  pyarrow ships no types
    """Return a table with words where it has dictionaries of words."""
    return table.cast(plain_schema(table.schema))


def plain_schema(schema: Any) -> Any:  # noqa: ANN401  pyarrow ships no types
    """Return a schema with words where it has dictionaries of words."""
    return pa.schema(
        [
            field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
            for field in schema
        ]
    )


def in_yuan(table: Any) -> Any:  # noqa: ANN401  pyarrow ships no types
    """Return a table with its columns of hao in yuan. Raises `BadInput` where none is known to be of hao."""
    of_hao = [at for at, field in enumerate(table.schema) if _unit(field) in _IN_YUAN]
    if not of_hao:
        raise BadInput(
            "no column of this table is known to be in hao",
            field="columns",
            value=table.schema.names,
            remedy="name public columns of money as they are, or divide by 10000 in the statement",
        )
    for at in of_hao:
        field = table.schema.field(at)
        column = pa.chunked_array([_yuan(chunk) for chunk in table.column(at).chunks], _yuan_type(field.type))
        said = {**field.metadata, b"unit": _IN_YUAN[_unit(field)]}
        table = table.set_column(at, pa.field(field.name, column.type, metadata=said), column)
    return table


def streamed(table: Any) -> bytes:  # noqa: ANN401  pyarrow ships no types
    """Return a table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


def _unit(field: Any) -> bytes:  # noqa: ANN401  pyarrow ships no types
    unit: bytes = (field.metadata or {}).get(b"unit", b"")
    return unit


def _yuan_type(kind: Any) -> Any:  # noqa: ANN401  pyarrow ships no types
    return pa.float64() if pa.types.is_floating(kind) else _YUAN


def _yuan(hao: Any) -> Any:  # noqa: ANN401  pyarrow ships no types
    """Return hao as yuan: of a decimal, only where the point stands changes."""
    if pa.types.is_floating(hao.type):
        return pa.compute.divide(hao, float(HAO_PER_YUAN))
    digits = hao.cast(pa.decimal128(38, 0))
    return pa.Array.from_buffers(_YUAN, len(digits), digits.buffers(), offset=digits.offset)
