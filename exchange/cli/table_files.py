"""Tables that come in chunks, written to one file of Parquet, Arrow or CSV: aside, then put in its place."""

from __future__ import annotations

import base64
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from exchange.client.arrow_tables import in_yuan, plain, plain_schema

if TYPE_CHECKING:
    from exchange.client.tables import Table

ROW_GROUP_ROWS = 1 << 19
"""How many rows of Parquet are compressed at a time: 60 MB of trades."""

TABLES_WAITING_MAX = 4
"""How many tables wait to be written before no more is asked for."""

_ARROW_SCHEMA = b"ARROW:schema"
"""Where Parquet keeps the Arrow types of its columns, for readers that know them."""


class Writer(Protocol):
    """Takes tables of one schema."""

    def write_table(self, table: pa.Table) -> None:
        """Write one more."""

    def close(self) -> None:
        """Write the end."""


class Parquet:
    """Writes large row groups; words as dictionaries, numbers that rise as differences."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Begin the file; the schema that readers are told has plain text where dictionaries come."""
        words = [field.name for field in schema if not _is_number(field.type)]
        numbers = [field.name for field in schema if _is_whole(field.type)]
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=words,
            column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED") or None,
            store_schema=False,
        )
        told = base64.b64encode(plain_schema(schema).serialize().to_pybytes())
        self._writer.add_key_value_metadata({_ARROW_SCHEMA: told})
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def write_table(self, table: pa.Table) -> None:
        """Keep a table until a row group is full."""
        self._waiting.append(table)
        self._rows += table.num_rows
        if self._rows >= ROW_GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the end."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting, self._rows = [], 0


class Plain:
    """Writes tables whose words are plain text, as they come."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def write_table(self, table: pa.Table) -> None:
        """Write one more."""
        self._writer.write_table(plain(table))

    def close(self) -> None:
        """Write the end."""
        self._writer.close()


def _arrow_file(path: Path, schema: pa.Schema) -> Writer:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    return Plain(_Closing(path, lambda sink: pa.ipc.new_file(sink, plain_schema(schema), options=options)))


def _csv_file(path: Path, schema: pa.Schema) -> Writer:
    return Plain(pa.csv.CSVWriter(path, plain_schema(schema)))


class _Closing:
    """A writer that closes its file with itself."""

    def __init__(self, path: Path, made: Callable[[pa.NativeFile], Writer]) -> None:
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = made(self._sink)

    def write_table(self, table: pa.Table) -> None:
        self._writer.write_table(table)

    def close(self) -> None:
        self._writer.close()
        self._sink.close()


WRITERS: dict[str, Callable[[Path, pa.Schema], Writer]] = {
    ".parquet": Parquet,
    ".arrow": _arrow_file,
    ".csv": _csv_file,
}
"""What writes a file, by the end of its name."""


class TableFile:
    """A file that is whole or not there: tables are taken in by a thread that writes beside who reads on."""

    def __init__(self, path: Path, *, is_in_yuan: bool = False) -> None:
        """Begin a file whose suffix is one of `WRITERS`; money stays in hao, or becomes yuan."""
        self._path = path
        self._aside = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._is_in_yuan = is_in_yuan
        self._fault: BaseException | None = None
        self._waiting: queue.Queue[Table | None] = queue.Queue(TABLES_WAITING_MAX)
        self._thread = threading.Thread(target=self._run, name="table file", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def write(self, table: Table) -> None:
        """Hand over a table; wait while too many do. Raises what an earlier one could not be written for."""
        if self._fault is not None:
            raise self._fault
        self._waiting.put(table)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put the file in its place, or leave nothing of it. Raises what it could not be written for."""
        self._waiting.put(None)
        self._thread.join()
        try:
            if error is None and self._fault is not None:
                raise self._fault
            if error is None and self._aside.exists():
                with self._aside.open("rb+") as file:
                    os.fsync(file.fileno())
                self._aside.replace(self._path)
        finally:
            self._aside.unlink(missing_ok=True)

    def _run(self) -> None:
        writer: Writer | None = None
        while (table := self._waiting.get()) is not None:
            if self._fault is not None:
                continue
            try:
                sent = table.as_sent()
                sent = in_yuan(sent) if self._is_in_yuan else sent
                if writer is None:
                    writer = WRITERS[self._path.suffix](self._aside, sent.schema)
                writer.write_table(sent)
            except BaseException as fault:
                self._fault = fault  # whoever hands over the next table raises it
        try:
            if writer is not None:
                writer.close()
        except BaseException as fault:
            self._fault = self._fault or fault


def _is_whole(kind: pa.DataType) -> bool:
    return bool(pa.types.is_int64(kind) or pa.types.is_timestamp(kind))


def _is_number(kind: pa.DataType) -> bool:
    return _is_whole(kind) or bool(pa.types.is_floating(kind) or pa.types.is_decimal(kind))
