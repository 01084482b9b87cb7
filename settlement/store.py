"""The settlement store: what the journal says, folded into tables that analysts can ask.

One writer. It buffers the events of journal frames and writes them in batches of columns, one
transaction a flush with the watermark inside, so that each command is written exactly once however
often the process stops. The file may be thrown away: folding the journal again gives equal tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa

from matching.layout import EVENT, grown
from settlement.arrow import columns_table, rows_table
from settlement.layout import EFFECT
from settlement.postings import (
    Columns,
    act_postings,
    leg_columns,
    order_columns,
    postings_of,
    refusal_columns,
    trade_columns,
)
from settlement.rows import (
    BustRow,
    FixingRow,
    Happened,
    InstrumentRow,
    LegRow,
    MemberRow,
    ObligationRow,
    PhaseRow,
    ProgrammeRow,
    RedemptionRow,
    TermsRow,
)

CHECKPOINT_BYTES = 64_000_000
"""How large the write-ahead log grows before it is folded into the file, or an eighth of the memory, if that
is less. Commits wait meanwhile: at 90,000 rows a second 0.35 s every 10 s, measured; with 256 MB they wait
2 to 4 s at a time."""

MEMORY_BYTES = 1_000_000_000
"""What the database may take for buffers and all queries together, unless told otherwise."""

CROWDED_SHARE = 4
"""A write-ahead log of one part in so many of the memory is too large. What it holds is in memory, and takes
half as much again there, until it is folded; and that it is not while a reader's transaction is open."""

_ACT_ROWS: dict[str, type[msgspec.Struct]] = {
    "members": MemberRow,
    "instruments": InstrumentRow,
    "phases": PhaseRow,
    "fixings": FixingRow,
    "redemptions": RedemptionRow,
    "legs": LegRow,
    "terms": TermsRow,
    "busts": BustRow,
    "obligations": ObligationRow,
}
"""What acts bring as rows, each kind to the table of its name; postings are columns first."""

_TABLES = {"act_postings": "postings", "legs": "subsidy_legs"}
"""The tables of new rows that are called otherwise than their table."""

_SCHEMA = ("schema", "views", "history_views", "firm_views", "comments", "history_comments")
"""The texts that make the tables and views, in this order."""

_US_PER_MINUTE = 60_000_000
_NS_PER_MINUTE = 60_000_000_000


class StoreError(Exception):
    """The file cannot be opened as a store: StoreDamaged or StoreInUse, with cause and remedy."""

    remedy = ""

    def __init__(self, path: Path, cause: str) -> None:
        self.path = path
        self.cause = cause
        super().__init__(f"settlement store {path}: {cause}; {self.remedy}")


class StoreDamaged(StoreError):
    """DuckDB cannot read the file, or another version of the house wrote it."""

    remedy = "set it and its .wal aside and rebuild the store from the journal"


class StoreInUse(StoreError):
    """Another process, or another part of this one, has the file open. It is not damaged."""

    remedy = "stop the other process, or ask it for its tables"


class Watermark(msgspec.Struct, frozen=True):
    """How far the journal is folded: the last sequence and its time (ns), and where to read on."""

    sequence: int = 0
    time: int = 0
    segment: int = 0
    offset: int = 0
    digest: bytes = b""
    frames: int = 0


class Description(msgspec.Struct, frozen=True):
    """A public column: its name, DuckDB's type for it, and what it means, unit included."""

    table: str
    column: str
    type: str
    comment: str


