"""The sequencer: journal first; time that never runs back; the same journal, the same state."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from random import Random

import numpy as np
import pytest

from exchange.calendar import standard_calendar
from exchange.client.errors import OrderRejected
from exchange.config import STATE_HASH_EVERY
from exchange.engine import RULES_VERSION, Engine
from exchange.protocol.acts import Admit, Deposit, SetCollars, SignedAct
from exchange.protocol.arrays import COMMAND
from exchange.reports import Reporter
from exchange.server.follower import Commit, Follower
from exchange.server.founding import calendar_acts
from exchange.server.journal import Journal, read_frames
from exchange.server.replay import ReplayParted, apply_frame, recover
from exchange.server.sequencer import DAY_NS, Sequencer, midnight_after
from exchange.testing import OPENING, Exchange, FakeClock
from matching.vocabulary import CommandKind, EventKind, Phase, RejectReason, Side, TimeInForce
from settlement.terms import VENUE_ZONE
from tests.server.venue import founding, replayed

ROOT = Path(__file__).resolve().parents[2]


class FailingJournal:
    """Fails to sync when told to."""

    def __init__(self, journal):
        self._journal = journal
        self.fails = False

    def __getattr__(self, name):
        return getattr(self._journal, name)

    def append(self, *arguments):
        if self.fails:
            raise OSError("no space left on device")
        return self._journal.append(*arguments)


def orders(count, start=0, **fields):
    """Return so many resting bids of ANN."""
    batch = np.zeros(count, COMMAND)
    batch["kind"] = CommandKind.NEW
    batch["side"] = Side.BUY
    batch["member"] = 0
    batch["price"], batch["quantity"], batch["programme"] = 1_000_000, 1, -1
    texts = np.array([f"c{start + at}" for at in range(count)], "S24")
    batch["client_id"] = texts.view("<i8").reshape(count, 3)
    for name, value in fields.items():
        batch[name] = value
    return batch


@pytest.fixture
def venue(tmp_path):
    """Return a sequencer on a journal on the disk, founded, and its clock."""
    engine = Engine()
    journal = Journal.open(tmp_path / "journal", segment_bytes=1 << 20, rules_version=RULES_VERSION)
    clock = FakeClock()
    sequencer = Sequencer(engine, FailingJournal(journal), clock)
    sequencer.found(founding())
    yield sequencer, clock, tmp_path / "journal"
    journal.close()


def bids(sequencer, count, start=0, **fields):
    member = sequencer.engine.registry.member_numbers["ANN"]
    return orders(count, start, member=member, sent_at=sequencer.engine.time, **fields)


def test_what_could_not_be_journalled_never_happened(venue):
    sequencer, _, _ = venue
    before = sequencer.engine.state_hash()
    sequencer.journal.fails = True
    with pytest.raises(OSError, match="no space"):
        sequencer.submit(bids(sequencer, 3))
    assert sequencer.engine.state_hash() == before


def test_time_never_runs_back(venue):
    sequencer, clock, _ = venue
    sequencer.submit(bids(sequencer, 1))
    clock.advance(-5_000_000_000)
    outcome = sequencer.submit(bids(sequencer, 1, start=1))
    assert int(outcome.effects["time"][0]) == sequencer.engine.time == clock.now + 5_000_000_000


def test_replay_equals_live_and_recovery_goes_on(venue):
    sequencer, clock, folder = venue
    for at in range(50):
        clock.advance(1_000_000)
        sequencer.submit(bids(sequencer, 7, start=7 * at))
    live = sequencer.engine.state_hash()
    assert replayed(folder).state_hash() == live
    sequencer.journal.close()
    engine, journal, _ = recover(folder)
    assert engine.state_hash() == live
    again = Sequencer(engine, journal, clock)
    again.submit(bids(again, 1, start=1_000))
    journal.close()
    assert replayed(folder).state_hash() == engine.state_hash()


def test_the_state_hash_travels_and_a_replica_that_parted_stops(venue):
    sequencer, _, folder = venue
    for at in range(STATE_HASH_EVERY + 1):
        sequencer.submit(bids(sequencer, 1, start=at))
    frames = list(read_frames(folder))
    hashed = [at for at, frame in enumerate(frames) if frame.state_hash]
    assert hashed == [0, STATE_HASH_EVERY]
    replica = Engine()
    for frame in frames[: hashed[-1]]:
        apply_frame(replica, frame)
    replica.core.ledger.accounts[5]["available"] += 1
    with pytest.raises(ReplayParted, match="state differs before sequence"):
        apply_frame(replica, frames[hashed[-1]])


def test_a_follower_reads_no_further_than_what_is_announced(venue):
    sequencer, _, folder = venue
    sequencer.submit(bids(sequencer, 2))
    announced = Commit(sequencer.engine.sequence, sequencer.journal.position)
    state = sequencer.engine.state_hash()
    sequencer.submit(bids(sequencer, 2, start=2))
    follower = Follower(folder)
    assert sum(frame.count for frame, _ in follower.advance(announced)) == announced.sequence
    assert follower.engine.state_hash() == state
    assert list(follower.advance(announced)) == []


def test_day_orders_end_at_the_venues_midnight_by_a_sequenced_command(venue):
    sequencer, clock, folder = venue
    sequencer.submit(bids(sequencer, 3, time_in_force=TimeInForce.DAY))
    sequencer.submit(bids(sequencer, 2, start=3))
    assert sequencer.tell_time_if_due() is None
    clock.now = midnight_after(clock.now)
    ended = sequencer.tell_time_if_due()
    assert len(ended.events) == 3
    assert int(sequencer.engine.core.book.counts[0]["open_orders"]) == 2
    assert sequencer.tell_time_if_due() is None
    assert replayed(folder).state_hash() == sequencer.engine.state_hash()


def test_no_order_of_yesterday_meets_one_of_today(venue):
    """The first batch after midnight begins with the end of the day, whatever it brings."""
    sequencer, clock, folder = venue
    sequencer.submit(bids(sequencer, 2, time_in_force=TimeInForce.DAY))
    clock.now = midnight_after(clock.now) + 1
    outcome = sequencer.submit(bids(sequencer, 1, start=2, time_in_force=TimeInForce.DAY))
    kinds = outcome.events["kind"].tolist()
    assert kinds == [EventKind.EXPIRED, EventKind.EXPIRED, EventKind.ACCEPTED]
    assert sequencer.tell_time_if_due() is None
    assert int(sequencer.engine.core.book.counts[0]["open_orders"]) == 1
    assert replayed(folder).state_hash() == sequencer.engine.state_hash()


def test_a_venue_that_slept_through_midnight_ends_the_day_first(venue):
    sequencer, clock, folder = venue
    sequencer.submit(bids(sequencer, 2, time_in_force=TimeInForce.DAY))
    sequencer.journal.close()
    clock.now = midnight_after(clock.now) + DAY_NS // 2
    engine, journal, _ = recover(folder)
    again = Sequencer(engine, journal, clock)
    ended = again.tell_time_if_due()
    assert ended is not None
    assert len(ended.events) == 2
    journal.close()


def test_a_quiet_midnight_tells_nobody_anything(venue):
    sequencer, clock, _ = venue
    clock.now = midnight_after(clock.now)
    ended = sequencer.tell_time_if_due()
    assert list(Reporter().reports(ended.events, ended.effects).by_member()) == []


def test_an_order_expires_in_a_quiet_market_by_a_sequenced_command(venue):
    sequencer, clock, folder = venue
    until = clock.now + 10**9
    sequencer.submit(bids(sequencer, 2, time_in_force=TimeInForce.GTD, expires_at=until))
    assert sequencer.tell_time_if_due() is None
    clock.now = until
    expired = sequencer.tell_time_if_due()
    assert expired.events["kind"].tolist() == [EventKind.EXPIRED] * 2
    assert sequencer.tell_time_if_due() is None
    assert replayed(folder).state_hash() == sequencer.engine.state_hash()


def test_a_founding_with_a_fault_leaves_the_journal_empty(tmp_path):
    journal = Journal.open(tmp_path / "journal", segment_bytes=1 << 20, rules_version=RULES_VERSION)
    sequencer = Sequencer(Engine(), journal, FakeClock())
    twice = SignedAct("OPERATOR", "test", Admit(member="OPERATOR", role="operator"))
    with pytest.raises(ValueError, match="already_exists"):
        sequencer.found((*founding(), twice))
    assert journal.sequence == 0
    sequencer.found(founding())
    journal.close()


def test_the_state_depends_on_no_hash_seed():
    """A set of texts is walked in another order by every process: numbers given on the way would differ."""
    script = (
        "import numpy as np, msgspec;"
        "from exchange.engine import Engine;"
        "from exchange.protocol.acts import Admit, DefineProgramme, SignedAct;"
        "from exchange.server.founding import voucher;"
        "from exchange.server.sequencer import as_batch;"
        "terms = msgspec.structs.replace(voucher(2026), regions=('A', 'B', 'C', 'D', 'E', 'B'));"
        "acts = [DefineProgramme(terms), Admit(member='M', role='firm', region='D')];"
        "signed = tuple(SignedAct('X', 'y', act) for act in acts);"
        "engine = Engine(); engine.apply(as_batch(signed), signed);"
        "print(engine.state_hash())"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": str(number), "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
            text=True,
            timeout=100,
        ).stdout
        for number in range(4)
    }
    assert len(hashes) == 1


def test_midnight_is_the_venues():
    noon = int(datetime(2026, 11, 23, 12, tzinfo=VENUE_ZONE).timestamp()) * 10**9
    midnight = int(datetime(2026, 11, 24, tzinfo=VENUE_ZONE).timestamp()) * 10**9
    assert midnight_after(noon) == midnight
    assert midnight_after(midnight - 1) == midnight
    assert midnight_after(midnight) == midnight + DAY_NS


# --- the calendar ------------------------------------------------------------------------------

QWEN = "QWEN3-MAX"


def moment(hour, minute=0, second=0):
    """Return a moment of the fake clock's first day, a Monday, in ns since 1970."""
    return int(OPENING.replace(hour=hour, minute=minute, second=second).timestamp()) * 10**9


