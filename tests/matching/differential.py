"""Kernels against the reference: one tape played on both, compared event by event.

    PYTHONPATH=. .venv/bin/python tests/matching/differential.py --seed 7 --commands 20000

repeats what a test says has failed; `--coverage` tells what became of new orders, by what they said.
It imports nothing but `matching`, so that a changed copy of the kernels, or the kernels as plain
Python (`NUMBA_DISABLE_JIT=1`), can be played from another process.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations

import numpy as np

from matching.batch import match, with_room
from matching.flow import random_flow
from matching.invariants import check, faults_of
from matching.layout import Book, empty_book
from matching.permissions import CALLS
from matching.reference import Command, Event, Market, ReferenceBook, commands_from, events_from
from matching.reference_orders import NO_CLEARING, Clearing
from matching.view import depth_of, orders_of, parked_of, waiting_of
from matching.vocabulary import (
    CommandKind,
    EventKind,
    OrderType,
    Phase,
    RejectReason,
    SelfTrade,
    Side,
    TimeInForce,
)

Outcomes = Counter[tuple[str, str]]
"""How often each sort of command had each outcome, by their names."""

Terms = tuple[str, str]
"""Two things that one new order says: its type and its time in force, its type and an instruction, two
instructions, or that it has a self-trade mode and which."""

FATES = (
    "accepted",
    "rejected",
    "gathered",
    "traded",
    "rested",
    "waited",
    "made",
    "cleared",
    "triggered",
    "reduced",
    "replaced",
    "cancelled",
    "expired",
)
"""What may become of a new order, in the words of the events that say so. Five words are our own:
`gathered`, it was accepted in a call, and `accepted` elsewhere; `rested` and `waited`, it stood in the
book, or waited for an auction, when its batch had ended; `made`, another order traded with it in the
book; `cleared`, it traded in an auction."""

BATCHES = (1, 2, 3, 17, 250, 4_096)
COLLARS = (0, 20, 100, 1_000, 2**31 - 1)
STATIC_COLLARS = (0, 50, 100, 400, 2**31 - 1)
DYNAMIC_COLLARS = (0, 20, 50, 200, 2**31 - 1)
COLLAR_SHARES = (0.45, 0.05, 0.2, 0.25, 0.05)
REFERENCES = (0, 0, 500, 12_345, 500_000)


def main() -> int:
    """Play one seed, tell the difference or the outcomes, and return 1 if there was a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commands", type=int, default=20_000)
    parser.add_argument("--inspect", action="store_true", help="check the book after every batch")
    parser.add_argument("--coverage", action="store_true", help="tell what became of new orders")
    parser.add_argument("--room", type=int, default=0, help="commands that the book has room for at first")
    arguments = parser.parse_args()
    coverage = Coverage()
    try:
        outcomes = play_seed(
            arguments.seed, arguments.commands, arguments.inspect, coverage=coverage, room=arguments.room
        )
    except AssertionError as difference:
        sys.stderr.write(f"{difference}\n")
        return 1
    sys.stdout.write(f"{table_of(outcomes)}\n")
    if arguments.coverage:
        sys.stdout.write(f"\n{coverage.table()}\n")
    return 0


def play_seed(
    seed: int,
    commands: int,
    inspect: bool = False,
    reference: type[ReferenceBook] = ReferenceBook,
    coverage: Coverage | None = None,
    room: int = 0,
) -> Outcomes:
    """Play the random tape of `seed` on both. Markets, members and batches follow from the seed too."""
    rng = np.random.default_rng([seed, 1])
    tape, markets = scene_of(seed, commands, rng)
    again = f"tests/matching/differential.py --seed {seed} --commands {commands}"
    return play(tape, markets, cuts(rng, commands), again, inspect, reference, coverage, room)


def scene_of(seed: int, commands: int, rng: np.random.Generator) -> tuple[np.ndarray, list[Market]]:
    """Return the random tape of `seed`, and markets for it: ticks, a halt, references and collars."""
    instruments = int(rng.integers(1, 6))
    ticks = rng.choice([1, 1, 5, 10, 2_500], instruments).tolist()
    groups = int(rng.integers(2, 6))
    tape = random_flow(seed, commands, instruments, ticks, members=2 * groups, groups=groups)
    phases = [Phase.CONTINUOUS] * instruments
    if instruments > 3:
        phases[-1] = Phase.HALTED
    columns = {
        "tick": ticks,
        "phase": phases,
        "reference": rng.choice(REFERENCES, instruments).tolist(),
        "collar": rng.choice(COLLARS, instruments, p=[0.1, 0.4, 0.3, 0.1, 0.1]).tolist(),
        "static_collar": rng.choice(STATIC_COLLARS, instruments, p=COLLAR_SHARES).tolist(),
        "dynamic_collar": rng.choice(DYNAMIC_COLLARS, instruments, p=COLLAR_SHARES).tolist(),
    }
    rows = zip(*columns.values(), strict=True)
    return tape, [Market(**dict(zip(columns, row, strict=True))) for row in rows]


def play(
    tape: np.ndarray,
    markets: list[Market],
    lengths: Iterator[int],
    again: str = "",
    inspect: bool = False,
    reference: type[ReferenceBook] = ReferenceBook,
    coverage: Coverage | None = None,
    room: int = 0,
) -> Outcomes:
    """Play `tape` on both in batches of these lengths; assert that events and books are equal.

    Returns how often what happened, and counts in `coverage` what became of new orders. With `inspect`
    every invariant is checked after each batch.
    """
    book, twin = with_room(book_of(markets), room), reference(markets)
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
        if coverage is not None:
            coverage.note(commands, events, twin)
        start += len(batch)
    check(book)
    assert_same_books(book, twin)
    return outcomes


