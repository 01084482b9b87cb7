"""Crowded books: tapes of few prices, few lots and few members, where calls follow upon each other.

What is rare in `matching.flow` is common here: demand that equals supply, surpluses of one size on both
sides, own groups in nearly every pair, orders that come back to a price, several rounds of stops.
"""

from __future__ import annotations

import numpy as np

from matching.layout import COMMAND
from matching.reference import Market
from matching.vocabulary import EVERY, CommandKind, OrderType, Phase, SelfTrade, TimeInForce

INSTRUMENTS = 2
_PRICES = 8
_KINDS = {
    CommandKind.NEW: 0.74,
    CommandKind.CANCEL: 0.06,
    CommandKind.REDUCE: 0.05,
    CommandKind.REPLACE: 0.15,
}
_TYPES = {
    OrderType.LIMIT: 0.6,
    OrderType.MARKET: 0.16,
    OrderType.STOP: 0.08,
    OrderType.STOP_LIMIT: 0.08,
    OrderType.TRAILING_STOP: 0.08,
}
_PHASES = {Phase.PRE_OPEN: 0.5, Phase.NO_CANCEL: 0.05, Phase.AUCTION: 0.15, Phase.CONTINUOUS: 0.3}
_TIMES = {TimeInForce.GTC: 0.8, TimeInForce.DAY: 0.1, TimeInForce.IOC: 0.05, TimeInForce.FOK: 0.05}


def crowded(seed: int, commands: int) -> tuple[np.ndarray, list[Market]]:
    """Return a tape, and markets for it: with and without a reference, a collar, a tick above one."""
    rng = np.random.default_rng([seed, 2])
    tick = int(rng.choice([1, 2, 10]))
    tape = np.zeros(commands, COMMAND)
    for field, shares in (("kind", _KINDS), ("type", _TYPES), ("time_in_force", _TIMES), ("phase", _PHASES)):
        tape[field] = rng.choice(list(shares), commands, p=list(shares.values()))
    tape["order"] = rng.integers(1, 60, commands)
    tape["instrument"] = rng.integers(0, INSTRUMENTS, commands)
    tape["side"] = rng.integers(0, 2, commands)
    tape["group"] = rng.integers(0, 3, commands)
    tape["member"] = tape["group"]
    tape["member"][tape["kind"] != CommandKind.NEW] = EVERY
    tape["self_trade"] = rng.integers(0, len(SelfTrade), commands) * (rng.random(commands) < 0.6)
    tape["subsidised"] = rng.random(commands) < 0.1
    tape["post_only"] = rng.random(commands) < 0.05
    tape["quantity"] = rng.choice([1, 2, 3, 6, 12], commands)
    tape["display_quantity"] = (rng.random(commands) < 0.25) * rng.integers(1, 4, commands)
    for field in ("price", "stop_price"):
        tape[field] = tick * (100 + rng.integers(0, _PRICES, commands))
    tape["trail"] = tick * rng.integers(1, 3, commands)
    is_phase = rng.random(commands) < 0.06
    tape["kind"][is_phase] = CommandKind.PHASE
    tape["price"][is_phase] = (
        rng.choice([0, 0, 1], commands)[is_phase] * rng.integers(98 * tick, 110 * tick, commands)[is_phase]
    )
    tape["instrument"][is_phase & (rng.random(commands) < 0.2)] = EVERY
    reference = int(rng.choice([0, 103 * tick, 103 * tick + tick // 2]))
    markets = [Market(tick, reference=reference), Market(tick, static_collar=25, dynamic_collar=20)]
    return tape, markets
