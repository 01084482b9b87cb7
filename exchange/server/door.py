"""The ROUTER sockets by which members and operators come in: messages in to the gateway, answers out.

One thread owns them.
"""

from __future__ import annotations

from typing import Any

import zmq

from exchange.config import BATCH_COMMANDS_MAX, BATCH_MESSAGES_MAX
from exchange.protocol.messages import COMMANDS, encode
from exchange.protocol.reasons import refused
from exchange.server.gateway import COMMAND_BYTES, ONE_COMMAND_BYTES, Gateway
from exchange.server.sessions import SessionId
from exchange.server.sockets import AUTOMATIC_ID_BYTES, is_automatic
from matching.vocabulary import RejectReason

MEMBERS, OPERATORS = "members", "operators"
"""The doors, by the names under which libzmq asks who may enter."""

_COMMANDS = COMMANDS[0]

_USER_ID: Any = b"User-Id"
"""The property of a message that holds the key which its connection has proven. As bytes pyzmq need not
encode it, though its types ask for text."""

_PEER_ADDRESS = "Peer-Address"
"""The property that says where a message comes from; it is asked of a logon only."""


class Door:
    """One socket, drained in bounded batches. `mark` stands before the ids of its sessions."""

    def __init__(self, socket: zmq.Socket[bytes], name: str, mark: bytes = b"") -> None:
        self.socket = socket
        self._mark = mark
        self._is_operators = name == OPERATORS

    def send(self, session_id: SessionId, body: bytes) -> RejectReason:
        """Send to one session without waiting; see `Doors.send`."""
        try:
            self.socket.send(session_id[len(self._mark) :], zmq.NOBLOCK | zmq.SNDMORE)
            self.socket.send(body, zmq.NOBLOCK)
        except zmq.Again:
            return RejectReason.REPORTS_DROPPED
        except zmq.ZMQError:
            return RejectReason.SESSION_LOST
        return RejectReason.NONE

    def drain(self, gateway: Gateway) -> None:
        """Hand messages to the gateway until the socket is empty or the batch is full.

        Whose a message is, its own key says, not the connection's name alone: a peer may choose its name, and
        take that of one that has just gone. Asking costs 0.15 us a message, as the frame tells in the same
        breath whether it is the last. A question fills the batch by its length: a long one takes a
        millisecond to read.
        """
        receive, live, mark = self.socket.recv, gateway.sessions.live, self._mark
        keep_body, keep_owner = gateway.bodies.append, gateway.owners.append
        commands = 0
        for _ in range(BATCH_MESSAGES_MAX):
            try:
                name = receive(zmq.NOBLOCK)
            except zmq.Again:
                return
            frame = receive(0, False, False)
            if frame.more:
                self._skip_parts()
                self.send(mark + name, encode(refused(RejectReason.MALFORMED, "more than one frame")))
                continue
            session = live.get(mark + name)
            if session is not None and frame.get(_USER_ID) == session.key:
                body = frame.bytes
                if len(body) == ONE_COMMAND_BYTES and body[0] == _COMMANDS:
                    keep_body(body)
                    keep_owner(session)
                    commands += 1
                else:
                    commands += gateway.take(session, body) or len(body) // COMMAND_BYTES
            elif session is None and is_automatic(name):
                key, address = str(frame.get(_USER_ID)), str(frame.get(_PEER_ADDRESS))
                gateway.greet(mark + name, key, frame.bytes, address, is_operators=self._is_operators)
            else:
                self.send(mark + name, encode(refused(RejectReason.NOT_AUTHENTICATED, "")))
            if commands >= BATCH_COMMANDS_MAX:
                return

    def _skip_parts(self) -> None:
        while self.socket.getsockopt(zmq.RCVMORE):
            self.socket.recv()


class Doors:
    """The two doors of a venue, as one: whatever a session's id is, `send` finds its socket."""

    def __init__(self, members: zmq.Socket[bytes], operators: zmq.Socket[bytes]) -> None:
        self._members = Door(members, MEMBERS)
        self._operators = Door(operators, OPERATORS, b"o")
        self._poller = zmq.Poller()
        for socket in (members, operators):
            self._poller.register(socket, zmq.POLLIN)

    def also_wake_for(self, socket: zmq.Socket[bytes]) -> None:
        """Let `wait` return when there is something to read from another socket, too."""
        self._poller.register(socket, zmq.POLLIN)

    def send(self, session_id: SessionId, body: bytes) -> RejectReason:
        """Send to one session without waiting.

        Returns NONE, SESSION_LOST if it is gone, or REPORTS_DROPPED if its queue is full.
        """
        door = self._members if len(session_id) == AUTOMATIC_ID_BYTES else self._operators
        return door.send(session_id, body)

    def drain(self, gateway: Gateway) -> None:
        """Hand what members and operators say to the gateway, operators first."""
        self._operators.drain(gateway)
        self._members.drain(gateway)

    def wait(self, milliseconds: int) -> None:
        """Wait until there is something to read, at most so long."""
        self._poller.poll(milliseconds)
