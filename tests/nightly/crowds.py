"""Crowds: ten thousand members' connections at once, then a thousand readers of the feed, a few of them slow.

All connections have their own CURVE handshake and log on; all must hear heartbeats, while some of them trade.
Readers of the feed count the numbers of what they hear: who reads must miss nothing because others do not.

One ROUTER socket makes all connections of members, each by a name of its own and with its member's keys: a
socket each would take two handles a connection.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import zmq

from exchange.config import SessionSettings
from exchange.instruments import standard_catalogue
from exchange.profiles import Profile
from exchange.protocol.messages import ANSWERS, Heartbeat, Logon, Logout, Welcome, encode
from exchange.protocol.records import COMMAND_STRUCT, REPORT_STRUCT, Command, Report
from exchange.server.process import FEED, SEQUENCER
from matching.vocabulary import CommandKind, EventKind, Side, TimeInForce
from tests.nightly import campaign, readers
from tests.nightly.campaign import Progress, Tally
from tests.nightly.order_load import quantile
from tests.nightly.soaked_venue import MIB, PATIENCE_SECONDS, SoakedVenue, sequencer_of, soaked_venue

CONNECTIONS = 10_000
SUBSCRIBERS = 1_000
CONNECTIONS_A_SECOND = 100
"""So many connections at the most for each second that a campaign is given: 10,000 take 100 s and more. Of
readers a tenth of that."""

PER_KEY = SessionSettings().per_key
"""Sessions of one key: as the venue has them unless told otherwise, so that it takes 625 members."""

TRADING = 50
"""How many of the connections trade."""

ORDERS_A_SECOND = 500
GROUP = 250
"""So many connect at a time, and the next when all of them are welcome."""

GATHER_SECONDS_MIN = 30.0
"""How long a crowd may take to come in, if not longer; who has not come by then is not waited for."""

HANDLES_SPARE = 500
SILENT_SECONDS_MAX = 5.0
"""A connection that hears no heartbeat for so long is lost: the venue says one each second."""

LEAVES_SECONDS_MAX = 30.0


class Crowd:
    """Many connections of one process to a venue's members' door, each of them a session."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], profiles: list[Profile]) -> None:
        self.welcomed: dict[bytes, float] = {}
        """When each connection was welcomed, and in what order they came."""
        self.heard_at: dict[bytes, float] = {}
        self.gaps: list[float] = []
        """Between one heartbeat and the next of a connection, in seconds."""
        self.heartbeats = 0
        self.waits: list[float] = []
        self.accepted = self.refused = self.sent = 0
        self.strange: list[str] = []
        self._profiles = profiles
        self._due: dict[bytes, float] = {}
        self.socket = socket = context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.SNDHWM, 1_000)
        socket.setsockopt(zmq.RCVHWM, 10_000)
        socket.setsockopt(zmq.CURVE_SERVERKEY, profiles[0].server_key.encode())

    def connect(self, count: int) -> list[bytes]:
        """Begin so many more connections, and say the logon on each; return their names."""
        names = []
        for number in range(len(self.heard_at), len(self.heard_at) + count):
            profile, name = self._profiles[number // PER_KEY], b"c%06d" % number
            self.socket.setsockopt(zmq.CURVE_PUBLICKEY, profile.public_key.encode())
            self.socket.setsockopt(zmq.CURVE_SECRETKEY, profile.secret_key.encode())
            self.socket.setsockopt(zmq.CONNECT_ROUTING_ID, name)
            self.socket.connect(profile.endpoints.orders)
            self.socket.send_multipart((name, encode(Logon(1))))
            self.heard_at[name] = time.monotonic()
            names.append(name)
        return names

    def order(self, name: bytes, price: int) -> None:
        """Send one order that does not trade, and count from now."""
        client_id = name + b"-%d" % self.sent
        command = Command(
            CommandKind.NEW,
            Side.BUY,
            time_in_force=TimeInForce.IOC,
            instrument=0,
            client_id=client_id,
            price=price,
            quantity=1,
            sent_at=time.time_ns(),
        )
        self.sent += 1
        self._due[client_id] = time.perf_counter()
        self.socket.send_multipart((name, b"C" + COMMAND_STRUCT.pack(*command)))

    @property
    def unanswered(self) -> int:
        """How many orders have no answer yet."""
        return len(self._due)

    def hear(self, timeout_ms: int) -> None:
        """Take in what has come on all connections, waiting so long for the first of it."""
        if not self.socket.poll(timeout_ms):
            return
        for _ in range(10_000):
            try:
                name, body = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._take(name, body, time.monotonic())

    def _take(self, name: bytes, body: bytes, now: float) -> None:
        if body[:1] == b"R":
            self._note(body[1:])
            return
        answer = ANSWERS.decode(body[1:]) if name in self.welcomed else None
        if isinstance(answer, Heartbeat):
            self.heartbeats += 1
            self.gaps.append(now - self.heard_at[name])
            self.heard_at[name] = now
        elif answer is None and WELCOME in body[:32]:
            self.welcomed[name] = self.heard_at[name] = now
        else:
            self.strange.append(f"{name!r} heard {body[:120]!r}")

    def _note(self, data: bytes) -> None:
        for row in REPORT_STRUCT.iter_unpack(data):
            report = Report(*row)
            due = self._due.pop(report.client_id.rstrip(b"\0"), None)
            if report.kind in (EventKind.ACCEPTED, EventKind.REJECTED) and due is not None:
                self.waits.append(time.perf_counter() - due)
                self.accepted += report.kind == EventKind.ACCEPTED
                self.refused += report.kind == EventKind.REJECTED

    def silent(self, now: float) -> list[bytes]:
        """Return the connections that have heard nothing for too long."""
        return [name for name, heard in self.heard_at.items() if now - heard > SILENT_SECONDS_MAX]


WELCOME = Welcome.__name__.encode()


def handles_for(count: int) -> int:
    """Raise this process's limit of handles to the most; return for how many of `count` there is one each."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return min(count, most - HANDLES_SPARE)


def handles_of(pid: int) -> int:
    """Return how many handles a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def gather(
    crowd: Crowd, count: int, seconds: float, tally: Tally, venue: SoakedVenue, progress: Progress
) -> None:
    """Let so many connections come in, group by group, or as many as the time allows; count how many did."""
    began = told = time.monotonic()
    slowest = 0.0
    while len(crowd.welcomed) < count and time.monotonic() - began < seconds:
        before = time.monotonic()
        wanted = len(crowd.heard_at) + min(GROUP, count - len(crowd.heard_at))
        crowd.connect(wanted - len(crowd.heard_at))
        while len(crowd.welcomed) < wanted:
            crowd.hear(10)
            if time.monotonic() - before > PATIENCE_SECONDS:
                tally.failures.append(
                    f"{wanted - len(crowd.welcomed)} of {wanted:,} connections were not welcomed"
                )
                return
        venue.check()
        slowest = max(slowest, time.monotonic() - before)
        if time.monotonic() - told > 5:
            told = time.monotonic()
            progress(f"{len(crowd.welcomed):,} connections are logged on after {told - began:.0f} s")
    tally.counts["seconds until they were logged on"] = round(time.monotonic() - began, 2)
    tally.counts[f"slowest {GROUP} logons, seconds"] = round(slowest, 2)


def stay(crowd: Crowd, seconds: float, venue: SoakedVenue, tally: Tally, progress: Progress) -> None:
    """Let all listen, and some trade, for so long; count heartbeats and answers."""
    crowd.gaps.clear()
    crowd.heartbeats = 0
    trading = list(crowd.welcomed)[:: max(1, len(crowd.welcomed) // TRADING)][:TRADING]
    instrument = standard_catalogue()[0]
    price = max(1, instrument.list_price // instrument.tick // 2) * instrument.tick
    now = time.monotonic()
    for name in crowd.heard_at:
        crowd.heard_at[name] = now
    before = venue.sample().cpu_seconds
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds or crowd.unanswered or not crowd.heartbeats:
        if passed < seconds:
            for _ in range(int(passed * ORDERS_A_SECOND) + 1 - crowd.sent):
                crowd.order(trading[crowd.sent % len(trading)], price)
        crowd.hear(1)
        if passed > seconds + PATIENCE_SECONDS:
            tally.failures.append(f"{crowd.unanswered:,} orders of a crowd were not answered")
            break
    venue.check()
    silent = crowd.silent(time.monotonic())
    judged = time.monotonic()
    while silent and time.monotonic() - judged < SILENT_SECONDS_MAX:  # it may be we who have not listened
        crowd.hear(100)
        silent = crowd.silent(judged)
    for role, spent in venue.sample().cpu_seconds.items():
        tally.counts[f"{role} CPU seconds a second amid them"] = round((spent - before[role]) / passed, 3)
    progress(f"{crowd.heartbeats:,} heartbeats, {crowd.accepted:,} orders answered, {len(silent)} silent")
    tally.counts |= {
        "heartbeats heard": crowd.heartbeats,
        "connections that fell silent": len(silent),
        "orders answered amid them": crowd.accepted + crowd.refused,
        "of these refused": crowd.refused,
    }
    if crowd.gaps:
        tally.counts["seconds between heartbeats, p99"] = quantile(np.array(crowd.gaps), 0.99)
        tally.counts["seconds between heartbeats, at most"] = round(max(crowd.gaps), 3)
    if crowd.waits:
        tally.counts["order p50 ms amid them"] = quantile(np.array(crowd.waits) * 1e3, 0.5)
        tally.counts["order p99 ms amid them"] = quantile(np.array(crowd.waits) * 1e3, 0.99)
    if silent or not crowd.heartbeats:
        tally.failures.append(
            f"{len(silent):,} connections heard no heartbeat for {SILENT_SECONDS_MAX:.0f} s"
        )
    if crowd.refused or not crowd.accepted:
        tally.failures.append(f"of {crowd.sent:,} orders amid a crowd {crowd.accepted:,} were taken")
    tally.failures += crowd.strange[:3]


def leave(crowd: Crowd, venue: SoakedVenue, tally: Tally) -> None:
    """Let half of the connections log out and all go without a further word; no session may stay."""
    for name in list(crowd.welcomed)[::2]:
        crowd.socket.send_multipart((name, encode(Logout(2))))
    crowd.hear(100)
    crowd.socket.close()
    began = time.monotonic()
    while (left := sequencer_of(venue.supervisor.state()).sessions) and (
        time.monotonic() - began < LEAVES_SECONDS_MAX
    ):
        venue.check()
        time.sleep(0.2)
    tally.counts["sessions left when all had gone"] = left
    tally.counts["seconds until none was left"] = round(time.monotonic() - began, 1)
    if left:
        tally.failures.append(f"{left:,} sessions outlived their connections by {LEAVES_SECONDS_MAX:.0f} s")


@contextmanager
def a_context(sockets: int) -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """Yield a context for so many sockets."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    context.set(zmq.MAX_SOCKETS, sockets)
    try:
        yield context
    finally:
        context.destroy(linger=0)


def meet(venue: SoakedVenue, count: int, seconds: float, tally: Tally, progress: Progress) -> None:
    """Have a crowd of so many connections come, stay and leave."""
    profiles = [venue.profile(name) for name in members_of(count)]
    pid = venue.supervisor.processes[SEQUENCER].pid
    before = venue.sample().memory[SEQUENCER]
    with a_context(16) as context:
        crowd = Crowd(context, profiles)
        gather(crowd, count, max(GATHER_SECONDS_MIN, seconds), tally, venue, progress)
        tally.counts["connections logged on"] = len(crowd.welcomed)
        tally.counts["sequencer's handles"] = handles_of(pid)
        stay(crowd, seconds, venue, tally, progress)
        after = venue.sample().memory[SEQUENCER]
        tally.counts["sequencer MiB before the crowd"] = round(before / MIB, 1)
        tally.counts["sequencer MiB with the crowd"] = round(after / MIB, 1)
        tally.counts["KiB a connection"] = round((after - before) / 1024 / max(1, len(crowd.welcomed)), 1)
        leave(crowd, venue, tally)
    tally.counts["sequencer's handles when all had gone"] = handles_of(pid)


def members_of(connections: int) -> list[str]:
    """Return the names of members enough for so many connections, with `PER_KEY` of them a key."""
    return [f"CROWD-{number:03}" for number in range(-(-connections // PER_KEY))]


def run(seconds: float, seed: int, progress: Progress) -> Tally:
    """Fill a venue with 10,000 sessions, then its feed with 1,000 readers; nobody may miss anything."""
    tally = Tally("crowds", seconds)
    connections = min(CONNECTIONS, max(PER_KEY, int(seconds * CONNECTIONS_A_SECOND)))
    subscribers = max(1, connections * SUBSCRIBERS // CONNECTIONS)
    count = handles_for(connections)
    tally.counts["connections wanted"] = count
    if count < connections:
        progress(f"this system opens {count:,} files a process: so many connect, not {connections:,}")
    settings = readers.SETTINGS
    with soaked_venue([*members_of(count), readers.TRADER], [], settings, progress) as venue:
        meet(venue, count, seconds * 0.3, tally, progress)
        before = venue.sample().memory[FEED]
        with a_context(2 * subscribers + 64) as context:
            readers.read_together(venue, context, subscribers, seconds * 0.3, seed, tally, progress)
        tally.counts["feed MiB before the readers"] = round(before / MIB, 1)
        venue.await_followers()
        if venue.told:
            tally.failures.append(f"the venue had something to tell: {venue.told}")
    again = f"python -m tests.nightly.crowds --seconds {seconds:g} --seed {seed}"
    tally.failures = [f"{one}; to repeat it: {again}" for one in tally.failures]
    return tally


if __name__ == "__main__":
    campaign.main(run)
