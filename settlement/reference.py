"""The rules of money in plain Python: what the engine must equal, effect by effect, hao by hao.

Read this file to learn what an order holds, what it is charged and what a programme pays for it;
`settlement.balances` and `settlement.programmes` tell how that is done fast. Nothing here is clever:
balances are a dict, and amounts are reckoned from an order's totals. What the book does is taken as
given, as events of `matching.reference`.

>>> ledger = ReferenceLedger()
>>> for name in ("HOUSE", "YUN", "ANN"):
...     ledger.admit(Member(group=name))
>>> ledger.list_instrument(Listing(kind="model", provider=1, list_price=100))
>>> ledger.issue(0, 5)
>>> ledger.deposit(2, 1_000)
>>> sell = ledger.enter(Asked(member=1, side=Side.SELL, price=90, quantity=5), order=1)
>>> buy = ledger.enter(Asked(member=2, side=Side.BUY, price=100, quantity=3), order=2)
>>> ledger.balances[2, MONEY], ledger.balances[1, 1]
(Balance(available=700, held=300, restricted=0), Balance(available=0, held=5, restricted=0))
"""

from __future__ import annotations

from collections import defaultdict

from matching.reference import Event
from matching.vocabulary import EventKind, OrderState, Phase, RejectReason, Side, TimeInForce
from settlement.layout import MONEY, NO_PROGRAMME
from settlement.reference_orders import (
    Asked,
    Balance,
    Effect,
    Listing,
    Member,
    Order,
    Part,
    Programme,
    Refused,
    most_it_costs,
    most_it_earns,
    rate_for,
    share,
)
from settlement.terms import ProgrammeTerms

__all__ = [
    "Asked",
    "Balance",
    "Effect",
    "Listing",
    "Member",
    "Order",
    "Part",
    "Programme",
    "ReferenceLedger",
    "Refused",
    "rate_for",
    "share",
]


