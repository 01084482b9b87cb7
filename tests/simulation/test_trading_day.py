"""A trading day by the calendar over the whole catalogue, and its fixings worked out anew by another hand."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from fractions import Fraction
from random import Random

import pytest
from msgspec.structs import replace

from exchange.calendar import standard_calendar
from exchange.client.answers import Order
from exchange.client.errors import OrderRejected, RequestRefused
from exchange.client.tickets import OrderTicket
from exchange.engine import Engine
from exchange.instruments import standard_catalogue
from exchange.protocol.acts import Admit, AllowModes, SetCollars, SetPhase, SetState, SignedAct
from exchange.server.audit import laws_broken
from exchange.server.founding import MILLION_YUAN, OPERATOR, standard_acts
from exchange.server.journal import read_frames
from exchange.server.replay import apply_frame
from exchange.testing import OPENING, Exchange, FakeClock
from matching.vocabulary import EventKind, Phase, Side, TimeInForce
from tests.simulation import recompute_fixings
from tests.simulation.recompute_fixings import Fixing, recompute

FIRMS = ("ANN", "BOB", "CAT", "DAN")
GROUPS = {"CAT": "PAIR", "DAN": "PAIR"}

CROSSES_AT_THE_CLOSE = 0.6
TRADES_BEFORE_THE_CLOSE = 0.6
QUOTES = 0.7
"""How likely an instrument does so; each by itself, so that every rung is reached."""


class Day:
    """A venue from before its first call to after its close, with firms and providers of one seed."""

    def __init__(self, seed, folder, catalogue, *acts):
        self.chance = Random(seed)
        self.days = 0
        firms = [
            (Admit(member=name, role="firm", group=GROUPS.get(name, "")), 100 * MILLION_YUAN)
            for name in FIRMS
        ]
        founding = (*acts, *standard_acts(firms, [], [], catalogue))
        clock = FakeClock(OPENING.replace(hour=9, minute=0))
        self.venue = Exchange(founding, calendar=standard_calendar(), seed=seed, folder=folder, clock=clock)
        self.instruments = self.venue.engine.registry.instruments
        members = {*FIRMS, OPERATOR, *(one.provider for one in self.instruments)}
        self.clients = {name: self.venue.connect(name) for name in sorted(members)}

    def wait_until(self, hour, minute=0):
        """Let the clock go on to a time of the day, and the calendar with it."""
        moment = OPENING.replace(hour=hour, minute=minute) + timedelta(days=self.days)
        self.venue.clock.now = int(moment.timestamp()) * 10**9
        self.venue.tell_time()
        assert laws_broken(self.venue.engine) == []

    def play(self):
        """Let a day pass: an opening call, trading, a closing call, a fixing, the close.

        After trading enough time passes for volatility auctions to end at theirs.
        """
        self.wait_until(9, 15)
        self.quote()
        self.wait_until(9, 26)
        self.try_to_cancel()
        self.wait_until(9, 33)
        self.decide(SetState(self.instruments[5].symbol, "suspended"))
        self.wait_until(14, 20)
        self.trade(0.3)
        self.wait_until(14, 25)
        self.wait_until(14, 40)
        self.trade(TRADES_BEFORE_THE_CLOSE)
        self.wait_until(14, 45)
        self.wait_until(14, 50)
        self.trade(0.1)
        self.wait_until(14, 55)
        self.wait_until(15)
        self.cross()
        self.decide(SetPhase(self.instruments[7].symbol, "halted"))
        self.wait_until(15, 9)
        self.wait_until(15, 30)
        self.decide(SetState(self.instruments[5].symbol, "listed"))
        self.days += 1

    def end(self):
        for client in self.clients.values():
            client.close()

    def quote(self):
        """Have most instruments quoted by their providers in the opening call, closely or far apart; some
        quotes are taken back, and firms cross some."""
        for instrument in self.instruments:
            if self.chance.random() < QUOTES:
                apart = self.chance.choice((5, 20, 80))
                quotes = [self.order(instrument, side, apart, 200) for side in Side]
                if self.chance.random() < 0.2:
                    del quotes[self.chance.randrange(2)]
                placed = self.place(instrument.provider, quotes)
                if self.chance.random() < 0.1:
                    self.clients[instrument.provider].cancel(placed[0])
            for name in self.chance.sample(FIRMS, 2):
                self.place(name, [self.order(instrument, Side.BUY, self.chance.choice((-30, 10)), 20)])

    def try_to_cancel(self):
        """Ask for an order back that nobody gets back any more."""
        order = self.clients["ANN"].orders()[0]
        with pytest.raises(OrderRejected, match="no_cancel"):
            self.clients["ANN"].cancel(order)

    def trade(self, share):
        """Let single trades be made about the list price, some so far off that a collar is breached."""
        for instrument in self.instruments:
            if self.chance.random() > share:
                continue
            for _ in range(self.chance.randint(1, 6)):
                if self.phase_of(instrument) == Phase.CONTINUOUS:
                    away = self.chance.choice((0, 3, -3, 150, -150))
                    self.place(instrument.provider, [self.order(instrument, Side.SELL, away, 5)])
                    self.place("BOB", [self.order(instrument, Side.BUY, -away, 3)])

    def cross(self):
        """Let buyers and sellers meet in the closing call, in most instruments."""
        for instrument in self.instruments:
            if self.phase_of(instrument) != Phase.PRE_OPEN or self.chance.random() > CROSSES_AT_THE_CLOSE:
                continue
            for _ in range(self.chance.randint(1, 3)):
                self.place(instrument.provider, [self.order(instrument, Side.SELL, self.away(), 40)])
                name = self.chance.choice(FIRMS)
                self.place(name, [self.order(instrument, Side.BUY, self.away(), 40)])

    def away(self):
        return self.chance.randint(-20, 5)

    def order(self, instrument, side, per_mille, lots_max):
        """Write an order so far from the list price: a buy below it, a sell above."""
        away = instrument.list_price * per_mille // 1_000 * (1 if side == Side.SELL else -1)
        price = max((instrument.list_price + away) // instrument.tick, 1) * instrument.tick
        lots = self.chance.randint(1, lots_max)
        return OrderTicket(instrument.symbol, side, lots, price, time_in_force=TimeInForce.DAY)

    def place(self, name, tickets):
        """Place orders; none is refused, so that the book alone says what comes of them."""
        placed = self.clients[name].place_all(tickets)
        assert all(isinstance(order, Order) for order in placed), placed
        return placed

    def decide(self, act):
        self.clients[OPERATOR].act(act, "a test")

    def phase_of(self, instrument):
        engine = self.venue.engine
        return engine.core.book.markets["phase"][engine.registry.instrument_numbers[instrument.symbol]]


def replayed(journal):
    """Return every event and every fixing to which the journal leads, the fixings as the other hand does."""
    engine = Engine()
    kinds: list[tuple[int, int]] = []
    fixings = []
    for frame in read_frames(journal):
        outcome = apply_frame(engine, frame)
        events = outcome.events
        kinds += zip(events["kind"].tolist(), events["phase"].tolist(), strict=True)
        for row in outcome.happened.fixings:
            fields = {name: getattr(row, name) for name in Fixing._fields}
            fields["instrument"] = engine.registry.instruments[row.instrument].symbol
            fixings.append(Fixing(**fields))
    return engine, kinds, fixings


@pytest.mark.simulation
@pytest.mark.slow
def test_the_fixings_of_two_days_are_what_another_hand_finds(tmp_path, seed):
    collars = SignedAct(OPERATOR, "test", SetCollars("model", 0, 100, 0))
    day = Day(seed, tmp_path / "journal", standard_catalogue(), collars)
    day.play()
    day.play()
    day.end()
    engine, kinds, fixings = replayed(tmp_path / "journal")
    assert engine.state_hash() == day.venue.engine.state_hash()
    assert recompute(tmp_path / "journal") == fixings
    assert len(fixings) == 2 * len(day.instruments) - 2, "what is suspended has no price"
    rungs = Counter(fixing.rung for fixing in fixings)
    assert min(rungs[rung] for rung in ("closing_auction", "last_half_hour", "quotes", "carried")) >= 10, (
        rungs
    )
    assert any(fixing.outliers for fixing in fixings)
    assert any(fixing.carried_from for fixing in fixings)
    assert int(engine.core.book.counts["interruptions"][0]) > 10
    assert kinds.count((EventKind.PHASE_CHANGED, Phase.CLOSED)) == 2 * len(day.instruments)


@pytest.mark.simulation
def test_a_venue_that_may_only_run_calls_never_trades_continuously(tmp_path, seed):
    catalogue = tuple(replace(instrument, mode="call") for instrument in standard_catalogue()[:60])
    allowed = SignedAct(OPERATOR, "the licence", AllowModes(("call",)))
    day = Day(seed, tmp_path / "journal", catalogue, allowed)
    day.play()
    with pytest.raises(RequestRefused, match="phase_not_allowed"):
        day.decide(SetPhase(catalogue[0].symbol, "continuous"))
    day.end()
    _, kinds, fixings = replayed(tmp_path / "journal")
    assert {phase for kind, phase in kinds if kind == EventKind.TRADED} == {Phase.AUCTION}
    assert (EventKind.PHASE_CHANGED, Phase.CONTINUOUS) not in kinds
    assert recompute(tmp_path / "journal") == fixings
    assert {fixing.rung for fixing in fixings} >= {"closing_auction", "quotes", "carried"}


def test_the_other_hand_can_differ(tmp_path, seed, monkeypatch):
    """A canary: were the rule of outliers another, it would be seen."""
    monkeypatch.setattr(recompute_fixings, "FAR", Fraction(1, 5))
    day = Day(seed, tmp_path / "journal", standard_catalogue()[:60])
    day.play()
    day.end()
    *_, fixings = replayed(tmp_path / "journal")
    assert recompute(tmp_path / "journal") != fixings
