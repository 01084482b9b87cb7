"""Tables of commands as a test writes them, and tables of events as it reads them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from exchange.matchfile.commands import CommandFile


def written(folder: Path, text: str) -> Path:
    """Write the lines of `text`, without their blanks, as a CSV; return where."""
    path = folder / "commands.csv"
    path.write_text("".join(line.replace(" ", "") + "\n" for line in text.strip().splitlines()))
    return path


def as_parquet(path: Path) -> Path:
    """Write a CSV of commands again as Parquet: whole numbers as int64, the rest as text; return where."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {}
    for name in rows[0]:
        cells = [row[name] or None for row in rows]
        is_number = all(cell is None or cell.lstrip("-").isdigit() for cell in cells)
        columns[name] = pa.array([int(cell) if cell and is_number else cell for cell in cells])
    target = path.with_suffix(".parquet")
    pyarrow.parquet.write_table(pa.table(columns), target)
    return target


def parquet(folder: Path, **columns: object) -> Path:
    """Write columns as a Parquet file; return where."""
    path = folder / "commands.parquet"
    pyarrow.parquet.write_table(pa.table(columns), path)
    return path


def commands_in(path: Path) -> np.ndarray:
    """Return the commands of a file, all in one array."""
    file = CommandFile(path)
    file.survey()
    batches = list(file.batches())
    assert sum(map(len, batches)) == file.count
    return np.concatenate(batches)


def rows_of(path: Path) -> list[dict[str, object]]:
    """Return the rows of a table: whole numbers as such, None for blank."""
    if path.suffix == ".parquet":
        rows: list[dict[str, object]] = pyarrow.parquet.read_table(path).to_pylist()
        return rows
    with path.open(newline="") as file:
        return [{name: _value(cell) for name, cell in row.items()} for row in csv.DictReader(file)]


def _value(cell: str) -> object:
    if cell == "":
        return None
    return int(cell) if cell.lstrip("-").isdigit() else cell
