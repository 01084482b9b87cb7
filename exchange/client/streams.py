"""What comes one by one: fills, and the states of orders as they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from exchange.client.answers import Fill, Order
from exchange.client.desk import Desk
from exchange.client.errors import ExchangeError, FillsMissed, UpdatesMissed
from exchange.client.fillbook import FillReader
from exchange.client.flows import TIMEOUT_SECONDS, Flow, Wait, deadline_after
from exchange.client.queries import fills_within
from exchange.client.updates import UpdateReader

T = TypeVar("T")


class Stream(Generic[T]):
    """A row of what is heard, read one by one; each `next` is a flow, and None is its end.

    It ends after `timeout` seconds without one more, or after `limit` of them. `read` returns what has been
    heard already, None if there is nothing.
    """

    def __init__(
        self, desk: Desk, what: str, read: Callable[[], T | None], timeout: float, limit: int | None
    ) -> None:
        self._desk = desk
        self._what = what
        self._read = read
        self._timeout = timeout
        self._left = limit
        self._found: T | None = None

    def next(self) -> Flow[T | None]:
        """Wait for one more. Raises `ConnectionLost` if there is no connection when the time is up."""
        if self._left == 0:
            return None
        deadline = deadline_after(self._timeout)
        while True:
            try:
                self._look()
                if self._found is None:
                    yield Wait(self._desk.line, self._has_more, deadline)
                    self._look()
            except FillsMissed as gap:
                yield from self._bridge(gap)
                continue
            found, self._found = self._found, None
            if found is None and not self._desk.session.ready:
                raise self._desk.line.silence(f"the call for {self._what}")
            if found is not None and self._left is not None:
                self._left -= 1
            return found

    def close(self) -> None:
        """End it. What is heard meanwhile is kept for another."""
        self._left = 0

    def _look(self) -> None:
        """Take hold of the next one; whoever gives up waiting meanwhile has not lost it."""
        if self._found is None:
            self._found = self._read()

    def _has_more(self) -> bool:
        try:
            self._look()
        except (FillsMissed, UpdatesMissed):
            return True  # whoever looks next will see
        return self._found is not None

    def _bridge(self, gap: FillsMissed) -> Flow[None]:
        """Have what was missed told by history; by default it is not."""
        raise gap
        yield  # a flow, like those that ask


class FillStream(Stream[Fill]):
    """Fills, read across gaps: what was missed comes from history."""

    def __init__(self, desk: Desk, since: int | None, timeout: float, limit: int | None) -> None:
        self._reader = FillReader(desk.session.blotter.fills, since)
        super().__init__(desk, "fills", self._reader.next, timeout, limit)

    def _bridge(self, gap: FillsMissed) -> Flow[None]:
        """Read the fills of a gap from history. Raises `FillsMissed` where that cannot be."""
        patience = max(self._timeout, TIMEOUT_SECONDS)
        try:
            found = yield from fills_within(self._desk.queries, gap.after + 1, gap.through, patience)
        except ExchangeError as error:
            raise gap from error
        self._reader.bridge(found, gap.through)


def fills(
    desk: Desk,
    since: int | None = None,
    timeout: float = TIMEOUT_SECONDS,
    limit: int | None = None,
) -> Stream[Fill]:
    """Iterate over fills of sequence `since` and later, those heard already and those to come, each once.

    It ends after `timeout` seconds without a fill, or after `limit` fills. Without `since` it
    begins with the first that this session heard. What was before the session, or while its connection was
    broken for longer than the venue keeps reports, is read from history. Raises `FillsMissed` where that
    cannot be: its cause says why; `ConnectionLost` if there is no connection when the time is up.
    """
    deadline_after(timeout)
    return FillStream(desk, since, timeout, limit)


def updates(
    desk: Desk,
    since: int | None = None,
    timeout: float = TIMEOUT_SECONDS,
    limit: int | None = None,
) -> Stream[Order]:
    """Iterate over the states of one's orders as they change, whichever session placed them.

    Each change is one `Order`: those heard already with sequences of `since` and later, and those to come;
    without `since` all that this session still keeps. It ends as `fills` does. After a break that was too
    long, an order goes to its state by then in one step. Raises `UpdatesMissed` for what was before the
    session, or is not kept any more, and `ConnectionLost` as `fills` does.
    """
    deadline_after(timeout)
    reader = UpdateReader(desk.session.blotter.updates, since)
    return Stream(desk, "updates", reader.next, timeout, limit)
