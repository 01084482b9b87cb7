"""Two clients, one set of calls: the same names and arguments, over sockets that break."""

from __future__ import annotations

import asyncio
import inspect
import threading
from time import monotonic

import pytest

from exchange import (
    AsyncExchange,
    BadInput,
    ConnectionLost,
    Options,
    OutcomeUnknown,
    SessionEnded,
    SyncExchange,
    connect,
    connect_sync,
)
from exchange.client.asynchronous import AsyncHistory
from exchange.client.sync import SyncHistory
from exchange.protocol.messages import Refused, encode
from tests.client.both import PATIENCE, shell_of
from tests.client.fake_venue import fake_venue

SHORT = 0.05
QUICK = Options(reconnect_ms=10, reconnect_ms_max=20)


@pytest.fixture
def venue():
    with fake_venue() as venue:
        yield venue


@pytest.fixture(params=["sync", "async"])
def shell(request):
    with shell_of(request.param) as shell:
        yield shell


@pytest.fixture
def ex(venue, shell):
    with shell.connected(venue.profile(), options=QUICK) as ex:
        yield ex


def calls_of(kind):
    return {
        name: inspect.signature(member)
        for name, member in inspect.getmembers(kind, callable)
        if not name.startswith("_")
    }


# --- the same calls ----------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "other"), [(SyncExchange, AsyncExchange), (SyncHistory, AsyncHistory)])
def test_both_have_the_same_calls_with_the_same_arguments_and_promises(one, other):
    assert calls_of(one) == calls_of(other)
    for name in calls_of(one):
        told = inspect.getdoc(getattr(one, name))
        assert told == inspect.getdoc(getattr(other, name))
        assert told, name


def test_both_are_opened_by_the_same_arguments():
    sync, both = (inspect.signature(each).parameters for each in (connect_sync, connect))
    assert sync == both


def test_a_call_knows_its_name_and_its_arguments():
    assert SyncExchange.place.__name__ == AsyncExchange.place.__name__ == "place"
    assert list(inspect.signature(SyncExchange.place).parameters)[1:] == ["ticket", "client_id", "timeout"]


# --- the session -------------------------------------------------------------------------------


def test_a_session_logs_out_when_it_is_closed(venue, shell, monkeypatch):
    monkeypatch.setattr("exchange.client.calls.LOGOUT_SECONDS_MAX", PATIENCE)
    with shell.connected(venue.profile(), cancel_on_disconnect=True):
        assert len(venue.rules.sessions) == 1
    assert venue.rules.sessions == []
    assert venue.rules.logons[0].cancel_on_disconnect


def test_a_session_is_closed_though_the_venue_is_gone(venue, shell):
    ex = shell.open(venue.profile(), options=QUICK)
    venue.shut()
    ex.close()
    ex.close()
    with pytest.raises(ConnectionLost, match="was closed"):
        ex.account()


def send(venue, reason):
    body = encode(Refused(0, reason, "session", "", "as the manual says"))
    venue.do(lambda: venue._send_all(body))


def test_a_session_that_was_replaced_stays_away(ex, venue, shell):
    ticket = ex.instruments["QWEN3-MAX"].buy(1, limit="1")
    send(venue, "session_replaced")
    for call in (ex.account, lambda: ex.place(ticket), ex.orders):
        with pytest.raises(SessionEnded, match=r"has ended this session \(session_replaced\): open a new"):
            call()
    assert len(venue.rules.logons) == 1
    assert not venue.rules.orders


@pytest.mark.parametrize("reason", ["venue_stopping", "reports_dropped"])
def test_a_session_comes_back_by_itself(ex, venue, shell, reason):
    order = ex.place(ex.instruments["QWEN3-MAX"].buy(1, limit="1"))
    send(venue, reason)
    shell.wait_until(ex, lambda: len(venue.rules.logons) == 2 and ex._desk.session.ready)
    assert venue.rules.logons[1].since == order.sequence
    assert [each.id for each in ex.orders()] == [order.id]


def test_what_a_heartbeat_tells_was_missed_is_heard_after_all(ex, venue, shell):
    order = ex.place(ex.instruments["QWEN3-MAX"].buy(5, limit="1"))
    venue.do(lambda: setattr(venue.rules, "sequence", 150))
    venue.do(lambda: venue.rules.fill(order.id, 9_900, 5))
    venue.do(lambda: venue._send_all(venue.rules.heartbeat(told=150)))
    shell.wait_until(
        ex, lambda: ex._desk.session.ready and ex._desk.session.blotter.order(order.id).filled == 5
    )
    assert [fill.quantity for fill in ex.fills(timeout=SHORT)] == [5]
    assert len(venue.rules.logons) == 2


def test_the_line_tells_how_fresh_it_is(ex, venue, shell):
    assert ex.latest_heartbeat is None
    venue.do(lambda: venue._send_all(venue.rules.heartbeat()))
    shell.wait_until(ex, lambda: ex._desk.session.heartbeat is not None)
    heartbeat = ex.latest_heartbeat
    assert heartbeat is not None
    assert heartbeat.sequence == 100
    assert ex.is_connected


def test_the_dead_mans_switch_tells_when_it_fires(ex, venue):
    assert ex.cancel_all_after(5) > 0
    assert venue.rules.armed == 5
    assert ex.cancel_all_after(0) is None
    for wrong in (-1, 0.5, True, 10**9):
        with pytest.raises(BadInput, match="is no whole number of seconds"):
            ex.cancel_all_after(wrong)


