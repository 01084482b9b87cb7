"""What a what-if found, as plain data: the journal as it was, beside the same orders under other terms.

Money is in hao, quantities in lots, prices in hao per lot, times in ns since 1970, shares in basis points.
In every pair `history` is what the journal leads to, `other` what the other terms do.
"""

from __future__ import annotations

import msgspec

ASSUMED = (
    "The same orders come at the same times: nobody reacts to other terms, no order comes that did not come.",
    "Prices move only as the book makes them, out of these orders.",
    "Operators, the calendar and the venue's clocks act as they did. A bust follows its trade: the same two "
    "orders, at the same command.",
    "Credits are redeemed and money is moved as far as they are there; acts refused for that are told.",
    "A call that a collar begins under the other terms alone has no end in the journal: it lasts until the "
    "calendar, or an operator, next sets the instrument's phase.",
)
"""What a what-if takes as unchanged, in words."""


class Figures(msgspec.Struct, frozen=True):
    """What programmes did in one of the two worlds for some firms, or for some instruments.

    `subsidy` is what was granted: paid at trades, owed as credits are redeemed, awarded, or shared at year's
    end; what was busted or found ineligible is out of it. `lots` and `amount` are the subsidised lots and
    their price, counted up to the ceiling; `firms` are those with a subsidy above 0.
    """

    subsidy: int = 0
    firms: int = 0
    orders: int = 0
    lots: int = 0
    amount: int = 0


class Moment(msgspec.Struct, frozen=True):
    """When something first happened: the sequence and the time of the command."""

    sequence: int
    time: int


class ProgrammeSide(msgspec.Struct, frozen=True, kw_only=True):
    """A programme at the end of one world.

    `committed` is reserved + paid + vested. `to_come` is what is granted and not paid yet (reimbursement as
    credits are redeemed), `owed` what firms owe back: paid + vested = granted.subsidy - to_come + owed.
    `claims` are open ones on a pro-rata budget. `orders_refused` are those that it was exhausted for: its
    budget, or the firm's own cap; `refused_otherwise` were refused for any other reason. `exhausted` is the
    first of the former, `emptied` the first moment at which nothing was uncommitted.
    """

    budget: int
    uncommitted: int
    reserved: int
    paid: int
    vested: int
    granted: Figures
    to_come: int
    owed: int
    claims: int
    orders: int
    orders_refused: int
    refused_otherwise: int
    exhausted: Moment | None
    emptied: Moment | None

    @property
    def committed(self) -> int:
        """What of the budget is no longer free."""
        return self.reserved + self.paid + self.vested


class Curve(msgspec.Struct, frozen=True):
    """How a budget was spent: at the end of each span, what was committed, and what was paid and vested.

    `starts` are where the spans begin, in ns since 1970. A span in which nothing came has what was before.
    """

    starts: tuple[int, ...]
    history_committed: tuple[int, ...]
    other_committed: tuple[int, ...]
    history_paid: tuple[int, ...]
    other_paid: tuple[int, ...]


class ProgrammePair(msgspec.Struct, frozen=True):
    """One programme in both worlds; a curve is drawn of those whose terms are other."""

    programme: str
    is_replaced: bool
    history: ProgrammeSide
    other: ProgrammeSide
    curve: Curve | None


class FiguresPair(msgspec.Struct, frozen=True):
    """One class of firms or of instruments in both worlds."""

    name: str
    history: Figures
    other: Figures


class FirmPair(msgspec.Struct, frozen=True):
    """What all programmes together granted one firm."""

    firm: str
    size: str
    history: int
    other: int

    @property
    def change(self) -> int:
        """How much more it gets under the other terms."""
        return self.other - self.history


class Firms(msgspec.Struct, frozen=True):
    """Who gains and who loses: counts, the ten largest each way, and how much the ten largest firms have."""

    gain: int
    lose: int
    same: int
    gainers: tuple[FirmPair, ...]
    losers: tuple[FirmPair, ...]
    history_top_ten_basis_points: int
    other_top_ten_basis_points: int


class Trades(msgspec.Struct, frozen=True):
    """Trades of the same two orders at the same command, `altered` ones otherwise; and the rest."""

    in_both: int
    altered: int
    only_history: int
    only_other: int
    history_lots: int
    other_lots: int
    history_amount: int
    other_amount: int


class Refusals(msgspec.Struct, frozen=True):
    """New orders refused for one reason."""

    reason: str
    history: int
    other: int


class Orders(msgspec.Struct, frozen=True):
    """New orders that were refused, by reason, and how many of them in one world alone.

    `others_only_*` are cancels, reductions and replacements.
    """

    refusals: tuple[Refusals, ...]
    refused_only_history: int
    refused_only_other: int
    others_only_history: int
    others_only_other: int


class InstrumentPair(msgspec.Struct, frozen=True):
    """An instrument whose mean price, amount / lots rounded to a hao, is another, None without a trade."""

    instrument: str
    history_lots: int
    other_lots: int
    history_price: int | None
    other_price: int | None

    @property
    def change(self) -> int | None:
        """How much higher the mean price is under the other terms; None without one in both."""
        if self.history_price is None or self.other_price is None:
            return None
        return self.other_price - self.history_price


class ActsApart(msgspec.Struct, frozen=True):
    """Acts that only one world has taken: their sort, why the other has not, how many, the first sequence."""

    act: str
    why: str
    count: int
    first: int


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """All that a what-if found. `identity`: both worlds have come to one state, bit for bit.

    `lost_acts` were done and are not under the other terms, `gained_acts` the reverse. `revisions_left_out`
    are (programme, version) of terms that the other terms stand for. `calls_by_collar` are how often a collar
    began a call. `since` is the sequence of the snapshot that both began at, 0 for the journal's beginning.
    """

    identity: bool
    since: int
    commands: int
    begins: int
    ends: int
    span: str
    history_state: str
    other_state: str
    programmes: tuple[ProgrammePair, ...]
    sizes: tuple[FiguresPair, ...]
    kinds: tuple[FiguresPair, ...]
    firms: Firms
    trades: Trades
    orders: Orders
    instruments: tuple[InstrumentPair, ...]
    lost_acts: tuple[ActsApart, ...]
    gained_acts: tuple[ActsApart, ...]
    revisions_left_out: tuple[tuple[str, int], ...]
    history_calls_by_collar: int
    other_calls_by_collar: int
    assumed: tuple[str, ...] = ASSUMED
    told: tuple[str, ...] = ()
