"""What comes over the wire: to the gateway, the query service, the feed's refreshes, and to clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zlib import crc32

from exchange.client.errors import ProtocolBroken
from exchange.client.queries import QuerySession
from exchange.client.session import Session
from exchange.client.statements import Statement
from exchange.instruments import standard_catalogue
from exchange.protocol import acts
from exchange.protocol.arrays import COMMAND
from exchange.protocol.messages import (
    ANSWERS,
    COMMANDS,
    COMMANDS_PER_MESSAGE_MAX,
    MESSAGE,
    QUERY_ANSWERS,
    REQUESTS,
    UNREADABLE,
    Answer,
    Decide,
    Logon,
    QueryAnswer,
    QueryRequest,
    Refused,
    Request,
    encode,
)
from exchange.protocol.query_messages import Query, QueryResult, Rehearse
from exchange.protocol.records import COMMAND_STRUCT, Command
from exchange.server import run_settlement
from exchange.server.founding import sandbox_firms, standard_acts, voucher
from exchange.server.query_desk import step
from exchange.server.rehearsing import rehearsed_now
from exchange.testing import Exchange, local_key
from matching.vocabulary import CommandKind, RejectReason, Side, TimeInForce
from settlement.queries import QueryLimits, QueryService
from tests.fuzz.target import StateChanged, Take, Target, outcome_of
from tests.journal.samples import Samples
from tests.settlement.tape import a_day, founded, settle

HASH_EVERY = 400
"""How many inputs pass between two looks at the whole state: its hash costs as much as hundreds of them."""

LISTED = ("QWEN3-MAX", "QWEN3.5-PLUS", "GLM-5")
FIRM, OPERATOR, STRANGER = b"firm.", b"oper.", b"else."


def a_venue() -> Exchange:
    """Return a venue of three instruments, the voucher, and the usual members: it is quickly founded."""
    listed = tuple(one for one in standard_catalogue() if one.symbol in LISTED)
    return Exchange(standard_acts(sandbox_firms(), [], [voucher(2026)], listed))


# --- the gateway ---------------------------------------------------------------------------------


class Door:
    """A gateway with a firm's session, an operator's, and connections that have none."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.found()

    def found(self) -> None:
        """Found the venue anew."""
        self.venue = a_venue()
        self.gateway = self.venue.gateway
        self.engine = self.venue.engine
        self.gateway._send_to = self._hear
        self.keys = {FIRM: local_key("SANDBOX"), OPERATOR: local_key("OPERATOR"), STRANGER: "nobody's"}
        self.log_on()
        self.mark()

    def _hear(self, _session: bytes, body: bytes) -> RejectReason:
        self.answers.append(body)
        return RejectReason.NONE

    def log_on(self) -> None:
        """Let both sessions be live."""
        for name in (FIRM, OPERATOR):
            if name not in self.gateway.sessions.live:
                self.say(name, encode(Logon(1)))

    def say(self, name: bytes, frame: bytes) -> None:
        """Let one connection say something."""
        self.gateway.hear(name, self.keys[name], frame, is_operators=name == OPERATOR)

    def mark(self) -> None:
        """Remember the state as it is."""
        self.marked = (self.engine.sequence, self.engine.state_hash())

    def check(self) -> None:
        """Raise `StateChanged` where the state is another, and no command has made it so."""
        if self.engine.sequence == self.marked[0] and self.engine.state_hash() != self.marked[1]:
            raise StateChanged(f"the state changed behind sequence {self.engine.sequence}")
        self.mark()


def is_message(frame: bytes) -> bool:
    """Tell whether a frame is a message as the protocol writes it: judged apart from the gateway."""
    if frame[:1] == COMMANDS:
        count, rest = divmod(len(frame) - 1, COMMAND.itemsize)
        return not rest and 1 <= count <= COMMANDS_PER_MESSAGE_MAX
    try:
        return frame[:1] == MESSAGE and REQUESTS.decode(frame[1:]) is not None
    except UNREADABLE:
        return False


