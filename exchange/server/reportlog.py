"""The latest reports of all members, kept for who was away: a ring in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from exchange.protocol.arrays import REPORT

REPORTS_PER_MESSAGE = 65_536
"""How many reports that were missed stand in one message, more or less: 9 MiB. A client takes 64 MiB at the
most, and many more may be kept."""


class ReportLog:
    """The last `kept` reports, oldest overwritten first; above the sequence `floor` none is missing."""

    def __init__(self, kept: int, floor: int = 0) -> None:
        self.floor = floor
        self._reports = np.zeros(kept, REPORT)
        self._members = np.zeros(kept, np.int32)
        self._count = 0

    def keep(self, members: np.ndarray, reports: np.ndarray) -> None:
        """Keep reports (dtype `REPORT`), one a member's number, in the order in which they arose."""
        size = len(self._reports)
        if not len(reports):
            return
        if not size:  # nothing is to be kept
            self.floor = int(reports["sequence"][-1])
            return
        if len(reports) > size:
            self.floor = int(reports["sequence"][-size - 1])
            members, reports = members[-size:], reports[-size:]
        used = min(self._count, size)
        over = used + len(reports) - size
        if over > 0:  # of the sequence of the last that is overwritten, others may go with it
            last = self._count - used + over - 1
            self.floor = max(self.floor, int(self._reports["sequence"][last % size]))
        at = self._count % size
        first = min(len(reports), size - at)
        for ring, new in ((self._reports, reports), (self._members, members)):
            ring[at : at + first] = new[:first]
            ring[: len(new) - first] = new[first:]
        self._count += len(reports)

    def since(self, member: int, sequence: int) -> np.ndarray:
        """Return a member's reports of later sequences than this one, in order, as far as they are kept."""
        size = len(self._reports)
        used = min(self._count, size)
        begin = self._count % size if self._count > size else 0
        places = np.flatnonzero(self._members[:used] == member)
        mine = np.concatenate([places[places >= begin], places[places < begin]])
        missed: np.ndarray = self._reports[mine[self._reports["sequence"][mine] > sequence]]
        return missed


def in_messages(reports: np.ndarray, most: int = REPORTS_PER_MESSAGE) -> Iterator[np.ndarray]:
    """Yield reports in their order, at most so many at a time; those of one command stay together."""
    sequences = reports["sequence"]
    begin = 0
    while begin < len(reports):
        end = min(begin + most, len(reports))
        if end < len(reports):
            end = int(np.searchsorted(sequences, sequences[end]))
        if end <= begin:  # one command has caused more
            end = int(np.searchsorted(sequences, sequences[begin], side="right"))
        yield reports[begin:end]
        begin = end
