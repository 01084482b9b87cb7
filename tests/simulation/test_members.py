"""Members of the simulated venue where nothing goes wrong: they trade, are answered, believe what is so."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from datetime import datetime
from random import Random

import numpy as np
import pytest

from exchange.client.answers import Order
from exchange.engine import Engine, Outcome
from exchange.protocol.acts import RegisterKey, RevokeKey, SignedAct
from exchange.server.memory_journal import MemoryJournal
from exchange.server.sequencer import Sequencer
from exchange.simulation.actors import Member
from exchange.simulation.deeds_orders import cross, iceberg
from exchange.simulation.laws import member_broken
from exchange.simulation.marketplace import OPERATORS, founding, key_of, live_key
from exchange.simulation.plan import SECOND_NS
from exchange.simulation.seats import Seat
from exchange.simulation.shapes import WANTED, WANTED_UNDER_FIRE, Shapes
from exchange.simulation.tempers import TEMPERS
from exchange.testing import Exchange, FakeClock
from matching.vocabulary import OrderState
from settlement.terms import VENUE_ZONE

MORNING = datetime(2026, 1, 5, 8, 50, tzinfo=VENUE_ZONE)
YEARS_END = datetime(2026, 12, 31, 14, 50, tzinfo=VENUE_ZONE)
"""A day that goes through the night, into another year."""

HOURS_MORNING = 8
HOURS_NIGHT = 20
DEEDS = 180
DEEDS_LONG = 300
TICK_NS = 20 * SECOND_NS
ROUNDS_MAX = 60
"""So often members are asked to settle: ten minutes."""

RARE_MAX = 8
"""How many of the wanted shapes a few days may lack: some need faults, some are rare."""


class Wire:
    """What the venue says to one seat."""

    def __init__(self) -> None:
        self.mail: deque[bytes] = deque()

    def bring(self, frame: bytes) -> None:
        """Take what the venue says."""
        self.mail.append(frame)


class Floor:
    """A venue in memory, and a member in each seat of a market, on one clock; all that is said arrives."""

    def __init__(self, seed: int, start: datetime) -> None:
        self.clock = FakeClock(start)
        self.market = founding(Random(seed), self.clock.now)
        self.shapes = Shapes()
        self.exchange = Exchange(self.market.acts, clock=self.clock, settings=self.market.settings, seed=seed)
        self.count()
        self.members = [
            Member(
                Seat(one.name, key_of(one.name), self.clock, cancel_on_disconnect=one.cancel_on_disconnect),
                one.temper,
            )
            for one in self.market.seats
        ]
        self.wires: dict[str, tuple[bytes, Wire]] = {}
        self.deaf: set[str] = set()
        self.carry()

    def count(self) -> None:
        """Have every batch from now on counted."""
        sequencer = self.exchange.sequencer
        plain = sequencer._sequence

        def counted(commands: np.ndarray, acts: tuple[SignedAct, ...], now: int) -> Outcome:
            outcome = plain(commands, acts, now)
            self.shapes.note_batch(sequencer.engine, commands, acts, outcome)
            return outcome

        sequencer._sequence = counted  # type: ignore[method-assign]

    def member(self, name: str) -> Member:
        """Return the member in a seat."""
        return next(one for one in self.members if one.name == name)

    def carry(self) -> None:
        """Carry everything that anybody says, until nobody says anything more."""
        while sum(self.carry_of(member) for member in self.members):
            pass

    def carry_of(self, member: Member) -> bool:
        """Carry what one member says, and what it is answered; return whether there was anything."""
        seat, session = member.seat, member.session
        if seat.name not in self.wires and not self.link(member):
            return False
        session_id, wire = self.wires[seat.name]
        busy = bool(seat.session.outbox or wire.mail)
        while seat.session.outbox:
            said = seat.session.outbox.popleft()
            said.handed = True
            self.say(session_id, seat, said.frame)
        while wire.mail:
            frame = wire.mail.popleft()
            if seat.name not in self.deaf:
                seat.session.receive(frame)
        session = seat.session
        session.fault = None
        if session.ended is not None or session.wants_new_link:
            session.wants_new_link = False
            self.cut(member)
        member.look(seat.clock())
        return busy or bool(session.outbox)

    def say(self, session_id: bytes, seat: Seat, frame: bytes) -> None:
        """Have the gateway hear one frame, a millisecond later."""
        self.clock.advance(10**6)
        done = self.exchange.sequencer.tell_time_if_due()
        if done is not None:
            self.exchange.gateway.tell(done)
        is_operators = seat.name in OPERATORS
        self.exchange.gateway.hear(session_id, seat.key, frame, is_operators=is_operators)
        self.exchange.gateway.work()
        self.exchange.gateway.watch()

    def link(self, member: Member) -> bool:
        """Connect a seat; one whose session was ended begins anew with a key that lives, if it has one."""
        seat = member.seat
        if seat.session.ended is not None:
            key = live_key(self.exchange.engine.registry, seat.name, seat.key)
            if not key:
                return False
            seat.key = key
            seat.begin_anew()
        wire = Wire()
        self.wires[seat.name] = self.exchange.open_session(wire), wire  # type: ignore[arg-type]
        seat.session.linked()
        return True

    def cut(self, member: Member) -> None:
        """Break a seat's line."""
        self.exchange.lose_session(self.wires.pop(member.name)[0])
        member.session.cut()

    def until(self, time: int) -> None:
        """Let time pass."""
        while self.clock.now + TICK_NS < time:
            self.clock.advance(TICK_NS)
            self.exchange.tell_time()
        self.clock.now = max(self.clock.now, time)
        self.exchange.tell_time()
        self.carry()

    def play(self, seed: int, hours: int, deeds: int) -> Counter[str]:
        """Have members do things all day long, some lines break, and all settle; return the deeds."""
        chance, done = Random(seed), Counter[str]()
        begin, length = self.clock.now, hours * 3_600 * SECOND_NS
        for moment in sorted(begin + chance.randrange(length) for _ in range(deeds)):
            self.until(moment)
            member = chance.choice(self.members)
            if chance.random() < 0.03 and member.name in self.wires:
                self.cut(member)
                self.carry()
            if member.session.ended is None:
                done[member.deed(Random(chance.randrange(2**60)), self.clock.now)] += 1
            self.carry()
        self.settle()
        return done

    def settle(self) -> None:
        """Have members settle, until nothing is open."""
        for _ in range(ROUNDS_MAX):
            for member in self.present():
                member.settle(self.clock.now)
            self.carry()
            if not any(member.open_requests(self.clock.now) for member in self.present()):
                return
            self.until(self.clock.now + 10 * SECOND_NS)
        waiting = {one.name: one.open_requests(self.clock.now) for one in self.present()}
        raise AssertionError(f"these have not settled: {waiting}")

    def present(self) -> Iterator[Member]:
        """Return the members whose sessions have not ended for good."""
        return (one for one in self.members if one.session.ended is None)


