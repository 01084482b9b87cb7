"""The engine equals its twin in plain Python: every event, every effect, every balance."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from matching.vocabulary import EventKind, OrderState, RejectReason
from settlement.reference import Order, Programme, ReferenceLedger
from settlement.rows import Rung
from tests.engine import differential
from tests.engine.differential import Difference, Outcomes, name_of, play_seed, table_of

FLOWS = 6
COMMANDS = 17_500
"""Commands a flow, at scale 1: more than 100,000 in all."""

NOT_FROM_COMMANDS = {
    RejectReason.NONE,
    RejectReason.DUPLICATE_ORDER,
    RejectReason.ORDER_NOT_POSITIVE,
    RejectReason.CAPACITY_EXCEEDED,
    RejectReason.ALREADY_EXISTS,
    RejectReason.AMOUNT_OUT_OF_RANGE,
    RejectReason.TERMS_INVALID,
    RejectReason.PHASE_NOT_ALLOWED,
    RejectReason.CALENDAR_INVALID,
    RejectReason.STATE_NOT_ALLOWED,
    RejectReason.KEY_INVALID,
    RejectReason.MALFORMED,
    RejectReason.NOT_AUTHENTICATED,
    RejectReason.REPORTS_DROPPED,
    RejectReason.STOP_PRICE_INVALID,
    RejectReason.TRAIL_INVALID,
    RejectReason.NO_PROTECTION_PRICE,
    RejectReason.UNKNOWN_PHASE,
    RejectReason.BOOK_FULL,
}
"""What the engine never tells of these commands: orders have numbers of their own, some reasons are those
of acts, and some the gateway's; stops and market orders are not taken yet; a phase is set by an act. A
full book takes more icebergs than a flow has: `test_engine_instructions` fills one."""

COLLARS = {RejectReason.STATIC_COLLAR, RejectReason.DYNAMIC_COLLAR}

TOLD_OF_CANCELS = {
    RejectReason.RELATED_PARTY,
    RejectReason.SELF_TRADE,
    RejectReason.NOT_FILLABLE,
    *COLLARS,
}
"""What ends an order that had been accepted."""

NOT_YET = {EventKind.TRIGGERED, EventKind.REPLACED}
"""What comes of commands that are not taken yet: stops, replaces."""


@functools.cache
def outcomes_of(seed: int) -> Outcomes:
    return play_seed(seed, COMMANDS).outcomes


@pytest.mark.parametrize("nth", range(FLOWS))
def test_engine_and_twin_say_the_same_and_stand_the_same(seed, scale, nth):
    for flow in range(nth, FLOWS * scale, FLOWS):
        outcomes = outcomes_of(seed + flow)
        assert outcomes["traded"] + outcomes["traded in an auction"] > 1_000
        assert outcomes["traded, subsidised"] + outcomes["traded in an auction, subsidised"] > 150
        assert outcomes["traded in an auction"] > 50


def test_the_flows_hold_every_reason_and_every_kind_of_event(seed):
    outcomes: Outcomes = Counter()
    for nth in range(FLOWS):
        outcomes += outcomes_of(seed + nth)
    sys.stdout.write(f"{table_of(outcomes)}\n")
    reasons = {*RejectReason} - NOT_FROM_COMMANDS - TOLD_OF_CANCELS
    wanted = {f"rejected: {name_of(reason)}" for reason in reasons}
    wanted |= {f"cancelled: {name_of(reason)}" for reason in TOLD_OF_CANCELS}
    wanted |= {f"phase_changed: {name_of(reason)}" for reason in COLLARS}
    wanted |= {f"fixing: {rung}" for rung in get_args(Rung)}
    wanted |= {"traded in an auction", "traded in an auction, subsidised"}
    wanted |= {kind.name.lower() for kind in {*EventKind} - NOT_YET} - {"rejected", "known"}
    wanted |= {"accepted, subsidised", "traded, subsidised", "reduced: self trade"}
    wanted |= {f"known: {state.name.lower()}" for state in OrderState if state != OrderState.REJECTED}
    wanted |= {f"known: {name_of(reason)}" for reason in (RejectReason.MONEY_NOT_AVAILABLE,)}
    assert wanted - set(outcomes) == set()


# --- the gate can fail -------------------------------------------------------------------------


class ForgetsARelease(ReferenceLedger):
    """Keeps the lots of an ended order counted against the caps."""

    def release_cover(self, order: Order, keep: int) -> None:
        order.cover = keep


class PaysTheCapTwice(ReferenceLedger):
    """Lets a group have twice what its cap in money says."""

    def group_cap_left(self, order: Order, programme: Programme) -> int:
        return 2 * programme.terms.group_cap - programme.used_money[self.group_of(order)]


class GivesImprovementBackLate(ReferenceLedger):
    """Holds for a buy what it held before a fill, until the order ends."""

    def release_held(self, order: Order, keep: int) -> None:
        super().release_held(order, keep if keep == 0 else order.held)


COMMANDS_TO_FIND_MAX = 5_000
"""A planted mistake is found so soon: mostly within 700 commands, seldom after 2,000."""


@pytest.mark.parametrize("planted", [ForgetsARelease, PaysTheCapTwice, GivesImprovementBackLate])
def test_a_planted_mistake_is_found(seed, planted):
    with pytest.raises(Difference):
        play_seed(seed, COMMANDS_TO_FIND_MAX, planted)


# --- plain Python ------------------------------------------------------------------------------


def test_kernels_as_plain_python_come_to_the_same_state(seed):
    commands = 600
    script = Path(differential.__file__)
    plain = subprocess.run(
        [sys.executable, str(script), "--seed", str(seed), "--commands", str(commands)],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(script.parents[2])},
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    state_hash = play_seed(seed, commands).engine.state_hash()
    assert plain.stdout.splitlines()[-1] == f"state hash {state_hash}"
