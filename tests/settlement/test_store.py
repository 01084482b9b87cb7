"""What the journal says is what the tables say: each trade, order, refusal and posting, once."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import msgspec
import numpy as np
import pytest

from matching.layout import EVENT
from matching.vocabulary import (
    EventKind,
    OrderState,
    OrderType,
    Phase,
    RejectReason,
    Side,
    TimeInForce,
)
from settlement.layout import EFFECT
from settlement.postings import PostingAccount
from settlement.rows import FixingRow, Happened, MemberRow, PhaseRow, Posting, ProgrammeRow
from settlement.store import Store, StoreDamaged, StoreInUse, Watermark, describe
from tests.settlement.tape import (
    ANN,
    BOB,
    BUDGET,
    CAT,
    GLM,
    NINE,
    QWEN,
    VOUCHER,
    Tape,
    a_day,
    founded,
    rows,
    settle,
)

NOTHING = (np.zeros(0, EVENT), np.zeros(0, EFFECT))


def records(store: Store, query: str) -> list[dict[str, object]]:
    """Return the rows of a query, each with its columns' names."""
    return store.cursor().sql(query).to_arrow_table().to_pylist()


def test_what_a_query_has_no_memory_for_goes_to_a_folder_where_one_is_named(tmp_path):
    spill = tmp_path / "spill"
    large = "select count(*) from (select i, max(-i) from range(3000000) as t(i) group by i)"
    store = Store.open(tmp_path / "refusing.duckdb", memory_bytes=60_000_000)
    with pytest.raises(duckdb.OutOfMemoryException):
        store.cursor().execute(large)
    store.close()
    store = Store.open(tmp_path / "spilling.duckdb", memory_bytes=60_000_000, spill=spill)
    assert store.cursor().execute(large).fetchall() == [(3_000_000,)]
    assert any(spill.iterdir())
    store.close()
    assert not spill.exists()


# --- one trade -------------------------------------------------------------------------------


def test_a_subsidised_trade_is_seen_in_every_table():
    store, tape = founded()
    offer = tape.sell(BOB, 100, 110_000)
    deal = tape.buy(ANN, 30, 111_000, programme=0, reserved=999_000)
    tape.trade(deal, offer, 30, 110_000, fee=1650, maker_fee=660, subsidy=990_000)
    settle(store, tape)

    at = datetime(2026, 11, 5, 9)  # noqa: DTZ001 - the column is UTC and bears no zone
    assert records(store, "from trades") == [
        {
            "trade": 1,
            "sequence": 3,
            "time": at,
            "instrument": "QWEN3-MAX",
            "price": 110_000,
            "quantity": 30,
            "amount": 3_300_000,
            "taker_side": "buy",
            "buy_order": deal,
            "sell_order": offer,
            "buyer": "ann",
            "seller": "bob",
            "buyer_fee": 1650,
            "seller_fee": 660,
            "subsidy": 990_000,
            "phase": "continuous",
            "programme": VOUCHER,
            "terms_version": 1,
            "busted": False,
            "entry": 7,
        }
    ]
    assert rows(store, "select * exclude (sequence, time) from postings where trade = 1") == [
        (7, "ann", "free", "money", -(3_300_000 + 1650 - 990_000), "trade", 1),
        (7, "house", f"programme:{VOUCHER}", "money", -990_000, "trade", 1),
        (7, "bob", "free", "money", 3_300_000 - 660, "trade", 1),
        (7, "house", "fees", "money", 1650 + 660, "trade", 1),
        (7, "ann", "restricted", "QWEN3-MAX", 30, "trade", 1),
        (7, "bob", "free", "QWEN3-MAX", -30, "trade", 1),
    ]
    assert rows(store, "from subsidy_legs") == [(1, deal, VOUCHER, 1, 2026, "ann", 990_000, "trade", 3, at)]
    assert rows(store, "from entries where trade = 1") == [(7, 3, at, "trade", 1, 6)]
    assert rows(store, "from executions order by execution") == [
        (1, 1, deal, 3, at, "ann", "QWEN3-MAX", "buy", 110_000, 30, 1650, 990_000, False, False),
        (2, 1, offer, 3, at, "bob", "QWEN3-MAX", "sell", 110_000, 30, 660, 0, True, False),
    ]
    assert rows(store, "select member, state, filled_quantity, gross, subsidy from orders order by 1") == [
        ("ann", "filled", 30, 3_300_000, 990_000),
        ("bob", "open", 30, 3_300_000, 0),
    ]


