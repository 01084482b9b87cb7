"""Acts that move money and credits in, out and between members without a trade."""

from __future__ import annotations

from collections import Counter

from exchange.instruments import State
from exchange.money_decisions import MoneyDecision
from exchange.protocol.acts import Adjust, AdjustmentLine, Deposit, Issue, SetCapacity, Transfer, Withdraw
from exchange.standing import Issued
from matching.vocabulary import NO_SLOT, RejectReason
from settlement.layout import HOUSE, MONEY
from settlement.terms import AMOUNT_MAX

ISSUABLE: tuple[State, ...] = ("listed", "suspended")
"""The states in which credits are issued: later nobody could buy them, before there is nothing to issue."""


class TransferDecision(MoneyDecision):
    """An act by which money or credits come, go, or change hands without a trade."""

    def deposit(self, act: Deposit) -> RejectReason:
        """Add money that a member has paid in to what it may spend."""
        member = self.registry.member_numbers.get(act.member, HOUSE)
        if member == HOUSE:
            return self.refuse(RejectReason.UNKNOWN_MEMBER, act.member)
        if act.reference:
            if self.is_done(member, act):
                return RejectReason.NONE
            reason = self.reference_fault(member, act.reference)
            if reason != RejectReason.NONE:
                return reason
        if not 0 < act.amount <= AMOUNT_MAX or not self.may_bring_in(act.amount):
            return self.refuse(RejectReason.AMOUNT_OUT_OF_RANGE, act.amount)
        if act.reference:
            self.note_reference(member, act)
        self.money_of(member)["available"] += act.amount
        self.core.ledger.totals["brought_in"] += act.amount
        self.post("deposit", (member, "free", MONEY, act.amount), (HOUSE, "outside", MONEY, -act.amount))
        return RejectReason.NONE

    def withdraw(self, act: Withdraw) -> RejectReason:
        """Pay free money out to a member that owes nothing."""
        member = self.registry.member_numbers.get(act.member)
        if member is None:
            return self.refuse(RejectReason.UNKNOWN_MEMBER, act.member)
        if self.is_done(member, act):
            return RejectReason.NONE
        reason = self.reference_fault(member, act.reference)
        if reason != RejectReason.NONE:
            return reason
        money = self.money_of(member)
        if not 0 < act.amount <= AMOUNT_MAX:
            return self.refuse(RejectReason.AMOUNT_OUT_OF_RANGE, act.amount)
        if money["debt"] > 0:
            return self.refuse(RejectReason.PROGRAMME_DEBT, act.amount, int(money["debt"]))
        if money["available"] < act.amount:
            return self.refuse(RejectReason.MONEY_NOT_AVAILABLE, act.amount, int(money["available"]))
        self.note_reference(member, act)
        money["available"] -= act.amount
        self.core.ledger.totals["brought_in"] -= act.amount
        self.post("withdrawal", (member, "free", MONEY, -act.amount), (HOUSE, "outside", MONEY, act.amount))
        return RejectReason.NONE

    def transfer(self, act: Transfer) -> RejectReason:
        """Move free money or credits between two accounts of one owner."""
        registry = self.registry
        for name in (act.source, act.target):
            if name not in registry.member_numbers:
                return self.refuse(RejectReason.UNKNOWN_MEMBER, name)
        asset = self.asset_of(act.instrument)
        if asset == NO_SLOT:
            return self.refuse(RejectReason.UNKNOWN_INSTRUMENT, act.instrument)
        source, target = registry.member_numbers[act.source], registry.member_numbers[act.target]
        if self.is_done(source, act):
            return RejectReason.NONE
        reason = self.reference_fault(source, act.reference)
        if reason != RejectReason.NONE:
            return reason
        if source == target or registry.owner_of(source) != registry.owner_of(target):
            return self.refuse(
                RejectReason.ROLE_NOT_PERMITTED, f"{act.source}, {act.target}: not one owner's"
            )
        if not 0 < act.amount <= AMOUNT_MAX:
            return self.refuse(RejectReason.AMOUNT_OUT_OF_RANGE, act.amount)
        debt = int(self.money_of(source)["debt"])
        if debt > 0:
            return self.refuse(RejectReason.PROGRAMME_DEBT, act.amount, debt)
        if self.available(source, asset) < act.amount:
            return self.refuse(lacking(asset), act.amount, self.available(source, asset))
        self.note_reference(source, act)
        self.move("transfer", [(source, asset, -act.amount), (target, asset, act.amount)])
        return RejectReason.NONE

    def adjust(self, act: Adjust) -> RejectReason:
        """Book lines that sum to zero, asset by asset, and leave nobody below zero."""
        sums: Counter[int] = Counter()
        changes: Counter[tuple[int, int]] = Counter()
        for line in act.lines:
            reason = self.line_fault(line)
            if reason != RejectReason.NONE:
                return reason
            asset = self.asset_of(line.instrument)
            sums[asset] += line.amount
            changes[self.registry.member_numbers[line.member], asset] += line.amount
        if not act.lines or any(sums.values()):
            return self.refuse(RejectReason.AMOUNT_OUT_OF_RANGE, "lines do not sum to zero, asset by asset")
        for (member, asset), amount in changes.items():
            if self.available(member, asset) + amount < 0:
                return self.refuse(lacking(asset), amount, self.available(member, asset))
        self.move("adjustment", [(member, asset, amount) for member, asset, amount in self.lines_of(act)])
        return RejectReason.NONE

    def line_fault(self, line: AdjustmentLine) -> RejectReason:
        """Return why one line cannot be booked, as it is written, or NONE."""
        if line.member not in self.registry.member_numbers:
            return self.refuse(RejectReason.UNKNOWN_MEMBER, line.member)
        if self.asset_of(line.instrument) == NO_SLOT:
            return self.refuse(RejectReason.UNKNOWN_INSTRUMENT, line.instrument)
        if not 0 < abs(line.amount) <= AMOUNT_MAX:
            return self.refuse(RejectReason.AMOUNT_OUT_OF_RANGE, line.amount)
        return RejectReason.NONE

    def lines_of(self, act: Adjust) -> list[tuple[int, int, int]]:
        """Return (member, asset, amount) of the lines of an adjustment."""
        numbers = self.registry.member_numbers
        return [(numbers[line.member], self.asset_of(line.instrument), line.amount) for line in act.lines]

    def move(self, reason: str, lines: list[tuple[int, int, int]]) -> None:
        """Move free money and credits by lines of (member, asset, amount), and post it."""
        slots = [self.account_slot(member, asset) for member, asset, _ in lines]
        gains: Counter[int] = Counter()
        for slot, (_, _, amount) in zip(slots, lines, strict=True):
            gains[slot] += amount
        for slot, amount in gains.items():
            self.core.ledger.accounts[slot]["available"] += amount
        self.post(reason, *((member, "free", asset, amount) for member, asset, amount in lines))

    def asset_of(self, symbol: str) -> int:
        """Return the asset that a symbol names, money if it is blank; NO_SLOT for one that is not listed."""
        if not symbol:
            return MONEY
        index = self.registry.instrument_numbers.get(symbol)
        return NO_SLOT if index is None else index + 1

    def available(self, member: int, asset: int) -> int:
        """Return what a member has free of an asset."""
        row = self.account_row(member, asset)
        return 0 if row is None else int(row["available"])

    # --- credits that providers make -----------------------------------------------------------

    def set_capacity(self, act: SetCapacity) -> RejectReason:
        """Set how much credit may be issued of an instrument; never below what was issued."""
        index = self.registry.instrument_numbers.get(act.instrument)
        if index is None:
            return self.refuse(RejectReason.UNKNOWN_INSTRUMENT, act.instrument)
        listing = self.core.ledger.listings[index]
        if not int(listing["issued"]) <= act.lots <= AMOUNT_MAX:
            return self.refuse(RejectReason.CAPACITY_EXCEEDED, act.lots)
        listing["capacity"] = act.lots
        return RejectReason.NONE

    def issue(self, act: Issue) -> RejectReason:
        """Make credits of an instrument for one of its providers, who owes them from now on."""
        index = self.registry.instrument_numbers.get(act.instrument)
        if index is None:
            return self.refuse(RejectReason.UNKNOWN_INSTRUMENT, act.instrument)
        instrument = self.registry.instruments[index]
        if act.provider and act.provider not in instrument.providers:
            return self.refuse(RejectReason.ROLE_NOT_PERMITTED, act.provider)
        if instrument.state not in ISSUABLE:
            return self.refuse(RejectReason.STATE_NOT_ALLOWED, instrument.state)
        if act.lots <= 0:
            return self.refuse(RejectReason.AMOUNT_OUT_OF_RANGE, act.lots)
        listing = self.core.ledger.listings[index]
        left = int(listing["capacity"]) - int(listing["issued"])
        if act.lots > left:
            return self.refuse(RejectReason.CAPACITY_EXCEEDED, act.lots, left)
        listing["issued"] += act.lots
        provider, asset = self.registry.member_numbers[act.provider or instrument.provider], index + 1
        self.core.ledger.accounts[self.account_slot(provider, asset)]["available"] += act.lots
        self.oblige(provider, index, act.lots)
        self.post("issue", (provider, "free", asset, act.lots), (HOUSE, "outside", asset, -act.lots))
        return RejectReason.NONE

    def oblige(self, provider: int, instrument: int, lots: int) -> None:
        """Note what a provider owes from now on, behind what is owed already."""
        issues = self.registry.issues.setdefault(instrument, [])
        if issues and issues[-1].provider == provider:
            issues[-1].lots += lots
        else:
            issues.append(Issued(provider, lots))
        self.tell_obligation(provider, instrument, "issued", lots)


def lacking(asset: int) -> RejectReason:
    """Return what is not available, of money or of credits."""
    return RejectReason.MONEY_NOT_AVAILABLE if asset == MONEY else RejectReason.CREDITS_NOT_AVAILABLE
