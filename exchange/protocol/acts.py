"""Acts: what the venue and its operators decide, each a sequenced command with who and why.

Everything that shapes an outcome enters this way, so that the journal alone tells the whole story.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from exchange.calendar import Calendar
from exchange.instruments import Instrument, Kind, Mode, State
from settlement.terms import ProgrammeTerms

RoleName = Literal["firm", "provider", "programme_office", "operator", "auditor"]
SizeName = Literal["micro", "small", "medium", "large"]
PhaseName = Literal["closed", "pre_open", "no_cancel", "auction", "continuous", "halted"]


class ListInstruments(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """List instruments. Without a calendar those of mode continuous trade at once; all others are closed."""

    instruments: tuple[Instrument, ...]


class SetFees(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Set the fees of one kind of instrument, in basis points of an order's amount."""

    kind: Kind
    maker: int
    taker: int


class Admit(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True, kw_only=True):
    """Admit a member. A blank group means that the member is its own. Limits in lots, hao, hao a day."""

    member: str
    role: RoleName
    group: str = ""
    size: SizeName = "large"
    region: str = ""
    domestic_only: bool = False
    open_orders_max: int = 10_000
    quantity_max: int = 10**9
    notional_max: int = 10**14
    turnover_max: int = 10**16


class RegisterKey(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Let a public key (40 characters of Z85) speak for a member."""

    member: str
    public_key: str


class RevokeKey(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Let a public key speak for nobody from now on."""

    public_key: str


class DefineProgramme(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Open a programme with its whole budget uncommitted."""

    terms: ProgrammeTerms


class Deposit(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Book money, in hao, that a member has paid in."""

    member: str
    amount: int


class SetCapacity(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Set how many lots of its instrument a provider may have issued in all."""

    instrument: str
    lots: int


class Issue(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Issue credits of an instrument to its provider, within the capacity."""

    instrument: str
    lots: int


class SetPhase(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Set what an instrument's market is doing; a blank instrument means all that may do it now.

    A `reference` above 0, in hao, becomes the reference price. The sequencer says of a call which it is,
    until when it lasts (ns since 1970), and whether that was put off once.
    """

    instrument: str
    phase: PhaseName
    reference: int = 0
    call: str = ""
    until: int = 0
    extended: bool = False


class SetState(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Set an instrument's listing state; its phase follows."""

    instrument: str
    state: State


class AllowModes(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Say which modes of trading the venue may run."""

    modes: tuple[Mode, ...]


class SetCollars(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Set the collars of one kind of instrument, per mille; 0: none.

    `market` bounds protection prices, `static` trades about the reference, `dynamic` about the last price.
    """

    kind: Kind
    market: int
    static: int
    dynamic: int


class SetCalendar(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Set the trading calendar."""

    calendar: Calendar


class BeginFixing(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Begin to note the trades that a day's fixing may rest on."""

    day: date


class FixPrices(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Find the day's price of every instrument; it becomes the reference."""

    day: date


class BlockMember(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Refuse a member's new orders, or take that back. Cancels stay free."""

    member: str
    blocked: bool


Act = (
    ListInstruments
    | SetFees
    | Admit
    | RegisterKey
    | RevokeKey
    | DefineProgramme
    | Deposit
    | SetCapacity
    | Issue
    | SetPhase
    | SetState
    | AllowModes
    | SetCollars
    | SetCalendar
    | BeginFixing
    | FixPrices
    | BlockMember
)


class SignedAct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An act with the member who decided it and the reason given."""

    who: str
    why: str
    act: Act


ENCODER = msgspec.msgpack.Encoder()
DECODER = msgspec.msgpack.Decoder(tuple[SignedAct, ...])


def encode_acts(acts: tuple[SignedAct, ...]) -> bytes:
    """Return the acts of one batch as they stand in the journal."""
    return ENCODER.encode(acts)


def decode_acts(data: bytes) -> tuple[SignedAct, ...]:
    """Read the acts of one batch. Raises `msgspec.ValidationError` that names the field."""
    return DECODER.decode(data) if data else ()
