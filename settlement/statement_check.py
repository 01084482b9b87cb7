"""What a question may say: the statement is read before it runs, as DuckDB's own parse tree.

It must hold nothing but queries over the public tables, and functions that only compute.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import duckdb
import msgspec

from settlement.store import statement

Tree = Mapping[str, Any]
"""A node of DuckDB's parse tree, as it writes it in JSON."""

Path = tuple[str, ...]
"""A name with what stands before its dots, in lower case."""


class QueryRefused(msgspec.Struct, frozen=True):
    """Why there is no answer: a code for programs, what was wrong, and what to do instead.

    Codes: too_long, one_statement, statement, table, function, construct (none of these ran); sql
    (DuckDB's own complaint), timeout, memory, rows, bytes, cancelled, idle.
    """

    code: str
    field: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.code}: {self.field} {self.value}; {self.remedy}"


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

_DEPTH_MAX = 500
"""How deep a parse tree may go: about 250 expressions within one another. Interpreters stop at other
depths, or overflow; the limit is ours, so that it is the same everywhere."""

BRACKETS_MAX, WITHS_MAX = 100, 5
"""How many brackets, and how many with-clauses, may lie in one another."""

_OPENING, _CLOSING = (b"(", b"[", b"{"), (b")", b"]", b"}")

NESTED = QueryRefused("sql", "sql", "nested too deeply", "break it into with-clauses")


class StatementCheck:
    """Knows the public tables, and the functions that may be called."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> None:
        """Learn the functions from DuckDB itself."""
        names = set(tables)
        self._firm_tables = frozenset({(name,) for name in names} | _CATALOGUE)
        self._tables = self._firm_tables | {("main", name) for name in names}
        functions = cursor.execute(statement("query_functions")).fetchall()
        self._functions = frozenset(name for (name,) in functions)

    def read(
        self, cursor: duckdb.DuckDBPyConnection, sql: str, viewer: str | None
    ) -> frozenset[str] | QueryRefused:
        """Return the public tables that a statement names, or why it may not run.

        Nothing of it is run to find out. Raises what DuckDB complains of.
        """
        if is_nested_too_deeply(sql):
            return NESTED
        statements = cursor.extract_statements(sql)
        if len(statements) != 1:
            count = f"{len(statements)} statements"
            return QueryRefused("one_statement", "sql", count, "send exactly one statement")
        try:
            kind, text = statements[0].type, statements[0].query
        except ValueError:  # DuckDB's client does not know every kind that its parser does.
            return _not_a_query("a statement of another kind")
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
        used: set[str] = set()
        return self._fault(parsed["statements"], tables, used) or frozenset(used)

    def _fault(self, tree: object, tables: frozenset[Path], used: set[str]) -> QueryRefused | None:
        """Return the first thing that a parse tree may not hold, if any; note the tables that it names.

        A with-clause is in sight of those after it and of the query that they stand before, and of
        itself only if it is recursive; elsewhere the same name would mean a table.
        """
        waiting = [(tree, tables, 0)]
        while waiting:
            node, named, depth = waiting.pop()
            if depth > _DEPTH_MAX:
                return NESTED
            if isinstance(node, list):
                waiting.extend((part, named, depth + 1) for part in node)
            elif isinstance(node, dict):
                fault = self._node_fault(node, named)
                if fault:
                    return fault
                if node.get("type") in ("BASE_TABLE", "SHOW_REF"):
                    used.update(_path(node)[-1:])
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


def is_nested_too_deeply(sql: str) -> bool:
    """Tell whether a text nests deeper than DuckDB's parser can be trusted with.

    No alarm interrupts the parser, and it tries a text that is wrong in many ways: each `with` inside another
    took six times as long (8 of them: 2 s), and memory grew with the square of the brackets (4,000 of them:
    2.6 GB). DuckDB's own lexer tells strings and remarks apart, in a time that grows with the text alone.
    """
    data = sql.encode("utf-8", "surrogatepass")
    open_levels, withs = [False], 0
    for at, kind in duckdb.tokenize(sql):
        letter = data[at : at + 1]
        if kind == duckdb.token_type.keyword and data[at : at + 4].lower() == b"with" and not open_levels[-1]:
            open_levels[-1] = True
            withs += 1
        elif letter in _OPENING:
            open_levels.append(False)
        elif letter in _CLOSING and len(open_levels) > 1:
            withs -= open_levels.pop()
        if len(open_levels) > BRACKETS_MAX or withs > WITHS_MAX:
            return True
    return False


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
