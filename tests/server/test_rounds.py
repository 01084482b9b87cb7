"""Processes killed and stopped under load, with a ledger of what was answered kept outside of the venue."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from random import Random

import duckdb
import pytest

from exchange.client.sync import connect_sync
from exchange.config import Settings
from exchange.protocol.acts import Admit
from exchange.server.audit import verify
from exchange.server.folder import Folder, new_key_pair
from exchange.server.founding import MILLION_YUAN, standard_acts, voucher
from exchange.server.replay import entered_orders
from exchange.server.supervisor import FEED, SEQUENCER, SETTLEMENT, Supervisor
from exchange.server.warm import warm_up

SIDES = {"ANN": "buy", "ALIBABA": "sell"}
LINES_A_ROUND = 120
PATIENCE_SECONDS = 90.0


class World:
    """A venue, and programs that trade on it."""

    def __init__(self, root):
        self.folder = Folder(root / "venue")
        firm = Admit(member="ANN", role="firm", size="small", region="HANGZHOU", open_orders_max=10**6)
        keys = [new_key_pair(name) for name in (*SIDES, "OPERATOR")]
        year = time.gmtime().tm_year
        acts = standard_acts([(firm, 1_000 * MILLION_YUAN)], keys, [voucher(year)])
        self.folder.found(acts, keys)
        self.told: list[str] = []
        self.supervisor = Supervisor(self.folder, Settings(), self.told.append)
        self.supervisor.restarts_max = 10**6
        self.ledgers = {name: root / f"{name}.ledger" for name in SIDES}
        self.traders: list[subprocess.Popen] = []

    def start(self):
        self.supervisor.start()
        for seed, (name, side) in enumerate(SIDES.items()):
            profile, ledger = str(self.folder.profile(name)), str(self.ledgers[name])
            arguments = [sys.executable, "-m", "tests.server.trader", profile, ledger, side, str(seed)]
            self.traders.append(subprocess.Popen(arguments, stdin=subprocess.PIPE))

    def lines(self, word=""):
        """Return how many lines of a sort each ledger has by now; the one that has least."""
        texts = (path.read_text() if path.exists() else "" for path in self.ledgers.values())
        return min(sum(line.startswith(word) for line in text.splitlines()) for text in texts)

    def until(self, condition):
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            assert all(trader.poll() is None for trader in self.traders), "a trader has given up"
            self.supervisor.look_after()
            if condition():
                return
            select.select((), (), (), 0.02)
        raise AssertionError("it did not come about in time")

    def more(self, word, count):
        """Wait until every ledger has more lines of a sort."""
        before = self.lines(word)
        self.until(lambda: self.lines(word) >= before + count)

    def finish(self):
        """Let the traders hear the rest, and the settlement come to the end; then stop all."""
        for trader in self.traders:
            hang_up(trader)
        for trader in self.traders:
            assert trader.wait(PATIENCE_SECONDS) == 0
        self.traders.clear()
        with connect_sync(self.folder.profile("ANN"), timeout=PATIENCE_SECONDS) as client:
            head = client.sequence
        self.until(lambda: self.folder.passed() >= head)
        self.supervisor.stop()

    def end(self):
        for trader in self.traders:
            if trader.poll() is None:
                trader.kill()
            trader.wait()
            hang_up(trader)
        self.supervisor.stop()


def hang_up(trader):
    assert trader.stdin is not None
    trader.stdin.close()


@pytest.fixture
def world(tmp_path):
    warm_up()
    place = World(tmp_path)
    try:
        place.start()
        yield place
    finally:
        place.end()


def kill(world, role):
    """Kill a process, in the midst of its work or of its beginning, and see it begun again."""
    process = world.supervisor.processes[role]
    process.kill()
    world.until(lambda: world.supervisor.processes[role] is not process)


def freeze(world, role):
    """Stop a process until it is missed, or for a while where nobody misses it; then let it go on."""
    process = world.supervisor.processes[role]
    os.kill(process.pid, signal.SIGSTOP)
    try:
        if role == SEQUENCER:
            world.more("waited", 1)
        else:
            world.more("order", LINES_A_ROUND)
    finally:
        os.kill(process.pid, signal.SIGCONT)


def play(world, rounds, seed):
    """Kill or stop a process a round, in the midst of trading; then compare the ledgers with the venue."""
    chance = Random(seed)
    for _ in range(rounds):
        world.more("order", LINES_A_ROUND)
        chance.choice((kill, freeze))(world, chance.choice((SEQUENCER, SETTLEMENT, FEED)))
    world.more("order", LINES_A_ROUND)
    world.finish()
    verdict = verify(world.folder)
    assert verdict.differences == []
    entered = entered_orders(world.folder.journal)
    assert sorted(entered.values()) == sorted(set(entered.values())), "an id became two orders"
    for name, side in SIDES.items():
        lines = [line.split() for line in world.ledgers[name].read_text().splitlines()]
        answered = {int(words[1]): words[2] for words in lines if words[0] == "order"}
        assert len(answered) >= rounds * LINES_A_ROUND
        lost = {order: text for order, text in answered.items() if entered.get(order) != text}
        assert lost == {}
        fills = sorted((int(words[2]), int(words[1]), int(words[3])) for words in lines if words[0] == "fill")
        order = "buy_order" if side == "buy" else "sell_order"
        with duckdb.connect(str(world.folder.settlement), read_only=True) as store:
            rows = store.execute(f"select trade, {order}, quantity from trades order by 1").fetchall()  # noqa: S608
        missed = sorted(set(rows) - set(fills))
        assert (len(rows), missed[:3], missed[-3:]) == (len(fills), [], []), name
        assert len(fills) == len(set(fills)) > 0


def test_ten_rounds_of_kill_and_stop_lose_and_double_nothing(world):
    play(world, 10, 1)


@pytest.mark.slow
def test_a_hundred_rounds_of_kill_and_stop_lose_and_double_nothing(world, scale):
    play(world, 100 * scale, 2)
