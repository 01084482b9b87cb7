"""What members and venue say to one another beside the order path: tagged structs in MessagePack.

A message is one ZeroMQ frame. Its first byte tells what follows: `C` commands and `R` reports are
fixed-width records (`exchange.protocol.records`), `M` is one struct of the unions below.
"""

from __future__ import annotations

import msgspec

from exchange.calendar import Calendar
from exchange.instruments import Instrument
from exchange.protocol.acts import Act

PROTOCOL_VERSION = 1

COMMANDS = b"C"
REPORTS = b"R"
MESSAGE = b"M"

COMMANDS_PER_MESSAGE_MAX = 1024
"""Most commands in one message: 128 KiB, a bound on what one member can make the venue do at once."""

MESSAGE_BYTES_MAX = COMMANDS_PER_MESSAGE_MAX * 128 + 1_024
"""Largest message that a gateway reads, with room for what CURVE wraps round it; libzmq drops the
connection of who sends a larger one."""


class Logon(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """The first thing that a client says. Answered by `Welcome`."""

    request: int
    version: int = PROTOCOL_VERSION


class AskAccount(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Ask for one's own balances. Answered by `Account`."""

    request: int


class AskOrders(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Ask for one's own open orders. Answered by `Orders`, whose bytes are REPORT records."""

    request: int


class AskStatus(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Ask how the venue is. Answered by `Status`."""

    request: int


class Decide(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Have an act sequenced; operators only, but a provider may issue its own credits."""

    request: int
    act: Act
    why: str


Request = Logon | AskAccount | AskOrders | AskStatus | Decide


class ListedInstrument(msgspec.Struct, frozen=True):
    """An instrument with the number that records name it by."""

    index: int
    phase: str
    instrument: Instrument


class ListedProgramme(msgspec.Struct, frozen=True):
    """A programme, the number that records name it by, and its budget now, in hao."""

    index: int
    code: str
    fiscal_year: int
    terms_version: int
    budget: int
    uncommitted: int
    reserved: int
    paid: int
    vested: int


class Welcome(msgspec.Struct, frozen=True, tag=True):
    """Answer to `Logon`: who you are here, what is traded, and how far the journal has come."""

    request: int
    version: int
    member: str
    role: str
    instruments: tuple[ListedInstrument, ...]
    programmes: tuple[ListedProgramme, ...]
    sequence: int
    time: int


class Balance(msgspec.Struct, frozen=True):
    """What a member has of one asset: free, reserved by open orders, bought with a subsidy."""

    available: int
    held: int
    restricted: int


class ProgrammeLeft(msgspec.Struct, frozen=True):
    """What a programme still pays for a member's group, in hao and, where lots are capped, in lots."""

    code: str
    fiscal_year: int
    cap_left: int
    lots_left: int | None
    uncommitted: int


class Account(msgspec.Struct, frozen=True, tag=True):
    """Answer to `AskAccount`: money in hao, credits in lots by symbol, as of `sequence`."""

    request: int
    sequence: int
    money: Balance
    credits: dict[str, Balance]
    programmes: tuple[ProgrammeLeft, ...]


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


class Decided(msgspec.Struct, frozen=True, tag=True):
    """Answer to `Decide`: the sequence under which the act stands in the journal."""

    request: int
    sequence: int


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Answer to what cannot be done. `request` is 0 where the message could not be read."""

    request: int
    reason: str
    field: str
    value: str
    remedy: str


Answer = Welcome | Account | Orders | Status | Decided | Refused


class Query(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Ask the settlement process: one SQL statement that reads."""

    request: int
    sql: str
    parameters: tuple[str | int | float | None, ...] = ()


class QueryResult(msgspec.Struct, frozen=True, tag=True):
    """Answer to `Query`: an Arrow IPC stream, and the journal sequence that it is as of."""

    request: int
    sequence: int
    rows: int
    seconds: float
    arrow: bytes


QueryAnswer = QueryResult | Refused

_ENCODER = msgspec.msgpack.Encoder()
REQUESTS = msgspec.msgpack.Decoder(Request)
ANSWERS = msgspec.msgpack.Decoder(Answer)
QUERIES = msgspec.msgpack.Decoder(Query)
QUERY_ANSWERS = msgspec.msgpack.Decoder(QueryAnswer)


def encode(message: Request | Answer | Query | QueryAnswer) -> bytes:
    """Return `message` as one frame, its kind in front."""
    return MESSAGE + _ENCODER.encode(message)