def test_when_the_seller_arrives_the_buyer_is_the_maker():
    store, tape = founded()
    bid = tape.buy(ANN, 5, 100_000, programme=0, reserved=100)
    hit = tape.sell(BOB, 5, 100_000)
    tape.trade(hit, bid, 5, 100_000, fee=7, maker_fee=3, subsidy=100)
    settle(store, tape)
    (trade,) = records(store, "from trades")
    assert (trade["taker_side"], trade["programme"]) == ("sell", VOUCHER)
    assert (trade["buy_order"], trade["buyer"], trade["buyer_fee"]) == (bid, "ann", 3)
    assert (trade["sell_order"], trade["seller"], trade["seller_fee"]) == (hit, "bob", 7)
    assert rows(store, "select side, maker from executions order by execution") == [
        ("buy", True),
        ("sell", False),
    ]


def test_in_an_auction_both_are_makers_and_nobody_takes():
    store, tape = founded()
    offer = tape.sell(BOB, 9, 100)
    deal = tape.buy(ANN, 4, 110)
    tape.indicate(105, 4)
    tape.change_phase(Phase.CONTINUOUS)
    tape.uncross(deal, offer, 4, 105, fee=2, seller_fee=1)
    tape.trade(tape.buy(CAT, 5, 100), offer, 5, 100)
    settle(store, tape)
    assert rows(store, "select trade, phase, taker_side, buyer, seller from trades order by trade") == [
        (1, "auction", None, "ann", "bob"),
        (2, "continuous", "buy", "cat", "bob"),
    ]
    assert rows(store, "select trade, side, fee, maker from executions order by execution") == [
        (1, "buy", 2, True),
        (1, "sell", 1, True),
        (2, "buy", 0, False),
        (2, "sell", 0, True),
    ]
    assert rows(store, "select open, high, low, close, volume, trades from bars_1m") == [
        (105, 105, 100, 100, 9, 2)
    ]


def test_credits_bought_under_a_programme_are_restricted_even_where_it_pays_nothing():
    store, tape = founded()
    offer = tape.sell(BOB, 9, 100)
    for programme in (0, -1):
        deal = tape.buy(ANN, 4, 100, programme=programme)
        tape.trade(deal, offer, 4, 100)
    settle(store, tape)
    bought = (
        "select account, amount from postings where asset = 'QWEN3-MAX' and member = 'ann' order by entry"
    )
    assert rows(store, bought) == [("restricted", 4), ("free", 4)]
    assert rows(store, "from subsidy_legs") == []


def test_lines_of_nothing_are_not_posted():
    store, tape = founded()
    deal = tape.buy(ANN, 4, 100, programme=0, reserved=400)
    offer = tape.sell(BOB, 4, 100)
    tape.trade(offer, deal, 4, 100, subsidy=400)
    settle(store, tape)
    assert rows(store, "select member, account, asset, amount from postings where trade = 1") == [
        ("house", f"programme:{VOUCHER}", "money", -400),
        ("bob", "free", "money", 400),
        ("ann", "restricted", "QWEN3-MAX", 4),
        ("bob", "free", "QWEN3-MAX", -4),
    ]


# --- orders and refusals ---------------------------------------------------------------------


def test_an_order_bears_what_was_asked():
    store, tape = founded()
    tape.buy(ANN, 5, 100_000, programme=0, reserved=77)
    settle(store, tape)
    assert records(store, "select * exclude (time) from orders") == [
        {
            "order": 1,
            "client_id": "id-2",
            "sequence": 2,
            "member": "ann",
            "instrument": "QWEN3-MAX",
            "side": "buy",
            "type": "limit",
            "time_in_force": "day",
            "price": 100_000,
            "quantity": 5,
            "programme": VOUCHER,
            "state": "open",
            "replaced": False,
            "filled_quantity": 0,
            "gross": 0,
            "subsidy": 0,
            "subsidy_reserved": 77,
            "last_sequence": 2,
        }
    ]


