"""The exchange, seen from a member's side. `connect_sync` opens a session; the rest is loaded on need."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exchange.client import connect_sync as connect_sync

__all__ = ["connect_sync"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from exchange import client

        return getattr(client, name)
    message = f"module 'exchange' has no attribute {name!r}"
    raise AttributeError(message)
