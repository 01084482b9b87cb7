"""What acts about money share: accounts, entries, references; what programmes pay out, and what is owed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from exchange.market_decisions import MarketDecision
from exchange.standing import (
    REFERENCES_PER_MEMBER,
    Debt,
    Ground,
    Movement,
    Obligation,
    Reference,
    is_reference,
)
from matching.layout import Row, grown
from matching.places import find
from matching.vocabulary import NO_SLOT, RejectReason
from settlement.balances import account_key, account_of, note_accounts
from settlement.layout import HOUSE, MONEY
from settlement.programmes import note_usages, usage_key, usage_of
from settlement.reversing import Lost
from settlement.rows import LegReason, LegRow, ObligationRow, Posting

MONEY_MAX = 2**62
"""Most money, in hao, that may ever be brought in: 460 trillion yuan. Balances, holds and sums of them
then stay within int64, whoever holds it."""

MEASURED_MAX = 2**62
"""Most that a group's use may come to, in hao: no cap of an award is as large, and it stays within int64."""


class MoneyDecision(MarketDecision):
    """An act that moves money or credits. Whatever it may need is checked before the first row is changed."""

    # --- rows ----------------------------------------------------------------------------------

    def money_of(self, member: int) -> Row:
        """Return the row of a member's money account."""
        row: Row = self.core.ledger.accounts[self.core.ledger.members[member]["money"]]
        return row

    def account_row(self, member: int, asset: int) -> Row | None:
        """Return the row of a member's account of an asset, None if it never had any."""
        ledger = self.core.ledger
        slot = find(ledger.account_places, account_key(member, asset))
        return None if slot == NO_SLOT else ledger.accounts[slot]

    def account_slot(self, member: int, asset: int) -> int:
        """Return the slot of a member's account of an asset; it is opened if there is none."""
        self.make_room(accounts=1)
        return int(account_of(self.core.ledger, member, asset))

    def usage_slot(self, programme: int, group: int) -> int:
        """Return the slot of what a group has used of a programme; it is opened if there is none."""
        self.make_room(usages=1)
        return int(usage_of(self.core.ledger, programme, group))

    def used(self, programme: int, group: int) -> Row | None:
        """Return the row of what a group has used of a programme, None if it has used nothing."""
        ledger = self.core.ledger
        slot = find(ledger.usage_places, usage_key(group, programme))
        return None if slot == NO_SLOT else ledger.usages[slot]

    def group_of(self, member: int) -> int:
        """Return the number of a member's group."""
        return int(self.core.ledger.members[member]["group"])

    def make_room(self, accounts: int = 0, usages: int = 0) -> None:
        """Make room for more accounts and usages; rows that were taken in hand before are no longer these."""
        ledger = self.core.ledger
        accounts += int(ledger.totals[0]["accounts"])
        usages += int(ledger.totals[0]["usages"])
        if accounts > len(ledger.accounts):
            ledger = ledger._replace(accounts=grown(ledger.accounts, accounts))
        if usages > len(ledger.usages):
            ledger = ledger._replace(usages=grown(ledger.usages, usages))
        while 2 * accounts > len(ledger.account_places):
            ledger = note_accounts(ledger)
        while 2 * usages > len(ledger.usage_places):
            ledger = note_usages(ledger)
        self.core = self.core._replace(ledger=ledger)

    # --- entries -------------------------------------------------------------------------------

    def post(self, reason: str, *lines: tuple[int, str, int, int]) -> None:
        """Book one entry whose lines (member, account, asset, amount) sum to zero, asset by asset.

        Lines of nothing are left out.
        """
        sums: Counter[int] = Counter()
        for _, _, asset, amount in lines:
            sums[asset] += amount
        assert not any(sums.values()), f"entry {reason} does not balance: {lines}"
        totals = self.core.ledger.totals
        totals["entries"] += 1
        entry = int(totals["entries"][0])
        self.postings += [
            Posting(entry, self.sequence, self.time, member, account, asset, amount, reason)
            for member, account, asset, amount in lines
            if amount
        ]

    def may_bring_in(self, amount: int) -> bool:
        """Tell whether the ledger can hold so much money more: no balance then leaves int64."""
        return amount <= MONEY_MAX - int(self.core.ledger.totals[0]["brought_in"])

    def tell_obligation(
        self, provider: int, instrument: int, field: Literal["issued", "redeemed", "expired"], lots: int
    ) -> None:
        """Count what a provider has issued, or has met, and bring it to the store."""
        whole = self.registry.obligations.setdefault(instrument, {}).setdefault(provider, Obligation())
        setattr(whole, field, getattr(whole, field) + lots)
        counts = {"issued": 0, "redeemed": 0, "expired": 0, field: lots}
        self.obligations.append(ObligationRow(self.sequence, self.time, provider, instrument, **counts))

    # --- references ----------------------------------------------------------------------------

    def is_done(self, member: int, act: Movement) -> bool:
        """Tell whether this was done before: then it is answered as it was, and not done again."""
        known = self.registry.references.get(member, {}).get(act.reference)
        if known is None or known.act != act:
            return False
        self.answered = known.sequence
        return True

    def reference_fault(self, member: int, reference: str) -> RejectReason:
        """Return why a member cannot use a reference for something new, or NONE."""
        if not is_reference(reference):
            return self.refuse(RejectReason.CLIENT_ID_INVALID, f"reference {reference!r}")
        if reference in self.registry.references.get(member, {}):
            return self.refuse(RejectReason.REFERENCE_USED, reference)
        return RejectReason.NONE

    def note_reference(self, member: int, act: Movement) -> None:
        """Remember what a reference has named; the oldest is forgotten if there are too many."""
        known = self.registry.references.setdefault(member, {})
        known[act.reference] = Reference(act, self.sequence)
        if len(known) > REFERENCES_PER_MEMBER:
            del known[next(iter(known))]

    # --- what programmes pay, and what is owed to them -----------------------------------------

    def ground_of(self, parcel: int) -> Ground:
        """Return for what a parcel's member is paid, or owes."""
        ledger = self.core.ledger
        row = ledger.parcels[parcel]
        member = int(ledger.accounts[row["account"]]["member"])
        return Ground(member, int(row["programme"]), int(row["order"]), int(row["terms_version"]))

    def tell_leg(self, ground: Ground, amount: int, reason: LegReason, trade: int = 0) -> None:
        """Bring to the store what a programme has paid (below 0: got back) otherwise than at a trade."""
        self.legs.append(
            LegRow(
                sequence=self.sequence,
                time=self.time,
                trade=trade,
                order=ground.order,
                programme=ground.programme,
                terms_version=ground.terms_version,
                member=ground.member,
                amount=amount,
                reason=reason,
            )
        )

    def pay_out(self, ground: Ground, amount: int, reason: Literal["reimbursed", "award", "share"]) -> None:
        """Pay a member what a programme owes it; that settles the member's debts first, oldest first."""
        if amount == 0:
            return
        member = ground.member
        self.money_of(member)["available"] += amount
        self.tell_leg(ground, amount, reason)
        self.post(
            "reimburse" if reason == "reimbursed" else reason,
            (HOUSE, self.office(ground.programme), MONEY, -amount),
            (member, "free", MONEY, amount),
        )
        self.settle(self.registry.debts.get(member, []), amount)

    def office(self, programme: int) -> str:
        """Return the word of the account of what a programme has left to pay."""
        return f"programme:{self.registry.programmes[programme].code}"

    def owe(self, ground: Ground, lost: Lost) -> None:
        """Let a member owe what it was paid for something that it has lost."""
        debt = Debt(ground, lost.paid, lost.vested)
        if debt.amount == 0:
            return
        self.registry.debts.setdefault(ground.member, []).append(debt)
        self.money_of(ground.member)["debt"] += debt.amount
        self.core.ledger.groups[self.group_of(ground.member)]["debt"] += debt.amount
        claims = f"claims:{self.registry.programmes[ground.programme].code}"
        self.post("debt", (ground.member, "debt", MONEY, -debt.amount), (HOUSE, claims, MONEY, debt.amount))

    def settle(self, debts: Iterable[Debt], amount: int) -> None:
        """Pay debts of one member out of its available money, in their order, as far as an amount goes."""
        for debt in [*debts]:
            part = min(debt.amount, amount)
            if part:
                self.settle_part(debt, part)
                amount -= part

    def settle_part(self, debt: Debt, amount: int) -> None:
        """Pay a part of one debt, first what stands in paid; it goes back to what is uncommitted."""
        member, programme = debt.ground.member, debt.ground.programme
        row = self.core.ledger.programmes[programme]
        paid = min(debt.paid, amount)
        debt.paid -= paid
        debt.vested -= amount - paid
        row["paid"] -= paid
        row["vested"] -= amount - paid
        row["uncommitted"] += amount
        money = self.money_of(member)
        money["available"] -= amount
        money["debt"] -= amount
        self.core.ledger.groups[self.group_of(member)]["debt"] -= amount
        if debt.amount == 0:
            self.registry.debts[member].remove(debt)
        self.tell_leg(debt.ground, -amount, "settled")
        claims = f"claims:{self.registry.programmes[programme].code}"
        self.post(
            "settle",
            (member, "free", MONEY, -amount),
            (member, "debt", MONEY, amount),
            (HOUSE, claims, MONEY, -amount),
            (HOUSE, self.office(programme), MONEY, amount),
        )
