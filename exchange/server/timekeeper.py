"""The timekeeper: tells which acts the trading calendar has come to; a clock and chance are given to it.

It keeps nothing that matters: steps up to the engine's time are done, for the sequencer lets no command
pass one, and what goes on stands in the registry. So a sequencer that starts again just goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import assert_never, cast

from exchange.calendar import ROUND_THE_CLOCK, SECOND_NS, VOLATILITY, Call, Step, day_of, nanosecond
from exchange.engine import Engine, Outcome
from exchange.protocol.acts import (
    Act,
    BeginFixing,
    CloseWindows,
    ExpireCredits,
    FixPrices,
    PhaseName,
    SetPhase,
    SignedAct,
)
from exchange.registry import CALENDAR, Plan
from matching.auction import clearing
from matching.layout import HALVES, NEVER, WAITING
from matching.permissions import CALLS
from matching.vocabulary import EventKind, Phase, RejectReason, Side

Draw = Callable[[int], int]
"""Returns a whole number from 0 on and below its argument, each as likely."""

PATIENCE_NS = SECOND_NS
"""An act of the calendar that is refused is a fault of ours. Until it is asked for again so long passes:
the market goes on, and the journal does not fill with refusals."""


class Timekeeper:
    """Says when the calendar has something to do, and what. `hear` must be told every batch's outcome."""

    def __init__(self, engine: Engine, draw: Draw) -> None:
        self.next_due = NEVER
        """When there is something to do, ns since 1970. Nothing is worked out when it is read."""
        self._engine = engine
        self._draw = draw
        registry = engine.registry
        self._calendar = None if registry.is_calendar_new else registry.calendar
        self._done_until = engine.time
        self._next_step = self._find_step()
        self._interruptions = self._count_interruptions()
        self._prices: dict[int, int] = {}
        self._is_answer_due = False
        self._look_ahead()

    def due(self, now: int, *, day_begins: bool = False) -> tuple[SignedAct, ...]:
        """Return the acts that are due at `now`, for one batch, to be applied before this is asked again."""
        registry = self._engine.registry
        agenda = Agenda(self._engine, self._draw, now)
        if day_begins:
            agenda.end_days()
        since = self._done_until
        if registry.calendar != self._calendar:
            self._calendar = registry.calendar
            since = agenda.begin_anew()
        agenda.resume(self._prices)
        agenda.plan_interrupted()
        for step in agenda.calendar.steps_after(since):
            if step.time > now:
                break
            agenda.take(step)
        agenda.end_calls(now)
        self._prices.clear()
        self._done_until = now
        self._next_step = self._find_step()
        self._is_answer_due = bool(agenda.acts)
        self._look_ahead()
        return tuple(agenda.acts)

    def hear(self, outcome: Outcome) -> None:
        """Take in what a batch has brought about."""
        interruptions = self._count_interruptions()
        if not outcome.acts and interruptions == self._interruptions:
            return
        self._interruptions = interruptions
        self._note_prices(outcome)
        self._look_ahead()
        is_refused = any(result.reason != RejectReason.NONE for result in outcome.acts)
        if self._is_answer_due and is_refused:
            self.next_due = max(self.next_due, self._engine.time + PATIENCE_NS)
        self._is_answer_due = False

    def _note_prices(self, outcome: Outcome) -> None:
        """Keep the last price of each auction: a volatility auction's becomes the reference."""
        events = outcome.events
        auctioned = (events["kind"] == EventKind.TRADED) & (events["phase"] == Phase.AUCTION)
        traded = events[auctioned]
        self._prices.update(zip(traded["instrument"].tolist(), traded["price"].tolist(), strict=True))

    def _count_interruptions(self) -> int:
        return int(self._engine.core.book.counts["interruptions"][0])

    def _find_step(self) -> int:
        """Return when the calendar's next step is."""
        calendar = self._calendar or ROUND_THE_CLOCK
        return next((step.time for step in calendar.steps_after(self._done_until)), NEVER)

    def _look_ahead(self) -> None:
        """Work out when there is something to do next."""
        agenda = Agenda(self._engine, self._draw, self._done_until)
        is_new = self._engine.registry.calendar != self._calendar
        if is_new or agenda.interrupted() or agenda.to_resume() or agenda.is_ready_to_fix(self._done_until):
            self.next_due = self._engine.time
        else:
            self.next_due = min(self._next_step, agenda.next_end())


