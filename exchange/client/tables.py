"""What a query brings back, as Arrow, a data frame or plain rows."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from exchange.client.errors import MissingLibrary
from exchange.protocol.messages import QueryResult

if TYPE_CHECKING:
    import polars


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

    def to_arrow(self) -> Any:  # noqa: ANN401  pyarrow ships no types
        """Return it as a `pyarrow.Table`. Raises `MissingLibrary` without pyarrow."""
        try:
            import pyarrow.ipc
        except ImportError as error:
            raise _missing("pyarrow", "tokenbourse[analyst]") from error
        return pyarrow.ipc.open_stream(self.arrow).read_all()

    def to_polars(self) -> polars.DataFrame:
        """Return it as a data frame of polars. Raises `MissingLibrary` without polars."""
        try:
            import polars
        except ImportError as error:
            raise _missing("polars", "tokenbourse[analyst]") from error
        return polars.read_ipc_stream(self.arrow)

    def to_pandas(self) -> Any:  # noqa: ANN401  pandas is not among our dependencies
        """Return it as a data frame of pandas. Raises `MissingLibrary` without pandas or pyarrow."""
        try:
            import_module("pandas")
        except ImportError as error:
            raise _missing("pandas", "pandas") from error
        return self.to_arrow().to_pandas()

    def rows(self) -> list[dict[str, Any]]:
        """Return it as one dict a row. Raises `MissingLibrary` without pyarrow."""
        rows: list[dict[str, Any]] = self.to_arrow().to_pylist()
        return rows


def _missing(library: str, requirement: str) -> MissingLibrary:
    return MissingLibrary(
        f"{library} is not installed here",
        field="library",
        value=library,
        remedy=f"pip install '{requirement}'",
    )
