"""What is traded: one struct an instrument, and the catalogue file that lists them."""

from __future__ import annotations

import csv
import io
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

HAO_PER_YUAN = 10_000
"""1 hao = 0.0001 yuan. Every amount of money in the house is an int64 count of hao."""

HAO_DIGITS = 4
"""Decimals of a yuan that a hao can tell apart."""

Kind = Literal["model", "agent", "compute"]
Tier = Literal["frontier", "standard", "economy"]
State = Literal["proposed", "listed", "suspended", "cancel_only", "retired"]
Mode = Literal["continuous", "call", "listing"]


def yuan(hao: int) -> str:
    """Return an amount of hao as yuan, exact, with two decimals or as many more as it needs.

    >>> yuan(123_500), yuan(1), yuan(-70_000)
    ('12.35', '0.0001', '-7.00')
    """
    whole, rest = divmod(abs(hao), HAO_PER_YUAN)
    decimals = f"{rest:0{HAO_DIGITS}d}".rstrip("0").ljust(2, "0")
    return f"{'-' if hao < 0 else ''}{whole}.{decimals}"


class Instrument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of the catalogue. Prices in hao per lot, weights per mille of an input token.

    A lot is 1,000,000 weighted token units of a `model`, one accepted task of an `agent`, or one
    card-hour of a `compute` kind. A usage record burns
    `input * weight_input + cached * weight_cached + output * weight_output` thousandths of a unit.

    Credits perish at the end of the day `expires`, None: never. Usage is recorded under the name
    `redeemed_as` (blank: the symbol), which a model's instruments of several expiries share.
    `also_provided_by` names other members, parted by blanks, who may issue it beside its provider.
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
    expires: date | None = None
    redeemed_as: str = ""
    also_provided_by: str = ""
    state: State = "listed"
    mode: Mode = "continuous"
    source: str
    source_version: str
    source_date: str
    sample: bool = False

    @property
    def meter(self) -> str:
        """Under which name usage is recorded that is redeemed with this instrument."""
        return self.redeemed_as or self.symbol

    @property
    def providers(self) -> tuple[str, ...]:
        """Who may issue it, its own provider first."""
        return (self.provider, *self.also_provided_by.split())


def read_catalogue(text: str) -> tuple[Instrument, ...]:
    """Parse a catalogue: CSV with a header, lines that begin with `#` are remarks; blank is the default.

    Raises `ValueError` that names the line, the field and the remedy.
    """
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    optional = {field.name for field in msgspec.structs.fields(Instrument) if not field.required}
    rows = []
    for number, row in enumerate(csv.DictReader(io.StringIO("\n".join(lines))), start=2):
        given = {name: text for name, text in row.items() if text or name not in optional}
        try:
            rows.append(msgspec.convert(given, Instrument, strict=False))
        except msgspec.ValidationError as error:
            message = f"catalogue row {number} ({row.get('symbol')}): {error}; mend the row"
            raise ValueError(message) from error
    return tuple(rows)


@cache
def standard_catalogue() -> tuple[Instrument, ...]:
    """Return the catalogue that ships with the exchange (`exchange/catalogue/standard.csv`)."""
    return read_catalogue(files("exchange.catalogue").joinpath("standard.csv").read_text("utf-8"))
