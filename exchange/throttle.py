"""How much a member may ask at a time: a token bucket each, refilled evenly, in whole numbers.

What is throttled is not journalled: buckets are no part of the engine's state.
"""

from __future__ import annotations

import numpy as np

from exchange.state import Core
from matching.ids import find
from matching.kernel import kernel
from matching.layout import Row, grown, zeros
from matching.permissions import Ask
from matching.refusing import phase_refusal
from matching.vocabulary import NO_SLOT, CommandKind, RejectReason

TOKEN = 10**9
"""One token, so that a nanosecond brings a bucket of one token a second exactly one of these."""

_MS = 10**6

MASS_CANCELS_AT_ONCE = 500
"""How many mass cancels that are not free use a bucket up: each walks through all that rests in a book."""

MASS_CANCEL_FREE_NS = 10**8
"""How often a member's mass cancel is free while it has something to cancel: ten times a second."""

BUCKET = np.dtype(
    [
        ("level", "<i8"),
        ("time", "<i8"),
        ("batch", "<i8"),
        ("cancels", "<i4"),
        ("orders", "<i4"),
        ("swept", "<i8"),
    ]
)
"""What one member has left, in parts of a `TOKEN`, as of `time` (ns; 0: never asked); below 0 it owes.
`cancels` is how many were free of the batch of the time `batch`; `swept` is when a mass cancel was free last,
and `orders` how many new ones have had their token since."""


@kernel
def wait_of(bucket: Row, rate: int, burst: int, now: int, tokens: int) -> int:
    """Take tokens if there is one at least; return 0, or in how many ms there will be one.

    What is taken beyond what there is is owed, and waited for by who comes next.
    """
    most = burst * TOKEN
    passed = max(0, now - bucket.time)
    if bucket.time == 0 or passed > (most - bucket.level) // rate:
        bucket.level = most
    else:
        bucket.level = min(most, bucket.level + passed * rate)
    bucket.time = max(now, bucket.time)
    if bucket.level >= TOKEN:
        bucket.level -= tokens * TOKEN
        return 0
    return (TOKEN - bucket.level + rate * _MS - 1) // (rate * _MS)


@kernel
def wait_of_member(buckets: np.ndarray, member: int, rate: int, burst: int, now: int, tokens: int) -> int:
    """Take tokens of one member's; return 0, or in how many ms there will be one."""
    return wait_of(buckets[member], rate, burst, now, tokens)


@kernel
def can_cancel(core: Core, command: Row) -> bool:
    """Tell whether a cancel names an open order of its member, in a phase that lets it go."""
    slot = find(core.book, command.order)
    if slot == NO_SLOT or core.book.orders[slot].member != command.member:
        return False
    market = core.book.markets[core.book.orders[slot].instrument]
    return phase_refusal(market.phase, Ask.CANCEL) == RejectReason.NONE


@kernel
def tokens_of(core: Core, command: Row, bucket: Row, burst: int, now: int) -> int:
    """Return what a command costs its member: 0 if it takes back what is open, and does so once.

    What cancels nothing is journalled all the same, so it counts. A mass cancel may mean orders of its batch;
    it is free for so many of them as would pay for it, and after a while.
    """
    if bucket.batch != now:
        bucket.batch = now
        bucket.cancels = 0
    open_orders = core.ledger.members[command.member].open_orders
    if command.kind == CommandKind.CANCEL and bucket.cancels < open_orders and can_cancel(core, command):
        bucket.cancels += 1
        return 0
    if command.kind != CommandKind.MASS_CANCEL:
        return 1
    tokens = 1 + burst // MASS_CANCELS_AT_ONCE
    is_time = now - bucket.swept >= MASS_CANCEL_FREE_NS or bucket.orders >= tokens
    if open_orders + bucket.orders == 0 or not is_time:
        return tokens
    bucket.swept = now
    bucket.orders = 0
    return 0


@kernel
def throttle(
    core: Core,
    commands: np.ndarray,
    buckets: np.ndarray,
    rate: int,
    burst: int,
    now: int,
    faults: np.ndarray,
    details: np.ndarray,
) -> int:
    """Let each command take its tokens of its member's, but for cancels that have something to cancel.

    Writes THROTTLED, and the ms to wait, where there is none; returns how many these are.
    """
    count = 0
    for row in range(len(commands)):
        command = commands[row]
        bucket = buckets[command.member]
        tokens = tokens_of(core, command, bucket, burst, now)
        if tokens == 0:
            continue
        wait = wait_of(bucket, rate, burst, now, tokens)
        if wait == 0 and command.kind == CommandKind.NEW:
            bucket.orders += 1
        if wait > 0:
            faults[row] = RejectReason.THROTTLED
            details[row] = wait
            count += 1
    return count


class Throttle:
    """The buckets of all members: `rate` tokens a second each, and at most `burst` at once."""

    def __init__(self, rate: int, burst: int) -> None:
        assert rate > 0
        assert burst > 0
        self._rate = rate
        self._burst = burst
        self._buckets = zeros(64, BUCKET)

    def charge(
        self, core: Core, commands: np.ndarray, now: int, faults: np.ndarray, details: np.ndarray
    ) -> int:
        """Charge commands to their members, who are known; see `throttle`."""
        self._buckets = grown(self._buckets, int(core.ledger.totals[0]["members"]))
        return throttle(core, commands, self._buckets, self._rate, self._burst, now, faults, details)

    def wait_ms(self, member: int, now: int, tokens: int = 1) -> int:
        """Charge one member; return 0, or if it has not a single token in how many ms it will have one."""
        self._buckets = grown(self._buckets, member + 1)
        return wait_of_member(self._buckets, member, self._rate, self._burst, now, tokens)

    def owe(self, member: int, tokens: int) -> None:
        """Charge one member who was charged before, whatever it has left."""
        self._buckets[member]["level"] -= tokens * TOKEN
