"""The analyst's SQL: one statement in, Arrow out, whole or in chunks, and nothing else touched.

Three walls, because each alone has a hole. The store's settings bar files, extensions and settings,
but leave the database's own files to be read by `read_blob` and written by `copy`. A read-only
transaction bars changes, but not `copy`, `attach` or `checkpoint()`. So the statement is read before
it runs: DuckDB's own parse tree must hold nothing but queries over the public tables, and functions
that only compute. A firm's statement finds other tables under the same names: its own rows, and the
public history without members and order numbers.

What cannot be barred here is memory that a single step of a query takes (`a || a` a few times over, say):
the process's growth is watched, but a step is not interrupted. That wants a process of its own with a limit
set by the operating system.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import duckdb
import msgspec
import pyarrow as pa

from settlement.alarms import Alarm
from settlement.chunking import Chunker, whole_stream
from settlement.statement_check import NESTED, QueryRefused, StatementCheck
from settlement.store import Store, describe
from settlement.units import by_column, described

__all__ = ["Answer", "Chunk", "Parameters", "QueryLimits", "QueryRefused", "QueryService", "Question"]

Parameters = Sequence[object] | Mapping[str, object]
"""What stands for $1, $2 ... or for $name."""

_BATCH_ROWS = 16_384
_COMPLAINT_LETTERS = 1000
_COMPLAINTS = (duckdb.Error, pa.ArrowException, MemoryError, OSError, RecursionError, TypeError, ValueError)
"""What DuckDB and Arrow raise of a statement that they cannot work on; OSError once rows come."""

_NO_MEMORY = "Out of Memory Error"

_KEYLESS_MAP = 'MAP("NULL"'
"""How DuckDB writes the type of `map{}`: Arrow cannot hold one, and ends the process instead of raising."""


class QueryLimits(msgspec.Struct, frozen=True):
    """What one question may take: of its text, of its answer, of time, and of memory."""

    text_letters: int = 65_536
    rows: int = 1_000_000
    answer_bytes: int = 64 * 1024 * 1024
    timeout_ms: int = 10_000
    """How long an answer may take, or one chunk of it."""
    stream_rows: int = 100_000_000
    chunk_rows: int = 1 << 20
    chunk_bytes: int = 16 * 1024 * 1024
    """Where a chunk ends at the latest, before it is compressed."""
    stream_ms: int = 120_000
    """How long an answer in chunks may take in all, its reader's pauses included."""
    memory_growth: int = 2 * 1024 * 1024 * 1024
    """By how much the whole process may grow while a question is at work: twice what DuckDB counts itself."""


class Answer(msgspec.Struct, frozen=True):
    """The rows asked for, as an Arrow IPC stream, and the sequence up to which they are true."""

    arrow_ipc_stream: bytes
    rows: int
    seconds: float
    sequence: int


class Chunk(msgspec.Struct, frozen=True):
    """The next rows of an answer, as an Arrow IPC stream of their own; chunks are numbered from 0."""

    arrow_ipc_stream: bytes
    rows: int
    number: int
    sequence: int
    is_last: bool


class QueryService:
    """Answers questions about a store, each on a connection of its own.

    It may be called in another thread than the one that writes, and in several at once.
    """

    def __init__(self, store: Store, limits: QueryLimits | None = None) -> None:
        """Learn the public tables and the functions that may be called."""
        self.limits = limits or QueryLimits()
        self.store = store
        columns = describe(store)
        self.meanings = by_column(columns)
        self.check = StatementCheck(store.cursor(), {column.table for column in columns})

    def question(self, sql: str, parameters: Parameters = (), viewer: str | None = None) -> Question:
        """Return a question that has not begun; to be closed."""
        return Question(self, sql, parameters, viewer)

    def answer(
        self, sql: str, parameters: Parameters = (), viewer: str | None = None
    ) -> Answer | QueryRefused:
        """Return the rows of one query, true at one sequence, or why there are none.

        `viewer` is the firm that asks, and sees no other member's rows; None sees everything.
        """
        question = self.question(sql, parameters, viewer)
        try:
            return question.answer()
        finally:
            question.close()


