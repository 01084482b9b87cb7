"""The client as a firm's engineer calls it: every call answered or failed in time, no event loop."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from exchange.client import account_statement, acting, calls, history, market, streams
from exchange.client.desk import Desk
from exchange.client.errors import BadInput
from exchange.client.feed_link import FeedLink
from exchange.client.flows import TIMEOUT_SECONDS, Flow, Stream, Wait, never
from exchange.client.link import Link
from exchange.client.queries import Queries
from exchange.client.shells import Faced, as_method, desk_of
from exchange.client.wire import Options
from exchange.profiles import Profile

P = ParamSpec("P")
T = TypeVar("T")
DeskT = TypeVar("DeskT")


def connect_sync(
    profile: str | os.PathLike[str] | Profile,
    *,
    timeout: float = TIMEOUT_SECONDS,
    cancel_on_disconnect: bool = False,
    options: Options | None = None,
) -> SyncExchange:
    """Open a session with the venue that a profile names, within `timeout` seconds.

    `profile` is a name (`$BOURSE_VENUE/keys/<name>.toml`), a file, or a `Profile`. With
    `cancel_on_disconnect` the venue cancels all open orders of the member when this session is lost, or ends
    in any way but `close`. Raises `ProfileError`, `ConnectionLost` or `AccessDenied`, each with what to do.

        with connect_sync("sandbox") as ex:
            order = ex.place(ex.instruments["QWEN3-MAX"].buy(250, limit="12.35"))
    """
    exchange = SyncExchange(
        desk_of(profile, options, Link, FeedLink, cancel_on_disconnect=cancel_on_disconnect)
    )
    try:
        exchange.refresh(timeout)
    except BaseException:
        exchange.close()
        raise
    return exchange


class SyncShell(Generic[DeskT]):
    """Runs flows to their end, one at a time: whoever calls waits."""

    def __init__(self, desk: DeskT, lock: threading.Lock) -> None:
        self._desk = desk
        self._lock = lock

    def _run(self, flow: Flow[T]) -> T:
        """Run a flow: take turns at its lines for as long as it waits. Raises what it raises."""
        if not self._lock.acquire(blocking=False):
            flow.close()
            raise BadInput(
                "this session is at work for another thread",
                field="thread",
                value=threading.current_thread().name,
                remedy="open a session in each thread, or let one thread have it at a time",
            )
        try:
            wait = next(flow)
            while True:
                try:
                    is_done = wait_for(wait)
                except BaseException as error:  # the flow is to take back what it said
                    wait = flow.throw(error)
                else:
                    wait = flow.send(is_done)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            flow.close()
            self._lock.release()


def wait_for(wait: Wait) -> bool:
    """Wait as a flow asks; its line is one that waits by itself."""
    is_done = wait.line.wait_for(wait.done, wait.deadline)
    assert isinstance(is_done, bool), "a synchronous client has synchronous lines"
    return is_done


def synchronous(
    flow: Callable[Concatenate[DeskT, P], Flow[T]],
) -> Callable[Concatenate[SyncShell[DeskT], P], T]:
    """Make a method of a flow: it returns what the flow does."""

    def call(self: SyncShell[DeskT], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(flow(self._desk, *args, **kwargs))

    return as_method(flow, call)


class SyncStream(Generic[T]):
    """An iterator over what comes; the wait for one more is a call of the session's."""

    def __init__(self, shell: SyncShell[Any], stream: Stream[T]) -> None:
        self._shell = shell
        self._stream = stream
        self._is_over = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        found = None if self._is_over else self._shell._run(self._stream.next())
        if found is None:
            self._is_over = True
            raise StopIteration
        return found

    def close(self) -> None:
        """End it, as its last one does: what it was read from is let go."""
        self._is_over = True
        self._stream.close()


def synchronous_stream(
    made: Callable[Concatenate[DeskT, P], Stream[T]],
) -> Callable[Concatenate[SyncShell[DeskT], P], SyncStream[T]]:
    """Make a method of a stream: it returns an iterator."""

    def call(self: SyncShell[DeskT], /, *args: P.args, **kwargs: P.kwargs) -> SyncStream[T]:
        return SyncStream(self, made(self._desk, *args, **kwargs))

    return as_method(made, call)


class SyncHistory(SyncShell[Queries]):
    """What has been, asked of the venue in SQL; opened when the first question is asked."""

    sql = synchronous(history.sql)
    stream = synchronous_stream(history.stream)
    bars = synchronous(history.bars)
    trades = synchronous(history.trades)
    quotes = synchronous(history.quotes)
    fixings = synchronous(history.fixings)
    index = synchronous(history.index)
    events = synchronous(history.events)
    fills = synchronous(history.fills)


class SyncExchange(SyncShell[Desk], Faced):
    """A member's session with the venue, for one thread at a time. `connect_sync` opens one.

    It needs no event loop, and does not mind one: it works in notebooks too. Reports of fills and cancels are
    taken in by whatever call comes next. A connection that breaks is made anew by itself: a call that waits
    meanwhile is asked again where that is safe, and fails within its timeout where it is not.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, threading.Lock())
        self.history = SyncHistory(desk.queries, self._lock)
        """SQL, bars, trades, quotes, fixings and fills, of all that was settled."""

    refresh = synchronous(calls.refresh)
    place = synchronous(calls.place)
    place_all = synchronous(calls.place_all)
    cancel = synchronous(calls.cancel)
    cancel_all = synchronous(calls.cancel_all)
    cancel_all_after = synchronous(calls.cancel_all_after)
    reduce = synchronous(calls.reduce)
    replace = synchronous(calls.replace)
    orders = synchronous(calls.orders)
    fills = synchronous_stream(streams.fills)
    updates = synchronous_stream(streams.updates)

    book = synchronous(market.book)
    books = synchronous_stream(market.books)
    trades = synchronous_stream(market.trades)
    bars = synchronous_stream(market.bars)

    account = synchronous(acting.account)
    status = synchronous(acting.status)
    redemptions = synchronous(acting.redemptions)
    proposals = synchronous(acting.proposals)
    keys = synchronous(acting.keys)
    preview = synchronous(acting.preview)
    statement = synchronous(account_statement.statement)

    act = synchronous(acting.act)
    decide = synchronous(acting.decide)
    rehearse = synchronous(acting.rehearse)
    redeem = synchronous(acting.redeem)
    recall = synchronous(acting.recall)
    deliver = synchronous(acting.deliver)
    accept = synchronous(acting.accept)
    dispute = synchronous(acting.dispute)
    issue = synchronous(acting.issue)
    record_usage = synchronous(acting.record_usage)
    withdraw = synchronous(acting.withdraw)
    transfer = synchronous(acting.transfer)
    settle_debt = synchronous(acting.settle_debt)

    close = synchronous(calls.close)

    def _look(self) -> None:
        """Take in what has come since the last call, without waiting."""
        self._run(look(self._desk))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def look(desk: Desk) -> Flow[None]:
    """Take one turn at the line."""
    yield Wait(desk.line, never, monotonic())
