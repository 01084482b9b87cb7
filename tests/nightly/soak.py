"""Soak: a venue of real processes under a steady load for as long as there is.

10,000 commands a second, open loop, from four makers and four takers, each with its own key; then the
journal, the replicas and the store are proven. The memory of each process must not grow from the end of the
warm-up on: until then tables fill that are bounded (65,536 ids a member, the latest 262,144 reports, the
store's buffers).
"""

from __future__ import annotations

import math
import os
import statistics
import time
from pathlib import Path

import zmq

from exchange.config import Settings, SettlementSettings, ThrottleSettings
from exchange.instruments import standard_catalogue
from exchange.server.audit import verify
from exchange.server.process import FEED, SEQUENCER, SETTLEMENT
from tests.nightly import campaign
from tests.nightly.campaign import Progress, Tally
from tests.nightly.order_load import OrderLoad
from tests.nightly.soaked_venue import MIB, Sample, SoakedVenue, member_socket, memory_of_all, soaked_venue

RATE = 10_000
MAKERS = ["ALIBABA", "ZHIPU", "BYTEDANCE", "MOONSHOT"]
TAKERS = ["SOAK-1", "SOAK-2", "SOAK-3", "SOAK-4"]
WIDE = ThrottleSettings(orders_per_second=10**6, orders_burst=10**6)

LOAD_SHARE = 0.8
"""Of the time given; the rest is for the proof, which takes about a seventh of the load's time."""

SAMPLE_SECONDS = 10.0
WARM_UP_SECONDS = 300.0
"""Or half of the load, if that is shorter."""

GROWTH_MAX = 0.05
JUDGED_SECONDS_MIN = {SEQUENCER: 120.0, FEED: 120.0, SETTLEMENT: 1_800.0}
"""Growth is judged if the load goes on for so long behind the warm-up; below, it is told.

The settlement's most is that of the history's passes, which are up to ten minutes apart.
"""

STORE_BYTES = 256_000_000
"""What the store may take: DuckDB keeps what it has read, and would fill the usual 1 GB for half an hour."""

LAG_SECONDS_MAX = 10.0
"""A follower that is further behind than this calls its venue not ready."""

DISK_FREE_MIN = 2 << 30
"""With less room than this on the disk the soak ends, and has failed."""