@pytest.fixture
def trading_day(tmp_path):
    """Return a sequencer that was founded with the standard calendar before its day began, and its clock."""
    journal = Journal.open(tmp_path / "journal", segment_bytes=1 << 20, rules_version=RULES_VERSION)
    clock = FakeClock(OPENING.replace(hour=8))
    sequencer = Sequencer(Engine(), journal, clock, Random(5).randrange)
    sequencer.found((*calendar_acts(standard_calendar()), *founding()))
    yield sequencer, clock, tmp_path / "journal"
    journal.close()


def market_of(sequencer, symbol=QWEN):
    engine = sequencer.engine
    return engine.core.book.markets[engine.registry.instrument_numbers[symbol]]


def phase_of(sequencer):
    return Phase(market_of(sequencer)["phase"])


def orders_of(sequencer, *written):
    """Return a batch of orders of ALIBABA's (sells) and ANN's (buys): client id, side, lots, price."""
    batch = np.concatenate([orders(1, start) for start, *_ in written])
    for row, (_, side, lots, price) in zip(batch, written, strict=True):
        owner = "ANN" if side == Side.BUY else "ALIBABA"
        row["member"] = sequencer.engine.registry.member_numbers[owner]
        row["instrument"] = sequencer.engine.registry.instrument_numbers[QWEN]
        row["side"], row["quantity"], row["price"] = side, lots, price
        row["sent_at"] = sequencer.engine.time
    return batch


