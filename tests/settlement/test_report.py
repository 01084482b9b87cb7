"""The report adds up, and says in words what does not."""

from __future__ import annotations

import pytest

from settlement.report import AssetLine, BudgetLine, SizeLine, settlement_report
from settlement.store import Store
from tests.settlement.tape import BUDGET, DEPOSIT, ISSUED, VOUCHER, a_day, founded, settle


@pytest.fixture
def store():
    store, tape = founded()
    settle(store, a_day(tape))
    return store


def test_a_day_is_reported(store):
    report = settlement_report(store)
    assert report.balanced, report.differences
    assert (report.sequence, report.trades, report.orders, report.refusals) == (14, 5, 8, 2)
    assert report.turnover == 6_600_000 + 545_000 + 640_000
    assert report.fees == 1650 + 660 + 550 + 220 + 1100 + 440 + 272 + 109 + 320 + 128
    assert (report.subsidy, report.subsidised_trades) == (1_320_000, 2)
    assert report.budgets == (
        BudgetLine(
            VOUCHER, 2026, 1, BUDGET, BUDGET - 1_320_000, 0, 1_320_000, 0, 2, 1_320_000, BUDGET, 1_320_000
        ),
    )
    assert report.sizes == (SizeLine("small", 1, 2, 1_320_000),)
    owned = 3 * DEPOSIT - report.fees + report.subsidy
    assert [(line.asset, line.total, line.owned) for line in report.assets] == [
        ("money", 0, owned),
        ("GLM-5", 0, ISSUED),
        ("QWEN3-MAX", 0, ISSUED),
    ]
    assert report.postings == sum(line.postings for line in report.assets)
    assert isinstance(report.assets[0], AssetLine)


def test_an_empty_store_balances():
    report = settlement_report(Store.open())
    assert (report.balanced, report.trades, report.budgets, report.assets) == (True, 0, (), ())


def tamper(store, statement):
    store._connection.execute(statement)


TAMPERINGS = {
    "a posting off by one hao": (
        "update base.postings set amount = amount + 1 where trade = 2 and account = 3",
        ["money: the postings sum to 1, not to 0", "entry 8: its postings of money sum to 1, not to 0"],
    ),
    "a lost posting": (
        "delete from base.postings where trade = 1 and asset = 1 and amount > 0",
        [
            "QWEN3-MAX: the postings sum to -30, not to 0",
            "entry 7: its postings of QWEN3-MAX sum to -30, not to 0",
        ],
    ),
    "a budget that leaks": (
        "update base.programmes set uncommitted = uncommitted - 1",
        [f"programme {VOUCHER}: its four states sum to {BUDGET - 1} hao, its budget is {BUDGET}"],
    ),
    "a negative state": (
        "update base.programmes set reserved = -1, uncommitted = uncommitted + 1",
        [f"programme {VOUCHER}: reserved is -1 hao, below 0"],
    ),
    "a leg too many": (
        "insert into base.subsidy_legs (trade, programme, member, amount) values (9, 0, 1, 7)",
        [
            f"programme {VOUCHER}: paid and vested are 1320000 hao, its subsidy legs sum to 1320007",
            f"programme {VOUCHER}: its postings sum to 1320000 hao, its subsidy legs to 1320007",
        ],
    ),
    "credits sold that nobody had": (
        "insert into base.postings (entry, member, account, asset, amount)"
        " values (99, 3, 0, 2, -5), (99, 2, 0, 2, 5)",
        ["cat: its free account of GLM-5 stands at -5, below 0"],
    ),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_what_does_not_add_up_is_told(store, tampering):
    statement, told = TAMPERINGS[tampering]
    tamper(store, statement)
    report = settlement_report(store)
    assert list(report.differences) == told
    assert not report.balanced
