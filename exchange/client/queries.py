"""The conversation with the venue's settlement side, and what the client itself asks of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, NamedTuple

from exchange.client.answers import Fill, unknown_name
from exchange.client.chunks import Chunked
from exchange.client.errors import BadInput, ExchangeError, ProtocolBroken, RequestRefused
from exchange.client.flows import Flow, QueryLine, Wait, closed, deadline_after, never
from exchange.client.marketviews import Bar, Trade
from exchange.client.refusals import refusal_of
from exchange.client.requests import Asked, Said
from exchange.client.statements import (
    ROWS_MAX,
    Moment,
    Statement,
    bars_told,
    own_fills_of,
    trades_told,
)
from exchange.client.tables import Table
from exchange.protocol.acts import Act
from exchange.protocol.messages import MESSAGE, QUERY_ANSWERS, UNREADABLE, Refused, encode
from exchange.protocol.query_messages import (
    CancelQuery,
    NextChunk,
    Query,
    QueryChunk,
    QueryResult,
    Rehearse,
    Rehearsed,
)
from matching.vocabulary import Side

ROWS_A_QUERY_MAX = 65_536
"""How many fills or trades are read at a time where a gap is bridged: 10 MB or so of rows."""

WATERMARK_WAIT_SECONDS = 0.05
"""How long to wait before asking again a store that has not come as far as is wanted."""


class Span(NamedTuple):
    """Trades numbered above `last`, of sequences above `after` and up to `through`."""

    last: int
    after: int
    through: int


class QuerySession:
    """The conversation with the query service: questions with numbers, without a logon."""

    def __init__(self) -> None:
        self.outbox: deque[Said] = deque()
        self.fault: ExchangeError | None = None
        self.ended: ExchangeError | None = None
        self.wants_new_link = False
        self._asked: dict[int, Asked[Any]] = {}
        self._request = 0
        self._is_linked = False

    def linked(self) -> None:
        """Say on the new connection what awaits an answer: a question may be asked twice."""
        self._is_linked = True
        self.outbox.clear()
        for asked in tuple(self._asked.values()):
            if isinstance(asked, Chunked) and asked.cut():
                del self._asked[asked.request]
        self.outbox.extend(self._asked.values())

    def cut(self) -> None:
        """Say nothing until there is a connection."""
        self._is_linked = False
        self.outbox.clear()

    def ask(self, statement: Statement) -> Asked[QueryResult]:
        """Ask a query. Raises `BadInput` where a parameter cannot be carried."""
        asked: Asked[QueryResult] = Asked(*self._written(statement, 0))
        self._say(asked)
        return asked

    def ask_in_chunks(self, statement: Statement, chunk_rows: int) -> Chunked:
        """Ask a query whose answer is to come in chunks of at most so many rows. Raises as `ask`."""
        asked = Chunked(*self._written(statement, chunk_rows))
        self._say(asked)
        return asked

    def want_more(self, asked: Chunked) -> None:
        """Say that a chunk was read."""
        if self._is_linked:
            self.outbox.append(Said(encode(NextChunk(asked.request))))

    def _written(self, statement: Statement, chunk_rows: int) -> tuple[int, bytes]:
        """Return the next question's number, and its frame."""
        self._request += 1
        try:
            return self._request, encode(Query(self._request, *statement, chunk_rows))
        except (OverflowError, UnicodeEncodeError) as error:
            raise BadInput(
                f"the statement cannot be sent ({error})",
                field="parameters",
                value=statement.parameters,
                remedy="bind whole numbers of at most 64 bits, and text of whole characters",
            ) from error

    def _say(self, asked: Asked[Any]) -> None:
        self._asked[asked.request] = asked
        if self._is_linked:
            self.outbox.append(asked)

    def rehearse(self, acts: tuple[Act, ...], why: str) -> Asked[Rehearsed]:
        """Ask what acts would bring about. Raises `BadInput` where a number of them cannot be carried."""
        self._request += 1
        try:
            frame = encode(Rehearse(self._request, acts, why))
        except (OverflowError, UnicodeEncodeError) as error:
            raise BadInput(
                f"the acts cannot be sent ({error})",
                field="acts",
                value=acts,
                remedy="give whole numbers of at most 64 bits, and text of whole characters",
            ) from error
        asked: Asked[Rehearsed] = Asked(self._request, frame)
        self._say(asked)
        return asked

    def drop(self, asked: Asked[Any]) -> bool:
        """Wait no longer for an answer. Returns whether the venue is to be told, by a word that is said."""
        is_open = self._asked.pop(asked.request, None) is not None
        if asked in self.outbox:
            self.outbox.remove(asked)
        elif is_open and asked.handed and self._is_linked:
            self.outbox.append(Said(encode(CancelQuery(asked.request))))
            return True
        return False

    def drop_all(self) -> bool:
        """Wait for nothing any more; as `drop`."""
        told = [self.drop(asked) for asked in tuple(self._asked.values())]
        return any(told)

    def receive(self, frame: bytes) -> None:
        """Take in one frame. Raises `ProtocolBroken` for what this version cannot read."""
        try:
            if frame[:1] != MESSAGE:
                raise ProtocolBroken(f"a message of the kind {frame[:1]!r} came")
            answer = QUERY_ANSWERS.decode(memoryview(frame)[1:])
        except UNREADABLE as error:
            raise ProtocolBroken(f"a message cannot be read ({error})") from error
        asked = self._asked.get(answer.request)
        if asked is not None:
            heard = refusal_of(answer) if isinstance(answer, Refused) else answer
            if isinstance(asked, Chunked) and isinstance(heard, QueryChunk | RequestRefused):
                if not asked.hear(heard):
                    return
            elif isinstance(asked, Chunked) or isinstance(heard, QueryChunk):
                raise ProtocolBroken(f"{type(heard).__name__} came to what asked for something else")
            else:
                asked.answer = heard
            del self._asked[answer.request]
        elif isinstance(answer, Refused) and answer.request == 0:
            self.fault = refusal_of(answer)


