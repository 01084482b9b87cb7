"""What the matching kernels cost, measured: for `bourse bench`, and for the benchmarks in `bench/`.

CPU time of the kernel's calls alone, in one process on one core, events written. Each round starts from
the same book: the one that the workload's warm-up has filled, with room for all that the tape will rest
in it, so that no growth is measured.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from matching.batch import match, room_for_events, roomier, run
from matching.layout import COMMAND, EVENT, Book, empty_book
from matching.view import orders_of
from matching.vocabulary import EVERY, CommandKind, EventKind, Phase, Side
from matching.workloads import WORKLOADS

ENGINE = "tokenbourse"
ENGINE_SINGLY = "tokenbourse, one command a call"

COMMANDS = 1_000_000
BATCH = 4096
ROUNDS = 5

LATENCY_BATCHES = (1, 16, 256, 4096)
"""Of what sizes of batches it is told how long one takes."""

LATENCY_CALLS_MAX = 200_000
"""Calls timed one by one: enough for the 99.9th percentile, and the batches of one stay a second's work."""

_PERCENTILES = {"p50": 50, "p99": 99, "p99.9": 99.9, "max": 100}
_ROOM_AT_FIRST = 4096
_EVENTS_PER_ROOM = 16
"""A batch's commands write fewer events each; a batch is no larger than the room at first."""
_CLOCK_READINGS = 10_000

CALL_ORDERS = 1_000_000
"""Orders that an uncrossing finds at rest."""

CALL_RESTING = 10_000
"""Orders that rest in the call that is updated. So many stay: each new one is followed by a cancel."""

CALL_UPDATES = 20_000

_CALL_MEMBERS = 10_000
_CALL_LEVELS = 20_000
_CALL_MIDDLE = 1_000_000
_CALL_LOTS_MAX = 100

IDLE_INSTRUMENTS = 10_000
_IDLE_BUSY = 100
_IDLE_ORDERS_A_SIDE = 4

Result = dict[str, Any]
"""One line of figures, as it is written to JSON."""

Told = Callable[[str], None]
"""Hears what is measured now."""


class Stage(NamedTuple):
    """A workload set up: the book as its warm-up leaves it, the tape, and how much room the tape needs."""

    workload: str
    book: Book
    tape: np.ndarray
    room: int

    def first(self, commands: int) -> Stage:
        """Return the same with the first `commands` of its tape."""
        return self._replace(tape=self.tape[:commands])

    def start(self) -> tuple[Book, np.ndarray]:
        """Return a copy of the book with room for the tape, and room for the events of any batch."""
        events = room_for_events(self.book) + _EVENTS_PER_ROOM * self.room
        return roomier(self.book, self.room), np.zeros(events, EVENT)


class Played(NamedTuple):
    """What came of a tape: events, trades, lots traded, and the CPU time of each call in ns."""

    events: int
    trades: int
    quantity: int
    call_ns: np.ndarray


# --- one tape ------------------------------------------------------------------------------------


def set_up(workload: str, commands: int = COMMANDS, seed: int = 1) -> Stage:
    """Return a workload, with its book filled and the room that it needs found by playing it."""
    warm_up, tape = WORKLOADS[workload](commands, seed)
    instruments = int(max(warm_up["instrument"].max(), tape["instrument"].max())) + 1
    book, _ = match(empty_book(instruments), warm_up)
    stage = Stage(workload, book, tape, _ROOM_AT_FIRST)
    while not _has_room(stage):
        stage = stage._replace(room=2 * stage.room)
    return stage


def _has_room(stage: Stage) -> bool:
    """Tell whether the whole tape runs without a stop for more room."""
    book, events = stage.start()
    batches = (stage.tape[start : start + BATCH] for start in range(0, len(stage.tape), BATCH))
    return all(run(book, batch, 0, events)[0] == len(batch) for batch in batches)


def play(stage: Stage, batch: int = BATCH) -> Played:
    """Play the tape in batches, each call timed; what it wrote is counted while the clock stands."""
    book, events = stage.start()
    count = trades = quantity = 0
    call_ns = []
    for start in range(0, len(stage.tape), batch):
        commands = stage.tape[start : start + batch]
        began = time.process_time_ns()
        done, written = run(book, commands, 0, events)
        call_ns.append(time.process_time_ns() - began)
        assert done == len(commands), "the book has not room enough"
        told = events[:written]
        traded = told["quantity"][told["kind"] == EventKind.TRADED]
        count += int(written)
        trades += len(traded)
        quantity += int(traded.sum())
    return Played(count, trades, quantity, np.array(call_ns))


def play_singly(stage: Stage) -> float:
    """Play the tape one command a call, as a plain Python loop does; return its CPU time in ns."""
    book, events = stage.start()
    ones = [stage.tape[row : row + 1] for row in range(len(stage.tape))]
    began = time.process_time_ns()
    for one in ones:
        run(book, one, 0, events)
    return time.process_time_ns() - began


