"""A member's statement shown: what it had of each asset, every movement, and what it has at the end."""

from __future__ import annotations

from datetime import UTC, datetime

from exchange.cli.base import grouped, print_table
from exchange.client.account_statement import AccountStatement, Statement

_MONEY = "money"


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
            f"{made.member}, {one.asset}, {one.account} ({unit}), {span}, UTC+8",
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
