"""Every entry sums to zero, asset by asset; and one that does not is caught before it is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.layout import HOUSE, MONEY
from settlement.postings import PostingAccount, act_postings, balanced, trade_columns, trade_postings
from settlement.rows import Posting
from tests.settlement.tape import ANN, BOB, CAT, Tape, a_day

AMOUNTS = st.integers(0, 2**40)


@st.composite
def tapes(draw):
    """Any trades between any members, either side arriving, with any fees and subsidies."""
    tape = Tape()
    for _ in range(draw(st.integers(1, 8))):
        buyer, seller = draw(st.permutations([ANN, BOB, CAT]))[:2]
        programme = draw(st.sampled_from([-1, 0, 3]))
        instrument = draw(st.integers(0, 3))
        quantity, price = draw(st.integers(1, 2**20)), draw(st.integers(1, 2**40))
        bid = tape.buy(buyer, quantity, price, instrument=instrument, programme=programme)
        offer = tape.sell(seller, quantity, price, instrument=instrument)
        taker, maker = draw(st.permutations([bid, offer]))
        subsidy = draw(st.integers(0, price * quantity)) if programme >= 0 else 0
        tape.trade(taker, maker, quantity, price, draw(AMOUNTS), draw(AMOUNTS), subsidy)
    return tape


@given(tapes())
def test_every_entry_sums_to_zero_asset_by_asset(tape):
    postings = trade_postings(tape.events(), tape.effects())
    sums: dict[tuple[int, int], int] = {}
    for entry, asset, amount in zip(postings["entry"], postings["asset"], postings["amount"], strict=True):
        sums[entry, asset] = sums.get((entry, asset), 0) + int(amount)
    assert set(sums.values()) == {0}
    assert {entry for entry, _ in sums} == set(range(1, tape.entries + 1))
    assert np.all(postings["amount"] != 0)


@given(tapes())
def test_the_house_earns_the_fees_and_the_programme_pays_the_subsidies(tape):
    events, effects = tape.events(), tape.effects()
    trades, postings = trade_columns(events, effects), trade_postings(events, effects)
    fees = postings["amount"][postings["account"] == PostingAccount.FEES]
    assert fees.sum() == trades["buyer_fee"].sum() + trades["seller_fee"].sum()
    pays = postings["account"] == PostingAccount.PROGRAMME
    assert -postings["amount"][pays].sum() == trades["subsidy"].sum()
    assert set(postings["member"][pays]) <= {HOUSE}
    assert set(postings["asset"][pays]) <= {MONEY}


@given(tapes(), st.data())
def test_a_posting_off_by_one_is_caught(tape, data):
    postings = trade_postings(tape.events(), tape.effects())
    row = data.draw(st.integers(0, len(postings["amount"]) - 1))
    postings["amount"][row] += data.draw(st.sampled_from([-1, 1]))
    with pytest.raises(AssertionError, match=f"entry {postings['entry'][row]}: .* not to 0"):
        balanced(postings)


def test_a_lost_line_is_caught():
    postings = trade_postings(a_day(Tape()).events(), a_day(Tape()).effects())
    lost = {name: np.delete(column, 3) for name, column in postings.items()}
    with pytest.raises(AssertionError, match="entry 1: the postings of asset 0"):
        balanced(lost)


def test_all_numbers_are_whole():
    postings = trade_postings(a_day(Tape()).events(), a_day(Tape()).effects())
    assert {column.dtype.kind for column in postings.values()} <= {"i", "u"}
    assert postings["amount"].dtype == np.int64


def test_no_events_post_nothing():
    tape = a_day(Tape())
    assert len(trade_postings(tape.events()[:0], tape.effects()[:0])["entry"]) == 0


def act(entry, account, asset, amount):
    return Posting(entry, 1, 0, HOUSE, account, asset, amount, "act")


def test_an_acts_lines_may_come_in_any_order():
    lines = [act(1, "free", 0, 5), act(1, "free", 1, 7), act(1, "outside", 0, -5), act(1, "debt", 1, -7)]
    assert list(act_postings(lines, {})["amount"]) == [5, -5, 7, -7]


def test_an_account_of_a_programme_bears_its_number():
    lines = [act(1, "programme:B", 0, 5), act(1, "outside", 0, -5)]
    columns = act_postings(lines, {"A": 3, "B": 4})
    assert list(columns["programme"]) == [4, -1]
    assert list(columns["account"]) == [PostingAccount.PROGRAMME, PostingAccount.OUTSIDE]


@pytest.mark.parametrize("account", ["pocket", "programme:unknown"])
def test_an_account_that_is_none_is_our_bug(account):
    with pytest.raises(KeyError):
        act_postings([act(1, account, 0, 5), act(1, "outside", 0, -5)], {})