# --- figures -------------------------------------------------------------------------------------


def result(stage: Stage, engine: str, rounds_ns: Sequence[float], played: Played) -> Result:
    """Return the figures of some rounds over one tape: of the median round, and of the best."""
    commands = len(stage.tape)
    median = float(np.median(rounds_ns))
    return {
        "workload": stage.workload,
        "engine": engine,
        "commands": commands,
        "cpu_ns_per_command": round(median / commands, 1),
        "commands_per_second": round(commands / median * 1e9),
        "cpu_ns_per_command_best": round(min(rounds_ns) / commands, 1),
        "events": played.events,
        "trades": played.trades,
        "quantity": played.quantity,
    }


def by_batch(stage: Stage, rounds: int = ROUNDS) -> Result:
    """Measure a workload in batches of 4,096."""
    played = [play(stage) for _ in range(rounds)]
    return result(stage, ENGINE, [int(one.call_ns.sum()) for one in played], played[0])


def singly(stage: Stage, rounds: int = ROUNDS) -> Result:
    """Measure a workload one command a call. Its trades are counted in a round that is not timed."""
    played = play(stage, batch=1)
    return result(stage, ENGINE_SINGLY, [play_singly(stage) for _ in range(rounds)], played)


def latencies(stage: Stage) -> dict[str, dict[str, int]]:
    """Return how long a batch takes, in ns of CPU time: by its size, a few percentiles and the most.

    Two readings of the clock are in each figure; `clock_ns` tells what they cost.
    """
    found = {}
    for batch in LATENCY_BATCHES:
        call_ns = play(stage.first(batch * LATENCY_CALLS_MAX), batch).call_ns
        found[str(batch)] = {name: int(np.percentile(call_ns, at)) for name, at in _PERCENTILES.items()}
    return found


def clock_ns() -> int:
    """Return what two readings of the CPU clock cost, one after the other, in ns."""
    readings = [time.process_time_ns() for _ in range(_CLOCK_READINGS)]
    return int(np.median(np.diff(readings)))


def matching(
    workloads: Sequence[str], commands: int = COMMANDS, rounds: int = ROUNDS, told: Told | None = None
) -> Result:
    """Measure our engine on some workloads: by batch, one command a call, latencies and memory."""
    tell = told or (lambda _: None)
    results = []
    memory: Result = {}
    for workload in workloads:
        tell(f"{workload}: setting up")
        stage = set_up(workload, commands)
        tell(f"{workload}: {ENGINE}")
        batched = by_batch(stage, rounds)
        tell(f"{workload}: {ENGINE_SINGLY}")
        one_by_one = singly(stage, rounds)
        tell(f"{workload}: latencies")
        results += [batched | {"batch_ns": latencies(stage)}, one_by_one]
        if workload == "deep":
            memory["deep_bytes_per_order"] = bytes_per_order(stage.book)
    tell(f"{IDLE_INSTRUMENTS} idle instruments")
    memory["idle"] = in_fresh_process(idle_memory)
    return {"results": results, "memory": memory, "clock_ns": clock_ns(), "machine": machine()}


# --- auctions ------------------------------------------------------------------------------------


def auction(orders: int = CALL_ORDERS, rounds: int = ROUNDS, told: Told | None = None) -> Result:
    """Measure what an uncrossing of so many orders costs, and what an update of a call does."""
    tell = told or (lambda _: None)
    tell(f"a call of {orders:,} orders: setting up")
    stage = set_up_uncrossing(orders)
    tell(f"uncrossing {orders:,} orders")
    uncross = uncrossing(stage, rounds)
    tell(f"{CALL_UPDATES:,} updates of a call of {CALL_RESTING:,} orders")
    updates = call_updates(set_up_updates())
    return {"uncross": uncross, "updates": updates, "clock_ns": clock_ns(), "machine": machine()}


def set_up_uncrossing(orders: int = CALL_ORDERS, seed: int = 1) -> Stage:
    """Return a call with so many orders in it, and the one command that uncrosses it."""
    return Stage("uncross", call_of(orders, seed), _phase(Phase.AUCTION), room=1)


