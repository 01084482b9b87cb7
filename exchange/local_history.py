"""The settlement of a venue in this process: a store in memory, brought up to date when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from exchange.engine import Engine
from exchange.protocol.messages import QueryAnswer
from exchange.protocol.query_messages import Query, QueryChunk
from exchange.server.follower import Commit, Follower
from exchange.server.journal import Frame, Journal, Position
from exchange.server.memory_journal import MemoryJournal
from exchange.server.reading import BEGINNING
from exchange.server.snapshots import Begun

if TYPE_CHECKING:
    from exchange.server.settler import Settler
    from settlement.queries import QueryService


class MemoryFollower(Follower):
    """Reads the frames that a journal in memory has kept."""

    def __init__(self, journal: MemoryJournal) -> None:
        super().__init__(Path(), Begun(Engine(), BEGINNING))
        self._kept = journal.kept

    def ahead(self, until: Position | None = None) -> Iterator[Frame]:
        """Yield the frames that come next; all of them are committed."""
        yield from self._kept[self.frames :]


class LocalHistory:
    """Answers what members ask of history. DuckDB is loaded with the first question."""

    def __init__(self) -> None:
        self._settler: Settler | None = None
        self._service: QueryService | None = None

    def answers(
        self, query: Query, viewer: str | None, journal: Journal | MemoryJournal
    ) -> Iterator[QueryAnswer]:
        """Yield the answer to a query, or all chunks of it, as of the journal's end."""
        from exchange.server.query_desk import step
        from exchange.server.settler import Settler
        from settlement.queries import QueryService
        from settlement.store import Store

        if self._settler is None or self._service is None:
            if isinstance(journal, MemoryJournal):
                follower: Follower = MemoryFollower(journal)
            else:
                follower = Follower(journal.folder)
            self._settler = Settler(follower, Store.open(None))
            self._service = QueryService(self._settler.store)
        self._settler.settle(Commit(journal.sequence, journal.position))
        self._settler.flush()
        question = self._service.question(query.sql, query.parameters, viewer)
        try:
            while True:
                answer = step(query, question)
                yield answer
                if not isinstance(answer, QueryChunk) or answer.is_last:
                    return
        finally:
            question.close()
