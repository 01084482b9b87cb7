"""The twin's instruments in plain Python: states, phases, collars, and how a fixing is found.

The acts are those that the engine has accepted. What they ask of the book is told as commands to the
reference book, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from exchange.instruments import Instrument
from exchange.protocol.acts import Act, BeginFixing, FixPrices, SetCollars, SetPhase, SetState
from matching.permissions import CALLS, FOLLOWS
from matching.reference import Command, Event, Market, ReferenceBook
from matching.vocabulary import BOTH_SIDES, CommandKind, EventKind, Phase, Side

LIMITED = {"suspended": ("halted", "closed"), "cancel_only": ("halted", "closed")}
"""The phases of the states that allow some; `listed` allows all of the mode, others closed only."""

NOT_OF_CALLS = {"continuous": (), "call": ("continuous",)}
"""The phases that a mode does not know; `listing` knows closed only."""


class Print(NamedTuple):
    """A trade as the fixing sees it."""

    instrument: int
    price: int
    quantity: int


class Markets:
    """What is listed, what its markets are doing, and what a fixing may rest on."""

    def __init__(self) -> None:
        self.book = ReferenceBook([])
        self.instruments: list[Instrument] = []
        self.states: list[str] = []
        self.collars: dict[str, SetCollars] = {}
        self.group_of: dict[int, str] = {}
        self.is_fixing = False
        self.prints: list[Print] = []
        self.auctions: dict[int, list[Print]] = {}
        self.fixed: dict[int, int] = {}
        self.fixings: list[tuple[date, int, int, str]] = []

    def decide_of_markets(self, act: Act) -> Iterable[Command]:
        """Do an act about trading; return what it asks of the book."""
        match act:
            case SetPhase():
                return self.asked_by_phase(act)
            case SetState():
                return self.asked_by_state(act)
            case SetCollars():
                self.set_collars(act)
            case BeginFixing():
                self.is_fixing, self.prints, self.auctions = True, [], {}
            case FixPrices():
                self.fix_prices(act)
        return ()

    # --- phases and states ---------------------------------------------------------------------

    def open_market(self, one: Instrument) -> None:
        """List an instrument: it trades at once if it may, else it is closed."""
        is_open = one.state == "listed" and one.mode == "continuous"
        phase = Phase.CONTINUOUS if is_open else Phase.CLOSED
        market = Market(one.tick, phase=phase, reference=one.list_price)
        self.instruments.append(one)
        self.states.append(one.state)
        self.book.markets.append(market)
        self.book.books += ReferenceBook([market]).books
        self.bound(len(self.instruments) - 1)

    def set_collars(self, act: SetCollars) -> None:
        self.collars[act.kind] = act
        for index in range(len(self.instruments)):
            self.bound(index)

    def bound(self, index: int) -> None:
        """Let the collars of its kind, if they were set, bound an instrument's market."""
        act = self.collars.get(self.instruments[index].kind)
        if act is not None:
            self.book.markets[index] = self.book.markets[index]._replace(
                collar=act.market, static_collar=act.static, dynamic_collar=act.dynamic
            )

    def asked_by_phase(self, act: SetPhase) -> Iterator[Command]:
        """Return what a change of phase asks of the book: of the one instrument, or of all that may."""
        for index, one in enumerate(self.instruments):
            if act.instrument == one.symbol or (not act.instrument and self.may_take(index, act)):
                yield phase_of(index, act.phase, act.reference)

    def may_take(self, index: int, act: SetPhase) -> bool:
        """Tell whether mode and state know a phase, and it may follow the one that is."""
        mode, state = self.instruments[index].mode, self.states[index]
        if act.phase != "closed" and (mode == "listing" or state in ("proposed", "retired")):
            return False
        if act.phase in NOT_OF_CALLS.get(mode, ()) or act.phase not in LIMITED.get(state, (act.phase,)):
            return False
        now, then = self.book.markets[index].phase, Phase[act.phase.upper()]
        if not act.instrument and (now, then) == (Phase.CLOSED, Phase.HALTED):
            return False
        return then in FOLLOWS[Phase(now)] or (then == now and now in CALLS and act.until > 0)

    def asked_by_state(self, act: SetState) -> Iterator[Command]:
        """Return what a change of state asks of the book, and note it."""
        index = [one.symbol for one in self.instruments].index(act.instrument)
        self.states[index] = act.state
        mode = self.instruments[index].mode
        phases = {"suspended": "halted", "cancel_only": "halted", "retired": "closed"}
        wanted = phases.get(act.state, "continuous" if mode == "continuous" else "")
        wanted = "closed" if wanted and mode == "listing" else wanted
        if wanted and Phase[wanted.upper()] != self.book.markets[index].phase:
            yield phase_of(index, wanted)
        if act.state == "retired":
            yield Command(kind=CommandKind.MASS_CANCEL, instrument=index, side=BOTH_SIDES)

    # --- the fixing ----------------------------------------------------------------------------

    def note(self, events: list[Event]) -> None:
        """Note the trades of one command or act: an auction's apart, the last of them counts."""
        auctions: dict[int, list[Print]] = {}
        for event in events:
            if self.is_fixing and event.kind == EventKind.TRADED and not self.is_within_group(event):
                trade = Print(event.instrument, event.price, event.quantity)
                if event.phase == Phase.AUCTION:
                    auctions.setdefault(event.instrument, []).append(trade)
                else:
                    self.prints.append(trade)
        self.auctions |= auctions

    def is_within_group(self, event: Event) -> bool:
        """Tell whether both sides of a trade are of one group: nobody makes a price with himself."""
        return self.group_of[event.order] == self.group_of[event.maker_order]

    def fix_prices(self, act: FixPrices) -> None:
        """Find the prices, which become the references, and tell (day, instrument, price, rung)."""
        for index, one in enumerate(self.instruments):
            if self.states[index] == "listed" and one.mode != "listing":
                price, rung = self.price_of(index)
                self.book.markets[index] = self.book.markets[index]._replace(reference=price)
                self.fixed[index] = price
                self.fixings.append((act.day, index, price, rung))
        self.is_fixing = False

    def price_of(self, index: int) -> tuple[int, str]:
        """Return an instrument's price for the day, and the rung that holds."""
        tick = self.instruments[index].tick
        if index in self.auctions:
            return self.auctions[index][-1].price, "closing_auction"
        prints = sorted(one for one in self.prints if one.instrument == index)
        if len(prints) >= 3:
            lots = [one.price for one in prints for _ in range(one.quantity)]
            median = lots[(len(lots) - 1) // 2]
            kept = [price for price in lots if 10 * abs(price - median) <= median]
            return (2 * sum(kept) // tick + len(kept)) // (2 * len(kept)) * tick, "last_half_hour"
        best = [self.book.orders_of(index, side)[:1] for side in Side]
        if all(best):
            bid, ask = (queue[0].price for queue in best)
            if bid <= ask and 10 * ask <= 11 * bid:
                return (bid + ask) // 2 // tick * tick, "quotes"
        return self.fixed.get(index, self.instruments[index].list_price), "carried"


def phase_of(index: int, phase: str, reference: int = 0) -> Command:
    """Return the command that sets a phase."""
    return Command(kind=CommandKind.PHASE, instrument=index, phase=Phase[phase.upper()], price=reference)
