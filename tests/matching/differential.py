"""Kernels against the reference: one tape played on both, compared event by event.

    PYTHONPATH=. .venv/bin/python tests/matching/differential.py --seed 7 --commands 20000

repeats what a test says has failed. It imports nothing but `matching`, so that a changed copy of the
kernels, or the kernels as plain Python (`NUMBA_DISABLE_JIT=1`), can be played from another process.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np

from matching.batch import match
from matching.flow import random_flow
from matching.invariants import check, faults_of
from matching.layout import Book, empty_book
from matching.reference import Event, Market, ReferenceBook, commands_from, events_from
from matching.view import depth_of, orders_of
from matching.vocabulary import CommandKind, EventKind, Phase, RejectReason, Side

Outcomes = Counter[tuple[str, str]]
"""How often each sort of command had each outcome, by their names."""

BATCHES = (1, 2, 3, 17, 250, 4_096)


def main() -> int:
    """Play one seed, tell the difference or the outcomes, and return 1 if there was a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commands", type=int, default=20_000)
    parser.add_argument("--inspect", action="store_true", help="check the book after every batch")
    arguments = parser.parse_args()
    try:
        outcomes = play_seed(arguments.seed, arguments.commands, arguments.inspect)
    except AssertionError as difference:
        sys.stderr.write(f"{difference}\n")
        return 1
    sys.stdout.write(f"{table_of(outcomes)}\n")
    return 0


def play_seed(
    seed: int,
    commands: int,
    inspect: bool = False,
    reference: type[ReferenceBook] = ReferenceBook,
) -> Outcomes:
    """Play the random tape of `seed` on both. Markets, members and batches follow from the seed too."""
    rng = np.random.default_rng([seed, 1])
    instruments = int(rng.integers(1, 6))
    ticks = rng.choice([1, 1, 5, 10, 2_500], instruments).tolist()
    groups = int(rng.integers(2, 6))
    tape = random_flow(seed, commands, instruments, ticks, members=2 * groups, groups=groups)
    phases = [Phase.CONTINUOUS] * instruments
    if instruments > 3:
        phases[-1] = Phase.HALTED
    markets = [Market(tick, phase) for tick, phase in zip(ticks, phases, strict=True)]
    again = f"tests/matching/differential.py --seed {seed} --commands {commands}"
    return play(tape, markets, cuts(rng, commands), again, inspect, reference)


def play(
    tape: np.ndarray,
    markets: list[Market],
    lengths: Iterator[int],
    again: str = "",
    inspect: bool = False,
    reference: type[ReferenceBook] = ReferenceBook,
) -> Outcomes:
    """Play `tape` on both in batches of these lengths; assert that events and books are equal.

    Returns how often what happened. With `inspect` every invariant is checked after each batch.
    """
    book, twin = book_of(markets), reference(markets)
    outcomes: Outcomes = Counter()
    start = 0
    while start < len(tape):
        batch = tape[start : start + next(lengths)]
        book, rows = match(book, batch)
        commands, events = commands_from(batch), events_from(rows)
        expected = twin.apply_all(commands)
        if events != expected:
            raise AssertionError(difference_of(commands, events, expected, start, again))
        if inspect:
            faults = faults_of(book)
            assert not faults, "\n".join([f"broken after {start} and the next", *faults, again])
        for event in events:
            outcomes[name_of(commands[event.command].kind), outcome_of(event)] += 1
        start += len(batch)
    check(book)
    assert_same_books(book, twin)
    return outcomes


def book_of(markets: list[Market]) -> Book:
    """Return an empty book of the kernels' for these markets."""
    book = empty_book(len(markets))
    book.markets["tick"] = [market.tick for market in markets]
    book.markets["phase"] = [market.phase for market in markets]
    return book


def cuts(rng: np.random.Generator, commands: int) -> Iterator[int]:
    """Yield random lengths of batches, short ones and long ones."""
    while True:
        yield int(rng.integers(1, min(int(rng.choice(BATCHES)), commands) + 1))


def assert_same_books(book: Book, twin: ReferenceBook) -> None:
    """Assert that the same orders rest in the same order, and that depth says so."""
    for instrument in range(len(twin.markets)):
        for side in Side:
            rows = orders_of(book, instrument, side)
            resting = [(row["id"], row["price"], row["leaves"], row["member"]) for row in rows]
            orders = twin.orders_of(instrument, side)
            assert resting == [(one.id, one.price, one.leaves, one.member) for one in orders]
            depth = twin.depth_of(instrument, side)
            assert depth_of(book, instrument, side, len(rows)).tolist() == [*map(list, depth)]


# --- telling -----------------------------------------------------------------------------------


def difference_of(commands: list, events: list[Event], expected: list[Event], start: int, again: str) -> str:
    """Return in words where kernel and reference first differ."""
    row = next(row for row in range(len(commands)) if told(events, row) != told(expected, row))
    kernel, reference = (
        "".join(f"\n    {event}" for event in told(side, row)) for side in (events, expected)
    )
    return (
        f"kernel and reference differ at command {start + row}:\n  {commands[row]}\n"
        f"  kernel:{kernel}\n  reference:{reference}\nto repeat: {again}"
    )


def told(events: list[Event], row: int) -> list[Event]:
    """Return the events that one command of a batch caused."""
    return [event for event in events if event.command == row]


def name_of(kind: int) -> str:
    """Return a command kind's name, or what was written where it has none."""
    return CommandKind(kind).name.lower() if kind in tuple(CommandKind) else f"kind {kind}"


def outcome_of(event: Event) -> str:
    """Return what an event says, in the words of the vocabulary."""
    kind = EventKind(event.kind).name.lower()
    reason = RejectReason(event.reason).name.lower().replace("_", " ")
    return kind if event.reason == RejectReason.NONE else f"{kind}: {reason}"


def table_of(outcomes: Outcomes) -> str:
    """Return the outcomes as a table, a line for each sort of command and what came of it."""
    lines = [f"{kind:12} {what:40} {count:>9,}" for (kind, what), count in sorted(outcomes.items())]
    return "\n".join([f"{'command':12} {'outcome':40} {'events':>9}", *lines])


if __name__ == "__main__":
    sys.exit(main())
