"""The venue's sockets: each kind made in one place, every option said aloud."""

from __future__ import annotations

from collections.abc import Callable

import zmq
from zmq.auth.thread import ThreadAuthenticator

from exchange.config import (
    CONNECTS_WAITING_MAX,
    HANDSHAKE_MS_MAX,
    PING_MS,
    PING_PATIENCE_MS,
    QUEUE_MESSAGES_MAX,
    REFRESHES_WAITING_MAX,
    UNREAD_MS_MAX,
)
from exchange.protocol.messages import MESSAGE_BYTES_MAX

_AUTOMATIC_ID_BEGINS = b"\x00"
AUTOMATIC_ID_BYTES = 5
"""libzmq names a connection by a zero byte and four more."""


def is_automatic(routing_id: bytes) -> bool:
    """Tell whether a connection's name is of the shape that libzmq gives; a peer may have chosen it, too."""
    return len(routing_id) == AUTOMATIC_ID_BYTES and routing_id[:1] == _AUTOMATIC_ID_BEGINS


class Keyring:
    """Asked by the authenticator whether a public key may connect; the answer is the registry's."""

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known

    def callback(self, domain: str, key: bytes) -> bool:
        """Return whether `key` (Z85) is known. Called on the authenticator's thread."""
        return self._is_known(key.decode("ascii"))


def authenticator(context: zmq.Context[zmq.Socket[bytes]], keyring: Keyring) -> ThreadAuthenticator:
    """Start answering handshakes of every CURVE socket of this context; call `stop()` in the end."""
    guard = ThreadAuthenticator(context)
    guard.start()
    guard.configure_curve_callback(domain="*", credentials_provider=keyring)
    return guard


class CannotListen(Exception):
    """An endpoint cannot be had; the message names it, its setting, and what to do."""


def bind(socket: zmq.Socket[bytes], endpoint: str, setting: str = "") -> str:
    """Bind, and return the endpoint with the port that the system chose where it was to choose.

    Raises `CannotListen`, which names the `setting` that the endpoint came from.
    """
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        named = f" ({setting})" if setting else ""
        message = f"{endpoint}{named} cannot be listened on: {zmq.strerror(error.errno or 0)}"
        raise CannotListen(f"{message}; end what listens there, or choose another port") from error
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)


def guarded(context: zmq.Context[zmq.Socket[bytes]], kind: int, secret_key: bytes) -> zmq.Socket[bytes]:
    """Return a public socket: CURVE server, bounded queues, bounded messages, bounded handshakes."""
    socket = _bounded(context, kind)
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, secret_key)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS_MAX)
    socket.setsockopt(zmq.BACKLOG, CONNECTS_WAITING_MAX)
    socket.setsockopt(zmq.TCP_MAXRT, UNREAD_MS_MAX)
    return socket


def order_router(context: zmq.Context[zmq.Socket[bytes]], secret_key: bytes, door: str) -> zmq.Socket[bytes]:
    """Return the ROUTER of a door; sending to a session that is gone is an error.

    A peer that answers no ping is cut off, so that a session that died without a word is found.
    """
    socket = guarded(context, zmq.ROUTER, secret_key)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt_string(zmq.ZAP_DOMAIN, door)
    socket.setsockopt(zmq.HEARTBEAT_IVL, PING_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, PING_PATIENCE_MS)
    return socket


def feed_publisher(
    context: zmq.Context[zmq.Socket[bytes]], secret_key: bytes, messages_kept: int
) -> zmq.Socket[bytes]:
    """Return the PUB of market data; beyond so many messages that a reader has not read it drops his."""
    socket = guarded(context, zmq.PUB, secret_key)
    socket.setsockopt(zmq.SNDHWM, messages_kept)
    return socket


def refresh_router(context: zmq.Context[zmq.Socket[bytes]], secret_key: bytes) -> zmq.Socket[bytes]:
    """Return the ROUTER that gives out whole books; what a connection has no room for is dropped."""
    socket = guarded(context, zmq.ROUTER, secret_key)
    socket.setsockopt(zmq.SNDHWM, REFRESHES_WAITING_MAX)
    return socket


def commit_publisher(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    """Return the PUB that tells followers on this machine how far the journal is synced."""
    return _bounded(context, zmq.PUB)


def commit_subscriber(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes]:
    """Return the SUB on which a follower learns that; the newest word is all it needs."""
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.CONFLATE, 1)
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.connect(endpoint)
    return socket


def _bounded(context: zmq.Context[zmq.Socket[bytes]], kind: int) -> zmq.Socket[bytes]:
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, QUEUE_MESSAGES_MAX)
    socket.setsockopt(zmq.RCVHWM, QUEUE_MESSAGES_MAX)
    socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
    return socket
