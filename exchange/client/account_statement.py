"""A member's statement: what it had of each asset, every movement, and what it has at the end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from exchange.client.desk import Desk
from exchange.client.flows import TIMEOUT_SECONDS, Flow
from exchange.client.queries import ask_as_of
from exchange.client.statements import Statement as Query
from exchange.client.statements import bound

_MOVEMENTS = """
select asset, account, null as time, null as entry, 'opening' as reason, null as trade, sum(amount) as amount
from postings
where member = ? and time < cast(? as timestamp)
group by asset, account
union all
select asset, account, time, entry, reason, trade, amount
from postings
where member = ? and time >= cast(? as timestamp) and time < cast(? as timestamp)
order by asset <> 'money', asset, account, entry nulls first
"""

_BEGINNING, _END = date(1970, 1, 1), date(9999, 12, 30)


class Movement(NamedTuple):
    """One posting to an account: hao of money or lots of credits, with the entry it belongs to."""

    time: datetime
    entry: int
    reason: str
    trade: int | None
    amount: int


class AccountStatement(NamedTuple):
    """One account of one asset; `closing` is `opening` and all movements."""

    asset: str
    account: str
    opening: int
    movements: tuple[Movement, ...]
    closing: int


class Statement(NamedTuple):
    """A member's accounts over some days of the venue, both included; None: from the first, to the last."""

    member: str
    start: date | None
    end: date | None
    accounts: tuple[AccountStatement, ...]


def statement(
    desk: Desk, start: date | None = None, end: date | None = None, timeout: float = TIMEOUT_SECONDS
) -> Flow[Statement]:
    """Return one's statement from the day `start` through the day `end`: money in hao, credits in lots.

    Without them from the first day, to the last. All of it is of one sequence, and of none before what this
    client has heard. Raises as `history.sql` does.
    """
    member = desk.queries.member()
    movements = movements_of(member, start, end)
    table = yield from ask_as_of(desk.queries, movements, desk.session.sequence, timeout)
    return statement_of(member, start, end, table.rows())


def movements_of(member: str, start: date | None, end: date | None) -> Query:
    """Return the query for a member's movements, behind the balances before them."""
    first = _midnight(start or _BEGINNING)
    behind = _midnight((end or _END) + timedelta(days=1))
    return Query(_MOVEMENTS, bound((member, first, member, first, behind)))


def statement_of(
    member: str, start: date | None, end: date | None, rows: Iterable[dict[str, Any]]
) -> Statement:
    """Return the statement that the rows of `movements_of` tell."""
    accounts = []
    for (asset, account), lines in groupby(rows, key=itemgetter("asset", "account")):
        opening = 0
        movements = []
        for line in lines:
            if line["entry"] is None:
                opening = int(line["amount"])
            else:
                movements.append(Movement(*(line[field] for field in Movement._fields)))
        closing = opening + sum(movement.amount for movement in movements)
        if movements or opening:
            accounts.append(AccountStatement(asset, account, opening, tuple(movements), closing))
    return Statement(member, start, end, tuple(accounts))


def _midnight(day: date) -> datetime:
    """Return when a day begins at the venue."""
    from settlement.terms import VENUE_ZONE

    return datetime(day.year, day.month, day.day, tzinfo=VENUE_ZONE)