def test_updates_come_as_they_happen(ex, venue):
    order = ex.place(ex.instruments["QWEN3-MAX"].buy(9, limit="1"))
    updates = ex.updates(since=order.sequence)
    assert next(updates) == order
    venue.do(lambda: setattr(venue.rules, "sequence", 150))
    venue.tell(lambda: venue.rules.fill(order.id, 10_000, 3, maker=1))
    assert next(updates).filled == 3
    assert [each.filled for each in ex.updates(timeout=0)] == [0, 3]
    assert len(list(ex.updates(limit=1))) == 1


# --- one thread, one event loop ----------------------------------------------------------------


def test_a_session_at_work_for_another_thread_says_so(venue):
    with connect_sync(venue.profile(), options=QUICK) as ex:
        caught = []

        def other():
            try:
                ex.account()
            except BadInput as error:
                caught.append(str(error))

        with ex._lock:  # as while a call waits
            thread = threading.Thread(target=other, name="other")
            thread.start()
            thread.join()
        (told,) = caught
        assert told.startswith("this session is at work for another thread: open a session in each thread")
        assert ex.account().sequence == 100


def test_a_synchronous_session_does_not_mind_a_running_loop(venue):
    async def notebook():
        with connect_sync(venue.profile(), options=QUICK) as ex:
            return ex.place(ex.instruments["QWEN3-MAX"].buy(1, limit="1")).is_open

    assert asyncio.run(notebook())


def test_a_session_of_another_loop_says_so(venue):
    with asyncio.Runner() as runner, asyncio.Runner() as other:

        async def opened():
            return await connect(venue.profile(), options=QUICK)

        ex = runner.run(opened())
        with pytest.raises(BadInput, match="belongs to another event loop"):
            other.run(ex.account())
        runner.run(ex.close())


# --- tasks -------------------------------------------------------------------------------------


def run(venue, story):
    async def told():
        async with connect(venue.profile(), options=QUICK) as ex:
            return await story(ex)

    return asyncio.run(told())


def test_many_tasks_call_at_once_on_one_session(venue):
    async def story(ex):
        qwen = ex.instruments["QWEN3-MAX"]
        placed = [ex.place(qwen.buy(1, limit="1"), client_id=f"t-{number}") for number in range(50)]
        *orders, account, status = await asyncio.gather(*placed, ex.account(), ex.status())
        assert [order.client_id for order in orders] == [f"t-{number}" for number in range(50)]
        cancelled = await asyncio.gather(*(ex.cancel(order) for order in orders))
        return {order.state.name for order in cancelled}, account.money.available, status.members

    assert run(venue, story) == ({"CANCELLED"}, 5_000_000, 2)


def test_two_tasks_do_not_change_one_order_at_once(venue):
    async def story(ex):
        order = await ex.place(ex.instruments["QWEN3-MAX"].buy(5, limit="1"))
        with venue.busy():
            first = asyncio.create_task(ex.cancel(order))
            await asyncio.sleep(0)
            with pytest.raises(BadInput, match="still awaits its answer: wait for that call"):
                await ex.cancel(order)
        return (await first).state.name

    assert run(venue, story) == "CANCELLED"


def test_a_task_that_is_cancelled_leaves_the_session_sound(venue):
    async def story(ex):
        qwen = ex.instruments["QWEN3-MAX"]
        with venue.busy():
            task = asyncio.create_task(ex.place(qwen.buy(5, limit="1"), client_id="gone"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ex.account(), SHORT)
        again = await ex.place(qwen.buy(5, limit="1"), client_id="gone")
        return again.client_id, len(await ex.orders())

    assert run(venue, story) == ("gone", 1)
    assert len(set(venue.rules.sent_ats)) == 1, "it bears the time of its first sending"


def test_a_wait_for_a_fill_that_is_cancelled_loses_no_fill(venue):
    async def story(ex):
        order = await ex.place(ex.instruments["QWEN3-MAX"].buy(9, limit="1"))
        fills = ex.fills(since=order.sequence)
        waiting = asyncio.create_task(anext(fills))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        venue.rules.sequence = 150
        venue.tell(lambda: venue.rules.fill(order.id, 10_000, 3, maker=1))
        return [fill.quantity async for fill in ex.fills(since=order.sequence, limit=1)], (
            await anext(fills)
        ).quantity

    assert run(venue, story) == ([3], 3)


def test_the_loop_reads_while_nobody_waits(venue):
    async def story(ex):
        order = await ex.place(ex.instruments["QWEN3-MAX"].buy(9, limit="1"))
        venue.rules.sequence = 150
        venue.tell(lambda: venue.rules.fill(order.id, 10_000, 3, maker=1))
        until = monotonic() + PATIENCE
        while not ex.order(order).filled and monotonic() < until:
            await asyncio.sleep(0)  # the loop is given its turns, and no call is made
        return ex.order(order).filled

    assert run(venue, story) == 3


def test_a_session_that_is_closed_ends_the_waits_on_it(venue):
    async def story(ex):
        with venue.busy():
            waiting = asyncio.create_task(ex.place(ex.instruments["QWEN3-MAX"].buy(1, limit="1")))
            await asyncio.sleep(0)
            ex._desk.line.close()
            with pytest.raises(OutcomeUnknown, match="was closed"):
                await waiting

    run(venue, story)
