"""`bourse bench matching`: what it tells, and that figures of other engines lie beside ours truly."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from bench.peers.adapters import ADAPTERS, Peer
from bench.peers.drive import driven
from bench.peers.runner import Prepared
from exchange import benchmarks
from exchange.cli import bench as face
from exchange.cli import bourse
from matching.vocabulary import Side
from matching.workloads import WORKLOADS

COMMANDS = 2_000


@pytest.fixture(scope="module", params=["realistic", "sweep"])
def stage(request):
    """Return a workload that is set up."""
    return benchmarks.set_up(request.param, COMMANDS)


class FakePeer(Peer):
    """A book of two sorted lists: the least that can be compared with ours."""

    note = "slow"

    def __init__(self, instruments):
        super().__init__(instruments)
        self.halves: list[tuple[list, list]] = [([], []) for _ in range(instruments)]
        self.arrivals = 0

    def new(self, order, side, price, lots, change, instrument):
        return self.enter, (order, side, price, lots, instrument)

    def cancel(self, order, instrument):
        return self.remove, (order, instrument)

    def changed(self, order, side, price, lots, change, instrument):
        return [(self.change, (order, side, price, change, instrument))]

    def enter(self, order, side, price, lots, instrument):
        """Trade, then rest; return the lots of each trade."""
        makers = self.halves[instrument][1 - side]
        fills = []
        while lots and makers and (makers[0][2] <= price if side == Side.BUY else makers[0][2] >= price):
            fills.append(min(lots, makers[0][4]))
            lots -= fills[-1]
            makers[0][4] -= fills[-1]
            if not makers[0][4]:
                makers.pop(0)
        if lots:
            self.arrivals += 1
            half = self.halves[instrument][side]
            half.append([price if side else -price, self.arrivals, price, order, lots])
            half.sort()
        return fills

    def remove(self, order, instrument):
        """Take an order out, and return the lots that were open of it."""
        for half in self.halves[instrument]:
            for at, row in enumerate(half):
                if row[3] == order:
                    return half.pop(at)[4]
        return None

    def change(self, order, side, price, change, instrument):
        """Keep the place of an order whose price stays; the other goes to the back."""
        for row in self.halves[instrument][side]:
            if row[3] == order and row[2] == price and change <= 0:
                row[4] += change
                return []
        return self.enter(order, side, price, self.remove(order, instrument) + change, instrument)

    def count(self, answers):
        for fills in answers:
            if isinstance(fills, list):
                self.trades += len(fills)
                self.lots += sum(fills)


# --- ours ----------------------------------------------------------------------------------------


def test_the_same_is_done_by_batch_and_one_command_a_call(stage):
    played = {batch: benchmarks.play(stage, batch) for batch in (1, 7, benchmarks.BATCH)}
    assert len({one[:3] for one in played.values()}) == 1
    assert played[1].trades > 0
    assert {batch: len(one.call_ns) for batch, one in played.items()} == {1: 2_000, 7: 286, 4_096: 1}


def test_a_round_leaves_the_book_as_it_was(stage):
    before = [part.copy() for part in stage.book if isinstance(part, np.ndarray)]
    benchmarks.play(stage)
    after = [part for part in stage.book if isinstance(part, np.ndarray)]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_latencies_rise_with_their_percentile(stage):
    found = benchmarks.latencies(stage)
    assert list(found) == ["1", "16", "256", "4096"]
    for figures in found.values():
        assert list(figures) == ["p50", "p99", "p99.9", "max"]
        assert list(figures.values()) == sorted(figures.values())


def test_memory_is_told():
    assert benchmarks.bytes_of((np.zeros(3, np.int64), (np.zeros(2, np.int32), 7))) == 32
    idle = benchmarks.in_fresh_process(benchmarks.idle_memory)
    assert idle["instruments"] == 10_000
    assert 0 < idle["resident_bytes"] <= idle["process_bytes"]


# --- the command ---------------------------------------------------------------------------------

RESULT_KEYS = {
    "workload", "engine", "commands", "cpu_ns_per_command", "commands_per_second", "trades", "quantity",
}  # fmt: skip


def call(*arguments):
    """Run `bourse bench matching` on a small tape."""
    return CliRunner().invoke(
        bourse, ["bench", "matching", "--workload", "sweep", "--commands", str(COMMANDS), *arguments]
    )


def test_the_json_has_its_keys():
    done = call("--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert {"results", "memory", "clock_ns", "machine"} <= set(told)
    assert [one["engine"] for one in told["results"]] == ["tokenbourse", "tokenbourse, one command a call"]
    for one in told["results"]:
        assert one.keys() >= RESULT_KEYS
        assert (one["workload"], one["commands"]) == ("sweep", COMMANDS)
    assert len({(one["trades"], one["quantity"]) for one in told["results"]}) == 1


def test_a_table_is_printed_for_a_person():
    done = call()
    assert done.exit_code == 0, done.output
    for word in ("tokenbourse, one command a call", "times ours", "p99.9", "mostly idle"):
        assert word in done.stdout


def test_the_face_knows_the_workloads():
    assert list(WORKLOADS) == list(face.WORKLOADS)


@pytest.mark.parametrize(
    ("folders", "told"), [((), "from a checkout"), (("bench/peers",), "make bench-peers")]
)
def test_peers_that_are_not_there_are_told_with_the_remedy(tmp_path, monkeypatch, folders, told):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(face, "CHECKOUT", tmp_path)
    done = call("--peers")
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


# --- the peers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("workload", ["realistic", "hundred", "sweep"])
def test_a_peer_makes_our_trades_from_the_same_tape(workload):
    with Prepared(workload, COMMANDS) as prepared, np.load(prepared.path) as steps:
        told = driven(FakePeer(100), steps["fill"], steps["tape"], seconds=60)
        ours = benchmarks.play(prepared.stage)
    assert told.keys() >= RESULT_KEYS - {"workload", "engine"}
    assert (told["commands"], told["trades"], told["quantity"]) == (COMMANDS, ours.trades, ours.quantity)


def test_a_slow_peer_plays_a_shorter_tape():
    with Prepared("sweep", COMMANDS) as prepared, np.load(prepared.path) as steps:
        told = driven(FakePeer(1), steps["fill"], steps["tape"], seconds=0)
        ours = benchmarks.play(prepared.stage.first(told["commands"]))
    assert told["commands"] == 256
    assert (told["trades"], told["quantity"]) == (ours.trades, ours.quantity)


def test_a_peer_that_cannot_fill_the_book_is_told_so():
    with Prepared("sweep", COMMANDS) as prepared, np.load(prepared.path) as steps:
        told = driven(FakePeer(1), steps["fill"], steps["tape"], seconds=60, seconds_to_fill=0)
    assert "256 of" in told["missing"]


def test_a_peer_that_is_not_installed_is_told_so():
    with Prepared("sweep", COMMANDS) as prepared:
        told = prepared.compared("litebook", python=sys.executable)
    assert told["missing"].startswith("not installed")
    assert (told["workload"], told["engine"]) == ("sweep", "litebook")


def test_each_peer_says_what_it_does_otherwise():
    assert all(kind.package and kind.note for kind in ADAPTERS.values())
