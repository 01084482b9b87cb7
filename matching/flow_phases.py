"""How the instruments of a random tape go through their phases: calls, auctions, halts, and back.

A *walk* takes an instrument from phase to phase, in sensible and in odd orders, and ends in continuous
trading. A tape knows no book, and so not what a collar has interrupted: away from its walks every
instrument is set to continuous again and again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from matching.flow_columns import NO_INSTRUMENT, PRICE_EDGES, Generator, overwrite, some
from matching.permissions import CALLS
from matching.vocabulary import BOTH_SIDES, EVERY, CommandKind, OrderType, Phase, TimeInForce

_CLOSED, _PRE_OPEN, _NO_CANCEL, _AUCTION, _CONTINUOUS, _HALTED = Phase

_WALKS: dict[tuple[Phase, ...], float] = {
    (_PRE_OPEN, _CONTINUOUS, _CONTINUOUS, _CONTINUOUS): 0.22,
    (_PRE_OPEN, _NO_CANCEL, _CONTINUOUS, _CONTINUOUS): 0.16,
    (_PRE_OPEN, _NO_CANCEL, _AUCTION, _CONTINUOUS): 0.16,
    (_PRE_OPEN, _AUCTION, _PRE_OPEN, _CONTINUOUS): 0.08,
    (_PRE_OPEN, _PRE_OPEN, _NO_CANCEL, _PRE_OPEN): 0.04,
    (_PRE_OPEN, _HALTED, _PRE_OPEN, _AUCTION): 0.06,
    (_PRE_OPEN, _HALTED, _CONTINUOUS, _CONTINUOUS): 0.05,
    (_PRE_OPEN, _CLOSED, _PRE_OPEN, _CONTINUOUS): 0.05,
    (_HALTED, _CONTINUOUS, _CONTINUOUS, _CONTINUOUS): 0.04,
    (_HALTED, _PRE_OPEN, _CONTINUOUS, _CONTINUOUS): 0.04,
    (_CLOSED, _PRE_OPEN, _NO_CANCEL, _AUCTION): 0.04,
    (_NO_CANCEL, _CLOSED, _AUCTION, _CONTINUOUS): 0.03,
    (_AUCTION, _AUCTION, _HALTED, _CONTINUOUS): 0.03,
}
"""Walks, and how often each is taken; after the last phase that is told, trading is continuous."""

_LENGTHS = np.array([22, 45, 30, 6, 10, 12])
"""How many commands an instrument stays in each phase of a walk, in the mean; in a few calls, far more."""

_ROWS_A_WALK = 350
_ROWS_A_RESUME = 35

_BARE_ROWS = 9
"""How long a bare call is: it begins, all orders are cancelled, and the rest are market orders."""


class Plan(NamedTuple):
    """The phase commands of all walks, a row each in the order of the tape.

    Beside them the rows where a walk begins and all orders are cancelled next; and of these the rows
    where a bare call begins.
    """

    rows: np.ndarray
    instruments: np.ndarray
    phases: np.ndarray
    cleared: np.ndarray
    bare: np.ndarray


def plan_of(rng: Generator, instrument: np.ndarray, instruments: int) -> Plan:
    """Return walks for some of the instruments of the tape's rows, and now and then for all at once."""
    count = len(instrument)
    starts = np.flatnonzero(some(rng, count, 1 / _ROWS_A_WALK))
    who = np.where(some(rng, len(starts), 0.08), EVERY, instrument[starts])
    walks = np.array([(*walk, _CONTINUOUS) for walk in _WALKS])
    phases = walks[rng.choice(len(walks), len(starts), p=list(_WALKS.values()))]
    commands = rng.exponential(_LENGTHS[phases]) * rng.choice([1, 4], (len(starts), 1), p=[0.9, 0.1])
    lengths = 1 + (instruments * commands).astype(np.int64)
    is_cleared = some(rng, len(starts), 0.35) & (starts + _BARE_ROWS < count)
    lengths[is_cleared] = 1 + lengths[is_cleared] // 3
    is_bare = is_cleared & some(rng, len(starts), 0.4)
    phases[is_bare] = (_PRE_OPEN, *4 * [_CONTINUOUS])
    lengths[is_bare, 0] = _BARE_ROWS
    rows = starts[:, np.newaxis] + np.cumsum(lengths, axis=1) - lengths
    steps = np.broadcast_to(who[:, np.newaxis], rows.shape)
    order = np.argsort(rows, axis=None, kind="stable")
    order = order[rows.ravel()[order] < count]
    columns = (rows.ravel()[order], steps.ravel()[order], phases.ravel()[order])
    return Plan(*columns, cleared=starts[is_cleared], bare=starts[is_bare])


