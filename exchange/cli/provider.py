"""What a provider does: issue credits, deliver what is redeemed, tell what was used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from exchange.cli.base import bourse, connected, print_done, print_json, why_else, with_json, with_profile
from exchange.client.errors import BadInput, RequestRefused
from exchange.protocol.acts import UsageRecord
from exchange.protocol.messages import MESSAGE_BYTES_MAX

BATCH_BYTES = MESSAGE_BYTES_MAX * 3 // 4
"""Most bytes of records that one act brings: with its reason it is still a message."""

SAMPLE = """\b
A line of the file, here on three:
{"id": "chatcmpl-1", "member": "SANDBOX", "model": "QWEN3-MAX", "created": 1795300000,
 "usage": {"prompt_tokens": 1200, "completion_tokens": 300,
           "prompt_tokens_details": {"cached_tokens": 1000}}}"""


@bourse.command(epilog="Example: bourse issue QWEN3-MAX 100000 --as alibaba")
@click.argument("instrument")
@click.argument("lots", type=int)
@why_else("bourse issue")
@with_profile()
@with_json
def issue(instrument: str, lots: int, why: str, profile: str, *, as_json: bool) -> None:
    """Issue LOTS of credits of INSTRUMENT to yourself, within its capacity."""
    with connected(profile) as exchange:
        sequence = exchange.issue(instrument, lots, why)
    print_done(f"{lots} lots of {instrument} issued", sequence, as_json=as_json)


@bourse.command(epilog="Example: bourse deliver 20417 --as alibaba")
@click.argument("redemption", type=int)
@why_else("bourse deliver")
@with_profile()
@with_json
def deliver(redemption: int, why: str, profile: str, *, as_json: bool) -> None:
    """Confirm that you have delivered a redemption; an agent's task then waits for the firm's word."""
    with connected(profile) as exchange:
        print_done(f"redemption {redemption}: delivered", exchange.deliver(redemption, why), as_json=as_json)


@bourse.command(epilog=f"Example: bourse usage november.jsonl --as alibaba\n\n{SAMPLE}")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@why_else("bourse usage")
@with_profile()
@with_json
def usage(file: Path, why: str, profile: str, *, as_json: bool) -> None:
    """Redeem what members have used of your models, as FILE tells it: one JSON object a line.

    `created` is in seconds since 1970; other fields are passed over, and so are records whose id the venue
    knows: a file may be sent again. All lines are read before the first is sent.
    """
    records = read_usage(read_lines(file))
    sequences = []
    with connected(profile) as exchange:
        for first, batch in batches(records):
            try:
                sequences.append(exchange.record_usage(batch, why))
            except RequestRefused as refused:
                raise _of_lines(refused, first, batch) from refused
    if as_json:
        print_json({"records": len(records), "sequences": sequences})
    else:
        parts = f" in {len(sequences)} parts" if len(sequences) > 1 else ""
        click.echo(f"{len(records)} records told{parts}; those with a known id passed over")


def read_lines(file: Path) -> str:
    """Return a file's text. Raises `BadInput` for one that is not UTF-8; a mark of it may stand first."""
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{file}: byte {error.start} is not UTF-8",
            field="file",
            value=str(file),
            remedy="write it in UTF-8, then send it again; nothing was sent",
        ) from error


def read_usage(text: str) -> list[UsageRecord]:
    """Read usage records, one JSON object a line. Raises `BadInput` naming line, field, value and remedy."""
    records = []
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), start=1):
        try:
            record = msgspec.json.decode(line, type=UsageRecord)
        except msgspec.ValidationError as error:
            field = str(error).rpartition("`$")[2].rstrip("`").lstrip(".") if "`$" in str(error) else ""
            raise _wrong(number, field, _value_at(line, field), str(error).partition(" - at ")[0]) from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise _wrong(number, "", line[:40], f"it is no JSON object ({error})") from error
        for field, value, is_right in _checks(record):
            if not is_right:
                raise _wrong(number, field, value, _NEEDS[field])
        records.append(record)
    return records


_NEEDS = {
    "id": "it is blank; give each call its own",
    "usage.prompt_tokens": "give a count of tokens, 0 or more",
    "usage.completion_tokens": "give a count of tokens, 0 or more",
    "usage.prompt_tokens_details.cached_tokens": "cached tokens are among the prompt's; give no more",
}


def _checks(record: UsageRecord) -> Iterator[tuple[str, object, bool]]:
    used = record.usage
    cached = used.prompt_tokens_details.cached_tokens
    yield "id", record.id, bool(record.id)
    yield "usage.prompt_tokens", used.prompt_tokens, used.prompt_tokens >= 0
    yield "usage.completion_tokens", used.completion_tokens, used.completion_tokens >= 0
    yield "usage.prompt_tokens_details.cached_tokens", cached, 0 <= cached <= used.prompt_tokens


def _wrong(number: int, field: str, value: object, problem: str) -> BadInput:
    return BadInput(
        f"line {number}{': ' * bool(field)}{field} {value!r}: {problem}",
        field=field,
        value=value,
        remedy="mend the line, then send the file again; nothing was sent",
    )


def _value_at(line: str, field: str) -> object:
    """Return what stands at a field, whose steps are parted by points; of what is no JSON, how it begins."""
    try:
        found: Any = msgspec.json.decode(line)
    except (
        msgspec.DecodeError,
        RecursionError,
    ):  # a fault before the line's own: a field was found wrong first
        return line[:40]
    for step in filter(None, field.split(".")):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def batches(records: Sequence[UsageRecord]) -> Iterator[tuple[int, list[UsageRecord]]]:
    """Cut records into parts that each fit one message; each with the number of its first line."""
    first, batch, size = 1, list[UsageRecord](), 0
    for record in records:
        length = len(msgspec.msgpack.encode(record))
        if batch and size + length > BATCH_BYTES:
            yield first, batch
            first, batch, size = first + len(batch), [], 0
        batch.append(record)
        size += length
    if batch:
        yield first, batch


def _of_lines(refused: RequestRefused, first: int, batch: Sequence[UsageRecord]) -> RequestRefused:
    """Return a refusal that also says of which lines: that of the record at fault, or all of the act's.

    The venue names a record at fault by its id, in front of what is wrong with it.
    """
    told = str(refused.value)
    at = next((at for at, record in enumerate(batch) if f"{told}: ".startswith(f"{record.id}: ")), None)
    where = f"lines {first} to {first + len(batch) - 1}" if at is None else f"line {first + at}"
    return RequestRefused(
        f"{where}: {refused.problem}",
        code=refused.code,
        field=refused.field,
        value=refused.value,
        remedy=f"{refused.remedy}; from line {first} on nothing was taken: mend the file, and send it again",
    )
