"""A member's statement: what it had of each asset, every movement, and what it has at the end.

`statement(client, start, end)` asks the venue; `print_statement` and `statement_facts` show it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from exchange.cli.base import grouped, print_table

if TYPE_CHECKING:
    from exchange.client.sync import SyncExchange

_MONEY = "money"

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


def statement(client: SyncExchange, start: date | None = None, end: date | None = None) -> Statement:
    """Return the statement of the client's own accounts from the day `start` through the day `end`.

    All of it is of one sequence. Raises as `client.history.sql` does.
    """
    first = _midnight(start or _BEGINNING)
    behind = _midnight((end or _END) + timedelta(days=1))
    parameters = (client.member, first, client.member, first, behind)
    rows = client.history.sql(_MOVEMENTS, parameters).rows()
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
    return Statement(client.member, start, end, tuple(accounts))


def statement_facts(made: Statement) -> dict[str, object]:
    """Return a statement as JSON: money in hao, credits in lots."""
    return {
        "member": made.member,
        "from": made.start,
        "through": made.end,
        "accounts": [
            {**one._asdict(), "movements": [movement._asdict() for movement in one.movements]}
            for one in made.accounts
        ],
    }


def print_statement(made: Statement) -> None:
    """Print a statement, a table an account; money in yuan, times the venue's."""
    span = f"{made.start or 'the beginning'} through {made.end or 'now'}"
    for one in made.accounts:
        unit = "yuan" if one.asset == _MONEY else "lots"
        print_table(
            f"{made.member}, {one.asset}, {one.account} ({unit}), {span}",
            ("time", "entry", "reason", "trade", "amount", "balance"),
            _lines(one),
        )


def _lines(one: AccountStatement) -> list[tuple[object, ...]]:
    """Return the lines of one account, the balance behind each movement."""

    def words(amount: int) -> str:
        return grouped(amount) if one.asset == _MONEY else f"{amount:,}"

    balance = one.opening
    lines: list[tuple[object, ...]] = [("", "", "opening", "", "", words(balance))]
    for movement in one.movements:
        balance += movement.amount
        time, entry, reason, trade, amount = movement
        lines.append((venue_time(time), entry, reason, trade or "", words(amount), words(balance)))
    return [*lines, ("", "", "closing", "", "", words(one.closing))]


def venue_time(time: datetime) -> str:
    """Return a time in UTC, as the store has it, as the venue's clock showed it, to the second.

    >>> venue_time(datetime(2026, 11, 22, 16, 30))
    '2026-11-23 00:30:00'
    """
    from settlement.terms import VENUE_ZONE

    return f"{time.replace(tzinfo=UTC).astimezone(VENUE_ZONE):%Y-%m-%d %H:%M:%S}"


def _midnight(day: date) -> datetime:
    """Return when a day begins at the venue."""
    from settlement.terms import VENUE_ZONE

    return datetime(day.year, day.month, day.day, tzinfo=VENUE_ZONE)
