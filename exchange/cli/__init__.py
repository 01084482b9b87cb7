"""The command `bourse`: a thin face over the client, the venue and its log."""

from __future__ import annotations

from exchange.cli import (  # noqa: F401  each adds its commands
    analyst,
    bench,
    firm,
    firm_money,
    log,
    matching,
    operator,
    phases,
    programmes,
    provider,
    report,
    settle,
    venue_money,
)
from exchange.cli.base import bourse, main

__all__ = ["bourse", "main"]
