"""A thousand readers of one feed, most of whom read; what they miss the messages' own numbers tell."""

from __future__ import annotations

import random
import time

import numpy as np
import zmq

from exchange.config import FeedSettings, Settings
from exchange.instruments import standard_catalogue
from exchange.profiles import Profile
from exchange.protocol.arrays import COMMAND, REPORT
from exchange.server.process import FEED
from feeds.messages import DEPTH, HEARTBEAT, TOPS, Heartbeat, read, topic
from feeds.records import HEADER
from matching.vocabulary import CommandKind, EventKind, Side, TimeInForce
from tests.nightly.campaign import Progress, Tally
from tests.nightly.order_load import quantile
from tests.nightly.soaked_venue import MIB, PATIENCE_SECONDS, SoakedVenue, member_socket

SETTINGS = Settings(feed=FeedSettings(messages_kept=1_024))
"""Little is kept for who does not read, so that a short time shows what becomes of him."""

TRADER = "CROWD-TRADER"
INSTRUMENTS = 20
ORDERS_A_SECOND = 400
SLOW_EVERY = 100
"""One reader in so many subscribes to everything, and reads nothing until the end."""

SLOW_BUFFER_BYTES = 4_096
LEVELS = 50
A_ROUND_MAX = 100
"""Most messages taken from one reader before the next has his turn."""


class Reader:
    """One SUB socket: the numbers it has heard of each topic, and what was missing between them."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], profile: Profile, instrument: int | None
    ) -> None:
        self.last: dict[tuple[bytes, int], int] = {}
        self.missed = self.messages = 0
        self.heartbeat: Heartbeat | None = None
        self.is_slow = instrument is None
        self.socket = socket = context.socket(zmq.SUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.CURVE_SERVERKEY, profile.server_key.encode())
        socket.setsockopt(zmq.CURVE_PUBLICKEY, profile.public_key.encode())
        socket.setsockopt(zmq.CURVE_SECRETKEY, profile.secret_key.encode())
        if instrument is None:
            socket.setsockopt(zmq.RCVHWM, 1)
            socket.setsockopt(zmq.RCVBUF, SLOW_BUFFER_BYTES)
            socket.subscribe(b"")
        else:
            socket.setsockopt(zmq.RCVHWM, 100_000)
            for one in (topic(DEPTH, instrument), topic(TOPS, instrument), HEARTBEAT):
                socket.subscribe(one)
        socket.connect(profile.endpoints.feed)

    def hear(self, waits: list[float]) -> bool:
        """Take in some of what has come; note how old it was. Tell whether there was anything."""
        for count in range(A_ROUND_MAX):
            try:
                frame = self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return count > 0
            self.take(frame, waits)
        return True

    def take(self, frame: bytes, waits: list[float]) -> None:
        """Note a message's number; of one that tells levels, how old it was, too."""
        kind, instrument, _, _, number, _, when, _ = HEADER.unpack_from(frame)
        self.messages += 1
        if kind == HEARTBEAT:
            told = read(frame)
            assert isinstance(told, Heartbeat)
            self.heartbeat = told
        elif kind in (DEPTH, TOPS):
            before = self.last.get((kind, instrument), number - 1)
            self.missed += number - before - 1
            self.last[kind, instrument] = number
            if kind == DEPTH and not self.is_slow:
                waits.append((time.time_ns() - when) / 1e6)

    def behind(self) -> int:
        """Return how many messages the last heartbeat knows of that were not heard."""
        if self.heartbeat is None:
            return 0
        return sum(self.heartbeat.numbers.get(one, last) - last for one, last in self.last.items())


