"""The link of the synchronous client: it takes turns at its socket for as long as a call waits.

One thread at a time uses a link. Between calls nothing is read; libzmq's own thread keeps the connection.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from time import monotonic

import zmq

from exchange.client.wire import Wire


class Link(Wire):
    """A wire that waits by polling.

    It is the client's seam: a venue in the same process is reached by a line with another `wait_for`.
    """

    def _open(self) -> None:
        super()._open()
        self._poller = zmq.Poller()
        self._poller.register(self._monitor, zmq.POLLIN)
        self._poller.register(self._socket, zmq.POLLIN)

    def turn(self, deadline: float) -> None:
        """Say what is to be said and take in what has come, waiting for that until `deadline`.

        `deadline` is by `time.monotonic`. Raises `ConnectionLost` if the link was closed, why the session
        has ended, `AccessDenied` if the venue turned the key away, and the fault of a whole conversation.
        """
        self._check()
        if self._reopen_at is not None:
            time.sleep(max(0.0, min(self._reopen_at, deadline) - monotonic()))
            if monotonic() < self._reopen_at:
                return
            self._open()
        if self._watch():
            deadline = 0.0  # it may be what is waited for: a connection that is gone answers no more
        wake_for = zmq.POLLIN if self._say() else zmq.POLLIN | zmq.POLLOUT
        self._poller.modify(self._socket, wake_for)
        patience_ms = math.ceil(max(0.0, deadline - monotonic()) * 1_000)
        if self._poller.poll(patience_ms):
            self._watch()
            self._hear()

    def wait_for(self, done: Callable[[], bool], deadline: float) -> bool:
        """Take turns until `done` says so. Returns whether it did before `deadline`."""
        while not done():
            self.turn(deadline)
            if monotonic() >= deadline:
                return done()
        return True
