"""A file of commands, CSV or Parquet, read batch by batch into the arrays that the book takes."""

from __future__ import annotations

import difflib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from exchange.matchfile.columns import COLUMNS, WHOLE_NUMBERS, WORDS, BadTable, Parties, Rows
from matching.layout import COMMAND
from matching.vocabulary import EVERY, CommandKind

SUFFIXES = (".csv", ".parquet")

BATCH_ROWS = 32_768
"""Rows of a Parquet file that are matched in one call: more would leave the caches, fewer cost more calls."""

BLOCK_BYTES = 2**21
"""Bytes of a CSV file that are matched in one call, about as many rows; no row may be longer."""

NO_PARQUET = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What Arrow raises of a file that is no Parquet, or whose text is no UTF-8."""

NAMELESS = ""
"""The instrument of new orders that name none, and the member of those without a member."""


class CommandFile:
    """A table of commands on disk. Raises `BadTable` for what cannot be taken, wherever that is found."""

    def __init__(self, path: Path) -> None:
        """Open a table and look at its columns."""
        self.path = path
        self.instruments: list[str] = []
        """The instruments' names by their numbers, in the order in which they turn up. See `survey`."""
        self.count = 0
        """How many rows there are. See `survey`."""
        self._columns = _column_names(path)
        for name, times in Counter(self._columns).items():
            if name not in COLUMNS:
                nearest = difflib.get_close_matches(name, COLUMNS, n=1, cutoff=0.0)[0]
                raise BadTable(
                    f"{path.name}: column {name!r} is unknown; the nearest known is {nearest!r}; "
                    f"there are {', '.join(COLUMNS)}"
                )
            if times > 1:
                raise BadTable(f"{path.name}: column {name!r} stands there {times} times; leave one")

    def survey(self) -> None:
        """Count the rows and collect the instruments, so that a phase of all is one of those to come too."""
        names: dict[str, None] = {}
        wanted = [name for name in ("instrument", "kind") if name in self._columns] or self._columns[:1]
        self.count = 0
        for rows in self._rows(wanted):
            self.count += len(rows)
            names.update(dict.fromkeys(_instrument_names(rows).unique().drop_null().to_pylist()))
        self.instruments = list(names)

    def batches(self) -> Iterator[np.ndarray]:
        """Yield the commands (dtype `matching.COMMAND`), in the order of their rows."""
        instruments, parties = pa.array(self.instruments, pa.string()), Parties()
        for rows in self._rows(self._columns):
            yield commands_of(rows, instruments, parties)

    def _rows(self, columns: Sequence[str]) -> Iterator[Rows]:
        before = 0
        for batch in _record_batches(self.path, columns):
            yield Rows(batch, self.path.name, before)
            before += batch.num_rows


def commands_of(rows: Rows, instruments: Any, parties: Parties) -> np.ndarray:  # noqa: ANN401  Arrow's
    """Return `rows` as commands, with instruments numbered by their place in an Arrow array of names."""
    commands = np.zeros(len(rows), COMMAND)
    for name in WHOLE_NUMBERS:
        if name in rows:
            commands[name] = rows.whole_numbers(name)
    for name, words in WORDS.items():
        commands[name] = rows.codes(name, words) if name in rows else words.blank
    _refuse_blank_totals(rows, commands)
    places = pc.index_in(_instrument_names(rows), value_set=instruments)
    commands["instrument"] = places.fill_null(EVERY).to_numpy(zero_copy_only=False)
    members = rows.parties("member", parties) if "member" in rows else np.full(len(rows), EVERY, np.int32)
    is_nameless = (members == EVERY) & (commands["kind"] == CommandKind.NEW)
    if is_nameless.any():
        members[is_nameless] = parties.number(NAMELESS)
    commands["member"] = commands["group"] = members
    if "group" in rows:
        groups = rows.parties("group", parties)
        commands["group"] = np.where(groups == EVERY, members, groups)
    return commands


def _refuse_blank_totals(rows: Rows, commands: np.ndarray) -> None:
    """Refuse a replace without a total: it would cancel the order, which nobody has asked for."""
    replaces = np.flatnonzero(commands["kind"] == CommandKind.REPLACE)
    if "quantity" in rows:
        replaces = replaces[rows.text("quantity").is_null().to_numpy(zero_copy_only=False)[replaces]]
    if len(replaces):
        told = "a replace needs the order's new total; write it, or 0 to cancel what is open"
        raise rows.fault(int(replaces[0]), "quantity", told)


def _instrument_names(rows: Rows) -> Any:  # noqa: ANN401  an array of Arrow's
    """Return each row's instrument; a new order that names none is one of the nameless instrument."""
    names = rows.text("instrument") if "instrument" in rows else pa.nulls(len(rows), pa.string())
    if not names.null_count:
        return names
    if "kind" not in rows:
        return names.fill_null(NAMELESS)
    is_new = pa.array(rows.codes("kind", WORDS["kind"]) == CommandKind.NEW)
    return pc.if_else(is_new, names.fill_null(NAMELESS), names)


# --- the two formats ---------------------------------------------------------------------------


def format_of(path: Path) -> str:
    """Return the format of a file, by its suffix: one of `SUFFIXES`."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadTable(f"{path.name}: the suffix tells the format; name the file .csv or .parquet")
    return suffix


def _column_names(path: Path) -> list[str]:
    if format_of(path) == ".csv":
        with _open_csv(path, [], []) as reader:
            try:
                return list(reader.schema.names)
            except UnicodeDecodeError as error:
                raise _unreadable_csv(path, error, []) from error
    with _open_parquet(path) as file:
        return list(file.schema_arrow.names)


def _record_batches(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Yield the rows of a file, some columns of them; a blank cell is null."""
    return (_csv_batches if format_of(path) == ".csv" else _parquet_batches)(path, columns)


def _csv_batches(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    invalid: list[Any] = []
    with _open_csv(path, columns, invalid) as reader:
        while True:
            try:
                with no_word_of_torn_rows():
                    batch = reader.read_next_batch()
            except StopIteration:
                return
            except pa.ArrowInvalid as error:
                raise _unreadable_csv(path, error, invalid) from error
            yield batch


def _open_csv(path: Path, columns: Sequence[str], invalid: list[Any]) -> Any:  # noqa: ANN401  Arrow's reader
    """Open a CSV whose columns are all text at first; a row of another width is put into `invalid`."""

    def note(row: Any) -> str:  # noqa: ANN401  Arrow's
        invalid.append(row)
        return "error"

    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(COLUMNS, pa.string()),
        include_columns=list(columns),
        null_values=[""],
        strings_can_be_null=True,
    )
    try:
        with no_word_of_torn_rows():
            return pyarrow.csv.open_csv(
                path,
                # Only a single thread numbers the rows, and the number is what helps to mend the file.
                read_options=pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
                parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=note),
                convert_options=convert,
            )
    except pa.ArrowInvalid as error:
        raise _unreadable_csv(path, error, invalid) from error


@contextmanager
def no_word_of_torn_rows() -> Iterator[None]:
    """Let Arrow read a CSV without a traceback on standard error of a torn row that is not UTF-8.

    Such a row cannot be shown to its `invalid_row_handler`; the reading ends with an error all the same.
    """
    before = sys.unraisablehook

    def passing_over(told: sys.UnraisableHookArgs) -> None:
        if not isinstance(told.exc_value, UnicodeDecodeError):
            before(told)

    sys.unraisablehook = passing_over
    try:
        yield
    finally:
        sys.unraisablehook = before


def _unreadable_csv(path: Path, error: Exception, invalid: list[Any]) -> BadTable:
    if invalid:
        row = invalid[0]
        cells, columns = row.actual_columns, row.expected_columns
        told = f"{cells} cells under {columns} columns; a blank cell has its comma too"
        return BadTable(f"{path.name}: row {row.number - 1}: {told}")
    return BadTable(f"{path.name}: cannot be read as a CSV in UTF-8: {error}")


def _parquet_batches(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    with _open_parquet(path) as file:
        try:
            for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
                yield pa.RecordBatch.from_arrays(
                    [_with_blanks(column) for column in batch.columns], names=batch.schema.names
                )
        except NO_PARQUET as error:
            raise BadTable(f"{path.name}: cannot be read as Parquet: {error}") from error


def _with_blanks(column: Any) -> Any:  # noqa: ANN401  an array of Arrow's
    """Return a column without its encoding, and with null for empty text: both are a blank cell."""
    types = pa.types
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_large_string(column.type) or types.is_string_view(column.type):
        column = column.cast(pa.string())
    if not types.is_string(column.type):
        return column
    column.validate(full=True)  # Parquet's text may be any bytes
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _open_parquet(path: Path) -> Any:  # noqa: ANN401  Arrow's
    try:
        return pyarrow.parquet.ParquetFile(path)
    except NO_PARQUET as error:
        raise BadTable(f"{path.name}: cannot be read as Parquet: {error}") from error
