"""Fixings worked out anew from a journal: its commands and acts, the rules of the book, and the manual.

Shares nothing with the engine but the words of acts and commands: orders meet in `matching.reference`, and
each rung is reckoned here, in fractions, from single trades. It knows no money, so a journal is taken in
which no order was refused for want of it.

    python -m tests.simulation.recompute_fixings data/venue/journal
"""

from __future__ import annotations

import csv
import sys
from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from exchange.calendar import Calendar
from exchange.protocol.acts import (
    Admit,
    FixPrices,
    ListInstruments,
    PhaseName,
    SetCalendar,
    SetCollars,
    SetPhase,
    SetState,
    decode_acts,
)
from exchange.protocol.arrays import COMMAND
from exchange.protocol.records import Instruction
from exchange.server.journal import read_frames
from matching.reference import Command, Event, Market, ReferenceBook
from matching.reference_orders import Book
from matching.vocabulary import BOTH_SIDES, CommandKind, EventKind, Phase, Side
from settlement.terms import VENUE_ZONE

FAR = Fraction(1, 10)
"""How far from the median a trade is an outlier, and how far a quote's ask may be above its bid."""

SAME = (
    "display_quantity",
    "minimum_quantity",
    "stop_price",
    "trail",
    "expires_at",
    "kind",
    "side",
    "type",
    "time_in_force",
    "self_trade",
    "price",
    "quantity",
    "instrument",
    "member",
    "time",
)
"""What a member's command and the book's have alike."""

PHASE_OF_STATE: dict[str, PhaseName] = {
    "suspended": "halted",
    "cancel_only": "halted",
    "retired": "closed",
    "proposed": "closed",
}


class Trade(NamedTuple):
    """A trade, and when it was made, in ns since 1970."""

    time: int
    price: int
    quantity: int


class Fixing(NamedTuple):
    """A day's price of an instrument, and what it rests on."""

    day: date
    instrument: str
    price: int
    rung: str
    stale: bool = False
    auction_quantity: int | None = None
    trades: int | None = None
    quantity: int | None = None
    outliers: int | None = None
    median: int | None = None
    bid: int | None = None
    ask: int | None = None
    carried_from: date | None = None


