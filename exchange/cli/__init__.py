"""The command `bourse`: a thin face over the client, the venue and its log."""

from __future__ import annotations

from exchange.cli import (  # noqa: F401  each adds its commands
    analyst,
    bench,
    certify,
    explaining,
    exporting,
    feed,
    firm,
    firm_money,
    importing,
    importing_tables,
    inspection,
    keys,
    listing,
    log,
    matching,
    members,
    operator,
    pasts,
    phases,
    programmes,
    provider,
    proving,
    replaying,
    report,
    settings,
    settle,
    simulate,
    status,
    venue_money,
    watching,
)
from exchange.cli.base import bourse, main

__all__ = ["bourse", "main"]
