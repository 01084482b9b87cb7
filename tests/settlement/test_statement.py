"""A statement: opening, movements, closing, account by account; each movement with its entry."""

from __future__ import annotations

import re
from datetime import date
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from exchange.cli.statement import print_statement, statement_facts
from exchange.client.account_statement import Statement, movements_of, statement_of
from exchange.client.statements import bound
from exchange.client.tables import Table
from exchange.protocol.query_messages import QueryResult
from settlement.queries import Answer, QueryService
from settlement.store import Store
from tests.settlement.tape import DEPOSIT, a_day, founded, settle


@pytest.fixture(scope="module")
def store():
    """Two days of the same trading."""
    store, tape = founded()
    settle(store, a_day(tape))
    tape.wait(86_400)
    settle(store, a_day(tape))
    return store


def a_client(store: Store, member: str, viewer: str | None = None) -> Any:
    """Return what statements and reports need of a client."""

    def sql(text, parameters=()):
        answer = QueryService(store).answer(text, bound(parameters), viewer=viewer)
        assert isinstance(answer, Answer), answer
        told = QueryResult(1, answer.sequence, answer.rows, answer.seconds, answer.arrow_ipc_stream)
        return Table(told)

    return SimpleNamespace(member=member, history=SimpleNamespace(sql=sql))


def statement(client: Any, *days: date | None) -> Statement:
    """Return the statement of a client's accounts: as clients make it, but of what stands in the store."""
    start, end = (*days, None, None)[:2]
    rows = client.history.sql(*movements_of(client.member, start, end)).rows()
    return statement_of(client.member, start, end, rows)


COST = 4_400_000 + 2200 - 1_320_000 + 640_000 + 320


def test_a_statement_tells_each_account_from_its_opening_to_its_closing(store):
    made = statement(a_client(store, "ann", "ann"), date(2026, 11, 6), date(2026, 11, 6))
    money, glm_bought, qwen_restricted = made.accounts[0], made.accounts[1], made.accounts[2]
    assert (money.asset, money.account, money.opening) == ("money", "free", DEPOSIT - COST)
    assert money.closing == DEPOSIT - 2 * COST
    assert [movement.reason for movement in money.movements] == ["trade"] * 3
    assert (glm_bought.asset, glm_bought.account) == ("GLM-5", "restricted")
    assert (glm_bought.opening, glm_bought.closing) == (8, 16)
    assert (qwen_restricted.asset, qwen_restricted.closing) == ("QWEN3-MAX", 80)


def test_without_days_it_tells_everything(store):
    made = statement(a_client(store, "ann", "ann"))
    assert made.accounts[0].opening == 0
    assert [movement.reason for movement in made.accounts[0].movements][:2] == ["deposit", "trade"]
    assert made.accounts[0].closing == DEPOSIT - 2 * COST


def test_days_are_the_venues_own(store):
    before = statement(a_client(store, "ann", "ann"), None, date(2026, 11, 4))
    assert before.accounts == ()
    after = statement(a_client(store, "ann", "ann"), date(2026, 11, 8))
    assert [(one.account, one.movements) for one in after.accounts] == [
        ("free", ()),
        ("restricted", ()),
        ("restricted", ()),
    ]


def test_it_is_shown_in_yuan_and_lots(store, capsys):
    print_statement(statement(a_client(store, "cat", "cat"), date(2026, 11, 6)))
    told = capsys.readouterr().out
    assert "cat, money, free (yuan), 2026-11-06 through now, UTC+8" in told
    assert "cat, QWEN3-MAX, free (lots)" in told
    assert re.search(r"2026-11-06 \d\d:\d\d:\d\d │", told), "the venue's day, to the second"
    assert told.count("opening") == told.count("closing") == 2


def test_as_facts_it_bears_whole_numbers(store):
    facts = statement_facts(statement(a_client(store, "cat", "cat")))
    assert facts["member"] == "cat"
    accounts = facts["accounts"]
    assert isinstance(accounts, list)
    assert isinstance(accounts[0]["movements"][0]["amount"], int)
    assert pa.array([one["closing"] for one in accounts]).type == pa.int64()
