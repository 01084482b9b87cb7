"""The matching kernels alone: commands a second on one core, events written, by workload."""

from __future__ import annotations

import time

import numpy as np
import pytest

from matching.batch import match, room_for_events, run
from matching.flow import WORKLOADS
from matching.layout import EVENT, Book, grown
from matching.vocabulary import NO_SLOT, EventKind

BATCH = 4096
COMMANDS = 1_000_000
ROUNDS = 5


def roomy(book: Book, tape: np.ndarray) -> Book:
    """Return a copy of `book` with room for every order of `tape`, so that no growth is measured."""
    orders = len(book.orders) + min(len(tape), 200_000)
    return book._replace(
        orders=grown(book.orders.copy(), orders),
        levels=grown(book.levels.copy(), len(book.levels) + 40_000),
        nodes=grown(book.nodes.copy(), len(book.nodes) + 4_096),
        children=grown(book.children.copy(), len(book.children) + 4_096, NO_SLOT),
        halves=book.halves.copy(),
        markets=book.markets.copy(),
        places=book.places.copy(),
        counts=book.counts.copy(),
    )


def play(book: Book, tape: np.ndarray, events: np.ndarray) -> tuple[int, int, int, float]:
    """Run a tape in batches; return events, trades, lots traded, and CPU seconds in the kernel."""
    count = trades = lots = 0
    seconds = 0.0
    for start in range(0, len(tape), BATCH):
        batch = tape[start : start + BATCH]
        begin = time.process_time_ns()
        done, written = run(book, batch, 0, events)
        seconds += (time.process_time_ns() - begin) / 1e9
        assert done == len(batch), "the book was not made roomy enough"
        traded = events[:written]["kind"] == EventKind.TRADED
        trades += int(traded.sum())
        lots += int(events[:written]["quantity"][traded].sum())
        count += written
    return count, trades, lots, seconds


@pytest.mark.parametrize("workload", list(WORKLOADS))
def bench_matching(benchmark, workload):
    """One workload in batches of 4,096, from the same book each round; the best of five is told too."""
    warm_up, tape = WORKLOADS[workload](COMMANDS, 1)
    instruments = int(max(warm_up["instrument"].max(), tape["instrument"].max())) + 1
    from matching.layout import empty_book

    filled, _ = match(empty_book(instruments), warm_up)
    events = np.zeros(room_for_events(filled) + 4 * BATCH + len(tape), EVENT)
    results = []

    def setup():
        return (roomy(filled, tape), tape, events), {}

    def once(book, commands, output):
        results.append(play(book, commands, output))

    benchmark.pedantic(once, setup=setup, rounds=ROUNDS, warmup_rounds=1)
    seconds = sorted(result[3] for result in results[1:])[len(results[1:]) // 2]
    benchmark.extra_info.update(
        workload=workload,
        engine="tokenbourse",
        commands=len(tape),
        cpu_ns_per_command=round(seconds / len(tape) * 1e9, 1),
        commands_per_second=round(len(tape) / seconds),
        events=results[-1][0],
        trades=results[-1][1],
        quantity=results[-1][2],
    )