class ReferenceLedger:
    """Who owns what, and what programmes pay, without haste.

    Member 0 is the house, asset 0 is money, asset `i + 1` is the credits of instrument `i`.
    """

    def __init__(self) -> None:
        """Open a ledger of nobody and nothing."""
        self.balances: defaultdict[tuple[int, int], Balance] = defaultdict(Balance)
        self.members: list[Member] = []
        self.listings: list[Listing] = []
        self.programmes: list[Programme] = []
        self.fees: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        self.open: dict[int, Order] = {}
        self.entries = 0
        self.trades = 0
        self.fees_earned = 0

    # --- what the venue decides ----------------------------------------------------------------

    def admit(self, member: Member) -> None:
        """Admit a member; its number is the next."""
        self.members.append(member)

    def list_instrument(self, listing: Listing) -> None:
        """List an instrument; its number is the next."""
        self.listings.append(listing)

    def set_fees(self, kind: str, maker: int, taker: int) -> None:
        """Set the fees of one kind of instrument, in basis points, for orders entered from now on."""
        self.fees[kind] = (maker, taker)

    def define(self, terms: ProgrammeTerms) -> None:
        """Open a programme with its whole budget uncommitted; its number is the next."""
        self.programmes.append(Programme(terms, uncommitted=terms.budget))
        self.entries += 1

    def deposit(self, member: int, amount: int) -> None:
        """Add money that a member has paid in."""
        self.balances[member, MONEY].available += amount
        self.entries += 1

    def issue(self, instrument: int, lots: int) -> None:
        """Make credits for the provider of an instrument."""
        listing = self.listings[instrument]
        listing.issued += lots
        self.balances[listing.provider, instrument + 1].available += lots
        self.entries += 1

    def end_day(self) -> None:
        """Begin everybody's turnover anew."""
        for member in self.members:
            member.turnover = 0

    # --- what an order holds, or why it is refused -------------------------------------------

    def enter(self, asked: Asked, order: int) -> Order:
        """Hold and reserve what a new order may cost. Raises `Refused`; then nothing has changed."""
        maker_fee, taker_fee = self.fees[self.listings[asked.instrument].kind]
        one = Order(order, asked, maker_fee, taker_fee)
        if asked.programme != NO_PROGRAMME:
            self.plan(one, self.programme_for(asked))
            if one.subsidy_max <= 0:
                raise Refused(RejectReason.PROGRAMME_EXHAUSTED)
        one.held = asked.quantity if asked.side == Side.SELL else most_it_costs(one)
        balance = self.source_of(one)
        if balance.available < one.held:
            is_sell = asked.side == Side.SELL
            reason = RejectReason.CREDITS_NOT_AVAILABLE if is_sell else RejectReason.MONEY_NOT_AVAILABLE
            raise Refused(reason, balance.available)
        balance.available -= one.held
        balance.held += one.held
        self.reserve(one)
        self.open[order] = one
        self.members[asked.member].open_orders += 1
        return one

    def programme_for(self, asked: Asked) -> Programme:
        """Return the programme that an order names. Raises `Refused` if it may not pay for the order."""
        if not 0 <= asked.programme < len(self.programmes):
            raise Refused(RejectReason.UNKNOWN_PROGRAMME)
        programme = self.programmes[asked.programme]
        firm, listing = self.members[asked.member], self.listings[asked.instrument]
        begin, end = programme.terms.valid_ns()
        if asked.side != Side.BUY:
            raise Refused(RejectReason.PROGRAMME_SELL)
        if asked.time_in_force in (TimeInForce.GTC, TimeInForce.GTD):
            raise Refused(RejectReason.PROGRAMME_OUTLASTS_DAY)
        if not begin <= asked.time < end:
            raise Refused(RejectReason.PROGRAMME_NOT_VALID_NOW)
        if rate_for(programme.terms, firm, listing) == 0:
            raise Refused(RejectReason.PROGRAMME_NOT_ELIGIBLE)
        if firm.group == self.members[listing.provider].group:
            raise Refused(RejectReason.PROGRAMME_OWN_PROVIDER)
        return programme

    def money_of(self, order: Order) -> Balance:
        """Return the money of an order's member."""
        return self.balances[order.asked.member, MONEY]

    def credits_of(self, order: Order) -> Balance:
        """Return the credits that an order's member has of its instrument."""
        return self.balances[order.asked.member, order.asked.instrument + 1]

    def source_of(self, order: Order) -> Balance:
        """Return what an order is paid from: a buy from money, a sell from credits."""
        return self.money_of(order) if order.asked.side == Side.BUY else self.credits_of(order)

    # --- what the book's events mean -----------------------------------------------------------

    def settle(self, event: Event) -> Effect:
        """Settle one event of an order: an acceptance, a trade, lots that go, or an end with lots open."""
        order = self.open[event.order]
        if event.kind == EventKind.ACCEPTED:
            return Effect(order.part(), subsidy=order.reserved)
        if event.kind == EventKind.TRADED:
            return self.trade(order, self.open[event.maker_order], event)
        if event.kind == EventKind.REDUCED:
            self.reduce(order, event.quantity)
            return Effect(order.part())
        is_cancel = event.kind == EventKind.CANCELLED
        self.end(order, OrderState.CANCELLED if is_cancel else OrderState.EXPIRED)
        return Effect(order.part())

    def trade(self, taker: Order, maker: Order, event: Event) -> Effect:
        """Let the buyer pay and the seller earn; the programme pays its part, the house gets the fees.

        In an auction both orders have rested: the event tells the buy in the taker's place, and both are
        charged as makers.
        """
        buy, sell = (taker, maker) if taker.asked.side == Side.BUY else (maker, taker)
        quantity = event.quantity
        amount = event.price * quantity
        self.entries += 1
        self.trades += 1
        if event.phase == Phase.AUCTION:
            taker.maker_gross += amount
        else:
            taker.taker_gross += amount
        maker.maker_gross += amount
        fees = {order.id: self.charge(order) for order in (taker, maker)}
        for order in (taker, maker):
            order.filled += quantity
            self.members[order.asked.member].turnover += amount
        subsidy = self.pay(buy, event.price, quantity)
        self.take_held(sell, quantity)
        self.money_of(sell).available += amount - fees[sell.id]
        self.take_held(buy, amount + fees[buy.id] - subsidy)
        self.release_held(buy, keep=most_it_costs(buy))
        if buy.programme is None:
            self.credits_of(buy).available += quantity
        else:
            self.credits_of(buy).restricted += quantity
        for order in (taker, maker):
            if order.leaves == 0:
                self.end(order, OrderState.FILLED)
        own, other = taker.part(fees[taker.id]), maker.part(fees[maker.id])
        return Effect(own, other, subsidy, self.entries, self.trades)

    def charge(self, order: Order) -> int:
        """Charge an order its fee: as maker and as taker, each a share of all it has traded that way."""
        due = share(order.maker_gross, order.maker_fee) + share(order.taker_gross, order.taker_fee)
        fee = due - order.fees
        order.fees = due
        self.fees_earned += fee
        return fee

    def end(self, order: Order, state: OrderState) -> None:
        """End an order, and give back all that it still has at stake."""
        order.state = state
        del self.open[order.id]
        self.members[order.asked.member].open_orders -= 1
        self.release_cover(order, keep=0)
        self.release_reserved(order, keep=0)
        self.release_held(order, keep=0)

    def reduce(self, order: Order, quantity: int) -> None:
        """Make an order's total smaller, and keep at stake only what the lots that it leaves may need."""
        order.taken_off = order.asked.quantity - quantity
        self.release_cover(order, keep=min(order.cover, order.leaves))
        self.release_reserved(order, keep=most_it_earns(order))
        is_sell = order.asked.side == Side.SELL
        self.release_held(order, keep=order.leaves if is_sell else most_it_costs(order))

    def take_held(self, order: Order, amount: int) -> None:
        """Take what an order spends out of what it holds."""
        self.source_of(order).held -= amount
        order.held -= amount

    def release_held(self, order: Order, keep: int) -> None:
        """Give back what an order holds beyond `keep`."""
        balance = self.source_of(order)
        balance.held -= order.held - keep
        balance.available += order.held - keep
        order.held = keep

    # --- programmes ----------------------------------------------------------------------------

    def group_of(self, order: Order) -> str:
        """Return the group over which the caps of an order's member count."""
        return self.members[order.asked.member].group

    def plan(self, order: Order, programme: Programme) -> None:
        """Work out which lots a programme covers, and S: the most that it will pay for the order."""
        terms, asked = programme.terms, order.asked
        listing = self.listings[asked.instrument]
        order.programme = programme
        order.rate = rate_for(terms, self.members[asked.member], listing)
        order.ceiling = listing.list_price + share(listing.list_price, terms.ceiling)
        order.cover = self.cover_for(order, programme)
        full = share(min(asked.price, order.ceiling) * order.cover, order.rate)
        left = self.group_cap_left(order, programme)
        order.subsidy_max = min(full, terms.order_cap, left, programme.uncommitted)
        order.reserved = order.subsidy_max

    def cover_for(self, order: Order, programme: Programme) -> int:
        """Return how many of an order's lots the caps in lots leave; what open orders cover is used."""
        terms, cover = programme.terms, order.asked.quantity
        if terms.order_lots:
            cover = min(cover, terms.order_lots)
        if terms.group_lots:
            cover = min(cover, terms.group_lots - programme.used_lots[self.group_of(order)])
        return cover

    def group_cap_left(self, order: Order, programme: Programme) -> int:
        """Return what the group's cap in money leaves; what is reserved counts as used."""
        return programme.terms.group_cap - programme.used_money[self.group_of(order)]

    def reserve(self, order: Order) -> None:
        """Reserve S out of the budget, and count it and the covered lots against the group's caps."""
        if order.programme is not None:
            order.programme.uncommitted -= order.reserved
            order.programme.reserved += order.reserved
            order.programme.used_money[self.group_of(order)] += order.reserved
            order.programme.used_lots[self.group_of(order)] += order.cover

    def pay(self, order: Order, price: int, quantity: int) -> int:
        """Pay the programme's part of a fill, and keep reserved only what the rest still needs."""
        if order.programme is None:
            return 0
        part = min(quantity, order.cover)
        order.cover -= part
        order.covered_gross += min(price, order.ceiling) * part
        earned = min(share(order.covered_gross, order.rate), order.subsidy_max)
        subsidy = earned - order.paid
        order.paid = earned
        order.reserved -= subsidy
        order.programme.reserved -= subsidy
        order.programme.paid += subsidy
        self.release_reserved(order, keep=most_it_earns(order))
        return subsidy

    def release_reserved(self, order: Order, keep: int) -> None:
        """Give the programme back what an order has reserved beyond `keep`."""
        if order.programme is not None:
            order.programme.reserved -= order.reserved - keep
            order.programme.uncommitted += order.reserved - keep
            order.programme.used_money[self.group_of(order)] -= order.reserved - keep
            order.reserved = keep

    def release_cover(self, order: Order, keep: int) -> None:
        """Count the covered lots beyond `keep`, which will not come any more, against no cap."""
        if order.programme is not None:
            order.programme.used_lots[self.group_of(order)] -= order.cover - keep
            order.cover = keep
