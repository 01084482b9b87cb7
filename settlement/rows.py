"""What acts bring to the store beside trades: members, instruments, programmes, phases, fixings, postings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from datetime import date

Cause = Literal["", "static_collar", "dynamic_collar"]
RedemptionState = Literal["requested", "delivered", "disputed", "confirmed", "returned"]
LegReason = Literal["reimbursed", "award", "share", "bust", "settled", "related", "ineligible"]
Rung = Literal["closing_auction", "last_half_hour", "quotes", "carried"]


class MemberRow(msgspec.Struct, frozen=True):
    """A member as it stands after the command `sequence`."""

    sequence: int
    index: int
    member: str
    group_name: str
    size: str
    region: str
    role: str
    owner: str


class InstrumentRow(msgspec.Struct, frozen=True):
    """An instrument as it stands after the command `sequence`, by whom and why. Prices in hao per lot."""

    sequence: int
    index: int
    instrument: str
    name: str
    kind: str
    provider: str
    domestic: bool
    filed: bool
    region: str
    tier: str
    tick: int
    list_price: int
    expires: date | None
    redeemed_as: str
    weight_input: int
    weight_cached: int
    weight_output: int
    milli_pflops: int
    state: str
    mode: str
    source: str
    source_version: str
    source_date: str
    time: int
    who: str
    why: str


class ProgrammeRow(msgspec.Struct, frozen=True):
    """A programme in one fiscal year, and its budget's four states, in hao."""

    index: int
    programme: str
    fiscal_year: int
    terms_version: int
    budget: int
    uncommitted: int
    reserved: int
    paid: int
    vested: int


class Posting(msgspec.Struct, frozen=True):
    """One signed line of an entry. `account` is a word of `PostingAccount`, a programme's with `:CODE`."""

    entry: int
    sequence: int
    time: int
    member: int
    account: str
    asset: int
    amount: int
    reason: str


class PhaseRow(msgspec.Struct, frozen=True):
    """A change of an instrument's phase, by an act (`who` and `why`) or, without one, by a collar (`cause`).

    `instrument` is its number, `phase` its phase from now on, in words; `reference` its reference price
    now, in hao, 0: none. Listing an instrument tells its first phase.
    """

    sequence: int
    time: int
    instrument: int
    phase: str
    reference: int
    cause: Cause
    who: str
    why: str


class FixingRow(msgspec.Struct, frozen=True):
    """The price of one instrument for one day, and what it rests on. Prices in hao, quantities in lots.

    `instrument` is its number. The inputs of a rung are None where it was not tried or had none. `trades`
    and `quantity` count all trades of the last half hour; where they are enough, `median` is their
    lot-weighted median price, and `outliers` says how many of the trades were left out. `carried_from` is
    the day of the fixing before, carried itself or not; None if the list price stands in for it.
    """

    day: date
    instrument: int
    sequence: int
    time: int
    price: int
    rung: Rung
    stale: bool
    auction_quantity: int | None
    trades: int | None
    quantity: int | None
    outliers: int | None
    median: int | None
    bid: int | None
    ask: int | None
    carried_from: date | None


class RedemptionRow(msgspec.Struct, frozen=True):
    """A redemption as it stands after the command `sequence`; lots of it were restricted credits.

    `redemption` is the sequence of the command that asked for it; usage that is recorded is at once
    confirmed. `vested` is what programmes have vested by it, in hao, `reimbursed` what of that was paid
    to the member then. `reference` is the member's own, or the usage record's id; `units` are weighted
    thousandths of token units of a usage record, else 0. Its lots may be 0: the lot before was not used up.
    """

    sequence: int
    time: int
    redemption: int
    number: int
    member: int
    instrument: int
    lots: int
    restricted: int
    state: RedemptionState
    reference: str
    units: int
    vested: int
    reimbursed: int


class LegRow(msgspec.Struct, frozen=True):
    """What a programme paid (or, below 0, took back) otherwise than at a trade, in hao.

    `trade` and `order` are 0 where it was for none.
    """

    sequence: int
    time: int
    trade: int
    order: int
    programme: int
    terms_version: int
    member: int
    amount: int
    reason: LegReason


class TermsRow(msgspec.Struct, frozen=True):
    """A version of a programme's terms, as the text of its file, in force from the command `sequence`."""

    sequence: int
    time: int
    programme: int
    terms_version: int
    terms: str


class BustRow(msgspec.Struct, frozen=True):
    """A trade that was undone by the command `sequence`."""

    sequence: int
    time: int
    trade: int
    who: str
    why: str


class ObligationRow(msgspec.Struct, frozen=True):
    """How a provider's obligation in an instrument has changed, in lots: at least one of the three."""

    sequence: int
    time: int
    provider: int
    instrument: int
    issued: int
    redeemed: int
    expired: int


class Happened(msgspec.Struct, frozen=True):
    """What the acts of one batch bring to the store."""

    members: tuple[MemberRow, ...] = ()
    instruments: tuple[InstrumentRow, ...] = ()
    postings: tuple[Posting, ...] = ()
    phases: tuple[PhaseRow, ...] = ()
    fixings: tuple[FixingRow, ...] = ()
    redemptions: tuple[RedemptionRow, ...] = ()
    legs: tuple[LegRow, ...] = ()
    terms: tuple[TermsRow, ...] = ()
    busts: tuple[BustRow, ...] = ()
    obligations: tuple[ObligationRow, ...] = ()
