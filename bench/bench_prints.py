"""From an order to its trade's print: what everybody waits for who follows the feed, at an offered rate."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import zmq

from bench.bench_durable import FIRM, PATIENCE_MS, logged_on
from bench.bench_latency import CALM, DIGITS, SECONDS, Load, quantile_ms
from exchange import connect_sync, load_profile
from exchange.config import Settings
from exchange.instruments import standard_catalogue
from exchange.protocol.acts import Admit
from exchange.protocol.records import COMMAND_STRUCT, Command
from exchange.server.folder import Folder, new_key_pair
from exchange.server.founding import MILLION_YUAN, standard_acts, voucher
from exchange.server.supervisor import Supervisor
from exchange.server.warm import warm_up
from feeds.arrays import TRADE_PRINT
from feeds.messages import TRADES, topic
from feeds.records import HEADER
from matching.vocabulary import CommandKind, EventKind, Side, TimeInForce

LOTS = 1_000_000


class Prints(Load):
    """Buys of one lot, each of which takes from one large offer; and when the feed printed their trades."""

    def __init__(self, socket, feed, rate, seconds, first, price):
        self._price = price
        super().__init__(socket, rate, seconds, first)
        self.feed = feed
        self.numbers = {}
        self.printed = np.full(self.count, np.nan)
        self.prints = []

    def _order(self, number):
        command = Command(
            CommandKind.NEW,
            Side.BUY,
            time_in_force=TimeInForce.IOC,
            instrument=0,
            client_id=b"%0*d" % (DIGITS, self._first + number),
            price=self._price,
            quantity=1,
            sent_at=time.time_ns(),
        )
        return b"C" + COMMAND_STRUCT.pack(*command)

    def hear(self, begin):
        """Take in what has come on either line."""
        heard = super().hear(begin)
        while True:
            try:
                frame = self.feed.recv(zmq.NOBLOCK)
            except zmq.Again:
                return heard
            prints = np.frombuffer(frame, TRADE_PRINT, offset=HEADER.size)
            self.prints.append((time.perf_counter() - begin, prints["sequence"].copy()))

    def _note(self, reports, now):
        accepted = reports[reports["kind"] == EventKind.ACCEPTED]
        texts = np.frombuffer(accepted["client_id"].tobytes(), "S24").tolist()
        for sequence, text in zip(accepted["sequence"].tolist(), texts, strict=True):
            self.numbers[sequence] = int(text[:DIGITS]) - self._first
        super()._note(reports, now)

    def run(self):
        """Send all, wait for all answers, then for all prints."""
        begin = time.perf_counter()
        super().run()
        while sum(len(told) for _, told in self.prints) < self.count:
            assert self.feed.poll(PATIENCE_MS), "the feed fell silent"
            self.hear(begin)
        for heard, sequences in self.prints:
            numbers = np.array([self.numbers[sequence] for sequence in sequences.tolist()])
            self.printed[numbers] = heard - numbers / self.rate


def bench_prints(benchmark, tmp_path: Path):
    """One member, one order a message, each order a trade; CURVE on, durable, all followers running."""
    warm_up()
    folder = Folder(tmp_path / "venue")
    first = standard_catalogue()[0]
    firm = Admit(member=FIRM, role="firm", size="large", open_orders_max=10**9, turnover_max=10**18)
    keys = [new_key_pair(FIRM), new_key_pair(first.provider)]
    folder.found(standard_acts([(firm, 10**8 * MILLION_YUAN // 10**4)], keys, [voucher(2026)]), keys)
    supervisor = Supervisor(folder, Settings(), told=print)
    try:
        supervisor.start()
        with connect_sync(folder.profile(first.provider)) as provider:
            offer = provider.instruments[first.symbol].sell(LOTS, limit=first.list_price)
            provider.place(offer)
        profile = load_profile(folder.profile(FIRM))
        with zmq.Context() as context:
            feed = reader(context, profile)
            socket = logged_on(context, profile)
            Prints(socket, feed, 1_000, 1, 10**6, first.list_price).run()
            load = Prints(socket, feed, CALM, SECONDS, 10**8, first.list_price)
            benchmark.pedantic(load.run, rounds=1)
            socket.close()
            feed.close()
    finally:
        supervisor.stop()
    benchmark.extra_info.update(
        workload=f"offered {CALM} a second for {SECONDS} s, open loop, each order a trade",
        engine="tokenbourse",
        throttled=load.throttled,
        order_ms={str(share): quantile_ms(load.waits, share) for share in (0.5, 0.99)},
        print_ms={str(share): quantile_ms(load.printed, share) for share in (0.5, 0.9, 0.99)},
    )


def reader(context, profile):
    """Return a subscription to the first instrument's trades, once it is heard at the venue."""
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVHWM, 100_000)
    socket.setsockopt(zmq.CURVE_SERVERKEY, profile.server_key.encode())
    socket.setsockopt(zmq.CURVE_PUBLICKEY, profile.public_key.encode())
    socket.setsockopt(zmq.CURVE_SECRETKEY, profile.secret_key.encode())
    socket.subscribe(b"H")
    socket.connect(profile.endpoints.feed)
    assert socket.poll(PATIENCE_MS), "no heartbeat"
    socket.recv()
    socket.subscribe(topic(TRADES, 0))
    socket.unsubscribe(b"H")
    return socket
