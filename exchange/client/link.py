"""The client's socket: a DEALER under CURVE that knows bytes and connections, and no business.

One thread owns a link. libzmq connects anew by itself; the link tells its conversation of it, so that
nothing is said on a connection that does not know who speaks.
"""

from __future__ import annotations

import math
import random
import struct
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple, Protocol

import zmq

from exchange.client.errors import AccessDenied, BadInput, ConnectionLost, ExchangeError, Timeout
from exchange.client.requests import Said
from exchange.profiles import Profile

FRAMES_PER_TURN_MAX = 1024
"""Most frames taken in one turn: a bound on the work between two looks at the clock."""

TIMEOUT_SECONDS = 5.0
"""How long a call waits for its answer, unless it is told otherwise."""

_EVENT = struct.Struct("=HI")


class Options(NamedTuple):
    """What a link's socket is set to; the defaults suit a member on the venue's network."""

    frames_waiting_max: int = 10_000
    """High-water mark, each way. At the mark for sending the link waits; at the mark for receiving
    libzmq reads no more from the network, and in the end the venue drops what it cannot send."""
    linger_ms: int = 0
    """What is unsent when a link closes is dropped: its caller has been told that it is unknown."""
    message_bytes_max: int = 64 * 2**20
    """Larger messages end the connection. The longest is the list of what is traded, or of orders."""
    handshake_ms: int = 5_000
    reconnect_ms: int = 100
    """Longest wait before the first new attempt. It is drawn at random from half of it up, so that a
    venue that comes back does not meet all of its members in one instant."""
    reconnect_ms_max: int = 2_000
    """The wait doubles with each attempt, up to this."""
    probe_ms: int = 1_000
    probe_patience_ms: int = 5_000
    """A connection that dies without a word is noticed by pings (ZMTP's own), and made anew."""


def deadline_after(timeout: float) -> float:
    """Return the moment that is `timeout` seconds ahead, by `time.monotonic`. Raises `BadInput`."""
    if not 0 <= timeout < math.inf:
        raise BadInput(
            f"timeout {timeout!r} is no time to wait",
            field="timeout",
            value=timeout,
            remedy="give seconds, 0 or more",
        )
    return monotonic() + timeout


def closed(endpoint: str) -> ConnectionLost:
    """Return the error for who speaks after the end."""
    return ConnectionLost(f"this session with {endpoint} was closed", remedy="open a new one")


class Conversation(Protocol):
    """What a link serves: see `exchange.client.session`."""

    outbox: deque[Said]
    fault: ExchangeError | None

    def linked(self) -> None:
        """Begin on a connection that has just come up."""

    def cut(self) -> None:
        """Note that the connection is gone."""

    def receive(self, frame: bytes) -> None:
        """Take in one frame."""


