"""Statements of SQL that the client writes for its caller; every value in them is bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple, TypeAlias

from exchange.client.errors import BadInput
from exchange.protocol.query_messages import Bindable

Parameter: TypeAlias = str | int | float | date | None
"""What is bound to a `?` of a statement; a day or a time is bound as text, in UTC."""

Moment: TypeAlias = str | date
"""A point in time: ISO text, a day or a datetime. What names no zone is in UTC, a day is its midnight."""


class Statement(NamedTuple):
    """A statement that reads, and the values bound to it."""

    sql: str
    parameters: tuple[Bindable, ...] | dict[str, Bindable]


Parameters: TypeAlias = Sequence[Parameter] | Mapping[str, Parameter]
"""What stands for each `?` or `$1` of a statement, or by its name for each `$name`."""

_TABLES_OF_BARS = {
    "1s": "select * from bars_1s",
    "1m": "select * from bars_1m",
    "5m": "select * from bars_5m",
    "1h": "select * from bars_1h",
    "1d": "select * from bars_1d",
}
"""The bars that are kept, by how long each lasts; a day is the venue's."""
_FILLS = """
select * from (
    select * from executions where member = ? and sequence >= ? order by execution desc limit ?
) order by execution
"""

_OWN_FILLS = """
select
    x.execution, x."order", o.client_id, x.instrument, x.side, x.trade, x.price, x.quantity, x.subsidy,
    x.fee, x.maker, x.sequence, epoch_us(x.time) as time_us
from executions as x
left join orders as o on o."order" = x."order"
where x.member = ? and x.sequence between ? and ? and x.execution > ?
order by x.execution
limit ?
"""

_TRADES_TOLD = """
select
    trade, sequence, epoch_us(time) as time_us, price, quantity, subsidy, taker_side,
    programme is not null as subsidised
from trades
where instrument = ? and trade > ? and sequence > ? and sequence <= ? and epoch_us(time) >= ?
order by trade
limit ?
"""

_BARS_TOLD = """
select epoch_us(start) as start_us, open, high, low, close, volume, amount, trades, subsidised_volume
from bars_1m
where instrument = ? and start >= cast(? as timestamp) and epoch_us(start) < ?
order by start
limit ?
"""

FIRST_TIME = "0001-01-01 00:00:00"
"""A time before all others, as the store's SQL reads it."""

ROWS_MAX = 2**62
"""A limit that limits nothing."""


def bars_of(
    symbol: str | None, interval: str, start: Moment | None = None, end: Moment | None = None
) -> Statement:
    """Return the statement for bars, of an instrument or of all, that begin from `start` on and before `end`.

    Raises `BadInput` for bars of another length than are kept.
    """
    select = _TABLES_OF_BARS.get(interval)
    if select is None:
        raise BadInput(
            f"there are no bars of {interval!r}",
            field="interval",
            value=interval,
            remedy=f"take one of {', '.join(_TABLES_OF_BARS)}, or group trades with time_bucket in SQL",
        )
    return _within(select, {"instrument": symbol}, Range("start", start, end), "start")


def trades_of(symbol: str | None, start: Moment | None = None, end: Moment | None = None) -> Statement:
    """Return the statement for the trades, of an instrument or of all, from `start` on and before `end`."""
    return _within("select * from trades", {"instrument": symbol}, Range("time", start, end), "trade")


def quotes_of(symbol: str | None, start: Moment | None = None, end: Moment | None = None) -> Statement:
    """Return the statement for the top of an instrument's book at the ends of minutes in a range."""
    return _within("select * from quotes_1m", {"instrument": symbol}, Range("start", start, end), "start")


def fixings_of(symbol: str | None, start: Moment | None = None, end: Moment | None = None) -> Statement:
    """Return the statement for the fixings of the venue's days from `start` on and before `end`."""
    where = {"instrument": symbol}
    return _within("select * from fixings", where, Range("day", start, end), "day, instrument")


def index_of(tier: str | None, start: Moment | None = None, end: Moment | None = None) -> Statement:
    """Return the statement for a tier's index, or all, on the days from `start` on and before `end`."""
    return _within("select * from tier_index", {"tier": tier}, Range("day", start, end), "day, tier")


def events_of(symbol: str | None) -> Statement:
    """Return the statement for what became of an instrument, or of all."""
    select = "select * from instrument_events"
    return _within(select, {"instrument": symbol}, Range("time", None, None), "sequence, instrument")


def all_trades_of(symbol: str | None, start: Moment | None = None, end: Moment | None = None) -> Statement:
    """Return the statement for trades as the store has them, which is in their order.

    To sort ten million would take more memory than a query has.
    """
    return _within("select * from trades", {"instrument": symbol}, Range("time", start, end))


