"""The sequencer's process: one busy thread, one socket for members, one journal."""

from __future__ import annotations

import time

import zmq

from exchange.config import ANNOUNCE_SECONDS, Endpoints
from exchange.server.door import Door
from exchange.server.enquiries import Enquiries
from exchange.server.folder import Folder
from exchange.server.follower import Commit, encode_commit
from exchange.server.gateway import Gateway
from exchange.server.process import Stop, report_ready
from exchange.server.replay import recover
from exchange.server.sequencer import Sequencer
from exchange.server.sockets import Keyring, authenticator, bind, commit_publisher, order_router


def run(folder: Folder, endpoints: Endpoints, stop: Stop) -> None:
    """Recover, open the door, and trade until told to stop."""
    engine, journal = recover(folder.journal, folder.passed())
    sequencer = Sequencer(engine, journal, time.time_ns)
    if engine.sequence == 0:
        sequencer.found(folder.founding_acts())
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    registry = engine.registry
    guard = authenticator(context, Keyring(lambda key: key in registry.keys))
    secret = folder.venue_key().secret_key.encode("ascii")
    router = order_router(context, secret)
    commits = commit_publisher(context)
    bound = Endpoints(orders=bind(router, endpoints.orders), commits=bind(commits, endpoints.commits))
    door = Door(router)
    gateway = Gateway(sequencer, Enquiries(sequencer, time.time_ns()), door.send)
    report_ready(bound, sequence=engine.sequence, told=journal.told)
    try:
        _trade(door, gateway, sequencer, commits, stop)
    finally:
        guard.stop()
        context.destroy(linger=0)
        journal.close()


def _trade(
    door: Door,
    gateway: Gateway,
    sequencer: Sequencer,
    commits: zmq.Socket[bytes],
    stop: Stop,
) -> None:
    """Drain, work, send, announce; wait only when there is nothing to do."""
    announced = -1
    next_announcement = 0.0
    while not stop.is_set():
        door.drain(gateway)
        busy = gateway.work()
        done = sequencer.tell_time_if_due()
        if done is not None:
            gateway.tell(done)
        now = time.monotonic()
        if sequencer.engine.sequence != announced or now >= next_announcement:
            announced = sequencer.engine.sequence
            next_announcement = now + ANNOUNCE_SECONDS
            commits.send(encode_commit(Commit(announced, sequencer.journal.position)))
        if not busy:
            door.wait(int(ANNOUNCE_SECONDS * 1000))
