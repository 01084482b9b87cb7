"""The timekeeper on a stub of the engine: who is set to what and when, late starts, restarts, overrides."""

from __future__ import annotations

from datetime import date, datetime
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec.structs import replace

from exchange.calendar import VOLATILITY, standard_calendar
from exchange.engine import ActResult, Outcome
from exchange.instruments import standard_catalogue
from exchange.protocol.acts import BeginFixing, FixPrices, SetCalendar, SetPhase, SignedAct
from exchange.registry import CALENDAR, Plan, Registry
from exchange.server import timekeeper
from exchange.server.timekeeper import Timekeeper
from matching.layout import EVENT, HALVES, NEVER, empty_book
from matching.permissions import CALLS, FOLLOWS
from matching.vocabulary import EventKind, Phase, RejectReason, Side
from settlement.rows import Happened
from settlement.terms import VENUE_ZONE

MODES = {"A": "continuous", "B": "continuous", "C": "call", "L": "listing"}
SECOND = 10**9
STANDARD = standard_calendar()


def at(hour, minute=0, second=0, day=5, month=1):
    """Return a moment of January 2026 at the venue, in ns since 1970; the 5th is a Monday."""
    return int(datetime(2026, month, day, hour, minute, second, tzinfo=VENUE_ZONE).timestamp()) * SECOND


MORNING = at(8)
FORENOON = at(10)


class Stub:
    """As much of an engine as acts of the calendar need: four instruments, and a book to be written to."""

    def __init__(self, calendar=None, time=MORNING, phase=Phase.CLOSED):
        self.registry = Registry(calendar=calendar)
        for symbol, mode in MODES.items():
            self.registry.add_instrument(replace(standard_catalogue()[0], symbol=symbol, mode=mode))
        self.core = SimpleNamespace(book=empty_book(len(MODES)))
        self.core.book.markets["phase"] = phase
        self.core.book.markets["phase"][3] = Phase.CLOSED
        self.time = time
        self.auction_prices = {}
        self.refuses = False
        self.refused: list[SignedAct] = []

    def phase(self, symbol):
        return Phase(self.core.book.markets["phase"][self.registry.instrument_numbers[symbol]])

    def set_orders(self, symbol, buys, sells):
        """Let so many orders stand on the sides of a book."""
        halves = self.core.book.halves["orders"]
        first = HALVES * self.registry.instrument_numbers[symbol]
        halves[first + Side.BUY], halves[first + Side.SELL] = buys, sells

    def breach(self, symbol):
        """Let a collar interrupt trading."""
        index = self.registry.instrument_numbers[symbol]
        self.core.book.markets["phase"][index] = Phase.PRE_OPEN
        self.core.book.counts["interruptions"] += 1
        self.registry.plans.pop(index, None)
        self.registry.overridden.discard(index)

    def apply(self, signed, now):
        """Apply acts; what the rules of the venue do not allow is refused."""
        self.time = now
        events: list[tuple[int, int]] = []
        results = []
        for row, one in enumerate(signed):
            reason = RejectReason.PHASE_NOT_ALLOWED if self.refuses else self._apply(one, events)
            if reason != RejectReason.NONE and one.who == CALENDAR:
                self.refused.append(one)
            results.append(ActResult(row, row, reason))
        told = np.zeros(len(events), EVENT)
        for event, fields in zip(told, events, strict=True):
            event["kind"], event["phase"] = EventKind.TRADED, Phase.AUCTION
            event["instrument"], event["price"] = fields
        return Outcome(told, told, tuple(results), Happened(), told)

    def _apply(self, one, events):
        registry, act = self.registry, one.act
        if one.who == CALENDAR:
            registry.is_calendar_new = False
        match act:
            case BeginFixing():
                last = max(filter(None, (registry.fixing_day, registry.fixed_day)), default=date.min)
                if act.day <= last:
                    return RejectReason.ALREADY_EXISTS
                registry.fixing_day = act.day
            case FixPrices():
                if act.day != registry.fixing_day:
                    return RejectReason.CALENDAR_INVALID
                registry.fixing_day, registry.fixed_day = None, act.day
            case SetCalendar():
                registry.calendar = act.calendar
                registry.is_calendar_new = True
            case SetPhase():
                return self._set_phase(one, events)
        return RejectReason.NONE

    def _set_phase(self, one, events):
        act, registry = one.act, self.registry
        index = registry.instrument_numbers[act.instrument]
        phase, before = Phase[act.phase.upper()], self.phase(act.instrument)
        if phase not in FOLLOWS[before] and not (phase == before and phase in CALLS and act.until):
            return RejectReason.PHASE_NOT_ALLOWED
        if registry.instruments[index].state != "listed" and phase not in (Phase.CLOSED, Phase.HALTED):
            return RejectReason.PHASE_NOT_ALLOWED
        self.core.book.markets["phase"][index] = phase
        if act.reference:
            self.core.book.markets["reference"][index] = act.reference
        if phase == Phase.AUCTION and act.instrument in self.auction_prices:
            events.append((index, self.auction_prices[act.instrument]))
        if phase in CALLS and act.until:
            registry.plans[index] = Plan(act.call, act.until, act.extended)
        elif phase != Phase.AUCTION:
            registry.plans.pop(index, None)
        (registry.overridden.discard if one.who == CALENDAR else registry.overridden.add)(index)
        return RejectReason.NONE


