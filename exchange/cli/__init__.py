"""The command `bourse`: a thin face over the client, the venue and its log."""

from __future__ import annotations

from exchange.cli import analyst, bench, firm, log, matching, operator, phases  # noqa: F401  each adds its commands
from exchange.cli.base import bourse, main

__all__ = ["bourse", "main"]
