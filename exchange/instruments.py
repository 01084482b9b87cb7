"""What is traded: one struct an instrument, and the catalogue file that lists them."""

from __future__ import annotations

import csv
import io
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

HAO_PER_YUAN = 10_000
"""1 hao = 0.0001 yuan. Every amount of money in the house is an int64 count of hao."""

Kind = Literal["model", "agent", "compute"]
Tier = Literal["frontier", "standard", "economy"]
State = Literal["proposed", "listed", "suspended", "cancel_only", "retired"]
Mode = Literal["continuous", "call", "listing"]


class Instrument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of the catalogue. Prices in hao per lot, weights per mille of an input token.

    A lot is 1,000,000 weighted token units of a `model`, one accepted task of an `agent`, or one
    card-hour of a `compute` kind. A usage record burns
    `input * weight_input + cached * weight_cached + output * weight_output` thousandths of a unit.
    """

    symbol: str
    name: str
    kind: Kind
    provider: str
    domestic: bool
    filed: bool
    region: str
    tier: Tier
    list_price: int
    tick: int
    weight_input: int = 0
    weight_cached: int = 0
    weight_output: int = 0
    milli_pflops: int = 0
    state: State = "listed"
    mode: Mode = "continuous"
    source: str
    source_version: str
    source_date: str
    sample: bool = False


def read_catalogue(text: str) -> tuple[Instrument, ...]:
    """Parse a catalogue: CSV with a header, lines that begin with `#` are remarks.

    Raises `ValueError` that names the line, the field and the remedy.
    """
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    rows = []
    for number, row in enumerate(csv.DictReader(io.StringIO("\n".join(lines))), start=2):
        try:
            rows.append(msgspec.convert(row, Instrument, strict=False))
        except msgspec.ValidationError as error:
            message = f"catalogue row {number} ({row.get('symbol')}): {error}; mend the row"
            raise ValueError(message) from error
    return tuple(rows)


@cache
def standard_catalogue() -> tuple[Instrument, ...]:
    """Return the catalogue that ships with the exchange (`exchange/catalogue/standard.csv`)."""
    return read_catalogue(files("exchange.catalogue").joinpath("standard.csv").read_text("utf-8"))