class Venue:
    """The stub with its timekeeper on a clock, and a log of what the calendar has done."""

    def __init__(self, stub, draw=None):
        self.stub = stub
        self.draw = draw or (lambda below: 0)
        self.keeper = Timekeeper(stub, self.draw)
        self.log = []
        self.batches = []

    def restart(self):
        self.keeper = Timekeeper(self.stub, self.draw)

    def wait(self, moment, restarts=False):
        """Let the clock go on to `moment`, and the calendar with it."""
        while (due := max(self.keeper.next_due, self.stub.time)) <= moment:
            if restarts:
                self.restart()
            acts = self.keeper.due(due)
            assert acts or self.keeper.next_due > due
            if acts:
                self.batches.append(len(acts))
                self.log += [self.line(due, signed) for signed in acts]
                self.keeper.hear(self.stub.apply(acts, due))
            self.stub.time = max(self.stub.time, due)
        self.stub.time = moment

    def wake(self, moment):
        """Start again at `moment`, and do at once what was missed."""
        self.restart()
        for acts in iter(lambda: self.keeper.due(moment), ()):
            self.batches.append(len(acts))
            self.log += [self.line(moment, signed) for signed in acts]
            self.keeper.hear(self.stub.apply(acts, moment))

    def operate(self, symbol, phase):
        """Let an operator set a phase."""
        act = SignedAct("OPERATOR", "test", SetPhase(symbol, phase))
        self.keeper.hear(self.stub.apply([act], self.stub.time))

    def line(self, now, signed):
        assert signed.who == CALENDAR
        clock = clock_of(now)
        match signed.act:
            case SetPhase(instrument, phase, reference, call, until, extended):
                told = f"{clock} {instrument} {phase}"
                if reference:
                    told += f" reference {reference}"
                if phase in {"pre_open", "no_cancel"}:
                    told += f" {call} until {clock_of(until)}" + (" extended" if extended else "")
                return told
            case BeginFixing(day) | FixPrices(day):
                return f"{clock} {type(signed.act).__name__} {day:%m-%d}"


def clock_of(moment):
    return datetime.fromtimestamp(moment / SECOND, VENUE_ZONE).strftime("%H:%M:%S")


def no_volume(book, index):
    return 0, 0, 0


@pytest.fixture(autouse=True)
def clears(monkeypatch):
    """Every auction would trade, unless a test says otherwise."""
    monkeypatch.setattr(timekeeper, "clearing", lambda book, index: (100, 1, 0))


WHOLE_DAY = """
09:15:00 A pre_open opening until 09:30:00
09:15:00 B pre_open opening until 09:30:00
09:15:00 C pre_open opening until 09:30:00
09:25:00 A no_cancel opening until 09:30:00
09:25:00 B no_cancel opening until 09:30:00
09:25:00 C no_cancel opening until 09:30:00
09:30:00 A auction
09:30:00 A continuous
09:30:00 B auction
09:30:00 B continuous
09:30:00 C auction
09:30:00 C halted
14:30:00 BeginFixing 01-05
15:00:00 A pre_open closing until 15:05:00
15:00:00 B pre_open closing until 15:05:00
15:00:00 C pre_open closing until 15:05:00
15:05:00 A auction
15:05:00 B auction
15:05:00 C auction
15:05:00 FixPrices 01-05
15:05:00 A halted
15:05:00 B halted
15:05:00 C halted
15:30:00 A closed
15:30:00 B closed
15:30:00 C closed
""".strip().splitlines()