def gateway(_folder: Path) -> Take:
    """Any frame, of a firm, an operator or a stranger: what is malformed is told so, and changes nothing."""
    door = Door()
    heard = 0

    def take(data: bytes) -> str:
        nonlocal heard
        heard += 1
        name = (FIRM, FIRM, OPERATOR, STRANGER)[crc32(data) % 4]
        door.answers.clear()
        before = door.engine.sequence
        try:
            door.say(name, data)
            door.gateway.work()
            if heard % 16 == 0:
                door.venue.clock.advance(10**7)
                door.venue.tell_time()
            told = [answer for answer in door.answers if answer[:1] == MESSAGE]
            answer = ANSWERS.decode(told[0][1:]) if told else None
            is_refused = door.engine.sequence == before and isinstance(answer, Refused)
            if (not is_message(data) or name == STRANGER) and heard % 16 and not is_refused:
                raise StateChanged(f"a malformed frame was taken: {answer}")
            if heard % HASH_EVERY == 0:
                door.check()
            door.log_on()
        except BaseException:
            door.found()  # so that the next input finds a venue that is whole
            raise
        if not {FIRM, OPERATOR} <= door.gateway.sessions.live.keys():
            door.found()  # an operator may take its own key away, and a firm's
        if isinstance(answer, Refused):
            return f"refused {answer.reason}"
        return type(answer).__name__ if answer is not None else f"{len(door.answers)} reports"

    return take


def a_command(**fields: Any) -> bytes:
    """Return a command's record as a client writes it."""
    return COMMAND_STRUCT.pack(*Command(**fields))


def requests() -> Iterator[bytes]:
    """Yield a message of commands of each kind, and one of each request and act."""
    fields: dict[str, Any] = {
        "side": Side.BUY,
        "time_in_force": TimeInForce.DAY,
        "price": 61_100,
        "quantity": 5,
    }
    now = 1_767_576_600_000_000_000
    orders = [
        a_command(kind=kind, order=1, client_id=b"f%d" % at, sent_at=now, **fields)
        for at, kind in enumerate(CommandKind)
    ]
    yield from (COMMANDS + order for order in orders)
    yield COMMANDS + b"".join(orders)
    samples = Samples()
    kinds = [*Request.__args__]
    yield from (encode(samples.of(kind)) for kind in kinds if kind is not Decide)
    yield from (encode(Decide(2, act, "why")) for act in sample_acts(samples))


def sample_acts(samples: Samples) -> Iterator[Any]:
    """Yield an act of each kind."""
    yield from (samples.of(kind) for kind in acts.Act.__args__)


# --- the query service ---------------------------------------------------------------------------


class Router:
    """Hands one message to the settlement process's reader, and keeps what it says."""

    def __init__(self, key: str) -> None:
        self.said: list[bytes] = []
        self._key = key
        self._body = b""

    def bring(self, body: bytes) -> None:
        """Let a message have come."""
        self.said.clear()
        self._body = body

    def recv_multipart(self, copy: bool) -> tuple[Any, Any]:
        """Return the connection and the message, as pyzmq's frames have them."""
        assert not copy
        return (
            SimpleNamespace(bytes=b"conn"),
            SimpleNamespace(bytes=self._body, get={"User-Id": self._key}.get),
        )

    def send_multipart(self, parts: tuple[bytes, bytes], _flags: int) -> None:
        """Keep what is said."""
        self.said.append(parts[1])


def queries(_folder: Path) -> Take:
    """Any message to the query service, answered at once; rehearsals leave the venue as it is."""
    venue = a_venue()
    store, tape = founded()
    settle(store, a_day(tape))
    service = QueryService(store, QueryLimits(timeout_ms=500, memory_growth=1 << 28))
    router = Router(local_key("OPERATOR"))
    before = venue.engine.state_hash()

    class Desk:
        def hear(self, session: bytes, _member: int, said: Any, viewer: str | None) -> Any:
            if not isinstance(said, Query):
                return None
            question = service.question(said.sql, said.parameters, viewer or "ann")
            try:
                return session, encode(step(said, question))
            finally:
                question.close()

    class Rehearsals:
        def take(self, _session: bytes, member: int, asked: Rehearse, engine: Any, now: int) -> Any:
            told = rehearsed_now(member, asked, engine, now)
            if isinstance(told, Refused) and told.reason == "rehearsal_failed":
                raise StateChanged(f"a rehearsal broke off: {told.value}")
            return told

    settler = SimpleNamespace(follower=SimpleNamespace(engine=venue.engine))
    heard = 0

    def take(data: bytes) -> str:
        nonlocal heard
        heard += 1
        router.bring(data)
        run_settlement._take_query(
            cast(Any, router), cast(Any, Desk()), cast(Any, Rehearsals()), cast(Any, settler)
        )
        if heard % HASH_EVERY == 0 and venue.engine.state_hash() != before:
            raise StateChanged("a question has changed the engine")
        answers = [QUERY_ANSWERS.decode(body[1:]) for body in router.said]
        return " ".join(one.reason if isinstance(one, Refused) else type(one).__name__ for one in answers)

    return take