class Soak:
    """One soak: its samples, and the waits between them."""

    def __init__(self, venue: SoakedVenue, load: OrderLoad, seconds: float, progress: Progress) -> None:
        self.samples: list[Sample] = []
        self.waits: list[dict[str, float]] = []
        self.warm_up = min(WARM_UP_SECONDS, seconds / 2)
        self._every = min(SAMPLE_SECONDS, seconds / 20)
        self._venue, self._load, self._progress = venue, load, progress
        self.next_sample = 0.0

    def turn(self) -> None:
        """Take a sample if it is time; raise what has befallen the venue."""
        now = time.monotonic()
        if now < self.next_sample:
            return
        self.next_sample = now + self._every
        self._venue.check()
        sample = self._venue.sample()
        self.samples.append(sample)
        self.waits.append(self._load.waits_ms())
        if sample.disk_free_bytes < DISK_FREE_MIN:
            message = f"the disk has {sample.disk_free_bytes:,} bytes left: make room, or soak for less long"
            raise AssertionError(message)
        self._progress(
            f"{sample.seconds:.0f} s: {sample.sequence:,} commands, MiB {mib_of(sample)}, "
            f"{sample.open_orders:,} open, behind by {max(sample.lag_commands.values(), default=0):,}, "
            f"{self.waits[-1]}"
        )

    def growth(self) -> dict[str, tuple[float, float]]:
        """Return each process's peak in both halves of what follows the warm-up, in MiB.

        Peaks, for the settlement's memory goes up and down by some 400 MiB, as DuckDB fills its buffers.
        """
        warm = [one for one in self.samples if one.seconds >= self.samples[0].seconds + self.warm_up]
        half = len(warm) // 2
        return {
            role: (peak_mib(warm[:half] or warm, role), peak_mib(warm[half:], role))
            for role in self.samples[-1].memory
        }

    def tell(self, tally: Tally) -> None:
        """Count what the samples say, and judge it."""
        load, counts = self._load, tally.counts
        counts["new orders"] = load.sent["new"]
        counts["cancels"] = load.sent["cancel"]
        counts["replaces"] = load.sent["replace"]
        counts["trades"] = load.trades
        counts["subsidised trades"] = load.subsidised_trades
        counts["reports heard"] = load.reports
        counts["new orders without an answer"] = load.unanswered
        counts |= {f"refused: {reason}": count for reason, count in sorted(load.refused.items())}
        if not load.trades:
            tally.failures.append("the load has brought about no trade")
        counts["loader late, ms at most"] = round(load.late_seconds_max * 1e3, 1)
        behind = self.samples[len(self.samples) // 2 :]
        counts["open orders at the end"] = self.samples[-1].open_orders
        for role in behind[-1].lag_commands:
            lags = [one.lag_seconds.get(role, 0.0) for one in self.samples[1:]]
            counts[f"{role} behind, seconds at most"] = round(max(lags, default=0.0), 3)
            if max(lags, default=0.0) > LAG_SECONDS_MAX:
                tally.failures.append(
                    f"{role} was {max(lags):.1f} s behind, of {LAG_SECONDS_MAX:.0f} at most"
                )
        for name in sorted({name for one in self.waits for name in one}):
            found = [one[name] for one in self.waits if name in one]
            counts[f"{name}, median of samples"] = round(statistics.median(found), 3)
            counts[f"{name}, worst sample"] = max(found)
        self._judge_memory(tally)

    def _judge_memory(self, tally: Tally) -> None:
        counts, judged = tally.counts, self.samples[-1].seconds - self.samples[0].seconds - self.warm_up
        counts["warm-up seconds"] = round(self.warm_up, 1)
        counts["MiB of the venue at start"] = memory_of_all(self.samples[0])
        counts["MiB of the venue at the end"] = memory_of_all(self.samples[-1])
        for role, (warm, end) in self.growth().items():
            grown = end / warm - 1
            counts[f"{role} MiB at most, first half behind it"] = warm
            counts[f"{role} MiB at most, second half"] = end
            counts[f"{role} growth, percent"] = round(100 * grown, 2)
            if judged >= JUDGED_SECONDS_MIN[role] and grown > GROWTH_MAX:
                tally.failures.append(
                    f"{role} grew from {warm} to {end} MiB in {judged:.0f} s of steady load"
                )


def mib_of(sample: Sample) -> dict[str, int]:
    """Return what each process has in memory, in MiB."""
    return {role: round(size / MIB) for role, size in sample.memory.items()}


def peak_mib(samples: list[Sample], role: str) -> float:
    """Return the most that a process had in memory, in MiB."""
    return round(max(one.memory[role] for one in samples) / MIB, 1)


def folder_mib(path: Path) -> float:
    """Return what lies in a file or below a folder, in MiB, as the disk has it."""
    paths = (
        [path]
        if path.is_file()
        else [Path(root) / name for root, _, names in os.walk(path) for name in names]
    )
    return round(sum(each.stat().st_blocks for each in paths if each.exists()) * 512 / MIB, 1)


def prove(venue: SoakedVenue, tally: Tally, progress: Progress) -> None:
    """End the venue, and audit its folder: its journal, its replicas' hashes, its store made anew."""
    seconds, heads = venue.await_followers()
    tally.counts["seconds until all were at the head"] = round(seconds, 1)
    tally.counts["commands in the journal"] = head = heads["sequencer"]
    venue.stop()
    if venue.told:
        tally.failures.append(f"the venue had something to tell: {venue.told}")
    passed = venue.folder.passed_by_all()
    if passed < head:
        tally.failures.append(f"the store was left at {passed:,}, the journal ends at {head:,}")
    for name in ("journal", "history", "snapshots", "logs"):
        tally.counts[f"MiB of {name}"] = folder_mib(venue.folder.root / name)
    tally.counts["MiB of store"] = folder_mib(venue.folder.settlement)
    progress(f"auditing {head:,} commands")
    began = time.monotonic()
    verdict = verify(venue.folder)
    tally.counts["seconds of the audit"] = round(time.monotonic() - began, 1)
    tally.counts["differences that the audit found"] = len(verdict.differences)
    tally.failures += [f"audit: {one}" for one in (*verdict.differences, *verdict.told)]
    if verdict.commands < head:
        tally.failures.append(f"the audit saw {verdict.commands:,} of {head:,} commands")


def soak(tally: Tally, seconds: float, seed: int, progress: Progress, rate: float = RATE) -> None:
    """Load a venue at a rate for so long, the beginning and the proof not counted; count what came of it."""
    settings = Settings(throttle=WIDE, settlement=SettlementSettings(memory_bytes=STORE_BYTES))
    with soaked_venue(TAKERS, MAKERS, settings, progress) as venue, zmq.Context() as context:
        sockets = [member_socket(context, venue.profile(name)) for name in (*MAKERS, *TAKERS)]
        load = OrderLoad(sockets, MAKERS, standard_catalogue(), seed)
        one = Soak(venue, load, seconds, progress)
        try:
            load.offer(rate, seconds, one.turn)
        finally:
            for socket in sockets:
                socket.close()
        tally.counts |= {"seconds of load": math.floor(seconds), "commands offered a second": rate}
        one.tell(tally)
        prove(venue, tally, progress)


def run(seconds: float, seed: int, progress: Progress) -> Tally:
    """Load a venue with 10,000 commands a second, watch its memory and audit it."""
    tally = Tally("soak", seconds)
    again = f"python -m tests.nightly.soak --seconds {seconds:g} --seed {seed}"
    with tally.caught(again):
        soak(tally, seconds * LOAD_SHARE, seed, progress)
    tally.failures = [one if again in one else f"{one}; to repeat it: {again}" for one in tally.failures]
    return tally


if __name__ == "__main__":
    campaign.main(run)
