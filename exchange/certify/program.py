"""A firm's own program certified: run against a venue that is killed once, and judged from that side."""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
from collections import Counter
from collections.abc import Callable

from exchange.certify.case import Case, Result
from exchange.certify.failed import Failed, must
from exchange.certify.peer import Peer
from exchange.certify.recovery import BACK_SECONDS
from exchange.certify.scene import Scene
from exchange.certify.venue import FIRM, SYMBOL, ThrowAwayVenue
from exchange.client.errors import ExchangeError
from exchange.server.replay import entered_orders
from matching.vocabulary import EventKind

PROGRAM_SECONDS_MAX = 300
"""How long the program may take, the venue's restart included."""

LOTS = 10
PRICE_HAO = 200
FIRST, LAST = 3, 22
"""The orders that are placed while the venue is killed."""

KILLED_AT = "CERT-8"

TASKS = f"""\
Your program is run with BOURSE_VENUE (the venue's folder) and BOURSE_PROFILE (the file with your keys and the
venue's endpoints) in its environment. The venue's trading process is killed once while it runs, and begun
again. It has {PROGRAM_SECONDS_MAX} seconds to do all of this and to end with code 0:

  1. Place a buy of {LOTS} {SYMBOL} at 0.02 yuan under client id CERT-1, then cancel it.
  2. Place a buy of {LOTS} {SYMBOL} at 0.02 yuan under client id CERT-2.
  3. Place buys of 1 {SYMBOL} at 0.02 yuan under client ids CERT-{FIRST} to CERT-{LAST}, one after the other.
  4. Take 4 lots off CERT-2.
  5. Place CERT-2 again, as in 2: the same id, time of sending and lots. It is the same order.

At the end CERT-1 is cancelled, CERT-2 is open with 6 lots, CERT-{FIRST} to CERT-{LAST} are open with 1 each,
every one of them once, and nothing else."""

RULE = "| the venue stops or crashes |"

Told = Callable[[Result], None]


def certify(program: str, told: Told) -> list[Result]:
    """Run a program on a venue that is founded for it, and judge what it has left there."""
    with ThrowAwayVenue() as venue:
        scene = Scene("program", venue.profile(FIRM), SYMBOL, venue)
        case = Case("program", "recovery", "A firm's own program does its tasks.", RULE, lambda _: None, True)
        try:
            run(program, venue, scene)
            judge(venue, scene)
        except (Failed, ExchangeError, OSError) as error:
            result = Result(case, "failed", str(error))
        else:
            result = Result(case, "passed")
        told(result)
        return [result]


def run(program: str, venue: ThrowAwayVenue, scene: Scene) -> None:
    """Run the program, and kill the venue's trading process while it is at its orders."""
    environment = {
        **os.environ,
        "BOURSE_VENUE": str(venue.folder.root),
        "BOURSE_PROFILE": str(venue.folder.profile(FIRM)),
    }
    with scene.peer() as witness:
        witness.log_on()
        process = subprocess.Popen(shlex.split(program), env=environment)  # noqa: S603  the user's own
        killer = threading.Thread(target=kill_at, args=(witness, venue, process), daemon=True)
        killer.start()
        try:
            code = process.wait(PROGRAM_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed(f"the program took longer than {PROGRAM_SECONDS_MAX} s") from None
        finally:
            killer.join()
    must(code == 0, f"the program ended with code {code}")
    must(venue.kills, f"the program ended before it had placed {KILLED_AT}")


def kill_at(witness: Peer, venue: ThrowAwayVenue, process: subprocess.Popen[bytes]) -> None:
    """Kill the venue's trading process when an order is taken; give up if the program ends."""
    wanted = KILLED_AT.encode().ljust(24, b"\0")
    has_ended = False
    while not has_ended:
        has_ended = process.poll() is not None  # what it placed before is heard all the same
        while witness.take(0.1):
            if any(one.client_id == wanted and one.kind == EventKind.ACCEPTED for one in witness.reports):
                venue.kill_sequencer()
                return


def judge(venue: ThrowAwayVenue, scene: Scene) -> None:
    """See that exactly the orders of the tasks are there, once each. Raises `Failed`."""
    with scene.client(BACK_SECONDS) as client:
        found = Counter((one.client_id, one.leaves) for one in client.orders())
    singles = {(f"CERT-{number}", 1): 1 for number in range(FIRST, LAST + 1)}
    expected = Counter({("CERT-2", 6): 1, **singles})
    must(
        found == expected,
        f"open are {told_of(found - expected)} too much, {told_of(expected - found)} missing",
    )
    entered = Counter(entered_orders(venue.folder.journal).values())
    names = {f"CERT-{number}" for number in range(1, LAST + 1)}
    must(entered.keys() == names, f"orders were entered under {sorted(entered.keys() ^ names)} too, or not")
    twice = [name for name, count in entered.items() if count != 1]
    must(not twice, f"entered more than once: {twice}")


def told_of(orders: Counter[tuple[str, int]]) -> str:
    """Return orders in words."""
    return ", ".join(f"{name} ({lots} lots)" for name, lots in sorted(orders)) or "none"
