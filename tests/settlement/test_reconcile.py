"""Store and ledger in memory agree to the hao and the lot; where they part, it is said in words."""

from __future__ import annotations

import msgspec
import pytest

from settlement.layout import Ledger, empty_ledger
from settlement.reconcile import Reconciler, Unreconciled
from settlement.rows import Happened, ObligationRow
from settlement.store import Store
from tests.settlement.tape import (
    ANN,
    BOB,
    CAT,
    ISSUED,
    NINE,
    QWEN,
    VOUCHER,
    Tape,
    a_day,
    founded,
    rows,
    settle,
)
from tests.settlement.test_acts import NOTHING


def a_venue() -> tuple[Store, Tape]:
    """Return a store of a day, in which the provider's obligations are told too."""
    store, tape = founded()
    tape.sequence += 1
    owed = tuple(ObligationRow(tape.sequence, NINE, BOB, number, ISSUED, 0, 0) for number in range(2))
    store.add(*NOTHING, Happened(obligations=owed))
    store.flush(tape.mark(), tape.programmes())
    settle(store, a_day(tape))
    return store, tape


def memory_of(store: Store) -> Ledger:
    """Return what an engine would have in its rows, read off the store's postings."""
    ledger = empty_ledger(1)
    summed = rows(
        store,
        "select member, asset, account, sum(amount) from base.postings"
        " where member > 0 group by all order by member, asset",
    )
    places: dict[tuple[object, object], int] = {}
    for member, asset, account, amount in summed:
        slot = places.setdefault((member, asset), len(places))
        ledger.accounts[slot]["member"], ledger.accounts[slot]["asset"] = member, asset
        ledger.accounts[slot]["restricted" if account == 1 else "available"] = amount
    ledger.totals["accounts"] = len(places)
    ledger.totals["listings"] = 2
    ledger.listings["issued"][:2] = ISSUED
    return ledger


def account(ledger: Ledger, member: int, asset: int) -> int:
    """Return the slot of a member's account."""
    found = (ledger.accounts["member"] == member) & (ledger.accounts["asset"] == asset)
    return int(found.argmax())


def test_a_day_is_reconciled_and_what_is_held_is_part_of_what_is_free():
    store, tape = a_venue()
    ledger = memory_of(store)
    row = ledger.accounts[account(ledger, ANN, 0)]
    row["held"], row["available"] = 700, row["available"] - 700
    assert Reconciler(store).differences(ledger, tape.programmes()) == []


def test_each_look_reads_only_what_was_posted_since():
    store, tape = a_venue()
    looks = Reconciler(store)
    assert looks.differences(memory_of(store), tape.programmes()) == []
    tape.trade(tape.buy(ANN, 3, 100), tape.sell(BOB, 3, 100), 3, 100, fee=1, maker_fee=1)
    settle(store, tape)
    store._connection.execute("delete from base.postings where sequence < 5")
    assert looks.differences(memory_of(a_copy(tape)), tape.programmes()) == []


def a_copy(tape: Tape) -> Store:
    """Return a second store of the same tape."""
    store, _ = founded()
    settle(store, tape)
    return store


def misled(name: str, ledger: Ledger) -> None:
    """Let the ledger in memory be wrong in one place."""
    ann, bob = ledger.accounts[account(ledger, ANN, 0)], ledger.accounts[account(ledger, BOB, QWEN + 1)]
    match name:
        case "a hao more":
            ann["available"] += 1
        case "a debt":
            ann["debt"] = 40
        case "credits set aside":
            bob["available"], bob["redeeming"] = bob["available"] - 3, 3
        case "credits issued":
            ledger.listings[QWEN]["issued"] += 5
        case "credits burned":
            ledger.listings[QWEN]["redeemed"] += 2


PARTED = {
    "a hao more": ["ann, free, money: 996277481 in memory, 996277480 by the postings"],
    "a debt": ["ann, debt, money: -40 in memory, 0 by the postings"],
    "credits set aside": [
        "bob, free, QWEN3-MAX: 999932 in memory, 999935 by the postings",
        "bob, redeeming, QWEN3-MAX: 3 in memory, 0 by the postings",
    ],
    "credits issued": [
        "QWEN3-MAX: 1000005 issued in memory, 1000000 by the postings, 1000000 by the obligations"
    ],
    "credits burned": ["QWEN3-MAX: 2 redeemed in memory, 0 by the postings, 0 by the obligations"],
}


@pytest.mark.parametrize("name", PARTED)
def test_what_parts_is_told(name):
    store, tape = a_venue()
    ledger = memory_of(store)
    misled(name, ledger)
    assert Reconciler(store).differences(ledger, tape.programmes()) == PARTED[name]


def test_a_programme_has_left_to_pay_what_its_account_holds():
    store, tape = a_venue()
    (row,) = tape.programmes()
    lost = msgspec.structs.replace(row, uncommitted=row.uncommitted - 7)
    assert Reconciler(store).differences(memory_of(store), [lost]) == [
        f"programme {VOUCHER}: uncommitted is 9998679993 in memory, 9998680000 in the store",
        f"programme {VOUCHER}: 9998679993 left to pay in memory, 9998680000 by the postings",
    ]


def test_an_account_that_only_one_side_knows_is_told():
    store, tape = a_venue()
    ledger = memory_of(store)
    ledger.accounts[account(ledger, CAT, QWEN + 1)]["member"] = 77
    told = Reconciler(store).differences(ledger, tape.programmes())
    assert told == [
        "cat, free, QWEN3-MAX: 0 in memory, 25 by the postings",
        "member 77, free, QWEN3-MAX: 25 in memory, 0 by the postings",
    ]
    assert "at sequence 9 store and engine part: cat, free" in str(Unreconciled(9, told))
    assert ", and 1 more" in str(Unreconciled(9, told))
