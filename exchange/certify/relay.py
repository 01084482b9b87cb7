"""A line between client and venue that can be cut at the worst moment: bytes go both ways until it is."""

from __future__ import annotations

import selectors
import socket
import threading

CHUNK_BYTES = 65_536
ORDER_BYTES_MIN = 128
"""What is as long as this holds a command; pings and handshakes after the first second are shorter."""

TURN_SECONDS = 0.05


class Relay:
    """Listens on this machine and passes bytes on to `endpoint`. Its own thread does all of it."""

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._outward: set[socket.socket] = set()
        self._cut_behind_next = threading.Event()
        self._ended = threading.Event()
        self.cuts = 0
        """How often the line was cut."""
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def cut_behind_next_order(self) -> None:
        """Let the next command through to the venue, and cut the line before anything comes back."""
        self._cut_behind_next.set()

    def close(self) -> None:
        """Cut everything, and end."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            for key, _ in self._selector.select(TURN_SECONDS):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._pass_on(key.fileobj)
        self._cut()
        self._selector.close()
        self._listener.close()

    def _accept(self) -> None:
        inward, _ = self._listener.accept()
        try:
            outward = socket.create_connection(self._target, timeout=1)
        except OSError:  # the venue is down: so it looks from here, too
            inward.close()
            return
        for one, other in ((inward, outward), (outward, inward)):
            one.settimeout(1)
            self._pairs[one] = other
            self._selector.register(one, selectors.EVENT_READ, None)
        self._outward.add(inward)

    def _pass_on(self, source: socket.socket) -> None:
        if source not in self._pairs:
            return
        is_cut = self._cut_behind_next.is_set()
        try:
            data = source.recv(CHUNK_BYTES)
            self._pairs[source].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._drop(source)
        elif is_cut and source in self._outward and len(data) >= ORDER_BYTES_MIN:
            self._cut_behind_next.clear()
            self.cuts += 1
            self._cut()

    def _drop(self, source: socket.socket) -> None:
        """Close a connection and its other half."""
        for one in (source, self._pairs[source]):
            del self._pairs[one]
            self._outward.discard(one)
            self._selector.unregister(one)
            one.close()

    def _cut(self) -> None:
        while self._pairs:
            self._drop(next(iter(self._pairs)))
