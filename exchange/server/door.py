"""The members' ROUTER socket: messages in to the gateway, answers out. One thread owns it."""

from __future__ import annotations

import zmq

from exchange.config import BATCH_COMMANDS_MAX, BATCH_MESSAGES_MAX
from exchange.server.gateway import Gateway, Session
from exchange.server.sockets import is_automatic
from matching.vocabulary import RejectReason


class Door:
    """Drains the socket in bounded batches. `send` is handed to the gateway that it feeds."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket

    def send(self, session: Session, body: bytes) -> bool:
        """Send to one session without waiting; False if it is gone or its queue is full."""
        try:
            self._socket.send_multipart((session, body), zmq.NOBLOCK)
        except zmq.ZMQError:
            return False
        return True

    def drain(self, gateway: Gateway) -> None:
        """Hand messages to the gateway until the socket is empty or the batch is full."""
        receive = self._socket.recv
        commands = 0
        for _ in range(BATCH_MESSAGES_MAX):
            try:
                session = receive(zmq.NOBLOCK)
            except zmq.Again:
                return
            body = receive() if gateway.knows(session) else self._meet(session, gateway)
            if self._socket.getsockopt(zmq.RCVMORE):
                self._skip_parts()
                gateway.refuse(session, RejectReason.MALFORMED, "more than one frame")
                continue
            commands += gateway.take(session, body)
            if commands >= BATCH_COMMANDS_MAX:
                return

    def wait(self, milliseconds: int) -> None:
        """Wait until there is something to read, at most so long."""
        self._socket.poll(milliseconds)

    def _meet(self, session: Session, gateway: Gateway) -> bytes:
        """Read a new connection's first message, and note the key that it has proven.

        Only a name that libzmq gave can be trusted to stay this connection's: one chosen by the peer
        could be taken over by another key, so it is never noted and its messages are not heard.
        """
        frame = self._socket.recv(copy=False)
        key = frame.get("User-Id")
        if is_automatic(session) and isinstance(key, str):
            gateway.meet(session, key)
        return bytes(frame.bytes)

    def _skip_parts(self) -> None:
        while self._socket.getsockopt(zmq.RCVMORE):
            self._socket.recv()