class Link:
    """One socket for one conversation; belongs to one thread.

    It is the client's seam: a venue in the same process is reached by a link with another `turn`.
    """

    is_up = False
    _is_reached = False
    _was_up = False
    _is_denied = False

    def __init__(self, endpoint: str, profile: Profile, options: Options) -> None:
        self.endpoint = endpoint
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = _dealer(self._context, profile, options)
        self._monitor = self._socket.get_monitor_socket(
            zmq.EVENT_CONNECTED
            | zmq.EVENT_HANDSHAKE_SUCCEEDED
            | zmq.EVENT_HANDSHAKE_FAILED_AUTH
            | zmq.EVENT_DISCONNECTED
        )
        self._monitor.setsockopt(zmq.LINGER, 0)
        self._poller = zmq.Poller()
        self._poller.register(self._monitor, zmq.POLLIN)
        self._poller.register(self._socket, zmq.POLLIN)
        self._socket.connect(endpoint)

    def turn(self, conversation: Conversation, deadline: float) -> None:
        """Say what is to be said and take in what has come, waiting for that until `deadline`.

        `deadline` is by `time.monotonic`. Raises `ConnectionLost` if the link was closed,
        `AccessDenied` if the venue turned the key away, and the fault of a whole conversation.
        """
        if self._socket.closed:
            raise closed(self.endpoint)
        self._watch(conversation)
        wake_for = zmq.POLLIN if self._say(conversation) else zmq.POLLIN | zmq.POLLOUT
        self._poller.modify(self._socket, wake_for)
        patience_ms = math.ceil(max(0.0, deadline - monotonic()) * 1_000)
        if self._poller.poll(patience_ms):
            self._watch(conversation)
            self._hear(conversation)
        fault, conversation.fault = conversation.fault, None
        if fault is not None:
            raise fault

    def wait_for(self, conversation: Conversation, done: Callable[[], bool], deadline: float) -> bool:
        """Take turns until `done` says so. Returns whether it did before `deadline`."""
        while not done():
            self.turn(conversation, deadline)
            if monotonic() >= deadline:
                return done()
        return True

    def silence(self, what: str) -> ExchangeError:
        """Return the error for an answer that did not come: what is known of the reason."""
        if self.is_up:
            return Timeout(
                f"{self.endpoint} did not answer {what} in time",
                remedy="ask again, with a longer timeout",
            )
        if self._was_up:
            return ConnectionLost(
                f"the connection to {self.endpoint} was lost and has not come back",
                remedy="try again: it is made anew as soon as the venue is there",
            )
        if self._is_reached:
            return ConnectionLost(
                f"something listens at {self.endpoint}, but does not speak under the venue's key",
                field="server_key",
                remedy="see that the profile's server_key and endpoint are of the same venue",
            )
        return ConnectionLost(
            f"nothing answers at {self.endpoint}",
            field="endpoints",
            value=self.endpoint,
            remedy="see that the venue is up, and that the profile's endpoint is its own",
        )

    def _watch(self, conversation: Conversation) -> None:
        """Tell the conversation of connections that came and went."""
        while int(self._monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            event, _ = _EVENT.unpack(self._monitor.recv_multipart(zmq.NOBLOCK)[0])
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.is_up = self._was_up = True
                conversation.linked()
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self._is_denied = True
            elif event == zmq.EVENT_CONNECTED:
                self._is_reached = True
            elif event == zmq.EVENT_DISCONNECTED and self.is_up:
                self.is_up = False
                conversation.cut()
        if self._is_denied:  # and libzmq tries no more
            raise AccessDenied(
                f"{self.endpoint} does not let this key in",
                field="public_key",
                remedy="have the operator register it, then open a new session",
            )

    def _say(self, conversation: Conversation) -> bool:
        """Hand over what is to be said, without waiting. Returns whether all of it was."""
        outbox = conversation.outbox
        while outbox:
            try:
                self._socket.send(outbox[0].frame, zmq.NOBLOCK)
            except zmq.Again:
                return False
            outbox.popleft().handed = True
        return True

    def _hear(self, conversation: Conversation) -> None:
        for _ in range(FRAMES_PER_TURN_MAX):
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            conversation.receive(frame)

    def close(self) -> None:
        """Close the socket. What was not sent is dropped."""
        if self._socket.closed:
            return
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()
        self._context.term()


def _dealer(context: zmq.Context[zmq.Socket[bytes]], profile: Profile, options: Options) -> zmq.Socket[bytes]:
    """Return a socket with everything set, not connected yet.

    It bears no routing id of its own: the venue gives each connection one, and goes by its key.
    """
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.SNDHWM, options.frames_waiting_max)
    socket.setsockopt(zmq.RCVHWM, options.frames_waiting_max)
    socket.setsockopt(zmq.LINGER, options.linger_ms)
    socket.setsockopt(zmq.MAXMSGSIZE, options.message_bytes_max)
    socket.setsockopt(zmq.HANDSHAKE_IVL, options.handshake_ms)
    wait_ms = random.randint(options.reconnect_ms // 2, options.reconnect_ms)  # noqa: S311  no secret
    socket.setsockopt(zmq.RECONNECT_IVL, max(1, wait_ms))
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, options.reconnect_ms_max)
    socket.setsockopt(zmq.HEARTBEAT_IVL, options.probe_ms)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, options.probe_patience_ms)
    socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing is kept for a connection that is not there
    socket.setsockopt(zmq.CURVE_SERVERKEY, profile.server_key.encode("ascii"))
    socket.setsockopt(zmq.CURVE_PUBLICKEY, profile.public_key.encode("ascii"))
    socket.setsockopt(zmq.CURVE_SECRETKEY, profile.secret_key.encode("ascii"))
    return socket
