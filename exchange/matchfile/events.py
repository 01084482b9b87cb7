"""What has happened, and what rests at the end, as tables in words, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from exchange.matchfile.commands import format_of
from matching.layout import Book
from matching.view import orders_of
from matching.vocabulary import BOTH_SIDES, NO_SLOT, EventKind, Phase, RejectReason, Side

EVENT_TABLE = pa.schema(
    [
        ("sequence", pa.int64()),
        ("kind", pa.string()),
        ("instrument", pa.string()),
        ("order", pa.int64()),
        ("maker_order", pa.int64()),
        ("side", pa.string()),
        ("price", pa.int64()),
        ("quantity", pa.int64()),
        ("leaves", pa.int64()),
        ("reason", pa.string()),
    ]
)
"""The columns of a table of events. `sequence` is the command's row, from 1."""

BOOK_TABLE = pa.schema(
    [
        ("instrument", pa.string()),
        ("side", pa.string()),
        ("price", pa.int64()),
        ("order", pa.int64()),
        ("quantity", pa.int64()),
    ]
)
"""The columns of a table of what rests; `quantity` is all that is open, hidden lots too."""

_CODES = 256
_CSV_ROWS = 16_384
_NEEDS_QUOTES = frozenset('",\r\n')


def _word_table(codes: Iterable[IntEnum]) -> Any:  # noqa: ANN401  an array of Arrow's
    """Return the word of each code of one byte; null where a code means nothing."""
    words: list[str | None] = [None] * _CODES
    for code in codes:
        words[code.value] = code.name.lower()
    return pa.array(words, pa.string())


_KINDS = _word_table(EventKind)
_SIDES = _word_table(Side)
_PHASES = _word_table(Phase)
_REASONS = _word_table(reason for reason in RejectReason if reason)


def event_rows(events: np.ndarray, before: int, instruments: Sequence[str]) -> Any:  # noqa: ANN401  Arrow's
    """Return events (dtype `matching.EVENT`) of a batch as an Arrow record batch.

    `before` is how many commands came before the batch. A field that says nothing is null, also the price
    of an auction that would trade nothing, and the side that has more where neither has. Of a market whose
    phase has changed, `reason` tells the phase: no collar is set here, so nothing else changes one.
    """
    is_phase = events["kind"] == EventKind.PHASE_CHANGED
    is_indicative = events["kind"] == EventKind.INDICATIVE
    has_no_side = is_phase | (is_indicative & (events["leaves"] == 0))
    columns = [
        events["command"].astype(np.int64) + (before + 1),
        _KINDS.take(pa.array(events["kind"])),
        _names(instruments).take(_known(events["instrument"], NO_SLOT)),
        _known(events["order"], 0),
        _known(events["maker_order"], 0),
        _SIDES.take(pa.array(np.where(has_no_side, BOTH_SIDES, events["side"]))),
        pa.array(events["price"], mask=is_indicative & (events["price"] == 0)),
        *(np.ascontiguousarray(events[name]) for name in ("quantity", "leaves")),
        pc.if_else(
            pa.array(is_phase),
            _PHASES.take(pa.array(events["phase"])),
            _REASONS.take(pa.array(events["reason"])),
        ),
    ]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=EVENT_TABLE)


def book_table(book: Book, instruments: Sequence[str]) -> Any:  # noqa: ANN401  Arrow's
    """Return what rests as an Arrow table: instrument by instrument, bids, asks, each in priority.

    A book that is crossed, in a call, is told as it stands.
    """
    batches = []
    for (instrument, name), side in product(enumerate(instruments), Side):
        orders = orders_of(book, instrument, side)
        columns = [
            pa.repeat(pa.scalar(name or None, pa.string()), len(orders)),
            pa.repeat(side.name.lower(), len(orders)),
            *(pa.array(np.ascontiguousarray(orders[field])) for field in ("price", "id", "leaves")),
        ]
        batches.append(pa.RecordBatch.from_arrays(columns, schema=BOOK_TABLE))
    return pa.Table.from_batches(batches, schema=BOOK_TABLE)


def _names(instruments: Sequence[str]) -> Any:  # noqa: ANN401  an array of Arrow's
    """Return the instruments' names; null for the one without a name."""
    return pa.array([name or None for name in instruments], pa.string())


def _known(values: np.ndarray, blank: int) -> Any:  # noqa: ANN401  an array of Arrow's
    return pa.array(values, mask=values == blank)


@contextmanager
def table_writer(path: Path, schema: Any, instruments: Sequence[str]) -> Iterator[Any]:  # noqa: ANN401  Arrow's
    """Yield an Arrow writer of tables. The file is there when all went well, else as it was."""
    with written_whole(path) as file, _writer(file, format_of(path), schema, instruments) as writer:
        yield writer


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write: it is at `path` when all went well, else what was there before is."""
    aside = path.with_name(path.name + ".part")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _writer(file: BinaryIO, suffix: str, schema: Any, instruments: Sequence[str]) -> Any:  # noqa: ANN401  Arrow's
    if suffix == ".parquet":
        return pyarrow.parquet.ParquetWriter(file, schema)
    # Arrow quotes every text or none, and only an instrument's name can need it.
    quoting = "needed" if any(_NEEDS_QUOTES & set(name) for name in instruments) else "none"
    options = pyarrow.csv.WriteOptions(batch_size=_CSV_ROWS, quoting_style=quoting, quoting_header="none")
    return pyarrow.csv.CSVWriter(file, schema, write_options=options)