def test_a_whole_day():
    venue = Venue(Stub(STANDARD))
    venue.wait(at(23, 59))
    assert venue.log == WHOLE_DAY
    assert len(venue.batches) == 7, "what belongs to one instant is one batch"
    assert clock_of(venue.keeper.next_due) == "09:15:00"


def test_a_sequencer_that_starts_again_at_every_step_does_the_same():
    venue = Venue(Stub(STANDARD), Random(1).randrange)
    venue.wait(at(23, 59, day=9), restarts=True)
    steady = Venue(Stub(STANDARD), Random(1).randrange)
    steady.wait(at(23, 59, day=9))
    assert venue.log == steady.log
    assert venue.stub.registry.fixed_day == date(2026, 1, 9)


def test_nothing_is_due_on_a_day_without_trading():
    venue = Venue(Stub(STANDARD, time=at(16, day=9)))
    venue.wait(at(9, 14, day=12))
    assert venue.log == []


def test_without_a_calendar_nothing_is_ever_due():
    venue = Venue(Stub(phase=Phase.CONTINUOUS))
    assert venue.keeper.next_due == NEVER
    assert venue.keeper.due(at(9, 15)) == ()


def test_the_end_of_a_call_is_drawn_once_for_all_within_its_bounds():
    chance = Random(7)
    asked = []

    def draw(below):
        asked.append(below)
        return chance.randrange(below)

    venue = Venue(Stub(STANDARD), draw)
    venue.wait(at(9, 20))
    ends = {plan.until for plan in venue.stub.registry.plans.values()}
    assert asked == [30 * SECOND + 1]
    assert len(ends) == 1
    assert at(9, 30) < ends.pop() < at(9, 30, 30)


@pytest.mark.parametrize(
    ("orders", "ends"), [((1, 1), "09:32:00"), ((1, 0), "09:30:00"), ((0, 0), "09:30:00")]
)
def test_a_call_that_cannot_clear_is_extended_once(monkeypatch, orders, ends):
    venue = Venue(Stub(STANDARD))
    monkeypatch.setattr(timekeeper, "clearing", no_volume)
    venue.stub.set_orders("A", *orders)
    venue.wait(at(10))
    own = [line for line in venue.log if " A " in line]
    extended = ["09:30:00 A no_cancel opening until 09:32:00 extended"] if orders == (1, 1) else []
    assert own[2:] == [*extended, f"{ends} A auction", f"{ends} A continuous"]
    assert "09:30:00 B auction" in venue.log


def test_market_orders_that_wait_count_as_a_side(monkeypatch):
    venue = Venue(Stub(STANDARD))
    monkeypatch.setattr(timekeeper, "clearing", no_volume)
    venue.stub.set_orders("A", 1, 0)
    venue.stub.core.book.halves["orders"][5] = 1
    venue.wait(at(9, 31))
    assert venue.log[-1] == "09:30:00 C halted"
    assert venue.stub.phase("A") == Phase.NO_CANCEL


def test_prices_are_fixed_when_the_last_fixing_call_has_ended(monkeypatch):
    venue = Venue(Stub(STANDARD))
    venue.wait(at(15, 1))
    monkeypatch.setattr(timekeeper, "clearing", no_volume)
    venue.stub.set_orders("B", 1, 1)
    venue.wait(at(15, 6))
    assert (venue.stub.phase("A"), venue.stub.phase("B")) == (Phase.AUCTION, Phase.PRE_OPEN)
    venue.wait(at(15, 8))
    assert venue.log[-5:] == [
        "15:07:00 B auction",
        "15:07:00 FixPrices 01-05",
        "15:07:00 A halted",
        "15:07:00 B halted",
        "15:07:00 C halted",
    ]


# --- operators ---------------------------------------------------------------------------------


def test_what_an_operator_takes_out_of_a_call_stays_out_until_the_next():
    venue = Venue(Stub(STANDARD))
    venue.wait(at(9, 20))
    venue.operate("A", "halted")
    venue.wait(at(14, 59))
    assert venue.stub.phase("A") == Phase.HALTED
    venue.wait(at(15, 1))
    assert venue.stub.phase("A") == Phase.PRE_OPEN