def test_a_trading_day_by_the_calendar(trading_day):
    sequencer, clock, folder = trading_day
    seen = []
    for hour, minute in [(9, 0), (9, 15), (9, 25), (9, 31), (14, 30), (15, 0), (15, 6), (15, 30)]:
        clock.now = moment(hour, minute)
        sequencer.tell_time_if_due()
        seen.append(phase_of(sequencer).name.lower())
    assert seen == [
        "closed",
        "pre_open",
        "no_cancel",
        "continuous",
        "continuous",
        "pre_open",
        "halted",
        "closed",
    ]
    assert sequencer.engine.registry.fixed_day == OPENING.date()
    assert sequencer.tell_time_if_due() is None
    assert replayed(folder).state_hash() == sequencer.engine.state_hash()


def test_no_command_passes_a_step_of_the_calendar(trading_day):
    """However late the calendar is asked, what comes after a step meets the phase that it set."""
    sequencer, clock, _ = trading_day
    clock.now = moment(9, 20)
    price = int(market_of(sequencer)["reference"])
    outcome = sequencer.submit(orders_of(sequencer, (1, Side.BUY, 5, price), (2, Side.SELL, 5, price)))
    changed = outcome.events[outcome.events["kind"] == EventKind.PHASE_CHANGED]
    assert set(changed["phase"].tolist()) == {Phase.PRE_OPEN}
    assert phase_of(sequencer) == Phase.PRE_OPEN
    assert outcome.events["kind"].tolist().count(EventKind.ACCEPTED) == 2
    clock.now = moment(9, 31)
    outcome = sequencer.submit(orders_of(sequencer, (3, Side.BUY, 5, price)))
    kinds = outcome.events["kind"].tolist()
    assert kinds.index(EventKind.TRADED) < kinds.index(EventKind.ACCEPTED)
    assert outcome.acts == ()


