"""The columns of random tapes: picking rows, overwriting a few, and the values at each field's edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matching.vocabulary import PRICE_MAX, QUANTITY_MAX

Generator = np.random.Generator

INT32, INT64 = np.iinfo(np.int32), np.iinfo(np.int64)
EXTREMES = (0, -1, INT64.min, INT64.max)
PRICE_EDGES = (*EXTREMES, PRICE_MAX, PRICE_MAX + 1)
QUANTITY_EDGES = (*EXTREMES, QUANTITY_MAX, QUANTITY_MAX + 1)
NO_INSTRUMENT = (-2, 10_000, INT32.min, INT32.max)


def some(rng: Generator, count: int, share: float | np.ndarray) -> np.ndarray:
    """Return a mask of `count` rows that picks about this share of them, or each by its own chance."""
    return rng.random(count) < share


def overwrite(
    rng: Generator, field: np.ndarray, share: float | np.ndarray, values: Sequence[int] | np.ndarray
) -> None:
    """Overwrite a share of a field: with the row's own of an array of values, else with any."""
    rows = np.flatnonzero(some(rng, len(field), share))
    if isinstance(values, np.ndarray):
        field[rows] = values[rows]
    else:
        field[rows] = rng.choice(values, len(rows))
