"""The engine's whole state, and where a batch writes what happens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from exchange.memory import Memory
from matching.layout import Book
from settlement.layout import Ledger


class Core(NamedTuple):
    """The engine's whole state.

    `form` is the one row in which a command is put to the book, `draft` and `grant` those in which an
    order's stake, and what a programme does for it, are worked out before anything is held.
    """

    book: Book
    ledger: Ledger
    memory: Memory
    form: np.ndarray
    draft: np.ndarray
    grant: np.ndarray


class Output(NamedTuple):
    """Where a batch writes: what happened, and beside each row what it means in money."""

    events: np.ndarray
    effects: np.ndarray
