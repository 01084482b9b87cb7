"""The exchange, seen from a member's side. The rest is loaded on need.

`connect_sync` opens a session for one thread, `connect` one for an event loop: the same calls, awaited.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exchange.client.answers import Account, Fill, Order
    from exchange.client.asynchronous import AsyncExchange, connect
    from exchange.client.errors import (
        AccessDenied,
        BadInput,
        ConnectionLost,
        ExchangeError,
        FillsMissed,
        MissingLibrary,
        OrderRejected,
        OutcomeUnknown,
        ProfileError,
        ProtocolBroken,
        ReaderTooSlow,
        RequestRefused,
        SessionEnded,
        Timeout,
        TradesMissed,
        UnknownName,
        UpdatesMissed,
    )
    from exchange.client.marketviews import Bar, Book, BookLevel, Trade
    from exchange.client.money import yuan
    from exchange.client.subsidy import Preview
    from exchange.client.sync import SyncExchange, connect_sync
    from exchange.client.tables import Table
    from exchange.client.tickets import Instrument, OrderTicket
    from exchange.client.wire import Options
    from exchange.profiles import Endpoints, Profile, load_profile, write_profile
    from matching.vocabulary import OrderState, OrderType, Side, TimeInForce

__all__ = [
    "AccessDenied",
    "Account",
    "AsyncExchange",
    "BadInput",
    "Bar",
    "Book",
    "BookLevel",
    "ConnectionLost",
    "Endpoints",
    "ExchangeError",
    "Fill",
    "FillsMissed",
    "Instrument",
    "MissingLibrary",
    "Options",
    "Order",
    "OrderRejected",
    "OrderState",
    "OrderTicket",
    "OrderType",
    "OutcomeUnknown",
    "Preview",
    "Profile",
    "ProfileError",
    "ProtocolBroken",
    "ReaderTooSlow",
    "RequestRefused",
    "SessionEnded",
    "Side",
    "SyncExchange",
    "Table",
    "TimeInForce",
    "Timeout",
    "Trade",
    "TradesMissed",
    "UnknownName",
    "UpdatesMissed",
    "connect",
    "connect_sync",
    "load_profile",
    "write_profile",
    "yuan",
]

_HOMES = {
    "exchange.client.answers": ("Account", "Fill", "Order"),
    "exchange.client.asynchronous": ("AsyncExchange", "connect"),
    "exchange.client.marketviews": ("Bar", "Book", "BookLevel", "Trade"),
    "exchange.client.money": ("yuan",),
    "exchange.client.subsidy": ("Preview",),
    "exchange.client.sync": ("SyncExchange", "connect_sync"),
    "exchange.client.tables": ("Table",),
    "exchange.client.tickets": ("Instrument", "OrderTicket"),
    "exchange.client.wire": ("Options",),
    "exchange.profiles": ("Endpoints", "Profile", "load_profile", "write_profile"),
    "matching.vocabulary": ("OrderState", "OrderType", "Side", "TimeInForce"),
}
"""Where the public names stand; what is not named here is an error of the client's."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        message = f"module 'exchange' has no attribute {name!r}"
        raise AttributeError(message)
    home = next((home for home, names in _HOMES.items() if name in names), "exchange.client.errors")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
