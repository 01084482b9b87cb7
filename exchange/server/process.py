"""What every process of the venue does alike: begin, say that it is ready, end when told or orphaned."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

import msgspec

from exchange.config import Endpoints


class Stop:
    """Set by SIGTERM or SIGINT, or when the supervisor that began the process is gone."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._parent = os.getppid()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._event.set())

    def is_set(self) -> bool:
        """Tell whether the process should end."""
        return self._event.is_set() or os.getppid() != self._parent


def report_ready(endpoints: Endpoints, **facts: object) -> None:
    """Tell the supervisor, in one line of JSON, where the process listens."""
    line = {"endpoints": msgspec.to_builtins(endpoints), **facts}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
