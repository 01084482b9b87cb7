"""From send to answer at an offered rate, open loop: what a firm waits, calm and in a flood, and the memory.

Orders are sent when they are due, whatever was answered by then, and each wait is counted from that moment.
"""

from __future__ import annotations

import select
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from bench.bench_durable import FIRM, PATIENCE_MS, logged_on
from exchange.config import Settings
from exchange.profiles import load_profile
from exchange.protocol.acts import Admit
from exchange.protocol.arrays import REPORT
from exchange.protocol.records import COMMAND_STRUCT, Command
from exchange.server.folder import Folder, new_key_pair
from exchange.server.founding import MILLION_YUAN, standard_acts, voucher
from exchange.server.supervisor import Supervisor
from exchange.server.warm import warm_up
from matching.vocabulary import CommandKind, EventKind, RejectReason, Side, TimeInForce

SECONDS = 10
CALM, FLOOD = 20_000, 100_000
TURN_SECONDS = 0.0002
CANCEL_EVERY = 500

RESTING_EVERY = 250

DIGITS = 16
_PLACES = 10 ** np.arange(DIGITS - 1, -1, -1)


class Load:
    """One member who sends at a rate, and how long each answer took.

    Of the orders most are immediate or cancel and leave at once, some rest; of these many are cancelled.
    """

    def __init__(self, socket, rate, seconds, first):
        self.socket = socket
        self.rate = rate
        self.count = rate * seconds
        self.waits = np.full(self.count, np.nan)
        self.is_cancel = np.zeros(self.count, bool)
        self.throttled = 0
        self._first = first
        self._messages = [self._order(number) for number in range(self.count)]
        self._resting = []
        self._cancels = {}
        self._answered = 0

    def _order(self, number):
        command = Command(
            CommandKind.NEW,
            Side.BUY,
            time_in_force=TimeInForce.DAY if number % RESTING_EVERY == 0 else TimeInForce.IOC,
            instrument=number % 100,
            client_id=b"%016d" % (self._first + number),
            price=1_000_000,
            quantity=1,
            sent_at=time.time_ns(),
        )
        return b"C" + COMMAND_STRUCT.pack(*command)

    def run(self):
        """Send until all is sent, and wait until all is answered."""
        begin, sent, pace, send = time.perf_counter(), 0, self.rate, self.socket.send
        while self._answered < self.count:
            until = min(self.count, int((time.perf_counter() - begin) * pace) + 1)
            for number in range(sent, until):
                if number % CANCEL_EVERY == 0 and self._resting:
                    send(self._cancel(number))
                else:
                    send(self._messages[number])
            sent = max(sent, until)
            if not self.hear(begin):
                assert sent < self.count or self.socket.poll(PATIENCE_MS), "the venue fell silent"
                select.select((self.socket.fileno(),), (), (), TURN_SECONDS)

    def _cancel(self, number):
        order = self._resting.pop()
        self._cancels[order] = number
        self.is_cancel[number] = True
        return b"C" + COMMAND_STRUCT.pack(*Command(CommandKind.CANCEL, order=order))

    def hear(self, begin):
        """Take in what has come; tell whether there was anything."""
        before = self._answered
        while True:
            try:
                body = self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return self._answered > before
            if body[:1] == b"R":
                self._note(np.frombuffer(body, REPORT, offset=1), time.perf_counter() - begin)

    def _note(self, reports, now):
        """Note what answers: an order's acceptance or refusal, and the end of one that was cancelled."""
        kinds = reports["kind"]
        answers = reports[(kinds == EventKind.ACCEPTED) | (kinds == EventKind.REJECTED)]
        text = np.frombuffer(answers["client_id"].tobytes(), np.uint8).reshape(-1, 24)[:, :DIGITS]
        numbers = (text.astype(np.int64) - ord("0")) @ _PLACES - self._first
        self.waits[numbers] = now - numbers / self.rate
        self.throttled += int((answers["reason"] == RejectReason.THROTTLED).sum())
        rests = (answers["kind"] == EventKind.ACCEPTED) & (answers["time_in_force"] == TimeInForce.DAY)
        self._resting += answers["order"][rests].tolist()
        self._answered += len(answers)
        if self._cancels:
            for order in reports["order"][kinds == EventKind.CANCELLED].tolist():
                number = self._cancels.pop(order, None)
                if number is not None:
                    self.waits[number] = now - number / self.rate
                    self._answered += 1


def quantile_ms(waits, share):
    """Return a quantile of waits, in ms."""
    return round(float(np.quantile(waits, share)) * 1e3, 3)


def resident_mib(processes):
    """Return what processes have in memory, shared pages divided among those that share them, in MiB."""
    total = 0
    for process in processes:
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return round(total / 1024)


@pytest.mark.parametrize("rate", [CALM, FLOOD])
def bench_latency(benchmark, tmp_path: Path, rate):
    """One member, one order a message, CURVE on, durable, followers running, the default throttle."""
    warm_up()
    folder = Folder(tmp_path / "venue")
    firm = Admit(member=FIRM, role="firm", size="small", open_orders_max=10**9)
    keys = [new_key_pair(FIRM)]
    folder.found(standard_acts([(firm, 10**8 * MILLION_YUAN // 10**4)], keys, [voucher(2026)]), keys)
    supervisor = Supervisor(folder, Settings(), told=print)
    try:
        supervisor.start()
        at_start = resident_mib(supervisor.processes.values())
        with zmq.Context() as context:
            socket = logged_on(context, load_profile(folder.profile(FIRM)))
            Load(socket, 1_000, 1, 10**6).run()
            half = Load(socket, rate, SECONDS, 10**7)
            half.run()
            after_half = resident_mib(supervisor.processes.values())
            load = Load(socket, rate, SECONDS, 10**8)
            benchmark.pedantic(load.run, rounds=1)
            socket.close()
        at_end = resident_mib(supervisor.processes.values())
    finally:
        supervisor.stop()
    orders, cancels = load.waits[~load.is_cancel], load.waits[load.is_cancel]
    benchmark.extra_info.update(
        workload=f"offered {rate} a second for {SECONDS} s, open loop; one in {CANCEL_EVERY} a cancel",
        engine="tokenbourse",
        answered=len(orders) + len(cancels),
        throttled=load.throttled,
        order_ms={str(share): quantile_ms(orders, share) for share in (0.5, 0.9, 0.99, 0.999)},
        cancel_ms={str(share): quantile_ms(cancels, share) for share in (0.5, 0.99)},
        venue_mib_at_start=at_start,
        venue_mib_after_half=after_half,
        venue_mib_at_end=at_end,
    )