def test_orders_stand_as_their_last_event_left_them_whatever_flush_brought_it():
    store, tape = founded()
    offer, bid = tape.sell(BOB, 10, 100), tape.buy(CAT, 3, 90)
    settle(store, tape)
    deal = tape.buy(ANN, 4, 100)
    tape.trade(deal, offer, 4, 100)
    settle(store, tape)
    tape.cancel(bid)
    tape.trade(tape.buy(ANN, 2, 100), offer, 2, 100)
    tape.expire(offer)
    settle(store, tape)
    assert rows(
        store, 'select "order", state, filled_quantity, gross, last_sequence from orders order by 1'
    ) == [
        (offer, "expired", 6, 600, 7),
        (bid, "cancelled", 0, 0, 5),
        (deal, "filled", 4, 400, 4),
        (4, "filled", 2, 200, 6),
    ]


def test_an_order_has_the_quantity_that_it_was_reduced_to_whatever_flush_brought_it():
    told = []
    for cut in (False, True):
        store, tape = founded()
        offer, bid = tape.sell(BOB, 10, 100), tape.buy(CAT, 9, 90)
        if cut:
            settle(store, tape)
        tape.reduce(offer, 3)
        tape.trade(tape.buy(ANN, 2, 100), offer, 2, 100)
        if cut:
            settle(store, tape)
        tape.reduce(bid, 1)
        if cut:
            settle(store, tape)
        tape.expire(bid)
        settle(store, tape)
        told.append(
            rows(store, 'select "order", state, quantity, filled_quantity from orders order by "order"')
        )
    assert told[0] == told[1] == [(1, "open", 7, 2), (2, "expired", 8, 0), (3, "filled", 2, 2)]


@pytest.mark.parametrize("cuts", range(4))
def test_an_order_has_the_price_and_total_that_it_was_replaced_to_whatever_flush_brought_it(cuts):
    store, tape = founded()
    bid = tape.buy(ANN, 10, 100, programme=0, reserved=50)
    plain = tape.buy(CAT, 3, 80)
    if cuts > 0:
        settle(store, tape)
    tape.replace(bid, 12, 110, reserved=60)
    offer = tape.sell(BOB, 5, 110)
    tape.trade(offer, bid, 5, 110)
    if cuts > 1:
        settle(store, tape)
    tape.replace(bid, 7, 105)
    if cuts > 2:
        settle(store, tape)
    tape.cancel(bid)
    settle(store, tape)
    assert rows(
        store, 'select "order", price, quantity, replaced, filled_quantity, state from orders order by 1'
    ) == [
        (bid, 105, 7, True, 5, "cancelled"),
        (plain, 80, 3, False, 0, "open"),
        (offer, 110, 5, False, 5, "filled"),
    ]


def test_a_stop_has_the_protection_price_at_which_it_entered_the_book():
    store, tape = founded()
    stop = tape.buy(ANN, 10, 130)
    settle(store, tape)
    offer = tape.sell(BOB, 4, 120)
    tape.trigger(stop, 125)
    tape.trade(stop, offer, 4, 120)
    settle(store, tape)
    assert rows(store, 'select price, quantity, replaced, filled_quantity from orders where "order" = 1') == [
        (125, 10, False, 4)
    ]


def test_a_mass_cancel_ends_its_orders_and_is_none_itself():
    store, tape = founded()
    orders = [tape.buy(ANN, 3, 100), tape.buy(ANN, 4, 90)]
    tape.cancel_all(ANN, orders)
    settle(store, tape)
    found = rows(store, 'select "order", state, quantity, last_sequence from orders order by "order"')
    assert found == [(1, "cancelled", 3, 4), (2, "cancelled", 4, 4)]
    assert rows(store, "from refusals") == []


def test_refusals_are_told_apart_from_orders():
    store, tape = founded()
    tape.refuse(ANN, RejectReason.PRICE_OFF_TICK, 12_345)
    settle(store, tape)
    assert rows(store, "select sequence, member, client_id, instrument, reason, detail from refusals") == [
        (2, "ann", "id-2", "QWEN3-MAX", "price_off_tick", 12_345)
    ]
    assert rows(store, "from orders") == []


