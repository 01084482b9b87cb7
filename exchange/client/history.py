"""History, asked of the venue's settlement side: SQL, bars and trades."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from exchange.client.answers import unknown_name
from exchange.client.errors import BadInput, ExchangeError, ProtocolBroken
from exchange.client.link import TIMEOUT_SECONDS, Link, closed, deadline_after
from exchange.client.refusals import refusal_of
from exchange.client.requests import Asked, Said
from exchange.client.statements import (
    Moment,
    Parameter,
    Statement,
    bars_of,
    bound,
    fills_of,
    trades_of,
)
from exchange.client.tables import Table
from exchange.protocol.messages import (
    MESSAGE,
    QUERY_ANSWERS,
    Query,
    QueryResult,
    Refused,
    encode,
)


class QuerySession:
    """The conversation with the query service: questions with numbers, without a logon."""

    def __init__(self) -> None:
        self.outbox: deque[Said] = deque()
        self.fault: ExchangeError | None = None
        self._asked: dict[int, Asked[QueryResult]] = {}
        self._request = 0
        self._is_linked = False

    def linked(self) -> None:
        """Say on the new connection what awaits an answer: a question may be asked twice."""
        self._is_linked = True
        self.outbox.clear()
        self.outbox.extend(self._asked.values())

    def cut(self) -> None:
        """Say nothing until there is a connection."""
        self._is_linked = False
        self.outbox.clear()

    def ask(self, statement: Statement) -> Asked[QueryResult]:
        """Ask a query. Raises `BadInput` where a parameter cannot be carried."""
        self._request += 1
        try:
            frame = encode(Query(self._request, *statement))
        except (OverflowError, UnicodeEncodeError) as error:
            raise BadInput(
                f"the statement cannot be sent ({error})",
                field="parameters",
                value=statement.parameters,
                remedy="bind whole numbers of at most 64 bits, and text of whole characters",
            ) from error
        asked: Asked[QueryResult] = Asked(self._request, frame)
        self._asked[asked.request] = asked
        if self._is_linked:
            self.outbox.append(asked)
        return asked

    def drop(self, asked: Asked[QueryResult]) -> None:
        """Wait no longer for an answer."""
        self._asked.pop(asked.request, None)
        if asked in self.outbox:
            self.outbox.remove(asked)

    def receive(self, frame: bytes) -> None:
        """Take in one frame. Raises `ProtocolBroken` for what this version cannot read."""
        try:
            if frame[:1] != MESSAGE:
                raise ProtocolBroken(f"a message of the kind {frame[:1]!r} came")
            answer = QUERY_ANSWERS.decode(memoryview(frame)[1:])
        except msgspec.DecodeError as error:
            raise ProtocolBroken(f"a message cannot be read ({error})") from error
        asked = self._asked.pop(answer.request, None)
        if asked is not None:
            asked.answer = refusal_of(answer) if isinstance(answer, Refused) else answer
        elif isinstance(answer, Refused) and answer.request == 0:
            self.fault = refusal_of(answer)


class History:
    """What has been, asked of the venue in SQL; opened when the first question is asked."""

    def __init__(
        self,
        opened: Callable[[], Link],
        member: Callable[[], str],
        symbols: Callable[[], Mapping[str, object]],
    ) -> None:
        self._opened = opened
        self._member = member
        self._symbols = symbols
        self._session = QuerySession()
        self._link: Link | None = None
        self._is_closed = False

    def sql(self, sql: str, parameters: Sequence[Parameter] = (), timeout: float = TIMEOUT_SECONDS) -> Table:
        """Return the result of one SQL statement that reads, within `timeout` seconds.

        A `?` in the statement stands for a parameter: values are bound, never written into it.
        Raises `RequestRefused` with the venue's reason, `Timeout`, `ConnectionLost`, `BadInput`.
        """
        return self._ask(Statement(sql, bound(parameters)), timeout)

    def bars(
        self,
        symbol: str,
        interval: str = "1m",
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Table:
        """Return an instrument's bars that begin from `start` on and before `end`, oldest first.

        Prices and amounts in hao, volumes in lots, times in UTC. Raises as `sql` does.
        """
        self._check(symbol)
        return self._ask(bars_of(symbol, interval, start, end), timeout)

    def trades(
        self,
        symbol: str,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Table:
        """Return an instrument's trades from `start` on and before `end`, oldest first; as `bars`."""
        self._check(symbol)
        return self._ask(trades_of(symbol, start, end), timeout)

    def fills(self, since: int = 0, limit: int | None = None, timeout: float = TIMEOUT_SECONDS) -> Table:
        """Return one's own fills of sequence `since` and later, the newest `limit`, oldest first.

        Unlike `ex.fills` it knows those of all sessions, up to the table's `sequence`. As `bars`.
        """
        return self._ask(fills_of(self._member(), since, limit), timeout)

    def _ask(self, statement: Statement, timeout: float) -> Table:
        deadline = deadline_after(timeout)
        asked = self._session.ask(statement)
        try:
            if self._link is None:
                if self._is_closed:
                    raise closed("history")
                self._link = self._opened()
            if not self._link.wait_for(self._session, asked.is_done, deadline):
                raise self._link.silence("the query")
        finally:
            self._session.drop(asked)
        return Table(asked.result())

    def _check(self, symbol: str) -> None:
        """Raise `UnknownName` for what is not listed: its history would be empty without a word."""
        if symbol not in self._symbols():
            raise unknown_name("instrument", symbol, self._symbols())

    def close(self) -> None:
        """Close the connection, if one was opened, and open none any more."""
        self._is_closed = True
        if self._link is not None:
            self._link.close()
