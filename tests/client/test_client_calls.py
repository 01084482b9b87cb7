"""Over real sockets under CURVE: the calls of both clients, their timeouts, and a venue that is silent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
import zmq

from exchange import (
    AccessDenied,
    BadInput,
    ConnectionLost,
    FillsMissed,
    MissingLibrary,
    Options,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    ProfileError,
    RequestRefused,
    Timeout,
    UnknownName,
    write_profile,
)
from exchange.client.calls import MESSAGES_IN_FLIGHT_MAX
from exchange.profiles import Endpoints
from exchange.protocol.acts import Deposit
from exchange.protocol.messages import COMMANDS_PER_MESSAGE_MAX
from matching.vocabulary import EventKind, RejectReason
from tests.client.both import shell_of
from tests.client.fake_venue import fake_venue

SHORT = 0.05
"""Seconds that a test waits for what cannot come."""

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


@pytest.fixture
def qwen(ex):
    return ex.instruments["QWEN3-MAX"]


# --- the story of the manual -------------------------------------------------------------------


def test_the_client_in_use(venue, tmp_path, monkeypatch, shell):
    monkeypatch.setenv("BOURSE_VENUE", str(tmp_path))
    write_profile(tmp_path / "keys" / "sandbox.toml", venue.profile())
    venue.rules.liquidity = [[123_400, 200], [123_500, 10]]
    with shell.connected("sandbox") as ex:
        qwen = ex.instruments["QWEN3-MAX"]
        ticket = qwen.buy(250, limit="12.35", programme="HZ-VOUCHER-2026")
        order = ex.place(ticket, client_id="rebal-0001")
        assert (order.state, order.filled, order.leaves) == (OrderState.OPEN, 210, 40)
        assert (order.subsidy, order.sequence) == (12_340 * 200 + 12_350 * 10, 101)
        fills = [(fill.price, fill.quantity) for fill in ex.fills(since=order.sequence, timeout=SHORT)]
        assert fills == [(123_400, 200), (123_500, 10)]
        account = ex.account()
        assert account.money.available == 5_000_000
        assert account.credits["QWEN3-MAX"].restricted == 1
        frame = ex.history.bars("QWEN3-MAX", "1m", start="2026-11-01").to_polars()
        assert frame["close"].to_list() == [123_500, 123_600]
        assert ex.cancel(order).state is OrderState.CANCELLED


# --- coming and going --------------------------------------------------------------------------


def test_a_session_tells_who_one_is(ex, venue):
    assert (ex.member, ex.role, ex.sequence) == ("ACME", "firm", 100)
    assert repr(ex).endswith(f"Exchange of ACME at {venue.endpoint}>")
    assert ex.programmes["HZ-VOUCHER-2026"].budget == 10**9


def test_what_is_listed_later_is_learned_by_a_refresh(ex, venue):
    venue.do(lambda: venue.rules.symbols.append("GLM-5"))
    assert "GLM-5" not in ex.instruments
    ex.refresh()
    assert ex.place(ex.instruments["GLM-5"].buy(1, limit="1")).instrument == "GLM-5"


def test_nobody_at_home(venue, shell):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        endpoint = f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"
    with pytest.raises(ConnectionLost, match=f"nothing answers at {endpoint}: see that the venue is up"):
        shell.open(venue.profile(endpoints=Endpoints(orders=endpoint)), timeout=SHORT)


def test_another_venues_key(venue, shell):
    other = zmq.curve_keypair()[0].decode()
    with pytest.raises(ConnectionLost, match="does not speak under the venue's key"):
        shell.open(venue.profile(server_key=other), timeout=SHORT * 20)


def test_a_key_that_the_venue_does_not_know(venue, shell):
    public, secret = (key.decode() for key in zmq.curve_keypair())
    with pytest.raises(AccessDenied, match="does not let this key in: have the operator register it"):
        shell.open(venue.profile(public_key=public, secret_key=secret))


def test_a_profile_is_looked_at_before_anything_is_opened(venue, shell):
    with pytest.raises(ProfileError, match="the profile's secret_key is no CURVE key"):
        shell.open(venue.profile(secret_key="short"))  # noqa: S106


def test_a_closed_session_says_so(venue, shell):
    with shell.connected(venue.profile()) as ex:
        ticket = ex.instruments["QWEN3-MAX"].buy(1, limit="1")
    history = lambda: ex.history.sql("select 1")  # noqa: E731
    for call in (
        lambda: ex.place(ticket),
        lambda: ex.cancel(1),
        history,
        ex.account,
        ex.orders,
        ex.refresh,
    ):
        with pytest.raises(ConnectionLost, match="was closed: open a new one"):
            call()
    ex.close()


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf")])
def test_a_timeout_is_a_time(ex, qwen, timeout):
    for call in (
        lambda: ex.place(qwen.buy(1, limit="1"), timeout=timeout),
        lambda: ex.cancel(1, timeout=timeout),
        lambda: ex.account(timeout=timeout),
        lambda: ex.history.sql("select 1", timeout=timeout),
        lambda: next(ex.fills(timeout=timeout)),
    ):
        with pytest.raises(BadInput, match="is no time to wait: give seconds, 0 or more"):
            call()


# --- orders ------------------------------------------------------------------------------------


def test_an_order_without_an_id_gets_one(ex, qwen):
    first, second = (ex.place(qwen.buy(1, limit="1")) for _ in range(2))
    assert first.client_id != second.client_id
    assert first.id != second.id
    assert ex.order(first) == ex.order(first.id) == first


def test_an_id_that_was_used_brings_its_order_back(ex, qwen):
    first = ex.place(qwen.buy(5, limit="1"), client_id="once")
    again = ex.place(qwen.buy(7, limit="2"), client_id="once")
    assert (again.id, again.quantity, again.price, again.known) == (first.id, 5, 10_000, True)


def test_a_refused_order_is_raised(ex, qwen, venue):
    venue.do(lambda: setattr(venue.rules, "refuse", RejectReason.MONEY_NOT_AVAILABLE))
    with pytest.raises(OrderRejected) as caught:
        ex.place(qwen.buy(5, limit="1"), client_id="dear")
    assert str(caught.value) == (
        "order 'dear' was refused for its quantity 5 (money_not_available): deposit, or stay within 0.01 yuan"
    )


def test_many_orders_go_out_in_several_messages(ex, qwen, venue):
    count = COMMANDS_PER_MESSAGE_MAX * (MESSAGES_IN_FLIGHT_MAX + 1) + 1
    ids = [f"n-{number}" for number in range(count)]
    venue.do(lambda: venue.rules.ids.update({b"n-7".ljust(24, b"\0"): -41}))
    outcomes = ex.place_all([qwen.buy(1, limit="1")] * count, ids)
    refused = outcomes.pop(7)
    assert refused.code == "money_not_available"
    assert [order.client_id for order in outcomes] == ids[:7] + ids[8:]
    cancelled = ex.cancel_all(outcomes)
    assert {order.state for order in cancelled} == {OrderState.CANCELLED}
    assert [order.id for order in cancelled] == [order.id for order in outcomes]
    assert ex.place_all([]) == ex.cancel_all([]) == []


def test_the_ids_of_a_batch_are_checked_before_anything_is_sent(ex, qwen, venue):
    tickets = [qwen.buy(1, limit="1")] * 2
    for ids, told in (
        (["a"], "2 orders want 2 client ids: give one for each order"),
        ("ab", "2 orders want 2 client ids"),
        (["a", "a"], "a client_id stands twice in one call: give each order its own"),
        (["a", ""], "client_id '' is no id"),
    ):
        with pytest.raises(BadInput, match=told):
            ex.place_all(tickets, ids)
    stranger = tickets[0].__class__("QWEN", 0, 1, 100)
    many = tickets * COMMANDS_PER_MESSAGE_MAX
    with pytest.raises(UnknownName, match="did you mean QWEN3-MAX"):
        ex.place_all([*many, stranger])
    assert ex.status().sequence == 100


def test_open_orders_are_listed_across_sessions(ex, qwen, venue, shell):
    mine = ex.place(qwen.buy(1, limit="1"), client_id="mine")
    with shell.connected(venue.profile()) as other:
        theirs = other.place(qwen.buy(2, limit="1"), client_id="theirs")
        assert [order.client_id for order in other.orders()] == ["mine", "theirs"]
        assert other.cancel(mine.id).state is OrderState.CANCELLED
    assert ex.order(mine).state is OrderState.CANCELLED, "every session is told"
    assert ex.order(theirs.id).is_open
    with pytest.raises(BadInput, match="order 7 was not told of"):
        ex.order(7)


# --- silence -----------------------------------------------------------------------------------


def test_an_order_without_an_answer_is_in_doubt_until_it_is_placed_again(ex, qwen, venue):
    venue.do(lambda: setattr(venue, "drop_answers", 1))
    with pytest.raises(OutcomeUnknown) as caught:
        ex.place(qwen.buy(5, limit="1"), timeout=SHORT)
    error = caught.value
    assert error.code == "outcome_unknown"
    assert error.remedy == "place them again under the same client_id: no order is taken twice"
    assert list(error.answers) == [None]
    (client_id,) = error.client_ids
    order = ex.place(qwen.buy(5, limit="1"), client_id=client_id)
    assert order.known
    assert len(venue.rules.orders) == 1
    assert len(set(venue.rules.sent_ats)) == 1


def test_the_orders_of_a_batch_that_were_answered_are_not_in_doubt(ex, qwen, venue):
    tickets = [qwen.buy(1, limit="1")] * (COMMANDS_PER_MESSAGE_MAX + 2)
    ids = [f"n-{number}" for number in range(len(tickets))]
    venue.do(lambda: setattr(venue, "drop_answers", 1))
    with pytest.raises(OutcomeUnknown, match="1024 of 1026 orders have no answer") as caught:
        ex.place_all(tickets, ids, timeout=40 * SHORT)
    assert list(caught.value.client_ids) == ids[:COMMANDS_PER_MESSAGE_MAX]
    assert [each.client_id for each in caught.value.answers if each] == ids[-2:]
    assert all(order.known for order in ex.place_all(tickets, ids))


def test_a_cancel_without_an_answer_may_be_said_again(ex, qwen, venue):
    order = ex.place(qwen.buy(5, limit="1"))
    venue.do(lambda: setattr(venue, "drop_messages", 1))
    with pytest.raises(OutcomeUnknown, match="cancel again, which is harmless"):
        ex.cancel(order, timeout=SHORT)
    assert ex.cancel(order).state is OrderState.CANCELLED


def test_a_message_that_the_venue_refuses_as_a_whole(ex, qwen, venue):
    order = ex.place(qwen.buy(5, limit="1"))
    venue.do(lambda: setattr(venue.rules, "refuse_messages", True))
    for call in (lambda: ex.place(qwen.buy(1, limit="1")), lambda: ex.cancel(order), ex.account):
        with pytest.raises(RequestRefused, match="the venue refused message"):
            call()


def test_a_question_without_an_answer(ex, venue, shell):
    venue.shut()
    shell.until_cut(ex)
    with pytest.raises(ConnectionLost, match="was lost and has not come back: try again"):
        ex.account(timeout=SHORT)
    venue.reopen()
    assert ex.account().money.held == 70_000


def test_a_question_to_a_venue_that_is_busy(ex, venue):
    told = "did not answer the question for balances in time: ask again"
    with venue.busy(), pytest.raises(Timeout, match=told):
        ex.account(timeout=SHORT)
    assert ex.account().sequence == 100


# --- loss and return ---------------------------------------------------------------------------


def test_after_a_break_the_session_goes_on_by_itself(ex, qwen, venue):
    order = ex.place(qwen.buy(5, limit="1"), client_id="before")
    venue.shut()
    venue.do(lambda: setattr(venue.rules, "sequence", 102))
    venue.do(lambda: venue.rules.fill(order.id, 9_900, 5))
    venue.reopen()
    later = ex.place(qwen.buy(5, limit="1"), client_id="after")
    assert (later.is_open, later.known) == (True, False)
    assert [each.id for each in ex.orders()] == [later.id]
    filled = ex.order(order)
    assert (filled.state, filled.filled, filled.gross) == (OrderState.FILLED, 5, 49_500)


def test_an_order_is_said_again_while_its_caller_waits(ex, qwen, venue):
    """The venue takes the order, and its connections break before it answers."""
    take = venue.rules.take

    def take_and_break(session, frame):
        answers = take(session, frame)
        if frame[:1] == b"C":
            venue.rules.take = take
            venue.drop_answers = 1
            venue._work.put(lambda: venue._members.close(linger=0))
            venue._work.put(venue._open_again)
            venue._told.send(b"")
        return answers

    venue.do(lambda: setattr(venue.rules, "take", take_and_break))
    order = ex.place(qwen.buy(5, limit="1"), client_id="again")
    assert order.is_open
    assert len(venue.rules.orders) == 1
    assert len(set(venue.rules.sent_ats)) == 1


def test_without_a_connection_nothing_is_sent_and_it_is_said(ex, qwen, venue, shell):
    venue.shut()
    shell.until_cut(ex)
    with pytest.raises(ConnectionLost):
        ex.place(qwen.buy(5, limit="1"), client_id="never", timeout=SHORT)
    with pytest.raises(ConnectionLost):
        ex.cancel(101, timeout=SHORT)
    with pytest.raises(ConnectionLost):
        ex.act(Deposit("ACME", 1), "a test", timeout=SHORT)
    with pytest.raises(ConnectionLost):
        next(ex.fills(timeout=SHORT))
    venue.reopen()
    assert ex.status().sequence == 100, "what was given up is not sent later"
    assert not ex.place(qwen.buy(5, limit="1"), client_id="never").known


def test_a_key_that_is_revoked_is_told_as_such(ex, qwen, venue):
    venue.do(lambda: setattr(venue, "known_key", b"another"))
    venue.restart()
    for call in (ex.account, lambda: ex.place(qwen.buy(5, limit="1"))):
        with pytest.raises(AccessDenied):
            call()


# --- fills -------------------------------------------------------------------------------------


def test_fills_come_as_they_happen(ex, qwen, venue):
    order = ex.place(qwen.buy(9, limit="1"), client_id="resting")
    fills = ex.fills(since=order.sequence)
    for left in (6, 3):
        venue.tell(lambda: venue.rules.fill(order.id, 10_000, 3, maker=1))
        fill = next(fills)
        assert (fill.client_id, fill.quantity, fill.maker) == ("resting", 3, True)
        assert ex.order(order).leaves == left
    venue.tell(lambda: venue.rules.end(order.id, EventKind.EXPIRED))
    assert list(ex.fills(since=order.sequence, timeout=SHORT, limit=5))[1].quantity == 3
    assert len(list(ex.fills(since=order.sequence, limit=1))) == 1
    assert list(ex.fills(timeout=0, limit=0)) == []
    assert ex.order(order).state is OrderState.EXPIRED


def miss_a_fill(venue, order):
    """Break the line, and keep nothing of a fill that happens meanwhile."""
    venue.shut()
    venue.do(lambda: setattr(venue.rules, "sequence", 150))
    venue.do(lambda: venue.rules.fill(order.id, 10_000, 3, maker=1))
    venue.do(venue.rules.forget)
    venue.reopen()


def test_a_reader_of_fills_reads_across_a_break_from_history(ex, qwen, venue):
    venue.rules.liquidity = [[9_900, 1]]
    order = ex.place(qwen.buy(9, limit="1"), client_id="resting")
    fills = ex.fills(since=order.sequence)
    assert next(fills).quantity == 1
    miss_a_fill(venue, order)
    missed = next(fills)
    assert (missed.client_id, missed.quantity, missed.sequence, missed.maker) == ("resting", 3, 150, True)
    venue.do(lambda: setattr(venue.rules, "sequence", 151))
    venue.tell(lambda: venue.rules.fill(order.id, 10_000, 2, maker=1))
    assert next(fills).quantity == 2
    assert [fill.quantity for fill in ex.fills(since=1, timeout=SHORT)] == [1, 3, 2]
    assert venue.queries[0][1][1:] == (102, 150, 0, 65_536)


def test_history_is_asked_again_until_it_has_come_as_far(ex, qwen, venue):
    order = ex.place(qwen.buy(9, limit="1"))
    fills = ex.fills(since=order.sequence)
    miss_a_fill(venue, order)
    venue.do(lambda: setattr(venue, "lag", 2))
    assert next(fills).sequence == 150
    assert len(venue.queries) == 3


def test_a_reader_of_fills_is_told_of_a_break_where_there_is_no_history(venue, shell):
    profile = venue.profile(endpoints=Endpoints(orders=venue.endpoint))
    with shell.connected(profile, options=QUICK) as ex:
        order = ex.place(ex.instruments["QWEN3-MAX"].buy(9, limit="1"))
        fills = ex.fills(since=order.sequence)
        miss_a_fill(venue, order)
        with pytest.raises(FillsMissed) as caught:
            next(fills)
        assert (caught.value.after, caught.value.through) == (101, 150)
        assert isinstance(caught.value.__cause__, ProfileError)
        shell.wait_until(ex, lambda: ex._desk.session.ready)
        assert list(ex.fills(since=caught.value.through + 1, timeout=SHORT)) == []


def test_a_statement_is_never_of_before_what_its_client_has_heard(ex, qwen, venue):
    order = ex.place(qwen.buy(5, limit="1"))
    venue.lag, venue.queries[:] = 2, []
    assert order.sequence <= venue.rules.sequence
    assert ex.statement().accounts == ()
    assert (venue.lag, len(venue.queries)) == (0, 3)


# --- questions and acts ------------------------------------------------------------------------


def test_balances(ex):
    account = ex.account()
    assert (account.sequence, account.money.available, account.money.held) == (
        100,
        5_000_000,
        70_000,
    )
    assert account.credits["DEEPSEEK-V3"].available == 0
    assert dict(account.credits).keys() == {"QWEN3-MAX"}
    assert [left.cap_left for left in account.programmes] == [8_000]
    with pytest.raises(UnknownName, match="did you mean DEEPSEEK-V3"):
        account.credits["DEEPSEEK"]


def test_an_act_is_sequenced_with_its_reason(ex, venue):
    assert ex.act(Deposit("ACME", 500), why="paid in") == 101
    assert venue.rules.acts == ["paid in"]
    with pytest.raises(RequestRefused, match="amount_out_of_range"):
        ex.act(Deposit("ACME", 0), why="nothing")


def test_an_act_without_an_answer_is_in_doubt(ex, venue):
    with venue.busy(), pytest.raises(OutcomeUnknown, match="see by ex"):
        ex.act(Deposit("ACME", 500), why="paid in", timeout=SHORT)


# --- history -----------------------------------------------------------------------------------


def test_a_query_brings_a_table(ex, venue):
    table = ex.history.sql("select * from bars_1m where close > ?", [5])
    assert venue.queries == [("select * from bars_1m where close > ?", (5,))]
    assert (len(table), table.sequence, table.seconds) == (2, 100, 0.001)
    assert repr(table) == "<Table of 2 rows as of sequence 100>"
    rows = [{"instrument": "QWEN3-MAX", "close": close} for close in (123_500, 123_600)]
    assert table.rows() == rows == table.to_arrow().to_pylist() == table.to_polars().to_dicts()


def test_a_form_whose_library_is_missing(ex, monkeypatch):
    table = ex.history.sql("select 1")
    for library, make in (
        ("pandas", table.to_pandas),
        ("polars", table.to_polars),
        ("pyarrow", table.rows),
    ):
        monkeypatch.setitem(__import__("sys").modules, library, None)
        with pytest.raises(MissingLibrary, match=f"{library} is not installed here: pip install"):
            make()


def test_bars_trades_and_fills_bind_what_they_are_asked(ex, venue):
    ex.history.bars("QWEN3-MAX", "1m", start="2026-11-01", end=date(2026, 12, 1))
    ex.history.bars("QWEN3-MAX")
    east = timezone(timedelta(hours=8))
    ex.history.trades("QWEN3-MAX", start=datetime(2026, 11, 1, 8, tzinfo=east))
    ex.history.fills(since=7, limit=50)
    bars, all_bars, trades, fills = venue.queries
    assert bars == (
        "select * from bars_1m where instrument = ? and start >= cast(? as timestamp)"
        " and start < cast(? as timestamp) order by start",
        ("QWEN3-MAX", "2026-11-01 00:00:00", "2026-12-01 00:00:00"),
    )
    assert all_bars == ("select * from bars_1m where instrument = ? order by start", ("QWEN3-MAX",))
    assert trades[1] == ("QWEN3-MAX", "2026-11-01 00:00:00")
    assert fills[1] == ("ACME", 7, 50)


def test_what_cannot_be_asked_of_history(ex, venue):
    asked = ex.history
    for call, told in (
        (lambda: asked.bars("QWEN3"), "did you mean QWEN3-MAX"),
        (lambda: asked.trades("qwen3-max"), "did you mean QWEN3-MAX"),
        (lambda: asked.bars("QWEN3-MAX", "7m"), "there are no bars of '7m': take one of 1s, 1m, 5m"),
        (lambda: asked.bars("QWEN3-MAX", prices="hkd"), "prices 'hkd' is no unit: take hao or yuan"),
        (lambda: asked.stream("select 1", chunk_rows=0), "chunk_rows 0 is no length of a chunk"),
        (
            lambda: asked.bars("QWEN3-MAX", start="yesterday"),
            "start 'yesterday' is no point in time",
        ),
        (lambda: asked.bars("QWEN3-MAX", end=7), "end 7 is no point in time: give ISO text"),
        (lambda: asked.sql("select ?", [b"bytes"]), "parameter 1 is a bytes: bind text, numbers"),
        (lambda: asked.sql("select ?", [2**70]), "the statement cannot be sent"),
        (lambda: asked.sql("select ?", ["\ud800"]), "the statement cannot be sent"),
    ):
        with pytest.raises(BadInput, match=told):
            call()
    assert venue.queries == []


def test_parameters_are_bound_as_what_they_are(ex, venue):
    ex.history.sql("select ?", [None, "a", 1, 0.5, True, datetime(2026, 1, 2, tzinfo=UTC)])
    assert venue.queries[0][1] == (None, "a", 1, 0.5, 1, "2026-01-02 00:00:00")


def test_a_query_that_is_refused_or_not_answered(ex, venue):
    with pytest.raises(RequestRefused, match="the venue refused sql 'drop'"):
        ex.history.sql("drop table trades")
    with venue.busy(), pytest.raises(Timeout, match="did not answer the query in time"):
        ex.history.sql("select 1", timeout=SHORT)


def test_a_profile_without_a_query_service(venue, shell):
    profile = venue.profile(endpoints=Endpoints(orders=venue.endpoint))
    with (
        shell.connected(profile) as ex,
        pytest.raises(ProfileError, match="the profile names no query service"),
    ):
        ex.history.sql("select 1")
