"""The fills that a session has heard, and where some may have been missed."""

from __future__ import annotations

from typing import NamedTuple

from exchange.client.answers import Fill
from exchange.client.errors import FillsMissed

ENTRIES_KEPT_MAX = 65_536
"""How many fills a session keeps for who asks later. At the mark the older half is let go."""


class Gap(NamedTuple):
    """Nothing was heard, or is kept, of fills with sequences above `after` and up to `through`."""

    after: int
    through: int


class FillBook:
    """Fills as they were heard, and gaps where nobody listened; the first entry is always a gap.

    What came before the session is a gap like any other, so that nobody reads across one unaware.
    """

    def __init__(self, kept_max: int = ENTRIES_KEPT_MAX) -> None:
        self.entries: list[Fill | Gap] = []
        self.first = 0
        """The position of `entries[0]`; positions are counted from the session's begin."""
        self._kept_max = kept_max

    def add(self, entry: Fill | Gap) -> None:
        """Keep one more entry."""
        self.entries.append(entry)
        if len(self.entries) > self._kept_max:
            self._let_go(self._kept_max // 2)

    def _let_go(self, count: int) -> None:
        """Put one gap in the place of the oldest entries."""
        last = self.entries[count - 1]
        # Fills of one command share its sequence: whoever asks for the last one's may miss some.
        through = last.through if isinstance(last, Gap) else last.sequence + 1
        self.entries[:count] = [Gap(0, through)]
        self.first += count - 1


class FillReader:
    """One reader's way through a fill book: from `since` on, or through all that was heard."""

    def __init__(self, book: FillBook, since: int | None) -> None:
        self._book = book
        self._since = since or 0
        # Who asks for all that was heard knows that there was a time before; unless some was let go.
        self._position = 1 if since is None else 0

    def next(self) -> Fill | None:
        """Return the next fill that was heard, None if there is none yet.

        Raises `FillsMissed` at a gap that may hold fills of `since` and later.
        """
        book = self._book
        self._position = max(self._position, book.first)
        while self._position < book.first + len(book.entries):
            entry = book.entries[self._position - book.first]
            if isinstance(entry, Gap):
                if entry.through > self._since:
                    raise _missed(entry)
            elif entry.sequence >= self._since:
                self._position += 1
                return entry
            self._position += 1
        return None


def _missed(gap: Gap) -> FillsMissed:
    error = FillsMissed(
        f"fills after sequence {gap.after} and up to {gap.through} were not heard or are not kept",
        field="since",
        value=gap.after,
        remedy=f"read ex.history.fills(since={gap.after + 1}), then go on with fills(since={gap.through})",
    )
    error.after, error.through = gap.after, gap.through
    return error
