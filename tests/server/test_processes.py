"""A venue of real processes: killed under load, begun again, stopped cleanly; nothing answered is lost."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from exchange.client.errors import AccessDenied, ConnectionLost, ExchangeError, OrderRejected, RequestRefused
from exchange.client.sync import connect_sync
from exchange.config import Settings
from exchange.profiles import load_profile
from exchange.protocol.acts import Admit
from exchange.server.audit import verify
from exchange.server.folder import Folder, new_key_pair
from exchange.server.founding import MILLION_YUAN, standard_acts, this_year, voucher
from exchange.server.replay import entered_orders
from exchange.server.supervisor import FEED, SEQUENCER, SETTLEMENT, Supervisor, VenueFailed
from exchange.server.warm import warm_up
from settlement.history import differences
from settlement.store import Store
from tests.waiting import PATIENCE_SECONDS, until


@pytest.fixture(scope="module", autouse=True)
def kernels():
    """Compile before any process waits for it."""
    warm_up()


@pytest.fixture
def venue(tmp_path):
    """Yield a running venue with one small firm; end its processes whatever happens."""
    folder = Folder(tmp_path / "venue")
    firm = Admit(member="ANN", role="firm", size="small", region="HANGZHOU", open_orders_max=10**6)
    keys = [new_key_pair(name) for name in ("ANN", "ALIBABA", "AUDITOR", "OPERATOR")]
    folder.found(standard_acts([(firm, 5 * MILLION_YUAN)], keys, [voucher(this_year())]), keys)
    told: list[str] = []
    supervisor = Supervisor(folder, Settings(), told.append)
    try:
        supervisor.start()
        yield supervisor, folder, told
    finally:
        supervisor.stop()
        assert all(process.poll() is not None for process in supervisor.processes.values())


def test_an_order_goes_from_a_firm_to_a_settled_subsidised_trade(venue):
    supervisor, folder, _ = venue
    with (
        connect_sync(folder.profile("ANN")) as ann,
        connect_sync(folder.profile("ALIBABA")) as provider,
        connect_sync(folder.profile("AUDITOR")) as auditor,
    ):
        qwen = ann.instruments["QWEN3-MAX"]
        price = qwen.listing.list_price
        provider.place(provider.instruments["QWEN3-MAX"].sell(100, limit=price))
        programme = next(iter(ann.programmes))
        order = ann.place(qwen.buy(250, limit=price, programme=programme), client_id="rebal-0001")
        assert (order.filled, order.subsidy) == (100, 100 * price * 3 // 10)
        assert ann.place(qwen.buy(250, limit=price, programme=programme), client_id="rebal-0001").known
        target = auditor.status().sequence
        until(lambda: auditor.history.sql("select sequence from watermark").rows()[0]["sequence"] >= target)
        (trade,) = auditor.history.sql("select * from trades").rows()
        assert (trade["quantity"], trade["price"], trade["subsidy"]) == (100, price, order.subsidy)
        assert (trade["buyer"], trade["seller"]) == ("ANN", "ALIBABA")
        (row,) = auditor.history.sql("select sum(amount) as total from postings where asset = 'money'").rows()
        assert row["total"] == 0
        bids = [(price, 150)]  # the feed follows in its own time
        until(lambda: [(one.price, one.quantity) for one in ann.book(qwen.symbol).bids] == bids)
        with pytest.raises(OrderRejected, match=r"lots that are available"):
            ann.place(qwen.sell(1, limit=price))
        with pytest.raises(RequestRefused):
            auditor.history.sql("drop table trades")
    supervisor.stop()
    verdict = verify(folder)
    assert verdict.differences == []
    assert verdict.told == []


def test_a_key_that_is_not_registered_is_kept_out(venue):
    _, folder, _ = venue
    profile = load_profile(folder.profile("ANN"))
    stranger = new_key_pair("ANN")
    import msgspec

    wrong = msgspec.structs.replace(profile, public_key=stranger.public_key, secret_key=stranger.secret_key)
    with pytest.raises(AccessDenied):
        connect_sync(wrong, timeout=PATIENCE_SECONDS)
    imposter = msgspec.structs.replace(profile, server_key=stranger.public_key)
    with pytest.raises(ConnectionLost):
        connect_sync(imposter, timeout=1.0)


def insisted(supervisor, client, tickets, ids):
    """Place orders again under the same ids until they are answered."""
    for _ in range(200):
        try:
            return client.place_all(tickets, client_ids=ids, timeout=0.5)
        except ExchangeError:
            supervisor.look_after()
    raise AssertionError("the venue did not come back")


def ended(process):
    """Tell whether a process has ended."""
    return process.poll() is not None


def answered_orders(supervisor, folder, kill, rounds):
    """Place orders batch by batch, calling `kill` in between; return every order that was answered."""
    answered = {}
    with connect_sync(folder.profile("ANN")) as ann:
        deepseek = next(i for i in ann.instruments.values() if i.listing.provider == "DEEPSEEK")
        ticket = deepseek.buy(1, limit=deepseek.tick)
        for number in range(rounds):
            ids = [f"k{number}-{at}" for at in range(50)]
            process = kill(number)
            for outcome in insisted(supervisor, ann, [ticket] * 50, ids):
                assert not isinstance(outcome, OrderRejected), outcome
                answered[outcome.id] = outcome.client_id
            if process is not None:
                until(partial(ended, process))
                supervisor.look_after()
    return answered


@pytest.mark.skipif(not os.path.exists("/proc/self/oom_score_adj"), reason="only Linux chooses whom to end")
def test_where_memory_runs_out_the_settlement_is_ended_before_the_sequencer(venue):
    supervisor, _, _ = venue
    scores = {
        role: int(Path(f"/proc/{process.pid}/oom_score_adj").read_text())
        for role, process in supervisor.processes.items()
    }
    assert scores[SETTLEMENT] > scores[SEQUENCER]


@pytest.mark.parametrize(
    "role",
    [
        SEQUENCER,
        pytest.param(SETTLEMENT, marks=pytest.mark.slow),
        pytest.param(FEED, marks=pytest.mark.slow),
    ],
)
def test_kill_9_under_load_loses_and_doubles_nothing(venue, role, scale):
    supervisor, folder, told = venue
    supervisor.restarts_max = 10**6

    def kill(number):
        if number % 3 != 1:
            return None
        process = supervisor.processes[role]
        process.kill()
        return process

    rounds = 6 * scale
    answered = answered_orders(supervisor, folder, kill, rounds)
    assert len(answered) == 50 * rounds
    assert len(set(answered.values())) == len(answered)
    assert any(role in line for line in told)
    supervisor.stop()
    entered = entered_orders(folder.journal)
    assert {order: entered.get(order) for order in answered} == answered
    assert sorted(entered.values()) == sorted(set(entered.values()))
    verdict = verify(folder)
    told = [line for line in verdict.told if "mark.json" not in line]  # killed before it had written one
    assert (verdict.differences, told) == ([], [])


def test_a_venue_stopped_and_started_goes_on_where_it_was(venue):
    supervisor, folder, _ = venue
    with connect_sync(folder.profile("ANN")) as ann:
        deepseek = next(i for i in ann.instruments.values() if i.listing.provider == "DEEPSEEK")
        placed = ann.place(deepseek.buy(5, limit=deepseek.tick), client_id="before")
        before = ann.account()
    supervisor.stop()
    supervisor.start()
    with connect_sync(folder.profile("ANN")) as ann:
        assert [order.id for order in ann.orders()] == [placed.id]
        assert ann.account().money == before.money
        again = ann.place(deepseek.buy(5, limit=deepseek.tick), client_id="before")
        assert (again.known, again.id) == (True, placed.id)
        assert ann.cancel(placed.id).state.name == "CANCELLED"


def test_sql_is_answered_while_the_market_trades_and_no_commit_is_late(venue):
    _, folder, _ = venue
    asked = "select instrument, count(*), sum(quantity) from trades group by 1 order by 2 desc limit 5"
    with (
        connect_sync(folder.profile("ANN")) as ann,
        connect_sync(folder.profile("ALIBABA")) as provider,
        connect_sync(folder.profile("AUDITOR")) as auditor,
    ):
        qwen = ann.instruments["QWEN3-MAX"]
        price = qwen.listing.list_price
        for _ in range(20):
            provider.place_all([qwen.sell(1, limit=price)] * 20)
            ann.place_all([qwen.buy(1, limit=price)] * 20)
            auditor.history.sql(asked)
        until(lambda: auditor.history.sql(asked).rows()[0]["count_star()"] == 400)


def test_a_damaged_store_is_set_aside_and_rebuilt(venue):
    supervisor, folder, told = venue
    with connect_sync(folder.profile("ANN")) as ann:
        deepseek = next(i for i in ann.instruments.values() if i.listing.provider == "DEEPSEEK")
        ann.place_all([deepseek.buy(1, limit=deepseek.tick)] * 30)
    supervisor.stop()
    data = bytearray(folder.settlement.read_bytes())
    data[: len(data) // 2] = bytes(len(data) // 2)
    folder.settlement.write_bytes(data)
    supervisor.start()
    assert any("set aside" in line for line in told)
    supervisor.stop()
    verdict = verify(folder)
    assert (verdict.differences, verdict.told) == ([], [])
    assert list(folder.root.glob("settlement.duckdb.damaged-*"))


def test_a_journal_damaged_in_the_middle_keeps_the_venue_from_starting(venue):
    supervisor, folder, _ = venue
    with connect_sync(folder.profile("ANN")) as ann:
        deepseek = next(i for i in ann.instruments.values() if i.listing.provider == "DEEPSEEK")
        for _ in range(3):
            ann.place(deepseek.buy(1, limit=deepseek.tick))
    supervisor.stop()
    segment = next(folder.journal.glob("*.journal"))
    with segment.open("r+b") as file:
        file.seek(400)
        byte = file.read(1)
        file.seek(400)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(VenueFailed, match="sequencer did not become ready"):
        supervisor.start()
    assert "byte" in (folder.logs / "sequencer.log").read_text()
    assert not verify(folder).ok


def test_a_venue_that_was_stopped_has_its_whole_history_in_files(venue):
    supervisor, folder, _ = venue
    with (
        connect_sync(folder.profile("ANN")) as ann,
        connect_sync(folder.profile("ALIBABA")) as provider,
    ):
        qwen = ann.instruments["QWEN3-MAX"]
        provider.place(qwen.sell(5, limit=qwen.listing.list_price))
        ann.place(qwen.buy(5, limit=qwen.listing.list_price))
    supervisor.stop()
    (path,) = folder.history.glob("full/trades/*/data.parquet")
    assert pq.read_table(path, partitioning=None)["quantity"].to_pylist() == [5]
    store = Store.open(folder.settlement)
    assert differences(store, folder.history) == []
    store.close()
