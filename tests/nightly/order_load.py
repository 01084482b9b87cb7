"""An offered load of orders, open loop: commands made beforehand, sent when due, and what was answered.

Makers keep a bounded number of orders at rest on both sides, place, cancel and replace them; takers hit them,
and leave nothing behind. So a load may go on for hours: books, balances and ids stay as large as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import zmq

from exchange.instruments import Instrument
from exchange.protocol.arrays import COMMAND, REPORT
from exchange.protocol.records import COMMAND_STRUCT, Command
from matching.vocabulary import CommandKind, EventKind, RejectReason, Side, TimeInForce
from tests.nightly.soaked_venue import PATIENCE_SECONDS

MAKER, REPLACE, TAKER = range(3)
SHARES = (0.62, 0.08, 0.30)
"""Of all commands: makers' orders and cancels, makers' replaces, takers' orders."""

SUBSIDISED_EVERY = 1_000
"""One command in so many is a buy that names a programme. What that buys is remembered, as the rules want it
(a parcel and its legs, some 200 bytes a trade): so it is no leak."""

CYCLE = 50_000
"""How many commands are made beforehand; then they come again, under new ids."""

RESTING_PER_MAKER = 500
TICKS_AWAY_MAX = 8
TOTAL_LEAST = 4
"""A replaced order's new total is so many lots at the least: seldom as few as have been filled."""

DIGITS = 16
_PLACES = 10 ** np.arange(DIGITS - 1, -1, -1, dtype=np.int64)
BURST_MAX = 250
"""Most commands that are sent before answers are looked at again."""


