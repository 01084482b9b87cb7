"""Putting right, in plain Python: trades undone, members found related or ineligible."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from matching.vocabulary import OrderState, RejectReason
from settlement.layout import HOUSE, MONEY, RECENT_TRADES
from settlement.reference_accounts import Line
from settlement.reference_orders import Fill, Order, must
from settlement.reference_redemptions import Redemptions


@dataclass
class Trade:
    """A trade as it was settled: whose orders, for how much, and what each was charged."""

    number: int
    buy: Order
    sell: Order
    price: int
    quantity: int
    buyer_fee: int
    seller_fee: int
    is_busted: bool = False

    @property
    def amount(self) -> int:
        """Return price x quantity."""
        return self.price * self.quantity


class Reversals(Redemptions):
    """What undoes what was done: busts, and what is found out later."""

    @abstractmethod
    def need_of(self, order: Order) -> int:
        """Return what an open order must hold now."""

    @abstractmethod
    def hold(self, order: Order, held: int) -> None:
        """Let an order hold so much in all."""

    def __init__(self) -> None:
        super().__init__()
        self.traded: dict[int, Trade] = {}

    # --- busts ---------------------------------------------------------------------------------

    def bust(self, number: int) -> None:
        """Undo one of the latest trades: lots and money go back, and E is reckoned without it."""
        must(number > self.trades - RECENT_TRADES and number in self.traded, RejectReason.UNKNOWN_TRADE)
        trade = self.traded[number]
        must(not trade.is_busted, RejectReason.UNKNOWN_TRADE)
        buy, sell = trade.buy, trade.sell
        buyer, seller, instrument = buy.asked.member, sell.asked.member, buy.asked.instrument
        lots = self.credits(buyer, instrument)
        there = lots.available if buy.programme is None else buy.lots_left
        must(there >= trade.quantity, RejectReason.CREDITS_NOT_AVAILABLE)
        proceeds = trade.amount - trade.seller_fee
        must(self.money(seller).available >= proceeds, RejectReason.MONEY_NOT_AVAILABLE)
        returned = self.undo_fill(buy, trade)
        trade.is_busted = True
        refund = trade.amount + trade.buyer_fee - returned
        if buy.programme is None:
            lots.available -= trade.quantity
        else:
            lots.restricted -= trade.quantity
        self.credits(seller, instrument).available += trade.quantity
        self.money(seller).available -= proceeds
        self.money(buyer).available += refund
        fees = trade.buyer_fee + trade.seller_fee
        self.fees_earned -= fees
        code = buy.programme.terms.code if buy.programme else ""
        account, asset = "free" if buy.programme is None else "restricted", instrument + 1
        self.post(
            "bust",
            Line(buyer, "free", MONEY, refund),
            Line(HOUSE, f"programme:{code}", MONEY, returned),
            Line(seller, "free", MONEY, -proceeds),
            Line(HOUSE, "fees", MONEY, -fees),
            Line(buyer, account, asset, -trade.quantity),
            Line(seller, "free", asset, trade.quantity),
        )
        if buy.state == OrderState.OPEN:
            self.hold(buy, self.need_of(buy))
        if buy.programme is not None and buy.lots:
            self.vest(buy)

    def undo_fill(self, buy: Order, trade: Trade) -> int:
        """Reckon an order without one of its trades; return what a deducting programme gets back.

        Refuses if more has vested than it would have earned.
        """
        programme = buy.programme
        if programme is None:
            return 0
        fill = next(fill for fill in buy.fills if fill.trade == trade.number)
        before, counted = (buy.earned, buy.reserved, buy.subsidy_max), fill.counts
        fill.counts = False
        self.earn_anew(buy)
        if buy.earned < max(buy.vested, buy.claimed):
            buy.earned, buy.reserved, buy.subsidy_max = before
            fill.counts = counted
            must(holds=False, reason=RejectReason.MONEY_NOT_AVAILABLE)
        fill.is_busted = True
        return before[0] - buy.earned if programme.is_deducting else 0

    def earn_anew(self, order: Order) -> None:
        """Reckon E without fills that no longer count; what may still come never grows by it.

        S is E and what was reserved. Rounded anew a hao less may be reserved; whose order is open holds that.
        """
        reserved = order.reserved
        order.reckon()
        order.subsidy_max = order.earned + reserved
        order.reckon()

    # --- what is found out later ---------------------------------------------------------------

    def find_related(self, member: int, other: int) -> None:
        """Let two groups be one; neither is paid for what it has bought from the other."""
        ours, theirs = self.group_of(member), self.group_of(other)
        for order in self.paid_between(ours, theirs):
            for fill in order.fills:
                fill.counts = fill.counts and not self.is_between(order, fill, ours, theirs)
            self.owe_what_was_lost(order)
        for one in self.members:
            if one.group == theirs:
                one.group = ours

    def must_be_two_groups(self, member: int, other: int) -> None:
        """Refuse to find related who is of one group already."""
        must(self.group_of(member) != self.group_of(other), RejectReason.ALREADY_EXISTS)

    def paid_between(self, ours: str, theirs: str) -> list[Order]:
        """Return the orders of one group that a programme has paid for what the other sold, either way."""
        return [
            order
            for programme in self.programmes
            for order in programme.orders
            if any(
                fill.counts and fill.covered and self.is_between(order, fill, ours, theirs)
                for fill in order.fills
            )
        ]

    def is_between(self, order: Order, fill: Fill, ours: str, theirs: str) -> bool:
        """Tell whether a fill was between two groups, either way."""
        return {self.group_of(order.asked.member), self.group_of(fill.seller)} == {ours, theirs}

    def orders_concerned(self, member: int, other: int) -> list[int]:
        """Return the open subsidised orders that are cancelled before two groups are one."""
        ours, theirs = self.group_of(member), self.group_of(other)
        between = self.paid_between(ours, theirs)
        opposite = {ours: theirs, theirs: ours}
        return [
            order.id
            for programme in self.programmes
            for order in programme.orders
            if order.state == OrderState.OPEN
            and (group := opposite.get(self.group_of(order.asked.member)))
            and (order in between or self.is_own(order.asked.instrument, group))
        ]

    def owe_what_was_lost(self, order: Order) -> None:
        """Reckon E without the fills that no longer count; what was paid beyond it is the firm's debt."""
        programme, before = order.programme, order.earned
        assert programme is not None
        self.earn_anew(order)
        if order.state == OrderState.OPEN:
            self.hold(order, self.need_of(order))
        lost = max(order.vested - order.earned, 0)
        order.vested -= lost
        order.claimed = min(order.claimed, order.earned)
        if programme.is_deducting:
            self.owe(programme, order.asked.member, paid=before - order.earned - lost, vested=lost)
        else:
            self.owe(programme, order.asked.member, paid=0, vested=lost)

    def bar(self, member: int, number: int) -> list[int]:
        """Bar a firm from a programme; return its open orders that draw on it, oldest first."""
        programme, owner = self.programmes[number], self.owner_of(member)
        accounts = {one for one in range(len(self.members)) if self.owner_of(one) == owner}
        programme.barred |= accounts
        return [
            order.id
            for order in programme.orders
            if order.asked.member in accounts and order.state == OrderState.OPEN
        ]

    def find_ineligible(self, member: int, number: int) -> None:
        """Let a firm owe all that a programme has paid to its accounts; its open orders were cancelled."""
        programme, owner = self.programmes[number], self.owner_of(member)
        for order in programme.orders:
            if self.owner_of(order.asked.member) == owner:
                for fill in order.fills:
                    fill.counts = False
                self.owe_what_was_lost(order)
        for account in range(len(self.members)):
            if self.owner_of(account) == owner:
                granted = sum(grant.amount for grant in programme.grants if grant.member == account)
                programme.grants = [grant for grant in programme.grants if grant.member != account]
                self.owe(programme, account, paid=0, vested=granted)
