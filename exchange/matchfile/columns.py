"""Columns of a table of commands as arrays of numbers; what is wrong is told with its row and column."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    CommandKind,
    OrderType,
    Phase,
    SelfTrade,
    Side,
    TimeInForce,
)

Column = Any
"""An array of Arrow's, which ships no types."""

UNKNOWN_PHASE = 255
"""What a blank phase is: no phase, which the book refuses."""

NO_ENTRY = -1
"""The place of a blank cell's word in a dictionary of words: none."""


class BadTable(Exception):
    """A table that cannot be taken; the message names the file, the row, the column and the remedy."""


class Words(NamedTuple):
    """What a column of words may say: the code of each, and the code of a blank cell."""

    codes: dict[str, int]
    blank: int


def words_of(codes: Iterable[IntEnum]) -> dict[str, int]:
    """Return the code of each word."""
    return {code.name.lower(): code.value for code in codes}


KINDS = (
    CommandKind.NEW,
    CommandKind.CANCEL,
    CommandKind.REDUCE,
    CommandKind.REPLACE,
    CommandKind.MASS_CANCEL,
    CommandKind.PHASE,
)

WORDS = {
    "kind": Words(words_of(KINDS), CommandKind.NEW),
    "side": Words(words_of(Side), BOTH_SIDES),
    "type": Words(words_of(OrderType), OrderType.LIMIT),
    "time_in_force": Words(words_of(TimeInForce), TimeInForce.GTC),
    "post_only": Words({"true": 1, "false": 0, "1": 1, "0": 0, "True": 1, "False": 0}, 0),
    "self_trade": Words(words_of(SelfTrade), SelfTrade.NONE),
    "phase": Words(words_of(Phase), UNKNOWN_PHASE),
}
"""The columns of words. Data frames write `True` into a CSV, so that is taken too."""

NAMES = ("instrument", "member", "group")
"""The columns of text."""

WHOLE_NUMBERS = (
    "order",
    "price",
    "quantity",
    "display_quantity",
    "minimum_quantity",
    "stop_price",
    "trail",
    "time",
    "expires_at",
)
"""The columns of whole numbers; a blank cell is 0."""

COLUMNS = ("kind", *NAMES, *(name for name in WORDS if name != "kind"), *WHOLE_NUMBERS)
"""Every column that a table of commands may have."""


class Parties:
    """Numbers for members and groups, dense, in the order in which their names turn up.

    Members and groups share one set of names: who names no group is a group of their own name.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """Return the number of a name; a new name gets the next one."""
        return self._numbers.setdefault(name, len(self._numbers))


class Rows:
    """Some rows of a table: each column as an array of numbers, of one row a command."""

    def __init__(self, batch: Column, file: str, before: int) -> None:
        """Take an Arrow record batch of `file`, its text as `string`, behind `before` other rows."""
        self._batch = batch
        self._file = file
        self._before = before

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    def __contains__(self, name: str) -> bool:
        return name in self._batch.schema.names

    def whole_numbers(self, name: str) -> np.ndarray:
        """Return a column of whole numbers; 0 where a cell is blank."""
        column, types = self._column(name), pa.types
        if not (types.is_integer(column.type) or types.is_string(column.type) or types.is_null(column.type)):
            raise self._type_fault(name, column, "whole numbers (in a data frame: Int64, which knows blanks)")
        try:
            numbers = column.cast(pa.int64())
        except pa.ArrowInvalid as error:
            at = _first_that_fails(column)
            raise self.fault(at, name, _told_of_number(column[at].as_py())) from error
        if types.is_string(column.type):  # Arrow reads 0x10 as 16; nobody means it here
            is_hexadecimal = pc.match_substring(column, "x", ignore_case=True)
            if pc.any(is_hexadecimal).as_py():
                at = pc.index(is_hexadecimal, value=True).as_py()
                raise self.fault(at, name, _told_of_number(column[at].as_py()))
        return numbers.fill_null(0).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]

    def codes(self, name: str, words: Words) -> np.ndarray:
        """Return the codes of a column of words."""
        encoded = self.text(name).dictionary_encode()
        said = encoded.dictionary.to_pylist()
        unknown = [at for at, word in enumerate(said) if word not in words.codes]
        if unknown:
            at = int(np.flatnonzero(np.isin(_indices(encoded, NO_ENTRY), unknown))[0])
            raise self.fault(at, name, _told_of_word(self.text(name)[at].as_py(), words))
        return _looked_up(encoded, [words.codes[word] for word in said], words.blank)

    def parties(self, name: str, parties: Parties) -> np.ndarray:
        """Return the numbers of a column of members or groups; `EVERY` where a cell is blank."""
        encoded = self.text(name).dictionary_encode()
        return _looked_up(encoded, [parties.number(said) for said in encoded.dictionary.to_pylist()], EVERY)

    def text(self, name: str) -> Column:
        """Return a column as Arrow's text; whole numbers are written out."""
        column, types = self._column(name), pa.types
        if types.is_string(column.type):
            return column
        if not (types.is_integer(column.type) or types.is_boolean(column.type) or types.is_null(column.type)):
            raise self._type_fault(name, column, "text or whole numbers")
        return column.cast(pa.string())

    def fault(self, at: int, name: str, told: str) -> BadTable:
        """Return what is wrong with the cell in row `at` of these."""
        return BadTable(f"{self._file}: row {self._before + at + 1}, column {name}: {told}")

    def _type_fault(self, name: str, column: Column, wanted: str) -> BadTable:
        """Return what is wrong with a column's type, told of its first cell that is not blank."""
        at = int(np.argmax(column.is_valid().to_numpy(zero_copy_only=False)))
        return self.fault(at, name, f"{column[at].as_py()!r} is of type {column.type}; write {wanted}")

    def _column(self, name: str) -> Column:
        """Return a column as it came; one without any value has no type."""
        column = self._batch.column(name)
        return pa.nulls(len(column)) if column.null_count == len(column) else column


def _indices(encoded: Column, blank: int) -> np.ndarray:
    """Return each row's place in the dictionary, `blank` for a blank cell."""
    return encoded.indices.fill_null(blank).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _looked_up(encoded: Column, numbers: list[int], blank: int) -> np.ndarray:
    """Return for each row the number of its entry in the dictionary, `blank` for a blank cell."""
    found: np.ndarray = np.array([*numbers, blank], np.int32)[_indices(encoded, len(numbers))]
    return found


def _is_castable(column: Column) -> bool:
    try:
        column.cast(pa.int64())
    except pa.ArrowInvalid:
        return False
    return True


def _first_that_fails(column: Column) -> int:
    """Return the first row that is not a whole number of 64 bits, by halves."""
    start, end = 0, len(column)
    while end - start > 1:
        middle = (start + end) // 2
        if _is_castable(column[start:middle]):
            start = middle
        else:
            end = middle
    return start


def _told_of_number(value: object) -> str:
    if re.fullmatch(r"-?[0-9]+", str(value)):
        return (
            f"{value!r} does not fit into 64 bits; write a whole number of at most {np.iinfo(np.int64).max}"
        )
    return f"{value!r} is not a whole number; prices are in hao, quantities in lots, times in nanoseconds"


def _told_of_word(value: str, words: Words) -> str:
    told = f"{value!r} is not one of {', '.join(words.codes)}"
    return told + ("; write it in lower case" if value.lower() in words.codes else "")
