"""History, asked of the venue's settlement side: SQL, bars, trades and fills."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

import msgspec

from exchange.client.answers import Fill, unknown_name
from exchange.client.errors import BadInput, ExchangeError, ProtocolBroken
from exchange.client.flows import TIMEOUT_SECONDS, Flow, Line, Wait, closed, deadline_after, never
from exchange.client.refusals import refusal_of
from exchange.client.requests import Asked, Said
from exchange.client.statements import (
    Moment,
    Parameter,
    Statement,
    bars_of,
    bound,
    fills_of,
    own_fills_of,
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
from matching.vocabulary import Side

FILLS_A_QUERY_MAX = 65_536
"""How many fills are read at a time where a gap is bridged: 10 MB or so of rows."""

WATERMARK_WAIT_SECONDS = 0.05
"""How long to wait before asking again a store that has not come as far as is wanted."""


class QuerySession:
    """The conversation with the query service: questions with numbers, without a logon."""

    def __init__(self) -> None:
        self.outbox: deque[Said] = deque()
        self.fault: ExchangeError | None = None
        self.ended: ExchangeError | None = None
        self.wants_new_link = False
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


class Queries:
    """What history is asked with; its line is opened when the first question is asked."""

    def __init__(
        self,
        opened: Callable[[QuerySession], Line],
        member: Callable[[], str],
        symbols: Callable[[], Mapping[str, object]],
    ) -> None:
        self.member = member
        self.session = QuerySession()
        self._opened = opened
        self._symbols = symbols
        self._line: Line | None = None
        self._is_closed = False

    def line(self) -> Line:
        """Return the line to the query service. Raises `ProfileError` where the profile names none."""
        if self._is_closed:
            raise closed("history")
        if self._line is None:
            self._line = self._opened(self.session)
        return self._line

    def check(self, symbol: str) -> None:
        """Raise `UnknownName` for what is not listed: its history would be empty without a word."""
        if symbol not in self._symbols():
            raise unknown_name("instrument", symbol, self._symbols())

    def close(self) -> None:
        """Close the connection, if one was opened, and open none any more."""
        self._is_closed = True
        if self._line is not None:
            self._line.close()


def ask(queries: Queries, statement: Statement, timeout: float) -> Flow[Table]:
    """Ask one query, and wait for its table."""
    deadline = deadline_after(timeout)
    asked = queries.session.ask(statement)
    try:
        line = queries.line()
        if not (yield Wait(line, asked.is_done, deadline)):
            raise line.silence("the query")
    finally:
        queries.session.drop(asked)
    return Table(asked.result())


def sql(
    queries: Queries, sql: str, parameters: Sequence[Parameter] = (), timeout: float = TIMEOUT_SECONDS
) -> Flow[Table]:
    """Return the result of one SQL statement that reads, within `timeout` seconds.

    A `?` in the statement stands for a parameter: values are bound, never written into it.
    Raises `RequestRefused` with the venue's reason, `Timeout`, `ConnectionLost`, `BadInput`.
    """
    return (yield from ask(queries, Statement(sql, bound(parameters)), timeout))


def bars(
    queries: Queries,
    symbol: str,
    interval: str = "1m",
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> Flow[Table]:
    """Return an instrument's bars that begin from `start` on and before `end`, oldest first.

    Prices and amounts in hao, volumes in lots, times in UTC. Raises as `sql` does.
    """
    queries.check(symbol)
    return (yield from ask(queries, bars_of(symbol, interval, start, end), timeout))


def trades(
    queries: Queries,
    symbol: str,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> Flow[Table]:
    """Return an instrument's trades from `start` on and before `end`, oldest first; as `bars`."""
    queries.check(symbol)
    return (yield from ask(queries, trades_of(symbol, start, end), timeout))


def fills(
    queries: Queries, since: int = 0, limit: int | None = None, timeout: float = TIMEOUT_SECONDS
) -> Flow[Table]:
    """Return one's own fills of sequence `since` and later, the newest `limit`, oldest first.

    Unlike `ex.fills` it does not wait for those to come: it knows those up to the table's `sequence`. As
    `bars`.
    """
    return (yield from ask(queries, fills_of(queries.member(), since, limit), timeout))


def fills_within(queries: Queries, since: int, through: int, timeout: float) -> Flow[list[Fill]]:
    """Return one's own fills of sequences from `since` up to `through`, once the store has them.

    Times are to the microsecond. Raises as `sql` does, `MissingLibrary` where pyarrow is not installed, and
    `Timeout` where the store has not come as far in `timeout` seconds.
    """
    deadline = deadline_after(timeout)
    found: list[Fill] = []
    after = 0
    while True:
        statement = own_fills_of(queries.member(), since, through, after, FILLS_A_QUERY_MAX)
        table = yield from ask(queries, statement, timeout)
        if table.sequence < through:
            if monotonic() >= deadline:
                raise queries.line().silence(f"up to sequence {through}")
            yield Wait(queries.line(), never, min(deadline, monotonic() + WATERMARK_WAIT_SECONDS))
            continue
        rows = table.rows()
        found += [_fill_of(row) for row in rows]
        if len(rows) < FILLS_A_QUERY_MAX:
            return found
        after = rows[-1]["execution"]


def _fill_of(row: dict[str, Any]) -> Fill:
    return Fill(
        row["order"],
        row["client_id"] or "",
        row["instrument"],
        Side[row["side"].upper()],
        row["trade"],
        row["price"],
        row["quantity"],
        row["subsidy"],
        row["fee"],
        row["maker"],
        row["sequence"],
        row["time_us"] * 1_000,
    )
