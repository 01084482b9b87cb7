"""The client's socket: a DEALER under CURVE that knows bytes and connections, and no business.

libzmq connects anew by itself; the wire tells its conversation of it, so that nothing is said on a
connection that does not know who speaks. Where the conversation asks for a new connection, the socket is
made anew: nothing that was on its way on the old one can be taken for news. How to wait for something is
the business of the link around it: `link.py` for one thread, `async_link.py` for an event loop.
"""

from __future__ import annotations

import random
import struct
from collections import deque
from time import monotonic
from typing import NamedTuple, Protocol

import zmq

from exchange.client.errors import AccessDenied, ConnectionLost, ExchangeError, Timeout
from exchange.client.flows import closed
from exchange.client.requests import Said
from exchange.profiles import Profile

FRAMES_PER_TURN_MAX = 256
"""Most frames taken in one turn, and"""
BYTES_PER_TURN_MAX = 2**20
"""the bytes after which a turn ends: bounds on the work between two looks at the clock."""

NUDGE_LINGER_MS = 200
"""How long a close waits for a last word to go out, where there is one."""

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


class Conversation(Protocol):
    """What a link serves: see `exchange.client.session`."""

    outbox: deque[Said]
    fault: ExchangeError | None
    """What is to be raised once, to whoever waits."""
    ended: ExchangeError | None
    """Why nothing will be heard any more: it is raised from then on, and no connection made."""
    wants_new_link: bool
    """Whether this connection is of no use any more, and another is to be made."""

    def linked(self) -> None:
        """Begin on a connection that has just come up."""

    def cut(self) -> None:
        """Note that the connection is gone."""

    def receive(self, frame: bytes) -> None:
        """Take in one frame."""


class Wire:
    """One socket for one conversation, and what is known of its connection. It never waits."""

    def __init__(self, endpoint: str, profile: Profile, options: Options, conversation: Conversation) -> None:
        self.endpoint = endpoint
        self.is_up = False
        self.heard_at = monotonic()
        """When something was heard last, or the first connection was begun, by `time.monotonic`."""
        self._profile = profile
        self._options = options
        self._conversation = conversation
        self._is_reached = self._was_up = self._is_denied = self._is_closed = False
        self._reopen_at: float | None = None
        self._up_since = 0.0
        self._remakes = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._open()

    # --- the socket ----------------------------------------------------------------------------

    def _open(self) -> None:
        """Make a socket, and let libzmq begin to connect it."""
        self._reopen_at = None
        self._socket = _dealer(self._context, self._profile, self._options)
        self._monitor = self._socket.get_monitor_socket(
            zmq.EVENT_CONNECTED
            | zmq.EVENT_HANDSHAKE_SUCCEEDED
            | zmq.EVENT_HANDSHAKE_FAILED_AUTH
            | zmq.EVENT_DISCONNECTED
        )
        self._monitor.setsockopt(zmq.LINGER, 0)
        self._socket.connect(self.endpoint)

    def _shut(self) -> None:
        """Close the socket. What was not sent is dropped."""
        self.is_up = False
        if not self._socket.closed:
            self._socket.disable_monitor()
            self._monitor.close()
            self._socket.close()

    def close(self) -> None:
        """Close the socket for good."""
        if not self._is_closed:
            self._is_closed = True
            self._shut()
            self._context.term()

    def _break(self) -> None:
        """Give the connection up; the next one is made after a random wait that doubles each time."""
        calm_seconds = self._options.reconnect_ms_max / 1_000
        if monotonic() - self._up_since > 2 * calm_seconds:
            self._remakes = 0
        longest = min(self._options.reconnect_ms << self._remakes, self._options.reconnect_ms_max)
        self._remakes = min(self._remakes + 1, 16)
        self._shut()
        self._conversation.cut()
        self._reopen_at = monotonic() + random.uniform(longest / 2, longest) / 1_000  # noqa: S311  no secret

    # --- what a link does between two waits ----------------------------------------------------

    def _check(self) -> None:
        """Raise what stands against saying anything: the wire is closed, or the session over."""
        if self._is_closed:
            raise closed(self.endpoint)
        if self._conversation.ended is not None:
            raise self._conversation.ended

    def _watch(self) -> bool:
        """Tell the conversation of connections that came and went. Returns whether any did.

        Raises `AccessDenied`.
        """
        is_news = False
        while int(self._monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            event, _ = _EVENT.unpack(self._monitor.recv_multipart(zmq.NOBLOCK)[0])
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.is_up = self._was_up = True
                self._up_since = self.heard_at = monotonic()
                self._conversation.linked()
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self._is_denied = True
            elif event == zmq.EVENT_CONNECTED:
                self._is_reached = True
            elif event == zmq.EVENT_DISCONNECTED and self.is_up:
                self.is_up = False
                self._conversation.cut()
            is_news = True
        if self._is_denied:  # and libzmq tries no more
            raise AccessDenied(
                f"{self.endpoint} does not let this key in",
                field="public_key",
                remedy="have the operator register it, then open a new session",
            )
        return is_news

    def _say(self) -> bool:
        """Hand over what is to be said, without waiting. Returns whether all of it was."""
        outbox = self._conversation.outbox
        while outbox:
            try:
                self._socket.send(outbox[0].frame, zmq.NOBLOCK)
            except zmq.Again:
                return False
            outbox.popleft().handed = True
        return True

    def nudge(self) -> None:
        """Hand over what is to be said, without waiting; a close behind it lets it go out first."""
        if self.is_up and not self._socket.closed and self._conversation.outbox:
            self._socket.setsockopt(zmq.LINGER, NUDGE_LINGER_MS)
            self._say()

    def _hear(self) -> None:
        """Take in a bounded part of what has come, and do what the conversation asks for upon it.

        Raises the fault of the conversation as a whole, or why it has ended.
        """
        conversation, budget = self._conversation, BYTES_PER_TURN_MAX
        for _ in range(FRAMES_PER_TURN_MAX):
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            self.heard_at = monotonic()
            conversation.receive(frame)
            budget -= len(frame)
            if budget < 0 or conversation.wants_new_link or conversation.ended is not None:
                break
        if conversation.ended is not None:
            self._shut()
            conversation.cut()
            raise conversation.ended
        if conversation.wants_new_link:
            conversation.wants_new_link = False
            self._break()
        fault, conversation.fault = conversation.fault, None
        if fault is not None:
            raise fault

    def silence(self, what: str) -> ExchangeError:
        """Return the error for an answer that did not come: what is known of the reason."""
        return silence_of(
            self.endpoint, what, is_up=self.is_up, was_up=self._was_up, is_reached=self._is_reached
        )


def silence_of(endpoint: str, what: str, *, is_up: bool, was_up: bool, is_reached: bool) -> ExchangeError:
    """Return the error for an answer that did not come, from what is known of the connection."""
    if is_up:
        return Timeout(
            f"{endpoint} did not answer {what} in time",
            remedy="ask again, with a longer timeout",
        )
    if was_up:
        return ConnectionLost(
            f"the connection to {endpoint} was lost and has not come back",
            remedy="try again: it is made anew as soon as the venue is there",
        )
    if is_reached:
        return ConnectionLost(
            f"something listens at {endpoint}, but does not speak under the venue's key",
            field="server_key",
            remedy="see that the profile's server_key and endpoint are of the same venue",
        )
    return ConnectionLost(
        f"nothing answers at {endpoint}",
        field="endpoints",
        value=endpoint,
        remedy="see that the venue is up, and that the profile's endpoint is its own",
    )


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
