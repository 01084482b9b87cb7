"""The link of the asynchronous client: an event loop reads its socket whenever something comes.

libzmq has one file descriptor a socket that tells of changes, not of what there is to read: after each
look there must be another until there is nothing left, else the next word might never be noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

import zmq

from exchange.client.errors import BadInput
from exchange.client.flows import closed
from exchange.client.wire import Conversation, Options, Wire
from exchange.profiles import Profile


class Waiter:
    """One flow's wait, and the future that ends it."""

    __slots__ = ("done", "future")

    def __init__(self, done: Callable[[], bool], future: asyncio.Future[bool]) -> None:
        self.done = done
        self.future = future


class Waiters:
    """All who wait on one line: each is woken when what it waits for has come, or will not."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiters: dict[Waiter, None] = {}

    @property
    def has_any(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiters)

    async def wait(self, done: Callable[[], bool], deadline: float) -> bool:
        """Wait until `done`, or until `deadline` by `time.monotonic`; tell whether it was done."""
        waiter = Waiter(done, self.loop.create_future())
        self._waiters[waiter] = None
        alarm = self.loop.call_later(max(0.0, deadline - monotonic()), self._time_is_up, waiter)
        try:
            return await waiter.future
        finally:
            alarm.cancel()
            self._waiters.pop(waiter, None)

    def look(self) -> None:
        """Wake those whose wait is over."""
        for waiter in tuple(self._waiters):
            if not waiter.future.done() and waiter.done():
                waiter.future.set_result(True)

    def fail(self, error: BaseException) -> bool:
        """Wake all with an error. Returns whether there was anybody to tell."""
        waiting = [waiter for waiter in self._waiters if not waiter.future.done()]
        for waiter in waiting:
            waiter.future.set_exception(error)
        return bool(waiting)

    def _time_is_up(self, waiter: Waiter) -> None:
        if not waiter.future.done():
            waiter.future.set_result(waiter.done())

    def check_loop(self) -> None:
        """Raise `BadInput` for who calls from another event loop than the one that the session is of."""
        if asyncio.get_running_loop() is not self.loop:
            raise BadInput(
                "this session belongs to another event loop",
                field="loop",
                remedy="open one in each event loop with connect()",
            )


class AsyncLink(Wire):
    """A wire that an event loop reads, also while nobody waits. Any number of tasks may wait on it."""

    def __init__(self, endpoint: str, profile: Profile, options: Options, conversation: Conversation) -> None:
        self._waiters = Waiters(asyncio.get_running_loop())
        self._untold: Exception | None = None
        super().__init__(endpoint, profile, options, conversation)

    def _open(self) -> None:
        super()._open()
        self._read_by = [int(socket.getsockopt(zmq.FD)) for socket in (self._socket, self._monitor)]
        for descriptor in self._read_by:
            self._waiters.loop.add_reader(descriptor, self._work)
        self._waiters.loop.call_soon(self._work)

    def _shut(self) -> None:
        for descriptor in self._read_by:
            self._waiters.loop.remove_reader(descriptor)
        self._read_by = []
        super()._shut()

    def close(self) -> None:
        """Close the socket for good; whoever waits is told so."""
        if not self._is_closed:
            super().close()
            self._waiters.fail(closed(self.endpoint))

    def _break(self) -> None:
        super()._break()
        assert self._reopen_at is not None, "a wire that was given up is made anew"
        self._waiters.loop.call_later(max(0.0, self._reopen_at - monotonic()), self._open_again)

    def _open_again(self) -> None:
        if not self._is_closed and self._reopen_at is not None:
            self._open()

    def nudge(self) -> None:
        """Hand over what is to be said; the loop looks afterwards what has come meanwhile."""
        super().nudge()
        self._waiters.loop.call_soon(self._work)

    async def wait_for(self, done: Callable[[], bool], deadline: float) -> bool:
        """Let the loop work until `done` says so. Returns whether it did before `deadline`."""
        self._waiters.check_loop()
        if done():
            return True
        self._check()
        self._work()
        if self._untold is not None:
            error, self._untold = self._untold, None
            raise error
        if done():
            return True
        if monotonic() >= deadline:
            await asyncio.sleep(0)
            return done()
        return await self._waiters.wait(done, deadline)

    def _work(self) -> None:
        """Say and hear what there is, and wake whoever waited for it; what goes wrong is told to all."""
        if self._is_closed or self._socket.closed:
            return
        try:
            self._watch()
            self._say()
            self._hear()
            self._say()
        except Exception as error:  # in a loop's callback nobody else could raise it
            if not self._waiters.fail(error):
                self._untold = error
        self._waiters.look()
        self._work_on()

    def _work_on(self) -> None:
        """Come back at once where there is more to do; else the loop is told of what comes."""
        if self._socket.closed:
            return
        wanted = zmq.POLLIN | (zmq.POLLOUT if self._conversation.outbox else 0)
        events = int(self._socket.getsockopt(zmq.EVENTS)) & wanted
        if events or int(self._monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._waiters.loop.call_soon(self._work)
