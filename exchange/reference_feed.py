"""The feed's layout as a page and as a C header, both from `feeds.messages` and `feeds.records`.

They cannot differ from what the venue sends: the names, types and offsets are those that the publisher
packs with. What a field means stands here alone, and a field without a meaning makes no page.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

import msgspec

from exchange.markdown import MADE, coded, constants, table
from feeds import documents, messages, records
from feeds.records import Field, packer
from matching.vocabulary import Phase, QueueChange, Side


class Kind(NamedTuple):
    """One kind of message: its name in `feeds.messages`, what stands behind the header, when it is told."""

    name: str
    body: str
    told: str


KINDS = (
    Kind("TRADES", "trade_print, each", "at once"),
    Kind("STATUS", "status_change, each", "at once"),
    Kind("INDICATIVE", "indicative_price, one", "at once"),
    Kind("ORDERS", "order_update, each", "at once"),
    Kind("DEPTH", "level_update, each", "at once"),
    Kind("TOPS", "top, one", "at once"),
    Kind("FAST_VIEW", "picture, then level_update, each", "every 100 ms, where something has changed"),
    Kind("SLOW_VIEW", "picture, then level_update, each", "every second, where something has changed"),
    Kind("PROGRAMMES", "MessagePack, `count` bytes", "every second"),
    Kind("HEARTBEAT", "topic_number, each", "every second"),
    Kind("FIXINGS", "MessagePack, `count` bytes", "as they happen"),
    Kind("DEFINITIONS", "MessagePack, `count` bytes", "as they happen, and to who asks"),
    Kind("LEVELS_REFRESH", "picture, then level_update, each", "to who asks"),
    Kind("ORDERS_REFRESH", "picture, then order_update, each", "to who asks"),
    Kind("REQUEST", "no header: `ask` is the whole message", "by a reader"),
)

MEANINGS = {
    "header.kind": "what the message tells: its letter, see the kinds",
    "header.instrument": "the instrument's number, -1 where the message is of no single one",
    "header.version": "of this layout; refuse any other",
    "header.run": "changes when the publisher starts anew, and all numbers with it",
    "header.number": "of this topic, from 1, rising by one; of what was asked for: of the last message in it",
    "header.sequence": "the journal's sequence that the message is as of",
    "header.time": "ns since 1970, UTC: the frame's; a heartbeat's own",
    "header.count": "records behind this header (or behind the picture); of a document, its bytes",
    "trade_print.trade": "the trade's number, rising over all runs; in a picture 0: none in this run",
    "trade_print.sequence": "of the taker's command",
    "trade_print.paid": "hao that a programme paid of price x quantity at once",
    "trade_print.taker_side": "0 buy, 1 sell, 2 in an auction, where nobody takes",
    "trade_print.subsidised": "1 where a programme stands behind the buy, be it that it pays later",
    "status_change.reference": "the reference price in hao per lot, 0 for none",
    "status_change.sequence": "of the command that changed it, 0: so when the run began",
    "status_change.time": "ns since 1970, UTC, 0: so when the run began",
    "status_change.phase": "what the market is doing, see the codes",
    "status_change.cause": "the reject reason of the collar that interrupted trading, or 0",
    "indicative_price.volume": "lots that would trade",
    "indicative_price.surplus": "lots that would be left at that price",
    "indicative_price.side": "whose surplus it is; 0 where neither has one",
    "level_update.quantity": "lots shown at the price, all of them: a total; 0: the level is gone",
    "level_update.orders": "orders at the price",
    "order_update.order": "the order's number, its own as long as it lives",
    "order_update.sequence": "of the command that did it",
    "order_update.quantity": "lots that the order shows from then on; 0: it has left",
    "order_update.change": "what was done, see the codes",
    "top.bid_price": "hao per lot",
    "top.bid_quantity": "lots, 0 where there is no bid",
    "top.ask_price": "hao per lot",
    "top.ask_quantity": "lots, 0 where there is no ask",
    "top.bid_orders": "orders at that price",
    "top.ask_orders": "orders at that price",
    "totals.trades": "trades of this run",
    "totals.quantity": "their lots",
    "totals.amount": "the sum of their price x quantity, in hao",
    "totals.paid": "what programmes paid of it at once, in hao",
    "last_numbers.depth": "last number of topic D",
    "last_numbers.orders": "of O",
    "last_numbers.trades": "of T",
    "last_numbers.status": "of S",
    "last_numbers.indicative": "of I",
    "last_numbers.top": "of Q",
    "topic_number.kind": "the topic's kind",
    "topic_number.instrument": "and its instrument",
    "topic_number.number": "the number of its last message",
    "ask.kind": "A",
    "ask.instrument": "whose book; -1 with N: all definitions",
    "ask.version": "of this layout",
    "ask.wanted": "R, L or N",
    "recording.magic": "BOURSEFEED",
    "recording.version": "that of its messages",
    "recorded.heard": "ns since 1970, UTC",
    "recorded.length": "bytes of the message that follows",
    "price": "hao per lot (1 hao = 0.0001 yuan)",
    "quantity": "lots",
    "side": "0 buy, 1 sell",
    "unused": "zero",
}
"""What each field means, by record and field, or by the field alone where it is the same in all."""

PICTURE = (
    ("header", "header"),
    ("numbers", "last_numbers"),
    ("last_trade", "trade_print"),
    ("status", "status_change"),
    ("indicative", "indicative_price"),
    ("totals", "totals"),
)
"""What a picture begins with: each part's name, and its record."""

