"""Campaign: each process of a venue killed and stopped under load, and its power cut, for a time.

Two traders keep ledgers outside of the venue. At the end of each venue's life its books are proved as
`bourse verify` does it, its store is compared with one that is rebuilt, and the ledgers with both. In every
third life the disk below the journal forgets what was not synced when the power goes.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from random import Random

from exchange.server.warm import warm_up
from tests.fire.platter import lose_power, power
from tests.fire.rounds import LINES_A_ROUND, World
from tests.nightly import campaign
from tests.nightly.campaign import Progress, Tally

ROUNDS_A_LIFE = 50
CUTS_A_LIFE = 12
COUNTED = (
    "power cuts",
    "unsynced bytes gone with the power",
    "orders answered",
    "orders lost",
    "ids doubled",
    "fills heard",
    "restarts",
)


def run(seconds: float, seed: int, progress: Progress) -> Tally:
    """Kill, stop and cut off processes in the midst of trading; compare what was answered with the books."""
    warm_up()
    tally = Tally("kills", seconds, dict.fromkeys(("venues", *COUNTED), 0))
    end = time.monotonic() + seconds
    for of_life in campaign.seeds(seconds, seed):
        left = max(1.0, end - time.monotonic())
        repeats = f"python -m tests.nightly.kills --seconds {left:.0f} --seed {of_life}"
        with tally.caught(repeats), tempfile.TemporaryDirectory(prefix="bourse-kills-") as root:
            live(tally, Path(root), of_life, end, power_fails=of_life % 3 == 2, repeats=repeats)
        tally.add("venues")
        answered, lost = tally.counts["orders answered"], tally.counts["orders lost"]
        progress(f"{tally.counts['venues']} venues, {answered:,} orders answered, {lost} lost")
    return tally


def live(tally: Tally, root: Path, seed: int, end: float, *, power_fails: bool, repeats: str) -> None:
    """Play one venue's life: rounds until the time is over, at least one, and what it comes to."""
    chance, world, platter = Random(seed), World(root), root / "platter"
    try:
        if power_fails:
            with power(platter):
                world.start(seed)
                for number in range(CUTS_A_LIFE):
                    world.more("order", chance.randint(1, 2 * LINES_A_ROUND))
                    torn, amid_sync = bool(number & 1), bool(number & 2)
                    lose_power(world, platter, chance, is_torn=torn, amid_sync=amid_sync)
                    if time.monotonic() >= end:
                        break
                world.more("order", LINES_A_ROUND)
                world.finish()
        else:
            world.start(seed)
            for _ in range(ROUNDS_A_LIFE):
                world.round(chance)
                if time.monotonic() >= end:
                    break
            world.finish()
        tally.failures += [f"{difference}; to repeat it: {repeats}" for difference in world.differences()]
    finally:
        world.end()
        for what, count in world.counts.items():
            tally.add(what, count)


if __name__ == "__main__":
    campaign.main(run)
