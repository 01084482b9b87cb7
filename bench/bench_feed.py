"""Market data: building books, publishing to one reader and to fifty, refreshing a large book."""

from __future__ import annotations

import multiprocessing
import time

import numpy as np
import pytest
import zmq

from bench.bench_durable import PATIENCE_MS, dealer
from bench.feed_line import Load, Published, batches_of, publish, read_all
from exchange.server.sockets import bind, guarded
from feeds.builder import BookBuilder, State
from feeds.messages import DEPTH, LEVELS_REFRESH, ORDERS, ORDERS_REFRESH, read, write_ask
from feeds.publisher import Publisher
from feeds.records import LEVEL_UPDATE, ORDER_UPDATE
from feeds.subscriber import CurveKeys
from matching.batch import match
from matching.layout import empty_book
from matching.workloads import deep

SECONDS = 5
SLOW_KEPT = 1_000
"""Messages kept for each reader where some never read: few enough that these lose some."""
PROCESSES = 2
UPDATES = 400_000


@pytest.mark.parametrize("orders", [False, True], ids=["levels", "orders"])
def bench_building(benchmark, orders):
    """A reader's book from bytes: updates a second of CPU time, a hundred commands a message."""
    publisher, kind = Publisher(run=1, book=empty_book(1)), ORDERS if orders else DEPTH
    frames, publishing = [], 0.0
    builder = None
    for book, batch in batches_of(Load(UPDATES, 1)):
        began = time.process_time()
        out = publisher.outgoing(batch, book)
        publishing += time.process_time() - began
        if builder is None:
            builder = BookBuilder(0, orders=orders)
            wanted = ORDERS_REFRESH if orders else LEVELS_REFRESH
            builder.take(read(publisher.answer(write_ask(wanted, 0), book)), 0)
            continue
        frames += [frame for frame in out if frame[:1] == kind]
    record = ORDER_UPDATE if orders else LEVEL_UPDATE
    updates = sum(len(read(frame).rows) for frame in frames) // record.size

    def build():
        began = time.process_time()
        for frame in frames:
            builder.take(read(frame), 0)
        return time.process_time() - began

    seconds = benchmark.pedantic(build, rounds=1)
    assert builder.state is State.LIVE
    benchmark.extra_info.update(
        workload=f"realistic, {len(frames)} messages",
        engine="tokenbourse",
        updates=updates,
        updates_per_second=round(updates / seconds),
        publishing_us_a_batch=round(publishing / len(frames) * 1e6, 1),
    )


@pytest.mark.parametrize(
    ("readers", "rate", "slow"),
    [(1, 200_000, 0), (50, 50_000, 0), (50, 50_000, 5)],
    ids=["one", "fifty", "fifty-of-which-five-are-slow"],
)
def bench_publishing(benchmark, readers, rate, slow):
    """A publisher at a rate, CURVE on, and readers in other processes: what is lost, how long it takes."""
    server, own = zmq.curve_keypair(), zmq.curve_keypair()
    spawn = multiprocessing.get_context("spawn")
    line, other = spawn.Pipe()
    load = Load(rate, SECONDS, kept=SLOW_KEPT) if slow else Load(rate, SECONDS)
    processes = [spawn.Process(target=publish, args=(other, server[1], load))]
    processes[0].start()
    other.close()
    lines = []
    try:
        endpoints = line.recv()
        keys = CurveKeys(server[0], *own)
        for share in np.array_split(np.arange(readers), min(PROCESSES, readers)):
            ours, theirs = spawn.Pipe()
            dozing = slow if not lines else 0
            arguments = (theirs, endpoints, keys, len(share) - dozing, dozing)
            processes.append(spawn.Process(target=read_all, args=arguments))
            processes[-1].start()
            theirs.close()
            lines.append(ours)
        assert [one.recv() for one in lines] == ["ready"] * len(lines)

        def run():
            line.send("go")
            return line.recv()

        told = benchmark.pedantic(run, rounds=1)
        for one in lines:
            one.send("end")
        heard = [one.recv() for one in lines]
        line.send("end")
        for process in processes:
            process.join(PATIENCE_MS / 1000)
    finally:
        for process in processes:
            process.kill()
    assert isinstance(told, Published)
    benchmark.extra_info.update(
        workload=f"realistic, one instrument, {readers} readers, {slow} of them never read",
        engine="tokenbourse",
        updates_per_second=rate,
        publisher_late_ms=told.late_ms,
        messages=told.messages,
        lost=sum(one.lost for one in heard),
        lost_by_slow_readers=sum(one.slept_through for one in heard),
        books=[one.state for one in heard],
        losses=sum(one.losses for one in heard),
        wait_ms=[one.wait_ms for one in heard],
    )


def bench_refresh(benchmark):
    """A book of 100,000 orders over CURVE: from the ask to the bytes, and to the book."""
    workload = deep(commands=1, resting=100_000)
    book, _ = match(empty_book(1), workload.warm_up)
    publisher = Publisher(run=1, book=book)
    server, own = zmq.curve_keypair(), zmq.curve_keypair()
    with zmq.Context() as context:
        refresh = guarded(context, zmq.ROUTER, server[1])
        desk = dealer(
            context, bind(refresh, "tcp://127.0.0.1:0"), *(key.decode() for key in (server[0], *own))
        )

        def fetched():
            began = time.perf_counter()
            desk.send(write_ask(ORDERS_REFRESH, 0))
            who, request = refresh.recv_multipart()
            refresh.send_multipart((who, publisher.answer(request, book)))
            frame = desk.recv()
            waited = time.perf_counter() - began
            builder = BookBuilder(0, orders=True)
            builder.take(read(frame), 0)
            return waited, time.perf_counter() - began, len(read(frame).orders)

        fetched()
        waited, built, orders = benchmark.pedantic(fetched, rounds=1)
        desk.close()
        refresh.close()
    benchmark.extra_info.update(
        workload="deep",
        engine="tokenbourse",
        orders=orders,
        refresh_ms=round(waited * 1e3, 1),
        with_book_ms=round(built * 1e3, 1),
    )