def test_a_refusal_of_nobody_about_nothing_is_kept():
    store, tape = founded()
    tape.refuse(-1, RejectReason.UNKNOWN_MEMBER)
    settle(store, tape)
    assert rows(store, "select member, reason from refusals") == [(None, "unknown_member")]


def test_a_known_client_id_changes_nothing():
    store, tape = founded()
    order = tape.buy(ANN, 5, 100)
    settle(store, tape)
    before = rows(store, "from orders")
    tape.know(order)
    settle(store, tape)
    assert rows(store, "from orders") == before


def test_client_ids_of_every_length_come_through():
    store, tape = founded()
    for _ in range(24):
        tape.buy(ANN, 1, 100)
    events, effects = tape.events(), tape.effects()
    ids = ["x" * length for length in range(1, 25)]
    padded = np.array([text.encode() for text in ids], "S24")
    effects["client_id"] = padded.view(np.int64).reshape(24, 3)
    store.add(events, effects, Happened())
    store.flush(tape.mark(), tape.programmes())
    assert rows(store, 'select client_id from orders order by "order"') == [(text,) for text in ids]


def test_times_are_utc_to_the_microsecond():
    store, tape = founded()
    tape.time += 123_456_789
    tape.buy(ANN, 1, 100)
    settle(store, tape)
    micro = timedelta(microseconds=123_456)
    assert rows(store, "select time from orders") == [(datetime(2026, 11, 5, 9) + micro,)]  # noqa: DTZ001
    assert store.watermark.time == NINE + 123_456_789


# --- what acts bring -------------------------------------------------------------------------


def test_members_and_instruments_stand_as_they_were_last_told():
    store, tape = founded()
    tape.sequence += 1
    grown_up = MemberRow(tape.sequence, ANN, "ann", "ann-group", "medium", "330100", "firm", "")
    store.add(*NOTHING, Happened(members=(grown_up,)))
    store.flush(tape.mark(), tape.programmes())
    assert rows(store, "select member, size, sequence from members order by member") == [
        ("ann", "medium", 2),
        ("bob", "large", 1),
        ("cat", "micro", 1),
    ]
    assert rows(store, "select instrument, kind, domestic, tick, state from instruments order by 1") == [
        ("GLM-5", "model", True, 100, "listed"),
        ("QWEN3-MAX", "model", True, 100, "listed"),
    ]


def test_acts_post_to_the_accounts_that_they_name():
    store, _ = founded()
    assert rows(
        store, "select entry, member, account, asset, amount, reason, trade from postings limit 4"
    ) == [
        (1, "house", f"programme:{VOUCHER}", "money", BUDGET, "fund", None),
        (1, "house", "outside", "money", -BUDGET, "fund", None),
        (2, "ann", "free", "money", 1_000_000_000, "deposit", None),
        (2, "house", "outside", "money", -1_000_000_000, "deposit", None),
    ]


def test_an_act_that_does_not_balance_is_never_written():
    store, tape = founded()
    tape.sequence += 1
    lines = tuple(
        Posting(99, tape.sequence, NINE, ANN, "free", asset, amount, "gift")
        for asset, amount in ((0, 5), (1, -5))
    )
    store.add(*NOTHING, Happened(postings=lines))
    with pytest.raises(AssertionError, match="entry 99: the postings of asset 0 sum to 5"):
        store.flush(tape.mark(), tape.programmes())
    assert rows(store, "select count(*) from postings where entry = 99") == [(0,)]


def test_phases_tell_who_changed_them_or_which_collar():
    store, tape = founded()
    changes = (
        PhaseRow(2, NINE, QWEN, "continuous", 120_000, "", "CALENDAR", "after the call opening"),
        PhaseRow(3, NINE, QWEN, "pre_open", 120_000, "static_collar", "", ""),
        PhaseRow(3, NINE, GLM, "halted", 0, "", "OPS", "news"),
    )
    tape.sequence = 3
    store.add(*NOTHING, Happened(phases=changes))
    store.flush(tape.mark(), tape.programmes())
    at = datetime(2026, 11, 5, 9)  # noqa: DTZ001 - the column is UTC and bears no zone
    assert rows(store, "from phases") == [
        (2, at, "QWEN3-MAX", "continuous", 120_000, None, "CALENDAR", "after the call opening"),
        (3, at, "QWEN3-MAX", "pre_open", 120_000, "static_collar", None, None),
        (3, at, "GLM-5", "halted", None, None, "OPS", "news"),
    ]


