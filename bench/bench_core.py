"""The whole core: holds, fees, one programme on half of the buys, matching, events; one core."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

import numpy as np

from exchange.engine import Engine
from exchange.instruments import Instrument
from exchange.protocol.acts import (
    Act,
    Admit,
    DefineProgramme,
    Deposit,
    Issue,
    ListInstruments,
    SetCapacity,
    SetFees,
    SignedAct,
)
from exchange.protocol.arrays import COMMAND
from matching.vocabulary import CommandKind, EventKind, Side, TimeInForce
from matching.workloads import realistic
from settlement.terms import ProgrammeTerms, Rate

BATCH = 4096
COMMANDS = 500_000
ROUNDS = 3
FIRMS = 1_000
NOON = int(datetime(2026, 6, 1, 4, tzinfo=UTC).timestamp()) * 10**9
CREDITS = 10**9


def market() -> Engine:
    """Return an engine with one instrument of tick 1, a thousand firms that hold its credits, a programme."""
    listed = Instrument(
        symbol="BENCH", name="Bench", kind="model", provider="PROVIDER", domestic=True, filed=True,
        region="", tier="standard", list_price=1_000_000, tick=1, source="sample",
        source_version="1", source_date="2026-11-21",
    )  # fmt: skip
    terms = ProgrammeTerms(
        code="BENCH-2026", version=1, fiscal_year=2026, budget=10**17, rates=(Rate(rate=3_000),),
        ceiling=10_000, order_cap=10**15, group_cap=10**16, valid_from=date(2026, 1, 1),
        valid_through=date(2026, 12, 31),
    )  # fmt: skip
    acts: list[Act] = [Admit(member="PROVIDER", role="provider")]
    for number in range(FIRMS):
        firm = f"F{number}"
        acts += [
            Admit(member=firm, role="firm", size="small", turnover_max=2**60),
            Deposit(firm, 10**15),
        ]
    acts += [
        SetFees("model", 2, 5),
        ListInstruments((listed,)),
        SetCapacity("BENCH", CREDITS),
        Issue("BENCH", CREDITS),
        DefineProgramme(terms),
    ]
    commands = np.zeros(len(acts), COMMAND)
    commands["kind"] = CommandKind.ACT
    commands["act"] = np.arange(len(acts))
    commands["time"] = NOON
    engine = Engine()
    outcome = engine.apply(commands, tuple(SignedAct("BENCH", "bench", act) for act in acts))
    assert all(result.reason == 0 for result in outcome.acts)
    spread_credits(engine)
    return engine


def spread_credits(engine: Engine) -> None:
    """Let the provider sell every firm the credits that it will trade."""
    lots = CREDITS // FIRMS
    orders = np.zeros(2 * FIRMS, COMMAND)
    orders["kind"] = CommandKind.NEW
    orders["side"] = np.tile([Side.SELL, Side.BUY], FIRMS)
    orders["member"] = np.where(orders["side"] == Side.SELL, 1, np.repeat(np.arange(2, FIRMS + 2), 2))
    orders["price"], orders["quantity"], orders["programme"] = 1, lots, -1
    orders["client_id"] = names("spread", 0, len(orders))
    orders["sent_at"] = orders["time"] = NOON
    outcome = engine.apply(orders)
    assert int((outcome.events["kind"] == EventKind.TRADED).sum()) == FIRMS


def names(prefix: str, start: int, count: int) -> np.ndarray:
    """Return client ids as the three words of a record."""
    texts = np.array([f"{prefix}-{number}" for number in range(start, start + count)], "S24")
    return texts.view("<i8").reshape(count, 3)


def as_commands(tape: np.ndarray, first: int, ids: dict[int, int], start: int) -> np.ndarray:
    """Return a matching tape as the exchange's commands; `ids` maps the tape's order ids to ours.

    Its replaces are left out: the venue does not take them yet.
    """
    tape = tape[tape["kind"] != CommandKind.REPLACE]
    commands = np.zeros(len(tape), COMMAND)
    for field in ("kind", "side", "time_in_force", "instrument", "price", "quantity"):
        commands[field] = tape[field]
    commands["member"] = 2 + tape["member"] % FIRMS
    buys = (tape["kind"] == CommandKind.NEW) & (tape["side"] == Side.BUY)
    commands["programme"] = np.where(buys & (tape["order"] % 2 == 0), 0, -1)
    subsidised = commands["programme"] == 0
    commands["time_in_force"][subsidised & (tape["time_in_force"] == TimeInForce.GTC)] = TimeInForce.DAY
    commands["client_id"] = names("bench", start, len(tape))
    commands["sent_at"] = commands["time"] = NOON
    for row in np.flatnonzero(tape["kind"] == CommandKind.NEW):
        ids[int(tape["order"][row])] = first + int(row)
    changes = np.flatnonzero(tape["kind"] != CommandKind.NEW)
    commands["order"][changes] = [ids.get(int(order), 0) for order in tape["order"][changes]]
    return commands


def bench_core(benchmark):
    """`realistic` through the whole core, half of the buys subsidised, in batches of 4,096."""
    warm_up, tape = realistic(COMMANDS, 1)
    results = []

    def setup():
        engine = market()
        ids: dict[int, int] = {}
        first = engine.sequence + 1
        engine.apply(as_commands(warm_up, first, ids, 0))
        commands = as_commands(tape, engine.sequence + 1, ids, len(warm_up))
        return (engine, commands), {}

    def once(engine, commands):
        trades = subsidised = 0
        seconds = 0.0
        for start in range(0, len(commands), BATCH):
            begin = time.process_time_ns()
            outcome = engine.apply(commands[start : start + BATCH])
            seconds += (time.process_time_ns() - begin) / 1e9
            trades += int((outcome.events["kind"] == EventKind.TRADED).sum())
            subsidised += int((outcome.effects["subsidy"] > 0).sum())
        results.append((seconds / len(commands), trades, subsidised))

    benchmark.pedantic(once, setup=setup, rounds=ROUNDS, warmup_rounds=1)
    seconds_each = sorted(result[0] for result in results[1:])[len(results[1:]) // 2]
    benchmark.extra_info.update(
        workload="realistic, half of the buys subsidised",
        engine="tokenbourse",
        commands=COMMANDS,
        cpu_ns_per_command=round(seconds_each * 1e9, 1),
        commands_per_second=round(1 / seconds_each),
        trades=results[-1][1],
        subsidised_events=results[-1][2],
    )
