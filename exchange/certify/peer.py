"""A connection in the tester's own hands: each frame is said and heard as it is, nothing is said again."""

from __future__ import annotations

from collections import deque
from time import monotonic, time_ns
from types import TracebackType
from typing import Self, TypeVar

import zmq

from exchange.certify.failed import Failed
from exchange.profiles import Profile
from exchange.protocol.messages import (
    ANSWERS,
    COMMANDS,
    MESSAGE,
    REPORTS,
    Answer,
    Logon,
    Request,
    Welcome,
    encode,
)
from exchange.protocol.records import COMMAND_STRUCT, REPORT_STRUCT, Command, Report
from matching.vocabulary import CommandKind, Side

PATIENCE_SECONDS = 10.0
"""How long an answer is waited for before a case is given up."""

HANDSHAKE_MS = 5_000

MessageT = TypeVar("MessageT", bound=Answer)


class Peer:
    """One socket under CURVE, never connected anew. What is heard is sorted into reports and messages."""

    def __init__(self, profile: Profile, endpoint: str = "") -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        for option, key in (
            (zmq.CURVE_SERVERKEY, profile.server_key),
            (zmq.CURVE_PUBLICKEY, profile.public_key),
            (zmq.CURVE_SECRETKEY, profile.secret_key),
        ):
            self._socket.setsockopt(option, key.encode("ascii"))
        self._socket.connect(endpoint or profile.endpoints.orders)
        self.reports: deque[Report] = deque()
        self.messages: deque[Answer] = deque()
        self._request = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cut()

    def cut(self) -> None:
        """Drop the connection without a word."""
        self._socket.close()
        self._context.term()

    # --- saying --------------------------------------------------------------------------------

    def next_request(self) -> int:
        """Return a number for the next question."""
        self._request += 1
        return self._request

    def send(self, frame: bytes) -> None:
        """Send one frame as it is."""
        self._socket.send(frame)

    def say(self, request: Request) -> None:
        """Send one question."""
        self.send(encode(request))

    def command(self, *rows: Command) -> None:
        """Send commands as one message."""
        self.send(COMMANDS + b"".join(COMMAND_STRUCT.pack(*row) for row in rows))

    # --- hearing -------------------------------------------------------------------------------

    def take(self, patience: float) -> bool:
        """Wait for one message and sort it; False if none came in time."""
        if not self._socket.poll(int(patience * 1_000)):
            return False
        frame = self._socket.recv()
        if frame[:1] == REPORTS:
            self.reports.extend(Report._make(row) for row in REPORT_STRUCT.iter_unpack(frame[1:]))
        elif frame[:1] == MESSAGE:
            self.messages.append(ANSWERS.decode(frame[1:]))
        else:
            message = f"a message of the kind {frame[:1]!r} came"
            raise Failed(message)
        return True

    def hear(self, kind: type[MessageT], request: int | None = None) -> MessageT:
        """Return the next message of a kind, the answer to `request` if it is given. Raises `Failed`."""
        end = monotonic() + PATIENCE_SECONDS
        while True:
            for message in self.messages:
                if isinstance(message, kind) and request in (None, getattr(message, "request", None)):
                    self.messages.remove(message)
                    return message
            self._wait(end, kind.__name__)

    def report(self, client_id: bytes = b"", kind: int | None = None) -> Report:
        """Return the next report, of this client id and kind if they are given. Raises `Failed`."""
        end = monotonic() + PATIENCE_SECONDS
        wanted = client_id.ljust(24, b"\0") if client_id else None
        while True:
            for report in self.reports:
                if wanted in (None, report.client_id) and kind in (None, report.kind):
                    self.reports.remove(report)
                    return report
            self._wait(end, f"report of {client_id!r}" if client_id else "report")

    def _wait(self, end: float, what: str) -> None:
        if not self.take(max(0.0, end - monotonic())) and monotonic() >= end:
            heard = [*self.messages][-3:]
            message = f"no {what} came in {PATIENCE_SECONDS:.0f} s; last heard: {heard}"
            raise Failed(message)

    def hear_for(self, seconds: float) -> None:
        """Take in whatever comes in so long."""
        end = monotonic() + seconds
        while (left := end - monotonic()) > 0:
            self.take(left)

    # --- what a firm says most -------------------------------------------------------------------

    def log_on(self, since: int | None = None, *, cancel_on_disconnect: bool = False) -> Welcome:
        """Log on, and return the welcome. Raises `Failed` if none comes."""
        number = self.next_request()
        self.say(Logon(number, since=since, cancel_on_disconnect=cancel_on_disconnect))
        return self.hear(Welcome, number)


def buy(client_id: bytes, instrument: int, price: int, lots: int = 1, sent_at: int = 0) -> Command:
    """Return a buy at a limit. `price` in hao; `sent_at` in ns since 1970, now if it is 0."""
    return Command(
        kind=CommandKind.NEW,
        side=Side.BUY,
        instrument=instrument,
        client_id=client_id,
        price=price,
        quantity=lots,
        sent_at=sent_at or time_ns(),
    )
