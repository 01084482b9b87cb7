"""What members and venue say to one another beside the order path: tagged structs in MessagePack.

A message is one ZeroMQ frame. Its first byte tells what follows: `C` commands and `R` reports are
fixed-width records (`exchange.protocol.records`), `M` is one struct of the unions below.
"""

from __future__ import annotations

import msgspec

from exchange.calendar import Calendar
from exchange.instruments import Instrument
from exchange.protocol.acts import Act, Admit, SetCollars, TwoPersonsAct
from exchange.protocol.query_messages import (
    CancelQuery,
    NextChunk,
    Query,
    QueryChunk,
    QueryResult,
    Rehearse,
    Rehearsed,
)
from settlement.rows import RedemptionState
from settlement.terms import ProgrammeTerms

PROTOCOL_VERSION = 2

COMMANDS = b"C"
REPORTS = b"R"
MESSAGE = b"M"

COMMANDS_PER_MESSAGE_MAX = 1024
"""Most commands in one message: 128 KiB, a bound on what one member can make the venue do at once."""

MESSAGE_BYTES_MAX = COMMANDS_PER_MESSAGE_MAX * 128 + 1_024
"""Largest message that a gateway reads, with room for what CURVE wraps round it; libzmq drops the
connection of who sends a larger one."""


class Logon(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """The first thing that a client says; before it nothing else is heard. Answered by `Welcome`.

    `since` is the highest sequence of which this client has heard all that concerns it: reports of later ones
    follow the `Welcome`, as far as the venue still has them. None: it begins anew. With
    `cancel_on_disconnect` all open orders of the member are cancelled when this session is lost without a
    `Logout`. Said again on the same connection it only learns anew what is listed; the other fields are not
    read then.
    """

    request: int
    version: int = PROTOCOL_VERSION
    since: int | None = None
    cancel_on_disconnect: bool = False


class Logout(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """End the session in good order: open orders stay. Answered by `Farewell`, the last word on it."""

    request: int


class CancelAllAfter(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Have all open orders of the member cancelled in `seconds`, unless this is said again; 0: never mind.

    The switch is the member's, and outlives session and venue: after a restart it begins anew. Answered by
    `Armed`.
    """

    request: int
    seconds: int


class AskAccount(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Ask for one's own balances. Answered by `Account`."""

    request: int


class AskOrders(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Ask for one's own open orders. Answered by `Orders`, whose bytes are REPORT records."""

    request: int


class AskRedemptions(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Ask for open redemptions: one's own and those that one may deliver. Answered by `Redemptions`.

    Operators and auditors are told of all.
    """

    request: int


class AskProposals(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Ask, as an operator or auditor, what is proposed and not approved. Answered by `Proposals`."""

    request: int


class AskKeys(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Ask which members there are, and which keys speak for them. Answered by `Keys`.

    Operators and auditors are told of all, or of the one `member` that they name; every other of itself.
    """

    request: int
    member: str = ""


class AskStatus(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Ask how the venue is. Answered by `Status`."""

    request: int


class Decide(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Have an act sequenced. An operator may decide all; a firm and a provider what is theirs to do."""

    request: int
    act: Act
    why: str


Request = (
    Logon
    | Logout
    | CancelAllAfter
    | AskAccount
    | AskOrders
    | AskRedemptions
    | AskProposals
    | AskKeys
    | AskStatus
    | Decide
)


class ListedInstrument(msgspec.Struct, frozen=True):
    """An instrument with the number that records name it by, and its fees now, in basis points."""

    index: int
    phase: str
    instrument: Instrument
    maker_fee: int
    taker_fee: int


class ListedProgramme(msgspec.Struct, frozen=True):
    """A programme, the number that records name it by, its budget now, in hao, and its terms.

    A closed one takes no orders, no awards and no claims any more.
    """

    index: int
    code: str
    fiscal_year: int
    terms_version: int
    budget: int
    uncommitted: int
    reserved: int
    paid: int
    vested: int
    is_closed: bool
    terms: ProgrammeTerms


class Welcome(msgspec.Struct, frozen=True, tag=True):
    """Answer to `Logon`: who you are here, what is traded, and how far the journal has come.

    `resumed` tells from where on reports follow: all of the member's with sequences above it, and up to
    `sequence`, come next. Where it is above the `since` that was asked for, what lies between is to be read
    from history; without `since` it is `sequence`. `heartbeat_ms` is how often the venue says `Heartbeat`.

    `size` and `regions`, that of your seat and your districts, are those by which programmes judge you.
    """

    request: int
    version: int
    member: str
    role: str
    size: str
    regions: tuple[str, ...]
    instruments: tuple[ListedInstrument, ...]
    programmes: tuple[ListedProgramme, ...]
    sequence: int
    time: int
    resumed: int = 0
    heartbeat_ms: int = 0


class Farewell(msgspec.Struct, frozen=True, tag=True):
    """Answer to `Logout`: the session has ended, and all reports up to `sequence` were sent on it."""

    request: int
    sequence: int


class Armed(msgspec.Struct, frozen=True, tag=True):
    """Answer to `CancelAllAfter`: when orders will be cancelled, in ns since 1970; 0: not at all."""

    request: int
    until: int


class Heartbeat(msgspec.Struct, frozen=True, tag=True):
    """Said by the venue, unasked, to each session: how far the journal has come, and when that was.

    `told` is the sequence of the latest report that the session was sent: a client that has not heard of it
    has missed something. To be answered by nothing: both sides' sockets ping each other by themselves.
    """

    sequence: int
    told: int
    time: int


class Balance(msgspec.Struct, frozen=True):
    """What a member has of one asset: free, held by open orders, bought with a subsidy, being redeemed."""

    available: int
    held: int
    restricted: int
    redeeming: int = 0


class ProgrammeLeft(msgspec.Struct, frozen=True):
    """What a programme leaves to a member's group, in hao and, where lots are capped, in lots.

    `used` is what counts against the group's cap; `measured`, of an award, the list price of what the group
    has redeemed in the programme's year. `barred` is the reject reason for which the group gets nothing
    more of it now: `programme_closed`, `programme_debt` or `programme_excluded`, else blank.
    """

    code: str
    fiscal_year: int
    cap_left: int
    lots_left: int | None
    uncommitted: int
    used: int = 0
    measured: int = 0
    barred: str = ""


class Obligation(msgspec.Struct, frozen=True):
    """What a provider has issued of an instrument, and what of that was redeemed and expired, in lots."""

    instrument: str
    issued: int
    redeemed: int
    expired: int

    @property
    def left(self) -> int:
        """What the provider still owes to whoever redeems."""
        return self.issued - self.redeemed - self.expired


class Account(msgspec.Struct, frozen=True, tag=True):
    """Answer to `AskAccount`: money in hao, credits in lots by symbol, as of `sequence`.

    `debt`, in hao, is what the member owes to programmes.
    """

    request: int
    sequence: int
    money: Balance
    credits: dict[str, Balance]
    programmes: tuple[ProgrammeLeft, ...]
    debt: int = 0
    obligations: tuple[Obligation, ...] = ()


class OpenRedemption(msgspec.Struct, frozen=True):
    """A redemption that is not at its end. `number` is what acts name it by, `reference` the firm's own.

    Times are in ns since 1970, UTC. Of a delivered task, the firm accepts or disputes it until `until`.
    """

    number: int
    member: str
    instrument: str
    lots: int
    state: RedemptionState
    reference: str
    time: int
    until: int = 0


class Redemptions(msgspec.Struct, frozen=True, tag=True):
    """Answer to `AskRedemptions`: oldest first."""

    request: int
    sequence: int
    redemptions: tuple[OpenRedemption, ...]


class Proposal(msgspec.Struct, frozen=True):
    """What one operator has proposed; another approves it by its `number`."""

    number: int
    who: str
    why: str
    act: TwoPersonsAct


class Proposals(msgspec.Struct, frozen=True, tag=True):
    """Answer to `AskProposals`: oldest first."""

    request: int
    sequence: int
    proposals: tuple[Proposal, ...]


class KeyHolder(msgspec.Struct, frozen=True):
    """A member as it was admitted, with the limits that are in force, and its live keys, oldest first.

    `group` is the one that it is of now, `open_orders` how many it has, `turnover` the day's, in hao, and
    `enrolled` the codes of the programmes that have enrolled it.
    """

    admitted: Admit
    group: str
    is_blocked: bool
    public_keys: tuple[str, ...]
    open_orders: int = 0
    turnover: int = 0
    enrolled: tuple[str, ...] = ()


class Keys(msgspec.Struct, frozen=True, tag=True):
    """Answer to `AskKeys`: members in the order in which they were admitted."""

    request: int
    sequence: int
    holders: tuple[KeyHolder, ...]


class Orders(msgspec.Struct, frozen=True, tag=True):
    """Answer to `AskOrders`: one REPORT record an open order, of kind ACCEPTED."""

    request: int
    sequence: int
    reports: bytes


class Status(msgspec.Struct, frozen=True, tag=True):
    """Answer to `AskStatus`."""

    request: int
    sequence: int
    time: int
    started_at: int
    members: int
    instruments: int
    open_orders: int
    trades: int
    journal_bytes: int
    rules_version: int
    programmes: tuple[ListedProgramme, ...]
    calendar: Calendar | None = None
    collars: tuple[SetCollars, ...] = ()


class Decided(msgspec.Struct, frozen=True, tag=True):
    """Answer to `Decide`: the sequence under which the act stands in the journal.

    `orders_cancelled` is how many open orders it has cancelled.
    """

    request: int
    sequence: int
    orders_cancelled: int = 0


class Refused(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Answer to what cannot be done. `request` is 0 where the message could not be read, or the session ends.

    Of what was `throttled`, there is room for it after `retry_after_ms`; nothing was done of it.

    Of a session that ends, `reason` is `not_authenticated`, `session_replaced`, `reports_dropped`,
    `wrong_door` or `venue_stopping`; nothing is heard on it any more.
    """

    request: int
    reason: str
    field: str
    value: str
    remedy: str
    retry_after_ms: int = 0


Answer = (
    Welcome
    | Farewell
    | Armed
    | Heartbeat
    | Account
    | Orders
    | Redemptions
    | Proposals
    | Keys
    | Status
    | Decided
    | Refused
)


QueryRequest = Query | NextChunk | CancelQuery | Rehearse
QueryAnswer = QueryResult | QueryChunk | Rehearsed | Refused

_ENCODER = msgspec.msgpack.Encoder()
REQUESTS = msgspec.msgpack.Decoder(Request)
ANSWERS = msgspec.msgpack.Decoder(Answer)
QUERIES = msgspec.msgpack.Decoder(QueryRequest)
QUERY_ANSWERS = msgspec.msgpack.Decoder(QueryAnswer)

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a decoder raises of bytes that are no message; the last where values lie too deep in one another."""


def encode(message: Request | Answer | QueryRequest | QueryAnswer) -> bytes:
    """Return `message` as one frame, its kind in front."""
    return MESSAGE + _ENCODER.encode(message)
