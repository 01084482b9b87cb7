"""Stops a query that takes too long, takes too much, or is not wanted any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Thread
from time import monotonic

_AGAIN_S = 0.05
"""How often it looks at the process's memory, and how often it interrupts what has not stopped yet."""

_PAGE_BYTES = 4096
_RESIDENT = Path("/proc/self/statm")


class Alarm:
    """Interrupts a cursor once its time is over, or once it is told to, again and again until it stops.

    Once is not enough: an interrupt that falls between two statements is forgotten.
    """

    def __init__(self, interrupt: Callable[[], None], memory_growth: int) -> None:
        """Take what interrupts, and by how many bytes the process may grow meanwhile."""
        self.why = ""
        """Why it rang: timeout, memory, or what `ring` was told."""
        self._interrupt = interrupt
        self._memory_growth = memory_growth
        self._changed = Condition()
        self._is_over = False

    def ring(self, why: str) -> None:
        """Stop what runs, or what is about to; may be called in any thread."""
        with self._changed:
            self.why = self.why or why
            self._changed.notify_all()

    @contextmanager
    def watching(self, seconds: float) -> Iterator[None]:
        """Let the block work for so long."""
        self._is_over = False
        deadline, memory = monotonic() + seconds, resident_bytes() + self._memory_growth
        watcher = Thread(target=self._watch, args=(deadline, memory), name="query alarm", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()
            watcher.join()

    def _watch(self, deadline: float, memory: int) -> None:
        with self._changed:
            while not self._is_over:
                if not self.why and monotonic() >= deadline:
                    self.why = "timeout"
                elif not self.why and resident_bytes() > memory:
                    self.why = "memory"
                if self.why:
                    self._interrupt()
                left = _AGAIN_S if self.why else min(_AGAIN_S, deadline - monotonic())
                self._changed.wait(max(0.001, left))


def resident_bytes() -> int:
    """Return how much memory the process has taken; 0 where the system does not tell."""
    try:
        return int(_RESIDENT.read_text("ascii").split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
