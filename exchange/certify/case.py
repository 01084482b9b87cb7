"""A case: what is required, by which rule, and how it is played; and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from exchange.certify.scene import Scene

Group = Literal["logon", "orders", "disconnect", "throttle", "recovery"]

RULES = "docs/manual/sessions.md"
"""The page that every rule stands on."""


class Case(NamedTuple):
    """One thing that a client and a venue owe each other.

    `rule` is the beginning of the line on the page of `RULES` that says so. A case that `needs_venue` works
    on the venue's processes and settings too, and is played on a venue of one's own alone.
    """

    name: str
    group: Group
    required: str
    rule: str
    play: Callable[[Scene], None]
    needs_venue: bool = False


class Result(NamedTuple):
    """What came of a case: `passed`, `failed` or `not played`, and why."""

    case: Case
    outcome: Literal["passed", "failed", "not played"]
    why: str = ""