class Agenda:
    """What is to be done at one moment: the acts, and how phases and plans will stand when they are done.

    So everything that was missed becomes one batch, in its order, which the journal has whole or not at all.
    """

    def __init__(self, engine: Engine, draw: Draw, now: int) -> None:
        registry = engine.registry
        self.acts: list[SignedAct] = []
        self.calendar = registry.calendar or ROUND_THE_CLOCK
        self._registry = registry
        self._instruments = registry.instruments
        self._overridden = registry.overridden
        self._fixing_day = registry.fixing_day
        self._fixed_day = registry.fixed_day
        self._plans = dict(registry.plans)
        self._book = engine.core.book
        self._phases = [Phase(phase) for phase in self._book.markets["phase"].tolist()]
        self._draw = draw
        self._now = now
        self._unopened: set[tuple[date, str]] = set()
        self._spared: set[int] = set()
        self._perished: set[int] = set()

    # --- what goes on --------------------------------------------------------------------------

    def next_end(self) -> int:
        """Return when the next call ends."""
        ends = (plan.until for index, plan in self._plans.items() if self._phases[index] in CALLS)
        return min(ends, default=NEVER)

    def interrupted(self) -> list[int]:
        """Return the instruments whose trading a collar has interrupted, and whose call has no end yet."""
        return [
            index
            for index, phase in enumerate(self._phases)
            if phase == Phase.PRE_OPEN and index not in self._plans and index not in self._overridden
        ]

    def to_resume(self) -> list[int]:
        """Return the instruments whose volatility auction is done."""
        return [
            index
            for index, plan in self._plans.items()
            if self._phases[index] == Phase.AUCTION
            and plan.call == VOLATILITY
            and index not in self._overridden
        ]

    def is_ready_to_fix(self, moment: int) -> bool:
        """Tell whether at `moment` every instrument's fixing call has ended, of a fixing that is begun."""
        if self._fixing_day is None or not self.calendar.calls:
            return False
        call = self.calendar.fixing_call
        return nanosecond(self._fixing_day, call.ends) <= moment and not any(
            plan.call == call.name and self._phases[index] in CALLS for index, plan in self._plans.items()
        )

    # --- what is done --------------------------------------------------------------------------

    def end_days(self) -> None:
        """Accept the tasks whose windows are over, and burn the credits whose last day is."""
        registry = self._registry
        if any(one.state == "delivered" and one.until <= self._now for one in registry.redemptions.values()):
            self._ask(CloseWindows(), "the windows of delivered tasks are over")
        for index, instrument in enumerate(self._instruments):
            if registry.perishes_at(index) <= self._now and index not in registry.expired:
                self._ask(ExpireCredits(instrument.symbol), "their last day is over")
                self._phases[index] = Phase.CLOSED
                self._plans.pop(index, None)
                self._perished.add(index)

    def begin_anew(self) -> int:
        """Bring everything to where a new calendar has come to; return since when its steps are to be done.

        Outside of its hours the venue closes. Within them what the day has missed is made up for; what an
        operator has halted stays so until a call opens, and a call that goes on ends when it was to end.
        """
        self._spared = {
            index
            for index, phase in enumerate(self._phases)
            if phase in CALLS or (phase == Phase.HALTED and index in self._overridden)
        }
        steps = self.calendar.steps(day_of(self._now))
        opens = min((step.time for step in steps if step.kind == "opens"), default=NEVER)
        is_over = not steps or steps[-1].time <= self._now
        if is_over or self._now < opens:
            self._close("by the new calendar the venue is closed now")
        return self._now if is_over else steps[0].time - 1

    def resume(self, prices: dict[int, int]) -> None:
        """Go on after volatility auctions; the price that one has found becomes the reference.

        A sequencer that was stopped right behind the auction knows no price: the reference stays.
        """
        for index in self.to_resume():
            reference = prices.get(index, 0)
            trades_on = self._instruments[index].mode == "continuous"
            phase = Phase.CONTINUOUS if trades_on else Phase.HALTED
            self._set(index, phase, "the volatility auction is over", reference=reference)

    def plan_interrupted(self) -> None:
        """Give the calls that collars have begun their end."""
        found = self.interrupted()
        if found:
            until = self._drawn_end(self._now + self.calendar.volatility_seconds * SECOND_NS)
            for index in found:
                self._set(index, Phase.PRE_OPEN, "a collar was breached", Plan(VOLATILITY, until, False))

    def take(self, step: Step) -> None:
        """Do a step of the calendar, and before it what has ended by then."""
        self.end_calls(step.time)
        match step.kind:
            case "fixing_begins":
                self._begin_fixing(step.day)
            case "opens":
                self._open(step)
            case "no_cancel":
                self._bar_cancels(step.call)
            case "ends":
                self._make_up_for(step)
            case "closes":
                self._close("the trading day is over")
                self._fix_if_ready(step.time)
            case _:
                assert_never(step.kind)

    def end_calls(self, moment: int) -> None:
        """End the calls whose time has come by `moment`, or put them off; then fix, if that was the last."""
        while self.next_end() <= moment:
            for index, plan in sorted(self._plans.items()):
                if self._phases[index] in CALLS and plan.until <= moment:
                    self._end_call(index, plan)
        self._fix_if_ready(moment)

    def _end_call(self, index: int, plan: Plan) -> None:
        """Let an auction find its price, and trading go on; a call that cannot clear is put off once."""
        extension = self.calendar.extension_seconds * SECOND_NS
        if extension and not plan.extended and self._cannot_clear(index):
            later = Plan(plan.call, plan.until + extension, extended=True)
            self._set(index, self._phases[index], f"the {plan.call} call cannot clear yet", later)
            return
        self._set(index, Phase.AUCTION, f"the {plan.call} call ends", plan)
        awaits_fixing = self._is_fixing(plan.call) and self._fixing_day is not None
        if plan.call != VOLATILITY and not awaits_fixing:
            self._go_on(index, plan.call)

    def _cannot_clear(self, index: int) -> bool:
        """Tell whether an auction would trade nothing although orders stand or wait on both sides."""
        halves = self._book.halves["orders"][HALVES * index : HALVES * (index + 1)]
        is_two_sided = all(halves[side] or halves[WAITING + side] for side in Side)
        return is_two_sided and clearing(self._book, index)[1] == 0

    def _go_on(self, index: int, call: str) -> None:
        """Set what follows a call: trading, or a halt until the next one."""
        trades_on = self._instruments[index].mode == "continuous" and not self._is_fixing(call)
        phase = Phase.CONTINUOUS if trades_on else Phase.HALTED
        if self._phases[index] != phase:
            self._set(index, phase, f"the {call} call is over")

    def _is_fixing(self, call: str) -> bool:
        return any(one.fixes and one.name == call for one in self.calendar.calls)

    def _begin_fixing(self, day: date) -> None:
        """Begin a day's fixing, unless an operator has done so already."""
        if all(begun is None or begun < day for begun in (self._fixing_day, self._fixed_day)):
            self._fixing_day = day
            self._ask(BeginFixing(day), "half an hour before the fixing call")

    def _fix_if_ready(self, moment: int) -> None:
        """Find the day's prices once the last fixing call has ended; then all that waited for it halts."""
        if self._fixing_day is None or not self.is_ready_to_fix(moment):
            return
        self._ask(FixPrices(self._fixing_day), "every fixing call has ended")
        self._fixing_day = None
        for index, plan in sorted(self._plans.items()):
            if self._phases[index] == Phase.AUCTION and self._is_fixing(plan.call):
                self._go_on(index, plan.call)

    def _open(self, step: Step) -> None:
        """Open a call, unless it would have ended meanwhile."""
        call = step.call
        ends = nanosecond(step.day, call.ends)
        if ends <= self._now:
            self._unopened.add((step.day, call.name))
            return
        plan = Plan(call.name, self._drawn_end(ends), False)
        for index in self._those_of(call):
            self._set(index, Phase.PRE_OPEN, f"the {call.name} call opens", plan)

    def _bar_cancels(self, call: Call) -> None:
        """Let nothing more be taken back, in a call that goes on."""
        for index, plan in sorted(self._plans.items()):
            if self._phases[index] == Phase.PRE_OPEN and plan.call == call.name:
                self._set(index, Phase.NO_CANCEL, f"nothing leaves the {call.name} call any more", plan)

    def _make_up_for(self, step: Step) -> None:
        """Set what would follow a call that was not opened, if its day goes on."""
        call = step.call
        if (step.day, call.name) not in self._unopened or nanosecond(
            step.day, self.calendar.closes
        ) <= self._now:
            return
        for index in self._those_of(call):
            if self._phases[index] in CALLS:
                self._set(index, Phase.AUCTION, f"the {call.name} call would have ended")
            self._go_on(index, call.name)

    def _close(self, why: str) -> None:
        for index, phase in enumerate(self._phases):
            if phase != Phase.CLOSED:
                self._set(index, Phase.CLOSED, why)

    def _those_of(self, call: Call) -> list[int]:
        """Return the instruments that take part in a call."""
        return [
            index
            for index, instrument in enumerate(self._instruments)
            if instrument.mode in call.modes
            and instrument.state == "listed"
            and index not in self._spared | self._perished
        ]

    def _drawn_end(self, moment: int) -> int:
        """Return a moment within the random end of calls after `moment`, in ns."""
        return moment + self._draw(self.calendar.random_end_seconds * SECOND_NS + 1)

    def _set(self, index: int, phase: Phase, why: str, plan: Plan | None = None, reference: int = 0) -> None:
        """Have an instrument's phase set, and note what then stands; a call's `plan` outlasts its auction."""
        call, until, extended = plan or Plan("", 0, False)
        name = cast("PhaseName", phase.name.lower())
        self._ask(SetPhase(self._instruments[index].symbol, name, reference, call, until, extended), why)
        self._phases[index] = phase
        if phase in CALLS and plan is not None:
            self._plans[index] = plan
        elif phase != Phase.AUCTION:
            self._plans.pop(index, None)

    def _ask(self, act: Act, why: str) -> None:
        self.acts.append(SignedAct(CALENDAR, why, act))
