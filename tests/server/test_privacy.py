"""What a firm's SQL sees: public history without names, its own rows, and nothing of anybody else."""

from __future__ import annotations

import pyarrow as pa
import pytest

from exchange.server.follower import Commit, Follower
from exchange.server.settler import Settler
from exchange.testing import Exchange
from settlement.queries import QueryRefused, QueryService
from settlement.store import Store
from tests.server.venue import founding


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Return a query service over a venue on which ANN and BOB have bought from ALIBABA."""
    folder = tmp_path_factory.mktemp("venue") / "journal"
    venue = Exchange(founding(), folder=folder)
    seller, ann, bob = (venue.connect(name) for name in ("ALIBABA", "ANN", "BOB"))
    qwen = seller.instruments["QWEN3-MAX"]
    price = qwen.listing.list_price
    seller.place(qwen.sell(10, limit=price))
    ann.place(qwen.buy(3, limit=price), client_id="ann-1")
    bob.place(qwen.buy(2, limit=price), client_id="bob-1")
    for client in (seller, ann, bob):
        client.close()
    store = Store.open(None)
    settler = Settler(Follower(folder), store, note=lambda _: None)
    settler.settle(Commit(venue.journal.sequence, venue.journal.position))
    settler.flush()
    venue.journal.close()
    yield QueryService(store)
    store.close()


def rows(service, sql, viewer):
    answer = service.answer(sql, (), viewer)
    assert not isinstance(answer, QueryRefused), answer
    return pa.ipc.open_stream(answer.arrow_ipc_stream).read_all().to_pylist()


def test_public_history_names_nobody(service):
    seen = rows(service, "select * from trades order by trade", "ANN")
    assert [row["quantity"] for row in seen] == [3, 2]
    assert [row["buyer"] for row in seen] == ["ANN", None]
    for row in seen:
        assert row["seller"] is None
        assert row["sell_order"] is None
    told = rows(service, "select buyer, seller from trades order by trade", None)
    assert [row["buyer"] for row in told] == ["ANN", "BOB"]


@pytest.mark.parametrize("table", ["orders", "executions", "postings", "members", "refusals", "subsidy_legs"])
def test_of_members_rows_a_firm_sees_its_own(service, table):
    assert {row["member"] for row in rows(service, "from " + table, "ANN")} <= {"ANN"}


def test_its_own_rows_are_there(service):
    (order,) = rows(service, "select client_id, filled_quantity from orders", "ANN")
    assert order == {"client_id": "ann-1", "filled_quantity": 3}


@pytest.mark.parametrize(
    "sql",
    [
        "select * from main.trades",
        "select * from base.trades",
        "select * from memory.main.orders",
        "with x as (select * from main.orders) select * from x",
        "select (select count(*) from main.orders)",
        "select * from (select * from main.members)",
        "from main.orders",
        "describe main.trades",
        "set variable viewer = 'BOB'",
    ],
)
def test_no_way_leads_round(service, sql):
    assert isinstance(service.answer(sql, (), "ANN"), QueryRefused)


def test_a_name_with_a_quote_sees_nothing_and_breaks_nothing(service):
    assert rows(service, "select * from orders", "x' or '1'='1") == []


def test_a_narrow_question_leaves_the_next_one_wide(service):
    rows(service, "select * from orders", "ANN")
    assert {row["member"] for row in rows(service, "select * from orders", None)} == {"ANN", "BOB", "ALIBABA"}