class Question:
    """One statement at work, in a read-only transaction of its own: asked for whole, or chunk by chunk.

    One thread at a time works on it; `stop` may be called in any.
    """

    def __init__(self, service: QueryService, sql: str, parameters: Parameters, viewer: str | None) -> None:
        self._service = service
        self._limits = service.limits
        self._sql = sql
        self._parameters = parameters
        self._viewer = viewer
        self._cursor = service.store.cursor()
        self._alarm = Alarm(self._cursor.interrupt, self._limits.memory_growth)
        self._end = time.monotonic() + self._limits.stream_ms / 1000
        self._sequence = 0
        self._tables: frozenset[str] = frozenset()
        self._reader: pa.RecordBatchReader | None = None
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._left: pa.RecordBatch | None = None
        self._chunker = Chunker(self._described)
        self._chunks = self._rows = 0

    def stop(self, why: str) -> None:
        """Have it end at once; it is answered with `why`: cancelled or memory."""
        self._alarm.ring(why)

    def close(self) -> None:
        """Let go of its transaction."""
        if self._reader is not None:
            self._reader.close()
        self._cursor.close()

    def answer(self) -> Answer | QueryRefused:
        """Return the whole answer."""
        began = time.perf_counter()
        try:
            with self._alarm.watching(self._limits.timeout_ms / 1000):
                found = self._begin() or self._read_all()
            if isinstance(found, QueryRefused):
                return found
            stream = whole_stream(found, self._described)
        except _COMPLAINTS as error:
            return self._complaint(error)
        return Answer(stream, found.num_rows, time.perf_counter() - began, self._sequence)

    def next_chunk(self, rows: int) -> Chunk | QueryRefused:
        """Return the next chunk, of at most `rows` rows; the last one may have none."""
        left = self._end - time.monotonic()
        seconds = min(self._limits.timeout_ms / 1000, left)
        if seconds <= 0:
            return self._refused("timeout")
        try:
            with self._alarm.watching(seconds):
                refusal = self._begin() if self._reader is None else None
                if refusal is not None:
                    return refusal
                table, is_last = self._read_chunk(min(rows, self._limits.chunk_rows))
                stream = self._chunker.stream(table)
        except _COMPLAINTS as error:
            return self._complaint(error)
        self._rows += table.num_rows
        if self._rows > self._limits.stream_rows:
            value = f"more than {self._limits.stream_rows}"
            return QueryRefused("rows", "answer", value, "narrow it by time or instrument")
        self._chunks += 1
        return Chunk(stream, table.num_rows, self._chunks - 1, self._sequence, is_last)

    def _begin(self) -> QueryRefused | None:
        """Read the statement, and begin it if it may run."""
        letters_max = self._limits.text_letters
        if len(self._sql) > letters_max:
            remedy = f"send at most {letters_max} letters"
            return QueryRefused("too_long", "sql", f"{len(self._sql)} letters", remedy)
        if self._alarm.why:
            return self._refused(self._alarm.why)
        cursor = self._cursor
        if self._viewer is not None:
            cursor.execute("set variable viewer = $1", [self._viewer])
            cursor.execute("use firm")
        tables = self._service.check.read(cursor, self._sql, self._viewer)
        if isinstance(tables, QueryRefused):
            return tables
        self._tables = tables
        cursor.execute("begin transaction read only")
        ((self._sequence,),) = cursor.execute("select sequence from base.watermark").fetchall()
        given = self._parameters
        given = dict(given) if isinstance(given, Mapping) else list(given)
        relation = cursor.sql(self._sql, params=given) if given else cursor.sql(self._sql)
        if any(_KEYLESS_MAP in str(kind) for kind in relation.types):
            remedy = "give its keys a type, as in map{}::map(varchar, bigint)"
            return QueryRefused("construct", "answer", "a map whose keys have no type", remedy)
        self._reader = relation.to_arrow_reader(_BATCH_ROWS)
        self._batches = iter(self._reader)
        return None

    def _read_all(self) -> pa.Table | QueryRefused:
        """Take the rows as they come, so that no more is made of an answer than may be sent."""
        assert self._reader is not None, "it has begun"
        batches: list[pa.RecordBatch] = []
        rows = size = 0
        for batch in self._batches:
            batches.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
            if rows > self._limits.rows:
                remedy = "add a limit, group the rows, or read it in chunks"
                return QueryRefused("rows", "answer", f"more than {self._limits.rows}", remedy)
            if size > self._limits.answer_bytes:
                remedy = "add a limit, name fewer columns, or read it in chunks"
                value = f"more than {self._limits.answer_bytes}"
                return QueryRefused("bytes", "answer", value, remedy)
        return pa.Table.from_batches(batches, self._reader.schema)

    def _read_chunk(self, rows_max: int) -> tuple[pa.Table, bool]:
        """Take the rows of one chunk, and tell whether it is the last."""
        assert self._reader is not None, "it has begun"
        batches: list[pa.RecordBatch] = []
        rows = size = 0
        is_last = False
        while rows < rows_max and size < self._limits.chunk_bytes:
            batch = self._left if self._left is not None else next(self._batches, None)
            self._left = None
            if batch is None:
                is_last = True
                break
            if rows + batch.num_rows > rows_max:
                self._left = batch.slice(rows_max - rows)
                batch = batch.slice(0, rows_max - rows)
            batches.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
        return pa.Table.from_batches(batches, self._reader.schema), is_last

    def _described(self, schema: pa.Schema) -> pa.Schema:
        return described(schema, self._tables, self._service.meanings)

    def _complaint(self, error: Exception) -> QueryRefused:
        """Return what DuckDB says of a statement; a TypeError is of what is no value of its own."""
        if self._alarm.why and not isinstance(error, RecursionError):
            return self._refused(self._alarm.why)
        if isinstance(error, duckdb.OutOfMemoryException | MemoryError) or _NO_MEMORY in str(error):
            return self._refused("memory")
        if isinstance(error, RecursionError):
            return NESTED
        return QueryRefused("sql", "sql", str(error)[:_COMPLAINT_LETTERS], "correct the statement")

    def _refused(self, why: str) -> QueryRefused:
        """Return the refusal of a question that was stopped."""
        if why == "timeout":
            is_old = time.monotonic() >= self._end
            limit_ms = self._limits.stream_ms if is_old else self._limits.timeout_ms
            return QueryRefused(why, "sql", f"{limit_ms} ms", "ask for less, narrowed by time or instrument")
        if why == "memory":
            remedy = "ask for less at once, or group it more coarsely"
            return QueryRefused(why, "sql", "needs more memory than there is", remedy)
        return QueryRefused(why, "sql", "was not wanted any more", "ask again")
