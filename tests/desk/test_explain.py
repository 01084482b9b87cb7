"""Why a trade and an order came out so: every number agrees with the engine's; a planted one is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.engine import Engine
from exchange.explaining.fees import rates_allowed
from exchange.explaining.reckoning import (
    OrderExplanation,
    TradeExplanation,
    explain_order,
    explain_trade,
)
from exchange.explaining.rows import Missing, order_rows, refusal_rows, trade_rows
from exchange.explaining.telling import order_words, trade_words
from exchange.protocol.acts import Bust, Deliver, Redeem
from settlement.queries import Answer, QueryService
from settlement.store import Store, Watermark
from tests.engine.flow import Flow
from tests.engine.market import batch_of
from tests.settlement.test_auctions import SettledVenue
from tests.settlement.test_money import approved, do

MODEL = {"maker": 20, "taker": 50}


def asked(store: Store, viewer: str | None = None):
    """Ask as a client of the venue does: through the query service, as a firm if one is named."""
    import pyarrow.ipc

    service = QueryService(store)

    def ask(sql, parameters):
        answer = service.answer(sql, list(parameters), viewer)
        assert isinstance(answer, Answer), answer
        return pyarrow.ipc.open_stream(answer.arrow_ipc_stream).read_all().to_pylist()

    return ask


def trade(venue: SettledVenue, number: int, viewer: str | None = None) -> TradeExplanation:
    told = explain_trade(trade_rows(asked(venue.store, viewer), number), MODEL)
    assert list(trade_words(told))
    return told


def order(venue: SettledVenue, number: int, viewer: str | None = None) -> OrderExplanation:
    ask = asked(venue.store, viewer)
    rows = order_rows(ask, number)
    assert rows is not None
    told = explain_order(rows, refusal_rows(ask, number, rows.order), MODEL)
    assert list(order_words(told))
    return told


class FiledVenue(SettledVenue):
    """A venue whose store is a file."""

    def __init__(self, path: Path) -> None:
        self.store = Store.open(path)
        super(SettledVenue, self).__init__()


def traded(made: SettledVenue) -> SettledVenue:
    """ANN, a micro firm, buys 6 of YUN's lots at 990 and 4 of SUB's at 1000; the voucher pays 30 %."""
    made.give("SUB", 10, "QWEN", 1_000)
    made.sell("YUN", 6, "QWEN", 990)
    made.sell("SUB", 10, "QWEN", 1_000)
    made.buy("ANN", 10, "QWEN", 1_050, last="day", programme="VOUCHER")
    return made


@pytest.fixture(scope="module")
def venue():
    """One for all tests that leave it as it was."""
    return traded(SettledVenue())


@pytest.fixture
def own_venue():
    """One for a test that goes on with it."""
    return traded(SettledVenue())


# --- trades --------------------------------------------------------------------------------------


def test_who_rested_has_named_the_price_and_the_smaller_has_named_the_quantity(venue):
    told = trade(venue, 3)
    assert (told.price.rule, told.price.price, told.price.maker_side) == ("maker", 1_000, "sell")
    assert (told.price.maker, told.price.taker) == (told.trade["sell_order"], told.trade["buy_order"])
    assert (told.price.buy_limit, told.price.sell_limit) == (1_050, 1_000)
    assert (told.quantity.quantity, told.quantity.buy_open, told.quantity.sell_open) == (4, 4, 10)
    assert [row["quantity"] for row in told.turn.earlier] == [6]
    assert (told.turn.before, told.differences) == ((), [])


def test_the_fee_is_a_share_of_all_that_the_order_has_traded(venue):
    buyer, seller = trade(venue, 3).fees
    assert (buyer.role, buyer.rate, buyer.amount_before, buyer.amount_after) == ("taker", 50, 5_940, 9_940)
    assert (buyer.due_before, buyer.due_after, buyer.fee) == (29, 49, 20)
    assert (seller.role, seller.rate, seller.due_after, seller.fee) == ("maker", 20, 8, 8)


def test_a_fee_of_another_rate_than_the_one_in_force_is_told(venue):
    told = explain_trade(trade_rows(asked(venue.store), 3), {"maker": 20, "taker": 80})
    assert (told.fees[0].rate, told.fees[0].in_force, told.differences) == (50, 80, [])
    assert any("in force now is 80" in line for line in trade_words(told))


def test_the_subsidy_is_reckoned_from_the_terms(venue):
    one = trade(venue, 3).subsidy
    assert one is not None
    assert (one.rate, one.ceiling_price, one.most, one.covered) == (3_000, 1_100, 3_150, 4)
    assert (one.gross_before, one.gross_after) == (5_940, 9_940)
    assert (one.earned_before, one.earned_after, one.paid) == (1_782, 2_982, 1_200)
    assert (one.rate_row["filed"], one.is_reckoned) == (True, True)


def test_the_entry_sums_to_zero_and_both_sides_lines_follow_from_price_fees_and_subsidy(venue):
    told = trade(venue, 3)
    assert told.posted is not None
    assert told.posted.sums == {"money": 0, "QWEN": 0}
    assert {"the entry's sum in money", "money of the buyer", "money of the seller"} <= {
        check.what for check in told.checks
    }


def test_lots_beyond_the_cap_in_lots_do_not_count():
    venue = SettledVenue()
    venue.sell("YUN", 7, "QWEN", 900)
    venue.sell("YUN", 7, "QWEN", 910)
    venue.buy("ANN", 14, "QWEN", 1_000, last="day", programme="GRANT")
    one = trade(venue, 2).subsidy
    assert one is not None
    assert (one.covered, one.paid, one.order_lots) == (3, 2_730, 10)
    assert trade(venue, 2).differences == []


def test_what_a_groups_cap_in_lots_left_follows_from_what_was_reserved():
    venue = SettledVenue()
    venue.sell("YUN", 100, "QWEN", 900)
    for lots in (10, 10, 10):
        venue.buy("ANN", lots, "QWEN", 950, last="day", programme="GRANT")
    last = trade(venue, 3)
    assert last.subsidy is not None
    assert (last.subsidy.covered, last.subsidy.paid, last.differences) == (5, 4_500, [])


def test_an_auction_has_one_price_and_two_makers():
    venue = SettledVenue()
    venue.change_phase("pre_open", reference=1_010)
    venue.sell("YUN", 10, "QWEN", 1_000)
    venue.buy("ANN", 6, "QWEN", 1_050, last="day", programme="VOUCHER")
    venue.buy("CAT", 2, "QWEN", 1_040)
    venue.change_phase("auction")
    told = trade(venue, 1)
    assert (told.price.rule, told.price.trades, told.price.volume) == ("auction", 2, 8)
    assert {fee.role for fee in told.fees} == {"maker"}
    assert told.differences == []
    assert any("one price" in line for line in trade_words(told))


def test_a_firm_is_told_its_own_side_and_what_it_is_not_told(venue):
    seller = trade(venue, 3, "SUB")
    assert [fee.side for fee in seller.fees] == ["sell"]
    assert seller.subsidy is None
    assert seller.quantity.buy_open is None
    assert seller.posted is not None
    assert {line["member"] for line in seller.posted.lines} == {"SUB"}
    assert "not shown to you" in seller.unknown[0]
    buyer = trade(venue, 3, "ANN")
    assert buyer.subsidy is not None
    assert (buyer.subsidy.paid, buyer.differences) == (1_200, [])
    assert "SUB" not in "\n".join(trade_words(buyer))
    stranger = trade(venue, 3, "BOB")
    assert (stranger.fees, stranger.posted, len(stranger.unknown)) == ((), None, 2)


def test_what_became_of_it_later_is_told(own_venue):
    number = do(own_venue, Redeem("ANN", "QWEN", 2, "first"), "ANN")
    do(own_venue, Deliver(number), "YUN")
    approved(own_venue, Bust(3))
    told = trade(own_venue, 3)
    assert told.bust is not None
    assert [(leg["reason"], leg["amount"]) for leg in told.later] == [("bust", -1_200)]
    assert told.differences == []


def test_a_trade_that_is_not_there_is_named(venue):
    with pytest.raises(Missing, match="trade 99"):
        trade(venue, 99)


# --- orders --------------------------------------------------------------------------------------


def test_the_life_of_an_order_by_sequence(venue):
    told = order(venue, trade(venue, 3).trade["buy_order"])
    assert [one["what"] for one in told.life] == ["entered", "fill", "fill", "filled"]
    assert told.held == 10 * 1_050 + 52 - 3_150
    assert (told.differences, told.unknown) == ([], ())


def test_a_cancelled_order_and_what_was_refused_under_its_id(own_venue):
    rests = own_venue.buy("CAT", 5, "QWEN", 900, client_id=b"mine").order
    own_venue.buy("CAT", 5, "QWEN", 905, client_id=b"other")
    own_venue.cancel("CAT", rests)
    told = order(own_venue, rests)
    assert [one["what"] for one in told.life] == ["entered", "cancelled"]
    assert told.held == 5 * 900 + 22
    assert told.refusals == ()
    refused = refusal_rows(asked(own_venue.store), own_venue.engine.sequence - 1, None)
    assert [row["reason"] for row in refused] == ["price_off_tick"]


def test_a_replaced_order_says_what_is_not_known_and_is_no_difference(own_venue):
    told = order(own_venue, trade(own_venue, 1).trade["sell_order"])
    assert told.differences == []
    own_venue.store._connection.execute("update base.order_entries set replaced = true")
    again = trade(own_venue, 3)
    assert again.differences == []
    assert again.subsidy is not None
    assert "after it was replaced" in "\n".join(again.unknown)


def test_a_firm_sees_no_other_firms_order(venue):
    number = trade(venue, 3).trade["buy_order"]
    assert order_rows(asked(venue.store, "CAT"), number) is None


# --- what does not agree -------------------------------------------------------------------------

PLANTED = {
    "subsidy": ("trades", "subsidy", 1, "subsidy at the trade"),
    "buyer's fee": ("trades", "buyer_fee", 3, "fee of the buyer"),
    "price": ("trades", "price", -20, "price within the seller's limit"),
    "price of the maker": ("trades", "price", 10, "price of the order that rested"),
    "quantity": ("trades", "quantity", 1, "the buyer's order had that many lots open"),
    "posting": ("postings", "amount", 1, "the entry's sum in money"),
}


@pytest.mark.parametrize(("table", "column", "by", "what"), PLANTED.values(), ids=PLANTED)
def test_a_number_that_does_not_agree_is_said_loudly(table, column, by, what, venue):
    planted = f"update base.{table} set {column} = {column} + ? where trade = 3"  # noqa: S608  our own
    venue.store._connection.execute(planted, [by])
    try:
        told = trade(venue, 3)
    finally:
        venue.store._connection.execute(planted, [-by])
    assert [line for line in told.differences if line.startswith(what)], told.differences
    assert any("DOES NOT AGREE" in line for line in trade_words(told))
    assert trade(venue, 3).differences == []


def test_rates_that_all_fills_allow():
    assert rates_allowed([(10_000, 5), (10_000, 5)]) == (5, 5)
    assert rates_allowed([(100, 0)]) == (0, 99)
    least, most = rates_allowed([(10_000, 5), (10_000, 9)])
    assert least > most


def test_nothing_that_the_engine_does_is_called_a_difference(seed):
    engine, store = Engine(), Store.open()
    steps = list(Flow(seed).steps(300))
    for at in range(0, len(steps), 50):
        outcome = engine.apply(*batch_of(steps[at : at + 50]))
        store.add(outcome.events, outcome.effects, outcome.happened)
        store.flush(Watermark(sequence=engine.sequence, time=engine.time), engine.programmes())
    cursor = store.cursor()

    def ask(sql, parameters):
        found = cursor.execute(sql, list(parameters))
        names = [name for name, *_ in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    trades = [row["trade"] for row in ask("select trade from trades", ())]
    orders = [row["order"] for row in ask('select "order" from orders', ())]
    assert len(trades) > 10
    told = [explain_trade(trade_rows(ask, number), {}) for number in trades[:30]]
    assert [line for one in told for line in one.differences] == []
    assert any(one.subsidy is not None and one.subsidy.is_reckoned for one in told)
    for number in orders[:40]:
        rows = order_rows(ask, number)
        assert rows is not None
        assert explain_order(rows, [], {}).differences == []


# --- the command line ----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """The folder of a venue that has stopped: its store as a file."""
    traded(FiledVenue(tmp_path / "settlement.duckdb")).store.close()
    return tmp_path


def run(*words: object):
    return CliRunner().invoke(bourse, ["explain", *map(str, words)])


def test_an_auditor_asks_a_folder(folder):
    done = run("trade", 3, "--folder", folder, "--json")
    told = json.loads(done.output)
    assert (done.exit_code, told["ok"], told["subsidy"]["paid"]) == (0, True, 1_200)
    number = told["trade"]["buy_order"]
    assert "10 QWEN at 0.105" in run("order", number, "--folder", folder).output
    assert run("trade", 99, "--folder", folder).exit_code == 3
    assert run("order", 99_999, "--folder", folder).exit_code == 3
    in_use = Store.open(folder / "settlement.duckdb")
    done = run("trade", 3, "--folder", folder)
    in_use.close()
    assert (done.exit_code, "stop the venue" in done.output) == (5, True)


def test_a_difference_ends_with_code_4(folder):
    store = Store.open(folder / "settlement.duckdb")
    store._connection.execute("update base.trades set seller_fee = seller_fee + 40 where trade = 3")
    store.close()
    done = run("trade", 3, "--folder", folder)
    assert (done.exit_code, "money of the seller: reckoned" in done.output) == (4, True)
    assert run("order", 99_999, "--folder", folder).exit_code == 3