def orders_of(symbol: str | None, start: Moment | None = None, end: Moment | None = None) -> Statement:
    """Return the statement for the orders, for an instrument or all, entered in a range; unsorted."""
    return _within("select * from orders", {"instrument": symbol}, Range("time", start, end))


def postings_of(symbol: str | None, start: Moment | None = None, end: Moment | None = None) -> Statement:
    """Return the statement for the postings, of an instrument's credits or all; unsorted."""
    return _within("select * from postings", {"asset": symbol}, Range("time", start, end))


def check_interval(interval: str) -> None:
    """Raise `BadInput` for bars that are not told live."""
    if interval != "1m":
        raise BadInput(
            f"there are no bars of {interval!r}",
            field="interval",
            value=interval,
            remedy="take '1m', or ask history for 1s, 5m, 1h and 1d",
        )


def bars_told(symbol: str, since: Moment | None, before_us: int, limit: int) -> Statement:
    """Return the statement for `limit` bars that begin from `since` on and before some µs since 1970."""
    from_on = FIRST_TIME if since is None else moment_text(since, "since")
    return Statement(_BARS_TOLD, (symbol, from_on, before_us, limit))


def trades_told(symbol: str, last: int, after: int, through: int, from_us: int, limit: int) -> Statement:
    """Return the statement for `limit` trades as the feed tells them.

    They are numbered above `last`, of sequences above `after` and up to `through`, and of times from some
    µs since 1970 on.
    """
    return Statement(_TRADES_TOLD, (symbol, last, after, through, from_us, limit))


def fills_of(member: str, since: int, limit: int | None) -> Statement:
    """Return the statement for a member's fills of sequence `since` and later, the newest `limit`."""
    return Statement(_FILLS, (member, since, ROWS_MAX if limit is None else limit))


def own_fills_of(member: str, since: int, through: int, after: int, limit: int) -> Statement:
    """Return the statement for `limit` of a member's fills of some sequences, with their client ids.

    They are of sequences from `since` up to `through`, and follow the fill numbered `after`.
    """
    return Statement(_OWN_FILLS, (member, since, through, after, limit))


class Range(NamedTuple):
    """The values of one column from a start on and before an end."""

    column: str
    start: Moment | None
    end: Moment | None


def _within(select: str, equal: Mapping[str, str | None], within: Range, order: str = "") -> Statement:
    """Put a statement together from fixed clauses; every value is bound."""
    clauses: list[str] = []
    parameters: list[Bindable] = []
    for column, value in equal.items():
        if value is not None:
            clauses.append(f"{column} = ?")
            parameters.append(value)
    for field, sign, moment in (("start", ">=", within.start), ("end", "<", within.end)):
        if moment is not None:
            clauses.append(f"{within.column} {sign} cast(? as timestamp)")
            parameters.append(moment_text(moment, field))
    where = f" where {' and '.join(clauses)}" if clauses else ""
    ordered = f" order by {order}" if order else ""
    return Statement(f"{select}{where}{ordered}", tuple(parameters))


def moment_text(moment: Moment, field: str) -> str:
    """Return a moment as the store's SQL reads it: UTC, without a zone. Raises `BadInput`.

    >>> moment_text("2026-11-01T08:00+08:00", "start"), moment_text(date(2026, 11, 1), "start")
    ('2026-11-01 00:00:00', '2026-11-01 00:00:00')
    """
    match moment:
        case str():
            try:
                at = datetime.fromisoformat(moment)
            except ValueError as error:
                raise BadInput(
                    f"{field} {moment!r} is no point in time",
                    field=field,
                    value=moment,
                    remedy="write it as 2026-11-01 or 2026-11-01T09:30:00+08:00",
                ) from error
        case datetime():
            at = moment
        case date():
            at = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        case _:
            raise BadInput(
                f"{field} {moment!r} is no point in time",
                field=field,
                value=moment,
                remedy="give ISO text, a date or a datetime",
            )
    in_utc = at.astimezone(UTC) if at.tzinfo else at
    return in_utc.replace(tzinfo=None).isoformat(sep=" ")


def bound(parameters: Parameters) -> tuple[Bindable, ...] | dict[str, Bindable]:
    """Return parameters as the protocol carries them. Raises `BadInput` for any other type."""
    if isinstance(parameters, Mapping):
        return {name: _bindable(f"parameter {name}", value) for name, value in parameters.items()}
    return tuple(_bindable(f"parameter {at}", value) for at, value in enumerate(parameters, start=1))


def _bindable(which: str, value: Parameter) -> Bindable:
    match value:
        case date():
            return moment_text(value, which)
        case bool():
            return int(value)
        case None | str() | int() | float():
            return value
        case _:
            raise BadInput(
                f"{which} is a {type(value).__name__}",
                field="parameters",
                value=value,
                remedy="bind text, numbers, days and times, or None",
            )
