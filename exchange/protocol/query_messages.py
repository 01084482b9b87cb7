"""What members and the settlement process say to one another: questions in SQL, and rehearsals.

Their frames, and the unions that name them, are those of `exchange.protocol.messages`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from exchange.protocol.acts import Act
from exchange.protocol.rehearsals import Rehearsal

CHUNK_ROWS_MAX = 1 << 20
"""Most rows of one chunk of an answer."""

CHUNKS_AHEAD_MAX = 3
"""How many chunks are sent before the reader has asked for more, of up to 16 MiB each."""

Bindable = str | int | float | None
"""A value that may be bound in a statement; times are bound as text."""


class Query(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True, omit_defaults=True):
    """Ask the settlement process: one SQL statement that reads.

    `parameters` stand for each `?` or `$1`, or by their names for each `$name`. Answered by `QueryResult`;
    with `chunk_rows` by one `QueryChunk` after another, of at most so many rows: `CHUNKS_AHEAD_MAX` of them,
    and one more for each `NextChunk`.
    """

    request: int
    sql: str
    parameters: tuple[Bindable, ...] | dict[str, Bindable] = ()
    chunk_rows: Annotated[int, msgspec.Meta(ge=0, le=CHUNK_ROWS_MAX)] = 0


class NextChunk(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Say that a chunk of an answer was read: one more may be sent. `request` is the query's own."""

    request: int


class CancelQuery(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Take a query back, whole or in chunks. Answered by `Refused`, `cancelled`, if it was still at work.

    What nobody knows of is not answered. `request` is the query's own.
    """

    request: int


class QueryResult(msgspec.Struct, frozen=True, tag=True):
    """Answer to `Query`: an Arrow IPC stream, and the journal sequence that it is as of."""

    request: int
    sequence: int
    rows: int
    seconds: float
    arrow: bytes


class QueryChunk(msgspec.Struct, frozen=True, tag=True):
    """Answer to `Query` with `chunk_rows`: an Arrow IPC stream of its own, with the next rows.

    Chunks are numbered from 0, all are as of the same `sequence`, and have the same columns. Words that recur
    come as dictionaries, and buffers are compressed (LZ4). The last may have no rows.
    """

    request: int
    number: int
    rows: int
    arrow: bytes
    sequence: int
    is_last: bool


ACTS_REHEARSED_MAX = 1_024
"""Most acts of one rehearsal."""


class Rehearse(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Ask the settlement process what acts would bring about, were they the next commands. Nothing is done.

    For operators, and for auditors, who see what an operator's would. Answered by `Rehearsed`.
    """

    request: int
    acts: Annotated[tuple[Act, ...], msgspec.Meta(min_length=1, max_length=ACTS_REHEARSED_MAX)]
    why: str = ""


class Rehearsed(msgspec.Struct, frozen=True, tag=True):
    """Answer to `Rehearse`: what would come of it, as of the rehearsal's own sequence."""

    request: int
    rehearsal: Rehearsal