def a_fixing(sequence: int, day: int, **inputs: object) -> FixingRow:
    """Return a fixing that rests on nothing but its `inputs`."""
    blank: dict[str, Any] = dict.fromkeys(FixingRow.__struct_fields__)
    known: dict[str, Any] = {
        "day": date(2026, 11, day),
        "instrument": QWEN,
        "sequence": sequence,
        "time": NINE,
        "price": 120_000,
        "rung": "carried",
        "stale": False,
    }
    return FixingRow(**(blank | known | inputs))


def test_fixings_tell_what_they_rest_on_and_nothing_of_what_was_not_tried():
    store, tape = founded()
    carried = a_fixing(2, 5, stale=True)
    auction = a_fixing(3, 6, rung="closing_auction", price=121_000, auction_quantity=40)
    quotes = a_fixing(4, 9, rung="quotes", price=119_000, bid=118_000, ask=120_000)
    again = a_fixing(5, 10, stale=True, carried_from=date(2026, 11, 9))
    for fixing in (carried, auction, quotes, again):
        tape.sequence = fixing.sequence
        store.add(*NOTHING, Happened(fixings=(fixing,)))
        store.flush(tape.mark(), tape.programmes())
    assert rows(
        store,
        "select day, instrument, price, rung, stale, auction_quantity, trades, bid, ask, carried_from"
        " from fixings",
    ) == [
        (date(2026, 11, 5), "QWEN3-MAX", 120_000, "carried", True, None, None, None, None, None),
        (date(2026, 11, 6), "QWEN3-MAX", 121_000, "closing_auction", False, 40, None, None, None, None),
        (date(2026, 11, 9), "QWEN3-MAX", 119_000, "quotes", False, None, None, 118_000, 120_000, None),
        (
            date(2026, 11, 10),
            "QWEN3-MAX",
            120_000,
            "carried",
            True,
            None,
            None,
            None,
            None,
            date(2026, 11, 9),
        ),
    ]


def test_programmes_stand_as_at_the_watermark():
    store, tape = founded()
    a_day(tape)
    settle(store, tape)
    assert rows(store, "from programmes") == [(VOUCHER, 2026, 1, BUDGET, BUDGET - 1_320_000, 0, 1_320_000, 0)]


# --- exactly once ----------------------------------------------------------------------------


def test_the_watermark_is_written_with_the_rows():
    store, tape = founded()
    settle(store, a_day(tape))
    assert store.watermark == tape.mark()
    ((sequence, digest),) = rows(store, "select sequence, digest from watermark")
    assert (sequence, digest) == (tape.sequence, "0d" * 32)


def test_nothing_is_added_twice():
    store, tape = founded()
    tape.buy(ANN, 5, 100)
    settle(store, tape)
    with pytest.raises(AssertionError, match="sequence 2 was added before; the last was 2"):
        store.add(tape.events(), tape.effects(), Happened())


def test_nothing_is_added_twice_before_a_flush_either():
    store, tape = founded()
    tape.buy(ANN, 5, 100)
    store.add(tape.events(), tape.effects(), Happened())
    with pytest.raises(AssertionError, match="added before"):
        store.add(tape.events(), tape.effects(), Happened())


def test_a_watermark_that_leaves_rows_out_is_refused():
    store, tape = founded()
    tape.buy(ANN, 5, 100)
    store.add(tape.events(), tape.effects(), Happened())
    with pytest.raises(AssertionError, match="watermark 1 leaves out sequence 2"):
        store.flush(Watermark(sequence=1), tape.programmes())


def test_a_watermark_never_runs_back():
    store, tape = founded()
    settle(store, a_day(tape))
    with pytest.raises(AssertionError, match="leaves out"):
        store.flush(Watermark(sequence=tape.sequence - 1), tape.programmes())