def test_a_call_on_demand_lasts_until_the_calendars_next_call():
    venue = Venue(Stub(STANDARD))
    venue.wait(at(10))
    venue.operate("A", "pre_open")
    venue.wait(at(14, 59))
    assert venue.stub.phase("A") == Phase.PRE_OPEN
    venue.wait(at(15, 1))
    assert venue.stub.registry.plans[0] == Plan("closing", at(15, 5), False)


def test_prices_are_fixed_without_waiting_for_what_an_operator_has_taken_out():
    venue = Venue(Stub(STANDARD))
    venue.wait(at(15, 1))
    venue.operate("A", "halted")
    venue.operate("B", "auction")
    venue.wait(at(15, 6))
    assert venue.stub.registry.fixed_day == date(2026, 1, 5)
    assert venue.stub.phase("B") == Phase.HALTED


def test_an_operator_ends_the_last_fixing_call_by_hand(monkeypatch):
    venue = Venue(Stub(STANDARD))
    monkeypatch.setattr(timekeeper, "clearing", no_volume)
    venue.stub.set_orders("B", 1, 1)
    venue.wait(at(15, 6))
    venue.operate("B", "auction")
    assert venue.keeper.next_due == venue.stub.time
    venue.wait(at(15, 6))
    assert venue.log[-4:] == ["15:06:00 FixPrices 01-05", *(f"15:06:00 {one} halted" for one in "ABC")]


def test_an_operators_own_fixing_is_not_begun_again():
    venue = Venue(Stub(STANDARD))
    venue.wait(at(14))
    venue.stub.registry.fixed_day = date(2026, 1, 5)
    venue.wait(at(16))
    assert not any("Fix" in line for line in venue.log)
    assert "15:05:00 A halted" in venue.log


def test_what_is_not_listed_is_not_opened_but_closed():
    venue = Venue(Stub(STANDARD))
    suspended = replace(venue.stub.registry.instruments[0], state="suspended")
    venue.stub.registry.instruments[0] = suspended
    venue.stub.core.book.markets["phase"][0] = Phase.HALTED
    venue.wait(at(16))
    assert [line for line in venue.log if " A " in line] == ["15:30:00 A closed"]


# --- collars -----------------------------------------------------------------------------------


def interrupted(calendar=STANDARD, moment=FORENOON):
    """Return a venue at the moment at which a collar has interrupted the trading of A."""
    venue = Venue(Stub(calendar, phase=Phase.CLOSED if calendar else Phase.CONTINUOUS))
    venue.wait(moment)
    venue.log.clear()
    venue.stub.breach("A")
    venue.keeper.hear(venue.stub.apply([], moment))
    return venue


@pytest.mark.parametrize("calendar", [None, STANDARD])
def test_a_volatility_auction_gives_the_reference_with_a_calendar_or_without(calendar):
    venue = interrupted(calendar)
    venue.stub.auction_prices["A"] = 777
    venue.wait(at(10, 5))
    assert venue.log == [
        "10:00:00 A pre_open volatility until 10:02:00",
        "10:02:00 A auction",
        "10:02:00 A continuous reference 777",
    ]


def test_a_volatility_auction_without_a_trade_leaves_the_reference(monkeypatch):
    venue = interrupted()
    monkeypatch.setattr(timekeeper, "clearing", no_volume)
    venue.stub.set_orders("A", 1, 1)
    venue.wait(at(10, 5))
    assert venue.log[1:] == [
        "10:02:00 A pre_open volatility until 10:04:00 extended",
        "10:04:00 A auction",
        "10:04:00 A continuous",
    ]


def test_the_price_of_an_earlier_auction_is_nobodys_reference():
    stub = Stub(STANDARD)
    stub.auction_prices["A"] = 555
    venue = Venue(stub)
    venue.wait(at(10))
    stub.auction_prices.clear()
    stub.breach("A")
    venue.keeper.hear(stub.apply([], at(10)))
    venue.wait(at(10, 5))
    assert venue.log[-1] == "10:02:00 A continuous"


def test_a_scheduled_call_takes_a_volatility_auction_over():
    venue = interrupted(moment=at(14, 59))
    venue.wait(at(15, 4))
    assert venue.stub.registry.plans[0] == Plan("closing", at(15, 5), False)


