"""What a query brings back, as Arrow, a data frame or plain rows."""

from __future__ import annotations

import os
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from exchange.client.errors import MissingLibrary
from exchange.protocol.query_messages import QueryResult

if TYPE_CHECKING:
    import polars


ROWS_SHOWN = 10
"""How many rows a notebook shows."""


class Table:
    """The result of a query, as of the journal's `sequence`; the venue took `seconds` for it.

    It is kept as an Arrow IPC stream (`arrow`) until it is wanted as something else.
    """

    __slots__ = ("_rows", "arrow", "seconds", "sequence")

    def __init__(self, result: QueryResult) -> None:
        self.arrow = result.arrow
        self.sequence = result.sequence
        self.seconds = result.seconds
        self._rows = result.rows

    def __len__(self) -> int:
        return self._rows

    def __repr__(self) -> str:
        return f"<Table of {len(self)} rows as of sequence {self.sequence}>"

    def _repr_html_(self) -> str:
        """Return its first rows for a notebook, with the units below the names."""
        table = self.to_arrow()
        units = self.units
        heads = "".join(
            f"<th>{escape(name)}<br><small>{escape(units.get(name, ''))}</small></th>"
            for name in table.schema.names
        )
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(_shown(value))}</td>' for value in row.values())}</tr>"
            for row in table.slice(0, ROWS_SHOWN).to_pylist()
        )
        left = len(self) - ROWS_SHOWN
        more = f", {left:,} more" if left > 0 else ""
        told = f"{len(self):,} rows{more}, as of sequence {self.sequence}"
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table><p>{told}</p>"

    @property
    def units(self) -> dict[str, str]:
        """What columns are counted in, by name: hao, hao per lot, lots, UTC; yuan and yuan per lot.

        Columns of which the venue said nothing are left out. Raises `MissingLibrary` without pyarrow.
        """
        return {field.name: unit for field in self._stream().schema if (unit := _said(field, b"unit"))}

    @property
    def comments(self) -> dict[str, str]:
        """What columns mean, by name, where the venue said so; as `units`."""
        return {field.name: told for field in self._stream().schema if (told := _said(field, b"comment"))}

    def to_arrow(self) -> Any:  # noqa: ANN401  pyarrow ships no types
        """Return it as a `pyarrow.Table`. Raises `MissingLibrary` without pyarrow."""
        import_module_or_say("pyarrow", "tokenbourse[analyst]")
        from exchange.client.arrow_tables import plain

        return plain(self.as_sent())

    def as_sent(self) -> Any:  # noqa: ANN401  pyarrow ships no types
        """Return it as a `pyarrow.Table` as it came: of a chunk, words that recur are dictionaries.

        Raises `MissingLibrary` without pyarrow.
        """
        return self._stream().read_all()

    def _stream(self) -> Any:  # noqa: ANN401  pyarrow ships no types
        return import_module_or_say("pyarrow.ipc", "tokenbourse[analyst]").open_stream(self.arrow)

    def in_yuan(self) -> Table:
        """Return it with every column of hao in yuan: whole hao as decimals of four places, exactly.

        Averages, which are of binary fractions, stay so. Raises `BadInput` where the venue told of no column
        that it is of hao, `MissingLibrary` without pyarrow.
        """
        table = self.to_arrow()
        from exchange.client.arrow_tables import in_yuan, streamed

        return Table(QueryResult(0, self.sequence, len(self), self.seconds, streamed(in_yuan(table))))

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write it to a Parquet file, with units and meanings in its schema.

        Raises `MissingLibrary` without pyarrow, `OSError`.
        """
        table = self.to_arrow()
        import_module_or_say("pyarrow.parquet", "tokenbourse[analyst]").write_table(
            table, os.fspath(path), compression="zstd"
        )

    def to_polars(self) -> polars.DataFrame:
        """Return it as a data frame of polars. Raises `MissingLibrary` without polars or pyarrow."""
        try:
            import polars
        except ImportError as error:
            raise _missing("polars", "tokenbourse[analyst]") from error
        frame = polars.from_arrow(self.to_arrow())
        assert isinstance(frame, polars.DataFrame), "a table is no series"
        return frame

    def to_pandas(self) -> Any:  # noqa: ANN401  pandas is not among our dependencies
        """Return it as a data frame of pandas. Raises `MissingLibrary` without pandas or pyarrow."""
        import_module_or_say("pandas", "pandas")
        return self.to_arrow().to_pandas()

    def rows(self) -> list[dict[str, Any]]:
        """Return it as one dict a row. Raises `MissingLibrary` without pyarrow."""
        rows: list[dict[str, Any]] = self.to_arrow().to_pylist()
        return rows


def import_module_or_say(name: str, requirement: str) -> Any:  # noqa: ANN401  a module
    """Import a library that not everybody has. Raises `MissingLibrary` with what to install."""
    try:
        return import_module(name)
    except ImportError as error:
        raise _missing(name.partition(".")[0], requirement) from error


def _said(field: Any, key: bytes) -> str:  # noqa: ANN401  pyarrow ships no types
    """Return what a column's metadata say under a key; empty if nothing."""
    text: bytes = (field.metadata or {}).get(key, b"")
    return text.decode("utf-8")


def _shown(value: object) -> str:
    return "" if value is None else str(value)


def _missing(library: str, requirement: str) -> MissingLibrary:
    return MissingLibrary(
        f"{library} is not installed here",
        field="library",
        value=library,
        remedy=f"pip install '{requirement}'",
    )
