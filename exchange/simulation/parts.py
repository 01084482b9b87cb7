"""The venue's processes as parts that are begun, take turns, and die: the same code without its sockets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Protocol

import numpy as np

from exchange.config import Settings
from exchange.engine import Engine, Outcome
from exchange.protocol.acts import SignedAct
from exchange.reports import Reporter
from exchange.server.clock import SteadyClock
from exchange.server.enquiries import Enquiries
from exchange.server.feeding import Teller
from exchange.server.follower import Commit, Follower
from exchange.server.gateway import Gateway
from exchange.server.journal import Journal
from exchange.server.replay import beginning, recover
from exchange.server.reportlog import ReportLog
from exchange.server.retention import let_go
from exchange.server.sequencer import Clock, SequencedLog, Sequencer
from exchange.server.settler import Settler
from exchange.server.snapshots import SnapshotDamaged, load, prune, save
from exchange.server.timekeeper import Draw
from exchange.simulation.faulty_disk import Crashed, FaultyDisk
from exchange.simulation.network import Line
from exchange.simulation.plan import SECOND_NS
from matching.vocabulary import RejectReason
from settlement.store import Store

JOURNAL = Path("journal")
SNAPSHOTS = Path("snapshots")
SEGMENT_BYTES = 16 << 10
"""Small, so that a day fills several."""

FLUSH_NS = 3_600 * SECOND_NS
"""How often the store commits: each time costs more than a hundred commands."""

HEARTBEAT_NS = 60 * SECOND_NS
"""How often the feed tells how far it has come."""

SNAPSHOTS_KEPT = 2

Seen = Callable[[Engine, np.ndarray, tuple[SignedAct, ...], Outcome], None]
"""Told of every batch that the live engine has applied, when it is synced."""


class House(Protocol):
    """What the parts share, and whom they tell: the world."""

    now: int
    disk: FaultyDisk

    def wall(self) -> int:
        """Return what the machine's clock shows, ns since 1970."""

    def saw(
        self, engine: Engine, commands: np.ndarray, acts: tuple[SignedAct, ...], outcome: Outcome
    ) -> None:
        """Take in a batch that was sequenced."""

    def recovered(self, engine: Engine, journal: Journal) -> None:
        """Take in that the venue has come back."""

    def replica(self, engine: Engine, name: str) -> None:
        """Take in that a follower has applied a frame."""

    def send(self, session: bytes, frame: bytes) -> RejectReason:
        """Carry what the gateway says."""

    def announce(self, commit: Commit) -> None:
        """Tell the followers how far the journal is synced."""

    def publish(self, frame: bytes) -> None:
        """Carry what the feed says to its readers."""


class WitnessedSequencer(Sequencer):
    """A sequencer of which every batch is seen."""

    def __init__(self, engine: Engine, journal: SequencedLog, clock: Clock, draw: Draw, seen: Seen) -> None:
        super().__init__(engine, journal, clock, draw)
        self._seen = seen

    def _sequence(self, commands: np.ndarray, acts: tuple[SignedAct, ...], now: int) -> Outcome:
        outcome = super()._sequence(commands, acts, now)
        self._seen(self.engine, commands, acts, outcome)
        return outcome


class Part:
    """A process of the venue. While `paused_until` (ns) it takes no turn."""

    name = ""

    def __init__(self, house: House) -> None:
        self.house = house
        self.is_up = False
        self.paused_until = 0

    def start(self) -> None:
        """Begin, with what is on the disk."""
        raise NotImplementedError

    def turn(self) -> None:
        """Do what there is to do."""
        raise NotImplementedError

    def die(self) -> None:
        """Be gone, with all that is not on the disk."""
        self.is_up = False
        self.paused_until = 0


class VenuePart(Part):
    """The sequencer's process: gateway, sequencer, journal, engine."""

    name = "sequencer"

    def __init__(self, house: House, founding: tuple[SignedAct, ...], settings: Settings, seed: int) -> None:
        super().__init__(house)
        self.mail: list[tuple[Line, bytes]] = []
        self.passed: Callable[[], int] = lambda: 0
        self._founding, self._settings = founding, settings
        self._draw = Random(f"draw {seed}").randrange
        self._journal: Journal | None = None

    @property
    def engine(self) -> Engine:
        """The live engine."""
        return self.sequencer.engine

    @property
    def commit(self) -> Commit:
        """How far the journal is synced."""
        assert self._journal is not None
        return Commit(self._journal.sequence, self._journal.position)

    def start(self) -> None:
        """Recover, and open the doors. Raises what `recover` does."""
        kept, reporter = ReportLog(self._settings.sessions.reports_kept), Reporter()

        def keep(outcome: Outcome) -> None:
            kept.keep(*reporter.reports(outcome.events, outcome.effects))

        house = self.house
        engine, journal, _ = recover(JOURNAL, SNAPSHOTS, self.passed(), keep, house.disk, SEGMENT_BYTES)
        self._journal = journal
        try:
            kept.floor = max(kept.floor, journal.since)
            clock = SteadyClock(wall=house.wall, steady=lambda: house.now)
            house.recovered(engine, journal)
            self.sequencer = WitnessedSequencer(engine, journal, clock, self._draw, house.saw)
            if engine.sequence == 0:
                self.sequencer.found(self._founding)
            enquiries = Enquiries(self.sequencer, clock())
            self.gateway = Gateway(self.sequencer, enquiries, house.send, self._settings, kept)
        except BaseException:
            journal.close()
            raise
        self.is_up = True

    def turn(self) -> None:
        """Take in what has come, do it and answer it; do what time has brought."""
        mail, self.mail = self.mail, []
        registry = self.engine.registry
        for line, frame in mail:
            key = line.seat.key
            member = registry.keys.get(key)
            is_operators = member is not None and registry.members[member].role == "operator"
            self.gateway.hear(line.id, key, frame, is_operators=is_operators)
        self.gateway.work()
        done = self.sequencer.tell_time_if_due()
        if done is not None:
            self.gateway.tell(done)
        self.gateway.watch()
        self.house.announce(self.commit)

    def die(self) -> None:
        """Be gone; what members had said to it is lost."""
        super().die()
        self.mail.clear()
        if self._journal is not None:
            self._journal.close()


