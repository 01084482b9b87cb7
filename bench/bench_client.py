"""A firm's own objects, end to end: answered orders a second through `place_all` of a real client."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from exchange import connect, connect_sync, load_profile
from exchange.client.desk import Desk
from exchange.client.session import Session
from exchange.config import Settings, ThrottleSettings
from exchange.protocol.acts import Admit
from exchange.protocol.messages import REPORTS
from exchange.protocol.records import REPORT_STRUCT, Report
from exchange.server.folder import Folder, new_key_pair
from exchange.server.founding import MILLION_YUAN, standard_acts, voucher
from exchange.server.supervisor import Supervisor
from exchange.server.warm import warm_up
from matching.vocabulary import EventKind, OrderState

ORDERS = 100_000
A_MESSAGE = 1_024
FIRM = "BENCH"
UNTHROTTLED = Settings(throttle=ThrottleSettings(orders_per_second=10**7, orders_burst=10**7))


def tickets_of(exchange, count):
    """Return deep bids of one lot that never trade, over a hundred instruments."""
    instruments = [exchange.instruments[symbol] for symbol in list(exchange.instruments)[:100]]
    lowest = [one.buy(1, limit=one.tick, time_in_force="day") for one in instruments]
    return [lowest[number % len(lowest)] for number in range(count)]


async def placed_by_tasks(profile, count):
    """Place orders by the asynchronous client; return seconds, and how many were refused."""
    async with connect(profile) as exchange:
        await exchange.place_all(tickets_of(exchange, A_MESSAGE), timeout=60)
        tickets = tickets_of(exchange, count)
        began = time.perf_counter()
        outcomes = await exchange.place_all(tickets, timeout=60)
        return time.perf_counter() - began, sum(isinstance(one, Exception) for one in outcomes)


def placed(profile, count):
    """Place orders by the synchronous client; return seconds, and how many were refused."""
    with connect_sync(profile) as exchange:
        exchange.place_all(tickets_of(exchange, A_MESSAGE), timeout=60)
        tickets = tickets_of(exchange, count)
        began = time.perf_counter()
        outcomes = exchange.place_all(tickets, timeout=60)
        return time.perf_counter() - began, sum(isinstance(one, Exception) for one in outcomes)


@pytest.mark.parametrize("client", ["sync", "async"])
def bench_client(benchmark, tmp_path: Path, client):
    """A venue with its followers running, and one member that places orders by the client's own calls."""
    warm_up()
    folder = Folder(tmp_path / "venue")
    firm = Admit(member=FIRM, role="firm", size="small", open_orders_max=10**9)
    keys = [new_key_pair(FIRM)]
    folder.found(standard_acts([(firm, 10**8 * MILLION_YUAN // 10**4)], keys, [voucher(2026)]), keys)
    supervisor = Supervisor(folder, UNTHROTTLED, told=print)
    told = []

    def place():
        profile = load_profile(folder.profile(FIRM))
        if client == "sync":
            told.append(placed(profile, ORDERS))
        else:
            told.append(asyncio.run(placed_by_tasks(profile, ORDERS)))

    try:
        supervisor.start()
        benchmark.pedantic(place, rounds=1)
    finally:
        supervisor.stop()
    ((seconds, refused),) = told
    benchmark.extra_info.update(
        workload=f"place_all of {ORDERS} tickets, {A_MESSAGE} a message, {client}",
        engine="tokenbourse",
        orders=ORDERS,
        orders_per_second=round(ORDERS / seconds),
        refused=refused,
    )


class Nowhere:
    """A line that leads to no venue."""

    endpoint = "nowhere"
    is_up = True


def bench_client_alone(benchmark):
    """What the client itself costs: canned reports heard, orders written; no socket and no venue."""
    session = Session()
    session.linked()
    session.outbox.clear()
    desk = Desk(session, Nowhere(), lambda _: Nowhere())
    ids = desk.client_ids(ORDERS, None)
    fields = dict.fromkeys(Report._fields, 0) | {
        "kind": int(EventKind.ACCEPTED),
        "state": int(OrderState.OPEN),
    }
    reports = [
        REPORT_STRUCT.pack(
            *Report(**fields | {"order": number + 1, "sequence": number + 1, "client_id": client_id})
        )
        for number, client_id in enumerate(ids)
    ]
    frames = [REPORTS + b"".join(reports[at : at + A_MESSAGE]) for at in range(0, len(reports), A_MESSAGE)]

    def hear():
        for frame in frames:
            session.receive(frame)

    seconds = time.process_time()
    benchmark.pedantic(hear, rounds=1)
    seconds = time.process_time() - seconds
    benchmark.extra_info.update(
        workload="reports of accepted orders heard, 1,024 a message",
        engine="tokenbourse",
        orders=ORDERS,
        orders_per_second=round(ORDERS / seconds),
    )