class Recomputed:
    """A venue as the journal tells of it, as far as fixings need."""

    def __init__(self):
        self.book = ReferenceBook([])
        self.members = {"HOUSE": 0}
        self.groups = ["HOUSE"]
        self.instruments = []
        self.calendar: Calendar | None = None
        self.collars = {}
        self.calls = {}
        self.in_fixing_call = set()
        self.trades = {}
        self.auctions = {}
        self.fixed = {}
        self.fixings = []
        self.group_of = {}

    def take(self, frame):
        """Go through one frame of the journal."""
        acts = decode_acts(bytes(frame.acts))
        for row, command in enumerate(np.frombuffer(frame.commands, COMMAND)):
            if command["kind"] == CommandKind.ACT:
                self.decide(acts[command["act"]].act, int(command["time"]))
            else:
                self.apply(self.in_book_words(command, frame.first + row))

    def in_book_words(self, command, sequence):
        """Return a member's command as one of the book's; an order bears the number of its sequence."""
        fields = {name: int(command[name]) for name in SAME}
        is_new = fields["kind"] == CommandKind.NEW
        return Command(
            order=sequence if is_new else int(command["order"]),
            group=self.groups.index(self.groups[fields["member"]]),
            subsidised=int(command["programme"] >= 0),
            post_only=int(command["instructions"]) & Instruction.POST_ONLY,
            **fields,
        )

    def apply(self, command: Command) -> list[Event]:
        """Let the book do a command, and note its trades."""
        events = self.book.apply(command)
        for event in events:
            if event.kind == EventKind.ACCEPTED:
                self.group_of[event.order] = command.group
            elif (
                event.kind == EventKind.TRADED
                and self.group_of[event.order] != self.group_of[event.maker_order]
            ):
                self.note(event, command.time)
        return events

    def note(self, event, time):
        """Note a trade: of the fixing call's auction, or with its time."""
        if event.phase == Phase.AUCTION and self.calls.get(event.instrument) == self.fixing_call.name:
            quantity = self.auctions.get(event.instrument, (0, 0))[1] + event.quantity
            self.auctions[event.instrument] = event.price, quantity
        elif event.instrument not in self.in_fixing_call:
            self.trades.setdefault(event.instrument, []).append(Trade(time, event.price, event.quantity))

    @property
    def fixing_call(self):
        assert self.calendar is not None, "there is no fixing without a calendar"
        (call,) = (call for call in self.calendar.calls if call.fixes)
        return call

    # --- acts ----------------------------------------------------------------------------------

    def decide(self, act, time):
        """Take in what an act changes for the book or the fixing."""
        match act:
            case Admit():
                self.members[act.member] = len(self.members)
                self.groups.append(act.group or act.member)
            case ListInstruments():
                for instrument in act.instruments:
                    self.list_instrument(instrument)
            case SetCalendar():
                self.calendar = act.calendar
            case SetCollars():
                self.set_collars(act)
            case SetState():
                self.set_state(act, time)
            case SetPhase():
                self.set_phase(act, time)
            case FixPrices():
                self.fix(act.day)

    def list_instrument(self, instrument):
        is_open = self.calendar is None and instrument.mode == "continuous" and instrument.state == "listed"
        phase = Phase.CONTINUOUS if is_open else Phase.CLOSED
        self.instruments.append(instrument)
        self.book.markets.append(Market(instrument.tick, phase, instrument.list_price))
        self.book.books.append(Book.empty())
        self.change(len(self.instruments) - 1, **self.collars.get(instrument.kind, {}))

    def set_collars(self, act):
        """Bound what is listed of a kind, now and later."""
        collars = {"collar": act.market, "static_collar": act.static, "dynamic_collar": act.dynamic}
        self.collars[act.kind] = collars
        for index, instrument in enumerate(self.instruments):
            if instrument.kind == act.kind:
                self.change(index, **collars)

    def set_state(self, act, time):
        index = self.index_of(act.instrument)
        self.instruments[index] = replace(self.instruments[index], state=act.state)
        if act.state in PHASE_OF_STATE:
            self.set_phase(SetPhase(act.instrument, PHASE_OF_STATE[act.state]), time)
        if act.state == "retired":
            self.apply(Command(kind=CommandKind.MASS_CANCEL, instrument=index, side=BOTH_SIDES))

    def change(self, index, **fields):
        self.book.markets[index] = self.book.markets[index]._replace(**fields)

    def index_of(self, symbol):
        return next(index for index, one in enumerate(self.instruments) if one.symbol == symbol)

    def set_phase(self, act, time):
        index = self.index_of(act.instrument)
        if act.phase in {"pre_open", "no_cancel"}:
            self.calls[index] = act.call
            if act.call == self.fixing_call.name:
                self.in_fixing_call.add(index)
        phase = Phase[act.phase.upper()]
        self.apply(
            Command(kind=CommandKind.PHASE, instrument=index, phase=phase, price=act.reference, time=time)
        )

    # --- the fixing ----------------------------------------------------------------------------

    def fix(self, day):
        """Find every listed instrument's price; it is the reference from now on."""
        for index, instrument in enumerate(self.instruments):
            if instrument.state == "listed" and instrument.mode != "listing":
                fixing = self.fixing_of(day, index)
                self.change(index, reference=fixing.price)
                self.fixed[index] = fixing
                self.fixings.append(fixing)
        self.trades.clear()
        self.auctions.clear()
        self.in_fixing_call.clear()

    def fixing_of(self, day, index):
        """Return the price by the first rung that holds."""
        instrument = self.instruments[index]
        fixing = Fixing(day, instrument.symbol, 0, "")
        if index in self.auctions:
            price, quantity = self.auctions[index]
            return fixing._replace(price=price, rung="closing_auction", auction_quantity=quantity)
        trades = self.half_hour(day, self.trades.get(index, []))
        if trades:
            quantity = sum(trade.quantity for trade in trades)
            fixing = fixing._replace(trades=len(trades), quantity=quantity)
        if len(trades) >= 3:
            return self.average(fixing, trades, instrument.tick)
        bid, ask = (self.best(index, side) for side in Side)
        fixing = fixing._replace(bid=bid, ask=ask)
        if bid and ask and bid <= ask <= bid * (1 + FAR):
            middle = Fraction(bid + ask, 2)
            return fixing._replace(price=middle // instrument.tick * instrument.tick, rung="quotes")
        before = self.fixed.get(index)
        fixing = fixing._replace(rung="carried", stale=True)
        if before is None:
            return fixing._replace(price=instrument.list_price)
        return fixing._replace(price=before.price, carried_from=before.day)

    def half_hour(self, day, trades):
        """Return the trades of the half hour before the fixing call; later ones were not noted."""
        begins = datetime.combine(day, self.fixing_call.opens, VENUE_ZONE) - timedelta(minutes=30)
        return [trade for trade in trades if trade.time >= int(begins.timestamp()) * 10**9]

    def average(self, fixing, trades, tick):
        """Return the volume-weighted price of the trades that are near the median of all lots."""
        lots = sorted(trade.price for trade in trades for _ in range(trade.quantity))
        median = lots[(len(lots) - 1) // 2]
        near = [trade for trade in trades if abs(trade.price - median) <= FAR * median]
        quantity = sum(trade.quantity for trade in near)
        mean = Fraction(sum(trade.price * trade.quantity for trade in near), quantity)
        below = mean // tick * tick
        nearest = below if mean - below < below + tick - mean else below + tick
        return fixing._replace(
            price=nearest, rung="last_half_hour", median=median, outliers=len(trades) - len(near)
        )

    def best(self, index, side):
        depth = self.book.depth_of(index, side)
        return depth[0][0] if depth else None


def recompute(journal: Path) -> list[Fixing]:
    """Return every fixing to which the journal in a folder leads, in their order."""
    venue = Recomputed()
    for frame in read_frames(journal):
        venue.take(frame)
    return venue.fixings


if __name__ == "__main__":
    writer = csv.writer(sys.stdout)
    writer.writerow(Fixing._fields)
    writer.writerows(recompute(Path(sys.argv[1])))
