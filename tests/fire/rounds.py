"""A venue of real processes with traders whose ledgers lie outside of it, and what may befall it.

Each line of a ledger was written when it was heard. Whatever was killed, stopped or lost meanwhile, the venue
must hold all of it at the end, and nothing twice: `World.differences` tells.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter

import duckdb

from exchange.client.sync import connect_sync
from exchange.config import Settings, SnapshotSettings
from exchange.protocol.acts import Admit
from exchange.server.audit import verify
from exchange.server.folder import Folder, new_key_pair
from exchange.server.founding import MILLION_YUAN, standard_acts, this_year, voucher
from exchange.server.replay import entered_orders
from exchange.server.supervisor import FEED, SEQUENCER, SETTLEMENT, Supervisor
from exchange.server.taking import SNAPSHOT
from tests.waiting import PATIENCE_SECONDS, until

SIDES = {"ANN": "buy", "ALIBABA": "sell"}
ROLES = (SEQUENCER, SETTLEMENT, FEED, SNAPSHOT)
LINES_A_ROUND = 120
SETTINGS = Settings(snapshots=SnapshotSettings(every_commands=1_000))
"""A snapshot's process runs so often that it is met alive."""


class Ledger:
    """What one trader has written so far; a line that it is just writing is not read yet."""

    def __init__(self, path):
        self.path = path
        self.lines = []
        self.counts: Counter[str] = Counter()
        self._read = 0

    def look(self):
        """Take in what has been written since."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            data, _, _ = file.read().rpartition(b"\n")
        if not data:
            return
        self._read += len(data) + 1
        for line in data.decode("ascii").split("\n"):
            words = line.split()
            self.lines.append(words)
            self.counts[words[0]] += 1


class World:
    """A venue, and programs that trade on it."""

    def __init__(self, root, disk=None, settings=None):
        """The ledgers lie in `root`; the venue, too, if no other disk is named."""
        self.folder = Folder((disk or root) / "venue")
        firm = Admit(member="ANN", role="firm", size="small", region="HANGZHOU", open_orders_max=10**6)
        keys = [new_key_pair(name) for name in (*SIDES, "AUDITOR", "OPERATOR")]
        acts = standard_acts([(firm, 100_000 * MILLION_YUAN)], keys, [voucher(this_year())])
        self.folder.found(acts, keys)
        self.told: list[str] = []
        self.supervisor = Supervisor(self.folder, settings or SETTINGS, self.told.append)
        self.supervisor.restarts_max = 10**6
        self.ledgers = {name: Ledger(root / f"{name}.ledger") for name in SIDES}
        self.traders: list[subprocess.Popen] = []
        self.counts: Counter[str] = Counter()

    def start(self, seed=0):
        self.supervisor.start()
        for number, (name, side) in enumerate(SIDES.items()):
            profile, ledger = str(self.folder.profile(name)), str(self.ledgers[name].path)
            arguments = [profile, ledger, side, str(seed + number)]
            trader = [sys.executable, "-m", "tests.server.trader", *arguments]
            self.traders.append(subprocess.Popen(trader, stdin=subprocess.PIPE))

    def lines(self, word):
        """Return how many lines of a sort each ledger has by now; the one that has least."""
        for ledger in self.ledgers.values():
            ledger.look()
        return min(ledger.counts[word] for ledger in self.ledgers.values())

    def until(self, condition):
        """Look after the venue until something has come about, and return it."""
        return until(condition, self.look_after)

    def look_after(self):
        """Do what the venue's own process does all the time; its traders must not have given up."""
        assert all(trader.poll() is None for trader in self.traders), "a trader has given up"
        self.supervisor.look_after()

    def more(self, word, count):
        """Wait until every ledger has more lines of a sort."""
        before = self.lines(word)
        self.until(lambda: self.lines(word) >= before + count)

    def finish(self):
        """Let the traders hear the rest, and the settlement come to the end; then stop all."""
        for trader in self.traders:
            hang_up(trader)
        codes = until(self.codes, self.supervisor.look_after)
        assert set(codes) == {0}
        self.traders.clear()
        with connect_sync(self.folder.profile("ANN"), timeout=PATIENCE_SECONDS) as client:
            head = client.sequence
        self.until(lambda: self.folder.passed() >= head)
        self.supervisor.stop()

    def codes(self):
        """Return the traders' exit codes, once all have ended."""
        codes = [trader.poll() for trader in self.traders]
        return codes if None not in codes else []

    def end(self):
        """End every process, whatever has happened."""
        for trader in self.traders:
            if trader.poll() is None:
                trader.kill()
            trader.wait()
            hang_up(trader)
        self.supervisor.stop()

    # --- what may befall it ----------------------------------------------------------------------

    def process(self, role):
        """Return the process of a role; None where no snapshot is being taken."""
        return self.supervisor._taking.process if role == SNAPSHOT else self.supervisor.processes[role]

    def kill(self, role):
        """Kill a process, in the midst of its work or of its beginning, and see it begun again."""
        while self._killed(role) != -signal.SIGKILL:
            pass  # it has ended by itself just before, as a snapshot's may
        self.counts[f"kills of {role}"] += 1

    def _killed(self, role):
        """Kill a process and see it replaced; return how it has ended."""
        process = self.until(lambda: self.process(role))
        process.kill()
        self.until(lambda: self.process(role) is not process)
        return process.returncode

    def freeze(self, role):
        """Stop a process until it is missed, or for a while where nobody misses it; then let it go on."""
        process = self.until(lambda: self.process(role))
        process.send_signal(signal.SIGSTOP)
        try:
            if role == SEQUENCER:
                self.more("waited", 1)
            else:
                self.more("order", LINES_A_ROUND)
        finally:
            process.send_signal(signal.SIGCONT)
        self.counts[f"stops of {role}"] += 1

    def round(self, chance):
        """Let them trade; then kill or stop a process in the midst of it."""
        self.more("order", LINES_A_ROUND)
        chance.choice((self.kill, self.freeze))(chance.choice(ROLES))

    # --- what must hold --------------------------------------------------------------------------

    def differences(self):
        """Compare the ledgers with the venue, which is stopped; return in words what is lost or doubled.

        Counts what was heard in `counts`.
        """
        verdict = verify(self.folder)
        found = [*verdict.differences]
        entered = entered_orders(self.folder.journal)
        doubled = len(entered) - len(set(entered.values()))
        if doubled:
            found.append(f"{doubled} ids became two orders")
        self.counts["ids doubled"] += doubled
        self.counts["restarts"] += sum("is begun again" in line for line in self.told)
        with duckdb.connect(str(self.folder.settlement), read_only=True) as store:
            for name, ledger in self.ledgers.items():
                ledger.look()
                found += self._lost(name, ledger, entered) + self._missed(name, ledger, store)
        return found

    def _lost(self, name, ledger, entered):
        """Return which answered orders the journal does not hold."""
        answered = {int(words[1]): words[2] for words in ledger.lines if words[0] == "order"}
        lost = sorted(order for order, text in answered.items() if entered.get(order) != text)
        self.counts["orders answered"] += len(answered)
        self.counts["orders lost"] += len(lost)
        return [f"{name}: {len(lost)} answered orders lost, the first {lost[:3]}"] if lost else []

    def _missed(self, name, ledger, store):
        """Return where the fills that a trader has heard are not the trades of the store."""
        heard = [
            (int(words[2]), int(words[1]), int(words[3])) for words in ledger.lines if words[0] == "fill"
        ]
        order = "buy_order" if SIDES[name] == "buy" else "sell_order"
        rows = store.execute(f"select trade, {order}, quantity from trades order by 1").fetchall()  # noqa: S608
        self.counts["fills heard"] += len(heard)
        apart = sorted(set(rows) ^ set(heard))
        if apart or len(heard) != len(set(heard)):
            return [f"{name}: {len(heard)} fills heard, {len(rows)} trades; apart {apart[:3]}"]
        return []


def hang_up(trader):
    """Tell a trader to come to its end."""
    assert trader.stdin is not None
    trader.stdin.close()
