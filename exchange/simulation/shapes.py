"""Which shapes a campaign has seen: counted from what has happened, not from what was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import product
from typing import get_args

import numpy as np

from exchange.engine import Engine, Outcome
from exchange.protocol.acts import Act, Approve, Propose, SignedAct
from exchange.protocol.records import Instruction
from matching.vocabulary import (
    CommandKind,
    EventKind,
    OrderState,
    OrderType,
    Phase,
    RejectReason,
    SelfTrade,
    TimeInForce,
)

_ACCEPTED, _REJECTED = int(EventKind.ACCEPTED), int(EventKind.REJECTED)
_PHASE_CHANGED, _INDICATIVE, _TRADED = (
    int(EventKind.PHASE_CHANGED),
    int(EventKind.INDICATIVE),
    int(EventKind.TRADED),
)
_ENDED = {int(EventKind.CANCELLED), int(EventKind.REDUCED)}
_NOBODYS = {_PHASE_CHANGED, _INDICATIVE}
"""Events that are of no order."""

_POST_ONLY = int(Instruction.POST_ONLY)
_SELF_TRADE = int(RejectReason.SELF_TRADE)
_EVENTS = tuple(kind.name.lower().replace("_", " ") for kind in EventKind)
_STATES = tuple(state.name.lower() for state in OrderState)
_TYPES = tuple(kind.name.lower() for kind in OrderType)
_LASTING = tuple(word.name.lower() for word in TimeInForce)
_PHASES = tuple(phase.name.lower() for phase in Phase)
_REASONS = {int(reason): reason.name.lower() for reason in RejectReason}
_MODES = {int(mode): mode.name.lower() for mode in SelfTrade}


def _words(family: str, words: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{family}: {word}" for word in words)


PARTS = ("sequencer", "settlement", "feed")

CAUSES = (
    "related_party",
    "session_lost",
    "dead_man",
    "cancelled_by_operator",
    "self_trade",
    "not_fillable",
)
"""Why orders end that nobody cancelled."""

REFUSALS = (
    "member_blocked",
    "domestic_only",
    "quantity_above_limit",
    "notional_above_limit",
    "open_orders_at_limit",
    "turnover_at_limit",
    "instrument_not_open",
    "not_in_phase",
    "unknown_order",
    "credits_not_available",
    "money_not_available",
    "programme_not_eligible",
    "programme_exhausted",
    "programme_own_provider",
    "programme_outlasts_day",
    "programme_not_valid_now",
    "programme_debt",
    "programme_excluded",
    "programme_closed",
    "clock_ahead",
    "post_only_would_cross",
)
"""Why orders and changes of them are refused after they were given a sequence."""

ACT_REFUSALS = (
    "already_exists",
    "amount_out_of_range",
    "calendar_invalid",
    "capacity_exceeded",
    "credits_not_available",
    "key_invalid",
    "keys_at_limit",
    "money_not_available",
    "not_due",
    "phase_not_allowed",
    "programme_closed",
    "redemption_state",
    "reference_used",
    "state_not_allowed",
    "unknown_proposal",
    "unknown_redemption",
    "unknown_trade",
)
"""Why acts are refused that were sequenced."""

BUDGETS = tuple(
    f"{sort} {state}"
    for sort, states in {
        "deduct": ("untouched", "reserving", "paid", "vested", "revised", "nearly exhausted"),
        "reimburse": ("untouched", "reserving", "vested", "revised"),
        "pro_rata": ("untouched", "revised", "closed"),
        "award": ("untouched", "vested", "revised"),
    }.items()
    for state in states
)
"""What a programme's budget looks like, by how it pays."""

WANTED: tuple[str, ...] = (
    *_words("order", (f"{sort} {last}" for sort, last in product(_TYPES, _LASTING))),
    *_words("order", ("iceberg", "minimum quantity", "post-only", "subsidised")),
    *_words("entered in", ("pre_open", "no_cancel", "continuous")),
    *_words("phase", _PHASES),
    *_words("state", _STATES),
    *_words("event", _EVENTS),
    *_words("self trade", (_MODES[mode] for mode in _MODES if mode)),
    *_words("ended by", CAUSES),
    *_words("refused", REFUSALS),
    *_words("traded in", ("auction", "continuous")),
    *_words("act", sorted(act.__name__ for act in get_args(Act))),
    *_words("act refused", ACT_REFUSALS),
    *_words("budget", BUDGETS),
)
"""What members and operators of some two hundred seeds have to have done, each at least once."""

WANTED_UNDER_FIRE: tuple[str, ...] = (
    *_words("killed", PARTS),
    *_words("paused", PARTS),
    *_words("killed midway", ("sequencer", "settlement")),
    *("damage found", "snapshot taken", "snapshot broken off", "segments let go"),
)
"""What has to have befallen the venue in these, likewise."""

_PAYOUTS = ("deduct", "reimburse", "award")
_EXHAUSTED_PER_MILLE = 20
"""A budget of which no more than this is uncommitted is nearly exhausted."""


