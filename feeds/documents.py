"""The feed's slow topics as MessagePack: definitions of instruments, fixings, budgets of programmes.

Each body is an array of maps, whose keys are the fields below. A reader of another release ignores keys that
it does not know. Control characters in texts would command the terminal that shows them, and a recording may
be anybody's: readers see U+FFFD in their place.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from feeds.messages import DEFINITIONS, FIXINGS, PROGRAMMES, Document, UnreadableError

T = TypeVar("T", bound=msgspec.Struct)

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What an instrument is: prices in hao per lot, `tick` in hao, `weights` per mille of an input token.

    `index` is its number in the feed; `weights` are of input, cached and output tokens, 0 where it is no
    model; `expires` is a day as 2026-12-31, blank: never; `state` is whether it may be traded at all.
    """

    index: int
    symbol: str
    name: str
    kind: str
    provider: str
    domestic: bool
    filed: bool
    region: str
    tier: str
    list_price: int
    tick: int
    weights: tuple[int, int, int]
    milli_pflops: int
    expires: str
    state: str
    mode: str


class Fixing(msgspec.Struct, frozen=True, kw_only=True):
    """A daily fixing: `day` as 2026-11-22, price in hao per lot, and which rung of the rules found it."""

    index: int
    symbol: str
    day: str
    price: int
    rung: str


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A programme's money in a fiscal year, in hao: uncommitted + reserved + paid + vested = budget."""

    programme: str
    fiscal_year: int
    budget: int
    uncommitted: int
    reserved: int
    paid: int
    vested: int


_WRITER = msgspec.msgpack.Encoder()
_DEFINITIONS = msgspec.msgpack.Decoder(tuple[Definition, ...])
_FIXINGS = msgspec.msgpack.Decoder(tuple[Fixing, ...])
_BUDGETS = msgspec.msgpack.Decoder(tuple[Budget, ...])


def write_body(documents: tuple[Definition, ...] | tuple[Fixing, ...] | tuple[Budget, ...]) -> bytes:
    """Return the body of a message."""
    return _WRITER.encode(documents)


def definitions_of(message: Document) -> tuple[Definition, ...]:
    """Return the definitions in a message. Raises `UnreadableError`."""
    return _read(message, DEFINITIONS, _DEFINITIONS)


def fixings_of(message: Document) -> tuple[Fixing, ...]:
    """Return the fixings in a message. Raises `UnreadableError`."""
    return _read(message, FIXINGS, _FIXINGS)


def budgets_of(message: Document) -> tuple[Budget, ...]:
    """Return the programmes' budgets in a message. Raises `UnreadableError`."""
    return _read(message, PROGRAMMES, _BUDGETS)


def _read(message: Document, kind: bytes, reader: msgspec.msgpack.Decoder[tuple[T, ...]]) -> tuple[T, ...]:
    assert message.kind == kind, f"a document of kind {message.kind!r}, not {kind!r}"
    try:
        return tuple(map(_harmless, reader.decode(message.body)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        text = f"the document of topic {kind.decode()} cannot be read: {error}"
        raise UnreadableError(text) from error


def _harmless(document: T) -> T:
    """Return a document without control characters."""
    texts = {name: getattr(document, name) for name in document.__struct_fields__}
    found = {
        name: _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
        for name, text in texts.items()
        if isinstance(text, str) and _CONTROL.search(text)
    }
    return msgspec.structs.replace(document, **found) if found else document
