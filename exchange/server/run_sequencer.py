"""The sequencer's process: one busy thread, a socket for members and one for operators, one journal."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Protocol

import zmq

from exchange.config import ANNOUNCE_SECONDS, TELL_SECONDS, Endpoints, Settings
from exchange.engine import RULES_VERSION, Outcome
from exchange.protocol.messages import PROTOCOL_VERSION
from exchange.registry import Registry
from exchange.reports import Reporter
from exchange.server.clock import SteadyClock
from exchange.server.door import OPERATORS, Doors
from exchange.server.enquiries import Enquiries
from exchange.server.folder import Folder
from exchange.server.follower import Commit, encode_commit
from exchange.server.gateway import Gateway
from exchange.server.gauges import TimedLog, statistics
from exchange.server.process import Pace, SequencerStats, Stop, report_ready, report_stats
from exchange.server.replay import recover
from exchange.server.reportlog import ReportLog
from exchange.server.security import SecurityLog
from exchange.server.sequencer import Sequencer
from exchange.server.sockets import bind, commit_publisher, order_router
from exchange.server.zap import Doorkeeper

FAREWELL_MS = 500
"""How long the last answers may take on their way out when the venue stops."""


def run(folder: Folder, settings: Settings, stop: Stop) -> None:
    """Recover, open the doors, and trade until told to stop."""
    kept, reporter = ReportLog(settings.sessions.reports_kept), Reporter()

    def keep(outcome: Outcome) -> None:
        kept.keep(*reporter.reports(outcome.events, outcome.effects))

    engine, journal, told = recover(folder.journal, folder.snapshots, folder.passed(), keep)
    kept.floor = max(kept.floor, journal.since)
    log = TimedLog(journal, time.perf_counter)
    clock = SteadyClock(logging.getLogger("bourse.clock").warning)
    sequencer = Sequencer(engine, log, clock)
    if engine.sequence == 0:
        sequencer.found(folder.founding_acts())
    security = SecurityLog(folder.security, time.time_ns, lambda: (RULES_VERSION, engine.sequence))
    security.note("venue_started", facts=versions())
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()

    def refused(door: str, address: str, key: str) -> None:
        security.count("handshake_refused", "", key, address, f"no key of the {door}' door")

    keeper = Doorkeeper(context, lambda door, key: opens(engine.registry, door, key), refused)
    secret = folder.venue_key().secret_key.encode("ascii")
    members, operators = (order_router(context, secret, door) for door in ("members", OPERATORS))
    commits = commit_publisher(context)
    listen = settings.listen
    bound = Endpoints(
        orders=bind(members, listen.orders, "listen.orders"),
        operators=bind(operators, listen.operators, "listen.operators"),
        commits=bind(commits, listen.commits, "listen.commits"),
    )
    doors = Doors(members, operators)
    doors.also_wake_for(keeper.socket)
    gateway = Gateway(sequencer, Enquiries(sequencer, clock()), doors.send, settings, kept, security)
    report_ready(bound, sequence=engine.sequence, snapshot=journal.since, told=told)
    try:
        Loop(doors, keeper, gateway, sequencer, commits, log, report_stats, security).run(stop)
        gateway.stop()
        security.note("venue_stopped")
    finally:
        security.close()
        context.destroy(linger=FAREWELL_MS)
        journal.close()


def opens(registry: Registry, door: str, key: str) -> bool:
    """Tell whether a key opens a door: operators' keys open the operators', all others the members'."""
    member = registry.keys.get(key)
    return member is not None and (registry.members[member].role == "operator") == (door == OPERATORS)


def versions() -> dict[str, str | int]:
    """Return what the venue runs: the program's version, and those of the libraries that keep the doors."""
    return {
        "version": version("tokenbourse"),
        "protocol": PROTOCOL_VERSION,
        "python": platform.python_version(),
        "libzmq": zmq.zmq_version(),
    }


class Ending(Protocol):
    """What tells a loop to end; `exchange.server.process.Stop` is that of a process."""

    def is_set(self) -> bool:
        """Tell whether it should end."""


class Loop:
    """Drain, work, send, announce; wait only when there is nothing to do."""

    def __init__(
        self,
        doors: Doors,
        keeper: Doorkeeper,
        gateway: Gateway,
        sequencer: Sequencer,
        commits: zmq.Socket[bytes],
        log: TimedLog,
        report: Callable[[SequencerStats], object],
        security: SecurityLog | None = None,
    ) -> None:
        self._report = report
        self._security = security
        self._doors = doors
        self._keeper = keeper
        self._gateway = gateway
        self._sequencer = sequencer
        self._commits = commits
        self._log = log
        self._announced = -1
        self._announcing = Pace(ANNOUNCE_SECONDS)
        self._telling = Pace(TELL_SECONDS)
        self._reporting = Pace()
        self._idle = 0.0

    def run(self, stop: Ending) -> None:
        """Trade until told to stop; what was taken in by then is done and answered."""
        before = time.monotonic()
        while not stop.is_set():
            busy = self.turn()
            now = time.monotonic()
            is_news = self._sequencer.engine.sequence != self._announced
            if (is_news and (not busy or self._telling.is_due(now))) or self._announcing.is_due(now):
                self.announce()
            if self._reporting.is_due(now):
                share = 1.0 - self._idle / max(now - before, 1e-9)
                self._report(
                    statistics(self._sequencer, self._gateway, self._log, max(0.0, share), self._security)
                )
                before, self._idle = now, 0.0
            if not busy:
                self._doors.wait(int(ANNOUNCE_SECONDS * 1000))
                self._idle += time.monotonic() - now
        self.turn()
        self.announce()

    def turn(self) -> bool:
        """Take in what has come, do it and answer it; do what time has brought. Tell whether orders came."""
        self._keeper.work()
        self._doors.drain(self._gateway)
        busy = self._gateway.work()
        done = self._sequencer.tell_time_if_due()
        if done is not None:
            self._gateway.tell(done)
        self._gateway.watch()
        if self._security is not None:
            self._security.write()
        return busy

    def announce(self) -> None:
        """Tell the followers how far the journal is synced."""
        self._announced = self._sequencer.engine.sequence
        self._commits.send(encode_commit(Commit(self._announced, self._log.position)))