class Shapes(Counter[str]):
    """How often each shape occurred. Counts are of one run; campaigns add them up."""

    def __init__(self) -> None:
        super().__init__()
        self._proposed: dict[int, str] = {}
        self._phases: list[int] = []
        self._budgets: dict[int, bytes] = {}

    def note(self, name: str) -> None:
        """Count one shape."""
        self[name] += 1

    def note_batch(
        self, engine: Engine, commands: np.ndarray, acts: tuple[SignedAct, ...], outcome: Outcome
    ) -> None:
        """Count what a batch has brought about; `engine` stands right behind it."""
        if len(outcome.events):
            first = engine.sequence - len(commands) + 1
            self._note_events(commands, outcome, first)
        for result in outcome.acts:
            place = int(commands["act"][result.row]) if result.row < len(commands) else -1
            if 0 <= place < len(acts):
                self._note_act(acts[place].act, result.sequence, result.reason)
        self._note_budgets(engine)
        self._phases = engine.core.book.markets["phase"].tolist()

    # --- orders --------------------------------------------------------------------------------

    def _note_events(self, commands: np.ndarray, outcome: Outcome, first: int) -> None:
        """Count events, each with the command that brought it about; `first` is the first one's sequence."""
        events, effects = outcome.events, outcome.effects
        columns = zip(
            events["kind"].tolist(),
            events["reason"].tolist(),
            events["phase"].tolist(),
            events["instrument"].tolist(),
            effects["state"].tolist(),
            effects["sequence"].tolist(),
            strict=True,
        )
        for kind, reason, phase, instrument, state, sequence in columns:
            self[f"event: {_EVENTS[kind]}"] += 1
            command = commands[sequence - first]
            if kind not in _NOBODYS:
                self[f"state: {_STATES[state]}"] += 1
            if kind == _PHASE_CHANGED:
                self._note_phase(instrument, phase)
            elif kind == _TRADED:
                self[f"traded in: {_PHASES[phase] if phase else 'continuous'}"] += 1
            elif kind == _REJECTED:
                self[f"refused: {_REASONS[reason]}"] += 1
            elif kind in _ENDED and reason:
                self[f"ended by: {_REASONS[reason]}"] += 1
                if reason == _SELF_TRADE and command["kind"] == CommandKind.NEW:
                    self[f"self trade: {_MODES.get(int(command['self_trade']), 'none')}"] += 1
            elif kind == _ACCEPTED:
                self._note_order(command, instrument)

    def _note_phase(self, instrument: int, phase: int) -> None:
        self[f"phase: {_PHASES[phase]}"] += 1
        if instrument < len(self._phases):
            self._phases[instrument] = phase

    def _note_order(self, command: np.void, instrument: int) -> None:
        """Count what an order that was accepted looks like, and in which phase it came."""
        self[f"order: {_TYPES[command['type']]} {_LASTING[command['time_in_force']]}"] += 1
        if instrument < len(self._phases):
            self[f"entered in: {_PHASES[self._phases[instrument]]}"] += 1
        if command["display_quantity"]:
            self["order: iceberg"] += 1
        if command["minimum_quantity"]:
            self["order: minimum quantity"] += 1
        if command["instructions"] & _POST_ONLY:
            self["order: post-only"] += 1
        if command["programme"] >= 0:
            self["order: subsidised"] += 1

    # --- acts and programmes -------------------------------------------------------------------

    def _note_act(self, act: Act, sequence: int, reason: RejectReason) -> None:
        """Count an act that was done; with an approval that, too, which was proposed."""
        if reason != RejectReason.NONE:
            self[f"act refused: {_REASONS[reason]}"] += 1
            return
        self[f"act: {type(act).__name__}"] += 1
        if isinstance(act, Propose):
            self._proposed[sequence] = type(act.act).__name__
        elif isinstance(act, Approve) and act.is_approved and act.proposal in self._proposed:
            self[f"act: {self._proposed[act.proposal]}"] += 1

    def _note_budgets(self, engine: Engine) -> None:
        """Count what the budgets that have changed look like."""
        ledger = engine.core.ledger
        rows = ledger.programmes[: int(ledger.totals["programmes"][0])]
        raw = rows.tobytes()
        size = rows.dtype.itemsize
        for index in range(len(rows)):
            row_bytes = raw[index * size : (index + 1) * size]
            if self._budgets.get(index) != row_bytes:
                self._budgets[index] = row_bytes
                self._note_budget(rows[index])

    def _note_budget(self, row: np.void) -> None:
        sort = "pro_rata" if row["exhaustion"] else _PAYOUTS[row["payout"]]
        if row["uncommitted"] == row["budget"]:
            self[f"budget: {sort} untouched"] += 1
        elif row["uncommitted"] * 1_000 <= row["budget"] * _EXHAUSTED_PER_MILLE:
            self[f"budget: {sort} nearly exhausted"] += 1
        for state, is_so in (
            ("reserving", row["reserved"]),
            ("paid", row["paid"]),
            ("vested", row["vested"]),
            ("closed", row["closed"]),
            ("revised", row["terms_version"] > 1),
        ):
            if is_so:
                self[f"budget: {sort} {state}"] += 1
