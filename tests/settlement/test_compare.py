"""Equal tapes make equal stores, however they were cut into flushes; and one hao's difference is seen."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from settlement.compare import differences
from settlement.rows import Happened
from settlement.store import Store, Watermark
from tests.settlement.tape import a_day, founded, settle


def cut(sequences: set[int]) -> Store:
    """Return a store of the day, flushed after each of these sequences and at the end."""
    store, tape = founded()
    a_day(tape)
    events, effects = tape.events(), tape.effects()
    for last in sorted({*sequences, tape.sequence}):
        new = (effects["sequence"] > store.watermark.sequence) & (effects["sequence"] <= last)
        store.add(events[new], effects[new], Happened())
        if last < tape.sequence:
            store.flush(Watermark(sequence=last), [])
    store.flush(tape.mark(), tape.programmes())
    return store


@settings(max_examples=12)
@given(st.sets(st.integers(2, 13)))
@example(set(range(2, 14)))
def test_how_a_tape_is_cut_into_flushes_changes_nothing(sequences):
    assert differences(cut(sequences), cut(set())) == []


def test_a_rebuilt_file_equals_the_lost_one(tmp_path):
    stores = []
    for name in ("lost", "rebuilt"):
        store, tape = founded(tmp_path / f"{name}.duckdb")
        settle(store, a_day(tape))
        store.close()
        stores.append(Store.open(tmp_path / f"{name}.duckdb"))
    assert differences(stores[0], stores[1]) == []
    for store in stores:
        store.close()


def test_one_hao_is_a_difference():
    one, other = cut(set()), cut(set())
    other._connection.execute("update base.trades set price = price + 1 where trade = 5")
    told = differences(one, other)
    bars = ["bars_1d", "bars_1h", "bars_1m", "bars_1s", "bars_5m"]
    assert [line.split(":")[0] for line in told] == ["trades", *bars, "executions"]
    assert "1 rows only in the first store, the first with trade 5" in told[0]
    assert "price 80000" in told[0]
    assert "price 80001" in told[0]


@pytest.mark.parametrize(
    ("tampering", "table"),
    [
        ("insert into base.refusals from base.refusals", "refusals"),
        ("delete from base.refusals", "refusals"),
        ('update base.watermark set "offset" = 1', "watermark"),
        ('update base.order_entries set state = 2 where "order" = 8', "orders"),
        ("update base.members set size = 'large' where member = 'ann'", "members"),
        ("insert into base.phases (sequence) values (7)", "phases"),
        ("insert into base.fixings (sequence) values (7)", "fixings"),
        ("insert into base.redemptions (sequence) values (7)", "redemptions"),
        ("insert into base.obligations (issued) values (7)", "obligations"),
        ("insert into base.terms (terms_version) values (7)", "terms"),
        ("insert into base.busts (trade) values (7)", "busts"),
        ("insert into base.quotes (sequence) values (7)", "quotes_1m"),
        ("update base.subsidy_legs set amount = amount - 1 where trade = 1", "subsidy_legs"),
    ],
)
def test_every_row_counts_and_how_often_it_is_there(tampering, table):
    one, other = cut(set()), cut(set())
    other._connection.execute(tampering)
    assert [line.split(":")[0] for line in differences(one, other)] == [table]


def test_the_order_of_rows_does_not_count():
    one, other = cut(set()), cut(set())
    other._connection.execute("create table turned as from base.postings order by amount")
    other._connection.execute("delete from base.postings")
    other._connection.execute("insert into base.postings from turned")
    assert differences(one, other) == []