def phases_planned(plan: Plan, instrument: np.ndarray, instruments: int) -> np.ndarray:
    """Return in which phase the plan has the instrument of each row, that row's command done."""
    at = np.arange(len(instrument))
    planned = np.full(len(instrument), Phase.CONTINUOUS)
    for one in range(instruments):
        is_its = np.isin(plan.instruments, [one, EVERY])
        rows = plan.rows[is_its]
        phases = np.concatenate([[Phase.CONTINUOUS], plan.phases[is_its]])
        is_here = instrument == one
        planned[is_here] = phases[np.searchsorted(rows, at[is_here], side="right")]
    return planned


def gather(rng: Generator, tape: np.ndarray, plan: Plan, instruments: int) -> np.ndarray:
    """Let in calls be asked for what calls take: more market orders, less that must trade at once.

    Where nothing may be taken back, mass cancels are a little less rare than elsewhere. Returns which
    rows lie in a call.
    """
    for row in plan.bare:
        bare = tape[row : row + _BARE_ROWS]
        bare["kind"] = CommandKind.NEW
        bare["instrument"] = bare["instrument"][0]
        bare["side"] = rng.permutation(_BARE_ROWS) % 2
        bare["type"] = OrderType.MARKET
    count = len(tape)
    planned = phases_planned(plan, tape["instrument"], instruments)
    is_call = np.isin(planned, CALLS)
    tape["type"][is_call & some(rng, count, 0.14)] = OrderType.MARKET
    is_at_once = np.isin(tape["time_in_force"], [TimeInForce.IOC, TimeInForce.FOK])
    is_at_once &= is_call & (tape["type"] == OrderType.LIMIT)
    tape["time_in_force"][is_at_once & some(rng, count, 0.6)] = TimeInForce.GTC
    tape["kind"][(planned == Phase.NO_CANCEL) & some(rng, count, 0.01)] = CommandKind.MASS_CANCEL
    return is_call


def set_phases(
    rng: Generator, tape: np.ndarray, plan: Plan, instruments: int, market: np.ndarray, is_jump: np.ndarray
) -> None:
    """Set phase commands: walks, resumes, a new reference for all at each jump of `market`, and odd ones.

    `market` is where the market is at each row, in hao; references lie near it, on the grid or not.
    Some instruments are given none but with all others.
    """
    count = len(tape)
    odd = tape["kind"] == CommandKind.PHASE
    tape["phase"] = rng.choice([*Phase, 6, 255], count, p=[0.05, 0.1, 0.1, 0.15, 0.35, 0.05, 0.1, 0.1])
    is_away = phases_planned(plan, tape["instrument"], instruments) == Phase.CONTINUOUS
    is_away &= tape["kind"] == CommandKind.NEW
    resumes = np.flatnonzero(is_away & some(rng, count, 1 / _ROWS_A_RESUME))
    jumps = np.flatnonzero(is_jump)
    tape["instrument"][plan.rows] = plan.instruments
    tape["instrument"][jumps] = EVERY
    tape["phase"][resumes] = tape["phase"][jumps] = Phase.CONTINUOUS
    tape["phase"][plan.rows] = plan.phases
    near = np.maximum(1, market + (market * rng.normal(0, 0.004, count)).astype(np.int64))
    reference = np.where(some(rng, count, 0.5), market, near)
    for rows, share in ((resumes, 0.3), (plan.rows, 0.3), (jumps, 0.5)):
        tape["kind"][rows] = CommandKind.PHASE
        tape["price"][rows] = np.where(some(rng, len(rows), share), reference[rows], 0)
    tape["price"][odd] = np.where(some(rng, count, 0.5), reference, 0)[odd]
    overwrite(rng, tape["price"], 0.3 * odd, PRICE_EDGES)
    overwrite(rng, tape["instrument"], 0.15 * odd, NO_INSTRUMENT)
    tape["price"][plan.cleared] = reference[plan.cleared]
    never = np.flatnonzero(some(rng, instruments, 0.4))
    tape["price"][(tape["kind"] == CommandKind.PHASE) & np.isin(tape["instrument"], never)] = 0
    clear = plan.cleared + 1
    tape["kind"][clear] = CommandKind.MASS_CANCEL
    tape["instrument"][clear] = tape["instrument"][plan.cleared]
    tape["member"][clear] = EVERY
    tape["side"][clear] = BOTH_SIDES
