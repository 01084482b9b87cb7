"""A venue's doors in this process: real sockets under CURVE, the sequencer's own loop on a thread."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from datetime import datetime

import zmq

from exchange.config import Settings
from exchange.engine import Engine
from exchange.protocol.acts import Admit, RegisterKey, SignedAct
from exchange.protocol.messages import ANSWERS, Heartbeat, Logon, Welcome, encode
from exchange.protocol.records import COMMAND_STRUCT, REPORT_STRUCT, Command, Report
from exchange.server.door import MEMBERS, OPERATORS, Doors
from exchange.server.enquiries import Enquiries
from exchange.server.folder import new_key_pair
from exchange.server.founding import MILLION_YUAN, standard_acts, voucher
from exchange.server.gateway import Gateway
from exchange.server.gauges import TimedLog
from exchange.server.memory_journal import MemoryJournal
from exchange.server.process import SequencerStats
from exchange.server.run_sequencer import Loop, opens
from exchange.server.sequencer import Sequencer
from exchange.server.sockets import bind, commit_publisher, order_router
from exchange.server.zap import Doorkeeper
from matching.vocabulary import CommandKind, Side, TimeInForce
from settlement.terms import VENUE_ZONE

PATIENCE_MS = 30_000
NAMES = ("ANN", "BOB", "OPERATOR")
AHEAD_NS = int(datetime(2026, 11, 30, 12, tzinfo=VENUE_ZONE).timestamp()) * 10**9 - time.time_ns()
"""From this machine's clock to a noon at the venue: no test meets the end of a trading day."""


def now():
    """Return the time at the house, in ns since 1970."""
    return time.time_ns() + AHEAD_NS


class House:
    """Everything between the wire and the journal."""

    def __init__(self, settings=None):
        self.keys = {name: new_key_pair(name) for name in NAMES}
        self.own = new_key_pair("VENUE")
        firms = [(Admit(member=name, role="firm", size="small"), MILLION_YUAN) for name in ("ANN", "BOB")]
        self.engine = Engine()
        self.journal = MemoryJournal()
        log = TimedLog(self.journal, time.perf_counter)
        self.sequencer = Sequencer(self.engine, log, now)
        keys = (SignedAct("OPERATOR", "test", RegisterKey(n, k.public_key)) for n, k in self.keys.items())
        self.sequencer.found((*standard_acts(firms, [], [voucher(2026)]), *keys))
        self.context = zmq.Context()
        self.keeper = Doorkeeper(self.context, lambda door, key: opens(self.engine.registry, door, key))
        secret = self.own.secret_key.encode()
        routers = {door: order_router(self.context, secret, door) for door in (MEMBERS, OPERATORS)}
        self.endpoints = {door: bind(router, "tcp://127.0.0.1:0") for door, router in routers.items()}
        doors = Doors(routers[MEMBERS], routers[OPERATORS])
        doors.also_wake_for(self.keeper.socket)
        self.gateway = Gateway(
            self.sequencer, Enquiries(self.sequencer, 0), doors.send, settings or Settings()
        )
        commits = commit_publisher(self.context)
        bind(commits, "tcp://127.0.0.1:0")
        self.reported: list[SequencerStats] = []
        self.loop = Loop(doors, self.keeper, self.gateway, self.sequencer, commits, log, self.reported.append)
        self.stop = threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            self.loop.run(self.stop)
        except BaseException as error:
            self.failure = error

    def close(self):
        self.stop.set()
        self.thread.join()
        self.context.destroy(linger=0)
        assert self.failure is None, self.failure

    def address(self, door=MEMBERS):
        host, _, port = self.endpoints[door].removeprefix("tcp://").partition(":")
        return host, int(port)

    def dealer(self, context, pair, door=MEMBERS, identity=None):
        """Return a member's bare socket, connected."""
        socket = self.unconnected(context, pair, identity)
        socket.connect(self.endpoints[door])
        return socket

    def unconnected(self, context, pair, identity=None):
        """Return a member's bare socket with all that it needs set."""
        socket = context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.HANDSHAKE_IVL, PATIENCE_MS)
        if identity is not None:
            socket.setsockopt(zmq.ROUTING_ID, identity)
        socket.setsockopt(zmq.CURVE_SERVERKEY, self.own.public_key.encode())
        socket.setsockopt(zmq.CURVE_PUBLICKEY, pair.public_key.encode())
        socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret_key.encode())
        return socket

    @contextmanager
    def member(self, name, door=MEMBERS):
        """Yield a member's line, logged on."""
        with zmq.Context() as context, self.dealer(context, self.keys[name], door) as socket:
            line = Line(socket, self.engine)
            line.socket.send(encode(Logon(1)))
            assert isinstance(line.answer(), Welcome)
            yield line


class Line:
    """What a member says and hears on a bare socket."""

    def __init__(self, socket, engine):
        self.socket = socket
        self._index = engine.registry.instrument_numbers["QWEN3-MAX"]
        self._price = engine.registry.instruments[self._index].tick

    def heard(self):
        """Return what comes next, but for heartbeats."""
        while True:
            assert self.socket.poll(PATIENCE_MS), "the venue is silent"
            body = self.socket.recv()
            if body[:1] == b"R" or not isinstance(ANSWERS.decode(body[1:]), Heartbeat):
                return body

    def answer(self):
        return ANSWERS.decode(self.heard()[1:])

    def place(self, name):
        """Place an order, and return the report that answers it."""
        self.socket.send(b"C" + self.order(name))
        return Report._make(REPORT_STRUCT.unpack(self.heard()[1:]))

    def order(self, name):
        return COMMAND_STRUCT.pack(
            *Command(
                kind=CommandKind.NEW,
                side=Side.BUY,
                time_in_force=TimeInForce.DAY,
                instrument=self._index,
                client_id=name.encode(),
                price=self._price,
                quantity=1,
                sent_at=now(),
            )
        )