RECORDING: tuple[tuple[str, tuple[Field, ...], str], ...] = (
    (
        "recording",
        (("magic", "10s"), ("version", "H")),
        "What a recording of the feed begins with, 12 bytes.",
    ),
    ("recorded", (("heard", "q"), ("length", "I")), "What stands before each message in it, 12 bytes."),
)
"""The file that `bourse feed record` writes, as `feeds.recording` has it."""

CODES: tuple[tuple[type[IntEnum], str], ...] = (
    (Side, "side"),
    (QueueChange, "change"),
    (Phase, "phase"),
)

_TYPES = {"c": "char", "B": "uint8", "H": "uint16", "i": "int32", "I": "uint32", "q": "int64"}


class Record(NamedTuple):
    """One record: its name, its fields, and the sentence that stands below it in `feeds.records`."""

    name: str
    fields: tuple[Field, ...]
    about: str

    @property
    def size(self) -> int:
        """Its bytes."""
        return packer(self.fields).size

    def offsets(self) -> Iterator[tuple[int, str, str]]:
        """Yield of each field its byte, name and code."""
        for at, (name, code) in enumerate(self.fields):
            yield packer(self.fields[:at]).size, name, code


def layout() -> list[Record]:
    """Return every record of the feed, in the order of `feeds.records`, and those of a recording."""
    return [
        Record(name.removesuffix("_FIELDS").lower(), getattr(records, name), about)
        for name, _, about in constants(records.__file__)
        if name.endswith("_FIELDS")
    ] + [Record(*record) for record in RECORDING]


def meaning(record: str, field: str) -> str:
    """Return what a field means. Raises `KeyError` for a field that nobody has explained."""
    return MEANINGS.get(f"{record}.{field}") or MEANINGS[field]


def feed_page() -> str:
    """Return the page of the layout: kinds, records byte by byte, pictures, documents, codes."""
    parts = [
        MADE,
        "# The feed, byte by byte\n",
        f"Version {messages.VERSION}. [Market data](../manual/market-data.md) tells what each topic is for,",
        "and how a book is followed; here are the bytes. For C there is [`feed.h`](feed.h), with",
        "[a program that reads a recording](../examples/decode_feed.c); for anything that has ZeroMQ,",
        "[a reader of one book](../examples/plain_reader.py).\n",
        "All is little-endian and packed; integers only. One message is one ZeroMQ frame: a header of",
        f"{records.HEADER.size} bytes, whose first five are its topic, then `count` records of one sort.",
        "A reader subscribes to what it wants by those five bytes.\n",
        "## Kinds\n",
        table(("kind", "name", "behind the header", "told"), map(_kind_row, KINDS)),
        "## Records\n",
    ]
    for record in layout():
        parts += [f"### {record.name}\n", f"{record.about}\n", table(*_record_table(record))]
    parts += ["## Pictures\n", "What `R`, `L`, `V` and `W` begin with; then come levels or orders.\n"]
    parts.append(table(("byte", "part", "record"), _picture_rows()))
    parts += ["## What holds\n", " ".join(_last_paragraph(messages).split()), ""]
    parts += ["## Documents\n", " ".join(_last_paragraph(documents).split()), ""]
    for document in (documents.Definition, documents.Fixing, documents.Budget):
        rows = ((coded(one.name), coded(_annotation(one))) for one in msgspec.structs.fields(document))
        parts += [f"### {document.__name__}\n", inspect.getdoc(document) or "", ""]
        parts.append(table(("key", "type"), rows))
    parts.append("## Codes\n")
    for codes, name in CODES:
        rows = ((str(code.value), code.name.lower()) for code in codes)
        parts += [f"### `{name}`\n", table(("code", "meaning"), rows)]
    return "\n".join(parts)