@pytest.mark.parametrize("moment", [at(10), at(10, 1), at(10, 2)])
def test_a_volatility_auction_outlasts_a_restart(moment):
    venue = interrupted()
    venue.wait(moment - 1)
    venue.wake(moment)
    venue.wait(at(10, 5))
    assert VOLATILITY in venue.log[0]
    assert venue.stub.phase("A") == Phase.CONTINUOUS


def test_a_restart_right_behind_a_volatility_auction_goes_on_trading():
    venue = interrupted()
    venue.stub.auction_prices["A"] = 777
    venue.wait(at(10, 1))
    venue.stub.apply(venue.keeper.due(at(10, 2)), at(10, 2))
    assert venue.stub.phase("A") == Phase.AUCTION
    venue.wake(at(10, 2))
    assert venue.log[-1] == "10:02:00 A continuous"


# --- late starts -------------------------------------------------------------------------------


def open_again(moment, since=MORNING):
    """Return a venue that was last heard of at `since`, and starts again at `moment`."""
    venue = Venue(Stub(STANDARD))
    venue.wait(since)
    venue.log.clear()
    venue.batches.clear()
    venue.wake(moment)
    return venue


def test_a_call_that_goes_on_is_opened_late():
    venue = open_again(at(9, 27))
    assert venue.log[::3] == [
        "09:27:00 A pre_open opening until 09:30:00",
        "09:27:00 A no_cancel opening until 09:30:00",
    ]
    assert venue.batches == [6]


@pytest.mark.parametrize("moment", [at(9, 30), at(10)])
def test_a_call_that_would_have_ended_is_not_opened(moment):
    venue = open_again(moment)
    clock = clock_of(moment)
    assert venue.log == [f"{clock} A continuous", f"{clock} B continuous", f"{clock} C halted"]


def test_a_call_that_was_open_ends_late():
    venue = open_again(at(10), since=at(9, 26))
    assert venue.log[::2] == [f"10:00:00 {one} auction" for one in "ABC"]


def test_days_that_were_missed_are_fixed_in_their_order():
    venue = open_again(at(10, day=8), since=at(12))
    assert venue.log == [
        "10:00:00 BeginFixing 01-05",
        "10:00:00 FixPrices 01-05",
        "10:00:00 A closed",
        "10:00:00 B closed",
        "10:00:00 C closed",
        "10:00:00 BeginFixing 01-06",
        "10:00:00 FixPrices 01-06",
        "10:00:00 BeginFixing 01-07",
        "10:00:00 FixPrices 01-07",
        "10:00:00 A continuous",
        "10:00:00 B continuous",
        "10:00:00 C halted",
    ]
    assert venue.batches == [12], "what was missed is one frame of the journal, or none"


def test_a_fixing_that_was_missed_comes_before_the_close():
    venue = open_again(at(16), since=at(15, 3))
    assert venue.log == [
        *(f"16:00:00 {one} auction" for one in "ABC"),
        "16:00:00 FixPrices 01-05",
        *(f"16:00:00 {one} halted" for one in "ABC"),
        *(f"16:00:00 {one} closed" for one in "ABC"),
    ]


# --- a new calendar ----------------------------------------------------------------------------


def with_new_calendar(moment, phase=Phase.CONTINUOUS, halted=""):
    """Return a venue that traded round the clock until an operator set a calendar."""
    venue = Venue(Stub(phase=phase, time=moment))
    if halted:
        venue.operate(halted, "halted")
    venue.keeper.hear(venue.stub.apply([SignedAct("OPERATOR", "test", SetCalendar(STANDARD))], moment))
    venue.wait(moment)
    return venue


@pytest.mark.parametrize("moment", [at(3), at(16), at(12, day=10)])
def test_a_new_calendar_closes_what_is_not_to_trade_now(moment):
    venue = with_new_calendar(moment)
    assert venue.log == [f"{clock_of(moment)} {one} closed" for one in "ABC"]


def test_a_new_calendar_leaves_trading_be_in_its_hours():
    venue = with_new_calendar(at(12))
    assert venue.log == ["12:00:00 C halted"]


def test_a_new_calendar_opens_what_is_closed_in_its_hours():
    venue = with_new_calendar(at(14, 45), phase=Phase.CLOSED)
    assert venue.log == [
        *(f"14:45:00 {one}" for one in ("A continuous", "B continuous", "C halted", "BeginFixing 01-05"))
    ]