class FollowerPart(Part):
    """A process that reads the journal: it hears how far that is synced, and reads no further."""

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.commit: Commit | None = None
        self.follower: Follower

    def hear(self, commit: Commit) -> None:
        """Learn how far the journal is synced."""
        self.commit = commit

    def die(self) -> None:
        """Be gone, with what it had heard."""
        super().die()
        self.commit = None


class BrittleStore(Store):
    """A store whose process may die in the midst of a commit."""

    dies = False

    def _put_programmes(self, programmes: object) -> None:
        if self.dies:
            self.dies = False
            raise Crashed
        super()._put_programmes(programmes)  # type: ignore[arg-type]


class SettlementPart(FollowerPart):
    """The settlement's process. What it has committed outlives it, as DuckDB's file would."""

    name = "settlement"

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.base = Store.open()
        self.store = BrittleStore(self.base.cursor())
        self.noted = [0]
        """The watermarks that it has noted for the sequencer, the latest last."""
        self._flushed_at = 0

    def start(self) -> None:
        """Begin where the store ends."""
        self.store.close()
        self.store = BrittleStore(self.base.cursor())
        disk = self.house.disk
        begun = beginning(JOURNAL, SNAPSHOTS, self.store.watermark.sequence, disk)
        self.follower = Follower(JOURNAL, begun, disk)
        self.settler = Settler(self.follower, self.store, self.noted.append)
        self._flushed_at = self.house.now
        self.is_up = True

    def turn(self) -> None:
        """Fold what is new; commit now and then."""
        if self.commit is None:
            return
        before = self.follower.engine.sequence
        self.settler.settle(self.commit)
        if self.follower.engine.sequence != before:
            self.house.replica(self.follower.engine, self.name)
        if self.house.now >= self._flushed_at + FLUSH_NS:
            self.flush()

    def flush(self) -> None:
        """Commit, and compare the store with the replica's ledger. Raises `Unreconciled`."""
        if self.settler.is_ahead:
            self.settler.flush()
            self.settler.reconcile()
        self._flushed_at = self.house.now


class FeedPart(FollowerPart):
    """The feed's process: it publishes what is new to it, and answers who asks for a whole book."""

    name = "feed"

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self._teller: Teller | None = None
        self._heartbeat_at = 0

    def start(self) -> None:
        """Catch up in silence once it hears how far the journal is."""
        self.follower = Follower(
            JOURNAL, beginning(JOURNAL, SNAPSHOTS, files=self.house.disk), self.house.disk
        )
        self._teller = None
        self.is_up = True

    def turn(self) -> None:
        """Publish what every new frame changed, and a heartbeat when it is time."""
        if self.commit is None:
            return
        engine, house = self.follower.engine, self.house
        if self._teller is None:
            for _ in self.follower.advance(self.commit):
                house.replica(engine, self.name)
            engine.record()
            self._teller = Teller(engine, run=house.now)
        for frame, outcome in self.follower.advance(self.commit):
            house.replica(engine, self.name)
            for message in self._teller.told(outcome, frame.first, frame.last, frame.time):
                house.publish(message)
        if house.now >= self._heartbeat_at + HEARTBEAT_NS:
            self._heartbeat_at = house.now
            for message in self._teller.each_second(house.now):
                house.publish(message)

    def answer(self, request: bytes) -> bytes | None:
        """Answer who asks for a whole book; None where there is no answer yet."""
        return None if self._teller is None else self._teller.answer(request)


def take_snapshot(house: House, commit: Commit, passed_by_all: int, keep_segments: int) -> Engine:
    """Replay what is synced, write it as a snapshot, and let go of what that makes needless.

    Raises `SnapshotDamaged` if what was read back is not what was written.
    """
    disk = house.disk
    follower = Follower(JOURNAL, beginning(JOURNAL, SNAPSHOTS, files=disk), disk)
    for _ in follower.advance(commit):
        house.replica(follower.engine, "snapshot")
    path = save(SNAPSHOTS, follower.engine, follower.mark, disk)
    if load(path, disk).engine.state_hash() != follower.engine.state_hash():
        raise SnapshotDamaged(path, "it was read back as another state than was written")
    kept = prune(SNAPSHOTS, SNAPSHOTS_KEPT, passed_by_all, disk)
    if kept.oldest is not None:
        let_go(JOURNAL, kept.oldest, passed_by_all, keep_segments, disk)
    return follower.engine
