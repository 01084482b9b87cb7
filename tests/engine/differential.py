"""The engine against its twin in plain Python: one flow played on both, compared word by word.

    PYTHONPATH=. .venv/bin/python tests/engine/differential.py --seed 7 --commands 20000

repeats what a test says has failed, and tells the state hash; `NUMBA_DISABLE_JIT=1` before it plays the
kernels as plain Python.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec.structs import astuple

from exchange.engine import Engine, Outcome
from exchange.server.audit import laws_broken
from matching.vocabulary import EventKind, OrderState, Phase, RejectReason
from settlement.postings import PostingAccount, trade_postings
from settlement.reference import ReferenceLedger
from tests.engine.flow import Flow, MoneyFlow
from tests.engine.flow_world import IDS_PER_MEMBER
from tests.engine.market import Said, Step, batch_of, rows_of
from tests.engine.stands import Stand, stand_of
from tests.engine.twin import Twin
from tests.engine.twin_members import JudgedAct

Outcomes = Counter[str]
"""How often what was said: event kinds, and behind a colon the reason; acts by their name."""

BATCHES = (1, 2, 5, 20, 100, 1_000)

T = TypeVar("T")


class Played(NamedTuple):
    """What came of a flow that was played without a difference."""

    outcomes: Outcomes
    engine: Engine


class Difference(AssertionError):
    """Engine and twin part."""


def main() -> int:
    """Play one seed; tell what happened and the state hash, or the difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commands", type=int, default=20_000)
    parser.add_argument("--money", action="store_true", help="play the flow that is mostly money")
    arguments = parser.parse_args()
    try:
        played = play_seed(arguments.seed, arguments.commands, flow=MoneyFlow if arguments.money else Flow)
    except Difference as difference:
        sys.stderr.write(f"{difference}\n")
        return 1
    sys.stdout.write(f"{table_of(played.outcomes)}\nstate hash {played.engine.state_hash()}\n")
    return 0


def play_seed(
    seed: int,
    commands: int,
    ledger: Callable[[], ReferenceLedger] = ReferenceLedger,
    flow: type[Flow] = Flow,
) -> Played:
    """Play a random flow of `seed`, cut into batches by chance."""
    again = f"tests/engine/differential.py --seed {seed} --commands {commands}"
    again += " --money" * (flow is MoneyFlow)
    batches = cut([*flow(seed).steps(commands)], random.Random(seed))
    return play(batches, Twin(IDS_PER_MEMBER, ledger), again)


def play(batches: Iterable[Sequence[Step]], twin: Twin, again: str = "") -> Played:
    """Play batches on an engine and on `twin`; raise `Difference` where they part.

    After each batch the laws hold, and balances, budgets and books are equal.
    """
    engine = Engine(twin.ids_per_member)
    outcomes: Outcomes = Counter()
    for batch in batches:
        first = engine.sequence + 1
        outcome = engine.apply(*batch_of(batch))
        assert laws_broken(engine) == [], f"to repeat: {again}"
        said = rows_of(outcome.events, outcome.effects)
        assert [first + int(row) for row in outcome.events["command"]] == [one.sequence for one in said]
        results = {result.sequence: result.reason for result in outcome.acts}
        expected = expected_of(batch, twin, results, again)
        if said != expected:
            raise difference_of(batch, first, said, expected, again)
        compare_postings(outcome, engine, twin, again)
        stands = stand_of(engine), twin.stand()
        if stands[0] != stands[1]:
            where = f"after command {engine.sequence}"
            raise Difference(f"{where} they stand differently:{parted(*stands)}\nto repeat: {again}")
        fixings = [(row.day, row.instrument, row.price, row.rung) for row in outcome.happened.fixings]
        if fixings != twin.fixings:
            raise Difference(f"fixings:\n  engine {fixings}\n  twin {twin.fixings}\nto repeat: {again}")
        twin.fixings.clear()
        outcomes.update(map(outcome_of, said))
        outcomes.update(f"fixing: {rung}" for _, _, _, rung in fixings)
        for result in outcome.acts:
            act = batch[result.row].act
            outcomes[f"act {type(act).__name__}: {name_of(result.reason)}"] += 1
    return Played(outcomes, engine)


