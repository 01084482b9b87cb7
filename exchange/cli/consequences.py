"""What a dry run has found, as one operator would tell another: a fact a line."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import click
import msgspec

from exchange.cli.base import EXIT_REFUSED, grouped, print_json
from exchange.protocol.rehearsals import (
    MONEY_NAME,
    AccountChange,
    Budget,
    BudgetChange,
    Change,
    OrdersEnded,
    Rehearsal,
    Released,
    TradesCaused,
    Verdict,
)

NAMES_SHOWN = 8
"""How many names a line has; --json has all."""

_HAO = ("notional_max", "turnover_max", "reference", "list_price")
"""What of the settings is money, in hao."""

_ACCOUNTS = {
    "available": "available",
    "held": "held by orders",
    "restricted": "restricted",
    "redeeming": "being redeemed",
    "debt": "owed to programmes",
}


def tell_rehearsal(told: Rehearsal, *, as_json: bool) -> None:
    """Print what acts would bring about; leave with `EXIT_REFUSED` if the venue would refuse one."""
    if as_json:
        print_json({**msgspec.to_builtins(told), "is_done": told.is_done})
    else:
        for line in lines_of(told):
            click.echo(line)
    if not told.is_done:
        sys.exit(EXIT_REFUSED)


def lines_of(told: Rehearsal) -> Iterator[str]:
    """Yield a rehearsal line by line; money in yuan."""
    yield f"a dry run as of sequence {told.sequence}: nothing is done"
    for verdict in told.verdicts:
        yield from _verdict_lines(verdict)
    facts = [*_facts(told)]
    if not facts and any(verdict.is_done for verdict in told.verdicts):
        yield "no order, no money and no phase would change"
    yield from facts


def _facts(told: Rehearsal) -> Iterator[str]:
    if told.listed:
        yield f"listed: {_names(told.listed)}"
    if told.admitted:
        yield f"admitted: {_names(told.admitted)}"
    yield from _changes("state", told.states)
    yield from _changes("phase", told.phases)
    yield from _ended("cancelled", told.cancelled)
    yield from _ended("expired", told.expired)
    yield from _released(told.released)
    yield from map(_trades_line, told.trades)
    yield from map(_budget_line, told.programmes)
    yield from map(_account_line, told.members or told.accounts)
    for debt in told.debts:
        yield f"debt of {debt.member} to {debt.programme}: {_signed(grouped(debt.amount))} yuan"
    yield from map(_setting_line, told.settings)


def _verdict_lines(verdict: Verdict) -> Iterator[str]:
    if verdict.is_done:
        yield f"{verdict.act}: would be done" + (
            f", once {verdict.approver} or another operator approves it" if verdict.approver else ""
        )
        return
    blamed = f" for its {verdict.field}" if verdict.field else ""
    blamed += f" {verdict.value!r}" if verdict.value else ""
    yield f"{verdict.act}: would be refused{blamed} ({verdict.reason}): {verdict.remedy}"


def _names(names: Sequence[str]) -> str:
    shown = " ".join(names[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown


def _changes(what: str, changes: Sequence[Change]) -> Iterator[str]:
    """Yield changes of one kind, those that are alike on one line."""
    alike: dict[tuple[int | str, int | str], list[str]] = {}
    for change in changes:
        alike.setdefault((change.before, change.after), []).append(change.subject)
    for (before, after), subjects in alike.items():
        count = f"{len(subjects):,} instruments, " if len(subjects) > 1 else ""
        yield f"{what} {before or 'none'} -> {after}: {count}{_names(subjects)}"


def _ended(how: str, ended: OrdersEnded) -> Iterator[str]:
    if ended.orders:
        yield (
            f"orders {how}: {ended.orders:,} with {ended.lots:,} lots, "
            f"in {_names(ended.instruments)}, of {_names(ended.members)}"
        )


def _released(released: Released) -> Iterator[str]:
    if released.money:
        yield f"released from orders: {grouped(released.money)} yuan"
    for symbol, lots in released.credits.items():
        yield f"released from orders: {lots:,} lots of {symbol}"


def _trades_line(traded: TradesCaused) -> str:
    price = grouped(traded.lowest)
    if traded.highest != traded.lowest:
        price = f"{price} to {grouped(traded.highest)}"
    return (
        f"trades in {traded.instrument}: {traded.trades:,} of {traded.lots:,} lots at {price}, "
        f"for {grouped(traded.amount)} yuan"
    )


def _budget_line(change: BudgetChange) -> str:
    if change.before is None:
        return f"programme {change.programme}: new, with a budget of {grouped(change.after.budget)} yuan"
    names = [
        name
        for name in Budget.__struct_fields__
        if getattr(change.before, name) != getattr(change.after, name)
    ]
    moves = ", ".join(
        f"{name} {grouped(getattr(change.before, name))} -> {grouped(getattr(change.after, name))}"
        for name in names
    )
    return f"programme {change.programme}: {moves}"


def _account_line(change: AccountChange) -> str:
    whose = change.member or "all members together"
    account = _ACCOUNTS[change.account]
    if change.asset == MONEY_NAME:
        return f"{whose}: {_signed(grouped(change.amount))} yuan {account}"
    return f"{whose}: {change.amount:+,} lots of {change.asset} {account}"


def _setting_line(change: Change) -> str:
    before, after = (_value(change.field, one) for one in (change.before, change.after))
    return f"{change.subject}: {change.field.replace('_', ' ')} {before} -> {after}"


def _value(field: str, value: int | str) -> str:
    if isinstance(value, str):
        return value or "none"
    return f"{grouped(value)} yuan" if field in _HAO else f"{value:,}"


def _signed(amount: str) -> str:
    return amount if amount.startswith("-") else f"+{amount}"
