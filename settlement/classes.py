"""The classes by which a programme's rates are told apart: firm size, kind, domestic, filed."""

from __future__ import annotations

from matching.vocabulary import Size

KINDS = ("model", "agent", "compute")
"""The kinds of instrument, in the order of their numbers."""

RATES = len(Size) * len(KINDS) * 2 * 2
"""How many rates a programme's table holds."""


def rate_index(size: int, kind: int, domestic: int, filed: int) -> int:
    """Return where a rate table keeps the rate of this class of firm and instrument."""
    return ((size * len(KINDS) + kind) * 2 + domestic) * 2 + filed