def test_a_decision_hears_of_itself_whatever_came_before_it(trading_day):
    sequencer, clock, _ = trading_day
    clock.now = moment(9, 20)
    outcome = sequencer.decide(SignedAct("OPERATOR", "test", Deposit("ANN", 7)))
    assert [result.reason for result in outcome.acts] == [RejectReason.NONE]
    assert phase_of(sequencer) == Phase.PRE_OPEN


def test_a_sequencer_goes_on_in_the_middle_of_a_call(trading_day):
    sequencer, clock, folder = trading_day
    clock.now = moment(9, 20)
    sequencer.tell_time_if_due()
    until = {plan.until for plan in sequencer.engine.registry.plans.values()}
    sequencer.journal.close()
    engine, journal, _ = recover(folder)
    again = Sequencer(engine, journal, clock, Random(6).randrange)
    assert {plan.until for plan in engine.registry.plans.values()} == until
    clock.now = until.pop() - 1
    again.tell_time_if_due()
    assert phase_of(again) == Phase.NO_CANCEL
    clock.now += 1
    again.tell_time_if_due()
    assert phase_of(again) == Phase.CONTINUOUS
    journal.close()
    assert replayed(folder).state_hash() == engine.state_hash()


def test_the_end_of_the_day_and_what_the_calendar_has_missed_are_one_frame(trading_day):
    sequencer, clock, folder = trading_day
    clock.now = moment(12)
    sequencer.tell_time_if_due()
    frames = sequencer.journal.frames
    clock.now = moment(10) + DAY_NS
    sequencer.tell_time_if_due()
    assert sequencer.journal.frames == frames + 1
    assert phase_of(sequencer) == Phase.CONTINUOUS
    assert sequencer.engine.registry.fixed_day == OPENING.date()
    assert replayed(folder).state_hash() == sequencer.engine.state_hash()


def test_a_breach_of_a_collar_begins_an_auction_that_gives_the_reference(venue):
    sequencer, clock, folder = venue
    sequencer.decide(SignedAct("OPERATOR", "test", SetCollars("model", 0, 100, 0)))
    price = int(market_of(sequencer)["reference"])
    far = price + price // 5 // 100 * 100
    sequencer.submit(orders_of(sequencer, (1, Side.SELL, 5, far), (2, Side.BUY, 5, far)))
    assert phase_of(sequencer) == Phase.PRE_OPEN
    sequencer.tell_time_if_due()
    (plan,) = sequencer.engine.registry.plans.values()
    assert clock.now + 120 * 10**9 <= plan.until <= clock.now + 150 * 10**9
    clock.now = plan.until
    done = sequencer.tell_time_if_due()
    assert EventKind.TRADED in done.events["kind"].tolist()
    assert phase_of(sequencer) == Phase.CONTINUOUS
    assert int(market_of(sequencer)["reference"]) == far
    assert replayed(folder).state_hash() == sequencer.engine.state_hash()


def test_a_sandbox_trades_in_the_hours_of_its_calendar():
    venue = Exchange(calendar=standard_calendar())
    with venue.connect("SANDBOX") as exchange:
        qwen = exchange.instruments[QWEN]
        assert qwen.phase == "continuous"
        exchange.place(qwen.buy(1, limit=qwen.listing.list_price))
        venue.clock.now = moment(16)
        with pytest.raises(OrderRejected, match="instrument_not_open"):
            exchange.place(qwen.buy(1, limit=qwen.listing.list_price))
