"""Statements of SQL that the client writes for its caller; every value in them is bound."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple, TypeAlias

from exchange.client.errors import BadInput

Parameter: TypeAlias = str | int | float | date | None
"""What is bound to a `?` of a statement; a day or a time is bound as text, in UTC."""

Moment: TypeAlias = str | date
"""A point in time: ISO text, a day or a datetime. What names no zone is in UTC, a day is its midnight."""


class Statement(NamedTuple):
    """A statement that reads, and the values bound to it."""

    sql: str
    parameters: tuple[str | int | float | None, ...]


_BARS = "select * from bars_1m where instrument = ?"
_TRADES = "select * from trades where instrument = ?"
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

ROWS_MAX = 2**62
"""A limit that limits nothing."""


def bars_of(symbol: str, interval: str, start: Moment | None = None, end: Moment | None = None) -> Statement:
    """Return the statement for an instrument's bars that begin from `start` on and before `end`."""
    if interval != "1m":
        raise BadInput(
            f"there are no bars of {interval!r}",
            field="interval",
            value=interval,
            remedy="take '1m', or group bars_1m with time_bucket in ex.history.sql",
        )
    from_on, before = " and start >= cast(? as timestamp)", " and start < cast(? as timestamp)"
    return _within(_BARS, symbol, (from_on, start), (before, end), " order by start")


def trades_of(symbol: str, start: Moment | None = None, end: Moment | None = None) -> Statement:
    """Return the statement for an instrument's trades from `start` on and before `end`."""
    from_on, before = " and time >= cast(? as timestamp)", " and time < cast(? as timestamp)"
    return _within(_TRADES, symbol, (from_on, start), (before, end), " order by trade")


def fills_of(member: str, since: int, limit: int | None) -> Statement:
    """Return the statement for a member's fills of sequence `since` and later, the newest `limit`."""
    return Statement(_FILLS, (member, since, ROWS_MAX if limit is None else limit))


def own_fills_of(member: str, since: int, through: int, after: int, limit: int) -> Statement:
    """Return the statement for `limit` of a member's fills of some sequences, with their client ids.

    They are of sequences from `since` up to `through`, and follow the fill numbered `after`.
    """
    return Statement(_OWN_FILLS, (member, since, through, after, limit))


def _within(
    select: str,
    symbol: str,
    start: tuple[str, Moment | None],
    end: tuple[str, Moment | None],
    order: str,
) -> Statement:
    """Put a statement together from fixed clauses; every value is bound."""
    clauses = [select]
    parameters = [symbol]
    for field, (clause, moment) in (("start", start), ("end", end)):
        if moment is not None:
            clauses.append(clause)
            parameters.append(moment_text(moment, field))
    return Statement("".join([*clauses, order]), tuple(parameters))


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


def bound(parameters: Sequence[Parameter]) -> tuple[str | int | float | None, ...]:
    """Return parameters as the protocol carries them. Raises `BadInput` for any other type."""
    values: list[str | int | float | None] = []
    for at, value in enumerate(parameters, start=1):
        match value:
            case date():
                values.append(moment_text(value, f"parameter {at}"))
            case bool():
                values.append(int(value))
            case None | str() | int() | float():
                values.append(value)
            case _:
                raise BadInput(
                    f"parameter {at} is a {type(value).__name__}",
                    field="parameters",
                    value=value,
                    remedy="bind text, numbers, days and times, or None",
                )
    return tuple(values)
