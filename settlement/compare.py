"""Whether two stores say the same: the rebuilt store equals the lost one, table by table."""

from __future__ import annotations

from typing import NamedTuple

import duckdb

from settlement.store import Store, describe, statement

SIDE_BY_SIDE_ROWS_MAX = 200_000
"""Most rows of a view that are laid side by side; of a larger one, those of the first piece that differs."""

CAUSES = ("trades", "orders", "postings", "subsidy_legs", "redemptions", "terms", "busts")
"""Views that others follow from: where these differ, it is told first."""

PIECE_COMMANDS = 10_000
"""How many commands such a piece has: at most ten postings or so come from each."""


class Summed(NamedTuple):
    """What a store says, summed up: the columns of each public view, and the count and hash of its rows."""

    columns: dict[str, list[str]]
    sums: dict[str, tuple[object, ...]]


def summed(store: Store) -> Summed:
    """Return a store summed up, in constant memory; nobody writes to the store meanwhile."""
    columns = _columns(store)
    return Summed(columns, {table: _sum(store, table, named) for table, named in columns.items()})


def differences(store_a: Store, store_b: Store, summed_a: Summed | None = None) -> list[str]:
    """Return in words where two stores differ, a line a table; nothing if they are equal.

    All rows of all public views are compared, repeated rows counted, their order left aside. First
    each store sums up each view by itself, in constant memory (`summed_a`: the first one has); only where the
    sums differ are the rows laid side by side, to name the first that one store has and the other has not.
    """
    columns_a, sums_a = summed_a or summed(store_a)
    columns_b, sums_b = summed(store_b)
    found = []
    for table in sorted(columns_a.keys() | columns_b.keys(), key=lambda name: (name not in CAUSES, name)):
        if columns_a.get(table) != columns_b.get(table):
            found.append(f"{table}: the columns differ")
        elif sums_a[table] != sums_b[table]:
            piece = _first_piece(store_a, store_b, table, columns_a[table])
            found.append(f"{table}: {_first_difference(store_a, store_b, table, piece)}")
    return found


def _first_piece(store_a: Store, store_b: Store, table: str, columns: list[str]) -> str:
    """Return which rows are laid side by side, as a condition: of a large view the first that differ."""
    counts = f"select count(*) from {table}"  # noqa: S608
    rows = max(store.cursor().execute(counts).fetchall()[0][0] for store in (store_a, store_b))
    if rows <= SIDE_BY_SIDE_ROWS_MAX or '"sequence"' not in columns:
        return "true"
    query = f"""
        select sequence // {PIECE_COMMANDS} as piece, count(*), sum(hash({", ".join(columns)})::hugeint)
        from {table} group by piece order by piece
    """  # noqa: S608
    pieces_a, pieces_b = (store.cursor().execute(query).fetchall() for store in (store_a, store_b))
    differing = [piece for piece, *_ in set(pieces_a) ^ set(pieces_b) if piece is not None]
    return f"sequence // {PIECE_COMMANDS} = {min(differing)}" if differing else "true"


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


def _first_difference(store_a: Store, store_b: Store, table: str, piece: str) -> str:
    """Return how many rows one store has and the other has not, and the first of them."""
    cursor = store_a.cursor()
    try:
        cursor.register("there", store_b.cursor().sql(f"from {table} where {piece}").to_arrow_table())
        cursor.execute(f"create temp view here as from {table} where {piece}")
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