def test_a_flush_that_fails_writes_nothing_and_may_be_repeated():
    store, tape = founded()
    a_day(tape)
    store.add(tape.events(), tape.effects(), Happened())
    broken = msgspec.structs.replace(tape.programmes()[0], budget="not a number")
    with pytest.raises(Exception, match="not a number"):
        store.flush(tape.mark(), [broken])
    assert rows(store, "select count(*) from trades") == [(0,)]
    assert store.watermark.sequence == 1
    assert store.pending == len(tape.events())
    store.flush(tape.mark(), tape.programmes())
    assert rows(store, "select count(*) from trades") == [(5,)]
    assert store.pending == 0


def test_what_is_added_may_be_overwritten_by_the_engine_at_once():
    store, tape = founded()
    tape.buy(ANN, 5, 100)
    events, effects = tape.events(), tape.effects()
    store.add(events, effects, Happened())
    events[:], effects[:] = 0, 0
    store.flush(tape.mark(), tape.programmes())
    assert rows(store, 'select "order", client_id from orders') == [(1, "id-2")]


def test_pending_counts_what_waits():
    store, tape = founded()
    tape.buy(ANN, 5, 100)
    store.add(tape.events(), tape.effects(), Happened())
    member = MemberRow(3, 9, "dan", "dan", "small", "", "firm", "")
    store.add(*NOTHING, Happened(members=(member,)))
    assert store.pending == 2


# --- the file --------------------------------------------------------------------------------


def test_a_store_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "settlement.duckdb"
    store, tape = founded(path)
    offer = tape.sell(BOB, 10, 100)
    settle(store, tape)
    store.close()

    store = Store.open(path)
    assert store.watermark == tape.mark()
    tape.trade(tape.buy(ANN, 4, 100, programme=0, reserved=5), offer, 4, 100, subsidy=5)
    settle(store, tape)
    assert rows(store, "select trade, buyer, seller, programme from trades") == [(1, "ann", "bob", VOUCHER)]
    assert rows(store, 'select state, filled_quantity from orders where "order" = 1') == [("open", 4)]
    assert rows(store, "select paid from programmes") == [(5,)]
    store.close()


def test_what_was_not_flushed_is_gone_and_comes_again(tmp_path):
    path = tmp_path / "settlement.duckdb"
    store, tape = founded(path)
    tape.buy(ANN, 5, 100)
    store.add(tape.events(), tape.effects(), Happened())
    store.close()

    store = Store.open(path)
    assert store.watermark.sequence == 1
    settle(store, tape)
    assert rows(store, "select count(*) from orders") == [(1,)]
    store.close()