def book_of(markets: list[Market]) -> Book:
    """Return an empty book of the kernels' for these markets."""
    book = empty_book(len(markets))
    for field in Market._fields:
        book.markets[field] = [getattr(market, field) for market in markets]
    return book


def cuts(rng: np.random.Generator, commands: int) -> Iterator[int]:
    """Yield random lengths of batches, short ones and long ones."""
    while True:
        yield int(rng.integers(1, min(int(rng.choice(BATCHES)), commands) + 1))


def assert_same_books(book: Book, twin: ReferenceBook) -> None:
    """Assert that the same orders rest, are parked and wait in the same order, and that depth says so.

    What is known of the markets is the same, too: phases, references, last and indicative prices.
    """
    for instrument, market in enumerate(twin.markets):
        known = {field: int(book.markets[field][instrument]) for field in Market._fields}
        assert known == market._asdict()
        told = [int(book.markets[f"indicative_{field}"][instrument]) for field in Clearing._fields]
        assert told == [
            *(twin.indicated.get(instrument, NO_CLEARING) if market.phase in CALLS else NO_CLEARING)
        ]
        for side in Side:
            rows = orders_of(book, instrument, side)
            resting = twin.orders_of(instrument, side)
            assert rows[["id", "price", "leaves", "shown", "member"]].tolist() == [
                (order.id, order.price, order.leaves, order.shown, order.member) for order in resting
            ]
            parked = parked_of(book, instrument, side)
            assert parked[["id", "price", "leaves", "stop_price", "member"]].tolist() == [
                (order.id, order.price, order.leaves, order.stop_price, order.member)
                for order in twin.parked_of(instrument, side)
            ]
            waiting = waiting_of(book, instrument, side)
            assert waiting[["id", "price", "leaves", "member"]].tolist() == [
                (order.id, order.price, order.leaves, order.member)
                for order in twin.waiting_of(instrument, side)
            ]
            depth = twin.depth_of(instrument, side)
            assert depth_of(book, instrument, side, len(rows)).tolist() == [*map(list, depth)]


# --- what was covered --------------------------------------------------------------------------


class Coverage:
    """How often new orders with these terms had each fate."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[Terms, str]] = Counter()
        self.terms: dict[int, list[Terms]] = {}
        self.phases: dict[int, int] = {}

    def note(self, commands: list[Command], events: list[Event], twin: ReferenceBook) -> None:
        """Count what became of orders in a batch, which the reference has just played."""
        for event in events:
            kind, asked = EventKind(event.kind), commands[event.command]
            match kind:
                case EventKind.REJECTED:
                    self.count(terms_of(asked) if asked.kind == CommandKind.NEW else [], "rejected")
                case EventKind.PHASE_CHANGED:
                    self.phases[event.instrument] = event.phase
                case EventKind.ACCEPTED:
                    self.terms[event.order] = terms_of(asked)
                    is_call = self.phases.get(event.instrument) in CALLS
                    self.count(self.terms[event.order], "gathered" if is_call else "accepted")
                case EventKind.TRADED:
                    is_auction = event.phase == Phase.AUCTION
                    self.count(self.terms[event.order], "cleared" if is_auction else "traded")
                    self.count(self.terms[event.maker_order], "cleared" if is_auction else "made")
                case EventKind.INDICATIVE:
                    pass
                case _:
                    self.count(self.terms[event.order], kind.name.lower())
        for number in {event.order for event in events if event.kind == EventKind.ACCEPTED}:
            if number in twin.open and not twin.open[number].is_parked:
                self.count(self.terms[number], "waited" if twin.open[number].is_waiting else "rested")

    def count(self, terms: Iterable[Terms], fate: str) -> None:
        """Count one fate of an order that says these terms."""
        self.counts.update((pair, fate) for pair in terms)

    def fates_of(self, pair: Terms) -> set[str]:
        """Return what became, at least once, of an order that says both."""
        return {fate for fate in FATES if self.counts[pair, fate]}

    def table(self) -> str:
        """Return a line for each pair of terms, and in it how often each fate befell such an order."""
        lines = [f"{'an order that says':32}" + "".join(f"{fate:>10}" for fate in FATES)]
        for pair in sorted({pair for pair, _ in self.counts}):
            counts = "".join(f"{self.counts[pair, fate]:>10,}" for fate in FATES)
            lines.append(f"{' + '.join(pair):32}{counts}")
        return "\n".join(lines)


def terms_of(command: Command) -> list[Terms]:
    """Return the pairs of terms that a new order says; none if it says what nobody knows."""
    known = (
        command.type in tuple(OrderType)
        and command.time_in_force in tuple(TimeInForce)
        and command.self_trade in tuple(SelfTrade)
    )
    if not known:
        return []
    type_ = OrderType(command.type).name.lower()
    instructions = instructions_of(command)
    return [
        (type_, TimeInForce(command.time_in_force).name.lower()),
        *((type_, instruction) for instruction in instructions),
        *combinations(instructions, 2),
        ("self_trade", SelfTrade(command.self_trade).name.lower()),
    ]


def instructions_of(command: Command) -> list[str]:
    """Return the instructions that a new order gives beside its type and its time in force."""
    given = {
        "post_only": command.post_only != 0,
        "minimum": command.minimum_quantity > 0,
        "iceberg": 0 < command.display_quantity < command.quantity,
        "subsidised": command.subsidised != 0,
    }
    return [name for name, is_given in given.items() if is_given]


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
