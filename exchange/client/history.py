"""History, asked of the venue's settlement side: SQL, bars and trades, as tables in Arrow's format."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from exchange.client.errors import (
    AccessDenied,
    BadInput,
    ExchangeError,
    MissingLibrary,
    ProtocolBroken,
    access_denied,
)
from exchange.client.refusals import refusal_of
from exchange.client.requests import Asked, Said
from exchange.protocol.messages import (
    MESSAGE,
    QUERY_ANSWERS,
    Query,
    QueryResult,
    Refused,
    encode,
)

if TYPE_CHECKING:
    import polars

Parameter: TypeAlias = str | int | float | date | None
"""What may be bound to a `?` of a statement; a date or time is bound as text, in UTC."""

Moment: TypeAlias = str | date
"""A point in time: ISO text, a day, or a datetime. What names no zone is in UTC, a day its midnight."""