@pytest.fixture(scope="module")
def played() -> tuple[Floor, Counter[str]]:
    """Return a floor on which a day was played, and the deeds of it."""
    floor = Floor(5, MORNING)
    return floor, floor.play(5, HOURS_MORNING, DEEDS)


def test_a_day_is_mostly_trade(played):
    floor, deeds = played
    accepted, rejected = floor.shapes["event: accepted"], floor.shapes["event: rejected"]
    assert accepted > 80
    assert rejected < accepted
    assert floor.shapes["event: traded"] > 15
    assert deeds[""] < DEEDS // 10
    assert len(deeds) > 40


def test_members_believe_what_is_so(played):
    floor, _ = played
    believed = Counter[str]()
    for member in floor.present():
        beliefs = member.beliefs()
        assert None not in beliefs.placed.values()
        assert member_broken(beliefs, floor.exchange.engine, member.name) == []
        for order in beliefs.orders.values():
            if order.state is OrderState.OPEN:
                believed["open"] += 1
        orders = [one for one in beliefs.placed.values() if isinstance(one, Order)]
        assert len({one.id for one in orders}) == len(orders)
        believed["fills"] += len(beliefs.fills)
        believed["acts"] += len(beliefs.acts)
        believed["accounts"] += beliefs.account is not None
    assert believed["open"] > 5
    assert believed["fills"] > 15
    assert believed["acts"] > 30
    assert believed["accounts"] > 5


