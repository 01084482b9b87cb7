"""A whole venue in one process: for a firm's own tests, for notebooks, for the demo's counted run.

The same parts as on a server, without sockets, on a clock that moves when told:

    venue = Exchange()
    with venue.connect("SANDBOX") as ex:
        order = ex.place(ex.instruments["QWEN3-MAX"].buy(10, limit="12.30"))
"""

from __future__ import annotations

from collections import deque
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from random import Random

from exchange.calendar import Calendar
from exchange.client.errors import ConnectionLost
from exchange.client.link import Conversation, Link
from exchange.client.sync import SyncExchange
from exchange.engine import RULES_VERSION, Engine
from exchange.protocol.acts import RegisterKey, SignedAct
from exchange.server.enquiries import Enquiries
from exchange.server.founding import OPERATOR, calendar_acts, sandbox_firms, standard_acts, voucher
from exchange.server.gateway import Gateway, Session
from exchange.server.journal import Journal
from exchange.server.memory_journal import MemoryJournal
from exchange.server.sequencer import Sequencer
from settlement.terms import VENUE_ZONE

OPENING = datetime(2026, 1, 5, 9, 30, tzinfo=VENUE_ZONE)
"""When the fake clock starts: a Monday morning."""

STEP_NS = 1_000_000
"""How far the fake clock moves with every message that the venue takes in: a millisecond."""


class FakeClock:
    """Time that stands still until it is moved, in ns since 1970."""

    def __init__(self, start: datetime = OPENING) -> None:
        self.now = int(start.timestamp()) * 1_000_000_000

    def __call__(self) -> int:
        """Return the time."""
        return self.now

    def advance(self, nanoseconds: int) -> None:
        """Move the time on."""
        self.now += nanoseconds


class Exchange:
    """A venue on a fake clock, in memory, or with its journal in `folder`.

    `acts` found it; by default the standard catalogue with a sandbox firm and this year's voucher. It trades
    by `calendar`, or round the clock; the ends of calls are drawn from `seed`.
    """

    def __init__(
        self,
        acts: tuple[SignedAct, ...] | None = None,
        *,
        calendar: Calendar | None = None,
        seed: int = 0,
        folder: Path | None = None,
        clock: FakeClock | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        self.engine = Engine()
        self.journal = (
            MemoryJournal() if folder is None else Journal.open(folder, rules_version=RULES_VERSION)
        )
        self.sequencer = Sequencer(self.engine, self.journal, self.clock, Random(seed).randrange)
        founding = acts
        if founding is None:
            founding = standard_acts(sandbox_firms(), [], [voucher(OPENING.year)])
        self.sequencer.found((*calendar_acts(calendar), *founding))
        keys = tuple(
            SignedAct(OPERATOR, "testing", RegisterKey(member.member, local_key(member.member)))
            for member in self.engine.registry.members
            if local_key(member.member) not in self.engine.registry.keys
        )
        if keys:
            self.sequencer.decide(*keys)
        self._mailboxes: dict[Session, deque[bytes]] = {}
        self.gateway = Gateway(self.sequencer, Enquiries(self.sequencer, self.clock()), self._deliver)
        self.tell_time()

    def connect(self, member: str) -> SyncExchange:
        """Return a member's client, the same as on a network."""
        link = LocalLink(self, member)
        client = SyncExchange(link, lambda: link, self.clock)
        client.refresh()
        return client

    def take(self, session: Session, frame: bytes) -> None:
        """Let one session say something; what the venue says to it lands in its mailbox."""
        self.clock.advance(STEP_NS)
        self.tell_time()
        self.gateway.take(session, frame)
        self.gateway.work()

    def tell_time(self) -> None:
        """Do, and tell of it, what the clock has come to: orders with a time, the day's end, the calendar."""
        done = self.sequencer.tell_time_if_due()
        if done is not None:
            self.gateway.tell(done)

    def mail_of(self, session: Session) -> list[bytes]:
        """Return what the venue has said to a session since it was asked last."""
        mailbox = self._mailboxes[session]
        heard = list(mailbox)
        mailbox.clear()
        return heard

    def open_session(self, member: str) -> Session:
        """Return a new session of a member."""
        session = len(self._mailboxes).to_bytes(5, "big")
        self._mailboxes[session] = deque()
        self.gateway.meet(session, local_key(member))
        return session

    def _deliver(self, session: Session, body: bytes) -> bool:
        self._mailboxes[session].append(body)
        return True


class LocalLink(Link):
    """A client's link to a venue in the same process: no socket, no waiting."""

    def __init__(self, venue: Exchange, member: str) -> None:
        self.endpoint = "this process"
        self.is_up = False
        self.is_reached = True
        self._venue = venue
        self._session = venue.open_session(member)
        self._is_closed = False

    def turn(self, conversation: Conversation, deadline: float) -> None:
        """Say what is to be said, and take in what has come."""
        if self._is_closed:
            raise ConnectionLost("this session was closed", remedy="open a new one")
        if not self.is_up:
            self.is_up = True
            conversation.linked()
        self.say(conversation)
        for frame in self._venue.mail_of(self._session):
            conversation.receive(frame)
        fault, conversation.fault = conversation.fault, None
        if fault is not None:
            raise fault

    def say(self, conversation: Conversation) -> bool:
        """Hand over what is to be said; the venue answers at once."""
        while conversation.outbox:
            said = conversation.outbox.popleft()
            said.handed = True
            self._venue.take(self._session, said.frame)
        return True

    def close(self) -> None:
        """Let nothing more be said."""
        self.is_up = False
        self._is_closed = True


def local_key(member: str) -> str:
    """Return what stands for a member's key where there is no network to prove one on."""
    return sha256(member.encode("utf-8")).hexdigest()[:40]
