"""The fills that a session has heard, and where some may have been missed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from exchange.client.answers import Fill
from exchange.client.errors import FillsMissed

ENTRIES_KEPT_MAX = 65_536
"""How many fills a session keeps for who asks later. At the mark the older half is let go."""


class Gap(NamedTuple):
    """Nothing was heard, or is kept, of some fills with sequences above `after` and up to `through`."""

    after: int
    through: int


class FillBook:
    """Fills as they were heard, each once, and gaps where nobody listened; the first entry is always a gap.

    What came before the session is a gap like any other, so that nobody reads across one unaware.
    """

    def __init__(self, kept_max: int = ENTRIES_KEPT_MAX) -> None:
        self.entries: list[Fill | Gap] = []
        self.first = 0
        """The position of `entries[0]`; positions are counted from the session's begin."""
        self.began = 0
        """The sequence behind which the session began to listen."""
        self._kept_max = kept_max
        self._heard = Heard(0)

    def add(self, entry: Fill | Gap) -> None:
        """Keep one more entry; a fill that was heard already is told once only."""
        if isinstance(entry, Fill):
            if not self._heard.is_new(entry):
                return
        elif not self.entries:
            self.began = entry.through
        self.entries.append(entry)
        if len(self.entries) > self._kept_max:
            self._let_go(self._kept_max // 2)

    def _let_go(self, count: int) -> None:
        """Put one gap in the place of the oldest entries."""
        last = self.entries[count - 1]
        through = last.through if isinstance(last, Gap) else last.sequence
        self.entries[:count] = [Gap(0, through)]
        self.first += count - 1


class Heard:
    """How far one has come in a row of fills: fills share their command's sequence, but come in its order."""

    __slots__ = ("_keys", "sequence")

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self._keys: set[tuple[int, int]] = set()

    def is_new(self, fill: Fill) -> bool:
        """Tell whether a fill is one more, and if so go on behind it."""
        if fill.sequence < self.sequence:
            return False
        key = (fill.trade, fill.order)  # a trade between two orders of one member is two fills
        if fill.sequence > self.sequence:
            self.sequence = fill.sequence
            self._keys.clear()
        elif key in self._keys:
            return False
        self._keys.add(key)
        return True


class FillReader:
    """One reader's way through a fill book: from `since` on, or through all that was heard.

    At a gap it stops. Whoever has the fills that lie in the gap hands them over by `bridge`; then it goes
    on, and tells each fill once.
    """

    def __init__(self, book: FillBook, since: int | None) -> None:
        self._book = book
        self._told = Heard(book.began + 1 if since is None else since)
        self._bridging: deque[Fill] = deque()
        self._position = 0

    @property
    def since(self) -> int:
        """From which sequence on it has not told all."""
        return self._told.sequence

    def next(self) -> Fill | None:
        """Return the next fill, None if there is none yet.

        Raises `FillsMissed` at a gap that may hold fills of `since` and later.
        """
        while self._bridging:
            fill = self._bridging.popleft()
            if self._told.is_new(fill):
                return fill
        book = self._book
        self._position = max(self._position, book.first)
        while self._position < book.first + len(book.entries):
            entry = book.entries[self._position - book.first]
            if isinstance(entry, Gap) and entry.through >= self.since:
                raise _missed(Gap(max(entry.after, self.since - 1), entry.through))
            self._position += 1
            if isinstance(entry, Fill) and self._told.is_new(entry):
                return entry
        return None

    def bridge(self, fills: Iterable[Fill], through: int) -> None:
        """Go on behind the gap with the fills of it up to `through`, or with the first of them.

        `through` is how far they are known to be all. The gap stands until that is its end.
        """
        self._bridging.extend(fills)
        self._position = max(self._position, self._book.first)
        entry = self._book.entries[self._position - self._book.first]
        if isinstance(entry, Gap) and entry.through <= through:
            self._position += 1


def _missed(gap: Gap) -> FillsMissed:
    read, go_on = f"ex.history.fills(since={gap.after + 1})", f"fills(since={gap.through + 1})"
    error = FillsMissed(
        f"fills after sequence {gap.after} and up to {gap.through} were not heard or are not kept",
        field="since",
        value=gap.after,
        remedy=f"read {read}, then go on with {go_on}",
    )
    error.after, error.through = gap.after, gap.through
    return error