def _kind_row(kind: Kind) -> tuple[str, str, str, str]:
    letter = getattr(messages, kind.name).decode("ascii")
    return coded(letter), kind.name.lower().replace("_", " "), kind.body, kind.told


def _record_table(record: Record) -> tuple[tuple[str, ...], Iterable[tuple[object, ...]]]:
    rows = ((at, coded(name), _type(code), meaning(record.name, name)) for at, name, code in record.offsets())
    return ("byte", "field", "type", "meaning"), rows


def _type(code: str) -> str:
    if code in _TYPES:
        return _TYPES[code]
    size = int(code[:-1])
    return f"{size} bytes" if size > 1 else "1 byte"


def _picture_rows() -> Iterator[tuple[object, str, str]]:
    sizes = {record.name: record.size for record in layout()}
    at = 0
    for part, record in PICTURE:
        yield at, coded(part), record
        at += sizes[record]
    assert at == messages.PICTURE_BYTES, f"a picture is {messages.PICTURE_BYTES} bytes, not {at}"
    yield at, "`count` records", "order_update in `L`, level_update in all others"


def _annotation(field: msgspec.structs.FieldInfo) -> str:
    return inspect.formatannotation(field.type)


def _last_paragraph(module: object) -> str:
    return (inspect.getdoc(module) or "").rsplit("\n\n", maxsplit=1)[-1]


def feed_header() -> str:
    """Return the C header: constants, and each record as a packed struct whose size is checked."""
    parts = [
        "/* The feed of Tokenbourse, version "
        f"{messages.VERSION}: made by `make docs` from the code; edit that instead.\n"
        "   C99, needs nothing else. The fields are little-endian: on a machine that is not, swap them.\n"
        "   A message is struct feed_header and then `count` records; feed.md beside this says more. */\n",
        "#ifndef TOKENBOURSE_FEED_H\n#define TOKENBOURSE_FEED_H\n\n#include <stdint.h>\n",
        _enumerated("feed_kind", ((kind.name, _letter(kind)) for kind in KINDS)),
        _enumerated("feed_limit", _limits()),
    ]
    parts += [
        _enumerated(f"feed_{name}", ((f"{name}_{code.name}", code.value) for code in codes))
        for codes, name in CODES
    ]
    parts.append("#pragma pack(push, 1)\n")
    parts += [_struct(record) for record in layout()]
    parts += [_picture_struct(), "#pragma pack(pop)\n"]
    parts.append("/* Each of these fails to compile where a struct is not as long as on the wire. */")
    sizes = [(record.name, record.size) for record in layout()] + [("picture", messages.PICTURE_BYTES)]
    parts += [
        f"typedef char feed_{name}_has_{size}_bytes[sizeof(struct feed_{name}) == {size} ? 1 : -1];"
        for name, size in sizes
    ]
    parts.append("\n#endif\n")
    return "\n".join(parts)


def _letter(kind: Kind) -> str:
    return f"'{getattr(messages, kind.name).decode('ascii')}'"


def _limits() -> Iterator[tuple[str, int]]:
    for name in ("VERSION", "EVERY_INSTRUMENT", "VIEW_LEVELS", "MESSAGE_BYTES_MAX"):
        yield name, getattr(messages, name)
    yield "NO_TAKER", records.NO_TAKER


def _enumerated(name: str, values: Iterable[tuple[str, object]]) -> str:
    lines = ",\n".join(f"    FEED_{label.upper()} = {value}" for label, value in values)
    return f"enum {name} {{\n{lines}\n}};\n"


def _struct(record: Record) -> str:
    lines = [_comment(record.about), f"struct feed_{record.name} {{"]
    for at, name, code in record.offsets():
        lines.append(f"    {_declared(name, code):<24}/* {at:>2}: {meaning(record.name, name)} */")
    return "\n".join([*lines, "};\n"])


def _declared(name: str, code: str) -> str:
    if code in _TYPES:
        return f"{_TYPES[code]}{'_t' if code != 'c' else ''} {name};"
    return f"{'char' if code.endswith('s') else 'uint8_t'} {name}[{code[:-1]}];"


def _comment(text: str) -> str:
    return "/* " + textwrap.fill(" ".join(text.split()), 100, subsequent_indent="   ") + " */"


def _picture_struct() -> str:
    lines = [_comment("What R, L, V and W begin with; `header.count` levels, or orders (L), follow.")]
    lines.append("struct feed_picture {")
    lines += [f"    struct feed_{record} {part};" for part, record in PICTURE]
    return "\n".join([*lines, "};\n"])
