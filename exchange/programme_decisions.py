"""Acts about programmes: their terms, their awards, the end of their year, and what members owe to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exchange.money_decisions import MoneyDecision
from exchange.programme_tables import with_enrolled, with_exclusions, with_inclusions
from exchange.protocol.acts import CloseYear, DefineProgramme, Enrol, GrantAward, ReviseProgramme, SettleDebt
from exchange.registry import REGIONS_MAX
from exchange.standing import Ground
from matching.layout import grown
from matching.vocabulary import RejectReason, Size
from settlement.balances import BASIS_POINTS
from settlement.classes import RATES
from settlement.layout import HOUSE, MONEY, Exhaustion, Payout, Unredeemed
from settlement.programmes import is_barred, is_enrolled, is_excluded
from settlement.rows import TermsRow
from settlement.terms import ProgrammeTerms
from settlement.terms_file import terms_text

_FIXED = ("fiscal_year", "payout", "exhaustion", "unredeemed")
"""What new terms of a programme cannot change: parcels of older versions live by it."""

_COPIED = (
    "budget",
    "ceiling",
    "order_cap",
    "group_cap",
    "order_lots",
    "group_lots",
    "fiscal_year",
)
"""What stands in the ledger's row as it does in the terms."""


class ProgrammeDecision(MoneyDecision):
    """An act about a programme."""

    # --- terms ---------------------------------------------------------------------------------

    def define_programme(self, act: DefineProgramme) -> RejectReason:
        """Open a programme with its whole budget uncommitted, paid in by its office."""
        terms, registry = act.terms, self.registry
        if terms.code in registry.programme_numbers:
            return self.refuse(RejectReason.ALREADY_EXISTS, terms.code)
        reason = self.terms_fault(terms)
        if reason != RejectReason.NONE:
            return reason
        if not self.may_bring_in(terms.budget):
            return self.refuse(RejectReason.AMOUNT_OUT_OF_RANGE, terms.budget)
        index = registry.add_programme(terms)
        ledger = self.core.ledger
        self.core = self.core._replace(
            ledger=ledger._replace(
                programmes=grown(ledger.programmes, index + 1),
                rates=grown(ledger.rates, RATES * (index + 1)),
            )
        )
        self.core.ledger.totals["programmes"] = index + 1
        self.core.ledger.programmes[index]["uncommitted"] = terms.budget
        self.write_terms(index, terms)
        self.fund(index, terms.budget)
        return RejectReason.NONE

    def terms_fault(self, terms: ProgrammeTerms) -> RejectReason:
        """Return why terms cannot be taken by themselves, or NONE."""
        if terms.fault():
            return self.refuse(RejectReason.TERMS_INVALID, terms.fault())
        if len(set(self.registry.regions) | set(terms.regions)) > REGIONS_MAX:
            return self.refuse(RejectReason.CAPACITY_EXCEEDED, ", ".join(terms.regions), REGIONS_MAX)
        return RejectReason.NONE

    def revise_programme(self, act: ReviseProgramme) -> RejectReason:
        """Give a programme its next terms, for orders from now on; open orders keep those of their entry."""
        terms, registry = act.terms, self.registry
        index = registry.programme_numbers.get(terms.code)
        if index is None:
            return self.refuse(RejectReason.UNKNOWN_PROGRAMME, terms.code)
        before, row = registry.programmes[index], self.core.ledger.programmes[index]
        if row["closed"]:
            return self.refuse(RejectReason.PROGRAMME_CLOSED, terms.code)
        reason = self.terms_fault(terms)
        if reason != RejectReason.NONE:
            return reason
        if terms.version != before.version + 1:
            return self.refuse(
                RejectReason.TERMS_INVALID, f"version: {terms.version}; give {before.version + 1}"
            )
        for name in _FIXED:
            if getattr(terms, name) != getattr(before, name):
                told = f"{name}: {getattr(terms, name)}; keep {getattr(before, name)}"
                return self.refuse(RejectReason.TERMS_INVALID, told)
        added = terms.budget - before.budget
        if added < -int(row["uncommitted"]) or not self.may_bring_in(added):
            return self.refuse(RejectReason.AMOUNT_OUT_OF_RANGE, f"budget: {terms.budget}")
        row["uncommitted"] += added
        registry.programmes[index] = terms
        self.write_terms(index, terms)
        if added:
            self.fund(index, added)
        return RejectReason.NONE

    def write_terms(self, index: int, terms: ProgrammeTerms) -> None:
        """Write terms into the ledger's tables, and bring them to the store."""
        ledger, registry = self.core.ledger, self.registry
        row = ledger.programmes[index]
        for field in _COPIED:
            row[field] = getattr(terms, field)
        row["terms_version"] = terms.version
        row["valid_from"], row["valid_until"] = terms.valid_ns()
        row["regions"] = registry.regions_mask(terms.regions)
        row["payout"] = Payout[terms.payout.upper()]
        row["exhaustion"] = Exhaustion[terms.exhaustion.upper()]
        row["unredeemed"] = Unredeemed[terms.unredeemed.upper()]
        row["names_instruments"] = bool(terms.instruments)
        row["enrols"] = terms.enrolment == "listed"
        ledger.rates[RATES * index : RATES * (index + 1)] = terms.rate_table()
        ledger = with_exclusions(with_inclusions(ledger, registry), registry)
        self.core = self.core._replace(ledger=ledger)
        self.terms.append(
            TermsRow(self.sequence, self.time, index, terms_version=terms.version, terms=terms_text(terms))
        )

    def fund(self, index: int, amount: int) -> None:
        """Post what the office of a programme pays in (below 0: takes back)."""
        self.core.ledger.totals["brought_in"] += amount
        self.post("fund", (HOUSE, self.office(index), MONEY, amount), (HOUSE, "outside", MONEY, -amount))

    # --- who may draw on it ---------------------------------------------------------------------

    def enrol(self, act: Enrol) -> RejectReason:
        """Enrol members in a programme, or withdraw that; open orders keep what is reserved for them."""
        registry = self.registry
        index = registry.programme_numbers.get(act.programme)
        if index is None:
            return self.refuse(RejectReason.UNKNOWN_PROGRAMME, act.programme)
        if self.core.ledger.programmes[index]["closed"]:
            return self.refuse(RejectReason.PROGRAMME_CLOSED, act.programme)
        if not act.members:
            return self.refuse(RejectReason.TERMS_INVALID, "members: none; name at least one")
        for name in act.members:
            if registry.member_numbers.get(name, HOUSE) == HOUSE:
                return self.refuse(RejectReason.UNKNOWN_MEMBER, name)
        members = {registry.member_numbers[name] for name in act.members}
        enrolled = registry.enrolled.setdefault(index, set())
        if act.enrolled:
            enrolled |= members
        else:
            enrolled -= members
        self.core = self.core._replace(ledger=with_enrolled(self.core.ledger, registry))
        return RejectReason.NONE

    # --- awards --------------------------------------------------------------------------------

    def grant_award(self, act: GrantAward) -> RejectReason:
        """Pay a firm an award, up to its group's share of what that has redeemed."""
        registry = self.registry
        index = registry.programme_numbers.get(act.programme)
        if index is None:
            return self.refuse(RejectReason.UNKNOWN_PROGRAMME, act.programme)
        member = registry.member_numbers.get(act.member)
        if member is None:
            return self.refuse(RejectReason.UNKNOWN_MEMBER, act.member)
        row = self.core.ledger.programmes[index]
        if row["payout"] != Payout.AWARD:
            return self.refuse(RejectReason.PROGRAMME_NOT_ELIGIBLE, f"{act.programme}: it grants no awards")
        if row["closed"]:
            return self.refuse(RejectReason.PROGRAMME_CLOSED, act.programme)
        rate = self.best_rate(index, member)
        is_out = is_barred(self.core.ledger, index, member) or not is_enrolled(
            self.core.ledger, index, member
        )
        if rate == 0 or is_out:
            return self.refuse(RejectReason.PROGRAMME_NOT_ELIGIBLE, act.member)
        if row["excludes"] and is_excluded(self.core.ledger, index, self.group_of(member)):
            return self.refuse(RejectReason.PROGRAMME_EXCLUDED, act.member)
        if act.amount <= 0:
            return self.refuse(RejectReason.AMOUNT_OUT_OF_RANGE, act.amount)
        usage = self.used(index, self.group_of(member))
        measured, granted = (0, 0) if usage is None else (int(usage["measured"]), int(usage["money"]))
        earned = measured * rate // BASIS_POINTS
        left = min(min(earned, int(row["group_cap"])) - granted, int(row["uncommitted"]))
        if act.amount > left:
            return self.refuse(RejectReason.PROGRAMME_EXHAUSTED, act.amount, max(left, 0))
        slot = self.usage_slot(index, self.group_of(member))
        self.core.ledger.usages[slot]["money"] += act.amount
        row["uncommitted"] -= act.amount
        row["vested"] += act.amount
        granted_to = registry.awards.setdefault(index, {})
        granted_to[member] = granted_to.get(member, 0) + act.amount
        self.pay_out(Ground(member, index, 0, int(row["terms_version"])), act.amount, "award")
        return RejectReason.NONE

    def best_rate(self, index: int, member: int) -> int:
        """Return the best rate of a programme for a firm, whatever it redeems; 0: it is not eligible."""
        ledger = self.core.ledger
        firm, row = ledger.members[member], ledger.programmes[index]
        if row["regions"] and not row["regions"] & firm["regions"]:
            return 0
        sizes = RATES // len(Size)
        first = RATES * index + sizes * int(firm["firm_size"])
        return int(ledger.rates[first : first + sizes].max())

    # --- the end of the year -------------------------------------------------------------------

    def close_year(self, act: CloseYear) -> RejectReason:
        """Close a programme that is no longer in force; the claims on a pro-rata one share its budget."""
        index = self.registry.programme_numbers.get(act.programme)
        if index is None:
            return self.refuse(RejectReason.UNKNOWN_PROGRAMME, act.programme)
        ledger = self.core.ledger
        row = ledger.programmes[index]
        if row["closed"]:
            return self.refuse(RejectReason.PROGRAMME_CLOSED, act.programme)
        parcels = ledger.parcels[: int(ledger.totals[0]["parcels"])]
        own = parcels["programme"] == index
        if self.time < row["valid_until"] or (own & (parcels["is_open"] != 0)).any():
            return self.refuse(RejectReason.NOT_DUE, act.programme)
        row["closed"] = True
        claims = np.flatnonzero(own & (parcels["claimed"] > 0))
        claims = claims[np.argsort(parcels["order"][claims], kind="stable")]
        parts = shared(int(row["uncommitted"]), parcels["claimed"][claims].tolist())
        for parcel, amount in zip(claims.tolist(), parts, strict=True):
            self.pay_share(parcel, amount)
        return RejectReason.NONE

    def pay_share(self, parcel: int, amount: int) -> None:
        """Pay a parcel's part of a budget that is shared; its claim ends with that."""
        parcel_row = self.core.ledger.parcels[parcel]
        row = self.core.ledger.programmes[int(parcel_row["programme"])]
        parcel_row["claimed"] = 0
        parcel_row["vested"] = amount
        row["uncommitted"] -= amount
        row["vested"] += amount
        self.pay_out(self.ground_of(parcel), amount, "share")

    # --- debts ---------------------------------------------------------------------------------

    def settle_debt(self, act: SettleDebt) -> RejectReason:
        """Pay a member's debt to a programme, or part of it, out of its free money, the oldest first."""
        registry = self.registry
        member = registry.member_numbers.get(act.member)
        if member is None:
            return self.refuse(RejectReason.UNKNOWN_MEMBER, act.member)
        index = registry.programme_numbers.get(act.programme)
        if index is None:
            return self.refuse(RejectReason.UNKNOWN_PROGRAMME, act.programme)
        debts = [debt for debt in registry.debts.get(member, []) if debt.ground.programme == index]
        owed = sum(debt.amount for debt in debts)
        if not 0 < act.amount <= owed:
            return self.refuse(RejectReason.AMOUNT_OUT_OF_RANGE, f"{act.amount}; it owes {owed}")
        available = int(self.money_of(member)["available"])
        if available < act.amount:
            return self.refuse(RejectReason.MONEY_NOT_AVAILABLE, act.amount, available)
        self.settle(debts, act.amount)
        return RejectReason.NONE


def shared(budget: int, claims: Sequence[int]) -> list[int]:
    """Share a budget among claims by largest remainder, ties to the earlier; none gets more than it claims.

    Each gets the whole hao of its even part; of what is left one hao each goes to those that were cut most.
    """
    total = sum(claims)
    pot = min(budget, total)
    parts = [pot * claim // total for claim in claims]
    cut_most = sorted(range(len(claims)), key=lambda at: -(pot * claims[at] % total))
    for at in cut_most[: pot - sum(parts)]:
        parts[at] += 1
    return parts
