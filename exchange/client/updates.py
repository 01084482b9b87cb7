"""The states that orders went through, as a session heard of them, for who follows them one by one."""

from __future__ import annotations

from exchange.client.answers import Order
from exchange.client.errors import UpdatesMissed

UPDATES_KEPT_MAX = 65_536
"""How many states a session keeps for who asks later. At the mark the older half is let go."""


class UpdateBook:
    """The latest states, in the order in which they were heard."""

    def __init__(self, kept_max: int = UPDATES_KEPT_MAX) -> None:
        self.entries: list[Order] = []
        self.first = 0
        """The position of `entries[0]`; positions are counted from the session's begin."""
        self.let_go = 0
        """Nothing, or not all, is kept of this sequence and before."""
        self._kept_max = kept_max

    def add(self, order: Order) -> None:
        """Keep one more state."""
        self.entries.append(order)
        if len(self.entries) > self._kept_max:
            count = self._kept_max // 2
            self.let_go = max(self.let_go, self.entries[count - 1].sequence)
            del self.entries[:count]
            self.first += count


class UpdateReader:
    """One reader's way through an update book: from `since` on, or through all that is kept."""

    def __init__(self, book: UpdateBook, since: int | None) -> None:
        self._book = book
        self._since = book.let_go + 1 if since is None else since
        self._position = book.first - (self._since <= book.let_go)

    def next(self) -> Order | None:
        """Return the next state, None if there is none yet. Raises `UpdatesMissed` if some are not kept."""
        book = self._book
        if self._position < book.first and self._since <= book.let_go:
            error = UpdatesMissed(
                f"changes of orders up to sequence {book.let_go} were not heard or are not kept",
                field="since",
                value=self._since,
                remedy=f"list the open ones by ex.orders(), then go on with updates(since={book.let_go + 1})",
            )
            error.through = book.let_go
            raise error
        self._position = max(self._position, book.first)
        while self._position < book.first + len(book.entries):
            order = book.entries[self._position - book.first]
            self._position += 1
            if order.sequence >= self._since:
                self._since = order.sequence
                return order
        return None
