"""The rules of money in plain Python: what the engine must equal, effect by effect, hao by hao.

Read this file to learn what an order holds, what it is charged and what a programme pays for it;
`settlement.balances` and `settlement.programmes` tell how that is done fast. Nothing here is clever:
balances are a dict, and amounts are reckoned from an order's totals. What the book does is taken as
given, as events of `matching.reference`. Beside it stand

- `reference_orders`: the words, and what an order has at stake;
- `reference_accounts`: deposits, withdrawals, transfers, issues, adjustments, and all postings;
- `reference_programmes`: what is reserved, paid and owed, as sums over all orders;
- `reference_redemptions`: what is redeemed, and what perishes;
- `reference_reversals`: what is undone.

>>> ledger = ReferenceLedger()
>>> for name in ("HOUSE", "YUN", "ANN"):
...     ledger.admit(Member(group=name))
>>> ledger.list_instrument(Listing(kind="model", provider=1, list_price=100))
>>> ledger.issue(0, 5)
>>> ledger.deposit(2, 1_000)
>>> sell = ledger.enter(Asked(member=1, side=Side.SELL, price=90, quantity=5), order=1)
>>> buy = ledger.enter(Asked(member=2, side=Side.BUY, price=100, quantity=3), order=2)
>>> ledger.balances[2, MONEY].available, ledger.balances[2, MONEY].held, ledger.balances[1, 1].held
(700, 300, 5)
"""

from __future__ import annotations

from collections import defaultdict

from matching.reference import Event
from matching.vocabulary import EventKind, OrderState, Phase, RejectReason, Side
from settlement.layout import HOUSE, MONEY, NO_PROGRAMME
from settlement.reference_accounts import Line
from settlement.reference_orders import (
    Asked,
    Balance,
    Effect,
    Fill,
    Listing,
    Member,
    Order,
    Part,
    Programme,
    Refused,
    most_it_costs,
    rate_for,
    share,
)
from settlement.reference_reversals import Reversals, Trade

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


