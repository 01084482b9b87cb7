"""The asynchronous client's line to the feed: the event loop reads it, also while nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import zmq

from exchange.client.async_link import Waiters
from exchange.client.feed_wire import TURN_SECONDS, FeedWire
from exchange.client.flows import closed
from exchange.client.marketreaders import Reader
from exchange.profiles import Profile


class AsyncFeedLink(FeedWire):
    """A feed wire that an event loop reads. libzmq tells it of changes only: see `async_link`."""

    def __init__(self, profile: Profile, reader: Reader) -> None:
        self._waiters = Waiters(asyncio.get_running_loop())
        self._untold: Exception | None = None
        super().__init__(profile, reader)
        self._read_by = [int(socket.getsockopt(zmq.FD)) for socket in (*self._sockets, self._monitor)]
        for descriptor in self._read_by:
            self._waiters.loop.add_reader(descriptor, self._work)
        self._alarm = self._waiters.loop.call_soon(self._tick)

    async def wait_for(self, done: Callable[[], bool], deadline: float) -> bool:
        """Hear all that has come, then let the loop do so until `done`; tell whether it was, in time."""
        self._waiters.check_loop()
        if self._untold is not None:
            error, self._untold = self._untold, None
            raise error
        self.hear_all()
        self._work_on()
        if done():
            await asyncio.sleep(0)  # a busy stream lets other tasks work, too
            return True
        return await self._waiters.wait(done, deadline)

    def _tick(self) -> None:
        """Notice what nothing tells of: silence, and refreshes that have not come."""
        if not self._is_closed:
            self._work()
            self._alarm = self._waiters.loop.call_later(TURN_SECONDS, self._tick)

    def _work(self) -> None:
        """Hear what there is, and wake whoever waited for it; what goes wrong is told to all."""
        if self._is_closed:
            return
        try:
            self.hear(0.0)
        except Exception as error:  # in a loop's callback nobody else could raise it
            if not self._waiters.fail(error):
                self._untold = error
        self._waiters.look()
        self._work_on()

    def _work_on(self) -> None:
        """Come back at once where there is more to hear; else the loop is told of what comes."""
        if self._is_closed:
            return
        if any(int(each.getsockopt(zmq.EVENTS)) & zmq.POLLIN for each in (*self._sockets, self._monitor)):
            self._waiters.loop.call_soon(self._work)

    def close(self) -> None:
        """Close the sockets for good; whoever waits is told so."""
        if self._is_closed:
            return
        self._alarm.cancel()
        if not self._waiters.loop.is_closed():  # a stream may be let go of after its loop
            for descriptor in self._read_by:
                self._waiters.loop.remove_reader(descriptor)
        super().close()
        self._waiters.fail(closed(self.endpoint))