class Quoter:
    """One member whose bids come and go, at a rate, so that levels change on some instruments."""

    def __init__(self, socket: zmq.Socket[bytes], seed: int) -> None:
        self.socket = socket
        self.sent = self.accepted = 0
        self._chance = random.Random(seed)
        self._listed = standard_catalogue()[:INSTRUMENTS]

    def send(self, due: int) -> None:
        """Send orders until so many are sent."""
        while self.sent < due:
            instrument = self._chance.randrange(INSTRUMENTS)
            listed = self._listed[instrument]
            command = np.zeros(1, COMMAND)
            command["kind"], command["side"] = CommandKind.NEW, Side.BUY
            command["time_in_force"], command["instrument"] = TimeInForce.DAY, instrument
            command["client_id"] = np.frombuffer(b"%024d" % self.sent, np.int64)
            command["programme"] = command["act"] = -1
            away = self._chance.randrange(min(LEVELS, listed.list_price // listed.tick))
            command["price"], command["quantity"] = listed.list_price // listed.tick * listed.tick, 1
            command["price"] -= away * listed.tick
            command["sent_at"] = time.time_ns()
            self.socket.send(b"C" + command.tobytes())
            self.sent += 1

    def hear(self) -> None:
        """Take in what has come, and take each order back once it rests."""
        while self.socket.poll(0):
            body = self.socket.recv()
            if body[:1] != b"R":
                continue
            reports = np.frombuffer(body, REPORT, offset=1)
            orders = reports["order"][reports["kind"] == EventKind.ACCEPTED]
            if len(orders):
                self.accepted += len(orders)
                cancels = np.zeros(len(orders), COMMAND)
                cancels["kind"], cancels["order"] = CommandKind.CANCEL, orders
                self.socket.send(b"C" + cancels.tobytes())


def opened(
    context: zmq.Context[zmq.Socket[bytes]], profile: Profile, count: int, tally: Tally
) -> tuple[list[Reader], list[Reader]]:
    """Return readers that read, each of whom has heard the feed, and slow ones."""
    began = time.monotonic()
    everyone = [
        Reader(context, profile, None if number % SLOW_EVERY == 0 else number % INSTRUMENTS)
        for number in range(count)
    ]
    reading = [one for one in everyone if not one.is_slow]
    waits: list[float] = []
    while not all(one.heartbeat for one in reading):
        if not sum(one.hear(waits) for one in reading):
            reading[0].socket.poll(1)
        if time.monotonic() - began > PATIENCE_SECONDS:
            deaf = sum(one.heartbeat is None for one in reading)
            tally.failures.append(f"{deaf:,} of {len(reading):,} readers of the feed heard nothing")
            break
    tally.counts["seconds until all readers heard the feed"] = round(time.monotonic() - began, 2)
    return reading, [one for one in everyone if one.is_slow]


def read_together(
    venue: SoakedVenue,
    context: zmq.Context[zmq.Socket[bytes]],
    count: int,
    seconds: float,
    seed: int,
    tally: Tally,
    progress: Progress,
) -> None:
    """Have so many readers read for so long what one member's orders change; count what they missed."""
    profile = venue.profile(TRADER)
    reading, slow = opened(context, profile, count, tally)
    quoter = Quoter(member_socket(context, profile), seed)
    try:
        listen(venue, quoter, reading, slow, seconds, tally, progress)
    finally:
        for socket in (quoter.socket, *(one.socket for one in (*reading, *slow))):
            socket.close()


def listen(
    venue: SoakedVenue,
    quoter: Quoter,
    reading: list[Reader],
    slow: list[Reader],
    seconds: float,
    tally: Tally,
    progress: Progress,
) -> None:
    """Let a member's orders come and go for so long, and judge what those who read have heard of it."""
    progress(f"{len(reading):,} readers hear the feed, {len(slow)} do not read")
    waits: list[float] = []
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        quoter.send(int(passed * ORDERS_A_SECOND))
        quoter.hear()
        if not sum(one.hear(waits) for one in reading):
            quoter.socket.poll(1)
    quoter.send(int(seconds * ORDERS_A_SECOND))
    venue.check()
    tally.counts["feed MiB with the readers"] = round(venue.sample().memory[FEED] / MIB, 1)
    finish(venue, quoter, reading, tally)
    for one in slow:
        while one.hear([]):
            pass
    judge(reading, slow, waits, tally)
    tally.counts["orders that the readers heard of"] = quoter.accepted
    progress(f"{sum(one.messages for one in reading):,} messages heard")


def finish(venue: SoakedVenue, quoter: Quoter, reading: list[Reader], tally: Tally) -> None:
    """Let all cancels be done and every reader hear a heartbeat that is told behind all of it."""
    began = time.monotonic()
    while quoter.accepted < quoter.sent and time.monotonic() - began < PATIENCE_SECONDS:
        quoter.socket.poll(1)
        quoter.hear()
    _, heads = venue.await_followers()
    head = max(heads.values())
    while waiting := [one for one in reading if one.heartbeat is None or one.heartbeat.sequence < head]:
        if not sum(one.hear([]) for one in waiting):
            waiting[0].socket.poll(1)
        if time.monotonic() - began > PATIENCE_SECONDS:
            tally.failures.append(f"{len(waiting):,} readers heard nothing of the feed's end")
            return


def judge(reading: list[Reader], slow: list[Reader], waits: list[float], tally: Tally) -> None:
    """Count what was heard and missed; who has read may have missed nothing."""
    missed = sum(one.missed + one.behind() for one in reading)
    tally.counts |= {
        "readers of the feed": len(reading),
        "messages they heard": sum(one.messages for one in reading),
        "messages they missed": missed,
        "slow readers": len(slow),
        "messages that slow readers missed": sum(one.missed for one in slow),
    }
    if waits:
        tally.counts["ms from a frame to its reader, p50"] = quantile(np.array(waits), 0.5)
        tally.counts["ms from a frame to its reader, p99"] = quantile(np.array(waits), 0.99)
    if missed:
        tally.failures.append(f"{missed:,} messages of the feed were missed by readers that read")
    if not all(one.last for one in reading):
        deaf = sum(not one.last for one in reading)
        tally.failures.append(f"{deaf:,} readers heard nothing of their instrument")
