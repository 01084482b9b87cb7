"""A journal whose machine dies at every call, that is cut at any byte, damaged in every way: for a time."""

from __future__ import annotations

import random

from exchange.server.journal import Journal
from exchange.simulation.faulty_disk import Crashed, ModelDisk
from tests.journal import test_mutations
from tests.journal.batches import FOLDER, batches
from tests.journal.test_damage import LONE, begins, contents, recovered
from tests.journal.test_faults import SEGMENT_BYTES, Venue, check, crashed, survivors
from tests.nightly import campaign
from tests.nightly.campaign import Progress, Tally

MUTATIONS_A_ROUND = 1_000
CUTS_A_ROUND = 200
RECOVERY_CALLS_MAX = 100
"""A recovery has fewer calls than that."""

DIED = "crash points tried: before a write, sync or rename"
DIED_AGAIN = "crash points tried: in a recovery"
CUT = "crash points tried: within a write, at a byte"
TRIED = "damaged records tried"
FOUND = "damaged records found"
LOST = "answered commands lost"
COUNTED = ("random journals", DIED, DIED_AGAIN, CUT, TRIED, FOUND)


def run(seconds: float, seed: int, progress: Progress) -> Tally:
    """Crash random journals at every point, and damage records of one, until the time is over."""
    tally = Tally("crash_points", seconds, dict.fromkeys(COUNTED, 0))
    for of_round in campaign.seeds(seconds, seed):
        for do in (die_anywhere, cut_anywhere, damage):
            with tally.caught(campaign.again("crash_points", of_round)):
                do(tally, of_round)
        tally.add("random journals")
        if tally.counts["random journals"] % 20 == 1:
            progress(f"{tally.counts[DIED]:,} crash points, {tally.counts[FOUND]:,} damaged records found")
    tally.counts[LOST] = len(tally.failures)
    return tally


def venue_of(seed: int) -> Venue:
    """Return a venue with random batches to journal, and spares before some of them."""
    chance = random.Random(seed)
    counts = [chance.choice([1, 1, 2, 3, 5, 8, 18]) for _ in range(chance.randint(4, 12))]
    spares_before = set(chance.sample(range(len(counts)), len(counts) // 4))
    return Venue(batches(counts), spares_before)


def die_anywhere(tally: Tally, seed: int) -> None:
    """Let the machine die before each call that changes the disk, and once more in each recovery.

    What of the unsynced sectors and names is on the platter is tried in several ways.
    """
    whole = ModelDisk()
    venue_of(seed).run(whole)
    for call in range(len(whole.calls)):
        for names_too in (False, True):
            for survives in survivors(seed):
                disk, venue = ModelDisk(), venue_of(seed)
                assert crashed(venue, disk, call)
                check(disk.after_crash(names_too, survives), venue)
                tally.add(DIED)
        die_in_recovery(tally, seed, call)


def die_in_recovery(tally: Tally, seed: int, call: int) -> None:
    """Let the machine die before a call, and again before each call of the recovery."""
    chance = random.Random(f"{seed} {call}")
    for recovery_call in range(RECOVERY_CALLS_MAX):
        disk, venue = ModelDisk(), venue_of(seed)
        assert crashed(venue, disk, call)
        disk = disk.after_crash(chance.random() < 0.5, lambda _sector: chance.random() < 0.5)
        disk.crash_at = recovery_call
        try:
            Journal.open(FOLDER, venue.answered, SEGMENT_BYTES, disk)
        except Crashed:
            check(disk.after_crash(chance.random() < 0.5, lambda _sector: chance.random() < 0.5), venue)
            tally.add(DIED_AGAIN)
        else:
            return


def cut_anywhere(tally: Tally, seed: int) -> None:
    """Cut a journal of one segment at some of its bytes: what is whole before them is recovered."""
    chance = random.Random(seed)
    counts = [chance.choice([1, 1, 2, 3, 4])]
    while begins(batches([*counts, 1]))[-1] <= SEGMENT_BYTES:
        counts.append(1)
    todo = batches(counts)
    sound = contents(todo)[LONE]
    for length in chance.sample(range(SEGMENT_BYTES + 1), CUTS_A_ROUND):
        whole = [batch for batch, end in zip(todo, begins(todo)[1:], strict=True) if end <= length]
        assert recovered({LONE: sound[:length]}) == whole, length
        tally.add(CUT)


def damage(tally: Tally, seed: int) -> None:
    """Flip, zero, delete, double, swap and overwrite records and frames: every one is found."""
    tally.add(TRIED, MUTATIONS_A_ROUND)
    test_mutations.check(seed, MUTATIONS_A_ROUND)
    tally.add(FOUND, MUTATIONS_A_ROUND)


if __name__ == "__main__":
    campaign.main(run)