def set_up_updates(resting: int = CALL_RESTING, updates: int = CALL_UPDATES, seed: int = 1) -> Stage:
    """Return a call, and a tape of new orders of which each is followed by a cancel of any open one."""
    chance = np.random.default_rng(seed + 1)
    news = _call_orders((updates + 1) // 2, chance, first=resting + 1)
    tape = np.zeros(updates, COMMAND)
    tape[::2] = news
    cancels = tape[1::2]
    cancels["kind"] = CommandKind.CANCEL
    cancels["member"] = EVERY
    open_orders = list(range(1, resting + 1))
    for row, place in enumerate(chance.integers(0, resting + 1, len(cancels)).tolist()):
        open_orders.append(int(news["order"][row]))
        open_orders[place], open_orders[-1] = open_orders[-1], open_orders[place]
        cancels["order"][row] = open_orders.pop()
    return Stage("updates", call_of(resting, seed), tape, room=updates)


def call_of(orders: int, seed: int) -> Book:
    """Return a book in a call: so many limit orders, about half of which the auction would trade with."""
    book, _ = match(empty_book(1), _phase(Phase.PRE_OPEN))
    book, _ = match(book, _call_orders(orders, np.random.default_rng(seed)))
    return book


def _call_orders(count: int, chance: np.random.Generator, first: int = 1) -> np.ndarray:
    """Return limit orders of many members, both sides spread evenly over the same prices."""
    orders = np.zeros(count, COMMAND)
    orders["order"] = first + np.arange(count)
    orders["side"] = np.arange(count) % 2
    orders["price"] = _CALL_MIDDLE + chance.integers(-_CALL_LEVELS // 2, _CALL_LEVELS // 2, count)
    orders["quantity"] = chance.integers(1, _CALL_LOTS_MAX + 1, count)
    orders["member"] = orders["group"] = chance.integers(0, _CALL_MEMBERS, count)
    return orders


def _phase(phase: Phase) -> np.ndarray:
    """Return the one command that sets a phase."""
    command = np.zeros(1, COMMAND)
    command["kind"], command["phase"] = CommandKind.PHASE, phase
    return command


def uncrossing(stage: Stage, rounds: int = ROUNDS) -> Result:
    """Measure the one command that uncrosses a call, from the same book each round.

    Fresh memory for its events is in the figure, as it is in any caller's.
    """
    played = [play(stage) for _ in range(1 + rounds)][1:]
    rounds_ns = [int(one.call_ns.sum()) for one in played]
    orders, median = _open_orders(stage), float(np.median(rounds_ns))
    return {
        "orders": orders,
        "cpu_ms": round(median / 1e6, 2),
        "cpu_ms_best": round(min(rounds_ns) / 1e6, 2),
        "cpu_ns_per_order": round(median / orders, 1),
        "trades": played[0].trades,
        "quantity": played[0].quantity,
    }


def call_updates(stage: Stage) -> Result:
    """Measure new orders and cancels in a call, each with the indicative price that follows from it."""
    play(stage, batch=1)
    call_us = play(stage, batch=1).call_ns / 1e3
    batched = play(stage, batch=len(stage.tape))
    return {
        "resting": _open_orders(stage),
        "updates": len(stage.tape),
        "indicatives": batched.events - len(stage.tape),
        "one_a_call_us": {
            name: round(float(np.percentile(call_us, at)), 2) for name, at in _PERCENTILES.items()
        },
        "batch_us_mean": round(int(batched.call_ns.sum()) / 1e3 / len(stage.tape), 3),
    }


def _open_orders(stage: Stage) -> int:
    return int(stage.book.counts["open_orders"][0])


def machine() -> str:
    """Return what the figures were measured on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


# --- memory --------------------------------------------------------------------------------------


def bytes_of(state: Any) -> int:  # noqa: ANN401  a tuple of arrays, or of such tuples
    """Return how many bytes a state's arrays have."""
    if isinstance(state, tuple):
        return sum(bytes_of(part) for part in state)
    return int(state.nbytes) if isinstance(state, np.ndarray) else 0


def bytes_per_order(book: Book) -> float:
    """Return what a book's arrays have grown by, over an empty one's, divided by what rests in it."""
    instruments = len(book.markets)
    resting = sum(
        len(orders_of(book, instrument, side)) for instrument in range(instruments) for side in Side
    )
    return round((bytes_of(book) - bytes_of(empty_book(instruments))) / resting, 1)


def idle_memory(instruments: int = IDLE_INSTRUMENTS) -> Result:
    """List many instruments, let a few orders rest in a few of them, and tell by what the process grew.

    The kernels are loaded before it is measured. Ask for it in a fresh process, where no memory that
    was freed before hides the growth.
    """
    match(empty_book(1), _few_orders(1))
    before = resident_bytes()
    book, _ = match(empty_book(instruments), _few_orders(min(instruments, _IDLE_BUSY)))
    after = resident_bytes()
    return {
        "instruments": instruments,
        "array_bytes": bytes_of(book),
        "resident_bytes": after - before,
        "process_bytes": after,
    }


def _few_orders(instruments: int) -> np.ndarray:
    """Return a few orders a side for each of so many instruments, none of which trades."""
    orders = np.zeros(instruments * 2 * _IDLE_ORDERS_A_SIDE, COMMAND)
    number = np.arange(len(orders))
    orders["kind"] = CommandKind.NEW
    orders["order"] = number + 1
    orders["instrument"] = number % instruments
    orders["side"] = number // instruments % 2
    orders["price"] = np.where(orders["side"] == Side.BUY, 1_000 - number % 7, 1_001 + number % 7)
    orders["quantity"] = 1
    return orders


def resident_bytes() -> int:
    """Return how much memory this process has in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def in_fresh_process(measure: Callable[[], Result]) -> Result:
    """Call `measure` in a process that has done nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure).result()
