"""What an iterator yields, worked out ahead in a thread of its own.

A replay reads frames, whose digests OpenSSL works out, and applies them in kernels; both let go of the
interpreter meanwhile. So on two cores a replay costs the longer of the two, not their sum.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import NamedTuple, TypeVar

T = TypeVar("T")

AHEAD = 8
"""How many items may lie ready: of lots of 4,096 commands 4 MiB."""


class _Ended(NamedTuple):
    """The iterator has come to its end, or has raised."""

    error: BaseException | None


def read_ahead(items: Iterable[T], ahead: int = AHEAD) -> Generator[T]:
    """Yield what `items` yield, in their order; what they raise is raised at its place.

    Their iterator runs in another thread, at most `ahead` items further. When the caller stops early, so
    does it.
    """
    ready: queue.Queue[T | _Ended] = queue.Queue(ahead)
    is_wanted = threading.Event()
    is_wanted.set()

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                ready.put(item)
                if not is_wanted.is_set():
                    return
        except BaseException as raised:
            error = raised
        ready.put(_Ended(error))

    worker = threading.Thread(target=work, name="read ahead", daemon=True)
    worker.start()
    try:
        while not isinstance(item := ready.get(), _Ended):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        is_wanted.clear()
        while worker.is_alive():
            try:
                ready.get(timeout=0.01)
            except queue.Empty:
                continue
        worker.join()