class _Source:
    """What new rows of one table are read from: registered once, filled anew for each flush.

    Arrow is inserted three times as fast as a dict of arrays. Registering a table and preparing its
    statement anew cost 7 ms a small flush; a standing source and statement cost 2.5.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_schema__(self) -> object:
        return self.table.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


class Store:
    """The tables of settlement, and the buffer of what is not yet written to them."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, log: Path | None = None, log_bytes_max: int = 0
    ) -> None:
        """Take over a connection to a database that has the schema; `open` makes one."""
        self._connection = connection
        self._log = log
        self._log_bytes_max = log_bytes_max
        self._events = np.zeros(4096, EVENT)
        self._effects = np.zeros(4096, EFFECT)
        self._count = 0
        self._happened: list[Happened] = []
        self._acts = 0
        self._quotes: list[pa.Table] = []
        self._sources: dict[str, _Source] = {}
        self._named = {
            "member_names": _numbers(connection, "select number from base.member_names"),
            "instrument_names": _numbers(connection, "select number from base.instrument_names"),
        }
        rows = connection.execute("select * from base.programmes").fetchall()
        self._programmes = {row[0]: ProgrammeRow(*row) for row in rows}
        *mark, self._bars_before_us = _one_row(connection, statement("read_watermark"))
        self._watermark = Watermark(*mark)
        self._last_sequence = self._watermark.sequence
        self._reader = connection.cursor()  # Never at work itself, so any thread may ask it for more.

    @classmethod
    def open(
        cls,
        path: Path | str | None = None,
        threads: int = 1,
        memory_bytes: int = MEMORY_BYTES,
        spill: Path | None = None,
    ) -> Store:
        """Open the store at `path`, made on first use; None keeps it in memory.

        What a query has no memory for goes into the folder `spill`. Without one such a query is refused, so
        that no reader fills the disk.

        Raises StoreDamaged if the file cannot be opened, StoreInUse if somebody else has it open.
        """
        config: dict[str, Any] = {
            "threads": threads,
            "memory_limit": f"{memory_bytes}B",
            "checkpoint_threshold": f"{min(CHECKPOINT_BYTES, memory_bytes // 8)}B",
            "temp_directory": "" if spill is None else str(spill),
        }
        if path is None:
            return cls(_with_schema(duckdb.connect(":memory:", config=config)))
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = duckdb.connect(str(path), config=config)
            return cls._taken_over(connection, path, memory_bytes // CROWDED_SHARE)
        except duckdb.ConnectionException as error:
            raise StoreInUse(path, str(error)) from error
        except duckdb.Error as error:
            if "Could not set lock" in str(error):
                raise StoreInUse(path, str(error)) from error
            raise StoreDamaged(path, str(error)) from error

    @classmethod
    def _taken_over(cls, connection: duckdb.DuckDBPyConnection, path: Path, log_bytes_max: int) -> Store:
        """Return the store behind a connection. If there is none it is closed: the file may be set aside."""
        try:
            return cls(_with_schema(connection), path.with_name(path.name + ".wal"), log_bytes_max)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Close the file. What was added and not flushed is forgotten; the journal still has it."""
        self._reader.close()
        self._connection.close()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of its own for a reader, who may ask for it in another thread."""
        return self._reader.cursor()

    @property
    def watermark(self) -> Watermark:
        """How far the journal is folded into the tables."""
        return self._watermark

    @property
    def pending(self) -> int:
        """How many rows, events, rows of acts and quotes, were added since the last flush."""
        quotes: int = sum(table.num_rows for table in self._quotes)
        return self._count + self._acts + quotes

    @property
    def is_crowded(self) -> bool:
        """Whether new rows take much of the memory, for the transactions of readers keep them there.

        Who flushes ought to end those first: a commit that finds no memory leaves a store of no use.
        """
        try:
            return self._log is not None and self._log.stat().st_size > self._log_bytes_max
        except FileNotFoundError:  # it is folded at this moment
            return False

    def add(self, events: np.ndarray, effects: np.ndarray, happened: Happened) -> None:
        """Take copies of what one frame brought; `events` and `effects` have a row an event each.

        Raises AssertionError if any of it was added before: frames come once, in their order.
        """
        assert len(events) == len(effects), f"{len(events)} events, {len(effects)} effects"
        sequences = [row.sequence for rows in msgspec.structs.astuple(happened) for row in rows]
        acts = len(sequences)
        if len(effects):
            sequences += [int(effects["sequence"][0]), int(effects["sequence"][-1])]
        if not sequences:
            return
        assert min(sequences) > self._last_sequence, (
            f"sequence {min(sequences)} was added before; the last was {self._last_sequence}"
        )
        end = self._count + len(events)
        self._events = grown(self._events, end)
        self._effects = grown(self._effects, end)
        _copy(events, self._events[self._count : end])
        _copy(effects, self._effects[self._count : end])
        self._count = end
        if acts:
            self._happened.append(happened)
            self._acts += acts
        self._last_sequence = max(sequences)

    def add_quotes(self, quotes: pa.Table) -> None:
        """Take the tops with which a minute ended, before the frame is added that begins another one.

        So they are written with that frame, and like it exactly once.
        """
        if quotes.num_rows:
            self._quotes.append(quotes)

    def flush(self, watermark: Watermark, programmes: Sequence[ProgrammeRow]) -> None:
        """Write all that was added, the programmes as they stand now and the watermark, or nothing.

        If it raises, nothing is written, what was added is kept, and it may be called again; but for
        duckdb.TransactionException. That a commit raises which finds no memory: the file is right, and what
        DuckDB has in memory need not be, so the store must be opened anew. Raises AssertionError if the
        watermark would run back or leave out something that was added, or if a ledger entry does not
        balance.
        """
        assert watermark.sequence >= self._last_sequence, (
            f"watermark {watermark.sequence} leaves out sequence {self._last_sequence}"
        )
        now = self._programmes | {row.index: row for row in programmes}
        new_names = self._new_names()
        trades = trade_columns(self._events[: self._count], self._effects[: self._count])
        bars_before_us = self._bars_before_us
        if len(trades["time"]):
            bars_before_us = int(trades["time"][-1]) // _NS_PER_MINUTE * _US_PER_MINUTE
        tables = [*self._event_tables(trades), *_name_tables(new_names), *self._act_tables(now)]
        tables += [("quotes", pa.concat_tables(self._quotes))] if self._quotes else []
        for name, table in tables:
            self._prepare(name, table)
        with self._transaction():
            for name, table in tables:
                self._insert(name, table)
            self._put_programmes(now)
            if bars_before_us > self._bars_before_us:
                self._connection.execute(statement("close_bars"), [bars_before_us])
            if any(happened.busts for happened in self._happened):
                since = self._watermark.sequence
                self._connection.execute(statement("drop_busted_bars"), [since])
                self._connection.execute(statement("mend_busted_bars"), [since, bars_before_us])
            mark = [*msgspec.structs.astuple(watermark), bars_before_us]
            self._connection.execute(statement("write_watermark"), mark)
        self._count, self._acts = 0, 0
        self._happened.clear()
        self._quotes.clear()
        for name, names in new_names.items():
            self._named[name] |= names.keys()
        self._programmes = now
        self._bars_before_us = bars_before_us
        self._watermark = watermark
        self._last_sequence = watermark.sequence

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what the block did, or nothing of it."""
        self._connection.begin()
        try:
            yield
            self._connection.commit()
        except BaseException:
            with suppress(duckdb.Error):  # A failed commit has ended the transaction already.
                self._connection.rollback()
            raise

    def _prepare(self, name: str, table: pa.Table) -> None:
        """Make ready to append tables like this one; outside a transaction, which could undo it."""
        if table.num_rows and name not in self._sources:
            self._sources[name] = _Source(table)
            self._connection.register(f"new_{name}", self._sources[name])
            rows = f"insert into base.{_TABLES.get(name, name)} by name from new_{name}"
            self._connection.execute(f"prepare put_{name} as {rows}")

    def _insert(self, name: str, table: pa.Table) -> None:
        """Append the rows of `table` to the base table that has its columns."""
        if table.num_rows:
            self._sources[name].table = table
            self._connection.execute(f"execute put_{name}")
            self._sources[name].table = table.schema.empty_table()

    def _put_programmes(self, programmes: Mapping[int, ProgrammeRow]) -> None:
        """Write the programmes that are new or have changed since the last flush."""
        for number, row in programmes.items():
            if row != self._programmes.get(number):
                name = "change_programme" if number in self._programmes else "add_programme"
                self._connection.execute(statement(name), list(msgspec.structs.astuple(row)))

    def _new_names(self) -> dict[str, dict[int, str]]:
        """Return the members and instruments that are named for the first time, by number."""
        members = [row for happened in self._happened for row in happened.members]
        instruments = [row for happened in self._happened for row in happened.instruments]
        names = {
            "member_names": {row.index: row.member for row in members},
            "instrument_names": {row.index: row.instrument for row in instruments},
        }
        return {
            table: {n: text for n, text in sorted(found.items()) if n not in self._named[table]}
            for table, found in names.items()
        }

    def _event_tables(self, trades: Columns) -> Iterator[tuple[str, pa.Table]]:
        """Yield what events brought."""
        events, effects = self._events[: self._count], self._effects[: self._count]
        orders = order_columns(events, effects)
        yield "trades", columns_table(trades)
        yield "order_entries", columns_table(orders.entries)
        yield "order_changes", columns_table(orders.changes)
        yield "refusals", columns_table(refusal_columns(events, effects))
        yield "postings", columns_table(postings_of(trades))
        yield "subsidy_legs", columns_table(leg_columns(trades))

    def _act_tables(self, programmes: Mapping[int, ProgrammeRow]) -> Iterator[tuple[str, pa.Table]]:
        """Yield what acts brought: rows as they are, then postings."""
        if not self._happened:
            return
        for name, kind in _ACT_ROWS.items():
            rows = [row for happened in self._happened for row in getattr(happened, name)]
            yield name, rows_table(rows, kind)
        postings = [row for happened in self._happened for row in happened.postings]
        numbers = {row.programme: number for number, row in programmes.items()}
        yield "act_postings", columns_table(act_postings(postings, numbers))


def describe(store: Store) -> list[Description]:
    """Return every public column, view by view, in the order of the columns."""
    rows = store.cursor().execute(statement("describe")).fetchall()
    return [Description(*row) for row in rows]


@cache
def statement(name: str) -> str:
    """Return the text of `settlement/sql/<name>.sql`."""
    return resources.files("settlement").joinpath("sql", f"{name}.sql").read_text("utf-8")


def _with_schema(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Lock the settings; make the tables if there are none; check that this version made them."""
    if _one_row(connection, "select current_setting('lock_configuration')") == (True,):
        raise duckdb.ConnectionException("it is open in this process already")
    connection.execute(statement("settings"))
    texts = [statement(name) for name in _SCHEMA]
    digest = hashlib.sha256("".join(texts).encode()).hexdigest()
    schemas = "select count(*) from duckdb_schemas() where schema_name = 'base'"
    if _one_row(connection, schemas) == (0,):
        connection.begin()
        for text in texts:
            connection.execute(text)
        connection.execute("insert into base.about values ($1, uuid())", [digest])
        connection.commit()
    if _one_row(connection, "select schema_digest from base.about") != (digest,):
        connection.close()
        raise duckdb.Error("another version wrote it")
    return connection


def _one_row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    (row,) = connection.execute(query).fetchall()
    return tuple(row)


def _numbers(connection: duckdb.DuckDBPyConnection, query: str) -> set[int]:
    return {number for (number,) in connection.execute(query).fetchall()}


def _name_tables(names: Mapping[str, Mapping[int, str]]) -> Iterator[tuple[str, pa.Table]]:
    """Yield the new rows of member_names and of instrument_names."""
    for name, texts in names.items():
        column = name.removesuffix("_names")
        yield name, pa.table({"number": list(texts.keys()), column: list(texts.values())})


def _copy(rows: np.ndarray, place: np.ndarray) -> None:
    """Copy rows as bytes: field by field, as NumPy assigns records, takes ten times as long."""
    place.view(np.uint8)[:] = np.ascontiguousarray(rows).view(np.uint8)