def test_a_killed_process_leaves_all_of_a_flush_or_nothing(tmp_path):
    path = tmp_path / "settlement.duckdb"
    killed = f"""
import os
from tests.settlement.tape import a_day, founded, settle
from settlement.rows import Happened
store, tape = founded({str(path)!r})
settle(store, a_day(tape))
a_day(tape)
late = tape.effects()["sequence"] > store.watermark.sequence
store.add(tape.events()[late], tape.effects()[late], Happened())
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == 9
    store = Store.open(path)
    tape = a_day(Tape())
    assert store.watermark.sequence == tape.sequence
    assert rows(store, "select count(*) from trades") == [(tape.trades,)]
    store.close()


DAMAGES = {
    "garbage": lambda path: path.write_bytes(b"this is no database" * 1000),
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "another database": lambda path: (path.unlink(), foreign(path)),
}


def foreign(path):
    import duckdb

    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema base; create table base.about (schema_digest varchar)")
        connection.execute("insert into base.about values ('of another version')")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_says_so_and_what_to_do(tmp_path, damage):
    path = tmp_path / "settlement.duckdb"
    founded(path)[0].close()
    DAMAGES[damage](path)
    with pytest.raises(StoreDamaged, match=rf"{re.escape(str(path))}.*set it and its \.wal aside") as told:
        Store.open(path)
    assert told.value.path == path
    path.rename(tmp_path / "aside")
    Store.open(path).close()


def test_a_file_in_use_is_not_called_damaged(tmp_path):
    path = tmp_path / "settlement.duckdb"
    store, _ = founded(path)
    with pytest.raises(StoreInUse, match="open in this process already"):
        Store.open(path)
    other = f"from settlement.store import Store, StoreInUse\ntry: Store.open({str(path)!r})\n"
    other += "except StoreInUse as fault: print(fault)"
    ran = subprocess.run([sys.executable, "-c", other], check=False, capture_output=True, text=True)
    assert "Could not set lock" in ran.stdout
    store.close()


# --- words and pages -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("macro", "vocabulary"),
    [
        ("side_word", Side),
        ("type_word", OrderType),
        ("time_in_force_word", TimeInForce),
        ("state_word", OrderState),
        ("account_word", PostingAccount),
    ],
)
def test_the_words_in_sql_are_those_of_the_codes(macro, vocabulary):
    store = Store.open()
    assert [rows(store, f"select base.{macro}({code.value})")[0][0] for code in vocabulary] == [
        code.name.lower() for code in vocabulary
    ]


PROMISED = {
    "trades": "trade, sequence, time, instrument, price, quantity, amount, taker_side, buy_order, sell_order,"
    " buyer, seller, buyer_fee, seller_fee, subsidy, phase",
    "orders": "order, client_id, sequence, time, member, instrument, side, type, time_in_force, price,"
    " quantity, programme, state, replaced, filled_quantity, gross, subsidy",
    "executions": "execution, trade, order, sequence, time, member, instrument, side, price, quantity, fee,"
    " subsidy, maker",
    "postings": "entry, sequence, time, member, account, asset, amount, reason, trade",
    "entries": "entry, sequence, time, reason, trade, postings",
    "subsidy_legs": "trade, order, programme, terms_version, fiscal_year, member, amount, reason, sequence,"
    " time",
    "redemptions": "redemption, sequence, time, member, instrument, lots, restricted, state, reference,"
    " units, vested, reimbursed",
    "obligations": "provider, instrument, issued, redeemed, expired, open",
    "terms": "programme, fiscal_year, terms_version, sequence, time, terms",
    "busts": "trade, sequence, time, who, why",
    "programmes": "programme, fiscal_year, budget, uncommitted, reserved, paid, vested",
    "members": "member, group_name, size, region, role",
    "instruments": "instrument, kind, provider, domestic, tick",
    "bars_1m": "instrument, start, open, high, low, close, volume, amount, trades, subsidised_volume",
    "phases": "sequence, time, instrument, phase, reference, cause, who, why",
    "fixings": "day, instrument, sequence, time, price, rung, stale, auction_quantity, trades, quantity,"
    " outliers, median, bid, ask, carried_from",
    "watermark": "sequence",
}


@pytest.mark.parametrize("table", PROMISED)
def test_the_promised_columns_are_there(table):
    columns = [row.column for row in describe(Store.open()) if row.table == table]
    assert [name for name in PROMISED[table].split(", ") if name not in columns] == []


def test_every_public_column_is_described():
    described = describe(Store.open())
    assert len(described) > 100
    assert [f"{row.table}.{row.column}" for row in described if not row.comment] == []


def test_amounts_are_whole_numbers_and_times_are_timestamps():
    described = describe(Store.open())
    types = {row.type for row in described}
    assert types == {"BIGINT", "INTEGER", "VARCHAR", "TIMESTAMP", "BOOLEAN", "DATE", "DOUBLE"}
    ratios = {row.column for row in described if row.type == "DOUBLE"}
    assert ratios == {"vwap", "subsidised_share", "factor", "level", "change"}
    assert {row.column for row in described if row.type == "TIMESTAMP"} == {"time", "start"}


def test_every_kind_of_event_has_its_story():
    told = {"ACCEPTED", "REJECTED", "TRADED", "CANCELLED", "REDUCED", "EXPIRED", "KNOWN", "MASS_CANCELLED"}
    told |= {"PHASE_CHANGED", "INDICATIVE", "REPLACED", "TRIGGERED"}
    assert {kind.name for kind in EventKind} == told, "tell the store what the new kind means"


def test_a_programme_row_is_one_row_of_its_table():
    columns = [row[0] for row in rows(Store.open(), "describe base.programmes")]
    assert columns == ["number", *ProgrammeRow.__struct_fields__[1:]]


def test_unused_names_are_not_in_the_way():
    store, tape = founded()
    tape.buy(CAT, 1, 100, instrument=QWEN)
    settle(store, tape)
    assert rows(store, "select member, instrument from orders") == [("cat", "QWEN3-MAX")]
