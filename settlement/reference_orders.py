"""The words of the reference ledger: members, programmes, and what an order has at stake.

`settlement.reference` says what is done with them; start there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from matching.vocabulary import OrderState, RejectReason, Role, Side, Size, TimeInForce
from settlement.layout import NO_PROGRAMME
from settlement.terms import ProgrammeTerms


class Asked(NamedTuple):
    """What the ledger reads of a new order. Price in hao a lot, quantity in lots, time in ns.

    The price is its limit, or the protection price that its acceptance will tell.
    """

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
    a programme paid at this trade, or reserves after this acceptance or replacement."""  # noqa: D205, D209

    own: Part
    maker: Part | None = None
    subsidy: int = 0
    entry: int = 0
    trade: int = 0


@dataclass
class Balance:
    """What a member has of one asset: free, held by open orders, bought with a subsidy, set aside by open
    redemptions; of money, what it owes to programmes."""  # noqa: D205, D209

    available: int = 0
    held: int = 0
    restricted: int = 0
    redeeming: int = 0
    debt: int = 0


@dataclass
class Member:
    """Who may trade, within which limits; what is open of his, and what he has traded today.

    `owner` is the number of the member whose second account this is; None for a member of its own.
    """

    group: str
    role: Role = Role.FIRM
    size: Size = Size.LARGE
    region: str = ""
    districts: tuple[str, ...] = ()
    owner: int | None = None
    domestic_only: bool = False
    open_orders_max: int = 10_000
    quantity_max: int = 10**9
    notional_max: int = 10**14
    turnover_max: int = 10**16
    blocked: bool = False
    open_orders: int = 0
    turnover: int = 0


@dataclass(eq=False)
class Issued:
    """Lots that a provider has issued at once, and how many of them were redeemed and have expired."""

    provider: int
    lots: int
    redeemed: int = 0
    expired: int = 0

    @property
    def owed(self) -> int:
        """Return the lots that it still owes."""
        return self.lots - self.redeemed - self.expired


@dataclass(eq=False)
class Listing:
    """What the ledger knows of an instrument; its tick and its phase are the book's.

    `ends` is when its credits have perished, in ns; None if they never do. Usage is recorded under
    `meter`. `providers` are all who may issue it. `issues` stand in their order.
    """

    kind: str
    provider: int
    list_price: int
    domestic: bool = False
    filed: bool = False
    symbol: str = ""
    meter: str = ""
    ends: int | None = None
    weights: tuple[int, int, int] = (0, 0, 0)
    providers: tuple[int, ...] = ()
    issues: list[Issued] = field(default_factory=list)

    @property
    def issued(self) -> int:
        """Return how many lots were issued in all."""
        return sum(one.lots for one in self.issues)

    @property
    def redeemed(self) -> int:
        """Return how many of them were redeemed."""
        return sum(one.redeemed for one in self.issues)

    @property
    def expired(self) -> int:
        """Return how many of them have expired."""
        return sum(one.expired for one in self.issues)

    def may_issue(self, member: int) -> bool:
        """Tell whether a member is a provider of it."""
        return member == self.provider or member in self.providers

    def redeem(self, lots: int) -> None:
        """Let redeemed lots meet obligations in the order of issue."""
        for one, part in self.met_by(lots):
            one.redeemed += part

    def expire(self, lots: int) -> None:
        """Let expired lots meet obligations in the order of issue."""
        for one, part in self.met_by(lots):
            one.expired += part

    def met_by(self, lots: int) -> list[tuple[Issued, int]]:
        """Return which issues so many lots meet, oldest first, and how many of each."""
        met = []
        for one in self.issues:
            part = min(one.owed, lots)
            met.append((one, part))
            lots -= part
        return met


@dataclass(eq=False)
class Grant:
    """An award that was paid."""

    member: int
    amount: int


@dataclass(eq=False)
class Programme:
    """A programme's terms as they are now, and what it has done: for orders, in awards, for debtors.

    Nothing of its budget is counted here: `settlement.reference_programmes` reckons it from these lists.
    `measured` is (member, hao) of what was redeemed that an award may count; `barred` are members that were
    found ineligible, `enrolled` those that terms of the enrolment `listed` pay for.
    """

    terms: ProgrammeTerms
    orders: list[Order] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    debts: list[Debt] = field(default_factory=list)
    measured: list[Grant] = field(default_factory=list)
    barred: set[int] = field(default_factory=set)
    enrolled: set[int] = field(default_factory=set)
    closed: bool = False

    def takes(self, member: int) -> bool:
        """Tell whether it takes a member at all."""
        return self.terms.enrolment == "open" or member in self.enrolled

    @property
    def is_deducting(self) -> bool:
        """Tell whether it pays at the trade."""
        return self.terms.payout == "deduct"

    @property
    def is_shared(self) -> bool:
        """Tell whether claims share its budget at the end of the year; then it reserves nothing."""
        return self.terms.exhaustion == "pro_rata"