def expected_of(
    batch: Sequence[Step], twin: Twin, results: dict[int, RejectReason], again: str
) -> list[Said]:
    """Play a batch on the twin: many acts it judges itself, others are done that the engine has taken."""
    expected = []
    for command, act, who in batch:
        if act is None:
            expected += twin.apply(command)
        elif isinstance(act, JudgedAct):
            reason, said = twin.judged(command, act, who)
            if reason != results[twin.sequence]:
                names = (RejectReason(one).name for one in (results[twin.sequence], reason))
                told = "\n  engine: {}\n  twin: {}".format(*names)
                raise Difference(f"command {twin.sequence}: {act} by {who}{told}\nto repeat: {again}")
            expected += said
        else:
            is_taken = results[twin.sequence + 1] == RejectReason.NONE
            expected += twin.decided(command, act if is_taken else None)
    return expected


def cut(steps: Sequence[T], chance: random.Random) -> Iterator[Sequence[T]]:
    """Cut steps into batches of random lengths, short ones and long ones."""
    start = 0
    while start < len(steps):
        length = chance.randint(1, chance.choice(BATCHES))
        yield steps[start : start + length]
        start += length


# --- telling -----------------------------------------------------------------------------------


def difference_of(
    batch: Sequence[Step], first: int, said: list[Said], expected: list[Said], again: str
) -> Difference:
    """Return in words where engine and twin first part."""
    sequence = next(
        number
        for number in range(first, first + len(batch))
        if told_of(said, number) != told_of(expected, number)
    )
    engine, twin = ("".join(f"\n    {one}" for one in told_of(side, sequence)) for side in (said, expected))
    return Difference(
        f"engine and twin part at command {sequence}:\n  {batch[sequence - first].command}\n"
        f"  engine:{engine}\n  twin:{twin}\nto repeat: {again}",
    )


def compare_postings(outcome: Outcome, engine: Engine, twin: Twin, again: str) -> None:
    """Raise `Difference` if engine and twin have posted other lines in this batch."""
    own, others = (
        sorted(rows) for rows in (postings_of(outcome, engine), map(astuple, twin.ledger.postings))
    )
    if own != others:
        told = "".join(f"\n  engine {row}" for row in own if row not in others)
        told += "".join(f"\n  twin   {row}" for row in others if row not in own)
        raise Difference(f"postings:{told}\nto repeat: {again}")
    twin.ledger.postings.clear()


def postings_of(outcome: Outcome, engine: Engine) -> Iterator[tuple[Any, ...]]:
    """Yield the lines that a batch has posted, of acts and of trades."""
    yield from map(astuple, outcome.happened.postings)
    codes = [terms.code for terms in engine.registry.programmes]
    columns = trade_postings(outcome.events, outcome.effects)
    for number in range(len(columns["entry"])):
        row = {name: int(column[number]) for name, column in columns.items()}
        account = PostingAccount(row["account"]).name.lower()
        if account == "programme":
            account = f"programme:{codes[row['programme']]}"
        where = (row["entry"], row["sequence"], row["time"], row["member"], account)
        yield *where, row["asset"], row["amount"], "trade"


def parted(engine: Stand, twin: Stand) -> str:
    """Return in words what stands differently, entry by entry."""
    told = []
    for name, one, two in zip(Stand._fields, engine, twin, strict=True):
        ones, twos = entries_of(one), entries_of(two)
        told += [
            f"\n  {name} {key}\n    engine {ones.get(key)}\n    twin   {twos.get(key)}"
            for key in {**ones, **twos}
            if ones.get(key) != twos.get(key)
        ]
    return "".join(told)


def entries_of(part: Any) -> dict[Any, Any]:
    """Return a part of a stand entry by entry: lists by the place of each."""
    return part if isinstance(part, dict) else dict(enumerate(part))


def told_of(said: list[Said], sequence: int) -> list[Said]:
    """Return what was said of one command."""
    return [one for one in said if one.sequence == sequence]


def name_of(reason: int) -> str:
    return RejectReason(reason).name.lower().replace("_", " ")


def outcome_of(one: Said) -> str:
    """Return what an event says, in the words of the vocabulary."""
    kind = EventKind(one.kind).name.lower()
    if one.reason:
        return f"{kind}: {name_of(one.reason)}"
    if one.kind == EventKind.KNOWN:
        return f"{kind}: {OrderState(one.state).name.lower()}"
    if one.kind == EventKind.TRADED and one.phase == Phase.AUCTION:
        kind = f"{kind} in an auction"
    return f"{kind}, subsidised" if one.subsidy else kind


def table_of(outcomes: Outcomes) -> str:
    return "\n".join(f"{what:55} {count:>9,}" for what, count in sorted(outcomes.items()))


if __name__ == "__main__":
    sys.exit(main())
