"""What programmes pay, in plain Python: who is eligible, what is reserved, what vests, what is owed.

Nothing is counted step by step: a budget's four states and what a group has used are sums over all
orders, awards and debts, made anew whenever somebody asks.
"""

from __future__ import annotations

from matching.vocabulary import OrderState, RejectReason, Side, TimeInForce
from settlement.layout import HOUSE, MONEY
from settlement.reference_accounts import Accounts, Line
from settlement.reference_orders import (
    Asked,
    Debt,
    Grant,
    Member,
    Order,
    Programme,
    Refused,
    fits_place,
    must,
    rate_for,
    share,
)
from settlement.terms import ProgrammeTerms


class Programmes(Accounts):
    """Programmes: for orders at their entry and replacement, in awards, at year's end, and for debtors.

    `debts` stand in the order in which they arose.
    """

    def __init__(self) -> None:
        """Open a ledger of nobody and nothing."""
        super().__init__()
        self.debts: list[Debt] = []

    def define(self, terms: ProgrammeTerms) -> None:
        """Open a programme with its whole budget uncommitted; its number is the next."""
        self.programmes.append(Programme(terms))
        self.fund(terms.code, terms.budget)

    def fund(self, code: str, amount: int) -> None:
        """Post what a programme's budget has grown by."""
        office, outside = f"programme:{code}", "outside"
        self.post("fund", Line(HOUSE, office, MONEY, amount), Line(HOUSE, outside, MONEY, -amount))

    def revise(self, terms: ProgrammeTerms) -> None:
        """Give a programme its next terms; open orders keep rate and ceiling of their entry."""
        programme = next((one for one in self.programmes if one.terms.code == terms.code), None)
        if programme is None:
            raise Refused(RejectReason.UNKNOWN_PROGRAMME)
        old = programme.terms
        must(not programme.closed, RejectReason.PROGRAMME_CLOSED)
        kept = ("code", "fiscal_year", "payout", "exhaustion", "unredeemed")
        is_next = terms.version == old.version + 1
        is_same = all(getattr(terms, name) == getattr(old, name) for name in kept)
        must(is_next and is_same and not terms.fault(), RejectReason.TERMS_INVALID)
        grown = terms.budget - old.budget
        must(grown >= -self.uncommitted(programme), RejectReason.AMOUNT_OUT_OF_RANGE)
        programme.terms = terms
        if grown:
            self.fund(terms.code, grown)

    # --- the budget ----------------------------------------------------------------------------

    def reserved(self, programme: Programme) -> int:
        """Return what is set aside: for open orders, and of a reimbursing one for lots not yet redeemed."""
        if programme.is_shared:
            return 0
        total = sum(order.reserved for order in programme.orders)
        if not programme.is_deducting:
            total += sum(order.earned - order.vested for order in programme.orders)
        return total

    def paid(self, programme: Programme) -> int:
        """Return what was paid at trades and has not vested; a debtor's part stands here until settled."""
        owed = sum(debt.paid for debt in programme.debts)
        if not programme.is_deducting:
            return owed
        return owed + sum(order.earned - order.vested for order in programme.orders)

    def vested(self, programme: Programme) -> int:
        """Return what has vested: of orders, in awards, and what debtors still owe of it."""
        return (
            sum(order.vested for order in programme.orders)
            + sum(grant.amount for grant in programme.grants)
            + sum(debt.vested for debt in programme.debts)
        )

    def uncommitted(self, programme: Programme) -> int:
        """Return what nothing has a claim on: the rest of the budget."""
        spent = self.reserved(programme) + self.paid(programme) + self.vested(programme)
        return programme.terms.budget - spent

    # --- what groups use -----------------------------------------------------------------------

    def group_of(self, member: int) -> str:
        """Return the group over which the caps of a member count."""
        return self.members[member].group

    def orders_of(self, programme: Programme, group: str) -> list[Order]:
        """Return the orders of a group that a programme has paid for, or will."""
        return [order for order in programme.orders if self.group_of(order.asked.member) == group]

    def used_money(self, programme: Programme, group: str) -> int:
        """Return what a group has used: earned and still to come by its orders, and its awards."""
        orders = sum(order.earned + order.reserved for order in self.orders_of(programme, group))
        grants = sum(one.amount for one in programme.grants if self.group_of(one.member) == group)
        return orders + grants

    def used_lots(self, programme: Programme, group: str) -> int:
        """Return the subsidised lots that a group's orders have brought, and may still bring."""
        return sum(order.covered_filled + order.cover for order in self.orders_of(programme, group))

    def measured(self, programme: Programme, group: str) -> int:
        """Return the list price of what a group has redeemed that an award may count."""
        return sum(one.amount for one in programme.measured if self.group_of(one.member) == group)

    def has_used(self, programme: Programme, group: str) -> bool:
        """Tell whether anything of a programme is reserved, claimed, paid or vested for a group."""
        return self.used_money(programme, group) > 0 or self.used_lots(programme, group) > 0

    def is_excluded(self, programme: Programme, group: str) -> bool:
        """Tell whether a group has used a programme of the same year that cannot go together with this."""
        return any(
            other.terms.fiscal_year == programme.terms.fiscal_year
            and (other.terms.code in programme.terms.excludes or programme.terms.code in other.terms.excludes)
            and self.has_used(other, group)
            for other in self.programmes
        )

    def group_debt(self, group: str) -> int:
        """Return what the members of a group owe to programmes."""
        return sum(
            debt.amount
            for programme in self.programmes
            for debt in programme.debts
            if self.group_of(debt.member) == group
        )

    # --- orders --------------------------------------------------------------------------------

    def programme_for(self, asked: Asked) -> Programme:
        """Return the programme that an order names. Raises `Refused` if it may not pay for the order."""
        must(0 <= asked.programme < len(self.programmes), RejectReason.UNKNOWN_PROGRAMME)
        programme = self.programmes[asked.programme]
        firm, listing = self.members[asked.member], self.listings[asked.instrument]
        must(asked.side == Side.BUY, RejectReason.PROGRAMME_SELL)
        outlasts = asked.time_in_force in (TimeInForce.GTC, TimeInForce.GTD)
        must(not outlasts, RejectReason.PROGRAMME_OUTLASTS_DAY)
        is_award = programme.terms.payout == "award"
        must(not is_award and not programme.closed, RejectReason.PROGRAMME_CLOSED)
        must(is_in_force(programme.terms, asked.time), RejectReason.PROGRAMME_NOT_VALID_NOW)
        must(rate_for(programme.terms, firm, listing) > 0, RejectReason.PROGRAMME_NOT_ELIGIBLE)
        must(asked.member not in programme.barred, RejectReason.PROGRAMME_NOT_ELIGIBLE)
        must(programme.takes(asked.member), RejectReason.PROGRAMME_NOT_ELIGIBLE)
        must(not self.is_own(asked.instrument, firm.group), RejectReason.PROGRAMME_OWN_PROVIDER)
        debt = self.group_debt(firm.group)
        must(debt == 0, RejectReason.PROGRAMME_DEBT, debt)
        must(not self.is_excluded(programme, firm.group), RejectReason.PROGRAMME_EXCLUDED)
        return programme

    def is_own(self, instrument: int, group: str) -> bool:
        """Tell whether a group may issue an instrument."""
        listing = self.listings[instrument]
        return group in {self.group_of(one) for one in (listing.provider, *listing.providers)}

    def plan(self, order: Order, programme: Programme) -> None:
        """Work out which lots a programme covers, and S. Raises `Refused` if nothing is left."""
        listing = self.listings[order.asked.instrument]
        order.programme = programme
        order.terms_version = programme.terms.version
        order.rate = rate_for(programme.terms, self.members[order.asked.member], listing)
        order.ceiling = listing.list_price + share(listing.list_price, programme.terms.ceiling)
        self.cover_anew(order, programme, order.price, order.quantity, may_grow=True)

    def plan_anew(self, order: Order, price: int, quantity: int, now: int) -> None:
        """Work out cover and S of the order that a replace makes. Raises `Refused` if nothing is left."""
        programme = order.programme
        if programme is None:
            return
        group = self.group_of(order.asked.member)
        may_grow = (
            not programme.closed
            and is_in_force(programme.terms, now)
            and programme.terms.version == order.terms_version
            and share(order.covered_gross, order.rate) <= order.earned
            and programme.takes(order.asked.member)
            and self.group_debt(group) == 0
            and not self.is_excluded(programme, group)
        )
        self.cover_anew(order, programme, price, quantity, may_grow=may_grow)

    def cover_anew(
        self, order: Order, programme: Programme, price: int, quantity: int, *, may_grow: bool
    ) -> None:
        """Find the lots that a programme covers at most, and S, of an order with this price and total."""
        group = self.group_of(order.asked.member)
        lots = self.group_lots_left(programme, group) if may_grow else 0
        money = self.group_cap_left(programme, group) if may_grow else 0
        if may_grow and not programme.is_shared:
            money = min(money, self.uncommitted(programme))
        cover = min(quantity - order.filled, order.cover + max(lots, 0))
        if programme.terms.order_lots:
            cover = min(cover, max(programme.terms.order_lots - order.covered_filled, 0))
        full = share(order.covered_gross + min(price, order.ceiling) * cover, order.rate)
        has = order.earned + order.reserved
        most = max(min(full, programme.terms.order_cap, has + max(money, 0)), order.earned)
        must(most > 0, RejectReason.PROGRAMME_EXHAUSTED)
        order.cover = cover
        order.subsidy_max = most
        order.reserved = most - order.earned

    def group_lots_left(self, programme: Programme, group: str) -> int:
        """Return what the group's cap in lots leaves; more than any order asks if there is none."""
        cap = programme.terms.group_lots
        return cap - self.used_lots(programme, group) if cap else 2**62

    def group_cap_left(self, programme: Programme, group: str) -> int:
        """Return what the group's cap in money leaves."""
        return programme.terms.group_cap - self.used_money(programme, group)

    # --- who may draw on it --------------------------------------------------------------------

    def enrol(self, number: int, members: set[int], *, enrolled: bool) -> None:
        """Enrol members in a programme, or withdraw that."""
        programme = self.programmes[number]
        programme.enrolled = programme.enrolled | members if enrolled else programme.enrolled - members

    # --- awards and the year's end -------------------------------------------------------------

    def award(self, number: int, member: int, amount: int) -> None:
        """Pay a firm an award, up to its group's share of what that has redeemed."""
        programme = self.programmes[number]
        terms, group = programme.terms, self.group_of(member)
        must(terms.payout == "award", RejectReason.PROGRAMME_NOT_ELIGIBLE)
        must(not programme.closed, RejectReason.PROGRAMME_CLOSED)
        rate = best_rate(terms, self.members[member])
        must(rate > 0 and member not in programme.barred, RejectReason.PROGRAMME_NOT_ELIGIBLE)
        must(programme.takes(member), RejectReason.PROGRAMME_NOT_ELIGIBLE)
        must(not self.is_excluded(programme, group), RejectReason.PROGRAMME_EXCLUDED)
        must(amount > 0, RejectReason.AMOUNT_OUT_OF_RANGE)
        granted = self.used_money(programme, group)
        left = min(
            share(self.measured(programme, group), rate) - granted,
            terms.group_cap - granted,
            self.uncommitted(programme),
        )
        must(amount <= left, RejectReason.PROGRAMME_EXHAUSTED)
        programme.grants.append(Grant(member, amount))
        self.pay_out("award", programme, member, amount)

    def close_year(self, number: int, now: int) -> None:
        """Close a programme that is no longer in force; the claims on a pro-rata one share its budget."""
        programme = self.programmes[number]
        must(not programme.closed, RejectReason.PROGRAMME_CLOSED)
        is_over = now >= programme.terms.valid_ns()[1]
        is_drawn = any(order.state == OrderState.OPEN for order in programme.orders)
        must(is_over and not is_drawn, RejectReason.NOT_DUE)
        claims = sorted((one for one in programme.orders if one.claimed > 0), key=lambda one: one.id)
        shares = shared(programme.terms.budget, [order.claimed for order in claims])
        programme.closed = True
        for order, amount in zip(claims, shares, strict=True):
            order.claimed = 0
            order.vested = amount
            if amount:
                self.pay_out("share", programme, order.asked.member, amount)

    def pay_out(self, reason: str, programme: Programme, member: int, amount: int) -> None:
        """Pay a member what a programme owes it; that settles the member's debts first, oldest first."""
        self.money(member).available += amount
        self.post(
            reason,
            Line(HOUSE, f"programme:{programme.terms.code}", MONEY, -amount),
            Line(member, "free", MONEY, amount),
        )
        for debt in self.debts_of(member):
            part = min(debt.amount, amount)
            if part:
                self.settle_debt_of(debt, part)
                amount -= part

    # --- debts ---------------------------------------------------------------------------------

    def debts_of(self, member: int) -> list[Debt]:
        """Return what a member owes, in the order in which it arose."""
        return [debt for debt in self.debts if debt.member == member and debt.amount]

    def owe(self, programme: Programme, member: int, *, paid: int, vested: int) -> None:
        """Let a member owe what a programme has paid it, and what of it has vested."""
        if paid + vested == 0:
            return
        debt = Debt(member, programme, paid, vested)
        self.debts.append(debt)
        programme.debts.append(debt)
        self.money(member).debt += debt.amount
        self.post(
            "debt",
            Line(member, "debt", MONEY, -debt.amount),
            Line(HOUSE, f"claims:{programme.terms.code}", MONEY, debt.amount),
        )

    def settle_debt(self, member: int, number: int, amount: int) -> None:
        """Pay a member's debt to a programme, or part of it, out of its available money."""
        programme = self.programmes[number]
        debts = [debt for debt in self.debts_of(member) if debt.programme is programme]
        owed = sum(debt.amount for debt in debts)
        must(0 < amount <= owed, RejectReason.AMOUNT_OUT_OF_RANGE)
        balance = self.money(member)
        must(balance.available >= amount, RejectReason.MONEY_NOT_AVAILABLE, balance.available)
        for debt in debts:
            part = min(debt.amount, amount)
            if part:
                self.settle_debt_of(debt, part)
                amount -= part

    def settle_debt_of(self, debt: Debt, amount: int) -> None:
        """Let a member pay a part of one debt; it goes back to what is uncommitted."""
        code, balance = debt.programme.terms.code, self.money(debt.member)
        debt.settle(amount)
        balance.available -= amount
        balance.debt -= amount
        self.post(
            "settle",
            Line(debt.member, "free", MONEY, -amount),
            Line(debt.member, "debt", MONEY, amount),
            Line(HOUSE, f"claims:{code}", MONEY, -amount),
            Line(HOUSE, f"programme:{code}", MONEY, amount),
        )


def is_in_force(terms: ProgrammeTerms, now: int) -> bool:
    """Tell whether terms hold now, in ns since 1970."""
    begin, end = terms.valid_ns()
    return begin <= now < end


def best_rate(terms: ProgrammeTerms, firm: Member) -> int:
    """Return the best rate that fits a firm, whatever it redeems; 0 if none does."""
    if not fits_place(terms, firm):
        return 0
    size = firm.size.name.lower()
    return max((one.rate for one in terms.rates if not one.sizes or size in one.sizes), default=0)


def shared(budget: int, claims: list[int]) -> list[int]:
    """Share a budget among claims by largest remainder, ties to the earlier; exact, and never above a claim.

    Each gets the whole hao of its even part; what then is left goes, one hao each, to those whose parts
    were cut most.
    """
    total = sum(claims)
    pot = min(budget, total)
    if total == 0:
        return []
    parts = [pot * claim // total for claim in claims]
    cut = sorted(range(len(claims)), key=lambda at: -(pot * claims[at] % total))
    for at in cut[: pot - sum(parts)]:
        parts[at] += 1
    return parts
