"""Every campaign for its share of a stated time, and one page of what they did: `python -m tests.nightly`."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.nightly import page
from tests.nightly.campaign import Tally
from tests.nightly.running import ROOT, SECONDS_LATE_MAX, SECONDS_TO_END, Planned, Running, is_there

Lane = Sequence[Planned]

ALONE: Lane = (Planned("soak", 0.56), Planned("overload", 0.22), Planned("crowds", 0.22))
"""What has the machine for itself: its figures are of memory and time, or it takes all of the machine."""

ALONE_SHARE = 0.4
"""Of the whole time."""

SIDE_BY_SIDE: tuple[Lane, ...] = (
    (Planned("simulation"),),
    (
        Planned("long_tests", 0.22),
        Planned("kills", 0.31),
        Planned("fuzz", 0.22),
        Planned("differential", 0.13),
        Planned("crash_points", 0.12),
    ),
)
"""Two lanes, for two cores. Within a lane one campaign follows the other, and the first may be late at the
cost of the others: the longest test takes many minutes, and is not ended in its midst."""

LOGS = ROOT / "build" / "nightly"
README = ROOT / "README.md"
SECONDS_LEAST = 1.0
"""What a campaign gets if those before it have used its time up."""

SECONDS_BETWEEN_WORDS = 60.0
SECONDS_BETWEEN_LOOKS = 0.1

WARM_UP = """
from exchange.server.warm import book_steps, venue_steps, warm_up
warm_up(steps=venue_steps)
warm_up(steps=book_steps)
"""


class Night:
    """What is planned, what runs, and what came of it."""

    def __init__(
        self,
        seed: int,
        logs: Path,
        late_max: float = SECONDS_LATE_MAX,
        to_end: float = SECONDS_TO_END,
    ) -> None:
        self.seed = seed
        self.logs = logs
        self.late_max = late_max
        self.to_end = to_end
        self.tallies: list[Tally] = []
        self.running: dict[int, Running] = {}
        """By the number of the lane."""

        logs.mkdir(parents=True, exist_ok=True)

    def play(self, lanes: Sequence[Lane], until: float) -> None:
        """Run each lane's campaigns one after the other, the lanes side by side, until about `until`.

        A campaign that fails stops no other. Whatever happens, nothing is left running.
        """
        waiting = [list(lane) for lane in lanes]
        spoke = time.monotonic()
        try:
            while any(waiting) or self.running:
                for number, lane in enumerate(waiting):
                    if number in self.running:
                        self.look(number)
                    elif lane:
                        self.begin(number, lane, until)
                if time.monotonic() - spoke > SECONDS_BETWEEN_WORDS:
                    spoke = time.monotonic()
                    for one in self.running.values():
                        say(f"  {one.planned.name}: {one.last_words().removeprefix(f'{one.planned.name}: ')}")
                time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            for one in self.running.values():
                one.end(self.to_end)

    def begin(self, number: int, lane: list[Planned], until: float) -> None:
        """Begin a lane's next campaign, with its share of the time that is left."""
        shares = sum(planned.share for planned in lane)
        planned = lane.pop(0)
        if not is_there(planned):
            self.take(Tally(planned.name, 0, {}, [f"there is no module {planned.module}"]))
            return
        left = max(0.0, until - time.monotonic())
        seconds = max(SECONDS_LEAST, left * planned.share / shares)
        say(f"{planned.name}: begun, for {seconds:.0f} s")
        self.running[number] = Running(planned, seconds, self.seed, self.logs)

    def look(self, number: int) -> None:
        """Take a lane's tally if its campaign has ended, or is to be ended for being late."""
        one = self.running[number]
        was_late = not one.has_ended() and one.is_late(self.late_max)
        if was_late or one.has_ended():
            left = one.end(self.to_end)
            del self.running[number]
            self.take(one.tally([] if was_late else left, was_late=was_late))

    def take(self, tally: Tally) -> None:
        """Keep a tally, and tell how it went."""
        self.tallies.append(tally)
        outcome = f"{len(tally.failures)} FAILED" if tally.failures else tally.skipped or "held"
        say(f"{tally.campaign}: {outcome}, after {tally.seconds:.0f} s")
        for failure in tally.failures:
            say(f"  {failure}")


