"""A query service without a venue: a store, its desk and a CURVE router on loopback, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import zmq

from exchange.client.flows import QueryLine
from exchange.client.link import Link
from exchange.client.queries import Queries, QuerySession
from exchange.client.sync import SyncHistory
from exchange.client.wire import Options
from exchange.profiles import Endpoints, Profile
from exchange.protocol.messages import QUERIES
from exchange.protocol.query_messages import Rehearse
from exchange.server.query_desk import QueryDesk, Work
from exchange.server.sockets import Keyring, authenticator, guarded
from settlement.queries import QueryLimits, QueryService
from settlement.store import Store


class QueryHouse:
    """Answers over loopback what is asked of a store; each client is a member of its own."""

    def __init__(self, store: Store, limits: QueryLimits | None = None) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        public, secret = (key.decode("ascii") for key in zmq.curve_keypair())
        self._server_key = public
        self.members: dict[str, tuple[int, str | None]] = {}
        self._guard = authenticator(self._context, Keyring(lambda key: key in self.members))
        self._router = guarded(self._context, zmq.ROUTER, secret.encode("ascii"))
        self._router.setsockopt(zmq.SNDHWM, 8)
        port = self._router.bind_to_random_port("tcp://127.0.0.1")
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self.desk = QueryDesk(self._context, QueryService(store, limits))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def profile(self, viewer: str | None = None) -> Profile:
        """Return a profile of a new member, who sees what `viewer` may."""
        public, secret = (key.decode("ascii") for key in zmq.curve_keypair())
        self.members[public] = (len(self.members), viewer)
        return Profile(viewer or "AUDITOR", public, secret, self._server_key, Endpoints("", self.endpoint))

    @contextmanager
    def client(self, viewer: str | None = None) -> Iterator[SyncHistory]:
        """Yield the history of a new member's client."""
        profile = self.profile(viewer)

        def opened(session: QuerySession) -> QueryLine:
            options = Options(message_bytes_max=2**30)
            return Link(self.endpoint, profile, options, session)

        queries = Queries(opened, lambda: profile.member, lambda: {"QWEN3-MAX": None, "GLM-5": None})
        try:
            yield SyncHistory(queries, threading.Lock())
        finally:
            queries.close()

    def works(self) -> list[Work]:
        """Return the queries that the desk has not done with."""
        return list(self.desk._work.values())

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.desk.close()
        self._guard.stop()
        self._context.destroy(linger=0)

    def _serve(self) -> None:
        poller = zmq.Poller()
        for socket in (self._router, self.desk.answers):
            poller.register(socket, zmq.POLLIN)
        while not self._stop.is_set():
            poller.poll(20)
            while self._router.poll(0):
                session, body = self._router.recv_multipart(copy=False)
                member, viewer = self.members[str(body.get("User-Id"))]
                said = QUERIES.decode(memoryview(body.bytes)[1:])
                assert not isinstance(said, Rehearse)
                if told := self.desk.hear(session.bytes, member, said, viewer):
                    self._router.send_multipart(told, zmq.NOBLOCK)
            for told in self.desk.expired():
                self._router.send_multipart(told, zmq.NOBLOCK)
            while self.desk.answers.poll(0):
                self._router.send_multipart(self.desk.done(), zmq.NOBLOCK, copy=False)
