"""The records of the order path as NumPy arrays: what the server and the engine read."""

from __future__ import annotations

import numpy as np

from exchange.protocol.records import COMMAND_FIELDS, REPORT_FIELDS, Field

_CODES: dict[str, tuple[str] | tuple[str, tuple[int]]] = {
    "B": ("u1",),
    "H": ("<u2",),
    "i": ("<i4",),
    "q": ("<i8",),
    "24s": ("<i8", (3,)),  # kernels know no text: three words of eight bytes
}


def dtype_of(fields: tuple[Field, ...]) -> np.dtype:
    """Return the NumPy reading of a record: packed, little-endian, the same bytes as `struct`'s."""
    return np.dtype([(name, *_CODES[code]) for name, code in fields])


COMMAND = dtype_of(COMMAND_FIELDS)
REPORT = dtype_of(REPORT_FIELDS)
