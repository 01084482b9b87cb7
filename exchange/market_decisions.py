"""Acts about trading applied: what is listed, which phase and state it is in, by which rules, and its fixing.

Like all acts they check first and change after. What an act asks of the order book itself, phases and mass
cancels, it leaves as `forms`, for the engine to put to the book: only that makes events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, assert_never

import numpy as np
from msgspec.structs import replace

from exchange.act_decisions import ActDecision
from exchange.fixing import Fixed, blank_fixing, fixing_of
from exchange.instruments import Instrument, Mode, State
from exchange.programme_tables import with_inclusions
from exchange.protocol.acts import (
    AllowModes,
    BeginFixing,
    FixPrices,
    ListInstruments,
    Reweight,
    SetCalendar,
    SetCollars,
    SetPhase,
    SetState,
)
from exchange.registry import CALENDAR, Plan
from matching.layout import COMMAND as FORM
from matching.layout import empty_halves, empty_markets, grown, zeros
from matching.permissions import CALLS, FOLLOWS
from matching.view import depth_of
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    PRICE_MAX,
    CommandKind,
    Phase,
    RejectReason,
    Side,
)
from settlement.classes import KINDS
from settlement.layout import LISTING
from settlement.rows import InstrumentRow, PhaseRow
from settlement.terms import AMOUNT_MAX, YEARS, end_ns

if TYPE_CHECKING:
    from datetime import date

MarketAct = (
    ListInstruments | SetPhase | SetState | AllowModes | SetCollars | SetCalendar | BeginFixing | FixPrices
)
"""What is decided about trading; `exchange.decisions` has all other acts."""

COLLAR_MAX = 1_000
"""Widest collar, per mille: the whole price."""

PHASES_OF_MODE: dict[Mode, tuple[Phase, ...]] = {
    "continuous": tuple(Phase),
    "call": (Phase.CLOSED, Phase.PRE_OPEN, Phase.NO_CANCEL, Phase.AUCTION, Phase.HALTED),
    "listing": (Phase.CLOSED,),
}
"""The phases that each mode of trading knows."""

PHASES_OF_STATE: dict[State, tuple[Phase, ...]] = {
    "proposed": (Phase.CLOSED,),
    "listed": tuple(Phase),
    "suspended": (Phase.HALTED, Phase.CLOSED),
    "cancel_only": (Phase.HALTED, Phase.CLOSED),
    "retired": (Phase.CLOSED,),
}
"""The phases that each state allows; of one that does not allow all, first the one that it brings."""

STATES_AFTER: dict[State, tuple[State, ...]] = {
    "proposed": ("listed", "retired"),
    "listed": ("suspended", "cancel_only"),
    "suspended": ("listed", "cancel_only"),
    "cancel_only": ("retired", "listed"),
    "retired": (),
}
"""Which state may follow which."""


WEIGHTS = ("weight_input", "weight_cached", "weight_output")

_BOUNDED = (*WEIGHTS, "milli_pflops")
"""The numbers of an instrument that need only be such as can be kept."""


class MarketDecision(ActDecision):
    """An act about trading."""

    def apply_to_market(self, act: MarketAct) -> RejectReason:
        """Apply an act about trading, or return why it is refused; then nothing has changed."""
        match act:
            case ListInstruments():
                return self.list_instruments(act)
            case SetPhase():
                return self.set_phase(act)
            case SetState():
                return self.set_state(act)
            case AllowModes():
                return self.allow_modes(act)
            case SetCollars():
                return self.set_collars(act)
            case SetCalendar():
                return self.set_calendar(act)
            case BeginFixing():
                return self.begin_fixing(act)
            case FixPrices():
                return self.fix_prices(act)
            case _:
                assert_never(act)

    # --- what is listed ------------------------------------------------------------------------

    def list_instruments(self, act: ListInstruments) -> RejectReason:
        """Give each instrument its number, its book and its row in the ledger."""
        reason = self.listing_fault(act.instruments)
        if reason != RejectReason.NONE:
            return reason
        first = len(self.registry.instruments)
        book, ledger = self.core.book, self.core.ledger
        count = first + len(act.instruments)
        self.core = self.core._replace(
            book=book._replace(
                markets=joined(book.markets, empty_markets(len(act.instruments))),
                halves=joined(book.halves, empty_halves(len(act.instruments))),
            ),
            ledger=ledger._replace(listings=grown(ledger.listings, count)),
        )
        self.core.ledger.totals["listings"] = count
        for index, instrument in enumerate(act.instruments, start=first):
            self.registry.add_instrument(instrument)
            row = np.zeros((), LISTING)
            row["list_price"] = instrument.list_price
            row["provider"] = self.registry.member_numbers[instrument.provider]
            row["kind"] = KINDS.index(instrument.kind)
            row["domestic"] = instrument.domestic
            row["filed"] = instrument.filed
            row["is_shared"] = bool(instrument.also_provided_by)
            self.core.ledger.listings[index] = row
            self.add_issuers(index, instrument)
            self.open_market(index, instrument)
            self.tell_instrument(index)
        self.core = self.core._replace(ledger=with_inclusions(self.core.ledger, self.registry))
        return RejectReason.NONE

    def add_issuers(self, index: int, instrument: Instrument) -> None:
        """Note who may issue an instrument beside its provider."""
        ledger = self.core.ledger
        others = [self.registry.member_numbers[name] for name in instrument.providers[1:]]
        first = int(ledger.totals[0]["issuers"])
        issuers = grown(ledger.issuers, first + len(others))
        for row, member in enumerate(others, start=first):
            issuers[row]["instrument"] = index
            issuers[row]["member"] = member
        ledger.totals["issuers"] = first + len(others)
        self.core = self.core._replace(ledger=ledger._replace(issuers=issuers))

    def listing_fault(self, instruments: Sequence[Instrument]) -> RejectReason:
        """Return why instruments cannot be listed, or NONE; what is refused names instrument and field."""
        known = set(self.registry.instrument_numbers)
        for instrument in instruments:
            if instrument.symbol in known:
                return self.refuse(RejectReason.ALREADY_EXISTS, instrument.symbol)
            known.add(instrument.symbol)
        metered = {
            meter: self.registry.instruments[numbers[0]].provider
            for meter, numbers in self.registry.meters.items()
        }
        for instrument in instruments:
            unknown = set(instrument.providers) - self.registry.member_numbers.keys()
            if unknown:
                return self.refuse(
                    RejectReason.UNKNOWN_MEMBER, f"{instrument.symbol}, provider: {min(unknown)}"
                )
            metered.setdefault(instrument.meter, instrument.provider)
            reason, field = self.field_fault(instrument, metered)
            if reason != RejectReason.NONE:
                told = f"{instrument.symbol}, {field}: {getattr(instrument, field)}"
                return self.refuse(reason, told)
        return RejectReason.NONE

    def field_fault(self, instrument: Instrument, metered: dict[str, str]) -> tuple[RejectReason, str]:
        """Return why an instrument cannot be listed and for which field, or NONE; one line a rule."""
        if not instrument.symbol:
            return RejectReason.TERMS_INVALID, "symbol"
        for field in _BOUNDED:
            if not 0 <= getattr(instrument, field) <= AMOUNT_MAX:
                return RejectReason.TERMS_INVALID, field
        if metered[instrument.meter] != instrument.provider:
            return RejectReason.TERMS_INVALID, "meter"
        if instrument.expires is not None and not self.is_to_come(instrument.expires):
            return RejectReason.TERMS_INVALID, "expires"
        if not 0 < instrument.list_price <= PRICE_MAX:
            return RejectReason.PRICE_NOT_POSITIVE, "list_price"
        if not 0 < instrument.tick <= PRICE_MAX or instrument.list_price % instrument.tick:
            return RejectReason.PRICE_OFF_TICK, "tick"
        if instrument.mode not in self.registry.modes:
            return RejectReason.PHASE_NOT_ALLOWED, "mode"
        return RejectReason.NONE, ""

    def is_to_come(self, day: date) -> bool:
        """Tell whether a day is one that the ledger can count, and is not over yet."""
        return YEARS[0] <= day.year <= YEARS[1] and self.time < end_ns(day)

    def open_market(self, index: int, instrument: Instrument) -> None:
        """Write what the book knows of a new instrument, and tell its first phase."""
        market = self.core.book.markets[index]
        market["tick"] = instrument.tick
        market["reference"] = instrument.list_price
        market["phase"] = Phase.CONTINUOUS if self.opens_at_once(instrument) else Phase.CLOSED
        if instrument.kind in self.registry.collars:
            self.bound_market(index, self.registry.collars[instrument.kind])
        self.phases.append(
            PhaseRow(
                sequence=self.sequence,
                time=self.time,
                instrument=index,
                phase=Phase(market["phase"]).name.lower(),
                reference=instrument.list_price,
                cause="",
                who=self.signed.who,
                why=self.signed.why,
            )
        )

    def opens_at_once(self, instrument: Instrument) -> bool:
        """Tell whether an instrument trades as soon as it is listed: where no calendar says when."""
        is_listed = instrument.state == "listed"
        return is_listed and instrument.mode == "continuous" and self.registry.calendar is None

    def tell_instrument(self, index: int, who: str = "", why: str = "") -> None:
        """Bring an instrument to the store as it now stands; if two have changed it, by whom and why."""
        instrument = self.registry.instruments[index]
        fields = {
            name: getattr(instrument, name)
            for name in InstrumentRow.__struct_fields__
            if name not in ("sequence", "index", "instrument", "time", "who", "why")
        }
        self.instruments.append(
            InstrumentRow(
                sequence=self.sequence,
                index=index,
                instrument=instrument.symbol,
                time=self.time,
                who=who or self.signed.who,
                why=why or self.signed.why,
                **fields,
            )
        )

    def reweight(self, act: Reweight, who: str, why: str) -> RejectReason:
        """Give a suspended model other weights: usage that is recorded from now on burns by them."""
        registry = self.registry
        index = registry.instrument_numbers.get(act.instrument)
        if index is None:
            return self.refuse(RejectReason.UNKNOWN_INSTRUMENT, act.instrument)
        instrument = registry.instruments[index]
        if instrument.kind != "model":
            return self.refuse(RejectReason.TERMS_INVALID, f"instrument: {act.instrument} is no model")
        if instrument.state != "suspended":
            return self.refuse(RejectReason.STATE_NOT_ALLOWED, instrument.state)
        for field in WEIGHTS:
            if not 0 <= getattr(act, field) <= AMOUNT_MAX:
                told = f"{field}: {getattr(act, field)}; give 0 to {AMOUNT_MAX}"
                return self.refuse(RejectReason.TERMS_INVALID, told)
        weights = {field: getattr(act, field) for field in WEIGHTS}
        registry.instruments[index] = replace(instrument, **weights)
        self.tell_instrument(index, who, why)
        return RejectReason.NONE

    # --- what a market is doing ----------------------------------------------------------------

    def set_phase(self, act: SetPhase) -> RejectReason:
        """Set what one market, or every market that may do it, is doing."""
        registry = self.registry
        if act.instrument and act.instrument not in registry.instrument_numbers:
            return RejectReason.UNKNOWN_INSTRUMENT
        if act.reference != 0 and not act.instrument:
            return RejectReason.UNKNOWN_INSTRUMENT  # one price is not every instrument's
        if act.reference < 0:
            return RejectReason.PRICE_NOT_POSITIVE
        if act.reference > PRICE_MAX:
            return RejectReason.PRICE_TOO_LARGE
        meant = (
            [registry.instrument_numbers[act.instrument]]
            if act.instrument
            else range(len(registry.instruments))
        )
        phase = Phase[act.phase.upper()]
        taken = [index for index in meant if self.may_take(index, phase, act.until)]
        if not act.instrument and phase == Phase.HALTED:
            taken = [index for index in taken if self.phase_of(index) != Phase.CLOSED]
        if not taken:
            return RejectReason.PHASE_NOT_ALLOWED
        for index in taken:
            self.ask_phase(index, phase, act.reference)
            self.plan(index, phase, act)
        return RejectReason.NONE

    def may_take(self, index: int, phase: Phase, until: int) -> bool:
        """Tell whether mode, state and the phase now allow a phase. A call with an end may be put off."""
        instrument = self.registry.instruments[index]
        if phase not in PHASES_OF_MODE[instrument.mode] or phase not in PHASES_OF_STATE[instrument.state]:
            return False
        now = self.phase_of(index)
        return phase in FOLLOWS[now] or (phase == now and phase in CALLS and until > 0)

    def phase_of(self, index: int) -> Phase:
        """Return what an instrument's market is doing."""
        return Phase(self.core.book.markets[index]["phase"])

    def plan(self, index: int, phase: Phase, act: SetPhase) -> None:
        """Note how an instrument's call goes on, and whether the calendar still rules it."""
        registry = self.registry
        if phase in CALLS and act.until > 0:
            registry.plans[index] = Plan(act.call, act.until, act.extended)
            if registry.fixes(act.call):
                self.notes.in_call.add(index)
        elif phase != Phase.AUCTION:
            registry.plans.pop(index, None)
        if self.signed.who == CALENDAR:
            registry.is_calendar_new = False
            registry.overridden.discard(index)
        else:
            registry.overridden.add(index)

    def set_state(self, act: SetState) -> RejectReason:
        """Set an instrument's state, and the phase that it brings; a retired one's orders are cancelled."""
        registry = self.registry
        index = registry.instrument_numbers.get(act.instrument)
        if index is None:
            return RejectReason.UNKNOWN_INSTRUMENT
        if act.state not in STATES_AFTER[registry.instruments[index].state]:
            return RejectReason.STATE_NOT_ALLOWED
        self.enter_state(index, act.state)
        return RejectReason.NONE

    def enter_state(self, index: int, state: State) -> None:
        """Let an instrument be in a state, and its market in the phase that this brings."""
        instrument = replace(self.registry.instruments[index], state=state)
        self.registry.instruments[index] = instrument
        self.tell_instrument(index)
        if state != "listed":
            brought = [one for one in PHASES_OF_STATE[state] if one in PHASES_OF_MODE[instrument.mode]]
            self.bring_phase(index, brought[0])
        elif self.opens_at_once(instrument):
            self.bring_phase(index, Phase.CONTINUOUS)
        if state == "retired":
            self.ask_book(CommandKind.MASS_CANCEL, index)

    def bring_phase(self, index: int, phase: Phase) -> None:
        """Set the phase that a state brings, if the market is not in it; no call goes on."""
        self.registry.plans.pop(index, None)
        if self.phase_of(index) != phase:
            self.ask_phase(index, phase)

    def ask_phase(self, index: int, phase: Phase, reference: int = 0) -> None:
        """Let the book set a market's phase, and its reference price if one is told."""
        form = self.ask_book(CommandKind.PHASE, index)
        form["phase"] = phase
        form["price"] = reference

    def ask_book(self, kind: CommandKind, index: int) -> np.ndarray:
        """Ask something of the book, about one instrument and all of its orders."""
        form = np.zeros((), FORM)
        form["kind"] = kind
        form["instrument"] = index
        form["member"] = EVERY
        form["side"] = BOTH_SIDES
        form["time"] = self.time
        self.forms.append(form)
        return form

    # --- by which rules ------------------------------------------------------------------------

    def allow_modes(self, act: AllowModes) -> RejectReason:
        """Say which modes the venue may run; one in use is not taken away."""
        modes = frozenset(act.modes)
        if any(one.mode not in modes for one in self.registry.instruments if one.state != "retired"):
            return RejectReason.PHASE_NOT_ALLOWED
        self.registry.modes = modes
        return RejectReason.NONE

    def set_collars(self, act: SetCollars) -> RejectReason:
        """Set the collars of one kind of instrument, those listed later too; for orders from now on."""
        if any(not 0 <= collar <= COLLAR_MAX for collar in (act.market, act.static, act.dynamic)):
            return RejectReason.TERMS_INVALID
        self.registry.collars[act.kind] = act
        for index, instrument in enumerate(self.registry.instruments):
            if instrument.kind == act.kind:
                self.bound_market(index, act)
        return RejectReason.NONE

    def bound_market(self, index: int, collars: SetCollars) -> None:
        """Write a market's collars."""
        market = self.core.book.markets[index]
        market["collar"] = collars.market
        market["static_collar"] = collars.static
        market["dynamic_collar"] = collars.dynamic

    def set_calendar(self, act: SetCalendar) -> RejectReason:
        """Set the trading calendar; the sequencer asks it what is due from now on."""
        if act.calendar.fault():
            return RejectReason.CALENDAR_INVALID
        self.registry.calendar = act.calendar
        self.registry.is_calendar_new = True
        return RejectReason.NONE

    # --- its daily price -----------------------------------------------------------------------

    def begin_fixing(self, act: BeginFixing) -> RejectReason:
        """Begin to note what a day's fixing may rest on. Days follow each other, and none comes twice."""
        registry = self.registry
        if any(day is not None and act.day <= day for day in (registry.fixing_day, registry.fixed_day)):
            return RejectReason.ALREADY_EXISTS
        registry.fixing_day = act.day
        self.notes.begin({index for index, plan in registry.plans.items() if registry.fixes(plan.call)})
        return RejectReason.NONE

    def fix_prices(self, act: FixPrices) -> RejectReason:
        """Find the day's price of every listed instrument that is traded; it becomes the reference."""
        registry, book = self.registry, self.core.book
        if act.day != registry.fixing_day:
            return RejectReason.CALENDAR_INVALID
        for index, instrument in enumerate(registry.instruments):
            if instrument.state == "listed" and instrument.mode != "listing":
                best = [depth_of(book, index, side, 1) for side in Side]
                bid, ask = (int(depth[0, 0]) if len(depth) else 0 for depth in best)
                seen = self.notes.seen(index, instrument.tick, instrument.list_price, bid, ask)
                row = fixing_of(blank_fixing(act.day, index, self.sequence, self.time), seen)
                book.markets[index]["reference"] = row.price
                self.notes.fixed[index] = Fixed(act.day, row.price)
                self.fixings.append(row)
        self.notes.begin(set())
        registry.fixing_day = None
        registry.fixed_day = act.day
        return RejectReason.NONE


def joined(rows: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Return rows and those that follow them as one table, as well aligned as the first."""
    both = zeros(len(rows) + len(more), rows.dtype)
    both[: len(rows)] = rows
    both[len(rows) :] = more
    return both
