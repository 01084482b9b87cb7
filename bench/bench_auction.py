"""Call auctions in the matching kernels alone: a large uncrossing, and each update of a call; one core."""

from __future__ import annotations

from exchange.benchmarks import call_updates, set_up_uncrossing, set_up_updates, uncrossing


def bench_uncrossing(benchmark):
    """One command uncrosses a call of a million orders, about half of which trade."""
    stage = set_up_uncrossing()
    benchmark.extra_info.update(benchmark.pedantic(uncrossing, args=(stage,), rounds=1))


def bench_call_updates(benchmark):
    """New orders and cancels in a call of 10,000 orders, each with the indicative price that follows."""
    stage = set_up_updates()
    benchmark.extra_info.update(benchmark.pedantic(call_updates, args=(stage,), rounds=1))
