"""The synchronous client's line to the feed: read for as long as a call waits, and not in between."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from exchange.client.feed_wire import TURN_SECONDS, FeedWire


class FeedLink(FeedWire):
    """A feed wire that waits by polling."""

    def wait_for(self, done: Callable[[], bool], deadline: float) -> bool:
        """Hear all that has come, and go on until `done`. Returns whether it was before `deadline`."""
        while True:
            self.hear_all()
            if done():
                return True
            left = deadline - monotonic()
            if left <= 0:
                return False
            self.hear(min(left, TURN_SECONDS))
