"""What acts would bring about, in numbers: the answer to a dry run.

Money in hao, credits in lots. Members and instruments go by their names; money is the asset `money`.
"""

from __future__ import annotations

import msgspec

MONEY_NAME = "money"
"""What money is called where an instrument's symbol would name its credits."""

MEMBERS_TOLD_MAX = 20
"""Accounts are told member by member where at most so many members are concerned."""


class Verdict(msgspec.Struct, frozen=True):
    """Whether the venue would do an act. If not: the reason, the field and value at fault, and the remedy.

    `approver` is set for an act that takes two operators: it was rehearsed as approved by that one.
    """

    act: str
    is_done: bool
    approver: str = ""
    reason: str = ""
    field: str = ""
    value: str = ""
    remedy: str = ""


class OrdersEnded(msgspec.Struct, frozen=True):
    """Orders that would be cancelled, or expire: how many, the lots that they leave, where and whose."""

    orders: int = 0
    lots: int = 0
    instruments: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


class Released(msgspec.Struct, frozen=True):
    """What orders held and would hold no longer, without having paid or delivered it: hao, lots by symbol."""

    money: int = 0
    credits: dict[str, int] = {}


class TradesCaused(msgspec.Struct, frozen=True):
    """Trades in one instrument: how many, their lots, their amount in hao, prices in hao per lot."""

    instrument: str
    trades: int
    lots: int
    amount: int
    lowest: int
    highest: int


class Change(msgspec.Struct, frozen=True):
    """A word or a number that would change: whose, which, and from what to what. Blank: there is none."""

    subject: str
    field: str
    before: int | str
    after: int | str


class Budget(msgspec.Struct, frozen=True):
    """A programme's money in its four states, in hao, and the budget that they began as."""

    budget: int
    uncommitted: int
    reserved: int
    paid: int
    vested: int


class BudgetChange(msgspec.Struct, frozen=True):
    """A programme's budget before and after; before is None where the programme is new."""

    programme: str
    before: Budget | None
    after: Budget


class AccountChange(msgspec.Struct, frozen=True):
    """By how much one kind of account would change, of one asset: hao, or lots.

    `account` is `available`, `held`, `restricted`, `redeeming` or `debt`. A blank member stands for all
    members together, the venue itself left out.
    """

    member: str
    account: str
    asset: str
    amount: int


class DebtChange(msgspec.Struct, frozen=True):
    """By how much a member's debt to a programme would change, in hao."""

    member: str
    programme: str
    amount: int


class Rehearsal(msgspec.Struct, frozen=True):
    """What acts would bring about, were they the next commands after `sequence`.

    `time` is the moment that was assumed, in ns since 1970, `who` the operator. Of several acts the changes
    are told together; a refused one changes nothing. `phases` and `states` are by instrument; `settings` is
    what else would change: limits, keys, groups, collars, fees, capacities, proposals, the calendar.
    """

    sequence: int
    time: int
    who: str
    verdicts: tuple[Verdict, ...]
    cancelled: OrdersEnded = OrdersEnded()
    expired: OrdersEnded = OrdersEnded()
    released: Released = Released()
    trades: tuple[TradesCaused, ...] = ()
    phases: tuple[Change, ...] = ()
    states: tuple[Change, ...] = ()
    listed: tuple[str, ...] = ()
    admitted: tuple[str, ...] = ()
    programmes: tuple[BudgetChange, ...] = ()
    accounts: tuple[AccountChange, ...] = ()
    members: tuple[AccountChange, ...] = ()
    debts: tuple[DebtChange, ...] = ()
    settings: tuple[Change, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether the venue would do all of it."""
        return all(verdict.is_done for verdict in self.verdicts)
