"""A programme's terms as a file: TOML with the fields of `settlement.terms.ProgrammeTerms`."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from settlement.terms import ProgrammeTerms

if TYPE_CHECKING:
    from datetime import date

_PLACE = re.compile(r"at `\$\.(?P<path>[^`]+)`")
_STEP = re.compile(r"\[(?P<number>\d+)\]|(?P<name>\w+)")


def read_terms(text: str) -> ProgrammeTerms:
    """Read the terms of a programme. Raises `ValueError` that names the field, its value and the remedy."""
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number too long to be one is a plain ValueError
        message = f"terms: {error}; write `field = value` there"
        raise ValueError(message) from error
    try:
        terms = msgspec.convert(raw, ProgrammeTerms)
    except msgspec.ValidationError as error:
        raise ValueError(_told(str(error), raw)) from error
    if fault := terms.fault():
        raise ValueError(fault)
    return terms


def _told(error: str, raw: dict[str, Any]) -> str:
    """Return what is wrong with a file, with the value at the place that the reader names."""
    found = _PLACE.search(error)
    if found is None:
        return f"terms: {error}; mend that field"
    value: Any = raw
    for step in _STEP.finditer(found["path"]):
        value = value[int(step["number"]) if step["number"] else step["name"]]
    return f"{found['path']}: {value!r}; {error}; mend that"


def terms_text(terms: ProgrammeTerms) -> str:
    """Return terms as the text of their file: what is not as it is by default, rates last."""
    lines = _lines(terms)
    for rate in terms.rates:
        lines += ["", "[[rates]]", *_lines(rate)]
    return "\n".join(lines) + "\n"


def _lines(struct: msgspec.Struct) -> list[str]:
    """Return a line a field, but for tables, and for what is as it is by default."""
    values = ((field, getattr(struct, field.name)) for field in _fields(type(struct)))
    return [
        f"{field.name} = {_written(value)}"
        for field, value in values
        if field.name != "rates" and value != field.default
    ]


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Return the fields of a sort of terms; msgspec works them out anew each time, most of a text's work."""
    return msgspec.structs.fields(kind)


def _written(value: int | str | tuple[str, ...] | date) -> str:
    """Return a value as TOML has it; its strings and lists are written as JSON's are."""
    if isinstance(value, int | str | tuple):
        return msgspec.json.encode(value).decode()
    return value.isoformat()
