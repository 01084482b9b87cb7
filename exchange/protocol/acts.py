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
CancelCause = Literal["session_lost", "dead_man", "operator"]
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
    """Admit a member. A blank group means that the member is its own. Limits in lots, hao, hao a day.

    A member with an `owner` is a second account of that member: of its group, size and regions.
    """

    member: str
    role: RoleName
    group: str = ""
    owner: str = ""
    districts: tuple[str, ...] = ()
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


GUARD_SECONDS_MAX = 86_400
"""Longest time that a member may fall silent before its orders go: a day."""


class Guard(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Say what takes a member's open orders back when it falls silent; all that was said before is replaced.

    `on_disconnect`: the loss of a session that asked for it. `seconds`, if not 0: as long without a word
    that puts it off. The venue's gateway watches, and says so when a member's session asks for it.
    """

    member: str
    on_disconnect: bool = False
    seconds: int = 0


class CancelOrders(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Cancel all open orders of a member that its instruments' phases let go."""

    member: str
    cause: CancelCause = "operator"


class KeepIds(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Set how many client ids of each member are remembered; more than before, or as many."""

    per_member: int


class DefineProgramme(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Open a programme with its whole budget uncommitted."""

    terms: ProgrammeTerms


class Deposit(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Book money, in hao, that a member has paid in. Sent again with its reference, it is done once."""

    member: str
    amount: int
    reference: str = ""


class Withdraw(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Book money, in hao, that is paid out to a member: free money only, and none while it has a debt."""

    member: str
    amount: int
    reference: str


class Transfer(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Move free money (`instrument` blank), in hao, or free credits, in lots, within one owner's accounts."""

    source: str
    target: str
    instrument: str
    amount: int
    reference: str


class SetCapacity(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Set how many lots of its instrument a provider may have issued in all."""

    instrument: str
    lots: int


class Issue(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Issue credits of an instrument to a provider of it (blank: its own), within the capacity."""

    instrument: str
    lots: int
    provider: str = ""


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


class SetLimits(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True, kw_only=True):
    """Set a member's limits for orders from now on: in lots, hao, hao a day; None leaves one as it is.

    A limit may be below what is open now: what rests stays, and new orders are refused by it.
    """

    member: str
    open_orders_max: int | None = None
    quantity_max: int | None = None
    notional_max: int | None = None
    turnover_max: int | None = None


class Redeem(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Ask a provider for what credits stand for; their lots are set aside until it is delivered."""

    member: str
    instrument: str
    lots: int
    reference: str


class Recall(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Take a redemption back that the provider has not delivered."""

    redemption: int


class Deliver(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Confirm, as the provider, that a redemption was delivered. Of an agent's task its window begins."""

    redemption: int


class Accept(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Accept, as the firm, an agent's delivered task."""

    redemption: int


class Dispute(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Dispute, as the firm, an agent's delivered task within its window."""

    redemption: int


class Resolve(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Decide a disputed task: its credits are burned, or given back."""

    redemption: int
    is_accepted: bool


class CloseWindows(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Accept every delivered task whose window is over."""


class PromptDetails(msgspec.Struct, frozen=True):
    """What of a prompt's tokens came from a cache."""

    cached_tokens: int = 0


class TokenUsage(msgspec.Struct, frozen=True):
    """What one call of a model used, in the shape that OpenAI's interface made common."""

    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: PromptDetails = PromptDetails()


class UsageRecord(msgspec.Struct, frozen=True):
    """One call of a model by a member: `created` in seconds since 1970, `model` the meter's name."""

    id: str
    member: str
    model: str
    created: int
    usage: TokenUsage


class RecordUsage(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Redeem what members have used: told by the models' provider, or by the venue's meter. All or none.

    A record whose id is known is passed over.
    """

    records: tuple[UsageRecord, ...]


class ExpireCredits(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Burn what is left of an instrument whose day is over."""

    instrument: str


class ReviseProgramme(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Give a programme its next version of terms, for orders from now on. Two operators."""

    terms: ProgrammeTerms


class Enrol(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Enrol members in a programme, each account by its own name, or withdraw their enrolment.

    Terms of the enrolment `listed` pay for orders of enrolled members only. Who is withdrawn enters no more
    orders under the programme; what is reserved for open ones stays. Operators and programme offices.
    """

    programme: str
    members: tuple[str, ...]
    enrolled: bool = True


class Reweight(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Give a suspended model new weights, per mille of an input token. Two operators.

    Usage that is recorded from now on burns by them; credits, prices and open orders stay as they are.
    """

    instrument: str
    weight_input: int
    weight_cached: int
    weight_output: int


class GrantAward(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Pay a firm an award for its measured use, in hao. Two operators."""

    programme: str
    member: str
    amount: int


class CloseYear(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Close a programme whose year is over; claims on a pro-rata one are shared and paid."""

    programme: str


class Bust(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Undo one of the latest trades. Two operators."""

    trade: int


class AdjustmentLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Free money (`instrument` blank) in hao or free credits in lots, given (above 0) or taken."""

    member: str
    instrument: str
    amount: int


class Adjust(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Book lines that sum to zero, asset by asset. Two operators."""

    lines: tuple[AdjustmentLine, ...]


class FindRelated(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Find two members related: one group from now on, and no subsidy for what was traded between them."""

    member: str
    other: str


class FindIneligible(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Find that a member was not eligible for a programme: what it was paid is its debt."""

    member: str
    programme: str


class SettleDebt(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Pay a member's debt to a programme, or part of it, out of its free money."""

    member: str
    programme: str
    amount: int


TwoPersonsAct = ReviseProgramme | GrantAward | Bust | Adjust | Admit | RegisterKey | Reweight
"""What one operator proposes and another approves."""


class Propose(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Propose an act that needs two operators; it stands until it is approved."""

    act: TwoPersonsAct


class Approve(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Approve what another operator has proposed by the command `proposal`; it is done now.

    With `is_approved` false it is dropped instead, which whoever has proposed it may do as well.
    """

    proposal: int
    is_approved: bool = True


_OfMarkets = (
    ListInstruments | SetPhase | SetState | AllowModes | SetCollars | SetCalendar | BeginFixing | FixPrices
)
_OfMembers = (
    SetFees | Admit | RegisterKey | RevokeKey | BlockMember | SetLimits | Guard | CancelOrders | KeepIds
)
_OfMoney = Deposit | Withdraw | Transfer | SetCapacity | Issue
_OfCredits = (
    Redeem | Recall | Deliver | Accept | Dispute | Resolve | CloseWindows | RecordUsage | ExpireCredits
)
_OfProgrammes = DefineProgramme | CloseYear | Enrol | FindRelated | FindIneligible | SettleDebt
_OfTwoPersons = ReviseProgramme | Reweight | GrantAward | Bust | Adjust | Propose | Approve

Act = _OfMarkets | _OfMembers | _OfMoney | _OfCredits | _OfProgrammes | _OfTwoPersons
"""Whatever can be decided, by what it is about."""


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
