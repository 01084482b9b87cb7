"""The words of the reference ledger: members, programmes, and what an order has at stake.

`settlement.reference` says what is done with them; start there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from matching.vocabulary import OrderState, RejectReason, Role, Side, Size, TimeInForce
from settlement.layout import NO_PROGRAMME
from settlement.terms import ProgrammeTerms


class Asked(NamedTuple):
    """What the ledger reads of a new order. Price in hao a lot, quantity in lots, time in ns."""

    member: int
    price: int
    quantity: int
    side: int = Side.BUY
    time_in_force: int = TimeInForce.GTC
    instrument: int = 0
    programme: int = NO_PROGRAMME
    time: int = 0


class Part(NamedTuple):
    """One order's part in an event: how it stands afterwards, and what this event charged it."""

    order: Order
    state: OrderState
    filled: int
    gross: int
    paid: int
    fee: int


class Effect(NamedTuple):
    """What an event means in money. `maker`, `entry` and `trade` are there for a trade; `subsidy` is what
    a programme paid at this trade, or reserved at this acceptance."""  # noqa: D205, D209

    own: Part
    maker: Part | None = None
    subsidy: int = 0
    entry: int = 0
    trade: int = 0


@dataclass
class Balance:
    """What a member has of one asset: free, reserved by open orders, and bought with a subsidy."""

    available: int = 0
    held: int = 0
    restricted: int = 0


@dataclass
class Member:
    """Who may trade, within which limits; what is open of his, and what he has traded today."""

    group: str
    role: Role = Role.FIRM
    size: Size = Size.LARGE
    region: str = ""
    domestic_only: bool = False
    open_orders_max: int = 10_000
    quantity_max: int = 10**9
    notional_max: int = 10**14
    turnover_max: int = 10**16
    blocked: bool = False
    open_orders: int = 0
    turnover: int = 0


@dataclass
class Listing:
    """What the ledger knows of an instrument; its tick and its phase are the book's."""

    kind: str
    provider: int
    list_price: int
    domestic: bool = False
    filed: bool = False
    issued: int = 0


@dataclass
class Programme:
    """A programme's terms, and its budget: uncommitted + reserved + paid + vested is all of it.

    What a group has used, reserved and paid together, is counted in hao and in lots.
    """

    terms: ProgrammeTerms
    uncommitted: int
    reserved: int = 0
    paid: int = 0
    vested: int = 0
    used_money: Counter[str] = field(default_factory=Counter)
    used_lots: Counter[str] = field(default_factory=Counter)


@dataclass(eq=False)
class Order:
    """What an order asked, what became of it, and what it has at stake.

    Of the programme's rule, `subsidy_max` is S, `ceiling` is C, `covered_gross` is the gross amount
    within cover, and `cover` counts the subsidised lots that are still to come. `taken_off` are the lots
    by which the order was reduced.
    """

    id: int
    asked: Asked
    maker_fee: int
    taker_fee: int
    state: OrderState = OrderState.OPEN
    filled: int = 0
    taken_off: int = 0
    maker_gross: int = 0
    taker_gross: int = 0
    fees: int = 0
    held: int = 0
    programme: Programme | None = None
    rate: int = 0
    ceiling: int = 0
    subsidy_max: int = 0
    cover: int = 0
    covered_gross: int = 0
    paid: int = 0
    reserved: int = 0

    @property
    def quantity(self) -> int:
        """Return the order's total as it is now."""
        return self.asked.quantity - self.taken_off

    @property
    def leaves(self) -> int:
        """Return the lots that are not filled."""
        return self.quantity - self.filled

    @property
    def gross(self) -> int:
        """Return price x quantity over all of its fills."""
        return self.maker_gross + self.taker_gross

    def part(self, fee: int = 0) -> Part:
        """Return how the order stands now."""
        return Part(self, self.state, self.filled, self.gross, self.paid, fee)


class Refused(Exception):
    """A command is refused; `detail` is the number that the refusal speaks of."""

    def __init__(self, reason: RejectReason, detail: int = 0) -> None:
        super().__init__(reason.name)
        self.reason = reason
        self.detail = detail


def share(amount: int, rate: int) -> int:
    """Return `rate` basis points of an amount, rounded down."""
    return amount * rate // 10_000


def rate_for(terms: ProgrammeTerms, firm: Member, listing: Listing) -> int:
    """Return a programme's rate for this firm and instrument: the first of its rates that fits, else 0."""
    if terms.regions and firm.region not in terms.regions:
        return 0
    for rate in terms.rates:
        if (
            (not rate.sizes or firm.size.name.lower() in rate.sizes)
            and (not rate.kinds or listing.kind in rate.kinds)
            and rate.domestic in (None, listing.domestic)
            and rate.filed in (None, listing.filed)
        ):
            return rate.rate
    return 0


def most_it_earns(order: Order) -> int:
    """Return what a programme may still pay for the covered lots that are to come."""
    to_come = min(order.asked.price, order.ceiling) * order.cover
    return min(share(order.covered_gross + to_come, order.rate), order.subsidy_max) - order.paid


def most_it_costs(order: Order) -> int:
    """Return what a buy may still cost its member: price x leaves and his highest fee, less the subsidy."""
    rest = order.asked.price * order.leaves
    highest = max(order.maker_fee, order.taker_fee)
    return rest + share(order.gross + rest, highest) - order.fees - order.reserved
