"""The whole core: holds, fees, a programme on half of the buys, matching, events; 100,000 accounts, one core.

What each stage costs is the difference between runs over the same tape: the order book alone; orders that are
looked at, noted with their ids, and refused; all of them settled without a programme; and with one.
"""

from __future__ import annotations

import copy
import time
from datetime import UTC, date, datetime
from typing import NamedTuple

import numpy as np

from exchange.core import run
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
from exchange.state import Core, Output
from matching.layout import EVENT, zeros
from matching.vocabulary import CommandKind, EventKind, Side, TimeInForce
from matching.workloads import realistic
from settlement.layout import EFFECT
from settlement.terms import ProgrammeTerms, Rate

BATCH = 1024
COMMANDS = 500_000
ROUNDS = 5
FIRMS = 50_000
NOON = int(datetime(2026, 6, 1, 4, tzinfo=UTC).timestamp()) * 10**9
MONEY_EACH = 5 * 10**13
CREDITS_EACH = 200_000


def founding(firms: int) -> tuple[SignedAct, ...]:
    """Return the acts of a market: one instrument of tick 1, firms with money, and a programme."""
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
    for number in range(firms):
        firm = f"F{number}"
        acts += [
            Admit(member=firm, role="firm", size="small", turnover_max=2**60),
            Deposit(firm, MONEY_EACH),
        ]
    acts += [
        SetFees("model", 2, 5),
        ListInstruments((listed,)),
        SetCapacity("BENCH", CREDITS_EACH * firms),
        Issue("BENCH", CREDITS_EACH * firms),
        DefineProgramme(terms),
    ]
    return tuple(SignedAct("BENCH", "bench", act) for act in acts)


def market(firms: int = FIRMS) -> Engine:
    """Return an engine with that market, where every firm has credits to sell."""
    acts = founding(firms)
    commands = np.zeros(len(acts), COMMAND)
    commands["kind"] = CommandKind.ACT
    commands["act"] = np.arange(len(acts))
    commands["time"] = NOON
    engine = Engine()
    outcome = engine.apply(commands, acts)
    assert all(result.reason == 0 for result in outcome.acts)
    outcome = engine.apply(sales(firms))
    assert int((outcome.events["kind"] == EventKind.TRADED).sum()) == firms
    return engine


def sales(firms: int) -> np.ndarray:
    """Return the orders by which the provider sells every firm the credits that it will trade."""
    orders = np.zeros(2 * firms, COMMAND)
    orders["kind"] = CommandKind.NEW
    orders["side"] = np.tile([Side.SELL, Side.BUY], firms)
    orders["member"] = np.where(orders["side"] == Side.SELL, 1, np.repeat(np.arange(2, firms + 2), 2))
    orders["price"], orders["quantity"], orders["programme"] = 1, CREDITS_EACH, -1
    orders["client_id"] = names("spread", 0, len(orders))
    orders["sent_at"] = orders["time"] = NOON
    return orders


def names(prefix: str, start: int, count: int) -> np.ndarray:
    """Return client ids as the three words of a record."""
    texts = np.array([f"{prefix}-{number}" for number in range(start, start + count)], "S24")
    return texts.view("<i8").reshape(count, 3)


def as_commands(
    tape: np.ndarray, first: int, ids: dict[int, int], start: int, firms: int = FIRMS
) -> np.ndarray:
    """Return a matching tape as the exchange's commands; `ids` maps the tape's order ids to ours."""
    commands = np.zeros(len(tape), COMMAND)
    for field in ("kind", "side", "time_in_force", "instrument", "price", "quantity"):
        commands[field] = tape[field]
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
    # An order's owner is drawn by its id, so that whoever changes it is the same.
    commands["member"] = 2 + tape["order"] * 7_919 % firms
    return commands


class Tape(NamedTuple):
    """An engine whose book the warm-up has filled, the commands to play on it, and room for their events."""

    engine: Engine
    commands: np.ndarray
    output: Output

    def played(self) -> tuple[float, np.ndarray, np.ndarray]:
        """Play the tape on a copy; return the kernel's CPU time in ns, and the kinds and subsidies told.

        Time is that of the kernel's calls. Making room is not in it: a venue that has run for a day has it.
        """
        engine = copy.copy(self.engine)
        engine.core = copy_of(self.engine.core)
        spent = 0
        kinds, subsidies = [], []
        for start in range(0, len(self.commands), BATCH):
            batch = self.commands[start : start + BATCH]
            row = 0
            while row < len(batch):
                began = time.process_time_ns()
                row, written = run(engine.core, batch, row, engine.sequence + 1 + start, self.output)
                spent += time.process_time_ns() - began
                kinds.append(self.output.events["kind"][:written].copy())
                subsidies.append(self.output.effects["subsidy"][:written].copy())
                if row < len(batch):
                    engine.make_room()
        return spent, np.concatenate(kinds), np.concatenate(subsidies)


def copy_of(core: Core) -> Core:
    """Return a core of its own with the same state and the same room."""
    parts = []
    for part in core:
        if isinstance(part, np.ndarray):
            copied = zeros(len(part), part.dtype)
            copied[...] = part
            parts.append(copied)
        else:
            parts.append(copy_of(part))
    return type(core)(*parts)


def tape_of(commands: int) -> Tape:
    """Set `realistic` up: half of the buys name a programme."""
    warm_up, tape = realistic(commands, 1)
    engine = market()
    ids: dict[int, int] = {}
    engine.apply(as_commands(warm_up, engine.sequence + 1, ids, 0))
    rows = as_commands(tape, engine.sequence + 1, ids, len(warm_up))
    room = len(engine._output.events)
    output = Output(np.zeros(room, EVENT), np.zeros(room, EFFECT))
    return Tape(engine, rows, output)


def bench_core(benchmark):
    """`realistic` through the whole core, half of the buys subsidised, in batches of 1,024."""
    tape = tape_of(COMMANDS)
    plain = tape._replace(commands=tape.commands.copy())
    plain.commands["programme"] = -1
    blocked = plain._replace(engine=copy.copy(tape.engine))
    blocked.engine.core = copy_of(tape.engine.core)
    blocked.engine.core.ledger.members["blocked"] = 1
    tapes = {"whole": tape, "without a programme": plain, "refused": blocked}
    costs: dict[str, list[float]] = {name: [] for name in tapes}
    told = {}

    def once():
        for name, one in tapes.items():
            spent, kinds, subsidies = one.played()
            costs[name].append(spent / len(one.commands))
            told[name] = kinds, subsidies

    benchmark.pedantic(once, rounds=ROUNDS, warmup_rounds=1)
    medians = {name: float(np.median(rounds[1:])) for name, rounds in costs.items()}
    kinds, subsidies = told["whole"]
    benchmark.extra_info.update(
        workload="realistic, half of the buys subsidised",
        engine="tokenbourse",
        commands=COMMANDS,
        accounts=int(tape.engine.core.ledger.totals[0]["accounts"]),
        cpu_ns_per_command=round(medians["whole"], 1),
        cpu_ns_per_command_best=round(min(costs["whole"]), 1),
        commands_per_second=round(1e9 / medians["whole"]),
        ns_without_a_programme=round(medians["without a programme"], 1),
        ns_refused=round(medians["refused"], 1),
        trades=int((kinds == EventKind.TRADED).sum()),
        refused=int((kinds == EventKind.REJECTED).sum()),
        subsidised_events=int((subsidies > 0).sum()),
    )
