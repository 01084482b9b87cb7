"""The client for programs with an event loop: the same calls, awaited, and any number of them at once."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast

from exchange.client import account_statement, acting, calls, history, market, streams
from exchange.client.async_feed_link import AsyncFeedLink
from exchange.client.async_link import AsyncLink
from exchange.client.desk import Desk
from exchange.client.flows import TIMEOUT_SECONDS, Flow, Stream
from exchange.client.queries import Queries
from exchange.client.shells import Faced, as_method, desk_of
from exchange.client.wire import Options
from exchange.profiles import Profile

P = ParamSpec("P")
T = TypeVar("T")
DeskT = TypeVar("DeskT")


def connect(
    profile: str | os.PathLike[str] | Profile,
    *,
    timeout: float = TIMEOUT_SECONDS,
    cancel_on_disconnect: bool = False,
    options: Options | None = None,
) -> Connecting:
    """Open a session with the venue that a profile names, within `timeout` seconds.

    To be awaited, or entered by `async with`, which closes it too. Arguments and errors are those of
    `connect_sync`.

        async with connect("sandbox") as ex:
            order = await ex.place(ex.instruments["QWEN3-MAX"].buy(250, limit="12.35"))
    """

    async def opened() -> AsyncExchange:
        exchange = AsyncExchange(
            desk_of(profile, options, AsyncLink, AsyncFeedLink, cancel_on_disconnect=cancel_on_disconnect)
        )
        try:
            await exchange.refresh(timeout)
        except BaseException:
            await exchange.close()
            raise
        return exchange

    return Connecting(opened)


class Connecting:
    """A session about to be opened: await it, or enter it by `async with`."""

    def __init__(self, opened: Callable[[], Coroutine[Any, Any, AsyncExchange]]) -> None:
        self._opened = opened
        self._exchange: AsyncExchange | None = None

    def __await__(self) -> Generator[Any, None, AsyncExchange]:
        return self._opened().__await__()

    async def __aenter__(self) -> AsyncExchange:
        self._exchange = await self._opened()
        return self._exchange

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._exchange is not None:
            await self._exchange.close()


class AsyncShell(Generic[DeskT]):
    """Runs flows, any number of them at once: what one waits for does not hold up the others."""

    def __init__(self, desk: DeskT) -> None:
        self._desk = desk

    async def _run(self, flow: Flow[T]) -> T:
        """Run a flow. Whatever ends the wait, a cancellation too, it takes back what it still awaits."""
        try:
            wait = next(flow)
            while True:
                try:
                    is_done = await cast("Awaitable[bool]", wait.line.wait_for(wait.done, wait.deadline))
                except BaseException as error:  # asyncio.CancelledError is not an Exception
                    wait = flow.throw(error)
                else:
                    wait = flow.send(is_done)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            flow.close()


def asynchronous(
    flow: Callable[Concatenate[DeskT, P], Flow[T]],
) -> Callable[Concatenate[AsyncShell[DeskT], P], Coroutine[Any, Any, T]]:
    """Make a coroutine method of a flow."""

    async def call(self: AsyncShell[DeskT], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(flow(self._desk, *args, **kwargs))

    return as_method(flow, call)


class AsyncStream(Generic[T]):
    """An asynchronous iterator over what comes. A wait that is cancelled loses nothing: it may be gone on."""

    def __init__(self, shell: AsyncShell[Any], stream: Stream[T]) -> None:
        self._shell = shell
        self._stream = stream
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        found = None if self._is_over else await self._shell._run(self._stream.next())
        if found is None:
            self._is_over = True
            raise StopAsyncIteration
        return found

    async def aclose(self) -> None:
        """End it, as its last one does: what it was read from is let go."""
        self._is_over = True
        self._stream.close()


def asynchronous_stream(
    made: Callable[Concatenate[DeskT, P], Stream[T]],
) -> Callable[Concatenate[AsyncShell[DeskT], P], AsyncStream[T]]:
    """Make a method of a stream: it returns an asynchronous iterator."""

    def call(self: AsyncShell[DeskT], /, *args: P.args, **kwargs: P.kwargs) -> AsyncStream[T]:
        return AsyncStream(self, made(self._desk, *args, **kwargs))

    return as_method(made, call)


class AsyncHistory(AsyncShell[Queries]):
    """What has been, asked of the venue in SQL; opened when the first question is asked."""

    sql = asynchronous(history.sql)
    stream = asynchronous_stream(history.stream)
    bars = asynchronous(history.bars)
    trades = asynchronous(history.trades)
    quotes = asynchronous(history.quotes)
    fixings = asynchronous(history.fixings)
    index = asynchronous(history.index)
    events = asynchronous(history.events)
    fills = asynchronous(history.fills)


class AsyncExchange(AsyncShell[Desk], Faced):
    """A member's session with the venue, for the tasks of one event loop. `connect` opens one.

    The loop reads its socket also while nobody waits, so that what it knows is always fresh. A connection
    that breaks is made anew by itself: a call that waits meanwhile is asked again where that is safe, and
    fails within its timeout where it is not. A task may be cancelled in the middle of a call: as with a
    timeout, what it had placed may stand, and its client id tells.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.history = AsyncHistory(desk.queries)
        """SQL, bars, trades, quotes, fixings and fills, of all that was settled."""

    refresh = asynchronous(calls.refresh)
    place = asynchronous(calls.place)
    place_all = asynchronous(calls.place_all)
    cancel = asynchronous(calls.cancel)
    cancel_all = asynchronous(calls.cancel_all)
    cancel_all_after = asynchronous(calls.cancel_all_after)
    reduce = asynchronous(calls.reduce)
    replace = asynchronous(calls.replace)
    orders = asynchronous(calls.orders)
    fills = asynchronous_stream(streams.fills)
    updates = asynchronous_stream(streams.updates)

    book = asynchronous(market.book)
    books = asynchronous_stream(market.books)
    trades = asynchronous_stream(market.trades)
    bars = asynchronous_stream(market.bars)

    account = asynchronous(acting.account)
    status = asynchronous(acting.status)
    redemptions = asynchronous(acting.redemptions)
    proposals = asynchronous(acting.proposals)
    keys = asynchronous(acting.keys)
    preview = asynchronous(acting.preview)
    statement = asynchronous(account_statement.statement)

    act = asynchronous(acting.act)
    decide = asynchronous(acting.decide)
    rehearse = asynchronous(acting.rehearse)
    redeem = asynchronous(acting.redeem)
    recall = asynchronous(acting.recall)
    deliver = asynchronous(acting.deliver)
    accept = asynchronous(acting.accept)
    dispute = asynchronous(acting.dispute)
    issue = asynchronous(acting.issue)
    record_usage = asynchronous(acting.record_usage)
    withdraw = asynchronous(acting.withdraw)
    transfer = asynchronous(acting.transfer)
    settle_debt = asynchronous(acting.settle_debt)

    close = asynchronous(calls.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
