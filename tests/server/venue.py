"""A venue without sockets for tests: a gateway whose answers land in mailboxes."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from exchange.config import Settings
from exchange.engine import Engine
from exchange.protocol.acts import Admit, RegisterKey, SignedAct
from exchange.protocol.messages import ANSWERS, Heartbeat, Logon, encode
from exchange.protocol.records import COMMAND_STRUCT, REPORT_STRUCT, Command, Report
from exchange.server.enquiries import Enquiries
from exchange.server.follower import Follower
from exchange.server.founding import MILLION_YUAN, standard_acts, voucher
from exchange.server.gateway import Gateway
from exchange.server.memory_journal import MemoryJournal
from exchange.server.sequencer import Sequencer
from exchange.server.snapshots import Begun
from exchange.testing import FakeClock, local_key
from matching.vocabulary import CommandKind, RejectReason

FIRMS = ("ANN", "BOB")


def replayed(folder: Path, begun: Begun | None = None) -> Engine:
    """Return an engine in the state to which the journal in `folder` leads, from `begun` on."""
    follower = Follower(folder, begun)
    for frame in follower.ahead():
        follower.take(frame)
    return follower.engine


def founding():
    """Return the acts of a venue with two small firms, every key registered."""
    firms = [
        (Admit(member=name, role="firm", size="small", region="HANGZHOU"), MILLION_YUAN) for name in FIRMS
    ]
    acts = standard_acts(firms, [], [voucher(2026)])
    names = (*FIRMS, "OPERATOR", "ALIBABA", "DEEPSEEK")
    keys = (SignedAct("OPERATOR", "test", RegisterKey(name, local_key(name))) for name in names)
    return (*acts, *keys)


class Venue:
    """Speaks bytes, as a socket would."""

    def __init__(self, journal=None, settings=None):
        self.engine = Engine()
        self.journal = journal or MemoryJournal()
        self.clock = FakeClock()
        self.sequencer = Sequencer(self.engine, self.journal, self.clock)
        self.sequencer.found(founding())
        self.mail = defaultdict(list)
        self.gone = set()
        self.lines = {}
        self.gateway = Gateway(
            self.sequencer, Enquiries(self.sequencer, 0), self.deliver, settings or Settings()
        )

    def deliver(self, session, body):
        if session in self.gone:
            return RejectReason.REPORTS_DROPPED
        self.mail[session].append(body)
        return RejectReason.NONE

    def meet(self, session, member, **logon):
        """Log a session on, and return what it is told."""
        self.connect(session, member)
        return self.say(session, encode(Logon(1, **logon)))

    def connect(self, session, member):
        """Note who speaks on a connection."""
        role = self.engine.registry.members[self.engine.registry.member_numbers[member]].role
        self.lines[session] = (local_key(member), role == "operator")

    def say(self, session, *frames):
        """Hand frames to the gateway in one batch; return what the session is told."""
        key, is_operators = self.lines[session]
        for frame in frames:
            self.gateway.hear(session, key, frame, is_operators=is_operators)
        self.gateway.work()
        self.gateway.watch()
        return self.heard(session)

    def heard(self, session):
        """Return what a session was told, but for heartbeats."""
        return [body for body in self.mail.pop(session, []) if not is_heartbeat(body)]

    def reports(self, session, *frames):
        """Say something and read all reports that come back."""
        return [report for body in self.say(session, *frames) for report in read_reports(body)]

    def index(self, symbol):
        return self.engine.registry.instrument_numbers[symbol]


def is_heartbeat(body):
    return body[:1] == b"M" and isinstance(ANSWERS.decode(body[1:]), Heartbeat)


def read_reports(body):
    assert body[:1] == b"R", body
    return [Report._make(row) for row in REPORT_STRUCT.iter_unpack(body[1:])]


def read_answer(body):
    assert body[:1] == b"M", body
    return ANSWERS.decode(body[1:])


def commands(*rows: Command) -> bytes:
    return b"C" + b"".join(COMMAND_STRUCT.pack(*row) for row in rows)


def new(venue, name, side, lots, ticks, symbol="QWEN3-MAX", **fields):
    """Return a new order as a member would write it; `ticks` above the list price."""
    index = venue.index(symbol)
    instrument = venue.engine.registry.instruments[index]
    written = {
        "kind": CommandKind.NEW,
        "side": side,
        "instrument": index,
        "client_id": name.encode().ljust(24, b"\0"),
        "price": instrument.list_price + ticks * instrument.tick,
        "quantity": lots,
        "sent_at": venue.clock(),
    }
    return Command(**{**written, **fields})
