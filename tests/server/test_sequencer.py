"""The sequencer: journal first; time that never runs back; the same journal, the same state."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from exchange.config import STATE_HASH_EVERY
from exchange.engine import Engine
from exchange.protocol.acts import Admit, SignedAct
from exchange.protocol.arrays import COMMAND
from exchange.reports import by_member
from exchange.server.follower import Commit, Follower
from exchange.server.journal import Journal, read_frames
from exchange.server.replay import ReplayParted, apply_frame, recover, replay
from exchange.server.sequencer import DAY_NS, Sequencer, midnight_after
from exchange.testing import FakeClock
from matching.vocabulary import CommandKind, EventKind, Side, TimeInForce
from settlement.terms import VENUE_ZONE
from tests.server.venue import founding

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
    journal = Journal.open(tmp_path / "journal", segment_bytes=1 << 20)
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
    assert replay(folder).state_hash() == live
    sequencer.journal.close()
    engine, journal = recover(folder)
    assert engine.state_hash() == live
    again = Sequencer(engine, journal, clock)
    again.submit(bids(again, 1, start=1_000))
    journal.close()
    assert replay(folder).state_hash() == engine.state_hash()


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
    assert sum(1 for _ in follower.advance(announced)) == 2
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
    assert replay(folder).state_hash() == sequencer.engine.state_hash()


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
    assert replay(folder).state_hash() == sequencer.engine.state_hash()


def test_a_venue_that_slept_through_midnight_ends_the_day_first(venue):
    sequencer, clock, folder = venue
    sequencer.submit(bids(sequencer, 2, time_in_force=TimeInForce.DAY))
    sequencer.journal.close()
    clock.now = midnight_after(clock.now) + DAY_NS // 2
    engine, journal = recover(folder)
    again = Sequencer(engine, journal, clock)
    ended = again.tell_time_if_due()
    assert ended is not None
    assert len(ended.events) == 2
    journal.close()


def test_a_quiet_midnight_tells_nobody_anything(venue):
    sequencer, clock, _ = venue
    clock.now = midnight_after(clock.now)
    ended = sequencer.tell_time_if_due()
    assert list(by_member(ended.events, ended.effects)) == []


def test_an_order_expires_in_a_quiet_market_by_a_sequenced_command(venue):
    sequencer, clock, folder = venue
    until = clock.now + 10**9
    sequencer.submit(bids(sequencer, 2, time_in_force=TimeInForce.GTD, expires_at=until))
    assert sequencer.tell_time_if_due() is None
    clock.now = until
    expired = sequencer.tell_time_if_due()
    assert expired.events["kind"].tolist() == [EventKind.EXPIRED] * 2
    assert sequencer.tell_time_if_due() is None
    assert replay(folder).state_hash() == sequencer.engine.state_hash()


def test_a_founding_with_a_fault_leaves_the_journal_empty(tmp_path):
    journal = Journal.open(tmp_path / "journal", segment_bytes=1 << 20)
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
