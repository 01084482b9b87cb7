"""Waiting, in a test, for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE_SECONDS = 90.0
LOOK_SECONDS = 0.01
"""Who looks without a pause takes the core from those that are waited for."""


def until(condition: Callable[[], Found], meanwhile: Callable[[], object] = lambda: None) -> Found:
    """Return what `condition` finds, as soon as it finds something; do `meanwhile` before each look."""
    end, pause = time.monotonic() + PATIENCE_SECONDS, Event()
    while True:
        meanwhile()
        if found := condition():
            return found
        assert time.monotonic() < end, "it did not come about in time"
        pause.wait(LOOK_SECONDS)
