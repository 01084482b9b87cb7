"""Dry runs beside 100,000 open orders: the copy, for which the settlement waits, and what is played on it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from exchange.engine import Engine
from exchange.protocol.acts import Act, Admit, CancelOrders, SetPhase
from exchange.protocol.arrays import COMMAND
from exchange.protocol.rehearsals import Rehearsal
from exchange.rehearsal import rehearse_on
from exchange.server.founding import OPERATOR, standard_acts, voucher
from exchange.server.sequencer import as_batch
from exchange.standstill import Standstill, standstill
from matching.vocabulary import NO_SLOT

ORDERS = 100_000
NOON = int(datetime(2026, 6, 1, 4, tzinfo=UTC).timestamp()) * 10**9
FIRMS = 60
BATCH = 4_096
ROUNDS = 25


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Return an engine with buys of many firms at rest, below what anybody asks."""
    names = [f"FIRM-{number}" for number in range(FIRMS)]
    firms = [(Admit(member=name, role="firm", open_orders_max=ORDERS), 10**14) for name in names]
    acts = standard_acts(firms, [], [voucher(2026)])
    batch = as_batch(acts)
    batch["time"] = NOON
    engine = Engine()
    engine.apply(batch, acts)
    listed = engine.registry.instruments[0]
    numbers = np.array([engine.registry.member_numbers[name] for name in names])
    chance = np.random.default_rng(1)
    rows = np.zeros(ORDERS, COMMAND)
    rows["member"], rows["programme"] = numbers[np.arange(ORDERS) % FIRMS], NO_SLOT
    ids = np.array([b"order-%d" % number for number in range(ORDERS)], "S24")
    rows["client_id"] = ids.view(np.int64).reshape(ORDERS, 3)
    rows["price"] = listed.tick * chance.integers(1, listed.list_price // listed.tick, ORDERS)
    rows["quantity"] = chance.integers(1, 50, ORDERS)
    rows["sent_at"] = rows["time"] = NOON
    for start in range(0, ORDERS, BATCH):
        engine.apply(rows[start : start + BATCH].copy())
    assert engine.core.book.counts[0]["open_orders"] == ORDERS
    return engine


def bench_rehearsal_copy(benchmark, engine):
    copy = benchmark.pedantic(standstill, args=(engine,), rounds=ROUNDS, warmup_rounds=2)
    assert copy.sequence == engine.sequence


@pytest.mark.parametrize("act", [SetPhase("", "halted"), CancelOrders("FIRM-7")], ids=["halt", "kill"])
def bench_rehearsal(benchmark, engine, act):
    def ready() -> tuple[tuple[Standstill, Act], dict[str, object]]:
        return (standstill(engine), act), {}

    told = benchmark.pedantic(played, setup=ready, rounds=ROUNDS, warmup_rounds=2)
    assert told.is_done
    expected = engine.core.ledger.members[engine.registry.member_numbers["FIRM-7"]]["open_orders"]
    assert told.cancelled.orders == (expected if isinstance(act, CancelOrders) else 0)


def played(still: Standstill, act: Act) -> Rehearsal:
    return rehearse_on(still, [(act, "a measurement")], OPERATOR, NOON)