class Queries:
    """What history is asked with; its line is opened when the first question is asked."""

    def __init__(
        self,
        opened: Callable[[QuerySession], QueryLine],
        member: Callable[[], str],
        symbols: Callable[[], Mapping[str, object]],
    ) -> None:
        self.member = member
        self.session = QuerySession()
        self._opened = opened
        self._symbols = symbols
        self._line: QueryLine | None = None
        self._is_closed = False

    def line(self) -> QueryLine:
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
            if self.session.drop_all():
                self._line.nudge()
            self._line.close()

    def drop(self, asked: Asked[Any]) -> None:
        """Wait no longer for an answer; a query that is at work is taken back."""
        if self.session.drop(asked) and self._line is not None:
            self._line.nudge()


def ask(queries: Queries, statement: Statement, timeout: float) -> Flow[Table]:
    """Ask one query, and wait for its table."""
    deadline = deadline_after(timeout)
    asked = queries.session.ask(statement)
    try:
        line = queries.line()
        if not (yield Wait(line, asked.is_done, deadline)):
            raise line.silence("the query")
    finally:
        queries.drop(asked)
    return Table(asked.result())


def fills_within(queries: Queries, since: int, through: int, timeout: float) -> Flow[list[Fill]]:
    """Return one's own fills of sequences from `since` up to `through`, once the store has them.

    Times are to the microsecond. Raises as `sql` does, `MissingLibrary` where pyarrow is not installed, and
    `Timeout` where the store has not come as far in `timeout` seconds.
    """
    found: list[Fill] = []
    after = 0
    while True:
        statement = own_fills_of(queries.member(), since, through, after, ROWS_A_QUERY_MAX)
        rows = (yield from ask_as_of(queries, statement, through, timeout)).rows()
        found += [_fill_of(row) for row in rows]
        if len(rows) < ROWS_A_QUERY_MAX:
            return found
        after = rows[-1]["execution"]


def ask_as_of(queries: Queries, statement: Statement, through: int, timeout: float) -> Flow[Table]:
    """Ask one query, once the store has come to the sequence `through`. Raises as `ask`."""
    deadline = deadline_after(timeout)
    while True:
        table = yield from ask(queries, statement, timeout)
        if table.sequence >= through:
            return table
        yield from settled_meanwhile(queries, through, deadline)


def settled_meanwhile(queries: Queries, through: int, deadline: float) -> Flow[None]:
    """Wait a little for the settlement to come to a sequence. Raises `Timeout` at the deadline."""
    if monotonic() >= deadline:
        raise queries.line().silence(f"up to sequence {through}")
    yield Wait(queries.line(), never, min(deadline, monotonic() + WATERMARK_WAIT_SECONDS))


def trades_within(
    queries: Queries, symbol: str, span: Span, timeout: float, from_on: int = 0
) -> Flow[list[Trade]]:
    """Return a span's first `ROWS_A_QUERY_MAX` trades, of times from `from_on` (ns) on.

    Raises as `fills_within` does.
    """
    statement = trades_told(symbol, *span, from_on // 1_000, ROWS_A_QUERY_MAX)
    table = yield from ask_as_of(queries, statement, span.through, timeout)
    return [_trade_of(symbol, row) for row in table.rows()]


def bars_before(
    queries: Queries, symbol: str, since: Moment | None, before: int, through: int, timeout: float
) -> Flow[list[Bar]]:
    """Return the bars from `since` on and `before` a time in ns, as of `through` or later.

    Raises as `fills_within` does.
    """
    statement = bars_told(symbol, since, before // 1_000, ROWS_MAX)
    table = yield from ask_as_of(queries, statement, through, timeout)
    return [Bar(symbol, row.pop("start_us") * 1_000, **row) for row in table.rows()]


def _trade_of(symbol: str, row: dict[str, Any]) -> Trade:
    side = row["taker_side"]
    return Trade(
        symbol,
        row["trade"],
        row["price"],
        row["quantity"],
        row["subsidy"],
        bool(row["subsidised"]),
        None if side is None else Side[side.upper()],
        row["sequence"],
        row["time_us"] * 1_000,
    )


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
