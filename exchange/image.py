"""An engine's whole state as bytes, and back: what a snapshot holds.

Pure: no file and no clock. The tables are taken as they lie in memory, all rows of them, so that an engine
made of an image has the same room, the same chains of freed rows and the same places in its tables; what
is not in tables is one message. An image fits only a program whose state has the same form: field by
field, its form is part of the image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

import msgspec
import numpy as np

from exchange.engine import Engine, Whole
from exchange.fixing import Notes
from exchange.memory import Memory
from exchange.registry import Registry
from exchange.state import Core
from matching.layout import Book, zeros
from settlement.layout import Ledger


class ImageUnfit(Exception):
    """The image is of a state that has another form than this program's."""


class Image(NamedTuple):
    """An engine as bytes: `form` tells of `tables`, and holds all that is not in them.

    The tables' bytes follow each other in the order of the core's fields. Those of `image_of` are views
    of the engine's own: they are valid until its next batch.
    """

    form: bytes
    tables: Iterable[memoryview | bytes]


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything but the tables' rows: `rows` is how many each has, `types` a digest of all types."""

    types: str
    rows: tuple[int, ...]
    registry: Registry
    notes: Notes
    sequence: int
    time: int
    interruptions: int
    acts_digest: bytes


_ENCODER = msgspec.msgpack.Encoder()


def image_of(engine: Engine) -> Image:
    """Return an engine's image, without copying its tables."""
    whole = engine.whole()
    tables = [*_tables_of(whole.core)]
    form = Form(
        types=types_digest(),
        rows=tuple(len(table) for table in tables),
        registry=whole.registry,
        notes=whole.notes,
        sequence=whole.sequence,
        time=whole.time,
        interruptions=whole.interruptions,
        acts_digest=whole.acts_digest,
    )
    return Image(_ENCODER.encode(form), tuple(_bytes_of(table) for table in tables))


def engine_of(image: Image) -> Engine:
    """Return an engine in the state of an image; the tables' bytes are copied, one table after the other.

    Raises `ImageUnfit` if the image was made by a program whose state has another form.
    """
    form = form_of(image.form)
    empty = [*_tables_of(Engine().whole().core)]
    tables = []
    for rows, like, data in zip(form.rows, empty, image.tables, strict=True):
        table = zeros(rows, like.dtype)
        table.view(np.uint8)[:] = np.frombuffer(data, np.uint8)
        tables.append(table)
    whole = Whole(
        _core_of(iter(tables)),
        form.registry,
        form.notes,
        form.sequence,
        form.time,
        form.interruptions,
        form.acts_digest,
    )
    return Engine.restored(whole)


def form_of(data: bytes) -> Form:
    """Read the part of an image that is no table. Raises `ImageUnfit`."""
    remedy = "use the program that made it, or replay the journal from its beginning"
    try:
        found = msgspec.msgpack.decode(data, type=_Types).types
        if found != types_digest():
            message = f"the state has another form in this program; {remedy}"
            raise ImageUnfit(message)
        return msgspec.msgpack.decode(data, type=Form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        message = f"the state cannot be read: {error}; {remedy}"
        raise ImageUnfit(message) from error


def sizes_of(form: Form) -> list[int]:
    """Return how many bytes each table of an image takes, in their order."""
    empty = _tables_of(Engine().whole().core)
    return [rows * table.itemsize for rows, table in zip(form.rows, empty, strict=True)]


class _Types(msgspec.Struct):
    """The first look at a form: enough to tell whether the rest can be read."""

    types: str


@cache
def types_digest() -> str:
    """Return a digest of the types of the state: of each table's fields, and of what else is kept.

    Whatever words explain a type are no part of it.
    """
    tables = [f"{table.ndim} {table.dtype.descr}" for table in _tables_of(Engine().whole().core)]
    _, components = msgspec.json.schema_components([Registry, Notes])
    text = json.dumps([tables, _without_words(components)], sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _without_words(schema: Any) -> Any:  # noqa: ANN401  A JSON schema is of no one type.
    """Return a JSON schema without its descriptions, and without defaults: an image leaves nothing out."""
    if isinstance(schema, dict):
        told = {"description", "default"}
        return {name: _without_words(part) for name, part in schema.items() if name not in told}
    if isinstance(schema, list):
        return [_without_words(part) for part in schema]
    return schema


def _tables_of(core: Core) -> Iterator[np.ndarray]:
    """Yield every table of the state, in the order of the fields."""
    yield from core.book
    yield from core.ledger
    yield from core.memory
    yield from (core.form, core.draft, core.grant)


def _core_of(tables: Iterator[np.ndarray]) -> Core:
    """Return the state that tables make, which come in the order of `_tables_of`."""
    book = Book(*(next(tables) for _ in Book._fields))
    ledger = Ledger(*(next(tables) for _ in Ledger._fields))
    memory = Memory(*(next(tables) for _ in Memory._fields))
    return Core(book, ledger, memory, *tables)


def _bytes_of(table: np.ndarray) -> memoryview:
    return np.ascontiguousarray(table).view(np.uint8).reshape(-1).data
