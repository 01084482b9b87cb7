"""The analyst's SQL: one statement in, an Arrow stream out, and nothing else touched.

Three walls, because each alone has a hole. The store's settings bar files, extensions and settings,
but leave the database's own files to be read by `read_blob` and written by `copy`. A read-only
transaction bars changes, but not `copy`, `attach` or `checkpoint()`. So the statement is read before
it runs: DuckDB's own parse tree must hold nothing but queries over the public tables, and functions
that only compute. A firm's statement finds other tables under the same names: its own rows, and the
public history without members and order numbers.

What cannot be barred here is memory that a single value takes (`replace` of long texts, say): that
wants a process of its own with a limit set by the operating system.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from settlement.store import Store, describe, statement

Parameters = Sequence[object] | Mapping[str, object]
"""What stands for $1, $2 ... or for $name."""

Tree = Mapping[str, Any]
"""A node of DuckDB's parse tree, as it writes it in JSON."""

Path = tuple[str, ...]
"""A name with what stands before its dots, in lower case."""

_BATCH_ROWS = 16_384
_COMPLAINT_LETTERS = 1000
_INTERRUPT_AGAIN_S = 0.05

_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"})
_SOURCES = frozenset({"EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "SUBQUERY"})
_MODIFIERS = frozenset(
    {
        "DISTINCT_MODIFIER",
        "LIMIT_MODIFIER",
        "LIMIT_PERCENT_MODIFIER",
        "ORDER_MODIFIER",
        "ORDER_DEFAULT",
        "ASCENDING",
        "DESCENDING",
    }
)
_CONSTRUCTS = _NODES | _SOURCES | _MODIFIERS
"""What a statement may be made of beside expressions, tables and table functions."""

_CATALOGUE = {("information_schema", "columns"), ("information_schema", "tables")}
_TABLE_FUNCTIONS = frozenset(
    {"duckdb_columns", "duckdb_functions", "duckdb_views", "generate_series", "range", "unnest"}
)

_EXPLAIN = re.compile(r"\s*explain(\s+analyze)?(\s*\(\s*format\s+\w+\s*\))?\s+", re.IGNORECASE)


class QueryLimits(msgspec.Struct, frozen=True):
    """What one question may take: of its text, of its answer, and of time."""

    text_letters: int = 65_536
    rows: int = 1_000_000
    answer_bytes: int = 64 * 1024 * 1024
    timeout_ms: int = 10_000


class Answer(msgspec.Struct, frozen=True):
    """The rows asked for, as an Arrow IPC stream, and the sequence up to which they are true."""

    arrow_ipc_stream: bytes
    rows: int
    seconds: float
    sequence: int


class QueryRefused(msgspec.Struct, frozen=True):
    """Why there is no answer: a code for programs, what was wrong, and what to do instead.

    Codes: too_long, one_statement, statement, table, function, construct (none of these ran); sql
    (DuckDB's own complaint), timeout, memory, rows, bytes.
    """

    code: str
    field: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.code}: {self.field} {self.value}; {self.remedy}"


_DEPTH_MAX = 500
"""How deep a parse tree may go: about 250 expressions within one another. Interpreters stop at other
depths, or overflow; the limit is ours, so that it is the same everywhere."""

_NESTED = QueryRefused("sql", "sql", "nested too deeply", "break it into with-clauses")


class QueryService:
    """Answers questions about a store, each on a connection of its own.

    `answer` may be called in another thread than the one that writes, and in several at once.
    """

    def __init__(self, store: Store, limits: QueryLimits | None = None) -> None:
        """Learn the public tables and the functions that may be called."""
        self._limits = limits or QueryLimits()
        self._store = store
        names = {column.table for column in describe(store)}
        self._firm_tables = frozenset({(name,) for name in names} | _CATALOGUE)
        self._tables = self._firm_tables | {("main", name) for name in names}
        functions = store.cursor().execute(statement("query_functions")).fetchall()
        self._functions = frozenset(name for (name,) in functions)

    def answer(
        self, sql: str, parameters: Parameters = (), viewer: str | None = None
    ) -> Answer | QueryRefused:
        """Return the rows of one query, true at one sequence, or why there are none.

        `viewer` is the firm that asks, and sees no other member's rows; None sees everything.
        """
        began = time.perf_counter()
        if len(sql) > self._limits.text_letters:
            remedy = f"send at most {self._limits.text_letters} letters"
            return QueryRefused("too_long", "sql", f"{len(sql)} letters", remedy)
        cursor = self._store.cursor()
        try:
            with _deadline(cursor, self._limits.timeout_ms):
                if viewer is not None:
                    cursor.execute("set variable viewer = $1", [viewer])
                    cursor.execute("use firm")
                found = self._refusal(cursor, sql, viewer) or self._run(cursor, sql, parameters)
        except (duckdb.Error, TypeError, RecursionError) as error:
            return self._complaint(error)
        finally:
            cursor.close()
        if isinstance(found, QueryRefused):
            return found
        table, sequence = found
        stream = _ipc_stream(table)
        return Answer(stream, table.num_rows, time.perf_counter() - began, sequence)

    def _complaint(self, error: Exception) -> QueryRefused:
        """Return what DuckDB says of a statement; a TypeError is of what is no value of its own."""
        if isinstance(error, duckdb.InterruptException):
            remedy = "ask for less, narrowed by time or instrument"
            return QueryRefused("timeout", "sql", f"{self._limits.timeout_ms} ms", remedy)
        if isinstance(error, duckdb.OutOfMemoryException):
            remedy = "ask for less at once, or group it more coarsely"
            return QueryRefused("memory", "sql", "needs more memory than there is", remedy)
        if isinstance(error, RecursionError):
            return _NESTED
        return QueryRefused("sql", "sql", str(error)[:_COMPLAINT_LETTERS], "correct the statement")

    def _run(
        self, cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Parameters
    ) -> tuple[pa.Table, int] | QueryRefused:
        cursor.execute("begin transaction read only")
        ((sequence,),) = cursor.execute("select sequence from base.watermark").fetchall()
        given = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
        relation = cursor.sql(sql, params=given) if given else cursor.sql(sql)
        with relation.to_arrow_reader(_BATCH_ROWS) as reader:
            table = self._read(reader)
        return table if isinstance(table, QueryRefused) else (table, sequence)

    def _read(self, reader: pa.RecordBatchReader) -> pa.Table | QueryRefused:
        """Take the rows as they come, so that no more is made of an answer than may be sent."""
        batches: list[pa.RecordBatch] = []
        rows = size = 0
        for batch in reader:
            batches.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
            if rows > self._limits.rows:
                remedy = "add a limit, or group the rows"
                return QueryRefused("rows", "answer", f"more than {self._limits.rows}", remedy)
            if size > self._limits.answer_bytes:
                remedy = "add a limit, or name fewer columns"
                value = f"more than {self._limits.answer_bytes}"
                return QueryRefused("bytes", "answer", value, remedy)
        return pa.Table.from_batches(batches, reader.schema)

    def _refusal(
        self, cursor: duckdb.DuckDBPyConnection, sql: str, viewer: str | None
    ) -> QueryRefused | None:
        """Return why a statement may not run, or None; nothing of it is run to find out."""
        statements = cursor.extract_statements(sql)
        if len(statements) != 1:
            count = f"{len(statements)} statements"
            return QueryRefused("one_statement", "sql", count, "send exactly one statement")
        kind, text = statements[0].type, statements[0].query
        explain = _EXPLAIN.match(text) if viewer is None else None  # It counts others' rows too.
        if kind == duckdb.StatementType.EXPLAIN and explain:
            text = text[explain.end() :]
        elif kind == duckdb.StatementType.MULTI:
            remedy = "name the values of pivot: on column in (...)"
            return QueryRefused("statement", "sql", "a pivot over unnamed values", remedy)
        elif kind != duckdb.StatementType.SELECT:
            return _not_a_query(kind.name)
        (tree,) = cursor.execute(statement("parse"), [text]).fetchall()[0]
        parsed = msgspec.json.decode(tree)
        if parsed["error"]:
            return _not_a_query(f"{kind.name}: {parsed['error_message']}")
        tables = self._tables if viewer is None else self._firm_tables
        return self._fault(parsed["statements"], tables)

    def _fault(self, tree: object, tables: frozenset[Path]) -> QueryRefused | None:
        """Return the first thing that a parse tree may not hold, if any.

        A with-clause is in sight of those after it and of the query that they stand before, and of
        itself only if it is recursive; elsewhere the same name would mean a table.
        """
        waiting = [(tree, tables, 0)]
        while waiting:
            node, named, depth = waiting.pop()
            if depth > _DEPTH_MAX:
                return _NESTED
            if isinstance(node, list):
                waiting.extend((part, named, depth + 1) for part in node)
            elif isinstance(node, dict):
                fault = self._node_fault(node, named)
                if fault:
                    return fault
                for name, body in _with_clauses(node):
                    recursive = body.get("type") == "RECURSIVE_CTE_NODE"
                    waiting.append((body, named | {(name,)} if recursive else named, depth + 1))
                    named |= {(name,)}
                waiting.extend((part, named, depth + 1) for part in _parts(node))
        return None

    def _node_fault(self, node: Tree, named: frozenset[Path]) -> QueryRefused | None:
        kind = node.get("type")
        if "class" in node:
            return self._function_fault(node)
        if kind == "BASE_TABLE":
            return _table_fault(node, named)
        if kind == "SHOW_REF":
            return _table_fault(node, named | {(), ('"tables"',)})
        if kind == "TABLE_FUNCTION":
            path = _path(node["function"])
            if len(path) > 1 or path[0] not in _TABLE_FUNCTIONS:
                remedy = f"use one of {', '.join(sorted(_TABLE_FUNCTIONS))}"
                return QueryRefused("function", "from", ".".join(path), remedy)
        elif isinstance(kind, str) and kind not in _CONSTRUCTS:
            return QueryRefused("construct", "sql", kind.lower(), "send a plain query")
        return None

    def _function_fault(self, node: Tree) -> QueryRefused | None:
        if node["class"] not in ("FUNCTION", "WINDOW") or _path(node)[-1] in self._functions:
            return None
        remedy = "use a function that only computes, or do it with the answer"
        return QueryRefused("function", "select", ".".join(_path(node)), remedy)


def _table_fault(node: Tree, allowed: frozenset[Path]) -> QueryRefused | None:
    path = _path(node)
    if path in allowed:
        return None
    remedy = "name one of those that `show tables` lists"
    return QueryRefused("table", "from", ".".join(path), remedy)


def _path(node: Tree) -> Path:
    """Return the name that a node of the tree bears, with what stands before its dots."""
    return tuple(_folded(part) for part in node["qualified_name"].get("path", []))


def _folded(name: str) -> str:
    """Return a name as DuckDB compares it: the case of letters beyond ASCII counts."""
    return name.lower() if name.isascii() else name


def _parts(node: Tree) -> Iterator[object]:
    """Yield what is inside a node, without its with-clauses; of a table function, its arguments."""
    if node.get("type") == "TABLE_FUNCTION":
        yield node["function"].get("arguments")
    else:
        yield from (part for key, part in node.items() if key != "cte_map")


def _not_a_query(value: str) -> QueryRefused:
    remedy = "send a query: select, with, describe, summarize, show tables or explain"
    return QueryRefused("statement", "sql", value.lower(), remedy)


def _with_clauses(tree: Tree) -> Iterator[tuple[str, Any]]:
    """Yield the with-clauses of a query node, in their order: each sees those before it."""
    for entry in tree.get("cte_map", {}).get("map", []):
        yield _folded(entry["key"]), entry["value"]["query_node"]


@contextmanager
def _deadline(cursor: duckdb.DuckDBPyConnection, timeout_ms: int) -> Iterator[None]:
    """Interrupt whatever the cursor does once the time is over, again and again until it stops.

    Once is not enough: an interrupt that falls between two statements is forgotten.
    """
    done = Event()

    def watch() -> None:
        wait_s = timeout_ms / 1000
        while not done.wait(wait_s):
            cursor.interrupt()
            wait_s = _INTERRUPT_AGAIN_S

    watcher = Thread(target=watch, name="query deadline", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _ipc_stream(table: pa.Table) -> bytes:
    """Return an Arrow IPC stream; sums of int64, which DuckDB widens, are int64 again."""
    for place, field in enumerate(table.schema):
        if field.type == pa.decimal128(38, 0):
            try:
                narrow = table.column(place).cast(pa.int64())
            except pa.ArrowInvalid:  # It does not fit: the reader gets the wide decimal.
                continue
            table = table.set_column(place, field.name, narrow)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream
