"""The random tapes: the same for the same seed, and broad enough to teach something."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from matching.flow import random_flow
from matching.layout import COMMAND
from matching.reference import Market, ReferenceBook, commands_from
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    PRICE_MAX,
    QUANTITY_MAX,
    SLICES_MAX,
    CommandKind,
    EventKind,
    OrderType,
    Phase,
    RejectReason,
    SelfTrade,
    Side,
    TimeInForce,
)

COMMANDS = 20_000
TICKS = (1, 5, 2_500)
MARKETS = [Market(1, collar=100), Market(5, reference=500_000, collar=50), Market(2_500)]
"""With and without a reference, with and without a collar."""

CODES = {"side": Side, "type": OrderType, "time_in_force": TimeInForce, "self_trade": SelfTrade}
"""The fields of which an order says exactly one thing."""

REFUSED_NEW = {
    RejectReason.UNKNOWN_INSTRUMENT,
    RejectReason.UNKNOWN_SIDE,
    RejectReason.UNKNOWN_TYPE,
    RejectReason.UNKNOWN_TIME_IN_FORCE,
    RejectReason.UNKNOWN_SELF_TRADE,
    RejectReason.PRICE_NOT_POSITIVE,
    RejectReason.PRICE_TOO_LARGE,
    RejectReason.PRICE_OFF_TICK,
    RejectReason.QUANTITY_NOT_POSITIVE,
    RejectReason.QUANTITY_TOO_LARGE,
    RejectReason.STOP_PRICE_INVALID,
    RejectReason.TRAIL_INVALID,
    RejectReason.DISPLAY_QUANTITY_INVALID,
    RejectReason.MINIMUM_QUANTITY_INVALID,
    RejectReason.EXPIRY_INVALID,
    RejectReason.INSTRUCTIONS_CONFLICT,
    RejectReason.NO_PROTECTION_PRICE,
    RejectReason.NOTIONAL_TOO_LARGE,
    RejectReason.INSTRUMENT_NOT_OPEN,
    RejectReason.NOT_IN_PHASE,
    RejectReason.ORDER_NOT_POSITIVE,
    RejectReason.DUPLICATE_ORDER,
    RejectReason.POST_ONLY_WOULD_CROSS,
}
"""Every rung of the ladder that a new order climbs."""

REFUSED_REPLACE = {
    RejectReason.UNKNOWN_ORDER,
    RejectReason.PRICE_NOT_POSITIVE,
    RejectReason.PRICE_TOO_LARGE,
    RejectReason.PRICE_OFF_TICK,
    RejectReason.STOP_PRICE_INVALID,
    RejectReason.QUANTITY_NOT_POSITIVE,
    RejectReason.QUANTITY_TOO_LARGE,
    RejectReason.INSTRUMENT_NOT_OPEN,
    RejectReason.NOT_IN_PHASE,
    RejectReason.NOTIONAL_TOO_LARGE,
    RejectReason.DISPLAY_QUANTITY_INVALID,
    RejectReason.POST_ONLY_WOULD_CROSS,
}

CANCELLED_FOR = {
    RejectReason.NONE,
    RejectReason.NOT_FILLABLE,
    RejectReason.SELF_TRADE,
    RejectReason.RELATED_PARTY,
    RejectReason.POST_ONLY_WOULD_CROSS,
}


@pytest.fixture(scope="module")
def tape(seed):
    return random_flow(seed, COMMANDS, len(TICKS), TICKS)


@pytest.fixture(scope="module")
def long(seed):
    """A tape for what is rare."""
    return random_flow(seed, 5 * COMMANDS, len(TICKS), TICKS)


@pytest.fixture(scope="module")
def new(tape):
    return tape[tape["kind"] == CommandKind.NEW]


def words_of(new: np.ndarray) -> dict[str, np.ndarray]:
    """Return what may be said of new orders, by name, as a mask of those that say it."""
    words = {f"{field} {code.name}": new[field] == code for field, codes in CODES.items() for code in codes}
    return words | {
        "post-only": new["post_only"] != 0,
        "minimum": new["minimum_quantity"] > 0,
        "iceberg": (new["display_quantity"] > 0) & (new["display_quantity"] < new["quantity"]),
        "subsidised": new["subsidised"] != 0,
        "without a stop price": new["stop_price"] == 0,
    }


def clock_of(tape: np.ndarray) -> np.ndarray:
    """Return the book's clock at each command."""
    return np.maximum.accumulate(tape["time"])


# --- the columns -------------------------------------------------------------------------------


def test_one_seed_one_tape():
    assert random_flow(5, 1_000).tobytes() == random_flow(5, 1_000).tobytes()
    assert random_flow(5, 1_000).tobytes() != random_flow(6, 1_000).tobytes()


def test_a_tape_may_be_short():
    for commands in range(6):
        assert all(len(random_flow(seed, commands)) == commands for seed in range(20))


def test_a_tape_has_the_columns_of_a_command(tape):
    assert tape.dtype == COMMAND
    assert not tape["unused"].any()


def test_every_kind_occurs(tape):
    told = Counter(tape["kind"].tolist())
    unknown = set(told) - set(CommandKind)
    assert all(told[kind] for kind in CommandKind)
    assert min(unknown) == max(CommandKind) + 1
    assert 0.6 < told[CommandKind.NEW] / COMMANDS < 0.75
    assert 0.2 < sum(told[kind] for kind in list(CommandKind)[1:4]) / COMMANDS < 0.4
    assert told[CommandKind.MASS_CANCEL] < COMMANDS / 400
    assert told[CommandKind.PHASE] < COMMANDS / 20


def test_every_word_occurs_and_every_pair(new):
    words = words_of(new)
    pairs = [
        (one, other)
        for one, other in combinations(words, 2)
        if one.split()[0] not in CODES or one.split()[0] != other.split()[0]
    ]
    unheard = [pair for pair in pairs if not np.logical_and(*(words[word] for word in pair)).any()]
    assert len(pairs) == 200
    assert unheard == []


def test_times_rise_stay_and_run_back_a_little(tape):
    steps = np.diff(tape["time"][tape["time"] > 0])
    assert 0.5 < (steps > 0).mean() < 0.8
    assert 0.2 < (steps == 0).mean() < 0.4
    assert 0.01 < (steps < 0).mean() < 0.08
    clock = clock_of(tape)
    assert (clock - tape["time"])[tape["time"] > 0].max() < 1_000_000
    assert {0, -1} <= set(tape["time"].tolist())


def test_expiries_lie_shortly_ahead_some_together_some_too_early(tape):
    ahead = tape["expires_at"] - clock_of(tape)
    is_dated = (tape["kind"] == CommandKind.NEW) & (tape["time_in_force"] == TimeInForce.GTD)
    its = ahead[is_dated]
    assert {-1, 0, 1} <= set(its.tolist())
    assert 0.9 < ((its > 0) & (its < 10_000_000)).mean() < 1
    assert Counter(tape["expires_at"][is_dated].tolist()).most_common(1)[0][1] > 2
    assert {0, np.iinfo(np.int64).max} <= set(tape["expires_at"].tolist())


@pytest.mark.parametrize(
    ("field", "edges"),
    [
        ("price", (0, -1, PRICE_MAX, PRICE_MAX + 1)),
        ("stop_price", (0, -1, PRICE_MAX, PRICE_MAX + 1)),
        ("trail", (0, -1, PRICE_MAX, PRICE_MAX + 1)),
        ("quantity", (0, -1, QUANTITY_MAX, QUANTITY_MAX + 1)),
        ("minimum_quantity", (0, -1, QUANTITY_MAX, QUANTITY_MAX + 1)),
        ("display_quantity", (0, -1, QUANTITY_MAX, QUANTITY_MAX + 1)),
        ("order", (0, -1)),
    ],
)
def test_the_edges_of_a_number_occur_and_are_rare(tape, field, edges):
    limits = np.iinfo(np.int64)
    values = Counter(tape[field].tolist())
    extremes = {*edges, limits.min, limits.max}
    assert extremes <= set(values)
    assert sum(values[edge] for edge in extremes if edge) < COMMANDS / 30


def test_prices_off_the_grid_occur(tape):
    is_known = (tape["instrument"] >= 0) & (tape["instrument"] < len(TICKS))
    grid = np.array(TICKS)[np.where(is_known, tape["instrument"], 0)]
    for field in ("price", "stop_price", "trail"):
        off = (tape[field] % grid != 0) & is_known
        assert 5 < np.count_nonzero(off) < COMMANDS / 20


def test_instructions_at_their_edges_occur(new):
    quantity, minimum, shown = new["quantity"], new["minimum_quantity"], new["display_quantity"]
    sound = (quantity > 0) & (quantity <= QUANTITY_MAX)
    for edge in (
        minimum == quantity,
        minimum == quantity + 1,
        shown == quantity,
        (shown > 0) & (shown < QUANTITY_MAX) & (SLICES_MAX * shown == quantity),
        (shown > 0) & (quantity - SLICES_MAX * shown == SLICES_MAX),
    ):
        assert (sound & edge).any()


def test_codes_that_nobody_knows_occur(long, new):
    for field, last in (("side", 1), ("type", 4), ("time_in_force", 4), ("self_trade", 4)):
        assert {last + 1, 255} <= set(new[field].tolist())
    phases = set(long["phase"][long["kind"] == CommandKind.PHASE].tolist())
    assert phases == {*Phase, max(Phase) + 1, 255}


def test_mass_cancels_mean_few_and_many(long):
    its = long[long["kind"] == CommandKind.MASS_CANCEL]
    for field, every in (("member", EVERY), ("instrument", EVERY)):
        assert 0.02 < (its[field] == every).mean() < 0.6
    assert set(its["side"].tolist()) > {Side.BUY, Side.SELL, BOTH_SIDES}
    assert (its["instrument"] > 3).any()
    assert (its["instrument"] < EVERY).any()


# --- what comes of it --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def outcomes(seed):
    """Return how often each sort of command had each outcome, over a few tapes."""
    told: Counter[tuple[int, int, int]] = Counter()
    for number in range(3):
        book = ReferenceBook(MARKETS)
        for command in commands_from(random_flow(seed + number, COMMANDS, len(TICKS), TICKS)):
            told.update((command.kind, event.kind, event.reason) for event in book.apply(command))
    return told


def reasons_of(outcomes: Counter, command: int, event: int) -> set[RejectReason]:
    """Return all reasons with which commands of this kind caused this event."""
    return {RejectReason(reason) for kind, what, reason in outcomes if (kind, what) == (command, event)}


def times(outcomes: Counter, event: int) -> int:
    """Return how often an event was told, whatever caused it."""
    return sum(count for (_, what, _), count in outcomes.items() if what == event)


def test_every_event_occurs(outcomes):
    venues_own = {EventKind.KNOWN, EventKind.MASS_CANCELLED}
    assert {what for _, what, _ in outcomes} == set(EventKind) - venues_own


def test_every_reason_occurs(outcomes):
    assert reasons_of(outcomes, CommandKind.NEW, EventKind.REJECTED) == REFUSED_NEW
    assert reasons_of(outcomes, CommandKind.REPLACE, EventKind.REJECTED) == REFUSED_REPLACE
    assert reasons_of(outcomes, CommandKind.REDUCE, EventKind.REJECTED) == {
        RejectReason.UNKNOWN_ORDER,
        RejectReason.QUANTITY_NOT_POSITIVE,
        RejectReason.NOT_IN_PHASE,
    }
    assert reasons_of(outcomes, CommandKind.CANCEL, EventKind.REJECTED) == {
        RejectReason.UNKNOWN_ORDER,
        RejectReason.NOT_IN_PHASE,
    }
    assert reasons_of(outcomes, CommandKind.MASS_CANCEL, EventKind.REJECTED) == {
        RejectReason.UNKNOWN_INSTRUMENT,
        RejectReason.UNKNOWN_SIDE,
        RejectReason.NOT_IN_PHASE,
    }
    assert reasons_of(outcomes, CommandKind.PHASE, EventKind.REJECTED) >= {
        RejectReason.UNKNOWN_INSTRUMENT,
        RejectReason.UNKNOWN_PHASE,
    }
    assert reasons_of(outcomes, CommandKind.ACT, EventKind.REJECTED) == {RejectReason.UNKNOWN_KIND}
    assert reasons_of(outcomes, CommandKind.NEW, EventKind.CANCELLED) == CANCELLED_FOR


def test_the_market_trades(outcomes):
    """Most orders are accepted and many trade; stops, expiries and changes are no rarities."""
    commands = 3 * COMMANDS
    accepted = outcomes[CommandKind.NEW, EventKind.ACCEPTED, RejectReason.NONE]
    assert times(outcomes, EventKind.TRADED) > commands / 5
    assert times(outcomes, EventKind.TRIGGERED) > commands / 20
    assert times(outcomes, EventKind.EXPIRED) > commands / 50
    assert times(outcomes, EventKind.REPLACED) > commands / 40
    assert times(outcomes, EventKind.REDUCED) > commands / 60
    assert accepted > 0.5 * commands


def test_every_rung_is_met_by_a_few_orders(outcomes):
    met = {reason: outcomes[CommandKind.NEW, EventKind.REJECTED, reason] for reason in REFUSED_NEW}
    assert min(met.values()) >= 5, met
