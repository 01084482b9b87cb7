"""What the matching kernels cost, measured: for `bourse bench matching`, and for the benchmarks in `bench/`.

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
from matching.vocabulary import CommandKind, EventKind, Side
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
        count += written
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
