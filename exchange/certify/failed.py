"""How a case fails: with what was seen instead of what is required."""

from __future__ import annotations


class Failed(Exception):
    """A case was not kept; its text says what was seen instead."""


def must(holds: object, seen: str) -> None:
    """Raise `Failed` unless it holds; `seen` says what was seen instead."""
    if not holds:
        raise Failed(seen)
