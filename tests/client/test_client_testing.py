"""A venue in one's own process, as a firm's tests use it: both clients, broken lines, a fake clock."""

from __future__ import annotations

import asyncio

import pytest

from exchange import OrderRejected, OrderState, SessionEnded, UnknownName
from exchange.config import SessionSettings, Settings, ThrottleSettings
from exchange.testing import SECOND_NS, Exchange


@pytest.fixture
def venue():
    return Exchange(seed=7)


def low(instrument):
    """Return a price at which nobody sells."""
    return instrument.listing.list_price // 2 // instrument.tick * instrument.tick


def pass_seconds(venue, seconds):
    venue.clock.advance(seconds * SECOND_NS)
    venue.tell_time()


def test_an_order_is_placed_and_cancelled_by_either_client(venue):
    async def story():
        async with venue.connect_async("SANDBOX") as ex:
            qwen = ex.instruments["QWEN3-MAX"]
            order = await ex.place(qwen.buy(10, limit=low(qwen)), client_id="mine")
            with venue.connect("SANDBOX") as other:
                assert other.cancel(order.id).state is OrderState.CANCELLED
            async for update in ex.updates(since=order.sequence, timeout=0):
                order = update
            return order.state

    assert asyncio.run(story()) is OrderState.CANCELLED


def test_tasks_wait_for_one_another(venue):
    async def story():
        async with venue.connect_async("ALIBABA") as provider, venue.connect_async("SANDBOX") as ex:
            qwen = ex.instruments["QWEN3-MAX"]
            order = await ex.place(qwen.buy(10, limit=qwen.listing.list_price))
            filled = asyncio.create_task(anext(ex.fills(since=order.sequence)))
            await asyncio.sleep(0)
            await provider.place(qwen.sell(4, limit=qwen.listing.list_price))
            return (await filled).quantity

    assert asyncio.run(story()) == 4


def test_what_was_missed_while_a_line_was_cut_is_heard_after_it(venue):
    with venue.connect("ALIBABA") as provider, venue.connect("SANDBOX") as ex:
        qwen = ex.instruments["QWEN3-MAX"]
        order = ex.place(qwen.buy(10, limit=qwen.listing.list_price))
        venue.cut(ex)
        provider.place(qwen.sell(4, limit=qwen.listing.list_price))
        assert [fill.quantity for fill in ex.fills(since=order.sequence, timeout=0)] == [4]
        assert ex.order(order).leaves == 6


def test_cancel_on_disconnect_does_its_work(venue):
    with venue.connect("SANDBOX", cancel_on_disconnect=True) as ex:
        qwen = ex.instruments["QWEN3-MAX"]
        order = ex.place(qwen.buy(10, limit=low(qwen)))
        venue.cut(ex)
        pass_seconds(venue, 2)
        pass_seconds(venue, 2)
        ended = ex.order(order)
        assert (ended.state, ended.reason) == (OrderState.CANCELLED, "session_lost")


def test_orders_stay_when_a_session_logs_out(venue):
    with venue.connect("SANDBOX", cancel_on_disconnect=True) as ex:
        qwen = ex.instruments["QWEN3-MAX"]
        order = ex.place(qwen.buy(10, limit=low(qwen)))
    pass_seconds(venue, 60)
    with venue.connect("SANDBOX") as ex:
        assert [each.id for each in ex.orders()] == [order.id]


def test_the_dead_mans_switch_fires_unless_it_is_put_off(venue):
    with venue.connect("SANDBOX") as ex:
        qwen = ex.instruments["QWEN3-MAX"]
        order = ex.place(qwen.buy(10, limit=low(qwen)))
        assert ex.cancel_all_after(5) == venue.clock.now + 5 * SECOND_NS
        pass_seconds(venue, 4)
        ex.cancel_all_after(5)
        pass_seconds(venue, 4)
        assert ex.order(order).is_open
        pass_seconds(venue, 2)
        assert ex.order(order).reason == "dead_man"
        assert ex.cancel_all_after(0) is None


def test_a_line_tells_how_fresh_it_is(venue):
    with venue.connect("SANDBOX") as ex:
        pass_seconds(venue, 2)
        assert ex.latest_heartbeat.sequence == venue.engine.sequence


def test_a_key_has_so_many_sessions_and_the_oldest_is_over():
    venue = Exchange(settings=Settings(sessions=SessionSettings(per_key=1)))
    first = venue.connect("SANDBOX")
    with venue.connect("SANDBOX") as second:
        with pytest.raises(SessionEnded, match="session_replaced"):
            first.account()
        assert second.account().money.available > 0
    first.close()


