"""The order book: integers in, integers out.

A market in three lines: a sell of 3 rests, a buy of 4 takes it, and what is left of the buy rests.

>>> import numpy as np
>>> from matching import COMMAND, EVENT, empty_book, match
>>> from matching.vocabulary import EventKind, Side
>>> commands = np.zeros(2, COMMAND)  # zero is the default of every field: new, limit, gtc, instrument 0
>>> commands["order"], commands["member"], commands["side"] = [1, 2], [7, 8], [Side.SELL, Side.BUY]
>>> commands["price"], commands["quantity"] = [101, 102], [3, 4]
>>> book, events = match(empty_book(instruments=1), commands)
>>> events.dtype == EVENT
True
>>> for event in events:
...     print(EventKind(event["kind"]).name, *(int(event[name]) for name in ("order", "price", "leaves")))
ACCEPTED 1 101 3
ACCEPTED 2 102 4
TRADED 2 101 1

The names are loaded on need: the words of `matching.vocabulary` must cost nobody a compiler.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matching.batch import match
    from matching.layout import COMMAND, EVENT, empty_book

__all__ = ["COMMAND", "EVENT", "empty_book", "match"]

_HOMES = {"COMMAND": "layout", "EVENT": "layout", "empty_book": "layout", "match": "batch"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module 'matching' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"matching.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
