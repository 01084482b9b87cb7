"""The reference ledger's accounts: who has what, how it comes in and goes out, and the postings of it all.

Member 0 is the house, asset 0 is money, asset `i + 1` is the credits of instrument `i`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from matching.vocabulary import RejectReason
from settlement.layout import HOUSE, MONEY
from settlement.reference_orders import (
    Balance,
    Issued,
    Listing,
    Member,
    Order,
    Programme,
    must,
)
from settlement.rows import Posting
from settlement.terms import AMOUNT_MAX


class Line(NamedTuple):
    """One signed line of an entry; `account` is a word of `settlement.rows.Posting`."""

    member: int
    account: str
    asset: int
    amount: int


class Accounts:
    """Balances, members and listings; deposits, withdrawals, issues, transfers and adjustments.

    `sequence` and `time` are of the command that is done now: whoever drives the ledger sets them.
    """

    def __init__(self) -> None:
        """Open a ledger of nobody and nothing."""
        self.sequence = 0
        self.time = 0
        self.balances: defaultdict[tuple[int, int], Balance] = defaultdict(Balance)
        self.members: list[Member] = []
        self.listings: list[Listing] = []
        self.programmes: list[Programme] = []
        self.open: dict[int, Order] = {}
        self.references: dict[tuple[int, str], tuple[object, ...]] = {}
        self.postings: list[Posting] = []
        self.entries = 0
        self.trades = 0
        self.fees_earned = 0

    def post(self, reason: str, *lines: Line) -> int:
        """Book one entry; lines of nothing are left out. Returns its number."""
        sums: Counter[int] = Counter()
        for line in lines:
            sums[line.asset] += line.amount
        assert not any(sums.values()), f"entry {reason} does not balance: {lines}"
        self.entries += 1
        self.postings += [
            Posting(self.entries, self.sequence, self.time, *line, reason) for line in lines if line.amount
        ]
        return self.entries

    # --- who is there, and what ----------------------------------------------------------------

    def admit(self, member: Member) -> None:
        """Admit a member; its number is the next."""
        self.members.append(member)

    def list_instrument(self, listing: Listing) -> None:
        """List an instrument; its number is the next."""
        self.listings.append(listing)

    def money(self, member: int) -> Balance:
        """Return a member's money."""
        return self.balances[member, MONEY]

    def credits(self, member: int, instrument: int) -> Balance:
        """Return the credits that a member has of an instrument."""
        return self.balances[member, instrument + 1]

    def parcels(self, member: int, instrument: int) -> list[Order]:
        """Return the orders that brought a member restricted credits of an instrument, oldest first."""
        brought = [
            order
            for programme in self.programmes
            for order in programme.orders
            if order.fills and (order.asked.member, order.asked.instrument) == (member, instrument)
        ]
        return sorted(brought, key=lambda order: order.fills[0].trade)

    def is_done(self, member: int, reference: str, *content: object) -> bool:
        """Tell whether a movement with this reference was done before; refuse another under its reference."""
        known = self.references.get((member, reference)) if reference else None
        must(known in (None, content), RejectReason.REFERENCE_USED)
        return known is not None

    def note(self, member: int, reference: str, *content: object) -> None:
        """Note what a reference has named."""
        if reference:
            self.references[member, reference] = content

    # --- what comes in and goes out ------------------------------------------------------------

    def deposit(self, member: int, amount: int, reference: str = "") -> None:
        """Add money that a member has paid in."""
        if self.is_done(member, reference, "deposit", amount):
            return
        must(0 < amount <= AMOUNT_MAX, RejectReason.AMOUNT_OUT_OF_RANGE)
        self.note(member, reference, "deposit", amount)
        self.money(member).available += amount
        self.post("deposit", Line(member, "free", MONEY, amount), Line(HOUSE, "outside", MONEY, -amount))

    def withdraw(self, member: int, amount: int, reference: str) -> None:
        """Pay money out to a member: what is available, and nothing while it has a debt."""
        if self.is_done(member, reference, "withdraw", amount):
            return
        balance = self.money(member)
        must(0 < amount <= AMOUNT_MAX, RejectReason.AMOUNT_OUT_OF_RANGE)
        must(balance.debt == 0, RejectReason.PROGRAMME_DEBT, balance.debt)
        must(balance.available >= amount, RejectReason.MONEY_NOT_AVAILABLE, balance.available)
        self.note(member, reference, "withdraw", amount)
        balance.available -= amount
        self.post("withdrawal", Line(member, "free", MONEY, -amount), Line(HOUSE, "outside", MONEY, amount))

    def issue(self, instrument: int, lots: int, provider: int | None = None) -> None:
        """Make credits for a provider of an instrument, who owes them from now on."""
        listing = self.listings[instrument]
        provider = listing.provider if provider is None else provider
        listing.issues.append(Issued(provider, lots))
        self.credits(provider, instrument).available += lots
        asset = instrument + 1
        self.post("issue", Line(provider, "free", asset, lots), Line(HOUSE, "outside", asset, -lots))

    def owner_of(self, member: int) -> int:
        """Return whose accounts a member's are: its owner's, or its own."""
        owner = self.members[member].owner
        return member if owner is None else owner

    def transfer(self, source: int, target: int, asset: int, amount: int, reference: str) -> None:
        """Move what is available between the accounts of one owner."""
        if self.is_done(source, reference, "transfer", target, asset, amount):
            return
        must(
            source != target and self.owner_of(source) == self.owner_of(target),
            RejectReason.ROLE_NOT_PERMITTED,
        )
        must(0 < amount <= AMOUNT_MAX, RejectReason.AMOUNT_OUT_OF_RANGE)
        debt = self.money(source).debt
        must(debt == 0, RejectReason.PROGRAMME_DEBT, debt)
        must(self.balances[source, asset].available >= amount, lacking(asset))
        self.note(source, reference, "transfer", target, asset, amount)
        self.move("transfer", [Line(source, "free", asset, -amount), Line(target, "free", asset, amount)])

    def adjust(self, lines: Iterable[tuple[int, int, int]]) -> None:
        """Book (member, asset, amount) of free money and credits, summing to zero; nobody below zero."""
        lines = [*lines]
        sums: Counter[int] = Counter()
        changes: Counter[tuple[int, int]] = Counter()
        for member, asset, amount in lines:
            must(0 < abs(amount) <= AMOUNT_MAX, RejectReason.AMOUNT_OUT_OF_RANGE)
            sums[asset] += amount
            changes[member, asset] += amount
        must(bool(lines) and not any(sums.values()), RejectReason.AMOUNT_OUT_OF_RANGE)
        for (member, asset), amount in changes.items():
            must(self.balances[member, asset].available + amount >= 0, lacking(asset))
        self.move("adjustment", [Line(member, "free", asset, amount) for member, asset, amount in lines])

    def move(self, reason: str, lines: Iterable[Line]) -> None:
        """Move free money and credits, and post it."""
        lines = [*lines]
        for line in lines:
            self.balances[line.member, line.asset].available += line.amount
        self.post(reason, *lines)

    def end_day(self) -> None:
        """Begin everybody's turnover anew."""
        for member in self.members:
            member.turnover = 0


def lacking(asset: int) -> RejectReason:
    """Return what is not available, of money or of credits."""
    return RejectReason.MONEY_NOT_AVAILABLE if asset == MONEY else RejectReason.CREDITS_NOT_AVAILABLE
