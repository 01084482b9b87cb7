"""Random tapes of commands, the same for the same seed: everything that may be asked of a book.

A tape is an array of `matching.layout.COMMAND`. It is made by columns, about a microsecond a command,
and knows no book: it aims at orders that may still be open, and at prices where the market may be.
Times rise through the tape; prices wander about one common price, so that the market trades, stops
are triggered and icebergs are eaten; what would bring the market to a standstill is rare and short.
How its instruments go through their phases stands in `matching.flow_phases`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matching.flow_columns import (
    EXTREMES,
    INT32,
    INT64,
    NO_INSTRUMENT,
    PRICE_EDGES,
    QUANTITY_EDGES,
    Generator,
    overwrite,
    some,
)
from matching.flow_phases import gather, plan_of, set_phases
from matching.layout import COMMAND
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    NOTIONAL_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    SLICES_MAX,
    CommandKind,
    OrderType,
    SelfTrade,
    Side,
    TimeInForce,
)

_SHARES: dict[str, dict[int, float]] = {
    "kind": {
        CommandKind.NEW: 0.68,
        CommandKind.CANCEL: 0.13,
        CommandKind.REDUCE: 0.06,
        CommandKind.REPLACE: 0.11,
        CommandKind.MASS_CANCEL: 0.0012,
        CommandKind.PHASE: 0.0018,
        CommandKind.CLOCK: 0.0092,
        CommandKind.ACT: 0.0029,
        CommandKind.END_DAY: 0.0004,
        9: 0.002,
        255: 0.0025,
    },
    "side": {Side.BUY: 0.5, Side.SELL: 0.5},
    "type": {
        OrderType.LIMIT: 0.68,
        OrderType.MARKET: 0.06,
        OrderType.STOP: 0.07,
        OrderType.STOP_LIMIT: 0.09,
        OrderType.TRAILING_STOP: 0.1,
    },
    "time_in_force": {
        TimeInForce.GTC: 0.48,
        TimeInForce.GTD: 0.18,
        TimeInForce.DAY: 0.14,
        TimeInForce.IOC: 0.1,
        TimeInForce.FOK: 0.1,
    },
    "self_trade": {
        SelfTrade.NONE: 0.52,
        SelfTrade.CANCEL_TAKER: 0.12,
        SelfTrade.CANCEL_MAKER: 0.12,
        SelfTrade.CANCEL_BOTH: 0.12,
        SelfTrade.DECREMENT: 0.12,
    },
}
"""How often each value of these fields occurs, before a few are overwritten with what is unknown."""

_REGIME_LENGTH = 2_000
_BASE_PRICES = np.array([500 * 1000**power for power in range(5)], np.int64)
_WANDER_TICKS_MAX = 40
"""How far the market wanders from the base price of its regime: past the stops that stand near it."""

_ROUND_LOTS = 60

_START = 10**18
_STEP_NS = 1_000

_ENDS_AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)
_PARKED = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
_MARKETABLE = (OrderType.MARKET, OrderType.STOP, OrderType.TRAILING_STOP)
"""The types that need no price, and are never post-only."""


def random_flow(
    seed: int,
    commands: int,
    instruments: int = 3,
    ticks: Sequence[int] = (1,),
    members: int = 6,
    groups: int = 3,
) -> np.ndarray:
    """Return a tape of everything that may be asked, rightly or wrongly.

    All kinds, types, times in force and instructions in all their pairs; prices that jump a
    thousandfold from stretch to stretch, and a phase command with a new reference at each jump; stop
    prices and trails near the market; expiries shortly ahead; changes of orders that are open, of
    what is gone, and of other members' orders; ids used twice; subsidised orders among small groups;
    calls in which a crossed book gathers, auctions and short halts; the last values that are good, and
    the first that are bad. `ticks` are the instruments' tick sizes, repeated as needed.
    """
    rng = np.random.default_rng(seed)
    tape = np.zeros(commands, COMMAND)
    for field, shares in _SHARES.items():
        tape[field] = rng.choice(list(shares), commands, p=list(shares.values()))
    tape["instrument"] = rng.integers(0, instruments, commands)
    tape["member"] = rng.integers(0, members, commands)
    tape["group"] = tape["member"] % groups
    tape["subsidised"] = rng.random(commands) < np.where(tape["side"] == Side.BUY, 0.1, 0.02)
    tape["post_only"] = rng.random(commands) < 0.15
    plan = plan_of(rng, tape["instrument"], instruments)
    is_call = gather(rng, tape, plan, instruments)
    is_eager = _eager(rng, tape, is_call)
    _set_quantities(rng, tape, is_eager, is_call)
    aimed = _set_orders(rng, tape, is_eager, is_call)
    _set_times(rng, tape)
    grid = np.array(ticks, np.int64)[tape["instrument"] % len(ticks)]
    market, is_jump = _market_ticks(rng, grid)
    _set_prices(rng, tape, grid, market, is_eager, is_call)
    _set_changes(rng, tape, aimed)
    _set_mass_cancels(rng, tape)
    set_phases(rng, tape, plan, instruments, market * grid, is_jump)
    _spoil(rng, tape, grid)
    _take_back_walls(rng, tape)
    return tape


# --- which order -------------------------------------------------------------------------------


def _eager(rng: Generator, tape: np.ndarray, is_call: np.ndarray) -> np.ndarray:
    """Return which orders shall have a price at which they trade at once, rather than one to rest at.

    In calls many have: there they cross the book, and wait for the auction.
    """
    ends_at_once = np.isin(tape["time_in_force"], _ENDS_AT_ONCE)
    is_replace = tape["kind"] == CommandKind.REPLACE
    return some(rng, len(tape), np.select([is_replace | is_call, ends_at_once], [0.4, 0.6], 0.14))


def _set_orders(rng: Generator, tape: np.ndarray, is_eager: np.ndarray, is_call: np.ndarray) -> np.ndarray:
    """Set ids: new orders count from 1, a few of them twice; changes aim at late and old ones.

    Most aim at those that are likely to be open. Returns the row of the new order that each command
    aims at; new orders aim at themselves.
    """
    count = len(tape)
    is_new = tape["kind"] == CommandKind.NEW
    tape["order"] = np.cumsum(is_new)
    aimed = np.arange(count)
    is_parked = np.isin(tape["type"], _PARKED)
    may_rest = (tape["type"] == OrderType.LIMIT) & ~np.isin(tape["time_in_force"], _ENDS_AT_ONCE)
    may_stand = is_parked | (may_rest & (is_call | ~is_eager) & (tape["minimum_quantity"] == 0))
    may_stand |= is_call & (tape["type"] == OrderType.MARKET)
    targets = np.flatnonzero(is_new & (may_stand | some(rng, count, 0.05)))
    sent = np.searchsorted(targets, aimed)
    back = np.where(rng.random(count) < 0.92, rng.exponential(15, count), sent * rng.random(count))
    nth = np.maximum(0, sent - 1 - back.astype(np.int64))
    is_again = is_new & (sent > 0) & some(rng, count, 0.02)
    tape["order"][is_again] = tape["order"][targets[nth[is_again]]]
    changes = (CommandKind.CANCEL, CommandKind.REDUCE, CommandKind.REPLACE)
    is_change = np.isin(tape["kind"], changes) & (sent > 0)
    aimed[is_change] = targets[nth[is_change]]
    for field in ("order", "member", "instrument", "side"):
        tape[field][is_change] = tape[field][aimed[is_change]]
    asks = rng.random(count)
    tape["member"][is_change & (asks < 0.3)] = EVERY
    tape["member"][is_change & (asks > 0.95)] += 1
    tape["order"][is_change & some(rng, count, 0.02)] = INT64.max
    return aimed


# --- when --------------------------------------------------------------------------------------


def _set_times(rng: Generator, tape: np.ndarray) -> None:
    """Let times rise, stay a while, or run back a little; let expiries lie shortly ahead.

    Half of the expiries are round times, so that several orders expire at once.
    """
    count = len(tape)
    steps = rng.exponential(_STEP_NS, count).astype(np.int64)
    steps[some(rng, count, 0.3)] = 0
    steps[(tape["kind"] == CommandKind.CLOCK) & some(rng, count, 0.2)] += 50 * _STEP_NS
    tape["time"] = _START + np.cumsum(steps)
    back = rng.exponential(5 * _STEP_NS, count).astype(np.int64)
    tape["time"] -= np.where(some(rng, count, 0.06), back, 0)
    overwrite(rng, tape["time"], 0.002, [0, -1, INT64.min])
    clock = np.maximum.accumulate(tape["time"])
    ahead = clock + 1 + rng.exponential(400 * _STEP_NS, count).astype(np.int64)
    rounded = some(rng, count, 0.5)
    ahead[rounded] += -ahead[rounded] % (20 * _STEP_NS)
    tape["expires_at"] = ahead
    overwrite(rng, tape["expires_at"], 0.01, clock)
    overwrite(rng, tape["expires_at"], 0.01, clock + 1)
    overwrite(rng, tape["expires_at"], 0.01, clock - 1)
    overwrite(rng, tape["expires_at"], 0.01, EXTREMES)


# --- at what price -----------------------------------------------------------------------------


def _market_ticks(rng: Generator, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the market is at each row, in ticks from zero, and the rows where it has jumped.

    It wanders, up and down between bounds, about a base that holds for a while and then jumps a
    thousandfold or more.
    """
    count = len(grid)
    is_jump = some(rng, count, 1 / _REGIME_LENGTH)
    regimes = rng.integers(0, len(_BASE_PRICES), count // _REGIME_LENGTH + 2)
    regime = regimes[np.cumsum(is_jump) % len(regimes)]
    astray = some(rng, count, 0.001)
    regime[astray] = rng.integers(0, len(_BASE_PRICES), np.count_nonzero(astray))
    steps = np.cumsum(rng.normal(0, 0.6, count)).astype(np.int64)
    wander = np.abs(steps % (4 * _WANDER_TICKS_MAX) - 2 * _WANDER_TICKS_MAX) - _WANDER_TICKS_MAX
    return np.maximum(1, _BASE_PRICES[regime] // grid + wander), is_jump


def _set_prices(
    rng: Generator,
    tape: np.ndarray,
    grid: np.ndarray,
    market: np.ndarray,
    is_eager: np.ndarray,
    is_call: np.ndarray,
) -> None:
    """Set prices, stop prices and trails on the grid, near the market.

    A market or stop order's price bounds it: it lies beyond the market or the stop price, or is left
    out. Many orders say a stop price or a trail that they have no use for.
    """
    count = len(tape)
    onward = np.where(tape["side"] == Side.BUY, 1, -1)
    width = rng.choice([4, 60, 5_000, 300_000], count, p=[0.63, 0.23, 0.12, 0.02])
    across = np.where(is_call, 24, 0.6 * np.minimum(width, 60))
    away = np.where(is_eager, across, -1.6 * width) * rng.random(count)
    limit = market + _ticks(away) * onward
    stopping = market + _ticks(rng.choice([6, 30], count) * rng.uniform(-0.1, 1, count)) * onward
    is_stop = np.isin(tape["type"], _PARKED)
    bound = np.where(is_stop, stopping, market) + _ticks(rng.uniform(-1, 8, count)) * onward
    is_bounded = is_stop | (tape["type"] == OrderType.MARKET)
    is_bounded &= tape["kind"] == CommandKind.NEW
    tape["price"] = _on_grid(np.where(is_bounded, bound, limit), grid)
    tape["stop_price"] = _on_grid(stopping, grid)
    tape["trail"] = _on_grid(rng.integers(1, 20, count), grid)
    may_be_left_out = np.isin(tape["type"], _MARKETABLE)
    tape["price"][may_be_left_out & some(rng, count, 0.4)] = 0
    is_trailing = tape["type"] == OrderType.TRAILING_STOP
    tape["stop_price"][some(rng, count, np.select([is_trailing, is_stop], [0.6, 0.02], 0.5))] = 0


def _ticks(away: np.ndarray) -> np.ndarray:
    """Return a distance in whole ticks."""
    return np.rint(away).astype(np.int64)


def _on_grid(ticks: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return the price so many ticks from zero, within the bounds of a price."""
    return np.clip(ticks, 1, PRICE_MAX // grid) * grid


# --- how much ----------------------------------------------------------------------------------


def _set_quantities(rng: Generator, tape: np.ndarray, is_eager: np.ndarray, is_call: np.ndarray) -> None:
    """Set quantities: now and then enough to sweep a few levels, and more with icebergs.

    Orders to rest are larger than others, so that they outlast a few takers; eager ones have a
    minimum more often. In calls most quantities are round, so that demand equals supply at times.
    """
    count = len(tape)
    quantity = rng.integers(1, 30, count)
    quantity[(tape["type"] == OrderType.LIMIT) & ~is_eager] *= 5
    quantity[some(rng, count, 0.02)] *= 5
    is_round = is_call & some(rng, count, 0.85)
    quantity[is_round] = _ROUND_LOTS
    is_iceberg = some(rng, count, 0.2)
    quantity[is_iceberg] *= rng.integers(1, 4, count)[is_iceberg]
    tape["quantity"] = quantity
    shown = 1 + (rng.random(count) * quantity / 2).astype(np.int64)
    tape["display_quantity"] = np.where(is_iceberg, shown, 0)
    has_minimum = some(rng, count, np.select([is_call, is_eager], [0.05, 0.25], 0.05))
    least = 1 + (rng.random(count) ** 2 * quantity).astype(np.int64)
    tape["minimum_quantity"] = np.where(has_minimum, least, 0)
    _settle_contradictions(rng, tape)


def _settle_contradictions(rng: Generator, tape: np.ndarray) -> None:
    """Take post-only off most of the orders that contradict it: such are refused, and teach little."""
    contradicts = (
        np.isin(tape["type"], _MARKETABLE)
        | np.isin(tape["time_in_force"], _ENDS_AT_ONCE)
        | (tape["minimum_quantity"] > 0)
    )
    tape["post_only"][contradicts & some(rng, len(tape), 0.85)] = 0


# --- what is changed ---------------------------------------------------------------------------


def _set_changes(rng: Generator, tape: np.ndarray, aimed: np.ndarray) -> None:
    """Let reduces take a part off, or all; replaces keep the price or not, and ask for less or more."""
    count = len(tape)
    whole = tape["quantity"][aimed]
    part = 1 + (rng.random(count) * whole).astype(np.int64)
    is_reduce = tape["kind"] == CommandKind.REDUCE
    tape["quantity"][is_reduce] = np.where(some(rng, count, 0.8), (part + 3) // 4, part + 5)[is_reduce]
    is_replace = tape["kind"] == CommandKind.REPLACE
    chance = rng.random(count)
    total = np.select([chance < 0.3, chance < 0.6], [whole, whole + part], part)
    tape["quantity"][is_replace] = total[is_replace]
    for field in ("price", "stop_price"):
        keeps = is_replace & some(rng, count, 0.4)
        tape[field][keeps] = tape[field][aimed[keeps]]
        tape[field][is_replace & some(rng, count, 0.15)] = 0
    _spoil_changes(rng, tape, aimed)


# --- many orders at once -----------------------------------------------------------------------


def _set_mass_cancels(rng: Generator, tape: np.ndarray) -> None:
    """Let most mass cancels take one member's orders in one instrument, few more: they empty the book."""
    is_mass_cancel = tape["kind"] == CommandKind.MASS_CANCEL
    rows = np.flatnonzero(is_mass_cancel)
    count = len(rows)
    sides = {BOTH_SIDES: 0.46, Side.BUY: 0.19, Side.SELL: 0.19, 2: 0.08, 254: 0.08}
    tape["side"][rows] = rng.choice(list(sides), count, p=list(sides.values()))
    tape["member"][rows[some(rng, count, 0.15)]] = EVERY
    tape["member"][rows[some(rng, count, 0.05)]] = INT32.max
    tape["instrument"][rows[some(rng, count, 0.15)]] = EVERY
    overwrite(rng, tape["instrument"], 0.12 * is_mass_cancel, NO_INSTRUMENT)


# --- the edges ---------------------------------------------------------------------------------


def _spoil(rng: Generator, tape: np.ndarray, grid: np.ndarray) -> None:
    """Overwrite a few fields with what must be refused, and with the last that must not be."""
    room = np.minimum(NOTIONAL_MAX // np.maximum(1, tape["price"]), QUANTITY_MAX)
    overwrite(rng, tape["quantity"], 0.0005, room)
    overwrite(rng, tape["quantity"], 0.002, room + 1)
    overwrite(rng, tape["quantity"], 0.003, QUANTITY_EDGES)
    for field, share in (("price", 0.003), ("stop_price", 0.01), ("trail", 0.03)):
        off_grid = tape[field] + np.maximum(1, grid // 2)
        overwrite(rng, tape[field], share, PRICE_EDGES)
        overwrite(rng, tape[field], share, off_grid)
    _spoil_instructions(rng, tape)
    overwrite(rng, tape["order"], 0.003, EXTREMES)
    overwrite(rng, tape["instrument"], 0.005, [EVERY, *NO_INSTRUMENT])
    overwrite(rng, tape["side"], 0.003, [2, 3, BOTH_SIDES])
    for field in ("type", "time_in_force", "self_trade"):
        overwrite(rng, tape[field], 0.003, [5, 250, 255])


def _spoil_instructions(rng: Generator, tape: np.ndarray) -> None:
    """Overwrite a few minimum and display quantities with the last that is good, and what is not.

    Where the display quantity is the least that there may be, or one less, the order is made a
    multiple of the most slices.
    """
    whole = tape["quantity"]
    overwrite(rng, tape["minimum_quantity"], 0.003, whole)
    overwrite(rng, tape["minimum_quantity"], 0.003, whole + 1)
    overwrite(rng, tape["minimum_quantity"], 0.003, QUANTITY_EDGES)
    overwrite(rng, tape["display_quantity"], 0.003, whole)
    overwrite(rng, tape["display_quantity"], 0.003, whole - 1)
    overwrite(rng, tape["display_quantity"], 0.003, QUANTITY_EDGES)
    rows = np.flatnonzero(some(rng, len(tape), 0.002))
    least = rng.integers(2, 5, len(rows))
    tape["quantity"][rows] = SLICES_MAX * least
    tape["display_quantity"][rows] = least - rng.integers(0, 2, len(rows))


def _spoil_changes(rng: Generator, tape: np.ndarray, aimed: np.ndarray) -> None:
    """Overwrite more of what reduces and replaces ask than of the rest: few of them meet an open order."""
    is_replace = tape["kind"] == CommandKind.REPLACE
    chance = 0.015 * (is_replace | (tape["kind"] == CommandKind.REDUCE))
    overwrite(rng, tape["quantity"], chance, QUANTITY_EDGES)
    overwrite(rng, tape["price"], chance, PRICE_EDGES)
    overwrite(rng, tape["quantity"], chance, NOTIONAL_MAX // np.maximum(1, tape["price"]) + 1)
    shown = tape["display_quantity"][aimed]
    chance = 0.06 * (is_replace & (shown > 0))
    overwrite(rng, tape["quantity"], chance, SLICES_MAX * shown)
    overwrite(rng, tape["quantity"], chance, SLICES_MAX * shown + 1)


def _take_back_walls(rng: Generator, tape: np.ndarray) -> None:
    """Cancel the largest orders soon: the market would stand still before them."""
    is_order = np.isin(tape["kind"], [CommandKind.NEW, CommandKind.REPLACE])
    walls = np.flatnonzero(is_order & (tape["quantity"] >= SLICES_MAX))
    later = walls + rng.geometric(1 / 15, len(walls))
    walls, later = walls[later < len(tape)], later[later < len(tape)]
    tape["kind"][later] = CommandKind.CANCEL
    tape["member"][later] = EVERY
    for field in ("order", "instrument"):
        tape[field][later] = tape[field][walls]
