"""A firm's SQL, over markets drawn at random: nothing in it is of another member."""

# ruff: noqa: S608  every name in these statements is the test's own

from __future__ import annotations

from random import Random
from typing import Any

import pyarrow as pa
import pytest

from matching.vocabulary import RejectReason
from settlement.queries import Answer, QueryService
from settlement.store import describe
from tests.settlement.tape import ANN, BOB, CAT, GLM, NAMES, QWEN, Tape, founded, rows, settle

SEEDS = range(4)
STEPS = 60

NAMED_IN_PUBLIC = {("instruments", "provider"), ("obligations", "provider")}
"""Who issues credits, and what it owes, is public."""

NUMBERS = {
    "order": "order",
    "buy_order": "order",
    "sell_order": "order",
    "entry": "entry",
    "execution": "execution",
}
"""Columns of numbers that are a member's own, and what of."""


def a_market(seed: int):
    """Return a store of a market in which three members do what a seed says."""
    chance = Random(seed)
    store, tape = founded()
    for _ in range(STEPS):
        step(tape, chance)
        if chance.random() < 0.1:
            settle(store, tape)
    settle(store, tape)
    return store


def step(tape: Tape, chance: Random) -> None:
    """Let a member offer, and another take some of it; or be refused, or take an order back."""
    seller, buyer = chance.sample((ANN, BOB, CAT), 2)
    instrument, price = chance.choice((QWEN, GLM)), chance.randrange(900, 1100) * 100
    what = chance.random()
    if what < 0.15:
        tape.refuse(buyer, RejectReason.MONEY_NOT_AVAILABLE, chance.randrange(100))
        return
    lots = chance.randrange(2, 50)
    offer = tape.sell(seller, lots, price, instrument=instrument)
    if what < 0.35:
        tape.cancel(offer)
        return
    programme = {"programme": 0, "reserved": 0} if chance.random() < 0.4 else {}
    taken = chance.randrange(1, lots)
    bid = tape.buy(buyer, taken, price, instrument=instrument, **programme)
    subsidy = taken * price // 10 if programme else 0
    tape.trade(bid, offer, taken, price, fee=taken, maker_fee=1, subsidy=subsidy)
    tape.wait(chance.randrange(40))


def secrets_of(store, viewer: str) -> tuple[set[Any], dict[str, set[Any]]]:
    """Return the names, groups and client ids of the others, and the numbers of what is theirs alone."""
    others = [name for name in NAMES.values() if name != viewer]
    words: set[Any] = {*others, *(f"{name}-group" for name in others)}
    mine = f"member = '{viewer}'"
    words |= {
        word
        for (word,) in rows(store, "select client_id from orders where not " + mine)
        + rows(store, "select client_id from refusals where not " + mine)
        if word
    }
    own = {word for (word,) in rows(store, "select client_id from orders where " + mine)}
    numbers = {
        kind: {number for (number,) in rows(store, theirs)} - {number for (number,) in rows(store, ours)}
        for kind, theirs, ours in (
            (
                "order",
                'select "order" from orders where not ' + mine,
                'select "order" from orders where ' + mine,
            ),
            (
                "entry",
                "select entry from postings where not " + mine,
                "select entry from postings where " + mine,
            ),
            (
                "execution",
                "select execution from executions where not " + mine,
                "select execution from executions where " + mine,
            ),
        )
    }
    return words - own, numbers


def leaks(service, table: str, viewer: str | None, words: set[str], numbers: dict[str, set[int]]) -> list:
    """Return what of the others stands in the whole of a table."""
    answer = service.answer(f'from "{table}"', viewer=viewer)
    assert isinstance(answer, Answer), answer
    found = []
    seen = pa.ipc.open_stream(answer.arrow_ipc_stream).read_all()
    for name in seen.schema.names:
        values = {value for value in seen[name].to_pylist() if value is not None}
        hidden = numbers[NUMBERS[name]] if name in NUMBERS else words
        if (table, name) not in NAMED_IN_PUBLIC and values & hidden:
            found.append((table, name, sorted(values & hidden)[:3]))
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_no_view_of_a_firms_holds_what_is_anothers(seed):
    store = a_market(seed)
    service = QueryService(store)
    tables = sorted({column.table for column in describe(store)})
    try:
        for viewer in NAMES.values():
            words, numbers = secrets_of(store, viewer)
            found = [each for table in tables for each in leaks(service, table, viewer, words, numbers)]
            assert not found, (seed, viewer, found)
    finally:
        store.close()


def test_whoever_sees_all_sees_what_a_firm_must_not():
    """The canary: what is looked for is there."""
    store = a_market(0)
    service = QueryService(store)
    words, numbers = secrets_of(store, "cat")
    for table in ("trades", "orders", "executions", "postings", "members", "refusals"):
        assert leaks(service, table, None, words, numbers), table
    store.close()


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_a_firms_own_is_there(seed):
    store = a_market(seed)
    service = QueryService(store)
    for viewer in NAMES.values():
        for table in ("orders", "executions", "postings"):
            wide: Any
            (wide,) = rows(store, f"select count(*) from {table} where member = '{viewer}'")[0]
            answer = service.answer(f"select count(*) as n from {table}", viewer=viewer)
            assert isinstance(answer, Answer)
            told = pa.ipc.open_stream(answer.arrow_ipc_stream).read_all()["n"][0].as_py()
            assert told == wide > 0
    store.close()
