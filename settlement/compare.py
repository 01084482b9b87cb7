"""Whether two stores say the same: the rebuilt store equals the lost one, table by table."""

from __future__ import annotations

import duckdb

from settlement.store import Store, describe, statement


def differences(store_a: Store, store_b: Store) -> list[str]:
    """Return in words where two stores differ, a line a table; nothing if they are equal.

    All rows of all public views are compared, repeated rows counted, their order left aside. First
    each store sums up each view by itself, in constant memory; only where the sums differ are the
    rows laid side by side, to name the first that one store has and the other has not.
    """
    columns_a, columns_b = _columns(store_a), _columns(store_b)
    found = []
    for table in sorted(columns_a.keys() | columns_b.keys()):
        if columns_a.get(table) != columns_b.get(table):
            found.append(f"{table}: the columns differ")
        elif _sum(store_a, table, columns_a[table]) != _sum(store_b, table, columns_a[table]):
            found.append(f"{table}: {_first_difference(store_a, store_b, table)}")
    return found


def _columns(store: Store) -> dict[str, list[str]]:
    """Return the columns of each public view, quoted, for a view's column is called order."""
    columns: dict[str, list[str]] = {}
    for row in describe(store):
        columns.setdefault(row.table, []).append(f'"{row.column}"')
    return columns


def _sum(store: Store, table: str, columns: list[str]) -> tuple[object, ...]:
    """Return the count of a view's rows and the sum of their hashes, of 64 bits, in any order."""
    query = f"select count(*), sum(hash({', '.join(columns)})::hugeint) from {table}"  # noqa: S608
    (row,) = store.cursor().execute(query).fetchall()
    return tuple(row)


def _first_difference(store_a: Store, store_b: Store, table: str) -> str:
    """Return how many rows one store has and the other has not, and the first of them."""
    cursor = store_a.cursor()
    try:
        cursor.register("there", store_b.cursor().sql(f"from {table}").to_arrow_table())
        cursor.execute(f"create temp view here as from {table}")
        parts = []
        for name, query in (("first", "compare_here"), ("second", "compare_there")):
            for count, *row in cursor.execute(statement(query)).fetchall():
                columns = [column[0] for column in cursor.description or ()][1:]
                example = ", ".join(f"{c} {v}" for c, v in zip(columns, row, strict=True))
                parts.append(f"{count} rows only in the {name} store, the first with {example}")
    except duckdb.OutOfMemoryException:
        return "the rows differ, and are too many to lay side by side"
    finally:
        cursor.close()
    return "; ".join(parts)
