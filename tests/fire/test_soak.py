"""Short runs of soak, overload and crowds; the long ones are campaigns of `make nightly`."""

from __future__ import annotations

from typing import cast

import pytest
import zmq

from exchange.profiles import Endpoints, Profile
from feeds.records import HEADER
from tests.nightly import crowds, overload, soak
from tests.nightly.campaign import Tally
from tests.nightly.order_load import OrderLoad
from tests.nightly.readers import Reader
from tests.nightly.soaked_venue import Sample, SoakedVenue

ROLES = ("sequencer", "settlement", "feed")


def quiet(_: str) -> None:
    """Take a line of progress that nobody watches."""


@pytest.mark.slow
def test_a_loaded_venue_answers_everything_and_its_audit_finds_nothing(seed):
    tally = Tally("soak", 0)
    soak.soak(tally, 4, seed, quiet, rate=2_000)
    assert tally.failures == []
    assert tally.counts["new orders without an answer"] == 0
    assert tally.counts["trades"] > 0
    assert tally.counts["subsidised trades"] > 0
    assert tally.counts["cancels"] > 0
    assert tally.counts["replaces"] > 0
    assert tally.counts["commands in the journal"] > 8_000
    assert tally.counts["differences that the audit found"] == 0


@pytest.mark.slow
def test_five_times_the_allowance_is_throttled_and_cancels_go_through(seed):
    tally = overload.run(2, seed, quiet)
    assert tally.failures == []
    taken, throttled = tally.counts["taken"], tally.counts["throttled"]
    assert taken + throttled == tally.counts["orders of the flood"]
    assert taken >= len(overload.FLOODERS) * overload.BURST
    assert throttled > 0
    assert tally.counts["cancels in the flood"] > 0


@pytest.mark.slow
def test_a_crowd_logs_on_hears_heartbeats_and_leaves_and_readers_miss_nothing(seed):
    tally = crowds.run(4, seed, quiet)
    assert tally.failures == []
    assert tally.counts["connections logged on"] == tally.counts["connections wanted"] == 400
    assert tally.counts["sessions left when all had gone"] == 0
    assert tally.counts["messages they heard"] > 0
    assert tally.counts["messages they missed"] == 0


class FakeVenue:
    """Samples of a venue whose settlement takes more memory each time."""

    def __init__(self, growth: int) -> None:
        self.growth = growth
        self.taken = 0

    def check(self) -> None:
        """Find nothing."""

    def sample(self) -> Sample:
        self.taken += 1
        memory = dict.fromkeys(ROLES, 1_000 << 20)
        memory["settlement"] += self.taken * self.growth
        return Sample(
            seconds=10.0 * self.taken,
            memory=memory,
            cpu_seconds={},
            sequence=self.taken,
            open_orders=0,
            sessions=0,
            throttled=0,
            lag_commands=dict.fromkeys(ROLES[1:], 0),
            lag_seconds=dict.fromkeys(ROLES[1:], 0.0),
            disk_free_bytes=1 << 40,
        )


class NoLoad:
    """A load that sends nothing, and says that it has brought about so many trades."""

    def __init__(self, trades: int = 1) -> None:
        self.sent = {"new": 0, "cancel": 0, "replace": 0}
        self.refused = {"throttled": 7}
        self.trades = trades

    subsidised_trades = reports = unanswered = 0
    late_seconds_max = 0.0

    def waits_ms(self) -> dict[str, float]:
        return {}


@pytest.mark.parametrize(
    ("growth", "seconds", "grown"),
    [(0, 3_600, []), (4 << 20, 3_600, ["settlement"]), (4 << 20, 600, [])],
    ids=["steady", "a-leak", "too-soon-to-tell"],
)
def test_memory_that_grows_behind_the_warm_up_is_a_failure(growth, seconds, grown):
    venue, load = cast("SoakedVenue", FakeVenue(growth)), cast("OrderLoad", NoLoad())
    watched = soak.Soak(venue, load, seconds, quiet)
    for _ in range(seconds // 10):
        watched.next_sample = 0.0
        watched.turn()
    tally = Tally("soak", 0)
    watched.tell(tally)
    assert [one.split()[0] for one in tally.failures] == grown
    assert tally.counts["feed growth, percent"] == 0


def test_a_load_that_trades_nothing_is_a_failure_and_says_why_it_was_refused():
    venue, load = cast("SoakedVenue", FakeVenue(0)), cast("OrderLoad", NoLoad(trades=0))
    watched = soak.Soak(venue, load, 60, quiet)
    for _ in range(6):
        watched.next_sample = 0.0
        watched.turn()
    tally = Tally("soak", 0)
    watched.tell(tally)
    assert tally.failures == ["the load has brought about no trade"]
    assert tally.counts["refused: throttled"] == 7


def test_a_message_of_the_feed_that_never_came_is_counted():
    key = zmq.curve_keypair()[0].decode()
    profile = Profile("READER", key, key, key, Endpoints("tcp://127.0.0.1:9", feed="tcp://127.0.0.1:9"))
    with zmq.Context() as context:
        reader = Reader(context, profile, 1)
        for number in (3, 4, 7):
            reader.take(HEADER.pack(b"D", 1, 3, 1, number, 1, 1, 0), [])
        reader.socket.close()
    assert reader.missed == 2
