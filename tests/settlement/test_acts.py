"""What acts bring to the store: redemptions, legs, terms, obligations, busts; each traced to its cause."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from matching.layout import EVENT
from settlement.compare import differences
from settlement.layout import EFFECT, HOUSE, MONEY
from settlement.queries import Answer, QueryService
from settlement.rows import (
    BustRow,
    Happened,
    LegRow,
    ObligationRow,
    Posting,
    RedemptionRow,
    TermsRow,
)
from settlement.store import Store
from tests.settlement.tape import (
    ANN,
    BOB,
    BUDGET,
    CAT,
    NINE,
    QWEN,
    SECOND,
    VOUCHER,
    Tape,
    founded,
    rows,
    settle,
)

NOTHING = (np.zeros(0, EVENT), np.zeros(0, EFFECT))


def act(store: Store, tape: Tape, **brought: object) -> None:
    """Let one command bring these rows, which bear its number, and flush."""
    tape.sequence += 1
    store.add(*NOTHING, Happened(**brought))  # type: ignore[arg-type]
    store.flush(tape.mark(), tape.programmes())


def a_redemption(tape: Tape, asked: int, state: str, **more: int) -> RedemptionRow:
    told = {"lots": 5, "restricted": 3, "units": 0, "vested": 0, "reimbursed": 0} | more
    return RedemptionRow(
        sequence=tape.sequence + 1,
        time=NINE,
        redemption=asked,
        number=0,
        member=ANN,
        instrument=QWEN,
        state=state,  # type: ignore[arg-type]
        reference="job-7",
        **told,
    )


def test_a_redemption_stands_as_the_last_command_left_it():
    store, tape = founded()
    asked = tape.sequence + 1
    act(store, tape, redemptions=(a_redemption(tape, asked, "requested"),))
    act(store, tape, redemptions=(a_redemption(tape, asked, "confirmed", vested=90),))
    act(store, tape, redemptions=(a_redemption(tape, tape.sequence + 1, "requested"),))
    assert rows(
        store,
        "select redemption, sequence, member, instrument, lots, restricted, state, reference, vested"
        " from redemptions order by redemption",
    ) == [
        (asked, asked + 1, "ann", "QWEN3-MAX", 5, 3, "confirmed", "job-7", 90),
        (asked + 2, asked + 2, "ann", "QWEN3-MAX", 5, 3, "requested", "job-7", 0),
    ]


def test_an_obligation_is_the_sum_of_what_changed_it():
    store, tape = founded()
    for issued, redeemed, expired in ((100, 0, 0), (50, 0, 0), (0, 30, 0), (0, 0, 20)):
        row = ObligationRow(tape.sequence + 1, NINE, BOB, QWEN, issued, redeemed, expired)
        act(store, tape, obligations=(row,))
    assert rows(store, "from obligations") == [("bob", "QWEN3-MAX", 150, 30, 20, 100)]


def test_a_leg_leads_to_the_terms_by_which_it_was_paid():
    store, tape = founded()
    for version in (1, 2):
        act(store, tape, terms=(TermsRow(tape.sequence + 1, NINE, 0, version, f"version = {version}"),))
    legs = (
        LegRow(tape.sequence + 1, NINE, 4, 3, 0, 2, ANN, 700, "reimbursed"),
        LegRow(tape.sequence + 1, NINE, 0, 0, 0, 1, ANN, -90, "settled"),
    )
    act(store, tape, legs=legs)
    assert rows(
        store,
        'select l.trade, l."order", l.amount, l.reason, t.terms'
        " from subsidy_legs as l join terms as t using (programme, terms_version) order by l.amount",
    ) == [(None, None, -90, "settled", "version = 1"), (4, 3, 700, "reimbursed", "version = 2")]


def test_debts_and_claims_have_accounts_of_their_own():
    store, tape = founded()
    entry = tape.entries + 1
    lines = (
        (ANN, "debt", MONEY, -40),
        (HOUSE, f"claims:{VOUCHER}", MONEY, 40),
        (ANN, "redeeming", QWEN + 1, 5),
        (ANN, "restricted", QWEN + 1, -5),
    )
    postings = tuple(
        Posting(entry, tape.sequence + 1, NINE, member, account, asset, amount, "debt")
        for member, account, asset, amount in lines
    )
    act(store, tape, postings=postings)
    told = "select member, account, asset, amount from postings where reason = 'debt' order by all"
    assert rows(store, told) == [
        ("ann", "debt", "money", -40),
        ("ann", "redeeming", "QWEN3-MAX", 5),
        ("ann", "restricted", "QWEN3-MAX", -5),
        ("house", f"claims:{VOUCHER}", "money", 40),
    ]
    assert rows(store, "select sequence, entry, trade, postings from entries where reason = 'debt'") == [
        (2, entry, None, 4)
    ]


# --- busts -------------------------------------------------------------------------------------


def traded_over_three_minutes(tape: Tape) -> None:
    """Two trades in the first minute, one each in the second and the third."""
    for price, wait in ((100, 10), (120, 60), (110, 60), (105, 60)):
        tape.trade(tape.buy(ANN, 2, price), tape.sell(BOB, 2, price), 2, price)
        tape.wait(wait)


BARS = "select open, high, low, close, volume, trades from bars_1m order by start"


@pytest.mark.parametrize("cuts", range(3))
def test_a_busted_trade_is_marked_and_makes_no_price(cuts):
    stores = []
    for cut in (0, cuts):
        store, tape = founded()
        traded_over_three_minutes(tape)
        if cut > 0:
            settle(store, tape)
        bust = tuple(
            BustRow(tape.sequence + 1, NINE + 200 * SECOND, trade, "OPS", "a slip of ann's")
            for trade in (2, 3, 4)
        )
        effects = tape.effects()
        new = effects["sequence"] > store.watermark.sequence
        tape.sequence += 1
        store.add(tape.events()[new], effects[new], Happened())
        store.add(*NOTHING, Happened(busts=bust))
        store.flush(tape.mark(), tape.programmes())
        if cut > 1:
            tape.trade(tape.buy(ANN, 1, 90), tape.sell(BOB, 1, 90), 1, 90)
            settle(store, tape)
        stores.append(store)
    assert rows(stores[1], "select trade, busted from trades where trade < 5 order by trade") == [
        (1, False),
        (2, True),
        (3, True),
        (4, True),
    ]
    assert rows(stores[1], "select count(*) from executions where busted") == [(6,)]
    assert rows(stores[0], BARS) == [(100, 100, 100, 100, 2, 1)]
    if cuts < 2:
        assert differences(stores[0], stores[1]) == []
    else:
        assert rows(stores[1], BARS) == [(100, 100, 100, 100, 2, 1), (90, 90, 90, 90, 1, 1)]


# --- what a firm sees ----------------------------------------------------------------------------


def seen(store: Store, sql: str, viewer: str | None) -> list[dict[str, object]]:
    import pyarrow as pa

    answer = QueryService(store).answer(sql, viewer=viewer)
    assert isinstance(answer, Answer), answer
    return pa.ipc.open_stream(answer.arrow_ipc_stream).read_all().to_pylist()


def test_a_firm_sees_its_own_redemptions_and_entries_and_everybodys_obligations():
    store, tape = founded()
    act(store, tape, redemptions=(a_redemption(tape, tape.sequence + 1, "requested"),))
    act(store, tape, obligations=(ObligationRow(tape.sequence + 1, NINE, BOB, QWEN, 9, 0, 0),))
    act(store, tape, terms=(TermsRow(tape.sequence + 1, NINE, 0, 1, "code = ..."),))
    act(store, tape, busts=(BustRow(tape.sequence + 1, NINE, 1, "OPS", "ann erred"),))
    assert [row["member"] for row in seen(store, "from redemptions", "ann")] == ["ann"]
    assert seen(store, "from redemptions", "cat") == []
    assert [row["reason"] for row in seen(store, "from entries", "cat")] == ["deposit"]
    assert seen(store, "select issued from obligations", "cat") == [{"issued": 9}]
    assert seen(store, "select terms from terms", "cat") == [{"terms": "code = ..."}]
    assert seen(store, "select trade, who, why from busts", "cat") == [{"trade": 1, "who": None, "why": None}]


def test_a_firms_condition_is_never_tried_on_others_redemptions():
    store, tape = founded()
    for member in (ANN, CAT):
        row = a_redemption(tape, tape.sequence + 1, "requested")
        act(store, tape, redemptions=(msgspec.structs.replace(row, member=member),))
    sql = "from redemptions where case when member = 'cat' then 1 else member::integer end > 0"
    assert len(seen(store, sql, "cat")) == 1


def test_the_voucher_of_the_tape_is_funded():
    store, _ = founded()
    assert rows(store, "select sum(amount) from postings where account like 'programme:%'") == [(BUDGET,)]
