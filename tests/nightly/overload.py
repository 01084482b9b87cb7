"""Overload: members who send five times what the venue is set to take, beside one who sends what he may.

Every order must be answered, taken or throttled with the time to wait; cancels must go through; who keeps
within his allowance must not be throttled; memory must stay; behind it the venue must be as quick as before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import zmq

from exchange.config import Settings, ThrottleSettings
from exchange.instruments import standard_catalogue
from exchange.protocol.arrays import COMMAND, REPORT
from matching.vocabulary import CommandKind, EventKind, RejectReason, Side, TimeInForce
from tests.nightly import campaign
from tests.nightly.campaign import Progress, Tally
from tests.nightly.order_load import quantile
from tests.nightly.soaked_venue import MIB, PATIENCE_SECONDS, SoakedVenue, member_socket, soaked_venue

FLOODERS = ["FLOOD-1", "FLOOD-2", "FLOOD-3", "FLOOD-4"]
CALM = "CALM"
ALLOWED = 2_000
"""New orders a second that each member may send, in the long run."""

BURST = 2 * ALLOWED
TIMES = 5
CALM_RATE = 200
A_MESSAGE = 25
"""Orders in a message of a flood; the calm member sends one at a time."""

RESTING_EVERY = 20
"""One order in so many is to rest; it is cancelled as soon as it is known."""

LOOKS_MAX = 5
"""How often the calm member is looked at behind a flood: what that has left behind is there each time."""

SLOWER_MAX, SLOWER_MS = 3.0, 20.0
"""The calm member's median wait behind the flood may be so many times what it was before, or so much longer:
more than the machine's own whims, less than anything that a flood would leave behind."""

GROWTH_MIB_MAX = 64.0
"""How much a process may grow in the second half of a flood: a refusal leaves nothing behind."""

DIGITS = 16
_PLACES = 10 ** np.arange(DIGITS - 1, -1, -1, dtype=np.int64)


