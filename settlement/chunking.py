"""Answers as Arrow IPC streams: whole, or cut into chunks of one schema."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

Described = Callable[[pa.Schema], pa.Schema]
"""Writes into a schema what its columns mean."""

_WIDE = pa.decimal128(38, 0)
_WORDS = pa.dictionary(pa.int32(), pa.string())
_ROWS_A_WORD_MIN = 4
"""Text is sent as a dictionary where each word stands for so many rows at the least: five times as short."""


def whole_stream(table: pa.Table, described: Described) -> bytes:
    """Return an Arrow IPC stream; sums of int64, which DuckDB widens, are int64 again."""
    for place, field in enumerate(table.schema):
        if field.type == _WIDE:
            try:
                narrow = table.column(place).cast(pa.int64())
            except pa.ArrowInvalid:  # It does not fit: the reader gets the wide decimal.
                continue
            table = table.set_column(place, field.name, narrow)
    return _stream(table.cast(described(table.schema)))


class Chunker:
    """Makes each chunk of one answer a stream of its own; the first decides the schema of all."""

    def __init__(self, described: Described) -> None:
        self._described = described
        self._schema: pa.Schema | None = None

    def stream(self, table: pa.Table) -> bytes:
        """Return a chunk: sums as int64, words that recur as dictionaries, compressed.

        Raises `pa.ArrowInvalid` for a later chunk's sum that does not fit into int64 though the first's did.
        """
        if self._schema is None:
            fields = [field.with_type(_sent_as(table.column(at))) for at, field in enumerate(table.schema)]
            self._schema = self._described(pa.schema(fields))
        columns = [
            column.combine_chunks().dictionary_encode() if field.type == _WORDS else column.cast(field.type)
            for column, field in zip(table.columns, self._schema, strict=True)
        ]
        return _stream(pa.Table.from_arrays(columns, schema=self._schema), "lz4")


def _sent_as(column: pa.ChunkedArray) -> pa.DataType:
    if column.type == _WIDE:
        try:
            column.cast(pa.int64())
        except pa.ArrowInvalid:
            return _WIDE
        return pa.int64()
    if pa.types.is_string(column.type):
        words = len(column.unique())
        return _WORDS if words * _ROWS_A_WORD_MIN <= len(column) else column.type
    return column.type


def _stream(table: pa.Table, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream
