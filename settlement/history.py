"""The store's history as Parquet files, a table and a day of the venue each, which anybody can read.

`history/public` holds what everybody may know, `history/full` what the venue alone may; below each a folder a
table, `day=2026-11-05` in it, and in that `data.parquet`. A file is whole or not there: it is written aside,
synced and renamed. Its metadata say up to which command it is true, so that a writer that begins anew knows
which are missing or behind, and writes these.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, NamedTuple

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from settlement.store import Store, describe
from settlement.tables_of_history import TABLES, Table
from settlement.terms import VENUE_ZONE
from settlement.units import by_column, described

FILE = "data.parquet"
MARK = "mark.json"

ROW_GROUP_ROWS = 122_880
SLICE_ROWS = 4 * ROW_GROUP_ROWS
"""Rows that are sorted and written at a time: 0.3 s in the store, as much to write, 100 MB at most."""

PASS_SECONDS = 60.0
"""The running day is written at most so often."""

PASS_SHARE = 10
"""And so rarely that it takes at most one part in so many of the time."""

_PUBLIC_MODES, _FULL_MODES = (0o755, 0o644), (0o700, 0o600)
"""Of folders and files."""


_BY_CHANGES = tuple({table.changes: table for table in TABLES}.values())
"""One of all tables that change together: what has changed since when is a scan of a table at a start."""


class Partition(NamedTuple):
    """A table and a day of the venue that are to be written."""

    table: Table
    day: date


class Mark(msgspec.Struct, frozen=True):
    """What the last whole pass came to: all files are true up to `sequence` of the store `made`."""

    sequence: int
    made: str


class Stamp(msgspec.Struct, frozen=True):
    """What a file says of itself: up to which command it is true, of which store, and of which columns."""

    sequence: int
    made: str
    columns: str


class HistoryWriter:
    """Brings the files below `folder` to where the store is, one day of one table at a time.

    It reads by connections of its own, each file in one transaction, and may work beside the store's writer.
    """

    def __init__(self, store: Store, folder: Path, is_stopped: Callable[[], bool] = lambda: False) -> None:
        self._store = store
        self._folder = folder
        self._is_stopped = is_stopped
        self._reads = threading.Lock()
        self._gives_way = threading.Event()
        self._since = -1  # all that the store holds up to here is written
        with closing(store.cursor()) as cursor:
            self._made, self._columns = _about(cursor)
        self._meanings = by_column(describe(store))

    def run(self) -> int:
        """Write all that is missing or behind; return how many files. Stopped, it leaves the rest.

        Raises OSError if the disk does not take them, duckdb.OutOfMemoryException if memory is short, and
        MemoryError if it gave way to somebody who needed it; it may be called again.
        """
        partitions, sequence = self.behind()
        for count, partition in enumerate(partitions):
            if self._is_stopped() or not self.write(partition):
                return count
        if sequence > self._since:
            self._put_mark(sequence)
            self._since = sequence
        return len(partitions)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Have it give up the file that it writes, end its transaction, and begin none meanwhile."""
        self._gives_way.set()
        try:
            with self._reads:
                yield
        finally:
            self._gives_way.clear()

    def behind(self) -> tuple[list[Partition], int]:
        """Return what is missing or behind, oldest day first, and the sequence as of which that is true."""
        found = []
        with self._reads, _reading(self._store) as (cursor, sequence):
            changes = {table.changes: _changes(cursor, table, self._since) for table in _BY_CHANGES}
            for table in TABLES:
                for day, changed in changes[table.changes].items():
                    stamp = _stamp(_path(self._folder, table, day))
                    if stamp != Stamp(stamp.sequence, self._made, self._columns) or stamp.sequence < changed:
                        found.append(Partition(table, day))
        return sorted(found, key=lambda one: (one.day, TABLES.index(one.table))), sequence

    def write(self, partition: Partition) -> bool:
        """Write one file: aside, synced, and then in its place. Return False if it was stopped meanwhile.

        At a stop a day of 27 million orders, half written, is no reason to be killed. Raises as `run` does.
        """
        table, day = partition
        path = _path(self._folder, table, day)
        folder_mode, file_mode = _FULL_MODES if table.is_full else _PUBLIC_MODES
        _make_folder(path.parent, self._folder, folder_mode)
        aside = path.with_name(path.name + ".part")
        aside.unlink(missing_ok=True)  # what a crash has left
        with self._reads, _reading(self._store) as (cursor, sequence):
            schema = self._schema(cursor, partition, sequence)
            handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file_mode)
            with open(handle, "wb") as file:
                is_whole = self._write_rows(cursor, partition, schema, file)
                file.flush()
                os.fsync(file.fileno())
        if is_whole:
            aside.rename(path)
            _sync_folder(path.parent)
        else:
            aside.unlink()
        return is_whole

    def _write_rows(
        self, cursor: duckdb.DuckDBPyConnection, partition: Partition, schema: pa.Schema, file: IO[bytes]
    ) -> bool:
        """Write the rows of a day, sorted, slice by slice; return False if it was stopped before the last."""

        def ask(query: str) -> pa.Table:
            return cursor.sql(query).to_arrow_table()

        table, query = partition.table, _rows_query(*partition)
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for slice_ in _slices(ask, table, query):
                if self._is_stopped():
                    return False
                if self._gives_way.is_set():
                    raise MemoryError(f"a commit needed the memory that reading {table.place} took")
                rows = ask(f"select * from ({query}) where {slice_} order by {table.order}")  # noqa: S608
                writer.write_table(rows.cast(schema), row_group_size=ROW_GROUP_ROWS)
        return True

    def _schema(self, cursor: duckdb.DuckDBPyConnection, partition: Partition, sequence: int) -> pa.Schema:
        """Return the columns of a file, each with its unit and meaning, and what the file says of itself."""
        bare = cursor.sql(f"{_rows_query(*partition)} limit 0").to_arrow_table().schema
        schema = described(bare, frozenset({partition.table.view}), self._meanings)
        stamp = Stamp(sequence, self._made, self._columns)
        return schema.with_metadata({"stamp": msgspec.json.encode(stamp)})

    def _put_mark(self, sequence: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._folder / f"{MARK}.part"
        aside.write_bytes(msgspec.json.encode(Mark(sequence, self._made)))
        aside.rename(self._folder / MARK)


class HistoryThread:
    """Runs a writer once a minute beside the store's own thread, and once more when it is closed."""

    def __init__(self, store: Store, folder: Path, told: Callable[[str], None]) -> None:
        self.failure: BaseException | None = None
        self._told = told
        self._stop, self._last = threading.Event(), threading.Event()
        self._writer = HistoryWriter(store, folder, self._last.is_set)
        self._thread = threading.Thread(target=self._work, name="history", daemon=True)
        self._thread.start()

    def standing_still(self) -> AbstractContextManager[object]:
        """Have it let go of the store's memory, which a commit needs, and take none meanwhile."""
        return self._writer.standing_still()

    def close(self, seconds_max: float) -> None:
        """Write what is left, as much of it as the time allows: the next start writes the rest."""
        self._stop.set()
        self._thread.join(seconds_max)
        self._last.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            while True:
                is_last = self._stop.is_set()
                began = time.monotonic()
                self._run()
                if is_last:
                    return
                took = time.monotonic() - began
                self._stop.wait(max(PASS_SECONDS, PASS_SHARE * took))
        except BaseException as error:
            self.failure = error  # the process's own thread raises it: that nothing is written is a bug
            raise

    def _run(self) -> None:
        """Write what is behind. A full disk and short memory are told of, and it is tried again later."""
        try:
            self._writer.run()
        except (OSError, MemoryError, duckdb.OutOfMemoryException) as error:
            self._told(str(error))


def differences(
    store: Store, folder: Path, told: list[str] | None = None, *, is_running: bool = False
) -> list[str]:
    """Return in words where the files below `folder` differ from the store, a line a file.

    What the store has taken since the last whole pass is left aside: a venue that runs writes it in minutes.
    Where `is_running` files may go further than the store, which was made a moment ago: `told` takes what was
    not compared.
    """
    mark = _mark(folder)
    written = -1 if mark is None else mark.sequence
    found, ahead, known = [], list[str](), set[Path]()
    with _reading(store) as (cursor, last):
        _, columns = _about(cursor)
        changes = {table.changes: _changes(cursor, table, -1) for table in _BY_CHANGES}
        for table in TABLES:
            for day, changed in sorted(changes[table.changes].items()):
                path = _path(folder, table, day)
                known.add(path)
                is_there = path.exists()  # asked first: a venue that runs may be writing it
                name, stamp = f"{path.relative_to(folder)}", _stamp(path)
                if not is_there:
                    found += [f"{name}: missing"] if changed <= written else []
                elif stamp.columns != columns:
                    found.append(f"{name}: it is no whole file of this version")
                elif stamp.sequence > last:
                    ahead.append(f"{name}: it goes up to sequence {stamp.sequence}, the store to {last}")
                elif stamp.sequence >= changed:
                    found += [f"{name}: {text}" for text in _file_differences(cursor, table, day, path)]
                elif changed <= written:
                    found.append(f"{name}: it goes up to sequence {stamp.sequence}, and lacks {changed}")
    for path in sorted(set(_parquets(folder)) - known):
        what = "the store has nothing of this day" if path.name == FILE else "it is no file of the history"
        (ahead if _stamp(path).sequence > last else found).append(f"{path.relative_to(folder)}: {what}")
    told = [] if told is None else told
    (told if is_running else found).extend(ahead)
    if mark is None and any(path.exists() for path in known):
        told.append(f"{MARK}: none lies here, so nothing says which files there must be")
    return found


def _parquets(folder: Path) -> list[Path]:
    """Return all Parquet files of the history: what one glob would read."""
    return [path for part in ("public", "full") for path in (folder / part).rglob("*.parquet")]


def _file_differences(
    cursor: duckdb.DuckDBPyConnection, table: Table, day: date, path: Path
) -> Iterator[str]:
    """Yield how the rows of one file differ from the store's."""
    try:
        with pq.ParquetFile(path) as there:
            yield from _content_differences(cursor, table, day, there)
    except (OSError, pa.ArrowException) as error:
        yield f"it cannot be read: {error}"


def _content_differences(
    cursor: duckdb.DuckDBPyConnection, table: Table, day: date, there: pq.ParquetFile
) -> Iterator[str]:
    """Yield how the rows of an open file differ from the store's; a group of its rows is read at a time."""
    columns = cursor.execute(f"from ({_rows_query(table, day)}) limit 0").description or ()
    names, wanted = set(there.schema_arrow.names), {name for name, *_ in columns}
    if names - wanted:
        yield f"it has columns that do not belong here: {', '.join(sorted(names - wanted))}"
        return
    if wanted - names:
        yield f"it lacks columns: {', '.join(sorted(wanted - names))}"
        return
    ours, theirs = _sum(cursor, table, f"from ({_rows_query(table, day)})"), (0, 0)
    for number in range(there.num_row_groups):
        cursor.register("there", there.read_row_group(number))
        try:
            count, total = _sum(cursor, table, "from there")
        finally:
            cursor.unregister("there")
        theirs = theirs[0] + count, theirs[1] + total
    if ours != theirs:
        yield f"{theirs[0]} rows, {ours[0]} in the store; their contents differ"


def _sum(cursor: duckdb.DuckDBPyConnection, table: Table, rows: str) -> tuple[int, int]:
    """Return the count of rows and the sum of their hashes, each of a whole row, in any order of rows."""
    columns = ", ".join(table.columns)
    query = f"select count(*), coalesce(sum(hash({columns})::hugeint), 0) {rows}"
    ((count, total),) = cursor.execute(query).fetchall()
    return int(count), int(total)


# --- what the store holds ------------------------------------------------------------------------


@contextmanager
def _reading(store: Store) -> Iterator[tuple[duckdb.DuckDBPyConnection, int]]:
    """Give a connection that sees the store as of one sequence, and that sequence."""
    with closing(store.cursor()) as cursor:
        cursor.execute("begin transaction read only")
        ((sequence,),) = cursor.execute("select sequence from base.watermark").fetchall()
        yield cursor, sequence


def _about(cursor: duckdb.DuckDBPyConnection) -> tuple[str, str]:
    """Return what tells the store from others, and its tables from those of other versions."""
    ((made, columns),) = cursor.execute("select made, schema_digest from base.about").fetchall()
    digest = hashlib.sha256(f"{columns} {TABLES}".encode()).hexdigest()
    return str(made), digest[:16]


def _changes(cursor: duckdb.DuckDBPyConnection, table: Table, since: int) -> dict[date, int]:
    """Return the days of which rows came or changed after the command `since`, and the last that did it.

    The venue's first day always counts: a table of which nothing is known yet has an empty file there, so
    that one glob reads each of them from the first day on.
    """
    query = f"select day, max(sequence) from ({table.changes}) where day is not null group by day"  # noqa: S608
    days: dict[date, int] = dict(cursor.execute(query, {"since": since}).fetchall())
    if since < 0:
        first = "select (min(time) + interval 8 hours)::date from base.instruments"
        ((founded,),) = cursor.execute(first).fetchall()
        if founded is not None:
            days.setdefault(founded, 0)
    return days


def _rows_query(table: Table, day: date) -> str:
    """Return a query for the rows of one day."""
    if table.moment == "day":
        when = f"day = date '{day}'"
    else:
        begin = datetime.combine(day, datetime.min.time(), VENUE_ZONE).astimezone(UTC).replace(tzinfo=None)
        end = begin + timedelta(days=1)
        when = f"{table.moment} >= timestamp '{begin}' and {table.moment} < timestamp '{end}'"
    return f"select {', '.join(table.columns)} from {table.view} where {when}"  # noqa: S608


def _slices(ask: Callable[[str], pa.Table], table: Table, query: str) -> Iterator[str]:
    """Yield conditions that cut the rows into slices of about `SLICE_ROWS`, in the order of the file.

    A key that has more, as money has among the assets of a day's postings, is cut into runs of seconds.
    """
    of_keys = f"select {table.key}, count(*) from ({query}) group by 1 order by 1"  # noqa: S608
    for first_key, last_key, rows in _runs(ask(of_keys)):
        keys = f"{table.key} between {_quoted(first_key)} and {_quoted(last_key)}"
        if rows <= SLICE_ROWS:
            yield keys
            continue
        second = f"date_trunc('second', {table.moment})"
        of_seconds = f"select {second}, count(*) from ({query}) where {keys} group by 1 order by 1"  # noqa: S608
        for first, last, _ in _runs(ask(of_seconds)):
            until = f"timestamp '{last}' + interval 1 second"
            yield f"{keys} and {table.moment} >= timestamp '{first}' and {table.moment} < {until}"


def _runs(counts: pa.Table) -> Iterator[tuple[object, object, int]]:
    """Yield the first and the last of values that have `SLICE_ROWS` rows together, and how many they have.

    A run has more than `SLICE_ROWS` only if it is of one value.
    """
    first, last, held = None, None, 0
    for value, count in zip(*(column.to_pylist() for column in counts.columns), strict=True):
        if held and held + count > SLICE_ROWS:
            yield first, last, held
            held = 0
        first, last, held = value if not held else first, value, held + count
    if held:
        yield first, last, held


def _quoted(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


# --- files ---------------------------------------------------------------------------------------


def _stamp(path: Path) -> Stamp:
    """Return what a file says of itself; of one that is not there, or not whole, nothing."""
    try:
        told = pq.read_metadata(path).metadata or {}
        return msgspec.json.decode(told[b"stamp"], type=Stamp)
    except (OSError, pa.ArrowException, KeyError, msgspec.MsgspecError):
        return Stamp(-1, "", "")


def _mark(folder: Path) -> Mark | None:
    try:
        return msgspec.json.decode((folder / MARK).read_bytes(), type=Mark)
    except (OSError, msgspec.MsgspecError):
        return None


def _path(folder: Path, table: Table, day: date) -> Path:
    return folder / table.place / f"day={day}" / FILE


def _make_folder(path: Path, root: Path, mode: int) -> None:
    """Make a partition's folder and those above it, below `root`; the venue's own are for its owner alone."""
    root.mkdir(parents=True, exist_ok=True)
    parts = path.relative_to(root).parts
    for depth in range(1, len(parts) + 1):
        (root.joinpath(*parts[:depth])).mkdir(mode=mode, exist_ok=True)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