def test_a_new_calendar_resumes_nothing_that_an_operator_has_halted():
    venue = with_new_calendar(at(12), halted="A")
    assert venue.stub.phase("A") == Phase.HALTED
    venue.wait(at(15, 1))
    assert venue.stub.phase("A") == Phase.PRE_OPEN


def test_a_new_calendar_ends_no_call_that_goes_on():
    venue = Venue(Stub(STANDARD))
    venue.wait(at(15, 2))
    venue.log.clear()
    changed = replace(STANDARD, holidays=(*STANDARD.holidays, date(2026, 12, 7)))
    venue.keeper.hear(venue.stub.apply([SignedAct("OPERATOR", "test", SetCalendar(changed))], at(15, 2)))
    venue.wait(at(15, 4))
    assert not [line for line in venue.log if " A " in line]
    venue.wait(at(15, 6))
    assert "15:05:00 A auction" in venue.log


def test_a_new_calendar_is_not_forgotten_by_a_sequencer_that_starts_again():
    stub = Stub(phase=Phase.CONTINUOUS, time=at(20))
    stub.apply([SignedAct("OPERATOR", "test", SetCalendar(STANDARD))], at(20))
    venue = Venue(stub)
    venue.wait(at(20))
    assert venue.log == [f"20:00:00 {one} closed" for one in "ABC"]


# --- a fault of ours ---------------------------------------------------------------------------


def test_what_is_refused_is_asked_again_a_second_later():
    venue = Venue(Stub(STANDARD))
    venue.wait(at(9, 29))
    venue.batches.clear()
    venue.stub.refuses = True
    venue.wait(at(9, 30, 2))
    assert venue.batches == [6, 6, 6]
    venue.stub.refuses = False
    venue.wait(at(9, 30, 3))
    assert venue.stub.phase("A") == Phase.CONTINUOUS


# --- anything at any time ----------------------------------------------------------------------


def anything(venue, chance):
    """Let an operator, a collar or an outage do something, wherever the venue stands."""
    stub = venue.stub
    symbol = chance.choice("ABC")
    index = stub.registry.instrument_numbers[symbol]
    match chance.choice(("phase", "breach", "state", "orders", "calendar", "wait", "wait", "wait", "outage")):
        case "phase":
            venue.operate(chance.choice(("A", "B")), chance.choice(list(Phase)).name.lower())
        case "breach" if stub.phase(symbol) == Phase.CONTINUOUS:
            stub.breach(symbol)
            venue.keeper.hear(stub.apply([], stub.time))
        case "state":
            state = chance.choice(("listed", "suspended"))
            stub.registry.instruments[index] = replace(stub.registry.instruments[index], state=state)
            if state == "suspended":
                stub.core.book.markets["phase"][index] = Phase.HALTED
                stub.registry.plans.pop(index, None)
            venue.keeper.hear(stub.apply([], stub.time))
        case "orders":
            stub.set_orders(symbol, chance.randrange(2), chance.randrange(2))
        case "calendar":
            seconds = chance.choice((0, 1, 30))
            calendar = replace(STANDARD, random_end_seconds=seconds, extension_seconds=4 * seconds)
            act = SignedAct("OPERATOR", "test", SetCalendar(calendar))
            venue.keeper.hear(stub.apply([act], stub.time))
        case "wait":
            venue.wait(stub.time + chance.randrange(60 * 10 ** chance.randint(0, 3)) * SECOND)
        case "outage":
            venue.wake(stub.time + chance.randrange(60 * 10 ** chance.randint(0, 4)) * SECOND)


def test_whatever_happens_the_calendar_asks_for_nothing_that_is_refused(monkeypatch, seed, scale):
    chance = Random(seed)
    monkeypatch.setattr(timekeeper, "clearing", lambda book, index: (0, chance.randrange(2), 0))
    for _ in range(30 * scale):
        venue = Venue(
            Stub(chance.choice((STANDARD, None)), time=at(0) + chance.randrange(86_400) * SECOND),
            chance.randrange,
        )
        for _ in range(60):
            anything(venue, chance)
            assert venue.stub.refused == []
            venue.wait(venue.stub.time)
            assert venue.keeper.next_due > venue.stub.time
        venue.wait(venue.stub.time + 7 * 86_400 * SECOND)
        assert venue.stub.refused == []
        assert venue.stub.registry.calendar is None or venue.stub.registry.fixed_day is not None
