"""One seed played: parts, members and readers on a clock that jumps from one event to the next."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import NamedTuple

import numpy as np

from exchange.engine import Engine, Outcome
from exchange.protocol.acts import SignedAct
from exchange.protocol.arrays import REPORT
from exchange.protocol.messages import REPORTS
from exchange.server.follower import Commit, Follower
from exchange.server.journal import Journal, JournalDamaged, JournalFailed, Position
from exchange.simulation.actors import Member
from exchange.simulation.audience import Audience
from exchange.simulation.calm import come_to_rest
from exchange.simulation.chronicle import Chronicle
from exchange.simulation.faults import befall
from exchange.simulation.faulty_disk import Crashed, FaultyDisk
from exchange.simulation.marketplace import founding, live_key
from exchange.simulation.network import Line, Network
from exchange.simulation.parts import (
    JOURNAL,
    FeedPart,
    FollowerPart,
    Part,
    SettlementPart,
    VenuePart,
)
from exchange.simulation.plan import DEED, SECOND_NS, Item, Plan
from exchange.simulation.seats import Seat
from exchange.simulation.shapes import Shapes
from exchange.testing import local_key
from matching.vocabulary import RejectReason

TICK_NS = 20 * SECOND_NS
"""How often every part looks at the clock, if nothing else happens."""

TURN_NS = 50_000
"""How long a part takes to get round to what has come."""

RESTART_NS = 2 * SECOND_NS
RECONNECT_NS = SECOND_NS


class Result(NamedTuple):
    """What a seed came to. `failure` is blank if all laws held; `digest` names the whole run."""

    seed: int
    commands: int
    simulated_seconds: float
    frames: int
    deeds: int
    shapes: Counter[str]
    faults: Counter[str]
    failure: str
    digest: str
    at: int
    """When it ended, ns since 1970."""


class World:
    """A venue, its members and its readers, and what a plan has in store for them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.now = plan.start
        self.chance = Random(f"world {plan.seed}")
        self.disk = FaultyDisk(self.sleep)
        self.wall_offset_ns = 0
        self.shapes, self.faults = Shapes(), Counter[str]()
        self.going_on: Counter[str] = Counter()
        """Faults that last, and are not over, by kind."""
        self.deeds = 0
        self.chronicle = Chronicle()
        self.market = founding(Random(f"market {plan.seed}"), plan.start)
        self.venue = VenuePart(self, self.market.acts, self.market.settings, plan.seed)
        self.settlement = SettlementPart(self)
        self.feed = FeedPart(self)
        self.parts: tuple[Part, ...] = (self.venue, self.settlement, self.feed)
        self.followers: tuple[FollowerPart, ...] = (self.settlement, self.feed)
        self.venue.passed = lambda: self.settlement.noted[-1]
        self.mirror = Follower(JOURNAL, None, self.disk)
        """It reads every frame as soon as that is synced, and is never killed: replay is live."""
        self.last_frame_at = Position(0, 0)
        """Where in its segment the journal's last frame begins."""
        self.network = Network(self.chance, self.clock, self.at, self._hear, self._told, self._lost)
        self.seats: list[Seat] = []
        self.members: list[Member] = []
        for one in self.market.seats:
            seat = Seat(
                one.name, local_key(one.name), self.clock, cancel_on_disconnect=one.cancel_on_disconnect
            )
            self.seats.append(seat)
            self.members.append(Member(seat, one.temper))
        self.audience = Audience(self, self.feed, self.network, self.chronicle)
        self._agenda: list[tuple[int, int, Callable[[], object]]] = []
        self._numbers = 0
        self._turns: set[str] = set()

    # --- time ----------------------------------------------------------------------------------

    def clock(self) -> int:
        """Return the true time, ns since 1970."""
        return self.now

    def wall(self) -> int:
        """Return what the machine's clock shows."""
        return self.now + self.wall_offset_ns

    def sleep(self, nanoseconds: int) -> None:
        """Let whoever does something take its time."""
        self.now += nanoseconds

    def at(self, time: int, happens: Callable[[], object]) -> None:
        """Have something happen at a time; what is due already happens next."""
        self._numbers += 1
        heapq.heappush(self._agenda, (time, self._numbers, happens))

    def until(self, end: int) -> None:
        """Let everything happen up to a time."""
        while self._agenda and self._agenda[0][0] <= end:
            time, _, happens = heapq.heappop(self._agenda)
            self.now = max(self.now, time)
            happens()
        self.now = max(self.now, end)

    # --- a run ---------------------------------------------------------------------------------

    def run(self) -> Result:
        """Play the plan, let the faults stop, and see everything come to agree."""
        failure = ""
        try:
            self._begin()
            for item in self.plan.items:
                self.at(item.time, partial(self._perform, item))
            self._tick()
            self.until(self.plan.end)
            come_to_rest(self)
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
            if not isinstance(error, AssertionError):
                failure = f"{failure} ({_where(error)})"
        finally:
            self.settlement.store.close()
            self.settlement.base.close()
        return Result(
            self.plan.seed,
            self.mirror.engine.sequence,
            (self.now - self.plan.start) / SECOND_NS,
            self.mirror.frames,
            self.deeds,
            Counter(self.shapes),
            self.faults,
            failure,
            self._digest(),
            self.now,
        )

    def _begin(self) -> None:
        for part in self.parts:
            self.start(part)
        assert all(part.is_up for part in self.parts), "the venue is founded on a disk without a fault"
        self.audience.gather(len(self.venue.engine.registry.instruments))
        for seat in self.seats:
            self._connect(seat)

    def _tick(self) -> None:
        """Have everybody look at the clock."""
        for part in self.parts:
            self.wake(part)
        for member in self.members:
            self._look(member)
        self.audience.ask()
        self.at(self.now + TICK_NS, self._tick)

    def _perform(self, item: Item) -> None:
        """Do what an item says."""
        if item.kind != DEED:
            others = [other for other, count in self.going_on.items() if count > 0]
            if befall(self, item):
                self.note_fault(item.kind, others)
            return
        member = self.members[item.target % len(self.members)]
        if member.seat.session.ended is None:
            shape = member.deed(Random(item.seed), member.seat.clock())
            self.deeds += 1
            self.shapes.note(f"deed: {shape or 'none'}")
            self.send_out(member.seat)

    def note_fault(self, kind: str, others: Sequence[str]) -> None:
        """Count a fault, and with which others that are going on it comes together."""
        self.faults[kind] += 1
        for other in others:
            self.shapes.note(f"faults: {' + '.join(sorted((kind, other)))}")

    def lasting(self, kind: str, seconds: float, end: Callable[[], object]) -> None:
        """Have a fault end after so long; all that last end when all becomes calm."""
        self.going_on[kind] += 1

        def over() -> None:
            self.going_on[kind] -= 1
            end()

        self.at(self.now + int(seconds * SECOND_NS), over)

    # --- parts ---------------------------------------------------------------------------------

    def wake(self, part: Part) -> None:
        """Have a part take its turn soon."""
        if part.name not in self._turns:
            self._turns.add(part.name)
            self.at(max(self.now + TURN_NS, part.paused_until), partial(self._turn, part))

    def rouse(self, part: Part) -> None:
        """End a part's pause, if it has one: the turn that waits for its end is not waited for."""
        part.paused_until = 0
        self._turns.discard(part.name)
        self.wake(part)

    def _turn(self, part: Part) -> None:
        self._turns.discard(part.name)
        if not part.is_up:
            return
        if self.now < part.paused_until:
            self.wake(part)
            return
        self.guarded(part, part.turn)

    def guarded(self, part: Part, deed: Callable[[], object]) -> None:
        """Have a part do something; what it cannot go on from ends it."""
        try:
            deed()
        except (Crashed, JournalFailed):
            self.die(part)
        except JournalDamaged as damage:
            self.repair(damage)
            self.die(part)

    def start(self, part: Part) -> None:
        """Begin a part; where that fails it is tried again."""
        if part.is_up:
            return
        try:
            part.start()
        except (Crashed, JournalFailed, OSError):
            self.at(self.now + RESTART_NS, partial(self.start, part))
        except JournalDamaged as damage:
            self.repair(damage)
            self.at(self.now + RESTART_NS, partial(self.start, part))
        else:
            self.wake(part)

    def die(self, part: Part, after_ns: int = RESTART_NS) -> None:
        """End a part, and have it begun again."""
        if not part.is_up:
            return
        part.die()
        self._turns.discard(part.name)
        if part is self.venue:
            self.network.cut_all()
        self.at(self.now + after_ns, partial(self.start, part))

    def repair(self, damage: JournalDamaged) -> None:
        """Put back what has rotted. Raises the damage again where nothing has: then it is a bug."""
        if not self.disk.flips:
            raise damage
        self.shapes.note("damage found")
        self.disk.unflip()

    def snapshot(self, taken: Callable[[], object]) -> None:
        """Have a snapshot taken by a process of its own, which may die of it."""
        let_go = len(self.disk.let_go)
        try:
            taken()
        except (Crashed, OSError):
            self.shapes.note("snapshot broken off")
        except JournalDamaged as damage:
            self.repair(damage)
        else:
            self.shapes.note("snapshot taken")
        if len(self.disk.let_go) > let_go:
            self.shapes.note("segments let go")

    def publish(self, frame: bytes) -> None:
        """Carry what the feed says to each of its readers."""
        self.audience.publish(frame)

    # --- what the parts tell -------------------------------------------------------------------

    def saw(
        self, engine: Engine, commands: np.ndarray, acts: tuple[SignedAct, ...], outcome: Outcome
    ) -> None:
        """Hold a batch against the laws, and against what the journal says of it."""
        self.chronicle.synced = self.venue.commit.sequence
        self.chronicle.batch(engine, commands, acts, outcome, engine.sequence)
        self.shapes.note_batch(engine, commands, acts, outcome)
        for frame in self.mirror.ahead(self.venue.commit.position):
            self.mirror.take(frame)
            self.last_frame_at = frame.end._replace(offset=frame.end.offset - frame.size)
        self.chronicle.replica(self.mirror.engine, "the mirror")

    def recovered(self, engine: Engine, journal: Journal) -> None:
        """Hold what came back against what was: all that was synced, and at most what was being written."""
        frames = list(self.mirror.ahead(journal.position))
        for frame in frames:
            self.mirror.take(frame)
        self.chronicle.recovered(engine, frames)
        self.chronicle.replica(self.mirror.engine, "the mirror")
        self.chronicle.synced = engine.sequence

    def replica(self, engine: Engine, name: str) -> None:
        """Hold a follower's replica against what was."""
        self.chronicle.replica(engine, name)

    def announce(self, commit: Commit) -> None:
        """Tell the followers how far the journal is synced."""
        for part in self.followers:
            self.network.scatter(part.name, partial(self._announced, part, commit))

    def _announced(self, part: FollowerPart, commit: Commit) -> None:
        if part.is_up and (part.commit is None or commit.sequence >= part.commit.sequence):
            part.hear(commit)
            self.wake(part)

    # --- members -------------------------------------------------------------------------------

    def _connect(self, seat: Seat) -> None:
        """Give a seat a line, and have it log on; while nobody listens it is tried again."""
        if seat.is_up or seat.session.ended is not None:
            return
        if not self.venue.is_up:
            self.at(self.now + RECONNECT_NS, partial(self._connect, seat))
            return
        self.network.connect(seat)
        seat.session.linked()
        self.send_out(seat)

    def send_out(self, seat: Seat) -> None:
        """Carry what a seat's session wants to say."""
        line = self.network.line_of(seat)
        outbox = seat.session.outbox
        while outbox and line is not None:
            said = outbox.popleft()
            said.handed = True
            self.network.carry_out(line, said.frame)

    def _hear(self, line: Line, frame: bytes) -> None:
        if self.venue.is_up:
            self.venue.mail.append((line, frame))
            self.wake(self.venue)

    def send(self, session: bytes, frame: bytes) -> RejectReason:
        """Carry what the gateway says to a session; reports must be of what is synced."""
        if frame[:1] == REPORTS:
            last = int(np.frombuffer(frame, REPORT, offset=1)["sequence"].max())
            self.chronicle.told("a member", last)
        return self.network.carry_back(session, frame)

    def _told(self, line: Line, frame: bytes) -> None:
        seat = line.seat
        if seat.connection != line.number:
            return
        if seat.is_deaf:
            seat.unread.append(frame)
            return
        self.receive(seat, frame)

    def receive(self, seat: Seat, frame: bytes) -> None:
        """Have a seat hear a frame, and do what its session asks for then."""
        session = seat.session
        session.receive(frame)
        if session.fault is not None:
            fault, session.fault = session.fault, None
            self.shapes.note(f"session fault: {getattr(fault, 'reason', '') or type(fault).__name__}")
        if session.wants_new_link:
            session.wants_new_link = False
            line = self.network.line_of(seat)
            if line is not None:
                self.network.cut(line)
        self.send_out(seat)

    def _lost(self, line: Line) -> None:
        """Have a seat notice that its line is gone; it comes back a little later."""
        seat = line.seat
        if seat.connection == line.number:
            seat.connection = 0
            seat.unread.clear()
            seat.session.cut()
            self.at(self.now + self.chance.randrange(RECONNECT_NS), partial(self._connect, seat))

    def _look(self, member: Member) -> None:
        """Have a member look at what has come; one whose session was ended begins anew when it may."""
        seat = member.seat
        session = seat.session
        if session.ended is not None:
            key = live_key(self.venue.engine.registry, seat.name, seat.key) if self.venue.is_up else ""
            if key:
                seat.key, seat.connection = key, 0
                seat.begin_anew()
                self._connect(seat)
            return
        if not seat.is_deaf:
            member.look(seat.clock())
            self.send_out(seat)

    # --- what is left --------------------------------------------------------------------------

    def _digest(self) -> str:
        """Return what names this run: the same seed has the same, on every machine."""
        told = (
            self.mirror.engine.state_hash(),
            self.mirror.digest.hex(),
            self.now,
            self.deeds,
            sorted(self.shapes.items()),
            sorted(self.faults.items()),
            [reader.heard for reader in self.audience.readers],
        )
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _where(error: Exception) -> str:
    """Return the place where an error arose."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