def query_requests() -> Iterator[bytes]:
    """Yield one of each message to the query service, and questions of several shapes."""
    samples = Samples()
    yield from (encode(samples.of(kind)) for kind in QueryRequest.__args__)
    yield encode(Query(1, "select * from trades where quantity > $1", (10,)))
    yield encode(Query(2, "from orders where member = $name", {"name": "ann"}, 100))
    yield encode(Query(3, "show tables"))
    yield from (encode(Rehearse(4, (act,), "why")) for act in sample_acts(samples))


# --- clients -------------------------------------------------------------------------------------


def answers(kinds: Any) -> list[bytes]:
    """Return two of each answer, whose numbers are those of the first requests."""
    samples = Samples()
    frames = []
    for kind in kinds.__args__:
        if kind is QueryResult:  # it has a float, of which there are no samples
            frames += [encode(QueryResult(request, 7, 2, 0.5, b"arrow")) for request in (1, 2)]
            continue
        fields = {name: getattr(samples.of(kind), name) for name in kind.__struct_fields__}
        for request in (1, 2):
            given = {"request": request} if "request" in fields else {}
            frames.append(encode(kind(**{**fields, **given})))
    return frames


def venue_says() -> Iterator[bytes]:
    """Yield what a firm's client is told by a venue on which it trades, and one of each other answer."""
    venue = a_venue()
    with venue.connect("SANDBOX") as ex, venue.connect("ALIBABA") as provider:
        heard: list[bytes] = []
        deliver = venue.gateway._send_to

        def noted(session: bytes, body: bytes) -> RejectReason:
            heard.append(body)
            return deliver(session, body)

        venue.gateway._send_to = noted
        provider.place(provider.instruments["QWEN3-MAX"].sell(10, limit="6.11"), client_id="s1")
        order = ex.place(ex.instruments["QWEN3-MAX"].buy(5, limit="6.11"), client_id="b1")
        rest = ex.place(ex.instruments["QWEN3-MAX"].buy(5, limit="6.00"), client_id="b2")
        ex.replace(rest, quantity=3)
        ex.cancel_all()
        ex.account(), ex.orders(), ex.status()
        assert order.filled == 5
    yield from heard[:40]
    yield from answers(Answer)


def session(_folder: Path) -> Take:
    """Any frame to a client's conversation, which has asked for this and that."""
    frames = [*venue_says()]

    def begun() -> Session:
        conversation = Session()
        conversation.linked()
        conversation.account()
        conversation.open_orders()
        conversation.redemptions()
        return conversation

    conversation, heard = begun(), 0

    def take(data: bytes) -> str:
        nonlocal conversation, heard
        heard += 1
        if conversation.ended is not None or heard % 64 == 0:
            conversation = begun()
            for frame in frames[: heard // 64 % 3]:
                conversation.receive(frame)
        if conversation.wants_new_link:
            conversation.wants_new_link = False
            conversation.cut()
            conversation.linked()
        try:
            conversation.receive(data)
        except ProtocolBroken as error:
            return outcome_of(error)
        conversation.fault = None
        return data[:1].decode()

    return take


def query_session(_folder: Path) -> Take:
    """Any frame to a client's side of the query service."""

    def begun() -> QuerySession:
        conversation = QuerySession()
        conversation.linked()
        conversation.ask(Statement("select 1", ()))
        conversation.ask_in_chunks(Statement("select 1", ()), 10)
        return conversation

    def take(data: bytes) -> str:
        conversation = begun()
        try:
            conversation.receive(data)
        except ProtocolBroken as error:
            return outcome_of(error)
        return "heard"

    return take


TARGETS = (
    Target("gateway", gateway, requests),
    Target("queries", queries, query_requests),
    Target("session", session, venue_says, longest=65_536),
    Target("query_session", query_session, lambda: answers(QueryAnswer)),
)