class Sender:
    """One member's orders at a rate, open loop, and what was answered."""

    def __init__(self, socket: zmq.Socket[bytes], a_message: int) -> None:
        self.socket = socket
        self.sent = self.taken = self.throttled = self.refused_otherwise = 0
        self.without_wait = 0
        """Refusals as throttled that told no time to wait."""
        self.cancels = self.cancelled = self.cancels_refused = 0
        self._a_message = a_message
        self._next = self._first = self._end = 10**6
        self._begin = self._rate = 0.0
        self._cancelling: dict[int, float] = {}
        self._waits: list[np.ndarray] = []
        self._cancel_waits: list[float] = []
        instrument = standard_catalogue()[0]
        self._price = max(1, instrument.list_price // instrument.tick // 2) * instrument.tick

    @property
    def is_answered(self) -> bool:
        """Tell whether all that is to be sent has been, and has its answer."""
        answered = self.taken + self.throttled + self.refused_otherwise
        return self._next == self._end and answered == self.sent and not self._cancelling

    def begin(self, rate: float, seconds: float) -> None:
        """Count from now on: the orders of so many seconds at this rate, in whole messages."""
        self._begin, self._rate, self._first = time.perf_counter(), rate, self._next
        self._end = self._first + int(rate * seconds) // self._a_message * self._a_message

    def send(self) -> None:
        """Send what is due, in whole messages."""
        due = self._first + int((time.perf_counter() - self._begin) * self._rate)
        for _ in range((min(due, self._end) - self._next) // self._a_message):
            numbers = np.arange(self._next, self._next + self._a_message)
            text = np.zeros((len(numbers), 24), np.uint8)
            text[:, :DIGITS] = numbers[:, None] // _PLACES % 10 + ord("0")
            commands = np.zeros(len(numbers), COMMAND)
            commands["kind"], commands["side"] = CommandKind.NEW, Side.BUY
            rests = numbers % RESTING_EVERY == 0
            commands["time_in_force"] = np.where(rests, TimeInForce.DAY, TimeInForce.IOC)
            commands["client_id"] = text.view(np.int64)
            commands["programme"] = commands["act"] = -1
            commands["price"], commands["quantity"] = self._price, 1
            commands["sent_at"] = time.time_ns()
            self.socket.send(b"C" + commands.tobytes())
            self._next += self._a_message
            self.sent += self._a_message

    def hear(self) -> bool:
        """Take in what has come, and cancel what rests; tell whether there was anything."""
        bodies = []
        try:
            while True:
                body = self.socket.recv(zmq.NOBLOCK)
                if body[:1] == b"R":
                    bodies.append(body[1:])
        except zmq.Again:
            pass
        if bodies:
            self._note(np.frombuffer(b"".join(bodies), REPORT), time.perf_counter())
        return bool(bodies)

    def _note(self, reports: np.ndarray, now: float) -> None:
        kinds, is_cancels = reports["kind"], np.isin(reports["order"], list(self._cancelling))
        is_refused = (kinds == EventKind.REJECTED) & ~is_cancels
        answers = reports[(kinds == EventKind.ACCEPTED) | is_refused]
        text = np.frombuffer(answers["client_id"].tobytes(), np.uint8).reshape(-1, 24)[:, :DIGITS]
        numbers = (text.astype(np.int64) - ord("0")) @ _PLACES - self._first
        self._waits.append((now - self._begin - numbers / self._rate)[answers["kind"] == EventKind.ACCEPTED])
        throttled = is_refused & (reports["reason"] == RejectReason.THROTTLED)
        self.taken += int((kinds == EventKind.ACCEPTED).sum())
        self.throttled += int(throttled.sum())
        self.without_wait += int((reports["detail"][throttled] <= 0).sum())
        self.refused_otherwise += int(is_refused.sum() - throttled.sum())
        for order, kind in zip(
            reports["order"][is_cancels].tolist(), kinds[is_cancels].tolist(), strict=True
        ):
            if kind == EventKind.CANCELLED:
                self.cancelled += 1
            else:
                self.cancels_refused += 1
            self._cancel_waits.append(now - self._cancelling.pop(order))
        rests = (kinds == EventKind.ACCEPTED) & (reports["time_in_force"] == TimeInForce.DAY)
        if rests.any():
            cancels = np.zeros(int(rests.sum()), COMMAND)
            cancels["kind"], cancels["order"] = CommandKind.CANCEL, reports["order"][rests]
            self.socket.send(b"C" + cancels.tobytes())
            self._cancelling |= dict.fromkeys(cancels["order"].tolist(), now)
            self.cancels += len(cancels)

    def waits_ms(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the waits of orders that were taken, and of cancels, since this was asked last."""
        orders = np.concatenate([np.zeros(0), *self._waits]) * 1e3
        cancels = np.array(self._cancel_waits) * 1e3
        self._waits, self._cancel_waits = [], []
        return orders, cancels


def offer(venue: SoakedVenue, senders: Sequence[tuple[Sender, float]], seconds: float) -> None:
    """Have each sender send so many seconds' orders at its rate, and wait until all is answered."""
    for sender, rate in senders:
        sender.begin(rate, seconds)
    poller = zmq.Poller()
    for sender, _ in senders:
        poller.register(sender.socket, zmq.POLLIN)
    heard_at = time.perf_counter()
    while not all(sender.is_answered for sender, _ in senders):
        now = time.perf_counter()
        for sender, _ in senders:
            sender.send()
        if sum(sender.hear() for sender, _ in senders):
            heard_at = now
        elif now - heard_at > PATIENCE_SECONDS:
            unanswered = [sender.sent - sender.taken - sender.throttled for sender, _ in senders]
            message = f"the venue fell silent with orders unanswered: {unanswered}"
            raise AssertionError(message)
        poller.poll(1)
        venue.check()


def judge_flood(tally: Tally, flooders: list[Sender], calm: Sender, seconds: float) -> None:
    """Count what a flood has brought, answered after so many seconds, and say what must not be."""
    counts = tally.counts
    for name, value in {
        "orders offered a second in the flood": TIMES * ALLOWED * len(flooders),
        "orders allowed a second": ALLOWED * len(flooders),
        "orders of the flood": sum(one.sent for one in flooders),
        "taken": sum(one.taken for one in flooders),
        "throttled": sum(one.throttled for one in flooders),
        "refused for another reason": sum(one.refused_otherwise for one in (*flooders, calm)),
        "throttled without a time to wait": sum(one.without_wait for one in (*flooders, calm)),
        "cancels in the flood": sum(one.cancels for one in flooders),
        "cancels refused": sum(one.cancels_refused for one in (*flooders, calm)),
        "orders of who kept within its allowance": calm.sent,
        "of these throttled": calm.throttled,
    }.items():
        counts[name] = value
    most = len(flooders) * (ALLOWED * seconds + BURST)
    if not counts["throttled"]:
        tally.failures.append("a flood of five times the allowance was not throttled")
    if counts["taken"] > most:
        tally.failures.append(f"{counts['taken']:,} orders were taken, of {most:,.0f} allowed")
    if not counts["cancels in the flood"]:
        tally.failures.append("no order of the flood came to rest, so that no cancel was tried")
    for name in (
        "refused for another reason",
        "throttled without a time to wait",
        "cancels refused",
        "of these throttled",
    ):
        if counts[name]:
            tally.failures.append(f"{name}: {counts[name]:,}, not none")


def memory_mib(venue: SoakedVenue) -> dict[str, float]:
    """Return what each process has in memory now, in MiB."""
    return {role: size / MIB for role, size in venue.sample().memory.items()}


def overload(tally: Tally, seconds: float, progress: Progress) -> None:
    """Flood a venue with five times its allowance; compare its calm member's waits before and behind it."""
    throttle = ThrottleSettings(orders_per_second=ALLOWED, orders_burst=BURST)
    calm_seconds, flood_seconds = max(1.0, seconds * 0.15), max(1.0, seconds * 0.3)
    with (
        soaked_venue([*FLOODERS, CALM], [], Settings(throttle=throttle), progress) as venue,
        zmq.Context() as context,
    ):
        sockets = [member_socket(context, venue.profile(name)) for name in (*FLOODERS, CALM)]
        flooders = [Sender(socket, A_MESSAGE) for socket in sockets[:-1]]
        calm = Sender(sockets[-1], 1)
        try:
            offer(venue, [(calm, CALM_RATE)], 1.0)
            calm.waits_ms()
            offer(venue, [(calm, CALM_RATE)], calm_seconds)
            before, _ = calm.waits_ms()
            progress("the flood begins")
            everybody = [*((one, TIMES * ALLOWED) for one in flooders), (calm, CALM_RATE)]
            memory = [memory_mib(venue)]
            began = time.monotonic()
            for _ in range(2):
                offer(venue, everybody, flood_seconds)
                memory.append(memory_mib(venue))
            judge_flood(tally, flooders, calm, time.monotonic() - began)
            during, _ = calm.waits_ms()
            cancels = np.concatenate([one.waits_ms()[1] for one in flooders])
            progress("the flood is over")
            after = np.zeros(0)
            for _ in range(LOOKS_MAX):
                offer(venue, [(calm, CALM_RATE)], calm_seconds)
                after, _ = calm.waits_ms()
                if is_as_quick(before, after):
                    break
        finally:
            for socket in sockets:
                socket.close()
        judge_waits(tally, before, during, after, cancels)
        judge_memory(tally, memory)
        venue.await_followers()


def is_as_quick(before: np.ndarray, after: np.ndarray) -> bool:
    """Tell whether the calm member waits no longer than before, but for what a busy machine adds."""
    old = quantile(before, 0.5)
    return quantile(after, 0.5) <= max(SLOWER_MAX * old, old + SLOWER_MS)


def judge_waits(
    tally: Tally, before: np.ndarray, during: np.ndarray, after: np.ndarray, cancels: np.ndarray
) -> None:
    """Count how long the calm member and the cancels waited; the venue must be as quick as before."""
    counts = tally.counts
    for when, found in {"before": before, "in": during, "behind": after}.items():
        counts[f"calm order p50 ms {when} the flood"] = quantile(found, 0.5)
        counts[f"calm order p99 ms {when} the flood"] = quantile(found, 0.99)
    counts["cancel p50 ms in the flood"] = quantile(cancels, 0.5)
    counts["cancel p99 ms in the flood"] = quantile(cancels, 0.99)
    if not is_as_quick(before, after):
        old, new = quantile(before, 0.5), quantile(after, 0.5)
        tally.failures.append(f"an order took {old} ms before the flood, {new} ms behind it")


def judge_memory(tally: Tally, memory: list[dict[str, float]]) -> None:
    """Count the memory before, amid and behind a flood; what is refused may leave nothing behind."""
    before, amid, behind = memory
    for role, end in behind.items():
        tally.counts[f"{role} MiB before the flood"] = round(before[role], 1)
        tally.counts[f"{role} MiB behind the flood"] = round(end, 1)
        if end - amid[role] > GROWTH_MIB_MAX:
            tally.failures.append(f"{role} grew by {end - amid[role]:.0f} MiB in half of a flood")


def run(seconds: float, seed: int, progress: Progress) -> Tally:
    """Flood a venue with five times its allowance; nothing here is left to chance, the seed is not used."""
    tally = Tally("overload", seconds)
    overload(tally, seconds, progress)
    again = f"python -m tests.nightly.overload --seconds {seconds:g} --seed {seed}"
    tally.failures = [f"{one}; to repeat it: {again}" for one in tally.failures]
    return tally


if __name__ == "__main__":
    campaign.main(run)
