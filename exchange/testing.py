"""A whole venue in one process: for a firm's own tests, for notebooks, for the demo's counted run.

The same parts as on a server and the same clients, without sockets, on a clock that moves when told:

    from exchange.testing import Exchange

    def test_my_desk_survives_a_broken_line():
        venue = Exchange(seed=7)
        with venue.connect("SANDBOX", cancel_on_disconnect=True) as ex:
            order = ex.place(ex.instruments["QWEN3-MAX"].buy(10, limit="12.30"), client_id="desk-1")
            venue.cut(ex)  # as if the line broke; the next call connects anew
            venue.clock.advance(2 * SECOND_NS)
            venue.tell_time()  # the venue notices, and cancels
            assert ex.refresh() is None
            assert ex.order(order).reason == "session_lost"

    async def test_the_same_with_an_event_loop():
        venue = Exchange()
        async with venue.connect_async("SANDBOX") as ex:
            await ex.place(ex.instruments["QWEN3-MAX"].buy(10, limit="12.30"))

Market data comes from the venue's own feed, which can lose messages (`venue.drop_feed`) and start anew
(`venue.restart_feed`); heartbeats are told when the venue tells the time. `ex.history` is as of the last
command: the store is brought up to date when it is asked.

Nothing waits: a synchronous client that has heard all there is to hear goes on at once, as if its timeout had
passed. An asynchronous one waits for what other tasks may bring about.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np

from exchange.calendar import Calendar
from exchange.client.answers import unknown_name
from exchange.client.async_link import Waiters
from exchange.client.asynchronous import AsyncExchange, Connecting
from exchange.client.desk import Desk
from exchange.client.errors import ExchangeError, Timeout
from exchange.client.flows import closed
from exchange.client.marketreaders import Reader
from exchange.client.queries import QuerySession
from exchange.client.session import Session
from exchange.client.sync import SyncExchange
from exchange.config import Settings, ThrottleSettings
from exchange.engine import RULES_VERSION, Engine, Outcome
from exchange.local_feed import AsyncLocalFeedLine, LocalFeed, LocalFeedLine
from exchange.local_history import LocalHistory
from exchange.local_query import Answering, AsyncLocalQueryLine, LocalQueryLine
from exchange.protocol.acts import RegisterKey, SignedAct
from exchange.protocol.messages import QueryAnswer
from exchange.protocol.query_messages import Query, Rehearse
from exchange.reports import Reporter
from exchange.server.enquiries import Enquiries
from exchange.server.founding import OPERATOR, calendar_acts, sandbox_firms, standard_acts, voucher
from exchange.server.gateway import Gateway
from exchange.server.journal import Journal
from exchange.server.memory_journal import MemoryJournal
from exchange.server.rehearsing import rehearsed_now
from exchange.server.replay import recover
from exchange.server.reportlog import ReportLog
from exchange.server.sequencer import Clock, SequencedLog, Sequencer
from exchange.server.sessions import SessionId
from exchange.server.timekeeper import Draw
from matching.vocabulary import RejectReason
from settlement.terms import VENUE_ZONE

OPENING = datetime(2026, 1, 5, 9, 30, tzinfo=VENUE_ZONE)
"""When the fake clock starts: a Monday morning."""

STEP_NS = 1_000_000
"""How far the fake clock moves with every message that the venue takes in: a millisecond."""

SECOND_NS = 1_000_000_000
"""A second of the fake clock."""

UNTHROTTLED = Settings(
    throttle=ThrottleSettings(
        orders_per_second=10**7, orders_burst=10**7, requests_per_second=10**6, requests_burst=10**6
    )
)
"""What a venue is set to that nobody has set: on a clock that stands still no bucket would fill again."""


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
    by `calendar`, or round the clock; the ends of calls are drawn from `seed`. `settings` are the venue's
    own; without them nothing is throttled.
    """

    def __init__(
        self,
        acts: tuple[SignedAct, ...] | None = None,
        *,
        calendar: Calendar | None = None,
        seed: int = 0,
        folder: Path | None = None,
        clock: FakeClock | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        self.engine = Engine()
        self.journal = (
            MemoryJournal() if folder is None else Journal.open(folder, rules_version=RULES_VERSION)
        )
        self._folder = folder
        self._history = LocalHistory()
        self._settings = settings or UNTHROTTLED
        self._chance = Random(seed).randrange
        self._lines: dict[SessionId, LocalLine] = {}
        self._sessions = 0
        self.feed = LocalFeed(self.engine, self.clock)
        self.sequencer = TellingSequencer(self.engine, self.journal, self.clock, self._chance, self.feed)
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
        self.gateway = self._gateway(ReportLog(self._settings.sessions.reports_kept, self.engine.sequence))
        self.tell_time()

    def _gateway(self, kept: ReportLog) -> Gateway:
        enquiries = Enquiries(self.sequencer, self.clock())
        return Gateway(self.sequencer, enquiries, self._deliver, self._settings, kept)

    # --- clients -------------------------------------------------------------------------------

    def connect(self, member: str, *, cancel_on_disconnect: bool = False) -> SyncExchange:
        """Return a member's client, the same as on a network. Raises `UnknownName`."""
        lines = Lines(LocalLine, LocalQueryLine, LocalFeedLine)
        desk = self._desk(member, lines, cancel_on_disconnect=cancel_on_disconnect)
        client = SyncExchange(desk)
        client.refresh()
        return client

    def connect_async(self, member: str, *, cancel_on_disconnect: bool = False) -> Connecting:
        """Return a member's asynchronous client, to be awaited or entered by `async with`.

        Raises `UnknownName`.
        """

        async def opened() -> AsyncExchange:
            lines = Lines(AsyncLocalLine, AsyncLocalQueryLine, AsyncLocalFeedLine)
            desk = self._desk(member, lines, cancel_on_disconnect=cancel_on_disconnect)
            client = AsyncExchange(desk)
            await client.refresh()
            return client

        return Connecting(opened)

    def _desk(self, member: str, lines: Lines, *, cancel_on_disconnect: bool) -> Desk:
        if member not in self.engine.registry.member_numbers:
            raise unknown_name("member", member, self.engine.registry.member_numbers)
        session = Session(cancel_on_disconnect=cancel_on_disconnect)

        def answered(asked: Query | Rehearse) -> Iterable[QueryAnswer]:
            registry = self.engine.registry
            number = registry.member_numbers[member]
            if isinstance(asked, Rehearse):
                return (rehearsed_now(number, asked, self.engine, self.clock()),)
            return self._history.answers(asked, registry.viewer(number), self.journal)

        return Desk(
            session,
            lines.orders(self, member, session),
            lambda conversation: lines.query(answered, conversation),
            lambda reader: lines.feed(self.feed, reader),
            self.clock,
        )

    def cut(self, client: SyncExchange | AsyncExchange) -> None:
        """Break a client's line: what is on its way is lost. Its next call connects anew.

        The venue notices when it speaks to it next: with a report, or with its heartbeat of each second.
        """
        line = client._desk.line
        assert isinstance(line, LocalLine), "a client of this venue"
        line.cut()

    def restart(self) -> None:
        """Have the venue crash and come back from its journal: every line breaks, every client finds back.

        Raises `ValueError` for a venue without a folder: nothing would be left of it.
        """
        if self._folder is None:
            message = "a venue in memory leaves nothing to come back from: make it with Exchange(folder=...)"
            raise ValueError(message)
        for line in tuple(self._lines.values()):
            line.cut()
        self.journal.close()
        kept, reporter = ReportLog(self._settings.sessions.reports_kept), Reporter()

        def keep(outcome: Outcome) -> None:
            told = reporter.reports(outcome.events, outcome.effects)
            kept.keep(told.members, told.reports)

        self.engine, self.journal, _ = recover(self._folder, visit=keep)
        self.feed.begin(self.engine)
        self.sequencer = TellingSequencer(self.engine, self.journal, self.clock, self._chance, self.feed)
        self.gateway = self._gateway(kept)
        self.tell_time()

    def drop_feed(self, batches: int, *, refreshes: int = 0) -> None:
        """Have what the public feed tells of the next batches of commands be lost, and the next refreshes."""
        self.feed.drop(batches, refreshes)

    def restart_feed(self) -> None:
        """Have the feed's publisher start anew: all topics are numbered from 1 again."""
        self.feed.begin(self.engine)

    # --- the venue -----------------------------------------------------------------------------

    def tell_time(self) -> None:
        """Do, and tell of it, what the clock has come to.

        Orders with a time, the day's end, the calendar; heartbeats, and the orders of who fell silent.
        """
        done = self.sequencer.tell_time_if_due()
        if done is not None:
            self.gateway.tell(done)
        self.gateway.watch()
        self.feed.tell_time()

    def take(self, session: SessionId, member: str, frame: bytes) -> None:
        """Let one session say something; what the venue says to it lands on its line."""
        self.clock.advance(STEP_NS)
        done = self.sequencer.tell_time_if_due()
        if done is not None:
            self.gateway.tell(done)
        registry = self.engine.registry
        is_operators = registry.members[registry.member_numbers[member]].role == "operator"
        self.gateway.hear(session, local_key(member), frame, is_operators=is_operators)
        self.gateway.work()
        self.gateway.watch()
        self.feed.tell_time()

    def open_session(self, line: LocalLine) -> SessionId:
        """Return the name of a new connection, whose reader is `line`."""
        session = self._sessions.to_bytes(5, "big")
        self._sessions += 1
        self._lines[session] = line
        return session

    def lose_session(self, session: SessionId) -> None:
        """Let a connection be gone."""
        self._lines.pop(session, None)

    def _deliver(self, session: SessionId, body: bytes) -> RejectReason:
        line = self._lines.get(session)
        if line is None:
            return RejectReason.SESSION_LOST
        line.bring(body)
        return RejectReason.NONE


class Lines(NamedTuple):
    """What makes a client's lines: to the gateway, to the query service, to the feed."""

    orders: Callable[[Exchange, str, Session], LocalLine]
    query: Callable[[Answering, QuerySession], LocalQueryLine]
    feed: Callable[[LocalFeed, Reader], LocalFeedLine]


class TellingSequencer(Sequencer):
    """A sequencer whose batches the feed is told at once, as it would read them from the journal."""

    def __init__(
        self, engine: Engine, journal: SequencedLog, clock: Clock, draw: Draw, feed: LocalFeed
    ) -> None:
        super().__init__(engine, journal, clock, draw)
        self._feed = feed

    def _sequence(self, commands: np.ndarray, acts: tuple[SignedAct, ...], now: int) -> Outcome:
        first = self.engine.sequence + 1
        outcome = super()._sequence(commands, acts, now)
        self._feed.tell(outcome, first, self.engine.sequence, now)
        return outcome


class LocalLine:
    """A client's line to a venue in the same process: no socket, no waiting."""

    def __init__(self, venue: Exchange, member: str, conversation: Session) -> None:
        self.endpoint = "this process"
        self.is_up = False
        self._venue = venue
        self._member = member
        self._conversation = conversation
        self._mail: deque[bytes] = deque()
        self._session: SessionId | None = None
        self._is_closed = False

    def wait_for(self, done: Callable[[], bool], deadline: float) -> bool | Awaitable[bool]:
        """Take turns until `done`, or until there is nothing more to say or to hear."""
        while not done():
            if not self.turn():
                return done()
        return True

    def turn(self) -> bool:
        """Say what is to be said and take in what has come. Returns whether there was anything.

        Raises `ConnectionLost` if the line was closed, why the session has ended, and its fault.
        """
        conversation = self._conversation
        if self._is_closed:
            raise closed(self.endpoint)
        self._raise_fault()
        if self._session is None:
            self._session = self._venue.open_session(self)
            self.is_up = True
            conversation.linked()
        busy = bool(conversation.outbox or self._mail)
        while conversation.outbox:
            said = conversation.outbox.popleft()
            said.handed = True
            self._venue.take(self._session, self._member, said.frame)
        while self._mail:
            conversation.receive(self._mail.popleft())
        if conversation.wants_new_link:
            conversation.wants_new_link = False
            self.cut()
        self._raise_fault()
        return busy

    def _raise_fault(self) -> None:
        conversation = self._conversation
        if conversation.ended is not None:
            raise conversation.ended
        fault, conversation.fault = conversation.fault, None
        if fault is not None:
            raise fault

    def bring(self, frame: bytes) -> None:
        """Take what the venue says; it is heard in the next turn."""
        self._mail.append(frame)

    def cut(self) -> None:
        """Break; the next turn connects anew."""
        if self._session is not None:
            self._venue.lose_session(self._session)
            self._session = None
        self._mail.clear()
        self.is_up = False
        self._conversation.cut()

    def silence(self, what: str) -> ExchangeError:
        """Return the error for an answer that did not come."""
        return Timeout(f"the venue in this process has not answered {what}", remedy="move its clock on")

    def close(self) -> None:
        """Let nothing more be said."""
        if not self._is_closed:
            self._is_closed = True
            self.cut()


class AsyncLocalLine(LocalLine):
    """The same for the tasks of an event loop, which may wait for one another."""

    def __init__(self, venue: Exchange, member: str, conversation: Session) -> None:
        super().__init__(venue, member, conversation)
        self._waiters = Waiters(asyncio.get_running_loop())

    async def wait_for(self, done: Callable[[], bool], deadline: float) -> bool:
        """Take turns until `done`; then wait, until `deadline`, for what another task brings about."""
        self._waiters.check_loop()
        while not done():
            if not self.turn():
                self._waiters.look()
                return await self._waiters.wait(done, deadline)
            self._waiters.look()
        return True

    def bring(self, frame: bytes) -> None:
        """Take what the venue says, and have the loop hear it."""
        super().bring(frame)
        self._waiters.loop.call_soon(self._hear)

    def _hear(self) -> None:
        """Hear what has come, and wake whoever waited for it."""
        if self._is_closed or self._session is None:
            return
        try:
            self.turn()
        except ExchangeError as error:
            self._waiters.fail(error)
        self._waiters.look()

    def close(self) -> None:
        """Let nothing more be said; whoever waits is told so."""
        super().close()
        self._waiters.fail(closed(self.endpoint))


def local_key(member: str) -> str:
    """Return what stands for a member's key where there is no network to prove one on."""
    return sha256(member.encode("utf-8")).hexdigest()[:40]