def made_beforehand(
    rng: np.random.Generator, makers: list[str], takers: int, listed: tuple[Instrument, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `CYCLE` commands (dtype `COMMAND`), who sends each (makers first), and what each is for."""
    purpose = rng.choice(3, CYCLE, p=SHARES)
    is_taker = purpose == TAKER
    sender = np.where(
        is_taker, len(makers) + rng.integers(takers, size=CYCLE), rng.integers(len(makers), size=CYCLE)
    )
    owned = [[at for at, one in enumerate(listed) if one.provider == maker] for maker in makers]
    of_all = [at for each in owned for at in each]
    instrument = np.array(
        [rng.choice(of_all if taker else owned[who]) for taker, who in zip(is_taker, sender, strict=True)]
    )
    tick = np.array([one.tick for one in listed], np.int64)[instrument]
    listing = np.array([one.list_price for one in listed], np.int64)[instrument] // tick * tick
    side = rng.integers(2, size=CYCLE)
    away = np.where(is_taker, -TICKS_AWAY_MAX, rng.integers(1, TICKS_AWAY_MAX + 1, size=CYCLE)) * tick
    commands = np.zeros(CYCLE, COMMAND)
    commands["kind"] = np.where(purpose == REPLACE, CommandKind.REPLACE, CommandKind.NEW)
    commands["programme"] = -1
    commands["act"] = -1
    commands["member"] = -1
    subsidised = np.flatnonzero(is_taker)[:: max(1, int(SHARES[TAKER] * SUBSIDISED_EVERY))]
    commands["programme"][subsidised] = 0
    side[subsidised] = Side.BUY
    commands["side"] = side
    commands["instrument"] = instrument
    commands["price"] = np.maximum(tick, np.where(side == Side.BUY, listing - away, listing + away))
    commands["quantity"] = rng.integers(1, 6, size=CYCLE)
    commands["time_in_force"] = np.where(is_taker, TimeInForce.IOC, TimeInForce.DAY)
    return commands, sender, purpose


class OrderLoad:
    """Sends at a rate on the sockets of makers and takers, and notes how long each answer took.

    A wait is counted from the moment at which a command was due, not from when it was sent.
    """

    def __init__(
        self,
        sockets: list[zmq.Socket[bytes]],
        makers: list[str],
        listed: tuple[Instrument, ...],
        seed: int,
        first: int = 10**6,
    ) -> None:
        rng = np.random.default_rng(seed)
        takers = len(sockets) - len(makers)
        self._commands, sender, purpose = made_beforehand(rng, makers, takers, listed)
        self._sender: list[int] = sender.tolist()
        self._purpose: list[int] = purpose.tolist()
        self._sends: list[Callable[[bytes], Any]] = [socket.send for socket in sockets]
        self._sockets = sockets
        self._resting: list[dict[int, None]] = [{} for _ in sockets]
        self._pending: dict[int, int] = {}
        self._next = self._first = first
        self._begin = self._rate = 0.0
        self._waits: list[np.ndarray] = []
        self._cancel_waits: list[float] = []
        self.sent: dict[str, int] = {"new": 0, "cancel": 0, "replace": 0, "subsidised": 0}
        self.answered = self.trades = self.reports = self.subsidised_trades = 0
        self.refused: dict[str, int] = {}
        self.late_seconds_max = 0.0
        """How long a command was sent after it was due, at the most: the loader's own delay."""

    @property
    def resting(self) -> int:
        """How many orders rest, as far as is known here."""
        return sum(map(len, self._resting))

    @property
    def unanswered(self) -> int:
        """How many new orders have not been answered."""
        return self.sent["new"] - self.answered

    def offer(self, rate: float, seconds: float, each_turn: Callable[[], object]) -> None:
        """Send `rate` commands a second for so long; then wait until all new orders are answered."""
        self._begin, self._first, self._rate = time.perf_counter(), self._next, rate
        poller = zmq.Poller()
        for socket in self._sockets:
            poller.register(socket, zmq.POLLIN)
        end = self._first + int(rate * seconds)
        while self._next < end:
            due = min(end, self._first + int((time.perf_counter() - self._begin) * rate) + 1)
            if due > self._next:
                self._send(min(due - self._next, BURST_MAX))
            if not self.hear() and due <= self._next:
                poller.poll(1)
            each_turn()
        silent = time.perf_counter()
        while self.unanswered:
            if self.hear():
                silent = time.perf_counter()
            assert time.perf_counter() - silent < PATIENCE_SECONDS, (
                f"{self.unanswered} orders were not answered"
            )
            poller.poll(1)
            each_turn()

    def _send(self, count: int) -> None:
        """Send the commands that come next, as many as are left of the cycle at the most."""
        at = self._next % CYCLE
        count = min(count, CYCLE - at)
        now, numbers = time.time_ns(), np.arange(self._next, self._next + count)
        late = time.perf_counter() - self._begin - (self._next - self._first) / self._rate
        self.late_seconds_max = max(self.late_seconds_max, late)
        commands = self._commands[at : at + count].copy()
        text = np.zeros((count, 24), np.uint8)
        text[:, :DIGITS] = numbers[:, None] // _PLACES % 10 + ord("0")
        commands["client_id"] = text.view(np.int64)
        commands["sent_at"] = now + np.arange(count)
        data, size, sent = commands.tobytes(), COMMAND.itemsize, self.sent
        sent["subsidised"] += int((commands["programme"] == 0).sum())
        for row in range(count):
            who, purpose = self._sender[at + row], self._purpose[at + row]
            resting = self._resting[who]
            body = data[row * size : (row + 1) * size]
            if purpose == REPLACE and resting:
                body = COMMAND_STRUCT.pack(*replacing(next(iter(resting)), int(numbers[row])))
                sent["replace"] += 1
            elif purpose == MAKER and len(resting) >= RESTING_PER_MAKER:
                order = next(iter(resting))
                del resting[order]
                self._pending[order] = int(numbers[row])
                body = COMMAND_STRUCT.pack(*Command(CommandKind.CANCEL, order=order))
                sent["cancel"] += 1
            else:
                body = b"\0" + body[1:]  # a replace without anything to replace is a new order
                sent["new"] += 1
            self._sends[who](b"C" + body)
        self._next += count

    def hear(self) -> bool:
        """Take in what has come; tell whether there was anything."""
        heard = False
        for who, socket in enumerate(self._sockets):
            bodies: list[bytes] = []
            try:
                while len(bodies) < BURST_MAX:
                    body = socket.recv(zmq.NOBLOCK)
                    if body[:1] == b"R":
                        bodies.append(body[1:])
            except zmq.Again:
                pass
            if bodies:
                heard = True
                self._note(who, np.frombuffer(b"".join(bodies), REPORT), time.perf_counter() - self._begin)
        return heard

    def _note(self, who: int, reports: np.ndarray, now: float) -> None:
        """Note what answers new orders, what rests from now on and what does not, and what was cancelled."""
        kinds, resting = reports["kind"], self._resting[who]
        self.reports += len(reports)
        is_refused = kinds == EventKind.REJECTED
        for reason, count in zip(*np.unique(reports["reason"][is_refused], return_counts=True), strict=True):
            name = RejectReason(int(reason)).name.lower()
            self.refused[name] = self.refused.get(name, 0) + int(count)
        is_new = (kinds == EventKind.ACCEPTED) | (is_refused & (reports["order"] == 0))
        if is_new.any():
            answers = reports[is_new]
            self.answered += len(answers)
            text = np.frombuffer(answers["client_id"].tobytes(), np.uint8).reshape(-1, 24)[:, :DIGITS]
            numbers = (text.astype(np.int64) - ord("0")) @ _PLACES - self._first
            self._waits.append(now - numbers / self._rate)
            rests = (answers["kind"] == EventKind.ACCEPTED) & (answers["time_in_force"] == TimeInForce.DAY)
            resting.update(dict.fromkeys(answers["order"][rests].tolist()))
        is_traded = kinds == EventKind.TRADED
        if is_traded.any():
            trades = reports[is_traded]
            self.trades += int((trades["maker"] == 1).sum())
            self.subsidised_trades += int((trades["subsidy"] > 0).sum())
            for order in trades["order"][trades["leaves"] == 0].tolist():
                resting.pop(order, None)
        is_gone = is_refused & (reports["reason"] == RejectReason.UNKNOWN_ORDER)
        ended = (kinds == EventKind.CANCELLED) | (kinds == EventKind.EXPIRED) | is_gone
        for order in reports["order"][ended].tolist():
            resting.pop(order, None)
            number = self._pending.pop(order, None)
            if number is not None:
                self._cancel_waits.append(now - (number - self._first) / self._rate)

    def waits_ms(self) -> dict[str, float]:
        """Return quantiles of the waits since this was asked last, in ms; nothing without any."""
        orders = np.concatenate(self._waits) * 1e3 if self._waits else np.zeros(0)
        cancels = np.array(self._cancel_waits) * 1e3
        self._waits, self._cancel_waits = [], []
        told: dict[str, float] = {}
        for name, waits in (("order", orders), ("cancel", cancels)):
            if len(waits):
                told |= {f"{name} p50 ms": quantile(waits, 0.5), f"{name} p99 ms": quantile(waits, 0.99)}
        return told


def replacing(order: int, number: int) -> Command:
    """Return a command that gives an order another total, some more lots or less, at its price."""
    total = TOTAL_LEAST + number % TOTAL_LEAST
    return Command(CommandKind.REPLACE, order=order, quantity=total)


def quantile(waits: np.ndarray, share: float) -> float:
    """Return a quantile, to a thousandth."""
    return round(float(np.quantile(waits, share)), 3)
