"""The matching kernels alone, and each peer beside them: commands a second on one core, by workload."""

from __future__ import annotations

import pytest

from bench.peers.adapters import ADAPTERS
from bench.peers.runner import PYTHON, Prepared
from exchange.benchmarks import (
    COMMANDS,
    ENGINE,
    ROUNDS,
    bytes_per_order,
    idle_memory,
    in_fresh_process,
    latencies,
    play,
    result,
    set_up,
    singly,
)
from matching.workloads import WORKLOADS


@pytest.fixture(scope="module", params=list(WORKLOADS))
def stage(request):
    """Return each workload, set up once for all that is measured on it."""
    return set_up(request.param)


@pytest.fixture(scope="module", params=list(WORKLOADS))
def prepared(request):
    """Yield each workload as the peers can play it."""
    if not PYTHON.exists():
        pytest.skip("`make bench-peers` installs the peers")
    with Prepared(request.param, COMMANDS) as workload:
        yield workload


def bench_matching(benchmark, stage):
    """In batches of 4,096, from the same book each round; what a batch takes, and the best of five, too."""
    rounds = []
    benchmark.pedantic(lambda: rounds.append(play(stage)), rounds=ROUNDS, warmup_rounds=1)
    spent_ns = [int(one.call_ns.sum()) for one in rounds[1:]]
    told = result(stage, ENGINE, spent_ns, rounds[-1]) | {"batch_ns": latencies(stage)}
    if stage.workload == "deep":
        told["bytes_per_order"] = bytes_per_order(stage.book)
    benchmark.extra_info.update(told)


def bench_matching_singly(benchmark, stage):
    """One command a call, in a plain Python loop."""
    benchmark.extra_info.update(benchmark.pedantic(singly, args=(stage,), rounds=1))


def bench_idle_instruments(benchmark):
    """What 10,000 listed instruments take of a fresh process, a few of them with a few orders."""
    measured = benchmark.pedantic(in_fresh_process, args=(idle_memory,), rounds=1)
    benchmark.extra_info.update(measured)


@pytest.mark.parametrize("peer", list(ADAPTERS))
def bench_peer(benchmark, prepared, peer):
    """A peer over the same tape, in its own process and its own loop, and ours on as many commands."""
    benchmark.extra_info.update(benchmark.pedantic(prepared.compared, args=(peer,), rounds=1))
