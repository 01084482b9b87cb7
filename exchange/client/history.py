"""History as one asks for it: SQL, whole or in chunks; bars, trades, quotes, fixings, events, fills."""

from __future__ import annotations

from typing import Literal

from exchange.client.chunks import Chunked
from exchange.client.errors import BadInput
from exchange.client.flows import TIMEOUT_SECONDS, Flow, Wait, deadline_after
from exchange.client.queries import Queries, ask
from exchange.client.statements import (
    Moment,
    Parameters,
    Statement,
    bars_of,
    bound,
    events_of,
    fills_of,
    fixings_of,
    index_of,
    quotes_of,
    trades_of,
)
from exchange.client.tables import Table
from exchange.protocol.query_messages import CHUNK_ROWS_MAX, QueryResult

Prices = Literal["hao", "yuan"]
"""What prices and amounts are told in: whole hao, or decimal yuan."""

CHUNK_ROWS = 65_536
"""How many rows a chunk has at most, unless it is told otherwise: 4 MB or so on the way."""


def sql(
    queries: Queries, sql: str, parameters: Parameters = (), timeout: float = TIMEOUT_SECONDS
) -> Flow[Table]:
    """Return the result of one SQL statement that reads, within `timeout` seconds.

    A `?` in the statement stands for a parameter, `$name` for one of a mapping: values are bound, never
    written into it. A call that gives up takes its query back.
    Raises `RequestRefused` with the venue's reason, `Timeout`, `ConnectionLost`, `BadInput`.
    """
    return (yield from ask(queries, Statement(sql, bound(parameters)), timeout))


def stream(
    queries: Queries,
    sql: str,
    parameters: Parameters = (),
    timeout: float = TIMEOUT_SECONDS,
    *,
    chunk_rows: int = CHUNK_ROWS,
) -> Chunks:
    """Iterate over the result of one SQL statement, of any length, in tables of at most `chunk_rows` rows.

    All are as of one sequence. At most three are on their way, so memory stays small. Who does not read on
    for half a minute loses it; who wants no more says so with `close()`. `timeout` is for each table.
    Raises as `sql` does, the first time while it is read; a connection that is lost ends it.
    """
    if not 1 <= chunk_rows <= CHUNK_ROWS_MAX:
        raise BadInput(
            f"chunk_rows {chunk_rows!r} is no length of a chunk",
            field="chunk_rows",
            value=chunk_rows,
            remedy=f"give 1 to {CHUNK_ROWS_MAX} rows",
        )
    return Chunks(queries, Statement(sql, bound(parameters)), chunk_rows, timeout)


def bars(
    queries: Queries,
    symbol: str,
    interval: str = "1m",
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    prices: Prices = "hao",
    timeout: float = TIMEOUT_SECONDS,
) -> Flow[Table]:
    """Return an instrument's bars that begin from `start` on and before `end`, oldest first.

    `interval` is 1s, 1m, 5m, 1h or 1d: the venue's day, which begins at 16:00 UTC of the one before. Prices
    and amounts are in hao, or in decimal yuan with `prices="yuan"`; volumes in lots, times in UTC. Raises as
    `sql` does.
    """
    queries.check(symbol)
    return (yield from _priced(queries, bars_of(symbol, interval, start, end), prices, timeout))


def trades(
    queries: Queries,
    symbol: str,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    prices: Prices = "hao",
    timeout: float = TIMEOUT_SECONDS,
) -> Flow[Table]:
    """Return an instrument's trades from `start` on and before `end`, oldest first; as `bars`."""
    queries.check(symbol)
    return (yield from _priced(queries, trades_of(symbol, start, end), prices, timeout))


def quotes(
    queries: Queries,
    symbol: str,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    prices: Prices = "hao",
    timeout: float = TIMEOUT_SECONDS,
) -> Flow[Table]:
    """Return the top of an instrument's book at the end of each minute in a range; as `bars`."""
    queries.check(symbol)
    return (yield from _priced(queries, quotes_of(symbol, start, end), prices, timeout))


def fixings(
    queries: Queries,
    symbol: str | None = None,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    prices: Prices = "hao",
    timeout: float = TIMEOUT_SECONDS,
) -> Flow[Table]:
    """Return the daily prices, of an instrument or of all, from `start` on and before `end`; as `bars`."""
    if symbol is not None:
        queries.check(symbol)
    return (yield from _priced(queries, fixings_of(symbol, start, end), prices, timeout))


def index(
    queries: Queries,
    tier: str | None = None,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> Flow[Table]:
    """Return a tier's price index, or all tiers', of days from `start` on and before `end`. As `sql`."""
    return (yield from ask(queries, index_of(tier, start, end), timeout))


def events(queries: Queries, symbol: str | None = None, timeout: float = TIMEOUT_SECONDS) -> Flow[Table]:
    """Return when an instrument, or each, was listed, suspended, re-weighted or retired. As `sql`."""
    if symbol is not None:
        queries.check(symbol)
    return (yield from ask(queries, events_of(symbol), timeout))


def _priced(queries: Queries, statement: Statement, prices: Prices, timeout: float) -> Flow[Table]:
    """Ask a query of which the prices are wanted in yuan, or left in hao."""
    if prices not in ("hao", "yuan"):
        raise BadInput(
            f"prices {prices!r} is no unit", field="prices", value=prices, remedy="take hao or yuan"
        )
    table = yield from ask(queries, statement, timeout)
    return table.in_yuan() if prices == "yuan" else table


def fills(
    queries: Queries, since: int = 0, limit: int | None = None, timeout: float = TIMEOUT_SECONDS
) -> Flow[Table]:
    """Return one's own fills of sequence `since` and later, the newest `limit`, oldest first.

    Unlike `ex.fills` it does not wait for those to come: it knows those up to the table's `sequence`. As
    `bars`.
    """
    return (yield from ask(queries, fills_of(queries.member(), since, limit), timeout))


class Chunks:
    """A stream of tables; the first `next` asks the question."""

    def __init__(self, queries: Queries, statement: Statement, chunk_rows: int, timeout: float) -> None:
        self._queries = queries
        self._statement = statement
        self._chunk_rows = chunk_rows
        self._timeout = timeout
        self._asked: Chunked | None = None
        self._is_over = False

    def next(self) -> Flow[Table | None]:
        """Wait for the next table, for at most the stream's timeout."""
        if self._is_over:
            return None
        deadline = deadline_after(self._timeout)
        line = self._queries.line()
        if self._asked is None:
            self._asked = self._queries.session.ask_in_chunks(self._statement, self._chunk_rows)
        asked = self._asked
        if not (yield Wait(line, asked.is_done, deadline)):
            self.close()
            raise line.silence("the query")
        if not asked.chunks:
            self._is_over = True
            assert asked.fault is not None, "a wait ends with a chunk or a fault"
            raise asked.fault
        chunk = asked.chunks.popleft()
        if chunk.is_last:
            self._is_over = True
        else:
            self._queries.session.want_more(asked)
            line.nudge()
        if chunk.is_last and not chunk.rows and chunk.number:
            return None
        return Table(QueryResult(chunk.request, chunk.sequence, chunk.rows, 0.0, chunk.arrow))

    def close(self) -> None:
        """Read no further; the venue is told."""
        self._is_over = True
        if self._asked is not None:
            self._queries.drop(self._asked)
