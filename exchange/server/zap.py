"""Who may finish a handshake: ZeroMQ's authentication protocol (RFC 27), answered without a thread.

A second thread would cost the sequencer its even pace (a sync beside a busy thread took 5.5 ms, not 0.14):
its own loop answers a few requests a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import zmq
from zmq.utils import z85

MayEnter = Callable[[str, str], bool]
"""Tells whether a public key (Z85) may enter by the door of this name."""

Refused = Callable[[str, str, str], object]
"""Told of a handshake that was refused: the door's name, the peer's address, its key (Z85)."""

ENDPOINT = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_CURVE = b"CURVE"
ALLOWED = b"200"
"""The status of a reply that lets a peer in."""

_FRAMES_BEFORE_KEY = 6
_KEY_BYTES = 32

REQUESTS_PER_TURN = 16
"""Most handshakes answered before orders are looked at again."""


def answer(request: Sequence[bytes], may_enter: MayEnter) -> list[bytes]:
    """Return the reply to one request: whether this key may enter, and if so as whom: itself."""
    number = request[1] if len(request) > 1 else b""
    if len(request) != _FRAMES_BEFORE_KEY + 1 or request[0] != _VERSION or request[5] != _CURVE:
        return [_VERSION, number, b"500", b"not a CURVE request", b"", b""]
    domain, key = request[2], request[6]
    name = z85.encode(key).decode("ascii") if len(key) == _KEY_BYTES else ""
    if name and may_enter(domain.decode("ascii", "replace"), name):
        return [_VERSION, number, ALLOWED, b"OK", name.encode("ascii"), b""]
    return [_VERSION, number, b"400", b"this key does not open this door", b"", b""]


def who_asks(request: Sequence[bytes]) -> tuple[str, str, str]:
    """Return the door, the address and the key (Z85) of a request, blank where it has none."""
    parts = [part.decode("ascii", "replace") for part in request[2:4]]
    key = request[_FRAMES_BEFORE_KEY] if len(request) > _FRAMES_BEFORE_KEY else b""
    door, address = (*parts, "", "")[:2]
    return door, address, z85.encode(key).decode("ascii") if len(key) == _KEY_BYTES else ""


class Doorkeeper:
    """The socket that libzmq asks about every handshake of its context; one thread owns it."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        may_enter: MayEnter,
        refused: Refused = lambda *_: None,
    ) -> None:
        self.socket = context.socket(zmq.REP)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(ENDPOINT)
        self._may_enter = may_enter
        self._refused = refused

    def work(self) -> None:
        """Answer what was asked, a few handshakes at most."""
        for _ in range(REQUESTS_PER_TURN):
            try:
                request = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            said = answer(request, self._may_enter)
            self.socket.send_multipart(said)
            if said[2] != ALLOWED:
                self._refused(*who_asks(request))
