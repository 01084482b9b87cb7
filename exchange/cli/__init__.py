"""The command `bourse`: a thin face over the client, the venue and its log."""

from __future__ import annotations

from exchange.cli import (  # noqa: F401  each adds its commands
    analyst,
    bench,
    certify,
    firm,
    firm_money,
    keys,
    log,
    matching,
    members,
    operator,
    phases,
    programmes,
    provider,
    report,
    settings,
    settle,
    status,
    venue_money,
)
from exchange.cli.base import bourse, main

__all__ = ["bourse", "main"]