class ReferenceLedger(Reversals):
    """Who owns what, and what programmes pay, without haste."""

    def __init__(self) -> None:
        """Open a ledger of nobody and nothing."""
        super().__init__()
        self.fees: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))

    def set_fees(self, kind: str, maker: int, taker: int) -> None:
        """Set the fees of one kind of instrument, in basis points, for orders entered from now on."""
        self.fees[kind] = (maker, taker)

    # --- what an order holds, or why it is refused -------------------------------------------

    def enter(self, asked: Asked, order: int) -> Order:
        """Hold and reserve what a new order may cost. Raises `Refused`; then nothing has changed."""
        maker_fee, taker_fee = self.fees[self.listings[asked.instrument].kind]
        one = Order(order, asked, maker_fee, taker_fee, asked.price, asked.quantity)
        programme = None
        if asked.programme != NO_PROGRAMME:
            programme = self.programme_for(asked)
            self.plan(one, programme)
        self.hold(one, self.need_of(one))
        if programme is not None:
            programme.orders.append(one)
        self.open[order] = one
        self.members[asked.member].open_orders += 1
        return one

    def replace(self, order: Order, price: int, quantity: int, now: int) -> None:
        """Hold and reserve for a new price and total, before the book changes anything.

        Raises `Refused`; then nothing has changed.
        """
        before = order.price, order.quantity, order.cover, order.subsidy_max, order.reserved
        try:
            self.plan_anew(order, price, quantity, now)
            order.price, order.quantity = price, quantity
            self.hold(order, self.need_of(order))
        except Refused:
            order.price, order.quantity, order.cover, order.subsidy_max, order.reserved = before
            raise

    def need_of(self, order: Order) -> int:
        """Return what an order must hold now: a sell its open lots, a buy the most that it still costs."""
        if not order.is_buy:
            return order.leaves
        return most_it_costs(order, order.price, order.leaves, order.reserved)

    def hold(self, order: Order, held: int) -> None:
        """Let an order hold so much in all. Raises `Refused` if what is lacking is not available."""
        balance = self.source_of(order)
        if held - order.held > balance.available:
            reason = RejectReason.MONEY_NOT_AVAILABLE if order.is_buy else RejectReason.CREDITS_NOT_AVAILABLE
            raise Refused(reason, balance.available)
        balance.available -= held - order.held
        balance.held += held - order.held
        order.held = held

    def source_of(self, order: Order) -> Balance:
        """Return what an order is paid from: a buy from money, a sell from credits."""
        return self.money_of(order) if order.is_buy else self.credits_of(order)

    def money_of(self, order: Order) -> Balance:
        """Return the money of an order's member."""
        return self.money(order.asked.member)

    def credits_of(self, order: Order) -> Balance:
        """Return the credits that an order's member has of its instrument."""
        return self.credits(order.asked.member, order.asked.instrument)

    # --- what the book's events mean -----------------------------------------------------------

    def settle(self, event: Event) -> Effect:
        """Settle one event of an order: it enters, trades, is changed or triggered, or ends."""
        order = self.open[event.order]
        match event.kind:
            case EventKind.ACCEPTED | EventKind.REPLACED:
                return Effect(order.part(), subsidy=order.reserved)
            case EventKind.TRADED:
                return self.trade(order, self.open[event.maker_order], event)
            case EventKind.REDUCED:
                self.keep(order, order.price, event.quantity)
                return Effect(order.part())
            case EventKind.TRIGGERED:
                self.keep(order, event.price, order.quantity)
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
        quantity, amount = event.quantity, event.price * event.quantity
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
        subsidy = self.earn(buy, sell, event.price, quantity)
        cost, proceeds = amount + fees[buy.id] - subsidy, amount - fees[sell.id]
        self.spend(sell, quantity)
        self.spend(buy, cost)
        self.money_of(sell).available += proceeds
        self.hold(buy, self.need_of(buy))
        if buy.programme is None:
            self.credits_of(buy).available += quantity
        else:
            self.credits_of(buy).restricted += quantity
        self.traded[self.trades] = Trade(
            self.trades, buy, sell, event.price, quantity, fees[buy.id], fees[sell.id]
        )
        entry = self.post_trade(buy, sell, cost, proceeds, subsidy, quantity)
        for order in (taker, maker):
            if order.leaves == 0:
                self.end(order, OrderState.FILLED)
        own, other = taker.part(fees[taker.id]), maker.part(fees[maker.id])
        return Effect(own, other, subsidy, entry, self.trades)

    def post_trade(
        self, buy: Order, sell: Order, cost: int, proceeds: int, subsidy: int, quantity: int
    ) -> int:
        """Post a trade: what its buyer pays, its programme pays, its seller and the house get; the lots."""
        buyer, seller = buy.asked.member, sell.asked.member
        code = buy.programme.terms.code if buy.programme else ""
        account, asset = "free" if buy.programme is None else "restricted", buy.asked.instrument + 1
        return self.post(
            "trade",
            Line(buyer, "free", MONEY, -cost),
            Line(HOUSE, f"programme:{code}", MONEY, -subsidy),
            Line(seller, "free", MONEY, proceeds),
            Line(HOUSE, "fees", MONEY, cost + subsidy - proceeds),
            Line(buyer, account, asset, quantity),
            Line(seller, "free", asset, -quantity),
        )

    def charge(self, order: Order) -> int:
        """Charge an order its fee: as maker and as taker, each a share of all it has traded that way."""
        due = share(order.maker_gross, order.maker_fee) + share(order.taker_gross, order.taker_fee)
        fee = due - order.fees
        order.fees = due
        self.fees_earned += fee
        return fee

    def earn(self, buy: Order, sell: Order, price: int, quantity: int) -> int:
        """Let a buy earn for a fill what its programme promises; return what that pays at once."""
        if buy.programme is None:
            return 0
        covered = min(quantity, buy.cover)
        buy.cover -= covered
        buy.fills.append(Fill(self.trades, price, quantity, covered, sell.asked.member))
        before = buy.earned
        buy.reckon()
        return buy.earned - before if buy.programme.is_deducting else 0

    def spend(self, order: Order, amount: int) -> None:
        """Take what an order spends out of what it holds."""
        self.source_of(order).held -= amount
        order.held -= amount

    def keep(self, order: Order, price: int, quantity: int) -> None:
        """Keep at stake only what an order may need with this price and total; the rest goes back."""
        order.price, order.quantity = price, quantity
        self.release_cover(order, keep=min(order.cover, order.leaves))
        order.reckon()
        self.hold(order, self.need_of(order))

    def end(self, order: Order, state: OrderState) -> None:
        """End an order, and give back all that it still has at stake."""
        order.state = state
        del self.open[order.id]
        self.members[order.asked.member].open_orders -= 1
        self.release_cover(order, keep=0)
        order.reckon()
        self.hold(order, 0)

    def release_cover(self, order: Order, keep: int) -> None:
        """Count the covered lots beyond `keep`, which will not come any more, against no cap."""
        order.cover = keep
