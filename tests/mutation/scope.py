"""Which modules are mutated, and which tests must kill the mutants of each, the quickest first."""

from __future__ import annotations

from typing import NamedTuple

GATES = "tests/mutation/gates.py"
BOOK = [
    "tests/matching/test_matching_mutants.py",
    "tests/matching/test_tables_mutants.py",
    "tests/matching/test_stories.py::test_story",
    "tests/matching/test_stories.py::test_a_group_that_is_met_too_often_loses_its_orders",
    "tests/matching/test_tape.py",
    f"{GATES}::test_kernels_equal_the_reference",
    f"{GATES}::test_kernels_equal_the_reference_in_crowded_calls",
]
REFERENCE = ["tests/matching/test_reference.py", "tests/matching/test_reference_auction.py", *BOOK]
SETTLEMENT = "tests/settlement/test_settlement_mutants.py"
DECISIONS = "tests/engine/test_decisions_mutants.py"
ENGINE = [
    f"{GATES}::test_engine_equals_its_twin",
]


class Gate(NamedTuple):
    """What must kill the mutants of a module."""

    quick: str
    """A function of `gates.py` that needs no pytest; empty for none."""
    tests: list[str]
    """What pytest is told when the quick gate has found nothing."""


def _engine(*names: str) -> Gate:
    stories = (f"tests/engine/test_{name}.py" for name in names)
    return Gate("engine", [SETTLEMENT, DECISIONS, *stories, *ENGINE])


def _journal(*names: str) -> Gate:
    return Gate("", [f"tests/journal/test_{name}.py" for name in names])


KERNELS = (
    "auction changing collars cross entering levels permissions phases protection queues refusing stops "
    "uncross waiting"
)

SCOPE: dict[str, Gate] = {
    **{f"matching/{name}.py": Gate("book", BOOK) for name in KERNELS.split()},
    **{
        f"matching/{name}.py": Gate("book", [f"tests/matching/test_{name}.py", *BOOK])
        for name in ("extras", "ids", "places")
    },
    **{
        f"matching/{name}.py": Gate("book", REFERENCE)
        for name in ("reference", "reference_auction", "reference_orders", "reference_trading")
    },
    "settlement/balances.py": _engine("money_acts", "engine_vouchers"),
    "settlement/parcels.py": _engine("money_redemption", "money_reversals"),
    "settlement/postings.py": Gate(
        "engine", ["tests/settlement/test_postings.py", "tests/settlement/test_store.py", *ENGINE]
    ),
    "settlement/programmes.py": _engine("money_programmes", "engine_vouchers"),
    "settlement/redeeming.py": _engine("money_redemption", "money_reversals"),
    "settlement/reversing.py": _engine("money_reversals", "farming_later"),
    "exchange/fixing.py": Gate("", ["tests/engine/test_engine_fixing.py"]),
    "exchange/refusing.py": _engine("engine_vouchers", "engine_refusals", "engine_instructions"),
    "exchange/act_decisions.py": _engine("money_refusals", "engine_acts"),
    "exchange/replacing.py": _engine("engine_vouchers", "money_programmes"),
    "exchange/settling.py": _engine("engine_vouchers", "engine_stories"),
    "exchange/market_decisions.py": _engine(
        "engine_acts", "money_refusals", "desk_acts", "engine_trading_day"
    ),
    "exchange/member_decisions.py": _engine("member_acts", "engine_acts"),
    "exchange/money_decisions.py": _engine("money_acts", "money_refusals"),
    "exchange/programme_decisions.py": _engine("money_programmes", "engine_acts", "money_refusals"),
    "exchange/redemption_decisions.py": _engine("money_redemption", "money_refusals"),
    "exchange/reversal_decisions.py": _engine("money_reversals", "farming_later", "money_refusals"),
    "exchange/transfer_decisions.py": _engine("money_acts", "money_refusals"),
    "exchange/usage_decisions.py": _engine("money_acts", "money_redemption", "money_refusals"),
    "exchange/server/frames.py": _journal("format", "journal", "journal_mutants", "damage"),
    "exchange/server/journal.py": _journal("journal", "journal_mutants", "damage", "faults"),
    "exchange/server/reading.py": _journal("journal", "journal_mutants", "damage"),
    "exchange/server/snapshots.py": Gate("", ["tests/server/test_snapshots.py"]),
}
"""Each module of the rules, and its gate."""