def test_the_same_seed_is_the_same_day():
    once, twice = (Floor(5, MORNING) for _ in range(2))
    assert once.play(5, HOURS_MORNING, deeds=40) == twice.play(5, HOURS_MORNING, deeds=40)
    assert once.exchange.engine.state_hash() == twice.exchange.engine.state_hash()
    assert once.shapes == twice.shapes


@pytest.mark.parametrize("start", [MORNING, YEARS_END])
def test_every_market_can_be_founded(start):
    now = int(start.timestamp()) * SECOND_NS
    for seed in range(3):
        market = founding(Random(seed), now)
        assert market == founding(Random(seed), now)
        Sequencer(Engine(), MemoryJournal(), lambda: now).found(market.acts)


def test_an_order_in_doubt_is_placed_again_and_is_one_order():
    floor = Floor(1, MORNING)
    floor.until(floor.clock.now + 3_600 * SECOND_NS)
    member = floor.member("CAT")
    member.begin_deed(2 * SECOND_NS)
    floor.deaf.add("CAT")
    iceberg(member, Random(1))
    floor.carry()
    accepted = floor.shapes["event: accepted"]
    assert accepted
    (client_id,) = member.tickets
    assert member.is_awaited(client_id)
    assert member.beliefs().placed == {client_id: None}

    floor.until(floor.clock.now + 3 * SECOND_NS)  # its patience is over: now it is in doubt
    floor.deaf.clear()
    floor.until(floor.clock.now + 3 * SECOND_NS)
    assert floor.shapes["event: known"] == 1
    assert floor.shapes["event: accepted"] == accepted
    outcome = member.beliefs().placed[client_id]
    assert isinstance(outcome, Order)
    assert not member.open_requests(floor.clock.now)


def test_a_flood_is_throttled_and_yet_taken_in_the_end():
    floor = Floor(2, MORNING)
    floor.until(floor.clock.now + 3_600 * SECOND_NS)
    member = floor.member("CAT")
    for seed in range(80):
        cross(member, Random(seed))
    floor.carry()
    assert member.heard["throttled"]
    floor.settle()
    assert None not in member.beliefs().placed.values()
    assert not {"throttled"} & {getattr(one, "code", "") for one in member.beliefs().placed.values()}


def test_a_seat_goes_on_with_the_key_that_it_was_given():
    floor = Floor(4, MORNING)
    member = floor.member("SID")
    first, second = key_of("SID"), key_of("SID", 1, OPERATORS[0])
    decide = floor.exchange.sequencer.decide
    decide(SignedAct(OPERATORS[0], "lost", RevokeKey(first)))
    member.settle(floor.clock.now)
    floor.carry()
    assert member.session.ended is not None
    assert live_key(floor.exchange.engine.registry, "SID", first) == ""

    decide(SignedAct(OPERATORS[0], "found", RegisterKey("SID", second)))
    floor.until(floor.clock.now + SECOND_NS)
    assert member.seat.key == second
    assert member.session.ready
    floor.settle()


def test_each_wanted_shape_is_told_once():
    wanted = [*WANTED, *WANTED_UNDER_FIRE]
    assert len(set(wanted)) == len(wanted)


def test_who_sits_at_a_seat_has_a_temper_that_there_is():
    assert set(TEMPERS) >= {seat.temper for seat in founding(Random(1), 10**18).seats}


def test_what_the_calendar_does_is_counted():
    floor = Floor(6, MORNING)
    before = floor.shapes["event: phase changed"]
    floor.until(floor.clock.now + 8 * 3_600 * SECOND_NS)  # nothing but the calendar
    registry = floor.exchange.engine.registry
    assert (floor.shapes["event: phase changed"] > before) == (registry.calendar is not None)


@pytest.mark.slow
def test_some_days_have_nearly_every_shape(seed):
    total = Counter[str]()
    for nth in range(24):
        start, hours = (YEARS_END, HOURS_NIGHT) if nth % 4 == 0 else (MORNING, HOURS_MORNING)
        floor = Floor(seed + nth, start)
        floor.play(seed + nth, hours, DEEDS_LONG)
        total.update(floor.shapes)
    assert len([shape for shape in WANTED if not total[shape]]) <= RARE_MAX
