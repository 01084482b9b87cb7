"""A key revoked in flight: each of its connections ends, what was answered stays, nothing more is taken."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zmq

from exchange.client.errors import ExchangeError
from exchange.client.sync import connect_sync
from exchange.config import Settings
from exchange.profiles import load_profile
from exchange.protocol.acts import Admit, RevokeKey
from exchange.protocol.arrays import COMMAND
from exchange.server.audit import verify
from exchange.server.folder import Folder, new_key_pair
from exchange.server.founding import MILLION_YUAN, standard_acts, this_year, voucher
from exchange.server.journal import read_frames
from exchange.server.replay import entered_orders
from exchange.server.supervisor import Supervisor
from exchange.server.warm import warm_up

pytestmark = pytest.mark.slow
PATIENCE_SECONDS = 60.0
BATCH = 20
ENDED = {"access_denied", "not_authenticated", "connection_lost", "outcome_unknown", "timeout"}


@pytest.fixture
def venue(tmp_path):
    warm_up()
    folder = Folder(tmp_path / "venue")
    firm = Admit(member="ANN", role="firm", size="small", region="HANGZHOU", open_orders_max=10**6)
    keys = [new_key_pair(name) for name in ("ANN", "OPERATOR")]
    folder.found(standard_acts([(firm, 5 * MILLION_YUAN)], keys, [voucher(this_year())]), keys)
    supervisor = Supervisor(folder, Settings(), print)
    try:
        supervisor.start()
        yield supervisor, folder
    finally:
        supervisor.stop()


def order_on(client, answered, is_flying):
    """Place orders until the venue has enough of it; return in a word why."""
    qwen = client.instruments["QWEN3-MAX"]
    while True:
        try:
            for order in client.place_all([qwen.buy(1, limit=qwen.tick)] * BATCH, timeout=PATIENCE_SECONDS):
                answered[order.id] = order.sequence
        except ExchangeError as error:
            return error.code
        is_flying.set()


def ask_on(client, is_flying):
    """Ask for tables, likewise."""
    while True:
        try:
            client.history.sql("select count(*) as trades from trades", timeout=PATIENCE_SECONDS).rows()
        except ExchangeError as error:
            return error.code
        is_flying.set()


def read_on(profile, is_flying):
    """Read the feed until its line ends and is not let in again."""
    with zmq.Context() as context, context.socket(zmq.SUB) as reader:
        reader.linger = 0
        reader.curve_serverkey = profile.server_key.encode()
        reader.curve_publickey = profile.public_key.encode()
        reader.curve_secretkey = profile.secret_key.encode()
        with reader.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH) as refused:
            reader.subscribe(b"")
            reader.connect(profile.endpoints.feed)
            end = time.monotonic() + PATIENCE_SECONDS
            while time.monotonic() < end and not refused.poll(0):
                if reader.poll(100):
                    reader.recv()
                    is_flying.set()
            told = refused.poll(0)
            reader.disable_monitor()
        return "access_denied" if told else "it goes on"


def test_each_connection_ends_and_nothing_more_is_taken(venue):
    supervisor, folder = venue
    profile = load_profile(folder.profile("ANN"))
    answered: dict[int, int] = {}
    flying = [threading.Event() for _ in range(3)]
    with (
        connect_sync(folder.profile("ANN")) as trader,
        connect_sync(folder.profile("ANN")) as analyst,
        connect_sync(folder.profile("OPERATOR")) as operator,
        ThreadPoolExecutor(3) as pool,
    ):
        work = (
            pool.submit(order_on, trader, answered, flying[0]),
            pool.submit(ask_on, analyst, flying[1]),
            pool.submit(read_on, profile, flying[2]),
        )
        assert all(one.wait(PATIENCE_SECONDS) for one in flying)
        revoked = operator.decide(RevokeKey(profile.public_key), "lost").sequence
        codes = [one.result(2 * PATIENCE_SECONDS) for one in work]
    assert set(codes) <= ENDED, codes
    assert codes[2] == "access_denied"
    with pytest.raises(ExchangeError) as refusal:
        connect_sync(folder.profile("ANN"), timeout=PATIENCE_SECONDS)
    assert refusal.value.code == "access_denied"
    assert all(process.poll() is None for process in supervisor.processes.values())
    supervisor.stop()
    verdict = verify(folder)
    assert (verdict.differences, verdict.told) == ([], [])
    assert len(answered) >= BATCH
    assert answered.keys() <= entered_orders(folder.journal).keys()
    assert max(answered.values()) < revoked
    later = (frame for frame in read_frames(folder.journal) if frame.last > revoked)
    taken = [
        frame.first + at
        for frame in later
        for at, row in enumerate(np.frombuffer(frame.commands, COMMAND))
        if row["member"] and frame.first + at > revoked
    ]
    assert taken == [], "commands of members were sequenced after it"