def test_what_is_too_much_is_throttled_and_says_for_how_long():
    venue = Exchange(settings=Settings(throttle=ThrottleSettings(orders_per_second=10, orders_burst=2)))
    with venue.connect("SANDBOX") as ex:
        qwen = ex.instruments["QWEN3-MAX"]
        outcomes = ex.place_all([qwen.buy(1, limit=low(qwen))] * 3, ["a", "b", "c"])
        refused = outcomes[2]
        assert isinstance(refused, OrderRejected)
        assert (refused.code, 0 < refused.retry_after <= 0.1) == ("throttled", True)
        venue.clock.advance(int(refused.retry_after * SECOND_NS))
        assert ex.place(qwen.buy(1, limit=low(qwen)), client_id="c").known is False


def test_a_venue_comes_back_from_its_folder_and_every_client_finds_back(tmp_path):
    venue = Exchange(folder=tmp_path, seed=7)
    with venue.connect("ALIBABA") as provider, venue.connect("SANDBOX") as ex:
        qwen = ex.instruments["QWEN3-MAX"]
        order = ex.place(qwen.buy(10, limit=qwen.listing.list_price), client_id="before")
        venue.restart()
        provider.place(qwen.sell(4, limit=qwen.listing.list_price))
        assert ex.place(qwen.buy(10, limit=low(qwen)), client_id="before").id == order.id
        assert [fill.quantity for fill in ex.fills(since=order.sequence, timeout=0)] == [4]
    venue.journal.close()


def test_each_order_is_sent_at_a_time_of_its_own(venue):
    with venue.connect("SANDBOX") as ex:
        before = venue.clock.now
        assert [ex._desk.times_to_send(count) - before for count in (3, 1, 2)] == [0, 3, 4]


def test_a_venue_in_memory_leaves_nothing_to_come_back_from(venue):
    with pytest.raises(ValueError, match="make it with Exchange\\(folder="):
        venue.restart()


def traded(venue, lots=4):
    """Let the sandbox buy, with the voucher, in one minute; and a minute pass."""
    with venue.connect("ALIBABA") as provider, venue.connect("SANDBOX") as ex:
        qwen = ex.instruments["QWEN3-MAX"]
        provider.place(qwen.sell(lots, limit=qwen.listing.list_price))
        order = ex.place(qwen.buy(lots, limit=qwen.listing.list_price, programme=next(iter(ex.programmes))))
    pass_seconds(venue, 60)
    return order


def test_history_is_as_of_the_last_command(venue):
    with venue.connect("AUDITOR") as auditor:
        assert auditor.history.trades("QWEN3-MAX").rows() == []
        first, second = traded(venue), traded(venue, 6)
        bars = auditor.history.bars("QWEN3-MAX", "1m").rows()
        assert [(bar["volume"], bar["subsidised_share"]) for bar in bars] == [(4, 1.0), (6, 1.0)]
        orders = auditor.history.sql("select \"order\", client_id from orders where side = 'buy' order by 1")
        assert [row["order"] for row in orders.rows()] == [first.id, second.id]
        assert orders.sequence == venue.engine.sequence


def test_a_firm_sees_its_own_rows_of_history_in_chunks_too(venue):
    traded(venue)
    with venue.connect("SANDBOX") as ex:
        sides = ex.history.sql("select distinct side from orders").rows()
        assert sides == [{"side": "buy"}]
        chunks = list(ex.history.stream("select range as n from range(10)", chunk_rows=4))
        assert [row["n"] for chunk in chunks for row in chunk.rows()] == list(range(10))
        assert max(map(len, chunks)) <= 4
        assert next(ex.fills(since=1, timeout=0)).quantity == 4


def test_history_outlives_a_crash_with_the_journal(tmp_path):
    venue = Exchange(folder=tmp_path / "journal")

    async def volume(day):
        async with venue.connect_async("AUDITOR") as ex:
            return sum(row["volume"] for row in (await ex.history.bars("QWEN3-MAX", day)).rows())

    traded(venue)
    assert asyncio.run(volume("1d")) == 4
    venue.restart()
    traded(venue, 5)
    assert asyncio.run(volume("1d")) == 9
    venue.journal.close()


def test_whom_the_venue_does_not_know_is_told_who_is_meant(venue):
    with pytest.raises(UnknownName, match="did you mean SANDBOX"):
        venue.connect("SANBOX")