def say(line: str) -> None:
    """Tell whoever watches."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def lanes_for(cores: int) -> tuple[Lane, ...]:
    """Return the lanes as they are for two cores or more; on one core all is one lane."""
    if cores > 1:
        return SIDE_BY_SIDE
    return (tuple(planned for lane in SIDE_BY_SIDE for planned in lane),)


def only(lanes: Sequence[Lane], names: Sequence[str]) -> list[Lane]:
    """Return the lanes with nothing but the campaigns of these names; all if none is named."""
    kept = [[planned for planned in lane if not names or planned.name in names] for lane in lanes]
    return [lane for lane in kept if lane]


def arguments_of(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; what is wrong is told with its remedy, and exit 2."""
    known = [planned.name for lane in (ALONE, *SIDE_BY_SIDE) for planned in lane]
    parser = argparse.ArgumentParser(
        prog="python -m tests.nightly",
        description=__doc__,
        epilog="example: python -m tests.nightly --minutes 60 --seed 20261122 --page docs/nightly.md",
    )
    parser.add_argument("--minutes", type=float, default=60, help="for all of them together; default 60")
    parser.add_argument("--seed", type=int, help="where their chance comes from; default: the date")
    parser.add_argument("--page", type=Path, help="write the page here, and its head to the README beside it")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="run this one; repeatable"
    )
    arguments = parser.parse_args(words)
    if not arguments.minutes > 0:
        parser.error(f"--minutes is {arguments.minutes:g}: give more than 0, 60 for an hour")
    for name in arguments.only:
        if name not in known:
            parser.error(f"--only is {name!r}: give one of {', '.join(known)}")
    if arguments.only and arguments.page:
        parser.error("--page is of a whole night: leave it out, or --only")
    if arguments.page:
        try:
            page.between_markers(README.read_text("utf-8"), "")
        except ValueError as error:
            parser.error(f"README.md: {error}")
    if arguments.seed is None:
        arguments.seed = int(time.strftime("%Y%m%d", time.gmtime()))
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    """Run a night; return 1 if any campaign failed."""
    arguments = arguments_of(words)
    began, date = time.monotonic(), time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    until = began + 60 * arguments.minutes
    night = Night(arguments.seed, LOGS)
    lanes = only(lanes_for(len(os.sched_getaffinity(0))), arguments.only)
    alone = only([ALONE], arguments.only)
    try:
        say("kernels: loaded, or compiled once for all")
        subprocess.run([sys.executable, "-c", WARM_UP], cwd=ROOT, check=True)
        share = ALONE_SHARE if lanes else 1.0
        night.play(alone, time.monotonic() + share * (until - time.monotonic()))
        night.play(lanes, until)
    except KeyboardInterrupt:
        say("interrupted: nothing is left running, and no page is written")
        return 130
    told = page.Night(
        date=date,
        machine=page.machine(),
        commit=page.commit(ROOT),
        command=" ".join(
            [
                f"python -m tests.nightly --minutes {arguments.minutes:g} --seed {arguments.seed}",
                *(f"--only {name}" for name in arguments.only),
            ]
        ),
        seed=arguments.seed,
        seconds=time.monotonic() - began,
        tallies=night.tallies,
    )
    if arguments.page is None:
        sys.stdout.write(page.page_of(told))
    else:
        page.record(told, arguments.page, README)
        say(f"written: {arguments.page}, and its head to README.md")
    return 1 if page.failures_of(told) else 0


if __name__ == "__main__":
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.default_int_handler)
    sys.exit(main())