@dataclass(eq=False)
class Debt:
    """What a member owes to a programme: parts of it stand in what the programme has paid and vested."""

    member: int
    programme: Programme
    paid: int = 0
    vested: int = 0

    @property
    def amount(self) -> int:
        """Return what is still owed."""
        return self.paid + self.vested

    def settle(self, amount: int) -> None:
        """Pay a part: first of what stands in paid."""
        part = min(self.paid, amount)
        self.paid -= part
        self.vested -= amount - part


@dataclass(eq=False)
class Fill:
    """One fill of a buy that a programme pays for: who sold, and how many of its lots were within cover.

    `is_busted`: it was undone; `counts`: the programme pays for it.
    """

    trade: int
    price: int
    quantity: int
    covered: int
    seller: int
    is_busted: bool = False
    counts: bool = True


@dataclass(eq=False)
class Order:
    """What an order asked, what became of it, and what it has at stake.

    Of the programme's rule, `subsidy_max` is S, `ceiling` is C, and `cover` counts the subsidised lots
    that are still to come. Its fills are its parcel: `redeemed` lots of them are burned, `aside` are set
    aside for a redemption; `vested` and `claimed` are what that has brought.
    """

    id: int
    asked: Asked
    maker_fee: int
    taker_fee: int
    price: int = 0
    quantity: int = 0
    state: OrderState = OrderState.OPEN
    filled: int = 0
    maker_gross: int = 0
    taker_gross: int = 0
    fees: int = 0
    held: int = 0
    programme: Programme | None = None
    terms_version: int = 0
    rate: int = 0
    ceiling: int = 0
    subsidy_max: int = 0
    cover: int = 0
    fills: list[Fill] = field(default_factory=list)
    earned: int = 0
    reserved: int = 0
    redeemed: int = 0
    aside: int = 0
    vested: int = 0
    claimed: int = 0

    @property
    def is_buy(self) -> bool:
        """Tell whether it buys."""
        return self.asked.side == Side.BUY

    @property
    def leaves(self) -> int:
        """Return the lots that are not filled."""
        return self.quantity - self.filled

    @property
    def gross(self) -> int:
        """Return price x quantity over all of its fills."""
        return self.maker_gross + self.taker_gross

    @property
    def lots(self) -> int:
        """Return the lots of its parcel."""
        return sum(fill.quantity for fill in self.fills if not fill.is_busted)

    @property
    def lots_left(self) -> int:
        """Return the restricted lots of its parcel that may still be set aside."""
        return self.lots - self.redeemed - self.aside

    @property
    def covered_filled(self) -> int:
        """Return the lots within cover that its programme has paid for."""
        return sum(fill.covered for fill in self.fills if fill.counts)

    @property
    def covered_gross(self) -> int:
        """Return the amount of its fills that its programme pays a share of."""
        return sum(min(fill.price, self.ceiling) * fill.covered for fill in self.fills if fill.counts)

    def reckon(self) -> None:
        """Reckon anew from all fills what it has earned, and what of S may still come."""
        gross = self.covered_gross
        self.earned = min(share(gross, self.rate), self.subsidy_max)
        to_come = min(self.price, self.ceiling) * self.cover
        self.reserved = min(share(gross + to_come, self.rate), self.subsidy_max) - self.earned

    def part(self, fee: int = 0) -> Part:
        """Return how the order stands now."""
        return Part(self, self.state, self.filled, self.gross, self.earned, fee)


class Refused(Exception):
    """A command is refused; `detail` is the number that the refusal speaks of."""

    def __init__(self, reason: RejectReason, detail: int = 0) -> None:
        super().__init__(reason.name)
        self.reason = reason
        self.detail = detail


def must(holds: bool, reason: RejectReason, detail: int = 0) -> None:
    """Refuse what does not hold."""
    if not holds:
        raise Refused(reason, detail)


def share(amount: int, rate: int) -> int:
    """Return `rate` basis points of an amount, rounded down."""
    return amount * rate // 10_000


def fits_place(terms: ProgrammeTerms, firm: Member) -> bool:
    """Tell whether a firm is of a programme's regions, by its seat or by one of its districts."""
    return not terms.regions or not {firm.region, *firm.districts}.isdisjoint(terms.regions)


def rate_for(terms: ProgrammeTerms, firm: Member, listing: Listing) -> int:
    """Return a programme's rate for this firm and instrument: the first of its rates that fits, else 0."""
    if not fits_place(terms, firm) or (terms.instruments and listing.symbol not in terms.instruments):
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


def most_it_costs(order: Order, price: int, leaves: int, reserved: int) -> int:
    """Return what `leaves` more lots of a buy may cost its member at most, with his highest fee.

    What a deducting programme has reserved for it is not his to pay.
    """
    rest = price * leaves
    highest = max(order.maker_fee, order.taker_fee)
    discount = reserved if order.programme is not None and order.programme.is_deducting else 0
    return rest + share(order.gross + rest, highest) - order.fees - discount
