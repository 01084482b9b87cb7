"""Kernels against their references for a time: the book, its auctions, and the engine with all its money."""

from __future__ import annotations

from itertools import islice, repeat

from tests.engine.differential import play_seed as play_engine
from tests.engine.flow import Flow, MoneyFlow
from tests.matching.crowd import crowded
from tests.matching.differential import play, play_seed
from tests.matching.test_auction_oracle import expected, kernels, random_cases, reference
from tests.nightly import campaign
from tests.nightly.campaign import Progress, Tally

BOOK_COMMANDS = 10_000
CROWDED_COMMANDS = 400
CROWDED_TAPES = 10
AUCTIONS_A_ROUND = 1_000
ENGINE_COMMANDS = 5_000
"""Per round: a tape through the book, tapes of crowded calls, small auctions, a flow through the engine."""

BOOK = "commands compared in the book"
EVENTS = "events compared in the book"
AUCTIONS = "auctions compared with the oracle"
ENGINE = "commands compared in the engine"
MISMATCHES = "event mismatches"


def run(seconds: float, seed: int, progress: Progress) -> Tally:
    """Play random flows on kernels and references in turn until the time is over."""
    tally = Tally("differential", seconds, dict.fromkeys(("rounds", BOOK, EVENTS, AUCTIONS, ENGINE), 0))
    for of_round in campaign.seeds(seconds, seed):
        for compare in (compare_book, compare_crowds, compare_auctions, compare_engine):
            with tally.caught(campaign.again("differential", of_round)):
                compare(tally, of_round)
        tally.add("rounds")
        if tally.counts["rounds"] % 10 == 1:
            progress(f"{tally.counts[BOOK]:,} commands in the book, {tally.counts[ENGINE]:,} in the engine")
    tally.counts[MISMATCHES] = len(tally.failures)
    return tally


def compare_book(tally: Tally, seed: int) -> None:
    """Play one random tape on the book's kernels and on its reference."""
    outcomes = play_seed(seed, BOOK_COMMANDS)
    tally.add(BOOK, BOOK_COMMANDS)
    tally.add(EVENTS, outcomes.total())


def compare_crowds(tally: Tally, seed: int) -> None:
    """Play tapes of few prices and few members, call upon call; every invariant is checked."""
    for number in range(CROWDED_TAPES):
        tape, markets = crowded(seed * CROWDED_TAPES + number, CROWDED_COMMANDS)
        outcomes = play(tape, markets, repeat(50), inspect=True)
        tally.add(BOOK, CROWDED_COMMANDS)
        tally.add(EVENTS, outcomes.total())


def compare_auctions(tally: Tally, seed: int) -> None:
    """Uncross small books by reference and kernels, and ask the oracle, which tries every price."""
    cases = list(islice(random_cases(seed), AUCTIONS_A_ROUND))
    for case, *found in zip(cases, reference(cases), kernels(cases), strict=True):
        assert found == [expected(case)] * 2, case
        tally.add(AUCTIONS)


def compare_engine(tally: Tally, seed: int) -> None:
    """Play one random flow on the engine and on its twin in plain Python; every other one is mostly money."""
    play_engine(seed, ENGINE_COMMANDS, flow=MoneyFlow if seed % 2 else Flow)
    tally.add(ENGINE, ENGINE_COMMANDS)


if __name__ == "__main__":
    campaign.main(run)
